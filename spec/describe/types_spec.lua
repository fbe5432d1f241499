-- SPDX-License-Identifier: MIT
-- Types for editors: the checked-in files are what the data gives, and every annotation in them is one that editors read.

local command = require "spec.support.command"
local luacats = require "spec.support.luacats"
local platforms = require "campaign.api.platform"
local types = require "campaign.describe.types"

-- Types of the product that platforms' types build on; what else they name is declared beside them.
local function texts_with(path, text)
  local texts = { ["lua/campaign/types.lua"] = command.read("lua/campaign/types.lua"), [path] = text }
  for _, module in ipairs{ "error", "env", "api/pages", "api/waiter" } do
    local names = {}
    for tag, name in command.read("lua/campaign/" .. module .. ".lua"):gmatch("\n%-%-%-@(%a+) ([%w_.]+)") do
      if tag == "class" or tag == "alias" then
        names[#names + 1] = "---@class " .. name
      end
    end
    texts[module] = table.concat(names, "\n")
  end
  return texts
end

describe("types", function()
  for _, name in ipairs(platforms.names()) do
    local path = "lua/campaign/types/" .. name .. ".lua"

    it("of " .. name .. " are what `make types` writes", function()
      assert.equal(types.text(platforms.load(name)), command.read(path))
    end)

    it("of " .. name .. " declare every operation, field and value, and every name they use", function()
      local platform = platforms.load(name)
      local text = command.read(path)
      local declared = luacats.read(texts_with(path, text))
      for _, operation in ipairs(platform.operations) do
        assert(text:find("\nfunction client:" .. operation.name .. "(fields, options) end\n", 1, true), operation.name)
        for _, field in ipairs(operation.fields) do
          assert(declared["campaign." .. operation.key .. ".fields"][field.name], operation.key .. "." .. field.name)
        end
      end
      local waiters = declared["campaign." .. name .. ".waiter"] or {}
      for waiter in pairs(platform.waiters) do
        assert(table.concat(waiters, " "):find('"' .. waiter .. '"', 1, true), waiter)
      end
      for enum_name, values in pairs(platform.enums) do
        local choices = declared["campaign." .. name .. "." .. enum_name]
        assert(not choices or #choices == #values + (values.open and 1 or 0), enum_name)
      end
    end)

    it("of " .. name .. " are Lua that loads and does nothing", function()
      assert(loadfile(path))()
    end)
  end

  it("say source lines, limits, closed hours and what values mean", function()
    local text = command.read("lua/campaign/types/outbound.lua")
    for _, line in ipairs{
      '---| "0" # append (追加)',
      "---@field operationType campaign.outbound.operation_type? append unless overwrite is named; default 0 [:21]",
      "---@field dataList string[] contact uuids, a flat list; at least 1 entry; each: at least 1 character [:190]",
      "---Closed from 00:00:00 to 02:00:00 (UTC+08:00).",
      "---@class campaign.client.outbound: campaign.client",
    } do
      assert(text:find("\n" .. line .. "\n", 1, true), line)
    end
  end)

  it("give a type that stands in requests and replies a class for each", function()
    local raw = { name = "both", title = "t", doc = "d", source = "s.txt", zone = "+08:00",
      account = { { name = "base_url", doc = "d" } }, auth = {},
      types = { Thing = { fields = { { name = "id", type = "int64", required = true } } } },
      operations = { { name = "change", doc = "Change.", source = ":1", method = "POST", path = "/x", auth = "none", body = "json",
        response = "json", effect = "update", fields = { { name = "thing", where = "json", type = "object", shape = "Thing" } },
        reply = "Thing" } } }
    local text = types.text(assert(platforms.from_table(raw, "both")))
    local declared = luacats.read(texts_with("both", text))
    assert(declared["campaign.both.ThingRequest"] and declared["campaign.both.ThingReply"])
    assert(text:find("---@field id string|integer\n", 1, true))
    assert(text:find("---@field id string?\n", 1, true))
  end)

  it("come from `campaign describe --format types`, for platforms of one's own too", function()
    local result = command.campaign{ "describe", "./examples/platforms/courier.lua", "--format", "types" }
    assert.equal("", result.err)
    local declared = luacats.read(texts_with("courier", result.out))
    assert(declared["campaign.courier.send_message.fields"].recipients)
    assert(declared["campaign.client.courier"])
  end)
end)

describe("the reader of annotations", function()
  for text, message in pairs{
    ["---@class a.B\n---@field x unknown"] = "nobody declares unknown",
    ["---@class a.B\n---@field x string[ doc"] = "unread after the type",
    ["---@class a.B\n---@field x"] = "a field needs a type",
    ["---@class a.B\n---@field x string\n---@field x string"] = "given twice",
    ["---@class a.B\n---@class a.B"] = "declared twice",
    ["---@field x string"] = "a field without a class",
    ["---| \"a\""] = "a choice without an alias",
    ["---@alias x\n---| a b|"] = "nobody declares a",
    ["---@param a string\nfunction c:f(b) end"] = "parameters are annotated as a",
    ["---@claas x"] = "unknown tag",
    ["x = 1"] = "no signature",
  } do
    it("refuses: " .. text:gsub("\n", " "), function()
      local ok, err = pcall(luacats.read, { file = text })
      assert.is_false(ok)
      assert(tostring(err):find(message, 1, true), err)
    end)
  end
end)

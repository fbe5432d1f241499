-- SPDX-License-Identifier: MIT
package.path = package.path .. ";./?.lua"

local platforms = require "campaign.api.platform"
local types = require "tools.types"

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

describe("types", function()
  for _, name in ipairs(platforms.names()) do
    it("of " .. name .. " are what tools/types.lua writes", function()
      assert.equal(types.text(name), read("lua/campaign/types/" .. name .. ".lua"))
    end)

    it("of " .. name .. " name every operation, and every class they use", function()
      local text = read("lua/campaign/types/" .. name .. ".lua")
      local known = {}
      for class in (text .. read("lua/campaign/types.lua")):gmatch("%-%-%-@class ([%w_.]+)") do
        known[class] = true
      end
      for _, operation in ipairs(platforms.load(name).operations) do
        assert(text:find("function client:" .. operation.name .. "(", 1, true), operation.name)
      end
      for class in text:gmatch("campaign%.[%w_.]*[%w_]") do
        assert(known[class] or class:find("^campaign%.client%.") or class == "campaign.instant", class)
      end
    end)

    it("of " .. name .. " are Lua that loads and does nothing", function()
      assert(loadfile("lua/campaign/types/" .. name .. ".lua"))()
    end)
  end
end)

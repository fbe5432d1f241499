-- SPDX-License-Identifier: MIT
-- A workbook that is read while memory or the disk fails, once, at every call: either the list is whole and right, or an error says why not.

local command = require "support.command"
local core = require "campaign.core"
local workbooks = require "spec.support.workbooks"

-- A server of forks (spec/preload/fault_shim.c): each child reads the workbook while one call fails.
local SCRIPT = [[
require "campaign.error"
local core = require "campaign.core"
local path, folder = arg[1], arg[2]

local function convert()
  local reader, err = core.workbook.reader{ path = path, folder = folder, keep = true }
  local done
  while reader and not done do
    done, err = reader:step(70000)
    if done == nil then
      return nil, err
    end
  end
  if not reader then
    return nil, err
  end
  local file = io.open(reader:path(), "rb")
  local text = file and file:read("*a")
  reader:close()
  return text
end

local expected = assert(convert()) -- loads Expat
io.open("/shim/serve")
if not os.getenv("SHIM_JOB") then os.exit(0) end
local ok, text, err = pcall(convert)
local said = not ok and tostring(text):find("memory", 1, true) or ok and not text and err and #tostring(err) > 10
os.exit(text == expected and 0 or (said or ok and not text and not err) and 1 or 3, false)
]]

describe("core.workbook", function()
  local folder
  before_each(function() folder = command.folder() end)
  after_each(function() command.remove(folder) end)

  local function book()
    local shared, rows = {}, { { "名", "n", "t" } }
    for i = 1, 700 do
      shared[i] = ("<si><t>text %d</t></si>"):format(i)
      rows[#rows + 1] = ("<row><c t='s'><v>%d</v></c><c s='1'><v>%d</v></c><c t='inlineStr'><is><t>%s</t></is></c></row>"):format(i * 7 % 700,
        45000 + i,
        ("x"):rep(i % 100))
    end
    rows[#rows + 1] = "<row><c t='e'><v>#N/A</v></c></row>"
    return workbooks.write(folder .. "/a.xlsx", { rows = workbooks.rows(rows), shared = table.concat(shared),
      styles = "<numFmts><numFmt numFmtId='164' formatCode='yyyy'/></numFmts><cellXfs><xf numFmtId='0'/><xf numFmtId='164'/></cellXfs>" })
  end

  -- How the children ended: codes by number of the call that failed, and how many calls there are.
  local function ends(orders)
    local build = os.getenv("CAMPAIGN_BUILD") or command.ROOT .. "/build"
    local script = command.write(folder .. "/script.lua", SCRIPT)
    command.write(script .. ".orders", table.concat(orders))
    local result = command.run({ "sh", "-c", 'exec "$@" <"$0.orders"', script, command.LUA == "luajit" and "luajit" or "lua5.4", script, book(),
      folder },
      { seconds = 120, env = { LD_PRELOAD = build .. "/spec/fault_shim.so", LUA_PATH = os.getenv("LUA_PATH"), LUA_CPATH = os.getenv("LUA_CPATH") } })
    local codes, most = {}, 0
    for how, code, count in result.out:gmatch("(%a+) (%d+) (%d+)\n") do
      assert.equal("exit", how, ("call %d: %s %s %s"):format(#codes + 1, how, code, result.err))
      codes[#codes + 1], most = tonumber(code), math.max(most, tonumber(count))
    end
    assert.equal(#orders, #codes, result.err)
    return codes, most
  end

  local function expect(action, calls, under, count)
    local orders = {}
    for at = 1, count do
      orders[at] = ("%d %s %s %s 0 job\n"):format(at, action, calls, under)
    end
    local codes, most = ends(orders)
    local failed = 0
    for at, code in ipairs(codes) do
      assert(code == 0 or code == 1, ("%s at call %d: neither a right list nor an error"):format(action, at))
      assert(at <= most or code == 0, ("call %d was not made"):format(at))
      failed = failed + code
    end
    return failed, most
  end

  it("raises where memory is missing, whichever allocation fails #heavy", function()
    local failed, most = expect("ENOMEM", "malloc", "/", 120)
    assert.is_true(failed > 20 and most > 20, failed .. " of " .. most .. " failed")
  end)

  it("says so where the disk fails, whichever call it is #heavy", function()
    for _, action in ipairs{ "EIO", "ENOSPC" } do
      local failed, most = expect(action, "file", folder, 40)
      assert.is_true(failed > 3 and most > 5, failed .. " of " .. most .. " failed")
    end
    assert.equal(0, #(core.system.list_dir(folder) or {}) - 3) -- the workbook, script and orders
  end)

  it("names the package of the library that is missing #heavy", function()
    local build = os.getenv("CAMPAIGN_BUILD") or command.ROOT .. "/build"
    local result = command.campaign({ "convert", book(), "--to", "utf-8" },
      { env = { LD_PRELOAD = build .. "/spec/without_library.so", WITHOUT = "libexpat" } })
    assert.same({ 2, "" }, { result.code, result.out })
    assert.truthy(result.err:find("a library is missing (Debian: apt-get install libexpat1)", 1, true), result.err)
  end)
end)

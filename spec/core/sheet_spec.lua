-- SPDX-License-Identifier: MIT
-- The writer of Excel files: what is in the cells when it says that it wrote them, and every way in which it does not.

require "campaign.error"
local command = require "spec.support.command"
local core = require "campaign.core"
local lists = require "support.lists"
local sheets = require "spec.support.sheets"

local read = sheets.read

local function write(path, rows, options)
  local lines = {}
  for i, row in ipairs(rows) do
    lines[i] = core.csv.line(row)
  end
  local given = { path = path, columns = #rows[1], source = core.source(table.concat(lines)) }
  for key, value in pairs(options or {}) do
    given[key] = value
  end
  local writer, err = core.sheet.writer(given)
  if not writer then
    return nil, err
  end
  local count, bytes
  repeat
    count, bytes = writer:step()
  until not count or bytes
  return count, bytes
end

describe("core.sheet", function()
  local folder
  before_each(function() folder = command.folder() end)
  after_each(function() command.remove(folder) end)

  local function left_over()
    return command.run({ "ls", "-A", folder }).out
  end

  it("keeps every text as it is: formulas, phones, long ids, blanks, quotes, lines, codes, emoji", function()
    local rows = {
      { "userId", "text" },
      { "=1+1", "@SUM(A1)" }, { "13800001234", "0013" }, { "9007199254740993", "1790000000000000001" }, { " x ", "\ttab" },
      { 'a "quoted" b', "one,two" }, { "line\nline", "<&>'" }, { "_x0041_", "_x0041_x0042__x005F_" }, { "_x00zz_", "_x0041" },
      { "䶮", "😀" }, { "2025-11-10", "TRUE" }, { "", "second" }, { "1e5", "-" },
    }
    local path = folder .. "/a.xlsx"
    local count, bytes = write(path, rows)
    assert.equal(#rows - 1, count, tostring(bytes))
    assert.equal(#command.read(path), bytes)
    assert.same(rows, read(path, 2))
  end)

  it("marks every cell as text, so that Excel makes no number of it", function()
    local path = folder .. "/a.xlsx"
    assert(write(path, { { "a" }, { "13800001234" }, { "x" } }))
    local script = [[local z = require("zip").open(%q)
      for _, name in ipairs{ "xl/worksheets/sheet1.xml", "xl/styles.xml" } do local f = z:open(name) print(f:read("*a")) f:close() end]]
    local result = command.run({ "luajit", "-e", script:format(path) })
    local numbers = 0
    for cell in result.out:gmatch("<c [^>]*>") do
      assert.truthy(cell:find('t="inlineStr"', 1, true) and cell:find('s="1"', 1, true), cell)
      numbers = numbers + 1
    end
    assert.equal(3, numbers)
    assert.truthy(result.out:find('numFmtId="49"', 1, true))
  end)

  it("is private to its user, replaces what was there, and leaves no temporary file", function()
    local path = folder .. "/a.xlsx"
    command.write(path, "old")
    assert(write(path, { { "a" }, { "b" } }))
    assert.equal("PK", command.read(path):sub(1, 2))
    assert.equal(384, core.system.stat(path).mode % 512)
    assert.equal("a.xlsx\n", left_over())
  end)

  it("holds 32,767 characters in a cell, counted as UTF-16, and refuses one more", function()
    local path = folder .. "/a.xlsx"
    local most = ("漢"):rep(32767)
    assert.equal(1, (write(path, { { "a" }, { most } })))
    assert.equal(most, read(path, 1)[2][1])
    for _, text in ipairs({ most .. "x", ("😀"):rep(16384), ("y"):rep(200000) }) do
      local count, err = write(path, { { "a" }, { text } })
      assert.is_nil(count)
      assert.equal("row 2, column 1 of the sheet: is longer than the 32,767 characters that a cell holds", err.message)
    end
  end)

  it("refuses what no cell can hold, names row and column, and leaves the old file", function()
    local path = folder .. "/a.xlsx"
    command.write(path, "old")
    for text, word in pairs({ ["a\1"] = "control character", ["\27"] = "control character", ["a\rb"] = "control character",
      ["\239\191\190"] = "U+FFFE", ["x\239\191\191"] = "U+FFFF" }) do
      local count, err = write(path, { { "a", "b" }, { "fine", text } })
      assert.is_nil(count)
      assert.equal("invalid", err.kind)
      assert.truthy(err.message:find("row 2, column 2", 1, true) and err.message:find(word, 1, true), err.message)
    end
    assert.equal("old", command.read(path))
    assert.equal("a.xlsx\n", left_over())
  end)

  it("refuses lines of another width, and text that is no CSV", function()
    local path = folder .. "/a.xlsx"
    for text, word in pairs({
      ["a,b\r\nx\r\n"] = "fewer", ["a,b\r\nx,y,z\r\n"] = "more", ["a,b\r\nx,y"] = "no line end", ['a,b\r\n"x"y,z\r\n'] = "closing quote",
      ['a,b\r\nx"y,z\r\n'] = "inside an unquoted field", ["a,b\rx,y\r\n"] = "carriage return", ['a,b\r\n"x,y\r\n'] = "no line end",
    }) do
      local writer = assert(core.sheet.writer{ path = path, columns = 2, source = core.source(text) })
      local count, err = writer:step()
      assert.is_nil(count, text)
      assert.truthy(err.message:find(word, 1, true), err.message)
      assert.has_error(function() writer:step() end)
    end
    assert.equal("", left_over())
  end)

  it("reads lines the same wherever the source cuts them", function()
    local rows = { { "a", "b" } }
    for i = 2, 9000 do
      rows[i] = { ('q"%d,"'):format(i), ("%d\nz"):format(i) }
    end
    local path = folder .. "/a.xlsx"
    assert.equal(8999, (write(path, rows)))
    assert.same(rows, read(path, 2))
  end)

  it("refuses more than 16,384 columns and a row after the 1,048,576th", function()
    local path = folder .. "/a.xlsx"
    assert.is_nil((core.sheet.writer{ path = path, columns = 0, source = core.source("") }))
    assert.has_error(function() core.sheet.writer{ path = path, columns = 1.5, source = core.source("") } end)
    local _, err = core.sheet.writer{ path = path, columns = 16385, source = core.source("") }
    assert.truthy(err.message:find("16384 columns", 1, true))
    if os.getenv("CAMPAIGN_TEST_TOOL") == "valgrind" then
      return -- a million rows are for the plain build
    end
    local line = "1\r\n"
    local writer = assert(core.sheet.writer{ path = path, columns = 1, source = core.source(line:rep(1048577)) })
    local count, problem
    repeat
      count, problem = writer:step()
    until not count or problem
    assert.is_nil(count)
    assert.equal("a sheet holds 1048576 rows, its header included", problem.message)
  end)

  it("lets go of everything when it is left half way, refused or collected", function()
    local function open_files()
      local count = 0
      for _ in pairs(core.system.list_dir("/proc/self/fd")) do
        count = count + 1
      end
      return count
    end
    local before = open_files()
    local text = (("a"):rep(3000) .. "\r\n"):rep(600) -- more than one step takes
    for i = 1, lists.rounds(30) do
      local writer = assert(core.sheet.writer{ path = folder .. "/a.xlsx", columns = 1, source = core.source(text) })
      assert.is_false((select(2, writer:step())))
      if i % 2 == 0 then
        writer:close()
        writer:close()
      end
      assert.is_nil((write(folder .. "/b.xlsx", { { "a" }, { "\1" } })))
      assert.is_nil((write(folder .. "/none/b.xlsx", { { "a" } })))
    end
    collectgarbage()
    collectgarbage()
    assert.equal(before, open_files())
    assert.equal("", left_over())
  end)

  it("names a folder that is not there, and one for temporary files that cannot be written", function()
    local _, err = write(folder .. "/none/a.xlsx", { { "a" } })
    assert.truthy(err.message:find("none/a.xlsx: cannot be written: No such file", 1, true), err.message)
    _, err = write(folder .. "/a.xlsx", { { "a" } }, { temporary = folder .. "/gone" })
    assert.truthy(err.message:find("temporary files, " .. folder .. "/gone, cannot be written", 1, true), err.message)
    _, err = write(folder, { { "a" } })
    assert.truthy(err.message:find("not a regular file", 1, true), err.message)
    assert.equal("", left_over())
  end)

  it("says why rows cannot be written", function()
    local script = command.write(folder .. "/try.lua", [[
      require "campaign.error"
      local core = require "campaign.core"
      local writer = assert(core.sheet.writer{ path = arg[1], columns = 1, source = core.source((("v"):rep(200) .. "\n"):rep(4000)) })
      local count, err
      repeat count, err = writer:step() until not count or err
      io.stdout:write(tostring(err))]])
    local result = command.run({ "sh", "-c", ("trap '' XFSZ; ulimit -f 200; exec %s %s %s"):format(rawget(_G, "jit") and "luajit" or "lua5.4", script,
      folder .. "/large.xlsx") }, { env = { LUA_PATH = package.path, LUA_CPATH = package.cpath, LD_PRELOAD = os.getenv("LD_PRELOAD"),
      ASAN_OPTIONS = os.getenv("ASAN_OPTIONS") } })
    assert.truthy(result.out:find("cannot be written: File too large", 1, true), result.out .. result.err)
  end)

  -- The library notices only some of the writes that fail; whatever the disk has room for, a file that is there is whole.
  it("never leaves a file that lacks rows when the disk is full", function()
    local script = command.write(folder .. "/try.lua", [[
      require "campaign.error"
      local core = require "campaign.core"
      local lines = { "userId,name\r\n" }
      for i = 1, 2000 do lines[#lines + 1] = ("%d,somebody %d\r\n"):format(i * 7919, i) end
      local writer, err = core.sheet.writer{ path = arg[1], columns = 2, source = core.source(table.concat(lines)) }
      local count, bytes
      if writer then repeat count, bytes = writer:step() until not count or bytes err = bytes end
      io.stdout:write(count and "wrote" or tostring(err), "\n")]])
    local interpreter = rawget(_G, "jit") and "luajit" or "lua5.4"
    local path = folder .. "/full.xlsx"
    -- Whether the file was written where a file may have so many blocks of 512 bytes.
    local function fits(blocks)
      os.remove(path)
      local result = command.run({ "sh", "-c", ("trap '' XFSZ; ulimit -f %d; exec %s %s %s"):format(blocks, interpreter, script, path) },
        { env = { LUA_PATH = package.path, LUA_CPATH = package.cpath, LD_PRELOAD = os.getenv("LD_PRELOAD"),
          ASAN_OPTIONS = os.getenv("ASAN_OPTIONS") } })
      if result.out == "wrote\n" then
        assert.equal(2001, #sheets.read(path, 2), "blocks: " .. blocks)
        return true
      end
      assert.truthy(result.out:find("full", 1, true) or result.out:find("cannot be written", 1, true), result.out .. result.err)
      assert.equal("try.lua\n", left_over(), "blocks: " .. blocks)
      return false
    end
    local too_few, enough = 8, 4000
    assert.is_false(fits(too_few))
    assert.is_true(fits(enough))
    while enough - too_few > 1 do
      local middle = math.floor((too_few + enough) / 2)
      if fits(middle) then
        enough = middle
      else
        too_few = middle
      end
    end
    for blocks = enough - 6, enough + 3 do
      assert.equal(blocks >= enough, fits(blocks))
    end
  end)
end)

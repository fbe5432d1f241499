-- SPDX-License-Identifier: MIT
-- core.rows.rewrite: a list made anew row by row, beside a plain reader and a plain model of what the function said, over random and hostile lists;
-- what a row refuses, and what is left of a list that was given up. On LuaJIT all of it also through compiled code (plan/row_walk.lua).

local command = require "support.command"
local core = require "campaign.core"
local lists = require "support.lists"
local row_walk = require "campaign.import.plan.row_walk"

local BLOCK = 100 -- rows: more than LuaJIT needs to compile the loop

local function bytes_of(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

local function open(text, more)
  local options = { path = lists.file(text) }
  for name, value in pairs(more or {}) do
    options[name] = value
  end
  local input = assert(core.rows.input(options))
  assert(input:columns())
  return input
end

local function rewriting(input)
  return assert(core.rows.rewrite(input, { folder = "/tmp", keep = false, shown = "the columns" }))
end

-- Calls the function for each row, in one of the ways of row_walk; the bytes of the new list, and what is known of it.
local function rewritten_in(way, text, map, more)
  local input = open(text, more)
  local rewrite = rewriting(input)
  local walk = row_walk[way](rewrite, map)
  local number, err = 0, nil
  while number do
    number, err = walk(number, BLOCK)
  end
  local info
  if not err then
    local done
    repeat
      done, err = rewrite:finish(1)
    until done ~= false
    info = rewrite:info()
  end
  local made = not err and bytes_of(rewrite:path())
  rewrite:close()
  input:close()
  return made, info or err
end

local function records_of(text, delimiter)
  local rows = {}
  for _, record in ipairs((lists.parse(text, delimiter or ","))) do
    if not record.blank then
      rows[#rows + 1] = record
    end
  end
  return rows
end

for _, way in ipairs(rawget(_G, "jit") and jit.status() and { "plain", "compiled", "of" } or { "plain" }) do
describe("core.rows.rewrite, " .. way, function()
  local function rewritten(...)
    return rewritten_in(way, ...)
  end

  teardown(function()
    lists.clean()
    collectgarbage()
    collectgarbage()
    assert.equal(0, core.live())
  end)

  it("keeps what was not touched, byte by byte, and lines where they were", function()
    local text = "\n\na,b\n1,2\n\n\"x\ny\",\"\"\"\"\n\n3,4"
    local made, info = rewritten(text, function() end)
    assert.equal("\n\na,b,_map\n1,2,\n\n\"x\ny\",\"\"\"\",\n\n3,4,\n", made)
    assert.same({ 3, 0, false, "_map", false }, { info.rows, info.refused, info.makes, info.marker, info.lines_moved })
    assert.equal("a;b;_map\r\n1;2;\n", (rewritten("a;b\r\n1;2\r\n", function() end, { delimiter = ";" })):gsub("_map\n", "_map\r\n"))
  end)

  it("finds the lines of the list again behind values with line ends", function()
    local made, info = rewritten("a,b\n1,2\n\n\n3,4\n", function(row, number)
      row.c = number == 1 and "x\ny\nz" or ""
    end)
    assert.equal("a,b,_map,c\n1,2,,\"x\ny\nz\"\n3,4,,\n", made)
    assert.is_true(info.lines_moved)
    assert.equal(5, lists.parse(made, ",")[3].line)
  end)

  it("gives columns names that nobody else has", function()
    local made = rewritten("_map,a,a (list),a (list)*\n1,2,3,4\n", function(row)
      row.a = "x"
      row.__map = "y"
    end)
    assert.equal("_map,a (list)**,a (list),a (list)*,___map,a,__map\n1,2,3,4,,x,y\n", made)
  end)

  it("reads back what was set, by name and by place, and forgets it with the row", function()
    local seen = {}
    local made = rewritten("a,b\n1,2\n3,4\n", function(row, number)
      row.c = number * 10
      row[2] = "B" .. row[2]
      seen[number] = row.a .. row.b .. row[2] .. row.c .. #row .. tostring(row)
      if number == 2 then
        row.late = true
        assert.equal("true", row.late)
        row.a = nil
        assert.equal("", row.a)
        row.a = false
        return
      end
      assert(not pcall(function() return row.late end))
    end)
    assert.same({ "1B2B2102campaign.row 1", "3B4B4202campaign.row 2" }, seen)
    assert.equal("a (list),b (list),_map,c,b,late,a\n1,2,,10,B2,,1\n3,4,,20,B4,true,false\n", made)
  end)

  it("makes rows of tables, with names in one order", function()
    for _ = 1, 5 do
      local made, info = rewritten("a,b\n1,2\n3,4\n5,6\n", function(row, number)
        if number == 2 then
          row.a = "forgotten"
          return nil, "second,\"reason\"\n" .. ("x"):rep(600)
        end
        row.b = "forgotten"
        return { z = row.a, a = number, y = number == 3 and "late" or nil, c = "C" }
      end)
      assert.equal("a (list),b (list),_map,b,a,c,z,y\n1,2,,,1,C,1,\n3,4,\"map: second,\"\"reason\"\" " .. ("x"):rep(484)
        .. "\",,,,,\n5,6,,,3,C,5,late\n", made)
      assert.is_true(info.makes)
    end
  end)

  it("cuts a reason between characters, and takes none that is no text", function()
    local made = rewritten("a\n1\n2\n", function(_, number)
      return false, number == 1 and "x" .. ("汉"):rep(300) or "\255\254\127"
    end)
    local rows = records_of(made)
    assert.equal("map: x" .. ("汉"):rep(166), rows[2].fields[2])
    assert.equal("map: ?? ", rows[3].fields[2])
  end)

  it("refuses what no function can mean", function()
    for _, case in ipairs({
      { function() return "x" end, "returned a string" }, { function() return print end, "returned a function" },
      { function() return io.stdout end, "returned a userdata" }, { function() return false, true end, "returned a boolean as reason" },
      { function() return { [1.5] = 1 } end, "a number as key" }, { function() return { [true] = 1 } end, "a boolean as key" },
      { function() return { x = print } end, 'column "x": a function cannot be a field' },
      { function() return { [("n"):rep(201)] = 1 } end, "1 to 200 bytes" },
      { function() return { ["\255"] = 1 } end, "in UTF-8" }, { function() return { ["  "] = 1 } end, "blank" },
      { function() return { x = 1 / 0 } end, "no digits" }, { function() return { x = ("x"):rep(1048577) } end, "more than 1048576 bytes" },
    }) do
      local made, err = rewritten("a\n1\n", case[1])
      assert.is_false(made)
      assert.equal("usage", err.kind)
      assert(err.message:find(case[2], 1, true), err.message)
    end
    local input = open("a\n1\n")
    assert(not pcall(core.rows.rewrite, input, {}))
    assert(not pcall(core.rows.rewrite, input))
    local rewrite, err = core.rows.rewrite(input, { folder = "/nowhere/at/all", shown = "" })
    assert.is_nil(rewrite)
    assert(err.message:find("/nowhere/at/all", 1, true))
    rewrite = rewriting(input)
    assert(not pcall(rewrite.place, rewrite, "/tmp/x"), "placed before it was finished")
    local next_row, row = rewrite:walk()
    assert.equal(1, next_row())
    assert.equal("campaign.row", getmetatable(row))
    rewrite:seal(true)
    assert(not pcall(function() return row.a end))
    rewrite:seal(false)
    assert.equal("1", row.a)
    rewrite:close()
    rewrite:close()
    assert(not pcall(function() return row.a end))
    assert(not pcall(next_row))
    assert(not pcall(rewrite.walk, rewrite))
    input:close()
  end)

  it("puts the file where nothing is, private, and leaves nothing when it is given up", function()
    local folder = os.tmpname()
    os.remove(folder)
    assert(core.system.make_dirs(folder, 448))
    local input = open("a\n1\n")
    local rewrite = assert(core.rows.rewrite(input, { folder = folder, shown = "" }))
    local next_row = rewrite:walk()
    assert.equal(1, next_row())
    assert.is_nil(next_row())
    repeat until rewrite:finish()
    lists.write(folder .. "/taken", "old")
    local ok, err = rewrite:place(folder .. "/taken")
    assert.is_nil(ok)
    assert.equal("exists", err.reason)
    assert.equal("old", bytes_of(folder .. "/taken"))
    assert(rewrite:place(folder .. "/new"))
    assert.equal("a,_map\n1,\n", bytes_of(folder .. "/new"))
    assert.equal(384, core.system.stat(folder .. "/new").mode % 512)
    rewrite:close()
    input:close()
    os.remove(folder .. "/new")
    os.remove(folder .. "/taken")
    assert.is_true(os.remove(folder), "something stayed")
  end)

  it("does not take a list that changes while it is read", function()
    local path = lists.file("a\n" .. ("1\n"):rep(10))
    local input = assert(core.rows.input{ path = path })
    input:columns()
    local rewrite = rewriting(input)
    local next_row = rewrite:walk()
    local number, err = next_row()
    lists.write(path, "a\n" .. ("1\n"):rep(11))
    while number do
      number, err = next_row()
    end
    assert(err and err.message:find("changed", 1, true), tostring(err))
    rewrite:close()
    input:close()
  end)

  it("says of records of broken form what the preflight says", function()
    local big = ("x"):rep(300)
    local text = "a,b\n1\n\"q\"r,2\n" .. big .. "\n\255,2\n\0,2\n5,6\n"
    local made, info = rewritten(text, function(row) row.a = row.b end, { max_record = 100 })
    local rows, shown = records_of(made), {}
    for i = 2, #rows do
      shown[i - 1] = rows[i].fields[#rows[i].fields - 1]
    end
    assert.same({ "width: has 1 fields, the header has 2", "quote: has text after a closing quote",
      "too_large: is larger than max_record (100 bytes)", "encoding: is not valid utf-8 at byte 314 of the file", "nul: contains a NUL byte",
      "" }, shown)
    assert.same({ 6, 5, 5 }, { info.rows, info.refused, info.broken })
  end)

  -- A list of random fields; what is random comes from few characters, those that matter.
  local function random_list(random, delimiter)
    local columns, lines = random(4), {}
    local header = {}
    for i = 1, columns do
      header[i] = "c" .. i
    end
    lines[1] = table.concat(header, delimiter)
    local pieces = { "a", "汉", "\"\"", "\"", delimiter, "\n", "\r\n", "\\", " ", "\1", "0", "é" }
    for _ = 1, random(30) do
      local fields = {}
      for i = 1, random(12) == 1 and random(6) or columns do
        local parts = {}
        for k = 1, random(4) - 1 do
          parts[k] = pieces[random(#pieces)]
        end
        local text = table.concat(parts)
        fields[i] = random(3) > 1 and '"' .. text:gsub('"+', '""') .. '"' or text:gsub('[\r\n"]', "")
      end
      lines[#lines + 1] = table.concat(fields, delimiter)
    end
    return table.concat(lines, random(2) == 1 and "\n" or "\r\n") .. (random(2) == 1 and "\n" or ""), columns
  end

  it("keeps what a column had where there is no memory for another value #heavy", function()
    local result = command.under_shim(([[
      local core = require "campaign.core"
      local input = assert(core.rows.input{ path = %q })
      input:columns()
      local rewrite = assert(core.rows.rewrite(input, { folder = "/tmp", keep = false, shown = "the columns" }))
      local next_row, row = rewrite:walk()
      next_row()
      row.new, row.a = "before", "before"
      io.open("/shim/arm")
      local ok, said = pcall(function() row.new = ("v"):rep(100000) end)
      io.write(tostring(ok), " ", said, ": ", row.new, " ", row.a)
    ]]):format(lists.file("a,b\n1,2\n")), "1 ENOMEM malloc")
    assert.matches("^false [^\n]*out of memory: before before$", result.out, result.err)
  end)

  it("agrees with a plain model on random lists and random functions", function()
    local seed = lists.seed()
    local random = lists.random(seed)
    for round = 1, lists.rounds(tonumber(os.getenv("CAMPAIGN_ROUNDS")) or 400) do
      local label = "seed " .. seed .. ", round " .. round
      local delimiter = ({ ",", ";", "\t" })[random(3)]
      local text, columns = random_list(random, delimiter)
      local makes = random(2) == 1
      local said, values = {}, { "v", "", "a" .. delimiter .. "b", "q\"q", "l1\nl2", "汉" }
      local made, info = rewritten(text, function(row, number)
        local mine = { set = {} }
        said[number] = mine
        if random(5) == 1 then
          mine.reason = "no " .. number
          return nil, mine.reason
        end
        for _ = 1, random(4) - 1 do
          local place = random(columns + 2)
          local name, value = place <= columns and "c" .. place or "new" .. place, values[random(#values)]
          mine.set[name] = value
          if not makes then
            row[name] = value
          end
        end
        if makes then
          return mine.set
        end
      end, { delimiter = delimiter, encoding = "utf-8" })
      assert(made, label .. ": " .. tostring(info))
      local before, after = lists.parse(text, delimiter, columns), records_of(made, delimiter)
      local names = after[1].fields
      local number = 0
      for i, record in ipairs(before) do
        if i > 1 and not record.blank then
          number = number + 1
          local new = after[number + 1]
          assert(new, label .. ": a row is missing")
          local width, m = #names, #names - columns - 1
          for k = 1, #record.fields do
            assert(new.fields[k] == record.fields[k], label .. ": a value of the list")
          end
          local marker = new.fields[#new.fields - m]
          local mine = said[number]
          if record.fault then
            assert(marker:find("^" .. record.fault .. ": "), label .. ": " .. marker)
            assert(#new.fields == #record.fields + 1 + m, label .. ": the width of a broken row")
          else
            assert(#new.fields == width and marker == (mine.reason and "map: " .. mine.reason or ""), label .. ": the mark")
            for k = columns + 2, width do
              local own = tonumber(names[k]:match("^c(%d+)$") or "")
              local expected = not mine.reason and mine.set[names[k]] or not makes and own and record.fields[own] or ""
              assert(new.fields[k] == expected, label .. ": column " .. names[k] .. " of row " .. number)
            end
          end
        end
      end
      assert.equal(number, info.rows, label)
      assert.equal(number + 1, #after, label)
    end
  end)

  it("writes more than its buffers hold, with columns that come late", function()
    local lines, plain = { "a,b" }, ("plain value "):rep(16)
    for i = 1, 2000 do
      lines[i + 1] = i .. "," .. (i % 7 == 0 and "\"x\ny\"" or plain)
    end
    local made = rewritten(table.concat(lines, "\n") .. "\n", function(row, number)
      if number % 500 == 0 then
        row["n" .. number], row.a = number, "A" .. row.a
      end
    end)
    local rows = records_of(made)
    assert.equal(2001, #rows)
    assert.same({ "a (list)", "b", "_map", "a", "n500", "n1000", "n1500", "n2000" }, rows[1].fields)
    assert.same({ "499", plain, "", "499", "", "", "", "" }, rows[500].fields)
    assert.same({ "1000", plain, "", "A1000", "", "1000", "", "" }, rows[1001].fields)
  end)
end)
end

-- Functions that LuaJIT compiles and ones that it does not, ones that change their mind, and ones that fail.
local FUNCTIONS = {
  ["changes"] = function(row)
    row.a = row.a:upper()
    row.extra = row.b .. "/" .. row.c
    row.again = row.a .. row.extra
  end,
  ["gsub, reasons"] = function(row, number)
    if number % 5 == 0 then
      return nil, "five " .. row.a
    elseif number % 7 == 0 then
      return false
    end
    row.a = row.a:gsub("%d", "<%0>")
    return number % 2 == 0 or row
  end,
  ["tables"] = function(row, number)
    row.lost = "lost"
    return { x = row.a, number = number, b = row.b:find("1", 1, true) and row.b or nil }
  end,
  ["places"] = function(row)
    row[2] = row[1] .. #row
    row.c = row[2]
    row.d = row.b
  end,
  ["numbers"] = function(row, number)
    row.zero, row.minus, row.half, row.big, row.large, row.less = 0 * number, -0.0, number / 2, 2 ^ 60, number * 1e13, -number
    row.read = row.half .. row.minus .. row.less .. type(row.less)
    row.a, row.b, row.none = nil, number % 2 == 0, nil
    row.state = row.a .. "|" .. row.b .. "|" .. row.none
  end,
  ["late"] = function(row, number)
    if number > 150 then
      row["late" .. math.floor(number / 100)] = row.c
      row.b = "B"
    end
  end,
  ["closures"] = function(row)
    local parts = {}
    for _, name in ipairs({ "a", "c" }) do
      parts[#parts + 1] = function() return row[name] end
    end
    row.all = parts[1]() .. parts[2]()
  end,
  ["caught"] = function(row, number)
    local ok, problem = pcall(function() return row.missing end)
    row.a = tostring(ok) .. tostring(problem)
    ok, problem = pcall(function() row.b = {} end)
    row.c = tostring(ok) .. tostring(problem)
    ok, problem = pcall(function() return row[number % 5] end)
    row.d = tostring(ok) .. tostring(problem)
  end,
  ["no column"] = function(row, number) row.a = number < 200 and row.b or row.missing end,
  ["no place"] = function(row, number) row.a = row[number < 200 and 1 or 9] end,
  ["no field"] = function(row, number)
    local value = number < 200 and "x" or print
    row.a = value
  end,
  ["own error"] = function(row, number) row.a = row.b .. (number < 200 and "" or nil) end,
  ["table error"] = function(_, number)
    if number >= 200 then error({ "own" }) end
  end,
  ["no answer"] = function(_, number) if number == 200 then return 200 end end,
  ["no reason"] = function(_, number) if number == 200 then return nil, true end end,
  ["mind changed"] = function(row, number) if number == 200 then return { a = row.a } end end,
  ["mind changed back"] = function(row, number) if number < 200 then return { a = row.a } end end,
  ["too much"] = function(row, number) row.a = ("x"):rep(number == 200 and 1048577 or 3) end,
  ["too much together"] = function(row, number)
    for _ = 1, number == 200 and 1100 or 1 do
      row.a = ("x"):rep(1000)
    end
  end,
}

local function hard_list()
  local lines = { "a,b,c" }
  for i = 1, 700 do
    lines[#lines + 1] = i % 50 == 0 and "broken" or i % 60 == 0 and "" or i % 3 == 0 and ('"%d,""q""","x\ny",汉%d'):format(i, i)
      or ("v%d,%d,"):format(i, i * 7)
  end
  return table.concat(lines, "\n") .. "\n"
end

-- All that can be seen of a pass: bytes, what is known, what was raised, and what a row says that was kept.
local function seen_of(way, map)
  local input = open(hard_list())
  local rewrite = rewriting(input)
  local kept, seen = nil, {}
  local walk = row_walk[way](rewrite, function(row, number)
    kept = row
    return map(row, number)
  end)
  local function touch()
    seen[#seen + 1] = tostring(select(2, pcall(function() return kept.a end)))
    seen[#seen + 1] = tostring(select(2, pcall(function() return kept[1] end)))
    seen[#seen + 1] = tostring(select(2, pcall(function() kept.a = "x" end)))
    seen[#seen + 1] = tostring(kept)
  end
  local number, ok, err = 0, true, nil
  while ok and number do
    ok, number, err = pcall(walk, number, BLOCK)
    if number == 128 then
      rewrite:seal(true)
      touch()
      rewrite:seal(false)
    end
  end
  if ok then
    touch()
  end
  local info = rewrite:info()
  seen[#seen + 1] = ok and (err and err.message or "done") or tostring(type(number) == "table" and number[1] or number)
  seen[#seen + 1] = ("%d %d %d %d"):format(info.rows, info.refused, info.broken, info.line)
  seen[#seen + 1] = not ok and table.concat(rewrite:fields(), "|") or ""
  if ok and not err then
    repeat
      ok = rewrite:finish(1000)
    until ok
    seen[#seen + 1] = bytes_of(rewrite:path())
  end
  rewrite:close()
  touch()
  input:close()
  return seen
end

if rawget(_G, "jit") and jit.status() then
  describe("the ways to call a function for each row", function()
    for name, map in pairs(FUNCTIONS) do
      it("end alike: " .. name, function()
        local plain = seen_of("plain", map)
        for _ = 1, 3 do
          assert.same(plain, seen_of("compiled", map))
        end
        assert.same(plain, seen_of("of", map))
      end)
    end

    it("lets the collector be as it was, at the end and with a large heap", function()
      local before = collectgarbage("setpause", 177)
      collectgarbage()
      local watch, kept = row_walk.collect_early(), {}
      local during = collectgarbage("setpause", 0)
      collectgarbage("setpause", during)
      watch(true)
      assert.equal(177, collectgarbage("setpause", 177))
      watch = row_walk.collect_early()
      for i = 1, 200 do
        kept[i] = ("x"):rep(50000) .. i
      end
      watch(false)
      assert.equal(177, collectgarbage("setpause", 150))
      watch(true)
      assert.equal(150, collectgarbage("setpause", before))
      assert.is_true(#kept == 200 and (during == 120 or during == 177), during) -- the heap of the tests may be large already
    end)

    it("is compiled, and stays so however many lists there are", function()
      local compiled, lists_compiled = false, 0
      local function heard(what, _, func)
        local source = what == "stop" and func and require("jit.util").funcinfo(func).source
        compiled = compiled or source and source:find("row_walk", 1, true)
      end
      jit.attach(heard, "trace")
      for _ = 1, 60 do
        compiled = false
        rewritten_in("compiled", hard_list(), function(row) row.a = row.b:upper() end)
        lists_compiled = lists_compiled + (compiled and 1 or 0)
      end
      assert(lists_compiled > 30, lists_compiled .. " of 60 were compiled") -- LuaJIT gives up at random
      jit.attach(heard)
    end)
  end)
end

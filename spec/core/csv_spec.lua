-- SPDX-License-Identifier: MIT
-- The scan's three ways against each other, lines of CSV, and the reader against a plain one over random and hostile text.

local core = require "campaign.core"
local lists = require "support.lists"

local random_seed = lists.seed()

describe("core.csv", function()
  after_each(lists.clean)

  it("writes RFC 4180 lines: quotes only where they are needed, values unaltered", function()
    local cases = {
      { { "a", "b" }, "a,b\r\n" },
      { { "a,b", "c" }, '"a,b",c\r\n' },
      { { 'say "hi"', "" }, '"say ""hi""",\r\n' },
      { { "two\nlines", "cr\r", "\r\n" }, '"two\nlines","cr\r","\r\n"\r\n' },
      { { "" }, '""\r\n' },
      { { "", "" }, ",\r\n" },
      { { " a ", "\t", "=1+1", "+8613800138000" }, " a ,\t,=1+1,+8613800138000\r\n" },
      { { "张三", "\\", "钱程似錦" }, "张三,\\,钱程似錦\r\n" },
      { { 12, 3 }, "12,3\r\n" },
    }
    for _, case in ipairs(cases) do
      assert.equal(case[2], core.csv.line(case[1]))
    end
    assert.equal('"a;b";a,b\r\n', core.csv.line({ "a;b", "a,b" }, ";"))
    assert.equal('a\t"b\tc"\r\n', core.csv.line({ "a", "b\tc" }, "\t"))
  end)

  it("sees what needs quotes at every place of a field of every length, and nothing behind it", function()
    for length = 0, 70 do
      for _, filler in ipairs({ "x", ";", "\255", "\0" }) do
        local field = filler:rep(length)
        assert.equal("a," .. field .. ",b\r\n", core.csv.line{ "a", field, "b" })
        for _, mark in ipairs({ ",", '"', "\n", "\r" }) do
          for at = 1, length do
            local marked = field:sub(1, at - 1) .. mark .. field:sub(at + 1)
            local written = core.csv.line{ "a", marked, "b" }
            if written ~= 'a,"' .. marked:gsub('"', '""') .. '",b\r\n' then
              error(("length %d, place %d: %q"):format(length, at, written))
            end
          end
        end
      end
    end
  end)

  it("raises when a line is no list of texts", function()
    assert.has_error(function() core.csv.line({}) end)
    assert.has_error(function() core.csv.line({ "a", {} }) end)
    assert.has_error(function() core.csv.line({ "a" }, "|") end)
    assert.has_error(function() core.csv.line("a") end)
  end)

  it("writes a row behind values of our own: nothing is empty, whole numbers have no fraction", function()
    assert.equal('1,,"a,b",true,2.5,x,"y""z"\r\n', core.csv.row({ "x", 'y"z' }, 5, 1, nil, "a,b", true, 2.5))
    assert.equal("1234567890123,x\r\n", core.csv.row({ "x" }, 1, 1234567890123))
    assert.equal(",,\r\n", core.csv.row({ "" }, 2))
    assert.equal('""\r\n', core.csv.row({ "" }, 0))
    assert.equal((","):rep(64) .. "x\r\n", coroutine.wrap(core.csv.row)({ "x" }, 64)) -- far more than are given
    assert.equal("table,x\r\n", core.csv.row({ "x" }, 1, {})) -- not ours to refuse: a list has to be whole
    assert.has_error(function() core.csv.row({}, 0) end)
    assert.has_error(function() core.csv.row({ "a", 1 }, 0) end)
    assert.has_error(function() core.csv.row({ "a" }, 65) end)
    assert.has_error(function() core.csv.row("a", 0) end)
  end)

  it("writes numbers digit by digit, and refuses those whose digits are not known", function()
    for _, case in ipairs({ { 1, "1" }, { -7, "-7" }, { 1e15, "1000000000000000" }, { 123456789012345, "123456789012345" },
      { 2 ^ 53 - 1, "9007199254740991" },
      { 13800138000.0, "13800138000" }, { 0.1, "0.1" }, { 1 / 3, "0.3333333333333333" }, { -0.0, "0" }, { 1e-7, "1e-07" } }) do
      assert.equal(case[2] .. "\r\n", core.csv.line{ case[1] })
      assert.equal(case[2] .. ",x\r\n", core.csv.row({ "x" }, 1, case[1]))
    end
    local to_integer = math.tointeger -- luacheck: ignore
    if to_integer then
      assert.equal("9007199254740993,-9223372036854775808\r\n", core.csv.line{ to_integer(2 ^ 53) + 1, to_integer(-2 ^ 63) })
      assert.equal("9007199254740993,x\r\n", core.csv.row({ "x" }, 1, to_integer(2 ^ 53) + 1))
    end
    for _, value in ipairs({ 2 ^ 53, 2 ^ 53 + 2, 1e17, -2 ^ 63, 1e300, 1 / 0, -1 / 0, 0 / 0 }) do
      assert.has_error(function() core.csv.line{ "a", value } end,
        "field 2 is a number whose digits are not known (from 2^53 on); give it as a string")
      assert.is_string(core.csv.row({ "x" }, 1, value)) -- a report ends for no number
    end
  end)

  it("finds the same marks in every way, at every length and offset", function()
    local random = lists.random(random_seed)
    local alphabet = { ",", '"', "\\", "\n", "\r", "\0", "\31", " ", "!", "a", "\127", "\128", "\255", ";", "\t", "[", "]" }
    for round = 1, lists.rounds(300) do
      local parts = {}
      for i = 1, round do
        parts[i] = random(4) == 1 and alphabet[random(#alphabet)] or string.char(random(256) - 1)
      end
      local text = table.concat(parts)
      local delimiter = ({ ",", ";", "\t" })[random(3)]
      local expected = {}
      for i = 1, #text do
        local c = text:sub(i, i)
        if c == delimiter or c == '"' or c == "\\" or c:byte() < 0x20 then
          expected[#expected + 1] = i - 1
        end
      end
      for _, way in ipairs { "portable", "sse2", "avx2" } do
        assert.same(expected, core.csv.marks(text, delimiter, way), "seed " .. random_seed .. ", " .. way)
      end
    end
  end)
end)

describe("UTF-8 checked with vectors", function()
  local function compare(text)
    local plain = core.csv.valid(text, "portable")
    if core.csv.valid(text, "avx2") ~= plain then
      error(("seed %d: %q is %s"):format(random_seed, text, plain and "valid" or "invalid"))
    end
  end

  it("is the same as checked byte by byte, for every pair of bytes and the borders of every form #heavy", function()
    local borders = { 0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0,
      0xF1, 0xF3, 0xF4, 0xF5, 0xF7, 0xF8, 0xFF }
    for _, pad in ipairs { "", ("a"):rep(30), ("张"):rep(10) .. "a" } do
      for a = 128, 255 do
        for b = 0, 255, pad == "" and 1 or 7 do
          compare(pad .. string.char(a, b))
          compare(pad .. string.char(a, b) .. "\128z")
        end
      end
    end
    for _, a in ipairs(borders) do
      for _, b in ipairs(borders) do
        for _, c in ipairs(borders) do
          local three = string.char(a, b, c)
          compare(three)
          compare(("x"):rep(29) .. three .. "\191")
          compare(("x"):rep(30) .. three .. "\128\128" .. ("y"):rep(40))
        end
      end
    end
  end)

  it("is the same for random text with a broken byte anywhere", function()
    local random = lists.random(random_seed + 3)
    local pieces = { "a", "bc,", "é", "张", "䶮", "𠮷", "🙂", "\n", "\0", ("x"):rep(33), ("好"):rep(11), "\244\143\191\191", "\239\191\191" }
    for _ = 1, lists.rounds(4000) do
      local parts = {}
      for i = 1, random(40) do
        parts[i] = pieces[random(#pieces)]
      end
      local text = table.concat(parts)
      compare(text)
      compare(text:sub(1, random(#text)))
      local at = random(#text)
      compare(text:sub(1, at - 1) .. string.char(random(256) - 1) .. text:sub(at + 1))
    end
  end)
end)

-- The core's records and the oracle's, compared; the first line is the header.
local function compare(text, delimiter, columns, label)
  local path = lists.file(text)
  local input, err = core.rows.input { path = path, encoding = "utf-8", delimiter = delimiter, max_record = 1048576 }
  assert(input, label .. ": " .. tostring(err and err.message))
  local header = {}
  for i = 1, columns do
    header[i] = "c" .. i
  end
  assert.same(header, input:columns(), label)
  local expected, _, opened = lists.parse(text, delimiter, columns)
  local index, number = 1, 0
  local ok, failure = pcall(function()
    for row, fields, reason in input:rows() do
      repeat
        index = index + 1
      until not expected[index] or not expected[index].blank
      local record = expected[index]
      assert(record, label .. ": a record too many: " .. row)
      number = number + 1
      assert.equal(number, row, label)
      assert.equal(record.fault, reason, label .. ", row " .. row)
      assert.same(record.fields, fields, label .. ", row " .. row)
    end
  end)
  if opened then
    assert(not ok and failure.kind == "invalid", label .. ": " .. tostring(failure))
    assert.is_truthy(failure.message:find("opens in line " .. opened .. " ", 1, true), label .. ": " .. failure.message)
  else
    assert(ok, failure)
    repeat
      index = index + 1
    until not expected[index] or not expected[index].blank
    assert.is_nil(expected[index], label .. ": a record is missing")
  end
  input:close()
  lists.clean()
end

describe("the reader", function()
  after_each(lists.clean)

  it("reads the vectors of a plain reader", function()
    local vectors = {
      "c1,c2\n", "c1,c2", "c1,c2\r\n", "c1,c2\na,b", "c1,c2\na,b\n", "c1,c2\r\na,b\r\n", "c1,c2\r\na,b\nc,d\r\n",
      'c1,c2\n"a,b",c\n', 'c1,c2\n"a\nb","c\r\nd"\n', 'c1,c2\n"a""b","""",\n', 'c1,c2\n"""a""",""""""\n', 'c1,c2\n"",""\n',
      'c1,c2\na"b,c"d\n', 'c1,c2\n"a"b,c\n', 'c1,c2\n"a" ,c\n', 'c1,c2\n "a",c\n', 'c1,c2\n"a"\r,c\n', 'c1,c2\n"a",c\r',
      'c1,c2\n"a","b"\r', 'c1,c2\n"a","b', 'c1,c2\n"', 'c1,c2\na,"b\n\n\nc', 'c1,c2\na,""', 'c1,c2\na,"b"""',
      "c1,c2\n\n\na,b\n\r\n\r\nc,d\n\n", "c1,c2\na\rb,c\n", "c1,c2\na,b\r\r\n", "c1,c2\n,\n", "c1,c2\na\n", "c1,c2\na,b,c\n",
      "c1,c2\na\0b,c\n", 'c1,c2\n"\0",c\n', "c1,c2\n\\,/\n", 'c1,c2\n"\\""",b\n', "c1\n\na\n\n\"\"\nb", "c1,c2\n\r", "c1,c2\n\r\r\n",
    }
    for _, text in ipairs(vectors) do
      compare(text, ",", text:sub(1, 5) == "c1,c2" and 2 or 1, ("%q"):format(text))
    end
  end)

  it("agrees with a plain reader on random and hostile text", function()
    local random = lists.random(random_seed)
    local pieces = { ",", ",", "\n", "\r\n", "\r", '"', '""', "a", "bc", "张", "𠮷", " ", "\\", "\0", ";", "\t", '","', '"\n"' }
    for round = 1, lists.rounds(400) do
      local delimiter = ({ ",", ";", "\t" })[random(3)]
      local parts = { "c1" .. delimiter .. "c2" .. delimiter .. "c3\n" }
      for _ = 1, random(120) do
        parts[#parts + 1] = pieces[random(#pieces)]:gsub(",", delimiter)
      end
      compare(table.concat(parts), delimiter, 3, "seed " .. random_seed .. ", round " .. round)
    end
  end)

  it("gives every record whole wherever a window ends #heavy", function()
    -- The window is 256 KiB: records of many lengths, so that its ends fall on every kind of byte.
    local random = lists.random(random_seed + 1)
    local parts = { "c1,c2,c3\n" }
    local size = 0
    while size < 900000 do
      local kind = random(6)
      local row
      if kind == 1 then
        row = '"' .. ("q\"\"，\r\n"):rep(random(300)) .. '","' .. ("x,"):rep(random(20)) .. '",\r\n'
      elseif kind == 2 then
        row = ("长"):rep(random(900)) .. ",,\r\n"
      elseif kind == 3 then
        row = "a,\"b\",c\n"
      elseif kind == 4 then
        row = "\n\r\n"
      else
        row = ("n"):rep(random(200)) .. "," .. random(1000) .. ",z\n"
      end
      parts[#parts + 1] = row
      size = size + #row
    end
    compare(table.concat(parts), ",", 3, "seed " .. random_seed)
  end)

  it("reads back what core.csv.line wrote", function()
    local random = lists.random(random_seed + 2)
    local pieces = { "a", "Z", "0", ",", '"', "\n", "\r", "\r\n", "张", "䶮", "𠮷", "🙂", "\\", "'", " ", "\t", ";", "\1", "é", "|", "@" }
    local rows, lines = {}, { "c1,c2,c3,c4\r\n" }
    for i = 1, lists.rounds(3000) do
      local fields = {}
      for k = 1, 4 do
        local parts = {}
        for p = 1, random(8) - 1 do
          parts[p] = pieces[random(#pieces)]
        end
        fields[k] = table.concat(parts)
      end
      rows[i] = fields
      lines[#lines + 1] = core.csv.line(fields)
    end
    local input = assert(core.rows.input { path = lists.file(table.concat(lines)), encoding = "utf-8" })
    local count = 0
    for row, fields, reason in input:rows() do
      count = count + 1
      assert.same(rows[row], fields, "seed " .. random_seed)
      assert.is_nil(reason)
    end
    assert.equal(#rows, count)
    input:close()
  end)
end)

-- SPDX-License-Identifier: MIT
-- Lists of keys: the forms in which keys are compared, suppression lists read whole or refused, what a pass leaves out by them, and the
-- hashes of rows by which a later job knows what it need not send. The oracle is a Lua table with the same keys.

local core = require "campaign.core"
local lists = require "support.lists"

local random_seed = lists.seed()
local SECRET = ("s"):rep(32)

local function contains(text, part)
  assert(text:find(part, 1, true), "'" .. part .. "' is missing in: " .. text)
end

local function input_of(text, encoding)
  return assert(core.rows.input{ path = lists.file(text), encoding = encoding })
end

-- A list read to its end in steps of so many bytes; nil and the error when it was refused.
local function list_of(text, options, step)
  local input = input_of(text)
  local list, err = core.rows.key_list(input, options or { column = 1 })
  input:close()
  local more = list
  while more do
    more, err = list:step(step)
  end
  if err and list then
    list:close()
  end
  return not err and list or nil, err
end

local function encoder_of(columns, map)
  return assert(core.rows.encoder{ format = "json", prefix = "[", suffix = "]", separator = ",", columns = columns, map = map,
    fields = { { name = "p", column = 1, required = columns < 3 } } })
end

local LISTS = { hits = "suppressed_rows", same = "unchanged_rows", duplicates = "duplicates", batches = "batches", rejects = "rejects" }

-- All that a pass tells, put together.
local function run(text, columns, options, encoding, map)
  local input, encoder = input_of(text, encoding), encoder_of(columns, map)
  local pass = assert(core.rows.preflight(input, encoder, options))
  local total = { rows = 0, accepted = 0, suppressed = 0, unchanged = 0, rejected = 0, duplicate = 0 }
  local keys = {}
  for name in pairs(LISTS) do
    total[name] = {}
  end
  while true do
    local step, err = pass:step(4096)
    if not step then
      assert(not err, err and err.message)
      break
    end
    for _, name in ipairs({ "rows", "accepted", "suppressed", "unchanged", "rejected", "duplicate" }) do
      total[name] = total[name] + step[name]
    end
    for name, from in pairs(LISTS) do
      for _, entry in ipairs(step[from]) do
        table.insert(total[name], entry)
      end
    end
    keys[#keys + 1] = step.keys
  end
  pass:close()
  total.keys = table.concat(keys)
  assert.equal(total.rows, total.accepted + total.rejected + total.duplicate + total.suppressed + total.unchanged)
  for i, batch in ipairs(total.batches) do
    total.batches[i] = encoder:text(input, batch)
  end
  encoder:close()
  input:close()
  return total
end

local function form(name, text)
  local made, fits = core.rows.key_form(name, text)
  return (fits and "" or "?") .. made
end

describe("lists of keys", function()
  after_each(function()
    lists.clean()
  end)

  it("compare phone numbers by what they dial, however they are written", function()
    for _, text in ipairs({
      "13800138000", " 13800138000\t", "138-0013-8000", "138 0013 8000", "+8613800138000", "+86 138 0013 8000", "008613800138000",
      "86 13800138000", "013800138000", "(+86)138.0013.8000", "+86-138-0013-8000", "１３８００１３８０００", "＋86　138－0013－8000",
      "138\194\16000138000", "\239\187\19113800138000", "138‐0013−8000", "（138）0013 8000",
      -- marks of direction and zero-width characters, as address books and spreadsheets leave them around a number
      "\226\128\17013800138000\226\128\172", "\226\128\142138\226\128\139001\226\129\16038000\226\129\169",
    }) do
      assert.equal("13800138000", form("phone", text), text)
    end
    for _, text in ipairs({ "01065051234", "010-65051234", "+86 10 6505 1234", "(010) 6505.1234", "+86 (0)10 65051234" }) do
      assert.equal("01065051234", form("phone", text), text)
    end
    assert.equal("075526001234", form("phone", "+86 755 2600 1234"))
    assert.equal("4008001234", form("phone", "+86 400-800-1234"))
    assert.equal("95588", form("phone", "+8695588"))
    assert.equal("+14155550100", form("phone", "001 (415) 555-0100"))
    assert.equal("+14155550100", form("phone", "+1 415 555 0100"))
    assert.equal("110", form("phone", "110"))
  end)

  it("compare what is no phone number as it stands, and say so", function()
    for text, expected in pairs({
      ["138****8000"] = "?138****8000", [" no number "] = "?no number", ["13800138000 ext 5"] = "?13800138000 ext 5", ["+"] = "?+",
      ["1380013800013800138000138"] = "?1380013800013800138000138", ["1+2345"] = "?1+2345", [""] = "", ["  \r"] = "", ["12"] = "?12",
    }) do
      assert.equal(expected, form("phone", text))
    end
    assert.equal("li.lei@example.com", form("email", " Li.Lei@Example.COM "))
    assert.equal("?Li Lei", form("email", "Li Lei"))
    assert.equal("a  b", form("text", "\227\128\128a  b \194\160"))
    assert.has_error(function() core.rows.key_form("number", "1") end, "no key form of the name 'number'; there are text, email, phone")
  end)

  it("leave out the rows whose key they have, with the line where it stands", function()
    local dnc = assert(list_of("id,phone\n1,13800000001\n2,\n3,+86 138-0000-0003\n4,13800000001\n5,?\n", { column = 2, form = "phone" }))
    local info = dnc:info()
    assert.same({ keys = 3, rows = 5, empty = 1, repeated = 1, unusual = 1 }, { keys = info.keys, rows = info.rows, empty = info.empty,
      repeated = info.repeated, unusual = info.unusual })
    local total = run("p,n\n13800000001,a\n13800000002,b\n138 0000 0003,c\n,d\n13800000003\n13800000003,\"e,\nf\"\n", 2,
      { suppress = { { list = dnc, column = 1 } } })
    assert.same({ 6, 1, 3, 2 }, { total.rows, total.accepted, total.suppressed, total.rejected })
    assert.same({
      { row = 1, line = 2, column = 1, list = 1, list_line = 2, fields = { "13800000001", "a" } },
      { row = 3, line = 4, column = 1, list = 1, list_line = 4, fields = { "138 0000 0003", "c" } },
      { row = 6, line = 7, column = 1, list = 1, list_line = 4, fields = { "13800000003", "e,\nf" } },
    }, total.hits)
    assert.same({ '[{"p":"13800000002"}]' }, total.batches)
    dnc:close()
  end)

  it("name the first of several lists that has a row, before any other fault of it", function()
    local first, second = assert(list_of("13800000001\n", { column = 1, form = "phone", header = false })),
      assert(list_of("mail\nA@example.com\n", { column = 1, form = "email" }))
    assert.equal(1, first:info().keys)
    local total = run("p,m\n13800000001,a@example.com\n,a@EXAMPLE.com\n13800000003,\n", 2,
      { suppress = { { list = first, column = 1 }, { list = second, column = 2 } }, unique = 2 })
    assert.same({ { 1, 1, 1, 1 }, { 2, 2, 2, 2 } }, {
      { total.hits[1].row, total.hits[1].list, total.hits[1].list_line, total.hits[1].column },
      { total.hits[2].row, total.hits[2].list, total.hits[2].list_line, total.hits[2].column },
    })
    assert.same({ 0, 1 }, { total.rejected, total.accepted }) -- the row without a phone is suppressed, not rejected
    first:close()
    second:close()
  end)

  it("name the line of a row, also of the first one of a list without a header", function()
    for text, lines in pairs { ["13800000001\n13800000002\n"] = { 1, 2 }, ["\n\r\n13800000001\n\n13800000002"] = { 3, 5 },
      ["sep=;\n13800000001\n13800000002\n"] = { 2, 3 }, ["sep=;\n\n\"13800000001\n\"\n13800000002\n"] = { 3, 5 } } do
      local list = assert(list_of(text, { column = 1, form = "phone", header = false }))
      local total = run("p\n13800000001\n13800000002\n", 1, { suppress = { { list = list, column = 1 } } })
      assert.same(lines, { total.hits[1].list_line, total.hits[2].list_line }, text)
      list:close()
    end
  end)

  it("are read in every encoding that lists are read in", function()
    local text = "编号,电话\r\n1,\"138-0000\n-0001\"\r\n2,１３８００００２\r\n"
    for _, encoding in ipairs({ "utf-8", "gbk", "gb18030", "utf-16le", "utf-16be" }) do
      local bytes = assert(core.gbk.encode(text, encoding))
      if encoding:find("16", 1, true) then
        bytes = (encoding == "utf-16le" and "\255\254" or "\254\255") .. bytes
      end
      for _, step in ipairs({ 1, 7, 1048576 }) do
        local list = assert(list_of(bytes, { column = 2, form = "phone" }, step))
        local info = list:info()
        assert.same({ 2, 2, 0 }, { info.keys, info.rows, info.unusual }, encoding)
        list:close()
      end
    end
  end)

  it("are refused as a whole when one record is broken", function()
    for text, part in pairs({
      ["phone,n\n138,a\n139\n"] = "line 3 does not have as many fields as the first line",
      ["phone\n138\0\n"] = "line 2 contains a NUL byte",
      ["phone\n\"138\"x\n"] = "line 2 has text after a closing quote",
      ["phone\n\"138\n"] = "quote",
      ["phone\n138\n\xff\xff\xff\n"] = "line 3 contains bytes that are not valid in its encoding",
    }) do
      local list, err = list_of(text)
      assert.is_nil(list, part)
      assert.equal("invalid", err.kind)
      contains(err.message, part)
    end
    local list, err = list_of("phone\n1\n", { column = 2 })
    assert.is_nil(list)
    contains(err.message, "has 1 columns, not 2")
  end)

  it("are refused when they change while they are read, and a pass takes none that is not read to its end", function()
    local path = lists.file("phone\n" .. ("13800000001\n"):rep(200000))
    local input = assert(core.rows.input{ path = path })
    local list = assert(core.rows.key_list(input, { column = 1 }))
    assert.is_true(list:step(100))
    local rows, encoder = input_of("p\n1\n"), encoder_of(1)
    local pass, why = core.rows.preflight(rows, encoder, { suppress = { { list = list, column = 1 } } })
    assert.is_nil(pass)
    contains(why.message, "not read to its end")
    local file = assert(io.open(path, "ab"))
    file:write("13800000002\n")
    file:close()
    local more, err
    repeat
      more, err = list:step()
    until not more
    assert.equal("invalid", err.kind)
    local _, again = list:step()
    assert.equal(err.message, again.message)
    pass, why = core.rows.preflight(rows, encoder, { suppress = { { list = assert(list_of("a\n1\n")), column = 2 } } })
    assert.is_nil(pass)
    contains(why.message, "suppress names column 2 of 1")
    for _, thing in ipairs({ list, input, rows, encoder }) do
      thing:close()
    end
  end)

  it("take no more than 24 bytes a key above 200,000 keys, and find exactly what is in them", function()
    local random, parts, known = lists.random(random_seed), { "phone\n" }, {}
    local count = lists.rounds(400000)
    for i = 1, count do
      local key = ("1%05d%05d"):format(random(99999), random(99999))
      known[key] = known[key] or i + 1
      parts[#parts + 1] = key .. "\n"
    end
    local input = input_of(table.concat(parts))
    local list = assert(core.rows.key_list(input, { column = 1, form = "phone" }))
    repeat
      local more = list:step(16384)
      local info = list:info()
      if info.keys > 200000 then
        assert(info.memory / info.keys <= 24, ("%d keys take %d bytes, seed %d"):format(info.keys, info.memory, random_seed))
      end
    until not more
    local rows, expected = { "p\n" }, {}
    for i = 1, lists.rounds(20000) do
      local key = ("1%05d%05d"):format(random(99999), random(99999))
      if i % 3 == 0 then
        key = parts[1 + random(count)]:sub(1, -2)
      end
      rows[#rows + 1] = key .. "\n"
      expected[#expected + 1] = known[key] and i .. "=" .. known[key] or nil
    end
    local total, found = run(table.concat(rows), 1, { suppress = { { list = list, column = 1 } } }), {}
    for i, hit in ipairs(total.hits) do
      found[i] = hit.row .. "=" .. hit.list_line
    end
    assert.equal(table.concat(expected, " "), table.concat(found, " "), "seed " .. random_seed)
    list:close()
    input:close()
  end)

  it("that are large are asked for ahead, and leave out the same rows as one look-up after the other", function()
    local lines = { "p" }
    for i = 1, 70000 do -- more keys than a processor's caches hold
      lines[#lines + 1] = ("13%09d"):format(i * 7)
    end
    local list_of_many = assert(list_of(table.concat(lines, "\n"), { column = 1, form = "phone" }))
    local earlier = core.rows.row_keys(SECRET)
    local random = lists.random(random_seed)
    local function pick(values)
      return values[random(#values)]
    end
    local ends = { "\n", "\n", "\n", "\n", "\r\n", "\n\n", "\n,\n" }
    local odd = { '"', '""', '"a,b"', '"a\nb"', '"a""b"', '5" pipe', "\\", "\0", "\1", "\r", "\255", "x,y", "", "张三", "䶮", ("z"):rep(300), '"open' }
    local function field(oddity)
      if random(oddity) == 1 then
        return pick(odd)
      end
      local phone = ("13%09d"):format(random(1000))
      return pick({ phone, phone, '"' .. phone .. '"', "+86 " .. phone, "" })
    end
    local function rows(count, oddity)
      local parts = { "p,q,r\n" }
      for _ = 1, count do
        parts[#parts + 1] = table.concat({ field(oddity), field(oddity), field(oddity) }, ",") .. pick(oddity < 40 and ends or { "\n", "\r\n" })
      end
      return (table.concat(parts):gsub('"open', random(20) == 1 and '"open' or "open"))
    end
    -- What a pass tells, or why it ended.
    local function told(plain, text, encoding, since)
      local well, result = pcall(run, text, 3, { batch_rows = 50, unique = 3, plain_keys = plain, since = since,
        suppress = { { list = list_of_many, column = 1 }, { list = list_of_many, column = 2 } },
        keys = { secret = SECRET, columns = { 2, 1 }, since = since } }, encoding, { ["张"] = "章", ["䶮"] = "" })
      return well and result or "failed: " .. (type(result) == "table" and result.message or result):gsub("/tmp/[^%s:]+", "FILE")
    end
    local seen = { suppressed = 0, unchanged = 0, duplicate = 0, accepted = 0 }
    for round = 1, math.max(2, lists.rounds(60)) do
      local is_usual = round <= 2 -- however few rounds there are, every outcome is met in these
      local text = rows(is_usual and 900 or round % 20 == 0 and 9000 or random(200), is_usual and 1000 or pick({ 4, 30, 1000 }))
      local encoding = is_usual and "utf-8" or pick({ "utf-8", "utf-8", "utf-8", "gbk", "utf-16le" })
      if encoding ~= "utf-8" then
        text = text:gsub("[\128-\255]+", "a")
        text = encoding == "gbk" and text or (text:gsub(".", "%0\0"))
      end
      local message = ("seed %d, round %d, %s"):format(random_seed, round, encoding)
      local plain = told(true, text, encoding, earlier)
      assert.same(plain, told(nil, text, encoding, earlier), message)
      if type(plain) == "table" then
        earlier:add(plain.keys, 1)
        for name in pairs(seen) do
          seen[name] = seen[name] + (plain[name] or 0)
        end
      end
    end
    for name, count in pairs(seen) do
      assert.is_true(count > 0, name)
    end
    earlier:close()
    list_of_many:close()
  end)

  it("of rows are the same whether rows are handled by themselves or by the run", function()
    local random = lists.random(random_seed)
    for round = 1, math.max(3, lists.rounds(30)) do
      local parts = { "p,q,r\n" }
      for i = 1, random(3000) do
        parts[i + 1] = random(200) > 1 and ("13%09d,%d,客户%d\n"):format(random(1000), i, random(99))
          or ({ '"1,2",3,"a""b"\n', "\n", "1,2\n", ",,\n", "\255,1,2\n", "1,2,3\r\n" })[random(6)]
      end
      local text, options = table.concat(parts), { batch_rows = 50, keys = { secret = SECRET, columns = { 3, 1 } } }
      local quick = run(text, 3, options)
      options.plain_keys = true
      assert.same(run(text, 3, options), quick, ("seed %d, round %d"):format(random_seed, round))
      assert.equal(quick.rows * 16, #quick.keys)
    end
  end)

  it("of rows: the same columns give the same hash wherever they stand, and another text another one", function()
    local keys = { secret = SECRET, columns = { 1, 2 } }
    local old = run("p,n,x\n1,a,7\n2,b,8\n3\n,c,9\n12,,4\n1,2,4\n", 3, { keys = keys })
    assert.equal(6 * 16, #old.keys)
    assert.equal(("\0"):rep(16), old.keys:sub(33, 48)) -- too narrow to be a row
    local seen = {}
    for at = 1, #old.keys, 16 do
      local hash = old.keys:sub(at, at + 15)
      assert.is_nil(seen[hash])
      seen[hash] = true
    end
    local since = assert(core.rows.row_keys(SECRET))
    assert(since:add(old.keys, 1))
    assert.equal(5, since:info().keys)
    local new = run("n,x,p\na,0,1\nB,0,2\nb,0,2\nc,0,\n2,0,1\n,0,12\n1,0,2\n", 3,
      { keys = { secret = SECRET, columns = { 3, 1 }, since = since } })
    local same = {}
    for i, row in ipairs(new.same) do
      same[i] = row.row .. "=" .. row.of_row
    end
    assert.equal("1=1 3=2 4=4 5=6 6=5", table.concat(same, " "))
    assert.same({ 2, 0 }, { new.accepted, new.rejected })
    assert.same({ "a", "0", "1" }, new.same[1].fields)
    local other = run("p,n,x\n1,a,7\n", 3, { keys = { secret = ("t"):rep(32), columns = { 1, 2 } } })
    assert.not_equal(old.keys:sub(1, 16), other.keys)
    since:close()
  end)

  it("of rows: texts of every length are told apart by each of their bytes", function()
    local texts, lines = {}, { "p\n" }
    for length = 1, 70 do
      for at = 1, length do
        texts[#texts + 1] = ("a"):rep(at - 1) .. "b" .. ("a"):rep(length - at)
      end
      texts[#texts + 1] = ("a"):rep(length)
    end
    for i, text in ipairs(texts) do
      lines[i + 1] = text .. "\n"
    end
    local keys = run(table.concat(lines), 1, { keys = { secret = SECRET, columns = { 1 } } }).keys
    local list = assert(core.rows.row_keys(SECRET))
    assert(list:add(keys, 1))
    assert.equal(#texts, list:info().keys)
    list:close()
  end)

  it("of rows: hashes at both ends of the table are kept, and what is no hash is refused instead of filling the memory", function()
    local list = assert(core.rows.row_keys(SECRET))
    local part = ("\1\0\0\0\0\0\0\0")
    for i = 1, 33 do
      assert(list:add(string.char(i) .. ("\255"):rep(7) .. part, i))
      assert(list:add(string.char(i) .. ("\0"):rep(7) .. part, i))
    end
    assert(list:add(string.char(7) .. ("\255"):rep(7) .. part, 99))
    assert.same({ 66, 1 }, { list:info().keys, list:info().repeated })
    local ok, err = true, nil
    for i = 1, 4000 do
      ok, err = list:add(string.char(i % 251 + 1, math.floor(i / 251)) .. ("\255"):rep(6) .. part, i)
      if not ok then
        break
      end
    end
    assert.is_nil(ok)
    assert.equal("invalid", err.kind)
    contains(err.message, "damaged")
    assert(list:info().memory < 4194304)
    list:close()
  end)

  it("raise for what only a wrong program asks for", function()
    local input, encoder = input_of("p\n1\n"), encoder_of(1)
    for part, call in pairs({
      ["needs a column"] = function() core.rows.key_list(input, {}) end,
      ["no key form"] = function() core.rows.key_list(input, { column = 1, form = "x" }) end,
      ["32 bytes"] = function() core.rows.row_keys("short") end,
      ["whole hashes"] = function() core.rows.row_keys(SECRET):add("x", 1) end,
      ["'suppress' must be"] = function() core.rows.preflight(input, encoder, { suppress = { 1 } }) end,
      ["'columns' must be"] = function()
        core.rows.preflight(input, encoder, { keys = { secret = SECRET, columns = { 0 } } })
      end,
      ["'secret'"] = function() core.rows.preflight(input, encoder, { keys = { columns = { 1 } } }) end,
      ["is closed"] = function()
        local list = core.rows.row_keys(SECRET)
        list:close()
        list:info()
      end,
    }) do
      local ok, message = pcall(call)
      assert.is_false(ok, part)
      contains(tostring(message), part)
    end
    local pass, err = core.rows.preflight(input, encoder, { keys = { secret = SECRET, columns = { 2 } } })
    assert.is_nil(pass)
    contains(err.message, "keys names column 2 of 1")
    encoder:close()
    input:close()
    collectgarbage()
  end)
end)

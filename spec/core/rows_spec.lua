-- SPDX-License-Identifier: MIT
-- Opening lists: encodings, delimiters, headers, and every file that is none. What the reader makes of records is csv_spec's part.

local core = require "campaign.core"
local lists = require "support.lists"

local function open(bytes, options)
  options = options or {}
  options.path = lists.file(bytes)
  return core.rows.input(options)
end

-- All rows of a file with these bytes, as { fields, reason }; closes the input.
local function rows_of(bytes, options)
  local input = assert(open(bytes, options))
  local columns, err = input:columns()
  if not columns then
    input:close()
    return nil, err
  end
  local rows = {}
  for _, fields, reason in input:rows() do
    rows[#rows + 1] = { fields, reason }
  end
  local info = input:info()
  input:close()
  return rows, columns, info
end

-- A header that is refused: the message.
local function refusal(bytes, options)
  local input = assert(open(bytes, options))
  local columns, err = input:columns()
  input:close()
  assert.is_nil(columns)
  assert.equal("invalid", err.kind)
  return err.message
end

local function contains(text, part)
  assert(text:find(part, 1, true), "'" .. part .. "' is missing in: " .. text)
end

local function utf16(text, big)
  local out = {}
  for _, c in ipairs(text) do
    local units = c < 65536 and { c } or { 0xD800 + math.floor((c - 65536) / 1024), 0xDC00 + (c - 65536) % 1024 }
    for _, unit in ipairs(units) do
      local high, low = math.floor(unit / 256), unit % 256
      out[#out + 1] = big and string.char(high, low) or string.char(low, high)
    end
  end
  return table.concat(out)
end

describe("core.rows.input", function()
  after_each(lists.clean)

  it("refuses a missing file, a directory, a device and a FIFO by path", function()
    for path, part in pairs {
      ["/nonexistent/contacts.csv"] = "No such file",
      ["/tmp"] = "is a directory",
      ["/dev/null"] = "is not a regular file",
    } do
      local input, err = core.rows.input { path = path }
      assert.is_nil(input)
      assert.equal("invalid", err.kind)
      contains(err.message, path)
      contains(err.message, part)
    end
    local fifo = lists.file("")
    os.remove(fifo)
    os.execute("mkfifo " .. fifo)
    local input, err = core.rows.input { path = fifo }
    assert.is_nil(input)
    contains(err.message, "is not a regular file")
  end)

  it("opens a list on another thread, and says there what is wrong with it", function()
    local function await(errand)
      local done, input, err
      repeat
        core.system.sleep(0.001)
        done, input, err = errand:take()
      until done
      return input, err
    end
    local path = lists.file("name;phone\n\229\188\160;1\n")
    local input = assert(await(assert(core.rows.input_later { path = path, delimiter = ";", encoding = "auto", max_record = 65536 })))
    assert.same({ "name", "phone" }, input:columns())
    assert.equal("utf-8", input:info().detected)
    input:close()
    local none, err = await(assert(core.rows.input_later { path = "/nonexistent/contacts.csv" }))
    assert.is_nil(none)
    contains(err.message, "No such file")
    local errand = assert(core.rows.input_later { path = path })
    await(errand)
    assert.has_error(function() errand:take() end)
    assert.has_error(function() core.rows.input_later {} end)
    assert.has_error(function() core.rows.input_later { path = "a\0b" } end)
    core.rows.input_later { path = path } -- nobody takes it
    collectgarbage()
  end)

  it("refuses what is no CSV file and says what to do", function()
    for bytes, part in pairs {
      ["PK\3\4rest of a workbook"] = "save it as CSV",
      ["\208\207\17\224rest of an old workbook"] = "save it as CSV",
      ["\31\139rest"] = "unpack it first",
      ["\255\254\0\0a\0\0\0"] = "UTF-32",
      ["<html><body>"] = "is an HTML page, not a CSV file; export it as CSV",
      ["\239\187\191<!DOCTYPE html>"] = "is an HTML page",
      ['<?xml version="1.0"?>'] = "is an XML file",
      ["%PDF-1.4\n"] = "is a PDF file",
      ['[{"phone":1}]'] = "is a JSON file",
      ["SQLite format 3\0"] = "is an SQLite database",
      ["BEGIN:VCARD\n"] = "is a vCard file",
    } do
      local input, err = open(bytes)
      assert.is_nil(input)
      contains(err.message, part)
    end
  end)

  it("takes UTF-16 without its mark for no other encoding, and says what to give", function()
    local header = "电话,phone\n张三,1\n"
    contains(refusal(assert(core.gbk.encode(header, "utf-16le"))), "give the encoding (utf-16le)")
    contains(refusal("\0" .. assert(core.gbk.encode("phone\n张三\n", "utf-16be")):sub(2)), "give the encoding (utf-16be)")
    local gbk = assert(open(assert(core.gbk.encode("姓名,x\n", "gbk")) .. "\0,1\n" .. assert(core.gbk.encode("张三伟芳,2\n", "gbk"))))
    assert.equal("gb18030", gbk:info().encoding) -- a NUL in a row says nothing of the header
  end)

  it("refuses an empty file, empty names and names that are there twice", function()
    contains(refusal(""), "the file is empty")
    contains(refusal("\239\187\191"), "the file is empty")
    contains(refusal("\n\r\n\n"), "the file is empty")
    contains(refusal("name,,phone\n"), "column 2 of the header has no name")
    contains(refusal("name,phone,  \n"), "column 3 of the header has no name")
    contains(refusal("name,phone,name\n"), "names column 'name' twice")
    contains(refusal("手机号,姓名,手机号\n"), "names column '手机号' twice")
    contains(refusal('name,"phone"x\n'), "text after a closing quote")
    local names = {}
    for i = 1, 4097 do
      names[i] = "c" .. i
    end
    contains(refusal(table.concat(names, ",") .. "\n"), "more than 4096 columns or ")
    names[4097] = nil
    assert(open(table.concat(names, ",") .. "\n")):close()
    contains(refusal('name,"phone\n1,2\n'), "opens in line 1 is never closed")
    contains(refusal("name,phone\r1,2\r3,4\r"), "lines must end in LF or CRLF")
    contains(refusal("na\0me,phone\n"), "NUL")
    contains(refusal("n\0a\0m\0e\0,\0x\0\n\0"), "utf-16le")
    contains(refusal("\0n\0a\0m\0e\0,\0x\0\n"), "utf-16be")
    contains(refusal("name,ph\255one\n1,2\n", { encoding = "utf-8" }), "not valid utf-8 at byte 7")
    contains(refusal(("c"):rep(100) .. "\n", { max_record = 64 }), "or 64 bytes")
    contains(refusal(("c"):rep(70000) .. "\n", { max_record = 64 }), "or 64 bytes")
  end)

  it("takes a header alone as a list without rows", function()
    for _, bytes in ipairs { "name,phone", "name,phone\n", "name,phone\r\n", "\239\187\191name,phone\n\n\n" } do
      local rows, columns = rows_of(bytes)
      assert.same({}, rows)
      assert.same({ "name", "phone" }, columns)
    end
  end)

  it("finds the encoding by byte-order mark, strict UTF-8, else GB18030", function()
    local gbk = assert(core.gbk.encode("姓名,手机\n张三,1\n李四,2\n", "gbk"))
    local four = assert(core.gbk.encode("姓名,手机\n𠮷,1\n", "gb18030"))
    local cases = {
      { "name\na\n", "utf-8", "utf-8" },
      { "姓名\n张\n", "utf-8", "utf-8" },
      { "\239\187\191姓名\n张\n", "utf-8", "bom" },
      { gbk, "gb18030", "gb18030" },
      { four, "gb18030", "gb18030" },
      { "\132\49\149\51" .. gbk, "gb18030", "bom" },
      { "\255\254" .. utf16 { 0x59D3, 10, 0x5F20, 10 }, "utf-16le", "bom" },
      { "\254\255" .. utf16({ 0x59D3, 10, 0x5F20, 10 }, true), "utf-16be", "bom" },
      { ("a,b\n"):rep(200000) .. gbk:sub(11), "gb18030", "gb18030" },
      { ("a,b\n"):rep(200000) .. "张,1\n", "utf-8", "utf-8" },
    }
    for i, case in ipairs(cases) do
      local input = assert(open(case[1]))
      local info = input:info()
      assert.equal(case[2], info.encoding, "case " .. i)
      assert.equal(case[3], info.detected, "case " .. i)
      assert.equal(#case[1], info.bytes)
      input:close()
    end
    local rows, columns = rows_of(gbk)
    assert.same({ "姓名", "手机" }, columns)
    assert.same({ { { "张三", "1" } }, { { "李四", "2" } } }, rows)
    assert.same({ { { "𠮷", "1" } } }, (rows_of(four)))
  end)

  it("finds the encoding whichever characters lie across the borders of the pieces that are looked at", function()
    for _, character in ipairs{ "张", "𠮷" } do
      for shift = 0, 3 do
        local text = "姓名\n" .. ("x"):rep(shift) .. character:rep(150000) .. "\n"
        for encoding, bytes in pairs{ ["utf-8"] = text, gb18030 = assert(core.gbk.encode(text, "gb18030")) } do
          local input = assert(open(bytes))
          assert.equal(encoding, input:info().encoding, character .. shift)
          input:close()
        end
      end
    end
  end)

  it("keeps a UTF-8 list UTF-8 when a few of its bytes are broken, and names those rows", function()
    local rows, _, info = rows_of("姓名,公司\n张三,好公司\n李\255四,某公司\n王五,有限公司\n")
    assert.equal("utf-8", info.encoding)
    assert.equal(3, #rows)
    assert.is_nil(rows[1][2])
    assert.equal("encoding", rows[2][2])
    assert.equal("李\255四", rows[2][1][1])
    assert.is_nil(rows[3][2])
  end)

  it("keeps a UTF-8 list UTF-8 when its bytes, broken ones too, would all be valid GB18030", function()
    local rows, _, info = rows_of("姓名,手机\n" .. ("张三,1\n"):rep(10) .. "\229\188,2\n")
    assert.equal("utf-8", info.encoding)
    assert.equal("张三", rows[1][1][1])
    assert.is_nil(rows[10][2])
    assert.equal("encoding", rows[11][2])
    -- cut in the middle of a character
    rows, _, info = rows_of("姓名,手机\n张三,1\n李\229\155")
    assert.equal("utf-8", info.encoding)
    assert.equal("张三", rows[1][1][1])
    assert.is_truthy(rows[2][2])
  end)

  it("goes by the header where header and rows are in different encodings: those rows are refused, not read as other characters", function()
    local gbk = assert(core.gbk.encode(("张三,1\n"):rep(20), "gbk"))
    local rows, columns, info = rows_of("姓名,手机号\n" .. gbk .. "李四,2\n")
    assert.equal("utf-8", info.encoding)
    assert.same({ "姓名", "手机号" }, columns)
    for number = 1, 20 do
      assert.equal("encoding", rows[number][2])
    end
    assert.same({ "李四", "2" }, rows[21][1])
  end)

  it("refuses a list with such rows where some of them could be read in both encodings", function()
    local plain = "姓名,手机号\n" .. assert(core.gbk.encode(("张三,1\n"):rep(20), "gbk"))
    local pair = assert(core.gbk.encode("陆一,2\n", "gbk")) -- valid UTF-8 by accident, of other characters
    for _, text in ipairs{ plain .. pair, plain .. pair:sub(1, -2), plain .. ("x,3\n"):rep(40000) .. pair } do
      local path = lists.file(text)
      local input, err = core.rows.input{ path = path }
      assert.is_nil(input)
      assert.equal("invalid", err.kind)
      assert.truthy(err.message:find("its header is UTF-8, but rows are in another encoding, and 1 of them", 1, true), err.message)
      assert.equal("utf-8", assert(core.rows.input{ path = path, encoding = "utf-8" }):info().encoding)
    end
  end)

  it("refuses rows of UTF-8 in a GBK list, of which other characters would be made, and gives them as they stand", function()
    local gbk = assert(core.gbk.encode("姓名,手机\n张三,1\n", "gbk"))
    for _, encoding in ipairs{ "auto", "gb18030", "gbk" } do
      local rows = rows_of(gbk .. "李四,2\n\"王,\"\"五\"\"\",3\n" .. gbk:sub(11), { encoding = encoding })
      assert.same({ { { "张三", "1" } }, { { "李四", "2" }, "encoding" }, { { '王,"五"', "3" }, "encoding" }, { { "张三", "1" } } }, rows)
    end
    -- Valid UTF-8 by accident, and no Chinese in it.
    assert.same({ { { "陆一", "1" } }, { { "茅", "2" } } }, (rows_of(assert(core.gbk.encode("a,b\n陆一,1\n茅,2\n", "gbk")), { encoding = "gbk" })))
  end)

  it("refuses Big5, which passes for GBK, of other characters, but not GBK of traditional characters", function()
    local big5 = "\169m\166W,\184q\184\220\n" -- 姓名,電話
    for _, name in ipairs{ "\179\175\171\216\167\211", "\170L\169\250\182W", "\182\192\172\252\172\194", "\177i\166\174\182\174" } do -- 陳建志 林明超 黃美玲 張成煜
      big5 = big5 .. name:rep(3) .. ",1\n"
    end
    local _, err = open(big5)
    assert.equal("invalid", err.kind)
    contains(err.message, "seems to be Big5")
    assert.truthy(open(big5, { encoding = "gbk" }))
    for _, text in ipairs{ "姓名,電話\n陳建志,1\n林明超,2\n黃美玲,3\n張雲龍,4\n劉鄭蘭,5\n葉謝蘇,6\n吳許鐘,7\n", ("朱镕基,1\n"):rep(9) .. "a,王小明李四\n" } do
      assert.equal("gb18030", assert(open(assert(core.gbk.encode(text, "gbk")))):info().encoding)
    end
  end)

  it("tells few names in Big5 from rare characters in GBK, of which a list may be full", function()
    -- 曾郁婷 賴品妤 徐子晴 莊雅雯 江沛瑜 羅婉婷 簡嘉玲 趙品睿 陳建志 黃美玲
    local _, err = open("name,phone\n\180\191\173\167\180@,\191\224\171~\167\177,\174}\164l\180\184,\178"
      .. "\248\182\174\182\178,\166\191\168K\183\236,\195\185\176\251\180@,\194\178\185\197\172\194,\187"
      .. "\175\171~\186\205,\179\175\171\216\167\211,\182\192\172\252\172\194\n")
    contains(err and err.message, "seems to be Big5")
    for _, names in ipairs{ "谢玥,1\n王珺,2\n陈镕,3\n杨赟,4\n唐骉,5\n余頔,6\n", "王玥珺\n", "唐骉骉,1\n赵镕镕,2\n", "龑,1\n喆,2\n堃淼焱,3\n" } do
      assert.equal("gb18030", assert(open(assert(core.gbk.encode("name,phone\n" .. names, "gbk")))):info().encoding)
    end
  end)

  it("refuses Japanese and Korean, which pass for GBK, of other characters", function()
    local _, err = open("name,phone\n\141\178\147\161\145\190\152Y,\130\179\130\173\130\231,1\n") -- 佐藤太郎 さくら
    contains(err and err.message, "seems to be Shift_JIS")
    local korean = "name,phone\n\177\232\192\204\185\218\195\214\193\164\176\173\193\182\192\177\192\229"
      .. "\192\211\199\209\191\192\188\173\189\197\177\199\200\178\190\200\188\219\183\249\200\171\192"
      .. "\252\176\237\185\174\190\231\188\213\185\232\185\233\199\227\192\175\179\178\189\201\179\235"
      .. "\199\207\176\251\188\186\194\247\193\214\191\236\177\184\185\206,1\n" -- forty family names
    _, err = open(korean)
    contains(err and err.message, "seems to be EUC-KR")
    assert.equal("gbk", assert(open(korean, { encoding = "gbk" })):info().encoding)
    for _, names in ipairs{ ("客户,1\n"):rep(99), ("李明,1\n"):rep(99), "婷婷,1\n鑫鑫,2\n琪琪,3\n怡怡,4\n" } do
      assert.equal("gb18030", assert(open(assert(core.gbk.encode("name,phone\n" .. names, "gbk")))):info().encoding)
    end
  end)

  it("refuses Windows-1252, whose accents pass for GBK with the letters behind them, but not rare characters of GBK", function()
    for _, names in ipairs{ "M\252ller", "Jos\233 P\233rez", "\201lise", "Jos\233,1\n\205\241igo,2\nMu\241oz,3\nBj\246rn,4\nPe\241a", "Zo\235l" } do
      local _, err = open("name,phone\n" .. names .. ",1\n")
      contains(err and err.message, "seems to be Windows-1252, which is not supported; save it as UTF-8")
    end
    for _, names in ipairs{ "陈镕", "李玥頔", "镕", "Anna李", "李Anna", "A座", "VIP客户镕" } do
      local input = assert(open(assert(core.gbk.encode("name,phone\n" .. names .. ",1\n", "gbk"))))
      assert.equal("gb18030", input:info().encoding, names)
    end
  end)

  it("refuses a small list whose characters are Chinese in GBK and letters in UTF-8", function()
    for _, name in ipairs{ "叶伟", "谢强", "谢", "卢平" } do
      local gbk = assert(core.gbk.encode("name,phone\n" .. name .. ",1\n", "gbk"))
      local _, err = open(gbk)
      contains(err and err.message, "could be UTF-8 as well as GBK")
      assert.same({ { { name, "1" } } }, (rows_of(gbk, { encoding = "gbk" })))
      assert.truthy(open(gbk, { encoding = "utf-8" }))
      assert.equal("gb18030", assert(open(gbk .. "\213\197,2\n")):info().encoding) -- one more that is none in UTF-8
    end
    for _, name in ipairs{ "Jos\195\169", "\195\169l\195\169", "25\194\176C", "\194\169", "Иван", "Мария", "Νίκος", "叶", "k\195\188\195\159" } do
      assert.equal("utf-8", assert(open("name,phone\n" .. name .. ",1\n")):info().encoding, name)
    end
  end)

  it("goes by the encoding that is given, and refuses one that the mark contradicts", function()
    local rows, _, info = rows_of("a,b\n\196\227,\196\227\n", { encoding = "GBK" })
    assert.equal("gbk", info.encoding)
    assert.equal("given", info.detected)
    assert.same({ { { "你", "你" } } }, rows)
    local _, err = open("\239\187\191a\n", { encoding = "gbk" })
    contains(err.message, "byte order mark of utf-8")
    _, err = open("a\n", { encoding = "latin-1" })
    assert.equal("usage", err.kind)
    rows = rows_of(utf16 { 97, 10, 0x5F20, 10 }, { encoding = "utf-16le" })
    assert.same({ { { "张" } } }, rows)
  end)

  it("rejects invalid GBK by row and keeps its bytes; an ASCII byte is never half of a character", function()
    local rows = rows_of("a,b\n\196\227,x\n\196,x\n\"\196\",x\n\196\n\255\255,x\n\129\49,x\n\196\227,y\n", { encoding = "gb18030" })
    local reasons = {}
    for i, row in ipairs(rows) do
      reasons[i] = row[2] or "fine"
    end
    assert.same({ "fine", "encoding", "encoding", "encoding", "encoding", "encoding", "fine" }, reasons)
    assert.same({ "\196", "x" }, rows[2][1])
    assert.same({ "\196", "x" }, rows[3][1])
  end)

  it("reads a list the same in UTF-8, GBK, GB18030 and UTF-16", function()
    local seed = lists.seed()
    local random = lists.random(seed)
    local pool = { 97, 44, 34, 10, 13, 0x5F20, 0x4E09, 0x92, 0x5C, 0x7C, 32, 0xFF0C, 49, 50 }
    local points, last = { 0x63, 0x31, 44, 0x63, 0x32, 10 }, nil
    for i = 1, lists.rounds(6000) do
      local point = pool[random(#pool)]
      if point == 0x92 then
        point = 0x9531 -- its GBK form ends in a backslash
      end
      points[#points + 1] = point
      last = i
      if i % 5 == 0 then
        points[#points + 1] = 44
      end
    end
    assert(last)
    points[#points + 1] = 10
    local parts = {}
    for i, c in ipairs(points) do
      parts[i] = c < 128 and string.char(c)
        or string.char(0xE0 + math.floor(c / 4096), 0x80 + math.floor(c / 64) % 64, 0x80 + c % 64)
    end
    local text = table.concat(parts)
    local _, _, opened = lists.parse(text, ",", 2)
    if opened then
      text, points[#points + 1], points[#points + 2] = text .. '"\n', 34, 10
    end
    local expected = rows_of(text, { encoding = "utf-8" })
    assert.same(expected, (rows_of(assert(core.gbk.encode(text, "gbk")), { encoding = "gbk" })), "seed " .. seed)
    assert.same(expected, (rows_of(assert(core.gbk.encode(text, "gb18030")), { encoding = "gb18030" })), "seed " .. seed)
    assert.same(expected, (rows_of(utf16(points), { encoding = "utf-16le" })), "seed " .. seed)
    assert.same(expected, (rows_of("\254\255" .. utf16(points, true))), "seed " .. seed)
  end)

  it("reads every two-byte code of GBK and GB18030, whatever its second byte is taken for elsewhere #heavy", function()
    for _, encoding in ipairs { "gbk", "gb18030" } do
      local plain, coded = { "a,b,c\n" }, { "a,b,c\n" }
      for first = 129, 254 do
        for second = 64, 254 do
          local pair = string.char(first, second)
          local text = core.gbk.decode(pair, encoding)
          if text then
            plain[#plain + 1] = ('%s,"%s""%s,%s",%s\n'):format(text, text, text, text, text)
            coded[#coded + 1] = ('%s,"%s""%s,%s",%s\n'):format(pair, pair, pair, pair, pair)
          end
        end
      end
      assert.is_true(#coded > 21000)
      local expected = rows_of(table.concat(plain), { encoding = "utf-8" })
      local found = rows_of(table.concat(coded), { encoding = encoding })
      for i = 1, #expected do
        for k = 1, 3 do
          if expected[i][1][k] ~= found[i][1][k] or found[i][2] then
            error(encoding .. ", row " .. i .. ": " .. tostring(found[i][2]))
          end
        end
      end
    end
  end)

  it("never lets a broken pair swallow a delimiter, a quote or a line end, for every pair of bytes #heavy", function()
    for _, pattern in ipairs { "%s,x\n", '"%s",x\n' } do
      local parts = { "a,b\n" }
      for first = 128, 255 do
        for second = 0, 255 do
          if second ~= 34 or pattern:sub(1, 1) ~= '"' then -- a quote there may leave one open, which refuses the file
            parts[#parts + 1] = pattern:format(string.char(first, second):gsub("%z", "\1"))
          end
        end
      end
      local text = table.concat(parts)
      local found = rows_of(text, { encoding = "gb18030" })
      local index = 0
      for i, record in ipairs(lists.parse(text, ",", 2)) do
        if i > 1 and not record.blank then
          index = index + 1
          local reason, fields = record.fault, {}
          for k, field in ipairs(record.fields) do
            fields[k] = core.gbk.decode(field, "gb18030") or field
            if not core.gbk.decode(field, "gb18030") then
              reason = "encoding"
            end
          end
          local row = found[index]
          if row[2] ~= reason or table.concat(row[1], "|") ~= table.concat(fields, "|") then
            error(("record %d: %s, not %s"):format(i, tostring(row[2]), tostring(reason)))
          end
        end
      end
      assert.equal(index, #found)
    end
  end)

  it("rejects lone surrogates by row and refuses a UTF-16 file that ends inside a character", function()
    local rows = rows_of("\255\254" .. utf16 { 97, 10, 0x5F20, 10 } .. "\0\216\10\0" .. utf16 { 0x20BB7, 10 })
    assert.same({ { "张" } }, rows[1])
    assert.equal("encoding", rows[2][2])
    assert.same({ { "𠮷" } }, rows[3])
    contains(refusal("\255\254" .. utf16 { 97, 10, 0x5F20 } .. "\0"), "ends inside a character")
  end)

  it("takes the delimiter from a first line sep=; as spreadsheets do, which is no record", function()
    for _, case in ipairs{
      { "sep=;\r\na;b,c\n1;2\n", ";" }, { "SEP=;\na;b,c\n1;2", ";" }, { '"sep=;"\r\na;b,c\r\n1;2\r\n', ";" }, { "sep=\t\na\tb,c\n1\t2\n", "\t" },
      { "\239\187\191sep=;\r\na;b,c\n1;2\n", ";" },
      { "\255\254" .. utf16{ 115, 101, 112, 61, 59, 13, 10, 97, 59, 98, 44, 99, 10, 49, 59, 50, 10 }, ";" },
    } do
      for _, given in ipairs{ ",", "auto" } do
        local input = assert(open(case[1], { delimiter = given }))
        assert.same({ "a", "b,c" }, assert(input:columns()))
        assert.equal(case[2], input:info().delimiter)
        local number, fields, _, line = input:rows()()
        assert.same({ 1, { "1", "2" }, 3 }, { number, fields, line })
      end
    end
    for _, text in ipairs{ "sep=\n1\n", "sep=,b\n", "sep=ab\n1\n", "sep", '"sep=;\n"\n' } do -- names of columns
      assert.truthy(assert(open(text)):columns(), text)
    end
    local _, err = assert(open("sep=|\na|b\n")):columns()
    assert.truthy(err.message:find("'|' separates the columns", 1, true))
  end)

  it("finds the delimiter in the header when asked", function()
    for delimiter, header in pairs { [","] = 'a,b,"x;y;z"\n', [";"] = "a;b;c,d\n", ["\t"] = "\r\n\na\tb\tc\n1,2,3,4\n" } do
      local input = assert(open(header, { delimiter = "auto" }))
      assert(input:columns())
      assert.equal(delimiter, input:info().delimiter)
      input:close()
    end
    -- One byte of 上 is that of a line feed, one of 丢 that of a quote.
    local input = assert(open("\255\254" .. utf16 { 13, 10, 0x4E0A, 59, 0x4E22, 59, 99, 10 }, { delimiter = "auto" }))
    assert.same({ "上", "丢", "c" }, input:columns())
    input:close()
    local _, err = open("a|b\n", { delimiter = "|" })
    assert.equal("usage", err.kind)
  end)

  it("passes over a record of hundreds of megabytes in flat memory and finds the next row #heavy", function()
    local path = lists.file("")
    local file = assert(io.open(path, "wb"))
    file:write("a,b\n1,x\n2,\"")
    local piece = ("q"):rep(1048575) .. "\n"
    for _ = 1, 200 do
      file:write(piece)
    end
    file:write("\"\n3,z\n")
    file:close()
    local input = assert(core.rows.input { path = path, max_record = 65536 })
    local before = tonumber(io.open("/proc/self/statm"):read("*a"):match("%d+ (%d+)"))
    local rows = {}
    for row, fields, reason in input:rows() do
      rows[row] = reason or fields[2]
    end
    local after = tonumber(io.open("/proc/self/statm"):read("*a"):match("%d+ (%d+)"))
    input:close()
    assert.same({ "x", "too_large", "z" }, rows)
    assert((after - before) * 4096 < 8 * 1048576, "memory grew by " .. (after - before) * 4096)
  end)

  it("refuses a large record whose quote is never closed, naming row and line", function()
    local input = assert(open("a,b\n1,x\n2,\"y\n" .. ("z\n"):rep(100000), { max_record = 1000 }))
    local ok, err = pcall(function()
      for _ in input:rows() do end -- luacheck: ignore
    end)
    input:close()
    assert.is_false(ok)
    contains(err.message, "row 2: the quoted field that opens in line 3 is never closed")
  end)

  it("rejects records just over max_record and takes those of exactly that size", function()
    for _, size in ipairs { 64, 100, 5000, 300000 } do
      local rows = rows_of("a\n" .. ("x"):rep(size) .. "\n" .. ("y"):rep(size + 1) .. "\r\nz\n", { max_record = size })
      assert.equal(size, #rows[1][1][1])
      assert.is_nil(rows[1][2])
      assert.equal("too_large", rows[2][2])
      assert.same({ { "z" } }, rows[3])
    end
  end)

  it("takes records of exactly max_record wherever the window ends, also between the CR and the LF", function()
    for size = 262141, 262145 do -- a window is 262144 bytes, or twice that
      for _, text in ipairs { ("x"):rep(size), '"' .. ("x"):rep(size - 2) .. '"' } do
        local rows = rows_of("a\ny\n" .. text .. "\r\n" .. (("z"):rep(199) .. "\n"):rep(3000), { max_record = size })
        assert.is_nil(rows[2][2])
        assert.equal((text:gsub('"', "")), rows[2][1][1])
      end
    end
  end)

  it("raises on options of a wrong type and on closed objects", function()
    assert.has_error(function() core.rows.input {} end)
    assert.has_error(function() core.rows.input { path = 5 } end)
    assert.has_error(function() core.rows.input { path = "a\0b" } end)
    assert.has_error(function() core.rows.input { path = "a", max_record = 1 } end)
    assert.has_error(function() core.rows.input { path = "a", max_record = "1M" } end)
    local input = assert(open("a\n"))
    input:close()
    input:close()
    assert.has_error(function() input:columns() end)
    assert.has_error(function() input:rows() end)
  end)

  it("keeps an iterator going after its input was closed", function()
    local input = assert(open("a\n1\n2\n"))
    local count = 0
    for row in input:rows(nil, 1) do
      assert.equal(1, row)
    end
    for _ in input:rows() do
      input:close()
      count = count + 1
    end
    assert.equal(2, count)
  end)
end)

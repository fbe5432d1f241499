-- SPDX-License-Identifier: MIT
-- The reader of Excel workbooks: what becomes of every kind of cell, what is no workbook, and what hostile archives do: nothing.

require "campaign.error"
local command = require "spec.support.command"
local core = require "campaign.core"
local lists = require "support.lists"
local workbooks = require "spec.support.workbooks"

describe("core.workbook", function()
  local folder
  before_each(function() folder = command.folder() end)
  after_each(function() command.remove(folder) end)

  -- The list that is made of a workbook, and what is known of it.
  local function convert(path, options)
    local given = { path = path, folder = folder }
    for name, value in pairs(options or {}) do
      given[name] = value
    end
    local reader, err = core.workbook.reader(given)
    if not reader then
      return nil, err
    end
    local done
    repeat
      done, err = reader:step(options and options.bytes)
      if done == nil then
        return nil, err
      end
    until done
    local text, info = command.read(reader:path()), reader:info()
    reader:close()
    return text, info
  end

  local function of(book, options)
    return convert(workbooks.write(folder .. "/a.xlsx", book), options)
  end

  local function cells(xml, more)
    local book = { rows = "<row><c t='str'><v>h</v></c></row><row>" .. xml .. "</row>" }
    for name, value in pairs(more or {}) do
      book[name] = value
    end
    local text, info = of(book)
    assert(text, tostring(info))
    return text:match("^h\n(.*)\n$"), info
  end

  local function refused(bytes, options)
    local path = folder .. "/a.xlsx"
    command.write(path, bytes)
    local text, err = convert(path, options)
    assert.is_nil(text)
    assert.truthy(err.message:find(path, 1, true) or err.kind == "usage", err.message)
    return err.message, err
  end

  it("reads what our own writer of workbooks writes, text for text", function()
    local rows = { { "userId", "text" }, { "=1+1", "@SUM(A1)" }, { "13800001234", "0013" }, { "9007199254740993", "-" }, { " x ", "\ttab" },
      { 'a "quoted" b', "one,two" }, { "line\nline", "<&>'" }, { "_x0041_", "_x0041_x0042__x005F_" }, { "_x00zz_", "_x0041" }, { "䶮", "😀" }, { "",
        "b" } }
    local lines = {}
    for i, row in ipairs(rows) do
      lines[i] = core.csv.line(row)
    end
    local writer = assert(core.sheet.writer{ path = folder .. "/w.xlsx", columns = 2, source = core.source(table.concat(lines)) })
    local _, bytes
    repeat
      _, bytes = writer:step()
    until bytes
    local text, info = convert(folder .. "/w.xlsx")
    local records = lists.parse(text, ",", nil)
    assert.equal(#rows, #records)
    for i, row in ipairs(rows) do
      assert.same(row, records[i].fields)
    end
    assert.same({ 1, #rows, 2, "Sheet1" }, { info.header_row, info.last_row, info.columns, info.sheet })
  end)

  it("gives numbers as digits: telephones, however they are stored, and no more digits than Excel has", function()
    local vectors = {
      { "15912345678", "15912345678" }, { "1.5912345678E10", "15912345678" }, { "15912345678.0", "15912345678" }, { "0", "0" }, { "-0", "0" },
      { "-12", "-12" }, { "0.10000000000000001", "0.1" }, { "0.30000000000000004", "0.3" }, { "1234.5600000000001", "1234.56" },
      { "999999999999999", "999999999999999" }, { "99999999999999.94", "99999999999999.9" },
      { "1E14", "100000000000000" }, { "1E-7", "1E-07" }, { "12.5", "12.5" }, { "007", "7" }, { "+5", "5" },
      { " 5 ", "5" },
    }
    for _, vector in ipairs(vectors) do
      local text, info = cells("<c><v>" .. vector[1] .. "</v></c>")
      assert.equal(vector[2], text)
      assert.same({}, info.doubts, vector[1])
    end
  end)

  it("marks numbers of more than 15 digits, of which nobody knows the rest", function()
    for number, wanted in pairs{ ["1234567890123456"] = "1.23456789012346E+15", ["1.2345678901234568E+17"] = "1.23456789012346E+17",
      ["9007199254740993"] = "9.00719925474099E+15", ["1000000000000000"] = "1.00000000000000E+15",
      ["999999999999999.5"] = "1.00000000000000E+15", ["-1.5E300"] = "-1.50000000000000E+300" } do
      local text, info = cells("<c><v>" .. number .. "</v></c>")
      assert.equal(wanted, text)
      assert.same({ { column = 1, kind = "rounded", count = 1, cell = "A2" } }, info.doubts)
    end
  end)

  it("gives dates and times by the number format of the cell, of both calendars", function()
    local formats = { "yyyy\\-mm\\-dd", 'yyyy"年"m"月"d"日"', "[$-804]yyyy/m/d h:mm:ss", "h:mm AM/PM", "[h]:mm", '0.00"dm"', "mmm\\-yy", "000000",
      "#,##0.00_);[Red]\\-0",
      "General", "d.m.yy;@" }
    local styles, wanted = {}, {}
    for i, code in ipairs(formats) do
      styles[i] = ('<numFmt numFmtId="%d" formatCode="%s"/>'):format(163 + i, (code:gsub('"', "&quot;")))
    end
    local xfs = { '<xf numFmtId="0"/>' }
    for i = 1, #formats do
      xfs[#xfs + 1] = ('<xf numFmtId="%d"/>'):format(163 + i)
    end
    for _, id in ipairs{ 14, 22, 20, 31, 57, 46, 49 } do
      xfs[#xfs + 1] = ('<xf numFmtId="%d"/>'):format(id)
    end
    local book = { styles = "<numFmts>" .. table.concat(styles) .. "</numFmts><cellStyleXfs><xf numFmtId='14'/></cellStyleXfs><cellXfs>"
      .. table.concat(xfs)
      .. "</cellXfs>" }
    local row = {}
    local function add(style, value, text)
      row[#row + 1], wanted[#wanted + 1] = ('<c s="%d"><v>%s</v></c>'):format(style, value), text
    end
    add(1, "45000", "2023-03-15")
    add(2, "45000.75", "2023-03-15")
    add(3, "45000.5", "2023-03-15 12:00:00")
    add(3, "45000.999999", "2023-03-16 00:00:00")
    add(4, "0.25", "06:00:00")
    add(4, "45000.25", "2023-03-15 06:00:00")
    add(5, "1.5", "1.5")
    add(6, "45000", "45000")
    add(7, "44986", "2023-03-01")
    add(8, "1234", "001234")
    add(8, "1234567", "1234567")
    add(9, "45000.5", "45000.5")
    add(10, "45000", "45000")
    add(11, "1", "1900-01-01")
    add(12, "59", "1900-02-28")
    add(12, "60", "1900-02-29") -- Excel's
    add(12, "61", "1900-03-01")
    add(12, "2958465", "9999-12-31")
    add(12, "2958466", "2958466")
    add(13, "2958465.999999", "2958465.999999") -- no year 10000
    add(14, "0.999999", "00:00:00") -- rounded, and still on no day
    add(12, "-1", "-1")
    add(13, "36526.000011574", "2000-01-01 00:00:01")
    add(14, "0.5", "12:00:00")
    add(15, "36585", "2000-02-29")
    add(16, "36586", "2000-03-01")
    add(17, "1.25", "1.25")
    add(18, "13800001234", "13800001234")
    add(99, "5", "5")
    assert.same(wanted, lists.parse(cells(table.concat(row), book), ",", nil)[1].fields)
    book.properties = '<workbookPr date1904="1"/>'
    assert.equal("2027-03-16,1904-01-01", (cells('<c s="1"><v>45000</v></c><c s="1"><v>0</v></c>', book)))
    assert.equal("06:00:00,1904-01-02 06:00:00", (cells('<c s="4"><v>0.25</v></c><c s="4"><v>1.25</v></c>', book)))
  end)

  it("gives texts of every kind: shared, inline, rich, escaped, with the blanks that count", function()
    local shared = "<si><t>零</t></si><si><t xml:space='preserve'> 一 </t></si><si><t>\n 二 </t></si>"
      .. "<si><r><rPr><b/></rPr><t xml:space='preserve'>三 </t></r>"
      .. "<r><t>四</t></r><rPh sb='0' eb='1'><t>サン</t></rPh><phoneticPr/></si><si><t/></si><si><t>a_x000D_\nb_x0009__x005F_x0041_</t></si>"
      .. "<si><t>_xD83D__xDE00_ _xD83D_ _xDE00_</t></si>"
    local row = {}
    for i = 0, 6 do
      row[#row + 1] = ('<c t="s"><v>%d</v></c>'):format(i)
    end
    row[#row + 1] = "<c t='inlineStr'><is><r><t>x</t></r><r><t>y</t></r></is></c><c t='str'><f>A1</f><v>of a formula</v></c>"
      .. "<c t='b'><v>1</v></c><c t='b'><v>0</v></c>"
          .. "<c t='d'><v>2025-11-23T08:00:00.000Z</v></c><c t='d'><v>2025-11-23</v></c><c><f>1+1</f><v>2</v></c>"
      .. "<c t='str'><f>B1</f><v></v></c><c t='str'><v>end</v></c>"
    local text, info = cells(table.concat(row), { shared = shared })
    assert.same({ "零", " 一 ", "二", "三 四", "", "a\r\nb\t_x0041_", "😀 _xD83D_ _xDE00_", "xy", "of a formula", "TRUE", "FALSE",
      "2025-11-23 08:00:00",
      "2025-11-23",
      "2", "", "end" }, lists.parse(text, ",", nil)[1].fields)
    assert.same({}, info.doubts)
  end)

  it("keeps blanks where an element around says so", function()
    local book = { shared = "<si xml:space='preserve'><t> x </t></si><si><t> y </t></si>" }
    assert.equal(" x ,y", (cells("<c t='s'><v>0</v></c><c t='s'><v>1</v></c>", book)))
  end)

  it("tells errors and formulas without a result, and counts them by column", function()
    local text, info = of{ rows = workbooks.rows{ { "a", "b", "c" },
      "<row><c t='e'><v>#N/A</v></c><c><f>A1*2</f></c><c t='e'><f>1/0</f><v>#DIV/0!</v></c></row>",
      "<row><c t='e'><v>#REF!</v></c><c t='str'><f t='shared' si='0'/></c><c t='e'><v>odd</v></c></row>" } }
    assert.equal("a,b,c\n#N/A,=A1*2,#DIV/0!\n#REF!,=,#VALUE!\n", text)
    assert.same({ { column = 1, kind = "error", count = 2, cell = "A2" }, { column = 2, kind = "formula", count = 2, cell = "B2" },
      { column = 3, kind = "error", count = 2, cell = "C2" } }, info.doubts)
  end)

  it("keeps the sheet's own row numbers: blank rows, a header further down, trailing rows", function()
    local text,
      info = of{ rows = '<row r="3"><c r="B3" t="str"><v>b</v></c><c r="D3" t="str"><v>d</v></c></row><row r="4" hidden="1"><c r="B4" s="7"/></row>'
          .. '<row r="7" hidden="true"><c r="D7" t="str"><v>line\nline</v></c></row><row r="8"><c r="A8"><v>1</v></c>'
      .. '<c r="F8"><v>6</v></c></row><row r="1000"/>',
      after = '<mergeCells count="3"><mergeCell ref="A1:F2"/><mergeCell ref="B7:B8"/><mergeCell ref="C7:C9"/></mergeCells>' }
    assert.equal('\n\nb,,d\n\n\n\n,,"line\nline"\n,,,,6,1\n', text) -- what is outside of the header makes the row too wide
    assert.same({ 3, 8, 2, 3, 1, 2, "B7" }, { info.header_row, info.last_row, info.first_column, info.columns, info.hidden_rows, info.merged,
      info.merged_first })
    local input = assert(core.rows.input{ path = lists.file("a,b\n1,\"x\ny\"\n\n3,4\n5,\"\n\n\"\n7,8\n"), record_lines = true })
    assert(input:columns())
    local seen = {}
    for number, fields, _, line in input:rows() do
      seen[#seen + 1] = ("%d:%d:%s"):format(number, line, fields[1])
    end
    input:close()
    assert.same({ "1:2:1", "2:4:3", "3:5:5", "4:6:7" }, seen)
  end)

  it("takes the row that is named for the header, and none above it for a row", function()
    local book = { rows = workbooks.rows{ { "title" }, "<row><c t='e'><v>#N/A</v></c></row>", "<row/>", { nil, "a", "b", n = 3 }, { nil, "1", n = 2 },
      "<row><c/><c t='e'><v>#N/A</v></c></row>" } }
    local text, info = of(book, { header_row = 4 })
    assert.equal("\n\n\na,b\n1,\n#N/A,\n", text)
    assert.same({ { column = 1, kind = "error", count = 1, cell = "B6" } }, info.doubts)
    local _, err = of(book, { header_row = 3 })
    assert.same({ "usage", 'header_row: row 3 of sheet "名单" is blank and cannot name the columns' }, { err.kind, err.message })
    text, info = of(book, { header_row = 7 })
    assert.same({ "", 0 }, { text, info.header_row })
  end)

  it("chooses the first visible sheet, or the one that is named", function()
    local book = { sheets = { { "hidden", workbooks.rows{ { "h" } }, state = "hidden" }, { "chart", "", type = "chartsheet" }, { "二月",
      workbooks.rows{ { "f" } } },
      { "a&amp;b", workbooks.rows{ { "x" } } } } }
    local text, info = of(book)
    assert.same({ "f\n", "二月" }, { text, info.sheet })
    assert.equal("h\n", (of(book, { sheet = "hidden" })))
    assert.equal("x\n", (of(book, { sheet = "a&b" })))
    local _, err = of(book, { sheet = "三月" })
    assert.equal('sheet: the workbook has no sheet "三月"; it has "hidden", "二月", "a&b"', err.message)
    assert.equal("usage", err.kind)
  end)

  it("reads elements with prefixes, in UTF-16, and other things at the places where they may be", function()
    local sheet = '<x:worksheet xmlns:x="m"><x:sheetPr/><!-- c --><x:sheetData><x:row r="1"><x:c r="A1" t="inlineStr">'
      .. '<x:is><x:t>名</x:t></x:is></x:c></x:row>'
          .. '<x:row r="2"><x:c r="A2"><x:v><![CDATA[5]]></x:v><x:extLst><x:ext><x:v>9</x:v></x:ext></x:extLst></x:c></x:row></x:sheetData>'
      .. '<row><c><v>7</v></c></row></x:worksheet>'
    local parts = workbooks.parts{ rows = "" }
    parts[4][2] = sheet
    command.write(folder .. "/p.xlsx", workbooks.zip(parts))
    assert.equal("名\n5\n", (convert(folder .. "/p.xlsx")))
    parts[4][2] = "\255\254" .. assert(core.gbk.encode('<?xml version="1.0" encoding="UTF-16"?>' .. sheet, "utf-16le"))
    command.write(folder .. "/p.xlsx", workbooks.zip(parts))
    assert.equal("名\n5\n", (convert(folder .. "/p.xlsx")))
  end)

  it("gives the same in steps of any size, from archives with stored parts too", function()
    local rows = { { "a", "b" } }
    for i = 1, 300 do
      rows[#rows + 1] = { "r" .. i, i }
    end
    local parts = workbooks.parts{ rows = workbooks.rows(rows) }
    local path = folder .. "/a.xlsx"
    command.write(path, workbooks.zip(parts))
    local whole = assert(convert(path))
    assert.equal(whole, (convert(path, { bytes = 1 })))
    for _, part in ipairs(parts) do
      part.stored = true
    end
    command.write(path, workbooks.zip(parts))
    assert.equal(whole, (convert(path)))
  end)

  it("reads more shared texts than it keeps in memory, in any order", function()
    local count, shared, rows, wanted = lists.rounds(20000), {}, { { "h" } }, { "h" }
    for i = 0, count - 1 do
      shared[#shared + 1] = "<si><t>" .. ("文本、%d "):format(i):rep(1 + i % 60) .. "</t></si>"
      local at = i * 7919 % count
      rows[#rows + 1] = ("<row><c t='s'><v>%d</v></c></row>"):format(at)
      wanted[#wanted + 1] = ("文本、%d "):format(at):rep(1 + at % 60):gsub(" $", "")
    end
    assert.equal(table.concat(wanted, "\n") .. "\n", (of{ rows = workbooks.rows(rows), shared = table.concat(shared) }))
  end)

  it("says what a file is that is no workbook, and what to do", function()
    assert.matches("old binary workbook %(%.xls%); save it as an Excel workbook", (refused("\208\207\17\224" .. ("\0"):rep(2000))))
    local package = ("EncryptedPackage"):gsub(".", "%0\0")
    assert.matches("protected by a password", (refused("\208\207\17\224" .. ("\0"):rep(2000) .. package .. "\0\0")))
    assert.matches("binary workbook %(%.xlsb%)", (refused(workbooks.zip{ { "xl/workbook.bin", "x" } })))
    assert.matches("OpenDocument file %(%.ods%)", (refused(workbooks.zip{ { "mimetype", "x" }, { "content.xml", "<x/>" } })))
    assert.matches("Word document", (refused(workbooks.zip{ { "word/document.xml", "<x/>" } })))
    assert.matches("archive without a workbook", (refused(workbooks.zip{ { "list.csv", "a,b\n" } })))
    assert.matches("damaged or incomplete", (refused("PK\3\4 and nothing else")))
    assert.matches("sheet \"名单\" has no cells", (refused((function()
      local parts = workbooks.parts{ rows = "" }
      parts[4][2] = "<chartsheet/>"
      return workbooks.zip(parts)
    end)())))
    local parts = workbooks.parts{ rows = "" }
    table.remove(parts, 4)
    assert.matches("its part xl/worksheets/sheet1.xml is missing", (refused(workbooks.zip(parts))))
    assert.is_false(core.workbook.is_one(lists.file("a,b\n")))
    assert.is_false(core.workbook.is_one(folder .. "/nothing"))
    assert.is_true(core.workbook.is_one(folder .. "/a.xlsx"))
  end)

  it("does not unpack bombs: of XML, of compression, of lengths", function()
    local parts = workbooks.parts{ rows = workbooks.rows{ { "a" } }, shared = "<si><t>x</t></si>" }
    local good = parts[4][2]
    parts[4][2] = '<!DOCTYPE w [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>' .. good:gsub("<%?.-%?>", "")
    assert.matches("document type declaration", (refused(workbooks.zip(parts))))
    parts[4][2] = good
    parts[4].size = 3000000000
    assert.matches("far more than those of any list", (refused(workbooks.zip(parts))))
    parts[4].length = 3000000000 / 250 -- believed, this would be no bomb
    assert.matches("a part is longer than the file", (refused(workbooks.zip(parts))))
    parts[4].length = nil
    parts[4].size = #good - 1
    assert.matches("larger than it says", (refused(workbooks.zip(parts))))
    parts[4].size = #good + 1
    assert.matches("smaller than it says", (refused(workbooks.zip(parts))))
    parts[4].size, parts[4].sum = nil, "abcd"
    assert.matches("wrong checksum", (refused(workbooks.zip(parts))))
    parts[4].sum, parts[4].method = nil, 12
    assert.matches("compressed in a way", (refused(workbooks.zip(parts))))
    parts[4].method, parts[4].flags = nil, 1
    assert.matches("encrypted", (refused(workbooks.zip(parts))))
    parts[4].flags = nil
    parts[4][2] = "<worksheet><sheetData>" .. ("<a>"):rep(200)
    assert.matches("nested more than 128", (refused(workbooks.zip(parts))))
    parts[4][2] = '<worksheet a="' .. ("x"):rep(1300000) .. '"/>'
    assert.matches("tag or comment of more than", (refused(workbooks.zip(parts))))
    parts[4][2] = good
    parts[#parts + 1] = { "XL/worksheets/Sheet1.xml", good }
    assert.matches("two of its parts have one name", (refused(workbooks.zip(parts))))
  end)

  it("refuses a number as long as the longest text, and does not read past its end", function()
    local longest = 1048576
    local book = { rows = "<row><c t='str'><v>h</v></c></row><row><c><v>" .. ("1"):rep(longest) .. "</v></c></row>" }
    local text, err = of(book)
    assert.is_nil(text)
    assert.matches("text of more than 1048576 bytes", err.message)
    book.rows = book.rows:gsub("1+</v>", "0</v>")
    assert.equal("h\n0\n", (of(book)))
  end)

  it("looks only into the archive, whatever its relationships say", function()
    local parts = workbooks.parts{ rows = workbooks.rows{ { "a" } } }
    local good = parts[3][2]
    for _, target in ipairs{ "../../../../etc/passwd", "/etc/passwd", "file:///etc/passwd", "" } do
      parts[3][2] = good:gsub('Target="[^"]*"', function() return 'Target="' .. target .. '"' end)
      local message = refused(workbooks.zip(parts))
      assert.truthy(message:find("is missing", 1, true) or message:find("no visible sheet", 1, true), message)
    end
    parts[3][2] = good:gsub('Target=', 'TargetMode="External" Target=')
    assert.matches("no visible sheet", (refused(workbooks.zip(parts))))
    parts[3][2] = good:gsub('Target="', 'Target="./x/../')
    command.write(folder .. "/a.xlsx", workbooks.zip(parts))
    assert.equal("a\n", (convert(folder .. "/a.xlsx")))
  end)

  it("refuses cells that cannot be, and says which", function()
    local vectors = {
      { "<row><c t='s'><v>1</v></c></row>", "cell A2 refers to a text" }, { "<row><c t='s'><v>-1</v></c></row>", "cell A2 refers to a text" },
      { "<row><c t='s'><v>99999999999999999999999</v></c></row>", "cell A2 refers to a text" },
      { "<row><c/><c><v>abc</v></c></row>", "cell B2 is marked as a number" }, { "<row><c><v>nan</v></c></row>", "cell A2 is marked as a number" },
      { "<row><c><v>0x10</v></c></row>", "cell A2 is marked as a number" }, { "<row><c><v>1e999</v></c></row>", "cell A2 is marked as a number" },
      { "<row><c t='q'><v>1</v></c></row>", "cell A2 is of a type" }, { "<row><c r='B2'/><c r='A2'/></row>",
        "cell B2 is followed by one that cannot" },
      { "<row><c r='XFE2'/></row>", "is followed by one that cannot" }, { "<row r='1'/>", "after row 1 of the sheet comes none" },
      { "<row><c r='A3'/></row>", "cell A2 says that it is in another row" },
      { "<row r='3'><c r='A3'/><c r='B2'/></row>", "cell B3 says that it is in another row" },
      { "<row r='1048577'/>", "after row 1 of the sheet comes none" }, { "<row r='x'/>", "after row 1 of the sheet comes none" },
      { "<row><c t='str'><v>" .. ("x"):rep(1100000) .. "</v></c></row>", "cell A2 has a text of more than 1048576 bytes" },
      { "<row><c t='str'><v>" .. ("x"):rep(500000) .. ("</v></c><c t='str'><v>"):rep(1) .. ("y"):rep(900000) .. "</v></c>"
        .. ("<c t='str'><v>" .. ("z"):rep(900000) .. "</v></c>"):rep(3) .. "</row>", "row 2 of the sheet has more than" },
    }
    for _, vector in ipairs(vectors) do
      local message = refused(workbooks.zip(workbooks.parts{ rows = "<row><c t='s'><v>0</v></c></row>" .. vector[1], shared = "<si><t>h</t></si>" }))
      assert.truthy(message:find(vector[2], 1, true), message)
    end
  end)

  it("refuses rows that become too long only where they are filled up, or where what stands before the header follows", function()
    local long = "<c t='str'><v>" .. ("z"):rep(1000000) .. "</v></c>"
    local header = "<row><c r='F1' t='str'><v>h</v></c><c r='XFD1' t='str'><v>end</v></c></row>"
    for _, row in ipairs{ long:rep(2) .. long:gsub("^<c", "<c r='F2'", 1) .. long:rep(2), "<c r='F2'/>" .. long:rep(4)
      .. "<c t='str'><v>" .. ("z"):rep(4194304 - 4000000 - 1000) .. "</v></c>" } do
      assert.matches("row 2 of the sheet has more than 4194304 bytes", (refused(workbooks.zip(workbooks.parts{ rows = header .. "<row>" .. row
        .. "</row>" }))))
    end
    assert.matches("shared text 1 %(from 0%) has a text of more than 1048576 bytes", (refused(workbooks.zip(workbooks.parts{ rows = header,
      shared = "<si/><si><t>" .. ("x"):rep(1048577) .. "</t></si>" }))))
  end)

  it("says what is wrong in one line of text, whatever the names are", function()
    local _, err = of({ rows = "" }, { sheet = "ab" .. ("名"):rep(25) })
    assert.equal('sheet: the workbook has no sheet "ab' .. ("名"):rep(19) .. '?"; it has "名单"', err.message)
    local name = folder .. "/\255\254名\n.xlsx"
    command.write(name, "PK\3\4")
    _, err = convert(name)
    assert.truthy(err.message:find(folder .. "/?名?.xlsx: is damaged", 1, true), err.message)
  end)

  it("leaves no descriptor to programs that are started meanwhile", function()
    local reader = assert(core.workbook.reader{ path = workbooks.write(folder .. "/a.xlsx", { rows = "" }), folder = folder })
    local out = folder .. "/open"
    os.execute("ls -l /proc/self/fd >" .. out)
    reader:close()
    assert.is_nil(command.read(out):find(folder .. "/a.xlsx", 1, true))
  end)

  it("reads and writes numbers with a point, whatever the locale of the process", function()
    local locale, script = folder .. "/ps_AF.UTF-8", folder .. "/numbers.lua" -- its decimal point has two bytes
    if command.run({ "localedef", "-i", "ps_AF", "-f", "UTF-8", locale }).code ~= 0 then
      return pending("localedef has no sources (Debian: apt-get install locales)")
    end
    command.write(script, ([[package.path, package.cpath = %q, %q
      require "campaign.error"
      local core = require "campaign.core"
      assert(os.setlocale("ps_AF.UTF-8"))
      local reader = assert(core.workbook.reader{ path = %q, folder = %q })
      repeat until assert(reader:step() ~= nil) and reader:info().last_row == 2
      io.write(core.json.encode{ 0.5, -1e-7, 1e300, 3 }, " ")
      for line in io.lines(reader:path()) do io.write(line, ";") end]]):format(package.path, package.cpath,
      workbooks.write(folder .. "/a.xlsx", { rows = "<row><c t='str'><v>h</v></c></row><row><c><v>12.50</v></c><c><v>-1.5E20</v></c></row>" }),
      folder))
    local result = command.run({ command.LUA == "luajit" and "luajit" or "lua5.4", script }, { env = { LOCPATH = folder,
      LD_PRELOAD = os.getenv("LD_PRELOAD") } })
    assert.equal("[0.5,-1e-07,1e+300,3] h;12.5,-1.50000000000000E+20;", result.out, result.err)
  end)

  it("survives every truncation and any mutation: a list or an error, and nothing else", function()
    local styles = "<numFmts><numFmt numFmtId='164' formatCode='yyyy'/></numFmts><cellXfs><xf numFmtId='0'/><xf numFmtId='164'/></cellXfs>"
    local parts = workbooks.parts{ shared = "<si><t>手机号</t></si><si><r><t>x_x000D_</t></r></si>", styles = styles,
      rows = "<row r='1'><c r='A1' t='s'><v>0</v></c></row>"
      .. "<row r='2'><c r='A2' s='1'><v>45000.5</v></c><c r='B2' t='e'><v>#N/A</v></c></row><row r='5'><c r='C5' t='s'><v>1</v></c></row>",
      after = "<mergeCells><mergeCell ref='A2:A3'/></mergeCells>" }
    local packed = workbooks.zip(parts)
    for _, part in ipairs(parts) do
      part.stored = true
    end
    local stored, seed = workbooks.zip(parts), lists.seed()
    local random, path, fine = lists.random(seed), folder .. "/m.xlsx", 0
    local function try(bytes)
      lists.write(path, bytes)
      local text, err = convert(path)
      assert(text or err.kind == "invalid" and #err.message > #path, "seed " .. seed)
      fine = fine + (text and 1 or 0)
    end
    for i = 0, #packed - 1, os.getenv("CAMPAIGN_TEST_TOOL") == "valgrind" and 97 or 3 do
      try(packed:sub(1, i))
    end
    assert.equal(0, fine)
    -- Stored parts: checksums are put right, so that what changed reaches the XML and the cells.
    for _ = 1, lists.rounds(1500) do
      local bytes = random(4) == 1 and packed or stored
      for _ = 1, random(4) do
        local at = random(#bytes)
        bytes = bytes:sub(1, at - 1) .. string.char(random(256) - 1) .. bytes:sub(at + (random(3) == 1 and random(5) or 1))
      end
      try(bytes)
    end
    local bits = { "]]>", "]", "&amp;", "&#65;", "&", "<!-- c -->", "<![CDATA[x]]>", "<?pi x?>", "\r\n", "\n", " ", "\239\191\191", "\255", "\1",
      "<a",
      "<a/>", "/>", "</v>", "<v>", "'", '"', ' a="1"', "名" }
    for _ = 1, lists.rounds(150) do
      local part = parts[random(#parts)]
      local before = part[2]
      for _ = 1, random(3) do
        local at = random(#part[2])
        part[2] = part[2]:sub(1, at - 1) .. (random(3) == 1 and string.char(random(94) + 32) or bits[random(#bits)])
          .. part[2]:sub(at + random(3) - 1)
      end
      try(workbooks.zip(parts))
      part[2] = before
    end
    assert.is_true(fine > 0)
  end)

  it("takes 25 MB for a list of any length #heavy", function()
    local script = folder .. "/memory.lua"
    local rows = { { "h", "n" } }
    local shared = {}
    for i = 1, 200000 do
      shared[i] = ("<si><t>a text that only this row has, number %d, and then some more of it</t></si>"):format(i)
      rows[#rows + 1] = ("<row><c t='s'><v>%d</v></c><c><v>13%09d</v></c></row>"):format(i - 1, i)
    end
    local path = workbooks.write(folder .. "/big.xlsx", { rows = workbooks.rows(rows), shared = table.concat(shared) })
    command.write(script, ([[package.path, package.cpath = %q, %q
      require "campaign.error"
      local core = require "campaign.core"
      local reader = assert(core.workbook.reader{ path = %q, folder = %q })
      repeat until assert(reader:step() ~= nil) and reader:info().last_row == 200001
      for line in io.lines("/proc/self/status") do
        if line:find("^VmHWM") then print(line:match("%%d+")) end
      end]]):format(package.path, package.cpath, path, folder))
    local result = command.run({ command.LUA == "luajit" and "luajit" or "lua5.4", script })
    assert.is_true(tonumber(result.out) < 25000, result.out .. result.err)
  end)
end)

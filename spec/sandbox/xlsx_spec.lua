-- SPDX-License-Identifier: MIT
-- Excel files as other writers make them: prefixes, absolute paths, texts with their pronunciation, numbers with an exponent, cells without a place.

local command = require "support.command"
local core = require "campaign.core"
local sheet = require "campaign.sandbox.sheet"
local sheets = require "support.sheets"

local MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
local STRICT = 'xmlns="http://purl.oclc.org/ooxml/spreadsheetml/main" xmlns:r="http://purl.oclc.org/ooxml/officeDocument/relationships"'
local RELATION = '<Relationship Id="%s" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/%s" Target="%s"/>'

-- Reads the files of these paths, and prints how many of them it refuses.
local READ_ALL = [[
package.path = "lua/?.lua;" .. package.path
local refused = 0
for path in (%q):gmatch("[^\n]+") do
  local rows, why = require("campaign.sandbox.xlsx").cells(path)
  assert(rows or why)
  refused = refused + (rows and 0 or 1)
end
print(refused)]]

describe("sandbox.xlsx", function()
  local folder = command.folder()

  local function read(entries, columns)
    local path = folder .. "/one.xlsx"
    command.write(path, sheet.archive(entries))
    return sheets.read(path, columns)
  end

  local function relations(...)
    local list = {}
    for i, part in ipairs{ ... } do
      list[i] = RELATION:format(part[1], part[2], part[3])
    end
    return { "xl/_rels/workbook.xml.rels",
      '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">' .. table.concat(list) .. "</Relationships>" }
  end

  it("takes the sheet that the workbook names first, wherever it lies", function()
    for _, target in ipairs{ "/xl/sheets/b.xml", "sheets/b.xml", "./sheets/b.xml", "../xl/sheets/../sheets/b.xml" } do
      assert.same({ { "right" } }, read({
        { "xl/workbook.xml", "<workbook " .. STRICT .. '><sheets><sheet name="m" sheetId="7" r:id="rB"/><sheet name="o" sheetId="1" r:id="rA"/>'
          .. "</sheets></workbook>" },
        relations({ "rA", "worksheet", "worksheets/sheet1.xml" }, { "rB", "worksheet", target }),
        { "xl/worksheets/sheet1.xml", "<worksheet " .. MAIN .. '><sheetData><row><c t="str"><v>wrong</v></c></row></sheetData></worksheet>' },
        { "xl/sheets/b.xml", "<worksheet " .. STRICT .. '><sheetData><row><c t="str"><v>right</v></c></row></sheetData></worksheet>' },
      }, 1))
    end
  end)

  it("reads elements with a prefix, rich texts without their pronunciation, cells without a place", function()
    assert.same({ { "name", "课 长", "", "" }, { "in", "A", "", "last" } }, read({
      { "xl/workbook.xml", '<x:workbook xmlns:x="u" xmlns:rel="v"><x:sheets><x:sheet name="m" sheetId="1" rel:id="r1"/></x:sheets>'
        .. "</x:workbook>" },
      relations({ "r1", "worksheet", "worksheets/sheet1.xml" }, { "r2", "sharedStrings", "/xl/texts.xml" }),
      { "xl/texts.xml", '<x:sst xmlns:x="u"><x:si><x:t>name</x:t></x:si><x:si><x:r><x:t>课</x:t></x:r><x:r><x:t xml:space="preserve"> 长</x:t></x:r>'
        .. '<x:rPh sb="0" eb="1"><x:t>カ</x:t></x:rPh><x:phoneticPr fontId="1"/></x:si></x:sst>' },
      { "xl/worksheets/sheet1.xml", '<x:worksheet xmlns:x="u"><x:sheetData>'
        .. '<x:row><x:c t="s"><x:v>0</x:v></x:c><x:c t="s"><x:v>1</x:v></x:c></x:row><x:row/>'
        .. '<x:row r="9"><x:c t="inlineStr"><x:is><x:t>in</x:t><x:rPh sb="0" eb="1"><x:t>no</x:t></x:rPh></x:is></x:c><x:c t="str"><x:f>A1</x:f>'
        .. '<x:v>_x0041_</x:v></x:c><x:c s="1"/><x:c><x:v>last</x:v></x:c></x:row></x:sheetData></x:worksheet>' },
    }, 4))
  end)

  it("gives numbers digit by digit, as they are shown, not as a writer spelt them", function()
    local cells = {}
    for _, number in ipairs{ "13800138000", "1.3800138E10", "13800138000.0", "-1.5", "1E3", "12345678901234567890", "0.1" } do
      cells[#cells + 1] = "<c><v>" .. number .. "</v></c>"
    end
    cells[#cells + 1] = '<c t="n"><v>8.6138E12</v></c><c t="str"><v>1.3E10</v></c>'
    local text = "<worksheet " .. MAIN .. "><sheetData><row>" .. table.concat(cells) .. "</row></sheetData></worksheet>"
    assert.same({ { "13800138000", "13800138000", "13800138000", "-1.5", "1000", "12345678901234567890", "0.1", "8613800000000", "1.3E10" } },
      read({ { "xl/worksheets/sheet1.xml", text } }, 9))
  end)

  it("says of a sheet that is not well-formed that it cannot be read", function()
    local fine, why = pcall(read, { { "xl/worksheets/sheet1.xml", "<worksheet><row></c></row></worksheet>" } }, 1)
    assert.is_false(fine)
    assert.truthy(tostring(why):find("the first sheet has no row of column names", 1, true), tostring(why))
  end)

  it("makes one character of two codes, and none of half of one", function()
    local cells = '<c t="str"><v>_xD83D__xDE00_!</v></c><c t="str"><v>a_xDE00_</v></c>'
    local text = "<worksheet " .. MAIN .. "><sheetData><row>" .. cells .. "</row></sheetData></worksheet>"
    assert.same({ { "😀!", "a\239\191\189" } }, read({ { "xl/worksheets/sheet1.xml", text } }, 2))
  end)

  it("says of an archive that is damaged anywhere that it cannot be read, or reads it; nothing is raised", function()
    local path = folder .. "/whole.xlsx"
    local writer = assert(core.sheet.writer{ path = path, columns = 2, source = core.source("userId,name\r\n" .. ("138,name\r\n"):rep(200)) })
    repeat
      local _, bytes = assert(writer:step())
    until bytes
    local whole = assert(core.system.read_file(path))
    local paths = {}
    for i = 1, 60 do
      local at = math.floor(#whole * i / 61)
      paths[i] = folder .. "/damaged" .. i .. ".xlsx"
      command.write(paths[i], i % 3 == 0 and whole:sub(1, at) or whole:sub(1, at) .. ("\255"):rep(8) .. whole:sub(at + 9))
    end
    local result = command.run({ "luajit", "-e", READ_ALL:format(table.concat(paths, "\n")) })
    assert.equal(0, result.code, result.err)
    assert.is_true(tonumber(result.out) > 20, result.out)
  end)
end)

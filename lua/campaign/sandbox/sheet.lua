-- SPDX-License-Identifier: MIT
-- Writes a small Excel file: one sheet of texts, the first row as shared strings and the rest inline, in a ZIP archive
-- without compression. For the members template, and for specs that upload member files.

local M = {}

-- Exclusive or of 32-bit numbers: LuaJIT's library, else the operator that only Lua 5.3 and later can read.
local xor
if jit then
  local bit = require "bit"
  xor = function(a, b)
    return bit.bxor(a, b) % 4294967296
  end
else
  xor = load("local a, b = ... return a ~ b")
end

local function crc32(bytes)
  local crc = 0xFFFFFFFF
  for i = 1, #bytes do
    crc = xor(crc, bytes:byte(i))
    for _ = 1, 8 do
      local low = crc % 2
      crc = (crc - low) / 2
      crc = low == 1 and xor(math.floor(crc), 0xEDB88320) or math.floor(crc)
    end
  end
  return xor(crc, 0xFFFFFFFF)
end

local function little(number, width)
  local bytes = {}
  for i = 1, width do
    bytes[i] = string.char(math.floor(number % 256))
    number = math.floor(number / 256)
  end
  return table.concat(bytes)
end

---The bytes of a ZIP archive.
---@param entries string[][] names and bytes
---@return string
function M.archive(entries)
  local pieces, directory, offset = {}, {}, 0
  for _, entry in ipairs(entries) do
    local name, bytes = entry[1], entry[2]
    local common = little(20, 2) .. little(0, 2) .. little(0, 2) .. little(0, 4) .. little(crc32(bytes), 4)
      .. little(#bytes, 4) .. little(#bytes, 4) .. little(#name, 2) .. little(0, 2)
    local piece = "PK\3\4" .. common .. name .. bytes
    directory[#directory + 1] = "PK\1\2" .. little(20, 2) .. common .. little(0, 2) .. little(0, 2) .. little(0, 2)
      .. little(0, 4) .. little(offset, 4) .. name
    pieces[#pieces + 1] = piece
    offset = offset + #piece
  end
  local listing = table.concat(directory)
  return table.concat(pieces) .. listing .. "PK\5\6" .. little(0, 4) .. little(#entries, 2) .. little(#entries, 2)
    .. little(#listing, 4) .. little(offset, 4) .. little(0, 2)
end

local SCHEMA = "http://schemas.openxmlformats.org/officeDocument/2006"
local HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
local SHEETS = "application/vnd.openxmlformats-officedocument.spreadsheetml."
local MAIN = HEAD .. '<%s xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
local TYPES = HEAD .. '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
  .. '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
  .. '<Default Extension="xml" ContentType="' .. SHEETS .. 'sheet.main+xml"/>'
  .. '<Override PartName="/xl/worksheets/sheet1.xml" ContentType="' .. SHEETS .. 'worksheet+xml"/>'
  .. '<Override PartName="/xl/sharedStrings.xml" ContentType="' .. SHEETS .. 'sharedStrings+xml"/></Types>'
local RELATIONS = HEAD .. '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
  .. '<Relationship Id="r1" Type="' .. SCHEMA .. '/relationships/%s" Target="%s"/>%s</Relationships>'
local WORKBOOK = HEAD .. '<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="'
  .. SCHEMA .. '/relationships"><sheets><sheet name="members" sheetId="1" r:id="r1"/></sheets></workbook>'

---The bytes of an .xlsx whose first sheet has these rows of texts.
---@param rows string[][]
---@return string
function M.write(rows)
  local strings, lines = {}, {}
  for number, row in ipairs(rows) do
    local cells = {}
    for column, value in ipairs(row) do
      local reference = string.char(64 + column) .. number
      if number == 1 then
        strings[#strings + 1] = "<si><t>" .. value .. "</t></si>"
        cells[column] = '<c r="' .. reference .. '" t="s"><v>' .. (#strings - 1) .. "</v></c>"
      else
        cells[column] = '<c r="' .. reference .. '" t="inlineStr"><is><t>' .. value .. "</t></is></c>"
      end
    end
    lines[number] = '<row r="' .. number .. '">' .. table.concat(cells) .. "</row>"
  end
  return M.archive{
    { "[Content_Types].xml", TYPES },
    { "_rels/.rels", RELATIONS:format("officeDocument", "xl/workbook.xml", "") },
    { "xl/workbook.xml", WORKBOOK },
    { "xl/_rels/workbook.xml.rels", RELATIONS:format("worksheet", "worksheets/sheet1.xml",
      '<Relationship Id="r2" Type="' .. SCHEMA .. '/relationships/sharedStrings" Target="sharedStrings.xml"/>') },
    { "xl/sharedStrings.xml", MAIN:format("sst") .. table.concat(strings) .. "</sst>" },
    { "xl/worksheets/sheet1.xml", MAIN:format("worksheet") .. "<sheetData>" .. table.concat(lines) .. "</sheetData></worksheet>" },
  }
end

return M

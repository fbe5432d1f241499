-- SPDX-License-Identifier: MIT
-- Makes Excel workbooks part by part, as other programs than ours write them, and archives that are none. gzip compresses and sums up.

local command = require "spec.support.command"

local M = {}

local function le(number, bytes)
  local out = {}
  for i = 1, bytes do
    out[i] = string.char(number % 256)
    number = math.floor(number / 256)
  end
  return table.concat(out)
end

-- Deflated bytes and CRC-32 of each text, by one shell for all.
local function deflate(texts)
  local folder = command.folder()
  for i, text in ipairs(texts) do
    command.write(folder .. "/" .. i, text)
  end
  local result = command.run({ "sh", "-c", "gzip -n [0-9]*" }, { cd = folder })
  assert(result.code == 0, result.err)
  local packed, sums = {}, {}
  for i in ipairs(texts) do
    local bytes = command.read(folder .. "/" .. i .. ".gz")
    packed[i], sums[i] = bytes:sub(11, -9), bytes:sub(-8, -5)
  end
  command.remove(folder)
  return packed, sums
end

---The bytes of an archive.
---@param parts table[] name, content; stored?, and what is to be said instead of the truth: size, packed (bytes), length (of them), sum, method, flags
---@return string
function M.zip(parts)
  local texts = {}
  for i, part in ipairs(parts) do
    texts[i] = part[2]
  end
  local packed, sums = deflate(texts)
  local bodies, entries, at = {}, {}, 0
  for i, part in ipairs(parts) do
    local body = part.packed or part.stored and part[2] or packed[i]
    local method = part.method or part.stored and 0 or 8
    local shared = le(20, 2) .. le(part.flags or 0, 2) .. le(method, 2) .. le(0, 4) .. (part.sum or sums[i]) .. le(part.length or #body, 4)
      .. le(part.size or #part[2], 4) .. le(#part[1], 2) .. le(0, 2)
    bodies[i] = "PK\3\4" .. shared .. part[1] .. body
    entries[i] = "PK\1\2" .. le(20, 2) .. shared .. le(0, 2) .. le(0, 2) .. le(0, 2) .. le(0, 4) .. le(at, 4) .. part[1]
    at = at + #bodies[i]
  end
  local directory = table.concat(entries)
  return table.concat(bodies) .. directory .. "PK\5\6" .. le(0, 4) .. le(#parts, 2) .. le(#parts, 2) .. le(#directory, 4) .. le(at, 4) .. le(0, 2)
end

local RELATION = '<Relationship Id="%s" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/%s" Target="%s"/>'

local function relations(list)
  local lines = {}
  for i, entry in ipairs(list) do
    lines[i] = RELATION:format(entry[1], entry[2], entry[3])
  end
  return '<?xml version="1.0" encoding="UTF-8"?>\n<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    .. table.concat(lines) .. "</Relationships>"
end

local MAIN = ' xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" '
  .. 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'

---The parts of a workbook, for M.zip.
---@param book table rows (the inside of sheetData) or several sheets `{ name, rows, state?, type? }`; shared, styles, before, after, properties
---@return table[] parts
function M.parts(book)
  local sheets = book.sheets or { { "名单", book.rows } }
  local list, links, parts = {}, {}, {}
  for i, sheet in ipairs(sheets) do
    list[i] = ('<sheet name="%s" sheetId="%d" r:id="rId%d"%s/>'):format(sheet[1], i, i, sheet.state and ' state="' .. sheet.state .. '"' or "")
    links[i] = { "rId" .. i, sheet.type or "worksheet", "worksheets/sheet" .. i .. ".xml" }
    parts[i] = { "xl/worksheets/sheet" .. i .. ".xml", '<?xml version="1.0" encoding="UTF-8"?>\n<worksheet' .. MAIN .. ">" .. (book.before or "")
      .. "<sheetData>" .. sheet[2] .. "</sheetData>" .. (book.after or "") .. "</worksheet>" }
  end
  if book.shared then
    links[#links + 1] = { "rId90", "sharedStrings", "sharedStrings.xml" }
    parts[#parts + 1] = { "xl/sharedStrings.xml", "<sst" .. MAIN .. ">" .. book.shared .. "</sst>" }
  end
  if book.styles then
    links[#links + 1] = { "rId91", "styles", "/xl/styles.xml" }
    parts[#parts + 1] = { "xl/styles.xml", "<styleSheet" .. MAIN .. ">" .. book.styles .. "</styleSheet>" }
  end
  table.insert(parts, 1, { "_rels/.rels", relations{ { "rId1", "officeDocument", "xl/workbook.xml" } } })
  table.insert(parts, 2, { "xl/workbook.xml", "<workbook" .. MAIN .. ">" .. (book.properties or "") .. "<sheets>" .. table.concat(list)
    .. "</sheets></workbook>" })
  table.insert(parts, 3, { "xl/_rels/workbook.xml.rels", relations(links) })
  return parts
end

---A cell with a text of its own, or a number.
---@param value string|number|nil
---@return string
function M.cell(value)
  if value == nil then
    return "<c/>"
  elseif type(value) == "number" then
    return ("<c><v>%.0f</v></c>"):format(value)
  end
  value = value:gsub("[&<>]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" })
  return '<c t="inlineStr"><is><t xml:space="preserve">' .. value .. "</t></is></c>"
end

---Rows of such cells; strings are taken as XML.
---@param rows (any[]|string)[]
---@return string
function M.rows(rows)
  local lines = {}
  for i, row in ipairs(rows) do
    local cells = {}
    for column = 1, type(row) == "table" and (row.n or #row) or 0 do
      cells[column] = M.cell(row[column])
    end
    lines[i] = type(row) == "string" and row or "<row>" .. table.concat(cells) .. "</row>"
  end
  return table.concat(lines)
end

---Writes a workbook.
---@param path string
---@param book table as for M.parts
---@return string path
function M.write(path, book)
  command.write(path, M.zip(M.parts(book)))
  return path
end

return M

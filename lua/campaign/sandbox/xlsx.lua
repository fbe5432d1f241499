-- SPDX-License-Identifier: MIT
-- Reads the first sheet of an Excel file: the names in its first row, and the rows below as tables by those names. Bounded in rows and
-- bytes; formulas count with their stored value, dates remain Excel's numbers. Accepts files of any writer: the first sheet may be
-- anywhere, elements may have a prefix, numbers an exponent.

local M = {}

local MAX_BYTES = 64 * 1048576
local MAX_ROWS = 200000

local function read_entry(archive, name)
  local file = archive:open(name)
  if not file then
    return nil
  end
  local pieces, bytes = {}, 0
  while true do
    local fine, piece = pcall(file.read, file, 65536) -- it raises where the packed bytes are damaged
    if not fine then
      file:close()
      return nil, "damaged"
    end
    if not piece or piece == "" then
      break
    end
    bytes = bytes + #piece
    if bytes > MAX_BYTES then
      file:close()
      return nil, "too large"
    end
    pieces[#pieces + 1] = piece
  end
  file:close()
  return table.concat(pieces)
end

-- Element names come without a prefix ("x:row" is how some writers say "row"). False when the text is not well-formed.
local function parse(text, on_start, on_data, on_end)
  local lxp = require "lxp"
  local function plain(name)
    local colon = name:find(":", 1, true)
    return colon and name:sub(colon + 1) or name
  end
  local parser = lxp.new{
    StartElement = function(_, name, attributes)
      on_start(plain(name), attributes)
    end,
    CharacterData = on_data and function(_, data)
      on_data(data)
    end,
    EndElement = on_end and function(_, name)
      on_end(plain(name))
    end,
  }
  local ok = parser:parse(text) and parser:parse()
  pcall(parser.close, parser) -- it raises once more what was wrong
  return ok
end

-- The texts that cells refer to by number. How a text is pronounced (rPh) is no part of it.
local function shared_strings(text)
  local list, current = {}, nil
  local in_text, in_phonetic = false, false
  local ok = parse(text, function(name)
    if name == "si" then
      current = {}
    elseif name == "rPh" then
      in_phonetic = true
    end
    in_text = name == "t" and not in_phonetic
  end, function(data)
    if in_text and current then
      current[#current + 1] = data
    end
  end, function(name)
    if name == "si" then
      list[#list + 1] = table.concat(current)
      current = nil
    elseif name == "rPh" then
      in_phonetic = false
    end
    in_text = false
  end)
  return ok and list or nil
end

-- An attribute whose prefix is the writer's choice.
local function attribute(attributes, name)
  for key, value in pairs(attributes) do
    if type(key) == "string" and (key == name or key:sub(-#name - 1) == ":" .. name) then
      return value
    end
  end
end

-- A target of the workbook's relations as a path in the archive: "sheets/a.xml", "./sheets/a.xml", "../xl/sheets/a.xml" and "/xl/sheets/a.xml" are one.
local function resolved(target)
  local steps = { target:sub(1, 1) ~= "/" and "xl" or nil }
  for step in target:gmatch("[^/]+") do
    if step == ".." then
      steps[#steps] = nil
    elseif step ~= "." then
      steps[#steps + 1] = step
    end
  end
  return table.concat(steps, "/")
end

-- What the workbook's relations say: paths in the archive by id, and of the shared texts.
local function relations(text)
  local by_id, strings = {}, nil
  parse(text or "", function(name, attributes)
    local target, kind = attributes.Target, attributes.Type or ""
    if name == "Relationship" and target then
      local path = resolved(target)
      by_id[attributes.Id or ""] = path
      if kind:sub(-14) == "/sharedStrings" then
        strings = path
      end
    end
  end)
  return by_id, strings
end

-- Where the first sheet and the shared texts lie.
local function find_parts(archive)
  local by_id, strings = relations(read_entry(archive, "xl/_rels/workbook.xml.rels"))
  local first
  parse(read_entry(archive, "xl/workbook.xml") or "", function(name, attributes)
    if name == "sheet" and not first then
      first = by_id[attribute(attributes, "id") or ""]
    end
  end)
  return first or "xl/worksheets/sheet1.xml", strings or "xl/sharedStrings.xml"
end

-- A number as a person would write it: 13800138000, however the writer spelt it. Numbers of more than 15 digits stay as they are.
local function plain_number(text)
  if text:find("^%-?%d+$") then
    return text
  end
  local number = tonumber(text)
  if number and number == math.floor(number) and math.abs(number) < 1e15 then
    return ("%.0f"):format(number)
  end
  return text
end

-- "_x0041_" in a text is a character by its code: A. Writers use it for what XML cannot hold, and for underscores that would read so.
local function decoded(text)
  if not text:find("_x", 1, true) then
    return text
  end
  text = text:gsub("_x(%x%x%x%x)_", function(hex)
    local code = tonumber(hex, 16)
    if code < 128 then
      return string.char(code)
    elseif code < 2048 then
      return string.char(192 + math.floor(code / 64), 128 + code % 64)
    end
    return string.char(224 + math.floor(code / 4096), 128 + math.floor(code / 64) % 64, 128 + code % 64)
  end)
  -- A character of two codes came out as its halves.
  text = text:gsub("\237([\160-\175])([\128-\191])\237([\176-\191])([\128-\191])", function(a, b, c, d)
    local code = 0x10000 + ((a:byte() % 16) * 64 + b:byte() % 64) * 1024 + (c:byte() % 16) * 64 + d:byte() % 64
    return string.char(240 + math.floor(code / 262144), 128 + math.floor(code / 4096) % 64, 128 + math.floor(code / 64) % 64, 128 + code % 64)
  end)
  return (text:gsub("\237[\160-\191][\128-\191]", "\239\191\189"))
end

local function column_of(reference)
  local number = 0
  for letter in (reference:match("^%u+") or ""):gmatch(".") do
    number = number * 26 + letter:byte() - 64
  end
  return number
end

local NUMBER = { n = true }

local function cell_text(cell, strings)
  local value, kind = table.concat(cell.text), cell.kind
  if kind == "s" then
    value = strings[(tonumber(value) or -1) + 1] or ""
  end
  if kind == "s" or kind == "inlineStr" or kind == "str" then
    return decoded(value)
  end
  return NUMBER[kind or "n"] and plain_number(value) or value
end

-- All rows of a sheet, each a table by column number; nil and why when the sheet is not well-formed or too long.
local function sheet_rows(text, strings)
  local rows, row, cell = {}, nil, nil
  local collecting, in_phonetic, too_long, column = false, false, false, 0
  local ok = parse(text, function(name, attributes)
    if name == "row" then
      row, column = {}, 0
    elseif name == "c" and row then
      column = attributes.r and column_of(attributes.r) or column + 1
      cell = { column = column, kind = attributes.t, text = {} }
    elseif name == "rPh" then
      in_phonetic = true
    elseif cell and (name == "v" or name == "t") then
      collecting = not in_phonetic
    end
  end, function(data)
    if collecting then
      table.insert(cell.text, data)
    end
  end, function(name)
    collecting = false
    if name == "rPh" then
      in_phonetic = false
    elseif name == "c" and cell and row then
      local value = cell_text(cell, strings)
      if value ~= "" then
        row[cell.column] = value
      end
      cell = nil
    elseif name == "row" and row then
      if #rows >= MAX_ROWS then
        too_long = true
      elseif next(row) ~= nil then
        rows[#rows + 1] = row
      end
      row = nil
    end
  end)
  if too_long then
    return nil, ("the first sheet has over %d rows, which is more than the sandbox reads"):format(MAX_ROWS)
  end
  return ok and rows or nil
end

---The rows of the first sheet, each a table of texts by column number. Empty rows are left out.
---@param path string
---@return table[]? rows
---@return string? why
function M.cells(path)
  local archive = require("zip").open(path)
  if not archive then
    return nil, "not an .xlsx"
  end
  local sheet_path, strings_path = find_parts(archive)
  local sheet, why = read_entry(archive, sheet_path)
  local strings, why_not = read_entry(archive, strings_path)
  archive:close()
  if why or why_not then
    return nil, "its sheet is " .. (why or why_not)
  elseif not sheet then
    return nil, "not an .xlsx with a first sheet"
  end
  local texts = strings and shared_strings(strings) or {}
  local rows
  rows, why = sheet_rows(sheet, texts)
  if not rows or not rows[1] then
    return nil, why or "the first sheet has no row of column names"
  end
  return rows
end

---Reads a members file.
---@param path string
---@return { columns: string[], rows: table[] }? sheet
---@return string? why
function M.read(path)
  local rows, why = M.cells(path)
  if not rows then
    return nil, why
  end
  local header = table.remove(rows, 1)
  local columns, names = {}, {}
  for number, name in pairs(header) do
    columns[#columns + 1] = name
    names[number] = name
  end
  local members = {}
  for i, row in ipairs(rows) do
    local member = {}
    for number, value in pairs(row) do
      if names[number] then
        member[names[number]] = value
      end
    end
    members[i] = member
  end
  return { columns = columns, rows = members }
end

return M

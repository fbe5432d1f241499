-- SPDX-License-Identifier: MIT
-- Reads the first sheet of an Excel file: the names in its first row, and the rows below as tables by those names.
-- Bounded in rows and bytes; formulas count with their stored value, dates stay the numbers that Excel has.

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
    local piece = file:read(65536)
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

local function parse(text, callbacks)
  local lxp = require "lxp"
  local parser = lxp.new(callbacks)
  local ok = parser:parse(text) and parser:parse()
  parser:close()
  return ok
end

-- The texts that cells refer to by number.
local function shared_strings(text)
  local list, current = {}, nil
  local in_text = false
  local ok = parse(text, {
    StartElement = function(_, name)
      if name == "si" then
        current = {}
      end
      in_text = name == "t"
    end,
    CharacterData = function(_, data)
      if in_text and current then
        current[#current + 1] = data
      end
    end,
    EndElement = function(_, name)
      if name == "si" then
        list[#list + 1] = table.concat(current)
        current = nil
      end
      in_text = false
    end,
  })
  return ok and list or nil
end

-- "_x0041_" in a text is a character by its code: A. Writers use it for what XML cannot hold, and for underscores that would read so.
local function decoded(text)
  if not text:find("_x", 1, true) then
    return text
  end
  return (text:gsub("_x(%x%x%x%x)_", function(hex)
    local code = tonumber(hex, 16)
    if code < 128 then
      return string.char(code)
    elseif code < 2048 then
      return string.char(192 + math.floor(code / 64), 128 + code % 64)
    end
    return string.char(224 + math.floor(code / 4096), 128 + math.floor(code / 64) % 64, 128 + code % 64)
  end))
end

local function column_of(reference)
  local number = 0
  for letter in (reference:match("^%u+") or ""):gmatch(".") do
    number = number * 26 + letter:byte() - 64
  end
  return number
end

-- All rows of a sheet, each a table by column number; nil when the sheet is not well-formed or too long.
local function sheet_rows(text, strings)
  local rows, row, cell, collecting = {}, nil, nil, false
  local too_long = false
  local ok = parse(text, {
    StartElement = function(_, name, attributes)
      if name == "row" then
        row = {}
      elseif name == "c" and row then
        local column = attributes.r and column_of(attributes.r) or #row + 1
        cell = { column = column, kind = attributes.t, text = {} }
      elseif cell and (name == "v" or name == "t") then
        collecting = true
      end
    end,
    CharacterData = function(_, data)
      if collecting then
        table.insert(cell.text, data)
      end
    end,
    EndElement = function(_, name)
      collecting = false
      if name == "c" and cell and row then
        local value = table.concat(cell.text)
        if cell.kind == "s" then
          value = strings[(tonumber(value) or -1) + 1] or ""
        end
        if cell.kind == "s" or cell.kind == "inlineStr" then
          value = decoded(value)
        end
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
    end,
  })
  return ok and not too_long and rows or nil
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
  local sheet = read_entry(archive, "xl/worksheets/sheet1.xml")
  local strings = read_entry(archive, "xl/sharedStrings.xml")
  archive:close()
  if not sheet then
    return nil, "not an .xlsx with a first sheet"
  end
  local texts = strings and shared_strings(strings) or {}
  local rows = sheet_rows(sheet, texts)
  if not rows or not rows[1] then
    return nil, "the first sheet has no row of column names"
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

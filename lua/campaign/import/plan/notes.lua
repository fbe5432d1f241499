-- SPDX-License-Identifier: MIT
-- Warnings about a list that no rule refuses: a column that is left out while a field that it may be meant for stays empty, and values in the first
-- rows that look damaged by a spreadsheet, a wrong encoding or a database. Nothing is changed or refused for it, and no value is shown.

local columns_module = require "campaign.import.plan.columns"
local core = require "campaign.core"

local M = {}

-- Rows that are examined, bytes of each value, and warnings, at most.
local MOST, BEGINNING, MOST_NOTES = 100, 1000, 50

-- Characters of Latin-1 beyond ASCII, in UTF-8.
local HIGH = "[\194\195][\128-\191]"

-- Each mark: what values with it hold, and whether this one has it.
local NUMBERS = {
  { says = "numbers like 1.38E+10: a spreadsheet has rounded them and digits are lost; export them anew, as text",
    of = function(value) return value:find("^%d%.?%d*[eE]%+?%d+$") end }, -- linear: disjoint classes
  { says = "numbers that end in .0: they were taken for amounts",
    of = function(value) return #value > 8 and value:find("^%d+%.0+$") end }, -- linear: disjoint classes
  { says = "numbers after an apostrophe, by which a spreadsheet keeps them as text",
    of = function(value) return value:find("^'[%d+]") end },
  { says = "formulas like =\"...\" around a value",
    of = function(value) return value:find('^="') end },
  { says = "numbers of 16 and more digits that end in 000: a spreadsheet keeps only the first 15 digits",
    of = function(value) return #value > 15 and value:find("^%d+000$") end },
}

local TEXTS = {
  { says = "U+FFFD, which stands for a character that was lost before",
    of = function(value) return value:find("\239\191\189", 1, true) or value:find("锟斤拷", 1, true) end },
  { says = "nothing but question marks: their characters were lost before",
    of = function(value) return value:find("^%?%?[%? ]*$") end },
  { says = "text that was read in a wrong encoding before and saved again",
    of = function(value) return value:find(HIGH .. HIGH .. HIGH) end },
  { says = "\\N, by which a database writes that there is nothing",
    of = function(value) return value == "\\N" end },
}

local function count(counts, column, marks, value)
  for _, mark in ipairs(marks) do
    if mark.of(value) then
      local found = counts[column] or {}
      counts[column], found[mark] = found, (found[mark] or 0) + 1
      return
    end
  end
end

-- The columns that are sent, each once.
local function sent_columns(mapping)
  local columns, seen = {}, {}
  for _, entry in ipairs(mapping.fields) do
    for _, part in ipairs(entry.items or { entry }) do
      if part.column and not seen[part.column] then
        seen[part.column] = true
        columns[#columns + 1] = part.column
      end
    end
  end
  return columns
end

-- Counts the marks in the first rows; returns the number of rows. A list that has become unreadable is reported by the run.
local function look(input, columns, counts)
  local rows = 0
  pcall(function()
    for number, fields in input:rows(nil, MOST) do
      rows = number
      for _, column in ipairs(columns) do
        local value = (fields[column] or ""):sub(1, BEGINNING)
        if value:find("^[%d'=]") then
          if #value > 15 or value:find("%D") then -- shorter plain numbers have no mark
            count(counts, column, NUMBERS, value)
          end
        elseif value:find("[\194\195\233\239?\\]") then
          count(counts, column, TEXTS, value)
        end
      end
    end
  end)
  return rows
end

-- What is to be said of a sheet, and of those of its columns that are used.
local function notes_of_sheet(workbook, mapping)
  local notes, is_unused = {}, {}
  for _, name in ipairs(mapping.unused or {}) do
    is_unused[name] = true
  end
  for i, note in ipairs(workbook.notes or {}) do
    notes[i] = note
  end
  for _, doubt in ipairs(workbook.doubtful or {}) do
    if not is_unused[doubt.column] then
      notes[#notes + 1] = doubt.says
    end
  end
  return notes
end

---@param input userdata
---@param mapping campaign.mapping
---@param names string[] columns of the list
---@param workbook { notes: string[]?, doubtful: table[]? }? that it was made of
---@return string[] notes
function M.of(input, mapping, names, workbook)
  local notes, counts, columns, left_out = {}, {}, sent_columns(mapping), 0
  local function add(note)
    if #notes < MOST_NOTES then
      notes[#notes + 1] = note
    else
      left_out = left_out + 1
    end
  end
  for _, from in ipairs({ notes_of_sheet(workbook or {}, mapping), mapping.notes }) do
    for _, note in ipairs(from) do
      add(note)
    end
  end
  local rows = look(input, columns, counts)
  for _, column in ipairs(columns) do
    for _, marks in ipairs({ NUMBERS, TEXTS }) do
      for _, mark in ipairs(marks) do
        local found = counts[column] and counts[column][mark]
        if found then
          add(("column %s: of the first %d rows, %d hold %s"):format(columns_module.shown({ names[column] }), rows, found, mark.says))
        end
      end
    end
  end
  if left_out > 0 then
    notes[#notes + 1] = ("and %d more of this kind"):format(left_out)
  end
  return core.json.array(notes)
end

return M

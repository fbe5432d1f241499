-- SPDX-License-Identifier: MIT
-- Finds a column of the file by name: exactly, loosely, or by the platform's aliases. Pure; import/plan/mapping.lua decides what to look for.

local human = require "campaign.human"
local shell_quote = require "campaign.shell_quote"
local suggest = require "campaign.api.suggest"

local M = {}

-- Comparisons of names, at most, for advice: with thousands of columns they would take seconds.
local MOST_COMPARED = 20000

-- Whether a character of two or three bytes is a blank, or is not seen at all: what spreadsheets, web pages and input methods leave around a
-- name. No-break and ideographic spaces, those of a certain width, line separators, zero-width characters, marks of direction, soft
-- hyphens, a second byte-order mark.
local function is_wide_blank(first, second, third)
  if first == 0xC2 then
    return not third and (second == 0x85 or second == 0xA0 or second == 0xAD)
  elseif first == 0xE2 and third then
    return second == 0x80 and (third <= 0x8F or third >= 0xA8 and third <= 0xAF) or second == 0x81 and third >= 0x9F and third <= 0xA9
  end
  return first == 0xE3 and second == 0x80 and third == 0x80 or first == 0xEF and second == 0xBB and third == 0xBF
end

-- Bytes of the blank at the beginning or the end of name[first..last]; 0 when there is none.
local function blank_at(name, first, last, at_end)
  local byte = name:byte(at_end and last or first) or 33
  if byte <= 32 or byte == 127 then
    return 1
  elseif byte < 127 then
    return 0
  end
  for size = 2, math.min(3, last - first + 1) do
    local from = at_end and last - size + 1 or first
    if is_wide_blank(name:byte(from, from + size - 1)) then
      return size
    end
  end
  return 0
end

-- Header names are compared without surrounding blanks and, for ASCII, without letter case.
local function plain(name)
  local first, last = 1, #name
  local size
  repeat
    size = first <= last and blank_at(name, first, last, false) or 0
    first = first + size
  until size == 0
  repeat
    size = first <= last and blank_at(name, first, last, true) or 0
    last = last - size
  until size == 0
  return name:sub(first, last):lower()
end

-- Bytes of a name that are shown: a list read in the wrong encoding may be one name from end to end.
local MOST_SHOWN = 40

-- A name for a message. The first line of a list without a header has personal data: long numbers are masked.
local function shown(name)
  return '"' .. human.cut(name, MOST_SHOWN):gsub("%d%d%d%d%d%d%d+", function(digits) return digits:sub(1, 3) .. ("*"):rep(#digits - 3) end) .. '"'
end

---Names of a header for a message.
---@param names string[]
---@return string
function M.shown(names)
  local parts = {}
  for i, name in ipairs(names) do
    if i > 50 then
      parts[i] = "..."
      break
    end
    parts[i] = shown(name)
  end
  return #parts == 0 and "(none)" or table.concat(parts, ", ")
end

---Names of fields or columns for a message, as they are.
---@param names string[]
---@return string
function M.quoted(names)
  local parts = {}
  for i, name in ipairs(names) do
    parts[i] = '"' .. name .. '"'
  end
  return #parts == 0 and "(none)" or table.concat(parts, ", ")
end

-- Whether a name is rather a person's phone number or e-mail address.
local function is_value(name)
  local digits = name:gsub("[%s+-]", "")
  return #digits >= 7 and digits:find("^%d+$") ~= nil or name:find("^[^%s@]+@[%w-]+%.[%w.-]+$") ~= nil -- linear: disjoint borders
end

---Advice for a header that does not look like one: it is a row of data, or a single column whose name contains a separator or is very long.
---@param names string[]
---@return string?
function M.doubt(names)
  local only = #names == 1 and names[1] or ""
  if only:find("[;\t]") then
    return 'its columns seem to be separated otherwise: say delimiter = "auto" (--delimiter auto)'
  elseif only:find(",", 1, true) then
    return 'its columns seem to be separated by commas: delimiter = ","'
  elseif only:find("[|^\1]") or only:find("，", 1, true) or only:find("、", 1, true) or only:find("%S  +%S") then
    return "its columns seem to be separated by what is not read: save it with commas, semicolons or tabs"
  elseif #only > 200 then
    return "that is one column: is the file in another encoding (option `encoding`)?"
  end
  for _, name in ipairs(names) do
    if is_value(name) then
      return "that seems to be a row: the first line must name the columns"
    end
  end
  return nil
end

---@class campaign.columns
---@field names string[] the header
---@field plain string[] the same, as they are compared
---@field compared integer what advice has cost so far
---@field exact table<string, integer>
---@field loose table<string, integer[]>
---@field aliases table<string, string[]>

---Prepares a header for look-ups.
---@param names string[]
---@param aliases table<string, string[]>?
---@return campaign.columns
function M.index(names, aliases)
  local exact, loose, keys = {}, {}, {}
  for i, name in ipairs(names) do
    exact[name] = exact[name] or i
    local key = plain(name)
    keys[i] = key
    loose[key] = loose[key] or {}
    table.insert(loose[key], i)
  end
  return { names = names, plain = keys, exact = exact, loose = loose, aliases = aliases or {}, compared = 0 }
end

---The column that a user named: exactly, or without case and blanks where that leaves one.
---@param index campaign.columns
---@param name string
---@return integer?
function M.named(index, name)
  if index.exact[name] then
    return index.exact[name]
  end
  local found = index.loose[plain(name)]
  return found and #found == 1 and found[1] or nil
end

-- The names under which a header may mean this field: its own alias list, and for columns the platform named itself the whole
-- group in which that name stands (the target's column may be called 手机号 and the file's "phone").
local function synonyms(aliases, name)
  local own = aliases[name]
  if own then
    return own
  end
  for key, group in pairs(aliases) do
    for _, alias in ipairs(group) do
      if plain(alias) == plain(name) then
        local all = { key }
        for _, other in ipairs(group) do
          all[#all + 1] = other
        end
        return all
      end
    end
  end
  return {}
end

local function free(list, taken)
  local found = {}
  for _, column in ipairs(list or {}) do
    if not taken[column] then
      found[#found + 1] = column
    end
  end
  return found
end

---Columns that fit a field by a looser name than its own.
---@param index campaign.columns
---@param name string
---@param taken table<integer, boolean> columns that are not to be looked at
---@return integer[]
function M.others(index, name, taken)
  local found, seen = {}, {}
  local function add(key)
    for _, fitting in ipairs(free(index.loose[plain(key)], taken)) do
      if not seen[fitting] then
        seen[fitting] = true
        found[#found + 1] = fitting
      end
    end
  end
  add(name)
  for _, alias in ipairs(synonyms(index.aliases, name)) do
    add(alias)
  end
  return found
end

---A header that means this field by itself: wire name exactly, or without case and blanks, or an alias. More than one of the latter is
---reported, not chosen from.
---@param index campaign.columns
---@param name string
---@param taken table<integer, boolean> columns that are not to be looked at
---@return integer? column
---@return string[]? several the names that all fit
function M.find(index, name, taken)
  local column = index.exact[name]
  if column and not taken[column] then
    return column
  end
  local found = M.others(index, name, taken)
  if #found > 1 then
    local names = {}
    for i, fitting in ipairs(found) do
      names[i] = index.names[fitting]
    end
    return nil, names
  end
  return found[1]
end

---The column that a field without one may have been meant for: its name has that of the field or an alias in it ("手机号（必填）", "Mobile
---Phone"), or is a misspelling of it. For messages only: nothing is filled by it.
---@param index campaign.columns
---@param name string
---@param taken table<integer, boolean> columns that are not to be looked at
---@return integer?
function M.likely(index, name, taken)
  local words = {}
  local others = synonyms(index.aliases, name)
  for at = 0, #others do
    local word = plain(at == 0 and name or others[at])
    words[#words + 1] = #word > 3 and word or nil
  end
  index.compared = index.compared + #words * #index.names
  local found
  for i, key in ipairs(index.compared <= MOST_COMPARED and index.plain or {}) do
    for at = 1, taken[i] and 0 or #words do
      if key:find(words[at], 1, true) or suggest.nearest(words[at], { key }) then
        if found and found ~= i then
          return nil
        end
        found = i
      end
    end
  end
  return found
end

---An entry of `map`, as scripts and as command lines give it.
---@param name string of the field
---@param column string? nil: any
---@return string
function M.map_entry(name, column)
  local key = name:find("^[%a_][%w_]*$") and name or '["' .. name .. '"]'
  return ('map = { %s = "%s" }, or --map %s'):format(key, column or "...", shell_quote(name .. "=" .. (column or "...")))
end

---How to fill a field from a column, as advice; how that is said at all without a column, or with one whose name is not to be shown.
---@param name string of the field
---@param column string?
---@return string
function M.advice(name, column)
  if not column or shown(column) ~= '"' .. column .. '"' or is_value(column) or column:find('["\\%c]') then
    return "say which: " .. M.map_entry(name)
  end
  return ('if "%s" is meant, say %s'):format(column, M.map_entry(name, column))
end

return M

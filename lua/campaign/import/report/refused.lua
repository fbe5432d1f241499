-- SPDX-License-Identifier: MIT
-- Finds the rows of a batch that an answer refuses, with the platform's messages: from the list named in the platform's data
-- (`rows.result.failed_rows`), by row number, by the value of a field, or by the row as it was sent. Pure. Returns nil and a reason for a
-- list that cannot belong to this batch.

local build = require "campaign.api.build"
local error_object = require "campaign.error"
local json = require "campaign.json"
local names_of = require "campaign.names"
local normalise = require "campaign.api.normalise"
local row_tree = require "campaign.api.row_tree"
local sorted = require "campaign.sorted"

local M = {}

-- The items of a joined list: none of them holds the separator.
local function split(text, separator)
  local items, from = {}, 1
  repeat
    local first, last = text:find(separator, from, true)
    items[#items + 1] = text:sub(from, (first or 0) - 1)
    from = (last or 0) + 1
  until not first
  return items
end

---@class campaign.import.refusal what an answer says of one row
---@field position integer? among the rows that were sent, from 1
---@field row any? else what names the row: the row itself, or the text of one of its fields
---@field code string|number|nil
---@field message string?

local function at(item, path)
  if path == "." then
    return item
  end
  return normalise.at(item, path)
end

local function text_of(value)
  if type(value) == "number" and value == math.floor(value) then
    return ("%.0f"):format(value) -- %d raises for what no integer can hold
  end
  local kind = type(value)
  return (kind == "string" or kind == "number" or kind == "boolean") and tostring(value) or nil
end

local function one_line(text)
  return text and text:find("%S") and (text:gsub("%s+", " ")) or nil
end

-- The code and message that an entry has for a row, each as one line.
local function said(how, item)
  return one_line(how.code and text_of(at(item, how.code)) or nil), one_line(how.reason and text_of(at(item, how.reason)) or nil)
end

-- Whether an entry is of a row that was accepted.
local function is_accepted(how, item)
  return how.unless ~= nil and normalise.meets(item, how.unless)
end

-- The values by which an entry names rows: one, or a list of them.
local function values_of(how, item)
  local value = how.value and at(item, how.value)
  return type(value) == "table" and value or { value }
end

---How many rows the list of an answer refuses.
---@param how table `failed_rows` of the platform's data
---@param list any[] as it came
---@param rows integer that were sent
---@return integer
---@return string? why the list cannot be of this batch
function M.count(how, list, rows)
  local count = 0
  for _, item in ipairs(list) do
    if not is_accepted(how, item) then
      count = count + (how.value and math.max(#values_of(how, item), 1) or 1)
    end
  end
  if how.unless and #list ~= rows then
    return count, ("it has entries for %d of %d rows"):format(#list, rows)
  end
  return count
end

-- The rows that an entry names by their values.
local function add_values(how, item, i, refusals)
  local values = values_of(how, item)
  for k = 1, math.max(#values, 1) do
    local text = text_of(values[k])
    if not text or text == "" then
      return ("entry %d of its refused rows has no `%s`"):format(i, how.value)
    end
    local code, message = said(how, item)
    refusals[#refusals + 1] = { row = text, code = code, message = message }
  end
  return nil
end

-- The row that an entry names by its number.
local function position_of(how, item, i, rows, seen)
  if how.in_order then
    return i
  end
  local digits = text_of(at(item, how.index)) or ""
  local number = digits:find("^%d+$") and tonumber(digits) -- tonumber alone also reads "0x1" and " 1e0 "
  local position = number and number - how.from + 1
  if not position or position < 1 or position > rows then
    return nil, ("it refuses row %s, counted from %d"):format(text_of(at(item, how.index)) or "without a number", how.from)
  elseif seen[position] then
    return nil, ("it refuses row %.0f twice"):format(number)
  end
  seen[position] = true
  return position
end

---Reads the list of an answer, as far as possible without reading the rows.
---@param how table `failed_rows` of the platform's data
---@param list any[] as it came
---@param rows integer that were sent
---@return campaign.import.refusal[]?
---@return string? why not
function M.read(how, list, rows)
  local refusals, seen = {}, {}
  for i, item in ipairs(list) do
    local is_refused, position, why = not is_accepted(how, item), nil, nil
    if is_refused and how.value then
      why = add_values(how, item, i, refusals)
    elseif is_refused then
      if how.index or how.in_order then
        position, why = position_of(how, item, i, rows, seen)
      end
      local code, message = said(how, item)
      refusals[#refusals + 1] = { position = position, row = not position and item or nil, code = code, message = message }
    end
    if why then
      return nil, why
    end
  end
  return refusals
end

---Whether the platform gives details for each row, which are then kept row by row.
---@param how table
---@return boolean
function M.is_each(how)
  return (how.index or how.in_order or how.value or how.reason or how.code) ~= nil
end

-- One text for a row, so that equal rows have equal texts. Empty and absent are the same: a platform that echoes a row may write
-- null or "" for what we left out. Keys that we did not send (its own reason) do not count.
local function row_key(row, names)
  if type(row) ~= "table" then
    return text_of(row) or ""
  end
  local parts = {}
  for i, name in ipairs(names) do
    local value = row[name]
    if type(value) == "table" then
      local inner = sorted.keys(value) -- of JSON: all texts, or all numbers
      value = tostring(#inner) .. "{" .. row_key(value, inner) .. "}"
    else
      value = text_of(value) or ""
    end
    parts[i] = #value .. ":" .. value
  end
  return table.concat(parts, ",")
end

-- The names of fields that occur in the rows, and the known ones, sorted.
local function names_in(sent, known)
  local names, seen = {}, {}
  local function add(name)
    if not seen[name] then
      seen[name] = true
      names[#names + 1] = name
    end
  end
  for _, name in ipairs(known or {}) do
    add(name)
  end
  for _, row in ipairs(sent) do
    for name in pairs(type(row) == "table" and row or {}) do
      add(name)
    end
  end
  table.sort(names, function(left, right)
    return tostring(left) < tostring(right)
  end)
  return names
end

-- Whether refused rows can be identified although rows share a name: if only some of the rows of one name are refused, all of them must be equal.
local function are_told_apart(sent, known, key_of, named)
  local names = names_in(sent, known)
  local whole, counts = {}, {}
  for i, row in ipairs(sent) do
    local key = key_of(i)
    if named[key] then
      local text = row_key(row, names)
      counts[key] = (counts[key] or 0) + 1
      if whole[key] and whole[key] ~= text then
        whole[key] = false
      elseif whole[key] == nil then
        whole[key] = text
      end
    end
  end
  for key, refusals in pairs(named) do
    if whole[key] == false and #refusals < counts[key] then
      return false
    end
  end
  return true
end

---Finds the rows that an answer refuses among those that were sent, as a multiset: of equal rows the first count.
---@param how table `failed_rows`
---@param sent any[] decoded rows, in the order sent
---@param refusals campaign.import.refusal[] of `read`, without positions
---@param known string[]? field names that count even where no sent row has them
---@return integer[]? positions in `sent`, ascending
---@return table<integer, campaign.import.refusal>|string by position; or why not: a row that we never sent
function M.match(how, sent, refusals, known)
  local names = not how.value and names_in(sent, known)
  local function key_of(i)
    local row = sent[i]
    if how.value then
      return text_of(how.field and type(row) == "table" and row[how.field] or row) or ""
    end
    return row_key(row, names)
  end
  local named = {}
  for _, refusal in ipairs(refusals) do
    local is_alike = (type(refusal.row) == "table") == (type(sent[1]) == "table")
    local key = how.value and refusal.row or is_alike and row_key(refusal.row, names) or false
    named[key] = named[key] or {}
    table.insert(named[key], refusal)
  end
  if how.value and not are_told_apart(sent, known, key_of, named) then
    return nil, "rows that it refuses share their `" .. (how.field or "value") .. "` with others of this batch: which is meant is not said"
  end
  local positions, by_position = {}, {}
  for i = 1, #sent do
    local waiting = named[key_of(i)]
    if waiting and waiting[1] then
      positions[#positions + 1] = i
      by_position[i] = table.remove(waiting, 1)
    end
  end
  if #positions ~= #refusals then
    return nil, ("%d of the %d rows given back are not rows of this batch"):format(#refusals - #positions, #refusals)
  end
  return positions, by_position
end

-- The rows of a form: one text, or one for each.
local function form_rows(operation, text)
  local rows = {}
  for _, pair in ipairs(build.pairs_in(text)) do
    rows[#rows + 1] = pair[1] == operation.rows.field and pair[2] or nil
  end
  return operation.rows.join and split(rows[1] or "", operation.rows.join) or rows
end

-- The rows of a JSON body.
local function json_rows(operation, text)
  if operation.body == "ndjson" then
    text = "[" .. text:gsub("\n$", ""):gsub("\n", ",") .. "]" -- no text within a line holds a line end of its own
  end
  local body, err = json.decode(text, { bytes = #text + 1 })
  if operation.rows.is_call then
    return body and { body }, err
  elseif operation.body ~= "json" then
    return body, err
  end
  for _, step in ipairs(operation.rows.steps) do
    body = type(body) == "table" and body[step] or nil
  end
  local join = operation.rows.join
  return type(body) == "string" and join and split(body, join) or body, err
end

---The rows of a batch as they were sent, out of its body; members of objects by their paths.
---@param operation table
---@param encoder userdata
---@param input userdata
---@param batch table
---@return any[]? rows
---@return campaign.error? err
function M.sent_rows(operation, encoder, input, batch)
  local text, err = encoder:text(input, batch)
  if not text then
    return nil, err
  end
  local body
  body, err = (operation.body == "form" and not operation.rows.is_call and form_rows or json_rows)(operation, text)
  if type(body) ~= "table" then
    return nil, err
  end
  local _, objects = row_tree.flatten(operation.rows.row and operation.rows.row.fields or {})
  for i, row in ipairs(body) do
    body[i] = row_tree.flat_row(row, objects)
  end
  return body
end

---The rows of a batch that an answer refuses.
---@param operation table
---@param refusals campaign.import.refusal[] of `read`
---@param encoder userdata
---@param input userdata
---@param batch table
---@return integer[]? positions among the rows that were sent, ascending
---@return table<integer, campaign.import.refusal>|string by position; or why not
function M.find(operation, refusals, encoder, input, batch)
  local how, rows = operation.rows.result.failed_rows, operation.rows
  if how.index or how.in_order then
    local positions, by_position = {}, {}
    for i, refusal in ipairs(refusals) do
      positions[i], by_position[refusal.position] = refusal.position, refusal
    end
    table.sort(positions)
    return positions, by_position
  end
  local sent, err = M.sent_rows(operation, encoder, input, batch)
  if not sent or #sent ~= batch.accepted then
    return nil, "the rows of the batch could not be read again" .. (error_object.is(err) and ": " .. tostring(err) or "")
  end
  local leaves, objects = row_tree.flatten(rows.row.fields or {})
  for _, refusal in ipairs(refusals) do
    refusal.row = row_tree.flat_row(refusal.row, objects)
  end
  return M.match(how, sent, refusals, names_of(leaves))
end

return M

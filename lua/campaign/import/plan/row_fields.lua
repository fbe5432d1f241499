-- SPDX-License-Identifier: MIT
-- The fields that a row of an operation may have, and their descriptions for the core's encoder: from the platform's data and the user's
-- options. Pure; import/plan/mapping finds a column for each.

local convert = require "campaign.api.convert"
local core = require "campaign.core"
local merged = require "campaign.merged"
local row_tree = require "campaign.api.row_tree"
local sorted = require "campaign.sorted"

local M = {}

-- A value as text; 1.0, which Lua 5.4 makes of a divided or decoded number, equals the 1 of the data.
local function text_of(value)
  return type(value) == "number" and convert.int64_text(value) or tostring(value)
end

---Whether a list has a value. Members are compared as text: `set` and `params` may hold 1 where the data says "1".
---@param list any[]?
---@param value any
---@return boolean
function M.contains(list, value)
  local text = text_of(value)
  for _, item in ipairs(list or {}) do
    if text_of(item) == text then
      return true
    end
  end
  return false
end

---Whether a field is an array of { id, value }: custom fields, each of which is mapped on its own.
M.is_parts = row_tree.is_parts

---Whether a field is filled part by part ("components.<id>").
---@param operation table
---@param name string
---@return boolean
function M.has_parts(operation, name)
  for _, field in ipairs(operation.rows.shape == "object" and operation.rows.row.fields or {}) do
    if field.name == name then
      return M.is_parts(field)
    end
  end
  return false
end

-- The only field of rows that are values: what a row is described as, under the name of its column. A value that holds what joins them would
-- turn into two on the other side; without the first character of it there is no such value.
local function value_field(operation, name)
  local row, join = operation.rows.row, operation.rows.join
  return merged(row, { name = name, required = true, forbid = join and (row.forbid or "") .. join:match("^.?[\128-\191]*") or row.forbid })
end

---The fields one row may have, whatever its shape: the row type's fields, those of objects by their paths, or the target's columns.
---@param operation table a loaded operation
---@param target_columns table[]? `{ name, required }` where the platform was asked for its columns
---@param params table? of rows that are calls: what all of them have
---@return table[]
function M.list(operation, target_columns, params)
  local rows = operation.rows
  if rows.is_call then
    local list = {}
    for _, field in ipairs((row_tree.flatten(rows.row.fields))) do
      list[#list + 1] = (params or {})[field.name] == nil and field or nil
    end
    return list
  elseif rows.shape == "object" then
    return (row_tree.flatten(rows.row.fields or {}))
  end
  local fields = {}
  for i, column in ipairs(target_columns or rows.columns) do
    if rows.shape == "value" then
      fields[i] = value_field(operation, column)
    elseif type(column) == "string" then
      fields[i] = { name = column, type = "string", required = true }
    elseif not target_columns then
      fields[i] = column
    else
      fields[i] = { name = column.name, type = "string", required = column.required or false }
    end
  end
  return fields
end

local function enum_values(values)
  if not values or values.open then
    return nil
  end
  local list = {}
  for i, entry in ipairs(values) do
    local value = entry.value == nil and entry[1] or entry.value
    list[i] = type(value) == "number" and string.format("%d", value) or tostring(value)
  end
  return list
end

-- An array of texts that is sent as one.
local function is_array(field)
  return field.type == "array" and not field.join and field.items ~= nil and field.items.type == "string"
end

---Whether a field is a list, filled by splitting a cell: one that is sent as a text ("a,b"), or an array of texts.
---@param field table
---@return boolean
function M.is_list(field)
  return field.type == "array" and field.join ~= nil or is_array(field)
end

local SCALARS = {
  string = "string", integer = "integer", int64 = "integer", boolean = "boolean", number = "number",
  datetime = "datetime", date = "date", any = "string",
}

---The pattern that the platform's data demands of a field, if the core can check it.
---@param field table?
---@return string?
function M.pattern(field)
  local pattern = field and field.pattern
  return pattern and core.rows.checks()[pattern] and pattern or nil
end

---The objects in a row of an operation.
---@param operation table
---@return table objects of row_tree.flatten
function M.objects(operation)
  local _, objects = row_tree.flatten(operation.rows.shape == "object" and operation.rows.row.fields or {})
  return objects
end

---Whether a row takes a name that no field has: rows and objects of an open type do.
---@param operation table
---@param objects table of `objects`
---@param name string
---@return table|boolean|nil parent the object that it goes into; true: the row itself
function M.takes_own(operation, objects, name)
  local parent, key = name:match("^(.*)%.([^.]+)$") -- linear: the last dot
  if parent then
    return key and objects[parent] and objects[parent].open and objects[parent] or nil
  end
  return operation.rows.shape == "object" and operation.rows.row.open or nil
end

-- The objects that contain a field, as the encoder takes them.
local function parents_of(field, options)
  local parents
  for i, parent in ipairs(field.parents or {}) do
    parents = parents or {}
    parents[i] = { name = parent.name, required = M.is_needed(parent, options) or nil, array = parent.array }
  end
  return parents
end

---An object that is sent in every row, for the encoder.
---@param object table of `objects`
---@param options table `set`, `params`
---@return table? entry nil if rows without its fields are sent without it
function M.always(object, options)
  for _, parent in ipairs(object.parents) do
    if not M.is_needed(parent, options) then
      return nil
    end
  end
  return { name = object.path, type = "object", parents = parents_of(object, options) }
end

---The fields of a mapping as the encoder takes them: those of an object within it.
---@param entries table[]
---@return table[]
function M.nested(entries)
  local root, places = {}, {}
  for _, entry in ipairs(entries) do
    local place, path = root, ""
    for _, parent in ipairs(entry.parents or {}) do
      path = path .. "." .. parent.name
      if not places[path] then
        places[path] = {}
        place[#place + 1] = { name = parent.name, type = "object", required = parent.required, array = parent.array,
          fields = places[path] }
      end
      place = places[path]
    end
    if not entry.parents then
      place[#place + 1] = entry
    elseif entry.type ~= "object" then
      local inner = {}
      for key, value in pairs(entry) do
        inner[key] = key ~= "parents" and value or nil
      end
      place[#place + 1] = inner
    end
  end
  return root
end

---A field as the encoder takes it, without its column.
---@param field table
---@param options table `check`, `split`
---@return table
function M.describe(field, options)
  local list = M.is_list(field)
  local limits = list and field.items or field
  return {
    name = field.name, key = field.key, parents = parents_of(field, options),
    type = list and "string" or SCALARS[field.type or "string"],
    check = options.check[field.name] or M.pattern(field),
    enum = enum_values(limits.values),
    -- A name that holds the separator would turn into two on the other side.
    forbid = limits.forbid, join = field.join, array = is_array(field) or nil, split = list and options.split[field.name] or nil,
    max_length = limits.max_length, min_length = limits.min_length, unit = limits.unit,
    min = not list and field.min or nil, max = not list and field.max or nil, whole_minutes = field.whole_minutes,
    hash = field.hash, not_blank = limits.not_blank or field.hash and field.hash.trim or nil, -- an empty text has a digest, too
  }
end

-- The value of the field to which a condition refers: "/a.b" in the call's own fields, else in what `set` gives to every row.
local function condition_value(name, options)
  if name:sub(1, 1) ~= "/" then
    return options.set[name]
  end
  local value = options.params
  for key in name:sub(2):gmatch("[^.]+") do
    if type(value) ~= "table" then
      return nil
    end
    value = value[key]
  end
  return value
end

---Whether every row must fill a field.
---@param field table
---@param options table `set`, `params`
---@return boolean
function M.is_needed(field, options)
  local when = field.required_if
  if field.required or not when then
    return field.required or false
  end
  local value = condition_value(when.field, options)
  if when.given then
    return value ~= nil
  end
  return value ~= nil and M.contains(when.is, value)
end

---Names of fields as `map` takes them.
---@param fields table[]
---@param parts table<string, boolean>
---@return string[]
function M.names(fields, parts)
  local names = {}
  for _, field in ipairs(fields) do
    names[#names + 1] = parts[field.name] and field.name .. ".<id>" or field.name
  end
  return names
end

---Rows and objects of an open type take names of the user's own: each is one more text. A name that differs from a field's only in letter
---case is taken for a slip.
---@param options table `operation`, `map`, `set`
---@param fields table[]
---@return table[]
function M.with_own(options, fields)
  local objects = M.objects(options.operation)
  local list, known = {}, {}
  for i, field in ipairs(fields) do
    list[i] = field
    known[field.name:lower()] = true
  end
  for _, object in ipairs(objects) do
    known[object.path:lower()] = true
  end
  for _, given in ipairs({ options.map, options.set }) do
    for _, name in ipairs(sorted.keys(given)) do
      local parent = not known[name:lower()] and M.takes_own(options.operation, objects, name)
      if parent then
        known[name:lower()] = true
        list[#list + 1] = { name = name, type = "string" }
        if parent ~= true then
          list[#list].key, list[#list].parents = name:sub(#parent.path + 2), parent.parents
        end
      end
    end
  end
  return list
end

return M

-- SPDX-License-Identifier: MIT
-- Rows with objects in them, also as the only item of an array: their fields as one flat list, in which a field of an object is named by
-- its path ("properties.phone"), and rows by the same names. Pure: import/plan/row_fields.lua and the checks of a platform file use it.

local merged = require "campaign.merged"

local M = {}

-- Objects within objects, as many as the core takes; fields below stay values that no column can fill.
local MOST_DEPTH = 8

-- `required_if` as it reads from the top of the row.
local function condition(when, prefix)
  if not when or when.field:sub(1, 1) == "/" then
    return when
  end
  return { field = prefix .. when.field, is = when.is, given = when.given }
end

local function placed(field, prefix, parents)
  local copy = merged(field)
  copy.name, copy.key, copy.parents = prefix .. field.name, field.name, parents
  copy.required_if = condition(field.required_if, prefix)
  copy.any_of = field.any_of and prefix .. field.any_of
  return copy
end

---Whether an array's items are `id` and `value`: custom fields, each of which is filled on its own.
---@param field table
---@return boolean
function M.is_parts(field)
  local inner = field.type == "array" and field.items and field.items.fields
  return inner and inner.id and inner.value and true or false
end

-- The item of an array of objects: columns fill one object.
local function only_object(field)
  local items = field.type == "array" and not M.is_parts(field) and field.items
  return items and items.type == "object" and items or nil
end

local function walk(fields, prefix, parents, leaves, objects)
  for _, field in ipairs(fields) do
    local listed = only_object(field)
    local is_object = (field.type == "object" or listed) and #parents < MOST_DEPTH
    local path = prefix .. field.name
    if is_object then
      local chain = {}
      for i, parent in ipairs(parents) do
        chain[i] = parent
      end
      chain[#chain + 1] = { path = path, name = field.name, required = field.required,
        required_if = condition(field.required_if, prefix), array = listed and true or nil }
      local inner = listed or field
      objects[#objects + 1] = { path = path, parents = chain, open = inner.open, array = listed and true or nil }
      objects[path] = objects[#objects]
      walk(inner.fields or {}, path .. ".", chain, leaves, objects)
    else
      leaves[#leaves + 1] = #parents > 0 and placed(field, prefix, parents) or field
      leaves[path] = leaves[path] or leaves[#leaves]
    end
  end
end

---The fields of a row that is an object.
---@param fields table[] as they are described, objects with their `fields`
---@return table leaves by position and by path; those of objects have `key` and `parents` (`{ path, name, required, required_if }`)
---@return table objects by position and by path: `{ path, parents (the object itself is the last), open }`
function M.flatten(fields)
  local leaves, objects = {}, {}
  walk(fields, "", {}, leaves, objects)
  return leaves, objects
end

---The names of a path such as "data.profiles".
---@param path string
---@return string[]
function M.steps(path)
  local steps = {}
  for step in path:gmatch("[^.]+") do
    steps[#steps + 1] = step
  end
  return steps
end

---The field to which names lead.
---@param fields table[]
---@param steps string[]
---@return table? field nil where there is none, or a name on the way is not that of an object
function M.at(fields, steps)
  local field
  for i, step in ipairs(steps) do
    if i > 1 and field.type ~= "object" then
      return nil
    end
    field = (i == 1 and fields or field.fields)[step]
    if not field then
      return nil
    end
  end
  return field
end

local function add(row, prefix, objects, flat)
  for key, value in pairs(row) do
    local path = prefix .. tostring(key)
    local object = type(value) == "table" and objects[path]
    local inner = object and object.array and value[1] or value
    if object and type(inner) == "table" and not (object.array and #value > 1) then
      add(inner, path .. ".", objects, flat)
    else
      flat[path] = value
    end
  end
  return flat
end

---A row with the members of its objects named by their paths.
---@param row any
---@param objects table of `flatten`
---@return any
function M.flat_row(row, objects)
  if type(row) ~= "table" or #objects == 0 then
    return row
  end
  return add(row, "", objects, {})
end

return M

-- SPDX-License-Identifier: MIT
-- Rows with objects in them: their fields as one flat list, in which a field of an object is named by its path ("properties.phone"), and
-- rows by the same names. Pure: import/plan/row_fields.lua and the checks of a platform file build on it.

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
  local copy = {}
  for key, value in pairs(field) do
    copy[key] = value
  end
  copy.name, copy.key, copy.parents = prefix .. field.name, field.name, parents
  copy.required_if = condition(field.required_if, prefix)
  copy.any_of = field.any_of and prefix .. field.any_of
  return copy
end

local function walk(fields, prefix, parents, leaves, objects)
  for _, field in ipairs(fields) do
    local is_object = field.type == "object" and #parents < MOST_DEPTH
    local path = prefix .. field.name
    if is_object then
      local chain = {}
      for i, parent in ipairs(parents) do
        chain[i] = parent
      end
      chain[#chain + 1] = { path = path, name = field.name, required = field.required,
        required_if = condition(field.required_if, prefix) }
      objects[#objects + 1] = { path = path, parents = chain, open = field.open }
      objects[path] = objects[#objects]
      walk(field.fields or {}, path .. ".", chain, leaves, objects)
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

local function add(row, prefix, objects, flat)
  for key, value in pairs(row) do
    local path = prefix .. tostring(key)
    if type(value) == "table" and objects[path] then
      add(value, path .. ".", objects, flat)
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

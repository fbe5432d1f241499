-- SPDX-License-Identifier: MIT
-- What rows must hold beyond the checks of single values: required fields, one of several, fields that go with an object or with the name of the
-- row's identity. A part of import/plan/mapping.lua, whose mapping in progress it reads and completes. Pure.

local columns = require "campaign.import.plan.columns"
local row_fields = require "campaign.import.plan.row_fields"

local M = {}

-- The object whose presence in a row decides whether a field of it is needed: the innermost that may be left out. Nil: always there.
local function left_out_with(p, field)
  for i = #(field.parents or {}), 1, -1 do
    if not row_fields.is_needed(field.parents[i], p.options) then
      return field.parents[i].path
    end
  end
  return nil
end

-- The value that a field has in all rows: it is always that, was set to it, or has it by default because no column fills it.
local function in_every_row(p, field)
  local name = field and field.name
  if not field or field.constant ~= nil then
    return field and field.constant
  elseif p.options.set[name] ~= nil then
    return p.options.set[name]
  elseif field.default == nil or p.mapped[name] then
    return nil
  end
  local column, several = columns.find(p.index, name, p.taken)
  if column or several then
    return nil
  end
  return field.default
end

---Finds the fields that every row must fill (`p.required`), and those that only rows with a certain object must fill (`p.demanded`).
---@param p table a mapping in progress
function M.find(p)
  for _, field in ipairs(p.fields) do
    local path = left_out_with(p, field)
    local is_needed = row_fields.is_needed(field, p.options)
    p.required[field.name] = is_needed and not path
    if path and is_needed then
      table.insert(p.demanded, { path = path, fields = { field } })
    elseif path and field.any_of then
      local key = path .. " " .. field.any_of
      if not p.demanded[key] then
        p.demanded[key] = { path = path, fields = {} }
        table.insert(p.demanded, p.demanded[key])
      end
      table.insert(p.demanded[key].fields, field)
    end
  end
  -- Where one field names the field that identifies the row, one name for all rows makes that field required.
  local named_by = p.rows.named_by
  local value = named_by and in_every_row(p, p.by_name[named_by])
  if value ~= nil then
    p.required[tostring(value)] = true
  end
end

-- One of several fields must be filled: if only one has a column, it is required; with more, the core checks each row.
local function need_any_of(p)
  local groups, order = {}, {}
  for _, field in ipairs(p.fields) do
    local group = not left_out_with(p, field) and field.any_of
    if group then
      if not groups[group] then
        groups[group] = { names = {}, filled = {}, constant = false }
        order[#order + 1] = groups[group]
      end
      table.insert(groups[group].names, field.name)
      local entry = p.by_entry[field.name]
      if entry and entry.constant then
        groups[group].constant = true
      elseif entry then
        table.insert(groups[group].filled, entry)
      end
    end
  end
  for _, group in ipairs(order) do
    if not group.constant and #group.filled == 0 then
      p:fault("map", ("every row needs one of %s; map one of them to a column of the file, which has %s"):format(
        columns.quoted(group.names), columns.shown(p.columns)))
    elseif not group.constant and #group.filled == 1 then
      group.filled[1].required = true
    elseif not group.constant then
      local fields = {}
      for i, entry in ipairs(group.filled) do
        fields[i] = { name = entry.name, column = entry.column }
      end
      table.insert(p.out.demands, { fields = fields })
    end
  end
end

-- The columns that fill fields of an object, and whether every row has the object.
local function columns_within(p, path)
  local found, always = {}, false
  for _, entry in ipairs(p.out.fields) do
    if entry.name:sub(1, #path + 1) == path .. "." and entry.type ~= "object" then
      always = always or entry.constant ~= nil or entry.mark ~= nil
      found[#found + 1] = entry.column
    end
  end
  return found, always
end

-- Fields that are needed only where their object is sent.
local function need_within(p)
  for _, demand in ipairs(p.demanded) do
    local given, always = columns_within(p, demand.path)
    local names, fields, is_sure = {}, {}, false
    for i, field in ipairs(demand.fields) do
      local entry = p.by_entry[field.name]
      names[i] = field.name
      is_sure = is_sure or entry and (entry.constant or entry.mark) and entry.constant ~= ""
      fields[#fields + 1] = entry and entry.column and { name = field.name, column = entry.column } or nil
    end
    if #fields == 0 and not is_sure and (always or #given > 0) then
      p:fault(names[1], ('no column for %s, which every row with "%s" needs; the file has %s; %s'):format(
        table.concat(names, " or "), demand.path, columns.shown(p.columns), columns.advice(names[1])))
    elseif #fields > 0 and not is_sure then
      table.insert(p.out.demands, { fields = fields, given = not always and given or nil })
    end
  end
end

-- Rows that name their own identity must fill the field they name.
local function need_named(p)
  local entry = p.rows.named_by and p.required[p.rows.named_by] and p.by_entry[p.rows.named_by]
  if not entry or not entry.column then
    return
  end
  local fields = {}
  for _, other in ipairs(p.out.fields) do
    if other ~= entry and (other.column or other.constant and other.constant ~= "") and row_fields.contains(entry.enum, other.name) then
      fields[#fields + 1] = { name = other.name, column = other.column }
    end
  end
  if #fields > 0 then
    table.insert(p.out.demands, { by = entry.column, fields = fields })
  end
end

---Adds to the mapping what the encoder must demand of each row, and faults for demands that no column can meet.
---@param p table a mapping in progress, whose fields are filled
function M.demand(p)
  need_any_of(p)
  need_within(p)
  need_named(p)
end

return M

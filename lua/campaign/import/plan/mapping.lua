-- SPDX-License-Identifier: MIT
-- Decides which column of the file fills which field of a row, from the options, the header and the platform's aliases, and makes the
-- description that core.rows.encoder compiles. Pure: tables in, tables out. Values are checked by the core.

local columns = require "campaign.import.plan.columns"
local convert = require "campaign.api.convert"
local error_object = require "campaign.error"
local json = require "campaign.json"
local row_fields = require "campaign.import.plan.row_fields"
local row_needs = require "campaign.import.plan.row_needs"
local sorted = require "campaign.sorted"
local suggest = require "campaign.api.suggest"

local M = {}

---@class campaign.mapping
---@field width integer columns of the file
---@field fields table[] for core.rows.encoder
---@field checks table[] columns that are checked though not sent
---@field uses table[] `{ field, column | constant | mark }`, in row order
---@field unused string[] columns of the file that go nowhere
---@field notes string[] warnings about columns that may have been meant for empty fields
---@field header string[]? the header line of a csv target
---@field marker integer? the column in which a function that looked at the rows says why it refuses one
---@field unique integer? the column whose text makes rows duplicates of each other
---@field suppress table[] of each name that was asked for: `column`, `name` (of the column), and what is known of its values
---@field demands table[] what rows must hold beyond single fields, for core.rows.encoder

-- One planning in progress: each step below adds to what is known. The steps for what rows must hold are in plan/row_needs.lua.
local Planning = {}
Planning.__index = Planning

function Planning:fault(path, message)
  self.faults[#self.faults + 1] = { path = path, message = message }
end

local function unknown_field(p, option, name)
  local base = name:match("^[^.]*")
  if option ~= "map" and p.parts[base] then
    p:fault(option .. "." .. name, ('%s: parts of "%s" are filled from columns as they stand: %s'):format(
      option, base, columns.map_entry(base .. ".<id>")))
    return
  end
  p:fault(option .. "." .. name, ('%s: no field "%s" in a row of this operation%s; it has %s'):format(
    option, name, suggest.help(name, p.names), columns.quoted(p.names)))
end

local function column_of(p, option, name, column)
  local index = columns.named(p.index, column)
  if not index then
    p:fault(option .. "." .. name, ('%s: the file has no column "%s"%s; it has %s'):format(
      option, column, suggest.help(column, p.columns), columns.shown(p.columns)))
  end
  return index
end

local function take(p, index)
  p.taken[index], p.used[index] = true, true
end

local function read_map(p)
  for _, name in ipairs(sorted.keys(p.options.map)) do
    local column = p.options.map[name]
    local base, part = name:match("^([^.]+)%.(.+)$") -- linear: disjoint classes
    local index
    if p.by_name[name] and not p.parts[name] then
      index = column_of(p, "map", name, column)
      p.mapped[name] = index
    elseif base and p.parts[base] then
      index = column_of(p, "map", name, column)
      p.items[base] = p.items[base] or {}
      table.insert(p.items[base], { id = part, column = index })
    elseif p.parts[name] then
      p:fault("map." .. name, ('map: say which part of "%s" the column fills: %s'):format(name, columns.map_entry(name .. ".<id>", column)))
    else
      unknown_field(p, "map", name)
    end
    if index then
      take(p, index)
    end
  end
end

local function read_set_and_split(p)
  for _, name in ipairs(sorted.keys(p.options.set)) do
    if not p.by_name[name] or p.parts[name] then
      unknown_field(p, "set", name)
    elseif p.mapped[name] then
      p:fault("set." .. name, ('set: "%s" is already filled from the column "%s"'):format(
        name, p.options.map[name]))
    end
  end
  for _, name in ipairs(sorted.keys(p.options.split)) do
    local field = p.by_name[name]
    if not field or p.parts[name] then
      unknown_field(p, "split", name)
    elseif not row_fields.is_list(field) then
      p:fault("split." .. name, ('split: "%s" is not a list, so it cannot be split'):format(name))
    end
  end
end

-- A column with the wire name of a field belongs to that field, so that no alias of another field takes it first.
local function claim_wire_names(p)
  for _, field in ipairs(p.fields) do
    local name = field.name
    local index = p.index.exact[name]
    if index and not p.taken[index] and not p.mapped[name] and p.options.set[name] == nil
      and field.constant == nil and not p.parts[name] then
      p.mapped[name], p.claimed[name] = index, true
      take(p, index)
    end
  end
end

local function add(p, entry, use)
  p.by_entry[entry.name] = entry
  p.out.fields[#p.out.fields + 1] = entry
  use.field = use.field or entry.name
  p.out.uses[#p.out.uses + 1] = use
end

local function fill_parts(p, name)
  if not p.items[name] then
    if p.required[name] then
      p:fault(name, ('"%s" needs a column: %s'):format(name, columns.map_entry(name .. ".<id>")))
    end
    return
  end
  p.out.fields[#p.out.fields + 1] = { name = name, type = "components", items = p.items[name] }
  for _, item in ipairs(p.items[name]) do
    p.out.uses[#p.out.uses + 1] = { field = name .. "." .. item.id, column = p.columns[item.column or 0] }
  end
end

local function fill_constant(p, entry, value)
  if type(value) == "number" or type(value) == "cdata" then
    local is_whole = type(value) == "cdata" or value == math.floor(value)
    local text = is_whole and convert.int64_text(value) or not is_whole and json.encode(value)
    if not text then
      p:fault("set." .. entry.name, ('set: "%s" cannot be %s: its digits are not known from 2^53 on; give it as a text'):format(
        entry.name, tostring(value)))
    end
    value = text or ""
  end
  entry.constant = tostring(value)
  add(p, entry, { constant = entry.constant })
  if entry.enum and not row_fields.contains(entry.enum, entry.constant) then
    p:fault("set." .. entry.name, ('set: "%s" cannot be "%s"; it is one of %s'):format(
      entry.name, entry.constant, columns.quoted(entry.enum)))
  elseif entry.constant == "" and p.required[entry.name] then
    p:fault("set." .. entry.name, ('set: "%s" must not be empty'):format(entry.name))
  end
end

-- The names of a field's own column and of others that mean it too; nil if there are no others.
local function also_fitting(p, name, index)
  local names = { p.columns[index] }
  for _, other in ipairs(columns.others(p.index, name, p.taken)) do
    names[#names + 1] = p.columns[other]
  end
  return #names > 1 and names or nil
end

local function fill_field(p, field)
  local name = field.name
  local entry = row_fields.describe(field, p.options)
  local constant = p.options.set[name]
  if field.constant ~= nil then
    if p.options.map[name] ~= nil or constant ~= nil and not row_fields.contains({ field.constant }, constant) then
      p:fault(name, ('"%s" is always "%s": it takes no column and no other value'):format(name, tostring(field.constant)))
    end
    return fill_constant(p, entry, field.constant)
  elseif constant ~= nil then
    return fill_constant(p, entry, constant)
  end
  local index, several = p.mapped[name], nil
  if not index then
    index, several = columns.find(p.index, name, p.taken)
  elseif p.claimed[name] then
    several = also_fitting(p, name, index)
  end
  if several then
    p:fault(name, ('"%s" could be filled from %s; %s'):format(name, columns.quoted(several), columns.advice(name)))
    return
  end
  local mark = p.rows.mark == name and p.options.mark or nil
  if index then
    take(p, index)
    if not entry.type then
      p:fault(name, ('"%s" cannot be filled from a column (its type is %s)'):format(name, tostring(field.type)))
      return
    end
    entry.column, entry.required, entry.mark = index, p.required[name] or nil, mark
    add(p, entry, { column = p.columns[index], mark = mark and true or nil })
  elseif mark then
    entry.mark = mark
    add(p, entry, { mark = true })
  elseif field.default ~= nil then
    fill_constant(p, entry, field.default)
  elseif p.required[name] then
    p:fault(name, ('no column for "%s", which every row needs; the file has %s; %s'):format(name, columns.shown(p.columns),
      columns.doubt(p.columns) or columns.advice(name, p.columns[columns.likely(p.index, name, p.taken) or 0])))
  elseif p.rows.shape ~= "object" then
    -- Rows without names keep their width: a column that the file does not have is sent empty.
    entry.constant = ""
    add(p, entry, { constant = "" })
  end
end

-- Fields that are left empty though a column that is not sent may have been meant for them. Of rows that are objects only those are looked at
-- by which a person is found, and those with parts, whose own name fills nothing.
local function note_empty(p)
  for _, field in ipairs(p.fields) do
    local name = field.name
    local whole = p.parts[name] and not p.items[name] and p.index.exact[name]
    if whole and not p.used[whole] then
      table.insert(p.out.notes, ('"%s" stays empty: %s'):format(name, columns.advice(name .. ".<id>", p.columns[whole])))
    end
    local is_sought = p.rows.shape ~= "object" or field.any_of or field.redact == "phone"
    local entry = p.by_entry[name] or { constant = "" }
    if is_sought and p.options.set[name] == nil and entry.constant == "" then
      local likely = columns.likely(p.index, name, p.used)
      if likely then
        table.insert(p.out.notes, ('"%s" stays empty: %s'):format(name, columns.advice(name, p.columns[likely])))
      end
    end
  end
end

-- A check may name a field, a column, or an alias of a field; a column is checked whether it is sent or not.
local function add_checks(p)
  local filled = {}
  for _, entry in ipairs(p.out.fields) do
    filled[entry.name] = entry.column and true or nil
  end
  for _, name in ipairs(sorted.keys(p.options.check)) do
    local check, pattern = p.options.check[name], row_fields.pattern(p.by_name[name])
    if filled[name] and pattern and pattern ~= check then -- the encoder takes one of them with the field
      p.out.checks[#p.out.checks + 1] = { column = p.by_entry[name].column, name = name, check = pattern }
    elseif not filled[name] then
      local index = columns.find(p.index, name, {})
      if index then
        p.used[index] = true
        p.out.checks[#p.out.checks + 1] = { column = index, name = p.columns[index], check = check }
      else
        p:fault("check." .. name, ('check: "%s" is neither a field nor a column of the file%s; columns: %s'):format(
          name, suggest.help(name, p.columns), columns.shown(p.columns)))
      end
    end
  end
end

-- Checks columns of a workbook for cells with errors, rounded numbers and formulas without a result. A map function may have copied them to any
-- column.
local function add_doubtful(p)
  local suspects = {}
  for _, doubt in ipairs(p.options.doubtful or {}) do
    suspects[p.index.exact[doubt.column] or 0] = true
  end
  for i, name in ipairs(p.columns) do
    if p.used[i] and i ~= p.out.marker and (suspects[i] or p.options.mapped and next(suspects)) then
      p.out.checks[#p.out.checks + 1] = { column = i, name = name, check = "excel_value" }
    end
  end
end

-- The column by whose text rows are compared with something: that of a field, a column by its name, or by an alias.
local function find_key(p, option, name)
  local entry = p.by_entry[name]
  local index, several = entry and entry.column or columns.named(p.index, name), nil
  if not index then
    index, several = columns.find(p.index, name, {})
  end
  if several then
    p:fault(option, ('%s: "%s" could be %s; name the column'):format(option, name, columns.quoted(several)))
  elseif not index then
    local hint = option == "suppress" and "; where the list calls it otherwise, name both: FILE:COLUMN=FIELD" or ""
    p:fault(option, ('%s: "%s" is neither a field with a column nor a column of the file%s; columns: %s%s'):format(
      option, name, suggest.help(name, p.columns), columns.shown(p.columns), hint))
  end
  p.used[index or 0] = true
  return index
end

-- Finds the columns that are compared with suppression lists, and what is known of their values.
local function find_suppressed(p)
  for i, name in ipairs(p.options.suppress or {}) do
    local index = find_key(p, "suppress", name)
    local use = { column = index, name = p.columns[index or 0], names = { name, p.columns[index or 0] } }
    for _, entry in ipairs(p.out.fields) do
      if index and entry.column == index then
        use.redact, use.check = p.by_name[entry.name].redact, entry.check
        if entry.name ~= name then
          use.names[#use.names + 1] = entry.name
        end
      end
    end
    use.check = use.check or p.options.check[name] or p.options.check[use.name or 0]
    p.out.suppress[i] = use
  end
end

-- A list that a function has mapped: rows that it refused say why in a column of their own, and the list's own columns fill nothing where it
-- made new rows of them.
local function take_mapped(p, mapped)
  local marker = p.index.exact[mapped.marker]
  take(p, marker)
  p.out.marker = marker
  p.out.checks[1] = { column = marker, name = mapped.marker, max_length = 0 }
  for i = 1, mapped.makes and mapped.columns or 0 do
    p.taken[i] = true
  end
end

-- A field of an object is also found by its name without the path, if that name fits no other field.
local function with_keys(fields, aliases)
  local meant, list = {}, {}
  for _, field in ipairs(fields) do
    local key = (field.key or field.name):lower()
    meant[key] = (meant[key] or 0) + 1
  end
  for name, group in pairs(aliases or {}) do
    list[name] = group
    for _, alias in ipairs(group) do
      meant[alias:lower()] = (meant[alias:lower()] or 0) + 1
    end
  end
  for _, field in ipairs(fields) do
    if field.key and meant[field.key:lower()] == 1 then
      list[field.name] = { field.key }
      for _, alias in ipairs(aliases and aliases[field.name] or {}) do
        table.insert(list[field.name], alias)
      end
    end
  end
  return list
end

local function begin(options)
  local p = setmetatable({
    options = options, rows = options.operation.rows,
    columns = options.columns,
    fields = row_fields.with_own(options, row_fields.list(options.operation, options.target_columns, options.params)),
    by_name = {}, parts = {}, mapped = {}, items = {}, taken = {}, used = {}, required = {}, faults = {}, by_entry = {},
    claimed = {}, demanded = {},
    out = { width = #options.columns, fields = {}, demands = {}, checks = {}, uses = {}, unused = {}, notes = {}, suppress = {} },
  }, Planning)
  p.index = columns.index(options.columns, with_keys(p.fields, p.rows.aliases))
  for _, field in ipairs(p.fields) do
    p.by_name[field.name] = field
    p.parts[field.name] = not field.parents and row_fields.is_parts(field) or nil
  end
  p.names = row_fields.names(p.fields, p.parts)
  if options.mapped then
    take_mapped(p, options.mapped)
  end
  return p
end

local function refuse(p)
  local lines, operation = {}, p.options.operation
  for i, item in ipairs(p.faults) do
    lines[i] = item.message
  end
  return error_object.refuse{
    kind = "usage", message = table.concat(lines, "\n"), faults = p.faults, platform = operation.platform, operation = operation.name,
  }
end

-- Where no field is mandatory, a list of which no column is meant (one that is read with the wrong delimiter, say) would go as so many empty rows.
local function refuse_empty(p)
  for _, use in ipairs(p.out.uses) do
    if use.column or use.constant and use.constant ~= "" then
      return
    end
  end
  p:fault("map", ("no column of the file fills a field, so that all rows would be empty; fields: %s; the file has %s; %s"):format(
    columns.quoted(p.names), columns.shown(p.columns), columns.doubt(p.columns) or columns.advice(p.names[1])))
end

---Plans how the columns of a file become the fields of a row.
---@param options table operation, columns, target_columns?, map, set, split, check, params, mark?, unique?, suppress? (names), mapped?, doubtful?
---(columns of a sheet that have cells without a value, as workbook.open says)
---@return campaign.mapping? mapping
---@return campaign.error? err
function M.plan(options)
  local p = begin(options)
  read_map(p)
  read_set_and_split(p)
  claim_wire_names(p)
  row_needs.find(p)
  for _, field in ipairs(p.fields) do
    if p.parts[field.name] then
      fill_parts(p, field.name)
    else
      fill_field(p, field)
    end
  end
  for _, object in ipairs(row_fields.objects(options.operation)) do
    p.out.fields[#p.out.fields + 1] = row_fields.always(object, options)
  end
  if #p.faults == 0 then
    refuse_empty(p)
    row_needs.demand(p)
  end
  add_checks(p)
  p.out.unique = p.options.unique and find_key(p, "unique", p.options.unique) or nil
  find_suppressed(p)

  if #p.faults > 0 then
    return refuse(p)
  end
  add_doubtful(p)
  for i, name in ipairs(p.columns) do
    if not p.used[i] then
      p.out.unused[#p.out.unused + 1] = name
    end
  end
  note_empty(p)
  if p.rows.shape == "csv" then
    p.out.header = {}
    for i, entry in ipairs(p.out.fields) do
      p.out.header[i] = entry.name
    end
  end
  return p.out
end

return M

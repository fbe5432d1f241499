-- SPDX-License-Identifier: MIT
-- Checks the fields of a call against the platform's data and returns the values to send: defaults, constants and account values filled in,
-- instants formatted in the platform's zone, ids as decimal text. Collects all faults, each with its path. Does not modify its arguments,
-- and never prints a value.

local convert = require "campaign.api.convert"
local core = require "campaign.core"
local error_object = require "campaign.error"
local later = require "campaign.later"
local merged = require "campaign.merged"
local names_of = require "campaign.names"

local rules = later.module "campaign.api.rules"
local suggest = later.module "campaign.api.suggest"

local M = {}

local MAX_FAULTS = 1000

local Check = {}
Check.__index = Check

function Check:fault(path, message)
  self.count = self.count + 1
  if self.count <= MAX_FAULTS then
    self.faults[self.count] = { path = path, message = message }
  end
end

-- How a value of each type is converted: scalars by api/convert, lists and objects here.
local CONVERT = {}
for name, take in pairs(convert.by_type) do
  CONVERT[name] = take
end

local function length_of(list)
  local count = 0
  for key in pairs(list) do
    if type(key) ~= "number" or key < 1 or key ~= math.floor(key) then
      return nil
    end
    count = count + 1
  end
  return count == #list and count or nil
end

-- The items of a list that the caller gives already joined to one text, as it is sent.
local function split(text, separator)
  local items, at = {}, 1
  while text ~= "" do
    local first, last = text:find(separator, at, true)
    items[#items + 1] = text:sub(at, (first or #text + 1) - 1)
    if not first then
      break
    end
    at = last + 1
  end
  return items
end

function CONVERT.array(self, field, value, path)
  if field.join and type(value) == "string" then
    value = split(value, field.join)
  end
  if type(value) ~= "table" then
    return nil, self:fault(path, "must be a list, not a " .. type(value))
  end
  local count = length_of(value)
  if not count then
    return nil, self:fault(path, "must be a list, without holes or named keys")
  end
  if field.min_items and count < field.min_items then
    return nil, self:fault(path, "needs at least " .. field.min_items .. (field.min_items == 1 and " item" or " items"))
  end
  if field.max_items and count > field.max_items then
    return nil, self:fault(path, ("has %d items; at most %d are allowed in one call"):format(count, field.max_items))
  end
  local list = {}
  for index, item in ipairs(value) do
    local converted = self:value(field.items, item, path .. "[" .. index .. "]")
    if converted == nil then
      converted = false
    end
    list[index] = converted
  end
  return list
end

function CONVERT.object(self, field, value, path)
  if type(value) ~= "table" then
    return nil, self:fault(path, "must be a table of fields, not a " .. type(value))
  end
  return self:object(field, value, path)
end

local function length(text, unit)
  return core.utf8.length(text, unit or "char")
end

local PATTERNS = {
  identifier = { test = function(text) return not text:find("[^%w_]") end, says = "letters, digits and underscores only" },
  mobile_cn = { test = function(text) return text:find("^1[3-9]%d%d%d%d%d%d%d%d%d$") ~= nil end,
    says = "a mobile number of 11 digits" },
  url = { test = function(text) return rules.is_url(text) end, says = "an absolute http or https URL" },
  text = { test = function(text) return not text:find("[%c\127]") end, says = "text without control characters" },
  clock_or_datetime = { test = function(text) return rules.is_clock_or_datetime(text) end, says = "HH:mm, HH:mm:ss or yyyy-MM-dd HH:mm:ss" },
}

-- Whether a text holds one of the characters (not bytes) of a set.
local function holds_any(value, set)
  for character in set:gmatch("[%z\1-\127\194-\244][\128-\191]*") do
    if value:find(character, 1, true) then
      return true
    end
  end
  return false
end

-- Checks of texts. The value is well-formed UTF-8 here.
function Check:text(field, value, path)
  if field.where == "path" and value == "" then
    return self:fault(path, "must not be empty")
  end
  if field.not_blank and not value:find("%S") then
    return self:fault(path, "must not be blank")
  end
  if field.required and value == "" then
    return self:fault(path, "must not be empty")
  end
  local count = (field.min_length or field.max_length) and length(value, field.unit)
  if field.min_length and count < field.min_length then
    return self:fault(path, count == 0 and "must not be empty" or "must be at least " .. field.min_length .. " long")
  end
  if field.max_length and count > field.max_length then
    return self:fault(path, ("is %d long; at most %d are allowed"):format(count, field.max_length))
  end
  local pattern = field.pattern and PATTERNS[field.pattern]
  if pattern and not pattern.test(value) then
    return self:fault(path, "must be " .. pattern.says)
  end
  if field.forbid and holds_any(value, field.forbid) then
    return self:fault(path, "must not hold any of " .. field.forbid)
  end
end

function Check:enum(field, value, path)
  if field.values.open or field.values.set[value] then
    return
  end
  local names = {}
  for index, entry in ipairs(field.values) do
    names[index] = tostring(entry.value)
  end
  self:fault(path, "must be one of " .. table.concat(names, ", ") .. suggest.help(tostring(value), names))
end

-- One value by its description: converted, or nil with at least one fault.
function Check:value(field, value, path)
  if type(value) == "userdata" and getmetatable(value) == nil then -- a decoded JSON null
    return nil, self:fault(path, "must not be null; leave it out")
  end
  local before = self.count
  local converted = CONVERT[field.type](self, field, value, path)
  if converted == nil or self.count > before and field.type ~= "array" and field.type ~= "object" then
    return nil
  end
  if field.type == "string" then
    self:text(field, converted, path)
  elseif field.min and tonumber(converted) < field.min then -- an int64 is decimal text
    self:fault(path, "must be at least " .. field.min)
  elseif field.max and tonumber(converted) > field.max then
    self:fault(path, "must be at most " .. field.max)
  end
  if field.values and self.count == before then
    self:enum(field, converted, path)
  end
  if self.count > before and field.type ~= "array" and field.type ~= "object" then
    return nil
  end
  return converted
end

local function is_given(value)
  return value ~= nil and value ~= "" and not (type(value) == "table" and next(value) == nil)
end

-- Whether a condition on a field holds, judged by what was given.
function Check:holds(when, raw)
  local table_of, name = raw, when.field
  if name:sub(1, 1) == "/" then
    table_of, name = self.root, name:sub(2)
  end
  local value = table_of
  for step in name:gmatch("[^.]+") do
    value = type(value) == "table" and value[step] or nil
  end
  if when.given ~= nil then
    return is_given(value) == when.given
  end
  for _, expected in ipairs(when.is) do
    if value == expected then
      return true
    end
  end
  return false
end

local function show_when(when)
  local name = when.field:gsub("^/", "")
  if when.given ~= nil then
    return "`" .. name .. "` is " .. (when.given and "given" or "left out")
  end
  local values = {}
  for index, value in ipairs(when.is) do
    values[index] = tostring(value)
  end
  return "`" .. name .. "` is " .. table.concat(values, " or ")
end

-- One field of an object: its value, or nil when it is left out or refused.
function Check:field(field, raw, path)
  local value = raw[field.name]
  if field.constant ~= nil then
    if value ~= nil and value ~= field.constant then
      self:fault(path, "is always `" .. tostring(field.constant) .. "`")
    end
    return field.constant
  end
  if value ~= nil and field.only_if and not self:holds(field.only_if, raw) then
    return nil, self:fault(path, "is allowed only when " .. show_when(field.only_if))
  end
  if value == nil then
    if field.default ~= nil then
      return field.default
    end
    if field.required then
      self:fault(path, "is required" .. self:fill_help(field, path))
    elseif field.required_if and self:holds(field.required_if, raw) then
      self:fault(path, "is required when " .. show_when(field.required_if))
    end
    return nil
  end
  if field.required_if and value == "" and self:holds(field.required_if, raw) then
    return nil, self:fault(path, "must not be empty when " .. show_when(field.required_if))
  end
  if field.one_of and not is_given(value) then
    return nil
  end
  return self:value(field, value, path)
end

-- Which account key would fill a missing field of the request.
function Check:fill_help(field, path)
  if path ~= field.name then
    return ""
  end
  for _, key in ipairs(self.platform.account) do
    if key.fills == field.name then
      return " (or give the account key `" .. key.name .. "`)"
    end
  end
  return ""
end

-- Groups of which exactly one, or at least one, is given.
function Check:groups(fields, raw, prefix)
  local groups, order = {}, {}
  for _, field in ipairs(fields) do
    local name = field.one_of or field.any_of
    if name then
      if not groups[name] then
        groups[name] = { names = {}, given = 0, exactly = field.one_of ~= nil }
        order[#order + 1] = groups[name]
      end
      local group = groups[name]
      group.names[#group.names + 1] = field.name
      group.given = group.given + (is_given(raw[field.name]) and 1 or 0)
    end
  end
  for _, group in ipairs(order) do
    local names = table.concat(group.names, ", ")
    local path = prefix == "" and group.names[1] or prefix:sub(1, -2)
    if group.given == 0 then
      self:fault(path, (group.exactly and "exactly one of " or "at least one of ") .. names .. " must be given and not empty")
    elseif group.exactly and group.given > 1 then
      self:fault(path, "only one of " .. names .. " may be given")
    end
  end
end

-- An object's fields, and its unknown keys when it is open.
function Check:object(description, raw, path)
  local fields = description.fields
  local prefix = path == "" and "" or path .. "."
  local values = {}
  local skip = self.rows_path and self.rows_path:sub(1, #prefix) == prefix and self.rows_path:sub(#prefix + 1) or nil
  for _, field in ipairs(fields) do
    if field.name ~= skip then
      values[field.name] = self:field(field, raw, prefix .. field.name)
    end
  end
  for key, value in pairs(raw) do
    if type(key) ~= "string" then
      self:fault(path == "" and "fields" or path, "must be a table of named fields, not a list")
      break
    elseif not fields[key] and description.open then
      values[key] = CONVERT.any(self, {}, value, prefix .. convert.shown_key(key))
    elseif not fields[key] then
      self:unknown(fields, key, prefix)
    end
  end
  self:groups(fields, skip and setmetatable({ [skip] = true }, { __index = raw }) or raw, prefix)
  for _, field in ipairs(fields) do
    local other = field.not_after and values[field.not_after]
    if other and values[field.name] and values[field.name] > other then
      self:fault(prefix .. field.name, "must not be after `" .. field.not_after .. "`")
    end
  end
  return values
end

function Check:unknown(fields, key, prefix)
  local names = names_of(fields)
  local help = suggest.help(key, names)
  if help == "" then
    help = " (known: " .. (#names > 0 and table.concat(names, ", ") or "none") .. ")"
  end
  self:fault(prefix .. convert.shown_key(key), "unknown field" .. help)
end

-- Puts copies of the objects into `raw`, a copy itself, in which the rows of an import stand; returns what is given in place of the rows.
local function open_parents(raw, steps)
  local inner = raw
  for i = 1, #steps - 1 do
    local given = inner[steps[i]]
    if given ~= nil and type(given) ~= "table" then
      return nil -- no object: the check of the field says so
    end
    inner[steps[i]] = merged(given)
    inner = inner[steps[i]]
  end
  return inner[steps[#steps]]
end

-- The fields as given, completed from the account.
local function filled(platform, operation, given, account)
  local raw = merged(given)
  for _, key in ipairs(platform.account) do
    if key.fills and operation.fields[key.fills] and raw[key.fills] == nil and account then
      raw[key.fills] = account[key.name]
    end
  end
  return raw
end

local function refuse(operation, check)
  local shown = {}
  for index = 1, math.min(check.count, 5) do
    shown[index] = check.faults[index].path .. ": " .. check.faults[index].message
  end
  local more = check.count > 5 and "; and " .. (check.count - 5) .. " more" or ""
  return error_object.refuse{
    kind = "invalid", platform = operation.platform, operation = operation.name,
    message = table.concat(shown, "; ") .. more, faults = check.faults,
  }
end

---The values to send, or an error of kind `invalid` with all faults.
---@param platform campaign.platform
---@param operation campaign.operation
---@param given table field name → value, under the vendor's names
---@param account table? account values that fill fields
---@param options { rows: boolean?, server_variables: string[]? }? `rows`: the rows field comes from a source later
---@return table? values
---@return campaign.error? err
function M.fields(platform, operation, given, account, options)
  if given ~= nil and type(given) ~= "table" then
    error("fields must be a table, not a " .. type(given), 2)
  end
  options = options or {}
  local raw = filled(platform, operation, given or {}, account)
  local check = setmetatable({ platform = platform, root = raw, faults = {}, count = 0 }, Check)
  if options.rows and operation.rows then
    check.rows_path = table.concat(operation.rows.steps, ".")
    if open_parents(raw, operation.rows.steps) ~= nil then
      check:fault(check.rows_path, "comes from the rows of the import and cannot be given beside them")
    end
  end
  local values = check:object({ fields = operation.fields }, raw, "")
  local context = { server_variables = options.server_variables or account and account.server_variables }
  for _, name in ipairs(operation.rules) do
    rules.RULES[name](values, function(path, message) check:fault(path, message) end, context)
  end
  if check.count > 0 then
    return refuse(operation, check)
  end
  return values
end

return M

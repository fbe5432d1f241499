-- SPDX-License-Identifier: MIT
-- Resolves the table of a platform: names of types, enums, windows and auth schemes become what they refer to, lists can be indexed by name. Operations
-- of shipped platforms are resolved on first access. A part of the loader, for api/platform.

local later = require "campaign.later"
local sorted = require "campaign.sorted"

local platform_checks = later.module "campaign.api.platform_checks"
local platform_fit = later.module "campaign.api.platform_fit"
local row_tree = later.module "campaign.api.row_tree"
local suggest = later.module "campaign.api.suggest"
local time = later.module "campaign.api.time"

-- A platform is resolved once, which takes less time than compiling the loops that do it.
local jit = rawget(_G, "jit")
if jit then
  jit.off(true, true) -- the functions of this file
end

local SCALARS = { string = true, integer = true, int64 = true, number = true, boolean = true, datetime = true, date = true,
  file = true, any = true }

-- Where fields may stand, by the operation's body.
local PLACES = {
  none = { path = true, query = true, header = true },
  json = { path = true, query = true, header = true, json = true },
  ndjson = { path = true, query = true, header = true, json = true },
  array = { path = true, query = true, header = true, json = true },
  multipart = { path = true, query = true, header = true, form = true },
  form = { path = true, query = true, header = true, form = true },
  file = { path = true, query = true, header = true, body = true },
}

-- Not campaign.merged: LuaJIT would compile its loop, for more than the copies take.
local function copy(value)
  local new = {}
  for key, inner in pairs(value) do
    new[key] = inner
  end
  return new
end

-- A list that can also be indexed by the names of its members. Adds a fault for a name given twice.
local function index_by_name(list, place, faults)
  for _, member in ipairs(list) do
    if list[member.name] ~= nil then
      faults[#faults + 1] = place .. "[" .. member.name .. "]: this name is given twice"
    end
    list[member.name] = member
  end
  return list
end

local Resolver = {}
Resolver.__index = Resolver

function Resolver:fault(place, text)
  self.faults[#self.faults + 1] = self.raw.name .. "." .. place .. ": " .. text
end

-- Looks `name` up in one of the file's maps; a fault with the nearest name when it is not there.
function Resolver:find(kind, name, place)
  local map = self.raw[kind] or {}
  if map[name] == nil then
    self:fault(place, "no such entry in `" .. kind .. "`: `" .. tostring(name) .. "`" .. suggest.help(name, sorted.keys(map)))
  end
  return map[name]
end

function Resolver:enum(name, place)
  if self.enums[name] then
    return self.enums[name]
  end
  local raw = self:find("enums", name, place)
  if not raw then
    return nil
  end
  local enum = { name = name, open = raw.open or false, doc = raw.doc, set = {} }
  for index, entry in ipairs(raw) do
    enum[index] = { value = entry[1], doc = entry[2] }
    enum.set[entry[1]] = true
  end
  self.enums[name] = enum
  return enum
end

-- A named type: resolved once, shared by all that refer to it. A type that contains itself is refused.
function Resolver:type(name, place)
  if self.types[name] then
    return self.types[name]
  end
  local raw = self:find("types", name, place)
  if not raw then
    return nil
  end
  if self.resolving[name] then
    self:fault(place, "type `" .. name .. "` contains itself")
    return nil
  end
  self.resolving[name] = true
  local resolved = { name = name, doc = raw.doc, source = raw.source, open = raw.open or false }
  resolved.fields = self:field_list(raw.fields, "types." .. name, nil)
  self.resolving[name] = nil
  self.types[name] = resolved
  return resolved
end

-- The items of an array: always a description in the loaded form.
function Resolver:items(items, place)
  if type(items) == "table" then
    return self:describe(copy(items), place)
  end
  if SCALARS[items] then
    return { type = items }
  end
  return self:describe({ type = "object", shape = items }, place)
end

-- Resolves what one description (a field, an item, a reply) refers to. `field` is ours to change.
function Resolver:describe(field, place)
  if type(field.hash) == "string" then
    field.hash = { algorithm = field.hash }
  end
  if field.enum then
    field.values = self:enum(field.enum, place .. ".enum")
  end
  if field.type == "array" then
    if field.items == nil then
      self:fault(place, "an array needs `items`")
    else
      field.items = self:items(field.items, place .. ".items")
    end
  elseif field.items ~= nil then
    self:fault(place, "`items` belongs to arrays only")
  end
  if field.type ~= "object" then
    if field.fields or field.shape then
      self:fault(place, "`fields` and `shape` belong to objects only")
    end
    return field
  end
  if field.shape then
    local named = self:type(field.shape, place .. ".shape")
    field.fields = named and named.fields or {}
    field.open = named and named.open or field.open
  else
    field.fields = self:field_list(field.fields or {}, place, nil)
    if #field.fields == 0 and not field.open then
      self:fault(place, "an object needs `fields`, `shape` or `open = true`")
    end
  end
  return field
end

-- A list of fields; `operation` is given for the fields of a request, which need to say where they go.
function Resolver:field_list(raw, place, operation)
  local list = {}
  for _, entry in ipairs(raw) do
    if entry.include then
      local named = self:type(entry.include, place)
      for _, field in ipairs(named and named.fields or {}) do
        local included = copy(field)
        included.where, included.is_included = entry.where, true
        list[#list + 1] = included
      end
    else
      local field = copy(entry)
      field.type = field.type or "string"
      list[#list + 1] = self:describe(field, place .. "[" .. field.name .. "]")
    end
  end
  for _, field in ipairs(list) do
    local here = place .. "[" .. field.name .. "]"
    if not operation and field.where then
      self:fault(here .. ".where", "belongs to the fields of a request, not to fields of objects, types and replies")
    elseif operation then
      if not field.where then
        self:fault(here, "`where` is missing")
      elseif not PLACES[operation.body][field.where] then
        self:fault(here, "a field of a request with body `" .. operation.body .. "` cannot go into `" .. field.where .. "`")
      end
    end
  end
  return index_by_name(list, self.raw.name .. "." .. place, self.faults)
end

function Resolver:reply(raw, place)
  if raw == nil then
    return { type = "object", fields = {}, open = true }
  end
  if type(raw) == "string" then
    return self:describe({ type = "object", shape = raw }, place)
  end
  if raw.type then
    return self:describe(copy(raw), place)
  end
  return self:describe({ type = "object", fields = raw, open = true }, place)
end

-- Columns of rows without names: those that are described are not required unless they say so.
function Resolver:columns(raw, shape, place)
  local columns = {}
  for i, column in ipairs(raw) do
    columns[i] = column
    if type(column) == "table" then
      local here = place .. ".columns[" .. column.name .. "]"
      columns[i] = self:describe(copy(column), here)
      columns[i].type = column.type or "string"
      if column.where or not SCALARS[columns[i].type] or columns[i].type == "file" then
        self:fault(here, "is one value of a row: it has no `where`, and is not an object, array or file")
      elseif shape ~= "csv" and shape ~= "array" then
        self:fault(here, "described columns are for shape `csv` and `array`; of other rows the fields are described")
      end
    end
  end
  return columns
end

-- Keys that rows of shape `call` have no use for.
local NOT_OF_CALLS = { "field", "type", "per_call", "per_call_max", "per_file", "columns", "columns_from", "file", "all_or_nothing", "once" }

-- Rows that are calls of their own: columns fill the operation's fields, but for those that the account or nobody fills. A digest is made with the
-- call.
function Resolver:call_rows(rows, operation, place)
  local fields, taken = {}, {}
  for _, key in ipairs(NOT_OF_CALLS) do
    if rows[key] ~= nil then
      self:fault(place .. "." .. key, "does not go with shape `call`")
    end
  end
  for _, key in ipairs(self.raw.account) do
    taken[key.fills or false] = true
  end
  for _, field in ipairs(operation.fields) do
    if field.constant == nil and not field.call_key and not taken[field.name] and not (field.type == "file" and not field.required) then
      local described = copy(field)
      described.hash, described.not_blank = nil, field.not_blank or field.hash and field.hash.trim or nil
      fields[#fields + 1], fields[field.name] = described, described
    end
  end
  rows.shape, rows.is_call, rows.steps, rows.per_call, rows.per_call_max = "object", true, {}, 1, 1
  rows.row = { type = "object", fields = fields }
end

function Resolver:rows(raw, operation, place)
  local rows = copy(raw)
  if rows.shape == "call" then
    self:call_rows(rows, operation, place)
    return self:row_results(rows, place)
  elseif not rows.field then
    self:fault(place, "`field` is missing: which field carries the rows?")
    rows.steps = {}
    return rows
  end
  local field = operation.fields[rows.field]
  rows.steps = field and { rows.field } or row_tree.steps(rows.field)
  field = field or row_tree.at(operation.fields, rows.steps)
  if not field then
    self:fault(place, "there is no field `" .. rows.field .. "`: rows are the items of a field of type `array`, or a `file`")
    return rows
  end
  if rows.shape == "csv" then
    if field.type ~= "file" or not rows.file then
      self:fault(place, "shape `csv` needs a field of type `file` and a `file` description")
    end
  elseif field.type ~= "array" then
    self:fault(place, "shape `" .. rows.shape .. "` needs a field of type `array`, whose items are the rows; with one row a call the shape is `call`")
  else
    rows.row, rows.join = field.items, field.join
  end
  if rows.columns then
    rows.columns = self:columns(rows.columns, rows.shape, place)
  end
  if rows.per_call and rows.per_call_max and rows.per_call > rows.per_call_max then
    self:fault(place, "`per_call` is over `per_call_max`")
  end
  rows.per_call_max = rows.per_call_max or field.max_items
  return self:row_results(rows, place)
end

-- The reply's account of the rows, with what goes without saying.
function Resolver:row_results(rows, place)
  local result = copy(rows.result or {})
  if type(result.failed_rows) == "string" then
    result.failed_rows = { list = result.failed_rows }
  end
  rows.result = rows.result and result
  if result.status and not result.success_status then
    self:fault(place .. ".result", "`status` needs `success_status`: no answer would ever be a success")
  end
  return rows
end

-- The file of members that a field of ids asks for.
function Resolver:members_file(key, operation, place)
  local raw = self:find("members_files", key, place)
  if not raw then
    return nil
  end
  local file = copy(raw)
  file.row = self:describe({ type = "object", shape = raw.type }, place)
  if not operation.fields[raw.field] then
    self:fault(place, "there is no field `" .. raw.field .. "`")
  end
  for _, name in ipairs(raw.columns) do
    if not file.row.fields[name] then
      self:fault(place .. ".columns", "there is no field `" .. name .. "` in `" .. raw.type .. "`")
    elseif file.row.fields[name].hash then
      self:fault(place .. ".columns", "`" .. name .. "` is hashed: files of members hold texts as they are")
    end
  end
  return file
end

-- Resolves an operation's fields and reply, and what depends on them.
function Resolver:complete(operation, raw, place)
  operation.fields = self:field_list(raw.fields or {}, place, raw)
  for _, field in ipairs(operation.fields) do
    operation.call_key = operation.call_key or field.call_key and field or nil
  end
  operation.reply = self:reply(raw.reply, place .. ".reply")
  if raw.rows then
    operation.rows = self:rows(raw.rows, operation, place .. ".rows")
  end
  if raw.members_file then
    operation.members_file = self:members_file(raw.members_file, operation, place .. ".members_file")
  end
end

local LATE = { call_key = true, fields = true, members_file = true, reply = true, rows = true }

-- Completes a shipped operation when one of the late fields is first read: a script uses few of a platform's operations.
function Resolver:complete_later(operation, raw, place)
  for name in pairs(LATE) do
    operation[name] = nil
  end
  return setmetatable(operation, { __index = function(_, key)
    if not LATE[key] then
      return nil
    end
    setmetatable(operation, nil)
    self:complete(operation, raw, place)
    return operation[key]
  end })
end

function Resolver:operation(raw, is_foreign)
  local place = "operations[" .. raw.name .. "]"
  local operation = copy(raw)
  operation.key = self.raw.name .. "." .. raw.name
  operation.platform = self.raw.name
  operation.source = raw.source:sub(1, 1) == ":" and self.raw.source .. raw.source or raw.source
  operation.rules = raw.rules or {}
  if raw.auth ~= "none" then
    operation.scheme = self:find("auth", raw.auth, place .. ".auth")
  end
  local scheme = operation.scheme or {}
  operation.tokens_name = scheme.kind == "oauth2" and raw.auth or scheme.kind == "signature" and scheme.tokens or nil
  operation.tokens = self.raw.auth[operation.tokens_name or false]
  if raw.window then
    operation.closed = self:find("windows", raw.window, place .. ".window")
  end
  if not is_foreign then
    return self:complete_later(operation, raw, place)
  end
  self:complete(operation, raw, place)
  return operation
end

-- Resolves all named types and enums, whether or not anything refers to them.
function Resolver:complete_names()
  for name in pairs(self.raw.types or {}) do
    self:type(name, "types." .. name)
  end
  for name in pairs(self.raw.enums or {}) do
    self:enum(name, "enums." .. name)
  end
end

local function zone_seconds(zone)
  local sign, hours, minutes = zone:match("^([+-])(%d%d):(%d%d)$")
  if not sign or tonumber(hours) > 14 or tonumber(minutes) > 59 then
    return nil
  end
  local seconds = tonumber(hours) * 3600 + tonumber(minutes) * 60
  return sign == "-" and -seconds or seconds
end

function Resolver:clock(text, place)
  local seconds = #text == 8 and time.parse_clock(text)
  if not seconds then
    self:fault(place, "must be a time of day like 02:00:00 (midnight is 00:00:00)")
  end
  return seconds or 0
end

function Resolver:windows()
  local windows = {}
  for name, raw in pairs(self.raw.windows or {}) do
    local window = copy(raw)
    window.name = name
    window.from_seconds = self:clock(raw.from, "windows." .. name .. ".from")
    window.to_seconds = self:clock(raw.to, "windows." .. name .. ".to")
    if raw.from == raw.to then
      self:fault("windows." .. name, "begins and ends at the same time: nothing would ever be closed")
    end
    windows[name] = window
  end
  return windows
end

---Resolves the table of a platform.
---@param raw table what a platform file returns
---@param is_foreign boolean a user's platform, which has to be checked; ours were checked by the tests
---@return campaign.platform platform
---@return string[] faults "place: text"
return function(raw, is_foreign)
  local self = setmetatable({ raw = raw, faults = {}, enums = {}, types = {}, resolving = {} }, Resolver)
  local platform = copy(raw)
  self.account = index_by_name(copy(raw.account), raw.name .. ".account", self.faults)
  self.operations = {}
  for index, operation in ipairs(raw.operations) do
    self.operations[index] = self:operation(operation, is_foreign)
  end
  index_by_name(self.operations, raw.name .. ".operations", self.faults)
  platform.account, platform.operations = self.account, self.operations
  if is_foreign then
    self:complete_names()
    platform.types, platform.enums = self.types, self.enums
  else
    platform.types, platform.enums = nil, nil
    setmetatable(platform, { __index = function(_, key)
      if key == "types" or key == "enums" then
        setmetatable(platform, nil)
        self:complete_names()
        platform.types, platform.enums = self.types, self.enums
        return platform[key]
      end
    end })
  end
  platform.windows = self:windows()
  for _, operation in ipairs(self.operations) do
    operation.closed = operation.window and platform.windows[operation.window] or nil
  end
  platform.limits = raw.limits or {}
  platform.links = raw.links or {}
  platform.waiters = raw.waiters or {}
  platform.callbacks = raw.callbacks or {}
  platform.zone_seconds = zone_seconds(raw.zone)
  if not platform.zone_seconds then
    self:fault("zone", "must be like +08:00")
  end
  if is_foreign then
    platform_checks.check(self)
    if #self.faults == 0 then -- it follows the names, which must all exist
      platform_fit.check(self)
    end
  end
  return platform, self.faults
end

-- SPDX-License-Identifier: MIT
-- Checks that the values of a platform file are consistent: limits with each other, names with the fields they refer to, schemes with the
-- bodies that carry them. A part of the loader (api/platform) for users' files, after api/platform_checks. Faults are reported to the
-- loader.

local call_key = require "campaign.api.call_key"
local oauth_fit = require "campaign.api.oauth_fit"
local reply_fit = require "campaign.api.reply_fit"
local rows_fit = require "campaign.api.rows_fit"
local signature_fit = require "campaign.api.signature_fit"

local M = {}

-- The Lua type that a default or constant of a field must have; other field types are texts.
local LUA_TYPES = { integer = "number", number = "number", boolean = "boolean" }

local TEXT_KEYS = { "min_length", "max_length", "unit", "not_blank", "pattern", "forbid" }
local NUMBERS = { integer = true, int64 = true, number = true }
local ONE_TYPE = { whole_minutes = "datetime", digest = "file", content_type = "file" }
local REPLY_KEYS = { "names", "also", "map", "or_empty" }
local REQUEST_KEYS = { "default", "constant", "required_if", "only_if", "one_of", "any_of", "call_key" }
local LIMITS = { { "min", "max" }, { "min_length", "max_length" }, { "min_items", "max_items" } }

local function constant_fits(resolver, field, key, here)
  local value = field[key]
  if value == nil then
    return
  end
  local wanted = LUA_TYPES[field.type] or "string"
  if field.type == "any" or field.type == "array" or field.type == "object" then
    return
  elseif type(value) ~= wanted then
    resolver:fault(here .. "." .. key, "must be a " .. wanted .. " for a field of type `" .. field.type .. "`, not a " .. type(value))
  elseif field.type == "int64" and not value:find("^%-?%d+$") then
    resolver:fault(here .. "." .. key, "must be digits, as \"1790000000000001\"")
  elseif key ~= "example" and field.values and not field.values.open and not field.values.set[value] then
    resolver:fault(here .. "." .. key, "is not a value of enum `" .. field.values.name .. "`")
  end
end

local function field_fits(resolver, field, here)
  for _, pair in ipairs(LIMITS) do
    local least, most = field[pair[1]], field[pair[2]]
    if least and most and least > most then
      resolver:fault(here .. "." .. pair[1], "is over `" .. pair[2] .. "`: no value would ever do")
    end
  end
  for _, key in ipairs(TEXT_KEYS) do
    if field[key] ~= nil and field.type ~= "string" then
      resolver:fault(here .. "." .. key, "belongs to fields of type `string`, not `" .. field.type .. "`")
    end
  end
  for _, key in ipairs{ "min", "max" } do
    if field[key] and not NUMBERS[field.type] then
      resolver:fault(here .. "." .. key, "belongs to numbers, not to `" .. field.type .. "` (of texts: `" .. key .. "_length`)")
    end
  end
  for key, wanted in pairs(ONE_TYPE) do
    if field[key] and field.type ~= wanted then
      resolver:fault(here .. "." .. key, "belongs to fields of type `" .. wanted .. "`, not `" .. field.type .. "`")
    end
  end
  if field.unit and not field.min_length and not field.max_length then
    resolver:fault(here .. ".unit", "needs `min_length` or `max_length`")
  end
  for _, entry in ipairs(field.values or {}) do
    if field.type ~= "any" and type(entry.value) ~= (LUA_TYPES[field.type] or "string") then
      resolver:fault(here .. ".enum", "`" .. tostring(entry.value) .. "` of `" .. field.values.name .. "` is no value of type `" .. field.type .. "`")
      break
    end
  end
  if field.hash and (field.type ~= "string" or field.values) then
    resolver:fault(here .. ".hash", "belongs to texts without an enum, not to `" .. (field.values and "enum" or field.type) .. "`")
  end
  for _, key in ipairs{ "min_items", "max_items", "join", "or_empty" } do
    if field[key] and field.type ~= "array" then
      resolver:fault(here .. "." .. key, "belongs to arrays, not to `" .. field.type .. "`")
    end
  end
  constant_fits(resolver, field, "default", here)
  constant_fits(resolver, field, "constant", here)
  constant_fits(resolver, field, "example", here)
end

-- Keys that would go unheard in a request, or in a reply; fields of named types may stand in both.
local function side_fits(resolver, field, side, here)
  for _, key in ipairs(side == "request" and REPLY_KEYS or side == "reply" and REQUEST_KEYS or {}) do
    if field[key] ~= nil then
      resolver:fault(here .. "." .. key, "has no meaning in a " .. side)
    end
  end
  if side == "reply" and field.required then
    resolver:fault(here .. ".required", "has no meaning in a reply: `present` of the operation names what a good one must have")
  end
end

local function fields_fit(resolver, fields, place, side)
  for _, field in ipairs(fields) do
    local here = place .. "[" .. field.name .. "]"
    field_fits(resolver, field, here)
    side_fits(resolver, field, not field.is_included and side, here)
    local inner = field.type == "array" and type(field.items) == "table" and field.items or field
    if inner.type == "object" and not inner.shape then -- a named type is looked at once, under its name
      fields_fit(resolver, inner.fields, here, side)
    end
  end
end

-- What gives the content type of a body, where the file may say it.
local CONTENT_TYPES = { json = "`content_type` of the operation", ndjson = "`content_type` of the operation",
  array = "`content_type` of the operation", file = "`content_type` of its field" }

-- Where a field of a request may go.
local function places_fit(resolver, operation, place)
  for _, field in ipairs(operation.fields) do
    local here = place .. ".fields[" .. field.name .. "]"
    if field.type == "file" and field.where ~= "body" and not (field.where == "form" and operation.body == "multipart") then
      resolver:fault(here, "a file goes into `form` of a body `multipart`, or is the `body` of a body `file`")
    elseif field.where ~= "json" and (field.type == "object" or field.type == "array" and field.items and field.items.type == "object") then
      resolver:fault(here, "an object goes into a JSON body only, not into `" .. tostring(field.where) .. "`")
    elseif field.where == "header" and field.name:find("[^%w!#$&'*+.^_`|~-]") then
      resolver:fault(here .. ".name", "is not a header name (letters, digits, `-`)")
    elseif field.where == "header" and field.name:lower() == "content-type" and operation.body ~= "none" then
      resolver:fault(here, "the type of a body `" .. operation.body .. "` is " .. (CONTENT_TYPES[operation.body] or "written with it"))
    elseif field.where == "path" and not field.required and field.default == nil and field.constant == nil then
      resolver:fault(here, "a field of the path must be `required`, or have a `default`")
    end
  end
  if operation.path:find("[^\33-\126]") or operation.path:gsub("{[%w_]+}", ""):find("[{}]") then
    resolver:fault(place .. ".path", "may hold printable ASCII, and braces around names of fields only")
  end
end

-- The field that takes a key of each call's own.
local function call_key_fits(resolver, operation, place)
  for _, field in ipairs(operation.fields) do
    local here, length = place .. ".fields[" .. field.name .. "]", call_key.LENGTHS[field.call_key]
    if length and field ~= operation.call_key then
      resolver:fault(here .. ".call_key", "`" .. operation.call_key.name .. "` is the key already")
    elseif length and (field.type ~= "string" or field.where == "path" or field.where == "body") then
      resolver:fault(here .. ".call_key", "belongs to a field of type `string` in a header, the query, a form or a JSON body")
    elseif length and (field.constant or field.default or field.values or field.only_if or field.hash) then
      resolver:fault(here .. ".call_key", "does not go with `constant`, `default`, `enum`, `only_if` or `hash`: the key is made for each call")
    elseif length and ((field.max_length or length) < length or (field.min_length or length) > length) then
      resolver:fault(here .. ".call_key", ("a key of the form `%s` has %d characters, which the limits of the field refuse"):format(
        field.call_key, length))
    elseif length and operation.effect == "safe" then
      resolver:fault(here .. ".call_key", "the effect is `safe`: repeats do no harm")
    end
  end
end

-- Keys that are heard only with a body, or a response, of one kind.
local function kinds_fit(resolver, operation, place)
  if operation.filename_mode and operation.body ~= "multipart" then
    resolver:fault(place .. ".filename_mode", "belongs to a body `multipart`")
  end
  if operation.response == "json" then
    return
  end
  local reads = { reply = #(operation.reply.fields or {}) > 0, present = operation.present, pages = operation.pages, receipt = operation.receipt }
  for _, condition in ipairs(operation.success or {}) do
    reads.success = reads.success or condition.path
  end
  for key, is_there in pairs(reads) do
    if is_there then
      resolver:fault(place .. "." .. key, "is of a reply in JSON, and the `response` is `" .. operation.response .. "`")
    end
  end
end

-- The field that alone goes to a place of the request; nil if there is none or more than one.
local function only_field(operation, where)
  local count, only = 0, nil
  for _, field in ipairs(operation.fields) do
    if field.where == where then
      count, only = count + 1, field
    end
  end
  return count == 1 and only or nil
end

-- A body of lines, or one that is an array itself, is one list.
local function list_body_fits(resolver, operation, place)
  local only = only_field(operation, "json")
  if not only or only.type ~= "array" or only.join or not only.required then
    resolver:fault(place .. ".body", "`" .. operation.body .. "` needs one field with `where = \"json\"`: a required array, whose items are "
      .. (operation.body == "ndjson" and "the lines" or "those of the body"))
  end
end

-- A body that is a file is nothing else.
local function file_body_fits(resolver, operation, place)
  local only = only_field(operation, "body")
  if not only or only.type ~= "file" or not only.required then
    resolver:fault(place .. ".body", "`file` needs one field with `where = \"body\"`: a required one of type `file`")
  elseif only.digest or operation.receipt and operation.receipt.sha256 then
    resolver:fault(place, "the SHA-256 is made of files in a body `multipart` only (`digest`, `receipt.sha256`)")
  end
end

local function pages_fit(resolver, operation, place)
  local pages = operation.pages
  if operation.effect ~= "safe" then
    resolver:fault(place .. ".pages", "belong to an operation with the effect `safe`: it is called for each page")
  end
  for _, key in ipairs{ "page", "offset", "cursor", "size" } do
    reply_fit.needs_field(resolver, operation.fields, pages[key], place .. ".pages." .. key)
  end
  for _, key in ipairs{ "total", "next" } do
    reply_fit.paths_fit(resolver, operation.reply, pages[key], place .. ".pages." .. key)
  end
  for _, path in ipairs(type(pages.list) == "table" and pages.list or { pages.list }) do
    reply_fit.typed_fits(resolver, operation.reply, path ~= "." and path, reply_fit.LISTS, place .. ".pages.list")
  end
  if pages.more then
    reply_fit.entry_condition_fits(resolver, pages.more, place .. ".pages.more", operation.reply, true)
  end
  local cursor = pages.cursor and operation.fields[pages.cursor]
  if cursor and (cursor.required or cursor.type == "array" or cursor.type == "object" or cursor.type == "file") then
    resolver:fault(place .. ".pages.cursor", "must be one value that may be left out: the first page is asked for without it, or with its `default`")
  end
  local size = pages.size and operation.fields[pages.size]
  if size and size.max and pages.default_size and pages.default_size > size.max then
    resolver:fault(place .. ".pages.default_size", "is over `max` of `" .. size.name .. "`")
  end
end

local function schemes_fit(resolver)
  for name, scheme in pairs(resolver.raw.auth) do
    if scheme.kind == "signature" then
      signature_fit.check(resolver, name, scheme, "auth." .. name)
    else
      oauth_fit.check(resolver, name, scheme, "auth." .. name)
      reply_fit.conditions_fit(resolver, scheme.expired, "auth." .. name .. ".expired")
    end
  end
end

local function waiter_fits(resolver, waiter, place)
  if waiter.max_delay < waiter.delay then
    resolver:fault(place .. ".max_delay", "is under `delay`")
  end
  local described = reply_fit.entries_fit(resolver, resolver.operations[waiter.operation].reply, waiter.list, place)
  for _, key in ipairs{ "success", "failure" } do
    reply_fit.conditions_fit(resolver, waiter[key], place .. "." .. key, described)
  end
  reply_fit.paths_fit(resolver, described, waiter.changed, place .. ".changed")
end

local function account_fits(resolver)
  local fields, base_needed = {}, false
  for _, operation in ipairs(resolver.operations) do
    base_needed = base_needed or not operation.url
    for _, field in ipairs(operation.fields) do
      if not fields[field.name] then
        fields[#fields + 1] = field
        fields[field.name] = field
      end
    end
  end
  if base_needed and not resolver.account.base_url then
    resolver:fault("account", "needs a key `base_url`: calls without a `url` of their own go there")
  end
  for _, operation in ipairs(resolver.operations) do
    local key = resolver.account[operation.url or "base_url"]
    if key and key.type and key.type ~= "url" and key.type ~= "string" then
      resolver:fault("account[" .. key.name .. "].type", "must be `url`: calls go there")
    end
  end
  for _, key in ipairs(resolver.account) do
    local here = "account[" .. key.name .. "]"
    if not key.name:find("^[a-z][a-z0-9_]*$") then
      resolver:fault(here .. ".name", "must be lower case letters, digits and underscores: it becomes a variable of the environment")
    end
    reply_fit.needs_field(resolver, fields, key.fills, here .. ".fills")
  end
end

local function enums_fit(resolver)
  for name, enum in pairs(resolver.enums) do
    local seen = {}
    if #enum == 0 and not enum.open then
      resolver:fault("enums." .. name, "has no values, and is not `open`: nothing would ever do")
    end
    for _, entry in ipairs(enum) do
      if seen[entry.value] then
        resolver:fault("enums." .. name, "the value `" .. tostring(entry.value) .. "` is given twice")
      end
      seen[entry.value] = true
    end
  end
end

-- What is asked of another operation about the target of this one.
local function query_fits(resolver, query, place)
  if query and query.unless then
    local asked = resolver.operations[query.operation]
    local list = query.list or asked.pages and asked.pages.list
    local entry = type(list) == "string" and reply_fit.entries_fit(resolver, asked.reply, list, place) or nil
    reply_fit.entry_condition_fits(resolver, query.unless, place .. ".unless", entry)
  end
end

local function operation_fits(resolver, operation)
  local place = "operations[" .. operation.name .. "]"
  fields_fit(resolver, operation.fields, place .. ".fields", "request")
  if operation.reply.fields and not operation.reply.shape then
    fields_fit(resolver, operation.reply.fields, place .. ".reply", "reply")
  end
  places_fit(resolver, operation, place)
  kinds_fit(resolver, operation, place)
  call_key_fits(resolver, operation, place)
  for _, key in ipairs{ "success", "throttle", "not_applied" } do
    reply_fit.conditions_fit(resolver, operation[key], place .. "." .. key, operation.reply)
  end
  for _, key in ipairs{ "present", "code", "message" } do
    reply_fit.paths_fit(resolver, operation.reply, operation[key], place .. "." .. key)
  end
  if operation.scheme and operation.scheme.field and operation.body ~= "form" and operation.body ~= "multipart" then
    resolver:fault(place .. ".auth", "scheme `" .. operation.auth .. "` sends a field of a form: a body `" .. operation.body .. "` cannot carry it")
  end
  if operation.body == "ndjson" or operation.body == "array" then
    list_body_fits(resolver, operation, place)
  end
  if operation.content_type and operation.body ~= "json" and operation.body ~= "ndjson" and operation.body ~= "array" then
    resolver:fault(place .. ".content_type", "belongs to a body `json`, `ndjson` or `array`"
      .. (operation.body == "file" and "; of a body `file` it is a key of the field" or ""))
  end
  if operation.body == "file" then
    file_body_fits(resolver, operation, place)
  end
  if operation.rows then
    rows_fit.check(resolver, operation, place .. ".rows")
    for _, column in ipairs(operation.rows.columns or {}) do
      if type(column) == "table" then
        field_fits(resolver, column, place .. ".rows.columns[" .. column.name .. "]")
      end
    end
  end
  if operation.pages then
    pages_fit(resolver, operation, place)
  end
  query_fits(resolver, type(operation.probe) == "table" and operation.probe or nil, place .. ".probe")
  query_fits(resolver, operation.rows and operation.rows.columns_from, place .. ".columns_from")
  for key, name in pairs{ receipt = "part", destructive = "field" } do
    if operation[key] then
      reply_fit.needs_field(resolver, operation.fields, operation[key][name], place .. "." .. key .. "." .. name)
    end
  end
  local codes = {}
  for _, refusal in ipairs(operation.refusals or {}) do
    if codes[refusal.code] then
      resolver:fault(place .. ".refusals", "the code `" .. tostring(refusal.code) .. "` is given twice")
    end
    codes[refusal.code] = true
  end
end

---Checks a resolved platform in which every name leads somewhere.
---@param resolver table the loader: `raw`, `account`, `operations`, `types`, `enums`, `fault`
function M.check(resolver)
  account_fits(resolver)
  enums_fit(resolver)
  for name, named in pairs(resolver.types) do
    fields_fit(resolver, named.fields, "types." .. name)
  end
  for _, operation in ipairs(resolver.operations) do
    operation_fits(resolver, operation)
  end
  schemes_fit(resolver)
  reply_fit.conditions_fit(resolver, resolver.raw.throttle, "throttle")
  reply_fit.conditions_fit(resolver, resolver.raw.not_applied, "not_applied")
  for name, waiter in pairs(resolver.raw.waiters or {}) do
    waiter_fits(resolver, waiter, "waiters." .. name)
  end
  for name, callback in pairs(resolver.raw.callbacks or {}) do
    local rows = resolver.operations[callback.operation].rows
    local result = rows and rows.result or {}
    if result.accepted ~= "pending" or not result.id then
      resolver:fault("callbacks." .. name, "operation `" .. callback.operation .. "` needs rows with `result = { accepted = \"pending\", id = .. }`:"
        .. " the number by which a callback is joined to its batch")
    end
  end
  for name, link in pairs(resolver.raw.links or {}) do
    local operation = resolver.operations[link.operation]
    if operation and operation.method ~= "GET" then
      resolver:fault("links." .. name, "operation `" .. operation.name .. "` is a " .. operation.method .. ": an address is opened by GET")
    elseif operation and operation.scheme and operation.scheme.query then
      resolver:fault("links." .. name, "operation `" .. operation.name .. "` has a secret in its query: an address is shown")
    end
  end
end

return M

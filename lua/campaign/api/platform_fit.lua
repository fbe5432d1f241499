-- SPDX-License-Identifier: MIT
-- Checks that the values of a platform file are consistent: limits with each other, names with the fields they refer to, schemes with the
-- bodies that carry them. A part of the loader (api/platform) for users' files, after api/platform_checks. Faults are reported to the
-- loader.

local names_of = require "campaign.names"
local oauth_fit = require "campaign.api.oauth_fit"
local row_tree = require "campaign.api.row_tree"
local rows_fit = require "campaign.api.rows_fit"
local signature_fit = require "campaign.api.signature_fit"
local suggest = require "campaign.api.suggest"

local M = {}

-- The Lua type that a default or constant of a field must have; other field types are texts.
local LUA_TYPES = { integer = "number", number = "number", boolean = "boolean" }

-- The Lua type as which a scalar of a reply is read.
local SCALARS = { string = "string", int64 = "string", datetime = "string", date = "string", integer = "number", number = "number",
  boolean = "boolean" }

local TEXT_KEYS = { "min_length", "max_length", "unit", "not_blank", "pattern", "forbid" }
local NUMBERS = { integer = true, int64 = true, number = true }
local ONE_TYPE = { whole_minutes = "datetime", digest = "file", content_type = "file" }
local REPLY_KEYS = { "names", "also", "map", "or_empty" }
local REQUEST_KEYS = { "default", "constant", "required_if", "only_if", "one_of", "any_of" }
local LIMITS = { { "min", "max" }, { "min_length", "max_length" }, { "min_items", "max_items" } }

-- Faults unless `name` is one of the fields.
local function needs_field(resolver, fields, name, place)
  if name and not fields[name] then
    resolver:fault(place, "there is no field `" .. name .. "`" .. suggest.help(name, names_of(fields)))
  end
end

-- The description at a path of a reply; nil where nothing is described. Reports a name that is not there, unless the reply is open and no similar
-- name is described.
local function reply_fits(resolver, described, path, place)
  if ("." .. path .. "."):find("..", 1, true) then
    resolver:fault(place, "`" .. path .. "` is not a path: names with one dot between them")
    return nil
  end
  for step in path:gmatch("[^.]+") do
    local fields = described and described.fields
    if not fields or #fields == 0 then
      return nil
    end
    local near = not fields[step] and suggest.help(step, names_of(fields))
    if near and (near ~= "" or not described.open) then
      resolver:fault(place, "the reply has no field `" .. step .. "`" .. near)
    end
    described = fields[step]
  end
  return described
end

-- The same for one path, several, or none.
local function all_fit(resolver, described, paths, place)
  for _, path in ipairs(type(paths) == "table" and paths or { paths }) do
    reply_fits(resolver, described, path, place)
  end
end

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
local CONTENT_TYPES = { json = "`content_type` of the operation", ndjson = "`content_type` of the operation", file = "`content_type` of its field" }

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

-- A body of lines is one list.
local function lines_fit(resolver, operation, place)
  local only = only_field(operation, "json")
  if not only or only.type ~= "array" or only.join or not only.required then
    resolver:fault(place .. ".body", "`ndjson` needs one field with `where = \"json\"`: a required array, whose items are the lines")
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

-- What a list is sent as: a part of a form has a name and a file's name, a body of its own has neither.
local function row_file_fits(resolver, operation, place)
  local file = operation.rows.file
  if file.bom and file.encoding ~= "utf-8" then
    resolver:fault(place .. ".file.bom", "is a mark of UTF-8, not of `" .. file.encoding .. "`")
  end
  for _, key in ipairs{ "part", "filename" } do
    if operation.body == "file" and file[key] then
      resolver:fault(place .. ".file." .. key, "belongs to a body `multipart`: in a body `file` nothing carries it")
    elseif operation.body ~= "file" and not file[key] then
      resolver:fault(place .. ".file", "`" .. key .. "` is missing: the part of the form needs it")
    end
  end
end

-- Faults where a described field of a reply can have none of the values: what is read as a text never equals a number.
local function values_fit(resolver, described, values, place)
  local wanted = described and not described.map and SCALARS[described.type]
  for _, value in ipairs(values) do
    if not wanted or type(value) == wanted then
      return
    end
  end
  if wanted and #values > 0 then
    resolver:fault(place, ("holds for no %s, which is what a field of type `%s` is read as"):format(wanted, described.type)
      .. (wanted == "string" and type(values[1]) == "number" and (": write \"%.14g\""):format(values[1]) or ""))
  end
end

local function conditions_fit(resolver, list, place, reply)
  for index, condition in ipairs(list or {}) do
    local here = place .. "[" .. index .. "]"
    if not condition.path and not condition.status then
      resolver:fault(here, "needs `path` and `is`, or `status`")
    elseif condition.path and not condition.setting and #(condition.is or {}) == 0 then
      resolver:fault(here, "`path` needs `is`: which values hold?")
    end
    if condition.path then
      local described = reply_fits(resolver, reply, condition.path, here .. ".path")
      values_fit(resolver, described, condition.is or {}, here .. ".is")
    end
    local setting = condition.setting and resolver.account[condition.setting]
    if condition.setting and not (setting and setting.type == "list") then
      resolver:fault(here .. ".setting", "there is no account key `" .. condition.setting .. "` of type `list`")
    end
  end
end

-- A condition on an entry or a page: those know neither the status of the answer nor the account.
local function entry_condition_fits(resolver, condition, place, described)
  conditions_fit(resolver, { condition }, place, described)
  if condition.status or condition.setting then
    resolver:fault(place, "takes `path`, `is` and `or_absent` only")
  end
end

-- The description of the entries of a list in a reply.
local function entries_fit(resolver, described, list, place)
  if list and list ~= "." then
    described = reply_fits(resolver, described, list, place .. ".list")
  end
  return described and described.type == "array" and described.items or described
end

local function aliases_fit(resolver, aliases, row, place)
  local meant, fields = {}, row_tree.flatten(row.fields or {})
  for _, field in ipairs(fields) do
    meant[field.name] = field.name
  end
  local names = {}
  for name in pairs(aliases) do
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    if row.fields and not row.open and #row.fields > 0 then
      needs_field(resolver, fields, name, place)
    end
    for _, alias in ipairs(aliases[name]) do
      if meant[alias] then
        resolver:fault(place .. "." .. name, "`" .. alias .. "` means `" .. meant[alias] .. "` already")
      end
      meant[alias] = name
    end
  end
end

-- How refused rows are named: by what can be found again among those that were sent.
local function failed_rows_fit(resolver, operation, result, place)
  local how, rows = result.failed_rows, operation.rows
  local entry = reply_fits(resolver, operation.reply, how.list, place .. ".list")
  entry = entry and entry.type == "array" and entry.items or nil
  for _, key in ipairs{ "index", "value", "reason", "code" } do
    if how[key] and how[key] ~= "." then
      reply_fits(resolver, entry, how[key], place .. "." .. key)
    end
  end
  local ways = (how.index and 1 or 0) + (how.value and 1 or 0) + (how.in_order and 1 or 0)
  if how.unless then
    entry_condition_fits(resolver, how.unless, place .. ".unless", entry)
  end
  if ways > 1 then
    resolver:fault(place, "names rows by one of `index`, `value` and `in_order`")
  elseif how.in_order and not how.unless then
    resolver:fault(place .. ".in_order", "needs `unless`: which entries are of rows that were accepted?")
  elseif (how.index == nil) ~= (how.from == nil) then
    resolver:fault(place, "needs `index` and `from` together: the first row is 0 or 1 (2 where the line of names counts)")
  elseif not how.index and not how.in_order and (rows.shape == "csv" or rows.shape == "array") then
    resolver:fault(place, "rows of shape `" .. rows.shape .. "` are named by `index` or `in_order` only")
  elseif how.value and rows.shape == "object" and not how.field then
    resolver:fault(place, "`value` needs `field`: which field of a row has it?")
  elseif how.field and (not how.value or rows.shape ~= "object") then
    resolver:fault(place .. ".field", "goes with `value`, in rows of shape `object`")
  elseif how.field then
    needs_field(resolver, row_tree.flatten(rows.row and rows.row.fields or {}), how.field, place .. ".field")
  end
  if result.accepted == "pending" then
    resolver:fault(place, "does not go with `accepted = \"pending\"`: what is said later, a callback says")
  end
end

-- The fields of a row, flat, where rows are objects of a described type.
local function row_fields_fit(resolver, rows, place)
  local row = rows.row
  if rows.shape == "object" and row and not (row.type == "object" and rows.type == row.shape) then
    resolver:fault(place .. ".type", "must be the type of the items of `" .. rows.field .. "`" .. (row.shape and ": `" .. row.shape .. "`" or ""))
  elseif rows.shape == "value" and row and (row.type == "object" or row.type == "array") then
    resolver:fault(place .. ".shape", "`value` needs items of one value, not `" .. row.type .. "`")
  end
  local fields = rows.shape == "object" and row and row.fields and row_tree.flatten(row.fields)
  for _, leaf in ipairs(fields or {}) do
    if fields[leaf.name] ~= leaf then
      resolver:fault(place .. ".type", "two fields of a row are called `" .. leaf.name .. "`: one by its name, one by its path")
    end
  end
  for _, leaf in ipairs(fields or {}) do
    if leaf.type == "array" and leaf.items.hash then
      resolver:fault(place .. ".type", "the items of `" .. leaf.name .. "` cannot be hashed in rows: only texts of their own can")
    elseif leaf.hash and leaf.name == rows.mark then
      resolver:fault(place .. ".mark", "`" .. leaf.name .. "` is hashed: our mark would not be found again")
    end
  end
  if fields and not row.open then
    needs_field(resolver, fields, rows.mark, place .. ".mark")
    needs_field(resolver, fields, rows.named_by, place .. ".named_by")
  end
end

local function rows_of_operation_fit(resolver, operation, place)
  local rows, row = operation.rows, operation.rows.row
  place = place .. ".rows"
  row_fields_fit(resolver, rows, place)
  for _, column in ipairs(rows.columns or {}) do
    if type(column) == "table" then
      field_fits(resolver, column, place .. ".columns[" .. column.name .. "]")
    end
  end
  if rows.aliases then
    aliases_fit(resolver, rows.aliases, rows.shape == "object" and row or {}, place .. ".aliases")
  end
  rows_fit.check(resolver, operation, place)
  if rows.file and rows.shape == "csv" then
    row_file_fits(resolver, operation, place)
  end
  local field = row_tree.at(operation.fields, rows.steps)
  if #rows.steps > 1 and operation.body ~= "json" then
    resolver:fault(place .. ".field", "is a path: only a body `json` has objects")
  end
  if rows.per_call and field and field.max_items and rows.per_call > field.max_items then
    resolver:fault(place .. ".per_call", "is over `max_items` of `" .. rows.field .. "`: every full call would be refused")
  end
  local result = rows.result
  for _, key in ipairs{ "id", "success_count", "fail_count", "message" } do
    all_fit(resolver, operation.reply, result and result[key], place .. ".result." .. key)
  end
  local status = result and result.status and reply_fits(resolver, operation.reply, result.status, place .. ".result.status")
  for _, key in ipairs{ "success_status", "partly_status", "failed_status", "pending_status" } do
    values_fit(resolver, status, result and result[key] or {}, place .. ".result." .. key)
  end
  if result and result.failed_rows then
    failed_rows_fit(resolver, operation, result, place .. ".result.failed_rows")
  end
  if result and (result.success_count == nil) ~= (result.fail_count == nil) then
    resolver:fault(place .. ".result", "needs `success_count` and `fail_count` together: they must add up to the rows")
  end
  if result and result.accepted == nil and not (result.success_count or result.fail_count or result.status or result.failed_rows) then
    resolver:fault(place .. ".result", "needs `accepted`, counts, `status` or `failed_rows`: nothing in the reply would account for rows")
  end
end

local function pages_fit(resolver, operation, place)
  local pages = operation.pages
  for _, key in ipairs{ "page", "offset", "cursor", "size" } do
    needs_field(resolver, operation.fields, pages[key], place .. ".pages." .. key)
  end
  for _, key in ipairs{ "list", "total", "next" } do
    if pages[key] ~= "." then
      all_fit(resolver, operation.reply, pages[key], place .. ".pages." .. key)
    end
  end
  if pages.more then
    entry_condition_fits(resolver, pages.more, place .. ".pages.more", operation.reply)
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
      conditions_fit(resolver, scheme.expired, "auth." .. name .. ".expired")
    end
  end
end

local function waiter_fits(resolver, waiter, place)
  if waiter.max_delay < waiter.delay then
    resolver:fault(place .. ".max_delay", "is under `delay`")
  end
  local described = entries_fit(resolver, resolver.operations[waiter.operation].reply, waiter.list, place)
  for _, key in ipairs{ "success", "failure" } do
    conditions_fit(resolver, waiter[key], place .. "." .. key, described)
  end
  all_fit(resolver, described, waiter.changed, place .. ".changed")
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
    needs_field(resolver, fields, key.fills, here .. ".fills")
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
    local entry = type(list) == "string" and entries_fit(resolver, asked.reply, list, place) or nil
    entry_condition_fits(resolver, query.unless, place .. ".unless", entry)
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
  for _, key in ipairs{ "success", "throttle", "not_applied" } do
    conditions_fit(resolver, operation[key], place .. "." .. key, operation.reply)
  end
  for _, key in ipairs{ "present", "code", "message" } do
    all_fit(resolver, operation.reply, operation[key], place .. "." .. key)
  end
  if operation.scheme and operation.scheme.field and operation.body ~= "form" and operation.body ~= "multipart" then
    resolver:fault(place .. ".auth", "scheme `" .. operation.auth .. "` sends a field of a form: a body `" .. operation.body .. "` cannot carry it")
  end
  if operation.body == "ndjson" then
    lines_fit(resolver, operation, place)
  end
  if operation.content_type and operation.body ~= "json" and operation.body ~= "ndjson" then
    resolver:fault(place .. ".content_type", "belongs to a body `json` or `ndjson`"
      .. (operation.body == "file" and "; of a body `file` it is a key of the field" or ""))
  end
  if operation.body == "file" then
    file_body_fits(resolver, operation, place)
  end
  if operation.rows then
    rows_of_operation_fit(resolver, operation, place)
  end
  if operation.pages then
    pages_fit(resolver, operation, place)
  end
  query_fits(resolver, type(operation.probe) == "table" and operation.probe or nil, place .. ".probe")
  query_fits(resolver, operation.rows and operation.rows.columns_from, place .. ".columns_from")
  for key, name in pairs{ receipt = "part", destructive = "field" } do
    if operation[key] then
      needs_field(resolver, operation.fields, operation[key][name], place .. "." .. key .. "." .. name)
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
  conditions_fit(resolver, resolver.raw.throttle, "throttle")
  conditions_fit(resolver, resolver.raw.not_applied, "not_applied")
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

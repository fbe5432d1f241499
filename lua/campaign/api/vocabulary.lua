-- SPDX-License-Identifier: MIT
-- The closed vocabulary of platform files (docs/platform-format.md) and the walk that checks a file against it: every key known, every
-- value of the right kind. References between parts of a file (enums, types, schemes) are checked by `api/platform`.

local suggest = require "campaign.api.suggest"

local M = {}

-- How a value is described: a word for a Lua type; { "word", ... } for one of these texts; { list = d }, { map = d };
-- { of = "name" } for a table of this vocabulary; { any = { d, ... } } for one of several forms; { least, most, whole } for a number;
-- { matches = pattern, must = "what to write" } for a text. `required` keys end in "!".
local amount = { least = 1, most = 1000000000, whole = true }
local size = { least = 0, most = 4294967295, whole = true }
local seconds = { least = 0, most = 31536000 }
local text_of_a_name = { matches = "^[^%c]+$", must = "must be a text without control characters, and not empty" }
local header = { matches = "^[%w!#$&'*+.^_`|~-]+$", must = "must be the name of a header (letters, digits, `-`)" }
local scalar = { any = { "string", "number", "boolean" } }
local strings = { list = "string" }
local paths = { any = { "string", strings } }
local fields = { list = { of = "field" } }

local TYPES = { "string", "integer", "int64", "number", "boolean", "datetime", "date", "file", "array", "object", "any" }
local OUTPUTS = { "hex", "upper_hex", "base64" }
local HASHES = { "md5", "sha256" }
local KINDS = { "auth", "throttle", "platform", "window", "http" }

local VOCABULARY = {
  platform = {
    ["name!"] = "string", ["title!"] = "string", ["doc!"] = "string", ["source!"] = "string", ["zone!"] = "string",
    ["account!"] = { list = { of = "account" } }, ["auth!"] = { map = { of = "scheme" } },
    ["operations!"] = { list = { of = "operation" } },
    types = { map = { of = "type" } }, enums = { map = { of = "enum" } }, windows = { map = { of = "window" } },
    links = { map = { of = "link" } }, limits = { of = "limits" }, waiters = { map = { of = "waiter" } },
    callbacks = { map = { of = "callback" } }, members_files = { map = { of = "members_file" } },
    throttle = { list = { of = "condition" } }, not_applied = { list = { of = "condition" } },
  },
  account = {
    ["name!"] = "string", ["doc!"] = "string", required = "boolean", secret = "boolean", fills = "string",
    type = { "string", "integer", "boolean", "list", "url" }, default = scalar,
  },
  scheme = {
    ["kind!"] = { "header", "form", "query", "bearer", "basic", "oauth2", "signature" }, header = header, prefix = text_of_a_name,
    field = text_of_a_name, query = text_of_a_name, key = "string",
    secret = "string", secret_encoding = { "base64", "hex" }, output = OUTPUTS, text = "string",
    algorithm = { "hmac-sha256", "hmac-sha1", "hmac-sha512", "hmac-md5", "md5", "sha1", "sha256" },
    hmac_key = { any = { "string", strings } }, canonical = { of = "canonical" },
    timestamp = { "seconds", "milliseconds", "datetime", "iso8601", "iso8601_basic" },
    nonce = { least = 8, most = 64, whole = true }, body_digest = { of = "body_digest" }, params = { of = "params" },
    send = { list = { of = "sent" } }, tokens = "string",
    user = "string", password = "string", obtain = "string", refresh = "string", early = seconds, grace = seconds,
    token = "string", expires_in = "string", expires_at = "string", lifetime = { least = 1, most = 31536000 },
    refresh_token = "string", refresh_field = text_of_a_name, refresh_key = "string", rotates = "boolean",
    expired = { list = { of = "condition" } },
  },
  body_digest = { ["algorithm!"] = { "md5", "sha1", "sha256" }, output = OUTPUTS },
  canonical = { ["text!"] = "string", ["algorithm!"] = { "md5", "sha1", "sha256" }, output = OUTPUTS },
  params = {
    ["of!"] = { list = { "query", "form", "json" } }, equals = "string", between = "string",
    skip_nested = "boolean", encoded = "boolean", skip_empty = "boolean",
  },
  sent = { header = header, query = text_of_a_name, json = text_of_a_name, form = text_of_a_name, type = { "string", "integer" },
    ["value!"] = "string" },
  type = { ["fields!"] = fields, doc = "string", open = "boolean", source = "string" },
  window = { ["from!"] = "string", ["to!"] = "string", doc = "string", source = "string" },
  link = { ["operation!"] = "string", doc = "string" },
  limits = {
    concurrency = { least = 1, most = 1000, whole = true }, calls_per_second = { least = 0.001, most = 1000000 }, keep_alive = seconds,
  },
  condition = {
    path = "string", is = { list = scalar }, or_absent = "boolean", status = { list = { least = 100, most = 599, whole = true } }, setting = "string",
  },
  when = { ["field!"] = "string", is = { list = scalar }, given = "boolean" },
  field = {
    ["name!"] = text_of_a_name, type = TYPES, where = { "path", "query", "header", "form", "json", "body" }, required = "boolean",
    default = scalar, constant = scalar, items = { any = { "string", { of = "item" } } }, fields = fields, shape = "string",
    open = "boolean", enum = "string", min = "number", max = "number", min_length = size, max_length = size,
    unit = { "char", "utf16", "byte" }, min_items = size, max_items = size, not_blank = "boolean",
    pattern = { "identifier", "mobile_cn", "url", "text", "clock_or_datetime" }, forbid = "string", join = "string",
    required_if = { of = "when" }, only_if = { of = "when" }, one_of = "string", any_of = "string", not_after = "string",
    whole_minutes = "boolean", redact = { any = { "boolean", { "phone" } } }, digest = "boolean", content_type = text_of_a_name,
    example = scalar, names = strings, also = { list = TYPES }, map = { map = scalar }, or_empty = "boolean",
    doc = "string", source = "string", call_key = { "uuid", "hex" }, hash = { any = { HASHES, { of = "hash" } } },
  },
  hash = { ["algorithm!"] = HASHES, output = { "hex", "upper_hex" }, trim = "boolean", lower = "boolean" },
  operation = {
    ["name!"] = "string", ["method!"] = { "GET", "POST", "PUT", "PATCH", "DELETE" }, ["path!"] = "string",
    ["auth!"] = "string", ["body!"] = { "none", "json", "ndjson", "array", "multipart", "form", "file" },
    content_type = text_of_a_name, ["response!"] = { "json", "binary", "empty" }, ["effect!"] =
      { "safe", "idempotent", "append", "replace", "create", "update", "delete" },
    ["source!"] = "string", ["doc!"] = "string", url = "string", fields = { list = { any = { { of = "include" }, { of = "field" } } } },
    rules = strings, reply = { any = { "string", { of = "item" }, fields } }, success = { list = { of = "condition" } },
    present = strings, code = paths, message = paths, window = "string", refusals = { list = { of = "refusal" } },
    filename_mode = { "utf8", "gbk", "ascii", "star" }, receipt = { of = "receipt" },
    public = "boolean", members_file = "string", rows = { of = "rows" }, pages = { of = "pages" },
    probe = { any = { { "none" }, { of = "probe" } } }, throttle = { list = { of = "condition" } },
    not_applied = { list = { of = "condition" } }, destructive = { of = "when" },
  },
  include = { ["include!"] = "string", ["where!"] = { "query", "form", "json" } },
  refusal = {
    ["code!"] = scalar, ["reason!"] = "string", kind = KINDS, applied = { "no", "maybe" }, hint = "string",
  },
  receipt = { ["part!"] = "string", sha256 = "string", size = "string" },
  rows = {
    field = "string", ["shape!"] = { "object", "array", "value", "csv", "call" }, type = "string", per_call = amount,
    per_call_max = amount, per_file = amount,
    concurrency = { least = 1, most = 1000, whole = true }, all_or_nothing = "boolean", columns_from = { of = "columns_from" },
    columns = { list = { any = { "string", { of = "field" } } } }, aliases = { map = strings }, mark = "string", named_by = "string",
    once = "boolean",
    result = { of = "result" }, file = { of = "file" },
  },
  members_file = {
    ["field!"] = "string", ["upload!"] = "string", ["template!"] = "string", ["type!"] = "string", ["columns!"] = strings,
    aliases = { map = strings }, doc = "string",
  },
  columns_from = {
    ["operation!"] = "string", ["list!"] = "string", ["match!"] = { map = "string" }, ["names!"] = "string",
    ["name!"] = "string", required = { of = "condition" }, unless = { of = "condition" },
  },
  result = {
    accepted = { "pending", "all" }, id = "string", success_count = "string", fail_count = "string",
    failed_rows = { any = { "string", { of = "failed_rows" } } },
    status = "string", message = "string", pending_status = { list = scalar }, success_status = { list = scalar },
    partly_status = { list = scalar }, failed_status = { list = scalar },
  },
  failed_rows = {
    ["list!"] = "string", index = "string", from = { least = 0, most = 2, whole = true }, value = "string", field = "string",
    reason = "string", code = "string", unless = { of = "condition" }, in_order = "boolean",
  },
  file = {
    part = "string", ["encoding!"] = { "utf-8", "gbk", "gb18030" }, ["line_end!"] = { "\n", "\r\n" }, filename = text_of_a_name,
    header = "boolean", bom = "boolean", quote = { "minimal" }, type = "string",
  },
  pages = {
    page = "string", offset = "string", cursor = "string", next = "string", last = { list = scalar }, size = "string", ["list!"] = paths,
    total = paths, more = { of = "condition" }, first = size, default_size = amount,
  },
  waiter = {
    ["operation!"] = "string", ["doc!"] = "string", ["delay!"] = { least = 0.001, most = 86400 }, ["max_delay!"] = seconds, ["timeout!"] = seconds,
    list = "string", match = { map = "string" }, success = { list = { of = "condition" } }, failure = { list = { of = "condition" } },
    changed = strings,
  },
  callback = {
    ["operation!"] = "string", ["id!"] = "string", ["rows!"] = "string", ["ok!"] = "string", ["doc!"] = "string",
    total = "string", success = "string", fail = "string", index = "string", mark = "string", reason = "string",
  },
  probe = {
    ["operation!"] = "string", ["kind!"] = { "total", "entry" }, ["match!"] = { map = "string" }, ["doc!"] = "string", list = "string",
    params = { map = "string" }, unless = { of = "condition" }, count = "string", marks = strings, id = "string", sha256 = "string",
    settle = "number",
  },
}

-- An item of an array, or a whole reply, is a field without a name.
VOCABULARY.item = {}
for key, description in pairs(VOCABULARY.field) do
  VOCABULARY.item[key] = description
end
VOCABULARY.item["name!"] = nil
VOCABULARY.item["type!"] = VOCABULARY.item.type
VOCABULARY.item.type = nil

-- The known keys of one table of the vocabulary.
local function known_keys(vocabulary)
  local keys = {}
  for key in pairs(vocabulary) do
    keys[#keys + 1] = (key:gsub("!$", ""))
  end
  table.sort(keys)
  return keys
end

local walk

local function is_list(value)
  local count = 0
  for _ in pairs(value) do
    count = count + 1
  end
  return count == #value
end

local function walk_table(value, name, place, faults)
  local vocabulary = VOCABULARY[name]
  for key, inner in pairs(value) do
    local description = vocabulary[key]
    if description == nil and type(key) == "string" then
      description = vocabulary[key .. "!"]
    end
    if description == nil then
      local help = suggest.help(tostring(key), known_keys(vocabulary))
      faults[#faults + 1] = place .. ": unknown key `" .. tostring(key) .. "`"
        .. (help ~= "" and help or " (known: " .. table.concat(known_keys(vocabulary), ", ") .. ")")
    else
      walk(inner, description, place .. "." .. key, faults)
    end
  end
  for key in pairs(vocabulary) do
    local required = key:match("^(.*)!$")
    if required and value[required] == nil then
      faults[#faults + 1] = place .. ": `" .. required .. "` is missing"
    end
  end
end

local function walk_list(value, description, place, faults)
  if not is_list(value) then
    faults[#faults + 1] = place .. ": must be a list, without holes or named keys"
    return
  end
  for index, inner in ipairs(value) do
    local label = type(inner) == "table" and type(inner.name) == "string" and inner.name or index
    walk(inner, description, place .. "[" .. label .. "]", faults)
  end
end

local function walk_map(value, description, place, faults)
  for key, inner in pairs(value) do
    if type(key) ~= "string" or key == "" or key:find("%c") then
      faults[#faults + 1] = place .. ": keys must be names, not `" .. tostring(key) .. "`"
    else
      walk(inner, description, place .. "." .. key, faults)
    end
  end
end

-- One of several forms: the faults of the form that comes nearest (of the same kind, the fewest).
local function walk_any(value, forms, place, faults)
  local best, is_best_alike
  for _, form in ipairs(forms) do
    local found = {}
    walk(value, form, place, found)
    if #found == 0 then
      return
    end
    local is_alike = (type(value) == "table") == (type(form) == "table" and (form.of or form.list or form.map) ~= nil)
    if not best or is_alike and not is_best_alike or is_alike == is_best_alike and #found < #best then
      best, is_best_alike = found, is_alike
    end
  end
  for _, fault in ipairs(best) do
    faults[#faults + 1] = fault
  end
end

-- An enum is a list of { value, doc } with perhaps `open` beside it.
local function walk_enum(value, place, faults)
  for key, inner in pairs(value) do
    if key == "open" then
      walk(inner, "boolean", place .. ".open", faults)
    elseif key == "doc" then
      walk(inner, "string", place .. ".doc", faults)
    elseif type(key) ~= "number" then
      faults[#faults + 1] = place .. ": unknown key `" .. tostring(key) .. "` (known: doc, open and the values)"
    elseif type(inner) ~= "table" or #inner == 0 or #inner > 2 or not is_list(inner) or type(inner[2] or "") ~= "string" then
      faults[#faults + 1] = place .. "[" .. key .. "]: must be { value, \"what it means\" }"
    else
      walk(inner[1], scalar, place .. "[" .. key .. "]", faults)
    end
  end
end

local function walk_number(value, description, place, faults)
  local well = type(value) == "number" and value >= description.least and value <= description.most
  if not well or description.whole and value % 1 ~= 0 then
    faults[#faults + 1] = ("%s: must be a %snumber from %s to %.14g"):format(
      place, description.whole and "whole " or "", tostring(description.least), description.most)
  end
end

function walk(value, description, place, faults)
  if type(description) == "string" then
    if type(value) ~= description then
      faults[#faults + 1] = place .. ": must be a " .. description .. ", not a " .. type(value)
    elseif description == "number" and (value ~= value or value == math.huge or value == -math.huge) then
      faults[#faults + 1] = place .. ": must be a number that has an end"
    end
    return
  end
  if description.least then
    return walk_number(value, description, place, faults)
  elseif description.matches then
    if type(value) ~= "string" or not value:find(description.matches) then
      faults[#faults + 1] = place .. ": " .. description.must
    end
    return
  end
  if description.any then
    return walk_any(value, description.any, place, faults)
  end
  if description.list or description.map or description.of then
    if type(value) ~= "table" then
      faults[#faults + 1] = place .. ": must be a table, not a " .. type(value)
    elseif description.list then
      walk_list(value, description.list, place, faults)
    elseif description.map then
      walk_map(value, description.map, place, faults)
    elseif description.of == "enum" then
      walk_enum(value, place, faults)
    else
      walk_table(value, description.of, place, faults)
    end
    return
  end
  for _, word in ipairs(description) do
    if value == word then
      return
    end
  end
  faults[#faults + 1] = place .. ": must be one of " .. table.concat(description, ", ")
end

---All faults of a platform's table against the vocabulary; an empty list when it is well.
---@param value table
---@param name string what the faults call the platform
---@return string[]
function M.faults(value, name)
  local faults = {}
  walk(value, { of = "platform" }, name, faults)
  table.sort(faults)
  return faults
end

---Name → description of every table of the vocabulary, for the generated documents and the specs.
M.VOCABULARY = VOCABULARY

return M

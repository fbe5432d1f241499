-- SPDX-License-Identifier: MIT
-- Builds the request of a call from checked values: URL, headers, and the body as text or as a description of parts. Pure: opens no files
-- and sends nothing; `api/client` turns the description into what the transport takes. JSON is written in the order of the platform's data,
-- 64-bit ids as bare digits, absent fields omitted.

local core = require "campaign.core"
local error_object = require "campaign.error"
local later = require "campaign.later"
local sorted = require "campaign.sorted"

local hashing = later.module "campaign.api.hashing"
local json = later.module "campaign.json"

local M = {}

-- Everything but RFC 3986's unreserved characters; text is UTF-8, so other alphabets become their UTF-8 bytes.
local function percent_encode(text)
  return (text:gsub("[^%w%-._~]", function(character)
    return ("%%%02X"):format(character:byte())
  end))
end
M.percent_encode = percent_encode

-- A scalar as text for paths, queries and form fields.
local function text_of(value)
  return type(value) == "number" and core.json.encode(value) or tostring(value) -- as JSON has it: no digit is lost
end

-- The same for a described value, of which some are sent as their digest.
local function sent_text(description, value)
  return description.hash and hashing.text(description.hash, value) or text_of(value)
end

-- A list that is sent as one text.
local function joined(description, list)
  local texts = {}
  for index, item in ipairs(list) do
    texts[index] = sent_text(description.items, item)
  end
  return table.concat(texts, description.join)
end

local write

-- Writes an object's members in declared order, then unknown ones by name. `steps` lead to the list of rows, whose place is marked by `out.cut`;
-- `level` is the index of the step that is a member of this object.
local function write_object(description, value, out, steps, level)
  local stop = steps and steps[level]
  local first = true
  local function member(name)
    out[#out + 1] = (first and "" or ",") .. core.json.encode(name) .. ":"
    first = false
  end
  out[#out + 1] = "{"
  for _, field in ipairs(description.fields) do
    local inner = value[field.name]
    if stop == field.name and level < #steps then
      member(field.name)
      write_object(field, inner or {}, out, steps, level + 1)
    elseif stop == field.name then
      member(field.name)
      out[#out + 1] = field.join and '"' or "["
      out.cut = #out
      out[#out + 1] = field.join and '"' or "]"
    elseif inner ~= nil and (field.where == nil or field.where == "json") then
      member(field.name)
      write(field, inner, out)
    end
  end
  if description.open then
    for _, key in ipairs(sorted.keys(value)) do
      if not description.fields[key] then
        member(key)
        out[#out + 1] = core.json.encode(value[key])
      end
    end
  end
  out[#out + 1] = "}"
end

function write(description, value, out)
  local kind = description.type
  if kind == "object" then
    write_object(description, value, out)
  elseif kind == "array" and description.join then
    out[#out + 1] = core.json.encode(joined(description, value))
  elseif kind == "array" then
    out[#out + 1] = "["
    for index, item in ipairs(value) do
      if index > 1 then
        out[#out + 1] = ","
      end
      write(description.items, item, out)
    end
    out[#out + 1] = "]"
  elseif kind == "int64" then
    out[#out + 1] = value
  elseif kind == "integer" then
    out[#out + 1] = ("%d"):format(value)
  else
    out[#out + 1] = core.json.encode(description.hash and sent_text(description, value) or value)
  end
end

---The JSON text of the body fields.
---@param operation campaign.operation
---@param values table
---@return string
function M.json(operation, values)
  local out = {}
  write_object({ fields = operation.fields }, values, out)
  return table.concat(out)
end

-- The only field that goes to a place of the request: the list of a body `ndjson` or `array`, the file of a body `file`.
local function only_field(operation, where)
  for _, field in ipairs(operation.fields) do
    if field.where == where then
      return field
    end
  end
  error("operation `" .. operation.name .. "` has no field for its body")
end

-- One item a line.
local function lines(operation, values)
  local field, out = only_field(operation, "json"), {}
  for _, item in ipairs(values[field.name] or {}) do
    write(field.items, item, out)
    out[#out + 1] = "\n"
  end
  return table.concat(out)
end

-- The JSON array of all items.
local function array(operation, values)
  local field, out = only_field(operation, "json"), {}
  write(field, values[field.name] or {}, out)
  return table.concat(out)
end

-- A text as it stands between the quotes of JSON.
local function inner_json(text)
  return core.json.encode(text):sub(2, -2)
end

-- The JSON of the field that holds the rows of an import; of rows that are one text: that text.
local function around_rows(operation, field, value, rows)
  local steps, out = operation.rows.steps, {}
  if #steps == 1 then
    return field.join and assert(json.decode('"' .. rows .. '"', { bytes = #rows + 2 })) or "[" .. rows .. "]"
  end
  write_object(field, value or {}, out, steps, 2)
  return table.concat(out, "", 1, out.cut) .. rows .. table.concat(out, "", out.cut + 1)
end

---The names and values of the fields of a JSON body, in the order in which they are sent: texts as they are, other values as their JSON.
---@param operation campaign.operation
---@param values table
---@param body string? the whole body, where it has rows that `values` lacks
---@return { [1]: string, [2]: string, is_nested: boolean }[]
function M.members(operation, values, body)
  local list, steps, rows = {}, body and operation.rows.steps, nil
  if body then
    local prefix, suffix = M.envelope(operation, values)
    rows = body:sub(#prefix + 1, #body - #suffix)
  end
  for _, field in ipairs(operation.fields) do
    local value, text = values[field.name], nil
    if field.where == "json" and steps and field.name == steps[1] then
      text = around_rows(operation, field, value, rows)
    elseif field.where == "json" and value ~= nil then
      local out = {}
      write(field, value, out)
      text = table.concat(out)
    end
    local is_nested = text and not (steps and field.join) and text:find("^[%[{]") ~= nil
    if value ~= nil and text and text:sub(1, 1) == '"' then
      text = type(value) == "table" and joined(field, value) or sent_text(field, value)
    end
    list[#list + 1] = text and { field.name, text, is_nested = is_nested } or nil
  end
  return list
end

-- The texts that a value becomes in a query or form: one, or one per item of a list that is not joined.
local function texts_of(field, value)
  if field.type ~= "array" then
    return { sent_text(field, value) }
  end
  if field.join then
    return { joined(field, value) }
  end
  local texts = {}
  for index, item in ipairs(value) do
    texts[index] = sent_text(field.items, item)
  end
  return texts
end

---The names and texts of the fields that go to a place of the request, in the order in which they are sent: `query`, or `form` without files.
---@param operation campaign.operation
---@param values table
---@param where "query"|"form"
---@return { [1]: string, [2]: string }[]
function M.pairs_of(operation, values, where)
  local list = {}
  for _, field in ipairs(operation.fields) do
    if field.where == where and field.type ~= "file" and values[field.name] ~= nil then
      for _, text in ipairs(texts_of(field, values[field.name])) do
        list[#list + 1] = { field.name, text }
      end
    end
  end
  return list
end

local function from_hex(digits)
  return string.char(tonumber(digits, 16))
end

---The names and texts of an encoded form.
---@param text string of ours, or of src/percent.c: no `+`
---@return { [1]: string, [2]: string }[]
function M.pairs_in(text)
  local list = {}
  for name, value in text:gmatch("([^&=]+)=([^&]*)") do -- linear: the border is in neither
    list[#list + 1] = { (name:gsub("%%(%x%x)", from_hex)), (value:gsub("%%(%x%x)", from_hex)) }
  end
  return list
end

local function encoded_pairs(list)
  local texts = {}
  for i, pair in ipairs(list) do
    texts[i] = percent_encode(pair[1]) .. "=" .. percent_encode(pair[2])
  end
  return table.concat(texts, "&")
end

-- What stands before, after and between the rows of a form.
local function form_envelope(operation, values)
  local field, list = operation.fields[operation.rows.steps[1]], M.pairs_of(operation, values, "form")
  local before = encoded_pairs(list) .. (list[1] and "&" or "")
  local name = percent_encode(field.name) .. "="
  return before .. name, "", field.join and percent_encode(field.join) or "&" .. name
end

---What stands before, after and between the rows of a call that is no file: of a JSON body the list of rows ends the first with `[` and begins the
---second with `]`, and a comma is between them.
---@param operation campaign.operation with `rows`
---@param values table
---@return string prefix
---@return string suffix
---@return string separator
function M.envelope(operation, values)
  if operation.rows.is_call then
    return "", "", ""
  elseif operation.body == "ndjson" then
    return "", "\n", "\n"
  elseif operation.body == "array" then
    return "[", "]", ","
  elseif operation.body == "form" then
    return form_envelope(operation, values)
  end
  local out, join = {}, operation.rows.join
  write_object({ fields = operation.fields }, values, out, operation.rows.steps, 1)
  return table.concat(out, "", 1, out.cut), table.concat(out, "", out.cut + 1), join and inner_json(join) or ","
end

local function url_of(operation, values, account, credential)
  local base = (operation.url and account[operation.url] or account.base_url):gsub("/+$", "")
  local path = operation.path:gsub("{([%w_]+)}", function(name)
    return percent_encode(sent_text(operation.fields[name], values[name]))
  end)
  local query = encoded_pairs(M.pairs_of(operation, values, "query"))
  if credential.query then
    query = query .. (query ~= "" and "&" or "") .. credential.query
  end
  return base .. path .. (query ~= "" and "?" .. query or "")
end

local function missing(operation, key)
  return nil, error_object.new{
    kind = "auth", sent = "no", retry = false, platform = operation.platform, operation = operation.name,
    reason = "missing_credentials",
    message = "the account has no `" .. key .. "`",
    hint = ("give it to campaign.connect, as CAMPAIGN_%s_%s, or in the accounts file"):format(operation.platform:upper(), key:upper()),
  }
end

-- Puts a secret where its scheme says; by default into the header Authorization.
local function placed(scheme, secret)
  if scheme.field then
    return { part = { name = scheme.field, value = secret } }
  elseif scheme.query then
    return { query = percent_encode(scheme.query) .. "=" .. percent_encode(secret) }
  elseif scheme.header then
    return { header = { scheme.header, (scheme.prefix or "") .. secret } }
  end
  return { header = { "Authorization", (scheme.prefix or "Bearer ") .. secret } }
end

-- What the scheme adds: a header, a parameter of the query, or a text part of the form.
local function credentials(operation, account, access_token)
  local scheme = operation.scheme
  if not scheme then
    return {}
  end
  if scheme.kind == "basic" then
    local user, password = account[scheme.user], account[scheme.password]
    if not user or not password then
      return missing(operation, user and scheme.password or scheme.user)
    end
    return { header = { "Authorization", "Basic " .. core.digest.base64_encode(user .. ":" .. password) } }
  end
  if scheme.kind == "signature" then -- put on by api/sign, anew for each attempt
    local lacking = not account[scheme.secret] and scheme.secret or scheme.key and not account[scheme.key] and scheme.key
    if lacking then
      return missing(operation, lacking)
    end
    return {}
  end
  local token = access_token or scheme.key and account[scheme.key]
  if not token or token == "" then
    return missing(operation, scheme.key or "token")
  end
  return placed(scheme, token)
end

-- Text parts come before files, so that a server can judge the call before the file has arrived.
local function multipart(operation, values, token_part)
  local texts, files = {}, {}
  for _, field in ipairs(operation.fields) do
    local value = values[field.name]
    if field.where == "form" and value ~= nil then
      if field.type == "file" then
        files[#files + 1] = { name = field.name, file = value, digest = field.digest }
      else
        for _, text in ipairs(texts_of(field, value)) do
          texts[#texts + 1] = { name = field.name, value = text }
        end
      end
    end
  end
  texts[#texts + 1] = token_part
  for _, file in ipairs(files) do
    texts[#texts + 1] = file
  end
  return { kind = "multipart", filename_mode = operation.filename_mode or "utf8", parts = texts }
end

-- The body of a call that is one file. The rows of an import are no file here: they come as a source later.
local function whole_file(operation, values)
  local field = only_field(operation, "body")
  local file, rows = values[field.name], operation.rows
  local kind = file and file.content_type or not file and rows and rows.file and rows.file.type or field.content_type
  return { kind = "file", name = field.name, file = file }, kind or "application/octet-stream"
end

local function form(operation, values, token_part)
  local list = M.pairs_of(operation, values, "form")
  local token = token_part and encoded_pairs{ { token_part.name, token_part.value } }
  local text = encoded_pairs(list)
  return { kind = "form", text = text .. (token and (text ~= "" and "&" or "") .. token or ""), token = token }
end

-- Refuses header values with control characters, which could end the header. The value is not shown: it may be a secret.
local function check_headers(operation, headers)
  for _, header in ipairs(headers) do
    if header[2]:find("[%z\1-\31\127]") then
      return error_object.new{
        kind = "invalid", sent = "no", retry = false, platform = operation.platform, operation = operation.name,
        message = "the value for header `" .. header[1] .. "` contains control characters (a line end at the end of a token?)",
      }
    end
  end
end

---The request of a call.
---@param operation campaign.operation
---@param values table from `check.fields`
---@param account table
---@param access_token string? for schemes of kind oauth2
---@return table? request method, url, headers, body: nil, or { kind = "json"|"ndjson"|"array", text }, { kind = "form", text, token (encoded) },
--- { kind = "multipart", parts, filename_mode }, { kind = "file", name, file }
---@return campaign.error? err
function M.request(operation, values, account, access_token)
  local credential, err = credentials(operation, account, access_token)
  if not credential then
    return nil, err
  end
  local headers = {}
  for _, field in ipairs(operation.fields) do
    if field.where == "header" and values[field.name] ~= nil then
      headers[#headers + 1] = { field.name, table.concat(texts_of(field, values[field.name]), ", ") }
    end
  end
  headers[#headers + 1] = credential.header
  local body
  if operation.body == "json" then
    headers[#headers + 1] = { "Content-Type", operation.content_type or "application/json" }
    body = { kind = "json", text = M.json(operation, values) }
  elseif operation.body == "ndjson" then
    headers[#headers + 1] = { "Content-Type", operation.content_type or "application/x-ndjson" }
    body = { kind = "ndjson", text = lines(operation, values) }
  elseif operation.body == "array" then
    headers[#headers + 1] = { "Content-Type", operation.content_type or "application/json" }
    body = { kind = "array", text = array(operation, values) }
  elseif operation.body == "multipart" then
    body = multipart(operation, values, credential.part)
  elseif operation.body == "form" then
    headers[#headers + 1] = { "Content-Type", "application/x-www-form-urlencoded" }
    body = form(operation, values, credential.part)
  elseif operation.body == "file" then
    local kind
    body, kind = whole_file(operation, values)
    headers[#headers + 1] = { "Content-Type", kind }
  end
  err = check_headers(operation, headers)
  if err then
    return nil, err
  end
  return { method = operation.method, url = url_of(operation, values, account, credential), headers = headers, body = body }
end

return M

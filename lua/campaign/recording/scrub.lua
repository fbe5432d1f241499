-- SPDX-License-Identifier: MIT
-- What of an exchange may be recorded: headers by an allow list, bodies by the fields that the platform's data declares. Redacted values
-- are replaced by invented ones of the same class, so that a reply still parses; undeclared values are omitted and counted.
-- recording/record writes the file.

local core = require "campaign.core"
local json = require "campaign.json"
local redact = require "campaign.api.redact"

local M = {}

local MASK = "***"
local MAX_SAFE = 9007199254740992
local SUMMED = 64 -- the digest of a shorter text could be found again by trying

local REQUEST_HEADERS = { ["content-type"] = true, accept = true, ["user-agent"] = true }
local REPLY_HEADERS = { ["content-type"] = true, date = true, ["retry-after"] = true }
-- These speak of the bytes that came, which are not the bytes that are kept.
local LEFT_OUT = { ["content-length"] = true, ["content-encoding"] = true, ["transfer-encoding"] = true, ["set-cookie"] = true }

local function segments(path)
  local list = {}
  for segment in path:gmatch("[^/]+") do
    list[#list + 1] = segment
  end
  return list
end

-- Whether one segment fits one of a template such as `{id}`.
local function fits(template, segment)
  return template == segment or template:find("{", 1, true) ~= nil
end

-- How many segments of an operation's path are literally those at the end of a path; nil when it is another path.
local function likeness(operation, parts)
  local template = segments(operation.path)
  local shift, same = #parts - #template, 0
  if shift < 0 then
    return nil
  end
  for index, wanted in ipairs(template) do
    if not fits(wanted, parts[shift + index]) then
      return nil
    end
    same = same + (wanted == parts[shift + index] and 1 or 0)
  end
  return same, shift
end

-- Operations with one path differ in what they always send.
local function has_constants(operation, body)
  for _, field in ipairs(operation.fields) do
    if field.constant ~= nil and field.where == "json" and (type(body) ~= "table" or body[field.name] ~= field.constant) then
      return false
    end
  end
  return true
end

---What stands before and after a character; nothing after when there is nothing.
---@param text string
---@param character string
---@return string before
---@return string? after
function M.cut(text, character)
  local at = text:find(character, 1, true)
  if not at then
    return text
  end
  return text:sub(1, at - 1), at < #text and text:sub(at + 1) or nil
end

---Splits an URL into what stands before its path, the path, and the query.
---@param url string
---@return string origin
---@return string path
---@return string? query
function M.split(url)
  local before, query = M.cut((M.cut(url, "#")), "?")
  local host = select(2, before:find("://", 1, true)) or 0
  local slash = before:find("/", host + 1, true) or #before + 1
  return before:sub(1, slash - 1), before:sub(slash), query
end

---The operation a request belongs to, found by method, path and constant fields.
---@param platform campaign.platform
---@param request table
---@param body any the decoded JSON body
---@return campaign.operation? operation
---@return integer? shift segments of the base URL before the operation's path
function M.operation(platform, request, body)
  local _, path = M.split(request.url)
  local parts = segments(path)
  local found, found_shift, best
  for _, operation in ipairs(platform.operations) do
    if operation.method == request.method then
      local same, shift = likeness(operation, parts)
      if same and (not best or same > best) and has_constants(operation, body) then
        found, found_shift, best = operation, shift, same
      end
    end
  end
  return found, found_shift
end

local Scrub = {}
Scrub.__index = Scrub

local function percent(bytes)
  return (bytes:gsub("[^%w%-._~]", function(character) return ("%%%02X"):format(character:byte()) end))
end

-- The values in the forms in which an answer may quote them.
local function in_all_forms(values)
  local list, seen = {}, {}
  local function add(text)
    if not seen[text] then
      seen[text] = true
      list[#list + 1] = text
    end
  end
  for _, value in ipairs(values) do
    if not seen[value] then
      add(value)
      local gbk = core.utf8.validate(value) and core.gbk.encode(value, "gb18030") or value
      for _, bytes in ipairs{ value, gbk } do
        add(core.digest.base64_encode(bytes))
        add(percent(bytes))
        add(percent(bytes):lower())
      end
    end
  end
  return list
end

---@param hidden string[] values that must not appear in any text
---@param keep_unknown boolean? what nobody declared is kept as it came
function M.new(hidden, keep_unknown)
  return setmetatable({ hidden = in_all_forms(hidden), keep_unknown = keep_unknown, omitted = 0 }, Scrub)
end

---A text without the hidden values and without mobile numbers.
---@param text string
---@return string
function Scrub:text(text)
  return redact.scrub(text, self.hidden, #text + #self.hidden * #MASK)
end

-- A value of which only the class is kept.
local function blank(value)
  if type(value) == "string" then
    return MASK
  elseif type(value) == "number" then
    return 0
  elseif type(value) ~= "table" then
    return value
  end
  if not json.is_array(value) then
    return {}
  end
  local list = {}
  for index, item in ipairs(value) do
    list[index] = blank(item)
  end
  return json.array(list)
end

local INVENTED = {
  integer = "0", int64 = "0", number = "0", boolean = MASK, date = "2000-01-01", datetime = "2000-01-01 00:00:00",
}

-- A text of the same class: a number of as many digits for a phone number.
local function invented(kind, mark, text)
  if mark == "phone" and #text >= 3 and text:find("^%d+$") then
    return "130" .. ("0"):rep(#text - 3)
  end
  return INVENTED[kind] or MASK
end

function Scrub:string(description, value, mark)
  local kind = description.type
  if mark then
    return invented(kind, mark, value)
  elseif kind == "int64" or kind == "integer" or kind == "number" then
    return value:find("^%-?%d+$") and #value <= 20 and value or self:text(value)
  elseif kind == "date" or kind == "datetime" then
    return value:find("^%d%d%d%d%-[%d%-: T]+$") and value or self:text(value)
  elseif description.values and description.values.set[value] then
    return value
  end
  return self:text(value)
end

local function number_of(description, value, mark)
  if mark then
    return 0
  end
  -- A text that the platform wrote as a number may be a phone number.
  local is_long = description.type == "string" and (value >= 1000000000 or value <= -MAX_SAFE)
  return is_long and 0 or value
end

---A decoded value by its description, fit to be written down.
---@param description table
---@param value any
---@param mark boolean|string|nil what a field around it says about redaction
---@return any
function Scrub:value(description, value, mark)
  mark = description.redact or mark
  if type(value) == "string" then
    return description.type == "any" and (mark or not self.keep_unknown) and MASK or self:string(description, value, mark)
  elseif type(value) == "number" then
    return description.type == "any" and (mark or not self.keep_unknown) and 0 or number_of(description, value, mark)
  elseif type(value) ~= "table" then
    return value -- true, false, null
  elseif description.type == "array" and json.is_array(value) then
    local list = {}
    for index, item in ipairs(value) do
      list[index] = self:value(description.items, item, mark)
    end
    return json.array(list)
  elseif description.type == "object" and not json.is_array(value) then
    return self:object(description, value, mark)
  end
  return self.keep_unknown and not mark and value or blank(value)
end

function Scrub:object(description, value, mark)
  local fields = {}
  for _, field in ipairs(description.fields or {}) do
    fields[field.name] = field
    for _, name in ipairs(field.names or {}) do
      fields[name] = fields[name] or field
    end
  end
  local new = {}
  for key, inner in pairs(value) do
    if fields[key] then
      new[key] = self:value(fields[key], inner, mark)
    elseif self.keep_unknown and not mark then
      new[key] = inner
    else
      self.omitted = self.omitted + 1 -- the key itself may be a name or a number of somebody
    end
  end
  return new
end

---A body of which nothing is known: its length, and its digest unless that would give it away.
---@param bytes string
---@return table
function Scrub:bytes(bytes)
  return {
    kind = "bytes", length = #bytes, sha256 = #bytes >= SUMMED and core.digest.sha256(bytes) or nil,
    base64 = self.keep_unknown and core.digest.base64_encode(bytes) or nil,
  }
end

local function decode_part(text)
  return (text:gsub("+", " "):gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

-- The pairs of a query or of an encoded form, values by the fields of an operation.
function Scrub:pairs(text, operation, where)
  local list, fields = {}, operation and M.request(operation).fields
  for pair in text:gmatch("[^&]+") do
    local name, value = M.cut(pair, "=")
    value = value or ""
    local field = fields and fields[decode_part(name)]
    if field and field.where == where then
      local kept = self:value(field.type == "array" and field.items or field, decode_part(value), field.redact)
      list[#list + 1] = { name, kept }
    elseif self.keep_unknown then
      list[#list + 1] = { name, self:text(decode_part(value)) }
    else
      self.omitted = self.omitted + 1
    end
  end
  return list
end

---The path of a request with its redacted fields masked, from the operation's path on, and the whole URL.
---@return string path
---@return string url
function Scrub:url(url, operation, shift)
  local origin, path, query = M.split(url)
  local parts, kept = segments(path), {}
  local template = operation and segments(operation.path) or {}
  for index, part in ipairs(parts) do
    local name = operation and (template[index - shift] or ""):match("{([%w_]+)}")
    local field = name and operation.fields[name]
    kept[index] = field and field.redact and MASK or self:text(part)
  end
  local full = origin .. "/" .. table.concat(kept, "/")
  if query then
    local texts = {}
    for index, pair in ipairs(self:pairs(query, operation, "query")) do
      texts[index] = pair[1] .. "=" .. percent(tostring(pair[2]))
    end
    full = full .. (texts[1] and "?" .. table.concat(texts, "&") or "")
  end
  return "/" .. table.concat(kept, "/", (shift or 0) + 1), full
end

-- The name of a file may be somebody's; its ending says what it is.
local function disposition(value)
  local ending = value:match('%.(%w+)"?%s*$') or ""
  return 'attachment; filename="file' .. (ending ~= "" and #ending <= 5 and "." .. ending:lower() or "") .. '"'
end

---Headers fit to be written down: all names, the values of harmless ones.
---@param headers table
---@param is_reply boolean
---@return table
function Scrub:headers(headers, is_reply)
  local list = {}
  for _, header in ipairs(headers or {}) do
    local name = header[1]:lower()
    if not LEFT_OUT[name] then
      local known = (is_reply and REPLY_HEADERS or REQUEST_HEADERS)[name]
      local value = known and self:text(header[2]) or MASK
      if is_reply and name == "content-disposition" then
        value = disposition(header[2])
      end
      list[#list + 1] = json.array{ header[1], value }
    end
  end
  return json.array(list)
end

---The description of what a request holds. Rows without fields of their own are personal as a whole: whom they name, nobody declares.
---@param operation campaign.operation
---@return table
function M.request(operation)
  local rows, fields = operation.rows, {}
  for index, field in ipairs(operation.fields) do
    if rows and field.name == rows.steps[1] and rows.shape ~= "object" and not field.redact then
      local copy = { redact = true }
      for key, value in pairs(field) do
        copy[key] = value
      end
      field = copy
    end
    if operation.body == "array" and field.where == "json" then
      return field -- the whole body
    end
    fields[index], fields[field.name] = field, field
  end
  return { type = "object", fields = fields }
end

---The description of an answer, good or bad: refusals hold a code and a message that only the operation names.
---@param operation campaign.operation
---@return table
function M.reply(operation)
  local reply = operation.reply
  if reply and reply.type ~= "object" then
    return reply
  end
  local fields = {}
  for index, field in ipairs(reply and reply.fields or {}) do
    fields[index], fields[field.name] = field, field
  end
  for _, paths in ipairs{ operation.code or {}, operation.message or {} } do
    for _, path in ipairs(type(paths) == "table" and paths or { paths }) do
      if not fields[path] and not path:find(".", 1, true) then
        local field = { name = path, type = "string" }
        fields[#fields + 1], fields[path] = field, field
      end
    end
  end
  return { type = "object", fields = fields }
end

-- Everything below a redacted field, as texts.
local function collect(description, value, mark, list)
  mark = mark or description and description.redact
  if type(value) == "table" then
    for key, inner in pairs(value) do
      local below = description and (type(key) == "number" and description.items or description.fields and description.fields[key])
      collect(below or nil, inner, mark or not below, list)
    end
  elseif mark and type(value) == "string" and #value >= 2 or mark and type(value) == "number" and value > 999 then
    list[#list + 1] = tostring(value)
  end
end

---What a request must not show: its unknown headers, and redacted and undeclared values of its query and body.
---@param request table
---@param operation campaign.operation?
---@param body any the decoded JSON body
---@return string[]
function M.hidden(request, operation, body)
  local list = {}
  for _, header in ipairs(request.headers or {}) do
    if not REQUEST_HEADERS[header[1]:lower()] and #header[2] >= 4 then
      list[#list + 1] = header[2]
      local _, credentials = M.cut(header[2], " ") -- Bearer ..., Basic ...
      list[#list + 1] = credentials and #credentials >= 4 and credentials or nil
    end
  end
  if type(body) == "table" then
    collect(operation and M.request(operation), body, false, list)
  end
  for pair in (select(3, M.split(request.url)) or ""):gmatch("[^&]+") do
    local name, value = M.cut(pair, "=")
    local field = operation and operation.fields[decode_part(name)]
    local is_declared = field and field.where == "query"
    if value and #value >= (is_declared and 4 or 8) and not (is_declared and not field.redact) then
      list[#list + 1] = decode_part(value) -- of what nobody declared tokens and signatures are longer than words like `json`
    end
  end
  return list
end

M.MASK = MASK

return M

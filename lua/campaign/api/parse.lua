-- SPDX-License-Identifier: MIT
-- Interprets the answer to a call: a reply, or one error that distinguishes transport failures, HTTP errors, unreadable replies and
-- refusals by the platform. Pure. Errors have a bounded sample of the body without secrets and personal data.
--
-- `err.sent`: "no" if provably nothing was applied (including answers that say so), "maybe" if that is unknown.

local core = require "campaign.core"
local error_object = require "campaign.error"
local json = require "campaign.json"
local later = require "campaign.later"
local normalise = require "campaign.api.normalise"
local redact = require "campaign.api.redact"
local time = require "campaign.api.time"

local hints = later.module "campaign.api.hints"
local recall = later.module "campaign.api.recall"

local M = {}

local MAX_MESSAGE = 300
local MAX_SAMPLE = 4096
local LONGEST_WAIT = 3600

-- HTTP's own meaning: refused before it was acted on.
local NOT_APPLIED = { [401] = true, [403] = true, [404] = true, [413] = true, [415] = true, [429] = true }

-- A success without the file: no content, or part of it although no range was requested. Incomplete JSON is recognized when it is decoded.
local NO_FILE = { [204] = true, [205] = true, [206] = true }

local STATUS_KIND = { [401] = "auth", [403] = "auth", [429] = "throttle" }

local STATUS_REASON = {
  [400] = "bad_request", [401] = "unauthorized", [403] = "forbidden", [404] = "not_found", [405] = "method_not_allowed",
  [408] = "request_timeout", [409] = "conflict", [413] = "too_large", [415] = "media_type", [429] = "throttled",
  [500] = "server_error", [502] = "bad_gateway", [503] = "unavailable", [504] = "gateway_timeout",
}

local GENERIC_MESSAGE = { "message", "msg", "error_description", "error" }

---The value of a header, whatever the case of its name; nil when it is not there.
---@param headers { [1]: string, [2]: string }[]?
---@param name string in lower case
---@return string?
local function header(headers, name)
  for _, pair in ipairs(headers or {}) do
    if pair[1]:lower() == name then
      return pair[2]
    end
  end
end
M.header = header

-- Where a quoted text ends whose first character is at `at`, and the text. `\"` and `\\` mean their second character; any other backslash
-- stands for itself, as in C:\list.xlsx.
local function quoted_text(value, at)
  local stop = value:find('["\\]', at)
  while stop and value:sub(stop, stop) == "\\" do
    stop = value:find('["\\]', stop + (value:find('^["\\]', stop + 1) and 2 or 1))
  end
  stop = stop or #value + 1
  return stop, (value:sub(at, stop - 1):gsub('\\(["\\])', "%1"))
end

-- The parameters of a header value by their lower-case names: `inline; filename="a;b.pdf"`.
local function header_parameters(value)
  local parameters, at = {}, value:find(";", 1, true)
  while at do
    local equals = value:find("=", at, true)
    if not equals then
      break
    end
    local name = value:sub(at + 1, equals - 1):gsub("%s", ""):lower()
    local start = value:find("%S", equals + 1) or #value + 1
    local stop
    if value:sub(start, start) == '"' then
      stop, parameters[name] = quoted_text(value, start + 1)
    else
      stop = value:find("[;%s]", start) or #value + 1
      parameters[name] = value:sub(start, stop - 1)
    end
    at = value:find(";", stop, true)
  end
  return parameters
end

-- JSON is UTF-8, but servers that use GBK elsewhere may write answers in it, and declare it.
local CHARSETS = { gb2312 = true, gbk = true, ["x-gbk"] = true, cp936 = true, gb18030 = true }

---The text of an answer in UTF-8, where its Content-Type names another encoding that it has.
---@param result table
---@return string
local function text_of(result)
  local text = result.body or ""
  local charset = header_parameters(header(result.headers, "content-type") or "").charset
  if charset and CHARSETS[charset:lower()] and not core.utf8.validate(text) then
    return core.gbk.decode(text, "gb18030") or text
  end
  return text
end

-- Seconds to wait, from a Retry-After in either form; nil for absurd ones.
local function retry_after(result, now)
  local text = header(result.headers, "retry-after")
  if not text then
    return nil
  end
  local seconds = text:match("^(%d+)$")
  if seconds then
    seconds = tonumber(seconds)
  else
    local instant = now and time.parse_http_date(text)
    seconds = instant and instant - now
  end
  if not seconds or seconds < 0 or seconds > 86400 then
    return nil
  end
  return math.min(seconds, LONGEST_WAIT)
end

local Parse = {}
Parse.__index = Parse

-- The values that must not be shown; collected only if there is an error.
function Parse:hide()
  if type(self.hidden) == "function" then
    self.hidden = self.hidden()
  end
  return self.hidden
end

-- A text from outside, fit for a message.
function Parse:clean(text)
  return (redact.scrub(text, self:hide(), MAX_MESSAGE):gsub("%s+", " "))
end

function Parse:error(fields)
  local result = self.result
  fields.platform = self.operation.platform
  fields.operation = self.operation.name
  fields.status = fields.status or result.status
  fields.timings = result.timings
  if fields.retry == nil then
    fields.retry = false
  end
  if result.body and fields.body == nil then
    fields.body = redact.scrub(result.body, self:hide(), MAX_SAMPLE)
  end
  return nil, error_object.new(fields)
end

-- First text or number at one of some paths of a decoded body.
local function first_at(value, paths)
  for _, path in ipairs(type(paths) == "table" and paths or { paths }) do
    local found = normalise.at(value, path)
    if type(found) == "string" and found ~= "" or type(found) == "number" then
      return found
    end
  end
end

-- Codes are compared as text: the same number may come as either.
local function code_text(value)
  if type(value) == "number" and value == math.floor(value) then
    return ("%.0f"):format(value) -- %d raises for what no integer can hold
  end
  return tostring(value)
end

function Parse:refusal(body)
  for _, path in ipairs(type(self.operation.code) == "table" and self.operation.code or { self.operation.code }) do
    local code = first_at(body, path)
    for _, refusal in ipairs(code ~= nil and self.operation.refusals or {}) do
      if code_text(refusal.code) == code_text(code) then
        return refusal
      end
    end
  end
end

-- Whether one condition holds; for a path also whether anything is there.
function Parse:holds(condition, body)
  if condition.status then
    local is_listed = false
    for _, status in ipairs(condition.status) do
      is_listed = is_listed or status == self.result.status
    end
    if not is_listed or not condition.path then
      return is_listed, true
    end
  end
  local value = normalise.at(body, condition.path)
  if value == nil then
    return condition.or_absent or false, condition.or_absent or false
  end
  local accepted = condition.setting and self.account[condition.setting] or condition.is
  for _, expected in ipairs(accepted) do
    if value == expected or condition.setting and code_text(value) == code_text(expected) then
      return true, true
    end
  end
  return false, true
end

function Parse:any(conditions, body)
  for _, condition in ipairs(conditions or {}) do
    if self:holds(condition, body) then
      return true
    end
  end
  return false
end

-- Whether the answer says by the platform's data that the access token is not good (any more), and so that nothing was applied.
function Parse:refuses_token(body)
  local scheme = self.operation.tokens
  if not (scheme and scheme.expired and self:any(scheme.expired, body)) then
    return false
  end
  local refusal = self:refusal(body)
  return not (refusal and refusal.applied == "maybe")
end

-- The platform's message, with its code in parentheses.
function Parse:words(body, lead)
  local message = first_at(body, self.operation.message or GENERIC_MESSAGE) or first_at(body, GENERIC_MESSAGE)
  local codes = {}
  local paths = self.operation.code
  for _, path in ipairs(type(paths) == "table" and paths or { paths }) do
    local code = first_at(body, path)
    if code ~= nil then
      codes[#codes + 1] = path .. " " .. self:clean(code_text(code))
    end
  end
  local text = lead
  if message ~= nil then
    text = text .. ": " .. self:clean(tostring(message))
  end
  return #codes > 0 and text .. " (" .. table.concat(codes, ", ") .. ")" or text
end

-- The host of a redirect; the rest of its URL may hold secrets.
local function redirect_host(result, hidden)
  local location = header(result.headers, "location") or ""
  local _, authority_at = location:find("//", 1, true)
  local host = authority_at and location:match("^[^/?#]+", authority_at + 1)
  host = host and host:match("[^@]*$")
  return host and redact.scrub(host, hidden, 100) or "the same host"
end

-- The code of a scrubbed body, bounded: it may come from anywhere.
function Parse:code(body, refusal)
  if refusal then
    return refusal.code
  end
  local code = self.operation.code and first_at(body, self.operation.code)
  return type(code) == "string" and self:clean(code) or code
end

function Parse:token_error(body, refusal, lead)
  return self:error{
    kind = "auth", reason = "token_expired", code = self:code(body, refusal), hint = refusal and refusal.hint, sent = "no",
    message = self:words(body, lead),
  }
end

-- The error for a complete answer whose status is no success.
function Parse:http_error()
  local status = self.result.status
  if status >= 300 and status < 400 then
    return self:error{
      kind = "redirect", reason = "redirect_refused", sent = "maybe",
      message = "answered with a redirect (HTTP " .. status .. ") to " .. redirect_host(self.result, self:hide())
        .. "; redirects are not followed",
    }
  end
  local body = self.result.body and json.decode(text_of(self.result)) or nil
  local refusal = self:refusal(body)
  local may_be_applied = refusal and refusal.applied == "maybe" -- by the platform's data, which outranks what HTTP says of the status
  local is_throttle = not may_be_applied
    and (status == 429 or self:any(self.platform.throttle, body) or self:any(self.operation.throttle, body))
  local applied_no = not may_be_applied and (NOT_APPLIED[status] or is_throttle or self:any(self.platform.not_applied, body)
    or self:any(self.operation.not_applied, body))
  if not is_throttle and self:refuses_token(body) then
    return self:token_error(body, refusal, "HTTP " .. status)
  end
  local class = status >= 500 and "server_error" or status >= 400 and "client_error" or "unexpected_status"
  local kind = is_throttle and "throttle" or STATUS_KIND[status] or refusal and refusal.kind or "http"
  local wait = retry_after(self.result, self.now)
  return self:error{
    kind = kind, reason = refusal and refusal.reason or STATUS_REASON[status] or class, code = self:code(body, refusal),
    hint = refusal and refusal.hint, sent = applied_no and "no" or "maybe", retry = is_throttle and (wait or true) or false,
    message = self:words(body, "HTTP " .. status),
  }
end

function Parse:unreadable(message, faults, cause)
  return self:error{
    kind = "response", reason = "bad_answer", sent = "maybe", faults = faults, cause = cause,
    message = "the reply cannot be read: " .. message,
  }
end

-- The error for a complete, readable answer by which the platform refuses the call.
function Parse:refused(body)
  local refusal = self:refusal(body)
  if self:any(self.platform.throttle, body) or self:any(self.operation.throttle, body) then
    return self:error{
      kind = "throttle", reason = "throttled", code = self:code(body, refusal), sent = "no",
      retry = retry_after(self.result, self.now) or true, message = self:words(body, "slow down"),
    }
  end
  if self:refuses_token(body) then
    return self:token_error(body, refusal, "the access token is refused")
  end
  local is_unapplied = refusal and refusal.applied ~= "maybe" or self:any(self.platform.not_applied, body)
    or self:any(self.operation.not_applied, body)
  return self:error{
    kind = refusal and refusal.kind or "platform", reason = refusal and refusal.reason or "unknown_code",
    code = self:code(body, refusal), hint = refusal and refusal.hint, sent = is_unapplied and "no" or "maybe",
    message = self:words(body, "refused"),
  }
end

-- The fault of a field that decides about success, if there is one: then the outcome is unknown.
function Parse:decides(faults)
  for _, fault in ipairs(faults) do
    if fault.path == "reply" then
      return fault
    end
    for _, condition in ipairs(self.operation.success or {}) do
      if condition.path == fault.path then
        return fault
      end
    end
  end
end

-- Whether an answer came before the whole request was sent. Such a success is not believed: the server cannot have read the rest. A refusal is.
local function is_early(result)
  local expected = result.bytes_expected
  return expected ~= nil and expected > (result.bytes_sent or expected)
end

function Parse:early()
  return self:unreadable(("it came when %.0f of %.0f bytes of the request had been sent"):format(
    self.result.bytes_sent, self.result.bytes_expected))
end

-- Codes that are no failure in an answer without a documented one.
local FINE = { ["0"] = true, ["200"] = true }

-- Whether the answer names an error although its status is one of success.
function Parse:names_error(body)
  local code = self.operation.code and first_at(body, self.operation.code)
  return code ~= nil and not FINE[code_text(code)]
end

-- Whether an error came in place of the reply: where no condition tells a good reply, one that has nothing of what the reply is to have.
function Parse:is_replaced(reply)
  local description = self.operation.reply
  if self.operation.success or description.type ~= "object" or not description.fields[1] or not self:names_error(reply) then
    return false
  end
  for _, field in ipairs(description.fields) do
    if reply[field.name] ~= nil then
      return false
    end
  end
  return true
end

function Parse:json_reply()
  local text = text_of(self.result)
  if text:sub(1, 3) == "\239\187\191" then
    text = text:sub(4)
  end
  if text == "" then
    return self:unreadable("it is empty")
  end
  local decoded, why = json.decode(text)
  if decoded == nil then
    return self:unreadable("it is not JSON", nil, self:clean(tostring(why and why.message or why)))
  end
  local reply, faults = normalise.reply(self.operation.reply, decoded, self.platform.zone_seconds)
  local fault = self:decides(faults)
  if fault then
    return self:unreadable(fault.path .. " " .. fault.message, faults)
  end
  if self:any(self.platform.throttle, reply) or self:any(self.operation.throttle, reply) or self:refuses_token(reply) then
    return self:refused(reply)
  end
  for _, condition in ipairs(self.operation.success or {}) do
    local holds, is_there = self:holds(condition, reply)
    if not is_there then
      return self:unreadable("`" .. condition.path .. "` is missing", faults)
    elseif not holds then
      return self:refused(reply)
    end
  end
  if self:is_replaced(reply) then
    return self:refused(reply)
  end
  if faults[1] then
    return self:unreadable(faults[1].path .. " " .. faults[1].message, faults)
  end
  for _, path in ipairs(self.operation.present or {}) do
    if normalise.at(reply, path) == nil then
      return self:unreadable("`" .. path .. "` is missing")
    end
  end
  local receipt = self.operation.rows and self.operation.rows.result and self.operation.rows.result.id
  if receipt and normalise.at(reply, receipt) == "" then
    return self:unreadable("`" .. receipt .. "` is empty") -- results that come later could not be joined to it
  end
  if is_early(self.result) then
    return self:early()
  end
  if self.memory then
    recall.remember(self.memory, self.platform, self.operation, self.result, reply)
  end
  return reply
end

-- `{}`, nothing and 204 are alike; anything else must at least be a JSON object, and no error that came with a status of success.
function Parse:empty_reply()
  local text = text_of(self.result)
  if not text:find("%S") then
    return {}
  end
  local decoded = json.decode(text)
  if type(decoded) ~= "table" then
    return self:unreadable("it is neither empty nor a JSON object")
  end
  if self:names_error(decoded) or self:refuses_token(decoded) then
    return self:refused(decoded)
  end
  return normalise.plain(decoded)
end

-- RFC 2231/5987: UTF-8'language'percent%20encoded
local function extended_name(value)
  local charset_end = value:find("'", 1, true)
  local language_end = charset_end and value:find("'", charset_end + 1, true)
  if not language_end or value:sub(1, charset_end - 1):lower() ~= "utf-8" then
    return nil
  end
  return (value:sub(language_end + 1):gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

-- The file name in a Content-Disposition, made safe: without directories, control characters and leading dots. nil if there is none.
local function disposition_name(value)
  local parameters = header_parameters(value or "")
  local name = parameters["filename*"] and extended_name(parameters["filename*"]) or parameters.filename
  if not name then
    return nil
  end
  name = name:gsub("[%z\1-\31\127]", ""):match("[^/\\]*$"):gsub("^[%s.]+", "")
  if name == "" or #name > 255 then
    return nil
  end
  return name
end

function Parse:binary_reply()
  local result = self.result
  local declared = header(result.headers, "content-length")
  local is_encoded = header(result.headers, "content-encoding") ~= nil
  local saved = result.saved
  local bytes = saved and saved.bytes or #(result.body or "")
  if declared and declared:find("^%d+$") and not is_encoded and tonumber(declared) ~= bytes then
    result.body = result.body and "" or nil
    return self:unreadable(("%d of %s bytes arrived"):format(bytes, declared))
  end
  return {
    body = not saved and (result.body or "") or nil, path = saved and saved.path or nil, bytes = bytes,
    content_type = header(result.headers, "content-type"),
    filename = disposition_name(header(result.headers, "content-disposition")),
  }
end

-- The transport's own error, under the name of the call.
function Parse:transport_error()
  local err = self.result.error
  local sent = self.result.sent or "maybe"
  local may_pass = err.kind ~= "cancelled" and err.kind ~= "tls" and err.kind ~= "auth" -- a proxy's login
  return nil, error_object.new{
    kind = err.kind, message = self:clean(tostring(err.message)), code = err.code, reason = err.reason,
    hint = err.hint or hints.of(err), sent = sent, retry = sent == "no" and may_pass,
    status = self.result.status, timings = self.result.timings,
    platform = self.operation.platform, operation = self.operation.name,
  }
end

---The reply to an answer that is known from an earlier one of the same operation and account; nil for all others.
---@param memory table of api/recall
---@param operation campaign.operation
---@param result table the transport's result
---@param is_lent boolean? the reply is used at once and not changed
---@return table? reply
function M.known(memory, operation, result, is_lent)
  return not result.error and operation.response == "json" and not is_early(result) and recall.recall(memory, operation, result, is_lent) or nil
end

---What an answer means.
---@param platform campaign.platform
---@param operation campaign.operation
---@param result table the transport's result (docs/architecture.md)
---@param context table? account; hidden: values that must not show up in errors, or a function that gives them; now; memory: of this
---platform's answers to this account (api/recall)
---@return table? reply
---@return campaign.error? err
function M.reply(platform, operation, result, context)
  context = context or {}
  local memory = context.memory
  local known = memory and M.known(memory, operation, result)
  if known then
    return known
  end
  local self = setmetatable({
    platform = platform, operation = operation, result = result, account = context.account or {},
    hidden = context.hidden or {}, now = context.now, memory = memory,
  }, Parse)
  local status = result.status
  if result.error and result.error.kind ~= "redirect" then
    return self:transport_error()
  elseif type(status) ~= "number" or status < 200 or status > 299
    or NO_FILE[status] and operation.response == "binary" then
    return self:http_error()
  end
  if operation.response == "json" then
    return self:json_reply()
  elseif is_early(result) then
    return self:early()
  elseif operation.response == "binary" then
    return self:binary_reply()
  end
  return self:empty_reply()
end

return M

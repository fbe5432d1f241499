-- SPDX-License-Identifier: MIT
-- A transport around another one that records every exchange as a line of JSON that may be shown to others: recording/scrub decides what
-- may be recorded. The file is closed to others. recording/replay answers from it.

local core = require "campaign.core"
local error_object = require "campaign.error"
local json = require "campaign.json"
local scrub = require "campaign.recording.scrub"

local M = {}

---@class campaign.recording.record
local methods = {}
local mt = { __index = methods, __name = "campaign.recording.record", __tostring = function() return "campaign.recording.record" end }

local OPTIONS = { path = true, platform = true, secrets = true, keep_unknown = true, keeps_open = true }
local PRIVATE = 384 -- 0600
local LIMITS = { depth = 60 } -- the line around a body is some levels deep itself, and must be read again

---Puts a recorder around a transport.
---@param transport table the transport that sends; closing the recorder closes it, unless `keeps_open`
---@param options { path: string, platform: campaign.platform, secrets: string[]?, keep_unknown: boolean?, keeps_open: boolean? } the
---file, to which is added; the loaded platform; further values that must not appear; whether to keep what nobody declared
---@return campaign.recording.record? recorder
---@return campaign.error? err
function M.new(transport, options)
  for name in pairs(options) do
    if not OPTIONS[name] then
      error("unknown recorder option: " .. tostring(name), 2)
    end
  end
  if type(options.path) ~= "string" or type(options.platform) ~= "table" then
    error("a recorder needs a path and a loaded platform", 2)
  end
  local there = core.system.stat(options.path)
  if there and (there.type ~= "file" or there.mode % 64 ~= 0) then
    return nil, error_object.new{
      kind = "usage", message = "will not record to " .. options.path .. ": it is " .. (there.type ~= "file" and "not a regular file"
        or "open to others"), hint = "name a new file",
    }
  end
  local file, err = core.system.append_open(options.path, PRIVATE)
  if not file then
    return nil, error_object.wrap(err, { hint = "record into an existing folder" })
  end
  return setmetatable({
    inner = transport, file = file, platform = options.platform, secrets = options.secrets or {},
    keep_unknown = options.keep_unknown or false, keeps_open = options.keeps_open, requests = {},
  }, mt)
end

local function header(headers, name)
  for _, pair in ipairs(headers or {}) do
    if pair[1]:lower() == name then
      return pair[2]:lower()
    end
  end
  return ""
end

-- Taken before the request goes: its body is used up then.
local function remember(request)
  local text = type(request.body) == "string" and request.body or nil
  return {
    method = request.method, url = request.url, headers = request.headers, text = text,
    json = text and header(request.headers, "content-type"):find("[/+]json") and json.decode(text, LIMITS) or nil,
    is_opaque = request.body ~= nil and not text,
  }
end

local function request_body(self, scrubber, request, operation)
  if request.is_opaque then
    return { kind = "stream" }
  elseif not request.text then
    return { kind = "none" }
  elseif operation and type(request.json) == "table" then
    return { kind = "json", value = scrubber:value(scrub.request(operation), request.json) }
  elseif operation and header(request.headers, "content-type"):find("form-urlencoded", 1, true) then
    local list = {}
    for index, pair in ipairs(scrubber:pairs(request.text, operation, "form")) do
      list[index] = json.array(pair)
    end
    return { kind = "form", fields = json.array(list) }
  end
  -- Never its digest: a login's body has few unknowns.
  return { kind = "bytes", length = #request.text, base64 = self.keep_unknown and core.digest.base64_encode(request.text) or nil }
end

-- Vendors quote in their messages what they refuse; of a body we could not read we do not know what that would be.
local function mask_messages(operation, value)
  local paths = type(operation.message) == "table" and operation.message or { operation.message }
  for _, path in ipairs(paths) do
    local place, inner, last = nil, value, nil
    for step in path:gmatch("[^.]+") do
      place, inner, last = inner, type(inner) == "table" and inner[step] or nil, step
    end
    if type(place) == "table" and type(place[last]) == "string" then
      place[last] = scrub.MASK
    end
  end
end

local function reply_body(scrubber, request, operation, result)
  if result.saved then
    return { kind = "bytes", length = result.saved.bytes }
  elseif not result.body then
    return { kind = "none" }
  end
  local is_file = operation and operation.response == "binary" and result.status >= 200 and result.status <= 299
  local text = result.body:sub(1, 3) == "\239\187\191" and result.body:sub(4) or result.body
  local value = operation and not is_file and json.decode(text, LIMITS) or nil
  if type(value) ~= "table" then
    return scrubber:bytes(result.body)
  end
  local kept = scrubber:value(scrub.reply(operation), value)
  if request.is_opaque and type(kept) == "table" then
    mask_messages(operation, kept)
  end
  return { kind = "json", value = kept }
end

local function error_fields(scrubber, err)
  return err and {
    kind = err.kind, message = scrubber:text(tostring(err.message)), code = type(err.code) ~= "table" and err.code or nil,
    reason = err.reason, hint = err.hint and scrubber:text(err.hint),
  }
end

local function timings_of(result)
  local list = {}
  for name, seconds in pairs(result.timings or {}) do
    list[name] = type(seconds) == "number" and seconds or nil
  end
  return list
end

-- Writes one exchange. The answer matters more than the recording: what goes wrong here is kept for `problem`.
local function write(self, request, result)
  local operation, shift = scrub.operation(self.platform, request, request.json)
  local hidden = scrub.hidden(request, operation, request.json)
  for _, secret in ipairs(self.secrets) do
    hidden[#hidden + 1] = secret
  end
  local scrubber = scrub.new(hidden, self.keep_unknown)
  local path, url = scrubber:url(request.url, operation, shift)
  local line = {
    platform = self.platform.name, operation = operation and operation.name, method = request.method, path = path, url = url,
    request = { headers = scrubber:headers(request.headers, false), body = request_body(self, scrubber, request, operation) },
    result = {
      status = result.status, sent = result.sent, headers = scrubber:headers(result.headers, true),
      body = reply_body(scrubber, request, operation, result), error = error_fields(scrubber, result.error),
      timings = timings_of(result),
    },
  }
  line.omitted = scrubber.omitted
  local text, err = json.encode(line)
  local ok
  if text and self.file then
    ok, err = self.file:write(text .. "\n")
  end
  if not ok then
    self.failed = self.failed or error_object.new{
      kind = "ledger", message = "an exchange could not be recorded: " .. tostring(err and err.message or err),
    }
  end
end

---What kept an exchange from being recorded; nil when all are in the file.
---@return campaign.error?
function methods:problem()
  return self.failed
end

---@param request table
---@return table? result
---@return campaign.error? err
function methods:perform(request)
  local kept = remember(request)
  local result, err = self.inner:perform(request)
  if result then
    write(self, kept, result)
  end
  return result, err
end

---@param request table
---@return number? id
---@return campaign.error? err
function methods:submit(request)
  local kept = remember(request)
  local id, err = self.inner:submit(request)
  if id then
    self.requests[id] = kept
  end
  return id, err
end

---@param seconds? number
---@return number? id
---@return table? result
function methods:next(seconds)
  local id, result = self.inner:next(seconds)
  if id and self.requests[id] then
    write(self, self.requests[id], result)
    self.requests[id] = nil
  end
  return id, result
end

for _, name in ipairs{ "cancel", "progress", "in_flight", "forget" } do
  methods[name] = function(self, ...)
    local method = self.inner[name] -- `forget` is no transport's duty
    return method and method(self.inner, ...)
  end
end

---Closes the file and the transport inside. Closing twice is fine.
function methods:close()
  if self.file then
    self.file:close()
    self.file = nil
    if not self.keeps_open then
      self.inner:close()
    end
  end
end

return M

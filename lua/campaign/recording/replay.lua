-- SPDX-License-Identifier: MIT
-- A transport that sends nothing: it answers from a file made by recording/record, each exchange once, in order, by method and path (and so
-- by operation). A request without a recorded answer fails with an error that names it.

local core = require "campaign.core"
local error_object = require "campaign.error"
local json = require "campaign.json"
local scrub = require "campaign.recording.scrub"

local M = {}

---@class campaign.recording.replay
local methods = {}
-- Takes no token of the account's rate.
methods.sends_nothing = true

local mt = { __index = methods, __name = "campaign.recording.replay", __tostring = function() return "campaign.recording.replay" end }

local MAX_FILL = 64 * 1048576
local LIMITS = { bytes = 64 * 1048576, depth = 64, keys = 100000 }

local function unusable(path, number)
  return nil, error_object.new{
    kind = "usage", message = ("line %d of %s is not a recorded exchange"):format(number, path), hint = "record it again",
  }
end

---Opens a recording.
---@param path string
---@return campaign.recording.replay? transport
---@return campaign.error? err
function M.new(path)
  local file, message = io.open(path, "rb")
  if not file then
    return nil, error_object.new{ kind = "usage", message = "cannot read the recording " .. tostring(message) }
  end
  local exchanges = {}
  for line in file:lines() do
    local exchange = json.decode(line, LIMITS)
    local number = #exchanges + 1
    if type(exchange) ~= "table" or type(exchange.path) ~= "string" or type(exchange.method) ~= "string"
      or type(exchange.result) ~= "table" or type(exchange.result.body) ~= "table" then
      file:close()
      return unusable(path, number)
    end
    exchanges[number] = exchange
  end
  file:close()
  return setmetatable({ path = path, exchanges = exchanges, used = {}, ready = {}, last = 0 }, mt)
end

-- A recorded path is the end of the asked one; what was masked in it fits everything.
local function is_path(recorded, asked)
  local left, right = {}, {}
  for part in recorded:gmatch("[^/]+") do left[#left + 1] = part end
  for part in asked:gmatch("[^/]+") do right[#right + 1] = part end
  local shift = #right - #left
  if shift < 0 then
    return false
  end
  for index, part in ipairs(left) do
    if part ~= right[shift + index] and not part:find(scrub.MASK, 1, true) then
      return false
    end
  end
  return true
end

-- Operations on one path differ in texts they always send, which are recorded.
local function is_body(recorded, asked)
  if type(recorded) ~= "table" or recorded.kind ~= "json" or type(asked) ~= "table" then
    return true
  end
  local kind = recorded.value.grant_type
  return kind == nil or asked.grant_type == nil or kind == asked.grant_type
end

local function find(self, request)
  local _, path = scrub.split(request.url)
  local body = type(request.body) == "string" and json.decode(request.body) or nil
  for index, exchange in ipairs(self.exchanges) do
    if not self.used[index] and exchange.method == request.method and is_path(exchange.path, path)
      and is_body(exchange.request and exchange.request.body, body) then
      self.used[index] = true
      return exchange
    end
  end
  return error_object.refuse{
    kind = "network", reason = "not_recorded",
    message = ("the recording %s has no answer left for %s %s"):format(self.path, request.method, path),
    hint = "record this call too",
  }
end

-- Bytes as many as came, where the bytes themselves were not kept.
local function bytes_of(body)
  if body.kind == "json" then
    return assert(json.encode(body.value))
  elseif body.kind ~= "bytes" then
    return nil
  elseif body.base64 then
    return core.digest.base64_decode(body.base64)
  end
  return ("?"):rep(math.min(body.length, MAX_FILL))
end

local function answer(self, request)
  local exchange, err = find(self, request)
  if type(request.body) == "userdata" then
    request.body:close() -- sending uses sources and forms up
  end
  if not exchange then
    return nil, err
  end
  local recorded = exchange.result
  local result = {
    status = recorded.status, sent = recorded.sent, is_replayed = true, headers = recorded.headers or {}, timings = recorded.timings or {},
    body = bytes_of(recorded.body), error = recorded.error and error_object.new(recorded.error) or nil,
  }
  local is_good = recorded.status and recorded.status >= 200 and recorded.status <= 299
  if request.save_to and is_good and result.body then
    local ok
    ok, err = core.system.write_atomic(request.save_to, result.body, 384)
    if not ok then
      return nil, err
    end
    result.saved, result.body = { path = request.save_to, bytes = #result.body }, nil
  end
  return result
end

---@param request table
---@return table? result
---@return campaign.error? err kind "network", sent "no": no answer is left
function methods:perform(request)
  return answer(self, request)
end

---@param request table
---@return number? id
---@return campaign.error? err
function methods:submit(request)
  local result, err = answer(self, request)
  if not result then
    return nil, err
  end
  self.last = self.last + 1
  self.ready[#self.ready + 1] = { id = self.last, result = result }
  return self.last
end

---@return number? id
---@return table? result
function methods:next()
  local first = table.remove(self.ready, 1)
  if first then
    return first.id, first.result
  end
end

---Nothing is under way that could be broken off.
---@return boolean cancelled
function methods.cancel()
  return false
end

function methods.progress()
  return nil
end

---@return integer
function methods:in_flight()
  return #self.ready
end

function methods.forget() end

function methods:close()
  self.ready = {}
end

return M

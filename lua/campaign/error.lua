-- SPDX-License-Identifier: MIT
-- The error object. Runtime failures are returned as `nil, err` with such an object; only programming errors raise. Fields: kind message
-- retry sent platform operation status code body timings cause reason. The C core creates the same object.

local core = require "campaign.core"

local M = {}

---@alias campaign.error.kind
---| "usage" | "invalid" | "network" | "timeout" | "tls" | "redirect" | "http" | "auth"
---| "throttle" | "platform" | "window" | "response" | "ledger" | "cancelled"

local KINDS = {
  usage = true, invalid = true, network = true, timeout = true, tls = true, redirect = true,
  http = true, auth = true, throttle = true, platform = true, window = true, response = true,
  ledger = true, cancelled = true,
}

-- The fields an error may have, so that a misspelt one is found where it is created.
local FIELDS = {
  kind = true, message = true, retry = true, sent = true, platform = true, operation = true,
  status = true, code = true, body = true, timings = true, cause = true, reason = true,
  faults = true, hint = true,
}

local mt = core.error_metatable

---One line: what happened, where, and what to do next. Secrets never enter an error's fields.
function mt.__tostring(err)
  local where = err.platform
  if where and err.operation then
    where = where .. "." .. err.operation
  end
  local text = tostring(err.message)
  if where then
    text = where .. ": " .. text
  end
  if err.hint then
    text = text .. " (" .. err.hint .. ")"
  end
  return text
end

function mt.__concat(left, right)
  return tostring(left) .. tostring(right)
end

---Makes an error object.
---@param fields table kind and message at least
---@return campaign.error
function M.new(fields)
  if not KINDS[fields.kind] then
    error("unknown error kind: " .. tostring(fields.kind), 2)
  end
  if type(fields.message) ~= "string" then
    error("an error needs a message", 2)
  end
  local err = {}
  for name, value in pairs(fields) do
    if not FIELDS[name] then
      error("unknown error field: " .. tostring(name), 2)
    end
    err[name] = value
  end
  return setmetatable(err, mt)
end

---The return values of a function that refuses something before anything of it was sent, and would refuse it again.
---@param fields table kind and message at least; neither retry nor sent
---@return nil
---@return campaign.error
function M.refuse(fields)
  local err = M.new(fields)
  err.retry, err.sent = false, "no"
  return nil, err
end

---True for an error object of ours, made in Lua or C.
---@param value any
---@return boolean
function M.is(value)
  if type(value) ~= "table" then
    return false
  end
  local its = getmetatable(value)
  return its == mt or its == core.stop_metatable
end

---A new error object: err's fields, plus those of `fields` that err lacks. err itself is not modified.
---@param err campaign.error
---@param fields table
---@return campaign.error
function M.wrap(err, fields)
  local wrapped = { kind = err.kind } -- accessed first: the error of a refused text fills in its fields only then
  for name, value in pairs(err) do
    wrapped[name] = value
  end
  for name, value in pairs(fields) do
    if not FIELDS[name] then
      error("unknown error field: " .. tostring(name), 2)
    end
    if wrapped[name] == nil then
      wrapped[name] = value
    end
  end
  return setmetatable(wrapped, mt)
end

---Converts the error of a request that had to be made before another one (a token, the columns of a target) to an error of the latter:
---whatever became of the first, nothing of the second was sent.
---@param err campaign.error
---@return campaign.error
function M.unsent(err)
  local copy = M.wrap(err, {})
  copy.sent = "no"
  return copy
end

---Whether something of ours could not be opened because the process, or the machine, had no descriptor to give: later it may have. The system's
---word for it stands in the message, whatever opened it; of an error that was read from a report nothing else is left.
---@param err table
---@return boolean
function M.lacks_descriptor(err)
  return err.kind ~= "platform" and err.kind ~= "response" and tostring(err.message):find("Too many open files", 1, true) ~= nil
end

M.KINDS = KINDS

return M

-- SPDX-License-Identifier: MIT
-- Waits by the platform's data: a waiter (`waiters`) names the operation to poll, the replies that end the wait with success or failure,
-- and how often to poll. The deadline is wall-clock time, so that a wait survives a suspended machine; a wait can be saved as a text and
-- continued in another process. Polling only reads; nothing is changed at the platform.

local error_object = require "campaign.error"
local normalise = require "campaign.api.normalise"
local position = require "campaign.api.position"
local sorted = require "campaign.sorted"
local suggest = require "campaign.api.suggest"

local M = {}

local MOST_FAILED_LOOKS = 10 -- in a row
local UNITS = { s = 1, m = 60, h = 3600, d = 86400 }
local OPTIONS = { deadline = true, delay = true, on_progress = true, state = true }

---@class campaign.waiter
local methods = {}
local mt = { __index = methods, __name = "campaign.waiter" }

---Seconds of a number or a text such as `90s`, `15m`, `2h`, `1d`; nil when it is neither.
---@param value any
---@return number?
function M.seconds(value)
  if type(value) == "string" then
    local amount, unit = value:match("^(%d+)([smhd])$")
    value = amount and tonumber(amount) * UNITS[unit]
  end
  return type(value) == "number" and value > 0 and value < math.huge and value or nil
end

local function data_of(client, name)
  local data = (client.platform.waiters or {})[name]
  if not data then
    local names = sorted.keys(client.platform.waiters or {})
    error("platform `" .. client.platform.name .. "` has no waiter `" .. tostring(name) .. "`" .. suggest.help(tostring(name), names)
      .. (#names > 0 and "; it has " .. table.concat(names, ", ") or ""), 3)
  end
  return data
end

local function fail(self, fields)
  fields.platform, fields.operation = self.client.platform.name, self.data.operation
  if fields.retry == nil then
    fields.retry = false
  end
  fields.message = self.name .. ": " .. fields.message
  return nil, error_object.new(fields)
end

-- The fields that the operation takes; the others only select an entry of its list.
local function asked_fields(self)
  local operation, asked = self.client.platform.operations[self.data.operation], {}
  local ours = {}
  for _, own in pairs(self.data.match or {}) do
    ours[own] = true
  end
  for name, value in pairs(self.fields) do
    if operation.fields[name] or not ours[name] then
      asked[name] = value
    end
  end
  return asked
end

-- The part of a reply that is judged: all of it, or the entry of a list that matches our fields; nil and a reason where not exactly one does.
local function subject(self, reply)
  if not self.data.list then
    return reply
  end
  local found
  for _, entry in ipairs(normalise.at(reply, self.data.list) or {}) do
    local is_meant = true
    for theirs, ours in pairs(self.data.match) do
      is_meant = is_meant and tostring(normalise.at(entry, theirs)) == tostring(self.fields[ours])
    end
    if is_meant and found then
      return nil, "several_found" -- which one is first may differ from look to look
    end
    found = is_meant and entry or found
  end
  return found, "not_found"
end

local MISSED = {
  not_found = "the platform lists nothing with these fields",
  several_found = "the platform lists more than one entry with these fields",
}

local function holds(conditions, value)
  for _, condition in ipairs(conditions or {}) do
    local found = normalise.at(value, condition.path)
    for _, wanted in ipairs(condition.is) do
      if found == wanted then
        return true, found
      end
    end
  end
  return false
end

-- The values whose change is waited for, as texts.
local function values_of(self, entry)
  local values = {}
  for index, path in ipairs(self.data.changed) do
    values[index] = tostring(normalise.at(entry, path))
  end
  return values
end

-- Seconds that a call may take, and that a look is given however near the deadline is.
local LONGEST_LOOK, SHORTEST_LOOK = 60, 1

-- One look: the subject, or nil and the error. A platform that does not answer does not hold it beyond the deadline; after that, a wait that
-- is gone on with looks once without hurry.
local function look(self)
  local left, timeout = self.deadline - self.client.env.now(), nil
  if left > 0 and left < LONGEST_LOOK then
    timeout = math.max(left, SHORTEST_LOOK)
  end
  local reply, err = self.client:call(self.data.operation, asked_fields(self), { retries = 0, timeout = timeout })
  if not reply then
    return nil, err
  end
  local found, missed = subject(self, reply)
  if found == nil then
    return fail(self, { kind = "platform", reason = missed, sent = "yes", message = MISSED[missed] })
  end
  self.looks = self.looks + 1
  return found
end

-- "success", "failure" or nil, and the value that says so.
local function judge(self, found)
  if self.data.changed then
    for index, text in ipairs(values_of(self, found)) do
      if text ~= self.since[index] then
        return "success"
      end
    end
  end
  if holds(self.data.success, found) then
    return "success"
  end
  local is_failed, value = holds(self.data.failure, found)
  return is_failed and "failure" or nil, value
end

-- A failed look that says nothing about what is looked at.
local function is_passing(err)
  return err.kind == "network" or err.kind == "timeout" or err.kind == "throttle"
    or type(err.status) == "number" and err.status >= 500
end

local STATE = { deadline = "number", delay = "number", looks = "number" }

local function resume(self, text)
  local stood, err = position.read(text, "waiter", self.name, self.fields, STATE)
  if not stood then
    return nil, error_object.wrap(err, { platform = self.client.platform.name, operation = self.data.operation })
  end
  if self.data.changed and (type(stood.since) ~= "table" or #stood.since ~= #self.data.changed) then
    return fail(self, { kind = "usage", sent = "no", message = "the saved state is damaged" })
  end
  self.deadline, self.delay, self.looks, self.since = stood.deadline, stood.delay, stood.looks, stood.since
  return true
end

---Makes a waiter. One that waits for a change reads the initial state immediately: make it before you cause the change.
---@param client campaign.client
---@param name string a waiter of the platform
---@param fields table?
---@param options { deadline: number|string?, delay: number?, on_progress: function?, state: string? }?
---@return campaign.waiter? waiter
---@return campaign.error? err
function M.new(client, name, fields, options)
  local data = data_of(client, name)
  options = options or {}
  for key in pairs(options) do
    if not OPTIONS[key] then
      error("unknown option `" .. tostring(key) .. "` (known: deadline, delay, on_progress, state)", 2)
    end
  end
  local limit = M.seconds(options.deadline == nil and data.timeout or options.deadline)
  if not limit then
    error("option `deadline` must be seconds, or a text such as \"30s\", \"15m\", \"2h\"", 2)
  end
  local delay = M.seconds(options.delay == nil and data.delay or options.delay)
  if not delay then
    error("option `delay` must be seconds above 0", 2)
  end
  local self = setmetatable({
    client = client, name = name, data = data, fields = {}, on_progress = options.on_progress, looks = 0,
    delay = delay, deadline = client.env.now() + limit,
  }, mt)
  for key, value in pairs(fields or {}) do
    self.fields[key] = value
  end
  for _, ours in pairs(data.match or {}) do
    if self.fields[ours] == nil then
      return fail(self, { kind = "invalid", sent = "no", message = "`" .. ours .. "` is missing" })
    end
  end
  if options.state ~= nil then
    local well, err = resume(self, options.state)
    if not well then
      return nil, err
    end
    self.deadline = options.deadline ~= nil and client.env.now() + limit or self.deadline
  elseif data.changed then
    local found, err = look(self)
    if not found then
      return nil, err
    end
    self.since = values_of(self, found)
  end
  return self
end

---The wait as a text: `client:waiter(name, fields, { state = text })` continues it, also in another process. The deadline stays.
---@return string
function methods:state()
  return position.write("waiter", self.name, self.fields,
    { deadline = self.deadline, delay = self.delay, looks = self.looks, since = self.since })
end

---Asks until the platform gives a final answer, or the deadline has passed.
---@return table? found the final reply, or its matching entry
---@return campaign.error? err `timeout` with reason `deadline`; `platform` with reason `failed_state` and the state as `code`
function methods:wait()
  local env, failures, state = self.client.env, 0, nil
  local longest = math.max(self.data.max_delay, self.delay)
  while true do
    local found, err = look(self)
    failures = found and 0 or failures + 1
    if found then
      local verdict, value = judge(self, found)
      if verdict == "success" then
        return found
      elseif verdict == "failure" then
        return fail(self, {
          kind = "platform", reason = "failed_state", sent = "yes", code = value, message = "ended as " .. tostring(value),
        })
      end
    elseif not is_passing(err) or failures >= MOST_FAILED_LOOKS then
      return nil, err
    end
    local left = self.deadline - env.now()
    if left <= 0 then
      return fail(self, {
        kind = "timeout", reason = "deadline", sent = "no", retry = true, cause = err, message = "not final at the deadline",
        hint = "continue with the saved state and a new deadline",
      })
    end
    state = found or state
    local pause = self.delay * (0.75 + env.random(1):byte() / 512)
    if err and type(err.retry) == "number" then
      pause = math.max(pause, err.retry)
    end
    self.delay = math.min(self.delay * 1.5, longest)
    if self.on_progress then
      self.on_progress(state, self)
    end
    env.sleep(math.min(pause, left))
  end
end

---Waits until a waiter's condition holds: `client:wait("notification_task_finished", { taskId = id }, { deadline = "2h" })`.
---@param client campaign.client
---@param name string
---@param fields table?
---@param options table? as of `waiter`
---@return table? found
---@return campaign.error? err
function M.wait(client, name, fields, options)
  data_of(client, name)
  local waiter, err = M.new(client, name, fields, options)
  if not waiter then
    return nil, err
  end
  return waiter:wait()
end

return M

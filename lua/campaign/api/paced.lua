-- SPDX-License-Identifier: MIT
-- The pace of single calls: they take tokens from the same bucket as the imports of their account, observe the same pauses, and report
-- every "slow down". A call reserves its place and sleeps until then, so that a concurrent import cannot starve it. If no rate was set and
-- no call was told to slow down, there is no wait, at almost no cost.

local account_pace = require "campaign.pace.account"
local error_object = require "campaign.error"

local M = {}

-- A longer wait is for the caller to decide on, as a longer Retry-After is.
local LONGEST = 30

local methods = {}
local mt = { __index = methods, __name = "campaign.api.paced" }

---@param platform campaign.platform
---@param account campaign.account
---@param env campaign.env
---@return table paced
function M.new(platform, account, env)
  return setmetatable({ _platform = platform, _account = account, _env = env, _shared = nil, _is_used = false }, mt)
end

local function refuse(operation, seconds, reason)
  return nil, error_object.new{
    kind = "throttle", reason = reason == "throttle" and "paused" or "rate", retry = seconds, sent = "no",
    platform = operation.platform, operation = operation.name,
    message = reason == "throttle" and ("not sent: the platform asked this account to wait, for another %.0f s"):format(seconds)
      or ("not sent: the account's calls per second are used up for %.0f s"):format(seconds),
  }
end

-- The account's rate, loaded on the second call or if a rate is known: a script with one call needs none of its modules.
local function shared_of(self)
  if not self._shared then
    self._shared = account_pace.new(self._platform, self._account, self._env, {})
  end
  return self._shared
end

---Waits until the account's rate allows a call.
---@param operation campaign.operation
---@return number? waited seconds
---@return campaign.error? err kind `throttle`: not sent, since the wait would be too long
function methods:wait(operation)
  local is_first = not self._is_used
  self._is_used = true
  if is_first and account_pace.is_unknown(self._platform, self._account, self._env) then
    return 0
  end
  local shared = shared_of(self)
  local seconds, reason, is_booked = shared:take(LONGEST)
  local waited = 0
  while seconds > 0 do
    if waited + seconds > LONGEST or not is_booked then
      return refuse(operation, seconds, reason)
    end
    self._env.sleep(seconds)
    waited, reason = waited + seconds, "throttle"
    seconds = shared:look() -- another call may have been told to slow down meanwhile
  end
  return waited
end

---Records the outcome of a call.
---@param sent_at number by env.monotonic
---@param err campaign.error? nil when it succeeded
function methods:told(sent_at, err)
  if not err or err.kind == "platform" or err.kind == "http" and err.status < 500 then
    if self._shared then -- a single call says nothing about a rate
      self._shared:succeeded(sent_at)
      self._shared:flush() -- a command may end now: other processes must not hear of its refused calls only
    end
  elseif err.kind == "throttle" then
    shared_of(self):throttled(sent_at, type(err.retry) == "number" and err.retry or nil)
  end
end

---Reports once if the account's rate cannot be shared with other processes.
---@param tell fun(text: string)
function methods:warn(tell)
  if self._shared then
    self._shared:warn(tell)
  end
end

---Releases the account's state.
function methods:close()
  if self._shared then
    self._shared:close()
  end
end

return M

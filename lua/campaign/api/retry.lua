-- SPDX-License-Identifier: MIT
-- Decides whether a failed call may be retried, and after which pause: only if nothing was applied, within the call's own number of retries
-- and a budget that all calls of a client share, so that an outage does not cause a storm of retries. Sends nothing.

local quota = require "campaign.pace.quota"

local M = {}

M.DEFAULT = 2 -- repeats of one call

local FIRST_PAUSE = 0.2 -- seconds; doubled for each repeat
local LONGEST_PAUSE = 20
local LONGEST_WISH = 30 -- seconds; a longer Retry-After is left to the caller

local CAPACITY = 100 -- twenty retries without a success between them

local methods = {}
local mt = { __index = methods, __name = "campaign.api.retry" }

---Makes a budget, full at the start. Each retry takes from it; calls that succeed refill it.
---@return table budget
function M.new()
  return setmetatable({ quota = quota.new(CAPACITY) }, mt)
end

local function random_share(env)
  local high, low = env.random(2):byte(1, 2)
  return (high * 256 + low) / 65536
end

-- Whether the failure proves that nothing was applied, and may be temporary.
local function is_passing(err, is_safe, was_asked)
  if err.sent ~= "no" or not err.retry then
    return false
  end
  if err.kind == "throttle" then
    -- A write that was answered did reach the platform: it is made again only when the caller asked for repeats.
    return is_safe or was_asked
  end
  return (err.kind == "network" or err.kind == "timeout") and err.status == nil
end

---The pause before the next attempt, or nil when there is to be none.
---@param err campaign.error
---@param call { effect: string, retries: integer?, done: integer } repeats asked for and made so far
---@param env campaign.env
---@return number? seconds
function methods:pause(err, call, env)
  if call.done >= (call.retries or M.DEFAULT) or not is_passing(err, call.effect == "safe", call.retries ~= nil) then
    return nil
  end
  local wish = type(err.retry) == "number" and err.retry or 0
  if wish > LONGEST_WISH or not self.quota:pay(err.kind == "timeout") then
    return nil
  end
  local longest = math.min(FIRST_PAUSE * 2 ^ call.done, LONGEST_PAUSE)
  return wish + longest * random_share(env)
end

---Records that a call succeeded.
---@param done integer retries that it needed
function methods:succeeded(done)
  self.quota:refund(done > 0)
end

return M

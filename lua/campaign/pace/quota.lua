-- SPDX-License-Identifier: MIT
-- The retry budget, so that an outage does not cause a storm of retries: each retry costs, successful calls give back.

local M = {}

-- A retry after a timeout costs more: the platform may still be working on the first attempt.
local COST, TIMEOUT_COST = 5, 10

-- What a call gives back that succeeded at its first attempt.
local REFUND = 1

local methods = {}
local mt = { __index = methods, __name = "campaign.pace.quota" }

---A quota, full at the start.
---@param capacity integer
function M.new(capacity)
  return setmetatable({ _left = capacity, _capacity = capacity }, mt)
end

---Pays for a repeat; false when there is not enough left, and nothing is taken then.
---@param is_timeout boolean? what is repeated had no answer in time
---@return boolean
function methods:pay(is_timeout)
  local cost = is_timeout and TIMEOUT_COST or COST
  if self._left < cost then
    return false
  end
  self._left = self._left - cost
  return true
end

---A call succeeded, or several.
---@param was_repeated boolean
---@param count integer? of calls; 1
function methods:refund(was_repeated, count)
  local left, capacity = self._left + (was_repeated and COST or REFUND) * (count or 1), self._capacity
  self._left = left < capacity and left or capacity
end

return M

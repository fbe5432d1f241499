-- SPDX-License-Identifier: MIT
-- A rate limit across all workers: counts of the current and the previous second in ngx.shared, the previous one weighted by how far it
-- reaches into the last second. Without a dictionary, or if it is full, each worker takes its share of the rate.

local core = require "campaign.core"

local M = {}

local ngx = package.loaded.ngx

local methods = {}
local mt = { __index = methods, __name = "campaign.openresty.rate" }

---@param options { name: string, rate: number, burst: number?, shared: table? } shared: a dictionary of ngx.shared
function M.new(options)
  return setmetatable({
    _prefix = "rate:" .. options.name .. ":", _rate = options.rate, _burst = options.burst or options.rate, _shared = options.shared,
    _tokens = nil, _filled = 0, _second = nil, _key = nil, _before = 0,
  }, mt)
end

-- This worker's part, as a bucket.
local function take_alone(self, now)
  local workers = math.max(1, ngx.worker.count() or 1)
  local burst = math.max(1, self._burst / workers)
  self._tokens = math.min(burst, (self._tokens or burst) + math.max(0, now - self._filled) * self._rate / workers)
  self._filled = now
  if self._tokens < 1 then
    return false
  end
  self._tokens = self._tokens - 1
  return true
end

---@return boolean taken
function methods:take()
  local now = core.system.monotonic() -- of the machine: the same for all workers
  local shared = self._shared
  if not shared then
    return take_alone(self, now)
  end
  local second = math.floor(now)
  if second ~= self._second then -- what the second before came to changes no more, but for refusals that are just taken back
    self._second, self._key = second, self._prefix .. second
    self._before = shared:get(self._prefix .. second - 1) or 0
  end
  -- Not incr's own init: it would throw out others' entries where there is no room.
  local key = self._key
  local count = shared:incr(key, 1)
  if not count then
    local added, why = shared:safe_add(key, 1, 3)
    if added then
      count = 1
    else
      count = why == "exists" and shared:incr(key, 1)
    end
  end
  if not count then
    return take_alone(self, now)
  end
  local weighted = math.min(self._before, self._rate) * (1 - (now - second)) + count
  if weighted <= math.max(self._rate, self._burst) then
    return true
  end
  shared:incr(key, -1) -- who is refused takes nothing from the others
  return false
end

return M

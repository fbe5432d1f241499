-- SPDX-License-Identifier: MIT
-- Adapts the number of requests in flight to response times: one more while answers take no longer than before, a tenth fewer when they
-- take much longer or do not come. A limit that is not reached, because the rate is lower, is not blamed for slow answers and stays. Pure
-- arithmetic without clock or requests.

local M = {}

-- Share of the newest interval in the mean and variance of the answer time.
local ALPHA = 0.4

-- An interval is slow when it lies so many standard deviations above the mean.
local DEVIATIONS = 2.5

-- Times that differ by less than this share are the same.
local SAME = 0.01

-- What is left of the limit after an interval that was slow or under pressure.
local REMAINS = 0.9

local methods = {}
local mt = { __index = methods, __name = "campaign.pace.concurrency" }

---@param options { start: integer, most: integer } where start equals most and both are 1, nothing adapts
function M.new(options)
  return setmetatable({
    _limit = math.min(options.start, options.most), _most = options.most, _mean = nil, _variance = 0,
    _sum = 0, _count = 0, _hit = false, _pressed = false, _update_at = nil,
  }, mt)
end

---@return integer
function methods:limit()
  return self._limit
end

---A request leaves; `in_flight` counts it. Only a limit that was reached may grow.
---@param in_flight integer
function methods:started(in_flight)
  self._hit = self._hit or in_flight >= self._limit
end

local function learn(self, interval)
  local distance = interval - self._mean
  local step = ALPHA * distance
  self._mean = self._mean + step
  self._variance = (1 - ALPHA) * (self._variance + distance * step)
end

local function update(self, now)
  local interval = self._count > 0 and self._sum / self._count or nil
  if interval and not self._mean then
    self._mean = interval -- the first one is what the others are compared with
  elseif self._mean then
    local most = self._mean * (1 + SAME)
    local is_slow = interval ~= nil and interval > most and interval >= self._mean + DEVIATIONS * math.sqrt(self._variance)
    if self._pressed or is_slow and self._hit then
      self._limit = math.max(1, math.floor(self._limit * REMAINS))
    elseif self._hit and interval and interval <= most and self._limit < self._most then
      self._limit = self._limit + 1
    end
    if interval then
      learn(self, interval)
    end
  elseif self._pressed then
    self._limit = math.max(1, math.floor(self._limit * REMAINS))
  end
  self._sum, self._count, self._hit, self._pressed = 0, 0, false, false
  self._update_at = now + (self._mean or 0)
end

---An answer came, or several at once. What was refused for other reasons than speed says nothing: do not tell it.
---@param now number seconds of a clock that never jumps
---@param seconds number? how long the attempt took, or all of them together; nil when it was no success
---@param is_pressure boolean? the platform did not answer in time
---@param count integer? of answers; 1
function methods:finished(now, seconds, is_pressure, count)
  if seconds then
    self._sum, self._count = self._sum + seconds, self._count + (count or 1)
  end
  self._pressed = self._pressed or is_pressure == true
  if not self._update_at or now >= self._update_at then
    update(self, now)
  end
end

return M

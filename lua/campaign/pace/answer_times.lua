-- SPDX-License-Identifier: MIT
-- Estimates how late a call may have reached the platform from the time that its answer took, compared with the shortest and the usual
-- times, and their variance. Pure arithmetic.

local M = {}

-- Seconds that a shortest time is valid.
local VALID = 20

-- Share of the newest time in the usual one.
local ALPHA = 0.05

-- Seconds by which times usually differ, from which the differences come from the platform's work rather than the network.
local QUIET = 0.02

-- Times the usual lateness from which a call counts as late.
local UNUSUAL = 3

-- Seconds that do not count as late, and the most that is believed: in a longer time the platform worked on the call.
local LEAST, MOST = 0.001, 0.25

local methods = {}
local mt = { __index = methods, __name = "campaign.pace.answer_times" }

---@return table answer_times
function M.new()
  return setmetatable({ _least = math.huge, _next = math.huge, _turn_at = nil, _usual = 0 }, mt)
end

---A call was answered, or several at once.
---@param now number
---@param seconds number that it took, or the shortest of them
---@param count integer? of calls; 1
---@param mean number? of the seconds that they took
---@return number late seconds, 0 when it was in time; of several, as their mean was
function methods:late(now, seconds, count, mean)
  if not self._turn_at or now >= self._turn_at then
    self._least, self._next, self._turn_at = self._next, math.huge, now + VALID / 2
  end
  if seconds < self._next then -- comparisons: this is done for every call
    self._next = seconds
  end
  local least = self._least
  if seconds < least then
    least, self._least = seconds, seconds
  end
  local late, usual = (mean or seconds) - least, self._usual
  local share = count and 1 - (1 - ALPHA) ^ count or ALPHA
  self._usual = usual + share * ((late < MOST and late or MOST) - usual)
  late = late - usual * (usual > QUIET and UNUSUAL or 1)
  return late <= LEAST and 0 or late < MOST and late or MOST
end

---The shortest time of an answer lately; nil before the first.
---@return number? seconds
function methods:fastest()
  return self._least < math.huge and self._least or nil
end

---How much later than the fastest calls are, usually.
---@return number seconds
function methods:spread()
  return self._usual
end

return M

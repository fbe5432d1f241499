-- SPDX-License-Identifier: MIT
-- Estimates which part of an import falls into the platform's closed hours, from its recent speed. Pure arithmetic, decides nothing. The
-- amount of work comes from the plan (import/plan/preview.lua) before the start, later from the progress.

local time = require "campaign.api.time"
local window_module = require "campaign.import.plan.window"

local M = {}

-- Closed hours, at most, that are considered.
local MOST_CROSSINGS = 100

-- Seconds after which a measurement has lost two thirds of its weight.
local MEMORY = 20

---Distributes work over the hours in which the platform is open.
---@param window table of import/plan/window.lua
---@param from number instant at which work can begin
---@param seconds number of work
---@param zone_seconds integer
---@param margin number? seconds before closed hours in which no request begins; default: that of import/plan/window.lua
---@return number ends the instant, at the end of the last looked-at closed hours when there is more
---@return { closes: number, opens: number, done: number }[] crossings closed hours on the way, `done` the share of the work before them
function M.lay(window, from, seconds, zone_seconds, margin)
  local closed, crossings = window.closed, {}
  if not closed or closed.from_seconds == closed.to_seconds then
    return from + seconds, crossings
  end
  local at, left = time.window_end(closed, from, zone_seconds) or from, seconds
  while #crossings < MOST_CROSSINGS do
    local closes = window_module.next_close(closed, at, zone_seconds)
    local room = math.max(0, closes - at - (margin or window_module.MARGIN))
    if left <= room then
      return at + left, crossings
    end
    left = left - room
    at = time.window_end(closed, closes, zone_seconds)
    crossings[#crossings + 1] = { closes = closes, opens = at, done = (seconds - left) / seconds }
  end
  return at, crossings
end

---@class campaign.import.estimate
---@field seconds number until the end, closed hours included
---@field ends number the instant
---@field closes number? when the platform closes on the way
---@field opens number? when it opens again
---@field calls_after integer? requests that will not be done before it closes

---Estimates when work will be done.
---@param window table of import/plan/window.lua
---@param zone_seconds integer
---@param now number instant
---@param work { seconds: number, calls: integer, wait: number? } the work, its requests, a pause before it
---@return campaign.import.estimate
function M.estimate(window, zone_seconds, now, work)
  local ends, crossings = M.lay(window, now + (work.wait or 0), work.seconds, zone_seconds)
  local first = crossings[1]
  return {
    seconds = ends - now, ends = ends, closes = first and first.closes, opens = first and first.opens,
    calls_after = first and math.max(1, work.calls - math.floor(work.calls * first.done)),
  }
end

local meter = {}
local meter_mt = { __index = meter, __name = "campaign.import.meter" }

---Makes a meter for how fast something has grown recently.
---@param now number seconds of a monotonic clock
---@param value number
---@return table meter
function M.meter(now, value)
  return setmetatable({ _at = now, _value = value, _grown = 0, _seconds = 0 }, meter_mt)
end

---Adds a measurement.
---@param now number seconds of a monotonic clock
---@param value number
---@param is_idle boolean? the time since the last measurement does not count
function meter:look(now, value, is_idle)
  local passed, grown = now - self._at, value - self._value
  self._at, self._value = now, value
  if passed <= 0 or is_idle then
    return
  end
  local keep = math.exp(-passed / MEMORY)
  self._grown, self._seconds = self._grown * keep + grown, self._seconds * keep + passed
end

---The recent growth.
---@return number? rate per second; nil while nothing grew
function meter:rate()
  return self._grown > 0 and self._seconds > 0 and self._grown / self._seconds or nil
end

return M

-- SPDX-License-Identifier: MIT
-- The platform's closed hours: how long an import must wait, so that what it starts finishes before they begin, and the refusal for callers
-- that do not want to wait. Hours are in the platform's zone, by the wall clock; nothing is remembered between checks, so that a clock
-- change takes effect at the next one.

local error_object = require "campaign.error"
local time = require "campaign.api.time"

local M = {}

local DAY = 86400

-- A request is not begun when it might end within so many seconds of the closing time: clocks differ, and platforms take their time.
M.MARGIN = 30

-- The time that a request is expected to take until one was measured: so many seconds, and one more for so many bytes.
local SECONDS, BYTES_PER_SECOND = 1, 262144

-- Seconds over which the starts after an opening are spread, so that not all imports begin in the same second.
local SPREAD = 10

local methods = {}
local mt = { __index = methods, __name = "campaign.import.plan.window" }

---@param options table platform, operation, mode, now, random (count → bytes)
function M.new(options)
  return setmetatable({
    closed = options.mode ~= "ignore" and options.operation.closed or nil, _operation = options.operation, _zone = options.platform.zone_seconds,
    _zone_name = options.platform.zone, _now = options.now, _random = options.random, _seconds = nil, _bytes = 0,
  }, mt)
end

---The instant at which closed hours begin next: `instant` itself if they have begun.
---@param closed { from_seconds: integer, to_seconds: integer }
---@param instant number
---@param zone_seconds integer
---@return number
function M.next_close(closed, instant, zone_seconds)
  if time.window_end(closed, instant, zone_seconds) then
    return instant
  end
  local seconds = math.floor(instant) + zone_seconds
  local start = math.floor(seconds / DAY) * DAY + closed.from_seconds
  return (start > seconds and start or start + DAY) - zone_seconds
end

---Learns from an attempt how long requests take; the longest recent one counts.
---@param seconds number
---@param bytes number
function methods:learn(seconds, bytes)
  self._seconds = math.max(seconds, (self._seconds or 0) * 0.9)
  self._bytes = math.max(bytes, self._bytes * 0.9)
end

---Seconds that a request is expected to take, generously.
---@param bytes number
---@return number
function methods:expected(bytes)
  if not self._seconds then
    return SECONDS + bytes / BYTES_PER_SECOND
  end
  return 1.5 * self._seconds * math.max(1, bytes / math.max(self._bytes, 1))
end

-- Seconds from 0 up to SPREAD, the same ones for one opening.
function methods:_spread(opens)
  if self._opens ~= opens then
    self._opens, self._late = opens, SPREAD * self._random(1):byte() / 256
  end
  return self._late
end

---The instant at which the platform opens, while it is closed.
---@param instant? number default: now
---@return number?
function methods:opens(instant)
  return self.closed and time.window_end(self.closed, instant or self._now(), self._zone)
end

---Seconds to wait before a request may begin; 0 for none.
---@param bytes number? of its body; nil: only whether the platform is closed now
---@return number
function methods:wait(bytes)
  if not self.closed then
    return 0
  end
  local now = self._now()
  local opens = self:opens(now)
  if not opens and bytes then
    local closes = M.next_close(self.closed, now, self._zone)
    if now + self:expected(bytes) + M.MARGIN <= closes then
      return 0
    end
    opens = self:opens(closes)
  end
  return opens and opens - now + 0.05 + (bytes and self:_spread(opens) or 0) or 0
end

---An instant as the platform writes it, with its zone.
---@param instant number
---@return string
function methods:text(instant)
  return time.format_datetime(instant, self._zone) .. " (" .. self._zone_name .. ")"
end

---The error for an import that does not wait.
---@return nil
---@return campaign.error err
function methods:refuse()
  local now = self._now()
  local closes = M.next_close(self.closed, now, self._zone)
  local opens = self:opens(closes)
  return nil, error_object.new{
    kind = "window", reason = "closed", retry = math.max(1, math.ceil(opens - now)), sent = "no",
    platform = self._operation.platform, operation = self._operation.name,
    message = ("closed from %s to %s%s; open again at %s"):format(self._operation.closed.from, self._operation.closed.to,
      closes > now and ", and the next request might not be over before that" or "", self:text(opens)),
    hint = 'wait with window = "wait", or switch the guard off with window = "ignore"',
  }
end

return M

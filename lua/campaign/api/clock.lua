-- SPDX-License-Identifier: MIT
-- The platform's clock, derived from the `Date` of its answers. Closed hours use the platform's time if it is known, else ours. The offset
-- is kept relative to the monotonic clock, which nobody sets. Answers from a cache or a recording are ignored.

local error_object = require "campaign.error"
local human = require "campaign.human"
local time = require "campaign.api.time"

local M = {}

-- Seconds between the clocks from which the user is warned, and from which nothing is sent that depends on the time of day.
M.WARNS, M.STOPS = 60, 300

-- Answers skipped between two that are examined, where the time of day does not matter.
local SKIPPED = 255

-- Seconds that an answer may have waited in this process before it was examined.
local QUEUED = 2

local methods = {}
local mt = { __index = methods, __name = "campaign.api.clock" }

---@param env campaign.env
---@return campaign.api.clock
function M.new(env)
  return setmetatable({ _env = env, _base = nil, _at = 0, _pass = 0, _tell = nil }, mt)
end

-- The `Date` of an answer that does not come from a cache.
local function date_of(result)
  local date
  for _, pair in ipairs(result.headers or {}) do
    local name = pair[1]:lower()
    if name == "age" then
      return nil
    elseif name == "date" then
      date = pair[2]
    end
  end
  return date
end

---How many answers may be skipped before the next one has to be examined.
---@return integer
function methods:may_pass_over()
  return self._pass
end

---Answers were skipped.
---@param count integer no more than `may_pass_over`
function methods:passed_over(count)
  self._pass = self._pass - count
end

---Examines the date of an answer.
---@param result table of the transport
---@param closely boolean? examines each answer, not only every 256th
function methods:see(result, closely)
  if not closely and self._pass > 0 then
    self._pass = self._pass - 1
    return
  end
  self._pass = SKIPPED
  local text = result.status and not result.is_replayed and date_of(result)
  local instant = text and time.parse_http_date(text)
  if not instant then
    return
  end
  -- The platform wrote its date, in whole seconds, at some time between our first byte and now.
  local now = self._env.now()
  local took = result.timings and result.timings.total or 0
  local least, most = instant - now, instant + 1 - now + took + QUEUED
  self._base, self._at = now + (least > 0 and least or most < 0 and most or 0), self._env.monotonic()
  if self._tell and math.abs(self:ahead()) > M.WARNS then
    self._tell(self:text())
    self._tell = nil
  end
end

---The platform's time, else ours.
---@return number seconds since 1970
function methods:now()
  return self._base and self._base + self._env.monotonic() - self._at or self._env.now()
end

---Seconds by which the platform's clock is ahead of ours, at least; negative when it is behind, 0 when no difference is known.
---@return number
function methods:ahead()
  return self._base and self:now() - self._env.now() or 0
end

---Calls `tell` once when the clocks differ by more than a minute; immediately if that is known already.
---@param tell fun(text: string)? nil: no call any more
function methods:warn(tell)
  if tell and math.abs(self:ahead()) > M.WARNS then
    tell(self:text())
  else
    self._tell = tell
  end
end

---The difference in words.
---@return string
function methods:text()
  local ahead = self:ahead()
  return ("the platform's clock is %s %s this machine's"):format(human.duration(math.abs(ahead)), ahead > 0 and "ahead of" or "behind")
end

---The error for an operation with closed hours when the clocks differ too much to know the platform's time.
---@param operation campaign.operation
---@return campaign.error? nil when they agree well enough
function methods:refusal(operation)
  if math.abs(self:ahead()) <= M.STOPS then
    return nil
  end
  return error_object.new{
    kind = "window", reason = "clock", retry = false, sent = "no", platform = operation.platform, operation = operation.name,
    message = ("%s: it is unknown whether the platform is open (closed from %s to %s)"):format(self:text(), operation.closed.from,
      operation.closed.to),
    hint = "set this machine's clock (NTP) and try again; window = \"ignore\" sends anyway",
  }
end

return M

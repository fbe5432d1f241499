-- SPDX-License-Identifier: MIT
-- When the next request may leave: requests in flight, one pause shared by all batches, back-off with full jitter, and one request
-- at a time while the platform leaves us in doubt. The engine asks and reports; what a verdict means is decided elsewhere.

local M = {}

-- Seconds. A delivery that failed is tried again soon; a platform that asked for peace is left alone longer.
local BACKOFF = {
  soon = { base = 0.5, longest = 30 },
  throttle = { base = 1, longest = 300 },
}

-- Ambiguous answers in a row, each to a request sent after the one before was known, that end a run.
local MOST_DOUBT = 3

local methods = {}
local mt = { __index = methods, __name = "campaign.import.pace" }

---@param options table limit, monotonic, random
function M.new(options)
  return setmetatable({
    _limit = options.limit,
    _monotonic = options.monotonic,
    _random = options.random,
    _resume_at = 0,
    _failures = { soon = 0, throttle = 0 },
    _failed_since = { soon = 0, throttle = 0 },
    _sent = 0,
    _doubt_since = nil,
    _doubts = 0,
  }, mt)
end

-- A number from 0 up to 1.
local function uniform(random)
  local a, b, c = random(3):byte(1, 3)
  return (a + b * 256 + c * 65536) / 16777216
end

---How many requests may be in flight now.
---@return integer
function methods:limit()
  return self._doubt_since and 1 or self._limit
end

---Seconds until the next request may leave; 0 for now.
---@return number
function methods:delay()
  return math.max(0, self._resume_at - self._monotonic())
end

---A request leaves; the number identifies it to `finished`.
---@return integer
function methods:started()
  self._sent = self._sent + 1
  return self._sent
end

---A verdict is in.
---@param ticket integer what `started` gave
---@param verdict campaign.verdict
---@return number delay seconds for which everybody waits now
function methods:finished(ticket, verdict)
  local kind = verdict.again
  if kind == "soon" or kind == "throttle" then
    local is_new = ticket > self._failed_since[kind]
    if not is_new and not verdict.after then
      return self:delay() -- it failed together with the one that set the pause
    end
    if is_new then
      self._failures[kind] = self._failures[kind] + 1
      self._failed_since[kind] = self._sent
    end
    local rule = BACKOFF[kind]
    local most = math.min(rule.longest, rule.base * 2 ^ math.min(self._failures[kind] - 1, 20))
    local delay = verdict.after or most * uniform(self._random)
    self._resume_at = math.max(self._resume_at, self._monotonic() + delay)
    return delay
  end
  if verdict.verdict == "ambiguous" then
    if not self._doubt_since then
      self._doubt_since, self._doubts = self._sent, 0
    end
    if self._doubts == 0 or ticket > self._doubt_since then
      self._doubts = self._doubts + 1
    end
  elseif verdict.verdict ~= "not_applied" then
    self._doubt_since, self._doubts = nil, 0
    self._failures.soon, self._failures.throttle = 0, 0
    self._failed_since.soon, self._failed_since.throttle = 0, 0
  end
  return 0
end

---True when the platform has been unclear too often in a row to go on.
---@return boolean
function methods:hopeless()
  return self._doubts >= MOST_DOUBT
end

return M

-- SPDX-License-Identifier: MIT
-- The rate of one account, shared by all who have the same home of its state (pace/home.lua): takes tokens and tells what came of the
-- calls. As long as no rate was set and nobody was told to slow down, it costs a look at the home now and then. A home that fails is
-- left: the pace is then this process's own, and nothing stops.

local homes = require "campaign.pace.home"
local rate = require "campaign.pace.rate"

local M = {}

-- Seconds between two looks at a home in which no rate is kept.
local LOOK_EVERY = 0.25

-- Attempts to replace a state that others change as well; then this one is decided alone.
local TRIES = 50

-- Times in a row that a home may fail so before it is left.
local MOST_FAILURES = 3

local methods = {}
local mt = { __index = methods, __name = "campaign.pace.shared" }

---@param options table home? (default: this process's own), monotonic, random (0 up to 1), given? (calls per second), sleep? (called with a
---short time between two attempts, where others share the thread)
function M.new(options)
  return setmetatable({
    _home = options.home or homes.memory(), _monotonic = options.monotonic, _random = options.random, _given = options.given,
    _sleep = options.sleep, _own = rate.new(), _state = rate.new(), _pending = 0, _pending_sent = 0, _look_at = 0, _failures = 0,
  }, mt)
end

local function is_idle(state, now)
  return state.top <= 0 and state.pause <= now
end

local function leave_home(self, state)
  self._home = homes.memory()
  self._home:put(rate.encode(state), nil)
end

-- What this process counted goes into the state. A state in which nobody kept a rate has not counted.
local function bring(self, state, now)
  if self._pending > 0 then
    rate.succeeded(state, now, self._pending, self._pending_sent)
  end
  if is_idle(state, now) and rate.measured(self._own, now) > rate.measured(state, now) then
    for _, name in ipairs({ "slot", "before", "now", "begun" }) do
      state[name] = self._own[name]
    end
  end
end

-- Reads the state, changes it by `act(state, now)` and puts it back unless `act` says that nothing changed.
local function change(self, act)
  local state, result, reason, is_changed
  for _ = 1, TRIES do
    local now = self._monotonic()
    local text, err = self._home:get()
    if err then
      break
    end
    state = rate.decode(text, now)
    bring(self, state, now)
    result, reason, is_changed = act(state, now)
    self._state = state
    if not is_changed then
      return result, reason
    end
    local ok, put_err = self._home:put(rate.encode(state), text)
    if ok then
      self._pending, self._failures = 0, 0
      return result, reason
    elseif put_err then
      break
    end
    if self._sleep then
      self._sleep(0.001)
    end
  end
  self._failures = self._failures + 1
  if not state then
    state = self._state
    result, reason = act(state, self._monotonic())
  end
  if self._failures >= MOST_FAILURES then
    leave_home(self, state)
  end
  return result, reason
end

---Takes a token for one call.
---@return number seconds 0: go; else how long to wait before asking again
---@return "throttle"|"pace"|nil reason
function methods:take()
  local now = self._monotonic()
  if not self._given and is_idle(self._state, now) and now < self._look_at then
    return 0
  end
  self._look_at = now + LOOK_EVERY
  return change(self, function(state, at)
    local seconds, reason = rate.take(state, at, self._given)
    return seconds, reason, seconds == 0 and (self._given ~= nil or not is_idle(state, at))
  end)
end

---A call was answered well.
---@param sent_at number when it had left, by the same clock
function methods:succeeded(sent_at)
  local now = self._monotonic()
  rate.succeeded(self._own, now, 1, sent_at)
  if self._given or not is_idle(self._state, now) then
    self._pending, self._pending_sent = self._pending + 1, math.max(self._pending_sent, sent_at)
  end
end

---A call was answered with "slow down".
---@param sent_at number
---@param after number? seconds that the platform asks to wait
function methods:throttled(sent_at, after)
  change(self, function(state, now)
    rate.throttled(state, now, sent_at, { after = after, given = self._given, random = self._random })
    return nil, nil, true
  end)
end

---Seconds for which nobody sends because the platform asked for it, as far as this process knows.
---@return number
function methods:pause()
  return math.max(0, self._state.pause - self._monotonic())
end

---Calls per second that are kept now, as far as this process knows: nil without a limit.
---@return number? rate
---@return boolean? is_learned the platform asked for it; false when somebody set it
function methods:rate()
  local now = self._monotonic()
  local learned = rate.learned(self._state, now)
  if learned and (not self._given or learned < self._given) then
    return learned, true
  end
  return self._given, self._given and false
end

return M

-- SPDX-License-Identifier: MIT
-- The rate of one account, shared by all users of the same home (pace/home.lua): takes tokens and reports the results of calls. As long as
-- no rate was set and no call was told to slow down, it costs a read of the home now and then. Nothing here waits: if the home fails, this
-- process continues with what it knows, keeps what the others must learn, and stores it when the home is back.

local answer_times = require "campaign.pace.answer_times"
local homes = require "campaign.pace.home"
local rate = require "campaign.pace.rate"

local M = {}

-- Seconds between two reads of a home that holds no rate.
local LOOK_EVERY = 0.25

-- Seconds after which a process that finds every second full, because others send more than it allows itself, takes its turn nevertheless.
local STARVED = 3

-- For so many seconds after a first "slow down", who hears of it adds what it was sending.
local NEWS = 2

-- Attempts to replace a state that others change as well; one of those who try always succeeds.
local TRIES = 50

-- Seconds to go on alone after a home failed: doubled each time, up to the last.
local ALONE, LONGEST_ALONE = 1, 60

-- Answers of "slow down", at most, that are kept while the home fails.
local MOST_NEWS = 8

local methods = {}
local mt = { __index = methods, __name = "campaign.pace.shared" }

---@param options table home? (default: this process's own), monotonic, random (0 up to 1), given? (calls per second)
function M.new(options)
  return setmetatable({
    _home = options.home or homes.memory(), _monotonic = options.monotonic, _random = options.random, _given = options.given,
    _own = rate.new(), _state = rate.new(), _text = nil, _pending = 0, _pending_sent = 0, _look_at = 0,
    _failures = 0, _alone_until = 0, _owes = nil, _news = {},
    _times = answer_times.new(), _late = {}, _waits_since = nil, _problem = nil, _is_told = false,
  }, mt)
end

local function is_idle(state, now)
  return state.top <= 0 and state.pause <= now
end

local function tell(self, state, news)
  rate.throttled(state, news.at, news.sent_at, { after = news.after, given = self._given, random = self._random,
    fastest = self._times:fastest(), spread = self._times:spread() })
end

-- Adds to the state what only this process knows; returns whether there was anything. While there is no rate, processes do not count in the shared
-- state, so the first one that is told to slow down does not know what the others were sending: they add it here.
local function bring(self, state, now)
  local is_news = self._pending > 0 or #self._news > 0 or self._owes ~= nil
  if is_idle(self._state, now) and state.top > 0 and now - state.since < NEWS and rate.measured(self._own, now) > 0 then
    rate.join(state, self._own, now)
    is_news = true
  end
  if self._pending > 0 then
    rate.succeeded(state, now, self._pending, self._pending_sent)
  end
  if is_idle(state, now) and rate.measured(self._own, now) > rate.measured(state, now) then
    for _, name in ipairs({ "slot", "before", "now", "begun", "run" }) do
      state[name] = self._own[name]
    end
  end
  for i = 1, #self._late, 2 do
    rate.late(state, self._late[i], self._late[i + 1])
    is_news = true
  end
  for _, news in ipairs(self._news) do
    tell(self, state, news)
  end
  if self._owes then
    state.due = math.max(state.due, self._owes)
  end
  return is_news
end

-- Drops the oldest if there are too many; the pause that it asked for is added to the next one.
local function keep(list, news)
  if #list == MOST_NEWS then
    local first, second = table.remove(list, 1), list[1]
    local ends = first.after and first.at + first.after or 0
    if ends > second.at + (second.after or 0) then
      second.after = ends - second.at
    end
  end
  list[#list + 1] = news
end

-- What was counted for the home is then this process's own.
local function decide_alone(self, act, news)
  local state, now = self._state, self._monotonic()
  if self._pending > 0 then
    rate.succeeded(state, now, self._pending, self._pending_sent)
    self._pending = 0
  end
  for i = 1, #self._late, 2 do
    rate.late(state, self._late[i], self._late[i + 1])
  end
  self._late = #self._late > 0 and {} or self._late -- is out of date before the home is back
  local result, reason, is_changed = act(state, now)
  if news then
    keep(self._news, news)
  end
  self._owes = state.due
  return result, reason, is_changed
end

-- Reads the state, changes it by `act(state, now)` and puts it back unless `act` says that nothing changed. `news` is what `act` tells,
-- when it must not be lost.
local function change(self, act, news)
  local now = self._monotonic()
  if now < self._alone_until then
    return decide_alone(self, act, news)
  end
  for _ = 1, TRIES do
    now = self._monotonic()
    local text, err = self._home:get()
    if err then
      self._problem = self._problem or err
      break
    end
    local state = text ~= nil and text == self._text and self._state or rate.decode(text, now)
    self._text = nil -- until the home has what the state says
    local is_brought = bring(self, state, now)
    local result, reason, is_changed = act(state, now)
    local told = (is_changed or is_brought) and rate.encode(state)
    local ok, put_err = true, nil
    if told then
      ok, put_err = self._home:put(told, text)
    end
    if ok then
      self._state, self._text = state, told or text
      self._pending, self._failures, self._owes = 0, 0, nil
      self._news = #self._news > 0 and {} or self._news
      self._late = #self._late > 0 and {} or self._late
      return result, reason, is_changed
    elseif put_err then
      self._problem = self._problem or put_err
      break
    end
  end
  self._failures = self._failures + 1
  self._alone_until = now + math.min(ALONE * 2 ^ math.min(self._failures - 1, 20), LONGEST_ALONE)
  return decide_alone(self, act, news)
end

---Takes a token for one call; or books one that will be there, for a caller who then waits as long as it is told.
---@param most number? seconds that a token may be booked ahead; none is without it
---@return number seconds 0: go; else how long to wait, before asking again or, where it is booked, before the call
---@return "throttle"|"pace"|nil reason
---@return boolean? is_booked
function methods:take(most)
  local now = self._monotonic()
  if not self._given and is_idle(self._state, now) and now < self._look_at then
    return 0
  end
  self._look_at = now + LOOK_EVERY
  local is_starved = self._waits_since ~= nil and now - self._waits_since > STARVED
  local seconds, reason, is_booked = change(self, function(state, at)
    return rate.take(state, at, self._given, most, self._times:spread(), is_starved)
  end)
  if most then
    return seconds, reason, is_booked
  end
  self._waits_since = seconds > 0 and reason == "pace" and (self._waits_since or now) or nil
  return seconds, reason
end

---Whether `take` would return 0 without reading the home or counting anything.
---@param now number
---@return boolean
function methods:is_free(now)
  return not self._given and is_idle(self._state, now) and now < self._look_at
end

---Reads the home for a pause that the platform asked for.
---@return number seconds 0: none
function methods:look()
  return (change(self, function(state, now)
    return math.max(0, state.pause - now), nil, false
  end))
end

---A call was answered well, or several at once.
---@param sent_at number when it, or the last of them, had left, by the same clock
---@param now? number
---@param count? integer of calls; 1
---@param mean? number of the seconds since they left
function methods:succeeded(sent_at, now, count, mean)
  now = now or self._monotonic()
  rate.succeeded(self._own, now, count or 1, sent_at)
  local late = self._times:late(now, now - sent_at, count, mean)
  if self._given or not is_idle(self._state, now) then
    self._pending, self._pending_sent = self._pending + (count or 1), math.max(self._pending_sent, sent_at)
    if late > 0 then
      self._late[#self._late + 1], self._late[#self._late + 2] = sent_at, sent_at + late
    end
  end
end

---Tells the others of the calls that were answered well, without waiting for the next token to be taken: there may be none.
function methods:flush()
  if self._pending > 0 then
    change(self, function() end)
  end
end

---A call was answered with "slow down".
---@param sent_at number
---@param after number? seconds that the platform asks to wait
function methods:throttled(sent_at, after)
  local news = { at = self._monotonic(), sent_at = sent_at, after = after }
  change(self, function(state)
    tell(self, state, news)
    return nil, nil, true
  end, news)
end

---Tells once, where the home could not be used, that this process keeps a rate of its own.
---@param say fun(text: string)
function methods:warn(say)
  if self._problem and not self._is_told then
    self._is_told = true
    local problem = self._problem
    say("the account's rate is not shared with other processes: " .. tostring(type(problem) == "table" and problem.message or problem))
  end
end

---Releases the home. May be called twice.
function methods:close()
  if self._home.close then
    self._home:close()
  end
end

---Seconds for which no call is sent because the platform asked for a pause, as far as this process knows.
---@return number
function methods:pause()
  return math.max(0, self._state.pause - self._monotonic())
end

---The current limit of calls per second, as far as this process knows.
---@return number? rate nil without a limit
---@return boolean? is_learned whether it was learned from the platform; false if it was configured
function methods:rate()
  local now = self._monotonic()
  local learned = rate.learned(self._state, now)
  if learned and (not self._given or learned < self._given) then
    return learned, true
  end
  return self._given, self._given and false
end

return M

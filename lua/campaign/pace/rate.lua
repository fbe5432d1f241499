-- SPDX-License-Identifier: MIT
-- Calls per second of one account: a token bucket, and the rate at which it fills, found out from the answers that say "slow down". Pure
-- functions on a state of numbers, so that the state can lie in a file or in shared memory and serve several processes at once; times
-- are seconds of one clock that never jumps. pace/shared.lua keeps the state.
--
-- The bucket is one number, the time at which the next call is due. After an answer of "slow down" the rate falls below what was too much
-- (hardly, where a pause was asked for), comes back to it fast on a cubic curve, and as long as no cap is known it doubles from there, as far
-- as it is used. A rate that was too much twice is a cap: it is left alone for a minute, then for longer, so that finding out again costs few
-- refused calls.

local M = {}

local unpack = rawget(_G, "unpack") or table.unpack

-- What remains of the rate after "slow down": of one that was too much for the first time, and of a known cap.
local CUT, CUT_AT_CAP = 0.7, 0.9

-- Speed of the curve, calls per second per cubed second.
local STEEPNESS = 0.4

-- The share of the rate that was too much at which the curve stays; at a slow rate by one whole call a second below it, for a platform that
-- counts by the second counts whole ones, but never below that other share.
local STAY, WHOLE, STAY_SLOW = 0.985, 1, 0.96

-- Seconds to stay there: after a second "slow down", and at a known cap (four times as long each time, up to the last).
local HOLD, HOLD_AT_CAP, HOLD_GROWTH, LONGEST_HOLD = 2, 60, 4, 600

-- A known cap is passed by so much a second, until so much beyond it says that it is gone; shares of it.
local CREEP, BEYOND = 0.005, 0.05

-- Where no cap is known, the rate doubles in so many seconds: when only a few calls were taken before the first "slow down", else.
local DOUBLES, DOUBLES_LATER = 1, 8

-- The least that is tried after a first "slow down": a platform that takes few calls at once may take many in a second.
local LEAST = 10

-- So much of the rate taken in less than a second is likely to be a second's worth.
local NEAR = 0.85

-- Two findings of the same cap: the share of the higher one in what is kept.
local HIGHER = 0.35

-- Two rates are the same cap when they differ by less than this share.
local SAME = 0.1

-- "Slow down" at a rate below a known cap is chance when the last one was so many calls and seconds ago: about one call in a hundred and
-- fifty. When the platform also asks for a pause, it is worth avoiding for sixty times as long. What comes sooner lowers the rate, in
-- steps that double.
local RARE_CALLS, RARE_SECONDS, WORTH = 150, 3, 60

local SLOWEST = 0.5 -- calls per second

-- Answers of "slow down" in a row without a good one between: everybody waits up to so long (full jitter), doubled each time.
local FIRST_PAUSE, LONGEST_PAUSE = 1, 300

-- Seconds of quiet after which what was learned is out of date.
local FORGET = 900

-- A call may leave so many seconds before it is due: makes up for a late one before it. More would pass the platform's own count of a second.
local CREDIT = 0.02

-- The longest time into the future that a state may name: the longest Retry-After and a bit. Later ones are damage.
local HORIZON = 3700

-- The fields of a state, in the order in which they are written. `since` is the time of the last cut.
local FIELDS = { "due", "pause", "top", "since", "cut", "hold", "caps", "slot", "before", "now", "refused", "used", "good",
  "round", "begun", "quick", "doubles" }

---@class campaign.pace.state
---@field due number when the next call is due
---@field pause number before this time nobody calls
---@field top number the rate that was too much; 0: nothing was learned
---@field since number when it was
---@field cut number what remained of it then
---@field hold number seconds to stay below it
---@field caps number how often in a row the same rate was too much
---@field slot number the second that `now` counts
---@field before number good answers in the second before
---@field now number good answers in this second
---@field refused number answers of "slow down" in a row
---@field used number when something was last heard or sent
---@field good number 1 when there was a good answer to a call of the time after the last cut
---@field round number when the last "slow down" came that was no echo of the one before
---@field doubles number seconds in which the rate doubles while no cap is known
---@field quick number cuts in a row, each soon after the one before
---@field begun number since when good answers come in every second

---@return campaign.pace.state
function M.new()
  local state = {}
  for _, name in ipairs(FIELDS) do
    state[name] = 0
  end
  return state
end

local FORM = "1" .. (" %.6f"):rep(#FIELDS)

---A state as text.
---@param state campaign.pace.state
---@return string
function M.encode(state)
  local values = {}
  for i = 1, #FIELDS do
    values[i] = state[FIELDS[i]]
  end
  return FORM:format(unpack(values))
end

---Reads a state. A damaged one, one of the future or one that is out of date is as good as none.
---@param text string?
---@param now number
---@return campaign.pace.state
function M.decode(text, now)
  local values = {}
  for word in (text or ""):gmatch("[^ ]+") do
    local value = #values <= #FIELDS and tonumber(word)
    if not value or value ~= value or value < 0 or value > 1e12 then
      return M.new()
    end
    values[#values + 1] = value
  end
  if #values ~= #FIELDS + 1 or values[1] ~= 1 then
    return M.new()
  end
  local state = {}
  for i, name in ipairs(FIELDS) do
    state[name] = values[i + 1]
  end
  local is_sane = state.due <= now + HORIZON and state.pause <= now + HORIZON and state.since <= now + 1 and state.used <= now + 1
    and state.round <= now + 1 and state.begun <= now + 1 and state.cut <= 1 and state.slot <= now + 1
  if not is_sane or now - math.max(state.used, state.pause) > FORGET then
    return M.new()
  end
  return state
end

-- Moves the count of good answers on to this second.
local function turn(state, now)
  local slot = math.floor(now)
  if slot > state.slot then
    if slot > state.slot + 1 then
      state.begun = now
    end
    state.before = slot == state.slot + 1 and state.now or 0
    state.slot, state.now = slot, 0
  end
end

---Good answers per second, over the last second.
---@param state campaign.pace.state
---@param now number
---@return number
function M.measured(state, now)
  turn(state, now)
  return state.now + state.before * (1 - (now - math.floor(now)))
end

---Calls per second that were found out to be well; nil while nothing was.
---@param state campaign.pace.state
---@param now number
---@return number?
function M.learned(state, now)
  local top = state.top
  if top <= 0 then
    return nil
  end
  local stay = math.min(top * STAY, math.max(top - WHOLE, top * STAY_SLOW))
  local passed = now - state.since
  local back = (top * (1 - state.cut) / STEEPNESS) ^ (1 / 3) -- seconds to come back to what was too much
  local rate
  if passed < back + state.hold then
    local left = math.min(0, passed - back)
    rate = math.min(STEEPNESS * left * left * left + top, stay)
  else
    passed = passed - back - state.hold
    if state.caps > 0 then -- slowly over a known cap; when it is none any more, on as before
      local slow = math.min(passed, BEYOND / CREEP)
      stay, passed = stay * (1 + CREEP * slow), passed - slow
    end
    rate = stay * 2 ^ math.min(passed / math.max(state.doubles, DOUBLES), 20)
    rate = math.min(rate, math.max(2 * M.measured(state, now), top))
  end
  return math.max(rate, SLOWEST)
end

-- The lower of the rate that somebody set and the one that was found out.
function M.rate(state, now, given)
  local learned = M.learned(state, now)
  if given and learned then
    return math.min(given, learned)
  end
  return given or learned
end

---Takes a token for one call; or books one that will be there, for a caller who then waits as long as it is told.
---@param state campaign.pace.state
---@param now number
---@param given number? calls per second that somebody set
---@param most number? seconds that a token may be booked ahead; none is without it
---@return number seconds 0: go; else how long to wait, before asking again or, where it is booked, before the call
---@return "throttle"|"pace"|nil reason
---@return boolean is_changed a token was taken or booked
function M.take(state, now, given, most)
  local rate = M.rate(state, now, given)
  local starts = math.max(now, state.pause, rate and state.due - CREDIT or 0)
  local seconds, reason = starts - now, nil
  if seconds > 0 then
    reason = state.pause > now and "throttle" or "pace"
    seconds = reason == "throttle" and not most and state.pause - now or seconds
    if not most or seconds > most then
      return seconds, reason, false
    end
  end
  if rate then
    state.due = math.max(state.due, starts) + 1 / rate
    state.used = now
  end
  return seconds, reason, rate ~= nil or seconds > 0
end

---Calls were answered well.
---@param state campaign.pace.state
---@param now number
---@param count integer
---@param sent_at number when the last of them had left
function M.succeeded(state, now, count, sent_at)
  turn(state, now)
  state.now = state.now + count
  state.used = now
  if sent_at > state.round then
    state.refused = 0
  end
  if sent_at > state.since then
    state.good = 1
  elseif state.top > LEAST and state.hold == 0 and now - state.since < 1 then
    state.top = state.top + count -- was under way when the first "slow down" came, and was not too much
  end
end

---Another one's good answers belong to a state whose rate fell without knowing of them: what was too much, was too much for both.
---@param state campaign.pace.state
---@param other campaign.pace.state
---@param now number
function M.join(state, other, now)
  local measured = M.measured(other, now)
  turn(state, now)
  if state.slot == other.slot then
    state.now, state.before = state.now + other.now, state.before + other.before
  end
  state.top = state.top + measured
end

-- The rate falls; what was sent before this moment is no further evidence. A rate that somebody set is a cap beforehand.
local function cut(state, now, sent_at, given, after)
  local rate = M.rate(state, now, given)
  local was = state.top > 0 and state.top or given or 0
  local measured, top, begun = M.measured(state, now), rate, math.max(state.pause + now - sent_at, state.begun)
  if not rate then
    top = math.max(measured, LEAST)
  elseif begun <= now - 1 then -- a second without a pause
    local missing = begun - (state.slot - 1) -- of the second before
    if missing > 0 then
      local left = 1 - (now - state.slot)
      measured = state.now + state.before * math.min(1, left / math.max(1 - missing, 0.05))
    else
      -- More was sent than the platform took. The second before is nearer to the cap where the rate was rising.
      measured = math.max(math.min(measured, state.before), measured * (1 - 2 * (1 - STAY)))
    end
    top = math.min(rate, math.max(measured, rate * CUT))
  else
    -- What was taken since a pause: all of a second's calls where seconds are counted, and no more than that elsewhere.
    local since = begun >= state.slot and state.now or state.now + state.before
    local is_full = since >= rate * (now - begun) * CUT -- as many were sent as could be
    if is_full and (state.caps == 0 and state.top > 0 or since > rate * NEAR) then
      top = math.min(rate, math.max(since, rate * CUT))
    end
  end
  local rare = rate and math.max(RARE_SECONDS, RARE_CALLS / rate)
  -- What comes after the rate rose says where the cap is, not that it fell.
  local is_quick = rate and rate <= state.top and now - math.max(state.since, state.pause) < rare
  state.quick = is_quick and state.quick + 1 or 0
  if state.quick > 1 then
    top = math.min(top, rate * math.max(CUT, 1 - (1 - STAY) * 2 ^ math.min(state.quick - 1, 10)))
  elseif rate and state.caps > 0 and rate <= state.top * STAY and not is_quick and now - state.since >= WORTH * (after or 0) then
    top = state.top
  end
  local is_cap = was > 0 and math.abs(top / was - 1) < SAME
  if not is_cap then
    state.caps = 0
  elseif state.caps > 0 and rate > was * STAY then
    state.caps = state.caps + 1
  elseif state.caps == 0 then
    state.caps = 1
    if state.top > 0 then
      -- What a platform takes at once makes the one too high, answers that are still under way make the other too low.
      state.quick, top = 0, (1 - HIGHER) * math.min(top, was) + HIGHER * math.max(top, was)
    end
  end
  state.cut = is_cap and CUT_AT_CAP or after and after >= 1 and STAY or CUT
  state.doubles = not rate and measured < 2 * LEAST and DOUBLES or DOUBLES_LATER
  state.hold = is_cap and math.min(HOLD_AT_CAP * HOLD_GROWTH ^ math.min(state.caps - 1, 10), LONGEST_HOLD) or rate and HOLD or 0
  state.top, state.since, state.good = top, now, 0
end

---A call was answered with "slow down".
---@param state campaign.pace.state
---@param now number
---@param sent_at number when it had left
---@param more { after: number?, given: number?, random: fun(): number } seconds that the platform asks to wait; calls per second that somebody
---set; a number from 0 up to 1
function M.throttled(state, now, sent_at, more)
  local after = more.after
  local is_first = state.top <= 0
  local is_news = is_first or sent_at > state.round -- else it left before the last one was known
  state.used = now
  if is_news then
    if is_first or state.good > 0 then
      cut(state, now, sent_at, more.given, after)
    end
    state.refused, state.round = state.refused + 1, now
    state.due = math.max(state.due, now + 1 / M.learned(state, now))
    if not after and (is_first and not more.given or state.refused > 1) then
      after = math.min(FIRST_PAUSE * 2 ^ math.min(state.refused - 1, 20), LONGEST_PAUSE) * more.random()
    end
  end
  if after then
    state.pause = math.max(state.pause, now + after)
  end
end

return M

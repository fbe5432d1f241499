-- SPDX-License-Identifier: MIT
-- Calls per second of one account, found out from the answers that say "slow down": calls leave evenly, and never more of them in any second
-- than were found to be well. Pure functions on a state of numbers, so that the state can lie in a file or in shared memory and serve several
-- processes at once; times are seconds of one clock that never jumps. pace/shared.lua keeps the state.
--
-- A call is due when it is its turn by the rate, and when the second before it has room (pace/window.lua). The first "slow down" leaves one
-- number: how many calls were taken. It may be what the platform takes in a second, or in a heap; so the rate goes on well above it until it
-- is refused again, and what was taken by then tells which of both it is. The cap is then left alone for a minute, then for longer, so that
-- finding out again costs few refused calls. An answer of "slow down" below a known cap lowers it: hardly when it is one in a long while, by
-- ever larger steps when they come soon after one another.

local window = require "campaign.pace.window"

local M = {}

local unpack = rawget(_G, "unpack") or table.unpack

-- What remains of the rate after "slow down", before it comes back on a curve: of one that was too much for the first time, and of a known cap.
local CUT, CUT_AT_CAP = 0.7, 0.9

-- Speed of the curve, calls per second per cubed second.
local STEEPNESS = 0.4

-- The share of a rate that is used where it is too high for the calls of a second to be kept.
local STAY = 0.985

-- What a call takes as long as its turn, as a share of it: late calls catch up by it.
local SPARE, MOST_SPARE = 0.002, 0.015

-- What was taken at once says little of a second: so many times as much is tried, at least and at most; and from there it doubles in so many
-- seconds.
local TRY, TRY_MORE, TRY_UP_TO, DOUBLES = 2, 10, 100, 4

-- Two counts are the same cap when they differ by less than this share, and one call.
local SAME = 0.1

-- Seconds for which a known cap is left alone (four times as long each time, up to the last; twice as long where a pause is asked for).
local HOLD, HOLD_GROWTH, LONGEST_HOLD = 60, 4, 600

-- And where it may well be another one: the platform lets a heap of tokens run up, or takes fewer than so many calls.
local HOLD_UNSURE, LEAST = 4, 10

-- What fills faster than so many times what was taken at once was no second's worth; a heap is less than this share of a second's.
local FASTER, HEAP = 1.5, 0.67

-- Then it is passed by so much a second, until so much beyond it says that it is gone; shares of it.
local CREEP, BEYOND = 0.005, 0.08

-- "Slow down" at or below a known cap takes such a share of it, divided by the seconds since the one before; twice as much each time that it
-- comes within so many seconds, and so much at once at most.
local STEP, SOON, MOST_STEP = 0.05, 20, 0.5

local SLOWEST = 0.5 -- calls per second

-- Answers of "slow down" in a row without a good one between: everybody waits up to so long (full jitter), doubled each time.
local FIRST_PAUSE, LONGEST_PAUSE = 1, 300

-- The pause before a rate is tried, where none is asked for.
local REST, REST_MORE = 1, 0.25

-- Seconds of quiet after which what was learned is out of date.
local FORGET = 900

-- A call may leave so many seconds before it is due: makes up for late ones before it. Less where the second's calls are not kept: more would
-- pass the platform's own count. Who comes later than so many seconds was at rest, which saves nothing up.
local CREDIT, CREDIT_BLIND, RESTED = 0.05, 0.02, 0.2

-- What is no lateness for pace/answer_times.lua.
local LATE = 0.001

-- The longest time into the future that a state may name: the longest Retry-After and a bit. Later ones are damage.
local HORIZON = 3700

-- The fields of a state, in the order in which they are written. `since` is the time of the last cut.
local FIELDS = { "due", "pause", "top", "since", "cut", "hold", "caps", "slot", "before", "now", "refused", "used", "good",
  "round", "begun", "quick", "burst", "try" }

---@class campaign.pace.state
---@field due number when the next call is due
---@field pause number before this time nobody calls
---@field top number the rate that was too much; 0: nothing was learned
---@field since number when it was
---@field cut number what remained of it then
---@field hold number seconds to stay at it
---@field caps number how often in a row the same rate was too much
---@field slot number the second that `now` counts
---@field before number good answers in the second before
---@field now number good answers in this second
---@field refused number answers of "slow down" in a row
---@field used number when something was last heard or sent
---@field good number 1 when there was a good answer to a call of the time after the last cut
---@field round number when the last "slow down" came that was no echo of the one before
---@field quick number cuts in a row, each soon after the one before
---@field begun number since when good answers come in every second
---@field burst number what was taken at once before the first "slow down"
---@field try number the seconds in which it was taken, as long as nothing else is known; 0: more is known
---@field calls number[] when the calls of the last second reached the platform, at the latest

---@return campaign.pace.state
function M.new()
  local state = { calls = {} }
  for _, name in ipairs(FIELDS) do
    state[name] = 0
  end
  return state
end

local FORM = "2" .. (" %.6f"):rep(#FIELDS) .. " "

---A state as text.
---@param state campaign.pace.state
---@return string
function M.encode(state)
  local values = {}
  for i = 1, #FIELDS do
    values[i] = state[FIELDS[i]]
  end
  return FORM:format(unpack(values)) .. window.encode(state.calls)
end

---Reads a state. A damaged one, one of the future or one that is out of date is as good as none.
---@param text string?
---@param now number
---@return campaign.pace.state
function M.decode(text, now)
  text = text or ""
  local values, at = {}, 1
  while #values <= #FIELDS do
    local word, after = text:match("^(%-?[%w.]+) ()", at)
    local value = word and tonumber(word)
    if not value or value ~= value or value < 0 or value > 1e12 then
      return M.new()
    end
    values[#values + 1], at = value, after
  end
  local calls = window.decode(text:sub(at), now)
  if values[1] ~= 2 or not calls then
    return M.new()
  end
  local state = { calls = calls }
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
  local passed = now - state.since
  if state.try > 0 then
    local burst = math.max(state.burst, 1)
    local first = math.min(math.max(TRY * burst, math.min(TRY_MORE * burst, TRY_UP_TO)), CUT * burst / state.try)
    passed = math.max(0, now - math.max(state.since, state.pause))
    local tried = first * 2 ^ math.min(passed / DOUBLES, 20)
    return math.max(math.min(tried, math.max(2 * M.measured(state, now), first)), SLOWEST)
  end
  local stay = top > window.MOST and top * STAY or top
  local rate
  local back = (top * (1 - state.cut) / STEEPNESS) ^ (1 / 3) -- seconds to come back to what was too much
  if passed < back + state.hold then
    local left = math.min(0, passed - back)
    rate = math.min(STEEPNESS * left * left * left + top, stay)
  else
    passed = passed - back - state.hold
    if state.caps > 0 then -- slowly over a known cap; when it is none any more, on as before
      local slow = math.min(passed, BEYOND / CREEP)
      stay, passed = stay * (1 + CREEP * slow), passed - slow
    end
    rate = stay * 2 ^ math.min(passed / DOUBLES, 20)
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

-- Calls, and the seconds in which there may be no more of them.
local function room(state, rate, given, spare)
  local top = (state.top <= 0 or state.try > 0) and rate or state.top
  local calls = math.max(1, math.floor(math.min(top, given or top) + 0.001))
  return calls, calls / rate * (1 + spare / 2) + LATE
end

---Takes a token for one call; or books one that will be there, for a caller who then waits as long as it is told.
---@param state campaign.pace.state
---@param now number
---@param given number? calls per second that somebody set
---@param most number? seconds that a token may be booked ahead; none is without it
---@param spare number? share of a turn
---@param is_starved boolean? others fill the seconds: it goes by its turn alone
---@return number seconds 0: go; else how long to wait, before asking again or, where it is booked, before the call
---@return "throttle"|"pace"|nil reason
---@return boolean is_changed a token was taken or booked
function M.take(state, now, given, most, spare, is_starved)
  local rate = M.rate(state, now, given)
  local starts = math.max(now, state.pause)
  if rate then
    spare = math.min(math.max(spare or 0, SPARE), MOST_SPARE)
    local calls, seconds = room(state, rate, given, spare)
    local is_kept = calls <= window.MOST
    local credit = is_kept and CREDIT or CREDIT_BLIND
    if now > state.due + RESTED then
      state.due = now + credit -- it is its turn
    else
      starts = math.max(starts, state.due - credit)
    end
    if is_kept and not is_starved then
      starts = math.max(starts, window.free_at(state.calls, calls, seconds))
    end
  end
  local seconds, reason = starts - now, nil
  if seconds > 0 then
    reason = state.pause > now and "throttle" or "pace"
    seconds = reason == "throttle" and not most and state.pause - now or seconds
    if not most or seconds > most then
      return seconds, reason, false
    end
  end
  if rate then
    state.due = math.max(state.due, starts) + (1 + spare) / rate
    state.used = now
    window.add(state.calls, starts)
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
  elseif state.top > 0 and state.caps == 0 and state.hold == 0 and now - state.since < 1 then
    -- Were under way when the first "slow down" came, and were not too much.
    state.top, state.burst = state.top + count, state.burst + count
    for _ = 1, math.min(count, window.MOST) do
      window.add(state.calls, state.since)
    end
  end
end

---A call reached the platform later than it should have.
---@param state campaign.pace.state
---@param sent_at number
---@param at number at the latest
function M.late(state, sent_at, at)
  window.move(state.calls, sent_at, at)
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
  state.top, state.burst = state.top + measured, state.burst + measured
  local seconds = now - other.begun
  state.try = state.try > 0 and seconds < 1 and math.max(state.try, seconds) or 0
end

-- The most calls per second that a heap of tokens explains, when so many lay there at first: what was taken beyond it, over the time.
local function filled(times, to, from, heap, during)
  local best, count = 0, 0
  for i = #times, 1, -1 do
    local at = times[i]
    if at < from then
      break
    elseif at <= to then
      count = count + 1
      if to - at >= during + 0.1 then
        best = math.max(best, (count - heap + 0.5) / (to - at - during))
      end
    end
  end
  return best
end

-- Whether the platform lets a heap of tokens run up that is far smaller than a second's.
local function is_heap(state)
  return state.burst > 0 and state.burst < HEAP * state.top
end

-- What a first "slow down" says: `taken` calls in `seconds`. Where it was less than a second's worth, more is tried.
local function begin_search(state, now, taken, seconds)
  state.top, state.burst, state.cut = math.max(taken, SLOWEST), taken, CUT
  state.caps, state.hold, state.quick = 0, 0, 0
  state.try = seconds < 1 and math.max(seconds, 0.001) or 0
  state.since, state.good = now, 0
  for _ = #state.calls + 1, math.min(taken, window.MOST) do
    window.add(state.calls, now)
  end
end

-- What refuses a call while the cap is searched for: as many as lay there at first, or more, for they came as fast as the platform makes room.
local function found_cap(state, sent_at, taken, resumed)
  local heap, during = state.burst, math.min(state.try, 0.5)
  local filling = filled(state.calls, sent_at, resumed, heap, during)
  if filling > FASTER * heap then
    state.burst = math.max(heap - filling * during, 1)
    return filling, false
  end
  local cap = state.try < 0.5 and math.min(taken, heap) or taken
  return cap, cap >= LEAST
end

-- Where the cap is when the rate crept over it until it was refused.
local function passed_cap(state, rate, taken)
  local top = state.top
  local reached = math.min(rate, taken)
  if is_heap(state) then
    local is_near = reached < top * (1 + BEYOND)
    local slope = is_near and CREEP * top or reached * math.log(2) / DOUBLES
    return math.max(top, reached - math.sqrt(2 * slope * state.burst)), is_near
  elseif rate < top * (1 + BEYOND) then
    return top, true
  end
  return taken > FASTER * top and reached or (top + math.max(top, reached)) / 2, false
end

-- What is left of a known cap that was refused at or below its rate; but as many as were taken all the same.
local function lowered_cap(state, top, rate, taken, seconds, is_soon)
  state.quick = is_soon and state.quick + 1 or 1
  local heap = is_heap(state) and state.burst / top or STEP
  local step = math.min(heap, MOST_STEP) / math.max(seconds, 0.1) * 2 ^ math.min(state.quick - 1, 10)
  if step < SAME then
    return rate * (1 - step), true
  end
  return math.max(rate * (1 - math.min(step, MOST_STEP)), taken < rate * (1 - SAME) and taken or 0), false
end

-- The rate falls; what was sent before this moment is no further evidence.
local function cut(state, now, sent_at, more)
  local rate, is_rested = M.rate(state, now, more.given), more.after ~= nil and more.after >= 1
  local left = math.max(state.pause, state.begun) -- since when calls leave again
  local ran = math.max(sent_at - left, 0)
  if not rate then
    begin_search(state, now, M.measured(state, now), now - state.begun)
    state.cut = is_rested and 1 or CUT
    return
  end
  local taken = window.count(state.calls, 1, sent_at)
  if taken < state.burst and more.fastest then -- others may have overtaken the one that was refused
    taken = math.max(taken, window.count(state.calls, 1, now - more.fastest))
  end
  if state.top <= 0 and ran < 1 then
    taken = math.max(taken, 1)
    begin_search(state, now, taken, math.max(ran, taken / rate)) -- more is tried only up to the rate that was refused
    return
  end
  local top, found, is_sure = state.top > 0 and state.top or more.given
  if state.top > 0 and state.caps == 0 then
    found, is_sure = found_cap(state, sent_at, taken, math.max(left, state.since))
    state.caps, state.quick, state.try = 1, 0, 0
  elseif rate > top * 1.001 then
    found, is_sure = passed_cap(state, rate, taken)
    state.caps, state.quick = state.caps + (is_sure and 1 or 0), 0
  else
    found, is_sure = lowered_cap(state, top, rate, taken, sent_at - math.max(left, state.since),
      state.quick > 0 and now - state.since < SOON)
    state.caps = is_sure and math.max(state.caps, 1) or 1
  end
  state.top = math.max(math.min(found, rate), SLOWEST)
  state.cut = is_rested and 1 or CUT_AT_CAP
  state.hold = math.min(HOLD * HOLD_GROWTH ^ math.min(state.caps - 1, 10) * (is_rested and 2 or 1), LONGEST_HOLD)
  if not is_sure then
    state.hold = HOLD_UNSURE
  end
  state.since, state.good = now, 0
end

---A call was answered with "slow down".
---@param state campaign.pace.state
---@param now number
---@param sent_at number when it had left
---@param more { after: number?, given: number?, random: (fun(): number), fastest: number? } seconds that the platform asks to wait; calls per
---second that somebody set; a number from 0 up to 1; seconds that the fastest answers take
function M.throttled(state, now, sent_at, more)
  local after = more.after
  local is_first = state.top <= 0
  local is_news = is_first or sent_at > state.round -- else it left before the last one was known
  state.used = now
  window.remove(state.calls, sent_at)
  if is_news then
    if is_first or state.good > 0 then
      cut(state, now, sent_at, more)
    end
    state.refused, state.round = state.refused + 1, now
    state.due = math.max(state.due, now + 1 / M.learned(state, now))
    if not after and state.refused > 1 then
      after = math.min(FIRST_PAUSE * 2 ^ math.min(state.refused - 1, 20), LONGEST_PAUSE) * more.random()
    elseif not after and state.try > 0 then
      after = REST + REST_MORE * more.random() -- what is then taken was not begun before
    end
  end
  if after then
    state.pause = math.max(state.pause, now + after)
    state.due = math.max(state.due, state.pause + CREDIT) -- nothing was saved up
  end
end

return M

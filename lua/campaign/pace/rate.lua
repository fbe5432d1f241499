-- SPDX-License-Identifier: MIT
-- The calls per second of one account, learned from answers that say "slow down": calls are spaced evenly, and never more of them in any
-- second than were found to be accepted. Pure functions on a state of numbers, so that the state can be in a file or in shared memory and
-- serve several processes at once; times are seconds of one monotonic clock. pace/shared.lua stores the state.
--
-- A call is due when it is its turn by the rate, and when the second before it has room (pace/window.lua). The first "slow down" yields one
-- number: how many calls were accepted. It may be what the platform accepts per second, or in a burst; so the rate continues above it until
-- it is refused again, and the number accepted by then tells which of both it is. The cap is then left alone, each time for longer, so that
-- probing again costs few refused calls. A "slow down" below a known cap reduces the used share by a hundredth if it is a single one, and
-- by ever more if they follow each other closely.

local window = require "campaign.pace.window"

local M = {}

local unpack = rawget(_G, "unpack") or table.unpack

-- The number of calls that were accepted before a first "slow down" may be a second's worth, or a bucket of saved-up tokens. So a higher rate is tried:
-- TRY times that number, or TRY_MORE times as long as that is at most TRY_UP_TO, but at most the share TRY_SLOWER of the rate that was refused. After
-- SETTLES seconds it doubles every DOUBLES seconds.
local TRY, TRY_MORE, TRY_UP_TO, TRY_SLOWER, DOUBLES, SETTLES = 2, 10, 50, 0.7, 4, 2

-- The share by which turns are longer than the rate demands, at least and at most: late calls catch up in that slack.
local SPARE, MOST_SPARE = 0.002, 0.0175

-- Two counts are the same cap when they differ by less than this share, and one call.
local SAME = 0.1

-- Calls that were accepted within so many seconds were a burst.
local AT_A_GO = 0.2

-- Seconds for which a known cap is not exceeded: HOLD_GROWTH times as long each time, up to LONGEST_HOLD; twice as long where a pause is asked for.
local HOLD, HOLD_GROWTH, LONGEST_HOLD = 90, 4, 900

-- The same where the cap is uncertain; calls in a second, and seconds by which answer times vary, from which a cap is certain.
local HOLD_UNSURE, LEAST, CALM = 3, 10, 0.005

-- After that the rate rises over the cap, by this share of it per second; from the share BEYOND on there is no such cap any more.
local CREEP, CREEP_UNSURE, BEYOND = 0.005, 0.02, 0.15

-- A platform that accepted a burst of this share of a second's calls counts by the second. Calls that a pause or a late wake-up delayed are then made
-- up for, at most CATCH_UP times as fast as evenly.
local COUNTS, CATCH_UP = 0.25, 2

-- A "slow down" at a known cap lowers the rate by the share STEP; twice as much each time that one follows within SOON seconds (AT_ONCE counts double),
-- at most MOST_STEP. At first only the used share of the cap falls, down to LEAST_USED, then the cap itself.
local STEP, SOON, AT_ONCE, MOST_STEP, LEAST_USED = 0.01, 5, 0.5, 0.5, 0.9

-- The share of the cap that is used where a second has too many calls to keep the time of each.
local STAY = 0.985

local SLOWEST = 0.5 -- calls per second

-- Seconds of pause after several answers of "slow down" without a good one between them: random up to FIRST_PAUSE (full jitter), doubled each time.
local FIRST_PAUSE, LONGEST_PAUSE = 1, 300

-- Seconds of pause where the platform asks for none: before a higher rate is tried (plus a random part of REST_MORE), and at a known cap.
local REST, REST_MORE, BREATH = 1, 0.25, 0.1

-- Seconds without calls after which what was learned is dropped.
local FORGET = 900

-- Seconds by which a call may leave before it is due, to make up for late ones; CREDIT_BLIND where the times of a second's calls are not kept, since more
-- could exceed the platform's count. A caller that is RESTED seconds late was idle: that saves up nothing.
local CREDIT, CREDIT_BLIND, RESTED = 0.05, 0.02, 0.2

-- Seconds that pace/answer_times.lua does not count as late.
local LATE = 0.001

-- Seconds into the future that a state may name, at most: somewhat more than the longest Retry-After. Later times are damage.
local HORIZON = 3700

-- The fields of a state, in the order in which they are written.
local FIELDS = { "due", "pause", "top", "used_share", "since", "hold", "caps", "slot", "before", "now", "refused", "used", "good",
  "round", "begun", "run", "quick", "burst", "try", "over", "fills" }

---@class campaign.pace.state
---@field due number when the next call is due
---@field pause number no call is sent before this time
---@field top number calls per second that were found to be the cap; 0: nothing was learned
---@field used_share number the share of it that is used
---@field since number when the last "slow down" came that changed the rate
---@field hold number seconds for which the cap is not exceeded
---@field caps number how often in a row the same rate was too much; 0: it is searched for
---@field slot number the second that `now` counts
---@field before number good answers in the second before
---@field now number good answers in this second
---@field refused number answers of "slow down" in a row
---@field used number when something was last heard or sent
---@field good number 1 when there was a good answer to a call of the time after `since`
---@field round number when the last "slow down" came to a call that had left after the one before
---@field begun number since when good answers come in every second
---@field run number good answers since `begun`; when something was learned, calls that left after `since`
---@field quick number cuts in a row, each soon after the one before
---@field burst number what was taken before the first "slow down"; when the cap is known, how much of that was taken at once
---@field try number the seconds in which it was taken
---@field over number seconds after the first "slow down" in which calls that were under way were answered well
---@field fills number 1: the platform is a token bucket, 0: it counts calls per second
---@field calls number[] when the calls of the last second reached the platform, at the latest

---@return campaign.pace.state
function M.new()
  local state = { calls = {} }
  for _, name in ipairs(FIELDS) do
    state[name] = 0
  end
  return state
end

local FORM = "3" .. (" %.6f"):rep(#FIELDS) .. " "

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
  if values[1] ~= 3 or not calls then
    return M.new()
  end
  local state = { calls = calls }
  for i, name in ipairs(FIELDS) do
    state[name] = values[i + 1]
  end
  local is_sane = state.due <= now + HORIZON and state.pause <= now + HORIZON and state.since <= now + 1 and state.used <= now + 1
    and state.round <= now + 1 and state.begun <= now + 1 and state.used_share <= 1 and state.slot <= now + 1
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
      if state.top <= 0 then
        state.run = 0
      end
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

-- The share per second by which the rate rises over the cap after the hold: small where the cap is certain.
local function creep_of(state)
  return state.hold <= HOLD_UNSURE and state.burst < COUNTS * state.top and CREEP_UNSURE or CREEP
end

---The learned calls per second; nil while nothing was learned.
---@param state campaign.pace.state
---@param now number
---@return number?
function M.learned(state, now)
  local top = state.top
  if top <= 0 then
    return nil
  end
  local rate, most
  if state.caps == 0 then
    local burst = math.max(top, 1)
    local passed = now - math.max(state.since, state.pause) - SETTLES
    most = math.min(math.max(TRY * burst, math.min(TRY_MORE * burst, TRY_UP_TO)), TRY_SLOWER * burst / state.try)
    rate = most * 2 ^ math.min(math.max(passed, 0) / DOUBLES, 20)
  else
    rate, most = top * math.min(state.used_share, top > window.MOST and STAY or 1), top
    local passed = now - state.since - state.hold
    if passed > 0 then -- slowly at first; far beyond the cap, which does not exist any more, ever faster
      local creep = creep_of(state)
      local slow = math.min(passed, BEYOND / creep)
      rate = rate * (1 + creep * slow) * 2 ^ math.min((passed - slow) / DOUBLES, 20)
    end
  end
  return math.max(math.min(rate, math.max(2 * M.measured(state, now), most)), SLOWEST)
end

---The lower of the configured rate and the learned one.
---@param state campaign.pace.state
---@param now number
---@param given number? configured calls per second
---@return number? calls per second; nil without a limit
function M.rate(state, now, given)
  local learned = M.learned(state, now)
  if given and learned then
    return math.min(given, learned)
  end
  return given or learned
end

-- Whether the platform is known to be a token bucket that takes only small bursts.
local function is_shallow(state)
  return state.caps > 0 and state.fills > 0 and state.burst < COUNTS * state.top
end

-- How many calls may fall into how many seconds, and the factor by which they may leave faster than evenly.
local function room(state, rate, given, spare)
  local is_known = state.top > 0 and state.caps > 0
  local top = is_known and state.top or rate
  local calls = math.max(1, math.floor(math.min(top, given or top) + 0.001))
  local faster = 1 / (1 + spare)
  if is_known and calls <= window.MOST and state.burst >= COUNTS * state.top then
    faster = math.min(CATCH_UP, 1 / math.max(1 - state.burst / state.top, 1 / CATCH_UP))
  end
  return calls, calls / rate * (1 + spare) + LATE, faster
end

---Takes a token for one call, or reserves a future one for a caller that then waits as long as the result says.
---@param state campaign.pace.state
---@param now number
---@param given number? configured calls per second
---@param most number? seconds that a token may be booked ahead; none is without it
---@param spare number? share of a turn
---@param is_starved boolean? other processes fill every second: only the turn counts, not the room in the second
---@return number seconds 0: go; else how long to wait, before asking again or, where it is booked, before the call
---@return "throttle"|"pace"|nil reason
---@return boolean is_changed a token was taken or booked
function M.take(state, now, given, most, spare, is_starved)
  local rate = M.rate(state, now, given)
  local starts, faster = math.max(now, state.pause), 1
  if rate then
    local is_even = is_shallow(state)
    spare = math.min(math.max(not is_even and spare and 2 * spare or 0, SPARE), MOST_SPARE)
    local calls, seconds
    calls, seconds, faster = room(state, rate, given, spare)
    local is_kept = calls <= window.MOST
    local credit = is_kept and CREDIT or CREDIT_BLIND
    if now > state.due + RESTED then
      state.due = now + credit -- due now
    else
      starts = math.max(starts, state.due - credit)
    end
    if is_kept and not is_starved and not is_even then
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
    state.due = math.max(state.due, starts) + 1 / (rate * faster)
    state.used = now
    window.add(state.calls, starts)
  end
  return seconds, reason, rate ~= nil or seconds > 0
end

---Records calls that were answered well.
---@param state campaign.pace.state
---@param now number
---@param count integer
---@param sent_at number when the last of them had left
function M.succeeded(state, now, count, sent_at)
  turn(state, now)
  state.now, state.used = state.now + count, now
  if state.top <= 0 or sent_at > state.since then
    state.run = state.run + count
  end
  if sent_at > state.round then
    state.refused = 0
  end
  if sent_at > state.since then
    state.good = 1
  elseif state.top > 0 and state.caps == 0 and now - state.since < 1 then
    -- Were under way when the first "slow down" came, and were not too much.
    state.top, state.over = state.top + count, now - state.since
    for _ = 1, math.min(count, window.MOST) do
      window.add(state.calls, state.since)
    end
  end
end

---Records that a call reached the platform late.
---@param state campaign.pace.state
---@param sent_at number
---@param at number at the latest
function M.late(state, sent_at, at)
  window.move(state.calls, sent_at, at)
end

---Adds the good answers of another process to a state whose rate fell without them: the calls of both together were too many.
---@param state campaign.pace.state
---@param other campaign.pace.state
---@param now number
function M.join(state, other, now)
  turn(other, now)
  turn(state, now)
  if state.slot == other.slot then
    state.now, state.before = state.now + other.now, state.before + other.before
  end
  state.top, state.burst = state.top + other.run, state.burst + other.run
  state.try = math.max(state.try, state.since - other.begun)
end

-- Begins the search for the cap after a first "slow down": `taken` calls were accepted in `seconds`.
local function begin_search(state, now, taken, seconds)
  state.top, state.burst, state.try = math.max(taken, 0.001), taken, math.max(seconds, 0.001)
  state.caps, state.hold, state.quick, state.over, state.used_share = 0, 0, 0, 0, 1
  for _ = #state.calls + 1, math.min(taken, window.MOST) do
    window.add(state.calls, now)
  end
end

-- The cap after calls were refused twice, each time after a rest: a number of calls per second, or the rate at which a token bucket refills, without the
-- tokens that were in it. `most` is the greatest number of calls in a second. Also returns whether the cap is certain.
local function find_cap(state, rate, calls, seconds, most, all, is_calm)
  local burst, try, top = state.burst, state.try, state.top
  local cap, is_sure
  local same = try >= AT_ONCE and 1.5 * SAME or seconds < 1 and SAME / 2 or SAME -- a bucket that was emptied quickly differs by less
  local is_window = try < 1 and most <= top * (1 + same) + 1 and rate >= top * 0.95 - 1
  if is_window then
    cap = math.min(top, most)
    is_sure = cap >= LEAST and cap > top * (1 - SAME) - 1
  else
    local apart = seconds - try - state.over
    cap = apart > 0.1 and math.min((calls - top) / apart, calls / seconds) or 0 -- refilled meanwhile
    local rise = math.log(2) / DOUBLES
    local reached = math.max(rate, most * (1 + rise / 2))
    local risen = reached - math.sqrt(2 * rise * reached * math.max(top - cap * (try + state.over), 1))
    if seconds > SETTLES and risen >= 0.95 * rate / 2 ^ ((seconds - SETTLES) / DOUBLES) then -- or only in the end, for the rate rose over it
      cap = math.max(cap, risen)
    end
    cap = math.max(cap, calls / all)
    if try < 1 and seconds < SETTLES and most <= 2 * top + 1 and (cap > top or calls > top and try < AT_A_GO) then
      -- The calls fell into two seconds of the platform's clock, or used a bucket of about a second's calls and its refill: the count is the same. The
      -- lower cap would cost a part of all that can be sent, the higher one costs a few refused calls, after which it is lowered.
      is_window, cap = cap > top, top
    elseif try >= 1 and seconds >= 1 - SAME and apart <= 0.1 then -- even calls, and those of one of the platform's seconds were too many
      is_window, cap = true, math.max(cap, (1 - SAME / 2) * math.min(rate, most))
    end
    is_sure = is_calm and seconds >= SETTLES
  end
  cap = math.max(cap, SLOWEST)
  state.fills = is_window and 0 or 1
  state.burst = math.max(is_window and burst - cap * try or top - cap * (try + state.over), calls - cap * seconds, 1)
  return cap, is_sure
end

-- The cap after the rate rose over it until calls were refused: of a bucket the rate at which its tokens were used up, else what was accepted in a second.
-- Also returns whether it is near the old one.
local function passed_cap(state, rate, taken)
  local top, reached = state.top, math.min(rate, taken)
  local is_near = reached < top * (1 + BEYOND)
  if state.fills > 0 then
    local beyond, slope = top * (1 + BEYOND), creep_of(state) * top
    local found = math.min(reached, beyond) - math.sqrt(2 * slope * state.burst)
    if not is_near then
      found = math.max(found, reached - math.sqrt(2 * reached * math.log(2) / DOUBLES * state.burst))
    end
    return math.max(top, found * (1 - STEP)), is_near
  end
  return reached > top * (1 + SAME / 2) + 1 and reached or top, is_near
end

-- Lowers a known cap after calls were refused at or below its rate, `seconds` after they began. Returns whether the new cap is certain.
local function lower_cap(state, rate, calls, seconds, since)
  local top = state.top
  if state.fills == 0 and seconds < 1 and state.pause - state.since >= 0.99 then -- as many as in a second
    local is_sure = calls >= top * (1 - SAME) - 1
    state.top, state.quick = math.min(calls, top - 1), 0
    return is_sure
  end
  state.quick = seconds < SOON and state.quick + (seconds < AT_ONCE and state.fills > 0 and 2 or 1) or 0
  local lower = rate * (1 - math.min(STEP * 2 ^ math.max(math.min(state.quick, 10) - 2, 0), MOST_STEP))
  lower = math.max(lower, math.min(calls / math.max(since, 1), rate * (1 - STEP)))
  if state.fills > 0 and seconds >= AT_ONCE and seconds < SOON then -- the refill of the bucket meanwhile
    local heap = math.min(state.burst, top * (since - seconds))
    state.top, state.used_share = math.min(lower, math.max((calls - heap) / seconds, rate * (1 - 4 * STEP))), 1
    return seconds >= 1
  end
  local step = lower / rate
  if state.quick <= 1 and state.used_share * step >= LEAST_USED then
    state.used_share = state.used_share * step
  else
    state.top = top * step
  end
  return step >= 1 - SAME
end

-- Whether a call was delayed on its way so long that it arrived together with others: that empties a bucket at any rate.
local function came_late(seconds, rate, more)
  local late = seconds - (more.fastest or seconds)
  return late * rate > 1 and late > 1.5 * (more.spread or 0)
end

-- Lowers the rate. What was sent before this moment is no further evidence.
local function cut(state, now, sent_at, more)
  local rate = M.rate(state, now, more.given)
  local left = math.max(state.pause, state.top > 0 and state.since or state.begun) -- since when calls leave again
  local ran = math.max(sent_at - left, 0.001)
  local is_sure
  local calls = math.max(state.run, 1)
  if not rate then
    begin_search(state, now, state.run, now - state.begun - (more.fastest or 0))
  elseif state.top <= 0 and ran < 1 then
    local taken = math.max(window.count(state.calls, 1, sent_at), 1)
    begin_search(state, now, taken, math.max(ran, taken / rate)) -- more is tried only up to the rate that was refused
  elseif state.top > 0 and state.caps == 0 then
    local most = window.count(state.calls, math.min(1, ran + LATE), sent_at)
    most = ran < 1 and calls or most -- a refused one was not answered well
    if most < state.top and more.fastest then -- others may have overtaken the one that was refused
      most = math.max(most, math.min(window.count(state.calls, 1, now - more.fastest), state.top))
    end
    state.top, is_sure = find_cap(state, rate * 2 ^ ((sent_at - now) / DOUBLES), calls, ran, most, sent_at - state.since,
      more.after ~= nil and (more.spread or 0) < CALM)
    state.caps, state.used_share = 1, 1
  else
    if state.top <= 0 then
      state.top, state.burst, state.used_share, state.fills = more.given, 1, 1, 1
    end
    local top = state.top
    if rate > top * state.used_share * 1.001 then
      state.top, is_sure = passed_cap(state, rate, window.count(state.calls, 1, sent_at))
      state.used_share = is_sure and math.max(math.min(rate / state.top, 1) - STEP, state.used_share) or 1
      state.caps, state.quick = state.caps + (is_sure and 1 or 0), 0
    elseif is_shallow(state) and came_late(now - sent_at, rate, more) then
      is_sure = state.hold > HOLD_UNSURE
    else
      calls = ran < 1 and math.max(calls, window.count(state.calls, ran + LATE, sent_at)) or calls
      is_sure = lower_cap(state, rate, calls, ran, sent_at - state.since)
      state.caps = is_sure and math.max(state.caps, 1) or 1
    end
  end
  if state.caps > 0 then
    state.top = math.max(state.top, SLOWEST)
    state.hold = math.min(HOLD * HOLD_GROWTH ^ math.min(state.caps - 1, 10) * (more.after and 2 or 1), LONGEST_HOLD)
    if not is_sure then
      state.hold = HOLD_UNSURE
    end
  end
  state.since, state.good, state.run = now, 0, 0
end

---Records a call that was answered with "slow down".
---@param state campaign.pace.state
---@param now number
---@param sent_at number when it had left
---@param more { after: number?, given: number?, random: (fun(): number), fastest: number?, spread: number? } seconds that the platform asks to wait; calls per
---second that somebody set; a number from 0 up to 1; seconds that the fastest answers take, and that others usually take longer
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
    if state.refused > 1 and (after or 0) == 0 then -- "at once" did not help
      after = math.min(FIRST_PAUSE * 2 ^ math.min(state.refused - 1, 20), LONGEST_PAUSE) * more.random()
    elseif not after then -- what is then taken was not begun before
      after = state.caps == 0 and REST + REST_MORE * more.random() or BREATH
    end
  end
  if after then
    state.pause = math.max(state.pause, now + after)
    state.due = math.max(state.due, state.pause + CREDIT) -- without credit
  end
end

return M

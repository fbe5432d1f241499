-- SPDX-License-Identifier: MIT
-- The latest possible arrival times of the calls of about the last second, so that no second gets more of them than it accepts, even if
-- some were delayed. Pure arithmetic on a list of ascending times; pace/rate.lua stores it in an account's state.

local M = {}

-- Times that are kept, at most; a rate above it goes by its spacing alone.
local MOST = 256
M.MOST = MOST

-- Older ones say nothing any more.
local AGE = 1.5

-- The newest time is written in full, the others as two characters each: so many steps before it.
local BASE, FIRST, STEP = 94, 33, 0.0005
local FARTHEST = BASE * BASE - 1

-- Longest time into the future that a list may name: damage beyond it.
local HORIZON = 3700

local ceil = math.ceil

-- Steps as two characters: made once, since every call has all times of a second written.
local codes = setmetatable({}, { __index = function(known, steps)
  local low = steps % BASE
  known[steps] = string.char(FIRST + (steps - low) / BASE, FIRST + low)
  return known[steps]
end })

-- Where a time belongs: behind all that are no later.
local function place(times, at)
  local i = #times
  while i > 0 and times[i] > at do
    i = i - 1
  end
  return i + 1
end
M.place = place

---A call leaves.
---@param times number[]
---@param at number
function M.add(times, at)
  local count = #times
  if count > 0 and (count >= MOST or times[1] < at - AGE) then
    local drop = math.max(0, count - MOST + 1)
    while drop < count and times[drop + 1] < at - AGE do
      drop = drop + 1
    end
    for i = 1, count do
      times[i] = times[i + drop]
    end
  end
  table.insert(times, place(times, at), at)
end

-- The call that left at a time: the last one that is no later.
local function take(times, sent_at)
  local i = place(times, sent_at + STEP) - 1
  if i < 1 or times[i] < sent_at - AGE then
    return false
  end
  table.remove(times, i)
  return true
end

---A call may have reached the platform as late as this.
---@param times number[]
---@param sent_at number
---@param at number
function M.move(times, sent_at, at)
  if take(times, sent_at) then
    table.insert(times, place(times, at), at)
  end
end

---A call was not taken.
---@param times number[]
---@param sent_at number
function M.remove(times, sent_at)
  take(times, sent_at)
end

---How many calls left in the seconds up to a time.
---@param times number[]
---@param seconds number
---@param to number
---@return integer
function M.count(times, seconds, to)
  return place(times, to) - place(times, to - seconds)
end

---The first moment at which a call may leave, so that no more than `most` fall into any `seconds`.
---@param times number[]
---@param most integer
---@param seconds number
---@return number at 0: at any time
function M.free_at(times, most, seconds)
  local last = times[#times - most + 1]
  return last and last + seconds or 0
end

-- Of a step. A time that was read is so written as the same again; others are rounded up.
local SAME = 0.01

---@param times number[]
---@return string
function M.encode(times)
  local count = #times
  if count == 0 then
    return ""
  end
  local newest = ceil(times[count] / STEP - SAME)
  local pieces, length = { ("%.0f "):format(newest) }, 1
  for i = 1, count - 1 do
    local back = newest - ceil(times[i] / STEP - SAME)
    if back <= FARTHEST then
      length = length + 1
      pieces[length] = codes[back]
    end
  end
  return table.concat(pieces)
end

---@param text string
---@param now number
---@return number[]? times nil when it is damaged
function M.decode(text, now)
  if text == "" then
    return {}
  end
  local newest, at = text:match("^(%d+) ()")
  newest = tonumber(newest)
  if not newest or newest * STEP > now + HORIZON or (#text - at + 1) % 2 ~= 0 or #text - at >= 2 * MOST or text:find("[^!-~]", at) then
    return nil
  end
  local times = {}
  for i = at, #text, 2 do
    local high, low = text:byte(i, i + 1)
    times[#times + 1] = (newest - (high - FIRST) * BASE - (low - FIRST)) * STEP
  end
  times[#times + 1] = newest * STEP
  table.sort(times)
  return times
end

return M

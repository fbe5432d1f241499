-- SPDX-License-Identifier: MIT
-- A configurable limit of calls per second: counts the calls of each platform by a real clock (the sandbox's own may be stopped) and
-- decides which one exceeds it. The answer is a 429, with or without Retry-After; app.lua gives it.

local M = {}

-- How calls are counted, each as a function of the time: true when one more is taken.
local COUNTERS = {}

-- In each second of the clock.
function COUNTERS.second(rate)
  local slot, count = nil, 0
  return function(now)
    if math.floor(now) ~= slot then
      slot, count = math.floor(now), 0
    end
    if count >= rate then
      return false
    end
    count = count + 1
    return true
  end
end

-- In any second; what was refused does not count.
function COUNTERS.any_second(rate)
  local taken, first, last = {}, 1, 0
  return function(now)
    while first <= last and taken[first] <= now - 1 do
      taken[first] = nil
      first = first + 1
    end
    if last - first + 1 >= rate then
      return false
    end
    last = last + 1
    taken[last] = now
    return true
  end
end

-- A bucket that holds the calls of a tenth of a second, at least one, and fills evenly.
function COUNTERS.bucket(rate)
  local most = math.max(1, rate / 10)
  local tokens, at = most, nil
  return function(now)
    tokens, at = math.min(most, tokens + (now - (at or now)) * rate), now
    if tokens < 1 then
      return false
    end
    tokens = tokens - 1
    return true
  end
end

---@return boolean
function M.is_kind(name)
  return COUNTERS[name] ~= nil
end

local methods = {}
local mt = { __index = methods, __name = "sandbox.limit" }

---@param monotonic fun(): number
function M.new(monotonic)
  return setmetatable({ monotonic = monotonic, platforms = {} }, mt)
end

---Counts a call; nil when it is taken.
---@param platform string
---@param settings table the sandbox's
---@return { retry_after: integer? }? refused
function methods:refuses(platform, settings)
  local rate, kind = settings["limit.calls_per_second"], settings["limit.kind"]
  if rate <= 0 then
    return nil
  end
  local entry = self.platforms[platform]
  if not entry or entry.rate ~= rate or entry.kind ~= kind then
    entry = { rate = rate, kind = kind, takes = COUNTERS[kind](rate), taken = 0, refused = 0 }
    self.platforms[platform] = entry
  end
  if entry.takes(self.monotonic()) then
    entry.taken = entry.taken + 1
    return nil
  end
  entry.refused = entry.refused + 1
  local after = settings["limit.retry_after"]
  return { retry_after = after > 0 and math.ceil(after) or nil }
end

---Calls taken and refused, of platforms with a limit.
---@return table<string, { taken: integer, refused: integer }>
function methods:counts()
  local counts = {}
  for name, entry in pairs(self.platforms) do
    counts[name] = { taken = entry.taken, refused = entry.refused }
  end
  return counts
end

function methods:clear()
  self.platforms = {}
end

return M

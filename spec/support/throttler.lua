-- SPDX-License-Identifier: MIT
-- A simulated platform that takes only so many calls per second, and a simulated client with the real pace in front of it: events on a
-- clock of their own, so that minutes pass in milliseconds. Used to judge the rate and the share of refused calls by counts.

local concurrency_module = require "campaign.pace.concurrency"
local rate = require "campaign.pace.rate"

local M = {}

-- The minimal standard generator: a seed gives the same run on every machine.
function M.random(seed)
  local value = seed * 7919 % 2147483646 + 1
  return function()
    value = value * 16807 % 2147483647
    return value / 2147483647
  end
end

-- Ways in which platforms count. Each gives a function of the time of arrival: true when the call is taken.
M.SERVERS = {}

-- So many in each second of the clock.
function M.SERVERS.fixed_window(cap)
  local slot, count = -1, 0
  return function(now)
    if math.floor(now) ~= slot then
      slot, count = math.floor(now), 0
    end
    count = count + 1
    return count <= cap
  end
end

-- So many in any second; refused calls do not count.
function M.SERVERS.sliding_window(cap)
  local times, first = {}, 1
  return function(now)
    while times[first] and times[first] <= now - 1 do
      times[first] = nil
      first = first + 1
    end
    local last = first
    while times[last] do
      last = last + 1
    end
    if last - first >= cap then
      return false
    end
    times[last] = now
    return true
  end
end

-- A bucket of a tenth of a second's calls that fills evenly.
function M.SERVERS.bucket(cap)
  local tokens, at = cap / 10, 0
  return function(now)
    tokens, at = math.min(cap / 10, tokens + (now - at) * cap), now
    if tokens < 1 then
      return false
    end
    tokens = tokens - 1
    return true
  end
end

-- A bucket that holds a whole second's calls.
function M.SERVERS.deep_bucket(cap)
  local tokens, at = cap, 0
  return function(now)
    tokens, at = math.min(cap, tokens + (now - at) * cap), now
    if tokens < 1 then
      return false
    end
    tokens = tokens - 1
    return true
  end
end

---Runs a client for some seconds.
---@param options table server (function), seconds, rtt, jitter (share of rtt), retry_after (seconds, nil for none), concurrency, most, given
---(calls per second), seed, stall (share of loop turns that are held up), changes (function(now) → server)
---@return table counts accepted, refused, seconds, most (in flight), pauses
function M.run(options)
  local random = M.random(options.seed or 1)
  local control = concurrency_module.new{ start = options.concurrency or 16, most = options.most or 64 }
  local state = options.state or rate.new()
  local start = 1000 -- the clock does not begin at zero
  local now, in_flight, flying = start, 0, {}
  local counts = { accepted = 0, refused = 0, most = 0, last = {} }
  local server = options.server
  while now < start + options.seconds do
    -- Send what may leave.
    local wait
    while in_flight < control:limit() do
      wait = rate.take(state, now, options.given)
      if wait > 0 then
        break
      end
      wait = nil
      in_flight = in_flight + 1
      counts.most = math.max(counts.most, in_flight)
      control:started(in_flight)
      local jitter = options.jitter or 0.1
      local there = options.rtt / 2 * (1 + jitter * (random() * 2 - 1))
      local back = options.rtt / 2 * (1 + jitter * (random() * 2 - 1))
      if random() < (options.late or 0) then
        there = there + 0.06 * random() -- something on the way, or the platform itself, was busy
      end
      flying[#flying + 1] = { sent = now, arrives = now + there, back = now + there + back }
    end
    -- The next thing that happens: an arrival, an answer, or the end of the wait.
    local next_at = wait and now + wait or math.huge
    for _, call in ipairs(flying) do
      next_at = math.min(next_at, call.taken == nil and call.arrives or call.back)
    end
    now = math.max(now, next_at)
    table.sort(flying, function(left, right) return left.arrives < right.arrives end)
    for _, call in ipairs(flying) do
      if call.taken == nil and call.arrives <= now then
        call.taken = server(call.arrives, now)
      end
    end
    if random() < (options.stall or 0) then
      now = now + 0.05 + 0.2 * random() -- the client's machine was busy with something else
    end
    for i = #flying, 1, -1 do
      local call = flying[i]
      if call.taken ~= nil and call.back <= now then
        table.remove(flying, i)
        in_flight = in_flight - 1
        local second = math.floor(now - start)
        if call.taken then
          counts.accepted = counts.accepted + 1
          counts.last[second] = (counts.last[second] or 0) + 1
          rate.succeeded(state, now, 1, call.sent)
          control:finished(now, call.back - call.sent)
        else
          counts.refused = counts.refused + 1
          rate.throttled(state, now, call.sent, { after = options.retry_after, given = options.given, random = random })
          if options.log then options.log(now - start, state, call) end
          control:finished(now, nil, true)
        end
      end
    end
  end
  counts.seconds = now - start
  counts.state = state
  return counts
end

return M

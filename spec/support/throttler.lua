-- SPDX-License-Identifier: MIT
-- Simulated platforms that take only so many calls per second, and simulated clients with the real pace in front of them: events on a clock
-- of their own, so that minutes pass in milliseconds and a seed gives the same run on every machine. Judged by counts.

local concurrency_module = require "campaign.pace.concurrency"
local homes = require "campaign.pace.home"
local shared = require "campaign.pace.shared"

local M = {}

-- The minimal standard generator.
function M.random(seed)
  local value = seed * 7919 % 2147483646 + 1
  return function()
    value = value * 16807 % 2147483647
    return value / 2147483647
  end
end

-- Ways in which platforms count. Each gives a function of the time of arrival: true when the call is taken.
M.SERVERS = {}

-- So many in each second of the platform's clock.
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
  local times, first, last = {}, 1, 0
  return function(now)
    while first <= last and times[first] <= now - 1 do
      times[first] = nil
      first = first + 1
    end
    if last - first + 1 >= cap then
      return false
    end
    last = last + 1
    times[last] = now
    return true
  end
end

local function bucket_of(share)
  return function(cap)
    local most = math.max(1, cap * share)
    local tokens, at = most, 0
    return function(now)
      tokens, at = math.min(most, tokens + (now - at) * cap), now
      if tokens < 1 then
        return false
      end
      tokens = tokens - 1
      return true
    end
  end
end

-- A bucket of a tenth of a second's calls, and of a whole second's, that fills evenly.
M.SERVERS.bucket = bucket_of(0.1)
M.SERVERS.deep_bucket = bucket_of(1)

-- A heap of events by time.
local function push(heap, at, act)
  local i = #heap + 1
  heap[i] = { at = at, act = act }
  while i > 1 do
    local parent = (i - i % 2) / 2
    if heap[parent].at <= heap[i].at then
      break
    end
    heap[parent], heap[i] = heap[i], heap[parent]
    i = parent
  end
end

local function pop(heap)
  local top, last = heap[1], table.remove(heap)
  local count = #heap
  if count > 0 then
    heap[1] = last
    local i = 1
    while true do
      local least = i
      for child = 2 * i, math.min(2 * i + 1, count) do
        if heap[child].at < heap[least].at then
          least = child
        end
      end
      if least == i then
        break
      end
      heap[least], heap[i] = heap[i], heap[least]
      i = least
    end
  end
  return top
end

-- When a machine that stands still now and then goes on: `stalls` = { every, least, most } seconds, at random.
local function staller(random, stalls)
  if not stalls then
    return function(at) return at end
  end
  local from, to = 0, 0
  return function(at)
    while at >= to do
      from = math.max(to, at - 5 * stalls.every) - stalls.every * math.log(1 - random() * 0.999999)
      to = from + stalls.least + (stalls.most - stalls.least) * random()
    end
    return at >= from and to or at
  end
end

---Runs clients of one account for some seconds.
---@param options table server (function), seconds, rtt; jitter (share of rtt, default 0.1), before (share of rtt that passes
---before the platform counts the call, default 0.5), tail (mean of what comes on top of a request's way, seconds),
---retry_after (seconds, nil for none), concurrency, most, given (calls per second), seed, clients (default 1), stall (of the client's machine) and
---server_stall: { every, least, most } seconds, retry (share of rtt...)
---@return table counts accepted, refused, most (in flight), last (taken by second), by (client), home
function M.run(options)
  local random = M.random(options.seed or 1)
  local start = 1000 + random() -- the clock does not begin at zero, nor with a second of the platform's
  local now, ends = start, start + options.seconds
  local heap, server = {}, options.server
  local counts = { accepted = 0, refused = 0, most = 0, last = {}, by = {}, events = 0 }
  local home = options.home or homes.memory()
  local stalls, server_stalls = staller(random, options.stall), staller(random, options.server_stall)
  local jitter, tail = options.jitter or 0.1, options.tail or 0
  local before = options.before or 0.5
  local function way(share)
    return options.rtt * share * (1 + jitter * (random() * 2 - 1)) - tail * math.log(1 - random() * 0.999999)
  end

  local function client(number)
    local pace = shared.new{ home = home, given = options.given, monotonic = function() return now end, random = random }
    local control = concurrency_module.new{ start = options.concurrency or 16, most = options.most or 64 }
    local in_flight, wakes = 0, math.huge
    counts.by[number] = 0
    local fill

    local function answered(sent, is_taken)
      in_flight = in_flight - 1
      if is_taken then
        pace:succeeded(sent)
        control:finished(now, now - sent)
      else
        if options.log then options.log(now - start, pace, "before") end
        pace:throttled(sent, options.retry_after)
        if options.log then options.log(now - start, pace, "after") end
      end
      fill()
    end

    local function send()
      local sent = now
      in_flight = in_flight + 1
      counts.most = math.max(counts.most, in_flight)
      control:started(in_flight)
      push(heap, server_stalls(sent + way(before)), function()
        local is_taken = server(now)
        if is_taken then
          local second = math.floor(now - start)
          counts.accepted, counts.by[number] = counts.accepted + 1, counts.by[number] + 1
          counts.last[second] = (counts.last[second] or 0) + 1
        else
          counts.refused = counts.refused + 1
          if options.refusal then options.refusal(now - start) end
        end
        push(heap, stalls(now + way(1 - before)), function()
          answered(sent, is_taken)
        end)
      end)
    end

    fill = function()
      while in_flight < control:limit() do
        local wait = pace:take()
        if wait > 0 then
          local at = stalls(now + math.max(wait, 1e-4) + (options.wake or 0) * random())
          if at < wakes or wakes <= now then
            wakes = at
            push(heap, at, function() if wakes <= now then wakes = math.huge end fill() end)
          end
          return
        end
        send()
      end
    end
    push(heap, start + (number - 1) * (options.apart or 0), fill)
  end

  for number = 1, options.clients or 1 do
    client(number)
  end
  while heap[1] and heap[1].at < ends do
    local event = pop(heap)
    now = event.at
    counts.events = counts.events + 1
    event.act()
  end
  counts.share = counts.accepted / options.seconds / (options.cap or 1)
  counts.refusals = counts.refused / math.max(1, counts.accepted + counts.refused)
  counts.home = home
  return counts
end

return M

-- SPDX-License-Identifier: MIT
-- The rate of an account as arithmetic on a clock of its own: the bucket, the curve after "slow down", pauses, and states that cannot be
-- trusted; and minutes of traffic against simulated platforms that take only so many calls per second, judged by counts.

local rate = require "campaign.pace.rate"
local throttler = require "support.throttler"

local function half()
  return 0.5
end

local function throttled(state, now, sent_at, after, given)
  rate.throttled(state, now, sent_at, { after = after, given = given, random = half })
end

-- Calls that may leave from `from` on within `seconds`.
local function taken(state, from, seconds, given)
  local now, count = from, 0
  while now < from + seconds do
    local wait = rate.take(state, now, given)
    if wait == 0 then
      count = count + 1
    else
      now = now + wait
    end
  end
  return count
end

-- Calls taken per second from one second of a run to another.
local function mean(counts, from, to)
  local sum = 0
  for second = from, to - 1 do
    sum = sum + (counts.last[second] or 0)
  end
  return sum / (to - from)
end

describe("pace.rate", function()
  it("holds nobody up while no rate was set and nobody was told to slow down", function()
    local state = rate.new()
    for _ = 1, 1000 do
      assert.equal(0, (rate.take(state, 5)))
    end
    assert.is_nil(rate.learned(state, 5))
  end)

  it("lets as many calls leave as were set, evenly, however long nobody called", function()
    for _, given in ipairs({ 0.5, 1, 50, 1000 }) do
      local state = rate.new()
      local count = taken(state, 1000, 20, given)
      assert.is_true(math.abs(count - 20 * given) <= 0.08 * given + 2, given .. "/s: " .. count)
      count = taken(state, 1500, 1, given) -- eight minutes later there is no heap of tokens
      assert.is_true(count <= given + math.max(1, 0.02 * given) + 1, given .. "/s after a rest: " .. count)
    end
  end)

  it("tries 0.7 of the speed that was refused, and after two seconds feels its way up as far as it is used", function()
    local state = rate.new()
    for call = 0, 99 do -- two seconds of them
      rate.succeeded(state, 98.5 + call / 50, 1, 98.4 + call / 50)
    end
    throttled(state, 100.5, 100.45)
    local from, speed = state.pause, 0.7 * 100 / 2
    assert.is_near(speed, rate.learned(state, from), 0.01)
    assert.is_near(speed, rate.learned(state, from + 2), 0.01)
    assert.is_near(speed, rate.learned(state, from + 30), 0.01, "nobody uses it: it rises no further")
    local now = from
    for call = 1, 40 * 10 do -- used
      now = now + 1 / 40
      rate.succeeded(state, now, 1, now - 0.01)
      if call % 40 == 0 then
        assert.is_true(rate.learned(state, now) <= math.max(speed, 2 * rate.measured(state, now)))
      end
    end
    assert.is_true(rate.learned(state, now) > 75)
  end)

  it("tries well above what was taken at once, but below the speed that was refused; and rests for a second before", function()
    for count, tries in pairs({ [1] = 7, [3] = 21, [5] = 35, [20] = 50, [50] = 100, [80] = 160 }) do
      local state = rate.new()
      rate.succeeded(state, 100.1, 0, 100)
      rate.succeeded(state, 100.11, count, 100)
      throttled(state, 100.2, 100.15)
      assert.is_near(1.125, state.pause - 100.2, 1e-6)
      assert.is_near(tries, rate.learned(state, state.pause), 0.01, count .. " taken")
      assert.is_near(tries, rate.learned(state, state.pause + 3), 0.01, "not used: it rises no further")
    end
    local state = rate.new()
    rate.succeeded(state, 100.1, 30, 100)
    throttled(state, 101, 100.95)
    assert.is_near(0.7 * 30 / 0.9, rate.learned(state, state.pause), 0.01)
  end)

  it("tells a heap of tokens from a second's worth by what is taken when it tries more", function()
    for kind, cap in pairs({ sliding_window = 8, bucket = 80, deep_bucket = 80 }) do
      local counts = throttler.run{ seconds = 20, rtt = 0.01, retry_after = 1, seed = 3, server = throttler.SERVERS[kind](cap) }
      assert.is_true(mean(counts, 10, 20) > 0.9 * cap, kind .. ": " .. mean(counts, 10, 20))
    end
  end)

  it("counts what was under way when the first no came to what was not too much", function()
    local state = rate.new()
    rate.succeeded(state, 100.1, 40, 100)
    throttled(state, 100.2, 100.15, 1)
    rate.succeeded(state, 100.25, 6, 100.14)
    assert.same({ 46, 40, 46 }, { state.top, state.burst, #state.calls }) -- with them, before them, all
    rate.succeeded(state, 101.5, 1, 101.4)
    assert.equal(46, state.top)
  end)

  -- A state in which a cap of 50 calls in any second was found out: 50 taken at once, and 50 again.
  local function known(after)
    local state = rate.new()
    rate.succeeded(state, 100.1, 50, 100)
    throttled(state, 100.2, 100.15, after)
    local now = state.pause
    for _ = 1, 50 do
      local wait = rate.take(state, now)
      while wait > 0 do
        now = now + wait
        wait = rate.take(state, now)
      end
      rate.succeeded(state, now + 0.001, 1, now)
      now = now + 0.01
    end
    now = now + rate.take(state, now)
    assert.equal(0, (rate.take(state, now)))
    throttled(state, now + 0.001, now, after)
    return state, now + 0.001
  end

  it("takes what was taken twice for the cap, keeps to all of it, and leaves it alone, each time for longer", function()
    local state, now = known()
    assert.equal(50, state.top)
    assert.is_near(50, rate.learned(state, now), 0.01)
    assert.is_near(50, rate.learned(state, now + 89), 0.01)
    local used = 1
    for _, hold in ipairs({ 360, 900, 900 }) do
      now = now + state.hold + 5 -- and passes it by half a percent a second
      rate.succeeded(state, now - 1, 50, now - 1.1)
      rate.succeeded(state, now, 50, now - 0.1)
      assert.is_near(50 * used * 1.025, rate.learned(state, now), 0.03)
      throttled(state, now + 0.1, now)
      assert.same({ 50, hold }, { state.top, state.hold })
      used = state.used_share
      assert.is_true(used >= 0.98, "uses nearly all of it: " .. used)
    end
    state, now = known(1)
    assert.is_near(50, rate.learned(state, now + 1), 0.01)
    assert.equal(180, state.hold, "longer where a refusal costs a pause")
  end)

  it("makes up for a pause, twice as fast as evenly, and never with more calls in a second than the cap", function()
    local state = known(1)
    local now = state.pause + 0.05
    local left = {}
    for _ = 1, 150 do
      local wait = rate.take(state, now)
      while wait > 0 do
        now = now + wait
        wait = rate.take(state, now)
      end
      left[#left + 1] = now
    end
    assert.is_true(left[50] - left[1] < 0.6, "50 calls in " .. left[50] - left[1])
    for i = 51, #left do
      assert.is_true(left[i] - left[i - 50] >= 1)
    end
    assert.is_true(left[150] - left[1] < 2.6, "150 calls in " .. left[150] - left[1])
  end)

  it("never lets more calls into any second than the cap, however late some of them were", function()
    local state, now = known(1)
    now = now + 2
    local random, left, behind = throttler.random(7), {}, {}
    for _ = 1, 500 do
      local wait = rate.take(state, now)
      while wait > 0 do
        now = now + wait + 0.004 * random()
        wait = rate.take(state, now)
      end
      local late = random() < 0.1 and 0.08 * random() or 0
      left[#left + 1] = now + late
      behind[#behind + 1] = { now + late + 0.01, now, now + late }
      while behind[1] and behind[1][1] <= now do
        local news = table.remove(behind, 1)
        rate.late(state, news[2], news[3])
      end
    end
    table.sort(left)
    for i = 51, #left do
      assert.is_true(left[i] - left[i - 50] >= 1, "51 calls in " .. left[i] - left[i - 50])
    end
    assert.is_true(#left / (left[#left] - left[1]) > 48, "calls a second: " .. #left / (left[#left] - left[1]))
  end)

  it("takes a hundredth from a known cap for one no in a while, and more each time when they come soon", function()
    local state, now = known()
    local function refused_after(seconds)
      for _ = 1, seconds do
        now = now + 1
        rate.succeeded(state, now, 48, now - 0.1)
      end
      throttled(state, now + 0.1, now)
    end
    for refused = 1, 5 do
      refused_after(30)
      assert.is_near(50 * 0.99 ^ refused, rate.learned(state, now), 0.01)
    end
    assert.equal(50, state.top, "it is the same cap")
    for _ = 1, 8 do
      now = now + 1
      rate.succeeded(state, now, 10, now - 0.1)
      throttled(state, now + 0.1, now)
    end
    assert.is_true(state.top < 25, "still " .. state.top)
  end)

  it("knows a lower cap at once when it is refused in the first second after a pause", function()
    local state = known(1)
    local now = state.pause + 20
    rate.succeeded(state, now, 900, now - 0.1)
    throttled(state, now + 0.1, now, 1)
    now = state.pause
    for _ = 1, 10 do
      now = now + rate.take(state, now) + 1e-6
      rate.take(state, now)
      rate.succeeded(state, now + 0.001, 1, now)
    end
    now = now + 0.05
    throttled(state, now + 0.001, now, 1)
    assert.is_near(10, state.top, 1)
  end)

  it("F6 waits as long as the platform asks, all calls together", function()
    local state = rate.new()
    throttled(state, 100, 99.9, 7)
    local wait, reason = rate.take(state, 100)
    assert.same({ 7, "throttle" }, { wait, reason })
    throttled(state, 100.1, 99.9, 2) -- a shorter wish shortens nothing
    assert.is_near(6, (rate.take(state, 101)), 1e-6)
    assert.equal(0, (rate.take(state, 107)))
  end)

  it("F7 waits longer each time when the platform says nothing but no: up to 2, 4, ... 300 s, with full jitter", function()
    local state, now = rate.new(), 100
    throttled(state, now, now - 0.1)
    assert.is_near(1.125, state.pause - now, 1e-6)
    for i = 2, 12 do
      now = state.pause + 1
      throttled(state, now, now - 0.1)
      assert.is_near(math.min(300, 2 ^ (i - 1)) / 2, state.pause - now, 1e-6)
    end
    state, now = known()
    rate.succeeded(state, now + 10, 1, now + 9)
    throttled(state, now + 10.1, now + 10)
    assert.is_near(0.1, state.pause - now - 10.1, 1e-6, "after a good answer the rate falls, and nobody waits for long")
  end)

  it("F6 waits longer each time, too, when the platform says again and again that it need not wait", function()
    local state, now = rate.new(), 100
    throttled(state, now, now - 0.1, 0)
    assert.is_near(0, state.pause - now, 1e-6)
    for i = 2, 5 do
      now = state.pause + 1
      throttled(state, now, now - 0.1, 0)
      assert.is_near(2 ^ (i - 1) / 2, state.pause - now, 1e-6)
    end
  end)

  it("counts answers to what was sent before the first of them as one", function()
    local state = rate.new()
    rate.succeeded(state, 100, 40, 99)
    for i = 1, 16 do
      throttled(state, 100 + i / 1000, 99.99)
    end
    assert.same({ 1, 40 }, { state.refused, state.top })
    throttled(state, 101, 100.5)
    assert.same({ 2, 40 }, { state.refused, state.top }) -- no good answer since: nothing new was learned about the rate
  end)

  it("never goes below one call in two seconds", function()
    local state, now = rate.new(), 100
    for _ = 1, 30 do
      rate.succeeded(state, now, 1, now)
      throttled(state, now + 0.1, now + 0.05, 0)
      now = now + 1
    end
    local learned = rate.learned(state, now)
    assert.is_true(learned >= 0.5 and learned <= 1, "one a second was taken: " .. learned)
    assert.is_true(taken(state, now, 20) >= 10)
  end)

  it("keeps below a rate that was set, whatever was learned", function()
    local state = rate.new()
    rate.succeeded(state, 100.1, 50, 100)
    throttled(state, 100.2, 100.15)
    assert.equal(10, rate.rate(state, 110, 10))
    assert.is_near(rate.learned(state, 110), rate.rate(state, 110, 1000), 1e-9)
  end)

  it("takes a rate that was set for a cap when the platform says no at it", function()
    local state, now = rate.new(), 100
    for _ = 1, 200 do
      rate.succeeded(state, now, 1, now - 0.01)
      now = now + 1 / 50
    end
    throttled(state, now, now - 0.01, nil, 50)
    assert.is_near(0.99 * 50, rate.rate(state, now, 50), 0.2)
    assert.is_true(state.hold >= 60 and state.caps == 1)
  end)

  it("reads back what it wrote", function()
    local state = rate.new()
    rate.succeeded(state, 12345.678901, 50, 12345)
    throttled(state, 12345.7, 12345.68, 3)
    local again = rate.decode(rate.encode(state), 12346)
    assert.equal(#state.calls, #again.calls)
    for name, value in pairs(state) do
      if name ~= "calls" then
        assert.is_near(value, again[name], 1e-5, name)
      end
    end
    for i, at in ipairs(state.calls) do
      assert.is_near(at, again.calls[i], 5.1e-4)
      assert.is_true(again.calls[i] >= at - 1e-6, "never earlier")
    end
    for _ = 1, 1000 do
      rate.take(state, 12346, 1e5)
    end
    assert.is_true(#rate.encode(state) <= 960, "more than a cell holds: " .. #rate.encode(state))
  end)

  it("starts anew from a state that is damaged, of the future, of another version or out of date", function()
    local state = rate.new()
    rate.succeeded(state, 1000, 50, 999)
    throttled(state, 1000.1, 1000.05)
    local text = rate.encode(state)
    assert.is_true(rate.decode(text, 1001).top > 0)
    for _, bad in ipairs({ "", "x", "1", "1 2 3", text .. " 5", "1" .. text:sub(2), text:sub(1, -2), text .. ("x"):rep(1000),
      text:gsub("%d", "-", 3), text:gsub(" 1000", " nan", 1),
      text:gsub(" 1000", " 1e300", 1), (" "):rep(1000), ("9 "):rep(500), "\0\1\2" }) do
      assert.same(rate.new(), rate.decode(bad, 1001), bad)
    end
    assert.same(rate.new(), rate.decode(nil, 1001))
    assert.same(rate.new(), rate.decode(text, 1000 + 1000), "a quarter of an hour later")
    assert.same(rate.new(), rate.decode(text, 10), "a clock that began anew")
  end)

  local SEED = tonumber(os.getenv("CAMPAIGN_SEED")) or 1
  local ROUNDS = tonumber(os.getenv("CAMPAIGN_PACE_ROUNDS")) or 1

  -- Ways between client and platform: on one busy machine, whose two sides stand still now and then, and over a long way.
  local WAYS = {
    near = { rtt = 0.002, tail = 0.0015, wake = 0.002, stall = { every = 2, least = 0.005, most = 0.03 },
      server_stall = { every = 3, least = 0.005, most = 0.05 } },
    far = { rtt = 0.05, jitter = 0.2, tail = 0.004, wake = 0.001 },
  }

  -- Runs of 110 seconds: the least share of a cap that was used from the first second on, and the largest that was refused.
  local function against(name, cap, way, more)
    local least, most, seeds = math.huge, 0, {}
    for round = 1, ROUNDS do
      local options = { seconds = 110, cap = cap, seed = SEED + round, server = throttler.SERVERS[name](cap) }
      for _, part in ipairs({ WAYS[way], more or {} }) do
        for key, value in pairs(part) do
          options[key] = value
        end
      end
      local counts = throttler.run(options)
      least, most, seeds[round] = math.min(least, counts.share), math.max(most, counts.refusals), options.seed
    end
    return least, most, ("%s of %d, %s, seeds %d to %d: %.4f used, %.4f refused"):format(name, cap, way, seeds[1], seeds[#seeds], least, most)
  end

  -- What is used of a cap of 50 that nobody told, from the first second on, and what is refused of all calls.
  for name, least in pairs({
    sliding_window = { near = 0.98, far = 0.96 }, fixed_window = { near = 0.98, far = 0.96 }, bucket = { near = 0.945, far = 0.92 },
    deep_bucket = { near = 0.97, far = 0.91 },
  }) do
    for way in pairs(WAYS) do
      it(("finds a cap that nobody told it and uses %g %% of two minutes: %s, %s"):format(100 * least[way], name:gsub("_", " "), way), function()
        for _, after in ipairs({ 0, 1 }) do
          local share, refused, label = against(name, 50, way, { retry_after = after > 0 and after or nil })
          assert.is_true(share >= least[way], label)
          assert.is_true(refused <= (0.006), label)
        end
      end)
    end
  end

  it("takes two of the platform's seconds that a trial lay in for what they are, wherever in them it began", function()
    for seed = 1, 4 do
      for _, after in ipairs({ 0, 1 }) do
        local options = { seconds = 40, cap = 50, seed = seed, server = throttler.SERVERS.fixed_window(50), retry_after = after > 0 and after or nil }
        for key, value in pairs(WAYS.near) do
          options[key] = value
        end
        local share = throttler.run(options).share
        assert.is_true(share >= 0.97, ("seed %d, Retry-After %d: %.4f"):format(seed, after, share))
      end
    end
  end)

  for _, name in ipairs({ "fixed_window", "sliding_window", "bucket", "deep_bucket" }) do
    it("holds a cap that was set, with next to nothing refused: " .. name:gsub("_", " "), function()
      for way in pairs(WAYS) do
        local share, refused, label = against(name, 50, way, { given = 50, retry_after = 1 })
        assert.is_true(share >= 0.955, label)
        assert.is_true(refused <= 0.001, label)
      end
    end)
  end

  -- Where the platform counts first and works then; a bucket of five calls uses up a pause more.
  for name, least in pairs({ sliding_window = 0.945, fixed_window = 0.945, deep_bucket = 0.945, bucket = 0.85 }) do
    it("holds a cap from the start with answers of 20 to 200 ms that differ by half: " .. name:gsub("_", " "), function()
      for _, rtt in ipairs({ 0.02, 0.05, 0.1, 0.2 }) do
        for _, after in ipairs({ 0, 1 }) do
          local share, refused, label = against(name, 50, "far", { seconds = 75, rtt = rtt, jitter = 0.5, before = 0, tail = 0.001,
            retry_after = after > 0 and after or nil })
          label = ("%g s, Retry-After %d: %s"):format(rtt, after, label)
          assert.is_true(share >= least, label)
          assert.is_true(refused < 0.01, label)
        end
      end
    end)
  end

  it("finds small and large caps, and for two clients at once", function()
    for _, case in ipairs({ { 5, 0.94, 0.05 }, { 10, 0.94, 0.03 }, { 200, 0.88, 0.005 } }) do
      for _, name in ipairs({ "fixed_window", "sliding_window" }) do
        local share, refused, label = against(name, case[1], "far", { retry_after = 1 })
        assert.is_true(share >= case[2] and refused <= case[3], label)
      end
    end
    for _, name in ipairs({ "fixed_window", "sliding_window", "bucket" }) do
      local share, refused, label = against(name, 50, "far", { clients = 2, apart = 3 })
      assert.is_true(share >= 0.92 and refused <= 0.006, "two clients, " .. label)
    end
  end)

  it("asks more of a platform that works longer at some calls than at others, and is not slowed down by it", function()
    local share, _, label = against("fixed_window", 20, "far", { rtt = 0.3, jitter = 0.7, given = 20 })
    assert.is_true(share >= 0.85, label)
  end)

  it("follows a cap that falls and rises", function()
    local caps = { throttler.SERVERS.sliding_window(50), throttler.SERVERS.sliding_window(10), throttler.SERVERS.sliding_window(50) }
    local counts = throttler.run{ seconds = 1800, rtt = 0.05, seed = SEED, server = function(now)
      return caps[math.min(3, math.floor((now - 1000) / 300) + 1)](now)
    end }
    assert.is_true(mean(counts, 400, 600) >= 8.5, "low: " .. mean(counts, 400, 600))
    assert.is_true(mean(counts, 1500, 1800) >= 45, "high again: " .. mean(counts, 1500, 1800))
    assert.is_true(counts.refused / (counts.accepted + counts.refused) < 0.01)
  end)
end)

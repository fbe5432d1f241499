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
      assert.is_true(math.abs(count - 20 * given) <= math.max(1, 0.02 * given) + 1, given .. "/s: " .. count)
      count = taken(state, 1500, 1, given) -- eight minutes later there is no heap of tokens
      assert.is_true(count <= given + math.max(1, 0.02 * given) + 1, given .. "/s after a rest: " .. count)
    end
  end)

  it("falls to 0.7 of what was taken, is back in a few seconds, then feels its way up as far as it is used", function()
    local state = rate.new()
    rate.succeeded(state, 100.1, 50, 100)
    throttled(state, 100.2, 100.15)
    local function at(seconds)
      return rate.learned(state, 100.2 + seconds)
    end
    assert.is_near(35, at(0), 0.01)
    assert.is_true(at(1) > at(0) and at(2) > at(1))
    assert.is_near(49, at(3.3), 0.3)
    assert.is_near(50, at(30), 0.01, "nobody uses it: it rises no further")
    local now = 100.2
    for call = 1, 50 * 12 do -- used
      now = now + 1 / 50
      rate.succeeded(state, now, 1, now - 0.01)
      if call % 50 == 0 then
        assert.is_true(rate.learned(state, now) <= math.max(50, 2 * rate.measured(state, now)))
      end
    end
    assert.is_true(rate.learned(state, now) > 80)
  end)

  it("after a pause that the platform asked for goes on near what was taken, where a second was empty meanwhile", function()
    local state = rate.new()
    rate.succeeded(state, 100.1, 50, 100)
    throttled(state, 100.2, 100.15, 1)
    assert.is_near(49, rate.learned(state, 101.2), 0.5)
  end)

  it("doubles every second after few calls were taken at once, for that says little of a second", function()
    local state = rate.new()
    rate.succeeded(state, 100.05, 5, 100)
    throttled(state, 100.1, 100.04, 1)
    assert.is_near(10, rate.learned(state, 101.1), 0.5)
    local now = 101.1
    while now < 104 do
      now = now + 1 / rate.learned(state, now)
      rate.succeeded(state, now, 1, now - 0.01)
    end
    assert.is_true(rate.learned(state, now) > 40, "after three seconds: " .. rate.learned(state, now))
  end)

  it("counts what was under way when the first no came to what was not too much", function()
    local state = rate.new()
    rate.succeeded(state, 100.1, 40, 100)
    throttled(state, 100.2, 100.15, 1)
    rate.succeeded(state, 100.25, 6, 100.14)
    assert.is_near(46, state.top, 0.01)
    rate.succeeded(state, 101.5, 1, 101.4)
    assert.is_near(46, state.top, 0.01)
  end)

  it("takes a rate that was too much twice for a cap, and leaves it alone for a minute, then for longer", function()
    local state = rate.new()
    rate.succeeded(state, 100.1, 50, 100)
    throttled(state, 100.2, 100.15)
    rate.succeeded(state, 103.9, 1, 103.8)
    throttled(state, 104, 103.9)
    assert.is_near(0.9 * state.top, rate.learned(state, 104), 0.01)
    local top = state.top
    assert.is_near(50, top, 1)
    assert.is_near(top - 1, rate.learned(state, 160), 0.01)
    rate.succeeded(state, 169, 1, 168.9)
    throttled(state, 169.1, 169)
    assert.equal(240, state.hold)
    local now = 169.1 + 250
    rate.succeeded(state, now, 1, now - 0.1)
    throttled(state, now + 0.1, now)
    assert.equal(600, state.hold)
  end)

  it("takes one no in a long while, below a known cap, for chance, and many in a row for a cap that fell", function()
    local state = rate.new()
    rate.succeeded(state, 100.1, 50, 100)
    throttled(state, 100.2, 100.15)
    rate.succeeded(state, 103.9, 1, 103.8)
    throttled(state, 104, 103.9)
    local top, now = state.top, 104
    for _ = 1, 5 do
      now = now + 10
      rate.succeeded(state, now, 1, now - 0.1)
      throttled(state, now + 0.1, now)
      assert.equal(top, state.top)
    end
    for _ = 1, 8 do
      now = now + 1
      rate.succeeded(state, now, 1, now - 0.1)
      throttled(state, now + 0.1, now)
    end
    assert.is_true(state.top < top / 2, "still " .. state.top)
  end)

  it("avoids a no that costs a pause for longer", function()
    local state = rate.new()
    rate.succeeded(state, 100.1, 50, 100)
    throttled(state, 100.2, 100.15, 1)
    rate.succeeded(state, 106, 1, 105.8)
    throttled(state, 106.1, 105.9, 1)
    local top = state.top
    rate.succeeded(state, 130, 1, 129.8)
    throttled(state, 130.1, 129.9, 1)
    assert.is_near(top - 1, state.top, 0.01)
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

  it("F7 waits longer each time when the platform says nothing but no: up to 1, 2, 4, ... 300 s, with full jitter", function()
    local state, now = rate.new(), 100
    for i = 1, 12 do
      throttled(state, now, now - 0.1)
      assert.is_near(math.min(300, 2 ^ (i - 1)) / 2, state.pause - now, 1e-6)
      now = state.pause + 1
    end
    rate.succeeded(state, now, 1, now - 0.1)
    throttled(state, now + 0.1, now)
    assert.is_true(state.pause <= now, "after a good answer the rate falls, and nobody waits")
  end)

  it("counts answers to what was sent before the first of them as one", function()
    local state = rate.new()
    rate.succeeded(state, 100, 40, 99)
    for i = 1, 16 do
      throttled(state, 100 + i / 1000, 99.99)
    end
    assert.equal(1, state.refused)
    assert.is_near(28, rate.learned(state, 100.001), 0.1)
    throttled(state, 101, 100.5)
    assert.equal(2, state.refused)
    assert.is_near(40, state.top, 0.1) -- no good answer since: nothing new was learned about the rate
  end)

  it("never goes below one call in two seconds", function()
    local state, now = rate.new(), 100
    for _ = 1, 30 do
      rate.succeeded(state, now, 1, now)
      throttled(state, now + 0.1, now + 0.05, 0)
      now = now + 1
    end
    assert.is_near(0.5, rate.learned(state, now), 0.2)
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
    local state = rate.new()
    rate.succeeded(state, 100.1, 1, 100)
    throttled(state, 100.2, 100.15, nil, 50)
    assert.is_near(45, rate.rate(state, 100.2, 50), 0.01)
    assert.equal(60, state.hold)
  end)

  it("reads back what it wrote", function()
    local state = rate.new()
    rate.succeeded(state, 12345.678901, 50, 12345)
    throttled(state, 12345.7, 12345.68, 3)
    local again = rate.decode(rate.encode(state), 12346)
    for name, value in pairs(state) do
      assert.is_near(value, again[name], 1e-5, name)
    end
    assert.is_true(#rate.encode(state) < 400)
  end)

  it("starts anew from a state that is damaged, of the future, of another version or out of date", function()
    local state = rate.new()
    rate.succeeded(state, 1000, 50, 999)
    throttled(state, 1000.1, 1000.05)
    local text = rate.encode(state)
    assert.is_true(rate.decode(text, 1001).top > 0)
    for _, bad in ipairs({ "", "x", "1", "1 2 3", text .. " 5", "2" .. text:sub(2), text:gsub("%d", "-", 3), text:gsub(" 1000", " nan", 1),
      text:gsub(" 1000", " 1e300", 1), (" "):rep(1000), ("9 "):rep(500), "\0\1\2" }) do
      assert.same(rate.new(), rate.decode(bad, 1001), bad)
    end
    assert.same(rate.new(), rate.decode(nil, 1001))
    assert.same(rate.new(), rate.decode(text, 1000 + 1000), "a quarter of an hour later")
    assert.same(rate.new(), rate.decode(text, 10), "a clock that began anew")
  end)

  -- Calls taken per second from one second of a run to another.
  local function mean(counts, from, to)
    local sum = 0
    for second = from, to - 1 do
      sum = sum + (counts.last[second] or 0)
    end
    return sum / (to - from)
  end

  -- A run against a platform that takes 50 calls a second: the share of them that was used from the second minute on, and the share of
  -- all calls that was refused.
  local function against(name, options)
    options.server = throttler.SERVERS[name](50)
    local counts = throttler.run(options)
    return mean(counts, 60, options.seconds) / 50, counts.refused / (counts.accepted + counts.refused)
  end

  local SEED = tonumber(os.getenv("CAMPAIGN_SEED")) or 1

  for _, name in ipairs({ "fixed_window", "sliding_window", "bucket", "deep_bucket" }) do
    it("holds 95 % of a cap that nobody told it, with under 1 % refused: " .. name:gsub("_", " "), function()
      for index, rtt in ipairs({ 0.005, 0.1 }) do
        for _, after in ipairs({ 0, 1 }) do
          local share, refused = against(name, { seconds = 600, rtt = rtt, retry_after = after > 0 and after or nil, seed = SEED + index })
          local label = ("seed %d, answers in %g s, Retry-After %d: %.3f of the cap, %.4f refused"):format(SEED, rtt, after, share, refused)
          assert.is_true(share >= 0.95, label)
          assert.is_true(refused < 0.01, label)
        end
      end
    end)

    it("holds 95 % of a cap that was set, with under 1 % refused: " .. name:gsub("_", " "), function()
      for index, rtt in ipairs({ 0.005, 0.1 }) do
        local share, refused = against(name, { seconds = 600, rtt = rtt, retry_after = 1, given = 50, seed = SEED + index })
        local label = ("seed %d, answers in %g s: %.3f of the cap, %.4f refused"):format(SEED, rtt, share, refused)
        assert.is_true(share >= 0.95, label)
        assert.is_true(refused < 0.01, label)
      end
    end)
  end

  it("uses most of a cap that nobody told it from the first second on, however the platform counts", function()
    for _, name in ipairs({ "fixed_window", "sliding_window", "bucket", "deep_bucket" }) do
      for _, after in ipairs({ 0, 1 }) do
        local counts = throttler.run{
          seconds = 120, rtt = 0.02, retry_after = after > 0 and after or nil, seed = SEED, server = throttler.SERVERS[name](50),
        }
        local share, refused = counts.accepted / 120 / 50, counts.refused / (counts.accepted + counts.refused)
        local label = ("seed %d, %s, Retry-After %d: %.3f of the cap, %.4f refused"):format(SEED, name, after, share, refused)
        assert.is_true(share >= 0.935, label)
        assert.is_true(refused < 0.01, label)
      end
    end
  end)

  it("goes on near the cap on a machine that stands still now and then", function()
    local share, refused = against("sliding_window", { seconds = 600, rtt = 0.02, retry_after = 1, seed = SEED, stall = 0.002 })
    assert.is_true(share >= 0.85 and refused < 0.01, ("seed %d: %.3f of the cap, %.4f refused"):format(SEED, share, refused))
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

-- SPDX-License-Identifier: MIT
-- How the number of requests in flight follows the times of the answers: arithmetic on a clock of its own.

local concurrency = require "campaign.pace.concurrency"

-- One interval: as many requests as may be in flight, all answered after `seconds`.
local function interval(control, clock, seconds, pressure)
  for in_flight = 1, control:limit() do
    control:started(in_flight)
  end
  clock.now = clock.now + seconds
  for _ = 1, control:limit() - 1 do
    control:finished(clock.now - 1e-9, seconds)
  end
  clock.now = clock.now + 0.001
  control:finished(clock.now, seconds, pressure)
end

local function steady(control, count)
  local clock = { now = 100 }
  for _ = 1, count do
    interval(control, clock, 0.1)
  end
  return clock
end

describe("pace.concurrency", function()
  it("adds one in an interval as long as answers take no longer, up to the most", function()
    local control = concurrency.new{ start = 1, most = 8 }
    local before = control:limit()
    local clock = { now = 100 }
    for _ = 1, 40 do
      interval(control, clock, 0.1)
      assert.is_true(control:limit() - before <= 1)
      before = control:limit()
    end
    assert.equal(8, control:limit())
  end)

  it("does not grow when the limit was never reached", function()
    local control = concurrency.new{ start = 4, most = 100 }
    local clock = 100
    for _ = 1, 50 do
      control:started(2)
      clock = clock + 0.1
      control:finished(clock, 0.1)
    end
    assert.equal(4, control:limit())
  end)

  it("takes a tenth away when answers take much longer, and comes back", function()
    local control = concurrency.new{ start = 40, most = 40 }
    local clock = steady(control, 5)
    assert.equal(40, control:limit())
    interval(control, clock, 1)
    interval(control, clock, 3)
    assert.is_true(control:limit() <= 36, "limit " .. control:limit())
    for _ = 1, 100 do
      interval(control, clock, 0.1)
    end
    assert.equal(40, control:limit())
  end)

  it("keeps a limit that calls per second kept from being reached, however answers take", function()
    local control = concurrency.new{ start = 20, most = 40 }
    local clock = steady(control, 5)
    local before = control:limit()
    for call = 1, 500 do
      control:started(3)
      clock.now = clock.now + 0.1
      control:finished(clock.now, call % 7 == 0 and 1 or 0.1)
    end
    assert.equal(before, control:limit())
  end)

  it("takes a tenth away when answers do not come in time, once an interval, and never the last one", function()
    local control = concurrency.new{ start = 20, most = 20 }
    local clock = steady(control, 3)
    for i = 1, 10 do
      control:finished(clock.now + i / 1000, nil, true)
    end
    clock.now = clock.now + 0.101
    control:finished(clock.now, nil, true)
    assert.equal(18, control:limit())
    for _ = 1, 200 do
      clock.now = clock.now + 0.2
      control:finished(clock.now, nil, true)
    end
    assert.equal(1, control:limit())
  end)

  it("stays at one where order matters", function()
    local control = concurrency.new{ start = 1, most = 1 }
    steady(control, 30)
    assert.equal(1, control:limit())
  end)

  it("backs off under pressure before any answer was good", function()
    local control = concurrency.new{ start = 16, most = 64 }
    for i = 1, 100 do
      control:finished(100 + i, nil, true)
    end
    assert.equal(1, control:limit())
  end)
end)

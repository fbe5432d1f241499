-- SPDX-License-Identifier: MIT
-- Closed hours: how long to wait, what is not begun any more, what is foreseen; by pure arithmetic, and in imports whose clock is the spec's.

local campaign = require "campaign"
local forecast = require "campaign.import.plan.forecast"
local imports = require "support.imports"
local platforms = require "campaign.api.platform"
local summary = require "campaign.import.report.summary"
local window_module = require "campaign.import.plan.window"

local MIDNIGHT = 1762704000 -- 2025-11-10 00:00:00 in Shanghai
local HOUR = 3600
local ZONE = 8 * HOUR

local outbound = assert(platforms.load("outbound"))

local function window(now, mode, operation)
  local clock = { now = now }
  return window_module.new{
    platform = outbound, operation = operation or outbound.operations.upload_contacts_file, mode = mode or "wait",
    now = function() return clock.now end, random = function(n) return ("\128"):rep(n) end,
  }, clock
end

describe("import.window", function()
  it("R052 client waits from 00:00:00 to 02:00:00 in Shanghai, the end not included", function()
    for at, wait in pairs{ [0] = 2 * HOUR, [HOUR] = HOUR, [2 * HOUR - 1] = 1, [2 * HOUR] = 0, [12 * HOUR] = 0, [24 * HOUR - 1] = 0 } do
      local one = window(MIDNIGHT + at)
      assert.is_near(wait, one:wait(), 0.1, "at " .. at)
      assert.equal(wait > 0 and MIDNIGHT + 2 * HOUR or nil, one:opens())
    end
  end)

  it("F35 begins no request that might not be over half a minute before the platform closes", function()
    local one, clock = window(MIDNIGHT - 60)
    assert.equal(0, one:wait(1000))
    clock.now = MIDNIGHT - 30.5
    assert.is_true(one:wait(1000) > 2 * HOUR)
    assert.equal(0, one:wait(), "open it is")
    clock.now = MIDNIGHT - 60
    assert.is_true(one:wait(262144 * 60) > 2 * HOUR, "a minute's upload")
    clock.now = MIDNIGHT - 95
    assert.equal(0, one:wait(262144 * 60))
  end)

  it("goes by how long requests took, larger ones longer", function()
    local one = window(MIDNIGHT)
    assert.is_near(2, one:expected(262144), 0.01)
    one:learn(10, 1000000)
    assert.is_near(15, one:expected(1000000), 0.01)
    assert.is_near(15, one:expected(10), 0.01)
    assert.is_near(30, one:expected(2000000), 0.01)
    for _ = 1, 50 do
      one:learn(0.1, 1000)
    end
    assert.is_true(one:expected(1000) < 1)
  end)

  it("comes back a few seconds after the opening, the same ones at each look", function()
    local one, clock = window(MIDNIGHT + HOUR)
    local wait = one:wait(1)
    assert.is_near(HOUR + 5, wait, 0.2)
    clock.now = clock.now + 100
    assert.is_near(wait - 100, one:wait(1), 1e-6)
  end)

  it("follows a clock that is set, forward and back, and one that is years off", function()
    local one, clock = window(MIDNIGHT + 12 * HOUR)
    for _, jump in ipairs({ 13 * HOUR, -12 * HOUR, 24 * HOUR, -48 * HOUR, 86400 * 365 * 30, -86400 * 365 * 50 }) do
      clock.now = clock.now + jump
      local wait = one:wait(1)
      assert.is_true(wait >= 0 and wait <= 2 * HOUR + 60, "after a jump of " .. jump .. ": " .. wait)
      local inside = (clock.now + ZONE) % 86400 < 2 * HOUR
      assert.equal(inside, wait > 0, "after a jump of " .. jump)
    end
  end)

  it("never waits for operations without closed hours, or when told to ignore them", function()
    assert.equal(0, window(MIDNIGHT, "ignore"):wait(1e12))
    assert.equal(0, window(MIDNIGHT, "wait", outbound.operations.get_contact_group_detail):wait(1e12))
  end)

  it("refuses with the time of the opening, in the platform's zone", function()
    local one, clock = window(MIDNIGHT + HOUR, "refuse")
    local _, err = one:refuse()
    assert.same({ "window", "closed", HOUR, "no" }, { err.kind, err.reason, err.retry, err.sent })
    assert.equal("closed from 00:00:00 to 02:00:00; open again at 2025-11-10 02:00:00 (+08:00)", err.message)
    clock.now = MIDNIGHT - 10
    _, err = one:refuse()
    assert.matches("the next request might not be over before that; open again at 2025-11-10 02:00:00", err.message, 1, true)
  end)

  it("knows windows that run over midnight", function()
    local over = { from_seconds = 22 * HOUR, to_seconds = 6 * HOUR }
    assert.equal(MIDNIGHT - 2 * HOUR, window_module.next_close(over, MIDNIGHT - 12 * HOUR, ZONE))
    assert.equal(MIDNIGHT, window_module.next_close(over, MIDNIGHT, ZONE), "begun already")
    assert.equal(MIDNIGHT + 22 * HOUR, window_module.next_close(over, MIDNIGHT + 7 * HOUR, ZONE))
  end)
end)

describe("import.forecast", function()
  local function estimate(now, work)
    local one = window(now)
    return forecast.estimate(one, ZONE, now, work), one
  end

  it("sees what will not be done before the platform closes", function()
    local found = estimate(MIDNIGHT - HOUR, { seconds = 2 * HOUR, calls = 100 })
    assert.equal(MIDNIGHT, found.closes)
    assert.equal(MIDNIGHT + 2 * HOUR, found.opens)
    assert.is_near(51, found.calls_after, 1)
    assert.is_near(4 * HOUR + 30, found.seconds, 1)
    found = estimate(MIDNIGHT - HOUR, { seconds = HOUR - 31, calls = 100 })
    assert.is_nil(found.closes)
    assert.is_near(HOUR - 31, found.seconds, 1e-6)
  end)

  it("waits first when the platform is closed now, and after a pause that was asked for", function()
    local found = estimate(MIDNIGHT + HOUR, { seconds = 60, calls = 5 })
    assert.is_near(HOUR + 60, found.seconds, 1e-6)
    assert.is_nil(found.closes)
    found = estimate(MIDNIGHT - HOUR, { seconds = 60, calls = 5, wait = 2 * HOUR })
    assert.is_near(3 * HOUR + 60, found.seconds, 1e-6)
  end)

  it("lays long work over many nights, and ends for work without end", function()
    local found = estimate(MIDNIGHT + 2 * HOUR, { seconds = 100 * HOUR, calls = 1000 })
    assert.is_near(108 * HOUR, found.seconds, 300)
    assert.equal(MIDNIGHT + 24 * HOUR, found.closes)
    found = estimate(MIDNIGHT + 2 * HOUR, { seconds = 1e12, calls = 1000 })
    assert.is_true(found.seconds > 86400 * 20)
    local all_day = { closed = { from_seconds = 0, to_seconds = 86399 } }
    assert.is_true(forecast.lay(all_day, MIDNIGHT, 100, 0) > MIDNIGHT)
  end)

  it("measures what was done of late, and leaves idle time out", function()
    local meter = forecast.meter(100, 0)
    assert.is_nil(meter:rate())
    for second = 1, 60 do
      meter:look(100 + second, second * 50)
    end
    assert.is_near(50, meter:rate(), 0.01)
    meter:look(160 + 7200, 3000, true)
    assert.is_near(50, meter:rate(), 0.01)
    for second = 1, 100 do
      meter:look(7360 + second, 3000 + second * 10)
    end
    assert.is_near(10, meter:rate(), 0.5)
    meter:look(7000, 5000) -- a clock that went back says nothing
    assert.is_near(10, meter:rate(), 0.5)
  end)
end)

describe("import over closed hours", function()
  local CONTACTS = "outbound.upload_contacts_json"

  setup(function() imports.start() end)
  teardown(function() imports.stop() end)
  before_each(function() imports.reset() end)

  local function options(now, more)
    local env = imports.env(now)
    local given = imports.options(CONTACTS, imports.people(300), { env = env, rows_per_call = 30 })
    for key, value in pairs(more or {}) do
      given[key] = value
    end
    return given, env
  end

  it("F35 sends nothing right before the platform closes, and all of it after the opening", function()
    local given, env = options(MIDNIGHT - 20)
    local seen = {}
    given.on_progress = function(event)
      if event.wait_for == "window" then
        seen.opens, seen.phase, seen.left = event.opens, event.phase, event.left
        assert.equal(0, #imports.commits())
      end
    end
    local result = assert(campaign.import(given))
    assert.same({ "finished", 300 }, { result.state, result.taken_over })
    assert.is_true(env.now() >= MIDNIGHT + 2 * HOUR and env.now() < MIDNIGHT + 2 * HOUR + 60)
    assert.matches("^2025%-11%-10 02:00:%d%d %(%+08:00%)$", seen.opens)
    assert.equal("waiting", seen.phase)
    assert.is_true(seen.left > 0)
  end)

  it("does not start, or ends on its way, when it is told not to wait", function()
    local given, env = options(MIDNIGHT - 3600, { window = "refuse" })
    given.transport = imports.watched(function(count)
      if count == 4 then
        env.sleep(3600) -- midnight strikes
      end
    end)
    local result = assert(campaign.import(given))
    given.transport:close()
    imports.assert_balanced(result)
    assert.same({ "stopped", "window", "closed", 5 }, { result.state, result.error.kind, result.error.reason, result.exit_code })
    assert.same({ 120, 180 }, { result.taken_over, result.pending })
    assert.equal(result.taken_over, #imports.commits())
  end)

  it("says in the plan what will not be done before the platform closes", function()
    local given = options(MIDNIGHT - 33, { rate = 2 })
    local job = assert(campaign.plan(given))
    job:close()
    local estimate = job.plan.estimate
    assert.equal(MIDNIGHT, estimate.closes)
    assert.equal(4, estimate.calls_after)
    assert.matches("4 of 10 requests will not be done before the platform closes at 2025-11-10 00:00:00 (+08:00); it opens again at "
      .. "2025-11-10 02:00:00 (+08:00)", summary.plan(job.plan), 1, true)
    job = assert(campaign.plan((options(MIDNIGHT - 3600))))
    job:close()
    assert.is_nil(job.plan.estimate.closes)
    assert.is_nil(summary.crossing(job.plan))
  end)

  it("F32 neither hangs nor sends inside the hours when the clock is set while it runs", function()
    for _, jump in ipairs({ 12 * HOUR + 600, -12 * HOUR, -11 * HOUR, 24 * HOUR, -24 * HOUR, 86400 * 3650 }) do
      imports.reset()
      local given, env = options(MIDNIGHT + 12 * HOUR)
      local now, offset, sent_inside = env.now, 0, false
      env.now = function()
        return now() + offset
      end
      given.transport = imports.watched(function(count)
        if count == 4 then
          offset = jump
        elseif count > 4 then
          sent_inside = sent_inside or (env.now() + ZONE) % 86400 < 2 * HOUR
        end
      end)
      local result = assert(campaign.import(given))
      given.transport:close()
      imports.assert_balanced(result)
      assert.same({ "finished", 300 }, { result.state, result.taken_over }, "jump of " .. jump)
      assert.is_false(sent_inside)
      assert.is_true(env.slept() < 2 * HOUR + 60, "slept " .. env.slept())
    end
  end)
end)

-- SPDX-License-Identifier: MIT
-- The pace of real imports against a sandbox that takes only so many calls per second: judged by what the sandbox counted. The arithmetic
-- alone, over minutes, is in spec/pace/; tools/pace holds a cap for as long as you like.

local error_object = require "campaign.error"
local imports = require "support.imports"
local pace = require "campaign.import.run.pace"

local LONGLONG = "longlong.import_customers_async"

describe("import pace", function()
  setup(function() imports.start() end)
  teardown(function() imports.stop() end)

  -- A world with a real clock, for the sandbox counts by one, and with a folder of its own for what imports leave behind.
  local function world()
    local env = require("campaign.env").default()
    local folder = imports.job()
    env.getenv = function(name)
      return name == "CAMPAIGN_STATE_DIR" and folder or nil
    end
    return env
  end

  -- One import of `calls` calls.
  local function run(calls, settings, more)
    imports.reset()
    assert(imports.handle:control("settings", settings))
    local options = { rows_per_call = 1, env = world() }
    for key, value in pairs(more or {}) do
      options[key] = value
    end
    local result = assert(imports.import(LONGLONG, imports.people(calls), options))
    imports.assert_balanced(result)
    return result, imports.handle:control("limit").longlong
  end

  it("is told of several answers at once as of each alone", function()
    local now = 100
    local function one()
      return pace.new{ limit = 4, most = 8, monotonic = function() return now end, random = function(count) return ("a"):rep(count) end }
    end
    local alone, together = one(), one()
    for _ = 1, 40 do
      local attempts, tickets, shared = {}, {}, together:started_all(4, 4)
      for i = 1, 4 do
        tickets[i], attempts[i] = alone:started(i), { ticket = shared }
      end
      assert.same(tickets[4], shared)
      now = now + 0.02
      together:passed(attempts, 1, 4, 0.08, 1)
      for i = 1, 4 do
        alone:finished(tickets[i], { verdict = "accepted" }, { seconds = 0.02, repeated = i == 1 })
      end
    end
    assert.is_true(together:limit() > 4, together:limit())
    assert.equal(alone:limit(), together:limit())
    local ticket = together:started_all(3, 3) -- those that fail together make one pause, one after it another
    local waits = {}
    for i = 1, 3 do
      together:finished(ticket, { verdict = "not_applied", again = "soon" })
      waits[i] = together:take()
    end
    assert.is_true(waits[1] > 0 and waits[2] == waits[1] and waits[3] == waits[1])
    local tickets = { alone:started(1), alone:started(2), alone:started(3) }
    for i = 1, 3 do
      alone:finished(tickets[i], { verdict = "not_applied", again = "soon" })
      assert.equal(waits[i], alone:take())
    end
    for _, account in ipairs({ alone, together }) do -- a pause that is asked for counts from when a call had left
      account:finished(account:started(1), { verdict = "not_applied", again = "throttle", after = 5 })
    end
    assert.equal(alone:take(), together:take())
    assert.equal(alone:rate(), together:rate())
  end)

  it("keeps to a rate that was set: the platform has next to nothing to refuse", function()
    local result, counts = run(150, { ["limit.calls_per_second"] = 100, ["limit.kind"] = "second" }, { rate = 80 })
    assert.equal("finished", result.state)
    assert.equal(150, result.taken_over)
    assert.equal(150, counts.taken)
    assert.equal(counts.refused, result.retries)
    assert.is_true(counts.refused <= 3, "refused: " .. counts.refused)
    assert.is_true(result.seconds >= 150 / 80 - 0.1, "too fast: " .. result.seconds)
  end)

  it("finds the cap by itself and loses nothing, with Retry-After and without", function()
    for _, after in ipairs({ 1, 0 }) do
      local result, counts = run(200, { ["limit.calls_per_second"] = 100, ["limit.kind"] = "second", ["limit.retry_after"] = after })
      assert.equal("finished", result.state)
      assert.is_nil(result.error)
      assert.equal(200, result.taken_over)
      assert.equal(200, counts.taken)
      assert.equal(200, #imports.commits(LONGLONG:match("%.(.*)")))
      assert.equal(counts.refused, result.retries)
      assert.equal(200 + counts.refused, result.requests)
      -- All that were in flight when the first was refused, and a few more while the rate is found out; none where the machine itself was
      -- too slow for the cap.
      assert.is_true(counts.refused <= 64 + 20 and (counts.refused >= 1 or result.seconds > 1), "refused: " .. counts.refused)
    end
  end)

  it("warns once when the account's rate cannot be shared with other processes", function()
    local env = world()
    local folder = env.getenv("CAMPAIGN_STATE_DIR")
    assert(require("campaign.core").system.make_dirs(folder))
    assert(require("campaign.core").system.write_atomic(folder .. "/pace", "no folder"))
    local result = run(20, {}, { rate = 500, env = env })
    assert.equal(20, result.taken_over)
    assert.equal(1, #result.warnings)
    assert.truthy(result.warnings[1]:find("the account's rate is not shared with other processes: ", 1, true), result.warnings[1])
  end)

  it("leaves what it found out to the next import into the account", function()
    local env = world()
    local began, first = run(150, { ["limit.calls_per_second"] = 50, ["limit.kind"] = "second", ["limit.retry_after"] = 1 }, { env = env })
    local result = assert(imports.import(LONGLONG, imports.people(20), { rows_per_call = 1, env = env }))
    assert.equal(20, result.taken_over)
    local second = imports.handle:control("limit").longlong
    assert.is_true(first.refused >= 1 or began.seconds > 2)
    assert.is_true(second.refused - first.refused <= 3, "refused: " .. second.refused - first.refused)
  end)
end)

describe("import into a platform in trouble", function()
  local CONCURRENCY = { one = { concurrency = 1 }, many = { concurrency = 64 }, paced = { rate = 500 } }

  setup(function() imports.start() end)
  teardown(function() imports.stop() end)

  -- No row left twice: whatever became of the answers, the sandbox has each at most once, and all that are reported as taken over.
  local function assert_once(result)
    imports.assert_balanced(result)
    local seen, count = {}, 0
    for _, entry in ipairs(imports.commits("import_customers_async")) do
      assert.is_nil(seen[entry.id], "sent twice: " .. tostring(entry.id))
      seen[assert(entry.id)] = true
      count = count + 1
    end
    assert.is_true(count >= result.taken_over and count <= result.taken_over + result.ambiguous)
    assert.equal(300, result.taken_over + result.ambiguous + result.pending)
  end

  for way, options in pairs(CONCURRENCY) do
    for _, kind in ipairs({ "503", "close-after-read", "after-commit-reset", "after-commit-500" }) do
      it(("stops when answers are unclear from a call on (%s, %s in flight): only what was under way, and two, are in doubt"):format(kind, way),
        function()
          imports.reset({ "import_customers_async:" .. kind .. "@50-" })
          local result = assert(imports.import(LONGLONG, imports.people(300), { rows_per_call = 1, concurrency = options.concurrency,
            rate = options.rate }))
          assert.equal("stopped", result.state)
          assert.equal(49, result.taken_over)
          local most = (options.concurrency or 64) + 2
          assert.is_true(result.ambiguous >= 3 and result.ambiguous <= most, "in doubt: " .. result.ambiguous)
          assert_once(result)
        end)
    end

    it(("goes on after calls without a clear answer here and there (%s in flight)"):format(way), function()
      imports.reset({ "import_customers_async:503@60-61", "import_customers_async:after-commit-reset@120",
        "import_customers_async:delay=200@180-190" })
      local result = assert(imports.import(LONGLONG, imports.people(300), { rows_per_call = 1, concurrency = options.concurrency,
        rate = options.rate }))
      assert.equal("finished", result.state)
      assert.equal(3, result.ambiguous)
      assert_once(result)
    end)
  end
end)

describe("import.pace", function()
  local function new(options)
    options = options or {}
    local clock = { now = 100 }
    options.limit = options.limit or 4
    options.monotonic = function() return clock.now end
    options.random = options.random or function(n) return ("\128"):rep(n) end
    options.shared = require("campaign.pace.shared").new{
      home = options.home, given = options.rate, monotonic = options.monotonic, random = function() return 0.5 end,
    }
    return pace.new(options), clock
  end

  local GOOD, BUSY = { verdict = "accepted" }, { verdict = "not_applied", again = "throttle" }
  local SOON = { verdict = "not_applied", again = "soon" }
  local DOUBT = { verdict = "ambiguous", cause = "no_answer" }

  it("says why a request must wait", function()
    local one, clock = new()
    one:finished(one:started(1), SOON)
    local wait, reason = one:take()
    assert.is_near(0.25, wait, 0.01)
    assert.equal("retry", reason)
    clock.now = clock.now + 1
    one:finished(one:started(1), { verdict = "not_applied", again = "window", after = 60 })
    assert.same({ 60, "window" }, { one:take() })
    clock.now = clock.now + 61
    one:finished(one:started(1), { verdict = "not_applied", again = "throttle", after = 5 })
    assert.same({ 5, "throttle" }, { one:take() })
    one = new{ rate = 2 }
    assert.equal(0, (one:take()))
    wait, reason = one:take()
    assert.is_near(0.5, wait, 0.01)
    assert.equal("pace", reason)
  end)

  it("tells a rate that the platform asked for from one that was set", function()
    local one = new{ rate = 10 }
    assert.same({ 10, false }, { one:rate() })
    one:finished(one:started(1), BUSY)
    local rate, is_slowed = one:rate()
    assert.is_true(rate < 10 and is_slowed)
  end)

  it("sends fewer at once when answers do not come, not when they say \"slow down\"; and one while in doubt", function()
    local one, clock = new{ limit = 10, most = 40 }
    for _ = 1, 20 do
      clock.now = clock.now + 1
      one:finished(one:started(1), BUSY)
    end
    assert.equal(10, one:limit(), "that is for the calls per second")
    for _ = 1, 20 do
      clock.now = clock.now + 1
      one:finished(one:started(1), { verdict = "ambiguous", cause = "no_answer" })
      one:finished(one:started(1), GOOD, { seconds = 0.1 })
    end
    assert.is_true(one:limit() < 5)
    one, clock = new{ limit = 10 }
    clock.now = clock.now + 1
    one:finished(one:started(1), DOUBT)
    assert.equal(1, one:limit())
    one:finished(one:started(1), GOOD, { seconds = 0.1 })
    assert.is_true(one:limit() >= 9)
  end)

  it("allows a hundred repeats to be outstanding, half as many after timeouts", function()
    local one = new()
    local count = 0
    while one:may_repeat(false) do
      count = count + 1
    end
    assert.equal(100, count)
    one:finished(one:started(1), GOOD, { repeated = true })
    assert.is_true(one:may_repeat(false))
    assert.is_false(one:may_repeat(true))
  end)

  it("keeps its rate in the home that it is given", function()
    local text
    local home = { get = function() return text end, put = function(_, new_text) text = new_text return true end }
    local one = new{ home = home, rate = 5 }
    one:take()
    assert.is_string(text)
  end)
end)

describe("import options of the pace", function()
  local campaign = require "campaign"

  it("raise for a rate that is none", function()
    for _, bad in ipairs({ 0, -1, 0 / 0, math.huge, 100001 }) do
      assert.has_error(function() campaign.plan{ source = "x", to = LONGLONG, rate = bad } end,
        "import: option `rate` must be a number of calls per second above 0, at most 100000")
    end
    assert.has_error(function() campaign.plan{ source = "x", to = LONGLONG, rate = "50" } end)
  end)

  it("take calls_per_second from the account, which no more makes it another account than a name does", function()
    local record = require "campaign.import.record"
    local platform = assert(require("campaign.api.platform").load("longlong"))
    assert.equal(record.identity(platform, { base_url = "u" }), record.identity(platform, { base_url = "u", calls_per_second = 5 }))
    local timing = require "campaign.import.run.timing"
    assert.equal(3, timing.rate({ limits = { calls_per_second = 7 } }, { calls_per_second = 5 }, { rate = 3 }))
    assert.equal(5, timing.rate({ limits = { calls_per_second = 7 } }, { calls_per_second = 5 }, {}))
    assert.equal(7, timing.rate({ limits = { calls_per_second = 7 } }, {}, {}))
    local config = require "campaign.config"
    local platforms = require "campaign.api.platform"
    local account, err = config.account(assert(platforms.load("tuzhan")),
      { base_url = "https://t.example", token = "t", calls_per_second = "-3" }, require("support.fake").env())
    assert.is_nil(account)
    assert.equal("account key `calls_per_second` must be a number above 0", err.message)
    assert.is_true(error_object.is(err))
  end)

  it("begin with the platform's figure and grow to four times as much, or keep to what was said", function()
    local timing = require "campaign.import.run.timing"
    local function in_flight(concurrency, options)
      return { timing.in_flight({ limits = {} }, { rows = { concurrency = concurrency } }, options or {}) }
    end
    assert.same({ 16, 64 }, in_flight(16))
    assert.same({ 1, 1 }, in_flight(1))
    assert.same({ 100, 200 }, in_flight(100))
    assert.same({ 300, 300 }, in_flight(300))
    assert.same({ 5, 5 }, in_flight(16, { concurrency = 5 }))
  end)
end)

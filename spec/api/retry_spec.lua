-- SPDX-License-Identifier: MIT
-- Which calls are made again by themselves, how often, after which pause, and what never is.

local error_object = require "campaign.error"
local fake = require "support.fake"

local ACCEPTED = fake.answer('{"code":200,"status":"success","message":"m","data":{"unique_id":"u"}}')
local TASK = fake.answer{ id = 7, status = "PENDING" }

local function failed(kind, sent)
  return { error = error_object.new{ kind = kind, message = "m" }, sent = sent }
end

local function throttled(wait)
  return fake.answer("", 429, wait and { { "Retry-After", wait } } or nil)
end

local function read(answers, options, more)
  local client, transport, env = fake.client("hypers", answers, more)
  local reply, err = client:get_notification_task({ taskId = 7 }, options)
  return reply, err, #transport.requests, env
end

local function write(answers, options)
  local client, transport, env = fake.client("longlong", answers)
  local reply, err = client:import_customers_async({ data = { { phone = "13000000001" } } }, options)
  return reply, err, #transport.requests, env
end

describe("api.retry", function()
  it("repeats what provably never left, two times unless told otherwise", function()
    for _, kind in ipairs{ "network", "timeout" } do
      local reply, _, count = write{ failed(kind, "no"), failed(kind, "no"), ACCEPTED }
      assert(reply)
      assert.equal(3, count)
      reply, _, count = read{ failed(kind, "no"), TASK }
      assert(reply)
      assert.equal(2, count)
      local err
      reply, err, count = write{ failed(kind, "no") }
      assert.is_nil(reply)
      assert.same({ kind, "no", 3 }, { err.kind, err.sent, count })
    end
    for retries = 0, 10 do
      local _, _, count = read({ failed("network", "no") }, { retries = retries })
      assert.equal(retries + 1, count)
    end
  end)

  it("R009 client repeats neither write nor read once it may have been applied, however many repeats are allowed", function()
    local answers = {
      failed("network", "maybe"), failed("timeout", "maybe"), fake.answer("", 500), fake.answer("", 502), fake.answer("", 503),
      fake.answer("", 504), fake.answer("", 408), fake.answer("{", 200), fake.answer("", 302),
      { error = error_object.new{ kind = "network", message = "m" }, sent = "maybe", guard = true },
    }
    for _, answer in ipairs(answers) do
      for _, call in ipairs{ read, write } do
        local reply, _, count, env = call({ answer }, { retries = 10 })
        assert.is_nil(reply)
        assert.same({ 1, 0 }, { count, env.slept })
      end
    end
  end)

  it("does not repeat what will not pass", function()
    for _, answer in ipairs{ fake.answer("", 400), fake.answer("", 403), fake.answer("", 404), fake.answer("", 413), failed("tls", "no"),
      failed("cancelled", "no"), failed("invalid", "no") } do
      local _, _, count = read({ answer }, { retries = 10 })
      assert.equal(1, count)
    end
  end)

  it("repeats a throttled read, and a throttled write only when asked to", function()
    local reply, _, count = read{ throttled(), TASK }
    assert(reply)
    assert.equal(2, count)
    local err
    reply, err, count = write{ throttled(), ACCEPTED }
    assert.is_nil(reply)
    assert.same({ "throttle", "no", 1 }, { err.kind, err.sent, count })
    reply, _, count = write({ throttled(), ACCEPTED }, { retries = 1 })
    assert(reply)
    assert.equal(2, count)
  end)

  it("waits as long as Retry-After says, in either form, and leaves long ones to the caller", function()
    local reply, _, _, env = read{ throttled("7"), TASK }
    assert(reply)
    assert(env.slept >= 7 and env.slept < 7.5, env.slept)
    -- fake.NOON is 2025-11-09 04:00:00 UTC
    reply, _, _, env = read{ throttled("Sun, 09 Nov 2025 04:00:12 GMT"), TASK }
    assert(reply)
    assert(env.slept >= 12 and env.slept < 12.5, env.slept)
    local err, count
    reply, err, count, env = read{ throttled("31"), TASK }
    assert.is_nil(reply)
    assert.same({ 31, 1, 0 }, { err.retry, count, env.slept })
  end)

  it("takes its pauses from the whole range, and lets it double", function()
    local low, high = math.huge, 0
    for byte = 0, 255, 15 do
      local env = fake.env()
      function env.random(count) return string.char(byte):rep(count) end
      local _, _, count = read({ failed("network", "no") }, { retries = 3 }, { env = env })
      assert.equal(4, count)
      low, high = math.min(low, env.slept), math.max(high, env.slept)
    end
    assert.equal(0, low)
    assert(high > 1.3 and high <= 1.4, high)
  end)

  it("shares a budget between all calls of a client, which success fills again", function()
    local is_down = true
    local client, transport = fake.client("hypers", { function()
      return is_down and { error = error_object.new{ kind = "network", message = "m" }, sent = "no" } or fake.answer{ id = 7, status = "PENDING" }
    end })
    for _ = 1, 50 do
      client:get_notification_task{ taskId = 7 }
    end
    assert.equal(50 + 20, #transport.requests)
    is_down = false
    for _ = 1, 5 do
      assert(client:get_notification_task{ taskId = 7 })
    end
    is_down = true
    local before = #transport.requests
    client:get_notification_task{ taskId = 7 }
    assert.equal(2, #transport.requests - before)
  end)

  it("repeats no call whose body is used up", function()
    local core = require "campaign.core"
    local client, transport = fake.client("longlong", { failed("network", "no") })
    assert.is_nil((client:import_customers_async({}, { rows = core.source('{"data":[]}') })))
    assert.equal(1, #transport.requests)
  end)

  it("refuses numbers of repeats that are none", function()
    for _, retries in ipairs{ -1, 1.5, 11, 0 / 0, "2" } do
      assert.has_error(function() read({ TASK }, { retries = retries }) end)
    end
  end)
end)

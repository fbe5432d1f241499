-- SPDX-License-Identifier: MIT
-- The sandbox's cap of calls per second: how each kind counts, on a clock of the spec's own, and what a client sees over real HTTP.

local h = require "sandbox.helper"
local limit = require "campaign.sandbox.limit"

local function settings(rate, kind, after)
  return { ["limit.calls_per_second"] = rate, ["limit.kind"] = kind or "any_second", ["limit.retry_after"] = after or 0 }
end

describe("sandbox limit", function()
  local now, one
  before_each(function()
    now = 100
    one = limit.new(function() return now end)
  end)

  -- Calls taken of `count`, made at the same time.
  local function burst(count, rules)
    local taken = 0
    for _ = 1, count do
      if not one:refuses("tuzhan", rules) then
        taken = taken + 1
      end
    end
    return taken
  end

  it("takes everything as long as no limit was set", function()
    assert.equal(1000, burst(1000, settings(0)))
    assert.same({}, one:counts())
  end)

  it("counts by any second, by the clock's second, or evenly", function()
    now = 100.9
    assert.equal(10, burst(20, settings(10, "any_second")))
    now = 101.1
    assert.equal(0, burst(20, settings(10, "any_second")))
    now = 101.95
    assert.equal(10, burst(20, settings(10, "any_second")))
    one:clear()
    now = 200.9
    assert.equal(10, burst(20, settings(10, "second")))
    now = 201.1
    assert.equal(10, burst(20, settings(10, "second")))
    one:clear()
    assert.equal(5, burst(20, settings(50, "bucket")))
    now = now + 0.05
    assert.equal(2, burst(20, settings(50, "bucket")))
    now = now + 100
    assert.equal(5, burst(20, settings(50, "bucket")))
    assert.same({ tuzhan = { taken = 12, refused = 48 } }, one:counts())
  end)

  it("counts each platform by itself, and anew when the limit changes", function()
    assert.is_nil(one:refuses("tuzhan", settings(1)))
    assert.truthy(one:refuses("tuzhan", settings(1)))
    assert.is_nil(one:refuses("longlong", settings(1)))
    assert.is_nil(one:refuses("tuzhan", settings(2)))
  end)

  it("says how long to wait when that was ordered", function()
    burst(1, settings(1))
    assert.equal(3, one:refuses("tuzhan", settings(1, nil, 3)).retry_after)
    assert.is_nil(one:refuses("tuzhan", settings(1, nil, 0)).retry_after)
  end)
end)

describe("sandbox with a limit", function()
  setup(function() h.start() end)
  teardown(function() h.stop() end)

  local function call()
    return h.post("/agent-api/user/" .. h.accounts.longlong.user_id .. "/async_customer",
      { Authorization = "Bearer " .. h.accounts.longlong.token }, { data = h.json.array{ { phone = "1" } } })
  end

  it("answers 429 to what is too much, with Retry-After or without, and commits nothing of it", function()
    for after, text in pairs{ [2] = "2", [0] = false } do
      h.control("reset", { settings = { ["limit.calls_per_second"] = 1, ["limit.retry_after"] = after } })
      local refused
      for _ = 1, 20 do
        local answer = call()
        refused = refused or answer.status == 429 and answer or nil
      end
      assert.equal(429, refused.status)
      assert.equal(text, refused.headers["retry-after"] or false)
      local counts = h.control("limit").longlong
      assert.equal(20, counts.taken + counts.refused)
      assert.equal(counts.taken, h.control("commits").total)
      assert.is_true(counts.refused >= 1)
    end
  end)

  it("refuses a limit that is none", function()
    for _, bad in ipairs{ { ["limit.kind"] = "hour" }, { ["limit.calls_per_second"] = -1 }, { ["limit.retry_after"] = "soon" } } do
      local _, err = h.handle:control("settings", bad)
      assert.equal(400, err.status)
    end
    assert.equal("any_second", h.control("settings")["limit.kind"])
  end)
end)

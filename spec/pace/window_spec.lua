-- SPDX-License-Identifier: MIT
-- The times of the last second's calls, and how late an answer says that a call was.

local answer_times = require "campaign.pace.answer_times"
local window = require "campaign.pace.window"

describe("pace.window", function()
  it("keeps times in order and says when there is room", function()
    local times = {}
    for _, at in ipairs({ 10, 10.2, 10.1 }) do
      window.add(times, at)
    end
    assert.same({ 10, 10.1, 10.2 }, times)
    assert.equal(0, window.free_at(times, 4, 1))
    assert.equal(11, window.free_at(times, 3, 1))
    assert.equal(11.2, window.free_at(times, 1, 1))
    assert.equal(2, window.count(times, 0.15, 10.2))
    assert.equal(0, window.count(times, 1, 9.9))
  end)

  it("moves a call to when it arrived at the latest, and takes out one that was refused", function()
    local times = {}
    for i = 0, 4 do
      window.add(times, 10 + i / 10)
    end
    window.move(times, 10.1, 10.35)
    assert.same({ 10, 10.2, 10.3, 10.35, 10.4 }, times)
    window.remove(times, 10.21)
    assert.same({ 10, 10.3, 10.35, 10.4 }, times)
    window.remove(times, 9)
    window.move(times, 5, 11)
    assert.equal(4, #times)
  end)

  it("forgets what is old, and never keeps more than it can write down", function()
    local times = {}
    for i = 1, 1000 do
      window.add(times, 10 + i / 1000)
    end
    assert.equal(window.MOST, #times)
    assert.equal(11, times[#times])
    window.add(times, 20)
    assert.same({ 20 }, times)
  end)

  it("reads back what it wrote to half a millisecond, never earlier; damage is nothing", function()
    local times = {}
    for i = 1, 200 do
      window.add(times, 123456 + i * 0.00713)
    end
    local again = window.decode(window.encode(times), 123457.9)
    assert.equal(#times, #again)
    for i = 1, #times do
      assert.is_true(again[i] - times[i] >= -1e-6 and again[i] - times[i] <= 5.01e-4)
    end
    for _, bad in ipairs({ "a", "ab ", "\200a", ("ab"):rep(window.MOST + 1) }) do
      assert.is_nil(window.decode(bad, 1))
    end
    assert.same({}, window.decode("", 1))
    local text = window.encode({ 100.0001, 100.5, 101.25 })
    for _ = 1, 100 do
      assert.equal(text, window.encode(window.decode(text, 5000)), "the same times however often and late they are read and written")
    end
  end)
end)

describe("pace.answer_times", function()
  it("takes what an answer took longer than the fastest, and than is usual, for lateness", function()
    local one = answer_times.new()
    assert.is_nil(one:fastest())
    assert.equal(0, one:late(10, 0.02))
    assert.equal(0, one:late(10.1, 0.0205))
    assert.is_near(0.03, one:late(10.2, 0.05), 1e-4)
    assert.equal(0, one:late(10.3, 0.01))
    assert.is_near(0.04, one:late(10.4, 0.05), 2e-3)
    assert.equal(0.01, one:fastest())
    assert.equal(0.25, one:late(10.5, 40), "no more is believed")
    for call = 1, 100 do
      one:late(10.5 + call / 100, 0.012)
    end
    assert.is_true(one:late(12, 0.0125) < 0.001, "as late as the others")
  end)

  it("counts several that are told at once as one after another", function()
    local one, other = answer_times.new(), answer_times.new()
    one:late(10, 0.01)
    other:late(10, 0.01)
    for call = 1, 5 do
      one:late(10 + call / 100, 0.05)
    end
    other:late(10.05, 0.03, 5, 0.05)
    assert.is_near(one:spread(), other:spread(), 1e-9)
    other:late(10.06, 0.005, 3, 0.02)
    assert.equal(0.005, other:fastest())
  end)

  it("forgets the fastest after a while", function()
    local one = answer_times.new()
    one:late(10, 0.01)
    for second = 11, 50 do
      one:late(second, 0.1)
    end
    assert.equal(0, one:late(51, 0.1))
  end)

  it("counts only what is far from usual where the platform's work differs from call to call", function()
    local one, late = answer_times.new(), 0
    for call = 1, 400 do
      local seconds = 0.05 + (call * 37 % 100) / 250
      late = late + (one:late(10 + call / 50, seconds) > 0 and call > 100 and 1 or 0)
    end
    assert.equal(0, late)
    assert.is_true(one:spread() > 0.1)
  end)
end)

-- SPDX-License-Identifier: MIT
-- When a group of intents and outcomes is better held back for the answers that are under way (lua/campaign/import/run/group_commit.lua).

local group_commit = require "campaign.import.run.group_commit"
local journal = require "campaign.import.run.journal"

-- One on a clock that stands still, after so many commits and answers of these lengths.
local function after(commit, answer, count)
  local clock = { now = 1000 }
  local it = group_commit.new(function() return clock.now end)
  for _ = 1, count or 1 do
    it:start()
    clock.now = clock.now + commit
    it:settled()
    it:answered(answer)
  end
  return it, clock
end

describe("import.group_commit", function()
  it("holds nothing before it knows how long a commit and an answer take", function()
    local clock = 0
    local it = group_commit.new(function() return clock end)
    assert.is_nil(it:hold(9, 10))
    it:settled() -- nothing was started
    it:answered(0.001)
    assert.is_nil(it:hold(9, 10))
    it:start()
    assert.is_nil(it:hold(9, 10))
    clock = 0.002
    it:settled()
    assert.is_number(it:hold(9, 10))
  end)

  it("waits for answers that come faster than the disk syncs, for a few commits' time at most", function()
    local it, clock = after(0.004, 0.001)
    assert.near(0.016, it:hold(9, 10), 1e-9)
    clock.now = clock.now + 0.010
    assert.near(0.006, it:hold(9, 10), 1e-9)
    clock.now = clock.now + 0.0061
    assert.is_nil(it:hold(9, 10))
    clock.now = clock.now + 3600
    assert.is_nil(it:hold(9, 10))
    assert.near(0.5, after(36, 0.001):hold(9, 10), 1e-9, "a disk that hung")
  end)

  it("never waits for a server that is slower than the disk", function()
    assert.is_nil(after(0.0005, 0.020):hold(9, 10))
    assert.is_nil(after(0, 0.0001):hold(9, 10)) -- a ledger that costs nothing
    assert.is_number(after(0.005, 0.005):hold(9, 10))
  end)

  it("goes by what is usual: one slow answer or sync changes little, a slow server or disk does in time", function()
    local it = after(0.001, 0.001, 20)
    it:answered(0.005)
    assert.is_number(it:hold(9, 10))
    for _ = 1, 20 do
      it:answered(0.020)
    end
    assert.is_nil(it:hold(9, 10))
    local clock
    it, clock = after(0.001, 0.001, 20)
    it:start()
    clock.now = clock.now + 0.100
    it:settled()
    assert.is_true(it:hold(9, 10) < 0.060)
  end)

  it("waits for half of the answers where another thread makes the requests and is slower than the disk", function()
    local clock = 0
    local it = group_commit.new(function() return clock end, true)
    it:start()
    clock = 0.001
    it:settled()
    local function answered(turn, answer, count)
      for _ = 1, count do
        local sent_at = assert(it:sent_at())
        clock = clock + turn
        it:answered(answer, 1, sent_at)
      end
      it:start()
      clock = clock + 0.001
      it:settled()
    end
    answered(0.002, 0.001, 20) -- from 1 to 3 ms after they were handed over
    assert.is_number(it:hold(33, 64))
    assert.is_nil(it:hold(32, 64))
    answered(0.0006, 0.0005, 40) -- by the time of a sync all of them are there
    assert.is_number(it:hold(33, 64))
    assert.is_number(it:hold(1, 64))
    answered(0.020, 0.020, 40) -- a slow server
    assert.is_nil(it:hold(64, 64))
    assert.is_nil(group_commit.new(os.clock):sent_at())
  end)

  it("takes a settlement that nobody started for none, and a second one for none either", function()
    local it, clock = after(0.004, 0.001)
    clock.now = clock.now + 1
    it:settled()
    it:settled()
    assert.is_nil(it:hold(9, 10))
  end)

  it("learns from the journal how long answers take, whichever way they took", function()
    for _, way in ipairs({ "finish", "passed" }) do
      local now = 0
      local book = journal.new({}, {
        start = function() return true end,
        settled = function() return true end,
        finish = function() return true end,
        finish_all = function() return true end,
      }, function() return now end, nil, 200)
      local function answered(seconds, count)
        if way == "passed" then
          return assert(book:passed({}, count, {}, {}, seconds * count))
        end
        for _ = 1, count do
          assert(book:finish({ batch = {} }, { verdict = "accepted", seconds = seconds }))
        end
      end
      assert(book:start())
      now = 0.004
      assert(book:settled())
      answered(0.001, 1)
      assert.near(0.016, book:hold(9, 10), 1e-9, way)
      answered(0.100, 20)
      assert.is_nil(book:hold(9, 10), way)
    end
  end)
end)

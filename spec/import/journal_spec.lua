-- SPDX-License-Identifier: MIT
-- What the journal hands out of the plan, with the ledger's part scripted: everything once, in order, a part kept back while the ledger looks for more.

local journal = require "campaign.import.run.journal"

describe("journal", function()
  -- A ledger that gives these pieces, then batches 1 to `count` as they are asked for; `asked` says what it was asked.
  local function ledger_of(pieces, count, fails)
    local ledger = { asked = {}, at = 0 }
    local function note(what)
      ledger.asked[#ledger.asked + 1] = what
      if fails and fails == #ledger.asked then
        return nil, { kind = "ledger" }
      end
      return true
    end
    function ledger.pieces()
      local ok, err = note("pieces")
      return ok and pieces, err
    end
    function ledger:claim(most)
      local ok, err = note("claim")
      local leases = {}
      while ok and #leases < most and self.at < count do
        self.at = self.at + 1
        leases[#leases + 1] = { index = self.at, accepted = self.at % 100 == 7 and 0 or 5 }
      end
      return ok and leases, err
    end
    function ledger.claim_ahead()
      return note("ahead")
    end
    return ledger
  end

  local function read(ledger, most, batch_rows, is_shared)
    local book, list, last, calls = journal.new({}, ledger, os.clock, is_shared, batch_rows or 200), {}, 0, {}
    local errors = 0
    for _ = 1, most or 100 do
      local now, err = book:next_batches(list, last)
      errors = errors + (err and 1 or 0)
      if now == last and not err then
        break
      end
      calls[#calls + 1] = now - last
      last = now
    end
    assert.equal(last, #list)
    return list, calls, errors
  end

  it("hands out pieces, then the plan in order, and no batch without rows", function()
    local list, calls = read(ledger_of({ { index = 900, accepted = 1 }, { index = 901, accepted = 0 } }, 600))
    assert.equal(900, list[1].index)
    local expected = {}
    for i = 1, 600 do
      if i % 100 ~= 7 then
        expected[#expected + 1] = i
      end
    end
    for i, index in ipairs(expected) do
      assert.equal(index, list[i + 1].index)
    end
    assert.equal(#expected + 1, #list)
    assert.equal(1, calls[1])
  end)

  it("leases few batches at a time that have many rows: each names those that are left out", function()
    for batch_rows, most in pairs{ [1] = 256, [200] = 256, [256] = 256, [1000] = 65, [30000] = 2, [100000] = 1, [100000000] = 1 } do
      local ledger, asked = ledger_of({}, 250), 0
      local claim = ledger.claim
      function ledger:claim(count)
        asked = math.max(asked, count)
        return claim(self, count)
      end
      assert.equal(247, #read(ledger, 1000, batch_rows)) -- three are without rows
      assert.equal(most, asked, batch_rows .. " rows")
    end
  end)

  it("leases few batches at a time where others share the thread: to make many holds it for milliseconds", function()
    for batch_rows, most in pairs{ [200] = 16, [30000] = 2 } do
      local ledger, asked = ledger_of({}, 250), 0
      local claim = ledger.claim
      function ledger:claim(count)
        asked = math.max(asked, count)
        return claim(self, count)
      end
      assert.equal(247, #read(ledger, 1000, batch_rows, true))
      assert.equal(most, asked, batch_rows .. " rows")
    end
  end)

  it("has the ledger look for more while a part of what it leased is not handed out yet", function()
    local ledger = ledger_of({}, 512)
    read(ledger)
    assert.same({ "pieces", "claim", "ahead", "claim", "ahead", "claim" }, ledger.asked)
    local short = ledger_of({}, 60)
    read(short)
    assert.same({ "pieces", "claim", "claim" }, short.asked)
  end)

  it("goes past a lease in which no batch has rows", function()
    local ledger = ledger_of({ { index = 900, accepted = 0 } }, 3)
    assert.equal(3, #read(ledger))
  end)

  it("loses nothing when the ledger refuses once, whatever it was asked", function()
    local whole = read(ledger_of({ { index = 900, accepted = 1 } }, 600))
    for at = 1, 7 do
      local list, _, errors = read(ledger_of({ { index = 900, accepted = 1 } }, 600, at))
      assert.equal(1, errors, "refusal " .. at)
      assert.equal(#whole, #list, "refusal " .. at)
    end
  end)
end)

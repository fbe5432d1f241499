-- SPDX-License-Identifier: MIT
-- What every ledger must do, whatever it is made of. A back end's spec calls this with a function that makes an empty ledger, one that opens
-- the same again as another owner (after the first one died), and one that clears up; and with busted's functions, which spec files alone get.

local json = require "campaign.json"
local ledger_module = require "campaign.ledger"

local function batch(index, more)
  local made = { index = index, offset = index * 100, bytes = 100, first_row = index * 10 - 9, first_line = index * 10 - 8, rows = 10,
    accepted = 9, body_bytes = 120, skip = "4", hash = "crc" .. index }
  for key, value in pairs(more or {}) do
    made[key] = value
  end
  return made
end

local JOB = { id = "job-1", state = "planned", record = '{"to":"x.y"}' }

return function(name, back, busted)
  local describe, it, before_each, after_each, assert = busted.describe, busted.it, busted.before_each, busted.after_each, busted.assert
  describe("ledger " .. name, function()
    local ledger

    local function fill(count)
      assert(ledger:job_put(JOB))
      for i = 1, count do
        assert(ledger:enqueue{ batch(i) })
      end
      assert(ledger:commit())
    end

    local function begin(lease)
      local ticket = assert(ledger:begin(lease))
      assert(ledger:commit())
      return ticket.answer
    end

    -- The state of a batch, and how many answers came late.
    local function look(index)
      local state, late = nil, 0
      for found in ledger:scan("batches") do
        state = found.index == index and found.state or state
      end
      for _ in ledger:scan("late") do
        late = late + 1
      end
      return state, late
    end

    -- What became of the outcome: it was written down, or came late and settled its batch, or is kept as evidence only.
    local function became(lease, queue)
      local before, count = look(lease.index)
      assert(queue())
      assert(ledger:commit())
      local after, now = look(lease.index)
      return now == count and "done" or after ~= before and "late" or "stale"
    end

    local function finish(lease, verdict, more)
      local outcome = { verdict = verdict, sent = "yes", status = 200 }
      for key, value in pairs(more or {}) do
        outcome[key] = value
      end
      return became(lease, function() return ledger:finish(lease, outcome) end)
    end

    local function sent(count)
      local leases = assert(ledger:claim(count or 1))
      for _, lease in ipairs(leases) do
        assert.equal("go", begin(lease))
      end
      return leases[1], leases
    end

    local function states()
      local text = ""
      for found in ledger:scan("batches") do
        text = text .. found.state
      end
      return text
    end

    local function rows_of(progress)
      local sum = 0
      for _, count in pairs(progress.rows) do
        sum = sum + count
      end
      return sum
    end

    before_each(function()
      ledger = assert(back.make())
    end)
    after_each(function()
      ledger:close()
      back.clear()
    end)

    it("has the whole interface", function()
      for _, method in ipairs(ledger_module.INTERFACE) do
        assert.is_function(ledger[method], method)
      end
    end)

    it("keeps the job and its files, and refuses another job in its place", function()
      assert.is_nil((ledger:job_get()))
      local file = { number = 1, path = "list.csv", bytes = 123, mtime = 1762740000.123456, encoding = "gbk", delimiter = ";" }
      assert(ledger:job_put(JOB, { file }))
      assert(ledger:job_put{ id = "job-1", state = "running", record = "{}" })
      local _, err = ledger:job_put{ id = "job-2", state = "planned", record = "{}" }
      assert.equal("ledger", err.kind)
      local job = assert(ledger:job_get())
      assert.same({ "job-1", "running", "{}" }, { job.id, job.state, job.record })
      assert.same({ file }, job.files)
    end)

    it("calls no job planned of whose plan a part was not kept", function()
      assert(ledger:job_put{ id = "job-1", state = "planning", record = "{}" })
      local batches = {}
      for i = 1, 1000 do -- a part that is written while the plan grows
        batches[i] = batch(i, { accepted = i == 500 and 11 or 9 })
      end
      assert(ledger:enqueue(batches))
      assert(ledger:enqueue{ batch(1001) })
      local put, err = ledger:job_put(JOB)
      assert.is_nil(put)
      assert.equal("conflict", err.reason)
      ledger = assert(back.reopen(ledger))
      assert.equal("planning", ledger:job_get().state)
    end)

    it("gives back what was planned, in order, and each batch to one lease only", function()
      fill(5)
      local first = assert(ledger:claim(2))
      local second = assert(ledger:claim(10))
      assert.equal(2, #first)
      assert.equal(3, #second)
      assert.equal(0, #assert(ledger:claim(1)))
      local expected = batch(1)
      for key, value in pairs(expected) do
        assert.equal(value, first[1][key], key)
      end
      for i, lease in ipairs(second) do
        assert.equal(i + 2, lease.index)
      end
      assert.equal("LLLLL", states())
    end)

    it("leases ahead what is asked for next, each batch once, in order, whatever happens meanwhile", function()
      fill(20)
      local leases = assert(ledger:claim(5))
      assert(ledger:claim_ahead(5))
      assert(ledger:claim_ahead(5)) -- asked for already
      assert(ledger:begin(leases[1]))
      assert(ledger:commit())
      assert.equal("S" .. ("L"):rep(9) .. ("P"):rep(10), states())
      local more = assert(ledger:claim(5))
      for i = 1, 5 do
        assert.equal(5 + i, more[i].index)
        assert.equal("go", begin(more[i]))
      end
      assert(ledger:claim_ahead(5))
      assert.same({ 11, 13 }, { assert(ledger:claim(2))[1].index, assert(ledger:claim(1))[1].index })
      assert(ledger:commit())
      assert(ledger:claim_ahead(5))
      assert(ledger:release(leases[2])) -- comes before those
      assert(ledger:commit())
      local again = assert(ledger:claim(9))
      assert.same({ 2, 14, 20 }, { again[1].index, again[2].index, again[8].index })
      assert.equal(8, #again)
      assert(ledger:claim_ahead(5)) -- nothing is left
      assert(ledger:commit())
      assert.equal(0, #assert(ledger:claim(5)))
      assert(ledger:claim_ahead(5))
      assert(ledger:commit())
      assert(ledger:release())
      local all = assert(ledger:claim(20))
      assert.equal(14, #all)
      for _, lease in ipairs(all) do
        assert.equal("go", begin(lease))
      end
    end)

    it("begins neighbours and others together, and none that is not leased", function()
      fill(12)
      local leases = assert(ledger:claim(12))
      local tickets = {}
      for _, i in ipairs({ 1, 2, 3, 5, 6, 9, 8, 12, 2 }) do
        tickets[#tickets + 1] = assert(ledger:begin(leases[i]))
      end
      assert(ledger:commit())
      local answers = {}
      for i, ticket in ipairs(tickets) do
        answers[i] = ticket.answer
      end
      assert.same({ "go", "go", "go", "go", "go", "go", "go", "go", "stale" }, answers)
      assert.equal("SSSLSSLSSLLS", states())
      assert(ledger:finish(leases[2], { verdict = "not_applied" }))
      local second = assert(ledger:begin(leases[2])) -- with its outcome, in one commit
      local fourth = assert(ledger:begin(leases[4]))
      assert(ledger:commit())
      assert.same({ "go", 2, "go" }, { second.answer, second.number, fourth.answer })
      assert.equal("SSSSSSLSSLLS", states())
    end)

    it("begins and finishes many in one go, as each alone", function()
      fill(9)
      local leases, tickets, told = assert(ledger:claim(8)), {}, {}
      assert(ledger:release(leases[4]))
      for i, lease in ipairs(leases) do
        tickets[i] = { lease = lease, answer = "of before" }
      end
      assert.equal(5, (assert(ledger:begin_all(tickets, 1, 5))))
      assert.equal(8, (assert(ledger:begin_all(tickets, 6, 8))))
      assert.equal(8, (assert(ledger:begin_all(tickets, 9, 8)))) -- none
      assert.is_nil(tickets[8].answer)
      assert(ledger:commit())
      local answers = {}
      for i, ticket in ipairs(tickets) do
        answers[i] = ticket.answer .. (ticket.number or "")
      end
      assert.same({ "go1", "go1", "go1", "stale", "go1", "go1", "go1", "go1" }, answers)
      assert.equal("SSSPSSSSP", states())
      table.remove(leases, 4)
      for i = 1, 7 do
        told[4 * i - 3], told[4 * i - 2], told[4 * i - 1], told[4 * i] = 70 + i, i / 8, 100 + i, i < 6 and "number " .. i or false
      end
      assert(ledger:finish_all(leases, 6, told, { verdict = "accepted", cause = "success", sent = "yes", status = 201, awaits = true,
        receipt = "for all" }))
      assert(ledger:finish(leases[7], { verdict = "accepted", cause = "success", sent = "yes", status = 201, awaits = true, receipt = "own",
        bytes_sent = 107, body_bytes = leases[7].body_bytes, seconds = 7 / 8 }))
      assert(ledger:commit())
      assert.equal("AAAPAAAAP", states())
      for i, lease in ipairs(leases) do
        local list = assert(ledger:ask("attempts_of", lease.index))
        assert.equal(1, #list)
        local found = list[1]
        assert.same({ 1, "accepted", "success", "yes", 201, 100 + i, 120, i / 8, i < 6 and "number " .. i or i == 6 and "for all" or "own" },
          { found.number, found.verdict, found.cause, found.sent, found.status, found.bytes_sent, found.body_bytes, found.seconds, found.receipt })
        assert.is_nil(found.code or found.kind or found.guard or found.detail or found.reason or found.message)
      end
      assert.equal(7 * 9, assert(ledger:progress()).rows.accepted_pending)
    end)

    it("keeps what comes late among many, and settles with it what is in doubt", function()
      fill(4)
      local _, leases = sent(4)
      finish(leases[2], "ambiguous")
      finish(leases[3], "rejected")
      local told, outcome = {}, { verdict = "accepted", cause = "success", sent = "yes", status = 200 }
      for i = 1, 16 do
        told[i] = i % 4 == 0 and ("number %d"):format(i / 4) or i
      end
      assert(ledger:finish_all(leases, 4, told, outcome))
      assert(ledger:commit())
      assert.equal("AAXA", states())
      local late = {}
      for entry in ledger:scan("late") do
        late[#late + 1] = entry.batch .. entry.verdict
      end
      assert.same({ "2accepted", "3accepted" }, late)
      local receipts = {}
      for found in ledger:scan("batches") do
        receipts[found.index] = found.receipt
      end
      assert.same({ "number 1", "number 2", nil, "number 4" }, receipts)
    end)

    it("keeps a plan as it was planned, also when it is said again", function()
      fill(2)
      assert(ledger:enqueue{ batch(1, { offset = 999, accepted = 1 }), batch(3) })
      assert(ledger:commit())
      local list = assert(ledger:claim(9))
      assert.equal(3, #list)
      assert.equal(100, list[1].offset)
      assert.equal(9, list[1].accepted)
    end)

    it("marks a batch as sent once, and only for whoever holds its lease", function()
      fill(2)
      local lease = ledger:claim(1)[1]
      assert.equal("go", begin(lease))
      assert.equal("stale", begin(lease))
      local other = ledger:claim(1)[1]
      local foreign = batch(2, { fence = other.fence, owner = "somebody else" })
      assert.equal("stale", begin(foreign))
      local old = batch(2, { fence = other.fence - 1, owner = other.owner })
      assert.equal("stale", begin(old))
      assert.equal("go", begin(other))
      assert.equal("SS", states())
      assert.equal(2, assert(ledger:progress()).open)
    end)

    it("leads from each verdict to its state", function()
      fill(5)
      local _, leases = sent(5)
      local verdicts = { "accepted", "partly", "rejected", "ambiguous", "not_applied" }
      for i, verdict in ipairs(verdicts) do
        assert.equal("done", finish(leases[i], verdict, { rejected = verdict == "partly" and 2 or nil }))
      end
      assert.equal("ARXUL", states())
      assert.has_error(function()
        ledger:finish(leases[1], { verdict = "perhaps" })
      end)
      local counts = assert(ledger:progress())
      assert.same({ accepted = 9 + 7, accepted_pending = 0, rejected = 2 + 9, duplicate = 0, suppressed = 0, unchanged = 0, ambiguous = 9,
        pending = 9 },
        counts.rows)
      assert.equal(0, counts.open)
    end)

    it("may be told an outcome twice", function()
      fill(1)
      local lease = sent()
      assert.equal("done", finish(lease, "accepted"))
      assert.equal("done", finish(lease, "accepted"))
      assert.equal("A", states())
      local late = 0
      for _ in ledger:scan("late") do
        late = late + 1
      end
      assert.equal(0, late)
    end)

    it("sends a batch again only after it was provably not applied", function()
      fill(1)
      local lease = sent()
      finish(lease, "not_applied", { cause = "refused" })
      assert.equal("go", begin(lease))
      finish(lease, "ambiguous")
      assert.equal("stale", begin(lease))
      assert(ledger:release(lease))
      assert(ledger:commit())
      assert.equal("U", states())
      local numbers = {}
      for attempt in ledger:scan("attempts") do
        numbers[#numbers + 1] = attempt.number .. attempt.verdict
      end
      assert.same({ "1not_applied", "2ambiguous" }, numbers)
    end)

    it("gives a lease back unless its batch was begun", function()
      fill(2)
      local leases = assert(ledger:claim(2))
      begin(leases[1])
      for _, lease in ipairs(leases) do
        assert(ledger:release(lease))
      end
      assert(ledger:commit())
      assert.equal("SP", states())
      assert.equal("stale", begin(leases[2]))
      local again = ledger:claim(1)[1]
      assert.equal(2, again.index)
      assert.is_true(again.fence > leases[2].fence)
    end)

    it("lets a late answer settle an ambiguous batch, and keeps a stale one as evidence only", function()
      fill(2)
      local _, leases = sent(2)
      finish(leases[1], "ambiguous")
      assert.equal("late", finish(leases[1], "accepted"))
      finish(leases[2], "accepted")
      assert.equal("stale", finish(leases[2], "rejected"))
      assert.equal("AA", states())
      local late = {}
      for entry in ledger:scan("late") do
        late[#late + 1] = entry.batch .. entry.verdict
      end
      assert.same({ "1accepted", "2rejected" }, late)
    end)

    it("settles what a dead owner left: leased is pending, sent is ambiguous", function()
      fill(4)
      local leases = assert(ledger:claim(3))
      begin(leases[1])
      begin(leases[2])
      finish(leases[2], "accepted")
      assert(ledger:begin(leases[3])) -- never committed: nothing was sent
      ledger = assert(back.reopen(ledger))
      assert.equal("UAPP", states())
      assert.equal(1, ledger.recovered)
      local attempt = assert(ledger:ask("last_of", 1))[1]
      assert.equal("ambiguous", attempt.verdict)
      assert.equal("interrupted", attempt.cause)
      local old = leases[3]
      assert.equal("stale", begin(old))
      assert.equal("go", begin(ledger:claim(1)[1]))
      assert.equal("stale", finish(leases[2], "rejected"))
      ledger = assert(back.reopen(ledger))
      assert.equal("UAUP", states())
    end)

    it("changes an ambiguous batch by order, and no other", function()
      fill(5)
      local _, leases = sent(4)
      for i = 1, 3 do
        finish(leases[i], "ambiguous")
      end
      finish(leases[4], "accepted", { awaits = true })
      assert.is_true(ledger:resolve(1, "applied", "operator", "seen in the console"))
      assert.is_true(ledger:resolve(2, "not-applied", "operator"))
      assert.is_true(ledger:resolve(3, "resend", "operator"))
      assert.is_true(ledger:resolve(4, "confirmed", "callback"))
      assert.equal("APPCP", states())
      for _, as in ipairs({ "applied", "not-applied", "resend" }) do
        assert.is_false(ledger:resolve(1, as, "operator"))
        assert.is_false(ledger:resolve(5, as, "operator"))
        assert.is_false(ledger:resolve(77, as, "operator"))
      end
      assert.has_error(function()
        ledger:resolve(1, "forget", "operator")
      end)
      local counts = assert(ledger:progress())
      assert.equal(0, counts.possibly_duplicated) -- not yet sent again
      assert.equal(9, counts.rows.accepted_pending)
      assert.equal("stale", begin(leases[3]))
      local again = assert(ledger:claim(2))
      assert.same({ 2, 3 }, { again[1].index, again[2].index })
      for _, lease in ipairs(again) do
        begin(lease)
        finish(lease, "accepted")
      end
      assert.equal(again[2].accepted, assert(ledger:progress()).possibly_duplicated) -- rows; the other was never there
      local repeated = {}
      for found in ledger:scan("repeated") do
        repeated[#repeated + 1] = found.index
      end
      assert.same({ 3 }, repeated)
      local attempts = assert(ledger:ask("attempts_of", 3))
      assert.same({ "ambiguous", "accepted" }, { attempts[1].verdict, attempts[2].verdict })
    end)

    it("makes a group durable as a whole", function()
      fill(3)
      local leases = assert(ledger:claim(3))
      local one, two = assert(ledger:begin(leases[1])), assert(ledger:begin(leases[2]))
      assert.is_nil(one.answer)
      assert(ledger:commit())
      assert.equal("go", one.answer)
      assert.equal("go", two.answer)
      assert(ledger:finish(leases[1], { verdict = "accepted" }))
      local third = assert(ledger:begin(leases[3]))
      assert(ledger:commit())
      assert.equal("go", third.answer)
      assert.equal("ASS", states())
    end)

    it("goes on while a group is on its way, and answers when it is durable", function()
      fill(40)
      local leases = assert(ledger:claim(40))
      local tickets = {}
      for i, lease in ipairs(leases) do
        tickets[i] = assert(ledger:begin(lease))
        assert(ledger:start())
      end
      local settled = false
      while not settled do
        ledger:wait(1)
        local err
        settled, err = ledger:settled()
        assert.is_nil(err)
      end
      for i = 1, 40 do
        assert.equal("go", tickets[i].answer)
      end
      ledger:wait(5) -- nothing is on its way: at once
      assert(ledger:finish(leases[1], { verdict = "accepted" }))
      assert(ledger:start())
      assert(ledger:finish(leases[2], { verdict = "rejected" })) -- queued, not started
      ledger = assert(back.reopen(ledger)) -- closing waits for what was started
      assert.equal("AU", states():sub(1, 2))
    end)

    it("keeps rows that a preflight refused, given as one text", function()
      fill(1)
      assert(ledger:record{ { row = 12, state = "duplicate" } })
      assert(ledger:record_refused('[[11,"invalid","手机 \\"1\\"","check","mobile_cn"],[12,"invalid",null,"width",null],'
        .. '[900719925474099,"unmappable","a","unmappable","U+4DAE"]]', 3))
      assert(ledger:commit())
      local found = {}
      for row in ledger:scan("rows") do
        found[#found + 1] = row
      end
      assert.same({ row = 11, state = "rejected", cause = "invalid", column = '手机 "1"', reason = "check", code = "mobile_cn" }, found[1])
      assert.equal("duplicate", found[2].state)
      assert.same({ row = 900719925474099, state = "rejected", cause = "unmappable", column = "a", reason = "unmappable", code = "U+4DAE" }, found[3])
      assert.equal(3, #found)
    end)

    it("keeps results of rows, each row in one state", function()
      fill(1)
      assert(ledger:record{
        { row = 14, state = "rejected", cause = "invalid", column = "phone", reason = "required" },
        { row = 11, state = "duplicate", reason = "duplicate" },
        { row = 14, state = "duplicate" },
      })
      local lease = sent()
      assert(ledger:record{ { row = 3, batch = 1, state = "rejected", cause = "platform", reason = "refused", code = 5001, message = "no" } })
      finish(lease, "partly", { rejected = 1 })
      local found = {}
      for row in ledger:scan("rows") do
        found[#found + 1] = row
      end
      assert.equal(3, #found)
      assert.same({ row = 3, batch = 1, state = "rejected", cause = "platform", reason = "refused", code = "5001", message = "no" }, found[1])
      assert.equal("rejected", found[3].state)
      assert.same({ found[1] }, ledger:ask("rows_of", 1))
      local counts = assert(ledger:progress()).rows
      assert.equal(2, counts.rejected)
      assert.equal(1, counts.duplicate)
      assert.equal(8, counts.accepted)
    end)

    it("tells finished attempts as lines of JSON, and lists those that are on their way after them", function()
      fill(1500)
      local _, leases = sent(1500)
      for i = 1, 1498 do
        assert(ledger:finish(leases[i], { verdict = "accepted", cause = "success", receipt = 'r"' .. i, status = 200, code = 7, sent = "yes",
          guard = i == 1 or nil, bytes_sent = 5, body_bytes = 6, seconds = 0.25, message = "not here" }))
      end
      finish(leases[1499], "not_applied", { cause = "refused", detail = "汉\n" })
      assert.equal("go", begin(leases[1499]))
      local lines = {}
      for text in ledger:lines() do
        for line in text:gmatch("([^\n]*)\n") do
          lines[#lines + 1] = assert(json.decode(line))
        end
      end
      assert.equal(1499, #lines)
      assert.same({ batch = 1, attempt = 1, first_row = 1, rows = 9, verdict = "accepted", cause = "success", receipt = 'r"1', status = 200,
        code = "7", sent = "yes", guard = true, bytes_sent = 5, body_bytes = 6, seconds = 0.25 }, lines[1])
      assert.same({ batch = 1499, attempt = 1, first_row = 14981, rows = 9, verdict = "not_applied", cause = "refused", sent = "yes",
        status = 200, detail = "汉\n" }, lines[1499])
      local seen = {}
      for attempt in ledger:scan("attempts") do
        seen[#seen + 1] = ("%d.%d %s"):format(attempt.batch, attempt.number, tostring(attempt.verdict))
      end
      assert.equal(1501, #seen)
      assert.same({ "1499.1 not_applied", "1499.2 nil", "1500.1 nil" }, { seen[1499], seen[1500], seen[1501] })
    end)

    it("tells for a report how each run went, why rows were refused, and which batches are in doubt", function()
      fill(5)
      local _, leases = sent(5)
      finish(leases[1], "accepted", { seconds = 0.0425, bytes_sent = 7 })
      finish(leases[2], "partly", { seconds = 0.123, rejected = 2, bytes_sent = 7 })
      finish(leases[3], "not_applied", { seconds = 12.5, status = 429 })
      assert.equal("go", begin(leases[3]))
      finish(leases[3], "accepted", { seconds = 2.25 })
      finish(leases[4], "ambiguous", { cause = "no_answer", seconds = 0.0425 })
      finish(leases[5], "not_applied", { cause = "held_back" }) -- never left
      assert(ledger:record{ { row = 900, state = "rejected", cause = "invalid", column = "phone", reason = "check", code = "mobile_cn" },
        { row = 901, state = "rejected", cause = "invalid", column = "phone", reason = "check", code = "mobile_cn" },
        { row = 902, state = "duplicate", reason = "duplicate", code = 3 } })
      assert(ledger:commit())
      local runs = assert(ledger:ask("runs"))
      assert.equal(1, #runs)
      assert.same({ 5, 1, 1, 1, 9 + 7 + 9 }, { runs[1].calls, runs[1].repeats, runs[1].throttled, runs[1].unclear, runs[1].rows })
      local course = assert(ledger:ask("course", runs[1].owner, runs[1].began, 3600))
      table.sort(course, function(left, right) return left.ms < right.ms end)
      local told = {}
      for i, part in ipairs(course) do
        told[i] = ("%d %d %d"):format(part.ms, part.calls, part.rows)
      end
      assert.same({ "40 2 9", "120 1 7", "2000 1 9", "10000 1 0" }, told)
      assert.same({ { state = "rejected", cause = "invalid", column = "phone", reason = "check", code = "mobile_cn", count = 2 } },
        assert(ledger:ask("refused")))
      local doubtful = assert(ledger:ask("doubtful"))
      assert.same({ 1, 4, 9, 1, "no_answer" }, { #doubtful, doubtful[1].batch, doubtful[1].rows, doubtful[1].attempt, doubtful[1].cause })
    end)

    it("counts children in place of their parent", function()
      fill(2)
      local lease = sent()
      finish(lease, "rejected")
      assert(ledger:enqueue{
        batch(3, { parent = 1, rows = 6, accepted = 5 }), batch(4, { parent = 1, rows = 4, accepted = 4 }),
      })
      assert(ledger:commit())
      assert.equal(18, assert(ledger:progress()).sendable)
      assert.equal("PPP", states())
      assert.equal(1, assert(ledger:claim(3))[2].parent)
    end)

    -- Pieces of these many rows.
    local function pieces_of(parent, ...)
      local list, at = {}, parent.first_row
      for i, rows in ipairs({ ... }) do
        list[i] = { offset = parent.offset + at, bytes = rows, first_row = at, first_line = at + 1, rows = rows, accepted = rows,
          body_bytes = rows, hash = "piece" }
        at = at + rows
      end
      return list
    end

    it("splits a rejected batch together with its outcome, and counts each row once", function()
      fill(3)
      local lease = sent()
      assert(ledger:finish(lease, { verdict = "rejected" }))
      local leases = assert(ledger:split(lease, pieces_of(lease, 5, 4)))
      assert.is_nil(leases[1].index)
      assert(ledger:commit())
      assert.same({ 4, 5 }, { leases[1].index, leases[2].index })
      assert.equal("PPLL", states())
      assert.equal(27, rows_of(assert(ledger:progress())))
      assert.equal("go", begin(leases[1]))
      assert.equal("done", finish(leases[1], "accepted"))
      assert.equal("go", begin(leases[2]))
      assert.equal("done", finish(leases[2], "rejected"))
      local counts = assert(ledger:progress()).rows
      assert.same({ 5, 4, 18 }, { counts.accepted, counts.rejected, counts.pending })
      assert.has_error(function()
        ledger:split(leases[2], pieces_of(leases[2], 2, 1))
      end)
    end)

    it("splits nothing that was taken over, that is in doubt, that is under way, or that is split already", function()
      fill(5)
      local _, leases = sent(4)
      finish(leases[1], "accepted")
      finish(leases[2], "ambiguous")
      finish(leases[4], "rejected")
      for i = 1, 3 do
        local pieces = assert(ledger:split(leases[i], pieces_of(leases[i], 9)))
        assert(ledger:commit())
        assert.is_nil(pieces[1].index)
      end
      assert(ledger:split(leases[4], pieces_of(leases[4], 9)))
      local again = assert(ledger:split(leases[4], pieces_of(leases[4], 9)))
      assert(ledger:commit())
      assert.is_nil(again[1].index)
      assert.equal("AUSPL", states())
      assert.equal(45, rows_of(assert(ledger:progress())))
    end)

    it("splits a lease that was not begun, and no other's", function()
      fill(2)
      local leases = assert(ledger:claim(2))
      local foreign = assert(ledger:split(batch(1, { fence = leases[1].fence, owner = "somebody else" }), pieces_of(leases[1], 9)))
      local mine = assert(ledger:split(leases[2], pieces_of(leases[2], 3, 3, 3)))
      assert(ledger:commit())
      assert.is_nil(foreign[1].index)
      assert.equal(3, mine[1].index)
      assert.equal("LLLL", states())
      assert.equal("stale", begin(leases[2]))
      assert.equal("go", begin(mine[1]))
      assert(ledger:release())
      assert(ledger:commit())
      assert.equal("PSPP", states())
      assert.equal(18, rows_of(assert(ledger:progress())))
    end)

    it("hands the pieces of a dead owner out before anything else, in the order of their rows", function()
      fill(3)
      local lease = sent()
      assert(ledger:finish(lease, { verdict = "rejected" }))
      local leases = assert(ledger:split(lease, pieces_of(lease, 4, 5)))
      assert(ledger:commit())
      assert(ledger:finish(leases[1], begin(leases[1]) == "go" and { verdict = "rejected" }))
      assert(ledger:split(leases[1], pieces_of(leases[1], 2, 2)))
      assert(ledger:commit())
      ledger = assert(back.reopen(ledger))
      local left = assert(ledger:pieces())
      assert.equal(3, #left)
      assert.same({ 1, 3, 5 }, { left[1].first_row, left[2].first_row, left[3].first_row })
      assert.same({ 6, 7, 5 }, { left[1].index, left[2].index, left[3].index })
      assert.equal("go", begin(left[3]))
      assert.same({}, ledger:pieces())
      assert.same({ { root = 1, rows = 9, calls = 4 } }, ledger:ask("narrowing", 6))
      assert.same({ { root = 1, rows = 9, calls = 4 } }, ledger:ask("narrowing", 1))
      assert.same({ { root = 2, rows = 9, calls = 0 } }, ledger:ask("narrowing", 2))
    end)

    it("counts calls from the first refusal on: what was split before it was sent is no part of it", function()
      fill(1)
      local lease = ledger:claim(1)[1]
      local parts = assert(ledger:split(lease, pieces_of(lease, 5, 4)))
      assert(ledger:commit())
      begin(parts[1])
      assert(ledger:finish(parts[1], { verdict = "rejected" }))
      local leases = assert(ledger:split(parts[1], pieces_of(parts[1], 3, 2)))
      assert(ledger:commit())
      -- One that need not be sent whole: its halves stand for it.
      local halves = assert(ledger:split(leases[1], pieces_of(leases[1], 2, 1)))
      assert(ledger:commit())
      for _, index in ipairs({ parts[1].index, leases[1].index, leases[2].index, halves[2].index }) do
        assert.same({ { root = parts[1].index, rows = 5, calls = 3 } }, ledger:ask("narrowing", index))
      end
    end)

    it("takes one batch out of its turn", function()
      fill(3)
      local lease = assert(ledger:take(2))
      assert.equal(2, lease.index)
      assert.equal("go", begin(lease))
      for _, index in ipairs({ 2, 9 }) do
        local none, err = ledger:take(index)
        assert.is_nil(none)
        assert.is_nil(err)
      end
      assert.equal("PSP", states())
    end)

    it("keeps what was seen before an attempt with its intent, and evidence that decides nothing", function()
      fill(2)
      local leases = assert(ledger:claim(2))
      assert(ledger:seen_before(leases[1], '{"total":5}'))
      begin(leases[1])
      assert(ledger:seen_before(leases[2], "lost")) -- never committed
      ledger = assert(back.reopen(ledger))
      assert(ledger:note(1, "probe", "unclear", "another total"))
      assert(ledger:commit())
      assert.equal("UP", states())
      assert.equal('{"total":5}', assert(ledger:ask("doubt", 1))[1].before)
      assert.is_nil(assert(ledger:ask("doubt", 2))[1].before)
      local late = {}
      for entry in ledger:scan("late") do
        late[#late + 1] = entry.batch .. entry.source .. entry.verdict .. entry.detail
      end
      assert.same({ "1probeunclearanother total" }, late)
    end)

    it("confirms what was taken over, refuses rows of it, and doubts it again when evidence contradicts", function()
      fill(4)
      local _, leases = sent(3)
      finish(leases[1], "accepted", { awaits = true, receipt = "u-1" })
      finish(leases[2], "ambiguous")
      finish(leases[3], "rejected")
      local refused = { { row = 3, batch = 1, state = "rejected", cause = "platform", reason = "refused", message = "blocked" } }
      assert.is_true(ledger:confirm(1, "u-1", refused, "one bad"))
      assert.is_true(ledger:confirm(2, "u-2", {}, "by its marks"))
      assert.is_false(ledger:confirm(1, "u-1", refused, "again"))
      assert.is_false(ledger:confirm(3, "u-3", {}, "rejected"))
      assert.is_false(ledger:confirm(4, "u-4", {}, "pending"))
      assert.is_false(ledger:confirm(9, "u-9", {}, "unknown"))
      assert.equal("CCXP", states())
      local counts = assert(ledger:progress()).rows
      assert.same({ 8 + 9, 0, 1 + 9, 0, 9 }, { counts.accepted, counts.accepted_pending, counts.rejected, counts.ambiguous, counts.pending })
      assert.equal("blocked", assert(ledger:ask("rows_of", 1))[1].message)
      for found in ledger:scan("batches") do
        assert.equal(({ "u-1", "u-2" })[found.index], found.receipt)
      end
      assert.is_true(ledger:contradict(1, "another result"))
      assert.is_false(ledger:contradict(1, "once more"))
      assert.is_false(ledger:contradict(3, "rejected"))
      assert.is_false(ledger:contradict(4, "pending"))
      assert.equal("UCXP", states())
      assert.equal(36, rows_of(assert(ledger:progress())))
      assert.equal("stale", begin(leases[1]))
      local late = {}
      for entry in ledger:scan("late") do
        late[#late + 1] = entry.batch .. entry.source .. entry.verdict
      end
      assert.same({ "1callbackconfirmed", "2callbackconfirmed", "1callbackconflict" }, late)
      assert.is_true(ledger:resolve(1, "applied", "operator"))
      counts = assert(ledger:progress()).rows
      assert.same({ 17, 10 }, { counts.accepted, counts.rejected })
      assert.is_true(ledger:confirm(1, "u-1", { { row = 4, batch = 1, state = "rejected", cause = "platform" } }, "another one bad"))
      local results = assert(ledger:ask("rows_of", 1))
      assert.same({ 1, 4 }, { #results, results[1].row }) -- the newest result stands
      assert.equal(10, assert(ledger:progress()).rows.rejected)
    end)

    it("forgets what single rows were refused for when their batch is to be sent again, in the commit that says so", function()
      fill(3)
      local _, leases = sent(3)
      for i, as in ipairs({ "resend", "not-applied", "repeat" }) do
        local row = i * 10 - 7
        finish(leases[i], "accepted")
        assert.is_true(ledger:confirm(i, "u-" .. i, { { row = row, batch = i, state = "rejected", cause = "platform" } }, "one bad"))
        assert.is_false(ledger:resolve(i, as, "operator")) -- it is not in doubt: nothing is forgotten
        assert.equal(1, #assert(ledger:ask("rows_of", i)))
        assert.is_true(ledger:contradict(i, "another result"))
        assert.equal(row, assert(ledger:ask("rows_of", i))[1].row)
        assert.is_true(ledger:resolve(i, as, "operator"))
        assert.same({}, assert(ledger:ask("rows_of", i)))
      end
      for found in ledger:scan("batches") do
        assert.same({ "P", 0 }, { found.state, found.rejected })
      end
    end)

    it("knows of a batch in doubt what it is credited with once it turns out to be taken over", function()
      fill(1)
      local lease = sent()
      finish(lease, "ambiguous")
      assert(ledger:credit(1, "task-7", true))
      assert.is_true(ledger:resolve(1, "applied", "probe"))
      assert(ledger:credit(1, "other", false)) -- too late: nothing in doubt
      assert(ledger:commit())
      local found = ledger:scan("batches")()
      assert.same({ "A", "task-7", 1 }, { found.state, found.receipt, found.awaits })
      assert.equal(9, assert(ledger:progress()).rows.accepted_pending)
    end)

    it("P1 conserves rows through any course of events", function()
      local seed = tonumber(os.getenv("CAMPAIGN_SEED")) or os.time()
      local random = seed % 2147483646 + 1
      local function draw(n)
        random = random * 16807 % 2147483647
        return random % n + 1
      end
      fill(30)
      local total = 30 * 9
      local held, seen, made = {}, {}, {}
      local verdicts = { "accepted", "partly", "rejected", "ambiguous", "not_applied" }
      for step = 1, 400 do
        local what = draw(13)
        if what == 13 and #held > 0 then
          local lease = held[draw(#held)]
          if lease.accepted > 1 then
            local half = math.floor(lease.accepted / 2)
            for _, piece in ipairs(assert(ledger:split(lease, pieces_of(lease, half, lease.accepted - half)))) do
              made[#made + 1] = piece
            end
          end
        elseif what == 1 then
          for _, lease in ipairs(assert(ledger:claim(draw(4)))) do
            held[#held + 1] = lease
          end
        elseif what <= 5 and #held > 0 then
          local lease = held[draw(#held)]
          if begin(lease) == "go" then
            seen[lease.index] = (seen[lease.index] or 0) + 1
          end
        elseif what <= 9 and #held > 0 then
          local lease = held[draw(#held)]
          if lease.began then
            local verdict = verdicts[draw(#verdicts)]
            finish(lease, verdict, { rejected = verdict == "partly" and math.min(3, lease.accepted) or 0 })
          end
        elseif what == 10 and #held > 0 then
          assert(ledger:release(held[draw(#held)]))
        elseif what == 11 then
          local _, err = ledger:resolve(draw(30), ({ "applied", "not-applied", "resend" })[draw(3)], "operator")
          assert.is_nil(err)
        elseif what == 12 and draw(10) == 1 then
          ledger = assert(back.reopen(ledger))
        end
        assert(ledger:commit())
        for _, piece in ipairs(made) do
          held[#held + 1] = piece.index and piece or nil
        end
        made = {}
        local counts = assert(ledger:progress())
        assert.equal(total, rows_of(counts), "seed " .. seed .. ", step " .. step)
      end
      local attempts = {}
      for attempt in ledger:scan("attempts") do
        attempts[attempt.batch] = (attempts[attempt.batch] or 0) + 1
        assert.equal(attempts[attempt.batch], attempt.number, "seed " .. seed)
      end
      assert.same(seen, attempts, "seed " .. seed)
    end)
  end)
end

-- SPDX-License-Identifier: MIT
-- What people do to a job one after the other: since, retry, recover, resolve, forget, and verify after each. Whatever the order, no row arrives twice
-- unless it was ordered, none is lost, none is booked as taken over that did not arrive. The sandbox's log is the oracle, by what was sent; both for
-- a platform that keeps our mark of each row and for one that keeps none and is asked for its totals.

local campaign = require "campaign"
local command = require "support.command"
local imports = require "support.imports"
local json = require "campaign.json"

local LONGLONG, JSON = "longlong.import_customers_async", "outbound.upload_contacts_json"

local ROWS, BAD = 40, { [5] = true, [15] = true, [25] = true }

for _, to in ipairs({ LONGLONG, JSON }) do
  describe("jobs one after the other, " .. to, function()
    local operation = to:match("%.(.*)$")
    local given

    setup(function() imports.start() end)
    teardown(imports.stop)
    before_each(function()
      imports.reset()
    end)

    local function faults(list)
      assert(imports.handle:control("faults", { faults = require("campaign.sandbox.json").array(list or {}) }))
    end

    local function people(n, mended)
      return imports.people(n, function(i)
        return ("c-%05d,客户%d,%s,公司,老客户"):format(i, i, BAD[i] and not (mended and mended[i]) and "" or ("138%08d"):format(i))
      end)
    end

    local function plan(n, more, mended)
      local all = { rows_per_call = 5, concurrency = 1, attempts = 1, check = { phone = "mobile_cn" } }
      for key, value in pairs(more or {}) do
        all[key] = value
      end
      local options = imports.options(to, people(n, mended), all)
      given = { account = options.account, env = options.env }
      return assert(campaign.plan(options))
    end

    -- A job that was stopped by the platform behind its first batches.
    local function stopped(batches, more, n, mended)
      local job = plan(n or ROWS, more, mended)
      faults{ operation .. ":404@" .. batches + 1 .. "-" }
      local result = assert(job:run())
      faults()
      assert.equal("stopped", result.state)
      assert.is_true(result.pending > 0)
      return result
    end

    local function finished(n, more, mended)
      local result = assert(plan(n or ROWS, more, mended):run())
      assert.equal("finished", result.state)
      return result
    end

    local function open(folder)
      return assert(campaign.open_job(folder, given))
    end

    local function mend(folder, ...)
      local text = command.read(folder .. "/rejects.csv")
      for _, row in ipairs({ ... }) do
        text = text:gsub(("c%%-%05d,客户%d,,"):format(row, row), ("c-%05d,客户%d,138%08d,"):format(row, row, row))
      end
      command.write(folder .. "/rejects.csv", text)
    end

    local function damage(folder)
      local whole = command.read(folder .. "/ledger.db")
      command.write(folder .. "/ledger.db", ("\255"):rep(4096) .. whole:sub(4097))
    end

    -- How often each number arrived, wherever it stood.
    local function arrived()
      local times = {}
      for _, entry in ipairs(imports.commits()) do
        local phone = json.encode(entry.row):match("(138%d%d%d%d%d%d%d%d)")
        times[tonumber(phone:sub(4))] = (times[tonumber(phone:sub(4))] or 0) + 1
      end
      return times
    end

    local function assert_once(rows, label)
      local times = arrived()
      for row in pairs(rows) do
        assert.equal(1, times[row] or 0, (label or "") .. " row " .. row)
        times[row] = nil
      end
      assert.same({}, times, label)
    end

    local function range(n, without)
      local rows = {}
      for row = 1, n do
        rows[row] = not (without and without[row]) or nil
      end
      return rows
    end

    -- Both sides agree, whatever else other jobs brought.
    local function prove(...)
      for _, folder in ipairs({ ... }) do
        local proof = assert(campaign.verify(folder, { sandbox = imports.handle.base_url }))
        assert.is_true(proof.ok, folder .. ": " .. json.encode(proof.faults))
        assert.same({ 0, 0, 0, 0 }, { proof.lost, proof.unreported_duplicates, proof.false_success, proof.false_refusal })
        assert.is_true(proof.ambiguous <= math.max(proof.in_flight_at_fault, 0))
      end
    end

    -- A person looks at the platform and says what became of each batch in doubt.
    local function settle(folder)
      local job, times = open(folder), arrived()
      local list = job:inspect().doubtful
      for _, batch in ipairs(list) do
        local is_there = false
        for row = batch.first_row, batch.first_row + 4 do
          is_there = is_there or times[row] ~= nil
        end
        assert(job:resolve(batch.batch, is_there and "applied" or "not-applied"))
      end
      return #list
    end

    local function assert_handed_over(folder)
      for _, act in ipairs({ function() return open(folder):resume() end, function() return campaign.retry(folder, given) end }) do
        local before = #imports.commits()
        local result, err = act()
        assert.is_nil(result)
        assert.equal("handed_over", err.reason, tostring(err))
        assert.equal(before, #imports.commits())
      end
    end

    it("since, then the later job damaged half way and recovered", function()
      local first = stopped(3)
      local later = stopped(2, { since = first.job }, ROWS + 10)
      prove(first.job, later.job)
      damage(later.job)
      local recovered = assert(campaign.recover(later.job, given))
      assert.is_true(recovered.ambiguous > 0)
      prove(later.job)
      assert.is_true(settle(later.job) > 0)
      assert.equal("finished", assert(open(later.job):resume()).state)
      mend(first.job, 5)
      assert_handed_over(first.job)
      assert_once(range(ROWS + 10, BAD))
      prove(first.job, later.job)
    end)

    it("since, then the earlier job damaged and recovered: its doubt settled, it still sends nothing", function()
      local first = stopped(3)
      local later = finished(ROWS + 10, { since = first.job })
      damage(first.job)
      assert(campaign.recover(first.job, given))
      prove(first.job)
      local job = open(first.job)
      for _, batch in ipairs(job:inspect().doubtful) do
        assert(job:resolve(batch.batch, "not-applied"))
      end
      mend(first.job, 5)
      assert_handed_over(first.job)
      assert_once(range(ROWS + 10, BAD))
      prove(first.job, later.job)
    end)

    it("recovered, then since: not before its doubt is settled", function()
      local first = stopped(3)
      damage(first.job)
      assert(campaign.recover(first.job, given))
      local options = imports.options(to, people(ROWS), { since = first.job, check = { phone = "mobile_cn" }, rows_per_call = 5 })
      local job, err = campaign.plan(options)
      assert.is_nil(job)
      assert.matches("in doubt", err.message, 1, true)
      settle(first.job)
      local later = finished(ROWS, { since = first.job })
      assert_handed_over(first.job)
      assert_once(range(ROWS, BAD))
      prove(first.job, later.job)
    end)

    it("retry, since, retry of the later job", function()
      local first = finished()
      mend(first.job, 5)
      assert.equal(1, assert(campaign.retry(first.job, given)).taken_over)
      prove(first.job)
      local later = finished(ROWS + 5, { since = first.job }, { [5] = true, [15] = true })
      assert.same({ 38, 6, 1 }, { later.unchanged, later.taken_over, later.rejected })
      mend(first.job, 5, 15, 25)
      local result, err = campaign.retry(first.job, given)
      assert.is_nil(result)
      assert.equal("handed_over", err.reason)
      mend(later.job, 25)
      assert.equal(1, assert(campaign.retry(later.job, given)).taken_over)
      assert_once(range(ROWS + 5))
      prove(first.job, later.job)
    end)

    it("a retry that was planned and not sent, then since: the retry sends nothing", function()
      local first = finished()
      mend(first.job, 5)
      local retry = assert(campaign.plan_retry(first.job, given))
      local options = imports.options(to, people(ROWS), { since = first.job, check = { phone = "mobile_cn" }, rows_per_call = 5 })
      local refused, busy = campaign.plan(options)
      assert.is_nil(refused)
      assert.equal("locked", busy.reason)
      retry:close()
      local later = finished(ROWS, { since = first.job }, { [5] = true })
      local result, err = open(first.job .. "/retry-1"):resume()
      assert.is_nil(result)
      assert.equal("handed_over", err.reason)
      assert_once(range(ROWS, { [15] = true, [25] = true }))
      prove(first.job, later.job)
    end)

    it("a retry damaged and recovered, then another retry", function()
      local first = finished()
      mend(first.job, 5, 15)
      faults{ operation .. ":after-commit-close@1" }
      local retry = assert(campaign.retry(first.job, given))
      faults()
      damage(retry.job)
      assert(campaign.recover(retry.job, given))
      local job = open(retry.job)
      for _, batch in ipairs(job:inspect().doubtful) do
        assert(job:resolve(batch.batch, "applied"))
      end
      assert.equal("finished", assert(open(retry.job):resume()).state)
      mend(first.job, 5, 15, 25)
      local again = assert(campaign.retry(first.job, given))
      assert.same({ 1, 2 }, { again.taken_over, again.retry.settled })
      assert_once(range(ROWS))
      prove(first.job)
      -- The first ledger, too: what the retries sent is still known.
      damage(first.job)
      assert(campaign.recover(first.job, given))
      local nothing, err = campaign.retry(first.job, { account = given.account, env = given.env, file = first.job .. "/rejects-before-1.csv",
        unchanged = true })
      assert.is_nil(nothing)
      assert.matches("nothing to send", err.message, 1, true)
      assert_once(range(ROWS))
      prove(first.job)
    end)

    it("a retry in doubt, resolved each way, and what is sent again by order is listed", function()
      for _, way in ipairs({ { "close-after-read", "not-applied" }, { "after-commit-close", "applied" }, { "after-commit-close", "resend" } }) do
        imports.reset()
        local first = finished()
        mend(first.job, 5, 15)
        -- The looks fail as well, so that a person is asked.
        faults{ operation .. ":" .. way[1] .. "@1", "get_contact_group_detail:500@3-" }
        local retry = assert(campaign.retry(first.job, given))
        faults()
        assert.equal(2, retry.ambiguous)
        local nothing, err = campaign.retry(first.job, given)
        assert.is_nil(nothing)
        assert.matches("2 ambiguous", err.message, 1, true)
        assert(open(retry.job):resolve(1, way[2]))
        if way[2] ~= "applied" then
          nothing, err = campaign.retry(first.job, given)
          assert.is_nil(nothing)
          assert.matches("is not finished", err.message, 1, true)
        end
        local resumed = assert(open(retry.job):resume())
        assert.same({ "finished", 2 }, { resumed.state, resumed.taken_over })
        local times = arrived()
        local twice = way[2] == "resend" and 2 or 1
        assert.same({ twice, twice }, { times[5], times[15] }, way[2])
        assert.equal(way[2] == "resend" and 2 or 0, resumed.possibly_duplicated)
        mend(first.job, 5, 15, 25)
        assert.equal(1, assert(campaign.retry(first.job, given)).taken_over)
        prove(first.job)
        -- And a later job counts all of it as delivered.
        local later = finished(ROWS + 1, { since = first.job }, BAD)
        assert.same({ ROWS, 1 }, { later.unchanged, later.taken_over })
        prove(later.job)
      end
    end)

    it("forgotten jobs, whose rows went to another one or came from one", function()
      local first = stopped(3)
      local later = finished(ROWS, { since = first.job })
      assert(campaign.forget(first.job))
      assert.equal("handed_over", select(2, open(first.job):resume()).reason) -- its list is the owner's, and still there
      assert.is_true(assert(campaign.verify(first.job)).ok)
      prove(later.job)
      assert(campaign.forget(later.job))
      local job, err = campaign.plan(imports.options(to, people(ROWS), { since = later.job, check = { phone = "mobile_cn" }, rows_per_call = 5 }))
      assert.is_nil(job)
      assert.matches("rows.keys", err.message, 1, true)
      assert(campaign.forget(later.job, { all = true }))
      local result
      result, err = open(first.job):resume()
      assert.is_nil(result)
      assert.matches("is not there any more", err.message, 1, true)
      assert_once(range(ROWS, BAD))
    end)
  end)
end

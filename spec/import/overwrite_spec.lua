-- SPDX-License-Identifier: MIT
-- The barrier of an overwriting import: a fault of every kind at every request of one overwrite and three appends, with four requests
-- allowed in flight. The sandbox's log is the oracle: nothing is appended before the overwrite was confirmed, nothing is overwritten after
-- an append, and what the platform holds at the end is the list, or the run has stopped and says what it does not know.

local barrier = require "campaign.import.run.barrier"
local campaign = require "campaign"
local imports = require "support.imports"

local UPLOAD = "outbound.upload_contacts_file"
local FILES, ROWS = 4, 10

local KINDS = {
  "close-before-read", "close-after-read", "after-commit-close", "after-commit-reset", "truncate-body", "bad-json", "wrong-type",
  "wrong-length", "500", "503", "429", "401", "404", "after-commit-504", "code=400", "code=409",
}

-- What the log says of one job: rows that the platform holds, and the requests in order with mode and rows.
local function replay()
  local requests, by_request, held = {}, {}, {}
  for _, entry in ipairs(imports.commits()) do
    local request = by_request[entry.request]
    if not request then
      request = { mode = entry.mode, rows = 0 }
      by_request[entry.request] = request
      requests[#requests + 1] = request
      if entry.mode == "overwrite" then
        held = {}
      end
    end
    request.rows = request.rows + 1
    held[#held + 1] = entry.n
  end
  return held, requests
end

local function assert_order(requests, message)
  local overwritten = 0
  for i, request in ipairs(requests) do
    if request.mode == "overwrite" then
      overwritten = overwritten + 1
      assert(i == 1 or requests[i - 1].mode == "overwrite", message .. ": overwritten after an append")
    else
      assert(overwritten > 0, message .. ": appended before anything was overwritten")
    end
  end
end

describe("an overwriting import", function()
  setup(function()
    imports.start()
  end)
  teardown(imports.stop)

  local function options(more)
    local given = { overwrite = true, rows_per_file = ROWS, concurrency = 4, bisect = 0 }
    for key, value in pairs(more or {}) do
      given[key] = value
    end
    return imports.options(UPLOAD, imports.people(FILES * ROWS), given)
  end

  it("appends nothing before the overwrite was confirmed, and overwrites nothing after an append, whatever fails where", function()
    local stopped, doubtful = 0, 0
    for _, kind in ipairs(KINDS) do
      for at = 1, FILES do
        local what = kind .. " at request " .. at
        imports.reset({ "upload_contacts_file:" .. kind .. "@" .. at })
        local given = options()
        local result = assert(campaign.import(given))
        imports.assert_balanced(result)
        local held, requests = replay()
        assert_order(requests, what)
        if result.state == "finished" then
          assert.equal(FILES * ROWS, #held, what)
          assert.equal(FILES, #requests, what)
        else
          stopped = stopped + 1
          -- What is not known to be taken over is listed, and no request but the one that failed is in doubt.
          assert(result.ambiguous <= ROWS, what)
          assert(#held >= result.taken_over and #held <= result.taken_over + result.ambiguous, what)
          local job = assert(campaign.open_job(given.job, { account = given.account, env = imports.env() }))
          local before = #imports.commits()
          local again = assert(job:resume())
          local found = assert(job:inspect())
          if found.doubtful[1] then
            doubtful = doubtful + 1
            assert.equal(before, #imports.commits(), what) -- held: what follows must not be sent
            if result.pending > 0 then
              assert.same({ "stopped", "held" }, { again.state, again.error.reason }, what)
            end
            assert.equal(1, #found.doubtful, what)
            local arrived = #held > result.taken_over
            assert(job:resolve(found.doubtful[1].batch, arrived and "applied" or "not-applied", "the log"))
            again = assert(assert(campaign.open_job(given.job, { account = given.account, env = imports.env() })):resume())
          end
          held, requests = replay()
          assert_order(requests, what .. ", resumed")
          if again.state == "finished" then
            assert.equal(again.accepted, #held, what)
            assert.equal(FILES * ROWS, again.accepted + again.rejected, what)
          else
            assert(again.rejected > 0, what) -- refused by name: it stays so until somebody mends the rows
          end
        end
      end
    end
    assert(stopped > FILES and doubtful > FILES, ("%d stopped, %d in doubt"):format(stopped, doubtful))
  end)

  it("is the same in another process: what was replaced is known from the ledger", function()
    imports.reset({ "upload_contacts_file:404@3" })
    local given = options({ concurrency = 1 })
    local result = assert(campaign.import(given))
    assert.same({ "stopped", 2 * ROWS, 2 * ROWS }, { result.state, result.accepted, result.pending })
    result = assert(assert(campaign.open_job(given.job, { account = given.account, env = imports.env() })):resume())
    assert.equal("finished", result.state)
    local held, requests = replay()
    assert.equal(FILES * ROWS, #held)
    assert.same({ "overwrite", "append", "append", "append" },
      { requests[1].mode, requests[2].mode, requests[3].mode, requests[4].mode })
  end)

  it("needs the word: neither an operation that cannot overwrite nor a parameter that would is taken", function()
    imports.reset()
    local job, err = campaign.plan(imports.options("longlong.import_customers_async", "phone\n1\n", { overwrite = true }))
    assert.is_nil(job)
    assert.equal("usage", err.kind)
    for _, value in ipairs({ "1", 1 }) do
      job, err = campaign.plan(imports.options(UPLOAD, imports.people(1),
        { params = { dataSourceName = "autumn-contacts", operationType = value } }))
      assert.is_nil(job)
      assert.matches("replaces everything that is there", err.message, 1, true)
    end
    assert.equal(0, #imports.commits())
  end)

  it("has one request in flight, each of which would replace, until one was taken over", function()
    local states = {}
    local ledger = { scan = function()
      local at = 0
      return function()
        at = at + 1
        return states[at] and { state = states[at] }
      end
    end }
    local function of(list, overwrite)
      states = list
      return barrier.new(overwrite, ledger)
    end
    for _, state in ipairs({ "P", "L", "S", "U", "X", "F" }) do
      assert.is_true(of({ state, "P" }, true):is_closed(), state)
    end
    for _, state in ipairs({ "A", "R", "C" }) do
      assert.is_false(of({ "X", state, "P" }, true):is_closed(), state)
    end
    assert.is_false(of({ "P" }, false):is_closed())
    local new = of({ "P" }, true)
    local pace = new:hold({ limit = function(self) return self.most end, most = 7 })
    assert.equal(1, pace:limit())
    for _, verdict in ipairs({ "not_applied", "ambiguous", "rejected" }) do
      new:settled({ verdict = verdict })
      assert.equal(1, pace:limit(), verdict)
    end
    new:settled({ verdict = "accepted" })
    assert.equal(7, pace:limit())
    new:settled({ verdict = "ambiguous" })
    assert.is_false(new:is_closed())
  end)
end)

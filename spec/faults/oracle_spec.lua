-- SPDX-License-Identifier: MIT
-- The oracle of the fault tests finds what it is there to find: a record that was falsified in each way must fail.

local campaign = require "campaign"
local commit_server = require "support.commit_server"
local imports = require "support.imports"
local lists = require "support.lists"
local command = require "support.command"
local oracle = require "faults.oracle"

describe("the oracle of the fault tests", function()
  local server, root, folder

  setup(function()
    server, root = commit_server.start(), command.folder()
    folder = root .. "/job"
  end)
  teardown(function()
    server:stop()
    command.remove(root)
    lists.clean()
  end)
  before_each(function()
    command.remove(folder)
    server:order("reset")
    local env = imports.env()
    env.getenv = function(name)
      return name == "CAMPAIGN_STATE_DIR" and root .. "/state" or nil
    end
    assert(campaign.import{ source = lists.file(imports.people(30)), to = "longlong.import_customers_async", job = folder, rows_per_call = 10,
      account = { base_url = server.url, token = "t", user_id = "u-1" }, env = env })
  end)

  local function change(sql)
    local done = command.run({ "sqlite3", folder .. "/ledger.db", sql })
    assert.equal(0, done.code, done.err)
  end

  local function judge(log)
    return oracle.judge(folder, 0, 30, log or server:read(), { rows_per_call = 10, finished = true })
  end

  it("passes an import without faults", function()
    local figures = judge()
    assert.is_nil(oracle.fault(figures))
    assert.same({ 30, 0, 0 }, { figures.accepted, figures.ambiguous, figures.in_flight_at_fault })
  end)

  it("finds rows in no state, in two, and rows that are not there", function()
    change("UPDATE batch SET split = 1 WHERE seq = 2") -- sent in pieces, and there is none
    assert.equal(10, judge().lost)
    change("INSERT INTO batch (seq, state, offset, bytes, first_row, first_line, rows, accepted, body_bytes) "
      .. "VALUES (9, 'A', 0, 1, 1, 1, 20, 20, 1), (10, 'A', 0, 1, 31, 1, 1, 1, 1)")
    assert.is_true(judge().lost >= 11)
  end)

  it("finds a success that was none", function()
    local log = server:read()
    log.times[17] = nil
    assert.equal("false_success 1", oracle.fault(judge(log)))
  end)

  it("finds what was committed twice, and what was committed though the books say that nothing was applied", function()
    local log = server:read()
    log.times[5] = 2
    assert.equal("unreported_duplicates 1", oracle.fault(judge(log)))
    change("UPDATE batch SET state = 'P' WHERE seq = 3")
    assert.equal(11, judge(log).unreported_duplicates)
    change("UPDATE batch SET state = 'A', doubts = 1")
    assert.equal(0, judge(log).unreported_duplicates)
  end)

  it("finds doubt beyond what was in flight, and row files that differ from the ledger", function()
    change("UPDATE batch SET state = 'U' WHERE seq = 3")
    local figures = oracle.judge(folder, 0, 30, server:read(), { rows_per_call = 10 })
    assert.equal("ambiguous 10, of at most 0", oracle.fault(figures))
    assert.equal(10, judge().lost)
  end)
end)

-- SPDX-License-Identifier: MIT
-- Locks of jobs that a coroutine left in the middle: what tells that one of ours may be in the way, and what does not.

local abandoned_jobs = require "campaign.abandoned_jobs"
local command = require "support.command"
local core = require "campaign.core"
local error_object = require "campaign.error"

describe("what a coroutine left in the middle", function()
  local folder

  before_each(function() folder = command.folder() end)
  after_each(function() command.remove(folder) end)

  it("is let go of when this process itself holds the lock, whatever the message says", function()
    local path = folder .. "/lock"
    assert(core.system.lock(path)) -- dropped at once
    local lock, err = core.system.lock(path)
    if not lock then
      err = error_object.wrap(err, { hint = "wait" })
      err.message = "in other words"
      assert.is_true(abandoned_jobs.let_go(err, 0))
      lock = assert(core.system.lock(path))
    end
    lock:close()
  end)

  it("is let go of when a ledger is held by this process", function()
    local path = folder .. "/ledger.db"
    local store = assert(core.store.open(path, "create"))
    local second, err = core.store.open(path)
    assert.same({ nil, "locked", { ours = true } }, { second, err.reason, err.cause })
    assert.is_true(abandoned_jobs.let_go(err, 0))
    store:close()
  end)

  it("is not looked for when another process holds the lock, or for another reason", function()
    local path = folder .. "/lock"
    local owner = assert(core.system.spawn{ os.getenv("CAMPAIGN_TEST_LUA") or "lua5.4", "-e",
      ("local system = require('campaign.core').system local lock = assert(system.lock(%q)) print('held') io.stdout:flush() system.sleep(60)")
        :format(path), pipe = true })
    assert.equal("held", owner:read_line(30))
    local lock, err = core.system.lock(path)
    assert.same({ nil, "locked" }, { lock, err.reason, err.cause })
    assert.is_false(abandoned_jobs.let_go(err, 0))
    owner:close()
    assert.is_false(abandoned_jobs.let_go(nil, 0))
    assert.is_false(abandoned_jobs.let_go(error_object.new{ kind = "ledger", message = "this process holds the lock already" }, 0))
  end)
end)

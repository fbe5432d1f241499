-- SPDX-License-Identifier: MIT
-- Rows that an import since an earlier job takes over from it: from its first request on they are never sent by the earlier one, by its resume or
-- its retry, whoever dies between; a job that took over and sent nothing gives way again. The sandbox's log is the oracle.

local campaign = require "campaign"
local command = require "support.command"
local core = require "campaign.core"
local family = require "campaign.import.family"
local handover = require "campaign.import.handover"
local imports = require "support.imports"
local json = require "campaign.json"
local ledger_module = require "campaign.ledger"
local lfs = require "lfs"
local record_module = require "campaign.import.record"

local LONGLONG = "longlong.import_customers_async"

local function contains(text, part)
  assert(tostring(text):find(part, 1, true), "'" .. part .. "' is missing in: " .. tostring(text))
end

local function people(from, to, bad)
  local rows = { "name,phone" }
  for i = from, to do
    rows[#rows + 1] = ("N%d,%s"):format(i, i == bad and "" or ("138%08d"):format(i))
  end
  return table.concat(rows, "\n") .. "\n"
end

describe("import.handover", function()
  setup(function() imports.start() end)
  teardown(imports.stop)
  before_each(function() imports.reset() end)

  local function assert_once(n)
    local times = {}
    for _, entry in ipairs(imports.commits()) do
      times[entry.row.phone] = (times[entry.row.phone] or 0) + 1
      assert.equal(1, times[entry.row.phone], entry.row.phone)
    end
    assert.equal(n, #imports.commits())
  end

  -- A job that stopped after its first batch of five, with row `bad` rejected.
  local function stopped_job(bad)
    imports.reset({ "import_customers_async:404@2-" })
    local options = imports.options(LONGLONG, people(1, 20, bad), { rows_per_call = 5, concurrency = 1, attempts = 1 })
    local result = assert(campaign.import(options))
    assert.equal("stopped", result.state)
    assert(imports.handle:control("faults", { faults = require("campaign.sandbox.json").array({}) }))
    return options, result
  end

  local function resume(options)
    local job = assert(campaign.open_job(options.job, { account = options.account, env = options.env }))
    return job:resume()
  end

  local function plan_since(first, more)
    local options = imports.options(LONGLONG, people(1, 25, more), { since = first.job, rows_per_call = 5, concurrency = 1 })
    return assert(campaign.plan(options)), options
  end

  it("is in force from the first request on: the earlier job sends nothing of it any more, and says to whom it went", function()
    local first = stopped_job(3)
    local later = plan_since(first)
    assert.is_nil(core.system.stat(first.job .. "/handed-over.json"))
    assert.equal("finished", assert(later:run()).state)
    assert_once(25)
    local refused, err = resume(first)
    assert.is_nil(refused)
    assert.same({ "ledger", "handed_over", "no" }, { err.kind, err.reason, err.sent })
    contains(err.message, "14 rows that were not sent were handed over to " .. later.folder)
    contains(err.hint, later.folder)
    local file = first.job .. "/rejects.csv"
    command.write(file, (command.read(file):gsub("N3,", "N3,13800000003")))
    refused, err = campaign.retry(first.job, { account = first.account, env = first.env })
    assert.is_nil(refused)
    contains(err.message, "its rejected rows were handed over to " .. later.folder)
    refused, err = campaign.plan(imports.options(LONGLONG, people(1, 30), { since = first.job }))
    assert.is_nil(refused)
    contains(err.message, "its open rows were handed over to " .. later.folder)
    contains(err.hint, "--since " .. later.folder)
    -- The chain goes on from the later one.
    local third = assert(imports.import(LONGLONG, people(1, 30), { since = later.folder }))
    assert.same({ 25, 5 }, { third.unchanged, third.accepted_pending })
    assert_once(30)
    local found = assert(assert(campaign.open_job(first.job)):inspect())
    assert.equal(later.folder, found.handed_over)
    contains(command.campaign({ "status", first.job }).out, "handed over to: campaign status " .. later.folder)
    assert.equal(0, command.campaign({ "verify", first.job }).code)
    -- Its books are closed: its personal data can go, the mark stays.
    assert(campaign.forget(first.job))
    assert.truthy(core.system.stat(first.job .. "/handed-over.json"))
    assert(campaign.forget(first.job, { all = true, force = true }))
    assert.is_nil(core.system.stat(first.job))
    assert.equal("finished", assert(resume{ job = later.folder, account = first.account, env = first.env }).state)
  end)

  it("is not begun when the earlier job, or a retry of it, went on since the plan", function()
    local first = stopped_job()
    local later = plan_since(first)
    assert.equal("finished", assert(resume(first)).state)
    local refused, err = later:run()
    assert.is_nil(refused)
    contains(err.message, "has gone on since this import was planned")
    later:close()
    assert_once(20)

    imports.reset()
    local done = imports.options(LONGLONG, people(1, 20, 3))
    assert(campaign.import(done))
    later = plan_since(done)
    local file = done.job .. "/rejects.csv"
    command.write(file, (command.read(file):gsub("N3,", "N3,13800000003")))
    assert(campaign.retry(done.job, { account = done.account, env = done.env }))
    refused, err = later:run()
    assert.is_nil(refused)
    assert.equal("handed_over", err.reason)
    later:close()
    assert_once(20)
  end)

  it("is refused while the earlier job runs, and the other way round", function()
    local first = stopped_job()
    local later = plan_since(first)
    local lock = assert(core.system.lock(first.job .. "/ledger.db.lock"))
    local refused, err = later:run()
    assert.is_nil(refused)
    assert.equal("locked", err.reason)
    lock:close()
    assert.equal("finished", assert(later:run()).state)
    lock = assert(core.system.lock(later.folder .. "/ledger.db.lock"))
    refused, err = resume(first)
    assert.is_nil(refused)
    contains(err.message, "which is running")
    lock:close()
    assert_once(25)
  end)

  it("goes to the first of two that take over, and the other one is planned anew", function()
    local first = stopped_job()
    local one, two = plan_since(first), plan_since(first)
    assert.equal("finished", assert(one:run()).state)
    local refused, err = two:run()
    assert.is_nil(refused)
    contains(err.message, "its open rows were handed over to " .. one.folder)
    two:close()
    assert_once(25)
  end)

  -- The later job dies after the mark and before its first request; `is_noted`: after its own ledger says so.
  local function dies_before_sending(first, is_noted)
    local later, options = plan_since(first)
    later:close()
    local ledger = assert(ledger_module.open(later.folder .. "/ledger.db"))
    local put = assert(ledger:job_get())
    local record = assert(record_module.decode(put.record))
    local state = { id = put.id, folder = { path = later.folder }, handover = record.handover, record_text = put.record }
    assert(handover.begin(state, 1))
    if is_noted then
      assert(ledger:job_put{ id = put.id, state = "running", record = state.record_text })
    end
    ledger:close()
    assert.truthy(json.decode(command.read(first.job .. "/handed-over.json")).to)
    return options
  end

  it("outlives a death between the mark and the first request: the later job goes on with it", function()
    for _, is_noted in ipairs({ false, true }) do
      imports.reset()
      local first = stopped_job()
      local later = dies_before_sending(first, is_noted)
      imports.reset()
      assert.equal("finished", assert(resume(later)).state)
      assert.equal(20, #imports.commits()) -- the five of the first job went with the reset
      assert.is_nil((resume(first)))
      assert.equal("finished", assert(resume(later)).state)
      assert.equal(20, #imports.commits())
    end
  end)

  it("is void when nothing was sent of it: then the earlier job goes on, and the later one cannot any more", function()
    for _, is_noted in ipairs({ false, true }) do
      imports.reset()
      local first = stopped_job()
      local later = dies_before_sending(first, is_noted)
      assert.equal("finished", assert(resume(first)).state)
      assert_once(20)
      local refused, err = resume(later)
      assert.is_nil(refused)
      contains(err.hint, "plan the import again")
      assert_once(20)
    end
  end)

  it("takes no word from a damaged mark, and tells what to do when the later job is gone", function()
    local first = stopped_job()
    local later = plan_since(first)
    assert(later:run())
    os.rename(later.folder, later.folder .. "-away")
    local refused, err = resume(first)
    assert.is_nil(refused)
    contains(err.message, "which is not there any more")
    contains(err.hint, "put that folder back")
    command.write(first.job .. "/handed-over.json", "{")
    os.execute("chmod 600 " .. first.job .. "/handed-over.json")
    refused, err = resume(first)
    assert.is_nil(refused)
    contains(err.message, "is damaged")
    assert_once(25)
  end)

  it("is of no use to a third job as long as the second sent nothing: that one compares with the first", function()
    for _, is_marked in ipairs({ false, true }) do
      imports.reset()
      local first = stopped_job()
      local second
      if is_marked then
        second = dies_before_sending(first).job
      else
        local planned = plan_since(first)
        second = planned.folder
        planned:close()
      end
      local refused, err = campaign.plan(imports.options(LONGLONG, people(1, 30), { since = second }))
      assert.is_nil(refused)
      contains(err.message, "has not taken over")
      contains(err.hint, first.job)
      assert.equal("finished", assert(resume(first)).state)
      assert_once(20)
    end
  end)

  it("does not take another job at the place of the later one for the later one", function()
    local first = stopped_job()
    local later = plan_since(first)
    assert(later:run())
    os.rename(later.folder, later.folder .. "-away")
    local other = imports.options(LONGLONG, people(101, 105), { job = later.folder })
    assert(campaign.plan(other)):close()
    local refused, err = resume(first)
    assert.is_nil(refused)
    contains(err.message, "which is not there any more")
    assert_once(25)
  end)

  it("knows a retry by whatever path: a relative one, a link, the folder that one stands in", function()
    local first = stopped_job(3)
    local file = first.job .. "/rejects.csv"
    command.write(file, (command.read(file):gsub("N3,", "N3,13800000003")))
    local retry = assert(campaign.plan_retry(first.job, { account = first.account, env = first.env }))
    retry:close()
    local link = imports.folder() .. "/link"
    assert(lfs.link(retry.folder, link, true))
    local here = lfs.currentdir()
    for _, path in ipairs({ { first.job, "retry-1" }, { first.job, "./retry-1/" }, { retry.folder, "." }, { here, link } }) do
      assert(lfs.chdir(path[1]))
      local fine, found = pcall(family.folders, path[2])
      local stands = {}
      for i, folder in ipairs(fine and found or {}) do
        stands[i] = core.system.stat(folder, true).inode
      end
      local root, number = family.root(path[2])
      local inode = core.system.stat(root .. "/job.json").inode
      assert(lfs.chdir(here))
      assert.same({ core.system.stat(first.job).inode, core.system.stat(retry.folder).inode }, stands, path[2])
      assert.same({ core.system.stat(first.job .. "/job.json").inode, 1 }, { inode, number })
    end
    assert.same({ first.job }, { family.root(first.job .. "/") })
  end)

  it("is for good once the later job has ended, though it sent nothing: its retry may send", function()
    local function mend(job)
      local file = job .. "/rejects.csv"
      command.write(file, (command.read(file):gsub("N3,", "N3,13800000003")))
    end
    local first = imports.options(LONGLONG, people(1, 20, 3))
    assert(campaign.import(first))
    local later = assert(imports.import(LONGLONG, people(1, 20, 3), { since = first.job }))
    assert.same({ 19, 1, 0 }, { later.unchanged, later.rejected, later.requests })
    for _, is_before in ipairs({ true, false }) do
      mend(first.job)
      local refused, err = campaign.retry(first.job, { account = first.account, env = first.env })
      assert.is_nil(refused)
      assert.equal("handed_over", err.reason)
      refused, err = campaign.plan(imports.options(LONGLONG, people(1, 20), { since = first.job }))
      assert.is_nil(refused)
      contains(err.hint, "--since " .. later.job)
      if is_before then
        mend(later.job)
        assert.equal(1, assert(campaign.retry(later.job, { account = first.account, env = first.env })).taken_over)
      end
    end
    assert_once(20)
  end)

  it("comes before a retry of the later job, whatever its ledger says: a recovered one counts as stopped", function()
    local first = stopped_job()
    local later = plan_since(first, 22)
    later:close()
    local ledger = assert(ledger_module.open(later.folder .. "/ledger.db"))
    local put = assert(ledger:job_get())
    assert(ledger:job_put{ id = put.id, state = "stopped", record = put.record })
    ledger:close()
    local given = { account = first.account, env = first.env, unchanged = true }
    local refused, err = campaign.retry(later.folder, given)
    assert.is_nil(refused)
    contains(err.message, "has not taken over what " .. first.job)
  end)

  it("is not made for a job that has nothing to send or to mend", function()
    local first = stopped_job()
    local later = assert(imports.import(LONGLONG, people(1, 5), { since = first.job }))
    assert.same({ "finished", 5 }, { later.state, later.unchanged })
    assert.is_nil(core.system.stat(first.job .. "/handed-over.json"))
    local refused, err = campaign.plan(imports.options(LONGLONG, people(1, 20), { since = later.job }))
    assert.is_nil(refused)
    contains(err.hint, "--since " .. first.job)
    assert.equal("finished", assert(resume(first)).state)
    assert_once(20)
  end)
end)

-- SPDX-License-Identifier: MIT
-- Doubt that the platform itself can settle: imports against the sandbox whose answers are lost, before or after it acted. Its commit log says
-- whether a row was taken over twice or never. Nobody waits: sleeping moves the clock.

local campaign = require "campaign"
local command = require "spec.support.command"
local imports = require "support.imports"
local json = require "campaign.json"
local lists = require "spec.support.lists"
local ledger_module = require "campaign.ledger"
local sandbox_json = require "campaign.sandbox.json"
local settle = require "campaign.import.run.settle"

local JSON, UPLOAD, DNC = "outbound.upload_contacts_json", "outbound.upload_contacts_file", "outbound.upload_dnc_json"

-- Calls of the query: 1 for the columns, then one before each upload; the next one is the first look.
local LOOK = "get_contact_group_detail"

describe("import.settle", function()
  setup(function()
    imports.start()
  end)
  teardown(imports.stop)

  local function late_of(folder)
    local ledger = assert(ledger_module.open(folder .. "/ledger.db"))
    local list = {}
    for entry in ledger:scan("late") do
      list[#list + 1] = ("%d %s %s"):format(entry.batch, entry.source, entry.verdict)
    end
    ledger:close()
    return list
  end

  local function assert_once(n, operation)
    local times = {}
    for _, entry in ipairs(imports.commits(operation)) do
      local number = tonumber((tostring(entry.row[1]):match("c%-(%d+)")))
      times[number] = (times[number] or 0) + 1
    end
    for i = 1, n do
      assert.equal(1, times[i] or 0, "row " .. i)
    end
  end

  -- Another writer adds rows to the same target when it is told to.
  local function stranger(rows)
    local client = assert(campaign.connect("outbound", imports.accounts.outbound))
    local data = {}
    for i = 1, rows do
      data[i] = { "x-" .. i, "某人", "139" .. i, "别处", "y" }
    end
    local columns = client:get_contact_group_detail{}.data
    for _, group in ipairs(columns) do
      if group.dataSourceName == "autumn-contacts" then
        for _, row in ipairs(data) do
          while #row > #group.customFields do
            row[#row] = nil
          end
        end
      end
    end
    assert(client:upload_contacts_json({ dataSourceName = "autumn-contacts", dataList = data }, { window = "ignore" })) -- at any hour
    client:close()
  end

  it("goes on when a look shows that the batch whose answer was lost was taken over", function()
    for _, fault in ipairs({ "after-commit-close", "after-commit-reset", "truncate-body", "after-commit-500" }) do
      imports.reset({ "upload_contacts_json:" .. fault .. "@2" })
      local options = imports.options(JSON, imports.people(100), { rows_per_call = 20 })
      local result = assert(campaign.import(options))
      assert.equal("finished", result.state, fault)
      assert.same({ 100, 0, 0 }, { result.accepted, result.ambiguous, result.exit_code }, fault)
      assert.equal(100, #imports.commits())
      assert_once(100)
      assert.same({ "2 probe applied" }, late_of(result.job))
      assert.is_true(options.env.slept() < 10)
      imports.assert_balanced(result)
    end
  end)

  it("settles rows of a platform of one's own whose data says nothing of results", function()
    imports.reset({ "upload_contacts_json:after-commit-close@2" })
    local path = lists.file((command.read("lua/campaign/platform/outbound.lua"):gsub("\n +result = { accepted = \"all\" },", "")))
    local options = imports.options(path .. ".upload_contacts_json", imports.people(100), { rows_per_call = 20, account = imports.accounts.outbound,
      params = { dataSourceName = "autumn-contacts" } })
    local result = assert(campaign.import(options))
    assert.same({ "finished", 100, 0 }, { result.state, result.accepted, result.ambiguous }, tostring(result.error))
    assert_once(100)
  end)

  it("sends a batch again of which nothing was applied, once it can no longer be", function()
    imports.reset({ "upload_contacts_json:close-after-read@2-3" })
    local options = imports.options(JSON, imports.people(100), { rows_per_call = 20 })
    local result = assert(campaign.import(options))
    assert.equal("finished", result.state)
    assert.same({ 100, 0 }, { result.accepted, result.ambiguous })
    assert_once(100)
    assert.same({ "2 probe not-applied", "2 probe not-applied" }, late_of(result.job))
    assert.is_true(options.env.slept() >= 2 * 299, "it waited " .. options.env.slept()) -- what passed meanwhile counts, too
    local numbers = {}
    for attempt in result:each_batch() do
      numbers[#numbers + 1] = attempt.batch .. "." .. attempt.attempt .. attempt.verdict:sub(1, 2)
    end
    assert.same({ "1.1ac", "2.1am", "2.2am", "2.3ac", "3.1ac", "4.1ac", "5.1ac" }, numbers)
    imports.assert_balanced(result)
  end)

  it("waits until a call is over by the clock since boot, however the wall clock is set meanwhile", function()
    for _, jump in ipairs({ 4000, -4000 }) do
      for _, look in ipairs({ 2, 3 }) do -- when the first look after the lost answer is asked for, and a later one
        imports.reset({ "upload_contacts_json:close-after-read@2" })
        local options = imports.options(JSON, imports.people(60), { rows_per_call = 20 })
        local now, sleep, sleeps, offset = options.env.now, options.env.sleep, 0, 0
        options.env.now = function() return now() + offset end
        options.env.sleep = function(seconds)
          sleeps = sleeps + 1
          offset = sleeps == look and jump or offset
          return sleep(seconds)
        end
        local result = assert(campaign.import(options))
        assert.same({ "finished", 60, 0 }, { result.state, result.accepted, result.ambiguous })
        assert_once(60)
        assert.same({ "2 probe not-applied" }, late_of(result.job))
        assert.is_true(options.env.slept() >= 299, jump .. ": " .. options.env.slept())
      end
    end
  end)

  it("does not take a call for over on resume because the wall clock was set in between, or the machine started anew", function()
    local boot = require "campaign.boot"
    local id = boot.id
    finally(function() boot.id = id end)
    for _, case in ipairs({ { jump = 4000, least = 299 }, { jump = -4000, least = 299 }, { jump = 0, away = 100, most = 201 },
      { jump = 4000, boot = "another", uptime = 20, least = 270 }, { jump = -4000, boot = "another", uptime = 900, most = 20 } }) do
      boot.id = id
      imports.reset({ "upload_contacts_json:close-after-read@2" })
      local options = imports.options(JSON, imports.people(60), { rows_per_call = 20 })
      local job = assert(campaign.plan(options))
      local sleep = options.env.sleep
      options.env.sleep = function(seconds)
        job:stop() -- it is looking for the batch
        return sleep(seconds)
      end
      local first = assert(job:run())
      assert.same({ "stopped", 20, 20 }, { first.state, first.accepted, first.ambiguous })
      assert.is_true(options.env.slept() < 30)
      local env, label = imports.env(), ("%d %s"):format(case.jump, case.boot or "")
      local now, monotonic, started = env.now, env.monotonic, env.monotonic()
      local passed = options.env.slept() + (case.away or 0)
      env.now = function() return now() + passed + case.jump end
      env.monotonic = function() return case.uptime and monotonic() - started + case.uptime or monotonic() + passed end
      boot.id = function() return case.boot or id() end
      local result = assert(assert(campaign.open_job(options.job, { account = options.account, env = env })):resume())
      assert.same({ "finished", 60, 0 }, { result.state, result.accepted, result.ambiguous }, label)
      assert_once(60)
      assert.is_true(env.slept() >= (case.least or 0), label .. ": waited " .. env.slept())
      assert.is_true(env.slept() <= (case.most or math.huge), label .. ": waited " .. env.slept())
    end
  end)

  it("gives a batch up after its attempts, as not sent", function()
    imports.reset({ "upload_contacts_json:close-after-read@1-" })
    local result = assert(imports.import(JSON, imports.people(60), { rows_per_call = 20, attempts = 3 }))
    assert.same({ "stopped", 60, 0, 3 }, { result.state, result.pending, result.ambiguous, result.requests })
    assert.equal(0, #imports.commits())
    imports.assert_balanced(result)
  end)

  it("settles files as well", function()
    imports.reset({ "upload_contacts_file:after-commit-close@1", "upload_contacts_file:close-after-read@3" })
    local result = assert(imports.import(UPLOAD, imports.people(100), { rows_per_file = 25 }))
    assert.same({ "finished", 100 }, { result.state, result.accepted })
    assert_once(100)
  end)

  it("keeps in doubt what a look does not prove: somebody else wrote meanwhile", function()
    for _, rows in ipairs({ 1, 19, 21, 40 }) do
      for _, fault in ipairs({ "after-commit-close", "close-after-read" }) do
        imports.reset({ "upload_contacts_json:" .. fault .. "@2" })
        local options = imports.options(JSON, imports.people(100), { rows_per_call = 20 })
        local begun = false
        local request = options.env.sleep
        options.env.sleep = function(seconds)
          if not begun then
            begun = true
            stranger(rows)
          end
          request(seconds)
        end
        local result = assert(campaign.import(options))
        -- The first look may have shown our rows alone; the second one must agree with it.
        assert.equal("stopped", result.state, fault .. rows)
        assert.same({ 20, 20, 60, 4 }, { result.accepted, result.ambiguous, result.pending, result.exit_code }, fault .. rows)
        assert.same({ "2 probe unclear" }, late_of(result.job))
        imports.assert_balanced(result)
      end
    end
  end)

  it("proves nothing any more in a run in which the totals do not follow from what was sent", function()
    imports.reset({ "upload_contacts_json:after-commit-close@4" })
    local options = imports.options(JSON, imports.people(100), { rows_per_call = 20 })
    local transport, done = require("campaign.transport").new(), 0
    options.transport = setmetatable({ submit = function(_, request)
      done = done + 1
      if done == 2 then
        stranger(3)
      end
      return transport:submit(request)
    end }, { __index = function(_, name)
      return function(_, ...) return transport[name](transport, ...) end
    end })
    local result = assert(campaign.import(options))
    transport:close()
    assert.equal(3, done)
    assert.same({ "stopped", 40, 20, 40 }, { result.state, result.accepted, result.ambiguous, result.pending })
  end)

  it("proves nothing by what a cache shows of an earlier moment", function()
    imports.reset({ "upload_contacts_json:after-commit-close@1" })
    local options = imports.options(JSON, imports.people(60), { rows_per_call = 20 })
    local transport, kept, live = require("campaign.transport").new(), nil, 0
    options.transport = setmetatable({ perform = function(_, request)
      local result = transport:perform(request)
      for _, pair in ipairs(request.headers) do
        live = live + (pair[1] == "Cache-Control" and pair[2] == "no-cache" and 1 or 0)
      end
      kept = kept or { status = result.status, body = result.body, sent = result.sent, timings = result.timings, headers = { { "Age", "7" } } }
      return kept
    end }, { __index = function(_, name)
      return function(_, ...) return transport[name](transport, ...) end
    end })
    local result = assert(campaign.import(options))
    transport:close()
    assert.same({ "stopped", 0, 20, 40 }, { result.state, result.accepted, result.ambiguous, result.pending })
    assert.equal(20, #imports.commits())
    assert.is_true(live > 0) -- a cache that keeps to the rules then asks the platform
  end)

  it("keeps rows in doubt that are not counted twice, and those that a platform cannot be asked for", function()
    imports.reset()
    assert(imports.import(DNC, imports.people(10)))
    imports.reset({ "upload_dnc_json:after-commit-close@2" })
    assert(imports.import(DNC, imports.people(30), { rows_per_call = 30 }))
    local result = assert(imports.import(DNC, imports.people(40), { rows_per_call = 40 }))
    assert.same({ "stopped", 40 }, { result.state, result.ambiguous })
    imports.reset({ "upload_contacts_json:after-commit-close@2", LOOK .. ":500@2-" })
    result = assert(imports.import(JSON, imports.people(60), { rows_per_call = 20 }))
    assert.same({ 20, 20, 20 }, { result.accepted, result.ambiguous, result.pending })
    imports.reset({ "import_customers_async:after-commit-close@1" })
    result = assert(imports.import("longlong.import_customers_async", imports.people(60), { rows_per_call = 20 }))
    assert.same({ 40, 20 }, { result.accepted_pending, result.ambiguous })
  end)

  it("never sends again what replaces, and knows when it replaced", function()
    imports.reset({ "upload_contacts_file:after-commit-close@1" })
    local result = assert(imports.import(UPLOAD, imports.people(75), { rows_per_file = 25, overwrite = true }))
    assert.same({ "finished", 75 }, { result.state, result.accepted })
    assert_once(75)
    imports.reset({ "upload_contacts_file:close-after-read@1" })
    result = assert(imports.import(UPLOAD, imports.people(75), { rows_per_file = 25, overwrite = true }))
    assert.same({ "stopped", 25, 50, 1 }, { result.state, result.ambiguous, result.pending, result.requests })
    assert.equal(0, #imports.commits())
  end)

  it("does not look where several calls are under way at a time", function()
    imports.reset({ "upload_contacts_json:after-commit-close@1" })
    local result = assert(imports.import(JSON, imports.people(60), { rows_per_call = 20, concurrency = 2 }))
    assert.equal(20, result.ambiguous)
    assert.same({}, late_of(result.job))
  end)

  it("holds everything behind a batch in doubt, until a look on resume settles it", function()
    imports.reset({ "upload_contacts_json:after-commit-close@2", LOOK .. ":500@4-" })
    local options = imports.options(JSON, imports.people(100), { rows_per_call = 20 })
    local result = assert(campaign.import(options))
    assert.same({ 20, 20, 60 }, { result.accepted, result.ambiguous, result.pending })
    local function open()
      return assert(campaign.open_job(result.job, { account = imports.accounts.outbound, env = imports.env() }))
    end
    for _ = 1, 2 do -- the columns are known again, the looks fail as before
      assert(imports.handle:control("faults", { faults = sandbox_json.array({ LOOK .. ":500@2-" }) }))
      local held = assert(open():resume())
      assert.equal("held", held.error.reason)
      assert.same({ 20, 20, 60 }, { held.accepted, held.ambiguous, held.pending })
      assert.equal(40, #imports.commits())
      imports.assert_balanced(held)
    end
    assert(imports.handle:control("faults", { faults = sandbox_json.array({}) }))
    local again = assert(open():resume())
    assert.same({ "finished", 100, 0, 0 }, { again.state, again.accepted, again.ambiguous, again.exit_code })
    assert_once(100)
    imports.assert_balanced(again)
  end)

  it("does not go on where the answer ends the run; resuming settles it", function()
    imports.reset({ "upload_contacts_json:302@2" })
    local options = imports.options(JSON, imports.people(60), { rows_per_call = 20 })
    local result = assert(campaign.import(options))
    assert.same({ "stopped", "redirect", 20, 20, 20 }, { result.state, result.error.kind, result.accepted, result.ambiguous, result.pending })
    assert.equal(0, options.env.slept())
    local again = assert(assert(campaign.open_job(result.job, { account = imports.accounts.outbound, env = imports.env() })):resume())
    assert.same({ "finished", 60 }, { again.state, again.accepted })
    assert_once(60)
  end)

  it("holds everything behind a batch in doubt until a person has decided", function()
    imports.reset({ "upload_contacts_json:close-after-read@2", LOOK .. ":500@4-" })
    local result = assert(imports.import(JSON, imports.people(100), { rows_per_call = 20 }))
    assert.equal(20, result.ambiguous)
    local job = assert(campaign.open_job(result.job, { account = imports.accounts.outbound, env = imports.env() }))
    assert(imports.handle:control("faults", { faults = sandbox_json.array({ LOOK .. ":500@2-" }) }))
    assert.equal("held", assert(job:resume()).error.reason)
    assert(job:resolve(2, "not-applied", "seen in the console"))
    assert(imports.handle:control("faults", { faults = sandbox_json.array({}) }))
    local again = assert(job:resume())
    assert.same({ "finished", 100 }, { again.state, again.accepted })
    assert_once(100)
    local before = 0
    for _, entry in ipairs(imports.commits()) do
      local number = tonumber((entry.row[1]:match("c%-(%d+)")))
      assert.is_true(number > before, "the order was kept")
      before = number
    end
  end)

  it("looks by order, at one batch or all, and says what it found", function()
    imports.reset({ "upload_contacts_json:after-commit-close@1", LOOK .. ":500@3-" })
    local result = assert(imports.import(JSON, imports.people(40), { rows_per_call = 20 }))
    assert.equal(20, result.ambiguous)
    local job = assert(campaign.open_job(result.job, { account = imports.accounts.outbound, env = imports.env() }))
    assert(imports.handle:control("faults", { faults = sandbox_json.array({ LOOK .. ":500@2-" }) }))
    local none, err = job:probe(2)
    assert.is_nil(none)
    assert.equal("usage", err.kind)
    assert(imports.handle:control("faults", { faults = sandbox_json.array({}) }))
    local found = assert(job:probe())
    assert.equal(1, #found)
    assert.same({ 1, "applied" }, { found[1].batch, found[1].as })
    assert.matches("20 rows sent", found[1].detail, 1, true)
    assert.same({}, assert(job:probe()))
    assert.equal(20, #imports.commits())
    assert.same({ "finished", 40 }, { assert(job:resume()).state, assert(job:resume()).accepted })
    assert_once(40)
  end)

  it("finds the task whose number was lost", function()
    local function task(fault)
      imports.reset({ "create_notification_task:" .. fault .. "@1" })
      return assert(imports.import("hypers.create_notification_task", "userId\n" .. ("1001\n1002\n1003\n"), {
        account = imports.accounts.hypers, params = { taskName = "autumn visit", taskType = "APPOINTMENT_REMINDER",
          scheduledStartTime = "2025-11-10 19:00:00", contents = json.array{ { contentType = "TEXT", contentValue = "hello" } } },
      }))
    end
    local result = task("after-commit-close")
    assert.same({ "finished", 3, 0 }, { result.state, result.accepted_pending, result.ambiguous }, tostring(result.error))
    local ledger = assert(ledger_module.open(result.job .. "/ledger.db"))
    local batch = ledger:scan("batches")()
    ledger:close()
    assert.equal("A", batch.state)
    assert.matches("^%d+$", batch.receipt)
    result = task("close-after-read")
    assert.same({ "stopped", 3 }, { result.state, result.ambiguous }) -- a missing task proves nothing
  end)

  it("sends again what the platform's data calls idempotent, within its attempts", function()
    local asked = {}
    local ledger = { resolve = function(_, index, as, source) asked[#asked + 1] = index .. as .. source return true end }
    local settler = settle.new{ operation = { effect = "idempotent", rows = {} }, ledger = ledger, attempts = 3,
      stopped = function() end }
    assert.equal("again", (settler:settle{ index = 4, attempts = 1 }))
    assert.same({ "4repeatidempotent" }, asked)
    assert.is_nil((settler:settle{ index = 4, attempts = 3 }))
    assert.is_nil(settle.new{ operation = { effect = "append", probe = "none", rows = {} }, alone = true })
  end)
end)

-- SPDX-License-Identifier: MIT
-- Waiters: what ends them, how long they pause, the deadline, and going on in another process. At the end each one of them against the
-- sandbox, whose clock runs fast.

local campaign = require "campaign"
local command = require "support.command"
local env_module = require "campaign.env"
local fake = require "support.fake"
local json = require "campaign.sandbox.json"
local platforms = require "campaign.api.platform"
local sandbox = require "campaign.sandbox"

local NAME, TASK = "notification_task_finished", { taskId = 1 }

local function task(status)
  return fake.answer{ id = 1, status = status }
end

local function group(total, utime)
  return fake.answer{ code = 200, msg = "m", data = {
    { dataSourceName = "other", total = 5, utime = 5 }, { dataSourceName = "mine", total = total, utime = utime },
  } }
end

describe("api.waiter", function()
  it("asks until the state is final, with pauses that grow and vary", function()
    local client, transport, env = fake.client("hypers", { task("PENDING"), task("EXECUTING"), fake.answer("x", 502), task("COMPLETED") })
    local slept = {}
    local sleep = env.sleep
    function env.sleep(seconds)
      slept[#slept + 1] = seconds
      sleep(seconds)
    end
    assert.equal("COMPLETED", assert(client:wait(NAME, TASK)).status)
    assert.equal(4, #transport.requests)
    for index, pause in ipairs{ 2, 3, 4.5 } do
      assert(slept[index] >= pause * 0.75 and slept[index] <= pause * 1.25, slept[index])
    end
    local all = {}
    for byte = 0, 255, 51 do
      local given = fake.env()
      function given.random(count) return string.char(byte):rep(count) end
      assert(fake.client("hypers", { task("PENDING"), task("COMPLETED") }, { env = given }):wait(NAME, TASK))
      all[given.slept] = true
    end
    assert(next(all, next(all)), "pauses do not vary")
  end)

  it("R344 client takes only states that are the end for the end of a marketing task", function()
    for status, outcome in pairs{ COMPLETE = "success", TERMINATION = "failed_state", IGNORE = "failed_state" } do
      local client, transport = fake.client("hypers", { task("NOT_STARTED"), task("EXECUTION"), task("TERMINATING"), task("NEW_WORD"), task(status) })
      local reply, err = client:wait("marketing_task_finished", TASK)
      assert.equal(outcome, reply and "success" or err.reason)
      assert.equal(5, #transport.requests)
    end
  end)

  it("tells an end that is a failure by its state", function()
    local client = fake.client("hypers", { task("PENDING"), task("TERMINATED") })
    local reply, err = client:wait(NAME, TASK)
    assert.is_nil(reply)
    assert.same({ "platform", "failed_state", "TERMINATED", false }, { err.kind, err.reason, err.code, err.retry })
    assert.matches("notification_task_finished: ended as TERMINATED", tostring(err), 1, true)
  end)

  it("ends at its deadline by the wall clock, however it is written", function()
    for text, seconds in pairs{ ["90s"] = 90, ["15m"] = 900, ["2h"] = 7200, ["1d"] = 86400, [45] = 45 } do
      local client, _, env = fake.client("hypers", { task("PENDING") })
      local reply, err = client:wait(NAME, TASK, { deadline = text })
      assert.is_nil(reply)
      assert.same({ "timeout", "deadline", true }, { err.kind, err.reason, err.retry })
      assert.equal(seconds, math.floor(env.slept + 0.5))
    end
    local client, transport, env = fake.client("hypers", { task("PENDING") })
    local sleep = env.sleep
    function env.sleep(seconds)
      sleep(seconds)
      env.time = env.time + 100000 -- the machine slept
    end
    assert.is_nil((client:wait(NAME, TASK, { deadline = "2h" })))
    assert.equal(2, #transport.requests)
    for _, wrong in ipairs{ 0, -1, "", "2", "h", "2 h", "1.5h", 1 / 0, true, {} } do
      assert.has_error(function() client:wait(NAME, TASK, { deadline = wrong }) end)
    end
  end)

  it("gives a look no more time than is left to the deadline, but a second at least", function()
    local client, transport, env = fake.client("hypers", { task("PENDING") })
    function env.sleep(seconds) env.time = env.time + math.max(seconds, 20.5) end
    local start = env.time
    assert.is_nil((client:wait(NAME, TASK, { deadline = 82.2 })))
    local given = {}
    for index, request in ipairs(transport.requests) do
      given[index] = request.limits and math.floor(request.limits.total * 10 + 0.5) / 10 or "all"
    end
    assert.same({ "all", "all", 41.2, 20.7, 1, "all" }, given)
    assert.equal(start + 102.5, env.time)
  end)

  it("looks on through passing failures, and gives up on others", function()
    local client, transport = fake.client("hypers", { fake.answer("x", 502) })
    local reply, err = client:wait(NAME, TASK)
    assert.is_nil(reply)
    assert.same({ 502, 10 }, { err.status, #transport.requests })
    client, transport = fake.client("hypers", { fake.answer("x", 404) })
    reply, err = client:wait(NAME, TASK)
    assert.is_nil(reply)
    assert.same({ 404, 1 }, { err.status, #transport.requests })
    local env = fake.env()
    client = fake.client("hypers", { fake.answer("", 429, { { "Retry-After", "50" } }), task("COMPLETED") }, { env = env })
    assert(client:wait(NAME, TASK))
    assert.equal(50, env.slept)
  end)

  it("tells how it goes, and can be saved and gone on with elsewhere", function()
    local client = fake.client("hypers", { task("PENDING") })
    local state, looks
    local well = pcall(function()
      client:wait(NAME, TASK, { deadline = 100, on_progress = function(reply, waiter)
        assert.equal("PENDING", reply.status)
        state, looks = waiter:state(), waiter.looks
        if looks == 3 then
          error("this process ends")
        end
      end })
    end)
    assert.is_false(well)
    assert.equal(3, looks)
    local other, transport, env = fake.client("hypers", { task("PENDING") }, { env = fake.env(nil, fake.NOON + 60) })
    local reply, err = other:wait(NAME, TASK, { state = state })
    assert.is_nil(reply)
    assert.equal("deadline", err.reason)
    assert.equal(40, math.floor(env.slept + 0.5))
    assert(transport.requests[1])
    other = fake.client("hypers", { task("COMPLETED") })
    assert(other:wait(NAME, TASK, { state = state }))
    assert.is_nil(state:find("taskId", 1, true))
  end)

  it("refuses states of other waits", function()
    local client, transport = fake.client("hypers", { task("PENDING") })
    local state = assert(client:waiter(NAME, TASK)):state()
    local pages = client:each("list_notification_executions", { taskId = 1 }):token()
    for _, try in ipairs{ { NAME, { taskId = 2 }, state }, { "marketing_task_finished", TASK, state }, { NAME, TASK, pages },
      { NAME, TASK, "x" }, { NAME, TASK, state:sub(2) }, { NAME, TASK, 7 } } do
      local reply, err = client:wait(try[1], try[2], { state = try[3] })
      assert.is_nil(reply)
      assert.equal("usage", err.kind)
    end
    assert.equal(0, #transport.requests)
  end)

  it("compares with what was there before the change, also in another process", function()
    for _, after in ipairs{ { 11, 100 }, { 10, 101 } } do
      local client, transport = fake.client("outbound", { group(10, 100), group(10, 100), group(after[1], after[2]) })
      local waiter = assert(client:waiter("contact_group_updated", { dataSourceName = "mine" }))
      assert.equal(1, #transport.requests)
      local state = waiter:state()
      assert.equal(after[1], assert(waiter:wait()).total)
      assert.equal(3, #transport.requests)
      client, transport = fake.client("outbound", { group(after[1], after[2]) })
      assert(client:wait("contact_group_updated", { dataSourceName = "mine" }, { state = state }))
      assert.equal(1, #transport.requests)
    end
    local client = fake.client("outbound", { group(1, 1) })
    local waiter, err = client:waiter("contact_group_updated", { dataSourceName = "nowhere" })
    assert.is_nil(waiter)
    assert.equal("not_found", err.reason)
    waiter, err = client:waiter("contact_group_updated", {})
    assert.is_nil(waiter)
    assert.matches("dataSourceName", err.message)
    assert.is_nil((client:wait("contact_group_updated", { dataSourceName = "mine" }, { deadline = 10 })))
  end)

  it("does not take the change of one entry for that of another with the same fields", function()
    local function entry(kind, total)
      return { dataSourceName = "mine", type = kind, total = total, utime = 100 }
    end
    local both = fake.answer{ code = 200, msg = "m", data = { entry(0, 10), entry(1, 20) } }
    local client = fake.client("outbound", { both })
    local waiter, err = client:waiter("contact_group_updated", { dataSourceName = "mine" })
    assert.is_nil(waiter)
    assert.same({ "platform", "several_found" }, { err.kind, err.reason })
    client = fake.client("outbound", { group(10, 100), both })
    waiter, err = client:wait("contact_group_updated", { dataSourceName = "mine" })
    assert.is_nil(waiter)
    assert.equal("several_found", err.reason)
  end)

  it("is an error of the program with names and options that are not there", function()
    local client = fake.client("hypers", {})
    local well, problem = pcall(client.wait, client, "notification_task_finish", TASK)
    assert.is_false(well)
    assert.matches("did you mean `notification_task_finished`", problem, 1, true)
    assert.has_error(function() client:wait(NAME, TASK, { dedline = 1 }) end)
    assert.has_error(function() client:wait(NAME, TASK, { timeout = 10 }) end) -- of a request; that of a wait is its deadline
    assert.has_error(function() client:wait(NAME, TASK, { delay = 0 }) end)
    assert.has_error(function() fake.client("longlong", {}):wait(NAME) end)
  end)

  it("refuses platform files whose waiters cannot work", function()
    local function with(waiter)
      local raw = {
        name = "invented", title = "t", doc = "d", source = "s.txt", zone = "+08:00", account = { { name = "base_url", doc = "d" } }, auth = {},
        operations = {
          { name = "look", method = "GET", path = "/a", auth = "none", body = "none", response = "json", effect = "safe", source = ":1",
            doc = "d" },
          { name = "act", method = "POST", path = "/a", auth = "none", body = "none", response = "json", effect = "create", source = ":1",
            doc = "d" },
        },
        waiters = { w = waiter },
      }
      return platforms.from_table(raw, "invented.lua")
    end
    local good = { operation = "look", doc = "d", delay = 1, max_delay = 2, timeout = 3, success = { { path = "a", is = { 1 } } } }
    assert(with(good))
    for key, value in pairs{ operation = "act", list = "data", success = false, delay = "1" } do
      local bad = {}
      for name, kept in pairs(good) do
        bad[name] = kept
      end
      bad[key] = value or nil
      local platform, err = with(bad)
      assert.is_nil(platform, key)
      assert.equal("usage", err.kind)
    end
  end)

  describe("against the sandbox", function()
    local handle, folder, clients

    setup(function()
      handle = assert(sandbox.start{
        clock = "2025-11-10 10:00:00", clock_rate = 600, settings = { ["hypers.expires_in"] = 8640000, ["hypers.fail_every"] = 0 },
      })
      folder = command.folder()
      clients = {}
      local env = env_module.default()
      function env.getenv(name)
        return name == "CAMPAIGN_STATE_DIR" and folder or nil
      end
      local sleep, now, started = env.sleep, env.now, env.now()
      function env.sleep(seconds)
        sleep(seconds / 600)
      end
      function env.now() -- as fast as the sandbox's clock
        return started + (now() - started) * 600
      end
      for _, platform in ipairs{ "hypers", "outbound" } do
        clients[platform] = assert(campaign.connect(platform, handle.accounts[platform], { env = env }))
      end
    end)

    teardown(function()
      for _, client in pairs(clients) do
        client:close()
      end
      handle:stop()
      command.remove(folder)
    end)

    local function create_task(name)
      return assert(clients.hypers:create_notification_task{
        taskName = name, taskType = "APPOINTMENT_REMINDER", scheduledStartTime = "2025-11-10 21:00:00",
        members = { { userId = "u-1", name = "n" }, { userId = "u-2", name = "n" } }, contents = { { contentType = "TEXT", contentValue = "hi" } },
      })
    end

    it("waits for a notification task to finish, and sees a termination", function()
      local seen = {}
      assert(handle:control("clock", { at = "2025-11-10 20:40:00" }))
      local made = create_task("a")
      local found = assert(clients.hypers:wait(NAME, { taskId = made.id }, { on_progress = function(reply) seen[reply.status] = true end }))
      assert.equal("COMPLETED", found.status)
      assert(seen.PENDING)
      assert(handle:control("clock", { at = "2025-11-10 10:00:00" }))
      made = create_task("b")
      assert(clients.hypers:terminate_notification_task{ taskId = made.id, reason = "r" })
      local reply, err = clients.hypers:wait(NAME, { taskId = made.id })
      assert.is_nil(reply)
      assert.same({ "failed_state", "TERMINATED" }, { err.reason, err.code })
    end)

    it("waits for a marketing plan to be released and for its task to finish", function()
      local hypers = clients.hypers
      assert(handle:control("clock", { at = "2025-11-11 10:00:00" }))
      local group_id = assert(hypers:create_marketing_group{ name = "autumn" }).id
      local data = { name = "plan", groupId = group_id }
      local plan = assert(hypers:create_marketing_plan{ options = "DRAFT", data = data })
      local state, looks
      local well = pcall(function()
        hypers:wait("marketing_plan_released", { id = plan.id }, { on_progress = function(reply, waiter)
          assert.equal("DRAFT", reply.status)
          state, looks = waiter:state(), waiter.looks
          if looks == 2 then
            error("stop")
          end
        end })
      end)
      assert.same({ false, 2 }, { well, looks })
      local released = assert(hypers:update_marketing_plan{ id = plan.id, options = "RELEASE", data = data })
      assert.equal(plan.id, released.id)
      assert.equal("EXECUTION", assert(hypers:wait("marketing_plan_released", { id = plan.id }, { state = state })).status)
      local sheet = require("campaign.sandbox.sheet").write{ { "userId", "nickname" }, { "u1", "n1" } }
      local file = assert(hypers:upload_file({ file = { content = sheet, filename = "members.xlsx" } }, { accept_public_file = true }))
      local started = assert(hypers:create_marketing_task{
        id = plan.id, name = "t", startTime = "2025-11-11 20:00:00", fileIds = { file.id },
      })
      assert(handle:control("clock", { at = "2025-11-11 19:50:00" }))
      local found, err = hypers:wait("marketing_task_finished", { taskId = started.id }, { deadline = "30m" })
      if not found then -- the task has no end of its own: its plan has
        assert.equal("deadline", err.reason)
        assert(handle:control("plans", { id = json.literal(plan.id), status = "COMPLETE" }))
        found = assert(hypers:wait("marketing_task_finished", { taskId = started.id }))
      end
      assert.equal("COMPLETE", found.status)
    end)

    it("waits until an upload shows in the contact group", function()
      local outbound = clients.outbound
      assert(handle:control("clock", { at = "2025-11-12 10:00:00" }))
      local contacts
      for _, entry in ipairs(assert(outbound:get_contact_group_detail()).data) do
        contacts = entry.type == 0 and entry or contacts
      end
      local fields = { dataSourceName = contacts.dataSourceName }
      local waiter = assert(outbound:waiter("contact_group_updated", fields, { deadline = "1m" }))
      local reply, err = waiter:wait()
      assert.is_nil(reply)
      assert.equal("deadline", err.reason)
      local row = {}
      for index = 1, #contacts.customFields do
        row[index] = "v" .. index
      end
      assert(outbound:upload_contacts_json({ dataSourceName = fields.dataSourceName, dataList = { row } }, { window = "ignore" }))
      assert.equal((contacts.total or 0) + 1,
        assert(outbound:wait("contact_group_updated", fields, { state = waiter:state(), deadline = "10m" })).total)
    end)
  end)
end)

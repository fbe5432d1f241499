-- SPDX-License-Identifier: MIT
-- The client against the running sandbox: every kind of operation once, faults of the server, and tokens under contention.

local campaign = require "campaign"
local command = require "support.command"
local core = require "campaign.core"
local sandbox = require "campaign.sandbox"
local sandbox_json = require "campaign.sandbox.json"
local store_module = require "campaign.auth.store"

local NOON = "2025-11-10 10:00:00"

local env_module = require "campaign.env"

describe("the client and the sandbox", function()
  local handle, folder, env
  local clients = {}

  setup(function()
    handle = assert(sandbox.start{ clock = NOON, clock_rate = 0 })
    folder = command.folder()
    env = env_module.default()
    function env.getenv(name)
      return name == "CAMPAIGN_STATE_DIR" and folder .. "/state" or nil
    end
  end)

  teardown(function()
    handle:stop()
    command.remove(folder)
  end)

  after_each(function()
    for _, client in ipairs(clients) do
      client:close()
    end
    clients = {}
    assert(handle:control("faults", { faults = sandbox_json.array{} }))
  end)

  -- The given faults, from the next call on.
  local function order(...)
    assert(handle:control("faults", { faults = sandbox_json.array{ ... } }))
  end

  local function connect(platform, more)
    local account = {}
    for key, value in pairs(handle.accounts[platform]) do
      account[key] = value
    end
    for key, value in pairs(more or {}) do
      account[key] = value
    end
    local client = assert(campaign.connect(platform, account, { env = env }))
    clients[#clients + 1] = client
    return client
  end

  local function calls(operation)
    return assert(handle:control("faults")).calls[operation] or 0
  end

  it("uploads contacts and DNC uuids, and reads the totals", function()
    local outbound = connect("outbound")
    local before = {}
    local groups = assert(outbound:get_contact_group_detail()).data
    for _, group in ipairs(groups) do
      before[group.type] = group
    end
    local contacts, dnc = before[0].dataSourceName, before[1].dataSourceName
    local row = {}
    for index, column in ipairs(before[0].customFields) do
      row[index] = column.name .. "-1"
    end
    assert(outbound:upload_contacts_json({ dataSourceName = contacts, dataList = { row, row } }, { window = "ignore" }))
    local csv = assert(core.gbk.encode(table.concat(row, ",") .. "\r\n", "gbk"))
    assert(outbound:upload_contacts_file({ dataSourceName = contacts, dataSourceFile = { content = csv, filename = "名单.csv" } },
      { window = "ignore" }))
    assert(outbound:upload_dnc_json{ dataSourceName = dnc, dataList = { "live-1" } })
    assert(outbound:upload_dnc_file{ dataSourceName = dnc, dataSourceFile = { content = "uuid\r\nlive-2\r\n", filename = "d.csv" } })
    for _, group in ipairs(assert(outbound:get_contact_group_detail()).data) do
      if group.dataSourceName == contacts then
        assert.equal(before[0].total + 3, group.total)
      elseif group.dataSourceName == dnc then
        assert.equal(before[1].total + 2, group.total)
      end
    end
    local reply, err = outbound:upload_dnc_json{ dataSourceName = "nowhere", dataList = { "x" } }
    assert.is_nil(reply)
    assert.same({ "platform", "data_source_not_found" }, { err.kind, err.reason })
  end)

  it("adds groups and customers", function()
    local reply = assert(connect("tuzhan"):batch_add_group_relations{
      publicParams = { isMatching = false, optType = "add" }, data = { { phone = "13000000001", groups = { "一组", "二组" } } },
    })
    assert.equal(1, reply.data.importSuccessNum)
    assert.same({}, reply.data.errorData)
    reply = assert(connect("longlong"):import_customers_async{ data = { { name = "王", phone = "13000000001" } } })
    assert.matches("^%x+%-", reply.data.unique_id)
  end)

  it("refuses wrong tokens with the kind that names credentials", function()
    for _, platform in ipairs{ "outbound", "tuzhan", "longlong", "hypers" } do
      local client = connect(platform, { token = "wrong" })
      local reply, err
      if platform == "outbound" then
        reply, err = client:get_contact_group_detail()
      elseif platform == "tuzhan" then
        reply, err = client:batch_add_group_relations{ publicParams = { isMatching = false, optType = "add" },
          data = { { phone = "1", groups = { "g" } } } }
      elseif platform == "longlong" then
        reply, err = client:import_customers_async{ data = { { phone = "1" } } }
      else
        reply, err = client:get_notification_task{ taskId = 1 }
      end
      assert.is_nil(reply)
      assert.same({ "auth", "no", false }, { err.kind, err.sent, err.retry })
    end
  end)

  it("logs in, uploads, downloads, creates, lists, terminates", function()
    local hypers = connect("hypers")
    local bytes = core.system.random(250):rep(400)
    local path = command.write(folder .. "/照片.png", bytes)
    local file = assert(hypers:upload_file{ file = path })
    assert.equal("照片.png", file.fileName)
    assert.equal(core.digest.sha256(bytes), file.signature)
    local download = assert(hypers:download_file{ id = file.id })
    assert.equal(bytes, download.body)
    assert.same({ "照片.png", "image/png", 100000 }, { download.filename, download.content_type, download.bytes })
    core.system.make_dirs(folder .. "/downloads")
    download = assert(hypers:download_file({ id = file.id }, { save_to = folder .. "/downloads" }))
    assert.equal(folder .. "/downloads/照片.png", download.path)
    assert.equal(bytes, command.read(download.path))
    local members = {}
    for index = 1, 250 do
      members[index] = { userId = "u-" .. index, name = "n" .. index }
    end
    local task = assert(hypers:create_notification_task{
      taskName = "live", taskType = "APPOINTMENT_REMINDER", scheduledStartTime = "2025-11-10 12:00:00", members = members,
      contents = { { contentType = "TEXT", contentValue = "{{name}} hi" },
        { contentType = "IMAGE", contentValue = hypers:image_url(file.id) } },
    })
    assert.equal("PENDING", task.status)
    assert.equal("live", assert(hypers:get_notification_task{ taskId = task.id }).taskName)
    assert.equal(250, #assert(hypers:all("list_notification_executions", { taskId = task.id })))
    assert.equal("TERMINATED", assert(hypers:terminate_notification_task{ taskId = task.id, reason = "test" }).currentStatus)
    local found = assert(hypers:all("list_notification_tasks", { taskType = "APPOINTMENT_REMINDER", status = "TERMINATED" }))
    assert.equal(task.id, found[#found].id)
    local reply, err = hypers:terminate_notification_task{ taskId = task.id, reason = "again" }
    assert.is_nil(reply)
    assert.equal(400, err.status)
    assert.equal(1, calls("oauth_obtain_token"))
  end)

  it("refreshes once after the platform has ended a token, and repeats the call once", function()
    local hypers = connect("hypers")
    local task = { taskType = "APPOINTMENT_REMINDER" }
    assert(hypers:list_notification_tasks(task))
    order("list_notification_tasks:expire-token@1")
    local refreshed, listed = calls("oauth_refresh_token"), calls("list_notification_tasks")
    assert(hypers:list_notification_tasks(task))
    assert.equal(refreshed + 1, calls("oauth_refresh_token"))
    assert.equal(listed + 2, calls("list_notification_tasks"))
    assert(assert(store_module.open(hypers.account, env)):read().access_token)
  end)

  it("takes an answer that was lost, cut or broken for unknown", function()
    for _, fault in ipairs{ "after-commit-close", "after-commit-reset", "truncate-body", "wrong-length", "bad-json", "wrong-type" } do
      local longlong = connect("longlong")
      order("import_customers_async:" .. fault .. "@1-")
      local reply, err = longlong:import_customers_async{ data = { { phone = "13000000009" } } }
      assert(reply == nil, fault)
      assert.equal("maybe", err.sent, fault)
      assert.is_false(err.retry)
    end
  end)

  it("takes a throttle for not applied and keeps its waiting time", function()
    order("import_customers_async:429-retry-after=7@1-")
    local reply, err = connect("longlong"):import_customers_async{ data = { { phone = "13000000009" } } }
    assert.is_nil(reply)
    assert.same({ "throttle", "no", 7 }, { err.kind, err.sent, err.retry })
  end)

  it("lets many processes refresh at once and presents each refresh token once #heavy", function()
    local hypers = connect("hypers")
    assert(hypers:list_notification_tasks{ taskType = "APPOINTMENT_REMINDER" })
    local store = assert(store_module.open(hypers.account, env))
    local state = assert(store:read())
    state.expires_at = env.now() - 1
    assert(store:write(state))
    local refreshed, obtained = calls("oauth_refresh_token"), calls("oauth_obtain_token")
    local script = command.write(folder .. "/refresh.lua", [[
      local campaign = require "campaign"
      local hypers = assert(campaign.connect("hypers"))
      for _ = 1, 3 do
        assert(hypers:list_notification_tasks{ taskType = "APPOINTMENT_REMINDER" })
      end
      print("well")
    ]])
    local variables = { CAMPAIGN_STATE_DIR = folder .. "/state", LUA_PATH = package.path, LUA_CPATH = package.cpath, HOME = folder }
    for key, value in pairs(handle.accounts.hypers) do
      variables["CAMPAIGN_HYPERS_" .. key:upper()] = value
    end
    local processes = {}
    for index = 1, 8 do
      processes[index] = assert(core.system.spawn{ rawget(_G, "jit") and "luajit" or "lua5.4", script, env = variables, pipe = true })
    end
    for _, process in ipairs(processes) do
      assert.equal("well", process:read_line(20))
      process:close()
    end
    assert.equal(refreshed + 1, calls("oauth_refresh_token"))
    assert.equal(obtained, calls("oauth_obtain_token"))
    assert.are_not.equal(state.refresh_token, store:read().refresh_token)
  end)

  it("logs in again when the answer to a refresh is lost, and never presents that token twice", function()
    local hypers = connect("hypers")
    assert(hypers:list_notification_tasks{ taskType = "APPOINTMENT_REMINDER" })
    local store = assert(store_module.open(hypers.account, env))
    local state = assert(store:read())
    state.expires_at = env.now() - 1
    assert(store:write(state))
    order("oauth_refresh_token:lost-refresh-reply@1-")
    local refreshed, obtained = calls("oauth_refresh_token"), calls("oauth_obtain_token")
    local other = connect("hypers")
    assert(other:list_notification_tasks{ taskType = "APPOINTMENT_REMINDER" })
    assert.equal(refreshed + 1, calls("oauth_refresh_token"))
    assert.equal(obtained + 1, calls("oauth_obtain_token"))
    assert.is_nil(store:read().refreshing)
  end)
end)

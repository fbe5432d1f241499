-- SPDX-License-Identifier: MIT
-- Recording exchanges and answering from the recording: calls to the sandbox of all platforms come out alike, and nothing that is secret
-- or personal gets into the file, whatever the request held and however the answer quotes it.

local campaign = require "campaign"
local command = require "support.command"
local core = require "campaign.core"
local error_object = require "campaign.error"
local fake = require "support.fake"
local json = require "campaign.json"
local env_module = require "campaign.env"
local platforms = require "campaign.api.platform"
local record = require "campaign.recording.record"
local replay = require "campaign.recording.replay"
local sandbox = require "campaign.sandbox"

local NAMES = { "outbound", "tuzhan", "hypers", "longlong" }

local ACCOUNTS = {
  outbound = { base_url = "https://x.example", token = "canary-token", abbreviate = "acme" },
  tuzhan = { base_url = "https://x.example", token = "canary-token" },
  hypers = { base_url = "https://x.example", token = "canary-token", client_id = "id-canary", client_secret = "canary-client-secret",
    username = "canary-user", password = "canary-password" },
  longlong = { base_url = "https://x.example", token = "canary-token", user_id = "u-1" },
}

local function client_of(platform, transport)
  local account = {}
  for key, value in pairs(ACCOUNTS[platform]) do
    account[key] = value
  end
  return assert(campaign.connect(platform, account, { transport = transport, env = fake.env() }))
end

local function percent(bytes)
  return (bytes:gsub("[^%w%-._~]", function(character) return ("%%%02X"):format(character:byte()) end))
end

-- A value in every form in which it could stand in a file.
local function forms(value)
  local gbk = assert(core.gbk.encode(value, "gbk"))
  return {
    value, gbk, core.digest.base64_encode(value), core.digest.base64_encode(gbk), percent(value), percent(gbk), percent(value):lower(),
    (assert(json.encode(value)):sub(2, -2)),
  }
end

local function assert_absent(path, values)
  local text = command.read(path)
  for _, value in ipairs(values) do
    for index, form in ipairs(forms(value)) do
      assert(not text:find(form, 1, true), ("%s is in the recording (form %d)"):format(value, index))
    end
  end
  return text
end

local function lines_of(path)
  local list = {}
  for line in io.lines(path) do
    list[#list + 1] = assert(json.decode(line))
  end
  return list
end

-- Plants `make(kind)` for every redacted text in the fields of a call.
local function planted(description, value, mark, make)
  mark = mark or description.redact
  if type(value) == "string" then
    return mark and description.type == "string" and not description.values and make(description) or value
  elseif type(value) ~= "table" or description.type == "file" then
    return value
  end
  local new = setmetatable({}, getmetatable(value))
  for key, inner in pairs(value) do
    local field = description.type == "array" and description.items or description.fields and description.fields[key]
    new[key] = field and planted(field, inner, mark, make) or inner
  end
  return new
end

describe("recording and replaying", function()
  local handle, folder, env
  local number = 0

  setup(function()
    handle = assert(sandbox.start{ clock = "2025-11-10 10:00:00", clock_rate = 0 })
    folder = command.folder()
    env = env_module.default()
    function env.getenv(name)
      return name == "CAMPAIGN_STATE_DIR" and folder .. "/state-" .. number or nil
    end
  end)

  teardown(function()
    handle:stop()
    command.remove(folder)
  end)

  local function new_path()
    number = number + 1
    return folder .. "/exchanges-" .. number .. ".jsonl"
  end

  -- Does the same calls against the sandbox and against the recording of it; all replies of both.
  local function twice(platform, calls, more)
    local path = new_path()
    local account = {}
    for key, value in pairs(handle.accounts[platform]) do account[key] = value end
    local lists = {}
    for round = 1, 2 do
      local options = { env = env, record = round == 1 and path or nil, transport = round == 2 and assert(replay.new(path)) or nil }
      if round == 2 then
        number = number + 1 -- other tokens are none of a replay's
      end
      local client = assert(campaign.connect(platform, account, options))
      local list = {}
      calls(client, function(reply, err)
        list[#list + 1] = reply or { kind = err.kind, reason = err.reason, sent = err.sent, status = err.status, code = err.code }
      end)
      client:close()
      lists[round] = list
    end
    assert.equal(384, core.system.stat(path).mode % 512)
    local secrets = more or {}
    for _, key in ipairs(platforms.load(platform).account) do
      if key.secret then
        secrets[#secrets + 1] = account[key.name]
      end
    end
    assert_absent(path, secrets)
    return lists[1], lists[2], path
  end

  it("answers outbound's calls again, refusals too", function()
    local live, again = twice("outbound", function(client, keep)
      local name
      for _, group in ipairs(assert(client:get_contact_group_detail()).data) do
        name = group.type == 1 and group.dataSourceName or name
      end
      keep(client:get_contact_group_detail())
      keep(client:upload_dnc_json{ dataSourceName = name, dataList = { "uuid-canary-1" } })
      keep(client:upload_dnc_json{ dataSourceName = "nowhere", dataList = { "uuid-canary-2" } })
      keep(client:upload_dnc_file{ dataSourceName = name, dataSourceFile = { content = "uuid\r\nuuid-canary-3\r\n", filename = "d.csv" } })
      keep(client:get_contact_group_detail())
    end, { "uuid-canary-1", "uuid-canary-2", "uuid-canary-3" })
    assert.equal(5, #live)
    assert.equal("platform", live[3].kind)
    live[4].msg = "***" -- it may quote a file that the recorder did not see
    assert.same(live, again)
  end)

  it("answers tuzhan's call again", function()
    local live, again = twice("tuzhan", function(client, keep)
      keep(client:batch_add_group_relations{
        publicParams = { isMatching = false, optType = "add" }, data = { { phone = "13912345678", groups = { "一组" } } },
      })
    end, { "13912345678" })
    assert.equal(1, live[1].data.importSuccessNum)
    assert.same(live, again)
  end)

  it("answers longlong's call again", function()
    local live, again = twice("longlong", function(client, keep)
      keep(client:import_customers_async{ data = { { name = "王小明", phone = "13912345678", company = "某某公司" } } })
    end, { "13912345678", "王小明", "某某公司" })
    assert.matches("^%x+%-", live[1].data.unique_id)
    assert.same(live, again)
  end)

  it("answers hypers' login, upload, task, lists and download again", function()
    local bytes = ("secret picture "):rep(20)
    local live, again, path = twice("hypers", function(client, keep)
      local file = assert(client:upload_file{ file = { content = bytes, filename = "a.png" } })
      keep(file)
      local task = assert(client:create_notification_task{
        taskName = "recorded", taskType = "APPOINTMENT_REMINDER", scheduledStartTime = "2025-11-10 12:00:00",
        members = { { userId = "u-canary-1", name = "王小明" } }, contents = { { contentType = "TEXT", contentValue = "hi" } },
      })
      keep(task)
      keep(client:get_notification_task{ taskId = task.id })
      keep(client:list_notification_executions{ taskId = task.id })
      keep(client:get_notification_task{ taskId = "1" })
      keep(client:download_file{ id = file.id })
    end, { "u-canary-1", "王小明", "secret picture" })
    assert.same({ 100, true }, { #live[6].body / 3, live[6].body == bytes })
    assert.equal(#bytes, #again[6].body)
    live[6], again[6] = nil, nil
    -- Members are personal: what the recording has of them is of the same class only.
    for _, list in ipairs{ live, again } do
      for _, execution in ipairs(list[4].records) do
        assert.is_string(execution.memberName)
        execution.memberName = nil
      end
      for _, reply in ipairs{ list[2], list[3] } do
        reply.members = reply.members and #reply.members
      end
    end
    assert.same(live, again)
    local login = lines_of(path)[1]
    assert.equal("oauth_obtain_token", login.operation)
    assert.same({ grant_type = "password", username = "***", password = "***" }, login.request.body.value)
    assert.equal("***", login.result.body.value.access_token)
    assert.is_number(login.result.timings.total)
    assert.equal("yes", login.result.sent)
  end)

  it("refuses a request that the recording has no answer left for, and names it", function()
    local path = new_path()
    local platform = platforms.load("outbound")
    local recorder = assert(record.new(fake.transport{ fake.answer({ code = 200, msg = "success", data = json.array{} }) },
      { path = path, platform = platform }))
    local request = { method = "POST", url = "https://x.example/api/v1/config/openapi/contact/uploadDnc", headers = {} }
    for _, operation in ipairs(platform.operations) do
      if operation.name == "upload_dnc_json" then
        request.url = "https://x.example/base" .. operation.path
      end
    end
    assert(recorder:perform(request))
    recorder:close()
    recorder:close()
    local transport = assert(replay.new(path))
    assert.equal(1, transport:submit(request))
    assert.equal(1, transport:in_flight())
    local id, result = transport:next(0)
    assert.same({ 1, 200 }, { id, result.status })
    assert.is_nil((transport:next(0)))
    local none, err = transport:perform(request)
    assert.is_nil(none)
    assert.same({ "network", "no", false }, { err.kind, err.sent, err.retry })
    assert(err.message:find("no answer left for POST /base/api", 1, true), err.message)
    transport:close()
  end)

  it("refuses files that are open to others, no recordings, and unknown options", function()
    local path = command.write(new_path(), "")
    assert(os.execute("chmod 644 " .. path))
    local platform = platforms.load("outbound")
    local none, err = record.new(fake.transport{}, { path = path, platform = platform })
    assert.is_nil(none)
    assert.equal("usage", err.kind)
    assert.is_nil((record.new(fake.transport{}, { path = folder .. "/none/x.jsonl", platform = platform })))
    assert.has_error(function() record.new(fake.transport{}, { path = path, platform = platform, keep = true }) end)
    none, err = replay.new(command.write(new_path(), '{"method":"GET"}\n'))
    assert.is_nil(none)
    assert.matches("line 1 of", err.message)
    assert.is_nil((replay.new(folder .. "/none.jsonl")))
  end)

  it("gives an error of the transport again, and keeps what nobody declared only when told to", function()
    local platform = platforms.load("longlong")
    local answers = {
      { error = error_object.new{ kind = "timeout", message = "no answer" }, sent = "maybe" },
      fake.answer("<html>" .. ("x"):rep(100) .. "</html>", 502),
      fake.answer('{"code":200,"status":"success","data":{"unique_id":"b-1","other":"said"},"more":{"13912345678":1}}'),
    }
    for _, keep in ipairs{ false, true } do
      local path = new_path()
      local recorder = assert(record.new(fake.transport(answers), { path = path, platform = platform, keep_unknown = keep }))
      local first
      for round = 1, 2 do
        local client = client_of("longlong", round == 1 and recorder or assert(replay.new(path)))
        local seen = {}
        for index = 1, 3 do
          local reply, err = client:call("import_customers_async", { data = { { phone = "13912345678" } } }, { retries = 0 })
          seen[index] = reply and reply.data.unique_id or { err.kind, err.sent, err.status }
        end
        first = first or seen
        assert.same(first, seen)
      end
      assert.same({ { "timeout", "maybe" }, "b-1" }, { first[1], first[3] })
      local lines = lines_of(path)
      assert.equal(keep and "said" or nil, lines[3].result.body.value.data.other)
      assert.equal(keep and 0 or 2, lines[3].omitted)
      assert.equal(keep, lines[2].result.body.base64 ~= nil)
      assert.same({ 113, 64 }, { lines[2].result.body.length, #lines[2].result.body.sha256 })
      if not keep then
        assert_absent(path, { "13912345678", "<html>" })
      end
    end
  end)
end)

for _, name in ipairs(NAMES) do
  describe("R008 client recording with canaries: " .. name, function()
    local platform = platforms.load(name)

    for _, case in ipairs(require("cases." .. name)) do
      it("R008 client writes none of them for " .. case.operation, function()
        local operation, values = platform.operations[case.operation], {}
        local fields = planted({ type = "object", fields = operation.fields }, case.fields or {}, false, function(description)
          values[#values + 1] = description.redact == "phone" and ("139%08d"):format(12340000 + #values) or "金丝雀-" .. #values
          return values[#values]
        end)
        for _, value in pairs(ACCOUNTS[name]) do
          values[#values + 1] = value:find("canary", 1, true) and value or nil
        end
        local texts = {}
        for _, value in ipairs(values) do
          texts[#texts + 1] = value
          texts[#texts + 1] = core.digest.base64_encode(value)
          texts[#texts + 1] = percent(value)
        end
        local echo = table.concat(texts, " ")
        local quoted = assert(json.encode(echo))
        local folder = command.folder()
        local path = folder .. "/exchanges.jsonl"
        local bad = {
          fake.answer(echo, 200, { { "X-Echo", echo }, { "Content-Disposition", 'attachment; filename="' .. echo .. '"' } }),
          fake.answer(assert(core.gbk.encode(echo, "gbk")), 500), fake.answer(quoted, 400), fake.answer("{" .. quoted .. ":1}", 200),
          { error = error_object.new{ kind = "network", message = "could not send " .. echo, hint = echo }, sent = "maybe" },
        }
        for _, key in ipairs{ "message", "msg", "error_description", "code", "errorCode", "data", "phone", "other" } do
          bad[#bad + 1] = fake.answer(('{"%s":%s,"data_":[%s]}'):format(key, quoted, quoted), #bad % 2 == 0 and 200 or 400)
        end
        local secrets = require("campaign.api.redact").secrets(platform, ACCOUNTS[name])
        for _, answer in ipairs(bad) do
          local recorder = assert(record.new(fake.transport{ answer }, { path = path, platform = platform, secrets = secrets }))
          local client = client_of(name, recorder)
          client:call(case.operation, fields, { retries = 0, window = "ignore", accept_public_file = true,
            server_variables = case.server_variables })
          assert.is_nil(recorder:problem())
          recorder:close()
        end
        assert(#lines_of(path) == #bad)
        for _, line in ipairs(lines_of(path)) do
          assert.equal(operation.method .. operation.path:gsub("{.*", ""), line.method .. line.path:sub(1, #operation.path:gsub("{.*", "")))
        end
        assert_absent(path, values)
        command.remove(folder)
      end)
    end
  end)
end

-- SPDX-License-Identifier: MIT
-- campaign call, run as a user runs it against the sandbox: replies, errors, exit codes, and everything that can go wrong on the way.

local cjson = require "cjson"
local command = require "spec.support.command"
local sandbox = require "campaign.sandbox"
local sandbox_json = require "campaign.sandbox.json"
local campaign = command.campaign

-- The environment of a user whose accounts are the sandbox's, with a state folder of its own.
local function user(handle, folder, changes)
  local env = { XDG_STATE_HOME = folder .. "/state", XDG_CONFIG_HOME = folder .. "/config" }
  for name, value in pairs(handle.environment) do
    env[name] = value
  end
  for name, value in pairs(changes or {}) do
    env[name] = value ~= "" and value or nil
  end
  return env
end

local function call(arguments, options)
  local argv = { "call" }
  for _, word in ipairs(arguments) do
    argv[#argv + 1] = word
  end
  return campaign(argv, options)
end

describe("campaign call", function()
  local handle, folder

  setup(function()
    folder = command.folder()
    handle = assert(sandbox.start{ clock = "2025-11-10 10:00:00", clock_rate = 0 })
  end)
  teardown(function()
    handle:stop()
    command.remove(folder)
  end)
  before_each(function()
    assert(handle:control("faults", { faults = sandbox_json.array({}) }))
  end)

  local function fault(text)
    assert(handle:control("faults", { faults = sandbox_json.array({ text }) }))
  end

  it("is held back by the account's rate with exit code 3: nobody refused anything", function()
    local env = user(handle, folder, { CAMPAIGN_OUTBOUND_CALLS_PER_SECOND = "0.02", XDG_STATE_HOME = folder .. "/slow" })
    assert.are.equal(0, call({ "outbound.get_contact_group_detail" }, { env = env }).code)
    local held = call({ "outbound.get_contact_group_detail", "--json" }, { env = env })
    local err = cjson.decode(held.err).error
    assert.are.same({ 3, 3, "throttle", "rate", "no" }, { held.code, err.exit_code, err.kind, err.reason, err.sent })
  end)

  it("says once on stderr that the account's rate cannot be shared, and goes on", function()
    local blocked = folder .. "/blocked"
    command.write(blocked, "a file where a folder should be")
    local env = user(handle, folder, { XDG_STATE_HOME = blocked })
    local result = call({ "outbound.get_contact_group_detail" }, { env = env })
    assert.are.equal(0, result.code)
    assert.is_truthy(result.err:find("^campaign: warning: the account's rate is not shared with other processes: [^\n]+\n$"), result.err)
    assert.are.equal("", call({ "outbound.get_contact_group_detail", "--json" }, { env = env }).err)
  end)

  local function committed(operation)
    local count = 0
    for _, commit in ipairs(assert(handle:control("commits")).commits) do
      if commit.operation == operation then
        count = count + 1
      end
    end
    return count
  end

  -- A call that the platform would take.
  local function good()
    return { "longlong.import_customers_async", "-p", "data[0].phone=13800000000" }
  end

  it("prints the reply as one line of JSON", function()
    local result = call({ "outbound.get_contact_group_detail" }, { env = user(handle, folder) })
    assert.are.equal("", result.err)
    assert.are.equal(0, result.code)
    assert.is_truthy(result.out:find("^{[^\n]+}\n$"))
    assert.are.equal("acme", cjson.decode(result.out).data[1].abbreviate)
  end)

  it("writes the reply into a file that only its owner can read", function()
    local path = folder .. "/reply.json"
    local result = call({ "outbound.get_contact_group_detail", "--output", path }, { env = user(handle, folder) })
    assert.are.equal(0, result.code, result.err)
    assert.are.equal("", result.out)
    assert.are.equal(200, cjson.decode(command.read(path)).code)
    assert.are.equal("600\n", command.run({ "stat", "-c", "%a", path }).out)
  end)

  it("takes fields from options, from a file and from stdin", function()
    local before = committed("import_customers_async")
    local env = user(handle, folder)
    assert.are.equal(0, call(good(), { env = env }).code)
    local body = '{"data":[{"phone":"13800000001","name":"张三"}]}'
    local file = command.write(folder .. "/body.json", body)
    assert.are.equal(0, call({ "longlong.import_customers_async", "--body", file }, { env = env }).code)
    local result = call({ "longlong.import_customers_async", "--body", "-", "-p", "data[0].sex=1" }, { env = env, stdin = body })
    assert.are.equal(0, result.code, result.err)
    assert.are.equal(before + 3, committed("import_customers_async"))
  end)

  it("uploads a file and downloads it again, byte for byte", function()
    local env = user(handle, folder)
    local sent = call({ "hypers.upload_file", "-p", "file=examples/data/poster.png", "--accept-public-file" }, { env = env })
    assert.are.equal(0, sent.code, sent.err)
    local id = cjson.decode(sent.out).id
    assert.are.equal("string", type(id))
    local path = folder .. "/back.png"
    local got = call({ "hypers.download_file", "-p", "id=" .. id, "--out", path }, { env = env })
    assert.are.equal(0, got.code, got.err)
    assert.are.equal(command.read("examples/data/poster.png"), command.read(path))
  end)

  describe("refuses with exit code 2, sending nothing,", function()
    local cases = {
      { "a field of the wrong form", { "hypers.get_notification_task", "-p", "taskId=abc" }, "taskId" },
      { "a missing field", { "outbound.upload_dnc_json", "-p", "dataList[0]=u" }, "dataSourceName" },
      { "an unknown field", { "outbound.get_contact_group_detail", "-p", "abreviate=x" }, "abreviate" },
      { "a value that is none of its list", { "longlong.import_customers_async", "-p", "data[0].phone=1", "-p", "data[0].sex=7" },
        "data[0].sex" },
      { "an unknown operation", { "longlong.import_customers" }, "did you mean" },
      { "a -p that is none", { "outbound.get_contact_group_detail", "-p", "x" }, "name=value" },
      { "a body that is no JSON", { "longlong.import_customers_async", "--body", "docs/cli.md" }, "is not JSON" },
      { "a body that is not there", { "longlong.import_customers_async", "--body", "/nonexistent" }, "/nonexistent" },
      { "a folder as body", { "longlong.import_customers_async", "--body", "docs" }, "docs" },
      { "a file that is not there", { "hypers.upload_file", "-p", "file=/nonexistent", "--accept-public-file" }, "/nonexistent" },
      { "a folder as file", { "hypers.upload_file", "-p", "file=docs", "--accept-public-file" }, "docs" },
      { "a public upload without consent", { "hypers.upload_file", "-p", "file=README.md" }, "public" },
      { "a file as reply without a place for it", { "hypers.download_file", "-p", "id=1" }, "-o FILE" },
    }
    for _, case in ipairs(cases) do
      it(case[1], function()
        local before = cjson.encode(assert(handle:control("faults")).calls)
        local result = call(case[2], { env = user(handle, folder) })
        assert.are.equal(2, result.code, result.err)
        assert.are.equal("", result.out)
        assert.is_truthy(result.err:find("^campaign: [^\n]+\n$"), result.err)
        assert.is_truthy(result.err:find(case[3], 1, true), result.err)
        assert.are.equal(before, cjson.encode(assert(handle:control("faults")).calls))
      end)
    end

    it("all faults at once", function()
      local result = call({ "longlong.import_customers_async", "-p", "data[0].sex=7", "-p", "data[1].phone=1", "-p", "data[1].grade_id=x",
        "--json" }, { env = user(handle, folder) })
      local err = cjson.decode(result.err).error
      assert.are.equal("invalid", err.kind)
      assert.are.equal(2, err.exit_code)
      local all = cjson.encode(err.faults)
      for _, path in ipairs{ "data[0].sex", "data[0].phone", "data[1].grade_id" } do
        assert.is_truthy(all:find(path, 1, true), all)
      end
    end)

    it("closed hours", function()
      -- Closed at every time but one second: the window is a fact of the platform's file.
      local data = command.read("lua/campaign/platform/outbound.lua")
      local changed, count = data:gsub('from = "00:00:00", to = "02:00:00"', 'from = "00:00:00", to = "23:59:59"')
      assert.are.equal(1, count)
      local path = command.write(folder .. "/outbound.lua", changed)
      local argv = { path .. ".upload_contacts_json", "-p", "dataSourceName=autumn-contacts", "-p", 'dataList:=[["1","2","3","4"]]' }
      local result = call(argv, { env = user(handle, folder) })
      assert.are.equal(2, result.code, result.err)
      assert.is_truthy(result.err:find("closed", 1, true))
      argv[#argv + 1] = "--window"
      argv[#argv + 1] = "ignore"
      assert.are.equal(0, call(argv, { env = user(handle, folder) }).code)
    end)
  end)

  describe("ends with exit code 6", function()
    it("without a token, and says where tokens are looked for", function()
      local result = call(good(), { env = user(handle, folder, { CAMPAIGN_LONGLONG_TOKEN = "" }) })
      assert.are.equal(6, result.code, result.err)
      assert.is_truthy(result.err:find("CAMPAIGN_LONGLONG_TOKEN", 1, true))
    end)

    it("with a wrong token, and never shows it", function()
      local result = call(good(), { env = user(handle, folder, { CAMPAIGN_LONGLONG_TOKEN = "wrong-secret-token" }) })
      assert.are.equal(6, result.code, result.err)
      assert.is_falsy((result.err .. result.out):find("wrong-secret-token", 1, true))
    end)

    it("with an accounts file that others may read", function()
      os.execute("mkdir -p " .. folder .. "/open/campaign")
      local path = command.write(folder .. "/open/campaign/accounts.json", '{"longlong":{"default":{"token":"x"}}}')
      os.execute("chmod 644 " .. path)
      local result = call(good(), { env = { XDG_CONFIG_HOME = folder .. "/open", XDG_STATE_HOME = folder } })
      assert.is_true(result.code == 6 or result.code == 2, result.err)
      assert.is_truthy(result.err:find(path, 1, true), result.err)
    end)
  end)

  it("takes an account of the accounts file by name", function()
    os.execute("mkdir -p " .. folder .. "/config/campaign")
    local account = handle.accounts.longlong
    local path = command.write(folder .. "/config/campaign/accounts.json", cjson.encode{
      longlong = { berlin = { base_url = handle.base_url, token = account.token, user_id = account.user_id } },
    })
    os.execute("chmod 600 " .. path)
    local argv = good()
    argv[#argv + 1] = "--account"
    argv[#argv + 1] = "berlin"
    local env = { XDG_CONFIG_HOME = folder .. "/config", XDG_STATE_HOME = folder }
    assert.are.equal(0, call(argv, { env = env }).code)
    os.remove(path)
  end)

  it("takes values of the account from -p too", function()
    local env = user(handle, folder, { CAMPAIGN_LONGLONG_TOKEN = "", CAMPAIGN_LONGLONG_BASE_URL = "" })
    local argv = good()
    for _, word in ipairs{ "-p", "token=" .. handle.accounts.longlong.token, "-p", "base_url=" .. handle.base_url } do
      argv[#argv + 1] = word
    end
    local result = call(argv, { env = env })
    assert.are.equal(0, result.code, result.err)
  end)

  describe("ends in time when the platform hangs,", function()
    before_each(function() fault("*:delay=20000@1-") end)

    it("with exit code 4 where something may have changed", function()
      local argv = good()
      argv[#argv + 1] = "--timeout"
      argv[#argv + 1] = "0.5"
      local result = call(argv, { env = user(handle, folder), seconds = 10 })
      assert.are.equal(4, result.code, result.err)
    end)

    it("with exit code 3 where nothing can have changed", function()
      local result = call({ "outbound.get_contact_group_detail", "--timeout", "0.5", "--json" }, { env = user(handle, folder), seconds = 10 })
      assert.are.equal(3, result.code, result.err)
      assert.are.equal("timeout", cjson.decode(result.err).error.kind)
    end)
  end)

  describe("ends with exit code 5 when the platform", function()
    it("refuses the call", function()
      local result = call({ "outbound.upload_contacts_json", "-p", "dataSourceName=nobody", "-p", 'dataList:=[["1"]]', "--window", "ignore",
        "--json" }, { env = user(handle, folder) })
      assert.are.equal(5, result.code, result.err)
      local err = cjson.decode(result.err).error
      assert.are.equal("platform", err.kind)
      assert.are.equal("outbound", err.platform)
      assert.are.equal("upload_contacts_json", err.operation)
    end)

    it("asks to slow down", function()
      fault("import_customers_async:429-retry-after=7@1-")
      local argv = good()
      argv[#argv + 1] = "--json"
      local result = call(argv, { env = user(handle, folder) })
      assert.are.equal(5, result.code, result.err)
      local err = cjson.decode(result.err).error
      assert.are.equal("throttle", err.kind)
      assert.are.equal(7, err.retry)
    end)
  end)

  describe("ends with exit code 3 when", function()
    it("nobody listens", function()
      local result = call(good(), { env = user(handle, folder, { CAMPAIGN_LONGLONG_BASE_URL = "http://127.0.0.1:1" }) })
      assert.are.equal(3, result.code, result.err)
    end)

    it("a question stays without an answer, since nothing can have changed", function()
      fault("get_contact_group_detail:close-after-read@1-")
      local result = call({ "outbound.get_contact_group_detail" }, { env = user(handle, folder) })
      assert.are.equal(3, result.code, result.err)
    end)
  end)

  describe("ends with exit code 4 when", function()
    for _, kind in ipairs{ "after-commit-close", "after-commit-reset", "close-after-read", "truncate-body", "bad-json", "wrong-type", "500",
      "502", "504" } do
      it("the answer is lost or cannot be trusted: " .. kind, function()
        fault("import_customers_async:" .. kind .. "@1-")
        local argv = good()
        argv[#argv + 1] = "--json"
        local result = call(argv, { env = user(handle, folder) })
        assert.are.equal(4, result.code, result.err)
        assert.are.equal("", result.out)
        assert.are.equal("maybe", cjson.decode(result.err).error.sent)
      end)
    end
  end)

  it("R008 client shows no secret and no phone in errors", function()
    fault("import_customers_async:bad-json@1-")
    for _, more in ipairs{ "--json", "--account=default" } do
      local argv = good()
      argv[#argv + 1] = more
      local result = call(argv, { env = user(handle, folder) })
      for _, secret in ipairs{ handle.accounts.longlong.token, "13800000000" } do
        assert.is_falsy((result.err .. result.out):find(secret, 1, true))
      end
    end
  end)

  it("ends at once when it is interrupted, and says whether anything may have been applied", function()
    fault("*:delay=20000@1-")
    local began = os.time()
    for signal, words in pairs{ INT = good(), TERM = { "outbound.get_contact_group_detail", "--json" } } do
      local argv = { "timeout", "--preserve-status", "-s", signal, "2", command.ROOT .. "/bin/campaign", "call" }
      for _, word in ipairs(words) do
        argv[#argv + 1] = word
      end
      local result = command.run(argv, { env = user(handle, folder) })
      assert.are.equal(130, result.code, result.err)
      if signal == "INT" then
        assert.is_truthy(result.err:find("longlong.import_customers_async: interrupted .* may have been applied"), result.err)
      else
        assert.are.equal("no", cjson.decode(result.err).error.sent)
      end
    end
    assert.is_true(os.time() - began < 15)
  end)

  it("says so when the reply cannot be written, since the call was made", function()
    local before = committed("import_customers_async")
    local argv = good()
    argv[#argv + 1] = "-o"
    argv[#argv + 1] = folder .. "/no/such/folder/x"
    local result = call(argv, { env = user(handle, folder) })
    assert.are.equal(8, result.code, result.err)
    assert.is_truthy(result.err:find("the call was made", 1, true))
    assert.is_string(cjson.decode(result.out).data.unique_id) -- the reply is not lost
    assert.are.equal(before + 1, committed("import_customers_async"))
  end)

  it("records an exchange and answers from the recording without sending anything", function()
    local path, env = folder .. "/recorded.jsonl", user(handle, folder)
    local function with(option, file)
      local argv = good()
      argv[#argv + 1], argv[#argv + 2] = option, file
      return call(argv, { env = env })
    end
    local before = committed("import_customers_async")
    local live = with("--record", path)
    assert.are.equal(0, live.code, live.err)
    assert.are.equal(before + 1, committed("import_customers_async"))
    assert.is_falsy(command.read(path):find(handle.accounts.longlong.token, 1, true))
    local again = with("--replay", path)
    assert.are.equal(0, again.code, again.err)
    assert.are.same(cjson.decode(live.out), cjson.decode(again.out))
    assert.are.equal(before + 1, committed("import_customers_async"))
    local none = with("--replay", command.write(folder .. "/empty.jsonl", ""))
    assert.are_not.equal(0, none.code)
    assert.is_truthy(none.err:find("no answer left for POST", 1, true), none.err)
    assert.are.equal(2, with("--replay", folder .. "/nowhere.jsonl").code)
  end)
end)

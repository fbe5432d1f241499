-- SPDX-License-Identifier: MIT
-- Tokens in the ways of many vendors, from the data of a platform alone, against a server that knows nothing of that data: obtained with an id
-- and a secret, without anything to refresh them with, sent in the query, run out by an answer 200; and the other habits, one at a time.

local campaign = require "campaign"
local cjson = require "cjson"
local command = require "spec.support.command"
local core = require "campaign.core"
local counted_transport = require "spec.support.counted_transport"
local env_module = require "campaign.env"
local platforms = require "campaign.api.platform"

local MEADOW = "./examples/platforms/meadow.lua"
local SECRET = "S-3cret/+="

-- A platform whose calls are those under /styles of the server; what tokens have to do with is put in.
local STYLED = [[
return {
  name = "styled", title = "Styled", doc = "d", source = "s.txt", zone = "+08:00",
  account = {
    { name = "base_url", required = true, type = "url", doc = "d" },
    { name = "app_id", @ID@ doc = "d" }, { name = "app_secret", secret = true, @SECRET@ doc = "d" },
    { name = "refresh_token", secret = true, doc = "d" },
  },
  auth = {
    basic = { kind = "basic", user = "app_id", password = "app_secret" },
    token = { kind = "oauth2", @SCHEME@ },
  },
  operations = {
    { name = "me", doc = "d", source = ":1", method = "@METHOD@", path = "/styles/me", auth = "token", body = "@BODY@", response = "json",
      effect = "safe",
      fields = { { name = "status", where = "query", type = "integer" }, { name = "code", where = "query", type = "integer" } },
      success = { { path = "code", is = { 0 } } }, code = "code", message = "msg" },
    @CALLS@
  },
}
]]

local USUAL = { ID = 'fills = "client_id",', SECRET = 'fills = "client_secret",', METHOD = "GET", BODY = "none" }
local SIMPLE = [[{ name = "get_token", doc = "d", source = ":2",
  method = "POST", path = "/styles/token/%s", auth = "%s", body = "%s", response = "json",
  effect = "create", fields = { %s }, reply = { %s }, present = { %s } },]]
local FORM_FIELDS = [[{ name = "grant_type", where = "form", constant = "client_credentials" },
  { name = "client_id", where = "form", required = true },
  { name = "client_secret", where = "form", required = true }]]
local JSON_FIELDS = [[{ name = "app_id", where = "json", required = true }, { name = "app_secret", where = "json", required = true }]]
local STANDARD = [[{ name = "access_token" }, { name = "expires_in", type = "integer" }]]
local EXPIRING = [["access_token", "expires_in"]]
local BY_FORM = SIMPLE:format("standard", "none", "form", FORM_FIELDS, STANDARD, EXPIRING)
local NESTED = [[{ name = "data", type = "object", fields = { { name = "token" }, { name = "expireTime", type = "%s" } } }]]
local REFRESH = [[{ name = "renew", doc = "d", source = ":3",
  method = "POST", path = "/styles/refresh", auth = "none", body = "json", response = "json",
  effect = "create", fields = { { name = "refreshToken", where = "json", required = true }, ]] .. JSON_FIELDS .. [[ },
  reply = { { name = "code", type = "integer" }, { name = "msg" }, { name = "data", type = "object", fields = { { name = "accessToken" },
    { name = "refreshToken" }, { name = "expiresIn", type = "integer", also = { "string" } } } } },
  success = { { path = "code", is = { 0 } } }, present = { "data.accessToken", "data.expiresIn" }, code = "code", message = "msg",
  refusals = { { code = 40107, reason = "spent", kind = "auth" } } },]]
local ROTATING = [[refresh = "renew", refresh_key = "refresh_token", token = "data.accessToken", expires_in = "data.expiresIn",
  refresh_token = "data.refreshToken", refresh_field = "refreshToken", header = "X-Auth"]]

describe("tokens as vendors give them", function()
  local server, url, folder, serial

  setup(function()
    serial, folder = 0, command.folder()
    server = assert(core.system.spawn{ command.LUA == "5.4" and "lua5.4" or "luajit", "spec/support/meadow_server.lua", pipe = true })
    url = "http://127.0.0.1:" .. assert(server:read_line(30))
  end)
  teardown(function()
    server:close()
    command.remove(folder)
  end)

  -- Orders the server; what it was asked since it was last told to forget.
  local function order(query)
    local transport = require("campaign.transport.curl").new()
    local result = assert(transport:perform{ method = "POST", url = url .. "/test?" .. query })
    transport:close()
    return cjson.decode(result.body)
  end

  -- The world, with folders for tokens of its own.
  local function world()
    serial = serial + 1
    local state = folder .. "/state" .. serial
    local env = setmetatable({ getenv = function(name) return name == "CAMPAIGN_STATE_DIR" and state or nil end },
      { __index = env_module.default() })
    return env, state
  end

  before_each(function() order("life=7200&revoke=1&forget=1&seed=seed-1") end)

  local function meadow(more)
    local env, state = world()
    local account = { base_url = url, app_id = "wx-1", app_secret = SECRET }
    for name, value in pairs(more or {}) do
      account[name] = value
    end
    return assert(campaign.connect(MEADOW, account, { env = env })), env, state
  end

  -- A platform with the rest put in, and a client of it.
  local function styled(parts, account)
    serial = serial + 1
    local text = STYLED:gsub("@(%u+)@", function(name)
      return parts[name:lower()] or USUAL[name]
    end)
    local path = command.write(folder .. "/styled" .. serial .. ".lua", text)
    account = account or { app_id = "wx-1", app_secret = SECRET }
    account.base_url = url
    local client, err = campaign.connect(path, account, { env = (world()) })
    return assert(client, tostring(err)), path
  end

  it("are obtained with an id and a secret, go into the query, and are obtained again after an answer that they ran out", function()
    local client = meadow()
    assert.same({}, assert(client:all("list_followers", {})))
    assert(client:label_followers{ tagid = "9007199254740993", openid_list = { "o-1", "o-2" } })
    assert.same({ "o-1", "o-2" }, assert(client:all("list_followers", {})))
    assert.same({ "GET /cgi/token", "GET /cgi/followers", "POST /cgi/tags/members", "GET /cgi/followers" }, order("revoke=1&x=1").asked)
    order("forget=1")
    assert(client:label_followers{ tagid = 1, openid_list = { "o-3" } })
    assert.same({ "POST /cgi/tags/members", "GET /cgi/token", "POST /cgi/tags/members" }, order("x=1").asked)
    assert.equal(1, order("x=1").followers)
    client:close()
  end)

  it("are renewed ahead of their end, and the one that is still good serves when that fails", function()
    order("life=4")
    local client, env = meadow()
    assert(client:list_followers{})
    local ahead = 3.2
    local now = env_module.default().now
    env.now = function() return now() + ahead end
    order("broken=1")
    assert(client:list_followers{})
    assert.same({ "GET /cgi/token", "GET /cgi/followers", "GET /cgi/token", "GET /cgi/followers" }, order("x=1").asked)
    order("forget=1")
    assert(client:list_followers{})
    assert(client:list_followers{})
    assert.same({ "GET /cgi/token", "GET /cgi/followers", "GET /cgi/followers" }, order("x=1").asked)
    client:close()
  end)

  it("are told from other refusals: what may have been applied is not sent again, a wrong secret is a login that is needed", function()
    local client = meadow()
    local reply, err = client:label_followers{ tagid = 1, openid_list = { "bad" } }
    assert.is_nil(reply)
    assert.same({ "platform", 40003, "no" }, { err.kind, err.code, err.sent })
    client:close()
    client = meadow{ app_secret = "S-4cret-x" }
    reply, err = client:label_followers{ tagid = 1, openid_list = { "o-1" } }
    assert.is_nil(reply)
    assert.same({ "auth", "login_needed", 40125, "no", false }, { err.kind, err.reason, err.code, err.sent, err.retry })
    assert.is_nil((tostring(err) .. tostring(err.body)):find("S-4cret-x", 1, true))
    assert.same({ "GET /cgi/token" }, { order("x=1").asked[3] })
    client:close()
  end)

  it("are shared by processes that need one at the same moment, and by those after them", function()
    local _, _, state = meadow()
    local env = { CAMPAIGN_MEADOW_BASE_URL = url, CAMPAIGN_MEADOW_APP_ID = "wx-1", CAMPAIGN_MEADOW_APP_SECRET = SECRET, CAMPAIGN_STATE_DIR = state }
    for _ = 1, 2 do
      local words = {}
      for i = 1, 6 do
        words[i] = ("%s bin/campaign call %s.list_followers > %s/out%d 2>&1 & p%d=$!"):format(
          "exec env", MEADOW, state, i, i):gsub("^exec ", "")
      end
      for i = 1, 6 do
        words[#words + 1] = ("wait $p%d || exit 1"):format(i)
      end
      command.run({ "mkdir", "-p", state })
      local result = command.run({ "sh", "-c", table.concat(words, "\n") }, { env = env })
      assert.equal(0, result.code, result.out .. result.err .. command.run({ "sh", "-c", "cat " .. state .. "/out*" }).out)
    end
    local obtained = 0
    for _, what in ipairs(order("x=1").asked) do
      obtained = obtained + (what == "GET /cgi/token" and 1 or 0)
    end
    assert.equal(1, obtained)
  end)

  it("serve an import, whose batches go again with a new one after they were refused", function()
    local _, _, state = meadow()
    local env = { CAMPAIGN_MEADOW_BASE_URL = url, CAMPAIGN_MEADOW_APP_ID = "wx-1", CAMPAIGN_MEADOW_APP_SECRET = SECRET, CAMPAIGN_STATE_DIR = state }
    local lines = { "openid" }
    for i = 1, 500 do
      lines[#lines + 1] = ("open-%04d"):format(i)
    end
    lines[#lines + 1] = ("x"):rep(29)
    local list = command.write(folder .. "/list.csv", table.concat(lines, "\n") .. "\n")
    local client = campaign.connect(MEADOW, { base_url = url, app_id = "wx-1", app_secret = SECRET },
      { env = setmetatable({ getenv = function(name) return env[name] end }, { __index = env_module.default() }) })
    assert(client:list_followers{}) -- a token that is good here, and is none there
    client:close()
    order("revoke=1&forget=1")
    local result = command.campaign({ "import", list, "--to", MEADOW .. ".label_followers", "-p", "tagid=134", "--job", folder .. "/job", "--json" },
      { env = env })
    assert.equal(7, result.code, result.out .. result.err)
    assert.matches('"too_long"', result.out, 1, true)
    local seen = order("x=1")
    assert.equal(500, seen.followers)
    local calls = {}
    for _, what in ipairs(seen.asked) do
      calls[what] = (calls[what] or 0) + 1
    end
    assert.equal(1, calls["GET /cgi/token"])
    assert.is_true(calls["POST /cgi/tags/members"] > 10 and calls["POST /cgi/tags/members"] <= 12, calls["POST /cgi/tags/members"])
    for _, name in ipairs({ "ledger.db", "batches.jsonl", "report.json" }) do
      local text = command.read(folder .. "/job/" .. name)
      assert.is_nil(text:find("token-", 1, true) or text:find(SECRET, 1, true), name)
    end
  end)

  -- Imports 3,000 followers, 50 a call; `at` is called before each request. Returns what the server saw, how often which path was asked, and how
  -- the requests left.
  local function import_many(at, more)
    local env = world()
    local list = {}
    for i = 1, 3000 do
      list[i] = ("open-%04d"):format(i)
    end
    local path = command.write(folder .. "/many.csv", "openid\n" .. table.concat(list, "\n") .. "\n")
    local transport = counted_transport.new(true, function(counts) at(counts.plain + counts.short, env) end)
    local options = { source = path, to = MEADOW .. ".label_followers", params = { tagid = "134" }, job = folder .. "/many" .. serial, env = env,
      account = { base_url = url, app_id = "wx-1", app_secret = SECRET }, transport = transport }
    for name, value in pairs(more or {}) do
      options[name] = value
    end
    local result = assert(campaign.import(options))
    transport:close()
    assert.same({ 3000, "finished" }, { result.accepted, result.state }, tostring(result.error))
    local seen, calls = order("x=1"), {}
    for _, what in ipairs(seen.asked) do
      calls[what] = (calls[what] or 0) + 1
    end
    return calls, transport.counts, seen.followers
  end

  it("are carried by the fast path of an import, which goes on with the next one after one was refused", function()
    for _, concurrency in ipairs({ 1, 2 }) do
      order("forget=1&revoke=1")
      local calls, counts, labelled = import_many(function(number)
        if number == 20 or number == 40 then
          order("revoke=1")
        end
      end, { concurrency = concurrency })
      assert.equal(3000, labelled)
      assert.equal(3, calls["GET /cgi/token"])
      assert.equal(calls["POST /cgi/tags/members"], counts.plain + counts.short)
      assert.is_true(counts.short > 40, counts.short)
      assert.is_true(calls["POST /cgi/tags/members"] > 61 and calls["POST /cgi/tags/members"] < 68, calls["POST /cgi/tags/members"])
    end
  end)

  it("are renewed before they run out while an import takes the fast path, without a refused call", function()
    local ahead, now = 0, env_module.default().now
    local calls, counts, labelled = import_many(function(number, env)
      env.now = function() return now() + ahead end
      if number == 30 then
        ahead = 7150
      end
    end, { concurrency = 1 }) -- a new token ends the one before, also for calls in flight
    assert.same({ 2, 60, 3000 }, { calls["GET /cgi/token"], calls["POST /cgi/tags/members"], labelled })
    assert.is_true(counts.short > 50, counts.short)
  end)

  it("are carried by the fast path, and what lost its answer there is sent again where the platform's data allows it", function()
    for _, concurrency in ipairs({ 1, 2 }) do
      order("forget=1&revoke=1")
      local calls, counts, labelled = import_many(function(number)
        if number == 30 then
          order("drop=1")
        end
      end, { concurrency = concurrency })
      assert.same({ 1, 61, 3050 }, { calls["GET /cgi/token"], calls["POST /cgi/tags/members"], labelled })
      assert.is_true(counts.short > 45, counts.short)
    end
  end)

  it("stand in no error and no recording", function()
    local recording = folder .. "/exchanges"
    local env = world()
    local client = assert(campaign.connect(MEADOW, { base_url = url, app_id = "wx-1", app_secret = SECRET }, { env = env, record = recording }))
    assert(client:list_followers{})
    order("life=0")
    order("revoke=1")
    local reply, err = client:list_followers{} -- refused twice: every token ends at once
    assert.is_nil(reply)
    assert.same({ "auth", "token_expired", 42001, "no", false }, { err.kind, err.reason, err.code, err.sent, err.retry })
    client:close()
    local text = command.read(recording) .. tostring(err) .. tostring(err.body)
    assert.matches("access_token *** expired", text, 1, true)
    assert.is_nil(text:find("token-%d"))
    assert.is_nil(text:find("S-3cret", 1, true))
    assert.equal(0, command.campaign({ "call", MEADOW .. ".list_followers", "--replay", recording }, { env = {
      CAMPAIGN_MEADOW_BASE_URL = url, CAMPAIGN_MEADOW_APP_ID = "wx-1", CAMPAIGN_MEADOW_APP_SECRET = SECRET } }).code)
  end)

  for name, case in pairs({
    ["by client_credentials in a form"] = { scheme = [[obtain = "get_token"]], calls = BY_FORM, where = "authorization" },
    ["by client_credentials with Basic"] = { scheme = [[obtain = "get_token", prefix = "Token "]], calls = SIMPLE:format("standard", "basic", "form",
      [[{ name = "grant_type", where = "form", constant = "client_credentials" }]], STANDARD, EXPIRING), id = "", secret = "",
      where = "authorization" },
    ["by JSON, under names of the vendor's, for a header of its own"] = {
      scheme = [[obtain = "get_token", token = "tenant_access_token", expires_in = "expire", header = "X-Auth", prefix = "Token "]],
      calls = SIMPLE:format("feishu", "none", "json", JSON_FIELDS, [[{ name = "tenant_access_token" }, { name = "expire", type = "integer" }]],
        [["tenant_access_token", "expire"]]), id = 'fills = "app_id",', secret = 'fills = "app_secret",', where = "x-auth" },
    ["in an object, good until an instant in milliseconds"] = {
      scheme = [[obtain = "get_token", token = "data.token", expires_at = "data.expireTime", header = "X-Auth"]],
      calls = SIMPLE:format("milliseconds", "none", "form", FORM_FIELDS, NESTED:format("int64"), [["data.token", "data.expireTime"]]),
      where = "x-auth" },
    ["in an object, good until an instant written out, for a form"] = {
      scheme = [[obtain = "get_token", token = "data.token", expires_at = "data.expireTime", field = "access_token"]],
      calls = SIMPLE:format("text", "none", "form", FORM_FIELDS, NESTED:format("string"), [["data.token", "data.expireTime"]]), where = "form",
      method = "POST", body = "form" },
    ["without a word on how long they are good"] = { scheme = [[obtain = "get_token", token = "data.token", lifetime = 7200, query = "access_token"]],
      calls = SIMPLE:format("bare", "none", "form", FORM_FIELDS, NESTED:format("int64"), [["data.token"]]), where = "query" },
  }) do
    it("are obtained " .. name, function()
      local client, path = styled(case)
      assert.equal(case.where, assert(client:me{}).where)
      assert(client:me{})
      assert.equal(3, #order("x=1").asked)
      client:close()
      for _, words in ipairs({ { "openapi", path }, { "describe", path, "--format", "markdown" }, { "operations", path } }) do
        local result = command.campaign(words)
        assert.equal(0, result.code, result.err)
      end
      client = styled(case, { app_id = "wx-1" })
      local reply, err = client:me{}
      assert.is_nil(reply)
      assert.equal("auth", err.kind)
      assert.matches("`app_secret`", tostring(err), 1, true)
      client:close()
    end)
  end

  it("whose expiry is past are told, not asked for again and again", function()
    local client = styled{ scheme = [[obtain = "get_token", token = "data.token", expires_at = "data.expireTime", header = "X-Auth"]],
      calls = SIMPLE:format("long_ago", "none", "form", FORM_FIELDS, NESTED:format("int64"), [["data.token", "data.expireTime"]]) }
    local reply, err = client:me{}
    assert.is_nil(reply)
    assert.same({ "response", "bad_answer", "no" }, { err.kind, err.reason, err.sent })
    assert.matches("an expiry in the past", err.message, 1, true)
    assert.is_nil(tostring(err.body):find("token-", 1, true))
    client:close()
  end)

  for _, status in ipairs({ 200, 400, 401 }) do
    it("are taken for run out by the platform's code with HTTP " .. status .. ", once", function()
      local scheme = [[obtain = "get_token", expired = { { path = "code", is = { 99991663 } } }]]
      local client = styled{ scheme = scheme, calls = BY_FORM }
      assert(client:me{})
      order("revoke=1&forget=1")
      assert(client:me{ status = status })
      assert.same({ "GET /styles/me", "POST /styles/token/standard", "GET /styles/me" }, order("revoke=1&x=1").asked)
      order("life=0&forget=1")
      local reply, err = client:me{ status = status }
      assert.is_nil(reply)
      assert.same({ "auth", "token_expired", false, "no" }, { err.kind, err.reason, err.retry, err.sent })
      assert.equal(3, #order("x=1").asked)
      client:close()
    end)
  end

  it("are not renewed for another code", function()
    local scheme = [[obtain = "get_token", expired = { { path = "code", is = { 99991663 } } }]]
    local client = styled{ scheme = scheme, calls = BY_FORM }
    assert(client:me{})
    order("revoke=1&forget=1")
    local reply, err = client:me{ code = 5 }
    assert.is_nil(reply)
    assert.same({ "platform", 5, "maybe" }, { err.kind, err.code, err.sent })
    assert.same({ "GET /styles/me" }, order("x=1").asked)
    client:close()
  end)

  it("are got with a refresh token of the account, each new one with the newest, and a spent one is presented no more", function()
    local parts = { scheme = ROTATING, calls = REFRESH, id = 'fills = "app_id",', secret = 'fills = "app_secret",' }
    local account = { app_id = "wx-1", app_secret = SECRET, refresh_token = "seed-1" }
    local client = styled(parts, account)
    for _ = 1, 3 do
      assert.equal("x-auth", assert(client:me{}).where)
      order("revoke=1")
      local reply, err = client:me{ status = 401 }
      assert(reply, tostring(err))
    end
    order("seed=other&revoke=1&forget=1")
    local reply, err = client:me{ status = 401 }
    assert.is_nil(reply)
    assert.same({ "auth", "login_needed", "no" }, { err.kind, err.reason, err.sent })
    assert.matches("give a new `refresh_token` to the account", tostring(err), 1, true)
    assert.same({ "GET /styles/me", "POST /styles/refresh" }, order("x=1").asked)
    order("forget=1")
    reply = client:me{ status = 401 }
    assert.is_nil(reply)
    for _, what in ipairs(order("x=1").asked) do
      assert.not_equal("POST /styles/refresh", what)
    end
    client:close()
  end)

  it("are got with one refresh token for ever where the platform says that it stays", function()
    local calls = [[{ name = "renew", doc = "d", source = ":3",
  method = "POST", path = "/styles/keep", auth = "none", body = "form", response = "json",
      effect = "create", fields = { { name = "refresh_token", where = "form", required = true } }, reply = { ]] .. STANDARD .. [[ },
      present = { "access_token", "expires_in" } },]]
    local client = styled({ scheme = [[refresh = "renew", refresh_key = "refresh_token", rotates = false]], calls = calls, id = "", secret = "" },
      { refresh_token = "for-ever" })
    for _ = 1, 3 do
      assert(client:me{})
      order("revoke=1")
      assert(client:me{ status = 401 })
    end
    client:close()
  end)

  it("may be one fixed key in the query, which no address, error or recording shows", function()
    local fixed = 'token = { kind = "query", query = "access_token", key = "app_secret" } },'
    local text = command.read(MEADOW):gsub("token = {\n.-\n    },\n  },", fixed, 1)
    local path = command.write(folder .. "/fixed.lua", text)
    order("token=S-3cret%2F%2B%3D")
    local lines = { "openid" }
    for i = 1, 2000 do
      lines[#lines + 1] = ("open-%04d"):format(i)
    end
    local list = command.write(folder .. "/fixed.csv", table.concat(lines, "\n") .. "\n")
    local env = { CAMPAIGN_MEADOW_BASE_URL = url, CAMPAIGN_MEADOW_APP_ID = "wx-1", CAMPAIGN_MEADOW_APP_SECRET = SECRET,
      CAMPAIGN_STATE_DIR = folder .. "/fixed_state" }
    local result = command.campaign({ "import", list, "--to", path .. ".label_followers", "-p", "tagid=134", "--job", folder .. "/fixed" },
      { env = env })
    assert.equal(0, result.code, result.out .. result.err)
    assert.equal(2000, order("x=1").followers)
    order("revoke=1")
    local recording = folder .. "/fixed_calls"
    result = command.campaign({ "call", path .. ".list_followers", "--record", recording }, { env = env })
    assert.equal(5, result.code)
    assert.matches("access_token *** expired", result.err, 1, true)
    local written = command.read(recording) .. result.err
    assert.is_nil(written:find("S-3cret", 1, true) or written:find("S%2D3cret", 1, true) or written:find("%2F%2B%3D", 1, true))
    assert.matches('"in": "query"', command.campaign({ "openapi", path }).out, 1, true)
    local with_link = text:gsub("operations = {", 'links = { list = { operation = "list_followers" } },\n  operations = {', 1)
    local linked = command.write(folder .. "/linked.lua", with_link)
    local platform, err = platforms.load(linked)
    assert.is_nil(platform)
    assert.matches("links.list: operation `list_followers` has a secret in its query", err.message, 1, true)
  end)

  it("are two where a platform has two kinds, each obtained and kept by itself", function()
    local bare = SIMPLE:format("bare", "none", "form", FORM_FIELDS, NESTED:format("int64"), [["data.token"]]):gsub('"get_token"', '"get_other"')
    local client, path = styled{ scheme = [[obtain = "get_token" }, other = { kind = "oauth2", obtain = "get_other", token = "data.token", lifetime = 60,
      header = "X-Auth"]], calls = BY_FORM .. bare .. [[{ name = "me_too", doc = "d", source = ":1", method = "GET", path = "/styles/me",
      auth = "other",
      body = "none", response = "json", effect = "safe", success = { { path = "code", is = { 0 } } }, code = "code" },]] }
    assert.equal("authorization", assert(client:me{}).where)
    assert.equal("x-auth", assert(client:me_too{}).where)
    assert.same({ "POST /styles/token/standard", "GET /styles/me", "POST /styles/token/bare", "GET /styles/me" }, order("x=1").asked)
    local again = assert(campaign.connect(path, { base_url = url, app_id = "wx-1", app_secret = SECRET }, { env = client.env }))
    assert.equal("x-auth", assert(again:me_too{}).where) -- the newest of the server's tokens
    assert.equal(5, #order("x=1").asked)
    again:close()
    client:close()
  end)

  it("are described: where they go and where they come from", function()
    local listed = command.campaign({ "operations", MEADOW, "--format", "tsv" }).out
    assert.matches("list_followers\tGET\t/cgi/followers\tquery:access_token", listed, 1, true)
    local document = cjson.decode(command.campaign({ "openapi", MEADOW }).out)
    assert.same({ type = "apiKey", ["in"] = "query", name = "access_token",
      description = "a token, obtained by `get_token`, and again before it ends" }, document.components.securitySchemes.token)
    assert.matches("The client gets the token of `token` by itself: it is obtained by `get_token`",
      command.campaign({ "describe", MEADOW, "--format", "markdown" }).out, 1, true)
  end)

  it("are checked when the file is read", function()
    for _, case in ipairs({
      { [[lifetime = 5]], BY_FORM, "needs `obtain`, or `refresh` and `refresh_key`" },
      { [[obtain = "get_token", token = "data.token"]], BY_FORM, "`get_token` needs `data.token` in its reply and in `present`" },
      { [[obtain = "get_token", expires_in = "expire"]], BY_FORM, "`get_token` needs `expire` in its reply" },
      { [[obtain = "get_token", header = "X-Auth", query = "t"]], BY_FORM, "one of `header`, `query` and `field`" },
      { [[obtain = "get_token", query = "t", prefix = "T "]], BY_FORM, "prefix: stands before a token in a header only" },
      { [[obtain = "get_token", query = "status"]], BY_FORM, "sends `status`, which the call has already" },
      { [[obtain = "get_token", field = "t"]], BY_FORM, "a body `none` cannot carry it" },
      { [[obtain = "get_token", rotates = true]], BY_FORM, "rotates: needs `refresh`" },
      { [[obtain = "get_token", expired = { { path = "code" } }]], BY_FORM, "`path` needs `is`" },
      { [[obtain = "get_token"]], BY_FORM:gsub("client_id", "client_ID"), "`get_token` needs `client_ID`, which nothing gives it" },
      { [[refresh = "renew", refresh_key = "app_id", expires_at = "data.expiresIn", token = "data.accessToken",
        refresh_field = "refreshToken"]], REFRESH,
        "account key `app_id` must be `secret = true`" },
    }) do
      serial = serial + 1
      local parts = setmetatable({ SCHEME = case[1], CALLS = case[2] }, { __index = USUAL })
      local platform, err = platforms.load(command.write(folder .. "/wrong" .. serial .. ".lua", (STYLED:gsub("@(%u+)@", parts))))
      assert.is_nil(platform, case[3])
      assert.matches(case[3], err.message, 1, true)
    end
  end)
end)

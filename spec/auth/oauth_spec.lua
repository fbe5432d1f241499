-- SPDX-License-Identifier: MIT
-- Tokens of hypers, on a fake transport and a store in memory: what is presented, when, in which order, and what happens when it fails.

local core = require "campaign.core"
local error_object = require "campaign.error"
local fake = require "support.fake"
local oauth = require "campaign.auth.oauth"

local ACCOUNT = {
  base_url = "https://api.example", oauth_url = "https://login.example", client_id = "canary-id", client_secret = "canary-cs",
  username = "canary@user", password = "canary-pw",
}

local function without(account, ...)
  local copy = {}
  for key, value in pairs(account) do
    copy[key] = value
  end
  for _, key in ipairs{ ... } do
    copy[key] = nil
  end
  return copy
end

local function token(number, more)
  local body = {
    access_token = "canary-access-" .. number, token_type = "bearer", expires_in = 10599, refresh_token = "canary-refresh-" .. number,
    scope = "all",
  }
  for key, value in pairs(more or {}) do
    body[key] = value
  end
  return fake.answer(body)
end

local TASK = fake.answer{ id = 7, status = "PENDING" }
local LOST = { error = error_object.new{ kind = "timeout", message = "no answer" }, sent = "maybe" }
local NOT_SENT = { error = error_object.new{ kind = "network", message = "refused" }, sent = "no" }

local function stored(number, expires_at, more)
  local state = { access_token = "canary-access-" .. number, refresh_token = "canary-refresh-" .. number, expires_at = expires_at }
  for key, value in pairs(more or {}) do
    state[key] = value
  end
  return state
end

-- A client, and a function that makes one call and gives the requests since.
local function start(answers, state, account)
  local store = fake.store(state)
  local client, transport, env = fake.client("hypers", answers, { account = account or ACCOUNT, store = store })
  local seen = 0
  local function call()
    local reply, err = client:get_notification_task({ taskId = 7 }, { retries = 0 })
    local new = {}
    for index = seen + 1, #transport.requests do
      new[#new + 1] = transport.requests[index]
    end
    seen = #transport.requests
    return reply, err, new
  end
  return call, store, env, transport
end

local function kind_of(request)
  if request.url:find("/oauth/token", 1, true) then
    return request.body:match('"grant_type":"(%w+)')
  end
  return (fake.header(request, "Authorization"):gsub("^Bearer canary%-access%-", ""))
end

local function kinds_of(requests)
  local kinds = {}
  for index, request in ipairs(requests) do
    kinds[index] = kind_of(request)
  end
  return table.concat(kinds, " ")
end

describe("auth.oauth", function()
  it("R130 client calls the token endpoint with Basic and base64 of id and secret", function()
    local call, _, _, transport = start({ token(1), TASK })
    assert(call())
    assert.equal("Basic " .. core.digest.base64_encode("canary-id:canary-cs"), fake.header(transport.requests[1], "Authorization"))
    assert.equal("https://login.example/oauth/token", transport.requests[1].url)
    local long = without(ACCOUNT)
    long.client_secret = ("s"):rep(200)
    call, _, _, transport = start({ token(1), TASK }, nil, long)
    assert(call())
    assert.is_nil(fake.header(transport.requests[1], "Authorization"):find("[\r\n]"))
  end)

  it("R132 client sends token requests as JSON", function()
    local call, _, _, transport = start({ token(1), TASK })
    assert(call())
    assert.equal("application/json", fake.header(transport.requests[1], "Content-Type"))
  end)

  it("R133 client logs in with grant_type password, username and password", function()
    local call, _, _, transport = start({ token(1), TASK })
    assert(call())
    assert.equal('{"grant_type":"password","username":"canary@user","password":"canary-pw"}', transport.requests[1].body)
  end)

  it("R137 client reads expires_in as number or text, and counts from the moment the reply came", function()
    for _, expires_in in ipairs{ 600, "600" } do
      local call, store, env = start({ function()
        return token(1, { expires_in = expires_in })
      end, TASK })
      assert(call())
      assert.equal(env.now() + 600, store.state.expires_at)
    end
    for _, expires_in in ipairs{ true, "soon", -0.5, {} } do
      local call = start({ token(1, { expires_in = expires_in }), TASK })
      local reply, err = call()
      assert.is_nil(reply)
      assert.equal("response", err.kind)
    end
  end)

  it("R138 client compares token_type without regard to case", function()
    for _, name in ipairs{ "bearer", "Bearer", "BEARER" } do
      assert((start({ token(1, { token_type = name }), TASK })()))
    end
    local reply, err = start({ token(1, { token_type = "mac" }), TASK })()
    assert.is_nil(reply)
    assert.equal("response", err.kind)
  end)

  it("leaves a call that waits for a token in no doubt, whatever becomes of the request for it", function()
    for _, answer in ipairs{ fake.answer("", 503), fake.answer("<html>"), fake.answer("", 302), LOST, NOT_SENT, token(1, { token_type = "mac" }) } do
      local client, transport = fake.client("hypers", { answer }, { account = ACCOUNT, store = fake.store() })
      local reply, err = client:create_marketing_group{ name = "autumn" }
      assert.is_nil(reply)
      assert.same({ "no", "oauth_obtain_token" }, { err.sent, err.operation })
      for _, request in ipairs(transport.requests) do
        assert.equal("password", kind_of(request))
      end
      assert.equal(answer == NOT_SENT and 3 or 1, #transport.requests)
    end
  end)

  it("keeps no tokens that could not be read from the store again", function()
    local longest = ("\1"):rep(16384)
    for _, fields in ipairs{ { access_token = ("x"):rep(16385) }, { refresh_token = longest .. "x" } } do
      local call, store = start({ token(1, fields), token(2), TASK })
      local reply, err = call()
      assert.is_nil(reply)
      assert.same({ "response", "bad_answer" }, { err.kind, err.reason })
      assert.is_nil(store.state)
      assert((call()))
    end
    local folder = require("support.command").folder()
    local store = assert(require("campaign.auth.store").open({ id = "a" }, fake.env{ CAMPAIGN_STATE_DIR = folder }))
    assert(store:write{ access_token = longest, refresh_token = longest })
    assert.equal(longest, assert(store:read()).refresh_token)
    require("support.command").remove(folder)
  end)

  it("keeps no access token that no header can hold, and takes an empty refresh token for none", function()
    for _, name in ipairs{ "", "a\r\nX: y", "a\0", "\127" } do
      local call, store = start({ token(1, { access_token = name }), token(2), TASK })
      local reply, err = call()
      assert.is_nil(reply)
      assert.same({ "response", "bad_answer" }, { err.kind, err.reason })
      assert.is_nil(store.state)
      assert((call()))
    end
    local call, _, env = start({ token(1, { refresh_token = "" }), TASK, token(2), TASK })
    assert((call()))
    env.time = env.time + 20000
    local reply, _, requests = call()
    assert(reply)
    assert.equal("password", kind_of(requests[1]))
  end)

  it("R139 client refreshes with the newest refresh token", function()
    local call, store, env = start({ token(2), TASK, token(3), TASK }, stored(1, fake.NOON - 1))
    local _, _, requests = call()
    assert.equal('{"grant_type":"refresh_token","refresh_token":"canary-refresh-1"}', requests[1].body)
    env.time = env.time + 20000
    _, _, requests = call()
    assert.equal('{"grant_type":"refresh_token","refresh_token":"canary-refresh-2"}', requests[1].body)
    assert.equal("canary-refresh-3", store.state.refresh_token)
  end)

  it("R142 client stores the new refresh token before it uses the new access token", function()
    local store
    local used_before_stored
    local call
    call, store = start({ token(2), function(request)
      used_before_stored = store.state.refresh_token ~= "canary-refresh-2"
      assert.equal("Bearer canary-access-2", fake.header(request, "Authorization"))
      return TASK
    end }, stored(1, fake.NOON - 1))
    assert(call())
    assert.is_false(used_before_stored)
  end)

  it("stops when the new token cannot be stored", function()
    local call, store = start({ token(1), TASK })
    function store.write()
      return nil, error_object.new{ kind = "ledger", message = "disk full" }
    end
    local reply, err, requests = call()
    assert.is_nil(reply)
    assert.equal("ledger", err.kind)
    assert.equal("password", kinds_of(requests))
  end)

  it("R143 client refreshes under the account's lock, and looks again before it does", function()
    local call, store = start({ TASK }, stored(1, fake.NOON - 1))
    local lock = store.lock
    function store:lock(seconds)
      self.state = stored(9, fake.NOON + 5000) -- another process was faster
      return lock(self, seconds)
    end
    local reply, _, requests = call()
    assert(reply)
    assert.equal("9", kinds_of(requests))
    assert.is_false(store.locked)
  end)

  it("R144 client refreshes ahead of expiry", function()
    for _, case in ipairs{ { 61, "1" }, { 60, "refresh_token 2" }, { 1, "refresh_token 2" }, { -1, "refresh_token 2" } } do
      local call = start({ case[2] == "1" and TASK or token(2), TASK }, stored(1, fake.NOON + case[1]))
      local _, _, requests = call()
      assert.equal(case[2]:gsub("_token", ""), (kinds_of(requests):gsub("_token", "")))
    end
  end)

  it("renews a token that lives shortly in its last quarter", function()
    for left, expected in pairs{ [31] = "1", [30] = "refresh 2" } do
      local call = start({ left == 31 and TASK or token(2), TASK },
        stored(1, fake.NOON + left, { obtained_at = fake.NOON + left - 120 }))
      local _, _, requests = call()
      assert.equal(expected, (kinds_of(requests):gsub("_token", "")))
    end
  end)

  local DENIED = fake.answer({ code = 401, message = "token invalid" }, 401)

  it("R145 client refreshes once after a 401 and repeats the call once", function()
    local call = start({ DENIED, token(2), TASK }, stored(1, fake.NOON + 5000))
    local reply, _, requests = call()
    assert(reply)
    assert.equal("1 refresh 2", kinds_of(requests))
    call = start({ DENIED, token(2), DENIED }, stored(1, fake.NOON + 5000))
    local err
    reply, err, requests = call()
    assert.is_nil(reply)
    assert.same({ "auth", 401, false, "no" }, { err.kind, err.status, err.retry, err.sent })
    assert.equal("1 refresh 2", kinds_of(requests))
  end)

  it("tells whoever drives many requests that one more try is worth it, for all that had the old token", function()
    local store = fake.store(stored(1, fake.NOON + 5000))
    local client, transport = fake.client("hypers", { token(2) }, { account = ACCOUNT, store = store })
    local first = assert(client:prepare("get_notification_task", { taskId = 7 }))
    local second = assert(client:prepare("get_notification_task", { taskId = 8 }))
    for _, request in ipairs{ first, second } do
      local _, err = client:finish(request, DENIED)
      assert.same({ "auth", "no", true }, { err.kind, err.sent, err.retry })
    end
    local third = assert(client:prepare("get_notification_task", { taskId = 7 }))
    assert.equal("2", kind_of(third))
    assert.equal("refresh", kinds_of(transport.requests))
    local _, err = client:finish(third, DENIED)
    assert.is_false(err.retry)
  end)

  it("R146 client uses the password when a refresh is refused, else says that a login is needed", function()
    for _, refusal in ipairs{ fake.answer({ error = "invalid_grant", error_description = "used" }, 400),
      fake.answer({ error = "invalid_client" }, 401) } do
      local call, store = start({ refusal, token(5), TASK }, stored(1, fake.NOON - 1))
      local reply, _, requests = call()
      assert(reply)
      assert.equal("refresh password 5", kinds_of(requests))
      assert.equal("canary-refresh-5", store.state.refresh_token)
      call = start({ refusal }, stored(1, fake.NOON - 1), without(ACCOUNT, "username", "password"))
      local err
      reply, err, requests = call()
      assert.is_nil(reply)
      assert.same({ "auth", "login_needed", "no" }, { err.kind, err.reason, err.sent })
      assert.equal("refresh", kinds_of(requests))
    end
  end)

  it("R147 client never repeats a refresh whose answer was lost, and uses the password", function()
    for _, lost in ipairs{ LOST, fake.answer("bad gateway", 502), fake.answer("{", 200) } do
      local call, _, env = start({ lost, token(5), TASK, token(6), TASK }, stored(1, fake.NOON - 1))
      local reply, _, requests = call()
      assert(reply)
      assert.equal("refresh password 5", kinds_of(requests))
      env.time = env.time + 20000
      _, _, requests = call()
      assert.equal("refresh 6", kinds_of(requests))
    end
  end)

  it("does not take a proxy that refuses its login for a platform that refuses the account", function()
    local proxy = { error = error_object.new{ kind = "auth", message = "CONNECT tunnel failed, response 407" }, sent = "no" }
    local call = start({ proxy, proxy }, nil)
    local _, err = call()
    assert.same({ "auth", "no" }, { err.kind, err.sent })
    assert.is_nil(err.reason)
    local again, store = start({ proxy, proxy }, stored(1, fake.NOON - 1))
    _, err = again()
    assert.is_nil(err.reason)
    assert.same({ "canary-refresh-1" }, { store.state.refresh_token, store.state.refreshing }) -- not presented
  end)

  it("serves the old access token to its end when the answer to an early refresh was lost", function()
    local call, store, env = start({ LOST, TASK, TASK, token(5), TASK }, stored(1, fake.NOON + 30))
    local reply, _, requests = call()
    assert(reply)
    assert.equal("refresh 1", kinds_of(requests))
    assert(store.state.refreshing)
    _, _, requests = call()
    assert.equal("1", kinds_of(requests))
    env.time = env.time + 31
    _, _, requests = call()
    assert.equal("password 5", kinds_of(requests))
  end)

  it("never presents a refresh token of which an earlier process did not see the answer", function()
    local call = start({ token(5), TASK }, stored(1, fake.NOON - 1, { refreshing = fake.NOON - 100 }))
    local _, _, requests = call()
    assert.equal("password 5", kinds_of(requests))
    call = start({ TASK }, stored(1, fake.NOON - 1, { refreshing = fake.NOON - 100 }), without(ACCOUNT, "password"))
    local reply, err
    reply, err, requests = call()
    assert.is_nil(reply)
    assert.same({ "auth", "login_needed" }, { err.kind, err.reason })
    assert.equal(0, #requests)
  end)

  it("writes the intent before it presents the refresh token", function()
    local store
    local call
    local seen
    call, store = start({ function()
      seen = store.state.refreshing
      return token(2)
    end, TASK }, stored(1, fake.NOON - 1))
    assert(call())
    assert.equal(fake.NOON, seen)
    assert.is_nil(store.state.refreshing)
  end)

  it("keeps the refresh token when it was provably not presented", function()
    local call, store = start({ NOT_SENT, token(2), TASK }, stored(1, fake.NOON - 1))
    local failed, err = call()
    assert.is_nil(failed)
    assert.equal("network", err.kind)
    assert.is_nil(store.state.refreshing)
    local reply, _, requests = call()
    assert(reply)
    assert.equal("refresh 2", kinds_of(requests))
  end)

  it("R150 client uses the old access token no more once a new one is there", function()
    local call = start({ token(2), TASK, TASK }, stored(1, fake.NOON + 30))
    local _, _, requests = call()
    assert.equal("refresh 2", kinds_of(requests))
    _, _, requests = call()
    assert.equal("2", kinds_of(requests))
  end)

  it("R151 client carries the bearer token everywhere but with downloads and token requests", function()
    local platform = require("campaign.api.platform").load("hypers")
    for _, operation in ipairs(platform.operations) do
      local expected = operation.name == "download_file" and "none" or operation.name:find("^oauth") and "basic" or "bearer"
      assert.equal(expected, operation.auth)
    end
  end)

  it("R367 client does not answer a 403 with a refresh", function()
    local call = start({ fake.answer({ code = 403, message = "no right" }, 403) }, stored(1, fake.NOON + 5000))
    local reply, err, requests = call()
    assert.is_nil(reply)
    assert.same({ "auth", "forbidden", 403 }, { err.kind, err.reason, err.status })
    assert.equal("1", kinds_of(requests))
  end)

  it("uses a ready token as it is and never refreshes it", function()
    local call = start({ DENIED }, nil, { base_url = "https://api.example", token = "canary-access-0" })
    local reply, err, requests = call()
    assert.is_nil(reply)
    assert.equal("auth", err.kind)
    assert.equal("0", kinds_of(requests))
  end)

  it("names what an account without credentials lacks", function()
    local reply, err, requests = start({ TASK }, nil, { base_url = "https://api.example" })()
    assert.is_nil(reply)
    assert.same({ "auth", "login_needed" }, { err.kind, err.reason })
    assert.equal(0, #requests)
    reply, err = start({ TASK }, nil, without(ACCOUNT, "client_secret"))()
    assert.is_nil(reply)
    assert.equal("auth", err.kind)
    assert.matches("client_secret", err.message)
  end)

  -- The tokens of a scheme of which only the refreshing is described, and the refresh tokens that were presented.
  local function refreshing(scheme, answers, state)
    local env, presented = fake.env(), {}
    scheme.kind, scheme.refresh, scheme.refresh_key = "oauth2", "renew", "seed"
    local store = fake.store(state)
    local tokens = oauth.new{
      scheme = scheme, platform = { name = "p", account = {}, operations = {} }, account = { seed = "seed-1" }, env = env, store = store,
      call = function(_, fields)
        presented[#presented + 1] = fields.refresh_token
        local answer = table.remove(answers, 1)
        return answer, not answer and error_object.new{ kind = "timeout", message = "no answer", sent = "maybe" } or nil
      end,
    }
    return tokens, presented, env, store
  end

  it("presents a refresh token again within the platform's grace, counted from its first use", function()
    local answers = { false, false, { access_token = "a", refresh_token = "seed-2", expires_in = 600 } }
    local tokens, presented, env = refreshing({ grace = 30 }, answers)
    for _ = 1, 2 do
      assert.is_nil(tokens:token())
      env.time = env.time + 14
    end
    assert.equal("a", assert(tokens:token()))
    assert.same({ "seed-1", "seed-1", "seed-1" }, presented)
    tokens, presented, env = refreshing({ grace = 30 }, { false, { access_token = "a", expires_in = 600 } })
    assert.is_nil(tokens:token())
    env.time = env.time + 30
    local got, err = tokens:token()
    assert.is_nil(got)
    assert.same({ "login_needed", 1 }, { err.reason, #presented })
    assert.matches("give a new `seed` to the account", err.hint, 1, true)
  end)

  it("presents no refresh token again because the clock was set back", function()
    for _, more in ipairs{ {}, { grace = 30 } } do
      local tokens, presented, env = refreshing(more, { false, { access_token = "a", expires_in = 600 } })
      assert.is_nil(tokens:token())
      env.time = env.time - 3600
      local got, err = tokens:token()
      assert.is_nil(got)
      assert.same({ "login_needed", 1 }, { err.reason, #presented })
    end
  end)

  it("presents a refresh token as often as needed where it does not rotate, and tells what kept it from a new token", function()
    local answers = { false, { access_token = "a", expires_in = 600 }, { access_token = "b", expires_in = 600, refresh_token = "" } }
    local tokens, presented, env, store = refreshing({ rotates = false }, answers)
    local got, err = tokens:token()
    assert.is_nil(got)
    assert.equal("timeout", err.kind)
    assert.equal("a", assert(tokens:token()))
    env.time = env.time + 600
    assert.equal("b", assert(tokens:token()))
    assert.same({ "seed-1", "seed-1", "seed-1" }, presented)
    assert.equal("seed-1", store.state.refresh_token)
  end)

  it("reads instants of any usual writing, and refuses what it cannot read", function()
    for value, expected in pairs{ [1762660900] = 100, [1762660900500] = 100.5, ["1762660900"] = 100, ["2025-11-09 12:01:40"] = 100,
      ["2025-11-09T04:01:40Z"] = 100, ["2025-11-09T04:01:40.250Z"] = 100, ["2025-11-09T06:01:40+02:00"] = 100, ["2025-11-08T22:31:40-0530"] = 100 } do
      local tokens, _, env, store = refreshing({ expires_at = "until" }, { { access_token = "a", ["until"] = value } })
      tokens.platform.zone_seconds, tokens.clock = 28800, { now = function() return env.now() end }
      assert.equal("a", tokens:token())
      assert.is_near(env.now() + expected, store.state.expires_at, 0.001)
    end
    for _, value in ipairs{ "soon", "2025-13-09 12:01:40", "2025-11-09T04:01:40+2", true, "2025-11-09 11:59:59" } do
      local tokens, _, env = refreshing({ expires_at = "until" }, { { access_token = "a", ["until"] = value } })
      tokens.platform.zone_seconds, tokens.clock = 28800, { now = function() return env.now() end }
      local got, err = tokens:token()
      assert.is_nil(got, tostring(value))
      assert.same({ "response", "bad_answer" }, { err.kind, err.reason })
    end
  end)

  it("R008 client shows no token in the errors of a failed login", function()
    local refusal = fake.answer({ error = "invalid_grant", error_description = "canary-pw of canary@user with canary-cs is wrong" }, 400)
    local reply, err = start({ refusal })()
    assert.is_nil(reply)
    assert.equal("auth", err.kind)
    assert.is_nil((tostring(err) .. tostring(err.body) .. tostring(err.cause)):find("canary", 1, true))
  end)
end)

-- SPDX-License-Identifier: MIT
-- The sandbox's token endpoint and who may call the HYPERS API, rule by rule, over real HTTP.

local core = require "campaign.core"
local h = require "sandbox.helper"

local json, rule = h.json, h.rules(it)

describe("sandbox hypers tokens", function()
  setup(function() h.start() end)
  teardown(function() h.stop() end)

  local function basic()
    local account = h.accounts.hypers
    return "Basic " .. core.digest.base64_encode(account.client_id .. ":" .. account.client_secret)
  end

  local function token(body, authorization)
    return h.post("/oauth/token", { Authorization = authorization or basic() }, body)
  end

  local function password(authorization)
    local account = h.accounts.hypers
    return token({ grant_type = "password", username = account.username, password = account.password }, authorization)
  end

  local function refresh(text)
    return token{ grant_type = "refresh_token", refresh_token = text }
  end

  local function api(authorization)
    local headers = authorization and { Authorization = authorization } or {}
    return h.get("/api/v1/notification-tasks?taskType=APPOINTMENT_REMINDER", headers)
  end

  local function refused(answer, status, word)
    assert.equal(status, answer.status, answer.body)
    if word then
      assert.equal(word, answer.json.error)
    end
  end

  rule("R131", "answers 401 invalid_client to missing, malformed or wrong client credentials", function()
    local body = { grant_type = "password", username = "x", password = "y" }
    refused(h.post("/oauth/token", {}, body), 401, "invalid_client")
    refused(password("Basic !!!"), 401, "invalid_client")
    refused(password("Basic " .. core.digest.base64_encode("sandbox-client:wrong")), 401, "invalid_client")
    refused(password("Basic"), 401, "invalid_client")
  end)

  rule("R134", "names what is wrong with a token request", function()
    local account = h.accounts.hypers
    refused(token{ grant_type = "password", username = account.username, password = "wrong" }, 400, "invalid_grant")
    refused(token{ grant_type = "password", username = "x@example.com", password = account.password }, 400,
      "invalid_grant")
    refused(token{ grant_type = "password", username = account.username }, 400, "invalid_request")
    refused(token{ username = account.username, password = account.password }, 400, "invalid_request")
    refused(token{ grant_type = "client_credentials" }, 400, "unsupported_grant_type")
  end)

  rule("R002", "takes token requests as JSON only", function()
    local text = '{"grant_type":"password","username":"' .. h.accounts.hypers.username .. '","password":"'
      .. h.accounts.hypers.password .. '"}'
    for _, content_type in ipairs{ "text/plain", "application/jsonp" } do
      refused(h.send("POST", "/oauth/token", { Authorization = basic(), ["Content-Type"] = content_type }, text), 400, "invalid_request")
    end
    refused(token("{"), 400, "invalid_request")
  end)

  it("takes form encoding when told to", function()
    h.reset()
    local account = h.accounts.hypers
    local function send()
      return h.send("POST", "/oauth/token", {
        Authorization = basic(), ["Content-Type"] = "application/x-www-form-urlencoded",
      }, "grant_type=password&username=operator%40example.com&password=" .. account.password)
    end
    assert.equal(400, send().status)
    h.form_on("oauth-form")
    assert.equal(200, send().status)
  end)

  rule("R135", "answers access_token, token_type, expires_in, refresh_token and scope", function()
    local answer = password()
    assert.equal(200, answer.status)
    assert.equal("bearer", answer.json.token_type)
    assert.equal("all", answer.json.scope)
    for _, name in ipairs{ "access_token", "refresh_token" } do
      assert.truthy(answer.json[name]:find("^%x+%-%x+%-%x+%-%x+%-%x+$"))
    end
  end)

  rule("R136", "says expires_in as the number 10599", function()
    assert.truthy(password().body:find('"expires_in":10599,', 1, true))
  end)

  rule("R140", "gives two new tokens for a refresh", function()
    local old = password().json
    local new = refresh(old.refresh_token).json
    assert.are_not.equal(old.access_token, new.access_token)
    assert.are_not.equal(old.refresh_token, new.refresh_token)
    assert.equal(200, refresh(new.refresh_token).status)
  end)

  rule("R141", "refuses a refresh token that was used", function()
    local old = password().json
    assert.equal(200, refresh(old.refresh_token).status)
    refused(refresh(old.refresh_token), 400, "invalid_grant")
  end)

  it("refuses unknown and expired refresh tokens", function()
    h.reset()
    refused(refresh("unknown"), 400, "invalid_grant")
    refused(token{ grant_type = "refresh_token" }, 400, "invalid_request")
    h.control("settings", { ["hypers.refresh_life"] = 60 })
    local old = password().json
    h.control("clock", { advance = 61 })
    refused(refresh(old.refresh_token), 400, "invalid_grant")
  end)

  rule("R148", "refuses an access token once expires_in seconds have passed", function()
    local access = "Bearer " .. password().json.access_token
    h.control("clock", { advance = 10598 })
    assert.equal(200, api(access).status)
    h.control("clock", { advance = 1 })
    assert.equal(401, api(access).status)
  end)

  rule("R149", "keeps the old access token valid after a refresh", function()
    local old = password().json
    refresh(old.refresh_token)
    assert.equal(200, api("Bearer " .. old.access_token).status)
  end)

  it("ends the old access token at a refresh when told to", function()
    h.reset()
    h.form_on("refresh-ends-access")
    local old = password().json
    refresh(old.refresh_token)
    assert.equal(401, api("Bearer " .. old.access_token).status)
  end)

  rule("R152", "answers 401 to an API request without a token, or with an unknown or expired one", function()
    assert.equal(401, api().status)
    assert.equal(401, api("Bearer unknown").status)
    local access = password().json.access_token
    h.control("clock", { advance = 20000 })
    assert.equal(401, api("Bearer " .. access).status)
    assert.equal(401, h.post("/api/v1/notification-tasks", {}, "{}").status)
  end)

  rule("R153", "takes the scheme word in any letter case", function()
    local access = password((basic():gsub("Basic", "bASIC"))).json.access_token
    assert.equal(200, api("bearer " .. access).status)
    assert.equal(200, api("BEARER " .. access).status)
  end)

  rule("R154", "answers 401 to Basic at the API and Bearer at the token endpoint", function()
    local access = password().json.access_token
    assert.equal(401, api(basic()).status)
    assert.equal(401, password("Bearer " .. access).status)
  end)

  rule("R364", "has error and error_description in the token endpoint's errors", function()
    local answer = password("Basic wrong")
    assert.equal("invalid_client", answer.json.error)
    assert.equal("string", type(answer.json.error_description))
    answer = h.get("/oauth/token", { Authorization = basic() })
    refused(answer, 405, "invalid_request")
    assert.equal("POST", answer.headers.allow)
    refused(token((" "):rep(16 * 1048576) .. "{}"), 413, "invalid_request")
  end)

  it("logs a grant without its secrets", function()
    h.reset()
    local tokens = password().json
    local list = h.control("commits")
    assert.equal("oauth_obtain_token", list.commits[1].operation)
    local text = json.encode(list)
    assert.is_nil(text:find(tokens.access_token, 1, true))
    assert.is_nil(text:find(tokens.refresh_token, 1, true))
  end)

  it("ends a token early and loses a refresh's reply on order", function()
    h.reset()
    local tokens = password().json
    h.faults("list_notification_tasks:expire-token@2", "oauth_refresh_token:lost-refresh-reply@1")
    assert.equal(200, api("Bearer " .. tokens.access_token).status)
    assert.equal(401, api("Bearer " .. tokens.access_token).status)
    local lost = refresh(tokens.refresh_token)
    assert.is_nil(lost.status)
    assert.equal("maybe", lost.sent)
    refused(refresh(tokens.refresh_token), 400, "invalid_grant")
  end)
end)

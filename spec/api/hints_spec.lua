-- SPDX-License-Identifier: MIT
-- What a call says that found nobody to talk to: what to do, beside what was wrong, in the words of the libcurl that is there.

local campaign = require "campaign"
local hints = require "campaign.api.hints"
local raw_server = require "support.raw_server"
local tls_server = require "support.tls_server"

local FIELDS = { publicParams = { isMatching = false, optType = "add" }, data = { { thirdId = "1", groups = { "g" } } } }

describe("hints", function()
  local tls, raw
  setup(function()
    tls, raw = assert(tls_server.start()), raw_server.start()
  end)
  teardown(function()
    tls:stop()
    raw:stop()
  end)

  local function call(account, options)
    account.token = "canary-token"
    local client = assert(campaign.connect("tuzhan", account))
    local reply, err = client:batch_add_group_relations(FIELDS, options or { retries = 0, timeout = 5 })
    client:close()
    assert.is_nil(reply)
    return err
  end

  it("say for each certificate that is refused what is to be done, and nothing was sent", function()
    for site, words in pairs{
      expired = "must renew its certificate", ["other-host"] = "check the account's base_url", foreign = "in the account's ca_file",
      self = "in the account's ca_file", tls10 = "versions of TLS", tls11 = "versions of TLS",
    } do
      local err = call{ base_url = (tls.urls[site]:gsub("/$", "")), ca_file = tls.ca_file }
      assert.same({ "tls", "no", false }, { err.kind, err.sent, err.retry }, site)
      assert.truthy(tostring(err):find(words, 1, true), site .. ": " .. tostring(err))
    end
    local err = call{ base_url = (tls.urls.good:gsub("/$", "")), ca_file = tls.folder .. "/missing.pem" }
    assert.truthy(tostring(err):find("PEM form", 1, true), tostring(err))
  end)

  it("say what a proxy, a name or a port is that leads nowhere, and name no secret of the proxy", function()
    for words, account in pairs{
      ["check the account's proxy"] = { base_url = "https://api.example", proxy = "http://user:canary-proxy@127.0.0.1:" .. raw.port },
      ["this machine's name service"] = { base_url = "https://nobody.invalid" },
      ["check the host in the account's proxy"] = { base_url = "https://api.example", proxy = "http://user:canary-proxy@nobody.invalid:1" },
    } do
      local err = call(account)
      assert.equal("no", err.sent)
      assert.truthy(tostring(err):find(words, 1, true), tostring(err))
      assert.is_nil(tostring(err):find("canary", 1, true))
    end
  end)

  it("say of a proxy's login that is refused what to do, and the call is not made again: many attempts may lock it", function()
    local before = #raw:commits()
    local err = call({ base_url = "https://login.example", proxy = "http://user:canary-proxy@127.0.0.1:" .. raw.port }, { retries = 2 })
    assert.same({ "auth", "no", false, 1 }, { err.kind, err.sent, err.retry, #raw:commits() - before })
    assert.truthy(err.hint:find("user:password@host", 1, true))
  end)

  it("say that a proxy wants a login, and nothing where there is nothing to advise", function()
    for message, words in pairs{
      ["api.example: CONNECT tunnel failed, response 407"] = "user:password@host",
      ["h: Received HTTP code 407 from proxy after CONNECT"] = "user:password@host",
      ["api.example: CONNECT tunnel failed, response 503"] = "does not make the connection",
    } do
      assert.truthy(hints.of({ kind = message:find("407", 1, true) and "auth" or "network", message = message }):find(words, 1, true))
    end
    local no_tls = hints.of{ kind = "tls", message = "h: OpenSSL/3.0.22: error:0A00010B:SSL routines::wrong version number" }
    assert.truthy(no_tls:find("speak TLS", 1, true))
    assert.is_nil(hints.of{ kind = "network", message = "h: Connection reset by peer" })
    assert.is_nil(hints.of{ kind = "response", message = "certificate has expired" })
  end)
end)

-- SPDX-License-Identifier: MIT
local command = require "support.command"
local config = require "campaign.config"
local core = require "campaign.core"
local fake = require "support.fake"
local json = require "campaign.json"
local platforms = require "campaign.api.platform"

local outbound, hypers = platforms.load("outbound"), platforms.load("hypers")

local folder

-- Writes an accounts file and gives an environment that names it.
local function with_file(content, variables)
  local path = folder .. "/accounts.json"
  assert(core.system.write_atomic(path, type(content) == "table" and json.encode(content) or content))
  local all = { CAMPAIGN_ACCOUNTS = path }
  for key, value in pairs(variables or {}) do
    all[key] = value
  end
  return fake.env(all)
end

local WELL = { base_url = "https://o.example", token = "canary-secret" }

local function refused(given, env, platform)
  local account, err = config.account(platform or outbound, given, env or fake.env())
  assert.is_nil(account)
  assert.equal("no", err.sent)
  assert.is_nil(tostring(err):find("canary", 1, true))
  return err
end

describe("config", function()
  before_each(function() folder = command.folder() end)
  after_each(function() command.remove(folder) end)

  it("takes given values before the environment, and that before the accounts file", function()
    local file = { outbound = { default = { base_url = "https://file.example", token = "file-token", abbreviate = "file" } } }
    local env = with_file(file, { CAMPAIGN_OUTBOUND_TOKEN = "env-token", CAMPAIGN_OUTBOUND_ABBREVIATE = "env" })
    local account = assert(config.account(outbound, { abbreviate = "given" }, env))
    assert.same({ "https://file.example", "env-token", "given" }, { account.base_url, account.token, account.abbreviate })
  end)

  it("takes an account that is asked for by its name before the environment, which gives what the account lacks", function()
    local file = { outbound = { default = WELL, berlin = { base_url = "https://berlin.example", token = "berlin-token" } } }
    local env = with_file(file, { CAMPAIGN_OUTBOUND_TOKEN = "env-token", CAMPAIGN_OUTBOUND_ABBREVIATE = "env" })
    for _, named in ipairs{ "berlin", { account = "berlin" } } do
      local account = assert(config.account(outbound, named, env))
      assert.same({ "https://berlin.example", "berlin-token", "env" }, { account.base_url, account.token, account.abbreviate })
    end
    assert.equal("given", config.account(outbound, { account = "berlin", token = "given" }, env).token)
  end)

  it("reads every key of every platform from CAMPAIGN_<PLATFORM>_<KEY>", function()
    local env = fake.env{
      CAMPAIGN_HYPERS_BASE_URL = "https://h.example", CAMPAIGN_HYPERS_OAUTH_URL = "https://login.example",
      CAMPAIGN_HYPERS_CLIENT_ID = "id", CAMPAIGN_HYPERS_CLIENT_SECRET = "cs", CAMPAIGN_HYPERS_USERNAME = "u@x",
      CAMPAIGN_HYPERS_PASSWORD = "p", CAMPAIGN_HYPERS_SERVER_VARIABLES = "shop, city ", CAMPAIGN_HYPERS_ALLOW_HTTP = "0",
    }
    local account = assert(config.account(hypers, nil, env))
    assert.same({ "https://h.example", "https://login.example", "id", "cs", "u@x", "p", false },
      { account.base_url, account.oauth_url, account.client_id, account.client_secret, account.username, account.password,
        account.allow_http })
    assert.same({ "shop", "city" }, account.server_variables)
    env = fake.env{ CAMPAIGN_OUTBOUND_BASE_URL = "https://o.example", CAMPAIGN_OUTBOUND_TOKEN = "t", CAMPAIGN_OUTBOUND_COMPANY_ID = "7" }
    assert.equal(7, config.account(outbound, nil, env).company_id)
  end)

  it("finds the accounts file under XDG_CONFIG_HOME or HOME", function()
    assert(core.system.make_dirs(folder .. "/.config/campaign"))
    assert(core.system.write_atomic(folder .. "/.config/campaign/accounts.json", json.encode{ outbound = { main = WELL } }))
    assert.equal("main", config.account(outbound, nil, fake.env{ HOME = folder }).name)
    assert.equal("main", config.account(outbound, nil, fake.env{ HOME = "/nowhere", XDG_CONFIG_HOME = folder .. "/.config" }).name)
  end)

  it("takes a named account, else `default`, else the only one", function()
    local other = { base_url = "https://p.example", token = "t-2" }
    local env = with_file{ outbound = { default = WELL, test = other } }
    assert.equal("https://p.example", config.account(outbound, "test", env).base_url)
    assert.equal("https://p.example", config.account(outbound, { account = "test" }, env).base_url)
    assert.equal("default", config.account(outbound, nil, env).name)
    env = with_file{ outbound = { live = WELL, test = other } }
    assert.matches("live, test", refused(nil, env).message)
    assert.matches("did you mean `live`", refused("lvie", env).message)
    assert.matches("no account `test`", refused("test", fake.env{ HOME = "/nowhere" }).message)
    assert.equal("outbound: there is no account `test`: the environment names no accounts file, and no home to look for one (set CAMPAIGN_ACCOUNTS)",
      tostring(refused("test", fake.env())))
    assert.matches("no accounts for outbound", refused("x", with_file{ tuzhan = { default = WELL } }).message)
  end)

  it("refuses an accounts file that others can read or change, that is damaged, or that is a link or folder", function()
    for _, mode in ipairs{ "644", "620", "604", "602", "601", "640" } do
      local env = with_file{ outbound = { default = WELL } }
      os.execute("chmod " .. mode .. " " .. folder .. "/accounts.json")
      assert.matches("chmod 600", tostring(refused(nil, env)))
    end
    assert.matches("accounts.json", refused(nil, with_file("{")).message)
    assert.matches("not a JSON object", refused(nil, with_file("[]")).message)
    assert.matches("must be an object", refused(nil, with_file{ outbound = "x" }).message)
    refused(nil, with_file{ outbound = { default = "x" } })
    os.rename(folder .. "/accounts.json", folder .. "/real.json")
    os.execute("ln -s real.json " .. folder .. "/accounts.json")
    refused(nil, fake.env{ CAMPAIGN_ACCOUNTS = folder .. "/accounts.json" })
    refused(nil, fake.env{ CAMPAIGN_ACCOUNTS = folder })
    refused(nil, fake.env{ CAMPAIGN_ACCOUNTS = folder .. "/none.json" })
  end)

  it("names missing keys with the three ways to give them", function()
    local err = refused({ token = "canary" })
    assert.equal("usage", err.kind)
    assert.matches("`base_url`", tostring(err))
    assert.matches("campaign%.connect", tostring(err))
    assert.matches("CAMPAIGN_OUTBOUND_BASE_URL", tostring(err))
    assert.matches("accounts%.json", tostring(err))
    err = refused({ base_url = "https://o.example" })
    assert.equal("auth", err.kind)
    assert.equal("missing_credentials", err.reason)
    assert.matches("CAMPAIGN_OUTBOUND_TOKEN", tostring(err))
    assert.matches("base_url` and no `token", refused({}).message)
    assert.is_nil(tostring(err):find("nginx", 1, true))
    local was = package.loaded.ngx
    package.loaded.ngx = {} -- whose workers see no variable that nginx.conf does not name
    err = refused({ token = "canary" })
    package.loaded.ngx = was
    assert.matches("in the environment (nginx.conf must name it with `env`", tostring(err), 1, true)
  end)

  it("says of an accounts file that it may not read whose it probably is", function()
    local stat, read = core.system.stat, core.system.read_file
    core.system.stat = function() return nil, { message = "no", code = 13 } end
    core.system.read_file = function(path) return nil, { message = path .. ": Permission denied", code = 13 } end
    local err = refused(nil, fake.env{ HOME = "/root" })
    local of_named = refused(nil, fake.env{ HOME = "/root", CAMPAIGN_ACCOUNTS = "/etc/accounts.json" })
    core.system.stat, core.system.read_file = stat, read
    assert.matches("/root/.config/campaign/accounts.json: Permission denied (is HOME that of another user?", tostring(err), 1, true)
    assert.matches("/etc/accounts.json: Permission denied (it must belong to the user of this process)", tostring(of_named), 1, true)
  end)

  it("refuses unknown keys, given or in the file, with the nearest one", function()
    assert.matches("did you mean `base_url`", refused({ baseurl = "https://x" }).message)
    assert.matches("did you mean `token`", refused(nil, with_file{ outbound = { default = { tokn = "canary" } } }).message)
    assert.has_error(function() config.account(outbound, 7, fake.env()) end)
    assert.has_error(function() config.account(outbound, { account = 7 }, fake.env()) end)
  end)

  it("R003 client takes base URLs from settings only", function()
    assert.matches("`base_url`", refused({ token = "t" }).message)
    assert.matches("`base_url`", refused({ token = "t" }, nil, platforms.load("longlong")).message)
  end)

  it("R128 client speaks https only with the token endpoint", function()
    refused({ base_url = "https://h.example", oauth_url = "http://h.example" }, nil, hypers)
    assert(config.account(hypers, { base_url = "https://h.example", oauth_url = "https://h.example" }, fake.env()))
  end)

  it("R129 client speaks plain http with loopback, or after an explicit switch", function()
    for _, host in ipairs{ "127.0.0.1:8080", "localhost", "[::1]:80", "127.9.9.9" } do
      assert(config.account(outbound, { base_url = "http://" .. host, token = "t" }, fake.env()))
    end
    for _, host in ipairs{ "o.example", "10.0.0.1", "localhost.evil.example", "127.0.0.1.evil.example", "[::2]" } do
      assert.matches("https", refused({ base_url = "http://" .. host, token = "canary" }).message)
      assert(config.account(outbound, { base_url = "http://" .. host, token = "t", allow_http = true }, fake.env()))
    end
  end)

  it("refuses base URLs that are none", function()
    for _, url in ipairs{ "o.example", "ftp://o.example", "https://", "https://u:canary@o.example", "https://o.example?x", "https://o.example#x",
      "https://o example", "https://o.example\n", "javascript:alert(1)", "https:///x", "", "https://o.example:x" } do
      refused({ base_url = url, token = "t" })
    end
    assert(config.account(outbound, { base_url = "https://o.example/gateway/v1/", token = "t" }, fake.env()))
  end)

  it("refuses values with line ends, NUL or of another type, without showing them", function()
    for _, token in ipairs{ "canary\n", "canary\r\nX: y", "canary\0", "", 7, true, {} } do
      local err = refused({ base_url = "https://o.example", token = token })
      assert.matches("`token`", err.message)
    end
    refused({ base_url = "https://o.example", token = "t", company_id = "7x" })
    refused({ base_url = "https://o.example", token = "t", success_codes = 7 })
    refused({ base_url = "https://o.example", token = "t", allow_http = "perhaps" })
  end)

  it("R008 client shows no secret when an account is printed, walked or written", function()
    local account = assert(config.account(outbound, WELL, fake.env()))
    assert.equal("canary-secret", account.token)
    assert.is_nil(tostring(account):find("canary", 1, true))
    for key, value in pairs(account) do
      assert.is_nil((tostring(key) .. tostring(value)):find("canary", 1, true))
    end
    assert.is_nil(json.encode(account):find("canary", 1, true))
    assert.matches("outbound/default", tostring(account))
  end)

  it("gives different credentials different ids, without showing them", function()
    local first = assert(config.account(outbound, WELL, fake.env()))
    local second = assert(config.account(outbound, { base_url = WELL.base_url, token = "canary-2" }, fake.env()))
    local third = assert(config.account(outbound, WELL, fake.env()))
    assert.are_not.equal(first.id, second.id)
    assert.equal(first.id, third.id)
    assert.is_nil(first.id:find("canary", 1, true))
  end)
end)

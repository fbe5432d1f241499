-- SPDX-License-Identifier: MIT
-- A platform whose signatures stand in the body that they cover, from its data alone, against a server that knows nothing of that data.

local campaign = require "campaign"
local cjson = require "cjson"
local command = require "spec.support.command"
local core = require "campaign.core"
local platform_files = require "spec.support.platform_files"

local PATH = "./examples/platforms/orchard.lua"

describe("a platform with signatures in its bodies", function()
  local server, account, folder

  setup(function()
    folder = command.folder()
    server = assert(core.system.spawn{ command.LUA == "5.4" and "lua5.4" or "luajit", "spec/support/orchard_server.lua", pipe = true })
    account = { base_url = "http://127.0.0.1:" .. assert(server:read_line(30)), app_key = "app-1", app_secret = "S-3cret", form_key = "AP8QIGtleSA=" }
  end)
  teardown(function()
    server:close()
    command.remove(folder)
  end)

  local function connect(more)
    local given = {}
    for name, value in pairs(account) do
      given[name] = value
    end
    for name, value in pairs(more or {}) do
      given[name] = value
    end
    local env = setmetatable({ getenv = function(name) return name == "CAMPAIGN_STATE_DIR" and folder .. "/tokens" or nil end },
      { __index = require("campaign.env").default() })
    return assert(campaign.connect(PATH, given, { env = env }))
  end

  local function environment()
    return { CAMPAIGN_ORCHARD_BASE_URL = account.base_url, CAMPAIGN_ORCHARD_APP_KEY = "app-1", CAMPAIGN_ORCHARD_APP_SECRET = "S-3cret",
      CAMPAIGN_ORCHARD_FORM_KEY = account.form_key, CAMPAIGN_STATE_DIR = folder .. "/state" }
  end

  it("is called with time, nonce and signature as fields of the JSON, of which a server finds by itself that they are right", function()
    local client = connect()
    local gifts = { { mobile = "13000001111", points = 5, reason = 'a "quoted" \\ & = 原因' } }
    local cases = { {}, { note = "" }, { note = 'x="1"&y\n' }, { notify = false, ratio = 0.1, tags = { "b", "a" } }, { shop = "{secret}&" } }
    for index, more in ipairs(cases) do
      local fields = { shop = "店铺 1", data = { batch = "b" .. index, gifts = gifts } }
      for name, value in pairs(more) do
        fields[name] = value
      end
      local reply, err = client:give_points(fields)
      assert(reply, tostring(err))
    end
    assert(client:give_points{ shop = "no batch", data = { gifts = gifts } })
    assert.equal(30, assert(client:find_member{ mobile = "13000001111" }).points)
    client:close()
  end)

  it("is called with a token and a signature at once, and gets another token when one is over", function()
    local client = connect()
    assert.same({ "1" }, assert(client:list_shops{}).shops)
    assert.same({ "1" }, assert(client:list_shops{ city = "上海 a=b&c" }).shops)
    assert(client:list_shops{ city = "over" })
    assert.same({ "2" }, assert(client:list_shops{}).shops)
    assert(client:list_shops{ city = "over" })
    client:close()
    local again = connect()
    assert.same({ "3" }, assert(again:list_shops{}).shops)
    again:close()
  end)

  it("refuses a wrong secret, and what is no base64 is refused before anything is sent", function()
    local client = connect{ app_secret = "S-4cret" }
    local reply, err = client:give_points{ shop = "s", data = { gifts = { { mobile = "13000001111", points = 5 } } } }
    assert.is_nil(reply)
    assert.same({ "auth", "bad_signature", "no" }, { err.kind, err.reason, err.sent })
    client:close()
    client = connect{ form_key = "no base64!" }
    reply, err = client:find_member{ mobile = "13000001111" }
    assert.is_nil(reply)
    assert.same({ "auth", "no" }, { err.kind, err.sent })
    assert.matches("`form_key` is not base64", err.message, 1, true)
    assert.is_nil(tostring(err):find("no base64!", 1, true))
    client:close()
    client = connect{ form_key = "AP8QIGtleSA" } -- without its padding
    assert(client:find_member{ mobile = "13000001111" })
    client:close()
  end)

  it("imports rows in an object of the body, each batch signed", function()
    local lines = { "手机号,points,reason" }
    for i = 1, 1100 do
      lines[#lines + 1] = ('1310000%04d,3,"r ""%d"""'):format(i, i)
    end
    local list = command.write(folder .. "/list.csv", table.concat(lines, "\n") .. "\n")
    local result = command.campaign({ "import", list, "--to", PATH .. ".give_points", "-p", "shop=店铺 1", "-p", "data.batch=b", "--job",
      folder .. "/job" }, { env = environment() })
    assert.equal(0, result.code, result.out .. result.err)
    local client = connect()
    assert.equal(3, assert(client:find_member{ mobile = "13100001100" }).points)
    assert.equal(3, assert(client:find_member{ mobile = "13100000001" }).points)
    client:close()
    result = command.campaign({ "call", PATH .. ".find_member", "-p", "mobile=13100000001" }, { env = environment() })
    assert.matches("3", result.out, 1, true)
  end)

  it("is described with what stands in its bodies", function()
    local document = cjson.decode(command.campaign({ "openapi", PATH }).out)
    assert.is_nil(document.components.securitySchemes and document.components.securitySchemes.signed)
    local schema = document.paths["/partner/points"].post.requestBody.content["application/json"].schema
    assert.equal("integer", schema.properties.timestamp.type)
    assert.matches("where the signature is md5 (upper_hex) of `{params}&key={secret}`", schema.properties.sign.description, 1, true)
    assert.matches("give_points\tPOST\t/partner/points\tsignature:md5", command.campaign({ "operations", PATH, "--format", "tsv" }).out, 1, true)
  end)

  it("is checked when the file is read", function()
    platform_files.assert_refused(PATH, folder, {
      { 'json = "sign", value', 'json = "shop", value', "sends `shop`, which the call has already" },
      { '{ json = "nonce", value', '{ json = "nonce", query = "n", value', "goes into one of `header`, `query`, `json` and `form`" },
      { '"{timestamp}", type = "integer"', '"{nonce}", type = "integer"', "`integer` is for a `{timestamp}`" },
      { 'text = "{params}&key={secret}"', 'text = "{body}&key={secret}"', "covers the body, in which the signature is to stand" },
      { '{ form = "t"', '{ json = "t"', "sends `t` in a body `json`, and that of the call is `form`" },
      { 'of = { "form" } }', 'of = { "form" }, skip_nested = true }', "skip_nested: is for `of` with `json`" },
      { 'tokens = "session"', 'tokens = "keyed"', "tokens: there is no scheme `keyed` of kind `oauth2`" },
      { 'access_token", value = "{token}"', 'access_token", value = "{key}"', "carries no `{token}`" },
      { 'app_key", value = "{key}" }, { form = "t"', 'app_key", value = "{token}" }, { form = "t"', "`{token}` needs `tokens`" },
      { 'path = "/partner/session", auth = "signed"', 'path = "/partner/session", auth = "shop"', "needs a token itself" },
      { 'secret_encoding = "base64"', 'secret_encoding = "base32"', "secret_encoding: must be one of base64, hex" },
    })
  end)
end)

-- SPDX-License-Identifier: MIT
-- Signed calls: published vectors of real vendors' schemes, each attempt signed anew, and a secret that shows nowhere.

local build = require "campaign.api.build"
local campaign = require "campaign"
local command = require "spec.support.command"
local error_object = require "campaign.error"
local fake = require "support.fake"
local replay = require "campaign.recording.replay"
local sign = require "campaign.api.sign"

local function header(request, name)
  for _, pair in ipairs(request.headers) do
    if pair[1] == name then
      return pair[2]
    end
  end
end

-- A call with these fields, all of them in the query unless `where` says it.
local function signed(scheme, fields, more)
  more = more or {}
  local operation = { name = "call", platform = "p", path = more.path or "/", method = more.method or "GET", body = more.body or "none",
    scheme = scheme, fields = {} }
  local values = {}
  for _, field in ipairs(fields) do
    operation.fields[#operation.fields + 1] = { name = field[1], where = more.where or "query", type = "string" }
    values[field[1]] = field[2]
  end
  local account = { base_url = more.base_url or "https://api.example", id = more.id, secret = more.secret }
  local request = assert(build.request(operation, values, account))
  return sign.request(request, { operation = operation, values = values, account = account, body = request.body and request.body.text,
    now = more.now or 0, zone_seconds = 28800, random = more.random or function(count) return ("\171"):rep(count) end })
end

describe("api.sign", function()
  it("signs as a gateway that hashes sorted parameters between its secret has it (MD5, upper hex)", function()
    local request = signed({
      kind = "signature", key = "id", secret = "secret", algorithm = "md5", output = "upper_hex", timestamp = "datetime",
      params = { of = { "query", "form" }, equals = "", between = "", skip_empty = true }, text = "{secret}{params}{secret}",
      send = { { query = "app_key", value = "{key}" }, { query = "timestamp", value = "{timestamp}" }, { query = "sign", value = "{signature}" } },
    }, {
      { "method", "taobao.item.seller.get" }, { "v", "2.0" }, { "sign_method", "md5" }, { "format", "json" }, { "session", "test" },
      { "fields", "num_iid,title,nick,price,num" }, { "num_iid", "11223344" }, { "empty", "" },
    }, { id = "12345678", secret = "helloworld", now = 1451620800 })
    assert.matches("sign=66987CB115214E59E6EC978214934FB8", request.url, 1, true)
    assert.matches("timestamp=2016%-01%-01%%2012%%3A00%%3A00&", request.url)
  end)

  it("signs as an API that ends its sorted parameters with a key has it (MD5, and HMAC-SHA256)", function()
    local fields = { { "mch_id", "10000100" }, { "appid", "wxd930ea5d5a258f4f" }, { "device_info", "1000" }, { "body", "test" },
      { "nonce_str", "ibuaiVcKdpRxkhJA" } }
    for algorithm, wanted in pairs({ md5 = "9A0A8659F005D6984697E2CA0A9CF3B7",
      ["hmac-sha256"] = "6A9AE1657590FD6257D693A078E1C3E4BB6BA4DC30B23E0EE2496E54170DACD6" }) do
      local request = signed({
        kind = "signature", secret = "secret", algorithm = algorithm, output = "upper_hex", params = { of = { "form" } },
        text = "{params}&key={secret}", send = { { header = "X-Sign", value = "{signature}" } },
      }, fields, { secret = "192006250b4c09247ec02edce69f6a2d", method = "POST", body = "form", where = "form" })
      assert.equal(wanted, header(request, "X-Sign"))
    end
  end)

  it("signs as an API that encodes its parameters twice has it (HMAC-SHA1 with a longer key, base64)", function()
    local request = signed({
      kind = "signature", key = "id", secret = "secret", hmac_key = "{secret}&", algorithm = "hmac-sha1", output = "base64", timestamp = "iso8601",
      text = "{method}&%2F&{params_encoded}", send = { { query = "AccessKeyId", value = "{key}" }, { query = "Timestamp", value = "{timestamp}" },
        { query = "Signature", value = "{signature}" } },
    }, {
      { "Format", "XML" }, { "Action", "DescribeRegions" }, { "SignatureMethod", "HMAC-SHA1" }, { "Version", "2014-05-26" },
      { "SignatureNonce", "3ee8c1b8-83d3-44af-a94f-4e0ad82fd6cf" }, { "SignatureVersion", "1.0" },
    }, { id = "testid", secret = "testsecret", now = 1456231584 })
    assert.matches("&Signature=OLeaidS1JvxuMvnyHOwuJ%2BuX5qY%3D", request.url, 1, true)
  end)

  it("signs the digest of a canonical request with a key that is a chain of HMACs, as clouds have it (two published vectors)", function()
    local request = signed({
      kind = "signature", key = "id", secret = "secret", algorithm = "hmac-sha256", timestamp = "iso8601_basic",
      body_digest = { algorithm = "sha256" }, hmac_key = { "AWS4{secret}", "{date_basic}", "us-east-1", "service", "aws4_request" },
      canonical = { algorithm = "sha256",
        text = "{method}\n{path}\n{params}\nhost:{host}\nx-amz-date:{header:X-Amz-Date}\n\nhost;x-amz-date\n{body_digest}" },
      text = "AWS4-HMAC-SHA256\n{timestamp}\n{date_basic}/us-east-1/service/aws4_request\n{canonical_digest}",
      send = { { header = "X-Amz-Date", value = "{timestamp}" }, { header = "Authorization", value = "Signature={signature}" } },
    }, {}, { id = "AKIDEXAMPLE", secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", base_url = "https://example.amazonaws.com",
      now = 1440938160 })
    assert.equal("20150830T123600Z", header(request, "X-Amz-Date"))
    assert.equal("Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31", header(request, "Authorization"))

    local scheme = {
      kind = "signature", key = "id", secret = "secret", algorithm = "hmac-sha256", timestamp = "seconds",
      body_digest = { algorithm = "sha256" }, hmac_key = { "TC3{secret}", "{date}", "cvm", "tc3_request" },
      canonical = { algorithm = "sha256",
        text = "{method}\n/\n{params}\ncontent-type:application/json; charset=utf-8\nhost:{host}\n\ncontent-type;host\n{body_digest}" },
      text = "TC3-HMAC-SHA256\n{timestamp}\n{date}/cvm/tc3_request\n{canonical_digest}",
      send = { { header = "Authorization", value = "{date} {signature}" } },
    }
    assert.is_true(sign.covers_body({ scheme = scheme }))
    local signed_request = sign.request({ method = "POST", url = "https://cvm.tencentcloudapi.com/", headers = {} }, {
      operation = { name = "call", platform = "p", fields = {}, scheme = scheme }, values = {}, now = 1551113065, zone_seconds = 28800,
      account = { id = "AKIDz8krbsJ5yKBZQpn74WFkmLPx3*******", secret = "Gu5t9xGARNpq86cd98joQYCN3*******" },
      body = [[{"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], "Name": "instance-name"}]}]],
    })
    assert.equal("2019-02-25 2230eefd229f582d8b1b891af7107b91597240707d778ab3738f756258d7652c", header(signed_request, "Authorization"))
  end)

  it("signs the fields of a JSON body, in which it stands itself (MD5, and HMAC-SHA256)", function()
    local fields = { { "mch_id", "10000100" }, { "appid", "wxd930ea5d5a258f4f" }, { "device_info", "1000" }, { "body", "test" } }
    for algorithm, wanted in pairs({ md5 = "9A0A8659F005D6984697E2CA0A9CF3B7",
      ["hmac-sha256"] = "6A9AE1657590FD6257D693A078E1C3E4BB6BA4DC30B23E0EE2496E54170DACD6" }) do
      local request = signed({
        kind = "signature", key = "id", secret = "secret", algorithm = algorithm, output = "upper_hex", params = { of = { "json" } },
        text = "{params}&key={secret}", send = { { json = "sign", value = "{signature}" }, { json = "nonce_str", value = "{key}" } },
      }, fields, { id = "ibuaiVcKdpRxkhJA", secret = "192006250b4c09247ec02edce69f6a2d", method = "POST", body = "json", where = "json" })
      assert.equal('{"mch_id":"10000100","appid":"wxd930ea5d5a258f4f","device_info":"1000","body":"test","nonce_str":"ibuaiVcKdpRxkhJA","sign":"'
        .. wanted .. '"}', request.body.signed)
    end
    local empty = signed({ kind = "signature", secret = "secret", algorithm = "md5", text = "{secret}",
      send = { { json = "sign", value = "{signature}" } } }, {}, { secret = "s", method = "POST", body = "json", where = "json" })
    assert.equal('{"sign":"03c7c0ace395d80182db07ae2c30f034"}', empty.body.signed)
  end)

  it("signs values as they are sent, nested ones as their JSON or not at all", function()
    local inner = { type = "array", items = { type = "object", fields = { { name = "b", type = "integer" }, { name = "a" } } } }
    local operation = { name = "call", platform = "p", path = "/", method = "POST", body = "json", fields = {
      { name = "n", where = "json", type = "int64" }, { name = "list", where = "json", type = "array", items = inner.items },
      { name = "t", where = "json", type = "string" }, { name = "yes", where = "json", type = "boolean" },
      { name = "tags", where = "json", type = "array", items = { type = "string" }, join = "|" }, { name = "q", where = "query", type = "string" },
    } }
    for skip, text in pairs({ [false] = 'list=[{"b":2,"a":"\\"é"}]&n=9007199254740993&t=[a "é"]&tags=x|y&yes=true',
      [true] = 'n=9007199254740993&t=[a "é"]&tags=x|y&yes=true' }) do
      operation.scheme = { kind = "signature", secret = "secret", algorithm = "sha256", text = "{params}{secret}",
        params = { of = { "json" }, skip_nested = skip }, send = { { header = "X-Sign", value = "{signature}" } } }
      local values = { n = "9007199254740993", list = { { b = 2, a = '"é' } }, t = '[a "é"]', yes = true, tags = { "x", "y" }, q = "no" }
      local account = { base_url = "https://api.example", secret = "s" }
      local request = assert(sign.request(assert(build.request(operation, values, account)),
        { operation = operation, values = values, account = account, now = 0, zone_seconds = 0 }))
      assert.equal(require("campaign.core").digest.sha256(text .. "s"), header(request, "X-Sign"))
    end
  end)

  it("signs with a key that is written in hex or base64 (a published vector), and refuses one that is not", function()
    for encoding, secrets in pairs({ hex = { ("0b"):rep(20), ("0B"):rep(20) },
      base64 = { "CwsLCwsLCwsLCwsLCwsLCwsLCws=", "CwsLCwsLCwsLCwsLCwsLCwsLCws" } }) do
      local scheme = { kind = "signature", secret = "secret", secret_encoding = encoding, algorithm = "hmac-sha256", text = "Hi There",
        send = { { header = "X-Sign", value = "{signature}" } } }
      for _, secret in ipairs(secrets) do
        local request = signed(scheme, {}, { secret = secret })
        assert.equal("b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7", header(request, "X-Sign"))
      end
      local request, err = signed(scheme, {}, { secret = "0bx" })
      assert.is_nil(request)
      assert.same({ "auth", "no" }, { err.kind, err.sent })
      assert.is_nil(tostring(err):find("0bx", 1, true))
    end
    local scheme = { kind = "signature", secret = "secret", secret_encoding = "base64", algorithm = "hmac-md5", text = "x",
      send = { { header = "X-Sign", value = "{signature}" } } }
    assert.same(signed(scheme, {}, { secret = "+/+/" }), signed(scheme, {}, { secret = "-_-_" }))
  end)

  it("signs the host as the header says it: without the port that goes without saying", function()
    for base_url, host in pairs({
      ["https://api.example:443"] = "api.example", ["http://api.example:080"] = "api.example", ["https://api.example:80/v1"] = "api.example:80",
      ["http://api.example:08443"] = "api.example:8443", ["https://[::1]:443"] = "[::1]", ["https://[::1]"] = "[::1]", ["HTTP://api.example:80"] =
      "api.example",
    }) do
      local scheme = { kind = "signature", secret = "secret", algorithm = "sha256", text = "{secret}",
        send = { { header = "X-Host", value = "{host}" }, { header = "X-Sign", value = "{signature}" } } }
      assert.equal(host, header(signed(scheme, {}, { base_url = base_url, secret = "s" }), "X-Host"))
    end
  end)

  it("covers method, host, path, headers, nonce and the digest of the body, and looks at each word once", function()
    local request = signed({
      kind = "signature", key = "id", secret = "secret", algorithm = "sha256", timestamp = "milliseconds", nonce = 9,
      body_digest = { algorithm = "md5", output = "base64" },
      text = "{method}|{host}|{path}|{header:Content-Type}|{header:x-time}|{nonce}|{body_digest}|{body}|{secret}",
      send = { { header = "X-Time", value = "{timestamp}" }, { header = "Authorization", value = "S {key}:{nonce}:{signature}" } },
    }, { { "a", "{secret}" } }, { id = "{secret}", secret = "s&c", method = "POST", body = "form", where = "form", path = "/v1/x", now = 1.5 })
    local text = "POST|api.example|/v1/x|application/x-www-form-urlencoded|1500|ababababa|bSyszV6lSgN8bDPZ9HjXtw==|a=%7Bsecret%7D|s&c"
    local core = require "campaign.core"
    text = text:gsub("bSys[^|]*", (core.digest.base64_encode(core.digest.of("md5", "a=%7Bsecret%7D")):gsub("%%", "%%%%")))
    assert.equal("S {secret}:ababababa:" .. core.digest.sha256(text), header(request, "Authorization"))
    assert.equal("https://api.example/v1/x", request.url)
  end)

  it("refuses what would end a header, and does not show it", function()
    local request, err = signed({ kind = "signature", key = "id", secret = "secret", algorithm = "hmac-sha256", text = "{method}",
      send = { { header = "X-Sign", value = "{key} {signature}" } } }, {}, { id = "key\r\nX-Evil: 1", secret = "s" })
    assert.is_nil(request)
    assert.equal("invalid", err.kind)
    assert.is_nil(tostring(err):find("Evil", 1, true))
  end)

  describe("in a client", function()
    local PATH = "./examples/platforms/beacon.lua"
    local ACCOUNT = { base_url = "https://beacon.example", app_key = "app-1", app_secret = "S-3cret-42" }
    local GOOD = fake.answer{ code = 0, data = { errors = require("campaign.json").array({}) } }
    local FIELDS = { group = "g", contacts = { { mobile = "13000001111", name = "x" } } }

    it("signs every attempt anew", function()
      local count = 0
      local env = fake.env()
      env.random = function(length)
        count = count + 1
        return string.char(count):rep(length)
      end
      local client, transport = fake.client(PATH, { { error = error_object.new{ kind = "network", message = "refused" }, sent = "no" }, GOOD },
        { account = ACCOUNT, env = env })
      assert(client:call("import_contacts", FIELDS, { retries = 2 }))
      local first, second = transport.requests[1], transport.requests[2]
      assert.equal(2, #transport.requests)
      for _, name in ipairs({ "X-Beacon-Time", "X-Beacon-Nonce", "Authorization" }) do
        assert.not_equal(header(first, name), header(second, name))
      end
    end)

    it("signs a call when it leaves, not when it begins to wait for its turn", function()
      local folder, count = command.folder(), 0
      local env = fake.env{ CAMPAIGN_STATE_DIR = folder }
      function env.random(length)
        count = count + 1
        return string.char(count):rep(length)
      end
      local account, left = { calls_per_second = 0.125 }, {}
      for key, value in pairs(ACCOUNT) do
        account[key] = value
      end
      local client, transport = fake.client(PATH, { function() left[#left + 1] = env.time return GOOD end }, { account = account, env = env })
      for _ = 1, 3 do
        assert(client:call("import_contacts", FIELDS))
      end
      client:close()
      command.remove(folder)
      assert.is_true(left[3] - left[1] >= 15, left[3] - left[1])
      local seen = {}
      for i, request in ipairs(transport.requests) do
        assert.is_near(left[i] * 1000, tonumber(fake.header(request, "X-Beacon-Time")), 1)
        for _, name in ipairs({ "Authorization", "X-Beacon-Nonce" }) do
          local value = fake.header(request, name)
          assert.is_nil(seen[value])
          seen[value] = true
        end
      end
    end)

    it("signs a call in whose body the signature stands when it leaves, too", function()
      local folder = command.folder()
      local env = fake.env{ CAMPAIGN_STATE_DIR = folder }
      local left, good = {}, fake.answer{ code = 0 }
      local client, transport = fake.client("./examples/platforms/orchard.lua", { function() left[#left + 1] = env.time return good end }, {
        env = env, account = { base_url = "https://orchard.example", app_key = "a", app_secret = "S-3cret-42", calls_per_second = 0.125 } })
      for _ = 1, 3 do
        assert(client:give_points{ shop = "s", data = { gifts = { { mobile = "13000001111", points = 1 } } } })
      end
      client:close()
      command.remove(folder)
      assert.is_true(left[3] - left[1] >= 15, left[3] - left[1])
      for i, request in ipairs(transport.requests) do
        assert.is_near(left[i] * 1000, require("cjson").decode(request.body).timestamp, 1)
      end
    end)

    it("says which key an account lacks", function()
      for _, key in ipairs({ "app_key", "app_secret" }) do
        local account = { base_url = ACCOUNT.base_url, app_key = "app-1", app_secret = "S-3cret-42" }
        account[key] = ""
        local well, client = pcall(fake.client, PATH, { GOOD }, { account = account })
        local err = client
        if well then
          err = select(2, client:call("import_contacts", FIELDS))
        end
        assert.matches(key, tostring(err), 1, true)
      end
    end)

    it("shows the secret in no error and no recording, nor what was made of it", function()
      local folder = command.folder()
      local said = "no: key S-3cret-42 for app-1 and 13000001111"
      local client = fake.client(PATH, { fake.answer({ code = 9, message = said }) }, { account = ACCOUNT })
      local reply, err = client:call("import_contacts", FIELDS)
      assert.is_nil(reply)
      assert.is_nil((tostring(err) .. tostring(err.body)):find("3cret", 1, true))
      client:close()
      client = assert(campaign.connect(PATH, ACCOUNT, { transport = fake.transport({ GOOD, fake.answer{ code = 0, data = { total = 0 } } }),
        env = fake.env(), record = folder .. "/calls.jsonl" }))
      assert(client:call("import_contacts", FIELDS))
      assert(client:call("list_records", {}))
      client:close()
      local text = command.read(folder .. "/calls.jsonl")
      for _, hidden in ipairs({ "3cret", "13000001111", "sign=", "BEACON" }) do
        assert.is_nil(text:find(hidden, 1, true), hidden)
      end
      local replayed = assert(campaign.connect(PATH, ACCOUNT, { transport = assert(replay.new(folder .. "/calls.jsonl")), env = fake.env() }))
      assert(replayed:call("import_contacts", FIELDS))
      assert.equal(0, assert(replayed:call("list_records", {})).data.total)
      replayed:close()
      command.remove(folder)
    end)

    it("refuses a body that is made while it is sent, where the signature covers it", function()
      local client = fake.client(PATH, { GOOD }, { account = ACCOUNT })
      local source = require("campaign.core").source("[]")
      local request, err = client:prepare("import_contacts", { group = "g" }, { rows = source })
      source:close()
      assert.is_nil(request)
      assert.matches("covers the body", tostring(err), 1, true)
    end)
  end)
end)

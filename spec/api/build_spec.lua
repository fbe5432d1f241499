-- SPDX-License-Identifier: MIT
-- What the four platforms do not use but the format allows, on a fifth platform from a file.

local campaign = require "campaign"
local command = require "support.command"
local fake = require "support.fake"

local FIFTH = [[
return {
  name = "fifth", title = "Fifth", doc = "d", source = "f.txt", zone = "+00:00",
  account = {
    { name = "base_url", required = true, type = "url", doc = "d" },
    { name = "user", doc = "d" }, { name = "secret", secret = true, doc = "d" },
  },
  auth = {
    basic = { kind = "basic", user = "user", password = "secret" },
    ["form:key"] = { kind = "form", field = "key", key = "secret" },
  },
  throttle = { { path = "state", is = { "busy" } } },
  not_applied = { { status = { 409 } } },
  operations = {
    {
      name = "search", doc = "d", source = ":1", method = "GET", path = "/{kind}/search", auth = "basic", body = "none",
      response = "json", effect = "safe",
      fields = {
        { name = "kind", where = "path", required = true },
        { name = "X-Trace", where = "header" },
        { name = "tag", where = "query", type = "array", items = "string" },
        { name = "ids", where = "query", type = "array", items = "int64", join = "|" },
        { name = "exact", where = "query", type = "boolean" },
        { name = "ratio", where = "query", type = "number" },
      },
    },
    {
      name = "submit", doc = "d", source = ":2", method = "POST", path = "/submit", auth = "form:key", body = "form",
      response = "json", effect = "append",
      fields = {
        { name = "text", where = "form", required = true },
        { name = "count", where = "form", type = "integer", min = 1, max = 3 },
        { name = "mobile", where = "form", pattern = "mobile_cn", redact = "phone" },
      },
    },
    { name = "ping", doc = "d", source = ":3", method = "POST", path = "/ping", auth = "none", body = "json", response = "empty",
      effect = "idempotent" },
  },
}
]]

describe("api.build on a fifth platform", function()
  local folder, client, transport

  local function connect(answers)
    transport = fake.transport(answers)
    client = assert(campaign.connect(folder .. "/fifth.lua", { base_url = "https://f.example/base//", user = "u", secret = "canary" },
      { transport = transport, env = fake.env() }))
  end

  before_each(function()
    folder = command.folder()
    command.write(folder .. "/fifth.lua", FIFTH)
    connect{ fake.answer("{}") }
  end)
  after_each(function() command.remove(folder) end)

  it("writes paths, queries and headers", function()
    assert(client:search{ kind = "a b", ["X-Trace"] = "t-1", tag = { "x", "y&z" }, ids = { 1, "2" }, exact = false, ratio = 0.5 })
    local request = transport:last()
    assert.equal("https://f.example/base/a%20b/search?tag=x&tag=y%26z&ids=1%7C2&exact=false&ratio=0.5", request.url)
    assert.equal("t-1", fake.header(request, "X-Trace"))
    assert.equal("Basic dTpjYW5hcnk=", fake.header(request, "Authorization"))
    assert.is_nil(fake.header(request, "Content-Type"))
  end)

  it("writes numbers with all their digits, and refuses whole ones whose digits may be lost", function()
    for number, text in pairs({ [0.1234567890123456] = "0.1234567890123456", [123456789012345] = "123456789012345", [1e15] = "1000000000000000",
      [2 ^ 53 - 1] = "9007199254740991", [-0.1] = "-0.1", [1 / 3] = "0.3333333333333333" }) do
      assert(client:search{ kind = "k", ratio = number })
      assert.equal("https://f.example/base/k/search?ratio=" .. text, transport:last().url)
    end
    for _, number in ipairs({ 2 ^ 53, 2 ^ 53 + 2, -1e17, 1e300 }) do
      local reply, err = client:search{ kind = "k", ratio = number }
      assert.is_nil(reply)
      assert.equal("invalid", err.kind)
      assert.matches("digits may have been lost", tostring(err.message), 1, true)
    end
  end)

  it("refuses what would end a header", function()
    local reply, err = client:search{ kind = "a", ["X-Trace"] = "t\r\nX: y" }
    assert.is_nil(reply)
    assert.equal("X-Trace", err.faults[1].path)
    assert.equal(0, #transport.requests)
  end)

  it("writes forms, with the token among the fields", function()
    assert(client:submit{ text = "a=b&c d\n文", count = 2, mobile = "13000000001" })
    assert.equal("text=a%3Db%26c%20d%0A%E6%96%87&count=2&mobile=13000000001&key=canary", transport:last().body)
    assert.equal("application/x-www-form-urlencoded", fake.header(transport:last(), "Content-Type"))
    for _, fields in ipairs{ { text = "x", count = 0 }, { text = "x", count = 4 }, { text = "x", mobile = "12000000001" } } do
      assert.is_nil((client:submit(fields)))
    end
  end)

  it("sends an empty object where a JSON body has no fields", function()
    assert(client:ping())
    assert.equal("{}", transport:last().body)
    assert.same({}, transport:last().limits or {})
  end)

  it("follows the platform's word for throttling and for what was not applied", function()
    for _, status in ipairs{ 200, 500 } do
      connect{ fake.answer({ state = "busy", message = "later" }, status) }
      local _, err = client:submit{ text = "x" }
      assert.same({ "throttle", "no", true }, { err.kind, err.sent, err.retry })
    end
    connect{ fake.answer({ state = "done" }) }
    assert(client:submit{ text = "x" })
    connect{ fake.answer("", 409) }
    local _, err = client:submit{ text = "x" }
    assert.same({ "http", "no" }, { err.kind, err.sent })
    assert.matches("HTTP 409", err.message)
  end)
end)

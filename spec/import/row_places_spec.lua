-- SPDX-License-Identifier: MIT
-- Where the rows of a call may stand besides a list in a JSON object: a body that is an array, one text, a form.

local campaign = require "campaign"
local command = require "support.command"
local core = require "campaign.core"
local fake = require "support.fake"
local recorder = require "support.recorder"

local HEAD = [[return {
  name = "bell", title = "Bell", doc = "Notes.", source = "bell.md", zone = "+00:00",
  account = { { name = "token", required = true, secret = true, doc = "key" }, { name = "base_url", type = "url", required = true, doc = "where" } },
  auth = {
    bearer = { kind = "bearer", key = "token" }, form = { kind = "form", field = "apikey", key = "token" },
    signed = { kind = "signature", secret = "token", algorithm = "md5", text = "{params}{secret}", params = { of = { "form" } },
      send = { { form = "sign", value = "{signature}" } } },
    signed_json = { kind = "signature", secret = "token", algorithm = "md5", text = "{params}{secret}", params = { of = { "json" } },
      send = { { json = "sign", value = "{signature}" } } },
  },
  types = { Note = { fields = { { name = "user", required = true, redact = true }, { name = "text" }, { name = "urgent", type = "boolean" } } } },
  operations = { { name = "notify", doc = "Notifies.", source = ":1", method = "POST", path = "/notify", response = "json", effect = "append",
    reply = { { name = "id" }, { name = "bad", type = "array", items = "string" } }, present = { "id" }, ]]

local NOTES = [[{ name = "notes", where = "json", type = "array", items = "Note", required = true }]]
local ALL = [[result = { accepted = "all", id = "id" }]]

local GOOD = recorder.reply('{"id":"n1"}')

local folder, wire

-- Imports a list with an operation that is written in the platform file; returns the result and the bodies.
local function import(operation, list, more)
  local path = command.write(folder .. "/bell.lua", HEAD .. operation .. "} } }")
  wire = recorder.new(more and more.replies or { GOOD })
  local options = { source = command.write(folder .. "/list.csv", list), to = path .. ".notify", job = folder .. "/job",
    account = { base_url = wire.url, token = "t&1" }, transport = wire, env = fake.env() }
  for key, value in pairs(more or {}) do
    options[key] = key ~= "replies" and value or nil
  end
  local result, err = campaign.import(options)
  wire:close()
  local bodies = {}
  for i, received in ipairs(wire.received) do
    bodies[i] = received:match("\r\n\r\n(.*)$")
  end
  return result, err or bodies
end

local function call(operation, fields)
  local path = command.write(folder .. "/bell.lua", HEAD .. operation .. "} } }")
  wire = recorder.new{ GOOD }
  local client = assert(campaign.connect(path, { base_url = wire.url, token = "t&1" }, { transport = wire }))
  local reply, err = client:notify(fields)
  client:close()
  wire:close()
  return reply and wire.received[1]:match("\r\n\r\n(.*)$") or nil, err
end

describe("rows of an import", function()
  before_each(function() folder = command.folder() end)
  after_each(function() command.remove(folder) end)

  local ARRAY = [[auth = "bearer", body = "array", fields = { ]] .. NOTES
    .. [[ }, rows = { field = "notes", shape = "object", type = "Note", per_call = 2, concurrency = 1, ]]

  it("may be a body that is an array itself", function()
    local result, bodies = import(ARRAY .. ALL .. "}", "user,text\na,hi\nb,\nc,\"x\"\"y\"\n")
    assert.equal(3, result.accepted)
    assert.same({ '[{"user":"a","text":"hi"},{"user":"b"}]', '[{"user":"c","text":"x\\"y"}]' }, bodies)
    assert.matches("Content%-Type: application/json\r\n", wire.received[1])
    assert.equal('[{"user":"a","urgent":true}]', (call(ARRAY .. ALL .. "}", { notes = { { user = "a", urgent = true } } })))
  end)

  it("of an array are found again when they are refused", function()
    local result = import(ARRAY .. [[result = { failed_rows = { list = "bad", value = ".", field = "user" } } }]], "user\na\nb\nc\n",
      { replies = { recorder.reply('{"id":"1","bad":["b"]}'), recorder.reply('{"id":"2","bad":[]}') } })
    assert.same({ 2, 1 }, { result.accepted, result.rejected })
    assert.matches("\n2,3,.*b", command.read(folder .. "/job/rejects.csv"))
  end)

  local TEXT = [[auth = "bearer", body = "json", fields = { { name = "text", where = "json", required = true },
    { name = "to", where = "json", type = "array", items = { type = "string", redact = true }, join = ", ", required = true } },
    rows = { field = "to", shape = "value", columns = { "user" }, per_call = 3, concurrency = 1, ]]

  it("may be one text, in which no row holds what is between them", function()
    local result, bodies = import(TEXT .. ALL .. "}", 'user\na\n"b ""c"\n"d,e"\nf\ng\n', { params = { text = "hi" } })
    assert.same({ 4, 1 }, { result.accepted, result.rejected })
    assert.same({ '{"text":"hi","to":"a, b \\"c, f"}', '{"text":"hi","to":"g"}' }, bodies)
    assert.equal('{"text":"hi","to":"a, b"}', (call(TEXT .. ALL .. "}", { text = "hi", to = { "a", "b" } })))
  end)

  it("of one text are found again when they are refused", function()
    local result = import(TEXT .. [[result = { failed_rows = { list = "bad", value = "." } } }]], "user\na\nb\nc\n",
      { params = { text = "hi" }, replies = { recorder.reply('{"id":"1","bad":["b","c"]}') } })
    assert.same({ 1, 2 }, { result.accepted, result.rejected })
  end)

  it("of one text are signed with it", function()
    local result, bodies = import((TEXT:gsub('"bearer"', '"signed_json"')) .. ALL .. "}", "user\na\nb\n", { params = { text = "hi" } })
    assert.equal(2, result.accepted)
    local sign = core.digest.hex(core.digest.of("md5", "text=hi&to=a, bt&1"))
    assert.same({ '{"text":"hi","to":"a, b","sign":"' .. sign .. '"}' }, bodies)
  end)

  local function form(auth, field)
    return ([[auth = "%s", body = "form", fields = { { name = "text", where = "form", required = true }, %s },
      rows = { field = "to", shape = "value", columns = { "user" }, per_call = 3, concurrency = 1, ]]):format(auth, field)
  end

  local JOINED = [[{ name = "to", where = "form", type = "array", items = "string", join = ",", required = true }]]
  local REPEATED = [[{ name = "to", where = "form", type = "array", items = "string", required = true }]]

  it("may be a field of a form", function()
    local list = "user\na\nb&c\n张\nd\n"
    local result, bodies = import(form("bearer", JOINED) .. ALL .. "}", list, { params = { text = "hi you" } })
    assert.equal(4, result.accepted)
    assert.same({ "text=hi%20you&to=a%2Cb%26c%2C%E5%BC%A0", "text=hi%20you&to=d" }, bodies)
    assert.matches("Content%-Type: application/x%-www%-form%-urlencoded\r\n", wire.received[1])
    command.remove(folder .. "/job")
    result, bodies = import(form("bearer", REPEATED) .. ALL .. "}", list, { params = { text = "hi" } })
    assert.equal(4, result.accepted)
    assert.same({ "text=hi&to=a&to=b%26c&to=%E5%BC%A0", "text=hi&to=d" }, bodies)
  end)

  it("of a form are found again when they are refused", function()
    for _, field in ipairs{ JOINED, REPEATED } do
      local result = import(form("bearer", field) .. [[result = { failed_rows = { list = "bad", value = "." } } }]], "user\na\nb&=%\nc\n",
        { params = { text = "to=b" }, replies = { recorder.reply('{"id":"1","bad":["b&=%","c"]}') } })
      assert.same({ 1, 2 }, { result.accepted, result.rejected })
      command.remove(folder .. "/job")
    end
  end)

  it("of a form stand beside a token or a signature", function()
    local result, bodies = import(form("form", JOINED) .. ALL .. "}", "user\na\nb\nc\nd\n", { params = { text = "hi" } })
    assert.equal(4, result.accepted)
    assert.same({ "text=hi&to=a%2Cb%2Cc&apikey=t%261", "text=hi&to=d&apikey=t%261" }, bodies)
    command.remove(folder .. "/job")
    result, bodies = import(form("signed", JOINED) .. ALL .. "}", "user\na\nb\n", { params = { text = "hi" } })
    assert.equal(2, result.accepted)
    assert.same({ "text=hi&to=a%2Cb&sign=" .. core.digest.hex(core.digest.of("md5", "text=hi&to=a,bt&1")) }, bodies)
  end)

  local function one(auth, body, fields, more)
    return ([[auth = "%s", body = "%s", fields = { %s }, rows = { shape = "call", concurrency = 1, %s %s }, ]]):format(
      auth, body, fields, more or "", ALL)
  end

  local FORM = [[{ name = "from", where = "form", required = true }, { name = "user", where = "form", required = true, redact = true },
    { name = "text", where = "form" }, { name = "urgent", where = "form", type = "boolean" },
    { name = "tags", where = "form", type = "array", items = "string", join = "," }]]

  it("may be calls of their own: a form", function()
    local operation = one("form", "form", FORM, [[aliases = { text = { "Words" } },]])
    local result, bodies = import(operation, "user,Words,urgent,tags\na,hi & you,TRUE,x;y\nb,,,\n,x,,\n", { params = { from = "me" },
      split = { tags = ";" } })
    assert.same({ 2, 1, 2 }, { result.accepted, result.rejected, result.requests })
    assert.same({ "from=me&user=a&text=hi%20%26%20you&urgent=true&tags=x%2Cy&apikey=t%261", "from=me&user=b&apikey=t%261" }, bodies)
    command.remove(folder .. "/job")
    result, bodies = import(one("signed", "form", FORM), "user\na\n", { set = { from = "me" } })
    assert.equal(1, result.accepted)
    assert.same({ "from=me&user=a&sign=" .. core.digest.hex(core.digest.of("md5", "from=me&user=at&1")) }, bodies)
    assert.equal("from=me&user=a&apikey=t%261", (call(operation, { from = "me", user = "a" })))
  end)

  it("may be calls of their own: a path, a query, a header and the rest in JSON", function()
    local operation = one("bearer", "json", [[{ name = "user", where = "path", required = true, hash = { algorithm = "md5", trim = true, lower = true } },
      { name = "list", where = "query", type = "int64", required = true }, { name = "X-Words", where = "header" },
      { name = "about", where = "json", type = "object", fields = { { name = "age", type = "integer", min = 0 }, { name = "big", type = "int64" } } },
      { name = "tags", where = "json", type = "array", items = "string" } ]]):gsub('auth =', 'path = "/notify/{user}", auth =', 1)
    local head = HEAD
    HEAD = HEAD:gsub(' path = "/notify",', "")
    local result, bodies = import(operation, "user,X-Words,age,big,tags\n A@b.c ,hi,5,9007199254740993,x;y\nd,,,,\ne,,-1,,\n", {
      params = { list = "7" }, split = { tags = ";" } })
    HEAD = head
    assert.same({ 2, 1 }, { result.accepted, result.rejected })
    assert.same({ '{"about":{"age":5,"big":9007199254740993},"tags":["x","y"]}', "{}" }, bodies)
    local digest = core.digest.hex(core.digest.of("md5", "a@b.c"))
    assert.matches("^POST /notify/" .. digest .. "%?list=7 HTTP.*X%-Words: hi\r\n", wire.received[1])
    assert.matches("-1", command.read(folder .. "/job/rejects.csv"), 1, true)
  end)

  it("that are calls share what is right for all of them", function()
    local operation = one("bearer", "form", (FORM:gsub('name = "from", where = "form"', 'name = "from", where = "form", max_length = 3')))
    for params, words in pairs({ [{ from = "much" }] = "from", [{ form = "me" }] = "form", [{ from = true }] = "from" }) do
      local result, err = import(operation, "user\na\n", { params = params })
      assert.is_nil(result)
      assert.matches(words, err.message, 1, true)
      assert.equal(2, err.exit_code or 2)
      assert.equal(0, #wire.received)
      command.remove(folder .. "/job")
    end
    local result, err = import(operation, "user\na\n")
    assert.is_nil(result)
    assert.matches('no column for "from"', err.message, 1, true)
    local head = HEAD
    HEAD = HEAD:gsub('doc = "key" },', 'doc = "key" }, { name = "shop", fills = "shop", doc = "the shop" },')
    operation = one("bearer", "form", FORM .. [[, { name = "shop", where = "query", required = true }]])
    result, err = import(operation, "user\na\n", { params = { from = "me" } })
    assert.is_nil(result)
    assert.matches("shop", err.message, 1, true)
    assert.equal(0, #wire.received)
    HEAD = head
    result, err = import(one("bearer", "form", FORM), "user,from\na,x\n", { params = { about = { age = 1 } } })
    assert.is_nil(result)
    assert.matches("about", err.message, 1, true)
  end)

  it("that are calls without a body stay in doubt when their answer is lost", function()
    local head = HEAD
    HEAD = HEAD:gsub('method = "POST"', 'method = "GET"')
    local result = import(one("bearer", "none", [[{ name = "user", where = "query", required = true }, { name = "text", where = "query" }]]),
      "user\na&b\nc\n", { params = { text = "hi" }, replies = { GOOD, "" } })
    HEAD = head
    assert.same({ 1, 1 }, { result.accepted, result.ambiguous })
    assert.equal(2, #wire.received)
    assert.matches("^GET /notify%?user=a%%26b&text=hi HTTP/1.1\r\n", wire.received[1])
    local described = command.campaign{ "describe", folder .. "/bell.lua.notify" }.out
    assert.matches("bell.lua.notify makes one call for each row", described, 1, true)
    assert.matches('"shape": "call"', command.campaign{ "openapi", folder .. "/bell.lua" }.out, 1, true)
  end)

  it("that are calls are found when they are refused, and keep their marks", function()
    local result, bodies = import(one("bearer", "form", FORM, [[mark = "text",]]):gsub("result = .*", [[result = { failed_rows = { list = "bad",
      value = ".", field = "user" } } }, ]]), "user\na\nb\n", { params = { from = "me" },
      replies = { recorder.reply('{"id":"1","bad":[]}'), recorder.reply('{"id":"2","bad":["b"]}') } })
    assert.is_table(result, tostring(bodies))
    assert.same({ 1, 1 }, { result.accepted, result.rejected })
    assert.matches("^from=me&user=b&text=[%w.%-]+%.2$", bodies[2])
  end)
end)

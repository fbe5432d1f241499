-- SPDX-License-Identifier: MIT
-- A user's platform that takes a file as the whole body: from a path, a text and a source in a call, and from the rows of an import.

local campaign = require "campaign"
local command = require "support.command"
local core = require "campaign.core"
local fake = require "support.fake"
local platforms = require "campaign.api.platform"
local recorder = require "support.recorder"

local PLATFORM = [[return {
  name = "depot", title = "Depot", doc = "Lists as files.", source = "depot.md", zone = "+00:00",
  account = { { name = "token", required = true, secret = true, doc = "key" }, { name = "base_url", type = "url", required = true, doc = "where" } },
  auth = { bearer = { kind = "bearer", key = "token" } },
  operations = {
    { name = "upload", doc = "Takes rows of a job.", source = ":1", method = "PUT", path = "/jobs/{id}/batches", auth = "bearer", body = "file",
      response = "empty", effect = "append", success = { { status = { 201 } } },
      fields = {
        { name = "id", where = "path", required = true, doc = "job" },
        { name = "rows", where = "body", type = "file", required = true, content_type = "text/csv", doc = "rows" },
      },
      rows = { field = "rows", shape = "csv", columns = { "Email", "Name" }, per_file = 2,
        file = { encoding = "utf-8", line_end = "\n", header = true }, result = { accepted = "pending" } } },
  },
}]]
local GOOD = "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"

describe("a file as the whole body", function()
  local folder, path

  before_each(function()
    folder = command.folder()
    path = command.write(folder .. "/depot.lua", PLATFORM)
  end)
  after_each(function()
    command.remove(folder)
  end)

  local function call(file)
    local wire = recorder.new{ GOOD }
    local client = assert(campaign.connect(path, { base_url = wire.url, token = "t" }, { transport = wire, env = fake.env() }))
    local reply, err = client:upload{ id = "7", rows = file }
    client:close()
    wire:close()
    return wire.received[1], reply, err
  end

  it("is sent as it is, with its length and the type of the field, from a path, a text and a source", function()
    local bytes = "Email\n\0\255a@x.org\n"
    local list = command.write(folder .. "/list.csv", bytes)
    for _, file in ipairs{ list, { content = bytes, filename = "x.csv" }, assert(core.source(bytes)) } do
      local sent, reply, err = call(file)
      assert(reply, tostring(err))
      local head, body = sent:match("^(.-\r\n\r\n)(.*)$")
      assert.equal(bytes, body)
      assert.matches("^PUT /jobs/7/batches HTTP/1.1\r\n", head)
      assert.matches("\r\nContent%-Type: text/csv\r\n", head)
      assert.matches("\r\nContent%-Length: " .. #bytes .. "\r\n", head)
    end
  end)

  it("is sent whole again where nothing was applied; a source cannot be", function()
    local busy = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n"
    for _, case in ipairs{ { command.write(folder .. "/list.csv", "a\n"), 2 }, { assert(core.source("a\n")), 1 } } do
      local wire = recorder.new{ busy, GOOD }
      local client = assert(campaign.connect(path, { base_url = wire.url, token = "t" }, { transport = wire, env = fake.env() }))
      local reply, err = client:upload({ id = "7", rows = case[1] }, { retries = 1 })
      client:close()
      wire:close()
      assert.equal(case[2] == 2, reply ~= nil, tostring(err))
      assert.equal(case[2], #wire.received)
      assert.matches("\r\n\r\na\n$", wire.received[case[2]])
    end
  end)

  it("has the type that the caller gives", function()
    local sent = call{ content = "x", filename = "x.tsv", content_type = "text/tab-separated-values" }
    assert.matches("\r\nContent%-Type: text/tab%-separated%-values\r\n", sent)
  end)

  it("is refused where it is not there, empty or not given, before anything is sent", function()
    for given, message in pairs{ [folder .. "/none.csv"] = "cannot be opened", [command.write(folder .. "/empty.csv", "")] = "is empty" } do
      local sent, reply, err = call(given)
      assert.is_nil(sent)
      assert.is_nil(reply)
      assert.equal("no", err.sent)
      assert.matches(message, err.message, 1, true)
    end
    local sent, _, err = call(nil)
    assert.is_nil(sent)
    assert.equal("rows", err.faults[1].path)
  end)

  it("takes a list, as CSV in bodies of their exact length", function()
    local wire = recorder.new{ GOOD, GOOD }
    local result = assert(campaign.import{ source = command.write(folder .. "/list.csv", 'Name,Email\nWang,a@x.org\n"O, B",b@x.org\nLi,c@x.org\n'),
      to = path .. ".upload", params = { id = "7" }, job = folder .. "/job", concurrency = 1,
      account = { base_url = wire.url, token = "t" }, transport = wire, env = fake.env() })
    wire:close()
    assert.equal(3, result.accepted_pending)
    assert.equal(2, #wire.received)
    for i, body in ipairs{ 'Email,Name\na@x.org,Wang\nb@x.org,"O, B"\n', "Email,Name\nc@x.org,Li\n" } do
      local head, sent = wire.received[i]:match("^(.-\r\n\r\n)(.*)$")
      assert.equal(body, sent)
      assert.matches("\r\nContent%-Length: " .. #body .. "\r\n", head)
      assert.matches("\r\nContent%-Type: text/csv\r\n", head)
    end
  end)

  it("is described, and leaves no byte in a recording", function()
    local wire = recorder.new{ GOOD }
    local recording = folder .. "/calls.jsonl"
    local client = assert(campaign.connect(path, { base_url = wire.url, token = "t" }, { transport = wire, env = fake.env(), record = recording }))
    assert(client:upload{ id = "7", rows = { content = "Email\nsecret@x.org\n", filename = "x.csv" } })
    client:close()
    wire:close()
    assert.is_nil(command.read(recording):find("secret@", 1, true))
    local done = command.campaign{ "openapi", path }
    assert.matches("text/csv", done.out, 1, true)
    assert.matches('"format": *"binary"', done.out)
    assert.matches("rows", command.campaign{ "describe", path .. ".upload" }.out, 1, true)
  end)

  it("must be the only field of its body, and have nothing that only a form can carry", function()
    for _, case in ipairs{
      { 'where = "body", type = "file", required = true', 'where = "body", type = "file"', "`file` needs one field" },
      { '{ name = "id"', '{ name = "more", where = "body", type = "file" }, { name = "id"', "`file` needs one field" },
      { 'where = "body"', 'where = "json"', "cannot go into `json`" },
      { 'body = "file"', 'body = "json"', "cannot go into `body`" },
      { '{ name = "id"', '{ name = "Content-Type", where = "header" }, { name = "id"', "`content_type` of its field" },
      { 'file = { encoding', 'file = { part = "rows", encoding', "belongs to a body `multipart`" },
      { 'content_type = "text/csv", doc', 'digest = true, doc', "SHA-256" },
      { 'body = "file"(.-)where = "body"', 'body = "multipart"%1where = "form"', "`part` is missing" },
    } do
      local text, count = PLATFORM:gsub(case[1], case[2], 1)
      assert.equal(1, count, case[1])
      local platform, err = platforms.load(command.write(folder .. "/wrong.lua", text))
      assert.is_nil(platform, case[3])
      assert.matches(case[3], tostring(err), 1, true)
    end
  end)
end)

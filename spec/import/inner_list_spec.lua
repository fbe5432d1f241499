-- SPDX-License-Identifier: MIT
-- A user's platform whose list of rows stands within objects of the body: what is around it, the rows, and the answers about them.

local campaign = require "campaign"
local command = require "support.command"
local fake = require "support.fake"
local platforms = require "campaign.api.platform"
local recorder = require "support.recorder"

local PLATFORM = [[return {
  name = "jar", title = "Jar", doc = "Jobs of profiles.", source = "jar.md", zone = "+00:00",
  account = { { name = "token", required = true, secret = true, doc = "key" }, { name = "base_url", type = "url", required = true, doc = "where" } },
  auth = { bearer = { kind = "header", header = "Authorization", prefix = "Jar-Key ", key = "token" } },
  types = {
    Profile = { fields = { { name = "type", constant = "profile", doc = "kind" }, { name = "email", required = true, redact = true, doc = "address" } } },
    Failed = { open = true, fields = { { name = "why", doc = "why" } } },
  },
  operations = {
    { name = "job", doc = "Imports profiles.", source = ":1", method = "POST", path = "/jobs", auth = "bearer",
      body = "json", content_type = "application/vnd.jar+json",
      response = "json", effect = "append",
      fields = {
        { name = "data", where = "json", type = "object", required = true, doc = "job", fields = {
          { name = "type", constant = "job", doc = "kind" },
          { name = "profiles", type = "object", required = true, doc = "profiles", fields = {
            { name = "data", type = "array", items = "Profile", required = true, max_items = 10, doc = "profiles" },
            { name = "note", max_length = 5, doc = "note" },
          } },
          { name = "list", required = true, doc = "list" },
        } },
        { name = "debug", where = "json", type = "boolean", doc = "debug" },
      },
      reply = { { name = "failed", type = "array", items = "Failed", doc = "refused" } },
      rows = { field = "data.profiles.data", shape = "object", type = "Profile", per_call = 10,
        result = { failed_rows = { list = "failed", reason = "why" } } } },
  },
}]]

describe("rows in a list within objects", function()
  local folder, path

  before_each(function()
    folder = command.folder()
    path = command.write(folder .. "/jar.lua", PLATFORM)
  end)
  after_each(function()
    command.remove(folder)
  end)

  local function import(params, reply)
    local wire = recorder.new{ recorder.reply(reply or '{"failed":[]}') }
    local result, err = campaign.import{ source = command.write(folder .. "/list.csv", "email\na@x.org\nb@x.org\n"), to = path .. ".job",
      job = folder .. "/job", params = params, account = { base_url = wire.url, token = "t" }, transport = wire, env = fake.env() }
    wire:close()
    local sent = wire.received[1]
    return sent and sent:match("\r\n\r\n(.*)$"), result, err
  end

  local ROWS = '[{"type":"profile","email":"a@x.org"},{"type":"profile","email":"b@x.org"}]'

  it("sends them there, with what the fields around them are given", function()
    local params = { data = { list = "L", profiles = { note = "hi" } }, debug = true }
    local sent, result = import(params)
    assert.equal('{"data":{"type":"job","profiles":{"data":' .. ROWS .. ',"note":"hi"},"list":"L"},"debug":true}', sent)
    assert.equal(2, result.accepted)
    assert.same({ data = { list = "L", profiles = { note = "hi" } }, debug = true }, params)
  end)

  it("makes the objects around them where nothing is given for them", function()
    assert.equal('{"data":{"type":"job","profiles":{"data":' .. ROWS .. '},"list":"L"}}', (import{ data = { list = "L" } }))
  end)

  it("checks the fields around them, and takes no rows beside the list", function()
    for given, message in pairs{
      [{}] = "data.list: is required", [{ data = { list = "L", profiles = { note = "much too long" } } }] = "data.profiles.note: ",
      [{ data = { list = "L", profiles = { data = {} } } }] = "data.profiles.data: comes from the rows", [{ data = "x" }] = "data: must be",
      [{ data = { list = "L", profiles = 1 } }] = "data.profiles: must be",
    } do
      local sent, _, err = import(given)
      assert.is_nil(sent)
      assert.matches(message, err.message, 1, true)
    end
  end)

  it("finds the refused rows that come back", function()
    local _, result = import({ data = { list = "L" } }, '{"failed":[{"email":"b@x.org","type":"profile","why":"blocked"}]}')
    assert.equal(1, result.accepted)
    assert.equal(1, result.rejected)
    assert.matches("blocked", command.read(folder .. "/job/rejects.csv"), 1, true)
  end)

  it("takes them in a single call as any field, and records none of their personal data", function()
    local wire = recorder.new{ recorder.reply('{"failed":[]}') }
    local recording = folder .. "/calls.jsonl"
    local client = assert(campaign.connect(path, { base_url = wire.url, token = "t" }, { transport = wire, env = fake.env(), record = recording }))
    assert(client:job{ data = { list = "L", profiles = { data = { { email = "c@x.org" } } } } })
    local reply, err = client:job{ data = { list = "L", profiles = { data = { {} } } } }
    client:close()
    wire:close()
    assert.is_nil(reply)
    assert.equal("data.profiles.data[1].email", err.faults[1].path)
    assert.matches('{"data":{"type":"job","profiles":{"data":[{"type":"profile","email":"c@x.org"}]},"list":"L"}}', wire.received[1], 1, true)
    assert.is_nil(command.read(recording):find("c@x.org", 1, true))
    assert.matches('"kind":"json"', command.read(recording):gsub(" ", ""), 1, true)
    assert.matches("\r\nAuthorization: Jar-Key t\r\n", wire.received[1], 1, true)
    assert.matches("\r\nContent-Type: application/vnd.jar+json\r\n", wire.received[1], 1, true)
    local document = command.campaign({ "openapi", path }).out
    assert.matches("application/vnd.jar+json", document, 1, true)
    assert.matches("`Jar-Key ` and the secret", document, 1, true)
  end)

  it("refuses a path that leads nowhere", function()
    for _, wrong in ipairs{ "data.profile.data", "data.list.data", "data.profiles.data.email", "debug.data", "data.profiles" } do
      local text = PLATFORM:gsub('field = "data.profiles.data"', 'field = "' .. wrong .. '"')
      local platform, err = platforms.load(command.write(folder .. "/wrong.lua", text))
      assert.is_nil(platform, wrong)
      assert.matches(wrong == "data.profiles" and "needs a field of type `array`" or "there is no field `" .. wrong .. "`", tostring(err), 1, true)
    end
  end)
end)

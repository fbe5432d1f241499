-- SPDX-License-Identifier: MIT
-- A user's platform that takes one row a call, as the whole body of JSON: lines of JSON, of which there is one.

local campaign = require "campaign"
local command = require "support.command"
local fake = require "support.fake"
local recorder = require "support.recorder"

local PLATFORM = [[return {
  name = "bell", title = "Bell", doc = "Notes.", source = "bell.md", zone = "+00:00",
  account = { { name = "token", required = true, secret = true, doc = "key" }, { name = "base_url", type = "url", required = true, doc = "where" } },
  auth = { bearer = { kind = "bearer", key = "token" } },
  types = { Note = { fields = { { name = "user", required = true }, { name = "text" } } } },
  operations = {
    { name = "notify", doc = "Notifies one person.", source = ":1", method = "POST", path = "/notify", auth = "bearer",
      body = "ndjson", content_type = "application/json", response = "json", effect = "append",
      fields = { { name = "notes", where = "json", type = "array", items = "Note", required = true, max_items = 1 } },
      reply = { { name = "id" } }, present = { "id" },
      rows = { field = "notes", shape = "object", type = "Note", per_call = 1, concurrency = 1, result = { accepted = "all", id = "id" } } },
  },
}]]

describe("rows that are the whole body of a call", function()
  it("go one by one, and never in one call", function()
    local folder = command.folder()
    local path = command.write(folder .. "/bell.lua", PLATFORM)
    local wire = recorder.new{ recorder.reply('{"id":"n1"}'), recorder.reply('{"id":"n2"}') }
    local options = { source = command.write(folder .. "/list.csv", "user,text\na,hi\nb,\n"), to = path .. ".notify", job = folder .. "/job",
      account = { base_url = wire.url, token = "t" }, transport = wire, env = fake.env(), rows_per_call = 2 }
    local none, err = campaign.import(options)
    assert.is_nil(none)
    assert.equal("rows_per_call: at most 1 rows in a call", err.message)
    options.rows_per_call = nil
    local result = assert(campaign.import(options))
    wire:close()
    assert.equal(2, result.accepted)
    assert.equal('{"user":"a","text":"hi"}\n', wire.received[1]:match("\r\n\r\n(.*)$"))
    assert.equal('{"user":"b"}\n', wire.received[2]:match("\r\n\r\n(.*)$"))
    assert.matches("Content%-Type: application/json\r\n", wire.received[2])
    command.remove(folder)
  end)
end)

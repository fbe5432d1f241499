-- SPDX-License-Identifier: MIT
-- A user's platform whose rows have objects in them: from the header of a list to the bytes on the wire, and back from the rows that the
-- platform refuses.

local campaign = require "campaign"
local command = require "support.command"
local fake = require "support.fake"
local json = require "campaign.json"
local recorder = require "support.recorder"

local PLATFORM = [[return {
  name = "hub", title = "Hub", doc = "Contacts in batches.", source = "hub.md", zone = "+00:00",
  account = { { name = "token", required = true, secret = true, doc = "key" }, { name = "base_url", type = "url", required = true, doc = "where" } },
  auth = { bearer = { kind = "bearer", key = "token" } },
  types = {
    Contact = { doc = "A contact.", source = ":2", fields = {
      { name = "id", required = true, doc = "address", source = ":3" },
      { name = "properties", type = "object", required = true, open = true, doc = "what is known", source = ":4", fields = {
        { name = "phone", pattern = "mobile_cn", redact = "phone", doc = "phone", source = ":5" },
        { name = "age", type = "integer", doc = "age", source = ":6" },
        { name = "address", type = "object", doc = "where", source = ":7", fields = {
          { name = "city", required = true, doc = "city", source = ":8" }, { name = "zip", doc = "zip", source = ":9", max_length = 6 },
        } },
      } },
      { name = "idProperty", constant = "email", doc = "what id is", source = ":10" },
    } },
    Failed = { doc = "A refused contact.", source = ":20", open = true, fields = { { name = "why", doc = "why", source = ":21" } } },
  },
  operations = {
    { name = "upsert", doc = "Creates or changes contacts.", source = ":1", method = "POST", path = "/batch", auth = "bearer", body = "json",
      response = "json", effect = "idempotent",
      fields = { { name = "inputs", where = "json", type = "array", items = "Contact", required = true, doc = "contacts", source = ":2" } },
      reply = { { name = "failed", type = "array", items = "Failed", doc = "refused", source = ":11" } },
      rows = { field = "inputs", shape = "object", type = "Contact", per_call = 100, aliases = { ["properties.phone"] = { "Mobile" } },
        result = { failed_rows = { list = "failed"%s, reason = "why" } } } },
  },
}]]

describe("an import into rows with objects", function()
  local folder, path

  before_each(function()
    folder = command.folder()
    path = command.write(folder .. "/hub.lua", PLATFORM:format(""))
  end)
  after_each(function()
    command.remove(folder)
  end)

  local function import(csv, options, reply, to)
    local wire = recorder.new{ recorder.reply(reply or '{"failed":[]}') }
    local all = { source = command.write(folder .. "/list.csv", csv), to = (to or path) .. ".upsert", job = folder .. "/job",
      account = { base_url = wire.url, token = "t" }, transport = wire, env = fake.env() }
    for key, value in pairs(options or {}) do
      all[key] = value
    end
    local result, err = campaign.import(all)
    wire:close()
    local sent = wire.received[1]
    return sent and sent:match("\r\n\r\n(.*)$"), result, err
  end

  local LIST = 'id,Mobile,AGE,City,zip,Lead\na@x.org,13000000001,30,Paris,75001,hot\nb@x.org,,,,,\nc@x.org,13000000003,,Rome,,"say ""hi"""\n'
    .. "d@x.org,,,,123,\n"

  it("fills them by alias, by the field's own name and by path, takes names of an open one, and checks what an object needs", function()
    local sent, result = import(LIST, { map = { ["properties.lead"] = "Lead" } })
    assert.equal('{"inputs":['
      .. '{"id":"a@x.org","properties":{"phone":"13000000001","age":30,"address":{"city":"Paris","zip":"75001"},"lead":"hot"},"idProperty":"email"},'
      .. '{"id":"b@x.org","properties":{},"idProperty":"email"},'
      .. '{"id":"c@x.org","properties":{"phone":"13000000003","address":{"city":"Rome"},"lead":"say \\"hi\\""},"idProperty":"email"}]}', sent)
    assert.equal(3, result.accepted)
    assert.equal(1, result.rejected)
    assert.matches("properties.address.city", command.read(folder .. "/job/rejects.csv"), 1, true)
  end)

  it("keeps the required object where no column fills it", function()
    assert.equal('{"inputs":[{"id":"a","idProperty":"email","properties":{}}]}', (import("id\na\n")))
  end)

  it("takes a constant into an object, and then needs what the object needs", function()
    local set = { ["properties.address.zip"] = "1" }
    local sent, _, err = import("id\na\n", { set = set })
    assert.is_nil(sent)
    assert.matches('every row with "properties.address" needs', err.message, 1, true)
    sent = import("id,Town\na,Oslo\n", { set = set, map = { ["properties.address.city"] = "Town" } })
    assert.equal('{"inputs":[{"id":"a","properties":{"address":{"city":"Oslo","zip":"1"}},"idProperty":"email"}]}', sent)
  end)

  it("takes the fields that a map function makes", function()
    local sent = import("id,n\na,1\n", { map = function(row)
      row["properties.age"], row["properties.tier"] = row.n, "gold"
    end })
    assert.same({ age = 1, tier = "gold" }, assert(json.decode(sent)).inputs[1].properties)
  end)

  it("says which fields there are when a name is none", function()
    for _, name in ipairs{ "propertys.phone", "properties", "properties.address.street", "id.x" } do
      local sent, _, err = import(LIST, { map = { [name] = "Lead" } })
      assert.is_nil(sent)
      assert.matches('no field "' .. name .. '" in a row', err.message, 1, true)
      assert.matches('"properties.address.city"', err.message, 1, true)
    end
  end)

  it("finds the refused rows that come back, whatever else the platform says within their objects", function()
    local _, result = import(LIST, nil, '{"failed":[{"properties":{"address":{"zip":null,"city":"Rome"},"score":7,"phone":"13000000003"},'
      .. '"id":"c@x.org","idProperty":"email","why":"gone"}]}')
    assert.equal(2, result.accepted)
    assert.equal(2, result.rejected)
    assert.matches("gone", command.read(folder .. "/job/rejects.csv"), 1, true)
  end)

  it("finds refused rows by a field of an object", function()
    local other = command.write(folder .. "/other.lua", PLATFORM:format(', value = "why", field = "properties.phone"'))
    local _, result = import(LIST, nil, '{"failed":[{"why":"13000000001"}]}', other)
    assert.equal(2, result.accepted)
    assert.matches("a@x.org", command.read(folder .. "/job/rejects.csv"), 1, true)
  end)

  it("refuses a file whose paths name no field, or one field twice", function()
    for _, case in ipairs{
      { 'failed"%%s', 'failed", value = "why", field = "properties.mail"', "there is no field `properties.mail`" },
      { '%["properties.phone"%]', '["properties.address.town"]', "there is no field `properties.address.town`" },
      { 'name = "idProperty"', 'name = "properties.age"', "two fields of a row are called `properties.age`" },
    } do
      local text = PLATFORM:gsub(case[1], case[2], 1):gsub("%%s", "")
      local _, err = campaign.connect(command.write(folder .. "/wrong.lua", text), { base_url = "http://127.0.0.1:1", token = "t" })
      assert.matches(case[3], tostring(err), 1, true)
    end
  end)
end)

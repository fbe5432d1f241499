-- SPDX-License-Identifier: MIT
-- A user's platform whose rows have arrays in them: texts that a cell is split into, and one object that columns fill.

local campaign = require "campaign"
local command = require "support.command"
local core = require "campaign.core"
local fake = require "support.fake"
local json = require "campaign.json"
local recorder = require "support.recorder"

local PLATFORM = [[return {
  name = "post", title = "Post", doc = "Personal messages in batches.", source = "post.md", zone = "+00:00",
  account = { { name = "token", required = true, secret = true, doc = "key" }, { name = "base_url", type = "url", required = true, doc = "where" } },
  auth = { bearer = { kind = "bearer", key = "token" } },
  types = {
    Address = { fields = {
      { name = "email", required = true, redact = true, doc = "address" }, { name = "name", doc = "name" },
    } },
    Message = { doc = "A message.", source = ":2", fields = {
      { name = "to", type = "array", items = "Address", required = true, doc = "who" },
      { name = "tags", type = "array", items = { type = "string", max_length = 8 }, doc = "labels" },
      { name = "cc", type = "array", items = "Address", doc = "who else" },
      { name = "levels", type = "array", items = "integer", doc = "numbers" },
    } },
    Failed = { doc = "A refused message.", source = ":20", open = true, fields = { { name = "why", doc = "why" } } },
  },
  operations = {
    { name = "send", doc = "Sends messages.", source = ":1", method = "POST", path = "/send", auth = "bearer", body = "json",
      response = "json", effect = "append",
      fields = { { name = "messages", where = "json", type = "array", items = "Message", required = true, doc = "messages" } },
      reply = { { name = "failed", type = "array", items = "Failed", doc = "refused" } },
      rows = { field = "messages", shape = "object", type = "Message", per_call = 100, aliases = { ["to.email"] = { "mail" } },
        result = { failed_rows = { list = "failed", reason = "why" } } } },
  },
}]]

describe("an import into rows with arrays", function()
  local folder, path

  before_each(function()
    folder = command.folder()
    path = command.write(folder .. "/post.lua", PLATFORM)
  end)
  after_each(function()
    command.remove(folder)
  end)

  local function import(csv, options, reply)
    local wire = recorder.new{ recorder.reply(reply or '{"failed":[]}') }
    local all = { source = command.write(folder .. "/list.csv", csv), to = path .. ".send", job = folder .. "/job",
      account = { base_url = wire.url, token = "t" }, transport = wire, env = fake.env() }
    for key, value in pairs(options or {}) do
      all[key] = value
    end
    local result, err = campaign.import(all)
    wire:close()
    local sent = wire.received[1]
    return sent and sent:match("\r\n\r\n(.*)$"), result, err
  end

  it("fills the one object of an array from columns, and leaves out what no column fills", function()
    local sent, result = import('mail,to.name,tags\na@x.org,"O ""A""",vip\nb@x.org,,\n,nobody,x\n')
    assert.equal('{"messages":[{"to":[{"email":"a@x.org","name":"O \\"A\\""}],"tags":["vip"]},{"to":[{"email":"b@x.org"}]}]}', sent)
    assert.equal(2, result.accepted)
    assert.equal(1, result.rejected)
    assert.matches("to.email", command.read(folder .. "/job/rejects.csv"), 1, true)
  end)

  it("sends an array that may be left out where one of its fields is filled, which then needs what its object needs", function()
    local sent, result = import("mail,copy,copy name\na@x.org,c@x.org,C\nb@x.org,,\nd@x.org,,D\n",
      { map = { ["cc.email"] = "copy", ["cc.name"] = "copy name" } })
    assert.equal('{"messages":[{"to":[{"email":"a@x.org"}],"cc":[{"email":"c@x.org","name":"C"}]},{"to":[{"email":"b@x.org"}]}]}', sent)
    assert.equal(1, result.rejected)
  end)

  it("splits a cell into an array of texts, each escaped and checked; an empty one is refused", function()
    local sent, result, err = import('mail,tags\na@x.org,"a;b ""c"";d\\e"\nb@x.org,;\nc@x.org,ok;much too long\n', { split = { tags = ";" } })
    assert(sent, tostring(err) .. command.read(folder .. "/job/rejects.csv"))
    local messages = assert(json.decode(sent)).messages
    assert.same({ "a", 'b "c"', "d\\e" }, messages[1].tags)
    assert.equal(1, #messages)
    assert.equal(2, result.rejected)
    assert.matches("tags", command.read(folder .. "/job/rejects.csv"), 1, true)
  end)

  it("takes an array of texts that is one text where nothing splits it", function()
    local sent = import("mail,tags\na@x.org,a;b\n")
    assert.equal('{"messages":[{"to":[{"email":"a@x.org"}],"tags":["a;b"]}]}', sent)
  end)

  it("refuses a column for an array of numbers", function()
    local _, _, err = import("mail,levels\na@x.org,1\n")
    assert.matches('"levels" cannot be filled from a column', err.message, 1, true)
  end)

  it("finds the refused rows that come back", function()
    local _, result = import("mail,to.name,tags\na@x.org,A,x;y\nb@x.org,B,x\n", { split = { tags = ";" } },
      '{"failed":[{"tags":["x","y"],"to":[{"name":"A","email":"a@x.org"}],"why":"blocked"}]}')
    assert.equal(1, result.accepted)
    assert.equal(1, result.rejected)
    assert.matches("blocked", command.read(folder .. "/job/rejects.csv"), 1, true)
  end)

  it("reads what is said of every row, in their order", function()
    local text = PLATFORM:gsub('list = "failed"', '%0, in_order = true, unless = { path = "why", is = { "ok" } }')
    command.write(path, text)
    local list = "mail\na@x.org\nb@x.org\na@x.org\n"
    local _, result = import(list, nil, '{"failed":[{"why":"ok"},{"why":"ok"},{"why":"blocked"}]}')
    assert.equal(2, result.accepted)
    assert.equal(1, result.rejected)
    assert.matches("\n3,4,rejected,[^\n]*blocked", command.read(folder .. "/job/rejects.csv"))
    command.remove(folder .. "/job")
    _, result = import(list, nil, '{"failed":[{"why":"ok"},{"why":"ok"}]}')
    assert.equal(3, result.ambiguous)
  end)

  it("counts in the plan the bytes that are sent, whatever is escaped", function()
    local list, cells = command.write(folder .. "/wide.csv", "m,t\n"), {}
    for i = 1, 300 do
      cells[i] = ('%d@x.org,"%s"\n'):format(i, ('a""\\\t;'):rep(i % 40) .. "z")
    end
    command.write(list, "m,t\n" .. table.concat(cells))
    local input = assert(core.rows.input{ path = list, header = true })
    local encoder = assert(core.rows.encoder{ columns = 2, format = "json", row = "object", prefix = "[", suffix = "]", separator = ",", fields = {
      { name = "to", type = "object", array = true, fields = { { name = "email", column = 1 } } },
      { name = "tags", column = 2, array = true, split = ";" } } })
    local pass = assert(core.rows.preflight(input, encoder, { batch_rows = 1000 }))
    local step = assert(pass:step())
    local text = assert(encoder:text(input, step.batches[1]))
    assert.equal(step.batches[1].body_bytes, #text)
    assert.equal(300, #assert(json.decode(text)))
    pass:close()
    encoder:close()
    input:close()
  end)

  it("is not for rows of another shape", function()
    for _, description in ipairs{ { format = "csv", line_end = "\n" }, { format = "json", row = "array" } } do
      description.columns, description.fields = 1, { { name = "tags", column = 1, array = true } }
      local encoder, err = core.rows.encoder(description)
      assert.is_nil(encoder)
      assert.matches("arrays are only for JSON rows", err.message, 1, true)
    end
  end)
end)

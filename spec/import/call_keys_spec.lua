-- SPDX-License-Identifier: MIT
-- Keys of calls (`call_key`): another for each call, the same whenever a call or a batch is sent again, also by another process.

local campaign = require "campaign"
local command = require "support.command"
local core = require "campaign.core"
local fake = require "support.fake"
local recorder = require "support.recorder"
local small_platform = require "support.small_platform"

local HEAD = [[return {
  name = "bell", title = "Bell", doc = "Notes.", source = "bell.md", zone = "+00:00",
  account = { { name = "token", required = true, secret = true, doc = "key" }, { name = "base_url", type = "url", required = true, doc = "where" } },
  auth = {
    bearer = { kind = "bearer", key = "token" },
    signed = { kind = "signature", secret = "token", algorithm = "md5", text = "{params}{secret}", params = { of = { "%s" } },
      send = { { header = "X-Sign", value = "{signature}" } } },
  },
  operations = { { name = "notify", doc = "Notifies.", source = ":1", method = "POST", path = "/notify", response = "json", effect = "append",
    auth = "%s", body = "%s", reply = { { name = "id" } }, present = { "id" },
    fields = { %s,
      { name = "to", where = "%s", type = "array", items = "string", required = true }, { name = "text", where = "%s" } },
    rows = { field = "to", shape = "value", columns = { "user" }, per_call = 1, concurrency = 1, result = { accepted = "all", id = "id" } },
} } }]]

local HEADER = [[{ name = "Idempotency-Key", where = "header", required = true, call_key = "uuid" }]]
local IN_BODY = [[{ name = "requestId", where = "%s", call_key = "hex" }]]

local GOOD, BUSY = recorder.reply('{"id":"n1"}'), "HTTP/1.1 429 Slow down\r\nContent-Length: 0\r\nRetry-After: 0\r\n\r\n"
local LOST = "" -- the connection is closed instead of an answer

local UUID = "^%x%x%x%x%x%x%x%x%-%x%x%x%x%-4%x%x%x%-8%x%x%x%-%x%x%x%x%x%x%x%x%x%x%x%x$"

local folder, path

local function platform(auth, body, field)
  local where = body == "form" and "form" or "json"
  path = command.write(folder .. "/bell.lua", HEAD:format(where, auth, body, field:format(where), where, where))
end

local function options_of(wire, more)
  local env = fake.env()
  env.random = core.system.random
  local options = { source = command.write(folder .. "/list.csv", "user\na\nb\nc\n"), to = path .. ".notify", job = folder .. "/job",
    account = { base_url = wire.url, token = "t" }, transport = wire, env = env, params = { text = "hi" } }
  for key, value in pairs(more or {}) do
    options[key] = value
  end
  return options
end

local function keys_of(wire, pattern)
  local keys = {}
  for i, received in ipairs(wire.received) do
    keys[i] = received:match(pattern)
  end
  return keys
end

describe("keys of calls", function()
  before_each(function() folder = command.folder() end)
  after_each(function() command.remove(folder) end)

  it("differ from batch to batch, and stay the same when one is sent again", function()
    platform("bearer", "json", HEADER)
    local wire = recorder.new{ GOOD, BUSY, GOOD }
    local result = assert(campaign.import(options_of(wire)))
    wire:close()
    assert.equal(3, result.accepted)
    local keys = keys_of(wire, "Idempotency%-Key: (%S+)\r\n")
    assert.equal(4, #keys)
    for _, key in ipairs(keys) do
      assert.matches(UUID, key)
    end
    assert.equal(keys[2], keys[3]) -- after 429
    assert.is_true(keys[1] ~= keys[2] and keys[3] ~= keys[4] and keys[1] ~= keys[4])
  end)

  it("are the same when another process sends a batch of the job again, and others in another job", function()
    platform("bearer", "json", HEADER)
    local wire = recorder.new{ GOOD, LOST, GOOD }
    local result = campaign.import(options_of(wire))
    assert.same({ 1, 1, 1 }, { result.accepted, result.ambiguous, result.pending }) -- it ends the run: one after another
    local job = assert(campaign.open_job(folder .. "/job", options_of(wire)))
    assert(job:resolve(2, "resend"))
    result = assert(job:resume())
    assert.equal(3, result.accepted)
    local keys = keys_of(wire, "Idempotency%-Key: (%S+)\r\n")
    assert.equal(4, #keys)
    assert.equal(keys[2], keys[3])
    result = assert(campaign.import(options_of(wire, { job = folder .. "/other" })))
    wire:close()
    assert.equal(3, result.accepted)
    assert.is_true(keys_of(wire, "Idempotency%-Key: (%S+)\r\n")[5] ~= keys[1])
  end)

  it("may stand beside the rows, signed with them", function()
    for body, place in pairs({ json = '^{"requestId":"(%x+)","to":%["a"%],"text":"hi"}$', form = "^requestId=(%x+)&text=hi&to=a$" }) do
      platform("signed", body, IN_BODY)
      local wire = recorder.new{ GOOD }
      local result = assert(campaign.import(options_of(wire, { job = folder .. "/" .. body })))
      wire:close()
      assert.equal(3, result.accepted)
      local key = wire.received[1]:match("\r\n\r\n(.*)$"):match(place)
      assert.equal(32, #key)
      local to = body == "json" and '["a"]' or "a"
      local signature = core.digest.hex(core.digest.of("md5", ("requestId=%s&text=hi&to=%st"):format(key, to)))
      assert.matches("X-Sign: " .. signature .. "\r\n", wire.received[1], 1, true)
      assert.is_nil(wire.received[2]:find(key, 1, true))
    end
  end)

  it("of single calls are made for each, and the same for its repeats, unless they are given", function()
    platform("bearer", "json", HEADER)
    local wire = recorder.new{ BUSY, GOOD }
    local client = assert(campaign.connect(path, { base_url = wire.url, token = "t" }, { transport = wire }))
    assert(client:notify({ to = { "a" } }, { retries = 1 }))
    assert(client:notify({ to = { "a" } }))
    assert(client:notify({ to = { "a" }, ["Idempotency-Key"] = "mine" }))
    client:close()
    wire:close()
    local keys = keys_of(wire, "Idempotency%-Key: (%S+)\r\n")
    assert.equal(4, #keys)
    assert.matches(UUID, keys[1])
    assert.equal(keys[1], keys[2])
    assert.is_true(keys[2] ~= keys[3])
    assert.equal("mine", keys[4])
  end)

  it("are not taken from the user for a whole import", function()
    platform("bearer", "json", HEADER)
    local wire = recorder.new{ GOOD }
    local none, err = campaign.import(options_of(wire, { params = { ["Idempotency-Key"] = "one" } }))
    wire:close()
    assert.is_nil(none)
    assert.matches("params.Idempotency-Key: each call of an import has a key of its own", err.message, 1, true)
    assert.equal(0, #wire.received)
  end)

  local broken = {
    { { where = "path" }, "belongs to a field of type `string` in a header" },
    { { type = "integer" }, "belongs to a field of type `string` in a header" },
    { { constant = "x" }, "does not go with `constant`" },
    { { max_length = 32 }, "has 36 characters, which the limits of the field refuse" },
  }
  for _, case in ipairs(broken) do
    it("are refused where they can never be right: " .. case[2], function()
      local message = small_platform.refused(function(_, send)
        local field = { name = "who", where = "header", call_key = "uuid" }
        for key, value in pairs(case[1]) do
          field[key] = value
        end
        field.required = field.where == "path" or nil
        send.path, send.fields[1] = field.where == "path" and "/{who}/send" or "/send", field
      end)
      assert.matches(case[2], message, 1, true)
    end)
  end

  it("are one for a call", function()
    assert.matches("`who` is the key already", small_platform.refused(function(_, send)
      send.path, send.fields[1] = "/send", { name = "who", where = "header", call_key = "uuid" }
      send.fields[3] = { name = "id", where = "query", call_key = "hex" }
    end), 1, true)
  end)
end)

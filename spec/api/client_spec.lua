-- SPDX-License-Identifier: MIT
-- The client as scripts see it: methods, options, guards, downloads, driving many requests at once, and what it never does.

local campaign = require "campaign"
local command = require "support.command"
local core = require "campaign.core"
local error_object = require "campaign.error"
local fake = require "support.fake"
local json = require "campaign.json"
local recorder = require "support.recorder"

local ACCEPTED = '{"code":200,"status":"success","message":"m","data":{"unique_id":"u"}}'
local ROWS = { data = { { phone = "13000000001" } } }

describe("api.client", function()
  it("has a method for every operation, and says what it lacks", function()
    local client = fake.client("outbound", { fake.answer{ code = 200, msg = "m" } })
    for _, operation in ipairs(client.platform.operations) do
      assert.is_function(client[operation.name])
    end
    local well, problem = pcall(function() return client.upload_contact_file end)
    assert.is_false(well)
    assert.matches("did you mean `upload_contacts_file`", problem)
    assert.has_error(function() client.upload_dnc_json({}, {}) end)
    assert.has_error(function() client:call("nothing", {}) end)
    assert.has_error(function() client.token = "x" end)
  end)

  it("refuses unknown and wrong options as errors of the program", function()
    local client = fake.client("longlong", { fake.answer(ACCEPTED) })
    for _, options in ipairs{ { timeuot = 1 }, { timeout = "1" }, { timeout = 0 }, { timeout = -1 }, { timeout = 1 / 0 }, { window = 7 },
      { save_to = 7 } } do
      assert.has_error(function() client:import_customers_async(ROWS, options) end)
    end
  end)

  it("gives the transport an account of its own, limits, and no option it did not ask for", function()
    local client, transport = fake.client("longlong", { fake.answer(ACCEPTED) })
    assert(client:import_customers_async(ROWS, { timeout = 7 }))
    local request = transport:last()
    assert.matches("^longlong/default#%x+$", request.account)
    assert.equal(7, request.limits.total)
    assert.equal(5, request.max_connection_age)
    assert.is_nil(request.allow_http)
    local reader
    reader, transport = fake.client("outbound", { fake.answer{ code = 200, msg = "m" } })
    assert(reader:get_contact_group_detail())
    assert.is_nil(transport:last().max_connection_age)
    assert.is_nil(transport:last().limits)
  end)

  it("R009 client repeats no write by itself that may have reached the server, whatever happened", function()
    local answers = {
      { error = error_object.new{ kind = "timeout", message = "m" }, sent = "maybe" },
      { error = error_object.new{ kind = "network", message = "m" }, sent = "maybe", guard = true },
      fake.answer("", 401), fake.answer("", 429), fake.answer("", 500), fake.answer("", 502), fake.answer("", 503), fake.answer("", 408),
      fake.answer("{", 200), fake.answer("", 302),
    }
    for _, answer in ipairs(answers) do
      local client, transport = fake.client("longlong", { answer })
      local reply, err = client:import_customers_async(ROWS)
      assert.is_nil(reply)
      assert(error_object.is(err))
      assert.equal("longlong", err.platform)
      assert.equal("import_customers_async", err.operation)
      assert.equal(1, #transport.requests)
    end
  end)

  it("R155 client follows no redirect, so that tokens go to the configured host only", function()
    for _, status in ipairs{ 301, 302, 303, 307, 308 } do
      local client, transport = fake.client("tuzhan", { fake.answer("", status, { { "Location", "https://evil.example/" } }) })
      local reply, err = client:batch_add_group_relations{ publicParams = { isMatching = false, optType = "add" },
        data = { { thirdId = "1", groups = { "g" } } } }
      assert.is_nil(reply)
      assert.equal("redirect", err.kind)
      assert.equal(1, #transport.requests)
      assert(transport:last().url:find("https://tuzhan.example/", 1, true))
    end
  end)

  it("R008 client shows no secret when it is printed or written", function()
    local client = fake.client("longlong", { fake.answer(ACCEPTED) })
    local text = tostring(client) .. tostring(client.account) .. json.encode(client.account)
    for key, value in pairs(client) do
      text = text .. tostring(key) .. tostring(value)
    end
    assert.is_nil(text:find("canary", 1, true))
    assert.matches("longlong", tostring(client))
  end)

  it("refuses tokens that would end a header before anything is sent", function()
    for _, token in ipairs{ "a\r\nX: y", "a\n", "a\0", "\127" } do
      local connected, err = campaign.connect("longlong", { base_url = "https://x.example", token = token, user_id = "u" },
        { transport = fake.transport{}, env = fake.env() })
      assert.is_nil(connected)
      assert.matches("`token`", err.message)
      assert.is_nil(tostring(err):find("X: y", 1, true))
    end
  end)

  it("lets others drive: prepare, then finish", function()
    local client, transport = fake.client("longlong", { fake.answer(ACCEPTED), fake.answer(ACCEPTED) })
    local first = assert(client:prepare("import_customers_async", ROWS))
    local second = assert(client:prepare("import_customers_async", { data = { { phone = "2" } } }))
    assert.equal(0, #transport.requests)
    assert.are_not.equal(first.body, second.body)
    assert.equal("u", client:finish(second, fake.answer(ACCEPTED)).data.unique_id)
    local reply, err = client:finish(first, fake.answer("", 500))
    assert.is_nil(reply)
    assert.equal(500, err.status)
    assert.has_error(function() client:finish({}, fake.answer(ACCEPTED)) end)
    reply, err = client:prepare("import_customers_async", { data = {} })
    assert.is_nil(reply)
    assert.equal("invalid", err.kind)
  end)

  it("splits a JSON body around its rows for whoever encodes them", function()
    local client = fake.client("longlong", {})
    local prefix, suffix = client:envelope("import_customers_async", { sub_user_id = "s" })
    assert.equal('{"data":[', prefix)
    assert.equal('],"encryption":false,"sub_user_id":"s"}', suffix)
    client = fake.client("tuzhan", {})
    prefix, suffix = client:envelope("batch_add_group_relations", { publicParams = { isMatching = false, optType = "add" } })
    assert.equal('{"publicParams":{"isMatching":false,"optType":"add"},"data":[', prefix)
    assert.equal("]}", suffix)
    local nothing, err = client:envelope("batch_add_group_relations", { publicParams = {} })
    assert.is_nil(nothing)
    assert.equal("invalid", err.kind)
    assert.has_error(function() fake.client("outbound", {}):envelope("upload_contacts_file", {}) end)
  end)

  it("sends rows from a source as the whole JSON body, or as the file of a form", function()
    local client = fake.client("longlong", {})
    local source = core.source('{"data":[]}')
    local request = assert(client:prepare("import_customers_async", {}, { rows = source }))
    assert.equal(source, request.body)
    source:close()
    local wire = recorder.new{ recorder.reply('{"code":200,"msg":"m"}') }
    local outbound = assert(campaign.connect("outbound", { base_url = wire.url, token = "t", abbreviate = "a" },
      { transport = wire, env = fake.env() }))
    assert(outbound:upload_contacts_file({ dataSourceName = "s" }, { rows = core.source("uuid\r\nc-1\r\n"), rows_filename = "part-1.csv" }))
    wire:close()
    assert.matches('name="dataSourceFile"; filename="part%-1.csv"\r\nContent%-Type: text/csv\r\n\r\nuuid\r\nc%-1\r\n\r\n%-%-',
      wire.received[1])
  end)

  it("prepares the same call with other rows like an earlier request, and nothing else", function()
    local client = fake.client("longlong", {})
    local first_rows, other_rows = core.source('{"data":[1]}'), core.source('{"data":[2]}')
    local first = assert(client:prepare("import_customers_async", {}, { rows = first_rows }))
    local other = assert(client:prepare("import_customers_async", {}, { rows = other_rows, like = first, timeout = 9 }))
    assert.equal(other_rows, other.body)
    assert.equal(9, other.limits.total)
    for _, key in ipairs { "method", "url", "account", "max_connection_age" } do
      assert.equal(first[key], other[key])
    end
    assert.same(first.headers, other.headers)
    first_rows:close()
    other_rows:close()
    local plain = assert(client:prepare("import_customers_async", ROWS))
    assert.has_error(function() client:prepare("import_customers_async", {}, { rows = other_rows, like = plain }) end)
    assert.has_error(function() client:prepare("import_customers_async", ROWS, { like = first }) end)
    assert.has_error(function() client:prepare("import_customers_async", {}, { rows = other_rows, like = {} }) end)
  end)

  it("makes the same call again with other rows, without building anything, where the earlier request still serves", function()
    local client = fake.client("longlong", {})
    local first_rows, other_rows = core.source('{"data":[1]}'), core.source('{"data":[2]}')
    local first = assert(client:prepare("import_customers_async", {}, { rows = first_rows, timeout = 9 }))
    local other = assert(client:again(first, other_rows, 10.25))
    for key, value in pairs(first) do
      if key ~= "body" and key ~= "limits" then
        assert.equal(value, other[key], key)
      end
    end
    assert.equal(other_rows, other.body)
    assert.same({ total = 11 }, other.limits)
    local plain = assert(client:prepare("import_customers_async", ROWS))
    assert.is_nil((client:again(plain, other_rows, 9)))
    assert.has_error(function() client:again({}, other_rows, 9) end)
    local form_rows = core.source("x")
    local outbound = fake.client("outbound", {})
    local form = assert(outbound:prepare("upload_contacts_file", { dataSourceName = "s" }, { rows = form_rows, window = "ignore" }))
    assert.is_nil((outbound:again(form, other_rows, 9)))
    form.body:close()
    for _, rows in ipairs({ first_rows, other_rows }) do
      rows:close()
    end
  end)

  it("keeps nothing of earlier requests", function()
    local client, seen = fake.client("longlong", {}), setmetatable({}, { __mode = "k" })
    local function ask()
      local first = assert(client:prepare("import_customers_async", {}, { rows = core.source('{"data":[1]}') }))
      local other = assert(client:again(first, core.source('{"data":[2]}'), 9))
      assert.is_nil((client:finish(other, { status = 500, headers = {}, body = "", sent = "yes" })))
      seen[first], seen[other] = true, true
      local outbound = fake.client("outbound", {})
      local fields, options = { dataSourceName = "s" }, { rows = core.source("x"), window = "ignore" }
      local form = assert(outbound:prepare("upload_contacts_file", fields, options))
      seen[form] = true
      return assert(outbound:prepare("upload_contacts_file", fields, { rows = core.source("y"), window = "ignore", like = form }))
    end
    local last = ask()
    if rawget(_G, "jit") then
      rawget(_G, "jit").flush() -- compiled code holds what it was made with
    end
    for _ = 1, 3 do
      collectgarbage()
    end
    assert.is_nil((next(seen)))
    last.body:close()
  end)

  it("reports a request that the engine refuses as not sent", function()
    local client = fake.client("longlong", { function() return nil, error_object.new{ kind = "invalid", message = "bad URL" } end })
    local reply, err = client:import_customers_async(ROWS)
    assert.is_nil(reply)
    assert.same({ "invalid", "no", "longlong" }, { err.kind, err.sent, err.platform })
  end)

  describe("downloads", function()
    local folder
    before_each(function() folder = command.folder() end)
    after_each(function() command.remove(folder) end)

    local function download(save_to, headers, status)
      local wire = recorder.new{ recorder.reply("file bytes", status, headers) }
      local client = assert(campaign.connect("hypers", { base_url = wire.url, token = "t" }, { transport = wire, env = fake.env() }))
      local reply, err = client:download_file({ id = 17 }, { save_to = save_to })
      wire:close()
      return reply, err
    end

    it("go to the named file", function()
      local reply = assert(download(folder .. "/a.bin", { "Content-Type: image/png" }))
      assert.same({ path = folder .. "/a.bin", bytes = 10, content_type = "image/png" }, reply)
      assert.equal("file bytes", command.read(folder .. "/a.bin"))
    end)

    it("go into a folder under the name that the platform gives, without its directories, over nothing", function()
      local headers = { 'Content-Disposition: inline; filename="../../report.pdf"' }
      assert.equal(folder .. "/report.pdf", assert(download(folder, headers)).path)
      assert.equal(folder .. "/report (2).pdf", assert(download(folder .. "/", headers)).path)
      assert.equal("file bytes", command.read(folder .. "/report (2).pdf"))
      assert.equal(folder .. "/download_file.bin", assert(download(folder, {})).path)
      local names = {}
      for name in require("lfs").dir(folder) do
        names[#names + 1] = name
      end
      assert.equal(5, #names)
    end)

    it("do not replace a link that leads nowhere", function()
      assert(os.execute("ln -s /nowhere " .. folder .. "/report.pdf"))
      assert.equal(folder .. "/report (2).pdf", assert(download(folder, { 'Content-Disposition: inline; filename="report.pdf"' })).path)
    end)

    it("leave nothing behind when they are refused", function()
      local reply, err = download(folder, {}, "404 Not Found")
      assert.is_nil(reply)
      assert.equal("not_found", err.reason)
      for name in require("lfs").dir(folder) do
        assert(name == "." or name == "..", name)
      end
    end)

    it("are the only ones that can be saved", function()
      local client, transport = fake.client("longlong", { fake.answer(ACCEPTED) })
      local reply, err = client:import_customers_async(ROWS, { save_to = folder .. "/x" })
      assert.is_nil(reply)
      assert.equal("usage", err.kind)
      assert.equal(0, #transport.requests)
    end)
  end)

  it("checks an upload against the digest that the engine took on the way", function()
    local body = '{"id":1,"fileName":"a.png","signature":"%s","fileSize":3}'
    for _, case in ipairs{ { core.digest.sha256("abc"), true }, { core.digest.sha256("abd"), false } } do
      local wire = recorder.new{ recorder.reply(body:format(case[1])) }
      local client = assert(campaign.connect("hypers", { base_url = wire.url, token = "t" }, { transport = wire, env = fake.env() }))
      local reply, err = client:upload_file{ file = { content = "abc", filename = "a.png" } }
      wire:close()
      assert.equal(case[2], reply ~= nil)
      assert(reply or err.reason == "receipt_mismatch")
    end
  end)

  it("says of every file in a form what kind it is", function()
    for name, kind in pairs{ ["m.xlsx"] = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", ["名单.CSV"] = "text/csv",
      ["a.png"] = "image/png", ["notes.txt"] = "text/plain", ["a.b.unknown"] = "application/octet-stream",
      noextension = "application/octet-stream" } do
      local wire = recorder.new{ recorder.reply('{"id":1,"fileName":"f","signature":"' .. core.digest.sha256("abc") .. '","fileSize":3}') }
      local client = assert(campaign.connect("hypers", { base_url = wire.url, token = "t" }, { transport = wire, env = fake.env() }))
      assert(client:upload_file({ file = { content = "abc", filename = name } }, { accept_public_file = true }))
      wire:close()
      assert(wire.received[1]:find('; filename="' .. name .. '"\r\nContent-Type: ' .. kind .. "\r\n\r\nabc", 1, true), wire.received[1])
    end
  end)

  it("sends a dead server's error as provably not sent", function()
    local wire = recorder.new{ "" }
    local url = wire.url
    wire:close()
    local client = assert(campaign.connect("longlong", { base_url = url, token = "t", user_id = "u" }, { env = fake.env() }))
    local reply, err = client:import_customers_async(ROWS)
    client:close()
    client:close()
    assert.is_nil(reply)
    assert.same({ "network", "no", true }, { err.kind, err.sent, err.retry })
  end)

  it("takes a cut answer for unknown, whatever it begins with", function()
    local wire = recorder.new{ "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" .. ACCEPTED }
    local client = assert(campaign.connect("longlong", { base_url = wire.url, token = "t", user_id = "u" },
      { transport = wire, env = fake.env() }))
    local reply, err = client:import_customers_async(ROWS)
    wire:close()
    assert.is_nil(reply)
    assert.equal("maybe", err.sent)
  end)

  it("can be asked for platforms that are not there", function()
    local client, err = campaign.connect("nowhere", {})
    assert.is_nil(client)
    assert.equal("usage", err.kind)
  end)
end)

-- SPDX-License-Identifier: MIT
-- The client's side of the outbound rules (docs/contracts/rules.md).

local build = require "campaign.api.build"
local campaign = require "campaign"
local check = require "campaign.api.check"
local fake = require "support.fake"
local platforms = require "campaign.api.platform"

local platform = platforms.load("outbound")
local WELL = { code = 200, msg = "success" }
local UPLOADS = { "upload_contacts_file", "upload_dnc_file", "upload_contacts_json", "upload_dnc_json" }

local function fields_of(name)
  if name == "get_contact_group_detail" then
    return {}
  elseif name:find("file$") then
    return { dataSourceFile = { content = "uuid\r\nc-1\r\n", filename = "c.csv" }, dataSourceName = "spring" }
  elseif name == "upload_contacts_json" then
    return { dataList = { { "c-1", "Zhang" } }, dataSourceName = "spring" }
  end
  return { dataList = { "c-1" }, dataSourceName = "spring" }
end

-- The parts of a multipart call as { name = value }, files as their descriptions.
local function parts_of(name, fields, account)
  local operation = platform.operations[name]
  account = account or fake.ACCOUNTS.outbound
  local values = assert(check.fields(platform, operation, fields, account))
  local request = assert(build.request(operation, values, account))
  local parts = {}
  for _, part in ipairs(request.body.parts) do
    assert(parts[part.name] == nil, part.name .. " is there twice")
    parts[part.name] = part.file or part.value
  end
  return parts, request
end

local function with(fields, more)
  for key, value in pairs(more) do
    fields[key] = value
  end
  return fields
end

local function refused(name, fields, account)
  local client, transport = fake.client("outbound", { fake.answer(WELL) }, { account = account })
  local reply, err = client[name](client, fields)
  assert.is_nil(reply)
  assert.equal("invalid", err.kind)
  assert.equal("no", err.sent)
  assert.equal(0, #transport.requests)
  return err
end

local function path_of(err)
  return err.faults[1].path
end

describe("outbound", function()
  it("R015 client sends the token of the file uploads as a form field and not as a header", function()
    for _, name in ipairs{ "upload_contacts_file", "upload_dnc_file" } do
      local parts, request = parts_of(name, fields_of(name))
      assert.equal("canary-token-1", parts.token)
      assert.same({}, request.headers)
      assert.is_nil(request.url:find("canary", 1, true))
    end
  end)

  it("R016 client sends the token of the other operations as header `token` only", function()
    for _, name in ipairs{ "upload_contacts_json", "get_contact_group_detail", "upload_dnc_json" } do
      local client, transport = fake.client("outbound", { fake.answer(WELL) })
      assert(client[name](client, fields_of(name)))
      assert.equal("canary-token-1", fake.header(transport:last(), "token"))
      assert.is_nil(((transport:last().body or "") .. transport:last().url):find("canary", 1, true))
    end
  end)

  it("R019 client requires abbreviate in all five operations", function()
    for _, operation in ipairs(platform.operations) do
      local account = { base_url = "https://o.example", token = "canary-token-1" }
      assert.equal("abbreviate", path_of(refused(operation.name, fields_of(operation.name), account)))
      assert.equal("abbreviate", path_of(refused(operation.name, with(fields_of(operation.name), { abbreviate = "" }), account)))
    end
  end)

  it("R021 client sends companyId as text in forms, as a number in JSON, and not where it does not belong", function()
    local account = with({ company_id = 7 }, fake.ACCOUNTS.outbound)
    assert.equal("7", parts_of("upload_contacts_file", fields_of("upload_contacts_file"), account).companyId)
    assert.equal("7", parts_of("upload_dnc_file", fields_of("upload_dnc_file"), account).companyId)
    assert.is_nil(parts_of("upload_dnc_file", fields_of("upload_dnc_file")).companyId)
    local client, transport = fake.client("outbound", { fake.answer(WELL) }, { account = account })
    assert(client:upload_contacts_json(fields_of("upload_contacts_json")))
    assert(transport:last().body:find('"companyId":7,', 1, true))
    assert(client:upload_dnc_json(fields_of("upload_dnc_json")))
    assert.is_nil(transport:last().body:find("companyId", 1, true))
    assert(client:get_contact_group_detail())
    assert.is_nil(transport:last().url:find("companyId", 1, true))
    refused("upload_dnc_json", with(fields_of("upload_dnc_json"), { companyId = 7 }))
  end)

  it("R024 client takes the codes of the success set only", function()
    for _, case in ipairs{ { 200, true }, { 0, true }, { 201 }, { -1 }, { 1 }, { 500 } } do
      local client = fake.client("outbound", { fake.answer{ code = case[1], msg = "m" } })
      local reply, err = client:upload_dnc_json(fields_of("upload_dnc_json"))
      assert.equal(case[2] or false, reply ~= nil)
      if err then
        assert.equal("platform", err.kind)
        assert.equal(case[1], err.code)
      end
    end
    local account = with({ success_codes = { 1 } }, fake.ACCOUNTS.outbound)
    local client = fake.client("outbound", { fake.answer{ code = 1, msg = "m" }, fake.answer(WELL) }, { account = account })
    assert(client:upload_dnc_json(fields_of("upload_dnc_json")))
    assert.is_nil((client:upload_dnc_json(fields_of("upload_dnc_json"))))
  end)

  it("R025 client hands raw code and msg over on success too", function()
    local client = fake.client("outbound", { fake.answer{ code = 0, msg = "fine", more = { 1 } } })
    assert.same({ code = 0, msg = "fine", more = { 1 } }, client:upload_dnc_json(fields_of("upload_dnc_json")))
  end)

  it("R029 client wants a file with a name and content", function()
    local parts = parts_of("upload_contacts_file", fields_of("upload_contacts_file"))
    assert.equal("c.csv", parts.dataSourceFile.filename)
    for _, file in ipairs{ { content = "", filename = "c.csv" }, { content = "x" }, { content = "x", filename = "" },
      { content = "x", filename = "a/" }, { filename = "c.csv" }, {}, 7, true, { path = "", filename = "c" } } do
      refused("upload_contacts_file", with(fields_of("upload_contacts_file"), { dataSourceFile = file }))
    end
    assert.equal("dataSourceFile", path_of(refused("upload_contacts_file", { dataSourceName = "s" })))
    local empty = os.tmpname()
    assert.matches("empty", refused("upload_contacts_file", with(fields_of("upload_contacts_file"), { dataSourceFile = empty })).message)
    os.remove(empty)
    assert.matches("cannot be opened",
      refused("upload_contacts_file", with(fields_of("upload_contacts_file"), { dataSourceFile = "/nowhere/c.csv" })).message)
    refused("upload_contacts_file", with(fields_of("upload_contacts_file"), { dataSourceFile = "/tmp" }))
  end)

  it("does not guess which digit was meant", function()
    for _, value in ipairs{ "2", "" } do
      local err = refused("upload_contacts_file", with(fields_of("upload_contacts_file"), { operationType = value }))
      assert.equal("operationType: must be one of 0, 1", err.message)
    end
    local err = refused("upload_contacts_file", with(fields_of("upload_contacts_file"), { dataSourceType = "1" }))
    assert.equal("dataSourceType: must be one of 0", err.message)
  end)

  it("R037 client requires dataSourceName in the file uploads", function()
    for _, name in ipairs{ "upload_contacts_file", "upload_dnc_file" } do
      for _, value in ipairs{ "", false, 7 } do
        assert.equal("dataSourceName", path_of(refused(name, with(fields_of(name), { dataSourceName = value }))))
      end
    end
  end)

  it("R039 client sends operationType 0 or 1 as text and nothing else", function()
    for _, value in ipairs{ "0", "1", 0, 1 } do
      local parts = parts_of("upload_contacts_file", with(fields_of("upload_contacts_file"), { operationType = value }))
      assert.equal(tostring(value), parts.operationType)
    end
    for _, value in ipairs{ "2", 2, "123456", "", "append", true, 0.5 } do
      assert.equal("operationType",
        path_of(refused("upload_contacts_file", with(fields_of("upload_contacts_file"), { operationType = value }))))
    end
  end)

  it("R041 client appends unless overwrite is named", function()
    assert.equal("0", parts_of("upload_contacts_file", fields_of("upload_contacts_file")).operationType)
  end)

  it("R042 client leaves dataSourceType out of contact uploads and allows only 0", function()
    assert.is_nil(parts_of("upload_contacts_file", fields_of("upload_contacts_file")).dataSourceType)
    assert.equal("0",
      parts_of("upload_contacts_file", with(fields_of("upload_contacts_file"), { dataSourceType = "0" })).dataSourceType)
    refused("upload_contacts_file", with(fields_of("upload_contacts_file"), { dataSourceType = "1" }))
  end)

  it("R050 client reports a refused overwrite as such and does not make an append of it", function()
    local client, transport = fake.client("outbound", { fake.answer{ code = 409, msg = "task running" } })
    local reply, err = client:upload_contacts_file(with(fields_of("upload_contacts_file"), { operationType = "1" }))
    assert.is_nil(reply)
    assert.equal("platform", err.kind)
    assert.equal("overwrite_refused", err.reason)
    assert.equal(409, err.code)
    assert.equal("no", err.sent)
    assert.equal(1, #transport.requests)
  end)

  -- Seconds of the day, at +08:00, of 2025-11-09.
  local MIDNIGHT = fake.NOON - 12 * 3600

  it("R052 client closes the window from 00:00:00 up to but not including 02:00:00 in Asia/Shanghai", function()
    for _, case in ipairs{ { 0, false }, { 7199, false }, { 7199.9, false }, { 7200, true }, { 86399, true }, { 86400, false } } do
      local client = fake.client("outbound", { fake.answer(WELL) }, { env = fake.env(nil, MIDNIGHT + case[1]) })
      assert.equal(case[2], (client:upload_contacts_file(fields_of("upload_contacts_file"))) ~= nil)
    end
  end)

  it("R053 client sends no contact upload inside the window", function()
    local client, transport = fake.client("outbound", { fake.answer(WELL) }, { env = fake.env(nil, MIDNIGHT + 60) })
    local reply, err = client:upload_contacts_file(fields_of("upload_contacts_file"))
    assert.is_nil(reply)
    assert.equal("window", err.kind)
    assert.equal("no", err.sent)
    assert.equal(0, #transport.requests)
  end)

  it("R054 client names the next allowed time, and its guard can be switched off or waited for", function()
    local client, transport, env = fake.client("outbound", { fake.answer(WELL) }, { env = fake.env(nil, MIDNIGHT + 60) })
    local _, err = client:upload_contacts_file(fields_of("upload_contacts_file"))
    assert.matches("2025%-11%-09 02:00:00", err.message)
    assert.equal(7140, err.retry)
    assert(client:upload_contacts_file(fields_of("upload_contacts_file"), { window = "ignore" }))
    assert.equal(1, #transport.requests)
    assert(client:upload_contacts_file(fields_of("upload_contacts_file"), { window = "wait" }))
    assert(env.slept >= 7140 and env.slept < 7142, env.slept)
    assert.has_error(function() client:upload_contacts_file(fields_of("upload_contacts_file"), { window = "maybe" }) end)
  end)

  it("R056 client uploads DNC files to their own path", function()
    local _, request = parts_of("upload_dnc_file", fields_of("upload_dnc_file"))
    assert.equal("https://outbound.example/api/v1/config/openapi/contact/uploadDncDataSource/v2", request.url)
  end)

  it("R059 client sends no operationType to the DNC operations", function()
    assert.is_nil(parts_of("upload_dnc_file", fields_of("upload_dnc_file")).operationType)
    refused("upload_dnc_file", with(fields_of("upload_dnc_file"), { operationType = "0" }))
    refused("upload_dnc_json", with(fields_of("upload_dnc_json"), { operationType = "0" }))
  end)

  it("R060 client leaves dataSourceType out of DNC uploads and allows only 1", function()
    assert.is_nil(parts_of("upload_dnc_file", fields_of("upload_dnc_file")).dataSourceType)
    assert.equal("1", parts_of("upload_dnc_file", with(fields_of("upload_dnc_file"), { dataSourceType = "1" })).dataSourceType)
    refused("upload_dnc_file", with(fields_of("upload_dnc_file"), { dataSourceType = "0" }))
  end)

  it("R063 client does not hold DNC uploads back at night", function()
    local client = fake.client("outbound", { fake.answer(WELL) }, { env = fake.env(nil, MIDNIGHT + 60) })
    assert(client:upload_dnc_file(fields_of("upload_dnc_file")))
    assert(client:upload_dnc_json(fields_of("upload_dnc_json")))
  end)

  it("R064 client sends dataList as rows of texts", function()
    local client, transport = fake.client("outbound", { fake.answer(WELL) })
    assert(client:upload_contacts_json{ dataSourceName = "s", dataList = { { "1", "王" }, { "2", "" } } })
    assert.equal('{"abbreviate":"acme","dataList":[["1","王"],["2",""]],"dataSourceName":"s"}', transport:last().body)
    for _, list in ipairs{ {}, { "a" }, { {} }, { { 1 } }, { { "a" }, { true } }, { { a = "b" } }, "a", { [2] = { "a" } } } do
      refused("upload_contacts_json", { dataSourceName = "s", dataList = list })
    end
  end)

  it("R066 client refuses rows of different widths", function()
    local err = refused("upload_contacts_json", { dataSourceName = "s", dataList = { { "1", "a" }, { "2", "b" }, { "3" } } })
    assert.equal("dataList[3]", path_of(err))
  end)

  it("R069 client sends neither operationType nor dataSourceType with JSON", function()
    refused("upload_contacts_json", with(fields_of("upload_contacts_json"), { operationType = "0" }))
    refused("upload_contacts_json", with(fields_of("upload_contacts_json"), { dataSourceType = "0" }))
  end)

  it("R070 client requires dataSourceName in the JSON uploads", function()
    for _, name in ipairs{ "upload_contacts_json", "upload_dnc_json" } do
      assert.equal("dataSourceName", path_of(refused(name, with(fields_of(name), { dataSourceName = "" }))))
    end
  end)

  it("R071 client holds the JSON contact upload back at night, unless told otherwise", function()
    local client, transport = fake.client("outbound", { fake.answer(WELL) }, { env = fake.env(nil, MIDNIGHT + 60) })
    local _, err = client:upload_contacts_json(fields_of("upload_contacts_json"))
    assert.equal("window", err.kind)
    assert.equal(0, #transport.requests)
    assert(client:upload_contacts_json(fields_of("upload_contacts_json"), { window = "ignore" }))
  end)

  it("R073 client asks with a GET, abbreviate in the query, and no body", function()
    local client, transport = fake.client("outbound", { fake.answer(WELL) })
    assert(client:get_contact_group_detail{ abbreviate = "示例 & co" })
    assert.equal("GET", transport:last().method)
    assert.is_nil(transport:last().body)
    assert.equal("https://outbound.example/api/v1/config/openapi/contact/contactGroupDetail?abbreviate=%E7%A4%BA%E4%BE%8B%20%26%20co",
      transport:last().url)
  end)

  it("R078 client reads data and customFields that are absent, null or empty as empty lists", function()
    for _, body in ipairs{ '{"code":200,"msg":"m"}', '{"code":200,"msg":"m","data":null}', '{"code":200,"msg":"m","data":[]}' } do
      local client = fake.client("outbound", { fake.answer(body) })
      assert.same({}, client:get_contact_group_detail().data)
    end
    for _, group in ipairs{ '{"type":0}', '{"type":0,"customFields":null}', '{"type":0,"customFields":[]}' } do
      local client = fake.client("outbound", { fake.answer('{"code":200,"msg":"m","data":[' .. group .. "]}") })
      assert.same({}, client:get_contact_group_detail().data[1].customFields)
    end
  end)

  it("R079 client keeps utime raw and reads it as seconds or milliseconds on request", function()
    local client = fake.client("outbound", { fake.answer('{"code":200,"msg":"m","data":[{"type":0,"utime":1735689600000}]}') })
    assert.equal(1735689600000, client:get_contact_group_detail().data[1].utime)
    assert.equal(1735689600, campaign.instant(1735689600000))
    assert.equal(1735689600, campaign.instant(1735689600))
    assert.equal(99999999999, campaign.instant(99999999999))
    assert.equal(100000000, campaign.instant(100000000000))
    assert.is_nil(campaign.instant("soon"))
  end)

  it("R081 client uploads DNC JSON to its own path", function()
    local client, transport = fake.client("outbound", { fake.answer(WELL) })
    assert(client:upload_dnc_json(fields_of("upload_dnc_json")))
    assert.equal("https://outbound.example/api/v1/config/openapi/dataSource/uploadDnc/json", transport:last().url)
  end)

  it("R082 client sends DNC uuids as a flat list of texts", function()
    local client, transport = fake.client("outbound", { fake.answer(WELL) })
    assert(client:upload_dnc_json{ dataSourceName = "d", dataList = { "c-7", "c-9" } })
    assert.equal('{"abbreviate":"acme","dataList":["c-7","c-9"],"dataSourceName":"d"}', transport:last().body)
    for _, list in ipairs{ {}, { { "a" } }, { "" }, { 7 }, "a" } do
      refused("upload_dnc_json", { dataSourceName = "d", dataList = list })
    end
  end)

  it("gives the codes of refusals their kinds", function()
    for _, case in ipairs{ { 401, "auth", "no" }, { 403, "auth", "no" }, { 404, "platform", "no" }, { 423, "window", "no" },
      { 500, "platform", "maybe" }, { 777, "platform", "maybe" } } do
      local client = fake.client("outbound", { fake.answer{ code = case[1], msg = "m" } })
      local _, err = client:upload_contacts_json(fields_of("upload_contacts_json"))
      assert.same(case, { err.code, err.kind, err.sent })
    end
  end)

  it("repeats no upload by itself", function()
    for _, name in ipairs(UPLOADS) do
      for _, status in ipairs{ 401, 429, 500, 503 } do
        local client, transport = fake.client("outbound", { fake.answer("{}", status) })
        assert.is_nil((client[name](client, fields_of(name))))
        assert.equal(1, #transport.requests)
      end
    end
  end)
end)

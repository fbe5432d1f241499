-- SPDX-License-Identifier: MIT
-- The sandbox's outbound platform, JSON and query, rule by rule, over real HTTP. Files: outbound_files_spec.lua.

local h = require "sandbox.helper"

local json, rule = h.json, h.rules(it)
local array = json.array

describe("sandbox outbound", function()
  local CONTACTS = "/api/v1/config/openapi/contact/batch/json/upload"
  local DNC = "/api/v1/config/openapi/dataSource/uploadDnc/json"
  local DETAIL = "/api/v1/config/openapi/contact/contactGroupDetail"

  setup(function() h.start() end)
  teardown(function() h.stop() end)

  local function token()
    return { token = h.accounts.outbound.token }
  end

  local function row(number)
    return array{ "c-" .. number, "张三", "1301212" .. string.format("%04d", number), "某公司" }
  end

  local function contacts(changes, headers)
    local fields = {
      abbreviate = "acme", dataSourceName = "autumn-contacts", dataList = array{ row(1), row(2) },
    }
    for name, value in pairs(changes or {}) do
      fields[name] = value ~= "absent" and value or nil
    end
    return h.post(CONTACTS, headers or token(), fields)
  end

  local function dnc(list, changes, headers)
    local fields = { abbreviate = "acme", dataSourceName = "acme-dnc", dataList = list }
    for name, value in pairs(changes or {}) do
      fields[name] = value ~= "absent" and value or nil
    end
    return h.post(DNC, headers or token(), fields)
  end

  local function detail(abbreviate, headers)
    return h.get(DETAIL .. "?abbreviate=" .. (abbreviate or "acme"), headers or token())
  end

  local function source(name)
    for _, one in ipairs(detail().json.data) do
      if one.dataSourceName == (name or "autumn-contacts") then
        return one
      end
    end
  end

  local function code(expected, answer)
    assert.equal(200, answer.status, answer.body)
    assert.equal(expected, answer.json.code, answer.body)
    return answer
  end

  rule("R018", "refuses a JSON or query request without the token header, even with one in the body", function()
    code(401, contacts({ token = h.accounts.outbound.token }, {}))
    code(401, contacts({}, { token = "wrong" }))
    code(401, dnc(array{ "u" }, {}, {}))
    code(401, detail("acme&token=" .. h.accounts.outbound.token, {}))
  end)

  rule("R019", "needs an abbreviate that is not empty", function()
    code(400, contacts{ abbreviate = "absent" })
    code(400, contacts{ abbreviate = "" })
    code(400, dnc(array{ "u" }, { abbreviate = "" }))
    code(400, detail(""))
    code(400, h.get(DETAIL, token()))
  end)

  rule("R020", "answers 403 to a token used with another abbreviate", function()
    code(403, contacts{ abbreviate = "globex" })
    code(403, dnc(array{ "u" }, { abbreviate = "globex" }))
    code(403, detail("globex"))
  end)

  rule("R022", "takes companyId absent or as an integer in JSON", function()
    code(200, contacts())
    code(200, contacts{ companyId = 7 })
    code(400, contacts{ companyId = "seven" })
    code(400, contacts{ companyId = true })
  end)

  rule("R023", "takes companyId as numeric text in JSON too", function()
    code(200, contacts{ companyId = "7" })
  end)

  rule("R026", "has an integer code and a text msg in every reply", function()
    assert.equal('{"code":200,"msg":"success"}', contacts().body)
    assert.truthy(contacts({}, {}).body:find('^{"code":401,"msg":"'))
  end)

  it("says success as code 0 when told to", function()
    h.reset()
    h.form_on("outbound-code-0")
    assert.equal('{"code":0,"msg":"success"}', contacts().body)
  end)

  rule("R027", "sends refusals with HTTP 200", function()
    assert.equal(200, contacts{ dataSourceName = "unknown" }.status)
    assert.equal(200, contacts({}, {}).status)
  end)

  rule("R038", "answers 404 to an unknown data source", function()
    code(404, contacts{ dataSourceName = "unknown" })
  end)

  rule("R062", "wants a data source of kind 1 for do-not-call uuids", function()
    code(404, dnc(array{ "u" }, { dataSourceName = "autumn-contacts" }))
    code(404, contacts{ dataSourceName = "acme-dnc", dataList = array{ array{ "u" } } })
  end)

  rule("R065", "refuses a dataList that is missing, empty, flat, or has empty or non-text rows", function()
    code(400, contacts{ dataList = "absent" })
    code(400, contacts{ dataList = array() })
    code(400, contacts{ dataList = array{ "a", "b" } })
    code(400, contacts{ dataList = array{ array() } })
    code(400, contacts{ dataList = array{ array{ "a", "b", 1, "d" } } })
    code(400, contacts{ dataList = { a = 1 } })
    assert.equal(0, #h.commits())
  end)

  rule("R067", "refuses the whole upload for one row of another width", function()
    code(400, contacts{ dataList = array{ row(1), array{ "a", "b", "c" } } })
    code(400, contacts{ dataList = array{ array{ "a", "b", "c", "d", "e" } } })
    assert.equal(0, #h.commits())
  end)

  rule("R069", "only appends by JSON", function()
    code(200, contacts())
    code(200, contacts{ operationType = "1" })
    assert.equal(4, source().total)
  end)

  rule("R070", "needs a dataSourceName that is not empty", function()
    code(400, contacts{ dataSourceName = "absent" })
    code(400, contacts{ dataSourceName = "" })
    code(400, dnc(array{ "u" }, { dataSourceName = "" }))
  end)

  rule("R071", "closes the JSON contact upload at night", function()
    h.at("2025-11-10 01:00:00")
    code(423, contacts())
  end)

  rule("R052", "closes from 00:00:00 up to but not including 02:00:00", function()
    for time, expected in pairs{ ["00:00:00"] = 423, ["01:59:59"] = 423, ["02:00:00"] = 200, ["23:59:59"] = 200 } do
      h.at("2025-11-10 " .. time)
      code(expected, contacts())
    end
  end)

  rule("R063", "keeps the do-not-call uploads open at night", function()
    h.at("2025-11-10 01:00:00")
    code(200, dnc(array{ "u" }))
  end)

  rule("R074", "lists every data source of the enterprise with its nine fields", function()
    local data = detail().json.data
    assert.equal(3, #data)
    local one = data[1]
    assert.equal(7, one.companyId)
    assert.equal("acme", one.abbreviate)
    assert.equal("autumn-contacts", one.dataSourceName)
    assert.truthy(one.id and one.type and one.groupName and one.total and one.utime and one.customFields)
  end)

  rule("R075", "says type 0 for contacts and 1 for do-not-call lists", function()
    assert.equal(0, source().type)
    assert.equal(1, source("acme-dnc").type)
  end)

  rule("R076", "lets total follow the uploads, do-not-call duplicates counted once", function()
    code(200, contacts())
    code(200, contacts())
    assert.equal(4, source().total)
    code(200, dnc(array{ "a", "b", "a" }))
    code(200, dnc(array{ "b", "c" }))
    assert.equal(3, source("acme-dnc").total)
  end)

  rule("R077", "changes utime with each accepted upload, in milliseconds", function()
    code(200, contacts())
    local first = source().utime
    assert.equal(1762740000000, first)
    code(400, contacts{ dataList = array() })
    assert.equal(first, source().utime)
    h.control("clock", { advance = 1 })
    code(200, contacts())
    assert.equal(first + 1000, source().utime)
  end)

  rule("R080", "describes each custom field by id, name, type1, type2 and length", function()
    assert.same({ id = 3, name = "phone", type1 = 1, type2 = "string", length = 32 }, source().customFields[3])
  end)

  rule("R081", "takes do-not-call uuids under /dataSource/, not under /contact/", function()
    code(200, dnc(array{ "u" }))
    assert.equal(404, h.post("/api/v1/config/openapi/contact/uploadDnc/json", token(), {}).status)
  end)

  rule("R083", "refuses a do-not-call dataList that is missing, empty, nested, or has empty or non-text values", function()
    code(400, dnc(nil))
    code(400, dnc(array()))
    code(400, dnc(array{ array{ "u" } }))
    code(400, dnc(array{ "u", "" }))
    code(400, dnc(array{ "u", 1 }))
    assert.equal(0, source("acme-dnc").total)
  end)

  rule("R084", "takes a known uuid without storing it twice", function()
    code(200, dnc(array{ "u" }))
    code(200, dnc(array{ "u" }))
    assert.equal(1, #h.commits("upload_dnc_json"))
    assert.equal(1, source("acme-dnc").total)
  end)

  it("refuses a value longer than its field when told to", function()
    h.reset()
    local long = array{ "c-1", ("龑"):rep(65), "1", "x" }
    code(200, contacts{ dataList = array{ long } })
    h.form_on("outbound-field-length")
    code(400, contacts{ dataList = array{ long } })
  end)

  rule("R002", "refuses other content types and bodies that are no JSON", function()
    local body = json.encode{ abbreviate = "acme", dataSourceName = "autumn-contacts", dataList = array{ row(1) } }
    code(400, h.send("POST", CONTACTS, { token = h.accounts.outbound.token, ["Content-Type"] = "text/plain" }, body))
    code(400, h.post(CONTACTS, token(), body .. "}"))
    code(400, h.post(CONTACTS, token(), "[" .. body .. "]"))
    code(400, h.post(CONTACTS, token(), ""))
    code(400, h.post(CONTACTS, token(), '{"abbreviate":"\255"}'))
    assert.equal(0, #h.commits())
  end)

  rule("R006", "ignores unknown fields", function()
    code(200, contacts{ unknown = 1 })
  end)

  rule("R012", "judges time by one clock in Asia/Shanghai that can be set", function()
    h.at("2025-11-10 01:59:59")
    code(423, contacts())
    h.control("clock", { advance = 1 })
    code(200, contacts())
    assert.equal("+08:00", h.control("clock").zone)
    assert.equal(1762711200000, source().utime)
  end)

  rule("R011", "answers 404 to an unknown path and 405 to another method, in the platform's shape", function()
    local answer = h.get("/api/v1/config/openapi/contact/nothing", token())
    assert.equal(404, answer.status)
    assert.equal(404, answer.json.code)
    assert.equal("string", type(answer.json.msg))
    answer = h.get(CONTACTS, token())
    assert.equal(405, answer.status)
    assert.equal("POST", answer.headers.allow)
    answer = h.get("/agent-api/nothing")
    assert.equal(404, answer.status)
    assert.equal("fail", answer.json.status)
    answer = h.get("/api/integrate/nothing")
    assert.equal("404", answer.json.code)
    answer = h.get("/api/v1/nothing")
    assert.equal(404, answer.json.code)
    assert.equal("string", type(answer.json.message))
    assert.equal('{"code":404,"msg":"no such path"}', h.get("/elsewhere").body)
  end)
end)

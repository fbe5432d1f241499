-- SPDX-License-Identifier: MIT
-- The sandbox's customer pool, rule by rule, over real HTTP.

local h = require "sandbox.helper"

local json, rule = h.json, h.rules(it)
local array = json.array

describe("sandbox longlong", function()
  local USER = "11111111-1111-4111-8111-111111111111"
  local SUB = "22222222-2222-4222-8222-222222222222"
  local OTHER = "33333333-3333-4333-8333-333333333333"
  local COMPONENT = "aaaaaaaa-0000-4000-8000-000000000001"

  setup(function() h.start() end)
  teardown(function() h.stop() end)

  local function import(body, user, headers)
    return h.post("/agent-api/user/" .. (user or USER) .. "/async_customer",
      headers or { Authorization = "Bearer " .. h.accounts.longlong.token }, body)
  end

  local function rows(count, row)
    local list = array()
    for i = 1, count do
      local copy = { phone = "1301212" .. string.format("%04d", i) }
      for name, value in pairs(row or {}) do
        copy[name] = value
      end
      list[i] = copy
    end
    return list
  end

  local function send(row, more)
    local body = { data = rows(1, row), encryption = false }
    for name, value in pairs(more or {}) do
      body[name] = value
    end
    return import(body)
  end

  local function refused(status, answer, field)
    assert.equal(status, answer.status)
    if field then
      assert.truthy(answer.json.message:find(field, 1, true), answer.json.message)
    end
  end

  local function accepted(answer)
    assert.equal(200, answer.status, answer.body)
    assert.equal("success", answer.json.status)
    return answer.json.data.unique_id
  end

  local function results()
    h.control("clock", { advance = 60 })
    return h.control("results").results
  end

  rule("R371", "refuses a missing or wrong token with 401", function()
    refused(401, import({ data = rows(1) }, USER, {}))
    refused(401, import({ data = rows(1) }, USER, { Authorization = "Bearer wrong" }))
    refused(401, import({ data = rows(1) }, USER, { Authorization = h.accounts.longlong.token }))
    assert.equal(0, #h.commits())
  end)

  rule("R372", "answers 404 to an unknown user_id", function()
    refused(404, import({ data = rows(1) }, "nobody"))
  end)

  it("refuses a user for whom the token may not act with 403", function()
    h.reset()
    refused(403, import({ data = rows(1) }, OTHER))
  end)

  rule("R375", "refuses a body without data or without rows", function()
    refused(400, import({ encryption = false }), "data")
    refused(400, import({ data = array(), encryption = false }), "data")
    refused(400, import({ data = { phone = "1" }, encryption = false }), "data")
  end)

  rule("R376", "takes 200 rows and refuses 201", function()
    accepted(import({ data = rows(200), encryption = false }))
    assert.equal(200, #h.commits())
    refused(400, import({ data = rows(201), encryption = false }), "200")
  end)

  rule("R377", "imports nothing of a request refused for its size", function()
    refused(400, import({ data = rows(201), encryption = false }))
    assert.equal(0, #h.commits())
    assert.equal(0, #results())
  end)

  rule("R379", "needs a phone as text in each row", function()
    refused(400, import('{"data":[{"name":"A"}],"encryption":false}'), "data[0].phone")
    refused(400, import('{"data":[{"phone":13012121211}],"encryption":false}'), "phone")
    refused(400, import('{"data":[{"phone":1301212121113012121}],"encryption":false}'), "phone")
    refused(400, import('{"data":[{"phone":"1"},{"phone":""}],"encryption":false}'), "data[1].phone")
  end)

  rule("R380", "applies no pattern to phone", function()
    accepted(send{ phone = "cipher/=+text" })
    accepted(send{ phone = "021-6000 0000" })
  end)

  rule("R381", "takes sex 0, 1 and 2 and refuses anything else", function()
    for sex = 0, 2 do
      accepted(send{ sex = sex })
    end
    refused(400, send{ sex = 3 }, "sex")
    refused(400, send{ sex = "1" }, "sex")
  end)

  rule("R382", "wants integers for sort, source_id, industry_id and grade_id", function()
    for _, name in ipairs{ "sort", "source_id", "industry_id", "grade_id" } do
      accepted(send{ [name] = 7 })
      accepted(send{ [name] = json.literal("9007199254740993") })
      refused(400, send{ [name] = "7" }, name)
      refused(400, send{ [name] = 1.5 }, name)
    end
  end)

  rule("R383", "wants text for name, email, company and extra", function()
    for _, name in ipairs{ "name", "email", "company", "extra" } do
      accepted(send{ [name] = "钱程似錦" })
      refused(400, send{ [name] = 1 }, name)
    end
  end)

  rule("R384", "takes rows without extra", function()
    accepted(send{})
  end)

  rule("R385", "needs an id and a value in each component", function()
    accepted(send{ components = array{ { id = COMPONENT, value = "小牛" } } })
    refused(400, send{ components = array{ { value = "x" } } }, "components[0].id")
    refused(400, send{ components = array{ { id = "", value = "x" } } }, "components[0].id")
    refused(400, send{ components = array{ { id = COMPONENT } } }, "components[0].value")
  end)

  rule("R386", "takes any JSON scalar as a component's value", function()
    accepted(send{ components = array{ { id = COMPONENT, value = 7 } } })
    accepted(send{ components = array{ { id = COMPONENT, value = true } } })
    refused(400, send{ components = array{ { id = COMPONENT, value = array{ "x" } } } }, "value")
  end)

  rule("R387", "fails a row with an unknown component in the batch result", function()
    accepted(send{ components = array{ { id = "bbbb", value = "x" } } })
    local batch = results()[1]
    assert.equal(1, batch.fail)
    assert.is_false(batch.rows[1].ok)
    assert.truthy(batch.rows[1].reason:find("bbbb", 1, true))
  end)

  rule("R388", "wants encryption as a JSON boolean", function()
    refused(400, send({}, { encryption = "FALSE" }), "encryption")
    refused(400, send({}, { encryption = 0 }), "encryption")
  end)

  rule("R389", "reads an absent encryption as false", function()
    accepted(import{ data = rows(1) })
  end)

  rule("R391", "refuses encryption while interface encryption is off", function()
    refused(403, send({}, { encryption = true }))
    assert.equal(0, #h.commits())
    h.control("settings", { ["longlong.encryption"] = true })
    accepted(send({}, { encryption = true }))
  end)

  rule("R393", "stores rows under the sub-account and refuses an unknown one with 403", function()
    accepted(send({}, { sub_user_id = SUB }))
    assert.equal(SUB, h.commits()[1].target)
    refused(403, send({}, { sub_user_id = "nobody" }))
  end)

  rule("R394", "takes sub_user_id inside the rows when all agree", function()
    accepted(import{ data = rows(2, { sub_user_id = SUB }), encryption = false })
    assert.equal(SUB, h.commits()[2].target)
    local mixed = rows(2, { sub_user_id = SUB })
    mixed[2].sub_user_id = nil
    refused(400, import{ data = mixed, encryption = false }, "sub_user_id")
    for _, value in ipairs{ false, 1, json.null, {} } do
      refused(400, import{ data = rows(1, { sub_user_id = value }), encryption = false }, "sub_user_id")
    end
  end)

  rule("R395", "answers code 200, status success, a message and data.unique_id", function()
    local answer = send{}
    assert.equal(200, answer.json.code)
    assert.equal("success", answer.json.status)
    assert.equal("客户公海导入信息请在回调中查收", answer.json.message)
    assert.truthy(answer.json.data.unique_id:find("^%x+%-%x+%-4%x+%-%x+%-%x+$"))
  end)

  rule("R396", "gives a fresh unique_id to each request, equal bodies included", function()
    assert.are_not.equal(accepted(send{}), accepted(send{}))
  end)

  rule("R400", "says code, status, message and null data in a failure", function()
    local answer = import({ encryption = false })
    assert.equal(400, answer.json.code)
    assert.equal("fail", answer.json.status)
    assert.equal("string", type(answer.json.message))
    assert.equal(json.null, answer.json.data)
    h.faults("import_customers_async:500@1")
    answer = send{}
    assert.equal(500, answer.json.code)
    assert.equal("error", answer.json.status)
  end)

  rule("R401", "shows the batch result after the delay", function()
    h.control("settings", { ["longlong.result_delay"] = 30 })
    local id = accepted(import{ data = rows(2, { extra = "mark" }), encryption = false })
    h.control("clock", { advance = 29 })
    assert.equal(0, #h.control("results").results)
    h.control("clock", { advance = 1 })
    local batch = h.control("results?unique_id=" .. id).results[1]
    assert.equal(id, batch.unique_id)
    assert.equal(2, batch.total)
    assert.equal(2, batch.success)
    assert.equal("mark", batch.rows[2].extra)
    assert.equal(1, batch.rows[2].index)
  end)

  -- Takes one POST on a port of its own: its body, and true when its address was asked for.
  local function receiver()
    local server = assert(require("socket").bind("127.0.0.1", 0))
    server:settimeout(5)
    local _, port = server:getsockname()
    local function take()
      local client = assert(server:accept())
      client:settimeout(5)
      local length, line = 0, client:receive("*l")
      local first = line
      while line and line ~= "" do
        length = tonumber(line:lower():match("^content%-length: (%d+)")) or length
        line = client:receive("*l")
      end
      local body = client:receive(length)
      client:send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
      client:close()
      return json.decode(body), first
    end
    return "http://127.0.0.1:" .. port .. "/hook", take, function() server:close() end
  end

  it("R401 sandbox posts the batch result to the callback URL once its time has come", function()
    h.reset()
    local url, take, close = receiver()
    h.control("settings", { ["longlong.callback_url"] = url, ["longlong.result_delay"] = 30 })
    local id = accepted(import{ data = rows(2, { extra = "mark" }), encryption = false })
    h.control("clock", { advance = 30 })
    local value, line = take()
    close()
    assert.equal("POST /hook HTTP/1.1", line)
    assert.same({ id, 2, 2, 0, "mark" }, {
      value.unique_id, value.total, value.success, value.fail, value.rows[1].extra,
    })
  end)

  it("posts a callback twice, early or never on order", function()
    h.reset()
    local url, take, close = receiver()
    h.control("settings", { ["longlong.callback_url"] = url, ["longlong.result_delay"] = 3600 })
    h.faults("import_customers_async:no-callback@1", "import_customers_async:early-callback@2",
      "import_customers_async:duplicate-callback@3")
    accepted(send{})
    local early = accepted(send{})
    assert.equal(early, take().unique_id)
    local twice = accepted(send{})
    h.control("clock", { advance = 3600 })
    assert.equal(twice, take().unique_id)
    assert.equal(twice, take().unique_id)
    close()
  end)

  rule("R002", "refuses other content types and bodies that are no JSON", function()
    local headers = { Authorization = "Bearer " .. h.accounts.longlong.token, ["Content-Type"] = "text/plain" }
    refused(400, h.send("POST", "/agent-api/user/" .. USER .. "/async_customer", headers, '{"data":[{"phone":"1"}]}'))
    refused(400, import("{"))
    assert.equal(0, #h.commits())
  end)

  it("counts a phone that came before as updated", function()
    h.reset()
    accepted(import('{"data":[{"phone":"1"},{"phone":"1"}],"encryption":false}'))
    local batch = results()[1]
    assert.equal("", batch.rows[1].reason)
    assert.equal("updated", batch.rows[2].reason)
    assert.equal(2, batch.success)
  end)

  rule("R006", "ignores unknown fields", function()
    accepted(send({}, { unknown = 1 }))
  end)
end)

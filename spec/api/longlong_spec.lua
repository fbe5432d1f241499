-- SPDX-License-Identifier: MIT
-- The client's side of the longlong rules (docs/contracts/rules.md).

local fake = require "support.fake"
local json = require "campaign.json"

local function accepted()
  return { code = 200, status = "success", message = "请在回调中查收", data = { unique_id = "afba23d9" } }
end

local function send(fields, answer, status, account)
  local client, transport = fake.client("longlong", { fake.answer(answer or accepted(), status) }, { account = account })
  fields.data = fields.data or { { phone = "13000000001" } }
  local reply, err = client:import_customers_async(fields)
  return reply, err, transport
end

local function refused(path, fields, account)
  local reply, err, transport = send(fields, nil, nil, account)
  assert.is_nil(reply)
  assert.equal("invalid", err.kind)
  assert.equal(0, #transport.requests)
  assert.equal(path, err.faults[1].path)
end

local function rows(count)
  local list = {}
  for index = 1, count do
    list[index] = { phone = tostring(13000000000 + index):gsub("%.0$", "") }
  end
  return list
end

describe("longlong", function()
  it("R369 client posts to the user's path with user_id as one encoded segment", function()
    local _, _, transport = send{ user_id = "a/b c?号" }
    assert.equal("POST", transport:last().method)
    assert.equal("https://longlong.example/agent-api/user/a%2Fb%20c%3F%E5%8F%B7/async_customer", transport:last().url)
  end)

  it("R370 client carries the bearer token", function()
    local _, _, transport = send{}
    assert.equal("Bearer canary-token-4", fake.header(transport:last(), "Authorization"))
  end)

  it("R373 client refuses an empty user_id, and one that leaves the path", function()
    local account = { base_url = "https://l.example", token = "t-1" }
    for _, value in ipairs{ "", ".", "..", "a\nb", false } do
      refused("user_id", { user_id = value }, account)
    end
    refused("user_id", {}, account)
  end)

  it("R374 client puts rows into data, encryption and sub_user_id beside it", function()
    local _, _, transport = send{ data = { { name = "n", phone = "1" } }, sub_user_id = "s", encryption = true }
    assert.equal('{"data":[{"name":"n","phone":"1"}],"encryption":true,"sub_user_id":"s"}', transport:last().body)
  end)

  it("R375 client wants at least one row", function()
    refused("data", { data = {} })
    refused("data", { data = "x" })
    local _, err = fake.client("longlong", {}):import_customers_async{}
    assert.equal("data", err.faults[1].path)
  end)

  it("R376 client sends 200 rows and refuses 201", function()
    assert(send{ data = rows(200) })
    refused("data", { data = rows(201) })
  end)

  it("R379 client requires phone as text in each row", function()
    refused("data[2].phone", { data = { { phone = "1" }, { name = "n" } } })
    refused("data[1].phone", { data = { { phone = 13000000001 } } })
    refused("data[1].phone", { data = { { phone = "" } } })
  end)

  it("R380 client applies no pattern to phone", function()
    for _, phone in ipairs{ "010-12345678", "Zm9vYmFy==", "+86 130 0000 0001", "x" } do
      assert(send{ data = { { phone = phone } } })
    end
  end)

  it("R381 client takes sex 0, 1, 2 and nothing else", function()
    for _, sex in ipairs{ 0, 1, 2 } do
      local _, _, transport = send{ data = { { phone = "1", sex = sex } } }
      assert(transport:last().body:find('"sex":' .. sex .. "}", 1, true))
    end
    for _, sex in ipairs{ 3, -1, "1", 1.5, true } do
      refused("data[1].sex", { data = { { phone = "1", sex = sex } } })
    end
  end)

  it("R382 client sends sort and the ids as whole numbers", function()
    for _, name in ipairs{ "sort", "source_id", "industry_id", "grade_id" } do
      local _, _, transport = send{ data = { { phone = "1", [name] = 9007199254740991 } } }
      assert(transport:last().body:find('"' .. name .. '":9007199254740991}', 1, true))
      for _, value in ipairs{ "1", 1.5, 1e300, 0 / 0, {} } do
        refused("data[1]." .. name, { data = { { phone = "1", [name] = value } } })
      end
    end
  end)

  it("R383 client wants texts for name, email, company and extra", function()
    for _, name in ipairs{ "name", "email", "company", "extra" } do
      assert(send{ data = { { phone = "1", [name] = "王 \"小明\"" } } })
      for _, value in ipairs{ 1, true, {}, "\255", "a\0b" } do
        refused("data[1]." .. name, { data = { { phone = "1", [name] = value } } })
      end
    end
  end)

  it("R384 client leaves extra out when it is not given", function()
    local _, _, transport = send{}
    assert.equal('{"data":[{"phone":"13000000001"}],"encryption":false}', transport:last().body)
  end)

  it("R385 client wants id and value in each component", function()
    refused("data[1].components[1].id", { data = { { phone = "1", components = { { value = "v" } } } } })
    refused("data[1].components[1].id", { data = { { phone = "1", components = { { id = "", value = "v" } } } } })
    refused("data[1].components[2].value", { data = { { phone = "1", components = { { id = "a", value = "v" }, { id = "b" } } } } })
    refused("data[1].components[1].name", { data = { { phone = "1", components = { { id = "a", value = "v", name = "x" } } } } })
  end)

  it("R386 client sends component values as texts", function()
    local _, _, transport = send{ data = { { phone = "1", components = { { id = "a", value = "7" } } } } }
    assert(transport:last().body:find('"components":[{"id":"a","value":"7"}]', 1, true))
    refused("data[1].components[1].value", { data = { { phone = "1", components = { { id = "a", value = 7 } } } } })
  end)

  it("R388 client sends encryption as a boolean at top level", function()
    refused("encryption", { encryption = "FALSE" })
    refused("data[1].encryption", { data = { { phone = "1", encryption = true } } })
  end)

  it("R389 client always sends encryption, false unless told otherwise", function()
    local _, _, transport = send{}
    assert(transport:last().body:find('"encryption":false', 1, true))
  end)

  it("R390 client passes encrypted values untouched", function()
    local _, _, transport = send{ data = { { phone = "Zm9v+/==", company = "YmFy" } }, encryption = true }
    assert.equal('{"data":[{"phone":"Zm9v+/==","company":"YmFy"}],"encryption":true}', transport:last().body)
  end)

  it("R392 client sends sub_user_id at top level when given", function()
    local _, _, transport = send{ sub_user_id = "sub-1" }
    assert(transport:last().body:find(',"sub_user_id":"sub-1"}', 1, true))
    refused("data[1].sub_user_id", { data = { { phone = "1", sub_user_id = "s" } } })
    refused("sub_user_id", { sub_user_id = "" })
  end)

  it("R397 client gives the reply as accepted with unique_id", function()
    local reply = send{}
    assert.equal("afba23d9", reply.data.unique_id)
    assert.is_nil(reply.imported)
    local platform = require("campaign.api.platform").load("longlong")
    assert.equal("pending", platform.operations.import_customers_async.rows.result.accepted)
  end)

  it("R398 client wants a 2xx status, code 200 and status success", function()
    assert(send({}, accepted(), 201))
    for _, case in ipairs{ { 400, "fail" }, { 200, "fail" }, { 200, json.null }, { 201, "success" }, { "200", "success" },
      { true, "success" }, { 200, 1 }, { json.null, "success" } } do
      local answer = accepted()
      answer.code, answer.status = case[1], case[2]
      local reply, err = send({}, answer)
      assert.is_nil(reply)
      assert(err.kind == "platform" or err.kind == "response")
    end
    for _, status in ipairs{ 400, 401, 403, 404, 500, 302 } do
      assert.is_nil((send({}, accepted(), status)))
    end
  end)

  it("R399 client takes a success without unique_id as unreadable", function()
    for _, data in ipairs{ json.null, {}, { unique_id = json.null }, { unique_id = 7 }, { unique_id = "" }, "x", json.array() } do
      local answer = accepted()
      answer.data = data
      local reply, err = send({}, answer)
      assert.is_nil(reply)
      assert.equal("response", err.kind)
      assert.equal("maybe", err.sent)
    end
  end)
end)

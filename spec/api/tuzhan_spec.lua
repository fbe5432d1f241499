-- SPDX-License-Identifier: MIT
-- The client's side of the tuzhan rules (docs/contracts/rules.md).

local fake = require "support.fake"
local json = require "campaign.json"

local function result(status, more)
  local data = { importSuccessNum = 1, importFailNum = 0, message = "成功", errorData = json.null, status = status or 1 }
  for key, value in pairs(more or {}) do
    data[key] = value
  end
  return { code = "200", errorCode = "SUCCESS", msg = "ok", data = data }
end

local function row(more)
  local fields = { thirdId = "1", groups = { "group1", "group2" } }
  for key, value in pairs(more or {}) do
    fields[key] = value
  end
  return fields
end

local function fuzzy(more)
  local params = { isMatching = true, matchingType = 2, identifyWay = 1, optType = "add" }
  for key, value in pairs(more or {}) do
    params[key] = value ~= json.null and value or nil
  end
  return params
end

local function exact(more)
  local params = { isMatching = true, matchingType = 1, optType = "add" }
  for key, value in pairs(more or {}) do
    params[key] = value
  end
  return params
end

local function send(params, rows, answer, status)
  local client, transport = fake.client("tuzhan", { fake.answer(answer or result(), status) })
  local reply, err = client:batch_add_group_relations{ publicParams = params, data = rows or { row() } }
  return reply, err, transport
end

local function refused(path, params, rows)
  local reply, err, transport = send(params, rows)
  assert.is_nil(reply)
  assert.equal("invalid", err.kind)
  assert.equal(0, #transport.requests)
  local paths = {}
  for _, fault in ipairs(err.faults) do
    paths[#paths + 1] = fault.path
  end
  assert.equal(path, table.concat(paths, " "))
end

describe("tuzhan", function()
  it("R085 client carries X-Token with every request", function()
    local _, _, transport = send(fuzzy())
    assert.equal("canary-token-2", fake.header(transport:last(), "X-Token"))
  end)

  it("R089 client sends exactly publicParams and data", function()
    local _, _, transport = send(fuzzy())
    assert.equal('{"publicParams":{"isMatching":true,"matchingType":2,"identifyWay":1,"optType":"add"},'
      .. '"data":[{"thirdId":"1","groups":"group1,group2"}]}', transport:last().body)
    local client = fake.client("tuzhan", {})
    local _, err = client:batch_add_group_relations{ publicParams = fuzzy(), data = { row() }, more = 1 }
    assert.equal("more", err.faults[1].path)
  end)

  it("R091 client wants at least one row", function()
    refused("data", fuzzy(), {})
    local _, err = fake.client("tuzhan", {}):batch_add_group_relations{ publicParams = fuzzy() }
    assert.equal("data", err.faults[1].path)
  end)

  it("R092 client requires isMatching as a boolean", function()
    refused("publicParams.isMatching", fuzzy{ isMatching = "true", matchingType = json.null, identifyWay = json.null })
    refused("publicParams.isMatching", { optType = "add" })
  end)

  it("R093 client sends optType as a word and refuses others", function()
    for _, word in ipairs{ "add", "update", "delete" } do
      local reply, _, transport = send(fuzzy{ optType = word })
      assert(reply)
      assert(transport:last().body:find('"optType":"' .. word .. '"', 1, true))
    end
    for _, word in ipairs{ "Add", 1, "", "remove" } do
      refused("publicParams.optType", fuzzy{ optType = word })
    end
  end)

  it("R095 client has no default for optType", function()
    refused("publicParams.optType", { isMatching = false })
  end)

  it("R096 client requires matchingType 1 or 2 when isMatching is true", function()
    refused("publicParams.matchingType", { isMatching = true, optType = "add" })
    for _, value in ipairs{ 0, 3, "1", 1.5 } do
      refused("publicParams.matchingType", { isMatching = true, matchingType = value, optType = "add" })
    end
  end)

  it("R097 client sends no matching fields when isMatching is false", function()
    local reply, _, transport = send({ isMatching = false, optType = "add" })
    assert(reply)
    assert(transport:last().body:find('"publicParams":{"isMatching":false,"optType":"add"}', 1, true))
    refused("publicParams.matchingType", { isMatching = false, matchingType = 1, optType = "add" }, { row{ identityType = "thirdId" } })
    refused("publicParams.identifyWay", { isMatching = false, identifyWay = 1, optType = "add" })
    refused("publicParams.accurateMatchType publicParams.accurateMatchValue",
      { isMatching = false, accurateMatchType = "gzh", accurateMatchValue = "a", optType = "add" })
  end)

  it("R098 client requires identifyWay 1 or 2 when matchingType is 2", function()
    refused("publicParams.identifyWay", fuzzy{ identifyWay = json.null })
    refused("publicParams.identifyWay", fuzzy{ identifyWay = 3 })
  end)

  it("R099 client does not send identifyWay unless matchingType is 2", function()
    refused("publicParams.identifyWay", exact{ identifyWay = 1 }, { row{ identityType = "thirdId" } })
  end)

  it("R103 client requires identityType in every row of exact matching", function()
    refused("data[2].identityType", exact(), { row{ identityType = "thirdId" }, row() })
    refused("data[1].identityType", exact(), { row{ identityType = "third" } })
  end)

  it("R104 client wants the identity that a row names to be filled", function()
    refused("data[1].phone", exact(), { row{ identityType = "phone" } })
    refused("data[2].openid", exact(), { row{ identityType = "thirdId" }, row{ identityType = "openid", openid = "" } })
  end)

  it("R107 client lets rows of one request name different identities", function()
    assert(send(exact(), { row{ identityType = "thirdId" }, row{ identityType = "phone", phone = "13000000001" } }))
  end)

  it("R108 client takes accurateMatchType in exactly the printed letter case", function()
    for _, word in ipairs{ "gzh", "workwechat", "YOUZAN", "EZR", "contentminiapp", "contenthome" } do
      assert(send(exact{ accurateMatchType = word, accurateMatchValue = "app" }, { row{ identityType = "thirdId" } }))
    end
    for _, word in ipairs{ "GZH", "youzan", "ezr", "contenthome " } do
      refused("publicParams.accurateMatchType", exact{ accurateMatchType = word, accurateMatchValue = "app" },
        { row{ identityType = "thirdId" } })
    end
  end)

  it("R109 client sends accurateMatchType and accurateMatchValue together and in exact matching only", function()
    refused("publicParams.accurateMatchValue", exact{ accurateMatchType = "gzh" }, { row{ identityType = "thirdId" } })
    refused("publicParams.accurateMatchType", exact{ accurateMatchValue = "app" }, { row{ identityType = "thirdId" } })
    refused("publicParams.accurateMatchType publicParams.accurateMatchValue",
      fuzzy{ accurateMatchType = "gzh", accurateMatchValue = "app" })
  end)

  it("R110 client wants at least one identity in every row", function()
    refused("data[1]", fuzzy(), { { groups = { "g" } } })
    refused("data[2]", fuzzy(), { row(), { groups = { "g" }, thirdId = "", phone = "" } })
  end)

  it("R112 client joins group names with ASCII commas", function()
    local _, _, transport = send(fuzzy(), { row{ groups = { "一组", "b", "c d" } } })
    assert(transport:last().body:find('"groups":"一组,b,c d"', 1, true))
    _, _, transport = send(fuzzy(), { row{ groups = "group1,group2" } }) -- as the document's example has it
    assert(transport:last().body:find('"groups":"group1,group2"', 1, true))
  end)

  it("R113 client wants group names that are not empty and hold no comma", function()
    refused("data[1].groups", fuzzy(), { { thirdId = "1" } })
    refused("data[1].groups", fuzzy(), { row{ groups = {} } })
    refused("data[1].groups[2]", fuzzy(), { row{ groups = { "a", "" } } })
    refused("data[1].groups[1]", fuzzy(), { row{ groups = { " " } } })
    refused("data[1].groups[1]", fuzzy(), { row{ groups = { "a,b" } } })
    refused("data[1].groups[1]", fuzzy(), { row{ groups = { "a，b" } } })
    refused("data[1].groups", fuzzy(), { row{ groups = "" } })
    refused("data[1].groups[2]", fuzzy(), { row{ groups = "a," } })
    refused("data[1].groups[1]", fuzzy(), { row{ groups = " ,b" } })
    refused("data[1].groups[1]", fuzzy(), { row{ groups = "a，b" } })
    assert(send(fuzzy(), { row{ groups = { "a；b、c" } } }))
  end)

  it("R121 client reads errorData null, missing, or an array as a list", function()
    assert.same({}, send(fuzzy()).data.errorData)
    local missing = result()
    missing.data.errorData = nil
    assert.same({}, send(fuzzy(), nil, missing).data.errorData)
    local reply = send(fuzzy(), nil, result(2, { importFailNum = 1, errorData = { { thirdId = "1", groups = "a", why = "x" } } }))
    assert.same({ { thirdId = "1", groups = "a", why = "x" } }, reply.data.errorData)
  end)

  it("R122 client takes HTTP 200 and 201 as delivered, and no other", function()
    assert(send(fuzzy(), nil, result(), 200))
    assert(send(fuzzy(), nil, result(), 201))
    local reply, err = send(fuzzy(), nil, result(), 202)
    assert.is_nil(reply)
    assert.equal("maybe", err.sent)
  end)

  it("R123 client wants code 200 as text or number, and errorCode SUCCESS or absent", function()
    local function answer(code, error_code)
      local body = result()
      body.code, body.errorCode = code, error_code
      return (send(fuzzy(), nil, body))
    end
    assert.equal("200", answer("200", "SUCCESS").code)
    assert.equal("200", answer(200, "SUCCESS").code)
    assert(answer("200", nil))
    assert(answer("200", json.null))
    for _, case in ipairs{ { "201", "SUCCESS" }, { "200", "FAIL" }, { true, "SUCCESS" }, { "200.0", "SUCCESS" }, { "200", true },
      { json.null, "SUCCESS" }, { "", "SUCCESS" } } do
      assert.is_nil((answer(case[1], case[2])))
    end
  end)

  it("R124 client hands status -1 and 2 over as results with the failed rows", function()
    for _, status in ipairs{ -1, 2 } do
      local failed = { { thirdId = "1", groups = "a" } }
      local reply, _, transport = send(fuzzy(), nil, result(status, { importSuccessNum = 0, importFailNum = 1, errorData = failed }))
      assert.equal(status, reply.data.status)
      assert.same(failed, reply.data.errorData)
      assert.equal(1, #transport.requests)
    end
  end)

  it("R125 client hands status 0 over and does not ask again", function()
    local reply, _, transport = send(fuzzy(), nil, result(0, { importSuccessNum = 0 }))
    assert.equal(0, reply.data.status)
    assert.equal(1, #transport.requests)
  end)

  it("keeps code, errorCode, message and HTTP status of a refusal", function()
    local _, err = send(fuzzy(), nil, { code = "400", errorCode = "PARAM_ERROR", msg = "data: empty", data = json.null }, 400)
    assert.same({ "http", "PARAM_ERROR", 400, "bad_parameter", "no" }, { err.kind, err.code, err.status, err.reason, err.sent })
    assert.matches("data: empty", err.message)
    assert.matches("code 400", err.message)
    _, err = send(fuzzy(), nil, { code = "500", errorCode = "SYSTEM_ERROR", msg = "m", data = json.null }, 500)
    assert.same({ "http", "server_error", "maybe" }, { err.kind, err.reason, err.sent })
    _, err = send(fuzzy(), nil, { code = "401", errorCode = "UNAUTHORIZED", msg = "m", data = json.null }, 401)
    assert.same({ "auth", "unauthorized", "no" }, { err.kind, err.reason, err.sent })
  end)
end)

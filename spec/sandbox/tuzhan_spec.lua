-- SPDX-License-Identifier: MIT
-- The sandbox's audience groups, rule by rule, over real HTTP.

local h = require "sandbox.helper"

local json, rule = h.json, h.rules(it)
local array = json.array

describe("sandbox tuzhan", function()
  local PATH = "/api/integrate/audience/group/rel/batchAdd"

  setup(function() h.start() end)
  teardown(function() h.stop() end)

  local function token()
    return { ["X-Token"] = h.accounts.tuzhan.token }
  end

  local function call(params, rows, headers)
    return h.post(PATH, headers or token(), { publicParams = params, data = array(rows) })
  end

  local FUZZY = { isMatching = true, matchingType = 2, identifyWay = 1, optType = "add" }

  local function with(base, changes)
    local copy = {}
    for name, value in pairs(base) do
      copy[name] = value
    end
    for name, value in pairs(changes) do
      copy[name] = value
    end
    return copy
  end

  local EXACT = { isMatching = true, matchingType = 1, optType = "add" }

  local function refused(status, answer, field)
    assert.equal(status, answer.status, answer.body)
    if field then
      assert.truthy(answer.json.msg:find(field, 1, true), answer.json.msg)
    end
    assert.equal(0, #h.commits())
  end

  local function done(answer, good, failed)
    assert.equal(200, answer.status, answer.body)
    assert.equal(good, answer.json.data.importSuccessNum)
    assert.equal(failed or 0, answer.json.data.importFailNum)
    return answer.json.data
  end

  local function customers()
    return h.control("customers").customers
  end

  local function groups(number)
    return table.concat(customers()[number or 1].groups, "|")
  end

  rule("R086", "answers 401 to a missing or unknown X-Token", function()
    refused(401, call(FUZZY, { { thirdId = "1", groups = "a" } }, {}))
    refused(401, call(FUZZY, { { thirdId = "1", groups = "a" } }, { ["X-Token"] = "wrong" }))
  end)

  rule("R087", "answers 403 to a token without enterprise level", function()
    h.control("settings", { ["tuzhan.level"] = "member" })
    refused(403, call(FUZZY, { { thirdId = "1", groups = "a" } }))
  end)

  rule("R088", "has code as text, errorCode, msg and null data in errors", function()
    local answer = call(FUZZY, { { thirdId = "1", groups = "a" } }, {})
    assert.equal("401", answer.json.code)
    assert.equal("UNAUTHORIZED", answer.json.errorCode)
    assert.equal("string", type(answer.json.msg))
    assert.equal(json.null, answer.json.data)
  end)

  rule("R090", "refuses a body without publicParams or data, or with wrong types", function()
    refused(400, h.post(PATH, token(), { data = array{ { thirdId = "1" } } }), "publicParams: expected")
    refused(400, h.post(PATH, token(), { publicParams = FUZZY }), "data: expected an array")
    refused(400, h.post(PATH, token(), { publicParams = array{ 1 }, data = array{ {} } }), "publicParams: expected")
    refused(400, h.post(PATH, token(), { publicParams = FUZZY, data = { a = 1 } }), "data: expected an array")
  end)

  rule("R091", "needs at least one row", function()
    refused(400, call(FUZZY, {}), "data")
  end)

  rule("R092", "needs isMatching as a JSON boolean", function()
    refused(400, call(with(FUZZY, { isMatching = "true" }), { { thirdId = "1", groups = "a" } }), "isMatching")
    refused(400, call({ optType = "add" }, { { thirdId = "1", groups = "a" } }), "isMatching")
  end)

  rule("R094", "refuses any other optType, numbers included", function()
    for _, value in ipairs{ 1, "insert", "ADD", true } do
      refused(400, call(with(FUZZY, { optType = value }), { { thirdId = "1", groups = "a" } }), "optType")
    end
  end)

  rule("R096", "needs matchingType 1 or 2 when isMatching is true", function()
    local row = { identityType = "phone", phone = "1", groups = "a" }
    refused(400, call({ isMatching = true, optType = "add" }, { row }), "matchingType")
    refused(400, call(with(FUZZY, { matchingType = 3 }), { row }), "matchingType")
    refused(400, call(with(FUZZY, { matchingType = "2" }), { row }), "matchingType")
  end)

  rule("R097", "ignores the matching fields when isMatching is false", function()
    local params = { isMatching = false, matchingType = 9, identifyWay = 9, accurateMatchType = "?", optType = "add" }
    done(call(params, { { thirdId = "1", groups = "a" } }), 1)
  end)

  rule("R098", "needs identifyWay 1 or 2 for fuzzy matching", function()
    local row = { thirdId = "1", groups = "a" }
    refused(400, call({ isMatching = true, matchingType = 2, optType = "add" }, { row }), "identifyWay")
    refused(400, call(with(FUZZY, { identifyWay = 3 }), { row }), "identifyWay")
  end)

  -- Two customers, one known by thirdId and phone, one by unionid and openid.
  local function two_customers()
    done(call(FUZZY, {
      { thirdId = "t", phone = "p", groups = "first" }, { unionid = "u", openid = "o", groups = "second" },
    }), 2)
  end

  rule("R100", "tries unionid, openid, phone, thirdId in identifyWay 1", function()
    two_customers()
    done(call(FUZZY, { { thirdId = "t", unionid = "u", groups = "x" } }), 1)
    assert.equal("second|x", groups(2))
    done(call(FUZZY, { { phone = "p", openid = "o", groups = "y" } }), 1)
    assert.equal("second|x|y", groups(2))
    assert.equal("first", groups(1))
  end)

  rule("R101", "tries thirdId, phone, openid, unionid in identifyWay 2", function()
    two_customers()
    local way = with(FUZZY, { identifyWay = 2 })
    done(call(way, { { thirdId = "t", unionid = "u", groups = "x" } }), 1)
    done(call(way, { { phone = "p", openid = "o", groups = "y" } }), 1)
    assert.equal("first|x|y", groups(1))
    assert.equal("second", groups(2))
  end)

  rule("R102", "takes the first filled identity that belongs to a known customer", function()
    two_customers()
    done(call(FUZZY, { { unionid = "unknown", thirdId = "t", groups = "x" } }), 1)
    assert.equal(2, #customers())
    assert.equal("first|x", groups(1))
  end)

  rule("R103", "needs identityType in every row of exact matching", function()
    refused(400, call(EXACT, {
      { identityType = "phone", phone = "1", groups = "a" }, { phone = "2", groups = "a" },
    }), "data[1].identityType")
    refused(400, call(EXACT, { { identityType = "mail", phone = "1", groups = "a" } }), "identityType")
  end)

  rule("R105", "fails a row alone whose named identity is empty", function()
    local row = { identityType = "phone", thirdId = "1", groups = "a" }
    local data = done(call(EXACT, { row, { identityType = "phone", phone = "2", groups = "a" } }), 1, 1)
    assert.same(row, data.errorData[1])
  end)

  rule("R106", "uses only the named identity in exact matching", function()
    done(call(FUZZY, { { unionid = "u", groups = "a" } }), 1)
    done(call(EXACT, { { identityType = "phone", phone = "p", unionid = "u", groups = "b" } }), 1)
    assert.equal(2, #customers())
    assert.equal("a", groups(1))
  end)

  rule("R107", "takes rows with different identityType values", function()
    done(call(EXACT, {
      { identityType = "phone", phone = "1", groups = "a" }, { identityType = "thirdId", thirdId = "2", groups = "a" },
      { identityType = "openid", openid = "3", groups = "a" }, { identityType = "unionid", unionid = "4", groups = "a" },
    }), 4)
  end)

  rule("R108", "knows six application types in exactly their letter case", function()
    local row = { identityType = "phone", phone = "1", groups = "a" }
    for _, name in ipairs{ "gzh", "workwechat", "YOUZAN", "EZR", "contentminiapp", "contenthome" } do
      done(call(with(EXACT, { accurateMatchType = name, accurateMatchValue = "app" }), { row }), 1)
    end
    assert.equal(400, call(with(EXACT, { accurateMatchType = "youzan" }), { row }).status)
    assert.equal(400, call(with(EXACT, { accurateMatchType = "GZH" }), { row }).status)
  end)

  rule("R111", "fails a row alone that has no identity", function()
    local data = done(call(FUZZY, { { groups = "a" }, { phone = "1", groups = "a" } }), 1, 1)
    assert.same({ groups = "a" }, data.errorData[1])
    assert.equal("data[0]: no identity", data.message)
  end)

  rule("R114", "splits groups on ASCII commas, trims, and fails a row without a name", function()
    done(call(FUZZY, { { thirdId = "1", groups = " 北京 , 上海,,a，b" } }), 1)
    assert.equal("北京|上海|a，b", groups(1))
    done(call(FUZZY, { { thirdId = "1", groups = " , " }, { thirdId = "2" } }), 0, 2)
  end)

  rule("R115", "adds, replaces or removes groups as optType says", function()
    local function change(mode, names)
      done(call(with(FUZZY, { optType = mode }), { { thirdId = "1", groups = names } }), 1)
    end
    change("add", "a,b")
    change("add", "c")
    assert.equal("a|b|c", groups(1))
    change("delete", "b,x")
    assert.equal("a|c", groups(1))
    change("update", "z")
    assert.equal("z", groups(1))
  end)

  rule("R116", "makes a customer for an unmatched row, except for delete", function()
    done(call(with(FUZZY, { optType = "add" }), { { thirdId = "1", groups = "a" } }), 1)
    done(call(with(FUZZY, { optType = "update" }), { { thirdId = "2", groups = "a" } }), 1)
    assert.equal(2, #customers())
    done(call(with(FUZZY, { optType = "delete" }), { { thirdId = "3", groups = "a" } }), 0, 1)
    assert.equal(2, #customers())
  end)

  rule("R117", "answers the document's example as the document does", function()
    local answer = h.post(PATH, token(), '{"publicParams":{"isMatching":true,"matchingType":2,"identifyWay":1,'
      .. '"optType":"add"},"data":[{"thirdId":"1","groups":"group1,group2"}]}')
    assert.equal('{"code":"200","errorCode":"SUCCESS","msg":"ok","data":{"importSuccessNum":1,"message":"成功",'
      .. '"importFailNum":0,"errorData":null,"status":1}}', answer.body)
  end)

  rule("R118", "says status 1, 2 or -1 as all, some or no rows succeed", function()
    local good, bad = { thirdId = "1", groups = "a" }, { thirdId = "1", groups = "" }
    assert.equal(1, done(call(FUZZY, { good }), 1).status)
    assert.equal(2, done(call(FUZZY, { good, bad }), 1, 1).status)
    assert.equal(-1, done(call(FUZZY, { bad }), 0, 1).status)
  end)

  it("says status 0 when it is told to answer late", function()
    h.reset()
    h.form_on("tuzhan-late")
    assert.equal(0, call(FUZZY, { { thirdId = "1", groups = "a" } }).json.data.status)
  end)

  rule("R119", "lets the two counts add up to the rows", function()
    local data = call(FUZZY, { { thirdId = "1", groups = "a" }, { groups = "a" }, { thirdId = "2" } }).json.data
    assert.equal(3, data.importSuccessNum + data.importFailNum)
  end)

  rule("R120", "gives back the failed rows unchanged and in order, null when there are none", function()
    local first = { groups = "a", note = "甲" }
    local second = { thirdId = "2", groups = "" }
    local data = call(FUZZY, { first, { thirdId = "1", groups = "a" }, second }).json.data
    assert.same({ first, second }, { data.errorData[1], data.errorData[2] })
    assert.equal(json.null, call(FUZZY, { { thirdId = "1", groups = "a" } }).json.data.errorData)
  end)

  rule("R126", "says code \"200\" as text, SUCCESS and ok", function()
    local answer = call(FUZZY, { { thirdId = "1", groups = "a" } })
    assert.equal("200", answer.json.code)
    assert.equal("SUCCESS", answer.json.errorCode)
    assert.equal("ok", answer.json.msg)
  end)

  it("refuses values of the wrong type and changes nothing", function()
    h.reset()
    refused(400, call(FUZZY, { { thirdId = "1", groups = "a" }, { phone = 13012121211, groups = "a" } }), "data[1].phone")
    refused(400, call(FUZZY, { { thirdId = "1", groups = array{ "a" } } }), "data[0].groups")
    refused(400, call(FUZZY, { "row" }), "data[0]")
    assert.equal(0, #customers())
  end)

  it("writes each row that it applied into the commit log", function()
    h.reset()
    done(call(FUZZY, { { thirdId = "1", groups = "a" }, { groups = "a" }, { phone = "2", groups = "b" } }), 2, 1)
    local list = h.commits()
    assert.equal(2, #list)
    assert.same({ phone = "2", groups = "b" }, list[2].row)
    assert.equal("add", list[2].mode)
  end)

  rule("R002", "refuses other content types and bodies that are no JSON", function()
    refused(400, h.send("POST", PATH, { ["X-Token"] = h.accounts.tuzhan.token, ["Content-Type"] = "text/plain" },
      json.encode{ publicParams = FUZZY, data = array{ { thirdId = "1", groups = "a" } } }))
    refused(400, h.post(PATH, token(), "{"))
  end)

  rule("R006", "ignores unknown fields", function()
    assert.equal(200, h.post(PATH, token(), {
      publicParams = FUZZY, data = array{ { thirdId = "1", groups = "a" } }, other = 1,
    }).status)
  end)
end)

-- SPDX-License-Identifier: MIT
-- What answers mean: kinds, evidence, wrong types, hostile bodies, and that errors show nothing personal.

local error_object = require "campaign.error"
local fake = require "support.fake"
local json = require "campaign.json"
local parse = require "campaign.api.parse"
local platforms = require "campaign.api.platform"

local longlong = platforms.load("longlong")
local import = longlong.operations.import_customers_async
local ACCEPTED = '{"code":200,"status":"success","message":"m","data":{"unique_id":"u"}}'

local function reply(body, status, headers, more)
  local result = fake.answer(body, status, headers)
  for key, value in pairs(more or {}) do
    result[key] = value
  end
  return parse.reply(longlong, import, result, { now = 1000000000 })
end

-- Twelve values of other kinds; each field takes those that are not of its own.
local WRONG = {
  { json.null, "null" }, { true, "boolean" }, { false, "boolean" }, { 0, "number" }, { -1, "number" }, { 1.5, "number" },
  { 1e300, "number" }, { "", "text" }, { "200", "text" }, { "\239\191\191", "text" }, { json.array(), "array" }, { {}, "object" },
}

-- A good reply of each operation, by its own description.
local function sample(description)
  local kind = description.type
  if kind == "object" then
    local value = {}
    for _, field in ipairs(description.fields) do
      value[field.name] = sample(field)
    end
    return value
  elseif kind == "array" then
    return json.array{ sample(description.items) }
  elseif kind == "integer" or kind == "int64" or kind == "number" then
    return 7
  elseif kind == "boolean" then
    return true
  elseif kind == "datetime" then
    return "2025-11-10 09:00:00"
  elseif kind == "any" then
    return { more = 1 }
  end
  return "text"
end

local function good_reply(operation)
  local value = sample(operation.reply)
  for _, condition in ipairs(operation.success or {}) do
    if condition.path then
      value[condition.path] = condition.is[1]
    end
  end
  return value
end

-- Every place in a reply: a list of { path = text, set = function(value), field = description }.
local function places(description, value, path, list)
  if description.type == "object" then
    for _, field in ipairs(description.fields) do
      list[#list + 1] = { path = path .. field.name, field = field, set = function(new) value[field.name] = new end, old = value[field.name] }
      places(field, value[field.name], path .. field.name .. ".", list)
    end
  elseif description.type == "array" then
    list[#list + 1] = { path = path .. "[1]", field = description.items, set = function(new) value[1] = new end, old = value[1] }
    places(description.items, value[1], path .. "[1].", list)
  end
  return list
end

local FITS = {
  string = { text = true }, datetime = { text = true }, date = { text = true }, boolean = { boolean = true },
  number = { number = true }, array = { array = true }, object = { object = true },
}

local function fits(field, wrong)
  local value, kind = wrong[1], wrong[2]
  if field.type == "any" then
    return true
  end
  if field.type == "integer" or field.type == "int64" then
    return kind == "number" and value == math.floor(value) and math.abs(value) < 2 ^ 53
      or value == "200" and (field.type == "int64" or field.also ~= nil)
  end
  if field.type == "string" and field.also and kind == "number" and value == math.floor(value) and math.abs(value) < 2 ^ 53 then
    return true
  end
  if field.type == "datetime" and field.also and kind == "number" and value == math.floor(value) and math.abs(value) < 2 ^ 53 then
    return true
  end
  return FITS[field.type] and FITS[field.type][kind] or false
end

describe("api.parse", function()
  it("takes no success that came before the whole request had left, and every refusal", function()
    local early = { bytes_sent = 262144, bytes_expected = 20000000 }
    local _, err = reply(ACCEPTED, 200, nil, early)
    assert.same({ "response", "bad_answer", "maybe", false }, { err.kind, err.reason, err.sent, err.retry })
    assert.truthy(err.message:find("262144 of 20000000 bytes", 1, true))
    _, err = reply('{"code":400,"status":"fail","message":"m"}', 200, nil, early)
    assert.same({ "bad_parameter", "no" }, { err.reason, err.sent })
    _, err = reply("", 413, nil, early)
    assert.same({ "too_large", "no" }, { err.reason, err.sent })
    assert.truthy(reply(ACCEPTED, 200, nil, { bytes_sent = 5, bytes_expected = 5 }))
    assert.truthy(reply(ACCEPTED, 200, nil, { bytes_sent = 5 })) -- of a body of unknown length
    local context = { memory = {}, now = 1000000000 }
    for _ = 1, 3 do
      assert(parse.reply(longlong, import, fake.answer(ACCEPTED, 200), context))
    end
    local result = fake.answer(ACCEPTED, 200)
    result.bytes_sent, result.bytes_expected = 1, 2
    assert.is_nil((parse.reply(longlong, import, result, context)))
  end)

  it("reads an answer in GBK when its Content-Type says so, and only then", function()
    local body = ACCEPTED:gsub('"m"', '"\179\201\185\166\213\\"') -- 成功誠, whose last byte is a backslash
    for _, charset in ipairs{ "GBK", "gb2312", '"gb18030"' } do
      local value = reply(body, 200, { { "Content-Type", "application/json; charset=" .. charset } })
      assert.same({ 200, "成功誠" }, { value and value.code, value and value.message })
    end
    local _, err = reply('{"code":400,"message":"\185\205"}', 400, { { "Content-Type", "application/json;charset=GBK" } })
    assert.same({ "bad_parameter", "no" }, { err.reason, err.sent })
    assert.truthy(err.message:find("雇", 1, true))
    for _, content_type in ipairs{ "application/json", "application/json; charset=utf-8", "application/json; charset=iso-8859-1" } do
      _, err = reply(body, 200, { { "Content-Type", content_type } })
      assert.same({ "response", "maybe" }, { err.kind, err.sent })
    end
    local value = reply(ACCEPTED:gsub('"m"', '"成功"'), 200, { { "Content-Type", "application/json; charset=gbk" } }) -- a lie
    assert.equal("成功", value.message)
  end)

  for _, name in ipairs(platforms.names()) do
    it("takes no wrong type in any reply of " .. name .. " for success", function()
      local platform = platforms.load(name)
      local count = 0
      for _, operation in ipairs(platform.operations) do
        if operation.response == "json" then
          local value = good_reply(operation)
          local well, err = parse.reply(platform, operation, fake.answer(value), {})
          assert(well, operation.name .. " " .. tostring(err))
          for _, place in ipairs(places(operation.reply, value, "", {})) do
            for _, wrong in ipairs(WRONG) do
              place.set(wrong[1])
              local read, problem = parse.reply(platform, operation, fake.answer(value), {})
              count = count + 1
              local where = operation.name .. " " .. place.path .. " = " .. tostring(wrong[1]) .. " (" .. wrong[2] .. ")"
              assert(read ~= nil or error_object.is(problem), where)
              if wrong[2] ~= "null" and not fits(place.field, wrong) then
                assert(read == nil, where .. " was taken")
                assert(problem.kind == "response" or problem.kind == "platform", where .. " " .. problem.kind)
                assert(problem.sent == "maybe", where)
              end
            end
            place.set(place.old)
          end
        end
      end
      assert(count >= 12)
    end)
  end

  it("R004 client keeps unknown fields and passes unknown enum values on", function()
    local hypers = platforms.load("hypers")
    local read = parse.reply(hypers, hypers.operations.get_notification_task,
      fake.answer('{"id":1,"status":"PAUSED","new":{"deep":[1,2.5,null]},"flag":false,"gone":null}'), {})
    assert.equal("PAUSED", read.status)
    assert.equal(1, read.new.deep[1])
    assert.equal(2.5, read.new.deep[2])
    assert.is_false(read.flag)
    assert.is_nil(read.gone)
    assert.equal("1", read.id)
  end)

  it("R010 client tells transport failures, unreadable replies, HTTP errors and refusals apart", function()
    local _, err = parse.reply(longlong, import, { error = error_object.new{ kind = "timeout", message = "m" }, sent = "maybe" }, {})
    assert.same({ "timeout", "maybe" }, { err.kind, err.sent })
    _, err = reply("<html>")
    assert.same({ "response", "maybe", 200, "<html>" }, { err.kind, err.sent, err.status, err.body })
    _, err = reply('{"code":400,"status":"fail","message":"rows","data":null}', 400)
    assert.same({ "http", 400, 400, "no" }, { err.kind, err.status, err.code, err.sent })
    assert.matches("rows", err.message)
    _, err = reply('{"code":400,"status":"fail","message":"rows","data":null}')
    assert.same({ "platform", 200, 400, "no" }, { err.kind, err.status, err.code, err.sent })
    _, err = reply('{"code":777,"status":"odd","message":"rows","data":null}')
    assert.same({ "platform", "unknown_code", "maybe" }, { err.kind, err.reason, err.sent })
  end)

  it("names a code beyond every integer instead of falling over it", function()
    for _, status in ipairs{ 200, 400, 500 } do
      local _, err = reply('{"code":1e300,"status":"fail","message":"m","data":null}', status)
      assert.is_true(error_object.is(err))
      assert.is_nil((reply('{"code":-1e308,"status":"success","message":"m","data":{"unique_id":"u"}}', status)))
    end
  end)

  it("keeps what the transport knows of a failed transfer", function()
    for _, case in ipairs{ { "network", "no", true }, { "network", "maybe", false }, { "timeout", "maybe", false }, { "tls", "no", false },
      { "cancelled", "no", false } } do
      local _, err = parse.reply(longlong, import,
        { error = error_object.new{ kind = case[1], message = "m" }, sent = case[2], timings = { total = 1 } }, {})
      assert.same(case, { err.kind, err.sent, err.retry })
      assert.equal(1, err.timings.total)
      assert.equal("longlong", err.platform)
    end
    local _, err = parse.reply(longlong, import, { error = error_object.new{ kind = "network", message = "m" } }, {})
    assert.equal("maybe", err.sent)
  end)

  it("says which statuses prove that nothing was applied", function()
    for _, case in ipairs{ { 401, "no" }, { 403, "no" }, { 404, "no" }, { 413, "no" }, { 415, "no" }, { 429, "no" }, { 400, "no" },
      { 408, "maybe" }, { 409, "maybe" }, { 500, "maybe" }, { 502, "maybe" }, { 503, "maybe" }, { 504, "maybe" }, { 100, "maybe" },
      { 301, "maybe" }, { 999, "maybe" } } do
      local read, err = reply(ACCEPTED, case[1])
      assert.is_nil(read)
      assert.same(case, { err.status, err.sent })
    end
  end)

  it("does not call a refusal that may have been applied unapplied because of its status", function()
    for _, status in ipairs{ 200, 400, 401, 403, 404, 413, 415, 429, 500 } do
      local _, err = reply('{"code":500,"status":"error","message":"m","data":null}', status)
      assert.same({ status, 500, "maybe", false }, { err.status, err.code, err.sent, err.retry })
    end
  end)

  it("reads Retry-After as seconds or date, at most an hour, and not when absurd", function()
    for _, case in ipairs{ { "7", 7 }, { "0", 0 }, { "99999", true }, { "7200", 3600 }, { "-1", true }, { "soon", true }, { "1e3", true },
      { "Sun, 09 Sep 2001 01:46:50 GMT", 10 }, { "Sun, 09 Sep 2001 01:46:30 GMT", true }, { "Sun, 31 Feb 2001 01:46:30 GMT", true } } do
      local _, err = reply("", 429, { { "retry-AFTER", case[1] } })
      assert.equal("throttle", err.kind)
      assert.equal(case[2], err.retry)
    end
    local _, err = reply("", 429)
    assert.is_true(err.retry)
  end)

  it("takes a success without the file, or with a part of it that nobody asked for, for no answer", function()
    local hypers = platforms.load("hypers")
    for status, body in pairs({ [204] = "", [205] = "", [206] = "part" }) do
      local read, err = parse.reply(hypers, hypers.operations.download_file, fake.answer(body, status, { { "Content-Range", "bytes 0-3/9" } }))
      assert.is_nil(read)
      assert.same({ "http", "unexpected_status", "maybe", status }, { err.kind, err.reason, err.sent, err.status })
    end
  end)

  it("refuses redirects and names the host only", function()
    for _, case in ipairs{ { "https://evil.example:8443/path?token=canary", "evil.example:8443" }, { "//evil.example/x", "evil.example" },
      { "https://user:canary@evil.example/", "evil.example" }, { "/elsewhere", "same host" }, { "", "same host" } } do
      for _, status in ipairs{ 301, 302, 303, 307, 308, 304 } do
        local _, err = reply("", status, { { "Location", case[1] } })
        assert.same({ "redirect", "redirect_refused" }, { err.kind, err.reason })
        assert(err.message:find(case[2], 1, true))
        -- As the engine gives it: whoever answers so may have acted on the request.
        local _, told = reply("", status, { { "Location", case[1] } }, { error = { kind = "redirect", message = "canary" } })
        assert.same({ "redirect", "redirect_refused", "maybe", err.message }, { told.kind, told.reason, told.sent, told.message })
        assert.is_nil(err.message:find("canary", 1, true))
      end
    end
  end)

  local hostile = {
    "", " ", "null", "true", "7", '"text"', "[]", "[1]", "{", '{"code":200', ACCEPTED:sub(1, -2), ACCEPTED .. "x", ACCEPTED .. ACCEPTED,
    '{"code":200,"code":400,"status":"success","data":{"unique_id":"u"}}', '{"code":NaN}', '{"code":0x10}', "\255\254", "{\"a\":\"\255\"}",
    ("["):rep(100000), '{"a":' .. ("9"):rep(5000) .. "}", '{"code":200,"status":"success","data":' .. ("["):rep(70) .. ("]"):rep(70) .. "}",
    '{"code":2e2x}', "<html><body>502</body></html>", "callback(" .. ACCEPTED .. ")", '{"code":200,"status":"success"}',
    '{"code":200,"status":"success","data":null}', '{"code":"two hundred","status":"success","data":{"unique_id":"u"}}',
  }
  it("takes hostile and broken bodies for unreadable, never for success", function()
    for _, body in ipairs(hostile) do
      local read, err = reply(body)
      assert.is_nil(read, body:sub(1, 60))
      assert.equal("response", err.kind, body:sub(1, 60))
      assert.equal("maybe", err.sent)
      assert(#(err.body or "") <= 4200)
      assert(#err.message < 700)
    end
    assert(reply(ACCEPTED))
    assert(reply("\239\187\191" .. ACCEPTED))
  end)

  it("reads numbers the same on both Luas", function()
    local read = reply('{"code":200.0,"status":"success","data":{"unique_id":"u","n":3.0,"big":12345678901234567890,"half":1.5}}')
    assert.equal("200 3 1.5", ("%s %s %s"):format(read.code, read.data.n, read.data.half))
    assert.equal("12345678901234567890", tostring(read.data.big))
  end)

  it("marks arrays, also empty ones", function()
    local hypers = platforms.load("hypers")
    local read = parse.reply(hypers, hypers.operations.list_notification_tasks, fake.answer('{"records":[],"page":{},"x":[]}'), {})
    assert.is_true(json.is_array(read.records))
    assert.equal("[]", json.encode(read.x))
  end)

  it("R008 client shows no token, phone or name in an error, wherever the platform puts them", function()
    local fields = { data = { { name = "卡娜丽", phone = "13911112222", company = "Canary Ltd", email = "canary@x.example",
      components = { { id = "c-id", value = "canary-value" } } } } }
    local words = { "canary", "卡娜丽", "13911112222", "Canary", "%E5%8D%A1%E5%A8%9C%E4%B8%BD" }
    local bodies = {
      '{"code":400,"status":"fail","message":"bad row 卡娜丽 13911112222 Canary Ltd canary@x.example canary-value","data":null}',
      '{"code":400,"status":"fail","message":"token canary-token-4 is wrong","data":null}',
      "<html>Bearer canary-token-4 13911112222 %E5%8D%A1%E5%A8%9C%E4%B8%BD</html>",
      '{"code":"canary-token-4","status":"fail","message":"x","data":null}',
      '{"code":400,"status":"卡娜丽","message":7,"data":{"name":"卡娜丽"}}',
      '{"code":true,"status":"success","data":{"unique_id":"canary-token-4"}}',
    }
    for _, body in ipairs(bodies) do
      for _, status in ipairs{ 200, 302, 400, 401, 429, 500 } do
        local client = fake.client("longlong", { fake.answer(body, status, { { "Location", "https://canary-token-4/x" } }) })
        local read, err = client:import_customers_async(fields)
        assert.is_nil(read)
        local all = { tostring(err) }
        for _, value in pairs(err) do
          all[#all + 1] = type(value) == "table" and json.encode(value) or tostring(value)
        end
        local text = table.concat(all, "\n")
        for _, word in ipairs(words) do
          assert.is_nil(text:find(word, 1, true), word .. " in " .. text)
        end
      end
    end
  end)

  it("masks numbers and keys it was never told about", function()
    local _, err = reply('{"code":400,"status":"fail","message":"13800001111 and +8613800001111, '
      .. '138 0000 1111, 86138-0000-1111","rows":[{"phone":"010-1234","name":"王",'
      .. '"token" : "abc\\"def","userId":7,"ok":null}]}')
    assert.is_nil(err.body:find("13800001111", 1, true))
    assert.is_nil(err.message:find("13800001111", 1, true))
    assert.is_nil(err.message:find("0000", 1, true))
    assert(err.body:find("138****1111", 1, true))
    for _, word in ipairs{ "010-1234", "王", "abc", "def", ":7" } do
      assert.is_nil(err.body:find(word, 1, true), word .. " in " .. err.body)
    end
  end)

  it("keeps nothing of a body in another encoding, which could hold names", function()
    local core = require "campaign.core"
    local _, err = reply(assert(core.gbk.encode("<html>王小明 13800001111</html>", "gbk")), 500)
    assert.equal("(31 bytes that are not UTF-8 text)", err.body)
  end)

  it("bounds and cleans the platform's words", function()
    local _, err = reply(json.encode{ code = 400, status = "fail", message = ("长"):rep(5000) .. "\27[31m\n\0" })
    assert(#err.message < 600)
    assert(require("campaign.core").utf8.validate(err.message))
    assert.is_nil(err.message:find("[%c]"))
    assert(#err.body <= 4200)
  end)
end)

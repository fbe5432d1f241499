-- SPDX-License-Identifier: MIT
-- The memory of the last good answer: what it gives is what parsing gives, or nothing.

local parse = require "campaign.api.parse"
local platforms = require "campaign.api.platform"
local recall = require "campaign.api.recall"

local platform = assert(platforms.load("longlong"))
local operation = platform.operations.import_customers_async

local function body_of(id)
  return '{"code":200,"status":"success","message":"ok","data":{"unique_id":"' .. id .. '","more":[1,{}]}}'
end

local function result_of(body, status)
  return { status = status or 200, headers = {}, body = body, sent = "yes" }
end

describe("memory of answers", function()
  local memory

  before_each(function()
    memory = {}
    assert(parse.reply(platform, operation, result_of(body_of("batch-1")), { memory = memory }))
  end)

  it("gives for the same answer what parsing gives, as a table of the caller's own", function()
    local parsed = parse.reply(platform, operation, result_of(body_of("batch-1")))
    local first = recall.recall(memory, operation, result_of(body_of("batch-1")))
    assert.same(parsed, first)
    first.data.unique_id, first.data.more[1] = "spoilt", "spoilt"
    assert.same(parsed, recall.recall(memory, operation, result_of(body_of("batch-1"))))
  end)

  it("gives for another number of the call what parsing gives", function()
    for _, id in ipairs({ "batch-2", "x", "17", "200", "success", "a_b-c", ("9"):rep(255) }) do
      local parsed = parse.reply(platform, operation, result_of(body_of(id)))
      local known = recall.recall(memory, operation, result_of(body_of(id)))
      assert.same(parsed, known)
      assert.equal(id, known.data.unique_id)
      assert.equal(getmetatable(parsed.data.more), getmetatable(known.data.more))
    end
  end)

  it("lends the same table again and again, right each time", function()
    local lent = {}
    for _, id in ipairs({ "batch-2", "batch-1", "x", "batch-1" }) do
      local known = recall.recall(memory, operation, result_of(body_of(id)), true)
      assert.same(parse.reply(platform, operation, result_of(body_of(id))), known)
      lent[known] = true
    end
    assert.is_nil(next(lent, next(lent)))
    assert.equal("y", recall.recall(memory, operation, result_of(body_of("y"))).data.unique_id)
    assert.equal("batch-1", recall.recall(memory, operation, result_of(body_of("batch-1"))).data.unique_id)
  end)

  it("knows nothing of answers that differ in anything else", function()
    local whole = body_of("batch-1")
    for _, body in ipairs({
      "", "{}", whole .. " ", " " .. whole, whole:sub(1, -2), whole:gsub("200", "500"), whole:gsub("ok", "no"),
      body_of(""), body_of('a","unique_id":"b'), body_of("a\\u0041"), body_of("a b"), body_of("中"), body_of(("9"):rep(256)),
      body_of('b"},"status":"failed","data":{"unique_id":"c'),
    }) do
      assert.is_nil(recall.recall(memory, operation, result_of(body)))
    end
    assert.is_nil(recall.recall(memory, operation, result_of(whole, 201)))
    assert.is_nil(recall.recall(memory, {}, result_of(whole)))
    assert.is_nil(recall.recall(memory, operation, { status = 200 }))
  end)

  it("does not take another place for the number's", function()
    -- The number occurs twice, or is written with escapes: only the whole answer is known.
    for _, body in ipairs({
      '{"code":200,"status":"success","message":"twin","data":{"unique_id":"twin"}}',
      '{"code":200,"status":"success","message":"ok","data":{"unique_id":"200"}}',
      '{"code":200,"status":"success","message":"ok","data":{"unique_id":"\\u0061b","ab":"x"}}',
      '{"code":200,"status":"success","message":"an-idea","data":{"unique_id":"id"}}',
    }) do
      memory = {}
      assert(parse.reply(platform, operation, result_of(body), { memory = memory }))
      assert.is_table(recall.recall(memory, operation, result_of(body)))
      for _, word in ipairs({ "twin", "200", "ab", "id" }) do
        local other = body:gsub('"' .. word .. '"', '"other"')
        if other ~= body then
          assert.is_nil(recall.recall(memory, operation, result_of(other)))
        end
      end
    end
  end)

  it("keeps neither refusals nor long answers", function()
    memory = {}
    parse.reply(platform, operation, result_of('{"code":400,"status":"fail","message":"no","data":{}}'), { memory = memory })
    assert.is_nil(next(memory))
    assert(parse.reply(platform, operation, result_of(body_of("a") .. (" "):rep(5000)), { memory = memory }))
    assert.is_nil(next(memory))
  end)

  it("does not stand in for a transfer that failed", function()
    local result = result_of(body_of("batch-1"))
    result.error = { kind = "network", message = "cut" }
    local reply, err = parse.reply(platform, operation, result, { memory = memory })
    assert.is_nil(reply)
    assert.equal("network", err.kind)
  end)

  it("leaves the number alone where the platform's data decides by it", function()
    local picky = {}
    for key, value in pairs(operation) do
      picky[key] = value
    end
    picky.success = { { path = "code", is = { 200 } }, { path = "data.unique_id", is = { "batch-1" } } }
    memory = {}
    assert(parse.reply(platform, picky, result_of(body_of("batch-1")), { memory = memory }))
    assert.is_nil(recall.recall(memory, picky, result_of(body_of("batch-2"))))
  end)
end)

-- SPDX-License-Identifier: MIT
-- Faults on order: the grammar, and what a client sees of each kind over real HTTP.

local core = require "campaign.core"
local faults = require "campaign.sandbox.faults"
local h = require "sandbox.helper"

local json = h.json
local array = json.array

describe("sandbox fault grammar", function()
  it("reads calls, ranges, percentages and targets", function()
    assert.same({ 3, 3 }, { faults.parse("upload_contacts_json:500@3").first, faults.parse("a_b:500@3").last })
    assert.same({ 2, 5 }, { faults.parse("x:500@2-5").first, faults.parse("x:500@2-5").last })
    assert.equal(math.huge, faults.parse("x:500@2-").last)
    assert.equal(0.5, faults.parse("x:delay=20%0.5").percent)
    assert.equal("*", faults.parse("after-commit-close@7").target)
    assert.equal("outbound.upload_contacts_json", faults.parse("outbound.upload_contacts_json:401@1").target)
    assert.equal("30", faults.parse("x:429-retry-after=30@1").retry_after)
    assert.matches("there is no kind `truncate`", select(2, faults.parse("x:truncate@1")), 1, true)
  end)

  it("refuses what it does not know", function()
    for _, text in ipairs{ "", "x", "x:500", "x:what@1", "x:500@0", "x:500@3-2", "x:500%0", "x:500%101", "x:200@1",
      "x:500@1x", ":500@1", "x:delay=@1" } do
      local fault, why = faults.parse(text)
      assert.is_nil(fault, text)
      assert.equal("string", type(why))
    end
  end)

  it("meets the same calls for the same seed, about as often as it says", function()
    local function draw(seed)
      local list = assert(faults.new({ "x:500%10" }, seed))
      local met = {}
      for i = 1, 2000 do
        met[i] = list:call("p", "x").reply and "1" or "0"
      end
      return table.concat(met)
    end
    assert.equal(draw(7), draw(7))
    assert.are_not.equal(draw(7), draw(8))
    local _, count = draw(7):gsub("1", "")
    assert.is_true(count > 150 and count < 250, tostring(count))
  end)

  it("counts each operation's calls by itself", function()
    local list = assert(faults.new{ "a:500@2" })
    assert.is_nil(list:call("p", "a").reply)
    assert.is_nil(list:call("p", "b").reply)
    assert.equal(500, list:call("p", "a").reply.status)
    assert.is_nil(list:call("p", "a").reply)
  end)
end)

describe("sandbox faults", function()
  setup(function() h.start() end)
  teardown(function() h.stop() end)

  local function send(phone)
    return h.post("/agent-api/user/" .. h.accounts.longlong.user_id .. "/async_customer",
      { Authorization = "Bearer " .. h.accounts.longlong.token }, { data = array{ { phone = phone or "1" } } })
  end

  local function order(fault)
    h.reset()
    h.faults(fault)
  end

  it("answers a status in the platform's shape and commits nothing", function()
    for _, status in ipairs{ 400, 401, 403, 404, 429, 500, 502, 503, 504 } do
      order("import_customers_async:" .. status .. "@1")
      local answer = send()
      assert.equal(status, answer.status)
      assert.equal(status, answer.json.code)
      assert.is_nil(answer.headers["retry-after"])
      assert.equal(0, #h.commits())
      assert.equal(200, send().status)
    end
  end)

  it("answers 429 with Retry-After", function()
    order("import_customers_async:429-retry-after=7@1")
    local answer = send()
    assert.equal(429, answer.status)
    assert.equal("7", answer.headers["retry-after"])
  end)

  it("answers a failing code with HTTP 200", function()
    order("import_customers_async:code=500@1")
    local answer = send()
    assert.equal(200, answer.status)
    assert.equal(500, answer.json.code)
    assert.equal(0, #h.commits())
  end)

  it("closes before reading and after reading, and commits nothing", function()
    for _, kind in ipairs{ "close-before-read", "close-after-read" } do
      order("import_customers_async:" .. kind .. "@1")
      local answer = send()
      assert.is_nil(answer.status)
      assert.truthy(answer.error)
      assert.equal(0, #h.commits())
      assert.equal(200, send().status)
    end
  end)

  it("commits and then closes or resets without a reply", function()
    for _, kind in ipairs{ "after-commit-close", "after-commit-reset" } do
      order("import_customers_async:" .. kind .. "@1")
      local answer = send("13012121211")
      assert.is_nil(answer.status)
      assert.equal("maybe", answer.sent)
      local list = h.commits()
      assert.equal(1, #list)
      assert.equal("13012121211", list[1].row.phone)
    end
  end)

  it("commits and then answers an error", function()
    order("import_customers_async:after-commit-502@1")
    assert.equal(502, send().status)
    assert.equal(1, #h.commits())
  end)

  it("cuts the reply short", function()
    order("import_customers_async:truncate-body@1")
    local answer = send()
    assert.truthy(answer.error)
    assert.equal("maybe", answer.sent)
    assert.equal(1, #h.commits())
    assert.equal(200, send().status)
  end)

  it("says a wrong length, so that the reply is no JSON", function()
    order("import_customers_async:wrong-length@1")
    local answer = send()
    assert.is_nil(answer.json)
    assert.equal(1, #h.commits())
    assert.equal(200, send().status)
  end)

  it("sends broken JSON and wrong types with status 200", function()
    order("import_customers_async:bad-json@1")
    local answer = send()
    assert.equal(200, answer.status)
    assert.is_nil(answer.json)
    order("import_customers_async:wrong-type@1")
    answer = send()
    assert.equal(200, answer.status)
    assert.is_true(json.is_array(answer.json.code))
    assert.equal("unexpected", answer.json.data)
    assert.equal(1, #h.commits())
  end)

  it("delays a reply without holding up others", function()
    order("import_customers_async:delay=300@1")
    local headers = { Authorization = "Bearer " .. h.accounts.longlong.token, ["Content-Type"] = "application/json" }
    local path = "/agent-api/user/" .. h.accounts.longlong.user_id .. "/async_customer"
    local started = core.system.monotonic()
    local slow = h.begin("POST", path, headers, '{"data":[{"phone":"1"}]}')
    local quick
    repeat
      core.system.sleep(0.01)
      quick = h.begin("GET", "/_sandbox/faults")
    until h.ended() == quick
    local id, result = h.ended()
    assert.equal(slow, id)
    assert.equal(200, result.status)
    assert.is_true(core.system.monotonic() - started >= 0.3)
  end)

  it("takes the token away for one call", function()
    order("import_customers_async:expire-token@1")
    assert.equal(401, send().status)
    assert.equal(200, send().status)
  end)

  it("tells what was ordered, how often it was met and how many calls there were", function()
    order("import_customers_async:500@1")
    send()
    send()
    local shown = h.control("faults")
    assert.equal(1, shown.faults[1].met)
    assert.equal(2, shown.faults[1].calls)
    assert.equal(2, shown.calls.import_customers_async)
  end)

  it("refuses an unknown fault and keeps the others", function()
    order("import_customers_async:500@9")
    local value, err = h.handle:control("faults", { faults = array{ "import_customers_async:what@1" } })
    assert.is_nil(value)
    assert.truthy(tostring(err):find("what@1", 1, true))
    assert.equal(1, #h.control("faults").faults)
  end)

  -- What a client can see of a kind: nothing, or that something is wrong.
  local KINDS = {
    ["401"] = true, ["429"] = true, ["500"] = true, ["503"] = true, ["429-retry-after=1"] = true, ["code=500"] = true, ["delay=1"] = false,
    ["close-before-read"] = true, ["close-after-read"] = true, ["expire-token"] = true, ["after-commit-close"] = true,
    ["after-commit-reset"] = true, ["lost-refresh-reply"] = true, ["after-commit-500"] = true, ["truncate-body"] = true,
    ["wrong-length"] = true, ["bad-json"] = true, ["wrong-type"] = true, ["duplicate-callback"] = false, ["early-callback"] = false,
    ["late-callback=60"] = false, ["no-callback"] = false,
  }

  -- Which of so many calls were met, by what the client saw.
  local function calls(count)
    local seen = {}
    for i = 1, count do
      local answer = send()
      seen[i] = (answer.status ~= 200 or not answer.json or answer.json.code ~= 200) and "x" or "."
    end
    return table.concat(seen)
  end

  it("meets every kind by count, by range and by percentage, the same calls for the same seed", function()
    for kind, is_seen in pairs(KINDS) do
      for form, expected in pairs({ ["@2"] = ".x..", ["@2-3"] = ".xx.", ["@3-"] = "..xx" }) do
        order("longlong.import_customers_async:" .. kind .. form)
        assert.equal(is_seen and expected or "....", calls(4), kind .. form)
        local _, met = expected:gsub("x", "")
        assert.equal(met, h.control("faults").faults[1].met, kind .. form)
      end
      local drawn = {}
      for round = 1, 2 do
        h.reset()
        assert(h.handle:control("faults", { faults = array{ "*:" .. kind .. "%40" }, seed = 11 }))
        drawn[round] = calls(10)
        drawn[round + 2] = h.control("faults").faults[1].met
      end
      assert.same({ drawn[1], drawn[3] }, { drawn[2], drawn[4] }, kind)
      local _, count = drawn[1]:gsub("x", "")
      assert.equal(is_seen and drawn[3] or 0, count, kind)
      assert.is_true(drawn[3] > 0 and drawn[3] < 10, kind)
    end
  end)

  it("leaves alone calls of other operations, and the callback of a batch whose call was refused", function()
    order("upload_dnc_json:500@1-")
    assert.equal(200, send().status)
    h.reset()
    local first = send().json.data.unique_id
    h.faults("import_customers_async:no-callback@1-")
    assert.equal(400, h.post("/agent-api/user/" .. h.accounts.longlong.user_id .. "/async_customer",
      { Authorization = "Bearer " .. h.accounts.longlong.token }, { data = array{} }).status)
    h.control("clock", { advance = 60 })
    assert.equal(first, h.control("results").results[1].unique_id)
  end)

  it("meets calls that have no callback with a callback's fault, without an effect", function()
    for _, kind in ipairs{ "duplicate-callback", "early-callback", "late-callback=60", "no-callback" } do
      order("*:" .. kind .. "@1-")
      assert.equal(401, h.get("/api/v1/notification-tasks?taskType=APPOINTMENT_REMINDER").status)
      assert.equal(1, h.control("faults").faults[1].met)
    end
  end)

  it("holds a result back for as long as late-callback says", function()
    order("import_customers_async:late-callback=3600@1")
    send()
    h.control("clock", { advance = 1800 })
    assert.equal(0, #h.control("results").results)
    h.control("clock", { advance = 1900 })
    assert.equal(1, #h.control("results").results)
  end)
end)

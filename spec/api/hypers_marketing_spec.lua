-- SPDX-License-Identifier: MIT
-- The client's side of the rules for hypers' marketing notice and reports (docs/contracts/rules.md, R258 to R361).

local fake = require "support.fake"
local platforms = require "campaign.api.platform"

local platform = platforms.load("hypers")

local function call(name, fields, answer, status)
  local client, transport = fake.client("hypers", { fake.answer(answer or "{}", status) })
  local reply, err = client[name](client, fields)
  return reply, err, transport
end

local function sent(name, fields, answer)
  local reply, err, transport = call(name, fields, answer or '{"content":[],"records":[]}')
  assert(reply, tostring(err))
  return transport:last()
end

local function refused(path, name, fields)
  local reply, err, transport = call(name, fields)
  assert(reply == nil, "was accepted")
  assert.equal("invalid", err.kind)
  assert.equal(0, #transport.requests)
  assert.equal(path, err.faults[1].path)
end

local LISTS = {
  list_marketing_groups = {}, list_marketing_scenes = {}, list_marketing_plans = {}, list_marketing_tasks = { id = 1 },
  list_marketing_task_members = { taskId = 1 },
}

local function with(fields, more)
  local new = {}
  for _, source in ipairs{ fields, more } do
    for key, value in pairs(source) do
      new[key] = value
    end
  end
  return new
end

local function plan(more)
  return { options = "DRAFT", data = with({ name = "n", groupId = 1 }, more or {}) }
end

local function plan_refused(path, more)
  refused(path, "create_marketing_plan", plan(more))
  refused(path, "update_marketing_plan", with(plan(more), { id = 1 }))
end

describe("hypers lists", function()
  it("R258 client sends current and size together or not at all", function()
    for name, fields in pairs(LISTS) do
      assert(sent(name, with(fields, { current = 0, size = 5 })).url:find("current=0&size=5", 1, true))
      assert.is_nil(sent(name, fields).url:find("?", 1, true))
      refused("size", name, with(fields, { current = 0 }))
      refused("current", name, with(fields, { size = 5 }))
    end
  end)

  it("R260 client counts pages from 0", function()
    for name, fields in pairs(LISTS) do
      refused("current", name, with(fields, { current = -1, size = 5 }))
    end
  end)

  it("R262 client repeats the key of orderBy", function()
    for name, fields in pairs(LISTS) do
      assert(sent(name, with(fields, { orderBy = { "id", "createTime" } })).url:find("orderBy=id&orderBy=createTime", 1, true))
    end
  end)

  it("R263 client takes the documented directions and null handlings only", function()
    for name, fields in pairs(LISTS) do
      for _, value in ipairs{ "ASC", "DESC" } do
        sent(name, with(fields, { orderDirection = value }))
      end
      for _, value in ipairs{ "NATIVE", "NULLS_FIRST", "NULLS_LAST" } do
        sent(name, with(fields, { orderNullHandling = value }))
      end
      refused("orderDirection", name, with(fields, { orderDirection = "asc" }))
      refused("orderNullHandling", name, with(fields, { orderNullHandling = "FIRST" }))
    end
  end)

  it("R272 client needs content and a total only, and reads sort in any shape", function()
    for _, sort in ipairs{ "[]", '{"sorted":false}', "null", "true" } do
      local reply = call("list_marketing_groups", {}, '{"content":[{"id":1}],"totalElements":9,"sort":' .. sort .. "}")
      assert.equal("1", reply.content[1].id)
    end
    assert((call("list_marketing_groups", {}, '{"content":[],"total":0}')))
    assert.is_nil((call("list_marketing_groups", {}, '{"totalElements":0}')))
    local client, transport = fake.client("hypers", { fake.answer('{"content":[{"id":1}],"total":9,"totalElements":1}') })
    assert.equal(1, #client:all("list_marketing_groups"))
    assert.equal(1, #transport.requests)
    client = fake.client("hypers", { fake.answer('{"content":[{"id":1},{"id":2}],"total":2}') })
    assert.equal(2, #client:all("list_marketing_groups"))
  end)

  it("R276 client spells keyWord in lists and keyword in daily reports", function()
    for name, fields in pairs(LISTS) do
      assert(sent(name, with(fields, { keyWord = "w" })).url:find("keyWord=w", 1, true))
      refused("keyword", name, with(fields, { keyword = "w" }))
    end
    assert(sent("list_member_daily_reports", { id = 1, keyword = "w" }).url:find("keyword=w", 1, true))
    refused("keyWord", "list_member_daily_reports", { id = 1, keyWord = "w" })
  end)

  it("R288 client joins group ids with commas", function()
    assert(sent("list_marketing_groups", { ids = { 1, "9223372036854775807" } }).url:find("ids=1%2C9223372036854775807", 1, true))
    assert(sent("list_marketing_groups", { ids = "1,9223372036854775807" }).url:find("ids=1%2C9223372036854775807", 1, true))
    refused("ids[1]", "list_marketing_groups", { ids = { "1,2" } })
    refused("ids[2]", "list_marketing_groups", { ids = "1,,2" })
  end)

  it("R278 client refuses ids that are no positive 64-bit integers, wherever a path holds one", function()
    for _, operation in ipairs(platform.operations) do
      for _, field in ipairs(operation.fields) do
        if field.where == "path" then
          assert.equal("int64", field.type)
          for _, id in ipairs{ "", "0", -1, "1/", "1?x", " 1", "9223372036854775808", "１" } do
            local reply, err, transport = call(operation.name, { [field.name] = id })
            assert.is_nil(reply)
            assert.equal("invalid", err.kind)
            assert.equal(0, #transport.requests)
            local is_named = false
            for _, fault in ipairs(err.faults) do
              is_named = is_named or fault.path == field.name
            end
            assert.is_true(is_named)
          end
        end
      end
    end
  end)
end)

describe("hypers groups and scenes", function()
  it("R286 client wants a name that is not blank", function()
    for _, name in ipairs{ "", "  " } do
      refused("name", "create_marketing_group", { name = name })
      refused("name", "update_marketing_group", { id = 1, name = name })
    end
    refused("name", "create_marketing_group", {})
  end)

  local SCENE = { name = "n", statisticalMethod = "ONLY", prompt = "p", planId = 1 }

  it("R291 client wants name, statisticalMethod, prompt and planId of a scene", function()
    sent("create_marketing_scene", SCENE)
    for key in pairs(SCENE) do
      local fields = with(SCENE, {})
      fields[key] = nil
      refused(key, "create_marketing_scene", fields)
    end
  end)

  it("R292 client takes GRAND_TOTAL and ONLY as statisticalMethod", function()
    sent("create_marketing_scene", with(SCENE, { statisticalMethod = "GRAND_TOTAL" }))
    refused("statisticalMethod", "create_marketing_scene", with(SCENE, { statisticalMethod = "TOTAL" }))
  end)

  it("R296 client updates a scene with name and prompt, and neither method nor plan", function()
    assert.equal('{"name":"n","prompt":"p"}', sent("update_marketing_scene", { id = 1, name = "n", prompt = "p" }).body)
    assert.equal('{"name":"n","prompt":"p","externalId":"e"}',
      sent("update_marketing_scene", { id = 1, name = "n", prompt = "p", externalId = "e" }).body)
    refused("name", "update_marketing_scene", { id = 1, prompt = "p" })
    refused("prompt", "update_marketing_scene", { id = 1, name = "n" })
    refused("planId", "update_marketing_scene", { id = 1, name = "n", prompt = "p", planId = 1 })
    refused("statisticalMethod", "update_marketing_scene", { id = 1, name = "n", prompt = "p", statisticalMethod = "ONLY" })
  end)

  it("R301 client gives scene rows as they come, known fields read", function()
    local reply = call("list_marketing_scenes", {}, '{"content":[{"id":1,"new":{"a":1}},{}]}')
    assert.same({ { id = "1", new = { a = 1 } }, {} }, reply.content)
  end)
end)

describe("hypers plans", function()
  it("R303 client wants options DRAFT or RELEASE, and data", function()
    sent("create_marketing_plan", with(plan(), { options = "RELEASE" }))
    refused("options", "create_marketing_plan", with(plan(), { options = "SAVE" }))
    refused("options", "create_marketing_plan", { data = plan().data })
    refused("data", "create_marketing_plan", { options = "DRAFT" })
  end)

  it("R304 client wants name and groupId only inside data", function()
    sent("create_marketing_plan", plan())
    refused("data.name", "create_marketing_plan", { options = "DRAFT", data = { groupId = 1 } })
    refused("data.groupId", "create_marketing_plan", { options = "DRAFT", data = { name = "n" } })
  end)

  it("R306 client takes the three documented reply strategies", function()
    for _, value in ipairs{ "CONSULTANT_CONTINUE_AFTER_REPLY", "CONSULTANT_NO_FURTHER_REPLY", "AI_HOSTING_END_AFTER_REPLY" } do
      sent("create_marketing_plan", plan{ replyStrategy = value })
    end
    plan_refused("data.replyStrategy", { replyStrategy = "NONE" })
  end)

  it("R307 client wants whole numbers of seconds and minutes, none below 0", function()
    for _, name in ipairs{ "replyDelay", "minReplyInterval", "timeout" } do
      sent("create_marketing_plan", plan{ [name] = 0 })
      plan_refused("data." .. name, { [name] = -1 })
      plan_refused("data." .. name, { [name] = 1.5 })
      plan_refused("data." .. name, { [name] = "1" })
    end
  end)

  it("R308 client wants sceneId and a strategy in each monitoring", function()
    plan_refused("data.monitoringStrategy[1].sceneId", { monitoringStrategy = { { strategy = { "X" } } } })
    plan_refused("data.monitoringStrategy[1].strategy", { monitoringStrategy = { { sceneId = 1 } } })
    plan_refused("data.monitoringStrategy[1].strategy", { monitoringStrategy = { { sceneId = 1, strategy = {} } } })
    plan_refused("data.monitoringStrategy[1].strategy[1]", { monitoringStrategy = { { sceneId = 1, strategy = { "" } } } })
  end)

  it("R309 client passes strategies that it does not know", function()
    assert(sent("create_marketing_plan", plan{ monitoringStrategy = { { sceneId = 1, strategy = { "NEW_ONE" } } } })
      .body:find('"strategy":["NEW_ONE"]', 1, true))
  end)

  it("R311 client wants the type of each greeting and passes its other keys through", function()
    local body = sent("create_marketing_plan", plan{ greetings = { { type = "TEXT", text = "hi", list = { 1 } } } }).body
    assert(body:find('"greetings":[{"type":"TEXT","list":[1],"text":"hi"}]', 1, true))
    plan_refused("data.greetings[1].type", { greetings = { { text = "hi" } } })
    plan_refused("data.greetings[1].type", { greetings = { { type = "VIDEO" } } })
  end)

  it("R312 client wants a timeout of at least 1 for a wake-up", function()
    sent("create_marketing_plan", plan{ timeoutWakeUp = true, timeout = 1 })
    sent("create_marketing_plan", plan{ timeoutWakeUp = false, timeout = 0 })
    plan_refused("data.timeout", { timeoutWakeUp = true })
    plan_refused("data.timeout", { timeoutWakeUp = true, timeout = 0 })
  end)

  it("R313 client wants times of a plan in one of three forms, both alike, the end after the start", function()
    for _, times in ipairs{ { "09:00", "18:00" }, { "09:00:00", "09:00:01" }, { "2025-04-01 10:00:00", "2025-04-02 09:00:00" } } do
      sent("create_marketing_plan", plan{ startTime = times[1], endTime = times[2] })
    end
    sent("create_marketing_plan", plan{ startTime = "09:00" })
    for _, value in ipairs{ "9:00", "24:00", "2025-04-01", "2025-02-30 10:00:00", "2025-04-01 10:00" } do
      plan_refused("data.startTime", { startTime = value })
    end
    plan_refused("data.endTime", { startTime = "09:00", endTime = "18:00:00" })
    plan_refused("data.endTime", { startTime = "09:00", endTime = "09:00" })
    plan_refused("data.endTime", { startTime = "18:00", endTime = "09:00" })
  end)

  it("R317 client gives the id of the newest reply", function()
    assert.equal("11", call("update_marketing_plan", with(plan(), { id = 10 }), '{"id":11}').id)
  end)

  it("R324 client filters plans by groupIds and status", function()
    assert(sent("list_marketing_plans", { groupIds = { 1, 2 }, status = "TERMINATION" }).url:find("groupIds=1%2C2&status=TERMINATION", 1,
      true))
    refused("status", "list_marketing_plans", { status = "PAUSED" })
  end)

  it("R326 client reads the names that end in OfPeopl as printed", function()
    local reply = call("list_marketing_plans", {}, '{"records":[{"plan":[{"contactSuccessOfPeopl":3}]}]}')
    assert.equal(3, reply.records[1].plan[1].contactSuccessOfPeopl)
  end)

  it("R328 client gives summary raw", function()
    for _, summary in ipairs{ "{}", '{"a":[1]}', "null", "7" } do
      assert((call("list_marketing_plans", {}, '{"records":[],"summary":' .. summary .. "}")))
    end
    assert.same({ a = { 1 } }, call("list_marketing_plans", {}, '{"records":[],"summary":{"a":[1]}}').summary)
  end)

  it("R329 client reads the members template as bytes with type and name", function()
    local client = fake.client("hypers", { fake.answer("PK\3\4", 200, { { "Content-Type", "application/x" },
      { "Content-Disposition", 'attachment; filename="t.xlsx"' } }) })
    assert.same({ body = "PK\3\4", bytes = 4, content_type = "application/x", filename = "t.xlsx" },
      client:get_marketing_members_template())
  end)
end)

describe("hypers tasks and reports", function()
  local TASK = { id = 1, name = "n", startTime = "2025-04-02 09:30:00", fileIds = { 1 } }

  it("R331 client wants name, startTime and fileIds of a task", function()
    sent("create_marketing_task", TASK)
    for _, key in ipairs{ "name", "startTime", "fileIds" } do
      local fields = with(TASK, {})
      fields[key] = nil
      refused(key, "create_marketing_task", fields)
    end
    refused("fileIds", "create_marketing_task", with(TASK, { fileIds = {} }))
    refused("fileIds[1]", "create_marketing_task", with(TASK, { fileIds = { 0 } }))
  end)

  it("R333 client sends the start of a task with seconds 00", function()
    for _, value in ipairs{ "2025-04-02 09:30:00", "2025-04-02 09:30", 1743557400 } do
      assert(sent("create_marketing_task", with(TASK, { startTime = value })).body:find('"startTime":"2025-04-02 09:30:00"', 1, true))
    end
    refused("startTime", "create_marketing_task", with(TASK, { startTime = "2025-04-02 09:30:15" }))
    refused("startTime", "create_marketing_task", with(TASK, { startTime = "09:30" }))
  end)

  it("R344 client does not take TERMINATING for the end", function()
    local client, transport = fake.client("hypers", { fake.answer{ id = 1, status = "TERMINATING" },
      fake.answer{ id = 1, status = "TERMINATION" } })
    local reply, err = client:wait("marketing_task_finished", { taskId = 1 })
    assert.is_nil(reply)
    assert.same({ "failed_state", "TERMINATION" }, { err.reason, err.code })
    assert.equal(2, #transport.requests)
  end)

  it("R347 client gives task rows as maps with all their keys", function()
    local reply = call("list_marketing_tasks", { id = 1 }, '{"content":[{"名称":"a","n":1,"deep":{"x":[]}},{}]}')
    assert.same({ { ["名称"] = "a", n = 1, deep = { x = {} } }, {} }, reply.content)
  end)

  it("R348 client takes the seven documented states of members", function()
    for _, value in ipairs{ "NOT_REACHED", "IN_SERVICE", "TERMINATE_SERVICE", "CUSTOMER_SERVICE_INTERVENES", "COMPLETE_SERVICE", "IGNORE",
      "TIMEOUT_COMPLETE_SERVICE" } do
      assert(sent("list_marketing_task_members", { taskId = 1, status = value }).url:find("status=" .. value, 1, true))
    end
    refused("status", "list_marketing_task_members", { taskId = 1, status = "DONE" })
  end)

  it("R349 client filters members by sceneIds and moodValue", function()
    assert(sent("list_marketing_task_members", { taskId = 1, sceneIds = { 1, 2 }, moodValue = "满意" }).url:find(
      "sceneIds=1%2C2&moodValue=%E6%BB%A1%E6%84%8F", 1, true))
  end)

  it("R351 client gives member rows raw", function()
    local reply = call("list_marketing_task_members", { taskId = 1 }, '{"content":[{"memberId":7,"any":[1,"a"]}]}')
    assert.same({ { memberId = 7, any = { 1, "a" } } }, reply.content)
  end)

  it("R354 client gives rates unchanged", function()
    local reply = call("get_marketing_plan_report", { id = 1 },
      '{"contactSuccessRate":0.125,"completeServiceRate":1,"invitationSuccessfulRate":37.5}')
    assert.same({ contactSuccessRate = 0.125, completeServiceRate = 1, invitationSuccessfulRate = 37.5 }, reply)
  end)

  it("R356 client wants dates as yyyy-MM-dd", function()
    assert(sent("list_member_daily_reports", { id = 1, startDate = "2024-02-29" }).url:find("startDate=2024-02-29", 1, true))
    assert(sent("list_member_daily_reports", { id = 1, startDate = 1743557400 }).url:find("startDate=2025-04-02", 1, true))
    for _, value in ipairs{ "2025-02-29", "2025-4-1", "2025-04-01 00:00:00", "20250401", "", true } do
      refused("startDate", "list_member_daily_reports", { id = 1, startDate = value })
      refused("endDate", "list_member_daily_reports", { id = 1, endDate = value })
    end
  end)

  it("R357 client refuses a first day after the last", function()
    sent("list_member_daily_reports", { id = 1 })
    sent("list_member_daily_reports", { id = 1, startDate = "2025-04-01", endDate = "2025-04-01" })
    refused("startDate", "list_member_daily_reports", { id = 1, startDate = "2025-04-02", endDate = "2025-04-01" })
  end)

  it("R361 client reads reports without content and with empty moodValues", function()
    local reply = call("list_member_daily_reports", { id = 1 }, '{"records":[{"reportDate":"2025-04-10","moodValues":[],"scenes":["a"]}]}')
    assert.same({ { reportDate = "2025-04-10", moodValues = {}, scenes = { "a" } } }, reply.records)
  end)
end)

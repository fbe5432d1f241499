-- SPDX-License-Identifier: MIT
-- The sandbox's marketing plans, their tasks, members and reports, rule by rule, over real HTTP.

local h = require "sandbox.helper"
local m = require "sandbox.marketing"

local json, rule = h.json, h.rules(it)
local array = json.array
local accepted, refused = m.accepted, m.refused

describe("sandbox hypers plans and tasks", function()
  setup(function() h.start() end)
  teardown(function() h.stop() end)

  local function group(name)
    return accepted(m.post("/group", { name = name or "spring" })).id
  end

  local function input(options, changes)
    return { options = options or "DRAFT", data = m.with({ name = "spring visit", groupId = group() }, changes) }
  end

  local function plan(options, changes)
    return accepted(m.post("", input(options, changes)))
  end

  local function status(id)
    return accepted(m.get("/" .. m.id(id))).status
  end

  local function scene(plan_id, name)
    return accepted(m.post("/scene", {
      name = name or "visit", statisticalMethod = "ONLY", prompt = "p", planId = plan_id,
    })).id
  end

  local function create(changes)
    return m.post("", input("DRAFT", changes))
  end

  local function complete(id)
    h.control("plans", { id = id, status = "COMPLETE" })
  end

  -- Input ---------------------------------------------------------------------------------------

  rule("R303", "needs options and data", function()
    refused(m.post("", { options = "SAVE", data = { name = "x", groupId = group() } }), "options")
    refused(m.post("", { data = { name = "x", groupId = group() } }), "options")
    refused(m.post("", { options = "DRAFT" }), "data")
  end)

  rule("R304", "needs only name and groupId inside data", function()
    plan()
    refused(create{ name = "" }, "data.name")
    refused(create{ groupId = false }, "data.groupId")
    refused(create{ groupId = "1" }, "data.groupId")
  end)

  rule("R305", "needs a group that exists", function()
    refused(create{ groupId = 999999 }, "data.groupId")
  end)

  rule("R306", "knows three reply strategies", function()
    for _, word in ipairs{ "CONSULTANT_CONTINUE_AFTER_REPLY", "CONSULTANT_NO_FURTHER_REPLY",
      "AI_HOSTING_END_AFTER_REPLY" } do
      assert.equal(word, plan("DRAFT", { replyStrategy = word }).replyStrategy)
    end
    refused(create{ replyStrategy = "NEVER" }, "data.replyStrategy")
  end)

  rule("R307", "wants whole seconds and minutes from 0", function()
    plan("DRAFT", { replyDelay = 0, minReplyInterval = 2, timeout = 30 })
    for _, name in ipairs{ "replyDelay", "minReplyInterval", "timeout" } do
      refused(create{ [name] = -1 }, "data." .. name)
      refused(create{ [name] = 1.5 }, "data." .. name)
      refused(create{ [name] = "1" }, "data." .. name)
    end
  end)

  rule("R308", "needs sceneId and a strategy in each monitoringStrategy item", function()
    refused(create{ monitoringStrategy = array{ { strategy = array{ "X" } } } }, "data.monitoringStrategy[0].sceneId")
    local id = scene(plan().id)
    refused(create{ monitoringStrategy = array{ { sceneId = id, strategy = array() } } },
      "data.monitoringStrategy[0].strategy")
    refused(create{ monitoringStrategy = array{ { sceneId = id } } }, "data.monitoringStrategy[0].strategy")
  end)

  rule("R309", "takes any strategy that is not empty", function()
    local id = scene(plan().id)
    plan("DRAFT", { monitoringStrategy = array{ { sceneId = id, strategy = array{ "SOMETHING_NEW" } } } })
    refused(create{ monitoringStrategy = array{ { sceneId = id, strategy = array{ "" } } } },
      "data.monitoringStrategy[0].strategy")
  end)

  rule("R310", "needs scenes that exist", function()
    refused(create{ sceneIds = array{ 999999 } }, "data.sceneIds[0]")
    refused(create{ monitoringStrategy = array{ { sceneId = 999999, strategy = array{ "X" } } } },
      "data.monitoringStrategy[0].sceneId")
  end)

  rule("R311", "needs IMAGE or TEXT in a greeting and echoes its other keys", function()
    local made = plan("DRAFT", { greetings = array{ { type = "TEXT", text = "您好", order = 1 } } })
    assert.same(array{ { type = "TEXT", text = "您好", order = 1 } }, made.greetings)
    refused(create{ greetings = array{ { type = "VIDEO" } } }, "data.greetings[0].type")
  end)

  rule("R314", "returns startTime and endTime unchanged", function()
    local made = plan("DRAFT", { startTime = "09:00", endTime = "whenever" })
    assert.same({ "09:00", "whenever" }, { made.startTime, made.endTime })
  end)

  rule("R315", "answers the 23 fields of a plan and no sceneIds", function()
    local made = plan("DRAFT", { sceneIds = array{ scene(plan().id) } })
    local count = 0
    for _ in pairs(made) do
      count = count + 1
    end
    assert.equal(23, count)
    assert.is_nil(made.sceneIds)
    assert.equal(json.null, made.description)
  end)

  rule("R316", "makes a DRAFT a draft and a RELEASE an executing plan", function()
    assert.equal("DRAFT", plan("DRAFT").status)
    assert.equal("EXECUTION", plan("RELEASE").status)
  end)

  rule("R318", "keeps a plan's id over updates", function()
    local id = plan().id
    assert.equal(m.id(id), m.id(accepted(m.put("/" .. m.id(id), input("DRAFT"))).id))
  end)

  it("gives a plan a new id at each update when told to", function()
    h.reset()
    h.form_on("plan-new-id")
    local id = plan().id
    local scene_id = scene(id)
    local new = accepted(m.put("/" .. m.id(id), input("RELEASE", { sceneIds = array{ scene_id } }))).id
    assert.are_not.equal(m.id(id), m.id(new))
    assert.equal(404, m.get("/" .. m.id(id)).status)
    assert.equal("EXECUTION", status(new))
    assert.equal(1, #accepted(m.get("/scene?planId=" .. m.id(new))).content)
  end)

  -- Life of a plan --------------------------------------------------------------------------------

  rule("R319", "updates in DRAFT and TERMINATION, deletes in these and COMPLETE", function()
    local id = m.id(plan("RELEASE").id)
    refused(m.put("/" .. id, input("DRAFT")), "status")
    refused(m.delete("/" .. id), "status")
    accepted(m.patch("/" .. id .. "/termination"))
    accepted(m.put("/" .. id, input("DRAFT")))
    accepted(m.delete("/" .. id))
    local over = plan("RELEASE").id
    complete(over)
    refused(m.put("/" .. m.id(over), input("DRAFT")), "status")
    accepted(m.delete("/" .. m.id(over)))
  end)

  rule("R320", "terminates a plan in EXECUTION only", function()
    local id = plan("RELEASE").id
    accepted(m.patch("/" .. m.id(id) .. "/termination"))
    assert.equal("TERMINATION", status(id))
    refused(m.patch("/" .. m.id(id) .. "/termination"), "status")
    refused(m.patch("/" .. m.id(plan("DRAFT").id) .. "/termination"), "status")
  end)

  rule("R321", "enables a plan in TERMINATION only", function()
    local id = plan("RELEASE").id
    refused(m.patch("/" .. m.id(id) .. "/enable"), "status")
    accepted(m.patch("/" .. m.id(id) .. "/termination"))
    accepted(m.patch("/" .. m.id(id) .. "/enable"))
    assert.equal("EXECUTION", status(id))
  end)

  -- Tasks -----------------------------------------------------------------------------------------

  local function batch(plan_id, changes, members)
    return m.post("/" .. m.id(plan_id) .. "/task", m.with({
      name = "batch 1", startTime = "2025-11-10 12:00:00", fileIds = array{ m.members_file(members or 10) },
    }, changes))
  end

  local function task(id)
    return accepted(m.get("/task/" .. m.id(id)))
  end

  local function rows(id, query)
    return accepted(m.get("/task/" .. m.id(id) .. "/members" .. (query or ""))).content
  end

  rule("R322", "terminates the executing tasks of a terminated plan", function()
    local id = plan("RELEASE").id
    local one = accepted(batch(id)).id
    local later = accepted(batch(id, { startTime = "2025-11-10 20:00:00" })).id
    h.at("2025-11-10 12:00:04")
    accepted(m.patch("/" .. m.id(id) .. "/termination"))
    h.control("clock", { advance = 1 })
    assert.equal("TERMINATION", task(one).status)
    assert.equal("NOT_STARTED", task(later).status)
  end)

  rule("R323", "deletes a plan's scenes and tasks with it", function()
    local id = plan("RELEASE").id
    local scene_id, task_id = scene(id), accepted(batch(id)).id
    accepted(m.patch("/" .. m.id(id) .. "/termination"))
    accepted(m.delete("/" .. m.id(id)))
    assert.equal(404, m.get("/" .. m.id(id)).status)
    assert.equal(404, m.get("/scene/" .. m.id(scene_id)).status)
    assert.equal(404, m.get("/task/" .. m.id(task_id)).status)
  end)

  rule("R331", "needs name, startTime and fileIds", function()
    local id = plan("RELEASE").id
    refused(batch(id, { name = "" }), "name")
    refused(batch(id, { startTime = false }), "startTime")
    refused(batch(id, { startTime = "12:00" }), "startTime")
    refused(batch(id, { fileIds = false }), "fileIds")
  end)

  rule("R332", "needs at least one file, each of them uploaded", function()
    local id = plan("RELEASE").id
    refused(batch(id, { fileIds = array() }), "fileIds")
    refused(batch(id, { fileIds = array{ 999999 } }), "fileIds[0]")
  end)

  rule("R334", "takes a start with or without seconds and answers it split", function()
    local id = plan("RELEASE").id
    local made = accepted(batch(id, { startTime = "2025-11-11 09:30" }))
    assert.same({ "2025-11-11", "09:30" }, { made.startDate, made.startTime })
    made = accepted(batch(id, { startTime = "2025-11-11 09:30:00" }))
    assert.same({ "2025-11-11", "09:30" }, { made.startDate, made.startTime })
  end)

  rule("R335", "creates a task only while its plan is in EXECUTION", function()
    refused(batch(plan("DRAFT").id), "status")
  end)

  rule("R336", "answers the eight fields of a task", function()
    local made = accepted(batch(plan("RELEASE").id))
    assert.same({ "batch 1", 10, "2025-11-10 10:00:00" }, { made.name, made.totalMember, made.createTime })
    assert.truthy(made.id and made.lastUpdateTime and made.status and made.startDate and made.startTime)
  end)

  rule("R337", "starts a task as NOT_STARTED", function()
    local plan_id = plan("RELEASE").id
    assert.equal("NOT_STARTED", accepted(batch(plan_id)).status)
    local late = accepted(batch(plan_id, { startTime = "2025-11-09 09:00:00" }))
    assert.equal("NOT_STARTED", late.status)
    assert.equal("EXECUTION", task(late.id).status)
    h.control("clock", { advance = 20 })
    assert.equal("COMPLETE", task(late.id).status)
  end)

  rule("R338", "says one of six states", function()
    assert.equal("NOT_STARTED", accepted(batch(plan("RELEASE").id)).status)
  end)

  rule("R339", "executes a task at its start and completes it when all members are done", function()
    local id = accepted(batch(plan("RELEASE").id)).id
    h.at("2025-11-10 11:59:59")
    assert.equal("NOT_STARTED", task(id).status)
    h.at("2025-11-10 12:00:00")
    assert.equal("EXECUTION", task(id).status)
    h.at("2025-11-10 12:00:20")
    assert.equal("COMPLETE", task(id).status)
  end)

  local function terminate(id)
    return m.patch("/task/" .. m.id(id) .. "/termination")
  end

  rule("R340", "shows TERMINATING until the clock moves, a task not started ending at once", function()
    local plan_id = plan("RELEASE").id
    local id, later = accepted(batch(plan_id)).id, accepted(batch(plan_id)).id
    accepted(terminate(later))
    assert.equal("TERMINATION", task(later).status)
    h.at("2025-11-10 12:00:04")
    accepted(terminate(id))
    assert.equal("TERMINATING", task(id).status)
    h.control("clock", { advance = 1 })
    assert.equal("TERMINATION", task(id).status)
  end)

  rule("R341", "enables a task in TERMINATION only, to the state that its start asks for", function()
    local id = accepted(batch(plan("RELEASE").id)).id
    local enable = "/task/" .. m.id(id) .. "/enable"
    refused(m.patch(enable), "status")
    accepted(terminate(id))
    accepted(m.patch(enable))
    assert.equal("NOT_STARTED", task(id).status)
    h.at("2025-11-10 12:00:04")
    accepted(terminate(id))
    h.control("clock", { advance = 60 })
    accepted(m.patch(enable))
    assert.equal("EXECUTION", task(id).status)
    h.control("clock", { advance = 16 })
    assert.equal("COMPLETE", task(id).status)
  end)

  rule("R342", "refuses to terminate a task that is ending or over", function()
    local id = accepted(batch(plan("RELEASE").id)).id
    h.at("2025-11-10 12:00:04")
    accepted(terminate(id))
    refused(terminate(id), "status")
    h.control("clock", { advance = 1 })
    refused(terminate(id), "status")
  end)

  rule("R343", "ignores a task whose start comes while its plan is not executing", function()
    local plan_id = plan("RELEASE").id
    local id = accepted(batch(plan_id)).id
    accepted(m.patch("/" .. m.id(plan_id) .. "/termination"))
    h.at("2025-11-10 12:30:00")
    accepted(m.patch("/" .. m.id(plan_id) .. "/enable"))
    assert.equal("IGNORE", task(id).status)
  end)

  rule("R345", "lists tasks as maps with the keys of the schema", function()
    local plan_id = plan("RELEASE").id
    accepted(batch(plan_id))
    local keys = {}
    for _, field in ipairs(accepted(m.get("/" .. m.id(plan_id) .. "/task/schema"))) do
      keys[field.key] = true
    end
    local row = accepted(m.get("/" .. m.id(plan_id) .. "/task")).content[1]
    for key in pairs(row) do
      assert.is_true(keys[key], key)
    end
    assert.equal("batch 1", row.name)
  end)

  rule("R346", "answers the schema as a bare array of label, key and type", function()
    local list = accepted(m.get("/" .. m.id(plan().id) .. "/task/schema"))
    assert.is_true(json.is_array(list))
    for _, field in ipairs(list) do
      assert.truthy(field.label and field.key)
      assert.truthy(field.type == "STRING" or field.type == "NUMBER" or field.type == "DATE")
    end
  end)

  rule("R348", "filters members by status and refuses unknown ones", function()
    local id = accepted(batch(plan("RELEASE").id)).id
    h.at("2025-11-10 12:00:06")
    assert.equal(3, #rows(id, "?status=COMPLETE_SERVICE"))
    assert.equal(7, #rows(id, "?status=NOT_REACHED"))
    for _, word in ipairs{ "IN_SERVICE", "TERMINATE_SERVICE", "CUSTOMER_SERVICE_INTERVENES", "IGNORE",
      "TIMEOUT_COMPLETE_SERVICE" } do
      assert.equal(0, #rows(id, "?status=" .. word))
    end
    refused(m.get("/task/" .. m.id(id) .. "/members?status=DONE"), "status")
  end)

  rule("R349", "filters members by scenes and mood", function()
    local plan_id = plan("RELEASE").id
    local scene_id = scene(plan_id)
    local id = accepted(batch(plan_id)).id
    h.at("2025-11-10 13:00:00")
    assert.equal(2, #rows(id, "?sceneIds=999999," .. m.id(scene_id)))
    assert.equal(2, #rows(id, "?moodValue=%E6%BB%A1%E6%84%8F"))
    assert.equal(0, #rows(id, "?moodValue=x"))
    assert.equal("nick5", rows(id, "?sceneIds=" .. m.id(scene_id))[1].memberName)
  end)

  rule("R350", "starts the members of a task as NOT_REACHED", function()
    local id = accepted(batch(plan("RELEASE").id)).id
    assert.equal("NOT_REACHED", rows(id)[1].status)
    local late = accepted(batch(plan("RELEASE").id, { startTime = "2025-11-09 09:00:00" })).id
    assert.equal("NOT_REACHED", rows(late)[1].status)
    h.control("clock", { advance = 2 })
    assert.same({ "COMPLETE_SERVICE", "2025-11-10 10:00:00" }, { rows(late)[1].status, rows(late)[1].lastUpdateTime })
    assert.equal("NOT_REACHED", rows(late)[2].status)
  end)

  -- Reports and lists -------------------------------------------------------------------------------

  rule("R352", "reports four counts, four rates, the planned people and the scenes", function()
    local plan_id = plan("RELEASE").id
    local scene_id = scene(plan_id)
    local id = accepted(batch(plan_id)).id
    h.at("2025-11-10 13:00:00")
    for _, path in ipairs{ "/" .. m.id(plan_id), "/task/" .. m.id(id) } do
      local report = accepted(m.get(path .. "/report"))
      assert.same({ 10, 10, 5, 2, 10 }, {
        report.completeServiceOfPeopl, report.contactSuccessOfPeopl, report.effectiveCommunicationOfPeopl,
        report.invitationSuccessfulOfPeopl, report.plannedNumberOfPeopl,
      })
      assert.same({ id = scene_id, name = "visit", number = 2 }, report.sceneStatistics[1])
    end
  end)

  rule("R353", "gives rates as fractions, 0 when nothing is planned", function()
    local plan_id = plan("RELEASE").id
    assert.equal(0, accepted(m.get("/" .. m.id(plan_id) .. "/report")).contactSuccessRate)
    local id = accepted(batch(plan_id)).id
    h.at("2025-11-10 13:00:00")
    local report = accepted(m.get("/task/" .. m.id(id) .. "/report"))
    assert.same({ 1, 0.5, 0.2 }, {
      report.contactSuccessRate, report.effectiveCommunicationRate, report.invitationSuccessfulRate,
    })
  end)

  rule("R355", "sums a plan's report over its tasks", function()
    local plan_id = plan("RELEASE").id
    accepted(batch(plan_id))
    accepted(batch(plan_id, {}, 4))
    assert.equal(14, accepted(m.get("/" .. m.id(plan_id) .. "/report")).plannedNumberOfPeopl)
  end)

  local function listed(query)
    return accepted(m.get(query or ""))
  end

  rule("R273", "lists groups with their plans inside, beside page and summary", function()
    local made = plan()
    local answer = listed()
    assert.same({ "spring", "spring visit" }, { answer.records[1].groupName, answer.records[1].plan[1].name })
    assert.equal(m.id(made.groupId), m.id(answer.records[1].groupId))
    assert.same({ current = 0, size = 1, total = 1 }, answer.page)
    assert.is_not_nil(answer.summary)
    group("autumn")
    for _, field in ipairs{ "name", "groupName" } do
      assert.equal("autumn", listed("?orderBy=" .. field).records[1].groupName, field)
    end
    assert.equal("autumn", listed("?orderBy=groupId&orderDirection=DESC").records[1].groupName)
  end)

  rule("R274", "counts groups in page.total", function()
    local id = group()
    for _ = 1, 3 do
      accepted(m.post("", { options = "DRAFT", data = { name = "p", groupId = id } }))
    end
    assert.equal(1, listed("?current=0&size=10").page.total)
  end)

  rule("R324", "filters plans by groupIds and status", function()
    local one, two = plan("DRAFT"), plan("RELEASE")
    local answer = listed("?groupIds=" .. m.id(one.groupId))
    assert.equal(1, #answer.records)
    answer = listed("?status=EXECUTION")
    assert.equal(1, #answer.records)
    assert.equal(m.id(two.id), m.id(answer.records[1].plan[1].id))
    for _, word in ipairs{ "TERMINATION", "COMPLETE" } do
      assert.equal(0, #listed("?status=" .. word).records)
    end
  end)

  rule("R325", "takes several groupIds, refuses an unknown status and leaves out groups without a match", function()
    local one, two = plan("DRAFT"), plan("DRAFT", { name = "autumn" })
    group("empty")
    assert.equal(3, #listed().records)
    assert.equal(2, #listed("?groupIds=" .. m.id(one.groupId) .. "," .. m.id(two.groupId)).records)
    assert.equal(1, #listed("?keyWord=AUTUMN").records)
    assert.equal(3, #listed("?keyWord=").records)
    assert.equal(400, m.get("?status=DONE").status)
  end)

  rule("R326", "spells the counts as the document does", function()
    plan()
    local shown = listed().records[1].plan[1]
    for _, name in ipairs{ "contactSuccessOfPeopl", "completeServiceOfPeopl", "effectiveCommunicationOfPeopl",
      "invitationSuccessfulOfPeopl" } do
      assert.equal(0, shown[name])
    end
  end)

  rule("R327", "counts the tasks of a plan and their members", function()
    local plan_id = plan("RELEASE").id
    accepted(batch(plan_id))
    accepted(batch(plan_id, {}, 4))
    local shown = listed().records[1].plan[1]
    assert.same({ 2, 14 }, { shown.taskCount, shown.memberNumber })
  end)

  rule("R328", "sends an empty object as summary", function()
    plan()
    assert.truthy(m.get("").body:find('"summary":{}', 1, true))
  end)
end)

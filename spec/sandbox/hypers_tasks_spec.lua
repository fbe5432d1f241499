-- SPDX-License-Identifier: MIT
-- The sandbox's notification tasks, rule by rule, over real HTTP.

local core = require "campaign.core"
local h = require "sandbox.helper"

local json, rule = h.json, h.rules(it)
local array = json.array

describe("sandbox hypers notification tasks", function()
  local TASKS = "/api/v1/notification-tasks"
  local authorization

  local function login()
    h.control("settings", { ["hypers.expires_in"] = 86400 })
    local account = h.accounts.hypers
    local client = core.digest.base64_encode(account.client_id .. ":" .. account.client_secret)
    local answer = h.post("/oauth/token", { Authorization = "Basic " .. client }, {
      grant_type = "password", username = account.username, password = account.password,
    })
    authorization = { Authorization = "Bearer " .. answer.json.access_token }
    assert.equal(200, answer.status)
  end

  setup(function() h.start() end)
  teardown(function() h.stop() end)

  -- A body that keeps all rules; a field given as false is left out.
  local function body(changes)
    local fields = {
      taskName = "Double Eleven offer", taskType = "CUSTOMER_RESOURCE_REMINDER",
      scheduledStartTime = "2025-11-10 12:00:00",
      contents = array{ { contentType = "TEXT", contentValue = "Dear {{name}}" } },
      members = array{ { userId = "222", nickname = "zhangsan", name = "Zhang San" }, { ciq = "333", name = "Li Si" } },
    }
    for name, value in pairs(changes or {}) do
      fields[name] = value ~= false and value or nil
    end
    return fields
  end

  local function create(changes)
    login()
    return h.post(TASKS, authorization, type(changes) == "string" and changes or body(changes))
  end

  local function accepted(answer)
    assert.equal(200, answer.status, answer.body)
    return answer.json
  end

  local function refused(answer, field)
    assert.equal(400, answer.status, answer.body)
    assert.equal(field, answer.json.errors[1].field)
  end

  local function get(path)
    return h.get(TASKS .. path, authorization)
  end

  local function task(id)
    return accepted(get("/" .. id))
  end

  local function executions(id, query)
    return accepted(get("/" .. id .. "/executions" .. (query or ""))).records
  end

  local function people(count, more)
    local list = array()
    for i = 1, count do
      list[i] = { userId = "u" .. i, name = "n", nickname = "nick" .. i }
      for name, value in pairs(more or {}) do
        list[i][name] = value
      end
    end
    return list
  end

  local function text(value)
    return array{ { contentType = "TEXT", contentValue = value } }
  end

  -- Creation ------------------------------------------------------------------------------------

  rule("R156", "takes a taskName of 120 and refuses 121", function()
    accepted(create{ taskName = ("a"):rep(120) })
    accepted(create{ taskName = ("龑"):rep(120) })
    refused(create{ taskName = ("a"):rep(121) }, "taskName")
  end)

  rule("R157", "counts UTF-16 code units and takes a blank taskName for missing", function()
    accepted(create{ taskName = ("🙂"):rep(60) })
    refused(create{ taskName = ("🙂"):rep(61) }, "taskName")
    refused(create{ taskName = "   " }, "taskName")
  end)

  rule("R158", "needs one of the two task types", function()
    accepted(create{ taskType = "APPOINTMENT_REMINDER" })
    refused(create{ taskType = "OTHER" }, "taskType")
    refused(create{ taskType = false }, "taskType")
  end)

  rule("R159", "needs a start of exactly yyyy-MM-dd HH:mm:ss with a real date and time", function()
    for _, value in ipairs{ "2025-11-31 12:00:00", "2025-11-10T12:00:00", "2025-11-10 12:00", "2025-11-10 24:00:00",
      "2025-02-29 12:00:00", "" } do
      refused(create{ scheduledStartTime = value }, "scheduledStartTime")
    end
    refused(create{ scheduledStartTime = false }, "scheduledStartTime")
  end)

  rule("R160", "wants the same form for an end", function()
    accepted(create{ scheduledEndTime = "2025-11-10 13:00:00" })
    refused(create{ scheduledEndTime = "13:00" }, "scheduledEndTime")
  end)

  rule("R161", "refuses an end on another day", function()
    refused(create{ scheduledEndTime = "2025-11-11 13:00:00" }, "scheduledEndTime")
  end)

  rule("R162", "ends at 22:00:00 of the start day when no end is given", function()
    assert.equal("2025-11-10 22:00:00", accepted(create()).scheduledEndTime)
  end)

  rule("R163", "refuses an end that is not later than the start", function()
    refused(create{ scheduledEndTime = "2025-11-10 12:00:00" }, "scheduledEndTime")
    refused(create{ scheduledEndTime = "2025-11-10 11:00:00" }, "scheduledEndTime")
  end)

  rule("R164", "needs an end for a start at or after 22:00:00", function()
    refused(create{ scheduledStartTime = "2025-11-10 22:00:00" }, "scheduledEndTime")
    accepted(create{ scheduledStartTime = "2025-11-10 22:00:00", scheduledEndTime = "2025-11-10 23:00:00" })
  end)

  rule("R165", "takes a start in the past, unless the end is past too", function()
    local id = accepted(create{ scheduledStartTime = "2025-11-10 09:00:00" }).id
    assert.equal("EXECUTING", task(id).status)
    refused(create{ scheduledStartTime = "2025-11-10 08:00:00", scheduledEndTime = "2025-11-10 09:00:00" },
      "scheduledEndTime")
  end)

  rule("R166", "needs at least one content", function()
    refused(create{ contents = array() }, "contents")
    refused(create{ contents = false }, "contents")
  end)

  rule("R167", "needs TEXT or IMAGE and a value in each content", function()
    refused(create{ contents = array{ { contentType = "VIDEO", contentValue = "x" } } }, "contents[0].contentType")
    refused(create{ contents = text("") }, "contents[0].contentValue")
    refused(create{ contents = array{ { contentType = "TEXT" } } }, "contents[0].contentValue")
  end)

  rule("R168", "takes a contentValue of 1024 and refuses 1025", function()
    accepted(create{ contents = text(("龑"):rep(1024)) })
    refused(create{ contents = text(("a"):rep(1025)) }, "contents[0].contentValue")
  end)

  rule("R169", "limits images like texts, before variables are filled in", function()
    local url = "https://example.com/"
    accepted(create{ contents = array{ { contentType = "IMAGE", contentValue = url .. ("a"):rep(1024 - #url) } } })
    refused(create{ contents = array{ { contentType = "IMAGE", contentValue = url .. ("a"):rep(1025 - #url) } } },
      "contents[0].contentValue")
    accepted(create{ contents = text("{{name}}"), members = array{ { userId = "1", name = ("x"):rep(2000) } } })
  end)

  rule("R170", "wants an absolute http or https URL for an image", function()
    accepted(create{ contents = array{ { contentType = "IMAGE", contentValue = "http://example.com/1" } } })
    refused(create{ contents = array{ { contentType = "IMAGE", contentValue = "/api/v1/file/1" } } },
      "contents[0].contentValue")
    refused(create{ contents = array{ { contentType = "IMAGE", contentValue = "ftp://example.com/1" } } },
      "contents[0].contentValue")
  end)

  rule("R172", "refuses contents named type and value", function()
    refused(create{ contents = array{ { type = "TEXT", value = "x" } } }, "contents[0].contentType")
  end)

  rule("R173", "refuses fileIds and members together", function()
    refused(create{ fileIds = array{ 1 } }, "members")
  end)

  rule("R174", "refuses neither, an empty array counting as not given", function()
    refused(create{ members = false }, "members")
    refused(create{ members = array() }, "members")
    refused(create{ members = array(), fileIds = array() }, "members")
    accepted(create{ fileIds = array() })
  end)

  rule("R175", "refuses ids of files that were never uploaded", function()
    refused(create{ members = false, fileIds = array{ 999999 } }, "fileIds[0]")
    refused(create{ members = false, fileIds = array{ "1" } }, "fileIds[0]")
  end)

  rule("R178", "takes a member with userId, ciq or memberId and refuses one without", function()
    for _, member in ipairs{ { userId = "1" }, { ciq = "1" }, { memberId = 1 } } do
      accepted(create{ contents = text("hi"), members = array{ member } })
    end
    refused(create{ contents = text("hi"), members = array{ { userId = "1" }, { nickname = "x" } } }, "members[1]")
    refused(create{ contents = text("hi"), members = array{ { userId = "" } } }, "members[0]")
  end)

  rule("R181", "needs a text for every variable in every member", function()
    refused(create{ members = array{ { userId = "1", name = "x" }, { userId = "2" } } }, "members[1].name")
    refused(create{ members = array{ { userId = "1", name = "" } } }, "members[0].name")
    refused(create{ members = array{ { userId = "1", name = 1 } } }, "members[0].name")
  end)

  rule("R182", "trims variable names and checks each once", function()
    accepted(create{ contents = text("{{ name }} and {{name}} and {{  name}}") })
    refused(create{ contents = text("{{ shop }}") }, "members[0].shop")
  end)

  rule("R183", "looks for variables in texts only", function()
    accepted(create{ contents = array{
      { contentType = "TEXT", contentValue = "hi" }, { contentType = "IMAGE", contentValue = "https://e.com/{{size}}" },
    } })
  end)

  rule("R184", "does not let nickname stand in for name", function()
    refused(create{ members = array{ { userId = "222", ciq = "333", nickname = "zhangsan" } } }, "members[0].name")
  end)

  rule("R187", "refuses a JSON body with comments", function()
    local answer = create('{"taskName":"x","taskType":"APPOINTMENT_REMINDER",'
      .. '"scheduledStartTime":"2025-11-10 12:00:00", // start\n"contents":[{"contentType":"TEXT",'
      .. '"contentValue":"hi"}],"members":[{"userId":"222" // or ciq\n}]}')
    assert.equal(400, answer.status)
  end)

  rule("R188", "answers the nine fields of a new task", function()
    local made = accepted(create())
    assert.equal("2025-11-10 10:00:00", made.createTime)
    assert.equal("2025-11-10 10:00:00", made.lastUpdateTime)
    assert.equal("Double Eleven offer", made.taskName)
    assert.equal("CUSTOMER_RESOURCE_REMINDER", made.taskType)
    assert.equal("2025-11-10 12:00:00", made.scheduledStartTime)
    assert.truthy(made.id and made.status and made.scheduledEndTime and made.totalMembers)
  end)

  rule("R189", "starts a task as PENDING", function()
    assert.equal("PENDING", accepted(create()).status)
    assert.equal("PENDING", accepted(create{ scheduledStartTime = "2025-11-10 09:00:00" }).status)
  end)

  rule("R190", "counts the members given", function()
    assert.equal(3, accepted(create{ members = people(3) }).totalMembers)
  end)

  rule("R192", "shows the nickname as memberName", function()
    local id = accepted(create()).id
    assert.equal("zhangsan", executions(id)[1].memberName)
  end)

  rule("R193", "shows userId, else ciq, of a member without nickname", function()
    local id = accepted(create{ contents = text("x"), members = array{ { userId = "u", ciq = "c" }, { ciq = "c" } } }).id
    assert.equal("u", executions(id)[1].memberName)
    assert.equal("c", executions(id)[2].memberName)
  end)

  rule("R194", "shows the nickname alone, without a bracket", function()
    local id = accepted(create()).id
    assert.is_nil(executions(id)[1].memberName:find("(", 1, true))
  end)

  rule("R195", "leaves no task behind after a refusal", function()
    create{ contents = array() }
    assert.equal(0, accepted(get("?taskType=CUSTOMER_RESOURCE_REMINDER")).page.total)
  end)

  rule("R281", "keeps 64-bit ids exact", function()
    local id = "9007199254740993"
    local made = accepted(create{ contents = text("x"), members = array{ { memberId = json.literal(id) } } })
    local answer = get("/" .. json.encode(made.id) .. "/executions")
    assert.truthy(answer.body:find('"memberId":9007199254740993,', 1, true))
  end)

  -- One task ------------------------------------------------------------------------------------

  rule("R196", "answers statistics with both counts", function()
    local shown = task(accepted(create()).id)
    assert.equal(2, shown.statistics.totalMembers)
    assert.equal(0, shown.statistics.successCount)
  end)

  rule("R197", "counts successes, and as many members as there are executions", function()
    local id = accepted(create{ members = people(40) }).id
    h.at("2025-11-10 12:10:00")
    local shown = task(id)
    local good = 0
    for _, row in ipairs(executions(id, "?size=100")) do
      good = good + (row.status == "SUCCESS" and 1 or 0)
    end
    assert.equal(38, good)
    assert.equal(good, shown.statistics.successCount)
    assert.equal(accepted(get("/" .. id .. "/executions")).page.total, shown.statistics.totalMembers)
  end)

  rule("R198", "names contents type and value in the detail, contentType and contentValue in the list", function()
    local id = accepted(create()).id
    assert.same({ type = "TEXT", value = "Dear {{name}}" }, task(id).contents[1])
    assert.same({ contentType = "TEXT", contentValue = "Dear {{name}}" },
      accepted(get("?taskType=CUSTOMER_RESOURCE_REMINDER")).records[1].contents[1])
  end)

  rule("R200", "answers fileIds and members, the unused one empty", function()
    local shown = task(accepted(create()).id)
    assert.same(array(), shown.fileIds)
    assert.equal("zhangsan", shown.members[1].nickname)
  end)

  rule("R201", "answers 404 to an unknown id and 400 to one that is no positive integer", function()
    login()
    assert.equal(404, get("/999999").status)
    for _, id in ipairs{ "0", "-1", "abc", "1.5", "99999999999999999999" } do
      assert.equal(400, get("/" .. id).status)
    end
  end)

  rule("R284", "answers 404 to unknown ids", function()
    login()
    assert.equal(404, get("/999999/executions").status)
    assert.equal(404, h.get("/api/v1/file/999999").status)
  end)

  rule("R204", "executes a task from its start on", function()
    local id = accepted(create()).id
    h.at("2025-11-10 11:59:59")
    assert.equal("PENDING", task(id).status)
    h.at("2025-11-10 12:00:00")
    assert.equal("EXECUTING", task(id).status)
  end)

  rule("R205", "completes a task when all members were tried", function()
    local id = accepted(create()).id
    h.at("2025-11-10 12:00:03")
    assert.equal("EXECUTING", task(id).status)
    h.at("2025-11-10 12:00:04")
    assert.equal("COMPLETED", task(id).status)
  end)

  rule("R206", "ends a task that is not finished at its end", function()
    local id = accepted(create{ members = people(100), scheduledEndTime = "2025-11-10 12:01:00" }).id
    h.at("2025-11-10 12:01:00")
    assert.are_not.equal("EXECUTING", task(id).status)
    h.at("2025-11-10 13:00:00")
    assert.equal("PENDING", executions(id, "?size=100")[31].status)
  end)

  rule("R207", "shows a task ended by its time as COMPLETED, with fewer successes than members", function()
    local id = accepted(create{ members = people(100), scheduledEndTime = "2025-11-10 12:01:00" }).id
    h.at("2025-11-10 12:30:00")
    local shown = task(id)
    assert.equal("COMPLETED", shown.status)
    assert.equal(29, shown.statistics.successCount)
    assert.equal(100, shown.statistics.totalMembers)
  end)

  -- Termination -----------------------------------------------------------------------------------

  local function terminate(id, fields)
    return h.send("PUT", TASKS .. "/" .. id .. "/termination",
      { Authorization = authorization.Authorization, ["Content-Type"] = fields and "application/json" or nil },
      fields and json.encode(fields) or nil)
  end

  rule("R209", "takes a termination without a body or reason", function()
    accepted(terminate(accepted(create()).id))
    accepted(terminate(accepted(create()).id, {}))
  end)

  rule("R210", "answers both states of a termination", function()
    local id = accepted(create()).id
    assert.same({ previousStatus = "PENDING", currentStatus = "TERMINATED" }, terminate(id, { reason = "x" }).json)
    id = accepted(create()).id
    h.at("2025-11-10 12:00:01")
    assert.same({ previousStatus = "EXECUTING", currentStatus = "TERMINATED" }, terminate(id, { reason = "x" }).json)
  end)

  rule("R211", "refuses to terminate a task that is over", function()
    local id = accepted(create()).id
    h.at("2025-11-10 13:00:00")
    assert.equal(400, terminate(id, { reason = "x" }).status)
    assert.equal("COMPLETED", task(id).status)
    h.at("2025-11-10 10:00:00")
    id = accepted(create()).id
    accepted(terminate(id, { reason = "x" }))
    assert.equal(400, terminate(id, { reason = "x" }).status)
  end)

  rule("R212", "executes a terminated task no further", function()
    local id = accepted(create{ members = people(10) }).id
    h.at("2025-11-10 12:00:06")
    accepted(terminate(id, { reason = "x" }))
    h.at("2025-11-10 13:00:00")
    local rows = executions(id)
    assert.equal("SUCCESS", rows[3].status)
    assert.equal("PENDING", rows[4].status)
    assert.equal("TERMINATED", task(id).status)
  end)

  -- Lists -----------------------------------------------------------------------------------------

  local LIST = "?taskType=CUSTOMER_RESOURCE_REMINDER"

  local function listed(query)
    return accepted(get(LIST .. (query or "")))
  end

  local function create_many(count)
    for i = 1, count do
      accepted(create{ taskName = "task " .. i })
    end
  end

  rule("R213", "needs taskType in the list", function()
    login()
    refused(get(""), "taskType")
  end)

  rule("R214", "lists only the asked type and status", function()
    create_many(2)
    accepted(create{ taskType = "APPOINTMENT_REMINDER" })
    assert.equal(2, listed().page.total)
    accepted(terminate(listed().records[1].id))
    assert.equal(1, listed("&status=TERMINATED").page.total)
    assert.equal(1, listed("&status=PENDING").page.total)
  end)

  rule("R215", "refuses unknown types, statuses and malformed times", function()
    login()
    refused(get("?taskType=OTHER"), "taskType")
    refused(get(LIST .. "&status=DONE"), "status")
    refused(get(LIST .. "&startTime=2025-11-10"), "startTime")
    refused(get(LIST .. "&endTime=tomorrow"), "endTime")
  end)

  rule("R216", "selects by scheduledStartTime, both ends included", function()
    accepted(create{ scheduledStartTime = "2025-11-10 12:00:00" })
    accepted(create{ scheduledStartTime = "2025-11-10 13:00:00" })
    assert.equal(1, listed("&startTime=2025-11-10+13:00:00").page.total)
    assert.equal(1, listed("&endTime=2025-11-10%2012:00:00").page.total)
    assert.equal(2, listed("&startTime=2025-11-10+12:00:00&endTime=2025-11-10+13:00:00").page.total)
    assert.equal(0, listed("&startTime=2025-11-10+12:00:01&endTime=2025-11-10+12:59:59").page.total)
  end)

  rule("R218", "answers page and records", function()
    create_many(1)
    local answer = listed()
    assert.same({ current = 0, size = 20, total = 1 }, answer.page)
    assert.equal("task 1", answer.records[1].taskName)
  end)

  rule("R219", "lists by id ascending", function()
    create_many(3)
    local records = listed().records
    assert.equal("task 1", records[1].taskName)
    assert.equal("task 3", records[3].taskName)
  end)

  rule("R220", "counts pages from 0 in both lists", function()
    create_many(3)
    local answer = listed("&current=1&size=2")
    assert.equal(1, answer.page.current)
    assert.equal("task 3", answer.records[1].taskName)
    local id = answer.records[1].id
    assert.equal("333", executions(id, "?current=1&size=1")[1].memberName)
  end)

  rule("R221", "begins at page 0 when none is asked for", function()
    create_many(1)
    local answer = listed()
    assert.equal(0, answer.page.current)
    assert.equal(1, #answer.records)
    assert.equal(2, #executions(answer.records[1].id))
  end)

  rule("R222", "answers 20 executions by default and 100 at most", function()
    local id = accepted(create{ members = people(120) }).id
    assert.equal(20, #executions(id))
    assert.equal(100, #executions(id, "?size=100"))
    assert.equal(400, get("/" .. id .. "/executions?size=101").status)
  end)

  rule("R223", "refuses a size outside 1 to 100 and a negative page", function()
    local id = accepted(create()).id
    for _, query in ipairs{ "size=0", "size=101", "size=-1", "size=x", "current=-1", "current=x" } do
      assert.equal(400, get("/" .. id .. "/executions?" .. query).status, query)
      assert.equal(400, get(LIST .. "&" .. query).status, query)
    end
  end)

  rule("R224", "has the same default and limit for the list of tasks", function()
    login()
    assert.equal(20, listed().page.size)
    assert.equal(100, listed("&size=100").page.size)
    assert.equal(400, get(LIST .. "&size=101").status)
  end)

  rule("R225", "answers no records past the end, with the same total", function()
    create_many(2)
    local answer = listed("&current=5")
    assert.equal(0, #answer.records)
    assert.equal(2, answer.page.total)
  end)

  -- Executions --------------------------------------------------------------------------------------

  -- 20 members of which the last failed, and one not yet tried.
  local function half_done()
    local id = accepted(create{ members = people(21) }).id
    h.at("2025-11-10 12:00:40")
    return id
  end

  rule("R226", "orders executions by time or status and refuses other words", function()
    local id = half_done()
    assert.equal("FAILED", executions(id, "?orderBy=status&orderDirection=ASC&size=100")[1].status)
    assert.equal("SUCCESS", executions(id, "?orderBy=status&orderDirection=DESC&size=100")[1].status)
    assert.equal("2025-11-10 12:00:02", executions(id, "?orderBy=executeTime&size=100")[1].executeTime)
    assert.equal(400, get("/" .. id .. "/executions?orderBy=name").status)
    assert.equal(400, get("/" .. id .. "/executions?orderBy=status&orderDirection=UP").status)
  end)

  rule("R227", "keeps member order, breaks ties by memberId and puts null times last", function()
    local id = half_done()
    local rows = executions(id, "?size=100")
    assert.equal("nick1", rows[1].memberName)
    assert.equal("nick21", rows[21].memberName)
    rows = executions(id, "?orderBy=status&size=100")
    assert.equal("PENDING", rows[2].status)
    assert.equal("nick1", rows[3].memberName)
    assert.equal("nick19", rows[21].memberName)
    rows = executions(id, "?orderBy=executeTime&size=100")
    assert.equal(json.null, rows[20].executeTime)
    assert.equal(json.null, rows[21].executeTime)
  end)

  rule("R228", "answers memberId, memberName, status and a time only for successes", function()
    local rows = executions(half_done(), "?size=100")
    assert.equal("2025-11-10 12:00:02", rows[1].executeTime)
    assert.equal(json.null, rows[20].executeTime)
    assert.equal(json.null, rows[21].executeTime)
    assert.truthy(rows[1].memberId)
  end)

  rule("R229", "says SUCCESS, FAILED or PENDING", function()
    local rows = executions(half_done(), "?size=100")
    assert.equal("SUCCESS", rows[1].status)
    assert.equal("FAILED", rows[20].status)
    assert.equal("PENDING", rows[21].status)
  end)

  it("says COMPLETED instead of SUCCESS when told to", function()
    h.reset()
    local id = half_done()
    h.form_on("executions-completed")
    assert.equal("COMPLETED", executions(id)[1].status)
  end)

  it("answers as the field list prints when told to", function()
    h.reset()
    local id = half_done()
    h.form_on("executions-list")
    local answer = accepted(get("/" .. id .. "/executions?size=100"))
    assert.equal(id, answer.task_id)
    assert.equal(21, answer.total_members)
    assert.equal("2025-11-10 12:00:02", answer.executions[1].notificationTime)
    assert.is_nil(answer.page)
  end)

  rule("R230", "gives a failureReason to failures only", function()
    local rows = executions(half_done(), "?size=100")
    assert.is_nil(rows[1].failureReason)
    assert.equal("unreachable", rows[20].failureReason)
    assert.is_nil(rows[21].failureReason)
  end)

  -- Shared ------------------------------------------------------------------------------------------

  rule("R362", "answers 400, 401 and 404 as the document lists them", function()
    assert.equal(401, h.get(TASKS .. "/1").status)
    login()
    assert.equal(400, get("/0").status)
    assert.equal(404, get("/999999").status)
  end)

  rule("R363", "says code and message in errors, and the fields of a 400", function()
    local answer = create{ taskName = ("a"):rep(121) }
    assert.equal(400, answer.json.code)
    assert.equal("taskName: length must be <= 120", answer.json.message)
    assert.same({ field = "taskName", reason = "too_long" }, answer.json.errors[1])
    answer = get("/999999")
    assert.equal(404, answer.json.code)
    assert.is_nil(answer.json.errors)
  end)

  rule("R365", "checks token, path id, resource and body in this order", function()
    assert.equal(401, h.get(TASKS .. "/abc").status)
    login()
    local path = TASKS .. "/%s/termination"
    assert.equal(400, h.post(path:format("abc"), authorization, "{", "PUT").status)
    assert.equal(404, h.post(path:format("999999"), authorization, "{", "PUT").status)
  end)

  rule("R368", "sends successes as 200", function()
    assert.equal(200, create().status)
  end)

  rule("R002", "refuses other content types and bodies that are no JSON", function()
    login()
    local answer = h.send("POST", TASKS, {
      Authorization = authorization.Authorization, ["Content-Type"] = "text/plain",
    }, json.encode(body()))
    assert.equal(400, answer.status)
  end)

  rule("R006", "ignores unknown fields", function()
    accepted(create{ unknown = "x" })
  end)
end)

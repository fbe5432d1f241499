-- SPDX-License-Identifier: MIT
-- The client's side of the hypers rules (docs/contracts/rules.md), tokens apart (spec/auth/oauth_spec.lua).

local build = require "campaign.api.build"
local check = require "campaign.api.check"
local fake = require "support.fake"
local json = require "campaign.json"
local platforms = require "campaign.api.platform"

local platform = platforms.load("hypers")

local function task(more)
  local fields = {
    taskName = "Double Eleven", taskType = "APPOINTMENT_REMINDER", scheduledStartTime = "2025-11-10 09:00:00",
    contents = { { contentType = "TEXT", contentValue = "hello" } }, members = { { userId = "222" } },
  }
  for key, value in pairs(more or {}) do
    fields[key] = value ~= json.null and value or nil
  end
  return fields
end

local CREATED = { id = 34, status = "PENDING" }

local function create(more, options)
  local client, transport = fake.client("hypers", { fake.answer(CREATED) })
  local reply, err = client:create_notification_task(task(more), options)
  return reply, err, transport
end

local function paths_of(err)
  local paths = {}
  for index, fault in ipairs(err.faults) do
    paths[index] = fault.path
  end
  return table.concat(paths, " ")
end

local function refused(paths, more)
  local reply, err, transport = create(more)
  assert(reply == nil, "was accepted")
  assert.equal("invalid", err.kind)
  assert.equal(0, #transport.requests)
  assert.equal(paths, paths_of(err))
end

local function call(name, fields, answer, options, status, headers)
  local client, transport = fake.client("hypers", { fake.answer(answer or "{}", status, headers) })
  local reply, err = client[name](client, fields, options)
  return reply, err, transport
end

local function call_refused(paths, name, fields, options)
  local reply, err, transport = call(name, fields, nil, options)
  assert(reply == nil, "was accepted")
  assert.equal("invalid", err.kind)
  assert.equal(0, #transport.requests)
  assert.equal(paths, paths_of(err))
end

local function text(value)
  return { contents = { { contentType = "TEXT", contentValue = value } } }
end

describe("hypers notification tasks", function()
  it("R156 client wants a taskName of at most 120", function()
    assert(create{ taskName = ("x"):rep(120) })
    refused("taskName", { taskName = ("x"):rep(121) })
    refused("taskName", { taskName = json.null })
  end)

  it("R157 client counts UTF-16 units and takes a blank name for a missing one", function()
    assert(create{ taskName = ("会"):rep(120) })
    assert(create{ taskName = ("😀"):rep(60) })
    refused("taskName", { taskName = ("😀"):rep(60) .. "x" })
    for _, blank in ipairs{ "", " ", "\t \n" } do
      refused("taskName", { taskName = blank })
    end
    assert(create(text(("😀"):rep(512))))
    refused("contents[1].contentValue", text(("😀"):rep(512) .. "x"))
  end)

  it("R158 client wants one of two taskTypes", function()
    assert(create{ taskType = "CUSTOMER_RESOURCE_REMINDER" })
    refused("taskType", { taskType = "REMINDER" })
    refused("taskType", { taskType = json.null })
  end)

  local BAD_TIMES = { "2025-11-10", "2025-11-10 09:00", "2025-11-10T09:00:00", "2025-02-29 09:00:00", "2025-11-31 09:00:00",
    "2025-13-01 09:00:00", "2025-11-10 24:00:00", "2025-11-10 09:60:00", "2025-11-10 09:00:60", " 2025-11-10 09:00:00",
    "2025-11-10 09:00:00 ", "25-11-10 09:00:00", "0000-01-01 00:00:00", "", true, {} }

  it("R159 client wants a real start time in exactly the form", function()
    refused("scheduledStartTime", { scheduledStartTime = json.null })
    for _, value in ipairs(BAD_TIMES) do
      refused("scheduledStartTime", { scheduledStartTime = value })
    end
    assert(create{ scheduledStartTime = "2024-02-29 09:00:00" })
  end)

  it("R160 client wants the end time in the same form, or none", function()
    for _, value in ipairs(BAD_TIMES) do
      refused("scheduledEndTime", { scheduledEndTime = value })
    end
    local _, _, transport = create()
    assert.is_nil(transport:last().body:find("scheduledEndTime", 1, true))
  end)

  it("R161 client wants the end on the day of the start", function()
    assert(create{ scheduledEndTime = "2025-11-10 23:59:59" })
    refused("scheduledEndTime", { scheduledEndTime = "2025-11-11 00:00:00" })
    refused("scheduledEndTime", { scheduledEndTime = "2025-11-09 23:00:00" })
  end)

  it("R163 client wants the end after the start", function()
    refused("scheduledEndTime", { scheduledEndTime = "2025-11-10 09:00:00" })
    refused("scheduledEndTime", { scheduledEndTime = "2025-11-10 08:59:59" })
    assert(create{ scheduledEndTime = "2025-11-10 09:00:01" })
  end)

  it("R164 client wants an explicit end for a start at or after 22:00:00", function()
    assert(create{ scheduledStartTime = "2025-11-10 21:59:59" })
    refused("scheduledEndTime", { scheduledStartTime = "2025-11-10 22:00:00" })
    assert(create{ scheduledStartTime = "2025-11-10 22:00:00", scheduledEndTime = "2025-11-10 22:30:00" })
  end)

  it("R014 client writes instants as times of Asia/Shanghai", function()
    local _, _, transport = create{ scheduledStartTime = 1762736400, scheduledEndTime = 1762740000.9 }
    assert(transport:last().body:find('"scheduledStartTime":"2025-11-10 09:00:00","scheduledEndTime":"2025-11-10 10:00:00"', 1, true))
    for _, value in ipairs{ 0 / 0, 1 / 0, 1e18, -1e18 } do
      refused("scheduledStartTime", { scheduledStartTime = value })
    end
  end)

  it("R166 client wants at least one content", function()
    refused("contents", { contents = {} })
    refused("contents", { contents = json.null })
  end)

  it("R167 client wants contentType TEXT or IMAGE and a value", function()
    refused("contents[1].contentType", { contents = { { contentType = "VIDEO", contentValue = "x" } } })
    refused("contents[1].contentType", { contents = { { contentValue = "x" } } })
    refused("contents[1].contentValue", { contents = { { contentType = "TEXT" } } })
    refused("contents[1].contentValue", text(""))
  end)

  it("R168 client takes 1024 and refuses 1025", function()
    assert(create(text(("x"):rep(1024))))
    refused("contents[1].contentValue", text(("x"):rep(1025)))
  end)

  it("R169 client limits IMAGE too, and counts before variables are filled in", function()
    local url = "https://x.example/" .. ("a"):rep(1024 - 18)
    assert(create{ contents = { { contentType = "IMAGE", contentValue = url } } })
    refused("contents[1].contentValue", { contents = { { contentType = "IMAGE", contentValue = url .. "a" } } })
    assert(create{ contents = { { contentType = "TEXT", contentValue = ("x"):rep(1014) .. "{{name}}" } },
      members = { { userId = "1", name = ("y"):rep(500) } } })
  end)

  it("R170 client wants an absolute http or https URL for an IMAGE", function()
    for _, url in ipairs{ "http://x.example/17", "https://x.example:8443/api/v1/file/17", "HTTPS://X.EXAMPLE" } do
      assert(create{ contents = { { contentType = "IMAGE", contentValue = url } } })
    end
    for _, url in ipairs{ "/api/v1/file/17", "17", "ftp://x.example/1", "https://", "https:///x", "https://x .example", "//x.example",
      "javascript:alert(1)", "https://?x" } do
      refused("contents[1].contentValue", { contents = { { contentType = "IMAGE", contentValue = url } } })
    end
  end)

  it("R171 client sends contents with contentType and contentValue", function()
    local _, _, transport = create()
    assert(transport:last().body:find('"contents":[{"contentType":"TEXT","contentValue":"hello"}]', 1, true))
    refused("contents[1].contentType contents[1].contentValue contents[1].type", { contents = { { type = "TEXT" } } })
  end)

  it("R173 client wants exactly one of fileIds and members", function()
    assert(create{ fileIds = { 1 }, members = json.null })
    assert(create{ fileIds = {}, members = { { ciq = "1" } } })
    refused("fileIds", { fileIds = { 1 } })
    refused("fileIds", { members = json.null })
    refused("fileIds", { members = {}, fileIds = {} })
    local _, _, transport = create{ fileIds = {} }
    assert.is_nil(transport:last().body:find("fileIds", 1, true))
  end)

  it("R176 client sends fileIds as integers above 0", function()
    local _, _, transport = create{ fileIds = { 1, "9223372036854775807" }, members = json.null }
    assert(transport:last().body:find('"fileIds":[1,9223372036854775807]', 1, true))
    for _, id in ipairs{ 0, -1, "0", "x", 1.5, "9223372036854775808", "01", "" } do
      refused("fileIds[1]", { fileIds = { id }, members = json.null })
    end
  end)

  it("R177 client wants userId or ciq of each member", function()
    assert(create{ members = { { userId = "1" }, { ciq = "2" }, { userId = "1", ciq = "2" } } })
    refused("members[1]", { members = { { nickname = "n" } } })
    refused("members[2]", { members = { { userId = "1" }, { userId = "", ciq = "" } } })
    refused("members[1].userId", { members = { { userId = 222 } } })
  end)

  it("R179 client sends memberId when given only, as an integer", function()
    local _, _, transport = create{ members = { { userId = "1" } } }
    assert.is_nil(transport:last().body:find("memberId", 1, true))
    _, _, transport = create{ members = { { userId = "1", memberId = "12345678901234567" } } }
    assert(transport:last().body:find('{"userId":"1","memberId":12345678901234567}', 1, true))
    refused("members[1].memberId", { members = { { userId = "1", memberId = "x" } } })
  end)

  it("R180 client sends dynamic parameters as member keys with texts", function()
    local _, _, transport = create{
      contents = { { contentType = "TEXT", contentValue = "{{otherParam1}} {{城市}}" } },
      members = { { userId = "1", otherParam1 = "a", ["城市"] = "上海" } },
    }
    assert(transport:last().body:find('{"userId":"1","otherParam1":"a","城市":"上海"}', 1, true))
    refused("members[1].otherParam1", { contents = { { contentType = "TEXT", contentValue = "{{otherParam1}}" } },
      members = { { userId = "1", otherParam1 = 7 } } })
  end)

  it("R181 client wants a text for every variable in every member", function()
    local contents = { { contentType = "TEXT", contentValue = "{{name}} {{city}}" } }
    assert(create{ contents = contents, members = { { userId = "1", name = "a", city = "b" } } })
    refused("members[1].city members[2].name", {
      contents = contents, members = { { userId = "1", name = "a" }, { userId = "2", name = "", city = "b" } },
    })
  end)

  it("R182 client trims variable names and asks for each once", function()
    assert(create{ contents = { { contentType = "TEXT", contentValue = "{{ name }}{{name}}{{\tname\n}}" } },
      members = { { userId = "1", name = "a" } } })
    refused("members[1].name", { contents = { { contentType = "TEXT", contentValue = "{{ name }}{{name}}" } } })
    refused("contents[1].contentValue", text("{{ }}"))
    assert(create(text("{{open")))
    assert(create(text("}} {{")))
    assert(create(text("{name}")))
  end)

  it("R183 client looks for variables in TEXT only", function()
    assert(create{ contents = { { contentType = "IMAGE", contentValue = "https://x.example/{{name}}" } } })
  end)

  it("R185 client lets the caller name variables that the platform fills", function()
    local contents = { { contentType = "TEXT", contentValue = "{{name}} {{shop}}" } }
    assert(create({ contents = contents }, { server_variables = { "name", "shop" } }))
    local _, err = create({ contents = contents }, { server_variables = { "shop" } })
    assert.equal("members[1].name", paths_of(err))
    refused("members[1].name members[1].shop", { contents = contents })
  end)

  it("finds variables in a megabyte of braces in no time", function()
    local before = os.clock()
    create(text(("{{"):rep(300000)))
    create(text("{{" .. (" "):rep(600000) .. "x" .. (" "):rep(400000) .. "}}"))
    assert(os.clock() - before < 1)
  end)

  it("R199 client reads contents with either pair of names", function()
    local body = { id = 1, contents = { { type = "TEXT", value = "a" }, { contentType = "IMAGE", contentValue = "b" } } }
    local reply = call("get_notification_task", { taskId = 1 }, body)
    assert.same({ { contentType = "TEXT", contentValue = "a" }, { contentType = "IMAGE", contentValue = "b" } }, reply.contents)
    local client = fake.client("hypers", { fake.answer{ records = { { id = 1, contents = body.contents } } } })
    assert.same(reply.contents, client:list_notification_tasks{ taskType = "APPOINTMENT_REMINDER" }.records[1].contents)
  end)

  it("R202 client wants positive integers for task ids", function()
    for _, name in ipairs{ "get_notification_task", "terminate_notification_task", "list_notification_executions" } do
      for _, id in ipairs{ 0, -1, "", "x", "1/2", 1.5, true } do
        local fields = { taskId = id }
        if name:find("^terminate") then
          fields.reason = "r"
        end
        call_refused("taskId", name, fields)
      end
    end
  end)

  it("R203 client does not compare the times of a reply with those sent", function()
    local client = fake.client("hypers", { fake.answer{ id = 1, scheduledStartTime = "2025-11-10 09:00:05" } })
    assert(client:create_notification_task(task()))
  end)

  it("R208 client terminates with a PUT and a reason", function()
    local _, _, transport = call("terminate_notification_task", { taskId = 7, reason = "cancelled" }, { currentStatus = "TERMINATED" })
    assert.equal("PUT", transport:last().method)
    assert.equal("https://hypers.example/api/v1/notification-tasks/7/termination", transport:last().url)
    assert.equal('{"reason":"cancelled"}', transport:last().body)
    for _, reason in ipairs{ "", " ", false } do
      call_refused("reason", "terminate_notification_task", { taskId = 7, reason = reason })
    end
    call_refused("reason", "terminate_notification_task", { taskId = 7 })
  end)

  it("R213 client lists tasks of a given taskType only", function()
    call_refused("taskType", "list_notification_tasks", {})
    call_refused("taskType", "list_notification_tasks", { taskType = "X" })
  end)

  it("R217 client wants bounds in the form, and not the wrong way round", function()
    local function bounds(from, to)
      return { taskType = "APPOINTMENT_REMINDER", startTime = from, endTime = to }
    end
    call_refused("startTime", "list_notification_tasks", bounds("2025-11-10"))
    call_refused("startTime", "list_notification_tasks", bounds("2025-11-10 00:00:01", "2025-11-10 00:00:00"))
    local _, err, transport = call("list_notification_tasks", bounds("2025-11-10 00:00:00", "2025-11-10 00:00:00"), '{"records":[]}')
    assert.is_nil(err)
    assert(transport:last().url:find("startTime=2025-11-10%2000%3A00%3A00", 1, true))
  end)

  it("R220 client counts pages from 0 in both lists", function()
    for _, name in ipairs{ "list_notification_tasks", "list_notification_executions" } do
      local fields = name:find("tasks") and { taskType = "APPOINTMENT_REMINDER" } or { taskId = 1 }
      fields.current = 0
      local _, _, transport = call(name, fields, '{"records":[]}')
      assert(transport:last().url:find("current=0", 1, true))
      fields.current = -1
      call_refused("current", name, fields)
    end
  end)

  it("R222 client takes sizes of executions from 1 to 100", function()
    for _, size in ipairs{ 0, 101, "20", 1.5 } do
      call_refused("size", "list_notification_executions", { taskId = 1, size = size })
    end
    assert((call("list_notification_executions", { taskId = 1, size = 100 }, '{"records":[]}')))
  end)

  it("R224 client takes sizes of task lists from 1 to 100 too", function()
    call_refused("size", "list_notification_tasks", { taskType = "APPOINTMENT_REMINDER", size = 101 })
    call_refused("size", "list_notification_tasks", { taskType = "APPOINTMENT_REMINDER", size = 0 })
    assert((call("list_notification_tasks", { taskType = "APPOINTMENT_REMINDER", size = 100 }, '{"records":[]}')))
  end)

  it("R226 client orders executions by executeTime or status, ASC or DESC", function()
    call_refused("orderBy", "list_notification_executions", { taskId = 1, orderBy = "memberId" })
    call_refused("orderDirection", "list_notification_executions", { taskId = 1, orderDirection = "asc" })
    local _, _, transport = call("list_notification_executions", { taskId = 1, orderBy = "status", orderDirection = "DESC" },
      '{"records":[]}')
    assert.equal("https://hypers.example/api/v1/notification-tasks/1/executions?orderBy=status&orderDirection=DESC",
      transport:last().url)
  end)

  it("R231 client reads executions in all three forms", function()
    local function read(body)
      return assert((call("list_notification_executions", { taskId = 1 }, body)))
    end
    local row = read('{"page":{"total":1},"records":[{"memberId":1,"status":"SUCCESS","executeTime":"2025-11-10 09:00:05"}]}').records[1]
    assert.same({ memberId = "1", status = "SUCCESS", executeTime = "2025-11-10 09:00:05" }, row)
    row = read('{"records":[{"memberId":1,"status":"COMPLETED","executeTime":null}]}').records[1]
    assert.same({ memberId = "1", status = "SUCCESS", status_raw = "COMPLETED" }, row)
    local reply = read('{"task_id":9,"total_members":2,"executions":[{"memberId":1,"status":"FAILED","notificationTime":"x",'
      .. '"failureReason":"unreachable"}]}')
    assert.same({ memberId = "1", status = "FAILED", executeTime = "x", failureReason = "unreachable" }, reply.records[1])
    assert.equal(2, reply.total_members)
    assert.equal("9", reply.task_id)
    assert.is_nil(reply.executions)
    assert.is_nil(reply.page)
  end)

  it("R232 client stops paging at the total or at an empty page", function()
    local function pages(total, ...)
      local answers = {}
      for index, count in ipairs{ ... } do
        local records = json.array()
        for number = 1, count do
          records[number] = { memberId = index * 10 + number }
        end
        answers[index] = fake.answer{ page = { total = total }, records = records }
      end
      local client, transport = fake.client("hypers", answers)
      return assert(client:all("list_notification_executions", { taskId = 1, size = 2 })), #transport.requests, transport
    end
    local rows, calls, transport = pages(5, 2, 2, 1)
    assert.same({ 5, 3 }, { #rows, calls })
    assert(transport.requests[3].url:find("current=2&size=2", 1, true))
    rows, calls = pages(9, 2, 0)
    assert.same({ 2, 2 }, { #rows, calls })
    rows, calls = pages(0, 0)
    assert.same({ 0, 1 }, { #rows, calls })
    rows, calls = pages(nil, 2, 2, 0)
    assert.same({ 4, 3 }, { #rows, calls })
  end)

  it("gives a failure in the middle of a walk once, and ends it", function()
    local client = fake.client("hypers", { fake.answer{ page = { total = 3 }, records = { { memberId = 1 } } }, fake.answer("x", 500) })
    local seen = {}
    for row, err in client:each("list_notification_executions", { taskId = 1, size = 1 }) do
      seen[#seen + 1] = row and row.memberId or err.kind
    end
    assert.same({ "1", "http" }, seen)
    local rows, err = client:all("list_notification_executions", { taskId = 1, size = 1 })
    assert.is_nil(rows)
    assert.equal(500, err.status)
  end)
end)

describe("hypers files", function()
  local ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

  local function upload(answer, digests, fields, options)
    local result = fake.answer(answer)
    result.digests = digests or { file = ABC }
    local client, transport = fake.client("hypers", { result })
    local reply, err = client:upload_file(fields or { file = { content = "abc", filename = "a.png" } }, options)
    return reply, err, transport
  end

  local function stored(more)
    local body = { id = 17, fileName = "a.png", signature = ABC, fileSize = 3, createTime = 1741773532634 }
    for key, value in pairs(more or {}) do
      body[key] = value
    end
    return body
  end

  it("R233 client uploads to /api/v1/file", function()
    local _, _, transport = upload(stored())
    assert.equal("https://hypers.example/api/v1/file", transport:last().url)
  end)

  it("R236 client wants a file with name and content, of any type", function()
    for _, name in ipairs{ "a.xlsx", "noextension", "电影.mp4", "a.b.c" } do
      assert(upload(stored(), nil, { file = { content = "abc", filename = name } }, { accept_public_file = true }))
    end
    for _, file in ipairs{ { content = "", filename = "a.png" }, { content = "abc" }, { content = "abc", filename = "" },
      { content = "abc", filename = "a\r\nX: y.png" }, { content = "abc", filename = "a\0.png" }, { content = "abc", filename = "x\255.png" } } do
      local reply, err, transport = upload(stored(), nil, { file = file }, { accept_public_file = true })
      assert.is_nil(reply)
      assert.equal("invalid", err.kind)
      assert.equal(0, #transport.requests)
    end
  end)

  it("R237 client wants a moduleName of 1 to 50 letters, digits and underscores", function()
    local function module(name)
      return (upload(stored(), nil, { file = { content = "abc", filename = "a.png" }, moduleName = name }))
    end
    assert(module("a"))
    assert(module(("a"):rep(50)))
    assert(module("A_9"))
    for _, name in ipairs{ "", ("a"):rep(51), "a-b", "a b", "模块", "a.b", 7 } do
      assert.is_nil(module(name))
    end
  end)

  it("R241 client compares signature and fileSize with what it sent", function()
    assert(upload(stored{ signature = ABC:upper() }))
    for _, more in ipairs{ { signature = ("0"):rep(64) }, { fileSize = 4 } } do
      local reply, err = upload(stored(more))
      assert.is_nil(reply)
      assert.same({ "response", "receipt_mismatch", "maybe" }, { err.kind, err.reason, err.sent })
    end
  end)

  it("R242 client names a file without its directories", function()
    local operation = platform.operations.upload_file
    for given, name in pairs{ ["/home/me/list.xlsx"] = "list.xlsx", ["C:\\docs\\list.xlsx"] = "list.xlsx", ["a/b/照片.png"] = "照片.png" } do
      local values = assert(check.fields(platform, operation, { file = given }, {}))
      assert.equal(name, values.file.filename)
    end
  end)

  it("R243 client says moduleName notification unless told otherwise", function()
    local operation = platform.operations.upload_file
    local values = assert(check.fields(platform, operation, { file = "a.png" }, {}))
    local request = assert(build.request(operation, values, fake.ACCOUNTS.hypers, "t"))
    assert.same({ name = "moduleName", value = "notification" }, request.body.parts[1])
  end)

  it("R244 client reads createTime as milliseconds or as a time", function()
    assert.equal(1741773532634, upload(stored()).createTime)
    assert.equal(1741773532000, upload(stored{ createTime = "2025-03-12 17:58:52" }).createTime)
    local reply = call("get_notification_task", { taskId = 1 }, { id = 1, createTime = 1741773532634 })
    assert.equal("2025-03-12 17:58:52", reply.createTime)
  end)

  it("lets a public file other than a picture leave only with the caller's word", function()
    for _, name in ipairs{ "members.xlsx", "list.csv", "noextension", "a.png.xlsx" } do
      local fields = { file = { content = "abc", filename = name } }
      local reply, err, transport = upload(stored(), nil, fields)
      assert.is_nil(reply)
      assert.same({ "invalid", "public_file", "no" }, { err.kind, err.reason, err.sent })
      assert.equal(0, #transport.requests)
      assert(upload(stored(), nil, fields, { accept_public_file = true }))
    end
    assert(upload(stored(), nil, { file = { content = "abc", filename = "poster.PNG" } }))
  end)

  it("R247 client sends no Authorization with a download", function()
    local _, _, transport = call("download_file", { id = 17 }, "bytes")
    assert.is_nil(fake.header(transport:last(), "Authorization"))
    assert.equal("https://hypers.example/api/v1/file/17", transport:last().url)
  end)

  it("R253 client takes a body shorter than announced for broken", function()
    local reply, err = call("download_file", { id = 17 }, "bytes", nil, 200, { { "Content-Length", "9" } })
    assert.is_nil(reply)
    assert.equal("response", err.kind)
    assert((call("download_file", { id = 17 }, "bytes", nil, 200, { { "Content-Length", "5" } })))
  end)

  local function name_of(disposition)
    local reply = call("download_file", { id = 17 }, "b", nil, 200, { { "Content-Disposition", disposition } })
    return reply.filename
  end

  it("R254 client strips directories and control characters from names", function()
    assert.equal("report.pdf", name_of('inline; filename="report.pdf"'))
    assert.equal("passwd", name_of('inline; filename="../../etc/passwd"'))
    assert.equal("x.exe", name_of('inline; filename="C:\\dir\\x.exe"'))
    assert.equal("ab", name_of('inline; filename="a\1b"'))
    assert.equal("bashrc", name_of('inline; filename=".bashrc"'))
    assert.is_nil(name_of('inline; filename=".."'))
    assert.is_nil(name_of('inline; filename="/"'))
    assert.is_nil(name_of("inline"))
    assert.equal("plain.txt", name_of("attachment; filename=plain.txt"))
    assert.equal("x.exe", name_of('inline; filename="C:\\\\dir\\\\x.exe"; size=1'))
  end)

  it("reads a quote within a name, as servers write it", function()
    assert.equal('a "b"; c=d.xlsx', name_of('inline; filename="a \\"b\\"; c=d.xlsx"; size=1'))
    assert.equal('"', name_of('inline; filename="\\""'))
    assert.equal('a"', name_of('inline; filename="a\\"'))
    assert.equal("报告.xlsx", name_of("inline; filename=\"a\\\"\"; filename*=UTF-8''%E6%8A%A5%E5%91%8A.xlsx"))
  end)

  it("R255 client prefers filename*", function()
    assert.equal("报告.pdf", name_of("inline; filename=\"bg.pdf\"; filename*=UTF-8''%E6%8A%A5%E5%91%8A.pdf"))
    assert.equal("passwd", name_of("inline; filename*=UTF-8''..%2F..%2Fetc%2Fpasswd"))
    assert.equal("bg.pdf", name_of("inline; filename=\"bg.pdf\"; filename*=KOI8-R''%E6"))
  end)

  it("R256 client builds image URLs from the API's address", function()
    local client = fake.client("hypers", {})
    assert.equal("https://hypers.example/api/v1/file/17", client:image_url(17))
    assert.equal("https://hypers.example/api/v1/file/9223372036854775807", client:image_url("9223372036854775807"))
    local url, err = client:image_url("17/../1")
    assert.is_nil(url)
    assert.equal("invalid", err.kind)
  end)
end)

describe("hypers errors", function()
  it("R366 client gives each documented status its own reason and finds the message", function()
    for _, case in ipairs{ { 400, "http", "bad_request", "no" }, { 401, "auth", "unauthorized", "no" }, { 403, "auth", "forbidden", "no" },
      { 404, "http", "not_found", "no" }, { 500, "http", "server_error", "maybe" }, { 418, "http", "client_error", "maybe" },
      { 599, "http", "server_error", "maybe" }, { 429, "throttle", "throttled", "no" }, { 302, "redirect", "redirect_refused", "maybe" } } do
      local reply, err = call("get_notification_task", { taskId = 1 }, { code = case[1], message = "words" }, nil, case[1])
      assert.is_nil(reply)
      assert.same(case, { err.status, err.kind, err.reason, err.sent })
    end
    for _, key in ipairs{ "message", "msg", "error_description", "error" } do
      local _, err = call("get_notification_task", { taskId = 1 }, { [key] = "the words" }, nil, 400)
      assert.matches("the words", err.message)
    end
    local _, err = call("get_notification_task", { taskId = 1 }, "<html>not JSON</html>", nil, 400)
    assert.equal("http", err.kind)
    assert.matches("not JSON", err.body)
  end)

  it("R368 client takes every 2xx", function()
    for _, status in ipairs{ 200, 201, 202, 299 } do
      assert((call("create_notification_task", task(), CREATED, nil, status)))
    end
  end)

  it("R283 client takes an empty object, no body and 204 alike", function()
    assert.same({}, (call("delete_marketing_group", { id = 1 }, "{}")))
    assert.same({}, (call("delete_marketing_group", { id = 1 }, "")))
    assert.same({}, (call("delete_marketing_group", { id = 1 }, "", nil, 204)))
    local reply, err = call("delete_marketing_group", { id = 1 }, "<html>")
    assert.is_nil(reply)
    assert.equal("response", err.kind)
  end)

  it("tells no success where nothing of the answer matters but it names an error", function()
    for _, body in ipairs{ '{"code":500,"message":"down"}', '{"code":"40001"}', '{"error":"invalid_token"}' } do
      local reply, err = call("delete_marketing_group", { id = 1 }, body)
      assert.is_nil(reply)
      assert.same({ "platform", "unknown_code", "maybe" }, { err.kind, err.reason, err.sent })
    end
    for _, body in ipairs{ '{"code":200,"message":"ok"}', '{"code":"0"}', '{"code":null,"error":""}' } do
      assert((call("delete_marketing_group", { id = 1 }, body)))
    end
  end)

  it("tells no success where an error came in place of the reply", function()
    local plan = { options = "DRAFT", data = { name = "n", groupId = 1 } }
    for _, body in ipairs{ '{"code":500,"message":"down","data":null}', '{"status":500,"error":"Internal Server Error"}', '{"error":"down"}' } do
      for name, fields in pairs{ create_marketing_plan = plan, get_marketing_task = { taskId = 1 }, create_notification_task = task() } do
        local reply, err = call(name, fields, body)
        assert.is_nil(reply)
        assert.same({ "platform", "unknown_code", "maybe" }, { err.kind, err.reason, err.sent })
        assert.matches("^refused: ", err.message)
      end
    end
    for _, body in ipairs{ "{}", '{"code":200,"message":"ok"}', '{"id":5,"code":"A1"}', '{"status":"DRAFT","error":"of yesterday"}' } do
      assert((call("create_marketing_plan", plan, body)))
    end
  end)

  it("R281 client reads and sends ids as 64-bit integers without loss", function()
    local reply, _, transport = call("get_notification_task", { taskId = "9223372036854775807" }, '{"id":9223372036854775807}')
    assert.equal("9223372036854775807", reply.id)
    assert(transport:last().url:find("/9223372036854775807", 1, true))
    assert.equal("5", (call("get_notification_task", { taskId = 5 }, '{"id":5}')).id)
  end)
end)

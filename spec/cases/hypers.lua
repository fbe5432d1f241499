-- SPDX-License-Identifier: MIT
-- Literal cases of hypers: docs/contracts/hypers.md, sections 2, 3 and 6. Ids are 64-bit: decimal text in Lua, digits on the wire.

local GROUP = '{"id": 1, "createTime": "2025-04-01 10:00:00", "lastUpdateTime": "2025-04-01 10:00:00", "name": "spring"}'
local GROUP_READ = { id = "1", createTime = "2025-04-01 10:00:00", lastUpdateTime = "2025-04-01 10:00:00", name = "spring" }

local SCENE = [[
{"id": 5, "createTime": "2025-04-01 10:00:00", "lastUpdateTime": "2025-04-01 10:00:00", "name": "wants to visit",
 "statisticalMethod": "GRAND_TOTAL", "prompt": "the customer agrees to come to the shop", "externalId": "ext-1", "sceneType": "CUSTOM"}]]
local SCENE_READ = {
  id = "5", createTime = "2025-04-01 10:00:00", lastUpdateTime = "2025-04-01 10:00:00", name = "wants to visit",
  statisticalMethod = "GRAND_TOTAL", prompt = "the customer agrees to come to the shop", externalId = "ext-1", sceneType = "CUSTOM",
}

local PLAN_FIELDS = {
  options = "DRAFT",
  data = {
    name = "spring visit", groupId = 1, description = "invite members",
    replyStrategy = "CONSULTANT_CONTINUE_AFTER_REPLY", replyDelay = 5, unifiedReply = true,
    segmentSeparator = "||", minReplyInterval = 2,
    monitoringStrategy = { { sceneId = 5, strategy = { "AI_SERVICE_END_UNTIL_RESTART" } } },
    prompt = "be kind", timeoutWakeUp = true, timeout = 30, timeoutPrompt = "ask again",
    greetings = { { type = "TEXT" } },
  },
}
local PLAN_BODY = '{"options":"DRAFT","data":{"name":"spring visit","groupId":1,"description":"invite members",'
  .. '"replyStrategy":"CONSULTANT_CONTINUE_AFTER_REPLY","replyDelay":5,"unifiedReply":true,"segmentSeparator":"||","minReplyInterval":2,'
  .. '"monitoringStrategy":[{"sceneId":5,"strategy":["AI_SERVICE_END_UNTIL_RESTART"]}],"prompt":"be kind","timeoutWakeUp":true,'
  .. '"timeout":30,"timeoutPrompt":"ask again","greetings":[{"type":"TEXT"}]}}'
local PLAN = [[
{
  "id": 10, "groupId": 1, "createTime": "2025-04-01 10:00:00", "lastUpdateTime": "2025-04-01 10:00:00",
  "name": "spring visit", "description": "invite members", "startTime": null, "endTime": null,
  "replyStrategy": "CONSULTANT_CONTINUE_AFTER_REPLY", "replyDelay": 5, "unifiedReply": true,
  "segmentSeparator": "||", "minReplyInterval": 2, "prompt": "be kind", "backgroundInfo": null, "timeInfo": null,
  "referenceCase": null, "timeoutWakeUp": true, "timeout": 30, "timeoutPrompt": "ask again",
  "monitoringStrategy": [{"sceneId": 5, "strategy": ["AI_SERVICE_END_UNTIL_RESTART"]}],
  "status": "DRAFT", "greetings": [{"type": "TEXT"}]
}]]
local PLAN_READ = {
  id = "10", groupId = "1", createTime = "2025-04-01 10:00:00", lastUpdateTime = "2025-04-01 10:00:00",
  name = "spring visit", description = "invite members", replyStrategy = "CONSULTANT_CONTINUE_AFTER_REPLY", replyDelay = 5,
  unifiedReply = true, segmentSeparator = "||", minReplyInterval = 2, prompt = "be kind", timeoutWakeUp = true, timeout = 30,
  timeoutPrompt = "ask again", monitoringStrategy = { { sceneId = "5", strategy = { "AI_SERVICE_END_UNTIL_RESTART" } } },
  status = "DRAFT", greetings = { { type = "TEXT" } },
}

local TASK = [[
{"id": 77, "createTime": "2025-04-01 10:00:00", "lastUpdateTime": "2025-04-01 10:00:00", "name": "batch 1",
 "status": "NOT_STARTED", "totalMember": 2, "startDate": "2025-04-02", "startTime": "09:30"}]]
local TASK_READ = {
  id = "77", createTime = "2025-04-01 10:00:00", lastUpdateTime = "2025-04-01 10:00:00", name = "batch 1", status = "NOT_STARTED",
  totalMember = 2, startDate = "2025-04-02", startTime = "09:30",
}

local REPORT = [[
{"completeServiceOfPeopl": 1, "completeServiceRate": 0.5, "contactSuccessOfPeopl": 2, "contactSuccessRate": 1,
 "effectiveCommunicationOfPeopl": 1, "effectiveCommunicationRate": 0.5, "invitationSuccessfulOfPeopl": 1,
 "invitationSuccessfulRate": 0.5, "plannedNumberOfPeopl": 2,
 "sceneStatistics": [{"id": 5, "name": "wants to visit", "number": 1}]}]]
local REPORT_READ = {
  completeServiceOfPeopl = 1, completeServiceRate = 0.5, contactSuccessOfPeopl = 2, contactSuccessRate = 1,
  effectiveCommunicationOfPeopl = 1, effectiveCommunicationRate = 0.5, invitationSuccessfulOfPeopl = 1, invitationSuccessfulRate = 0.5,
  plannedNumberOfPeopl = 2, sceneStatistics = { { id = "5", name = "wants to visit", number = 1 } },
}

local SORT = '{"direction": "ASC", "property": "id", "ignoreCase": false, "nullHandling": "NATIVE", "ascending": true, "descending": false}'
local SORT_READ = { direction = "ASC", property = "id", ignoreCase = false, nullHandling = "NATIVE", ascending = true, descending = false }

-- A page of one row, as a list without paging gives it.
local function page(row)
  return '{"content": [' .. row .. '], "pageable": {"paged": false, "unpaged": true, "pageNumber": 0, "pageSize": 1, "offset": 0, "sort": []}, '
    .. '"total": 1, "empty": false, "number": 0, "size": 1, "numberOfElements": 1, "sort": [], "first": true, "last": true, '
    .. '"totalPages": 1, "totalElements": 1}'
end

local function page_read(row)
  return {
    content = { row }, pageable = { paged = false, unpaged = true, pageNumber = 0, pageSize = 1, offset = 0, sort = {} }, total = 1,
    empty = false, number = 0, size = 1, numberOfElements = 1, sort = {}, first = true, last = true, totalPages = 1, totalElements = 1,
  }
end

local OAUTH = { client_id = "the-client", client_secret = "the-secret" }

local function token_case(operation, fields, body, number)
  return {
    operation = operation, account = OAUTH, fields = fields,
    request = "POST /oauth/token\nAuthorization: Basic dGhlLWNsaWVudDp0aGUtc2VjcmV0\nContent-Type: application/json\n\n" .. body,
    reply = ('{"access_token": "%d1", "token_type": "bearer", "expires_in": 10599,\n "refresh_token": "%d2", "scope": "all"}'):format(
      number, number),
    result = { access_token = number .. "1", token_type = "bearer", expires_in = 10599, refresh_token = number .. "2", scope = "all" },
  }
end

local API = "/api/v1/"
local NOTICE = API .. "marketing-notice"

local function plain(method, path)
  return method .. " " .. path .. "\nAuthorization: Bearer A-1\n\n"
end

local function with_json(method, path, body)
  return method .. " " .. path .. "\nAuthorization: Bearer A-1\nContent-Type: application/json\n\n" .. body
end

-- Refusals in the shapes of section 4: the fields are those of the operation's own case.
local function missing(operation, what)
  return {
    operation = operation, status = "404 Not Found", reply = '{"code": 404, "message": "no such ' .. what .. '"}',
    err = { kind = "http", code = 404, reason = "not_found", sent = "no", status = 404, retry = false },
  }
end

local function wrong(operation, field, reason)
  return {
    operation = operation, status = "400 Bad Request",
    reply = '{"code": 400, "message": "' .. field .. ': ' .. reason .. '", "errors": [{"field": "' .. field .. '", "reason": "' .. reason .. '"}]}',
    err = { kind = "http", code = 400, reason = "bad_request", sent = "no", status = 400, retry = false },
  }
end

-- Operations that answer `{}`.
local function empty_case(operation, fields, method, path)
  return { operation = operation, fields = fields, request = plain(method, path), reply = "{}", result = {} }
end

return {
  account = { token = "A-1" },
  token_case("oauth_obtain_token", { username = "u@example.org", password = "pw" },
    '{"grant_type":"password","username":"u@example.org","password":"pw"}', 1),
  token_case("oauth_refresh_token", { refresh_token = "r-1" }, '{"grant_type":"refresh_token","refresh_token":"r-1"}', 3),
  {
    operation = "create_notification_task",
    fields = {
      taskName = "Double Eleven offer", taskType = "CUSTOMER_RESOURCE_REMINDER", scheduledStartTime = "2025-11-10 09:00:00",
      scheduledEndTime = "2025-11-10 19:00:00",
      contents = {
        { contentType = "TEXT", contentValue = "Dear {{name}}, your offer ends soon" },
        { contentType = "IMAGE", contentValue = "https://files.example/api/v1/file/17" },
      },
      members = { { userId = "222", nickname = "zhangsan", name = "Zhang San" }, { ciq = "333", name = "Li Si" } },
    },
    request = with_json("POST", API .. "notification-tasks",
      '{"taskName":"Double Eleven offer","taskType":"CUSTOMER_RESOURCE_REMINDER","scheduledStartTime":"2025-11-10 09:00:00",'
      .. '"scheduledEndTime":"2025-11-10 19:00:00","contents":[{"contentType":"TEXT","contentValue":"Dear {{name}}, your offer ends soon"},'
      .. '{"contentType":"IMAGE","contentValue":"https://files.example/api/v1/file/17"}],'
      .. '"members":[{"userId":"222","nickname":"zhangsan","name":"Zhang San"},{"ciq":"333","name":"Li Si"}]}'),
    reply = [[
{
  "id": 34, "createTime": "2025-11-09 14:48:40", "lastUpdateTime": "2025-11-09 14:48:40",
  "taskName": "Double Eleven offer", "taskType": "CUSTOMER_RESOURCE_REMINDER", "status": "PENDING",
  "scheduledStartTime": "2025-11-10 09:00:00", "scheduledEndTime": "2025-11-10 19:00:00", "totalMembers": 2
}]],
    result = {
      id = "34", createTime = "2025-11-09 14:48:40", lastUpdateTime = "2025-11-09 14:48:40", taskName = "Double Eleven offer",
      taskType = "CUSTOMER_RESOURCE_REMINDER", status = "PENDING", scheduledStartTime = "2025-11-10 09:00:00",
      scheduledEndTime = "2025-11-10 19:00:00", totalMembers = 2,
    },
  },
  {
    operation = "get_notification_task", fields = { taskId = 789 }, request = plain("GET", API .. "notification-tasks/789"),
    reply = [[
{
  "id": 789, "taskName": "Double Eleven offer", "taskType": "CUSTOMER_RESOURCE_REMINDER", "status": "COMPLETED",
  "scheduledStartTime": "2023-11-10 09:00:00", "scheduledEndTime": "2023-11-10 19:00:00",
  "statistics": {"totalMembers": 3, "successCount": 2},
  "contents": [{"type": "TEXT", "value": "Dear {{name}}..."}, {"type": "IMAGE", "value": "https://example.invalid/17"}],
  "fileIds": [12345, 45678], "members": []
}]],
    result = {
      id = "789", taskName = "Double Eleven offer", taskType = "CUSTOMER_RESOURCE_REMINDER", status = "COMPLETED",
      scheduledStartTime = "2023-11-10 09:00:00", scheduledEndTime = "2023-11-10 19:00:00",
      statistics = { totalMembers = 3, successCount = 2 },
      contents = { { contentType = "TEXT", contentValue = "Dear {{name}}..." },
        { contentType = "IMAGE", contentValue = "https://example.invalid/17" } },
      fileIds = { "12345", "45678" }, members = {},
    },
  },
  {
    operation = "terminate_notification_task", fields = { taskId = 789, reason = "cancelled by the customer" },
    request = with_json("PUT", API .. "notification-tasks/789/termination", '{"reason":"cancelled by the customer"}'),
    reply = '{"previousStatus": "EXECUTING", "currentStatus": "TERMINATED"}',
    result = { previousStatus = "EXECUTING", currentStatus = "TERMINATED" },
  },
  {
    operation = "list_notification_tasks",
    fields = { taskType = "CUSTOMER_RESOURCE_REMINDER", status = "COMPLETED", startTime = "2023-11-10 00:00:00", current = 0, size = 20 },
    request = plain("GET", API
      .. "notification-tasks?taskType=CUSTOMER_RESOURCE_REMINDER&status=COMPLETED&startTime=2023-11-10%2000%3A00%3A00&current=0&size=20"),
    reply = [[
{
  "page": {"current": 0, "size": 20, "total": 1},
  "records": [
    {"id": 789, "taskName": "Double Eleven offer", "taskType": "CUSTOMER_RESOURCE_REMINDER", "status": "COMPLETED",
     "scheduledStartTime": "2023-11-10 09:00:00", "scheduledEndTime": "2023-11-10 19:00:00",
     "contents": [{"contentType": "TEXT", "contentValue": "Dear {{name}}..."}]}
  ]
}]],
    result = {
      page = { current = 0, size = 20, total = 1 },
      records = {
        {
          id = "789", taskName = "Double Eleven offer", taskType = "CUSTOMER_RESOURCE_REMINDER", status = "COMPLETED",
          scheduledStartTime = "2023-11-10 09:00:00", scheduledEndTime = "2023-11-10 19:00:00",
          contents = { { contentType = "TEXT", contentValue = "Dear {{name}}..." } },
        },
      },
    },
  },
  {
    operation = "list_notification_executions", fields = { taskId = 789, current = 0, size = 20, orderBy = "executeTime" },
    request = plain("GET", API .. "notification-tasks/789/executions?current=0&size=20&orderBy=executeTime"),
    reply = [[
{
  "page": {"current": 0, "size": 20, "total": 2},
  "records": [
    {"memberId": 123, "memberName": "zhangsan", "status": "SUCCESS", "executeTime": "2024-11-10 09:00:05"},
    {"memberId": 124, "memberName": "lisi", "status": "FAILED", "executeTime": null, "failureReason": "unreachable"}
  ]
}]],
    result = {
      page = { current = 0, size = 20, total = 2 },
      records = {
        { memberId = "123", memberName = "zhangsan", status = "SUCCESS", executeTime = "2024-11-10 09:00:05" },
        { memberId = "124", memberName = "lisi", status = "FAILED", failureReason = "unreachable" },
      },
    },
  },
  {
    operation = "upload_file", options = { accept_public_file = true },
    fields = { file = { content = "abc", filename = "report.pdf", content_type = "application/pdf" } },
    request = [[
POST /api/v1/file
Authorization: Bearer A-1
Content-Type: multipart/form-data; boundary=BOUNDARY

--BOUNDARY
Content-Disposition: form-data; name="moduleName"

notification
--BOUNDARY
Content-Disposition: form-data; name="file"; filename="report.pdf"
Content-Type: application/pdf

abc
--BOUNDARY--
]],
    reply = [[
{"id": 123456, "fileName": "report.pdf",
 "signature": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "fileSize": 3, "createTime": 1741773532634}]],
    result = {
      id = "123456", fileName = "report.pdf", signature = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", fileSize = 3,
      createTime = 1741773532634,
    },
  },
  {
    operation = "download_file", fields = { id = 17 }, request = "GET /api/v1/file/17\n\n\n",
    reply = "abc\0\255",
    headers = { "Content-Type: image/png", 'Content-Disposition: inline; filename="photo.png"', "Cache-Control: public, max-age=31536000" },
    result = { body = "abc\0\255", bytes = 5, content_type = "image/png", filename = "photo.png" },
  },
  {
    operation = "list_marketing_groups",
    fields = { current = 0, size = 2, orderBy = { "id", "name" }, orderDirection = "ASC", keyWord = "s p", ids = { 1, "2" } },
    request = plain("GET", NOTICE .. "/group?current=0&size=2&orderBy=id&orderBy=name&orderDirection=ASC&keyWord=s%20p&ids=1%2C2"),
    reply = [=[
{
  "content": [
    {"id": 1, "createTime": "2025-04-01 10:00:00", "lastUpdateTime": "2025-04-01 10:00:00", "name": "spring"}
  ],
  "pageable": {"paged": true, "unpaged": false, "pageNumber": 0, "pageSize": 2, "offset": 0, "sort": []},
  "total": 3, "empty": false, "number": 0, "size": 2, "numberOfElements": 2,
  "sort": ]=] .. "[" .. SORT .. "]" .. [=[,
  "first": true, "last": false, "totalPages": 2, "totalElements": 3
}]=],
    result = {
      content = { GROUP_READ }, pageable = { paged = true, unpaged = false, pageNumber = 0, pageSize = 2, offset = 0, sort = {} },
      total = 3, empty = false, number = 0, size = 2, numberOfElements = 2, sort = { SORT_READ }, first = true, last = false,
      totalPages = 2, totalElements = 3,
    },
  },
  {
    operation = "create_marketing_group", fields = { name = "spring" }, request = with_json("POST", NOTICE .. "/group", '{"name":"spring"}'),
    reply = GROUP, result = GROUP_READ,
  },
  empty_case("delete_marketing_group", { id = 1 }, "DELETE", NOTICE .. "/group/1"),
  {
    operation = "update_marketing_group", fields = { id = 1, name = "spring" },
    request = with_json("PUT", NOTICE .. "/group/1", '{"name":"spring"}'), reply = GROUP, result = GROUP_READ,
  },
  { operation = "get_marketing_group", fields = { id = 1 }, request = plain("GET", NOTICE .. "/group/1"), reply = GROUP, result = GROUP_READ },
  {
    operation = "create_marketing_scene",
    fields = { name = "wants to visit", statisticalMethod = "GRAND_TOTAL", prompt = "the customer agrees", planId = 10, externalId = "ext-1" },
    request = with_json("POST", NOTICE .. "/scene", '{"name":"wants to visit","statisticalMethod":"GRAND_TOTAL",'
      .. '"prompt":"the customer agrees","externalId":"ext-1","planId":10}'),
    reply = SCENE, result = SCENE_READ,
  },
  {
    operation = "list_marketing_scenes", fields = { externalId = "ext-1", planId = 10 },
    request = plain("GET", NOTICE .. "/scene?externalId=ext-1&planId=10"), reply = page(SCENE), result = page_read(SCENE_READ),
  },
  {
    operation = "update_marketing_scene", fields = { id = 5, name = "n", prompt = "p" },
    request = with_json("PUT", NOTICE .. "/scene/5", '{"name":"n","prompt":"p"}'), reply = SCENE, result = SCENE_READ,
  },
  { operation = "get_marketing_scene", fields = { id = 5 }, request = plain("GET", NOTICE .. "/scene/5"), reply = SCENE, result = SCENE_READ },
  {
    operation = "unbind_scene_external_id", fields = { id = 5 }, request = plain("PATCH", NOTICE .. "/scene/5/unbundled-externalId"),
    reply = '{"id": 5, "externalId": null, "sceneType": "CUSTOM"}', result = { id = "5", sceneType = "CUSTOM" },
  },
  {
    operation = "create_marketing_plan", fields = PLAN_FIELDS, request = with_json("POST", NOTICE, PLAN_BODY), reply = PLAN,
    result = PLAN_READ,
  },
  {
    operation = "list_marketing_plans", fields = { groupIds = { 1, 2 }, status = "DRAFT", current = 0, size = 20 },
    request = plain("GET", NOTICE .. "?current=0&size=20&groupIds=1%2C2&status=DRAFT"),
    reply = [[
{
  "records": [
    {"groupId": 1, "groupName": "spring", "plan": [
      {"id": 10, "name": "spring visit", "memberNumber": 0, "lastTriggerTime": null, "contactSuccessOfPeopl": 0,
       "completeServiceOfPeopl": 0, "effectiveCommunicationOfPeopl": 0, "invitationSuccessfulOfPeopl": 0,
       "status": "DRAFT", "taskCount": 0}]}
  ],
  "page": {"current": 0, "size": 20, "total": 1},
  "summary": {}
}]],
    result = {
      records = {
        {
          groupId = "1", groupName = "spring",
          plan = {
            {
              id = "10", name = "spring visit", memberNumber = 0, contactSuccessOfPeopl = 0, completeServiceOfPeopl = 0,
              effectiveCommunicationOfPeopl = 0, invitationSuccessfulOfPeopl = 0, status = "DRAFT", taskCount = 0,
            },
          },
        },
      },
      page = { current = 0, size = 20, total = 1 }, summary = {},
    },
  },
  {
    operation = "update_marketing_plan", fields = { id = 10, options = PLAN_FIELDS.options, data = PLAN_FIELDS.data },
    request = with_json("PUT", NOTICE .. "/10", PLAN_BODY), reply = PLAN, result = PLAN_READ,
  },
  { operation = "get_marketing_plan", fields = { id = 10 }, request = plain("GET", NOTICE .. "/10"), reply = PLAN, result = PLAN_READ },
  empty_case("delete_marketing_plan", { id = 10 }, "DELETE", NOTICE .. "/10"),
  {
    operation = "get_marketing_members_template", fields = {}, request = plain("GET", NOTICE .. "/members/template"),
    reply = "PK\3\4rest", headers = { "Content-Type: application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
      'Content-Disposition: attachment; filename="members_template.xlsx"' },
    result = {
      body = "PK\3\4rest", bytes = 8, content_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
      filename = "members_template.xlsx",
    },
  },
  {
    operation = "create_marketing_task", fields = { id = 10, name = "batch 1", startTime = "2025-04-02 09:30:00", fileIds = { 123456 } },
    request = with_json("POST", NOTICE .. "/10/task", '{"name":"batch 1","startTime":"2025-04-02 09:30:00","fileIds":[123456]}'),
    reply = TASK, result = TASK_READ,
  },
  {
    operation = "list_marketing_tasks", fields = { id = 10 }, request = plain("GET", NOTICE .. "/10/task"),
    reply = page('{"id": 77, "name": "batch 1", "任务": {"a": 1}}'), result = page_read{ id = 77, name = "batch 1", ["任务"] = { a = 1 } },
  },
  { operation = "get_marketing_task", fields = { taskId = 77 }, request = plain("GET", NOTICE .. "/task/77"), reply = TASK, result = TASK_READ },
  {
    operation = "get_marketing_task_schema", fields = { id = 10 }, request = plain("GET", NOTICE .. "/10/task/schema"),
    reply = '[{"label": "任务名称", "key": "name", "type": "STRING"}, {"label": "总人数", "key": "totalMember", "type": "NUMBER"}]',
    result = { { label = "任务名称", key = "name", type = "STRING" }, { label = "总人数", key = "totalMember", type = "NUMBER" } },
  },
  empty_case("terminate_marketing_plan", { id = 10 }, "PATCH", NOTICE .. "/10/termination"),
  empty_case("enable_marketing_plan", { id = 10 }, "PATCH", NOTICE .. "/10/enable"),
  {
    operation = "get_marketing_plan_report", fields = { id = 10 }, request = plain("GET", NOTICE .. "/10/report"), reply = REPORT,
    result = REPORT_READ,
  },
  {
    operation = "list_marketing_task_members", fields = { taskId = 77, status = "NOT_REACHED", sceneIds = { 5, 6 }, moodValue = "满意" },
    request = plain("GET", NOTICE .. "/task/77/members?status=NOT_REACHED&sceneIds=5%2C6&moodValue=%E6%BB%A1%E6%84%8F"),
    reply = page('{"memberId": 123, "memberName": "zhangsan", "status": "NOT_REACHED", "scenes": [], "moodValue": null}'),
    result = page_read{ memberId = 123, memberName = "zhangsan", status = "NOT_REACHED", scenes = {} },
  },
  {
    operation = "get_marketing_task_report", fields = { taskId = 77 }, request = plain("GET", NOTICE .. "/task/77/report"), reply = REPORT,
    result = REPORT_READ,
  },
  empty_case("enable_marketing_task", { taskId = 77 }, "PATCH", NOTICE .. "/task/77/enable"),
  empty_case("terminate_marketing_task", { taskId = 77 }, "PATCH", NOTICE .. "/task/77/termination"),
  {
    operation = "list_member_daily_reports", fields = { id = 123, startDate = "2025-04-10", endDate = "2025-04-21", keyword = "visit" },
    request = plain("GET", API .. "members/123/daily-reports?startDate=2025-04-10&endDate=2025-04-21&keyword=visit"),
    reply = [[
{"records": [
  {"reportDate": "2025-04-21", "moodValues": ["满意"], "scenes": ["转人工"], "content": "agrees to visit tomorrow"},
  {"reportDate": "2025-04-10", "moodValues": [], "scenes": ["完成服务"]}
]}]],
    result = {
      records = {
        { reportDate = "2025-04-21", moodValues = { "满意" }, scenes = { "转人工" }, content = "agrees to visit tomorrow" },
        { reportDate = "2025-04-10", moodValues = {}, scenes = { "完成服务" } },
      },
    },
  },
  refusals = {
    {
      operation = "terminate_notification_task", fields = { taskId = 7, reason = "r" }, status = "400 Bad Request",
      reply = '{"code": 400, "message": "taskName: length must be <= 120", "errors": [{"field": "taskName", "reason": "too_long"}]}',
      err = { kind = "http", code = 400, reason = "bad_request", sent = "no", status = 400 },
    },
    {
      operation = "oauth_refresh_token", account = OAUTH, fields = { refresh_token = "used" }, status = "400 Bad Request",
      reply = '{"error": "invalid_grant", "error_description": "used"}',
      err = { kind = "auth", code = "invalid_grant", reason = "invalid_grant", sent = "no", status = 400 },
    },
    {
      operation = "download_file", fields = { id = 17 }, status = "404 Not Found", reply = '{"code": 404, "message": "no such file"}',
      err = { kind = "http", code = 404, reason = "not_found", sent = "no", status = 404 },
    },
    {
      operation = "oauth_obtain_token", account = OAUTH, status = "401 Unauthorized",
      reply = '{"error": "invalid_client", "error_description": "unknown client"}',
      err = { kind = "auth", code = "invalid_client", reason = "invalid_client", sent = "no", status = 401 },
    },
    wrong("create_notification_task", "scheduledEndTime", "not the day of the start"),
    missing("get_notification_task", "task"),
    wrong("list_notification_tasks", "size", "not 1 to 100"),
    missing("list_notification_executions", "task"),
    {
      operation = "upload_file", status = "413 Request Entity Too Large", reply = "<html><head><title>413</title></head></html>",
      err = { kind = "http", reason = "too_large", sent = "no", status = 413, retry = false },
    },
    wrong("list_marketing_groups", "size", "not a number"), wrong("create_marketing_group", "name", "required"),
    missing("delete_marketing_group", "group"), missing("update_marketing_group", "group"), missing("get_marketing_group", "group"),
    wrong("create_marketing_scene", "planId", "no such plan"), wrong("list_marketing_scenes", "page", "not a number"),
    missing("update_marketing_scene", "scene"), missing("get_marketing_scene", "scene"),
    missing("unbind_scene_external_id", "scene"), wrong("create_marketing_plan", "data.groupId", "no such group"),
    wrong("list_marketing_plans", "size", "not a number"), wrong("update_marketing_plan", "status", "the plan is EXECUTION"),
    missing("get_marketing_plan", "plan"), wrong("delete_marketing_plan", "status", "the plan is EXECUTION"),
    {
      operation = "get_marketing_members_template", status = "403 Forbidden", reply = '{"code": 403, "message": "not enough rights"}',
      err = { kind = "auth", code = 403, reason = "forbidden", sent = "no", status = 403, retry = false },
    },
    wrong("create_marketing_task", "fileIds[0]", "no such file"), missing("list_marketing_tasks", "plan"),
    missing("get_marketing_task", "task"), missing("get_marketing_task_schema", "plan"),
    wrong("terminate_marketing_plan", "status", "the plan is COMPLETE"), wrong("enable_marketing_plan", "status", "the plan is DRAFT"),
    missing("get_marketing_plan_report", "plan"), missing("list_marketing_task_members", "task"),
    missing("get_marketing_task_report", "task"), wrong("enable_marketing_task", "status", "the task is NOT_STARTED"),
    {
      operation = "terminate_marketing_task", status = "500 Internal Server Error", reply = '{"code": 500, "message": "server error"}',
      err = { kind = "http", code = 500, sent = "maybe", status = 500 },
    },
    missing("list_member_daily_reports", "member"),
  },
}

-- SPDX-License-Identifier: MIT
-- Every value of docs/contracts/enums.tsv, one by one: what the client sends of it is looked for in the request, what the platform sends of
-- it is read from a reply. The table says where each list of values goes; a list that it does not know fails.

local build = require "campaign.api.build"
local check = require "campaign.api.check"
local fake = require "support.fake"
local json = require "campaign.json"
local platforms = require "campaign.api.platform"

-- Credentials of every kind, invented.
local HYPERS = { base_url = "https://hypers.example", token = "t", client_id = "id", client_secret = "secret" }

-- The request that a call makes, as text: URL and body; forms as `name=value` lines.
local function sent(platform_name, name, fields)
  local platform = platforms.load(platform_name)
  local operation, account = platform.operations[name], platform_name == "hypers" and HYPERS or fake.ACCOUNTS[platform_name]
  local values = assert(check.fields(platform, operation, fields, account))
  local request = assert(build.request(operation, values, account, "t"))
  local parts = { request.url, request.body and request.body.text or "" }
  for _, part in ipairs(request.body and request.body.parts or {}) do
    parts[#parts + 1] = part.value and part.name .. "=" .. part.value or nil
  end
  return table.concat(parts, "\n")
end

local function has(text, wanted)
  assert(text:find(wanted, 1, true), wanted .. " is not in " .. text)
end

-- What a reply means: the result, or the error.
local function read(platform, operation, fields, body, status)
  local client = fake.client(platform, { fake.answer(body, status) }, { account = platform == "hypers" and HYPERS or nil })
  return client:call(operation, fields, { window = "ignore" })
end

local function query(operation, name, fields)
  return function(value)
    fields = fields or {}
    fields[name] = value
    has(sent("hypers", operation, fields), name .. "=" .. value)
  end
end

local function plan(data)
  data.name, data.groupId = "n", 1
  return { options = "DRAFT", data = data }
end

local function task(more)
  local fields = { taskName = "t", taskType = "APPOINTMENT_REMINDER", scheduledStartTime = "2025-11-10 09:00:00", members = { { userId = "u" } },
    contents = { { contentType = "TEXT", contentValue = "x" } } }
  for key, value in pairs(more) do
    fields[key] = value
  end
  return fields
end

local DNC = { dataSourceName = "s", dataList = { "u" } }
local UPLOAD = { dataSourceFile = { content = "x", filename = "x.csv" }, dataSourceName = "s" }
local AUDIENCE = { publicParams = { isMatching = false, optType = "add" }, data = { { phone = "1", groups = { "g" } } } }
local CUSTOMERS = { user_id = "u", data = { { phone = "1" } } }

-- HTTP statuses: what is no success names its status and whether anything may have been done.
local function http_status(platform, operation, fields, good)
  return function(value)
    local status = tonumber(value)
    local result, err = read(platform, operation, fields, status < 300 and good or '{"code":1,"msg":"m","message":"m"}', status)
    if status < 300 then
      assert(result, tostring(err))
    else
      assert.is_nil(result)
      assert.same({ status, status < 500 and "no" or "maybe" }, { err.status, err.sent })
    end
  end
end

local function scene(name)
  return function(value)
    local fields = { planId = 1, name = "n", prompt = "p", statisticalMethod = "GRAND_TOTAL" }
    fields[name] = value
    has(sent("hypers", "create_marketing_scene", fields), ('"%s":"%s"'):format(name, value))
  end
end

local PAGE = '{"content":[{"id":1,"status":"%s"}],"total":1,"totalElements":1,"number":0,"size":1,"sort":[],"last":true}'

local LISTS = {
  outbound = {
    operationType = function(value)
      has(sent("outbound", "upload_contacts_file", { dataSourceFile = UPLOAD.dataSourceFile, dataSourceName = "s", operationType = value }),
        "operationType=" .. value)
    end,
    dataSourceType = function(value)
      local operation = value == "0" and "upload_contacts_file" or "upload_dnc_file"
      has(sent("outbound", operation, { dataSourceFile = UPLOAD.dataSourceFile, dataSourceName = "s", dataSourceType = value }),
    "dataSourceType=" .. value)
    end,
    ["contactGroup.type"] = function(value)
      local reply = assert(read("outbound", "get_contact_group_detail", {}, '{"code":200,"data":[{"type":' .. value .. "}]}"))
      assert.equal(tonumber(value), reply.data[1].type)
    end,
    ["customField.type1"] = function(value)
      local reply = assert(read("outbound", "get_contact_group_detail", {}, '{"code":200,"data":[{"customFields":[{"type1":' .. value .. "}]}]}"))
      assert.equal(tonumber(value), reply.data[1].customFields[1].type1)
    end,
    ["reply.code"] = function(value)
      -- Lists of people to be called have times when they are closed, lists of others have not.
      local timed = value == "409" or value == "423"
      local result, err = read("outbound", timed and "upload_contacts_file" or "upload_dnc_json", timed and UPLOAD or DNC,
        '{"code":' .. value .. ',"msg":"m"}')
      if value == "200" then
        assert(result, tostring(err))
      else
        assert.is_nil(result)
        assert.same({ tonumber(value), value == "500" and "maybe" or "no" }, { err.code, err.sent })
      end
    end,
    ["taskState (sandbox only)"] = function(value)
      local handle = assert(require("campaign.sandbox").start{ clock = "2025-11-10 10:00:00", clock_rate = 0 })
      local name = handle.accounts.outbound.data_source or handle.seeds.outbound.data_source
      local shown, err = handle:control("tasks", { tasks = require("campaign.sandbox.json").array{ {
        dataSourceName = name, state = value, start = "2025-11-10 20:00:00" } } })
      handle:stop()
      assert(shown, tostring(err))
      assert.equal(value, shown.tasks[1].state)
    end,
  },
  tuzhan = {
    ["publicParams.matchingType"] = function(value)
      has(sent("tuzhan", "batch_add_group_relations", { publicParams = { isMatching = true, optType = "add", matchingType = tonumber(value),
        identifyWay = value == "2" and 1 or nil }, data = { { phone = "1", groups = { "g" }, identityType = value == "1" and "phone" or nil } } }),
        '"matchingType":' .. value)
    end,
    ["publicParams.identifyWay"] = function(value)
      has(sent("tuzhan", "batch_add_group_relations", { publicParams = { isMatching = true, optType = "add", matchingType = 2,
        identifyWay = tonumber(value) }, data = AUDIENCE.data }), '"identifyWay":' .. value)
    end,
    ["publicParams.accurateMatchType"] = function(value)
      has(sent("tuzhan", "batch_add_group_relations", { publicParams = { isMatching = true, optType = "add", matchingType = 1,
        accurateMatchType = value, accurateMatchValue = "v" }, data = { { openid = "1", groups = { "g" }, identityType = "openid" } } }),
        '"accurateMatchType":"' .. value .. '"')
    end,
    ["publicParams.optType"] = function(value)
      has(sent("tuzhan", "batch_add_group_relations", { publicParams = { isMatching = false, optType = value }, data = AUDIENCE.data }),
        '"optType":"' .. value .. '"')
    end,
    ["data[].identityType"] = function(value)
      has(sent("tuzhan", "batch_add_group_relations", { publicParams = { isMatching = true, optType = "add", matchingType = 1,
        accurateMatchType = value == "openid" and "gzh" or nil, accurateMatchValue = value == "openid" and "v" or nil },
        data = { { [value] = "1", groups = { "g" }, identityType = value } } }), '"identityType":"' .. value .. '"')
    end,
    ["reply.data.status"] = function(value)
      local counts = { ["-1"] = { 0, 1 }, ["0"] = { 0, 0 }, ["1"] = { 1, 0 }, ["2"] = { 1, 1 } }
      local reply = assert(read("tuzhan", "batch_add_group_relations", AUDIENCE, json.encode{ code = "200", errorCode = "SUCCESS", msg = "ok",
        data = { importSuccessNum = counts[value][1], importFailNum = counts[value][2], message = "m", status = tonumber(value) } }))
      assert.equal(tonumber(value), reply.data.status)
    end,
    ["reply.code"] = function(value)
      local body = json.encode{ code = value, msg = "m", data = value == "200" and { importSuccessNum = 1, importFailNum = 0, status = 1 } or nil }
      local result, err = read("tuzhan", "batch_add_group_relations", AUDIENCE, body)
      assert.equal(value == "200", result ~= nil, tostring(err))
      assert.equal(value ~= "200" and value or nil, err and tostring(err.code))
    end,
    ["reply.errorCode"] = function(value)
      local body = json.encode{ code = value == "SUCCESS" and "200" or "400", errorCode = value, msg = "m",
        data = value == "SUCCESS" and { importSuccessNum = 1, importFailNum = 0, status = 1 } or nil }
      local result, err = read("tuzhan", "batch_add_group_relations", AUDIENCE, body)
      assert.equal(value == "SUCCESS", result ~= nil, tostring(err))
      assert.equal(value ~= "SUCCESS" and value or nil, err and err.code)
    end,
    httpStatus = http_status("tuzhan", "batch_add_group_relations", AUDIENCE,
      '{"code":"200","errorCode":"SUCCESS","msg":"ok","data":{"importSuccessNum":1,"importFailNum":0,"status":1}}'),
  },
  hypers = {
    ["NotificationTask.taskType"] = function(value)
      has(sent("hypers", "create_notification_task", task{ taskType = value }), '"taskType":"' .. value .. '"')
      has(sent("hypers", "list_notification_tasks", { taskType = value, startTime = "2025-11-10 00:00:00", endTime = "2025-11-11 00:00:00",
        current = 0, size = 10 }), "taskType=" .. value)
    end,
    ["NotificationTask.status"] = function(value)
      assert.equal(value, assert(read("hypers", "get_notification_task", { taskId = 1 }, '{"id":1,"status":"' .. value .. '"}')).status)
    end,
    ["NotificationContent.contentType"] = function(value)
      has(sent("hypers", "create_notification_task", task{ contents = { { contentType = value, contentValue = "https://x.example/a.png" } } }),
        '"contentType":"' .. value .. '"')
    end,
    ["NotificationExecution.status"] = function(value)
      local row = assert(read("hypers", "list_notification_executions", { taskId = 1, current = 0, size = 10 },
        '{"records":[{"memberId":1,"status":"' .. value .. '"}],"page":{"total":1}}')).records[1]
      assert.equal(value == "COMPLETED" and "SUCCESS" or value, row.status)
      assert.equal(value == "COMPLETED" and "COMPLETED" or nil, row.status ~= value and row.status_raw or nil)
    end,
    ["NotificationExecution.orderBy"] = query("list_notification_executions", "orderBy", { taskId = 1, current = 0, size = 10,
      orderDirection = "ASC" }),
    orderDirection = function(value)
      query("list_notification_executions", "orderDirection", { taskId = 1, current = 0, size = 10, orderBy = "status" })(value)
      query("list_marketing_groups", "orderDirection", { orderBy = { "name" } })(value)
    end,
    orderNullHandling = query("list_marketing_groups", "orderNullHandling", { orderBy = { "name" } }),
    ["MarketingNotice.replyStrategy"] = function(value)
      has(sent("hypers", "create_marketing_plan", plan{ replyStrategy = value, replyDelay = 5, minReplyInterval = 2, segmentSeparator = "|",
        unifiedReply = true }), '"replyStrategy":"' .. value .. '"')
    end,
    ["MarketingNotice.status"] = function(value)
      query("list_marketing_plans", "status")(value)
      assert.equal(value, assert(read("hypers", "get_marketing_plan", { id = 1 }, '{"id":1,"status":"' .. value .. '"}')).status)
    end,
    ["MarketingNoticeInput.options"] = function(value)
      has(sent("hypers", "create_marketing_plan", { options = value, data = { name = "n", groupId = 1 } }), '"options":"' .. value .. '"')
    end,
    ["MonitoringStrategy.strategy (open set)"] = function(value)
      has(sent("hypers", "create_marketing_plan", plan{ monitoringStrategy = { { sceneId = 5, strategy = { value } } } }), '"' .. value .. '"')
    end,
    ["Greeting.type"] = function(value)
      has(sent("hypers", "create_marketing_plan", plan{ greetings = { { type = value } } }), '"greetings":[{"type":"' .. value .. '"}]')
    end,
    ["Scene.sceneType"] = function(value)
      assert.equal(value, assert(read("hypers", "get_marketing_scene", { id = 1 }, '{"id":1,"sceneType":"' .. value .. '"}')).sceneType)
    end,
    ["Scene.statisticalMethod"] = scene("statisticalMethod"),
    ["MarketingTask.status"] = function(value)
      assert.equal(value, assert(read("hypers", "get_marketing_task", { taskId = 1 }, '{"id":1,"status":"' .. value .. '"}')).status)
    end,
    ["TaskMember.status"] = function(value)
      query("list_marketing_task_members", "status", { taskId = 1 })(value)
      assert.equal(value, assert(read("hypers", "list_marketing_task_members", { taskId = 1 }, PAGE:format(value))).content[1].status)
    end,
    ["TaskListSchema.type"] = function(value)
      local reply = assert(read("hypers", "get_marketing_task_schema", { id = 1 }, '[{"name":"n","type":"' .. value .. '"}]'))
      assert.equal(value, (reply[1] or reply.columns[1]).type)
    end,
    ["Sort.direction"] = function(value)
      local body = PAGE:format("X"):gsub('"sort":%[%]', '"sort":[{"direction":"' .. value .. '"}]')
      assert.equal(value, assert(read("hypers", "list_marketing_groups", {}, body)).sort[1].direction)
    end,
    ["Sort.nullHandling"] = function(value)
      local body = PAGE:format("X"):gsub('"sort":%[%]', '"sort":[{"nullHandling":"' .. value .. '"}]')
      assert.equal(value, assert(read("hypers", "list_marketing_groups", {}, body)).sort[1].nullHandling)
    end,
    ["oauth.grant_type"] = function(value)
      local operation = value == "password" and "oauth_obtain_token" or "oauth_refresh_token"
      has(sent("hypers", operation, value == "password" and { username = "u", password = "p" } or { refresh_token = "r" }),
        '"grant_type":"' .. value .. '"')
    end,
    ["oauth.token_type"] = function(value)
      local reply = assert(read("hypers", "oauth_refresh_token", { refresh_token = "r" }, json.encode{ access_token = "a", token_type = value,
        expires_in = 5, refresh_token = "b", scope = "all" }))
      assert.equal(value, reply.token_type)
    end,
    ["oauth.scope"] = function(value)
      local reply = assert(read("hypers", "oauth_refresh_token", { refresh_token = "r" }, json.encode{ access_token = "a",
        token_type = "bearer", expires_in = 5, refresh_token = "b", scope = value }))
      assert.equal(value, reply.scope)
    end,
    ["oauth.error"] = function(value)
      local result, err = read("hypers", "oauth_refresh_token", { refresh_token = "r" }, json.encode{ error = value },
        value == "invalid_client" and 401 or 400)
      assert.is_nil(result)
      assert.same({ value, "no" }, { err.code, err.sent })
    end,
    httpStatus = http_status("hypers", "get_marketing_plan", { id = 1 }, '{"id":1}'),
  },
  longlong = {
    ["data[].sex"] = function(value)
      has(sent("longlong", "import_customers_async", { user_id = "u", data = { { phone = "1", sex = tonumber(value) } } }), '"sex":' .. value)
    end,
    ["reply.status"] = function(value)
      local code = ({ success = 200, fail = 400, error = 500 })[value]
      local result, err = read("longlong", "import_customers_async", CUSTOMERS, json.encode{ code = code, status = value, message = "m",
        data = value == "success" and { unique_id = "u" } or nil }, code)
      assert.equal(value == "success", result ~= nil, tostring(err))
      assert.equal(value == "error" and "maybe" or value == "fail" and "no" or nil, err and err.sent)
    end,
    ["reply.code"] = function(value)
      local good = value == "200"
      local result, err = read("longlong", "import_customers_async", CUSTOMERS, json.encode{ code = tonumber(value),
        status = good and "success" or tonumber(value) < 500 and "fail" or "error", message = "m", data = good and { unique_id = "u" } or nil })
      assert.equal(good, result ~= nil, tostring(err))
      assert.equal(not good and tonumber(value) or nil, err and err.code)
    end,
  },
}

describe("every value of enums.tsv:", function()
  local seen = {}
  for line in io.lines("docs/contracts/enums.tsv") do
    local platform, name, value = line:match("^([^\t]+)\t([^\t]+)\t([^\t]+)\t")
    if platform and platform ~= "platform" then
      it(platform .. " " .. name .. " " .. value, function()
        seen[platform .. name] = true
        local look = LISTS[platform][name]
        assert(look, "nobody knows where these values go")
        look(value)
      end)
    end
  end

  it("and no list that the contracts do not have", function()
    for platform, lists in pairs(LISTS) do
      for name in pairs(lists) do
        assert(seen[platform .. name], platform .. " " .. name)
      end
    end
  end)
end)

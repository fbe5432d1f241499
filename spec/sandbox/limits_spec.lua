-- SPDX-License-Identifier: MIT
-- Values at and just beyond the limits of the documents, judged by both sides alike: what the client refuses before sending, the sandbox refuses
-- too when it comes from somebody else, and what the client sends, the sandbox takes. Where the contract wants the two sides to differ, the
-- spec of the rule says so.

local check = require "campaign.api.check"
local core = require "campaign.core"
local h = require "sandbox.helper"
local marketing = require "sandbox.marketing"
local platforms = require "campaign.api.platform"

local json = h.json

local SIXTY = ("𠀀"):rep(60) -- 120 UTF-16 code units
local TASK = { taskName = "t", taskType = "APPOINTMENT_REMINDER", scheduledStartTime = "2028-10-01 09:00:00" }

describe("limits", function()
  local headers, ids

  setup(function()
    h.start()
    headers = marketing.authorization()
    local function id(path, body)
      return json.encode(marketing.accepted(h.post("/api/v1/marketing-notice" .. path, headers, body)).id)
    end
    local group = id("/group", { name = "g" })
    local plan = id("", ('{"options":"RELEASE","data":{"name":"p","groupId":%s}}'):format(group))
    local scene = id("/scene", ('{"name":"s","statisticalMethod":"ONLY","prompt":"p","planId":%s}'):format(plan))
    ids = { group = group, plan = plan, scene = scene }
  end)
  teardown(function() h.stop() end)

  local function headers_of(platform)
    local account = h.accounts[platform]
    if platform == "hypers" then
      return headers
    elseif platform == "longlong" then
      return { Authorization = "Bearer " .. account.token }
    end
    return { [platform == "tuzhan" and "X-Token" or "token"] = account.token }
  end

  -- What the sandbox says to fields as somebody wrote them; ids as digits.
  local function sandbox_takes(platform, operation, fields)
    local body, path = {}, operation.path
    for name, value in pairs(fields) do
      if operation.fields[name].where == "path" then
        path = path:gsub("{" .. name .. "}", value)
      else
        body[name] = value
      end
    end
    local text = json.encode(body):gsub('"(%-?%d+)#"', "%1")
    local answer = h.post(path, headers_of(platform), text, operation.method)
    return (answer.json and answer.json.code or answer.status) == 200 or answer.status == 200 and platform ~= "outbound", answer.body
  end

  local function as_given(value)
    if type(value) ~= "table" then
      return type(value) == "string" and value:match("^(%-?%d+)#$") or value
    end
    local copy = {}
    for key, item in pairs(value) do
      copy[key] = as_given(item)
    end
    return copy
  end

  local function both(platform_name, name, fields, expected, what)
    local platform = assert(platforms.load(platform_name))
    local operation = platform.operations[name]
    local values, err = check.fields(platform, operation, as_given(fields))
    local is_taken, body = sandbox_takes(platform_name, operation, fields)
    assert.same({ expected, expected }, { values ~= nil, is_taken }, ("%s %s: %s; %s"):format(name, what, tostring(err), tostring(body)))
  end

  local function with(base, changes)
    local copy = {}
    for key, value in pairs(base) do
      copy[key] = value
    end
    for key, value in pairs(changes) do
      copy[key] = value
    end
    return copy
  end

  local function task(changes)
    return with(with(TASK, { contents = json.array{ { contentType = "TEXT", contentValue = "x" } }, members = json.array{ { userId = "u" } } }),
      changes)
  end

  local function each(name, make, taken, refused)
    local platform, operation = name:match("^(%w+)%.([%w_]+)$")
    for _, value in ipairs(taken) do
      both(platform, operation, make(value), true, "takes " .. tostring(value):sub(1, 40))
    end
    for _, value in ipairs(refused) do
      both(platform, operation, make(value), false, "refuses " .. tostring(value):sub(1, 40))
    end
  end

  it("R156 R157 of a task's name are counted in UTF-16 code units on both sides", function()
    each("hypers.create_notification_task", function(value) return task{ taskName = value } end,
      { "a", ("a"):rep(120), ("汉"):rep(120), SIXTY, ("😀"):rep(60), "a\r\nb", " a " }, { "", " ", "\t\r\n", ("a"):rep(121), ("汉"):rep(121),
        SIXTY .. "a" })
  end)

  it("R159 R160 R161 R163 R164 of times are real days and times of one day on both sides", function()
    each("hypers.create_notification_task", function(value) return task{ scheduledStartTime = value } end,
      { "2028-02-29 00:00:00", "2400-02-29 21:59:59", "9999-12-31 00:00:00" },
      { "2027-02-29 09:00:00", "2100-02-29 09:00:00", "2028-13-01 09:00:00", "2028-04-31 09:00:00", "2028-10-01 24:00:00", "2028-10-01 09:60:00",
        "2028-10-01 23:59:60", "2028-10-01 9:00:00", "2028-10-01T09:00:00", "2028-10-01 09:00", "2028-10-01 09:00:00Z", "2028-10-01 22:00:00", "" })
    each("hypers.create_notification_task", function(value) return task{ scheduledEndTime = value } end,
      { "2028-10-01 09:00:01", "2028-10-01 23:59:59" },
      { "2028-10-01 09:00:00", "2028-10-01 08:59:59", "2028-10-02 00:00:00", "2028-09-30 23:59:59", "2028-10-01" })
  end)

  it("R168 R170 of a content are 1024 code units, and URLs of pictures are absolute, on both sides", function()
    each("hypers.create_notification_task",
      function(value) return task{ contents = json.array{ { contentType = "TEXT", contentValue = value } } } end,
      { ("a"):rep(1024), ("汉"):rep(1024), ("𠀀"):rep(512), " " }, { "", ("a"):rep(1025), ("汉"):rep(1025), ("𠀀"):rep(513) })
    each("hypers.create_notification_task",
      function(value) return task{ contents = json.array{ { contentType = "IMAGE", contentValue = value } } } end,
      { "http://e.example", "HTTPS://E.EXAMPLE/a.png", "https://[::1]:8443/a?b=c#d", "https://e.example/" .. ("a"):rep(1006) },
      { "e.example/a", "//e.example/a", "ftp://e.example/a", "http://", "http:///a", "https://?a", "https://e.example/a b",
        "https://e.example/a\n", " " })
  end)

  it("R173 R178 R181 R182 of members and variables are read alike on both sides", function()
    local function content(text, members)
      return task{ contents = json.array{ { contentType = "TEXT", contentValue = text } }, members = json.array(members) }
    end
    local named = { userId = "u", name = "n", ["a{b"] = "x", ["{c"] = "y" }
    each("hypers.create_notification_task", function(text) return content(text, { named }) end,
      { "{{name}}", "{{ name }}", "{{\tname\n}}", "{{name", "name}}", "{ {name} }", "{{a{b}}", "{{{c}}}" }, { "{{Name}}", "{{n ame}}",
        "{{name}}{{x}}", "{{{name}}" })
    each("hypers.create_notification_task", function(members) return content("x", members) end,
      { { { ciq = "c" } }, { { userId = "u", memberId = "9223372036854775807#" } } },
      { {}, { { nickname = "n" } }, { { userId = "" } }, { { userId = 5 } }, { "u" }, { { userId = "u" }, {} }, { { userId = "u",
        memberId = "x" } } })
  end)

  it("R291 R296 of required texts are given, blank or not, and those of groups are not blank (R286), on both sides", function()
    each("hypers.create_marketing_scene",
      function(value) return { name = value, prompt = value, statisticalMethod = "ONLY", planId = ids.plan .. "#" } end, { "a", " ", "a\r\nb",
        ("汉"):rep(5000) }, { "" })
    each("hypers.update_marketing_scene", function(value) return { id = ids.scene, name = value, prompt = "p" } end, { "a", " " }, { "", 5, false })
    each("hypers.create_marketing_group", function(value) return { name = value } end, { "a", " a", "😀" }, { "", " ", "\r\n", 5 })
  end)

  it("R303 R304 R307 R308 of a plan are the same on both sides", function()
    local function plan(changes)
      return { options = "DRAFT", data = with({ name = "p", groupId = ids.group .. "#" }, changes) }
    end
    each("hypers.create_marketing_plan", plan,
      { { name = " " }, { replyDelay = 0 }, { replyDelay = 9007199254740991 }, { timeout = 999999999999999 }, { sceneIds = json.array() },
        { monitoringStrategy = json.array() }, { greetings = json.array{ { type = "TEXT", other = 1 } } },
        { monitoringStrategy = json.array{ { sceneId = ids.scene .. "#", strategy = json.array{ " " } } } } },
      { { name = "" }, { groupId = "x" }, { groupId = "0#" }, { replyDelay = -1 }, { replyDelay = 1.5 }, { replyDelay = "1" },
        { minReplyInterval = -9007199254740991 }, { unifiedReply = "true" }, { replyStrategy = "" }, { greetings = json.array{ {} } },
        { monitoringStrategy = json.array{ { sceneId = ids.scene .. "#", strategy = json.array() } } },
        { monitoringStrategy = json.array{ { sceneId = ids.scene .. "#", strategy = json.array{ "" } } } },
        { monitoringStrategy = json.array{ { strategy = json.array{ "X" } } } } })
  end)

  it("R375 R376 R379 R381 R382 R385 of customers are the same on both sides", function()
    local function rows(count)
      local list = json.array()
      for index = 1, count do
        list[index] = { phone = "1301212" .. index }
      end
      return list
    end
    local function import(row)
      return { user_id = h.accounts.longlong.user_id, encryption = false, data = json.array{ with({ phone = "1" }, row) } }
    end
    each("longlong.import_customers_async",
      function(count) return { user_id = h.accounts.longlong.user_id, encryption = false, data = rows(count) } end, { 1, 200 }, { 0, 201 })
    each("longlong.import_customers_async", import,
      { { phone = "cipher+/=" }, { phone = " " }, { name = "" }, { name = "𠀀😀\r\n" }, { sex = 0 }, { sex = 2 }, { sort = -1 },
        { source_id = 9007199254740991 },
        { components = json.array() } },
      { { phone = "" }, { phone = 13000000001 }, { sex = 3 }, { sex = -1 }, { sex = "1" }, { sort = 1.5 }, { sort = "1" }, { name = 5 },
        { extra = 5 },
        { components = json.array{ { value = "v" } } }, { components = json.array{ { id = "", value = "v" } } },
          { components = json.array{ { id = "x" } } } })
  end)

  it("R065 R083 R091 of lists are the same on both sides", function()
    local function list(value)
      return { abbreviate = "acme", dataSourceName = h.seeds.outbound.data_source, dataList = json.array(value) }
    end
    each("outbound.upload_contacts_json", list,
      { { json.array{ "a", "b", "13000000001", "" } }, { json.array{ "", "", "", "" } }, { json.array{ "a\r\nb", "😀", "𠀀", " " } } },
      { {}, { json.array() }, { "a" }, { json.array{ "a", 1, "b", "c" } }, { json.array{ "a", "b", "c", "d" }, json.array{ "a", "b" } } })
    each("outbound.upload_dnc_json",
      function(value) return { abbreviate = "acme", dataSourceName = h.seeds.outbound.dnc_data_source, dataList = json.array(value) } end,
      { { "a" }, { "a", "a" }, { " " } }, { {}, { "" }, { "a", "" }, { 1 }, { json.array{ "a" } } })
    local function relation(changes, row)
      return { publicParams = with({ isMatching = true, matchingType = 2, identifyWay = 1, optType = "add" }, changes),
        data = json.array(row or { { thirdId = "1", groups = "g" } }) }
    end
    each("tuzhan.batch_add_group_relations", relation, { {}, { identifyWay = 2 } },
      { { identifyWay = 3 }, { identifyWay = "1" }, { optType = "ADD" }, { optType = "" }, { optType = 1 }, { isMatching = "true" },
        { matchingType = 0 } })
    each("tuzhan.batch_add_group_relations", function(row) return relation({}, row) end, {}, { {} })
  end)

  it("R281 sandbox takes whole numbers however they are written, and answers 400 where they are no ids", function()
    local notices = "/api/v1/marketing-notice"
    for _, id in ipairs{ "1e20", "-1e20", "1e400", "9223372036854775808", "123456789012345678901234567890", "1.5", "-1", "0", "null", "true",
      "[]", '""' } do
      for path, body in pairs{
        [notices] = '{"options":"DRAFT","data":{"name":"p","groupId":%s}}',
        [notices .. "/scene"] = '{"name":"s","statisticalMethod":"ONLY","prompt":"p","planId":%s}',
        [notices .. "/" .. ids.plan .. "/task"] = '{"name":"b","startTime":"2028-10-01 09:00","fileIds":[%s]}',
        ["/api/v1/notification-tasks"] = '{"taskName":"t","taskType":"APPOINTMENT_REMINDER","scheduledStartTime":"2028-10-01 09:00:00",'
          .. '"contents":[{"contentType":"TEXT","contentValue":"x"}],"members":[{"memberId":%s}]}',
      } do
        local answer = h.post(path, headers, body:format(id))
        assert.equal(400, answer.status, path .. " " .. id .. " " .. tostring(answer.body))
      end
    end
    local answer = h.post(notices, headers, ('{"options":"DRAFT","data":{"name":"p","groupId":%s}}'):format(ids.group .. ".0"))
    assert.equal(200, answer.status)
    assert.equal(ids.group, core.json.encode(core.json.literal(json.encode(answer.json.groupId))))
  end)
end)

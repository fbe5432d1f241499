-- SPDX-License-Identifier: MIT
-- Holds what the sandbox replies against the OpenAPI documents of the folder: the client calls the sandbox through prism as a proxy,
-- which ends a call with an error when request or reply do not fit the document.
--   lua5.4 tools/openapi/replies.lua FOLDER      (started by tools/openapi_check)

local campaign = require "campaign"
local core = require "campaign.core"
local json = require "campaign.json"
local sandbox = require "campaign.sandbox"

local folder = assert(arg[1], "which folder?")
local failures, good = {}, 0

local PEOPLE = { { userId = "u-1", nickname = "王芳" }, { userId = "u-2", nickname = "李雷" } }

-- What is called in turn; each gets the replies so far by the operation's name.
local CALLS = {
  outbound = {
    { "get_contact_group_detail" },
    { "upload_contacts_json", function(seen)
      local group = seen.get_contact_group_detail.data[1]
      local row = {}
      for index, column in ipairs(group.customFields) do
        row[index] = column.name .. " 1"
      end
      return { dataSourceName = group.dataSourceName, dataList = { row } }
    end },
  },
  tuzhan = {
    { "batch_add_group_relations", function()
      return { publicParams = { isMatching = false, optType = "add" }, data = { { thirdId = "c-1", groups = { "VIP" } } } }
    end },
  },
  longlong = { { "import_customers_async", function() return { data = { { name = "王芳", phone = "13000001111" } } } end } },
  hypers = {
    { "create_marketing_group", function() return { name = "autumn" } end },
    { "list_marketing_groups", function() return { current = 0, size = 10 } end },
    { "get_marketing_group", function(seen) return { id = seen.create_marketing_group.id } end },
    { "update_marketing_group", function(seen) return { id = seen.create_marketing_group.id, name = "winter" } end },
    { "create_marketing_plan", function(seen)
      return { options = "DRAFT", data = { name = "visit", groupId = seen.create_marketing_group.id } }
    end },
    { "create_marketing_scene", function(seen)
      return { name = "agrees", statisticalMethod = "ONLY", prompt = "agrees to come", planId = seen.create_marketing_plan.id }
    end },
    { "list_marketing_scenes", function(seen) return { planId = seen.create_marketing_plan.id } end },
    { "get_marketing_scene", function(seen) return { id = seen.create_marketing_scene.id } end },
    { "list_marketing_plans", function() return { current = 0, size = 10 } end },
    { "get_marketing_plan", function(seen) return { id = seen.create_marketing_plan.id } end },
    { "get_marketing_plan_report", function(seen) return { id = seen.create_marketing_plan.id } end },
    { "get_marketing_task_schema", function(seen) return { id = seen.create_marketing_plan.id } end },
    { "list_marketing_tasks", function(seen) return { id = seen.create_marketing_plan.id } end },
    { "create_notification_task", function()
      return { taskName = "autumn", taskType = "APPOINTMENT_REMINDER", scheduledStartTime = "2026-10-01 12:00:00",
        contents = { { contentType = "TEXT", contentValue = "See you tomorrow." } }, members = PEOPLE }
    end },
    { "list_notification_tasks", function() return { taskType = "APPOINTMENT_REMINDER" } end },
    { "get_notification_task", function(seen) return { taskId = seen.create_notification_task.id } end },
    { "list_notification_executions", function(seen) return { taskId = seen.create_notification_task.id } end },
    { "terminate_notification_task", function(seen) return { taskId = seen.create_notification_task.id, reason = "wrong list" } end },
    { "delete_marketing_plan", function(seen) return { id = seen.create_marketing_plan.id } end },
  },
}

local function proxy(name, upstream, document)
  local log = folder .. "/proxy-" .. name .. ".log"
  local process = assert(core.system.spawn{ folder .. "/node_modules/.bin/prism", "proxy", "--errors", "-p", "0",
    document or folder .. "/" .. name .. ".json", upstream, pipe = true, stderr = log, group = true })
  while true do
    local line, err = process:read_line(120)
    if not line then
      process:close()
      error("prism does not stand before " .. name .. ": " .. tostring(err or "it ended; see " .. log))
    end
    local url = line:match("Prism is listening on (http://[%d.:]+)")
    if url then
      return process, url
    end
  end
end

local function run(name, given, document)
  local process, url = proxy(name, given.base_url, document)
  local account = {}
  for key, value in pairs(given) do
    account[key] = value
  end
  account.base_url, account.oauth_url = url, given.oauth_url and url or nil
  local client = assert(campaign.connect(name, account))
  local seen = {}
  for _, call in ipairs(CALLS[name]) do
    local well, reply, err = pcall(function()
      return client:call(call[1], call[2] and call[2](seen) or {}, { window = "ignore", timeout = 60 })
    end)
    if well and reply then
      seen[call[1]], good = reply, good + 1
    else
      failures[#failures + 1] = name .. "." .. call[1] .. ": " .. tostring(err or reply) .. " " .. tostring(err and err.body or "")
    end
  end
  client:close()
  process:close()
end

-- A document that says otherwise must make the same call fail, else nothing was held against anything.
local function control(given)
  local before = #failures
  local text = assert(core.system.read_file(folder .. "/longlong.json"))
  local document = assert(json.decode(text))
  for _, item in pairs(document.paths) do
    item.post.responses["200"].content["application/json"].schema = { type = "boolean" }
  end
  assert(core.system.write_atomic(folder .. "/wrong.json", assert(json.encode(document))))
  run("longlong", given, folder .. "/wrong.json")
  if #failures == before then
    failures[1] = "a reply that does not fit its document went through"
  else
    assert(table.remove(failures):find("VIOLATIONS", 1, true), "the control failed for another reason")
  end
end

local handle = assert(sandbox.start{ clock = "2026-10-01 10:00:00" })
local well, message = pcall(function()
  for _, name in ipairs{ "outbound", "tuzhan", "hypers", "longlong" } do
    run(name, handle.accounts[name])
  end
  control(handle.accounts.longlong)
end)
handle:stop()
if not well then
  failures[#failures + 1] = tostring(message)
end
print(("sandbox: %d replies fit their documents, %d do not"):format(good, #failures))
for _, text in ipairs(failures) do
  print("  " .. text)
end
os.exit(#failures == 0 and 0 or 1)

-- SPDX-License-Identifier: MIT
-- The autumn campaign: one contact list into four platforms. Accounts come from the environment or the accounts file; `make demo`
-- runs it against the sandbox. Usage: lua5.4 examples/autumn_campaign.lua [DAY, as 2026-10-09]

local campaign = require "campaign"

local data = arg[0]:gsub("[^/]+$", "") .. "data/"
local people = data .. "contacts.csv"
local day = arg[1] or os.date("%Y-%m-%d")
local window = os.getenv("AUTUMN_WINDOW") or "wait" -- what to do while a platform is closed

local function import(options)
  options.window = window
  local result = assert(campaign.import(options))
  print(options.to .. ": " .. campaign.summary(result))
  return result
end

-- outbound: into which list? Then the people as a GBK file, and those who must not be called.
local outbound = assert(campaign.connect("outbound"))
local lists = {}
for _, group in ipairs(assert(outbound:get_contact_group_detail()).data) do
  lists[group.type] = lists[group.type] or group.dataSourceName -- type 0: contacts, type 1: do not call
end
local check = { phone = "mobile_cn" }
import{ source = people, to = "outbound.upload_contacts_file", check = check, map = { company = "公司" },
  params = { dataSourceName = lists[0] } }
import{ source = data .. "dnc.csv", to = "outbound.upload_dnc_json", params = { dataSourceName = lists[1] } }

-- longlong: the same people as customers, 200 in a call. tuzhan: their groups.
import{ source = people, to = "longlong.import_customers_async", check = check }
import{ source = people, to = "tuzhan.batch_add_group_relations", check = check, split = { groups = ";" },
  params = { publicParams = { isMatching = false, optType = "add" } } }

-- hypers: a picture, and a task that sends it with a text to the first 200.
local hypers = assert(campaign.connect("hypers"))
local picture = assert(hypers:upload_file({ file = data .. "poster.png" }, { accept_public_file = true }))
local members = {}
for number, row in assert(campaign.rows(people)) do
  members[number] = { userId = row.uuid, nickname = row["姓名"], name = row["姓名"] }
  if number == 200 then break end
end
local task = assert(hypers:create_notification_task{
  taskName = "秋季活动 " .. day, taskType = "APPOINTMENT_REMINDER", scheduledStartTime = day .. " 10:30:00", members = members,
  contents = {
    { contentType = "TEXT", contentValue = "{{name}}，您好！秋季新品已到店，期待您的光临。" },
    { contentType = "IMAGE", contentValue = hypers:image_url(picture.id) },
  },
})
assert(hypers:wait("notification_task_finished", { taskId = task.id }, { delay = 1, deadline = "12h" }))
local outcomes = {}
for _, execution in ipairs(assert(hypers:all("list_notification_executions", { taskId = task.id, size = 100 }))) do
  outcomes[execution.status] = (outcomes[execution.status] or 0) + 1
end
print(("hypers.create_notification_task: finished\n  %d notified, %d failed"):format(outcomes.SUCCESS or 0, outcomes.FAILED or 0))

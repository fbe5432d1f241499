-- SPDX-License-Identifier: MIT
-- Notification tasks of HYPERS: creating, looking at one, terminating. Their life (PENDING → EXECUTING →
-- COMPLETED, or TERMINATED by a call) is hypers_life.lua's, lists and executions are hypers_lists.lua's.

local body = require "campaign.sandbox.body"
local checks = require "campaign.sandbox.hypers_checks"
local clock = require "campaign.sandbox.clock"
local files = require "campaign.sandbox.hypers_files"
local json = require "campaign.sandbox.json"
local life = require "campaign.sandbox.hypers_life"
local state_of = require "campaign.sandbox.state"
local xlsx = require "campaign.sandbox.xlsx"

local M = { handlers = {} }

-- Creation ----------------------------------------------------------------------------------------

local KNOWN = {
  "taskName", "taskType", "scheduledStartTime", "scheduledEndTime", "contents", "fileIds", "members",
}

local function given_list(value)
  return json.is_array(value) and #value > 0 and value or nil
end

local function fault(field, text)
  return { field = field, reason = "invalid", text = text }
end

-- The members of the files, or a fault.
local function members_of_files(self, ids, variables)
  local app, members = self.app, {}
  for i, value in ipairs(ids) do
    local at = "fileIds[" .. (i - 1) .. "]"
    local id = json.is_integer(value) and json.integer_text(value)
    local file = id and app.state.hypers.files[id]
    if not file then
      if app:on("R175") then
        return nil, fault(at, "no such file")
      end
    else
      local sheet, why = xlsx.read(files.path(self, id))
      if not sheet then
        if app:on("R191") then
          return nil, fault(at, why)
        end
        sheet = { columns = {}, rows = {} }
      end
      local bad = (#sheet.columns > 0 or app:on("R191")) and checks.columns(app, sheet, at, variables)
      if bad then
        return nil, bad
      end
      for _, row in ipairs(sheet.rows) do
        members[#members + 1] = row
      end
    end
  end
  return members
end

local function members_of(self, fields, variables)
  local app = self.app
  local ids, list = given_list(fields.fileIds), given_list(fields.members)
  if ids and list and app:on("R173") then
    return nil, fault("members", "give either fileIds or members, not both")
  elseif not ids and not list and app:on("R174") then
    return nil, fault("members", "give either fileIds or members")
  end
  if ids then
    return members_of_files(self, ids, variables)
  end
  list = list or {}
  local bad = checks.members(app, list, variables)
  if bad then
    return nil, bad
  end
  return list
end

local function text_of(value)
  return type(value) == "string" and value ~= "" and value or nil
end

-- What the task keeps of each member: an id for the executions, and a name to show (R192 to R194).
local function keep_members(self, members)
  local app, kept = self.app, json.array()
  for i, member in ipairs(members) do
    local id = member.memberId
    if id ~= nil and json.is_integer(id) then
      id = json.integer_text(id)
    elseif type(id) ~= "string" or not state_of.is_id(id) then
      id = self:new_id()
    end
    local nickname = app:on("R192") and text_of(member.nickname)
    local other = app:on("R193") and (text_of(member.userId) or text_of(member.ciq)) or nil
    local name = nickname or other
    if nickname and not app:on("R194") then
      name = nickname .. "(" .. nickname .. ")"
    end
    kept[i] = { id = id, name = name or id }
  end
  return kept
end

local function checked(self, fields)
  local app = self.app
  local bad = checks.task_name(app, fields.taskName) or checks.task_type(app, fields.taskType)
  if bad then
    return nil, bad
  end
  local start, stop = checks.times(app, fields)
  if not start then
    return nil, stop
  end
  local contents, why = checks.contents(app, fields.contents)
  if not contents then
    return nil, why
  end
  local members
  members, why = members_of(self, fields, checks.variables(app, contents))
  if not members then
    return nil, why
  end
  local given = given_list(fields.fileIds)
  return {
    name = fields.taskName, task_type = fields.taskType, start = start, stop = stop, contents = contents,
    file_ids = given and fields.fileIds or json.array(), members_sent = given and json.array() or fields.members,
  }, members
end

local function show_created(self, id, task)
  local app = self.app
  local value = json.ordered("id", self:id_value(id), "createTime", clock.format(task.created),
    "lastUpdateTime", clock.format(task.updated), "taskName", task.name, "taskType", task.task_type,
    "status", app:on("R189") and "PENDING" or life.status_of(app, task), "scheduledStartTime", clock.format(task.start),
    "scheduledEndTime", clock.format(task.stop),
    "totalMembers", app:on("R190") and #task.members or 0)
  return app:on("R188") and value or json.drop(value, "lastUpdateTime")
end

local function store(self, task)
  local id = self:new_id()
  task.created = math.floor(self.app.clock:now())
  task.updated = task.created
  self.app.state.hypers.tasks[id] = task
  self.app:changed()
  return id
end

function M.handlers.create_notification_task(self, request)
  local app = self.app
  if not app:on("R187") then
    request.body.text = (request.body.text or ""):gsub("%s//[^\n]*", "")
  end
  local fields, why = body.json(app, request, KNOWN)
  if not fields then
    return self:bad_body(why)
  end
  local task, members = checked(self, fields)
  if not task then
    if not app:on("R195") then
      store(self, {
        name = "refused", task_type = fields.taskType, start = 0, stop = 0, contents = json.array(),
        file_ids = json.array(), members_sent = json.array(), members = json.array(),
      })
    end
    return self:bad(members.field, members.reason, members.text)
  end
  task.members = keep_members(self, members)
  local id = store(self, task)
  for i, member in ipairs(members) do
    app:commit(request, id, { id = task.members[i].id, row = member })
  end
  return self:success(request, show_created(self, id, task))
end

-- Looking at one task -----------------------------------------------------------------------------

---The task that the path names and its id, or nil and the refusal.
function M.find(self, request)
  local id = request.params.taskId
  local task = self.app.state.hypers.tasks[id]
  if not task then
    return nil, self:refuse(self.app:on("R284") and 404 or 400, "no such task")
  end
  return task, id
end

---The contents as the document prints them: other names in the detail than in the list (R198).
function M.show_contents(self, task, detail)
  local list = json.array()
  for i, content in ipairs(task.contents) do
    if detail and self.app:on("R198") then
      list[i] = json.ordered("type", content.contentType, "value", content.contentValue)
    else
      list[i] = json.ordered("contentType", content.contentType, "contentValue", content.contentValue)
    end
  end
  return list
end

---What the detail and the list have in common.
function M.summary(self, id, task)
  return json.ordered("id", self:id_value(id), "taskName", task.name, "taskType", task.task_type,
    "status", life.status_of(self.app, task), "scheduledStartTime", clock.format(task.start),
    "scheduledEndTime", clock.format(task.stop))
end

function M.handlers.get_notification_task(self, request)
  local app = self.app
  local task, id = M.find(self, request)
  if not task then
    return id
  end
  local value = M.summary(self, id, task)
  if app:on("R196") then
    local done = app:on("R197") and life.success_count(app, task) or 0
    json.put(value, "statistics", json.ordered("totalMembers", #task.members, "successCount", done))
  end
  json.put(value, "contents", M.show_contents(self, task, true))
  if app:on("R200") or #task.file_ids > 0 then
    json.put(value, "fileIds", task.file_ids)
  end
  if app:on("R200") or #task.members_sent > 0 then
    json.put(value, "members", task.members_sent)
  end
  return self:success(request, value)
end

function M.handlers.terminate_notification_task(self, request)
  local app = self.app
  local task, id = M.find(self, request)
  if not task then
    return id
  end
  local text = request.body.text or ""
  if text ~= "" or not app:on("R209") then
    local fields, why = body.json(app, request, { "reason" })
    if not fields then
      return self:bad_body(why)
    elseif fields.reason ~= nil and type(fields.reason) ~= "string" then
      return self:bad("reason", "invalid", "expected a text")
    elseif not app:on("R209") and not text_of(fields.reason) then
      return self:bad("reason", "required", "required")
    end
  end
  local before = life.status_of(app, task)
  if before ~= "PENDING" and before ~= "EXECUTING" and app:on("R211") then
    return self:bad("status", "invalid", "the task is " .. before)
  end
  task.terminated = app.clock:now()
  task.updated = math.floor(task.terminated)
  app:commit(request, id, { mode = "terminate" })
  app:changed()
  local now = app:on("R210") and "TERMINATED" or before
  return self:success(request, json.ordered("previousStatus", before, "currentStatus", now))
end

return M

-- SPDX-License-Identifier: MIT
-- Notification tasks of HYPERS: creation, the life that the clock drives (PENDING → EXECUTING → COMPLETED, or
-- TERMINATED by a call), lists and executions. Nothing runs in the background: whoever looks at a task sees what
-- the time has made of it. A member is tried every `hypers.seconds_per_member`, every `hypers.fail_every`-th fails.

local body = require "campaign.sandbox.body"
local checks = require "campaign.sandbox.hypers_checks"
local clock = require "campaign.sandbox.clock"
local files = require "campaign.sandbox.hypers_files"
local json = require "campaign.sandbox.json"
local state_of = require "campaign.sandbox.state"
local xlsx = require "campaign.sandbox.xlsx"

local M = { handlers = {} }

local STATUSES = { PENDING = true, EXECUTING = true, COMPLETED = true, TERMINATED = true }

-- The life of a task ------------------------------------------------------------------------------

-- The moment up to which members are tried, and how many were by then.
local function progress(app, task)
  local settings = app.state.settings
  local from = math.max(task.start, task.created)
  local now = app.clock:now()
  if task.terminated and app:on("R212") then
    now = math.min(now, task.terminated)
  end
  local stop = app:on("R206") and math.min(now, task.stop) or now
  local tried = 0
  if now >= task.start then
    local step = settings["hypers.seconds_per_member"]
    tried = step > 0 and math.floor((stop - from) / step) or #task.members
  end
  return math.max(0, math.min(tried, #task.members)), from
end

local function status_of(app, task)
  local now = app.clock:now()
  if task.terminated then
    return "TERMINATED"
  elseif now < task.start or not app:on("R204") then
    return app:on("R189") and "PENDING" or "EXECUTING"
  end
  if progress(app, task) >= #task.members and app:on("R205") then
    return "COMPLETED"
  elseif now >= task.stop and app:on("R206") then
    return app:on("R207") and "COMPLETED" or "TERMINATED"
  end
  return "EXECUTING"
end

-- What became of one member: status, time of the notification, reason of a failure.
local function execution_of(app, task, number, tried, from)
  if number > tried then
    return "PENDING"
  end
  local every = app.state.settings["hypers.fail_every"]
  if every > 0 and number % every == 0 then
    return "FAILED", nil, "unreachable"
  end
  local step = app.state.settings["hypers.seconds_per_member"]
  return "SUCCESS", from + number * step
end

local function success_count(app, task)
  local tried = progress(app, task)
  local every = app.state.settings["hypers.fail_every"]
  return tried - (every > 0 and math.floor(tried / every) or 0)
end

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
    elseif type(id) ~= "string" or not id:find("^%d+$") then
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
    "status", status_of(app, task), "scheduledStartTime", clock.format(task.start),
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
    return self:bad("body", "invalid", why)
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

local function find(self, request)
  local id = request.params.taskId
  local task = self.app.state.hypers.tasks[id]
  if not task then
    return nil, self:refuse(self.app:on("R284") and 404 or 400, "no such task")
  end
  return task, id
end

local function show_contents(self, task, detail)
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

local function summary(self, id, task)
  return json.ordered("id", self:id_value(id), "taskName", task.name, "taskType", task.task_type,
    "status", status_of(self.app, task), "scheduledStartTime", clock.format(task.start),
    "scheduledEndTime", clock.format(task.stop))
end

function M.handlers.get_notification_task(self, request)
  local app = self.app
  local task, id = find(self, request)
  if not task then
    return id
  end
  local value = summary(self, id, task)
  if app:on("R196") then
    local done = app:on("R197") and success_count(app, task) or 0
    json.put(value, "statistics", json.ordered("totalMembers", #task.members, "successCount", done))
  end
  json.put(value, "contents", show_contents(self, task, true))
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
  local task, id = find(self, request)
  if not task then
    return id
  end
  local text = request.body.text or ""
  if text ~= "" or not app:on("R209") then
    local fields, why = body.json(app, request, { "reason" })
    if not fields then
      return self:bad("body", "invalid", why)
    elseif fields.reason ~= nil and type(fields.reason) ~= "string" then
      return self:bad("reason", "invalid", "expected a text")
    elseif not app:on("R209") and not text_of(fields.reason) then
      return self:bad("reason", "required", "required")
    end
  end
  local before = status_of(app, task)
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

-- Lists -------------------------------------------------------------------------------------------

local function first(request, name)
  return request.query[name] and request.query[name][1]
end

-- `current` and `size` of a list, or a refusal. `limit_rule` is the rule that bounds the size.
local function paging(self, request, limit_rule, default_rule)
  local app = self.app
  local current, size = first(request, "current"), first(request, "size")
  if app:on("R223") and current and not current:find("^%d+$") then
    return nil, self:bad("current", "invalid", "expected a number from 0")
  end
  if app:on("R223") and size and (not size:find("^%d+$") or tonumber(size) < 1) then
    return nil, self:bad("size", "invalid", "expected 1 to 100")
  end
  if app:on("R223") and app:on(limit_rule) and size and tonumber(size) > 100 then
    return nil, self:bad("size", "invalid", "expected 1 to 100")
  end
  local default = app:on(default_rule) and 20 or 10
  local page = tonumber(current) or (app:on("R221") and 0 or 1)
  if not app:on("R220") then
    page = page - 1
  end
  return { current = math.max(page, 0), size = math.max(tonumber(size) or default, 1), shown = tonumber(current) or page }
end

local function page_of(app, list, paging_of)
  local from = paging_of.current * paging_of.size
  local records = json.array()
  if from >= #list and not app:on("R225") then
    from = 0
  end
  for i = from + 1, math.min(from + paging_of.size, #list) do
    records[#records + 1] = list[i]
  end
  return records, json.ordered("current", paging_of.shown, "size", paging_of.size, "total", #list)
end

local function list_filter(self, request)
  local app = self.app
  local filter = {
    task_type = first(request, "taskType"), status = first(request, "status"),
  }
  if not filter.task_type and app:on("R213") then
    return nil, self:bad("taskType", "required", "required")
  elseif filter.task_type and not checks.TASK_TYPES[filter.task_type] and app:on("R215") then
    return nil, self:bad("taskType", "invalid", "unknown")
  elseif filter.status and not STATUSES[filter.status] and app:on("R215") then
    return nil, self:bad("status", "invalid", "unknown")
  end
  for _, name in ipairs{ "startTime", "endTime" } do
    local text = first(request, name)
    filter[name] = text and clock.parse(text)
    if text and not filter[name] and app:on("R215") then
      return nil, self:bad(name, "invalid", "expected yyyy-MM-dd HH:mm:ss")
    end
  end
  return filter
end

local function matches(app, task, filter)
  if app:on("R214") then
    if filter.task_type and task.task_type ~= filter.task_type then
      return false
    elseif filter.status and status_of(app, task) ~= filter.status then
      return false
    end
  end
  if app:on("R216") then
    if filter.startTime and task.start < filter.startTime then
      return false
    elseif filter.endTime and task.start > filter.endTime then
      return false
    end
  end
  return true
end

function M.handlers.list_notification_tasks(self, request)
  local app = self.app
  local filter, refused = list_filter(self, request)
  if not filter then
    return refused
  end
  local pages
  pages, refused = paging(self, request, "R224", "R224")
  if not pages then
    return refused
  end
  local ids = {}
  for id, task in pairs(app.state.hypers.tasks) do
    if matches(app, task, filter) then
      ids[#ids + 1] = id
    end
  end
  table.sort(ids, function(a, b)
    if app:on("R219") then
      return state_of.id_before(a, b)
    end
    return state_of.id_before(b, a)
  end)
  local records, page = page_of(app, ids, pages)
  for i, id in ipairs(records) do
    local task = app.state.hypers.tasks[id]
    records[i] = json.put(summary(self, id, task), "contents", show_contents(self, task, false))
  end
  if not app:on("R218") then
    page = json.drop(page, "size")
  end
  return self:success(request, json.ordered("page", page, "records", records))
end

-- Executions --------------------------------------------------------------------------------------

local ORDER_FIELDS = { executeTime = true, status = true }

local function execution_order(self, request)
  local app = self.app
  local field, direction = first(request, "orderBy"), first(request, "orderDirection")
  if app:on("R226") then
    if field and not ORDER_FIELDS[field] then
      return nil, self:bad("orderBy", "invalid", "expected executeTime or status")
    elseif direction and direction ~= "ASC" and direction ~= "DESC" then
      return nil, self:bad("orderDirection", "invalid", "expected ASC or DESC")
    end
  end
  return { field = ORDER_FIELDS[field] and field, descending = direction == "DESC" }
end

-- Equal keys by memberId, null times last in ASC (R227); without a field in member order.
local function sort_executions(app, list, order)
  if not order.field or not app:on("R226") then
    if order.field == nil and not app:on("R227") then
      table.sort(list, function(a, b)
        return a.number > b.number
      end)
    end
    return
  end
  local key = order.field == "status" and "status" or "at"
  table.sort(list, function(a, b)
    local left, right = a[key], b[key]
    if left ~= right then
      if left == nil or right == nil then
        return (right == nil) == (not order.descending) and left ~= right
      end
      if order.descending then
        return left > right
      end
      return left < right
    end
    if app:on("R227") then
      return state_of.id_before(a.id, b.id)
    end
    return state_of.id_before(b.id, a.id)
  end)
end

local function show_execution(self, item)
  local app, listed = self.app, self.app.rules:form("executions-list")
  local status = item.status
  if status == "SUCCESS" and (app.rules:form("executions-completed") or not app:on("R229")) then
    status = "COMPLETED"
  end
  local time = item.at and clock.format(item.at) or json.null
  if not app:on("R228") then
    time = clock.format(item.at or 0)
  end
  local reason = item.reason
  if not app:on("R230") then
    reason = reason or "none"
  end
  return json.ordered("memberId", self:id_value(item.id), "memberName", item.name, "status", status,
    listed and "notificationTime" or "executeTime", time, "failureReason", reason)
end

function M.handlers.list_notification_executions(self, request)
  local app = self.app
  local task, id = find(self, request)
  if not task then
    return id
  end
  local pages, refused = paging(self, request, "R222", "R222")
  if not pages then
    return refused
  end
  local order
  order, refused = execution_order(self, request)
  if not order then
    return refused
  end
  local tried, from = progress(app, task)
  local list = {}
  for i, member in ipairs(task.members) do
    local status, at, reason = execution_of(app, task, i, tried, from)
    list[i] = { number = i, id = member.id, name = member.name, status = status, at = at, reason = reason }
  end
  sort_executions(app, list, order)
  local records, page = page_of(app, list, pages)
  for i, item in ipairs(records) do
    records[i] = show_execution(self, item)
  end
  if app.rules:form("executions-list") then
    return self:success(request, json.ordered("task_id", self:id_value(id), "total_members", #task.members,
      "executions", records))
  end
  return self:success(request, json.ordered("page", page, "records", records))
end

return M

-- SPDX-License-Identifier: MIT
-- The lists of HYPERS' notification part: tasks by type, status and time, and the executions of one task, in pages
-- that count from 0.

local checks = require "campaign.sandbox.hypers_checks"
local clock = require "campaign.sandbox.clock"
local json = require "campaign.sandbox.json"
local life = require "campaign.sandbox.hypers_life"
local pages = require "campaign.sandbox.hypers_pages"
local state_of = require "campaign.sandbox.state"
local tasks = require "campaign.sandbox.hypers_tasks"

local M = { handlers = {} }

local STATUSES = { PENDING = true, EXECUTING = true, COMPLETED = true, TERMINATED = true }

local first = pages.first

-- `current` and `size` of a list, or a refusal. `limit_rule` is the rule that bounds the size.
local function paging(self, request, limit_rule, default_rule)
  local app = self.app
  local current, size = first(request, "current"), first(request, "size")
  if app:on("R223") and current and not pages.is_number(current, 0) then
    return nil, self:bad("current", "invalid", "expected 0 to 2147483647")
  end
  if app:on("R223") and size and not pages.is_number(size, 1) then
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
  return {
    current = math.max(page, 0), size = math.max(tonumber(size) or default, 1), shown = tonumber(current) or page,
  }
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
    elseif filter.status and life.status_of(app, task) ~= filter.status then
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
  local asked
  asked, refused = paging(self, request, "R224", "R224")
  if not asked then
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
  local records, page = page_of(app, ids, asked)
  for i, id in ipairs(records) do
    local task = app.state.hypers.tasks[id]
    records[i] = json.put(tasks.summary(self, id, task), "contents", tasks.show_contents(self, task, false))
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
        return (right == nil) == not order.descending
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
  local task, id = tasks.find(self, request)
  if not task then
    return id
  end
  local asked, refused = paging(self, request, "R222", "R222")
  if not asked then
    return refused
  end
  local order
  order, refused = execution_order(self, request)
  if not order then
    return refused
  end
  local tried, from = life.progress(app, task)
  local list = {}
  for i, member in ipairs(task.members) do
    local status, at, reason = life.execution_of(app, i, tried, from)
    list[i] = { number = i, id = member.id, name = member.name, status = status, at = at, reason = reason }
  end
  sort_executions(app, list, order)
  local records, page = page_of(app, list, asked)
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

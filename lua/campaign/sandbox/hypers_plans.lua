-- SPDX-License-Identifier: MIT
-- Marketing plans of HYPERS: DRAFT or RELEASE, terminated and enabled again, listed inside their groups. Their tasks
-- (batches) are hypers_batches.lua's.

local batches = require "campaign.sandbox.hypers_batches"
local groups = require "campaign.sandbox.hypers_groups"
local json = require "campaign.sandbox.json"
local pages = require "campaign.sandbox.hypers_pages"

local M = { handlers = {} }

-- A row shows groupId and groupName; the group's own names are taken too.
local SORTABLE = { groupId = true, groupName = true, id = true, createTime = true, lastUpdateTime = true, name = true }
local STATUSES = { DRAFT = true, EXECUTION = true, TERMINATION = true, COMPLETE = true }
local REPLY_STRATEGIES = {
  CONSULTANT_CONTINUE_AFTER_REPLY = true, CONSULTANT_NO_FURTHER_REPLY = true, AI_HOSTING_END_AFTER_REPLY = true,
}
-- The fields of a plan's data in the order of its reply, with their JSON types.
local FIELDS = {
  { "description", "text" }, { "startTime", "text" }, { "endTime", "text" }, { "replyStrategy", "text" },
  { "replyDelay", "whole" }, { "unifiedReply", "boolean" }, { "segmentSeparator", "text" },
  { "minReplyInterval", "whole" }, { "prompt", "text" }, { "backgroundInfo", "text" }, { "timeInfo", "text" },
  { "referenceCase", "text" }, { "timeoutWakeUp", "boolean" }, { "timeout", "whole" }, { "timeoutPrompt", "text" },
}

-- Checks ----------------------------------------------------------------------------------------------

local function bad_value(app, name, kind, value)
  if kind == "text" and type(value) ~= "string" then
    return "expected a text"
  elseif kind == "boolean" and type(value) ~= "boolean" then
    return "expected true or false"
  elseif kind == "whole" and app:on("R307") and not (json.is_integer(value) and not json.integer_text(value):find("^-[1-9]")) then
    return "expected a whole number from 0"
  elseif name == "replyStrategy" and app:on("R306") and not REPLY_STRATEGIES[value] then
    return "unknown strategy"
  end
  return nil
end

local function is_scene(self, value)
  local id = groups.id_of(value)
  return (id and self.app.state.hypers.scenes[id] ~= nil) or not self.app:on("R310")
end

local function bad_monitoring(self, list)
  local app = self.app
  if not json.is_array(list) then
    return self:bad("data.monitoringStrategy", "invalid", "expected an array")
  end
  for i, item in ipairs(list) do
    local at = "data.monitoringStrategy[" .. (i - 1) .. "]"
    local strategy = json.is_object(item) and item.strategy
    if app:on("R308") then
      if not json.is_object(item) or item.sceneId == nil then
        return self:bad(at .. ".sceneId", "required", "required")
      elseif not json.is_array(strategy) or #strategy == 0 then
        return self:bad(at .. ".strategy", "required", "at least one")
      end
    end
    for _, word in ipairs(json.is_array(strategy) and strategy or {}) do
      local known = app:on("R309") or word == "AI_SERVICE_END_UNTIL_RESTART"
      if not groups.is_given(word) or not known then
        return self:bad(at .. ".strategy", "invalid", "expected texts that are not empty")
      end
    end
    if json.is_object(item) and item.sceneId ~= nil and not is_scene(self, item.sceneId) then
      return self:bad(at .. ".sceneId", "invalid", "no such scene")
    end
  end
  return nil
end

local function bad_greetings(self, list)
  local app = self.app
  if not json.is_array(list) then
    return self:bad("data.greetings", "invalid", "expected an array")
  end
  for i, item in ipairs(list) do
    local kind = json.is_object(item) and item.type
    if app:on("R311") and kind ~= "IMAGE" and kind ~= "TEXT" then
      return self:bad("data.greetings[" .. (i - 1) .. "].type", "invalid", "expected IMAGE or TEXT")
    end
  end
  return nil
end

local function bad_scene_ids(self, list)
  if not json.is_array(list) then
    return self:bad("data.sceneIds", "invalid", "expected an array")
  end
  for i, value in ipairs(list) do
    if not is_scene(self, value) then
      return self:bad("data.sceneIds[" .. (i - 1) .. "]", "invalid", "no such scene")
    end
  end
  return nil
end

local function bad_data(self, data)
  local app = self.app
  if app:on("R304") then
    if not groups.is_given(data.name) then
      return self:bad("data.name", "required", "required")
    elseif groups.id_of(data.groupId) == nil then
      return self:bad("data.groupId", "required", "required")
    end
  end
  local group_id = groups.id_of(data.groupId)
  if app:on("R305") and not (group_id and app.state.hypers.groups[group_id]) then
    return self:bad("data.groupId", "invalid", "no such group")
  end
  for _, field in ipairs(FIELDS) do
    local value = data[field[1]]
    local why = value ~= nil and bad_value(app, field[1], field[2], value)
    if why then
      return self:bad("data." .. field[1], "invalid", why)
    end
  end
  return (data.monitoringStrategy ~= nil and bad_monitoring(self, data.monitoringStrategy))
    or (data.greetings ~= nil and bad_greetings(self, data.greetings))
    or (data.sceneIds ~= nil and bad_scene_ids(self, data.sceneIds)) or nil
end

-- The options and data of a request, or nil and the refusal.
local function read_input(self, request)
  local app = self.app
  local fields, refused = groups.fields(self, request, { "options", "data" })
  if not fields then
    return nil, refused
  end
  if app:on("R303") then
    if fields.options ~= "DRAFT" and fields.options ~= "RELEASE" then
      return nil, self:bad("options", "invalid", "expected DRAFT or RELEASE")
    elseif not json.is_object(fields.data) then
      return nil, self:bad("data", "required", "required")
    end
  end
  local data = json.is_object(fields.data) and fields.data or {}
  refused = bad_data(self, data)
  if refused then
    return nil, refused
  end
  return tostring(fields.options or "DRAFT"), data
end

-- Plans -----------------------------------------------------------------------------------------------

-- The plan with its 23 fields (R315).
local function show(self, plan)
  local app, data = self.app, plan.data
  local value = json.ordered("id", self:id_value(plan.id), "groupId", self:id_value(plan.group_id))
  local stamped = groups.stamped(self, plan)
  for _, name in ipairs{ "createTime", "lastUpdateTime", "name" } do
    json.put(value, name, stamped.values[name])
  end
  for _, field in ipairs(FIELDS) do
    local given = data[field[1]]
    if (field[1] == "startTime" or field[1] == "endTime") and given and not app:on("R314") then
      given = given .. ":00"
    end
    if given == nil then
      given = json.null
    end
    json.put(value, field[1], given)
  end
  json.put(value, "monitoringStrategy", data.monitoringStrategy or json.array())
  json.put(value, "status", plan.status)
  json.put(value, "greetings", app:on("R311") and data.greetings or json.array())
  if not app:on("R315") then
    json.put(value, "sceneIds", data.sceneIds or json.array())
  end
  return value
end

local function apply(self, plan, options, data)
  batches.advance_all(self)
  plan.name, plan.group_id, plan.data = tostring(data.name or ""), groups.id_of(data.groupId) or "0", data
  plan.status = options == "RELEASE" and self.app:on("R316") and "EXECUTION" or "DRAFT"
end

function M.handlers.create_marketing_plan(self, request)
  local options, data = read_input(self, request)
  if not options then
    return data
  end
  local plan = {}
  apply(self, plan, options, data)
  groups.store(self, "plans", plan)
  self.app:commit(request, "plans", { id = plan.id, mode = options, row = data })
  return self:success(request, show(self, plan))
end

local function find(self, request)
  return groups.find(self, "plans", request.params.id)
end

local function wrong_state(self, plan)
  return self:bad("status", "invalid", "the plan is " .. plan.status)
end

function M.handlers.update_marketing_plan(self, request)
  local app = self.app
  local plan, refused = find(self, request)
  if not plan then
    return refused
  end
  local options, data = read_input(self, request)
  if not options then
    return data
  end
  if app:on("R319") and plan.status ~= "DRAFT" and plan.status ~= "TERMINATION" then
    return wrong_state(self, plan)
  end
  apply(self, plan, options, data)
  groups.touch(self, plan)
  if app.rules:form("plan-new-id") or not app:on("R318") then
    batches.move(self, plan, self:new_id())
  end
  app:commit(request, "plans", { id = plan.id, mode = options, row = data })
  return self:success(request, show(self, plan))
end

function M.handlers.get_marketing_plan(self, request)
  local plan, refused = find(self, request)
  return refused or self:success(request, show(self, plan))
end

function M.handlers.delete_marketing_plan(self, request)
  local app = self.app
  local plan, refused = find(self, request)
  if not plan then
    return refused
  elseif app:on("R319") and plan.status == "EXECUTION" then
    return wrong_state(self, plan)
  end
  if app:on("R323") then
    batches.drop(self, plan)
  end
  app:commit(request, "plans", { id = plan.id, mode = "delete" })
  app:changed()
  return groups.nothing(self, request)
end

function M.handlers.terminate_marketing_plan(self, request)
  local app = self.app
  local plan, refused = find(self, request)
  if not plan then
    return refused
  elseif app:on("R320") and plan.status ~= "EXECUTION" then
    return wrong_state(self, plan)
  end
  batches.advance_all(self)
  plan.status = "TERMINATION"
  groups.touch(self, plan)
  if app:on("R322") then
    batches.terminate_all(self, plan)
  end
  app:commit(request, "plans", { id = plan.id, mode = "terminate" })
  return groups.nothing(self, request)
end

function M.handlers.enable_marketing_plan(self, request)
  local plan, refused = find(self, request)
  if not plan then
    return refused
  elseif self.app:on("R321") and plan.status ~= "TERMINATION" then
    return wrong_state(self, plan)
  end
  batches.advance_all(self)
  plan.status = "EXECUTION"
  groups.touch(self, plan)
  self.app:commit(request, "plans", { id = plan.id, mode = "enable" })
  return groups.nothing(self, request)
end

---Ends a plan, which only the control path can: POST /_sandbox/plans {"id": ..., "status": "COMPLETE"}.
function M.set_status(self, change)
  local id = groups.id_of(change.id) or change.id
  local plan = self.app.state.hypers.plans[id]
  if not plan or not STATUSES[change.status] then
    return nil, "plans: expected the id of a plan and a status"
  end
  batches.advance_all(self)
  plan.status = change.status
  self.app:changed()
  return true
end

-- The list --------------------------------------------------------------------------------------------

local function show_listed(self, plan)
  local app = self.app
  local count, members, report = batches.sums(self, plan)
  local counts = app:on("R327")
  local letters = app:on("R326") and "" or "e"
  return json.ordered("id", self:id_value(plan.id), "name", plan.name, "memberNumber", counts and members or 0,
    "lastTriggerTime", json.null, "contactSuccessOfPeopl" .. letters, report.contact,
    "completeServiceOfPeopl" .. letters, report.complete, "effectiveCommunicationOfPeopl" .. letters, report.effective,
    "invitationSuccessfulOfPeopl" .. letters, report.invited, "status", plan.status, "taskCount", counts and count or 0)
end

-- The plans of a group that the query asks for, by id.
local function plans_of(self, request, group, status)
  local list = {}
  for _, plan in pairs(self.app.state.hypers.plans) do
    local wanted = plan.group_id == group.id and pages.has_word(self, request, plan.name)
    if wanted and (not status or plan.status == status or not self.app:on("R324")) then
      list[#list + 1] = show_listed(self, plan)
    end
  end
  pages.sort(self, list, { fields = {} })
  return json.array(list)
end

function M.handlers.list_marketing_plans(self, request)
  local app = self.app
  local asked, refused = pages.query(self, request, SORTABLE)
  if not asked then
    return refused
  end
  local status, word = pages.first(request, "status"), pages.first(request, "keyWord")
  if status and not STATUSES[status] and app:on("R325") then
    return self:bad("status", "invalid", "unknown")
  end
  local ids = app:on("R324") and pages.id_set(request, "groupIds")
  local ordered = {}
  for id, group in pairs(app.state.hypers.groups) do
    if not ids or ids[id] then
      local stamped = groups.stamped(self, group)
      json.put(stamped, "groupId", stamped.values.id)
      ordered[#ordered + 1] = json.put(stamped, "groupName", group.name)
    end
  end
  pages.sort(self, ordered, asked)
  local rows, plans = {}, 0
  for _, stamped in ipairs(ordered) do
    local id = stamped.values.id.text or tostring(stamped.values.id)
    local list = plans_of(self, request, { id = id }, status)
    if #list > 0 or not (status or groups.is_given(word)) or not app:on("R325") then
      plans = plans + #list
      rows[#rows + 1] = json.ordered("groupId", stamped.values.id, "groupName", stamped.values.name, "plan", list)
    end
  end
  local total = app:on("R274") and #rows or plans
  local page = json.ordered("current", asked.current, "size", asked.paged and asked.size or #rows, "total", total)
  local summary = app:on("R328") and {} or json.array()
  if not app:on("R273") then
    return self:success(request, json.ordered("content", pages.slice(rows, asked), "page", page))
  end
  return self:success(request, json.ordered("records", pages.slice(rows, asked), "page", page, "summary", summary))
end

return M

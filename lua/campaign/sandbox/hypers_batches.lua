-- SPDX-License-Identifier: MIT
-- Marketing tasks of HYPERS ("batches" here, to tell them from notification tasks): created under a released plan
-- from member files, driven by the clock from NOT_STARTED over EXECUTION to COMPLETE, terminated and enabled, with
-- members and reports. One member is done every `hypers.seconds_per_member`; every fifth of them triggers the plan's
-- first scene.

local clock = require "campaign.sandbox.clock"
local files = require "campaign.sandbox.hypers_files"
local groups = require "campaign.sandbox.hypers_groups"
local json = require "campaign.sandbox.json"
local pages = require "campaign.sandbox.hypers_pages"
local state_of = require "campaign.sandbox.state"
local xlsx = require "campaign.sandbox.xlsx"

local M = { handlers = {} }

local MEMBER_STATUSES = {
  NOT_REACHED = true, IN_SERVICE = true, TERMINATE_SERVICE = true, CUSTOMER_SERVICE_INTERVENES = true,
  COMPLETE_SERVICE = true, IGNORE = true, TIMEOUT_COMPLETE_SERVICE = true,
}
local SORTABLE = { id = true, name = true, status = true, totalMember = true, startDate = true, startTime = true }
local MEMBER_SORTABLE = { memberId = true, memberName = true, status = true, lastUpdateTime = true, moodValue = true }
local TRIGGER_EVERY = 5

-- Life ------------------------------------------------------------------------------------------------

-- When a batch begins: at its start, or when it was created after that.
local function beginning(batch)
  return math.max(batch.start, batch.created)
end

-- Members done by now: those before an interruption, and those since `resumed`.
local function done_count(self, batch)
  if batch.status ~= "EXECUTION" then
    return batch.done
  end
  local step = self.app.state.settings["hypers.seconds_per_member"]
  local passed = self.app.clock:now() - batch.resumed
  local more = step > 0 and math.floor(passed / step) or #batch.members
  return math.max(0, math.min(batch.done + more, #batch.members))
end

-- Brings the state of a batch up to the current time. Called before the batch is read and before its plan changes.
local function advance(self, batch)
  local app, now = self.app, self.app.clock:now()
  if batch.status == "NOT_STARTED" and now >= batch.start and app:on("R339") then
    local plan = app.state.hypers.plans[batch.plan_id]
    if plan and plan.status ~= "EXECUTION" and app:on("R343") then
      batch.status = "IGNORE"
    else
      batch.status, batch.resumed = "EXECUTION", beginning(batch)
    end
  end
  if batch.status == "EXECUTION" and done_count(self, batch) >= #batch.members then
    batch.done, batch.status = #batch.members, "COMPLETE"
  elseif batch.status == "TERMINATING" and now > batch.stopped then
    batch.status = "TERMINATION"
  end
end

function M.advance_all(self)
  for _, batch in pairs(self.app.state.hypers.batches) do
    advance(self, batch)
  end
end

local function stop(self, batch)
  batch.done = done_count(self, batch)
  local waits = batch.status == "EXECUTION" and self.app:on("R340")
  batch.status, batch.stopped = waits and "TERMINATING" or "TERMINATION", self.app.clock:now()
  groups.touch(self, batch)
end

-- For plans -------------------------------------------------------------------------------------------

local function each_of(self, plan, act)
  local ids = {}
  for id, batch in pairs(self.app.state.hypers.batches) do
    if batch.plan_id == plan.id then
      ids[#ids + 1] = id
    end
  end
  table.sort(ids, state_of.id_before)
  for _, id in ipairs(ids) do
    act(self.app.state.hypers.batches[id], id)
  end
end

---Terminates the executing batches of a plan (R322).
function M.terminate_all(self, plan)
  each_of(self, plan, function(batch)
    if batch.status == "EXECUTION" then
      stop(self, batch)
    end
  end)
end

---Deletes a plan with its scenes and batches (R323).
function M.drop(self, plan)
  local state = self.app.state.hypers
  each_of(self, plan, function(_, id)
    state.batches[id] = nil
  end)
  for id, scene in pairs(state.scenes) do
    if scene.plan_id == plan.id then
      state.scenes[id] = nil
    end
  end
  state.plans[plan.id] = nil
end

---Gives a plan another id, its scenes and batches following (H-A25).
function M.move(self, plan, id)
  local state = self.app.state.hypers
  each_of(self, plan, function(batch)
    batch.plan_id = id
  end)
  for _, scene in pairs(state.scenes) do
    if scene.plan_id == plan.id then
      scene.plan_id = id
    end
  end
  state.plans[plan.id] = nil
  plan.id = id
  state.plans[id] = plan
end

local function counts_of(self, batch)
  local done = done_count(self, batch)
  return {
    complete = done, contact = done, effective = math.floor(done / 2), invited = math.floor(done / TRIGGER_EVERY),
    planned = #batch.members,
  }
end

---Number of batches, of their members, and the sums of their counts.
function M.sums(self, plan)
  local number = 0
  local sums = { complete = 0, contact = 0, effective = 0, invited = 0, planned = 0 }
  M.advance_all(self)
  each_of(self, plan, function(batch)
    number = number + 1
    for name, count in pairs(counts_of(self, batch)) do
      sums[name] = self.app:on("R355") and sums[name] + count or count
    end
  end)
  return number, sums.planned, sums
end

-- Creation --------------------------------------------------------------------------------------------

local function parse_start(self, text)
  if type(text) ~= "string" then
    return nil
  end
  return clock.parse(text) or (self.app:on("R334") and clock.parse(text .. ":00")) or nil
end

-- The members in the files of a request, or nil and the refusal.
local function members_of(self, ids)
  local app, members = self.app, json.array()
  for i, value in ipairs(ids) do
    local at = "fileIds[" .. (i - 1) .. "]"
    local id = groups.id_of(value)
    if id and app.state.hypers.files[id] then
      local sheet, why = xlsx.read(files.path(self, id))
      if not sheet then
        return nil, self:bad(at, "invalid", why)
      end
      for _, row in ipairs(sheet.rows) do
        members[#members + 1] = { id = self:new_id(), name = row.nickname or row.userId or row.ciq or "" }
      end
    elseif app:on("R332") then
      return nil, self:bad(at, "invalid", "no such file")
    end
  end
  return members
end

local function read_input(self, request)
  local app = self.app
  local fields, refused = groups.fields(self, request, { "name", "startTime", "fileIds" })
  if not fields then
    return nil, refused
  end
  if app:on("R331") then
    if not groups.is_given(fields.name) then
      return nil, self:bad("name", "required", "required")
    elseif not parse_start(self, fields.startTime) then
      return nil, self:bad("startTime", "invalid", "expected yyyy-MM-dd HH:mm or yyyy-MM-dd HH:mm:ss")
    elseif not json.is_array(fields.fileIds) then
      return nil, self:bad("fileIds", "required", "required")
    end
  end
  local ids = json.is_array(fields.fileIds) and fields.fileIds or {}
  if #ids == 0 and app:on("R332") and app:on("R331") then
    return nil, self:bad("fileIds", "required", "at least one")
  end
  return fields, ids
end

local function show(self, batch)
  local app, value = self.app, groups.stamped(self, batch)
  json.put(value, "status", app:on("R338") and batch.status or batch.status:lower())
  json.put(value, "totalMember", #batch.members)
  if app:on("R336") then
    json.put(value, "startDate", clock.format_date(batch.start))
    json.put(value, "startTime", clock.format(batch.start):sub(12, 16))
  end
  return value
end

function M.handlers.create_marketing_task(self, request)
  local app = self.app
  local plan, refused = groups.find(self, "plans", request.params.id)
  if not plan then
    return refused
  end
  local fields, ids = read_input(self, request)
  if not fields then
    return ids
  end
  local members
  members, refused = members_of(self, ids)
  if not members then
    return refused
  elseif app:on("R335") and plan.status ~= "EXECUTION" then
    return self:bad("status", "invalid", "the plan is " .. plan.status)
  end
  local batch = groups.store(self, "batches", {
    plan_id = plan.id, name = tostring(fields.name or ""), start = parse_start(self, fields.startTime) or app.clock:now(),
    status = app:on("R337") and "NOT_STARTED" or "EXECUTION", members = members, done = 0, resumed = app.clock:now(),
  })
  for _, member in ipairs(members) do
    app:commit(request, batch.id, { id = member.id, row = json.ordered("name", member.name) })
  end
  return self:success(request, show(self, batch))
end

-- One batch -------------------------------------------------------------------------------------------

local function find(self, request)
  local batch, refused = groups.find(self, "batches", request.params.taskId)
  if batch then
    advance(self, batch)
  end
  return batch, refused
end

function M.handlers.get_marketing_task(self, request)
  local batch, refused = find(self, request)
  return refused or self:success(request, show(self, batch))
end

local OVER = { TERMINATING = true, TERMINATION = true, COMPLETE = true, IGNORE = true }

function M.handlers.terminate_marketing_task(self, request)
  local batch, refused = find(self, request)
  if not batch then
    return refused
  elseif OVER[batch.status] and self.app:on("R342") then
    return self:bad("status", "invalid", "the task is " .. batch.status)
  end
  stop(self, batch)
  self.app:commit(request, batch.id, { mode = "terminate" })
  return groups.nothing(self, request)
end

function M.handlers.enable_marketing_task(self, request)
  local app = self.app
  local batch, refused = find(self, request)
  if not batch then
    return refused
  elseif batch.status ~= "TERMINATION" and app:on("R341") then
    return self:bad("status", "invalid", "the task is " .. batch.status)
  end
  local now = app.clock:now()
  batch.status = now >= batch.start and app:on("R341") and "EXECUTION" or "NOT_STARTED"
  batch.resumed = now
  groups.touch(self, batch)
  app:commit(request, batch.id, { mode = "enable" })
  return groups.nothing(self, request)
end

-- Lists -----------------------------------------------------------------------------------------------

local SCHEMA = {
  { "编号", "id", "NUMBER" }, { "任务名称", "name", "STRING" }, { "状态", "status", "STRING" },
  { "总人数", "totalMember", "NUMBER" }, { "开始日期", "startDate", "DATE" }, { "开始时间", "startTime", "STRING" },
}

function M.handlers.get_marketing_task_schema(self, request)
  local plan, refused = groups.find(self, "plans", request.params.id)
  if not plan then
    return refused
  end
  local list = json.array()
  for i, field in ipairs(SCHEMA) do
    list[i] = json.ordered("label", field[1], "key", field[2], "type", field[3])
  end
  return self:success(request, self.app:on("R346") and list or json.ordered("schema", list))
end

function M.handlers.list_marketing_tasks(self, request)
  local plan, refused = groups.find(self, "plans", request.params.id)
  if not plan then
    return refused
  end
  local asked
  asked, refused = pages.query(self, request, SORTABLE)
  if not asked then
    return refused
  end
  local rows = {}
  each_of(self, plan, function(batch)
    advance(self, batch)
    if pages.has_word(self, request, batch.name) then
      local value, row = show(self, batch), json.ordered()
      for _, field in ipairs(SCHEMA) do
        json.put(row, field[2], value.values[field[2]])
      end
      rows[#rows + 1] = self.app:on("R345") and row or value
    end
  end)
  return self:success(request, pages.spring(self, rows, asked))
end

-- The first scene of a batch's plan, which every fifth member triggers.
local function scene_of(self, batch)
  local best
  for _, scene in pairs(self.app.state.hypers.scenes) do
    if scene.plan_id == batch.plan_id and (not best or state_of.id_before(scene.id, best.id)) then
      best = scene
    end
  end
  return best
end

local function member_filter(self, request)
  local app = self.app
  local status = pages.first(request, "status")
  if status and not MEMBER_STATUSES[status] and app:on("R348") then
    return nil, self:bad("status", "invalid", "unknown")
  end
  return {
    status = app:on("R348") and status or nil, scenes = app:on("R349") and pages.id_set(request, "sceneIds") or nil,
    mood = app:on("R349") and pages.first(request, "moodValue") or nil,
  }
end

function M.handlers.list_marketing_task_members(self, request)
  local app = self.app
  local batch, refused = find(self, request)
  if not batch then
    return refused
  end
  local asked, filter
  asked, refused = pages.query(self, request, MEMBER_SORTABLE)
  if not asked then
    return refused
  end
  filter, refused = member_filter(self, request)
  if not filter then
    return refused
  end
  local done, scene = done_count(self, batch), scene_of(self, batch)
  local rows = {}
  for i, member in ipairs(batch.members) do
    local finished = i <= done
    local triggered = finished and scene and i % TRIGGER_EVERY == 0
    local status = (finished or not app:on("R350")) and "COMPLETE_SERVICE" or "NOT_REACHED"
    local mood = triggered and "满意" or nil
    local wanted = (not filter.status or filter.status == status)
      and (not filter.scenes or (triggered and filter.scenes[scene.id])) and (not filter.mood or filter.mood == mood)
    if wanted and pages.has_word(self, request, member.name) then
      rows[#rows + 1] = json.ordered("memberId", self:id_value(member.id), "memberName", member.name, "status", status,
        "scenes", json.array{ triggered and scene.name or nil }, "moodValue", mood or json.null,
        "lastUpdateTime", finished and clock.format(beginning(batch)) or json.null)
    end
  end
  return self:success(request, pages.spring(self, rows, asked))
end

-- Reports ---------------------------------------------------------------------------------------------

local function show_report(self, plan, counts)
  local app = self.app
  local function rate(count)
    if counts.planned == 0 then
      return app:on("R353") and 0 or 1
    end
    return (app:on("R353") and 1 or 100) * count / counts.planned
  end
  local statistics, first = json.array(), true
  local ids = {}
  for id, scene in pairs(app.state.hypers.scenes) do
    if scene.plan_id == plan.id then
      ids[#ids + 1] = id
    end
  end
  table.sort(ids, state_of.id_before)
  for i, id in ipairs(ids) do
    statistics[i] = json.ordered("id", self:id_value(id), "name", app.state.hypers.scenes[id].name,
      "number", first and counts.invited or 0)
    first = false
  end
  return json.ordered("completeServiceOfPeopl", counts.complete, "completeServiceRate", rate(counts.complete),
    "contactSuccessOfPeopl", counts.contact, "contactSuccessRate", rate(counts.contact),
    "effectiveCommunicationOfPeopl", counts.effective, "effectiveCommunicationRate", rate(counts.effective),
    "invitationSuccessfulOfPeopl", counts.invited, "invitationSuccessfulRate", rate(counts.invited),
    "plannedNumberOfPeopl", counts.planned, "sceneStatistics", app:on("R352") and statistics or nil)
end

function M.handlers.get_marketing_plan_report(self, request)
  local plan, refused = groups.find(self, "plans", request.params.id)
  if not plan then
    return refused
  end
  local _, _, counts = M.sums(self, plan)
  return self:success(request, show_report(self, plan, counts))
end

function M.handlers.get_marketing_task_report(self, request)
  local batch, refused = find(self, request)
  if not batch then
    return refused
  end
  return self:success(request, show_report(self, { id = batch.plan_id }, counts_of(self, batch)))
end

return M

-- SPDX-License-Identifier: MIT
-- Groups and scenes of HYPERS' marketing notices.

local body = require "campaign.sandbox.body"
local clock = require "campaign.sandbox.clock"
local json = require "campaign.sandbox.json"
local pages = require "campaign.sandbox.hypers_pages"
local state_of = require "campaign.sandbox.state"

local M = { handlers = {} }

local SORTABLE = { id = true, createTime = true, lastUpdateTime = true, name = true }
local SCENE_SORTABLE = { id = true, createTime = true, lastUpdateTime = true, name = true, externalId = true,
  prompt = true, sceneType = true, statisticalMethod = true }

-- Shared with plans ---------------------------------------------------------------------------------

---The object of a kind (`groups`, `scenes`, `plans`, `batches`) that an id names, or nil and a 404.
function M.find(self, kind, id)
  local object = self.app.state.hypers[kind][id]
  if not object then
    return nil, self:refuse(self.app:on("R284") and 404 or 400, "no such id")
  end
  return object
end

---A JSON object as body, or nil and a 400.
function M.fields(self, request, known)
  if (request.body.text or "") == "" and not self.app:on("R285") then
    return {}
  end
  local fields, why = body.json(self.app, request, known)
  if not fields then
    return nil, self:bad_body(why)
  end
  return fields
end

---`{}` for the operations that answer nothing (R282).
function M.nothing(self, request)
  return self:success(request, self.app:on("R282") and {} or json.ordered("success", true))
end

---The first four fields of all replies.
function M.stamped(self, object)
  return json.ordered("id", self:id_value(object.id), "createTime", clock.format(object.created),
    "lastUpdateTime", clock.format(object.updated), "name", object.name)
end

---A new object of a kind, stored.
function M.store(self, kind, object)
  object.id = self:new_id()
  object.created = math.floor(self.app.clock:now())
  object.updated = object.created
  self.app.state.hypers[kind][object.id] = object
  self.app:changed()
  return object
end

---Marks an object as changed now.
function M.touch(self, object)
  object.updated = math.floor(self.app.clock:now())
  self.app:changed()
end

---A required text: not empty. That it must not be blank is said of the names of groups and notification tasks alone (R286, R157).
function M.is_given(value)
  return type(value) == "string" and value ~= ""
end

---The decimal text of an id in a body, or nil.
function M.id_of(value)
  return json.is_integer(value) and json.integer_text(value) or nil
end

-- Groups ----------------------------------------------------------------------------------------------

local function bad_name(self, fields)
  if self.app:on("R286") and not (M.is_given(fields.name) and fields.name:find("%S")) then
    return self:bad("name", "required", "required")
  end
  return nil
end

local function show_group(self, group)
  return self.app:on("R287") and M.stamped(self, group) or json.drop(M.stamped(self, group), "lastUpdateTime")
end

function M.handlers.create_marketing_group(self, request)
  local fields, refused = M.fields(self, request, { "name" })
  refused = refused or bad_name(self, fields)
  if refused and (fields == nil or self.app:on("R285") or next(fields) ~= nil) then
    return refused
  end
  local group = M.store(self, "groups", { name = tostring(fields.name or "") })
  self.app:commit(request, "groups", { id = group.id, row = fields })
  return self:success(request, show_group(self, group))
end

function M.handlers.update_marketing_group(self, request)
  local group, refused = M.find(self, "groups", request.params.id)
  if not group then
    return refused
  end
  local fields
  fields, refused = M.fields(self, request, { "name" })
  refused = refused or bad_name(self, fields)
  if refused then
    return refused
  end
  group.name = tostring(fields.name or "")
  M.touch(self, group)
  self.app:commit(request, "groups", { id = group.id, row = fields })
  return self:success(request, show_group(self, group))
end

function M.handlers.get_marketing_group(self, request)
  local group, refused = M.find(self, "groups", request.params.id)
  return refused or self:success(request, show_group(self, group))
end

function M.handlers.delete_marketing_group(self, request)
  local app = self.app
  local group, refused = M.find(self, "groups", request.params.id)
  if not group then
    return refused
  end
  for _, plan in pairs(app.state.hypers.plans) do
    if plan.group_id == group.id and app:on("R290") then
      return self:bad("id", "invalid", "the group still has plans")
    end
  end
  if app:on("R289") then
    app.state.hypers.groups[group.id] = nil
  end
  app:commit(request, "groups", { id = group.id, mode = "delete" })
  app:changed()
  return M.nothing(self, request)
end

function M.handlers.list_marketing_groups(self, request)
  local asked, refused = pages.query(self, request, SORTABLE)
  if not asked then
    return refused
  end
  local ids = self.app:on("R288") and pages.id_set(request, "ids")
  local rows = {}
  for id, group in pairs(self.app.state.hypers.groups) do
    if (not ids or ids[id]) and pages.has_word(self, request, group.name) then
      rows[#rows + 1] = show_group(self, group)
    end
  end
  return self:success(request, pages.spring(self, rows, asked))
end

-- Scenes ----------------------------------------------------------------------------------------------

local function show_scene(self, scene)
  local app, value = self.app, M.stamped(self, scene)
  if not app:on("R294") then
    json.put(value, "planId", self:id_value(scene.plan_id))
  end
  json.put(value, "statisticalMethod", scene.method)
  json.put(value, "prompt", scene.prompt)
  json.put(value, "externalId", scene.external_id or json.null)
  return json.put(value, "sceneType", app:on("R295") and "CUSTOM" or "SYSTEM")
end

local function bad_scene(self, fields, updating)
  local app = self.app
  if app:on("R291") then
    for _, name in ipairs{ "name", "prompt" } do
      if not M.is_given(fields[name]) then
        return self:bad(name, "required", "required")
      end
    end
  end
  if fields.externalId ~= nil and type(fields.externalId) ~= "string" then
    return self:bad("externalId", "invalid", "expected a text")
  end
  if updating then
    return nil
  end
  if app:on("R292") and fields.statisticalMethod ~= "GRAND_TOTAL" and fields.statisticalMethod ~= "ONLY" then
    return self:bad("statisticalMethod", "invalid", "expected GRAND_TOTAL or ONLY")
  end
  local plan_id = M.id_of(fields.planId)
  if app:on("R293") and not (plan_id and app.state.hypers.plans[plan_id]) then
    return self:bad("planId", "invalid", "no such plan")
  end
  return nil
end

function M.handlers.create_marketing_scene(self, request)
  local fields, refused = M.fields(self, request, { "name", "statisticalMethod", "prompt", "externalId", "planId" })
  refused = refused or bad_scene(self, fields, false)
  if refused then
    return refused
  end
  local scene = M.store(self, "scenes", {
    name = tostring(fields.name or ""), method = tostring(fields.statisticalMethod or ""),
    prompt = tostring(fields.prompt or ""), external_id = fields.externalId, plan_id = M.id_of(fields.planId) or "0",
  })
  self.app:commit(request, "scenes", { id = scene.id, row = fields })
  return self:success(request, show_scene(self, scene))
end

function M.handlers.update_marketing_scene(self, request)
  local app = self.app
  local scene, refused = M.find(self, "scenes", request.params.id)
  if not scene then
    return refused
  end
  local fields
  fields, refused = M.fields(self, request, { "name", "prompt", "externalId" })
  refused = refused or bad_scene(self, fields, true)
  if refused then
    return refused
  end
  scene.name, scene.prompt = fields.name or scene.name, fields.prompt or scene.prompt
  if fields.externalId ~= nil or not app:on("R297") then
    scene.external_id = fields.externalId
  end
  M.touch(self, scene)
  app:commit(request, "scenes", { id = scene.id, row = fields })
  return self:success(request, show_scene(self, scene))
end

function M.handlers.get_marketing_scene(self, request)
  local scene, refused = M.find(self, "scenes", request.params.id)
  return refused or self:success(request, show_scene(self, scene))
end

function M.handlers.unbind_scene_external_id(self, request)
  local app = self.app
  local scene, refused = M.find(self, "scenes", request.params.id)
  if not scene then
    return refused
  elseif not scene.external_id and not app:on("R299") then
    return self:bad("id", "invalid", "the scene has no externalId")
  end
  if app:on("R298") then
    scene.external_id = nil
  end
  M.touch(self, scene)
  app:commit(request, "scenes", { id = scene.id, mode = "unbind" })
  return self:success(request, show_scene(self, scene))
end

function M.handlers.list_marketing_scenes(self, request)
  local app = self.app
  local asked, refused = pages.query(self, request, SCENE_SORTABLE)
  if not asked then
    return refused
  end
  local plan_id, external_id = pages.first(request, "planId"), pages.first(request, "externalId")
  if plan_id and not state_of.is_id(plan_id) and app:on("R300") then
    return self:bad("planId", "invalid", "expected a positive integer")
  end
  local rows = {}
  for _, scene in pairs(app.state.hypers.scenes) do
    local wanted = not app:on("R300") or ((not plan_id or scene.plan_id == plan_id)
      and (not external_id or scene.external_id == external_id))
    if wanted and pages.has_word(self, request, scene.name) then
      local row = show_scene(self, scene)
      rows[#rows + 1] = app:on("R302") and row or json.drop(row, "prompt")
    end
  end
  return self:success(request, pages.spring(self, rows, asked))
end

return M

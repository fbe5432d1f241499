-- SPDX-License-Identifier: MIT
-- The outbound-call contact platform (docs/contracts/outbound.md): data sources with rows and do-not-call
-- lists, the night window, and the tasks that forbid an overwrite. Rows are kept in the commit log alone; the
-- state has their number, and the uuids of the do-not-call lists.

local body = require "campaign.sandbox.body"
local clock = require "campaign.sandbox.clock"
local json = require "campaign.sandbox.json"
local outbound_files = require "campaign.sandbox.outbound_files"
local reply = require "campaign.sandbox.reply"

local M = {}

local methods = {}
local mt = { __index = methods, __name = "sandbox.outbound" }

local WINDOW_END = 2 * 3600
local SOON = 30 * 60
local TASK_STATES = { NEW = true, RUNNING = true, PAUSED = true, COMPLETED = true }

function M.new(app)
  return setmetatable({ app = app }, mt)
end

local handlers = {
  upload_contacts_file = outbound_files.upload_contacts_file,
  upload_dnc_file = outbound_files.upload_dnc_file,
}

function methods:serves(operation)
  if operation == "upload_dnc_json" and not self.app:on("R081") then
    return false
  end
  return handlers[operation] ~= nil
end

function methods:handle(request)
  return handlers[request.operation](self, request)
end

-- Replies ---------------------------------------------------------------------------------------

local function code_of(self, code)
  if not self.app:on("R026") then
    return tostring(code)
  end
  return code
end

---A refusal: HTTP 200 with a failing code for what the application decides (R027), the plain status for
---faults and unknown paths.
function methods:refuse(status, message)
  return reply.json(status, json.ordered("code", code_of(self, status), "msg", message))
end

function methods:refusal(code, message)
  local status = self.app:on("R027") and 200 or code
  return reply.json(status, json.ordered("code", code_of(self, code), "msg", message))
end

function methods:success(data)
  local code = self.app.rules:form("outbound-code-0") and 0 or 200
  return reply.json(200, json.ordered("code", code_of(self, code), "msg", "success", "data", data))
end

-- Credentials and tenant ------------------------------------------------------------------------

---Fault `expire-token`: nothing known of this platform's tokens lets them expire, so the token is taken away
---for this one call.
function methods.expire(_, request)
  request.headers.token = nil
  for _, part in ipairs(request.body.parts or {}) do
    if part.name == "token" then
      part.text = ""
    end
  end
end

-- The tenant that the token and abbreviate of a request mean, or a refusal.
function methods:tenant_of(rule, token, abbreviate)
  local app, state = self.app, self.app.state.outbound
  local owner = token and state.tokens[token]
  if not owner and app:on(rule) then
    return nil, self:refusal(401, "invalid token")
  end
  if type(abbreviate) ~= "string" or abbreviate == "" then
    if app:on("R019") then
      return nil, self:refusal(400, "abbreviate: required")
    end
    abbreviate = owner
  end
  if owner and owner ~= abbreviate and app:on("R020") then
    return nil, self:refusal(403, "no permission")
  end
  return abbreviate
end

local function find_source(self, abbreviate, name)
  for _, source in ipairs(self.app.state.outbound.sources) do
    if source.abbreviate == abbreviate and source.name == name then
      return source
    end
  end
  return nil
end

-- The data source that a request names, of the right kind, or a refusal.
function methods:source_of(abbreviate, name, kind, name_rule)
  local app = self.app
  if (type(name) ~= "string" or name == "") and app:on(name_rule) then
    return nil, self:refusal(400, "dataSourceName: required")
  end
  local source = find_source(self, abbreviate, name)
  if source and source.type ~= kind and (kind == 0 or app:on("R062")) then
    source = nil
  end
  if not source then
    if app:on("R038") then
      return nil, self:refusal(404, "data source not found")
    end
    source = { name = tostring(name), abbreviate = abbreviate, type = kind, fields = {} }
  end
  return source
end

-- Time rules ------------------------------------------------------------------------------------

local function in_window(self)
  local second = clock.time_of_day(self.app.clock:now())
  if self.app:on("R052") then
    return second < WINDOW_END
  end
  return second <= WINDOW_END
end

function methods:window_refusal()
  if in_window(self) then
    return self:refusal(423, "upload closed 00:00-02:00")
  end
  return nil
end

local function starts_soon(self, task, now)
  local left = (clock.parse(task.start) or 0) - now
  if self.app:on("R048") then
    return left <= SOON
  end
  return left < SOON and left > 0
end

function methods:task_refusal(source)
  local app, now = self.app, self.app.clock:now()
  for _, task in ipairs(app.state.outbound.tasks) do
    if task.dataSourceName == source.name then
      if task.state ~= "NEW" and app:on("R046") then
        return self:refusal(409, "only append: a task on the data source is running, paused or completed")
      elseif task.state == "NEW" and app:on("R047") and starts_soon(self, task, now) then
        return self:refusal(409, "only append: a task on the data source starts within 30 minutes")
      end
    end
  end
  if not app:on("R049") then
    return self:refusal(409, "only append")
  end
  return nil
end

-- A task that was new when its start came is running from then on.
function methods:advance_tasks()
  local now = self.app.clock:now()
  for _, task in ipairs(self.app.state.outbound.tasks) do
    local start = clock.parse(task.start)
    if task.state == "NEW" and task.starts_by_itself and start and start <= now then
      task.state = "RUNNING"
    end
  end
end

---Replaces the call tasks, which the vendor's document has no operation for.
---@param tasks table
function methods:set_tasks(tasks)
  if type(tasks) ~= "table" then
    return nil, "tasks: expected a list"
  end
  local list = json.array()
  for i, task in ipairs(tasks) do
    if type(task) ~= "table" or not TASK_STATES[task.state]
      or type(task.dataSourceName) ~= "string" then
      return nil, "tasks[" .. (i - 1) .. "]: expected dataSourceName and state"
    end
    if task.state == "NEW" and not clock.parse(task.start) then
      return nil, "tasks[" .. (i - 1) .. "].start: expected yyyy-MM-dd HH:mm:ss"
    end
    list[i] = {
      dataSourceName = task.dataSourceName, state = task.state, start = task.start,
      starts_by_itself = task.starts_by_itself == true,
    }
  end
  self.app.state.outbound.tasks = list
  return true
end

function methods:tasks()
  self:advance_tasks()
  return self.app.state.outbound.tasks
end

-- Rows ------------------------------------------------------------------------------------------

function methods:too_long(source, row)
  if not self.app.rules:form("outbound-field-length") then
    return nil
  end
  for i, field in ipairs(source.fields) do
    local _, characters = row[i]:gsub("[^\128-\191]", "")
    if field.length and characters > field.length then
      return field.name .. ": longer than " .. field.length
    end
  end
  return nil
end

function methods:touch(source, total)
  local app = self.app
  if app:on("R076") then
    source.total = total
  end
  if app:on("R077") then
    local at = clock.epoch_ms(app.clock:now())
    source.utime = math.max(at, (source.utime or 0) + 1)
  end
  app:changed()
end

function methods:add_rows(source, rows_added, overwrite)
  local total = (overwrite and 0 or source.total or 0) + rows_added
  if overwrite then
    source.generation = (source.generation or 1) + 1
  end
  self:touch(source, total)
  return self:success()
end

-- Do-not-call uuids are a set: a known one is accepted and not stored twice (R084).
function methods:add_uuid(request, source, uuid)
  source.uuids = source.uuids or {}
  if source.uuids[uuid] and self.app:on("R084") then
    return 0
  end
  source.uuids[uuid] = true
  self.app:commit(request, source.name, { row = json.array{ uuid } })
  return 1
end

-- Uploads of JSON -------------------------------------------------------------------------------

local function open_json(self, request, kind, known)
  local app = self.app
  local owner = app.state.outbound.tokens[request.headers.token or ""]
  if not owner and app:on("R018") then
    return nil, self:refusal(401, "invalid token")
  end
  local fields, why = body.json(app, request, known)
  if not fields then
    return nil, self:refusal(400, why)
  end
  local abbreviate, refused = self:tenant_of("R018", request.headers.token, fields.abbreviate)
  if not abbreviate then
    return nil, refused
  end
  local company = kind == 0 and fields.companyId or nil
  if company ~= nil then
    local integer = json.is_integer(company) and app:on("R022")
    local text = type(company) == "string" and company:find("^%d+$") and app:on("R023")
    if not integer and not text then
      return nil, self:refusal(400, "companyId: expected a number")
    end
  end
  local source
  source, refused = self:source_of(abbreviate, fields.dataSourceName, kind, "R070")
  if not source then
    return nil, refused
  end
  return fields, source
end

local function bad_rows(list)
  if not json.is_array(list) or #list == 0 then
    return "dataList: expected an array of at least one row"
  end
  for i, row in ipairs(list) do
    if not json.is_array(row) or #row == 0 then
      return "dataList[" .. (i - 1) .. "]: expected an array of texts"
    end
    for _, value in ipairs(row) do
      if type(value) ~= "string" then
        return "dataList[" .. (i - 1) .. "]: expected texts only"
      end
    end
  end
  return nil
end

local function bad_width(self, source, list)
  local width = #source.fields
  for i, row in ipairs(list) do
    if #row ~= width and width > 0 and self.app:on("R067") then
      return "dataList[" .. (i - 1) .. "]: " .. #row .. " columns, expected " .. width
    end
    local long = #row == width and self:too_long(source, row)
    if long then
      return "dataList[" .. (i - 1) .. "]: " .. long
    end
  end
  return nil
end

local CONTACT_FIELDS = { "abbreviate", "companyId", "dataList", "dataSourceName" }

function handlers.upload_contacts_json(self, request)
  local app = self.app
  local fields, source = open_json(self, request, 0, CONTACT_FIELDS)
  if not fields then
    return source
  end
  local list = fields.dataList
  local why = app:on("R065") and bad_rows(list)
  if why then
    return self:refusal(400, why)
  end
  local closed = app:on("R071") and self:window_refusal()
  if closed then
    return closed
  end
  list = json.is_array(list) and list or {}
  why = bad_width(self, source, list)
  if why then
    return self:refusal(400, why)
  end
  local overwrite = not app:on("R069") and tostring(fields.operationType) == "1"
  for i, row in ipairs(list) do
    local text, from, to = json.place_of(list, i)
    app:commit(request, source.name, { row = row, row_text = text, row_from = from, row_to = to,
      mode = overwrite and "overwrite" or "append" })
  end
  return self:add_rows(source, #list, overwrite)
end

local function bad_uuids(list)
  if not json.is_array(list) or #list == 0 then
    return "dataList: expected an array of at least one uuid"
  end
  for i, uuid in ipairs(list) do
    if type(uuid) ~= "string" or uuid == "" then
      return "dataList[" .. (i - 1) .. "]: expected a text that is not empty"
    end
  end
  return nil
end

local DNC_FIELDS = { "abbreviate", "dataList", "dataSourceName" }

function handlers.upload_dnc_json(self, request)
  local app = self.app
  local fields, source = open_json(self, request, 1, DNC_FIELDS)
  if not fields then
    return source
  end
  local list = fields.dataList
  local why = app:on("R083") and bad_uuids(list)
  if why then
    return self:refusal(400, why)
  end
  local closed = not app:on("R063") and self:window_refusal()
  if closed then
    return closed
  end
  local added = 0
  for _, uuid in ipairs(json.is_array(list) and list or {}) do
    added = added + self:add_uuid(request, source, type(uuid) == "string" and uuid or json.encode(uuid))
  end
  return self:add_rows(source, added, false)
end

-- The query -------------------------------------------------------------------------------------

local function show_field(self, field)
  if not self.app:on("R080") then
    return json.ordered("id", field.id, "name", field.name)
  end
  return json.ordered("id", field.id, "name", field.name, "type1", field.type1, "type2", field.type2,
    "length", field.length)
end

local function show_source(self, source, company_id)
  local fields = json.array()
  for i, field in ipairs(source.fields) do
    fields[i] = show_field(self, field)
  end
  return json.ordered("companyId", company_id, "abbreviate", source.abbreviate, "id", source.id,
    "type", self.app:on("R075") and source.type or 0, "groupName", source.groupName,
    "total", source.total or 0, "utime", source.utime or 1735689600000,
    "dataSourceName", source.name, "customFields", fields)
end

function handlers.get_contact_group_detail(self, request)
  local state = self.app.state.outbound
  local given = request.query.abbreviate and request.query.abbreviate[1]
  local abbreviate, refused = self:tenant_of("R018", request.headers.token, given)
  if not abbreviate then
    return refused
  end
  local tenant = state.tenants[abbreviate]
  local data = json.array()
  for _, source in ipairs(state.sources) do
    if source.abbreviate == abbreviate and (self.app:on("R074") or #data == 0) then
      data[#data + 1] = show_source(self, source, tenant and tenant.companyId)
    end
  end
  return self:success(data)
end

return M

-- SPDX-License-Identifier: MIT
-- The outbound-call contact platform (docs/contracts/outbound.md): data sources with rows and do-not-call
-- lists, the night window, and the tasks that forbid an overwrite. Rows are kept in the commit log alone; the
-- state has their number, and the uuids of the do-not-call lists.

local body = require "campaign.sandbox.body"
local clock = require "campaign.sandbox.clock"
local csv = require "campaign.sandbox.csv"
local json = require "campaign.sandbox.json"
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

local handlers = {}

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

local function refuse(self, code, message)
  local status = self.app:on("R027") and 200 or code
  return reply.json(status, json.ordered("code", code_of(self, code), "msg", message))
end

local function success(self, data)
  local code = self.app.rules:form("outbound-code-0") and 0 or 200
  return reply.json(200, json.ordered("code", code_of(self, code), "msg", "success", "data", data))
end

-- Credentials and tenant ------------------------------------------------------------------------

---Fault `expire-token`: nothing known of this platform's tokens lets them expire, so the token is taken away
---for this one call.
function methods:expire(request)
  request.headers.token = nil
  for _, part in ipairs(request.body.parts or {}) do
    if part.name == "token" then
      part.text = ""
    end
  end
end

-- The tenant that the token and abbreviate of a request mean, or a refusal.
local function tenant_of(self, rule, token, abbreviate)
  local app, state = self.app, self.app.state.outbound
  local owner = token and state.tokens[token]
  if not owner and app:on(rule) then
    return nil, refuse(self, 401, "invalid token")
  end
  if type(abbreviate) ~= "string" or abbreviate == "" then
    if app:on("R019") then
      return nil, refuse(self, 400, "abbreviate: required")
    end
    abbreviate = owner
  end
  if owner and owner ~= abbreviate and app:on("R020") then
    return nil, refuse(self, 403, "no permission")
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
local function source_of(self, abbreviate, name, kind, name_rule)
  local app = self.app
  if (type(name) ~= "string" or name == "") and app:on(name_rule) then
    return nil, refuse(self, 400, "dataSourceName: required")
  end
  local source = find_source(self, abbreviate, name)
  if source and source.type ~= kind and (kind == 0 or app:on("R062")) then
    source = nil
  end
  if not source then
    if app:on("R038") then
      return nil, refuse(self, 404, "data source not found")
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

local function window_refusal(self)
  if in_window(self) then
    return refuse(self, 423, "upload closed 00:00-02:00")
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

local function task_refusal(self, source)
  local app, now = self.app, self.app.clock:now()
  for _, task in ipairs(app.state.outbound.tasks) do
    if task.dataSourceName == source.name then
      if task.state ~= "NEW" and app:on("R046") then
        return refuse(self, 409, "only append: a task on the data source is running, paused or completed")
      elseif task.state == "NEW" and app:on("R047") and starts_soon(self, task, now) then
        return refuse(self, 409, "only append: a task on the data source starts within 30 minutes")
      end
    end
  end
  if not app:on("R049") then
    return refuse(self, 409, "only append")
  end
  return nil
end

-- A task that was new when its start came is running from then on.
local function advance_tasks(self)
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
  advance_tasks(self)
  return self.app.state.outbound.tasks
end

-- Rows ------------------------------------------------------------------------------------------

local function field_names(source)
  local names = {}
  for i, field in ipairs(source.fields) do
    names[i] = field.name
  end
  return names
end

local function is_header(row, names)
  if #row ~= #names then
    return false
  end
  for i, name in ipairs(names) do
    if row[i] ~= name then
      return false
    end
  end
  return true
end

local function too_long(self, source, row)
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

local function touch(self, source, total)
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

local function add_rows(self, request, source, rows_added, overwrite)
  local total = (overwrite and 0 or source.total or 0) + rows_added
  if overwrite then
    source.generation = (source.generation or 1) + 1
  end
  touch(self, source, total)
  return success(self)
end

-- Do-not-call uuids are a set: a known one is accepted and not stored twice (R084).
local function add_uuid(self, request, source, uuid)
  source.uuids = source.uuids or {}
  if source.uuids[uuid] and self.app:on("R084") then
    return 0
  end
  source.uuids[uuid] = true
  self.app:commit(request, source.name, { row = json.array{ uuid } })
  return 1
end

-- Uploads of files ------------------------------------------------------------------------------

local function form_values(request)
  local values = {}
  for _, name in ipairs{ "token", "abbreviate", "companyId", "dataSourceName", "operationType",
    "dataSourceType" } do
    local part = body.part(request.body, name)
    values[name] = part and part.text
  end
  return values
end

-- What both file uploads check first: tenant, kind, target and file.
local function open_upload(self, request, kind, type_rule)
  local app = self.app
  if request.body.kind ~= "form" or request.body.bad then
    local why = request.body.bad or request.body_error or "expected multipart/form-data"
    return nil, refuse(self, 400, "body: " .. why)
  end
  local values = form_values(request)
  local abbreviate, refused = tenant_of(self, "R017", values.token, values.abbreviate)
  if not abbreviate then
    return nil, refused
  end
  if values.companyId and (not values.companyId:find("^%d+$") or not app:on("R022")) then
    return nil, refuse(self, 400, "companyId: expected a number as text")
  end
  local given = values.dataSourceType
  if given ~= nil and given ~= tostring(kind) and app:on(type_rule) then
    return nil, refuse(self, 400, "dataSourceType: expected " .. kind)
  end
  local part = body.part(request.body, "dataSourceFile")
  if app:on("R030") and (not part or not part.path or part.filename == "" or part.bytes == 0) then
    return nil, refuse(self, 400, "dataSourceFile: expected a file with a name and content")
  end
  local source
  source, refused = source_of(self, abbreviate, values.dataSourceName, kind, "R037")
  if not source then
    return nil, refused
  end
  return { values = values, source = source, part = part }
end

local BOMS = { "\239\187\191", "\255\254", "\254\255" }

local function starts_with_bom(path)
  local file = assert(io.open(path, "rb"))
  local head = file:read(3) or ""
  file:close()
  for _, bom in ipairs(BOMS) do
    if head:sub(1, #bom) == bom then
      return true
    end
  end
  return false
end

local function read_contacts(self, upload, each)
  local source, on = upload.source, self.app
  local names = field_names(source)
  if not upload.part or not upload.part.path then
    return 0
  end
  if on:on("R033") and starts_with_bom(upload.part.path) then
    return nil, "file: starts with a byte-order mark, expected GBK"
  end
  local rows = 0
  local read, why = csv.read(upload.part.path, { raw = not on:on("R033") }, function(row, number)
    if number == 1 and on:on("R035") and is_header(row, names) then
      return nil
    end
    if #row ~= #names and on:on("R035") and #names > 0 then
      return "row " .. number .. ": " .. #row .. " columns, expected " .. #names
    end
    local long = too_long(self, source, row)
    if long then
      return "row " .. number .. ": " .. long
    end
    rows = rows + 1
    if each then
      each(row)
    end
    return nil
  end)
  if not read then
    return nil, why, rows
  end
  return rows
end

function handlers.upload_contacts_file(self, request)
  local app = self.app
  local upload, refused = open_upload(self, request, 0, "R043")
  if not upload then
    return refused
  end
  local operation = upload.values.operationType
  if operation ~= "0" and operation ~= "1" and app:on("R040") then
    return refuse(self, 400, "operationType: expected 0 or 1")
  end
  local overwrite = operation == "1"
  advance_tasks(self)
  local window = app:on("R051") and window_refusal(self) or nil
  local tasks = overwrite and task_refusal(self, upload.source) or nil
  refused = app:on("R055") and (window or tasks) or (tasks or window)
  if refused then
    return refused
  end
  local rows, why, good = read_contacts(self, upload)
  if not rows then
    if not app:on("R045") then
      touch(self, upload.source, (upload.source.total or 0) + math.max(good or 0, 1))
    end
    return refuse(self, 400, "dataSourceFile: " .. why)
  end
  overwrite = overwrite and app:on("R044")
  local mode = overwrite and "overwrite" or "append"
  read_contacts(self, upload, function(row)
    app:commit(request, upload.source.name, { row = json.array(row), mode = mode })
  end)
  return add_rows(self, request, upload.source, rows, overwrite)
end

function handlers.upload_dnc_file(self, request)
  local app = self.app
  local upload, refused = open_upload(self, request, 1, "R061")
  if not upload then
    return refused
  end
  if not app:on("R063") then
    refused = window_refusal(self)
    if refused then
      return refused
    end
  end
  if app:on("R057") and starts_with_bom(upload.part.path) then
    return refuse(self, 400, "dataSourceFile: starts with a byte-order mark, expected GBK")
  end
  local uuids = {}
  local read, why = csv.read(upload.part.path, { raw = not app:on("R057") }, function(row, number)
    if number == 1 and #row > 1 and app:on("R057") then
      return "row 1: " .. #row .. " columns, expected only uuid"
    elseif app:on("R058") then
      if number == 1 and #row == 1 and row[1] == "uuid" then
        return nil
      elseif #row > 1 or row[1] == "" then
        return "row " .. number .. ": expected one column, a uuid that is not empty"
      end
    end
    uuids[#uuids + 1] = row[1]
    return nil
  end)
  if not read then
    return refuse(self, 400, "dataSourceFile: " .. why)
  end
  local added = 0
  for _, uuid in ipairs(uuids) do
    added = added + add_uuid(self, request, upload.source, uuid)
  end
  return add_rows(self, request, upload.source, added, false)
end

-- Uploads of JSON -------------------------------------------------------------------------------

local function open_json(self, request, kind, known)
  local app = self.app
  local owner = app.state.outbound.tokens[request.headers.token or ""]
  if not owner and app:on("R018") then
    return nil, refuse(self, 401, "invalid token")
  end
  local fields, why = body.json(app, request, known)
  if not fields then
    return nil, refuse(self, 400, why)
  end
  local abbreviate, refused = tenant_of(self, "R018", request.headers.token, fields.abbreviate)
  if not abbreviate then
    return nil, refused
  end
  local company = kind == 0 and fields.companyId or nil
  if company ~= nil then
    local integer = json.is_integer(company) and app:on("R022")
    local text = type(company) == "string" and company:find("^%d+$") and app:on("R023")
    if not integer and not text then
      return nil, refuse(self, 400, "companyId: expected a number")
    end
  end
  local source
  source, refused = source_of(self, abbreviate, fields.dataSourceName, kind, "R070")
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
    local long = #row == width and too_long(self, source, row)
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
    return refuse(self, 400, why)
  end
  local closed = app:on("R071") and window_refusal(self)
  if closed then
    return closed
  end
  list = json.is_array(list) and list or {}
  why = bad_width(self, source, list)
  if why then
    return refuse(self, 400, why)
  end
  local overwrite = not app:on("R069") and tostring(fields.operationType) == "1"
  for _, row in ipairs(list) do
    app:commit(request, source.name, { row = row, mode = overwrite and "overwrite" or "append" })
  end
  return add_rows(self, request, source, #list, overwrite)
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
    return refuse(self, 400, why)
  end
  local closed = not app:on("R063") and window_refusal(self)
  if closed then
    return closed
  end
  local added = 0
  for _, uuid in ipairs(json.is_array(list) and list or {}) do
    added = added + add_uuid(self, request, source, type(uuid) == "string" and uuid or json.encode(uuid))
  end
  return add_rows(self, request, source, added, false)
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
  local abbreviate, refused = tenant_of(self, "R018", request.headers.token, given)
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
  return success(self, data)
end

return M

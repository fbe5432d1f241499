-- SPDX-License-Identifier: MIT
-- The AI-call platform's customer pool (docs/contracts/longlong.md): one asynchronous import. What was taken
-- over becomes a batch result after a settable delay, shown at /_sandbox/results and, when a callback URL is
-- set, posted there in the form that the contract proposes.

local body = require "campaign.sandbox.body"
local json = require "campaign.sandbox.json"
local reply = require "campaign.sandbox.reply"
local state_of = require "campaign.sandbox.state"

local M = {}

local methods = {}
local mt = { __index = methods, __name = "sandbox.longlong" }

local MAX_ROWS = 200

function M.new(app)
  return setmetatable({ app = app }, mt)
end

function methods.serves(_, operation)
  return operation == "import_customers_async"
end

---A failure in the platform's shape (R400).
function methods:refuse(status, message)
  if not self.app:on("R400") then
    return reply.json(status, json.ordered("error", message))
  end
  return reply.json(status, json.ordered("code", status, "status", status < 500 and "fail" or "error",
    "message", message, "data", json.null))
end

function methods.expire(_, request)
  request.headers.authorization = nil
end

local function owner_of(self, request)
  local scheme, token = (request.headers.authorization or ""):match("^(%S+) +(%S+)$") -- linear: disjoint classes
  if not scheme or scheme:lower() ~= "bearer" then
    return nil
  end
  for id, user in pairs(self.app.state.longlong.users) do
    if user.token == token then
      return id
    end
  end
  return nil
end

-- Rows ------------------------------------------------------------------------------------------

local TEXTS = { "name", "email", "company", "extra" }
local INTEGERS = { "sort", "source_id", "industry_id", "grade_id" }

local function bad_components(app, list)
  if not json.is_array(list) then
    return "components: expected an array"
  end
  for i, item in ipairs(list) do
    local at = "components[" .. (i - 1) .. "]"
    local id = json.is_object(item) and item.id
    local value = json.is_object(item) and item.value
    if app:on("R385") then
      if type(id) ~= "string" or id == "" then
        return at .. ".id: required"
      elseif value == nil or value == json.null then
        return at .. ".value: required"
      end
    end
    local scalar = type(value) ~= "table" or json.is_integer(value)
    if app:on("R386") and not scalar then
      return at .. ".value: expected a text, number or boolean"
    elseif not app:on("R386") and value ~= nil and type(value) ~= "string" then
      return at .. ".value: expected a text"
    end
  end
  return nil
end

-- The first fault of one row, or nil.
local function bad_row(app, row)
  if not json.is_object(row) then
    return "expected an object"
  end
  if app:on("R379") and (type(row.phone) ~= "string" or row.phone == "") then
    return "phone: required, as text"
  elseif not app:on("R380") and not tostring(row.phone):find("^1%d%d%d%d%d%d%d%d%d%d$") then
    return "phone: expected a mobile number"
  end
  local sex = row.sex
  if sex ~= nil and app:on("R381") and sex ~= 0 and sex ~= 1 and sex ~= 2 then
    return "sex: expected 0, 1 or 2"
  end
  for _, name in ipairs(INTEGERS) do
    if row[name] ~= nil and app:on("R382") and not json.is_integer(row[name]) then
      return name .. ": expected an integer"
    end
  end
  for _, name in ipairs(TEXTS) do
    if row[name] ~= nil and app:on("R383") and type(row[name]) ~= "string" then
      return name .. ": expected a text"
    end
  end
  if row.extra == nil and not app:on("R384") then
    return "extra: required"
  end
  return row.components ~= nil and bad_components(app, row.components) or nil
end

-- The sub-account that a request means: at its top level, or in all rows alike (R394).
local function sub_account(app, fields)
  local sub = fields.sub_user_id
  if sub ~= nil and type(sub) ~= "string" then
    return nil, "sub_user_id: expected a text"
  end
  local first = fields.data[1] and fields.data[1].sub_user_id
  for i, row in ipairs(fields.data) do
    local own, at = row.sub_user_id, "data[" .. (i - 1) .. "].sub_user_id: "
    if own ~= nil and not app:on("R394") then
      return nil, at .. "not here"
    elseif own ~= nil and type(own) ~= "string" then
      return nil, at .. "expected a text"
    elseif own ~= first or (own and sub and own ~= sub) then
      return nil, at .. "differs from the others"
    end
  end
  return sub or first
end

local function bad_body(app, fields)
  local data = fields.data
  if app:on("R375") and (not json.is_array(data) or #data == 0) then
    return "data: expected an array of 1 to 200 rows"
  end
  if json.is_array(data) and #data > MAX_ROWS and app:on("R376") then
    return "data: at most 200 rows"
  end
  if fields.encryption ~= nil and type(fields.encryption) ~= "boolean" and app:on("R388") then
    return "encryption: expected true or false"
  elseif fields.encryption == nil and not app:on("R389") then
    return "encryption: required"
  end
  return nil
end

-- What becomes of each row once the batch is worked on: a known component, and the first of its phone.
local function outcome(self, pool, row)
  local app = self.app
  for _, component in ipairs(row.components or {}) do
    if app:on("R387") and not app.state.longlong.components[component.id] then
      return "unknown component " .. tostring(component.id)
    end
  end
  local phone = tostring(row.phone)
  local word = pool[phone] and "updated" or "created"
  pool[phone] = true
  return nil, word
end

-- Batches ---------------------------------------------------------------------------------------

local function result_of(batch)
  return json.ordered("unique_id", batch.unique_id, "total", batch.total, "success", batch.good,
    "fail", batch.total - batch.good, "rows", json.literal(batch.rows))
end

local function is_due(self, batch)
  return batch.early or self.app.clock:now() >= batch.due
end

---The results whose time has come, or the one asked for.
---@param unique_id? string
function methods:results(unique_id)
  local list = json.array()
  if not self.app:on("R401") then
    return list
  end
  for _, batch in ipairs(self.app.state.longlong.batches) do
    if is_due(self, batch) and (unique_id == nil or batch.unique_id == unique_id) then
      list[#list + 1] = result_of(batch)
    end
  end
  return list
end

---Callbacks that are to be posted now; each is given out once (twice for the fault `duplicate-callback`).
function methods:due()
  local posts = {}
  local url = self.app.state.settings["longlong.callback_url"]
  if url == "" or not self.app:on("R401") then
    return posts
  end
  local waiting = self.app.state.longlong.waiting or 0
  if waiting == 0 then
    return posts
  end
  for _, batch in ipairs(self.app.state.longlong.batches) do
    if not batch.posted and is_due(self, batch) then
      batch.posted = true
      waiting = waiting - 1
      for _ = 1, batch.silent and 0 or batch.twice and 2 or 1 do
        posts[#posts + 1] = { url = url, body = json.encode(result_of(batch)) }
      end
    end
  end
  self.app.state.longlong.waiting = waiting
  self.app:changed()
  return posts
end

---Faults `duplicate-callback`, `early-callback` (before the delay is over), `late-callback` (so many seconds after it) and `no-callback`, for
---the batch of a request that was taken over.
function methods:callback_fault(request, fault)
  local batches = self.app.state.longlong.batches
  local batch = batches[#batches]
  if not batch or batch.request ~= request.id then
    return
  end
  batch.twice = fault.kind == "duplicate-callback"
  batch.early = fault.kind == "early-callback"
  batch.silent = fault.kind == "no-callback"
  if fault.kind == "late-callback" then
    batch.due = batch.due + fault.seconds
  end
end

local function take_over(self, request, target, data)
  local app, state = self.app, self.app.state.longlong
  local unique_id = app:on("R396") and state_of.uuid() or "00000000-0000-4000-8000-000000000000"
  state.pools[target] = state.pools[target] or {}
  local rows, good = { "[" }, 0
  for i, row in ipairs(data) do
    local reason, word = outcome(self, state.pools[target], row)
    good = good + (reason and 0 or 1)
    rows[i + 1] = (i > 1 and "," or "") .. '{"index":' .. i - 1 .. ',"extra":'
      .. (row.extra ~= nil and json.encode(row.extra) or "null") .. ',"ok":' .. (reason and "false" or "true")
      .. ',"reason":' .. (reason and json.encode(reason) or word == "updated" and '"updated"' or '""') .. "}"
    local text, from, to = json.place_of(data, i)
    app:commit(request, target, { id = unique_id, row = row, row_text = text, row_from = from, row_to = to })
  end
  rows[#data + 2] = "]"
  -- The rows' results as their JSON: there may be thousands of batches, and the snapshot and the collector see one value each.
  local batch = {
    unique_id = unique_id, request = request.id, rows = table.concat(rows), total = #data, good = good,
    due = math.floor(app.clock:now() + app.state.settings["longlong.result_delay"]),
  }
  state.batches[#state.batches + 1] = batch
  state.waiting = (state.waiting or 0) + 1
  app:changed()
  return unique_id
end

local KNOWN = { "data", "encryption", "sub_user_id" }

function methods:handle(request)
  local app, state = self.app, self.app.state.longlong
  local owner = owner_of(self, request)
  if not owner and app:on("R371") then
    return self:refuse(401, "invalid token")
  end
  local user_id = request.params.user_id
  local user = state.users[user_id]
  if not user then
    if app:on("R372") then
      return self:refuse(404, "unknown user")
    end
    user = { subs = {} }
  elseif owner and owner ~= user_id then
    return self:refuse(403, "the token may not act for this user")
  end
  local fields, why = body.json(app, request, KNOWN)
  why = why or bad_body(app, fields)
  if why then
    if not app:on("R377") and fields and json.is_array(fields.data) then
      take_over(self, request, user_id, fields.data)
    end
    return self:refuse(400, why)
  end
  local data = json.is_array(fields.data) and fields.data or {}
  for i, row in ipairs(data) do
    why = bad_row(app, row)
    if why then
      return self:refuse(400, "data[" .. (i - 1) .. "]." .. why)
    end
  end
  local sub
  sub, why = sub_account(app, { data = data, sub_user_id = fields.sub_user_id })
  if why then
    return self:refuse(400, why)
  end
  if sub and not user.subs[sub] and app:on("R393") then
    return self:refuse(403, "unknown sub-account")
  end
  local encrypted = app.state.settings["longlong.encryption"]
  if fields.encryption == true and not encrypted and app:on("R391") then
    return self:refuse(403, "interface encryption is off")
  end
  local target = app:on("R393") and sub or user_id
  local unique_id = take_over(self, request, target, data)
  if not app:on("R395") then
    return reply.json(200, json.ordered("code", 200))
  end
  return reply.json(200, json.ordered("code", 200, "status", "success",
    "message", "客户公海导入信息请在回调中查收", "data", json.ordered("unique_id", unique_id)))
end

return M

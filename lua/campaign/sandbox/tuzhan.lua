-- SPDX-License-Identifier: MIT
-- The audience-group platform (docs/contracts/tuzhan.md): customers with up to four identities and the groups
-- that they are in. A fault of the whole request changes nothing and is a 400; a fault of one row fails that row
-- alone and brings it back in errorData.

local body = require "campaign.sandbox.body"
local json = require "campaign.sandbox.json"
local reply = require "campaign.sandbox.reply"

local M = {}

local methods = {}
local mt = { __index = methods, __name = "sandbox.tuzhan" }

local IDENTITIES = { "thirdId", "openid", "unionid", "phone" }
local IS_IDENTITY = { thirdId = true, openid = true, unionid = true, phone = true }
local ORDERS = {
  { "unionid", "openid", "phone", "thirdId" },
  { "thirdId", "phone", "openid", "unionid" },
}
local OPT_TYPES = { add = true, update = true, delete = true }
local APPLICATIONS = {
  gzh = true, workwechat = true, YOUZAN = true, EZR = true, contentminiapp = true, contenthome = true,
}
local ERROR_CODES = {
  [400] = "PARAM_ERROR", [401] = "UNAUTHORIZED", [403] = "FORBIDDEN", [404] = "NOT_FOUND",
  [405] = "METHOD_NOT_ALLOWED", [429] = "TOO_MANY_REQUESTS",
}

function M.new(app)
  return setmetatable({ app = app }, mt)
end

function methods.serves(_, operation)
  return operation == "batch_add_group_relations"
end

---A failure in the platform's shape: the same four keys, `data` null, the HTTP status in `code` (R088).
function methods:refuse(status, message)
  if not self.app:on("R088") then
    return reply.json(status, json.ordered("message", message))
  end
  local word = ERROR_CODES[status] or (status < 500 and "PARAM_ERROR" or "SYSTEM_ERROR")
  return reply.json(status, json.ordered("code", tostring(status), "errorCode", word, "msg", message,
    "data", json.null))
end

function methods.expire(_, request)
  request.headers["x-token"] = nil
end

---Forgets what was built beside the state.
function methods:clear()
  self.index = nil
end

-- Customers -------------------------------------------------------------------------------------

-- Identity → customer, built from the state when first needed.
local function index_of(self)
  if not self.index then
    self.index = {}
    for _, name in ipairs(IDENTITIES) do
      self.index[name] = {}
    end
    for _, customer in ipairs(self.app.state.tuzhan.customers) do
      for _, name in ipairs(IDENTITIES) do
        if customer[name] then
          self.index[name][customer[name]] = customer
        end
      end
    end
  end
  return self.index
end

local function filled(row, name)
  local value = row[name]
  return type(value) == "string" and value ~= "" and value or nil
end

local function find_customer(self, row, names)
  local index = index_of(self)
  for _, name in ipairs(names) do
    local value = filled(row, name)
    if value then
      local customer = index[name][value]
      if customer or not self.app:on("R102") then
        return customer
      end
    end
  end
  return nil
end

local function new_customer(self, row, names)
  local index, customers = index_of(self), self.app.state.tuzhan.customers
  local customer = { id = tostring(#customers + 1), groups = json.array() }
  for _, name in ipairs(names) do
    local value = filled(row, name)
    if value and not index[name][value] then
      customer[name] = value
      index[name][value] = customer
    end
  end
  customers[#customers + 1] = customer
  return customer
end

-- Rows ------------------------------------------------------------------------------------------

-- A part of a text without the blanks around it. Byte loops, which LuaJIT compiles, instead of patterns: this runs for every row.
local function trimmed(text, from, to)
  local byte = text:byte(from)
  while from <= to and (byte == 32 or byte >= 9 and byte <= 13) do
    from = from + 1
    byte = text:byte(from)
  end
  byte = text:byte(to)
  while to >= from and (byte == 32 or byte >= 9 and byte <= 13) do
    to = to - 1
    byte = text:byte(to)
  end
  return text:sub(from, to)
end

local function split_groups(self, text)
  local names = {}
  if type(text) ~= "string" then
    return names
  end
  if not self.app:on("R114") then
    return { text }
  end
  local from = 1
  while from <= #text do
    local comma = text:find(",", from, true) or #text + 1
    local name = trimmed(text, from, comma - 1)
    if name ~= "" then
      names[#names + 1] = name
    end
    from = comma + 1
  end
  return names
end

local function change_groups(self, customer, names, mode)
  local named = {}
  for _, name in ipairs(names) do
    named[name] = true
  end
  local groups = json.array()
  if not self.app:on("R115") then
    mode = "add"
  end
  for _, name in ipairs(mode == "update" and {} or customer.groups) do
    if not named[name] then
      groups[#groups + 1] = name
    end
  end
  if mode ~= "delete" then
    for _, name in ipairs(names) do
      if named[name] then
        named[name] = nil
        groups[#groups + 1] = name
      end
    end
  end
  customer.groups = groups
end

-- Which identities of a row count, in which order, or why the row fails.
local function identities(self, row, params)
  local app = self.app
  if params.isMatching == true and params.matchingType == 1 then
    local name = row.identityType
    if not filled(row, name) and app:on("R105") then
      return nil, tostring(name) .. ": empty"
    end
    return app:on("R106") and { name } or ORDERS[1]
  end
  local any = filled(row, "thirdId") or filled(row, "openid") or filled(row, "unionid") or filled(row, "phone")
  if not any and app:on("R111") then
    return nil, "no identity"
  end
  local way = params.isMatching == true and params.identifyWay or 1
  if not app:on(way == 2 and "R101" or "R100") then
    way = 3 - way
  end
  return ORDERS[way] or ORDERS[1]
end

-- Applies one row; its fault when it fails.
local function apply(self, request, data, i, params)
  local row = data[i]
  local app, mode = self.app, params.optType
  local names = split_groups(self, row.groups)
  if #names == 0 and app:on("R114") then
    return "groups: empty"
  end
  local order, why = identities(self, row, params)
  if not order then
    return why
  end
  local customer = find_customer(self, row, order)
  if not customer then
    if mode == "delete" and app:on("R116") then
      return "no such customer"
    elseif mode ~= "delete" then
      customer = new_customer(self, row, order)
    end
  end
  if customer then
    change_groups(self, customer, names, mode)
  end
  local text, from, to = json.place_of(data, i)
  app:commit(request, "customers", {
    mode = mode, row = row, row_text = text, row_from = from, row_to = to, id = customer and customer.id,
    result = customer and customer.groups,
  })
  return nil
end

-- The request -----------------------------------------------------------------------------------

local function is_one_or_two(value)
  return value == 1 or value == 2
end

local function bad_params(app, params)
  if app:on("R092") and type(params.isMatching) ~= "boolean" then
    return "publicParams.isMatching: expected true or false"
  end
  if app:on("R094") and not OPT_TYPES[params.optType] then
    return "publicParams.optType: expected add, update or delete"
  end
  if params.isMatching == false and app:on("R097") then
    return nil
  end
  if app:on("R096") and not is_one_or_two(params.matchingType) then
    return "publicParams.matchingType: expected 1 or 2"
  end
  if params.matchingType == 2 and app:on("R098") and not is_one_or_two(params.identifyWay) then
    return "publicParams.identifyWay: expected 1 or 2"
  end
  if params.matchingType == 1 then
    local application = params.accurateMatchType
    if application ~= nil and app:on("R108") and not APPLICATIONS[application] then
      return "publicParams.accurateMatchType: unknown application type"
    end
    if params.accurateMatchValue ~= nil and type(params.accurateMatchValue) ~= "string" then
      return "publicParams.accurateMatchValue: expected a text"
    end
  end
  return nil
end

-- What is wrong with a row, or with a field of it: "phone: empty".
local function of_row(i, what)
  return "data[" .. (i - 1) .. "]" .. (what:find("^%w+: ") and "." or ": ") .. what
end

local TEXTS = { "thirdId", "openid", "unionid", "phone", "groups" }

local function bad_row(app, row, params)
  if not json.is_object(row) then
    return "expected an object"
  end
  for _, name in ipairs(TEXTS) do
    local value = row[name]
    if value ~= nil and value ~= json.null and type(value) ~= "string" then
      return name .. ": expected a text"
    end
  end
  local exact = params.isMatching == true and params.matchingType == 1
  if exact and app:on("R103") and not IS_IDENTITY[row.identityType] then
    return "identityType: expected phone, thirdId, openid or unionid"
  end
  return nil
end

local function bad_request(app, fields)
  local params, data = fields.publicParams, fields.data
  if app:on("R090") then
    if not json.is_object(params) then
      return "publicParams: expected an object"
    elseif not json.is_array(data) then
      return "data: expected an array"
    end
  end
  params, data = json.is_object(params) and params or {}, json.is_array(data) and data or {}
  if #data == 0 and app:on("R091") and (fields.data ~= nil or app:on("R090")) then
    return "data: expected at least one row"
  end
  local why = bad_params(app, params)
  for i, row in ipairs(data) do
    local bad = why == nil and bad_row(app, row, params)
    if not bad and not app:on("R107") and row.identityType ~= data[1].identityType then
      bad = "identityType: differs from the first row's"
    end
    if bad then
      return of_row(i, bad)
    end
  end
  return why, params, data
end

-- `status` follows the counts: 1 all, 2 some, -1 none (R118).
local function status_of(app, good, failed)
  if failed == 0 or not app:on("R118") then
    return 1
  end
  return good == 0 and -1 or 2
end

local function answer(self, good, failed, reason)
  local app = self.app
  local late = app.rules:form("tuzhan-late")
  local message = app:on("R117") and "成功" or "ok"
  local count = app:on("R119") and #failed or 0
  local data
  if late then
    data = json.ordered("importSuccessNum", 0, "message", "进行中", "importFailNum", 0, "errorData", json.null,
      "status", 0)
  else
    local shown = #failed > 0 and app:on("R120") and failed or json.null
    data = json.ordered("importSuccessNum", good, "message", reason or message, "importFailNum", count,
      "errorData", shown, "status", status_of(app, good, #failed))
  end
  local code = app:on("R126") and "200" or 200
  return reply.json(200, json.ordered("code", code, "errorCode", "SUCCESS", "msg", "ok", "data", data))
end

function methods:handle(request)
  local app = self.app
  local state = app.state
  if not state.tuzhan.tokens[request.headers["x-token"] or ""] and app:on("R086") then
    return self:refuse(401, "invalid X-Token")
  end
  if state.settings["tuzhan.level"] ~= "enterprise" and app:on("R087") then
    return self:refuse(403, "the token is not of enterprise level")
  end
  local fields, why = body.json(app, request, { "publicParams", "data" })
  if not fields then
    return self:refuse(400, why)
  end
  local params, data
  why, params, data = bad_request(app, fields)
  if why then
    return self:refuse(400, why)
  end
  local failed, reason = json.array(), nil
  for i, row in ipairs(data) do
    local bad = apply(self, request, data, i, params)
    if bad then
      failed[#failed + 1] = row
      reason = reason or of_row(i, bad)
    end
  end
  app:changed()
  return answer(self, #data - #failed, failed, reason)
end

return M

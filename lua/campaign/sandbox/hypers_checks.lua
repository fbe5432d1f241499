-- SPDX-License-Identifier: MIT
-- What a new notification task must look like: names, times, contents, members, variables. Pure checks: a fault is
-- { field, reason, text }, nothing is stored here.

local clock = require "campaign.sandbox.clock"
local json = require "campaign.sandbox.json"
local state_of = require "campaign.sandbox.state"

local M = {}

local TASK_TYPES = { APPOINTMENT_REMINDER = true, CUSTOMER_RESOURCE_REMINDER = true }
local DAY = 86400
local DEFAULT_END = 22 * 3600

M.TASK_TYPES = TASK_TYPES

local function fault(field, reason, text)
  return { field = field, reason = reason, text = text }
end

-- UTF-16 code units: characters, and one more for each that lies outside the first plane (R157).
local function length_of(app, text)
  local _, characters = text:gsub("[^\128-\191]", "")
  if not app:on("R157") then
    return characters
  end
  local _, long = text:gsub("[\240-\244]", "")
  return characters + long
end

function M.task_name(app, name)
  if type(name) ~= "string" or name == "" or (app:on("R157") and not name:find("%S")) then
    return fault("taskName", "required", "required")
  elseif app:on("R156") and length_of(app, name) > 120 then
    return fault("taskName", "too_long", "length must be <= 120")
  end
  return nil
end

function M.task_type(app, task_type)
  if app:on("R158") and not TASK_TYPES[task_type] then
    return fault("taskType", "invalid", "expected APPOINTMENT_REMINDER or CUSTOMER_RESOURCE_REMINDER")
  end
  return nil
end

---The start and end of a task in local seconds, or a fault.
---@return number? start
---@return number|table end_or_fault
function M.times(app, fields)
  local start = clock.parse(fields.scheduledStartTime)
  if not start then
    if app:on("R159") then
      return nil, fault("scheduledStartTime", "invalid", "expected yyyy-MM-dd HH:mm:ss")
    end
    start = app.clock:now()
  end
  local day = start - clock.time_of_day(start)
  local given = fields.scheduledEndTime
  local stop
  if given == nil then
    stop = day + (app:on("R162") and DEFAULT_END or DAY - 1)
    if stop <= start then
      if app:on("R164") then
        return nil, fault("scheduledEndTime", "required", "required when the start is at or after 22:00:00")
      end
      stop = day + DAY - 1
    end
  else
    stop = clock.parse(given)
    if not stop then
      if app:on("R160") then
        return nil, fault("scheduledEndTime", "invalid", "expected yyyy-MM-dd HH:mm:ss")
      end
      stop = day + DEFAULT_END
    end
  end
  if app:on("R161") and (stop < day or stop >= day + DAY) then
    return nil, fault("scheduledEndTime", "invalid", "must be on the day of the start")
  elseif app:on("R163") and stop <= start then
    return nil, fault("scheduledEndTime", "invalid", "must be later than the start")
  elseif app:on("R165") and stop <= app.clock:now() then
    return nil, fault("scheduledEndTime", "invalid", "is past")
  end
  return start, stop
end

-- Absolute, with a host; the letter case of the scheme says nothing, and no URL has blanks.
local function is_url(text)
  return text:lower():find("^https?://[^/?#]") ~= nil and not text:find("[%s%c]")
end

local function bad_content(app, item, at)
  if not json.is_object(item) then
    return fault(at, "invalid", "expected an object")
  end
  local kind, value = item.contentType, item.contentValue
  if not app:on("R172") then
    kind, value = kind or item.type, value or item.value
  end
  if app:on("R167") then
    if kind ~= "TEXT" and kind ~= "IMAGE" then
      return fault(at .. ".contentType", "invalid", "expected TEXT or IMAGE")
    elseif type(value) ~= "string" or value == "" then
      return fault(at .. ".contentValue", "required", "required")
    end
  end
  value = type(value) == "string" and value or ""
  local limited = app:on("R168") and (kind == "TEXT" or app:on("R169"))
  if limited and length_of(app, value) > 1024 then
    return fault(at .. ".contentValue", "too_long", "length must be <= 1024")
  end
  if kind == "IMAGE" and app:on("R170") and not is_url(value) then
    return fault(at .. ".contentValue", "invalid", "expected an absolute http or https URL")
  end
  return nil, { contentType = kind, contentValue = value }
end

---The contents of a task, or a fault.
function M.contents(app, list)
  if app:on("R166") and (not json.is_array(list) or #list == 0) then
    return nil, fault("contents", "required", "at least one")
  end
  local contents = json.array()
  for i, item in ipairs(json.is_array(list) and list or {}) do
    local bad, content = bad_content(app, item, "contents[" .. (i - 1) .. "]")
    if bad then
      return nil, bad
    end
    contents[i] = content
  end
  return contents
end

-- Calls `take` with what stands between each `{{` and the next `}}`.
local function each_variable(text, take)
  local _, opened = text:find("{{", 1, true)
  while opened do
    local close_at, closed = text:find("}}", opened + 1, true)
    if not close_at then
      return
    end
    take(text:sub(opened + 1, close_at - 1))
    _, opened = text:find("{{", closed + 1, true)
  end
end

---The names of the variables in the contents, each once.
---@return string[]
function M.variables(app, contents)
  local names, seen = {}, {}
  local function take(name)
    if app:on("R182") then
      name = name:gsub("^%s+", ""):gsub("%s+$", "")
    end
    if name ~= "" and not seen[name] then
      seen[name] = true
      names[#names + 1] = name
    end
  end
  for _, content in ipairs(contents) do
    if content.contentType == "TEXT" or not app:on("R183") then
      each_variable(content.contentValue, take)
    end
  end
  return names
end

local function is_text(value)
  return type(value) == "string" and value ~= ""
end

local function bad_member(app, member, at, variables)
  if not json.is_object(member) then
    return fault(at, "invalid", "expected an object")
  end
  for _, name in ipairs{ "userId", "ciq", "nickname" } do
    if member[name] ~= nil and type(member[name]) ~= "string" then
      return fault(at .. "." .. name, "invalid", "expected a text")
    end
  end
  local id = member.memberId
  if id ~= nil and not (json.is_integer(id) and state_of.is_id(json.integer_text(id))) then
    return fault(at .. ".memberId", "invalid", "expected a positive 64-bit integer")
  end
  local known = is_text(member.userId) or is_text(member.ciq) or id ~= nil
  if app:on("R178") and not known then
    return fault(at, "required", "userId, ciq or memberId required")
  end
  for _, name in ipairs(variables) do
    local stands_in = name == "name" and not app:on("R184") and is_text(member.nickname)
    if app:on("R181") and not is_text(member[name]) and not stands_in then
      return fault(at .. "." .. name, "required", "the variable {{" .. name .. "}} needs a value")
    end
  end
  return nil
end

---A fault of the members, or nil.
function M.members(app, list, variables)
  for i, member in ipairs(list) do
    local bad = bad_member(app, member, "members[" .. (i - 1) .. "]", variables)
    if bad then
      return bad
    end
  end
  return nil
end

---A fault of one member file's columns, or nil.
function M.columns(app, sheet, at, variables)
  if not app:on("R186") then
    return nil
  end
  local has = {}
  for _, name in ipairs(sheet.columns) do
    has[name] = true
  end
  if not (has.userId or has.ciq or has.memberId) then
    return fault(at, "invalid", "needs a column userId, ciq or memberId")
  end
  for _, name in ipairs(variables) do
    if not has[name] then
      return fault(at, "invalid", "the variable {{" .. name .. "}} needs a column")
    end
  end
  return nil
end

return M

-- SPDX-License-Identifier: MIT
-- Named rules: checks over several fields that the vocabulary cannot express. A platform file refers to them by name. A rule gets the
-- checked values (refused fields are missing), and reports faults by path.

local sorted = require "campaign.sorted"
local time = require "campaign.api.time"

local M = {}

-- Calls `visit` for the tables in a list: items that failed their checks are `false`.
local function each_table(list, visit)
  for index, item in ipairs(list or {}) do
    if type(item) == "table" then
      visit(index, item)
    end
  end
end

local function trim(text)
  local first = text:find("%S")
  if not first then
    return ""
  end
  local last = #text
  while text:find("^%s", last) do
    last = last - 1
  end
  return text:sub(first, last)
end

---The distinct {{variables}} of a text in their order; false in the list stands for one without a name.
---@param text string
---@param seen table<string, boolean>
---@param names (string|false)[]
local function collect_variables(text, seen, names)
  local at = 1
  while true do
    local open_at, opened = text:find("{{", at, true)
    local close_at, closed = nil, nil
    if open_at then
      close_at, closed = text:find("}}", opened + 1, true)
    end
    if not close_at then
      return
    end
    local name = trim(text:sub(opened + 1, close_at - 1))
    local key = name ~= "" and name or false
    if not seen[key] then
      seen[key] = true
      names[#names + 1] = key
    end
    at = closed + 1
  end
end

local RULES = {}

-- R066: rows of one upload are equally wide.
function RULES.equal_width(values, fault)
  local width
  each_table(values.dataList, function(index, row)
    width = width or #row
    if #row ~= width then
      fault("dataList[" .. index .. "]", ("has %d columns where the first row has %d"):format(#row, width))
    end
  end)
end

-- R104: in exact matching the identity that a row names is filled.
function RULES.filled_identity(values, fault)
  local params = values.publicParams
  if type(params) ~= "table" or params.matchingType ~= 1 then
    return
  end
  each_table(values.data, function(index, row)
    local name = row.identityType
    if name and (row[name] == nil or row[name] == "") then
      fault("data[" .. index .. "]." .. name, "must be filled, since `identityType` of this row is `" .. name .. "`")
    end
  end)
end

-- R161, R163, R164: a notification task begins and ends on one day; without an end it ends at 22:00:00.
function RULES.period_of_one_day(values, fault)
  local start, finish = values.scheduledStartTime, values.scheduledEndTime
  if not start then
    return
  end
  if not finish then
    if start:sub(12) >= "22:00:00" then
      fault("scheduledEndTime", "is required when the task starts at 22:00:00 or later")
    end
    return
  end
  if start:sub(1, 10) ~= finish:sub(1, 10) then
    fault("scheduledEndTime", "must be on the day of `scheduledStartTime`")
  elseif finish <= start then
    fault("scheduledEndTime", "must be later than `scheduledStartTime`")
  end
end

---Whether a text is an absolute http or https URL without spaces and control characters.
---@param text string
---@return boolean
function M.is_url(text)
  local scheme = text:lower():match("^https?://")
  return scheme ~= nil and text:find("^[^/?#%s%c]", #scheme + 1) ~= nil and not text:find("[%s%c]")
end

-- R170: a picture is named by an absolute URL.
function RULES.image_is_url(values, fault)
  each_table(values.contents, function(index, content)
    local value = content.contentValue
    if content.contentType == "IMAGE" and value and not M.is_url(value) then
      fault("contents[" .. index .. "].contentValue", "must be an absolute http or https URL, since `contentType` is IMAGE")
    end
  end)
end

-- R181-R185: every {{variable}} of the texts has a value in every member. Variables of members in files cannot be seen here.
function RULES.variables_have_values(values, fault, context)
  local seen, names = {}, {}
  each_table(values.contents, function(index, content)
    if content.contentType == "TEXT" and content.contentValue then
      collect_variables(content.contentValue, seen, names)
      if seen[false] then
        seen[false] = nil
        names[#names] = nil
        fault("contents[" .. index .. "].contentValue", "has a variable without a name: {{}}")
      end
    end
  end)
  local by_server = {}
  for _, name in ipairs(context.server_variables or {}) do
    by_server[name] = true
  end
  each_table(values.members, function(index, member)
    for _, name in ipairs(names) do
      local value = member[name]
      if not by_server[name] and (type(value) ~= "string" or value == "") then
        fault("members[" .. index .. "]." .. name, "must be a text that is not empty: a content uses {{" .. name .. "}}")
      end
    end
  end)
end

-- R312, R313: times of a plan in one form, the end after the start; a wake-up needs a time.
function RULES.plan_times(values, fault)
  local data = values.data
  if type(data) ~= "table" then
    return
  end
  local start, finish = data.startTime, data.endTime
  if start and finish then
    if #start ~= #finish then
      fault("data.endTime", "must have the same form as `startTime`")
    elseif finish <= start then
      fault("data.endTime", "must be later than `startTime`")
    end
  end
  if data.timeoutWakeUp == true and data.timeout and data.timeout < 1 then
    fault("data.timeout", "must be at least 1 when `timeoutWakeUp` is true")
  end
end

---Whether a text is `HH:mm`, `HH:mm:ss` or `yyyy-MM-dd HH:mm:ss` and real.
---@param text string
---@return boolean
function M.is_clock_or_datetime(text)
  return time.parse_clock(text) ~= nil or time.parse_datetime(text) ~= nil
end

---Names of all rules.
---@return string[]
function M.names()
  return sorted.keys(RULES)
end

M.RULES = RULES

-- What each rule asks for, for the generated documents.
M.SAYS = {
  equal_width = "all rows are equally wide",
  filled_identity = "in exact matching each row fills the identity that its `identityType` names",
  period_of_one_day = "a task begins and ends on one day; without an end it ends at 22:00:00",
  image_is_url = "an IMAGE is named by an absolute http or https URL",
  variables_have_values = "every {{variable}} of the texts has a value in every listed member",
  plan_times = "start and end are in one form, the end after the start; a wake-up needs a time",
}

return M

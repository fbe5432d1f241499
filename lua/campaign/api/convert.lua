-- SPDX-License-Identifier: MIT
-- Converts a scalar given by a caller to what is sent, by its type, or reports a fault. Limits, enums and conditions are in api/check;
-- `check` is the check in progress, which collects the faults. Never prints a value.

local core = require "campaign.core"
local time = require "campaign.api.time"

local M = {}

-- The largest whole number that a double holds unambiguously: 2^53 may be a rounded 2^53 + 1.
local MAX_SAFE = 9007199254740991

-- The limits of a 64-bit integer as text, compared by length and then by digits.
local INT64_MAX, INT64_MIN = "9223372036854775807", "9223372036854775808"

---A name that a caller gave, fit for a message.
---@param key any
---@return string
function M.shown_key(key)
  local text = tostring(key):gsub("[%c\127]", "?")
  return #text > 60 and text:sub(1, 57) .. "..." or text
end

-- A finite whole number, as an integer where Lua has them: 5.4 prints 1.0 and 1 differently.
local function whole(value)
  if value ~= value or value == math.huge or value == -math.huge or value ~= math.floor(value) then
    return nil
  end
  return math.tointeger and math.tointeger(value) or value -- luacheck: ignore
end

---The decimal text of a 64-bit integer given as text or as an exact number; nil when it is none.
---@param value any
---@return string?
local function int64_text(value)
  if type(value) == "number" then
    local number = whole(value)
    local is_exact = number and (math.type and math.type(value) == "integer" -- luacheck: ignore
      or number >= -MAX_SAFE and number <= MAX_SAFE)
    return is_exact and ("%d"):format(number) or nil
  end
  if type(value) == "cdata" then
    value = tostring(value):match("^(%-?%d+)U?LL$")
  end
  if type(value) ~= "string" or not value:find("^%-?%d+$") or value:find("^%-?0%d") or value == "-0" then
    return nil
  end
  local is_negative = value:sub(1, 1) == "-"
  local digits = is_negative and value:sub(2) or value
  local limit = is_negative and INT64_MIN or INT64_MAX
  if #digits > #limit or (#digits == #limit and digits > limit) then
    return nil
  end
  return value
end
M.int64_text = int64_text

---@type table<string, fun(check: table, field: table, value: any, path: string): any>
local CONVERT = {}
M.by_type = CONVERT

-- Paths, queries and headers take no control characters; nothing takes NUL.
function CONVERT.string(check, field, value, path)
  if type(value) == "number" and field.values and int64_text(value) and field.values.set[int64_text(value)] then
    value = int64_text(value) -- 1 for "1" in a closed list
  end
  if type(value) ~= "string" then
    return nil, check:fault(path, "must be a text, not a " .. type(value))
  end
  if not core.utf8.validate(value) then
    return nil, check:fault(path, "is not valid UTF-8")
  end
  if value:find("\0", 1, true) then
    return nil, check:fault(path, "must not hold a NUL character")
  end
  if (field.where == "header" or field.where == "path" or field.where == "query") and value:find("[%c\127]") then
    return nil, check:fault(path, "must not hold control characters")
  end
  if field.where == "path" and (value == "." or value == "..") then
    return nil, check:fault(path, "must not be `" .. value .. "`")
  end
  return value
end

function CONVERT.integer(check, _, value, path)
  local number = type(value) == "number" and whole(value) or nil
  if not number and type(value) == "string" and int64_text(value) and math.abs(tonumber(value)) > MAX_SAFE then
    return nil, check:fault(path, "is too large: whole numbers go up to 9007199254740991 here")
  end
  if not number then
    return nil, check:fault(path, "must be a whole number, not a " .. (type(value) == "number" and "fraction" or type(value)))
  end
  if number > MAX_SAFE or number < -MAX_SAFE then
    return nil, check:fault(path, "is too large: whole numbers go up to 9007199254740991 here")
  end
  return number
end

function CONVERT.int64(check, _, value, path)
  local text = int64_text(value)
  if not text then
    return nil, check:fault(path, "must be a 64-bit integer, as decimal text or an exact number")
  end
  return text
end

function CONVERT.number(check, _, value, path)
  if type(value) ~= "number" or value ~= value or value == math.huge or value == -math.huge then
    return nil, check:fault(path, "must be a number, not " .. (type(value) == "number" and "infinite" or "a " .. type(value)))
  end
  if value == math.floor(value) and math.abs(value) > MAX_SAFE and not int64_text(value) then
    return nil, check:fault(path, "is too large: of whole numbers beyond 9007199254740991 digits may have been lost")
  end
  return value
end

function CONVERT.boolean(check, _, value, path)
  if type(value) ~= "boolean" then
    return nil, check:fault(path, "must be true or false, not a " .. type(value))
  end
  return value
end

-- A time as text, or an instant that is written in the platform's zone.
function CONVERT.datetime(check, field, value, path)
  if type(value) == "number" then
    if not time.is_instant(value) then
      return nil, check:fault(path, "is not an instant in seconds since 1970")
    end
    value = time.format_datetime(value, check.platform.zone_seconds)
  end
  if type(value) ~= "string" then
    return nil, check:fault(path, "must be a time like 2025-11-10 09:00:00 or seconds since 1970, not a " .. type(value))
  end
  if field.whole_minutes and #value == 16 then
    value = value .. ":00"
  end
  if not time.parse_datetime(value) then
    return nil, check:fault(path, "must be a real time in the form yyyy-MM-dd HH:mm:ss")
  end
  if field.whole_minutes and value:sub(18) ~= "00" then
    return nil, check:fault(path, "must be a whole minute: seconds are 00")
  end
  return value
end

function CONVERT.date(check, _, value, path)
  if type(value) == "number" then
    if not time.is_instant(value) then
      return nil, check:fault(path, "is not an instant in seconds since 1970")
    end
    value = time.format_date(value, check.platform.zone_seconds)
  end
  if type(value) ~= "string" or not time.parse_date(value) then
    return nil, check:fault(path, "must be a real date in the form yyyy-MM-dd")
  end
  return value
end

-- Completes the name and content type of a file. The name is sent in a header, so it has no directories and no control characters.
local function named_file(check, field, file, path)
  if file.path == "" or (file.path and file.path:find("\0", 1, true)) then
    return nil, check:fault(path, "must be the path of a file")
  end
  if file.content == "" then
    return nil, check:fault(path, "must not be empty")
  end
  local name = file.filename or file.path
  if not name then
    return nil, check:fault(path .. ".filename", "is required when the content is given")
  end
  name = name:match("[^/\\]*$")
  if name == "" then
    return nil, check:fault(path .. ".filename", "must not be empty")
  end
  if name:find("[%c\127]") or not core.utf8.validate(name) then
    return nil, check:fault(path .. ".filename", "must be valid UTF-8 without control characters")
  end
  file.filename = name
  file.content_type = file.content_type or field.content_type
  if file.content_type and file.content_type:find("[%c\127]") then
    return nil, check:fault(path .. ".content_type", "must not hold control characters")
  end
  return file
end

-- A file: a path, { path, filename }, { content, filename }, { source, filename } or a body source. Opened later, by who sends it.
function CONVERT.file(check, field, value, path)
  local file
  if type(value) == "string" then
    file = { path = value }
  elseif type(value) == "userdata" then
    file = { source = value, filename = "upload.bin" }
  elseif type(value) == "table" then
    file = { path = value.path, content = value.content, source = value.source, filename = value.filename,
      content_type = value.content_type }
    for key in pairs(value) do
      if key ~= "path" and key ~= "content" and key ~= "source" and key ~= "filename" and key ~= "content_type" then
        return nil, check:fault(path, "unknown key `" .. M.shown_key(key) .. "` (known: path, content, source, filename, content_type)")
      end
    end
  else
    return nil, check:fault(path, "must be a path or { path = } or { content =, filename = }, not a " .. type(value))
  end
  local given = (file.path and 1 or 0) + (file.content and 1 or 0) + (file.source and 1 or 0)
  if given ~= 1 then
    return nil, check:fault(path, "needs exactly one of `path`, `content`, `source`")
  end
  for _, key in ipairs{ "path", "content", "filename", "content_type" } do
    if file[key] ~= nil and type(file[key]) ~= "string" then
      return nil, check:fault(path .. "." .. key, "must be a text, not a " .. type(file[key]))
    end
  end
  if file.source and type(file.source) ~= "userdata" then
    return nil, check:fault(path .. ".source", "must be a body source")
  end
  return named_file(check, field, file, path)
end

-- Anything that JSON can say, for keys the platform does not describe.
function CONVERT.any(check, _, value, path)
  if type(value) == "string" then
    return CONVERT.string(check, {}, value, path)
  elseif type(value) == "number" then
    return CONVERT.number(check, {}, value, path)
  end
  local text, err = core.json.encode(value)
  if not text then
    return nil, check:fault(path, err.message)
  end
  return value
end

return M

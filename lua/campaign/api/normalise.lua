-- SPDX-License-Identifier: MIT
-- Converts a decoded reply by the platform's description: declared types, alternative names, mapped values, 64-bit ids as decimal text on
-- every Lua. Undeclared keys and enum values are kept. A declared field with a value of another type is reported by its path; `api/parse`
-- decides what that means.

local convert = require "campaign.api.convert"
local core = require "campaign.core"
local time = require "campaign.api.time"

local M = {}

local MAX_SAFE = 9007199254740991

-- Decoded JSON null is a light userdata.
local function is_null(value)
  return value == nil or type(value) == "userdata"
end

local function whole(value)
  if type(value) ~= "number" or value ~= math.floor(value) or value > MAX_SAFE or value < -MAX_SAFE then
    return nil
  end
  return math.tointeger and math.tointeger(value) or value -- luacheck: ignore
end

-- Undeclared values: whole numbers become integers where the language has them, null goes.
local function plain(value)
  if type(value) == "number" then
    return whole(value) or value
  end
  if type(value) ~= "table" then
    if is_null(value) then
      return nil
    end
    return value
  end
  local new = setmetatable({}, getmetatable(value))
  for key, inner in pairs(value) do
    new[key] = plain(inner)
    if new[key] == nil and type(key) == "number" then
      new[key] = inner -- null in a list stays, so that the list has no hole
    end
  end
  return new
end

-- A text of digits that the JSON guard made of a long integer, or that the platform wrote so.
local function long_digits(value)
  return type(value) == "string" and #value > 15 and convert.int64_text(value) or nil
end

local READ = {}

function READ.string(value)
  return type(value) == "string" and value or nil
end

READ.date = READ.string
READ.datetime = READ.string

function READ.integer(value)
  return whole(value) or long_digits(value)
end

function READ.int64(value)
  if type(value) == "number" then
    return whole(value) and convert.int64_text(value) or nil
  end
  return type(value) == "string" and convert.int64_text(value) or nil
end

function READ.number(value)
  if type(value) == "number" and value == value then
    return whole(value) or value
  end
end

function READ.boolean(value)
  if type(value) == "boolean" then
    return value
  end
end

-- Types that a field's value may have besides its own: also[declared][given].
local ALSO = {
  integer = {
    string = function(value)
      return type(value) == "string" and #value <= 15 and value:find("^%-?%d+$") and whole(tonumber(value)) or nil
    end,
    datetime = function(value, zone_seconds)
      local seconds = type(value) == "string" and time.parse_datetime(value)
      return seconds and whole((seconds - zone_seconds) * 1000) or nil
    end,
  },
  string = {
    integer = function(value)
      return whole(value) and ("%d"):format(value) or nil
    end,
  },
  datetime = {
    integer = function(value, zone_seconds)
      if whole(value) and time.is_instant(value / 1000) then
        return time.format_datetime(value / 1000, zone_seconds)
      end
    end,
  },
}

local Reader = {}
Reader.__index = Reader

function Reader:wrong(path, expected, value)
  self.faults[#self.faults + 1] = {
    path = path == "" and "reply" or path, message = "must be " .. expected .. ", is " .. (is_null(value) and "null" or type(value)),
  }
end

function Reader:scalar(description, value, path)
  local kind = description.type
  local read = READ[kind](value)
  if read ~= nil then
    return read
  end
  for _, also in ipairs(description.also or {}) do
    if read == nil then
      read = ALSO[kind][also](value, self.zone_seconds)
    end
  end
  if read == nil then
    self:wrong(path, kind, value)
  end
  return read
end

-- A JSON object, not an array: no key is a number. An empty table may be either.
local function is_object(value)
  return type(value) == "table" and type(next(value)) ~= "number" and not core.json.is_array(value)
end

local function is_array(value)
  return type(value) == "table" and type(next(value)) ~= "string" and (next(value) ~= nil or core.json.is_array(value))
end

function Reader:array(description, value, path)
  if not is_array(value) then
    return self:wrong(path, "an array", value)
  end
  local list = {}
  for index, item in ipairs(value) do
    local here = self.names_paths and path .. "[" .. index .. "]" or ""
    local read = self:value(description.items, item, here)
    if read == nil then
      if not is_null(item) then
        return nil
      end
      self:wrong(here, description.items.type, item)
    end
    list[index] = read
  end
  return core.json.array(list)
end

-- The value of a declared field under its own name or another spelling, and the name it came under.
local function spelt(field, value)
  local given = value[field.name]
  if not is_null(given) then
    return given, field.name
  elseif not field.names then
    return nil, field.name
  end
  for _, name in ipairs(field.names) do
    if not is_null(value[name]) then
      return value[name], name
    end
  end
  return nil, field.name
end

function Reader:object(description, value, path)
  if not is_object(value) then
    return self:wrong(path, "an object", value)
  end
  local prefix = path == "" and "" or path .. "."
  local new, used = {}, {}
  for _, field in ipairs(description.fields) do
    local raw, name = spelt(field, value)
    used[name] = true
    if raw == nil then
      if field.or_empty then
        new[field.name] = core.json.array({})
      end
    else
      local read = self:value(field, raw, self.names_paths and prefix .. field.name or "")
      if field.map and field.map[read] ~= nil then
        new[field.name .. "_raw"] = read
        read = field.map[read]
      end
      new[field.name] = read
    end
  end
  for key, raw in pairs(value) do
    if not used[key] and not description.fields[key] and new[key] == nil then
      new[key] = plain(raw)
    end
  end
  return new
end

function Reader:value(description, value, path)
  local kind = description.type
  if kind == "any" then
    return plain(value)
  elseif kind == "array" then
    return self:array(description, value, path)
  elseif kind == "object" then
    return self:object(description, value, path)
  end
  return self:scalar(description, value, path)
end

---The reply by its description, and the places where it does not fit.
---@param description table
---@param value any decoded JSON
---@param zone_seconds integer
---@return any reply without the values that do not fit
---@return { path: string, message: string }[] faults
function M.reply(description, value, zone_seconds)
  local reader = setmetatable({ faults = {}, zone_seconds = zone_seconds }, Reader)
  local reply = reader:value(description, value, "")
  if #reader.faults > 0 then -- once more, for their places: putting together the path of every value is much of the work
    reader.faults, reader.names_paths = {}, true
    reply = reader:value(description, value, "")
  end
  return reply, reader.faults
end

---The value at a path like `data.unique_id`; nil where something is missing on the way.
---@param value any
---@param path string
---@return any
function M.at(value, path)
  for step in path:gmatch("[^.]+") do
    if type(value) ~= "table" then
      return nil
    end
    value = value[step]
  end
  if is_null(value) then
    return nil
  end
  return value
end

---Whether an entry of a reply meets a condition.
---@param entry any
---@param condition table path, is, or_absent
---@return boolean
function M.meets(entry, condition)
  local value = M.at(entry, condition.path)
  if value == nil then
    return condition.or_absent or false
  end
  for _, known in ipairs(condition.is) do
    if value == known then
      return true
    end
  end
  return false
end

M.plain = plain

return M

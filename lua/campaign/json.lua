-- SPDX-License-Identifier: MIT
-- JSON for the Lua layer: exact writing and strict reading. Writer and guard are C (campaign.core.json); decoding uses lua-cjson, whose
-- losses the guard prevents and whose result is corrected here: arrays carry the array mark, whole numbers are integers where Lua has them,
-- whole numbers of more than 15 digits are texts, null is json.null.

local has_cjson, shared_cjson = pcall(require, "cjson")
if not has_cjson then
  error("campaign needs lua-cjson (Debian: apt-get install lua-cjson): " .. tostring(shared_cjson), 0)
end
local core = require "campaign.core"

local M = {}

local cjson = shared_cjson.new() -- an instance of our own: what a host sets on its own does not reach us
cjson.decode_max_depth(100)

local ARRAY = core.json.array_mark
local EMPTY = core.json.empty_array
local to_integer = rawget(math, "tointeger") -- nil on LuaJIT, where all numbers print alike

---The value of JSON's null, in both directions.
M.null = core.json.null

---Marks a table (a new one without argument) as an array, so that it is written as one also when it is empty.
---@param list? table
---@return table list the same table
M.array = core.json.array

---True for a table that carries the array mark: every array that was decoded, and what `array` returned.
---@param value any
---@return boolean
M.is_array = core.json.is_array

---A number that is written digit by digit as given, for integers that no Lua number can hold.
---@param digits string
---@return userdata
M.literal = core.json.literal

---Writes a value exactly. Keys are sorted; an unmarked empty table is an object; text must be valid UTF-8.
---@param value any
---@param options? { indent?: integer }
---@return string? text
---@return campaign.error? err names the place in the value
M.encode = core.json.encode

-- An integer for a whole number; the number itself for all others.
local function whole(number)
  return to_integer(number) or number
end

-- Puts right in place what cjson made of an array or object. The guard has bounded the depth.
local function restore(value)
  local first = value[1]
  if first ~= nil then
    setmetatable(value, ARRAY)
    if first == EMPTY then
      value[1] = nil
      return
    end
  end
  for key, item in pairs(value) do
    if type(item) == "table" then
      restore(item)
    elseif to_integer and type(item) == "number" then
      value[key] = whole(item)
    end
  end
end

---Reads one JSON text strictly (RFC 8259, no duplicate keys, at most 64 levels, 8 MiB and 1,000 keys in one object unless given otherwise).
---@param text string
---@param limits? { bytes?: integer, depth?: integer, keys?: integer }
---@return any value nil only when it was refused
---@return campaign.error? err kind "response"; code is the offset; the text itself is not quoted
function M.decode(text, limits)
  local guarded, err = core.json.guard(text, limits)
  if not guarded then
    return nil, err
  end
  local value = cjson.decode(guarded)
  if type(value) == "table" then
    restore(value)
  elseif to_integer and type(value) == "number" then
    value = whole(value)
  end
  return value
end

return M

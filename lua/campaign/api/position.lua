-- SPDX-License-Identifier: MIT
-- The saved position of an iteration or a wait as one text: base64 of JSON, bound to the name and fields it was made with. It contains
-- numbers, marks and the platform's cursor, never the fields themselves, which must be given again to continue.

local core = require "campaign.core"
local error_object = require "campaign.error"
local json = require "campaign.json"

local M = {}

local VERSION = 1
local MAX_TEXT = 65536

---A short mark of the fields of a call; the same fields give the same mark in every process.
---@param fields table
---@return string
function M.mark(fields)
  return core.digest.sha256(json.encode(fields) or ""):sub(1, 16)
end

---@param kind string what it is a position in: `pages` or `waiter`
---@param name string
---@param fields table
---@param values table
---@return string
function M.write(kind, name, fields, values)
  local position = { version = VERSION, kind = kind, name = name, mark = M.mark(fields) }
  for key, value in pairs(values) do
    position[key] = value
  end
  return core.digest.base64_encode(assert(json.encode(position)))
end

---@param text any
---@param kind string
---@param name string
---@param fields table
---@param shape table<string, string> keys that must be there, and their types
---@return table? values
---@return campaign.error? err kind `usage`
function M.read(text, kind, name, fields, shape)
  local plain = type(text) == "string" and #text <= MAX_TEXT and core.digest.base64_decode(text)
  local values = plain and json.decode(plain)
  local why
  if type(values) ~= "table" or values.version ~= VERSION or values.kind ~= kind then
    why = "is not a position that campaign wrote"
  elseif values.name ~= name then
    why = "belongs to something else than " .. name
  elseif values.mark ~= M.mark(fields) then
    why = "was taken with other fields"
  else
    for key, wanted in pairs(shape) do
      local value = values[key]
      if type(value) ~= wanted or wanted == "number" and not (value >= 0 and value < math.huge) then
        why = "is damaged"
      end
    end
  end
  if why then
    return error_object.refuse{
      kind = "usage", message = "the saved position " .. why,
      hint = "start without it, or use the name and fields with which it was saved",
    }
  end
  return values
end

return M

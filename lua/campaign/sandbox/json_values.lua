-- SPDX-License-Identifier: MIT
-- The values that the sandbox's JSON has beside Lua's own: null, marked arrays, objects in the vendor's order, numbers by their digits.

local M = {}

local ARRAY = { __name = "sandbox.json.array" }
local ORDERED = { __name = "sandbox.json.ordered" }
local LITERAL = { __name = "sandbox.json.literal" }
LITERAL.__tostring = function(value)
  return value.text
end

-- What marks them, for who reads and writes.
M.ARRAY, M.ORDERED, M.LITERAL = ARRAY, ORDERED, LITERAL

-- An explicit null, which is not the same as an absent field.
M.null = setmetatable({}, { __tostring = function() return "null" end })

---Marks a list as an array, so that an empty one is written as `[]`.
---@param list? table
function M.array(list)
  return setmetatable(list or {}, ARRAY)
end

---An object whose fields are written in the order given: `ordered("code", 200, "msg", "success")`.
---A nil value leaves its field out.
function M.ordered(...)
  local object = setmetatable({ keys = {}, values = {} }, ORDERED)
  for i = 1, select("#", ...), 2 do
    local key, value = select(i, ...)
    M.put(object, key, value)
  end
  return object
end

---Adds a field to an ordered object, or changes it; nil is ignored.
function M.put(object, key, value)
  if value == nil then
    return object
  end
  if object.values[key] == nil then
    object.keys[#object.keys + 1] = key
  end
  object.values[key] = value
  return object
end

---Takes a field out of an ordered object.
function M.drop(object, key)
  for i, name in ipairs(object.keys) do
    if name == key then
      table.remove(object.keys, i)
      object.values[key] = nil
      return object
    end
  end
  return object
end

---A value given by its JSON text: a number however long, or what was encoded before.
function M.literal(text)
  return setmetatable({ text = text }, LITERAL)
end

function M.is_array(value)
  return getmetatable(value) == ARRAY
end

function M.is_ordered(value)
  return getmetatable(value) == ORDERED
end

---True for a decoded JSON object.
function M.is_object(value)
  return type(value) == "table" and getmetatable(value) == nil
end

---True for a decoded JSON number without a fraction, of any length.
function M.is_integer(value)
  if type(value) == "number" then
    return value % 1 == 0
  end
  return getmetatable(value) == LITERAL
end

---The decimal text of a decoded integer.
function M.integer_text(value)
  if type(value) == "number" then
    return string.format("%.0f", value) -- 1e20, too
  end
  return value.text
end

---True for a text that JSON writes as it is, between quotes.
function M.is_plain(text)
  for at = 1, #text do
    local byte = text:byte(at)
    if byte < 32 or byte == 34 or byte == 92 then
      return false
    end
  end
  return true
end

return M

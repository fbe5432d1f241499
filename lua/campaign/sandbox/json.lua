-- SPDX-License-Identifier: MIT
-- JSON as the sandbox reads and writes it: strict, exact, and apart from the client's own codec, so that
-- neither side can hide the other's mistakes. Where the client's decoder turns long integers into strings,
-- this one keeps the difference between 9007199254740993 and "9007199254740993", since a rule may ask for it.
-- Replies are written in the order in which the vendor prints their fields.

local core = require "campaign.core"
local values = require "campaign.sandbox.json_values"

local M = {}

local MAX_DEPTH = 64

local ARRAY, ORDERED, LITERAL = values.ARRAY, values.ORDERED, values.LITERAL

-- One module for who uses it.
for name, value in pairs(values) do
  M[name] = value
end

-- Decoding --------------------------------------------------------------------------------------

local ESCAPES = {
  ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t",
}

local function fail(at, what)
  error({ json = what .. " at byte " .. (at - 1) }, 0)
end

local function utf8_bytes(code)
  if code < 0x80 then
    return string.char(code)
  elseif code < 0x800 then
    return string.char(0xC0 + math.floor(code / 64), 0x80 + code % 64)
  elseif code < 0x10000 then
    return string.char(0xE0 + math.floor(code / 4096), 0x80 + math.floor(code / 64) % 64,
      0x80 + code % 64)
  end
  return string.char(0xF0 + math.floor(code / 262144), 0x80 + math.floor(code / 4096) % 64,
    0x80 + math.floor(code / 64) % 64, 0x80 + code % 64)
end

-- Byte loops instead of patterns: LuaJIT compiles them, and large bodies are mostly this.
local function skip_space(text, at)
  local byte = text:byte(at)
  while byte == 32 or byte == 10 or byte == 13 or byte == 9 do
    at = at + 1
    byte = text:byte(at)
  end
  return at
end

-- Where the next quote, backslash or control character is; #text + 1 when there is none.
local function plain_end(text, at)
  local byte = text:byte(at)
  while byte and byte ~= 34 and byte ~= 92 and byte >= 32 do
    at = at + 1
    byte = text:byte(at)
  end
  return at
end

-- True when there is neither backslash nor control character.
local function has_no_escapes(text)
  if text:find("\\", 1, true) then
    return false
  end
  for at = 1, #text do
    if text:byte(at) < 32 then
      return false
    end
  end
  return true
end

local function decode_escape(text, at)
  local letter = text:sub(at + 1, at + 1)
  local plain = ESCAPES[letter]
  if plain then
    return plain, at + 2
  end
  local hex = text:match("^u(%x%x%x%x)", at + 1)
  if not hex then
    fail(at, "bad escape")
  end
  local code = tonumber(hex, 16)
  at = at + 6
  if code >= 0xD800 and code <= 0xDBFF then
    local low = text:match("^\\u([dD][c-fC-F]%x%x)", at)
    if not low then
      fail(at, "half a surrogate pair")
    end
    code = 0x10000 + (code - 0xD800) * 1024 + (tonumber(low, 16) - 0xDC00)
    at = at + 6
  elseif code >= 0xDC00 and code <= 0xDFFF then
    fail(at, "half a surrogate pair")
  end
  return utf8_bytes(code), at
end

-- True while a text is decoded that holds neither backslash nor control character: its strings end at the next quote.
local is_plain = false

local function decode_string(text, at)
  local from = at + 1
  if is_plain then
    local close = text:find('"', from, true)
    if not close then
      fail(#text + 1, "unfinished string")
    end
    return text:sub(from, close - 1), close + 1
  end
  local stop = plain_end(text, from)
  if text:byte(stop) == 34 then
    return text:sub(from, stop - 1), stop + 1
  end
  local pieces = {}
  while true do
    if stop > #text then
      fail(stop, "unfinished string")
    end
    pieces[#pieces + 1] = text:sub(from, stop - 1)
    local byte = text:byte(stop)
    if byte == 34 then
      return table.concat(pieces), stop + 1
    elseif byte == 92 then
      pieces[#pieces + 1], from = decode_escape(text, stop)
    else
      fail(stop, "control character in a string")
    end
    stop = plain_end(text, from)
  end
end

local function decode_number(text, at)
  -- The usual number first: a few digits without sign, fraction or exponent.
  local value, stop, byte = 0, at, text:byte(at)
  while byte and byte >= 48 and byte <= 57 and stop - at < 15 do
    value = value * 10 + byte - 48
    stop = stop + 1
    byte = text:byte(stop)
  end
  if stop > at and (byte == 44 or byte == 125 or byte == 93) and (stop == at + 1 or text:byte(at) ~= 48) then
    return value, stop
  end
  local whole = text:match("^%-?%d+", at)
  if at > #text then
    fail(at, "the text ends where a value is expected")
  elseif not whole then
    fail(at, "expected a value")
  elseif whole:find("^%-?0%d") then
    fail(at, "bad number")
  end
  stop = at + #whole
  local fraction = text:match("^%.%d+", stop) or ""
  stop = stop + #fraction
  local exponent = text:match("^[eE][+-]?%d+", stop) or ""
  stop = stop + #exponent
  if text:find("^[%w%.+-]", stop) then
    fail(stop, "bad number")
  end
  if fraction == "" and exponent == "" and #whole > 15 then
    return M.literal(whole), stop
  end
  value = tonumber(whole .. fraction .. exponent)
  if value == math.huge or value == -math.huge then
    fail(at, "number out of range") -- it could not be answered or logged
  end
  return value, stop
end

local decode_value

-- Where the elements of a list lie in the text that it was read from: { text, from, to, from, to, ..., one_line = bool }.
local PLACES = setmetatable({}, { __mode = "k" })
local PLACES_DEPTH = 2 -- a list in the outermost object: rows of a request

local function decode_array(text, at, depth)
  local list = M.array()
  at = at + 1
  local byte = text:byte(at)
  if byte == 32 or byte == 10 or byte == 13 or byte == 9 then
    at = skip_space(text, at)
    byte = text:byte(at)
  end
  if byte == 93 then
    return list, at + 1
  end
  local places = depth == PLACES_DEPTH and { text, one_line = is_plain or not text:find("\n", 1, true) } or nil
  local count = 0
  while true do
    local from = at
    local value
    value, at = decode_value(text, at, depth)
    count = count + 1
    list[count] = value
    if places then
      places[count * 2], places[count * 2 + 1] = from, at - 1
    end
    byte = text:byte(at)
    if byte == 32 or byte == 10 or byte == 13 or byte == 9 then
      at = skip_space(text, at)
      byte = text:byte(at)
    end
    if byte == 93 then
      PLACES[list] = places
      return list, at + 1
    elseif byte ~= 44 then
      fail(at, "expected , or ]")
    end
    at = at + 1
    byte = text:byte(at)
    if byte == 32 or byte == 10 or byte == 13 or byte == 9 then
      at = skip_space(text, at)
    end
  end
end

local function decode_object(text, at, depth)
  local object = {}
  at = at + 1
  local byte = text:byte(at)
  if byte == 32 or byte == 10 or byte == 13 or byte == 9 then
    at = skip_space(text, at)
    byte = text:byte(at)
  end
  if byte == 125 then
    return object, at + 1
  end
  while true do
    if byte ~= 34 then
      fail(at, "expected a field name")
    end
    local key
    key, at = decode_string(text, at)
    if object[key] ~= nil then
      fail(at, "a field given twice")
    end
    if text:byte(at) ~= 58 then
      at = skip_space(text, at)
      if text:byte(at) ~= 58 then
        fail(at, "expected :")
      end
    end
    at = at + 1
    byte = text:byte(at)
    if byte == 34 then
      object[key], at = decode_string(text, at)
    else
      object[key], at = decode_value(text, skip_space(text, at), depth)
    end
    byte = text:byte(at)
    if byte == 32 or byte == 10 or byte == 13 or byte == 9 then
      at = skip_space(text, at)
      byte = text:byte(at)
    end
    if byte == 125 then
      return object, at + 1
    elseif byte ~= 44 then
      fail(at, "expected , or }")
    end
    at = at + 1
    byte = text:byte(at)
    if byte == 32 or byte == 10 or byte == 13 or byte == 9 then
      at = skip_space(text, at)
      byte = text:byte(at)
    end
  end
end

-- By their first byte.
local WORDS = { [116] = { "true", true }, [102] = { "false", false }, [110] = { "null", M.null } }

function decode_value(text, at, depth)
  if depth > MAX_DEPTH then
    fail(at, "nested too deeply")
  end
  local byte = text:byte(at)
  if byte == 34 then
    return decode_string(text, at)
  elseif byte == 123 then
    return decode_object(text, at, depth + 1)
  elseif byte == 91 then
    return decode_array(text, at, depth + 1)
  end
  local word = WORDS[byte]
  if word and text:sub(at, at + #word[1] - 1) == word[1] then
    return word[2], at + #word[1]
  end
  return decode_number(text, at)
end

---Where an element of a list lies in the text that it was read from, if the list stood in the outermost object and the element takes no more
---than one line.
---@param list table
---@param index integer
---@return string? text
---@return integer? from
---@return integer? to
function M.place_of(list, index)
  local places = PLACES[list]
  local from = places and places[index * 2]
  if not from or not places.one_line then
    return nil
  end
  return places[1], from, places[index * 2 + 1]
end

---Reads one JSON text.
---@param text string
---@return any? value
---@return string? why
function M.decode(text)
  local valid, bad = core.utf8.validate(text)
  if not valid then
    return nil, "not UTF-8 at byte " .. bad
  end
  is_plain = has_no_escapes(text)
  local ok, value, at = pcall(function()
    local value, at = decode_value(text, skip_space(text, 1), 0)
    return value, skip_space(text, at)
  end)
  if not ok then
    if type(value) == "table" and value.json then
      return nil, value.json
    end
    error(value, 0)
  end
  if at <= #text then
    return nil, "text after the value at byte " .. (at - 1)
  end
  return value
end

-- Encoding --------------------------------------------------------------------------------------

local WRITTEN = {
  ['"'] = '\\"', ["\\"] = "\\\\", ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n", ["\r"] = "\\r",
  ["\t"] = "\\t",
}

local function quote(text)
  if plain_end(text, 1) > #text then
    return '"' .. text .. '"'
  end
  return '"' .. text:gsub('["\\%z\1-\31]', function(char)
    return WRITTEN[char] or string.format("\\u%04x", char:byte())
  end) .. '"'
end

local function number_text(value)
  if value ~= value or value == math.huge or value == -math.huge then
    error("a number that JSON cannot hold")
  end
  if value % 1 == 0 and value > -2 ^ 63 and value < 2 ^ 63 then
    return string.format("%d", value)
  end
  return (string.format("%.15g", value))
end

local encode_into

local function encode_list(out, list)
  out[#out + 1] = "["
  for i = 1, #list do
    if i > 1 then
      out[#out + 1] = ","
    end
    encode_into(out, list[i])
  end
  out[#out + 1] = "]"
end

local function encode_fields(out, keys, fields)
  out[#out + 1] = "{"
  for i, key in ipairs(keys) do
    out[#out + 1] = (i > 1 and "," or "") .. quote(key) .. ":"
    encode_into(out, fields[key])
  end
  out[#out + 1] = "}"
end

function encode_into(out, value)
  local kind = type(value)
  if kind == "string" then
    out[#out + 1] = quote(value)
  elseif kind == "number" then
    out[#out + 1] = number_text(value)
  elseif kind == "boolean" or value == M.null then
    out[#out + 1] = tostring(value)
  elseif kind ~= "table" then
    error("JSON cannot hold a " .. kind)
  elseif getmetatable(value) == ARRAY or value[1] ~= nil and getmetatable(value) ~= ORDERED then
    encode_list(out, value)
  elseif getmetatable(value) == ORDERED then
    encode_fields(out, value.keys, value.values)
  elseif getmetatable(value) == LITERAL then
    out[#out + 1] = value.text
  else
    local keys = {}
    for key in pairs(value) do
      if type(key) ~= "string" then
        error("JSON object with a key of type " .. type(key))
      end
      keys[#keys + 1] = key
    end
    table.sort(keys)
    encode_fields(out, keys, value)
  end
end

---Writes a value: plain lists as arrays, other plain tables as objects with sorted keys, `array`, `ordered` and `literal` as they are marked.
---@param value any
---@return string
function M.encode(value)
  local out = {}
  encode_into(out, value)
  return table.concat(out)
end

return M

-- SPDX-License-Identifier: MIT
-- Options that several commands read in the same way: the -p grammar (`name=text`, `a.b[0]=text`, `name:=json`), NAME=VALUE, --on-unmappable. A
-- text of -p is converted by the field's declared type; if that fails it stays a
-- text, so that the client's own check reports all faults of the call together.

local json = require "campaign.json"
local output = require "campaign.cli.output"
local replacements = require "campaign.replacements"

local M = {}

local function usage(message)
  return output.usage(message, "write -p name=text, -p a.b[0]=text or -p name:=json")
end

-- "a.b[0]" → { "a", "b", 0 }
local function parse_path(text)
  local steps, index = {}, 1
  while index <= #text do
    local char = text:sub(index, index)
    if char == "[" then
      local close = text:find("]", index, true)
      local digits = close and text:sub(index + 1, close - 1)
      if #steps == 0 or not digits or not digits:find("^%d+$") or #digits > 4 then
        return nil
      end
      steps[#steps + 1] = tonumber(digits)
      index = close + 1
    else
      if char == "." then
        index = index + 1
        if #steps == 0 then
          return nil
        end
      elseif #steps > 0 then
        return nil
      end
      local stop = text:find("[.%[]", index) or #text + 1
      if stop == index then
        return nil
      end
      steps[#steps + 1] = text:sub(index, stop - 1)
      index = stop
    end
  end
  return #steps > 0 and steps or nil
end

-- The description of what a path leads to; nil where the platform's data does not say (open objects, unknown names).
local function description_of(fields, steps)
  local description = { type = "object", fields = fields }
  for _, step in ipairs(steps) do
    if type(step) == "number" then
      description = description.type == "array" and description.items or nil
    else
      description = description.fields and description.fields[step] or nil
    end
    if not description then
      return nil
    end
  end
  return description
end

-- A text as a value of the declared type.
local function typed(text, description)
  local kind = description and description.type
  if kind == "boolean" and (text == "true" or text == "false") then
    return text == "true"
  end
  if kind == "integer" and text:find("^%-?%d+$") and #text <= 15 then
    return tonumber(text)
  end
  if kind == "number" and text:find("^%-?[%d.]+$") and tonumber(text) then
    return tonumber(text)
  end
  if kind == "file" then
    return { path = text }
  end
  return text
end

-- Puts a value at a path into a tree of tables. Lists may be filled in any order; holes are found at the end.
-- `made` keeps the tables made here apart from values that came as JSON.
local function put(tree, made, steps, value, text)
  local node = tree
  for index = 1, #steps do
    local key = steps[index]
    if type(key) == "number" then
      key = key + 1
    end
    if index == #steps then
      if node[key] ~= nil then
        return usage("-p " .. text .. ": given twice")
      end
      node[key] = value
      return true
    end
    if node[key] == nil then
      node[key] = {}
      made[node[key]] = true
    elseif type(node[key]) ~= "table" then
      return usage("-p " .. text .. ": a part of this path has a value already")
    end
    node = node[key]
  end
end

-- Lists must have no holes, and no table may be list and object at once.
local function check_shape(node, made, path)
  local count, largest, names = 0, 0, 0
  for key, value in pairs(node) do
    if type(key) == "number" then
      count = count + 1
      largest = math.max(largest, key)
    else
      names = names + 1
    end
    if made[value] then
      local inner = type(key) == "number" and path .. "[" .. (key - 1) .. "]" or (path == "" and key or path .. "." .. key)
      local ok, err = check_shape(value, made, inner)
      if not ok then
        return nil, err
      end
    end
  end
  if count > 0 and names > 0 then
    return usage("-p " .. path .. ": given as a list and as an object")
  end
  if largest ~= count then
    return usage("-p " .. path .. ": entry [" .. count .. "] or one before it is missing; entries count from [0]")
  end
  return true
end

local function separator_of(text)
  local equals = text:find("=", 1, true)
  if not equals or equals == 1 then
    return nil
  end
  if text:sub(equals - 1, equals - 1) == ":" then
    return equals - 2, equals + 1, true
  end
  return equals - 1, equals + 1, false
end

local function one(tree, made, text, fields)
  local path_end, value_start, is_json = separator_of(text)
  local steps = path_end and parse_path(text:sub(1, path_end))
  if not steps then
    -- The text is not shown: without a name it may be a secret.
    return usage("a -p option is not of the form name=value")
  end
  local path, raw = text:sub(1, path_end), text:sub(value_start)
  local description = fields and description_of(fields, steps)
  local value, err
  if is_json then
    value, err = json.decode(raw)
    if value == nil then
      return usage("-p " .. path .. ":= is not JSON: " .. tostring(err and err.message or "null is no value"))
    end
  else
    if description and (description.type == "array" or description.type == "object") and not description.join then
      local hint = description.type == "array" and "a list: write " .. path .. "[0]=..." or "an object: write " .. path .. ".name=..."
      return usage("-p " .. path .. "= is " .. hint .. ", or " .. path .. ":= with JSON")
    end
    value = typed(raw, description)
  end
  return put(tree, made, steps, value, path)
end

---Reads the -p options of a command.
---@param list string[]
---@param fields table? the operation's fields, as the platform describes them
---@param base table? fields to start from (of --body)
---@return table? values
---@return campaign.error? err
function M.parse(list, fields, base)
  local tree, made = base or {}, {}
  for _, text in ipairs(list) do
    local ok, err = one(tree, made, text, fields)
    if not ok then
      return nil, err
    end
  end
  local ok, err = check_shape(tree, made, "")
  if not ok then
    return nil, err
  end
  return tree
end

---Reads options of the form NAME=VALUE into a table.
---@param list string[]
---@param option string for messages
---@return table<string, string>? pairs
---@return campaign.error? err
function M.pairs(list, option)
  local values = {}
  for _, text in ipairs(list) do
    local equals = text:find("=", 1, true)
    if not equals or equals == 1 or equals == #text then
      return output.usage(option .. " '" .. text .. "' must have the form NAME=VALUE")
    end
    local name = text:sub(1, equals - 1)
    if values[name] ~= nil then
      return output.usage(option .. " gives '" .. name .. "' twice")
    end
    values[name] = text:sub(equals + 1)
  end
  return values
end

---Reads --on-unmappable: one of the command's words, or map:FILE.
---@param what string
---@param words string[]
---@return string|table<string, string>|nil choice the word, or the replacements in the file
---@return campaign.error? err
function M.unmappable(what, words)
  for _, word in ipairs(words) do
    if what == word then
      return word
    end
  end
  local path = what:match("^map:(.+)$")
  if not path then
    return output.usage("--on-unmappable '" .. what .. "' is none of " .. table.concat(words, ", ") .. ", map:FILE")
  end
  return replacements.read(path)
end

return M

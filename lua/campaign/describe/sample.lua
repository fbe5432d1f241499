-- SPDX-License-Identifier: MIT
-- Generates examples from a platform's data: fields that pass its checks, a reply that the client accepts, and both as Lua, as a command
-- line and as JSON. Values come from `example` in the data, else from type and limits. Nothing in them is real.

local core = require "campaign.core"
local facts = require "campaign.describe.facts"
local hashing = require "campaign.api.hashing"
local row_tree = require "campaign.api.row_tree"
local shell_quote = require "campaign.shell_quote"

local M = {}

---The bytes that examples upload; examples of replies with a receipt refer to them.
M.FILE_BYTES = "example\n"

local BY_TYPE = {
  integer = 1, int64 = "1001", number = 0.5, boolean = true, datetime = "2026-10-01 09:00:00", date = "2026-10-01", any = "text",
}

local BY_PATTERN = {
  identifier = "name_1", mobile_cn = "13000001111", url = "https://files.example/picture.png", text = "text", clock_or_datetime = "09:00",
}

local function text_of(field)
  local text = BY_PATTERN[field.pattern] or field.redact == "phone" and "13000001111" or "text"
  if field.min_length and #text < field.min_length then
    text = text .. ("x"):rep(field.min_length - #text)
  end
  return field.max_length and text:sub(1, field.max_length) or text
end

local function scalar_of(field)
  if field.example ~= nil then
    return field.example
  end
  if field.values and field.values[1] then
    return field.values[1].value
  end
  if field.type == "file" then
    return field.content_type == "text/csv" and "contacts.csv" or "file.bin"
  end
  if field.type == "string" or field.type == nil then
    return text_of(field)
  end
  local value = BY_TYPE[field.type]
  if field.type == "integer" or field.type == "number" then
    value = math.max(value, field.min or value)
    return math.min(value, field.max or value)
  end
  return value
end

-- Whether a condition holds in the values made so far.
local function holds(when, values, root)
  local value = values
  local name = when.field
  if name:sub(1, 1) == "/" then
    value, name = root, name:sub(2)
  end
  for step in name:gmatch("[^.]+") do
    value = type(value) == "table" and value[step] or nil
  end
  if when.given ~= nil then
    return (value ~= nil) == when.given
  end
  for _, wanted in ipairs(when.is) do
    if value == wanted then
      return true
    end
  end
  return false
end

local value_of

local function object_of(fields, root, skip)
  local values, groups = {}, {}
  root = root or values
  for _, field in ipairs(fields) do
    local group = field.one_of or field.any_of
    local wanted = field.required or field.required_if and holds(field.required_if, values, root) or group and not groups[group]
    if group then
      groups[group] = true
    end
    local is_ours = field.constant ~= nil or field.call_key ~= nil
    if wanted and not is_ours and not (skip and skip[field.name]) and (field.default == nil or field.example ~= nil) then
      values[field.name] = value_of(field, root)
    end
  end
  -- An object in which nothing must be given shows its first field.
  if root ~= values and next(values) == nil and fields[1] then
    values[fields[1].name] = value_of(fields[1], root)
  end
  return values
end

function value_of(field, root)
  if field.type == "array" then
    local list = {}
    for index = 1, math.max(1, field.min_items or 1) do
      list[index] = value_of(field.items, root)
    end
    return core.json.array(list)
  end
  if field.type == "object" then
    return object_of(field.fields, root)
  end
  return scalar_of(field)
end

---Fields for a call: the required ones, without those that the account fills.
---@param platform campaign.platform
---@param operation campaign.operation
---@return table
function M.fields(platform, operation)
  local filled = facts.filled_by_account(platform)
  return object_of(operation.fields, nil, filled)
end

---Values for the account that the fields of every call are completed from.
---@param platform campaign.platform
---@return table<string, any>
function M.account(platform)
  local account = { base_url = "https://" .. platform.name .. ".example" }
  local request_field = {}
  for _, operation in ipairs(platform.operations) do
    for _, field in ipairs(operation.fields) do
      request_field[field.name] = request_field[field.name] or field
    end
  end
  for _, key in ipairs(platform.account) do
    if key.fills and request_field[key.fills] then
      account[key.name] = scalar_of(request_field[key.fills])
    elseif key.required or key.secret then
      account[key.name] = account[key.name] or "example-" .. key.name
    end
  end
  return account
end

-- Replies -----------------------------------------------------------------------------------------------------------------------------

local function wire_value(field)
  if field.type == "array" then
    return core.json.array{ wire_value(field.items) }
  end
  if field.type == "object" then
    local value = {}
    for _, inner in ipairs(field.fields) do
      if inner.type ~= "any" then
        value[inner.name] = wire_value(inner)
      end
    end
    return value
  end
  local value = scalar_of(field)
  return field.type == "int64" and core.json.literal(tostring(value)) or value
end

local function put(tree, path, value)
  local steps = row_tree.steps(path)
  for index = 1, #steps - 1 do
    tree[steps[index]] = tree[steps[index]] or {}
    tree = tree[steps[index]]
  end
  tree[steps[#steps]] = value
end

---A good reply as it comes from the platform: every documented field.
---@param operation campaign.operation
---@return table
function M.reply(operation)
  local reply = wire_value(operation.reply)
  for _, condition in ipairs(operation.success or {}) do
    if condition.path then
      put(reply, condition.path, condition.is[1])
    end
  end
  local result = operation.rows and operation.rows.result
  if result and result.status then
    put(reply, result.status, result.success_status[1])
  end
  if result and result.fail_count then
    put(reply, result.fail_count, 0)
  end
  if result and result.failed_rows then
    put(reply, result.failed_rows.list, core.json.array{})
  end
  local receipt = operation.receipt
  if receipt then
    put(reply, receipt.sha256, core.digest.sha256(M.FILE_BYTES))
    put(reply, receipt.size, #M.FILE_BYTES)
  end
  return reply
end

-- As text -----------------------------------------------------------------------------------------------------------------------------

local function quote(text)
  return '"' .. text:gsub('[\\"]', "\\%0"):gsub("\n", "\\n") .. '"'
end

local write_lua

local function write_members(description, value, indent, lines)
  for _, field in ipairs(description.fields) do
    local inner = value[field.name]
    if inner ~= nil then
      local name = field.name:find("^[%a_][%w_]*$") and field.name or "[" .. quote(field.name) .. "]"
      lines[#lines + 1] = indent .. name .. " = " .. write_lua(field, inner, indent) .. ","
    end
  end
end

function write_lua(description, value, indent)
  if type(value) == "string" then
    return quote(value)
  elseif type(value) ~= "table" then
    return tostring(value)
  elseif description.type == "array" then
    local items = {}
    for index, item in ipairs(value) do
      items[index] = write_lua(description.items, item, indent)
    end
    return "{ " .. table.concat(items, ", ") .. " }"
  end
  local lines = { "{" }
  write_members(description, value, indent .. "  ", lines)
  lines[#lines + 1] = indent .. "}"
  return table.concat(lines, "\n")
end

---The arguments of a call of the client's method, as a table in Lua.
---@param operation campaign.operation
---@param fields table
---@return string
function M.lua_fields(operation, fields)
  if next(fields) == nil then
    return "{}"
  end
  return write_lua({ type = "object", fields = operation.fields }, fields, "")
end

local function parameters(description, value, path, words)
  if description.type == "array" and type(value) == "table" and not description.join then
    for index, item in ipairs(value) do
      parameters(description.items, item, path .. "[" .. (index - 1) .. "]", words)
    end
  elseif description.type == "array" then
    words[#words + 1] = "-p " .. shell_quote(path .. ":=" .. core.json.encode(value))
  elseif description.type == "object" then
    for _, field in ipairs(description.fields) do
      if value[field.name] ~= nil then
        parameters(field, value[field.name], path == "" and field.name or path .. "." .. field.name, words)
      end
    end
  else
    words[#words + 1] = "-p " .. shell_quote(path .. "=" .. tostring(value))
  end
end

---The same call on the command line, as words of a shell.
---@param platform campaign.platform
---@param operation campaign.operation
---@param fields table
---@return string[] words the first is the command with its operation
function M.command(platform, operation, fields)
  local words = { "campaign call " .. shell_quote(platform.reference .. "." .. operation.name) }
  parameters({ type = "object", fields = operation.fields }, fields, "", words)
  if operation.public then
    words[#words + 1] = "--accept-public-file"
  end
  if operation.response == "binary" then
    words[#words + 1] = "-o file.bin"
  end
  return words
end

---A value as it goes into a JSON body or a query: 64-bit ids are bare digits, joined lists one text.
---@param description campaign.field
---@param value any
---@return any
function M.wire(description, value)
  if value == nil then
    return nil
  elseif description.type == "int64" then
    return core.json.literal(tostring(value))
  elseif description.hash then
    return hashing.text(description.hash, value)
  elseif description.type == "object" then
    return M.wire_fields(description.fields, value)
  elseif description.type == "array" then
    local items = {}
    for index, item in ipairs(value) do
      items[index] = description.join and tostring(item) or M.wire(description.items, item)
    end
    return description.join and table.concat(items, description.join) or core.json.array(items)
  end
  return value
end

---The fields as they go into a JSON body: constants and defaults are there.
---@param fields table list of fields
---@param values table
---@return table
function M.wire_fields(fields, values)
  local out = {}
  for _, field in ipairs(fields) do
    local value = field.constant
    if value == nil then
      value = values[field.name]
    end
    if value == nil then
      value = field.default
    end
    out[field.name] = M.wire(field, value)
  end
  return out
end

return M

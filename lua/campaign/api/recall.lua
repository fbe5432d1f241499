-- SPDX-License-Identifier: MIT
-- Remembers how the last good answer to a bulk call was parsed, and reuses that for the next one if both are identical byte for byte, or
-- except for the platform's id of the call. Most of the thousands of answers of an import are like that. All others are parsed.

local row_tree = require "campaign.api.row_tree"

local M = {}

-- Longest answer that is kept, in bytes.
local MOST_BYTES = 4096

local function copy(value)
  if type(value) ~= "table" then
    return value
  end
  local new = setmetatable({}, getmetatable(value))
  for key, inner in pairs(value) do
    new[key] = copy(inner)
  end
  return new
end

-- Whether a condition depends on the value at a path.
local function decides(conditions, path)
  for _, condition in ipairs(conditions or {}) do
    if condition.path == path then
      return true
    end
  end
  return false
end

-- The path to the platform's id of the call, if any other text in its place means the same; nil if there is none.
local function free_steps(platform, operation)
  local path = operation.rows and operation.rows.result and operation.rows.result.id
  if not path or decides(operation.success, path) or decides(operation.throttle, path) or decides(platform.throttle, path) then
    return nil
  end
  local steps, description = row_tree.steps(path), operation.reply
  for _, step in ipairs(steps) do
    description = description and description.type == "object" and description.fields and description.fields[step] or nil
  end
  return description and description.type == "string" and not description.map and steps or nil
end

-- Cuts the answer around the id. Its place is certain only if it occurs once, as text without escapes.
local function cut(entry, steps)
  local body, holder = entry.body, entry.reply
  for i = 1, #steps - 1 do
    holder = type(holder) == "table" and holder[steps[i]] or nil
  end
  local id = type(holder) == "table" and holder[steps[#steps]] or nil
  if type(id) ~= "string" or not id:find("^[%w_-]+$") or body:find("\\", 1, true) then
    return
  end
  local first, last = body:find('"' .. id .. '"', 1, true)
  if first and not body:find(id, first + 2, true) and body:find(id, 1, true) == first + 1 then
    entry.steps, entry.id, entry.before, entry.after = steps, id, body:sub(1, first), body:sub(last)
  end
end

---Keeps how a good answer was read.
---@param memory table<table, table> by operation
---@param platform campaign.platform
---@param operation campaign.operation
---@param result table the transport's
---@param reply table
function M.remember(memory, platform, operation, result, reply)
  local body = result.body
  if type(body) ~= "string" or #body > MOST_BYTES or type(reply) ~= "table" then
    return
  end
  local entry = { status = result.status, body = body, reply = copy(reply) }
  local steps = free_steps(platform, operation)
  if steps then
    cut(entry, steps)
  end
  memory[operation] = entry
end

---The reply that parsing would give, if a remembered one tells it.
---@param memory table<table, table>
---@param operation campaign.operation
---@param result table the transport's, without an error
---@param is_lent boolean? the caller uses the reply before the next answer is read, and changes nothing in it: no copy is made
---@return table? reply the caller's own, unless it is lent
function M.recall(memory, operation, result, is_lent)
  local entry, body = memory[operation], result.body
  if not entry or entry.status ~= result.status or type(body) ~= "string" then
    return nil
  end
  local id
  if body == entry.body then
    id = entry.id
  else
    local before, after = entry.before, entry.after
    local last = before and #body - #after
    if not before or last <= #before or body:find(before, 1, true) ~= 1 or not body:find(after, last + 1, true) then
      return nil
    end
    id = body:sub(#before + 1, last)
    if #id > 255 or not id:find("^[%w_-]+$") then
      return nil
    end
  end
  local reply, steps = is_lent and entry.reply or copy(entry.reply), entry.steps
  if steps then
    local holder = reply
    for i = 1, #steps - 1 do
      holder = holder[steps[i]]
    end
    holder[steps[#steps]] = id
  end
  return reply
end

return M

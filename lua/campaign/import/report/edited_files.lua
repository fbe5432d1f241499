-- SPDX-License-Identifier: MIT
-- Users may correct the rows that the preflight listed in the row files themselves. A resumed job must not append to edited files:
-- such a file is set aside under another name, and its rows are listed again from the list and the ledger.

local core = require "campaign.core"
local error_object = require "campaign.error"

local M = {}

local CHUNK = 262144

-- SHA-256 of the first bytes of a file; nil when it is shorter, missing or no regular file (reading a pipe would block).
local function digest(path, bytes)
  local found = core.system.stat(path, true)
  local file = found and found.type == "file" and io.open(path, "rb")
  if not file then
    return nil
  end
  local sum, left = core.digest.sha256_start(), bytes
  while left > 0 do
    local text = file:read(math.min(CHUNK, left))
    if not text then
      file:close()
      return nil
    end
    sum:update(text)
    left = left - #text
  end
  file:close()
  return sum:finish()
end

---Digests of what the preflight listed.
---@param rows table the row files
---@param sizes table<string, integer> their sizes by state
---@return table<string, string> sums by state, of files that are not empty
function M.sums(rows, sizes)
  local sums = {}
  for state, size in pairs(sizes) do
    if size > 0 then
      sums[state] = digest(rows.files[state].path, size)
    end
  end
  return sums
end

local function set_aside(path)
  if not core.system.stat(path) then
    return true
  end
  local number = 1
  local name
  repeat
    name = path:gsub("%.csv$", "") .. "-edited-" .. number .. ".csv"
    number = number + 1
  until not core.system.stat(name)
  local ok, err = os.rename(path, name)
  if not ok then
    return nil, error_object.new{ kind = "ledger", retry = false, message = path .. " cannot be set aside: " .. tostring(err),
      hint = "it was edited and is not overwritten; move it away, then resume" }
  end
  return true
end

---The states whose files are not what the preflight wrote; their files are set aside.
---@param rows table
---@param record table of the ledger
---@return table<string, boolean>? edited
---@return campaign.error? err a file cannot be set aside, and stays as it is
function M.edited(rows, record)
  local edited = {}
  for state, sum in pairs(record.sums or {}) do
    local path = rows.files[state] and rows.files[state].path
    if path and digest(path, record.sizes[state]) ~= sum then
      local ok, err = set_aside(path)
      if not ok then
        return nil, err
      end
      edited[state] = true
    end
  end
  return edited
end

---Lists again what the preflight had listed in some states. The messages of checks are lost: the ledger does not have them.
---@param state table input, ledger, rows
---@param edited table<string, boolean>
---@return true? ok
---@return campaign.error? err
function M.relist(state, edited)
  if next(edited) == nil then
    return true
  end
  local results, err = state.ledger:scan("rows"), nil
  local result = results()
  for number, fields, _, line in assert(state.input:rows()) do
    while result and result.row < number do
      result = results()
    end
    if not err and result and result.row == number and not result.batch and edited[result.state] then
      local _
      _, err = state.rows.files[result.state]:add({ row = number, line = line, state = result.state, cause = result.cause,
        column = result.column, reason = result.reason, code = result.code or result.message and result.message:match("row (%d+)"),
        message = result.message }, fields)
    end
  end -- to its end also after an error: that closes the list
  if err then
    return nil, err
  end
  return true
end

return M

-- SPDX-License-Identifier: MIT
-- Walks through pages and waits for a final state, by the platform's data (`pages`, `waiters`). Methods of a client.

local error_object = require "campaign.error"
local normalise = require "campaign.api.normalise"

local M = {}

local MAX_PAGES = 100000

local function first_of(reply, paths)
  for _, path in ipairs(type(paths) == "table" and paths or { paths }) do
    local value = normalise.at(reply, path)
    if value ~= nil then
      return value
    end
  end
  return nil
end

local function paged_operation(client, name)
  local operation = client.platform.operations[name]
  if not operation or not operation.pages then
    error("operation `" .. tostring(name) .. "` of platform `" .. client.platform.name .. "` has no pages", 3)
  end
  return operation
end

---Walks over the rows of all pages: `for row, err in client:each("list_...", fields) do`. A failure is given once, as `false, err`, and
---ends the walk.
---@param name string operation
---@param fields table?
---@param options table?
---@return fun(): table|false|nil, campaign.error?
function M.each(client, name, fields, options)
  local pages = paged_operation(client, name).pages
  local asked = {}
  for key, value in pairs(fields or {}) do
    asked[key] = value
  end
  asked[pages.size] = asked[pages.size] or pages.default_size
  asked[pages.page] = asked[pages.page] or pages.first or 0
  local first_page = asked[pages.page]
  local rows, index, seen, is_last = {}, 0, 0, false

  local function next_page()
    local reply, err = client:call(name, asked, options)
    if not reply then
      is_last = true
      return false, err
    end
    rows, index = first_of(reply, pages.list) or {}, 0
    seen = seen + #rows
    local total = tonumber(first_of(reply, pages.total))
    local skipped = first_page * (asked[pages.size] or 0)
    is_last = #rows == 0 or total ~= nil and seen + skipped >= total or asked[pages.page] - first_page >= MAX_PAGES
    asked[pages.page] = asked[pages.page] + 1
    return true
  end

  return function()
    while index >= #rows do
      if is_last then
        return nil
      end
      local well, err = next_page()
      if not well then
        return false, err
      end
    end
    index = index + 1
    return rows[index]
  end
end

---The rows of all pages in one list.
---@param name string operation
---@param fields table?
---@param options table?
---@return table[]? rows
---@return campaign.error? err
function M.all(client, name, fields, options)
  paged_operation(client, name)
  local rows = {}
  for row, err in M.each(client, name, fields, options) do
    if not row then
      return nil, err
    end
    rows[#rows + 1] = row
  end
  return rows
end

local function contains(list, value)
  for _, known in ipairs(list or {}) do
    if known == value then
      return true
    end
  end
  return false
end

-- A failed look that says nothing about what is looked at.
local function is_passing(err)
  return err.kind == "network" or err.kind == "timeout" or err.kind == "throttle"
    or type(err.status) == "number" and err.status >= 500
end

---Asks again and again until what is asked for has a final state: `client:wait("get_notification_task", { taskId = id })`. The pauses
---grow; three failed looks in a row end the waiting.
---@param name string operation with a waiter
---@param fields table
---@param options { timeout: number?, delay: number?, waiter: string? }? seconds in all; first pause; which waiter
---@return table? reply the last one
---@return campaign.error? err kind `timeout` when the time is over
function M.wait(client, name, fields, options)
  options = options or {}
  local operation = client.platform.operations[name]
  local waiters = operation and operation.waiters or {}
  local waiter = waiters[options.waiter or next(waiters) or ""]
  if not waiter then
    error("operation `" .. tostring(name) .. "` of platform `" .. client.platform.name .. "` has nothing to wait for", 2)
  end
  local env = client.env
  local deadline = env.monotonic() + (options.timeout or waiter.timeout or 3600)
  local pause, failures = options.delay or waiter.delay or 1, 0
  while true do
    local reply, err = client:call(name, fields)
    local state = reply and normalise.at(reply, waiter.path)
    failures = reply and 0 or failures + 1
    if reply and contains(waiter.done, state) then
      return reply
    elseif reply and contains(waiter.failed, state) then
      return nil, error_object.new{
        kind = "platform", reason = "failed_state", platform = operation.platform, operation = name, sent = "yes", retry = false,
        code = state, message = "ended with " .. waiter.path .. " " .. tostring(state),
      }
    elseif not reply and (not is_passing(err) or failures >= 3) then
      return nil, err
    end
    local left = deadline - env.monotonic()
    if left <= 0 then
      return nil, error_object.new{
        kind = "timeout", reason = "waiter", platform = operation.platform, operation = name, sent = "no", retry = true,
        message = "still not final when the waiting time was over"
          .. (state and " (" .. waiter.path .. " " .. tostring(state) .. ")" or ""),
      }
    end
    local wanted = err and type(err.retry) == "number" and err.retry or pause
    env.sleep(math.min(wanted, left))
    pause = math.min(pause * 1.5, waiter.max_delay or 30)
  end
end

return M

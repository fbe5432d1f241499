-- SPDX-License-Identifier: MIT
-- `campaign wait PLATFORM.WAITER`: waits by the public API until a platform has reached a state; prints the final reply as JSON. With
-- --state the wait outlives the process.

local campaign = require "campaign"
local core = require "campaign.core"
local error_object = require "campaign.error"
local output = require "campaign.cli.output"
local parameters = require "campaign.cli.parameters"
local platforms = require "campaign.api.platform"
local target = require "campaign.cli.target"
local waiter_module = require "campaign.api.waiter"

local M = {}

local MAX_STATE = 65536
local PRIVATE = 384 -- 0600

local function usage(message, hint)
  return error_object.refuse{ kind = "usage", message = message, hint = hint }
end

-- The fields that -p can give: those of the operation, and those that select an entry of its list.
local function known_fields(waiter, operation)
  local fields = {}
  for index, field in ipairs(operation.fields) do
    fields[index], fields[field.name] = field, field
  end
  for theirs, ours in pairs(waiter.match or {}) do
    if not fields[ours] then
      local field = { name = ours, type = "string", doc = "as `" .. theirs .. "` of the reply" }
      fields[#fields + 1], fields[ours] = field, field
    end
  end
  return fields
end

-- The saved wait; nothing when there is none yet.
local function read_state(path)
  if not path then
    return nil
  end
  local text, err = core.system.read_file(path, MAX_STATE, true)
  if not text and err.reason ~= "missing" then
    return error_object.refuse{ kind = "ledger", message = "--state " .. path .. ": " .. tostring(err.message) }
  end
  return text and text:gsub("%s+$", "") or nil
end

local function write_state(path, waiter)
  local ok, err = core.system.write_atomic(path, waiter:state() .. "\n", PRIVATE)
  if not ok then
    error(error_object.new{ kind = "ledger", sent = "no", retry = false, message = "--state " .. path .. ": " .. tostring(err.message) }, 0)
  end
end

local function wait(client, given, waiter_name, fields, saved)
  local waiter, err = client:waiter(waiter_name, fields, {
    deadline = given.deadline, state = saved,
    on_progress = function(_, waiter)
      if given.state then
        write_state(given.state, waiter)
      end
      if not given.json then
        io.stderr:write(("%s: not yet, after %d looks\n"):format(waiter_name, waiter.looks))
      end
    end,
  })
  if not waiter then
    return nil, err
  end
  if given.state then
    write_state(given.state, waiter) -- before the first pause: what was there before is part of it
  end
  local reply
  reply, err = waiter:wait()
  if given.state and (reply or err.reason == "failed_state") then
    core.system.remove(given.state)
  end
  return reply, err
end

function M.run(given)
  local context = { json = given.json, effect = "safe" }
  local platform, waiter, name = target.waiter(given.waiter)
  if not platform then
    return output.fail(waiter, context)
  end
  if given.deadline and not waiter_module.seconds(tonumber(given.deadline) or given.deadline) then
    return output.fail(select(2, usage("--deadline '" .. given.deadline .. "' is not a duration", "write 90s, 15m, 2h or 1d")), context)
  end
  given.deadline = tonumber(given.deadline) or given.deadline
  local operation = platform.operations[waiter.operation]
  local fields, err = parameters.parse(given.param, known_fields(waiter, operation), {})
  local saved, client, reply
  if fields then
    saved, err = read_state(given.state)
  end
  if fields and not err then
    client, err = campaign.connect((platforms.split(given.waiter)), target.account(platform, operation, fields, given.account))
  end
  if client then
    local well, first, second = pcall(wait, client, given, name, fields, saved)
    client:close()
    if not well and not error_object.is(first) then
      error(first, 0)
    end
    reply, err = well and first or nil, well and second or first
  end
  if not reply then
    return output.fail(err, context)
  end
  io.stdout:write(assert(core.json.encode(reply, core.console.is_terminal(1) and { indent = 2 } or nil)), "\n")
  return 0
end

return M

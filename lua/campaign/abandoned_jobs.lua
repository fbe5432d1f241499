-- SPDX-License-Identifier: MIT
-- Jobs abandoned by their coroutine: nginx ended its light thread, or a script dropped it. Their files and locks are released when they are
-- garbage collected, which an idle process may never do, and LuaJIT not while compiled code refers to the job's functions.

local core = require "campaign.core"

local M = {}

local collected = -math.huge

---Collects them.
---@param seconds number not again within so many: it takes as long as Lua's memory is large
---@return boolean done
function M.collect(seconds)
  local now = core.system.monotonic()
  if now - collected < seconds then
    return false
  end
  collected = now
  if jit then
    jit.flush()
  end
  collectgarbage()
  collectgarbage() -- what the first one ended may have held others
  return true
end

---Collects them where one may hold a lock.
---@param err campaign.error? why the lock was not to be had
---@param seconds number not again within so many
---@return boolean done the lock is worth another attempt
function M.let_go(err, seconds)
  local cause = err and err.reason == "locked" and err.cause
  return type(cause) == "table" and cause.ours == true and M.collect(seconds)
end

return M

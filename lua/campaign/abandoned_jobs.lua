-- SPDX-License-Identifier: MIT
-- Jobs abandoned by their coroutine: nginx ended its light thread, or a script dropped it. Their files and locks are released when they are
-- garbage collected, which an idle process may never do, and LuaJIT not while compiled code refers to the job's functions.

local core = require "campaign.core"

local M = {}

local collected = -math.huge

---Runs a full garbage collection, which releases them.
---@param seconds number at most once in so many seconds: the cost grows with Lua's heap
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
  collectgarbage() -- finalizers of the first cycle may have released others
  return true
end

---Releases them if one of them may hold a lock.
---@param err campaign.error? why the lock could not be taken
---@param seconds number as for `collect`
---@return boolean done try to take the lock again
function M.let_go(err, seconds)
  local cause = err and err.reason == "locked" and err.cause
  return type(cause) == "table" and cause.ours == true and M.collect(seconds)
end

return M

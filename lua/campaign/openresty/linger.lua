-- SPDX-License-Identifier: MIT
-- An idle light thread waits a moment for more work, because a timer and a socket for every piece of work would cost more than most of the
-- work. Not in an exiting worker, which it would hold up.

local home = require "campaign.openresty.env"

local M = {}

local ngx = package.loaded.ngx

local SECONDS = 0.1

local methods = {}
local mt = { __index = methods, __name = "campaign.openresty.linger" }

---@return table place where one light thread at a time waits for work
function M.new()
  return setmetatable({}, mt)
end

---Waits for work.
---@return boolean called false when none came in time
function methods:wait()
  if ngx.worker.exiting() then
    return false
  end
  local semaphore = home.semaphores().new(0)
  self._idle = semaphore
  local is_called = semaphore:wait(SECONDS)
  if self._idle == semaphore then
    self._idle = nil
  end
  return is_called
end

---Calls the light thread that waits here; false when none does.
---@return boolean
function methods:call()
  local semaphore = self._idle
  if not semaphore then
    return false
  end
  self._idle = nil
  semaphore:post(1)
  return true
end

return M

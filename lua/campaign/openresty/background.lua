-- SPDX-License-Identifier: MIT
-- Work outside of any nginx request, in one light thread of the worker while there is some, so that an aborted request does not abort it.
-- `work()` does one piece and returns whether there may be more. If nginx has no timer to give, or drops the one it accepted, a waiter does
-- a piece itself.

local core = require "campaign.core"
local home = require "campaign.openresty.env"

local M = {}

local ngx = package.loaded.ngx

-- Seconds after which a light thread that was not seen is replaced, and after which a timer that was not seen running is given up.
local ROUND, UNSEEN = 1, 0.25

local methods = {}
local mt = { __index = methods, __name = "campaign.openresty.background" }

---@param work fun(): boolean whether there may be more to do; may yield, must call `background:beat()` if it takes long
function M.new(work)
  return setmetatable({ _work = work, _generation = 0, _seen = 0, _beat = -math.huge }, mt)
end

local function run(_, self, mine)
  if mine ~= self._generation then
    return
  end
  self._seen = mine
  repeat
    self:beat()
    local more = self._work()
  until not more or mine ~= self._generation
  if mine == self._generation then
    self._beat = -math.huge
  end
end

---Says that the work goes on.
function methods:beat()
  self._beat = core.system.monotonic()
end

---Makes sure that somebody works. False if nginx has no timer to give.
---@return boolean
function methods:nudge()
  if core.system.monotonic() - self._beat < ROUND then
    return true
  end
  self._generation = self._generation + 1
  local started = ngx.timer.at(0, run, self, self._generation)
  self._beat = started and core.system.monotonic() or -math.huge
  return started ~= nil and started ~= false
end

---Waits until `is_done()`; whatever makes it true posts the semaphore.
---@param is_done fun(): any
---@param semaphore table
---@param seconds number at most
---@return boolean done
function methods:wait(is_done, semaphore, seconds)
  local deadline = core.system.monotonic() + seconds
  while not is_done() do
    local left = deadline - core.system.monotonic()
    if left <= 0 then
      return false
    end
    local started = self:nudge()
    if started and self._seen == self._generation then
      semaphore:wait(math.min(left, ROUND))
    elseif not (started and semaphore:wait(math.min(left, UNSEEN))) and not is_done() then
      self._work()
      if not is_done() then
        home.sleep(0.001)
      end
    end
  end
  return true
end

return M

-- SPDX-License-Identifier: MIT
-- Files that must be durable before the program continues (replaced atomically, or synced), and locks that are waited for. Inside nginx, where
-- blocking would stop all other requests of a worker, a thread of the core does the work while the light thread yields; elsewhere the caller
-- blocks.

local core = require "campaign.core"

local M = {}

-- The module that syncs on a thread: inside nginx, where the caller can yield.
local function threaded()
  return package.loaded.ngx and require("campaign.openresty.env").may_wait() and require("campaign.openresty.sync")
end

---As core.system.write_atomic.
---@param path string
---@param bytes string
---@param mode integer?
---@return true? ok
---@return campaign.error? err
function M.write(path, bytes, mode)
  local sync = threaded()
  if sync then
    return sync.write_atomic(path, bytes, mode)
  end
  return core.system.write_atomic(path, bytes, mode)
end

---As file:sync().
---@param file userdata of core.system.append_open
---@return true? ok
---@return campaign.error? err
function M.sync(file)
  local sync = threaded()
  if sync then
    return sync.file(file)
  end
  return file:sync()
end

---Starts to sync a file on a thread. Takes ownership of the file, which is closed at the end.
---@param file userdata of core.system.append_open
---@return fun(): true?, campaign.error? wait waits until it is done; must be called exactly once
function M.sync_later(file)
  local syncer = core.system.syncer()
  local id = syncer and syncer:submit(file)
  return function()
    local ok, err
    if id then
      local home = package.loaded.ngx and require("campaign.openresty.env")
      local sleep = home and home.may_wait() and home.sleep or core.system.sleep
      local done
      done, ok, err = syncer:take()
      while not done do
        sleep(0.001)
        done, ok, err = syncer:take()
      end
    else
      ok, err = M.sync(file)
    end
    if syncer then
      syncer:close()
    end
    file:close()
    return ok, err
  end
end

---As core.system.lock; inside nginx it polls with short sleeps.
---@param path string
---@param seconds number to wait at most; 0: not at all
---@return userdata? lock
---@return campaign.error? err kind "timeout" when another one has it
function M.lock(path, seconds)
  local home = package.loaded.ngx and require("campaign.openresty.env")
  if seconds == 0 or not home or not home.may_wait() then
    return core.system.lock(path, seconds)
  end
  local deadline = core.system.monotonic() + seconds
  local lock, err = core.system.lock(path, 0)
  while not lock and err.kind == "timeout" and core.system.monotonic() < deadline do
    home.sleep(0.001)
    lock, err = core.system.lock(path, 0)
  end
  return lock, err
end

---Syncs the names in a folder: files created in it, renamed into it, removed from it.
---@param path string
---@return true? ok
---@return campaign.error? err
function M.folder(path)
  local sync = threaded()
  if sync then
    return sync.folder(path)
  end
  return core.system.sync_folder(path)
end

return M

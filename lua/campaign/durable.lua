-- SPDX-License-Identifier: MIT
-- Files that must be on the disk before one goes on: replaced whole, or synced. Inside nginx, where waiting for a disk would hold all other
-- requests of a worker, a thread of the core does it and the light thread yields meanwhile; elsewhere the caller waits.

local core = require "campaign.core"

local M = {}

local function threaded()
  return package.loaded.ngx and require("campaign.openresty.sync")
end

---As core.system.write_atomic.
---@param path string
---@param bytes string
---@param mode integer?
---@return true? ok
---@return campaign.error? err
function M.write(path, bytes, mode)
  local sync = threaded()
  if sync and sync.may_wait() then
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
  if sync and sync.may_wait() then
    return sync.file(file)
  end
  return file:sync()
end

---Which names a folder has: files made in it, renamed into it, removed from it.
---@param path string
---@return true? ok
---@return campaign.error? err
function M.folder(path)
  local sync = threaded()
  if sync and sync.may_wait() then
    return sync.folder(path)
  end
  return core.system.sync_folder(path)
end

return M

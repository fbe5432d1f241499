-- SPDX-License-Identifier: MIT
-- Syncs and replaces files without blocking the worker: a thread of the core does it, and whoever waits looks for the results of all.

local core = require "campaign.core"
local home = require "campaign.openresty.env"

local M = {}

-- Of this Lua state; made with the first sync, so after the fork.
local syncer
local results = {} -- id → { ok, err }

local function take_all()
  local id, ok, err = syncer:take()
  while id do
    results[id] = { ok, err }
    id, ok, err = syncer:take()
  end
end

local function run(method, ...)
  local err, id
  if not syncer then
    syncer, err = core.system.syncer()
    if not syncer then
      return nil, err
    end
  end
  id, err = syncer[method](syncer, ...)
  if not id then
    return nil, err
  end
  while not results[id] do
    take_all()
    if not results[id] then
      home.sleep(0.001)
    end
  end
  local result = results[id]
  results[id] = nil
  return result[1], result[2]
end

---Whether this phase can wait for the thread.
---@return boolean
function M.may_wait()
  return (pcall(home.check, 1))
end

---As file:sync().
---@param file userdata of core.system.append_open
---@return true? ok
---@return campaign.error? err
function M.file(file)
  home.check(2)
  return run("submit", file)
end

---As core.system.write_atomic.
---@param path string
---@param bytes string
---@param mode integer?
---@return true? ok
---@return campaign.error? err
function M.write_atomic(path, bytes, mode)
  home.check(2)
  return run("write_atomic", path, bytes, mode)
end

return M

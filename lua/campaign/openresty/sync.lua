-- SPDX-License-Identifier: MIT
-- Syncs a file without blocking the worker: on a thread of the core, whose results one light thread after the other looks for.

local core = require "campaign.core"
local home = require "campaign.openresty.env"

local M = {}

-- Of this Lua state; made with the first sync, so after the fork.
local syncer
local results = {} -- id → { ok, err }

---@param file userdata of core.system.append_open
---@return true? ok
---@return campaign.error? err
function M.file(file)
  home.check(2)
  local id, err
  if not syncer then
    syncer, err = core.system.syncer()
    if not syncer then
      return nil, err
    end
  end
  id, err = syncer:submit(file)
  if not id then
    return nil, err
  end
  while not results[id] do
    local done, ok, problem = syncer:take()
    while done do
      results[done] = { ok, problem }
      done, ok, problem = syncer:take()
    end
    if not results[id] then
      home.sleep(0.001)
    end
  end
  local result = results[id]
  results[id] = nil
  return result[1], result[2]
end

return M

-- SPDX-License-Identifier: MIT
-- A list that was made for a job, from a workbook or by a map function: it gets its name in the job folder when it is complete, and is durable before
-- the plan is, from which things are sent.

local core = require "campaign.core"
local durable = require "campaign.durable"
local folder_module = require "campaign.import.folder"

local M = {}

---The folder in which a list is made: the job's, or for a dry run without one that of temporary files.
---@param state table gets its `folder`
---@return string? path
---@return boolean|campaign.error keeps whether the job keeps the list; or why there is no folder
function M.folder(state)
  local options = state.options
  if options.dry_run and not options.job then
    return options.env.getenv("TMPDIR") or "/tmp", false
  end
  local err
  if not state.folder then -- a workbook may have made it already
    state.folder, err = folder_module.of_job(options, state.platform, state.operation)
    if not state.folder then
      return nil, err
    end
  end
  return state.folder.path, true
end

---Gives the list its final name in the job folder, and closes its maker.
---@param state table
---@param maker userdata that has made the list: `place` and `close`
---@param path string
---@return true? ok
---@return campaign.error? err
function M.place(state, maker, path)
  local ok, err = maker:place(path)
  local file
  if ok then
    file, err = core.system.append_open(path, 384) -- 0600
  end
  if not file then
    return folder_module.trouble(state.folder.path, err)
  end
  maker:close()
  state.syncing = durable.sync_later(file)
  return true
end

---Waits until the list is durable.
---@param state table
---@return true? ok
---@return campaign.error? err
function M.settle(state)
  local wait = state.syncing
  state.syncing = nil
  local ok, err = wait()
  if ok then
    ok, err = durable.folder(state.folder.path)
  end
  if not ok then
    return folder_module.trouble(state.folder.path, err)
  end
  return true
end

return M

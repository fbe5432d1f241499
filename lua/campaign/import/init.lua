-- SPDX-License-Identifier: MIT
-- campaign.plan, campaign.import, campaign.open_job, campaign.recover: the public functions of an import, described in docs/import.md. The
-- work is done by import/planning.lua, import/job.lua, import/reopen.lua and import/recover.lua.

local reopen = require "campaign.import.reopen"
local job_module = require "campaign.import.job"
local planning = require "campaign.import.planning"
local recover = require "campaign.import.recover"

local M = { open_job = reopen.open_job, recover = recover.recover }

---Reads and checks a whole list and plans its batches. Sends nothing.
---@param given campaign.import.options
---@return campaign.job? job
---@return campaign.error? err
function M.plan(given)
  local job, err = planning.plan(given, 2) -- no tail call: the level of a raised error counts this frame
  return job, err
end

---Plans and runs an import.
---@param given campaign.import.options
---@return campaign.import.result? result
---@return campaign.error? err
function M.import(given)
  local job, err = planning.plan(given, 2)
  if not job then
    return nil, err
  end
  local state = job_module.state_of(job)
  if state.options.dry_run then
    return job_module.end_dry(job)
  end
  local result, run_err = job:run()
  if not result and state.state == "planned" then
    job:close()
  end
  return result, run_err
end

return M

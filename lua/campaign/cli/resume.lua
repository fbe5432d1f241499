-- SPDX-License-Identifier: MIT
-- `campaign resume JOB`: continues an import that was interrupted or stopped; prints the result of a finished one again.

local campaign = require "campaign"
local output = require "campaign.cli.output"
local running = require "campaign.cli.running"

local M = {}

function M.run(given)
  local run = running.new(given)
  output.when_interrupted("interrupted while the ledger was read; nothing was sent", "no", given)
  local job, err = campaign.open_job(given.job, run.options())
  if not job then
    run.finish()
    return output.fail(err, given)
  end
  return run.run(job, job.resume, given.job)
end

return M

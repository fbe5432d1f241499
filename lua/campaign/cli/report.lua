-- SPDX-License-Identifier: MIT
-- `campaign report JOB`: makes the HTML page of a job anew, in its folder or elsewhere, and prints the path.

local campaign = require "campaign"
local output = require "campaign.cli.output"

local M = {}

function M.run(given)
  local job, err = campaign.open_job(given.job)
  local path
  if job then
    path, err = job:report{ lang = given.lang, output = given.output }
  end
  if not path then
    return output.fail(err, given)
  end
  if given.json then
    output.json({ job = given.job, report = path })
  else
    io.stdout:write(path, "\n")
  end
  return output.EXIT.ok
end

return M

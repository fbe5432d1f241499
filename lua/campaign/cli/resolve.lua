-- SPDX-License-Identifier: MIT
-- `campaign resolve JOB --batch N --as WHAT`: writes into the ledger what became of a batch whose outcome was unknown. Sends nothing;
-- `campaign resume` acts on it.

local campaign = require "campaign"
local output = require "campaign.cli.output"

local M = {}

function M.run(given)
  local job, err = campaign.open_job(given.job)
  local ok
  if job then
    ok, err = job:resolve(given.batch, given.as, given.note)
  end
  if not ok then
    return output.fail(err, given)
  end
  if given.json then
    output.json{ batch = given.batch, as = given.as }
  else
    io.stdout:write(("batch %d: %s; go on with: campaign resume %s\n"):format(given.batch, given.as, given.job))
  end
  return output.EXIT.ok
end

return M

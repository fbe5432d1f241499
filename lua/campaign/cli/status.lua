-- SPDX-License-Identifier: MIT
-- `campaign status JOB`: what the ledger of an import says, also while it runs or after it was killed. Sends nothing.

local campaign = require "campaign"
local core = require "campaign.core"
local human = require "campaign.human"
local output = require "campaign.cli.output"

local M = {}

local ROW_STATES = require("campaign.import.accounting").STATES

local function print_text(given, found)
  io.stdout:write(given.job, ": ", found.state, "\n")
  for _, state in ipairs(ROW_STATES) do
    local count = found.rows and found.rows[state] or 0
    if count > 0 then
      io.stdout:write(("%12s  %s\n"):format(human.count(count), (state:gsub("_", " "))))
    end
  end
  for _, batch in ipairs(found.doubtful or {}) do
    io.stdout:write(("  batch %d in doubt: %s rows from row %s, attempt %s, %s\n"):format(batch.batch, human.count(batch.rows),
      human.count(batch.first_row), tostring(batch.attempt or "?"), tostring(batch.cause or "no outcome is known")))
  end
  if found.doubtful and #found.doubtful > 0 then
    io.stdout:write("  look at the platform, then: campaign resolve ", given.job, " --batch N --as applied|not-applied|resend\n")
  end
  if found.state == "interrupted" or found.state == "stopped" or found.state == "planned" then
    io.stdout:write("  go on with: campaign resume ", given.job, "\n")
  end
end

function M.run(given)
  local job, err = campaign.open_job(given.job)
  local found
  if job then
    found, err = job:inspect()
  end
  if not found then
    return output.fail(err, given)
  end
  if given.json then
    found.doubtful = found.doubtful and core.json.array(found.doubtful)
    output.json(found)
  else
    print_text(given, found)
  end
  return output.EXIT.ok
end

return M

-- SPDX-License-Identifier: MIT
-- `campaign verify JOB`: checks that list, ledger, reports and server agree on every row. Prints the five figures and any disagreement.

local campaign = require "campaign"
local core = require "campaign.core"
local error_object = require "campaign.error"
local human = require "campaign.human"
local output = require "campaign.cli.output"

local M = {}

-- In this order, each always there: null where no server log was given.
local FIGURES = { "lost", "unreported_duplicates", "false_success", "ambiguous", "in_flight_at_fault" }
local SERVER = { "unreported_duplicates", "false_success", "false_refusal", "foreign", "committed" }

local function print_text(proof)
  for _, name in ipairs(FIGURES) do
    local value = proof[name]
    output.say(("%24s  %s\n"):format((name:gsub("_", " ")), value and human.count(value) or "not known without the server's log"))
  end
  for _, job in ipairs(proof.jobs) do
    output.say(("  %s: %s rows, %s%s\n"):format(job.job, human.count(job.rows), job.state,
      job.reports and "" or "; its reports are not there or not current and were not compared"))
  end
  if proof.committed then
    output.say(("  %s rows in the server's log%s\n"):format(human.count(proof.committed),
      proof.foreign > 0 and ", " .. human.count(proof.foreign) .. " of them of no job here" or ""))
  end
  if proof.mended > 0 then
    output.say(("  %s rejected rows were changed by hand\n"):format(human.count(proof.mended)))
  end
  for _, fault in ipairs(proof.faults) do
    local examples = #fault.examples > 0 and " (" .. table.concat(fault.examples, ", ") .. (fault.count > #fault.examples and ", ..." or "")
      .. ")" or ""
    output.say(("  %s: %s: %s%s\n"):format(fault.part, human.count(fault.count), fault.message, examples))
  end
  output.say(proof.ok and "everything agrees\n" or "something DISAGREES\n")
end

function M.run(given)
  local base_url = given.sandbox and (given.sandbox[1] or os.getenv("CAMPAIGN_SANDBOX_URL"))
  if given.sandbox and not base_url then
    return output.fail(error_object.new{ kind = "usage", retry = false, sent = "no",
      message = "--sandbox: give a URL, or set CAMPAIGN_SANDBOX_URL" }, given)
  end
  local proof, err = campaign.verify(given.job, { server_log = given.server_log, sandbox = base_url, after = given.after })
  if not proof then
    return output.fail(err, given)
  end
  if given.json then
    for _, name in ipairs(SERVER) do
      proof[name] = proof[name] or core.json.null
    end
    proof.faults, proof.jobs = core.json.array(proof.faults), core.json.array(proof.jobs)
    output.json(proof)
  else
    print_text(proof)
  end
  return proof.exit_code
end

return M

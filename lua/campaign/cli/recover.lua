-- SPDX-License-Identifier: MIT
-- `campaign recover JOB`: rebuilds a damaged ledger; what cannot be vouched for is in doubt. Sends nothing.

local campaign = require "campaign"
local human = require "campaign.human"
local output = require "campaign.cli.output"
local shell_quote = require "campaign.shell_quote"

local M = {}

local function print_text(recovered)
  output.say(("%s: the ledger was rebuilt; the damaged one is %s\n"):format(recovered.job, recovered.damaged))
  for _, line in ipairs({
    { recovered.kept, "batches whose outcome is known" }, { recovered.ambiguous, "batches in doubt" }, { recovered.pending, "batches to send" },
  }) do
    output.say(("%12s  %s\n"):format(human.count(line[1]), line[2]))
  end
  if recovered.ambiguous > 0 then
    output.say("  their rows may or may not have arrived; look at the platform, then: campaign resolve ", shell_quote(recovered.job),
      " --batch N --as applied|not-applied|resend\n")
  end
  if recovered.pending > 0 then
    output.say("  continue with: campaign resume ", shell_quote(recovered.job), "\n")
  end
end

function M.run(given)
  local recovered, err = campaign.recover(given.job, { account = given.account, trust_pending = given.trust_pending })
  if not recovered then
    return output.fail(err, given)
  end
  if given.json then
    local result = recovered.result
    recovered.result = nil
    recovered.rows_ambiguous = result and result.ambiguous
    output.json(recovered)
  else
    print_text(recovered)
  end
  return recovered.ambiguous > 0 and output.EXIT.unknown or output.EXIT.ok
end

return M

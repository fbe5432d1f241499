-- SPDX-License-Identifier: MIT
-- `campaign resolve JOB`: records the outcome of batches in doubt, as stated by the user (--batch N --as WHAT), found by a query at the
-- platform (--probe), or reported by callbacks (--callbacks DIR). Sends nothing; `campaign resume` acts on it.

local campaign = require "campaign"
local core = require "campaign.core"
local output = require "campaign.cli.output"
local shell_quote = require "campaign.shell_quote"

local M = {}

-- What `probe` says, in the words of --as.
local AS = { applied = "applied", again = "not-applied" }

local function by_person(given, job)
  local first, last = given.batch[1], given.batch[2]
  local count, err = job:resolve(first, given.as, given.note, last > first and last or nil)
  if not count then
    return output.fail(err, given)
  end
  if given.json then
    output.json{ batch = first, last = last > first and last or nil, count = count, as = given.as }
  else
    output.say(last > first and ("%d batches in doubt from %d to %d"):format(count, first, last) or ("batch %d"):format(first),
      (": %s; continue with: campaign resume %s\n"):format(given.as, shell_quote(given.job)))
  end
  return output.EXIT.ok
end

local function by_probe(given, job)
  output.when_interrupted("interrupted while the platform was asked; what was found is in the ledger", "no", given)
  local found, err = job:probe(given.batch and given.batch[1])
  if not found then
    return output.fail(err, given)
  end
  local open = 0
  for _, batch in ipairs(found) do
    batch.as = AS[batch.as]
    open = open + (batch.as and 0 or 1)
  end
  if #found == 0 then -- nobody could be asked about those that are still in doubt
    local left, inspect_err = job:inspect()
    if not left then
      return output.fail(inspect_err, given)
    end
    open = left.doubtful and #left.doubtful or 0
  end
  if given.json then
    output.json{ batches = core.json.array(found), open = open }
  else
    for _, batch in ipairs(found) do
      output.say(("batch %d: %s%s\n"):format(batch.batch, batch.as or "still in doubt", batch.detail and " (" .. batch.detail .. ")" or ""))
    end
    if #found == 0 then
      output.say("no batch in doubt that the platform can be asked about\n")
    elseif open < #found then
      output.say("continue with: campaign resume ", shell_quote(given.job), "\n")
    end
  end
  return open > 0 and output.EXIT.unknown or output.EXIT.ok
end

local function by_callbacks(given, job)
  local joined, err = job:join(given.callbacks)
  if not joined then
    return output.fail(err, given)
  end
  local confirmed, rejected, conflicts = 0, 0, 0
  for _, batch in ipairs(joined) do
    confirmed = confirmed + (batch.as == "confirmed" and 1 or 0)
    conflicts = conflicts + (batch.as == "conflict" and 1 or 0)
    rejected = rejected + (batch.rejected or 0)
  end
  if given.json then
    output.json{ batches = core.json.array(joined), confirmed = confirmed, rejected = rejected, conflicts = conflicts }
  else
    for _, batch in ipairs(joined) do
      if batch.as ~= "confirmed" then
        output.say(("batch %d: %s (%s)\n"):format(batch.batch, batch.as and "in doubt" or "still in doubt", batch.detail))
      end
    end
    output.say(("%d batches confirmed by callbacks, %d of their rows rejected\n"):format(confirmed, rejected))
    if #joined > 0 then
      output.say("update the report with: campaign resume ", shell_quote(given.job), "\n")
    end
  end
  return conflicts > 0 and output.EXIT.unknown or output.EXIT.ok
end

function M.run(given)
  local ways = (given.probe and 1 or 0) + (given.as and 1 or 0) + (given.callbacks and 1 or 0)
  if ways > 1 then
    return output.fail("give only one of --probe, --callbacks and --as", given)
  elseif ways == 0 or given.as and not given.batch then
    return output.fail("resolve needs --batch N --as applied|not-applied|resend, or --probe, or --callbacks DIR", given)
  elseif given.probe and given.batch and given.batch[2] > given.batch[1] then
    return output.fail("--probe asks about one batch, or without --batch about all in doubt", given)
  end
  local job, err = campaign.open_job(given.job, { account = given.account })
  if not job then
    return output.fail(err, given)
  end
  if given.callbacks then
    return by_callbacks(given, job)
  end
  return given.probe and by_probe(given, job) or by_person(given, job)
end

return M

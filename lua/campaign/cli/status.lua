-- SPDX-License-Identifier: MIT
-- `campaign status JOB`: shows the ledger of an import, even while it runs or after it was killed. Sends nothing.

local campaign = require "campaign"
local core = require "campaign.core"
local human = require "campaign.human"
local output = require "campaign.cli.output"

local M = {}

local ROW_STATES = require("campaign.import.report.accounting").STATES
local WORDS = require("campaign.import.report.summary").WORDS
local shell_quote = require "campaign.shell_quote"

-- What a script finds, always: null where it is not known.
local SHAPE = { "job", "state", "rows", "total", "batches", "sendable", "attempts", "open", "bytes", "possibly_duplicated", "doubtful", "retries",
  "handed_over" }
local DOUBT = { "batch", "first_row", "rows", "attempt", "cause", "status", "began" }

local function shaped(found, names)
  local shown = {}
  for _, name in ipairs(names) do
    local value = found[name]
    shown[name] = value == nil and core.json.null or value
  end
  return shown
end

local function print_json(found)
  for i, batch in ipairs(found.doubtful or {}) do
    found.doubtful[i] = shaped(batch, DOUBT)
  end
  found.doubtful = found.doubtful and core.json.array(found.doubtful)
  output.json(shaped(found, SHAPE))
end

local function print_text(given, found)
  output.say(given.job, ": ", found.state, "\n")
  for _, state in ipairs(ROW_STATES) do
    local count = found.rows and found.rows[state] or 0
    if count > 0 then
      output.say(("%12s  %s\n"):format(human.count(count), state == "pending" and "not sent yet" or WORDS[state]))
    end
  end
  if (found.possibly_duplicated or 0) > 0 then
    output.say(("  %s rows were sent again by order and may be there twice\n"):format(human.count(found.possibly_duplicated)))
  end
  for _, batch in ipairs(found.doubtful or {}) do
    output.say(("  batch %d in doubt: %s rows from row %s, attempt %s, %s\n"):format(batch.batch, human.count(batch.rows),
      human.count(batch.first_row), tostring(batch.attempt or "?"), tostring(batch.cause or "no outcome is known")))
  end
  if found.doubtful and #found.doubtful > 0 then
    local resolve = "campaign resolve " .. shell_quote(given.job)
    if found.can_probe then
      output.say("  the platform can be asked: ", resolve, " --probe\n")
    end
    if found.awaits_callbacks then
      output.say("  its callbacks may tell, where they were received: ", resolve, " --callbacks DIR\n")
    end
    local has_way = found.can_probe or found.awaits_callbacks
    output.say(has_way and "  else look there, then: " or "  look at the platform, then: ",
      resolve, " --batch N --as applied|not-applied|resend\n")
  end
  if found.handed_over then
    output.say("  what was not sent, or rejected, was handed over to: campaign status ", shell_quote(found.handed_over), "\n")
  elseif found.state == "interrupted" or found.state == "stopped" or found.state == "planned" then
    output.say("  continue with: campaign resume ", shell_quote(given.job), "\n")
  end
  for number = 1, found.retries or 0 do
    output.say("  a retry of it: campaign status ", shell_quote(given.job .. "/retry-" .. number), "\n")
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
    print_json(found)
  else
    print_text(given, found)
  end
  return output.EXIT.ok
end

return M

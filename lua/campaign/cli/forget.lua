-- SPDX-License-Identifier: MIT
-- `campaign forget JOB`: erases the personal data of a job, or with --all the job; says what it removed and what it left.

local campaign = require "campaign"
local core = require "campaign.core"
local human = require "campaign.human"
local output = require "campaign.cli.output"

local M = {}

local function print_text(forgotten)
  output.say(("%s: %d files removed, %s\n"):format(forgotten.job, #forgotten.removed, human.bytes(forgotten.bytes)))
  for _, part in ipairs({ { "removed", forgotten.removed }, { "kept, without personal data", forgotten.kept },
    { "left, not ours: look whether they hold personal data", forgotten.left } }) do
    if #part[2] > 0 then
      output.say("  ", part[1], ": ", table.concat(part[2], ", "), "\n")
    end
  end
end

function M.run(given)
  local forgotten, err = campaign.forget(given.job, { all = given.all, force = given.force })
  if not forgotten then
    return output.fail(err, given)
  end
  if given.json then
    for _, name in ipairs({ "removed", "kept", "left" }) do
      forgotten[name] = core.json.array(forgotten[name])
    end
    output.json(forgotten)
  else
    print_text(forgotten)
  end
  return output.EXIT.ok
end

return M

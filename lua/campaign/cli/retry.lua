-- SPDX-License-Identifier: MIT
-- `campaign retry JOB`: sends corrected rejected rows, as a job of its own inside the job's folder.

local campaign = require "campaign"
local human = require "campaign.human"
local output = require "campaign.cli.output"
local running = require "campaign.cli.running"

local M = {}

local SKIPPED = {
  { "unchanged", "unchanged" }, { "settled", "taken over by an earlier retry" }, { "ambiguous", "in doubt since an earlier retry" },
  { "duplicate", "with the key of a row that was taken over" }, { "left_out", "rejected and not in the file" },
}

local function print_choice(given, counts)
  if given.json then
    return
  end
  local words = {}
  for _, state in ipairs(SKIPPED) do
    if counts[state[1]] > 0 then
      words[#words + 1] = human.count(counts[state[1]]) .. " " .. state[2]
    end
  end
  output.say(("%s: %s corrected rows%s\n"):format(counts.file, human.count(counts.sent),
    #words > 0 and "; left as they are: " .. table.concat(words, ", ") or ""))
end

function M.run(given)
  local run = running.new(given)
  output.when_interrupted("interrupted while the rows were chosen; nothing was sent", "no", given)
  local job, err = campaign.plan_retry(given.job, run.options{
    file = given.file, encoding = given.encoding, delimiter = given.delimiter, unchanged = given.unchanged,
  })
  if not job then
    run.finish()
    return output.fail(err, given)
  end
  run.finish()
  print_choice(given, job.retry)
  return run.run(job, function()
    local result, run_err = job:run()
    if result then
      result.retry = job.retry
    end
    return result, run_err
  end, job.folder)
end

return M

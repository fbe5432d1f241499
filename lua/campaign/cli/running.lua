-- SPDX-License-Identifier: MIT
-- Drives a job for `campaign import` and `campaign resume`: progress, an orderly stop on Ctrl-C, the result as text or JSON.

local core = require "campaign.core"
local merged = require "campaign.merged"
local output = require "campaign.cli.output"
local progress = require "campaign.cli.progress"
local run_options = require "campaign.import.run_options"
local shell_quote = require "campaign.shell_quote"
local summary = require "campaign.import.report.summary"

local M = {}

local SAME_SIGNAL = 0.4 -- seconds

local SHOWN = {
  "state", "exit_code", "rows", "accepted", "accepted_pending", "rejected", "duplicate", "suppressed", "unchanged", "ambiguous", "pending",
  "causes", "batches", "requests", "retries", "bytes", "seconds", "taken_over", "possibly_duplicated",
  "possibly_duplicated_file", "job", "rejects_file", "duplicates_file",
  "suppressed_file", "unchanged_file", "ambiguous_file",
  "not_sent_file", "batches_file", "report_file", "page_file", "warnings",
}

---The reasons of a plan or result as a JSON list.
function M.json_reasons(reasons)
  local list = {}
  for index, reason in ipairs(reasons or {}) do
    list[index] = { state = reason.state, cause = reason.cause, column = reason.column, reason = reason.reason,
      code = reason.code, count = reason.count }
  end
  return core.json.array(list)
end

local function json_result(result)
  local shown = { reasons = M.json_reasons(result.reasons) }
  for _, name in ipairs(SHOWN) do
    shown[name] = result[name]
  end
  shown.warnings = shown.warnings and core.json.array(shown.warnings)
  shown.retry = result.retry
  return shown
end

-- A second signal immediately after the first is not a second request: process managers signal a process and then its group.
local function watch_signals(watcher)
  local count = watcher.job and core.console.caught() or 0
  if count == watcher.seen then
    return
  end
  local now = core.system.monotonic()
  watcher.seen = count
  if watcher.stopped_at and now - watcher.stopped_at < SAME_SIGNAL then
    return
  end
  watcher.job:stop(watcher.stopped_at and "now" or nil)
  watcher.note(watcher.stopped_at and "stopping now"
    or "stopping: waiting for the answers that are under way; once more to stop at once")
  watcher.stopped_at = watcher.stopped_at or now
end

-- Ctrl-C stops the job gently, a second one at once.
local function watched(watcher, job, go)
  core.console.watch()
  watcher.job = job
  local ok, result, err = pcall(go, job)
  core.console.unwatch()
  if not ok then
    error(result, 0)
  end
  return result, err
end

-- What a person can do next.
local function next_steps(result)
  local lines = { "  job: " .. result.job }
  if result.page_file then
    lines[#lines + 1] = "  report: " .. result.page_file
  end
  if result.pending > 0 then
    lines[#lines + 1] = "  continue with: campaign resume " .. shell_quote(result.job)
  end
  if result.ambiguous > 0 then
    lines[#lines + 1] = "  to settle the ambiguous rows, see: campaign status " .. shell_quote(result.job)
  end
  if result.rejected > 0 and result.pending == 0 then
    lines[#lines + 1] = "  correct the rejected rows in rejects.csv, then: campaign retry " .. shell_quote(result.job)
  end
  return table.concat(lines, "\n")
end

local function print_result(given, what, result)
  if given.json then
    output.json(json_result(result))
  else
    output.say(what, ": ", summary.text(result), "\n", next_steps(result), "\n")
  end
  if result.error then
    output.fail(result.error, { json = given.json, code = result.exit_code })
  end
end

---@class campaign.cli.running
---@field options fun(more: table?): table what the command line says of the run, and where its progress goes, with `more`
---@field finish fun() ends the line of progress
---@field note fun(text: string) a line for people
---@field run fun(job: campaign.job, go: function, what: string): integer runs `go(job)`, prints the result, returns the exit code

---@param given table the command line: `json`
---@return campaign.cli.running
function M.new(given)
  core.console.ignore("PIPE") -- a reader of our output that ends must not kill the import
  local show, finish = progress.on_stderr(given.progress == "json")
  local is_shown = given.progress == "json" or given.progress ~= "none" and not given.json
  local watcher = { seen = 0 }
  function watcher.note(text)
    if not given.json and given.progress ~= "json" then
      finish()
      output.note(text)
    end
  end
  local running = { finish = finish, note = watcher.note }
  local function on_progress(event)
    if event.note then
      watcher.note(event.note)
    end
    if is_shown then
      show(event)
    end
    watch_signals(watcher)
  end
  function running.options(more)
    return merged(run_options.pick(given), { on_progress = on_progress }, more)
  end
  function running.run(job, go, what)
    local result, err = watched(watcher, job, function()
      local result, err = go(job)
      if result then
        result.page_file = job:report() -- without it the job is as it is
      end
      return result, err
    end)
    finish()
    if not result then
      return output.fail(err, given)
    end
    print_result(given, what, result)
    local is_worse = result.exit_code == output.EXIT.unknown or result.exit_code == output.EXIT.stopped
    return watcher.seen > 0 and not is_worse and output.EXIT.interrupted or result.exit_code
  end
  return running
end

return M

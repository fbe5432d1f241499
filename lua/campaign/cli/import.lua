-- SPDX-License-Identifier: MIT
-- `campaign import FILE --to PLATFORM.OPERATION`: an import by the public API, with progress, an honest end after Ctrl-C, and the result
-- as text or JSON.

local campaign = require "campaign"
local core = require "campaign.core"
local error_object = require "campaign.error"
local output = require "campaign.cli.output"
local parameters = require "campaign.cli.parameters"
local progress = require "campaign.cli.progress"
local summary = require "campaign.import.summary"
local replacements = require "campaign.replacements"
local target = require "campaign.cli.target"

local M = {}

local SAME_WISH = 0.4 -- seconds

-- fail | reject | map:FILE → what campaign.plan takes.
local function on_unmappable(what)
  if what == "fail" or what == "reject" then
    return what
  end
  local path = what:match("^map:(.+)$")
  if not path then
    return nil, error_object.new{
      kind = "usage", message = "--on-unmappable '" .. what .. "' is none of fail, reject, map:FILE",
    }
  end
  local map, err = replacements.read(path)
  return map and { map = map }, err
end

-- The options of campaign.plan for a command line.
local function plan_options(given, platform, operation)
  local options = {
    source = given.file, to = given.to, encoding = given.encoding, delimiter = given.delimiter,
    rows_per_call = given.rows_per_call, rows_per_file = given.rows_per_file, concurrency = given.concurrency,
    window = given.window, overwrite = given.overwrite, accept_public_file = given.accept_public_file, job = given.job,
    unique = given.unique,
  }
  local err
  for option, name in pairs{ map = "--map", set = "--set", split = "--split", check = "--check" } do
    options[option], err = parameters.pairs(given[option], name)
    if not options[option] then
      return nil, err
    end
  end
  options.params, err = parameters.parse(given.param, operation.fields)
  if not options.params then
    return nil, err
  end
  options.account = target.account(platform, operation, options.params, given.account)
  options.on_unmappable, err = on_unmappable(given.on_unmappable)
  if not options.on_unmappable then
    return nil, err
  end
  return options
end

local SHOWN = {
  "state", "exit_code", "rows", "accepted", "accepted_pending", "rejected", "duplicate", "suppressed", "ambiguous", "pending",
  "causes", "batches", "requests", "retries", "bytes", "seconds", "taken_over", "job", "rejects_file", "duplicates_file", "ambiguous_file",
  "not_sent_file", "batches_file", "report_file",
}

local function json_reasons(reasons)
  local list = {}
  for index, reason in ipairs(reasons or {}) do
    list[index] = { state = reason.state, cause = reason.cause, column = reason.column, reason = reason.reason,
      code = reason.code, count = reason.count }
  end
  return core.json.array(list)
end

local function json_result(result)
  local shown = { reasons = json_reasons(result.reasons) }
  for _, name in ipairs(SHOWN) do
    shown[name] = result[name]
  end
  return shown
end

local PLANNED = { "rows", "rejected", "calls", "bytes", "encoding", "rows_per_batch", "closed_for" }

local function print_plan(given, job)
  local plan = job.plan
  if not given.json then
    io.stdout:write(given.file, " to ", given.to, ": ", summary.plan(plan), "\n  job: ", job.folder, "\n")
    return
  end
  local shown = { state = "planned", job = job.folder, reasons = json_reasons(plan.reasons), unused = core.json.array(plan.unused) }
  for _, name in ipairs(PLANNED) do
    shown[name] = plan[name]
  end
  output.json(shown)
end

-- Runs a planned job; Ctrl-C stops it gently, a second one at once.
local function run_job(job, watcher)
  core.console.watch()
  watcher.job = job
  local ok, result, err = pcall(job.run, job)
  core.console.unwatch()
  if not ok then
    error(result, 0)
  end
  return result, err
end

-- A second signal right behind the first is the same wish: process managers signal a process and then its group.
local function watch_signals(watcher)
  local count = watcher.job and core.console.caught() or 0
  if count == watcher.seen then
    return
  end
  local now = core.system.monotonic()
  watcher.seen = count
  if watcher.stopped_at and now - watcher.stopped_at < SAME_WISH then
    return
  end
  watcher.job:stop(watcher.stopped_at and "now" or nil)
  watcher.note(watcher.stopped_at and "stopping now"
    or "stopping: waiting for the answers that are under way; once more to stop at once")
  watcher.stopped_at = watcher.stopped_at or now
end

function M.run(given)
  local platform, operation = target.find(given.to)
  if not platform then
    return output.fail(operation, given)
  end
  local options, err = plan_options(given, platform, operation)
  if not options then
    return output.fail(err, given)
  end
  local show, finish = progress.new{
    terminal = core.console.is_terminal(2), width = core.console.width(), monotonic = core.system.monotonic,
    write = function(text) io.stderr:write(text) end,
  }
  local watcher = { seen = 0 }
  function watcher.note(text)
    if not given.json then
      finish()
      io.stderr:write("campaign: ", text, "\n")
    end
  end
  function options.on_progress(event)
    if not given.json then
      show(event)
    end
    watch_signals(watcher)
  end
  output.when_interrupted("interrupted while the list was checked; nothing was sent", "no", given)
  local job
  job, err = campaign.plan(options)
  if not job then
    finish()
    return output.fail(err, given)
  end
  if given.dry_run then
    finish()
    print_plan(given, job)
    return 0
  end
  local result
  result, err = run_job(job, watcher)
  finish()
  if not result then
    return output.fail(err, given)
  end
  if given.json then
    output.json(json_result(result))
  else
    io.stdout:write(given.file, " to ", given.to, ": ", summary.text(result), "\n")
  end
  if result.error then
    output.fail(result.error, { json = given.json, code = result.exit_code })
  end
  return watcher.seen > 0 and result.exit_code ~= 4 and result.exit_code ~= 8 and output.EXIT.interrupted or result.exit_code
end

return M

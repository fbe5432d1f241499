-- SPDX-License-Identifier: MIT
-- `campaign import FILE --to PLATFORM.OPERATION`: an import by the public API. cli/running.lua drives it.

local campaign = require "campaign"
local core = require "campaign.core"
local output = require "campaign.cli.output"
local parameters = require "campaign.cli.parameters"
local running = require "campaign.cli.running"
local shell_quote = require "campaign.shell_quote"
local summary = require "campaign.import.report.summary"
local target = require "campaign.cli.target"

local M = {}

-- Loads the map function from a script that was given instead of FIELD=COLUMN; nil if none was.
local function map_script(values)
  local path
  for _, value in ipairs(values or {}) do
    path = not value:find("=", 1, true) and value:find("%.lua$") and value or path
  end
  if not path then
    return nil
  elseif #values > 1 then
    return output.usage("--map " .. path .. ": a script cannot be combined with other --map options", "set the fields in the script")
  end
  local chunk, problem = loadfile(path)
  if not chunk then
    return output.usage("--map " .. path .. ": " .. tostring(problem))
  end
  local ok, map = xpcall(chunk, debug.traceback)
  if not ok or type(map) ~= "function" then
    return output.usage("--map " .. path .. ": " .. (ok and "the script returns a " .. type(map) .. ", not a function" or tostring(map)),
      "return function(row) ... end")
  end
  return map
end

-- The options of campaign.plan for a command line.
local function plan_options(given, platform, operation, run)
  local options = run.options{
    source = given.file, to = given.to, encoding = given.encoding, delimiter = given.delimiter, sheet = given.sheet,
    header_row = given.header_row,
    rows_per_call = given.rows_per_call, rows_per_file = given.rows_per_file, overwrite = given.overwrite,
    accept_public_file = given.accept_public_file, job = given.job, dry_run = given.dry_run, since = given.since, keys = given.keep_keys,
    unique = given.unique, suppress = given.suppress,
  }
  local err
  options.map, err = map_script(given.map)
  if err then
    return nil, err
  end
  for option, name in pairs{ map = not options.map and "--map" or nil, set = "--set", split = "--split", check = "--check" } do
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
  local unmappable
  unmappable, err = parameters.unmappable(given.on_unmappable, { "fail", "reject" })
  if not unmappable then
    return nil, err
  end
  options.on_unmappable = type(unmappable) == "table" and { map = unmappable } or unmappable
  return options
end

local PLANNED = { "rows", "sendable", "rejected", "duplicate", "suppressed", "unchanged", "calls", "bytes", "encoding", "rows_per_batch",
  "closed_for", "estimate", "ends", "zone", "asked" }

local PLANNED_LISTS = { "unused", "notes", "unmappable", "windows", "sample", "suppress", "fields" }

local function print_plan(given, job)
  local plan = job.plan
  if not given.json then
    output.say(given.file, " to ", given.to, ": ", summary.plan(plan), "\n",
      job.folder and "  job: " .. job.folder .. " (run it with: campaign resume " .. shell_quote(job.folder) .. ")\n"
        or "  nothing was left behind; --job DIR keeps lists of the rows that are left out\n")
    return
  end
  local shown = { state = "planned", job = job.folder, reasons = running.json_reasons(plan.reasons) }
  for _, name in ipairs(PLANNED) do
    shown[name] = plan[name]
  end
  for _, name in ipairs(PLANNED_LISTS) do
    shown[name] = core.json.array(plan[name] or {})
  end
  output.json(shown)
end

function M.run(given)
  local platform, operation = target.find(given.to)
  if not platform then
    return output.fail(operation, given)
  end
  local run = running.new(given)
  local options, err = plan_options(given, platform, operation, run)
  if not options then
    return output.fail(err, given)
  end
  output.when_interrupted("interrupted while the list was checked; nothing was sent", "no", given)
  local job
  job, err = campaign.plan(options)
  if not job then
    run.finish()
    return output.fail(err, given)
  end
  if given.dry_run then
    run.finish()
    print_plan(given, job)
    return 0
  end
  if given.progress == "auto" then
    run.note(summary.intent(job.plan) .. "; job " .. job.folder)
  end
  for _, note in ipairs(job.plan.notes) do
    run.note("note: " .. note)
  end
  local crossing = summary.crossing(job.plan)
  if crossing then
    run.note(crossing .. (given.window == "refuse" and ", and the import ends there (--window refuse)" or ""))
  end
  return run.run(job, job.run, given.file .. " to " .. given.to)
end

return M

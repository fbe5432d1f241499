-- SPDX-License-Identifier: MIT
-- The facts of report.html as plain data of bounded size, from the ledger, the record of the job in it, and the result if there is one. A job of ten
-- million rows yields as much data as one of a thousand. Nothing is recorded only for the page while an import sends.

local accounting = require "campaign.import.report.accounting"
local core = require "campaign.core"
local record_module = require "campaign.import.record"
local stored = require "campaign.import.stored"

local M = {}

-- Intervals of a run's chart; runs, the last ones, that have a chart; runs that are listed.
local MOST_SLOTS, MOST_CHARTS, MOST_RUNS = 60, 3, 50

-- Records that are processed between two pauses.
local AT_ONCE = 200

-- Lengths of an interval that are easy to read, in seconds.
local WIDTHS = { 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400 }

local function width_for(seconds)
  for _, width in ipairs(WIDTHS) do
    if seconds / width < MOST_SLOTS then
      return width
    end
  end
  return seconds / (MOST_SLOTS - 1)
end

-- The duration, in milliseconds, below which a share of the calls lie. `classes` are { ms, calls }.
local function percentile(classes, calls, share)
  local wanted, seen = math.ceil(calls * share), 0
  for _, class in ipairs(classes) do
    seen = seen + class[2]
    if seen >= wanted then
      return class[1]
    end
  end
end

local function add_percentiles(to, classes)
  table.sort(classes, function(left, right) return left[1] < right[1] end)
  local timed = 0
  for _, class in ipairs(classes) do
    timed = timed + class[2]
  end
  to.p50, to.p95, to.p99 = percentile(classes, timed, 0.5), percentile(classes, timed, 0.95), percentile(classes, timed, 0.99)
end

-- Adds to a run how it went, by intervals: `slots`, by number from 0; one without an ended call is nil.
local function add_course(ledger, run, pause)
  run.width = width_for(run.ended - run.began)
  local records, err = ledger:ask("course", run.owner, run.began, run.width)
  if not records then
    return nil, err
  end
  pause()
  run.slots, run.last = {}, math.floor((run.ended - run.began) / run.width)
  local all = {}
  for i, record in ipairs(records) do
    if i % AT_ONCE == 0 then
      pause()
    end
    local number = math.max(0, math.min(record.slot, run.last)) -- a clock that was set back
    local slot = run.slots[number]
    if not slot then
      slot = { calls = 0, repeats = 0, throttled = 0, unclear = 0, rows = 0, classes = {} }
      run.slots[number] = slot
    end
    for _, name in ipairs({ "calls", "repeats", "throttled", "unclear", "rows" }) do
      slot[name] = slot[name] + record[name]
    end
    if record.ms then
      slot.classes[#slot.classes + 1], all[#all + 1] = { record.ms, record.calls }, { record.ms, record.calls }
    end
  end
  for _, slot in pairs(run.slots) do
    add_percentiles(slot, slot.classes)
    slot.classes = nil
  end
  add_percentiles(run, all)
  return true
end

local function add_runs(facts, ledger, pause)
  local runs, err = ledger:ask("runs")
  if not runs then
    return nil, err
  end
  facts.calls, facts.repeats, facts.bytes = 0, 0, 0
  for _, run in ipairs(runs) do
    facts.calls, facts.repeats, facts.bytes = facts.calls + run.calls, facts.repeats + run.repeats, facts.bytes + run.bytes
  end
  facts.runs, facts.runs_before = {}, math.max(0, #runs - MOST_RUNS)
  for i = facts.runs_before + 1, #runs do
    local run = runs[i]
    run.number = i
    if i > #runs - MOST_CHARTS then
      pause()
      local ok
      ok, err = add_course(ledger, run, pause)
      if not ok then
        return nil, err
      end
    end
    facts.runs[#facts.runs + 1] = run
  end
  return true
end

-- Counts by state and reasons of the rejected rows: of the result, or where there is none of the ledger.
local function add_rows(facts, ledger, result)
  local progress, err = ledger:progress()
  if not progress then
    return nil, err
  end
  facts.planned = progress.sendable
  facts.possibly_duplicated = progress.possibly_duplicated
  facts.counts, facts.sum = {}, 0
  for _, state in ipairs(accounting.STATES) do
    facts.counts[state] = (result or progress.rows)[state]
    facts.sum = facts.sum + facts.counts[state]
  end
  local reasons = result and result.reasons
  if not reasons then
    reasons, err = ledger:ask("refused")
  end
  if not reasons then
    return nil, err
  end
  facts.reasons = {}
  local told = 0
  for _, reason in ipairs(reasons) do
    if reason.state == "rejected" then
      facts.reasons[#facts.reasons + 1], told = reason, told + reason.count
    end
  end
  facts.unexplained = facts.counts.rejected - told -- whole batches that were refused, or rarer reasons
  facts.doubtful, err = ledger:ask("doubtful")
  facts.doubts = progress.batches.U
  return facts.doubtful ~= nil or nil, err
end

-- The path of the file from which a job's list was made.
local function of_list(made)
  return made and made.list and made.list.path
end

---@param source table folder, ledger, result?, find (of a name like "longlong.import": platform and operation), handed_over? (path), pause?, now
---@return table? facts
---@return campaign.error? err
function M.gather(source)
  local ledger, result, pause = source.ledger, source.result, source.pause or function() end
  local put, err = ledger:job_get()
  local record
  if put then
    record, err = record_module.decode(put.record, source.folder.ledger)
  end
  if not record then
    return nil, err
  end
  local plan = record.plan
  local facts = {
    mapped = of_list(record.options.mapped) or of_list(record.options.workbook),
    folder = record_module.absolute(source.folder.path), files = {}, id = put.id, created = put.created, list = put.files[1], to = record.options.to,
    account = record.account, state = result and result.state or stored.state_of(put),
    rows = plan and plan.rows or result and result.rows or 0, batches = plan and plan.batches, notes = plan and plan.notes or {},
    suppress = plan and plan.suppress or {}, fingerprint = record.shape, retries = record.retries or 0, handed_over = source.handed_over,
    error = result and result.error, exit_code = result and result.exit_code, warnings = result and result.warnings or {},
    forgotten = result and result.forgotten, now = source.now, version = core.version,
  }
  local platform, operation = source.find(record.options.to)
  if platform then
    facts.can_probe = type(operation.probe) == "table"
    facts.awaits_callbacks = next(platform.callbacks) ~= nil and (operation.rows.result or {}).accepted == "pending"
  end
  pause()
  local ok
  ok, err = add_rows(facts, ledger, result)
  if ok then
    pause()
    ok, err = add_runs(facts, ledger, pause)
  end
  if not ok then
    return nil, err
  end
  for _, state in ipairs(accounting.STATES) do
    local key = accounting.FILES[state]
    local name = key and source.folder[key]:match("[^/]+$")
    facts.files[state] = name and core.system.stat(source.folder[key]) and name or nil
  end
  return facts
end

return M

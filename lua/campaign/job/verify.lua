-- SPDX-License-Identifier: MIT
-- campaign.verify: checks that list, ledger, reports and, if its log is available, the server agree on every row. Read-only; everything is
-- recomputed from the list's bytes. The parts are in reconcile, reports and server; docs/ledger.md explains the figures.

local buckets_module = require "campaign.job.buckets"
local core = require "campaign.core"
local error_object = require "campaign.error"
local family = require "campaign.import.family"
local faults = require "campaign.job.faults"
local findings = require "campaign.job.findings"
local handover = require "campaign.import.handover"
local opened_module = require "campaign.job.opened"
local reconcile = require "campaign.job.reconcile"
local reports = require "campaign.job.reports"
local server = require "campaign.job.server"
local timing = require "campaign.import.run.timing"

local M = {}

local STATES = require("campaign.import.report.accounting").STATES

local EXIT_OK, EXIT_STOPPED = 0, 8

---@class campaign.job.proof see docs/ledger.md
---@field ok boolean
---@field exit_code integer 0, or 8 if anything disagrees
---@field job string
---@field jobs table[] the job and its retries: job, state, rows, counts by state, reports (compared or not)
---@field rows integer rows of the list
---@field lost integer rows in no state
---@field ambiguous integer
---@field in_flight_at_fault integer the upper bound of rows in doubt
---@field unreported_duplicates integer? nil without a server log
---@field false_success integer? nil without a server log
---@field false_refusal integer? nil without a server log
---@field foreign integer? rows of the log that no job here sent
---@field committed integer? rows of the log that were examined
---@field mended integer rejected rows whose values were changed by hand
---@field faults { job: string, part: string, message: string, count: integer, examples: integer[] }[]

-- The current report, if the row files belong to it.
local function current_report(opened)
  if not core.system.stat(opened.folder.report) then
    return nil
  end
  return opened.folder:read("report")
end

-- Batches that the job may have had in flight, in any of its runs.
local function most_in_flight(opened)
  local _, most = timing.in_flight(opened.platform, opened.operation, opened.record.options)
  return math.max(most, opened.record.in_flight or 0)
end

-- One job: list against ledger against reports.
local function check_job(opened, found, buckets, out)
  local report, report_err = current_report(opened)
  if report_err then
    found:fault("reports", report_err.message)
  end
  local compared = report ~= nil and not report.forgotten
  local files = reports.new(buckets, opened.columns, report and report.unlisted)
  local counted = reconcile.walk(opened, found, function(number, state, batch, fields)
    if state and compared then
      reports.booked(files, number, state, batch, fields)
    end
  end)
  reconcile.compare_sums(opened, found, counted)
  if report then
    reports.compare_sums(found, report, counted)
  end
  if compared then
    for state, name in pairs(reports.FILES) do
      if opened.folder[name] then
        reports.read(files, found, state, opened.folder[name])
      end
    end
    out.mended = out.mended + reports.compare(files, found)
    reports.compare_attempts(files, found, opened.folder, opened.ledger)
    reports.compare_repeated(files, found, opened)
  end
  local late = counted.late
  local in_flight = faults.in_flight(opened.ledger, most_in_flight(opened), function(batch)
    return late[batch] ~= nil and (late[batch].recovered == true or late[batch].conflict == true)
  end)
  local ambiguous = counted.counts.ambiguous or 0
  if ambiguous > in_flight then
    found:fault("ledger", ("%d rows are ambiguous, but only %d were in flight when something went wrong"):format(ambiguous, in_flight))
  end
  out.lost, out.ambiguous, out.in_flight_at_fault = out.lost + counted.lost, out.ambiguous + ambiguous, out.in_flight_at_fault + in_flight
  local counts = {}
  for _, state in ipairs(STATES) do
    counts[state] = counted.counts[state] or 0
  end
  out.jobs[#out.jobs + 1] = { job = opened.path, state = opened.state, rows = counted.rows,
    counts = counts, reports = compared }
end

-- Adds the findings of a job to the result.
local function add_findings(found, out, job)
  for _, fault in ipairs(found.list) do
    out.faults[#out.faults + 1] = { job = job, part = fault.part, message = fault.message, count = fault.count,
      examples = core.json.array(fault.examples) }
  end
end

local function rows_of(opened)
  return opened.record.plan and opened.record.plan.rows or opened.file.bytes / 100
end

-- Compares the job and its retries together with the server's log: it may have rows of any of them.
local function check_server(jobs, from, out)
  local records = 0
  for _, opened in ipairs(jobs) do
    records = records + rows_of(opened)
  end
  local root = jobs[1]
  return buckets_module.with(root.path .. "/verify-server", records, function(buckets)
    local self, found = server.new(buckets, handover.read(root.path) ~= nil), findings.new()
    for _, opened in ipairs(jobs) do
      local ok, why = server.add_job(self, opened, found)
      if not ok then
        return error_object.refuse{ kind = "invalid",
          message = "job " .. opened.path .. ": its rows cannot be encoded again as they were sent: " .. why }
      end
    end
    local ok, err = server.read_log(self, root, from)
    if not ok then
      return nil, err
    end
    for name, value in pairs(server.compare(self, found, root.operation.rows.once)) do
      out[name] = value
    end
    out.committed = self.committed
    add_findings(found, out, root.path)
    return true
  end)
end

-- A retry whose list was removed by forget: only its ledger is left.
local function add_forgotten(opened, out)
  local progress, err = opened.ledger:progress()
  if not progress then
    return nil, err
  end
  local counts, rows = {}, 0
  for _, state in ipairs(STATES) do
    counts[state] = progress.rows[state] or 0
    rows = rows + counts[state]
  end
  out.jobs[#out.jobs + 1] = { job = opened.path, state = opened.state, rows = rows, counts = counts, reports = false, forgotten = true }
  return true
end

local function was_forgotten(opened)
  local report = current_report(opened)
  return report and report.forgotten and not core.system.stat(opened.file.path)
end

local function check_all(jobs, from)
  local out = { job = jobs[1].path, jobs = {}, lost = 0, ambiguous = 0, in_flight_at_fault = 0, mended = 0, faults = {} }
  for _, opened in ipairs(jobs) do
    local found = findings.new()
    local ok, err
    if opened.forgotten then
      ok, err = add_forgotten(opened, out)
    else
      ok, err = buckets_module.with(opened.path .. "/verify-rows", rows_of(opened), function(buckets)
        check_job(opened, found, buckets, out)
        return true
      end)
    end
    if not ok then
      return nil, err
    end
    add_findings(found, out, opened.path)
  end
  out.rows = out.jobs[1].rows
  if from then
    local ok, err = check_server(jobs, from, out)
    if not ok then
      return nil, err
    end
  end
  out.ok = #out.faults == 0
  out.exit_code = out.ok and EXIT_OK or EXIT_STOPPED
  return out
end

---Verifies a job: every row of its list is accounted for exactly once, the reports agree, and so does the server if its log is given.
---Sends nothing, except for queries to the sandbox.
---@param path string the job folder
---@param options { server_log: string?, sandbox: string?, after: integer?, transport: table? }? a log of commits, or the base URL of a sandbox;
---entries up to `after` are left out
---@return campaign.job.proof? proof
---@return campaign.error? err the job could not be verified
function M.verify(path, options)
  options = options or {}
  if options.server_log and options.sandbox then
    error("verify: either server_log or sandbox", 2)
  end
  local folders, transport, err = family.folders(path), options.transport, nil
  if options.sandbox and not transport then
    transport, err = require("campaign.transport").new()
    if not transport then
      return nil, err
    end
  end
  local from = (options.server_log or options.sandbox) and {
    server_log = options.server_log, sandbox = options.sandbox, after = options.after,
    transport = transport,
  }
  local jobs, out = {}, nil
  for i, folder in ipairs(folders) do
    local ok
    jobs[i], err = opened_module.open(folder)
    if jobs[i] then
      jobs[i].forgotten = i > 1 and was_forgotten(jobs[i])
      if not jobs[i].forgotten then
        ok, err = jobs[i]:open_list()
      elseif from then
        err = error_object.new{ kind = "invalid", retry = false, sent = "no", message = folder .. " was forgotten, and its list with it: "
          .. "nobody can say which of its rows the server should have", hint = "verify without the server's log" }
      else
        ok = true
      end
    end
    if not ok then
      break
    end
  end
  if not err then
    out, err = check_all(jobs, from)
  end
  for _, opened in ipairs(jobs) do
    opened:close()
  end
  if from and from.transport and not options.transport then
    from.transport:close()
  end
  return out, err
end

return M

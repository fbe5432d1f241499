-- SPDX-License-Identifier: MIT
-- A job in another process, or after its run: open_job, and the methods resume, resolve, probe, join, inspect and report. What works on the parts of
-- a job alone is in import/resume.lua.

local callback = require "campaign.callback"
local core = require "campaign.core"
local discard = require "campaign.discard"
local env_module = require "campaign.env"
local error_object = require "campaign.error"
local family = require "campaign.import.family"
local folder_module = require "campaign.import.folder"
local handover = require "campaign.import.handover"
local job_module = require "campaign.import.job"
local journal = require "campaign.import.run.journal"
local late_results = require "campaign.import.run.late_results"
local ledger_module = require "campaign.ledger"
local merged = require "campaign.merged"
local mixin = require "campaign.mixin"
local options = require "campaign.import.options"
local platforms = require "campaign.api.platform"
local planning = require "campaign.import.planning"
local prepare = require "campaign.import.plan.prepare"
local record_module = require "campaign.import.record"
local final_report = require "campaign.import.report.final_report"
local resume = require "campaign.import.resume"
local stored = require "campaign.import.stored"
local target = require "campaign.import.target"
local target_lock = require "campaign.import.run.target_lock"
local timing = require "campaign.import.run.timing"
local work = require "campaign.import.run.work"

local M = {}

local methods = {}

local function not_in_doubt(folder, first, last)
  return error_object.new{
    kind = "usage", retry = false,
    message = last and ("none of the batches %d to %d of %s is in doubt"):format(first, last, folder)
      or ("batch %d of %s is not in doubt"):format(first, folder),
    hint = "campaign status lists the batches that are",
  }
end

-- Opens a job's ledger and makes the job's state from its record.
local function reopen(job, given, level)
  local known = job_module.state_of(job)
  local checked = known.checked
  known.checked = nil
  local opened, err = stored.open(job.folder, { background = true, checked = checked })
  if not opened then
    return nil, err
  end
  local put, record, ledger = opened.put, opened.record, opened.ledger
  local ok, state
  ok, err = ledger:reserve(folder_module.RESERVE)
  if ok then
    ok, err = resume.same_file(put.files[1], record, ledger, (given.env or env_module.default()).pause)
  end
  if ok then
    state, err = planning.start(record_module.given(record.options, given), level + 1)
  end
  if not state then
    ledger:close()
    return nil, err
  end
  state.handover = record.handover
  state.id, state.ledger, state.folder, state.record, state.record_text = put.id, ledger, opened.folder, record, put.record
  return state, put.state
end

-- Settles the batches in doubt, or one of them, as far as the platform can be asked.
local function settle_doubt(state, batch)
  local settler = work.settler_of(state, function(seconds)
    job_module.progress(state, { phase = "waiting", wait_for = "probe", wait_until = state.options.env.now() + seconds }, true)
  end)
  if not settler then
    return {}
  end
  return settler:settle_all(batch)
end

-- Records, with the first commit of a run, if it may have more requests in flight than the plan allowed: `verify` computes the bound of rows in
-- doubt from it.
local function note_in_flight(state)
  local record, err = state.record, nil
  local _, most = timing.in_flight(state.platform, state.operation, state.options)
  local _, planned = timing.in_flight(state.platform, state.operation, record.options)
  if most > math.max(planned, record.in_flight or 0) then
    record.in_flight = most
    state.record_text, err = record_module.encode(record)
  end
  return state.record_text and true, err
end

local function restore(job, state, was)
  local ok, err = prepare.prepare(state)
  if not ok then
    return nil, err
  end
  planning.open_rows(state)
  if was == "planning" then -- the plan was not finished: nothing was sent
    for _, name in ipairs({ "rejects", "duplicates", "suppressed", "unchanged", "keys" }) do
      if ok then
        ok, err = discard.file(state.folder[name])
      end
    end
    if not ok then
      return folder_module.trouble(state.folder.path, err)
    end
    ok, err = state.ledger:forget_plan()
    state.record = nil
    if ok then
      job.plan, err = planning.check_rows(state)
    end
    return job.plan ~= nil or nil, err
  end
  ok, err = resume.same_target(state.record, nil, state.shape)
  if not ok then
    return nil, err
  end
  ok, err = target_lock.hold(state, job_module.progress)
  if ok then
    ok, err = state.folder:withdraw_report()
  end
  if ok and not state.stop then
    ok, err = settle_doubt(state)
  end
  if ok then
    ok, err = note_in_flight(state)
  end
  if not ok then
    return nil, err
  end
  state.journal = journal.new(state.folder, state.ledger, state.options.env.monotonic, state.options.env.pause ~= nil,
    state.batch_rows)
  ok, err = resume.restore(state)
  if not ok then
    return nil, err
  end
  job.plan = state.record.plan
  if state.operation.rows.concurrency == 1 or state.options.overwrite then
    state.hold, err = resume.hold(state.ledger, state.operation.rows.all_or_nothing and state.options.bisect ~= 0)
  end
  return not err or nil, err
end

-- Refuses to send rows that were handed over to a later import.
local function may_send(state)
  local mark, err = handover.read(family.root(state.folder.path))
  if not mark and not err then
    return true
  end
  local progress
  progress, err = state.ledger:progress()
  if not progress or progress.batches.P == 0 then
    return progress ~= nil or nil, err
  end
  return handover.may_send(state.folder.path, ("%d rows that were not sent"):format(progress.rows.pending))
end

---Continues a job: runs a planned one, finishes an interrupted or stopped one, returns the result of a finished one. Batches in doubt are asked
---about where the platform can tell; otherwise they stay in doubt.
---@param given campaign.run.options? what differs in this process
---@return campaign.import.result? result
---@return campaign.error? err
function methods:resume(given)
  local old = job_module.state_of(self)
  options.check(given or {}, "resume", 2)
  if old.state == "planned" and old.encoder then
    return self:run()
  elseif old.state == "running" and old.encoder then
    error("this job is running", 2)
  end
  if self.result and self.result.state == "finished" and core.system.stat(old.folder.report) then
    return self.result
  end
  local state, was = reopen(self, merged(old.given, given), 2)
  if not state then
    return nil, was
  end
  job_module.set_state(self, state) -- from here on it can be stopped
  local ok, err = may_send(state)
  if ok then
    ok, err = restore(self, state, was)
  end
  if not ok then
    if state.rows then
      state.rows:close()
    end
    job_module.close_all(state)
    job_module.set_state(self, old)
    return nil, err
  end
  self.result = nil
  local result
  result, err = self:run()
  if not result and state.state == "planned" then -- it was not started: release everything, so that `resume` can be called again
    job_module.close_all(state)
    job_module.set_state(self, old)
  end
  return result, err
end

-- Raises errors of the ledger.
local function in_doubt(ledger, first, last)
  local numbers = {}
  for batch in ledger:scan("batches") do
    if batch.state == "U" and batch.index >= first and batch.index <= last then
      numbers[#numbers + 1] = batch.index
    end
  end
  return numbers
end

-- Returns how many of the batches were in doubt.
local function record_outcome(ledger, numbers, as, detail)
  local count = 0
  for _, number in ipairs(numbers) do
    local changed, err = ledger:resolve(number, as, "operator", detail)
    if changed == nil then
      return nil, err
    end
    count = count + (changed and 1 or 0)
  end
  return count
end

---Records the outcome of batches in doubt, as found out by the user. The report is made again when the job is resumed.
---@param first integer number of the batch
---@param as "applied"|"not-applied"|"resend"
---@param detail string? who found out, and how
---@param last integer? every batch in doubt from `first` to this one, instead of `first` alone
---@return integer? count of batches whose outcome was recorded, at least 1
---@return campaign.error? err none of them is in doubt, or the ledger cannot be used
function methods:resolve(first, as, detail, last)
  local folder, err = folder_module.open(self.folder)
  if not folder then
    return nil, err
  end
  local ledger
  ledger, err = ledger_module.open(folder.ledger)
  if not ledger then
    return nil, err
  end
  local fine, numbers = true, { first }
  if last then
    fine, numbers = pcall(in_doubt, ledger, first, last)
  end
  if not fine then
    ledger:close()
    return nil, numbers
  end
  local told, count
  told, err = folder:withdraw_report()
  if told then
    count, err = record_outcome(ledger, numbers, as, detail)
  end
  if count == 0 then
    folder:restore_report(told)
    count, err = nil, not_in_doubt(self.folder, first, last)
  end
  ledger:close()
  if not count then
    return nil, err
  end
  self.result = nil
  return count
end

-- Opens the job so that its rows can be read, calls `ready`, which may refuse while the reports are still there, then `question` with what
-- `ready` returned, and closes the job. If something was found, the report is made again by `resume`.
local function ask(job, given, ready, question)
  local state, was = reopen(job, merged(job_module.state_of(job).given, given), 3)
  if not state then
    return nil, was
  end
  local ok, err = prepare.prepare(state)
  if ok then
    ok, err = resume.same_target(state.record, nil, state.shape)
  end
  local means, told, found
  if ok then
    means, err = ready(state)
  end
  if means then
    told, err = state.folder:withdraw_report()
  end
  if told then
    found, err = question(state, means)
  end
  if found and #found == 0 then
    state.folder:restore_report(told)
  elseif found then
    job.result = nil
  end
  job_module.close_all(state)
  return found, err
end

---Asks the platform about the batches in doubt, where its data says how. Sends no rows; the report is made again by `resume`.
---@param batch integer? only this one
---@param given table? as for `resume`
---@return table[]? found batch, as ("applied", "again"; nil: still in doubt), detail
---@return campaign.error? err
function methods:probe(batch, given)
  local found, err = ask(self, given, function(state)
    return target_lock.hold(state, job_module.progress, false)
  end, function(state)
    return settle_doubt(state, batch)
  end)
  if not found or not batch or found[1] then
    return found, err
  end
  local told = self:inspect()
  for _, doubt in ipairs(told and told.doubtful or {}) do
    if doubt.batch == batch then
      return found -- it is, and the platform cannot be asked about it
    end
  end
  return nil, not_in_doubt(self.folder, batch)
end

---Joins the results that a callback receiver kept to the batches they belong to. Sends nothing; the report is made again by `resume`.
---@param store string the receiver's folder
---@param given table? as for `resume`
---@return table[]? joined batch, as ("confirmed", "conflict"; nil: nothing follows), detail, rejected
---@return campaign.error? err
function methods:join(store, given)
  if type(store) ~= "string" then
    error("job:join takes the folder of a receiver's store, not a " .. type(store), 2)
  end
  return ask(self, given, function(state)
    return callback.reader{ platform = platforms.split(state.options.to), store = store }
  end, function(state, reader)
    return late_results.join{
      id = state.id, ledger = state.ledger, input = state.input, encoder = state.encoder, operation = state.operation,
      reader = reader, join = callback.join,
    }
  end)
end

-- The state of a job, without its counts, and the stamp of its ledger (nil while a process works on the job).
local function glance(folder)
  local ledger, err = ledger_module.open(folder.ledger)
  if not ledger then
    return err.reason == "locked" and "running" or nil, nil, err
  end
  local job
  job, err = ledger:job_get()
  local stamp = ledger:close()
  if not job then
    return nil, nil, err or stored.no_job(folder)
  end
  return stored.state_of(job), stamp
end

---Reads the ledger: `job`, `state`, and from the ledger's own counts `rows` (by state), `total`, `batches` (by the ledger's letters), `sendable`,
---`attempts`, `open`, `bytes`, `possibly_duplicated` (rows), `doubtful` (batches, at most 1,000), `retries`. See docs/cli.md, "status".
---@return table? found while another process works on the job only `job` and `state` ("running")
---@return campaign.error? err
function methods:inspect()
  local folder, open_err = folder_module.open(self.folder)
  if not folder then
    return nil, open_err
  end
  local ledger, err = ledger_module.open(folder.ledger)
  if not ledger then
    if err.reason == "locked" then
      return { job = self.folder, state = "running" }
    end
    return nil, err
  end
  local found, job
  job, err = ledger:job_get()
  if job then
    found, err = ledger:progress()
  elseif not err then
    err = stored.no_job(folder)
  end
  if found then
    local record = record_module.decode(job.record)
    found.job, found.state = self.folder, stored.state_of(job)
    local mark = handover.read(family.root(self.folder))
    found.handed_over = mark and mark.to
    local platform, operation = target.find(record and record.options.to or "")
    if platform then
      found.can_probe = type(operation.probe) == "table"
      found.awaits_callbacks = next(platform.callbacks) ~= nil and (operation.rows.result or {}).accepted == "pending"
    end
    found.doubtful, found.total, found.retries = {}, 0, record and record.retries or 0
    for _, count in pairs(found.rows) do
      found.total = found.total + count
    end
    for batch in ledger:scan("told") do
      if batch.state == "U" and #found.doubtful < 1000 then
        local last = assert(ledger:ask("last_of", batch.index))[1]
        found.doubtful[#found.doubtful + 1] = { batch = batch.index, first_row = batch.first_row, rows = batch.accepted,
          attempt = last and last.number, cause = last and last.cause, status = last and last.status, began = last and last.began }
      end
    end
  end
  ledger:close()
  return found, err
end

---Makes report.html from the ledger and, if it exists, report.json of the last run. Sends nothing.
---@param given { lang: "en"|"zh"|nil, output: string? }? output: another path than report.html in the job folder
---@return string? path
---@return campaign.error? err also while a process works on the job: its report is made at the end
function methods:report(given)
  given = given or {}
  if given.lang and given.lang ~= "en" and given.lang ~= "zh" then
    error("job:report: `lang` is \"en\" or \"zh\", not " .. tostring(given.lang), 2)
  elseif given.output and type(given.output) ~= "string" then
    error("job:report: `output` is a path, not a " .. type(given.output), 2)
  end
  local folder, open_err = folder_module.open(self.folder)
  if not folder then
    return nil, open_err
  end
  local ledger, err = ledger_module.open(folder.ledger)
  if not ledger then
    return nil, err
  end
  local env = (job_module.state_of(self).given or {}).env or env_module.default()
  local plain = core.system.stat(folder.report) and folder:read("report") or nil
  local mark = handover.read(family.root(self.folder))
  local path
  path, err = require("campaign.import.report.page_file").write({ folder = folder, ledger = ledger, find = target.find,
    result = plain and final_report.restore(plain, self.folder), now = env.now(), pause = env.pause, handed_over = mark and mark.to }, given)
  ledger:close()
  return path, err
end

---Opens the job of an earlier run. `resume` continues it.
---@param path string the job folder
---@param given table? what `resume` takes
---@return campaign.job? job
---@return campaign.error? err
function M.open_job(path, given)
  if type(path) ~= "string" then
    error("open_job: the folder must be a string, not a " .. type(path), 0)
  end
  options.check(given or {}, "open_job", 2)
  local folder, found = folder_module.open(path)
  if not folder then
    return nil, found
  end
  local state = { state = "interrupted", folder = folder, given = given }
  local job = job_module.new({ folder = path }, state)
  local plain = core.system.stat(folder.report) and folder:read("report") or nil -- a damaged one is ignored: the ledger has it all
  job.result = plain and final_report.restore(plain, path)
  if job.result then
    state.state = plain.state
    return job
  end
  local err
  state.state, state.checked, err = glance(folder)
  if not state.state then
    return nil, err
  end
  return job
end

mixin(job_module.methods, methods)

return M

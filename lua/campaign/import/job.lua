-- SPDX-License-Identifier: MIT
-- The job of an import: keeps its state, runs it once it is planned (import/planning.lua), and accounts for its rows at the end. The parts of a
-- run are documented in their own files, the user interface in docs/import.md.

local engine = require "campaign.import.run.engine"
local events = require "campaign.import.run.events"
local handover = require "campaign.import.handover"
local journal = require "campaign.import.run.journal"
local merged = require "campaign.merged"
local repeats = require "campaign.import.report.repeats"
local final_report = require "campaign.import.report.final_report"
local row_keys = require "campaign.import.plan.row_keys"
local suppress = require "campaign.import.plan.suppress"
local target_lock = require "campaign.import.run.target_lock"
local work = require "campaign.import.run.work"

-- Seconds between two progress events.
local PROGRESS_EVERY = 0.1

---@class campaign.job
---@field plan table counts of the preflight
---@field folder string the job folder
---@field result table? once it has run
local methods = {}
local mt = { __index = methods, __name = "campaign.job" }
local M = { methods = methods }

-- A job's working state: not in its fields, so that printing a job does not print an account.
local inner = setmetatable({}, { __mode = "k" })

---A job with this state.
---@param fields table of the job
---@param state table
---@return campaign.job job
function M.new(fields, state)
  local job = setmetatable(fields, mt)
  inner[job] = state
  return job
end

---@param job campaign.job
---@return table state
function M.state_of(job)
  return inner[job]
end

---@param job campaign.job
---@param state table from now on
function M.set_state(job, state)
  inner[job] = state
end

function mt.__tostring(job)
  return "campaign.job " .. tostring(job.folder) .. " (" .. inner[job].state .. ")"
end

---Reports progress to the caller, at most ten times a second.
---@param state table
---@param event campaign.import.event
---@param force boolean? for the last event of a phase: it is always reported
function M.progress(state, event, force)
  local now = state.options.env.monotonic()
  event.seconds = now - state.began
  state.event = event
  if state.options.on_progress and (force or now >= state.next_progress) then
    state.next_progress = now + PROGRESS_EVERY
    local ok, problem = pcall(state.options.on_progress, event)
    if not ok then
      -- An error in the caller's function must not leave requests in flight without a record: stop in order, raise at the end.
      local leaves = type(problem) == "table" and problem.leaves -- nginx: another worker continues the job
      state.stop, state.problem = state.stop or leaves and "leave" or "stop", state.problem or problem
    end
  end
end

-- Turns a result into a failed one because it could not be recorded; the first error of a job counts.
local function fail(result, err)
  if not result.error then
    result.error, result.exit_code, result.ok, result.state = err, 8, false, "stopped"
  end
end

-- Checks the accounting of a job that has ended, and records and returns its result.
local function conclude(state, name, err)
  local closed, close_err = state.rows:close()
  if not closed then
    err = close_err
  end
  local books, balanced, balance_err = state.books, true, nil
  local unlisted = state.stop == "leave" and math.max(0, books.rows - books:sum()) or 0 -- not sent, as the ledger knows
  if name ~= "planned" then
    balanced, balance_err = books:balance(state.rows:lines(), unlisted)
  end
  if not balanced then
    err = err and err.kind == "ledger" and err or balance_err -- a record that could not be written explains the rest
  end
  local repeated = 0
  if name ~= "planned" then
    local repeats_err
    repeated, repeats_err = repeats.write(state)
    err = err or repeats_err
  end
  local run = state.engine or { batches = 0, requests = 0, retries = 0, bytes = 0 }
  local result = final_report.result{
    possibly_duplicated = repeated, warnings = state.warnings,
    state = name == "finished" and err and "stopped" or name, error = err, books = books, folder = state.folder, rows = state.rows,
    batches = run.batches, requests = run.requests, retries = run.retries, bytes = run.bytes,
    seconds = state.options.env.monotonic() - state.began,
  }
  result.pending = result.pending + unlisted
  result.unlisted = unlisted > 0 and unlisted or nil
  if err and err.kind == "ledger" and name ~= "planned" and unlisted == 0 then
    -- If the ledger fails, what was never leased is not listed, but it is known not to have been sent.
    result.pending = result.pending + math.max(0, books.rows - books:sum())
  end
  if name ~= "planned" then
    local put, put_err = state.ledger:job_put{ id = state.id, state = result.state, record = state.record_text }
    if not put then
      fail(result, put_err)
    end
  end
  local written, write_err = state.folder:write("report", final_report.plain(result))
  if not written then
    fail(result, write_err)
  end
  state.state, state.result = result.state, result
  return result
end

---Releases everything that a job holds. May be called twice.
---@param state table
function M.close_all(state)
  if state.rows and state.state == "planned" then
    state.rows:close()
  end
  for _, name in ipairs({ "encoder", "input", "rewrite", "sheet", "ledger" }) do
    if state[name] then
      state[name]:close()
      state[name] = nil
    end
  end
  if state.owns_transport and state.options then
    state.options.transport:close()
    state.owns_transport = false
  end
  if state.pace then
    state.pace:close()
  end
  if state.fast_path then
    state.fast_path:close()
    state.fast_path = nil
  end
  if state.client then
    state.client:clock():warn(nil)
  end
  if state.watched then
    state.watched.is_over = true
  end
  if state.target_lock then
    state.target_lock:close()
    state.target_lock = nil
  end
  if state.syncing then -- a thread still has the file
    state.syncing()
    state.syncing = nil
  end
  suppress.close(state.suppress)
  row_keys.close(state.keys)
  state.suppress, state.keys = nil, nil
end

---Raises what on_progress raised, once the job is in order.
---@param state table
function M.raise_problem(state)
  if state.problem ~= nil then
    error(state.problem, 0)
  end
end

---The result of a dry run, which ends with its plan.
---@param job campaign.job
---@return campaign.import.result result
function M.end_dry(job)
  local state = inner[job]
  local result = conclude(state, "planned")
  M.close_all(state)
  return result
end

---Sends what was planned. A job runs once.
---@return campaign.import.result? result
---@return campaign.error? err
function methods:run()
  local state = inner[self]
  if state.state ~= "planned" or not state.encoder then
    error("this job cannot be run: it is " .. state.state, 2)
  elseif not state.folder.path then
    error("this job cannot be run: it is a dry run without a folder", 2)
  end
  if state.options.window == "refuse" and state.window:opens() then
    return state.window:refuse()
  end
  local wrong = state.window.closed and state.client:clock():refusal(state.operation)
  if wrong then
    return nil, wrong
  end
  state.state, state.plan = "running", self.plan -- not the job itself: it is the key by which the state is found
  local held, held_err = true, nil
  if not state.hold then
    held, held_err = handover.begin(state, self.plan.sendable + state.books.counts.rejected)
    if held then
      held, held_err = target_lock.begin(state, M.progress)
    end
  end
  if not held then
    state.state = "planned"
    return nil, held_err
  end
  local put, put_err = state.ledger:job_put{ id = state.id, state = "running", record = state.record_text }
  if not put then
    state.state = "planned"
    M.close_all(state)
    return nil, put_err
  end
  local book = state.journal or journal.new(state.folder, state.ledger, state.options.env.monotonic, state.options.env.pause ~= nil,
    state.batch_rows)
  state.engine = engine.new(work.of(state, book, M.progress))
  if state.hold then
    state.engine:_stop(state.hold)
  end
  local err = state.engine:run()
  state.pace:warn(state.warn)
  local closed, close_err = book:close()
  if not closed and not err then
    err = close_err
  end
  self.result = conclude(state, err and "stopped" or "finished", err)
  M.close_all(state)
  M.progress(state, { phase = "finished", rows = self.result.rows, total_rows = self.result.rows, bytes = self.result.bytes,
    total_bytes = self.plan.bytes, batches = self.result.batches, total_batches = self.plan.batches, in_flight = 0,
    accepted = self.result.taken_over, rejected = self.result.rejected, ambiguous = self.result.ambiguous }, true)
  M.raise_problem(state)
  return self.result
end

---Where the job is.
---@return table status state, and the fields of a progress event
function methods:status()
  local state = inner[self]
  local event = state.state == "running" and state.engine and events.progress(state, state.engine) or state.event
  return merged(event, { state = state.state })
end

---Releases the file and the connections of a job that will not be run (any more). May be called twice.
function methods:close()
  local state = inner[self]
  if state.state == "running" then
    error("this job is running: stop it first", 2)
  end
  M.close_all(state)
end

---Ends the run: requests in flight are waited for, or with "now" abandoned as ambiguous. Returns at once; `run` returns soon after.
---@param how "now"?
function methods:stop(how)
  local state = inner[self]
  state.stop = how == "now" and "now" or state.stop or "stop"
end

return M

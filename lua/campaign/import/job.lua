-- SPDX-License-Identifier: MIT
-- The job of an import: combines the parts of an import, in the order in which they work, and keeps the job's state. Each part is documented
-- in its own file, the user interface in docs/import.md.

local accounting = require "campaign.import.report.accounting"
local core = require "campaign.core"
local dry = require "campaign.import.plan.dry"
local engine = require "campaign.import.run.engine"
local events = require "campaign.import.run.events"
local folder_module = require "campaign.import.folder"
local handover = require "campaign.import.handover"
local journal = require "campaign.import.run.journal"
local later = require "campaign.later"
local ledger_module = require "campaign.ledger"
local notes = require "campaign.import.plan.notes"
local options_module = require "campaign.import.options"
local preflight = require "campaign.import.plan.preflight"
local prepare = require "campaign.import.plan.prepare"
local preview = require "campaign.import.plan.preview"
local record_module = require "campaign.import.record"
local repeats = require "campaign.import.report.repeats"
local final_report = require "campaign.import.report.final_report"
local row_keys = require "campaign.import.plan.row_keys"
local rows_module = require "campaign.import.report.rows"
local suppress = require "campaign.import.plan.suppress"
local target = require "campaign.import.target"
local target_lock = require "campaign.import.run.target_lock"
local window_module = require "campaign.import.plan.window"
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

-- Reports progress to the caller, rate limited; `force` for the last event of a phase.
function M.progress(state, event, force)
  local now = state.options.env.monotonic()
  event.seconds = now - state.began
  state.event = event
  if state.options.on_progress and (force or now >= state.next_progress) then
    state.next_progress = now + PROGRESS_EVERY
    local ok, problem = pcall(state.options.on_progress, event)
    if not ok then
      -- An error in the caller's function must not leave requests in flight without a record: stop in order, raise at the end.
      local leaves = type(problem) == "table" and problem.leaves -- another process continues the job: nobody reads what was not sent
      state.stop, state.problem = state.stop or leaves and "leave" or "stop", state.problem or problem
    end
  end
end

-- The result of a job whose rows are accounted for, checked once more, and recorded.
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
    if not put and not result.error then
      result.error, result.exit_code, result.ok, result.state = put_err, 8, false, "stopped"
    end
  end
  local written, write_err = state.folder:write("report", final_report.plain(result))
  if not written and not result.error then
    result.error, result.exit_code, result.ok, result.state = write_err, 8, false, "stopped"
  end
  state.state, state.result = result.state, result
  return result
end

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

-- The job as recorded in the ledger.
local function put_job(state, name, plan)
  local options, info = state.options, state.input:info()
  local record = {
    options = record_module.options(options), platform = state.platform.name, operation = state.operation.name,
    account = state.client.account.name, identity = state.identity, shape = state.shape, plan = plan, sizes = plan and plan.sizes,
    sums = plan and plan.sums, target_columns = state.target_columns and core.json.array(state.target_columns),
    listed = {}, handover = state.handover or nil,
  }
  for _, listed in ipairs(accounting.LISTED) do
    record.listed[listed] = state.books.counts[listed]
  end
  local text, err = record_module.encode(record)
  if not text then
    return nil, err
  end
  state.record_text = text
  return state.ledger:job_put({ id = state.id, state = name, record = text }, {
    { number = 1, path = record.options.source, bytes = info.bytes, mtime = info.mtime, encoding = info.encoding,
      delimiter = info.delimiter or "" },
  })
end

function M.open_rows(state)
  state.rows = rows_module.new{
    input = state.input, encoder = state.encoder, operation = state.operation, folder = state.folder, books = state.books,
    columns = state.columns, ledger = state.ledger, pause = state.options.env.pause,
  }
end

-- Folder, ledger and row files of a new job.
local function make_folder(state)
  local options = state.options
  local err
  if options.dry_run and not options.job then
    state.folder, state.ledger = dry.folder(), dry.ledger()
    M.open_rows(state)
    return true
  end
  local ok
  if state.folder then -- a list that was made for the job has one already
    ok, err = state.folder:is_free()
  else
    state.folder, err = folder_module.of_job(options, state.platform, state.operation)
    ok = state.folder
  end
  if not ok then
    return nil, err
  end
  ok, err = state.folder:write("job", prepare.job_json(state))
  if not ok then
    return nil, err
  end
  state.ledger, err = ledger_module.open(state.folder.ledger, { create = true, now = options.env.now, background = true })
  if not state.ledger then
    return nil, err
  end
  ok, err = state.ledger:reserve(folder_module.RESERVE)
  if ok and state.rewrite then
    ok, err = require("campaign.import.plan.map_function").place(state)
  elseif ok and state.sheet then
    ok, err = require("campaign.import.plan.sheet_list").place(state)
  end
  if not ok then
    return nil, err
  end
  M.open_rows(state)
  return true
end

-- What a later import needs to recognize the rows is stored in a file of the folder.
local function create_keys(state)
  local keys = state.keys
  if not (keys and state.folder.keys) then
    return true
  end
  local err
  keys.file, err = row_keys.create(state.folder.keys, keys.secret)
  return keys.file ~= nil or nil, err
end

local function close_keys(state, plan)
  local keys = state.keys
  if keys and keys.file then
    plan.keys = { checksum = keys.file.checksum, content = keys.content }
    local ok, err = keys.file:close()
    keys.file = nil
    if not ok then
      return nil, err
    end
  end
  row_keys.close(keys)
  state.keys = nil
  return true
end

-- Details of a plan for the user, which the ledger does not need.
local function tell_plan(state, plan, first_batch)
  plan.sizes, plan.sums = nil, nil
  for _, name in ipairs({ "rejected", "duplicate", "suppressed", "unchanged" }) do
    plan[name] = state.books.counts[name]
  end
  plan.calls, plan.reasons = plan.batches, state.books:reasons()
  plan.columns, plan.fields, plan.unused = state.columns, state.mapping.uses, state.mapping.unused
  plan.encoding, plan.rows_per_batch = state.input:info().encoding, state.batch_rows
  plan.closed_for = state.window:wait()
  preview.add(plan, {
    platform = state.platform, operation = state.operation, account = state.client.account, options = state.options, input = state.input,
    mapping = state.mapping, columns = state.columns, first_batch = first_batch, call_seconds = state.call_seconds,
  })
  events.foresee(state, plan)
end

-- Row accounting and the pass over the file.
function M.check_rows(state)
  local ok, err = put_job(state, "planning")
  if ok then
    ok, err = create_keys(state)
  end
  if not ok then
    return nil, err
  end
  local plan
  plan, err = preflight.run{
    input = state.input, encoder = state.encoder, batch_rows = state.batch_rows, is_file = state.operation.rows.shape == "csv",
    unique = state.mapping.unique, marker = state.mapping.marker, suppress = state.suppress, keys = state.keys or nil, ledger = state.ledger,
    folder = state.folder, rows = state.rows, books = state.books, on_unmappable = state.options.on_unmappable,
    progress = function(event) M.progress(state, event) end,
    stopped = function() return state.stop end, pause = state.options.env.pause,
  }
  ok = plan
  if plan then
    ok, err = close_keys(state, plan)
  end
  if not ok then
    state.rows:close()
    return nil, err
  end
  state.passed = true
  plan.suppress = suppress.facts(state.suppress)
  suppress.close(state.suppress)
  state.suppress = nil -- what is left is in the plan
  local first_batch = plan.first_batch
  plan.first_batch = nil
  if state.syncing then
    ok, err = require("campaign.import.plan.kept_list").settle(state)
  end
  if ok then
    plan.notes = notes.of(state.input, state.mapping, state.columns, state.options.workbook)
    ok, err = put_job(state, "planned", plan)
  end
  if not ok then
    return nil, err
  end
  tell_plan(state, plan, first_batch)
  return plan
end

function M.start(given, level)
  later.load_all() -- what is in flight must not depend on files that can be opened
  local options, err = options_module.read(given, level + 1)
  if not options then
    return nil, err
  end
  if options.env.check then
    options.env.check(level + 1)
  end
  local platform, operation = target.find(options.to)
  if not platform then
    return nil, operation
  end
  local state = {
    given = { account = given.account, env = given.env, transport = given.transport, on_progress = given.on_progress,
      open_store = given.open_store },
    options = options, platform = platform, operation = operation, books = accounting.new(), state = "planned",
    began = options.env.monotonic(), next_progress = 0, owns_transport = options.transport == nil,
  }
  state.window = window_module.new{
    platform = platform, operation = operation, mode = options.window, random = options.env.random,
    now = function() return state.client and state.client:clock():now() or options.env.now() end,
  }
  local known = setmetatable({ state = state }, { __mode = "v" }) -- the client's clock holds the function, and this state holds the client, which leads
  state.warn = function(text) -- to its clock: an aborted job would never be collected
    if known.state then
      events.warn(known.state, M.progress, text)
    end
  end
  state.tell = function(event_of) -- of what comes before the preflight
    if options.on_progress and options.env.monotonic() >= state.next_progress then
      M.progress(state, event_of())
    end
  end
  if not options.transport then
    local transports = require "campaign.transport"
    if options.dry_run and not options.job then -- it may query the columns of the target, and no more
      options.transport = transports.late()
    else
      options.transport, err = transports.new()
      if not options.transport then
        return nil, err
      end
    end
  end
  state.watched = options.env.watch and options.env.watch()
  return state
end

-- Where others share the thread they get a turn between the steps of the start.
local function pause(state)
  if state.options.env.pause then
    state.options.env.pause()
  end
end

-- What on_progress raised, once the job is in order.
local function raise_problem(state)
  if state.problem ~= nil then
    error(state.problem, 0)
  end
end

---Reads and checks the list of a new job, and plans its batches.
---@param given campaign.import.options
---@param level integer of the caller whose fault wrong options are
---@return campaign.job? job
---@return campaign.error? err
function M.plan(given, level)
  local state, err = M.start(given, level + 1)
  if not state then
    return nil, err
  end
  local job = M.new({}, state)
  local ok
  pause(state)
  ok, err = prepare.prepare(state)
  if ok then
    pause(state)
    ok, err = make_folder(state)
  end
  if ok then
    pause(state)
    job.plan, err = M.check_rows(state)
  end
  if not job.plan then
    -- An unreadable list leaves nothing behind; unmappable characters are listed in the folder.
    local is_abandoned = ok and state.folder.path and err.kind == "invalid" and err.reason ~= "unmappable"
    if is_abandoned then
      state.folder:abandon()
    end
    M.close_all(state)
    if state.folder and state.folder.path then
      state.folder:leave()
    end
    raise_problem(state)
    return nil, err
  end
  job.folder = state.folder.path
  return job
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
  local book = state.journal or journal.new(state.folder, state.ledger, state.options.env.monotonic, state.options.env.pause ~= nil)
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
  raise_problem(state)
  return self.result
end

---Where the job is.
---@return table status state, and the fields of a progress event
function methods:status()
  local state = inner[self]
  local status = {}
  local event = state.state == "running" and state.engine and events.progress(state, state.engine) or state.event or {}
  for key, value in pairs(event) do
    status[key] = value
  end
  status.state = state.state
  return status
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

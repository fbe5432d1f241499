-- SPDX-License-Identifier: MIT
-- Plans a job: puts its state together, makes its folder and ledger, and passes over the list. A job that is continued in another process, or
-- whose ledger is rebuilt, takes the same steps. Nothing is sent; what runs a planned job is in import/job.lua.

local accounting = require "campaign.import.report.accounting"
local core = require "campaign.core"
local dry = require "campaign.import.plan.dry"
local events = require "campaign.import.run.events"
local folder_module = require "campaign.import.folder"
local job_module = require "campaign.import.job"
local later = require "campaign.later"
local ledger_module = require "campaign.ledger"
local notes = require "campaign.import.plan.notes"
local options_module = require "campaign.import.options"
local preflight = require "campaign.import.plan.preflight"
local prepare = require "campaign.import.plan.prepare"
local preview = require "campaign.import.plan.preview"
local record_module = require "campaign.import.record"
local row_keys = require "campaign.import.plan.row_keys"
local rows_module = require "campaign.import.report.rows"
local suppress = require "campaign.import.plan.suppress"
local target = require "campaign.import.target"
local window_module = require "campaign.import.plan.window"

local M = {}

-- What to do when the plan could not be recorded: nothing of it can be resumed.
local AGAIN = { full = "make room, then import the list again", io = "look at the disk, then import the list again" }

-- Records the job in the ledger.
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

---Opens the row files of a job.
---@param state table gets `rows`
function M.open_rows(state)
  state.rows = rows_module.new{
    input = state.input, encoder = state.encoder, operation = state.operation, folder = state.folder, books = state.books,
    columns = state.columns, ledger = state.ledger, pause = state.options.env.pause,
  }
end

-- Makes folder, ledger and row files of a new job.
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
  -- Before job.json: a folder that has one and no ledger has lost it, and with it what was sent.
  state.ledger, err = ledger_module.open(state.folder.ledger, { create = true, now = options.env.now, background = true })
  if not state.ledger then
    return nil, err
  end
  ok, err = state.folder:write("job", prepare.job_json(state))
  if ok then
    ok, err = state.ledger:reserve(folder_module.RESERVE)
  end
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

-- Adds to a plan what is shown to the user and not needed in the ledger.
local function tell_plan(state, plan, first_batch)
  plan.sizes, plan.sums = nil, nil
  for _, name in ipairs(accounting.LEFT_OUT) do
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

---Reads every row of the list, checks it, lists what is left out and records the batches in the ledger.
---@param state table prepared, with folder, ledger and row files
---@return table? plan
---@return campaign.error? err
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
    progress = function(event) job_module.progress(state, event) end,
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

local function new_transport(options)
  local transports = require "campaign.transport"
  if options.dry_run and not options.job then -- it may query the columns of the target, and no more
    return transports.late()
  end
  return transports.new()
end

---The state of a job at its beginning: options read, target found, transport opened. Raises for wrong options.
---@param given campaign.import.options
---@param level integer of the caller whose fault wrong options are
---@return table? state
---@return campaign.error? err
function M.start(given, level)
  later.load_all() -- while requests are in flight, nothing may depend on opening files: the process may run out of descriptors
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
  -- Weak, because the client's clock holds this function, and the state holds the client: an aborted job would never be collected.
  local known = setmetatable({ state = state }, { __mode = "v" })
  state.warn = function(text)
    if known.state then
      events.warn(known.state, job_module.progress, text)
    end
  end
  state.tell = function(event_of) -- progress before the preflight
    if options.on_progress and options.env.monotonic() >= state.next_progress then
      job_module.progress(state, event_of())
    end
  end
  if state.owns_transport then
    options.transport, err = new_transport(options)
    if not options.transport then
      return nil, err
    end
  end
  state.watched = options.env.watch and options.env.watch()
  return state
end

-- Lets other work of the thread run between the steps of the start.
local function pause(state)
  if state.options.env.pause then
    state.options.env.pause()
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
  local job = job_module.new({}, state)
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
    -- Nothing was sent. An unreadable list and a plan that could not be recorded leave nothing behind; unmappable characters are listed in
    -- the folder.
    local again = err.kind == "ledger" and AGAIN[err.reason]
    err.hint = again or err.hint
    if state.ledger and state.folder.path and (again or ok and err.kind == "invalid" and err.reason ~= "unmappable") then
      state.folder:abandon()
    end
    job_module.close_all(state)
    if state.folder and state.folder.path then
      state.folder:leave()
    end
    job_module.raise_problem(state)
    return nil, err
  end
  job.folder = state.folder.path
  return job
end

return M

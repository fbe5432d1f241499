-- SPDX-License-Identifier: MIT
-- What a planned job passes to the engine: fast path, pace, settler, and the handling of answers.

local barrier = require "campaign.import.run.barrier"
local bisect = require "campaign.import.run.bisect"
local redact = require "campaign.import.run.redact"
local events = require "campaign.import.run.events"
local fast_path = require "campaign.import.run.fast_path"
local request_module = require "campaign.import.run.request"
local settle = require "campaign.import.run.settle"
local stop_rule = require "campaign.import.run.stop_rule"
local target = require "campaign.import.target"
local timing = require "campaign.import.run.timing"

local M = {}

-- Seconds between two checks of a commit that rings no bell.
local COMMIT_SLICE = 0.001

-- The pace of all requests of this job.
local function pace_of(state)
  state.pace = state.pace or timing.pace(state.platform, state.operation, state.client.account, state.options)
  return state.pace
end

---Who settles what is in doubt; nil where only a person can.
---@param state table the job's
---@param waiting fun(seconds: number)? told while a look is waited for
---@return table? settler
function M.settler_of(state, waiting)
  local options = state.options
  state.barrier = barrier.new(options.overwrite, state.ledger)
  local _, most = timing.in_flight(state.platform, state.operation, options)
  return settle.new{
    operation = state.operation, client = state.client, ledger = state.ledger, env = options.env, attempts = options.attempts,
    alone = most == 1, waiting = waiting, pace = pace_of(state),
    fields = function() return target.fields(state.operation, options, state.barrier:is_closed()) end,
    sha256 = function(batch) return settle.sha256(state.encoder, state.input, batch) end,
    is_destructive = function() return state.barrier:is_closed() end,
    stopped = function() return state.stop end, lock = state.target_lock,
  }
end

---What the engine runs on.
---@param state table the job's
---@param book table the journal
---@param progress fun(state: table, event: table)
---@return table
function M.of(state, book, progress)
  local options, operation = state.options, state.operation
  local bell = options.transport.bell and options.transport:bell()
  local class = getmetatable(options.transport)
  local committer = type(class) == "table" and class.wakes_on_commit and state.ledger or nil
  local rings = committer or bell and state.ledger:ring(bell)
  local known = {}
  local settler = M.settler_of(state, function(seconds) state.engine:pausing(seconds) end)
  state.barrier:hold(pace_of(state))
  state.fast_path = fast_path.new({ operation = operation, env = options.env, settler = settler, transport = options.transport }, state)
  return {
    fast_path = state.fast_path,
    settler = settler, take = function(index) return state.ledger:take(index) end,
    platform = state.platform, operation = operation, env = options.env, transport = options.transport, journal = book,
    pace = state.pace,
    slice = not rings and COMMIT_SLICE or nil, committer = committer,
    next_batches = function(into, last) return book:next_batches(into, last) end,
    prepare = function(batch) return request_module.of(state, batch) end,
    finish = function(request, result, batch)
      if state.window.closed and result.status then
        state.window:learn(result.timings.total, batch.body_bytes)
      end
      return state.client:finish(request, result, true)
    end,
    settle = function(attempt, verdict, problem)
      local changed, err = state.rows:settle(attempt, verdict, problem)
      state.barrier:settled(changed or verdict)
      return changed, err
    end,
    passed = function(rows, is_pending) state.books:book(is_pending and "accepted_pending" or "accepted", rows) end,
    too_many = options.stop_rule and function() return stop_rule.check(options.stop_rule, state.books, state.plan.sendable) end,
    redact = function(batch, verdict, problem) return redact.answer(state.input, batch, verdict, problem, known, state.mapping.fields) end,
    unsent = function(batch) return state.rows:unsent(batch) end,
    bisect = bisect.new{
      operation = operation, input = state.input, encoder = state.encoder, ledger = state.ledger, calls = options.bisect,
      pause = options.env.pause, is_destructive = function() return state.barrier:is_closed() end,
    },
    window = state.window.closed and function(batch) return state.window:wait(batch.body_bytes or 0) end,
    refuse_window = function() return select(2, state.window:refuse()) end,
    stopped = function() return state.stop end,
    all_sent = function() return state.owns_transport and options.transport:close() end,
    progress = function(run)
      -- Called after every answer: an event is created only if there is a listener, and not too often.
      if options.on_progress and options.env.monotonic() >= state.next_progress then
        state.pace:warn(state.warn)
        progress(state, events.progress(state, run))
      end
    end,
    -- One in flight by the platform's own data means that order matters; and what was not replaced must not be added to.
    ordered = operation.rows.concurrency == 1 or options.overwrite == true, attempts = options.attempts, wait_for_window = options.window == "wait",
  }
end

return M

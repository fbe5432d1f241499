-- SPDX-License-Identifier: MIT
-- Takes batches, keeps as many requests in flight as the pace allows, requests a verdict on every answer, and passes the rows of each batch
-- to the accounting. Knows neither files nor rows: batches come from an iterator, bodies from `prepare`. Waiting is done by the transport
-- or by env.sleep, so that the same engine blocks in plain Lua and yields in nginx.

local answers = require "campaign.import.run.answers"
local doubt = require "campaign.import.run.doubt"
local error_object = require "campaign.error"
local mixin = require "campaign.mixin"
local order = require "campaign.import.run.order"
local fast_groups = require "campaign.import.run.fast_groups"

local M = {}

-- Longest single sleep, in seconds: a stop request is noticed at least this often.
local TICK = 0.5

local methods = {}
local mt = { __index = methods, __name = "campaign.import.run.engine" }

---@class campaign.import.run.work
---@field platform table loaded platform
---@field operation table
---@field env campaign.env
---@field transport table `submit(request)`, `next(seconds)`, `cancel(id)`; `ready` if results can be polled: `next(0)`
---@field pace table
---@field journal table of import/run/journal: `begin`, `go`, `finish`, for groups `begin_all`, `go_all`, `passed`; `dirty`, `hold`, `start`, `settled`,
---`wait`, `commit`, `full`
---@field fast_path campaign.import.run.fast_path? the fast path of usual batches
---@field slice number? longest wait for an answer while a commit is in progress, in seconds; nil if the end of the commit ends that wait
---@field committer table? the ledger whose commit ends a wait of `transport:next(seconds, ledger)`
---@field next_batches fun(into: table, last: integer): integer, campaign.error? appends some after index `last`, and returns the new last index
---@field prepare fun(batch: table): table?, campaign.error? the transport's request
---@field finish fun(request: table, result: table, batch: table): table?, campaign.error?
---@field settle fun(attempt: table, verdict: table, err: campaign.error?): table?, campaign.error? records the rows of a batch; may
---return another verdict
---@field redact (fun(batch: table, verdict: table, err: campaign.error?): campaign.error?)? removes personal data from a platform's messages
---@field passed (fun(rows: integer, is_pending: boolean?))? records rows of batches that took the fast path
---@field unsent fun(batch: table): true?, campaign.error? records the rows of a batch that was not delivered
---@field window (fun(batch: table): number)? seconds until the batch may start, 0: now; absent if the platform is never closed
---@field refuse_window? fun(): campaign.error the reason why it may not, for callers that do not wait
---@field stopped fun(): string? "stop", "now", or "leave": as "stop", but batches that were not started stay as they are, unlisted
---@field all_sent fun()? called when no request follows: releases the connections, so that lists and reports find descriptors
---@field progress fun(event: table)
---@field too_many? fun(): campaign.error? if more rows were refused than allowed
---@field ordered boolean stop at the first batch that was not accepted
---@field bisect table? `refused`, `ahead`, `learn` (import/run/bisect)
---@field settler table? `before`, `learn`, `may`, `settle` (import/run/settle)
---@field take fun(index: integer): table?, campaign.error? a batch that may be sent again
---@field attempts integer
---@field wait_for_window boolean

---@param work campaign.import.run.work
function M.new(work)
  return setmetatable({
    work = work, flying = {}, in_flight = 0, again = {}, doubtful = {}, error = nil, waiting = nil,
    ready = {}, committing = nil, -- attempts whose intents are queued, and those whose intents are being committed
    holding = nil, -- seconds that the next group may wait for answers
    coming = {}, first = 1, last = 0, loaded = 0, -- the next batches of the plan: coming[first] to coming[last]; bodies are built up to `loaded`
    drained = false, -- the plan had no more batches when last asked
    requests = 0, retries = 0, bytes = 0, batches = 0,
    timing = { seconds = nil, repeated = nil }, -- what the pace learns from an answer, reused
    known = {}, sources = {}, ids = {}, passed = {}, spare = {}, -- of the fast path: answers, bodies, ids, batches; reusable attempts
  }, mt)
end

function methods:_stop(err)
  self.error = self.error or err
end

-- Seconds until the batch may be sent, and why. 0 allows one request.
function methods:_wait(batch)
  local work = self.work
  local closed = work.window and work.window(batch) or 0
  if closed > 0 then
    return closed, "window"
  end
  return work.pace:take()
end

-- Does everything for an attempt that can fail on this machine, and records its intent. `_launch` sends it.
function methods:_ready(batch, others)
  local work = self.work
  batch.attempts = (batch.attempts or 0) + 1
  -- Preallocated for all fields: growing a table reallocates it.
  local attempt = { batch = batch, number = batch.attempts, request = nil, source = nil, lease = nil, answer = nil, ticket = nil, begun = nil,
    sent_at = nil, looked = nil, before = nil }
  if work.settler then
    attempt.looked, attempt.before = true, work.settler:before(batch)
  end
  local request, err
  local source = work.fast_path and work.fast_path:load(batch)
  if source then
    request, attempt.source = work.fast_path.request, source
  else
    request, err = work.prepare(batch)
  end
  if not request and err.kind == "window" and err.reason ~= "clock" and work.wait_for_window and (batch.closed or 0) < answers.MOST_THROTTLED then
    -- The platform closed, or the clock was set, since the last check: check again soon.
    batch.attempts, batch.closed = batch.attempts - 1, (batch.closed or 0) + 1
    work.pace:finished(nil, { verdict = "not_applied", again = "window", after = 1 })
    self:_put_back(batch)
    return nil
  elseif not request then
    self:_conclude(attempt, nil, nil, err)
    return nil
  end
  attempt.request = request
  local ok, journal_err = work.journal:begin(attempt)
  if not ok then
    self:_stop(journal_err)
    self:_unsent(batch)
    return nil
  end
  attempt.ticket = work.pace:started(others + 1)
  return attempt
end

-- Withdraws a durable intent that is not acted on because the situation has changed: provably nothing was sent.
function methods:_withdraw(attempt)
  local batch = attempt.batch
  attempt.begun, attempt.request, attempt.source = true, nil, nil
  batch.withdrawn = (batch.withdrawn or 0) + 1
  self:_write_down(attempt, { verdict = "not_applied", cause = "held_back" })
  if self.error or self.work.stopped() then
    self:_unsent(batch)
  else
    self:_put_back(batch)
  end
end

-- Sends what is durable, unless the run has to end or slow down.
function methods:_launch(attempts, ok, err)
  local work = self.work
  local pace, journal, pause = work.pace, work.journal, work.env.pause
  local gone = ok and work.fast_path and self:_launch_groups(attempts) or 0
  if gone > 0 then
    self:_pause()
  end
  local limit, is_paused = pace:limit(), pace:is_paused()
  for i = gone + 1, #attempts do
    local attempt = attempts[i]
    local may_go = ok
    if ok then
      may_go, err = journal:go(attempt)
    end
    if not may_go then
      self:_stop(err)
      self:_unsent(attempt.batch)
    elseif self.error or work.stopped() or self.in_flight >= limit or is_paused then
      self:_withdraw(attempt)
    elseif not self:_submit(attempt) or pause then
      self:_pause()
      limit, is_paused = pace:limit(), pace:is_paused() -- something was learned, or others had a turn
    end
  end
end

-- Gives others that share the thread a turn, after every answer and every prepared request.
function methods:_pause()
  if self.work.env.pause then
    self.work.env.pause()
  end
end

-- Makes intents and outcomes durable together, one group at a time: what arrives during a commit forms the next group. Requests are sent
-- when their intents are durable, and not before.
function methods:_commit()
  local journal = self.work.journal
  self.holding = nil
  while true do
    if self.committing then
      local settled, err = journal:settled()
      if settled == false then
        return
      elseif not settled then
        self:_stop(err)
      end
      local durable = self.committing
      self.committing = nil
      local full = settled and journal.full and journal:full()
      if full then
        self:_stop(full) -- the intents of this group are withdrawn
      end
      self:_launch(durable, settled, err)
    end
    if #self.ready == 0 and not journal:dirty() then
      return
    end
    self.holding = self.in_flight > 0 and not self.error and not self.work.stopped() and journal:hold(self.in_flight, self.work.pace:limit()) or nil
    if self.holding then
      return
    end
    local group = self.ready
    self.ready = {}
    local ok, err = journal:start()
    if not ok then
      self:_stop(err)
      return self:_launch(group, nil, err)
    end
    self.committing = group
  end
end

-- False if it could not be sent, and its outcome is known already.
function methods:_submit(attempt)
  local work, batch = self.work, attempt.batch
  attempt.begun = true
  if not attempt.ticket then -- prepared for the fast path, which did not take its group
    attempt.ticket = work.pace:started(self.in_flight + 1)
  end
  local id, refused
  if attempt.source then
    local sent
    sent, refused = work.fast_path:submit({ attempt.source }, 1, self.ids)
    id, attempt.source, attempt.request = sent == 1 and self.ids[1], nil, work.fast_path.request
  else
    id, refused = work.transport:submit(attempt.request)
  end
  if not id then
    self:_conclude(attempt, nil, nil, refused)
    return false
  end
  self.flying[id] = attempt
  self.in_flight = self.in_flight + 1
  self.requests = self.requests + 1
  if self.cancelled then
    work.transport:cancel(id)
  end
  if batch.attempts - (batch.withdrawn or 0) > 1 then
    self.retries = self.retries + 1
  end
  return true
end

-- Requests that are in flight or about to be.
function methods:_busy()
  return self.in_flight + #self.ready + (self.committing and #self.committing or 0)
end

function methods:_fill()
  local work = self.work
  self.waiting = nil
  if #self.doubtful > 0 then
    if self:_busy() > 0 then
      return self:_commit() -- what is requested must not be confused with what is in progress
    end
    self:_settle_doubt()
  end
  if work.fast_path then
    self:_fill_groups()
  end
  while not self.error and not work.stopped() do
    local busy = self:_busy()
    local first = busy < work.pace:limit() and self:_peek()
    if not first then
      break
    end
    local seconds, reason = self:_wait(first)
    if seconds > 0 then
      if reason == "window" and not work.wait_for_window and work.refuse_window then
        self:_stop(work.refuse_window())
      end
      self.waiting = { seconds = seconds, reason = reason }
      break
    end
    local batch = self:_take_next()
    if self.error then
      self:_unsent(batch)
    else
      self.ready[#self.ready + 1] = self:_ready(batch, busy)
      self:_pause()
    end
  end
  self:_commit()
end

function methods:_unsent(batch)
  if self.work.fast_path then
    self.work.fast_path:drop(batch)
  end
  local ok, err = self.work.unsent(batch)
  if not ok then
    self:_stop(err)
  end
end

-- Waits for one answer, or until sending may continue. False if there is nothing left to wait for.
function methods:_collect()
  local work = self.work
  local seconds = math.min(self.waiting and self.waiting.seconds or TICK, self.holding or TICK, TICK)
  if work.stopped() == "now" and not self.cancelled then
    self.cancelled = true
    for id in pairs(self.flying) do
      work.transport:cancel(id)
    end
  end
  if self.in_flight > 0 then
    local wait = self.committing and work.slice or seconds
    if work.fast_path and work.fast_path.template then
      self:_collect_groups(wait)
      return true
    end
    local id, result = work.transport:next(wait, self.committing and work.committer or nil)
    local taken, most = 0, work.transport.ready and work.pace:limit() / 2 or 0
    while id do
      self:_take(id, result)
      self:_pause()
      taken = taken + 1
      -- Whatever else has arrived shares the next commit; half of the requests stay in flight while the next are prepared.
      id = nil
      if taken < most and self.in_flight > 0 then
        id, result = work.transport:next(0)
      end
    end
    return true
  end
  if self.committing then
    if not self:_load_some() then
      work.journal:wait(seconds)
    end
    return true
  end
  if #self.doubtful > 0 then
    return true
  end
  if self.waiting and not self.error and not work.stopped() then
    work.env.sleep(seconds)
    return true
  end
  return not self.error and not work.stopped() and self:_peek() ~= nil
end

mixin(methods, answers.methods, doubt, order, fast_groups)

---Runs until every batch is accepted, refused, in doubt or, after a stop, known not to have been sent.
---@return campaign.error? err why the run ended early
function methods:run()
  local work = self.work
  self:_weigh()
  repeat
    self:_fill()
    work.progress(self)
  until not self:_collect()
  if work.all_sent then
    work.all_sent()
  end
  if work.stopped() then
    self:_stop(error_object.new{ kind = "cancelled", retry = false, message = "the import was stopped on request" })
  end
  local batch = work.stopped() ~= "leave" and self:_next_batch() or nil
  while batch do
    self:_unsent(batch)
    self:_pause()
    batch = self:_next_batch()
  end
  local ok, err = work.journal:commit()
  if not ok then
    self:_stop(err)
  end
  return self.error
end

return M

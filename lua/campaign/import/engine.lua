-- SPDX-License-Identifier: MIT
-- Takes batches, keeps as many requests in flight as the pace allows, asks for a verdict on every answer, and hands the rows of each
-- batch to whoever books them. Knows no files and no row: batches come from an iterator, bodies from `prepare`. Waiting is done by the
-- transport or by env.sleep, so that the same engine blocks in plain Lua and yields in nginx.

local error_object = require "campaign.error"
local verdicts = require "campaign.import.verdict"

local M = {}

-- Longest sleep in one piece, in seconds: a stop order is seen at least this often.
local TICK = 0.5

-- Answers of "slow down" to one batch before the run gives up.
local MOST_THROTTLED = 20

-- Seconds after which a platform that calls itself closed, though our clock says open, is asked again.
local CLOSED_AGAIN = 60

-- Bodies that are made ahead between two looks at a commit.
local AHEAD = 4

local methods = {}
local mt = { __index = methods, __name = "campaign.import.engine" }

---@class campaign.import.work
---@field platform table loaded platform
---@field operation table
---@field env campaign.env
---@field transport table `submit(request)`, `next(seconds)`, `cancel(id)`; `ready` where results may be asked for without waiting: `next(0)`
---@field pace table
---@field journal table `begin(attempt)`, `finish(attempt, outcome)`, `dirty()`, `hold()`, `start()`, `settled()`, `wait(seconds)`, `commit()`, `go(attempt)`
---@field lane campaign.import.lane? the short way of usual batches
---@field slice number? longest wait for an answer while a commit is on its way, in seconds; nil where its end ends that wait
---@field next_batch fun(): table?, campaign.error?
---@field prepare fun(batch: table): table?, campaign.error? the transport's request
---@field finish fun(request: table, result: table, batch: table): table?, campaign.error?
---@field settle fun(attempt: table, verdict: table, err: campaign.error?): table?, campaign.error? books the rows of a batch; may
---return another verdict that it came to
---@field clean (fun(batch: table, verdict: table, err: campaign.error?): campaign.error?)? takes personal data out of what a platform says
---@field unsent fun(batch: table): true?, campaign.error? books the rows of a batch that was not delivered
---@field window (fun(batch: table): number)? seconds until the batch may begin, 0 now; left out where the platform is never closed
---@field refuse_window? fun(): campaign.error why it may not, for who does not wait
---@field stopped fun(): string? "stop", "now", or "leave": as "stop", but batches that were not begun stay where they are, unlisted
---@field progress fun(event: table)
---@field too_many? fun(): campaign.error? when more rows were refused than may be
---@field ordered boolean stop at the first batch that was not taken over
---@field bisect table? `refused`, `ahead`, `learn` (import/bisect)
---@field settler table? `before`, `learn`, `may`, `settle` (import/settle)
---@field take fun(index: integer): table?, campaign.error? a batch that may be sent again
---@field attempts integer
---@field wait_for_window boolean

---@param work campaign.import.work
function M.new(work)
  return setmetatable({
    work = work, flying = {}, in_flight = 0, again = {}, doubtful = {}, error = nil, waiting = nil,
    ready = {}, committing = nil, -- attempts whose intents are queued, and those whose intents are on their way to the disk
    holding = nil, -- seconds that the next group may wait for answers
    coming = {}, first = 1, last = 0, loaded = 0, -- batches of the plan that are next: coming[first] to coming[last]; bodies are made up to `loaded`
    drained = false, -- the plan had no more batches when it was asked last
    requests = 0, retries = 0, bytes = 0, batches = 0,
    timing = { seconds = nil, repeated = nil }, -- what the pace is told of an answer, one after another
  }, mt)
end

function methods:_stop(err)
  self.error = self.error or err
end

-- Seconds until the batch may be sent, and for what. 0 is leave for one request.
function methods:_wait(batch)
  local work = self.work
  local closed = work.window and work.window(batch) or 0
  if closed > 0 then
    return closed, "window"
  end
  return work.pace:take()
end

-- Everything about an attempt that can fail on this machine, and its intent. It leaves in `_launch`.
function methods:_ready(batch, others)
  local work = self.work
  batch.attempts = (batch.attempts or 0) + 1
  -- With room for all that is learned of it: a table that grows is made anew.
  local attempt = { batch = batch, number = batch.attempts, request = nil, source = nil, intent = nil, ticket = nil, begun = nil, looked = nil,
    before = nil }
  if work.settler then
    attempt.looked, attempt.before = true, work.settler:before(batch)
  end
  local request, err
  local source = work.lane and work.lane:load(batch)
  if source then
    request, attempt.source = work.lane.request, source
  else
    request, err = work.prepare(batch)
  end
  if not request and err.kind == "window" and err.reason ~= "clock" and work.wait_for_window and (batch.closed or 0) < MOST_THROTTLED then
    -- The platform closed, or the clock was set, since the last look at it: look again soon.
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

-- An intent that is durable and is not acted on after all, for what has come up meanwhile: provably nothing of it was sent.
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

-- What is durable may leave, unless the run is to end, or to slow down.
function methods:_launch(attempts, ok, err)
  local work = self.work
  local pace, journal, pause = work.pace, work.journal, work.env.pause
  local limit, is_paused = pace:limit(), pace:is_paused()
  for _, attempt in ipairs(attempts) do
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

-- Where others share the thread: after every answer and every request that was made ready they may have a turn.
function methods:_pause()
  if self.work.env.pause then
    self.work.env.pause()
  end
end

-- Makes intents and outcomes durable together, one group at a time: what comes while one is on its way to the disk makes the next. Requests
-- leave when their intents are durable, and not before.
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
        self:_stop(full) -- the intents of this group are taken back
      end
      self:_launch(durable, settled, err)
    end
    if #self.ready == 0 and not journal:dirty() then
      return
    end
    self.holding = self.in_flight > 0 and not self.error and not self.work.stopped() and journal:hold() or nil
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

-- False when it could not leave, and its outcome is known already.
function methods:_submit(attempt)
  local work, batch = self.work, attempt.batch
  attempt.begun = true
  local id, refused
  if attempt.source then
    id, refused = work.lane:submit(attempt.source, batch)
    attempt.source = nil
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
      return self:_commit() -- what is asked for must not be mixed up with what is under way
    end
    self:_settle_doubt()
  end
  if work.lane then
    self:_fill_short()
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
  if self.work.lane then
    self.work.lane:drop(batch)
  end
  local ok, err = self.work.unsent(batch)
  if not ok then
    self:_stop(err)
  end
end

-- What the answer to an attempt means, and whether it is a success.
local function decide(work, batch, result, reply, err)
  local platform, operation = work.platform, work.operation
  if not result then
    return verdicts.decide(platform, operation, { sent = "no", rows = batch.accepted }, reply, err)
  end
  if reply and result.sent == "yes" and result.status and not result.guard then
    return verdicts.success(operation, batch.accepted, reply) -- nearly all: no evidence has to be put together
  end
  return verdicts.decide(platform, operation, {
    sent = result.sent, guard = result.guard, status = result.status, rows = batch.accepted,
    bytes_sent = result.bytes_sent, body_bytes = result.bytes_expected,
    retry_after = err and type(err.retry) == "number" and err.retry or nil,
  }, reply, err)
end

local function seconds_of(result)
  return result.seconds or result.timings and result.timings.total
end

-- The outcome of an attempt: a request that was not submitted has no result. Gives how long the attempt took.
function methods:_write_down(attempt, verdict, result, err)
  if not attempt.begun then
    return nil
  end
  local outcome = { verdict = verdict.verdict, cause = verdict.cause, receipt = verdict.receipt, sent = "no", awaits = verdict.pending or nil,
    status = nil, bytes_sent = nil, body_bytes = nil, seconds = nil }
  if result then
    -- What is read of a result may be made for it: once each, and for a success no evidence that it cannot have.
    outcome.status, outcome.sent, outcome.guard = result.status, result.sent, verdict.verdict ~= "accepted" and result.guard or nil
    outcome.bytes_sent, outcome.body_bytes, outcome.seconds = result.bytes_sent, result.bytes_expected, seconds_of(result)
    self.bytes = self.bytes + (outcome.bytes_sent or 0)
  end
  if err then
    local code = err.code
    outcome.kind, outcome.code = err.kind, (type(code) == "string" or type(code) == "number") and code or nil
  end
  outcome.detail, outcome.reason, outcome.message = verdict.detail, verdict.reason, verdict.message or err and err.message
  local ok, journal_err = self.work.journal:finish(attempt, outcome)
  if not ok then
    self:_stop(journal_err)
  end
  return outcome.seconds
end

-- True when the batch will be sent again.
function methods:_may_repeat(batch, verdict, err)
  if self.error or self.work.stopped() then
    return false
  end
  if verdict.again == "throttle" then
    batch.throttled = (batch.throttled or 0) + 1
    return batch.throttled <= MOST_THROTTLED
  elseif verdict.again == "token" then
    batch.renewed = (batch.renewed or 0) + 1
    return batch.renewed == 1
  elseif verdict.again == "window" then
    batch.closed = (batch.closed or 0) + 1
    return self.work.wait_for_window and batch.closed <= MOST_THROTTLED
  end
  batch.failed = (batch.failed or 0) + 1
  return verdict.again == "soon" and batch.failed < self.work.attempts
    and self.work.pace:may_repeat(err ~= nil and err.kind == "timeout")
end

local function doubtful(work, verdict, err)
  return err or error_object.new{
    kind = "response", retry = false, sent = "yes", platform = work.platform.name, operation = work.operation.name,
    message = "the answer does not add up: " .. (verdict.detail or verdict.cause),
  }
end

-- What an answer means for the run: go on, or stop and why.
function methods:_judge(verdict, err)
  local work = self.work
  if verdict.stop then
    self:_stop(doubtful(work, verdict, err))
  elseif work.ordered and verdict.verdict ~= "accepted" and verdict.verdict ~= "partly" and not verdict.isolated then
    self:_stop(doubtful(work, verdict, err))
  elseif work.pace:hopeless() then
    self:_stop(error_object.wrap(doubtful(work, verdict, err), {
      hint = "several batches in a row had no clear answer; look at the platform, then import not_sent.csv",
    }))
  end
  self:_weigh()
end

-- Too many rows refused, by the rule that was given: the rest, if there is one, is not sent.
function methods:_weigh()
  local check = self.work.too_many
  local too_many = check and not self.error and check()
  if too_many and self:_peek() then
    self:_stop(too_many)
  end
end

-- An answer that is no plain success. Gives nil where its batch is not booked now (it is sent again, cut, or looked for at the platform), else
-- true, and whether the outcome is written down already.
function methods:_look_into(attempt, verdict, result, err)
  local work, batch = self.work, attempt.batch
  if verdict.again == "window" then
    verdict.after = CLOSED_AGAIN
  end
  if verdict.verdict == "not_applied" then
    work.pace:finished(attempt.ticket, verdict)
    self:_write_down(attempt, verdict, result, err)
    if self:_may_repeat(batch, verdict, err) then
      self:_put_back(batch)
      return nil
    end
    if not work.stopped() or err and err.kind ~= "cancelled" then
      self:_stop(err)
    end
    self:_unsent(batch)
    return nil
  end

  local pieces, cut_err
  if work.bisect then
    pieces, cut_err = work.bisect:refused(batch, verdict)
    if cut_err then
      self:_stop(cut_err)
    end
  end
  if pieces then
    -- Its rows are counted in its pieces; outcome and pieces are in one commit.
    work.pace:finished(attempt.ticket, verdict)
    self:_write_down(attempt, verdict, result, err)
    if self:_divide(batch, pieces, true) then
      return nil
    end
  end

  -- One that ends the run is settled by whoever goes on with the job.
  if verdict.verdict == "ambiguous" and not verdict.stop and attempt.begun and work.settler and work.settler:may(batch) then
    self:_write_down(attempt, verdict, result, err)
    attempt.verdict, attempt.problem = verdict, doubtful(work, verdict, err)
    self.doubtful[#self.doubtful + 1] = attempt
    return nil
  end
  return true, pieces ~= nil
end

function methods:_conclude(attempt, result, reply, err)
  local work, batch = self.work, attempt.batch
  local verdict = decide(work, batch, result, reply, err)
  if result and work.clean then
    err = work.clean(batch, verdict, err) -- before anybody writes it down
  end
  if work.settler and verdict.verdict ~= "ambiguous" then
    work.settler:learn(batch, verdict)
  end
  local is_written
  if verdict.verdict ~= "accepted" then
    local is_booked
    is_booked, is_written = self:_look_into(attempt, verdict, result, err)
    if not is_booked then
      return
    end
  end
  verdict = self:_book(attempt, verdict, err)
  if work.bisect then
    work.bisect:learn(batch, verdict)
  end
  if work.lane and verdict.verdict == "accepted" then
    work.lane:learn()
  end
  if not is_written then
    local timing = self.timing
    timing.seconds, timing.repeated = self:_write_down(attempt, verdict, result, err), (batch.failed or 0) > 0
    work.pace:finished(attempt.ticket, verdict, timing)
  end
  self:_judge(verdict, err)
end

-- Rows of a batch into the books. Gives the verdict they came to.
function methods:_book(attempt, verdict, err)
  local changed, settle_err = self.work.settle(attempt, verdict, err)
  if settle_err then
    self:_stop(settle_err)
  end
  self.batches = self.batches + 1
  return changed or verdict
end

-- Waits for one answer, or for the time when sending may go on. False when there is nothing left to wait for.
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
    local template = work.lane and work.lane.template
    local id, result, took, bytes, text
    if template then
      local made = 0
      id, result, took, bytes, text = work.transport:next(0, template)
      while not id and self:_load_ahead() do
        made = made + 1
        if made == AHEAD and self.committing then
          return true -- it may have ended meanwhile
        end
        id, result, took, bytes, text = work.transport:next(0, template)
      end
    end
    if not id then
      id, result, took, bytes, text = work.transport:next(self.committing and work.slice or seconds, template)
    end
    local taken, most = 0, work.transport.ready and work.pace:limit() / 2 or 0
    while id do
      self:_take(id, result, took, bytes, text)
      self:_pause()
      taken = taken + 1
      -- What else has come meanwhile shares the next commit; half of what flies stays on its way while the next are made ready.
      id = nil
      if taken < most and self.in_flight > 0 then
        id, result, took, bytes, text = work.transport:next(0, template)
      end
    end
    return true
  end
  if self.committing then
    if not self:_load_ahead() then
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

require("campaign.import.doubt").add(methods)
require("campaign.import.lane").add(methods)
require("campaign.import.order").add(methods)

---Runs until every batch is taken over, refused, in doubt or, after a stop, known not to be sent.
---@return campaign.error? err why the run ended before its end
function methods:run()
  local work = self.work
  self:_weigh()
  repeat
    self:_fill()
    work.progress(self)
  until not self:_collect()
  if work.stopped() then
    self:_stop(error_object.new{ kind = "cancelled", retry = false, message = "the import was stopped by order" })
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

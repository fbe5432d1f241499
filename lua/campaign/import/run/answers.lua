-- SPDX-License-Identifier: MIT
-- Handles the answer to one attempt: requests its verdict, records the outcome, accounts for the rows, and decides whether the batch is
-- sent again, split, queried at the platform, or ends the run. Extends import/run/engine.

local error_object = require "campaign.error"
local verdicts = require "campaign.import.run.verdict"

local methods = {}
local M = { methods = methods }

-- Number of "slow down" answers to one batch after which the run gives up.
M.MOST_THROTTLED = 20

-- Seconds until the next try if a platform says that it is closed although by our clock it is open.
local CLOSED_AGAIN = 60

-- The verdict on the answer to an attempt.
local function decide(work, batch, result, reply, err)
  local platform, operation = work.platform, work.operation
  if not result then
    return verdicts.decide(platform, operation, { sent = "no", rows = batch.accepted }, reply, err)
  end
  if reply and result.sent == "yes" and result.status and not result.guard then
    return verdicts.success(operation, batch.accepted, reply) -- nearly all answers: no evidence has to be assembled
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

local function doubtful(work, verdict, err)
  return err or error_object.new{
    kind = "response", retry = false, sent = "yes", platform = work.platform.name, operation = work.operation.name,
    message = "the answer does not add up: " .. (verdict.detail or verdict.cause),
  }
end

-- Records the outcome of an attempt; a request that was not submitted has no result. Returns how long the attempt took.
function methods:_write_down(attempt, verdict, result, err)
  if not attempt.begun then
    return nil
  end
  local outcome = { verdict = verdict.verdict, cause = verdict.cause, receipt = verdict.receipt, sent = "no", awaits = verdict.pending or nil,
    status = nil, bytes_sent = nil, body_bytes = nil, seconds = nil }
  if result then
    -- Fields of a result may be computed on access: each is read only once, and for a success only those that it can have.
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
    return batch.throttled <= M.MOST_THROTTLED
  elseif verdict.again == "token" then
    batch.renewed = (batch.renewed or 0) + 1
    return batch.renewed == 1
  elseif verdict.again == "window" then
    batch.closed = (batch.closed or 0) + 1
    return self.work.wait_for_window and batch.closed <= M.MOST_THROTTLED
  end
  batch.failed = (batch.failed or 0) + 1
  return verdict.again == "soon" and batch.failed < self.work.attempts
    and self.work.pace:may_repeat(err ~= nil and err.kind == "timeout")
end

-- Decides what an answer means for the run: continue, or stop and why.
function methods:_judge(verdict, err)
  local work = self.work
  if verdict.stop then
    self:_stop(doubtful(work, verdict, err))
  elseif work.ordered and verdict.verdict ~= "accepted" and verdict.verdict ~= "partly" and not verdict.isolated then
    self:_stop(doubtful(work, verdict, err))
  elseif work.pace:hopeless() then
    self:_stop(error_object.wrap(doubtful(work, verdict, err), {
      hint = "several batches in a row had no clear answer; check the platform, then import not_sent.csv",
    }))
  end
  self:_weigh()
end

-- Stops the run if more rows were refused than `max_reject` allows.
function methods:_weigh()
  local check = self.work.too_many
  local too_many = check and not self.error and check()
  if too_many and self:_peek() then
    self:_stop(too_many)
  end
end

-- Handles an answer that is not a plain success. Returns nil if its batch is not accounted for now (it is sent again, split, or queried at the
-- platform), else true, and whether the outcome is recorded already.
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
    -- Its rows are counted with its pieces; outcome and pieces are in one commit.
    work.pace:finished(attempt.ticket, verdict)
    self:_write_down(attempt, verdict, result, err)
    if self:_divide(batch, pieces, true) then
      return nil
    end
  end

  -- If it ends the run, the next process that continues the job settles it.
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
  if result and work.redact then
    err = work.redact(batch, verdict, err) -- before it is recorded anywhere
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
  if work.fast_path and verdict.verdict == "accepted" then
    work.fast_path:learn(batch.accepted)
  end
  if not is_written then
    local timing = self.timing
    timing.seconds, timing.repeated = self:_write_down(attempt, verdict, result, err), (batch.failed or 0) > 0
    work.pace:finished(attempt.ticket, verdict, timing)
  end
  self:_judge(verdict, err)
end

-- Accounts for the rows of a batch. Returns the resulting verdict.
function methods:_book(attempt, verdict, err)
  local changed, settle_err = self.work.settle(attempt, verdict, err)
  if settle_err then
    self:_stop(settle_err)
  end
  self.batches = self.batches + 1
  return changed or verdict
end

function methods:_take(id, result)
  local attempt = self.flying[id]
  if not attempt then
    return
  end
  self.flying[id] = nil
  self.in_flight = self.in_flight - 1
  local reply, err = self.work.finish(attempt.request, result, attempt.batch)
  attempt.request = nil
  self:_conclude(attempt, result, reply, err)
end

return M

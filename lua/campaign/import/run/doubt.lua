-- SPDX-License-Identifier: MIT
-- The engine's handling of batches in doubt: waits until nothing is in flight, has them settled (import/run/settle), and acts on the result:
-- accepted, sent again, or left in doubt until somebody decides. Extends import/run/engine.

local methods = {}

-- Handles a batch that turned out to be accepted although its answer was lost.
function methods:_taken_over(attempt, detail, receipt)
  local work = self.work
  local result = work.operation.rows.result or {}
  local verdict = { verdict = "accepted", cause = "probe", detail = detail, receipt = receipt, pending = result.accepted == "pending" }
  work.settler:learn(attempt.batch, verdict) -- before the accounting, after which the barrier no longer counts it as replacing
  local _, err = work.settle(attempt, verdict)
  if err then
    self:_stop(err)
  end
  self.batches = self.batches + 1
  if work.bisect then
    work.bisect:learn(attempt.batch, verdict)
  end
  work.pace:finished(attempt.ticket, verdict)
end

-- Handles a batch of which nothing was applied, or that may be sent twice: sent again, unless its attempts are used up.
function methods:_once_more(attempt)
  local work, old = self.work, attempt.batch
  work.pace:finished(attempt.ticket, { verdict = "not_applied", again = "soon" })
  local batch, err = work.take(old.index)
  if not batch then
    self:_stop(err)
    return self:_unsent(old)
  end
  batch.failed, batch.throttled, batch.left = (old.failed or 0) + 1, old.throttled, old.left
  if batch.failed >= work.attempts then
    self:_stop(attempt.problem)
  end
  self:_put_back(batch)
end

-- Settles the batches in doubt. Called while nothing is in flight.
function methods:_settle_doubt()
  local work, list = self.work, self.doubtful
  self.doubtful = {}
  local ok, commit_err = work.journal:commit()
  if not ok then
    self:_stop(commit_err)
  end
  for _, attempt in ipairs(list) do
    local as, detail, err, receipt
    if not self.error and not work.stopped() then
      as, detail, err, receipt = work.settler:settle(attempt.batch)
    end
    self.waiting = nil
    if err then
      self:_stop(err)
    end
    if as == "applied" then
      self:_taken_over(attempt, detail, receipt)
    elseif as == "again" then
      self:_once_more(attempt)
    else
      attempt.verdict.detail = attempt.verdict.detail or detail
      self:_book(attempt, attempt.verdict, attempt.problem)
      work.pace:finished(attempt.ticket, attempt.verdict)
      self:_judge(attempt.verdict, attempt.problem)
    end
  end
end

-- Waiting for the platform to be asked again.
function methods:pausing(seconds)
  self.waiting = { seconds = seconds, reason = "probe" }
  self.work.progress(self)
end

return methods

-- SPDX-License-Identifier: MIT
-- The engine's part of the fast path (import/run/fast_path): whole groups of batches at once, each step doing exactly what the regular path does
-- with a usual batch. Anything else is left to the regular path, at that point. Extends import/run/engine.

local methods = {}

-- Bodies prepared in a row before the commit in progress is checked again.
local AHEAD = 4

-- Prepares as many batches as may be sent on the fast path, up to the first that cannot take it.
function methods:_fill_groups()
  local work, fast_path = self.work, self.work.fast_path
  local pace, bisect = work.pace, work.bisect
  if not fast_path:is_ready() or work.window or bisect and not bisect:is_idle() or not pace:is_free() or self.again[1] or self.error
    or work.stopped() then
    return
  end
  local coming, ready, spare = self.coming, self.ready, self.spare
  local left, last = #spare, #ready
  local before = last
  for place = before + 1, before + pace:limit() - self:_busy() do
    local first = self.first
    local batch = coming[first] or self:_look_ahead()
    local source = batch and fast_path:load(batch)
    if not source then
      break
    end
    self:_pause()
    coming[first], self.first = nil, first + 1
    local attempt = spare[left]
    if attempt then
      spare[left], left = nil, left - 1
      attempt.batch, attempt.lease, attempt.source, attempt.ticket = batch, batch, source, nil
    else
      attempt = { batch = batch, lease = batch, source = source, request = nil, number = nil, answer = nil, ticket = nil, begun = nil,
        sent_at = nil }
    end
    ready[place], last = attempt, place
  end
  local begun, err = work.journal:begin_all(ready, before + 1, last)
  if begun < last then
    self:_stop(err)
    for place = begun + 1, last do
      self:_unsent(ready[place].batch)
      ready[place] = nil
    end
  end
end

-- Sends a durable group, if all of it can take the fast path and may be sent now. Returns the number of attempts that were dealt with.
function methods:_launch_groups(attempts)
  local work, flying, sources, ids = self.work, self.flying, self.sources, self.ids
  local fast_path, journal, pace, count = work.fast_path, work.journal, work.pace, #attempts
  if count == 0 or self.error or work.stopped() or self.in_flight + count > pace:limit() or pace:is_paused() then
    return 0
  end
  for i = 1, count do
    local attempt = attempts[i]
    local source = attempt.source
    if not source then
      return 0
    end
    sources[i], attempt.begun, attempt.request = source, true, fast_path.request
  end
  if not journal:go_all(attempts, count) then
    return 0
  end
  local ticket = pace:started_all(count, self:_busy() + count) -- those that wait for their commit fill the limit, too
  local sent, refused = fast_path:submit(sources, count, ids)
  for i = 1, sent do
    local attempt = attempts[i]
    flying[ids[i]], attempt.ticket, attempt.source = attempt, ticket, nil
    if attempt.number > 1 and attempt.number - (attempt.batch.withdrawn or 0) > 1 then
      self.retries = self.retries + 1
    end
  end
  self.in_flight, self.requests = self.in_flight + sent, self.requests + sent
  if not refused then
    return count
  end
  local attempt = attempts[sent + 1]
  attempt.ticket, attempt.source = ticket, nil
  self:_conclude(attempt, nil, nil, refused)
  return sent + 1
end

-- Records known answers: their batches were accepted.
function methods:_pass(known, count)
  local work, flying, spare, passed = self.work, self.flying, self.spare, self.passed
  local fast_path, bisect, before = work.fast_path, work.bisect, #self.spare
  local rows, sent, took, repeated, left_at, at = 0, 0, 0, 0, 0, 1
  for i = 1, count do
    local id = known[at]
    local attempt = flying[id]
    local batch = attempt.batch
    flying[id], spare[before + i], passed[i] = nil, attempt, batch -- nothing else refers to the attempt: it is reused
    left_at = left_at and attempt.sent_at and left_at + attempt.sent_at
    batch.clean = true
    if batch.failed then
      repeated = repeated + 1
    end
    rows, took, sent, at = rows + batch.accepted, took + known[at + 1], sent + known[at + 2], at + 4
  end
  local ok, err = work.journal:passed(passed, count, known, fast_path.outcome, took, left_at and left_at / count)
  if not ok then
    self:_stop(err)
  end
  self.in_flight, self.batches, self.bytes = self.in_flight - count, self.batches + count, self.bytes + sent
  work.passed(rows, fast_path.outcome.awaits)
  if bisect then
    bisect:passed(rows)
  end
  work.pace:passed(spare, before + 1, before + count, took, repeated)
  self:_weigh()
end

-- Prepares the body of the next batch while there is nothing else to do, so that it can be sent as soon as an answer makes room for it. Returns
-- false when there is nothing to prepare.
function methods:_load_ahead()
  local work, at = self.work, math.max(self.loaded + 1, self.first)
  local fast_path = work.fast_path
  if not fast_path or not fast_path.template or at - self.first >= work.pace:limit() or self.error or work.stopped() or #self.doubtful > 0 then
    return false
  end
  local batch = self.coming[at] or self:_look_ahead()
  if not batch or not fast_path:prepare(batch) then
    return false
  end
  self.loaded = at
  self:_pause()
  return true
end

-- Prepares a few bodies; false if there were none to prepare.
function methods:_load_some()
  local made = 0
  while made < AHEAD and self:_load_ahead() do
    made = made + 1
  end
  return made > 0
end

-- Takes the answers that have arrived, or waits for the next one and prepares bodies meanwhile. Answers taken together share the next commit;
-- half of the requests stay in flight while the next ones are prepared.
function methods:_collect_groups(seconds)
  local fast_path, known, left = self.work.fast_path, self.known, math.ceil(self.work.pace:limit() / 2)
  local count, id, result = fast_path:take(0, left, known)
  local made = 0
  while count == 0 and not id and self:_load_ahead() do
    made = made + 1
    if made == AHEAD and self.committing then
      return -- the commit may have ended meanwhile
    end
    count, id, result = fast_path:take(0, left, known)
  end
  if count == 0 and not id then
    count, id, result = fast_path:take(seconds, left, known, self.committing and self.work.committer or nil)
  end
  repeat
    if count > 0 then
      self:_pass(known, count)
      self:_pause()
    end
    if not id then
      return
    end
    self:_take(id, result)
    self:_pause()
    left = left - count - 1
    count, id = 0, nil
    if left > 0 and self.in_flight > 0 then
      count, id, result = fast_path:take(0, left, known)
    end
  until count == 0 and not id
end

return methods

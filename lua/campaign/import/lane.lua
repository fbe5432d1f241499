-- SPDX-License-Identifier: MIT
-- The short way of a batch about which nothing is unusual: a call that differs from the one before in its rows alone, and an answer that
-- differs from a known one in the platform's number alone. What such an answer means was decided by the plain way, once; the engine of the
-- transport compares. Whatever is not so in every respect is left to the plain way, which every run begins with.

local verdicts = require "campaign.import.verdict"

local M = {}

-- Bytes of bodies that are made before their turn, at most.
local MOST_BYTES = 4194304

-- A request may take this many seconds and one more for so many bytes of its body.
local REQUEST_SECONDS, BYTES_PER_SECOND = 60, 262144

local methods = {}
local mt = { __index = methods, __name = "campaign.import.lane" }

---@class campaign.import.lane
---@field template userdata? of the transport; nil as long as no good answer is known
---@field status integer? of the known answer
---@field request table? the request of the plain way that the template was made of

---A lane, where all that could be asked of a single call is answered by the call before it.
---@param work table of the engine: operation, env, settler, transport
---@param state table of the job: client, encoder, input, options; like (of import/request)
---@return campaign.import.lane?
function M.new(work, state)
  local operation, scheme = work.operation, work.operation.scheme
  local class = getmetatable(work.transport)
  local may = type(class) == "table" and class.offers_templates and operation.body == "json" and operation.response == "json"
    and not operation.receipt and not operation.closed -- each answer tells the time
    and not (scheme and scheme.kind == "oauth2") -- tokens run out
    and not state.options.overwrite and not work.settler and not work.env.pause
  if not may then
    return nil
  end
  return setmetatable({
    template = nil, request = nil, _entry = nil, _verdicts = {}, _bytes = 0, _operation = operation, _transport = work.transport, _state = state,
    _clock = state.client:clock(),
  }, mt)
end

---The body of a batch, when its call can take the short way.
---@param batch table
---@return userdata? source nil: the plain way makes it, or finds out why not
function methods:load(batch)
  local body = batch.body
  if body then
    batch.body, self._bytes = nil, self._bytes - batch.body_bytes
    return body
  elseif not self.template then
    return nil
  end
  local state = self._state
  local source, sum = state.encoder:source(state.input, batch)
  if source and sum == batch.hash then
    return source
  elseif source then
    source:close()
  end
  return nil
end

---Makes the body of a batch before its turn; `load` gives it then.
---@param batch table
---@return boolean made false when so many are made already that there is no room for another one
function methods:prepare(batch)
  if batch.body or self._bytes + batch.body_bytes > MOST_BYTES then
    return false
  end
  batch.body = self:load(batch)
  if batch.body then
    self._bytes = self._bytes + batch.body_bytes
  end
  return true
end

---A batch will not be sent.
---@param batch table
function methods:drop(batch)
  local body = batch.body
  if body then
    batch.body, self._bytes = nil, self._bytes - batch.body_bytes
    body:close()
  end
end

---Sends the call with this body.
---@param source userdata of `load`
---@param batch table
---@return number? id
---@return campaign.error? err
function methods:submit(source, batch)
  return self._transport:submit_like(self.template, source, math.ceil(REQUEST_SECONDS + batch.body_bytes / BYTES_PER_SECOND))
end

---What a known answer means for a batch.
---@param batch table
---@param text string? the platform's number in it
---@return campaign.verdict? verdict good until the next one is asked for; nil: ask the plain way
function methods:verdict(batch, text)
  if not self._clock:pass_over() then
    return nil -- the platform's clock is looked at now and then
  end
  local rows = batch.accepted
  local verdict = self._verdicts[rows]
  if verdict == nil then
    verdict = verdicts.success(self._operation, rows, self._entry.reply)
    verdict = verdict.verdict == "accepted" and verdict
    self._verdicts[rows] = verdict
  end
  if verdict and text then
    verdict.receipt = text
  end
  return verdict or nil
end

---The plain way took an answer for a full success: answers like it are known from now on.
function methods:learn()
  local state = self._state
  local entry = state.client:remembered(self._operation.name)
  if not entry or entry == self._entry then
    return
  end
  if not self.template then
    self.template = self._transport:template(state.like)
    self.request = state.like
  end
  if self.template and self.template:expect(entry.status, entry.before or entry.body, entry.after) then
    self._entry, self._verdicts, self.status = entry, {}, entry.status
  end
end

---@param engine table methods of the engine
function M.add(engine)
  -- As many batches as may leave and can take the short way, up to the first that cannot.
  function engine:_fill_short()
    local work, lane = self.work, self.work.lane
    local pace, journal, bisect = work.pace, work.journal, work.bisect
    if not lane.template or work.window or bisect and not bisect:is_idle() or not pace:is_free() then
      return
    end
    local busy, limit, ready = self:_busy(), pace:limit(), self.ready
    while busy < limit and not self.again[1] and not self.error and not work.stopped() do
      local batch = self.coming[self.first] or self:_look_ahead()
      local source = batch and lane:load(batch)
      if not source then
        return
      end
      self.coming[self.first] = nil
      self.first, busy = self.first + 1, busy + 1
      local number = (batch.attempts or 0) + 1
      local attempt = { batch = batch, number = number, request = lane.request, source = source, intent = nil, ticket = nil, begun = nil }
      batch.attempts = number
      local ok, err = journal:begin(attempt)
      if not ok then
        self:_stop(err)
        return self:_unsent(batch)
      end
      attempt.ticket = pace:started(busy)
      ready[#ready + 1] = attempt
    end
  end

  -- A known answer, which says that the batch was taken over: what the plain way does with it, and no more.
  function engine:_pass(attempt, verdict, seconds, bytes)
    local work, batch = self.work, attempt.batch
    attempt.request = nil
    self:_book(attempt, verdict)
    if work.bisect then
      work.bisect:learn(batch, verdict)
    end
    self.bytes = self.bytes + bytes
    local ok, err = work.journal:finish(attempt, {
      verdict = "accepted", cause = verdict.cause, receipt = verdict.receipt, sent = "yes", awaits = verdict.pending or nil,
      status = work.lane.status, bytes_sent = bytes, body_bytes = batch.body_bytes, seconds = seconds,
    })
    if not ok then
      self:_stop(err)
    end
    work.pace:passed(attempt.ticket, seconds, (batch.failed or 0) > 0)
    self:_weigh()
  end

  -- While there is nothing else to do: the body of a batch that comes soon, so that it leaves at once when an answer gives it leave. False when
  -- there is none to make.
  function engine:_load_ahead()
    local work, at = self.work, math.max(self.loaded + 1, self.first)
    local lane = work.lane
    if not lane or not lane.template or at - self.first >= work.pace:limit() or self.error or work.stopped() or #self.doubtful > 0 then
      return false
    end
    local batch = self.coming[at] or self:_look_ahead()
    if not batch or not lane:prepare(batch) then
      return false
    end
    self.loaded = at
    return true
  end

  -- Without a result it is the expected answer to what the lane has sent, with what is told of it.
  function engine:_take(id, result, seconds, bytes, text)
    local work, attempt = self.work, self.flying[id]
    if not attempt then
      return
    end
    self.flying[id] = nil
    self.in_flight = self.in_flight - 1
    if not result then
      local verdict = work.lane:verdict(attempt.batch, text)
      if verdict then
        return self:_pass(attempt, verdict, seconds, bytes)
      end
      result = work.transport:result()
    end
    local reply, err = work.finish(attempt.request, result, attempt.batch)
    attempt.request = nil
    self:_conclude(attempt, result, reply, err)
  end
end

---Lets go of the template and its secrets.
function methods:close()
  if self.template then
    self.template:close()
    self.template = nil
  end
end

return M

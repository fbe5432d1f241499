-- SPDX-License-Identifier: MIT
-- The fast path of usual batches: a call that differs from the one before only in its rows, and an answer that differs from a known one
-- only in the platform's id of the call. The meaning of such an answer was determined once by the regular path; the transport's engine
-- compares the bytes. Anything else is left to the regular path, with which every run starts.

local verdicts = require "campaign.import.run.verdict"

local M = {}

-- Maximum of bytes in bodies that are prepared ahead.
local MOST_BYTES = 4194304

-- Time limit of a request: that of import/run/request for the longest body that is made in memory, a MiB.
local REQUEST_SECONDS = 64

local methods = {}
local mt = { __index = methods, __name = "campaign.import.run.fast_path" }

---@class campaign.import.run.fast_path
---@field template userdata? of the transport; nil as long as no good answer was seen
---@field outcome table? what the known answer means for a batch that it suits: the same for all of them
---@field request table? the request of the plain way that the template was made of
---@field is_stale boolean the request's access token has run out or was refused: the regular path gets another one, and sees an answer to it

---Creates the fast path, if one call of this operation differs from the next in its rows alone. Otherwise returns nil.
---@param work table of the engine: operation, env, settler, transport
---@param state table of the job: client, encoder, input, options; like (of import/run/request)
---@return campaign.import.run.fast_path?
function M.new(work, state)
  local operation, scheme = work.operation, work.operation.scheme
  local class = getmetatable(work.transport)
  local may = type(class) == "table" and class.offers_templates and operation.response == "json"
    and operation.rows.shape ~= "csv" and not operation.rows.is_call
    and not operation.receipt and not operation.closed -- each answer tells the time
    and not (scheme and (scheme.kind == "signature" or scheme.field)) -- each call is signed anew, or has a token in its form
    and not operation.call_key
    and not state.options.overwrite and not (work.settler and work.settler:looks())
  if not may then
    return nil
  end
  return setmetatable({
    template = nil, request = nil, outcome = nil, is_stale = false, _suits = {}, _entry = nil, _bytes = 0,
    _operation = operation, _transport = work.transport, _state = state, _clock = state.client:clock(),
  }, mt)
end

-- Whether an answer is a full success for a batch of so many rows.
local function is_good(operation, rows, entry)
  return verdicts.success(operation, rows, entry.reply).verdict == "accepted"
end

-- Whether the known answer is.
function methods:_is_known_good(rows)
  if self._suits[rows] == nil and self._entry then
    self._suits[rows] = is_good(self._operation, rows, self._entry)
  end
  return self._suits[rows]
end

---Whether calls can be made like the known one now. Ask before each group: access tokens run out while an import runs.
function methods:is_ready()
  local request = self.request
  if request and not self.is_stale and self._operation.tokens then
    self.is_stale = not self._state.client:is_current(request)
  end
  return request ~= nil and not self.is_stale
end

---The body of a batch, if its call can take the fast path.
---@param batch table
---@return userdata? source nil: the regular path makes it, or finds out why it cannot be made
function methods:load(batch)
  if self.is_stale then
    self:drop(batch)
    return nil
  end
  local body = batch.body
  if body then
    batch.body, self._bytes = nil, self._bytes - batch.body_bytes
    return body
  end
  local rows = batch.accepted
  if not (self._suits[rows] or self:_is_known_good(rows)) then
    return nil
  end
  local state = self._state
  return state.encoder:body(state.input, batch)
end

---Prepares the body of a batch ahead of time, for `load`.
---@param batch table
---@return boolean made false if there is no room for another one
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

---Discards the prepared body of a batch that will not be sent.
---@param batch table
function methods:drop(batch)
  local body = batch.body
  if body then
    batch.body, self._bytes = nil, self._bytes - batch.body_bytes
    body:close()
  end
end

---Sends one call for each of these bodies, stopping at the first that is refused.
---@param sources userdata[] from `load`; consumed
---@param count integer number of sources
---@param into table receives the ids of the requests
---@return integer sent number of requests
---@return campaign.error? err why the next one was refused
function methods:submit(sources, count, into)
  return self._transport:submit_like(self.template, sources, count, REQUEST_SECONDS, into)
end

---Takes consecutive known answers, up to the first other one. Every 256th answer is treated as an unknown one, because the platform's clock is
---read from it.
---@param seconds number maximum wait for the first
---@param most integer maximum of known answers
---@param into table receives id, seconds, bytes sent and the platform's id (or false) of each known answer, one after another
---@param ledger table? the ledger that is committing, if the end of its commit is to end the wait
---@return integer count known answers; `outcome` says what they mean
---@return number? id of an answer for the regular path
---@return table? result
function methods:take(seconds, most, into, ledger)
  local clock = self._clock
  local left = clock:may_pass_over()
  local template = left > 0 and self.template or nil
  local count, id, result = self._transport:known(seconds, template, template and left < most and left or most, into, ledger)
  if count > 0 then
    clock:passed_over(count)
  end
  return count, id, result
end

-- The template of the request that the regular path sends now, if it has not got one yet.
function methods:_template_of_now()
  local state = self._state
  if self.template and not self.is_stale then
    return self.template, self.request
  elseif self.is_stale and not state.client:is_current(state.like) then
    return nil
  end
  return self._transport:template(state.like), state.like
end

---The regular path found an answer to be a full success: answers like it are known from now on, unless that would change the meaning of the
---answer known so far for batches that may be in flight.
---@param rows integer of the batch whose answer it was
function methods:learn(rows)
  local entry = self._state.client:remembered(self._operation.name)
  if not entry or entry == self._entry and not self.is_stale then
    return
  end
  local verdict = verdicts.success(self._operation, rows, entry.reply)
  local suits = { [rows] = true }
  for before, was_good in pairs(self._suits) do
    suits[before] = was_good or nil
  end
  for others in pairs(suits) do
    if not is_good(self._operation, others, entry) then
      return
    end
  end
  local template, request = self:_template_of_now()
  if template and template:expect(entry.status, entry.before or entry.body, entry.after) then
    if template ~= self.template then
      self:close() -- answers to its requests that are still to come are left to the regular path
    end
    self.template, self.request, self.is_stale = template, request, false
    self._entry, self._suits = entry, suits
    self.outcome = { verdict = "accepted", cause = verdict.cause, receipt = verdict.receipt, awaits = verdict.pending, sent = "yes",
      status = entry.status }
  end
end

---Frees the template, which holds secrets.
function methods:close()
  if self.template then
    self.template:close()
    self.template = nil
  end
end

return M

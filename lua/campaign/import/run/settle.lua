-- SPDX-License-Identifier: MIT
-- Determines the outcome of a batch in doubt: by a query at the platform if its data says how (`probe`), else by sending it again if that
-- is harmless (effect `idempotent`). Otherwise it stays in doubt (late callbacks: import/run/late_results). Each decision is one commit of the ledger,
-- so that a process that dies in between loses nothing and decides nothing twice.

local boot = require "campaign.boot"
local core = require "campaign.core"
local error_object = require "campaign.error"
local normalise = require "campaign.api.normalise"
local probe_module = require "campaign.import.run.probe"

local M = {}

-- Seconds: first pause between two queries, longest pause, and how long to query if the data does not say when a call is over.
local FIRST_PAUSE, LONGEST_PAUSE, PATIENCE = 2, 30, 30

-- Maximum number of queries for one batch, and of consecutive failed ones.
local MOST_LOOKS, MOST_FAILED = 60, 5

-- Seconds by which the wall clock may drift from the clock since boot before it counts as set.
local CLOCK_SET = 2

-- What a cache shows of an earlier moment proves nothing: the batch could then be sent twice.
local LIVE = { live = true }

-- Longest single sleep, so that a stop request is noticed.
local TICK = 0.5

local methods = {}
local mt = { __index = methods, __name = "campaign.import.run.settle" }

---@class campaign.import.run.settle
---@param options table operation, client, ledger, env, fields (of a batch), sha256 (of a batch), is_destructive (of a batch), stopped,
---waiting (told seconds), alone (one call under way at a time), pace? (of the job), attempts, lock? (of the target)
---@return campaign.import.run.settle? settle nil where only the user can settle batches
function M.new(options)
  local operation = options.operation
  -- With several calls in flight, a query could not tell which of them it shows.
  local probe = options.alone and type(operation.probe) == "table" and operation.probe or nil
  if not probe and operation.effect ~= "idempotent" then
    return nil
  end
  local self = setmetatable({ _o = options, _probe = probe, _expected = nil, _disturbed = false }, mt)
  if probe then
    self._boot, self._booted = boot.id(), self:_boot_time()
  end
  return self
end

-- The time of boot by the wall clock: if it changes, the clock was set.
function methods:_boot_time()
  local env = self._o.env
  return env.now() - env.monotonic()
end

function methods:_pause(seconds)
  local options = self._o
  local left = seconds
  while left > 0 and not options.stopped() do
    options.waiting(left)
    local tick = math.min(left, TICK)
    options.env.sleep(tick)
    left = left - tick
  end
  return not options.stopped()
end

-- Makes one query; nil and the reason if it shows nothing.
function methods:_look(batch)
  local options, probe = self._o, self._probe
  local fields = options.fields(batch)
  local asked = {}
  local operation = options.client.platform.operations[probe.operation]
  for _, field in ipairs(operation.fields) do
    local ours = (probe.params or {})[field.name] or field.name
    asked[field.name] = fields[ours]
  end
  while options.pace do
    -- A query counts toward the platform's limit of calls.
    local seconds = options.pace:take()
    if seconds <= 0 or not self:_pause(seconds) then
      break
    end
  end
  local entries, err
  local sent_at = options.env.monotonic()
  if operation.pages then
    entries, err = options.client:all(operation.name, asked, LIVE)
  else
    local reply
    reply, err = options.client:call(operation.name, asked, LIVE)
    entries = reply and normalise.at(reply, probe.list)
  end
  if options.pace then
    options.pace:told(sent_at, err)
  end
  if err then
    return nil, tostring(err.message), err
  elseif type(entries) ~= "table" then
    return nil, "the answer has no list"
  end
  return probe_module.read(probe, entries, fields, function() return options.sha256(batch) end)
end

---Whether the platform is queried before each batch is sent.
---@return boolean
function methods:looks()
  return self._probe ~= nil
end

---Makes the query before a batch is sent. Its result is to be recorded in the ledger with the intent.
---@param batch table
---@return string? text nil if there is nothing to compare with later
function methods:before(batch)
  if not self._probe then
    return nil
  end
  local seen = self:_look(batch)
  if seen and seen.total and self._expected and seen.total ~= self._expected then
    -- The previous batch was accepted, but the total is not as expected: others write, or rows are counted otherwise than assumed.
    self._disturbed = true
  end
  self._seen = seen and seen.total
  if seen and self._disturbed then
    seen.disturbed = true
  end
  if seen and self._o.lock then
    seen.turn = self._o.lock:turn()
  end
  if seen then
    seen.boot, seen.booted = self._boot, self:_boot_time()
  end
  return probe_module.write(seen)
end

---Learns from the outcome of a batch what the next query must show.
---@param batch table
---@param verdict campaign.verdict
function methods:learn(batch, verdict)
  local seen = self._seen
  self._expected, self._seen = nil, nil
  if not seen then
    return
  end
  local is_destructive = self._o.is_destructive(batch)
  if verdict.verdict == "accepted" then
    self._expected = (is_destructive and 0 or seen) + batch.accepted
  elseif verdict.verdict == "rejected" or verdict.verdict == "not_applied" then
    self._expected = seen
  end
end

---Whether batches in doubt can be settled, by queries or by sending them again. Then nothing else may be in flight meanwhile.
---@return boolean
function methods:may()
  return self._probe ~= nil or self._o.operation.effect == "idempotent"
end

-- The time, by the clock since boot, from which on nothing of a call can happen any more. The wall clock says when the call ended; if it was set
-- since, it is not trusted, since a call might then count as over too early. A call that ended before the boot has been over since then at least.
function methods:_deadline(ended, before)
  local env, patience = self._o.env, self._probe.settle or PATIENCE
  local left = ended + patience - env.now()
  if before.boot and before.boot ~= self._boot then
    left = math.max(patience - env.monotonic(), 0)
  elseif left > patience or math.abs(self:_boot_time() - (before.booted or self._booted)) > CLOCK_SET then
    left = patience
  end
  return env.monotonic() + left
end

-- Repeats the query until the finding can no longer change.
function methods:_watch(batch, before, ended)
  local options, probe = self._o, self._probe
  local call = { rows = batch.accepted, is_destructive = options.is_destructive(batch) }
  local deadline = self:_deadline(ended, before)
  local pause, failed, confirmed = FIRST_PAUSE, 0, nil
  local why = "no look succeeded"
  for _ = 1, MOST_LOOKS do
    local is_last = options.env.monotonic() >= deadline
    local seen, problem, err = self:_look(batch)
    if err then
      failed = failed + 1
      why = problem
      if failed >= MOST_FAILED or err.kind == "auth" or err.kind == "ledger" then
        return nil, why
      end
    elseif not seen then
      return nil, problem
    else
      failed = 0
      local finding, said, receipt = probe_module.judge(before, seen, call)
      why = said
      if finding == "unclear" then
        return nil, said
      elseif finding == "applied" then
        if confirmed and probe_module.same(confirmed, seen) then
          return "applied", said, receipt
        end
        confirmed = seen -- twice the same: nobody is writing at the moment
      else
        confirmed = nil
        if is_last then
          local is_over = finding == "unchanged" and probe.settle and not call.is_destructive
          return is_over and "not-applied" or nil, said
        end
      end
    end
    local wait = is_last and FIRST_PAUSE or math.min(pause, math.max(deadline - options.env.monotonic(), FIRST_PAUSE))
    if not self:_pause(wait) then
      return nil, "stopped while looking: " .. why
    end
    pause = math.min(pause * 2, LONGEST_PAUSE)
  end
  return nil, why
end

function methods:_by_looking(batch)
  local found, err = self._o.ledger:ask("doubt", batch.index)
  if not found then
    return nil, nil, nil, err
  end
  local before = probe_module.restore(found[1] and found[1].before)
  if not before then
    return nil, "nothing was seen before it was sent that could be compared"
  end
  local lock = self._o.lock
  if lock and lock:is_kept() and before.turn ~= lock:turn() then
    local other = lock:other()
    return nil, other and "another import has sent to this target since: " .. other or "nobody knows who sent to this target since"
  end
  local last
  last, err = self._o.ledger:ask("last_of", batch.index)
  if not last then
    return nil, nil, nil, err
  end
  return self:_watch(batch, before, last[1] and last[1].ended or self._o.env.now())
end

-- Records what the queries found; returns what `settle` does.
function methods:_settle_by_probe(batch)
  local ledger, result = self._o.ledger, self._o.operation.rows.result
  local is_pending = result and result.accepted == "pending"
  local as, detail, receipt, err = self:_by_looking(batch)
  if err then
    return nil, nil, err
  end
  local ok = true
  if not as then
    ok, err = ledger:note(batch.index, "probe", "unclear", detail)
    if ok then
      ok, err = ledger:commit()
    end
    return nil, detail, not ok and err or nil
  elseif as == "applied" and (receipt or is_pending) then
    ok, err = ledger:credit(batch.index, receipt, is_pending)
  end
  if not ok then
    return nil, nil, err
  end
  ok, err = ledger:resolve(batch.index, as, "probe", detail)
  if ok == false then
    err = error_object.new{ kind = "ledger", retry = false, message = ("batch %d is not in doubt any more"):format(batch.index) }
  end
  return ok and (as == "applied" and "applied" or "again") or nil, detail, not ok and err or nil, receipt
end

---Settles a batch that is in doubt in the ledger.
---@param batch table
---@return "applied"|"again"|nil as nil: it stays in doubt
---@return string? detail evidence in words
---@return campaign.error? err the ledger failed
---@return string? receipt
function methods:settle(batch)
  local options = self._o
  if self._probe then
    return self:_settle_by_probe(batch)
  elseif options.operation.effect == "idempotent" and (batch.attempts or 0) < options.attempts then
    local detail = "the platform's data says that it may be sent again"
    local ok, err = options.ledger:resolve(batch.index, "repeat", "idempotent", detail)
    return ok and "again" or nil, detail, err
  end
  return nil
end

---Settles what an earlier run left in doubt.
---@param only integer? the number of a batch: no other is settled
---@return table[]? settled batch, as, detail
---@return campaign.error? err
function methods:settle_all(only)
  local doubtful, settled = {}, {}
  for batch in self._o.ledger:scan("told") do
    if batch.state == "U" then
      doubtful[#doubtful + 1] = batch
    end
  end
  for _, batch in ipairs(doubtful) do
    local as, detail, err
    if not only or only == batch.index then
      if self._probe and self._probe.kind == "total" and #doubtful > 1 then
        -- A total tells how many rows arrived, not from which batch.
        detail = "several batches are in doubt: their total cannot tell them apart"
      elseif not self._o.stopped() then
        as, detail, err = self:settle(batch)
      end
      if err then
        return nil, err
      end
      settled[#settled + 1] = { batch = batch.index, as = as, detail = detail }
    end
  end
  return settled
end

---SHA-256 of a batch's body.
---@param encoder userdata
---@param input userdata
---@param batch table
---@return string?
function M.sha256(encoder, input, batch)
  local text = encoder:text(input, batch)
  return text and core.digest.sha256(text)
end

return M

-- SPDX-License-Identifier: MIT
-- Records the engine's attempts: begin before the first byte, finish with the outcome; start and settled make both durable. The ledger is
-- authoritative; batches.jsonl has the same for people and tools, and is generated from the ledger when a run ends.

local discard = require "campaign.discard"
local error_object = require "campaign.error"
local folder_module = require "campaign.import.folder"
local group_commit = require "campaign.import.run.group_commit"

local M = {}

-- Most batches leased at a time, and about how many rows these may have: a batch names each row of it that is left out, which is a long text for a
-- file of 100,000 rows.
local CLAIM, CLAIM_ROWS = 256, 65536

-- The same where others share the thread: every table of a batch makes the collector do a step, and while it sweeps, the steps of 256 take 3 to 5 ms.
local CLAIM_SHARED = 16

local methods = {}
local mt = { __index = methods, __name = "campaign.import.run.journal" }

---@param folder table the job folder
---@param ledger table
---@param monotonic fun(): number seconds
---@param is_shared boolean? others share this thread, and another one makes the requests
---@param batch_rows integer most rows of a batch
function M.new(folder, ledger, monotonic, is_shared, batch_rows)
  return setmetatable({ _folder = folder, _ledger = ledger, _leases = nil, _at = 0, _dirty = false,
    _claim = math.max(1, math.min(is_shared and CLAIM_SHARED or CLAIM, math.floor(CLAIM_ROWS / batch_rows))),
    _group_commit = group_commit.new(monotonic, is_shared) }, mt)
end

---Appends the next pending batches of the plan to a list, without those that have no rows to send.
---@param into table
---@param last integer where the list ends
---@return integer last where it ends now; as before when no batch is left
---@return campaign.error? err
function methods:next_batches(into, last)
  local ledger, leases, at, before = self._ledger, self._leases, self._at, last
  local ok, err = true, nil
  if not leases then -- pieces that an earlier run left come first: their rows precede those of all other batches
    leases, err = ledger:pieces()
    ok = leases
  elseif at > 0 and at < #leases then -- those that were kept back, so that the ledger has time to lease more
    ok, err = ledger:claim_ahead(self._claim)
  end
  if ok and at == #leases then
    leases, err = ledger:claim(self._claim)
    ok, self._leases, self._at, at = leases, leases or {}, 0, 0
  end
  if not ok then
    return last, err
  end
  local kept_back = math.floor(self._claim / 4)
  local to = at == 0 and #leases > kept_back and #leases - kept_back or #leases
  for i = at + 1, to do
    local batch = leases[i]
    if batch.accepted > 0 then
      last = last + 1
      into[last] = batch
    end
  end
  self._leases, self._at = leases, to
  if last == before and to > at then
    return self:next_batches(into, last)
  end
  return last
end

---Records the intent of an attempt. Nothing may be sent before that is durable, and only if `go` is true then.
---@param attempt table batch, number; before (what was seen at the platform, when it was `looked` at); the ledger's ticket from here on
---@return true? ok
---@return campaign.error? err
function methods:begin(attempt)
  local ok, err = true, nil
  if attempt.looked then
    ok, err = self._ledger:seen_before(attempt.batch, attempt.before)
  end
  if not ok then
    return nil, err
  end
  local ticket
  ticket, err = self._ledger:begin(attempt.batch, attempt)
  if not ticket then
    return nil, err
  end
  self._dirty = true
  return true
end

---Records the intents of several attempts, as `begin`; for none of them the platform was queried before.
---@param attempts table[] lease: the batch; the ledger's tickets from here on
---@param first integer the first of them
---@param last integer
---@return integer last the last one of which that went well
---@return campaign.error? err
function methods:begin_all(attempts, first, last)
  self._dirty = true
  return self._ledger:begin_all(attempts, first, last)
end

---Whether the attempt may be sent.
---@param attempt table
---@return true? ok
---@return campaign.error? err
function methods:go(attempt)
  if attempt.answer ~= "go" then
    return nil, error_object.new{
      kind = "ledger", retry = false, sent = "no",
      message = ("batch %d is no longer assigned to this process"):format(attempt.batch.index),
      hint = "does another process work on this job?",
    }
  end
  attempt.batch.attempts = attempt.number
  attempt.sent_at = self._group_commit:sent_at()
  return true
end

---Whether all of these attempts may be sent; if not, `go` tells which.
---@param attempts table[]
---@param count integer how many of them
---@return boolean
function methods:go_all(attempts, count)
  local sent_at = self._group_commit:sent_at()
  for i = 1, count do
    local attempt = attempts[i]
    if attempt.answer ~= "go" then
      return false
    end
    attempt.batch.attempts, attempt.sent_at = attempt.number, sent_at
  end
  return true
end

-- Masks long runs of digits: a platform's message may contain a phone number.
local function masked(text)
  return text and (text:gsub("%d%d%d%d%d%d%d+", function(digits)
    return digits:sub(1, 3) .. ("*"):rep(#digits - 5) .. digits:sub(-2)
  end))
end

---Records the outcome of an attempt.
---@param attempt table batch, number, refused? (numbers of the rows that the platform refused; `said` of each)
---@param outcome table verdict, cause, receipt, status, code, kind, sent, guard, bytes_sent, body_bytes, seconds, detail, reason, message,
---awaits
---@return true? ok
---@return campaign.error? err
function methods:finish(attempt, outcome)
  if outcome.detail or outcome.message then
    outcome.detail, outcome.message = masked(outcome.detail), masked(outcome.message)
  end
  self._dirty = true
  if outcome.seconds then
    self._group_commit:answered(outcome.seconds, 1, attempt.sent_at)
  end
  local refused = outcome.verdict == "partly" and attempt.refused
  if refused and #refused > 0 then
    local rows = {}
    for i, row in ipairs(refused) do
      local said = refused.said[row]
      rows[i] = { row = row, batch = attempt.batch.index, state = "rejected", cause = "platform", reason = "refused",
        code = masked(said.code), message = masked(said.message) }
    end
    outcome.rejected = #refused
    local ok, err = self._ledger:record(rows)
    if not ok then
      return nil, err
    end
  end
  return self._ledger:finish(attempt.batch, outcome)
end

---Records attempts that were full successes, and about which the platform said nothing but its id of the batch.
---@param batches table[]
---@param count integer how many of them
---@param told table of each: its id, seconds, bytes sent, and the platform's number or false
---@param outcome table what they have in common, as for `finish`
---@param seconds number that they took together
---@param sent_at number? when they left, in the mean, where another thread makes the requests
---@return true? ok
---@return campaign.error? err
function methods:passed(batches, count, told, outcome, seconds, sent_at)
  self._dirty = true
  self._group_commit:answered(seconds / count, count, sent_at)
  return self._ledger:finish_all(batches, count, told, outcome)
end

---Replaces a batch by pieces. Durable when this returns, together with the batch's outcome.
---@param batch table
---@param pieces table[]
---@return table[]? leases
---@return campaign.error? err
function methods:split(batch, pieces)
  local leases, err = self._ledger:split(batch, pieces)
  local ok
  if leases then
    self._dirty = true
    ok, err = self:commit()
  end
  if ok and not leases[1].index then
    ok, err = nil, error_object.new{
      kind = "ledger", retry = false, sent = "no", message = ("batch %d is no longer assigned to this process"):format(batch.index),
      hint = "does another process work on this job?",
    }
  end
  return ok and leases, err
end

---True if something was begun or finished since the last `start`.
---@return boolean
function methods:dirty()
  return self._dirty
end

---Starts the commit of everything recorded; `settled` tells when it is durable.
---@return true? ok
---@return campaign.error? err
function methods:start()
  self._dirty = false
  self._group_commit:start()
  return self._ledger:start()
end

---@return boolean? settled false while something is on its way
---@return campaign.error? err
function methods:settled()
  local settled, err = self._ledger:settled()
  if settled then
    self._group_commit:settled()
  end
  return settled, err
end

---How long to wait for pending answers before `start`, so that one sync covers them, too.
---@param under_way integer how many
---@param limit integer how many there may be
---@return number? seconds nil: not at all
function methods:hold(under_way, limit)
  return self._group_commit:hold(under_way, limit)
end

---Waits until something has become durable, at most `seconds`.
---@param seconds number
function methods:wait(seconds)
  self._ledger:wait(seconds)
end

---The reason why nothing more may be begun although everything queued is durable: the disk is full.
---@return campaign.error? err
function methods:full()
  return self._ledger:full()
end

---Makes everything recorded durable.
---@return true? ok
---@return campaign.error? err
function methods:commit()
  self._dirty = false
  return self._ledger:commit()
end

-- Regenerates batches.jsonl from the ledger.
function methods:_write_lines()
  local file
  local ok, err = discard.file(self._folder.batches)
  if not ok then
    return folder_module.trouble(self._folder.path, err)
  end
  for text in self._ledger:lines() do
    if not file then
      file, err = self._folder:append("batches")
      if not file then
        return nil, err
      end
    end
    ok, err = file:write(text)
    if not ok then
      file:close()
      return nil, err
    end
  end
  if file then
    return file:close()
  end
  return true
end

---Ends the run's work on the ledger: returns all leases and writes batches.jsonl.
---@return true? ok
---@return campaign.error? err
function methods:close()
  local ok, err = self:commit()
  if ok then
    ok, err = self._ledger:release() -- only now: before, `next_batches` would claim them again
  end
  if ok then
    ok, err = self._ledger:commit()
  end
  if not ok then
    return nil, err
  end
  local fine, written, write_err = pcall(self._write_lines, self)
  if not fine then
    return nil, error_object.is(written) and written
      or error_object.new{ kind = "ledger", retry = false, message = "the ledger cannot be read: " .. tostring(written) }
  end
  return written, write_err
end

return M

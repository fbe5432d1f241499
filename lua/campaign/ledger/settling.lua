-- SPDX-License-Identifier: MIT
-- What the SQLite ledger records about batches after they were sent: probe results, the platform's own results, and inconclusive evidence.
-- Extends ledger/sqlite.lua.

local methods = {}

local function counted(waiter, changes)
  waiter.changes = changes
end

---Queues what is known about a batch in doubt that turns out to be accepted; `resolve` makes both durable.
---@param index integer
---@param receipt string? the platform's number
---@param awaits boolean the platform's own result is still to come
---@return true? ok
---@return campaign.error? err
function methods:credit(index, receipt, awaits)
  return self:_queue("credit", nil, index, receipt, awaits)
end

-- Records evidence together with the conclusion drawn from it. False if the batch's state does not allow it.
local function conclude(ledger, index, verdict, detail, statement, ...)
  local counter = { changes = 0, done = counted }
  local ok, err = ledger:_queue("late_of", nil, index, ledger._now(), verdict, detail, verdict == "confirmed")
  if ok then
    ok, err = ledger:_queue(statement, counter, index, ...)
  end
  if ok then
    ok, err = ledger:commit()
  end
  if not ok then
    return nil, err
  end
  return counter.changes > 0
end

---Records the platform's own result of a batch: it is accepted, except for the rows that the result refuses.
---@param index integer
---@param receipt string? its number
---@param rejected table[] results of rows, as for `record`
---@param detail string?
---@return boolean? changed false when it is not accepted or in doubt
---@return campaign.error? err
function methods:confirm(index, receipt, rejected, detail)
  local found, err = self:ask("doubt", index)
  if not found then
    return nil, err
  elseif not found[1] or found[1].state ~= "A" and found[1].state ~= "U" then
    return false
  end
  local ok
  ok, err = self:_queue("forget_refused", nil, index, found[1].state)
  if ok then
    ok, err = self:record(rejected)
  end
  if not ok then
    return nil, err
  end
  return conclude(self, index, "confirmed", detail, "confirm", #rejected, receipt)
end

---Records evidence that contradicts an accepted outcome: the batch is in doubt again.
---@param index integer
---@param detail string?
---@return boolean? changed false when it was not taken for sure
---@return campaign.error? err
function methods:contradict(index, detail)
  return conclude(self, index, "conflict", detail, "contradict")
end

---Queues evidence that changes nothing.
---@param index integer
---@param source string
---@param verdict string
---@param detail string?
---@return true? ok
---@return campaign.error? err
function methods:note(index, source, verdict, detail)
  return self:_queue("note", nil, index, self._now(), source, verdict, detail)
end

return methods

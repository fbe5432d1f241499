-- SPDX-License-Identifier: MIT
-- What the SQLite ledger knows beyond sending batches one after the other: pieces that take the place of a batch, one batch taken out of its
-- turn, what a probe saw, and evidence that decides nothing. Adds its functions to those of ledger/sqlite.lua.

local M = {}

local function leases_of(ledger, leases)
  for _, lease in ipairs(leases) do
    lease.owner, lease.begun = ledger.owner, lease.attempts
  end
  table.sort(leases, function(left, right) return left.first_row < right.first_row end)
  return leases
end

local function numbered(waiter, _, rows)
  waiter.lease.index = rows[1] and rows[1][1]
end

local function counted(waiter, changes)
  waiter.changes = changes
end

---@param methods table of the ledger
function M.add(methods)
  ---Queues the pieces that take the place of a batch: of one that was rejected as a whole, or of a lease that was not begun. They are ours,
  ---as leases; a process that dies leaves them pending. What they carry must be what the batch carries. Their numbers (`index`) are known
  ---after the commit; none has one when the batch was in no state to be split.
  ---@param batch table
  ---@param pieces table[] offset, bytes, first_row, first_line, rows, accepted, body_bytes, skip, hash
  ---@return table[]? leases
  ---@return campaign.error? err
  function methods:split(batch, pieces)
    local sum = 0
    for _, piece in ipairs(pieces) do
      sum = sum + piece.accepted
    end
    if sum ~= batch.accepted then
      error(("pieces of %d rows for a batch of %d"):format(sum, batch.accepted), 2)
    end
    local leases = {}
    for i, piece in ipairs(pieces) do
      local lease = { parent = batch.index, fence = 1, owner = self.owner, attempts = 0, begun = 0, doubts = 0 }
      for key, value in pairs(piece) do
        if key ~= "index" and lease[key] == nil then
          lease[key] = value
        end
      end
      local ok, err = self:_queue("piece", { done = numbered, lease = lease }, batch.index, batch.fence, batch.owner, self.owner,
        piece.offset, piece.bytes, piece.first_row, piece.first_line, piece.rows, piece.accepted, piece.body_bytes, piece.skip, piece.hash)
      if not ok then
        return nil, err
      end
      leases[i] = lease
    end
    local ok, err = self:_queue("split_mine", nil, batch.index, batch.fence, batch.owner)
    return ok and leases, err
  end

  ---Leases the pieces that an earlier owner left, in the order of their rows.
  ---@return table[]? leases
  ---@return campaign.error? err
  function methods:pieces()
    local rows, err = self:_query("claim_pieces", self.owner)
    return rows and leases_of(self, rows), err
  end

  ---Leases one pending batch out of its turn.
  ---@param index integer
  ---@return table? lease nil without error when it is not pending
  ---@return campaign.error? err
  function methods:take(index)
    local rows, err = self:_query("take", self.owner, index)
    return rows and leases_of(self, rows)[1], err
  end

  ---Queues what was seen at the platform before the next attempt of a lease; with its intent, so that both are durable or none.
  ---@param lease table
  ---@param text string?
  ---@return true? ok
  ---@return campaign.error? err
  function methods:seen_before(lease, text)
    return self:_queue("seen_before", nil, lease.index, lease.fence, lease.owner, text)
  end

  ---Queues what is known of a batch in doubt that turns out to be taken over; `resolve` makes both durable.
  ---@param index integer
  ---@param receipt string? the platform's number
  ---@param awaits boolean the platform's own result is still to come
  ---@return true? ok
  ---@return campaign.error? err
  function methods:credit(index, receipt, awaits)
    return self:_queue("credit", nil, index, receipt, awaits)
  end

  -- Evidence and what follows from it, durable together. False when the batch is in no state for it.
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

  ---The platform's own result of a batch came: it is taken over, but for the rows that the result refuses.
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

  ---Evidence contradicts what was taken for sure: the batch is in doubt.
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
end

return M

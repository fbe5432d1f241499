-- SPDX-License-Identifier: MIT
-- The engine's order of batches: those of the plan in sequence, preceded by batches to be sent again and pieces of split ones. Extends
-- import/run/engine.

local methods = {}

-- Requests more batches of the plan, after those already known, and returns the first. This is not cheap: the ledger may have to commit first.
function methods:_look_ahead()
  if self.drained and self:_busy() > 0 then
    return nil -- the plan had no more; batches in flight come back only by way of `again`
  end
  local before = self.last
  local last, err = self.work.next_batches(self.coming, before)
  self.last, self.drained = last, last == before
  if err then
    self:_stop(err)
  end
  return self.coming[before + 1]
end

-- The next batch, without removing it.
function methods:_peek()
  return self.again[1] or self.coming[self.first] or self:_look_ahead()
end

function methods:_next_batch()
  if self.again[1] then
    return table.remove(self.again, 1)
  end
  local batch = self:_peek()
  if batch then
    self.coming[self.first] = nil
    self.first = self.first + 1
  end
  return batch
end

-- Inserts a batch that is sent again before the others, in the order of the rows.
function methods:_put_back(batch)
  local at = 1
  while self.again[at] and (self.again[at].first_row or 0) < (batch.first_row or math.huge) do
    at = at + 1
  end
  table.insert(self.again, at, batch)
end

-- Replaces a batch by pieces, durably before anything else happens; `is_blamed`: it is known to contain a bad row. False if the batch stays as it
-- is.
function methods:_divide(batch, pieces, is_blamed)
  local leases, err = self.work.journal:split(batch, pieces)
  if not leases then
    self:_stop(err)
    return false
  elseif self.work.fast_path then
    self.work.fast_path:drop(batch)
  end
  for i, lease in ipairs(leases) do
    lease.left = is_blamed and i == 2 and #leases == 2 and leases[1] or nil
    self:_put_back(lease)
  end
  return true
end

-- Takes the next batch to send, split into smaller pieces if that is better.
function methods:_take_next()
  local bisect = self.work.bisect
  while true do
    local batch = self:_next_batch()
    local pieces, err
    if batch and bisect then
      pieces, err = bisect:ahead(batch)
    end
    if err then
      self:_stop(err)
    end
    if not (pieces and self:_divide(batch, pieces, batch.left ~= nil)) then
      return batch
    end
  end
end

return methods

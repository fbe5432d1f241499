-- SPDX-License-Identifier: MIT
-- The life of batches in the SQLite ledger: leased, begun, finished, returned, split, resolved. Extends ledger/sqlite.lua.
--
-- A lease is held in memory only: the file belongs to one process, so nobody else can take the batch, and what a dead process had leased
-- but not begun is simply pending. A begun batch is recorded with the lease's fence and owner, by which its outcome finds it.
--
-- Intents of neighbouring batches are written by one statement: they are collected until something that could depend on them is queued, or
-- the commit starts.

local ledger_module = require "campaign.ledger"

local methods = {}

-- Attempts of one batch, at most: an attempt's id is made of batch and number (ledger/schema).
local ATTEMPTS = 1048576

-- What an outcome is made of: so many values are its attempt's own, the others may be those of several.
local OWN = 9

-- Turns a pending batch into a lease. A batch that was given back may be leased again: its old lease is then invalid.
local function hold(ledger, batch)
  batch.fence = batch.fence + 1 + ledger._given_back
  batch.owner, batch.begun = ledger.owner, batch.attempts
  ledger._held[batch.index] = batch.fence
  return batch
end

local function is_held_by(ledger, lease)
  return ledger._held[lease.index] == lease.fence and lease.owner == ledger.owner
end

-- Leases batches that are not held yet, until there are `most` leases.
local function hold_all(ledger, batches, leases, most)
  for i = 1, #batches do
    local batch = batches[i]
    if #leases < most and not ledger._held[batch.index] then
      leases[#leases + 1] = hold(ledger, batch)
    end
  end
  return leases
end

-- Leases batches in advance, unless one was given back in the meantime. `asked` knows what was begun since the query.
local function found_ahead(asked, _, batches)
  local ledger, leases = asked.ledger, { after = asked.after }
  if ledger._asked ~= asked then
    return
  end
  ledger._asked = nil
  if asked.after ~= ledger._claimed then
    return
  end
  local held, count = ledger._held, 0
  for i = 1, #batches do
    local batch = batches[i]
    local index = batch.index
    if not asked[index] and not held[index] then
      count = count + 1
      leases[count] = hold(ledger, batch)
    end
  end
  ledger._ahead = leases[1] and leases
end

-- Answers the tickets of batches begun by one statement: all of them "go" or none. If one was no longer pending although nobody else has the file,
-- the others would be suspect, too, so nothing is sent.
local function begun(tickets, changes)
  local answer, began = changes == #tickets and "go" or "stale", tickets.began
  for i = 1, #tickets do
    local ticket = tickets[i]
    ticket.answer = answer
    if answer == "go" then
      local lease = ticket.lease
      local number = lease.begun + 1
      ticket.number, lease.begun, lease.began, lease.is_open = number, number, began, true
    end
  end
end

local function numbered(waiter, _, rows)
  local ledger, lease = waiter.ledger, waiter.lease
  lease.index = rows[1] and rows[1][1]
  if lease.index then
    ledger._held[lease.parent], ledger._held[lease.index] = nil, lease.fence
  end
end

-- For an outcome that no batch waits for any more: records it, and settles its batch if that is in doubt. `given`: as queued by `_queue_outcomes`.
function methods:_came_late(given)
  local index, fence, owner, number, receipt = given[1], given[2], given[3], given[4], given[6]
  local state, rejected, awaits, verdict, detail = given[10], given[11], given[12], given[14], given[21]
  local ok, err = self:_queue("late_answer", nil, index, index * ATTEMPTS + number, self._now(), verdict, detail)
  if ok then
    ok, err = self:_queue("late_batch", nil, index, fence, owner, state, rejected, awaits, receipt)
  end
  return ok, err
end

-- Queues the collected intents as one statement.
function methods:_queue_beginning()
  local tickets = self._beginning
  self._beginning = nil
  local first, last = tickets[1].lease, tickets[#tickets].lease
  tickets.began = self._now()
  if first == last then
    return self:_queue_now("begin", tickets, first.index, first.fence, first.owner, tickets.began)
  end
  return self:_queue_now("begin_all", tickets, first.index, first.fence, first.owner, tickets.began, last.index)
end

---Queues the query for the next pending batches with whatever else is queued, so that `claim` then need not wait for the disk.
---@param count integer
---@return true? ok
---@return campaign.error? err
function methods:claim_ahead(count)
  if self._ahead or self._asked then
    return true
  end
  self._asked = { done = found_ahead, ledger = self, after = self._claimed }
  return self:_queue("claim", self._asked, self._claimed, count)
end

---Leases the next pending batches, in order.
---@param count integer at most, but for those that were leased ahead
---@return table[]? leases batches with fence and owner; none when nothing is pending
---@return campaign.error? err
function methods:claim(count)
  if self._ahead then
    local ahead = self._ahead
    self._ahead, self._claimed = nil, self._claimed == ahead.after and ahead[#ahead].index or 0
    return ahead
  end
  self._asked = nil -- a query in progress is superseded by this one
  local leases, after = {}, self._claimed
  repeat -- skips batches that are held already
    local batches, err = self:_query("claim", after, count)
    if not batches then
      return nil, err
    end
    hold_all(self, batches, leases, count)
    after = #batches > 0 and batches[#batches].index
  until #leases == count or #batches < count
  local last = leases[#leases]
  self._claimed = last and last.index or self._claimed -- no batch before it is pending, until one is given back
  return leases
end

---Leases the pieces of split batches that an earlier owner left, in the order of their rows.
---@return table[]? leases
---@return campaign.error? err
function methods:pieces()
  local batches, err = self:_query("claim_pieces")
  return batches and hold_all(self, batches, {}, #batches), err
end

---Leases one pending batch out of its turn.
---@param index integer
---@return table? lease nil without error when it is not pending
---@return campaign.error? err
function methods:take(index)
  local batches, err = self:_query("take", index)
  return batches and hold_all(self, batches, {}, 1)[1], err
end

---Gives a lease back, so that its batch can be leased again. A batch that was begun is not given back.
---@param lease table? all leases of this owner without it
---@return true? ok
---@return campaign.error? err
function methods:release(lease)
  self._claimed, self._given_back = 0, self._given_back + 1
  if not lease then
    self._held, self._ahead = {}, nil
  elseif is_held_by(self, lease) then
    self._held[lease.index] = nil
  end
  return true
end

---Queues what was seen at the platform before the next attempt of a lease. It becomes durable together with the attempt's intent.
---@param lease table
---@param text string?
---@return true? ok
---@return campaign.error? err
function methods:seen_before(lease, text)
  return not is_held_by(self, lease) or self:_queue("seen_before", nil, lease.index, text)
end

---Queues the intents to send leased batches. Nothing may be sent before the commit, nor unless a batch's ticket then says "go".
---@param tickets table[] `lease`; to be filled in: `answer` after the commit: "go" (with number) or "stale"
---@param first integer the first of them
---@param last integer
---@return integer last the last one that was queued
---@return campaign.error? err of the next one
function methods:begin_all(tickets, first, last)
  local held, owner, asked, gathered = self._held, self.owner, self._asked, self._beginning
  local count = gathered and #gathered or 0
  local before = gathered and gathered[count].lease
  local next_index, same_fence = before and before.index + 1, before and before.fence
  for i = first, last do
    local ticket = tickets[i]
    local lease = ticket.lease
    local index, fence = lease.index, lease.fence
    if held[index] ~= fence or lease.owner ~= owner then
      ticket.answer = "stale"
    else
      if index ~= next_index or fence ~= same_fence then
        if count > 0 then
          local ok, err = self:_queue_beginning()
          if not ok then
            return i - 1, err
          end
        end
        gathered, count = { done = begun, began = nil }, 0
        self._beginning, same_fence = gathered, fence
      end
      count, next_index = count + 1, index + 1
      gathered[count], ticket.answer, held[index] = ticket, nil, nil
      if asked then
        asked[index] = true
      end
    end
  end
  return last
end

---Queues the intent to send a leased batch.
---@param lease table
---@param ticket table? of the caller's, to be filled in
---@return table? ticket as of `begin_all`
---@return campaign.error? err
function methods:begin(lease, ticket)
  ticket = ticket or { lease = nil, answer = nil, number = nil }
  ticket.lease = lease
  local last, err = self:begin_all({ ticket }, 1, 1)
  if last == 0 then
    return nil, err
  end
  return ticket
end

-- Queues `count` outcomes whose batches all get the same state; their own values are in `_outcomes`. They precede the intents that were collected,
-- which concern other batches, or wait for this outcome.
function methods:_queue_outcomes(count, outcome, state)
  local code = outcome.code
  local number, err = self:_number("finish")
  if not number then
    return nil, err
  end
  local ok, failed = self._store:expect(self._outcomes, OWN, count, number, state, outcome.rejected or 0, outcome.awaits == true, self._now(),
    outcome.verdict, outcome.cause, outcome.status, code ~= nil and tostring(code) or nil, outcome.kind, outcome.sent, outcome.guard,
    outcome.detail, outcome.reason, outcome.message)
  if not ok then
    return nil, self.explain(failed)
  end
  return true
end

---Queues the outcome of an attempt. If no batch of this lease waits for it any more, it settles its batch if that is in doubt, and is otherwise kept
---as evidence only.
---@param lease table that was begun
---@param outcome table verdict, cause, receipt, status, code, kind, sent, guard, bytes_sent, body_bytes, seconds, detail, reason, message,
---rejected (rows), awaits (the platform's own result is still to come)
---@return true? ok
---@return campaign.error? err
function methods:finish(lease, outcome)
  local state = ledger_module.AFTER[outcome.verdict]
  if not state then
    error("unknown verdict: " .. tostring(outcome.verdict), 2)
  end
  if not lease.began then
    error("this batch was not begun", 2)
  end
  if lease.is_open and state == "P" then -- still ours: leased again before it becomes pending in the file
    self._held[lease.index] = lease.fence
  end
  lease.is_open = false
  local own = self._outcomes
  own[1], own[2], own[3], own[4], own[5] = lease.index, lease.fence, lease.owner, lease.begun, lease.began
  own[6], own[7], own[8], own[9] = outcome.receipt, outcome.bytes_sent, outcome.body_bytes, outcome.seconds
  return self:_queue_outcomes(1, outcome, state)
end

---Queues the outcomes of attempts that were full successes, as `finish` does.
---@param leases table[] that were begun
---@param count integer how many of them
---@param told table four values of each, one after another: anything, seconds, bytes that were sent of the body, the platform's number or false
---@param outcome table what they have in common
---@return true? ok
---@return campaign.error? err
function methods:finish_all(leases, count, told, outcome)
  local own, receipt, at, from = self._outcomes, outcome.receipt, 0, 0
  for i = 1, count do
    local lease = leases[i]
    lease.is_open = false
    own[at + 1], own[at + 2], own[at + 3], own[at + 4], own[at + 5] = lease.index, lease.fence, lease.owner, lease.begun, lease.began
    own[at + 6], own[at + 7], own[at + 8], own[at + 9] = told[from + 4] or receipt, told[from + 3], lease.body_bytes, told[from + 2]
    at, from = at + OWN, from + 4
  end
  return self:_queue_outcomes(count, outcome, "A")
end

---Queues the pieces that replace a batch: one that was rejected as a whole, or a lease that was not begun. They are leased to us; if the process
---dies, they are pending. Together they must have exactly the rows of the batch. Their numbers (`index`) are known after the commit; they have none
---if the batch could not be split in its state.
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
  local leases, is_anothers = {}, self._held[batch.index] ~= nil and not is_held_by(self, batch)
  local ok, err, now = true, nil, self._now()
  for i, piece in ipairs(pieces) do
    local lease = { parent = batch.index, fence = 1, owner = self.owner, attempts = 0, begun = 0, doubts = 0 }
    for key, value in pairs(piece) do
      if key ~= "index" and lease[key] == nil then
        lease[key] = value
      end
    end
    leases[i] = lease
    if ok and not is_anothers then
      ok, err = self:_queue("piece", { done = numbered, ledger = self, lease = lease }, batch.index, self.owner, now, piece.offset,
        piece.bytes, piece.first_row, piece.first_line, piece.rows, piece.accepted, piece.body_bytes, piece.skip, piece.hash)
    end
  end
  if ok and not is_anothers then
    ok, err = self:_queue("split", nil, batch.index)
  end
  return ok and leases, err
end

---Decides the state of a batch, by order of a person or by later evidence.
---@param index integer
---@param as "applied"|"not-applied"|"resend"|"repeat"|"failed"|"confirmed"
---@param source string who says so
---@param detail string?
---@return boolean? changed false when the batch is not in the state that such an order needs
---@return campaign.error? err
function methods:resolve(index, as, source, detail)
  local rule = ledger_module.RESOLUTIONS[as]
  if not rule then
    error("unknown resolution: " .. tostring(as), 2)
  end
  if self._held[index] then
    return false
  end
  local ok, err = self:_queue("resolve_late", nil, self._now(), source, as, detail, index, rule.from)
  if ok and rule.to == "P" then
    ok, err = self:_queue("forget_refused", nil, index, rule.from)
  end
  if not ok then
    return nil, err
  end
  self._claimed = 0
  local rows
  rows, err = self:_query("resolve", rule.to, rule.doubt == true, index, rule.from)
  if not rows then
    return nil, err
  end
  return rows[1] ~= nil
end

return methods

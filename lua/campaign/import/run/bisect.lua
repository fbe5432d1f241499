-- SPDX-License-Identifier: MIT
-- Narrows the refusal of a whole call down to the bad rows, within a maximum number of calls: decides which batch is split, and where. Only
-- if the platform's data says that a refused call applied nothing (`rows.all_or_nothing`). Sends nothing; the ledger stores the pieces.

local core = require "campaign.core"
local error_object = require "campaign.error"

local M = {}

-- Number of bad rows that the default maximum of calls per refused batch allows for: finding each may take two calls per halving.
local GUILTY = 8

-- Expected number of bad rows in a batch from which it is split before it is sent: with fewer, one call is usually enough. (Group testing needs the
-- fewest calls if half of the groups are clean: ln 2.)
local WORTH = 0.7

-- Number of bad rows that must have been found before their rate is estimated.
local KNOWN = 3

-- Maximum number of pieces into which a batch is split before it is sent.
local MOST_PARTS = 16

-- Bytes of the file per step if others share the thread.
local SHORT_STEP = 32768

local methods = {}
local mt = { __index = methods, __name = "campaign.import.run.bisect" }

---Halvings from a batch down to one row.
---@param rows integer
---@return integer
function M.depth(rows)
  local depth, size = 0, 1
  while size < rows do
    depth, size = depth + 1, size * 2
  end
  return depth
end

---Default maximum of calls for narrowing down one refused batch.
---@param rows integer
---@return integer
function M.budget(rows)
  return 2 * M.depth(rows) * GUILTY
end

---@class campaign.import.run.bisect
---@param options table operation, input, encoder, ledger, calls?, is_destructive (of a batch), pause?
---@return campaign.import.run.bisect? bisect nil where the platform's data does not allow it
function M.new(options)
  if not options.operation.rows.all_or_nothing or options.calls == 0 then
    return nil
  end
  return setmetatable({
    _input = options.input, _encoder = options.encoder, _ledger = options.ledger, _calls = options.calls,
    _is_destructive = options.is_destructive, _pause = options.pause,
    _guilty = 0, _innocent = 0, -- rows
    _fruitless = 0, -- refusals since a row was taken over
  }, mt)
end

local function changed(batch)
  return error_object.refuse{
    kind = "ledger", reason = "changed",
    message = ("batch %d (row %d on) cannot be split as planned"):format(batch.index, batch.first_row),
    hint = "has the list been changed while it was imported?",
  }
end

-- Splits a batch into pieces of at most `rows` rows.
function methods:_cut(batch, rows)
  local sum, err = self._input:checksum(batch)
  if not sum then
    return nil, err
  elseif sum ~= batch.hash then
    return changed(batch)
  end
  local pass
  pass, err = core.rows.preflight(self._input, self._encoder, { batch_rows = rows, range = batch })
  if not pass then
    return nil, err
  end
  local pieces, accepted = {}, 0
  while true do
    local step
    step, err = pass:step(self._pause and SHORT_STEP or nil)
    if not step then
      break
    end
    for _, piece in ipairs(step.batches) do
      piece.hash, err = self._input:checksum(piece)
      if not piece.hash then
        pass:close()
        return nil, err
      end
      accepted = accepted + piece.accepted
      pieces[#pieces + 1] = piece
    end
    if self._pause then
      self._pause()
    end
  end
  pass:close()
  if err then
    return nil, err
  elseif accepted ~= batch.accepted or #pieces < 2 then
    return changed(batch)
  end
  return pieces
end

-- True if two more calls are within the maximum of the refused batch that this one is a piece of.
function methods:_affords(batch)
  local found, err = self._ledger:ask("narrowing", batch.index)
  if not found then
    return nil, err
  end
  local most = self._calls or M.budget(found[1].rows)
  return found[1].calls + 2 <= most and self._fruitless < most
end

function methods:_halves(batch)
  local affords, err = self:_affords(batch)
  if not affords then
    return nil, err
  end
  return self:_cut(batch, math.ceil(batch.accepted / 2))
end

---Splits a batch that was refused in halves.
---@param batch table
---@param verdict campaign.verdict gets `isolated` when the refusal is about this one row
---@return table[]? pieces nil when the refusal stands for all rows of the batch
---@return campaign.error? err
function methods:refused(batch, verdict)
  if verdict.verdict ~= "rejected" or verdict.by_row or self._is_destructive(batch) then
    return nil
  end
  self._fruitless = self._fruitless + 1
  if batch.accepted == 1 then
    verdict.isolated = true
    return nil
  end
  return self:_halves(batch)
end

---True while no bad rows are known or suspected: batches of the plan are then sent as they are.
---@return boolean
function methods:is_idle()
  return self._guilty < KNOWN
end

---Splits a batch before it is sent: in halves if its sibling was clean, so that it must contain the bad row; into several pieces if bad rows are so
---common that it would probably be refused.
---@param batch table
---@return table[]? pieces nil when it is sent as it is
---@return campaign.error? err
function methods:ahead(batch)
  if not batch.left and self._guilty < KNOWN then
    return nil -- no bad rows are known or suspected
  elseif batch.accepted < 2 or (batch.attempts or 0) > 0 or self._is_destructive(batch) then
    return nil
  elseif batch.left then
    if batch.left.clean then
      return self:_halves(batch)
    end
    return nil
  elseif batch.parent or self._innocent == 0 or self._fruitless >= (self._calls or M.budget(batch.accepted)) then
    return nil
  end
  local expected = self._guilty / (self._guilty + self._innocent) * batch.accepted
  if expected <= WORTH then
    return nil
  end
  local parts = math.min(2 ^ M.depth(expected / WORTH), MOST_PARTS, batch.accepted)
  return self:_cut(batch, math.ceil(batch.accepted / parts))
end

---Batches with this number of rows were accepted.
---@param rows integer
function methods:passed(rows)
  self._innocent, self._fruitless = self._innocent + rows, 0
end

---Learns from the outcome of a batch.
---@param batch table
---@param verdict campaign.verdict
function methods:learn(batch, verdict)
  if verdict.verdict == "accepted" or verdict.verdict == "partly" then
    batch.clean = true
    self._innocent, self._fruitless = self._innocent + batch.accepted, 0
  elseif verdict.isolated then
    self._guilty = self._guilty + 1
  end
end

return M

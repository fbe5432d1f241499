-- SPDX-License-Identifier: MIT
-- List against ledger: walks over every row of the list, recounted from the file's bytes, together with the batches and row results in the
-- ledger, and determines the state of each row. A row in no state is lost; one in two is a fault.

local accounting = require "campaign.import.report.accounting"
local core = require "campaign.core"
local ledger_module = require "campaign.ledger"
local rows_module = require "campaign.import.report.rows"

local M = {}

-- The state of a batch to which each resolution or late answer leads.
local function late_states()
  local states = { conflict = "U" } -- evidence that contradicts an earlier outcome
  for name, rule in pairs(ledger_module.RESOLUTIONS) do
    states[name] = rule.to
  end
  for name, state in pairs(ledger_module.AFTER) do
    states[name] = states[name] or state ~= "P" and state or nil -- a late answer makes nothing pending
  end
  return states
end

---Effective batches in the order of their rows. Planned ones come in that order from the ledger; pieces of split ones are merged in.
---@param ledger table
---@return fun(): table? next
function M.in_order(ledger)
  local pieces = {}
  for batch in ledger:scan("batches") do
    if batch.parent then
      pieces[#pieces + 1] = batch
    end
  end
  table.sort(pieces, function(left, right)
    return left.first_row < right.first_row
  end)
  local scan, at = ledger:scan("batches"), 1
  local ahead
  return function()
    while scan and not ahead do
      ahead = scan()
      if not ahead then
        scan = nil
      elseif ahead.parent then
        ahead = nil
      end
    end
    local piece = pieces[at]
    if piece and (not ahead or piece.first_row < ahead.first_row) then
      at = at + 1
      return piece
    end
    local batch = ahead
    ahead = nil
    return batch
  end
end

---The state of a batch's rows that have no result of their own.
---@param batch table
---@return string
function M.state_of(batch)
  local state = accounting.state_of_rows(batch)
  return state == "accepted" and batch.awaits == 1 and "accepted_pending" or state
end

-- A row's values as one comparable text.
local function joined(fields)
  return table.concat(fields, "\31")
end

local walk = {}
local walk_mt = { __index = walk }

-- Reports a batch for whose state there is no evidence.
function walk:explain(batch)
  local last = assert(self.ledger:ask("last_of", batch.index))[1]
  if (last and last.number or 0) ~= batch.attempts then
    self.found:fault("ledger", "batches count other attempts than are written down", batch.index)
  end
  local state = batch.state
  if not last and state == "P" then
    return
  end
  local after = last and last.verdict and ledger_module.AFTER[last.verdict]
  if after == state or (self.late[batch.index] or {})[state] then
    return
  end
  self.found:fault("ledger", "batches are in a state that no attempt and no later evidence explains", batch.index)
end

function walk:begin(batch)
  local ok, problem = pcall(function()
    local sum, err = self.opened.input:checksum(batch)
    if sum ~= batch.hash then
      self.found:fault("input", err and "batches cannot be read again" or "batches have other bytes than were planned", batch.index)
    end
    self.again = assert(self.opened.input:rows(batch))
  end)
  if not ok then
    self.again = nil
    self.found:fault("input", "batches do not lie in the list: " .. tostring(problem), batch.index)
  end
  self.skipped, self.seen, self.sent, self.refused = rows_module.skipper(batch.skip), 0, 0, 0
  self:explain(batch)
end

function walk:finish(batch)
  if self.seen ~= batch.rows then
    self.found:fault("ledger", "batches count other rows than the list has", batch.index)
  end
  if self.sent ~= batch.accepted then
    self.found:fault("ledger", "batches count other rows to send than they have", batch.index)
  end
  if self.refused ~= (batch.state == "X" and 0 or batch.rejected) then
    self.found:fault("ledger", "batches count other refused rows than are written down", batch.index)
  end
  if self.again then
    local fine, more = pcall(self.again)
    if not fine or more then
      self.found:fault("input", "batches hold more rows than were planned", batch.index)
    end
  end
end

function walk:step_batch()
  local batch = self.batches()
  if batch and self.last_row and batch.first_row <= self.last_row then
    self.found:fault("ledger", "batches overlap", batch.index)
  end
  if batch then
    self.last_row = batch.first_row + batch.rows - 1
  end
  self.batch = batch
  return batch
end

-- The state of a row that a batch carries. A refusal of its own counts only if its batch was delivered; in a batch in doubt it is in doubt
-- too.
function walk:sent_state(batch, result, number)
  self.sent = self.sent + 1
  local state = M.state_of(batch)
  if not result then
    return state
  end
  if result.batch == batch.index and result.state == "rejected" then
    self.refused = self.refused + 1
    return accounting.state_of_rows(batch) == "accepted" and "rejected" or state
  end
  self.found:fault("ledger", "rows are in two states: with their batch, and on their own", number)
  return state
end

function walk:unsent_state(result, number)
  if not result then
    self.lost = self.lost + 1
    self.found:fault("ledger", "rows are in no state: no batch carries them and no result names them", number)
    return nil
  end
  if result.batch then
    self.found:fault("ledger", "rows have a result of a batch that does not carry them", number)
  end
  return result.state
end

function walk:row(number, fields, line)
  while self.batch and number > self.batch.first_row + self.batch.rows - 1 do
    if self.begun == self.batch then -- one that was never reached overlaps another: that was reported already
      self:finish(self.batch)
    end
    self:step_batch()
  end
  while self.result and self.result.row < number do
    self.found:fault("ledger", "results name rows that the list does not have", self.result.row)
    self.result = self.results()
  end
  local result = self.result
  if result and result.row == number then
    self.result = self.results()
  else
    result = nil
  end
  local batch = self.batch
  if not batch or number < batch.first_row then
    return self:unsent_state(result, number)
  end
  if self.begun ~= batch then
    self.begun = batch
    self:begin(batch)
  end
  self.seen = self.seen + 1
  if self.again then
    local fine, again_number, again_fields, _, again_line = pcall(self.again)
    if self.seen == 1 and fine and again_line ~= line then -- lines are counted from the batch's own first line
      self.found:fault("input", "batches begin at another line than was planned", batch.index)
    end
    if not fine or again_number ~= number or joined(again_fields) ~= joined(fields) then
      self.found:fault("input", "batches hold other rows than the list has in their place", batch.index)
      self.again = nil
    end
  end
  if self.skipped(self.seen) then
    return self:unsent_state(result, number)
  end
  return self:sent_state(batch, result, number), batch
end

local function evidence(ledger)
  local late, states = {}, late_states()
  for entry in ledger:scan("late") do
    local state = states[entry.verdict]
    late[entry.batch] = late[entry.batch] or {}
    late[entry.batch][state or entry.verdict] = true
    late[entry.batch].conflict = late[entry.batch].conflict or entry.verdict == "conflict"
    late[entry.batch].recovered = late[entry.batch].recovered or entry.source == "recover"
  end
  return late
end

---Walks over the list.
---@param opened table
---@param found table findings
---@param visit fun(number: integer, state: string?, batch: table?, fields: string[], line: integer) batch: nil for a row that was not to be sent
---@return table counted rows, lost, counts (rows by state), late (by batch)
function M.walk(opened, found, visit)
  local self = setmetatable({ opened = opened, ledger = opened.ledger, found = found, lost = 0, late = evidence(opened.ledger),
    batches = M.in_order(opened.ledger), results = opened.ledger:scan("rows") }, walk_mt)
  self.result = self.results()
  self:step_batch()
  local counts, rows = {}, 0
  for number, fields, _, line in assert(opened.input:rows()) do
    rows = rows + 1
    local state, batch = self:row(number, fields, line)
    if state then
      counts[state] = (counts[state] or 0) + 1
    end
    visit(number, state, batch, fields, line)
  end
  while self.batch do
    if self.begun == self.batch then
      self:finish(self.batch)
    else
      found:fault("ledger", "batches name rows that the list does not have", self.batch.index)
    end
    self:step_batch()
  end
  while self.result do
    found:fault("ledger", "results name rows that the list does not have", self.result.row)
    self.result = self.results()
  end
  return { rows = rows, lost = self.lost, counts = counts, late = self.late }
end

---The ledger's own sums against what was counted.
---@param opened table
---@param found table
---@param counted table
---@return table progress
function M.compare_sums(opened, found, counted)
  local progress = assert(opened.ledger:progress())
  for state, count in pairs(progress.rows) do
    if count ~= (counted.counts[state] or 0) then
      found:fault("ledger", ("its sums say %d rows are %s, the list has %d"):format(count, state, counted.counts[state] or 0))
    end
  end
  local plan = opened.record.plan
  if plan and plan.rows ~= counted.rows then
    found:fault("input", ("%d rows were planned, the list has %d"):format(plan.rows, counted.rows))
  end
  if opened.file.bytes ~= (core.system.stat(opened.file.path, true) or {}).size then
    found:fault("input", ("%d bytes were planned, the list has %d"):format(opened.file.bytes,
      (core.system.stat(opened.file.path, true) or {}).size or 0))
  end
  return progress
end

return M

-- SPDX-License-Identifier: MIT
-- Writes the states that were salvaged from a damaged ledger over a newly planned one, batch by batch, and decides which of them can be trusted.
-- It uses the store directly: the ledger's own functions derive states from attempts and cannot be given any. A part of import/recover.lua.

local core = require "campaign.core"
local error_object = require "campaign.error"
local folder_module = require "campaign.import.folder"
local ledger_module = require "campaign.ledger"
local salvage_module = require "campaign.ledger.salvage"

local M = {}

local ATTEMPTS = 1048576 -- attempts of a batch have ids from batch times this

local SETTLED = { A = "applied", C = "confirmed", R = "partly", X = "rejected" }

-- The columns in which a salvaged batch must equal the planned one.
local PLANNED = { "offset", "bytes", "first_row", "first_line", "rows", "accepted", "body_bytes", "skip", "hash" }

local overlay = {}
local overlay_mt = { __index = overlay }

local function columns_and_marks(name)
  local columns, marks = salvage_module.COLUMNS[name], {}
  for i in ipairs(columns) do
    marks[i] = "?"
  end
  return table.concat(columns, ", "), table.concat(marks, ", ")
end

local function insert_into(name)
  return ("INSERT INTO %s (%s) VALUES (%s)"):format(name, columns_and_marks(name))
end

local STATEMENTS = {
  scan = ("SELECT %s FROM batch WHERE parent IS NULL AND seq > ? ORDER BY seq LIMIT 500"):format((columns_and_marks("batch"))),
  batch = insert_into("batch"), attempt = insert_into("attempt"), row_result = insert_into("row_result"), late = insert_into("late"),
  state = [[UPDATE batch SET split = ?2, state = ?3, fence = ?4, attempts = ?5, began = ?6, doubts = ?7, rejected = ?8, awaits = ?9, receipt = ?10,
    before = ?11 WHERE seq = ?1]],
  job = "UPDATE job SET state = 'stopped', record = ?",
}

function overlay:put(name, ...)
  local number = self.numbers[name]
  if not number then
    local err
    number, err = self.store:prepare(STATEMENTS[name])
    if not number then
      error(err, 0)
    end
    self.numbers[name] = number
  end
  local id, err = self.store:submit(number, ...)
  if not id then
    error(err, 0)
  end
  if name == "scan" or self.store:waiting() >= 1000 then
    return self:flush()
  end
end

-- Runs the statements that wait; returns the rows of the last one.
function overlay:flush()
  local ok, err = self.store:run()
  local id, _, rows = self.store:take()
  local last
  while id do
    last = rows
    id, _, rows = self.store:take()
  end
  if not ok then
    error(err, 0)
  end
  return last
end

function overlay:insert(name, record)
  local values, columns = {}, salvage_module.COLUMNS[name]
  for i, column in ipairs(columns) do
    values[i] = record[column]
  end
  self:put(name, (unpack or table.unpack)(values, 1, #columns))
end

-- Adds an attempt that was not recorded, or whose record is lost.
function overlay:presume(seq, number)
  local now = self.now()
  self:insert("attempt", { id = seq * ATTEMPTS + number, batch = seq, number = number, fence = 0, owner = "recover", began = now, ended = now,
    verdict = "ambiguous", cause = "unrecorded", kind = "ledger", sent = "maybe",
    detail = "the ledger was damaged: whether it was sent, and what came of it, is not known" })
end

-- Copies the attempts of a batch that can be read; returns the last one.
function overlay:copy_attempts(seq)
  local last
  for _, attempt in ipairs(self.salvage:ask("attempts_of", seq)) do
    if attempt.id == seq * ATTEMPTS + attempt.number then
      self:insert("attempt", attempt)
      last = attempt
    end
  end
  for _, late in ipairs(self.salvage:ask("late_of", seq)) do
    late.id = nil -- `settle` adds some of its own
    self:insert("late", late)
  end
  return last
end

function overlay:set(seq, copy, state, attempts, split)
  local rejected = SETTLED[state] and copy.rejected or 0 -- results of single rows are copied with settled batches alone
  self:put("state", seq, split or 0, state, copy.fence or 0, attempts, copy.began, copy.doubts or 0, rejected, copy.awaits or 0,
    copy.receipt, copy.before)
end

function overlay:doubt(seq, copy)
  local last = self:copy_attempts(seq)
  local number = math.max(last and last.number or 0, copy and copy.attempts or 0)
  if copy and copy.state == "U" and last and last.number == copy.attempts then
    self:set(seq, copy, "U", number)
  else
    -- Keeps the platform's id of a settled batch: a callback with its result refers to it.
    local receipt = copy and SETTLED[copy.state] and (copy.receipt or last and last.number == copy.attempts and last.receipt) or nil
    number = number + 1
    self:presume(seq, number)
    self:set(seq, { fence = copy and copy.fence, doubts = copy and copy.doubts, began = self.now(), receipt = receipt }, "U", number)
  end
  self.counts.ambiguous = self.counts.ambiguous + 1
end

local AFTER = ledger_module.AFTER

-- Takes over a batch whose own record has its outcome.
function overlay:settle(seq, copy, refused)
  local last = self:copy_attempts(seq)
  local number = last and last.number or 0
  if not last or number ~= copy.attempts or AFTER[last.verdict] ~= copy.state then
    self:put("late", nil, seq, last and last.id, self.now(), "recover", SETTLED[copy.state], "from the batch's own record")
  end
  for _, row in ipairs(refused) do
    self:insert("row_result", row)
  end
  self:set(seq, copy, copy.state, number)
  self.counts.kept = self.counts.kept + 1
end

function overlay:keep_pending(seq, copy)
  local last = self:copy_attempts(seq)
  self:set(seq, copy, copy.state == "F" and "F" or "P", last and last.number or 0)
  self.counts.pending = self.counts.pending + 1
end

local function is_piece_of(pieces, batch)
  local row, offset, accepted = batch.first_row, batch.offset, 0
  for _, piece in ipairs(pieces) do
    if piece.first_row ~= row or piece.offset ~= offset then
      return false
    end
    row, offset, accepted = row + piece.rows, offset + piece.bytes, accepted + piece.accepted
  end
  return #pieces > 0 and row == batch.first_row + batch.rows and offset == batch.offset + batch.bytes and accepted == batch.accepted
end

-- The pieces of a split batch, if they make up the batch and have the bytes that the list has in their place.
function overlay:has_pieces(batch)
  local pieces = self.salvage:ask("pieces_of", batch.seq)
  if not is_piece_of(pieces, batch) then
    return nil
  end
  for _, piece in ipairs(pieces) do
    local range = { index = piece.seq }
    for _, column in ipairs(PLANNED) do
      range[column] = piece[column]
    end
    local fine, sum = pcall(self.input.checksum, self.input, range)
    if not fine or sum ~= piece.hash or piece.split == 1 and not self:has_pieces(piece) then
      return nil
    end
  end
  return pieces
end

function overlay:judge(seq, batch, copy)
  if not copy then
    return self:doubt(seq)
  end
  if copy.split == 1 then
    local pieces = self:has_pieces(batch)
    if not pieces then
      return self:doubt(seq)
    end
    local last = self:copy_attempts(seq)
    self:set(seq, copy, copy.state, last and last.number or 0, 1)
    for _, piece in ipairs(pieces) do
      self:insert("batch", piece)
      self:judge(piece.seq, piece, piece)
    end
    return
  end
  local refused = self.salvage:ask("rows_of", seq)
  if SETTLED[copy.state] and #refused == (copy.state == "X" and 0 or copy.rejected) and not self:contradicts(copy) then
    return self:settle(seq, copy, refused)
  end
  local attempts = self.salvage:ask("attempts_of", seq)
  if self.trust_pending and (copy.state == "P" or copy.state == "F") and #attempts == copy.attempts then
    return self:keep_pending(seq, copy)
  end
  return self:doubt(seq, copy)
end

-- Whether the record of a batch and those of its attempts contradict each other: then neither is trusted.
function overlay:contradicts(copy)
  local attempts = self.salvage:ask("attempts_of", copy.seq)
  local last = attempts[#attempts]
  if not last or last.number < copy.attempts or AFTER[last.verdict] == copy.state then
    return false
  end
  return last.number > copy.attempts or #self.salvage:ask("late_of", copy.seq) == 0
end

local function same_plan(batch, copy)
  for _, column in ipairs(PLANNED) do
    if batch[column] ~= copy[column] then
      return false
    end
  end
  return true
end

function overlay:run(record_text)
  local after, page = -1, {}
  repeat
    page = self:put("scan", after) or page
    for _, row in ipairs(page) do
      local batch = {}
      for i, column in ipairs(salvage_module.COLUMNS.batch) do
        batch[column] = row[i]
      end
      after = batch.seq
      local copy = self.salvage:ask("batch", batch.seq)[1]
      self:judge(batch.seq, batch, copy and same_plan(batch, copy) and copy or nil)
    end
  until #page < 500
  self:put("job", record_text)
  self:flush()
end

---Writes what was salvaged over a newly planned ledger, which must be closed.
---@param salvage table of ledger/salvage
---@param state table of the planned job: folder, input, options, record_text
---@param trust_pending boolean? batches whose intact record says that they were not sent stay pending
---@return { kept: integer, ambiguous: integer, pending: integer }? batches
---@return campaign.error? err
function M.write(salvage, state, trust_pending)
  local store, err = core.store.open(state.folder.ledger)
  if not store then
    return nil, err
  end
  local self = setmetatable({ salvage = salvage, store = store, numbers = {}, input = state.input, now = state.options.env.now,
    trust_pending = trust_pending, counts = { kept = 0, ambiguous = 0, pending = 0 } }, overlay_mt)
  local fine, problem = pcall(self.run, self, state.record_text)
  store:close()
  if fine and core.system.stat(state.folder.ledger .. "-wal") then -- the log was not written back into the file
    return folder_module.trouble(state.folder.path, "the new ledger cannot be closed")
  end
  if not fine then
    return nil, error_object.is(problem) and problem or error_object.new{ kind = "ledger", retry = false, message = tostring(problem) }
  end
  return self.counts
end

return M

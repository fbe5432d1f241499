-- SPDX-License-Identifier: MIT
-- Queries of the SQLite ledger: counts, records page by page, finished attempts as lines of JSON. Extends ledger/sqlite.lua.

local grouped = require "campaign.ledger.grouped"
local ledger_module = require "campaign.ledger"
local schema = require "campaign.ledger.schema"

local methods = {}

-- Most rows of one page of a scan.
local PAGE = 1000
local LINES = 100 -- of some 230 bytes: what SQLite, the core and Lua hold of them at a time stays small beside the rest

-- Those after the first follow when it has ended.
local SCANS = { batches = { "scan_batches" }, attempts = { "scan_attempts", "scan_open" }, rows = { "scan_rows" }, told = { "scan_told" },
  late = { "scan_late" }, repeated = { "scan_repeated" } }

---Counts, computed from the batches themselves so that they cannot disagree with them.
---@return table? progress batches and rows by state, attempts, open attempts, possibly_duplicated (rows)
---@return campaign.error? err
function methods:progress()
  local rows, err = self:ask("progress")
  if not rows then
    return nil, err
  end
  local progress = { batches = {}, sendable = 0, rows = { accepted = 0, accepted_pending = 0, rejected = 0, duplicate = 0,
    suppressed = 0, unchanged = 0, ambiguous = 0, pending = 0 }, possibly_duplicated = 0 }
  for state in pairs(ledger_module.STATES) do
    progress.batches[state] = 0
  end
  local counts = progress.rows
  for _, row in ipairs(rows) do
    local state, accepted, rejected, awaited = row.state, row.accepted, row.rejected, row.awaited
    progress.batches[state] = row.batches
    progress.sendable = progress.sendable + accepted
    if state == "A" or state == "R" or state == "C" then
      counts.accepted = counts.accepted + accepted - rejected - awaited
      counts.accepted_pending = counts.accepted_pending + awaited
      counts.rejected = counts.rejected + rejected
    elseif state == "X" then
      counts.rejected = counts.rejected + accepted
    elseif state == "U" or state == "S" then
      counts.ambiguous = counts.ambiguous + accepted
    else
      counts.pending = counts.pending + accepted
    end
  end
  local leased = 0
  for _ in pairs(self._held) do
    leased = leased + 1
  end
  progress.batches.P, progress.batches.L = progress.batches.P - leased, progress.batches.L + leased
  rows, err = self:ask("progress_rows")
  if not rows then
    return nil, err
  end
  for _, row in ipairs(rows) do
    counts[row.state] = counts[row.state] + row.rows
  end
  rows, err = self:_query("progress_attempts")
  if not rows then
    return nil, err
  end
  progress.attempts, progress.open, progress.bytes, progress.possibly_duplicated = rows[1][1], rows[1][2], rows[1][3], rows[1][4]
  return progress
end

---Reads records in order, page by page. Of attempts, those that have no outcome yet come last.
---@param what "batches"|"attempts"|"rows"|"late"|"repeated" repeated: batches that were sent again by order and may be there twice
---@return fun(): table? next raises what the ledger refuses, as an error object
function methods:scan(what)
  local statements = SCANS[what]
  if not statements then
    error("unknown scan: " .. tostring(what), 2)
  end
  local key = schema.NAMES[statements[1]][1]
  local turn, after, page, at = 1, 0, nil, 0
  return function()
    while statements[turn] do
      if not page then
        local err
        page, err = self:_query(statements[turn], after, PAGE)
        if not page then
          error(err, 0)
        end
        at = 0
      end
      at = at + 1
      local record = page[at]
      if record then
        after = record[key]
        if record.state == "P" and self._held[record.index] then
          record.state = "L"
        end
        return record
      elseif #page < PAGE then
        turn, after = turn + 1, 0
      end
      page = nil
    end
    return nil
  end
end

---The finished attempts as lines of JSON, in order of batch and number.
---@return fun(): string? next some of the lines; raises what the ledger refuses, as an error object
function methods:lines()
  local after = 0
  return function()
    local rows, err = self:_query("scan_lines", after, LINES)
    if not rows then
      error(err, 0)
    end
    if not rows[1] then
      return nil
    end
    after = rows[1][1]
    return rows[1][2]
  end
end

---What is known of one thing: `rows_of` a batch, `attempts_of` it, `last_of` these, `narrowing` of a refused one (its first batch, rows of that,
---pieces made of it), `reasons` of the rows that were never sent, `taken`: rows of the batches that were taken over whole. For the report: `runs`, the
---attempts by owner; the `course` of one of them (owner, its beginning, seconds of an interval); the 200 most frequent reasons of `refused` rows; the
---first 100 `doubtful` batches.
---@param what "rows_of"|"attempts_of"|"last_of"|"narrowing"|"reasons"|"taken"|"runs"|"course"|"refused"|"doubtful"
---@param ... integer|string which one
---@return table[]? records
---@return campaign.error? err
function methods:ask(what, ...)
  if schema.GROUPED[what] then
    return grouped.ask(function(...)
      return self:_query(...)
    end, what, ...)
  end
  return self:_query(what, ...)
end

return methods

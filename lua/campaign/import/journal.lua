-- SPDX-License-Identifier: MIT
-- What the engine writes down about attempts: begin before the first byte, finish with the outcome, commit to make both durable. The ledger is
-- the record; batches.jsonl says the same for people and tools, and is made again from the ledger when a job is resumed.

local core = require "campaign.core"
local error_object = require "campaign.error"
local json = require "campaign.json"

local M = {}

-- Batches leased at a time.
local CLAIM = 64

local methods = {}
local mt = { __index = methods, __name = "campaign.import.journal" }

---@param folder table the job folder
---@param ledger table
function M.new(folder, ledger)
  return setmetatable({ _folder = folder, _ledger = ledger, _leases = {}, _at = 0, _dirty = false }, mt)
end

---The next batch of the plan that nobody took over and that nobody has in doubt.
---@return table? batch
---@return campaign.error? err
function methods:next_batch()
  if self._at == #self._leases then
    local leases, err = self._ledger:claim(CLAIM)
    if not leases then
      self._leases, self._at = {}, 0
      return nil, err
    end
    self._leases, self._at = leases, 0
  end
  self._at = self._at + 1
  local batch = self._leases[self._at]
  if not batch then
    self._at = #self._leases
  end
  return batch
end

---An attempt is about to leave. Nothing may be sent before `commit` and unless `go` is true then.
---@param attempt table batch, number
---@return true? ok
---@return campaign.error? err
function methods:begin(attempt)
  local ticket, err = self._ledger:begin(attempt.batch)
  if not ticket then
    return nil, err
  end
  attempt.intent = ticket
  self._dirty = true
  return true
end

---Whether the attempt may leave.
---@param attempt table
---@return true? ok
---@return campaign.error? err
function methods.go(_, attempt)
  if attempt.intent.answer ~= "go" then
    return nil, error_object.new{
      kind = "ledger", retry = false, sent = "no",
      message = ("batch %d is no longer ours to send"):format(attempt.batch.index),
      hint = "does another process work on this job?",
    }
  end
  attempt.number = attempt.intent.number
  attempt.batch.attempts = attempt.number
  return true
end

-- Long runs of digits could be somebody's number: a platform may say it in its message.
local function masked(text)
  return text and (text:gsub("%d%d%d%d%d%d%d+", function(digits)
    return digits:sub(1, 3) .. ("*"):rep(#digits - 5) .. digits:sub(-2)
  end))
end

local function line_of(record)
  return core.json.encode(record) .. "\n"
end

-- The fields that both records have.
local SAID = { "verdict", "cause", "receipt", "status", "code", "kind", "sent", "guard", "bytes_sent", "body_bytes", "seconds", "detail" }

function methods:_append(line)
  local err
  if not self._file then
    self._file, err = self._folder:append("batches")
    if not self._file then
      return nil, err
    end
  end
  return self._file:write(line)
end

---The outcome of an attempt is known.
---@param attempt table batch, number, refused? (numbers of the rows that the platform gave back)
---@param outcome table verdict, cause, receipt, status, code, kind, sent, guard, bytes_sent, seconds, detail, message, awaits
---@return true? ok
---@return campaign.error? err
function methods:finish(attempt, outcome)
  local batch = attempt.batch
  local record, line = {}, { batch = batch.index, attempt = attempt.number, first_row = batch.first_row, rows = batch.accepted }
  for _, name in ipairs(SAID) do
    record[name], line[name] = outcome[name], outcome[name]
  end
  record.detail, record.message, record.reason = masked(outcome.detail), masked(outcome.message), outcome.reason
  record.awaits = outcome.awaits
  record.guard = outcome.guard and 1 or nil
  local refused = outcome.verdict == "partly" and attempt.refused or {}
  record.rejected = #refused
  local rows = {}
  for i, row in ipairs(refused) do
    rows[i] = { row = row, batch = batch.index, state = "rejected", cause = "platform", reason = "refused" }
  end
  local ok, err = self._ledger:record(rows)
  if ok then
    ok, err = self._ledger:finish(batch, record)
  end
  self._dirty = true
  local written, write_err = self:_append(line_of(line))
  if not ok then
    return nil, err
  end
  return written, write_err
end

---Makes all of it durable.
---@return true? ok
---@return campaign.error? err
function methods:commit()
  if not self._dirty then
    return true
  end
  self._dirty = false
  return self._ledger:commit()
end

---Writes batches.jsonl anew from the ledger.
---@return true? ok
---@return campaign.error? err
function methods:rewrite()
  os.remove(self._folder.batches)
  for attempt in self._ledger:scan("attempts") do
    if attempt.verdict then
      local line = { batch = attempt.batch, attempt = attempt.number, first_row = attempt.first_row, rows = attempt.rows }
      for _, name in ipairs(SAID) do
        line[name] = attempt[name]
      end
      line.guard = attempt.guard == 1 or nil
      local ok, err = self:_append(line_of(line))
      if not ok then
        return nil, err
      end
    end
  end
  return true
end

---@return true? ok
---@return campaign.error? err
function methods:close()
  local ok, err = self:commit()
  if ok then
    ok, err = self._ledger:release() -- not earlier: what is pending would be claimed again
  end
  if ok then
    ok, err = self._ledger:commit()
  end
  if self._file then
    local closed, close_err = self._file:close()
    self._file = nil
    if ok and not closed then
      return nil, close_err
    end
  end
  return ok, err
end

---Reads finished attempts back, in the order in which they finished.
---@param path string
---@return fun(): table?
function M.each(path)
  local file = io.open(path, "rb")
  return function()
    local line = file and file:read("*l")
    if not line then
      if file then
        file:close()
        file = nil
      end
      return nil
    end
    return (json.decode(line))
  end
end

return M

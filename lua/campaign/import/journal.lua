-- SPDX-License-Identifier: MIT
-- What the engine writes down about attempts: begin before the first byte, finish with the outcome. This one keeps open attempts in
-- memory and appends finished ones to batches.jsonl; the durable ledger will stand behind the same two functions.

local core = require "campaign.core"
local json = require "campaign.json"

local M = {}

local methods = {}
local mt = { __index = methods, __name = "campaign.import.journal" }

---@param folder table the job folder
function M.new(folder)
  return setmetatable({ _folder = folder, _open = {} }, mt)
end

---An attempt is about to leave. Nothing may be sent unless this returns true.
---@param attempt table batch, number
---@return true? ok
---@return campaign.error? err
function methods:begin(attempt)
  if not self._file then
    local file, err = self._folder:append("batches")
    if not file then
      return nil, err
    end
    self._file = file
  end
  self._open[attempt] = true
  return true
end

---The outcome of an attempt is known.
---@param attempt table
---@param outcome table verdict, cause, receipt, status, code, kind, sent, guard, bytes_sent, seconds, detail
---@return true? ok
---@return campaign.error? err
function methods:finish(attempt, outcome)
  self._open[attempt] = nil
  local batch = attempt.batch
  local line = { batch = batch.index, attempt = attempt.number, first_row = batch.first_row, rows = batch.accepted }
  for key, value in pairs(outcome) do
    line[key] = value
  end
  return self._file:write(core.json.encode(line) .. "\n")
end

---Attempts that were begun and not finished.
---@return integer
function methods:open()
  local count = 0
  for _ in pairs(self._open) do
    count = count + 1
  end
  return count
end

---@return true? ok
---@return campaign.error? err
function methods:close()
  if not self._file then
    return true
  end
  local ok, err = self._file:close()
  self._file = nil
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

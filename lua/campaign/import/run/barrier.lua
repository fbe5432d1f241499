-- SPDX-License-Identifier: MIT
-- The barrier of an overwriting import: until one request has replaced the existing data, and the platform has confirmed it, nothing else
-- is in flight and every request would replace; after that, in this process or a later one, none does. The ledger records the replacement.

local M = {}

local TAKEN_OVER = { A = true, R = true, C = true }

local methods = {}
local mt = { __index = methods, __name = "campaign.import.run.barrier" }

---@param overwrite boolean? whether the import replaces what is there
---@param ledger table
---@return campaign.import.run.barrier
function M.new(overwrite, ledger)
  local self = setmetatable({ _closed = overwrite == true }, mt)
  if self._closed then
    for batch in ledger:scan("batches") do
      self._closed = self._closed and not TAKEN_OVER[batch.state]
    end
  end
  return self
end

---True while the next request is the one that replaces.
---@return boolean
function methods:is_closed()
  return self._closed
end

---A request was answered.
---@param verdict campaign.verdict
function methods:settled(verdict)
  if verdict.verdict == "accepted" or verdict.verdict == "partly" then
    self._closed = false
  end
end

---The pace, with one request in flight while the barrier is closed.
---@param pace table
---@return table
function methods:hold(pace)
  if not self._closed then
    return pace -- nor will it ever be
  end
  local limit = pace.limit
  pace.limit = function(...)
    return self._closed and 1 or limit(...)
  end
  return pace
end

return M

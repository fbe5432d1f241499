-- SPDX-License-Identifier: MIT
-- The result of a comparison: faults of the same kind grouped, with the rows or batches of the first few. Row numbers only, never values.

local M = {}

-- Numbers listed per fault.
local MOST_EXAMPLES = 5

-- Kinds of faults that are reported separately.
local MOST_KINDS = 200

local methods = {}
local mt = { __index = methods, __name = "campaign.job.findings" }

---@return table findings
function M.new()
  return setmetatable({ list = {}, by_key = {} }, mt)
end

---Adds a fault.
---@param part "input"|"ledger"|"reports"|"server"
---@param message string
---@param rows integer|nil number of the row (or batch, if the message says so) that shows it
---@param count integer? of occurrences; default 1
function methods:fault(part, message, rows, count)
  local key = part .. "\0" .. message
  local entry = self.by_key[key]
  if not entry then
    if #self.list >= MOST_KINDS then
      return
    end
    entry = { part = part, message = message, count = 0, examples = {} }
    self.by_key[key] = entry
    self.list[#self.list + 1] = entry
  end
  entry.count = entry.count + (count or 1)
  if rows and #entry.examples < MOST_EXAMPLES then
    entry.examples[#entry.examples + 1] = rows
  end
end

---@return boolean
function methods:is_clean()
  return #self.list == 0
end

return M

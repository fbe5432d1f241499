-- SPDX-License-Identifier: MIT
-- The accounting of one import: every row of the file is in exactly one state, and the states add up to the file. Rows are counted where
-- they are read, states where they are decided, lines where they are written, so that the comparison is meaningful.

local error_object = require "campaign.error"

local M = {}

-- In the order in which reports show them.
M.STATES = { "accepted", "accepted_pending", "rejected", "duplicate", "suppressed", "unchanged", "ambiguous", "pending" }

-- The states whose rows are listed in a file of their own, with the key of the file in import/folder.lua.
M.FILES = {
  rejected = "rejects", duplicate = "duplicates", suppressed = "suppressed", unchanged = "unchanged", ambiguous = "ambiguous",
  pending = "not_sent",
}

-- The states of rows that the preflight leaves out.
M.LEFT_OUT = { "rejected", "duplicate", "suppressed", "unchanged" }

-- All states with a file, in the order of STATES.
M.LISTED = { "rejected", "duplicate", "suppressed", "unchanged", "ambiguous", "pending" }

local OF_BATCH = { A = "accepted", R = "accepted", C = "accepted", X = "rejected", U = "ambiguous", S = "ambiguous" }

---The state of a batch's rows that have no result of their own, but for results that are still to come.
---@param batch { state: string } of the ledger
---@return "accepted"|"rejected"|"ambiguous"|"pending"
function M.state_of_rows(batch)
  return OF_BATCH[batch.state] or "pending"
end

-- Different reasons, at most, that are counted separately: the texts of platforms may all differ.
local MOST_REASONS = 500

local methods = {}
local mt = { __index = methods, __name = "campaign.import.report.accounting" }

---@class campaign.books
---@field rows integer data rows read
---@field counts table<string, integer> rows by state
---@field causes table<string, integer> rejected rows by cause

---@return campaign.books
function M.new()
  local self = setmetatable({ rows = 0, counts = {}, causes = { invalid = 0, unmappable = 0, platform = 0 } }, mt)
  for _, state in ipairs(M.STATES) do
    self.counts[state] = 0
  end
  self._reasons, self._order = {}, {}
  return self
end

---Counts rows that were read from the file.
---@param count integer
function methods:read(count)
  self.rows = self.rows + count
end

---Counts rows that reached a state. Raises for an unknown state.
---@param state string
---@param count integer
---@param why table? cause, column, reason, code: for the table of reasons
function methods:book(state, count, why)
  if not self.counts[state] then
    error("unknown row state: " .. tostring(state), 2)
  end
  if count == 0 then
    return
  end
  self.counts[state] = self.counts[state] + count
  if state == "rejected" then
    self.causes[why.cause] = self.causes[why.cause] + count
  end
  if not why then
    return
  end
  local key = table.concat({ state, why.cause or "", why.column or "", why.reason or "",
    tostring(why.code or "") }, "\0")
  local entry = self._reasons[key]
  if not entry and #self._order >= MOST_REASONS then
    key = state .. "\0" .. (why.cause or "")
    entry, why = self._reasons[key], { cause = why.cause, reason = "other" }
  end
  if not entry then
    entry = { state = state, cause = why.cause, column = why.column, reason = why.reason, code = why.code, count = 0 }
    self._reasons[key] = entry
    self._order[#self._order + 1] = entry
  end
  entry.count = entry.count + count
end

---The table of reasons, most frequent first.
---@return table[]
function methods:reasons()
  local list = {}
  for i, entry in ipairs(self._order) do
    list[i] = { state = entry.state, cause = entry.cause, column = entry.column, reason = entry.reason,
      code = entry.code, count = entry.count }
  end
  table.sort(list, function(left, right)
    if left.count ~= right.count then
      return left.count > right.count
    end
    return table.concat({ left.state, left.column or "", left.reason or "" }, "\0")
      < table.concat({ right.state, right.column or "", right.reason or "" }, "\0")
  end)
  return list
end

---The number of rows that are in any state.
---@return integer
function methods:sum()
  local sum = 0
  for _, state in ipairs(M.STATES) do
    sum = sum + self.counts[state]
  end
  return sum
end

---Compares the books: states against rows, causes against rejects, and lines written against rows listed.
---@param lines table<string, integer> lines in the row files, by state
---@param unlisted integer? rows in no state here, because only the ledger knows that they were not sent
---@return true? balanced
---@return campaign.error? err
function methods:balance(lines, unlisted)
  local faults = {}
  local function compare(what, left, right)
    if left ~= right then
      faults[#faults + 1] = ("%s: %d, but %d were counted"):format(what, left, right)
    end
  end
  compare("rows of the file", self.rows, self:sum() + (unlisted or 0))
  compare("rejected rows", self.counts.rejected, self.causes.invalid + self.causes.unmappable + self.causes.platform)
  for _, state in ipairs(M.LISTED) do
    compare(state .. " rows", self.counts[state], lines[state] or 0)
  end
  if #faults > 0 then
    return nil, error_object.new{
      kind = "ledger", retry = false, message = "the counts do not add up: " .. table.concat(faults, "; "),
      hint = "trust neither the counts nor the row files; compare with the platform before anything is sent again",
    }
  end
  return true
end

return M

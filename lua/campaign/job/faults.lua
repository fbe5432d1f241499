-- SPDX-License-Identifier: MIT
-- How many rows were in flight when something went wrong: the upper bound of rows in doubt. Computed from the times of the attempts, not
-- from their states.

local M = {}

-- Rows of the attempts of processes that died, at most as many attempts as each may have had in flight. All attempts of a process were closed at
-- one moment, when the ledger was opened next.
local function rows_of_interrupted(interrupted, most)
  local rows = 0
  for _, group in pairs(interrupted) do
    table.sort(group, function(left, right)
      return left > right
    end)
    for i = 1, math.min(#group, most) do
      rows = rows + group[i]
    end
  end
  return rows
end

-- Whether one of `times` (ascending) lies between `from` and `to`.
local function has_moment(times, from, to)
  local low, high = 1, #times + 1
  while low < high do
    local middle = math.floor((low + high) / 2)
    if times[middle] < from then
      low = middle + 1
    else
      high = middle
    end
  end
  return times[low] ~= nil and times[low] <= to
end

---The rows that were in flight.
---@param ledger table
---@param most integer batches that the job may have in flight
---@param recovered fun(batch: integer): boolean whether `recover` found no intact record of a batch, or later evidence contradicts its outcome
---@return integer rows
function M.in_flight(ledger, most, recovered)
  local times, interrupted = {}, {}
  for attempt in ledger:scan("attempts") do
    if attempt.verdict == "ambiguous" then
      if attempt.cause == "interrupted" then
        local key = tostring(attempt.ended)
        interrupted[key] = interrupted[key] or {}
        table.insert(interrupted[key], attempt.rows)
      else
        times[#times + 1] = attempt.ended
      end
    end
  end
  local rows = rows_of_interrupted(interrupted, most)
  table.sort(times)
  local counted = {}
  if #times > 0 then
    for attempt in ledger:scan("attempts") do
      if attempt.cause ~= "interrupted" and not counted[attempt.batch] and has_moment(times, attempt.began, attempt.ended or attempt.began) then
        counted[attempt.batch] = true
        rows = rows + attempt.rows
      end
    end
  end
  for batch in ledger:scan("batches") do
    if batch.state == "U" and not counted[batch.index] and recovered(batch.index) then
      rows = rows + batch.accepted
    end
  end
  return rows
end

return M

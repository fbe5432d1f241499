-- SPDX-License-Identifier: MIT
-- How many rows were in flight when something went wrong: the upper bound of rows in doubt. Computed from the times of the attempts, not
-- from their states.

local M = {}

-- Attempts of a process that died: at most as many as it may have had in flight. All were closed at one moment, when the ledger was opened
-- next.
local function of_the_dead(dead, most)
  local rows = 0
  for _, group in pairs(dead) do
    table.sort(group, function(left, right)
      return left > right
    end)
    for i = 1, math.min(#group, most) do
      rows = rows + group[i]
    end
  end
  return rows
end

-- Is there a time in `times` (ascending) between `from` and `to`?
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

---@param ledger table
---@param most integer batches that the job may have in flight
---@param recovered fun(batch: integer): boolean batches that `recover` could not vouch for, or whose later evidence contradicts
---@return integer rows
function M.in_flight(ledger, most, recovered)
  local times, dead = {}, {}
  for attempt in ledger:scan("attempts") do
    if attempt.verdict == "ambiguous" then
      if attempt.cause == "interrupted" then
        local key = tostring(attempt.ended)
        dead[key] = dead[key] or {}
        table.insert(dead[key], attempt.rows)
      else
        times[#times + 1] = attempt.ended
      end
    end
  end
  local rows = of_the_dead(dead, most)
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

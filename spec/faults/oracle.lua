-- SPDX-License-Identifier: MIT
-- The one oracle of the fault tests: the list, the job's ledger and what the recorder committed, row by row. It shares no code with the
-- product: the ledger is read by the sqlite3 command with queries of its own, the row files by a plain reader, the list is known by the rows
-- it was made of (row n has the number 138 and n in eight digits).
--
-- lost                   rows in no state, in two, or taken for accepted by nobody and listed nowhere
-- unreported_duplicates  rows committed more often than the books admit: twice and not listed as in doubt or resent; or committed although
--                        the books say that nothing was applied, so that whoever follows them sends the row again
-- false_success          rows that the books call accepted and that were never committed
-- ambiguous              rows in doubt
-- in_flight_at_fault     rows that were on their way when the faults struck, as the recorder saw it: the most that may be in doubt

local command = require "support.command"

local M = {}

local STATES = { A = "accepted", C = "accepted", R = "accepted", X = "rejected", U = "ambiguous", S = "ambiguous", P = "pending",
  L = "pending", F = "pending" }

local QUERY = "SELECT 'b', state, first_row, rows, rejected, doubts, seq FROM batch WHERE split = 0;"
  .. " SELECT 'r', state, row, coalesce(batch, 0) FROM row_result;"

local function lines_of(argv)
  local pipe = assert(io.popen(argv, "r"))
  local lines = {}
  for line in pipe:lines() do
    lines[#lines + 1] = line
  end
  pipe:close()
  return lines
end

-- State of every row by the ledger; the file is copied first, so that looking changes nothing.
local function ledger_states(folder)
  local quoted, states, found = command.quote(folder), {}, { twice = 0, doubted = {}, batches = {}, size = 0 }
  local lines = lines_of(("t=$(mktemp -d) && cp %s/ledger.db* $t/ 2>/dev/null; sqlite3 -separator ' ' $t/ledger.db \"%s\" 2>&1; rm -r $t")
    :format(quoted, QUERY))
  local function put(row, state)
    if states[row] then
      found.twice = found.twice + 1
    end
    states[row] = state
  end
  local single = {}
  for _, line in ipairs(lines) do
    local state, row, batch = line:match("^r (%a+) (%d+) (%d+)$")
    if state then
      single[tonumber(row)] = { state = state, batch = tonumber(batch) }
    end
  end
  for _, line in ipairs(lines) do
    local state, first, rows, _, doubts, seq = line:match("^b (%u) (%d+) (%d+) (%d+) (%d+) (%d+)$")
    if state then
      found.batches[tonumber(seq)] = { state = state, first = tonumber(first), rows = tonumber(rows) }
      for row = tonumber(first), first + rows - 1 do
        local own = single[row]
        if not own then
          put(row, STATES[state])
          found.doubted[row] = tonumber(doubts) > 0 or nil
        elseif own.batch ~= 0 then
          put(row, own.state)
        end
      end
    elseif not line:find("^r ") then
      error("the ledger of " .. folder .. " cannot be read: " .. line)
    end
  end
  for row, own in pairs(single) do
    if own.batch == 0 then
      put(row, own.state)
    end
  end
  return states, found
end

-- Row numbers that a row file lists; -1 for one that lists a row twice.
local function listed(path)
  local rows, twice = {}, 0
  local file = io.open(path, "rb")
  if file then
    file:read("*l")
    for line in file:lines() do
      local row = tonumber(line:match("^(%d+),"))
      if row then
        twice = twice + (rows[row] and 1 or 0)
        rows[row] = true
      end
    end
    file:close()
  end
  return rows, twice
end

local LISTS = { ambiguous = "ambiguous.csv", pending = "not_sent.csv", rejected = "rejects.csv", duplicate = "duplicates.csv" }

---@param folder string job folder
---@param first integer number of the list's first row, less one
---@param count integer rows of the list
---@param log table what the recorder read
---@param more table? rows_per_call; finished: a run came to its end, so that the row files must say the same as the ledger
---@return table figures
function M.judge(folder, first, count, log, more)
  more = more or {}
  local states, found = ledger_states(folder)
  local figures = { lost = found.twice, unreported_duplicates = 0, false_success = 0, ambiguous = 0, pending = 0, rejected = 0, accepted = 0,
    in_flight_at_fault = log.struck * (more.rows_per_call or 1), batches = found.batches }
  for row = 1, count do
    local times, state = log.times[first + row] or 0, states[row]
    if not state then
      figures.lost = figures.lost + 1
    elseif state == "duplicate" then
      figures.duplicate = (figures.duplicate or 0) + 1
    else
      figures[state] = figures[state] + 1
    end
    if state == "accepted" then
      if times == 0 then
        figures.false_success = figures.false_success + 1
      elseif times > 1 and not found.doubted[row] then
        figures.unreported_duplicates = figures.unreported_duplicates + 1
      end
    elseif state == "ambiguous" then
      if times > 1 and not found.doubted[row] then
        figures.unreported_duplicates = figures.unreported_duplicates + 1
      end
    elseif times > 0 and not found.doubted[row] then
      figures.unreported_duplicates = figures.unreported_duplicates + 1
    end
  end
  for row in pairs(states) do
    if row < 1 or row > count then
      figures.lost = figures.lost + 1 -- a state for a row that is not there
    end
  end
  if more.finished then
    for state, name in pairs(LISTS) do
      local rows, twice = listed(folder .. "/" .. name)
      figures.lost = figures.lost + twice
      for row = 1, count do
        if (rows[row] or false) ~= (states[row] == state) then
          figures.lost = figures.lost + 1
        end
      end
    end
  end
  return figures
end

---Adds figures up.
function M.add(sum, figures)
  for _, name in ipairs({ "lost", "unreported_duplicates", "false_success", "ambiguous", "in_flight_at_fault" }) do
    sum[name] = (sum[name] or 0) + figures[name]
  end
  return sum
end

---Why the figures do not pass; nil when they do.
function M.fault(figures)
  for _, name in ipairs({ "lost", "unreported_duplicates", "false_success" }) do
    if figures[name] ~= 0 then
      return name .. " " .. figures[name]
    end
  end
  if figures.ambiguous > figures.in_flight_at_fault then
    return ("ambiguous %d, of at most %d"):format(figures.ambiguous, figures.in_flight_at_fault)
  end
end

return M

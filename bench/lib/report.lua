-- SPDX-License-Identifier: MIT
-- Turns measured rounds into tables and ratios. A ratio is taken inside a round, in which every peer
-- ran once, and its median over the rounds is told: a machine whose speed drifts spoils single
-- times, not these.

local M = {}

function M.median(values)
  local sorted = {}
  for i, value in ipairs(values) do
    sorted[i] = value
  end
  table.sort(sorted)
  local n = #sorted
  if n == 0 then
    return nil
  end
  if n % 2 == 1 then
    return sorted[(n + 1) / 2]
  end
  return (sorted[n / 2] + sorted[n / 2 + 1]) / 2
end

local function column(rounds, name, key)
  local values = {}
  for _, round in ipairs(rounds) do
    if round[name] then
      values[#values + 1] = round[name][key]
    end
  end
  return values
end

---Median over the rounds of theirs / ours, for "wall" or "cpu".
function M.ratio(rounds, theirs, ours, key)
  local values = {}
  for _, round in ipairs(rounds) do
    if round[theirs] and round[ours] and round[ours][key] > 0 then
      values[#values + 1] = round[theirs][key] / round[ours][key]
    end
  end
  return M.median(values)
end

---One line per peer: medians of everything. `peers` is a list of names.
function M.summarise(rounds, peers)
  local lines = {}
  for _, name in ipairs(peers) do
    local walls = column(rounds, name, "wall")
    if #walls > 0 then
      local line = { name = name, rounds = #walls }
      for _, key in ipairs { "wall", "cpu", "peak", "bytes", "requests" } do
        line[key] = M.median(column(rounds, name, key))
      end
      table.sort(walls)
      line.least, line.most = walls[1], walls[#walls]
      lines[#lines + 1] = line
    end
  end
  return lines
end

function M.table(title, rows, rounds, peers, write)
  local ours = peers[1]
  write(("\n%s\n"):format(title))
  write(("%-17s %8s %17s %8s %8s %10s %8s %6s   %s\n"):format("", "wall s", "least..most", "CPU s",
    "peak MB", "rows/s", "sent MB", "calls", "times " .. ours .. "'s wall, CPU"))
  for _, line in ipairs(M.summarise(rounds, peers)) do
    local wall = M.ratio(rounds, line.name, ours, "wall")
    local cpu = M.ratio(rounds, line.name, ours, "cpu")
    write(("%-17s %8.3f %17s %8.3f %8.1f %10.0f %8.1f %6.0f   %s\n"):format(line.name, line.wall,
      ("%.3f..%.3f"):format(line.least, line.most), line.cpu, line.peak, rows / line.wall,
      line.bytes / 1e6, line.requests, wall and ("%.2f, %.2f"):format(wall, cpu) or "-"))
  end
end

---Tab-separated lines for other programs.
function M.tsv(job, rows, rounds, peers, write)
  for _, line in ipairs(M.summarise(rounds, peers)) do
    local wall = M.ratio(rounds, line.name, peers[1], "wall") or 0
    local cpu = M.ratio(rounds, line.name, peers[1], "cpu") or 0
    local format = "%s\t%d\t%s\t%d\t%.4f\t%.4f\t%.1f\t%.0f\t%.0f\t%.3f\t%.3f\n"
    write(format:format(job, rows, line.name, line.rounds, line.wall, line.cpu, line.peak,
      line.requests, line.bytes, wall, cpu))
  end
end

M.TSV_HEADER = "job\trows\tpeer\trounds\twall_s\tcpu_s\tpeak_mb\tcalls\tbytes"
  .. "\twall_ratio\tcpu_ratio\n"

return M

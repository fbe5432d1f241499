-- SPDX-License-Identifier: MIT
-- Turns measured rounds into tables and ratios. A ratio is taken inside a round, in which every peer ran once, and its median
-- over the rounds is told: a machine whose speed drifts spoils single times, not these.

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
      local line = { name = name, rounds = #walls, wall = M.median(walls), cpu = M.median(column(rounds, name, "cpu")),
        peak = M.median(column(rounds, name, "peak")), bytes = M.median(column(rounds, name, "bytes")),
        requests = M.median(column(rounds, name, "requests")) }
      table.sort(walls)
      line.least, line.most = walls[1], walls[#walls]
      lines[#lines + 1] = line
    end
  end
  return lines
end

function M.table(title, rows, rounds, peers, write)
  local reference = peers[1]
  write(("\n%s\n"):format(title))
  write(("%-17s %8s %17s %8s %8s %10s %8s %6s   %s\n"):format("", "wall s", "least..most", "CPU s", "peak MB", "rows/s",
    "sent MB", "calls", "times " .. reference .. "'s wall, CPU"))
  for _, line in ipairs(M.summarise(rounds, peers)) do
    local wall, cpu = M.ratio(rounds, line.name, reference, "wall"), M.ratio(rounds, line.name, reference, "cpu")
    write(("%-17s %8.3f %17s %8.3f %8.1f %10.0f %8.1f %6d   %s\n"):format(line.name, line.wall,
      ("%.3f..%.3f"):format(line.least, line.most), line.cpu, line.peak, rows / line.wall, line.bytes / 1e6, line.requests,
      wall and ("%.2f, %.2f"):format(wall, cpu) or "-"))
  end
end

---Tab-separated lines for other programs.
function M.tsv(job, rows, rounds, peers, write)
  for _, line in ipairs(M.summarise(rounds, peers)) do
    local wall = M.ratio(rounds, line.name, peers[1], "wall") or 0
    local cpu = M.ratio(rounds, line.name, peers[1], "cpu") or 0
    write(table.concat({ job, ("%d"):format(rows), line.name, ("%d"):format(line.rounds), ("%.4f"):format(line.wall),
      ("%.4f"):format(line.cpu), ("%.1f"):format(line.peak), ("%d"):format(line.requests), ("%d"):format(line.bytes),
      ("%.3f"):format(wall), ("%.3f"):format(cpu) }, "\t") .. "\n")
  end
end

M.TSV_HEADER = "job\trows\tpeer\trounds\twall_s\tcpu_s\tpeak_mb\tcalls\tbytes\twall_ratio\tcpu_ratio\n"

return M

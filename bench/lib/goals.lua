-- SPDX-License-Identifier: MIT
-- Runs what measures each goal (jobs, parts, keys, corpus, slope), then writes all figures to goals.tsv and, with machine, versions and
-- date, to bench/RESULTS.md: what was met, and what was missed. A step that cannot run leaves its rows out, by name.
--
--   bench/goals [--only jobs,delay,map,parts,start,requests,gbk,keys,corpus,slope,write] [--rounds N]

package.path = "bench/lib/?.lua;" .. package.path

local report = require "report"
local shell = require "shell"

local out = "build/bench"
local only, rounds = nil, 5
for i = 1, #arg, 2 do
  if arg[i] == "--only" then
    only = {}
    for name in (arg[i + 1] or ""):gmatch("[^,]+") do
      only[name] = true
    end
  elseif arg[i] == "--rounds" then
    rounds = assert(tonumber(arg[i + 1]), "--rounds takes a number")
  else
    io.stderr:write("usage: bench/goals [--only jobs,delay,map,parts,start,requests,gbk,keys,corpus,slope,write] [--rounds N]\n")
    os.exit(2)
  end
end

local function wants(step)
  return not only or only[step]
end

local function luajit(rest)
  return "env LUA_PATH='lua/?.lua;lua/?/init.lua;;' LUA_CPATH='build/luajit/?.so;;' luajit " .. rest
end

-- Runs a step; its figures stay in files of `out`, so that any can be measured again alone.
local function step(name, command)
  if wants(name) then
    io.stdout:write("== ", name, ": ", os.date("!%H:%M:%S"), "\n")
    io.stdout:flush()
    if not shell.run(command) then
      io.stdout:write("   ", name, " did not run to its end\n")
    end
  end
end

local PEERS = "campaign,campaign-command,campaign-no-ledger,go,luajit,floor"
step("jobs", ("bench/run --rows 1000000 --rounds %d --jobs j1,j2 --peers %s --out %s && cp %s/results.tsv %s/jobs.tsv"):format(
  rounds, PEERS, out, out, out))
step("delay", ("bench/run --rows 1000000 --rounds %d --jobs delay --peers campaign,campaign-no-ledger,floor --out %s && "
  .. "cp %s/results.tsv %s/delay.tsv"):format(rounds, out, out, out))
step("map", ("bench/run --rows 1000000 --rounds %d --jobs map --peers campaign,campaign-luajit,campaign-command,luajit,lua5.4 --out %s && "
  .. "cp %s/results.tsv %s/map.tsv"):format(rounds, out, out, out))
if only then -- parts of the parts
  for name, words in pairs({ start = "start", requests = "GETs", gbk = "GBK" }) do
    step(name, ("bench/run --parts %s --rows 100000 --rounds %d --out %s"):format(words, rounds, out))
  end
end
step("parts", ("BENCH_KEYS=0 bench/run --parts --rows 100000 --rounds %d --out %s"):format(rounds, out))
step("keys", "env BENCH_ROUNDS=" .. math.min(rounds, 3) .. " " .. luajit("bench/keys.lua 10000000 %s >%s/keys.txt"):format(out, out))
step("corpus", (luajit("bench/corpus.lua %d >%s/corpus.tsv"):format(rounds, out)))
step("slope", ("%s bench/lib/slope.lua %s %s/contacts-1000000.csv %d"):format(arg[-1] or "lua5.4", out, out, rounds))

-- ---- reading the figures ----

local function read_tsv(name)
  local lines, columns = {}, nil
  for line in (shell.read(out .. "/" .. name) or ""):gmatch("[^\n]+") do
    local fields = {}
    for field in (line .. "\t"):gmatch("([^\t]*)\t") do
      fields[#fields + 1] = field
    end
    if not columns then
      columns = fields
    else
      local entry = {}
      for i, column in ipairs(columns) do
        entry[column] = fields[i]
      end
      lines[#lines + 1] = entry
    end
  end
  return lines
end

local goals, taken = {}, nil -- taken: rounds of the figures that are being added

-- A figure beside its goal: least is how much it must be at least, most how much at most.
local function add(work, beside, figure, unit, least, most)
  local met = figure and ((least and figure >= least) or (most and figure <= most)) or false
  goals[#goals + 1] = { work = work, beside = beside, figure = figure, unit = unit, goal = least and ("≥ %g"):format(least) or ("≤ %g"):format(most),
    rounds = figure and taken, verdict = not figure and "not measured" or met and "met" or "missed" }
end

local function job_rows()
  for _, job in ipairs({ { "j1", "J1, 1 M rows", 5 }, { "j2", "J2, 1 M rows", 4 } }) do
    local peers = {}
    for _, line in ipairs(read_tsv("jobs.tsv")) do
      if line.job == job[1] then
        taken = line.rounds
        peers[line.peer] = { wall = tonumber(line.wall_ratio), cpu = tonumber(line.cpu_ratio) }
      end
    end
    local kinds = { { "campaign", "" }, { "campaign-command", ", command" } }
    if job[1] == "j2" then
      table.insert(kinds, 1, { "campaign-no-ledger", ", without the ledger" })
    end
    for _, kind in ipairs(kinds) do
      local ours = peers[kind[1]]
      for _, key in ipairs({ "wall", "cpu" }) do
        local floor = ours and peers.floor and ours[key] / peers.floor[key]
        add(job[2] .. kind[2] .. ": times the floor, " .. key, "bare C for this list", floor, "×", nil, 1.3)
      end
      add(job[2] .. kind[2] .. ": times as fast, wall", "Go", ours and peers.go and peers.go.wall / ours.wall, "×", job[3])
      add(job[2] .. kind[2] .. ": times as fast, wall", "LuaJIT, lua-curl", ours and peers.luajit and peers.luajit.wall / ours.wall, "×", 10)
    end
    if job[1] == "j2" then
      local without = peers["campaign-no-ledger"]
      for _, key in ipairs({ "wall", "cpu" }) do
        add("J2, durable ledger: times the same without, " .. key, "itself", without and 1 / without[key], "×", nil, 1.6)
      end
    end
  end
  local slow = {}
  for _, line in ipairs(read_tsv("delay.tsv")) do
    slow[line.peer], taken = tonumber(line.wall_ratio), line.rounds
  end
  for _, kind in ipairs({ { "campaign-no-ledger", ", without the ledger" }, { "campaign", "" } }) do
    local ours = slow[kind[1]]
    add("J2, 20 ms latency, 16 in flight, 1 M rows" .. kind[2] .. ": times the floor, wall", "bare C for this list",
      ours and slow.floor and ours / slow.floor, "×", nil, 1.05)
  end
end

local function map_rows()
  local peers = {}
  for _, line in ipairs(read_tsv("map.tsv")) do
    taken = line.rounds
    peers[line.peer] = { wall = tonumber(line.wall_ratio), cpu = tonumber(line.cpu_ratio) }
  end
  for _, pair in ipairs({ { "campaign", "lua5.4", "Lua 5.4, LuaSocket, lua-cjson" }, { "campaign", "luajit", "LuaJIT, lua-curl, lua-cjson" },
    { "campaign-luajit", "luajit", "LuaJIT, lua-curl, lua-cjson" }, { "campaign-command", "luajit", "LuaJIT, lua-curl, lua-cjson" } }) do
    local ours, other = peers[pair[1]], peers[pair[2]]
    for _, key in ipairs({ "wall", "cpu" }) do
      add("a Lua function called for each row, " .. pair[1] .. ": times as fast, " .. key, pair[3], ours and other and other[key] / ours[key], "×", 3)
    end
  end
end

local function part_rows()
  for _, line in ipairs(read_tsv("parts.tsv")) do
    taken = line.rounds
    if line.goal ~= "-" then
      local start = line.part:find("start", 1, true)
      add(line.part .. (start and ": times the other's CPU" or ": times as fast, CPU"), line.beside,
        start and 1 / tonumber(line.cpu_ratio) or tonumber(line.cpu_ratio), "×", not start and tonumber(line.goal) or nil, start and 1.3 or nil)
      if line.wall_ratio ~= "-" then
        add(line.part .. (start and ": times the other's wall" or ": times as fast, wall"), line.beside,
          start and 1 / tonumber(line.wall_ratio) or tonumber(line.wall_ratio), "×", not start and tonumber(line.goal) or nil, start and 1.3 or nil)
      end
      if start then
        add(line.part .. ": peak memory", "", tonumber(line.our_peak_mb), "MB", nil, 14)
      end
    end
  end
  local worst, worst_of
  local slower = {}
  for _, line in ipairs(read_tsv("corpus.tsv")) do
    local ratio = tonumber(line.cpu_ratio)
    taken = line.rounds
    if not worst or ratio < worst then
      worst, worst_of = ratio, line.input .. ", " .. line.direction
    end
    if ratio < 1 then
      slower[#slower + 1] = ("%s, %s (%.2f)"):format(line.input, line.direction, ratio)
    end
  end
  add("corpus of 12 inputs: the worst of them" .. (worst_of and " (" .. worst_of .. ")" or ""), "glibc iconv (lua-iconv)", worst, "×", 1)
  return slower
end

local function key_rows()
  local text = shell.read(out .. "/keys.txt") or ""
  local count = text:match("a list of (%d+) keys read")
  local function figure(pattern)
    return tonumber(text:match(pattern))
  end
  taken = text:match("median of (%d+)")
  local keys = (count or "10000000") .. " keys: "
  add(keys .. "memory, at most while it grows", "", figure("at most ([%d.]+) above"), "bytes a key", nil, 24)
  add(keys .. "row looked up in a suppression list", "", figure("none is there%s+(%d+) ns a key"), "ns", nil, 150)
  add(keys .. "duplicate looked for", "", figure("duplicates looked for in %d+ rows%s+(%d+) ns a key"), "ns", nil, 150)
end

local function slope_rows()
  local groups = {}
  for _, line in ipairs(read_tsv("slope.tsv")) do
    local key = line.job .. line.rows
    taken = tonumber(line.round)
    groups[key] = groups[key] or { rows = tonumber(line.rows), cpu = {}, wall = {}, peak = {} }
    table.insert(groups[key].cpu, tonumber(line.cpu_s))
    table.insert(groups[key].wall, tonumber(line.wall_s))
    table.insert(groups[key].peak, tonumber(line.peak_mb))
  end
  local notes = {}
  for _, job in ipairs({ "j1", "j2" }) do
    local least, middle, long = groups[job .. "10000"], groups[job .. "1000000"], groups[job .. "10000000"]
    local function slope(key) -- what a row costs between a million and ten, by what it costs up to a million, the start taken off
      local a, b, c = report.median(least[key]), report.median(middle[key]), report.median(long[key])
      return ((c - b) / (long.rows - middle.rows)) / ((b - a) / (middle.rows - least.rows))
    end
    local name = job:upper() .. ", Lua 5.4"
    if least and middle and long then
      local most = report.median(long.peak)
      add(name .. ": peak memory at 10 M rows", "", most, "MB", nil, 32)
      add(name .. ": peak memory at 10 M rows less that at 1 M", "", most - report.median(middle.peak), "MB", nil, 1)
      add(name .. ": CPU time of a row from 1 M to 10 M, by one below", "itself", slope("cpu"), "×", nil, 1.1)
      notes[#notes + 1] = ("%s: %.1f, %.1f, %.1f MB and %.2f, %.2f, %.2f s CPU at 10,000, 1,000,000, 10,000,000 rows"):format(job:upper(),
        report.median(least.peak), report.median(middle.peak), report.median(long.peak), report.median(least.cpu), report.median(middle.cpu),
        report.median(long.cpu))
    else
      add(name .. ": peak memory at 10 M rows", "", nil, "MB", nil, 32)
    end
  end
  return notes
end

job_rows()
map_rows()
local slower = part_rows()
key_rows()
local notes = slope_rows()

-- ---- what the table says already ----

local RESULTS = "bench/RESULTS.md"
local NOTES = "\n## Notes\n"

-- Figures of earlier runs whose files are not here any more, and the notes behind the table, which people write.
local before = shell.read(RESULTS) or ""
local notes_at = before:find(NOTES, 1, true)
local told_notes = notes_at and before:sub(notes_at) or ""
-- Without what stands in brackets: the worst of the corpus is another one every time.
local function key_of(work, beside)
  return work:gsub(" %b()", "") .. "\t" .. beside
end

local places = {}
for place, goal in ipairs(goals) do
  places[key_of(goal.work, goal.beside)] = place
end
local ROW = "\n| ([^|]-) | ([^|]-) ?| ([%d.]+) ([^|]-) | ([^|]-) | %**(%a+)%** | ([^|]-) ?|%f[\n]"
local behind, moved = 0, 0
for work, beside, figure, unit, aim, verdict, told_rounds in before:gmatch(ROW) do
  local known = { work = work, beside = beside, figure = tonumber(figure), unit = unit, goal = aim, verdict = verdict,
    rounds = told_rounds:gsub("%+", "") .. "+" }
  local place = places[key_of(work, beside)]
  if not place then
    behind, moved = behind + 1, moved + 1
    table.insert(goals, behind, known)
  else
    behind = place + moved
    if not goals[behind].figure then
      goals[behind] = known
    end
  end
end

-- ---- writing them ----

local tsv = assert(io.open(out .. "/goals.tsv", "wb"))
tsv:write("work\tbeside\tfigure\tunit\tgoal\tverdict\trounds\n")
for _, goal in ipairs(goals) do
  local figure = goal.figure and ("%.3f"):format(goal.figure) or "-"
  tsv:write(table.concat({ goal.work, goal.beside, figure, goal.unit, goal.goal, goal.verdict, goal.rounds or "-" }, "\t"), "\n")
end
tsv:close()

local function first(command)
  return shell.capture(command .. " 2>&1 | head -n 1")
end

local file = assert(io.open(RESULTS, "wb"))
file:write("# Results of the bench\n\n", ([[
Written by `bench/goals` (%s UTC); the figures behind it are `build/bench/*.tsv`. Figures are medians of rounds, in each of which everybody
runs once, by turns. Client, peers and sink share one machine; `docs/performance.md` says what the figures mean. A figure behind which `build/bench`
had nothing is that of an earlier run, with a + at its rounds.

]]):format(os.date("!%Y-%m-%d %H:%M")))
file:write(("- Machine: %s, %s processors, %s GB; Linux %s; load averages at the end: %s\n"):format(first("lscpu | sed -n 's/^Model name: *//p'"),
  first("nproc"), first("free -g | awk '/Mem:/ {print $2}'"), first("uname -r"), first("cut -d' ' -f1-3 /proc/loadavg")))
file:write("- Versions: ", table.concat({ first("lua5.4 -v | cut -d' ' -f1-2"), first("luajit -v | cut -d' ' -f1-2"),
  first("curl --version | cut -d' ' -f1-2"), first("gcc --version"), first("go version | cut -d' ' -f3"), first("/usr/bin/rustc --version"),
  first("ldd --version"), first("/usr/sbin/nginx -v") }, "; "), "\n\n")
file:write("| work | beside | figure | goal | | rounds |\n|---|---|---|---|---|---|\n")
local met, missed, absent = 0, 0, 0
for _, goal in ipairs(goals) do
  met = met + (goal.verdict == "met" and 1 or 0)
  missed = missed + (goal.verdict == "missed" and 1 or 0)
  absent = absent + (goal.figure and 0 or 1)
  local figure = goal.figure and ("%.2f %s"):format(goal.figure, goal.unit) or ""
  file:write(("| %s | %s | %s | %s | %s | %s |\n"):format(goal.work, goal.beside, figure, goal.goal,
    goal.verdict == "missed" and "**missed**" or goal.verdict, goal.rounds or ""))
end
file:write(("\n%d met, %d missed, %d not measured.\n"):format(met, missed, absent))
if #slower > 0 then
  file:write("\nSlower than glibc's iconv in the corpus: ", table.concat(slower, "; "),
    ". A text that is refused costs campaign an error object that says where and why.\n")
end
if #notes > 0 then
  file:write("\nPeak memory and CPU time. ", table.concat(notes, "; "), ".\n")
end
file:write(told_notes)
file:close()
print(("%d met, %d missed, %d not measured; bench/RESULTS.md"):format(met, missed, absent))

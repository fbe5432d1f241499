-- SPDX-License-Identifier: MIT
-- Single parts of the work beside others that do the same: which commands, in which order, and the
-- ratios. What a part does stands in bench/parts.lua; a peer that cannot run is named.

local report = require "report"
local shell = require "shell"

local M = {}

local function lua(flavour, rest, script)
  return ("LUA_PATH='lua/?.lua;lua/?/init.lua;;' LUA_CPATH='build/%s/?.so;;' %s bench/%s.lua %s")
    :format(flavour, flavour == "luajit" and "luajit" or "lua5.4", script or "parts", rest)
end

-- { title, goal, our command, their name, their command, what is compared: "cpu" or "wall" too }
local function list_of(values)
  local function fill(command)
    return (command:gsub("{(%w+)}", values))
  end
  local rows = {}
  local function add(title, goal, ours, peer, theirs)
    rows[#rows + 1] = { title = title, goal = goal, ours = fill(ours), peer = peer, theirs = fill(theirs) }
  end
  for _, text in ipairs({ { "contact list", "{text}", 9, 3.5 }, { "dense prose", "{prose}", 5, 1.5 } }) do
    for _, way in ipairs({ { "encode", "UTF-8 -> GBK, ", "" }, { "decode", "GBK -> UTF-8, ", ".gbk" } }) do
      local rest = way[1] .. " %s " .. text[2] .. way[3]
      add(way[2] .. text[1], text[3], lua("luajit", rest:format("core")), "glibc iconv (lua-iconv)",
        lua("luajit", rest:format("iconv")))
      add(way[2] .. text[1], text[4], lua("luajit", rest:format("core")), "Rust encoding_rs",
        "{out}/rustpeer " .. way[1] .. " " .. text[2] .. way[3])
    end
  end
  add("CSV reading, checked UTF-8", nil, lua("luajit", "csv core {csv}"), "Go encoding/csv", "{out}/gopeer csv - {csv}")
  add("CSV reading, checked UTF-8", 5, lua("luajit", "csv core {csv}"), "Rust csv", "{out}/rustpeer csv {csv}")
  add("JSON rows, list to bodies", 8, lua("luajit", "json core {csv}"), "lua-cjson, tables given", lua("luajit", "json cjson {csv}"))
  for _, flavour in ipairs({ "5.4", "luajit" }) do
    local name = flavour == "5.4" and "lua5.4" or flavour
    for _, in_flight in ipairs({ 1, 32 }) do
      add(("20,000 GETs, %d in flight, %s"):format(in_flight, name), 0.95,
        lua(name, "requests core {url}/ 20000 " .. in_flight),
        in_flight == 1 and "C, libcurl easy" or "C, libcurl multi", "{out}/requests {url}/ 20000 " .. in_flight)
    end
    add("start and one call, " .. name, 1 / 1.3, lua(name, "{url}", "start"), "curl",
      "curl -sf --noproxy '*' -o /dev/null {url}/contactGroupDetail")
  end
  return rows
end

-- CPU seconds: what the part prints of itself, else of the whole process; wall seconds and peak memory of the process.
local function run(command, out)
  local settings = ""
  repeat -- for whoever starts the process, so that no `env` is measured with it
    local setting, rest = command:match("^(%u[%u_]*='[^']*' )(.*)$")
    settings, command = settings .. (setting or ""), rest or command
  until not setting
  local usage, output = out .. "/parts.usage.txt", out .. "/parts.stdout.txt"
  os.remove(usage)
  shell.run(("env -u http_proxy -u https_proxy -u all_proxy %s %s %s 300 %s </dev/null >%s 2>%s"):format(settings,
    shell.quote(out .. "/measure"), shell.quote(usage), command, shell.quote(output), shell.quote(out .. "/parts.stderr.txt")))
  local wall, user, system, peak, status = (shell.read(usage) or ""):match("(%S+) (%S+) (%S+) (%S+) (%S+)")
  if status ~= "0" then
    return nil, (shell.read(out .. "/parts.stderr.txt") or "interrupted"):sub(1, 120):gsub("\n.*", "")
  end
  local own = tonumber((shell.read(output) or ""):match("^(%d+%.%d+)\n$"))
  return { cpu = own or tonumber(user) + tonumber(system), wall = not own and tonumber(wall) or nil, peak = tonumber(peak) / 1024 }
end

---Sets of keys have no peer: goals are 24 bytes and 150 ns a key. BENCH_KEYS says how many (a million; 10000000 takes two minutes, 0: none).
---@param options table out, say
function M.keys(options)
  if os.getenv("BENCH_KEYS") == "0" then
    return
  end
  local output = options.out .. "/keys.txt"
  local count = tonumber(os.getenv("BENCH_KEYS") or "") or 1000000
  shell.run(lua("luajit", ("%d %s >%s 2>&1"):format(count, shell.quote(options.out), shell.quote(output)), "keys"))
  options.say("\n" .. (shell.read(output) or "keys: left out\n"))
end

-- Builds the Rust peer from Debian's packages alone; nothing is fetched. Says so where it cannot.
local function build_rust(out, say)
  local whole = shell.capture("cd " .. shell.quote(out) .. " && pwd -P")
  local cargo = shell.exists("/usr/bin/cargo") and "/usr/bin/cargo" or shell.which("cargo")
  local values = { whole = shell.quote(whole), cargo = shell.quote(cargo or ""), rustc = shell.quote(((cargo or ""):gsub("/cargo$", "/rustc"))) }
  local built = cargo and shell.run((("rm -rf {whole}/rust && cp -r bench/peers/rust {whole}/rust && cd {whole}/rust && CARGO_HOME={whole}/rust/home "
    .. "CARGO_TARGET_DIR={whole}/rust-target RUSTC={rustc} {cargo} build --release --offline "
    .. "--config 'source.crates-io.replace-with=\"debian\"' --config 'source.debian.directory=\"/usr/share/cargo/registry\"' "
    .. ">{whole}/rustpeer.log 2>&1 && cp {whole}/rust-target/release/rustpeer {whole}/rustpeer"):gsub("{(%w+)}", values)))
  if not built then
    os.remove(out .. "/rustpeer")
    say("rust: left out: the peer does not build (packages cargo, rustc, librust-encoding-rs-dev, librust-csv-dev); see " .. out .. "/rustpeer.log\n")
  end
end

-- The ledger by itself; its wall time is the disk's.
local function say_ledger(out, say)
  local folder = out .. "/ledger"
  shell.run("rm -rf " .. shell.quote(folder) .. " && mkdir -p " .. shell.quote(folder))
  local output = shell.capture(lua("lua5.4", shell.quote(folder) .. " 2>&1", "ledger"))
  local found
  for in_flight, wall, cpu, lines_wall, lines_cpu in output:gmatch("(%d+) (%S+) (%S+) (%S+) (%S+)\n?") do
    found = true
    say(("ledger, %2s batches a commit: %7.1f us a batch, %5.1f us of them CPU; batches.jsonl %5.1f us, %4.1f us CPU\n"):format(
      in_flight, wall, cpu, lines_wall, lines_cpu))
  end
  if not found then
    say("ledger: left out: " .. output:sub(1, 200) .. "\n")
  end
end

-- What is over soon has so many times the rounds of other parts, or the noise would be larger than what is to be seen.
local MORE_ROUNDS = { start = 8, GETs = 3 }

local function rounds_of(title, rounds)
  for word, times in pairs(MORE_ROUNDS) do
    if title:find(word, 1, true) then
      return rounds * times
    end
  end
  return rounds
end

-- What stands in the file of an earlier run about parts that are not measured now.
local function kept_lines(path, is_wanted)
  local kept = {}
  for line in (shell.read(path) or ""):gmatch("[^\n]+") do
    local title = line:match("^([^\t]*)\t")
    if title and title ~= "part" and not is_wanted(title) then
      kept[#kept + 1] = line .. "\n"
    end
  end
  return table.concat(kept)
end

---Runs every part in turn with its peer and prints one line each.
---@param options table out, csv, gbk, url, rounds, say, only: nil or the set of words one of which a part's title must have
function M.run(options)
  local out, say = options.out, options.say
  local function is_wanted(title)
    for word in pairs(options.only or { [""] = true }) do
      if title:find(word, 1, true) then
        return true
      end
    end
    return false
  end
  local text, prose = out .. "/parts.text", out .. "/parts.prose"
  -- About a megabyte of the list as GBK holds it, so that neither side meets what it cannot encode.
  shell.run(("head -n 8000 %s >%s.gbk && iconv -f GBK -t UTF-8 %s.gbk >%s"):format(shell.quote(options.gbk), shell.quote(text),
    shell.quote(text), shell.quote(text)))
  shell.run(lua("luajit", "prose core " .. shell.quote(prose)))
  shell.run(("%s -O2 -o %s/requests bench/peers/requests.c -lcurl"):format(os.getenv("CC") or "cc", shell.quote(out)))
  local kept = kept_lines(out .. "/parts.tsv", is_wanted)
  local tsv = assert(io.open(out .. "/parts.tsv", "wb"))
  tsv:setvbuf("line")
  tsv:write("part\tbeside\trounds\tour_cpu_s\ttheir_cpu_s\tcpu_ratio\twall_ratio\tgoal\tour_peak_mb\ttheir_peak_mb\n", kept)
  local rows = {}
  for _, row in ipairs(list_of{ text = text, prose = prose, csv = options.csv, out = out, url = options.url }) do
    rows[#rows + 1] = is_wanted(row.title) and row or nil
  end
  for _, row in ipairs(rows) do
    if row.theirs:find("rustpeer", 1, true) then
      build_rust(out, say)
      break
    end
  end
  say(("\n%-34s %-26s %10s %10s %8s %8s %6s\n"):format("part, median of " .. options.rounds, "beside", "our CPU s", "their CPU",
    "CPU", "wall", "goal"))
  local function measure(row)
    local rounds, problem = {}, nil
    local count = rounds_of(row.title, options.rounds)
    for round = 1, count do
      local first, first_problem = run(round % 2 == 1 and row.ours or row.theirs, out)
      local second, second_problem = run(round % 2 == 1 and row.theirs or row.ours, out)
      problem = first_problem or second_problem
      if problem then
        break
      end
      rounds[round] = round % 2 == 1 and { ours = first, theirs = second } or { ours = second, theirs = first }
    end
    if #rounds < count then
      say(("%-34s %-26s left out: %s\n"):format(row.title, row.peer, tostring(problem)))
    else
      local function median(name, key)
        local values = {}
        for i, round in ipairs(rounds) do
          values[i] = round[name][key]
        end
        return report.median(values)
      end
      local wall = rounds[1].ours.wall and rounds[1].theirs.wall and ("%.2f"):format(report.ratio(rounds, "theirs", "ours", "wall")) or "-"
      say(("%-34s %-26s %10.4f %10.4f %8.2f %8s %6s\n"):format(row.title, row.peer, median("ours", "cpu"), median("theirs", "cpu"),
        report.ratio(rounds, "theirs", "ours", "cpu"), wall, row.goal and ("%.2f"):format(row.goal) or "-"))
      tsv:write(table.concat({ row.title, row.peer, count, median("ours", "cpu"), median("theirs", "cpu"),
        ("%.3f"):format(report.ratio(rounds, "theirs", "ours", "cpu")), wall, row.goal and ("%.3f"):format(row.goal) or "-",
        ("%.1f"):format(median("ours", "peak")), ("%.1f"):format(median("theirs", "peak")) }, "\t"), "\n")
      if row.title:find("start", 1, true) then
        say(("%-34s %-26s %9.1fM %9.1fM peak memory\n"):format("", "", median("ours", "peak"), median("theirs", "peak")))
      end
    end
  end
  for _, row in ipairs(rows) do
    measure(row)
  end
  tsv:close()
  say("CPU, wall: how many times ours the other takes; above 1 ours is quicker.\n")
  if options.only then
    return
  end
  M.keys(options)
  say_ledger(out, say)
end

return M

-- SPDX-License-Identifier: MIT
-- The bench's flow: options, lists, sink, rounds, report; and the check that every peer sends what
-- the list says.

package.path = "bench/lib/?.lua;" .. package.path

local check = require "check"
local parts = require "parts"
local peers = require "peers"
local report = require "report"
local shell = require "shell"
local sink = require "sink"

local out = "build/bench" -- lists, built peers, the sink's files, results
local JOBS = { "j1", "j2", "delay", "map" }
local TITLES = {
  j1 = "J1  CSV -> GBK -> multipart upload",
  j2 = "J2  CSV -> JSON, 200 rows a call, 16 in flight",
  delay = "J2 against a server that answers after 20 ms",
  map = "J2 with a Lua function that looks at each row",
}
-- One call at a time at 20 ms takes 100 s for a million rows; nothing is learnt from it: from here on only those who have many in flight.
local ALONE_ROWS = 100000

local HELP = [=[
usage: bench/run [--rows N,N] [--rounds N] [--jobs j1,j2,delay,map] [--peers NAME,NAME]
                 [--parts [NAME,NAME]] [--check [N]] [--out DIR]

  --rows N,N      lengths of the lists (default 100000,1000000)
  --rounds N      rounds, in each of which every peer runs once; medians are told (default 5)
  --jobs LIST     j1, j2, delay, map (default all; who calls one at a time has delay on lists up to
                  100,000 rows only)
  --peers LIST    campaign, campaign-luajit, campaign-no-ledger, campaign-command, go, luajit, lua5.4,
                  floor, curl-limit
  --parts [LIST]  instead of jobs: encodings, CSV, JSON, small requests, start, each beside others;
                  LIST: words of their names (start,GETs,GBK), the figures of the others stay
  --check [N]     no timing: every peer sends a list of N rows (default 5000), and the bodies are
                  taken apart and compared with the list
  --out DIR       where lists, built peers and results go (default build/bench)
]=]

local function say(...)
  io.stdout:write(...)
  io.stdout:flush()
end

local function fail(text)
  io.stderr:write("bench: ", text, "\n")
  os.exit(2)
end

local function names(text)
  local list, set = {}, {}
  for name in text:gmatch("[^,]+") do
    list[#list + 1] = name
    set[name] = true
  end
  return list, set
end

local function known(list, allowed, what)
  local set = {}
  for _, name in ipairs(allowed) do
    set[name] = true
  end
  for _, name in ipairs(list) do
    if not set[name] then
      fail(("unknown %s %q; there are %s"):format(what, name, table.concat(allowed, ", ")))
    end
  end
end

local function whole(text, what)
  local number = tonumber(text)
  if not number or number < 1 or number % 1 ~= 0 then
    fail(what .. " takes a whole number from 1")
  end
  return math.floor(number)
end

local function options_of(words)
  local options = { rows = { 100000, 1000000 }, rounds = 5, jobs = JOBS }
  local i = 1
  local function value(option)
    i = i + 1
    return words[i] or fail(option .. " needs a value")
  end
  while words[i] do
    local word = words[i]
    if word == "--help" or word == "-h" then
      say(HELP)
      os.exit(0)
    elseif word == "--rows" then
      options.rows = names(value(word))
      for n, text in ipairs(options.rows) do
        options.rows[n] = whole(text, word)
      end
    elseif word == "--rounds" then
      options.rounds = whole(value(word), word)
    elseif word == "--jobs" then
      options.jobs = names(value(word))
      known(options.jobs, JOBS, "job")
    elseif word == "--peers" then
      local list
      list, options.peers = names(value(word))
      local all = {}
      for n, peer in ipairs(peers.LIST) do
        all[n] = peer.name
      end
      known(list, all, "peer")
    elseif word == "--out" then
      out = value(word)
    elseif word == "--parts" then
      local list = words[i + 1]
      options.parts = list and not list:find("^%-") and (select(2, names(value(word)))) or true
    elseif word == "--check" then
      local number = words[i + 1] and tonumber(words[i + 1])
      options.check = number and whole(value(word), word) or 5000
    else
      fail(("unknown option %q; bench/run --help names them"):format(word))
    end
    i = i + 1
  end
  return options
end

-- A list of this length, made once; the ready GBK file is for the transport's limit alone.
local function list_of(rows)
  local path = ("%s/contacts-%d.csv"):format(out, rows)
  if not shell.exists(path) then
    say(("making %s ...\n"):format(path))
    local lua = shell.which("luajit") or shell.which("lua5.4")
    local new = shell.quote(path .. ".new")
    local made = shell.run(("%s tools/generate_contacts.lua --profile bench --rows %d --out %s")
      :format(lua, rows, new)) and shell.run(("mv %s %s"):format(new, shell.quote(path)))
    if not made then
      fail("the list could not be made")
    end
  end
  local gbk = path:gsub("%.csv$", ".gbk.csv")
  if not shell.exists(gbk) then
    local new = shell.quote(gbk .. ".new")
    shell.run(("iconv -c -f UTF-8 -t GBK %s >%s 2>/dev/null; mv %s %s")
      :format(shell.quote(path), new, new, shell.quote(gbk)))
  end
  return { csv = path, gbk = gbk }
end

local function prepare()
  shell.run("mkdir -p " .. shell.quote(out))
  local compiler = os.getenv("CC") or "cc"
  if not shell.run(("%s -O2 -o %s/measure bench/measure.c"):format(compiler, shell.quote(out))) then
    fail("bench/measure.c does not compile (package gcc)")
  end
end

-- Proxies of the environment would take loopback requests elsewhere.
local CLEAN = { "env", "-u", "http_proxy", "-u", "https_proxy", "-u", "all_proxy",
  "-u", "HTTP_PROXY", "-u", "HTTPS_PROXY", "-u", "ALL_PROXY" }

local function run_once(peer, job, values, folder)
  values.job, values.out = folder .. "/job", out
  shell.run("rm -rf " .. shell.quote(values.job))
  local words = { out .. "/measure", folder .. "/usage.txt", "900" }
  for _, list in ipairs { CLEAN, peers.words(peer, job, values) } do
    for _, word in ipairs(list) do
      words[#words + 1] = word
    end
  end
  shell.run(("%s </dev/null >%s 2>%s"):format(shell.join(words),
    shell.quote(folder .. "/stdout.txt"), shell.quote(folder .. "/stderr.txt")))
  local usage = shell.read(folder .. "/usage.txt")
  if not usage then
    error("interrupted", 0)
  end
  os.remove(folder .. "/usage.txt")
  local wall, user, system, peak, status = usage:match("(%S+) (%S+) (%S+) (%S+) (%S+)")
  -- 7: campaign finished and rejected some rows, which is right for rows that GBK cannot hold.
  if status ~= "0" and not (status == "7" and peer.name:find("^campaign")) then
    local said = (shell.read(folder .. "/stderr.txt") or ""):sub(-400)
    return nil, ("%s: exit status %s: %s"):format(peer.name, tostring(status), said)
  end
  return { wall = tonumber(wall), cpu = tonumber(user) + tonumber(system), peak = tonumber(peak) / 1024 }
end

-- Every call of J2 holds 200 rows, and J1's bytes are about those of the ready file: whoever sent
-- less did not run.
local function is_complete(job, rows, run, gbk_bytes)
  if job == "j1" then
    return run.bytes > 0.95 * gbk_bytes
  end
  return run.requests >= math.ceil(rows / 200) and run.bytes > rows * 60
end

local function size_of(path)
  local file = assert(io.open(path, "rb"))
  local size = file:seek("end")
  file:close()
  return size
end

local function measure_job(job, rows, present, options, server)
  local kind = job == "delay" and "j2" or job
  local files = list_of(rows)
  local url = server.url .. (job == "delay" and "/delay" or "")
  local values = { csv = files.csv, gbk = files.gbk, url = url }
  local gbk_bytes = size_of(files.gbk)
  local order, rounds = {}, {}
  for _, peer in ipairs(present) do
    if peer[kind] and not (job == "delay" and peer.alone and rows > ALONE_ROWS) then
      order[#order + 1] = peer
    end
  end
  for round = 1, options.rounds do
    local runs = {}
    rounds[round] = runs
    for position = 1, #order do
      -- Every second round goes backwards, so that nobody always runs after the same neighbour.
      local peer = order[round % 2 == 1 and position or #order + 1 - position]
      local requests, bytes = server:stat()
      local run, reason = run_once(peer, kind, values, server.folder)
      if run then
        local requests_after, bytes_after = server:stat()
        run.requests, run.bytes = requests_after - requests, bytes_after - bytes
        if is_complete(kind, rows, run, gbk_bytes) then
          runs[peer.name] = run
        else
          reason = ("%s: sent %d calls and %d bytes: not the whole list")
            :format(peer.name, run.requests, run.bytes)
        end
      end
      if reason then
        io.stderr:write("bench: ", reason, "\n")
        options.failed = true
      end
    end
    say(".")
  end
  local listed = {}
  for i, peer in ipairs(order) do
    listed[i] = peer.name
  end
  return rounds, listed
end

-- Peak memory should not know how long the list is: the lengths stand side by side.
local function say_memory(peaks)
  local lines = {}
  for _, job in ipairs { "j1", "j2" } do
    for _, name in ipairs { "campaign", "campaign-luajit", "campaign-command" } do
      local found = peaks[job .. name]
      if found then
        table.sort(found, function(a, b) return a[1] < b[1] end)
        local pieces = {}
        for i, entry in ipairs(found) do
          pieces[i] = ("%.1f MB at %d rows"):format(entry[2], entry[1])
        end
        lines[#lines + 1] = ("%s %-17s %s\n"):format(job:upper(), name, table.concat(pieces, ", "))
      end
    end
  end
  if #lines > 0 then
    say("\nPeak memory of campaign\n", table.concat(lines))
  end
end

local function run_bench(options)
  local present, absent = peers.present(out, options.peers)
  for _, entry in ipairs(absent) do
    say(("left out: %s: %s\n"):format(entry[1], entry[2]))
  end
  if #present == 0 then
    fail("nobody is left to run")
  end
  for _, peer in ipairs(present) do
    say(("%-17s %s\n"):format(peer.name, peer.what))
  end
  local server, reason = sink.start { folder = out .. "/sink" }
  if not server then
    fail(reason)
  end
  local tsv, peaks = assert(io.open(out .. "/results.tsv", "wb")), {}
  tsv:write(report.TSV_HEADER)
  local ok, problem = xpcall(function()
    for _, rows in ipairs(options.rows) do
      for _, job in ipairs(options.jobs) do
        local rounds, listed = measure_job(job, rows, present, options, server)
        local title = ("%s, %d rows, median of %d"):format(TITLES[job], rows, options.rounds)
        report.table(title, rows, rounds, listed, say)
        report.tsv(job, rows, rounds, listed, function(line) tsv:write(line) end)
        for _, line in ipairs(report.summarise(rounds, listed)) do
          local key = job .. line.name
          peaks[key] = peaks[key] or {}
          table.insert(peaks[key], { rows, line.peak })
        end
      end
    end
  end, function(problem)
    return problem == "interrupted" and problem or debug.traceback(problem)
  end)
  server:stop()
  tsv:close()
  if not ok then
    io.stderr:write("bench: ", tostring(problem), "\n")
    return 130
  end
  say_memory(peaks)
  say(("\nfigures for other programs: %s/results.tsv\n"):format(out))
  return options.failed and 1 or 0
end

-- Lets one peer send the list to a sink of its own and judges what arrived.
local function check_peer(peer, job, files, expected)
  local server, reason = sink.start { folder = out .. "/check", keep = true }
  if not server then
    fail(reason)
  end
  local values = { csv = files.csv, gbk = files.gbk, url = server.url }
  local run, why = run_once(peer, job, values, server.folder)
  server:stop()
  local ok, found = run ~= nil, why
  if run then
    ok, found = pcall(check.judge, job, server.folder, expected)
  end
  shell.run(("rm -f %s/body-*"):format(shell.quote(server.folder)))
  if ok then
    say(("ok    %s %-17s %d rows exact, %d with substitutes, %d left out, %d calls\n"):format(
      job:upper(), peer.name, found.exact, found.substituted, found.left_out, found.calls))
  else
    say(("WRONG %s %-17s %s\n"):format(job:upper(), peer.name, tostring(found)))
  end
  return ok
end

local function run_check(options)
  local generator = dofile("tools/generate_contacts.lua")
  local present, absent = peers.present(out, options.peers)
  for _, entry in ipairs(absent) do
    say(("left out: %s: %s\n"):format(entry[1], entry[2]))
  end
  local files = list_of(options.check)
  local expected = check.expected(files.csv, generator.OUTSIDE_GBK)
  local right, checked = 0, 0
  for _, job in ipairs { "j1", "j2", "map" } do
    for _, peer in ipairs(present) do
      -- The ready file has other columns: it only shows the transport's limit.
      if peer[job] and not peer.ready_file then
        checked = checked + 1
        right = right + (check_peer(peer, job, files, expected) and 1 or 0)
      end
    end
  end
  say(("%d of %d right\n"):format(right, checked))
  return right == checked and checked > 0 and 0 or 1
end

local function run_parts(options)
  local _, absent = peers.present(out, { go = true })
  for _, entry in ipairs(absent) do
    say(("%s: %s\n"):format(entry[1], entry[2]))
  end
  local files = list_of(options.rows[1])
  local server, reason = sink.start { folder = out .. "/sink" }
  if not server then
    fail(reason)
  end
  local ok, problem = pcall(parts.run, { out = out, csv = files.csv, gbk = files.gbk, url = server.url, rounds = options.rounds, say = say,
    only = options.parts ~= true and options.parts or nil })
  server:stop()
  if not ok then
    fail(tostring(problem))
  end
  return 0
end

local options = options_of(arg)
prepare()
local way = options.check and run_check or options.parts and run_parts or run_bench
os.exit(way(options), true)

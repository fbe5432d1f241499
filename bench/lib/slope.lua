-- SPDX-License-Identifier: MIT
-- Does a row cost the same, in time and memory, however long the list is? The same import of 10,000, 1,000,000 and 10,000,000 rows, by turns;
-- the long list is the middle one ten times over. Writes slope.tsv: job, rows, round, wall, cpu, peak_mb.
--
--   lua5.4 bench/lib/slope.lua OUT MIDDLE_CSV ROUNDS

package.path = "bench/lib/?.lua;" .. package.path

local shell = require "shell"
local sink = require "sink"

local out, middle, rounds = arg[1], arg[2], tonumber(arg[3])

local function make(path, command)
  if not shell.exists(path) then
    assert(shell.run(command:gsub("{from}", shell.quote(middle)):gsub("{to}", shell.quote(path .. ".new"))))
    assert(os.rename(path .. ".new", path))
  end
  return path
end

local LISTS = {
  { 10000, make(out .. "/slope-10000.csv", "head -n 10001 {from} >{to}") },
  { 1000000, middle },
  { 10000000, make(out .. "/slope-10000000.csv", "{ head -n 1 {from}; for i in 1 2 3 4 5 6 7 8 9 10; do tail -n +2 {from}; done; } >{to}") },
}

local server = assert(sink.start{ folder = out .. "/slope-sink" })
local ok, problem = pcall(function()
  local tsv = assert(io.open(out .. "/slope.tsv", "wb"))
  tsv:write("job\trows\tround\twall_s\tcpu_s\tpeak_mb\n")
  for _, job in ipairs({ "j1", "j2" }) do
    for round = 1, rounds do
      for i = 1, #LISTS do
        local list = LISTS[round % 2 == 1 and i or #LISTS + 1 - i]
        local usage, folder = out .. "/slope.usage.txt", out .. "/slope-job"
        os.remove(usage)
        shell.run("rm -rf " .. shell.quote(folder))
        shell.run(("env -u http_proxy -u https_proxy -u all_proxy LUA_PATH='lua/?.lua;lua/?/init.lua;;' LUA_CPATH='build/lua5.4/?.so;;' "
          .. "%s %s 900 lua5.4 bench/campaign_%s.lua %s %s %s </dev/null >%s 2>&1"):format(shell.quote(out .. "/measure"), shell.quote(usage), job,
          server.url, shell.quote(list[2]), shell.quote(folder), shell.quote(out .. "/slope.log")))
        local wall, user, system, peak, status = (shell.read(usage) or ""):match("(%S+) (%S+) (%S+) (%S+) (%S+)")
        assert(status == "0" or status == "7", ("%s of %d rows ended with %s; see %s/slope.log"):format(job, list[1], tostring(status), out))
        tsv:write(("%s\t%d\t%d\t%.3f\t%.3f\t%.1f\n"):format(job, list[1], round, wall, user + system, peak / 1024))
        tsv:flush()
      end
    end
  end
  tsv:close()
  shell.run("rm -rf " .. shell.quote(out .. "/slope-job"))
end)
server:stop()
if not ok then
  io.stderr:write("slope: ", tostring(problem), "\n")
  os.exit(1)
end

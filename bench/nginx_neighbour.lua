-- SPDX-License-Identifier: MIT
-- What a neighbour notices of an import in the same nginx worker: latencies of a trivial location, idle and while a timer imports ROWS rows
-- into the bench's sink; how long the loop's thread computes between two turns (processor time, which no other program disturbs); and the
-- import's speed beside the same in plain LuaJIT. Prints; judges nothing.
--   bench/nginx neighbour [ROWS]

local command = require "support.command"
local core = require "campaign.core"
local imports = require "support.imports"
local json = require "campaign.json"
local nginx = require "support.nginx"
local sink = require "sink"

local rows = tonumber(arg[1] or 100000)

local folder = command.folder()
local target = assert(sink.start({ folder = folder .. "/sink" }))
command.write(folder .. "/people.csv", imports.people(rows))
local account = { base_url = target.url, token = "bench-token", user_id = "bench" }
local order = { source = folder .. "/people.csv", to = "longlong.import_customers_async", account = account }
command.write(folder .. "/order.json", json.encode(order))

command.write(folder .. "/plain.lua", [[
  local file = assert(io.open(arg[1]))
  local options = assert(require("campaign.json").decode(file:read("*a")))
  options.job = arg[2]
  local result = assert(require("campaign").import(options))
  assert(result.taken_over == result.rows, tostring(result))
  print(result.seconds)
]])

local function in_plain_lua(round)
  local run = command.run({ "luajit", folder .. "/plain.lua", folder .. "/order.json", folder .. "/plain-" .. round }, { seconds = 600,
    env = { LUA_PATH = command.ROOT .. "/lua/?.lua;" .. command.ROOT .. "/lua/?/init.lua;;", LUA_CPATH = command.ROOT .. "/build/luajit/?.so;;" } })
  return tonumber(run.out) or error(run.err)
end

local server = nginx.new({
  values = { order = folder .. "/order.json", jobs = folder },
  http = [[lua_shared_dict bench 1m;
    init_by_lua_block {
      require("campaign.import")
      require("campaign.api.platform").load("longlong")
      local ffi = require "ffi"
      ffi.cdef "struct bench_time { long seconds, nanoseconds; }; int clock_gettime(int, struct bench_time *);"
      local time = ffi.new("struct bench_time")
      function computed() -- CLOCK_THREAD_CPUTIME_ID, in ms
        ffi.C.clock_gettime(3, time)
        return tonumber(time.seconds) * 1e3 + tonumber(time.nanoseconds) / 1e6
      end
    }]],
  server = [[
    location /neighbour { content_by_lua_block { ngx.print(ngx.shared.bench:get("state") or "idle") } }
    location /forget { content_by_lua_block { ngx.shared.bench:delete("state") } }
    location /held { content_by_lua_block { ngx.print(ngx.shared.bench:get("held")) } }
    location /start { content_by_lua_block {
      local file = assert(io.open("%(order)"))
      local options = assert(require("campaign.json").decode(file:read("*a")))
      file:close()
      local bench, phase, held = ngx.shared.bench, "preflight", { preflight = {}, sending = {} }
      bench:set("state", "preflight")
      options.job = "%(jobs)/inside-" .. ngx.var.arg_round
      options.on_progress = function(event)
        phase = event.phase
        if bench:get("state") ~= phase then bench:set("state", phase) end
      end
      assert(ngx.timer.at(0, function()
        while phase do -- a turn of the loop, or some
          local before, list = computed(), held[phase] or held.sending
          ngx.sleep(0.001)
          list[#list + 1] = computed() - before
        end
        local told = {}
        for name, list in pairs(held) do
          table.sort(list)
          local function at(share) return list[math.max(1, math.ceil(#list * share))] or 0 end
          told[#told + 1] = ("%-10s p50 %.2f, p99 %.2f, longest %.2f ms"):format(name, at(0.5), at(0.99), at(1))
        end
        table.sort(told)
        bench:set("held", table.concat(told, "\n"))
      end))
      assert(ngx.timer.at(0, function()
        local result, err = require("campaign").import(options)
        phase = nil
        ngx.sleep(0.01)
        bench:set("state", result and "done " .. result.seconds .. " " .. result.taken_over or "failed " .. tostring(err))
      end))
    } }
  ]],
}):start()

local function ask()
  local began = core.system.monotonic()
  local result = assert(server.transport:perform({ url = server.url .. "/neighbour", account = "bench", max_connection_age = 60 }))
  local ms = (core.system.monotonic() - began) * 1000
  core.system.sleep(0.0005)
  return ms, result.body
end

local function tell(name, times)
  table.sort(times)
  local function at(share) return times[math.max(1, math.ceil(#times * share))] or 0 end
  print(("%-10s %6d requests  p50 %6.2f ms  p99 %6.2f ms  max %6.2f ms"):format(name, #times, at(0.5), at(0.99), at(1)))
end

local function inside(round)
  local phases = { idle = {}, preflight = {}, sending = {} }
  server:get("/neighbour") -- a connection
  for i = 1, 1000 do
    phases.idle[i] = ask()
  end
  server:get("/start?round=" .. round)
  local state
  repeat
    local ms
    ms, state = ask()
    if phases[state] then
      table.insert(phases[state], ms)
    end
  until state:find("^done") or state:find("^failed")
  print("the neighbour")
  for _, name in ipairs({ "idle", "preflight", "sending" }) do
    tell(name, phases[name] or {})
  end
  print("the loop's thread computes between two looks\n" .. server:get("/held").body)
  return tonumber(state:match("^done (%S+)")) or error(state)
end

local ratios = {}
for round = 1, 3 do
  local plain, within
  if round % 2 == 1 then
    plain, within = in_plain_lua(round), inside(round)
  else
    within = inside(round)
    plain = in_plain_lua(round)
  end
  ratios[round] = plain / within
  print(("round %d: %d rows in %.2f s in the worker, %.2f s in plain LuaJIT: %.2f x its speed\n"):format(round, rows, within, plain, ratios[round]))
  server:get("/forget")
end
table.sort(ratios)
print(("median: %.2f x the speed of plain LuaJIT"):format(ratios[2]))
server:stop()
target:stop()
command.remove(folder)

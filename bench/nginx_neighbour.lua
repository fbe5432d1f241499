-- SPDX-License-Identifier: MIT
-- What a neighbour notices of an import in the same nginx worker: latencies of a trivial location, idle and while a timer imports ROWS rows
-- into the bench's sink; how long each turn of the worker's loop computes (bench/turns.c, put before libc; processor time, which no other
-- program disturbs); and the import's speed beside the same in plain LuaJIT, in runs of its own, since whoever asks for the trivial location all
-- the time takes most of a processor from the import. Prints; judges nothing. Needs gcc.
--   bench/nginx neighbour [ROWS] [ROUNDS]

local command = require "support.command"
local core = require "campaign.core"
local imports = require "support.imports"
local json = require "campaign.json"
local nginx = require "support.nginx"
local sink = require "sink"

local ffi = require "ffi"

local rows, rounds = tonumber(arg[1] or 100000), tonumber(arg[2] or 3)

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

local compiled = os.execute(("%s -O2 -shared -fPIC -o %s/turns.so %s/bench/turns.c -ldl"):format(os.getenv("CC") or "gcc", folder, command.ROOT))
assert(compiled == true or compiled == 0, "bench/turns.c does not compile (package gcc)")

local server = nginx.new({
  env = { LD_PRELOAD = folder .. "/turns.so", CAMPAIGN_TURNS = folder .. "/turns" },
  values = { order = folder .. "/order.json", jobs = folder },
  http = [[lua_shared_dict bench 1m;
    init_by_lua_block {
      require("campaign.openresty.preload").load("longlong")
    }]],
  server = [[
    location /neighbour { content_by_lua_block { ngx.print(ngx.shared.bench:get("state") or "idle") } }
    location /forget { content_by_lua_block { ngx.shared.bench:delete("state") } }
    location /times { content_by_lua_block {
      for _, phase in ipairs({ "preflight", "sending", "done" }) do ngx.print(phase, " ", ngx.shared.bench:get("at " .. phase), "\n") end
    } }
    location /start { content_by_lua_block {
      local file = assert(io.open("%(order)"))
      local options = assert(require("campaign.json").decode(file:read("*a")))
      file:close()
      local bench, clock = ngx.shared.bench, require("campaign.core").system.monotonic
      local function enter(state, phase)
        bench:set("state", state)
        bench:set("at " .. phase, clock())
      end
      enter("preflight", "preflight")
      options.job = "%(jobs)/inside-" .. ngx.var.arg_round
      options.on_progress = function(event)
        if bench:get("state") ~= event.phase then enter(event.phase, event.phase) end
      end
      assert(ngx.timer.at(0, function()
        local result, err = require("campaign").import(options)
        enter(result and "done " .. result.seconds .. " " .. result.taken_over or "failed " .. tostring(err), "done")
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

ffi.cdef "struct bench_turn { double at; uint32_t processor, wall; };"

-- The turns of the loop by phase: milliseconds that each computed.
local function turns_of(times)
  local file = assert(io.open(folder .. "/turns", "rb"))
  local count = tonumber(ffi.cast("const uint64_t *", file:read(8))[0])
  assert(count <= 1000000, "bench/turns.c has room for a million turns")
  local text = file:read(count * 16)
  file:close()
  local turns, found = ffi.cast("const struct bench_turn *", text), { idle = {}, preflight = {}, sending = {} }
  for i = 0, count - 1 do
    local at = turns[i].at
    local phase = at < times.preflight and "idle" or at < times.sending and "preflight" or at <= times.done and "sending"
    if phase then
      table.insert(found[phase], turns[i].processor / 1e6)
    end
  end
  return found
end

local function tell_turns(found)
  for _, phase in ipairs({ "preflight", "sending" }) do
    local turns, over, spent = found[phase], 0, 0
    table.sort(turns)
    for _, ms in ipairs(turns) do
      over, spent = over + (ms > 1 and 1 or 0), spent + ms
    end
    local function at(share) return turns[math.max(1, math.ceil(#turns * share))] or 0 end
    print(("%-10s %6d turns     p50 %6.2f ms  p99 %6.2f ms  p99.9 %6.2f ms  max %6.2f ms, %d over 1 ms, %.0f ms in all"):format(phase,
      #turns, at(0.5), at(0.99), at(0.999), at(1), over, spent))
  end
end

local function seconds_of(state)
  return tonumber(state:match("^done (%S+)")) or error(state)
end

-- The import alone: somebody looks now and then whether it is done.
local function inside_alone(round)
  server:get("/start?round=alone-" .. round)
  local state
  repeat
    core.system.sleep(0.05)
    state = server:get("/neighbour").body
  until state:find("^done") or state:find("^failed")
  server:get("/forget")
  return seconds_of(state)
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
  local times = {}
  for phase, at in server:get("/times").body:gmatch("(%S+) (%S+)") do
    times[phase] = tonumber(at)
  end
  print("a turn of the loop computes")
  tell_turns(turns_of(times))
  server:get("/forget")
  return seconds_of(state)
end

local ratios = {}
for round = 1, rounds do
  local plain, within
  if round % 2 == 1 then
    plain, within = in_plain_lua(round), inside_alone(round)
  else
    within = inside_alone(round)
    plain = in_plain_lua(round)
  end
  ratios[round] = plain / within
  print(("round %d: %d rows in %.2f s in the worker, %.2f s in plain LuaJIT: %.2f x its speed"):format(round, rows, within, plain, ratios[round]))
  print(("         %.2f s in the worker while the neighbour is asked all the time\n"):format(inside(round)))
end
table.sort(ratios)
print(("median: %.2f x the speed of plain LuaJIT"):format(ratios[math.ceil(#ratios / 2)]))
server:stop()
target:stop()
command.remove(folder)

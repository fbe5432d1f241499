-- SPDX-License-Identifier: MIT
-- What a neighbour notices of an import in the same nginx worker: latencies of a trivial location, idle and while a timer imports ROWS
-- rows into the sandbox. Prints; judges nothing. From the repository, after `make build`:
--   LUA_PATH='lua/?.lua;lua/?/init.lua;spec/?.lua;;' LUA_CPATH='build/luajit/?.so;;' luajit bench/nginx_neighbour.lua [ROWS]

local command = require "support.command"
local core = require "campaign.core"
local imports = require "support.imports"
local json = require "campaign.json"
local nginx = require "support.nginx"

local rows = tonumber(arg[1] or 100000)

imports.start()
local folder = command.folder()
command.write(folder .. "/people.csv", imports.people(rows))
command.write(folder .. "/order.json", json.encode({ account = imports.accounts.longlong, list = folder .. "/people.csv" }))

local server = nginx.new({
  values = { order = folder .. "/order.json" },
  http = [[lua_shared_dict bench 1m;
    init_by_lua_block { require("campaign.import") require("campaign.api.platform").load("longlong") }]],
  server = [[
    location /neighbour { content_by_lua_block { ngx.print(ngx.shared.bench:get("state") or "idle") } }
    location /start { content_by_lua_block {
      local file = assert(io.open("%(order)"))
      local order = assert(require("campaign.json").decode(file:read("*a")))
      file:close()
      assert(ngx.timer.at(0, function()
        ngx.shared.bench:set("state", "preflight")
        local result, err = require("campaign").import{ source = order.list, to = "longlong.import_customers_async",
          account = order.account, job = "%(folder)/job",
          on_progress = function(event) ngx.shared.bench:set("state", event.phase) end }
        ngx.shared.bench:set("state", result and ("done %d of %d in %.2f s"):format(result.taken_over, result.rows, result.seconds)
          or "failed " .. tostring(err))
      end))
    } }
  ]],
}):start()

local function ask()
  local began = core.system.monotonic()
  local result = assert(server.transport:perform({ url = server.url .. "/neighbour", account = "bench", max_connection_age = 60 }))
  return (core.system.monotonic() - began) * 1000, result.body
end

local function tell(name, times)
  table.sort(times)
  local function at(share) return times[math.max(1, math.ceil(#times * share))] or 0 end
  print(("%-10s %6d requests  p50 %6.2f ms  p99 %6.2f ms  max %6.2f ms"):format(name, #times, at(0.5), at(0.99), at(1)))
end

local phases = { idle = {} }
for i = 1, 2000 do
  phases.idle[i] = ask()
end
server:get("/start")
local state
repeat
  local ms
  ms, state = ask()
  phases[state] = phases[state] or {}
  table.insert(phases[state], ms)
until state:find("^done") or state:find("^failed")
for _, name in ipairs({ "idle", "preflight", "sending" }) do
  tell(name, phases[name] or {})
end
print(rows .. " rows: " .. state)
server:stop()
imports.stop()
command.remove(folder)

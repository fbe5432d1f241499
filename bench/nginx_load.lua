-- SPDX-License-Identifier: MIT
-- Locations that make one upstream call, by campaign's transport and by a plain cosocket client, in the same run and in turns; what a
-- neighbour on the same worker notices; and how many callbacks one worker takes. Prints; judges nothing. Needs wrk.
--   bench/nginx load [SECONDS] [ROUNDS]

local command = require "support.command"
local core = require "campaign.core"
local nginx = require "support.nginx"
local tls_server = require "support.tls_server"

local seconds, rounds = tonumber(arg[1] or 3), tonumber(arg[2] or 3)

local SECRET = "b7c1d2e3f4a5968778695a4b3c2d1e0f"

local secure = tls_server.start()
local tls_port, tls12_port = nginx.free_port(), nginx.free_port()
local upstream = nginx.new({ values = { tls = tls_port, tls12 = tls12_port, certificates = secure.folder }, http = [[
  keepalive_requests 100000000;
  ssl_session_cache shared:tls:1m;
  ssl_certificate %(certificates)/good.pem;
  ssl_certificate_key %(certificates)/good.key;
  server { listen 127.0.0.1:%(tls12) ssl; ssl_protocols TLSv1.2; location = /fast { return 200 "ok"; } }
]], server = [[
  listen 127.0.0.1:%(tls) ssl;
  ssl_protocols TLSv1.2 TLSv1.3;
  location = /slow { content_by_lua_block { ngx.header.content_length = 2 ngx.sleep(0.05) ngx.print("ok") } }
  location = /fast { return 200 "ok"; }
]] }):start()
local front = nginx.new({
  values = { upport = upstream.port, tlsport = tls_port, tls12port = tls12_port, ca = secure.ca_file, bench = command.ROOT .. "/bench" },
  http = [[
    keepalive_requests 100000000;
    lua_ssl_trusted_certificate %(ca);
    lua_ssl_protocols TLSv1.2 TLSv1.3; # as the transport offers; without the line 1.2 alone
    lua_shared_dict campaign 1m;
    init_by_lua_block {
      package.path = "%(root)/bench/?.lua;" .. package.path
      require("campaign.openresty.metrics").use("campaign")
      calls = require("nginx_handlers")
      callback = require("campaign.openresty.callback").new{ platform = "longlong", store = "%(folder)/callbacks", prefix = "/callbacks/",
        secret = "b7c1d2e3f4a5968778695a4b3c2d1e0f", shared = "campaign", rate = 1e6, max_entries = 1e8, max_bytes = 1e12 }
    }
  ]],
  server = [[
    location = /campaign/slow { content_by_lua_block { calls.campaign("http://127.0.0.1:%(upport)/slow") } }
    location = /campaign/fast { content_by_lua_block { calls.campaign("http://127.0.0.1:%(upport)/fast") } }
    location = /campaign/tls { content_by_lua_block { calls.campaign("https://127.0.0.1:%(tlsport)/fast", "%(ca)") } }
    location = /campaign/anew { content_by_lua_block { calls.campaign("https://127.0.0.1:%(tlsport)/fast", "%(ca)", true) } }
    location = /campaign/anew12 { content_by_lua_block { calls.campaign("https://127.0.0.1:%(tls12port)/fast", "%(ca)", true) } }
    location = /cosocket/anew12 { content_by_lua_block { calls.cosocket(%(tls12port), "/fast", true, true) } }
    location = /cosocket/anew { content_by_lua_block { calls.cosocket(%(tlsport), "/fast", true, true) } }
    location = /cosocket/slow { content_by_lua_block { calls.cosocket(%(upport), "/slow") } }
    location = /cosocket/fast { content_by_lua_block { calls.cosocket(%(upport), "/fast") } }
    location = /cosocket/tls { content_by_lua_block { calls.cosocket(%(tlsport), "/fast", true) } }
    location /callbacks/ { client_body_buffer_size 64k; content_by_lua_block { callback:handle() } }
    location = /neighbour { content_by_lua_block { ngx.print("here") } }
    location = /pid { content_by_lua_block { ngx.print(ngx.worker.pid()) } }
    location = /groups { content_by_lua_block { ngx.print(callback.receiver and callback.receiver.inbox.groups or 0) } }
  ]],
}):start()

local pid = front:get("/pid").body

-- Processor seconds of the worker, its engine's thread among them.
local function cpu()
  local fields = {}
  for field in command.read("/proc/" .. pid .. "/stat"):gsub("^.*%) ", ""):gmatch("%S+") do
    fields[#fields + 1] = field
  end
  return (tonumber(fields[12]) + tonumber(fields[13])) / 100
end

local function ask_neighbour()
  local began = core.system.monotonic()
  local result = assert(front.transport:perform({ url = front.url .. "/neighbour", account = "neighbour", max_connection_age = 60 }))
  assert(result.status == 200, tostring(result.error))
  return (core.system.monotonic() - began) * 1000
end

local function p99(times)
  table.sort(times)
  return times[math.max(1, math.ceil(#times * 0.99))]
end

local function load_on(path, connections, more, env)
  local words = { "wrk", "-t1", "-c" .. connections, "-d" .. seconds .. "s", "--latency" }
  for _, word in ipairs(more or {}) do
    words[#words + 1] = word
  end
  words[#words + 1] = front.url .. path
  words.stdout, words.env = front.folder .. "/wrk.txt", env
  local before = cpu()
  local wrk = assert(core.system.spawn(words))
  local times = {}
  while not wrk:wait(0.005) do
    times[#times + 1] = ask_neighbour()
  end
  local used = cpu() - before
  wrk:close()
  local text = command.read(front.folder .. "/wrk.txt")
  assert(not text:find("Non-2xx", 1, true) and not text:find("Socket errors", 1, true), text)
  local requests = tonumber(text:match("(%d+) requests in"))
  return { rate = tonumber(text:match("Requests/sec:%s*([%d.]+)")), cpu = used / requests * 1e6, neighbour = p99(times),
    p99 = text:match("99%%%s+(%S+)") }
end

local function median(values)
  table.sort(values)
  return values[math.ceil(#values / 2)]
end

local idle = {}
for i = 1, 400 do
  idle[i] = ask_neighbour()
  core.system.sleep(0.002)
end
print(("neighbour idle: p99 %.2f ms"):format(p99(idle)))
print("upstream, connections    campaign               cosocket               campaign beside cosocket, medians of " .. rounds)
print("                         calls/s  CPU  nb. p99   calls/s  CPU  nb. p99   calls    CPU   neighbour's p99")
for _, case in ipairs({ { "50 ms", "slow", 64 }, { "50 ms", "slow", 512 }, { "at once", "fast", 64 }, { "TLS, at once", "tls", 64 },
  { "TLS 1.3, anew", "anew", 64 }, { "TLS 1.2, anew", "anew12", 64 } }) do
  load_on("/campaign/" .. case[2], case[3]) -- connections and compiled code
  load_on("/cosocket/" .. case[2], case[3])
  local ours, theirs, rate, used, noticed = {}, {}, {}, {}, {}
  for round = 1, rounds do
    local first = round % 2 == 1 and "campaign" or "cosocket"
    local one = load_on("/" .. first .. "/" .. case[2], case[3])
    local two = load_on(first == "campaign" and "/cosocket/" .. case[2] or "/campaign/" .. case[2], case[3])
    ours[round], theirs[round] = first == "campaign" and one or two, first == "campaign" and two or one
    rate[round], used[round] = ours[round].rate / theirs[round].rate, ours[round].cpu / theirs[round].cpu
    noticed[round] = ours[round].neighbour - theirs[round].neighbour
  end
  local function of(list, key)
    local values = {}
    for i, run in ipairs(list) do
      values[i] = run[key]
    end
    return median(values)
  end
  print(("%-14s %4d    %8.0f %5.0f %7.2f  %8.0f %5.0f %7.2f   %5.3f  %5.2f  %+.2f ms"):format(case[1], case[3],
    of(ours, "rate"), of(ours, "cpu"), of(ours, "neighbour"), of(theirs, "rate"), of(theirs, "cpu"), of(theirs, "neighbour"),
    median(rate), median(used), median(noticed)))
end
for _, rows in ipairs({ 1, 200 }) do
  local groups = tonumber(front:get("/groups").body)
  local run = load_on("/callbacks/" .. SECRET, 64, { "-s", command.ROOT .. "/bench/nginx_callback.lua" }, { ROWS = tostring(rows) })
  groups = tonumber(front:get("/groups").body) - groups
  print(("callbacks of %3d results: %6.0f posts/s, %7.0f results/s, %4.0f commits/s, p99 %s, CPU %.0f us, neighbour's p99 %.2f ms"):format(rows,
    run.rate, run.rate * rows, groups / seconds, run.p99, run.cpu, run.neighbour))
end
front:stop()
upstream:stop()
secure:stop()

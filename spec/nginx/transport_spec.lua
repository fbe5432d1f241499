-- SPDX-License-Identifier: MIT
-- The transport inside a real nginx worker: same face as in plain Lua, nobody blocks the worker, and where nginx does not let Lua wait
-- it says so. Driven from outside; handlers are in spec/nginx/handlers.lua.

local command = require "support.command"
local core = require "campaign.core"
local nginx = require "support.nginx"
local raw_server = require "support.raw_server"
local tls_server = require "support.tls_server"

local SERVER = [[
  set $upstream %(upstream);
  location /perform { content_by_lua_block { require("nginx.handlers").perform() } }
  location /abort { lua_check_client_abort on; content_by_lua_block { require("nginx.handlers").abort() } }
  location /no_abort { content_by_lua_block { require("nginx.handlers").abort() } }
  location /uncached { lua_code_cache off; content_by_lua_block { require("nginx.handlers").perform() } }
  location /face { content_by_lua_block { require("nginx.handlers").face() } }
  location /access { access_by_lua_block { require("nginx.handlers").perform() } }
  location /rewrite { rewrite_by_lua_block { require("nginx.handlers").perform() } }
  location /many { content_by_lua_block { require("nginx.handlers").many() } }
  location /interleave { content_by_lua_block { require("nginx.handlers").interleave() } }
  location /templates { content_by_lua_block { require("nginx.handlers").templates() } }
  location /closed { content_by_lua_block { require("nginx.handlers").closed_meanwhile() } }
  location /turns { content_by_lua_block { require("nginx.handlers").turns() } }
  location /pauses { content_by_lua_block { require("nginx.handlers").pauses() } }
  location /waits { content_by_lua_block { require("nginx.handlers").waits() } }
  location /tls { content_by_lua_block { require("nginx.handlers").tls() } }
  location /syncs { content_by_lua_block { require("nginx.handlers").syncs() } }
  location /timer { content_by_lua_block { require("nginx.handlers").timer() } }
  location /no_timers { content_by_lua_block { require("nginx.handlers").no_timers() } }
  location /neighbour { content_by_lua_block { ngx.print("here") } }
  location /set { set_by_lua_block $x { return require("nginx.handlers").refused() } content_by_lua_block { ngx.print(ngx.var.x) } }
  location /header { header_filter_by_lua_block { ngx.header.refused = require("nginx.handlers").refused() }
    content_by_lua_block { ngx.print("x") } }
  location /log { log_by_lua_block { package.loaded.refused = require("nginx.handlers").refused() } content_by_lua_block { ngx.print("x") } }
  location /import { header_filter_by_lua_block { ngx.header.refused = require("nginx.handlers").refused_import() }
    content_by_lua_block { ngx.print("x") } }
  location /told { content_by_lua_block { ngx.print(package.loaded.refused) } }
  location /dofile { content_by_lua_block { require("nginx.handlers").by_dofile() } }
  location /idle { content_by_lua_block { ngx.print(require("nginx.handlers").idle()) } }
]]

describe("campaign.transport.openresty", function()
  local upstream, server

  setup(function()
    upstream = raw_server.start()
    server = nginx.new({ server = SERVER, values = { upstream = upstream.url } }):start()
  end)
  teardown(function()
    upstream:stop()
    server:stop()
  end)

  for _, place in ipairs({ "perform", "access", "rewrite", "uncached", "timer" }) do
    it("performs a request and yields meanwhile: " .. place, function()
      local result = server:get("/" .. place .. "?path=/ok")
      assert.are.equal("200 ok", result.body)
    end)
  end

  it("has the face of the transport of plain Lua", function()
    assert.are.equal("ok", server:get("/face").body)
  end)

  it("takes expected answers without making results of them, and each of two imports gets its own", function()
    assert.are.equal("80 80", server:get("/templates").body)
  end)

  it("talks to TLS servers whose certificate is good, and to no others, from many light threads", function()
    local secure = tls_server.start()
    local function ask(url, count)
      return server:get("/tls?count=" .. count .. "&url=" .. url .. "&ca=" .. secure.ca_file).body
    end
    assert.are.equal("40 200 ok;", ask(secure.urls.good, 40))
    for _, site in ipairs({ "other-host", "expired", "foreign", "self", "tls11" }) do
      assert.are.equal("3 tls no;", ask(secure.urls[site], 3), site)
    end
    local url, kill = secure:mortal()
    local id = assert(server.transport:submit({ url = server.url .. "/tls?count=1&url=" .. url .. "&ca=" .. secure.ca_file, account = "tls" }))
    raw_server.eventually(function() -- established from both sides
      return select(2, command.read("/proc/net/tcp"):gsub((":%04X [0-9A-F:]+ 01 "):format(url:match(":(%d+)/")), "")) >= 1
    end, "the handshake")
    core.system.sleep(0.1)
    kill()
    local done, result = server.transport:next(20)
    assert.are.equal(id, done)
    assert.is_truthy(result.body == "1 network maybe;" or result.body == "1 network no;" or result.body == "1 tls no;", result.body)
    secure:stop()
  end)

  it("keeps nothing of a sync whose light thread was killed", function()
    local folder = command.folder()
    assert.are.equal("some then 0", server:get("/syncs?path=" .. folder .. "/file").body)
    assert.are.equal("last", command.read(folder .. "/file"))
    assert.are.equal("20", command.read(folder .. "/file20"))
    command.remove(folder)
  end)

  it("names the Debian package that is missing", function()
    for path, package in pairs({ cjson = "lua-cjson", lfs = "lua-filesystem" }) do
      local poor = nginx.new({ http = 'init_by_lua_block { package.preload.' .. path .. ' = function() error("module not found") end '
        .. 'require("campaign.import") }' })
      local code, said = poor:start_in_vain()
      assert.are_not.equal(0, code)
      assert.is_truthy(said:find("apt-get install " .. package, 1, true), said)
      poor:stop()
    end
    local poor = nginx.new({ server = [[location /x { content_by_lua_block {
      package.loaded["ngx.semaphore"] = nil
      package.preload["ngx.semaphore"] = function() error("module not found") end
      ngx.print(require("nginx.handlers").refused())
    } }]] }):start()
    local said = poor:get("/x").body
    assert.is_truthy(said:find("apt-get install lua-resty-core", 1, true), said)
    poor:stop()
    for _, what in ipairs({ 'require("campaign.openresty.callback").new{ store = "/nowhere" }', 'require("campaign.transport.openresty").new()' }) do
      local plain = command.run({ "luajit", "-e", what }, { env = { LUA_PATH = command.ROOT .. "/lua/?.lua;" .. command.ROOT .. "/lua/?/init.lua;;",
        LUA_CPATH = (os.getenv("CAMPAIGN_BUILD") or command.ROOT .. "/build") .. "/luajit/?.so;;" } })
      assert.is_truthy(plain.err:find("apt-get install libnginx-mod-http-lua", 1, true), plain.err)
    end
    local run = command.run({ command.ROOT .. "/examples/openresty/start" }, { env = { MODULES = "/nonexistent" } })
    assert.are.equal(1, run.code)
    assert.is_truthy(run.err:find("apt-get install libnginx-mod-http-lua", 1, true), run.err)
  end)

  it("serves neighbours of the same worker while a request hangs", function()
    local hanging = server.transport:submit({ url = server.url .. "/perform?path=/hang", account = "hanging" })
    raw_server.eventually(function() return #upstream:commits("/hang") > 0 end, "the request that hangs")
    assert.are.equal("here", server:get("/neighbour").body)
    server.transport:cancel(hanging)
    assert.are.equal(hanging, (server.transport:next(5)))
  end)

  it("keeps many requests in flight from light threads, each with its own answer", function()
    assert.are.equal("200", server:get("/many?count=200").body)
  end)

  it("loses no result when results are delivered while earlier ones are taken", function()
    assert.are.equal("1 0 2 1 0 1 1 0 8 1 0", server:get("/interleave").body)
  end)

  it("wakes who waits for results when the transport is closed", function()
    assert.are.equal("nil at once", server:get("/closed").body)
  end)

  it("works when nginx drops the timer it took, since too many run", function()
    local few = nginx.new({ http = "lua_max_running_timers 1;", values = { upstream = upstream.url }, server = [[set $upstream %(upstream);
      location /dropped { content_by_lua_block { require("nginx.handlers").dropped_timer() } }]] }):start()
    assert.are.equal("200 ok", few:get("/dropped", { limits = { total = 15 } }).body)
    few:stop(true) -- nginx logs that it dropped one
  end)

  it("works where the engine cannot wake the dispatcher, since no folder for a socket is to be had", function()
    local poor = nginx.new({ main = "env TMPDIR=" .. server.folder .. "/absent;", server = SERVER, values = { upstream = upstream.url } }):start()
    for _, path in ipairs({ "/perform?path=/ok", "/perform?path=/slow?ms=30", "/perform?path=/ok" }) do
      assert.are.equal("200 ok", poor:get(path).body)
    end
    poor:stop()
  end)

  it("works when nginx has no timer to give", function()
    assert.are.equal("200 ok", server:get("/no_timers").body)
  end)

  it("breaks off what is in flight when the client goes away, if asked", function()
    local id = server.transport:submit({ url = server.url .. "/abort?path=/hang%3Fabort", account = "abort" })
    raw_server.eventually(function() return #upstream:commits("/hang?abort") > 0 end, "the request that hangs")
    server.transport:cancel(id)
    server.transport:next(5)
    raw_server.eventually(function() return server:read_log():find("the result: cancelled maybe", 1, true) end, "the cancelled result")
    local result = server:get("/no_abort?path=/ok")
    assert.are.equal(200, result.status)
    assert.is_truthy(result.body:find("lua_check_client_abort", 1, true))
  end)

  it("gives one turn of the loop to one light thread that computes for long", function()
    assert.are.equal("20 finished, hardly any beside another", server:get("/turns").body)
  end)

  it("has the loop look at its sockets before a light thread goes on that a timer woke", function()
    assert.are.equal("5 finished, 0 missed", server:get("/pauses").body)
  end)

  it("waits for results without looking over and over", function()
    assert.are.equal("few", server:get("/waits").body)
  end)

  it("names the phase where Lua cannot wait", function()
    assert.is_truthy(server:get("/set").body:find("cannot wait in set_by_lua", 1, true))
    for _, path in ipairs({ "/header", "/import" }) do
      local header
      for _, pair in ipairs(server:get(path).headers) do
        header = pair[1]:lower() == "refused" and pair[2] or header
      end
      assert.is_truthy(header and header:find("cannot wait in header_filter_by_lua", 1, true), header)
    end
    server:get("/log")
    raw_server.eventually(function()
      return server:get("/told").body:find("cannot wait in log_by_lua", 1, true)
    end, "what log_by_lua was told")
    assert.is_truthy(server:get("/dofile").body:find("cannot yield inside dofile", 1, true))
  end)

  it("refuses to work in init_by_lua, where workers would inherit it, and in init_worker_by_lua", function()
    local early = nginx.new({ http = 'init_by_lua_block { require("nginx.handlers").early() }' })
    local code, text = early:start_in_vain()
    assert.are_not.equal(0, code)
    assert.is_truthy(text:find("cannot wait in init_by_lua", 1, true), text)
    early:stop()
    early = nginx.new({ http = 'init_worker_by_lua_block { require("nginx.handlers").early() }' }):start()
    raw_server.eventually(function() return early:read_log():find("cannot wait in init_worker_by_lua", 1, true) end, "the refusal")
    early:stop(true)
  end)
end)

describe("campaign.transport.openresty, when workers leave,", function()
  local upstream

  setup(function() upstream = raw_server.start() end)
  teardown(function() upstream:stop() end)

  local function flying(server, count, path)
    local before = #upstream:commits(path)
    for _ = 1, count do
      assert(server.transport:submit({ url = server.url .. "/perform?path=" .. path, account = "flying", max_connection_age = 0 }))
    end
    raw_server.eventually(function() return #upstream:commits(path) == before + count end, "requests in flight")
  end

  local function answers(server)
    local good = 0
    for _, result in function() return server.transport:next(30) end do
      good = good + (result.status == 200 and result.body:sub(1, 3) == "200" and 1 or 0)
    end
    return good
  end

  it("says which package is missing, and tries nothing again, where there is no libcurl", function()
    local build = os.getenv("CAMPAIGN_BUILD") or command.ROOT .. "/build"
    build = build:sub(1, 1) == "/" and build or command.ROOT .. "/" .. build
    local env = { LD_PRELOAD = build .. "/spec/without_library.so", WITHOUT = "libcurl" }
    local one = nginx.new({ env = env, main = "env WITHOUT;", server = [[
      location /connect { content_by_lua_block {
        local campaign = require "campaign"
        local folder = require("campaign.openresty.job_folder").new("%(folder)/jobs", 1)
        local account = { base_url = "http://127.0.0.1:1", token = "t", user_id = "1" }
        local client, err = campaign.connect("longlong", account)
        local result, why = campaign.import{ to = "longlong.import_customers_async", source = "%(folder)/nginx.conf", account = account }
        ngx.print(tostring(client), " ", err.message, "; ", tostring(result), " ", why.message, "; ", tostring(folder:heals(why)))
      } }
    ]] }):start()
    local body = one:get("/connect").body
    one:stop()
    assert.is_truthy(body:find("^nil a library is missing %(Debian: apt%-get install libcurl4%)[^;]*; nil a library is missing [^;]*; false$"),
      body)
    one = nginx.new({ main = "env WITHOUT;", http = [[
      init_by_lua_block { require("campaign.openresty.preload").load("longlong") }
    ]] })
    local code, log = one:start_in_vain(env)
    one:stop(true)
    assert.are_not.equal(0, code)
    assert.is_truthy(log:find("apt-get install libcurl4", 1, true), log)
  end)

  it("ends its light thread when nothing is in flight", function()
    local server = nginx.new({ server = SERVER, values = { upstream = upstream.url } }):start()
    assert.are.equal("200 ok", server:get("/perform?path=/ok").body)
    raw_server.eventually(function() return server:get("/idle").body == "0" end, "the end of the dispatcher")
    server:stop()
  end)

  local PERFORM = 'set $upstream %(upstream); location /perform { content_by_lua_block { require("nginx.handlers").perform() } }'

  it("loses nothing at reloads and QUIT", function()
    local server = nginx.new({ server = PERFORM, values = { upstream = upstream.url }, workers = 2 }):start()
    for _ = 1, 5 do
      flying(server, 8, "/slow?ms=300")
      server:signal("HUP")
      assert.are.equal(8, answers(server))
    end
    flying(server, 8, "/slow?ms=300")
    server:signal("QUIT")
    assert.are.equal(8, answers(server))
    assert.are.equal(0, assert(server:wait_gone()).exit)
    server:stop()
  end)

  it("ends at once after TERM with requests in flight", function()
    local server = nginx.new({ server = PERFORM, values = { upstream = upstream.url }, workers = 2 }):start()
    flying(server, 8, "/hang")
    server:signal("TERM")
    assert.are.equal(0, assert(server:wait_gone()).exit)
    assert.are.equal(0, answers(server))
    server:stop()
  end)

  it("leaves when worker_shutdown_timeout is over, though an upstream hangs", function()
    local server = nginx.new({
      main = "worker_shutdown_timeout 1s;", server = PERFORM, values = { upstream = upstream.url },
    }):start()
    local began = core.system.monotonic()
    flying(server, 4, "/hang")
    server:signal("QUIT")
    assert.are.equal(0, assert(server:wait_gone(25)).exit) -- the requests' own limits are longer
    assert.is_true(core.system.monotonic() - began < 25)
    server:stop(true) -- nginx itself logs the connections it closes
  end)
end)

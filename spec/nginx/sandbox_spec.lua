-- SPDX-License-Identifier: MIT
-- The sandbox as an nginx location does what the sandbox of its own process does: imports, faults on order, callbacks. And the health location.

local command = require "support.command"
local imports = require "support.imports"
local json = require "campaign.json"
local nginx = require "support.nginx"
local raw_server = require "support.raw_server"
local socket = require "socket"

local HTTP = [[
  client_max_body_size 0;
  lua_shared_dict campaign 1m;
  init_by_lua_block {
    local file = assert(io.open("%(order)"))
    local accounts = require("campaign.json").decode(file:read("*a"))
    file:close()
    sandbox = require("campaign.openresty.sandbox").new{ folder = "%(folder)/sandbox", clock = "2025-11-10 09:00:00", clock_rate = 0,
      accounts = accounts }
    callback = require("campaign.openresty.callback").new{ platform = "longlong", store = "%(folder)/callbacks",
      secret = "b7c1d2e3f4a5968778695a4b3c2d1e0f", prefix = "/callbacks/" }
    health = require("campaign.openresty.health").new{ folders = { "%(folder)/callbacks" }, shared = "campaign" }
  }
]]

local SERVER = [[
  location / { content_by_lua_block { sandbox:handle() } }
  location /callbacks/ { content_by_lua_block { callback:handle() } }
  location = /result { content_by_lua_block { ngx.print(require("campaign.json").encode(callback:result(ngx.var.arg_id) or {})) } }
  location = /health { content_by_lua_block { health:handle() } }
  location = /given-up { content_by_lua_block {
    local system = require("campaign.core").system
    local monotonic, make_dirs = system.monotonic, system.make_dirs
    local folder, later = "%(folder)/tried", 0
    system.monotonic = function() return monotonic() + later end
    local one = require("campaign.openresty.health").new{ folders = { folder } }
    local thread = ngx.thread.spawn(function() one:problems() end)
    local killed = ngx.thread.kill(thread) -- as nginx does with a request that is aborted
    os.rename(folder, folder .. ".aside")
    io.open(folder, "w"):close()
    later = 60
    local said = { killed = killed, seen = one:problems()[folder] }
    system.make_dirs = function() error("raised") end
    later = 120
    said.raised = one:problems()[folder]
    system.make_dirs = make_dirs
    os.remove(folder)
    later = 126
    said.well = next(one:problems()) == nil
    system.monotonic = monotonic
    ngx.print(require("campaign.json").encode(said))
  } }
  location = /hanging { content_by_lua_block {
    local system = require("campaign.core").system
    local monotonic, make_dirs = system.monotonic, system.make_dirs
    local folder, later = "%(folder)/hanging", 0
    system.monotonic = function() return monotonic() + later end
    system.make_dirs = function(...) ngx.sleep(0.3) return make_dirs(...) end
    local one = require("campaign.openresty.health").new{ folders = { folder } }
    local first = ngx.thread.spawn(function() one:problems() end)
    later = 11
    local second = ngx.thread.spawn(function() return next(one:problems()) == nil end)
    local said = { hangs = one:problems()[folder] }
    ngx.thread.wait(first)
    said.well = select(2, ngx.thread.wait(second))
    said.stays_well = next(one:problems()) == nil
    system.monotonic, system.make_dirs = monotonic, make_dirs
    ngx.print(require("campaign.json").encode(said))
  } }
]]

describe("campaign.openresty.sandbox", function()
  local server, order

  local function account(name)
    local values = { base_url = server.url }
    for key, value in pairs(imports.accounts[name]) do
      values[key] = values[key] or value
    end
    return values
  end

  setup(function()
    imports.start() -- for its helpers, and the accounts it made up
    order = os.tmpname()
    command.write(order, json.encode(imports.accounts))
    server = nginx.new({ http = HTTP, server = SERVER, workers = 1, values = { order = order } }):start()
  end)
  teardown(function()
    server:stop()
    imports.stop()
    os.remove(order)
  end)

  local function control(path, body)
    local result = server:get("/_sandbox/" .. path, { method = body and "POST" or "GET", body = body and assert(json.encode(body)) })
    assert.equal(200, result.status, result.body)
    return json.decode(result.body)
  end

  before_each(function() control("reset", {}) end)

  local function import(rows, more)
    local options = { account = account("longlong") }
    for name, value in pairs(more or {}) do
      options[name] = value
    end
    return assert(imports.import("longlong.import_customers_async", imports.people(rows), options))
  end

  it("takes an import and shows its commit log", function()
    assert.equal(1000, import(1000).accepted_pending)
    assert.equal(1000, control("commits?limit=1").total)
    assert.equal(404, server:get("/nowhere").status)
  end)

  it("carries out faults of the transport", function()
    local cases = {
      { "500", "ambiguous" }, { "close-before-read", "ambiguous" }, { "after-commit-close", "ambiguous" }, { "truncate-body", "ambiguous" },
      { "wrong-length", "ambiguous" }, { "bad-json", "ambiguous" }, { "delay=50", "accepted_pending" },
    }
    for _, case in ipairs(cases) do
      control("reset", {})
      control("faults", { faults = json.array({ "import_customers_async:" .. case[1] .. "@1" }) })
      local result = import(10, { attempts = 1 })
      if case[1] == "close-before-read" and result.pending == 10 then
        result.ambiguous = 10 -- closed before a byte of the body had left
      end
      assert.equal(10, result[case[2]], case[1] .. ": " .. tostring(result))
    end
  end)

  it("takes files larger than its pieces, and drops what breaks off", function()
    local result = assert(imports.import("outbound.upload_contacts_file", imports.people(20000), {
      account = account("outbound") }))
    assert.equal(20000, result.accepted, tostring(result.error))
  end)

  it("sends callbacks to the callback location", function()
    control("settings", { ["longlong.callback_url"] = server.url .. "/callbacks/b7c1d2e3f4a5968778695a4b3c2d1e0f", ["longlong.result_delay"] = 0 })
    local result = import(3)
    local receipt = result:each_batch()().receipt
    raw_server.eventually(function()
      return server:get("/result?id=" .. receipt).body:find('"ok":true', 1, true)
    end, "the callback")
    assert.equal(3, #json.decode(server:get("/result?id=" .. receipt).body).rows)
  end)

  it("refuses to be more than one", function()
    local two = nginx.new({ http = HTTP, server = SERVER, workers = 2, values = { order = order } }):start()
    local result = two:get("/x")
    assert.equal(500, result.status)
    assert.is_truthy(result.body:find("worker_processes 1", 1, true), result.body)
    two:stop(true)
  end)

  it("the health location tells whether this worker can work", function()
    local result = server:get("/health")
    assert.equal(200, result.status, result.body)
    assert.is_true(json.decode(result.body).ok)
    local ill = nginx.new({ http = HTTP, server = SERVER, values = { order = order } }):start()
    command.write(ill.folder .. "/callbacks", "in the way")
    result = ill:get("/health")
    assert.equal(503, result.status)
    assert.is_truthy(result.body:find("callbacks", 1, true), result.body)
    ill:stop()
  end)

  it("the health location calls nothing ill in a worker that a reload replaces", function()
    local one = nginx.new({ http = HTTP, server = SERVER, values = { order = order } }):start()
    local before = json.decode(one:get("/health").body).worker
    local client = assert(socket.connect("127.0.0.1", one.port))
    assert(client:send("GET /health HTTP/1.0\r\n")) -- the worker waits for the rest, and a reload for the worker
    one:signal("HUP")
    raw_server.eventually(function() return one:read_log():find("gracefully shutting down", 1, true) end, "the end of the worker")
    assert(client:send("\r\n"))
    client:settimeout(10)
    local answer = assert(client:receive("*a"))
    client:close()
    assert.is_truthy(answer:find("^HTTP/1.1 200 "), answer)
    assert.is_truthy(answer:find(('"worker":%d'):format(before), 1, true), answer)
    one:stop()
  end)

  it("the health location looks again after an attempt that never ended, and after one that raised an error", function()
    local result = server:get("/given-up")
    assert.equal(200, result.status, result.body)
    local said = json.decode(result.body)
    assert.equal(1, said.killed) -- it was in the middle
    assert.is_truthy(said.seen, result.body)
    assert.is_truthy(said.raised:find("raised", 1, true), result.body)
    assert.is_true(said.well, result.body)
  end)

  it("the health location calls a disk ill that takes no file for seconds, until an attempt ends", function()
    local result = server:get("/hanging")
    assert.equal(200, result.status, result.body)
    local said = json.decode(result.body)
    assert.equal("nothing could be written within 10 seconds", said.hangs)
    assert.is_true(said.well, result.body)
    assert.is_true(said.stays_well, result.body)
  end)
end)

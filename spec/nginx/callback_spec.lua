-- SPDX-License-Identifier: MIT
-- The callback location in a real nginx with two workers, from outside: what is answered 200 is in the store, whatever happens to workers,
-- clients and dictionaries.

local command = require "support.command"
local core = require "campaign.core"
local inbox_module = require "campaign.callback.inbox"
local json = require "campaign.json"
local nginx = require "support.nginx"
local raw_server = require "support.raw_server"
local signature = require "campaign.callback.signature"
local socket = require "socket"

local SECRET = "b7c1d2e3f4a5968778695a4b3c2d1e0f"
local KEY = "0123456789abcdef0123456789abcdef"

local HTTP = [[
  lua_shared_dict campaign 1m;
  lua_shared_dict full 16k;
  client_body_buffer_size 1k;
  init_by_lua_block {
    require("campaign.openresty.metrics").use("campaign")
    local new = require("campaign.openresty.callback").new
    callback = new{ platform = "longlong", store = "%(folder)/store", secret = "b7c1d2e3f4a5968778695a4b3c2d1e0f", prefix = "/cb/",
      shared = "campaign", rate = 100000, max_body = 100000 }
    slow = new{ platform = "longlong", store = "%(folder)/slow", secret = "b7c1d2e3f4a5968778695a4b3c2d1e0f", prefix = "/slow/",
      shared = "campaign", rate = 20, burst = 20 }
    signed = new{ platform = "longlong", store = "%(folder)/signed", hmac = { key = "0123456789abcdef0123456789abcdef" }, prefix = "/signed" }
    crowded = new{ platform = "longlong", store = "%(folder)/crowded", secret = "b7c1d2e3f4a5968778695a4b3c2d1e0f", prefix = "/crowded/",
      shared = "full", rate = 100000 }
    killed = new{ platform = "longlong", store = "%(folder)/killed", secret = "b7c1d2e3f4a5968778695a4b3c2d1e0f", prefix = "/killed/" }
    for i = 1, 10000 do
      if not ngx.shared.full:safe_set("filler" .. i, ("x"):rep(100)) then break end
    end
  }
]]

local SERVER = [[
  location /cb/ { content_by_lua_block { callback:handle() } }
  location /slow/ { content_by_lua_block { slow:handle() } }
  location /signed { content_by_lua_block { signed:handle() } }
  location /crowded/ { content_by_lua_block { crowded:handle() } }
  location /uncached/ { lua_code_cache off; content_by_lua_block { require("campaign.openresty.callback").new{
    platform = "longlong", store = "%(folder)/uncached", secret = "b7c1d2e3f4a5968778695a4b3c2d1e0f", prefix = "/uncached/",
    shared = "campaign" }:handle() } }
  location /killed { content_by_lua_block { -- nginx has no timer to give, and ends the request that does the work itself
    local core, at = require "campaign.core", ngx.timer.at
    local inbox = assert(killed:open()).inbox
    local lock = assert(core.system.lock("%(folder)/killed/turn", 0))
    ngx.timer.at = function() return nil, "no room" end
    local thread = ngx.thread.spawn(function() inbox:put("one", nil, nil, 1) end)
    ngx.sleep(0.05)
    assert(ngx.thread.kill(thread))
    ngx.timer.at = at
    lock:close()
    local monotonic = core.system.monotonic
    core.system.monotonic = function() return monotonic() + 20 end
    ngx.print(tostring(inbox:put("two", nil, nil, 2)))
    core.system.monotonic = monotonic
  } }
  location /pid { content_by_lua_block { ngx.print(ngx.worker.pid()) } }
  location = /health { content_by_lua_block { require("campaign.openresty.health").new{ shared = "full" }:handle() } }
  location /metrics { content_by_lua_block { require("campaign.openresty.metrics").handle() } }
]]

local function body(id, more)
  return ('{"unique_id":"%s","total":1,"success":1,"fail":0,"rows":[{"index":0,"ok":true,"reason":"%s"}]}'):format(id, more or "")
end

describe("campaign.openresty.callback", function()
  local server

  local function start()
    return nginx.new({ http = HTTP, server = SERVER, workers = 2 }):start()
  end

  setup(function() server = start() end)
  teardown(function() server:stop() end)

  local function kept(name, of)
    return assert(inbox_module.open((of or server).folder .. "/" .. name, {})):list()
  end

  local function post(path, text, more)
    local request = { url = server.url .. path, method = "POST", body = text, account = "poster", max_connection_age = 0 }
    for name, value in pairs(more or {}) do
      request[name] = value
    end
    return server.transport:submit(request)
  end

  -- Statuses of everything in flight, or of the first `most`, by count, and the texts of those that were answered 200.
  local function answers(texts, most)
    local counts, good, seen = {}, {}, 0
    while seen < (most or math.huge) do
      local id, result = server.transport:next(30)
      if not id then
        break
      end
      local status = result.status or "none"
      counts[status], seen = (counts[status] or 0) + 1, seen + 1
      if status == 200 and texts then
        good[#good + 1] = texts[id]
      end
    end
    return counts, good
  end

  it("keeps what both workers accept, each body once, the first one of a batch number first", function()
    for i = 1, 200 do
      assert(post("/cb/" .. SECRET, body("many-" .. i % 50, i % 100 < 50 and "" or "other"))) -- each twice, and in two versions
    end
    assert.same({ [200] = 200 }, answers())
    local list = kept("store")
    assert.equal(100, #list)
    local kinds = {}
    for number, entry in ipairs(list) do
      assert.equal(number, entry.n)
      kinds[entry.kind] = (kinds[entry.kind] or 0) + 1
    end
    assert.same({ first = 50, conflict = 50 }, kinds)
    local text = server:get("/metrics").body
    assert.is_truthy(text:find('campaign_callbacks_total{status="200"} 200', 1, true), text)
    assert.is_truthy(text:find('campaign_callback_bodies_total{kind="duplicate"} 100', 1, true), text)
    assert.is_truthy(text:find('campaign_request_seconds_count{handler="callback"} 200', 1, true), text)
  end)

  it("refuses forged paths, other methods, and bodies that are too large, in memory or in a file", function()
    local before = #kept("store")
    assert.equal(404, server:get("/cb/" .. SECRET:sub(1, -2) .. "x", { method = "POST", body = body("x") }).status)
    local refused = server:get("/cb/" .. SECRET)
    assert.same({ 405, "POST" }, { refused.status, (function()
      for _, header in ipairs(refused.headers) do
        if header[1]:lower() == "allow" then
          return header[2]
        end
      end
    end)() })
    assert.equal(413, server:get("/cb/" .. SECRET, { method = "POST", body = ("x"):rep(100001) }).status)
    assert.equal(before, #kept("store"))
    local long = body("long", ("y"):rep(99000)) -- nginx puts it into a file
    assert.equal(200, server:get("/cb/" .. SECRET, { method = "POST", body = long }).status)
    assert.equal(#long, kept("store")[before + 1].bytes)
  end)

  it("takes what is in the body of a refused request for no request", function()
    for _, method in ipairs({ "HEAD", "GET", "DELETE" }) do
      local inner = "GET /metrics HTTP/1.1\r\nHost: inner\r\n\r\n"
      local client = assert(socket.connect("127.0.0.1", server.port))
      client:settimeout(5)
      client:send(("%s /cb/x HTTP/1.1\r\nHost: outer\r\nContent-Length: %d\r\n\r\n%s"):format(method, #inner, inner))
      client:send("GET /pid HTTP/1.1\r\nHost: last\r\nConnection: close\r\n\r\n")
      local text = client:receive("*a")
      client:close()
      local _, count = text:gsub("HTTP/1%.1 ", "")
      assert.equal(2, count, text)
      assert.is_nil(text:find("campaign_workers", 1, true), text)
    end
  end)

  it("keeps nothing of a client that goes away in the middle of its body", function()
    local before = #kept("store")
    for _ = 1, 20 do
      local client = assert(socket.connect("127.0.0.1", server.port))
      client:send("POST /cb/" .. SECRET .. " HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n" .. body("cut"))
      client:close()
    end
    assert.equal(200, server:get("/cb/" .. SECRET, { method = "POST", body = body("after the cut") }).status)
    assert.equal(before + 1, #kept("store"))
  end)

  it("answers 411 for a body that comes without a length, and keeps nothing of it", function()
    local before = #kept("store")
    for _, version in ipairs{ "1.0", "1.1" } do
      local client = assert(socket.connect("127.0.0.1", server.port))
      client:settimeout(5)
      client:send(("POST /cb/%s HTTP/%s\r\nHost: x\r\nConnection: close\r\n\r\n%s"):format(SECRET, version, body("no length")))
      client:shutdown("send")
      assert.matches("^HTTP/1%.1 411 ", (client:receive("*l")))
      client:close()
    end
    assert.equal(before, #kept("store"))
  end)

  it("takes signed posts within their window, and refuses forged and old ones", function()
    local function send(text, at, key)
      local timestamp = ("%.0f"):format(at)
      return server:get("/signed", { method = "POST", body = text, headers = { { "X-Campaign-Timestamp", timestamp },
        { "X-Campaign-Signature", "sha256=" .. signature.sign(key or KEY, timestamp, text) } } }).status
    end
    local now = math.floor(core.system.now())
    assert.equal(200, send(body("s-1"), now))
    assert.equal(200, send(body("s-1"), now)) -- a replay: nothing changes
    assert.equal(401, send(body("s-2"), now - 1000))
    assert.equal(401, send(body("s-3"), now, KEY:reverse()))
    assert.equal(404, server:get("/signed/x", { method = "POST", body = body("s-4") }).status)
    assert.equal(1, #kept("signed"))
  end)

  it("keeps one rate for both workers", function()
    local began = core.system.monotonic()
    for i = 1, 300 do
      assert(post("/slow/" .. SECRET, body("r-" .. i)))
    end
    local counts = answers()
    local seconds = core.system.monotonic() - began
    assert.equal(300, counts[200] + counts[503])
    assert.equal(counts[200], #kept("slow"))
    -- 20 a second by the clock, wherever its seconds begin; each worker alone would take 40
    assert.is_true(counts[200] >= 20 - 2 and counts[200] <= 20 * (seconds + 1) + 2, counts[200] .. " in " .. seconds .. " s")
  end)

  it("goes on when the dictionary is full", function()
    for i = 1, 50 do
      assert(post("/crowded/" .. SECRET, body("f-" .. i)))
    end
    assert.same({ [200] = 50 }, answers())
    assert.equal(50, #kept("crowded"))
  end)

  it("is no reason to call a worker ill that the dictionary is full", function()
    local result = server:get("/health")
    assert.equal(200, result.status, result.body)
    assert.is_truthy(json.decode(result.body).warnings.dictionary, result.body)
  end)

  it("works with lua_code_cache off", function()
    for i = 1, 10 do
      assert(post("/uncached/" .. SECRET, body("u-" .. i % 5)))
    end
    assert.same({ [200] = 10 }, answers())
    assert.equal(5, #kept("uncached"))
  end)

  it("has what it answered 200 for, though its workers are killed", function()
    local mortal = start()
    local was = server
    server = mortal
    local texts, answered = {}, {}
    local ok, problem = pcall(function()
      for round = 1, 5 do
        for i = 1, 60 do
          local text = body("k-" .. round .. "-" .. i)
          texts[assert(post("/cb/" .. SECRET, text))] = text
        end
        local counts, good = answers(texts, round) -- some are answered, others are on their way
        assert.same({ [200] = round }, counts)
        answered[#answered + 1] = good
        local pid = mortal:get("/pid").body
        os.execute("kill -9 " .. pid)
        raw_server.eventually(function()
          local found = mortal:get("/pid")
          return found.status == 200 and found.body ~= pid
        end, "another worker")
        answered[#answered + 1] = select(2, answers(texts))
      end
      local inbox = assert(inbox_module.open(mortal.folder .. "/store", {}))
      for _, good in ipairs(answered) do
        for _, text in ipairs(good) do
          assert.equal(text, inbox:body(text:match("k%-%d-%-%d+")), "a body that was answered 200 is not in the store")
        end
      end
      -- what was not answered is sent again, as platforms do: then all is there
      for _, text in pairs(texts) do
        assert(post("/cb/" .. SECRET, text))
      end
      assert.same({ [200] = 300 }, answers())
      local ids = {}
      for _, entry in ipairs(kept("store", mortal)) do
        assert.equal("first", entry.kind)
        assert.is_nil(ids[entry.id])
        ids[entry.id] = true
      end
    end)
    server = was
    mortal:stop(true)
    assert(ok, problem)
  end)

  it("goes on when nginx ends a request that writes for the others", function()
    assert.equal("unreadable", server:get("/killed").body)
    assert.equal(1, #kept("killed"))
  end)

  it("answers 503 when the store cannot take it", function()
    local broken = nginx.new({ http = HTTP, server = SERVER }):start()
    command.write(broken.folder .. "/store", "in the way")
    assert.equal(503, broken:get("/cb/" .. SECRET, { method = "POST", body = body("x") }).status)
    os.remove(broken.folder .. "/store")
    assert.equal(200, broken:get("/cb/" .. SECRET, { method = "POST", body = body("x") }).status)
    os.remove(broken.folder .. "/store/inbox.log")
    assert.equal(503, broken:get("/cb/" .. SECRET, { method = "POST", body = body("y") }).status)
    raw_server.eventually(function() return broken:read_log():find("cannot make", 1, true) end, "the line in the log")
    assert.is_nil(broken:read_log():find(SECRET, 1, true), "the secret is in the log")
    broken:stop(true) -- it logs what is in the way
  end)

  it("does not start when nginx.conf lacks what it needs, and says what", function()
    for text, wanted in pairs({
      ['secret = "short"'] = "too weak", ['secret = "' .. SECRET .. '", shared = "none"'] = "lua_shared_dict none",
    }) do
      local bad = nginx.new({ http = 'init_by_lua_block { require("campaign.openresty.callback").new{ platform = "longlong", '
        .. 'store = "%(folder)/store", ' .. text .. " } }" })
      local code, said = bad:start_in_vain()
      assert.are_not.equal(0, code)
      assert.is_truthy(said:find(wanted, 1, true), said)
      bad:stop()
    end
  end)
end)

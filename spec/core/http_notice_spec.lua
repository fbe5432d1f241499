-- SPDX-License-Identifier: MIT
-- What an event loop that knows sockets alone is told by: one byte for each arm() that found nothing, and no more. And what a handle keeps
-- from one request to the next: nothing of the last one may be seen in the next.

local core = require "campaign.core"
local curl = require "campaign.transport.curl"
local lfs = require "lfs"
local raw_server = require "support.raw_server"
local unix = require "socket.unix"

describe("core.http's socket for event loops", function()
  local server, engine

  before_each(function()
    server = raw_server.start()
    engine = assert(core.http.engine({ driver = "thread" }))
  end)
  after_each(function()
    engine:close()
    server:stop()
  end)

  local function connect()
    local path = assert(engine:listen())
    local socket = unix.stream()
    assert(socket:connect(path))
    assert(engine:accept())
    socket:settimeout(20)
    return socket, path
  end

  local function take()
    local id, result
    raw_server.eventually(function()
      id, result = engine:take()
      return id
    end, "a result")
    return id, result
  end

  it("sends one byte when the next result is there, and none that nobody asked for", function()
    local socket = connect()
    for _ = 1, 3 do
      local id = assert(engine:submit({ url = server.url .. "/slow?ms=60" }))
      assert.are.equal(0, engine:arm())
      assert.are.equal("!", socket:receive(1))
      assert.are.equal(id, (take()))
    end
    assert(engine:submit({ url = server.url .. "/ok" }))
    take()
    socket:settimeout(0.05)
    assert.are.equal("timeout", (select(2, socket:receive(1))))
    socket:close()
  end)

  it("says how many results there are instead of promising a byte", function()
    local socket = connect()
    for _ = 1, 3 do
      assert(engine:submit({ url = server.url .. "/ok" }))
    end
    for _ = 1, 3 do
      assert(engine:wait(20) > 0)
      assert.is_true(engine:arm() > 0)
      assert(engine:take())
    end
    assert.are.equal(-1, engine:arm())
    socket:settimeout(0.05)
    assert.are.equal("timeout", (select(2, socket:receive(1))))
    socket:close()
  end)

  it("sends its byte after a quarter of a second when nothing finishes, so that whoever waits can look around", function()
    local socket = connect()
    assert(engine:submit({ url = server.url .. "/hang" }))
    for _ = 1, 2 do
      assert.are.equal(0, engine:arm())
      assert.are.equal("!", socket:receive(1))
      assert.is_nil(engine:take())
    end
    socket:close()
  end)

  it("promises nothing without a connection, or when nothing is in flight", function()
    assert.are.equal(-1, engine:arm())
    assert(engine:submit({ url = server.url .. "/hang" }))
    assert.are.equal(-1, engine:arm())
    engine:close()
    engine = assert(core.http.engine({ driver = "thread" }))
    connect():close()
    assert.are.equal(-1, engine:arm())
  end)

  it("goes on when the other end is gone, and takes a new connection", function()
    connect():close()
    assert(engine:submit({ url = server.url .. "/slow?ms=30" }))
    engine:arm()
    take()
    local socket = connect()
    assert(engine:submit({ url = server.url .. "/slow?ms=30" }))
    assert.are.equal(0, engine:arm())
    assert.are.equal("!", socket:receive(1))
    socket:close()
  end)

  it("leaves nothing on the disk, and lets nobody else in", function()
    local path = assert(engine:listen())
    local folder = path:match("^(.*)/")
    assert.are.equal("rwx------", lfs.attributes(folder, "permissions"))
    local script = ("local s = require('socket.unix').stream() assert(s:connect(%q)) print('there') io.stdout:flush() "
      .. "s:receive(1)"):format(path)
    local other = assert(core.system.spawn({ "luajit", "-e", script, pipe = true }))
    assert.are.equal("there", other:read_line(20))
    local _, err = engine:accept()
    other:signal("KILL")
    other:wait(10)
    other:close()
    assert.are.equal("network", err.kind)
    assert.is_nil(lfs.attributes(folder))
    local socket, second = connect()
    assert.is_nil(lfs.attributes((second:match("^(.*)/"))))
    socket:close()
    local _, usage = engine:accept()
    assert.are.equal("usage", usage.kind)
    local inline = assert(core.http.engine())
    local _, refused = inline:listen()
    assert.are.equal("usage", refused.kind)
    inline:close()
  end)
end)

for _, driver in ipairs({ "inline", "thread" }) do
  describe("core.http's handles, driver " .. driver, function()
    local server, transport

    setup(function()
      server = raw_server.start()
      transport = curl.new({ driver = driver })
    end)
    teardown(function()
      transport:close()
      server:stop()
    end)

    local function ask(path, fields)
      local request = { url = server.url .. path, account = "handles", max_connection_age = 60 }
      for name, value in pairs(fields or {}) do
        request[name] = value
      end
      local result = assert(transport:perform(request))
      assert.is_nil(result.error, tostring(result.error and result.error.message))
      return result
    end

    it("sends each URL, with and without a query, in any order", function()
      local paths = { "/ok", "/ok", "/ok?a=1", "/ok", "/ok?a=2", "/ok?a=2", "/ok/../ok", "/ok", "/slow?ms=1", "/ok" }
      local before = #server:commits()
      for _, path in ipairs(paths) do
        assert.are.equal(200, ask(path).status)
      end
      local seen = server:commits()
      for i, path in ipairs(paths) do
        assert.are.equal(path, seen[before + i].path)
      end
    end)

    it("sends each method with its own body and no other", function()
      local turns = {
        { "GET" }, { "POST", "first" }, { "GET" }, { "POST", "" }, { "DELETE" }, { "GET" }, { "PUT", "second" }, { "PATCH", "third" },
        { "HEAD" }, { "POST", "fourth" }, { "GET" }, { "DELETE", "fifth" }, { "POST" }, { "GET" },
      }
      local before = #server:commits()
      for _, turn in ipairs(turns) do
        local result = ask("/echo", { method = turn[1], body = turn[2] })
        assert.are.equal(turn[1] == "HEAD" and "" or turn[2] or "", result.body)
      end
      local seen = server:commits()
      for i, turn in ipairs(turns) do
        assert.are.equal(turn[1], seen[before + i].method)
        assert.are.equal(#(turn[2] or ""), seen[before + i].bytes)
      end
    end)

    it("sends the headers of this request alone, and names itself unless the request does", function()
      local function head(fields)
        return ask("/head", fields).body
      end
      local plain = head()
      assert.truthy(plain:find("\nUser-Agent: campaign/", 1, true))
      local named = head({ headers = { { "User-Agent", "mine" }, { "X-One", "1" } } })
      assert.truthy(named:find("\nUser-Agent: mine", 1, true))
      assert.is_nil(named:find("campaign/", 1, true))
      local zipped = head({ headers = { { "Accept-Encoding", "gzip" } } })
      assert.truthy(zipped:find("\nAccept-Encoding: gzip", 1, true))
      assert.are.equal(plain, head())
      for _, body in ipairs({ "x", ("x"):rep(2 * 1024 * 1024) }) do
        local posted = head({ method = "POST", body = body })
        assert.is_nil(posted:find("Expect", 1, true))
        assert.is_nil(posted:find("Content-Type", 1, true))
        assert.is_nil(posted:find("X-One", 1, true))
      end
    end)

    it("holds each request to its own limits", function()
      assert.are.equal(200, ask("/slow?ms=30", { limits = { total = 20 } }).status)
      local late = assert(transport:perform({ url = server.url .. "/hang", account = "handles", limits = { total = 0.05 } }))
      assert.are.equal("timeout", late.error.kind)
      assert.are.equal(200, ask("/slow?ms=150").status)
      local large = assert(transport:perform({ url = server.url .. "/ok", account = "handles", limits = { body = 1 } }))
      assert.are.equal("response", large.error.kind)
      assert.are.equal("ok", ask("/ok").body)
    end)

    it("keeps many requests in flight apart, more than once", function()
      for _ = 1, 2 do
        local expected, left = {}, 300
        for i = 1, left do
          local id = assert(transport:submit({ url = server.url .. "/echo", method = "POST", body = "body " .. i, account = "many" }))
          expected[id] = "body " .. i
        end
        while left > 0 do
          local id, result = transport:next(20)
          assert.are.equal(expected[id], result.body)
          expected[id], left = nil, left - 1
        end
      end
    end)
  end)
end

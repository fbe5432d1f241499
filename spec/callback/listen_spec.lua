-- SPDX-License-Identifier: MIT
-- campaign listen as a process: the sandbox's real callbacks, raw sockets that misbehave, and a kill while it takes bodies.

local callback = require "campaign.callback"
local campaign = require "campaign"
local command = require "support.command"
local env_module = require "campaign.env"
local sandbox = require "campaign.sandbox"
local sandbox_json = require "campaign.sandbox.json"
local socket = require "socket"
local system = require("campaign.core").system

describe("campaign listen", function()
  local folder, process, port, secret

  local function listen()
    process = assert(system.spawn{
      command.ROOT .. "/bin/campaign", "listen", "--path-secret-file", folder .. "/secret", "--store", folder .. "/store", "--platform", "longlong",
      env = { CAMPAIGN_BUILD = os.getenv("CAMPAIGN_BUILD") or command.ROOT .. "/build", LUA_PATH = false, LUA_CPATH = false },
      pipe = true, hold_stdin = true, group = true, stderr = folder .. "/err",
    })
    local line = assert(process:read_line(20))
    port = tonumber(line:match("^listening on http://127%.0%.0%.1:(%d+)/ and the secret of "))
    secret = command.read(folder .. "/secret"):gsub("%s", "")
    assert.is_nil(line:find(secret, 1, true))
  end

  setup(function()
    folder = command.folder()
    listen()
  end)

  teardown(function()
    process:close()
    command.remove(folder)
  end)

  -- Sends bytes as they are, and gives all that comes until the other end closes.
  local function raw(bytes, keep_open)
    local client = assert(socket.connect("127.0.0.1", port))
    client:settimeout(20)
    client:send(bytes)
    if not keep_open then
      client:shutdown("send")
    end
    local text, _, part = client:receive("*a")
    client:close()
    return text or part or ""
  end

  local function request(path, body, more)
    return ("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nConnection: close\r\n%s\r\n%s"):format(path, #body, more or "", body)
  end

  local function status(answer)
    return tonumber(answer:match("^HTTP/1%.1 (%d%d%d)"))
  end

  local function reader()
    return assert(callback.new{ platform = "longlong", secret = secret, store = folder .. "/store" })
  end

  it("makes a secret of 256 bits in a private file", function()
    assert.equal(64, #secret)
    assert.equal(384, system.stat(folder .. "/secret").mode % 512)
  end)

  it("takes the sandbox's callbacks: in time, early and twice, and joins them to what was sent", function()
    local handle = assert(sandbox.start{ clock = "2025-11-10 10:00:00", clock_rate = 0, settings = {
      ["longlong.callback_url"] = "http://127.0.0.1:" .. port .. "/" .. secret, ["longlong.result_delay"] = 3600,
    }, faults = { "import_customers_async:early-callback@1", "import_customers_async:duplicate-callback@2",
      "import_customers_async:no-callback@3" } })
    finally(function() handle:stop() end)
    local env = env_module.default()
    local client = assert(campaign.connect("longlong", handle.accounts.longlong, { env = env }))
    finally(function()
      client:close()
      handle:stop()
    end)
    local ids = {}
    for number = 1, 3 do
      ids[number] = assert(client:import_customers_async{ data = {
        { phone = "1300000000" .. number, extra = "job." .. number }, { phone = "1310000000" .. number },
      } }).data.unique_id
    end
    local receiver = reader()
    local function came(id)
      local deadline = system.monotonic() + 20
      while not receiver:result(id) and system.monotonic() < deadline do
        system.sleep(0.02)
      end
      return assert(receiver:result(id), "no callback came")
    end
    came(ids[1])
    assert.is_nil((receiver:result(ids[2])))
    assert(handle:control("clock", { advance = 3600 }))
    local outcomes, unmatched = callback.join(came(ids[2]), { { row = 5, mark = "job.2" }, { row = 6 } })
    assert.same({ true, true, 0 }, { outcomes[5].ok, outcomes[6].ok, #unmatched })
    assert.is_nil((receiver:result(ids[3])))
    assert.same({}, receiver:conflicts())
    assert.equal(2, #receiver.inbox:list())
    local results = assert(handle:control("results?unique_id=" .. ids[2]))
    assert(sandbox_json.encode(results):find(ids[2], 1, true))
  end)

  it("refuses forged, oversize, cut and unclear requests, and stays well", function()
    local before = #reader().inbox:list()
    assert.equal(404, status(raw(request("/" .. secret .. "x", "{}"))))
    assert.equal(404, status(raw(request("http://callbacks.example/" .. secret .. "x", "{}"))))
    assert.equal(404, status(raw(request("http://callbacks.example", "{}"))))
    assert.equal(405, status(raw("GET /" .. secret .. " HTTP/1.1\r\nHost: x\r\nContent-Length: 40\r\n\r\nPOST /" .. secret .. " HTTP/1.1\r\n\r\n")))
    local smuggled = raw("HEAD /" .. secret .. " HTTP/1.1\r\nHost: x\r\nContent-Length: 60\r\n\r\n"
      .. request("/" .. secret, '{"unique_id":"smuggled"}'))
    assert.equal(405, status(smuggled))
    assert.is_nil(smuggled:find("HTTP/1.1", 2, true))
    assert.equal(413, status(raw(("POST /%s HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n"):format(secret), true)))
    assert.equal(413, status(raw(request("/" .. secret, ("x"):rep(1048577)))))
    local chunked = { ("POST /%s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"):format(secret) }
    for number = 2, 19 do
      chunked[number] = "10000\r\n" .. ("x"):rep(65536) .. "\r\n"
    end
    assert.equal(413, status(raw(table.concat(chunked) .. "0\r\n\r\n")))
    local cut = raw(("POST /%s HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{\"unique_id\":"):format(secret))
    assert(status(cut) ~= 200, cut)
    raw("\0\1\2\3\r\n\r\n")
    assert.equal(before, #reader().inbox:list())
    assert.equal(200, status(raw(request("http://callbacks.example:80/" .. secret, '{"unique_id":"after","rows":[]}'))))
    assert.is_nil((reader():result("smuggled")))
    assert(reader():result("after"))
  end)

  it("answers no 200 for a body whose length is missing or told twice, and takes HTTP/1.0 at its word", function()
    local before = #reader().inbox:list()
    local body = '{"unique_id":"odd","rows":[]}'
    for _, version in ipairs{ "1.0", "1.1" } do -- a body that ends with the connection: nobody can see that it is whole
      local answer = raw(("POST /%s HTTP/%s\r\nHost: x\r\n\r\n%s"):format(secret, version, body))
      assert.matches("^HTTP/1%.%d 411 ", answer)
    end
    for _, length in ipairs{ #body, #body - 3, #body + 3 } do
      local more = ("Content-Length: %d\r\n"):format(length)
      assert.equal(400, status(raw(request("/" .. secret, body, more))))
    end
    assert.equal(before, #reader().inbox:list())
    local old = request("/" .. secret, body, "Expect: 100-continue\r\n"):gsub("HTTP/1.1", "HTTP/1.0", 1)
    assert.matches("^HTTP/1%.0 200 ", raw(old))
    assert(reader():result("odd"))
  end)

  it("is not held up by heads that are none, whatever they hold and however their senders leave", function()
    local before = #reader().inbox:list()
    for _, head in ipairs{
      "Transfer-Encoding: ,;@\r\n", "Transfer-Encoding:\r\n", "Transfer-Encoding: gzip, chunked\r\n", "Content-Length: 1e3\r\n",
      "Content-Length: -3\r\n", "Content-Length:\r\n", "Content-Length: nan\r\n", "Content-Length: 99999999999999999999\r\n",
      "Content-Length: 7, 7\r\n", "name : value\r\n", ("a: b\r\n"):rep(200), "a: " .. ("x"):rep(70000) .. "\r\n",
    } do
      for _, path in ipairs{ "/" .. secret, "/nobody" } do
        assert.equal(400, status(raw(("POST %s HTTP/1.1\r\nHost: x\r\n%s\r\n{}"):format(path, head))), head:sub(1, 60))
      end
    end
    assert.equal(before, #reader().inbox:list())
    assert.equal(200, status(raw(request("/" .. secret, '{"unique_id":"well","rows":[]}', "X-Long: " .. ("x"):rep(9000) .. "\r\n"))))
  end)

  it("gives up a chunk that is too large before it has come, and sends no body to HEAD", function()
    local head = ("POST /%s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"):format(secret)
    assert.equal(413, status(raw(head .. "7fffffff\r\n" .. ("x"):rep(1200000), true)))
    local answer = raw("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert.matches("^HTTP/1%.1 405 .+\r\n\r\n$", answer)
    assert.is_nil(answer:find("POST only", 1, true))
    local body = '{"unique_id":"zeros","rows":[]}' -- leading zeros, extensions, trailers
    local chunks = ("%016x;a=b\r\n%s\r\n000 ;c\r\nX: y\r\n\r\n"):format(#body, body)
    assert.equal(200, status(raw(head:gsub("\r\n\r\n", "\r\nConnection: close%0") .. chunks)))
    assert(reader():result("zeros"))
  end)

  it("is not held up by long lines of zeros and blanks, and takes no chunk whose size is followed by something else", function()
    local head = ("POST /%s HTTP/1.1\r\nHost: x\r\n"):format(secret)
    local began = system.monotonic()
    for _, ending in ipairs{ "\n", "\r\n", "x\r\n", " \r\n", "" } do
      raw(head .. "Transfer-Encoding: chunked\r\n\r\n" .. ("0"):rep(16000) .. ending)
    end
    local blanks = ("X-Blank: a" .. (" "):rep(16000) .. "b" .. (" \t"):rep(100) .. "\r\n"):rep(50)
    local body = '{"unique_id":"blanks","rows":[]}'
    assert.equal(200, status(raw(request("/" .. secret, body, blanks))))
    assert(system.monotonic() - began < 15)
    local chunked = head .. "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    for _, size in ipairs{ "%xg", "%x x", "%x\r", "0x%x", " %x", "+%x", "%x\0", "000000000%xffffffff" } do
      local answer = raw(chunked .. size:format(#body) .. "\r\n" .. body .. "\r\n0\r\n\r\n")
      assert.equal(400, status(answer), size)
    end
    for _, size in ipairs{ "%x", "%X", "0000000000%x", "%x;a", "%x ", "%x\t ;a=\"b\"" } do
      assert.equal(200, status(raw(chunked .. size:format(#body) .. "\r\n" .. body .. "\r\n0\r\n\r\n")), size)
    end
  end)

  it("takes a request however it is cut into pieces, within its line ends, too", function()
    local head = ("POST /%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"):format(secret)
    local body = '{"unique_id":"pieces","rows":[]}'
    local first, last = body:sub(1, 5), body:sub(6)
    local chunks = ("5\r\n%s\r\n%x\r\n%s\r\n0\r\nX: y\r\n\r\n"):format(first, #last, last)
    for _, text in ipairs{ ("%sContent-Length: %d\r\n\r\n%s"):format(head, #body, body), head .. "Transfer-Encoding: chunked\r\n\r\n" .. chunks } do
      for at in text:gmatch("\r()\n") do
        local client = assert(socket.connect("127.0.0.1", port))
        client:settimeout(20)
        client:setoption("tcp-nodelay", true)
        client:send(text:sub(1, at - 1))
        system.sleep(0.01)
        client:send(text:sub(at))
        assert.equal(200, status(client:receive("*a") or ""), "cut at " .. at)
        client:close()
      end
    end
  end)

  it("has every body on disk that it answered 200 for, when it is killed at any moment", function()
    local answered = {}
    for round = 1, 4 do
      local clients = {}
      for number = 1, 10 do
        local id = "kill-" .. round .. "-" .. number
        local client = assert(socket.connect("127.0.0.1", port))
        client:settimeout(5)
        client:send(request("/" .. secret, ('{"unique_id":"%s","rows":[]}'):format(id)))
        clients[number] = { client, id }
      end
      local function collect(pair)
        local text, _, part = pair[1]:receive("*a")
        if status(text or part or "") == 200 then
          answered[#answered + 1] = pair[2]
        end
        pair[1]:close()
      end
      for _ = 1, round do -- some are answered, others are on their way
        collect(table.remove(clients, 1))
      end
      process:signal("KILL")
      for _, pair in ipairs(clients) do
        collect(pair)
      end
      process:close()
      listen()
    end
    assert(#answered >= 10, #answered)
    local receiver = reader()
    for _, id in ipairs(answered) do
      assert(receiver:result(id), id)
    end
    assert.equal(0, receiver.inbox.damaged)
    assert.equal(200, status(raw(request("/" .. secret, '{"unique_id":"alive"}'))))
  end)

  it("is that of the only shipped platform that sends callbacks, where none is named", function()
    local weakest = "aB3dE5gH7jK9mN1pQ2sT4v"
    local receiver = assert(callback.new{ secret = weakest, store = folder .. "/unnamed" })
    local named = assert(callback.new{ platform = "longlong", secret = weakest, store = folder .. "/named" })
    assert.same(named.data, receiver.data)
    assert(callback.reader{ store = folder .. "/named" })
  end)

  it("ends with 0 at SIGTERM, and refuses weak and open secrets", function()
    process:signal("TERM")
    assert.same({ exit = 0 }, process:wait(10))
    listen()
    command.write(folder .. "/weak", ("a"):rep(40) .. "\n")
    local result = command.campaign{ "listen", "--platform", "longlong", "--path-secret-file", folder .. "/weak", "--store", folder .. "/s" }
    assert.equal(2, result.code)
    os.execute("chmod 600 " .. folder .. "/weak")
    result = command.campaign{ "listen", "--platform", "longlong", "--path-secret-file", folder .. "/weak", "--store", folder .. "/s" }
    assert.equal(2, result.code)
    assert.matches("too weak", result.err, 1, true)
  end)
end)

-- SPDX-License-Identifier: MIT
-- The sandbox's host against peers that speak HTTP badly, on raw sockets: each is answered or dropped, and the next
-- request is served.

local h = require "sandbox.helper"

describe("sandbox server", function()
  local socket = require "socket"

  setup(function() h.start() end)
  teardown(function() h.stop() end)

  local function connect()
    local client = assert(socket.connect("127.0.0.1", tonumber(h.handle.base_url:match(":(%d+)$"))))
    client:settimeout(5)
    return client
  end

  -- Sends bytes; what comes back until the server closes, or until `pattern` is there.
  local function exchange(bytes, pattern)
    local client = connect()
    client:send(bytes)
    local text = ""
    repeat
      local line, err, rest = client:receive(1)
      text = text .. (line or rest or "")
    until err or (pattern and text:find(pattern))
    client:close()
    return text
  end

  local function is_alive()
    assert.equal(200, h.get("/_sandbox/clock").status)
  end

  it("drops what is no HTTP, and goes on", function()
    for _, bytes in ipairs{
      "\0\1\2\3\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET /_sandbox/clock HTTP/1.1\r\nbad header\r\n\r\n",
      "GET /_sandbox/clock HTTP/1.1\r\nHost : x\r\n\r\n",
    } do
      local text = exchange(bytes)
      assert.truthy(text == "" or text:find("^HTTP/1%.[01] [45]%d%d"), text)
      is_alive()
    end
  end)

  it("drops requests with impossible lengths", function()
    for _, length in ipairs{ "x", "-5", "1e3", "99999999999999999999" } do
      local client = connect()
      client:send("POST /_sandbox/reset HTTP/1.1\r\nHost: x\r\nContent-Length: " .. length .. "\r\n\r\n")
      client:shutdown("send")
      local text = client:receive("*a") or ""
      client:close()
      assert.is_nil(text:find("^HTTP/1.1 200"), length)
      is_alive()
    end
  end)

  it("answers 400 where it is not clear what was sent, and goes on", function()
    h.reset()
    local head = "POST /agent-api/user/" .. h.accounts.longlong.user_id .. "/async_customer HTTP/1.1\r\nHost: x\r\n"
      .. "Authorization: Bearer " .. h.accounts.longlong.token .. "\r\nContent-Type: application/json\r\n"
    local body = '{"data":[{"phone":"1"}]}'
    for _, lines in ipairs{
      "Content-Length: 24\r\nContent-Length: 20\r\n", "Content-Length: 20\r\nContent-Length: 24\r\n", "Content-Length: 24, 24\r\n",
      "Transfer-Encoding: ,;@\r\n", "Transfer-Encoding: gzip, chunked\r\n", "Transfer-Encoding:\r\n", ("a: b\r\n"):rep(200),
    } do
      assert.matches("^HTTP/1%.1 400 ", exchange(head .. lines .. "\r\n" .. body), lines:sub(1, 60))
      is_alive()
    end
    assert.equal(0, #h.commits())
    assert.matches("success", exchange(head .. "Content-Length: 24\r\nContent-Length: 24\r\n\r\n" .. body, "success"))
    assert.equal(1, #h.commits())
  end)

  it("sends no body to HEAD, no 100 to HTTP/1.0, and takes long lines", function()
    local text = exchange("HEAD /_sandbox/clock HTTP/1.1\r\nHost: x\r\n\r\nGET /none HTTP/1.1\r\nHost: x\r\n\r\n", "no such path")
    assert.matches("^HTTP/1%.1 %d%d%d [^\r]+\r\n.-\r\n\r\nHTTP/1%.1 404 ", text)
    local body = '{"advance":0}'
    local old = "POST /_sandbox/clock HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: " .. #body .. "\r\n\r\n" .. body
    assert.matches("^HTTP/1%.0 200 ", exchange(old))
    local long = ("x"):rep(12000)
    assert.matches("^HTTP/1%.1 200 ", exchange("GET /_sandbox/clock?" .. long .. " HTTP/1.1\r\nHost: x\r\nX-Long: " .. long .. "\r\n\r\n", "zone"))
  end)

  it("commits nothing of a request that breaks off", function()
    h.reset()
    local head = "POST /agent-api/user/" .. h.accounts.longlong.user_id .. "/async_customer HTTP/1.1\r\nHost: x\r\n"
      .. "Authorization: Bearer " .. h.accounts.longlong.token .. "\r\nContent-Type: application/json\r\n"
    local client = connect()
    client:send(head .. 'Content-Length: 100\r\n\r\n{"data":[{"phone":"1"}]}')
    client:close()
    is_alive()
    assert.equal(0, #h.commits())
  end)

  it("takes chunked bodies and several requests on one connection", function()
    h.reset()
    local head = "POST /agent-api/user/" .. h.accounts.longlong.user_id .. "/async_customer HTTP/1.1\r\nHost: x\r\n"
      .. "Authorization: Bearer " .. h.accounts.longlong.token .. "\r\nContent-Type: application/json\r\n"
      .. "Transfer-Encoding: chunked\r\n\r\n"
    local body = 'c\r\n{"data":[{"p\r\nb\r\nhone":"1"}]\r\n1\r\n}\r\n0\r\n\r\n'
    local text = exchange((head .. body):rep(3), "success.+success.+success")
    local _, count = text:gsub("HTTP/1%.1 200", "")
    assert.equal(3, count)
    assert.equal(3, #h.commits())
  end)

  it("takes targets that name the host, as clients write them to a proxy, and CONNECT is no path", function()
    assert.truthy(exchange("GET http://sandbox.example:80/_sandbox/clock HTTP/1.1\r\nHost: x\r\n\r\n", "zone"):find("^HTTP/1%.1 200"))
    assert.truthy(exchange("GET http://sandbox.example HTTP/1.1\r\nHost: x\r\n\r\n", "no such path"):find("^HTTP/1%.1 404"))
    exchange("CONNECT sandbox.example:443 HTTP/1.1\r\nHost: x\r\n\r\n")
    is_alive()
  end)

  it("is not held up by receivers of callbacks that answer badly", function()
    h.reset()
    local receiver = assert(socket.bind("127.0.0.1", 0))
    receiver:settimeout(5)
    local url = "http://127.0.0.1:" .. select(2, receiver:getsockname()) .. "/callback"
    assert(h.handle:control("settings", { ["longlong.callback_url"] = url, ["longlong.result_delay"] = 0 }))
    for number, answer in ipairs{
      "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nabc", "\0\r\n\r\n", "",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: ,;@\r\n\r\nabc", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc",
    } do
      local reply = h.post("/agent-api/user/" .. h.accounts.longlong.user_id .. "/async_customer", {
        ["authorization"] = "Bearer " .. h.accounts.longlong.token,
      }, { data = { { phone = "1300000000" .. number } } })
      assert.equal(200, reply.status)
      local client = assert(receiver:accept())
      client:settimeout(5)
      local length
      repeat
        local line = assert(client:receive("*l"))
        length = line:match("^[Cc]ontent%-[Ll]ength: (%d+)$") or length
      until line == ""
      assert.truthy(client:receive(tonumber(length)):find(reply.json.data.unique_id, 1, true))
      client:send(answer)
      client:close()
      is_alive()
    end
    receiver:close()
  end)

  it("deletes the file of an upload that breaks off", function()
    h.reset()
    local core = require "campaign.core"
    local mark = "campaign-sandbox-" .. h.handle.environment.CAMPAIGN_SANDBOX_PID .. "-"
    local base = os.getenv("TMPDIR") or "/tmp"
    local dir
    for _, name in ipairs(core.system.list_dir(base)) do
      if name:sub(1, #mark) == mark then
        dir = base .. "/" .. name
      end
    end
    local client = connect()
    client:send("POST /api/v1/file HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
      .. "Content-Length: 9999\r\n\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nabc")
    local function files()
      local count = 0
      for _, name in ipairs(core.system.list_dir(dir)) do
        count = count + (name:find("^spool") and 1 or 0)
      end
      return count
    end
    local deadline = core.system.monotonic() + 5
    while files() == 0 and core.system.monotonic() < deadline do
      core.system.sleep(0.02)
    end
    assert.equal(1, files())
    client:close()
    deadline = core.system.monotonic() + 5
    while files() > 0 and core.system.monotonic() < deadline do
      core.system.sleep(0.02)
    end
    assert.equal(0, files())
  end)

  it("finds a path however its letters are encoded, and takes an encoded slash for none", function()
    local path = "/api/v1/config/openapi/contact/contactGroupDetail"
    assert.equal(401, h.get(path).json.code)
    assert.equal(401, h.get((path:gsub("t", "%%74"))).json.code)
    assert.equal(401, h.post("/agent%2Dapi/user/%31/async%5Fcustomer", nil, "{}").status)
    assert.equal(404, h.get((path:gsub("/contactG", "%%2FcontactG"))).status)
  end)

  it("holds many idle connections", function()
    local clients = {}
    for i = 1, 200 do
      clients[i] = connect()
    end
    is_alive()
    for _, client in ipairs(clients) do
      client:close()
    end
    is_alive()
  end)

  it("is reached on loopback only", function()
    assert.truthy(h.handle.base_url:find("^http://127%.0%.0%.1:%d+$"))
  end)
end)

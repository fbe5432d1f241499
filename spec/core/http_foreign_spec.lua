-- SPDX-License-Identifier: MIT
-- Answers as servers and proxies of other makers write them, byte for byte: compression nobody asked for, interim answers, framing of every kind.

local core = require "campaign.core"
local socket = require "socket"

local TEXT = '{"code":200,"msg":"成功"}'
local GZIP = "\031\139\008\000\000\000\000\000\002\003\171\086\074\206\079\073\085\178\050\050\048\208\081\202\045\078\087\178\082\122"
  .. "\214\049\225\105\215\124\165\090\000\223\022\067\108\027\000\000\000"
local ZLIB = "\120\156\171\086\074\206\079\073\085\178\050\050\048\208\081\202\045\078\087\178\082\122\214\049\225\105\215\124\165\090"
  .. "\000\121\175\009\229"

local function answer(more, body)
  return "HTTP/1.1 200 OK\r\nContent-Length: " .. #body .. "\r\n" .. more .. "\r\n\r\n" .. body
end

describe("answers of other makers", function()
  local engine, listener, url
  setup(function()
    engine = core.http.engine{ driver = "thread" }
    listener = assert(socket.bind("127.0.0.1", 0))
    listener:settimeout(20)
    url = "http://127.0.0.1:" .. select(2, listener:getsockname()) .. "/"
  end)
  teardown(function()
    engine:close()
    listener:close()
  end)

  -- What becomes of a request that is answered with these bytes, in pieces of `step`; and the request's head.
  local function ask(bytes, step, fields)
    local request = { method = "POST", url = url, body = "{}", max_connection_age = 0, limits = { body = 100000 } }
    for name, value in pairs(fields or {}) do
      request[name] = value
    end
    assert(engine:submit(request))
    local client = assert(listener:accept())
    client:settimeout(20)
    client:setoption("tcp-nodelay", true)
    local head = {}
    repeat
      local line = assert(client:receive("*l"))
      head[#head + 1] = line
    until line == ""
    assert(client:receive(2))
    for at = 1, #bytes, step or #bytes do
      client:send(bytes:sub(at, at + (step or #bytes) - 1))
      if step then
        socket.sleep(0.001)
      end
    end
    client:close()
    local _, result = engine:take(20)
    return assert(result, "no result"), table.concat(head, "\n")
  end

  local function reads(bytes, step, fields)
    local result = ask(bytes, step, fields)
    assert.is_nil(result.error)
    assert.same({ "yes", TEXT }, { result.sent, result.body })
  end

  it("are asked to come uncompressed, once, unless the caller says otherwise", function()
    local _, head = ask(answer("X: y", TEXT))
    assert.truthy(head:find("\nAccept-Encoding: identity\n", 1, true))
    _, head = ask(answer("X: y", TEXT), nil, { headers = { { "Accept-Encoding", "gzip" } } })
    assert.same(1, select(2, head:gsub("Accept%-Encoding", "")))
    assert.truthy(head:find("\nAccept-Encoding: gzip\n", 1, true))
  end)

  it("are unpacked when they come compressed all the same, in pieces of any size", function()
    for _, step in ipairs{ 1, 7, 1000 } do
      reads(answer("Content-Encoding: gzip", GZIP), step)
    end
    reads(answer("content-encoding:GZIP ", GZIP))
    reads(answer("Content-Encoding: x-gzip", GZIP))
    reads(answer("Content-Encoding: deflate", ZLIB))
    reads(answer("Content-Encoding: gzip", GZIP), nil, { headers = { { "Accept-Encoding", "gzip" } } })
    local two = ask(answer("Content-Encoding: gzip", GZIP .. GZIP))
    assert.equal(TEXT .. TEXT, two.body)
  end)

  it("pass as they are when they are not what Content-Encoding says, or it says what is no compression", function()
    reads(answer("Content-Encoding: gzip", TEXT))
    reads(answer("Content-Encoding: gzip", TEXT), 1)
    reads(answer("Content-Encoding: UTF-8", TEXT))
    reads(answer("Content-Encoding: identity", TEXT))
    assert.equal("1", ask(answer("Content-Encoding: gzip", "1")).body)
    assert.equal("", ask(answer("Content-Encoding: gzip", "")).body)
    reads("HTTP/1.1 103 Early Hints\r\nContent-Encoding: gzip\r\n\r\n" .. answer("X: y", TEXT))
    assert.equal(GZIP, ask(answer("X: y", GZIP)).body)
  end)

  it("end where they are compressed and come without end, though nothing comes out of them", function()
    local nothing = "\031\139\008\000\000\000\000\000\000\003\003\000\000\000\000\000\000\000\000\000"
    assert.equal("", ask(answer("Content-Encoding: gzip", nothing:rep(100))).body)
    local result = ask(answer("Content-Encoding: gzip", nothing:rep(20000)))
    assert.same({ "maybe", "response" }, { result.sent, result.error and result.error.kind })
    assert.truthy(result.error.message:find("larger than 100000 bytes", 1, true))
  end)

  it("are no whole answers when they are compressed and damaged or cut short", function()
    for _, body in ipairs{ GZIP:sub(1, -5), GZIP:sub(1, 12), GZIP:sub(1, 20) .. "\255\255" .. GZIP:sub(23), GZIP .. "x" } do
      local result = ask(answer("Content-Encoding: gzip", body))
      assert.same({ "maybe", "response" }, { result.sent, result.error and result.error.kind })
      assert.truthy(result.error.message:find("damaged", 1, true))
    end
  end)

  it("are not the expected ones of a template when they come before the body has left, and say how much had", function()
    local template = assert(engine:template{ method = "POST", url = url, max_connection_age = 0 })
    template:expect(200, TEXT)
    for _, size in ipairs{ 2, 30000000 } do
      assert.equal(1, engine:submit_like(template, { core.source(("x"):rep(size)) }, 1, 20, {}))
      local client = assert(listener:accept())
      client:settimeout(20)
      repeat
        local line = assert(client:receive("*l"))
      until line == ""
      if size == 2 then
        assert(client:receive(2))
      end
      client:send(answer("Connection: close", TEXT))
      client:shutdown("send") -- and reads nothing: a reset would cost the answer
      local known = {}
      local count, _, result = engine:take_known(20, template, 1, known)
      client:close()
      if size == 2 then
        assert.same({ 1, 2 }, { count, known[3] })
      else
        assert.equal(0, count)
        assert.same({ "yes", 200, TEXT, size }, { result.sent, result.status, result.body, result.bytes_expected })
        assert.is_true(result.bytes_sent < size)
      end
    end
    template:close()
  end)

  it("are no whole answers where their length is no number, or two", function()
    local size = #TEXT
    for _, lengths in ipairs{ { "99999999999999999999999" }, { "9223372036854775808" }, { "0x10" }, { "1e1" }, { "+" .. size }, { size .. ";" },
      { size .. "," }, { size .. ", 5" }, { 5, size }, { size + 5, size }, { "" } } do
      local head = "HTTP/1.1 200 OK\r\nX: y\r\n"
      for _, length in ipairs(lengths) do
        head = head .. "Content-Length: " .. length .. "\r\n"
      end
      local result = ask(head .. "\r\n" .. TEXT)
      assert.same({ "maybe", "response", 200 }, { result.sent, result.error and result.error.kind, result.status }, table.concat(lengths, " and "))
    end
    for _, length in ipairs{ size .. " ", "\t0" .. size, size .. ", " .. size, size .. "\r\nContent-Length: " .. size } do
      reads("HTTP/1.1 200 OK\r\ncontent-length:" .. length .. "\r\n\r\n" .. TEXT)
    end
    reads("HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n" .. answer("X: y", TEXT)) -- of another answer
  end)

  it("are read with interim answers, chunks with extensions and trailers, without a length, folded, and with many headers", function()
    local chunks = ("%x;name=\"v\"\r\n%s\r\n%X\r\n%s\r\n0\r\nX-Sum: 1\r\n\r\n"):format(5, TEXT:sub(1, 5), #TEXT - 5, TEXT:sub(6))
    reads("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" .. answer("X: y", TEXT))
    reads("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n" .. chunks, 3)
    reads("HTTP/1.1 200 OK\r\nContent-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n" .. chunks)
    reads("HTTP/1.0 200 OK\r\n\r\n" .. TEXT, 5)
    reads("HTTP/1.1 200\r\nX: a\r\n b\r\nContent-Length: " .. #TEXT .. "\r\n\r\n" .. TEXT)
    reads("HTTP/1.1 200 OK\n" .. "Content-Length: " .. #TEXT .. "\n\n" .. TEXT)
    reads(answer(("X-Filler: " .. ("x"):rep(1000) .. "\r\n"):rep(30) .. "X: y", TEXT))
  end)
end)

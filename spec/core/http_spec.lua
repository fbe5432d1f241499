-- SPDX-License-Identifier: MIT
-- core.http against a server that misbehaves on order: what is reported for every way a request can end, what is refused before any I/O,
-- what is never done (redirects, ambient proxies, accounts on each other's connections), and what is bounded.

local core = require "campaign.core"
local curl = require "campaign.transport.curl"
local raw_server = require "support.raw_server"
local command = require "support.command"

local under_tool = os.getenv("CAMPAIGN_TEST_TOOL") ~= ""

local function header(result, name)
  for _, pair in ipairs(result.headers) do
    if pair[1]:lower() == name:lower() then
      return pair[2]
    end
  end
end

local function resident_kb()
  for line in io.lines("/proc/self/status") do
    local kb = line:match("^VmRSS:%s+(%d+)")
    if kb then
      return tonumber(kb)
    end
  end
end

local function descriptors()
  local stat = io.open("/proc/self/stat")
  local pipe = io.popen("ls /proc/" .. stat:read("*n") .. "/fd | wc -l")
  stat:close()
  local count = tonumber(pipe:read("*l"))
  pipe:close()
  return count
end

for _, driver in ipairs({ "inline", "thread" }) do
  describe("core.http, driver " .. driver, function()
    local server, transport, folder

    setup(function()
      folder = command.folder()
      os.execute("head -c 60000000 /dev/zero | gzip -9 > " .. folder .. "/bomb.gz")
    end)

    teardown(function() command.remove(folder) end)

    before_each(function()
      server = raw_server.start(folder .. "/bomb.gz")
      transport = curl.new({ driver = driver })
    end)

    after_each(function()
      transport:close()
      server:stop()
    end)

    local function perform(path, fields)
      local request = { url = server.url .. path }
      for name, value in pairs(fields or {}) do
        request[name] = value
      end
      return transport:perform(request)
    end

    describe("sending", function()
      it("sends method, headers and body as they are given, and nothing it was not told", function()
        local result = perform("/head?q=%E5%8D%97", {
          method = "POST", body = "{}", headers = { { "Content-Type", "application/json" }, { "X-Token", "t" }, { "X-Empty", "" } },
        })
        local lines = {}
        for line in result.body:gmatch("([^\r\n]+)") do
          lines[#lines + 1] = line
        end
        table.sort(lines)
        assert.are.same({
          "Accept-Encoding: identity", "Accept: */*", "Content-Length: 2", "Content-Type: application/json", "Host: 127.0.0.1:" .. server.port,
          "POST /head?q=%E5%8D%97 HTTP/1.1", "User-Agent: campaign/0.1.0", "X-Empty:", "X-Token: t",
        }, lines)
      end)

      it("sends no Expect header, also with a body of more than a megabyte", function()
        local result = perform("/head", { method = "POST", body = ("x"):rep(1500000) })
        assert.is_nil(result.body:find("Expect", 1, true))
      end)

      it("keeps the path as it is", function()
        assert.truthy(perform("/head/../a/./b").status == 200 or true)
        perform("/x/../ok")
        assert.are.equal("/x/../ok", server:commits()[2].path)
      end)

      for _, method in ipairs({ "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS" }) do
        it("sends " .. method .. " with and without a body", function()
          assert.are.equal("text", perform("/echo", { method = method, body = "text" }).body)
          assert.are.equal("", perform("/echo", { method = method }).body)
          assert.are.same({ method, method }, { server:commits()[1].method, server:commits()[2].method })
        end)
      end

      it("reads no body after HEAD", function()
        local result = perform("/head", { method = "HEAD" })
        assert.are.equal("1234", header(result, "Content-Length"))
        assert.are.equal("", result.body)
        assert.are.equal("yes", result.sent)
      end)

      it("sends a source with its exact length", function()
        command.write(folder .. "/body", ("0123456789"):rep(30000))
        local result = perform("/echo", { method = "POST", body = core.source({ path = folder .. "/body" }) })
        assert.are.equal(300000, result.bytes_sent)
        assert.are.equal(300000, result.bytes_expected)
        assert.are.equal(("0123456789"):rep(30000), result.body)
      end)

      it("says so when a file is shorter than it was, and does not pretend the request was whole", function()
        command.write(folder .. "/shrinks", ("x"):rep(300000))
        local source = core.source({ path = folder .. "/shrinks" })
        command.write(folder .. "/shrinks", ("x"):rep(1000))
        local result = perform("/echo", { method = "POST", body = source })
        assert.are.equal("invalid", result.error.kind)
        assert.are.equal("maybe", result.sent)
        assert.are.equal(0, #server:commits("/echo"))
        assert.is_true(result.bytes_sent < result.bytes_expected)
      end)

      it("refuses a source or form that was used", function()
        local source = core.source("x")
        assert.are.equal(200, perform("/ok", { method = "POST", body = source }).status)
        assert.has_error(function() perform("/ok", { method = "POST", body = source }) end)
      end)

      it("streams 200 MB from a file with flat memory #heavy", function()
        local path = folder .. "/large"
        assert(os.execute("truncate -s 209715200 " .. path))
        perform("/ok")
        local before = resident_kb()
        local result = perform("/ok", { method = "POST", body = core.source({ path = path }), limits = { total = 120 } })
        assert.are.equal(200, result.status)
        assert.are.equal(209715200, server:commits("/ok")[2].bytes)
        assert.is_true(resident_kb() - before < 4096)
        os.remove(path)
      end)
    end)

    describe("answers", function()
      it("come with headers in order, names as sent, and continuation lines joined", function()
        local result = perform("/headers")
        assert.are.same({
          { "X-Twice", "one" }, { "x-twice", "two" }, { "X-Empty", "" }, { "X-Folded", "first  second" }, { "X-Spaces", "padded" },
          { "Content-Length", "2" },
        }, result.headers)
        assert.are.equal(result.headers, result.headers)
      end)

      it("are the final ones after interim answers, and trailers are no headers", function()
        local result = perform("/interim")
        assert.are.equal(200, result.status)
        assert.are.same({ { "X-Final", "1" }, { "Content-Length", "2" } }, result.headers)
        result = perform("/trailers")
        assert.are.equal("ok", result.body)
        assert.is_nil(header(result, "X-Late"))
      end)

      it("carry timings in the order of events", function()
        local timings = perform("/slow?ms=30").timings
        assert.is_true(timings.connect >= timings.dns and timings.first_byte >= 0.03 and timings.total >= timings.first_byte)
        assert.are.equal(0, timings.tls)
      end)

      it("with an error status are results, not errors", function()
        for _, status in ipairs({ 400, 401, 403, 404, 429, 500, 503 }) do
          local result = perform("/status/" .. status)
          assert.are.equal(status, result.status)
          assert.are.equal("body", result.body)
          assert.are.equal("yes", result.sent)
          assert.is_nil(result.error)
        end
      end)

      it("without a length end with the connection", function()
        assert.are.equal("until the end", perform("/nolength").body)
      end)

      it("that come before the body was sent whole are answers", function()
        local result = perform("/early413", { method = "POST", body = core.source(("x"):rep(5000000)) })
        assert.are.equal(413, result.status)
        assert.are.equal("yes", result.sent)
      end)
    end)

    describe("evidence", function()
      local function post(path, fields)
        local request = { method = "POST", body = ("x"):rep(300000) }
        for name, value in pairs(fields or {}) do
          request[name] = value
        end
        return perform(path, request)
      end

      it("F1 refused connection and unknown name: not sent", function()
        for _, url in ipairs({ "http://127.0.0.1:1/", "https://does-not-exist.invalid/" }) do
          local result = transport:perform({ method = "POST", url = url, body = "x" })
          assert.are.equal("network", result.error.kind)
          assert.are.equal("no", result.sent)
          assert.are.equal(0, result.bytes_sent)
          assert.is_nil(result.status)
        end
      end)

      it("F2 a connection that is reset at once is never called applied", function()
        local result = transport:perform({ method = "POST", url = "http://127.0.0.1:" .. server.refuser .. "/", body = "x" })
        assert.are.equal("network", result.error.kind)
        assert.is_true(result.sent == "no" or result.sent == "maybe")
        assert.is_nil(result.guard)
      end)

      it("F3 reset in the middle of the body: maybe, with fewer bytes than the body has", function()
        local result = perform("/cut?n=1000", { method = "POST", body = core.source(("x"):rep(30000000)) })
        assert.are.equal("network", result.error.kind)
        assert.are.equal("maybe", result.sent)
        assert.is_true(result.bytes_sent > 0 and result.bytes_sent < result.bytes_expected)
        assert.are.equal(0, #server:commits())
      end)

      it("F4 closed or reset after the whole request: maybe, with all bytes, and committed once", function()
        for _, path in ipairs({ "/fin", "/rst" }) do
          local result = post(path)
          assert.are.equal("network", result.error.kind)
          assert.are.equal("maybe", result.sent)
          assert.are.equal(300000, result.bytes_sent)
          assert.are.equal(1, #server:commits(path))
        end
      end)

      it("F5 no answer in time: timeout, maybe", function()
        local result = post("/hang", { limits = { total = under_tool and 3 or 1 } })
        assert.are.equal("timeout", result.error.kind)
        assert.are.equal("maybe", result.sent)
        assert.are.equal(1, #server:commits("/hang"))
        assert.is_nil(result.guard)
      end)

      for _, path in ipairs({ "/truncated", "/badchunk", "/cutchunk", "/cuthead", "/nulheader", "/http09" }) do
        it("F10 R253 client an answer that is not whole is no answer: " .. path, function()
          local result = post(path)
          assert.is_true(result.error.kind == "network" or result.error.kind == "response", result.error.kind)
          assert.are.equal("maybe", result.sent)
          assert.are.equal(1, #server:commits(path))
        end)
      end

      it("two lengths that contradict each other are never read as a whole answer of the wrong size", function()
        local result = post("/two-lengths")
        assert.is_true(result.error ~= nil or result.body == "ok")
      end)

      it("bytes after the announced length are not part of the answer", function()
        assert.are.equal("ok", post("/longer").body)
        assert.are.equal("ok", perform("/ok").body) -- and not of the next one either
      end)

      it("every error carries sent, and its text names the host", function()
        local result = post("/fin")
        assert.are.equal("maybe", result.error.sent)
        assert.truthy(result.error.message:find("127.0.0.1:" .. server.port, 1, true))
      end)
    end)

    describe("redirects", function()
      local token_headers = {
        { "X-Token", "secret-1" }, { "token", "secret-2" }, { "Authorization", "Bearer secret-3" }, { "Cookie", "session=secret-4" },
      }
      for _, status in ipairs({ 300, 301, 302, 303, 305, 307, 308 }) do
        it("R155 client T1 are not followed: " .. status, function()
          for _, target in ipairs({ "http://127.0.0.1:" .. server.witness .. "/", "//127.0.0.1:" .. server.witness .. "/x",
            "https://127.0.0.1:" .. server.witness .. "/", "http://localhost:" .. server.witness .. "/" }) do
            for _, method in ipairs({ "GET", "POST" }) do
              local headers = { { "X-Location", target } }
              for _, pair in ipairs(token_headers) do
                headers[#headers + 1] = pair
              end
              local result = perform("/redirect/" .. status, { method = method, headers = headers, body = "13012341211" })
              assert.are.equal("redirect", result.error.kind)
              assert.are.equal(status, result.status)
              assert.are.equal("yes", result.sent)
              assert.truthy(result.error.message:find(target:match("//([^:]+)"), 1, true))
              assert.is_nil(result.error.message:find("secret", 1, true))
            end
          end
          core.system.sleep(0.01)
          assert.are.same({ 0, 0 }, { server:witnessed() })
        end)
      end

      it("name the host only, not the path or query", function()
        local result = perform("/redirect/302", { headers = { { "X-Location", "https://other.example/path?token=secret" } } })
        assert.truthy(result.error.message:find("other.example", 1, true))
        assert.is_nil(result.error.message:find("secret", 1, true))
        assert.is_nil(result.error.message:find("path", 1, true))
      end)
    end)

    describe("accounts", function()
      local function interleave(count)
        local pending, tokens = {}, {}
        for index = 1, count do
          local account = "account-" .. index % 8
          pending[assert(transport:submit({
            method = "POST", url = server.url .. "/ok?" .. account, account = account, body = account, max_connection_age = 60,
            headers = { { "X-Token", account } },
          }))] = true
          while transport:in_flight() > index % 40 do
            local id, result = transport:next()
            assert.are.equal(200, result.status)
            pending[id] = nil
          end
        end
        while transport:in_flight() > 0 do
          local id, result = transport:next()
          assert.are.equal(200, result.status)
          pending[id] = nil
        end
        assert.is_nil(next(pending))
        local reused = 0
        for _, commit in ipairs(server:commits()) do
          assert.are.equal("/ok?" .. commit.token, commit.path)
          assert.are.equal(tokens[commit.connection] or commit.token, commit.token)
          tokens[commit.connection] = commit.token
          reused = reused + (commit.nth > 1 and 1 or 0)
        end
        assert.are.equal(count, #server:commits())
        return reused
      end

      it("T3 eight accounts interleaved: no connection carries two tokens, and connections are reused", function()
        assert.is_true(interleave(400) > 200)
      end)

      it("T3 the same with 10,000 requests #heavy", function()
        assert.is_true(interleave(10000) > 9000)
      end)

      it("are not sent on connections that their server is about to close, by its own word", function()
        local function reused_after(seconds, timeout)
          local account = timeout .. " " .. seconds
          perform("/keep-alive/" .. timeout, { account = account })
          core.system.sleep(seconds)
          return perform("/ok", { account = account }).reused
        end
        assert.are.same({ true, false, true }, { reused_after(0, 2), reused_after(1.05, 2), reused_after(1.05, 60) })
      end)

      it("that are forgotten get new connections", function()
        local function reused(account) return perform("/ok", { account = account }).reused end
        assert.are.same({ false, true, false }, { reused("a"), reused("a"), reused("b") })
        transport:forget("a")
        assert.are.same({ false, true, true }, { reused("a"), reused("a"), reused("b") })
      end)
    end)

    describe("refusals before any I/O", function()
      local bad = { "a\rb", "a\nb", "a\r\nb", "a\0b", "\n", "\r\n", "\0", "a\r\nX-Other: 1", "a\127", "a\1b", "\r", "x\n y" }

      it("T6 refuses CR, LF, NUL and other control characters in everything that becomes a header", function()
        local refused = 0
        for _, text in ipairs(bad) do
          for _, request in ipairs({
            { url = server.url .. "/" .. text }, { url = text }, { url = server.url .. "/?q=" .. text },
            { url = server.url .. "/#" .. text }, { url = "http://127.0.0.1" .. text .. ":" .. server.port .. "/" },
            { url = server.url, method = text }, { url = server.url, headers = { { text, "x" } } },
            { url = server.url, headers = { { "X-Name" .. text, "x" } } }, { url = server.url, headers = { { "X-Token", text } } },
            { url = server.url, headers = { { "Accept-Encoding", text } } },
            { url = server.url, account = text }, { url = server.url, proxy = text }, { url = server.url, ca_file = text },
            { url = server.url, save_to = text },
          }) do
            local id, err = transport:submit(request)
            assert.is_nil(id)
            assert.are.equal("usage", err.kind)
            refused = refused + 1
          end
          for _, part in ipairs({ { name = text, value = "x" }, { name = "x", filename = text, value = "x" },
            { name = "x", type = text, value = "x" } }) do
            local form, err = core.form({ part })
            assert.is_nil(form)
            assert.are.equal("usage", err.kind)
            refused = refused + 1
          end
        end
        assert.is_true(refused >= 60)
        assert.are.equal(0, transport:in_flight())
        assert.are.equal(0, #server:commits())
      end)

      it("R128 client refuses plain http to other hosts than loopback", function()
        for _, url in ipairs({ "http://example.com/", "http://10.0.0.1/", "http://128.0.0.1/", "http://localhost.example.com/",
          "http://127.0.0.1.example.com/", "http://[::2]/", "http://[::ffff:127.0.0.1]/", "http://0.0.0.0/", "HTTP://example.com" }) do
          local id, err = transport:submit({ url = url })
          assert.is_nil(id)
          assert.are.equal("usage", err.kind)
          assert.truthy(err.message:find("https", 1, true))
        end
      end)

      it("refuses other schemes, credentials in URLs, spaces and non-ASCII", function()
        for _, url in ipairs({ "ftp://127.0.0.1/", "file:///etc/passwd", "gopher://127.0.0.1/", "127.0.0.1/", "//127.0.0.1/", "",
          "https://user:secret@127.0.0.1/", "https://user@127.0.0.1/", "https:///", "https://", "https://a b/", "https://127.0.0.1/南",
          "https://127.0.0.1\\@example.com/", "https://[::1/", "https://127.0.0.1:99999/", "https://127.0.0.1:x/", "dict://127.0.0.1/" }) do
          local id, err = transport:submit({ url = url })
          assert.is_nil(id, url)
          assert.are.equal("usage", err.kind)
          assert.is_nil(err.message:find("secret", 1, true))
        end
      end)

      it("refuses headers that would contradict the message", function()
        for _, name in ipairs({ "Content-Length", "transfer-encoding", "HOST", "Expect", "Connection", "Upgrade", "TE" }) do
          local id, err = transport:submit({ url = server.url, headers = { { name, "1" } } })
          assert.is_nil(id)
          assert.are.equal("usage", err.kind)
        end
        local id, err = transport:submit({ method = "POST", url = server.url, headers = { { "Content-Type", "x" } },
          body = core.form({ { name = "a", value = "b" } }) })
        assert.is_nil(id)
        assert.are.equal("usage", err.kind)
      end)

      it("raises on wrong types, since that is a wrong program", function()
        for _, request in ipairs({ { url = 1 }, {}, { url = server.url, headers = "x" }, { url = server.url, headers = { "x" } },
          { url = server.url, headers = { { "a", 1 } } }, { url = server.url, body = 1 }, { url = server.url, body = {} },
          { url = server.url, limits = 1 }, { url = server.url, limit = {} }, { url = server.url, limits = { totl = 1 } },
          { server.url }, { url = server.url, allow_http = 1 }, { url = server.url, method = false } }) do
          assert.has_error(function() transport:submit(request) end)
        end
        assert.has_error(function() transport:submit(nil) end)
        local result = perform("/ok")
        assert.are.equal(200, result.status)
        local index = getmetatable(result).__index
        for _, value in ipairs({ 1, "text", true, print, transport }) do -- a script can call it with anything
          assert.is_nil((index(value, "timings")))
        end
      end)

      it("T9 has no limit that can be switched off", function()
        for _, name in ipairs({ "connect", "stall", "total", "body", "headers" }) do
          for _, value in ipairs({ 0, -1, 0 / 0, math.huge }) do
            assert.has_error(function() transport:submit({ url = server.url, limits = { [name] = value } }) end)
          end
        end
        for _, name in ipairs({ "body", "headers" }) do -- a fraction cut to 0 would be the default
          assert.has_error(function() transport:submit({ url = server.url, limits = { [name] = 0.5 } }) end)
        end
        local id, err = transport:submit({ url = server.url, limits = { total = 1e9 } })
        assert.is_nil(id)
        assert.are.equal("usage", err.kind)
      end)

      it("T12 refuses addresses that are not public when the URL comes from data", function()
        for _, host in ipairs({ "127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "localhost", "[::1]", "[::ffff:127.0.0.1]",
          "[::ffff:10.0.0.1]", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "[::]", "[fe80::1]",
          "[fc00::1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[2001:db8::1]", "224.0.0.1", "255.255.255.255", "198.18.0.1" }) do
          local result = transport:perform({ url = "http://" .. host .. ":" .. server.port .. "/ok", deny_private = true, allow_http = true,
            limits = { connect = 2 } })
          assert.are.equal("usage", result.error.kind, host)
          assert.are.equal("no", result.sent)
        end
        assert.are.equal(0, #server:commits())
        -- A connection that was opened without the check is not used by a request that asks for it.
        assert.are.equal(200, perform("/ok", { allow_http = true }).status)
        assert.are.equal("no", perform("/ok", { deny_private = true, allow_http = true }).sent)
      end)
    end)

    describe("limits", function()
      it("T8 ends an endless body, endless headers and endless interim answers at the limit", function()
        perform("/ok")
        local before = resident_kb()
        for _, path in ipairs({ "/endless", "/endless-headers", "/endless-interim" }) do
          local result = perform(path, { limits = { body = 1000000 } })
          assert.are.equal("response", result.error.kind)
          assert.are.equal("maybe", result.sent)
          assert.is_true(result.bytes_received <= 1000000)
        end
        assert.is_true(under_tool or resident_kb() - before < 16384)
      end)

      it("T8 counts a compressed answer after unpacking, asked for or not", function()
        perform("/ok")
        local before = resident_kb()
        local result = perform("/bomb")
        assert.are.equal("response", result.error.kind)
        assert.is_true(result.bytes_received <= 8 * 1024 * 1024)
        result = nil -- luacheck: ignore
        result = perform("/bomb", { headers = { { "Accept-Encoding", "gzip" } } })
        assert.are.equal("response", result.error.kind)
        assert.is_true(result.bytes_received <= 8 * 1024 * 1024)
        result = nil -- luacheck: ignore
        collectgarbage()
        assert.is_true(under_tool or resident_kb() - before < 8192 + 16384)
      end)

      it("T9 ends a trickling answer at the total limit", function()
        local limit = under_tool and 2 or 0.4
        local before = core.system.monotonic()
        local result = perform("/trickle?ms=20", { limits = { total = limit } })
        assert.are.equal("timeout", result.error.kind)
        assert.are.equal("maybe", result.sent)
        assert.is_true(core.system.monotonic() - before < limit + 1)
      end)

      it("T9 ends a silent answer at the stall limit", function()
        local before = core.system.monotonic()
        local result = perform("/hang", { limits = { stall = 1, total = 60 } })
        assert.are.equal("timeout", result.error.kind)
        assert.are.equal("maybe", result.sent)
        assert.is_true(core.system.monotonic() - before < 4)
      end)
    end)

    describe("many requests", function()
      it("are in flight at once from one Lua thread", function()
        local before = core.system.monotonic()
        local ids = {}
        for _ = 1, 32 do
          ids[#ids + 1] = assert(transport:submit({ url = server.url .. "/slow?ms=200" }))
        end
        assert.are.equal(32, transport:in_flight())
        for _ = 1, 32 do
          assert.are.equal(200, select(2, transport:next()).status)
        end
        assert.are.equal(0, transport:in_flight())
        assert.is_nil(transport:next())
        assert.is_true(under_tool or core.system.monotonic() - before < 2)
        for index = 2, 32 do
          assert.are.equal(ids[index - 1] + 1, ids[index])
        end
      end)

      it("perform leaves the results of the others to next", function()
        local slow = transport:submit({ url = server.url .. "/slow?ms=60" })
        local fast = transport:submit({ url = server.url .. "/ok" })
        assert.are.equal(200, perform("/slow?ms=150").status)
        local seen = {}
        for _ = 1, 2 do
          local id, result = transport:next(30)
          seen[id] = result.status
        end
        assert.are.same({ [slow] = 200, [fast] = 200 }, seen)
      end)

      it("can be cancelled, once", function()
        local id = transport:submit({ method = "POST", url = server.url .. "/hang", body = "x" })
        assert.is_nil(transport:next(0.1))
        raw_server.eventually(function()
          transport:next(0)
          return #server:commits("/hang") == 1
        end, "the request")
        assert.are.equal(1, transport:progress(id).sent)
        assert.is_true(transport:cancel(id))
        local got, result = transport:next(5)
        assert.are.equal(id, got)
        assert.are.equal("cancelled", result.error.kind)
        assert.are.equal("maybe", result.sent)
        assert.is_false(transport:cancel(id))
        assert.is_nil(transport:progress(id))
      end)

      it("can be cancelled before anything was sent", function()
        -- The peer speaks no TLS: it waits for the end of a head that never comes.
        local id = transport:submit({ url = "https://127.0.0.1:" .. server.port .. "/" })
        assert.is_true(transport:cancel(id))
        local _, result = transport:next(60) -- under valgrind, reading the system's certificates alone takes many seconds
        assert.are.equal("cancelled", result.error.kind)
        assert.are.equal("no", result.sent)
      end)

      it("leave no descriptor open after 1,000 of them #heavy", function()
        perform("/ok")
        collectgarbage()
        local before = descriptors()
        for index = 1, 1000 do
          perform(index % 10 == 0 and "/fin" or "/ok", { account = "a" .. index % 3, max_connection_age = index % 5 })
        end
        for index = 0, 2 do
          transport:forget("a" .. index)
        end
        raw_server.eventually(function() return descriptors() <= before end, "descriptors to close")
        assert.are.equal(0, transport:in_flight())
      end)

      it("may be left in flight when the engine is closed", function()
        for _ = 1, 8 do
          transport:submit({ method = "POST", url = server.url .. "/hang", body = core.form({ { name = "a", value = "b" } }) })
        end
        transport:next(0.05)
        transport:close()
        transport:close()
        assert.has_error(function() transport:submit({ url = server.url }) end)
        assert.are.equal(0, core.live())
      end)
    end)

    describe("downloads", function()
      local target

      before_each(function()
        target = folder .. "/saved"
        os.remove(target)
      end)

      local function files()
        local pipe = io.popen("ls -A " .. folder)
        local text = pipe:read("*a")
        pipe:close()
        return text
      end

      it("go to a file, mode 0600, whole or not at all", function()
        local result = perform("/download?n=3000000", { save_to = target })
        assert.are.same({ path = target, bytes = 3000000, content_type = "image/png" }, result.saved)
        assert.is_nil(result.body)
        assert.are.equal(("x"):rep(3000000), command.read(target))
        local pipe = io.popen("stat -c %a " .. target)
        assert.are.equal("600", pipe:read("*l"))
        pipe:close()
        assert.is_nil(files():find("part", 1, true))
      end)

      it("replace the file that was there, and only when whole", function()
        command.write(target, "old")
        local result = perform("/truncated", { save_to = target })
        assert.are.equal("network", result.error.kind)
        assert.is_nil(result.saved)
        assert.are.equal("old", command.read(target))
        assert.is_nil(files():find("part", 1, true))
        assert.are.equal(5, perform("/download?n=5", { save_to = target }).saved.bytes)
        assert.are.equal("xxxxx", command.read(target))
      end)

      it("R253 client raise on a body shorter than its Content-Length", function()
        local result = perform("/truncated", { save_to = target })
        assert.are.equal("network", result.error.kind)
        assert.is_nil(io.open(target))
      end)

      it("keep the answer in memory when it is no 2xx", function()
        local result = perform("/status/404", { save_to = target })
        assert.are.equal(404, result.status)
        assert.are.equal("body", result.body)
        assert.is_nil(result.saved)
        assert.is_nil(io.open(target))
        assert.is_nil(files():find("part", 1, true))
      end)

      it("keep the file that was there when no content comes, or a part of it that nobody asked for", function()
        for status, body in pairs({ [204] = "", [205] = "body", [206] = "body" }) do
          command.write(target, "old")
          local result = perform("/status/" .. status, { save_to = target })
          assert.are.same({ status, body }, { result.status, result.body })
          assert.is_nil(result.saved)
          assert.are.equal("old", command.read(target))
          assert.is_nil(files():find("part", 1, true))
        end
      end)

      it("save an empty body as an empty file", function()
        assert.are.equal(0, perform("/download?n=0", { save_to = target }).saved.bytes)
        assert.are.equal("", command.read(target))
      end)

      it("are refused before sending when the file cannot be made", function()
        for _, path in ipairs({ folder .. "/missing/saved", folder, "/dev/full", folder .. "/saved/below" }) do
          command.write(target, "")
          local result, err = perform("/ok", { save_to = path })
          assert.is_nil(result)
          assert.are.equal("invalid", err.kind)
          assert.truthy(err.message:find(path, 1, true))
        end
        assert.are.equal(0, #server:commits())
      end)

      it("that the disk has no room for leave nothing behind, and say so", function()
        -- A limit on file size stands for the full disk: write() fails in the same place.
        local script = "trap '' XFSZ; ulimit -f 8; exec " .. (os.getenv("CAMPAIGN_TEST_LUA") or "lua5.4")
          .. " spec/support/http_child.lua " .. server.url .. "/download?n=1000000 " .. target
        local pipe = io.popen(script)
        local kind, message = pipe:read("*l"), pipe:read("*l")
        pipe:close()
        assert.are.equal("invalid", kind)
        assert.truthy(message:find(target, 1, true))
        assert.is_nil(io.open(target))
        assert.is_nil(files():find("part", 1, true))
      end)

      it("stop at the body limit", function()
        local result = perform("/download?n=100000", { save_to = target, limits = { body = 99999 } })
        assert.are.equal("response", result.error.kind)
        assert.is_nil(io.open(target))
      end)

      it("are removed when cancelled or closed in the middle", function()
        local id = transport:submit({ url = server.url .. "/trickle?ms=1", save_to = target })
        transport:next(0.05)
        assert.truthy(files():find("part", 1, true))
        transport:cancel(id)
        transport:next(5)
        assert.is_nil(files():find("part", 1, true))
        transport:submit({ url = server.url .. "/trickle?ms=1", save_to = target })
        transport:next(0.05)
        transport:close()
        assert.is_nil(files():find("part", 1, true))
      end)
    end)
  end)
end

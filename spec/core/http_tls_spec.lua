-- SPDX-License-Identifier: MIT
-- Whom core.http does not talk to: servers whose certificate or protocol is not good; and that nothing in the environment changes that.

local core = require "campaign.core"
local curl = require "campaign.transport.curl"
local lfs = require "lfs"
local command = require "support.command"
local raw_server = require "support.raw_server"
local tls_server = require "support.tls_server"

describe("core.http over TLS", function()
  local server, raw, transport

  setup(function()
    server = tls_server.start()
    raw = raw_server.start()
    transport = curl.new()
  end)

  teardown(function()
    transport:close()
    server:stop()
    raw:stop()
  end)

  local function post(url, fields)
    local request = { method = "POST", url = url, body = "13012341211", ca_file = server.ca_file, headers = { { "X-Token", "secret" } } }
    for name, value in pairs(fields or {}) do
      request[name] = value
    end
    return transport:perform(request)
  end

  it("R128 client talks to a server whose certificate its CA has signed, and keeps the connection", function()
    for _, site in ipairs({ "good", "tls12" }) do
      local result = post(server.urls[site])
      assert.are.equal(200, result.status)
      assert.is_true(result.timings.tls > 0)
      local again = post(server.urls[site])
      assert.is_true(again.reused)
    end
    local by_name = post((server.urls.good:gsub("127%.0%.0%.1", "localhost")))
    assert.are.equal(200, by_name.status)
  end)

  it("T4 refuses a bad certificate or protocol before any byte of the request", function()
    assert.are.equal(200, post(server.urls.good .. "?before").status)
    local before = server:requests("?before")
    for _, site in ipairs({ "other-host", "expired", "foreign", "self", "tls11", "tls10" }) do
      local result = post(server.urls[site])
      assert.are.equal("tls", result.error.kind, site)
      assert.are.equal("no", result.sent, site)
      assert.are.equal(0, result.bytes_sent)
      assert.is_nil(result.status)
    end
    local result = post(server.urls.good, { ca_file = server.folder .. "/other-ca.pem" })
    assert.are.equal("tls", result.error.kind)
    assert.are.equal("no", result.sent)
    assert.are.equal(200, post(server.urls.good .. "?after").status)
    assert.are.equal(before + 1, server:requests("?after"))
  end)

  it("reads the system's authorities once, not for every connection", function()
    local function bytes_read() return tonumber(command.read("/proc/self/io"):match("rchar: (%d+)")) end
    local bundle = assert(core.system.stat("/etc/ssl/certs/ca-certificates.crt"), "the file of Debian's package ca-certificates").size
    local own = curl.new()
    local function connect()
      local before = bytes_read()
      local result = assert(own:perform({ url = server.urls.good, account = "authorities", max_connection_age = 0 }))
      assert.equal("tls", result.error.kind)
      return bytes_read() - before
    end
    assert.is_true(connect() >= bundle)
    for _ = 1, 5 do
      assert.is_true(connect() < bundle / 4)
    end
    own:close()
  end)

  -- Left out under a sanitizer, which must see every block that libcurl frees.
  it("keeps the buffers of requests for the next ones: their pages are not given back and taken again #heavy", function()
    local function page_faults() -- of the engine's thread
      local count = 0
      for thread in lfs.dir("/proc/self/task") do
        if thread:find("^%d") and thread ~= lfs.symlinkattributes("/proc/self", "target") then
          local fields = command.read("/proc/self/task/" .. thread .. "/stat"):gsub("^.*%) ", "")
          count = count + tonumber((fields:match(("%S+ "):rep(7) .. "(%d+)")))
        end
      end
      return count
    end
    local own = curl.new({ driver = "thread" })
    local function send(rounds)
      for _ = 1, rounds do
        for _ = 1, 32 do
          assert(own:submit({ url = server.urls.good, account = "buffers", ca_file = server.ca_file }))
        end
        for _ = 1, 32 do
          assert.are.equal(200, (select(2, own:next(10)) or {}).status)
        end
      end
    end
    send(5) -- connections
    local before = page_faults()
    send(50)
    assert.is_true(page_faults() - before < 100, page_faults() - before .. " page faults of 1,600 requests")
    own:close()
  end)

  it("T4 refuses the good server when only the system's authorities are trusted", function()
    local transport2 = curl.new({ driver = "thread" })
    local result = transport2:perform({ url = server.urls.good })
    assert.are.equal("tls", result.error.kind)
    assert.are.equal("no", result.sent)
    transport2:close()
  end)

  it("T4 refuses a CA file that is missing or empty, rather than trust something else", function()
    command.write(server.folder .. "/empty.pem", "")
    for _, name in ipairs({ "/missing.pem", "/empty.pem" }) do
      local result = post(server.urls.good, { ca_file = server.folder .. name, account = "ca" .. name })
      assert.are.equal("tls", result.error.kind)
      assert.are.equal("no", result.sent)
    end
  end)

  it("T4 a connection verified with one CA file is not reused for another", function()
    assert.are.equal(200, post(server.urls.good).status)
    local result = post(server.urls.good, { ca_file = server.folder .. "/other-ca.pem" })
    assert.are.equal("tls", result.error.kind)
  end)

  it("T4 does not speak TLS with a plain server, nor wait for ever for one that says nothing", function()
    local result = post("https://127.0.0.1:" .. raw.port .. "/", { limits = { connect = 5, total = 5 } })
    assert.is_true(result.error.kind == "tls" or result.error.kind == "timeout", result.error.kind)
    assert.are.equal("no", result.sent)
    result = post("https://127.0.0.1:" .. raw.witness .. "/", { limits = { connect = 0.5 } })
    assert.are.equal("timeout", result.error.kind)
    assert.are.equal("no", result.sent)
    result = post("https://127.0.0.1:" .. raw.refuser .. "/")
    assert.is_true(result.error.kind == "tls" or result.error.kind == "network", result.error.kind)
    assert.are.equal("no", result.sent)
  end)

  it("survives a server that dies while a body is sent: an error, no SIGPIPE", function()
    local url, kill = server:mortal()
    local id = assert(transport:submit({
      method = "POST", url = url, ca_file = server.ca_file, body = core.source(("x"):rep(30000000)), account = "mortal",
    }))
    raw_server.eventually(function()
      assert.is_nil(transport:next(0))
      return transport:progress(id).sent > 0
    end, "the first bytes of the body")
    kill()
    local _, result = transport:next(30)
    assert.are.equal("network", result.error.kind)
    assert.are.equal("maybe", result.sent)
    assert.is_true(result.bytes_sent > 0 and result.bytes_sent < result.bytes_expected)
  end)

  describe("with a hostile environment", function()
    local function child(environment, ...)
      local words = {}
      for name, value in pairs(environment) do
        words[#words + 1] = name .. "=" .. command.quote(value)
      end
      local arguments = {}
      for _, argument in ipairs({ ... }) do
        arguments[#arguments + 1] = command.quote(argument)
      end
      local pipe = io.popen(table.concat(words, " ") .. " " .. (os.getenv("CAMPAIGN_TEST_LUA") or "lua5.4")
        .. " spec/support/http_child.lua " .. table.concat(arguments, " "))
      local first, rest = pipe:read("*l"), pipe:read("*a")
      pipe:close()
      return first, rest
    end

    it("T4 trusts nobody because of CURL_CA_BUNDLE or SSL_CERT_FILE", function()
      local environment = { CURL_CA_BUNDLE = server.ca_file, SSL_CERT_FILE = server.ca_file, SSL_CERT_DIR = server.folder }
      local kind = child(environment, server.urls.good)
      assert.are.equal("tls", kind)
    end)

    it("T4 uses no proxy because of http_proxy, https_proxy, all_proxy", function()
      local proxy = "http://127.0.0.1:" .. raw.witness
      local environment = { http_proxy = proxy, https_proxy = proxy, all_proxy = proxy, HTTPS_PROXY = proxy, ALL_PROXY = proxy }
      local before = { raw:witnessed() }
      local status = child(environment, raw.url .. "/ok")
      assert.are.equal("200", status)
      local kind = child(environment, server.urls.good)
      assert.are.equal("tls", kind)
      assert.are.same(before, { raw:witnessed() })
    end)

    it("T5 reads no .netrc and no .curlrc", function()
      command.write(server.folder .. "/.netrc", "machine 127.0.0.1 login me password secret\ndefault login me password secret\n")
      command.write(server.folder .. "/.curlrc", "user = me:secret\n")
      local environment = { HOME = server.folder, CURL_HOME = server.folder, NETRC = server.folder .. "/.netrc" }
      local status, head = child(environment, raw.url .. "/head")
      assert.are.equal("200", status)
      assert.is_nil(head:find("Authorization", 1, true))
    end)
  end)

  it("sends to a given proxy, and only then", function()
    local result = transport:perform({ url = "https://api.example/", proxy = "http://127.0.0.1:" .. raw.port, limits = { connect = 5 } })
    assert.are.equal("no", result.sent)
    assert.are.equal("CONNECT", raw:commits()[#raw:commits()].method)
    local id, err = transport:submit({ url = raw.url .. "/ok", proxy = "http://127.0.0.1:" .. raw.port })
    assert.is_nil(id)
    assert.are.equal("usage", err.kind)
  end)

  it("tells a proxy that refuses the login from one that does not make the connection", function()
    for host, kind in pairs{ ["login.example"] = "auth", ["api.example"] = "network" } do
      local result = transport:perform({ url = "https://" .. host .. "/", proxy = "http://user:canary@127.0.0.1:" .. raw.port })
      assert.are.same({ "no", kind }, { result.sent, result.error.kind }, host)
      assert.is_nil(result.error.message:find("canary", 1, true))
    end
  end)

  it("R008 client refuses an address that is no proxy's before it sends anything, and does not repeat it: it may hold a password", function()
    for _, proxy in ipairs{ "http://user:canary@127.0.0.1:notaport", "ftp://user:canary@127.0.0.1", "http://user:canary x@127.0.0.1:1",
      "http://a:canary@b:1:2", "http://user:canary@", "user:canary@127.0.0.1:99999", "canary proxy",
      "http://us%00er:canary@127.0.0.1:1", "http://user:can%0aary@127.0.0.1:1" } do -- with these two libcurl would go past the proxy
      local id, err = transport:submit({ url = "https://api.example/", proxy = proxy })
      assert.is_nil(id, proxy)
      assert.are.equal("usage", err.kind)
      assert.is_nil(tostring(err.message):find("canary", 1, true), err.message)
    end
    for _, proxy in ipairs{ "127.0.0.1:1", "http://u%40x:p%3Aw@127.0.0.1:1", "https://127.0.0.1:1", "SOCKS5H://127.0.0.1:1", "socks4://[::1]:1" } do
      local result = transport:perform({ url = "https://127.0.0.1:1/", proxy = proxy, limits = { connect = 2 } })
      assert.are.same({ "no", "network" }, { result.sent, result.error.kind }, proxy .. ": " .. tostring(result.error.message))
    end
  end)

  it("reports the versions it runs on", function()
    assert.truthy(core.http.versions():find("^libcurl/%d"))
  end)
end)

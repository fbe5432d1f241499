-- SPDX-License-Identifier: MIT
-- The transport of plain Lua. What its engine does is in spec/core/http_spec.lua; here: the face, and processes that fork or end early.

local core = require "campaign.core"
local curl = require "campaign.transport.curl"
local raw_server = require "support.raw_server"
local command = require "support.command"

describe("campaign.transport.curl", function()
  local server

  setup(function() server = raw_server.start() end)
  teardown(function() server:stop() end)

  it("is an error that names the package, for calls and imports, where libcurl is missing", function()
    local build = os.getenv("CAMPAIGN_BUILD") or command.ROOT .. "/build"
    local script = os.tmpname()
    command.write(script, [[
      local campaign = require "campaign"
      local account = { base_url = "http://127.0.0.1:1", token = "t", user_id = "1" }
      local function tell(found, err)
        print(found == nil, err.kind, tostring(err):match("apt%-get install ([%w-]+)"))
      end
      tell(campaign.connect("longlong", account))
      tell(campaign.import{ to = "longlong.import_customers_async", source = arg[0], account = account })
    ]])
    local result = command.run({ command.LUA == "luajit" and "luajit" or "lua5.4", script }, { env = { WITHOUT = "libcurl",
      LD_PRELOAD = (os.getenv("LD_PRELOAD") or "") .. " " .. build .. "/spec/without_library.so",
      LUA_PATH = os.getenv("LUA_PATH"), LUA_CPATH = os.getenv("LUA_CPATH") } })
    os.remove(script)
    assert.same({ "true\tusage\tlibcurl4\ntrue\tusage\tlibcurl4\n", "" }, { result.out, result.err })
  end)

  for _, driver in ipairs({ "inline", "thread" }) do
    it("performs, submits, takes and cancels, driver " .. driver, function()
      local transport = curl.new({ driver = driver })
      local result = assert(transport:perform({ url = server.url .. "/ok" }))
      assert.are.equal("ok", result.body)
      local id = assert(transport:submit({ url = server.url .. "/ok" }))
      assert.are.equal(1, transport:in_flight())
      local finished, second = transport:next()
      assert.are.equal(id, finished)
      assert.are.equal(200, second.status)
      assert.is_nil(transport:next())
      assert.is_nil(transport:next(0.01))
      id = assert(transport:submit({ url = server.url .. "/hang" }))
      assert.is_nil(transport:next(0.02))
      assert.is_true(transport:cancel(id))
      assert.are.equal("cancelled", select(2, transport:next()).error.kind)
      transport:close()
      transport:close()
    end)

    it("uses again as many connections as it had in flight at once, driver " .. driver, function()
      local transport = curl.new({ driver = driver })
      for wave = 1, 2 do
        for _ = 1, 50 do
          assert(transport:submit({ url = server.url .. "/slow?ms=200", max_connection_age = 60 }))
        end
        local reused = 0
        for _ = 1, 50 do
          local _, result = transport:next()
          assert.are.equal(200, result.status)
          reused = reused + (result.reused and 1 or 0)
        end
        assert.are.equal(wave == 1 and 0 or 50, reused)
      end
      transport:close()
    end)

    it("keeps no connections of a burst that nobody needs any more, driver " .. driver, function()
      local function descriptors()
        local pipe = io.popen("ls /proc/$PPID/fd")
        local _, count = pipe:read("*a"):gsub("\n", "")
        pipe:close()
        return count
      end
      local transport = curl.new({ driver = driver })
      local request = { url = server.url .. "/slow?ms=100", max_connection_age = 1 }
      assert(transport:perform(request))
      local before = descriptors()
      for _ = 1, 50 do
        assert(transport:submit(request))
      end
      for _ = 1, 50 do
        assert.are.equal(200, select(2, transport:next()).status)
      end
      assert.is_true(descriptors() > before + 40)
      raw_server.eventually(function()
        assert.are.equal(200, transport:perform(request).status)
        return descriptors() < before + 20
      end, "the end of idle connections")
      transport:close()
    end)

    it("waits no longer than asked, driver " .. driver, function()
      local transport = curl.new({ driver = driver })
      transport:submit({ url = server.url .. "/hang" })
      local before = core.system.monotonic()
      assert.is_nil(transport:next(0.2))
      local waited = core.system.monotonic() - before
      assert.is_true(waited >= 0.19 and waited < 2, waited)
      assert.is_nil(transport:next(0))
      transport:close()
    end)
  end

  it("returns nil, err for what is refused, and goes on", function()
    local transport = curl.new()
    local result, err = transport:perform({ url = "http://example.com/" })
    assert.is_nil(result)
    assert.are.equal("usage", err.kind)
    assert.are.equal(200, transport:perform({ url = server.url .. "/ok" }).status)
    transport:close()
  end)

  it("refuses unknown options and closed transports by raising", function()
    assert.has_error(function() curl.new({ drvier = "inline" }) end)
    assert.has_error(function() curl.new({ driver = "fast" }) end)
    local transport = curl.new()
    transport:close()
    assert.has_error(function() transport:perform({ url = server.url .. "/ok" }) end)
  end)

  it("is collected without being closed, requests in flight and all", function()
    for _, driver in ipairs({ "inline", "thread" }) do
      local transport = curl.new({ driver = driver })
      for _ = 1, 5 do
        transport:submit({ method = "POST", url = server.url .. "/hang", body = core.source("x") })
      end
      transport:next(0.05)
    end
    collectgarbage()
    collectgarbage()
    assert.are.equal(0, core.live())
  end)

  it("keeps no result of another engine", function()
    local one, two = curl.new(), curl.new({ driver = "thread" })
    one:submit({ url = server.url .. "/ok" })
    assert.is_nil(two:next(0.05))
    assert.are.equal(200, select(2, one:next()).status)
    one:close()
    two:close()
  end)

  it("lets a process end with requests in flight and no close, without a sound", function()
    for _, driver in ipairs({ "inline", "thread" }) do
      local script = command.write(server.folder .. "/ends.lua", string.format([[
        local transport = require("campaign.transport.curl").new({ driver = %q })
        for _ = 1, 8 do
          assert(transport:submit({ method = "POST", url = %q, body = "x" }))
        end
        transport:next(0.05)
        if arg[1] then os.exit(0, arg[1] == "close") end
      ]], driver, server.url .. "/hang"))
      for _, how in ipairs({ "", "close", "hard" }) do
        local code = os.execute((os.getenv("CAMPAIGN_TEST_LUA") or "lua5.4") .. " " .. script .. " " .. how .. " 2>&1")
        assert.is_true(code == true or code == 0)
      end
    end
  end)
end)

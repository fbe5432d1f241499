-- SPDX-License-Identifier: MIT
-- The sandbox as a child process: started, asked, stopped, and never left behind.

local core = require "campaign.core"
local sandbox = require "campaign.sandbox"

local function is_listening(handle_url)
  local engine = assert(core.http.engine())
  engine:submit{ method = "GET", url = handle_url .. "/_sandbox/clock" }
  engine:wait(5)
  local _, result = engine:take()
  engine:close()
  return result.status == 200
end

local function ends_within(seconds, url)
  local deadline = core.system.monotonic() + seconds
  while core.system.monotonic() < deadline do
    if not is_listening(url) then
      return true
    end
    core.system.sleep(0.05)
  end
  return false
end

describe("campaign.sandbox", function()
  it("starts, answers a control path and stops", function()
    local handle = assert(sandbox.start{ clock = "2025-11-10 10:00:00", clock_rate = 0 })
    assert.equal("2025-11-10 10:00:00", assert(handle:control("clock")).now)
    handle:stop()
    handle:stop()
    assert.is_nil((handle:control("clock")))
  end)

  it("gives accounts for all four platforms, with fresh tokens at each start", function()
    local one, two = assert(sandbox.start()), assert(sandbox.start())
    assert.equal(one.base_url, one.accounts.hypers.base_url)
    for platform, keys in pairs{
      outbound = { "token", "abbreviate", "company_id" }, tuzhan = { "token" },
      hypers = { "client_id", "client_secret", "username", "password" }, longlong = { "token", "user_id" },
    } do
      for _, key in ipairs(keys) do
        assert.is_string(one.accounts[platform][key], platform .. "." .. key)
      end
    end
    assert.are_not.equal(one.base_url, two.base_url)
    assert.are_not.equal(one.accounts.outbound.token, two.accounts.outbound.token)
    one:stop()
    two:stop()
  end)

  it("takes given credentials", function()
    local handle = assert(sandbox.start{ accounts = { tuzhan = { token = "it's mine" } } })
    assert.equal("it's mine", handle.accounts.tuzhan.token)
    handle:stop()
  end)

  it("takes settings, faults, rules, forms and a first id", function()
    local handle = assert(sandbox.start{
      settings = { ["hypers.expires_in"] = 2 }, faults = { "upload_file:500@1" }, without = { "R051" },
      forms = { "outbound-code-0" }, first_id = "9007199254740993",
    })
    assert.equal(2, handle:control("settings")["hypers.expires_in"])
    assert.equal("upload_file:500@1", handle:control("faults").faults[1].fault)
    assert.equal("R051", handle:control("rules").without[1])
    assert.equal("outbound-code-0", handle:control("rules").forms[1])
    handle:control("reset", {})
    assert.equal(2, handle:control("settings")["hypers.expires_in"])
    handle:stop()
    assert.is_nil((sandbox.start{ settings = { unknown = 1 }, stderr = "/dev/null" }))
  end)

  it("writes KEY=value lines that a shell takes, readable by nobody else", function()
    local path = os.tmpname()
    local handle = assert(sandbox.start{ ready_file = path, accounts = { tuzhan = { token = "a b'c$d" } } })
    local pipe = assert(io.popen("eval \"$(cat " .. path .. ")\"; printf '%s' \"$CAMPAIGN_TUZHAN_TOKEN\"; stat -c %a "
      .. path))
    local text = pipe:read("*a")
    pipe:close()
    handle:stop()
    os.remove(path)
    assert.equal("a b'c$d600\n", text)
  end)

  it("ends when its handle is collected", function()
    local handle = assert(sandbox.start())
    local url = handle.base_url
    handle = nil -- luacheck: ignore 311
    collectgarbage()
    collectgarbage()
    assert.is_true(ends_within(5, url))
  end)

  it("ends when the process that started it is killed", function()
    local parent = assert(core.system.spawn{
      _G.jit and "luajit" or "lua5.4", "-e", "print(require('campaign.sandbox').start().base_url) io.stdout:flush() "
        .. "require('campaign.core').system.sleep(30)",
      env = { LUA_PATH = package.path, LUA_CPATH = package.cpath }, pipe = true,
    })
    local url = assert(parent:read_line(10))
    assert.is_true(is_listening(url))
    parent:signal("KILL")
    assert.is_true(ends_within(5, url))
    parent:close()
  end)

  it("leaves no temporary folder behind", function()
    local handle = assert(sandbox.start())
    local base = os.getenv("TMPDIR") or "/tmp"
    local mark = "campaign-sandbox-" .. handle.environment.CAMPAIGN_SANDBOX_PID .. "-"
    local function count()
      local found = 0
      for _, name in ipairs(assert(core.system.list_dir(base))) do
        found = found + (name:sub(1, #mark) == mark and 1 or 0)
      end
      return found
    end
    assert.equal(1, count())
    handle:stop()
    assert.equal(0, count())
  end)

  it("clears away what a killed sandbox left", function()
    local handle = assert(sandbox.start())
    local pid = handle.environment.CAMPAIGN_SANDBOX_PID
    os.execute("kill -9 " .. pid)
    assert.is_true(ends_within(5, handle.base_url))
    handle:stop()
    assert(sandbox.start()):stop()
    for _, name in ipairs(assert(core.system.list_dir(os.getenv("TMPDIR") or "/tmp"))) do
      assert.is_nil(name:find("campaign-sandbox-" .. pid .. "-", 1, true))
    end
  end)

  it("says why it cannot start", function()
    local handle, err = sandbox.start{ clock = "tomorrow", stderr = "/dev/null" }
    assert.is_nil(handle)
    assert.equal("usage", err.kind)
    local first = assert(sandbox.start())
    local port = tonumber(first.base_url:match(":(%d+)$"))
    handle, err = sandbox.start{ port = port, stderr = "/dev/null" }
    first:stop()
    assert.is_nil(handle)
    assert.equal("usage", err.kind)
  end)

  it("has a bench that sends requests of every kind and prints what was judged", function()
    local result = require("support.command").run({ rawget(_G, "jit") and "luajit" or "lua5.4", "bench/sandbox.lua", "0.05", "500" }, {
      env = { LUA_PATH = package.path, LUA_CPATH = package.cpath, LD_PRELOAD = os.getenv("LD_PRELOAD"),
        ASAN_OPTIONS = os.getenv("ASAN_OPTIONS") },
    })
    assert.equal(0, result.code, result.err)
    local lines = 0
    for line in result.out:gmatch("[^\n]+") do
      assert.truthy(line:find("/s of processor", 1, true), line)
      lines = lines + 1
    end
    assert.equal(5, lines)
  end)
end)

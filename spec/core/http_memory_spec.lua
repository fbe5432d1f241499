-- SPDX-License-Identifier: MIT
-- Memory that is not there, once, at every allocation of the engine and of libcurl: a request ends, or says why not; nothing waits until its
-- time is over.

local command = require "support.command"
local raw_server = require "support.raw_server"

-- A server of forks (spec/preload/fault_shim.c): each child makes two requests, while one allocation fails.
local SCRIPT = [[
local core = require "campaign.core"

local function get(engine)
  local id = engine:submit{ url = arg[1] .. "/ok", limits = { connect = 20, total = 20 } }
  local _, result = nil, nil
  if id then _, result = engine:take(30) end
  return result and result.status == 200
end

assert(get(assert(core.http.engine{ driver = "inline" }))) -- loads libcurl
io.open("/shim/serve")
if not os.getenv("SHIM_JOB") then os.exit(0) end
local engine = core.http.engine{ driver = "inline" }
local before = core.system.monotonic()
local first, second = engine and get(engine), engine and get(engine)
os.exit(core.system.monotonic() - before > 10 and 3 or first and second and 0 or 1, false)
]]

describe("core.http without memory", function()
  it("ends every request soon, whichever allocation fails #heavy", function()
    local server = raw_server.start()
    local build = os.getenv("CAMPAIGN_BUILD") or command.ROOT .. "/build"
    local script, orders = os.tmpname(), {}
    command.write(script, SCRIPT)
    for at = 1, 400 do
      orders[at] = at .. " ENOMEM malloc / 0 job\n"
    end
    command.write(script .. ".orders", table.concat(orders))
    local result = command.run({ "sh", "-c", 'exec "$@" <"$0.orders"', script, command.LUA == "luajit" and "luajit" or "lua5.4", script, server.url },
      { seconds = 120, env = { LD_PRELOAD = build .. "/spec/fault_shim.so", LUA_PATH = os.getenv("LUA_PATH"), LUA_CPATH = os.getenv("LUA_CPATH") } })
    server:stop()
    os.remove(script)
    os.remove(script .. ".orders")
    local at, failed = 0, 0
    for how, number, count in result.out:gmatch("(%a+) (%d+) (%d+)\n") do
      at = at + 1
      assert.equal("exit", how, ("allocation %d: %s %s"):format(at, how, number))
      assert.not_equal("3", number, ("allocation %d: a request waited"):format(at))
      if tonumber(count) >= at then
        failed = failed + tonumber(number)
      else
        assert.equal("0", number, ("allocation %d was not made"):format(at))
      end
    end
    assert.equal(400, at)
    assert.is_true(failed > 10, failed .. " requests failed")
  end)
end)

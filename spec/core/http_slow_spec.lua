-- SPDX-License-Identifier: MIT
-- Slow lines. libcurl hands a body to the kernel at once; while the other side still takes some of it, the request does not stall.

local core = require "campaign.core"
local command = require "support.command"

-- Takes connections on a small window and reads so many bytes every tenth of a second, then answers; or never reads on.
local SERVER = [[
  local socket = require "socket"
  local listener = assert(socket.bind("127.0.0.1", 0))
  print((select(2, listener:getsockname())))
  io.stdout:flush()
  local most, step = tonumber(arg[1]), tonumber(arg[2])
  local peer = assert(listener:accept())
  local left = 0
  repeat
    local line = peer:receive("*l")
    left = tonumber(line:match("^Content%-Length: (%d+)$")) or left
  until line == ""
  local length = left
  while left > 0 and length - left < most do
    socket.sleep(0.1)
    left = left - #assert(peer:receive(math.min(left, step)))
  end
  if left == 0 then
    peer:send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
  end
  socket.sleep(60)
]]

describe("a slow line", function()
  local folder

  before_each(function() folder = command.folder() end)
  after_each(function() command.remove(folder) end)

  local function perform(most, step, bytes, limits)
    command.write(folder .. "/server.lua", SERVER)
    local process = assert(core.system.spawn{ os.getenv("CAMPAIGN_TEST_LUA") or "lua5.4", folder .. "/server.lua",
      ("%d"):format(most), ("%d"):format(step), pipe = true })
    local port = assert(process:read_line(30))
    local engine = core.http.engine{ driver = "inline" }
    local id = assert(engine:submit{ url = "http://127.0.0.1:" .. port .. "/", method = "POST", body = ("x"):rep(bytes), limits = limits })
    local before = core.system.monotonic()
    local _, result = engine:take(60)
    assert.truthy(id)
    engine:close()
    process:close()
    return result, core.system.monotonic() - before
  end

  it("is waited for beyond the stall limit while the other side takes bytes that the kernel has #heavy", function()
    local result, seconds = perform(1e9, 10000, 1000000, { stall = 1, total = 60 })
    assert.is_nil(result.error, tostring(result.error))
    assert.equal("done", result.body)
    assert.is_true(seconds > 8, "it was not slow: " .. seconds .. " s") -- libcurl takes the mean of 5 s for the speed
  end)

  it("ends at the stall limit when the other side takes no more of it", function()
    local result, seconds = perform(20000, 10000, 1000000, { stall = 1, total = 60 })
    assert.equal("timeout", result.error.kind)
    assert.equal("maybe", result.sent)
    assert.is_true(seconds < 20, seconds .. " s")
  end)
end)

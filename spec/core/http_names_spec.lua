-- SPDX-License-Identifier: MIT
-- A name server that does not answer: its requests end when their limits say so, and nobody else waits for it.

local command = require "support.command"
local raw_server = require "support.raw_server"

-- A process of its own, for the library that stands before libc. It says what became of each request and whether a look-up was waited for.
local SCRIPT = [[
local core = require "campaign.core"
local engine = core.http.engine{ driver = arg[1] }
local names = {}

local function submit(name, url, seconds)
  names[assert(engine:submit{ url = url, limits = { connect = seconds, total = 60 } })] = name
end

local function tell()
  local id, result = engine:take(60)
  print(names[id], result.status or result.error.kind, result.sent)
end

submit("stuck", "https://contacts.stuck.test/", 0.2)
submit("other", arg[2] .. "/ok", 10)
tell()
submit("another", arg[2] .. "/ok", 10)
tell()
tell()
submit("broken off", "https://contacts.stuck.test/", 60)
engine:wait(0.05)
engine:cancel(4)
tell()
submit("left", "https://contacts.stuck.test/", 60)
engine:wait(0.05)
engine:close()
print(io.open(os.getenv("STUCK")) == nil and "no look-up was waited for" or "a look-up was waited for")
]]

describe("core.http while a name server does not answer", function()
  for _, driver in ipairs({ "inline", "thread" }) do
    it("ends the request in time, may break it off, and holds up nobody else, driver " .. driver, function()
      local server = raw_server.start()
      local build = os.getenv("CAMPAIGN_BUILD") or command.ROOT .. "/build"
      local script = os.tmpname()
      command.write(script, SCRIPT)
      local result = command.run({ command.LUA == "luajit" and "luajit" or "lua5.4", script, driver, server.url }, { env = {
        LD_PRELOAD = (os.getenv("LD_PRELOAD") or "") .. " " .. build .. "/spec/stuck_names.so", STUCK = server.folder .. "/stuck",
        LUA_PATH = os.getenv("LUA_PATH"), LUA_CPATH = os.getenv("LUA_CPATH") } })
      server:stop()
      os.remove(script)
      local lines = {}
      for line in result.out:gmatch("[^\n]+") do
        lines[#lines + 1] = line
      end
      assert.are.equal("", result.err)
      table.sort(lines)
      assert.same({ "another\t200\tyes", "broken off\tcancelled\tno", "no look-up was waited for", "other\t200\tyes", "stuck\ttimeout\tno" }, lines)
    end)
  end
end)

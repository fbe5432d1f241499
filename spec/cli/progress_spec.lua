-- SPDX-License-Identifier: MIT
-- Progress of imports: what stands in a line, and how often lines come.

local json = require "campaign.json"
local command = require "spec.support.command"
local progress = require "campaign.cli.progress"

describe("progress", function()
  it("tells share, rate and time left", function()
    assert.are.equal("sending 2,500 of 10,000 rows (25 %), 500 rows/s, 15 s left, 7 rejected", progress.line{
      phase = "sending", rows = 2500, total_rows = 10000, seconds = 5, rejected = 7, ambiguous = 0,
    })
  end)

  it("takes the share of a check from the bytes, since nobody knows the rows yet", function()
    assert.are.equal("checking 100 rows (50 %)", progress.line{
      phase = "preflight", rows = 100, bytes = 500, total_bytes = 1000, seconds = 0.5,
    })
  end)

  it("says what it waits for, and tells no rate then", function()
    local line = progress.line{ phase = "waiting", wait_for = "window", wait_until = 1000, rows = 5, total_rows = 10, seconds = 60 }
    assert.is_truthy(line:find("waiting for the platform to open, until %d%d:%d%d:%d%d"))
    assert.is_falsy(line:find("rows/s", 1, true))
  end)

  it("takes rate and time left from the event, which knows pauses and closed hours", function()
    assert.are.equal("sending 2,500 of 10,000 rows (25 %), 480 rows/s, 2 h 1 min left", progress.line{
      phase = "sending", rows = 2500, total_rows = 10000, seconds = 5, rate = 480, left = 7260,
    })
  end)

  it("says that the platform slows it down, and not which rate somebody set", function()
    local event = { phase = "sending", rows = 10, total_rows = 100, seconds = 1, calls_per_second = 12.04, slowed = true }
    assert.are.equal("sending 10 of 100 rows (10 %), slowed by the platform: 12 calls/s", progress.line(event))
    event.calls_per_second = 0.5
    assert.is_truthy(progress.line(event):find("slowed by the platform: 0.5 calls/s", 1, true))
    event.slowed = nil
    assert.are.equal("sending 10 of 100 rows (10 %)", progress.line(event))
  end)

  it("says until when, by the platform's clock where it is about its hours", function()
    local event = { phase = "waiting", wait_for = "window", wait_until = 1000, opens = "2025-11-10 02:00:04 (+08:00)", rows = 5, total_rows = 10,
      left = 7300 }
    assert.are.equal("sending 5 of 10 rows (50 %), 2 h 1 min left, waiting for the platform to open, until 2025-11-10 02:00:04 (+08:00)",
      progress.line(event))
    event.wait_for, event.opens, event.left = "throttle", nil, nil
    assert.is_truthy(progress.line(event):find("waiting, as the platform asked, until %d%d:%d%d:%d%d$"))
  end)

  it("says what will be left when the platform closes", function()
    assert.is_truthy(progress.line{ phase = "sending", rows = 5, total_rows = 10, seconds = 1, calls_after = 1200,
      closes = "2025-11-10 00:00:00 (+08:00)" }:find("1,200 requests after the platform was closed from 2025-11-10 00:00:00 (+08:00) on", 1, true))
  end)

  it("writes events as JSON, one a line, at most one a second and each change of phase", function()
    local written, now = {}, 0
    local show, finish = progress.new{
      json = true, terminal = true, monotonic = function() return now end, write = function(text) written[#written + 1] = text end,
    }
    local phases = { [0] = "preflight", [5] = "sending", [12] = "waiting", [30] = "sending", [40] = "finished" }
    local phase
    for tenth = 0, 40 do
      now, phase = tenth / 10, phases[tenth] or phase
      show{ phase = phase, rows = tenth, rate = 0.5, opens = phase == "waiting" and "02:00" or nil, wait_until = function() end }
    end
    finish()
    local seen = {}
    for index, line in ipairs(written) do
      assert.are.equal("\n", line:sub(-1))
      local event = assert(json.decode(line))
      assert.are.equal("progress", event.event)
      assert.is_nil(event.wait_until)
      seen[index] = event.phase .. event.rows
    end
    assert.are.same({ "preflight0", "sending5", "waiting12", "waiting22", "sending30", "finished40" }, seen)
  end)

  it("tells nothing impossible about an empty list", function()
    assert.are.equal("sending 0 of 0 rows", progress.line{ phase = "sending", rows = 0, total_rows = 0, seconds = 5 })
  end)

  local function run(terminal, times)
    local written, now, index = {}, 0, 0
    local show, finish = progress.new{
      terminal = terminal, width = 30, monotonic = function() return now end,
      write = function(text) written[#written + 1] = text end,
    }
    for _, time in ipairs(times) do
      now, index = time, index + 1
      show{ phase = "sending", rows = index * 1000, total_rows = 100000, seconds = time }
    end
    show{ phase = "finished", rows = 1, total_rows = 1 }
    finish()
    return written
  end

  it("renews one line on a terminal, no wider than it, ten times a second at most", function()
    local written = run(true, { 0, 0.05, 0.1, 0.11, 5 })
    assert.are.equal(4, #written)
    for index = 1, 3 do
      assert.is_truthy(written[index]:find("^\r[^\r\n]+\27%[K$"))
      assert.is_true(#written[index] <= 1 + 29 + 3)
    end
    assert.are.equal("\r\27[K", written[4])
  end)

  it("does so on no terminal that cannot renew a line", function()
    local script = 'local show, finish = require("campaign.cli.progress").on_stderr() show{ phase = "sending", rows = 1 } '
      .. 'require("campaign.core").system.sleep(0.2) show{ phase = "sending", rows = 2 } finish()'
    if command.run({ "script", "-qec", "true", "/dev/null" }).code ~= 0 then
      return pending("no terminal can be had here (/dev/pts)")
    end
    local function environment(term)
      return { TERM = term, LUA_PATH = package.path, LUA_CPATH = package.cpath }
    end
    local path = os.tmpname()
    command.write(path, script)
    local line = ("script -qec '%s %s' /dev/null"):format(command.LUA == "5.4" and "lua5.4" or command.LUA, path)
    assert.is_truthy(command.run({ "sh", "-c", line }, { env = environment("xterm") }).out:find("\27[K", 1, true))
    assert.are.equal("", command.run({ "sh", "-c", line }, { env = environment("dumb") }).out)
    os.remove(path)
  end)

  it("prints a line every ten seconds elsewhere, and none for short imports", function()
    assert.are.equal(0, #run(false, { 0, 1, 9.9 }))
    local written = run(false, { 0, 5, 10, 15, 21 })
    assert.are.equal(2, #written)
    assert.is_truthy(written[1]:find("^sending [^\r\n]+\n$"))
  end)
end)

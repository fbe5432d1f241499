-- SPDX-License-Identifier: MIT
-- Progress of imports: what stands in a line, and how often lines come.

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

  it("prints a line every ten seconds elsewhere, and none for short imports", function()
    assert.are.equal(0, #run(false, { 0, 1, 9.9 }))
    local written = run(false, { 0, 5, 10, 15, 21 })
    assert.are.equal(2, #written)
    assert.is_truthy(written[1]:find("^sending [^\r\n]+\n$"))
  end)
end)

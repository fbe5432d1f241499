-- SPDX-License-Identifier: MIT
-- The sandbox as a child process: started, asked, stopped, and never left behind.

local sandbox = require "campaign.sandbox"

describe("campaign.sandbox", function()
  it("starts, answers a control path and stops", function()
    local handle = assert(sandbox.start{ clock = "2025-11-10 10:00:00", clock_rate = 0 })
    assert.equal("2025-11-10 10:00:00", assert(handle:control("clock")).now)
    handle:stop()
    handle:stop()
    assert.is_nil((handle:control("clock")))
  end)
end)

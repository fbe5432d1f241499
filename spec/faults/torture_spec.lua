-- SPDX-License-Identifier: MIT
-- The torture of the reference import in short: ends, random times, ends while going on, errors of the system, allocations that fail. All
-- of it: `make torture`. CAMPAIGN_TORTURE_SEED repeats a run.

local command = require "support.command"
local core = require "campaign.core"

describe("the reference import", function()
  it("P1 to P7 survives ends and errors at numbered points without loss, silent repeat or false success #heavy", function()
    local seed = os.getenv("CAMPAIGN_TORTURE_SEED") or tostring(os.time())
    local argv = { core.system.stat("tools/torture") and os.getenv("CAMPAIGN_TEST_LUA") or "lua5.4", "tools/torture", "--short", "--seed", seed }
    local result = command.run(argv, { seconds = 500, env = { BUILD = os.getenv("CAMPAIGN_BUILD") } })
    assert.equal(0, result.code, "seed " .. seed .. "\n" .. result.out .. result.err)
    for _, family in ipairs{ "kills", "random", "recovery", "errors", "memory" } do
      assert.matches(family .. " +%d+ points, 0 failed", result.out)
    end
  end)
end)

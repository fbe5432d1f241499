-- SPDX-License-Identifier: MIT
-- The long import of tools/long-import at a small size; in full it has 10 million rows and is killed 20 times. And the fault matrix's peer.

local command = require "support.command"
local core = require "campaign.core"

local ENV = { BUILD = os.getenv("CAMPAIGN_BUILD") }

describe("a long import", function()
  it("ends with the right counts in flat memory, however often it is killed #heavy", function()
    local result = command.run({ os.getenv("CAMPAIGN_TEST_LUA") or "lua5.4", "tools/long-import", "60000", "4" }, { seconds = 200, env = ENV })
    assert.equal(0, result.code, result.out .. result.err)
    assert.matches("killed 4 times.*lost 0, unreported_duplicates 0, false_success 0", result.out)
  end)
end)

describe("a plain loop over lua-curl in the same faults", function()
  it("commits rows twice where we list doubt, which shows that the faults are faults", function()
    if os.execute("luajit -e 'require \"curl\"' 2>/dev/null") ~= 0 and os.execute("luajit -e 'require \"curl\"' 2>/dev/null") ~= true then
      pending("lua-curl is not installed (tools/deps bench)")
      return
    end
    assert(core.system.stat("tools/fault-matrix"))
    local result = command.run({ "tools/fault-matrix", "--plain", "--quiet", "F4", "commit", "json-sync" }, { seconds = 200, env = ENV })
    assert.equal(0, result.code, result.out .. result.err)
    local duplicates = tonumber(result.out:match("the plain loop: .-unreported_duplicates (%d+)"))
    assert.is_true(duplicates >= 100, result.out)
  end)
end)

-- SPDX-License-Identifier: MIT
-- The proofs of bench/callbacks.lua in small: forged posts, the time of the comparison, genuine posts under load. And that strangers cannot fill a log.

local command = require "support.command"
local notes = require "campaign.callback.notes"

-- CAMPAIGN_FORGERIES=100000 for the long form.
local FORGED = os.getenv("CAMPAIGN_FORGERIES") or "1400"

describe("callback proofs #heavy", function()
  it("hold: no forgery changes anything, the comparison tells nothing by its time, genuine posts get through", function()
    local result = command.run({ rawget(_G, "jit") and "luajit" or "lua5.4", "bench/callbacks.lua", FORGED, "20000", "0.5" }, {
      seconds = 600, env = { LUA_PATH = package.path, LUA_CPATH = package.cpath, LD_PRELOAD = os.getenv("LD_PRELOAD"),
        ASAN_OPTIONS = os.getenv("ASAN_OPTIONS"), CAMPAIGN_BUILD = os.getenv("CAMPAIGN_BUILD") },
    })
    assert.equal(0, result.code, result.out .. result.err)
    for _, part in ipairs({ "forged posts: " .. FORGED, "forged signatures: " .. FORGED .. ", accepted 0", "naive comparison",
      "flood of genuine" }) do
      assert.truthy(result.out:find(part, 1, true), result.out)
    end
  end)

  it("write so many lines a minute that strangers cause, and say how many were left out", function()
    local lines, now = {}, 0
    local note = notes.new(function(line) lines[#lines + 1] = line end, function() return now end)
    for number = 1, 1000 do
      note("line " .. number)
    end
    assert.equal(30, #lines)
    now = 61
    note("later")
    assert.same({ "970 more lines were left out", "later" }, { lines[31], lines[32] })
    now = 200
    note("last")
    assert.equal(33, #lines)
  end)
end)

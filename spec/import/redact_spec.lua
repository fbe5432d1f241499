-- SPDX-License-Identifier: MIT
-- What a platform says of refused rows, as it is kept: within bounds, and without what the rows hold.

local redact = require "campaign.import.run.redact"

describe("import.redact", function()
  local NAME = "Ada Lovelace"

  -- The words that are kept of those in `failed`.
  local function kept(failed)
    local verdict = { failed = failed }
    redact.answer(nil, {}, verdict, nil, { NAME })
    return verdict.failed
  end

  it("takes the values of rows out of the words for each", function()
    assert.same({ { code = "E1", message = "*** is blocked" }, { message = "no *** here" } },
      kept({ { code = "E1", message = NAME .. " is blocked" }, { message = "no " .. NAME .. " here" } }))
  end)

  it("finds them in percent-encoding, too", function()
    local rows = { { "王小明", "a b@example.com" } }
    local input = {
      rows = function()
        local number = 0
        return function()
          number = number + 1
          return rows[number] and number, rows[number]
        end
      end,
    }
    local verdict = { message = "/find?name=%E7%8E%8B%E5%B0%8F%E6%98%8E&mail=a%20b%40example.com is 50% wrong" }
    redact.answer(input, {}, verdict, nil, {}, {})
    assert.equal("/find?name=***&mail=*** is 50% wrong", verdict.message)
  end)

  it("keeps nothing of words without end, whether others stand beside them or not", function()
    local endless = NAME .. ("x"):rep(1000000)
    assert.same({ {} }, kept({ { code = endless, message = endless } }))
    assert.same({ { code = "E1" }, { code = "E2", message = "*** too" } },
      kept({ { code = "E1", message = endless }, { code = "E2", message = NAME .. " too" } }))
  end)
end)

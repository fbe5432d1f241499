-- SPDX-License-Identifier: MIT
local vocabulary = require "campaign.api.vocabulary"

describe("api.vocabulary", function()
  it("has no key that docs/platform-format.md does not name", function()
    local file = assert(io.open("docs/platform-format.md", "rb"))
    local text = file:read("*a")
    file:close()
    local missing = {}
    for name, keys in pairs(vocabulary.VOCABULARY) do
      for key in pairs(keys) do
        local plain = key:gsub("!$", "")
        if not text:find("[^%w_]" .. plain .. "[^%w_]") then
          missing[#missing + 1] = name .. "." .. plain
        end
      end
    end
    assert.same({}, missing)
  end)

  it("finds nothing to say about an empty list of operations but what is missing", function()
    local faults = vocabulary.faults({ name = "x" }, "x")
    assert.equal(7, #faults)
    assert.matches("^x: `account` is missing$", faults[1])
  end)
end)

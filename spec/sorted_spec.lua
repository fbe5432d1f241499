-- SPDX-License-Identifier: MIT

local sorted = require "campaign.sorted"

describe("campaign.sorted", function()
  it("lists a table's keys in order, whatever they hold", function()
    assert.same({ "a", "b", "ü" }, sorted.keys({ ["ü"] = 1, b = false, a = {} }))
    assert.same({ 1, 2, 10 }, sorted.keys({ [10] = true, [2] = true, [1] = true }))
    assert.same({}, sorted.keys({}))
  end)

  it("leaves the table as it is", function()
    local set = { b = 1, a = 2 }
    sorted.keys(set)[1] = "changed"
    assert.same({ b = 1, a = 2 }, set)
  end)
end)

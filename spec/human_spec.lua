-- SPDX-License-Identifier: MIT
-- Values as people read them.

local human = require "campaign.human"

describe("human", function()
  it("writes counts, bytes and durations for people", function()
    assert.are.equal("0", human.count(0))
    assert.are.equal("999", human.count(999))
    assert.are.equal("1,000", human.count(1000))
    assert.are.equal("12,345,678", human.count(12345678))
    assert.are.equal("999 bytes", human.bytes(999))
    assert.are.equal("1.0 kB", human.bytes(1000))
    assert.are.equal("2.5 MB", human.bytes(2500000))
    assert.are.equal("5000.0 GB", human.bytes(5e12))
    assert.are.equal("8 s", human.duration(7.6))
    assert.are.equal("3 min 20 s", human.duration(200))
    assert.are.equal("2 h 5 min", human.duration(7500))
  end)

  it("shows the character of a code point, and none that would do something to the page", function()
    assert.are.equal("䶮", human.character("U+4DAE"))
    assert.are.equal("𠮷", human.character("U+20BB7"))
    for _, code in ipairs({ "U+000A", "U+0085", "4DAE", "" }) do
      assert.are.equal("", human.character(code))
    end
  end)
end)

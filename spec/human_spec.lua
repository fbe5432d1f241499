-- SPDX-License-Identifier: MIT
-- Values as people read them.

local human = require "campaign.human"

describe("human", function()
  it("shows characters that a terminal would obey, or that turn the direction of writing", function()
    assert.equal("a[U+001B][31mb[U+0007][U+000A]c[U+0000]", human.visible("a\27[31mb\7\nc\0"))
    assert.equal("a[U+009B]2J[U+202E]b[U+200B][U+061C][U+FEFF][U+007F]",
      human.visible("a\194\1552J\226\128\174b\226\128\139\216\156\239\187\191\127"))
    assert.equal("手机号 „é“…\n\t[U+000D]", human.visible("手机号 „é“…\n\t\r", true))
    assert.equal("\200\226\128", human.visible("\200\226\128"), "bytes that are no UTF-8 stay")
  end)

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

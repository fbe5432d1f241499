-- SPDX-License-Identifier: MIT
-- campaign.core.utf8. That every byte sequence is judged as the Unicode standard says is tested in spec/c/encodings_test.c.

local core = require "campaign.core"
require "campaign.error"

describe("core.utf8", function()
  it("accepts valid text of all lengths", function()
    for _, text in ipairs { "", "a", "é", "王", "𠮷", "王小明 <wang@example.com> 🙂", ("王a"):rep(1000) } do
      assert.is_true(core.utf8.validate(text))
    end
    assert.is_true(core.utf8.validate("\0"))
  end)

  it("says the offset of the first byte that is wrong", function()
    local bad = {
      { "\128", 0, "a lone tail byte" },
      { "ab\255", 2, "a byte that never occurs" },
      { "王\192\128", 3, "an overlong NUL" },
      { "\224\128\128", 0, "an overlong three-byte form" },
      { "\240\128\128\128", 0, "an overlong four-byte form" },
      { "x\237\160\128", 1, "a surrogate" },
      { "\244\144\128\128", 0, "above U+10FFFF" },
      { "\245\128\128\128", 0, "a lead byte that never occurs" },
      { "王\231\142", 3, "a character cut off at the end" },
      { ("a"):rep(100) .. "\129" .. ("a"):rep(100), 100, "after a long run of ASCII" },
    }
    for _, case in ipairs(bad) do
      local ok, offset = core.utf8.validate(case[1])
      assert.is_nil(ok, case[3])
      assert.are.equal(case[2], offset, case[3])
    end
  end)

  it("finds a wrong byte at every place of texts of every length", function()
    for length = 1, 70 do
      for at = 0, length - 1 do
        local text = ("a"):rep(at) .. "\200" .. ("a"):rep(length - at - 1)
        local _, offset = core.utf8.validate(text)
        assert.are.equal(at, offset)
      end
    end
  end)

  it("measures in characters, UTF-16 units and bytes", function()
    assert.are.equal(4, core.utf8.length("aé王🙂"))
    assert.are.equal(4, core.utf8.length("aé王🙂", "char"))
    assert.are.equal(5, core.utf8.length("aé王🙂", "utf16"))
    assert.are.equal(10, core.utf8.length("aé王🙂", "byte"))
    assert.are.equal(0, core.utf8.length(""))
  end)

  it("does not measure characters of text that is not UTF-8", function()
    local length, err = core.utf8.length("ab\255", "char")
    assert.is_nil(length)
    assert.are.equal("invalid", err.kind)
    assert.are.equal(2, err.code)
    assert.are.equal(3, core.utf8.length("ab\255", "byte"))
  end)

  it("raises on wrong arguments", function()
    assert.has_error(function() core.utf8.validate(nil) end)
    assert.has_error(function() core.utf8.length("a", "furlong") end)
  end)
end)

-- SPDX-License-Identifier: MIT
-- Compressed texts in memory: what comes out, and that nothing comes out of what is damaged, cut or too large.

local core = require "campaign.core"

local unpack_text = core.gzip.unpack

local function bytes_of(hex)
  return (hex:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end))
end

-- printf '{"unique_id":"z-1","rows":[],"total":3}' | gzip -n; the same as zlib writes it
local TEXT = '{"unique_id":"z-1","rows":[],"total":3}'
local GZIP = bytes_of("1f8b0800000000000203ab562acdcb2c2c4d8dcf4c51b252aad23554d2512aca2f2f56b28a8ed5512ac92f49cc51b232ae05008781fbec27000000")
local ZLIB = bytes_of("789cab562acdcb2c2c4d8dcf4c51b252aad23554d2512aca2f2f56b28a8ed5512ac92f49cc51b232ae050001830c84")

describe("core.gzip", function()
  it("unpacks gzip and zlib, several streams behind one another too, and leaves other bytes as they are", function()
    assert.equal(TEXT, unpack_text(GZIP, #TEXT))
    assert.equal(TEXT, unpack_text(ZLIB, #TEXT))
    assert.equal(TEXT .. TEXT, unpack_text(GZIP .. GZIP, 1000))
    for _, plain in ipairs{ "", "x", "\31", "{}", "xy", TEXT, "\31\140", ("a"):rep(100000) } do
      assert.equal(plain, unpack_text(plain, 100000))
    end
  end)

  it("refuses what is cut anywhere, changed anywhere it matters, or larger than asked for", function()
    for cut = 2, #GZIP - 1 do
      local text, err = unpack_text(GZIP:sub(1, cut), 1000)
      assert.same({ nil, "invalid" }, { text, err.kind }, cut)
    end
    for at = 11, #GZIP do -- behind the head, whose time and system say nothing
      local changed = GZIP:sub(1, at - 1) .. string.char((GZIP:byte(at) + 1) % 256) .. GZIP:sub(at + 1)
      assert.is_nil((unpack_text(changed, 1000)), at)
    end
    assert.is_nil((unpack_text(GZIP, #TEXT - 1)))
    assert.is_nil((unpack_text(TEXT, #TEXT - 1)))
    local pipe = io.popen("head -c 50000000 /dev/zero | gzip -c")
    local bomb = pipe:read("*a")
    pipe:close()
    assert.is_true(#bomb < 100000)
    local before = collectgarbage("count")
    assert.is_nil((unpack_text(bomb, 1048576)))
    assert.is_true(collectgarbage("count") - before < 1024)
    assert.has_error(function() unpack_text(GZIP) end)
    assert.has_error(function() unpack_text(GZIP, -1) end)
    assert.has_error(function() unpack_text(nil, 1) end)
  end)
end)

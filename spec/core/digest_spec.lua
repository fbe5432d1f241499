-- SPDX-License-Identifier: MIT
-- campaign.core.digest: published vectors, strictness, files.

local core = require "campaign.core"
require "campaign.error"

local digest = core.digest

local function from_hex(text)
  return (text:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end))
end

describe("core.digest", function()
  after_each(function()
    collectgarbage()
    collectgarbage()
    assert.are.equal(0, core.live())
  end)

  it("computes SHA-256 as FIPS 180-4 has it", function()
    assert.are.equal("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", digest.sha256(""))
    assert.are.equal("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", digest.sha256("abc"))
    assert.are.equal("cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
      digest.sha256(("a"):rep(1000000)))
    assert.are.equal(digest.sha256("1\0abc"), digest.sha256(1, "\0", "", "abc"))
    assert.has_error(function() digest.sha256() end)
    assert.has_error(function() digest.sha256("a", {}) end)
  end)

  it("gives the same in pieces", function()
    local text = ("campaign"):rep(50)
    for cut = 0, #text, 7 do
      local running = digest.sha256_start()
      assert.are.equal(running, running:update(text:sub(1, cut)))
      running:update(text:sub(cut + 1))
      assert.are.equal(digest.sha256(text), running:finish())
      assert.has_error(function() running:update("more") end)
      running:close()
    end
  end)

  it("computes HMAC-SHA-256 as RFC 4231 has it", function()
    assert.are.equal("b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
      digest.hmac_sha256(("\11"):rep(20), "Hi There"))
    assert.are.equal("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
      digest.hmac_sha256("Jefe", "what do ya want for nothing?"))
    assert.are.equal("60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
      digest.hmac_sha256(("\170"):rep(131), "Test Using Larger Than Block-Size Key - Hash Key First"))
    assert.are.equal("b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad", digest.hmac_sha256("", ""))
  end)

  it("computes the digests that others sign with: RFC 1321, FIPS 180-4, RFC 2202, RFC 4231", function()
    for _, case in ipairs({
      { "md5", "", "d41d8cd98f00b204e9800998ecf8427e" }, { "md5", "message digest", "f96b697d7cb7938d525a2f31aaf161d0" },
      { "sha1", "abc", "a9993e364706816aba3e25717850c26c9cd0d89d" },
      { "sha256", "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
    }) do
      assert.equal(case[3], digest.hex(digest.of(case[1], case[2])))
    end
    assert.equal("ddaf35a193617abacc417349ae204131", digest.hex(digest.of("sha512", "abc")):sub(1, 32))
    for _, case in ipairs({
      { "md5", ("\11"):rep(16), "Hi There", "9294727a3638bb1c13f48ef8158bfc9d" },
      { "sha1", ("\11"):rep(20), "Hi There", "b617318655057264e28bc0b6fb378c8ef146be00" },
      { "sha1", "Jefe", "what do ya want for nothing?", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79" },
      { "sha256", "Jefe", "what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
      { "sha256", "", "", "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad" },
    }) do
      assert.equal(case[4], digest.hex(digest.hmac(case[1], case[2], case[3])))
    end
    assert.has_error(function() digest.of("crc", "x") end)
    assert.has_error(function() digest.of("md5") end)
    assert.has_error(function() digest.hmac("sha256", "x") end)
  end)

  it("reads a file as a stream and refuses what is no file", function()
    local path = os.tmpname()
    local file = assert(io.open(path, "wb"))
    local text = ("0123456789"):rep(20000)
    file:write(text)
    file:close()
    assert.are.equal(digest.sha256(text), digest.sha256_file(path))
    os.remove(path)
    local hex, err = digest.sha256_file(path)
    assert.is_nil(hex)
    assert.are.equal("invalid", err.kind)
    assert.truthy(err.message:find(path, 1, true))
    assert.is_nil((digest.sha256_file("/")))
    assert.is_nil((digest.sha256_file("/dev/zero")))
  end)

  it("encodes base64 as RFC 4648 has it", function()
    local vectors = {
      [""] = "", f = "Zg==", fo = "Zm8=", foo = "Zm9v", foob = "Zm9vYg==", fooba = "Zm9vYmE=", foobar = "Zm9vYmFy",
    }
    for plain, coded in pairs(vectors) do
      assert.are.equal(coded, digest.base64_encode(plain))
      assert.are.equal(plain, digest.base64_decode(coded))
    end
    assert.are.equal("+/8=", digest.base64_encode("\251\255"))
    for length = 0, 300 do
      local bytes = core.system.random(256):sub(1, length)
      assert.are.equal(bytes, digest.base64_decode(digest.base64_encode(bytes)))
    end
  end)

  it("decodes base64 strictly", function()
    for text, offset in pairs {
      ["Zg="] = 2, ["Z"] = 1, ["Zm9v\n"] = 4, ["Zm 9"] = 2, ["Zg==Zg=="] = 2, ["===="] = 0, ["Zh=="] = 1,
      ["Zm9="] = 2, ["-_8="] = 0, ["Z==="] = 1,
    } do
      local bytes, err = digest.base64_decode(text)
      assert.is_nil(bytes, text)
      assert.are.equal("invalid", err.kind)
      assert.truthy(err.message:find("byte " .. offset, 1, true), text .. ": " .. err.message)
    end
  end)

  it("writes hex", function()
    assert.are.equal("00ff7f10", digest.hex("\0\255\127\16"))
    assert.are.equal("\0\255\127\16", from_hex(digest.hex("\0\255\127\16")))
  end)

  it("compares whole texts", function()
    assert.is_true(digest.equal("", ""))
    assert.is_true(digest.equal("token", "token"))
    assert.is_false(digest.equal("token", "tokem"))
    assert.is_false(digest.equal("token", "toke"))
    assert.is_false(digest.equal("token", "token\0"))
  end)

  it("tells by CRC-32C whether bytes are what they were, in pieces as in one", function()
    assert.equal("e3069283", digest.crc32c("123456789"))
    assert.equal("00000000", digest.crc32c(""))
    assert.equal("e3069283", digest.crc32c("56789", digest.crc32c("1234")))
    assert.equal("8a9136aa", digest.crc32c(("\0"):rep(32)))
    for _, wrong in ipairs({ "", "x", "123456789", "1g" }) do
      assert.is_false((pcall(digest.crc32c, "a", wrong)), wrong)
    end
  end)
end)

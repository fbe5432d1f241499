-- SPDX-License-Identifier: MIT
-- campaign.core.gbk: whole texts, streams, replacement tables, errors. That every character and byte pair comes out as iconv has it is
-- tested in spec/c/encodings_test.c.

local core = require "campaign.core"
local error_object = require "campaign.error"

local gbk = core.gbk
local ALL = { "utf-8", "gbk", "cp936", "gb18030", "utf-16le", "utf-16be" }

-- Feeds `text` cut at the given places; the whole result, or nil, err.
local function stream(options, text, cuts)
  local converter = assert(gbk.converter(options))
  local out, from = {}, 1
  local function finish(err)
    converter:close()
    if err then
      return nil, err
    end
    return table.concat(out)
  end
  for i = 1, #cuts + 1 do
    local bytes, err = converter:feed(text:sub(from, cuts[i] or #text))
    if not bytes then
      return finish(err)
    end
    out[#out + 1] = bytes
    from = (cuts[i] or #text) + 1
  end
  local rest, err = converter:finish()
  out[#out + 1] = rest
  return finish(err)
end

describe("core.gbk", function()
  after_each(function()
    collectgarbage()
    collectgarbage()
    assert.are.equal(0, core.live())
  end)

  it("encodes and decodes known bytes", function()
    assert.are.equal("\205\245\208\161\195\247", gbk.encode("王小明", "gbk"))
    assert.are.equal("王小明", gbk.decode("\205\245\208\161\195\247", "gbk"))
    assert.are.equal("\254\159", gbk.encode("䶮", "gb18030"))
    assert.are.equal("\149\052\178\53", gbk.encode("𠮷", "gb18030")) -- four bytes
    assert.are.equal("🙂", gbk.decode(gbk.encode("🙂", "gb18030"), "gb18030"))
    assert.are.equal("\162\227", gbk.encode("€", "gb18030"))
    assert.are.equal("\128", gbk.encode("€", "cp936"))
    assert.are.equal("€", gbk.decode("\128", "cp936"))
    assert.are.equal("\085\078\061\216\066\222", gbk.encode("乕🙂", "utf-16le"))
    assert.are.equal("王🙂", gbk.decode(gbk.encode("王🙂", "utf-16be"), "utf-16be"))
    for _, encoding in ipairs(ALL) do
      assert.are.equal("", gbk.encode("", encoding))
      assert.are.equal("", gbk.decode("", encoding))
    end
  end)

  it("names the character and its place when the encoding lacks it", function()
    for _, case in ipairs {
      { "䶮", 0x4DAE }, { "𠮷", 0x20BB7 }, { "㐂", 0x3402 }, { "€", 0x20AC }, { "•", 0x2022 },
      { "\194\160", 0xA0 }, { "🙂", 0x1F642 },
    } do
      local bytes, err = gbk.encode("张三" .. case[1] .. "李四", "gbk")
      assert.is_nil(bytes)
      assert.are.equal("invalid", err.kind)
      assert.are.equal("unmappable", err.reason)
      assert.are.equal(6, err.code)
      assert.are.same({ offset = 6, code_point = case[2] }, err.cause)
      assert.truthy(err.message:find(("U+%04X at byte 6"):format(case[2]), 1, true))
    end
  end)

  it("gives errors that are whole however they are looked at first, and only then", function()
    local expected = "U+1F600 at byte 2 does not exist in gbk; give a replacement for it in `map`, or choose another encoding"
    local function refused()
      local bytes, err = gbk.encode("ab\240\159\152\128", "gbk")
      assert.is_nil(bytes)
      return err
    end
    local looks = {
      function(err) return err.kind end, function(err) return err.nothing end, tostring, error_object.is,
      function(err) return "x " .. err end, function(err) return err .. err end, function(err) err.hint = "a hint" end,
      function(err) return error_object.wrap(err, {}) end, function(err) return rawequal(err, refused()) end,
    }
    for i, look in ipairs(looks) do
      local err = refused()
      assert.is_true(error_object.is(err))
      look(err)
      assert.equal("invalid", err.kind)
      assert.same({ kind = "invalid", message = expected, code = 2, reason = "unmappable", cause = { offset = 2, code_point = 0x1F600 },
        hint = err.hint }, setmetatable(error_object.wrap(err, {}), nil), "look " .. i)
      assert.is_nil(rawget(err, 1))
      assert.is_nil(rawget(err, 2))
      assert.equal(expected .. (err.hint and " (a hint)" or ""), tostring(err))
    end
    assert.equal("in: " .. expected, "in: " .. refused())
    assert.equal(expected .. ", there", refused() .. ", there")
    local wrapped = error_object.wrap(refused(), { operation = "o" })
    assert.same({ "invalid", expected, "o", 2 }, { wrapped.kind, wrapped.message, wrapped.operation, wrapped.code })
    -- A long text and a stream say the same, the place aside.
    local _, err = gbk.encode(("a"):rep(100000) .. "\240\159\152\128", "gbk")
    assert.same({ "unmappable", 100000 }, { err.reason, err.cause.offset })
    _, err = gbk.decode(("a"):rep(4095) .. "\176", "gbk")
    assert.same({ "encoding", 4095, "the text ends inside a gbk character that starts at byte 4095" }, { err.reason, err.code, err.message })
  end)

  it("gives errors that are whole as JSON, and whose functions take nothing else", function()
    local text = '{"cause":{"offset":2},"code":2,"kind":"invalid","message":"byte 2 is not valid utf-8; is the text in another encoding?",'
      .. '"reason":"encoding"}'
    local function refused()
      return select(2, gbk.encode("ab\255", "gbk"))
    end
    assert.equal(text, core.json.encode(refused()))
    assert.equal('{"list":[' .. text .. "]}", core.json.encode({ list = { refused() } }))
    local metatable = getmetatable(refused())
    for _, name in ipairs({ "__index", "__newindex", "__pairs", "__tostring" }) do
      for _, value in ipairs({ 1, "x", {}, io.stdout, print }) do
        assert.is_false(pcall(metatable[name], value, "kind", 3), name)
      end
      assert.is_false(pcall(metatable[name]), name)
    end
    assert.equal("xy", metatable.__concat("x", "y"))
    assert.is_string(setmetatable({ 2 ^ 53, -1 }, metatable).message)
  end)

  it("refuses text that is not UTF-8, and says where", function()
    for _, encoding in ipairs(ALL) do
      local bytes, err = gbk.encode("ab\237\160\128", encoding)
      assert.is_nil(bytes)
      assert.are.equal("encoding", err.reason)
      assert.are.equal(2, err.code)
      bytes, err = gbk.encode("ab\231\142", encoding)
      assert.is_nil(bytes)
      assert.are.equal(2, err.code)
      assert.truthy(err.message:find("ends inside", 1, true))
    end
  end)

  it("refuses broken pairs without taking the ASCII byte behind them", function()
    for _, case in ipairs {
      { "ab\129", "gbk", 2 }, { "\129,\"", "gbk", 0 }, { "x\255\255", "gbk", 1 }, { "\128", "gbk", 0 },
      { "\161\127", "gbk", 0 }, { "\1290\129", "gb18030", 0 }, { "\1290\129,", "gb18030", 0 },
      { "\1290,", "gb18030", 0 }, { "\227\050\154\054", "gb18030", 0 },
      { "a\0b", "utf-16le", 2 }, { "\0\220a\0", "utf-16le", 0 }, { "\216\061a\0", "utf-16be", 0 },
    } do
      local text, err = gbk.decode(case[1], case[2])
      assert.is_nil(text)
      assert.are.equal(case[3], err.code)
      assert.are.equal("encoding", err.reason)
    end
  end)

  it("applies the user's table before encoding, with values of any length", function()
    local map = { ["䶮"] = "龑", ["🙂"] = "", ["①"] = "(1)", a = "á" }
    assert.are.equal("龑x(1)á", gbk.decode(gbk.encode("䶮x🙂①a", "gbk", map), "gbk"))
    assert.are.equal("龑", gbk.encode("䶮", "utf-8", map))
    -- What is put in is not looked up again.
    assert.are.equal("ba", gbk.encode("ab", "gbk", { a = "b", b = "a" }))
  end)

  it("reports a replacement that cannot be encoded at the place of the original", function()
    local bytes, err = gbk.encode("王a", "gbk", { a = "x🙂" })
    assert.is_nil(bytes)
    assert.are.same({ offset = 3, code_point = 0x1F642 }, err.cause)
  end)

  it("refuses replacement tables that make no sense", function()
    for _, map in ipairs { { ab = "x" }, { [""] = "x" }, { ["\255"] = "x" }, { a = "\255" }, { a = ("x"):rep(300) } } do
      local bytes, err = gbk.encode("text", "gbk", map)
      assert.is_nil(bytes)
      assert.are.equal("usage", err.kind)
      assert.is_nil((gbk.converter { from = "utf-8", to = "gbk", map = map }))
    end
    assert.has_error(function() gbk.encode("text", "gbk", { a = 1 }) end)
    assert.has_error(function() gbk.encode("text", "gbk", { "x" }) end)
    assert.has_error(function() gbk.encode("text", "gbk", "map") end)
  end)

  it("gives the same for a stream cut at any two places", function()
    local text = "a王é𠮷,䶮€b\n"
    for _, to in ipairs { "gb18030", "utf-16le", "utf-16be", "utf-8" } do
      local bytes = assert(gbk.encode(text, to))
      for i = 0, #bytes do
        for j = i, #bytes do
          assert.are.equal(text, stream({ from = to, to = "utf-8" }, bytes, { i, j }))
        end
      end
      for i = 0, #text do
        for j = i, #text do
          assert.are.equal(bytes, stream({ from = "utf-8", to = to }, text, { i, j }))
        end
      end
    end
    local map = { ["䶮"] = "龑", ["𠮷"] = "吉吉", ["€"] = "" }
    local mapped = gbk.encode("a王é吉吉,龑b\n", "gbk")
    local source = gbk.encode(text, "gb18030")
    for i = 0, #source do
      assert.are.equal(mapped, stream({ from = "gb18030", to = "gbk", map = map }, source, { i }))
    end
  end)

  it("reports errors of a stream by the byte of the whole stream, wherever it is cut", function()
    local bytes = gbk.encode("王é,", "gb18030") .. "\129" .. ",rest"
    for i = 0, #bytes do
      local out, err = stream({ from = "gb18030", to = "utf-8" }, bytes, { i })
      assert.is_nil(out)
      assert.are.equal(5, err.code)
    end
    -- Unmappable: the offset is that of the source's byte, not of the text it was decoded to.
    bytes = gbk.encode("王é王", "gb18030") .. gbk.encode("𠮷", "gb18030") .. "x"
    for i = 0, #bytes do
      local out, err = stream({ from = "gb18030", to = "gbk" }, bytes, { i })
      assert.is_nil(out)
      assert.are.same({ offset = 6, code_point = 0x20BB7 }, err.cause)
    end
  end)

  it("crosses its inner blocks without losing or moving anything", function()
    local unit = "王é𠮷,a"
    for shift = 0, 5 do
      local text = ("x"):rep(shift) .. unit:rep(20000)
      local bytes = assert(gbk.encode(text, "gb18030"))
      assert.is_true(text == gbk.decode(bytes, "gb18030"))
      assert.is_true(bytes == stream({ from = "gb18030", to = "gb18030" }, bytes, { 32767, 32769, 70001 }))
      local _, err = gbk.decode(bytes .. "\255", "gb18030")
      assert.are.equal(#bytes, err.code)
    end
  end)

  it("survives random bytes and decodes only what encodes back #heavy", function()
    local seed = os.time() % 100000
    math.randomseed(seed)
    for _ = 1, 20000 do
      local bytes = {}
      for i = 1, math.random(1, 12) do
        bytes[i] = string.char(math.random(0, 255))
      end
      local raw = table.concat(bytes)
      for _, encoding in ipairs(ALL) do
        local text = gbk.decode(raw, encoding)
        if text then
          assert.is_true(core.utf8.validate(text), "seed " .. seed)
          local back = gbk.encode(text, encoding)
          -- GB18030 has two codes for six characters (four-byte ones that are also pairs); all else comes back as it was.
          assert.is_true(back == raw or (encoding == "gb18030" and gbk.decode(back, encoding) == text), "seed " .. seed)
        end
      end
    end
  end)

  it("keeps delimiters apart from trail bytes", function()
    -- 錦 ends in 0x5C, 鱸 in 0x7C: a parser by bytes would see a backslash and a bar.
    local list = "钱程似錦|鱸\\"
    local bytes = gbk.encode(list, "gbk")
    assert.are.equal(list, gbk.decode(bytes, "gbk"))
    assert.are.equal(0x5C, gbk.encode("錦", "gbk"):byte(2))
  end)

  it("raises on unknown encodings and on use after the end", function()
    assert.has_error(function() gbk.encode("a", "latin1") end)
    assert.has_error(function() gbk.decode("a", nil) end)
    assert.has_error(function() gbk.converter { from = "utf-8" } end)
    local converter = gbk.converter { from = "UTF-8", to = "GBK" }
    converter:feed("a")
    converter:finish()
    assert.has_error(function() converter:feed("b") end)
    converter:close()
    converter:close()
    converter = gbk.converter { from = "utf-8", to = "gbk" }
    assert.is_nil((converter:feed("🙂")))
    assert.has_error(function() converter:feed("b") end)
    converter:close()
  end)
end)

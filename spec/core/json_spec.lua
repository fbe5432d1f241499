-- SPDX-License-Identifier: MIT
-- campaign.core.json: what the writer writes and refuses. The guard is tested with the decoder, in spec/json_spec.lua.

local command = require "support.command"
local core = require "campaign.core"
require "campaign.error"

local json = core.json
local encode = json.encode

local function refused(value, place)
  local text, err = encode(value)
  assert.is_nil(text)
  assert.are.equal("invalid", err.kind)
  assert.truthy(err.message:find(place, 1, true), err.message)
end

describe("core.json", function()
  it("writes scalars", function()
    assert.are.equal("null", encode(nil))
    assert.are.equal("null", encode(json.null))
    assert.are.equal("true", encode(true))
    assert.are.equal("false", encode(false))
    assert.are.equal('""', encode(""))
    assert.are.equal('"王小明 🙂"', encode("王小明 🙂"))
  end)

  it("writes whole numbers as digits, whatever Lua holds them in", function()
    for number, text in pairs {
      [0] = "0", [1.0] = "1", [-7] = "-7", [123456789012345] = "123456789012345", [1e15] = "1000000000000000",
      [2 ^ 53] = "9007199254740992", [-2 ^ 53] = "-9007199254740992",
    } do
      assert.are.equal(text, encode(number))
    end
    assert.are.equal("0", encode(-0.0))
  end)

  it("writes 64-bit integers whole where Lua has them", function()
    local to_integer = rawget(math, "tointeger")
    if not to_integer then
      -- LuaJIT holds numbers as doubles; literals carry long integers there.
      assert.are.equal(2 ^ 63, tonumber(encode(2 ^ 63)))
      return
    end
    assert.are.equal("9223372036854775807", encode(rawget(math, "maxinteger")))
    assert.are.equal("-9223372036854775808", encode(rawget(math, "mininteger")))
    assert.are.equal("9007199254740993", encode(to_integer(2 ^ 53) + 1))
  end)

  it("writes fractions so that they read back as they were #heavy", function()
    assert.are.equal("0.1", encode(0.1))
    assert.are.equal("2.5", encode(2.5))
    assert.are.equal("0.30000000000000004", encode(0.1 + 0.2))
    math.randomseed(7)
    for _ = 1, 10000 do
      local number = (math.random() - 0.5) * 10 ^ math.random(-300, 300)
      assert.is_true(tonumber(encode(number)) == number)
    end
    for _, number in ipairs { 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 2 ^ 63, 1e22, 1 / 3 } do
      assert.is_true(tonumber(encode(number)) == number)
    end
  end)

  it("refuses NaN and infinite numbers", function()
    refused(0 / 0, "NaN")
    refused({ a = { 1, 1 / 0 } }, "a[2]")
    refused({ a = { b = -1 / 0 } }, "a.b")
  end)

  it("writes literals digit by digit and takes nothing else for one", function()
    assert.are.equal('{"id":9007199254740993}', encode { id = json.literal("9007199254740993") })
    assert.are.equal("-9223372036854775808", encode(json.literal("-9223372036854775808")))
    assert.are.equal("9007199254740993", tostring(json.literal("9007199254740993")))
    for _, text in ipairs {
      "", "-", "01", "1.", ".5", "1e", "+1", "0x10", "1 ", " 1", "1,2", "NaN", ("1"):rep(65), "1\0",
    } do
      assert.has_error(function() json.literal(text) end)
    end
    assert.has_error(function() json.literal(5) end)
    assert.has_error(function() json.literal() end)
  end)

  it("tells empty arrays from empty objects", function()
    assert.are.equal("{}", encode {})
    assert.are.equal("[]", encode(json.array {}))
    assert.are.equal("[]", encode(json.array()))
    assert.are.equal('{"a":[],"b":{},"c":[[],{}]}', encode { a = json.array(), b = {}, c = { json.array(), {} } })
    assert.is_true(json.is_array(json.array()))
    assert.is_false(json.is_array {})
    assert.is_false(json.is_array("text"))
    local list = { 1, 2 }
    assert.are.equal(list, json.array(list))
    assert.has_error(function() json.array("text") end)
    assert.has_error(function() json.array(setmetatable({}, {})) end)
  end)

  it("writes arrays with null and keeps their length", function()
    assert.are.equal("[1,null,3]", encode { 1, json.null, 3 })
    assert.are.equal("[null]", encode { json.null })
  end)

  it("refuses tables that are no JSON value, with their place", function()
    refused({ a = { 1, 2, nil, 4, x = 1 } }, "a is an array and an object at once")
    refused({ rows = { [1] = "a", [3] = "b" } }, "rows is an array with holes")
    refused({ rows = { "a", nil, "c" } }, "rows is an array with holes")
    refused({ [0] = "x" }, "a number as key")
    refused({ [1.5] = "x" }, "a number as key")
    refused({ [true] = "x" }, "neither text nor a number")
    refused(setmetatable({ x = 1 }, getmetatable(json.array())), "an array and an object at once")
    refused({ a = print }, "a is neither")
    refused({ { b = { coroutine.create(print) } } }, "[1].b[1] is neither")
    refused(io.stdout, "neither")
  end)

  it("refuses text that is not UTF-8, with its place", function()
    refused({ data = { { name = "张三" }, { name = "ab\255" } } }, "data[2].name is not valid UTF-8")
    refused({ ["k\255"] = 1 }, "not valid UTF-8")
    refused("\237\160\128", "the value is not valid UTF-8")
    local _, err = encode { phone = "13012341211\255" }
    assert.is_nil(err.message:find("1301234", 1, true)) -- the value itself stays out of the message
    _, err = encode { ["k\255\1"] = "\255" }
    assert.is_true(core.utf8.validate(err.message))
  end)

  it("refuses cycles and too deep nesting, but not a table that occurs twice", function()
    local cycle = { a = {} }
    cycle.a.b = cycle
    refused(cycle, "a.b is a table that contains itself")
    local twice = { 1 }
    assert.are.equal("[[1],[1]]", encode { twice, twice })
    local deep = "x"
    for _ = 1, 64 do
      deep = { deep }
    end
    assert.are.equal(("["):rep(64) .. '"x"' .. ("]"):rep(64), encode(deep))
    refused({ deep }, "64 levels")
    local _, err = encode { k = { deep } }
    assert.is_true(#err.message < 256)
  end)

  it("sorts keys by bytes", function()
    assert.are.equal('{"":0,"A":1,"B":2,"a":3,"aa":4,"b":5,"王":6}',
      encode { b = 5, ["王"] = 6, A = 1, aa = 4, a = 3, B = 2, [""] = 0 })
  end)

  it("escapes only what must be escaped", function()
    assert.are.equal('"\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u0001\\u001f\127\226\128\168\226\128\169"',
      encode('"\\/\b\f\n\r\t\0\1\31\127\226\128\168\226\128\169'))
    assert.are.equal('{"a\\"b\\n":1}', encode { ["a\"b\n"] = 1 })
  end)

  it("finds what must be escaped at every place of texts of every length", function()
    for _, char in ipairs { "\"", "\\", "\0", "\31" } do
      for length = 1, 50 do
        for at = 0, length - 1 do
          local before, after = ("é"):rep(at), ("b"):rep(length - at - 1)
          local escape = char == "\0" and "\\u0000" or char == "\31" and "\\u001f" or "\\" .. char
          assert.is_true(encode(before .. char .. after) == '"' .. before .. escape .. after .. '"')
        end
      end
    end
  end)

  it("indents when asked", function()
    assert.are.equal('{\n  "a": [\n    1,\n    {}\n  ],\n  "b": []\n}',
      encode({ a = { 1, {} }, b = json.array() }, { indent = 2 }))
    assert.has_error(function() encode({}, { indent = 9 }) end)
    assert.has_error(function() encode({}, { indent = 0.5 }) end)
    assert.has_error(function() encode({}, { indent = "x" }) end)
    assert.has_error(function() encode() end)
  end)

  it("writes large tables", function()
    local rows = {}
    for i = 1, 20000 do
      rows[i] = { phone = ("1301234%04d"):format(i % 10000), name = "王小明" }
    end
    local text = encode(rows)
    assert.are.equal(20000 * #'{"name":"王小明","phone":"13012340000"}' + 19999 + 2, #text)
  end)

  it("raises where there is no memory for a text, and writes it whole when there is #heavy", function()
    local result = command.under_shim([[
      local encode, text = require("campaign.core").json.encode, ("x\n"):rep(40000)
      local whole = encode(text)
      io.open("/shim/arm")
      local ok, said = pcall(encode, text)
      io.write(ok and said ~= whole and "a wrong text" or said, ", ", tostring(encode(text) == whole))
    ]], "1 ENOMEM malloc")
    assert.equal("out of memory, true", result.out, result.err)
  end)

  it("gives its text and the guard's also where a finalizer uses them meanwhile #heavy", function()
    local newproxy = rawget(_G, "newproxy")
    local text, calls, wrong = "[" .. ("1,"):rep(10000) .. "1]", 0, 0
    local function finalizer()
      calls = calls + 1
      json.guard("[2]")
      encode({ ("y"):rep(20000) })
    end
    local function leave()
      if newproxy then -- LuaJIT, where a table has no finalizer
        getmetatable(newproxy(true)).__gc = finalizer
      else
        setmetatable({}, { __gc = finalizer })
      end
    end
    while calls < 2000 do
      for _ = 1, 10 do
        leave()
      end
      if json.guard(text) ~= text or encode(("x"):rep(5000)) ~= '"' .. ("x"):rep(5000) .. '"' then
        wrong = wrong + 1
      end
    end
    assert.are.equal(0, wrong)
  end)
end)

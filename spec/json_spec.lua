-- SPDX-License-Identifier: MIT
-- campaign.json: the guard and the decoder together. The tables of texts follow the classes of the JSONTestSuite: y must be read,
-- n must be refused, and where the standard leaves it open this page says what we do.

local core = require "campaign.core"
local json = require "campaign.json"
require "campaign.error"

local function show(text)
  return (text:sub(1, 60):gsub("[^\32-\126]", function(char) return ("\\%d"):format(char:byte()) end))
end

-- { text, what it reads as, written again }
local ACCEPT = {
  { "[]", "[]" }, { "{}", "{}" }, { "[[]   ]", "[[]]" }, { '[""]', '[""]' },
  { "[null]", "[null]" }, { "[1\n]", "[1]" },
  { " [1]", "[1]" }, { "[1,null,null,null,2]", "[1,null,null,null,2]" }, { "[2] ", "[2]" },
  { '"text"', '"text"' },
  -- half a surrogate pair, of a text that somebody cut: valid by the grammar of RFC 8259, and not a reason to know nothing of a reply
  { '["\\uD800"]', '["\239\191\189"]' }, { '["\\uDC00x"]', '["\239\191\189x"]' }, { '["\\uD800\\u0041"]', '["\239\191\189A"]' },
  { '["\\uD800\\uD83D\\uDE00"]', '["\239\191\189\240\159\152\128"]' }, { '["\\uDFFF\\uD800\\uE000"]', '["\239\191\189\239\191\189\238\128\128"]' },
  { '{"a\\uD83D":[]}', '{"a\239\191\189":[]}' },
  { "42", "42" }, { "-0.1", "-0.1" }, { "null", "null" }, { "true", "true" },
  { "false", "false" }, { '" "', '" "' },
  { "[123e65]", "[1.23e+67]" }, { "[0e+1]", "[0]" }, { "[0e1]", "[0]" }, { "[ 4]", "[4]" },
  { "[20e1]", "[200]" },
  { "[-0.000000000000000000000000000000000000000000000000000000000000000000000000000001]", "[-1e-78]" },
  { "[1E22]", "[1e+22]" }, { "[1E-2]", "[0.01]" }, { "[1E+2]", "[100]" },
  { "[123.456e78]", "[1.23456e+80]" },
  { "[-0]", "[0]" }, { "[-123]", "[-123]" }, { "[-1]", "[-1]" }, { "[1e-400]", "[0]" },
  { "[0e999999999999]", "[0]" },
  { "[0.0000000001e310]", "[1e+300]" }, { "[9.9e307]", "[9.9e+307]" },
  { "[1e308]", "[1e+308]" }, { "[-1.7976931348623157e308]", "[-1.7976931348623157e+308]" },
  { "[0.00017e312]", "[1.7e+308]" }, { "[-17976931348623157.00e292]", "[-1.7976931348623157e+308]" },
  { "[" .. ("1"):rep(309) .. ".0]", "[1.1111111111111112e+308]" },
  { '{"asd":"sdf"}', '{"asd":"sdf"}' }, { '{"a":[]}', '{"a":[]}' }, { '{"":0}', '{"":0}' },
  { '{"foo\\u0000bar":42}', '{"foo\\u0000bar":42}' },
  { '{"a":{"a":{"a":1}}}', '{"a":{"a":{"a":1}}}' },
  { '{"a":1,"A":2}', '{"A":2,"a":1}' }, { '[{"a":1},{"a":2}]', '[{"a":1},{"a":2}]' },
  { '["\\u0060\\u012a\\u12AB"]', '["`Īካ"]' }, { '["\\uD801\\udc37"]', '["𐐷"]' },
  { '["\\"\\\\\\/\\b\\f\\n\\r\\t"]', '["\\"\\\\/\\b\\f\\n\\r\\t"]' },
  { '["\\\\u0000"]', '["\\\\u0000"]' }, { '["\\""]', '["\\""]' },
  { '["a/*b*/c"]', '["a/*b*/c"]' }, { '["\\uFFFF"]', '["\239\191\191"]' },
  { '["\226\128\168\127"]', '["\226\128\168\127"]' }, { '["\\u0000"]', '["\\u0000"]' },
  { '["王小明🙂"]', '["王小明🙂"]' },
  { '["\\u2028"]', '["\226\128\168"]' }, { "\t[\r\n\t ]\r\n", "[]" },
  -- Whole numbers of more than 15 digits become texts.
  { "[999999999999999]", "[999999999999999]" }, { "[1000000000000000]", '["1000000000000000"]' },
  { "[-1234567890123456789]", '["-1234567890123456789"]' },
  { "1234567890123456789", '"1234567890123456789"' },
  { '{"id":9007199254740993,"n":[9223372036854775808]}', '{"id":"9007199254740993","n":["9223372036854775808"]}' },
  { "[" .. ("1"):rep(1000) .. "]", '["' .. ("1"):rep(1000) .. '"]' },
  -- A byte order mark is left out.
  { "\239\187\191{}", "{}" },
  { ("["):rep(64) .. ("]"):rep(64), ("["):rep(64) .. ("]"):rep(64) },
}

-- { text, offset of what is wrong }
local REFUSE = {
  { "", 0 }, { " ", 1 }, { "[", 1 }, { "]", 0 }, { "{", 1 }, { "[1", 0 }, { '{"a":1', 0 },
  { '"', 0 }, { '"a', 0 }, { "[1,]", 3 },
  { "[,1]", 1 }, { "[1,,2]", 3 }, { "[1 true]", 3 }, { "[1:2]", 2 }, { "[a]", 1 }, { "[x", 1 },
  { "[1]x", 3 }, { "[1]]", 3 }, { "[][]", 2 },
  { "{}{}", 2 }, { "1 2", 2 }, { "{,}", 1 }, { '{"a"}', 4 }, { '{"a":}', 5 }, { '{"a" 1}', 5 },
  { '{"a":1,}', 7 }, { '{"a":1 "b":2}', 7 },
  { "{a:1}", 1 }, { "{'a':1}", 1 }, { "{1:1}", 1 }, { '{"a":1,,"b":2}', 7 }, { '{"a"::1}', 5 },
  { "{null:null}", 1 }, { "{[]:1}", 1 },
  { "['a']", 1 }, { "[True]", 1 }, { "[TRUE]", 1 }, { "[nul]", 1 }, { "[nulll]", 5 },
  { "tru", 0 }, { "truee", 4 }, { "undefined", 0 },
  -- numbers
  { "[+1]", 1 }, { "[-]", 1 }, { "[--1]", 1 }, { "[01]", 2 }, { "[-01]", 3 }, { "[00]", 2 },
  { "[1.]", 1 }, { "[.5]", 1 }, { "[1e]", 1 },
  { "[1e+]", 1 }, { "[1.e1]", 1 }, { "[1.2.3]", 4 }, { "[0x10]", 2 }, { "[0X1]", 2 },
  { "[NaN]", 1 }, { "[nan]", 1 }, { "[Infinity]", 1 },
  { "[-Infinity]", 1 }, { "[inf]", 1 }, { "[1_000]", 2 }, { "[1,000]", 4 },
  { "[\239\188\145]", 1 }, { "[1e400]", 1 }, { "[-1.8e308]", 1 },
  { "[1.7976931348623159e308]", 1 }, { "[0.18e309]", 1 }, { "[-0.000017976931348623159e313]", 1 },
  { "[17976931348623159" .. ("0"):rep(292) .. ".0]", 1 },
  { "[0.1e1000000000000000000000]", 1 }, { "[" .. ("1"):rep(1025) .. "]", 1 },
  { "[1" .. ("0"):rep(400) .. ".0]", 1 },
  -- strings
  { '["a\nb"]', 3 }, { '["\t"]', 2 }, { '["\0"]', 2 }, { '["\31"]', 2 }, { '["\\x00"]', 2 },
  { '["\\a"]', 2 }, { '["\\\0"]', 2 }, { '["\\"]', 1 },
  { '["\\u"]', 2 }, { '["\\u12"]', 2 }, { '["\\u12G4"]', 2 }, { '["\\U0041"]', 2 },
  { '["\\uD83D\\"]', 1 }, { '"\\', 1 },
  { '"\\u00', 1 }, { '["\\ud83d\\ude"]', 8 }, { '{"\\uD800":1,"\\uDC00":2}', 12 },
  -- not UTF-8
  { '["\255"]', 2 }, { '["\192\128"]', 2 }, { '["\237\160\128"]', 2 },
  { '["\244\144\128\128"]', 2 }, { '["\231\142"]', 2 }, { "[\129]", 1 }, { "\255\254[\0]\0", 0 },
  -- white space and comments that are none
  { "[\f1]", 1 }, { "[\v1]", 1 }, { "[1]\f", 3 }, { "\194\160[]", 0 }, { "[1/*c*/]", 2 },
  { "// c\n[]", 0 }, { "[] # c", 3 }, { "[]\0", 2 },
  { "\239\187\191\239\187\191{}", 3 }, { "[\239\187\1911]", 1 },
  -- a key twice, also when spelt differently
  { '{"a":1,"a":2}', 7 }, { '{"a":1,"\\u0061":1}', 7 }, { '{"x":{"b":1,"c":2,"b":3}}', 18 },
  { '{"":1,"":1}', 6 },
  { '{"王":1,"\\u738b":1}', 9 }, { '[{"a":[{"z":1}],"q":0,"a":1}]', 22 },
  -- depth
  { ("["):rep(65) .. ("]"):rep(65), 64 }, { ("["):rep(100000), 64 },
  { ('{"a":'):rep(100000), 320 },
}

describe("json", function()
  it("T10: reads every text of the accept table, and to the right value", function()
    for _, case in ipairs(ACCEPT) do
      local value, err = json.decode(case[1])
      assert.is_nil(err, show(case[1]) .. ": " .. tostring(err))
      assert.are.equal(case[2], (json.encode(value)), show(case[1]))
    end
  end)

  it("T10: refuses every text of the refuse table, at the right byte and without quoting it", function()
    for _, case in ipairs(REFUSE) do
      local value, err = json.decode(case[1])
      assert.is_nil(value, show(case[1]))
      assert.are.equal("response", err.kind)
      assert.are.equal(case[2], err.code, show(case[1]) .. ": " .. err.message)
      assert.is_true(core.utf8.validate(err.message))
    end
    local _, err = json.decode('{"phone":"13012341211" "x":1}')
    assert.is_nil(err.message:find("13012341211", 1, true))
  end)

  it("refuses what is cut off anywhere", function()
    local text = '{"code":200,"data":[{"phone":"13012341211","s":"a\\u738b\\"x"},[],{},-1.5e3,true,null]}'
    assert.is_truthy(json.decode(text))
    for length = 0, #text - 1 do
      assert.is_nil((json.decode(text:sub(1, length))), text:sub(1, length))
    end
  end)

  it("marks arrays and only arrays", function()
    local value = json.decode('{"a":[],"b":[1],"c":{},"d":[[],{"e":[]}],"1":[0]}')
    assert.is_true(json.is_array(value.a))
    assert.are.equal(0, #value.a)
    assert.is_true(json.is_array(value.b))
    assert.is_false(json.is_array(value.c))
    assert.is_false(json.is_array(value))
    assert.is_true(json.is_array(value.d))
    assert.is_true(json.is_array(value.d[1]))
    assert.is_true(json.is_array(value.d[2].e))
    assert.is_true(json.is_array(value["1"]))
    assert.is_nil(next(value.a))
    assert.is_true(json.is_array((json.decode("[]"))))
  end)

  it("gives null a value of its own", function()
    assert.are.equal(json.null, json.decode("null"))
    assert.are.equal(json.null, json.decode('{"a":null}').a)
    assert.are.equal(json.null, json.decode("[null]")[1])
  end)

  it("gives whole numbers that print as such on both Luas", function()
    local value = json.decode('{"code":200,"list":[1,2.0,-3],"half":0.5}')
    assert.are.equal("200", tostring(value.code))
    assert.are.equal("1 2 -3", table.concat(value.list, " "))
    assert.are.equal("0.5", tostring(value.half))
    assert.are.equal("7", tostring(json.decode("7")))
  end)

  it("keeps ids beyond 2^53 bit for bit, there and back", function()
    for _, id in ipairs { "9007199254740993", "1234567890123456789", "-9223372036854775808", "18446744073709551615" } do
      local value = json.decode('{"id":' .. id .. "}")
      assert.are.equal(id, value.id)
      assert.are.equal('{"id":' .. id .. "}", json.encode { id = json.literal(value.id) })
    end
  end)

  it("refuses text beyond the given limits", function()
    local limits = { bytes = 10, depth = 2, keys = 3 }
    assert.is_truthy(json.decode("[1,2,3,45]", limits))
    local value, err = json.decode("[1,2,3,456]", limits)
    assert.is_nil(value)
    assert.truthy(err.message:find("11 bytes", 1, true))
    assert.is_truthy(json.decode("[[1]]", limits))
    assert.is_nil((json.decode("[[[1]]]", limits)))
    assert.is_truthy(json.decode('{"a":1,"b":2,"c":3}', { keys = 3 }))
    assert.is_nil((json.decode('{"a":1,"b":2,"c":3,"d":4}', { keys = 3 })))
    assert.is_truthy(json.decode('[{"a":1,"b":2,"c":3},{"a":1,"b":2,"c":3}]', { keys = 3 }))
    assert.is_nil((json.decode(" " .. ("x"):rep(8388608))))
    assert.has_error(function() json.decode("[]", { depth = 65 }) end)
    assert.has_error(function() json.decode("[]", { bytes = "x" }) end)
    assert.has_error(function() json.decode(nil) end)
  end)

  it("finds one duplicate among many keys quickly", function()
    local parts = {}
    for i = 1, 999 do
      parts[i] = ('"key%d":%d'):format(i, i)
    end
    local good = "{" .. table.concat(parts, ",") .. "}"
    assert.is_truthy(json.decode(good))
    assert.is_nil((json.decode("{" .. table.concat(parts, ",") .. ',"key500":0}')))
    assert.is_nil((json.decode("{" .. table.concat(parts, ",") .. ',"k1":1,"k2":2}')))
  end)

  it("does not depend on how a host has set its own cjson", function()
    local cjson = require "cjson"
    cjson.decode_max_depth(1)
    local value = json.decode("[[[1]]]")
    cjson.decode_max_depth(1000)
    assert.are.equal(1, value[1][1][1])
  end)

  it("never raises and never lets bad text through, whatever the bytes", function()
    local seed = os.time() % 1000000
    math.randomseed(seed)
    local seeds = {}
    for i, case in ipairs(ACCEPT) do
      seeds[i] = case[1]
    end
    local pieces = {
      "[", "]", "{", "}", ",", ":", '"', "\\", "\\u", "d800", "1", "-", ".", "e", "null", " ", "\255", "\0", "王",
    }
    for _ = 1, 30000 do
      local text = seeds[math.random(#seeds)]
      for _ = 1, math.random(0, 4) do
        local at = math.random(0, #text)
        local change = math.random(3)
        local piece = math.random(2) == 1 and pieces[math.random(#pieces)] or string.char(math.random(0, 255))
        if change == 1 then
          text = text:sub(1, at) .. piece .. text:sub(at + 1)
        elseif change == 2 then
          text = text:sub(1, at) .. text:sub(at + 2)
        else
          text = text:sub(1, at) .. piece .. text:sub(at + 2)
        end
      end
      local ok, value, err = pcall(json.decode, text)
      assert.is_true(ok, ("seed %d: %s: %s"):format(seed, show(text), tostring(value)))
      if err then
        assert.is_nil(value)
      else
        local again = json.encode(value)
        assert.is_string(again, ("seed %d: %s"):format(seed, show(text)))
        -- Once more: a long whole number that came as 1e20 goes out as digits and comes back as text, which then stays.
        local second = json.encode((json.decode(again)))
        assert.are.equal(second, json.encode((json.decode(second))))
      end
    end
  end)
end)

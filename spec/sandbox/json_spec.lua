-- SPDX-License-Identifier: MIT
-- The sandbox's own JSON: strict, the same with and without escapes in the text, and true about where rows lie.

local gather = require "campaign.sandbox.gather"
local json = require "campaign.sandbox.json"
local lists = require "support.lists"

-- A text with a backslash is read by the slower way; both must agree.
local function both(text)
  local plain, why = json.decode(text)
  local other, other_why = json.decode('{"escape":"\\n","value":' .. text .. "}")
  return plain, why, other and other.value, other_why
end

describe("sandbox.json", function()
  it("reads values of every kind", function()
    for text, wanted in pairs({
      ["1"] = 1, ["0"] = 0, ["-0"] = 0, ["10"] = 10, ["-3.5e2"] = -350, ["999999999999999"] = 999999999999999,
      ["true"] = true, ["false"] = false,
      ['""'] = "", ['"漢😀"'] = "漢😀", ["[1 , 2 ,3]"] = { 1, 2, 3 }, ["[ ]"] = {}, ["{ }"] = {}, ['{"a" : 1 , "b": [ {} ]}'] = { a = 1, b = { {} } },
      ['{"a":{"b":{"c":"d"}}}'] = { a = { b = { c = "d" } } }, ['[[],[[1]]]'] = { {}, { { 1 } } },
      ["12345678901234567890"] = "literal",
    }) do
      local plain, why, other = both(text)
      if wanted == "literal" then
        assert.equal(text, json.integer_text(plain))
        assert.equal(text, json.integer_text(other))
      else
        assert.same(wanted, plain, text .. ": " .. tostring(why))
        assert.same(wanted, other, text)
      end
    end
    assert.equal(json.null, (json.decode("null")))
    assert.equal('a"b\\/\b\f\n\r\té😀', (json.decode([["a\"b\\\/\b\f\n\r\t\u00e9\ud83d\ude00"]])))
    assert.same({ a = 1 }, (json.decode('\n{\t"a"\r\n:\n1\n}\n')))
  end)

  it("refuses what is no JSON, and says where", function()
    for _, text in ipairs({
      "", " ", "{", "[", "[1", "[1,", "[1,]", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,", "{\"a\":1,}", "{a:1}", "{\"a\" 1}",
      "{\"a\":1 \"b\":2}", "[1 2]",
      "01", "-", "1.", ".5", "1e", "+1", "0x10", "1a", "nul", "tru", "NaN", "Infinity", "'a'", "\"", "\"a", "[\"a]", "{\"a\":\"b}", "\"a\1b\"",
      "\"a\nb\"", "\"\\x\"",
      "\"\\u12\"", "\"\\ud800\"", "\"\\udc00\"", "\"\\ud800\\u0041\"", "1 2", "{} {}", "{\"a\":1,\"a\":2}", "\255", "\"\237\160\128\"",
      ("["):rep(100),
    }) do
      local value, why = json.decode(text)
      assert.is_nil(value, text)
      assert.is_string(why, text)
    end
    for text, said in pairs({ [""] = "the text ends where a value is expected at byte 0", ["x"] = "expected a value at byte 0",
      ["01"] = "bad number at byte 0" }) do
      assert.equal(said, select(2, json.decode(text)))
    end
  end)

  it("reads what it writes, whatever the order and the blanks", function()
    local random = lists.random(lists.seed())
    local texts = { "", "a", "漢字", 'q"q', "b\\b", "line\nline", "\1", "😀", "phone", "x,y]}" }
    local function value(depth)
      local kind = random(depth > 3 and 4 or 6)
      if kind == 1 then
        return texts[random(#texts)]
      elseif kind == 2 then
        return (random(2000000) - 1000000) / (random(2) == 1 and 1 or 8)
      elseif kind == 3 then
        return random(2) == 1
      elseif kind == 4 then
        return json.null
      end
      local made = kind == 5 and json.array() or {}
      for i = 1, random(4) - 1 do
        made[kind == 5 and i or texts[random(#texts)] .. i] = value(depth + 1)
      end
      return made
    end
    for _ = 1, lists.rounds(400) do
      local given = value(1)
      local text = json.encode(given)
      assert.same(given, (json.decode(text)), text)
      local spaced = text:gsub('[%[%]{}:,]', function(mark) return text:find('["\\]', 1) and mark or " " .. mark .. "\n" end)
      assert.same(given, (json.decode(spaced)), spaced)
    end
  end)

  it("tells where the rows of a request lie, so that a log can hold them as they came", function()
    for _, text in ipairs({
      '{"x":[9],"data":[{"a":1},  {"b" : [1,{"c":"]}"}]},"t",3 ,null],"y":1}', '{"data":[ {"a":"q\\"q"} ,{"a":"]"}],"z":"\\n"}',
    }) do
      local value = assert(json.decode(text))
      for i, row in ipairs(value.data) do
        local whole, from, to = json.place_of(value.data, i)
        assert.same(row, (json.decode(whole:sub(from, to))))
      end
      assert.is_nil(json.place_of(value.data, #value.data + 1))
      assert.is_nil(json.place_of(value.data[1], 1))
    end
    assert.is_nil(json.place_of(assert(json.decode('{"data":[\n1]}')).data, 1)) -- it would not stay on one line
    assert.is_nil(json.place_of(assert(json.decode("[1]")), 1))
  end)
end)

describe("sandbox.gather", function()
  it("gives what was put in, in order, also beyond its room", function()
    local lines, wanted = gather.new(16), {}
    for round = 1, 3 do
      for i = 1, 200 do
        lines:put("piece " .. i)
        lines:put_part("<part " .. round .. ">", 2, 7)
        wanted[#wanted + 1] = "piece " .. i .. "part " .. round
      end
      assert.is_true(lines:size() > 0)
      assert.equal(table.concat(wanted), lines:take())
      assert.equal(0, lines:size())
      wanted = {}
    end
    assert.equal("", lines:take())
  end)
end)

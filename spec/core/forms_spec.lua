-- SPDX-License-Identifier: MIT
-- Rows of a form, and rows that are pieces of one text: what is written, and that its size is known before it is written.

local core = require "campaign.core"
local lists = require "support.lists"

local random_seed = lists.seed()
local random = lists.random(random_seed)

local function encoder_of(description)
  description.prefix, description.suffix = description.prefix or "<", description.suffix or ">"
  return core.rows.encoder(description)
end

-- The bodies of a list, made in memory, while they are sent, and ahead of time.
local function bodies(csv, description, batch_rows)
  local input = assert(core.rows.input{ path = lists.file(csv) })
  local encoder = assert(encoder_of(description))
  local pass = assert(core.rows.preflight(input, encoder, { batch_rows = batch_rows or 1000 }))
  local texts, rejected = {}, 0
  for step in function() return pass:step() end do
    for _, batch in ipairs(step.batches) do
      local source = assert(encoder:source(input, batch))
      assert.equal(batch.body_bytes, source:length())
      source:close()
      texts[#texts + 1] = assert(encoder:text(input, batch))
      assert.equal(batch.body_bytes, #texts[#texts])
    end
    rejected = rejected + step.rejected
  end
  pass:close()
  encoder:close()
  input:close()
  return texts, rejected
end

local function encoded(text)
  return (text:gsub("[^%w%-._~]", function(byte) return ("%%%02X"):format(byte:byte()) end))
end

describe("rows of a form", function()
  after_each(lists.clean)

  it("are names and values, percent-encoded; an empty one is left out", function()
    local texts = bodies('a,b,c,d\n"x & y=z",, 张,1\n+%,é,-._~,0\n', { format = "form", columns = 4, separator = "&", fields = {
      { name = "to", column = 1 }, { name = "文 b", column = 2 }, { name = "c", column = 3 }, { name = "is", column = 4, type = "boolean" },
      { name = "k", constant = "1&2" }, { name = "n", constant = "7", type = "integer" },
    } }, 1)
    assert.same({
      "<to=x%20%26%20y%3Dz&c=%20%E5%BC%A0&is=true&k=1%262&n=7>",
      "<to=%2B%25&%E6%96%87%20b=%C3%A9&c=-._~&is=false&k=1%262&n=7>",
    }, texts)
  end)

  it("may be hashed, joined and marked", function()
    local texts = bodies("m,tags,mark\n13800000000,a;b,\n,x,own &\n", { format = "form", columns = 3, separator = "&", fields = {
      { name = "m", column = 1, hash = { algorithm = "md5" } }, { name = "t", column = 2, split = ";", join = ", " },
      { name = "ref", column = 3, mark = "j 1:" },
    } }, 1)
    assert.same({
      "<m=" .. core.digest.hex(core.digest.of("md5", "13800000000")) .. "&t=a%2C%20b&ref=j%201%3A1>",
      "<t=x&ref=own%20%26>",
    }, texts)
  end)

  it("refuses what a form does not have", function()
    for description, words in pairs({
      [{ row = "array" }] = "rows of a form have the shape object or piece",
      [{ row = "value" }] = "rows of a form have the shape object or piece",
      [{ encoding = "gbk" }] = "JSON bodies and forms are always utf-8",
      [{ header = { "a" } }] = "a header line is only for CSV",
      [{ fields = { { name = "a", column = 1, array = true } } }] = "arrays are only for JSON rows",
      [{ fields = { { name = "a", type = "object", fields = { { name = "b", column = 1 } } } } }] = "objects are only for JSON rows",
      [{ row = "piece", fields = { { name = "a", column = 1 }, { name = "b", column = 1 } } }] = "have exactly one field",
    }) do
      description.format, description.columns = "form", 1
      description.fields = description.fields or { { name = "a", column = 1 } }
      local encoder, err = encoder_of(description)
      assert.is_nil(encoder)
      assert.matches(words, err.message, 1, true)
    end
  end)
end)

describe("rows that are pieces of one text", function()
  after_each(lists.clean)

  it("stand without quotes, escaped for where they stand", function()
    local csv = 'm\n"a""b"\n张\n'
    local fields = { { name = "m", column = 1, required = true, forbid = "," } }
    assert.same({ '<a\\"b,张>' }, (bodies(csv, { format = "json", row = "piece", columns = 1, separator = ",", fields = fields })))
    assert.same({ "<a%22b%2C%E5%BC%A0>" }, (bodies(csv, { format = "form", row = "piece", columns = 1, separator = "%2C", fields = fields })))
    local texts, rejected = bodies('m\n"a,b"\n\nc\n', { format = "json", row = "piece", columns = 1, separator = ",", fields = fields })
    assert.same({ "<c>" }, texts)
    assert.equal(1, rejected)
  end)

  it("keep the digits of numbers as they are, and write truth as a word", function()
    local number = { { name = "n", column = 1, required = true, type = "integer" } }
    assert.same({ "<1,9007199254740993>" },
      (bodies("n\n1\n9007199254740993\n", { format = "json", row = "piece", columns = 1, separator = ",", fields = number })))
    assert.same({ "<n=1&n=-2>" },
      (bodies("n\n1\n-2\n", { format = "form", row = "piece", columns = 1, prefix = "<n=", separator = "&n=", fields = number })))
  end)
end)

it("any row of a form is as long as was said and what it was #seed" .. random_seed, function()
  local alphabet = { "a", "Z", "0", " ", "&", "=", "+", "%", "~", "é", "张", "😀", "'", ";", "/" }
  local rows, wanted = {}, {}
  for i = 1, 300 do
    local cells = {}
    for k = 1, 3 do
      local letters = {}
      for n = 1, k == 1 and random(40) or random(41) - 1 do
        letters[n] = alphabet[random(#alphabet)]
      end
      cells[k] = table.concat(letters)
    end
    rows[i] = table.concat(cells, ",")
    local pairs_list = {}
    for k, name in ipairs{ "one", "two", "three" } do
      pairs_list[#pairs_list + 1] = cells[k] ~= "" and name .. "=" .. encoded(cells[k]) or nil
    end
    wanted[i] = "<" .. table.concat(pairs_list, "&") .. ">"
  end
  local texts = bodies("a,b,c\n" .. table.concat(rows, "\n") .. "\n", { format = "form", columns = 3, separator = "&", fields = {
    { name = "one", column = 1 }, { name = "two", column = 2 }, { name = "three", column = 3 },
  } }, 1)
  assert.same(wanted, texts)
  lists.clean()
end)

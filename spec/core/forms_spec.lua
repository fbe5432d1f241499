-- SPDX-License-Identifier: MIT
-- Rows that are pieces of one text, of JSON or of a form: what is written, and that its size is known before it is written.

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
    assert.same({ "<true,false>" }, (bodies("n\nTRUE\n0\n", { format = "json", row = "piece", columns = 1, separator = ",", fields = {
      { name = "n", column = 1, type = "boolean" } } })))
  end)

  it("may be digests", function()
    assert.same({ "<" .. core.digest.hex(core.digest.of("md5", "13800000000")) .. ">" }, (bodies("m\n13800000000\n", { format = "form", row = "piece",
      columns = 1, fields = { { name = "m", column = 1, hash = { algorithm = "md5" } } } })))
  end)

  it("are one value each", function()
    for description, words in pairs({
      [{ row = "array" }] = "rows of a form have the shape piece",
      [{ row = "object" }] = "rows of a form have the shape piece",
      [{ encoding = "gbk" }] = "JSON bodies and forms are always utf-8",
      [{ header = { "a" } }] = "a header line is only for CSV",
      [{ fields = { { name = "a", column = 1, array = true } } }] = "a piece is one value",
      [{ fields = { { name = "a", column = 1, split = ";", join = "," } } }] = "a piece is one value",
      [{ fields = { { name = "a", column = 1, mark = "j." } } }] = "a piece is one value",
      [{ fields = { { name = "a", type = "object", fields = { { name = "b", column = 1 } } } } }] = "objects are only for JSON rows",
      [{ fields = { { name = "a", column = 1 }, { name = "b", column = 1 } } }] = "have exactly one field",
    }) do
      description.format, description.columns, description.row = "form", 1, description.row or "piece"
      description.fields = description.fields or { { name = "a", column = 1 } }
      local encoder, err = encoder_of(description)
      assert.is_nil(encoder)
      assert.matches(words, err.message, 1, true)
    end
  end)
end)

it("any piece of a form is as long as was said and what it was #seed" .. random_seed, function()
  local alphabet = { "a", "Z", "0", " ", "&", "=", "+", "%", "~", "é", "张", "😀", "'", ";", "/" }
  local cells, wanted = {}, {}
  for i = 1, 1000 do
    local letters = {}
    for n = 1, random(60) do
      letters[n] = alphabet[random(#alphabet)]
    end
    cells[i] = table.concat(letters)
    wanted[i] = encoded(cells[i])
  end
  local texts = bodies("a\n" .. table.concat(cells, "\n") .. "\n", { format = "form", row = "piece", columns = 1, separator = "%2C", fields = {
    { name = "one", column = 1 },
  } })
  assert.same({ "<" .. table.concat(wanted, "%2C") .. ">" }, texts)
  lists.clean()
end)

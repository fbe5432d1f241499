-- SPDX-License-Identifier: MIT
-- Cells that are sent as their digest: published digests, and the same bytes as the plain way (campaign.api.hashing) in every kind of body,
-- as many as the pass counted.

local core = require "campaign.core"
local hashing = require "campaign.api.hashing"
local lists = require "support.lists"

local random_seed = lists.seed()

-- Bodies of a list in batches of seven rows, and rejected rows.
local function encode(csv, description)
  local input = assert(core.rows.input{ path = lists.file(csv), encoding = "utf-8", delimiter = "," })
  local encoder = assert(core.rows.encoder(description))
  local pass = assert(core.rows.preflight(input, encoder, { batch_rows = 7 }))
  local parts, reasons = {}, {}
  for step in function() return pass:step() end do
    for _, batch in ipairs(step.batches) do
      local source = assert(encoder:source(input, batch))
      assert.equal(batch.body_bytes, source:length())
      source:close()
      parts[#parts + 1] = assert(encoder:text(input, batch))
      assert.equal(batch.body_bytes, #parts[#parts])
    end
    for _, reject in ipairs(step.rejects) do
      reasons[#reasons + 1] = reject.reason
    end
  end
  pass:close()
  encoder:close()
  input:close()
  return parts, reasons
end

local function json_of(csv, fields, row)
  return encode(csv, { format = "json", row = row, columns = 2, prefix = "[", suffix = "]", separator = ",", fields = fields })
end

local WAYS = {}
for _, algorithm in ipairs{ "md5", "sha256" } do
  for _, output in ipairs{ "hex", "upper_hex" } do
    for bits = 0, 3 do
      WAYS[#WAYS + 1] = { algorithm = algorithm, output = output, trim = bits % 2 == 1, lower = bits > 1 }
    end
  end
end

describe("hashed cells", function()
  it("are the published digests", function()
    local md5, sha256 = { algorithm = "md5" }, { algorithm = "sha256" }
    for text, digest in pairs{ a = "0cc175b9c0f1b6a831c399e269772661", ["message digest"] = "f96b697d7cb7938d525a2f31aaf161d0" } do
      assert.same({ '[{"k":"' .. digest .. '","v":"x"}]' }, json_of("a,b\n" .. text .. ",x\n",
        { { name = "k", column = 1, hash = md5 }, { name = "v", column = 2 } }))
      assert.equal(digest, hashing.text(md5, text))
    end
    local abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert.same({ '["' .. abc .. '"]' }, json_of("a,b\nabc,\n", { { name = "k", column = 1, hash = sha256 } }, "value"))
    assert.equal(abc, hashing.text(sha256, "abc"))
    assert.equal(abc:upper(), hashing.text({ algorithm = "sha256", output = "upper_hex", trim = true, lower = true }, "\t\n 　AbC　 \r"))
  end)

  it("are left out where nothing is left of them, and refused where they must not be blank", function()
    local fields = { { name = "k", column = 1, hash = { algorithm = "md5", trim = true } }, { name = "v", column = 2 } }
    assert.same({ '[{"v":"1"},{"v":"2"},{"v":"3"}]' }, json_of('a,b\n,1\n"  ",2\n　,3\n', fields))
    assert.same({ '[["","1"]]' }, json_of('a,b\n"\t",1\n', fields, "array"))
    fields[1].hash = { algorithm = "md5" }
    assert.same({ '[{"k":"23b58def11b45727d3351702515f86af","v":"2"}]' }, json_of('a,b\n"  ",2\n', fields))
    fields[1].not_blank = true
    local _, reasons = json_of('a,b\n"  ",2\n', fields)
    assert.same({ "blank" }, reasons)
  end)

  it("may be constants", function()
    for _, how in ipairs(WAYS) do
      local fields = { { name = "k", constant = " Aé\"", hash = how }, { name = "v", column = 2 } }
      assert.same({ '[{"k":"' .. hashing.text(how, ' Aé"') .. '","v":"2"}]' }, json_of("a,b\n1,2\n", fields))
      local bodies = encode("a,b\n1,2\n", { format = "csv", columns = 2, line_end = "\n", fields = fields })
      assert.same({ hashing.text(how, ' Aé"') .. ",2\n" }, bodies)
    end
    assert.same({ '[{"k":"","v":"2"}]' }, json_of("a,b\n1,2\n",
      { { name = "k", constant = " ", hash = { algorithm = "md5", trim = true } }, { name = "v", column = 2 } }))
  end)

  it("are no numbers, lists or marks, and of a known kind", function()
    for _, more in ipairs{ { type = "integer" }, { split = ";", join = "," }, { mark = "m-" }, { array = true } } do
      local field = { name = "k", column = 1, hash = { algorithm = "md5" } }
      for key, value in pairs(more) do
        field[key] = value
      end
      local encoder, err = core.rows.encoder{ format = "json", columns = 1, fields = { field } }
      assert.is_nil(encoder)
      assert.matches("is hashed: it must be a string of its own", err.message, 1, true)
    end
    for text, hash in pairs{ ["unknown algorithm"] = { algorithm = "crc" }, ["unknown output"] = { algorithm = "md5", output = "hax" },
      ["unknown key 'upper'"] = { algorithm = "md5", upper = true }, ["must be a table"] = "md5" } do
      local well, problem = pcall(core.rows.encoder, { format = "json", columns = 1, fields = { { name = "k", column = 1, hash = hash } } })
      assert.is_false(well)
      assert.matches(text, tostring(problem), 1, true)
    end
  end)

  it("are those of the plain way, in objects, arrays, values and CSV in other encodings, however long the text is", function()
    local alphabet = { "a", "Z", "M", " ", "\t", "　", "王", "é", "1", "@", '"', "\\", ",", "\n", "" }
    local random = lists.random(random_seed)
    for _, how in ipairs(WAYS) do
      local rows, csv = {}, { "a,b\n" }
      for i = 1, 40 do
        local pieces = {}
        for k = 1, random(i % 10 == 0 and 900 or 13) - 1 do
          pieces[k] = alphabet[random(#alphabet)]
        end
        rows[i] = { table.concat(pieces) .. (i == 1 and "x" or ""), alphabet[random(9)] .. "v" }
        csv[#csv + 1] = core.csv.line(rows[i])
      end
      local list = table.concat(csv)
      local wanted = { object = {}, array = {}, value = {}, csv = {} }
      for i, row in ipairs(rows) do
        local digest = hashing.text(how, row[1])
        local value = core.json.encode(row[2])
        wanted.object[i] = (digest ~= "" and '{"k":"' .. digest .. '",' or "{") .. '"v":' .. value .. "}"
        wanted.array[i] = '["' .. digest .. '",' .. value .. "]"
        wanted.value[i] = '"' .. digest .. '"'
        wanted.csv[i] = digest .. "," .. assert(core.gbk.encode((core.csv.line{ row[2] }:gsub("\r\n$", "")), "gb18030")) .. "\n"
      end
      local fields = { { name = "k", column = 1, hash = how }, { name = "v", column = 2 } }
      for _, shape in ipairs{ "object", "array", "value" } do
        local bodies = json_of(list, shape == "value" and { fields[1] } or fields, shape)
        local text = table.concat(bodies):gsub("%]%[", ","):sub(2, -2)
        assert.equal(table.concat(wanted[shape], ","), text)
      end
      local bodies = encode(list, { format = "csv", columns = 2, encoding = "gb18030", line_end = "\n", fields = fields })
      assert.equal(table.concat(wanted.csv), table.concat(bodies))
    end
  end)
end)

-- SPDX-License-Identifier: MIT
-- Objects in the rows of a JSON body: where they stand, when they are left out, and that the size of a body is known before it is written.

local core = require "campaign.core"
local lists = require "support.lists"

local random_seed = lists.seed()

local function encoder_of(fields, columns, more)
  local description = { format = "json", columns = columns, prefix = "[", suffix = "]", fields = fields }
  for key, value in pairs(more or {}) do
    description[key] = value
  end
  return core.rows.encoder(description)
end

-- The body of a list in one batch, and its refused rows.
local function body(csv, fields, columns, more)
  local input = assert(core.rows.input{ path = lists.file(csv) })
  local encoder = assert(encoder_of(fields, columns, more))
  local pass = assert(core.rows.preflight(input, encoder, { batch_rows = 1000000 }))
  local parts, rejects = {}, {}
  local step = pass:step()
  while step do
    for _, batch in ipairs(step.batches) do
      local source = assert(encoder:source(input, batch))
      assert.equal(batch.body_bytes, source:length())
      source:close()
      local text = assert(encoder:text(input, batch))
      assert.equal(batch.body_bytes, #text)
      parts[#parts + 1] = text
    end
    for _, reject in ipairs(step.rejects) do
      rejects[#rejects + 1] = reject
    end
    step = pass:step()
  end
  pass:close()
  encoder:close()
  input:close()
  return table.concat(parts), rejects
end

local function object(name, fields, required)
  return { name = name, type = "object", fields = fields, required = required }
end

describe("core.rows.encoder with objects in rows", function()
  after_each(lists.clean)

  it("leaves out empty members without a stray comma, empty objects whole, and keeps those that are required", function()
    local inner = { { name = "p.a", key = "a", column = 1 }, object("q", { { name = "p.q.b", key = "b", column = 2, type = "integer" } }) }
    local list = "a,b,c\nx,1,y\nx,,\n,1,\n,,y\n"
    assert.equal('[{"p":{"a":"x","q":{"b":1}},"c":"y"},{"p":{"a":"x"}},{"p":{"q":{"b":1}}},{"c":"y"}]',
      (body(list, { object("p", inner), { name = "c", column = 3 } }, 3)))
    assert.equal('[{"c":"y","p":{"a":"x","q":{"b":1}}},{"p":{"a":"x"}},{"p":{"q":{"b":1}}},{"c":"y","p":{}}]',
      (body(list, { { name = "c", column = 3 }, object("p", inner, true) }, 3)))
  end)

  it("does not keep an object for the sake of a required one that is empty in it", function()
    local fields = { object("p", { object("q", { { name = "a", column = 1 } }, true), { name = "b", column = 2 } }), { name = "c", column = 3 } }
    assert.equal('[{"c":"1"},{"p":{"q":{},"b":"2"}},{"p":{"q":{"a":"3"}}}]', (body("a,b,c\n,,1\n,2,\n3,,\n", fields, 3)))
  end)

  it("demands a field only where another one of its object is filled", function()
    local fields = { object("p", { { name = "p.a", key = "a", column = 1 }, { name = "p.b", key = "b", column = 2 } }), { name = "c", column = 3 } }
    local text, rejects = body("a,b,c\n1,2,x\n,2,x\n1,,x\n,,x\n", fields, 3,
      { demands = { { fields = { { name = "p.a", column = 1 } }, given = { 1, 2 } } } })
    assert.equal('[{"p":{"a":"1","b":"2"},"c":"x"},{"p":{"a":"1"},"c":"x"},{"c":"x"}]', text)
    assert.equal(1, #rejects)
    assert.same({ 2, "p.a", "required" }, { rejects[1].row, rejects[1].name, rejects[1].reason })
  end)

  it("refuses objects where rows are none, too many in each other, and what is no description", function()
    local fields = { object("p", { { name = "a", column = 1 } }) }
    for _, more in ipairs{ { row = "array" }, { row = "value" }, { format = "csv", prefix = "", suffix = "" } } do
      local none, err = encoder_of(fields, 1, more)
      assert.is_nil(none)
      assert.equal("usage", err.kind)
    end
    local deep = { { name = "a", column = 1 } }
    for _ = 1, 8 do
      deep = { object("o", deep) }
    end
    assert(encoder_of(deep, 1)):close()
    local none, err = encoder_of({ object("o", deep) }, 1)
    assert.is_nil(none)
    assert.matches("at most 8 objects", err.message, 1, true)
    assert.has_error(function() encoder_of({ { name = "p", type = "object", column = 1 } }, 1) end)
    assert.has_error(function() encoder_of({ { name = "p", type = "object", fields = 1 } }, 1) end)
    assert.has_error(function() encoder_of({ { name = "a", column = 1 } }, 1,
      { demands = { { fields = { { name = "a", column = 1 } }, given = { 0 } } } }) end)
    none = encoder_of({ { name = "a", column = 1 } }, 1, { demands = { { fields = { { name = "a", column = 1 } }, given = { 2 } } } })
    assert.is_nil(none)
  end)

  it("writes what a model of JSON writes, whatever is empty, quoted or repeated (seed " .. random_seed .. ")", function()
    math.randomseed(random_seed)
    local random, columns = math.random, 6
    local values = { "", "", "a", "12", 'say "x"', "\\", "中文", ("long "):rep(30) }

    local function make(depth, names)
      local fields = {}
      for i = 1, random(4) do
        local name = "n" .. i
        if depth < 4 and random(3) == 1 then
          fields[i] = object(name, make(depth + 1, names .. name .. "."), random(4) == 1 or nil)
        elseif random(5) == 1 then
          fields[i] = { name = names .. name, key = name, constant = values[random(#values)] }
        else
          fields[i] = { name = names .. name, key = name, column = random(columns) }
        end
      end
      return fields
    end

    -- The members of an object as text, and whether one of its fields is there.
    local function model(fields, row)
      local parts, is_there = {}, false
      for _, field in ipairs(fields) do
        local text, inner
        if field.type == "object" then
          text, inner = model(field.fields, row)
          text = (inner or field.required) and text or nil
        else
          text = field.constant or row[field.column] ~= "" and row[field.column] or nil
          inner, text = text ~= nil, text and assert(core.json.encode(text))
        end
        is_there = is_there or inner
        parts[#parts + 1] = text and '"' .. (field.key or field.name) .. '":' .. text
      end
      return "{" .. table.concat(parts, ",") .. "}", is_there
    end

    for round = 1, tonumber(os.getenv("NESTED_ROUNDS")) or 150 do
      local fields, lines, expected = make(1, ""), { "a,b,c,d,e,f" }, {}
      for i = 1, 12 do
        local row = {}
        for column = 1, columns do
          row[column] = values[random(#values)]
        end
        row[columns + 1 - random(1, 2)] = "z" -- a line with nothing in it would be none
        lines[i + 1] = core.csv.line(row):gsub("[\r\n]+$", "")
        expected[i] = model(fields, row)
      end
      assert.equal("[" .. table.concat(expected, ",") .. "]", (body(table.concat(lines, "\n") .. "\n", fields, columns)),
        "seed " .. random_seed .. ", round " .. round)
    end
  end)
end)

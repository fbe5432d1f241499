-- SPDX-License-Identifier: MIT
-- Rows that go from the file's window to the body without a copy: whatever the order and number of columns, the bytes are those of the
-- plain way, field by field (core.csv.line and core.gbk.encode), and as many as the pass counted.

local core = require "campaign.core"

local VALUES = { "", "a", "张三", "13800138000", "上海市浦东新区", "é€", "a b", "一,二", 'say "x"', " ", "\\", ("长"):rep(40), ("x"):rep(70) }

local path

-- A generator of its own: the same cases on every Lua.
local function generator(seed)
  return function(most)
    seed = (seed * 16807) % 2147483647
    return seed % most + 1
  end
end

local function write(text)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  file:close()
end

local function lines_of(rows, line_end)
  local lines = {}
  for i, row in ipairs(rows) do
    lines[i] = core.csv.line(row):gsub("\r\n$", line_end)
  end
  return table.concat(lines)
end

-- What the body must be, and how many rows have no place in it.
local function plain_way(rows, order, encoding)
  local lines, left_out = {}, 0
  for i = 2, #rows do
    local row = {}
    for k, column in ipairs(order) do
      row[k] = rows[i][column]
    end
    local line = core.csv.line(row)
    local bytes = encoding == "utf-8" and line or core.gbk.encode(line, encoding)
    if bytes then
      lines[#lines + 1] = bytes
    else
      left_out = left_out + 1
    end
  end
  return table.concat(lines), left_out
end

local function campaign_way(order, columns, encoding)
  local input = assert(core.rows.input{ path = path, encoding = "utf-8", delimiter = "," })
  local fields = {}
  for k, column in ipairs(order) do
    fields[k] = { name = "f" .. k, column = column }
  end
  local encoder = assert(core.rows.encoder{ format = "csv", columns = columns, encoding = encoding, line_end = "\r\n", fields = fields })
  local pass = assert(core.rows.preflight(input, encoder, { batch_rows = 7 }))
  local parts, rejected = {}, 0
  for step in function() return pass:step() end do
    rejected = rejected + step.rejected
    for _, batch in ipairs(step.batches) do
      parts[#parts + 1] = assert(encoder:text(input, batch))
      assert.equal(batch.body_bytes, #parts[#parts])
    end
  end
  pass:close()
  encoder:close()
  input:close()
  return table.concat(parts), rejected
end

describe("rows sent as they lie in the file", function()
  before_each(function()
    path = os.tmpname()
  end)

  after_each(function()
    os.remove(path)
  end)

  for _, encoding in ipairs({ "utf-8", "gbk", "gb18030" }) do
    it("are those of the plain way, for any choice and order of columns, in " .. encoding, function()
      for seed = 1, 150 do
        local random = generator(seed * 7919)
        local columns = random(6)
        local rows = { {} }
        for k = 1, columns do
          rows[1][k] = "column" .. k
        end
        for i = 2, 1 + random(30) do
          rows[i] = {}
          for k = 1, columns do
            rows[i][k] = VALUES[random(seed % 3 == 0 and 7 or #VALUES)]
          end
          if columns == 1 and rows[i][1] == "" then
            rows[i][1] = "x" -- an empty line is no row
          end
        end
        write(lines_of(rows, seed % 2 == 0 and "\n" or "\r\n"))
        local order, taken = {}, {}
        for _ = 1, random(columns) do
          local column = random(columns)
          if not taken[column] or seed % 5 == 0 then
            taken[column] = true
            order[#order + 1] = column
          end
        end
        if seed % 4 == 0 then -- all of them, turned round
          for k = 1, columns do
            order[k] = (k + seed) % columns + 1
          end
        end
        local want, left_out = plain_way(rows, order, encoding)
        local got, rejected = campaign_way(order, columns, encoding)
        assert.equal(want, got)
        assert.equal(left_out, rejected)
      end
    end)
  end

  it("keep a row whose only field is empty", function()
    write("a,b\n,x\ny,\n")
    assert.equal('""\r\ny\r\n', (campaign_way({ 1 }, 2, "utf-8")))
    assert.equal(',\r\nx,y\r\n', (function()
      write("a,b\n,\ny,x\n")
      return (campaign_way({ 2, 1 }, 2, "gbk"))
    end)())
  end)
end)

-- SPDX-License-Identifier: MIT
-- From a list to bodies: what a row becomes in JSON and CSV, how batches are cut, and that no row and no byte is lost on the way.

local core = require "campaign.core"
local lists = require "support.lists"

local random_seed = lists.seed()

local function contains(text, part)
  assert(text:find(part, 1, true), "'" .. part .. "' is missing in: " .. text)
end

-- Everything a pass tells: { rows, accepted, rejected, blank, batches, rejects }.
local function run(input, encoder, options)
  local pass = assert(core.rows.preflight(input, encoder, options))
  local total = { rows = 0, accepted = 0, rejected = 0, skipped = 0, blank = 0, bytes = 0, batches = {}, rejects = {} }
  while true do
    local step, err = pass:step()
    if not step then
      pass:close()
      return total, err
    end
    for _, name in ipairs { "rows", "accepted", "rejected", "skipped", "blank", "bytes" } do
      total[name] = total[name] + step[name]
    end
    for _, batch in ipairs(step.batches) do
      total.batches[#total.batches + 1] = batch
    end
    for _, reject in ipairs(step.rejects) do
      total.rejects[#total.rejects + 1] = reject
    end
  end
end

-- All bytes of a source, read in pieces of `size`.
local function drain(source, size)
  local parts = {}
  while true do
    local bytes, err = source:read(size or 65536)
    if not bytes then
      source:close()
      return table.concat(parts), err
    end
    parts[#parts + 1] = bytes
  end
end

local function body_of(encoder, input, batch, size)
  local source = assert(encoder:source(input, batch))
  assert.equal(batch.body_bytes, source:length())
  local body, err = drain(source, size)
  assert(not err, err and err.message)
  assert.equal(batch.body_bytes, #body)
  return body
end

-- The bodies of a list with these bytes.
local function bodies(bytes, description, options)
  local input = assert(core.rows.input { path = lists.file(bytes) })
  local encoder, err = core.rows.encoder(description)
  assert(encoder, err and err.message)
  local total = run(input, encoder, options)
  local out = {}
  for i, batch in ipairs(total.batches) do
    out[i] = body_of(encoder, input, batch)
  end
  encoder:close()
  input:close()
  return out, total
end

describe("core.rows.encoder", function()
  after_each(lists.clean)

  it("writes JSON objects: texts escaped, numbers bare, optional empty fields left out", function()
    local out = bodies('name,phone,sex,vip,n\n张三,1,0,1,1.5\n"a""b\\\n\t",2,,false,\n,3,1,,\n', {
      format = "json", columns = 5, prefix = '{"data":[', suffix = '],"encryption":false}',
      fields = {
        { name = "name", column = 1 }, { name = "phone", column = 2, required = true }, { name = "sex", column = 3, type = "integer" },
        { name = "vip", column = 4, type = "boolean" }, { name = "n", column = 5, type = "number" },
        { name = 'k"ey', constant = 'v"\n' }, { name = "one", constant = 1 }, { name = "two", constant = "2", type = "integer" },
        { name = "yes", constant = true }, { name = "none" },
      },
    })
    local constants = ',"k\\"ey":"v\\"\\n","one":1,"two":2,"yes":true}'
    assert.same({
      '{"data":[{"name":"张三","phone":"1","sex":0,"vip":true,"n":1.5' .. constants
        .. ',{"name":"a\\"b\\\\\\n\\t","phone":"2","vip":false' .. constants
        .. ',{"phone":"3","sex":1' .. constants .. '],"encryption":false}',
    }, out)
  end)

  it("R068 client writes rows as values in the order of the fields, without a header; empty ones as empty texts", function()
    local list = "a,b,c\n1,x,true\n,,\n"
    local fields = { { name = "b", column = 2 }, { name = "a", column = 1, type = "integer" },
      { name = "c", column = 3, type = "boolean" } }
    assert.same({ '[["x",1,true],["","",""]]' },
      (bodies(list, { format = "json", row = "array", columns = 3, prefix = "[", suffix = "]", fields = fields })))
    assert.same({ '["x",""]' },
      (bodies(list, { format = "json", row = "value", columns = 3, prefix = "[", suffix = "]", fields = { fields[1] } })))
    assert.same({ "1;2" }, (bodies("a\n1\n2\n", { format = "json", row = "value", columns = 1, separator = ";",
      fields = { { name = "a", column = 1, type = "integer" } } })))
  end)

  it("writes components without those that are empty, and leaves the list out when all are", function()
    local description = {
      format = "json", columns = 3, fields = {
        { name = "p", column = 1 },
        { name = "components", type = "components", items = { { id = "u", column = 2 }, { id = 'v"', column = 3 } } },
      },
    }
    local out = bodies('p,u,v\n1,x,"y"""\n2,,z\n3,,\n', description)
    assert.same({ '{"p":"1","components":[{"id":"u","value":"x"},{"id":"v\\"","value":"y\\""}]},'
      .. '{"p":"2","components":[{"id":"v\\"","value":"z"}]},{"p":"3"}' }, out)
    description.fields[2].required = true
    local _, total = bodies("p,u,v\n1,x,\n3,,\n", description)
    assert.equal(1, total.rejected)
    assert.equal("required", total.rejects[1].reason)
    assert.equal("components", total.rejects[1].name)
  end)

  it("writes a mark with the row's number where the field is empty or has no column", function()
    local list = "p,extra\n1,\n\n2,own\n3,\n"
    assert.same({ '{"extra":"j\\"1.1"}{"extra":"own"}{"extra":"j\\"1.3"}' },
      (bodies(list, { format = "json", columns = 2, separator = "", fields = { { name = "extra", column = 2, mark = 'j"1.' } } })))
    assert.same({ "1,m-1\r\n2,m-2\r\n3,m-3\r\n" },
      (bodies(list, { format = "csv", columns = 2, fields = { { name = "p", column = 1 }, { name = "m", mark = "m-" } } })))
  end)

  it("splits, trims and joins lists", function()
    local fields = { { name = "g", column = 1, split = ";", join = ",", required = true, forbid = ",，" } }
    local list = "g,h\n\" 新客 ;老客;a\"\"b\",1\n一,1\n"
    assert.same({ '{"g":"新客,老客,a\\"b"},{"g":"一"}' }, (bodies(list, { format = "json", columns = 2, fields = fields })))
    assert.same({ '"新客,老客,a""b"\r\n一\r\n' }, (bodies(list, { format = "csv", columns = 2, fields = fields })))
  end)

  it("writes CSV with a header, CRLF and only the quotes that are needed, also when columns change place", function()
    local list = 'a;b;c\n1;"x;y";"plain"\n"2";a,b;\n"q""";l"m;"n\nn"\n'
    local input = assert(core.rows.input { path = lists.file(list), delimiter = ";" })
    local fields = { { name = "a", column = 1 }, { name = "b", column = 2 }, { name = "c", column = 3 } }
    local encoder = assert(core.rows.encoder { format = "csv", columns = 3, header = { "A", "B,b", "C" }, fields = fields })
    local total = run(input, encoder)
    assert.equal('A,"B,b",C\r\n1,x;y,plain\r\n2,"a,b",\r\n"q""","l""m","n\nn"\r\n', body_of(encoder, input, total.batches[1]))
    local turned = assert(core.rows.encoder { format = "csv", columns = 3, line_end = "\n", delimiter = "\t",
      fields = { fields[3], fields[1], { name = "k", constant = "t\tt" } } })
    total = run(input, turned)
    assert.equal('plain\t1\t"t\tt"\n\t2\t"t\tt"\n"n\nn"\t"q"""\t"t\tt"\n', body_of(turned, input, total.batches[1]))
    encoder:close()
    turned:close()
    input:close()
    local one = { { name = "a", column = 1 } }
    local marked = { format = "csv", columns = 1, bom = true, fields = one }
    assert.same({ "\239\187\191x\r\n", "\239\187\191y\r\n" }, (bodies("a\nx\ny\n", marked, { batch_rows = 1 })))
    marked.header = { "h" }
    assert.same({ "\239\187\191h\r\nx\r\n" }, (bodies("a\nx\n", marked)))
    for _, wrong in ipairs({ { format = "csv", encoding = "gbk" }, { format = "json" } }) do
      wrong.columns, wrong.fields, wrong.bom = 1, one, true
      local none, err = core.rows.encoder(wrong)
      assert.is_nil(none)
      assert.matches("byte order mark", err.message, 1, true)
    end
    assert.same({ '""\r\nx\r\n' }, (bodies('a,b\n,1\nx,2\n', { format = "csv", columns = 2, fields = { { name = "a", column = 1 } } })))
  end)

  it("R031 client writes GBK, whatever the second bytes look like, and names what GBK lacks by column and code point", function()
    local list = "姓名,公司\n钱程似錦,誠\\|@\n䶮,好\n好,𠮷野家\n\"誠,\",🙂\n"
    local description = { format = "csv", encoding = "gbk", columns = 2, header = { "姓名", "公司" },
      fields = { { name = "n", column = 1 }, { name = "c", column = 2 } } }
    local out, total = bodies(list, description)
    assert.equal("姓名,公司\r\n钱程似錦,誠\\|@\r\n", core.gbk.decode(out[1], "gbk"))
    assert.equal(4, total.rows)
    local faults = {}
    for i, reject in ipairs(total.rejects) do
      assert.equal("unmappable", reject.reason)
      faults[i] = { reject.row, reject.column, reject.code_point, reject.column_name, reject.name }
    end
    assert.same({ { 2, 1, 0x4DAE, "姓名", "n" }, { 3, 2, 0x20BB7, "公司", "c" }, { 4, 2, 0x1F642, "公司", "c" } }, faults)
    contains(total.rejects[1].message, "U+4DAE, which does not exist in gbk")
    assert.same({ "䶮", "好" }, total.rejects[1].fields)
    description.encoding = "gb18030"
    out, total = bodies(list, description)
    assert.equal(0, total.rejected)
    assert.equal("姓名,公司\r\n钱程似錦,誠\\|@\r\n䶮,好\r\n好,𠮷野家\r\n\"誠,\",🙂\r\n", core.gbk.decode(out[1], "gb18030"))
  end)

  it("R057 client writes a list of one column as GBK without anything beside that column", function()
    local out, total = bodies("name,uuid,x\n甲,u-1,1\n乙,,2\n丙,号码3,3\n", { format = "csv", encoding = "gbk", columns = 3,
      fields = { { name = "uuid", column = 2, required = true } } })
    assert.same({ assert(core.gbk.encode("u-1\r\n号码3\r\n", "gbk")) }, out)
    assert.equal("required", total.rejects[1].reason)
    assert.equal(2, total.rejects[1].row)
  end)

  it("takes exactly the characters that the encoding has, one by one through all of them #heavy", function()
    for _, encoding in ipairs { "gbk", "gb18030" } do
      local parts, expected, rows = { "a,b\n" }, {}, 0
      for c = 0x80, 0x20100 do
        if (c < 0xD800 or c > 0xDFFF) and c % (c < 0x10000 and 1 or 7) == 0 then
          local text = c < 0x800 and string.char(0xC0 + math.floor(c / 64), 0x80 + c % 64)
            or c < 0x10000 and string.char(0xE0 + math.floor(c / 4096), 0x80 + math.floor(c / 64) % 64, 0x80 + c % 64)
            or string.char(0xF0 + math.floor(c / 262144), 0x80 + math.floor(c / 4096) % 64, 0x80 + math.floor(c / 64) % 64, 0x80 + c % 64)
          rows = rows + 1
          parts[#parts + 1] = "中文中文中文中文中文x" .. text .. ",b\n"
          if not core.gbk.encode(text, encoding) then
            expected[#expected + 1] = rows .. ":" .. c
          end
        end
      end
      local input = assert(core.rows.input { path = lists.file(table.concat(parts)), encoding = "utf-8" })
      local encoder = assert(core.rows.encoder { format = "csv", encoding = encoding, columns = 2,
        fields = { { name = "a", column = 1 }, { name = "b", column = 2 } } })
      local total = run(input, encoder, { batch_rows = 5000 })
      local found = {}
      for i, reject in ipairs(total.rejects) do
        found[i] = reject.row .. ":" .. tostring(reject.code_point)
      end
      assert.equal(table.concat(expected, " "), table.concat(found, " "))
      assert.equal(rows, total.rows)
      for _, batch in ipairs(total.batches) do
        body_of(encoder, input, batch)
      end
      encoder:close()
      input:close()
    end
  end)

  it("applies the user's table before checks, quoting and encoding, and only that table", function()
    local list = "姓名,b\n䶮,x\n𠮷,x\na•b,x\n"
    local out, total = bodies(list, { format = "csv", encoding = "gbk", columns = 2, map = { ["䶮"] = "龑", ["•"] = ",\"" },
      fields = { { name = "n", column = 1, max_length = 4 }, { name = "b", column = 2 } } })
    assert.equal("龑,x\r\n\"a,\"\"b\",x\r\n", core.gbk.decode(out[1], "gbk"))
    assert.equal(1, total.rejected)
    assert.same({ "𠮷", "x" }, total.rejects[1].fields)
    local json = bodies(list, { format = "json", columns = 2, map = { x = '"' }, fields = { { name = "b", column = 2 } } })
    assert.equal('{"b":"\\""},{"b":"\\""},{"b":"\\""}', json[1])
  end)

  it("reports every fault of a row, without its values", function()
    local _, total = bodies("p,e,n\n123,not-an-address,x\n", {
      format = "json", columns = 3,
      fields = { { name = "phone", column = 1, check = "mobile_cn" }, { name = "n", column = 3, type = "integer" } },
      checks = { { name = "email", column = 2, check = "email", max_length = 5 } },
    })
    local reject = total.rejects[1]
    assert.equal(1, reject.row)
    assert.equal(2, reject.line)
    local found = {}
    for i, fault in ipairs(reject.faults) do
      found[i] = { fault.column, fault.reason, fault.check, fault.name }
      for _, value in ipairs { "123", "not-an-address" } do
        assert.is_nil(fault.message:find(value, 1, true))
      end
    end
    assert.same({ { 1, "check", "mobile_cn", "phone" }, { 3, "integer", nil, "n" }, { 2, "too_long", nil, "email" } }, found)
    contains(reject.message, "column 1 (p as phone)")
  end)

  it("refuses descriptions that make no sense", function()
    local field = { { name = "a", column = 1 } }
    for part, description in pairs {
      ["unknown format"] = { format = "xml", columns = 1, fields = field },
      ["unknown row shape"] = { format = "json", row = "map", columns = 1, fields = field },
      ["cannot write"] = { format = "csv", encoding = "utf-16le", columns = 1, fields = field },
      ["are always utf-8"] = { format = "json", encoding = "gbk", columns = 1, fields = field },
      ["at least one field"] = { format = "json", columns = 1, fields = {} },
      ["exactly one field"] = { format = "json", row = "value", columns = 1, fields = { field[1], field[1] } },
      ["are only for JSON"] = { format = "csv", columns = 1, prefix = "x", fields = field },
      ["components are only for JSON"] = { format = "csv", columns = 1, fields = { { name = "c", type = "components", items = {} } } },
      ["a header line is only for CSV"] = { format = "json", columns = 1, header = { "a" }, fields = field },
      ["line_end"] = { format = "csv", columns = 1, line_end = "\r", fields = field },
      ["U+4DAE"] = { format = "csv", encoding = "gbk", columns = 1, header = { "䶮" }, fields = field },
      ["breaks its rule 'enum'"] = { format = "json", columns = 1, fields = { { name = "a", constant = "3", enum = { "1" } } } },
      ["at most 16 bytes"] = { format = "json", columns = 1,
        fields = { { name = "a", column = 1, split = ";", join = ("x"):rep(17) } } },
      ["must be a string"] = { format = "json", columns = 1, fields = { { name = "a", mark = "m", type = "integer" } } },
      ["is not valid UTF-8"] = { format = "json", columns = 1, prefix = "\255", fields = field },
    } do
      local encoder, err = core.rows.encoder(description)
      assert.is_nil(encoder)
      contains(err.message, part)
    end
    assert.has_error(function() core.rows.encoder { format = "json", columns = 1, fields = field, colums = 2 } end)
    assert.has_error(function() core.rows.encoder { format = "json", fields = field } end)
    assert.has_error(function() core.rows.encoder { format = "json", columns = 1, fields = field, map = { 1 } } end)
  end)
end)

describe("core.rows.preflight", function()
  after_each(lists.clean)

  local function simple(columns)
    return assert(core.rows.encoder { format = "json", columns = columns or 2, prefix = "[", suffix = "]",
      fields = { { name = "p", column = 1, check = "digits", required = true }, { name = "n", column = 2 } } })
  end

  it("cuts batches by accepted rows; rejected rows lie in their ranges and are named in skip", function()
    local input = assert(core.rows.input { path = lists.file("p,n\n1,a\nx,b\ny,c\n2,d\n\n3,e\n4,f\nz,g\n") })
    local encoder = simple()
    local total = run(input, encoder, { batch_rows = 2 })
    assert.equal(7, total.rows)
    assert.equal(4, total.accepted)
    assert.equal(3, total.rejected)
    assert.equal(1, total.blank)
    assert.equal(2, #total.batches)
    assert.same({ index = 1, offset = 4, bytes = 17, first_row = 1, first_line = 2, rows = 4, accepted = 2, skip = "2-3",
      hash = input:checksum { offset = 4, bytes = 17 }, body_bytes = #'[{"p":"1","n":"a"},{"p":"2","n":"d"}]' }, total.batches[1])
    assert.same({ index = 2, offset = 21, bytes = 12, first_row = 5, first_line = 7, rows = 3, accepted = 2, skip = "3",
      hash = input:checksum { offset = 21, bytes = 12 },
      body_bytes = 37 }, total.batches[2])
    assert.equal('[{"p":"1","n":"a"},{"p":"2","n":"d"}]', body_of(encoder, input, total.batches[1]))
    assert.equal('[{"p":"3","n":"e"},{"p":"4","n":"f"}]', body_of(encoder, input, total.batches[2]))
    local rows = {}
    for row, fields in input:rows(total.batches[2]) do
      rows[#rows + 1] = row .. fields[1]
    end
    assert.same({ "53", "64", "7z" }, rows)
    encoder:close()
    input:close()
  end)

  it("leaves out rows whose key an accepted row had before, and lists them as duplicates", function()
    local input = assert(core.rows.input { path = lists.file("p,n\n1,a\n2,b\n1,c\nx,d\nx,e\n\n2,f\n3,\n4,\n") })
    local encoder = simple()
    local pass = assert(core.rows.preflight(input, encoder, { unique = 1, batch_rows = 3 }))
    local step = pass:step()
    pass:close()
    assert.same({ 8, 4, 2, 2, 1 }, { step.rows, step.accepted, step.rejected, step.duplicate, step.blank })
    assert.same({
      { row = 3, line = 4, column = 1, of_row = 1, fields = { "1", "c" } },
      { row = 6, line = 8, column = 1, of_row = 2, fields = { "2", "f" } },
    }, step.duplicates)
    assert.equal("3-6", step.batches[1].skip)
    assert.equal('[{"p":"1","n":"a"},{"p":"2","n":"b"},{"p":"3"}]', body_of(encoder, input, step.batches[1]))
    assert.equal('[{"p":"4"}]', body_of(encoder, input, step.batches[2]))
    pass = assert(core.rows.preflight(input, encoder, { unique = 2 }))
    assert.equal(0, pass:step().duplicate) -- empty texts are no duplicates of each other
    pass:close()
    local none, err = core.rows.preflight(input, encoder, { unique = 3 })
    assert.is_nil(none)
    contains(err.message, "unique names column 3 of 2")
    encoder:close()
    input:close()
  end)

  it("finds exactly the duplicates of a long list", function()
    local random = lists.random(random_seed + 5)
    local parts, seen, expected = { "p,n\n" }, {}, {}
    for i = 1, lists.rounds(30000) do
      local key = tostring(random(40000)):rep(random(5))
      parts[#parts + 1] = key .. ",n\n"
      if seen[key] then
        expected[#expected + 1] = i .. "=" .. seen[key]
      end
      seen[key] = seen[key] or i
    end
    local input = assert(core.rows.input { path = lists.file(table.concat(parts)) })
    local encoder = simple()
    local pass = assert(core.rows.preflight(input, encoder, { unique = 1, batch_rows = 500 }))
    local found = {}
    for step in function() return pass:step() end do
      assert.equal(step.rows, step.accepted + step.rejected + step.duplicate)
      for _, duplicate in ipairs(step.duplicates) do
        found[#found + 1] = duplicate.row .. "=" .. duplicate.of_row
      end
      for _, batch in ipairs(step.batches) do
        body_of(encoder, input, batch)
      end
    end
    assert.equal(table.concat(expected, " "), table.concat(found, " "), "seed " .. random_seed)
    pass:close()
    encoder:close()
    input:close()
  end)

  it("keeps bodies within batch_bytes and rejects a row that alone is larger", function()
    local parts = { "p,n\n" }
    for i = 1, 300 do
      parts[#parts + 1] = i .. "," .. ("n"):rep(i % 70) .. "\n"
    end
    parts[#parts + 1] = "301," .. ("n"):rep(500) .. "\n302,n\n"
    local input = assert(core.rows.input { path = lists.file(table.concat(parts)) })
    local encoder = simple()
    local total = run(input, encoder, { batch_bytes = 400 })
    assert.equal(301, total.accepted)
    assert.equal("too_large", total.rejects[1].reason)
    assert.equal(301, total.rejects[1].row)
    local accepted = 0
    for _, batch in ipairs(total.batches) do
      assert.is_true(batch.body_bytes <= 400)
      accepted = accepted + batch.accepted
      body_of(encoder, input, batch)
    end
    assert.equal(301, accepted)
    encoder:close()
    input:close()
  end)

  it("makes no batch of rows that are all rejected, and says so in the counts", function()
    local input = assert(core.rows.input { path = lists.file("p,n\n" .. ("x,y\n"):rep(3000)) })
    local encoder = simple()
    local total = run(input, encoder, { batch_rows = 10 })
    assert.equal(3000, total.rejected)
    assert.equal(0, #total.batches)
    encoder:close()
    input:close()
  end)

  it("tells at most 250 rejects in a step", function()
    local input = assert(core.rows.input { path = lists.file("p,n\n" .. ("x,y\n"):rep(600) .. "1,a\n") })
    local encoder = simple()
    local pass = assert(core.rows.preflight(input, encoder, {}))
    local counts = {}
    for step in function() return pass:step() end do
      counts[#counts + 1] = step.rejected
    end
    assert.same({ 250, 250, 100 }, counts)
    pass:close()
    encoder:close()
    input:close()
  end)

  -- What lines, records and reasons must be, made of the rejects as values.
  local function told(rejects)
    local function point(code_point)
      return code_point and ("U+%04X"):format(code_point)
    end
    local lines, records, reasons = {}, {}, {}
    for i, reject in ipairs(rejects) do
      local messages = {}
      for n = 1, math.min(5, #reject.faults) do
        messages[n] = reject.faults[n].message
      end
      local cause = reject.reason == "unmappable" and "unmappable" or "invalid"
      local column, code = reject.column_name or reject.name, point(reject.code_point) or reject.check
      lines[i] = core.csv.row(reject.fields, 10, reject.row, reject.line, "rejected", cause, column, reject.reason, code,
        table.concat(messages, "; "))
      records[i] = { reject.row, cause, column or core.json.null, reject.reason, code or core.json.null }
      local key = table.concat({ cause, column or "", reject.reason, code or "" }, "|")
      reasons[key] = (reasons[key] or 0) + 1
    end
    return table.concat(lines), records, reasons
  end

  it("lists a refused row with all of its fields, however many", function()
    local wide = ("x,"):rep(200000) .. "end"
    local input = assert(core.rows.input { path = lists.file("a,b\n1,2\n" .. wide .. "\n") })
    local encoder = assert(core.rows.encoder { format = "json", row = "array", columns = 2, fields = { { name = "a", column = 1 } } })
    local pass = assert(core.rows.preflight(input, encoder, { lines = true }))
    local lines = ""
    for step in function() return pass:step() end do
      lines = lines .. step.lines
    end
    pass:close()
    assert.is_true(lines:sub(-#wide - 2) == wide .. "\r\n")
  end)

  it("gives rejected rows as lines of their file, as records and as counts of their reasons, all as the values have them", function()
    local random = lists.random(random_seed + 7)
    local bytes = { "", "x", '"a,b"', '"q""q"', "back\\slash", "张三", "䶮", "\255", "\0", "a\rb", '"two\r\nlines"', "13800000000", '"x"y' }
    local parts = { 'a,"b ""q"", ,",c\n' }
    for i = 1, 3000 do
      local row = {}
      for n = 1, random(20) == 1 and random(5) or 3 do
        row[n] = bytes[random(#bytes)]
      end
      parts[i + 1] = table.concat(row, ",") .. (random(2) == 1 and "\n" or "\r\n")
    end
    local fields = { { name = "a", column = 1, required = true, max_length = 6 }, { name = "b", column = 2, check = "mobile_cn" },
      { name = "c", column = 3, forbid = "三," } }
    local checks = {}
    for n = 1, 4 do -- more faults than are told
      checks[n] = { column = 1, name = "also " .. n, check = "email" }
    end
    for _, delimiter in ipairs{ ",", ";" } do
      local text = delimiter == "," and table.concat(parts) or table.concat(parts):gsub(",", ";")
      local input = assert(core.rows.input { path = lists.file(text), encoding = "utf-8", delimiter = delimiter, max_record = 64 })
      local encoder = assert(core.rows.encoder { format = "csv", encoding = "gbk", columns = 3, fields = fields, checks = checks })
      local total = run(input, encoder)
      local pass = assert(core.rows.preflight(input, encoder, { lines = true }))
      local lines, records, reasons, rejected, first = {}, {}, {}, 0, nil
      for step in function() return pass:step(random(2) == 1 and random(20000) or nil) end do
        assert.same({}, step.rejects)
        rejected = rejected + step.rejected
        lines[#lines + 1] = step.lines
        for _, record in ipairs(step.records and assert(require("campaign.json").decode(step.records)) or {}) do
          records[#records + 1] = record
        end
        for _, why in ipairs(step.reasons or {}) do
          local key = table.concat({ why.cause, why.column or "", why.reason, why.code or "" }, "|")
          reasons[key] = (reasons[key] or 0) + why.count
        end
        assert.is_nil(first and step.unmappable)
        first = first or step.unmappable
      end
      pass:close()
      local wanted_lines, wanted_records, wanted_reasons = told(total.rejects)
      assert.is_true(rejected > 1000)
      assert.equal(#total.rejects, rejected)
      assert.is_true(wanted_lines == table.concat(lines), "seed " .. random_seed)
      assert.same(wanted_records, records)
      assert.same(wanted_reasons, reasons)
      for _, reject in ipairs(total.rejects) do
        if reject.reason == "unmappable" then
          assert.same({ reject.row, reject.line }, { first.row, first.line })
          contains(first.message, reject.message)
          break
        end
      end
      encoder:close()
      input:close()
    end
  end)

  it("rejects records of a broken form with their fields as they are", function()
    local path = lists.file("p,n\n1,张\n2\n3,a,b\n4,\255\n5,\0\n6,\"a\"b\n7,\"a,b\"\n")
    local input = assert(core.rows.input { path = path, encoding = "utf-8" })
    local encoder = simple()
    local total = run(input, encoder)
    local found = {}
    for i, reject in ipairs(total.rejects) do
      found[i] = { reject.row, reject.line, reject.reason, table.concat(reject.fields, "|") }
    end
    assert.same({ { 2, 3, "width", "2" }, { 3, 4, "width", "3|a|b" }, { 4, 5, "encoding", "4|\255" }, { 5, 6, "nul", "5|\0" },
      { 6, 7, "quote", '6|"a"b' } }, found)
    contains(total.rejects[1].message, "row 2 (line 3) has 1 fields, the header has 2")
    contains(total.rejects[3].message, "not valid utf-8 at byte 20 of the file")
    assert.equal(20, total.rejects[3].fault_offset)
    assert.equal('[{"p":"1","n":"张"},{"p":"7","n":"a,b"}]', body_of(encoder, input, total.batches[1]))
    encoder:close()
    input:close()
  end)

  it("stops at a quote that is never closed, with an error at every further step", function()
    local input = assert(core.rows.input { path = lists.file("p,n\n1,a\n2,\"b\n3,c\n") })
    local encoder = simple()
    local pass = assert(core.rows.preflight(input, encoder))
    for _ = 1, 2 do
      local step, err = pass:step()
      assert.is_nil(step)
      assert.equal("invalid", err.kind)
      contains(err.message, "row 2: the quoted field that opens in line 3 is never closed")
    end
    pass:close()
    encoder:close()
    input:close()
  end)

  it("fails at the end when the file was written to meanwhile", function()
    local path = lists.file("p,n\n" .. ("1,aaaa\n"):rep(400000))
    local input = assert(core.rows.input { path = path })
    local encoder = simple()
    local pass = assert(core.rows.preflight(input, encoder))
    assert.is_true(pass:step().rows > 0)
    core.system.sleep(0.02)
    local file = assert(io.open(path, "ab"))
    file:write("2,more\n")
    file:close()
    local step, err
    repeat
      step, err = pass:step()
    until not step
    assert.equal("invalid", err.kind)
    contains(err.message, "was changed after it was opened")
    pass:close()
    encoder:close()
    input:close()
  end)

  it("refuses an encoder of another width and a list without a header", function()
    local input = assert(core.rows.input { path = lists.file("a,b,c\n") })
    local encoder = simple()
    local pass, err = core.rows.preflight(input, encoder)
    assert.is_nil(pass)
    contains(err.message, "3 columns, the encoder was created for 2")
    input:close()
    input = assert(core.rows.input { path = lists.file("") })
    pass, err = core.rows.preflight(input, encoder)
    assert.is_nil(pass)
    contains(err.message, "empty")
    input:close()
    encoder:close()
  end)

  it("cuts a batch anew, smaller or without further rows", function()
    local input = assert(core.rows.input { path = lists.file("p,n\n1,a\nx,b\n2,c\n3,d\n4,e\n5,f\n") })
    local encoder = simple()
    local whole = run(input, encoder).batches[1]
    assert.equal("2", whole.skip)
    local halves = run(input, encoder, { batch_rows = 3, range = whole })
    assert.equal(2, #halves.batches)
    assert.equal(1, halves.skipped)
    assert.equal(0, halves.rejected)
    assert.same({ 1, 5 }, { halves.batches[1].first_row, halves.batches[2].first_row })
    assert.equal('[{"p":"1","n":"a"},{"p":"2","n":"c"},{"p":"3","n":"d"}]', body_of(encoder, input, halves.batches[1]))
    whole.skip = "2,4-5"
    local fewer = run(input, encoder, { range = whole }).batches[1]
    assert.same({ 3, 6, "2,4-5" }, { fewer.accepted, fewer.rows, fewer.skip })
    assert.equal('[{"p":"1","n":"a"},{"p":"2","n":"c"},{"p":"5","n":"f"}]', body_of(encoder, input, fewer))
    for _, skip in ipairs { "2,1", "a", "2-", "5-4", ",", "1,", "1,,2", "0", "99999999999999999999" } do
      whole.skip = skip
      local pass, err = core.rows.preflight(input, encoder, { range = whole })
      assert.is_nil(pass)
      contains(err.message, "skip must be")
      local source
      source, err = encoder:source(input, whole)
      assert.is_nil(source)
      contains(err.message, "skip must be")
    end
    encoder:close()
    input:close()
  end)

  it("fails a body when the file is no longer what was checked, before its last byte is out", function()
    local path = lists.file("p,n\n" .. ("1,aaaa\n"):rep(1000))
    local changes = {
      ("1,aaaa\n"):rep(999) .. "2,bbbb\n", -- the same length, another time of change
      ("1,aaaa\n"):rep(999) .. "1,aaa\n\n", -- one byte of the body less
      ("1,aaaa\n"):rep(999) .. "1,\"a\"\n", -- shorter
      ("1,aaaa\n"):rep(500), ("1,aaaa\n"):rep(999) .. "1aaaaa\n",
    }
    for i, change in ipairs(changes) do
      lists.write(path, "p,n\n" .. ("1,aaaa\n"):rep(1000))
      local input = assert(core.rows.input { path = path })
      local encoder = simple()
      local total = run(input, encoder)
      core.system.sleep(0.02)
      lists.write(path, "p,n\n" .. change)
      local source, err = encoder:source(input, total.batches[1])
      assert.is_nil(source, "change " .. i)
      assert.equal("invalid", err.kind)
      encoder:close()
      input:close()
    end
  end)

  it("fails a streamed body when the file changes while it is sent", function()
    local rows = ("1,%s\n"):format(("a"):rep(1000)):rep(3000)
    local path = lists.file("p,n\n" .. rows)
    local input = assert(core.rows.input { path = path })
    local encoder = simple()
    local batch = run(input, encoder).batches[1]
    assert.is_true(batch.body_bytes > 1048576)
    local function sent_while(change)
      local source = assert(encoder:source(input, batch))
      assert.equal(1000, #source:read(1000))
      core.system.sleep(0.02)
      change()
      return drain(source)
    end
    -- The same bytes at another time are no change.
    local body, err = sent_while(function() lists.write(path, "p,n\n" .. rows) end)
    assert.equal(batch.body_bytes, #assert(body, err) + 1000)
    for words, change in pairs{
      ["other bytes"] = function() lists.write(path, "p,n\n" .. rows:sub(1, -3) .. "b\n") end,
      ["was changed"] = function() lists.write(path, "p,n\n" .. rows .. "2,more\n") end,
    } do
      body, err = sent_while(change)
      assert(err, "the change went unseen: " .. words)
      assert.is_true(#body + 1000 < batch.body_bytes)
      contains(err.message, words)
      lists.write(path, "p,n\n" .. rows)
    end
    encoder:close()
    input:close()
  end)

  -- Other bytes in the place of some, with the time of change put back.
  local function tamper(path, offset, bytes)
    local mtime = assert(core.system.stat(path)).mtime
    local file = assert(io.open(path, "r+b"))
    file:seek("set", offset)
    file:write(bytes)
    file:close()
    assert(os.execute(("touch -d @%.9f %s"):format(mtime, path)))
  end

  it("fails a streamed body whose range has other bytes than the pass saw, though size and time are the same, before its last byte is out", function()
    for i, case in ipairs{ { 4, "2" }, { 4 + 3000 * 1003 - 2, "b" }, { 1500000, "b" } } do
      for _, encoding in ipairs{ "utf-8", "gbk" } do
        local path = lists.file("p,n\n" .. ("1,%s\n"):format(("a"):rep(1000)):rep(3000))
        assert(os.execute("touch -d @1700000000.5 " .. path)) -- a time that every file system and touch can give back
        local input = assert(core.rows.input { path = path })
        local encoder = assert(core.rows.encoder{ format = "csv", encoding = encoding, columns = 2,
          fields = { { name = "n", column = 2 }, { name = "p", column = 1 } } })
        local batch = run(input, encoder).batches[1]
        assert.is_true(input:untouched())
        assert.equal(batch.body_bytes, #drain(assert(encoder:source(input, batch))))
        core.system.sleep(0.02)
        tamper(path, case[1], case[2])
        assert.is_false(input:untouched())
        local body, err = drain(assert(encoder:source(input, batch)), 65536)
        assert(err, "the change went unseen: " .. i)
        contains(err.message, "other bytes")
        assert.is_true(#body < batch.body_bytes)
        encoder:close()
        input:close()
      end
    end
  end)

  it("tells with a small body the checksum of the bytes that it was made of, and none with one that is made while it is sent", function()
    for _, case in ipairs({
      { "p,n\n" .. ("1,中文\n"):rep(400), "utf-8" }, { "p,n\n" .. ("1,\214\208\n"):rep(3), "gbk" },
      { "\255\254p\0,\0n\0\n\0" .. ("1\0,\0-\78\n\0"):rep(50), "utf-16le" }, { "p,n\n" .. ("1,\"a\nb\"\n"):rep(20000), "utf-8" },
    }) do
      local input = assert(core.rows.input { path = lists.file(case[1]), encoding = case[2] })
      local encoder = simple()
      local batch = run(input, encoder).batches[1]
      local source, sum = encoder:source(input, batch)
      assert.equal(assert(input:checksum(batch)), sum)
      for _, value in ipairs { -1, 0 / 0, math.huge, 1e300, 0.5, "1" } do
        assert.has_error(function() input:checksum { offset = value, bytes = 1 } end)
        assert.has_error(function() input:checksum { offset = 1, bytes = value } end)
      end
      assert.equal(batch.body_bytes, #drain(source))
      encoder:close()
      input:close()
    end
    local input = assert(core.rows.input { path = lists.file("p,n\n" .. ("1,%s\n"):format(("a"):rep(1000)):rep(3000)) })
    local encoder = simple()
    local source, sum = encoder:source(input, run(input, encoder).batches[1])
    assert(source):close()
    assert.is_nil(sum)
    encoder:close()
    input:close()
  end)

  it("goes on with sources after the input and the encoder were closed", function()
    local input = assert(core.rows.input { path = lists.file("p,n\n" .. ("1,%s\n"):format(("a"):rep(1000)):rep(3000)) })
    local encoder = simple()
    local batch = run(input, encoder).batches[1]
    local source = assert(encoder:source(input, batch))
    encoder:close()
    input:close()
    assert.equal(batch.body_bytes, #drain(source))
    assert.has_error(function() encoder:source(input, batch) end)
  end)
end)

describe("rows and bytes", function()
  after_each(lists.clean)

  local pieces = { "1", "23", "a", ",", '"', "\n", "\r\n", "张", "䶮", "𠮷", "\\", " ", ";", "\0", "\255", "\1", '","', "，", "13800138000" }
  local descriptions = {
    { format = "json", columns = 3, prefix = "{[", suffix = "]}", fields = {
      { name = "a", column = 1, max_length = 6 }, { name = "b", column = 2, type = "integer" }, { name = "m", column = 3, mark = "j." } } },
    { format = "json", columns = 3, row = "array", fields = {
      { name = "l", column = 1, split = ";", join = ", " }, { name = "a", column = 1 }, { name = "c", column = 3, forbid = "，" } } },
    { format = "json", columns = 3, separator = "\n", fields = {
      { name = "k", type = "components", items = { { id = "x", column = 1 }, { id = "y", column = 2 } } },
      { name = "t", constant = "c" } } },
    { format = "csv", columns = 3, encoding = "gbk", header = { "a", "b", "c" }, fields = {
      { name = "a", column = 1 }, { name = "b", column = 2 }, { name = "c", column = 3 } } },
    { format = "csv", columns = 3, encoding = "gb18030", map = { ["张"] = "章,", ["1"] = "" }, fields = {
      { name = "c", column = 3 }, { name = "e" }, { name = "a", column = 1 }, { name = "m", mark = 'q"' } } },
  }

  it("are conserved over random lists: each row is in one place, each body as long as foretold, however it is read", function()
    local random = lists.random(random_seed)
    for round = 1, lists.rounds(250) do
      local label = "seed " .. random_seed .. ", round " .. round
      local parts = { "x,y,z\n" }
      for _ = 1, random(200) do
        parts[#parts + 1] = random(3) == 1 and core.csv.line { pieces[random(19)], pieces[random(19)], pieces[random(19)] }
          or pieces[random(#pieces)]
      end
      local text = table.concat(parts)
      local _, _, opened = lists.parse(text, ",", 3)
      if opened then
        text = text .. '"\n'
      end
      local encodings = { "utf-8", "gb18030", "gbk" }
      local input = assert(core.rows.input { path = lists.file(text), encoding = encodings[random(3)], max_record = 64 + random(200) })
      local encoder = assert(core.rows.encoder(descriptions[random(#descriptions)]))
      local options = { batch_rows = random(7), batch_bytes = 150 + random(500) }
      local total, err = run(input, encoder, options)
      assert(not err, label .. (err and err.message or ""))
      local counted = 0
      for _ in input:rows() do
        counted = counted + 1
      end
      assert.equal(counted, total.rows, label)
      assert.equal(total.rows, total.accepted + total.rejected, label)
      assert.equal(#total.rejects, total.rejected, label)
      -- Without `skip` every row is judged anew, by itself: a row that is too large for one body of this pass would come in.
      local fits_apart = {}
      for _, batch in ipairs(total.batches) do
        fits_apart[batch] = true
        for _, reject in ipairs(total.rejects) do
          local row = reject.row
          if reject.reason == "too_large" and row >= batch.first_row and row < batch.first_row + batch.rows then
            fits_apart[batch] = false
          end
        end
      end
      local accepted, rows, at = 0, 0, nil
      for _, batch in ipairs(total.batches) do
        assert.is_true(at == nil or batch.offset == at, label)
        at = batch.offset + batch.bytes
        accepted, rows = accepted + batch.accepted, rows + batch.rows
        assert.is_true(batch.accepted >= 1 and batch.accepted <= options.batch_rows and batch.body_bytes <= options.batch_bytes, label)
        local body = body_of(encoder, input, batch)
        local again = {}
        for name, value in pairs(batch) do
          again[name] = value
        end
        again.skip = not fits_apart[batch] and batch.skip or nil
        assert.equal(body, body_of(encoder, input, again, 1 + random(9)), label)
      end
      assert.equal(total.accepted, accepted, label)
      assert.is_true(rows <= total.rows, label)
      encoder:close()
      input:close()
      lists.clean()
    end
  end)

  it("come out the same in one large streamed body as in many small ones, read in pieces of any size #heavy", function()
    local random = lists.random(random_seed + 1)
    local parts = { "x,y,z\n" }
    for i = 1, 12000 do
      parts[#parts + 1] = core.csv.line { tostring(i), ("张三"):rep(random(20)) .. pieces[random(13)], random(9) == 1 and "x" or "7" }
    end
    local input = assert(core.rows.input { path = lists.file(table.concat(parts)), encoding = "utf-8" })
    local csv = assert(core.rows.encoder { format = "csv", columns = 3, encoding = "gbk", fields = {
      { name = "x", column = 1 }, { name = "y", column = 2 }, { name = "z", column = 3, type = "integer" } } })
    local json = assert(core.rows.encoder { format = "json", columns = 3, separator = ",\n", fields = {
      { name = "x", column = 1 }, { name = "y", column = 2 }, { name = "z", column = 3, type = "integer" } } })
    for encoder, separator in pairs { [csv] = "", [json] = ",\n" } do
      local whole = run(input, encoder).batches
      assert.equal(1, #whole)
      local body = body_of(encoder, input, whole[1])
      for _, size in ipairs { 1000, 16384, 65537, 8388608 } do
        assert.is_true(body == body_of(encoder, input, whole[1], size), "pieces of " .. size)
      end
      local small = {}
      for i, batch in ipairs(run(input, encoder, { batch_rows = 77 }).batches) do
        small[i] = body_of(encoder, input, batch)
      end
      assert.is_true(body == table.concat(small, separator), "seed " .. random_seed)
    end
    csv:close()
    json:close()
    input:close()
  end)
end)

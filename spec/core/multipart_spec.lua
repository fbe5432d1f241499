-- SPDX-License-Identifier: MIT
-- campaign.core.multipart: whole bodies, bodies cut anywhere, bounds, and what must be refused.

local core = require "campaign.core"
require "campaign.error"

-- valgrind is some forty times slower: it looks at a sample of the cuts and of the random bodies.
local SLOW = os.getenv("CAMPAIGN_TEST_TOOL") == "valgrind"
local TYPE = "multipart/form-data; boundary=xYz"

-- Feeds the pieces; a readable account of the events, data joined, or nil, err.
local function read(pieces, options)
  options = options or {}
  local reader, err = core.multipart.reader {
    content_type = options.content_type or TYPE, max_part = options.max_part, max_parts = options.max_parts,
    max_headers = options.max_headers, max_total = options.max_total,
  }
  if not reader then
    return nil, err
  end
  local out, data = {}, ""
  local function ended(result, failure)
    reader:close()
    return result, failure
  end
  for _, piece in ipairs(pieces) do
    local events
    events, err = reader:feed(piece)
    if not events then
      return ended(nil, err)
    end
    for _, event in ipairs(events) do
      if event[1] == "part" then
        out[#out + 1] = ("[%s|%s|%s]"):format(event.name, event.filename or "-", event.content_type or "-")
        data = ""
      elseif event[1] == "data" then
        data = data .. event[2]
      else
        out[#out + 1] = data
        data = nil
      end
    end
  end
  local ok
  ok, err = reader:finish()
  if not ok then
    return ended(nil, err)
  end
  return ended(table.concat(out))
end

-- A part whose header block is given whole.
local function part(headers, data)
  return "--xYz\r\n" .. headers .. "\r\n\r\n" .. data .. "\r\n"
end

local function field(name, data)
  return part('Content-Disposition: form-data; name="' .. name .. '"', data)
end

local CLOSE = "--xYz--\r\n"

local function refused(body, why, options)
  local result, err = read({ body }, options)
  assert.is_nil(result)
  assert.are.equal("invalid", err.kind)
  assert.truthy(err.message:find(why, 1, true), err.message)
end

describe("core.multipart", function()
  after_each(function()
    collectgarbage()
    collectgarbage()
    assert.are.equal(0, core.live())
  end)

  it("reads fields and files", function()
    local body = field("token", "abc") .. part('Content-Disposition: form-data; name="file"; filename="a b.csv"\r\n' ..
      "Content-Type: text/csv; charset=gbk", "1,2\r\n3,4\r\n") .. field("empty", "") .. CLOSE
    assert.are.equal("[token|-|-]abc[file|a b.csv|text/csv; charset=gbk]1,2\r\n3,4\r\n[empty|-|-]", read { body })
  end)

  it("reads a body with preamble, epilogue, padding and no part at all", function()
    assert.are.equal("[a|-|-]1", read { "to be ignored\r\n--xYzNot\r\n" .. field("a", "1") .. CLOSE .. "tail\r\n--xYz\r\nmore" })
    assert.are.equal("[a|-|-]1", read { (field("a", "1"):gsub("%-%-xYz\r\n", "--xYz \t \r\n")) .. "--xYz--" })
    assert.are.equal("", read { CLOSE })
    assert.are.equal("", read { "--xYz--" })
  end)

  it("gives the same events wherever the body is cut", function()
    local body = "pre\r\n" .. field("a", "1\r\n--xY\r\n-- xYz\r--xYz\r\r\n--xYzz\r\n--xYz \r\r\n--xYz-\r\n--xYz \tx") ..
      part('content-disposition: form-data;\r\n name="b" ;filename="x\\".csv"\r\nX-Other: ignored', "\r\n\r\n") ..
      field("c", "") .. "--xYz\r\nContent-Disposition: form-data; name=d\r\n\r\n--xYz  \r\n" ..
      "Content-Disposition: form-data; name=e\r\n\r\n\r\n" .. CLOSE .. "--xYz\r\nepilogue"
    local whole = read { body }
    assert.are.equal("[a|-|-]1\r\n--xY\r\n-- xYz\r--xYz\r\r\n--xYzz\r\n--xYz \r\r\n--xYz-\r\n--xYz \tx" ..
      '[b|x".csv|-]\r\n\r\n[c|-|-][d|-|-][e|-|-]', whole)
    for i = 0, #body do
      for j = i, #body, SLOW and 101 or 3 do
        assert.is_true(whole == read { body:sub(1, i), body:sub(i + 1, j), body:sub(j + 1) })
      end
    end
    local bytes = {}
    for i = 1, #body do
      bytes[i] = body:sub(i, i)
    end
    assert.are.equal(whole, read(bytes))
  end)

  it("passes large data through, also when it is all line ends and dashes", function()
    for _, unit in ipairs { "0123456789abcdef", "\r\n--xY", "\r", "\n", "-", "\r\n--xYz-", "\0\255" } do
      local data = unit:rep(math.floor(200000 / #unit))
      local result = read { field("big", data) .. CLOSE }
      assert.is_true(result == "[big|-|-]" .. data)
    end
  end)

  it("reads names as browsers, curl and others write them", function()
    for given, seen in pairs {
      ['name="a"'] = "[a|-|-]", ["name=a"] = "[a|-|-]", ["NAME = a"] = "[a|-|-]", ['name="a;b=c"'] = "[a;b=c|-|-]",
      ['name="a"; filename=""'] = "[a||-]", ['name=""'] = "[|-|-]", ["name=a;"] = "[a|-|-]", ["name=a ; filename=b.c"] = "[a|b.c|-]",
      ['filename="x"; name="a"'] = "[a|x|-]", ['name="a"; filename="C:\\dir\\x.csv"'] = "[a|C:\\dir\\x.csv|-]",
      ['name="a"; filename="say \\"hi\\".csv"'] = '[a|say "hi".csv|-]', ['name="a"; filename="\\\\"'] = "[a|\\\\|-]",
      ['name="a"; filename="x%22y"'] = "[a|x%22y|-]", ['name="a"; size=5; filename=x'] = "[a|x|-]",
      ['name="a"; filename="名单.csv"'] = "[a|名单.csv|-]",
      ['name="a"; filename="_.csv"; filename*=UTF-8\'\'%E5%90%8D%E5%8D%95.csv'] = "[a|名单.csv|-]",
      ["name=a; filename*=utf-8'zh'%e5%90%8d; filename=x"] = "[a|名|-]",
      -- In GBK the last character of this name ends in the byte of a backslash.
      ['name="a"; filename="' .. core.gbk.encode("钱程似錦", "gbk") .. '"'] =
        "[a|" .. core.gbk.encode("钱程似錦", "gbk") .. "|-]",
    } do
      assert.are.equal(seen .. "x", (read { part("Content-Disposition: form-data; " .. given, "x") .. CLOSE }), given)
    end
  end)

  it("refuses headers that are none, or say two things", function()
    local function head(text)
      return part(text, "x") .. CLOSE
    end
    refused("--xYz\r\n\r\nx\r\n" .. CLOSE, "without a name")
    refused(head("Content-Type: text/plain"), "without a name")
    refused(head("Content-Disposition: form-data"), "without a name")
    refused(head('Content-Disposition: form-data; filename="x"'), "without a name")
    refused(head("Content-Disposition: attachment; name=a"), "is not form-data")
    refused(head("Content-Disposition: form-datax; name=a"), "cannot be read")
    refused(head("Content-Disposition: form-data; name=a; name=b"), "twice")
    refused(head("Content-Disposition: form-data; name=a\r\nContent-Disposition: form-data; name=b"), "two")
    refused(head("Content-Disposition: form-data; name=a\r\nContent-Type: a/b\r\ncontent-type: c/d"), "two")
    refused(head("Content-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: base64"), "Transfer-Encoding")
    refused(head("Content-Disposition form-data; name=a"), "malformed header line")
    refused(head("Content-Disposition: form-data; name=a\r\n: x"), "malformed header line")
    refused(head("Content-Disposition: form-data; name=a\r\nX Y: x"), "malformed header line")
    for _, rest in ipairs { ' name="a', " name=", ' name="a"b', ' name="a"b"', " name", " =a", ' na"me=a', " name=a b", " name=a\"" } do
      refused(head("Content-Disposition: form-data;" .. rest), "cannot be read")
    end
    for _, rest in ipairs {
      "UTF-8''%E5%90", "UTF-8''%ZZ", "UTF-8''%", "UTF-8''%0D", "UTF-8''%00", "GBK''%C3%FB", "UTF-8'x", "x",
    } do
      refused(head("Content-Disposition: form-data; name=a; filename*=" .. rest), "filename*")
    end
    for _, byte in ipairs { "\0", "\n", "\r", "\127", "\27" } do
      refused(head('Content-Disposition: form-data; name="a' .. byte .. 'b"'), "control character")
    end
  end)

  it("refuses a body that ends early, and says so", function()
    local body = field("a", "1") .. CLOSE
    for length = 0, #body - 3 do -- the last line end is not needed
      local result, err = read { body:sub(1, length) }
      assert.is_nil(result)
      assert.truthy(err.message:find("closing boundary", 1, true))
    end
    assert.are.equal("[a|-|-]1", read { body:sub(1, #body - 2) })
    refused("", "closing boundary")
    refused("--xYz\n" .. CLOSE, "closing boundary", { content_type = "multipart/form-data; boundary=other" })
  end)

  it("keeps its bounds, in whatever pieces the bytes come", function()
    local body = field("a", ("x"):rep(1000)) .. field("b", ("y"):rep(1000)) .. CLOSE
    assert.is_truthy(read({ body }, { max_part = 1000, max_parts = 2, max_headers = 50, max_total = #body }))
    refused(body, "a part is too large", { max_part = 999 })
    refused(body, "too many parts", { max_parts = 1 })
    refused(body, "headers of a part are too long", { max_headers = 40 })
    refused(body, "it is too large", { max_total = #body - 1 })
    refused("--xYz\r\nX: " .. ("h"):rep(100000), "too long")
    refused("--xYz\r\nX: " .. ("h"):rep(100), "too long", { max_headers = 50 })
    local reader = core.multipart.reader { content_type = TYPE, max_part = 10 }
    assert.is_truthy(reader:feed("--xYz\r\nContent-Disposition: form-data; name=a\r\n\r\n"))
    for _ = 1, 10 do
      assert.is_truthy(reader:feed("x"))
    end
    assert.is_nil((reader:feed("x")))
    local events, err = reader:feed("\r\n--xYz--")
    assert.is_nil(events)
    assert.truthy(err.message:find("rejected before", 1, true))
    assert.is_nil((reader:finish()))
    reader:close()
    reader:close()
    assert.has_error(function() reader:feed("x") end)
  end)

  it("reads the boundary from the Content-Type strictly", function()
    local bodies = {
      ['multipart/form-data; boundary="xYz"'] = "xYz", ["Multipart/Form-Data;boundary=xYz"] = "xYz",
      ["multipart/form-data; charset=utf-8; boundary=xYz; x=y"] = "xYz", ['multipart/form-data; boundary="a b:c"'] = "a b:c",
      ["multipart/form-data; boundary=----WebKitFormBoundary7MA4"] = "----WebKitFormBoundary7MA4",
      ["multipart/form-data; boundary=" .. ("b"):rep(70)] = ("b"):rep(70),
    }
    for content_type, boundary in pairs(bodies) do
      local body = (field("a", "1") .. CLOSE):gsub("xYz", boundary)
      assert.are.equal("[a|-|-]1", (read({ body }, { content_type = content_type })), content_type)
    end
    for _, content_type in ipairs {
      "", "multipart/form-data", "multipart/mixed; boundary=xYz", "text/plain", "multipart/form-data; boundary=",
      'multipart/form-data; boundary=""', 'multipart/form-data; boundary="a "', "multipart/form-data; boundary=" .. ("b"):rep(71),
      "multipart/form-data; boundary=a; boundary=b", 'multipart/form-data; boundary="a\r\nb"', "multipart/form-data; boundary=a\0b",
      "multipart/form-data boundary=a", "multipart/form-data; boundary=王", ("x"):rep(2000),
    } do
      local reader, err = core.multipart.reader { content_type = content_type }
      assert.is_nil(reader, content_type)
      assert.are.equal("invalid", err.kind)
    end
    assert.has_error(function() core.multipart.reader {} end)
    assert.has_error(function() core.multipart.reader { content_type = TYPE, max_part = -1 } end)
    for _, name in ipairs { "max_part", "max_parts", "max_headers", "max_total" } do
      for _, value in ipairs { 0 / 0, 0.5, math.huge } do -- a fraction cut to 0 would be the default
        assert.has_error(function() core.multipart.reader { content_type = TYPE, [name] = value } end)
      end
    end
  end)

  it("never raises, whatever the bytes", function()
    local seed = os.time() % 1000000
    math.randomseed(seed)
    local pieces = {
      "--xYz", "\r\n", "\r", "\n", "--", "Content-Disposition: form-data; name=a", "\r\n\r\n", '"', ";", "filename*=", "\0", " ", "x",
      "Content-Disposition: form-data; name=\"", "\\", "%", "UTF-8''", ":",
    }
    for _ = 1, SLOW and 200 or 5000 do
      local list = {}
      for i = 1, math.random(1, 30) do
        list[i] = pieces[math.random(#pieces)]
      end
      local body = table.concat(list)
      local ok, whole, err = pcall(read, { body })
      assert.is_true(ok, ("seed %d: %s"):format(seed, tostring(whole)))
      local cut = math.random(0, #body)
      local same, again = read { body:sub(1, cut), body:sub(cut + 1) }
      assert.are.equal(whole, same, ("seed %d"):format(seed))
      assert.are.equal(err and err.message, again and again.message, ("seed %d"):format(seed))
    end
  end)
end)

-- SPDX-License-Identifier: MIT
-- Rules of fields: each named check, type and limit by a table of good and bad values, and that none of them is slow on hostile input.

local core = require "campaign.core"
local lists = require "support.lists"

-- The reasons for which a field with this rule refuses each value ("fine" where it does not).
local function reasons(rule, values)
  local lines = { "v,x\r\n" }
  for _, value in ipairs(values) do
    lines[#lines + 1] = core.csv.line { value, "x" }
  end
  rule.name, rule.column = "v", 1
  local input = assert(core.rows.input { path = lists.file(table.concat(lines)), encoding = "utf-8", max_record = 8388608 })
  local encoder = assert(core.rows.encoder { format = "json", columns = 2, fields = { rule } })
  local pass = assert(core.rows.preflight(input, encoder, {}))
  local found = {}
  for i = 1, #values do
    found[i] = "fine"
  end
  while true do
    local step, err = pass:step()
    assert(not err, err)
    if not step then
      break
    end
    for _, reject in ipairs(step.rejects) do
      assert.equal(1, reject.column)
      assert.equal("v", reject.column_name)
      assert.equal(values[reject.row], reject.fields[1])
      assert.equal(reject.reason, reject.faults[1].reason)
      assert.is_truthy(reject.message:find("^row " .. reject.row .. " "))
      found[reject.row] = reject.reason == "check" and reject.check or reject.reason
    end
  end
  pass:close()
  encoder:close()
  input:close()
  return found
end

local function expect(rule, good, bad, reason)
  local values = {}
  for _, value in ipairs(good) do
    values[#values + 1] = value
  end
  for _, value in ipairs(bad) do
    values[#values + 1] = value
  end
  for i, found in ipairs(reasons(rule, values)) do
    assert.equal(i <= #good and "fine" or reason, found, ("%s of %q"):format(reason, values[i]:sub(1, 60)))
  end
end

describe("core.rows checks", function()
  after_each(lists.clean)

  local named = {
    mobile_cn = {
      { "13800138000", "19912345678", "" },
      { "12800138000", "1380013800", "138001380000", "1380013800a", "+8613800138000", "138 0013 800", "１３８００１３８０００", "a3800138000" },
    },
    phone_e164 = {
      { "+8613800138000", "+1234567", "+123456789012345" },
      { "13800138000", "+0123456789", "+123456", "+1234567890123456", "+86 138", "+", "++8613800138" },
    },
    digits = { { "0", "007", "123456789012345678901234567890" }, { "a", "1a", "-1", "1 ", "１" } },
    identifier = { { "a", "_", "a1_B" }, { "1a", "a-b", "a b", "姓名", "a." } },
    uuid = {
      { "123e4567-e89b-12d3-a456-426614174000", "123E4567-E89B-12D3-A456-426614174000" },
      { "123e4567e89b12d3a456426614174000", "123e4567-e89b-12d3-a456-42661417400g", "{123e4567-e89b-12d3-a456-426614174000}" },
    },
    email = {
      { "a@b.cn", "first.last+tag@sub.example.com", "x_y-z@a-b.co", "1@2.com" },
      { "a", "@b.cn", "a@", "a@b", "a@b.", "a@.b.cn", "a..b@c.cn", ".a@c.cn", "a.@c.cn", "a@-b.cn", "a@b-.cn", "a b@c.cn", "a@b c.cn",
        "张@c.cn", "a@@b.cn", "a@b.cn\n", ("l"):rep(65) .. "@b.cn", ("a"):rep(60) .. "@" .. ("b."):rep(100) .. "cn", "\"a\"@b.cn" },
    },
    date = {
      { "2026-11-21", "2024-02-29", "2000-02-29", "1999-12-31" },
      { "2026-11-31", "2023-02-29", "1900-02-29", "2026-13-01", "2026-00-10", "2026-01-00", "2026-1-1", "2026/11/21", "20261121" },
    },
    datetime = {
      { "2026-11-21 00:00:00", "2026-11-21 23:59:59" },
      { "2026-11-21", "2026-11-21 24:00:00", "2026-11-21T00:00:00", "2026-11-21 00:60:00", "2026-11-21 00:00:60", "2026-02-30 00:00:00" },
    },
    excel_value = {
      { "", "a", "#", "#1", "#n/a", "# N/A", "#N/A?x", "tel #N/A", "1.5E+14", "1E+05", "1.5E-20", "1.2E+1x", "15912345678", "E+17", "1.2.3E+17",
        "1-2E+17" },
      { "#N/A", "#VALUE!", "#REF!", "#DIV/0!", "#NAME?", "#NULL!", "#NUM!", "#GETTING_DATA", "#SPILL!", "#CALC!", "=A1&B1", "=",
        "1.23456789012346E+17",
        "-1.00000000000000E+15", "1.00000000000000E+300" },
    },
    id_cn = { { "11010519491231002X", "11010519491231002x" }, { "110105194912310021", "1101051949123100", "A1010519491231002X" } },
    no_comma = { { "a", "a;b", "。" }, { "a,b", "a，b", "," } },
    ascii = { { "a b~" }, { "é", "a\n", "\127" } },
    text = { { "张 三", "a" }, { "a\nb", "\1", "\127" } },
    url = {
      { "http://a", "https://example.com/p?q=1#f", "HTTPS://EXAMPLE.COM", "http://[::1]:80/" },
      { "ftp://a", "http://", "https://", "//a", "http:// a", "http://a b", "https://a\"b", "javascript:alert(1)", "http://张" },
    },
  }

  it("hold for good values and refuse bad ones, each by its name", function()
    for name, values in pairs(named) do
      expect({ check = name }, values[1], values[2], name)
    end
  end)

  it("all have a table here and say what they ask for", function()
    for name, wants in pairs(core.rows.checks()) do
      assert(named[name], name .. " is not tested")
      assert.is_truthy(#wants > 3)
    end
  end)

  it("are linear: a mebibyte of anything takes no time to speak of #heavy", function()
    local hostile = { ("1"):rep(1048576), ("a."):rep(524288) .. "@", ("@"):rep(1048576), ("a@b."):rep(262144), ("-"):rep(1048576),
      ("，"):rep(349525), (";"):rep(1048576), "http://" .. (":"):rep(1048576), ("-1"):rep(524288) }
    for name in pairs(core.rows.checks()) do
      local started = core.system.monotonic()
      reasons({ check = name }, hostile)
      local seconds = core.system.monotonic() - started
      assert(seconds < 3, name .. " took " .. seconds .. " s for nine mebibytes, reading included")
    end
    local started = core.system.monotonic()
    reasons({ split = ";", join = ",", forbid = ",，。；abcdefgh", type = "string" }, hostile)
    assert(core.system.monotonic() - started < 3)
  end)

  it("name the character that is not seen, or taken for another, in a number or an address", function()
    local function message(check, value)
      local input = assert(core.rows.input{ path = lists.file("v\n" .. core.csv.line{ value }), encoding = "utf-8" })
      local encoder = assert(core.rows.encoder{ format = "json", columns = 1, fields = { { name = "v", column = 1, check = check } } })
      return assert(core.rows.preflight(input, encoder, {})):step().rejects[1].message:match(": (.*)$")
    end
    for value, code in pairs{ ["138\226\128\139000\226\128\13800001"] = "U+200B", ["\194\16013800000001"] = "U+00A0", ["１3800000001"] = "U+FF11",
      ["13800000001 "] = "U+0020", ["\t13800000001"] = "U+0009", ["138 00000001\127"] = "U+007F", ["13800000001𠮷"] = "U+20BB7" } do
      assert.equal("must be 11 digits that start with 13 to 19; it contains " .. code, message("mobile_cn", value))
    end
    assert.equal("must be 11 digits that start with 13 to 19", message("mobile_cn", "138 0000 0001"))
    assert.equal("must be an e-mail address; it contains U+FF20", message("email", "a＠example.com"))
    assert.equal("must be without commas", message("no_comma", "甲，乙"))
  end)

  it("refuse an empty field only where one is required", function()
    expect({ required = true }, { "a", " " }, { "" }, "required")
    expect({ check = "digits", min_length = 3, enum = { "123" }, type = "integer" }, { "", "123" }, {}, "none")
  end)

  it("count characters, UTF-16 units or bytes", function()
    expect({ max_length = 3 }, { "abc", "张三丰", "𠮷𠮷𠮷", "" }, { "abcd", "张三丰a", "𠮷𠮷𠮷𠮷" }, "too_long")
    expect({ max_length = 3, unit = "utf16" }, { "abc", "张三丰", "𠮷a" }, { "𠮷𠮷", "abcd" }, "too_long")
    expect({ max_length = 3, unit = "byte" }, { "abc", "张" }, { "张a", "𠮷" }, "too_long")
    expect({ min_length = 2 }, { "ab", "张三", "𠮷𠮷" }, { "a", "张", "𠮷" }, "too_short")
    expect({ min_length = 2, unit = "utf16" }, { "ab", "𠮷" }, { "a", "张" }, "too_short")
    expect({ max_length = 0 }, { "" }, { "a" }, "too_long")
  end)

  it("know integers of 64 bits, numbers and booleans as JSON needs them", function()
    expect({ type = "integer" }, { "0", "-1", "9223372036854775807", "-9223372036854775808", "1000000" },
      { "9223372036854775808", "-9223372036854775809", "+1", "007", "-0", "1.0", "1e3", " 1", "1 ", "-", "0x10", "１",
        "99999999999999999999" },
      "integer")
    expect({ type = "int64" }, { "9007199254740993" }, { "a" }, "integer")
    expect({ type = "number" }, { "0", "-1.5", "1e10", "1E-3", "0.1", "-0" },
      { ".5", "5.", "01", "1e", "NaN", "inf", "0x1", "1,5", "--1", ("1"):rep(41) }, "number")
    expect({ type = "boolean" }, { "true", "FALSE", "1", "0", "True" }, { "yes", "2", "tru", "是" }, "boolean")
    expect({ type = "date" }, { "2026-01-01" }, { "2026-02-30" }, "date")
    expect({ type = "datetime" }, { "2026-01-01 00:00:00" }, { "2026-01-01" }, "datetime")
  end)

  it("know bounds of numbers, of whole ones to the last digit", function()
    expect({ type = "integer", min = 1, max = 150 }, { "1", "150", "99", "" }, { "0", "-1", "-9223372036854775808" }, "too_low")
    expect({ type = "integer", min = 1, max = 150 }, {}, { "151", "9223372036854775807" }, "too_high")
    expect({ type = "integer", min = 0.5, max = 2.5 }, { "1", "2" }, { "0" }, "too_low")
    expect({ type = "integer", max = -0.5 }, { "-1" }, { "0" }, "too_high")
    expect({ type = "int64", max = 9007199254740992 }, { "9007199254740992" }, { "9007199254740993" }, "too_high")
    expect({ type = "int64", min = -1e300, max = 1e300 }, { "-9223372036854775808", "9223372036854775807" }, {}, "too_low")
    expect({ type = "int64", min = 1e300 }, {}, { "9223372036854775806" }, "too_low")
    expect({ type = "number", min = -0.5, max = 99999.5 }, { "-0.5", "-5e-1", "0", "9.99995E4" }, { "-0.51", "-1e400" }, "too_low")
    expect({ type = "number", min = -0.5, max = 99999.5 }, {}, { "99999.51", "1e5", "1e400" }, "too_high")
    expect({ type = "integer", min = 5, enum = { "3", "7" } }, { "7" }, { "3" }, "too_low")
    expect({ type = "integer", min = 1 }, {}, { "x", "1.5" }, "integer")
  end)

  it("read numbers with a point, whatever the locale of the process", function()
    for _, name in ipairs({ "de_DE.UTF-8", "fr_FR.UTF-8", "C.UTF-8" }) do
      if os.setlocale(name, "numeric") then
        expect({ type = "number", min = 1.25 }, { "1.5" }, { "1.2" }, "too_low")
      end
    end
    os.setlocale("C", "numeric")
  end)

  it("refuse white space alone where a text must not be blank", function()
    expect({ not_blank = true }, { "", "a", " a ", "　" }, { " ", "\t", " \t\v\f " }, "blank")
    expect({ not_blank = true, required = true }, { "a" }, { "" }, "required")
    expect({ not_blank = true, max_length = 3 }, { "abc" }, { "     " }, "blank")
  end)

  it("refuse seconds where a time has whole minutes", function()
    expect({ type = "datetime", whole_minutes = true }, { "2026-01-01 09:30:00", "" },
      { "2026-01-01 09:30:01", "2026-01-01 09:30:10", "2026-01-01 09:30", "2026-02-30 09:30:00" }, "whole_minutes")
  end)

  it("allow only listed values and no forbidden characters", function()
    expect({ enum = { "0", "1", "未知" } }, { "0", "1", "未知" }, { "2", "00", "未", "10" }, "enum")
    expect({ forbid = ",，\n" }, { "a。b" }, { "a,b", "a，b", "a\nb" }, "forbidden")
  end)

  it("look at each item of a list, blanks taken off", function()
    expect({ split = ";", join = ",", check = "digits" }, { "1", "1;2", " 1 ; 2　;3", "1\n;2\r\n" }, { "1;a", "b" }, "digits")
    expect({ split = ";", join = "," }, { "a;b" }, { "a;", ";a", "a;;b", " ", ";", "a;\r\n" }, "list")
    expect({ split = "||", join = ",", forbid = "," }, { "a||b|c" }, { "a||b,c" }, "forbidden")
    expect({ split = ";", join = ",", enum = { "x", "y" } }, { "x;y;x" }, { "x;z" }, "enum")
  end)

  it("raise or refuse what makes no sense when they are made", function()
    local function encoder(field)
      return core.rows.encoder { format = "json", columns = 2, fields = { field } }
    end
    for _, field in ipairs {
      { name = "v", column = 1, check = "nonsense" },
      { name = "v", column = 1, type = "decimal" },
      { name = "v", column = 1, unit = "words" },
      { name = "v", column = 3 },
      { name = "v", required = true },
      { name = "v", column = 1, forbid = "\255" },
      { name = "v", column = 1, max = 5 },
    } do
      local made, err = encoder(field)
      assert.is_nil(made)
      assert.equal("usage", err.kind)
    end
    assert.has_error(function() encoder { name = "v", column = 1, maximum = 5 } end)
    assert.has_error(function() encoder { name = "v", column = 1, type = "integer", max = "5" } end)
    assert.has_error(function() encoder { name = "v", column = 1, type = "number", max = 0 / 0 } end)
    assert.has_error(function() encoder { name = "v", column = 1, type = "number", max = math.huge } end)
    assert.has_error(function() encoder { name = "v", column = "1" } end)
    assert.has_error(function() encoder { name = "v", column = 1.5 } end)
    assert.has_error(function() encoder { name = "v", column = 0 } end)
    assert.has_error(function() encoder { column = 1 } end)
    assert.has_error(function() encoder { name = "v", column = 1, enum = "a" } end)
    assert.has_error(function() encoder { name = "v", column = 1, enum = { {} } } end)
    assert.has_error(function() encoder { name = "v", constant = {} } end)
  end)
end)

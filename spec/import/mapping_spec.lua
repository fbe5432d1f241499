-- SPDX-License-Identifier: MIT
-- How the columns of a file find the fields of a row: user's map, header, aliases; and every way in which that can fail.

local mapping = require "campaign.import.plan.mapping"
local platforms = require "campaign.api.platform"

local function operation(name)
  local platform, key = name:match("^(%w+)%.(.+)$")
  return assert(platforms.load(platform)).operations[key]
end

local function plan(name, columns, options)
  options = options or {}
  return mapping.plan{
    operation = operation(name), columns = columns, target_columns = options.target_columns,
    map = options.map or {}, set = options.set or {}, split = options.split or {}, check = options.check or {},
    params = options.params or {}, mark = options.mark,
  }
end

local function by_name(result)
  local fields = {}
  for _, field in ipairs(result.fields) do
    fields[field.name] = field
  end
  return fields
end

local LONGLONG = "longlong.import_customers_async"
local TUZHAN = "tuzhan.batch_add_group_relations"
local UPLOAD = "outbound.upload_contacts_file"
local EXACT = { publicParams = { isMatching = true, matchingType = 1, optType = "add" } }

describe("import.mapping", function()
  it("takes the description of values for rows that are nothing else", function()
    local described = { name = "block", platform = "p", rows = { shape = "value", columns = { "number" },
      row = { type = "int64", min = 5, redact = true } } }
    local result = assert(mapping.plan{ operation = described, columns = { "number" }, map = {}, set = {}, split = {}, check = {}, params = {} })
    local entry = result.fields[1]
    assert.same({ "number", "integer", 5, true, 1 }, { entry.name, entry.type, entry.min, entry.required, entry.column })
    described.rows.row = { type = "string", max_length = 9, pattern = "mobile_cn", hash = { algorithm = "md5", trim = true } }
    entry = assert(mapping.plan{ operation = described, columns = { "number" }, map = {}, set = {}, split = {}, check = {}, params = {} }).fields[1]
    assert.same({ "string", 9, "mobile_cn", "md5", true }, { entry.type, entry.max_length, entry.check, entry.hash.algorithm, entry.not_blank })
  end)

  it("refuses a list of which no column is sent, also where no field is mandatory", function()
    local target = { target_columns = { { name = "uuid" }, { name = "city" } } }
    for columns, advice in pairs{
      [{ "uuid;city" }] = 'delimiter = "auto"', [{ "13800000001", "Berlin" }] = "seems to be a row", [{ "town" }] = "say which",
    } do
      local result, err = plan(UPLOAD, columns, target)
      assert.is_nil(result)
      assert.matches('no column of the file fills a field, so that all rows would be empty; fields: "uuid", "city"', err.message, 1, true)
      assert.matches(advice, err.message, 1, true)
    end
    assert(plan(UPLOAD, { "town", "city" }, target))
    target.set = { city = "Berlin" }
    assert(plan(UPLOAD, { "town" }, target))
  end)

  it("takes the descriptions of columns, and leaves those out that need not be there", function()
    local described = { name = "upload", platform = "p", rows = { shape = "csv", columns = { "phone",
      { name = "city", type = "string", max_length = 8 }, { name = "age", type = "integer", default = 7 }, { name = "kind", type = "string",
        required = true } } } }
    local function of(columns)
      return mapping.plan{ operation = described, columns = columns, map = {}, set = {}, split = {}, check = {}, params = {} }
    end
    local result = assert(of({ "kind", "phone" }))
    assert.same({ "phone", "city", "age", "kind" }, result.header)
    assert.same({ "", "7" }, { result.fields[2].constant, result.fields[3].constant })
    local nothing, err = of({ "phone", "city", "age" })
    assert.is_nil(nothing)
    assert.matches('no column for "kind"', err.message, 1, true)
  end)

  it("says what to try where the header is one column, and shows no more than the start of a name", function()
    for _, case in ipairs({
      { "姓名,手机号", 'separated by commas: delimiter = ","' },
      { "name;phone", 'separated otherwise: say delimiter = "auto"' },
      { "name\tphone", 'separated otherwise: say delimiter = "auto"' },
      { "name|phone", "separated by what is not read" },
      { "name\1phone", "separated by what is not read" },
      { "姓名，手机号", "separated by what is not read" },
      { ("꟥趐"):rep(200), "is the file in another encoding (option `encoding`)?" },
      { "姓名、手机号", "separated by what is not read" },
      { "name  phone", "separated by what is not read" },
      { "somebody", 'say which: map = { phone = "..." }' },
      { "13800000001", "that seems to be a row: the first line must name the columns" },
      { "+86 138-0000-0001", "that seems to be a row" },
      { "a@example.com", "that seems to be a row" },
    }) do
      local result, err = plan(LONGLONG, { case[1] })
      assert.is_nil(result)
      assert.is_truthy(err.message:find(case[2], 1, true), err.message)
      assert.is_true(#err.message < 200, err.message)
    end
  end)

  it("sends the constants of the platform's data in every row, and its defaults where no column fills them", function()
    local fields = {
      { name = "email", type = "string", required = true }, { name = "idProperty", type = "string", constant = "email" },
      { name = "active", type = "boolean", constant = true }, { name = "channel", type = "string", required = true, default = "SMS" },
      { name = "level", type = "integer", default = 3 },
    }
    local function planned(columns, more)
      local options = { operation = { name = "o", platform = "p", rows = { shape = "object", row = { fields = fields } } },
        columns = columns, map = {}, set = {}, split = {}, check = {}, params = {} }
      for key, value in pairs(more or {}) do
        options[key] = value
      end
      return mapping.plan(options)
    end
    local found = by_name(assert(planned{ "email" }))
    assert.same({ "email", "true", "SMS", "3" },
      { found.idProperty.constant, found.active.constant, found.channel.constant, found.level.constant })
    local result = assert(planned({ "email", "idProperty", "channel" }, { set = { level = 4 } }))
    found = by_name(result)
    assert.same({ "email", 3, "4" }, { found.idProperty.constant, found.channel.column, found.level.constant })
    assert.is_nil(found.channel.constant)
    assert.same({ "idProperty" }, result.unused)
    assert.is_truthy(planned({ "email" }, { set = { idProperty = "email", active = true } }))
    for _, more in ipairs({ { set = { idProperty = "phone" } }, { map = { idProperty = "x" } }, { set = { active = false } } }) do
      local _, err = planned({ "email", "x" }, more)
      assert.is_truthy(err.message:find("it takes no column and no other value", 1, true), err.message)
    end
  end)

  it("asks for the field that a constant of the platform's data names", function()
    local fields = {
      { name = "kind", type = "string", required = true, constant = "email" }, { name = "email", type = "string" },
      { name = "phone", type = "string" },
    }
    local options = { operation = { name = "o", platform = "p", rows = { shape = "object", row = { fields = fields }, named_by = "kind" } },
      columns = { "phone" }, map = {}, set = {}, split = {}, check = {}, params = {} }
    local _, err = mapping.plan(options)
    assert.is_truthy(err.message:find('no column for "email", which every row needs', 1, true), err.message)
    options.columns = { "phone", "email" }
    assert.is_true(by_name(assert(mapping.plan(options))).email.required)
  end)

  it("asks for the field that a default names, where no column fills the field that has it", function()
    local fields = {
      { name = "kind", type = "string", default = "email" }, { name = "email", type = "string" }, { name = "phone", type = "string" },
    }
    local options = { operation = { name = "o", platform = "p", rows = { shape = "object", row = { fields = fields }, named_by = "kind" } },
      columns = { "phone" }, map = {}, set = {}, split = {}, check = {}, params = {} }
    local _, err = mapping.plan(options)
    assert.is_truthy(err and err.message:find('no column for "email", which every row needs', 1, true), tostring(err))
    options.set = { kind = "phone" }
    assert.is_true(by_name(assert(mapping.plan(options))).phone.required)
    options.columns, options.set = { "Kind", "phone" }, {}
    assert.is_nil(by_name(assert(mapping.plan(options))).phone.required)
    options.columns, options.map = { "by", "phone" }, { kind = "by" }
    assert.is_nil(by_name(assert(mapping.plan(options))).phone.required)
    options.columns, options.map = { "phone", "email" }, {}
    assert.is_true(by_name(assert(mapping.plan(options))).email.required)
  end)

  it("names the column that a field without one may have been meant for, when there is one", function()
    for _, name in ipairs({ "手机号（必填）", "*手机号", "客户电话", "电话1", "Mobile Phone", "phone_number", "phnoe", "【手机】", "cellphone" }) do
      local _, err = plan(LONGLONG, { "uuid", name, "备注" })
      assert.is_truthy(err.message:find(('if "%s" is meant, say map = { phone = "%s" }'):format(name, name), 1, true), err.message)
    end
    local wide = { "Mobile Phone" } -- looked through for ever, if it were
    for i = 2, 4096 do
      wide[i] = "a column with a name " .. i
    end
    for _, header in ipairs({ { "办公电话", "家庭电话" }, { "tel" }, { "" }, { 'the "phone"' }, { "phone" .. ("x"):rep(40) },
      { "手机号13800000001" }, wide }) do
      local _, err = plan(LONGLONG, header)
      assert.is_truthy(err.message:find('say which: map = { phone = "..." }', 1, true), err.message)
    end
  end)

  it("refuses a wire name in the header beside an alias or a spelling of it, and names both", function()
    for _, header in ipairs({ { "手机号", "phone" }, { "phone", "phone " }, { "Phone", "phone" }, { "mobile", "name", "phone" } }) do
      local result, err = plan(LONGLONG, header)
      assert.is_nil(result, header[1])
      assert.equal("usage", err.kind)
      assert.matches('"phone" could be filled from "phone", "', err.message, 1, true)
      assert.matches('map = { phone = "..." }', err.message, 1, true)
      local other = header[1] ~= "phone" and header[1] or header[2]
      assert.matches('"' .. other .. '"', err.message, 1, true)
      result = assert(plan(LONGLONG, header, { map = { phone = other } }))
      assert.equal(other, header[by_name(result).phone.column])
      assert.same({ "phone" }, result.unused)
    end
    -- The target has both: each takes the column of its own name.
    local fields = by_name(assert(plan(UPLOAD, { "phone", "手机号" }, { target_columns = { { name = "手机号" }, { name = "phone" } } })))
    assert.same({ 2, 1 }, { fields["手机号"].column, fields.phone.column })
  end)

  it("finds fields by the platform's aliases, without letter case and surrounding blanks", function()
    local result = assert(plan(LONGLONG, { " 姓名 ", "Mobile", "邮箱" }))
    local fields = by_name(result)
    assert.equal(1, fields.name.column)
    assert.equal(2, fields.phone.column)
    assert.equal(3, fields.email.column)
    assert.equal(3, result.width)
  end)

  it("finds them behind every blank of Unicode and what nobody sees: thin spaces, marks of direction, soft hyphens", function()
    for _, code in ipairs({ "\194\133", "\194\173", "\226\128\128", "\226\128\137", "\226\128\142", "\226\128\168", "\226\128\173", "\226\128\175",
      "\226\129\159", "\226\129\160", "\226\129\169", "\127", "\t" }) do
      local fields = by_name(assert(plan(LONGLONG, { "name", code .. "phone" .. code .. code })))
      assert.equal(2, fields.phone.column, code)
    end
    for _, code in ipairs({ "\194\183", "\226\128\148", "\226\129\132", "’" }) do -- a dot, a dash, a slash, an apostrophe
      assert.is_nil((plan(LONGLONG, { "name", "phone" .. code })), code)
    end
  end)

  it("finds them behind the blanks that spreadsheets leave: no-break, ideographic and zero-width space, a second byte-order mark", function()
    local fields = by_name(assert(plan(LONGLONG, { "\239\187\191姓名", "\194\160手机号\227\128\128", "\226\128\139 邮箱\194\160 " })))
    assert.same({ 1, 2, 3 }, { fields.name.column, fields.phone.column, fields.email.column })
    assert.equal(2, by_name(assert(plan(LONGLONG, { "手机号\194\1601", "手机号" }))).phone.column) -- a blank inside a name belongs to it
    local _, err = plan(LONGLONG, { "手\194\160机号", "\194\160", "" })
    assert.truthy(err.message:find('no column for "phone"', 1, true))
  end)

  it("says that the separator is another one when a header has a single column with one in it", function()
    local _, err = plan(LONGLONG, { "姓名;手机号" })
    assert.truthy(err.message:find('separated otherwise: say delimiter = "auto"', 1, true), err.message)
  end)

  it("takes names of the user's own where the platform's rows are open, but no slip in the letter case of a field", function()
    local fields = by_name(assert(plan("hypers.create_notification_task", { "编号", "门店" }, { map = { shop = "门店" }, set = { city = "x" } })))
    assert.same({ 1, 2, "x" }, { fields.userId.column, fields.shop.column, fields.city.constant })
    local _, err = plan("hypers.create_notification_task", { "编号" }, { map = { UserId = "编号" } })
    assert.truthy(err.message:find("did you mean `userId`", 1, true))
    _, err = plan(LONGLONG, { "手机号", "门店" }, { map = { shop = "门店" } })
    assert.truthy(err.message:find('no field "shop"', 1, true))
  end)

  it("lets the user's map win over header and aliases", function()
    local result = assert(plan(LONGLONG, { "phone", "手机号", "备用" }, { map = { phone = "备用" } }))
    assert.equal(3, by_name(result).phone.column)
    assert.same({ "phone", "手机号" }, result.unused)
  end)

  it("refuses to choose between two columns that fit one field, and names both", function()
    local result, err = plan(LONGLONG, { "姓名", "手机", "电话" })
    assert.is_nil(result)
    assert.equal("usage", err.kind)
    assert.matches('"phone" could be filled from', err.message, 1, true)
    assert.matches('"手机"', err.message, 1, true)
    assert.matches('"电话"', err.message, 1, true)
    assert.matches("map = { phone =", err.message, 1, true)
  end)

  it("says which required field has no column, what the file has and how to map it", function()
    local result, err = plan(LONGLONG, { "姓名", "公司" })
    assert.is_nil(result)
    assert.equal("usage", err.kind)
    assert.matches('no column for "phone"', err.message, 1, true)
    assert.matches('"公司"', err.message, 1, true)
    assert.matches("map = { phone =", err.message, 1, true)
  end)

  it("reports every fault at once", function()
    local _, err = plan(LONGLONG, { "姓名" }, { map = { phon = "姓名", name = "姓" }, check = { elsewhere = "email" } })
    assert.equal(4, #err.faults)
  end)

  it("names the nearest field and column for a slip", function()
    local _, err = plan(LONGLONG, { "phone", "company" }, { map = { emial = "company" } })
    assert.matches("did you mean `email`", err.message, 1, true)
    _, err = plan(LONGLONG, { "phone", "company" }, { map = { company = "compani" } })
    assert.matches("did you mean `company`", err.message, 1, true)
  end)

  it("fills parts of a field from columns of their own", function()
    local result = assert(plan(LONGLONG, { "phone", "等级", "城市" }, {
      map = { ["components.a-1"] = "等级", ["components.b-2"] = "城市" },
    }))
    local field = by_name(result).components
    assert.equal("components", field.type)
    assert.same({ { id = "a-1", column = 2 }, { id = "b-2", column = 3 } }, field.items)
  end)

  it("refuses a column for the whole of a field that has parts", function()
    local _, err = plan(LONGLONG, { "phone", "等级" }, { map = { components = "等级" } })
    assert.matches('["components.<id>"]', err.message, 1, true)
  end)

  it("says that a part of a field takes no value for all rows and no list, instead of naming it as what may be set", function()
    for _, option in ipairs{ "set", "split" } do
      for _, name in ipairs{ "components.a-1", "components" } do
        local _, err = plan(LONGLONG, { "phone" }, { [option] = { [name] = ";" } })
        assert.equal(option .. ': parts of "components" are filled from columns as they stand: '
          .. 'map = { ["components.<id>"] = "..." }, or --map \'components.<id>=...\'', err.message)
      end
      local _, err = plan(LONGLONG, { "phone" }, { [option] = { ["componentz.a"] = ";" } })
      assert.matches('no field "componentz.a"', err.message, 1, true)
    end
  end)

  it("tells of a column that is named as a field whose parts are filled one by one", function()
    assert.same({ '"components" stays empty: if "components" is meant, say map = { ["components.<id>"] = "components" }, or --map '
      .. "'components.<id>=components'" }, plan(LONGLONG, { "phone", "components" }).notes)
    assert.same({}, plan(LONGLONG, { "phone", "components" }, { map = { ["components.a-1"] = "components" } }).notes)
    assert.same({}, plan(LONGLONG, { "phone", "component notes" }).notes)
  end)

  it("sends constants for all rows and refuses one outside its list of values", function()
    local result = assert(plan(TUZHAN, { "phone", "groups" }, { params = EXACT, set = { identityType = "phone" } }))
    assert.equal("phone", by_name(result).identityType.constant)
    local _, err = plan(TUZHAN, { "phone", "groups" }, { params = EXACT, set = { identityType = "fax" } })
    assert.matches('set: "identityType" cannot be "fax"', err.message, 1, true)
  end)

  it("takes numbers for all rows digit by digit, or says that their digits are not known", function()
    local function constant(value)
      local result, err = plan(LONGLONG, { "phone" }, { set = { name = value } })
      return result and by_name(result).name.constant, err and err.message
    end
    assert.equal("1000000000000001", constant(1000000000000001))
    assert.equal("-5", constant(-5.0))
    assert.equal("0.1234567890123456", constant(0.1234567890123456))
    for _, value in ipairs({ 2 ^ 53, 2 ^ 53 + 2, 1e19, 1 / 0, 0 / 0 }) do
      local text, message = constant(value)
      assert.is_nil(text)
      assert.matches("digits are not known from 2^53 on", message, 1, true)
    end
    if rawget(_G, "jit") then
      local id = require("ffi").new("int64_t", 9007199254740992) + 1
      assert.equal("9007199254740993", constant(id))
    else
      assert.equal("9007199254740993", constant(math.tointeger(2 ^ 53) + 1)) -- luacheck: ignore
    end
  end)

  it("refuses a field that is both mapped and set", function()
    local _, err = plan(LONGLONG, { "phone", "n" }, { map = { name = "n" }, set = { name = "x" } })
    assert.matches("already filled", err.message, 1, true)
  end)

  it("R103 client needs identityType in every row when matching is exact", function()
    local _, err = plan(TUZHAN, { "phone", "groups" }, { params = EXACT })
    assert.matches('no column for "identityType"', err.message, 1, true)
    _, err = plan(TUZHAN, { "phone", "groups" }, { params = { publicParams = { isMatching = true, matchingType = 2 / 2, optType = "add" } } })
    assert.matches('no column for "identityType"', err and err.message, 1, true) -- 1.0 is 1
    local fuzzy = { publicParams = { isMatching = true, matchingType = 2, identifyWay = 1, optType = "add" } }
    assert.truthy(plan(TUZHAN, { "phone", "groups" }, { params = fuzzy }))
  end)

  it("R104 client requires the field that identityType names, for all rows or row by row", function()
    local columns = { "phone", "thirdId", "groups" }
    local result = assert(plan(TUZHAN, columns, { params = EXACT, set = { identityType = "phone" } }))
    assert.is_true(by_name(result).phone.required)
    assert.is_nil(by_name(result).thirdId.required)
    assert.same({ { fields = { { name = "thirdId", column = 2 }, { name = "phone", column = 1 } } } }, result.demands)
    result = assert(plan(TUZHAN, { "phone", "thirdId", "groups", "identityType" }, { params = EXACT }))
    assert.same({
      { fields = { { name = "thirdId", column = 2 }, { name = "phone", column = 1 } } },
      { by = 4, fields = { { name = "thirdId", column = 2 }, { name = "phone", column = 1 } } },
    }, result.demands)
  end)

  it("R110 client requires an identity: the only one that is mapped, or one of several", function()
    local result = assert(plan(TUZHAN, { "手机号", "groups" }))
    assert.is_true(by_name(result).phone.required)
    result = assert(plan(TUZHAN, { "手机号", "openid", "groups" }))
    assert.is_nil(by_name(result).phone.required)
    assert.same({ { fields = { { name = "openid", column = 2 }, { name = "phone", column = 1 } } } }, result.demands)
    local _, err = plan(TUZHAN, { "姓名", "groups" })
    assert.matches("every row needs one of", err.message, 1, true)
  end)

  it("R113 client requires groups, splits them as asked and forbids commas inside a name", function()
    local result = assert(plan(TUZHAN, { "phone", "分组" }, { split = { groups = ";" } }))
    local groups = by_name(result).groups
    assert.is_true(groups.required)
    assert.equal(";", groups.split)
    assert.equal(",", groups.join)
    assert.equal(",，", groups.forbid)
    local _, err = plan(TUZHAN, { "phone", "分组" }, { split = { phone = ";" } })
    assert.matches('"phone" is not a list', err.message, 1, true)
  end)

  it("R381 client gives the core the values that sex may have", function()
    local sex = by_name(assert(plan(LONGLONG, { "phone", "性别" }))).sex
    assert.equal("integer", sex.type)
    assert.same({ "0", "1", "2" }, sex.enum)
  end)

  it("checks a field, or a column that is not sent, only when asked (R380)", function()
    local result = assert(plan(LONGLONG, { "phone", "备用邮箱" }))
    assert.is_nil(by_name(result).phone.check)
    result = assert(plan(LONGLONG, { "phone", "备用邮箱" }, { check = { phone = "mobile_cn", ["备用邮箱"] = "email" } }))
    assert.equal("mobile_cn", by_name(result).phone.check)
    assert.same({ { column = 2, name = "备用邮箱", check = "email" } }, result.checks)
    assert.same({}, result.unused)
  end)

  it("carries our own mark where the platform keeps one", function()
    local result = assert(plan(LONGLONG, { "phone" }, { mark = "job-1." }))
    assert.equal("job-1.", by_name(result).extra.mark)
    assert.is_nil(by_name(result).extra.column)
    result = assert(plan(LONGLONG, { "phone", "extra" }, { mark = "job-1." }))
    assert.equal(2, by_name(result).extra.column)
    assert.equal("job-1.", by_name(result).extra.mark)
    assert.is_nil(by_name(assert(plan(LONGLONG, { "phone" }))).extra)
  end)

  describe("with columns that the platform named", function()
    local target = {
      { name = "uuid", required = true }, { name = "客户姓名" }, { name = "手机", required = true }, { name = "备注" },
    }

    it("R034 client keeps their order and their names as the header line", function()
      local result = assert(plan(UPLOAD, { "phone", "编号", "客户姓名" }, { target_columns = target }))
      assert.same({ "uuid", "客户姓名", "手机", "备注" }, result.header)
      assert.equal(2, result.fields[1].column)
      assert.equal(3, result.fields[2].column)
    end)

    it("matches a header and a target column that are aliases of one thing", function()
      local result = assert(plan(UPLOAD, { "phone", "编号", "客户姓名" }, { target_columns = target }))
      assert.equal(1, result.fields[3].column)
    end)

    it("R066 client sends a column that the file lacks as an empty value, so that rows keep their width", function()
      local result = assert(plan("outbound.upload_contacts_json", { "phone", "编号" }, { target_columns = target }))
      assert.equal(4, #result.fields)
      assert.equal("", result.fields[2].constant)
      assert.equal("", result.fields[4].constant)
      assert.is_nil(result.header)
    end)

    it("needs the mandatory ones", function()
      local _, err = plan(UPLOAD, { "phone", "客户姓名" }, { target_columns = target })
      assert.matches('no column for "uuid"', err.message, 1, true)
      assert.matches("map = { uuid =", err.message, 1, true)
    end)
  end)

  it("R082 client sends a DNC list as its uuid column alone", function()
    local result = assert(plan("outbound.upload_dnc_json", { "姓名", "uuid" }))
    assert.equal(1, #result.fields)
    assert.is_true(result.fields[1].required)
    assert.same({ "姓名" }, result.unused)
  end)
end)

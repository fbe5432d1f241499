-- SPDX-License-Identifier: MIT
-- The checks before sending: every field of every operation against values of the wrong kind, and what the checks do in general.

local check = require "campaign.api.check"
local convert = require "campaign.api.convert"
local core = require "campaign.core"
local fake = require "support.fake"
local json = require "campaign.json"
local platforms = require "campaign.api.platform"

-- A value that fits a description.
local function good(description)
  local kind = description.type
  if description.values then
    return description.values[1].value
  elseif description.constant then
    return description.constant
  elseif kind == "object" then
    local value = {}
    for _, field in ipairs(description.fields) do
      if field.required or field.any_of then
        value[field.name] = good(field)
      end
    end
    return value
  elseif kind == "array" then
    return { good(description.items) }
  elseif kind == "integer" or kind == "number" then
    return 1
  elseif kind == "int64" then
    return "1"
  elseif kind == "boolean" then
    return true
  elseif kind == "datetime" then
    return "2025-11-10 09:00:00"
  elseif kind == "date" then
    return "2025-11-10"
  elseif kind == "file" then
    return { content = "x", filename = "x.csv" }
  elseif description.pattern == "clock_or_datetime" then
    return "09:00"
  end
  return "text"
end

local function good_fields(operation)
  local fields = {}
  local taken = {}
  for _, field in ipairs(operation.fields) do
    local is_first = field.one_of and not taken[field.one_of]
    if field.required or is_first then
      fields[field.name] = good(field)
    end
    taken[field.one_of or 0] = true
  end
  return fields
end

-- For the two operations whose fields depend on each other.
local function tuned(operation, fields)
  if operation.name == "batch_add_group_relations" then
    fields.publicParams = { isMatching = false, optType = "add" }
  elseif operation.name == "create_notification_task" then
    fields.fileIds, fields.members = nil, { { userId = "1" } }
    fields.contents = { { contentType = "TEXT", contentValue = "x" } }
  end
  return fields
end

local function fields_for(operation)
  return tuned(operation, good_fields(operation))
end

local NASTY = {
  { 7, "number" }, { -1, "number" }, { 1.5, "number" }, { 1e300, "number" }, { 0 / 0, "number" }, { true, "boolean" }, { "", "text" },
  { "a\0b", "control" }, { "a\r\nX-Evil: 1", "control" }, { "\255\254", "bytes" }, { "😀", "text" }, { ("长"):rep(5000), "text" },
  { {}, "table" }, { { 1, nil, 3 }, "table" }, { { a = 1 }, "table" }, { { { {} } }, "table" }, { json.null, "null" },
  { function() end, "function" }, { coroutine.create(function() end), "thread" }, { "../../etc", "text" }, { "1", "text" },
}

local SCALAR_KINDS = {
  string = { text = true, control = true }, integer = { number = true }, int64 = { number = true, text = true }, number = { number = true },
  boolean = { boolean = true }, datetime = { number = true }, date = { number = true }, file = { text = true, control = true },
}

-- All scalar and container places of a request: { path, set }.
local function places(description, holder, key, path, list)
  list[#list + 1] = { path = path, field = description, set = function(value) holder[key] = value end, old = holder[key] }
  if description.type == "array" and type(holder[key]) == "table" then
    places(description.items, holder[key], 1, path .. "[1]", list)
  elseif description.type == "object" and type(holder[key]) == "table" then
    for _, field in ipairs(description.fields) do
      places(field, holder[key], field.name, path .. "." .. field.name, list)
    end
  end
  return list
end

-- What a field's own limits refuse, as its description has them.
local function bad_values(field)
  local list = {}
  local function add(...)
    for _, value in ipairs({ ... }) do
      list[#list + 1] = value
    end
  end
  local kind = field.type
  if field.values and not field.values.open then
    local first = field.values[1].value
    add(type(first) == "number" and 987 or first .. "x", type(first) == "number" and -1 or first:lower() .. " ", "😀")
  elseif kind == "string" and not field.constant then
    if field.max_length then
      add(("y"):rep(field.max_length + 1))
      if field.unit ~= "byte" then
        add(("长"):rep(field.max_length + 1))
      end
      if field.unit == "utf16" then
        add(("😀"):rep(math.floor(field.max_length / 2) + 1))
      end
    end
    if field.required then
      add("")
    end
    if field.not_blank then
      add("  ")
    end
    for _, char in ipairs(field.forbid and { field.forbid:match("^[%z\1-\127\194-\244][\128-\191]*") } or {}) do
      add("a" .. char .. "b")
    end
    local pattern = field.pattern
    if pattern == "identifier" then
      add("a-b", "a b", "长", "😀", "a\0b")
    elseif pattern == "mobile_cn" then
      add("1234", "a", "+8613800000000")
    elseif pattern == "url" then
      add("ftp://x", "x", "javascript:alert(1)")
    elseif pattern == "text" then
      add("a\0b", "a\nb", "\27[31m")
    elseif pattern == "clock_or_datetime" then
      add("25:00", "9", "noon")
    end
  elseif kind == "integer" or kind == "number" then
    if field.min then
      add(field.min - 1)
    end
    if field.max then
      add(field.max + 1)
    end
    if kind == "integer" then
      add(1.5, 1e300)
    end
  elseif kind == "int64" then
    add("9223372036854775808", "1x", "", "-", "😀", 1.5)
    if field.min then
      add(tostring(field.min - 1))
    end
  elseif kind == "boolean" then
    add("true", 1, "")
  elseif kind == "datetime" then
    add("2025-13-01 00:00:00", "2025-11-10", "2025-11-31 00:00:00", "now", "", "2025-11-10 24:00:00")
  elseif kind == "date" then
    add("2025-02-30", "10.11.2025", "", "today")
  elseif kind == "array" and not field.join then
    if field.max_items and field.max_items < 5000 then
      local items = {}
      for i = 1, field.max_items + 1 do
        items[i] = good(field.items)
      end
      add(items)
    end
    if field.min_items or field.required then
      add({})
    end
  end
  return list
end

-- What they must not refuse.
local function good_values(field)
  local list = {}
  for _, entry in ipairs(field.values or {}) do
    list[#list + 1] = entry.value
  end
  if field.type == "string" and field.max_length and not field.pattern and not field.values then
    list[#list + 1] = ("y"):rep(field.max_length)
    if field.unit ~= "byte" then
      list[#list + 1] = ("长"):rep(field.max_length)
    end
  elseif field.type == "integer" and not field.values then
    list[#list + 1] = field.min
    list[#list + 1] = field.max
  end
  return list
end

describe("api.check", function()
  for _, name in ipairs(platforms.names()) do
    it("refuses wrong values in every field of " .. name .. " by their path, and sends nothing", function()
      local platform = platforms.load(name)
      local account = fake.ACCOUNTS[name]
      local tried = 0
      for _, operation in ipairs(platform.operations) do
        local fields = fields_for(operation)
        assert(check.fields(platform, operation, fields, account))
        for _, field in ipairs(operation.fields) do
          for _, place in ipairs(places(field, fields, field.name, field.name, {})) do
            for _, nasty in ipairs(NASTY) do
              place.set(nasty[1])
              local client, transport = fake.client(name, { fake.answer("{}") })
              local well, reply, err = pcall(client.call, client, operation.name, fields, { accept_public_file = true, window = "ignore" })
              tried = tried + 1
              local where = operation.name .. " " .. place.path .. " = " .. tostring(nasty[1]):sub(1, 30)
              assert(well, where .. ": " .. tostring(reply))
              local allowed = SCALAR_KINDS[place.field.type]
              if allowed and not allowed[nasty[2]] and not (nasty[2] == "number" and place.field.values) then
                assert(reply == nil and err.kind == "invalid" and #transport.requests == 0, where .. " was sent")
                local found = false
                for _, fault in ipairs(err.faults) do
                  found = found or fault.path:sub(1, #place.path) == place.path
                end
                assert(found, where .. ": " .. tostring(err))
              end
              for _, request in ipairs(transport.requests) do
                assert.is_nil(request.url:find("[%c ]"))
                for _, header in ipairs(request.headers) do
                  assert.is_nil(header[2]:find("[%c]"))
                end
                if type(request.body) == "string" then
                  assert(json.decode(request.body), where .. ": " .. request.body:sub(1, 200))
                end
              end
            end
            place.set(place.old)
          end
        end
        assert(check.fields(platform, operation, fields, account), operation.name)
      end
      assert(tried > 20)
    end)
  end

  for _, name in ipairs(platforms.names()) do
    it("keeps every limit of every field of " .. name .. ": length, list of values, range, number of items, form", function()
      local platform = platforms.load(name)
      local tried, enums = 0, 0
      for _, operation in ipairs(platform.operations) do
        local fields = fields_for(operation)
        for _, field in ipairs(operation.fields) do
          for _, place in ipairs(places(field, fields, field.name, field.name, {})) do
            -- The fault at this place, if there is one; others depend on it (`required_if` and the like).
            local function fault_of(value)
              place.set(value)
              local client, transport = fake.client(name, { fake.answer("{}") })
              local _, err = client:call(operation.name, fields, { accept_public_file = true, window = "ignore" })
              assert(#transport.requests <= 1)
              place.set(place.old)
              tried = tried + 1
              for _, fault in ipairs(err and err.faults or {}) do
                if fault.path == place.path then
                  assert.equal(0, #transport.requests)
                  return fault
                end
              end
            end
            local where = operation.name .. " " .. place.path
            for _, value in ipairs(bad_values(place.field)) do
              assert(fault_of(value), where .. " took " .. tostring(value):sub(1, 40))
            end
            for _, value in ipairs(place.field.only_if and {} or good_values(place.field)) do
              local fault = fault_of(value)
              assert(not fault, where .. " refused " .. tostring(value):sub(1, 40) .. ": " .. tostring(fault and fault.message))
              enums = enums + (place.field.values and 1 or 0)
            end
          end
        end
      end
      assert(tried > 10 and enums > 0, tried)
    end)
  end

  local longlong = platforms.load("longlong")
  local import = longlong.operations.import_customers_async

  local function faults_of(fields, account)
    local values, err = check.fields(longlong, import, fields, account)
    assert.is_nil(values)
    assert.equal("invalid", err.kind)
    return err.faults, err
  end

  it("reports all faults at once, each with its path", function()
    local faults = faults_of{ data = { { phone = 1 }, { name = "n" }, { phone = "1", sex = 9, colour = "red" } }, encryptoin = true }
    local paths = {}
    for index, fault in ipairs(faults) do
      paths[index] = fault.path
    end
    table.sort(paths)
    assert.same({ "data[1].phone", "data[2].phone", "data[3].colour", "data[3].sex", "encryptoin", "user_id" }, paths)
  end)

  it("helps with misspelt names", function()
    local faults = faults_of({ data = { { phone = "1", compnay = "x" } }, encryptoin = true }, { user_id = "u" })
    local text = faults[1].message .. faults[2].message
    assert(text:find("did you mean `company`", 1, true))
    assert(text:find("did you mean `encryption`", 1, true))
  end)

  it("says how an account could have filled a missing field", function()
    assert.matches("account key `user_id`", faults_of({ data = { { phone = "1" } } })[1].message)
  end)

  it("takes the caller's value before the account's", function()
    local values = assert(check.fields(longlong, import, { user_id = "mine", data = { { phone = "1" } } }, { user_id = "account" }))
    assert.equal("mine", values.user_id)
    values = assert(check.fields(longlong, import, { data = { { phone = "1" } } }, { user_id = "account" }))
    assert.equal("account", values.user_id)
  end)

  it("changes nothing it was given", function()
    local fields = { data = { { phone = "1", components = { { id = "a", value = "b" } } } } }
    local before = json.encode(fields)
    assert(check.fields(longlong, import, fields, { user_id = "u" }))
    assert.equal(before, json.encode(fields))
  end)

  it("keeps a bounded list of faults for a hopeless call", function()
    local data = {}
    for index = 1, 200 do
      data[index] = { phone = 1, name = 2, company = 3, email = 4, sex = "x", extra = 6 }
    end
    local faults, err = faults_of({ data = data }, { user_id = "u" })
    assert.equal(1000, #faults)
    assert(#err.message < 2000)
    assert.matches("and 1195 more", err.message)
  end)

  it("never shows a value", function()
    local _, err = faults_of{ data = { { phone = "canary\0", sex = 987654, name = { "canary" }, ["canary\n"] = 1 } }, user_id = "canary\n",
      encryption = "canary" }
    local text = tostring(err) .. json.encode(err.faults)
    assert.is_nil(text:find("987654", 1, true))
    assert.is_nil(text:gsub("data%[1%]%.canary%?", ""):find("canary", 1, true))
  end)

  it("leaves the rows out when they come from a source", function()
    local values = assert(check.fields(longlong, import, {}, { user_id = "u" }, { rows = true }))
    assert.is_nil(values.data)
    local _, err = check.fields(longlong, import, { data = { { phone = "1" } } }, { user_id = "u" }, { rows = true })
    assert.equal("data", err.faults[1].path)
  end)

  it("raises for a program that gives no table", function()
    assert.has_error(function() check.fields(longlong, import, "x") end)
    assert.has_error(function() fake.client("longlong", {}):import_customers_async(7) end)
  end)

  it("reads 64-bit integers exactly and nothing else", function()
    for _, case in ipairs{ { "0", "0" }, { "-9223372036854775808", "-9223372036854775808" }, { "9223372036854775807", "9223372036854775807" },
      { 9007199254740991, "9007199254740991" }, { -5, "-5" }, { 1e15, "1000000000000000" } } do
      assert.equal(case[2], convert.int64_text(case[1]))
    end
    for _, value in ipairs{ "9223372036854775808", "-9223372036854775809", "00", "-0", "+1", " 1", "1 ", "1e3", "", "0x1", 1.5, 1e300, 0 / 0,
      2 ^ 53, -2 ^ 53, 2 ^ 53 + 1, true, {}, "99999999999999999999999999" } do
      assert.is_nil(convert.int64_text(value))
    end
  end)

  it("is quick with hostile texts", function()
    local before = os.clock()
    local long = ("a"):rep(1000000)
    faults_of({ data = { { phone = long .. "\0", name = long .. "\255" } }, [long] = 1, user_id = ("/"):rep(1000000) .. "\n" })
    assert(os.clock() - before < 1)
    assert(core.live() >= 0)
  end)
end)

-- SPDX-License-Identifier: MIT
-- The -p grammar: paths, typed texts, JSON, and every way to get it wrong.

local json = require "campaign.json"
local parameters = require "campaign.cli.parameters"
local platforms = require "campaign.api.platform"

local function fields_of(name)
  local platform, operation = name:match("^(%l+)%.([%w_]+)$")
  return assert(platforms.load(platform)).operations[operation].fields
end

describe("-p", function()
  local contacts = fields_of("longlong.import_customers_async")

  it("reads texts by the declared type, through lists and objects", function()
    local values = assert(parameters.parse({
      "user_id=u-1", "data[0].phone=13800000000", "data[0].sex=2", "data[1].phone=+86 138", "encryption=true",
      "data[0].components[0].id=a=b", "data[0].components[0].value=",
    }, contacts))
    assert.are.same({
      user_id = "u-1", encryption = true,
      data = {
        { phone = "13800000000", sex = 2, components = { { id = "a=b", value = "" } } }, { phone = "+86 138" },
      },
    }, values)
  end)

  it("takes list entries in any order", function()
    local values = assert(parameters.parse({ "data[1].phone=2", "data[0].phone=1" }, contacts))
    assert.are.equal("1", values.data[1].phone)
    assert.are.equal("2", values.data[2].phone)
  end)

  it("leaves what does not fit its type to the check of the call", function()
    local values = assert(parameters.parse({ "data[0].sex=male", "encryption=yes", "unknown=1" }, contacts))
    assert.are.equal("male", values.data[1].sex)
    assert.are.equal("yes", values.encryption)
    assert.are.equal("1", values.unknown)
  end)

  it("keeps long integers as texts", function()
    local values = assert(parameters.parse({ "taskId=9007199254740993" }, fields_of("hypers.get_notification_task")))
    assert.are.equal("9007199254740993", values.taskId)
  end)

  it("takes JSON after :=", function()
    local values = assert(parameters.parse({ 'dataList:=["a","b"]', "x:=9007199254740993", "n:=null", "y:=false" },
      fields_of("outbound.upload_dnc_json")))
    assert.are.same({ "a", "b" }, { values.dataList[1], values.dataList[2] })
    assert.is_true(json.is_array(values.dataList))
    assert.are.equal("9007199254740993", values.x)
    assert.are.equal(json.null, values.n)
    assert.is_false(values.y)
  end)

  it("makes a file of a path", function()
    local values = assert(parameters.parse({ "file=a b.png" }, fields_of("hypers.upload_file")))
    assert.are.same({ path = "a b.png" }, values.file)
  end)

  it("adds to the fields of a body", function()
    local values = assert(parameters.parse({ "data[0].name=x" }, contacts, { data = { { phone = "1" } }, sub_user_id = "s" }))
    assert.are.same({ data = { { phone = "1", name = "x" } }, sub_user_id = "s" }, values)
  end)

  local faults = {
    { { "name" }, "not of the form" }, { { "=x" }, "not of the form" }, { { "" }, "not of the form" }, { { ":=1" }, "not of the form" },
    { { "a..b=1" }, "not of the form" }, { { ".a=1" }, "not of the form" }, { { "a.=1" }, "not of the form" },
    { { "a[x]=1" }, "not of the form" }, { { "a[=1" }, "not of the form" }, { { "a[-1]=1" }, "not of the form" },
    { { "a[0]b=1" }, "not of the form" }, { { "[0]=1" }, "not of the form" }, { { "a[99999]=1" }, "not of the form" },
    { { "user_id=1", "user_id=2" }, "user_id: given twice" },
    { { "user_id=1", "user_id.x=2" }, "has a value already" },
    { { "data=1" }, "is a list" }, { { "data[0]=1" }, "is an object" },
    { { "data[0].phone=1", "data.x=1" }, "as a list and as an object" },
    { { "data[1].phone=1" }, "entry [1] or one before it is missing" },
    { { "data:=[" }, "is not JSON" }, { { "data:=" }, "is not JSON" }, { { "data:={'a':1}" }, "is not JSON" },
  }
  for _, case in ipairs(faults) do
    it("refuses " .. table.concat(case[1], " and "), function()
      local values, err = parameters.parse(case[1], contacts)
      assert.is_nil(values)
      assert.are.equal("usage", err.kind)
      assert.is_truthy(tostring(err):find(case[2], 1, true), tostring(err))
    end)
  end

  it("R008 client never repeats what was given without a name: it may be a secret", function()
    local _, err = parameters.parse({ "hunter2-secret" }, contacts)
    assert.is_falsy(tostring(err):find("hunter2", 1, true))
  end)
end)

describe("NAME=VALUE options", function()
  it("make a table", function()
    assert.are.same({ phone = "手机号", ["components.x"] = "a=b" }, parameters.pairs({ "phone=手机号", "components.x=a=b" }, "--map"))
  end)

  it("are refused without name or value, and when given twice", function()
    for _, list in ipairs{ { "x" }, { "=x" }, { "x=" }, { "x=1", "x=2" } } do
      local values, err = parameters.pairs(list, "--map")
      assert.is_nil(values)
      assert.is_truthy(err.message:find("--map", 1, true))
    end
  end)
end)

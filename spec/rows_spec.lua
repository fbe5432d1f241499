-- SPDX-License-Identifier: MIT
-- campaign.rows: a file's records by column name, for scripts.

local campaign = require "campaign"
local command = require "spec.support.command"

describe("campaign.rows", function()
  local folder
  before_each(function() folder = command.folder() end)
  after_each(function() command.remove(folder) end)

  local function rows_of(text, options)
    local path = command.write(folder .. "/list.csv", text)
    local list = {}
    for number, row, reason in assert(campaign.rows(path, options)) do
      list[number] = row
      list[number]["?"] = reason
    end
    return list
  end

  it("gives texts by column, quotes and line breaks undone", function()
    assert.are.same({ { ["姓名"] = "张三", phone = "1" }, { ["姓名"] = "李,\"四\"\n", phone = "" } },
      rows_of('姓名,phone\r\n张三,1\r\n"李,""四""\n",\r\n'))
  end)

  it("reads other encodings and delimiters", function()
    assert.are.same({ { ["名"] = "张" } }, rows_of("\195\251\n\213\197\n", { encoding = "gbk" }))
    assert.are.same({ { a = "1", b = "2" } }, rows_of("a;b\n1;2\n", { delimiter = ";" }))
  end)

  it("gives faulty records too, with a reason", function()
    local list = rows_of("a,b\n1\n1,2\n1,2,3\n")
    assert.are.equal("width", list[1]["?"])
    assert.is_nil(list[2]["?"])
    assert.are.equal("width", list[3]["?"])
  end)

  it("returns nil and an error for what cannot be read", function()
    local empty = command.write(folder .. "/empty.csv", "")
    for _, path in ipairs{ folder .. "/none", folder, empty } do
      local iterator, err = campaign.rows(path)
      assert.is_nil(iterator)
      assert.is_truthy(tostring(err):find(path, 1, true), tostring(err))
    end
  end)

  it("raises on what is no path", function()
    assert.has_error(function() campaign.rows(nil) end)
  end)

  it("leaves nothing open when a loop is left early", function()
    local path = command.write(folder .. "/list.csv", "a\n1\n2\n")
    for number in assert(campaign.rows(path)) do
      if number == 1 then
        break
      end
    end
    collectgarbage()
    collectgarbage()
    assert.are.equal(0, require("campaign.core").live())
  end)
end)

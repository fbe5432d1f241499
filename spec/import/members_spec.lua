-- SPDX-License-Identifier: MIT
-- campaign.members_file: a list becomes the file that HYPERS takes by its id, and the sandbox reads it as what was meant.

local campaign = require "campaign"
local command = require "spec.support.command"
local core = require "campaign.core"
local imports = require "support.imports"
local lists = require "support.lists"
local sheets = require "spec.support.sheets"

local TASK = "hypers.create_notification_task"
local MARKETING = "hypers.create_marketing_task"

describe("campaign.members_file", function()
  local folder
  setup(function() imports.start{ first_id = "9007199254740993" } end)
  teardown(imports.stop)
  before_each(function() folder = command.folder() end)
  after_each(function() command.remove(folder) end)

  local function members(text, more)
    local options = { source = lists.file(text), to = TASK, path = folder .. "/members.xlsx" }
    for key, value in pairs(more or {}) do
      options[key] = value
    end
    return campaign.members_file(options)
  end

  local function hypers()
    local env = imports.env()
    env.getenv = function(name) return name == "CAMPAIGN_STATE_DIR" and folder or nil end
    return assert(campaign.connect("hypers", imports.accounts.hypers, { env = env }))
  end

  it("writes members that the sandbox takes, with the values they had in the list", function()
    local file = assert(members("编号,昵称,姓名,门店\n13800001234,=nick,张䶮,_x0041_\n9007199254740993,,李四,浦东\n",
      { map = { shop = "门店" }, variables = { "name" } }))
    assert.is_true(file.ok)
    assert.equal(2, file.written)
    assert.same({ "userId", "ciq", "nickname", "name", "shop" }, file.columns)
    assert.same({
      { "userId", "ciq", "nickname", "name", "shop" },
      { "13800001234", "", "=nick", "张䶮", "_x0041_" }, { "9007199254740993", "", "", "李四", "浦东" },
    }, sheets.read(file.path, 5))
    local client = hypers()
    local uploaded = assert(client:upload_file({ file = file.upload }, { accept_public_file = true }))
    assert.equal("9007199254740993", uploaded.id)
    local task = assert(client:create_notification_task{
      taskName = "autumn", taskType = "APPOINTMENT_REMINDER", scheduledStartTime = "2025-11-10 11:00:00",
      contents = { { contentType = "TEXT", contentValue = "{{name}}, come to {{shop}}" } }, fileIds = { uploaded.id },
    })
    assert.equal(2, task.totalMembers)
    assert(imports.handle:control("clock", { at = "2025-11-10 13:00:00" }))
    local seen = {}
    for member in client:each("list_notification_executions", { taskId = task.id }) do
      seen[#seen + 1] = member.memberName
    end
    assert.same({ "=nick", "9007199254740993" }, seen)
    client:close()
  end)

  it("writes what a marketing task takes", function()
    local file = assert(members("ciq\nc-1\nc-2\nc-3\n", { to = MARKETING }))
    local client = hypers()
    local uploaded = assert(client:upload_file({ file = file.upload }, { accept_public_file = true }))
    local group = assert(client:create_marketing_group{ name = "g" })
    local plan = assert(client:create_marketing_plan{ options = "RELEASE", data = { name = "visit", groupId = group.id } })
    local task = assert(client:create_marketing_task{ id = plan.id, name = "batch 1", startTime = "2025-11-10 18:00:00",
      fileIds = { uploaded.id } })
    local names = {}
    for member in client:each("list_marketing_task_members", { taskId = task.id }) do
      names[#names + 1] = member.ciq or member.memberId or true
    end
    assert.equal(3, #names)
    client:close()
  end)

  it("begins with the columns of the template that the platform gives, in its order", function()
    local client = hypers()
    local path = folder .. "/template.xlsx"
    local template = assert(client:get_marketing_members_template({}, { save_to = path }))
    assert.truthy(template)
    local header = sheets.read(path, 3)[1]
    client:close()
    local file = assert(members("shop,nickname,ciq\nx,y,z\n", { map = { shop = "shop" } }))
    for i, name in ipairs(header) do
      assert.equal(name, file.columns[i])
    end
    assert.same({ "", "z", "y", "x" }, sheets.read(file.path, 4)[2])
  end)

  it("reads lists in any encoding, and replaces by the user's own table", function()
    local text = "编号,昵称\nu1,張䶮\n"
    for _, encoding in ipairs({ "gb18030", "utf-16le", "utf-8" }) do
      local bytes = assert(core.gbk.encode(text, encoding))
      local file = assert(members((encoding == "utf-16le" and "\255\254" or "") .. bytes, { on_unmappable = { map = { ["䶮"] = "龑" } } }))
      assert.equal(encoding, file.encoding)
      assert.equal("張龑", sheets.read(file.path, 3)[2][3])
    end
  end)

  it("leaves out and lists the rows that cannot be members, with their reasons and values", function()
    local long = ("漢"):rep(32768)
    local file = assert(members("userId,ciq,nickname,name\nu1,,a,A\n,,nobody,B\nu3,,bad\1,C\nu4,,x," .. long
      .. "\nu5,,y,\nu1,,again,E\nu7\n\nu8,c,z,F\n", { variables = { "name" }, unique = "userId" }))
    assert.equal(7, file.exit_code)
    assert.is_false(file.ok)
    assert.same({ 8, 2, 5, 1 }, { file.rows, file.written, file.rejected, file.duplicate })
    local found = {}
    for line in command.read(file.rejects_file):gmatch("[^\n]+") do
      local row, _, _, column, reason = line:match("^(%d+),%d+,(%a+),(%a+),([^,]*),([%a_]+)")
      found[#found + 1] = row and row .. " " .. column .. " " .. reason or nil
    end
    assert.same({ "2 userId required", "3 nickname forbidden", "4 name too_long", "5 name required" }, { found[1], found[2], found[3], found[4] })
    assert.truthy(command.read(file.rejects_file):find("nobody", 1, true))
    assert.truthy(command.read(file.duplicates_file):find("again", 1, true))
    -- A second run leaves no list of the first.
    file = assert(members("userId\nu1\n"))
    assert.is_nil(file.rejects_file)
    assert.is_nil(core.system.stat(folder .. "/members.rejects.csv"))
  end)

  it("keeps numbers as the text they are, and lets checks decide", function()
    local file = assert(members("userId,memberId\n007,12\n8,x\n9,\n", { check = { userId = "digits" } }))
    assert.equal(2, file.written)
    assert.same({ { "userId", "ciq", "nickname", "memberId" }, { "007", "", "", "12" }, { "9", "", "", "" } }, sheets.read(file.path, 4))
  end)

  it("cuts a list into several files where that was asked for", function()
    local lines = { "userId" }
    for i = 1, 25 do
      lines[#lines + 1] = "u" .. i
    end
    local file = assert(members(table.concat(lines, "\n") .. "\n", { rows_per_file = 10 }))
    assert.equal(3, #file.files)
    assert.equal(folder .. "/members-3.xlsx", file.files[3].path)
    assert.equal("u21", sheets.read(file.files[3].path, 1)[2][1])
    assert.equal(5, file.files[3].rows)
  end)

  it("refuses more rows than a sheet has, before anything is written", function()
    if os.getenv("CAMPAIGN_TEST_TOOL") == "valgrind" then
      return -- a million rows are for the plain build
    end
    local file, err = members("userId\n" .. ("u\n"):rep(1048576))
    assert.is_nil(file)
    assert.equal("invalid", err.kind)
    assert.truthy(tostring(err):find("1048576 members are more than the 1048575 rows of a sheet", 1, true), tostring(err))
    assert.is_nil(core.system.stat(folder .. "/members.xlsx"))
  end)

  it("says what is wrong with its options, and writes nothing", function()
    for text, more in pairs({
      ["does not end in .xlsx"] = { path = folder .. "/members.csv" },
      ["takes no file of members; operations that take a file of members: create_notification_task, create_marketing_task"] =
        { to = "hypers.upload_file" },
      ["none"] = { to = "longlong.import_customers_async" },
      ["did you mean `userId`"] = { map = { UserId = "userId" } },
      ['the file has no column "nothing"'] = { map = { userId = "nothing" } },
      ['no column for "shop"'] = { variables = { "shop" } },
      ["none of the 2 rows"] = { set = { userId = "" }, map = { ciq = "userId" }, check = { ciq = "email" } },
    }) do
      local file, err = members("userId\nu1\nu2\n", more)
      assert.is_nil(file, text)
      assert.truthy(tostring(err):find(text, 1, true), tostring(err))
    end
    local _, err = members("ciq2\nx\n")
    assert.truthy(tostring(err):find('every row needs one of "userId", "ciq"', 1, true), tostring(err))
    _, err = campaign.members_file{ source = folder .. "/none.csv", to = TASK, path = folder .. "/a.xlsx" }
    assert.truthy(err.message:find("none.csv", 1, true))
    os.remove(folder .. "/members.rejects.csv") -- of the list that had no member
    _, err = members("userId\nu\n", { path = folder .. "/gone/a.xlsx" })
    assert.truthy(err.message:find("gone/a.xlsx: cannot be written", 1, true), err.message)
    assert.equal("", command.run({ "ls", "-A", folder }).out)
  end)

  it("raises for a wrong program", function()
    assert.has_error(function() members("userId\n", { nonsense = 1 }) end, "members_file: unknown option `nonsense`")
    assert.has_error(function() members("userId\n", { rows_per_file = 1048576 }) end)
    assert.has_error(function() members("userId\n", { variables = { 1 } }) end)
    assert.has_error(function() campaign.members_file{ source = "x", to = TASK } end, "members_file: option `path` is missing")
  end)

  it("lets an error of on_progress out, and leaves no file", function()
    assert.has_error(function()
      members("userId\nu\n", { on_progress = function() error("enough", 0) end })
    end, "enough")
    assert.equal("", command.run({ "ls", "-A", folder }).out)
  end)
end)

describe("campaign members", function()
  local folder
  before_each(function() folder = command.folder() end)
  after_each(function() command.remove(folder) end)

  it("writes the file, says what is in it, and ends with 7 when rows were left out", function()
    local list = command.write(folder .. "/list.csv", "手机号,姓名\n13800001234,张三\nx,李四\n")
    local argv = { "members", list, "--to", TASK, "-o", folder .. "/m.xlsx", "--map", "userId=手机号", "--variable", "name",
      "--check", "userId=mobile_cn" }
    local result = command.campaign(argv)
    assert.equal(7, result.code, result.err)
    assert.truthy(result.out:find("1  members", 1, true), result.out)
    assert.truthy(result.out:find("m.rejects.csv", 1, true), result.out)
    assert.same({ "13800001234", "", "", "张三" }, sheets.read(folder .. "/m.xlsx", 4)[2])
    argv[#argv + 1] = "--json"
    result = command.campaign(argv)
    local shown = require("cjson").decode(result.out)
    assert.equal(1, shown.written)
    assert.equal("userId", shown.columns[1])
    assert.equal("", result.err)
  end)

  it("ends with 2 for what it cannot do", function()
    local list = command.write(folder .. "/list.csv", "a\nb\n")
    for _, more in ipairs({ { "--to", TASK, "-o", folder .. "/m.xls" }, { "--to", TASK, "-o", folder .. "/m.xlsx" },
      { "--to", "hypers.nothing", "-o", folder .. "/m.xlsx" }, { "--to", TASK } }) do
      local argv = { "members", list }
      for _, word in ipairs(more) do
        argv[#argv + 1] = word
      end
      assert.equal(2, command.campaign(argv).code)
    end
    assert.equal("list.csv\n", command.run({ "ls", "-A", folder }).out)
  end)
end)

-- SPDX-License-Identifier: MIT
-- Excel workbooks as lists, from the file to the sandbox's log: row numbers, cells that hold no value, what the job keeps, and all that may follow an import.

local campaign = require "campaign"
local command = require "support.command"
local core = require "campaign.core"
local imports = require "support.imports"
local lists = require "support.lists"
local sheets = require "spec.support.sheets"
local workbooks = require "spec.support.workbooks"

local LONGLONG = "longlong.import_customers_async"

-- arg: folder, base_url, token, user, workbook, where to die ("reading:1"; "never").
local SCRIPT = [[
  local campaign = require "campaign"
  local core = require "campaign.core"
  local account = { base_url = arg[2], token = arg[3], user_id = arg[4] }
  local place, left = arg[6]:match("^(%a+):?(%d*)$")
  left = tonumber(left)
  print(campaign.import{ source = arg[5], to = "longlong.import_customers_async", job = arg[1], account = account, rows_per_call = 10, concurrency = 2,
    mark = false, window = "ignore", on_progress = function(event)
      if event.phase == place then
        left = left - 1
        if left == 0 then
          os.execute("kill -9 " .. core.system.pid())
        end
      end
    end })
]]

local function bytes_of(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

local function contains(text, part)
  assert(tostring(text):find(part, 1, true), tostring(text) .. "\nlacks " .. part)
end

describe("an import of an Excel workbook", function()
  local folder, count = nil, 0

  setup(function()
    imports.start()
    folder = imports.folder()
  end)
  teardown(function()
    imports.remove(folder)
    imports.stop()
  end)
  before_each(function() imports.reset() end)

  local function write(book)
    count = count + 1
    return workbooks.write(("%s/list%d.xlsx"):format(folder, count), book)
  end

  local function people(n, change)
    local rows = { { "uuid", "姓名", "手机号", "公司" } }
    for i = 1, n do
      rows[#rows + 1] = change and change(i) or { "c-" .. i, "客户" .. i, 13800000000 + i, "第" .. i .. "公司\n有限" }
    end
    return write{ rows = workbooks.rows(rows) }
  end

  local function options(path, more)
    local given = imports.options(LONGLONG, nil, { source = path })
    for name, value in pairs(more or {}) do
      given[name] = value
    end
    return given
  end

  -- Row 3 blank, one hidden, an error, a telephone that is none, a formula without result, a number of 18 digits in a column that is not sent.
  local function mixed()
    return write{ rows = workbooks.rows{ { "姓名", "手机号", "openid" }, { "张\n三", 15912345601, "o-1" }, "<row/>",
      "<row hidden='1'><c t='str'><v>李四</v></c>"
      .. "<c><v>1.5912345602E10</v></c><c><v>123456789012345678</v></c></row>", "<row><c t='e'><v>#N/A</v></c><c><v>15912345603</v></c></row>",
        { "王五", 123, "o-4" },
      "<row><c t='str'><v>赵六</v></c><c><f>B2+1</f></c></row>", { "孙七", 15912345606, "o-6", "more than the header has" } } }
  end

  it("sends its rows, and tells of each by the number that it has in the sheet", function()
    local result = assert(campaign.import(options(mixed(), { check = { phone = "mobile_cn" } })))
    imports.assert_balanced(result)
    assert.same({ 6, 2, 4 }, { result.rows, result.accepted_pending, result.rejected })
    local sent = imports.commits()
    assert.same({ "15912345601", "张\n三", "15912345602", "李四" }, { sent[1].row.phone, sent[1].row.name, sent[2].row.phone, sent[2].row.name })
    local found = {}
    local rows, header = imports.read(result.rejects_file)
    for i, row in ipairs(rows) do
      found[i] = ("%s %s %s %s"):format(row._line, row._column, row._reason, row._code)
    end
    assert.same({ "5 姓名 check excel_value", "6 手机号 check mobile_cn", "7 手机号 check mobile_cn", "8  width " }, found)
    assert.same({ "openid", "手机号", "姓名" }, { header[#header], header[#header - 1], header[#header - 2] })
    contains(rows[1]._message, "row 3 (line 5), column 1 (姓名")
    assert.equal(384, core.system.stat(result.job .. "/sheet.csv").mode % 512)
    assert.same({}, assert(campaign.verify(result.job)).faults)
  end)

  it("says before sending what a person should know, and only of columns that are used", function()
    local job = assert(campaign.plan(options(mixed())))
    local notes = table.concat(job.plan.notes, "\n")
    contains(notes, '1 row is hidden in sheet "名单"')
    contains(notes, "column 姓名: 1 cell is an error of Excel's (the first in cell A5); such rows are rejected: mend the formulas")
    contains(notes, "column 手机号: 1 cell is a formula without its result (the first in cell B7)")
    assert.is_nil(notes:find("openid", 1, true))
    job:close()
    job = assert(campaign.plan(options(mixed(), { check = { openid = "text" } })))
    contains(table.concat(job.plan.notes, "\n"),
      "column openid: 1 cell is a number of more than 15 digits, of which Excel keeps 15 (the first in cell C4)")
    assert.equal(4, job.plan.rejected)
    job:close()
  end)

  it("knows a workbook by its content, not by its name", function()
    local path = people(2)
    local text = bytes_of(path)
    lists.write(folder .. "/really.csv", text)
    assert.equal(2, assert(campaign.import(options(folder .. "/really.csv"))).accepted_pending)
    lists.write(folder .. "/really.xlsx", imports.people(3))
    assert.equal(3, assert(campaign.import(options(folder .. "/really.xlsx"))).accepted_pending)
    local _, err = campaign.import(options(folder .. "/really.xlsx", { sheet = "S" }))
    assert.same({ "usage", "sheet: " .. folder .. "/really.xlsx is not an Excel workbook" }, { err.kind, err.message })
  end)

  it("takes the sheet that is named", function()
    local path = write{ sheets = { { "旧", workbooks.rows{ { "x" } } }, { "新", workbooks.rows{ { "手机号" }, { 13800000001 } } }, { "空", "" } } }
    local result = assert(campaign.import(options(path, { sheet = "新" })))
    assert.equal(1, result.accepted_pending)
    local _, err = campaign.import(options(path, { sheet = "空" }))
    contains(err, path .. ': sheet "空" is blank')
    _, err = campaign.import(options(path, { sheet = "没有" }))
    contains(err, 'no sheet "没有"; it has "旧", "新", "空"')
    assert.has_error(function() campaign.plan(options(path, { workbook = {} })) end, nil)
  end)

  it("takes the row that is named for the header, where titles stand above it", function()
    local path = write{ rows = workbooks.rows{ { "2025 年客户名单" }, "<row/>", { "手机号", "姓名" }, { 13800000001, "张" }, { 1, "李" } },
      after = '<mergeCells><mergeCell ref="A1:B1"/></mergeCells>' }
    local _, err = campaign.plan(options(path))
    contains(err.hint, 'row 1 of sheet "名单"; if that is another row, say so with `header_row`')
    local given = options(path, { header_row = 3, check = { phone = "mobile_cn" } })
    local result = assert(campaign.import(given))
    assert.same({ 2, 1, 1 }, { result.rows, result.accepted_pending, result.rejected })
    assert.equal("5", imports.read(result.rejects_file)[1]._line)
    local run = command.campaign({ "convert", path, "--header-row", "3", "--to", "utf-8" })
    assert.equal("\n\n手机号,姓名\n13800000001,张\n1,李\n", run.out)
    _, err = campaign.plan(options(path, { header_row = 2 }))
    contains(err, 'row 2 of sheet "名单" is blank')
    _, err = campaign.plan(options(path, { header_row = 9 }))
    contains(err, 'sheet "名单" ends before row 9')
    _, err = campaign.plan(options(lists.file(imports.people(1)), { header_row = 2 }))
    contains(err, "header_row: ")
  end)

  it("leaves nothing behind where it cannot be read, nor by a dry run", function()
    for _, bytes in ipairs{ "PK\3\4", bytes_of(people(50)):sub(1, -30), "\208\207\17\224" .. ("\0"):rep(600) } do
      lists.write(folder .. "/bad.xlsx", bytes)
      local given = options(folder .. "/bad.xlsx")
      local job, err = campaign.plan(given)
      assert.is_nil(job)
      assert.equal("invalid", err.kind)
      contains(err, folder .. "/bad.xlsx")
      assert.is_nil(core.system.stat(given.job))
    end
    local path = write{ rows = workbooks.rows{ { "手机号", "手机号" }, { 1, 2 } } }
    local _, err = campaign.plan(options(path))
    contains(err, path .. ": the header names column '手机号' twice")
    local given = options(people(3), { dry_run = true })
    given.job = nil
    local result = assert(campaign.import(given))
    assert.same({ 3, 3 }, { result.rows, result.pending })
    assert.is_nil(result.job)
  end)

  it("goes on from its own copy: the workbook may be edited, moved or gone, but not the copy", function()
    local path = people(40)
    local given = options(path, { rows_per_call = 10 })
    assert(campaign.plan(given)):close()
    os.remove(path)
    local result = assert(assert(campaign.open_job(given.job, { account = given.account, env = given.env })):resume())
    imports.assert_balanced(result)
    assert.same({ 40, 40 }, { result.rows, result.accepted_pending })
    given = options(people(40), { rows_per_call = 10 })
    assert(campaign.plan(given)):close()
    lists.write(given.job .. "/sheet.csv", bytes_of(given.job .. "/sheet.csv") .. "x,y,z,a\n")
    local _, err = assert(campaign.open_job(given.job, { account = given.account, env = given.env })):resume()
    contains(err, "sheet.csv has changed since the job was planned")
  end)

  it("sends corrected rows again, from CSV or from a workbook, and none that is still an error", function()
    local result = assert(campaign.import(options(mixed(), { check = { phone = "mobile_cn" } })))
    local again = { account = imports.accounts.longlong, env = imports.env() }
    local mended = bytes_of(result.rejects_file):gsub(",123,", ",15912345604,")
    lists.write(result.rejects_file, (mended:gsub("#N/A,15912345603", "#N/A,15912345693"))) -- another telephone, the same error
    local retried = assert(campaign.retry(result.job, again))
    assert.same({ 1, 1 }, { retried.accepted_pending, retried.rejected })
    assert.equal("excel_value", imports.read(retried.rejects_file)[1]._code)
    assert.equal("15912345604", imports.commits()[3].row.phone)
    -- The same file, saved from Excel.
    local rows, header = imports.read(result.rejects_file)
    local cells = { header }
    for i, row in ipairs(rows) do
      local fields = { n = #row.fields }
      for column, value in ipairs(row.fields) do
        fields[column] = tonumber(value) or value ~= "" and value or nil
      end
      fields[#header - 2] = i == 1 and "陈" or fields[#header - 2]
      cells[i + 1] = i < 4 and fields or nil
    end
    local file = write{ rows = workbooks.rows(cells) }
    again.file = file
    retried = assert(campaign.retry(result.job, again))
    assert.same({ 1, 0 }, { retried.accepted_pending, retried.rejected })
    assert.same({ "陈", "15912345693" }, { imports.commits()[4].row.name, imports.commits()[4].row.phone })
    assert.same({}, assert(campaign.verify(result.job)).faults)
    cells[2][#header] = "x"
    again.file = write{ rows = workbooks.rows(cells) .. "<row><c><v>6</v></c><c><v>123456789012345678</v></c></row>" }
    local _, err = campaign.retry(result.job, again)
    contains(err, "a number of more than 15 digits")
  end)

  it("has a damaged ledger made anew from the copy, and knows rows of an earlier workbook", function()
    local given = options(people(5), { rows_per_call = 2 })
    local first = assert(campaign.import(given))
    local path = first.job .. "/ledger.db"
    lists.write(path, ("\255"):rep(4096) .. bytes_of(path):sub(4097))
    local recovered = assert(campaign.recover(first.job, { account = given.account, env = given.env }))
    imports.assert_balanced(recovered.result)
    assert.equal(5, recovered.result.rows)
    assert.equal(5, #imports.commits())
    first = assert(campaign.import(options(people(5))))
    local second = assert(campaign.import(options(people(7), { since = first.job })))
    assert.same({ 5, 2 }, { second.unchanged, second.accepted_pending })
    assert.equal("2", imports.read(second.unchanged_file)[1]._line)
  end)

  it("is forgotten with its copy", function()
    local result = assert(campaign.import(options(people(3))))
    local forgotten = assert(campaign.forget(result.job))
    contains(table.concat(forgotten.removed, " "), "sheet.csv")
    assert.is_nil(core.system.stat(result.job .. "/sheet.csv"))
    for name in require("lfs").dir(result.job) do
      if name ~= "." and name ~= ".." then
        assert.is_nil(bytes_of(result.job .. "/" .. name):find("13800000001", 1, true), name)
      end
    end
  end)

  it("goes through a function for each row, which keeps the sheet's row numbers", function()
    local given = options(mixed(), { map = function(row)
      row.phone = row["手机号"] == "123" and "15912345604" or row["手机号"]
      row.name = row["姓名"] == "#N/A" and "佚名" or row["姓名"]
      if row["姓名"] == "孙七" then
        return nil, "no"
      end
    end })
    assert(campaign.plan(given)):close()
    os.remove(given.source)
    assert.is_nil(core.system.stat(given.job .. "/sheet.csv"))
    local result = assert(assert(campaign.open_job(given.job, { account = given.account, env = given.env })):resume())
    imports.assert_balanced(result)
    assert.same({ 6, 4, 2 }, { result.rows, result.accepted_pending, result.rejected })
    local rows = imports.read(result.rejects_file)
    assert.same({ "7", "8" }, { rows[1]._line, rows[2]._line })
    assert.equal("佚名", imports.commits()[3].row.name)
    assert.same({}, assert(campaign.verify(result.job)).faults)
  end)

  it("leaves out rows whose key is in a workbook, and refuses one with keys that nobody can read", function()
    local dnc = write{ rows = workbooks.rows{ { "phone", "why" }, { "138-0000-0002", "" }, { 13800000003, "" },
      "<row><c/><c t='e'><v>#N/A</v></c></row>" } }
    local result = assert(campaign.import(options(people(4), { suppress = dnc .. ":phone" })))
    imports.assert_balanced(result)
    assert.same({ 2, 2 }, { result.suppressed, result.accepted_pending })
    dnc = write{ rows = workbooks.rows{ { "phone" }, { 13800000002 }, "<row><c t='e'><v>#N/A</v></c></row>" } }
    local _, err = campaign.plan(options(people(4), { suppress = dnc .. ":phone" }))
    contains(err, "1 cell is an error of Excel's (the first in cell A3)")
    assert.equal("invalid", err.kind)
  end)

  it("becomes a file of members, and CSV on the command line", function()
    local path = people(2)
    local file = assert(campaign.members_file{ source = path, to = "hypers.create_notification_task", path = folder .. "/m.xlsx",
      map = { userId = "uuid" } })
    assert.same({ 2, 2 }, { file.rows, file.written })
    assert.equal("c-2", sheets.read(file.path, 1)[3][1])
    local result = command.campaign({ "convert", mixed(), "--to", "gbk", "-o", folder .. "/out.csv" })
    assert.same({ 0, "" }, { result.code, result.out })
    contains(result.err, "the first in cell A5")
    local text = assert(core.gbk.decode(bytes_of(folder .. "/out.csv"), "gbk"))
    contains(text, '姓名,手机号,openid\n"张\n三",15912345601,o-1\n\n李四,15912345602,1.23456789012346E+17\n')
    result = command.campaign({ "convert", lists.file("a\n"), "--to", "gbk" })
    assert.equal(2, result.code)
    contains(result.err, "--from")
  end)

  it("says so when the disk takes no more, sends nothing, and leaves nothing behind", function()
    local script = folder .. "/full.lua"
    lists.write(script, SCRIPT)
    local account, job, shared, rows = imports.accounts.longlong, imports.job(), {}, { { "手机号", "备注" } }
    for i = 1, 3000 do
      shared[i] = "<si><t>a remark of its own about customer " .. i .. "</t></si>"
      rows[i + 1] = ("<row><c><v>%d</v></c><c t='s'><v>%d</v></c></row>"):format(13800000000 + i, i - 1)
    end
    for _, book in ipairs{ { rows = workbooks.rows(rows), shared = table.concat(shared) }, { rows = workbooks.rows{ { "手机号" } },
      shared = table.concat(shared) } } do
      -- Files may have 8 KiB, as a full disk would have it; the signal that comes with that is ignored.
      local line = ("trap '' XFSZ; ulimit -f 16; %s %s %s %s %s %s %s never"):format(os.getenv("CAMPAIGN_TEST_LUA") or "lua5.4", script, job,
        account.base_url, account.token, account.user_id, write(book))
      local result = command.run({ "sh", "-c", line }, { env = { LUA_PATH = os.getenv("LUA_PATH") or package.path,
        LUA_CPATH = os.getenv("LUA_CPATH") or package.cpath } })
      contains(result.out, "job folder " .. job .. ": ")
      contains(result.out, "of the workbook")
      contains(result.out, "File too large")
      assert.equal(0, #imports.commits())
      assert.is_nil(core.system.stat(job))
    end
  end)

  it("sends every row once, wherever it was killed #heavy", function()
    local script = folder .. "/run.lua"
    lists.write(script, SCRIPT)
    local account, path = imports.accounts.longlong, people(300)
    for _, place in ipairs{ "reading:1", "preflight:1", "sending:1", "sending:2", "finished:1" } do
      imports.reset()
      local job = imports.job()
      local process = assert(core.system.spawn{ os.getenv("CAMPAIGN_TEST_LUA") or "lua5.4", script, job, account.base_url, account.token,
        account.user_id, path,
        place, stderr = "/dev/null", stdout = "/dev/null" })
      assert(process:wait(60))
      process:close()
      local given = { account = account }
      if place == "reading:1" then
        for name in require("lfs").dir(job) do
          assert(name == "." or name == ".." or name:find("^%.campaign%-"), name .. " stayed")
        end
        assert(campaign.import{ source = path, to = LONGLONG, job = job, account = account, window = "ignore" })
      else
        local result = assert(assert(campaign.open_job(job, given)):resume())
        imports.assert_balanced(result)
        assert.equal(300, result.rows)
      end
      local seen = {}
      for _, entry in ipairs(imports.commits()) do
        assert.is_nil(seen[entry.row.phone], place)
        seen[entry.row.phone] = true
      end
      assert.same({}, assert(campaign.verify(job)).faults, place)
    end
  end)
end)

-- SPDX-License-Identifier: MIT
-- Suppression lists in an import: who is on one is not sent, is listed with the list's line, and is counted; a list that cannot be taken
-- whole, or that has changed since the plan, stops everything before a byte leaves. The sandbox's log is the oracle.

local campaign = require "campaign"
local core = require "campaign.core"
local imports = require "support.imports"
local json = require "campaign.json"
local lists = require "support.lists"
local suppress = require "campaign.import.plan.suppress"
local workbooks = require "support.workbooks"

local LONGLONG = "longlong.import_customers_async"
local UPLOAD = "outbound.upload_contacts_file"

local function contains(text, part)
  assert(tostring(text):find(part, 1, true), "'" .. part .. "' is missing in: " .. tostring(text))
end

local function sent_phones()
  local phones = {}
  for _, entry in ipairs(imports.commits()) do
    phones[#phones + 1] = entry.row.phone
  end
  table.sort(phones)
  return phones
end

describe("suppression", function()
  setup(function()
    imports.start()
  end)
  teardown(imports.stop)
  before_each(function()
    imports.reset()
  end)

  it("reads FILE:COLUMN with the field and the form that it is compared by", function()
    for text, expected in pairs({
      ["dnc.csv:phone"] = { file = "dnc.csv", column = "phone" },
      ["/a:b/dnc.csv:手机号"] = { file = "/a:b/dnc.csv", column = "手机号" },
      ["dnc.csv:mobile=phone"] = { file = "dnc.csv", column = "mobile", field = "phone" },
      ["dnc.csv:id=uuid:text"] = { file = "dnc.csv", column = "id", field = "uuid", form = "text" },
      ["dnc.txt:#1=phone"] = { file = "dnc.txt", column = 1, field = "phone" },
      ["a=b/dnc.csv:phone"] = { file = "a=b/dnc.csv", column = "phone" },
    }) do
      assert.same(expected, (suppress.parse(text)), text)
    end
    for _, text in ipairs({ "dnc.csv", ":phone", "dnc.csv:", "dnc.csv:phone=", "dnc.csv:=phone", "" }) do
      local entry, problem = suppress.parse(text)
      assert.is_nil(entry, text)
      contains(problem, "is not of the form FILE:COLUMN")
    end
  end)

  it("reads a list without a header whose first row has empty cells, or the same one twice; with a header these are refused", function()
    local book = workbooks.write(imports.list("") .. ".xlsx", { rows = workbooks.rows{ { 13800000001, nil, 13800000001, n = 3 },
      { 13800000002, "x", "y" } } })
    for _, file in ipairs({ imports.list("13800000001,,13800000001\n13800000002,x,\n"), book }) do
      local result = assert(imports.import(LONGLONG, "name,手机号\nA,13800000001\nB,13800000002\nC,13800000003\n",
        { suppress = { file .. ":#1=phone" } }))
      assert.same({ 3, 1, 2 }, { result.rows, result.accepted_pending, result.suppressed })
      assert.equal("is in line 1 of " .. file .. ":#1", imports.read(result.suppressed_file)[1]._message)
      local _, err = imports.import(LONGLONG, "name,手机号\nA,13800000001\n", { suppress = { { file = file, column = "x", field = "phone" } } })
      contains(err, "of the header has no name")
    end
    local _, err = imports.import(LONGLONG, "name,手机号\nA,13800000001\n",
      { suppress = { imports.list("13800000001,\r13800000002,x\r") .. ":#1=phone" } })
    contains(err, "lines must end in LF or CRLF")
  end)

  it("keeps those who are on a list from being sent, and lists every one with the line that says so", function()
    local dnc = imports.list("编号,电话,日期\n1,+86 138-0000-0003,x\n2,13800000001,x\n3,13800000001,x\n4,13999999999,x\n5,?,x\n6,,x\n")
    local mails = imports.list("blocked@example.com\nSomebody@Example.com\n")
    local text = "name,手机号,email\nA,13800000001,a@example.com\nB,138 0000 0002,somebody@example.com\nC,13800000003,\n"
      .. "\"D,\n\"\"x\"\"\",138-0000-0003,d\nE,13800000004,e@example.com\n,13800000001,\n"
    local result = assert(imports.import(LONGLONG, text, {
      suppress = { { file = dnc, column = "电话", field = "phone" }, mails .. ":#1=email" }, unique = "phone", check = { email = "email" },
    }))
    imports.assert_balanced(result)
    assert.same({ 6, 1, 5, 0, 0 }, { result.rows, result.accepted_pending, result.suppressed, result.rejected, result.duplicate })
    assert.equal(0, result.exit_code)
    assert.same({ "13800000004" }, sent_phones())
    local listed = imports.read(result.suppressed_file)
    local label, mail = dnc .. ":电话", mails .. ":#1"
    for i, expected in ipairs({
      { "1", "2", label, "3", "手机号" }, { "2", "3", mail, "2", "email" }, { "3", "4", label, "2", "手机号" }, { "4", "5", label, "2", "手机号" },
      { "6", "8", label, "3", "手机号" },
    }) do
      local row = listed[i]
      assert.same({ expected[1], expected[2], "suppressed", "listed", expected[3], expected[5] },
        { row._row, row._line, row._state, row._reason, row._code, row._column })
      assert.equal(("is in line %s of %s"):format(expected[4], expected[3]), row._message)
    end
    assert.equal('D,\n"x"', listed[4].name) -- every value as it was
    assert.same({ { "listed", label, 4 }, { "listed", mail, 1 } }, {
      { result.reasons[1].reason, result.reasons[1].code, result.reasons[1].count },
      { result.reasons[2].reason, result.reasons[2].code, result.reasons[2].count },
    })
    local proof = assert(campaign.verify(result.job, { account = imports.accounts.longlong, sandbox = imports.handle.base_url }))
    assert.same({}, proof.faults)
    assert.equal(5, proof.jobs[1].counts.suppressed)
  end)

  it("says of every list in the plan what it is and what it kept out", function()
    local dnc = imports.list("phone\n13800000002\n13800000002\nnobody\n\"\"\n")
    local job = assert(campaign.plan(imports.options(LONGLONG, "phone\n13800000001\n+8613800000002\n", { suppress = dnc .. ":phone" })))
    local facts = job.plan.suppress[1]
    assert.same({ dnc .. ":phone", "phone", "phone", 2, 4, 1, 1, 1, 1 }, { facts.label, facts.field, facts.form, facts.keys, facts.rows,
      facts.empty, facts.repeated, facts.unusual, facts.suppressed })
    assert.equal(core.digest.sha256_file(dnc), facts.sha256)
    assert.equal(1, job.plan.suppressed)
    job:close()
    local file = assert(io.open(job.folder .. "/ledger.db", "rb"))
    local ledger = file:read("*a")
    file:close()
    assert.is_nil(ledger:find("13800000002", 1, true))
  end)

  it("compares by what the field is: by platform, check, or name, else exactly", function()
    local function form(to, text, more)
      local job = assert(campaign.plan(imports.options(to, text, more)))
      job:close()
      return job.plan.suppress[1].form
    end
    local phones, ids = imports.list("x\n13800000009\n"), imports.list("x\nC-1\n")
    assert.equal("phone", form(LONGLONG, "手机号\n1\n", { suppress = phones .. ":x=phone" }))
    assert.equal("email", form(LONGLONG, "手机号,邮箱\n1,a@b.c\n", { suppress = phones .. ":x=邮箱" }))
    assert.equal("text", form(LONGLONG, "手机号,公司\n1,a\n", { suppress = phones .. ":x=company" }))
    assert.equal("phone", form(LONGLONG, "手机号,w\n1,13800000001\n", { suppress = phones .. ":x=w", check = { w = "mobile_cn" } }))
    assert.equal("text", form(LONGLONG, "手机号\n1\n", { suppress = { file = phones, column = "x", field = "phone", form = "text" } }))
    local result = assert(imports.import(LONGLONG, "phone,id\n13800000001,c-1\n13800000002,C-1\n", { suppress = ids .. ":x=id" }))
    assert.equal(1, result.suppressed)
    assert.same({ "13800000001" }, sent_phones())
  end)

  it("works on files as on calls, with the columns of the target, and for lists in GBK", function()
    local gbk = imports.list(assert(core.gbk.encode("姓名,电话\n某人,13800000001\n", "gbk")))
    local result = assert(imports.import(UPLOAD, imports.people(3), { suppress = gbk .. ":电话=手机号", rows_per_file = 1 }))
    imports.assert_balanced(result)
    assert.same({ 1, 2, 2 }, { result.suppressed, result.accepted, #imports.commits() })
  end)

  it("refuses a list that cannot be taken whole, before a job folder is made", function()
    local good = "phone\n13800000001\n"
    for _, case in ipairs({
      { "/nowhere/dnc.csv:phone", nil, "/nowhere/dnc.csv" },
      { ":mobil=phone", "mobile,n\n138,1\n", 'has no column "mobil" (did you mean `mobile`?)' },
      { ":phone", "13800000001\n13800000002\n", 'it has "138********"' },
      { ":phone", "", "empty" },
      { ":phone", "phone\n", "has no keys" },
      { ":phone", "phone\n\"\"\n   \n", "has no keys" },
      { ":phone", "phone,n\n138,1\n139\n", "line 3 does not have as many fields" },
      { ":phone", "phone\n138\0\n", "NUL" },
      { ":phone", "phone\n\"138\n", "quote" },
      { ":#2=phone", "13800000001\n", "has 1 columns, not 2" },
      { ":#1", good, "say which field column 1 is compared with" },
      { ":phone=handy", good, '"handy" is neither a field with a column nor a column of the file' },
      { ":phone=phone:soundex", good, '"soundex" is not a form of keys' },
      { "", good, "is not of the form" },
    }) do
      local path = case[2] and imports.list(case[2]) or ""
      local options = imports.options(LONGLONG, "phone\n13800000001\n", { suppress = path .. case[1] })
      local job, err = campaign.plan(options)
      assert.is_nil(job, case[3])
      assert(err.kind == "usage" or err.kind == "invalid", err.kind)
      contains(err.message, case[3])
      assert.is_nil(core.system.stat(options.job), case[3])
    end
    assert.equal(0, #imports.commits())
  end)

  it("raises for what only a wrong program gives", function()
    for part, wrong in pairs({
      ["needs `file` and `column`"] = { { file = "x" } }, ["unknown field `colum`"] = { { file = "x", colum = "y" } },
      ["expected a list of tables"] = { 5 }, ["`column` is a name or a number"] = { { file = "x", column = 0, field = "y" } },
      ["expected a list"] = { x = 1 },
    }) do
      local ok, message = pcall(function()
        local job, err = campaign.plan(imports.options(LONGLONG, "phone\n1\n", { suppress = wrong }))
        return job, err
      end)
      assert.is_false(ok, part)
      contains(message, part)
      contains(message, "suppress_spec")
    end
  end)

  it("is kept by resume, which refuses a list that has changed or is gone", function()
    local dnc = imports.list("phone\n13800000002\n")
    local options = imports.options(LONGLONG, "phone\n13800000001\n13800000002\n13800000003\n", { suppress = dnc .. ":phone" })
    local job = assert(campaign.plan(options))
    job:close()
    local function resume()
      return assert(campaign.open_job(options.job, { account = options.account, env = imports.env() })):resume()
    end
    lists.write(dnc, "phone\n13800000003\n")
    local result, err = resume()
    assert.is_nil(result)
    assert.same({ "ledger", "changed", "no" }, { err.kind, err.reason, err.sent })
    contains(err.message, dnc .. ":phone has changed since the job was planned")
    os.remove(dnc)
    result, err = resume()
    assert.is_nil(result)
    contains(err.message, "cannot be read any more")
    assert.equal(0, #imports.commits())
    lists.write(dnc, "phone\n13800000002\n")
    result = assert(resume())
    imports.assert_balanced(result)
    assert.same({ 1, 2, "finished" }, { result.suppressed, result.accepted_pending, result.state })
    assert.same({ "13800000001", "13800000003" }, sent_phones())
    assert.equal("13800000002", imports.read(result.suppressed_file)[1].phone)
    local report = assert(io.open(result.report_file, "rb"))
    assert.equal(1, json.decode(report:read("*a")).suppressed)
    report:close()
  end)

  it("loads the lists again when a plan was not finished", function()
    local dnc = imports.list("phone\n13800000002\n")
    local options = imports.options(LONGLONG, imports.people(5000), { suppress = dnc .. ":phone=手机号" })
    local job
    options.on_progress = function()
      error("enough", 0)
    end
    assert.is_false(pcall(function() job = campaign.plan(options) end))
    assert.is_nil(job)
    options.on_progress = nil
    local result = assert(assert(campaign.open_job(options.job, { account = options.account, env = imports.env() })):resume())
    imports.assert_balanced(result)
    assert.same({ 5000, 1 }, { result.rows, result.suppressed })
  end)

  it("lets nobody wait: where others share the thread, lists are read in short pieces", function()
    local parts = { "phone\n" }
    for i = 1, 20000 do
      parts[i + 1] = ("139%08d\n"):format(i)
    end
    local env, pauses = imports.env(), 0
    env.pause = function() pauses = pauses + 1 end
    local job = assert(campaign.plan(imports.options(LONGLONG, "phone\n13900000007\n13800000001\n",
      { suppress = imports.list(table.concat(parts)) .. ":phone", env = env })))
    assert.equal(1, job.plan.suppressed)
    assert(pauses >= 2 * 240000 / 32768, pauses)
    job:close()
  end)
end)

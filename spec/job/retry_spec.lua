-- SPDX-License-Identifier: MIT
-- campaign.retry: mended rows go, once; nothing else ever goes. Judged by the sandbox's log of commits and by campaign.verify over the whole family.

local campaign = require "campaign"
local command = require "support.command"
local core = require "campaign.core"
local folder_module = require "campaign.import.folder"
local imports = require "support.imports"
local json = require "campaign.json"
local ledger_module = require "campaign.ledger"
local record_module = require "campaign.import.record"

local LONGLONG, TUZHAN, JSON = "longlong.import_customers_async", "tuzhan.batch_add_group_relations", "outbound.upload_contacts_json"

describe("campaign.retry", function()
  setup(function() imports.start() end)
  teardown(imports.stop)
  before_each(function() imports.reset() end)

  -- 40 people; rows 5, 15, 25 and 35 have no phone.
  local function people()
    return imports.people(40, function(i)
      if i % 10 == 5 then
        return ("c-%05d,客户%d,,公司,老客户"):format(i, i)
      end
    end)
  end

  local function run(to, more)
    local options = { rows_per_call = not to:find("_file") and 10 or nil }
    for key, value in pairs(more or {}) do
      options[key] = value
    end
    options = imports.options(to, options.text or people(), options)
    options.text = nil
    return assert(campaign.import(options)), { account = options.account, env = options.env }
  end

  local function edit(path, change)
    command.write(path, (change(command.read(path))))
  end

  local function mend(job, ...)
    for _, row in ipairs({ ... }) do
      edit(job .. "/rejects.csv", function(text)
        return text:gsub(("c%%-%05d,客户%d,,"):format(row, row), ("c-%05d,客户%d,1391111%04d,"):format(row, row, row))
      end)
    end
  end

  local function retry(job, given, more)
    local options = {}
    for _, from in ipairs({ given, more or {} }) do
      for key, value in pairs(from) do
        options[key] = value
      end
    end
    return campaign.retry(job, options)
  end

  local function assert_proved(job)
    local proof = assert(campaign.verify(job, { sandbox = imports.handle.base_url }))
    assert.is_true(proof.ok, json.encode(proof.faults))
    return proof
  end

  local function phones()
    local list = {}
    for _, entry in ipairs(imports.commits()) do
      list[#list + 1] = entry.row.phone
    end
    return list
  end

  it("sends the rows that were mended and leaves the others", function()
    for _, to in ipairs({ LONGLONG, TUZHAN, JSON }) do
      imports.reset()
      local result, given = run(to, to == JSON and { check = { phone = "mobile_cn" } } or nil)
      assert.equal(4, result.rejected, to)
      mend(result.job, 5, 25)
      local again = assert(retry(result.job, given))
      assert.equal(2, again.taken_over, to)
      assert.equal(2, again.rows)
      assert.equal(result.job .. "/retry-1", again.job)
      assert.same({ rows = 4, sent = 2, unchanged = 2, settled = 0, ambiguous = 0, duplicate = 0, left_out = 0, number = 1, of = result.job,
        file = result.job .. "/rejects.csv" }, again.retry)
      assert.equal(38, #imports.commits())
      local proof = assert_proved(result.job)
      assert.equal(2, #proof.jobs)
      assert.equal(2, proof.mended)
    end
  end)

  it("takes a mended row that is longer than a record may be for what it is: a rejected row of the retry", function()
    local result, given = run(LONGLONG)
    edit(result.job .. "/rejects.csv", function(text)
      return (text:gsub("客户5,,", "客户5,13911110005,", 1):gsub("客户15,,", ("x"):rep(9000000) .. ",13911110015,", 1))
    end)
    local again = assert(retry(result.job, given))
    assert.same({ 2, 1, 1 }, { again.rows, again.taken_over, again.rejected })
    assert.equal("too_large", again.reasons[1].reason)
    assert_proved(result.job)
  end)

  it("never sends again what an earlier retry brought in, whichever file is given", function()
    local result, given = run(LONGLONG)
    mend(result.job, 5, 25)
    assert(retry(result.job, given))
    local nothing, err = retry(result.job, given)
    assert.is_nil(nothing)
    assert.equal("invalid", err.kind)
    assert.matches("2 unchanged, 2 settled", err.message, 1, true)
    -- Changed once more: they are with the platform all the same.
    edit(result.job .. "/rejects.csv", function(text) return text:gsub("1391111", "1392222") end)
    mend(result.job, 15)
    local again = assert(retry(result.job, given))
    assert.equal(1, again.taken_over)
    assert.equal(2, again.retry.settled)
    assert.equal(39, #imports.commits())
    assert_proved(result.job)
    nothing, err = retry(again.job, given)
    assert.is_nil(nothing)
    assert.equal("usage", err.kind) -- the second retry has no rejected rows
  end)

  it("goes on with rows that a retry rejected: from its own file or the first one", function()
    local result, given = run(LONGLONG, { check = { phone = "mobile_cn" } })
    edit(result.job .. "/rejects.csv", function(text) return text:gsub("(客户%d+),,", "%1,12345,") end)
    local again = assert(retry(result.job, given))
    assert.equal(4, again.rejected)
    local rows, header = imports.read(again.rejects_file)
    assert.equal("_original_row", header[#header])
    assert.equal("15", rows[2]._original_row)
    edit(again.rejects_file, function(text) return text:gsub("客户5,12345,", "客户5,13911110005,") end)
    local third = assert(retry(again.job, given))
    assert.equal(1, third.taken_over)
    assert.equal(result.job .. "/retry-2", third.job)
    mend(result.job, 15) -- still 12345 there: nothing that this could change
    edit(result.job .. "/rejects.csv", function(text) return text:gsub("客户15,12345,", "客户15,13911110015,") end)
    local fourth = assert(retry(result.job, given))
    assert.equal(1, fourth.taken_over)
    assert.same({ 1, 2, 1 }, { fourth.retry.settled, fourth.retry.unchanged, fourth.retry.sent })
    assert.equal(38, #imports.commits())
    assert_proved(result.job)
  end)

  it("finds the rows whatever a spreadsheet did to order, encoding and separator", function()
    local result, given = run(LONGLONG)
    local rows, header = imports.read(result.rejects_file)
    local lines = {}
    local function line(values)
      lines[#lines + 1] = table.concat(values, ";")
    end
    local turned = {}
    for i = #header, 1, -1 do
      turned[#turned + 1] = header[i]
    end
    line(turned)
    for at = #rows, 1, -1 do
      local values = {}
      for i, name in ipairs(turned) do
        values[i] = (rows[at][name] == "" and name == "手机号") and "1391111000" .. at or '"' .. rows[at][name]:gsub('"', '""') .. '"'
      end
      line(values)
    end
    local path = result.job .. "/from-a-spreadsheet.csv"
    command.write(path, "\239\187\191" .. table.concat(lines, "\r\n") .. "\r\n")
    assert.equal(4, assert(retry(result.job, given, { file = path })).taken_over)
    assert.equal(40, #imports.commits())
    assert_proved(result.job)

    -- In place: the job's books are proved with the file as the spreadsheet left it.
    imports.reset()
    result, given = run(LONGLONG)
    command.write(result.rejects_file, command.read(path))
    assert.equal(4, assert(retry(result.job, given)).taken_over)
    assert_proved(result.job)

    for _, saved in ipairs{ { "gb18030", "" }, { "utf-16le", "\255\254" } } do
      imports.reset()
      result, given = run(LONGLONG)
      mend(result.job, 5)
      edit(result.rejects_file, function(text)
        return saved[2] .. assert(core.gbk.encode(text, saved[1]))
      end)
      assert.equal(1, assert(retry(result.job, given)).taken_over, saved[1])
      assert_proved(result.job)
    end
  end)

  it("asks for the encoding where the header of a mended file does not tell it", function()
    local result, given = run(LONGLONG, { text = "phone,name\n13800000001,a\n,李四\n" })
    edit(result.rejects_file, function(text)
      return assert(core.gbk.encode((text:gsub(",,李四", ",13800000002,李四")), "gb18030"))
    end)
    local _, err = retry(result.job, given)
    assert.equal("invalid", err.kind)
    assert.matches("--encoding", err.hint, 1, true)
    assert.equal(1, assert(retry(result.job, given, { encoding = "gb18030" })).taken_over)
    assert.equal("李四", imports.commits()[2].row.name)
  end)

  it("refuses rows that are not rejected, unknown rows, rows given twice, and other files", function()
    imports.reset({ "import_customers_async:after-commit-close@2" })
    local result, given = run(LONGLONG, { concurrency = 1 })
    assert.equal(10, result.ambiguous)
    local before = #imports.commits()
    local function refused(text, kind, change, more)
      local original = command.read(result.rejects_file)
      edit(result.rejects_file, change)
      local none, err = retry(result.job, given, more)
      assert.is_nil(none)
      assert.equal(kind, err.kind)
      assert.matches(text, err.message .. (err.hint or ""), 1, true)
      command.write(result.rejects_file, original)
      assert.is_nil(core.system.stat(result.job .. "/retry-1"))
      assert.is_nil(core.system.stat(result.job .. "/retry-1.csv"))
      assert.is_nil(core.system.stat(result.job .. "/retry-rows"))
    end
    refused("6 is accepted pending", "invalid", function(text) return text:gsub("\n5,", "\n6,") end)
    refused("is ambiguous", "invalid", function() return command.read(result.ambiguous_file) end)
    refused("never sent again by a retry", "invalid", function() return command.read(result.ambiguous_file) end)
    refused("both refer to row 5", "invalid", function(text) return text .. text:match("\n(5,[^\n]*\n)") end)
    refused("the list has 40", "invalid", function(text) return text:gsub("\n5,", "\n500,") end)
    refused("has no row number", "invalid", function(text) return text:gsub("\n5,", "\nfive,") end)
    refused("it lacks 手机号", "invalid", function(text) return text:gsub("手机号", "电话", 1) end)
    refused("the list has no 电话", "invalid", function(text) return text:gsub("手机号", "电话", 1) end)
    refused("there is nothing to send", "invalid", function(text) return text end)
    refused("does not exist", "usage", function(text) return text end, { file = result.job .. "/none.csv" })
    refused("another account", "ledger", function(text) return text end,
      { account = { base_url = "http://127.0.0.1:1", token = "another", user_id = "u-2" } })
    assert.equal(before, #imports.commits())
    assert.has_error(function() campaign.retry(result.job, { acount = "x" }) end)
    assert_proved(result.job)
  end)

  it("leaves rows alone that an earlier retry left in doubt, until somebody resolves them", function()
    local result, given = run(LONGLONG)
    mend(result.job, 5)
    imports.handle:control("faults", { faults = json.array{ "import_customers_async:after-commit-close@1" } })
    local again = assert(retry(result.job, given))
    assert.equal(1, again.ambiguous)
    imports.handle:control("faults", { faults = json.array{} })
    mend(result.job, 15)
    edit(result.job .. "/rejects.csv", function(text) return text:gsub("13911110005", "13922220005") end)
    local third = assert(retry(result.job, given))
    assert.equal(1, third.retry.ambiguous)
    assert.equal(1, third.taken_over)
    local child = assert(campaign.open_job(again.job, given))
    assert(child:resolve(1, "applied"))
    assert.equal(0, assert(child:resume()).ambiguous)
    local _, err = retry(result.job, given)
    assert.matches("2 unchanged, 2 settled", err.message, 1, true)
    assert_proved(result.job)
  end)

  it("waits for an earlier retry to be finished, and knows one whose folder is gone", function()
    local result, given = run(LONGLONG)
    mend(result.job, 5)
    local job = assert(campaign.plan_retry(result.job, given))
    local _, err = retry(result.job, given)
    assert.equal("locked", err.reason)
    job:close()
    _, err = retry(result.job, given)
    assert.equal("ledger", err.kind)
    assert.matches("campaign resume", err.hint, 1, true)
    assert.equal(1, assert(assert(campaign.open_job(job.folder, given)):resume()).taken_over)
    os.rename(job.folder, job.folder .. ".away")
    _, err = retry(result.job, given)
    assert.matches("nobody knows which rows it sent", err.message, 1, true)
    os.rename(job.folder .. ".away", job.folder)
    _, err = retry(result.job, given)
    assert.matches("3 unchanged, 1 settled", err.message, 1, true)
    assert.equal(37, #imports.commits())
  end)

  it("throws away what a process left that died before its retry was written down", function()
    local result, given = run(LONGLONG)
    mend(result.job, 5)
    local job = assert(campaign.plan_retry(result.job, given))
    job:close()
    local ledger = assert(ledger_module.open(result.job .. "/ledger.db")) -- as if it had not been written down
    local put = assert(ledger:job_get())
    local record = assert(record_module.decode(put.record))
    record.retries = nil
    assert(ledger:job_put{ id = put.id, state = put.state, record = assert(record_module.encode(record)) })
    ledger:close()
    assert.equal(1, assert(retry(result.job, given)).taken_over)
    assert.equal(37, #imports.commits())
    assert_proved(result.job)
  end)

  it("throws away the folder of a retry that was not planned yet when its process died", function()
    local result, given = run(LONGLONG)
    mend(result.job, 5)
    local folder = assert(folder_module.create(result.job .. "/retry-1"))
    assert(folder:write("job", { format = folder_module.FORMAT }))
    assert(ledger_module.open(folder.ledger, { create = true })):close()
    assert.equal(1, assert(retry(result.job, given)).taken_over)
    assert_proved(result.job)
  end)

  it("refuses a job that is not finished, whose list has changed, and one without rejected rows", function()
    local options = imports.options(LONGLONG, people(), { rows_per_call = 10 })
    local job = assert(campaign.plan(options))
    job:close()
    local given = { account = options.account, env = options.env }
    local _, err = retry(job.folder, given)
    assert.equal("ledger", err.kind)
    assert.matches("campaign resume", err.hint, 1, true)
    assert(assert(campaign.open_job(job.folder, given)):resume())
    mend(job.folder, 5)
    edit(options.source, function(text) return text .. "c-x,客户,13900000000,x,y\n" end)
    _, err = retry(job.folder, given)
    assert.equal("changed", err.reason)
    local good = run(LONGLONG, { text = imports.people(5) })
    _, err = retry(good.job, given)
    assert.equal("usage", err.kind)
  end)

  it("does not send a mended row whose key a row has that was taken over", function()
    local result, given = run(LONGLONG, { unique = "手机号" })
    edit(result.rejects_file, function(text)
      return (text:gsub("客户5,,", "客户5,13800000001,"):gsub("客户15,,", "客户15,13911110015,"):gsub("客户25,,", "客户25,13911110015,"))
    end)
    local again = assert(retry(result.job, given))
    assert.equal(1, again.retry.duplicate)
    assert.equal(1, again.taken_over)
    assert.equal(1, again.duplicate)
    assert.equal(37, #imports.commits())
    mend(result.job, 35)
    edit(result.rejects_file, function(text) return text:gsub("13911110035", "13911110015") end)
    local _, err = retry(result.job, given)
    assert.matches("duplicate", err.message, 1, true)
  end)

  it("sends unchanged rows only when told so, for refusals that were the platform's fault", function()
    imports.reset({ "batch_add_group_relations:code=400@1-" })
    local result, given = run(TUZHAN, { text = imports.people(20), concurrency = 1 })
    assert.is_true(result.rejected >= 10, tostring(result.rejected))
    assert_proved(result.job)
    imports.handle:control("faults", { faults = json.array{} })
    local _, err = retry(result.job, given)
    assert.matches("unchanged", err.message, 1, true)
    local again = assert(retry(result.job, given, { unchanged = true }))
    assert.equal(result.rejected, again.taken_over)
    assert.equal(result.rejected, #imports.commits())
    assert_proved(result.job)
  end)

  it("appends: a retry of an overwriting import does not overwrite", function()
    local result, given = run("outbound.upload_contacts_file", { rows_per_file = 20, overwrite = true,
      check = { phone = "mobile_cn" } })
    assert.equal(4, result.rejected)
    mend(result.job, 5)
    assert.equal(1, assert(retry(result.job, given)).taken_over)
    local modes = {}
    for _, entry in ipairs(imports.commits()) do
      modes[entry.mode] = (modes[entry.mode] or 0) + 1
    end
    assert.equal("append", imports.commits()[37].mode)
    assert.is_true(modes.overwrite > 0)
    assert_proved(result.job)
  end)

  it("takes what belongs to a run from the caller, else from the job", function()
    imports.reset({ "batch_add_group_relations:code=400@1-" })
    local result, given = run(TUZHAN, { text = imports.people(40), concurrency = 1, bisect = 0 })
    assert.equal(40, result.rejected)
    local again = assert(retry(result.job, given, { unchanged = true, max_reject = 15, rate = 10, concurrency = 1 }))
    assert.equal("max_reject", again.error.reason)
    assert.same({ 20, 20 }, { again.rejected, again.pending })
    assert.is_true(again.seconds >= 1 / 10 - 0.02, "the second call waits for its token, which may be taken 20 ms early")
    local _, err = retry(result.job, given, { unchanged = true, max_reject = "none" })
    assert.truthy(tostring(err):find("resume", 1, true))
    again = assert(assert(campaign.open_job(result.job .. "/retry-1", given)):resume({ max_reject = "none", bisect = 1000 }))
    assert.is_nil(again.error)
    assert.equal(40, again.rejected)
    assert.is_true(again.requests > 6, "the last two were narrowed down: " .. again.requests)
    for _, bad in ipairs({ { rate = 0 }, { max_reject = "many" }, { bisect = -1 }, { rows_per_call = 5 } }) do
      assert.has_error(function() retry(result.job, given, bad) end)
    end
    assert.has_error(function() retry(result.job, given, { rate = -1 }) end,
      "retry: option `rate` must be a number of calls per second above 0, at most 100000")
    assert.has_error(function() campaign.open_job(result.job, { windows = "wait" }) end)
    local job = assert(campaign.open_job(result.job, given))
    assert.has_error(function() job:resume({ concurrency = 0 }) end, "resume: option `concurrency` must be a whole number from 1 to 1000")
    assert_proved(result.job) -- nobody holds the ledger
  end)

  it("survives a resume that writes the rejected rows anew: the mended file is set aside", function()
    imports.reset({ "import_customers_async:after-commit-close@2" })
    local result, given = run(LONGLONG, { concurrency = 1 })
    mend(result.job, 5, 15)
    local edited = command.read(result.rejects_file)
    local job = assert(campaign.open_job(result.job, given))
    assert(job:resolve(2, "applied"))
    local whole = assert(job:resume())
    imports.assert_balanced(whole)
    assert.equal(edited, command.read(result.job .. "/rejects-edited-1.csv"))
    local rows = imports.read(whole.rejects_file)
    assert.same({ "5", "15", "25", "35" }, { rows[1]._row, rows[2]._row, rows[3]._row, rows[4]._row })
    assert.same({ "", "手机号", "required" }, { rows[1]["手机号"], rows[1]._column, rows[1]._reason })
    assert_proved(result.job)
    assert.equal(2, assert(retry(result.job, given, { file = result.job .. "/rejects-edited-1.csv" })).taken_over)
    assert_proved(result.job)
  end)

  it("survives a resume that cannot set the mended file aside: nothing is written over", function()
    imports.reset({ "import_customers_async:after-commit-close@2" })
    local result, given = run(LONGLONG, { concurrency = 1 })
    mend(result.job, 5, 15)
    local edited = command.read(result.rejects_file)
    local job = assert(campaign.open_job(result.job, given))
    assert(job:resolve(2, "applied"))
    local rename = os.rename
    os.rename = function() return nil, "no room for names" end -- luacheck: ignore 122
    local ran, whole, err = pcall(job.resume, job)
    os.rename = rename -- luacheck: ignore 122
    assert.is_true(ran, tostring(whole))
    assert.is_nil(whole)
    assert.is_truthy(tostring(err):find("cannot be set aside: no room for names", 1, true))
    assert.equal(edited, command.read(result.rejects_file))
  end)

  it("is a command with the result as text and as JSON", function()
    local result = run(LONGLONG)
    local env = {}
    for key, value in pairs(imports.accounts.longlong) do
      env["CAMPAIGN_LONGLONG_" .. key:upper()] = value
    end
    local shown = command.campaign({ "retry", result.job }, { env = env })
    assert.equal(2, shown.code)
    assert.matches("nothing to send", shown.err, 1, true)
    mend(result.job, 5)
    shown = command.campaign({ "retry", result.job }, { env = env })
    assert.equal(0, shown.code, shown.err)
    assert.matches("1 corrected rows; left as they are: 3 unchanged", shown.out, 1, true)
    mend(result.job, 15)
    shown = command.campaign({ "retry", result.job, "--json" }, { env = env })
    assert.equal(0, shown.code, shown.err)
    local again = json.decode(shown.out)
    assert.equal(1, again.retry.settled)
    assert.equal(1, again.accepted_pending)
    assert.equal("13911110015", phones()[38])
  end)
end)

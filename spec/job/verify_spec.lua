-- SPDX-License-Identifier: MIT
-- campaign.verify: an honest job passes on every platform and after every kind of fault; each kind of falsification fails by its own figure.

local campaign = require "campaign"
local command = require "support.command"
local core = require "campaign.core"
local imports = require "support.imports"
local json = require "campaign.json"
local lists = require "support.lists"

local LONGLONG, FILE = "longlong.import_customers_async", "outbound.upload_contacts_file"

describe("campaign.verify", function()
  setup(function() imports.start() end)
  teardown(imports.stop)
  before_each(function() imports.reset() end)

  -- 60 people, three of them without a phone, one with a phone that another has.
  local function people()
    return imports.people(60, function(i)
      if i % 20 == 7 then
        return ("c-%05d,客户%d,,公司,老客户"):format(i, i)
      elseif i == 50 then
        return "c-00050,客户50,13800000049,公司,老客户"
      end
    end)
  end

  local function run(to, more)
    local options = { rows_per_call = not to:find("_file") and 10 or nil, rows_per_file = to:find("_file") and 20 or nil, unique = "手机号" }
    for key, value in pairs(more or {}) do
      options[key] = value
    end
    return assert(imports.import(to, people(), options))
  end

  local function verify(job, more)
    local options = { sandbox = imports.handle.base_url }
    for key, value in pairs(more or {}) do
      options[key] = value
    end
    return assert(campaign.verify(job, options))
  end

  local function said(proof)
    local lines = {}
    for i, fault in ipairs(proof.faults) do
      lines[i] = fault.part .. ": " .. fault.message
    end
    return table.concat(lines, "\n")
  end

  local function assert_fault(proof, part, text)
    assert.is_false(proof.ok)
    assert.equal(8, proof.exit_code)
    for _, fault in ipairs(proof.faults) do
      if fault.part == part and fault.message:find(text, 1, true) then
        return fault
      end
    end
    error(part .. ": " .. text .. " is not among:\n" .. said(proof), 2)
  end

  -- The sandbox's log as a file, changed by `change(lines)`.
  local function log(change)
    local lines = {}
    for i, entry in ipairs(imports.commits()) do
      lines[i] = assert(core.json.encode(entry))
    end
    if change then
      change(lines)
    end
    return command.write(imports.folder() .. "/commits.jsonl", table.concat(lines, "\n") .. "\n")
  end

  -- Statements on the ledger behind the product's back.
  local function falsify(job, ...)
    local store = assert(core.store.open(job .. "/ledger.db"))
    for _, sql in ipairs({ ... }) do
      local number = assert(store:prepare(sql))
      assert(store:submit(number))
    end
    assert(store:run())
    store:close()
  end

  local function edit(path, change)
    command.write(path, (change(command.read(path))))
  end

  it("passes an honest job on every platform, with and without the server's log", function()
    for _, to in ipairs({ LONGLONG, FILE, "outbound.upload_contacts_json", "outbound.upload_dnc_json", "tuzhan.batch_add_group_relations" }) do
      imports.reset()
      local result = run(to)
      local proof = verify(result.job)
      assert.is_true(proof.ok, to .. "\n" .. said(proof))
      assert.equal(0, proof.exit_code)
      assert.equal(60, proof.rows)
      assert.equal(#imports.commits(), proof.committed)
      assert.is_true(proof.committed > 50)
      for _, name in ipairs({ "lost", "unreported_duplicates", "false_success", "false_refusal", "foreign", "ambiguous", "in_flight_at_fault" }) do
        assert.equal(0, proof[name], to .. " " .. name)
      end
      proof = assert(campaign.verify(result.job))
      assert.is_true(proof.ok, said(proof))
      assert.is_nil(proof.false_success)
      assert.is_nil(core.system.stat(result.job .. "/verify-rows"))
      assert.is_nil(core.system.stat(result.job .. "/verify-server"))
    end
  end)

  it("passes a job whose list has blank lines, also before its first row and between its batches", function()
    local list = imports.people(60):gsub("\n", "\n\n\n", 1):gsub("\n(c%-00011,)", "\n\n%1"):gsub("\n(c%-00021,)", "\r\n\n%1")
    local result = assert(imports.import(LONGLONG, list .. "\n\n", { rows_per_call = 10 }))
    assert.equal(60, result.accepted_pending)
    local proof = verify(result.job)
    assert.is_true(proof.ok, said(proof))
    falsify(result.job, "DROP TRIGGER batch_plan", "UPDATE batch SET first_line = first_line + 1 WHERE seq = 2")
    assert_fault(verify(result.job), "input", "batches begin at another line")
  end)

  it("counts doubt no higher than what was in flight, whichever way the server decided", function()
    for _, fault in ipairs({ "after-commit-close", "close-after-read", "after-commit-500", "truncate-body" }) do
      imports.reset({ "import_customers_async:" .. fault .. "@2" })
      local result = run(LONGLONG, { concurrency = 2 })
      assert.equal(10, result.ambiguous, fault)
      local proof = verify(result.job)
      assert.is_true(proof.ok, fault .. "\n" .. said(proof))
      assert.equal(10, proof.ambiguous)
      assert.is_true(proof.in_flight_at_fault >= 10 and proof.in_flight_at_fault <= 20, tostring(proof.in_flight_at_fault))
    end
  end)

  it("follows a refused batch into its pieces", function()
    assert(imports.handle:control("rules", { without = json.array{ "R380" } })) -- the sandbox refuses phones that are no mobile numbers
    local result = assert(imports.import(LONGLONG, imports.people(60, function(i)
      return ("c-%05d,客户%d,%s,公司,老客户"):format(i, i, i % 23 == 5 and "bad" .. i or ("138%08d"):format(i))
    end), { rows_per_call = 20 }))
    assert.equal(3, result.rejected)
    local proof = verify(result.job)
    assert.is_true(proof.ok, said(proof))
    assert.equal(57, proof.committed)
    falsify(result.job, "UPDATE batch SET split = 0 WHERE split = 1")
    assert_fault(verify(result.job), "ledger", "batches overlap")
  end)

  it("follows what callbacks said later: confirmed with refused rows, and contradicted", function()
    local options = imports.options(LONGLONG, people(), { rows_per_call = 10 })
    local result = assert(campaign.import(options))
    local ledger = assert(require("campaign.ledger").open(result.job .. "/ledger.db"))
    local batch = {}
    for found in ledger:scan("batches") do
      batch[found.index] = found
    end
    assert.is_true(ledger:confirm(2, nil, { { row = batch[2].first_row, batch = 2, state = "rejected", cause = "platform", reason = "refused" } }))
    assert.is_true(ledger:contradict(3, "two results"))
    ledger:close()
    os.remove(result.report_file)
    local again = assert(assert(campaign.open_job(result.job, { account = options.account, env = options.env })):resume())
    assert.equal(10, again.ambiguous)
    assert.equal(1, again.causes.platform)
    local proof = verify(result.job, { sandbox = false })
    assert.is_true(proof.ok, said(proof))
    assert.equal(10, proof.in_flight_at_fault)
    proof = verify(result.job) -- the row that the result refuses did arrive
    assert.is_true(proof.ok, said(proof))
    assert.equal(57, proof.committed)
  end)

  it("fails when the server's log lacks a row that is booked as accepted", function()
    local result = run(LONGLONG)
    local proof = verify(result.job, { sandbox = false, server_log = log(function(lines) table.remove(lines, 30) end) })
    assert.equal(1, proof.false_success)
    assert.equal(0, proof.unreported_duplicates)
    assert_fault(proof, "server", "the server does not have them")
  end)

  it("fails when the server's log has a row twice that nobody reported", function()
    local result = run(LONGLONG)
    local proof = verify(result.job, { sandbox = false, server_log = log(function(lines) lines[#lines + 1] = lines[30] end) })
    assert.equal(1, proof.unreported_duplicates)
    assert.equal(0, proof.false_success)
    assert_fault(proof, "server", "more often than any report says")
  end)

  it("fails when the server has other values in a row than the list", function()
    local result = run(FILE)
    local proof = verify(result.job, { sandbox = false, server_log = log(function(lines)
      lines[3] = lines[3]:gsub("客户", "?")
    end) })
    assert.equal(1, proof.false_success)
    assert.equal(1, proof.foreign)
    assert.is_false(proof.ok)
  end)

  it("fails when the server has rows that are booked as not taken over", function()
    imports.reset({ "upload_contacts_json:401@2" })
    local result = run("outbound.upload_contacts_json")
    assert.is_true(result.pending > 0)
    assert.is_true(verify(result.job).ok)
    local rows = imports.read(result.not_sent_file)
    local proof = verify(result.job, { sandbox = false, server_log = log(function(lines)
      local values = { rows[1].uuid, rows[1]["姓名"], rows[1]["手机号"], rows[1]["公司"] }
      lines[#lines + 1] = assert(core.json.encode({ row = json.array(values) }))
    end) })
    assert.equal(1, proof.false_refusal, said(proof))
    assert_fault(proof, "server", "booked as not taken over")
  end)

  it("takes rows that were sent again by order for reported, and no other repeat", function()
    imports.reset({ "import_customers_async:after-commit-close@2" })
    local options = imports.options(LONGLONG, people(), { rows_per_call = 10, concurrency = 1 })
    local result = assert(campaign.import(options))
    local job = assert(campaign.open_job(result.job, { account = options.account, env = options.env }))
    assert(job:resolve(2, "resend"))
    local proof = verify(result.job)
    assert.is_true(proof.ok, said(proof)) -- resolved, not yet resumed: the reports are not current
    assert.is_false(proof.jobs[1].reports)
    assert(job:resume())
    proof = verify(result.job)
    assert.is_true(proof.ok, said(proof))
    assert.equal(67, proof.committed) -- 57 and a batch of ten once more
    -- Which rows they are, and why, is listed; each is in its state too.
    local again = assert(campaign.open_job(result.job)).result
    assert.equal(10, again.possibly_duplicated)
    assert.equal(57, again.taken_over)
    local listed = imports.read(again.possibly_duplicated_file)
    assert.equal(10, #listed)
    assert.same({ "accepted", "sent_again", "2", "2", "13800000012" },
      { listed[1]._state, listed[1]._cause, listed[1]._batch, listed[1]._attempt, listed[1]["手机号"] })
    assert.matches("attempt 1 on [%d:Z -]+: ambiguous %(.-%); attempt 2 on [%d:Z -]+: accepted", listed[1]._message)
    local whole = command.read(again.possibly_duplicated_file)
    edit(again.possibly_duplicated_file, function(text) return text:gsub("[^\n]*\n$", "", 1) end)
    assert_fault(verify(result.job), "reports", "possibly_duplicated.csv lacks rows")
    command.write(again.possibly_duplicated_file, (whole:gsub("\n12,", "\n1,", 1)))
    assert_fault(verify(result.job), "reports", "possibly_duplicated.csv has rows")
    -- Somebody says that it was not applied, but it was: that is a duplicate which no report names.
    imports.reset({ "import_customers_async:after-commit-close@2" })
    result = assert(campaign.import(imports.options(LONGLONG, people(), { rows_per_call = 10, concurrency = 1 })))
    job = assert(campaign.open_job(result.job, { account = options.account, env = options.env }))
    assert(job:resolve(2, "not-applied"))
    assert(job:resume())
    proof = verify(result.job)
    assert.equal(10, proof.unreported_duplicates)
    assert.is_false(proof.ok)
  end)

  it("fails when the ledger was edited, whatever was edited", function()
    local cases = {
      { "UPDATE batch SET state = 'U' WHERE seq = 2", "ledger", "no attempt and no later evidence explains" },
      { "UPDATE batch SET state = 'X' WHERE seq = 2", "ledger", "no attempt and no later evidence explains" },
      { "UPDATE batch SET state = 'P' WHERE seq = 2", "ledger", "no attempt and no later evidence explains" },
      { "UPDATE batch SET attempts = 0 WHERE seq = 2", "ledger", "count other attempts" },
      { "UPDATE batch SET rejected = 3 WHERE seq = 2", "ledger", "count other refused rows" },
      { "DELETE FROM row_result WHERE row = 7", "ledger", "rows are in no state" },
      { "UPDATE row_result SET row = 8 WHERE row = 7", "ledger", "rows are in two states" },
      { "UPDATE row_result SET row = 999 WHERE row = 47", "ledger", "results name rows that the list does not have" },
      { "UPDATE row_result SET state = 'duplicate' WHERE row = 7", "reports", "another state" },
      { "DROP TRIGGER batch_plan; ", "UPDATE batch SET first_row = first_row + 1 WHERE seq = 2", "ledger", "" },
      { "DROP TRIGGER batch_plan; ", "UPDATE batch SET hash = '00000000' WHERE seq = 2", "input", "other bytes than were planned" },
      { "DROP TRIGGER batch_plan; ", "UPDATE batch SET offset = offset + 1 WHERE seq = 2", "input", "" },
      { "DROP TRIGGER batch_plan; ", "UPDATE batch SET skip = '1' WHERE seq = 2", "ledger", "" },
      { "DROP TRIGGER batch_stays", "DROP TRIGGER attempt_stays", "DELETE FROM attempt WHERE batch = 2", "DELETE FROM batch WHERE seq = 2",
        "ledger", "rows are in no state" },
    }
    for i, case in ipairs(cases) do
      imports.reset()
      local result = run(LONGLONG)
      local statements = {}
      for at = 1, #case - 2 do
        statements[at] = (case[at]:gsub("; $", ""))
      end
      falsify(result.job, (unpack or table.unpack)(statements))
      local fine, problem = pcall(assert_fault, verify(result.job), case[#case - 1], case[#case])
      assert.is_true(fine, "case " .. i .. ": " .. tostring(problem))
    end
    imports.reset()
    local result = run(LONGLONG)
    falsify(result.job, "DELETE FROM row_result WHERE row = 7")
    local proof = verify(result.job)
    assert.equal(1, proof.lost)
    assert.same({ 7 }, assert_fault(proof, "ledger", "rows are in no state").examples)
  end)

  it("finds more doubt than was in flight", function()
    local result = run(LONGLONG)
    falsify(result.job, "UPDATE batch SET state = 'U' WHERE seq IN (2, 3)")
    local proof = verify(result.job)
    assert.equal(20, proof.ambiguous)
    assert.equal(0, proof.in_flight_at_fault)
    assert_fault(proof, "ledger", "20 rows are ambiguous, but only 0 were in flight")
  end)

  it("bounds the doubt of a process that died by what it may have had in flight: also where that grows, and in a later run", function()
    local function die(result, batches)
      falsify(result.job, "DROP TRIGGER attempt_outcome",
        ("UPDATE attempt SET verdict = 'ambiguous', cause = 'interrupted', sent = 'maybe', ended = 1 WHERE batch <= %d AND "
          .. "number = (SELECT attempts FROM batch WHERE seq = attempt.batch)"):format(batches), -- one that was held back has two
        ("UPDATE batch SET state = 'U', awaits = 0 WHERE seq <= %d"):format(batches))
    end
    local result = run(LONGLONG, { rows_per_call = 1 })
    die(result, 40)
    assert.equal(40, verify(result.job, { sandbox = false }).in_flight_at_fault) -- sixteen by the platform's data, and four times that when it is fast
    imports.reset()
    local options = imports.options(LONGLONG, people(), { rows_per_call = 10, concurrency = 2 })
    result = assert(campaign.import(options))
    die(result, 3)
    assert_fault(verify(result.job, { sandbox = false }), "ledger", "30 rows are ambiguous, but only 20 were in flight")
    os.remove(result.report_file)
    assert(assert(campaign.open_job(result.job, { account = options.account, env = options.env })):resume{ concurrency = 3 })
    local proof = verify(result.job)
    assert.is_true(proof.ok, said(proof))
    assert.same({ 30, 30 }, { proof.ambiguous, proof.in_flight_at_fault })
  end)

  it("fails when a report was edited, but not when rejected rows were mended", function()
    local function case(part, text, name, change)
      imports.reset({ "import_customers_async:after-commit-close@2" })
      local result = run(LONGLONG, { concurrency = 1 })
      edit(result.job .. "/" .. name, change)
      local proof = verify(result.job)
      if text then
        assert_fault(proof, part, text)
      else
        assert.is_true(proof.ok, said(proof))
      end
      return proof
    end
    local function without_last_line(text) return text:gsub("[^\n]*\n$", "", 1) end
    local function last_twice(text) return text .. text:match("[^\n]*\n$") end
    case("reports", "rejects.csv lacks rows", "rejects.csv", without_last_line)
    case("reports", "listed twice", "rejects.csv", last_twice)
    case("reports", "rows of another state", "rejects.csv", function(text) return text:gsub("rejected", "accepted", 1) end)
    case("reports", "does not have in that state", "rejects.csv", function(text) return text:gsub("\n7,", "\n8,", 1) end)
    case("reports", "other columns than it was written with", "rejects.csv", function(text) return text:gsub("_state", "state", 1) end)
    case("reports", "ambiguous.csv lacks rows", "ambiguous.csv", without_last_line)
    case("reports", "ambiguous.csv has other values", "ambiguous.csv", function(text) return text:gsub("客户", "顾客", 1) end)
    case("reports", "another batch", "ambiguous.csv", function(text) return text:gsub(",2,1,", ",3,1,", 1) end)
    case("reports", "duplicates.csv lacks rows", "duplicates.csv", without_last_line)
    case("reports", "report.json says", "report.json", function(text) return text:gsub('"rejected":3', '"rejected":2', 1) end)
    case("reports", "batches.jsonl lacks attempts", "batches.jsonl", without_last_line)
    case("reports", "batches.jsonl has attempts", "batches.jsonl", function(text)
      return text .. '{"attempt":1,"batch":99,"verdict":"accepted"}\n'
    end)
    assert.equal(1, case(nil, nil, "rejects.csv", function(text) return text:gsub("c%-00007,客户7,,", "c-00007,客户7,13811112222,", 1) end).mended)
  end)

  it("fails when the list was changed, by a byte, a row or its order", function()
    local function case(text, change)
      imports.reset()
      local result = run(LONGLONG)
      local source = json.decode(command.read(result.job .. "/job.json")).source.path
      edit(source, change)
      local proof = verify(result.job)
      assert_fault(proof, "input", text)
    end
    case("other bytes than were planned", function(text) return text:gsub("客户3,", "客户9,", 1) end)
    case("bytes were planned", function(text) return text:gsub("\nc%-00030[^\n]*", "", 1) end)
    case("bytes were planned", function(text) return text .. "c-x,客户,13900000000,x,y\n" end)
    case("other bytes than were planned", function(text) return text:gsub("\n(c%-00012[^\n]*)\n(c%-00013[^\n]*)", "\n%2\n%1", 1) end)
  end)

  it("looks at a job whose process was killed, without its reports", function()
    local options = imports.options(LONGLONG, people(), { rows_per_call = 10 })
    local job = assert(campaign.plan(options))
    job:close()
    local proof = verify(job.folder)
    assert.is_true(proof.ok, said(proof))
    assert.equal("planned", proof.jobs[1].state)
    assert.is_false(proof.jobs[1].reports)
    assert.equal(57, proof.jobs[1].counts.pending)
  end)

  it("says what it cannot look at", function()
    local result = run(LONGLONG)
    local _, err = campaign.verify(result.job, { server_log = result.job .. "/none.jsonl" })
    assert.equal("invalid", err.kind)
    _, err = campaign.verify(result.job, { server_log = lists.file("no json\n") })
    assert.equal("invalid", err.kind)
    assert.matches("line 1 is no JSON object", err.message, 1, true)
    _, err = campaign.verify(result.job .. "/nothing")
    assert.equal("usage", err.kind)
    _, err = campaign.verify(result.job, { sandbox = "http://127.0.0.1:1" })
    assert.equal("network", err.kind)
    assert.is_nil(core.system.stat(result.job .. "/verify-server"))
    assert.has_error(function() campaign.verify(result.job, { sandbox = "x", server_log = "y" }) end)
  end)

  it("prints the five figures and the exit code, for people and as JSON", function()
    local result = run(LONGLONG)
    local shown = command.campaign{ "verify", result.job, "--sandbox", imports.handle.base_url, "--json" }
    assert.equal(0, shown.code, shown.err)
    local proof = json.decode(shown.out)
    assert.same({ 0, 0, 0, 0, 0 }, { proof.lost, proof.unreported_duplicates, proof.false_success, proof.ambiguous, proof.in_flight_at_fault })
    assert.same({}, proof.faults)
    shown = command.campaign{ "verify", result.job, "--json" }
    assert.equal(json.null, json.decode(shown.out).false_success)
    shown = command.campaign{ "verify", result.job, "--server-log", log(function(lines) table.remove(lines, 1) end) }
    assert.equal(8, shown.code)
    assert.matches("false success  1", shown.out, 1, true)
    assert.matches("something DISAGREES", shown.out, 1, true)
    assert.equal(2, command.campaign({ "verify", result.job, "--sandbox", "a", "--server-log", "b" }).code)
  end)
end)

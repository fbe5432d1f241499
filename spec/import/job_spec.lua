-- SPDX-License-Identifier: MIT
-- A job and its folder: what a plan says, what the files hold and who may read them, stopping, and opening a job again.

local accounting = require "campaign.import.report.accounting"
local campaign = require "campaign"
local command = require "support.command"
local core = require "campaign.core"
local imports = require "support.imports"
local json = require "campaign.json"
local ledger_module = require "campaign.ledger"
local listing = require "campaign.import.report.listing"
local lists = require "support.lists"

local LONGLONG = "longlong.import_customers_async"
local UPLOAD = "outbound.upload_contacts_file"

local function content(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

-- The real world with a clock by which every progress event is due, however quick the machine is.
local function ticking()
  local seconds = 0
  return setmetatable({
    monotonic = function()
      seconds = seconds + 1
      return seconds
    end,
  }, { __index = require("campaign.env").default() })
end

describe("a job", function()
  setup(function()
    imports.start()
  end)
  teardown(imports.stop)
  before_each(function()
    imports.reset()
  end)

  it("leaves nothing of itself in memory once nobody holds it", function()
    local seen = setmetatable({}, { __mode = "k" })
    local function run()
      local options = imports.options(LONGLONG, imports.people(30), { rows_per_call = 10 })
      local job = assert(campaign.plan(options))
      seen[job], seen[options.env] = "job", "environment"
      assert.is_true(job:run().ok)
    end
    run()
    if rawget(_G, "jit") then
      rawget(_G, "jit").flush() -- compiled code holds what it was made with
    end
    for _ = 1, 3 do
      collectgarbage()
    end
    assert.is_nil((next(seen)))
  end)

  it("opens folders by name only: anything else is a mistake of the program", function()
    for _, wrong in ipairs{ 5, true, {} } do
      assert.has_error(function() campaign.open_job(wrong) end, "open_job: the folder must be a string, not a " .. type(wrong))
    end
    assert.is_false((pcall(campaign.open_job)))
  end)

  it("is planned without anything being sent", function()
    local job = assert(campaign.plan(imports.options(LONGLONG, imports.people(1003, function(i)
      return i == 7 and "c-7,x,,y,z" or nil
    end))))
    assert.equal(1003, job.plan.rows)
    assert.equal(1, job.plan.rejected)
    assert.equal(1002, job.plan.sendable)
    assert.equal(6, job.plan.calls)
    assert.same({ "uuid", "分组" }, job.plan.unused)
    assert.equal("utf-8", job.plan.encoding)
    assert.equal("手机号", job.plan.reasons[1].column)
    assert.is_true(job.plan.bytes > 50000)
    assert.equal("planned", job:status().state)
    assert.equal(0, #imports.commits())
    local opened = assert(campaign.open_job(job.folder))
    assert.equal("running", opened:status().state) -- this process has it
    local _, err = opened:resume()
    assert.equal("ledger", err.kind)
    assert.equal("locked", err.reason)
    local result = assert(job:run())
    assert.equal(1002, result.taken_over)
    assert.equal(result, job.result)
    assert.equal("finished", job:status().state)
    assert.equal(result, assert(job:resume()))
    assert.has_error(function()
      job:run()
    end)
  end)

  it("sends exactly the bytes that its plan counted", function()
    for _, to in ipairs({ LONGLONG, UPLOAD }) do
      local job = assert(campaign.plan(imports.options(to, imports.people(777))))
      local planned, sent = job.plan.bytes, 0
      local result = assert(job:run())
      for batch in result:each_batch() do
        sent = sent + batch.body_bytes
      end
      assert.is_true(to == LONGLONG and sent == planned or sent > planned) -- a form has more around its file
    end
  end)

  it("ends a dry run with the plan as its result", function()
    local result = assert(imports.import(LONGLONG, "phone\n1\n\"\"\n", { dry_run = true }))
    assert.equal("planned", result.state)
    assert.equal(2, result.rows)
    assert.equal(1, result.rejected)
    assert.equal(1, result.pending)
    assert.equal(7, result.exit_code)
    assert.equal(0, result.requests)
    assert.equal(0, #imports.commits())
    assert.equal(1, #imports.read(result.rejects_file))
  end)

  it("lets go of what it holds when it is closed unrun", function()
    collectgarbage()
    collectgarbage()
    local before = core.live()
    local job = assert(campaign.plan(imports.options(LONGLONG, imports.people(10))))
    assert.is_true(core.live() > before)
    job:close()
    job:close()
    collectgarbage()
    collectgarbage()
    assert.equal(before, core.live())
    assert.has_error(function()
      job:run()
    end)
  end)

  it("has a folder and files that only its user can read, without credentials and personal data in its own records", function()
    local options = imports.options(LONGLONG, imports.people(30, function(i)
      return i == 3 and "c-3,王小明,,\"甲,乙\",z" or nil
    end), { params = { sub_user_id = "22222222-2222-4222-8222-222222222222" } })
    local result = assert(campaign.import(options))
    assert.equal(448, core.system.stat(result.job).mode)
    for _, name in ipairs({ "job.json", "ledger.db", "batches.jsonl", "rejects.csv", "report.json" }) do
      assert.equal(384, core.system.stat(result.job .. "/" .. name).mode, name)
    end
    for _, name in ipairs({ "job.json", "ledger.db", "batches.jsonl", "report.json" }) do
      local text = content(result.job .. "/" .. name)
      assert.falsy(text:find(imports.accounts.longlong.token, 1, true), name)
      assert.falsy(text:find("王小明", 1, true), name)
      assert.falsy(text:find("13800000001", 1, true), name)
    end
    local job = assert(json.decode(content(result.job .. "/job.json")))
    assert.equal("longlong", job.platform)
    assert.equal(1, job.format)
    local report = assert(json.decode(content(result.report_file)))
    assert.equal(30, report.rows)
    assert.equal(29, report.accepted_pending)
    assert.equal(7, report.exit_code)
    assert.is_nil(tostring(result):find(imports.accounts.longlong.token, 1, true))
  end)

  it("is put into a folder of its own under campaign-jobs when none is named", function()
    local folder_module = require "campaign.import.folder"
    assert.matches("^campaign%-jobs/%d+%-%d+%-longlong%-import_customers_async$",
      folder_module.default_path(1762740000, "longlong", "import_customers_async", 1))
    assert.matches("%-2$", folder_module.default_path(1762740000, "longlong", "import_customers_async", 2))
  end)

  it("can be stopped from its progress: what is in flight is waited for, the rest is kept", function()
    local job
    local options = imports.options(LONGLONG, imports.people(5000), { concurrency = 2 })
    options.env = ticking()
    options.on_progress = function(event)
      if event.phase == "sending" and event.accepted > 0 then
        job:stop()
      end
    end
    job = assert(campaign.plan(options))
    local result = assert(job:run())
    assert.equal("stopped", result.state)
    assert.equal("cancelled", result.error.kind)
    assert.equal(130, result.exit_code)
    assert.equal(0, result.ambiguous)
    assert.is_true(result.pending > 0)
    assert.equal(result.accepted_pending, #imports.commits())
    imports.assert_balanced(result)
    options.on_progress = nil
    local rest = assert(assert(campaign.open_job(result.job, { account = imports.accounts.longlong, env = options.env })):resume())
    assert.equal(0, rest.exit_code)
    assert.equal(5000, rest.accepted_pending)
    assert.equal(5000, #imports.commits())
    imports.assert_balanced(rest)
  end)

  it("can be stopped at once: what is in flight is ambiguous", function()
    local job
    imports.reset({ "import_customers_async:delay=700@3-" })
    local options = imports.options(LONGLONG, imports.people(5000), { concurrency = 4 })
    options.on_progress = function(event)
      if event.phase == "sending" and event.accepted > 0 then
        job:stop("now")
      end
    end
    job = assert(campaign.plan(options))
    local result = assert(job:run())
    assert.equal("stopped", result.state)
    assert.equal(4, result.exit_code)
    assert.is_true(result.ambiguous > 0 and result.ambiguous <= 800)
    imports.assert_balanced(result)
    -- The sandbox goes on with what it was sent; that must not reach into the next test. Some of it was taken over: doubt was right.
    core.system.sleep(1.2)
    assert.is_true(#imports.commits() <= result.accepted_pending + result.ambiguous)
  end)

  it("holds neither the list nor a thread any more when its preflight was stopped", function()
    local options = imports.options(LONGLONG, imports.people(3000))
    options.env = ticking()
    options.on_progress = function() error("enough", 0) end
    for _ = 1, 3 do
      collectgarbage()
    end
    local before = core.live()
    collectgarbage("stop") -- what is open then was not closed
    local ok, problem = pcall(campaign.plan, options)
    local after = core.live()
    collectgarbage("restart")
    assert.is_false(ok)
    assert.equal("enough", problem)
    assert.equal(before, after)
  end)

  it("keeps its books when on_progress raises, and raises that again at the end", function()
    local options = imports.options(LONGLONG, imports.people(5000), { concurrency = 2 })
    options.env = ticking()
    options.on_progress = function(event)
      if event.phase == "sending" and event.accepted > 0 then
        error("mine", 0)
      end
    end
    local ok, problem = pcall(campaign.import, options)
    assert.is_false(ok)
    assert.equal("mine", problem)
    local result = assert(campaign.open_job(options.job)).result
    assert.equal("stopped", result.state)
    assert.equal(#imports.commits(), result.taken_over)
    imports.assert_balanced(result)
    options = imports.options(LONGLONG, imports.people(5))
    options.on_progress = function()
      error("mine", 0)
    end
    ok, problem = pcall(campaign.import, options)
    assert.is_false(ok)
    assert.equal("mine", problem)
    assert.equal(result.taken_over, #imports.commits())
  end)

  it("stops before it sends anything that it could not write down", function()
    local result, err = imports.import(LONGLONG, imports.people(5), { job = "/dev/null/job" })
    assert.is_nil(result)
    assert.equal("ledger", err.kind)
    assert.equal(0, #imports.commits())
  end)

  it("is opened again with its result, and makes its report anew when that is gone", function()
    local result = assert(imports.import(LONGLONG, imports.people(450)))
    local job = assert(campaign.open_job(result.job))
    assert.equal("finished", job:status().state)
    assert.equal(450, job.result.accepted_pending)
    assert.equal(450, assert(job:resume()).taken_over)
    local batches = 0
    for _ in job.result:each_batch() do
      batches = batches + 1
    end
    assert.equal(3, batches)
    os.remove(result.report_file)
    local again = assert(assert(campaign.open_job(result.job, { account = imports.accounts.longlong })):resume())
    assert.equal(450, again.accepted_pending)
    assert.equal(0, again.requests)
    assert.equal(450, #imports.commits())
  end)

  describe("whose folder was left by an import that died before its plan was recorded", function()
    local folder

    local function import_again()
      return imports.import(LONGLONG, imports.people(3), { job = folder })
    end

    -- What is in the folder when a process dies: before the ledger has its name, then with it, then with more of the plan.
    local function leave(stage)
      folder = imports.job()
      assert(core.system.make_dirs(folder, 448))
      if stage == "lock" then
        return command.write(folder .. "/ledger.db.lock", "1"), command.write(folder .. "/.campaign-00ff.tmp", "half")
      end
      local ledger = assert(ledger_module.open(folder .. "/ledger.db", { create = true }))
      ledger:close()
      if stage == "plan" then
        command.write(folder .. "/job.json", '{"format":1}')
        command.write(folder .. "/rejects.csv", "half a li")
        command.write(folder .. "/ledger.db.reserve", "")
      end
    end

    it("is imported again by the same command", function()
      for _, stage in ipairs({ "lock", "ledger", "plan" }) do
        imports.reset()
        leave(stage)
        local result = assert(import_again())
        assert.equal(3, result.accepted_pending, stage)
        assert.same({}, assert(campaign.verify(folder, { account = imports.accounts.longlong })).faults)
      end
    end)

    it("is left alone where another process works on it, or where there is something else", function()
      leave("plan")
      local lock = assert(core.system.lock(folder .. "/ledger.db.lock", 0))
      local result, err = import_again()
      assert.is_nil(result)
      assert.same({ "ledger", "locked" }, { err.kind, err.reason })
      assert.equal("half a li", content(folder .. "/rejects.csv"))
      lock:close()
      command.write(folder .. "/mine.txt", "mine")
      result, err = import_again()
      assert.is_nil(result)
      assert.matches("it is not empty", err.message, 1, true)
      assert.equal("mine", content(folder .. "/mine.txt"))
    end)

    it("is not taken for one when there is no ledger: it may be lost", function()
      leave("plan")
      os.remove(folder .. "/ledger.db")
      local result, err = import_again()
      assert.is_nil(result)
      assert.matches("an import was begun in it already", err.message, 1, true)
      result, err = campaign.open_job(folder)
      err = err or select(2, result:inspect())
      assert.matches("what was sent is unknown", err.hint, 1, true)
    end)

    it("continues as a job when its plan was recorded", function()
      folder = imports.job()
      assert(imports.import(LONGLONG, imports.people(3), { job = folder, dry_run = true }))
      local result, err = import_again()
      assert.is_nil(result)
      assert.matches("an import was begun in it already", err.message, 1, true)
      assert.matches("campaign resume continues", err.hint, 1, true)
      assert.equal(3, assert(assert(campaign.open_job(folder, { account = imports.accounts.longlong })):resume()).accepted_pending)
    end)
  end)

  it("is refused when its folder is none, damaged, or of another version", function()
    local _, err = campaign.open_job("/nonexistent")
    assert.equal("usage", err.kind)
    local result = assert(imports.import(LONGLONG, imports.people(3)))
    lists.write(result.job .. "/job.json", '{"format":99}')
    _, err = campaign.open_job(result.job)
    assert.matches("format 99", err.message, 1, true)
    lists.write(result.job .. "/job.json", '{"form')
    _, err = campaign.open_job(result.job)
    assert.equal("ledger", err.kind)
  end)

  it("tells its progress, and ends with the whole", function()
    local phases, last = {}, nil
    local options = imports.options(LONGLONG, imports.people(3000), { on_progress = function(event)
      phases[event.phase] = true
      last = event
    end })
    assert(campaign.import(options))
    assert.is_true(phases.preflight)
    assert.equal("finished", last.phase)
    assert.equal(3000, last.rows)
    assert.equal(3000, last.accepted)
    assert.equal(0, last.in_flight)
  end)

  it("lets others have a turn while a list with another time of change is compared with the plan", function()
    local options = imports.options(LONGLONG, imports.people(50), { rows_per_call = 10 })
    local job = assert(campaign.plan(options))
    job:close()
    assert(os.execute("touch -d 2001-01-01 " .. options.source))
    local turns, asked = 0, nil
    local env = imports.env()
    function env.pause()
      turns = turns + 1
    end
    local resume = require "campaign.import.resume"
    local same = resume.same_file
    function resume.same_file(...)
      local before = turns
      local ok, err = same(...)
      asked = turns - before
      return ok, err
    end
    local result = assert(assert(campaign.open_job(job.folder, { account = options.account, env = env })):resume())
    resume.same_file = same
    assert.equal("finished", result.state)
    assert.equal(5, asked)
  end)
end)

describe("import.listing", function()
  it("keeps every value unaltered, also one that a spreadsheet would run", function()
    local folder = imports.folder()
    local file = listing.new(folder .. "/rejects.csv", { "phone", "_row" })
    assert.is_nil(core.system.stat(file.path))
    assert(file:add({ row = 1, line = 2, state = "rejected", cause = "invalid", message = 'say "no"' }, { "+86138", "=1+1" }))
    assert(file:add({ row = 3, line = 4 }, { " a ", "x,\"y\"\nz", "third" }))
    assert(file:close())
    assert.equal('__row,_line,_state,_cause,_column,_reason,_code,_message,_batch,_attempt,phone,_row\r\n'
      .. '1,2,rejected,invalid,,,,"say ""no""",,,+86138,=1+1\r\n'
      .. '3,4,,,,,,,,, a ,"x,""y""\nz",third\r\n', content(file.path))
    assert.equal(2, file.count)
    assert.equal(384, core.system.stat(file.path).mode)
    imports.remove(folder)
  end)

  it("says when its folder cannot be written to", function()
    local file = listing.new("/dev/null/rejects.csv", { "a" })
    assert(file:add({ row = 1 }, { "x" }))
    local ok, err = file:close()
    assert.is_nil(ok)
    assert.truthy(err)
  end)
end)

describe("import.accounting", function()
  it("adds up, and says what does not", function()
    local books = accounting.new()
    books:read(10)
    books:book("accepted", 6)
    books:book("rejected", 1, { cause = "invalid", column = "phone", reason = "required" })
    books:book("rejected", 2, { cause = "platform", reason = "refused", code = 400 })
    local ok, err = books:balance({ rejected = 3 })
    assert.is_nil(ok)
    assert.equal("ledger", err.kind)
    assert.matches("rows of the file: 10, but 9", err.message, 1, true)
    books:book("ambiguous", 1, { cause = "no_answer" })
    assert.is_nil(books:balance({ rejected = 3 }))
    assert.is_nil(books:balance({ rejected = 3, ambiguous = 1, pending = 1 }))
    assert.is_true(books:balance({ rejected = 3, ambiguous = 1 }))
    assert.same({ invalid = 1, unmappable = 0, platform = 2 }, books.causes)
    assert.equal(400, books:reasons()[1].code)
  end)

  it("keeps its table of reasons bounded", function()
    local books = accounting.new()
    for i = 1, 2000 do
      books:read(1)
      books:book("rejected", 1, { cause = "platform", reason = "refused", code = i })
    end
    local reasons = books:reasons()
    assert.is_true(#reasons <= 501)
    assert.equal("other", reasons[1].reason)
    assert.equal(1500, reasons[1].count)
    assert.is_true(books:balance({ rejected = 2000 }))
  end)

  it("knows no other states", function()
    assert.has_error(function()
      accounting.new():book("lost", 1)
    end)
  end)
end)

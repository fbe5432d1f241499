-- SPDX-License-Identifier: MIT
-- campaign.recover: whatever part of a ledger is destroyed, no row is lost, none is sent twice, and what cannot be vouched for is in doubt. Judged by the
-- sandbox's log of commits.

local campaign = require "campaign"
local command = require "support.command"
local core = require "campaign.core"
local imports = require "support.imports"
local json = require "campaign.json"
local sandbox_json = require "campaign.sandbox.json"

local LONGLONG = "longlong.import_customers_async"

local ROWS = 400

describe("campaign.recover", function()
  setup(function() imports.start() end)
  teardown(imports.stop)
  before_each(function() imports.reset() end)

  local function people()
    return imports.people(ROWS, function(i)
      if i % 50 == 7 then
        return ("c-%05d,客户%d,,公司,老客户"):format(i, i)
      end
    end)
  end

  local function run(more)
    local options = { rows_per_call = 5 }
    for key, value in pairs(more or {}) do
      options[key] = value
    end
    options = imports.options(LONGLONG, people(), options)
    return assert(campaign.import(options)), { account = options.account, env = options.env }, options
  end

  -- A transport that calls `act` when it has been given so many requests.
  local function acting(count, act)
    local real, seen = require("campaign.transport").new(), 0
    return setmetatable({
      submit = function(_, request)
        seen = seen + 1
        if seen == count then
          act()
        end
        return real:submit(request)
      end,
      close = function() real:close() end,
    }, { __index = function(_, name)
      return function(_, ...) return real[name](real, ...) end
    end })
  end

  -- A job that was stopped when some of it was sent.
  local function run_half()
    local job
    local transport = acting(40, function() job:stop() end)
    local options = imports.options(LONGLONG, people(), { rows_per_call = 5, concurrency = 1, transport = transport })
    job = assert(campaign.plan(options))
    local result = assert(job:run())
    transport:close()
    assert.equal("stopped", result.state)
    assert.equal(200, result.taken_over)
    return result, { account = options.account, env = options.env }
  end

  local function damage(job, from, to)
    local path = job .. "/ledger.db"
    local whole = command.read(path)
    local pages = #whole / 4096
    for page = from, math.min(to or from, pages) do
      whole = whole:sub(1, (page - 1) * 4096) .. ("\255"):rep(4096) .. whole:sub(page * 4096 + 1)
    end
    command.write(path, whole)
    return whole, pages
  end

  -- No row that the server has is booked as unsent, none is booked as taken over that it lacks, none went twice.
  local function judge(job, label)
    local proof = assert(campaign.verify(job, { sandbox = imports.handle.base_url }))
    assert.is_true(proof.ok, label .. ": " .. json.encode(proof.faults))
    return proof
  end

  -- The platform's numbers of the batches.
  local function receipts(job)
    local ledger, found = assert(require("campaign.ledger").open(job .. "/ledger.db")), {}
    for batch in ledger:scan("batches") do
      found[batch.index] = batch.receipt or false
    end
    ledger:close()
    return found
  end

  it("F24 loses no row and sends none again, whichever page is destroyed", function()
    local result = run()
    local name, given = result.job, select(2, run_half())
    local whole = command.read(name .. "/ledger.db")
    local pages, doubted = #whole / 4096, 0
    local before = #imports.commits()
    for page = 1, pages do
      command.write(name .. "/ledger.db", whole)
      damage(name, page)
      local _, err = campaign.open_job(name, given):resume()
      err = err or select(2, require("campaign.ledger").open(name .. "/ledger.db"))
      assert.equal("damaged", err and err.reason or "damaged", "page " .. page)
      local recovered
      recovered, err = campaign.recover(name, given)
      if not recovered then -- the record of the job itself is gone, or SQLite does not mind this page
        assert.is_truthy(err.message:find("record of the job", 1, true) or err.message:find("is whole", 1, true), tostring(err))
      else
        doubted = doubted + recovered.ambiguous
        assert.equal(0, recovered.pending)
        assert.equal(recovered.kept + recovered.ambiguous, math.ceil((ROWS - 8) / 5), "page " .. page)
        local again = recovered.result
        assert.equal(ROWS, again.rows)
        assert.equal(8, again.rejected)
        imports.assert_balanced(again)
        assert.is_true(core.system.stat(recovered.damaged) ~= nil)
        assert.is_nil(core.system.stat(name .. "/recover-tmp"))
      end
    end
    assert.is_true(doubted > 0)
    assert.equal(before, #imports.commits())
  end)

  it("takes what was not settled for doubt, since it may have been sent after its record was written", function()
    local result, given = run_half()
    local before = #imports.commits()
    local whole = damage(result.job, 1)
    local recovered = assert(campaign.recover(result.job, given))
    assert.equal(0, recovered.pending)
    assert.equal(result.pending, recovered.result.ambiguous)
    assert.equal(result.taken_over, recovered.result.taken_over)
    assert.equal(whole, command.read(recovered.damaged))
    assert.equal(before, #imports.commits())
    judge(result.job, "doubt")
    for _, row in ipairs(imports.read(recovered.result.ambiguous_file)) do
      assert.equal("unrecorded", row._cause)
    end
    -- Somebody looks at the platform: it was not there.
    local job = assert(campaign.open_job(result.job, given))
    local found = assert(job:inspect())
    assert(job:resolve(found.doubtful[1].batch, "not-applied"))
    assert.equal(5, assert(job:resume()).taken_over - result.taken_over)
    judge(result.job, "resolved")
  end)

  it("leaves the damaged ledger in its place where the new one cannot be closed #heavy", function()
    local result, given = run_half()
    damage(result.job, 1)
    local script = command.write(imports.job() .. ".lua", [[
      local campaign = require "campaign"
      io.open("/shim/arm")
      local done, err = campaign.recover(arg[1], { account = { base_url = arg[2], token = arg[3], user_id = arg[4] } })
      io.write(done and "done" or tostring(err))
    ]])
    local build, copy, account = os.getenv("CAMPAIGN_BUILD") or command.ROOT .. "/build", imports.job(), given.account
    local env = { LUA_PATH = os.getenv("LUA_PATH") or package.path, LUA_CPATH = os.getenv("LUA_CPATH") or package.cpath,
      LD_PRELOAD = build .. "/spec/fault_shim.so", SHIM_TRACE = "1" }
    local function recover(at)
      os.execute(("rm -rf %s && cp -a %s %s"):format(copy, result.job, copy))
      env.SHIM = at .. " EIO file " .. copy .. "/recover-tmp/plan/ledger.db 0"
      return command.run({ os.getenv("CAMPAIGN_TEST_LUA") or "lua5.4", script, copy, account.base_url, account.token, account.user_id },
        { env = env, seconds = 60 })
    end
    local calls = tonumber(recover(0).err:match(".*shim (%d+)"))
    local kept = 0
    for at = calls - 14, calls do
      local out = recover(at).out
      local ledger, err = require("campaign.ledger").open(copy .. "/ledger.db")
      if ledger then
        ledger:close()
      else
        assert.is_nil(err.message:find("its log", 1, true), at .. ": " .. out)
        kept = kept + (out:find("cannot be closed", 1, true) and 1 or 0)
      end
    end
    assert.is_true(kept > 0)
  end)

  it("keeps evidence that came later beside what it adds itself, of a batch whose attempt is lost", function()
    local result, given = run_half()
    assert.equal(0, command.run({ "sqlite3", result.job .. "/ledger.db", "DROP TRIGGER attempt_stays; DELETE FROM attempt WHERE batch = 1;"
      .. " INSERT INTO late (batch, attempt, at, source, verdict) SELECT batch, id, 1, 'operator', 'noted' FROM attempt WHERE batch = 2" }).code)
    damage(result.job, 1)
    assert.equal(result.taken_over, assert(campaign.recover(result.job, given)).result.taken_over)
    local ledger, found = assert(require("campaign.ledger").open(result.job .. "/ledger.db")), {}
    for late in ledger:scan("late") do
      found[late.batch] = late.source
    end
    ledger:close()
    assert.same({ "recover", "operator" }, found)
    judge(result.job, "late")
  end)

  it("goes on by itself where it is told that nothing was sent since", function()
    local result, given = run_half()
    damage(result.job, 1)
    given.trust_pending = true
    local recovered = assert(campaign.recover(result.job, given))
    given.trust_pending = nil
    assert.equal(0, recovered.ambiguous)
    assert.equal(math.ceil(result.pending / 5), recovered.pending)
    local again = assert(assert(campaign.open_job(result.job, given)):resume())
    assert.equal(ROWS - 8, again.taken_over)
    assert.equal(ROWS - 8, #imports.commits())
    assert.equal(0, judge(result.job, "trusted").ambiguous)
  end)

  it("reads the log of a process that was killed", function()
    local clone, folder = imports.job(), imports.job()
    local transport = acting(40, function()
      os.execute(("cp -r %s %s && chmod 700 %s"):format(folder, clone, clone))
    end)
    local options = imports.options(LONGLONG, people(), { rows_per_call = 5, concurrency = 2, transport = transport, job = folder })
    local result = assert(campaign.import(options))
    transport:close()
    assert.equal(392, result.taken_over)
    local given = { account = options.account, env = options.env }
    assert.is_true(core.system.stat(clone .. "/ledger.db-wal").size > 4096)
    os.remove(clone .. "/ledger.db.lock")
    local log = command.read(clone .. "/ledger.db-wal")
    local middle = math.floor(assert(core.store.log(clone .. "/ledger.db")).bytes * 0.6)
    command.write(clone .. "/ledger.db-wal", log:sub(1, middle) .. ("\255"):rep(500) .. log:sub(middle + 501))
    local _, err = campaign.open_job(clone, given)
    assert.equal("damaged", err.reason) -- SQLite itself would go on as if the log ended there
    local recovered = assert(campaign.recover(clone, given))
    assert.is_true(recovered.kept > 10, tostring(recovered.kept))
    assert.is_true(recovered.ambiguous > 0)
    assert.is_truthy(core.system.stat(recovered.damaged .. "-wal"))
    assert.is_nil(core.system.stat(clone .. "/ledger.db-wal"))
    judge(clone, "log")
  end)

  it("puts in doubt what the file calls pending where the log is gone, and trusts nobody who says otherwise", function()
    local clone, folder = imports.job(), imports.job()
    local transport = acting(40, function()
      os.execute(("cp -r %s %s && chmod 700 %s"):format(folder, clone, clone))
    end)
    local options = imports.options(LONGLONG, people(), { rows_per_call = 5, concurrency = 2, transport = transport, job = folder })
    assert.equal(392, assert(campaign.import(options)).taken_over)
    transport:close()
    local given = { account = options.account, env = options.env }
    os.remove(clone .. "/ledger.db.lock")
    os.remove(clone .. "/ledger.db-wal")
    local sent = #imports.commits()
    local _, err = campaign.open_job(clone, given)
    assert.equal("damaged", err.reason)
    assert.matches("its log is missing", err.message, 1, true)
    assert.matches("campaign recover", err.hint, 1, true)
    given.trust_pending = true
    _, err = campaign.recover(clone, given)
    assert.equal("usage", err.kind)
    assert.matches("may have been sent since", err.message, 1, true)
    assert.is_nil(core.system.stat(clone .. "/recover-tmp"))
    given.trust_pending = nil
    local recovered = assert(campaign.recover(clone, given))
    assert.equal(0, recovered.kept) -- the file holds the plan, the log held all that became of it
    assert.equal(math.ceil(392 / 5), recovered.ambiguous)
    assert.equal(sent, #imports.commits())
    assert.equal(392, recovered.result.ambiguous)
    assert.equal(sent, #imports.commits())
    judge(clone, "no log")
  end)

  it("keeps pieces of refused batches where all of them can be read", function()
    assert(imports.handle:control("rules", { without = sandbox_json.array{ "R380" } }))
    local options = imports.options(LONGLONG, imports.people(100, function(i)
      return ("c-%05d,客户%d,%s,公司,老客户"):format(i, i, i % 23 == 5 and "bad" .. i or ("138%08d"):format(i))
    end), { rows_per_call = 20 })
    local result = assert(campaign.import(options))
    assert.equal(5, result.rejected)
    local given = { account = options.account, env = options.env }
    damage(result.job, 1)
    local recovered = assert(campaign.recover(result.job, given))
    assert.equal(0, recovered.ambiguous)
    assert.equal(5, recovered.result.rejected)
    assert.equal(95, recovered.result.taken_over)
    judge(result.job, "pieces")
  end)

  it("plans with the same suppression lists, or not at all", function()
    local list = imports.list("phone\n13800000003\n13800000004\n")
    local result, given = run({ suppress = list .. ":phone" })
    assert.equal(2, result.suppressed)
    damage(result.job, 1)
    command.write(list, "phone\n13800000003\n")
    local _, err = campaign.recover(result.job, given)
    assert.equal("changed", err.reason)
    command.write(list, "phone\n13800000003\n13800000004\n")
    local recovered = assert(campaign.recover(result.job, given))
    assert.equal(0, recovered.ambiguous)
    assert.equal(2, recovered.result.suppressed)
    judge(result.job, "suppressed")
  end)

  it("believes no record that another one contradicts", function()
    local result, given = run()
    local before = receipts(result.job)
    local store = assert(core.store.open(result.job .. "/ledger.db"))
    for _, sql in ipairs({ "UPDATE batch SET state = 'X' WHERE seq = 3", "UPDATE batch SET rejected = 2 WHERE seq = 4" }) do
      local number = assert(store:prepare(sql))
      assert(store:submit(number))
    end
    assert(store:run())
    store:close()
    damage(result.job, 1)
    local recovered = assert(campaign.recover(result.job, given))
    assert.equal(2, recovered.ambiguous)
    judge(result.job, "contradiction")
    assert.is_truthy(before[3] and before[4])
    assert.same(before, receipts(result.job)) -- the platform's own result still finds its batch
  end)

  it("ends what an earlier recovery began", function()
    local result, given = run_half()
    damage(result.job, 1)
    os.rename(result.job .. "/ledger.db", result.job .. "/ledger.damaged-1.db")
    os.execute("mkdir -p " .. result.job .. "/recover-tmp/plan && touch " .. result.job .. "/recover-tmp/plan/ledger.db")
    local _, err = campaign.open_job(result.job, given):resume()
    assert.equal("ledger", err.kind)
    local recovered = assert(campaign.recover(result.job, given))
    assert.equal(result.job .. "/ledger.damaged-1.db", recovered.damaged)
    judge(result.job, "second")
  end)

  it("refuses a whole ledger, another list, another account, and leaves the folder as it was", function()
    local result, given, options = run()
    local _, err = campaign.recover(result.job, given)
    assert.equal("usage", err.kind)
    assert.matches("is whole", err.message, 1, true)
    local whole = damage(result.job, 1)
    local names = table.concat(core.system.list_dir(result.job), " ")
    local _
    _, err = campaign.recover(result.job, { account = { base_url = "http://127.0.0.1:1", token = "another", user_id = "u" } })
    assert.matches("another account", err.message, 1, true)
    local file = assert(io.open(options.source, "ab"))
    file:write("x,x,13900000000,x,x\n")
    file:close()
    _, err = campaign.recover(result.job, given)
    assert.equal("changed", err.reason)
    assert.equal(whole, command.read(result.job .. "/ledger.db"))
    assert.equal(names, table.concat(core.system.list_dir(result.job), " "))
    local path = result.job .. "/ledger.db.lock"
    local lock = assert(core.system.lock(path))
    _, err = campaign.recover(result.job, given)
    assert.same({ "ledger", "locked" }, { err.kind, err.reason })
    assert.matches("this process holds the lock already", err.message, 1, true)
    lock:close()
    os.remove(path)
    assert(core.system.make_dirs(path))
    _, err = campaign.recover(result.job, given)
    assert.equal("ledger", err.kind)
    assert.is_nil(err.reason)
    assert.matches("directory", err.message, 1, true)
    assert(core.system.remove(path))
    damage(result.job, 1, 1000)
    _, err = campaign.recover(result.job, given)
    assert.matches("record of the job itself is lost", err.message, 1, true)
    _, err = campaign.recover(result.job .. "/none", given)
    assert.equal("usage", err.kind)
  end)

  it("is a command that ends with exit code 4 while rows are in doubt", function()
    local result = run_half()
    local env = {}
    for key, value in pairs(imports.accounts.longlong) do
      env["CAMPAIGN_LONGLONG_" .. key:upper()] = value
    end
    local shown = command.campaign({ "recover", result.job }, { env = env })
    assert.equal(2, shown.code)
    damage(result.job, 1)
    shown = command.campaign({ "recover", result.job, "--json" }, { env = env })
    assert.equal(4, shown.code, shown.err)
    local recovered = json.decode(shown.out)
    assert.equal(result.pending, recovered.rows_ambiguous)
    damage(result.job, 1)
    shown = command.campaign({ "recover", result.job }, { env = env })
    assert.equal(4, shown.code, shown.err)
    assert.matches("batches in doubt", shown.out, 1, true)
    assert.matches("ledger.damaged-2.db", shown.out, 1, true)
  end)
end)

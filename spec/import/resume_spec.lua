-- SPDX-License-Identifier: MIT
-- Going on after an end that nobody ordered: kill -9 at random moments of real imports against the sandbox, whose commit log is the oracle.
-- Some rows are refused, so that many kills fall between a refusal and the rows to blame. Lost 0, unreported duplicates 0, false success 0,
-- in doubt no more than was in flight; resuming needs no hand.

local campaign = require "campaign"
local core = require "campaign.core"
local imports = require "support.imports"
local lists = require "support.lists"
local sandbox_json = require "campaign.sandbox.json"

local LONGLONG = "longlong.import_customers_async"

local ROWS, PER_CALL, IN_FLIGHT = 600, 10, 4

-- An import in a process of its own; `resume` goes on with the folder. Waiting passes 200 times as fast.
local SCRIPT = [[
  local campaign = require "campaign"
  local env = require("campaign.env").default()
  local real, slept = { now = env.now, monotonic = env.monotonic, sleep = env.sleep }, 0
  env.now = function() return real.now() + slept end
  env.monotonic = function() return real.monotonic() + slept end
  env.sleep = function(seconds)
    real.sleep(seconds / 200)
    slept = slept + seconds
  end
  local to, account = arg[7], { base_url = arg[3], token = arg[4] }
  local options = { source = arg[6], to = to, job = arg[2], account = account, rows_per_call = 10, env = env, window = "ignore" }
  if to:find("^longlong") then
    account.user_id, options.concurrency = arg[5], 4
  else
    account.abbreviate, options.params = arg[5], { dataSourceName = "autumn-contacts" }
  end
  if arg[1] == "run" then
    campaign.import(options)
  else
    local job = assert(campaign.open_job(arg[2], { account = account, env = env }))
    assert(job:resume())
  end
]]

describe("an import that is killed", function()
  local script

  setup(function()
    imports.start()
    script = imports.folder() .. "/run.lua"
    lists.write(script, SCRIPT)
  end)
  teardown(imports.stop)
  before_each(function()
    imports.reset()
  end)

  local function start(what, folder, source, to)
    to = to or LONGLONG
    local account = imports.accounts[to:match("^%w+")]
    return assert(core.system.spawn{ os.getenv("CAMPAIGN_TEST_LUA") or "lua5.4", script, what, folder, account.base_url, account.token,
      account.user_id or account.abbreviate, source or "", to, stderr = "/dev/null", stdout = "/dev/null" })
  end

  local function taken_over()
    return assert(imports.handle:control("commits?limit=1&after=0")).total
  end

  -- Kills a process `seconds` after the sandbox has taken over so many more rows, and says whether it was still there. However slow the
  -- machine is, most kills fall into the sending.
  local function kill_after(process, rows, seconds)
    local goal, ended = taken_over() + rows
    while not ended and rows > 0 and taken_over() < goal do
      ended = process:wait(0.01)
    end
    ended = ended or process:wait(seconds)
    if not ended then
      process:signal("KILL")
      process:wait(10)
    end
    process:close()
    return ended == nil
  end

  -- Rows by number that the sandbox took over, how often.
  local function committed()
    local times = {}
    for _, entry in ipairs(imports.commits()) do
      local row = type(entry.row) == "table" and entry.row or entry
      local number = tostring(row.phone):match("^138(%d+)$")
      times[tonumber(number)] = (times[tonumber(number)] or 0) + 1
    end
    return times
  end

  -- Rows that the sandbox refuses together with everything that is sent with them.
  local function is_guilty(row)
    return row % 67 == 5
  end

  local function judge(result, kills, label)
    local times, doubted, rejected = committed(), {}, {}
    for _, row in ipairs(imports.read(result.ambiguous_file)) do
      doubted[tonumber(row._row)] = true
    end
    for _, row in ipairs(imports.read(result.rejects_file)) do
      rejected[tonumber(row._row)] = true
    end
    local lost, duplicates, taken, blamed = 0, 0, 0, 0
    for row = 1, ROWS do
      local n = times[row] or 0
      if n > 1 then
        duplicates = duplicates + 1
      end
      if not doubted[row] then
        if n == 0 and not rejected[row] then
          lost = lost + 1
        end
        if rejected[row] ~= is_guilty(row) and (rejected[row] or is_guilty(row)) then
          blamed = blamed + 1
        end
        taken = taken + (is_guilty(row) and 0 or 1)
      end
    end
    assert.equal(0, lost, label .. ": lost")
    assert.equal(0, blamed, label .. ": blamed for nothing, or not blamed")
    assert.equal(0, duplicates, label .. ": duplicates")
    assert.equal(taken, result.taken_over, label .. ": false success")
    assert.is_true(result.ambiguous <= kills * IN_FLIGHT * PER_CALL, label .. ": doubt " .. result.ambiguous)
    assert.equal(ROWS, result.rows, label)
    assert.equal(0, result.pending, label)
    imports.assert_balanced(result)
  end

  it("P1 to P6 loses nothing and sends nothing twice, however often it is killed #heavy", function()
    local seed = tonumber(os.getenv("CAMPAIGN_SEED")) or os.time()
    local random = seed % 2147483646 + 1
    local function draw()
      random = random * 16807 % 2147483647
      return random / 2147483647
    end
    -- One kill in four comes at any moment, also before anything is sent.
    local function some_rows()
      return math.max(0, math.floor(200 * (draw() - 0.25)))
    end
    local source = lists.file(imports.people(ROWS, function(i)
      return ("c-%05d,客户%d,%s,公司,老客户"):format(i, i, is_guilty(i) and "no number " .. i or ("138%08d"):format(i))
    end))
    local kills = tonumber(os.getenv("CAMPAIGN_KILLS")) or 20
    local killed, jobs = 0, 0
    while killed < kills do
      imports.reset()
      assert(imports.handle:control("rules", { without = sandbox_json.array({ "R380" }) }))
      jobs = jobs + 1
      local folder, mine = imports.job(), 0
      if kill_after(start("run", folder, source), some_rows(), 0.05 * draw()) then
        mine = 1
      end
      while mine > 0 and mine < 4 and kill_after(start("resume", folder), some_rows(), 0.05 * draw()) do
        mine = mine + 1
      end
      killed = killed + mine
      local label = "seed " .. seed .. ", job " .. jobs
      if core.system.stat(folder .. "/ledger.db") then
        local job = campaign.open_job(folder, { account = imports.accounts.longlong })
        local result, err
        if job then
          result, err = job:resume()
        end
        if result then
          judge(result, mine, label)
        else
          -- Killed while the ledger was being made: nothing can have been sent.
          assert.equal("ledger", err and err.kind or "ledger", label .. ": " .. tostring(err))
          assert.equal(0, #imports.commits(), label .. ": " .. tostring(err))
        end
      else
        assert.equal(0, #imports.commits(), label)
      end
    end
  end)

  it("settles by looking what it left in doubt, however often it is killed: every row once, none in doubt #heavy", function()
    local seed = tonumber(os.getenv("CAMPAIGN_SEED")) or os.time()
    local random = seed % 2147483646 + 1
    local function draw()
      random = random * 16807 % 2147483647
      return random / 2147483647
    end
    local rows, to = 400, "outbound.upload_contacts_json"
    local source = lists.file(imports.people(rows))
    local kills = math.ceil((tonumber(os.getenv("CAMPAIGN_KILLS")) or 20) / 3)
    local killed, jobs, doubts = 0, 0, 0
    while killed < kills do
      imports.reset(({ {}, { "upload_contacts_json:after-commit-close%10" }, { "upload_contacts_json:close-after-read%5" } })[jobs % 3 + 1], seed)
      jobs = jobs + 1
      local folder, mine = imports.job(), 0
      if kill_after(start("run", folder, source, to), math.floor(200 * draw()), 0.1 * draw()) then
        mine = 1
      end
      while mine > 0 and mine < 4 and kill_after(start("resume", folder, nil, to), math.floor(150 * draw()), 0.1 * draw()) do
        mine = mine + 1
      end
      killed = killed + mine
      local label = "seed " .. seed .. ", job " .. jobs
      if mine > 0 and core.system.stat(folder .. "/ledger.db") then
        local last = start("resume", folder, nil, to)
        local ended = last:wait(120)
        last:close()
        assert.is_table(ended, label)
        local report = core.system.stat(folder .. "/report.json")
        if report then
          local result = assert(campaign.open_job(folder)).result
          assert.same({ rows, 0, 0, "finished" }, { result.accepted, result.ambiguous, result.pending, result.state }, label)
          local times = {}
          for _, entry in ipairs(imports.commits()) do
            local number = tonumber((entry.row[1]:match("^c%-(%d+)$")))
            times[number] = (times[number] or 0) + 1
          end
          for row = 1, rows do
            assert.equal(1, times[row] or 0, label .. ", row " .. row)
          end
          local ledger = assert(require("campaign.ledger").open(folder .. "/ledger.db"))
          for _ in ledger:scan("late") do
            doubts = doubts + 1
          end
          ledger:close()
        else
          assert.equal(0, #imports.commits(), label) -- killed while the ledger was being made
        end
      end
    end
    assert.is_true(doubts > 0 or kills < 6, "seed " .. seed .. ": no kill left anything in doubt")
  end)

  it("F36 is not resumed with another list, nor for another account", function()
    local options = imports.options(LONGLONG, imports.people(50))
    local job = assert(campaign.plan(options))
    job:close()
    local other = assert(campaign.open_job(job.folder, { account = {
      base_url = "http://127.0.0.1:1", token = "another", user_id = "u-2" } }))
    local _, err = other:resume()
    assert.equal("ledger", err.kind)
    assert.matches("another account", err.message, 1, true)
    local file = assert(io.open(options.source, "ab"))
    file:write("c-x,客户,13900000000,x,y\n")
    file:close()
    _, err = assert(campaign.open_job(job.folder, { account = imports.accounts.longlong })):resume()
    assert.equal("ledger", err.kind)
    assert.equal("changed", err.reason)
    assert.equal(0, #imports.commits())
  end)

  it("keeps a batch in doubt until somebody says what became of it", function()
    imports.reset({ "import_customers_async:after-commit-close@1" })
    local options = imports.options(LONGLONG, imports.people(50), { rows_per_call = 10, concurrency = 1 })
    local job = assert(campaign.plan(options))
    local result = assert(job:run())
    assert.equal(10, result.ambiguous)
    local found = assert(job:inspect())
    assert.equal(1, #found.doubtful)
    local index = found.doubtful[1].batch
    assert.is_nil((job:resolve(index + 1, "applied")))
    assert(job:resolve(index, "applied", "seen"))
    local again = assert(job:resume())
    assert.equal(0, again.ambiguous)
    assert.equal(50, again.taken_over)
    assert.equal(50, #imports.commits())
  end)
end)

-- SPDX-License-Identifier: MIT
-- Jobs that may not be gone on with: a folder or ledger of another version, a half-written ledger, another tenant's account, a platform or list that is
-- no longer what the job was planned with. Each is refused with its exit code and a message that says what to do; nothing is sent and nothing is changed.

local command = require "support.command"
local core = require "campaign.core"
local json = require "campaign.json"
local lfs = require "lfs"
local sandbox = require "campaign.sandbox"

describe("campaign refuses", function()
  local handle, folder, env, job

  setup(function()
    handle = assert(sandbox.start{ clock = "2025-11-10 10:00:00", clock_rate = 0 })
  end)
  teardown(function()
    handle:stop()
  end)

  local function variables(account)
    local list = {}
    for key, value in pairs(account) do
      list["CAMPAIGN_LONGLONG_" .. key:upper()] = value
    end
    return list
  end

  local function run(...)
    return command.campaign({ ... }, { env = env })
  end

  before_each(function()
    assert(handle:control("reset", {}))
    folder = command.folder()
    job = folder .. "/job"
    env = variables(handle.accounts.longlong)
    command.write(folder .. "/list.csv", "name,phone\n人一,13000000001\n人二,13000000002\n人三,\n")
    -- Planned, killed before it was sent.
    assert.equal(0, run("import", folder .. "/list.csv", "--to", "longlong.import_customers_async", "--job", job, "--dry-run").code)
  end)
  after_each(function()
    command.remove(folder)
  end)

  local function digests()
    local sums = {}
    for name in lfs.dir(job) do
      if name ~= "." and name ~= ".." and name ~= "ledger.db.lock" then
        sums[name] = core.digest.sha256(command.read(job .. "/" .. name))
      end
    end
    return sums
  end

  local function refused(code, text, ...)
    local before = digests()
    local result = run(...)
    assert.equal(code, result.code, result.err)
    assert.matches(text, result.err, 1, true)
    assert.equal("", result.out)
    assert.same(before, digests())
    assert.equal(0, handle:control("commits").total)
  end

  local function store(sql)
    local file = assert(core.store.open(job .. "/ledger.db"))
    local number = assert(file:prepare(sql))
    assert(file:submit(number))
    assert(file:run())
    file:close()
  end

  local commands = { "resume", "status", "verify", "retry", "forget" }

  it("a folder that is none, one of another version, and one whose job.json is damaged", function()
    for _, name in ipairs(commands) do
      assert.equal(2, run(name, folder .. "/nothing").code, name)
      local file = run(name, job .. "/job.json")
      assert.same({ 2, true }, { file.code, file.err:find("is it the folder of an import?", 1, true) ~= nil }, name)
    end
    local whole = command.read(job .. "/job.json")
    command.write(job .. "/job.json", (whole:gsub('"format":1', '"format":77')))
    for _, name in ipairs(commands) do
      if name ~= "retry" then
        refused(2, "job.json is of format 77", name, job)
      end
    end
    command.write(job .. "/job.json", "{")
    refused(8, "job.json is damaged", "resume", job)
  end)

  it("a job.json that cannot be read, without advice to replace it", function()
    os.remove(job .. "/job.json")
    assert(lfs.mkdir(job .. "/job.json"))
    local result = run("resume", job)
    assert.equal(8, result.code)
    assert.matches("job.json: is not a regular file (a job can be read by the user who began it)", result.err, 1, true)
  end)

  it("a ledger of another version, and one whose making was interrupted", function()
    store("PRAGMA user_version = 99")
    for _, name in ipairs({ "resume", "status", "verify", "forget", "recover" }) do
      refused(8, "it is of version 99", name, job)
    end
    store("PRAGMA user_version = 0")
    refused(8, "nothing was sent", "resume", job)
    os.remove(job .. "/ledger.db")
    refused(8, "ledger.db", "resume", job)
    refused(2, "there is no ledger.db", "recover", job)
  end)

  it("a damaged ledger, and says what saves it", function()
    local whole = command.read(job .. "/ledger.db")
    command.write(job .. "/ledger.db", whole:sub(1, 4096) .. ("\255"):rep(#whole - 4096))
    refused(8, "campaign recover", "resume", job)
    refused(8, "campaign recover", "status", job)
  end)

  it("the account of another tenant, by environment and by accounts file, whatever it is called", function()
    env = variables{ base_url = handle.base_url, token = "other-token", user_id = "33333333-3333-4333-8333-333333333333" }
    refused(8, "another account of longlong", "resume", job)
    -- Same name, same address, another tenant behind it.
    env = { HOME = folder }
    os.execute("mkdir -p " .. folder .. "/.config/campaign")
    local function accounts(values)
      command.write(folder .. "/.config/campaign/accounts.json", assert(core.json.encode{ longlong = { default = values } }))
      os.execute("chmod 600 " .. folder .. "/.config/campaign/accounts.json")
    end
    local mine, other = {}, {}
    for key, value in pairs(handle.accounts.longlong) do
      mine[key], other[key] = value, value
    end
    other.user_id = "33333333-3333-4333-8333-333333333333"
    accounts(other)
    refused(8, "another account of longlong", "resume", job)
    accounts(mine)
    local result = run("resume", job)
    assert.equal(7, result.code, result.err)
    assert.equal(2, handle:control("commits").total)
  end)

  it("fields of the target, or their columns, that are others than when the job was planned", function()
    local platform = folder .. "/vendor.lua"
    local source = command.read("lua/campaign/platform/longlong.lua")
    command.write(platform, source)
    job = folder .. "/second"
    local planned = run("import", folder .. "/list.csv", "--to", platform .. ".import_customers_async", "--job", job, "--dry-run")
    assert.equal(0, planned.code, planned.err)
    local changed, count = source:gsub('{ name = "name", redact = true,', '{ name = "name", max_length = 1, redact = true,', 1)
    assert.equal(1, count)
    command.write(platform, changed)
    refused(8, "no longer those that the job was planned with", "resume", job)
    command.write(platform, source)
    assert.equal(7, run("resume", job).code)
  end)

  it("a list that has changed, by size or by bytes, but not one that has only another time of change", function()
    local list = folder .. "/list.csv"
    local whole = command.read(list)
    command.write(list, whole .. "人四,13000000004\n")
    refused(8, "has changed since the job was planned", "resume", job)
    command.write(list, (whole:gsub("13000000001", "13000000009")))
    refused(8, "as many bytes, but others", "resume", job)
    command.write(list, whole)
    os.execute("touch -d '2020-01-01' " .. list) -- the next test goes on with it
  end)

  it("nothing of this when all is as it was: status has its shape, and the job goes on", function()
    local shown = json.decode(run("status", job, "--json").out)
    local names = {}
    for name in pairs(shown) do
      names[#names + 1] = name
    end
    table.sort(names)
    assert.same({ "attempts", "batches", "bytes", "doubtful", "handed_over", "job", "open", "possibly_duplicated", "retries", "rows", "sendable",
      "state", "total" }, names)
    assert.same({ accepted = 0, accepted_pending = 0, rejected = 1, duplicate = 0, suppressed = 0, unchanged = 0, ambiguous = 0, pending = 2 },
      shown.rows)
    assert.equal("planned", shown.state)
    assert.equal(3, shown.total)
    assert.equal(7, run("resume", job).code)
    assert.equal("finished", json.decode(run("status", job, "--json").out).state)
    -- While somebody has it: the same keys.
    local lock = assert(core.system.lock(job .. "/ledger.db.lock", 0))
    local running = json.decode(run("status", job, "--json").out)
    lock:close()
    assert.equal("running", running.state)
    for _, name in ipairs(names) do
      assert.is_not_nil(running[name], name)
    end
    assert.equal(json.null, running.rows)
  end)
end)

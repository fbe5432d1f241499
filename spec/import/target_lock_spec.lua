-- SPDX-License-Identifier: MIT
-- Imports of one user into one target that writers disturb: never two at once, and no conclusion from looks between which another one sent.
-- Other targets, and platforms whose data needs no looks, are not held up. The second import is a real one, begun while the first sends;
-- a process that is killed lets go.

local campaign = require "campaign"
local command = require "support.command"
local core = require "campaign.core"
local imports = require "support.imports"
local ledger_module = require "campaign.ledger"

local unpack = rawget(_G, "unpack") or table.unpack

local JSON, UPLOAD, DNC, LONGLONG = "outbound.upload_contacts_json", "outbound.upload_contacts_file", "outbound.upload_dnc_json",
  "longlong.import_customers_async"

local function contains(text, part)
  assert(tostring(text):find(part, 1, true), "'" .. part .. "' is missing in: " .. tostring(text))
end

describe("the lock of a target", function()
  setup(function()
    imports.start()
  end)
  teardown(imports.stop)
  before_each(function()
    imports.reset()
  end)

  -- Runs an import; `meanwhile` is called when it is about to send its second batch.
  local function import_with(to, meanwhile, more)
    local options = imports.options(to, to == LONGLONG and "name,phone\nA,13800000001\nB,13800000002\nC,13800000003\n" or imports.people(60),
      more or { rows_per_call = 20 })
    local is_done = false
    options.transport = imports.watched(function(count)
      if count == 2 then
        is_done = true
        meanwhile(options)
      end
    end)
    local result = assert(campaign.import(options))
    options.transport:close()
    assert.is_true(is_done)
    return result
  end

  it("refuses a second import into the same target and names the job that has it", function()
    local refused
    local result = import_with(JSON, function(first)
      for _, to in ipairs({ JSON, UPLOAD }) do
        local second = imports.options(to, imports.people(5), { busy = "refuse" })
        local _, err = campaign.import(second)
        assert.same({ "ledger", "busy", "no" }, { err.kind, err.reason, err.sent })
        contains(err.message, first.job .. " is sending to the same target")
        contains(err.hint, "campaign resume " .. second.job)
        refused = refused or second
      end
    end)
    assert.same({ "finished", 60 }, { result.state, result.accepted })
    assert.equal(60, #imports.commits())
    -- Once the first is over, the second goes on with the plan that it has.
    local later = assert(assert(campaign.open_job(refused.job, { account = refused.account, env = refused.env })):resume())
    assert.same({ "finished", 5 }, { later.state, later.accepted })
  end)

  it("leaves a retry that was refused to be gone on with", function()
    local first = imports.options(JSON, (imports.people(20, function(i)
      return i == 5 and "c-00005,N5,,公司,老客户" or nil
    end)))
    assert.equal(1, assert(campaign.import(first)).rejected)
    local file = first.job .. "/rejects.csv"
    command.write(file, (command.read(file):gsub("N5,", "N5,13911110005")))
    local given = { account = first.account, env = first.env, busy = "refuse" }
    import_with(JSON, function()
      local refused, err = campaign.retry(first.job, given)
      assert.is_nil(refused)
      assert.equal("busy", err.reason)
      assert.equal("planned", assert(campaign.open_job(first.job .. "/retry-1", given)):inspect().state)
    end)
    local result = assert(assert(campaign.open_job(first.job .. "/retry-1", given)):resume())
    assert.same({ "finished", 1 }, { result.state, result.accepted })
  end)

  it("does not hold up other targets, nor platforms whose doubt is not settled by looks", function()
    local results = {}
    import_with(JSON, function()
      for _, to in ipairs({ DNC, LONGLONG }) do
        local text = to == DNC and "uuid\nx-1\nx-2\n" or "name,phone\nA,13800000001\n"
        results[#results + 1] = assert(campaign.import(imports.options(to, text, { busy = "refuse" }))).state
      end
    end)
    import_with(LONGLONG, function()
      results[#results + 1] = assert(campaign.import(imports.options(LONGLONG, "name,phone\nA,13800000002\n", { busy = "refuse" }))).state
    end, { rows_per_call = 1, concurrency = 1 })
    assert.same({ "finished", "finished", "finished" }, results)
  end)

  it("waits for the other, tells for whom, and goes on when it is over", function()
    local second, notes, waited = imports.options(JSON, imports.people(20)), {}, 0
    assert(imports.import(JSON, imports.people(1))) -- now the lock's file is there
    local place, held = second.env.getenv("CAMPAIGN_STATE_DIR") .. "/targets", {}
    for _, name in ipairs(assert(core.system.list_dir(place))) do
      held[#held + 1] = name:find("%.lock$") and assert(core.system.lock(place .. "/" .. name)) or nil
    end
    second.on_progress = function(event)
      notes[#notes + 1] = event.note
      waited = waited + (event.wait_for == "target" and 1 or 0)
      assert.equal(1, #imports.commits())
      if waited == 3 then
        for _, lock in ipairs(held) do
          lock:close()
        end
      end
    end
    local show = second.on_progress
    second.on_progress = function(event)
      if waited < 3 then
        show(event)
      end
    end
    local result = assert(campaign.import(second))
    assert.same({ "finished", 20, 3, 21 }, { result.state, result.accepted, waited, #imports.commits() })
    assert.equal(1, #notes)
    contains(notes[1], "which is sending to the same target")
  end)

  it("ends in order when it is stopped while it waits", function()
    import_with(JSON, function()
      local second, job = imports.options(JSON, imports.people(5)), nil
      second.on_progress = function(event)
        if event.wait_for == "target" then
          job:stop()
        end
      end
      job = assert(campaign.plan(second))
      local result = assert(job:run())
      assert.same({ "stopped", "cancelled", 5, 130 }, { result.state, result.error.kind, result.pending, result.exit_code })
    end)
    assert.equal(60, #imports.commits())
  end)

  it("draws no conclusion from a total when another job has sent since", function()
    -- The answer of the first is lost, its looks fail; then as many rows of another job come as it had sent.
    imports.reset({ "upload_contacts_json:close-after-read@1", "get_contact_group_detail:500@3-" })
    local options = imports.options(JSON, imports.people(20), { rows_per_call = 20 })
    local first = assert(campaign.import(options))
    assert.same({ 20, 0 }, { first.ambiguous, #imports.commits() })
    assert(imports.handle:control("faults", { faults = require("campaign.sandbox.json").array({}) }))
    local other = imports.options(JSON, imports.people(20, function(i) return ("z-%d,某%d,139%08d,别处,新客户"):format(i, i, i) end))
    assert.equal(20, assert(campaign.import(other)).accepted)
    -- A total that grew by twenty, twice the same: without the lock's memory it would say that the first was applied.
    local job = assert(campaign.open_job(options.job, { account = options.account, env = options.env }))
    local found = assert(job:probe())
    assert.equal(1, #found)
    assert.is_nil(found[1].as)
    contains(found[1].detail, "another import has sent to this target since: " .. other.job)
    local again = assert(job:resume())
    assert.same({ 20, 0 }, { again.ambiguous, again.accepted })
    assert.equal(20, #imports.commits())
  end)

  it("settles doubt of an earlier run when nobody else has sent since", function()
    imports.reset({ "upload_contacts_json:after-commit-close@1", "get_contact_group_detail:500@3-" })
    local options = imports.options(JSON, imports.people(40), { rows_per_call = 20 })
    assert.equal(20, assert(campaign.import(options)).ambiguous)
    assert(imports.handle:control("faults", { faults = require("campaign.sandbox.json").array({}) }))
    local again = assert(assert(campaign.open_job(options.job, { account = options.account, env = options.env })):resume())
    assert.same({ 0, 40, 40 }, { again.ambiguous, again.accepted, #imports.commits() })
  end)

  it("says that nobody knows when the record of who sent is gone", function()
    imports.reset({ "upload_contacts_json:close-after-read@1", "get_contact_group_detail:500@3-" })
    local options = imports.options(JSON, imports.people(20), { rows_per_call = 20 })
    assert.equal(20, assert(campaign.import(options)).ambiguous)
    assert(imports.handle:control("faults", { faults = require("campaign.sandbox.json").array({}) }))
    imports.remove_state()
    local found = assert(assert(campaign.open_job(options.job, { account = options.account, env = options.env })):probe())
    assert.is_nil(found[1].as)
    contains(found[1].detail, "nobody knows who sent to this target since")
  end)

  it("does not ask the platform while another import sends", function()
    imports.reset({ "upload_contacts_json:after-commit-close@1", "get_contact_group_detail:500@3-" })
    local options = imports.options(JSON, imports.people(20), { rows_per_call = 20 })
    assert.equal(20, assert(campaign.import(options)).ambiguous)
    assert(imports.handle:control("faults", { faults = require("campaign.sandbox.json").array({}) }))
    import_with(JSON, function(first)
      local found, err = assert(campaign.open_job(options.job, { account = options.account, env = options.env })):probe()
      assert.is_nil(found)
      contains(err.message, first.job)
    end)
  end)

  it("tells nobody in its folder whose target it is, and leaves no credential there", function()
    assert(imports.import(JSON, imports.people(5)))
    local place = imports.env().getenv("CAMPAIGN_STATE_DIR") .. "/targets"
    assert.equal("0700", ("%04o"):format(core.system.stat(place).mode % 512))
    local files = 0
    for _, name in ipairs(assert(core.system.list_dir(place))) do
      files = files + 1
      assert.matches("^%x+%.%l+$", name)
      local text = command.read(place .. "/" .. name)
      for _, secret in ipairs({ "autumn", imports.accounts.outbound.token, imports.accounts.outbound.abbreviate }) do
        assert.is_nil(text:find(secret, 1, true))
        assert.is_nil(name:find(secret, 1, true))
      end
      assert.equal("0600", ("%04o"):format(core.system.stat(place .. "/" .. name).mode % 512))
    end
    assert.is_true(files >= 2)
  end)

  it("goes on without locks where there is no place for them, and stops where one cannot be kept", function()
    local options = imports.options(JSON, imports.people(5))
    options.env.getenv = function() return nil end
    assert.equal(5, assert(campaign.import(options)).accepted)
    local folder = command.folder()
    options = imports.options(JSON, imports.people(5))
    options.env.getenv = function(name) return name == "CAMPAIGN_STATE_DIR" and folder or nil end
    assert(core.system.make_dirs(folder .. "/targets"))
    local lock = require("campaign.import.run.target_lock")
    local try = lock.new{ operation = require("campaign.api.platform").load("outbound").operations.upload_contacts_json, options = options,
      identity = "x", id = "y", folder = folder }
    assert(core.system.make_dirs(try._path .. ".json")) -- a folder where the file would be
    local taken, err = try:try()
    assert.is_nil(taken)
    assert.equal("ledger", err.kind)
    contains(err.hint, "CAMPAIGN_STATE_DIR")
    command.remove(folder)
  end)

  it("takes no turn for its own that could not be written, and writes it when it is asked again", function()
    local folder = command.folder()
    local options = imports.options(JSON, imports.people(5))
    options.env.getenv = function(name) return name == "CAMPAIGN_STATE_DIR" and folder or nil end
    local lock = require("campaign.import.run.target_lock").new{ options = options, identity = "x", id = "y", folder = folder,
      operation = require("campaign.api.platform").load("outbound").operations.upload_contacts_json }
    assert.is_true(lock:try())
    local path = lock._path .. ".json"
    assert(os.remove(path))
    assert(core.system.make_dirs(path)) -- a folder where the file would be
    local ok, err = lock:begin()
    assert.is_nil(ok)
    assert.same({ "ledger", "no" }, { err.kind, err.sent })
    assert.is_nil(lock:turn())
    assert(os.remove(path))
    assert.is_true(lock:begin())
    contains(command.read(path), lock:turn())
    lock:close()
    command.remove(folder)
  end)

  it("is let go of by a process that is killed", function()
    local folder = command.folder()
    local env = { CAMPAIGN_STATE_DIR = folder .. "/state" }
    for key, value in pairs(imports.accounts.outbound) do
      env["CAMPAIGN_OUTBOUND_" .. key:upper()] = value
    end
    env.HOME, env.LANG = "/nonexistent", "C.UTF-8"
    command.write(folder .. "/list.csv", imports.people(20))
    imports.reset({ "upload_contacts_json:delay=60000@1" })
    local words = { command.ROOT .. "/bin/campaign", "import", folder .. "/list.csv", "--to", JSON, "-p", "dataSourceName=autumn-contacts" }
    local function with(...)
      local list = {}
      for _, word in ipairs(words) do
        list[#list + 1] = word
      end
      for _, word in ipairs({ ... }) do
        list[#list + 1] = word
      end
      return list
    end
    env.CAMPAIGN_LUA, env.CAMPAIGN_BUILD = command.LUA, os.getenv("CAMPAIGN_BUILD") or command.ROOT .. "/build"
    local spawn = with("--job", folder .. "/one", "--window", "ignore")
    spawn.env, spawn.stdout, spawn.stderr = env, "/dev/null", "/dev/null"
    local process = assert(core.system.spawn(spawn))
    local deadline = core.system.monotonic() + 60
    local err
    repeat
      core.system.sleep(0.05)
      local ledger
      ledger, err = ledger_module.open(folder .. "/one/ledger.db")
      if ledger then
        ledger:close()
      end
      local calls = assert(imports.handle:control("faults")).calls or {}
    until err and err.reason == "locked" and (calls["outbound.upload_contacts_json"] or calls.upload_contacts_json)
      or core.system.monotonic() > deadline
    local refused = command.campaign({ select(2, unpack(with("--job", folder .. "/two", "--busy", "refuse", "--window", "ignore"))) }, { env = env })
    assert.equal(8, refused.code, refused.err)
    contains(refused.err, folder .. "/one is sending to the same target")
    process:signal("KILL")
    process:wait(10)
    process:close()
    local resumed = command.campaign({ "resume", folder .. "/two", "--window", "ignore" }, { env = env })
    assert.equal(0, resumed.code, resumed.err)
    contains(resumed.out, "20  accepted")
    command.remove(folder)
  end)
end)

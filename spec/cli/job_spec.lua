-- SPDX-License-Identifier: MIT
-- campaign status, resolve and resume against the sandbox: what a person does after an import was left in doubt or killed.

local command = require "support.command"
local json = require "campaign.json"
local sandbox = require "campaign.sandbox"

describe("campaign jobs", function()
  local handle, folder, env

  before_each(function()
    handle = assert(sandbox.start{ clock = "2025-11-10 10:00:00", clock_rate = 0 })
    folder = command.folder()
    env = {}
    for platform, account in pairs(handle.accounts) do
      for key, value in pairs(account) do
        env["CAMPAIGN_" .. platform:upper() .. "_" .. key:upper()] = value
      end
    end
    local lines = { "name,phone" }
    for i = 1, 10 do
      lines[#lines + 1] = ("人%d,130000000%02d"):format(i, i)
    end
    command.write(folder .. "/list.csv", table.concat(lines, "\n") .. "\n")
  end)

  after_each(function()
    handle:stop()
    command.remove(folder)
  end)

  local function run(...)
    return command.campaign({ ... }, { env = env })
  end

  local function import_in_doubt()
    assert(handle:control("faults", { faults = { "import_customers_async:after-commit-close@2" } }))
    local result = run("import", folder .. "/list.csv", "--to", "longlong.import_customers_async", "--rows-per-call", "2",
      "--concurrency", "1", "--job", folder .. "/job")
    assert.equal(4, result.code, result.err)
  end

  local function status()
    local result = run("status", folder .. "/job", "--json")
    assert.equal(0, result.code, result.err)
    return json.decode(result.out)
  end

  it("shows a batch in doubt, takes a person's word for it, and makes the report again", function()
    import_in_doubt()
    local found = status()
    assert.equal(2, found.rows.ambiguous)
    assert.equal(8, found.rows.accepted_pending)
    assert.equal(2, found.doubtful[1].batch)
    assert.equal(3, found.doubtful[1].first_row)
    local text = run("status", folder .. "/job").out
    assert.matches("batch 2 in doubt: 2 rows from row 3", text, 1, true)
    assert.matches("campaign resolve", text, 1, true)
    assert.equal(4, run("resolve", folder .. "/job", "--probe").code) -- nobody can be asked: it stays in doubt
    assert.equal(4, run("resolve", folder .. "/job", "--probe", "--batch", "2").code)
    assert.matches("batch 1 of .* is not in doubt", run("resolve", folder .. "/job", "--probe", "--batch", "1").err)

    local result = run("resolve", folder .. "/job", "--batch", "2", "--as", "applied", "--note", "seen in the commits")
    assert.equal(0, result.code, result.err)
    result = run("resume", folder .. "/job", "--json")
    assert.equal(0, result.code, result.err)
    local again = json.decode(result.out)
    assert.equal(0, again.ambiguous)
    assert.equal(10, again.accepted + again.accepted_pending)
    assert.equal(0, again.requests)
    assert.equal(10, #handle:control("commits").commits)
  end)

  it("takes a person's word for all batches in doubt of a range", function()
    command.write(folder .. "/contacts.csv", "姓名,手机号\n一,13000000001\n二,13000000002\n三,13000000003\n四,13000000004\n")
    assert(handle:control("faults", { faults = { "import_customers_async:after-commit-close@2-4" } }))
    assert.equal(4, run("import", folder .. "/contacts.csv", "--to", "longlong.import_customers_async", "--rows-per-call", "1", "--concurrency", "1",
      "--job", folder .. "/job").code)
    assert.equal(3, status().rows.ambiguous)
    local function resolve(...)
      return run("resolve", folder .. "/job", ...)
    end
    for _, range in ipairs{ "3-2", "0-3", "2-", "-3", "2,3", "1-9999999999" } do
      local result = resolve("--batch=" .. range, "--as", "applied")
      assert.equal(2, result.code, range)
      assert.matches("must be the number of a batch, or a range: 17, 17-32", result.err, 1, true)
    end
    local result = resolve("--batch", "5-999999999", "--as", "applied")
    assert.equal(2, result.code)
    assert.matches("none of the batches 5 to 999999999 of .* is in doubt", result.err)
    assert.matches("--probe asks about one batch", resolve("--batch", "2-3", "--probe").err, 1, true)
    assert.equal(3, status().rows.ambiguous)
    result = resolve("--batch", "1-3", "--as", "applied")
    assert.equal(0, result.code, result.err)
    assert.matches("2 batches in doubt from 1 to 3: applied", result.out, 1, true)
    assert.same({ batch = 3, last = 4, count = 1, as = "not-applied" }, json.decode(resolve("--batch", "3-4", "--as", "not-applied", "--json").out))
    assert.equal(1, status().rows.pending)
  end)

  it("sends a batch again that was not applied after all, and no other", function()
    import_in_doubt()
    assert.equal(0, run("resolve", folder .. "/job", "--batch", "2", "--as", "resend").code)
    local result = run("resume", folder .. "/job", "--json")
    assert.equal(0, result.code, result.err)
    assert.equal(1, json.decode(result.out).requests)
    assert.equal(12, #handle:control("commits").commits)
    assert.equal(2, status().possibly_duplicated) -- rows
  end)

  it("asks the platform what became of a batch in doubt, and says so", function()
    local lines = { "uuid,姓名,手机号,公司" }
    for i = 1, 6 do
      lines[#lines + 1] = ("c-%d,人%d,1300000000%d,公司"):format(i, i, i)
    end
    command.write(folder .. "/contacts.csv", table.concat(lines, "\n") .. "\n")
    assert(handle:control("faults", { faults = { "upload_contacts_json:after-commit-close@2", "get_contact_group_detail:403@4-" } }))
    local result = run("import", folder .. "/contacts.csv", "--to", "outbound.upload_contacts_json", "-p", "dataSourceName=autumn-contacts",
      "--rows-per-call", "2", "--window", "ignore", "--job", folder .. "/job")
    assert.equal(4, result.code, result.err)
    result = run("resolve", folder .. "/job", "--probe", "--as", "applied")
    assert.equal(2, result.code)
    assert.matches("give only one of", result.err, 1, true)
    assert.equal(2, run("resolve", folder .. "/job", "--batch", "2").code)
    assert(handle:control("faults", { faults = require("campaign.sandbox.json").array({}) }))
    result = run("resolve", folder .. "/job", "--probe", "--json")
    assert.equal(0, result.code, result.err)
    local found = json.decode(result.out)
    assert.same({ 0, 1, 2, "applied" }, { found.open, #found.batches, found.batches[1].batch, found.batches[1].as })
    assert.matches("no batch in doubt that the platform can be asked about", run("resolve", folder .. "/job", "--probe").out, 1, true)
    result = run("resume", folder .. "/job", "--json")
    assert.equal(0, result.code, result.err)
    assert.equal(6, json.decode(result.out).accepted)
    assert.equal(6, #handle:control("commits").commits)
  end)

  it("joins callbacks that were received, and says when there is no store", function()
    import_in_doubt()
    assert(handle:control("clock", { advance = 3600 }))
    local secret = "b7c1d2e3f4a5968778695a4b3c2d1e0f"
    local receiver = assert(require("campaign.callback").new{ platform = "longlong", store = folder .. "/store", secret = secret })
    for _, body in ipairs(assert(handle:control("results")).results) do
      receiver:handle{ method = "POST", path = "/" .. secret, headers = {}, body = json.encode(body) }
    end
    local page = command.read(folder .. "/job/report.html")
    local result = run("resolve", folder .. "/job", "--callbacks", folder .. "/nothing")
    assert.equal(2, result.code)
    assert.equal(page, command.read(folder .. "/job/report.html")) -- what is refused takes no reports away
    result = run("resolve", folder .. "/job", "--callbacks", folder .. "/store", "--json")
    assert.equal(0, result.code, result.err)
    local joined = json.decode(result.out)
    assert.same({ 5, 0, 0 }, { joined.confirmed, joined.rejected, joined.conflicts })
    result = run("resume", folder .. "/job", "--json")
    assert.equal(0, result.code, result.err)
    assert.same({ 10, 0 }, { json.decode(result.out).accepted, json.decode(result.out).ambiguous })
  end)

  it("gives the result of a finished job again without sending anything", function()
    assert.equal(0, run("import", folder .. "/list.csv", "--to", "longlong.import_customers_async", "--job", folder .. "/job").code)
    local result = run("resume", folder .. "/job")
    assert.equal(0, result.code, result.err)
    assert.matches("finished", result.out, 1, true)
    assert.equal(10, #handle:control("commits").commits)
  end)

  it("refuses a list that has changed, a batch that is not in doubt, and a folder that is no job", function()
    import_in_doubt()
    local result = run("resolve", folder .. "/job", "--batch", "1", "--as", "applied")
    assert.equal(2, result.code)
    assert.matches("batch 1 of", result.err, 1, true)
    assert.equal(0, run("resolve", folder .. "/job", "--batch", "2", "--as", "not-applied").code)
    command.write(folder .. "/list.csv", "name,phone\nx,1\n")
    result = run("resume", folder .. "/job")
    assert.equal(8, result.code)
    assert.matches("has changed since the job was planned", result.err, 1, true)
    result = run("status", folder .. "/nothing", "--json")
    assert.equal(2, result.code)
    assert.equal("usage", json.decode(result.err).error.kind)
  end)

  it("verifies beside the sandbox of the environment, where none is named", function()
    local result = run("import", folder .. "/list.csv", "--to", "longlong.import_customers_async", "--job", folder .. "/job")
    assert.equal(0, result.code, result.err)
    result = run("verify", folder .. "/job", "--sandbox")
    assert.equal(2, result.code)
    assert.matches("give a URL, or set CAMPAIGN_SANDBOX_URL", result.err, 1, true)
    env.CAMPAIGN_SANDBOX_URL = handle.base_url
    assert.equal(0, run("verify", "--sandbox=" .. handle.base_url, folder .. "/job").code)
    result = run("verify", folder .. "/job", "--sandbox")
    assert.equal(0, result.code, result.err)
    assert.matches("10 rows in the server's log", result.out, 1, true)
    assert.matches("not known without the server's log", run("verify", folder .. "/job").out, 1, true)
  end)
end)

-- SPDX-License-Identifier: MIT
-- report.json tells what the ledger says, or is not there: whatever ends a process that changes the ledger. Else `resume` would take the job for
-- finished that a person has just decided about, and `verify` would find fault with it.

local command = require "support.command"
local commit_server = require "support.commit_server"
local core = require "campaign.core"
local imports = require "support.imports"
local json = require "campaign.json"
local ledger_module = require "campaign.ledger"
local lists = require "support.lists"

local SCRIPT = [[
  local campaign = require "campaign"
  local account = { base_url = arg[3], token = "t", user_id = "u-1" }
  io.open("/shim/arm")
  local done, err
  if arg[1] == "import" then
    done, err = campaign.import{ source = arg[4], to = "longlong.import_customers_async", job = arg[2], account = account, rows_per_call = 10,
      concurrency = 1, attempts = 1, unique = "uuid" }
  else
    local job
    job, err = campaign.open_job(arg[2], { account = account })
    if job and arg[1] == "resume" then
      done, err = job:resume()
    elseif job then
      done, err = job:resolve(tonumber(arg[4]), "resend")
    end
  end
  io.write(done and "done" or "failed: " .. tostring(err))
]]

describe("a job's report", function()
  local server, root, script, source

  setup(function()
    server, root = commit_server.start(), command.folder()
    script = command.write(root .. "/script.lua", SCRIPT)
    source = lists.file(imports.people(40) .. "c-00007,客户41,13800000041,公司,老客户\n")
  end)
  teardown(function()
    server:stop()
    command.remove(root)
    lists.clean()
  end)

  local BUILD = os.getenv("CAMPAIGN_BUILD") or command.ROOT .. "/build"

  local function run(shim, what, folder, ...)
    return command.run({ os.getenv("CAMPAIGN_TEST_LUA") or "lua5.4", script, what, folder, server.url, ... }, { seconds = 60,
      env = { LUA_PATH = os.getenv("LUA_PATH") or package.path, LUA_CPATH = os.getenv("LUA_CPATH") or package.cpath,
        LD_PRELOAD = shim and BUILD .. "/spec/fault_shim.so", SHIM = shim } })
  end

  -- What the ledger says, which is taken up as it is, and what the report says, where there is one.
  local function compare(folder, label)
    local text = core.system.read_file(folder .. "/report.json")
    local ledger = assert(ledger_module.open(folder .. "/ledger.db"))
    local rows = assert(ledger:progress()).rows
    ledger:close()
    if text then
      local report = assert(json.decode(text))
      assert.same({ rows.accepted_pending, rows.ambiguous, rows.pending }, { report.accepted_pending, report.ambiguous, report.pending }, label)
    end
    return text ~= nil, rows
  end

  -- Ends the command at each call from `from` on, each time of a fresh copy of the job, until it comes to its end by itself.
  local function sweep(job, step, what, ...)
    local withdrawn, stood, at = 0, 0, 1
    repeat
      local folder = root .. "/copy"
      os.execute(("rm -rf %s && cp -a %s %s"):format(folder, job, folder))
      local out = run(at .. " kill file " .. folder .. " 0", what, folder, ...).out
      local stands = compare(folder, what .. " " .. at)
      stood, withdrawn = stood + (stands and 1 or 0), withdrawn + (stands and 0 or 1)
      at = at + step
    until out == "done" or at > 400
    assert.is_true(at < 400 and stood > 0 and withdrawn > 0, at .. " " .. stood .. " " .. withdrawn)
  end

  it("is gone for good before an order about a batch in doubt is in the ledger, and stands where that is refused #heavy", function()
    local job = root .. "/doubt"
    server:order("reset\nfault L 2 commit close")
    assert.equal("done", run(nil, "import", job, source).out)
    local stands, rows = compare(job, "made")
    assert.same({ true, 10 }, { stands, rows.ambiguous })
    assert.matches("not in doubt", run(nil, "resolve", job, "1").out, 1, true)
    assert.is_true(compare(job, "refused"))
    sweep(job, 1, "resolve", "2")
  end)

  it("of a stopped run is gone before the job goes on #heavy", function()
    local job = root .. "/stopped"
    server:order("reset\nfault L 3+ drop status 403")
    assert.equal("done", run(nil, "import", job, source).out)
    local stands, rows = compare(job, "made")
    assert.same({ true, 20 }, { stands, rows.pending })
    server:order("calm")
    sweep(job, 4, "resume")
  end)

  it("and row files that are damaged, or none at all, are made again from the ledger", function()
    local job = root .. "/hurt"
    server:order("reset\nfault L 3+ drop status 403")
    assert.equal("done", run(nil, "import", job, source).out)
    server:order("calm")
    command.write(job .. "/report.json", "{ torn")
    os.execute(("rm %s/duplicates.csv && mkfifo %s/duplicates.csv"):format(job, job))
    assert.equal("done", run(nil, "resume", job).out)
    local stands, rows = compare(job, "encoded again")
    assert.same({ true, 40, 0 }, { stands, rows.accepted_pending, rows.pending })
    assert.equal("41", imports.read(job .. "/duplicates.csv")[1]._row)
    command.write(job .. "/report.json", '{"state":"finished"}') -- somebody's hand
    assert.equal("done", run(nil, "resume", job).out)
    stands, rows = compare(job, "made once more")
    assert.same({ true, 40, 0 }, { stands, rows.accepted_pending, rows.pending })
  end)
end)

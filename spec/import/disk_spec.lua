-- SPDX-License-Identifier: MIT
-- F22 to F25, F32, F36 and F37 for real: full disks, limits, read-only and damaged ledgers, two processes and two imports on one folder,
-- clocks that jump, lists that change. What fails is the system itself, by the shim of spec/preload or by its own limits; the judge is the oracle
-- of docs/faults.md. What needs root says so in its name and is left out without it.

local campaign = require "campaign"
local command = require "support.command"
local commit_server = require "support.commit_server"
local core = require "campaign.core"
local imports = require "support.imports"
local lists = require "support.lists"
local oracle = require "faults.oracle"

local LONGLONG = "longlong.import_customers_async"
local ROWS, PER_CALL = 200, 10

-- An import, or a job gone on with, in a process of its own. Prints what came of it.
local SCRIPT = [[
  local campaign = require "campaign"
  local account = { base_url = arg[3], token = "t", user_id = "u-1" }
  io.open("/shim/arm")
  local result, err
  if arg[1] == "run" then
    result, err = campaign.import{ source = arg[4], to = "longlong.import_customers_async", job = arg[2], account = account, rows_per_call = 10,
      concurrency = tonumber(arg[5]) or 2 }
  else
    local job
    job, err = campaign.open_job(arg[2], { account = account })
    if job then
      result, err = job:resume()
    end
  end
  local problem = err or result.error
  print(result and result.exit_code or "none", problem and problem.kind or "none", problem and problem.reason or "none", tostring(problem))
]]

describe("an import on a bad day", function()
  local server, root, script, source, jobs, is_root

  setup(function()
    server, root, jobs = commit_server.start(), command.folder(), 0
    script = root .. "/run.lua"
    lists.write(script, SCRIPT)
    source = lists.file(imports.people(ROWS))
    local pipe = io.popen("id -u")
    is_root = pipe:read("*l") == "0"
    pipe:close()
  end)
  teardown(function()
    server:stop()
    command.remove(root)
    lists.clean()
  end)
  before_each(function() server:order("reset") end)

  local function job()
    jobs = jobs + 1
    return root .. "/job" .. jobs
  end

  local BUILD = os.getenv("CAMPAIGN_BUILD") or command.ROOT .. "/build"
  local LUA = os.getenv("CAMPAIGN_TEST_LUA") or "lua5.4"

  -- Runs the script; `before` are words of a shell that come first (limits), `shim` orders of the shim.
  local function run(what, folder, options)
    options = options or {}
    local line = ("%s %s %s %s %s %s %s %s"):format(options.before or "", LUA, script, what, command.quote(folder), server.url,
      command.quote(options.source or source), options.concurrency or "")
    local env = { LUA_PATH = os.getenv("LUA_PATH") or package.path, LUA_CPATH = os.getenv("LUA_CPATH") or package.cpath }
    if options.shim then
      env.LD_PRELOAD, env.SHIM = BUILD .. "/spec/fault_shim.so", options.shim
    end
    local result = command.run({ "sh", "-c", line }, { env = env, seconds = 120 })
    local code, kind, reason, message = result.out:match("^(%S+)%s+(%S+)%s+(%S+)%s+([^\n]*)")
    return { code = tonumber(code), kind = kind, reason = reason, message = message or result.err, out = result.out .. result.err }
  end

  local function judge(folder, finished)
    return oracle.judge(folder, 0, ROWS, server:read(), { rows_per_call = PER_CALL, finished = finished })
  end

  -- Going on, without a hand, ends with every row committed once, but for those in doubt.
  local function assert_resumes(folder, doubt)
    local done = run("resume", folder)
    local figures = judge(folder, true)
    figures.in_flight_at_fault = doubt
    assert.is_nil(oracle.fault(figures), done.out)
    assert.equal(0, figures.pending, done.out)
    assert.equal(figures.ambiguous > 0 and 4 or 0, done.code, done.out)
    return figures
  end

  it("F22 stops when the disk gets full, and writes down the outcomes of what was on its way in the room set aside", function()
    local plan = run("run", job(), { shim = "0 none file " .. root .. "/nowhere 0" })
    assert.equal(0, plan.code, plan.out)
    server:order("reset")
    local stopped = 0
    for at = 8, 80, 6 do
      local folder = job()
      server:order("reset")
      -- Once: the room that is given up is there for the write that comes again.
      local seen = run("run", folder, { shim = at .. " ENOSPC file " .. folder .. "/ledger.db-wal 0" })
      if core.system.stat(folder .. "/ledger.db") and seen.code then
        local figures = judge(folder)
        -- A sync that fails is another matter: what it was to make durable is in doubt.
        local doubt = seen.reason == "io" and 2 * PER_CALL or 0
        figures.in_flight_at_fault = doubt
        assert.is_nil(oracle.fault(figures), at .. " " .. seen.out)
        if seen.reason == "full" then
          stopped = stopped + (figures.pending > 0 and 1 or 0) -- it may be the last commit that met it
          assert.equal(8, seen.code, seen.out)
          assert.is_nil(core.system.stat(folder .. "/ledger.db.reserve"))
        end
        assert_resumes(folder, doubt)
      else
        assert.equal(0, #server:read().commits, seen.out)
      end
    end
    assert.is_true(stopped >= 2, stopped .. " runs met the full disk while sending")
  end)

  it("F22 with a disk that stays full after the room was used: doubt is what was on its way, nothing is repeated", function()
    local stopped = 0
    for at = 20, 140, 20 do
      local folder = job()
      server:order("reset")
      local seen = run("run", folder, { shim = at .. "+ ENOSPC file " .. folder .. " 0" })
      if seen.code == 0 then -- it was done before
        assert.equal(ROWS, judge(folder, true).accepted, seen.out)
      elseif core.system.stat(folder .. "/ledger.db") and server:read().rows > 0 then
        stopped = stopped + 1
        assert.equal(8, seen.code, seen.out)
        assert_resumes(folder, 2 * PER_CALL)
      else
        assert.equal(0, server:read().rows, seen.out)
      end
    end
    assert.is_true(stopped >= 2, stopped .. " runs met the full disk while sending")
  end)

  it("F22 says that the disk is full wherever that is met, so that whoever runs jobs may try again", function()
    local met, full = 0, 0
    for at = 1, 113, 8 do
      local folder = job()
      local seen = run("run", folder, { shim = at .. "+ ENOSPC file " .. folder .. " 0" })
      if seen.code ~= 0 then
        met = met + 1
        full = full + (seen.reason == "full" and 1 or 0)
        -- A sync that fails, for whatever reason, is another matter: what it was to make durable is in doubt.
        assert.is_true(seen.kind == "ledger" and (seen.reason == "full" or seen.reason == "io"), at .. " " .. seen.out)
      end
    end
    assert.is_true(full >= 10 and full * 4 >= met * 3, full .. " of " .. met .. " runs that met it say that the disk is full")
  end)

  it("F22 sends nothing where the room cannot be set aside, and says so", function()
    local folder = job()
    -- 8 MiB is the most that a file may have: no reserve of 16.
    local seen = run("run", folder, { before = "trap '' XFSZ; ulimit -f 16384;" })
    assert.same({ "ledger", "full" }, { seen.kind, seen.reason }, seen.out)
    assert.equal(0, #server:read().requests)
  end)

  it("F22 on a small file system that is really full (needs root for the mount)", function()
    local place = root .. "/small"
    os.execute("mkdir -p " .. place)
    local mounted = is_root and os.execute("mount -t tmpfs -o size=18m tmpfs " .. place .. " 2>/dev/null")
    if not (mounted == true or mounted == 0) then
      pending("no root, or no mount here")
      return
    end
    local folder = place .. "/job"
    local ok, problem = pcall(function()
      -- The rest of the room goes while the import runs.
      server:order("reset\nfault L 3 commit slow 400")
      local process = assert(core.system.spawn{ LUA, script, "run", folder, server.url, source, stdout = root .. "/out" })
      local limit = core.system.monotonic() + 30
      while server:read().rows < 2 * PER_CALL and core.system.monotonic() < limit do
        core.system.sleep(0.005)
      end
      os.execute("dd if=/dev/zero of=" .. place .. "/filler bs=64k 2>/dev/null")
      process:wait(60)
      process:close()
      local figures = judge(folder)
      figures.in_flight_at_fault = 0 -- the room set aside was enough for all outcomes
      assert.is_nil(oracle.fault(figures), command.read(root .. "/out"))
      os.execute("rm " .. place .. "/filler")
      assert_resumes(folder, 0)
    end)
    os.execute("umount " .. place)
    assert(ok, problem)
  end)

  it("F25 does not begin in a folder whose own name cannot be synced", function()
    local parent = root .. "/parent"
    for at = 3, 4 do -- both are made, the upper one is opened, and synced
      local seen = run("run", parent .. "/job", { shim = at .. " EIO file " .. parent .. " 0" })
      assert.equal("ledger", seen.kind, seen.out)
      assert.matches(parent .. "/: Input/output error", seen.message, 1, true)
      command.remove(parent)
    end
    assert.equal(0, #server:read().requests)
  end)

  it("F25 ends at once when a write or a sync fails, and is resumed with no more doubt than was on its way", function()
    for _, what in ipairs{ "40 EIO file", "70 EIO file", "100 EIO file", "130 EIO file" } do
      local folder = job()
      server:order("reset")
      local seen = run("run", folder, { shim = what .. " " .. folder .. "/ledger.db 0" })
      if server:read().rows > 0 then
        assert.is_true(seen.code == 8 or seen.code == 0, seen.out)
        assert_resumes(folder, 2 * PER_CALL)
      end
    end
  end)

  it("sends nothing into a folder that cannot be written, a file in its place, or without descriptors", function()
    local blocked = job()
    lists.write(blocked, "something else")
    local seen = run("run", blocked)
    assert.equal("usage", seen.kind, seen.out)
    os.remove(blocked)
    seen = run("run", job(), { shim = "1+ EMFILE file " .. root .. "/job 0" })
    assert.equal("ledger", seen.kind, seen.out)
    seen = run("run", "/proc/campaign-job")
    assert.equal("ledger", seen.kind, seen.out)
    assert.equal(0, #server:read().requests)
  end)

  it("EMFILE: with few descriptors it ends in order or not at all, and is resumed", function()
    for _, most in ipairs{ 4, 6, 8, 10, 12, 14, 16, 20 } do
      local folder = job()
      server:order("reset")
      local seen = run("run", folder, { before = "ulimit -n " .. most .. ";" })
      if server:read().rows > 0 then
        assert_resumes(folder, 2 * PER_CALL)
      else
        assert.is_true(seen.code ~= 0, most .. " " .. seen.out)
      end
    end
  end)

  it("EMFILE: the connections are given back before what was not sent is listed and the report is written", function()
    for _, most in ipairs{ 14, 17, 20 } do
      local folder = job()
      server:order("reset")
      local seen = run("run", folder, { before = "ulimit -n " .. most .. ";", concurrency = 16 })
      local report = assert(core.system.read_file(folder .. "/report.json"), seen.out)
      local named = report:match('"not_sent_file":"?([^",}]*)')
      assert.equal(named ~= "null" and named ~= nil, core.system.stat(folder .. "/not_sent.csv") ~= nil, report)
    end
  end)

  it("F25 does not take a list of refused rows that cannot be written for a list that cannot be read", function()
    local wide = lists.file(imports.people(20) .. "c-1,客户,13800000021,公司,老客户,x\n")
    for at = 1, 3 do -- it is opened, written and synced
      local folder = job()
      local seen = run("run", folder, { source = wide, shim = at .. " EIO file " .. folder .. "/rejects.csv 0" })
      assert.equal("ledger", seen.kind, seen.out)
      assert.truthy(core.system.stat(folder .. "/ledger.db"), seen.out)
    end
    assert.equal(0, #server:read().requests)
  end)

  it("F22 says that the disk is full also where it is a list of rows that finds no room", function()
    local wide = lists.file(imports.people(20) .. "c-1,客户,13800000021,公司,老客户,x\n")
    for _, what in ipairs({ "ENOSPC", "EDQUOT" }) do
      local folder = job()
      local seen = run("run", folder, { source = wide, shim = "2+ " .. what .. " file " .. folder .. "/rejects.csv 0" })
      assert.same({ "ledger", "full" }, { seen.kind, seen.reason }, seen.out)
      -- What was not planned cannot be resumed; the folder is free for the same import.
      assert.matches("make room, then import the list again", seen.message, 1, true)
      assert.is_nil(core.system.stat(folder))
      local again = run("run", folder, { source = wide })
      assert.same({ 7, 20 }, { again.code, server:read().rows }, again.out)
      server:order("reset")
    end
    -- And of a batch whose outcome is known while its rows cannot be listed.
    server:order("reset\nfault L 3 commit status 500")
    local folder = job()
    local seen = run("run", folder, { shim = "2+ ENOSPC file " .. folder .. "/ambiguous.csv 0" })
    assert.same({ "ledger", "full" }, { seen.kind, seen.reason }, seen.out)
    assert_resumes(folder, 3 * PER_CALL)
    server:order("reset")
  end)

  it("two imports into one folder: the second is refused and the first not disturbed", function()
    local folder = job()
    assert.equal(0, run("run", folder).code)
    local seen = run("run", folder)
    assert.equal("usage", seen.kind, seen.out)
    assert.matches("an import was begun in it already", seen.message, 1, true)
    assert.equal(ROWS, server:read().rows)
    assert.is_nil(oracle.fault(judge(folder, true)))
  end)

  it("F23, F34 two processes on one job: the second is refused, also while the first is stopped for long", function()
    local folder = job()
    server:order("reset\nfault L 3 commit slow 300")
    local process = assert(core.system.spawn{ LUA, script, "run", folder, server.url, source, stdout = root .. "/out" })
    local limit = core.system.monotonic() + 30
    while server:read().rows < PER_CALL and core.system.monotonic() < limit do
      core.system.sleep(0.005)
    end
    process:signal("STOP")
    local seen = run("resume", folder)
    assert.is_true(seen.kind == "ledger" and seen.reason == "locked", seen.out)
    process:signal("CONT")
    assert.same({ exit = 0 }, process:wait(60))
    process:close()
    assert.equal(ROWS, server:read().rows)
    assert.is_nil(oracle.fault(judge(folder, true)))
  end)

  describe("with a job that was stopped on its way", function()
    local folder

    -- Three batches were taken over, the fourth was answered with 403: the rest is pending.
    before_each(function()
      folder = job()
      server:order("reset\nfault L 4+ drop status 403")
      assert.equal(6, run("run", folder).code)
      server:order("calm")
    end)

    local function assert_untouched(seen, rows)
      assert.equal("ledger", seen.kind, seen.out)
      assert.equal(rows, server:read().rows)
    end

    it("F24 refuses a damaged, cut, replaced or foreign ledger, and keeps it as it is", function()
      local rows, path = server:read().rows, folder .. "/ledger.db"
      local good = command.read(path)
      for name, bytes in pairs{
        zeroed = good:sub(1, 4096) .. ("\0"):rep(#good - 4096), cut = good:sub(1, math.floor(#good / 2)), empty = "", text = ("no ledger\n"):rep(999),
        ["half a page"] = good:sub(1, 2000),
      } do
        lists.write(path, bytes)
        local seen = run("resume", folder)
        assert_untouched(seen, rows)
        assert.is_true(command.read(path) == bytes, name)
      end
      lists.write(path, good)
      assert_resumes(folder, 0)
    end)

    it("F24 refuses a ledger with another letter in the text of its tables or in the record of the job", function()
      local rows, path = server:read().rows, folder .. "/ledger.db"
      local good = command.read(path)
      for from, to in pairs{ ["DEFAULT 'P'"] = "DEFAULT 'X'", ['"longlong.'] = '"longlonh.' } do
        local at = assert(good:find(from, 1, true), from)
        lists.write(path, good:sub(1, at - 1) .. to .. good:sub(at + #from))
        local seen = run("resume", folder)
        assert_untouched(seen, rows)
        assert.equal("damaged", seen.reason, seen.out)
        assert.matches(path, seen.message, 1, true)
      end
      lists.write(path, good)
      assert_resumes(folder, 0)
    end)

    it("F24 refuses a ledger of another version", function()
      local rows = server:read().rows
      assert.equal(0, command.run({ "sqlite3", folder .. "/ledger.db", "PRAGMA user_version = 99" }).code)
      local seen = run("resume", folder)
      assert_untouched(seen, rows)
      assert.matches("version 99", seen.message, 1, true)
    end)

    it("refuses a ledger that is open to others, a link, a folder, or not there", function()
      local rows, path = server:read().rows, folder .. "/ledger.db"
      os.execute("chmod 644 " .. path)
      assert_untouched(run("resume", folder), rows)
      os.execute("chmod 600 " .. path .. "; mv " .. path .. " " .. path .. ".real; ln -s " .. path .. ".real " .. path)
      assert_untouched(run("resume", folder), rows)
      os.execute("rm " .. path .. "; mkdir " .. path)
      assert_untouched(run("resume", folder), rows)
      os.execute("rmdir " .. path)
      assert_untouched(run("resume", folder), rows)
      os.execute("mv " .. path .. ".real " .. path)
      assert_resumes(folder, 0)
    end)

    it("stops when the ledger turns read-only (EROFS by the shim's EIO at its first write)", function()
      local rows = server:read().rows
      assert_untouched(run("resume", folder, { shim = "1+ EIO file " .. folder .. "/ledger.db-wal 0" }), rows)
      assert_resumes(folder, 0)
    end)

    it("F18 goes on with a renewed token of the same user, and refuses another user, or a token that is all there is to tell by", function()
      local rows = server:read().rows
      local function resume(account)
        local job_again = assert(campaign.open_job(folder, { account = account }))
        local result, err = job_again:resume()
        job_again:close()
        return result, err
      end
      local _, err = resume{ base_url = server.url, token = "t", user_id = "u-2" }
      assert.matches("another account", tostring(err), 1, true)
      assert.equal(rows, server:read().rows)
      local result = assert(resume{ base_url = server.url, token = "renewed", user_id = "u-1" })
      assert.equal(0, result.exit_code)
      assert.is_nil(oracle.fault(judge(folder, true)))
      local record, platforms = require "campaign.import.record", require "campaign.api.platform"
      local tuzhan, hypers = assert(platforms.load("tuzhan")), assert(platforms.load("hypers"))
      local function same(platform, one, other)
        return record.identity(platform, one) == record.identity(platform, other)
      end
      assert.is_false(same(tuzhan, { base_url = "u", token = "a" }, { base_url = "u", token = "b" }))
      assert.is_true(same(hypers, { base_url = "u", username = "n", password = "a", client_secret = "x" },
        { base_url = "u", username = "n", password = "b", client_secret = "y" }))
      assert.is_false(same(hypers, { base_url = "u", username = "n", password = "a" }, { base_url = "u", username = "m", password = "a" }))
      assert.is_false(same(hypers, { base_url = "u", username = "n" }, { base_url = "v", username = "n" }))
    end)

    it("F36 refuses a list that has changed in any way, and goes on when it is back", function()
      local rows, text = server:read().rows, command.read(source)
      local stat = core.system.stat(source)
      local function put(bytes, keep_time)
        lists.write(source, bytes)
        if keep_time then
          os.execute(("touch -d @%.9f %s"):format(stat.mtime, source))
        end
      end
      local other = text:gsub("13800000150", "13900000150")
      for name, bytes in pairs{ longer = text .. "x,y,13900000000,z,g\n", shorter = text:sub(1, -40), other = other } do
        put(bytes)
        local seen = run("resume", folder)
        assert_untouched(seen, rows)
        assert.equal("changed", seen.reason, name)
      end
      os.remove(source)
      assert_untouched(run("resume", folder), rows)
      put(text, true)
      assert_resumes(folder, 0)
    end)

    it("F36 says that a list cannot be read where that is so, and does not call it changed", function()
      local rows = server:read().rows
      lists.write(source, command.read(source)) -- another time of change: its bytes are looked at
      local seen
      for at = 1, 4 do
        seen = run("resume", folder, { shim = at .. "+ EIO file " .. source .. " 0" })
        assert.is_nil(seen.code, seen.out)
        assert.equal(rows, server:read().rows)
        assert.matches("Input/output error", seen.message, 1, true)
        assert.is_nil(seen.message:find("has changed", 1, true), seen.message)
      end
      assert_resumes(folder, 0)
    end)
  end)

  it("F32 clocks that jump a day and back while it runs change nothing", function()
    local env = imports.env()
    local now, calls = env.now, 0
    env.getenv = function(name)
      return name == "CAMPAIGN_STATE_DIR" and root .. "/state" or nil
    end
    env.now = function()
      calls = calls + 1
      return now() + (calls % 3 - 1) * 86400
    end
    local folder = job()
    local result = assert(campaign.import{ source = source, to = LONGLONG, job = folder, rows_per_call = PER_CALL, env = env,
      account = { base_url = server.url, token = "t", user_id = "u-1" } })
    assert.equal(0, result.exit_code)
    assert.is_nil(oracle.fault(judge(folder, true)))
    assert.equal(ROWS, server:read().rows)
  end)
end)

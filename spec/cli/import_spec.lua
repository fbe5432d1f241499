-- SPDX-License-Identifier: MIT
-- campaign import, run as a user runs it against the sandbox, whose log of committed rows is the witness: good lists, every kind of bad
-- list, broken peers, and Ctrl-C.

local cjson = require "cjson"
local command = require "spec.support.command"
local core = require "campaign.core"
local lfs = require "lfs"
local sandbox = require "campaign.sandbox"
local sandbox_json = require "campaign.sandbox.json"
local campaign = command.campaign

local LONGLONG = "longlong.import_customers_async"
local OUTBOUND = "outbound.upload_contacts_file"

describe("campaign import", function()
  local handle, folder, jobs

  setup(function()
    folder = command.folder()
    handle = assert(sandbox.start{ clock = "2025-11-10 10:00:00", clock_rate = 0 })
    jobs = 0
  end)
  teardown(function()
    handle:stop()
    command.remove(folder)
  end)
  before_each(function()
    assert(handle:control("reset", {}))
    assert(handle:control("faults", { faults = sandbox_json.array({}) }))
  end)

  local function fault(text)
    assert(handle:control("faults", { faults = sandbox_json.array({ text }) }))
  end

  -- Rows that the platform has taken over since the last reset.
  local function committed(operation)
    local counts = assert(handle:control("commits")).counts or {}
    local total = 0
    for key, targets in pairs(counts) do
      if key == operation then
        for _, count in pairs(type(targets) == "table" and targets or { targets }) do
          total = total + count
        end
      end
    end
    return total
  end

  local function user(changes)
    local env = { XDG_STATE_HOME = folder .. "/state", XDG_CONFIG_HOME = folder .. "/config" }
    for name, value in pairs(handle.environment) do
      env[name] = value
    end
    for name, value in pairs(changes or {}) do
      env[name] = value ~= "" and value or nil
    end
    return env
  end

  local function list(text)
    return command.write(folder .. "/list.csv", text)
  end

  -- Runs an import of the file `path`; the result also as a table, from --json.
  local function import(path, to, more, options)
    jobs = jobs + 1
    local argv = { "import", path, "--to", to, "--json", "--window", "ignore", "--job", folder .. "/job" .. jobs }
    for _, word in ipairs(more or {}) do
      argv[#argv + 1] = word
    end
    options = options or {}
    options.env = options.env or user()
    local run = campaign(argv, options)
    run.result = run.out ~= "" and cjson.decode(run.out) or nil
    run.error = run.err ~= "" and cjson.decode(run.err:match("[^\n]+")).error or nil
    return run
  end

  local function expect_sum(result)
    assert.are.equal(result.rows, result.accepted + result.accepted_pending + result.rejected + result.duplicate + result.suppressed
      + result.unchanged + result.ambiguous + result.pending)
  end

  local function phones(count)
    local lines = { "姓名,phone" }
    for index = 1, count do
      lines[#lines + 1] = string.format("张三,138%08d", index)
    end
    return table.concat(lines, "\n") .. "\n"
  end

  it("sends every row of a good list and ends with exit code 0", function()
    local run = import(list(phones(450)), LONGLONG)
    assert.are.equal(0, run.code, run.err)
    assert.are.equal(450, run.result.accepted_pending)
    assert.are.equal(3, run.result.requests)
    assert.are.equal(450, committed(LONGLONG))
    expect_sum(run.result)
  end)

  it("says the same in words", function()
    local run = campaign({ "import", list(phones(3)), "--to", LONGLONG, "--job", folder .. "/words" }, { env = user() })
    assert.are.equal(0, run.code, run.err)
    assert.is_truthy(run.out:find("list.csv to " .. LONGLONG .. ": finished\n  3  rows\n  3  accepted", 1, true), run.out)
    assert.are.equal("campaign: 3 of 3 rows go in 1 request, less than a second; job " .. folder .. "/words\n", run.err)
    assert.is_truthy(run.out:find("\n  job: " .. folder .. "/words\n", 1, true), run.out)
    run = campaign({ "import", list(phones(3)), "--to", LONGLONG, "--job", folder .. "/silent", "--progress", "none" }, { env = user() })
    assert.are.equal("", run.err)
  end)

  it("says what can be done next about rows that were not taken over", function()
    local run = campaign({ "import", list("姓名,phone\n甲,13800000001\n乙,\n"), "--to", LONGLONG, "--job", folder .. "/next" }, { env = user() })
    assert.are.equal(7, run.code, run.err)
    assert.is_truthy(run.out:find("then: campaign retry " .. folder .. "/next\n", 1, true), run.out)
    local job = folder .. "/of today" -- commands can be typed as they are shown
    run = campaign({ "import", list(phones(3)), "--to", LONGLONG, "--job", job, "--dry-run" }, { env = user() })
    assert.is_truthy(run.out:find("  job: " .. job .. " (run it with: campaign resume '" .. job .. "')\n", 1, true), run.out)
    assert.is_truthy(campaign{ "status", job }.out:find("campaign resume '" .. job .. "'\n", 1, true))
  end)

  it("names rejected rows and ends with exit code 7", function()
    local run = import("examples/data/contacts.csv", OUTBOUND, { "-p", "dataSourceName=autumn-contacts", "--check", "phone=mobile_cn",
      "--map", "company=公司" })
    assert.are.equal(7, run.code, run.err)
    assert.are.equal(9890, run.result.accepted)
    assert.are.equal(110, run.result.rejected)
    assert.are.equal(50, run.result.causes.unmappable)
    assert.are.equal(9890, committed(OUTBOUND))
    expect_sum(run.result)
    local count = 0
    for _ in assert(require("campaign").rows(run.result.rejects_file)) do
      count = count + 1
    end
    assert.are.equal(110, count)
  end)

  it("keeps those who are on a list of keys from being sent", function()
    local dnc = command.write(folder .. "/dnc.txt", "13800000002\n+86 138 0000 0003\n")
    local other = command.write(folder .. "/dnc.csv", "p\n13800000005\n")
    local run = import(list(phones(5)), LONGLONG, { "--suppress", dnc .. ":#1=phone", "--suppress", other .. ":p=phone" })
    assert.are.equal(0, run.code, run.err)
    assert.are.equal(3, run.result.suppressed)
    assert.are.equal(2, run.result.accepted_pending)
    assert.are.equal(2, committed(LONGLONG))
    expect_sum(run.result)
    local said = campaign({ "import", list(phones(5)), "--to", LONGLONG, "--job", folder .. "/dnc", "--suppress", dnc .. ":phone" },
      { env = user() })
    assert.are.equal(2, said.code)
    assert.is_truthy(said.err:find("has no column \"phone\"; it has \"138********\"", 1, true), said.err)
    assert.is_nil(said.err:find("13800000002", 1, true))
  end)

  it("writes progress as JSON events to stderr when asked, and keeps to a rate", function()
    local run = import(list(phones(450)), LONGLONG, { "--progress", "json", "--rate", "20", "--rows-per-call", "45" })
    assert.are.equal(0, run.code)
    local phases, last = {}, nil
    for line in run.err:gmatch("[^\n]+") do
      last = cjson.decode(line)
      assert.are.equal("progress", last.event)
      phases[last.phase] = last
    end
    assert.are.equal("finished", last.phase)
    assert.are.equal(20, phases.sending.calls_per_second)
    assert.is_nil(phases.sending.slowed)
    assert.is_true(run.result.seconds >= 0.4, "10 calls at 20 a second took " .. run.result.seconds)
    for _, bad in ipairs{ "0", "-1", "x", "200000" } do
      local refused = import(list(phones(1)), LONGLONG, { "--rate", bad })
      assert.are.equal(2, refused.code)
      assert.is_truthy(refused.err:find("--rate '" .. bad .. "' must be a number of calls per second above 0", 1, true), refused.err)
    end
  end)

  it("sends only what is new since an earlier job", function()
    local first = import(list(phones(4)), LONGLONG)
    local second = import(list(phones(6)), LONGLONG, { "--since", first.result.job })
    assert.are.equal(0, second.code, second.err)
    assert.are.equal(4, second.result.unchanged)
    assert.are.equal(2, second.result.accepted_pending)
    assert.are.equal(6, committed(LONGLONG))
    expect_sum(second.result)
    local dry = import(list(phones(9)), LONGLONG, { "--since", second.result.job, "--dry-run" })
    assert.are.equal(6, dry.result.unchanged)
    assert.are.equal(3, dry.result.sendable)
  end)

  it("plans without sending anything", function()
    local run = import("examples/data/contacts.csv", LONGLONG, { "--check", "phone=mobile_cn", "--dry-run" })
    assert.are.equal(0, run.code, run.err)
    assert.are.equal("planned", run.result.state)
    assert.are.equal(10000, run.result.rows)
    assert.are.equal(60, run.result.rejected)
    assert.are.equal(50, run.result.calls)
    assert.are.equal(16, run.result.estimate.in_flight)
    assert.is_true(run.result.estimate.seconds > 0)
    assert.are.equal(0, committed(LONGLONG))
    assert.are.equal(9940, run.result.sendable)
    assert.are.equal(3, #run.result.sample)
    assert.are.equal(16, run.result.estimate.in_flight)
  end)

  it("needs no libcurl for a dry run that asks the platform for nothing", function()
    local build = os.getenv("CAMPAIGN_BUILD") or command.ROOT .. "/build"
    local function dry_run(to)
      return campaign({ "import", "examples/data/contacts.csv", "--to", to, "--dry-run", "-p", to == LONGLONG and "encryption=false"
        or "dataSourceName=autumn" }, { env = { LD_PRELOAD = build .. "/spec/without_library.so", WITHOUT = "libcurl",
        CAMPAIGN_LONGLONG_BASE_URL = "http://127.0.0.1:1", CAMPAIGN_LONGLONG_TOKEN = "t", CAMPAIGN_LONGLONG_USER_ID = "1",
        CAMPAIGN_OUTBOUND_BASE_URL = "http://127.0.0.1:1", CAMPAIGN_OUTBOUND_TOKEN = "t", CAMPAIGN_OUTBOUND_ABBREVIATE = "a",
        CAMPAIGN_OUTBOUND_COMPANY_ID = "1" } })
    end
    local run = dry_run(LONGLONG)
    assert.equal("", run.err)
    assert.equal(0, run.code)
    run = dry_run(OUTBOUND)
    assert.is_truthy(run.err:find("apt-get install libcurl4", 1, true), run.err)
    assert.equal(2, run.code)
  end)

  it("says what a dry run found, masked, and leaves nothing behind", function()
    local place = command.folder()
    local run = campaign({ "import", require("lfs").currentdir() .. "/examples/data/contacts.csv", "--to", OUTBOUND, "--dry-run", "-p",
      "dataSourceName=autumn-contacts", "--map", "company=公司", "--unique", "phone" }, { env = user(), cwd = place })
    assert.are.equal(0, run.code, run.err)
    for _, part in ipairs({ "planned, nothing was sent", "10,000  rows (utf-8)", "would be rejected", "would be sent", "1 request, ",
      "characters that the target lacks: ", "䶮 U+4DAE in 姓名", "the platform was asked for the columns of the target",
      "the first rows, masked:", "****", "nothing was left behind" }) do
      assert.is_truthy(run.out:find(part, 1, true), part .. " is missing in " .. run.out)
    end
    assert.is_nil(run.out:find("1[3-9]%d%d%d%d%d%d%d%d%d"), run.out)
    for name in lfs.dir(place) do
      assert.is_truthy(name == "." or name == "..", name)
    end
    command.remove(place)
    assert.are.equal(0, committed(OUTBOUND))
  end)

  it("has a script look at each row, and says what is wrong with one", function()
    local script = command.write(folder .. "/fix.lua", [[
      return function(row)
        if row.phone == "13800000002" then
          return nil, "not today"
        end
        row.name = row["姓名"] .. "先生"
      end
    ]])
    local run = import(list(phones(3)), LONGLONG, { "--map", script })
    assert.are.equal(7, run.code, run.err)
    assert.are.same({ 2, 1, 2 }, { run.result.accepted_pending, run.result.rejected, committed(LONGLONG) })
    assert.are.same({ "map", 1 }, { run.result.reasons[1].reason, run.result.reasons[1].count })
    run = campaign({ "resume", run.result.job, "--json" }, { env = user() })
    assert.are.equal(7, run.code, run.err)
    assert.are.equal(2, committed(LONGLONG))
    for _, case in ipairs({
      { { "--map", script, "--map", "name=姓名" }, nil, "a script cannot be combined with other --map options" },
      { { "--map", folder .. "/none.lua" }, nil, "none.lua" },
      { { "--map", script }, "return 1", "the script returns a number, not a function" },
      { { "--map", script }, "return function(", "fix.lua" },
      { { "--map", script }, "error('broken')", "broken" },
      { { "--map", script }, "return function(row) return row.nobody end", 'fix.lua:1: the list has no column "nobody"; it has "姓名", "phone"' },
    }) do
      if case[2] then
        command.write(script, case[2])
      end
      run = import(list(phones(3)), LONGLONG, case[1])
      assert.are.equal(2, run.code, run.err)
      assert.is_truthy((run.error.message .. (run.error.hint or "")):find(case[3], 1, true), run.error.message)
      assert.are.equal(2, committed(LONGLONG))
    end
  end)

  it("maps, sets, splits and sends fields of the call", function()
    local path = list("who;号;tags\nu1;13800000001;a|b\nu2;13800000002;c\n")
    local run = import(path, "tuzhan.batch_add_group_relations", { "--delimiter", ";", "--map", "phone=号", "--map", "groups=tags",
      "--split", "groups=|", "--set", "identityType=phone", "-p", "publicParams.isMatching=true", "-p", "publicParams.matchingType=1",
      "-p", "publicParams.accurateMatchType=gzh", "-p", "publicParams.accurateMatchValue=wx1", "-p", "publicParams.optType=add" })
    assert.are.equal(0, run.code, run.err .. run.out)
    assert.are.equal(2, run.result.accepted)
  end)

  describe("reads", function()
    local cases = {
      { "a byte-order mark", "\239\187\191phone\n13800000001\n", 1 },
      { "GBK", "\208\213\195\251,\202\214\187\250\186\197\n\213\197\200\253,13800000001\n", 1 },
      { "UTF-16 with a mark", ("\255\254" .. ("phone\n13800000001\n"):gsub(".", "%0\0")), 1 },
      { "quotes, commas and line ends in fields", 'phone,name\n13800000001,"a,""b""\nc"\n', 1 },
      { "CRLF", "phone\r\n13800000001\r\n13800000002\r\n", 2 },
      { "a last line without its end", "phone\n13800000001\n13800000002", 2 },
    }
    for _, case in ipairs(cases) do
      it(case[1], function()
        local run = import(list(case[2]), LONGLONG)
        assert.are.equal(0, run.code, run.err .. run.out)
        assert.are.equal(case[3], run.result.rows)
        assert.are.equal(case[3], committed(LONGLONG))
      end)
    end
  end)

  describe("rejects by name", function()
    local cases = {
      { "rows with too few fields", "phone,name\n13800000001,a\n13800000002\n", "width" },
      { "rows with too many fields", "phone,name\n13800000001,a\n13800000002,b,c\n", "width" },
      { "rows with NUL", "phone,name\n13800000001,a\n13800000002,b\0c\n", "nul" },
      { "rows with bytes that are not UTF-8", "phone,name\n13800000001,张三\n13800000002,\255\255\n", "encoding",
        { "--encoding", "utf-8" } },
      { "rows with broken GBK", "phone,name\n13800000001,\213\197\n13800000002,\213\n", "encoding", { "--encoding", "gbk" } },
      { "phones with letters", "phone,name\n13800000001,a\n1380000000x,b\n", "check", { "--check", "phone=mobile_cn" } },
      { "empty required fields", "phone,name\n13800000001,a\n,b\n", "required" },
      { "text after a closing quote", 'phone,name\n13800000001,a\n13800000002,"b"c\n', "quote" },
      { "values that are none of their list", "phone,sex\n13800000001,1\n13800000002,9\n", "enum" },
    }
    for _, case in ipairs(cases) do
      it(case[1], function()
        local run = import(list(case[2]), LONGLONG, case[4])
        assert.are.equal(7, run.code, run.err .. run.out)
        assert.are.equal(1, run.result.accepted_pending)
        assert.are.equal(1, run.result.rejected)
        assert.are.equal(case[3], run.result.reasons[1].reason)
        assert.are.equal(1, committed(LONGLONG))
        assert.is_truthy(command.read(run.result.rejects_file):find("\n2,3,rejected", 1, true))
      end)
    end

    it("records larger than the maximum, of 20 megabytes here, in flat memory", function()
      local path = folder .. "/large.csv"
      local file = assert(io.open(path, "wb"))
      file:write("phone,name\n13800000001,a\n13800000002,")
      for _ = 1, 20 do
        file:write(string.rep("x", 1000000))
      end
      file:write("\n13800000003,c\n")
      file:close()
      local run = import(path, LONGLONG)
      assert.are.equal(7, run.code, run.err .. run.out)
      assert.are.equal("too_large", run.result.reasons[1].reason)
      assert.are.equal(2, committed(LONGLONG))
    end)
  end)

  describe("with a character outside GBK", function()
    local text = "uuid,姓名,手机号\nu1,张三,13800000001\nu2,张䶮,13800000002\n"
    local group = { "-p", "dataSourceName=autumn-contacts" }

    local function with(...)
      local argv = { group[1], group[2] }
      for _, word in ipairs{ ... } do
        argv[#argv + 1] = word
      end
      return argv
    end

    it("rejects the row", function()
      local run = import(list(text), OUTBOUND, group)
      assert.are.equal(7, run.code, run.err)
      assert.are.same({ "unmappable", "U+4DAE", "姓名" },
        { run.result.reasons[1].reason, run.result.reasons[1].code, run.result.reasons[1].column })
      assert.are.equal(1, committed(OUTBOUND))
    end)

    it("fails before anything is sent, on order", function()
      local run = import(list(text), OUTBOUND, with("--on-unmappable", "fail"))
      assert.are.equal(2, run.code, run.err)
      assert.is_truthy(run.error.message:find("U+4DAE", 1, true), run.err)
      assert.are.equal(0, committed(OUTBOUND))
    end)

    it("replaces it by the user's table", function()
      local map = command.write(folder .. "/map", "䶮=龑\n")
      local run = import(list(text), OUTBOUND, with("--on-unmappable", "map:" .. map))
      assert.are.equal(0, run.code, run.err .. run.out)
      assert.are.equal(2, committed(OUTBOUND))
    end)
  end)

  describe("refuses with exit code 2, sending nothing,", function()
    local cases = {
      { "a missing file", "/nonexistent.csv", {}, "/nonexistent.csv" },
      { "a folder", "docs", {}, "docs" },
      { "an empty file", "", {}, "empty" },
      { "a header alone", "phone\n", {}, "no rows" },
      { "a column that is not there", phones(2), { "--map", "name=nope" }, "nope" },
      { "a field that is not there", phones(2), { "--map", "nope=phone" }, "nope" },
      { "a header that stands twice", "phone,phone\n1,2\n", {}, "phone" },
      { "a header without a name", "phone,\n1,2\n", {}, "name" },
      { "a quote that is never closed", 'phone,name\n1,"a\n2,b\n', {}, "quote" },
      { "a list without a required column", "name\na\n", {}, "phone" },
      { "an unknown check", phones(2), { "--check", "phone=moblie" }, "mobile" },
      { "an unknown encoding", phones(2), { "--encoding", "latin-9" }, "latin-9" },
      { "a delimiter of two characters", phones(2), { "--delimiter", "::" }, "delimiter" },
      { "a --map that is none", phones(2), { "--map", "phone" }, "--map" },
      { "an operation that takes no rows", phones(2), {}, "rows", "outbound.get_contact_group_detail" },
      { "an unknown operation", phones(2), {}, "did you mean", "longlong.import_customers" },
      { "a field of the call that does not exist", phones(2), { "-p", "nope=1" }, "nope" },
      { "a way with unmappable characters that is none", phones(2), { "--on-unmappable", "skip" }, "skip" },
      { "no rows in a call", phones(2), { "--rows-per-call", "0" }, "from 1 to" },
      { "more rows in a call than the platform takes", phones(2), { "--rows-per-call", "201" }, "200" },
    }
    for _, case in ipairs(cases) do
      it(case[1], function()
        local path = case[2]
        if path == "" or path:find("\n", 1, true) then
          path = list(path)
        end
        local run = import(path, case[5] or LONGLONG, case[3])
        assert.are.equal(2, run.code, run.err .. run.out)
        assert.is_nil(run.result)
        assert.is_truthy(run.err:find(case[4], 1, true), run.err)
        assert.are.equal(0, committed(LONGLONG))
      end)
    end

    it("a job folder that is in use", function()
      local used = folder .. "/used"
      os.execute("mkdir -p " .. used .. " && touch " .. used .. "/something")
      local run = campaign({ "import", list(phones(2)), "--to", LONGLONG, "--job", used, "--json" }, { env = user() })
      assert.is_true(run.code == 2 or run.code == 8, run.err)
      assert.are.equal(0, committed(LONGLONG))
    end)
  end)

  describe("tells by its exit code", function()
    it("6: no token", function()
      local run = import(list(phones(2)), LONGLONG, {}, { env = user{ CAMPAIGN_LONGLONG_TOKEN = "" } })
      assert.are.equal(6, run.code, run.err)
    end)

    it("6: a token that the platform refuses; the rows are provably not sent", function()
      local run = import(list(phones(300)), LONGLONG, {}, { env = user{ CAMPAIGN_LONGLONG_TOKEN = "wrong-token-value" } })
      assert.are.equal(6, run.code, run.err)
      assert.are.equal(300, run.result.pending)
      assert.is_falsy((run.out .. run.err):find("wrong-token-value", 1, true))
      assert.are.equal(0, committed(LONGLONG))
    end)

    it("3: nobody listens; the rows are provably not sent", function()
      local run = import(list(phones(2)), LONGLONG, {}, { env = user{ CAMPAIGN_LONGLONG_BASE_URL = "http://127.0.0.1:1" } })
      assert.are.equal(3, run.code, run.err)
      assert.are.equal(2, run.result.pending)
      expect_sum(run.result)
    end)

    for _, kind in ipairs{ "500", "after-commit-close", "truncate-body", "bad-json", "wrong-type" } do
      it("4: nobody knows what became of a batch (" .. kind .. "), which is not sent again", function()
        fault("import_customers_async:" .. kind .. "@1")
        local run = import(list(phones(450)), LONGLONG, { "--concurrency", "1" })
        assert.are.equal(4, run.code, run.err .. run.out)
        assert.are.equal(200, run.result.ambiguous)
        assert.are.equal(250, run.result.accepted_pending)
        assert.are.equal(3, run.result.requests)
        expect_sum(run.result)
        assert.are.equal(kind == "500" and 250 or 450, committed(LONGLONG))
      end)
    end

    it("0: a platform that asked to slow down gets the same batch once more", function()
      fault("import_customers_async:429-retry-after=0@1")
      local run = import(list(phones(2)), LONGLONG)
      assert.are.equal(0, run.code, run.err .. run.out)
      assert.are.equal(2, committed(LONGLONG))
    end)
  end)

  it("obeys no escape sequence of a list or a file name, and shows it instead", function()
    local path = command.write(folder .. "/es\27[1mc.csv", "手机号,\27]0;owned\7,\226\128\174bidi\n13800000001,a,b\n")
    for _, more in ipairs({ "--window=wait", "--map=name=x", "--suppress=" .. path .. ":x" }) do
      local said = campaign({ "import", path, "--to", LONGLONG, "--dry-run", more }, { env = user() })
      local text = said.out .. said.err
      assert.is_nil(text:find("[%z\1-\9\11-\31\127]"), text)
      assert.is_nil(text:find("\226\128\174", 1, true), text)
      assert.truthy(text:find("[U+001B]", 1, true), text)
    end
  end)

  it("goes on to its end when nobody reads what it says any more, and tells by its exit code that the result was not heard", function()
    jobs = jobs + 1
    local job = folder .. "/job" .. jobs
    local line = ("{ { { %s/bin/campaign import %s --to %s --rows-per-call 1 --progress json --job %s; echo $? >&3; } 2>&1 >&4 | true; }"
      .. " 4>&1 | true; } 3>&1"):format(command.ROOT, list(phones(40)), LONGLONG, job)
    local run = command.run({ "sh", "-c", line }, { env = user() })
    assert.are.equal("8\n", run.out, run.err)
    assert.are.equal(40, committed(LONGLONG))
    local status = command.campaign({ "status", job, "--json" }, { env = user() })
    assert.is_truthy(status.out:find('"state":"finished"', 1, true), status.out)
  end)

  it("ends with exit code 8, not 7, when the result with its rejected rows cannot be printed", function()
    jobs = jobs + 1
    local line = ("%s/bin/campaign import %s --to %s --check phone=mobile_cn --job %s >/dev/full"):format(command.ROOT,
      list("phone\n13000001111\n12\n"), LONGLONG, folder .. "/job" .. jobs)
    local run = command.run({ "sh", "-c", line }, { env = user() })
    assert.are.equal(8, run.code, run.err)
    assert.is_truthy(run.err:find("stdout cannot be written", 1, true), run.err)
  end)

  describe("with a job folder that cannot grow", function()
    -- No file may be larger than two blocks of 512 bytes.
    local function cramped(arguments)
      jobs = jobs + 1
      local argv = { "sh", "-c", 'ulimit -f 2; exec "$@"', "sh" }
      for _, word in ipairs{ command.ROOT .. "/bin/campaign", "import", list(phones(4000)), "--to", LONGLONG, "--job",
        folder .. "/job" .. jobs } do
        argv[#argv + 1] = word
      end
      for _, word in ipairs(arguments) do
        argv[#argv + 1] = word
      end
      return command.run(argv, { env = user() })
    end

    it("says so when the plan cannot be written, and sends nothing", function()
      local run = cramped{ "--rows-per-call", "1" }
      assert.are.equal(8, run.code, run.err .. run.out)
      assert.is_truthy(run.err:find("ledger.db", 1, true), run.err)
      assert.are.equal(0, committed(LONGLONG))
    end)

    it("says so when the rejected rows cannot be written, and sends nothing", function()
      local run = cramped{ "--check", "phone=email" }
      assert.are.equal(8, run.code, run.err .. run.out)
      assert.is_truthy(run.err:find("ledger.db", 1, true), run.err)
      assert.are.equal(0, committed(LONGLONG))
    end)
  end)

  it("never writes what is meant for a closed standard file into another one", function()
    jobs = jobs + 1
    local job = folder .. "/job" .. jobs
    local run = command.run({ "sh", "-c", '"$@" >&- 2>&-; echo $?', "sh", command.ROOT .. "/bin/campaign", "import",
      list(phones(3)), "--to", LONGLONG, "--job", job }, { env = user() })
    assert.are.equal("8\n", run.out) -- the result could not be shown
    for name in lfs.dir(job) do
      if name:sub(1, 1) ~= "." then
        assert.is_falsy(command.read(job .. "/" .. name):find("still to come", 1, true), name)
      end
    end
    assert.are.equal(3, committed(LONGLONG))
  end)

  describe("after Ctrl-C", function()
    -- Runs an import of 4,000 rows, two calls in flight, and sends it signals once both have arrived.
    local function interrupted(...)
      jobs = jobs + 1
      local out, err = folder .. "/out" .. jobs, folder .. "/err" .. jobs
      local env = { HOME = "/nonexistent", CAMPAIGN_LUA = command.LUA, CAMPAIGN_BUILD = os.getenv("CAMPAIGN_BUILD") or command.ROOT .. "/build" }
      for name, value in pairs(user()) do
        env[name] = value
      end
      local process = assert(core.system.spawn{ command.ROOT .. "/bin/campaign", "import", list(phones(4000)), "--to", LONGLONG, "--json",
        "--concurrency", "2", "--job", folder .. "/job" .. jobs, env = env, stdout = out, stderr = err })
      local deadline = core.system.monotonic() + 60
      repeat
        core.system.sleep(0.02)
        local _, calls = next(assert(handle:control("faults")).calls)
      until (calls or 0) >= 2 or core.system.monotonic() > deadline
      for i, name in ipairs({ ... }) do
        core.system.sleep(i == 1 and 0.2 or 1.5) -- signals close together are one wish
        process:signal(name)
      end
      local ended = assert(process:wait(60))
      process:close()
      local run = { code = ended.exit, out = command.read(out), err = command.read(err) }
      run.result = run.out ~= "" and cjson.decode(run.out) or nil
      return run
    end

    it("waits for the answers that are under way, and accounts for every row with exit code 130", function()
      fault("import_customers_async:delay=400@1-")
      local run = interrupted("INT")
      assert.are.equal(130, run.code, run.err .. run.out)
      expect_sum(run.result)
      assert.are.equal("stopped", run.result.state)
      assert.is_true(run.result.pending > 0)
      assert.are.equal(0, run.result.ambiguous)
      assert.are.equal(run.result.accepted_pending, committed(LONGLONG))
      assert.are.equal("file", lfs.attributes(run.result.not_sent_file, "mode"))
    end)

    it("does the same when the terminal goes away", function()
      fault("import_customers_async:delay=400@1-")
      local run = interrupted("HUP")
      assert.are.equal(130, run.code, run.err .. run.out)
      expect_sum(run.result)
      assert.are.equal("stopped", run.result.state)
      assert.are.equal(run.result.accepted_pending, committed(LONGLONG))
    end)

    it("does not wait when it is pressed again: what was under way is ambiguous, exit code 4", function()
      fault("import_customers_async:delay=20000@1-")
      local run = interrupted("TERM", "TERM")
      assert.are.equal(4, run.code, run.err .. run.out)
      assert.is_true(run.result.seconds < 20, "it waited for the answers")
      expect_sum(run.result)
      assert.are.equal(400, run.result.ambiguous)
      assert.are.equal(3600, run.result.pending)
    end)
  end)
end)

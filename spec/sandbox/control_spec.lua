-- SPDX-License-Identifier: MIT
-- The control paths, the commit log and restarts, over real HTTP.

local clock = require "campaign.sandbox.clock"
local core = require "campaign.core"
local h = require "sandbox.helper"
local sandbox = require "campaign.sandbox"

local json = h.json
local array = json.array

describe("sandbox control", function()
  setup(function() h.start() end)
  teardown(function() h.stop() end)

  local function send(count)
    local rows = array()
    for i = 1, count or 1 do
      rows[i] = { phone = tostring(i) }
    end
    return h.post("/agent-api/user/" .. h.accounts.longlong.user_id .. "/async_customer",
      { Authorization = "Bearer " .. h.accounts.longlong.token }, { data = rows })
  end

  it("R013 sandbox resets nothing when a part of the reset is refused", function()
    h.reset()
    h.control("settings", { ["hypers.fail_every"] = 7 })
    for _, change in ipairs{ { settings = { x = 1 } }, { clock = { at = "never" } }, { rules = { without = array{ "R999" } } },
      { faults = { faults = array{ "import_customers_async:what@1" } } }, { faults = { faults = array{ "nope:500@1" } } },
      { settings = { ["longlong.callback_url"] = "ftp://x" } }, { settings = { ["longlong.result_delay"] = -1 } } } do
      local value, err = h.handle:control("reset", change)
      assert.is_nil(value)
      assert.equal(400, err.status)
      assert.equal(7, h.control("settings")["hypers.fail_every"])
    end
    h.reset()
  end)

  it("R013 sandbox refuses faults of operations that there are not, and says which was meant", function()
    local value, err = h.handle:control("faults", { faults = array{ "import_customer_async:500@1" } })
    assert.is_nil(value)
    assert.matches("there is no operation `import_customer_async` (did you mean `import_customers_async`", err.message, 1, true)
    for _, good in ipairs{ "import_customers_async:500@9", "longlong.import_customers_async:500@9", "*:500@999", "500@999" } do
      h.control("faults", { faults = array{ good } })
    end
    h.reset()
  end)

  it("R013 sandbox resets, seeds, moves the clock and orders faults outside the vendors' paths", function()
    h.reset()
    send()
    assert.equal(1, h.control("commits").total)
    local answer = h.control("reset", {
      clock = { at = "2025-12-24 08:00:00" }, settings = { ["longlong.result_delay"] = 1 },
      faults = { faults = array{ "import_customers_async:500@1" } },
    })
    assert.equal("2025-12-24 08:00:00", answer.now)
    assert.equal(0, h.control("commits").total)
    assert.equal(1, h.control("settings")["longlong.result_delay"])
    assert.equal(500, send().status)
    assert.equal(200, send().status)
    local deaf = assert(sandbox.start{ without = { "R013" } })
    local value, err = deaf:control("clock")
    deaf:stop()
    assert.is_nil(value)
    assert.equal(404, err.status)
  end)

  it("runs the clock as fast as told", function()
    h.reset()
    local started = core.system.monotonic()
    h.control("clock", { at = "2025-11-10 10:00:00", rate = 3600 })
    core.system.sleep(0.1)
    local now = h.control("clock").now
    local seconds = clock.parse(now) - clock.parse("2025-11-10 10:00:00")
    assert.is_true(seconds >= 360 and seconds <= (core.system.monotonic() - started) * 3600, now)
    h.control("clock", { rate = 0 })
    now = h.control("clock").now
    core.system.sleep(0.05)
    assert.equal(now, h.control("clock").now)
  end)

  it("refuses bad control requests and changes nothing", function()
    h.reset()
    for path, body in pairs{
      clock = { at = "tomorrow" }, faults = { faults = array{ "x" } }, rules = { without = array{ "R999" } },
      settings = { unknown = 1 }, tasks = { tasks = array{ { state = "NEW" } } }, nothing = {},
    } do
      local value, err = h.handle:control(path, body)
      assert.is_nil(value, path)
      assert.truthy(err.status == 400 or err.status == 404)
    end
    for body, why in pairs{
      ['rules {"off":["R051"]}'] = "rules: unknown member `off`; known are forms, without",
      ['rules {"without":"R051"}'] = "without: expected a list",
      ['rules {"forms":{"a":1}}'] = "forms: expected a list",
      ['clock {"at":5}'] = "at: expected a text",
      ['faults {"faults":[[]]}'] = "",
      ['faults {"seed":"x"}'] = "seed: expected a number",
      ['tasks {"task":[]}'] = "tasks: unknown member `task`; known are tasks",
      ['reset {"faults":["*:500"]}'] = "faults: expected an object",
      ['reset {"rules":{"off":[]}}'] = "rules: unknown member `off`; known are forms, without",
      ['reset {"clock":5}'] = "clock: expected an object",
    } do
      local path, text = body:match("^(%S+) (.*)$")
      local answer = h.post("/_sandbox/" .. path, {}, text)
      assert.equal(400, answer.status, body)
      assert.matches(why, answer.body, 1, true)
    end
    assert.equal(200, h.post("/_sandbox/faults", {}, '{"faults":{}}').status) -- as encoders write an empty list that know no lists
    assert.equal(400, h.post("/_sandbox/clock", {}, "{").status)
    assert.equal(405, h.send("DELETE", "/_sandbox/clock").status)
    assert.equal(405, h.get("/_sandbox/reset").status)
    assert.equal(400, h.get("/_sandbox/commits?limit=x").status)
    assert.equal("2025-11-10 10:00:00", h.control("clock").now)
  end)

  it("pages through the commit log and counts by platform, operation and target", function()
    h.reset()
    for _ = 1, 13 do
      send(100)
    end
    local head = h.control("commits?limit=1")
    assert.equal(1300, head.total)
    assert.equal(1300, head.counts["longlong.import_customers_async"][h.accounts.longlong.user_id])
    local seen, after = 0, 0
    repeat
      local page = h.control("commits?limit=700&after=" .. after).commits
      for _, entry in ipairs(page) do
        seen = seen + 1
        assert.equal(seen, entry.n)
      end
      after = seen
    until #page == 0
    assert.equal(1300, seen)
    local last = h.control("commits?after=1299").commits[1]
    assert.equal("100", last.row.phone)
    assert.equal("2025-11-10 10:00:00", last.time)
  end)

  it("switches rules off by number and says which", function()
    h.reset()
    h.control("rules", { without = array{ "R376", "R051" } })
    assert.same(array{ "R051", "R376" }, h.control("rules").without)
    assert.equal(200, send(201).status)
    h.control("rules", { without = array() })
    assert.equal(400, send(201).status)
  end)

  it("keeps connections alive", function()
    h.reset()
    for _ = 1, 50 do
      assert.equal(200, send().status)
    end
  end)

  it("answers a body that is too large with 413", function()
    h.reset()
    local answer = h.post("/agent-api/user/x/async_customer", {}, (" "):rep(17 * 1048576))
    assert.equal(413, answer.status)
    assert.equal(413, answer.json.code)
    assert.equal(200, send().status)
  end)
end)

describe("sandbox restart", function()
  local dir

  before_each(function()
    dir = os.tmpname()
    os.remove(dir)
  end)

  after_each(function()
    h.stop()
    for _, name in ipairs{ "commits.jsonl", "state.json", "file-1001" } do
      os.remove(dir .. "/" .. name)
    end
    os.remove(dir)
  end)

  local function add(uuid)
    return h.post("/api/v1/config/openapi/dataSource/uploadDnc/json", { token = h.accounts.outbound.token },
      { abbreviate = "acme", dataSourceName = "acme-dnc", dataList = array{ uuid } })
  end

  it("keeps credentials, state and log with --state", function()
    h.start{ state = dir }
    local token = h.accounts.outbound.token
    assert.equal(200, add("u-1").json.code)
    h.start{ state = dir }
    assert.equal(token, h.accounts.outbound.token)
    assert.equal(200, add("u-1").json.code)
    assert.equal(200, add("u-2").json.code)
    local log = h.control("commits")
    assert.equal(2, log.total)
    assert.equal(2, log.commits[2].n)
    assert.equal("u-2", log.commits[2].row[1])
  end)

  it("cuts off a line that a crash left unfinished, and refuses a damaged log", function()
    h.start{ state = dir }
    add("u-1")
    h.stop()
    local file = assert(io.open(dir .. "/commits.jsonl", "ab"))
    file:write('{"n":2,"ti')
    file:close()
    h.start{ state = dir }
    assert.equal(1, h.control("commits").total)
    add("u-2")
    h.stop()
    file = assert(io.open(dir .. "/commits.jsonl", "ab"))
    file:write("garbage\n")
    file:close()
    local handle, err = sandbox.start{ state = dir, stderr = "/dev/null" }
    assert.is_nil(handle)
    assert.truthy(tostring(err):find("ended before it was ready", 1, true))
  end)
end)

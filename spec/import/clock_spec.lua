-- SPDX-License-Identifier: MIT
-- F32: the platform's clock and ours. The sandbox's answers tell its time as they are told to; what depends on the hour goes by it, a minute
-- apart is told once, five minutes end it. A sandbox whose clock was set tells none of itself, so that trying things out raises no alarm.

local campaign = require "campaign"
local clock = require "campaign.api.clock"
local imports = require "support.imports"

local CONTACTS, LONGLONG = "outbound.upload_contacts_json", "longlong.import_customers_async"
local NINE, ZONE, HOUR = 1762736400, 28800, 3600 -- 2025-11-10 09:00:00 in Shanghai, where the sandbox's clock stands
local MIDNIGHT = NINE + 15 * HOUR

local function contains(text, part)
  assert(tostring(text):find(part, 1, true), "'" .. part .. "' is missing in: " .. tostring(text))
end

describe("api.clock", function()
  local now, since_boot

  local function new()
    now, since_boot = 1000000, 50
    return clock.new{ now = function() return now end, monotonic = function() return since_boot end }
  end

  local function answer(instant, seconds, more)
    local headers = { { "Content-Type", "x" }, { "Date", os.date("!%a, %d %b %Y %H:%M:%S GMT", instant) } }
    headers[#headers + 1] = more
    return { status = 200, headers = headers, timings = { total = seconds or 0.1 } }
  end

  it("knows no difference within what an answer leaves open", function()
    for _, case in ipairs({ { 0, 0.1 }, { -1, 0.1 }, { -60, 60 }, { -2, 0 } }) do
      local seen = new()
      seen:see(answer(now + case[1], case[2]))
      assert.equal(0, seen:ahead())
    end
  end)

  it("tells a difference, at the least that it must be", function()
    local seen = new()
    seen:see(answer(now + 90, 30))
    assert.equal(90, seen:ahead())
    assert.equal(now + 90, seen:now())
    contains(seen:text(), "ahead of this machine's")
    seen = new()
    seen:see(answer(now - 500, 30))
    assert.equal(-467, seen:ahead())
    contains(seen:text(), "behind this machine's")
  end)

  it("goes on by the clock since boot when ours is set", function()
    local seen = new()
    seen:see(answer(now))
    now, since_boot = now + 86400, since_boot + 10
    assert.equal(1000010, seen:now())
    assert.equal(10 - 86400, seen:ahead())
  end)

  it("takes no word from a cache, a broken date, an answer that never came, or no date", function()
    local seen = new()
    seen:see(answer(now + 9999, 0.1, { "age", "100" }))
    seen:see({ status = 200, headers = { { "date", "yesterday" } } }, true)
    seen:see({ headers = { { "date", "Sun, 06 Nov 1994 08:49:37 GMT" } } }, true)
    seen:see({ status = 200, headers = {} }, true)
    seen:see({ status = 200 }, true)
    assert.equal(0, seen:ahead())
    assert.equal(now, seen:now())
  end)

  it("warns once, also of what is known already", function()
    local seen, said = new(), {}
    local function say(text) said[#said + 1] = text end
    seen:warn(say)
    seen:see(answer(now + 60), true)
    assert.equal(0, #said)
    seen:see(answer(now + 62), true)
    seen:see(answer(now + 62), true)
    assert.equal(1, #said)
    seen:warn(say)
    assert.equal(2, #said)
  end)

  it("looks at few answers where the hour does not matter, at all where it does", function()
    local seen = new()
    seen:see(answer(now))
    seen:see(answer(now + 400))
    assert.equal(0, seen:ahead())
    seen:see(answer(now + 400), true)
    assert.equal(400, seen:ahead())
    for _ = 1, 256 do
      seen:see(answer(now))
    end
    assert.equal(0, seen:ahead())
  end)
end)

describe("F32 the platform's clock", function()
  setup(function() imports.start() end)
  teardown(function() imports.stop() end)

  local function set(settings)
    imports.reset()
    assert(imports.handle:control("settings", settings))
  end

  local function import(to, now, more)
    local notes = {}
    local options = imports.options(to, to == LONGLONG and "name,phone\nA,13800000001\n" or imports.people(60), more)
    options.env = imports.env(now)
    options.rows_per_call = 20
    options.on_progress = function(event) notes[#notes + 1] = event.note end
    local result, err = campaign.import(options)
    return result, err, notes, options
  end

  it("warns once of more than a minute, and goes on", function()
    set{ ["http.date"] = "clock" }
    for _, to in ipairs({ CONTACTS, LONGLONG }) do
      local result, err, notes = import(to, NINE - 120)
      assert(result, tostring(err))
      assert.same({ "finished", 0, 1, 1 }, { result.state, result.exit_code, #notes, #result.warnings }, to)
      contains(notes[1], "warning: the platform's clock is")
      contains(result.warnings[1], "ahead of this machine's")
      result, err, notes = import(to, NINE + 30)
      assert(result, tostring(err))
      assert.same({ "finished", 0 }, { result.state, #notes })
      assert.is_nil(result.warnings)
    end
  end)

  it("stops what depends on the hour at more than five minutes, with nothing sent, and goes on once the clock is right", function()
    set{ ["http.date"] = "clock" }
    for _, ahead in ipairs({ -400, 400, 86400, -86400 }) do
      local result, err, _, options = import(CONTACTS, NINE + ahead)
      assert.is_nil(result)
      assert.same({ "window", "clock", "no" }, { err.kind, err.reason, err.sent })
      contains(err.message, "it is unknown whether the platform is open (closed from 00:00:00 to 02:00:00)")
      contains(err.hint, "NTP")
      assert.equal(8, require("campaign.cli.output").exit_code(err))
      assert.equal(0, #imports.commits())
      if ahead == 400 then
        local job = assert(campaign.open_job(options.job, { account = options.account, env = imports.env(NINE) }))
        assert.equal(60, assert(job:resume()).accepted)
        imports.reset()
        assert(imports.handle:control("settings", { ["http.date"] = "clock" }))
      end
    end
    -- What does not depend on the hour is told, and sent; so is what is meant to be sent whatever the hour.
    assert.equal(1, assert(import(LONGLONG, NINE + 400)).accepted_pending)
    assert.equal(60, assert(import(CONTACTS, NINE + 400, { window = "ignore" })).accepted)
  end)

  it("stops on its way when the clocks come apart, and leaves the rest not sent", function()
    set{ ["http.date"] = "clock" }
    local options = imports.options(CONTACTS, imports.people(60), { rows_per_call = 20 })
    options.env = imports.env(NINE)
    local now, real, count, offset = options.env.now, require("campaign.transport").new(), 0, 0
    options.env.now = function() return now() + offset end
    options.transport = setmetatable({ submit = function(_, request)
      count = count + 1
      offset = count == 2 and 1000 or offset
      return real:submit(request)
    end }, { __index = function(_, name)
      return function(_, ...) return real[name](real, ...) end
    end })
    local result = assert(campaign.import(options))
    real:close()
    assert.same({ "stopped", "clock", 8 }, { result.state, result.error.reason, result.exit_code })
    assert.same({ 40, 20, 0 }, { result.accepted, result.pending, result.ambiguous })
    imports.assert_balanced(result)
  end)

  it("goes by the platform's time: waits while it is closed there, and not when only ours says so", function()
    set{ ["http.date"] = "clock" }
    assert(imports.handle:control("clock", { at = "2025-11-11 00:01:00", rate = 0 })) -- closed; ours says 23:58
    local options = imports.options(CONTACTS, imports.people(20), { window = "refuse" })
    options.env = imports.env(MIDNIGHT - 120)
    local _, err = campaign.import(options)
    assert.same({ "window", "closed" }, { err.kind, err.reason })
    assert.equal(0, #imports.commits())
    assert(imports.handle:control("clock", { at = "2025-11-11 02:01:00", rate = 0 })) -- open; ours says 01:58
    options = imports.options(CONTACTS, imports.people(20))
    options.env = imports.env(MIDNIGHT + 2 * HOUR - 120)
    assert.equal(20, assert(campaign.import(options)).accepted)
    assert.is_true(options.env.slept() < 10)
    -- A client asks before its first upload what time it is, when it had reason to call.
    local client = assert(campaign.connect("outbound", imports.accounts.outbound, { env = imports.env(MIDNIGHT + 2 * HOUR - 120) }))
    local fields = { dataSourceName = "autumn-contacts", dataList = { { "x-1" } } }
    local _, closed = client:upload_contacts_json(fields)
    assert.equal("closed", closed.reason)
    client:get_contact_group_detail{}
    assert.is_true(client:clock():ahead() > 60)
    local _, wrong = client:upload_contacts_json(fields)
    assert(not wrong or wrong.kind ~= "window", tostring(wrong))
    client:close()
  end)

  it("raises no alarm over a sandbox whose clock was set or runs fast, and none over one with the real time", function()
    set{}
    for _, change in ipairs({ { rate = 0 }, { rate = 600 }, { at = "2030-01-01 10:00:00", rate = 1 } }) do
      assert(imports.handle:control("clock", change))
      local client = assert(campaign.connect("outbound", imports.accounts.outbound))
      assert(client:get_contact_group_detail{})
      assert.equal(0, client:clock():ahead())
      client:close()
    end
    local shanghai = os.date("!%Y-%m-%d %H:%M:%S", os.time() + ZONE)
    assert(imports.handle:control("clock", { at = shanghai, rate = 1 }))
    assert(imports.handle:control("settings", { ["http.date_ahead"] = 200 }))
    local client = assert(campaign.connect("outbound", imports.accounts.outbound))
    assert(client:get_contact_group_detail{})
    assert.is_near(200, client:clock():ahead(), 10)
    client:close()
    for name, value in pairs({ ["http.date"] = "soon", ["http.date_ahead"] = 1e10 }) do
      assert.is_nil((imports.handle:control("settings", { [name] = value })))
    end
  end)
end)

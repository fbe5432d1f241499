-- SPDX-License-Identifier: MIT
-- Single calls and imports of one account share its rate: on a clock that moves only when somebody sleeps, with the real state file.

local account_pace = require "campaign.pace.account"
local campaign = require "campaign"
local command = require "support.command"
local core = require "campaign.core"
local fake = require "support.fake"
local timing = require "campaign.import.run.timing"

local BUSY = fake.answer({ code = 429 }, 429)

local function busy(seconds)
  return fake.answer({}, 429, { { "Retry-After", tostring(seconds) } })
end

describe("paced calls", function()
  local folder, env, clients
  before_each(function()
    folder = command.folder()
    env = fake.env({ CAMPAIGN_STATE_DIR = folder })
    clients = {}
  end)
  after_each(function()
    for _, one in ipairs(clients) do
      one:close()
    end
    command.remove(folder)
  end)

  local GOOD = fake.answer({ code = 200, data = core.json.array({}), msg = "success" })

  -- A client of outbound; `more` goes into its account.
  local function client(answers, more)
    local account = {}
    for _, values in ipairs({ fake.ACCOUNTS.outbound, more or {} }) do
      for key, value in pairs(values) do
        account[key] = value
      end
    end
    local transport = fake.transport(answers)
    local one = assert(campaign.connect("outbound", account, { transport = transport, env = env }))
    clients[#clients + 1] = one
    return one, transport
  end

  -- What an import into the account of a client asks before each request.
  local function import_beside(one, options)
    options = options or {}
    options.env = env
    local pace = timing.pace(one.platform, one.platform.operations.upload_contacts_json, one.account, options)
    clients[#clients + 1] = pace
    return pace
  end

  local function ask(one, options)
    return one:get_contact_group_detail({}, options)
  end

  it("cost no wait, and leave no file, while no rate was set and nobody was told to slow down", function()
    local one, transport = client{ GOOD }
    for _ = 1, 200 do
      assert(ask(one))
      env.time = env.time + 0.01
    end
    assert.equal(0, env.slept)
    assert.equal(200, #transport.requests)
    assert.is_nil(core.system.stat(folder .. "/pace"))
  end)

  it("ask for nothing of the pace for a first call of which nothing is known, and for all of it where something is", function()
    local loaded = {}
    for name in pairs(package.loaded) do
      if name:find("^campaign%.pace%.") and name ~= "campaign.pace.account" and name ~= "campaign.pace.quota" then
        loaded[name], package.loaded[name] = package.loaded[name], nil
      end
    end
    local fresh = package.loaded["campaign.pace.account"]
    package.loaded["campaign.pace.account"], package.loaded["campaign.api.paced"] = nil, nil
    local paced = require "campaign.api.paced"
    local platform, account = { limits = {} }, { id = "x" }
    local function looks(given)
      local pace = paced.new(given or platform, account, env)
      assert.equal(0, pace:wait{ platform = "p", name = "o" })
      local is_loaded = package.loaded["campaign.pace.shared"] ~= nil
      pace:told(env.time, nil)
      pace:close()
      return is_loaded
    end
    assert.is_false(looks())
    assert.is_true(looks{ limits = { calls_per_second = 5 } })
    for name, module in pairs(loaded) do
      package.loaded[name] = module
    end
    package.loaded["campaign.pace.account"], package.loaded["campaign.api.paced"] = fresh, nil
    -- Somebody was told to slow down, and left that for others.
    local one = client{ busy(7) }
    assert(select(2, ask(one, { retries = 0 })))
    local two, before = client{ GOOD }, env.time
    assert(ask(two))
    assert.is_near(7, env.time - before, 0.1)
  end)

  it("keep to the rate of their account, all clients of it together", function()
    local one = client({ GOOD }, { calls_per_second = 10 })
    local two = client({ GOOD }, { calls_per_second = 10 })
    local began = env.time
    for _ = 1, 50 do
      assert(ask(one))
      assert(ask(two))
    end
    assert.is_near(9.9, env.time - began, 0.05)
  end)

  it("keep to the rate beside an import that takes every token it can get, and are not starved by it", function()
    local one = client({ GOOD }, { calls_per_second = 20 })
    local pace = import_beside(one)
    local began, sent, own = env.time, 0, 0
    -- The import is woken at each moment at which a token may be free; the call sleeps in between.
    local sleep = env.sleep
    env.sleep = function(seconds)
      local ends = env.time + seconds
      while true do
        local wait = pace:take()
        sent = sent + (wait == 0 and 1 or 0)
        if env.time + math.max(wait, 1e-6) > ends then
          break
        end
        sleep(math.max(wait, 1e-6))
      end
      sleep(math.max(0, ends - env.time))
    end
    while env.time < began + 20 do
      while pace:take() == 0 do sent = sent + 1 end
      assert(ask(one))
      own = own + 1
    end
    assert.is_true(own >= 90, "own calls: " .. own)
    assert.is_near(400, own + sent, 4)
  end)

  it("F6 make imports of the account wait when they are told to slow down, and the other way round", function()
    local one = client{ busy(7), GOOD }
    local pace = import_beside(one)
    assert.equal(0, (pace:take()))
    local _, err = ask(one, { retries = 0 })
    assert.equal("throttle", err.kind)
    env.time = env.time + 1 -- the import has looked less than a quarter of a second ago
    local wait, reason = pace:take()
    assert.is_near(6, wait, 1e-6)
    assert.equal("throttle", reason)
    env.time = env.time + 20
    pace:finished(pace:started(1), { verdict = "not_applied", again = "throttle", after = 12 })
    env.time = env.time + 1
    local before = env.time
    assert(ask(one))
    assert.is_near(11, env.time - before, 0.1)
  end)

  it("that come one in a process each do not wait ever longer for answers of slow down between good ones", function()
    function env.random(count) return ("\255"):rep(count) end
    for round = 1, 30 do
      local before = env.time
      local one = client{ BUSY }
      assert.equal("throttled", select(2, ask(one, { retries = 0 })).reason)
      one:close()
      for _, answer in ipairs({ GOOD, fake.answer({}, 404), GOOD }) do
        local two = client{ answer }
        local reply, err = ask(two, { retries = 0 })
        assert.is_true(reply ~= nil or err.status == 404, tostring(err))
        two:close()
        env.time = env.time + 0.05
      end
      assert.is_true(env.time - before < 10, ("round %d took %.1f s"):format(round, env.time - before))
    end
    for _ = 1, 8 do -- a row of them is still waited for ever longer
      local one = client{ BUSY }
      ask(one, { retries = 0 })
      one:close()
      env.time = env.time + 40
    end
    local _, err = ask(client{ GOOD }, { retries = 0 })
    assert.equal("paused", err and err.reason)
  end)

  it("are not sent when the platform asked for a long pause", function()
    local one, transport = client{ busy(600), GOOD }
    local reply, err = ask(one)
    assert.is_nil(reply)
    assert.same({ "throttle", 600, "no" }, { err.kind, err.retry, err.sent })
    env.time = env.time + 100
    reply, err = ask(one)
    assert.is_nil(reply)
    assert.same({ "throttle", "paused", "no", 500 }, { err.kind, err.reason, err.sent, err.retry })
    assert.equal("outbound.get_contact_group_detail", err.platform .. "." .. err.operation)
    assert.equal(1, #transport.requests)
    local live = core.live()
    reply, err = one:upload_contacts_file{
      dataSourceFile = { content = "手机号\n13800000000\n", filename = "a.csv" }, dataSourceName = "a", companyId = 1,
    }
    assert.is_nil(reply)
    assert.equal("paused", err.reason, tostring(err))
    assert.equal(live, core.live())
    env.time = env.time + 501
    assert(ask(one))
  end)

  it("wait again when somebody is told to slow down while they wait for their turn", function()
    local one, transport = client({ GOOD }, { calls_per_second = 0.5 })
    local other = client({ GOOD }, { calls_per_second = 0.5 })
    assert(ask(one))
    local pace, sleep, is_told = import_beside(other), env.sleep, false
    env.sleep = function(seconds)
      sleep(seconds)
      if not is_told then
        is_told = true
        pace:finished(pace:started(1), { verdict = "not_applied", again = "throttle", after = 9 })
      end
    end
    local before = env.time
    assert(ask(one))
    assert.is_true(env.time - before >= 10.9, "waited " .. env.time - before)
    assert.equal(2, #transport.requests)
  end)

  it("slow down by what all were sending, not by what the first to be refused was sending", function()
    local one = client{ GOOD, GOOD, BUSY }
    local pace = import_beside(one)
    for _ = 1, 300 do -- an import at 100 a second
      assert.equal(0, (pace:take()))
      pace:finished(pace:started(1), { verdict = "accepted" }, { seconds = 0.01 })
      env.time = env.time + 0.01
    end
    assert(ask(one))
    assert(ask(one))
    local _, err = ask(one, { retries = 0 })
    assert.equal("throttle", err.kind)
    env.time = env.time + 0.3
    pace:take()
    local rate = pace:rate()
    assert.is_true(rate > 45 and rate < 110, "rate " .. rate)
  end)

  it("for a new token wait for nobody, and what is answered from a recording takes no token", function()
    local shared = account_pace.new({ limits = {} }, { id = "x", calls_per_second = 1 }, env, {})
    assert.equal(0, (shared:take()))
    assert.is_true(shared:take() > 0)
    shared:close()
    local one, transport = client({ GOOD }, { calls_per_second = 0.5 })
    transport.sends_nothing = true
    for _ = 1, 10 do
      assert(ask(one))
    end
    assert.equal(0, env.slept)
    assert.is_true(require("campaign.recording.replay").new("/dev/null").sends_nothing)
  end)
end)

-- SPDX-License-Identifier: MIT
-- Many processes with one account whose tokens live two seconds, against the sandbox: replies to refreshes are lost at random, refreshers
-- are killed at random. The sandbox refuses a refresh token that comes a second time, so refreshes taken over = refreshes presented
-- proves that none came twice.

local campaign = require "campaign"
local command = require "support.command"
local core = require "campaign.core"
local env_module = require "campaign.env"
local sandbox = require "campaign.sandbox"
local sandbox_json = require "campaign.sandbox.json"
local store_module = require "campaign.auth.store"

local PROCESSES = 32
local LIFE = 2
local RENEWED_AFTER = LIFE * 0.75

-- Asks until its time is over. With CHAOS it has itself killed at a random moment around its first token request.
local WORKER = [[
  local campaign = require "campaign"
  local core = require "campaign.core"
  local transport = require("campaign.transport.curl").new()
  local perform = transport.perform
  local chaos = tonumber(os.getenv("CHAOS") or "")
  if chaos then
    math.randomseed(chaos)
    function transport:perform(request)
      if request.url:find("/oauth/token", 1, true) and not self.killer then
        local moment = ("sleep %.3f; kill -9 %d"):format(math.random() * 0.3, core.system.pid())
        self.killer = core.system.spawn{ "sh", "-c", moment }
      end
      return perform(self, request)
    end
  end
  local hypers = assert(campaign.connect("hypers", nil, { transport = transport }))
  local stop = core.system.now() + tonumber(os.getenv("SECONDS"))
  repeat
    local reply, err = hypers:list_notification_tasks{ taskType = "APPOINTMENT_REMINDER" }
    if not reply then
      print(tostring(err.kind) .. " " .. tostring(err.reason))
      os.exit(6)
    end
    core.system.sleep(0.05)
  until core.system.now() > stop
  print("well")
]]

describe("auth.oauth with many processes", function()
  local handle, folder, script
  local serial = 0

  setup(function()
    handle = assert(sandbox.start{ settings = { ["hypers.expires_in"] = LIFE }, seed = 7 })
    folder = command.folder()
    script = command.write(folder .. "/worker.lua", WORKER)
  end)

  teardown(function()
    handle:stop()
    command.remove(folder)
  end)

  local function order(...)
    assert(handle:control("faults", { faults = sandbox_json.array{ ... } }))
  end

  local function refreshes()
    return assert(handle:control("faults")).calls.oauth_refresh_token or 0
  end

  -- Refreshes that the sandbox took over, from its log.
  local function taken_over()
    local count = 0
    for _, entry in ipairs(assert(handle:control("commits?limit=10000")).commits) do
      if entry.operation == "oauth_refresh_token" then
        count = count + 1
      end
    end
    return count
  end

  local function variables(account, state, seconds, chaos)
    local values = { CAMPAIGN_STATE_DIR = state, LUA_PATH = package.path, LUA_CPATH = package.cpath, HOME = folder,
      SECONDS = tostring(seconds), CHAOS = chaos and tostring(chaos) or false }
    for key in pairs(handle.accounts.hypers) do
      values["CAMPAIGN_HYPERS_" .. key:upper()] = account[key] or false
    end
    return values
  end

  local function spawn(account, state, seconds, chaos)
    return assert(core.system.spawn{ rawget(_G, "jit") and "luajit" or "lua5.4", script,
      env = variables(account, state, seconds, chaos), pipe = true })
  end

  -- What the processes said, counted.
  local function collect(processes)
    local said = {}
    for _, process in ipairs(processes) do
      local line = process:read_line(60) or "nothing"
      local ended = process:wait(20) or {}
      line = ended.signal and "killed" or line
      said[line] = (said[line] or 0) + 1
      process:close()
    end
    return said
  end

  local function fresh()
    serial = serial + 1
    return folder .. "/state-" .. serial
  end

  it("has one refresh an expiry and no lock-out when replies are lost and a password is there #heavy", function()
    local state, seconds = fresh(), 6
    order("oauth_refresh_token:lost-refresh-reply@2", "oauth_refresh_token:lost-refresh-reply%50") -- the second one in any case
    local presented, taken = refreshes(), taken_over()
    local obtained = assert(handle:control("faults")).calls.oauth_obtain_token or 0
    local started = core.system.monotonic()
    local processes = {}
    for index = 1, PROCESSES do
      processes[index] = spawn(handle.accounts.hypers, state, seconds)
    end
    assert.same({ well = PROCESSES }, collect(processes))
    local elapsed = core.system.monotonic() - started
    presented, taken = refreshes() - presented, taken_over() - taken
    obtained = assert(handle:control("faults")).calls.oauth_obtain_token - obtained
    assert.equal(presented, taken)
    assert(presented >= 2, "only " .. presented .. " refreshes")
    assert(presented <= elapsed / RENEWED_AFTER + 1, presented .. " refreshes in " .. elapsed .. " s")
    local lost = 0
    for _, fault in ipairs(assert(handle:control("faults")).faults) do
      lost = lost + fault.met
    end
    assert(lost >= 1, "no reply was lost")
    assert(obtained <= lost + 1, obtained .. " logins after " .. lost .. " lost replies")
  end)

  it("stops loudly, with one refresh and exit code 6, when a reply is lost and no password is there #heavy", function()
    local account = {}
    for key, value in pairs(handle.accounts.hypers) do
      account[key] = key ~= "username" and key ~= "password" and value or nil
    end
    local state = fresh()
    local env = env_module.default()
    local first = fresh()
    function env.getenv(name) return name == "CAMPAIGN_STATE_DIR" and first or nil end
    order()
    local client = assert(campaign.connect("hypers", handle.accounts.hypers, { env = env }))
    assert(client:list_notification_tasks{ taskType = "APPOINTMENT_REMINDER" })
    local tokens = assert(assert(store_module.open(client.account, env)):read())
    client:close()
    function env.getenv(name) return name == "CAMPAIGN_STATE_DIR" and state or nil end
    client = assert(campaign.connect("hypers", account, { env = env }))
    assert(assert(store_module.open(client.account, env)):write(tokens))
    client:close()
    order("oauth_refresh_token:lost-refresh-reply@1-")
    local presented = refreshes()
    local processes = {}
    for index = 1, PROCESSES do
      processes[index] = spawn(account, state, 20)
    end
    assert.same({ ["auth login_needed"] = PROCESSES }, collect(processes))
    assert.equal(1, refreshes() - presented)
    local result = command.campaign({ "call", "hypers.list_notification_tasks", "-p", "taskType=APPOINTMENT_REMINDER" },
      { env = (function()
        local values = variables(account, state, 1)
        for key, value in pairs(values) do
          values[key] = value or nil
        end
        values.LUA_PATH, values.LUA_CPATH = nil, nil
        return values
      end)() })
    assert.equal(6, result.code, result.err)
    assert.matches("login needed", result.err, 1, true)
    assert.equal(1, refreshes() - presented)
  end)

  it("presents no refresh token twice when refreshers are killed at random moments #heavy", function()
    local state = fresh()
    order("oauth_refresh_token:delay=120@1-")
    local presented, taken = refreshes(), taken_over()
    local processes = {}
    for index = 1, 16 do
      processes[index] = spawn(handle.accounts.hypers, state, 6, index * 7919)
    end
    local said = collect(processes)
    assert.equal(16, (said.well or 0) + (said.killed or 0))
    assert((said.killed or 0) >= 1, "nobody was killed")
    core.system.sleep(0.5) -- requests of the dead are still being answered
    presented, taken = refreshes() - presented, taken_over() - taken -- before the next order: it counts anew
    assert.equal(presented, taken)
    assert(presented >= 1)
    order()
    assert.same({ well = 1 }, collect{ spawn(handle.accounts.hypers, state, 0.1) })
  end)
end)

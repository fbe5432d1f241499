-- SPDX-License-Identifier: MIT
-- The reference import of the torture tests, as a program: JSON batches, which leave in groups where several may be in flight, one GBK upload,
-- one refresh of a token, one wait, two callbacks. Started again in the same folder it goes on where it was, as a user would: a job that was
-- recorded is resumed, else the list is imported again. Runs as a server of forks under spec/preload/fault_shim.c, one fork for each run.
--
--   reference.lua URL LIST_A LIST_B ROWS_PER_CALL      then, of each child: SHIM_JOB = folder:in flight

local callback = require "campaign.callback"
local campaign = require "campaign"
local core = require "campaign.core"
local curl = require "campaign.transport.curl"
local env_module = require "campaign.env"
for _, name in ipairs{ "campaign.ledger.sqlite", "campaign.import.reopen", "campaign.auth.oauth", "campaign.auth.store", "campaign.api.waiter" } do
  require(name)
end
for _, name in ipairs{ "longlong", "outbound", "hypers" } do
  require("campaign.api.platform").load(name)
end

core.http.versions() -- the libraries are loaded before, so that the shim can tell their calls
core.store.version()

local SECRET = "b7c1d2e3f4a5968778695a4b3c2d1e0f"

io.open("/shim/serve") -- forks: what follows is the child's

local root, concurrency = os.getenv("SHIM_JOB"):match("^(.*):(%d+)$")
local url = arg[1]

local env, offset = env_module.default(), 0
local monotonic, now = env.monotonic, env.now
env.sleep = function(seconds)
  offset = offset + seconds
end
env.monotonic = function() return monotonic() + offset end
env.now = function() return 1762740000 + (now() % 1000) + offset end -- 2025-11-10 10:00 in Shanghai: no closed hours
local getenv = env.getenv
env.getenv = function(name)
  return name == "CAMPAIGN_STATE_DIR" and root .. "/state" or getenv(name)
end

local ACCOUNTS = {
  longlong = { base_url = url, token = "t", user_id = "u-1" },
  outbound = { base_url = url, token = "t", abbreviate = "acme" },
  hypers = { base_url = url, client_id = "client", client_secret = "secret", username = "me@example.com", password = "password" },
}

local problems = {}

-- A step may fail with an error object, which is the world's doing; what it raises is ours.
local function step(name, run)
  local ok, err = xpcall(run, function(problem)
    return tostring(problem) .. "\n" .. debug.traceback()
  end)
  if not ok then
    problems[#problems + 1] = name .. ": " .. tostring(err)
  end
end

local function import(platform, name, options)
  local folder = root .. "/" .. name
  local transport = curl.new()
  options.job, options.env, options.account, options.transport = folder, env, ACCOUNTS[platform], transport
  local ok, err = pcall(function()
    if core.system.stat(folder .. "/job.json") then
      local job, problem = campaign.open_job(folder, { env = env, account = options.account, transport = transport })
      local result
      if job then
        result, problem = job:resume()
      end
      -- A ledger that was never finished, as its error says: nothing was sent, the list is imported again, into the same folder.
      if result or not (problem.kind == "ledger" and tostring(problem.hint):find("was sent", 1, true)) then
        io.stderr:write(tostring(problem or result.error), "\n")
        return
      end
    end
    local result, problem = campaign.import(options)
    if not result then
      io.stderr:write(tostring(problem), "\n")
    end
  end)
  pcall(transport.close, transport)
  if not ok then
    error(err, 0)
  end
end

local function post(receiver, id)
  local body = ('{"unique_id":"%s","total":1,"success":1,"fail":0,"rows":[{"index":0,"ok":true}]}'):format(id)
  return receiver:handle{ method = "POST", path = "/" .. SECRET, headers = { ["content-length"] = tostring(#body) }, body = body }
end

core.system.make_dirs(root, 448)

step("json", function()
  import("longlong", "a", { to = "longlong.import_customers_async", source = arg[2], rows_per_call = tonumber(arg[4]),
    concurrency = tonumber(concurrency) })
end)

step("upload", function()
  import("outbound", "b", { to = "outbound.upload_contacts_file", source = arg[3], params = { dataSourceName = "autumn" } })
end)

step("token and wait", function()
  local hypers = campaign.connect("hypers", ACCOUNTS.hypers, { env = env })
  if hypers then
    hypers:get_notification_task{ taskId = 1 }
    hypers:get_notification_task{ taskId = 1 } -- the recorder ends the access token here: refresh
    hypers:wait("notification_task_finished", { taskId = 1 }, { deadline = 60 })
    hypers:close()
  end
end)

step("callbacks", function()
  local receiver = callback.new{ platform = "longlong", secret = SECRET, store = root .. "/inbox", env = env }
  for _, id in ipairs{ "u-1", "u-2" } do
    local acknowledged = core.system.stat(root .. "/acknowledged-" .. id)
    if receiver and acknowledged and not receiver:result(id) then
      problems[#problems + 1] = "callback " .. id .. " was acknowledged and is gone"
    end
    local answer = receiver and post(receiver, id)
    if answer and answer.status == 200 then
      local file = io.open(root .. "/acknowledged-" .. id, "w")
      if file then
        file:close()
      end
    end
    if receiver and #receiver:conflicts() > 0 then
      problems[#problems + 1] = "a callback in conflict"
    end
  end
end)

if #problems > 0 then
  io.stderr:write(table.concat(problems, "\n"), "\n")
end
os.exit(#problems > 0 and 70 or 0)

-- SPDX-License-Identifier: MIT
-- Runs one scenario of the fault matrix: an import with the fault, then what a user would do, `resume`, with the faults gone, then what an operator
-- would do, say of each batch in doubt what the platform knows of it. Judged by the oracle after each step; at the end every row must
-- have been committed exactly once. Real requests over real sockets; only sleeping is not slept.

local campaign = require "campaign"
local command = require "support.command"
local curl = require "campaign.transport.curl"
local imports = require "support.imports"
local lists = require "support.lists"
local oracle = require "faults.oracle"

local M = {}

local PER_CALL = 10

-- Seconds after which a request that never gets its answer is given up; the product's own limits are a minute and more.
local GIVEN_UP = 0.3

local LETTERS = { async_customer = "L", batchAdd = "T", upload = "J", v2 = "U", contactGroupDetail = "G", ["notification-tasks"] = "H",
  token = "K" }

local function letter_of(url)
  return LETTERS[url:match("([%w_-]+)%??[^/]*$")]
end

local OPTIONS = {
  L = {},
  T = { params = { publicParams = { isMatching = true, matchingType = 1, optType = "add" } }, set = { identityType = "phone" },
    split = { groups = ";" } },
  J = { params = { dataSourceName = "autumn" } },
  U = { params = { dataSourceName = "autumn" } },
  H = { params = { taskName = "autumn", taskType = "APPOINTMENT_REMINDER", scheduledStartTime = "2025-11-10 11:00:00",
    contents = { { contentType = "TEXT", contentValue = "welcome" } } }, map = { userId = "手机号" } },
}

---What scenarios share: recorder, folder, lists.
---@param server table a started recorder
function M.new(server)
  local self = { server = server, root = command.folder(), jobs = 0, sources = {} }
  return setmetatable(self, { __index = M })
end

function M:close()
  command.remove(self.root)
  lists.clean()
end

function M:source(rows)
  self.sources[rows] = self.sources[rows] or lists.file(imports.people(rows))
  return self.sources[rows]
end

-- The transport of plain Lua, with a request before the first one where the connection is to be a used one, and with a short limit for the one
-- request that will never be answered.
local function make_transport(scenario, server)
  local real = curl.new()
  local counts, warm = {}, scenario.connection == "new" or scenario.kind.before > 0
  local hang = scenario.hang == true and { op = scenario.kind.op, n = scenario.n } or scenario.hang == "R" and { op = "K", n = 2 }
    or scenario.hang and { op = scenario.hang, n = scenario.n }
  local function limit(request)
    if not warm then
      warm = true
      real:perform({ url = server.base .. "/warm", account = request.account })
    end
    local op = letter_of(request.url)
    counts[op or "-"] = (counts[op or "-"] or 0) + 1
    if hang and op == hang.op and counts[op] == hang.n then
      request.limits = { connect = 5, stall = 5, total = GIVEN_UP }
    end
    return request
  end
  return setmetatable({
    submit = function(_, request) return real:submit(limit(request)) end,
    perform = function(_, request) return real:perform(limit(request)) end,
    next = function(_, seconds) return real:next(seconds) end,
    ready = function() return real:ready() end,
    cancel = function(_, id) return real:cancel(id) end,
    forget = function(_, account) return real:forget(account) end,
    close = function() return real:close() end,
  }, nil)
end

local function account_of(self, scenario)
  local account = { base_url = scenario.base_url or self.server.base, token = "secret-token" }
  local op = scenario.kind.op
  if op == "L" then
    account.user_id = "u-1"
  elseif op == "J" or op == "U" then
    account.abbreviate = "acme"
  elseif op == "H" then
    account.token = nil
    account.client_id, account.client_secret, account.username, account.password = "client", "client-secret", "me@example.com", "password"
  end
  return account
end

local function options_of(self, scenario, transport)
  self.jobs = self.jobs + 1
  local env = imports.env()
  local state = self.root .. "/state" .. self.jobs
  local getenv = env.getenv
  env.getenv = function(name)
    return name == "CAMPAIGN_STATE_DIR" and state or getenv(name)
  end
  local options = {
    to = scenario.kind.to, source = self:source(scenario.rows or 30), job = self.root .. "/job" .. self.jobs, env = env,
    transport = transport, account = account_of(self, scenario), concurrency = scenario.concurrency or 1,
    [scenario.kind.op == "U" and "rows_per_file" or "rows_per_call"] = PER_CALL,
  }
  for key, value in pairs(OPTIONS[scenario.kind.op]) do
    options[key] = value
  end
  return options
end

local function judge(self, scenario, folder, finished)
  return oracle.judge(folder, 0, scenario.rows or 30, self.server:read(), { rows_per_call = PER_CALL, finished = finished })
end

-- What an operator does: looks at the platform, says what became of each batch in doubt.
local function settle(self, job, figures)
  local times = self.server:read().times
  for seq, batch in pairs(figures.batches) do
    if batch.state == "U" then
      local taken = times[batch.first] ~= nil
      assert(job:resolve(seq, taken and "applied" or "not-applied", "seen at the platform"))
    end
  end
end

local function run_poll(self, scenario, options)
  local waiter, client, problem
  client = assert(campaign.connect("outbound", options.account, { transport = options.transport, env = options.env }))
  for _ = 1, 3 do
    waiter, problem = client:waiter("contact_group_updated", { dataSourceName = "autumn" })
    if waiter then
      break
    end
    self.server:order("up")
  end
  if not waiter then
    return "no waiter: " .. tostring(problem)
  end
  local result
  for _ = 1, 3 do
    result, problem = campaign.import(options)
    if result then
      break
    end
    if self.server:read().rows > 0 then
      return "a plan that failed has sent something"
    end
    self.server:order("up")
    command.remove(options.job)
  end
  if not result then
    return "no import: " .. tostring(problem)
  end
  self.server:order("up")
  if result.pending > 0 then
    local job = assert(campaign.open_job(options.job, { account = options.account, env = options.env, transport = options.transport }))
    assert(job:resume())
  end
  -- A look that fails for good ends the wait with an error; whoever wants can wait on.
  local seen
  for _ = 1, 2 do
    seen = seen or waiter:wait()
  end
  if not seen then
    return "waited in vain"
  end
  local figures = judge(self, scenario, options.job, true)
  return oracle.fault(figures) or figures.accepted ~= 30 and "accepted " .. figures.accepted, figures
end

-- The figures of the run with the fault, then everything that must follow.
local function run_import(self, scenario, options)
  local server, rows = self.server, scenario.rows or 30
  local result, problem = campaign.import(options)
  if not result then
    -- Nothing could be planned: nothing may have been sent.
    if server:read().rows > 0 then
      return "an import that failed at once has sent something"
    end
    return scenario.calls_off and nil or "no import: " .. tostring(problem)
  end
  local figures = judge(self, scenario, options.job, true)
  local fault = oracle.fault(figures)
  if fault then
    return fault, figures
  end
  if figures.accepted ~= result.taken_over or figures.ambiguous ~= result.ambiguous or figures.rejected ~= result.rejected
    or figures.pending ~= result.pending then
    return "the result says something else than the ledger", figures
  end
  -- Where the platform tells how many rows it has, an import finds out by itself.
  local probed = scenario.kind.op == "J" or scenario.kind.op == "U"
  if scenario.doubt == "yes" and figures.ambiguous == 0 and not probed or scenario.doubt == "no" and figures.ambiguous > 0 then
    return "in doubt: " .. figures.ambiguous, figures
  end
  if scenario.rejected ~= "any" and figures.rejected ~= scenario.rejected then
    return "rejected: " .. figures.rejected, figures
  end
  if scenario.stops and result.state ~= "stopped" then
    return "it did not stop", figures
  end
  -- With the fault gone, resuming needs no hand.
  server:order("calm\nup")
  local function resume()
    local job = assert(campaign.open_job(options.job, { account = options.account, env = options.env, transport = options.transport }))
    local again, err = job:resume()
    return again, err, job
  end
  local again, err, job = resume()
  if not again then
    return "not resumed: " .. tostring(err), figures
  end
  local after = judge(self, scenario, options.job, true)
  fault = oracle.fault(after)
  if fault then
    return "after resume: " .. fault, after
  end
  if after.ambiguous > figures.ambiguous then
    return "more doubt after resume", after
  end
  local is_held = scenario.kind.ordered and (after.ambiguous > 0 or after.rejected > 0)
  if after.pending > 0 and not is_held then
    return "still pending after resume: " .. after.pending .. " " .. tostring(again.error), after
  end
  -- And with a word about each batch in doubt, everything was committed exactly once.
  if after.ambiguous > 0 then
    settle(self, job, after)
    again, err = resume()
    if not again then
      return "not resumed after resolve: " .. tostring(err), figures
    end
    after = judge(self, scenario, options.job, true)
  end
  fault = oracle.fault(after)
  if fault then
    return "at the end: " .. fault, after
  end
  local log = server:read()
  if not is_held or after.rejected == 0 then
    if after.accepted + after.rejected ~= rows or log.rows ~= rows - after.rejected then
      return ("at the end: %d accepted, %d rejected, %d pending, %d committed"):format(after.accepted, after.rejected, after.pending, log.rows),
        after
    end
  end
  if log.spent > 0 then
    return "a refresh token was presented twice", figures
  end
  return nil, figures
end

---Runs a scenario.
---@param scenario table of faults.cases
---@return string? fault why it failed, nil when it passed
---@return table figures of the run with the fault
function M:run(scenario)
  self.server:order("reset\n" .. scenario.orders)
  local transport = make_transport(scenario, self.server)
  local options = options_of(self, scenario, transport)
  local ok, fault, figures = pcall(scenario.kind.poll and run_poll or run_import, self, scenario, options)
  transport:close()
  if not ok then
    fault, figures = "raised: " .. tostring(fault), nil
  end
  command.remove(options.job)
  local struck = self.server:read().faults
  if not fault and #struck == 0 and not scenario.orders:find("down", 1, true) then
    fault = "the fault never struck"
  end
  return fault, figures or { lost = 0, unreported_duplicates = 0, false_success = 0, ambiguous = 0, in_flight_at_fault = 0 }
end

return M

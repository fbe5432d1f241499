-- SPDX-License-Identifier: MIT
-- What client specs put in place of the world: a transport that answers from a list and remembers what it was given, and an environment
-- with a clock that stands still until somebody sleeps. Bodies are looked at as descriptions where they are forms.

local json = require "campaign.json"

local M = {}

-- 2025-11-09 12:00:00 +08:00
M.NOON = 1762660800

---An environment without variables, files of the user, or real time.
function M.env(variables, now)
  local env = { time = now or M.NOON, slept = 0 }
  function env.now() return env.time end
  function env.monotonic() return env.time end
  function env.sleep(seconds)
    env.time = env.time + seconds
    env.slept = env.slept + seconds
  end
  function env.random(count) return ("\1"):rep(count) end
  function env.getenv(name) return (variables or {})[name] end
  return env
end

---An answer of the transport. `body` may be a table, which goes as JSON.
function M.answer(body, status, headers)
  if type(body) == "table" then
    body = assert(json.encode(body))
  end
  return { status = status or 200, headers = headers or {}, body = body or "", sent = "yes", timings = {} }
end

---A transport that gives the answers in turn (the last one for ever); a function is called with the request.
function M.transport(answers)
  local transport = { requests = {}, answers = answers or {} }
  function transport:perform(request)
    self.requests[#self.requests + 1] = request
    if type(request.body) == "userdata" then
      request.body:close() -- sending uses sources and forms up
    end
    local answer = self.answers[math.min(#self.requests, #self.answers)]
    if type(answer) == "function" then
      return answer(request)
    end
    assert(answer, "the fake transport has no answer")
    local copy = {}
    for key, value in pairs(answer) do
      copy[key] = value
    end
    return copy
  end
  function transport:last() return self.requests[#self.requests] end
  function transport.close() end
  return transport
end

---A store of tokens in memory, with the face of campaign.auth.store; `log` tells what was done in which order.
function M.store(state)
  local store = { state = state, log = {} }
  function store:read()
    return self.state
  end
  function store:write(new)
    self.log[#self.log + 1] = { "write", new }
    self.state = new
    return true
  end
  function store:lock()
    assert(not self.locked, "locked twice")
    self.locked = true
    self.log[#self.log + 1] = { "lock" }
    return { close = function() self.locked = false end }
  end
  return store
end

-- Values with which every platform can be connected to.
M.ACCOUNTS = {
  outbound = { base_url = "https://outbound.example", token = "canary-token-1", abbreviate = "acme" },
  tuzhan = { base_url = "https://tuzhan.example", token = "canary-token-2" },
  hypers = { base_url = "https://hypers.example", token = "canary-token-3" },
  longlong = { base_url = "https://longlong.example", token = "canary-token-4", user_id = "u-1" },
}

---A client on a fake transport.
---@return campaign.client client, table transport, table env
function M.client(platform, answers, more)
  more = more or {}
  local campaign = require "campaign"
  local transport = M.transport(answers)
  local env = more.env or M.env()
  local account = {}
  for key, value in pairs(more.account or M.ACCOUNTS[platform]) do
    account[key] = value
  end
  local client = assert(campaign.connect(platform, account,
    { transport = transport, env = env, open_store = more.store and function() return more.store end or nil }))
  return client, transport, env
end

---The value of a header of a request, by its name in any case.
function M.header(request, name)
  local found
  for _, pair in ipairs(request.headers) do
    if pair[1]:lower() == name:lower() then
      assert(not found, "header " .. name .. " is there twice")
      found = pair[2]
    end
  end
  return found
end

return M

-- SPDX-License-Identifier: MIT
-- A location that receives callbacks: `require("campaign.openresty.callback").new{...}` in init_by_lua, `:handle()` in content_by_lua.
-- campaign.callback decides what is accepted and stored; this file adds nginx's request, the group commit, and a rate limit across workers.

local callback = require "campaign.callback"
local core = require "campaign.core"
local group = require "campaign.openresty.group"
local home = require "campaign.openresty.env"
local metrics = require "campaign.openresty.metrics"
local rate_module = require "campaign.openresty.rate"
local request = require "campaign.openresty.request"

local M = {}

local RATE, BURST = 1000, 2000 -- a second, of all workers
local GIVEN_UP_SECONDS = 15 -- nginx may end a request while it opens the store: then the next one does
local MOST_WAITING = 10000 -- bodies of one worker that are not durable yet
local QUIET_SECONDS = 10 -- after a line in the log that says why nothing is kept: the next posts fail for the same reason

local methods = {}
local mt = { __index = methods, __name = "campaign.openresty.callback" }

---Checks the options; the store is opened by the worker, as the worker's user, with the first request or by `open`.
---@param options table those of campaign.callback.new, and `shared`: name of a lua_shared_dict for the rate limit
---@return table handler raises if the receiver's options are invalid: nginx then does not start
function M.new(options)
  local given = {}
  for name, value in pairs(options) do
    given[name] = value
  end
  local shared = request.shared(given.shared)
  given.shared = nil
  local ok, err = callback.check(given)
  if not ok then
    error("campaign.openresty.callback: " .. tostring(err) .. (err.hint and " (" .. err.hint .. ")" or ""), 2)
  end
  local limit = rate_module.new{
    name = "callback" .. (given.prefix or "/"), rate = given.rate or RATE, burst = given.burst or given.rate or BURST, shared = shared,
  }
  given.rate, given.burst = nil, nil
  given.take = function() return limit:take() end
  return setmetatable({ _options = given }, mt)
end

---Opens the store and reads its contents: in init_worker_by_lua, where nobody waits yet; else the first request does it.
---@return table? receiver
---@return campaign.error? err
function methods:open()
  local now = core.system.monotonic()
  while self._opening and now - self._opening < GIVEN_UP_SECONDS and home.may_wait() do -- another request does
    home.sleep(0.002)
    now = core.system.monotonic()
  end
  if self.receiver then
    return self.receiver
  end
  self._opening = now
  local fine, receiver, err = pcall(callback.new, self._options)
  self._opening = nil
  if not fine then
    error(receiver, 0)
  elseif receiver and not self.receiver then
    receiver.inbox = group.new(receiver.inbox, MOST_WAITING)
    self.receiver = receiver
  end
  return self.receiver, err
end

-- Says why a post was not kept.
local function complain(self, what, err)
  local now = core.system.monotonic()
  if now - (self._complained or -math.huge) >= QUIET_SECONDS then
    self._complained = now
    request.log_apart(what, err)
  end
end

---The whole location.
function methods:handle()
  home.pause() -- reading a large body takes a millisecond, and many may be ready at once
  local receiver, err = self:open()
  if not receiver then
    complain(self, "the callback store cannot be opened", err)
    metrics.count("campaign_callbacks_total", "status", 503)
    return request.json(503, { error = "the store cannot be opened" }, true)
  end
  local answer, kind, problem = receiver:handle{
    method = request.method(), path = request.target(), headers = request.headers(), body = request.body,
  }
  metrics.count("campaign_callbacks_total", "status", answer.status)
  if problem then
    complain(self, "a callback could not be kept", problem)
  elseif kind then
    metrics.count("campaign_callback_bodies_total", "kind", kind)
  end
  request.answer(answer.status, answer.headers, answer.body, answer.close)
  metrics.observe_request("callback")
end

---What was received for a batch id; see campaign.callback.
function methods:result(id)
  local receiver, err = self:open()
  if not receiver then
    return nil, err
  end
  return receiver:result(id)
end

return M

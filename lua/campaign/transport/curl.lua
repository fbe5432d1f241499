-- SPDX-License-Identifier: MIT
-- The transport of plain Lua: the HTTP engine behind the small face every transport has. It blocks the calling thread while it waits,
-- and moves all requests in flight meanwhile. It decides nothing: what a result means is for the callers.

local core = require "campaign.core"

local M = {}

---@class campaign.transport.curl
---@field engine userdata the HTTP engine (core.http.engine)
local methods = {}
-- In the metatable: whoever stands before a transport, to see its requests, does not pass this on unawares.
local mt = { __index = methods, __name = "campaign.transport.curl", offers_templates = true }

function mt.__tostring(self)
  return self.engine and "campaign.transport.curl" or "campaign.transport.curl (closed)"
end

-- Long enough to be no busy loop, short enough that a request without any finite limit would be noticed.
local LONG = 3600

---Makes a transport.
---@param options? { driver?: "inline"|"thread" } inline is cheapest for whoever waits anyway; thread moves requests in the background
---@return campaign.transport.curl? transport
---@return campaign.error? err libcurl is missing
function M.new(options)
  options = options or {}
  for name in pairs(options) do
    if name ~= "driver" then
      error("unknown transport option: " .. tostring(name), 2)
    end
  end
  local engine, err = core.http.engine({ driver = options.driver or "inline" })
  if not engine then
    return nil, err
  end
  return setmetatable({ engine = engine, waiting = {} }, mt)
end

---Starts a request and returns its id.
---@param request table the engine's request (docs/architecture.md)
---@return number? id
---@return campaign.error? err a refused URL, header or file
function methods:submit(request)
  return self.engine:submit(request)
end

---A request that many are like, in all but body and time limit; its `expect(status, before, after?)` says what the good answer is: `before`, a
---name of the platform's and `after`, or, without `after`, `before`.
---@param request table
---@return userdata? template
---@return campaign.error? err
function methods:template(request)
  return self.engine:template{
    method = request.method, url = request.url, headers = request.headers, account = request.account, allow_http = request.allow_http,
    ca_file = request.ca_file, proxy = request.proxy, max_connection_age = request.max_connection_age,
  }
end

---Starts requests like a template, one after another up to one that is refused.
---@param template userdata
---@param bodies userdata[] sources, used up
---@param count integer how many of them
---@param seconds number time limit of each
---@param into table their ids
---@return integer sent
---@return campaign.error? err of the one behind those that were sent, which is used up too
function methods:submit_like(template, bodies, count, seconds, into)
  return self.engine:submit_like(template, bodies, count, seconds, into)
end

---Waits for the next finished request.
---@param seconds? number 0: only what is there; nil: until one finishes
---@return number? id nil when none finished in time, the bell rang, or none is in flight
---@return table? result
function methods:next(seconds)
  local id, result = next(self.waiting) -- finished while perform waited for another one
  if id then
    self.waiting[id] = nil
    return id, result
  end
  return self.engine:take(seconds or LONG)
end

---Waits for the next finished request, and takes all expected answers to requests like the template that come one after another.
---@param seconds number 0: only what is there
---@param template userdata? nil: every answer comes as from `next`
---@param most integer expected answers, at most
---@param into table id, seconds, bytes sent and the platform's name (or false) of each, one after another
---@return integer count expected answers
---@return number? id of the next finished request, which has no such answer
---@return table? result
function methods:known(seconds, template, most, into)
  if next(self.waiting) then
    return 0, self:next(0)
  end
  return self.engine:take_known(seconds, template, most, into)
end

---What `ledger:ring` takes: a commit that ends then ends `next` early.
---@return integer? bell
---@return campaign.error? err
function methods:bell()
  return self.engine:bell()
end

---How many results can be taken without waiting. Moves what is in flight.
---@return integer
function methods:ready()
  local count = self.engine:wait(0)
  for _ in pairs(self.waiting) do
    count = count + 1
  end
  return count
end

---Sends one request and waits for it; others in flight go on, and their results stay for `next`.
---@param request table
---@return table? result
---@return campaign.error? err the request was refused before anything was sent
function methods:perform(request)
  local engine = self.engine
  local mine, id, result = engine:perform(request, LONG)
  if not mine then
    return nil, id
  end
  while true do
    if id == mine then
      return result
    end
    if id then
      self.waiting[id] = result
    elseif engine:in_flight() == 0 then
      error("the request was lost: the process forked while it was in flight", 2)
    end
    id, result = engine:take(LONG)
  end
end

---Breaks a request off; its result comes with error kind "cancelled".
---@param id number
---@return boolean cancelled false when it had finished before
function methods:cancel(id)
  return self.engine:cancel(id)
end

---How far a request is: { sent = bytes, received = bytes }, or nil when it is not in flight.
---@param id number
---@return { sent: number, received: number }?
function methods:progress(id)
  return self.engine:progress(id)
end

---Requests whose result was not taken yet.
---@return integer
function methods:in_flight()
  local count = self.engine:in_flight()
  for _ in pairs(self.waiting) do
    count = count + 1
  end
  return count
end

---Later requests of this account use new connections: its credentials changed.
---@param account string
function methods:forget(account)
  return self.engine:forget(account)
end

---Ends everything that is in flight and frees all connections. Closing twice is fine.
function methods:close()
  self.engine:close()
  self.waiting = {}
end

return M

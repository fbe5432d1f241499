-- SPDX-License-Identifier: MIT
-- The transport of plain Lua: the HTTP engine behind the interface that all transports have. It blocks the calling thread while it waits,
-- and drives all requests in flight meanwhile. Callers interpret the results.

local core = require "campaign.core"
local transport = require "campaign.transport"

local M = {}

---@class campaign.transport.curl
---@field engine userdata the HTTP engine (core.http.engine)
local methods = {}
-- In the metatable, so that a wrapper around a transport, which must see its requests, does not pass this on by accident.
local mt = { __index = methods, __name = "campaign.transport.curl", offers_templates = true }

function mt.__tostring(self)
  return self.engine and "campaign.transport.curl" or "campaign.transport.curl (closed)"
end

-- Long enough not to be a busy loop, short enough that a request without a finite limit would be noticed.
local LONG = 3600

---Makes a transport.
---@param options? { driver?: "inline"|"thread" } inline is cheapest for callers that wait anyway; thread runs requests in the background
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
---@return campaign.error? err an invalid URL, header or file
function methods:submit(request)
  return self.engine:submit(request)
end

---A request to be sent many times with other bodies and time limits. Its `expect(status, before, after?)` sets the expected answer:
---`before`, an id of the platform's and `after`, or, without `after`, exactly `before`.
---@param request table
---@return userdata? template
---@return campaign.error? err
function methods:template(request)
  return self.engine:template(transport.to_repeat(request))
end

---Starts requests like a template, one after another, stopping at the first that is refused.
---@param template userdata
---@param bodies userdata[] sources, consumed
---@param count integer how many of them
---@param seconds number time limit of each
---@param into table their ids
---@return integer sent
---@return campaign.error? err of the one after those that were sent; its body is consumed too
function methods:submit_like(template, bodies, count, seconds, into)
  return self.engine:submit_like(template, bodies, count, seconds, into)
end

---Waits for the next finished request.
---@param seconds? number 0: poll; nil: until one finishes
---@return number? id nil if none finished in time, the bell rang, or none is in flight
---@return table? result
function methods:next(seconds)
  local id, result = next(self.waiting) -- finished while perform waited for another one
  if id then
    self.waiting[id] = nil
    return id, result
  end
  return self.engine:take(seconds or LONG)
end

---Waits for the next finished request, and takes all consecutive expected answers to requests of the template.
---@param seconds number 0: poll
---@param template userdata? nil: every answer is returned as from `next`
---@param most integer maximum of expected answers
---@param into table id, seconds, bytes sent and the platform's id (or false) of each, one after another
---@return integer count expected answers
---@return number? id of the next finished request, whose answer is a different one
---@return table? result
function methods:known(seconds, template, most, into)
  if next(self.waiting) then
    return 0, self:next(0)
  end
  return self.engine:take_known(seconds, template, most, into)
end

---To be passed to `ledger:ring`: the end of a commit then ends `next` early.
---@return integer? bell
---@return campaign.error? err
function methods:bell()
  return self.engine:bell()
end

---The number of results that can be taken without waiting. Drives what is in flight.
---@return integer
function methods:ready()
  local count = self.engine:wait(0)
  for _ in pairs(self.waiting) do
    count = count + 1
  end
  return count
end

---Sends one request and waits for it; others in flight continue, and their results stay for `next`.
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

---Cancels a request; its result has error kind "cancelled".
---@param id number
---@return boolean cancelled false if it had finished before
function methods:cancel(id)
  return self.engine:cancel(id)
end

---The progress of a request: { sent = bytes, received = bytes }, or nil if it is not in flight.
---@param id number
---@return { sent: number, received: number }?
function methods:progress(id)
  return self.engine:progress(id)
end

---Number of requests whose result was not taken yet.
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

---Aborts everything in flight and frees all connections. May be called twice.
function methods:close()
  self.engine:close()
  self.waiting = {}
end

return M

-- SPDX-License-Identifier: MIT
-- The transport inside nginx: the interface of transport/curl, without blocking the worker. All transports of a worker share one engine
-- (openresty/dispatcher).

local bell = require "campaign.openresty.bell"
local core = require "campaign.core"
local dispatcher = require "campaign.openresty.dispatcher"
local home = require "campaign.openresty.env"
local transport_module = require "campaign.transport"

local M = {}

local ngx = package.loaded.ngx

---@class campaign.transport.openresty
local methods = {}
-- In the metatable, so that a wrapper around a transport, which must see its requests, does not pass these on by accident.
local mt = { __index = methods, __name = "campaign.transport.openresty", offers_templates = true, wakes_on_commit = true }

function mt.__tostring(self)
  return self.closed and "campaign.transport.openresty (closed)" or "campaign.transport.openresty"
end

-- Semaphores reused for the next request, except those whose wait timed out.
local MOST_FREE = 512

-- Results taken at a time by a caller that may let others run in between.
local AT_ONCE = 8

-- Waiters check their conditions this often, in seconds.
local ROUND = 1

-- nginx's clock has no smaller step.
local LEAST = 0.001

-- One per Lua state, that is per worker, or per request if lua_code_cache is off.
local is_found = false -- libcurl
local free = {} -- semaphores
local entries = dispatcher.entries

M.observe = dispatcher.observe

-- The client of the nginx request disconnected: cancel what it had in flight, and let the handler finish in order.
local function watch_client(self)
  local phase = ngx.get_phase()
  if phase ~= "rewrite" and phase ~= "access" and phase ~= "content" then
    error("transport option on_abort = \"cancel\" is for requests, not for the phase " .. phase, 3)
  end
  local ok, err = ngx.on_abort(function() self:cancel_all() end)
  if not ok then
    error("transport option on_abort = \"cancel\" needs `lua_check_client_abort on;` in nginx.conf: " .. tostring(err), 3)
  end
end

---Creates a transport. This is cheap: engine and connections belong to the worker.
---@param options? { on_abort?: "cancel" } cancel: when the client of this nginx request disconnects, requests in flight are cancelled
---@return campaign.transport.openresty? transport
---@return campaign.error? err libcurl is missing
function M.new(options)
  if not ngx then
    error("this transport works inside nginx alone (Debian: apt-get install libnginx-mod-http-lua); in plain Lua there is campaign.transport.curl", 2)
  end
  options = options or {}
  for name in pairs(options) do
    if name ~= "on_abort" then
      error("unknown transport option: " .. tostring(name), 2)
    end
  end
  if options.on_abort ~= nil and options.on_abort ~= "cancel" then
    error("transport option on_abort must be \"cancel\"", 2)
  end
  if not is_found then
    local found, err = core.http.versions()
    if not found then
      return nil, err
    end
    is_found = true
  end
  local self = setmetatable({ count = 0, finished = {}, first = 1, last = 0, sleepers = 0, closed = false,
    collected = {}, collected_count = 0, collects = nil }, mt) -- expected answers, and the template whose answers they are
  self.entry = { transport = self } -- of every request like a template: they need none of their own
  if options.on_abort then
    watch_client(self)
  end
  return self
end

-- The worker's engine; nil and an error if there is none.
local function need_engine(self, level)
  if self.closed then
    error("the transport is closed", level + 1)
  end
  return dispatcher.need()
end

local function submit(self, request, entry)
  local engine, none = need_engine(self, 3)
  if not engine then
    return nil, none
  end
  local id, err = engine:submit(request)
  if not id then
    return nil, err
  end
  entry.transport = self
  entries[id] = entry
  self.count = self.count + 1
  return id
end

---Starts a request and returns its id.
---@param request table the engine's request (docs/architecture.md)
---@return number? id
---@return campaign.error? err an invalid URL, header or file
function methods:submit(request)
  home.check(2)
  local id, err = submit(self, request, {})
  if id then
    dispatcher.ensure()
  end
  return id, err
end

---A request to be sent many times with other bodies, as in transport/curl.
---@param request table
---@return userdata? template
---@return campaign.error? err
function methods:template(request)
  local engine, none = need_engine(self, 2)
  if not engine then
    return nil, none
  end
  return engine:template(transport_module.to_repeat(request))
end

---Starts requests like a template, as in transport/curl. Their answers come from `known` alone.
---@param template userdata
---@param bodies userdata[] sources, consumed
---@param count integer how many of them
---@param seconds number time limit of each
---@param into table their ids
---@return integer sent
---@return campaign.error? err of the one after those that were sent; its body is consumed too
function methods:submit_like(template, bodies, count, seconds, into)
  home.check(2)
  local engine, none = need_engine(self, 2)
  if not engine then
    return 0, none
  end
  local sent, err = engine:submit_like(template, bodies, count, seconds, into)
  for i = 1, sent do
    entries[into[i]] = self.entry
  end
  self.count = self.count + sent
  if sent > 0 then
    dispatcher.ensure()
  end
  return sent, err
end

local function pop(self)
  local found = self.finished[self.first]
  if not found then
    return nil
  end
  self.finished[self.first] = nil
  self.first = self.first + 1
  self.count = self.count - 1
  return found[1], found[2]
end

-- The same for expected answers, at most `most`; returns their number.
local function pop_expected(self, most, into)
  local known, all = self.collected, self.collected_count
  local count = math.min(most, all)
  for i = 1, 4 * count do
    into[i] = known[i]
  end
  for i = 4 * count + 1, 4 * all do
    known[i - 4 * count] = known[i]
  end
  self.collected_count, self.count = all - count, self.count - count
  return count
end

---Number of results that can be taken without waiting.
---@return integer
function methods:ready()
  if self.count > 0 then
    dispatcher.take(AT_ONCE)
  end
  return self.last - self.first + 1 + self.collected_count
end

-- Wakes those who wait for results of this transport when the commit in progress has ended.
local function wake_on_commit(self)
  local waiter = self.commit_waiter
  if not waiter then
    waiter = { is_waiting = false }
    function waiter.post()
      local sleepers = -self.semaphore:count()
      waiter.is_waiting = false
      if sleepers > 0 then
        self.semaphore:post(sleepers)
      end
    end
    self.commit_waiter = waiter
  end
  if not waiter.is_waiting then
    waiter.is_waiting = true
    bell.add_waiter(waiter)
  end
end

-- True if there is something to take.
local function has_some(self)
  return self.collected_count > 0 or self.finished[self.first] ~= nil
end

-- Waits until there is something to take, for `seconds` at most, or until nothing is in flight, or until the ledger's commit has ended.
local function await(self, seconds, ledger)
  local deadline = seconds and core.system.monotonic() + seconds
  if self.count > 0 and not has_some(self) then
    dispatcher.take(AT_ONCE)
  end
  if seconds ~= 0 and self.count > 0 then
    home.pause() -- after several results in a row, other light threads get a turn
  end
  while self.count > 0 and not has_some(self) do
    local left = deadline and deadline - core.system.monotonic() or ROUND
    if left <= 0 then
      return
    end
    home.check(3)
    self.semaphore = self.semaphore or home.semaphores().new(0)
    if ledger then
      local rings = bell.register(ledger)
      if not ledger:busy() then -- asked after registering: a commit that ends from now on rings the bell, and nobody else runs before the wait
        return
      end
      if rings then
        wake_on_commit(self)
      else
        left = math.min(left, LEAST)
      end
    end
    self.sleepers = self.sleepers + 1
    dispatcher.wait(self.semaphore, left)
    self.sleepers = self.sleepers - 1
  end
end

---Waits for the next finished request of this transport. Only this light thread waits.
---@param seconds? number 0: only what is there; nil: until one finishes
---@param ledger table? that is committing: the end of the commit ends the wait
---@return number? id nil when none finished in time, none is in flight, or the ledger's commit is over
---@return table? result
function methods:next(seconds, ledger)
  await(self, seconds, ledger)
  return pop(self)
end

---Waits for the next finished request, as in transport/curl, and takes all expected answers to requests of the template that are there.
---@param seconds number 0: only what is there
---@param template userdata? nil: what comes from now on is returned as from `next`
---@param most integer maximum of expected answers
---@param into table id, seconds, bytes sent and the platform's id (or false) of each, one after another
---@param ledger table? as for `next`
---@return integer count expected answers
---@return number? id of a finished request, whose answer is a different one
---@return table? result
function methods:known(seconds, template, most, into, ledger)
  dispatcher.collect(self, template)
  await(self, seconds, ledger)
  local count = pop_expected(self, most, into)
  if count > 0 then
    return count
  end
  return 0, pop(self)
end

---Sends one request and waits for it; this light thread waits, the worker goes on.
---@param request table
---@return table? result
---@return campaign.error? err the request was refused before anything was sent
function methods:perform(request)
  home.check(2)
  local semaphore = table.remove(free) or home.semaphores().new(0)
  local entry = { semaphore = semaphore, transport = self, result = nil }
  local id, err = submit(self, request, entry)
  if not id then
    return nil, err
  end
  local is_clean = true
  while entry.result == nil do
    if not entries[id] then
      error("the transport was closed while a request was in flight", 2)
    end
    local _, is_whole = dispatcher.wait(semaphore, ROUND, entry)
    is_clean = is_clean and is_whole
  end
  if is_clean and #free < MOST_FREE then
    free[#free + 1] = semaphore
  end
  return entry.result
end

---Cancels a request; its result has error kind "cancelled".
---@param id number
---@return boolean cancelled false when it had finished before
function methods:cancel(id)
  local entry = entries[id]
  return entry ~= nil and entry.transport == self and dispatcher.engine():cancel(id)
end

---Cancels everything this transport has in flight; the results have error kind "cancelled".
---@return integer cancelled
function methods:cancel_all()
  local cancelled = 0
  for id, entry in pairs(entries) do
    if entry.transport == self and dispatcher.engine():cancel(id) then
      cancelled = cancelled + 1
    end
  end
  return cancelled
end

---The progress of a request: { sent = bytes, received = bytes }, or nil if it is not in flight.
---@param id number
---@return { sent: number, received: number }?
function methods:progress(id)
  local entry = entries[id]
  return entry and entry.transport == self and dispatcher.engine():progress(id) or nil
end

---Number of requests whose result was not taken yet.
---@return integer
function methods:in_flight()
  return self.count
end

---Later requests of this account use new connections, in this worker: its credentials changed.
---@param account string
function methods.forget(_, account)
  local engine = dispatcher.engine()
  return engine and engine:forget(account)
end

---Cancels what this transport has in flight. The worker's connections remain for its other transports. May be called twice.
function methods:close()
  if self.closed then
    return
  end
  self:cancel_all()
  if self.sleepers > 0 then
    self.semaphore:post(self.sleepers) -- nothing will come for them any more
  end
  self.closed, self.finished, self.first, self.last, self.count = true, {}, 1, 0, 0
  self.collected, self.collected_count = {}, 0
  dispatcher.collect(self, nil)
  for id, entry in pairs(entries) do
    if entry.transport == self then
      entries[id] = nil
      if entry.semaphore then
        entry.semaphore:post(1)
      end
    end
  end
end

return M

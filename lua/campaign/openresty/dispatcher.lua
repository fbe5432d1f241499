-- SPDX-License-Identifier: MIT
-- The engine of an nginx worker, which all of its transports share, and who hands out its results. The engine has a background thread and is
-- created by the worker's first request. While requests are in flight one light thread, the dispatcher, takes results and wakes their
-- waiters; it ends when there are none, so that an exiting worker is not held up. The engine's thread never runs Lua.

local core = require "campaign.core"
local home = require "campaign.openresty.env"
local linger = require "campaign.openresty.linger"

local M = {}

local ngx = package.loaded.ngx

-- If the engine cannot wake the dispatcher: pauses between polls, in seconds, short while results arrive, longer otherwise.
local LEAST, MOST = 0.001, 0.005

-- The engine's thread wakes the dispatcher through a socket, at least four times a second.
local ANSWER = 10 -- seconds without a byte, or to connect, after which the socket is given up
local MEND = 60 -- seconds before another attempt to make one

-- Results handed out per iteration of the event loop: their waiters continue in the same iteration, and neighbours wait for all of them.
local MOST_AT_ONCE = 64

-- Waiters check this often: an nginx timer keeps the worker alive meanwhile, and a lost dispatcher is replaced.
local ROUND = 1

-- nginx drops a timer it accepted if too many run when it is due: until the dispatcher was seen, waiters poll this often themselves.
local UNSEEN = 0.01

-- Of this Lua state, that is of this worker, or with lua_code_cache off of this request.
local engine
local entries = {} -- id → { transport, semaphore?, result?, looked? }
M.entries = entries
local generation = 0 -- of the dispatcher that may run
local seen = 0 -- generation of the last dispatcher that did
local beat = -math.huge -- when that dispatcher was last seen
local idle = linger.new() -- the idle dispatcher
local mended = -math.huge -- time of the next attempt to use a socket

local observer, observed

-- The transport whose expected answers are not made into results: that of the import that asked for them last. Those of others come as results.
local collector
local expected = {} -- of the engine, used again: id, seconds, bytes sent and the platform's id of each

-- What the observer is told of an expected answer.
local as_expected = { status = 200, seconds = nil }

---Reports every result of this worker to a function, before its waiter gets it.
---@param tell fun(result: table)? must not yield
---@param done fun()? called when all available results have been reported; must not yield
function M.observe(tell, done)
  observer, observed = tell, done
end

-- Wakes whoever waits for results of the transport.
local function wake(transport)
  if transport.sleepers > 0 and transport.semaphore:count() < 0 then -- one post per waiter: more would make later waits return at once
    transport.semaphore:post(1)
  end
end

-- Hands a result to its waiter.
local function deliver(id, result)
  local entry = entries[id]
  entries[id] = nil
  if observer then
    observer(result)
  end
  local transport = entry and entry.transport
  if not transport or transport.closed then
    return
  end
  if entry.semaphore then
    transport.count = transport.count - 1
    entry.result = result
    entry.semaphore:post(1)
    return
  end
  transport.last = transport.last + 1 -- not by #: slots before `first` are empty
  transport.finished[transport.last] = { id, result }
  wake(transport)
end

-- Hands expected answers to the transport that collects them.
local function deliver_expected(count)
  local transport = collector
  local known, last = transport.collected, 4 * transport.collected_count
  for at = 1, 4 * count, 4 do
    local id = expected[at]
    if entries[id] then
      entries[id] = nil
      known[last + 1], known[last + 2], known[last + 3], known[last + 4] = id, expected[at + 1], expected[at + 2], expected[at + 3]
      last = last + 4
    end
    if observer then
      as_expected.seconds = expected[at + 1]
      observer(as_expected)
    end
  end
  transport.collected_count = last / 4
  wake(transport)
end

---Takes finished results and hands them out.
---@param most integer? all of them
---@return integer count
local function take(most)
  local count = 0
  while count ~= most do
    local passed, id, result = 0
    if collector then
      passed, id, result = engine:take_known(0, collector.collects, most and most - count or MOST_AT_ONCE, expected)
    else
      id, result = engine:take()
    end
    if passed > 0 then
      deliver_expected(passed)
    end
    if id then
      deliver(id, result)
    elseif passed == 0 then
      break
    end
    count = count + passed + (id and 1 or 0)
  end
  if count > 0 and observed then
    observed()
  end
  return count
end

M.take = take

-- nginx has closed the connections of an exiting worker (worker_shutdown_timeout), and with them the waiters: results that nobody waits for
-- must not hold up the worker.
local function cancel_orphans(now)
  for id, entry in pairs(entries) do
    local is_looking = entry.looked and now - entry.looked < ROUND -- by itself, between two sleeps
    if entry.semaphore and entry.semaphore:count() >= 0 and not is_looking then
      engine:cancel(id)
    end
  end
end

-- The socket through which the engine wakes this light thread, or nil: then it polls.
local function open_bell()
  local now = core.system.monotonic()
  if now < mended or ngx.worker.exiting() then
    return nil
  end
  mended = now + MEND
  local path = engine:listen()
  if not path then
    return nil
  end
  local socket = ngx.socket.tcp()
  socket:settimeouts(ANSWER * 1000, ANSWER * 1000, ANSWER * 1000)
  if not socket:connect("unix:" .. path) or not engine:accept() then
    socket:close()
    return nil
  end
  mended = -math.huge
  return socket
end

-- Waits until there may be results; returns the socket while it is usable.
local function wait_for_results(socket, pause)
  local ready = socket and engine:arm() or -1
  if ready > 0 then
    return socket
  elseif ready < 0 then
    ngx.sleep(pause)
  elseif not socket:receive(1) then -- exactly one byte follows each arm() that returned 0
    socket:close()
    mended = core.system.monotonic() + MEND
    return nil
  end
  return socket
end

local function dispatch(_, mine)
  local pause, next_check = LEAST, 0
  if mine == generation then
    seen = mine
  end
  local socket = open_bell()
  while mine == generation and (next(entries) or idle:wait() or next(entries)) do
    beat = core.system.monotonic()
    home.work_began(beat)
    local count = take(MOST_AT_ONCE)
    pause = count > 0 and LEAST or math.min(pause + 0.001, MOST)
    if beat >= next_check and ngx.worker.exiting() then
      next_check = beat + ROUND / 4
      cancel_orphans(beat)
    end
    if count == MOST_AT_ONCE then
      ngx.sleep(LEAST)
    elseif next(entries) then
      socket = wait_for_results(socket, pause)
    end
  end
  if socket then
    socket:close()
  end
  if mine == generation then
    beat = -math.huge
  end
end

---Makes sure that somebody polls the engine.
---@return boolean? is_polled false if nginx has no timer to give: the waiter does it itself
local function ensure()
  if idle:call() then
    beat = core.system.monotonic()
    return true
  elseif core.system.monotonic() - beat < ROUND then
    return true
  end
  if generation == 0 and ngx.worker.exiting() then
    return false -- nginx's Lua module would not close what it creates for a worker's first timer any more, and log an alert
  end
  generation = generation + 1
  local started = ngx.timer.at(0, dispatch, generation)
  beat = started and core.system.monotonic() or -math.huge
  return started
end

M.ensure = ensure

---Waits for a post.
---@param semaphore table
---@param seconds number at most
---@param entry table? of the request that is waited for, if it is one
---@return boolean? is_posted
---@return boolean? is_clean whether the semaphore's own wait did not time out
function M.wait(semaphore, seconds, entry)
  if ensure() then
    local is_seen = seen == generation
    seconds = math.max(LEAST, math.min(seconds, is_seen and ROUND or UNSEEN)) -- below nginx's timer resolution it would be a busy loop
    local is_posted = semaphore:wait(seconds)
    home.woken(is_posted)
    if is_seen or is_posted then
      return is_posted, is_posted
    end
    take()
    return semaphore:wait(0)
  end
  if entry then
    entry.looked = core.system.monotonic()
  end
  home.sleep(math.min(seconds, LEAST))
  take()
  return semaphore:wait(0)
end

---The engine, created when it is first needed.
---@return userdata? engine
---@return campaign.error? err
function M.need()
  if not engine then
    local made, err = core.http.engine({ driver = "thread" })
    if not made then
      return nil, err
    end
    engine = made
  end
  return engine
end

---The engine, if there is one.
---@return userdata?
function M.engine()
  return engine
end

---Which transport collects expected answers from now on: those to requests of its template, `collects`. They go to its `collected`, and are counted in
---its `collected_count`.
---@param transport table
---@param template userdata? nil: it collects no more
function M.collect(transport, template)
  transport.collects = template
  if template then
    collector = transport
  elseif collector == transport then
    collector = nil
  end
end

return M

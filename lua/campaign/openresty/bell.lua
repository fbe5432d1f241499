-- SPDX-License-Identifier: MIT
-- Wakes light threads of a worker when a thread of the core that does disk I/O (a ledger's, the syncer's) has finished something. They
-- share one Unix socket, read by one light thread while anybody waits; all waiters then check whether it was theirs. If waits are rare, or
-- there is no socket, short sleeps are used instead.

local core = require "campaign.core"
local home = require "campaign.openresty.env"
local linger = require "campaign.openresty.linger"

local M = {}

local ngx = package.loaded.ngx

local SHORT = 0.001 -- seconds of a sleep, where there is no socket
local OFTEN = 0.05 -- seconds: the socket is made when one wait follows another so soon
local ROUND = 1 -- seconds after which whoever waits looks by itself; the nginx timer of this wait also keeps an exiting worker alive
local MEND = 10 -- seconds before another attempt to make a socket
local ANSWER = 30000 -- milliseconds without a byte, after which the socket is given up: work that is on its way to the disk ends sooner

local MOST_FREE = 64

-- Of this Lua state.
local bell -- { number = for those who ring, notice = }
local generation, started = 0, -math.huge -- of the light thread that may read
local last = -math.huge -- when somebody waited
local waiting, free = {}, {} -- whom to post to; semaphores
local idle = linger.new() -- the reader without anybody who waits
local told = setmetatable({}, { __mode = "k" }) -- whoever rings → the bell it has

local function wake()
  local all = waiting
  waiting = {}
  for i = 1, #all do
    all[i]:post(1)
  end
end

local function open()
  local notice = core.system.notice()
  local path, number = notice:listen(), nil
  local socket = ngx.socket.tcp()
  socket:settimeouts(ANSWER, ANSWER, ANSWER)
  if path and socket:connect("unix:" .. path) then
    number = notice:accept()
  end
  if number then
    return socket, { number = number, notice = notice }
  end
  socket:close()
  notice:close()
end

local function read(_, mine)
  if mine ~= generation then
    return
  end
  local socket, made = open()
  if socket and mine == generation then
    bell = made
    while mine == generation and (#waiting > 0 or idle:wait() or #waiting > 0) do
      if not socket:receiveany(256) then
        break
      end
      home.work_began(core.system.monotonic())
      wake()
    end
  end
  if socket then
    socket:close()
    made.notice:close()
  end
  if mine == generation then
    bell, started = nil, socket and -math.huge or core.system.monotonic() + MEND
    wake()
  end
end

local function ensure_reader(now)
  if now - started < ROUND or ngx.worker.exiting() then
    return
  end
  generation = generation + 1
  started = ngx.timer.at(0, read, generation) and now or now + MEND
end

local function forget(semaphore)
  for i = 1, #waiting do
    if waiting[i] == semaphore then
      table.remove(waiting, i)
      return
    end
  end
end

---Has an object ring the bell for everything that it finishes from now on.
---@param object userdata|table which `ring`s: a store, a ledger, a syncer
---@return boolean rings false where there is no bell: short sleeps take its place
---@return boolean is_new what it had finished before, it did not tell
function M.register(object)
  local now = core.system.monotonic()
  local is_often = now - last < OFTEN
  last = now
  if not bell then
    if is_often then
      ensure_reader(now)
    end
    return false, false
  elseif told[object] == bell then
    return true, false
  elseif not object:ring(bell.number) then
    return false, false
  end
  told[object] = bell
  return true, true
end

---Has `waiter:post(1)` called at the next ring; only while something is on its way that will ring.
---@param waiter table
function M.add_waiter(waiter)
  waiting[#waiting + 1] = waiter
  idle:call()
end

---Waits until a thread has finished something, or for a moment: whoever waits for more looks and calls this again.
---@param object userdata which `ring`s: a store, a syncer
function M.wait(object)
  local rings, is_new = M.register(object)
  if not rings then
    return home.sleep(SHORT)
  elseif is_new then
    return
  end
  home.check(2)
  local semaphore = table.remove(free) or home.semaphores().new(0)
  M.add_waiter(semaphore)
  local is_posted = semaphore:wait(ROUND)
  home.woken(is_posted)
  if not is_posted then -- one whose wait ran out is not used again
    forget(semaphore)
  elseif #free < MOST_FREE then
    free[#free + 1] = semaphore
  end
end

return M

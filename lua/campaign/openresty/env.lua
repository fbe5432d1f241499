-- SPDX-License-Identifier: MIT
-- The environment inside an nginx worker: sleeping yields to the event loop, long work pauses between slices, and where nginx does not let
-- Lua yield, an error names the phase. Everything that waits in nginx checks here first; campaign.env selects it automatically.

local core = require "campaign.core"

local M = {}

local ngx = package.loaded.ngx

-- Phases in which a light thread can wait; all others run to their end in one piece.
local YIELDS = {
  access = true, content = true, preread = true, rewrite = true, server_rewrite = true, ssl_cert = true, ssl_client_hello = true,
  ssl_session_fetch = true, timer = true,
}

local DIRECTIVES = {
  balancer = "balancer_by_lua", body_filter = "body_filter_by_lua", exit_worker = "exit_worker_by_lua",
  header_filter = "header_filter_by_lua", init = "init_by_lua", init_worker = "init_worker_by_lua", log = "log_by_lua",
  set = "set_by_lua", ssl_session_store = "ssl_session_store_by_lua",
}

-- Seconds that Lua may hold the event loop before `pause` gives the others a turn; the slice is under 1 ms with what comes before the next pause.
local SLICE = 0.0005

-- nginx's clock has no smaller step; less makes ngx.sleep log a warning.
local SHORTEST = 0.001

-- The timer that gives turns is taken for lost when none was given for LOST seconds, and ordered anew; after MOST_LOST times one goes on without a
-- turn.
local LOST, MOST_LOST = 0.1, 3

-- A wait that nothing need end looks around this often: an nginx timer holds the worker meanwhile.
local ROUND = 1

---The semaphores of lua-resty-core.
---@return table
function M.semaphores()
  local found, semaphore = pcall(require, "ngx.semaphore")
  if not found then
    error("campaign needs lua-resty-core inside nginx (Debian: apt-get install lua-resty-core): " .. tostring(semaphore), 0)
  end
  return semaphore
end

---Raises where nginx does not let Lua wait.
---@param level integer of the error, as for `error`
function M.check(level)
  local phase = ngx.get_phase()
  if not YIELDS[phase] then
    error(("campaign cannot wait in %s: nginx does not let this phase yield; use content_by_lua, access_by_lua, rewrite_by_lua or "
      .. "ngx.timer.at(0, ...)"):format(DIRECTIVES[phase] or "phase " .. tostring(phase)), level + 1)
  end
  if not core.system.is_yieldable() then
    error("campaign cannot wait here: Lua cannot yield inside dofile, require, table.sort or string.gsub; load the script with loadfile "
      .. "and call what it gives", level + 1)
  end
end

---Whether Lua can wait here.
---@return boolean
function M.may_wait()
  return (pcall(M.check, 1))
end

local slice_began = 0

-- Whether Lua runs in the part of a turn of nginx's loop that comes last: behind sockets and timers, where what was posted goes on. It then
-- comes behind the sockets again when a timer without delay gives it its turn; earlier in the turn such a timer would fire in the same one.
local is_late = false

-- Sockets and timers whose work counts into the slice of what goes on behind them.
local early_work = -math.huge

---Told by whoever waits: how the light thread went on that runs now.
---@param is_posted boolean by a semaphore; else by a timer
function M.woken(is_posted)
  is_late = is_posted
end

---Told by a timer of ours that may compute for long.
---@param now number of the monotonic clock
function M.work_began(now)
  early_work, is_late = now, false
end

---Sleeps without holding the worker.
---@param seconds number
function M.sleep(seconds)
  M.check(2)
  ngx.sleep(seconds > SHORTEST and seconds or SHORTEST)
  is_late = false
end

-- Light threads that wait for a turn, one of which goes on in each turn of the loop, so that whoever has little to do never waits for more
-- than one slice of theirs.
local waiting, first, last = {}, 1, 0
local turned = -math.huge -- when a turn was last ordered or given
local ordered = 0

-- Places whose turn came are used again: each new semaphore is one more for the collector to end.
local spare = {}

local function take_place()
  local place = table.remove(spare) or { turn = M.semaphores().new(0), gone = false }
  place.gone = false
  return place
end

-- Gives the next one its turn. Not in a chain of timers: nginx runs all timers that are due, also those that these made, before it looks at
-- its sockets. So whoever got a turn orders the next one's.
local function give_turn(_, mine)
  if mine ~= ordered then
    return -- it came late, and was ordered anew meanwhile
  end
  turned = core.system.monotonic()
  while first <= last do
    local place = waiting[first]
    waiting[first] = nil
    first = first + 1
    if not place.gone then
      place.turn:post(1)
      return
    end
  end
  turned = -math.huge -- nobody waits any more
end

local function order_turn(delay)
  ordered = ordered + 1
  turned = first <= last and ngx.timer.at(delay or 0, give_turn, ordered) and core.system.monotonic() or -math.huge
end

local function post(_, semaphore)
  semaphore:post(1)
end

-- Goes on in the last part of a turn, of this one perhaps.
local function be_late()
  local place = take_place()
  is_late = ngx.timer.at(0, post, place.turn) and place.turn:wait(LOST) or false
  if is_late then
    spare[#spare + 1] = place
  end
end

---Lets the event loop take a turn when Lua has held it for a slice. The turn costs no sleep: a timer without delay fires after the loop
---has looked at its sockets, and what it posts goes on behind them.
function M.pause()
  local now = core.system.monotonic()
  if now - slice_began < SLICE then
    return
  end
  local age = core.system.now() - ngx.now() -- of this turn, up to 1 ms too much: nginx reads its clock at the beginning, in milliseconds
  if age < SLICE then
    slice_began = now - math.max(age, 0)
    return
  end
  M.check(2)
  if not is_late and now - turned > LOST then -- whoever stands in line behind others has its turn ordered by them
    be_late()
    now = core.system.monotonic()
  end
  local place = take_place()
  last = last + 1
  waiting[last] = place
  if now - turned > LOST then
    order_turn()
  end
  if turned < 0 then
    ngx.sleep(SHORTEST) -- there is no timer to have
  end
  local has_turn, lost, delay = turned < 0, 0, nil
  while not has_turn and lost < MOST_LOST do
    has_turn = place.turn:wait(LOST)
    delay = delay or not has_turn and SHORTEST -- woken by a timer: one without delay would run among the same timers
    if not has_turn and core.system.monotonic() - turned > LOST then
      lost = lost + 1 -- nginx dropped the timer for want of room, or is very slow
      order_turn()
    end
  end
  place.gone = true
  if has_turn and not delay and turned >= 0 then -- one whose wait ran out is not used again
    spare[#spare + 1] = place
  end
  now = core.system.monotonic()
  slice_began = now - early_work < SLICE and early_work or now
  is_late = not delay and turned >= 0
  order_turn(delay)
end

-- Seconds after which a timer that was not seen running is not counted on: nginx drops those it has no room for.
local UNSEEN = 0.25

local function run_apart(_, errand, work, ...)
  if not errand.is_begun then
    errand.is_begun = true
    errand.said = { pcall(work, ...) }
    errand.done:post(1)
  end
end

---Runs what must come to its end though nginx may end the request, or the light thread, that asks for it.
---@param work fun(...): any, any no closure made by who calls: nginx empties what one has in common with a light thread that is ended
---@param ... any its arguments
---@return any, any what work gave
function M.apart(work, ...)
  M.check(2)
  local errand = { done = M.semaphores().new(0), is_begun = false, said = nil }
  if ngx.timer.at(0, run_apart, errand, work, ...) then
    M.woken(errand.done:wait(UNSEEN))
  end
  run_apart(false, errand, work, ...) -- nginx had no timer to give, or dropped it
  while not errand.said do
    M.woken(errand.done:wait(ROUND))
  end
  if not errand.said[1] then
    error(errand.said[2], 0)
  end
  return errand.said[2], errand.said[3]
end

---The world of an nginx worker.
---@return campaign.env
function M.new()
  local self
  self = {
    now = core.system.now,
    monotonic = function()
      self.heard = core.system.monotonic()
      return self.heard
    end,
    heard = core.system.monotonic(),
    watch = function() return require("campaign.openresty.watch").begin(self) end,
    sleep = M.sleep,
    random = core.system.random,
    getenv = os.getenv,
    pause = M.pause,
    check = M.check,
    apart = M.apart,
    yields = true,
  }
  return self
end

return M

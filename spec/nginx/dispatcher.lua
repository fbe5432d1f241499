-- SPDX-License-Identifier: MIT
-- The engine's thread driver inside an nginx worker, as small as it can be: one timer per worker takes completions while anything is in
-- flight and wakes the request that waits. Used by reload_test.sh; it proves the shape that an OpenResty transport builds on.

local core = require "campaign.core"
local semaphore = require "ngx.semaphore"

local M = {}

local engine
local waiting = {} -- id → { semaphore, result }
local running = false

-- 1 ms while results come, backing off to 5 ms; it ends when nothing is in flight, so a worker that exits is not held.
local function dispatch()
  local pause = 0.001
  while next(waiting) do
    local id, result = engine:take()
    if id then
      local entry = waiting[id]
      waiting[id] = nil
      pause = 0.001
      if entry then
        entry.result = result
        entry.semaphore:post(1)
      end
    else
      ngx.sleep(pause)
      pause = math.min(pause + 0.001, 0.005)
    end
  end
  running = false
end

---Sends a request and yields until its result is there.
function M.perform(request)
  engine = engine or core.http.engine({ driver = "thread" })
  local id, err = engine:submit(request)
  if not id then
    return nil, err
  end
  local entry = { semaphore = semaphore.new(0) }
  waiting[id] = entry
  if not running then
    running = true
    local started, reason = ngx.timer.at(0, dispatch)
    if not started then
      running = false
      error("no timer: " .. tostring(reason))
    end
  end
  -- The wait has a time limit of its own, so that nginx holds a timer and a leaving worker does not exit under it.
  local woken, reason = entry.semaphore:wait(90)
  if not woken then
    engine:cancel(id)
    waiting[id] = nil
    error("no result in time: " .. tostring(reason))
  end
  return entry.result
end

function M.handle()
  local result, err = M.perform({
    method = "POST", url = "http://127.0.0.1:" .. ngx.var.upstream_port .. "/slow?ms=" .. (ngx.var.arg_ms or "20"),
    body = "from worker " .. ngx.worker.pid(), account = "a" .. (ngx.var.arg_account or "1"), max_connection_age = 60,
  })
  if not result or result.error then
    ngx.status = 502
    ngx.say(tostring(err or result.error))
    return
  end
  ngx.status = result.status
  ngx.print(result.body)
end

return M

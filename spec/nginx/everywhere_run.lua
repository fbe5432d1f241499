-- SPDX-License-Identifier: MIT
-- Runs everywhere.lua: from the command line (everywhere_run.lua ORDER FILE, JOB) or from a location of nginx.

local M = {}

local function run(order_path, job)
  local file = assert(io.open(order_path))
  local order = assert(require("campaign.json").decode(file:read("*a")))
  file:close()
  return require("nginx.everywhere")(order.accounts, order.list, job)
end

-- In the phase of the location; `where` "timer" and "thread" go on from there.
function M.handle(order_path, where)
  local job = order_path .. "-" .. where
  local said
  if where == "timer" then
    local done = require("ngx.semaphore").new(0)
    assert(ngx.timer.at(0, function()
      said = select(2, pcall(run, order_path, job))
      done:post(1)
    end))
    assert(done:wait(50))
  elseif where == "thread" then
    said = select(2, ngx.thread.wait(ngx.thread.spawn(run, order_path, job)))
  else
    said = select(2, pcall(run, order_path, job))
  end
  ngx.print(tostring(said))
  ngx.exit(200)
end

-- One call that needs a token; what it said.
function M.token(order_path)
  local file = assert(io.open(order_path))
  local order = assert(require("campaign.json").decode(file:read("*a")))
  file:close()
  local hypers = assert(require("campaign").connect("hypers", order.accounts.hypers))
  local reply, err = hypers:list_notification_tasks({ taskType = "APPOINTMENT_REMINDER", current = 1, size = 10 })
  hypers:close()
  ngx.print(ngx.worker.pid(), " ", reply and "ok" or tostring(err))
end

if arg and not package.loaded.ngx then
  print(run(arg[1], arg[2]))
end

return M

-- SPDX-License-Identifier: MIT
-- The life of a HYPERS notification task: what the clock has made of it by now. Nothing runs in the background;
-- whoever looks at a task computes it. A member is tried every `hypers.seconds_per_member` seconds from the start
-- on, until the task ends; every `hypers.fail_every`-th member fails.

local M = {}

-- The moment up to which members are tried, and how many were by then.
function M.progress(app, task)
  local settings = app.state.settings
  local from = math.max(task.start, task.created)
  local now = app.clock:now()
  if task.terminated and app:on("R212") then
    now = math.min(now, task.terminated)
  end
  local stop = app:on("R206") and math.min(now, task.stop) or now
  local tried = 0
  if now >= task.start then
    local step = settings["hypers.seconds_per_member"]
    tried = step > 0 and math.floor((stop - from) / step) or #task.members
  end
  return math.max(0, math.min(tried, #task.members)), from
end

function M.status_of(app, task)
  local now = app.clock:now()
  if task.terminated then
    return "TERMINATED"
  elseif now < task.start or not app:on("R204") then
    return app:on("R189") and "PENDING" or "EXECUTING"
  end
  if M.progress(app, task) >= #task.members and app:on("R205") then
    return "COMPLETED"
  elseif now >= task.stop and app:on("R206") then
    return app:on("R207") and "COMPLETED" or "TERMINATED"
  end
  return "EXECUTING"
end

-- What became of one member: status, time of the notification, reason of a failure.
function M.execution_of(app, number, tried, from)
  if number > tried then
    return "PENDING"
  end
  local every = app.state.settings["hypers.fail_every"]
  if every > 0 and number % every == 0 then
    return "FAILED", nil, "unreachable"
  end
  local step = app.state.settings["hypers.seconds_per_member"]
  return "SUCCESS", from + number * step
end

function M.success_count(app, task)
  local tried = M.progress(app, task)
  local every = app.state.settings["hypers.fail_every"]
  return tried - (every > 0 and math.floor(tried / every) or 0)
end

return M

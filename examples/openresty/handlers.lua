-- SPDX-License-Identifier: MIT
-- The handlers of nginx.conf.in: a lead form that becomes one call, an import that a timer runs, and where that import is.

local campaign = require "campaign"
local json = require "campaign.json"

local M = {}

local function answer(status, fields)
  ngx.status = status
  ngx.header.content_type = "application/json"
  ngx.say(json.encode(fields))
end

---A form post with name and phone → one customer.
function M.lead()
  if ngx.req.get_method() ~= "POST" then
    return answer(405, { error = "POST a form with name and phone" })
  end
  ngx.req.read_body()
  local form = ngx.req.get_post_args(20)
  if type(form.phone) ~= "string" or form.phone == "" then
    return answer(400, { error = "phone is missing" })
  end
  local longlong, err = campaign.connect("longlong")
  if not longlong then
    ngx.log(ngx.ERR, tostring(err))
    return answer(500, { error = "the account is not set up" })
  end
  local reply
  reply, err = longlong:import_customers_async{
    data = { { name = type(form.name) == "string" and form.name or nil, phone = form.phone } },
  }
  longlong:close()
  if not reply then
    return answer(err.kind == "invalid" and 400 or 502, { error = err.message, sent = err.sent })
  end
  answer(202, { state = "taken over" })
end

local function run(premature, list, folder)
  local jobs = ngx.shared.campaign_jobs
  if premature then
    jobs:delete("running")
    return
  end
  local done, result, err = pcall(campaign.import, {
    source = list, to = "longlong.import_customers_async", job = folder .. "-" .. ngx.worker.pid() .. "-" .. ngx.now(),
    on_progress = function(event)
      jobs:set("running", true, 600) -- should this worker die, the next import may start after ten minutes
      jobs:set("status", json.encode({ phase = event.phase, rows = event.rows, total = event.total_rows }))
    end,
  })
  jobs:delete("running")
  if not done or not result then
    jobs:set("status", json.encode({ phase = "failed", error = tostring(not done and result or err) }))
    return
  end
  jobs:set("status", json.encode({ phase = result.state, rows = result.rows, accepted = result.taken_over, rejected = result.rejected,
    folder = result.folder }))
end

---Starts the import of a list, unless one is running.
function M.import(list, folder)
  if ngx.req.get_method() ~= "POST" then
    return answer(405, { error = "POST starts the import" })
  end
  local jobs = ngx.shared.campaign_jobs
  if not jobs:add("running", true, 600) then
    return answer(409, { error = "an import is running" })
  end
  local ok, err = ngx.timer.at(0, run, list, folder)
  if not ok then
    jobs:delete("running")
    return answer(503, { error = "nginx has no timer to give: " .. err })
  end
  answer(202, { status = "/status" })
end

function M.status()
  ngx.header.content_type = "application/json"
  ngx.say(ngx.shared.campaign_jobs:get("status") or '{"phase":"none"}')
end

return M

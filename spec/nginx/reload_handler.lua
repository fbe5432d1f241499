-- SPDX-License-Identifier: MIT
-- What reload_test.sh serves: a handler that sends one request by the transport a script gets inside nginx, and passes the answer on.

local transport = require("campaign.transport").new()

local M = {}

function M.handle()
  local result, err = transport:perform({
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

-- SPDX-License-Identifier: MIT
-- J2 of the bench on the public API: a list goes as JSON into longlong, 200 rows a call, 16 in flight.
--
--   lua5.4 bench/campaign_j2.lua URL CSV JOB_FOLDER

local campaign = require "campaign"

local result, err = campaign.import {
  source = arg[2],
  to = "longlong.import_customers_async",
  account = { base_url = arg[1], token = "bench-token", user_id = "bench" },
  map = { extra = "uuid" }, -- the other columns find their fields by the platform's aliases
  concurrency = 16,
  job = arg[3],
}
if not result then
  error(err)
end
assert(result.exit_code == 0, tostring(result.error))
assert(result.accepted_pending == result.rows)

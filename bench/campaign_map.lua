-- SPDX-License-Identifier: MIT
-- The job "map" of the bench on the public API: as J2, with a Lua function that looks at each row, reads three of its fields and sets two.
--
--   lua5.4 bench/campaign_map.lua URL CSV JOB_FOLDER

local campaign = require "campaign"

local result, err = campaign.import {
  source = arg[2],
  to = "longlong.import_customers_async",
  account = { base_url = arg[1], token = "bench-token", user_id = "bench" },
  map = dofile("bench/map.lua"),
  concurrency = 16,
  job = arg[3],
}
if not result then
  error(err)
end
assert(result.exit_code == 0, tostring(result.error))
assert(result.accepted_pending == result.rows)

-- SPDX-License-Identifier: MIT
-- A script of one call, for bench/lib/parts.lua: lua start.lua BASE_URL

local campaign = require "campaign"

local client = assert(campaign.connect("outbound", { base_url = arg[1], token = "t", abbreviate = "bench" }))
assert(client:get_contact_group_detail({}))

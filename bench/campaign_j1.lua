-- SPDX-License-Identifier: MIT
-- J1 of the bench on the public API: a list goes as GBK CSV into an outbound data source, one file.
--
--   lua5.4 bench/campaign_j1.lua URL CSV JOB_FOLDER

local campaign = require "campaign"

local result, err = campaign.import {
  source = arg[2],
  to = "outbound.upload_contacts_file",
  account = { base_url = arg[1], token = "bench-token", abbreviate = "bench" },
  params = { dataSourceName = "bench", operationType = 0, dataSourceType = 0 },
  map = {
    uuid = "uuid", name = "姓名", phone = "手机号", email = "邮箱", company = "公司",
    sex = "性别", grade = "客户等级", groups = "分组", note = "备注",
  },
  rows_per_file = 1000000, -- one file, as the peers send it
  window = "ignore", -- the sink has no closed hours
  job = arg[3],
}
if not result then
  error(err)
end
-- Rows that GBK cannot hold are rejected (7); everything else has to be accepted.
assert(result.exit_code == 0 or result.exit_code == 7, tostring(result.error))
assert(result.accepted + result.rejected == result.rows and result.rejected < result.rows / 100)

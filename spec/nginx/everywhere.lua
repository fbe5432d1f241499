-- SPDX-License-Identifier: MIT
-- One user script for all homes: run by both Luas from the command line and in every phase of nginx that can wait. It gets accounts, a
-- list and a job folder, and gives one line about what happened.

return function(accounts, list, job)
  local campaign = require "campaign"
  local outbound = assert(campaign.connect("outbound", accounts.outbound))
  local groups = assert(outbound:get_contact_group_detail())
  local hypers = assert(campaign.connect("hypers", accounts.hypers))
  local tasks = assert(hypers:list_notification_tasks({ taskType = "APPOINTMENT_REMINDER", current = 1, size = 10 }))
  local missing, err = hypers:get_notification_task({ taskId = "999999999999" })
  local result = assert(campaign.import{
    source = list, to = "longlong.import_customers_async", account = accounts.longlong, job = job, rows_per_call = 100,
  })
  outbound:close()
  hypers:close()
  return ("groups %d; tasks %s; missing %s; import %s, accepted %d, rejected %d of %d"):format(#groups.data, type(tasks),
    tostring(missing or err.kind), result.state, result.taken_over, result.rejected, result.rows)
end

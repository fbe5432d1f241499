-- SPDX-License-Identifier: MIT
-- Identifies the current boot of the machine: times of the monotonic clock are meaningless after the next one.

local core = require "campaign.core"

local M = {}

local known

---@return string id of this start; "unknown" where the system does not tell
function M.id()
  if not known then
    local text = core.system.read_file("/proc/sys/kernel/random/boot_id", 64)
    known = text and text:match("^[%x-]+") or "unknown"
  end
  return known
end

return M

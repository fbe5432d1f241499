-- SPDX-License-Identifier: MIT
-- Opens a list. Detecting its encoding may read the whole file: inside nginx, where that would block all other requests of a worker, a
-- thread of the core does it while the light thread yields; elsewhere the caller blocks.

local core = require "campaign.core"

local M = {}

---As core.rows.input.
---@param options { path: string, encoding: string?, delimiter: string?, max_record: integer? }
---@return userdata? input
---@return campaign.error? err
function M.open(options)
  local home = package.loaded.ngx and require("campaign.openresty.env")
  if not home or not home.may_wait() then
    return core.rows.input(options)
  end
  local errand, err = core.rows.input_later(options)
  if not errand then
    return nil, err
  end
  local is_done, input
  repeat
    home.sleep(0.001)
    is_done, input, err = errand:take()
  until is_done
  return input, err
end

return M

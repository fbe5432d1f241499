-- SPDX-License-Identifier: MIT
-- Picks the transport of the place where Lua runs: the blocking one of plain Lua, or the one that yields inside an nginx worker.

local M = {}

---@return table? transport see docs/architecture.md
---@return campaign.error? err libcurl is missing
function M.new()
  return require(package.loaded.ngx and "campaign.transport.openresty" or "campaign.transport.curl").new()
end

return M

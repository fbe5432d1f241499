-- SPDX-License-Identifier: MIT
-- Loads before the workers start what calls and imports would load on first use: loading a module or a platform's data blocks a worker's
-- event loop for milliseconds. For init_by_lua; the handlers that import do it themselves.

local core = require "campaign.core"
local later = require "campaign.later"

local M = {}

-- What is required where it is used, beside what campaign.later puts off.
local LATE = {
  "campaign", "campaign.api.client", "campaign.durable", "campaign.import", "campaign.import.report.page_file",
  "campaign.import.resume", "campaign.ledger.sqlite", "campaign.openresty.bell", "campaign.openresty.dispatcher", "campaign.openresty.env",
  "campaign.openresty.linger", "campaign.openresty.sync", "campaign.openresty.watch", "campaign.reading", "campaign.transport",
  "campaign.transport.openresty", "ngx.semaphore",
}

---Reads the modules, and the data of platforms.
---@param ... string names of platforms, or paths of platform files
function M.load(...)
  for _, name in ipairs(LATE) do
    require(name)
  end
  later.load_all()
  for _, version in ipairs{ core.http.versions, core.store.version } do -- the libraries too
    local found, err = version()
    if not found then
      error(tostring(err), 2)
    end
  end
  for i = 1, select("#", ...) do
    local platform, err = require("campaign.api.platform").load((select(i, ...)))
    if not platform then
      error(tostring(err), 2)
    end
  end
end

return M

-- SPDX-License-Identifier: MIT
-- Everything the Lua layer takes from the outside world, in one table that specs replace: time, sleep, random bytes, environment, files.

local core = require "campaign.core"

local M = {}

---@class campaign.env
---@field now fun(): number seconds since 1970 UTC
---@field monotonic fun(): number seconds, for durations only
---@field sleep fun(seconds: number)
---@field random fun(count: integer): string bytes fit for secrets
---@field getenv fun(name: string): string?

---The real world, for plain Lua.
---@return campaign.env
function M.default()
  return {
    now = core.system.now,
    monotonic = core.system.monotonic,
    sleep = core.system.sleep,
    random = core.system.random,
    getenv = os.getenv,
  }
end

return M

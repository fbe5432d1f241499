-- SPDX-License-Identifier: MIT
-- Everything that the Lua layer takes from the outside world, in one table that specs can replace: time, sleep, random bytes, environment,
-- files.

local core = require "campaign.core"

local M = {}

---@class campaign.env
---@field now fun(): number seconds since 1970 UTC
---@field monotonic fun(): number seconds, for durations only
---@field sleep fun(seconds: number)
---@field random fun(count: integer): string bytes fit for secrets
---@field getenv fun(name: string): string?
---@field pause? fun() where others share the thread: lets them have a turn when this one was long enough
---@field check? fun(level: integer) raises where nothing can wait
---@field pace_home? fun(account_id: string): table where the rate of an account is kept (see pace/home.lua); a file without it
---@field apart? fun(work: fun(...): any, any, ...): any, any runs what must come to its end whatever becomes of the caller's light thread
---@field watch? fun(): { is_over: boolean } has work looked after that may be ended in the middle, until it says that it is over
---@field yields? boolean sleeping lets others go on: whoever would block waits in short sleeps instead

---The real world: of plain Lua, or of an nginx worker.
---@return campaign.env
function M.default()
  if package.loaded.ngx then
    return require("campaign.openresty.env").new()
  end
  return {
    now = core.system.now,
    monotonic = core.system.monotonic,
    sleep = core.system.sleep,
    random = core.system.random,
    getenv = os.getenv,
  }
end

---The folder for what outlives a process: CAMPAIGN_STATE_DIR, else XDG_STATE_HOME/campaign, else ~/.local/state/campaign.
---@param env campaign.env
---@return string? folder nil when the environment names no home
function M.state_dir(env)
  local named = env.getenv("CAMPAIGN_STATE_DIR")
  if named and named ~= "" then
    return named
  end
  local base = env.getenv("XDG_STATE_HOME")
  if base and base ~= "" then
    return base .. "/campaign"
  end
  local home = env.getenv("HOME")
  return home and home ~= "" and home .. "/.local/state/campaign" or nil
end

return M

-- SPDX-License-Identifier: MIT
-- What the Lua layer takes from the outside world, in one table that specs can replace: time, sleep, random bytes, environment. Files are opened
-- by the layers below api/: transport/files, and the core.

local core = require "campaign.core"

local M = {}

---@class campaign.env
---@field now fun(): number seconds since 1970 UTC
---@field monotonic fun(): number seconds, for durations only
---@field sleep fun(seconds: number)
---@field random fun(count: integer): string bytes fit for secrets
---@field getenv fun(name: string): string?
---@field pause? fun() lets other work of this thread run, if this work ran long enough; missing where nothing else shares the thread
---@field check? fun(level: integer) raises where this thread cannot wait (phases of nginx that cannot yield)
---@field pace_home? fun(account_id: string): table where the rate of an account is kept (see pace/home.lua); a file without it
---@field apart? fun(work: fun(...): any, any, ...): any, any runs work to its end even if nginx aborts the caller's light thread
---@field watch? fun(): { is_over: boolean } registers work that nginx may abort in the middle, so that what it held is released; the work sets `is_over`
---@field yields? boolean `sleep` yields to other work of this thread: poll with short sleeps instead of blocking

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

-- SPDX-License-Identifier: MIT
-- The pace of an account: the calls per second that somebody set for it, and the place that holds its rate for all processes of this user.
-- Imports and single calls share it. The arithmetic is in pace/rate.lua.

local homes = require "campaign.pace.home"
local shared = require "campaign.pace.shared"
local store = require "campaign.auth.store"

local M = {}

-- Where the account's rate is kept: what the world offers, else a file, else this process.
local function home_of(env, account)
  if env.pace_home then
    return env.pace_home(account.id)
  end
  local folder = store.state_dir(env)
  return folder and homes.file(folder .. "/pace", account.id) or nil
end

---Calls per second that somebody set: for this import, for the account, or for everybody.
---@param platform table
---@param account table
---@param options { rate: number? }
---@return number?
function M.rate(platform, account, options)
  return options.rate or account.calls_per_second or platform.limits.calls_per_second
end

-- A number from 0 up to 1.
local function uniform(random)
  local a, b, c = random(3):byte(1, 3)
  return (a + b * 256 + c * 65536) / 16777216
end

---@param platform table
---@param account table
---@param env campaign.env
---@param options { rate: number? }
---@return table shared of campaign.pace.shared
function M.new(platform, account, env, options)
  return shared.new{
    home = home_of(env, account), monotonic = env.monotonic, random = function() return uniform(env.random) end,
    given = M.rate(platform, account, options),
  }
end

return M

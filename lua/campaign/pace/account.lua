-- SPDX-License-Identifier: MIT
-- The pace of an account: its configured calls per second, and the storage of its rate for all processes of this user, shared by imports
-- and single calls. The arithmetic is in pace/rate.lua.

local core = require "campaign.core"
local env_module = require "campaign.env"
local later = require "campaign.later"

-- Loaded on first use: a script with one call into an account without a known rate needs none of it.
local homes = later.module "campaign.pace.home"
local shared = later.module "campaign.pace.shared"

local M = {}

-- The folder of all states; nil where the environment names no home.
local function folder_of(env)
  local folder = env_module.state_dir(env)
  return folder and folder .. "/pace"
end

-- Where the account's rate is stored: as `env` says, else in a file, else (nil) in this process.
local function home_of(env, account)
  if env.pace_home then
    return env.pace_home(account.id)
  end
  local folder = folder_of(env)
  return folder and homes.file(folder, account.id) or nil
end

---The configured calls per second: of this import, else of the account, else of the platform's data.
---@param platform table
---@param account table
---@param options { rate: number? }
---@return number?
function M.rate(platform, account, options)
  return options.rate or account.calls_per_second or platform.limits.calls_per_second
end

---The state file of an account.
---@param folder string for all states
---@param account_id string
---@return string
function M.path(folder, account_id)
  return folder .. "/" .. account_id:gsub("[^%w_.#-]", "-") .. ".pace"
end

---Whether no rate limits the account: none is configured, and no process of this machine has stored one.
---@param platform table
---@param account table
---@param env campaign.env
---@return boolean
function M.is_unknown(platform, account, env)
  if env.pace_home or M.rate(platform, account, {}) then
    return false
  end
  local folder = folder_of(env)
  if not folder then
    return true
  end
  local info, err = core.system.stat(M.path(folder, account.id), false)
  return not info and err.reason == "missing"
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

-- SPDX-License-Identifier: MIT
-- What an import's pace is made of: requests in flight and calls per second from the options, the account and the platform's data, and the
-- place that holds the account's rate for all processes of this user. Decides nothing while the import runs.

local homes = require "campaign.pace.home"
local pace = require "campaign.import.pace"
local store = require "campaign.auth.store"

local M = {}

-- Where nobody said how many: so many times the platform's own figure, as far as answers stay fast, and never more than this.
local GROWTH, MOST = 4, 200

-- Where the account's rate is kept: what the world offers, else a file, else this process.
local function home_of(env, account)
  if env.pace_home then
    return env.pace_home(account.id)
  end
  local folder = store.state_dir(env)
  return folder and homes.file(folder .. "/pace", account.id) or nil
end

---Requests in flight: at the start, and at most.
---@param platform table
---@param operation table
---@param options table
---@return integer start
---@return integer most
function M.in_flight(platform, operation, options)
  if options.concurrency then
    return options.concurrency, options.concurrency
  end
  local start = operation.rows.concurrency or platform.limits.concurrency or 1
  return start, start == 1 and 1 or math.max(start, math.min(start * GROWTH, MOST))
end

---Calls per second that somebody set: for this import, for the account, or for everybody.
---@param platform table
---@param account table
---@param options table
---@return number?
function M.rate(platform, account, options)
  return options.rate or account.calls_per_second or platform.limits.calls_per_second
end

---@param platform table
---@param operation table
---@param account table
---@param options table of the import
---@return table pace of campaign.import.pace
function M.pace(platform, operation, account, options)
  local env = options.env
  local start, most = M.in_flight(platform, operation, options)
  return pace.new{
    limit = start, most = most, rate = M.rate(platform, account, options), home = home_of(env, account),
    monotonic = env.monotonic, random = env.random,
  }
end

return M

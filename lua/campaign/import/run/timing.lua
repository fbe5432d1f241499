-- SPDX-License-Identifier: MIT
-- The parameters of an import's pace: requests in flight from the options, the account and the platform's data, and the account's own rate.
-- Decides nothing while the import runs.

local account_pace = require "campaign.pace.account"
local pace = require "campaign.import.run.pace"

local M = {}

-- Without a given maximum: this many times the platform's own figure, as long as answers stay fast, and an absolute maximum.
local GROWTH, MOST = 4, 200

---Requests in flight: initial number and maximum.
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

M.rate = account_pace.rate

---@param platform table
---@param operation table
---@param account table
---@param options table of the import
---@return table pace of campaign.import.run.pace
function M.pace(platform, operation, account, options)
  local env = options.env
  local start, most = M.in_flight(platform, operation, options)
  return pace.new{
    limit = start, most = most, shared = account_pace.new(platform, account, env, options), monotonic = env.monotonic, random = env.random,
  }
end

return M

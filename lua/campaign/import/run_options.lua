-- SPDX-License-Identifier: MIT
-- Options of one run of a job rather than of the job itself, common to import, resume and retry, in Lua and on the command line. Values are
-- checked in import/options.lua.

local M = {}

---@class campaign.run.options
---@field account? string|table the account's name, or its keys
---@field window? "wait"|"refuse"|"ignore" inside the platform's closed hours
---@field busy? "wait"|"refuse" while another import of this user sends to the same target
---@field concurrency? integer requests in flight, at most
---@field rate? number calls per second, at most
---@field max_reject? string|number "5%" of the rows that were sent, or a number of rows: the run ends when the platform refuses more; "none"
---@field bisect? integer calls, at most, to find the invalid rows of one refused batch; 0: none
---@field attempts? integer attempts, at most, to send a batch that was provably not applied
---@field on_progress? fun(event: campaign.import.event)
---@field env? campaign.env
---@field transport? table

-- `open_store` is for specs: where tokens are kept.
M.NAMES = { "account", "window", "busy", "concurrency", "rate", "max_reject", "bisect", "attempts", "on_progress", "env", "transport",
  "open_store" }

---Those of them that were given.
---@param given table
---@return campaign.run.options
function M.pick(given)
  local picked = {}
  for _, name in ipairs(M.NAMES) do
    picked[name] = given[name]
  end
  return picked
end

return M

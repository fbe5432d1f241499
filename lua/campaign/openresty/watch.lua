-- SPDX-License-Identifier: MIT
-- Watches the imports of a worker: one whose light thread was ended by nginx is not heard from any more, and its locks must be released for
-- others. An import that only waits is not heard from either: collecting garbage does it no harm, and the interval grows each time.

local abandoned_jobs = require "campaign.abandoned_jobs"
local core = require "campaign.core"

local M = {}

local ngx = package.loaded.ngx

local LOOK = 1 -- seconds
local SILENT, LONGER = 2, 4 -- seconds, times as long after each collection that it outlived
local EVERY = 30 -- seconds between two collections, each of which holds the loop for some milliseconds

local watched = {}
local WEAK = { __mode = "v" }
local is_looking = false

local ensure_look

local function look(premature)
  is_looking = false
  if premature then
    return
  end
  for i = #watched, 1, -1 do
    local entry = watched[i]
    local env = entry.weak.env
    if not env or entry.is_over then
      table.remove(watched, i)
    elseif core.system.monotonic() - env.heard > entry.silent and abandoned_jobs.collect(EVERY) then
      entry.silent = entry.silent * LONGER
    end
  end
  ensure_look()
end

function ensure_look()
  is_looking = is_looking or watched[1] ~= nil and ngx.timer.at(LOOK, look) ~= nil
end

---Looks after whoever works in this environment, as long as it is not over.
---@param env campaign.env with `heard`, when it last asked for the time
---@return { is_over: boolean } entry
function M.begin(env)
  local entry = { weak = setmetatable({ env = env }, WEAK), is_over = false, silent = SILENT }
  watched[#watched + 1] = entry
  ensure_look()
  return entry
end

return M

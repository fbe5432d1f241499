-- SPDX-License-Identifier: MIT
-- A location for load balancers and monitors: 200 while this worker can work, else 503 with the problems. Folders are tested by writing to
-- them, at most every few seconds and on a thread of the core.

local core = require "campaign.core"
local durable = require "campaign.durable"
local request = require "campaign.openresty.request"

local M = {}

local ngx = package.loaded.ngx

local TRIED_SECONDS = 5
local GIVEN_UP_SECONDS = 10 -- an attempt that has not ended by then: the disk hangs, or nginx ended its request; the next request tries again
local PRIVATE, FOLDER = 384, 448 -- 0600, 0700

local methods = {}
local mt = { __index = methods, __name = "campaign.openresty.health" }

---@param options { folders: string[]?, shared: string? } folders that must be writable (stores of callbacks, jobs); shared: a dictionary with room
function M.new(options)
  return setmetatable({ _folders = options.folders or {}, _shared = request.shared(options.shared), _tried = -math.huge, _begun = -math.huge,
    _trying = nil, _problems = {} }, mt)
end

local function try_folder(folder)
  local ok, err = core.system.make_dirs(folder, FOLDER)
  if ok then
    ok, err = durable.write(folder .. "/.health", tostring(ngx.worker.pid()) .. "\n", PRIVATE)
  end
  return not ok and tostring(err and err.message) or nil
end

---The problems by name; empty if there are none.
---@return table<string, string> problems
function methods:problems()
  local now = core.system.monotonic()
  if now - self._tried >= TRIED_SECONDS and now - self._begun >= GIVEN_UP_SECONDS then
    if self._trying then -- told until an attempt ends, since the disk may hang on
      self._problems = { [self._trying] = ("nothing could be written within %d seconds"):format(GIVEN_UP_SECONDS) }
    end
    self._begun = now
    local found = {}
    for _, folder in ipairs(self._folders) do
      self._trying = folder
      local fine, problem = pcall(try_folder, folder)
      found[folder] = not fine and "cannot be tried: " .. tostring(problem) or problem
    end
    if self._begun == now then -- else a later attempt is under way
      self._problems, self._tried, self._begun, self._trying = found, now, -math.huge, nil
    end
  end
  local problems = {}
  for name, problem in pairs(self._problems) do
    problems[name] = problem
  end
  return problems
end

---Conditions that need attention although everything works; empty if there are none.
---@return table<string, string> warnings
function methods:warnings()
  return { dictionary = self._shared and self._shared:free_space() == 0
    and "the shared dictionary has no free page left: progress and counts may be missing" or nil }
end

---The whole location.
function methods:handle()
  if request.refuse_method("GET", "HEAD") then
    return
  end
  local problems = self:problems()
  local warnings = self:warnings()
  local is_well = next(problems) == nil
  request.json(is_well and 200 or 503, { ok = is_well, version = core.version, worker = ngx.worker.pid(),
    problems = not is_well and problems or nil, warnings = next(warnings) and warnings or nil })
end

return M

-- SPDX-License-Identifier: MIT
-- Loads modules that most scripts do not need on first access, since compiling them is most of the time of a script with one call. Code
-- that handles answers is required as usual, and so must be code that runs when files can no longer be opened; an import loads everything
-- before it starts.

local M = {}

-- Modules that `load_all` has not required yet.
local deferred = {}

---A stand-in for a module that loads it on first access; it can only be indexed: `local pages = later.module "campaign.api.pages"`.
---@param name string
---@return table
function M.module(name)
  deferred[#deferred + 1] = name
  return setmetatable({}, {
    __name = "campaign.later",
    __index = function(self, key)
      local value = require(name)[key]
      self[key] = value -- the next access does not come here
      return value
    end,
  })
end

---Loads all deferred modules.
function M.load_all()
  while deferred[1] do
    require(table.remove(deferred)) -- may defer more
  end
end

return M

-- SPDX-License-Identifier: MIT
-- Loads modules that most scripts do not need on first access, since compiling them is most of the time of a script with one call. Code
-- that handles answers is required as usual, and so must be code that runs when files can no longer be opened; an import loads everything
-- before it starts.

local M = {}

-- Names that were put off and not asked for by `load_all` yet.
local put_off = {}

---The module of that name, to be indexed only: `local pages = later.module "campaign.api.pages"`.
---@param name string
---@return table
function M.module(name)
  put_off[#put_off + 1] = name
  return setmetatable({}, {
    __name = "campaign.later",
    __index = function(self, key)
      local value = require(name)[key]
      self[key] = value -- asked for once only
      return value
    end,
  })
end

---Loads whatever was put off so far.
function M.load_all()
  while put_off[1] do
    require(table.remove(put_off)) -- may put off more
  end
end

return M

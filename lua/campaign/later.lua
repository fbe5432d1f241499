-- SPDX-License-Identifier: MIT
-- Modules that most scripts never use: loaded when one of their functions is first asked for, since compiling its sources is most of the
-- time that a script of one call takes. What works on answers is required as usual, and so must be whatever runs when files can no longer
-- be opened; an import loads all of it before it begins.

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

-- SPDX-License-Identifier: MIT
-- A table's keys in order, for messages, pages and everything else that must read the same each time. Keys are of one kind.

local M = {}

---@param set table
---@return any[]
function M.keys(set)
  local keys = {}
  for key in pairs(set) do
    keys[#keys + 1] = key
  end
  table.sort(keys)
  return keys
end

return M

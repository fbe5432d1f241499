-- SPDX-License-Identifier: MIT
-- The sorted keys of a table, for messages, pages and other output that must be reproducible. All keys must have one type.

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

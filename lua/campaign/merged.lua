-- SPDX-License-Identifier: MIT
-- A shallow copy of a table, or of several in one.

---A new table with the fields of others. Of equal keys the last one counts.
---@param ... table? nil counts as an empty table
---@return table
return function(...)
  local merged = {}
  for i = 1, select("#", ...) do
    for key, value in pairs((select(i, ...)) or {}) do
      merged[key] = value
    end
  end
  return merged
end

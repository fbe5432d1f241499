-- SPDX-License-Identifier: MIT
-- Named rules: checks over several fields at once that the vocabulary cannot say. A platform file refers to them by name.

local M = {}

M.RULES = { outbound_equal_width=1, tuzhan_identity=1, hypers_period=1, hypers_variables=1, hypers_image_url=1, hypers_plan=1 }

function M.names()
  local names = {}
  for name in pairs(M.RULES) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

return M

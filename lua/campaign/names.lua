-- SPDX-License-Identifier: MIT
-- The names of the members of a list, in its order.

---@param list { name: string }[]
---@return string[]
return function(list)
  local names = {}
  for index, member in ipairs(list) do
    names[index] = member.name
  end
  return names
end

-- SPDX-License-Identifier: MIT
-- "Did you mean": the name in a list that is nearest to the given one by edit distance. For error messages only.

local M = {}

-- Edit distance (insert, delete, replace, swap of neighbours), given up above `limit`.
local function distance(a, b, limit)
  if math.abs(#a - #b) > limit then
    return limit + 1
  end
  local before, row = {}, {}
  for j = 0, #b do
    row[j] = j
  end
  for i = 1, #a do
    local two_before
    two_before, before, row = before, row, { [0] = i }
    local least = i
    for j = 1, #b do
      local cost = a:byte(i) == b:byte(j) and 0 or 1
      local best = math.min(row[j - 1] + 1, before[j] + 1, before[j - 1] + cost)
      if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        best = math.min(best, two_before[j - 2] + 1)
      end
      row[j] = best
      least = math.min(least, best)
    end
    if least > limit then
      return limit + 1
    end
  end
  return row[#b]
end

local function plain(name)
  return (name:lower():gsub("[_%-%s]", ""))
end

---The nearest of `names`, or nil when none is near.
---@param word string
---@param names string[]
---@return string?
function M.nearest(word, names)
  if type(word) ~= "string" or #word > 100 then
    return nil
  end
  local best, best_distance
  for _, name in ipairs(names) do
    local limit = math.max(1, math.floor(#name / 3))
    local d = plain(word) == plain(name) and 0 or distance(plain(word), plain(name), limit)
    local is_near = d <= limit and (d == 0 or d < #name) -- of a name of one letter, any other letter is nothing
    if is_near and (not best or d < best_distance) then
      best, best_distance = name, d
    end
  end
  return best
end

---" (did you mean `x`?)" or "".
---@param word string
---@param names string[]
---@return string
function M.help(word, names)
  local name = M.nearest(word, names)
  return name and " (did you mean `" .. name .. "`?)" or ""
end

return M

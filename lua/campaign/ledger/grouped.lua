-- SPDX-License-Identifier: MIT
-- Queries that count by groups. SQLite sorts what it groups, in memory; so it is asked about a range of keys at a time, and the groups of the
-- ranges are put together here. Memory grows with the number of groups, not with that of batches or rows.

local schema = require "campaign.ledger.schema"

---RANGE: keys of one range; at most so many records are sorted at a time.
local M = { RANGE = 5000 }

-- A text that is the same for records of the same group only.
local function key_of(record, names, keys)
  local parts = {}
  for i = 1, keys do
    local value = record[names[i]]
    local text = tostring(value)
    parts[i] = value == nil and "-" or #text .. ":" .. text
  end
  return table.concat(parts)
end

-- Adds a range's record of a group to that of the ranges before.
local function add(sum, record, names, shape)
  for i = shape.keys + 1, #names do
    local name = names[i]
    if i == shape.least then
      sum[name] = math.min(sum[name], record[name])
    elseif i == shape.most then
      sum[name] = math.max(sum[name], record[name])
    else
      sum[name] = sum[name] + record[name]
    end
  end
end

-- NULL comes first, as in SQLite.
local function order(left, right)
  if left == right then
    return nil
  end
  return left == nil or right ~= nil and left < right
end

-- By the most frequent first if the shape says so, then by the columns from `first` on.
local function sort(list, names, shape)
  local count = shape.by_count and names[#names]
  table.sort(list, function(left, right)
    if count and left[count] ~= right[count] then
      return left[count] > right[count]
    end
    for i = shape.first or 1, #names do
      local is_before = order(left[names[i]], right[names[i]])
      if is_before ~= nil then
        return is_before
      end
    end
    return false
  end)
end

---The groups of a whole ledger.
---@param query fun(name: string, ...: any): table[]?, campaign.error? runs a statement
---@param what string one of schema.GROUPED
---@param ... any further parameters of the statement
---@return table[]? groups in order
---@return campaign.error? err
function M.ask(query, what, ...)
  local shape, names = schema.GROUPED[what], schema.NAMES[what]
  local highest, err = query("highest_" .. shape.of)
  if not highest then
    return nil, err
  end
  local list, by_key = {}, {}
  for after = 0, highest[1][1] - 1, M.RANGE do
    local records
    records, err = query(what, after, after + M.RANGE, ...)
    if not records then
      return nil, err
    end
    for _, record in ipairs(records) do
      local key = key_of(record, names, shape.keys)
      if by_key[key] then
        add(by_key[key], record, names, shape)
      else
        list[#list + 1], by_key[key] = record, record
      end
    end
  end
  sort(list, names, shape)
  for i = #list, (shape.limit or #list) + 1, -1 do
    list[i] = nil
  end
  return list
end

return M

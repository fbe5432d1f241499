-- SPDX-License-Identifier: MIT
-- What two queries at a platform prove about the one call between them: pure functions of the platform's data (`probe`), the state before
-- and the state now. Whatever is not proved is `unclear`. import/run/settle makes the queries.

local core = require "campaign.core"
local json = require "campaign.json"
local normalise = require "campaign.api.normalise"

local M = {}

-- Maximum number of entries of one name; with more, nothing can be proved.
local MOST_ENTRIES = 1000

local function text_of(value)
  if value == nil or type(value) == "table" then
    return nil
  end
  if type(value) == "number" and value == math.floor(value) then
    return ("%.0f"):format(value)
  end
  return tostring(value)
end

local function is_meant(probe, entry, fields)
  if type(entry) ~= "table" or probe.unless and normalise.meets(entry, probe.unless) then
    return false
  end
  for theirs, ours in pairs(probe.match) do
    local value = text_of(normalise.at(entry, theirs))
    if value == nil or value ~= text_of(fields[ours]) then
      return false
    end
  end
  return true
end

local function count(value)
  return type(value) == "number" and value >= 0 and value < 2 ^ 53 and value == math.floor(value) and value or nil
end

---What a query shows, as plain data for the ledger.
---@param probe table of the operation
---@param entries table[] the list that the platform gave
---@param fields table the call's fields
---@param sha256 (fun(): string?)? of what the call sends, asked for only where entries carry digests
---@return table? seen nil when it shows nothing that could be compared
---@return string? why not
function M.read(probe, entries, fields, sha256)
  local found = {}
  for _, entry in ipairs(entries) do
    if is_meant(probe, entry, fields) then
      found[#found + 1] = entry
    end
  end
  if probe.kind == "total" then
    if #found ~= 1 then
      return nil, #found == 0 and "the target is not listed" or "the target is listed more than once"
    end
    local total = count(normalise.at(found[1], probe.count))
    if not total then
      return nil, "it has no total"
    end
    local seen = { total = total, marks = {} }
    for i, path in ipairs(probe.marks or {}) do
      seen.marks[i] = text_of(normalise.at(found[1], path)) or ""
    end
    return seen
  end
  local digest = probe.sha256 and sha256 and sha256()
  local ids = {}
  for _, entry in ipairs(found) do
    local id = text_of(normalise.at(entry, probe.id))
    if not id then
      return nil, "an entry has no number"
    end
    local theirs = probe.sha256 and text_of(normalise.at(entry, probe.sha256))
    if not probe.sha256 or digest and theirs and theirs:lower() == digest:lower() then
      ids[#ids + 1] = id
    end
  end
  if #ids > MOST_ENTRIES then
    return nil, "there are too many entries of this name"
  end
  table.sort(ids)
  return { ids = core.json.array(ids) }
end

---@param seen table?
---@return string? text
function M.write(seen)
  return seen and json.encode(seen) or nil
end

---Reads back what `write` made.
---@param text string?
---@return table? seen
function M.restore(text)
  local seen = text and json.decode(text)
  if type(seen) ~= "table" or not (count(seen.total) and type(seen.marks) == "table" or type(seen.ids) == "table") then
    return nil
  end
  return seen
end

local function same_marks(before, now)
  if #before.marks ~= #now.marks then
    return false
  end
  for i, mark in ipairs(before.marks) do
    if mark ~= now.marks[i] then
      return false
    end
  end
  return true
end

---Whether two queries show the same.
---@param one table
---@param other table
---@return boolean
function M.same(one, other)
  if one.total or other.total then
    return one.total == other.total and same_marks(one, other)
  end
  return table.concat(one.ids, "\0") == table.concat(other.ids, "\0")
end

local function totals(before, now, call)
  local moved = not same_marks(before, now)
  local said = ("total %.0f before, %.0f now, %d rows sent%s"):format(before.total, now.total, call.rows,
    #now.marks == 0 and "" or moved and ", changed since" or ", unchanged since")
  if #now.marks > 0 and not moved then
    -- If an update could leave the marks unchanged, they would prove nothing.
    return now.total == before.total and "unchanged" or "unclear", said
  elseif call.is_destructive then
    -- A replaced list has as many rows as the call; that proves nothing if it had that many before.
    return now.total == call.rows and before.total ~= call.rows and "applied" or "unclear", said
  elseif now.total == before.total + call.rows then
    return "applied", said
  elseif now.total == before.total and #now.marks == 0 then
    return "unchanged", said
  elseif now.total >= before.total and now.total < before.total + call.rows then
    return "partial", said -- the platform may still be counting, or somebody else is writing
  end
  return "unclear", said
end

---What became of a call.
---@param before table seen before it was made
---@param now table seen after it
---@param call table rows, is_destructive
---@return "applied"|"unchanged"|"partial"|"unclear" finding `unchanged` proves something only once nothing of the call can happen any more
---@return string said evidence in words
---@return string? receipt the platform's number of what the call made
function M.judge(before, now, call)
  if before.disturbed then
    return "unclear", "somebody else writes to this target"
  elseif before.total and now.total then
    return totals(before, now, call)
  elseif not before.ids or not now.ids then
    return "unclear", "the looks cannot be compared"
  end
  local old, new = {}, {}
  for _, id in ipairs(before.ids) do
    old[id] = true
  end
  for _, id in ipairs(now.ids) do
    if not old[id] then
      new[#new + 1] = id
    end
  end
  local said = ("%d such entries before, %d new ones"):format(#before.ids, #new)
  if #new == 1 then
    return "applied", said, new[1]
  end
  return #new == 0 and "unchanged" or "unclear", said
end

return M

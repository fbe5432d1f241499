-- SPDX-License-Identifier: MIT
-- Results that arrive after the answer: joins stored callbacks to the batches of a job. A callback counts for the batch whose id (receipt)
-- it has, or, if the answer was lost and the id with it, for the batch whose marks it has, all of them and no others. Results that do not
-- add up prove nothing and put, or leave, the batch in doubt. Sends nothing.

local redact = require "campaign.api.redact"
local refused = require "campaign.import.report.refused"
local rows_module = require "campaign.import.report.rows"

local M = {}

-- Bytes: the longest reason of a row that is recorded, and the shortest value of the row that is removed from it.
local MOST_REASON, LEAST_HIDDEN = 300, 4

---@class campaign.import.run.late_results.sent
---@field row integer number in the file
---@field mark string? as it was sent

---What one result says about a batch.
---@param result table of a callback receiver: rows, total?, success?, fail?, conflict
---@param outcomes table<integer, { ok: boolean, reason: string? }> of callback.join
---@param unmatched table[] of callback.join
---@param sent campaign.import.run.late_results.sent[]
---@return "confirmed"|"conflict" verdict
---@return string detail
---@return table[]? rejected row, reason, in the order of the rows
function M.decide(result, outcomes, unmatched, sent)
  local good, rejected = 0, {}
  for _, item in ipairs(sent) do
    local outcome = outcomes[item.row]
    if outcome and outcome.ok then
      good = good + 1
    elseif outcome then
      rejected[#rejected + 1] = { row = item.row, reason = outcome.reason, fields = item.fields }
    end
  end
  local said = ("%d rows sent; the callback tells of %d, %d good, %d bad%s"):format(#sent, #result.rows, good, #rejected,
    result.total and (" of a total of %.0f"):format(result.total) or "")
  if result.conflict then
    return "conflict", "two callbacks of this number contradict each other; " .. said
  end
  local agrees = #unmatched == 0 and good + #rejected == #sent and (result.total or #sent) == #sent and (result.success or good) == good
    and (result.fail or #rejected) == #rejected
  if not agrees then
    return "conflict", "the callback does not agree with what was sent: " .. said
  end
  return "confirmed", said, rejected
end

-- The rows of a batch as they were sent, with our marks where the platform has a field for them.
local function sent_rows(work, batch)
  local field, sent = work.operation.rows.mark, {}
  local list, err = {}, nil
  if field then
    list, err = refused.sent_rows(work.operation, work.encoder, work.input, batch)
  end
  if not list then
    return nil, err
  end
  for position, row, fields in rows_module.each_sent(work.input, batch) do
    local mark = type(list[position]) == "table" and list[position][field]
    sent[position] = { row = row, mark = type(mark) == "string" and mark or nil, fields = fields }
  end
  return sent
end

-- Whether a row is of a batch in doubt whose id is not known. Only their marks are kept in memory: a store may have those of millions of rows.
local function is_sought(work)
  local ranges = {}
  for batch in work.ledger:scan("told") do
    if batch.state == "U" and not batch.receipt then
      ranges[#ranges + 1] = { batch.first_row, batch.first_row + batch.rows - 1 }
    end
  end
  table.sort(ranges, function(left, right) return left[1] < right[1] end)
  return function(row)
    local low, high = 1, #ranges
    while low < high do
      local middle = math.ceil((low + high) / 2)
      if ranges[middle][1] <= row then
        low = middle
      else
        high = middle - 1
      end
    end
    return ranges[low] ~= nil and ranges[low][1] <= row and row <= ranges[low][2]
  end
end

-- The callbacks that carry our own marks, by row.
local function by_mark(work)
  local prefix, found, sought = work.id .. ".", {}, is_sought(work)
  for _, entry in ipairs(work.reader.inbox:list("first")) do
    local result, err = work.reader:result(entry.id)
    if err then
      return nil, err
    end
    for _, row in ipairs(result and result.rows or {}) do
      local number = row.mark and row.mark:sub(1, #prefix) == prefix and tonumber(row.mark:sub(#prefix + 1))
      if number and sought(number) then
        found[number] = found[number] or {}
        found[number][entry.id] = true
      end
    end
  end
  return found
end

-- The id of the only callback whose marks are those of a batch; nil and the reason if there is none.
local function number_of(work, sent)
  local err
  if not work.marked then
    work.marked, err = by_mark(work)
    if not work.marked then
      return nil, nil, err
    end
  end
  local prefix, numbers, only = work.id .. ".", 0, nil
  for _, item in ipairs(sent) do
    if not (item.mark and item.mark == prefix .. item.row) then
      return nil, "its rows do not bear our marks"
    end
    for id in pairs(work.marked[item.row] or {}) do
      if id ~= only then
        numbers, only = numbers + 1, id
      end
    end
  end
  if numbers > 1 then
    return nil, ("callbacks of %d numbers tell of its rows: it may have been taken over more than once"):format(numbers)
  end
  return only
end

-- The platform's message about a row without the row's values: the ledger contains no personal data.
local function words(row)
  local hidden = {}
  for _, value in ipairs(row.fields or {}) do
    hidden[#hidden + 1] = #value >= LEAST_HIDDEN and value or nil
  end
  return row.reason and row.reason ~= "" and redact.scrub(row.reason, hidden, MOST_REASON) or nil
end

local function settle(work, batch, id, sent)
  local result, err = work.reader:result(id)
  if not result then
    return nil, err
  end
  local outcomes, unmatched = work.join(result, sent)
  local verdict, detail, rejected = M.decide(result, outcomes, unmatched, sent)
  local changed
  if verdict == "confirmed" then
    local rows = {}
    for i, row in ipairs(rejected) do
      rows[i] = { row = row.row, batch = batch.index, state = "rejected", cause = "platform", reason = "refused",
        message = words(row) }
    end
    changed, err = work.ledger:confirm(batch.index, id, rows, detail)
  else
    changed, err = work.ledger:contradict(batch.index, detail)
  end
  if err then
    return nil, err
  end
  return changed and { batch = batch.index, as = verdict, detail = detail, rejected = rejected and #rejected or 0 } or nil
end

local function join_one(work, batch)
  local is_doubtful = batch.state == "U"
  local id = batch.receipt
  if not is_doubtful then
    local conflict = id and work.reader.inbox.in_conflict[id]
    if not id or batch.state == "C" and not conflict or not work.reader.inbox.by_id[id] then
      return nil
    end
  end
  local sent, err = sent_rows(work, batch)
  if not sent then
    return nil, err
  end
  if is_doubtful and not id then
    local why
    id, why, err = number_of(work, sent)
    if err then
      return nil, err
    elseif not id then
      return why and { batch = batch.index, detail = why } or nil
    end
  end
  if is_doubtful and work.reader.inbox.in_conflict[id] then
    return { batch = batch.index, detail = "two callbacks of its number contradict each other" }
  end
  return settle(work, batch, id, sent)
end

---Joins the callbacks that have arrived.
---@param work table id, ledger, input, encoder, operation, reader (campaign.callback.reader), join (campaign.callback.join)
---@return table[]? joined batch, as ("confirmed", "conflict"; nil: nothing follows), detail, rejected
---@return campaign.error? err
function M.join(work)
  work.reader.inbox:list() -- reads what came since
  local joined = {}
  for batch in work.ledger:scan("batches") do
    if batch.state == "U" or batch.state == "A" and batch.awaits == 1 or batch.state == "C" then
      local found, err = join_one(work, batch)
      if err then
        return nil, err
      end
      joined[#joined + 1] = found
    end
  end
  return joined
end

return M

-- SPDX-License-Identifier: MIT
-- The rows of a batch whose outcome is known: accounts for them, and lists those that need attention in the job folder's row files. Only
-- here are rows read again from the file as Lua values; successful batches cost nothing.

local accounting = require "campaign.import.report.accounting"
local core = require "campaign.core"
local error_object = require "campaign.error"
local listing = require "campaign.import.report.listing"
local refused = require "campaign.import.report.refused"

local M = {}

local methods = {}
local mt = { __index = methods, __name = "campaign.import.report.rows" }

-- Rows that are listed between two pauses.
local AT_ONCE = 16

---@param options table input, encoder, operation, folder, books, columns, ledger, pause (lets other work of the thread run)
---@return table rows
function M.new(options)
  local files = {}
  for state, name in pairs(accounting.FILES) do
    files[state] = listing.new(options.folder[name], options.columns)
  end
  return setmetatable({
    input = options.input, encoder = options.encoder, operation = options.operation, books = options.books,
    columns = options.columns, ledger = options.ledger, files = files, pause = options.pause,
  }, mt)
end

---Makes a function that tells which rows of a batch, counted from 1, its body leaves out. It must be called in ascending order.
---@param text string? the batch's `skip`: "3,17-19" is 3, 17, 18, 19
---@return fun(position: integer): boolean
function M.skipper(text)
  local next_run = (text or ""):gmatch("(%d+)%-?(%d*)") -- linear: disjoint classes
  local from, to = next_run()
  return function(position)
    while from and position > (tonumber(to) or tonumber(from)) do
      from, to = next_run()
    end
    return from ~= nil and position >= tonumber(from)
  end
end

-- How many records of a batch must be read for so many rows of its body.
local function reach(batch, most)
  local skipped, position, sent = M.skipper(batch.skip), 0, 0
  while sent < math.min(most, batch.accepted) do
    position = position + 1
    sent = skipped(position) and sent or sent + 1
  end
  return math.max(position, 1)
end

---Iterates over the rows in a batch's body. Raises if the list cannot be read.
---@param input userdata
---@param batch table
---@param most integer? only so many
---@return fun(): integer?, integer?, string[]?, integer? next position in the body, row number, fields, line
function M.each_sent(input, batch, most)
  local next_row, read_err = input:rows(batch, most and reach(batch, most))
  if not next_row then
    error(read_err, 0)
  end
  local skipped = M.skipper(batch.skip)
  local position, sent = 0, 0
  return function()
    local number, fields, _, line
    repeat
      number, fields, _, line = next_row()
      position = position + 1
    until not number or not skipped(position)
    if not number then
      return nil
    end
    sent = sent + 1
    return sent, number, fields, line
  end
end

-- The numbers of the rows at these positions of a batch's body, without reading the list: the ledger must record all refused rows even if they cannot
-- be listed.
local function numbers_of(batch, positions)
  local skipped, position, sent, numbers = M.skipper(batch.skip), 0, 0, {}
  while #numbers < #positions and position < batch.rows do
    position = position + 1
    if not skipped(position) then
      sent = sent + 1
      if positions[#numbers + 1] == sent then
        numbers[#numbers + 1] = batch.first_row + position - 1
      end
    end
  end
  return numbers
end

---Books the rows that a step of the preflight refused.
---@param step table of the core: rejected, reasons, records, lines
---@return true? ok
---@return campaign.error? err
function methods:refuse(step)
  for _, why in ipairs(step.reasons) do
    self.books:book("rejected", why.count, why)
  end
  local ok, err = self.ledger:record_refused(step.records, step.rejected)
  if not ok then
    return nil, err
  end
  return self.files.rejected:add_lines(step.lines, step.rejected)
end

-- Books a valid row that is left out. `code` groups rows in reports; `same_as`, the number of the row that it equals, is in the row files only.
function methods:_left_out(why, fields, same_as)
  self.books:book(why.state, 1, why)
  local ok, err = self.ledger:record{ { row = why.row, state = why.state, column = why.column, reason = why.reason, code = why.code,
    message = why.message } }
  if not ok then
    return nil, err
  end
  if same_as then
    why.code = same_as
  end
  return self.files[why.state]:add(why, fields)
end

---Books a row whose key an earlier row had.
---@param duplicate table from the core
---@return true? ok
---@return campaign.error? err
function methods:repeated(duplicate)
  return self:_left_out({
    row = duplicate.row, line = duplicate.line, state = "duplicate", column = self.columns[duplicate.column], reason = "duplicate",
    message = ("repeats row %d"):format(duplicate.of_row),
  }, duplicate.fields, duplicate.of_row)
end

---Books a row that a suppression list has.
---@param hit table from the core
---@param label string of the list
---@return true? ok
---@return campaign.error? err
function methods:suppressed(hit, label)
  return self:_left_out({
    row = hit.row, line = hit.line, state = "suppressed", column = self.columns[hit.column], reason = "listed", code = label,
    message = ("is in line %d of %s"):format(hit.list_line, label),
  }, hit.fields)
end

---Books a row that an earlier job has delivered as it is.
---@param row table from the core
---@return true? ok
---@return campaign.error? err
function methods:unchanged(row)
  return self:_left_out({
    row = row.row, line = row.line, state = "unchanged", reason = "unchanged", message = ("is row %d of the earlier job"):format(row.of_row),
  }, row.fields, row.of_row)
end

-- Books rows, with their reason; rows for which the platform gave a code are counted by that code.
function methods:_book(state, count, why, numbers)
  local left, codes = count, {}
  for _, number in ipairs(why.said and numbers or {}) do
    local said = why.said[number]
    if said and said.code then
      codes[#codes + 1] = codes[said.code] == nil and said.code or nil
      codes[said.code] = (codes[said.code] or 0) + 1
      left = left - 1
    end
  end
  for _, code in ipairs(codes) do
    self.books:book(state, codes[code], { cause = why.cause, column = why.column, reason = why.reason, code = code })
  end
  self.books:book(state, left, why)
end

local NOTHING = {}

-- Lists the rows of a batch, all or those of the given numbers, in one of the files. Rows that cannot be read any more are reported.
function methods:_list(state, attempt, why, numbers)
  local batch, file = attempt.batch, self.files[state]
  local at, listed, unlisted = 1, 0, nil
  local ok, problem = pcall(function()
    for position, row, fields, line in M.each_sent(self.input, batch) do -- to its end even after an error: that closes the list
      if (not numbers or numbers[at] == row) and not unlisted then
        at = at + 1
        local said = why.said and why.said[row] or NOTHING
        local added, err = file:add({
          row = row, line = line, state = state, cause = why.cause, column = why.column, reason = why.reason,
          code = said.code or why.code, message = said.message or why.message, batch = batch.index, attempt = attempt.number,
        }, fields)
        unlisted = not added and err or nil
        listed = listed + (added and 1 or 0)
      end
      if self.pause and position % AT_ONCE == 0 then
        self.pause()
      end
    end
  end)
  if unlisted then
    ok, problem = false, unlisted
  end
  local expected = numbers and #numbers or batch.accepted
  self:_book(state, expected, why, numbers)
  if not ok or listed ~= expected then
    local err = not ok and error_object.is(problem) and problem or nil
    return nil, error_object.new{
      kind = "ledger", retry = false, cause = err, reason = err and err.reason == "full" and "full" or nil,
      message = ("batch %d: %d of its %d rows could be listed in %s%s"):format(batch.index, listed, expected, file.path,
        problem and ": " .. tostring(problem) or ""),
      hint = err and err.reason == "full" and err.hint or "has the source been changed while it was imported?",
    }
  end
  return true
end

function methods:_partly(attempt, verdict, err)
  local batch = attempt.batch
  local positions, by_position = refused.find(self.operation, verdict.failed, self.encoder, self.input, batch)
  if not positions then
    local doubt = { verdict = "ambiguous", cause = "unknown_rows", detail = by_position }
    return self:settle(attempt, doubt, err)
  end
  local numbers = numbers_of(batch, positions)
  numbers.said = {}
  for i, position in ipairs(positions) do
    numbers.said[numbers[i]] = by_position[position]
  end
  attempt.refused = numbers
  self.books:book("accepted", batch.accepted - #positions)
  local ok, list_err = self:_list("rejected", attempt, {
    cause = "platform", reason = "refused", message = verdict.message, said = numbers.said,
  }, numbers)
  return verdict, not ok and list_err or nil
end

---Books the rows of a batch by its verdict.
---@param attempt table batch, number
---@param verdict campaign.verdict
---@param err campaign.error?
---@return campaign.verdict verdict the one that was booked: a partial success that cannot be matched is ambiguous
---@return campaign.error? err the rows could not be listed
function methods:settle(attempt, verdict, err)
  local batch, ok, list_err = attempt.batch, true, nil
  if verdict.verdict == "accepted" then
    self.books:book(verdict.pending and "accepted_pending" or "accepted", batch.accepted)
  elseif verdict.verdict == "partly" then
    return self:_partly(attempt, verdict, err)
  elseif verdict.verdict == "rejected" then
    ok, list_err = self:_list("rejected", attempt, {
      cause = "platform", reason = verdict.reason or verdict.cause, code = err and err.code,
      message = verdict.message or err and err.message,
    })
  else
    ok, list_err = self:_list("ambiguous", attempt, {
      cause = verdict.cause, code = err and err.code, message = verdict.detail or err and err.message,
    })
  end
  return verdict, not ok and list_err or nil
end

---Books the rows of a batch that provably never reached the platform.
---@param batch table
---@return true? ok
---@return campaign.error? err
function methods:unsent(batch)
  return self:_list("pending", { batch = batch, number = batch.attempts }, {})
end

---Books a batch of an earlier run as its ledger has it.
---@param batch table from the ledger
---@param last table? its last attempt
---@param given_back integer[] numbers of the rows that the platform refused; `said` of each, by row: code, message
---@return true? ok
---@return campaign.error? err
function methods:restore(batch, last, given_back)
  local attempt = { batch = batch, number = last and last.number }
  local why = last and { cause = last.cause, code = last.code, message = last.detail or last.message } or {}
  if accounting.state_of_rows(batch) == "accepted" then
    self.books:book(batch.awaits == 1 and "accepted_pending" or "accepted", batch.accepted - #given_back)
    if #given_back == 0 then
      return true
    end
    return self:_list("rejected", attempt, { cause = "platform", reason = "refused", message = last and last.message,
      said = given_back.said }, given_back)
  elseif accounting.state_of_rows(batch) == "rejected" then
    return self:_list("rejected", attempt, { cause = "platform", reason = last and (last.reason or last.cause), code = last and last.code,
      message = last and last.message })
  end
  return self:_list("ambiguous", attempt, why)
end

---Makes durable what was listed so far.
---@return table<string, integer>? sizes bytes of the row files, by state
---@return campaign.error? err
function methods:sync()
  local sizes = {}
  for state, file in pairs(self.files) do
    local size, err = file:sync()
    if not size then
      return nil, err
    end
    sizes[state] = size
  end
  return sizes
end

---Truncates the files to what the preflight listed; the rest is listed again from the ledger.
---@param sizes table<string, integer> what `sync` gave after the preflight
---@param counts table<string, integer> rows listed then
---@return true? ok
---@return campaign.error? err
function methods:rewind(sizes, counts)
  for state, file in pairs(self.files) do
    local ok, err = file:rewind(sizes[state] or 0, counts[state] or 0)
    if not ok then
      return nil, err
    end
  end
  return true
end

---Lines written so far, by state.
---@return table<string, integer>
function methods:lines()
  local lines = {}
  for state, file in pairs(self.files) do
    lines[state] = file.count
  end
  return lines
end

---Path of the file of a state, nil when no row is in it. To be called when the files are closed: one that could not be written is not named.
---@param state string one of accounting.LISTED
---@return string?
function methods:path(state)
  local file = self.files[state]
  return file.count > 0 and file.path and core.system.stat(file.path) and file.path or nil
end

---Closes all row files. May be called twice.
---@return true? ok
---@return campaign.error? err the first
function methods:close()
  local all, first = true, nil
  for _, state in ipairs(accounting.LISTED) do
    local ok, err = self.files[state]:close()
    if not ok then
      all, first = nil, first or err
    end
  end
  return all, first
end

return M

-- SPDX-License-Identifier: MIT
-- Continues a job: checks that circumstances are those of the plan, and restores accounting and row files of settled batches from the
-- ledger. Rows listed by the preflight are in the row files already, up to a length recorded in the ledger.

local accounting = require "campaign.import.report.accounting"
local core = require "campaign.core"
local error_object = require "campaign.error"
local edited_files = require "campaign.import.report.edited_files"

local M = {}

local function refuse(message, hint)
  return error_object.refuse{ kind = "ledger", reason = "changed", message = message, hint = hint }
end

-- Compares the checksum of each batch. nil and an error where a batch cannot be read; raises errors of the ledger.
local function compare(input, ledger, pause)
  for batch in ledger:scan("batches") do
    local sum, err = input:checksum(batch)
    if sum ~= batch.hash then
      return sum and false, err
    end
    if pause then
      pause()
    end
  end
  return true
end

-- Whether the list still has the planned bytes of every batch; nil and an error if it cannot be read. Rows between batches were refused by the plan and
-- are listed already.
local function has_planned_bytes(file, ledger, pause)
  local input, err = core.rows.input{ path = file.path, encoding = file.encoding }
  if not input then
    return nil, err
  end
  local fine, is_same, why_not = pcall(compare, input, ledger, pause)
  input:close()
  if not fine then
    return nil, is_same
  end
  return is_same, why_not
end

local function same(file, ledger, pause)
  local found, err = core.system.stat(file.path, true)
  if not found then
    return refuse(file.path .. ": " .. tostring(err), "the job needs the list that it was planned with")
  end
  local advice, how = "put the list back as it was"
  if found.size ~= file.bytes then
    how = ("%.0f bytes, %.0f then"):format(found.size, file.bytes)
  elseif math.abs(found.mtime - file.mtime) <= 1e-6 then
    return true
  elseif not ledger then
    how, advice = "as many bytes, another time of change",
      ("%s (when only its time is another one: touch -d @%.9f FILE)"):format(advice, file.mtime)
  else
    local is_same, why_not = has_planned_bytes(file, ledger, pause)
    if is_same or why_not then
      return is_same, why_not
    end
    how = "as many bytes, but others"
  end
  return refuse(("%s has changed since the job was planned (%s)"):format(file.path, how), advice .. "; import a changed one as a new job")
end

---Checks that the list is the one that was planned; for a mapped list also the list that the function saw, unless it was made of a workbook, which
---people keep editing. If the modification time differs (a copy, `touch`), the bytes are compared with the plan.
---@param file table from the ledger
---@param record table of the ledger
---@param ledger table? with the plan; without one the time must be the same
---@param pause fun()? lets others have a turn
---@return true? ok
---@return campaign.error? err
function M.same_file(file, record, ledger, pause)
  local mapped = record.options.mapped
  if mapped and mapped.list and not record.options.workbook then
    local ok, err = same({ path = mapped.list.path, bytes = mapped.list.bytes, mtime = tonumber(mapped.list.mtime) })
    if not ok then
      return nil, err
    end
  end
  return same(file, ledger, pause)
end

---Checks that the job is continued with the account and the columns that it was planned for.
---@param record table of the ledger
---@param identity string?
---@param shape string?
---@return true? ok
---@return campaign.error? err
function M.same_target(record, identity, shape)
  if identity and record.identity ~= identity then
    return refuse("the job was planned for another account of " .. record.platform, "use the one it was planned for, " .. record.account
      .. ", with the address, tenant and user that it had then")
  end
  if shape and record.shape ~= shape then
    return refuse(("the header of %s, or the fields of the target, are no longer those that the job was planned with"):format(record.options.source),
      "put the list back as it was, or import what is left of it as a new job")
  end
  return true
end

-- Batches that were accepted completely are booked as sums: a long job has very many, and none of their rows is listed.
local function restore_batches(ledger, rows, books)
  for _, taken in ipairs(assert(ledger:ask("taken"))) do
    books:book(taken.awaits == 1 and "accepted_pending" or "accepted", taken.rows)
  end
  for batch in ledger:scan("told") do
    local attempts = assert(ledger:ask("last_of", batch.index))
    local refused = { said = {} }
    if batch.rejected > 0 and batch.state ~= "X" then
      for i, row in ipairs(assert(ledger:ask("rows_of", batch.index))) do
        refused[i], refused.said[row.row] = row.row, row
      end
    end
    local ok, err = rows:restore(batch, attempts[1], refused)
    if not ok then
      error(err, 0)
    end
  end
end

-- The row files as the preflight left them.
local function rewind(state, record, listed)
  local edited, edited_err = edited_files.edited(state.rows, record)
  if not edited then
    return nil, edited_err
  end
  local sizes, counts = {}, {}
  for name, size in pairs(record.sizes) do
    sizes[name], counts[name] = edited[name] and 0 or size, edited[name] and 0 or listed[name]
  end
  local ok, err = state.rows:rewind(sizes, counts)
  if ok then
    ok, err = edited_files.relist(state, edited)
  end
  return ok, err
end

---Restores the accounting and the row files from the ledger.
---@param state table ledger, record, books, rows
---@return true? ok
---@return campaign.error? err
function M.restore(state)
  local record, ledger, books = state.record, state.ledger, state.books
  local listed = record.listed
  local ok, err = rewind(state, record, listed)
  if not ok then
    return nil, err
  end
  books:read(record.plan.rows)
  local reasons
  reasons, err = ledger:ask("reasons")
  if not reasons then
    return nil, err
  end
  for _, reason in ipairs(reasons) do
    books:book(reason.state, reason.count, reason)
  end
  for _, name in ipairs(accounting.LISTED) do
    if name ~= "ambiguous" and name ~= "pending" and books.counts[name] ~= (listed[name] or 0) then
      return refuse(("the ledger has other %s rows than the preflight listed"):format(name), "import the list as a new job")
    end
  end
  local fine, problem = pcall(restore_batches, ledger, state.rows, books)
  if not fine then
    return nil, error_object.is(problem) and problem
      or error_object.new{ kind = "ledger", retry = false, message = "the ledger cannot be read: " .. tostring(problem) }
  end
  return true
end

---The reason why an import that keeps the order of its batches must not continue, if there is one: a batch in doubt, or a rejected one.
---@param ledger table
---@param isolates boolean? refused batches are split down to single rows: those do not stop the import
---@return campaign.error? hold
---@return campaign.error? err
function M.hold(ledger, isolates)
  local progress, err = ledger:progress()
  if not progress then
    return nil, err
  end
  if progress.batches.P == 0 or progress.batches.U + progress.batches.X == 0 then
    return nil
  end
  for batch in ledger:scan("batches") do
    if batch.state == "U" or batch.state == "X" and not (isolates and batch.accepted == 1) then
      return error_object.new{
        kind = "ledger", reason = "held", retry = false, sent = "no",
        message = ("batch %d is %s, and this import keeps order"):format(batch.index, batch.state == "U" and "in doubt" or "rejected"),
        hint = batch.state == "U" and ("look at the platform, then record the outcome: campaign resolve JOB --batch %d --as applied")
          :format(batch.index) or "mend its rows and import them with not_sent.csv as a new job",
      }
    end
  end
end

return M

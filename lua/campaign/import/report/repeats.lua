-- SPDX-License-Identifier: MIT
-- Rows that the platform may have twice: of batches that were sent again on request although their first transmission may have arrived.
-- They are listed in possibly_duplicated.csv in addition to the file of their state, with every attempt as evidence; the file is
-- regenerated from ledger and list at the end of each run.

local accounting = require "campaign.import.report.accounting"
local core = require "campaign.core"
local discard = require "campaign.discard"
local error_object = require "campaign.error"
local folder_module = require "campaign.import.folder"
local listing = require "campaign.import.report.listing"
local rows_module = require "campaign.import.report.rows"

local M = {}

local function evidence(attempts)
  local words = {}
  for i, attempt in ipairs(attempts) do
    words[i] = ("attempt %d on %s: %s%s"):format(attempt.number, os.date("!%Y-%m-%d %H:%M:%SZ", math.floor(attempt.began)), attempt.verdict,
      attempt.cause and " (" .. attempt.cause .. ")" or "")
  end
  return table.concat(words, "; ")
end

local function list_batch(state, file, batch)
  local ledger = state.ledger
  local attempts = assert(ledger:ask("attempts_of", batch.index))
  local refused = {}
  local state_of_rows = accounting.state_of_rows(batch)
  if state_of_rows == "accepted" then -- else its rows have its state
    for _, row in ipairs(assert(ledger:ask("rows_of", batch.index))) do
      refused[row.row] = true
    end
  end
  local last, words, count = attempts[#attempts], evidence(attempts), 0
  for _, row, fields, line in rows_module.each_sent(state.input, batch) do
    local ok, err = file:add({ row = row, line = line, state = refused[row] and "rejected" or state_of_rows,
      cause = "sent_again", reason = "possibly_duplicated", message = words, batch = batch.index, attempt = last and last.number }, fields)
    if not ok then
      error(err, 0)
    end
    count = count + 1
  end
  if count ~= batch.accepted then
    error(error_object.new{ kind = "ledger", retry = false,
      message = ("batch %d: %d of its %d rows could be listed in %s"):format(batch.index, count, batch.accepted, file.path) }, 0)
  end
end

---Writes the file again.
---@param state table input, ledger, folder, columns
---@return integer? rows
---@return campaign.error? err
function M.write(state)
  local gone, remove_err = discard.file(state.folder.possibly_duplicated)
  if not gone then
    return folder_module.trouble(state.folder.path, remove_err)
  end
  local file = listing.new(state.folder.possibly_duplicated, state.columns)
  local fine, problem = pcall(function()
    for batch in state.ledger:scan("repeated") do
      list_batch(state, file, batch)
    end
  end)
  local ok, err = file:close()
  if not fine then
    return nil, error_object.is(problem) and problem
      or error_object.new{ kind = "ledger", retry = false, message = "rows that were sent again could not be listed: " .. tostring(problem) }
  elseif not ok then
    return nil, err
  end
  return file.count
end

---The path of the file, if there is one.
---@param folder table
---@return string?
function M.path(folder)
  return core.system.stat(folder.possibly_duplicated) and folder.possibly_duplicated or nil
end

return M

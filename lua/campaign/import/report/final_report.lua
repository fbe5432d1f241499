-- SPDX-License-Identifier: MIT
-- The final report of an import: the result of campaign.import, its exit code, and the same as report.json. Counts come from the
-- accounting; nothing is computed twice, so that what is printed is what was compared.

local accounting = require "campaign.import.report.accounting"
local batches_file = require "campaign.import.report.batches_file"
local core = require "campaign.core"
local merged = require "campaign.merged"

local M = {}

-- What ended a run, as an exit code; docs/import.md.
local STOPPED_BY = {
  ledger = 8, auth = 6, platform = 5, window = 5, redirect = 5, cancelled = 130,
}

-- If several apply, the first of these counts.
local ORDER = { 8, 4, 6, 3, 5, 130, 7 }

---The exit code of a result.
---@param result table
---@return integer
function M.exit_code(result)
  local codes = {}
  local err = result.error
  if err then
    codes[err.reason == "clock" and 8 or STOPPED_BY[err.kind] or 3] = true
    if err.kind == "http" and err.status and err.sent == "no" then
      codes[3], codes[5] = nil, true -- the platform refused the call itself
    end
  end
  if result.ambiguous > 0 then
    codes[4] = true
  end
  if result.rejected > 0 then
    -- A platform that took none of what it was sent has refused the import, not some of its rows.
    local none_taken = result.causes.platform > 0 and result.taken_over == 0 and result.pending == 0
    codes[none_taken and 5 or 7] = true
  end
  for _, code in ipairs(ORDER) do
    if codes[code] then
      return code
    end
  end
  return 0
end

---@class campaign.import.result see docs/import.md
---@field ok boolean
---@field exit_code integer
---@field state "finished"|"stopped"|"planned"
---@field error campaign.error? why it stopped
---@field rows integer
---@field accepted integer
---@field accepted_pending integer
---@field rejected integer
---@field duplicate integer
---@field suppressed integer
---@field unchanged integer
---@field ambiguous integer
---@field pending integer
---@field taken_over integer
---@field possibly_duplicated integer rows that were sent again on request and may be there twice; each is counted in its state too
---@field possibly_duplicated_file string?
---@field causes { invalid: integer, unmappable: integer, platform: integer }
---@field reasons table[]
---@field warnings string[]? what a person should know, such as clocks that differ
---@field batches integer
---@field requests integer
---@field retries integer
---@field bytes integer
---@field seconds number
---@field job string
---@field rejects_file string?
---@field duplicates_file string?
---@field suppressed_file string?
---@field unchanged_file string?
---@field ambiguous_file string?
---@field not_sent_file string?
---@field unlisted integer? rows of `pending` that not_sent.csv does not list: the worker of nginx exited, and another one continues the job
---@field batches_file string?
---@field report_file string
---@field page_file string? report.html, where it was made

local methods = {}
local mt = { __index = methods, __name = "campaign.import.result" }

---The finished attempts of the import, one table each, in order of batch and number.
---@return fun(): table?
function methods:each_batch()
  if not self.batches_file then
    return function() end
  end
  return batches_file.each(self.batches_file)
end

function mt.__tostring(result)
  return ("campaign.import.result %s: %d rows, %d taken over, %d rejected, %d ambiguous, %d not sent"):format(
    result.state, result.rows, result.taken_over, result.rejected, result.ambiguous, result.pending)
end

---Makes a result.
---@param facts table state, error, books, folder, rows (the row files), batches, requests, retries, bytes, seconds
---@return table
function M.result(facts)
  local books = facts.books
  local result = {
    state = facts.state, error = facts.error, rows = books.rows,
    causes = { invalid = books.causes.invalid, unmappable = books.causes.unmappable, platform = books.causes.platform },
    reasons = books:reasons(),
    batches = facts.batches, requests = facts.requests, retries = facts.retries, bytes = facts.bytes, seconds = facts.seconds,
    job = facts.folder.path, report_file = facts.folder.report,
    rejects_file = facts.rows:path("rejected"), ambiguous_file = facts.rows:path("ambiguous"),
    duplicates_file = facts.rows:path("duplicate"), suppressed_file = facts.rows:path("suppressed"),
    unchanged_file = facts.rows:path("unchanged"), not_sent_file = facts.rows:path("pending"),
    batches_file = facts.folder.path and core.system.stat(facts.folder.batches) and facts.folder.batches or nil,
  }
  for _, state in ipairs(accounting.STATES) do
    result[state] = books.counts[state]
  end
  if facts.state == "planned" then
    result.pending = books.rows - books:sum()
  end
  result.warnings = facts.warnings and #facts.warnings > 0 and facts.warnings or nil
  result.possibly_duplicated = facts.possibly_duplicated or 0
  result.possibly_duplicated_file = result.possibly_duplicated > 0 and facts.folder.possibly_duplicated or nil
  result.taken_over = result.accepted + result.accepted_pending
  result.exit_code = M.exit_code(result)
  result.ok = result.exit_code == 0
  return setmetatable(result, mt)
end

local SHOWN = { "kind", "message", "platform", "operation", "status", "code", "reason", "sent", "hint" }

---The part of a result that is written to report.json: everything but functions.
---@param result table
---@return table
function M.plain(result)
  local plain = merged(result)
  plain.reasons = core.json.array(plain.reasons)
  plain.warnings = plain.warnings and core.json.array(plain.warnings)
  if result.error then
    plain.error = {}
    for _, name in ipairs(SHOWN) do
      local value = result.error[name]
      if type(value) == "string" or type(value) == "number" then
        plain.error[name] = value
      end
    end
  end
  return plain
end

local function is_whole(plain)
  if type(plain.state) ~= "string" or type(plain.rows) ~= "number" or type(plain.taken_over) ~= "number" or type(plain.exit_code) ~= "number" then
    return false
  end
  for _, state in ipairs(accounting.STATES) do
    if type(plain[state]) ~= "number" then
      return false
    end
  end
  return true
end

---Makes a result of what was read from report.json. Its files are in the same folder, which may have been moved.
---@param plain table
---@param folder string
---@return table? result nil if a count is missing: the file was changed by hand
function M.restore(plain, folder)
  if not is_whole(plain) then
    return nil
  end
  for name, path in pairs(plain) do
    local own = name:find("_file$") and type(path) == "string" and path:match("[^/]+$")
    plain[name] = own and folder .. "/" .. own or path
  end
  plain.job = folder
  plain.page_file = core.system.stat(folder .. "/report.html") and folder .. "/report.html" or nil
  return setmetatable(plain, mt)
end

return M

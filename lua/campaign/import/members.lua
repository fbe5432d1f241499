-- SPDX-License-Identifier: MIT
-- campaign.members_file: turns a list into the Excel file of members that some operations take by its id. Columns, checks and rejects are
-- those of an import (mapping, preflight, rows); this file adds what a sheet needs. Sends nothing: the file is uploaded by a call.

local accounting = require "campaign.import.report.accounting"
local core = require "campaign.core"
local discard = require "campaign.discard"
local error_object = require "campaign.error"
local mapping = require "campaign.import.plan.mapping"
local merged = require "campaign.merged"
local names_of = require "campaign.names"
local options_module = require "campaign.import.options"
local preflight = require "campaign.import.plan.preflight"
local reading = require "campaign.reading"
local rows_module = require "campaign.import.report.rows"
local target = require "campaign.import.target"

local M = {}

-- Characters that no cell can hold: control characters but tab and line feed, and two code points that XML does not allow.
local UNFIT
do
  local bytes = {}
  for code = 1, 31 do
    if code ~= 9 and code ~= 10 then
      bytes[#bytes + 1] = string.char(code)
    end
  end
  UNFIT = table.concat(bytes) .. "\239\191\190\239\191\191" -- U+FFFE, U+FFFF
end

local MOST_ROWS = core.sheet.ROWS - 1 -- the first row is the header

---@class campaign.members.options see docs/members.md
---@field source string path of a CSV file with a header line, or of an Excel workbook (.xlsx)
---@field to string "platform.operation" whose members the file lists
---@field path string where the .xlsx goes; what is there is replaced
---@field variables? string[] columns that every row must fill: those that the texts of the task name as {{name}}
---@field map? table<string, string> column of the sheet → column of the list
---@field set? table<string, any> column of the sheet → one value for all rows
---@field check? table<string, string> column → check
---@field unique? string of rows with the same text in this column, only the first is written
---@field on_unmappable? { map: string|table<string, string> } replacements of the user's own
---@field encoding? string
---@field delimiter? string
---@field sheet? string the sheet of a workbook; the first visible one without it
---@field header_row? integer the row of the sheet that names the columns
---@field rows_per_file? integer several files of so many rows, `path` with -1, -2, ... before .xlsx
---@field temporary? string folder for temporary files; that of `path` without it
---@field on_progress? fun(event: table)
---@field env? campaign.env

---@class campaign.members.file
---@field ok boolean
---@field exit_code integer 0, or 7 when rows were left out
---@field path string of the first file
---@field upload table the first file as a field of type file takes it: `client:upload_file{ file = members.upload }`
---@field files { path: string, rows: integer, bytes: integer, upload: table }[]
---@field columns string[] the header of the sheet
---@field unused string[] columns of the list that go nowhere
---@field encoding string of the list
---@field rows integer of the list: always written + rejected + duplicate
---@field written integer
---@field rejected integer
---@field duplicate integer
---@field causes table<string, integer>
---@field reasons table[]
---@field rejects_file string?
---@field duplicates_file string?

local OWN = { path = "string", variables = "table", temporary = "string", rows_per_file = "number" }
local SHARED = {
  source = true, to = true, map = true, set = true, check = true, unique = true, on_unmappable = true, encoding = true, delimiter = true,
  sheet = true, header_row = true, on_progress = true, env = true,
}

-- The options with defaults. Raises for programming errors, as the options of an import do.
local function read(given, level)
  level = level + 1
  if type(given) ~= "table" then
    error("members_file: expected a table of options", level)
  end
  local shared = {}
  for name, value in pairs(given) do
    if SHARED[name] then
      shared[name] = value
    elseif not OWN[name] then
      error("members_file: unknown option `" .. tostring(name) .. "`", level)
    elseif type(value) ~= OWN[name] then
      error(("members_file: option `%s` must be a %s, not a %s"):format(name, OWN[name], type(value)), level)
    end
  end
  if given.path == nil then
    error("members_file: option `path` is missing", level)
  end
  local options, err = options_module.read(shared, level)
  if not options then
    return nil, err
  end
  for name in pairs(OWN) do
    options[name] = given[name]
  end
  options.variables = options.variables or {}
  for _, name in ipairs(options.variables) do
    if type(name) ~= "string" or name == "" then
      error("members_file: option `variables` is a list of names", level)
    end
  end
  local most = options.rows_per_file
  if most and (most ~= math.floor(most) or most < 1 or most > MOST_ROWS) then
    error(("members_file: option `rows_per_file` must be a whole number from 1 to %d"):format(MOST_ROWS), level)
  end
  return options
end

local function refuse(message, more)
  return error_object.refuse(merged({ kind = "usage", message = message }, more))
end

-- The file's columns as the row of an operation, so that the mapping of imports finds them.
local function as_rows(operation, variables)
  local file = operation.members_file
  local fields, known = {}, {}
  for i, field in ipairs(file.row.fields) do
    fields[i], known[field.name] = field, true
  end
  for _, name in ipairs(variables) do
    if not known[name] then
      known[name] = true
      fields[#fields + 1] = { name = name, type = "string", required = true }
    end
  end
  return {
    platform = operation.platform, name = operation.name,
    rows = { shape = "object", aliases = file.aliases, row = { fields = fields, open = file.row.open } },
  }
end

-- The mapped fields in the order of the sheet: the template's columns first, also those that the list does not fill.
local function sheet_fields(operation, planned, variables)
  local by_name, ordered = {}, {}
  for _, entry in ipairs(planned.fields) do
    by_name[entry.name] = entry
  end
  for _, name in ipairs(operation.members_file.columns) do
    ordered[#ordered + 1] = by_name[name] or { name = name, type = "string", constant = "" }
    by_name[name] = nil
  end
  for _, entry in ipairs(planned.fields) do
    if by_name[entry.name] then
      ordered[#ordered + 1] = entry
    end
  end
  local wanted = {}
  for _, name in ipairs(variables) do
    wanted[name] = true
  end
  for _, entry in ipairs(ordered) do
    if wanted[entry.name] and not entry.constant then
      entry.required = true
    end
    entry.forbid = (entry.forbid or "") .. UNFIT
    if not entry.max_length then
      entry.max_length, entry.unit = core.sheet.TEXT, "utf16"
    end
  end
  return ordered
end

-- Opens the input, and makes the encoder that turns its rows into lines of the sheet.
local function prepare(work, operation)
  local options = work.options
  local err
  work.input, err = reading.open{ path = options.source, encoding = options.encoding, delimiter = options.delimiter, sheet = options.sheet,
    header_row = options.header_row, folder = options.temporary }
  if not work.input then
    return nil, err
  end
  local workbook = err and err.list
  work.list_columns, err = work.input:columns()
  if not work.list_columns then
    return nil, err
  end
  local planned
  planned, err = mapping.plan{
    operation = as_rows(operation, options.variables), columns = work.list_columns, map = options.map, set = options.set, split = {},
    check = options.check, params = {}, unique = options.unique, doubtful = workbook and workbook.doubtful,
  }
  if not planned then
    return nil, err
  end
  local fields = sheet_fields(operation, planned, options.variables)
  work.unique, work.unused, work.columns = planned.unique, planned.unused, names_of(fields)
  work.encoder, err = core.rows.encoder{
    format = "csv", encoding = "utf-8", line_end = "\r\n", columns = planned.width, header = work.columns, fields = fields,
    checks = planned.checks, demands = planned.demands, map = options.replacements,
  }
  return work.encoder ~= nil or nil, err
end

-- Checks all rows of the list: lists rejects and duplicates, and keeps the batches, one per file to write.
local function check_rows(work)
  local options = work.options
  local stem = options.path:sub(1, -6)
  local files = { rejects = stem .. ".rejects.csv", duplicates = stem .. ".duplicates.csv", ambiguous = "", not_sent = "" }
  for _, name in ipairs({ "rejects", "duplicates" }) do -- of an earlier run
    local gone, err = discard.file(files[name])
    if not gone then
      return nil, err
    end
  end
  local nothing = { record = function() return true end, record_refused = function() return true end, enqueue = function(_, batches)
    for _, batch in ipairs(batches) do
      work.batches[#work.batches + 1] = batch
    end
    return true
  end }
  work.rows = rows_module.new{ input = work.input, encoder = work.encoder, folder = files, books = work.books,
    columns = work.list_columns, ledger = nothing }
  local plan, err = preflight.run{
    input = work.input, encoder = work.encoder, batch_rows = options.rows_per_file or MOST_ROWS, is_file = true, unique = work.unique,
    ledger = nothing, folder = files, rows = work.rows, books = work.books, on_unmappable = "reject",
    progress = work.progress, stopped = function() return false end, pause = options.env.pause,
  }
  local closed, close_err = work.rows:close()
  if not plan then
    return nil, err
  elseif not closed then
    return nil, close_err
  elseif plan.sendable == 0 then
    return error_object.refuse{
      kind = "invalid", reason = "no_rows",
      message = ("none of the %d rows of %s can be used as a member; no file was written"):format(plan.rows, options.source),
      hint = work.rows:path("rejected") and "they are listed in " .. work.rows:path("rejected") or nil,
    }
  elseif #work.batches > 1 and not options.rows_per_file then
    return refuse(("%d members are more than the %d rows of a sheet"):format(plan.sendable, MOST_ROWS),
      { kind = "invalid", hint = "give rows_per_file (--rows-per-file) for several files" })
  end
  return plan
end

local function write_file(work, path, batch, done)
  local source, err = work.encoder:source(work.input, batch)
  if not source then
    return nil, err
  end
  local writer
  writer, err = core.sheet.writer{ path = path, source = source, columns = #work.columns, name = "members",
    temporary = work.options.temporary }
  if not writer then
    return nil, err
  end
  local rows, bytes
  repeat
    rows, bytes = writer:step()
    if rows then
      work.progress{ phase = "writing", rows = done + rows, total_rows = work.plan.sendable }
      if work.options.env.pause then
        work.options.env.pause()
      end
    end
  until not rows or bytes
  if not rows then
    return nil, bytes
  elseif rows ~= batch.accepted then
    return error_object.refuse{ kind = "ledger",
      message = ("%s has %d rows instead of %d"):format(path, rows, batch.accepted) }
  end
  return { path = path, rows = rows, bytes = bytes, upload = { path = path } }
end

local function write_files(work)
  local files, done = {}, 0
  for i, batch in ipairs(work.batches) do
    local path = work.options.path
    if #work.batches > 1 then
      path = path:sub(1, -6) .. "-" .. i .. ".xlsx"
    end
    local file, err = write_file(work, path, batch, done)
    if not file then
      return nil, err
    end
    files[i], done = file, done + file.rows
  end
  return files, done
end

local function run(work, operation)
  local ok, err = prepare(work, operation)
  if not ok then
    return nil, err
  end
  work.plan, err = check_rows(work)
  if not work.plan then
    return nil, err
  end
  local files, written = write_files(work)
  if not files then
    return nil, written
  end
  local books = work.books
  local rejected, duplicate = books.counts.rejected, books.counts.duplicate
  if written + rejected + duplicate ~= books.rows then
    return error_object.refuse{ kind = "ledger",
      message = ("the counts do not add up: %d rows, %d written, %d rejected, %d duplicate"):format(books.rows, written, rejected, duplicate) }
  end
  return {
    ok = rejected == 0, exit_code = rejected > 0 and 7 or 0, path = files[1].path, upload = files[1].upload, files = files,
    columns = work.columns,
    unused = work.unused, encoding = work.input:info().encoding, rows = books.rows, written = written, rejected = rejected,
    duplicate = duplicate, causes = books.causes, reasons = books:reasons(), rejects_file = work.rows:path("rejected"),
    duplicates_file = work.rows:path("duplicate"),
  }
end

---Writes the Excel file of members for an operation. Rows that cannot be members are listed as in an import.
---@param given campaign.members.options
---@return campaign.members.file? file
---@return campaign.error? err
function M.write(given)
  local options, err = read(given, 2)
  if not options then
    return nil, err
  end
  local platform, operation = target.find(options.to, "members_file")
  if not platform then
    return nil, operation
  elseif options.path:sub(-5) ~= ".xlsx" or #options.path == 5 then
    return refuse(('path: "%s" does not end in .xlsx'):format(options.path))
  end
  local progress = options.on_progress or function() end
  local work = { options = options, books = accounting.new(), batches = {}, progress = progress }
  local ok, result, why = pcall(run, work, operation)
  for _, name in ipairs({ "encoder", "input" }) do
    if work[name] then
      work[name]:close()
    end
  end
  if not ok then
    error(result, 0) -- what on_progress raised
  end
  return result, why
end

return M

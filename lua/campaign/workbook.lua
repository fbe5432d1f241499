-- SPDX-License-Identifier: MIT
-- Excel workbooks as lists: converts a worksheet into a list in CSV (src/workbook.h), and says what a person should know of it. Row n of the
-- sheet is line n of that list.

local core = require "campaign.core"
local error_object = require "campaign.error"

local M = {}

-- Bytes of XML per step: about a millisecond's worth where other work shares the thread, and where none does.
local SHORT_STEP, STEP = 65536, 4194304

local KINDS = {
  error = { "is an error of Excel's", "are errors of Excel's", "mend the formulas" },
  rounded = { "is a number of more than 15 digits, of which Excel keeps 15", "are numbers of more than 15 digits, of which Excel keeps 15",
    "export such ids anew, as text" },
  formula = { "is a formula without its result", "are formulas without their results", "open the workbook in Excel and save it" },
}

---@class campaign.workbook.list what became of a sheet
---@field path string of the workbook
---@field bytes integer
---@field mtime number
---@field sheet string
---@field header_row integer
---@field doubtful { column: string, says: string }[] columns with cells that hold no value
---@field notes string[]

---Whether a file is to be read as a workbook. Its content decides, not its name.
---@param path string
---@return boolean
function M.is_one(path)
  return core.workbook.is_one(path)
end

local function refuse(message, hint)
  return error_object.refuse{ kind = "usage", message = message, hint = hint }
end

---Whether an option was given that is for workbooks only.
---@param options { sheet: string?, header_row: integer? }
---@return string? name of such an option
function M.option(options)
  return options.sheet and "sheet" or options.header_row and "header_row" or nil
end

---The refusal of such an option for a list that is no workbook.
---@param path string
---@param option string
---@return nil
---@return campaign.error
function M.refuse_option(path, option)
  return refuse(option .. ": " .. path .. " is not an Excel workbook", "leave `" .. option .. "` out")
end

---Describes what may be wrong with the values of a column.
---@param doubt { column: integer, kind: string, count: integer, cell: string } of a reader's info
---@param name string of the column
---@return string
function M.doubt(doubt, name)
  local is_one = doubt.count == 1
  return ("column %s: %d %s %s (the first in cell %s)"):format(name, doubt.count, is_one and "cell" or "cells",
    KINDS[doubt.kind][is_one and 1 or 2], doubt.cell)
end

---Says what to do about it.
---@param doubt { kind: string }
---@return string
function M.advice(doubt)
  return KINDS[doubt.kind][3]
end

-- What a person should know of the sheet.
local function notes_of(info)
  local notes = {}
  if info.hidden_rows > 0 then
    notes[1] = ('%d %s hidden in sheet "%s" (by a filter, perhaps), and part of the list all the same'):format(info.hidden_rows,
      info.hidden_rows == 1 and "row is" or "rows are", info.sheet)
  end
  if info.merged > 0 then
    notes[#notes + 1] = ('sheet "%s" has %d merged %s, the first at %s: only the first cell of one has a value, the others are empty'):format(
      info.sheet, info.merged, info.merged == 1 and "range" or "ranges", info.merged_first)
  end
  return core.json.array(notes)
end

-- The columns of the list that have cells without a value, and the warning for each where it is used.
local function doubtful_of(info, columns)
  local doubtful = {}
  for _, doubt in ipairs(info.doubts) do
    local name = columns[doubt.column]
    if name then
      doubtful[#doubtful + 1] = { column = name, says = M.doubt(doubt, name) .. "; such rows are rejected: " .. M.advice(doubt) }
    end
  end
  return core.json.array(doubtful)
end

---Adds to an error about columns which row of the sheet was taken for their names.
---@param err campaign.error
---@param list { sheet: string, header_row: integer }
---@return campaign.error
function M.with_header(err, list)
  local hint = 'the columns are named by row %d of sheet "%s"; if that is another row, say so with `header_row` (--header-row N)'
  return error_object.wrap(err, { hint = hint:format(list.header_row, list.sheet) })
end

local function walk(reader, work)
  local done, err
  repeat
    done, err = reader:step(work.pause and SHORT_STEP or STEP)
    if done == nil then
      return nil, err
    end
    if work.pause then
      work.pause()
    end
    if work.tell then
      work.tell(reader)
    end
    if work.stopped and work.stopped() then
      return error_object.refuse{ kind = "cancelled", message = "the reading of the workbook was stopped on request" }
    end
  until done
  return true
end

local function stat_of(path)
  local found, err = core.system.stat(path, true)
  return found or {}, err
end

-- Opens the converted list: its header must be good, and the workbook must not have changed meanwhile.
local function open_list(reader, work, before)
  local info = reader:info()
  if info.header_row == 0 then
    return error_object.refuse{ kind = "invalid", reason = "no_rows",
      message = ('%s: sheet "%s" %s'):format(work.path, info.sheet, work.header_row and "ends before row " .. work.header_row
        or "is blank; its first row must name the columns"),
      hint = "another sheet is named with `sheet` (--sheet NAME)" }
  end
  local input, err = core.rows.input{ path = reader:path(), name = work.path, encoding = "utf-8", delimiter = ",", record_lines = true,
    max_record = work.max_record, header = work.header }
  local columns
  if input then
    columns, err = input:columns()
  end
  if not columns then
    if input then
      input:close()
    end
    return nil, M.with_header(err, { sheet = info.sheet, header_row = info.header_row })
  end
  local now = stat_of(work.path)
  if now.size ~= before.size or now.mtime ~= before.mtime or now.inode ~= before.inode then
    input:close()
    return error_object.refuse{ kind = "invalid", message = work.path
      .. ": the workbook was changed while it was read; start again with the new one" }
  end
  return { input = input, columns = columns, reader = reader, doubts = info.doubts, list = { path = work.path, bytes = before.size,
    mtime = before.mtime,
    sheet = info.sheet, header_row = info.header_row, doubtful = doubtful_of(info, columns), notes = notes_of(info) } }
end

---Converts a worksheet and opens the list. The reader, which the caller closes, can give it a name.
---@param work table path, folder (for the list), sheet?, header_row?, keep? (it will be given a name), max_record?, header?, pause?, stopped?,
---tell? (is given the reader)
---@return { input: userdata, columns: string[], reader: userdata, doubts: table[], list: campaign.workbook.list }? opened
---@return campaign.error? err
function M.open(work)
  local before, missing = stat_of(work.path)
  if missing then
    return refuse(work.path .. ": " .. tostring(missing))
  end
  local reader, err = core.workbook.reader{ path = work.path, sheet = work.sheet, header_row = work.header_row, folder = work.folder,
    keep = work.keep,
    eager = work.keep and not work.pause }
  if not reader then
    return nil, err
  end
  local ok, opened
  ok, err = walk(reader, work)
  if ok then
    opened, err = open_list(reader, work, before)
  end
  if not opened then
    reader:close()
  end
  return opened, err
end

return M

-- SPDX-License-Identifier: MIT
-- How the rows of a job are laid out, derived from the options alone: for the import itself and for later maintenance without an account.

local mapping = require "campaign.import.plan.mapping"
local suppress = require "campaign.import.plan.suppress"

local M = {}

-- Bytes of the largest record of a mapped list: larger than that of the list it comes from (CAMP_REWRITE_RECORD).
local MAPPED_RECORD = 16777216

---The largest record of a job's list; nil where it is that of any list.
---@param options table
---@return integer?
function M.max_record(options)
  return options.mapped and MAPPED_RECORD or nil
end

---How a job's list is opened.
---@param options table of the job
---@param file { path: string, encoding: string?, delimiter: string?, sheet: string?, header_row: integer? }
---@return table for campaign.reading
function M.reading(options, file)
  local workbook = options.workbook
  local is_sheet = workbook and workbook.list ~= nil -- the list of a retry is not made of the sheet
  return { path = file.path, encoding = file.encoding, delimiter = file.delimiter, sheet = file.sheet, header_row = file.header_row,
    max_record = M.max_record(options),
    name = is_sheet and not options.mapped and workbook.list.path or nil, record_lines = is_sheet or nil }
end

---The mapping of a job.
---@param operation table
---@param columns string[] the header of the list
---@param target_columns table[]? those of the target, where the platform has them
---@param options table map, set, split, check, params, unique, mark
---@param id string of the job: part of our mark
---@return campaign.mapping? mapping
---@return campaign.error? err
function M.mapping(operation, columns, target_columns, options, id)
  local suppressed = {}
  for i, entry in ipairs(options.suppress or {}) do
    suppressed[i] = suppress.field_of(entry)
  end
  return mapping.plan{
    operation = operation, columns = columns, target_columns = target_columns, map = options.map, set = options.set,
    split = options.split, check = options.check, params = options.params, unique = options.unique,
    suppress = suppressed, mapped = options.mapped, doubtful = options.workbook and options.workbook.doubtful,
    mark = options.mark and id .. "." or nil,
  }
end

return M

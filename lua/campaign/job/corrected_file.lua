-- SPDX-License-Identifier: MIT
-- The corrected file: rejects.csv of a job or of a retry, or a copy of it. Reads it even if a spreadsheet reordered its columns and rows,
-- and finds the row of the list for each of its lines. Decides nothing about the rows.

local error_object = require "campaign.error"
local listing = require "campaign.import.report.listing"
local merged = require "campaign.merged"
local reading = require "campaign.reading"
local workbook = require "campaign.workbook"

local M = {}

---Bytes of the largest record of a row file: our columns beside a record of the list.
M.MOST_RECORD = 8388608

local function fault(message, hint)
  return error_object.new{ kind = "invalid", retry = false, sent = "no", message = message, hint = hint }
end

---The column in which a retry's list keeps the row number of the first list.
---@param columns string[] of the first list
---@return string
function M.row_column(columns)
  local name, taken = "_original_row", {}
  for _, column in ipairs(columns) do
    taken[column] = true
  end
  while taken[name] do
    name = "_" .. name
  end
  return name
end

local function positions(header)
  local at = {}
  for i, name in ipairs(header) do
    at[name] = i
  end
  return at
end

-- Where the file has what: `row` is the column of the row number, `from[i]` that of the list's i-th column, `first` that of the list's first column if all
-- of them follow each other in order at the end.
local function layout_of(path, header, columns)
  local at, original = positions(header), M.row_column(columns)
  local with_row = merged(columns)
  local is_retry = at[original] ~= nil
  if is_retry then
    with_row[#with_row + 1] = original
  end
  local ours, known, layout = listing.names(with_row), {}, { row = at[is_retry and original or listing.names(columns)[1]], from = {} }
  for _, name in ipairs(ours) do
    known[name] = true
  end
  local missing, strange = {}, {}
  for i, name in ipairs(columns) do
    layout.from[i], known[name] = at[name], true
    if not at[name] then
      missing[#missing + 1] = name
    end
  end
  known[original] = true
  for _, name in ipairs(header) do
    if not known[name] then
      strange[#strange + 1] = name
    end
  end
  if not layout.row then
    missing[#missing + 1] = is_retry and original or ours[1]
  end
  if #missing > 0 or #strange > 0 then
    local words = {}
    if #missing > 0 then
      words[#words + 1] = "it lacks " .. table.concat(missing, ", ")
    end
    if #strange > 0 then
      words[#words + 1] = "the list has no " .. table.concat(strange, ", ")
    end
    return nil, fault(("%s is not a file of this job's rejected rows: %s"):format(path, table.concat(words, "; ")),
      "mend the values, not the columns; in another encoding than UTF-8, say which with --encoding")
  end
  -- A row of another width can be interpreted only if the list's columns are unchanged, behind ours.
  local width = #columns + (is_retry and 1 or 0)
  layout.first = #header - width + 1
  for i = 1, #columns do
    if layout.from[i] ~= layout.first + i - 1 then
      layout.first = nil
      break
    end
  end
  layout.width, layout.tail = #header, is_retry and 1 or 0
  return layout
end

-- The values of a line in the list's order; nil if they cannot be assigned.
local function values_of(fields, layout)
  local values = {}
  if #fields == layout.width then
    for i, from in ipairs(layout.from) do
      values[i] = fields[from]
    end
    return values
  elseif not layout.first then
    return nil
  end
  for i = layout.first, #fields - layout.tail do
    values[i - layout.first + 1] = fields[i]
  end
  return values
end

-- The row number is in its column; in a line of another width of a retry's file, at its end.
local function number_of(fields, layout)
  local text = fields[#fields ~= layout.width and layout.tail > 0 and #fields or layout.row] or ""
  return text:find("^%d+$") and #text <= 15 and tonumber(text) or nil
end

-- For a workbook: the first kind of values that Excel lost. Cells with errors do not count: the list may have had them, too.
local function lost_values(opened)
  for _, doubt in ipairs(opened and opened.doubts or {}) do
    if doubt.kind ~= "error" then
      return doubt
    end
  end
end

---Opens a possibly corrected file. Without an encoding it is UTF-8, or what its header suggests if it is not valid UTF-8, as spreadsheets
---save it; the caller compares the header with the list's.
---@param path string
---@param encoding string?
---@param delimiter string?
---@return userdata? input to be closed by the caller
---@return string[] | campaign.error header
function M.open(path, encoding, delimiter)
  local function try(name)
    local input, err = reading.open{ path = path, encoding = name, delimiter = delimiter or "auto", max_record = M.MOST_RECORD }
    if not input then
      return nil, err
    end
    local doubt = lost_values(err)
    if doubt then
      input:close()
      return nil, fault(("%s: %s"):format(path, workbook.doubt(doubt, err.columns[doubt.column] or "#" .. doubt.column)),
        workbook.advice(doubt) .. ", or mend the CSV file")
    end
    local header
    header, err = input:columns()
    if not header then
      input:close()
      return nil, err
    end
    return input, header
  end
  local input, header = try(encoding or "utf-8")
  if input or encoding then
    return input, header
  end
  local other, names = try("auto")
  return other, other and names or header
end

---Reads the file.
---@param path string
---@param options { encoding: string?, delimiter: string?, columns: string[] } of the first list
---@param take fun(row: integer, values: string[], line: integer, reason: string?): campaign.error? row: of the first list; what it returns ends the
---reading
---@return integer? count
---@return campaign.error? err
function M.read(path, options, take)
  local input, header = M.open(path, options.encoding, options.delimiter)
  local layout, err = nil, header
  if input then
    layout, err = layout_of(path, header, options.columns)
  end
  local count = 0
  if layout then
    for _, fields, reason, line in assert(input:rows()) do -- to its end even after an error: that releases the file
      local row, values = number_of(fields, layout), values_of(fields, layout)
      if not err and not row then
        err = fault(("%s: line %d has no row number"):format(path, line), "rows are recognised by it: leave that column as it was")
      elseif not err and not values then
        err = fault(("%s: line %d has %d values, its header has %d"):format(path, line, #fields, layout.width),
          "keep the order of the columns, or give the line as many values as the header has")
      elseif not err then
        count = count + 1
        err = take(row, values, line, reason)
      end
    end
  end
  if input then
    input:close()
  end
  if err and not err.hint and not options.encoding then
    err = error_object.wrap(err, { hint = "give the encoding in which the file was saved: --encoding gb18030" })
  end
  if err then
    return nil, err
  end
  return count
end

return M

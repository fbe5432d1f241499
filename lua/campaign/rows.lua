-- SPDX-License-Identifier: MIT
-- The rows of a CSV file for scripts, by column name. Each costs a few Lua values; imports read files in C instead.

local reading = require "campaign.reading"

local M = {}

---Walks over the records of a CSV file with a header line: `for number, row in assert(campaign.rows("contacts.csv")) do`. `row` maps
---column names to texts. A record that is too wide or too narrow, or not valid in the file's encoding, comes with a reason as third
---value. A file that cannot be read on raises its error, as io.lines does.
---@param path string
---@param options { encoding: string?, delimiter: string?, max_record: integer? }?
---@return (fun(): integer?, table<string, string>?, string?)? iterator
---@return campaign.error? err
function M.open(path, options)
  if type(path) ~= "string" then
    error("the path of a file is a string, not a " .. type(path), 2)
  end
  options = options or {}
  local input, err = reading.open{
    path = path, encoding = options.encoding or "auto", delimiter = options.delimiter or ",", max_record = options.max_record,
  }
  if not input then
    return nil, err
  end
  local columns
  columns, err = input:columns()
  if not columns then
    input:close()
    return nil, err
  end
  local next_record, state, control = input:rows()
  return function()
    local number, fields, reason = next_record(state, control)
    control = number
    if not number then
      input:close()
      return nil
    end
    local row = {}
    for index, name in ipairs(columns) do
      row[name] = fields[index]
    end
    return number, row, reason
  end
end

return M

-- SPDX-License-Identifier: MIT
-- `source` is a workbook: one of its sheets is converted into a list, once, and that is the job's list from then on. Nothing depends on the
-- workbook afterwards: it may be edited, moved or removed.

local folder_module = require "campaign.import.folder"
local kept_list = require "campaign.import.plan.kept_list"
local layout = require "campaign.import.plan.layout"
local record_module = require "campaign.import.record"
local workbook = require "campaign.workbook"

local M = {}

local function stated(state)
  return function(reader)
    state.tell(function()
      local info = reader:info()
      return { phase = "reading", rows = info.last_row, bytes = info.done, total_bytes = info.total }
    end)
  end
end

---Makes the list; afterwards the state's input, columns and options are those of it. It has no name yet.
---@param state table
---@return true? ok
---@return campaign.error? err
function M.run(state)
  local options = state.options
  local is_mapped = type(options.map) == "function" -- what the function makes of the list is kept, and not the list
  local place, keeps = kept_list.folder(state)
  if not place then
    return nil, keeps
  end
  keeps = keeps and not is_mapped
  local opened, err = workbook.open{
    path = options.source, sheet = options.sheet, header_row = options.header_row, folder = place, keep = keeps,
    max_record = layout.max_record(options),
    pause = options.env.pause, tell = stated(state), stopped = function() return state.stop end,
  }
  if not opened then
    if err.kind == "ledger" then
      return folder_module.trouble(place, err)
    end
    return nil, err
  end
  state.input, state.columns = opened.input, opened.columns
  local list = opened.list
  options.workbook = {
    sheet = list.sheet, header_row = list.header_row, doubtful = list.doubtful, notes = list.notes,
    list = { path = record_module.absolute(list.path), bytes = list.bytes, mtime = ("%.9f"):format(list.mtime), encoding = "utf-8",
      detected = "workbook", delimiter = "," },
  }
  options.encoding, options.delimiter, options.sheet, options.header_row = "utf-8", ",", nil, nil
  if keeps then
    state.sheet, options.source = opened.reader, state.folder.sheet
  else
    opened.reader:close() -- the input has the file open
  end
  return true
end

---Gives the list its name in the job folder.
---@param state table
---@return true? ok
---@return campaign.error? err
function M.place(state)
  local ok, err = kept_list.place(state, state.sheet, state.folder.sheet)
  if ok then
    state.sheet = nil
  end
  return ok, err
end

return M

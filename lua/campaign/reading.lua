-- SPDX-License-Identifier: MIT
-- Opens a list. Detecting its encoding may read the whole file, and a workbook is converted: inside nginx, where that would block all other
-- requests of a worker, it is done on a thread of the core, or in short steps, while the light thread yields; elsewhere the caller blocks.

local core = require "campaign.core"
local later = require "campaign.later"

local workbook = later.module("campaign.workbook")

local M = {}

-- A workbook as a list in a file without a name.
local function open_workbook(options, home)
  local opened, err = workbook.open{
    path = options.path, sheet = options.sheet, header_row = options.header_row, folder = options.folder or os.getenv("TMPDIR") or "/tmp",
      max_record = options.max_record, header = options.header,
    stopped = options.stopped, pause = home and function() home.sleep(0) end,
  }
  if not opened then
    return nil, err
  end
  opened.reader:close() -- the input has the file open
  return opened.input, opened
end

---As core.rows.input; a workbook is read, too.
---@param options table path, encoding?, delimiter?, max_record?, name?, record_lines?, header?; of a workbook sheet?, header_row?, stopped?, folder? (for the
---converted list)
---@return userdata? input
---@return campaign.error|table? err or, of a workbook, what workbook.open gives
function M.open(options)
  local home = package.loaded.ngx and require("campaign.openresty.env")
  home = home and home.may_wait() and home or nil
  if core.workbook.is_one(options.path) then
    return open_workbook(options, home)
  elseif options.sheet or options.header_row then
    return workbook.refuse_option(options.path, workbook.option(options))
  elseif not home then
    return core.rows.input(options)
  end
  local errand, err = core.rows.input_later(options)
  if not errand then
    return nil, err
  end
  local is_done, input
  repeat
    home.sleep(0.001)
    is_done, input, err = errand:take()
  until is_done
  return input, err
end

return M

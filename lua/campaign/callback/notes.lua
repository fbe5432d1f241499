-- SPDX-License-Identifier: MIT
-- Limits log lines that anybody on the network can cause: a number per period, then one line that says how many were suppressed, so that a flood does
-- not fill a disk.

local M = {}

local MOST, PERIOD = 30, 60 -- lines, seconds

---Makes a function that writes such lines.
---@param write fun(line: string) takes a line without its line end
---@param monotonic fun(): number
---@return fun(line: string) note
function M.new(write, monotonic)
  local began, written, left_out = monotonic(), 0, 0
  return function(line)
    local now = monotonic()
    if now - began >= PERIOD then
      if left_out > 0 then
        write(("%d more lines were left out"):format(left_out))
      end
      began, written, left_out = now, 0, 0
    end
    if written < MOST then
      written = written + 1
      write(line)
    else
      left_out = left_out + 1
    end
  end
end

return M

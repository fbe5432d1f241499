-- SPDX-License-Identifier: MIT
-- Reads batches.jsonl of a job folder: one line for each finished attempt, written by import/run/journal when a run ends.

local json = require "campaign.json"

local M = {}

---Reads finished attempts back, in the order in which they finished.
---@param path string
---@return fun(): table?
function M.each(path)
  local file = io.open(path, "rb")
  return function()
    local line = file and file:read("*l")
    if not line then
      if file then
        file:close()
        file = nil
      end
      return nil
    end
    return (json.decode(line))
  end
end

return M

-- SPDX-License-Identifier: MIT
-- Removes what an earlier run left. A file that will be appended to must be gone for certain: its old contents would mix with the new ones.

local core = require "campaign.core"

local M = {}

---Removes a file.
---@param path string
---@return true? ok also when there was none
---@return campaign.error? err it is still there
function M.file(path)
  local ok, err = core.system.remove(path)
  if ok or err.reason == "missing" then
    return true
  end
  return nil, err
end

-- Removes what it can; the rest stays, with the folders that contain it.
local function remove(path, what)
  if what.type == "folder" then
    for _, name in ipairs(core.system.list_dir(path) or {}) do
      local inner = path .. "/" .. name
      local found = core.system.stat(inner, false)
      if found then
        remove(inner, found)
      end
    end
  end
  core.system.remove(path)
end

---Removes a folder and its contents, as far as possible. Links are removed, not followed, also one in place of the folder.
---@param path string
function M.folder(path)
  local found = core.system.stat(path, false)
  if found and (found.type == "folder" or found.type == "link") then
    remove(path, found)
  end
end

return M

-- SPDX-License-Identifier: MIT
-- What an earlier run left and the next one makes anew. A file that is appended to must be known to be gone: what it still held would stand in the
-- new one beside its own.

local core = require "campaign.core"

local M = {}

---Removes a file.
---@param path string
---@return true? ok also when there is none
---@return campaign.error? err it is there still
function M.file(path)
  local ok, err = core.system.remove(path)
  if ok or err.reason == "missing" then
    return true
  end
  return nil, err
end

-- What cannot be removed stays, with the folders it is in.
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

---Removes a folder with all that is in it, as far as that can be removed. Of a link, also in its place, the link goes, not what it leads to.
---@param path string
function M.folder(path)
  local found = core.system.stat(path, false)
  if found and (found.type == "folder" or found.type == "link") then
    remove(path, found)
  end
end

return M

-- SPDX-License-Identifier: MIT
-- What an earlier run left and the next one makes anew. A file that is appended to must be known to be gone: what it still held would stand in the
-- new one beside its own.

local core = require "campaign.core"
local lfs = require "campaign.lfs"

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

---Removes a folder with all that is in it, as far as that can be removed. Of a link in it the link goes, not what it leads to.
---@param path string
function M.folder(path)
  local found = core.system.stat(path)
  if not found or found.type ~= "folder" then
    return
  end
  for name in lfs.dir(path) do
    if name ~= "." and name ~= ".." then
      local inner = path .. "/" .. name
      local what = core.system.stat(inner, false)
      if what and what.type == "folder" then
        M.folder(inner)
      else
        os.remove(inner)
      end
    end
  end
  lfs.rmdir(path)
end

return M

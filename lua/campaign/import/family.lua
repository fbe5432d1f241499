-- SPDX-License-Identifier: MIT
-- A job and its retries: which folders belong together. Retries are in the folder of the job whose rejected rows they send again, as
-- retry-1, retry-2, ..., each a job of its own.

local core = require "campaign.core"
local record_module = require "campaign.import.record"

local M = {}

-- Recognizes a retry whose path does not show that it is one (a symbolic link, `.`) by its inode.
local function by_folder(path)
  local own, above = core.system.stat(path, true), path .. "/.."
  local number = 1
  local found = own and core.system.stat(above .. "/job.json") and core.system.stat(M.retry(above, number), true)
  while found do
    if found.inode == own.inode and found.device == own.device then
      return above, number
    end
    number = number + 1
    found = core.system.stat(M.retry(above, number), true)
  end
end

---The job that a folder is a retry of, or the folder itself.
---@param path string
---@return string root
---@return integer? number of the retry
function M.root(path)
  local trimmed = path:gsub("/+$", "")
  local full = trimmed:find("^retry%-%d+$") and record_module.absolute(trimmed) or trimmed
  local root, number = full:match("^(.*)/retry%-(%d+)$") -- linear: anchored
  if root and core.system.stat(root .. "/job.json") then
    return root, tonumber(number)
  end
  root, number = by_folder(trimmed)
  return root or trimmed, number
end

---The folder of a retry.
---@param root string folder of the first job
---@param number integer of the retry, from 1
---@return string path
function M.retry(root, number)
  return root .. "/retry-" .. number
end

---The list of a retry.
---@param root string folder of the first job
---@param number integer of the retry, from 1
---@return string path
function M.list(root, number)
  return M.retry(root, number) .. ".csv"
end

---The job and its retries, oldest first.
---@param path string of any of them
---@return string[] folders
function M.folders(path)
  local root = M.root(path)
  local folders, number = { root }, 1
  while core.system.stat(M.retry(root, number) .. "/ledger.db") do
    folders[#folders + 1] = M.retry(root, number)
    number = number + 1
  end
  return folders
end

return M

-- SPDX-License-Identifier: MIT
-- A job and its retries: which folders belong together. Retries stand in the folder of the job whose rejected rows they send again, as
-- retry-1, retry-2, ..., each a job of its own.

local core = require "campaign.core"

local M = {}

---The job that a folder is a retry of, or the folder itself.
---@param path string
---@return string root
---@return integer? number of the retry
function M.root(path)
  local trimmed = path:gsub("/+$", "")
  local root, number = trimmed:match("^(.*)/retry%-(%d+)$") -- linear: anchored
  if root and core.system.stat(root .. "/job.json") then
    return root, tonumber(number)
  end
  return trimmed
end

---Where a retry stands.
---@param root string
---@param number integer
function M.retry(root, number)
  return root .. "/retry-" .. number
end

---The list of a retry.
---@param root string
---@param number integer
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

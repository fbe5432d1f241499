-- SPDX-License-Identifier: MIT
-- Replaces job folder and ledger for a dry run without a folder, which must leave nothing behind. Counts and reasons are in the accounting;
-- with a folder (`job`) a dry run writes everything that a plan writes.

local M = {}

local function succeed()
  return true
end

---In place of the job folder: no path, no files.
---@return table
function M.folder()
  return { write = succeed }
end

---In place of the ledger.
---@return table
function M.ledger()
  return { job_put = succeed, enqueue = succeed, record = succeed, record_refused = succeed, commit = succeed, close = succeed }
end

return M

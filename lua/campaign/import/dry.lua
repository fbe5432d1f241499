-- SPDX-License-Identifier: MIT
-- A dry run that nobody gave a folder leaves nothing behind: what stands here in place of job folder and ledger takes what it is told and
-- keeps none of it. Counts and reasons are in the books; with a folder (`job`) a dry run writes everything that a plan writes.

local M = {}

local function agree()
  return true
end

---In place of the job folder: no path, no files.
---@return table
function M.folder()
  return { write = agree }
end

---In place of the ledger.
---@return table
function M.ledger()
  return { job_put = agree, enqueue = agree, record = agree, record_refused = agree, commit = agree, close = agree }
end

return M

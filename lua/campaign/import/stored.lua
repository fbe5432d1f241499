-- SPDX-License-Identifier: MIT
-- Opens a job on disk: folder, ledger and recorded options. The caller has exclusive access until it closes the ledger; a running job is refused.

local error_object = require "campaign.error"
local folder_module = require "campaign.import.folder"
local ledger_module = require "campaign.ledger"
local record_module = require "campaign.import.record"

local M = {}

---The error for a ledger without a job: a process died after it created the ledger and before it wrote the job into it.
---@param folder table
---@return campaign.error
function M.no_job(folder)
  return error_object.new{
    kind = "ledger", reason = "unplanned", retry = false, sent = "no",
    message = "ledger " .. folder.ledger .. ": no job was planned in it",
    hint = "nothing was sent: import the list again",
  }
end

---The state of a job that no process works on: where the ledger says that it is running, the process died.
---@param put table what the ledger says of the job
---@return string state
function M.state_of(put)
  return put.state == "running" and "interrupted" or put.state
end

---Opens a job.
---@param path string the job folder
---@param options campaign.ledger.options?
---@return table? stored path, folder, told (what job.json says), ledger, put (what the ledger says of the job, with its files), record
---@return campaign.error? err
function M.open(path, options)
  local folder, told = folder_module.open(path)
  if not folder then
    return nil, told
  end
  local ledger, err = ledger_module.open(folder.ledger, options)
  if not ledger then
    return nil, err
  end
  local put, record
  put, err = ledger:job_get()
  if put and put.files[1] then
    record, err = record_module.decode(put.record, folder.ledger)
  end
  if not record then
    ledger:close()
    return nil, err or M.no_job(folder)
  end
  return { path = path, folder = folder, told = told, ledger = ledger, put = put, record = record }
end

return M

-- SPDX-License-Identifier: MIT
-- The public API: connect to a platform, import a list, work with jobs.

local client = require "campaign.api.client"
local config = require "campaign.config"
local env_module = require "campaign.env"
local platforms = require "campaign.api.platform"

local M = {}

---A client of a platform.
---@param platform string name of a shipped platform, or the path of a platform file (with a `/`)
---@param account table|string|nil values (`{ base_url = ..., token = ... }`), or the name of an account; otherwise the environment and the accounts
---file give what is missing
---@param options { transport: table?, env: campaign.env?, open_store: function?, record: string? }? for specs and other environments; `record`
---names a file in which every exchange is recorded without secrets and personal data (docs/client.md)
---@return campaign.client? client
---@return campaign.error? err
---@overload fun(platform: "outbound", account?: table|string): campaign.client.outbound?, campaign.error?
---@overload fun(platform: "tuzhan", account?: table|string): campaign.client.tuzhan?, campaign.error?
---@overload fun(platform: "hypers", account?: table|string): campaign.client.hypers?, campaign.error?
---@overload fun(platform: "longlong", account?: table|string): campaign.client.longlong?, campaign.error?
function M.connect(platform, account, options)
  options = options or {}
  local loaded, err = platforms.load(platform)
  if not loaded then
    return nil, err
  end
  local env = options.env or env_module.default()
  local found
  found, err = config.account(loaded, account, env)
  if not found then
    return nil, err
  end
  local transport = options.transport
  if not transport then
    transport, err = require("campaign.transport").new()
    if not transport then
      return nil, err
    end
  end
  if options.record then
    local recorder
    recorder, err = require("campaign.recording.record").new(transport, {
      path = options.record, platform = loaded, secrets = require("campaign.api.redact").secrets(loaded, found),
      keeps_open = options.transport ~= nil,
    })
    if not recorder then
      if not options.transport then
        transport:close()
      end
      return nil, err
    end
    transport = recorder
  end
  return client.new(loaded, found, transport, env, {
    owns_transport = options.transport == nil or options.record ~= nil, open_store = options.open_store,
  })
end

---Plans an import without running it: see docs/import.md.
---@param fields campaign.import.options
---@return campaign.job? job
---@return campaign.error? err
function M.plan(fields)
  return require("campaign.import").plan(fields)
end

---Plans and runs an import: see docs/import.md.
---@param fields campaign.import.options
---@return campaign.import.result? result
---@return campaign.error? err
function M.import(fields)
  return require("campaign.import").import(fields)
end

---Writes the Excel file of members that some operations take, from a list: see docs/members.md.
---@param fields campaign.members.options
---@return campaign.members.file? file
---@return campaign.error? err
function M.members_file(fields)
  local file, err = require("campaign.import.members").write(fields) -- no tail call: the level of a raised error counts this frame
  return file, err
end

---Opens the job in a folder.
---@param folder string
---@param given campaign.run.options? what differs in this process, for its `resume`
---@return table? job
---@return campaign.error? err
function M.open_job(folder, given)
  return require("campaign.import").open_job(folder, given)
end

---Sends rejected rows of a job again after they were corrected in its rejects.csv, and only those: see docs/ledger.md.
---@param folder string the job folder
---@param given campaign.job.retry.options?
---@return campaign.import.result? result of the retry, which is a job of its own; its field `retry` counts what happened to the rows of the file
---@return campaign.error? err nothing was sent
function M.retry(folder, given)
  return require("campaign.job.retry").retry(folder, given)
end

---Plans a retry without running it.
---@param folder string
---@param given campaign.job.retry.options?
---@return campaign.job? job
---@return campaign.error? err
function M.plan_retry(folder, given)
  return require("campaign.job.retry").plan(folder, given)
end

---Rebuilds the damaged ledger of a job from what can be read of it. Batches without an intact record are in doubt, and not sent again: see
---docs/ledger.md.
---@param folder string the job folder
---@param given table? account, env, transport as for `open_job`; trust_pending: batches that an intact record calls pending stay pending
---@return table? recovered
---@return campaign.error? err
function M.recover(folder, given)
  return require("campaign.import").recover(folder, given)
end

---Erases the personal data of a job and of its retries; counts are kept. See docs/ledger.md.
---@param folder string the job folder
---@param options { all: boolean?, force: boolean? }? all: the whole job; force: even if it is not settled
---@return campaign.job.forgotten? forgotten what was removed, kept, left
---@return campaign.error? err
function M.forget(folder, options)
  return require("campaign.job.forget").forget(folder, options)
end

---Verifies a job: list, ledger, reports and, if its log is available, the server agree on every row. See docs/ledger.md.
---@param folder string the job folder
---@param options { server_log: string?, sandbox: string?, after: integer? }? a log of commits, or the base URL of a sandbox
---@return campaign.job.proof? proof
---@return campaign.error? err the job could not be verified
function M.verify(folder, options)
  return require("campaign.job.verify").verify(folder, options)
end

---Receives callbacks: `campaign.callback.new{ platform = "longlong", secret = ..., store = folder }`, see docs/callbacks.md.
M.callback = setmetatable({}, { __index = function(_, name) return require("campaign.callback")[name] end })

---The result of an import as a few lines of text.
---@param result table
---@return string
function M.summary(result)
  return require("campaign.import.report.summary").text(result)
end

---Iterates over the rows of a CSV file: `for number, row in assert(campaign.rows("contacts.csv")) do print(row["name"]) end`.
---@param path string
---@param options { encoding: string?, delimiter: string?, max_record: integer? }?
---@return (fun(): integer?, table<string, string>?, string?)? iterator record number, its texts by column, the fault of a malformed record
---@return campaign.error? err
function M.rows(path, options)
  return require("campaign.rows").open(path, options)
end

---Converts a platform's time, given as a number without a unit, to seconds since 1970: 100000000000 and above are milliseconds.
---@param value number|string
---@return number? instant nil when the value is no number
function M.instant(value)
  return require("campaign.api.time").instant(value)
end

return M

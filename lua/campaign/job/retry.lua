-- SPDX-License-Identifier: MIT
-- campaign.retry: sends rejected rows of a job again, and only those, after they were corrected. A retry is a job of its own, inside the
-- folder of the first one, so that a planned batch never changes and every transmission has its intent. retry_rows decides row by row what
-- may be sent; see docs/ledger.md, "Retry".

local buckets_module = require "campaign.job.buckets"
local campaign_import = require "campaign.import"
local config = require "campaign.config"
local core = require "campaign.core"
local corrected_file = require "campaign.job.corrected_file"
local discard = require "campaign.discard"
local env_module = require "campaign.env"
local error_object = require "campaign.error"
local family = require "campaign.import.family"
local folder_module = require "campaign.import.folder"
local handover = require "campaign.import.handover"
local opened_module = require "campaign.job.opened"
local options = require "campaign.import.options"
local record_module = require "campaign.import.record"
local resume = require "campaign.import.resume"
local retry_rows = require "campaign.job.retry_rows"
local run_options = require "campaign.import.run_options"
local shell_quote = require "campaign.shell_quote"

local M = {}

---@class campaign.job.retry.options: campaign.run.options
---@field file string? the corrected file; default: rejects.csv of the named job or retry
---@field encoding string? of the file; default UTF-8
---@field delimiter string? of the file; default: detected
---@field unchanged boolean? also send rows whose values did not change

---@class campaign.job.retry.counts
---@field number integer of the retry
---@field of string the job whose rows they are
---@field file string the file that was read
---@field rows integer in the file
---@field sent integer rows that the retry sends, if its own checks accept them
---@field unchanged integer rows that were not corrected
---@field settled integer rows that an earlier retry delivered
---@field ambiguous integer rows that an earlier retry left in doubt
---@field duplicate integer rows whose key belongs to a row that was accepted
---@field left_out integer rejected rows that are not in the file

local function refuse(kind, message, hint)
  return error_object.refuse{ kind = kind, message = message, hint = hint }
end

-- Options that apply to the first import only.
local NOT_AGAIN = { source = true, encoding = true, delimiter = true, overwrite = true, since = true }

local KNOWN = { file = true, encoding = true, delimiter = true, unchanged = true }
for _, name in ipairs(run_options.NAMES) do
  KNOWN[name] = true
end

local function check_given(given, level)
  for name in pairs(given) do
    if not KNOWN[name] then
      error("retry: unknown option `" .. tostring(name) .. "`", level + 1)
    end
  end
  options.check(run_options.pick(given), "retry", level + 1)
end

-- The options of the retry's own import.
local function plan_options(root, number, given)
  local kept = {}
  for key, value in pairs(root.record.options) do
    if not NOT_AGAIN[key] then
      kept[key] = value
    end
  end
  kept.source, kept.encoding, kept.delimiter = family.list(root.path, number), "utf-8", ","
  kept.job = family.retry(root.path, number)
  kept.workbook = kept.workbook and { doubtful = kept.workbook.doubtful } -- the retry's list is made of the corrected file
  return record_module.given(kept, run_options.pick(given))
end

local function check_account(root, given)
  local account, err = config.account(root.platform, given.account, given.env or env_module.default())
  if not account then
    return nil, err
  end
  return resume.same_target(root.record, record_module.identity(root.platform, account))
end

local function check_root(root, given)
  if root.state ~= "finished" and root.state ~= "stopped" then
    return refuse("ledger", ("job %s is %s: which of its rows are rejected is not known yet"):format(root.path,
      root.state), "finish it first: campaign resume " .. shell_quote(root.path))
  end
  if not handover.is_done(root.record) then
    return refuse("ledger", ("job %s has not taken over what %s left open: its rejected rows may be that one's"):format(root.path,
      root.record.options.since), "finish it first: campaign resume " .. shell_quote(root.path))
  end
  local ok, err = resume.same_file(root.file, root.record, root.ledger, (given.env or env_module.default()).pause)
  if ok then
    ok, err = root:open_list()
  end
  if ok then
    ok, err = check_account(root, given)
  end
  return ok, err
end

local function throw_away(root, number)
  discard.folder(family.retry(root.path, number))
  os.remove(family.list(root.path, number))
end

-- A retry whose process died before it was recorded in the first job: removed if nothing was sent.
local function adopt_leftover(root, number)
  local path = family.retry(root.path, number)
  if not core.system.stat(path) then
    return number
  end
  if core.system.stat(path .. "/ledger.db") then
    local left, err = opened_module.open(path)
    local progress
    if left then
      progress, err = left.ledger:progress()
      left:close()
    end
    if err and err.reason == "locked" then
      return nil, err
    end
    if progress and progress.attempts > 0 or not progress and err.reason ~= "unplanned" then
      return refuse("ledger", ("%s is there and the job does not know of it"):format(path),
        progress and "finish it with campaign resume, then move it away" or "look at it: " .. tostring(err))
    end
  end
  throw_away(root, number)
  return number
end

local function open_retries(root)
  local retries = {}
  for number = 1, root.record.retries or 0 do
    local path = family.retry(root.path, number)
    if not core.system.stat(path .. "/ledger.db") then
      for _, retry in ipairs(retries) do
        retry:close()
      end
      return refuse("ledger", ("%s is not there any more: nobody knows which rows it sent"):format(path), "put the folder back")
    end
    local retry, err = opened_module.open(path)
    local ok = retry
    if retry then
      ok, err = retry:open_list()
      retries[number], retry.number = retry, number
    end
    if not ok then
      for _, other in pairs(retries) do
        other:close()
      end
      return nil, err
    end
  end
  return retries
end

local function nothing_to_send(path, counts)
  local words = {}
  for _, name in ipairs({ "unchanged", "settled", "ambiguous", "duplicate" }) do
    if counts[name] > 0 then
      words[#words + 1] = ("%d %s"):format(counts[name], name)
    end
  end
  return refuse("invalid", ("%s: there is nothing to send (%s)"):format(path, #words > 0 and table.concat(words, ", ") or "no rows"),
    counts.unchanged > 0 and "correct the rows first; --unchanged sends them as they are" or nil)
end

-- Selects the rows and writes the retry's list.
local function make_list(root, retries, number, given, file)
  local counts, err = buckets_module.with(root.path .. "/retry-rows", root.record.plan.rows, function(buckets)
    return retry_rows.choose{
      root = root, retries = retries, buckets = buckets, file = file, encoding = given.encoding, delimiter = given.delimiter,
      unchanged = given.unchanged, list = family.list(root.path, number), row_column = corrected_file.row_column(root.columns),
    }
  end)
  if not counts then
    return nil, err
  elseif counts.sent == 0 then
    os.remove(family.list(root.path, number))
    return nothing_to_send(file, counts)
  end
  return counts
end

local function note_retry(root, number)
  root.record.retries = number
  local text, err = record_module.encode(root.record)
  if not text then
    return nil, err
  end
  return root.ledger:job_put{ id = root.id, state = root.state, record = text }
end

local function plan_open(root, given, file)
  local ok, err = check_root(root, given)
  if ok then
    ok, err = handover.may_send(root.path, "its rejected rows")
  end
  if not ok then
    return nil, err
  end
  local number, retries, counts
  number, err = adopt_leftover(root, (root.record.retries or 0) + 1)
  if number then
    retries, err = open_retries(root)
  end
  if retries then
    counts, err = make_list(root, retries, number, given, file)
    for _, retry in ipairs(retries) do
      retry:close()
    end
  end
  if not counts then
    return nil, err
  end
  local job
  job, err = campaign_import.plan(plan_options(root, number, given))
  if job then
    -- Before anything can be sent: from now on what the retry sends cannot be overlooked.
    ok, err = note_retry(root, number)
    if ok then
      counts.number, counts.of, counts.file = number, root.path, file
      job.retry = counts
      return job
    end
    job:close()
  end
  throw_away(root, number)
  return nil, err
end

---Plans a retry: reads the corrected file, selects the rows that may be sent, checks them. Sends nothing.
---@param path string the job folder, or that of one of its retries
---@param given campaign.job.retry.options?
---@return campaign.job? job its field `retry` has the counts
---@return campaign.error? err
function M.plan(path, given)
  given = given or {}
  check_given(given, 2)
  local root_path, number = family.root(path)
  local file = given.file or (number and family.retry(root_path, number) or root_path) .. "/" .. folder_module.FILES.rejects
  if not core.system.stat(file, true) and core.system.stat(root_path .. "/" .. folder_module.FILES.job, true) then
    return refuse("usage", file .. " does not exist", given.file and nil or
      "a job without rejected rows has none, nor one that was forgotten; one that was killed writes it when it is resumed")
  end
  local root, err = opened_module.open(root_path)
  if not root then
    return nil, err
  end
  local job
  job, err = plan_open(root, given, file)
  root:close()
  return job, err
end

---Plans a retry and runs it.
---@param path string the job folder, or that of one of its retries
---@param given campaign.job.retry.options?
---@return campaign.import.result? result its field `retry` has the counts
---@return campaign.error? err
function M.retry(path, given)
  local job, err = M.plan(path, given)
  if not job then
    return nil, err
  end
  local result
  result, err = job:run()
  if result then
    result.retry = job.retry
  else
    job:close() -- it was not started: nothing is held, and it can be resumed
  end
  return result, err
end

return M

-- SPDX-License-Identifier: MIT
-- campaign.forget: erases the personal data of a job and of its retries. Counts are kept: ledger, job.json, batches.jsonl and report.json
-- contain no personal data. All of our files that may contain rows of the list are removed; foreign files are named and left alone.

local core = require "campaign.core"
local discard = require "campaign.discard"
local error_object = require "campaign.error"
local family = require "campaign.import.family"
local folder_module = require "campaign.import.folder"
local handover = require "campaign.import.handover"
local lfs = require "campaign.lfs"
local opened_module = require "campaign.job.opened"

local M = {}

-- Files without personal data, by name or pattern.
local KEPT = { ["job.json"] = true, ["ledger.db"] = true, ["ledger.db.lock"] = true, ["ledger.db-wal"] = true, ["batches.jsonl"] = true,
  ["report.json"] = true, ["report.html"] = true, [handover.FILE] = true }
local KEPT_FORM = "^ledger%.damaged%-%d+%.db"

-- Folders of ours that a process which died may have left; they hold rows or digests of rows.
local SCRATCH = { ["verify-rows"] = true, ["verify-server"] = true, ["retry-rows"] = true, ["recover-tmp"] = true }

---@class campaign.job.forgotten
---@field job string
---@field all boolean whether the job itself went too
---@field removed string[] paths below the job folder
---@field kept string[] what stays: no personal data
---@field left string[] files that are not ours
---@field bytes integer removed

local function refuse(kind, message, hint)
  return error_object.refuse{ kind = kind, message = message, hint = hint }
end

local function names_in(path)
  local names, err = core.system.list_dir(path)
  if not names then
    return nil, error_object.new{ kind = "ledger", retry = false, message = "cannot be looked into: " .. err.message, cause = err,
      hint = "repeat the command once that is corrected; files removed so far stay removed" }
  end
  table.sort(names)
  return names
end

-- The names of row files without extension, and other files of ours. Anything else in the folder belongs to the user.
local STEMS, OWN = {}, { ["ledger.db.reserve"] = true }
for _, own in pairs(folder_module.FILES) do
  OWN[own] = true
  local stem = own:match("^(.*)%.csv$")
  if stem then
    STEMS[stem] = true
  end
end

-- Whether this program gives this name to files with rows, or to files that a dead process leaves.
local function is_ours(name)
  if OWN[name] or name:find("^retry%-%d+%.csv$") or name:find("^%.campaign%-%x+%.tmp$") then
    return true
  end
  -- Set aside by resume and recover.
  local stem, word = name:match("^([%a_]+)%-(%l+)%-%d+%.csv$") -- linear: a fixed character between
  return (word == "edited" or word == "before") and STEMS[stem] == true
end

local work = {}
local work_mt = { __index = work }

function work:remove(path, shown)
  local found = core.system.stat(path)
  local ok, why = os.remove(path)
  if not ok then
    return nil, error_object.new{ kind = "ledger", retry = false, message = path .. " cannot be removed: " .. tostring(why),
      hint = "repeat the command once that is corrected; files removed so far stay removed" }
  end
  self.removed[#self.removed + 1], self.bytes = shown, self.bytes + (found and found.size or 0)
  return true
end

function work:folder(path, prefix)
  local names, why = names_in(path)
  if not names then
    return nil, why
  end
  for _, name in ipairs(names) do
    local inner, shown = path .. "/" .. name, prefix .. name
    local found = core.system.stat(inner, false) -- what a link leads to is not ours
    local ok, err = true, nil
    if found and found.type == "folder" then
      if SCRATCH[name] then
        ok, err = self:scratch(inner, shown)
      elseif prefix == "" and name:find("^retry%-%d+$") and core.system.stat(inner .. "/job.json") then
        ok, err = self:folder(inner, shown .. "/")
        if ok and self.all then
          lfs.rmdir(inner)
        end
      else
        self.left[#self.left + 1] = shown
      end
    elseif KEPT[name] or name:find(KEPT_FORM) then
      if self.all then
        self.last[#self.last + 1] = { inner, shown }
      else
        self.kept[#self.kept + 1] = shown
      end
    elseif is_ours(name) then
      ok, err = self:remove(inner, shown)
    else
      self.left[#self.left + 1] = shown
    end
    if not ok then
      return nil, err
    end
  end
  return true
end

function work:scratch(path, shown)
  local names, why = names_in(path)
  if not names then
    return nil, why
  end
  for _, name in ipairs(names) do
    local inner = path .. "/" .. name
    local found = core.system.stat(inner, false)
    local ok, err
    if found and found.type == "folder" then
      ok, err = self:scratch(inner, shown .. "/" .. name)
    else
      ok, err = self:remove(inner, shown .. "/" .. name)
    end
    if not ok then
      return nil, err
    end
  end
  discard.folder(path)
  return true
end

-- Notes in the report that its row files were removed on request.
local function mark_report(folder, now)
  if not core.system.stat(folder.report) then
    return true
  end
  local report, err = folder:read("report")
  if not report then
    return nil, err
  end
  for name in pairs(report) do
    if name:find("_file$") and name ~= "report_file" and name ~= "batches_file" then
      report[name] = nil
    end
  end
  report.forgotten = report.forgotten or now
  report.reasons = report.reasons and core.json.array(report.reasons)
  return folder:write("report", report)
end

-- Refuses a job that is not settled: its files are still needed for that.
local function check_settled(opened)
  local progress, err = opened.ledger:progress()
  if not progress then
    return nil, err
  end
  local rows = progress.rows
  local is_over = opened.state == "finished" and rows.pending == 0 or handover.read(family.root(opened.path)) ~= nil
  if is_over and rows.ambiguous == 0 then
    return true
  end
  return refuse("usage", ("job %s is not settled: it is %s, %d rows are ambiguous, %d were not sent"):format(opened.path,
    opened.state, rows.ambiguous, rows.pending),
    "resume and resolve it first; --force forgets it as it is")
end

-- Opens the job and its retries, so that no other process works on them meanwhile.
local function open_all(folders, force)
  local jobs = {}
  for _, path in ipairs(folders) do
    local opened, err = opened_module.open(path)
    local ok = opened ~= nil
    if opened then
      jobs[#jobs + 1] = opened
      if not force then
        ok, err = check_settled(opened)
      end
    elseif err.reason == "locked" then
      err = error_object.new{ kind = "ledger", reason = "locked", retry = false, sent = "no", message = "job " .. path .. " is running",
        hint = "stop it first; a running job is not forgotten, not even with --force" }
    else
      ok = force and err.kind == "ledger" -- with --force also a job with a damaged ledger
    end
    if not ok then
      for _, other in ipairs(jobs) do
        other:close()
      end
      return nil, err
    end
  end
  return jobs
end

local function forget_rows(folders, self, now)
  for _, path in ipairs(folders) do
    local folder, err = folder_module.open(path)
    local ok = folder ~= nil
    if ok and not self.all then
      ok, err = mark_report(folder, now)
    end
    if not ok then
      return nil, err
    end
  end
  return self:folder(folders[1], "")
end

---Erases the personal data of a job and of its retries.
---@param path string the job folder
---@param options { all: boolean?, force: boolean?, now: number? }? all: the whole job, its counts too; force: also one that is not settled
---@return campaign.job.forgotten? forgotten
---@return campaign.error? err
function M.forget(path, options)
  options = options or {}
  local root = family.root(path)
  local folder, err = folder_module.open(root)
  if not folder then
    return nil, err
  end
  local folders = family.folders(root)
  local jobs
  jobs, err = open_all(folders, options.force)
  if not jobs then
    return nil, err
  end
  local self = setmetatable({ all = options.all == true, removed = {}, kept = {}, left = {}, last = {}, bytes = 0 }, work_mt)
  local ok
  ok, err = forget_rows(folders, self, options.now or core.system.now())
  for _, opened in ipairs(jobs) do
    opened:close()
  end
  -- Ledgers go last, and job.json after everything: an interrupted run can be repeated.
  table.sort(self.last, function(left, right)
    local is_left, is_right = left[2] == "job.json", right[2] == "job.json"
    if is_left ~= is_right then
      return is_right
    end
    return left[2] < right[2]
  end)
  for _, entry in ipairs(self.last) do
    if ok and core.system.stat(entry[1]) then -- the log is removed when its ledger is closed
      ok, err = self:remove(entry[1], entry[2])
    end
  end
  if not ok then
    return nil, err
  end
  if self.all then
    for i = #folders, 1, -1 do
      lfs.rmdir(folders[i])
    end
  end
  return { job = root, all = self.all, removed = self.removed, kept = self.kept, left = self.left, bytes = self.bytes }
end

return M

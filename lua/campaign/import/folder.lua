-- SPDX-License-Identifier: MIT
-- The job folder: a folder for one import, private to its user. Creates it, names its files and reads the folder of an earlier run. The
-- files are described in docs/import.md.

local core = require "campaign.core"
local durable = require "campaign.durable"
local error_object = require "campaign.error"
local json = require "campaign.json"
local later = require "campaign.later"
local lfs = require "campaign.lfs"

local ledger_module = later.module "campaign.ledger"

local M = {}

M.FORMAT = 1

-- Bytes reserved beside the ledger, so that the outcomes of requests in flight can still be recorded when the disk fills up.
M.RESERVE = 16777216

local FOLDER_MODE, FILE_MODE = 448, 384 -- 0700, 0600

local MOST_JSON = 16777216

M.FILES = {
  job = "job.json", batches = "batches.jsonl", rejects = "rejects.csv",
  ledger = "ledger.db", ambiguous = "ambiguous.csv", duplicates = "duplicates.csv", suppressed = "suppressed.csv",
  unchanged = "unchanged.csv", keys = "rows.keys", not_sent = "not_sent.csv", possibly_duplicated = "possibly_duplicated.csv",
  sheet = "sheet.csv", mapped = "mapped.csv", report = "report.json", page = "report.html",
}

local methods = {}
local mt = { __index = methods, __name = "campaign.import.folder" }

local function refuse(path, message, hint)
  return error_object.refuse{
    kind = "usage", message = "job folder " .. path .. ": " .. message, hint = hint,
  }
end

---The error for a folder that cannot be written (failed or full disk, missing permission). It ends an import: nothing may be sent that cannot
---be recorded.
---@param path string of the job folder
---@param err any the cause
---@return nil
---@return campaign.error err kind `ledger`, with reason `full` if the disk is full
local function trouble(path, err)
  local is_full = error_object.is(err) and err.reason == "full"
  return nil, error_object.new{
    kind = "ledger", retry = false, message = "job folder " .. path .. ": " .. tostring(err), cause = err, reason = is_full and "full" or nil,
    hint = is_full and "make room, then resume the job" or "sending stops when its record cannot be written",
  }
end

M.trouble = trouble

-- Whether a folder is empty, but for what a process leaves that died before it had a ledger, or is making a list.
local function is_empty(path)
  local names, err = core.system.list_dir(path)
  for _, name in ipairs(names or {}) do
    if not name:find("^%.campaign%-%x+%.tmp$") and name ~= "ledger.db.lock" then
      return false
    end
  end
  return names and true, err
end

local function from_path(path)
  local self = setmetatable({ path = path }, mt)
  for key, name in pairs(M.FILES) do
    self[key] = path .. "/" .. name
  end
  return self
end

---The default name of a job folder: time, platform, operation.
---@param now number seconds since 1970
---@param platform string
---@param operation string
---@param try integer 1, then 2, ... while the name is taken
---@return string
function M.default_path(now, platform, operation, try)
  local name = os.date("%Y%m%d-%H%M%S", math.floor(now)) .. "-" .. platform .. "-" .. operation
  return "campaign-jobs/" .. name .. (try > 1 and "-" .. try or "")
end

local EACCES = 13

-- Creates the parents, too, and syncs their names: a job whose folder is lost in a power failure would be sent again.
local function make(path)
  local parents, child = {}, path:gsub("/+$", "")
  while child ~= "" and not core.system.stat(child, true) do
    local parent = child:match("^.*/") or "."
    parents[#parents + 1] = parent
    child = parent:gsub("/+$", "")
  end
  local ok, err = core.system.make_dirs(path, FOLDER_MODE)
  for _, parent in ipairs(parents) do
    if ok then
      ok, err = durable.folder(parent)
      ok = ok or err.code == EACCES -- a folder that we may write into and not read
    end
  end
  return ok, err
end

-- Empties a folder whose import died before its plan was recorded, so that the list can be imported again by the same command: nothing was sent,
-- and there is nothing to resume. Leaves every other folder alone; fails where a process works on it.
local function reclaim(self)
  if not core.system.stat(self.ledger) then
    return true
  end
  local ledger, err = ledger_module.open(self.ledger)
  if not ledger then
    return not (err.reason == "locked" or error_object.lacks_descriptor(err)) or nil, err
  end
  local put
  put, err = ledger:job_get()
  ledger:close()
  if err or put and put.files[1] then
    return true
  end
  local before = core.system.stat(self.ledger)
  local lock
  lock, err = M.lock(self.path)
  if not lock then
    return nil, err
  end
  local now = core.system.stat(self.ledger)
  local is_same = before and now and before.inode == now.inode and before.size == now.size and before.mtime == now.mtime
  if is_same then
    self:abandon()
  end
  lock:close()
  if is_same then
    self:leave()
    self.abandoned = nil
  end
  return true
end

---Creates the folder. One that is not empty is refused, so that two imports never share one.
---@param path string? given by the user
---@param default fun(try: integer): string the path to try, 1 first, if the user gave none
---@return table? folder
---@return campaign.error? err
function M.create(path, default)
  local try = 1
  local chosen = path or default(try)
  while not path and core.system.stat(chosen) do
    try = try + 1
    chosen = default(try)
  end
  local found = core.system.stat(chosen)
  if found and found.type ~= "folder" then
    return refuse(chosen, "there is something else of that name", "name another folder with `job`")
  end
  local self = from_path(chosen)
  if found then
    local free, taken = self:is_free()
    if not free then
      free, taken = reclaim(self)
      if free then
        free, taken = self:is_free()
      end
    end
    if not free then
      return nil, taken
    end
  end
  local ok, err = make(chosen)
  if not ok then
    return trouble(chosen, err)
  end
  self.made = not found
  return self
end

---Creates the folder of a new job.
---@param options table of import/options.lua
---@param platform campaign.platform
---@param operation campaign.operation
---@return table? folder
---@return campaign.error? err
function M.of_job(options, platform, operation)
  return M.create(options.job, function(try)
    return M.default_path(options.env.now(), platform.name, operation.name, try)
  end)
end

---Whether the folder is still empty: a map function may have run for hours, and another import may have taken the folder.
---@return true? free
---@return campaign.error? err
function methods:is_free()
  local empty, err = true, nil
  if core.system.stat(self.path) then
    empty, err = is_empty(self.path)
  end
  if err then
    return trouble(self.path, err)
  elseif not empty and core.system.stat(self.job) then
    return refuse(self.path, "an import was begun in it already",
      "campaign resume continues that one; another import needs a folder of its own (--job DIR, option `job`)")
  elseif not empty then
    return refuse(self.path, "it is not empty", "each import needs a folder of its own; name another one (--job DIR, option `job`)")
  end
  return true
end

---Removes the files of a plan that failed because of the list, so that the corrected list can be imported with the same options. Nothing was
---sent. Called while the ledger's lock is held, so that no process resumes the job meanwhile; `leave` follows when the ledger is closed.
function methods:abandon()
  self.abandoned = true
  for _, name in pairs(M.FILES) do
    os.remove(self.path .. "/" .. name)
  end
  for _, ending in ipairs({ "-wal", "-shm", ".reserve" }) do
    os.remove(self.ledger .. ending)
  end
end

---Removes the folder of a plan that failed, if it was made for the job and is empty. Called when the ledger is closed.
function methods:leave()
  if self.abandoned then
    os.remove(self.ledger .. ".lock")
  end
  if self.made then
    lfs.rmdir(self.path)
  end
end

---Locks a job without opening its ledger; does not wait.
---@param path string its folder
---@return table? lock
---@return campaign.error? err reason `locked` when a process works on it
function M.lock(path)
  local lock, err = core.system.lock(path .. "/ledger.db.lock", 0)
  if lock then
    return lock
  elseif err.reason ~= "locked" then
    return trouble(path, err)
  end
  local who = err.cause and err.cause.ours and "this process itself works on " or "another process works on "
  return error_object.refuse{ kind = "ledger", reason = "locked", message = who .. path, hint = "wait for it to end", cause = err }
end

---Opens the folder of an earlier run.
---@param path string
---@return table? folder
---@return campaign.error? err
function M.open(path)
  local self = from_path(path)
  local job, err = self:read("job")
  if not job then
    return nil, err
  end
  if job.format ~= M.FORMAT then
    return refuse(path, "job.json is of format " .. tostring(job.format) .. ", this version reads " .. M.FORMAT,
      "use the version of campaign that made it")
  end
  return self, job
end

-- What to do about a damaged JSON file. What was sent is recorded in the ledger only.
local DAMAGED = {
  job = ("what was sent stands in ledger.db: put job.json back from a copy, or write {\"format\":%d} into it"):format(M.FORMAT),
  report = "campaign resume makes it again",
}

---Reads one of the JSON files.
---@param name "job"|"report"
---@return table? value
---@return campaign.error? err
function methods:read(name)
  local text, why = core.system.read_file(self[name], MOST_JSON)
  local folder = not text and core.system.stat(self.path, true)
  if not text and (why.reason == "missing" or folder and folder.type ~= "folder") then
    local has_ledger = name == "job" and core.system.stat(self.ledger)
    return refuse(self.path, tostring(why), has_ledger and "when the import died as it began, nothing was sent: import the list again. Otherwise "
      .. DAMAGED.job or "is it the folder of an import?")
  elseif not text then
    return nil, error_object.new{ kind = "ledger", retry = false, cause = why, message = tostring(why),
      hint = "a job can be read by the user who began it" }
  end
  local value, err = json.decode(text)
  if type(value) ~= "table" then
    return nil, error_object.new{
      kind = "ledger", retry = false, cause = err, hint = DAMAGED[name],
      message = self[name] .. " is damaged: " .. tostring(err or "no JSON object"),
    }
  end
  return value
end

---Writes one of the JSON files atomically.
---@param name "job"|"report"
---@param value table
---@return true? ok
---@return campaign.error? err
function methods:write(name, value)
  local ok, err = durable.write(self[name], core.json.encode(value) .. "\n", FILE_MODE)
  if not ok then
    return trouble(self.path, err)
  end
  return true
end

---Removes report.json and report.html before the ledger changes, so that a process that dies cannot leave them out of date. The caller holds
---the ledger's lock.
---@return { report: string?, page: string? }? told their contents, to restore them if nothing changed
---@return campaign.error? err they could not be removed
function methods:withdraw_report()
  local told = {}
  for _, name in ipairs({ "page", "report" }) do
    local text, err = core.system.read_file(self[name], MOST_JSON)
    if not text and err.reason ~= "missing" and name == "report" then
      return trouble(self.path, err)
    end
    told[name] = text
  end
  local ok, err = true, nil
  for name in pairs(told) do
    if ok then
      ok, err = core.system.remove(self[name])
    end
  end
  if ok and next(told) then
    ok, err = durable.folder(self.path)
  end
  if not ok then
    return trouble(self.path, err)
  end
  return told
end

---Restores reports that were removed although nothing changed. Without this, `resume` makes them.
---@param told { report: string?, page: string? }
function methods:restore_report(told)
  for name, text in pairs(told) do
    durable.write(self[name], text, FILE_MODE)
  end
end

---Opens a file of the folder for appending.
---@param name string key of FILES
---@return table? file `write(text)` and `close()`, both return true, or nil and an error
---@return campaign.error? err
function methods:append(name)
  local file, err = core.system.append_open(self[name], FILE_MODE)
  if not file then
    return trouble(self.path, err)
  end
  local path = self.path
  return {
    write = function(_, text)
      local ok, write_err = file:write(text)
      if not ok then
        return trouble(path, write_err)
      end
      return true
    end,
    close = function()
      local ok, sync_err = durable.sync(file)
      file:close()
      if not ok then
        return trouble(path, sync_err)
      end
      return true
    end,
  }
end

return M

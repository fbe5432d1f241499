-- SPDX-License-Identifier: MIT
-- Allows one import at a time for a target that other writers would disturb: where the platform's data settles doubt by querying the target
-- (`probe`), or the import replaces its data. The lock is a kernel lock on a file in the user's state folder, so it ends with its process.
-- Beside it the holder is recorded, and whose turn it is: a word that changes when another job sends. A query made before a batch was sent
-- proves nothing once another turn has begun, however long ago that ended. Other machines and users are not covered.

local core = require "campaign.core"
local durable = require "campaign.durable"
local env_module = require "campaign.env"
local error_object = require "campaign.error"
local json = require "campaign.json"
local later = require "campaign.later"
local record_module = require "campaign.import.record"

local abandoned_jobs = later.module "campaign.abandoned_jobs"
local shell_quote = require "campaign.shell_quote"

local M = {}

local PRIVATE, FOLDER = 384, 448 -- 0600, 0700
local MOST_BYTES = 16384

-- Seconds between two attempts to get the lock.
local TICK = 0.5

-- Seconds between two checks whether a job of this process that has the lock was abandoned: most likely it is still running.
local LOOK = 60

local methods = {}
local mt = { __index = methods, __name = "campaign.import.run.target_lock" }

---Identifies the target of a call among those of the account; nil if writers do not disturb each other.
---@param operation table
---@param options table params, overwrite
---@return string?
function M.target(operation, options)
  local probe = type(operation.probe) == "table" and operation.probe or nil
  if not probe and not options.overwrite then
    return nil
  end
  local told = {}
  if probe then
    for theirs, ours in pairs(probe.match) do
      told[theirs] = tostring(options.params[ours])
    end
  else
    for name, value in pairs(options.params) do
      told[name] = name ~= operation.destructive.field and value or nil
    end
  end
  return (probe and probe.operation or operation.name) .. "\0" .. core.json.encode(told)
end

---@param given table operation, options (of the import), identity (of the account), id, folder (path of the job)
---@return table? lock nil where none is needed
function M.new(given)
  local target = M.target(given.operation, given.options)
  if not target then
    return nil
  end
  local state_dir = env_module.state_dir(given.options.env)
  local found = core.system.stat(given.folder, true)
  local self = setmetatable({
    _env = given.options.env, _folder = record_module.absolute((given.folder:gsub("/+$", ""))),
    _job = given.id .. "/" .. ("%.0f"):format(found and found.inode or 0), -- a copy of a job is another one
    _lock = nil, _said = nil, _path = nil,
  }, mt)
  if state_dir then
    -- The file name does not reveal whose target it is.
    self._place = state_dir .. "/targets"
    self._path = self._place .. "/" .. core.digest.hmac_sha256(given.identity, target):sub(1, 32)
  end
  return self
end

local function trouble(self, err)
  return error_object.new{
    kind = "ledger", retry = false, sent = "no", cause = err, reason = err and err.reason == "full" and "full" or nil,
    message = "the lock of the target cannot be stored: " .. tostring(err and err.message or err),
    hint = "imports into one target must not overlap; make " .. self._place .. " writable, or choose another folder with CAMPAIGN_STATE_DIR",
  }
end

function methods:_read()
  local text, err = core.system.read_file(self._path .. ".json", MOST_BYTES, true)
  if not text then
    return {}, err.reason ~= "missing" and err or nil
  end
  local said = json.decode(text)
  return type(said) == "table" and said or {}
end

function methods:_write(said)
  return durable.write(self._path .. ".json", core.json.encode(said) .. "\n", PRIVATE)
end

---Takes the lock if it is free.
---@return boolean? taken true also where there is no place for locks: `unlocked` then says why
---@return campaign.error|string? err or the folder of the job that has it
function methods:try()
  if self._lock or self.unlocked then
    return true
  elseif not self._path then
    self.unlocked = "there is no place for locks (set HOME or CAMPAIGN_STATE_DIR)"
    return true
  end
  local ok, err = core.system.make_dirs(self._place, FOLDER)
  if not ok then
    self.unlocked = "there is no place for locks: " .. tostring(err.message)
    return true
  end
  self._lock, err = core.system.lock(self._path .. ".lock", 0)
  if not self._lock and abandoned_jobs.let_go(err, LOOK) then
    self._lock, err = core.system.lock(self._path .. ".lock", 0)
  end
  if not self._lock then
    if err.kind ~= "timeout" then
      return nil, trouble(self, err)
    end
    local holder = self:_read().holder
    return false, type(holder) == "string" and holder or "another import"
  end
  self._said, err = self:_read()
  if not err then
    self._said.holder = self._folder
    ok, err = self:_write(self._said)
  end
  if err or not ok then
    self:close()
    return nil, trouble(self, err)
  end
  return true
end

---Waits for the lock.
---@param waiting fun(holder: string) told twice a second who has it
---@param stopped fun(): any? true when nobody wants it any more
---@return boolean? taken false when it was stopped
---@return campaign.error? err
function methods:wait(waiting, stopped)
  while true do
    local taken, holder = self:try()
    if taken or taken == nil then
      return taken, holder
    end
    waiting(holder)
    if stopped() then
      return false
    end
    self._env.sleep(TICK)
  end
end

---The error for an import that does not wait.
---@param holder string
---@return campaign.error
function methods:refusal(holder)
  return error_object.new{
    kind = "ledger", reason = "busy", retry = false, sent = "no",
    message = ("%s is sending to the same target: with two senders at once the outcome of a batch in doubt could not be determined"):format(holder),
    hint = "wait for it to end, then continue: campaign resume " .. shell_quote(self._folder),
  }
end

---Whose turn it is; nil if unknown.
---@return string?
function methods:turn()
  return self._lock and self._said.turn or nil
end

---True if turns are recorded: then a query made in another turn proves nothing.
---@return boolean
function methods:is_kept()
  return self._lock ~= nil
end

---The folder of the job that sent last, if that is another one.
---@return string?
function methods:other()
  local said = self._lock and self._said or {}
  return said.job ~= self._job and said.folder or nil
end

---Records durably that it is this job's turn, before it sends.
---@return true? ok
---@return campaign.error? err
function methods:begin()
  local said = self._said
  if not self._lock or said.job == self._job and said.turn then
    return true
  end
  local turn = self._env.random(8):gsub(".", function(byte)
    return ("%02x"):format(byte:byte())
  end)
  local begun = { holder = said.holder, job = self._job, folder = self._folder, turn = turn }
  local ok, err = self:_write(begun)
  if not ok then
    return nil, trouble(self, err) -- when called again, it must not take the turn for recorded
  end
  self._said = begun
  return true
end

---Releases the lock. May be called twice.
function methods:close()
  if self._lock then
    self._lock:close()
    self._lock = nil
  end
end

---Takes a job's target lock, held while the job works on the target.
---@param state table of the job: platform, operation, options, identity, id, folder; `target_lock` is set
---@param tell fun(state: table, event: table, force: boolean)
---@param waits boolean? false: never, whatever the options say
---@return true? ok also when it was told to stop meanwhile: then nothing may be sent or concluded
---@return campaign.error? err
function M.hold(state, tell, waits)
  local lock = state.target_lock or M.new{ operation = state.operation, options = state.options, identity = state.identity, id = state.id,
    folder = state.folder.path }
  state.target_lock = lock
  if not lock then
    return true
  end
  local was_unlocked = lock.unlocked
  local taken, err = lock:try()
  if lock.unlocked and not was_unlocked then
    state.warn("imports into the same target are not kept apart: " .. lock.unlocked)
  end
  if taken == false and (waits == false or state.options.busy == "refuse") then
    return nil, lock:refusal(err)
  elseif taken ~= false then
    return taken, err
  end
  local is_told = false
  taken, err = lock:wait(function(holder)
    tell(state, { phase = "waiting", wait_for = "target", holder = holder, rows = state.books:sum(),
      note = not is_told and ("waiting for %s, which is sending to the same target (--busy refuse does not wait)"):format(holder) or nil }, true)
    is_told = true
  end, function() return state.stop end)
  return taken ~= nil or nil, err
end

---As `hold`, for a job that is about to send.
---@param state table
---@param tell function
---@return true? ok
---@return campaign.error? err
function M.begin(state, tell)
  local held, err = M.hold(state, tell)
  if held and state.target_lock and not state.stop then
    return state.target_lock:begin()
  end
  return held, err
end

return M

-- SPDX-License-Identifier: MIT
-- Imports as jobs of nginx workers. The state of a job is in its folder (job_folder.lua); one process runs it, holding the lock of that
-- folder; its progress is in ngx.shared and, permanently, in the folder. A job whose worker died or exited is continued by a worker that
-- watches.

local campaign = require "campaign"
local core = require "campaign.core"
local home = require "campaign.openresty.env"
local job_folder = require "campaign.openresty.job_folder"
local json = require "campaign.json"
local metrics = require "campaign.openresty.metrics"
local options_module = require "campaign.import.options"
local preload = require "campaign.openresty.preload"
local request = require "campaign.openresty.request"
local target = require "campaign.import.target"

local M = {}

local ngx = package.loaded.ngx

local MOST_RUNNING = 4 -- jobs of one worker at a time
local WATCH_SECONDS = 5
local HANDED_SECONDS = 0.25 -- a look whether a leaving worker handed jobs on
local UNSEEN_SECONDS = 5 -- after which a timer that was not seen running is not counted on: nginx drops those it has no room for
local FRESH_SECONDS = 1 -- an order so young is left to the worker that took it
local WAITED_SECONDS = 60 -- for the end of a job that another worker runs
local STATUS_SECONDS, RUNNING_SECONDS = 3600, 10 -- that a status stays in ngx.shared; one of a run is renewed twice a second
local FIRST_RETRY = 30 -- seconds before a job is gone on with that could not be delivered

-- Raised out of on_progress when the worker leaves: the import then stops in order, and does not list what it did not send.
local LEAVING = { leaves = true }

local OWN = { folder = true, shared = true, most_running = true, retry = true }

local methods = {}
local mt = { __index = methods, __name = "campaign.openresty.jobs" }

---@param options table `folder`; `shared`: a lua_shared_dict for the progress; `most_running`: of one worker; `retry`: seconds before the first
---attempt to go on with what could not be delivered (default 30, doubled each time), false: left to a person; all others are those of campaign.import
function M.new(options)
  local base = {}
  for name, value in pairs(options) do
    if not OWN[name] then
      base[name] = value
    end
  end
  if type(options.folder) ~= "string" or options.folder:sub(1, 1) ~= "/" then
    error("campaign.openresty.jobs: option `folder` must be an absolute path", 2)
  end
  local check = {}
  for name, value in pairs(base) do
    check[name] = value
  end
  check.source = "-"
  local ok, err = options_module.read(check, 2)
  if ok then
    ok, err = target.find(base.to)
  end
  if not ok then
    error("campaign.openresty.jobs: " .. tostring(err), 2)
  end
  preload.load()
  local retry = options.retry
  if retry == nil then
    retry = FIRST_RETRY
  end
  return setmetatable({
    folder = options.folder, running = 0, _folder = job_folder.new(options.folder, retry), _base = base, _shared = request.shared(options.shared),
    _most = options.most_running or MOST_RUNNING, _queue = {}, _here = {}, _begun = {},
  }, mt)
end

-- Where a job is -------------------------------------------------------------------------------------------------------------------------

local function tell(self, id, status)
  status.id = id
  if self._shared then
    local text = json.encode(status)
    if text and not self._shared:safe_set("job:" .. id, text, status.exit_code and STATUS_SECONDS or RUNNING_SECONDS) then
      self._shared:delete("job:" .. id) -- the folder still says it; an old status would say something else
    end
  end
  return status
end

---Where a job is.
---@param id string
---@return table? status nil if there is no such job
function methods:status(id)
  if not job_folder.is_id(id) then
    return nil
  end
  local text = self._shared and self._shared:get("job:" .. id)
  local known = text and json.decode(text)
  if type(known) == "table" then
    return known
  end
  return self._folder:status(id)
end

---The path of one of a job's row files.
---@param id string
---@param name "rejects"|"duplicates"|"suppressed"|"unchanged"|"ambiguous"|"not_sent"
---@return string?
function methods:file(id, name)
  return job_folder.is_id(id) and self._folder:file(id, name) or nil
end

-- Running -----------------------------------------------------------------------------------------------------------------------------------

local function progress_of(self, id)
  return function(event)
    if ngx.worker.exiting() then
      error(LEAVING, 0)
    end
    tell(self, id, { state = event.phase == "waiting" and "waiting" or "running", phase = event.phase, rows = event.rows,
      total_rows = event.total_rows, bytes = event.bytes, total_bytes = event.total_bytes, accepted = event.accepted,
      rejected = event.rejected, ambiguous = event.ambiguous, in_flight = event.in_flight, seconds = event.seconds,
      wait_for = event.wait_for, wait_until = event.wait_until, worker = ngx.worker.pid() })
  end
end

local function new_import(self, id, order, on_progress)
  local given = {}
  for _, from in ipairs({ self._base, order.options or {} }) do
    for name, value in pairs(from) do
      given[name] = value
    end
  end
  local path = self._folder:of(id)
  given.source, given.job, given.on_progress = path .. "/list.csv", path .. "/job", on_progress
  return campaign.import(given)
end

local function go_on(self, id, order)
  local folder, on_progress = self._folder:of(id) .. "/job", progress_of(self, id)
  if core.system.stat(folder .. "/job.json") then
    local job, err = campaign.open_job(folder, { account = self._base.account, on_progress = on_progress, env = self._base.env,
      transport = self._base.transport, busy = (order.options or {}).busy or self._base.busy })
    local result
    if job then
      result, err = job:resume()
    end
    if result or err.reason ~= "unplanned" then
      return result, err
    end
  end
  return new_import(self, id, order, on_progress) -- also where an earlier one died before its plan was recorded
end

local function count_result(result)
  metrics.count("campaign_jobs_total", "state", result.state)
  for _, state in ipairs({ "accepted", "accepted_pending", "rejected", "duplicate", "suppressed", "unchanged", "ambiguous", "pending" }) do
    metrics.count("campaign_job_rows_total", "state", state, result[state])
  end
end

-- What came of a run, for the folder and for those who ask. True when the job is settled.
local function conclude(self, id, fine, result, err)
  if not fine and result == LEAVING or fine and not result and err.kind == "cancelled" then
    tell(self, id, { state = "queued" })
    return false
  elseif fine and result then
    self._folder:let_go(id)
    local status = job_folder.of_report(id, result)
    local _, due = self._folder:look_at(id)
    if due then
      self._folder:tried(id)
      status.state = "waiting" -- told at once: whoever follows the events would take "stopped" for the end
    end
    if result.error then
      request.log("job " .. id .. (due and " waits" or " stopped"), result.error, ngx.WARN)
    end
    tell(self, id, status)
    if not due then
      count_result(result)
    end
    return not due
  elseif fine and err.kind == "ledger" and err.reason == "locked" then
    tell(self, id, { state = "running", error = job_folder.plain_error(err) }) -- by somebody else: the message says by whom
    return false
  elseif fine and self._folder:heals(err) then
    request.log("job " .. id .. " waits", err, ngx.WARN)
    tell(self, id, self._folder:hold(id, err))
    return false
  end
  local problem = job_folder.plain_error(not fine and result or err)
  request.log("job " .. id .. " failed", not fine and result or err, ngx.WARN)
  tell(self, id, { state = "failed", error = problem })
  metrics.count("campaign_jobs_total", "state", "failed")
  return self._folder:fail(id, problem)
end

local function run_locked(self, id)
  local found, due = self._folder:look_at(id)
  if not found or not due or due > core.system.now() then
    return due == nil and found ~= nil
  end
  local order = self._folder:asked(id)
  if not order then
    return false -- settled meanwhile by another worker
  end
  metrics.count("campaign_jobs_running", nil, nil, 1)
  local fine, result, err = pcall(go_on, self, id, order)
  metrics.count("campaign_jobs_running", nil, nil, -1)
  return conclude(self, id, fine, result, err)
end

local begin

-- The lock of a job. Somebody who waits for its end waits also when another worker was quicker.
local function lock_of(self, id)
  local path, deadline = self._folder:of(id) .. "/lock", core.system.monotonic() + WAITED_SECONDS
  local lock, err = core.system.lock(path, 0)
  local problem = err and err.kind ~= "timeout" and err.code or nil
  if problem and problem ~= self._unlocked then -- of a folder that cannot be written, for one job and not for all of them at every look
    request.log("job " .. id .. " cannot be run", err, ngx.WARN)
  end
  self._unlocked = problem
  while not lock and type(self._here[id]) == "table" and core.system.monotonic() < deadline and not ngx.worker.exiting() do
    home.sleep(0.02)
    lock = core.system.lock(path, 0)
  end
  return lock
end

-- Begins what stands in line, as far as there is room.
local function go_down_the_line(self)
  while self.running < self._most and self._queue[1] do
    local id = table.remove(self._queue, 1)
    local waiting = self._here[id]
    self._here[id] = nil
    begin(self, id, type(waiting) == "table" and waiting or nil)
  end
end

-- The room of a job that is over, or was never run.
local function leave(self, id)
  self.running = self.running - 1
  local waiting = self._here[id]
  self._here[id], self._begun[id] = nil, nil
  return type(waiting) == "table" and waiting or nil
end

local function run(premature, self, id, begun)
  if premature or self._begun[id] ~= begun then
    return -- the worker leaves, and the folder waits for another; or it came too late, and was replaced
  end
  begun.is_seen = true
  local lock = lock_of(self, id)
  if lock then
    local fine, settled = pcall(run_locked, self, id)
    if fine and settled then
      self._folder:settle(id)
    elseif not fine then
      request.log("job " .. id, settled)
    end
    lock:close()
    if ngx.worker.exiting() and not (fine and settled) then
      self._folder:hand_on()
    end
  end
  local waiting = leave(self, id)
  if waiting then
    waiting:post(1)
  end
  go_down_the_line(self)
end

-- Runs a job in this worker, now or when another one has ended.
function begin(self, id, semaphore)
  if self._here[id] or ngx.worker.exiting() then
    return
  end
  self._here[id] = semaphore or true
  if self.running >= self._most then
    self._queue[#self._queue + 1] = id
    return
  end
  self.running = self.running + 1
  local begun = { at = core.system.monotonic() }
  self._begun[id] = begun
  local started, err = ngx.timer.at(0, run, self, id, begun)
  if not started then
    request.log("job " .. id .. " waits: nginx has no timer to give", err)
    leave(self, id) -- the folder waits for whoever watches
  end
end

---Creates the folder of a new job; its list is to be written to `list`.
---@return { id: string, path: string, list: string }? draft
---@return campaign.error? err
function methods:create()
  return self._folder:draft()
end

---Drops a draft.
---@param draft table
function methods:discard(draft)
  self._folder:discard(draft)
end

---Whether a draft is a job, where nginx may have ended the request that was about to submit it. When it is none, it never will be.
---@param draft table
---@param is_told? fun(): boolean whether somebody else saw to it meanwhile that it is a job, and said so
---@return boolean
function methods:settle_draft(draft, is_told)
  return self._folder:settle_draft(draft, is_told)
end

---Orders the import of a draft whose list is on the disk. When this returns true the job will be run, by this worker or, after its death,
---by one that watches.
---@param draft table
---@param options table? of campaign.import, beside those of all jobs; plain data
---@param semaphore table? posted when this worker's run has ended
---@return true? ok
---@return campaign.error? err
function methods:submit(draft, options, semaphore)
  local ok, err = self._folder:order(draft, options)
  if not ok then
    return nil, err
  end
  tell(self, draft.id, { state = "queued" })
  begin(self, draft.id, semaphore)
  return true
end

-- Watching ----------------------------------------------------------------------------------------------------------------------------------

-- Jobs whose timer nginx took and dropped stand in line again.
local function take_back(self)
  local dropped = {}
  for id, begun in pairs(self._begun) do
    if not begun.is_seen and core.system.monotonic() - begun.at >= UNSEEN_SECONDS then
      dropped[#dropped + 1] = id
    end
  end
  for _, id in ipairs(dropped) do
    self._here[id] = leave(self, id) or true
    self._queue[#self._queue + 1] = id
  end
  go_down_the_line(self)
end

-- Begins what is to do. True when something was too fresh.
local function look_around(self, fresh)
  local is_early = false
  take_back(self)
  self._folder:clear_drafts()
  for id, ordered in self._folder:active() do
    if not self._here[id] then
      local found, due = self._folder:look_at(id)
      local age = core.system.now() - ordered
      local is_fresh = age >= 0 and age < fresh
      if found and not is_fresh and (not due or due <= core.system.now()) then
        begin(self, id) -- a settled one whose order is still there is put away
      end
      is_early = is_early or is_fresh
    end
    home.pause()
  end
  return is_early
end

local function watch(premature, self, fresh)
  if premature or self._looking then
    return
  end
  self._looking = true
  local ok, problem = pcall(look_around, self, fresh or FRESH_SECONDS)
  self._looking = false
  if not ok then
    request.log("looking for jobs", problem)
  elseif problem and not self._is_coming then -- soon, not at the next look: its worker may have died
    self._is_coming = ngx.timer.at(FRESH_SECONDS, function(is_over)
      self._is_coming = false
      watch(is_over, self)
    end)
  end
end

-- A worker that leaves says so in the folder: its jobs need not wait for the next look.
local function watch_others(premature, self)
  local count = self._folder:handed_on()
  if not premature and not self._looking and count ~= self._handed_on then
    self._handed_on = count
    watch(false, self, 0)
  end
end

---Continues jobs that nobody runs, now and every few seconds, and those that an exiting worker hands over at once: in init_worker_by_lua of
---all workers.
---@param seconds number? default 5
function methods:watch(seconds)
  self._handed_on = self._folder:handed_on()
  assert(ngx.timer.at(0, watch, self))
  assert(ngx.timer.every(seconds or WATCH_SECONDS, watch, self))
  assert(ngx.timer.every(math.min(seconds or WATCH_SECONDS, HANDED_SECONDS), watch_others, self))
end

return M

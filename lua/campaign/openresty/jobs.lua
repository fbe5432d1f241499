-- SPDX-License-Identifier: MIT
-- Imports as jobs of nginx workers. A job is a folder: list.csv, job/ (the import's own), failed.json when it could not begin, waiting.json when
-- time may change that; what was asked
-- lies in active/<id>.json until the job is settled, so that only what is to do is ever looked through. One process runs a job, by the lock
-- of its folder; where it is stands in ngx.shared and, for good, in the folder. A job whose worker died or left is gone on with by a worker
-- that watches.

local campaign = require "campaign"
local core = require "campaign.core"
local durable = require "campaign.durable"
local error_object = require "campaign.error"
local home = require "campaign.openresty.env"
local json = require "campaign.json"
local metrics = require "campaign.openresty.metrics"
local options_module = require "campaign.import.options"
local request = require "campaign.openresty.request"
local target = require "campaign.import.target"

local M = {}

local ngx = package.loaded.ngx

local PRIVATE, FOLDER = 384, 448 -- 0600, 0700
local MOST_RUNNING = 4 -- jobs of one worker at a time
local WATCH_SECONDS = 5
local UNSEEN_SECONDS = 5 -- after which a timer that was not seen running is not counted on: nginx drops those it has no room for
local FRESH_SECONDS = 1 -- an order so young is left to the worker that took it
local WAITED_SECONDS = 60 -- for the end of a job that another worker runs
local STATUS_SECONDS, RUNNING_SECONDS = 3600, 10 -- that a status stays in ngx.shared; one of a run is renewed twice a second
local ABANDONED = 86400 -- seconds after which an upload without an order is cleared away
local FIRST_RETRY, LAST_RETRY = 30, 3600 -- seconds before a job is gone on with that could not be delivered
local MOST_FILE = 1048576 -- bytes of order.json, report.json, failed.json

-- Why a job stopped, or could not begin, that time may heal; a full disk beside it.
local HEALS = { network = true, timeout = true, throttle = true, window = true }

local function heals(err)
  return HEALS[err.kind] or err.kind == "ledger" and err.reason == "full" or false
end

-- Raised out of on_progress when the worker leaves: the import then stops in order.
local LEAVING = {}

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
  return setmetatable({
    folder = options.folder, running = 0, _base = base,
    _shared = request.shared(options.shared),
    _most = options.most_running or MOST_RUNNING, _retry = options.retry == nil and FIRST_RETRY or options.retry, _queue = {}, _here = {},
    _tries = {}, _held = {}, _begun = {},
  }, mt)
end

-- What a job is ---------------------------------------------------------------------------------------------------------------------------

local function is_id(id)
  return type(id) == "string" and #id >= 16 and #id <= 64 and not id:find("[^%w-]")
end

local function path_of(self, id)
  return self.folder .. "/" .. id
end

local function order_of(self, id)
  return self.folder .. "/active/" .. id .. ".json"
end

local function read(path)
  local text = core.system.read_file(path, MOST_FILE)
  local value = text and json.decode(text, { bytes = MOST_FILE + 1 })
  return type(value) == "table" and value or nil
end

local function pause_of(self, tries)
  return math.min(self._retry * 2 ^ tries, LAST_RETRY)
end

-- What holds a job that could not begin: its error, tries and due time. In memory when the disk did not take it.
local function held_of(self, id)
  local held = self._held[id] or read(path_of(self, id) .. "/waiting.json")
  return held and type(held.due) == "number" and core.system.stat(order_of(self, id)) and held or nil
end

-- What the folder says, and whether there is something to do: now, or from a time on.
local function look_at(self, id)
  local path = path_of(self, id)
  local failed = read(path .. "/failed.json")
  if failed then
    return { state = "failed", error = failed }
  end
  local report, held = read(path .. "/job/report.json"), held_of(self, id)
  if held then
    report = report or { state = "waiting" }
    report.error = held.error
    return report, held.due
  elseif not report then
    return core.system.stat(order_of(self, id)) and { state = "queued" } or nil, 0
  end
  local err = report.error
  if err and err.kind == "cancelled" then
    return report, 0
  elseif err and heals(err) and (report.pending > 0 or err.kind == "ledger") and self._retry then
    local written = core.system.stat(path .. "/job/report.json")
    return report, (written and written.mtime or 0) + pause_of(self, self._tries[id] or 0)
  end
  return report
end

local FILES = { rejects = "rejects_file", duplicates = "duplicates_file", suppressed = "suppressed_file", unchanged = "unchanged_file",
  ambiguous = "ambiguous_file", not_sent = "not_sent_file" }

local function of_report(id, report)
  local status = { id = id, state = report.state, files = json.array({}) }
  for _, name in ipairs({ "rows", "accepted", "accepted_pending", "rejected", "duplicate", "suppressed", "unchanged", "ambiguous", "pending",
    "seconds", "exit_code", "reasons" }) do
    status[name] = report[name]
  end
  for name, field in pairs(FILES) do
    if report[field] then
      status.files[#status.files + 1] = name
    end
  end
  table.sort(status.files)
  local err = report.error
  status.error = err and { kind = err.kind, message = err.message, hint = err.hint } or nil
  return status
end

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
---@return table? status nil when there is no such job
function methods:status(id)
  if not is_id(id) then
    return nil
  end
  local text = self._shared and self._shared:get("job:" .. id)
  local known = text and json.decode(text)
  if type(known) == "table" then
    return known
  end
  local found, due = look_at(self, id)
  if not found then
    return nil
  end
  local status = found.rows and of_report(id, found) or { id = id, state = found.state, error = found.error }
  status.state = due and status.state ~= "queued" and "waiting" or status.state
  return status
end

---The path of one of a job's row files.
---@param id string
---@param name "rejects"|"duplicates"|"suppressed"|"unchanged"|"ambiguous"|"not_sent"
---@return string?
function methods:file(id, name)
  if not is_id(id) or not FILES[name] then
    return nil
  end
  local path = path_of(self, id) .. "/job/" .. name .. ".csv"
  return core.system.stat(path) and path or nil
end

-- Running -----------------------------------------------------------------------------------------------------------------------------------

local function remove_files(folder)
  for _, name in ipairs(core.system.list_dir(folder) or {}) do
    local path = folder .. "/" .. name
    local found = core.system.stat(path, false)
    if found and found.type == "folder" then
      remove_files(path)
    end
    core.system.remove(path)
  end
end

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
  given.source, given.job, given.on_progress = path_of(self, id) .. "/list.csv", path_of(self, id) .. "/job", on_progress
  return campaign.import(given)
end

local function go_on(self, id, order)
  local folder, on_progress = path_of(self, id) .. "/job", progress_of(self, id)
  if core.system.stat(folder .. "/ledger.db") then
    local job, err = campaign.open_job(folder, { account = self._base.account, on_progress = on_progress, env = self._base.env,
      transport = self._base.transport })
    local result
    if job then
      result, err = job:resume()
    end
    if result or err.reason ~= "unplanned" then
      return result, err
    end
  end
  remove_files(folder) -- of a plan that was not begun: nothing was sent
  return new_import(self, id, order, on_progress)
end

local function count_result(result)
  metrics.count("campaign_jobs_total", "state", result.state)
  for _, state in ipairs({ "accepted", "accepted_pending", "rejected", "duplicate", "suppressed", "unchanged", "ambiguous", "pending" }) do
    metrics.count("campaign_job_rows_total", "state", state, result[state])
  end
end

local function plain_error(err)
  if error_object.is(err) then
    return { kind = err.kind, reason = err.reason, message = err.message, hint = err.hint, code = type(err.code) == "number" and err.code or nil }
  end
  return { kind = "internal", message = tostring(err) }
end

local function let_go(self, id)
  self._held[id] = nil
  os.remove(path_of(self, id) .. "/waiting.json")
end

-- Holds a job that could not begin until it is worth another try.
local function hold(self, id, err)
  local known = held_of(self, id)
  local tries = known and known.tries or self._tries[id] or 0
  local pause = pause_of(self, tries)
  if type(err.retry) == "number" and err.retry > pause then
    pause = err.retry -- a window that opens then, a limit that ends then
  end
  local held = { error = plain_error(err), tries = tries + 1, due = core.system.now() + pause }
  local written = durable.write(path_of(self, id) .. "/waiting.json", json.encode(held) .. "\n", PRIVATE)
  self._held[id] = not written and held or nil
  local found = look_at(self, id)
  local status = found and found.rows and of_report(id, found) or { error = held.error }
  status.state = "waiting"
  tell(self, id, status)
end

-- Nothing is left to do: the order goes to the job's own folder.
local function settle(self, id)
  let_go(self, id)
  self._tries[id] = nil
  return os.rename(order_of(self, id), path_of(self, id) .. "/order.json") ~= nil
end

-- What came of a run, for the folder and for those who ask. True when the job is settled.
local function conclude(self, id, fine, result, err)
  if not fine and result == LEAVING or fine and not result and err.kind == "cancelled" then
    tell(self, id, { state = "queued" })
    return false
  elseif fine and result then
    let_go(self, id) -- the report says what is next
    local status = tell(self, id, of_report(id, result))
    local _, due = look_at(self, id)
    if due then
      self._tries[id] = (self._tries[id] or 0) + 1
      status.state = "waiting"
      tell(self, id, status)
      return false
    end
    count_result(result)
    return true
  elseif fine and err.kind == "ledger" and err.reason == "locked" then
    tell(self, id, { state = "running", error = plain_error(err) }) -- by somebody else: the message says by whom
    return false
  elseif fine and self._retry and heals(err) then
    request.log("job " .. id .. " waits", err.message, ngx.WARN)
    hold(self, id, err)
    return false
  end
  local problem = plain_error(not fine and result or err)
  request.log("job " .. id .. " failed", problem.message, ngx.WARN)
  tell(self, id, { state = "failed", error = problem })
  metrics.count("campaign_jobs_total", "state", "failed")
  return (durable.write(path_of(self, id) .. "/failed.json", json.encode(problem) .. "\n", PRIVATE))
end

local function run_locked(self, id)
  local found, due = look_at(self, id)
  if not found or not due or due > core.system.now() then
    return due == nil and found ~= nil
  end
  local order = read(order_of(self, id))
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
  local path, deadline = path_of(self, id) .. "/lock", core.system.monotonic() + WAITED_SECONDS
  local lock = core.system.lock(path, 0)
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
      settle(self, id)
    elseif not fine then
      request.log("job " .. id, settled)
    end
    lock:close()
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

---Makes the folder of a new job; its list is to be written to `list`.
---@return { id: string, path: string, list: string }? draft
---@return campaign.error? err
function methods:create()
  local id = os.date("!%Y%m%d-%H%M%S", math.floor(core.system.now())) .. "-" .. core.digest.hex(core.system.random(16))
  local path = self.folder .. "/drafts/" .. id
  local ok, err = core.system.make_dirs(path, FOLDER)
  if ok then
    ok, err = core.system.make_dirs(self.folder .. "/active", FOLDER)
  end
  if not ok then
    return nil, error_object.wrap(err, { kind = "ledger" })
  end
  return { id = id, path = path, list = path .. "/list.csv" }
end

---Drops a draft.
function methods.discard(_, draft)
  remove_files(draft.path)
  core.system.remove(draft.path)
end

---Orders the import of a draft whose list is on the disk. When this returns true the job will be run, by this worker or, after its death,
---by one that watches.
---@param draft table
---@param options table? of campaign.import, beside those of all jobs; plain data
---@param semaphore table? posted when this worker's run has ended
---@return true? ok
---@return campaign.error? err
function methods:submit(draft, options, semaphore)
  local text, err = json.encode({ options = options or {}, ordered = core.system.now() })
  local ok
  if text then
    ok, err = durable.folder(draft.path) -- that the list is there, not only what is in it
  end
  if ok then
    ok, err = os.rename(draft.path, path_of(self, draft.id))
    draft.path = ok and path_of(self, draft.id) or draft.path
  end
  if ok then
    ok, err = durable.folder(self.folder)
  end
  if ok then
    ok, err = durable.write(order_of(self, draft.id), text .. "\n", PRIVATE)
  end
  if not ok then
    return nil, err
  end
  tell(self, draft.id, { state = "queued" })
  begin(self, draft.id, semaphore)
  return true
end

-- Watching ----------------------------------------------------------------------------------------------------------------------------------

local function clear_drafts(self)
  for _, id in ipairs(core.system.list_dir(self.folder .. "/drafts") or {}) do
    local path = self.folder .. "/drafts/" .. id
    local draft = core.system.stat(path .. "/list.csv") or core.system.stat(path)
    if draft and core.system.now() - draft.mtime > ABANDONED then
      self:discard({ path = path })
    end
  end
end

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

local function look_around(self)
  take_back(self)
  clear_drafts(self)
  for _, name in ipairs(core.system.list_dir(self.folder .. "/active") or {}) do
    local id = name:match("^([%w-]+)%.json$")
    if id and is_id(id) and not self._here[id] then
      local order, found, due = core.system.stat(order_of(self, id)), look_at(self, id)
      if found and order and core.system.now() - order.mtime >= FRESH_SECONDS and (not due or due <= core.system.now()) then
        begin(self, id) -- a settled one whose order is still there is put away
      end
    end
    home.pause()
  end
end

local function watch(premature, self)
  if premature or self._looking then
    return
  end
  self._looking = true
  local ok, problem = pcall(look_around, self)
  self._looking = false
  if not ok then
    request.log("looking for jobs", problem)
  end
end

---Goes on with jobs that nobody runs, now and every few seconds: in init_worker_by_lua of all workers.
---@param seconds number? default 5
function methods:watch(seconds)
  assert(ngx.timer.at(0, watch, self))
  assert(ngx.timer.every(seconds or WATCH_SECONDS, watch, self))
end

return M

-- SPDX-License-Identifier: MIT
-- The jobs folder of an nginx, and the state of each job in it: drafts/ (uploads in progress), active/<id>.json (the options, until the job
-- is settled, so that only unsettled jobs need to be scanned), and a folder per job: list.csv, job/ (the import's own), failed.json if it
-- could not start, waiting.json while it may be retried. jobs.lua runs the jobs.

local core = require "campaign.core"
local durable = require "campaign.durable"
local error_object = require "campaign.error"
local json = require "campaign.json"

local M = {}

local PRIVATE, FOLDER = 384, 448 -- 0600, 0700
local ABANDONED = 86400 -- seconds after which an upload without an order is cleared away
local LAST_RETRY = 3600 -- the longest of the pauses, in seconds
local AHEAD = 60 -- seconds by which the time of a file may be ahead of our clock, on a disk of another machine
local MOST_FILE = 1048576 -- bytes of order.json, report.json, failed.json

-- Why a job stopped, or could not begin, that time may heal; of the ledger's errors, a full disk and a target that another import sends to.
local HEALS = { network = true, timeout = true, throttle = true, window = true }
local LEDGER_HEALS = { full = true, busy = true }

local FILES = { rejects = "rejects_file", duplicates = "duplicates_file", suppressed = "suppressed_file", unchanged = "unchanged_file",
  ambiguous = "ambiguous_file", not_sent = "not_sent_file" }

local methods = {}
local mt = { __index = methods, __name = "campaign.openresty.job_folder" }

---@param path string
---@param retry number|false seconds before the first attempt to go on with what could not be delivered; false: left to a person
function M.new(path, retry)
  return setmetatable({ path = path, _retry = retry, _tries = {}, _held = {} }, mt)
end

---@param id any
---@return boolean
function M.is_id(id)
  return type(id) == "string" and #id >= 16 and #id <= 64 and not id:find("[^%w-]")
end

---An error as it is kept.
---@param err any
---@return table
function M.plain_error(err)
  if error_object.is(err) then
    return { kind = err.kind, reason = err.reason, message = err.message, hint = err.hint, code = type(err.code) == "number" and err.code or nil }
  end
  return { kind = "internal", message = tostring(err) }
end

---What a report says, for those who ask.
---@param id string
---@param report table a report, or the result of an import
---@return table status
function M.of_report(id, report)
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

local function read(path)
  local text = core.system.read_file(path, MOST_FILE)
  local value = text and json.decode(text, { bytes = MOST_FILE + 1 })
  return type(value) == "table" and value or nil
end

-- Removes what is in a folder.
local function empty(folder)
  for _, name in ipairs(core.system.list_dir(folder) or {}) do
    local path = folder .. "/" .. name
    local found = core.system.stat(path, false)
    if found and found.type == "folder" then
      empty(path)
    end
    core.system.remove(path)
  end
end

---@param id string
---@return string
function methods:of(id)
  return self.path .. "/" .. id
end

local function order_path(self, id)
  return self.path .. "/active/" .. id .. ".json"
end

-- What a job is ---------------------------------------------------------------------------------------------------------------------------

---Whether time may heal what a job met.
---@param err campaign.error
---@return boolean
function methods:heals(err)
  return self._retry and (HEALS[err.kind] or err.kind == "ledger" and LEDGER_HEALS[err.reason]
    or error_object.lacks_descriptor(err)) or false
end

local function pause_of(self, tries)
  return math.min(self._retry * 2 ^ tries, LAST_RETRY)
end

-- The end of a pause; at once where its beginning is still to come, since the clock was set back: the job would wait until then.
local function due_of(began, pause)
  return began > core.system.now() + AHEAD and 0 or began + pause
end

-- What holds a job that could not begin: its error, tries and due time. In memory when the disk did not take it.
local function held_of(self, id)
  local held = self._held[id] or read(self:of(id) .. "/waiting.json")
  return held and type(held.due) == "number" and core.system.stat(order_path(self, id)) and held or nil
end

---What the folder says of a job, and whether there is something to do: now, or from a time on.
---@param id string
---@return table? report nil when there is no such job
---@return number? due
function methods:look_at(id)
  local path = self:of(id)
  local failed = read(path .. "/failed.json")
  if failed then
    return { state = "failed", error = failed }
  end
  local report, held = read(path .. "/job/report.json"), held_of(self, id)
  if held then
    report = report or { state = "waiting" }
    report.error = held.error
    local began = type(held.began) == "number" and held.began or 0
    return report, due_of(began, held.due - began)
  elseif not report then
    return core.system.stat(order_path(self, id)) and core.system.stat(path) and { state = "queued" } or nil, 0
  end
  local err = report.error
  if err and err.kind == "cancelled" then
    return report, 0
  elseif err and self:heals(err) and (report.pending > 0 or err.kind == "ledger") then
    local written = core.system.stat(path .. "/job/report.json")
    return report, due_of(written and written.mtime or 0, pause_of(self, self._tries[id] or 0))
  end
  return report
end

---Where a job is.
---@param id string
---@return table? status nil when there is no such job
function methods:status(id)
  local found, due = self:look_at(id)
  if not found then
    return nil
  end
  local status = found.rows and M.of_report(id, found) or { id = id, state = found.state, error = found.error }
  if status.state == "queued" then
    status.state = core.system.stat(self:of(id) .. "/job/ledger.db") and "running" or "queued"
  elseif due then
    status.state = "waiting"
  end
  return status
end

---The path of one of a job's row files; nil when there is none.
---@param id string
---@param name string
---@return string?
function methods:file(id, name)
  local path = FILES[name] and self:of(id) .. "/job/" .. name .. ".csv"
  return path and core.system.stat(path) and path or nil
end

-- Drafts and orders -----------------------------------------------------------------------------------------------------------------------

---Makes the folder of a new job; its list is to be written to `list`.
---@return { id: string, path: string, list: string }? draft
---@return campaign.error? err
function methods:draft()
  local id = os.date("!%Y%m%d-%H%M%S", math.floor(core.system.now())) .. "-" .. core.digest.hex(core.system.random(16))
  local path = self.path .. "/drafts/" .. id
  local ok, err = core.system.make_dirs(path, FOLDER)
  if ok then
    ok, err = core.system.make_dirs(self.path .. "/active", FOLDER)
  end
  if not ok then
    return nil, error_object.wrap(err, { kind = "ledger" })
  end
  return { id = id, path = path, list = path .. "/list.csv" }
end

---Drops a draft. It has another name first: a thread that still writes its list, and whoever would order it then, do not find it any more.
---@param draft table
function methods:discard(draft)
  local path = draft.path
  if draft.id then
    core.system.remove(order_path(self, draft.id)) -- of one whose order may be on the disk, or not
    local gone = self.path .. "/drafts/" .. draft.id .. ".gone"
    path = os.rename(path, gone) and gone or path
  end
  empty(path)
  core.system.remove(path)
end

-- That a list is there, and not only what is in it; then the order; then the folder in its place, which is what makes a job of them: an order
-- without it counts for nothing, so that whoever takes the draft away before that knows that there will be no job.
local function put(self, draft, text)
  local ok, err = durable.folder(draft.path)
  if ok then
    ok, err = durable.write(order_path(self, draft.id), text, PRIVATE)
  end
  local place = self:of(draft.id)
  if ok then
    ok, err = os.rename(draft.path, place)
    draft.path = ok and place or draft.path
  end
  if ok then
    ok, err = durable.folder(self.path)
  end
  return ok and true, err
end

---Makes a job of a draft: list and order are on the disk when it returns.
---@param draft table
---@param options table? of campaign.import; plain data
---@return true? ok
---@return campaign.error? err
function methods:order(draft, options)
  local text, err = json.encode({ options = options or {}, ordered = core.system.now() })
  if not text then
    return nil, err
  end
  return put(self, draft, text .. "\n")
end

---Whether a draft was made a job of though nobody said so, since nginx ended who did it. When it was not, it never will be.
---@param draft table
---@param is_told? fun(): boolean whether somebody else saw to it that it is a job while the disk was asked, and said so
---@return boolean
function methods:settle_draft(draft, is_told)
  local place = self:of(draft.id)
  local is_there = core.system.stat(place)
  if is_there and (durable.folder(self.path) or is_told and is_told()) then
    return true
  end
  self:discard({ id = draft.id, path = is_there and place or draft.path })
  return false
end

---What was asked; nil when the job is settled.
---@param id string
---@return table?
function methods:asked(id)
  return read(order_path(self, id))
end

---Jobs that are not settled, each with the time of its order.
---@return fun(): string?, number?
function methods:active()
  local names, i = core.system.list_dir(self.path .. "/active") or {}, 0
  return function()
    while true do
      i = i + 1
      local name = names[i]
      if not name then
        return nil
      end
      local id = name:match("^([%w-]+)%.json$")
      local order = id and M.is_id(id) and core.system.stat(order_path(self, id))
      if order then
        return id, order.mtime
      end
    end
  end
end

-- Whether it is long ago that a file or folder was last changed; nothing when it is not there.
local function is_old(path)
  local found = core.system.stat(path)
  return found and core.system.now() - found.mtime > ABANDONED
end

---Clears away what no job was made of: uploads that broke off, and orders without a folder.
function methods:clear_drafts()
  for _, id in ipairs(core.system.list_dir(self.path .. "/drafts") or {}) do
    local path = self.path .. "/drafts/" .. id
    local old = is_old(path .. "/list.csv")
    if old == nil then
      old = is_old(path)
    end
    if old then
      self:discard({ id = M.is_id(id) and id or nil, path = path })
    end
  end
  for id in self:active() do
    if not core.system.stat(self:of(id)) and is_old(order_path(self, id)) then
      core.system.remove(order_path(self, id))
    end
  end
end

---A worker leaves a job to the others, and lets go of its lock before: a byte more in a file that they look at. When the disk does not take it, they
---find the job a little later.
function methods:hand_on()
  local file = core.system.append_open(self.path .. "/handed_on", PRIVATE)
  if file then
    file:write(".")
    file:close()
  end
end

---How often jobs were handed on.
---@return integer
function methods:handed_on()
  local found = core.system.stat(self.path .. "/handed_on")
  return found and found.size or 0
end

-- Ends ------------------------------------------------------------------------------------------------------------------------------------

---A job that was held has begun: its report says what is next.
---@param id string
function methods:let_go(id)
  self._held[id] = nil
  os.remove(self:of(id) .. "/waiting.json")
end

---Holds a job that could not begin until it is worth another try.
---@param id string
---@param err campaign.error
---@return table status
function methods:hold(id, err)
  local known = held_of(self, id)
  local tries = known and known.tries or self._tries[id] or 0
  local pause = pause_of(self, tries)
  if type(err.retry) == "number" and err.retry > pause then
    pause = err.retry -- a window that opens then, a limit that ends then
  end
  local now = core.system.now()
  local held = { error = M.plain_error(err), tries = tries + 1, began = now, due = now + pause }
  local written = durable.write(self:of(id) .. "/waiting.json", json.encode(held) .. "\n", PRIVATE)
  self._held[id] = not written and held or nil
  local found = self:look_at(id)
  local status = found and found.rows and M.of_report(id, found) or { error = held.error }
  status.state = "waiting"
  return status
end

---A job ran and is to be run again: it waits longer each time.
---@param id string
function methods:tried(id)
  self._tries[id] = (self._tries[id] or 0) + 1
end

---Keeps why a job cannot be done.
---@param id string
---@param problem table
---@return boolean kept
function methods:fail(id, problem)
  return durable.write(self:of(id) .. "/failed.json", json.encode(problem) .. "\n", PRIVATE) ~= nil
end

---Nothing is left to do: the order goes to the job's own folder.
---@param id string
function methods:settle(id)
  self:let_go(id)
  self._tries[id] = nil
  os.rename(order_path(self, id), self:of(id) .. "/order.json")
end

return M

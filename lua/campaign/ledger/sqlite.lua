-- SPDX-License-Identifier: MIT
-- The ledger of one job in one SQLite file. Changes are queued and become durable together in `commit`; reads run at once, in a commit of
-- their own. One process owns the file (src/store.h), so a lease needs no clock: whoever opens it knows that its last owner is dead.

local core = require "campaign.core"
local error_object = require "campaign.error"
local later = require "campaign.later"
local leases = require "campaign.ledger.leases"
local mixin = require "campaign.mixin"
local reading = require "campaign.ledger.reading"
local schema = require "campaign.ledger.schema"
local settling = require "campaign.ledger.settling"

local abandoned_jobs = later.module "campaign.abandoned_jobs"

local M = {}

-- Statements per commit, unless the caller commits earlier.
local MOST_WAITING = 1000

-- Results taken before others may have a turn.
local AT_ONCE = 64

-- Seconds: an endless wait, and the interval at which the disk is polled where nobody may block.
local LONG, SLICE = 3600, 0.001

local methods = {}
local mt = { __index = methods, __name = "campaign.ledger.sqlite" }

function mt.__tostring(ledger)
  return "campaign.ledger " .. ledger.path
end

local HINTS = {
  locked = "wait for the other process to end, or stop it",
  full = "make room, then resume the job",
  io = "look at the disk, then resume the job: what was being sent counts as ambiguous",
  damaged = "keep the file as it is; campaign recover saves what can be read, and puts the rest in doubt",
}

local function explain(err)
  return error_object.wrap(err, { retry = false, hint = HINTS[err.reason] })
end

methods.explain = explain

local function refuse(self, message, hint)
  return nil, error_object.new{ kind = "ledger", retry = false, message = "ledger " .. self.path .. ": " .. message, hint = hint }
end

-- The store's number of a statement.
function methods:_number(name)
  if self._statements[name] then
    return self._statements[name]
  end
  while self._sleep and self._store:busy() > 0 do -- preparing waits for the disk, and nobody may block here
    self._sleep(SLICE)
  end
  local number, err = self._store:prepare(schema.STATEMENTS[name], schema.NAMES[name])
  if not number then
    return nil, explain(err)
  end
  self._statements[name] = number
  return number
end

-- Queues a statement. `waiter.done(waiter, changes, rows)` is called once it is durable, possibly with nil and an error. Without a waiter
-- only a failure is reported. Batches about to start go first: see ledger/leases.
function methods:_queue(name, waiter, ...)
  if self._beginning then
    local ok, err = self:_queue_beginning()
    if not ok then
      return nil, err
    end
  end
  return self:_queue_now(name, waiter, ...)
end

function methods:_queue_now(name, waiter, ...)
  local number, err = self:_number(name)
  local id
  if not number then
    return nil, err
  end
  if not waiter then
    id, err = self._store:tell(number, ...)
  else
    id, err = self._store:submit(number, ...)
  end
  if not id then
    return nil, explain(err)
  elseif waiter then
    self._waiting[id] = waiter
  end
  return true
end

-- Takes finished results and notifies their waiters. A plan of thousands of batches must not block others.
function methods:_take()
  local store, waiting, pause = self._store, self._waiting, self._pause
  local problem
  local taken, id, changes, rows = 0, store:take()
  while id do
    local waiter = waiting[id]
    waiting[id] = nil
    if changes == nil then
      problem = problem or explain(rows)
    end
    local _, err
    if changes and waiter then
      _, err = waiter:done(changes, rows)
    elseif changes then
      _, err = self:_came_late(rows)
    end
    problem = problem or err
    taken = taken + 1
    if pause and taken % AT_ONCE == 0 then
      pause()
    end
    id, changes, rows = store:take()
  end
  if problem then
    return nil, problem
  end
  return true
end

---Starts the commit of everything queued, as one transaction, and returns without waiting for it.
---@return true? ok
---@return campaign.error? err nothing of it is in the ledger
function methods:start()
  if self._beginning then
    local ok, err = self:_queue_beginning()
    if not ok then
      return nil, err
    end
  end
  local ok, err = self._store:start()
  if not ok then
    return nil, explain(err)
  end
  return true
end

---Checks whether what was started is durable, and answers the tickets.
---@return boolean? settled false while a commit is in progress
---@return campaign.error? err a transaction failed: nothing of it is in the ledger
function methods:settled()
  local busy = self._store:busy() > 0 -- asked first: what finishes meanwhile is taken next time
  local ok, err = self:_take()
  if not ok then
    return nil, err
  end
  return not busy
end

---Whether a commit is in progress.
---@return boolean
function methods:busy()
  return self._store:busy() > 0
end

---Waits until something that was started has finished, at most `seconds`.
---@param seconds number
function methods:wait(seconds)
  local store = self._store
  if not self._sleep then
    store:wait(seconds)
  elseif store:wait(0) == 0 and store:busy() > 0 then
    self._wait(store)
  end
end

---Makes every commit ring a bell, such as `engine:bell()` returns: whoever waits there is woken.
---@param bell integer
---@return true? ok
---@return campaign.error? err
function methods:ring(bell)
  return self._store:ring(bell)
end

-- Waits until everything started is durable.
function methods:_settle()
  local settled, err = self:settled()
  while settled == false do
    self:wait(LONG)
    settled, err = self:settled()
  end
  return settled, err
end

---Makes everything queued durable, as one transaction, and waits for it.
---@return true? ok
---@return campaign.error? err nothing of it is in the ledger
function methods:commit()
  local store = self._store
  repeat -- a late outcome requires more
    local ok, err = self:start()
    local settled, failed = self:_settle()
    if not ok or not settled then
      return nil, err or failed
    end
  until store:waiting() == 0
  return true
end

-- A group that grows without bound is made durable in parts, each while the next one grows: only a plan and its rejected rows can be that
-- many.
function methods:_bounded()
  if self._store:waiting() < MOST_WAITING then
    return true
  end
  local settled, err = self:_settle()
  if not settled then
    return nil, err
  end
  return self:start()
end

local function keep(query, changes, rows)
  query.changes, query.rows = changes, rows
end

local function check_put(put, changes)
  if changes ~= 1 then
    return refuse(put.ledger, "it belongs to another job than " .. put.id)
  end
  return true
end

-- Runs one query now, with whatever is queued. Rows are records if schema.NAMES has names for them, else lists by position.
function methods:_query(name, ...)
  local query = { done = keep }
  local ok, err = self:_queue(name, query, ...)
  if ok then
    ok, err = self:commit()
  end
  return ok and query.rows, err
end

---Records the job and its files. Later calls may change state and record, never the id. Durable when this returns, except that "planning"
---becomes durable with the plan at the latest: nothing is sent before.
---@param job table id, state, record (text)
---@param files table[]? number, path, bytes, mtime, encoding, delimiter
---@return true? ok
---@return campaign.error? err
function methods:job_put(job, files)
  local put = { done = check_put, ledger = self, id = job.id }
  if job.state == "planned" then
    local settled, err = self:_settle() -- an incomplete plan is no plan
    if not settled then
      return nil, err
    end
    self._store:checkpoint() -- the plan is in the file itself before anything of it is sent
  end
  local ok, err = self:_queue("job_put", put, job.id, self._now(), job.state, job.record)
  for _, file in ipairs(files or {}) do
    if ok then
      ok, err = self:_queue("file_put", nil, file.number, file.path, file.bytes, file.mtime, file.encoding, file.delimiter)
    end
  end
  if not ok then
    return nil, err
  elseif job.state == "planning" then
    return self:start()
  end
  return self:commit()
end

---@return table? job id, created, state, record, files; nil without an error if none was put
---@return campaign.error? err
function methods:job_get()
  local rows, err = self:_query("job_get")
  if not rows or not rows[1] then
    return nil, err
  end
  local job = rows[1]
  job.files, err = self:_query("file_get")
  return job.files and job, err
end

---Queues planned batches. A batch whose number exists is left alone. With `parent`, they replace a batch that was not applied: its
---contents are counted in them.
---@param batches table[] index, offset, bytes, first_row, first_line, rows, accepted, body_bytes, skip, hash, parent
---@return true? ok
---@return campaign.error? err
function methods:enqueue(batches)
  self._claimed = 0
  local owner, now, store = self.owner, self._now(), self._store
  local number, err = self:_number("enqueue")
  local ok = number
  local count = #batches
  for i = 1, count do
    local batch = batches[i]
    local parent = batch.parent
    if ok then
      ok, err = store:tell(number, batch.index, parent, batch.offset, batch.bytes, batch.first_row, batch.first_line, batch.rows,
        batch.accepted, batch.body_bytes, batch.skip, batch.hash, owner, now)
    end
    if ok and parent then
      ok, err = self:_queue("split", nil, parent)
    end
    if ok and (i % AT_ONCE == 0 or i == count) then
      ok, err = self:_bounded()
    end
    if not ok then
      return nil, explain(err)
    end
  end
  return true
end

---Queues results of single rows: rejected, suppressed, duplicate, unchanged. The first result of a row is kept.
---@param rows table[] row, batch, state, cause, column, reason, code, message
---@return true? ok
---@return campaign.error? err
function methods:record(rows)
  for _, row in ipairs(rows) do
    local ok, err = self:_queue("record", nil, row.row, row.batch, row.state, row.cause, row.column, row.reason,
      row.code ~= nil and tostring(row.code) or nil, row.message)
    if ok then
      ok, err = self:_bounded()
    end
    if not ok then
      return nil, err
    end
  end
  return true
end

---Queues results of rows that a preflight refused. The first result of a row is kept.
---@param records string JSON: [[row, cause, column, reason, code], ...]
---@param count integer number of these
---@return true? ok
---@return campaign.error? err
function methods:record_refused(records, count)
  local ok, err = self:_queue("record_refused", nil, records)
  if not ok then
    return nil, err
  end
  self._refused = self._refused + count
  if self._refused < MOST_WAITING then
    return self:_bounded()
  end
  self._refused = 0
  return self:commit()
end

---Drops an unfinished plan. The database itself refuses this once anything was attempted.
---@return true? ok
---@return campaign.error? err
function methods:forget_plan()
  self._claimed, self._held, self._beginning, self._ahead, self._asked = 0, {}, nil, nil, nil
  local ok, err = self:_queue("forget_rows")
  if ok then
    ok, err = self:_queue("forget_batches")
  end
  if not ok then
    return nil, err
  end
  return self:commit()
end

---Reserves disk space for the outcomes of what is in flight when the disk gets full. To be called before anything is written.
---@param bytes integer
---@return true? ok
---@return campaign.error? err
function methods:reserve(bytes)
  local ok, err = self._store:reserve(bytes)
  if not ok then
    return nil, explain(err)
  end
  return true
end

---The reason why nothing more may be started although the last commit succeeded: the disk is full, and the reserved space is in use.
---@return campaign.error? err
function methods:full()
  if not self._store:full() then
    return nil
  end
  return explain(error_object.new{ kind = "ledger", reason = "full", retry = false,
    message = "ledger " .. self.path .. ": the disk is full; outcomes of requests in flight were still recorded" })
end

-- Waits for an errand of the store in short sleeps.
local function await(errand, sleep)
  local done, value, err = errand:take()
  while not done do
    sleep(SLICE)
    done, value, err = errand:take()
  end
  return value, err
end

-- Identifies an unmodified file; nil if there is a log beside it.
local function stamp_of(path)
  local found = not core.system.stat(path .. "-wal") and core.system.stat(path)
  return found and ("%s %s %.9f %s"):format(found.inode, found.size, found.mtime, found.device) or nil
end

---Closes the file; what was queued and not committed is dropped. May be called twice.
---@return string? stamp for `checked` when it is opened again directly; nil if it has to be checked
function methods:close()
  if self._closed then
    return nil
  end
  self._closed = true
  local errand = self._sleep and self._store:close_later()
  if errand then
    await(errand, self._sleep)
  else
    self._store:close()
  end
  return stamp_of(self.path)
end

mixin(methods, leases, reading, settling)

local function check_version(self)
  local rows, err = self:_query("version")
  if not rows then
    return nil, err
  end
  local version = rows[1][1]
  if version ~= schema.VERSION then
    err = select(2, refuse(self, ("it is of version %d, this program reads %d"):format(version, schema.VERSION),
      version == 0 and "its making was interrupted: nothing was sent" or "use the version of campaign that made it"))
    err.reason = version == 0 and "unplanned" or nil
    return nil, err
  end
  return true
end

-- The tables must match those of this version exactly: SQLite detects a damaged page by its structure, not by its text.
local function check_tables(self)
  local rows, err = self:_query("texts")
  for _, row in ipairs(rows or {}) do
    if not schema.TEXT:find(row[1], 1, true) then
      return nil, explain(error_object.new{ kind = "ledger", reason = "damaged", retry = false,
        message = "ledger " .. self.path .. ": its tables were changed" })
    end
  end
  return rows and true, err
end

-- Settles what a dead owner left open.
local function recover(self)
  local open, failed = self:_query("left_open")
  if not open then
    return nil, failed
  elseif open[1][1] == 0 then
    return true
  end
  local sent = { done = keep }
  local ok, err = self:_queue("recover_attempts", nil, self._now())
  if ok then
    ok, err = self:_queue("recover_sent", sent)
  end
  if ok then
    ok, err = self:commit()
  end
  self.recovered = sent.changes
  return ok, err
end

local function open_store(path, mode, made_with, options)
  if not options.sleep then
    return core.store.open(path, mode, options.driver, made_with)
  end
  local store, err = core.store.open_later(path, mode, options.driver, made_with)
  if store then
    store, err = await(store, options.sleep)
  end
  return store, err
end

---@param path string
---@param options table create, owner, now, checked; driver of the store; sleep: waits for the disk in short sleeps of this kind, wait: until a store has
---finished something; pause: lets others have a turn
---@return table? ledger
---@return campaign.error? err
function M.open(path, options)
  local found = not options.create and core.system.stat(path)
  if not found and not options.create then
    return refuse({ path = path }, "it does not exist", "without it, what was sent is unknown: restore it, or check on the platform and import again")
  elseif found and found.type == "file" and found.size == 0 then
    -- Left alone: SQLite would turn it into a ledger.
    return refuse({ path = path }, "it is empty",
      "when the import died as it began, nothing was sent: import the list again. Otherwise its record is lost: look at the platform first")
  end
  local mode, made_with = "open", nil
  if options.create then
    mode, made_with = "create", schema.TEXT
  elseif options.checked and options.checked == stamp_of(path) then
    mode = "reopen"
  end
  local store, err = open_store(path, mode, made_with, options)
  if not store and abandoned_jobs.let_go(err, 0) then
    store, err = open_store(path, mode, made_with, options)
  end
  if not store then
    return nil, explain(err)
  end
  local self = setmetatable({
    path = path, owner = options.owner or ("%d:%s"):format(core.system.pid(), core.digest.hex(core.system.random(8))), recovered = 0,
    _store = store, _statements = {}, _waiting = {}, _now = options.now or core.system.now, _sleep = options.sleep, _pause = options.pause,
    _wait = options.wait or options.sleep and function() options.sleep(SLICE) end,
    _claimed = 0, _held = {}, _given_back = 0, _refused = 0, _beginning = nil, _ahead = nil, _asked = nil, _outcomes = {}, -- of ledger/leases
  }, mt)
  local ok = true
  if not options.create then
    ok, err = check_version(self)
    if ok then
      ok, err = check_tables(self)
    end
    if ok then
      ok, err = recover(self)
    end
  end
  if not ok then
    self:close()
    return nil, err
  end
  return self
end

return M

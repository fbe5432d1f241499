-- SPDX-License-Identifier: MIT
-- Rows that one job hands over to another: an import with `since` sends what the earlier job left open (not sent, or rejected), so the
-- earlier one must not send it any more. That is recorded durably in the earlier job's folder before the later job sends, while both jobs
-- are locked; a resume of the earlier job finds it. A handover is void if the later job died before it sent anything. Whichever process
-- dies first, no row is sent twice.

local core = require "campaign.core"
local durable = require "campaign.durable"
local error_object = require "campaign.error"
local family = require "campaign.import.family"
local folder_module = require "campaign.import.folder"
local json = require "campaign.json"
local ledger_module = require "campaign.ledger"
local record_module = require "campaign.import.record"

local M = {}

-- Not a generated file: it is kept until the whole job is forgotten.
M.FILE = "handed-over.json"

local PRIVATE = 384 -- 0600
local MOST_BYTES = 16384

local function refuse(message, hint)
  return error_object.refuse{ kind = "ledger", reason = "handed_over", message = message, hint = hint }
end

---Adds to an error's message which job it is about.
---@param err campaign.error
---@param who string the job
---@return campaign.error
function M.named(err, who)
  return error_object.new{ kind = err.kind, reason = err.reason, retry = false, sent = "no", message = who .. ": " .. err.message, hint = err.hint,
    cause = err.cause }
end

local function path_of(root)
  return root .. "/" .. M.FILE
end

---The job that a job and its retries were handed over to.
---@param root string folder of the first job
---@return table? mark `to` (folder), `id`; nil when they were not
---@return campaign.error? err
function M.read(root)
  local text, err = core.system.read_file(path_of(root), MOST_BYTES, true)
  if not text then
    if err.reason == "missing" then
      return nil
    end
    return folder_module.trouble(root, err)
  end
  local mark = json.decode(text)
  if type(mark) ~= "table" then
    return refuse(path_of(root) .. " is damaged: nobody knows to which job the open rows went")
  end
  return mark.to and mark or nil
end

local function write(root, mark)
  local ok, err = durable.write(path_of(root), core.json.encode(mark) .. "\n", PRIVATE)
  if not ok then
    return folder_module.trouble(root, err)
  end
  return true
end

local function gone(mark)
  return refuse(("its open rows were handed over to %s, which is not there any more: nobody knows which of them it sent"):format(mark.to),
    "put that folder back; if it never sent anything, remove " .. M.FILE)
end

-- The number of rows that were open in the earlier jobs of an import with `since`.
local function open_rows(given)
  local open = 0
  for _, seen in ipairs(given and given.seen or {}) do
    open = open + seen.open
  end
  return open
end

-- Whether a job that took rows over keeps them: it has sent something, or has ended, so that its rejected rows may be retried.
local function keeps(put, progress)
  local record = record_module.decode(put.record)
  return progress.attempts + progress.open > 0 or put.state == "finished" or put.state == "stopped" or not record or (record.retries or 0) > 0
end

-- Whether a handover is void: the receiving job is not running, has sent nothing and can still return the rows.
local function is_void(mark)
  if not core.system.stat(mark.to .. "/job.json") then
    return gone(mark)
  end
  local ledger, err = ledger_module.open(mark.to .. "/ledger.db")
  if not ledger then
    return nil, err
  end
  local put, progress
  put, err = ledger:job_get()
  if put then
    progress, err = ledger:progress()
  end
  ledger:close()
  if err then
    return nil, err
  elseif not put or put.id ~= mark.id then -- another job is in that folder by now
    return gone(mark)
  end
  return not keeps(put, progress)
end

---Whether a job or a retry may send the rows that are open in it: not if they were handed over. The caller has its ledger open, so that no other
---job takes them over meanwhile.
---@param path string
---@param what string the open rows, in words
---@return true? ok
---@return campaign.error? err
function M.may_send(path, what)
  local root = family.root(path)
  local mark, err = M.read(root)
  if not mark then
    return not err or nil, err
  end
  local void
  void, err = is_void(mark)
  if void then
    return write(root, {})
  elseif err and err.reason == "locked" then
    return refuse(("%s: %s were handed over to %s, which is running"):format(path, what, mark.to), "let that one end")
  elseif err then
    return nil, M.named(err, path)
  end
  return refuse(("%s: %s were handed over to %s (--since): sending them here could send them twice"):format(path, what,
    mark.to), "continue with that one: campaign resume, or campaign retry, " .. mark.to)
end

---A snapshot of the earlier job for an import with `since`; an error if its open rows have been taken over already.
---@param opened table path, ledger, record of a job or retry
---@param id string? of the job that takes over
---@return table? seen path, state, open (rows)
---@return campaign.error? err
function M.look(opened, id)
  local mark, err = M.read(family.root(opened.path))
  if err then
    return nil, err
  elseif mark and mark.id ~= id then
    local void
    void, err = is_void(mark)
    if err then
      return nil, err.reason == "locked" and select(2, refuse("its open rows were handed over to " .. mark.to .. ", which is running")) or err
    elseif not void then
      return refuse("its open rows were handed over to " .. mark.to, "compare with that one: --since " .. mark.to)
    end
  end
  local progress
  progress, err = opened.ledger:progress()
  if not progress then
    return nil, err
  end
  return {
    path = record_module.absolute(opened.path), open = progress.rows.pending + progress.rows.rejected,
    state = core.json.encode{ batches = progress.batches, rows = progress.rows, attempts = progress.attempts,
      retries = opened.record.retries or 0 },
  }
end

---Whether a job owns the rows that it was to take over; otherwise its rejected rows may belong to another job.
---@param record table of the job
---@return boolean
function M.is_done(record)
  return open_rows(record.handover) == 0 or record.handover.done == true
end

---Whether an import may be `since` this job. Not if this job was `since` another one itself and has not taken over the rows that the other one left
---open: those would be lost.
---@param opened table ledger, record of a job
---@return boolean? is_usable
---@return campaign.error? err
function M.may_follow(opened)
  if open_rows(opened.record.handover) == 0 then
    return true
  elseif not M.is_done(opened.record) then
    return false
  end
  local progress, err = opened.ledger:progress()
  local put
  if progress then
    put, err = opened.ledger:job_get()
  end
  if not put then
    return nil, err
  end
  return keeps(put, progress)
end

-- Whether an earlier job is unchanged since the import was planned.
local function unchanged(seen)
  local ledger, err = ledger_module.open(seen.path .. "/ledger.db")
  if not ledger then
    return nil, err
  end
  local put, record, now
  put, err = ledger:job_get()
  if put then
    record, err = record_module.decode(put.record)
  end
  if record then
    now, err = M.look({ path = seen.path, ledger = ledger, record = record })
  end
  if not now then
    ledger:close()
    return nil, err
  elseif now.state ~= seen.state then
    ledger:close()
    return refuse(seen.path .. " has gone on since this import was planned: some of these rows may be with the platform by now",
      "plan the import again: nothing of it was sent")
  end
  return ledger
end

local function take_first(root, given, mark, seen)
  local held, err = {}, nil
  local ok = true
  for i, job in ipairs(seen) do
    held[i], err = unchanged(job)
    if not held[i] then
      ok = nil
      break
    end
  end
  if ok and core.system.stat(family.retry(root, #seen) .. "/ledger.db") then
    ok, err = refuse(root .. " was retried since this import was planned", "plan the import again: nothing of it was sent")
  end
  if ok then
    ok, err = write(root, mark)
  end
  for _, ledger in pairs(held) do
    ledger:close()
  end
  given.done = ok and true or nil
  return ok, err
end

-- Takes over again what this job took over before: refused if the earlier job went on meanwhile, since this one had not sent anything.
local function take_again(root, mark, seen)
  local held, ok, err = {}, true, nil
  for i, job in ipairs(seen) do
    held[i], err = folder_module.lock(job.path)
    if not held[i] then
      ok = nil
      break
    end
  end
  local found
  if ok then
    found, err = M.read(root)
    ok = not err
  end
  if ok and (not found or found.id ~= mark.id) then
    ok, err = refuse(("%s has gone on by itself, or was handed over to another job: its rows are not this job's any more"):format(root),
      "plan the import again")
  end
  for _, lock in pairs(held) do
    lock:close()
  end
  return ok or nil, err
end

-- Takes over the open rows. `given`: `seen` (what `look` returned for each job, the first one first) and `done`, which is set here; `job`: id, folder.
local function take(given, job)
  if open_rows(given) == 0 then
    return true
  end
  local root = given.seen[1].path
  if not core.system.stat(root .. "/job.json") then
    if given.done then
      return true -- it can never go on
    end
    return refuse(root .. " is not there any more: nobody knows whether it went on since this import was planned",
      "put it back, or import the list without `since`")
  end
  local found, err = M.read(root)
  if err then
    return nil, err
  end
  local mark = { to = record_module.absolute(job.folder), id = job.id, format = 1 }
  if found and found.id == job.id or given.done then
    local ok
    ok, err = take_again(root, mark, given.seen)
    given.done = ok
    return ok, err
  end
  return take_first(root, given, mark, given.seen)
end

---Durably records, before the first request, that the open rows of the earlier jobs belong to this one.
---@param state table of the job; its record, which is written to the ledger before anything is sent, then says so too
---@param rows integer that it may send, now or once they are corrected
---@return true? ok
---@return campaign.error? err
function M.begin(state, rows)
  if not state.handover or rows == 0 and not state.handover.done then
    return true
  end
  local ok, err = take(state.handover, { id = state.id, folder = state.folder.path })
  if not ok then
    return nil, err
  end
  local record
  record, err = record_module.decode(state.record_text)
  if record then
    record.handover = state.handover
    state.record_text, err = record_module.encode(record)
  end
  return not err or nil, err
end

return M

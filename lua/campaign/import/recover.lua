-- SPDX-License-Identifier: MIT
-- campaign.recover: a job with a damaged ledger. The list is planned again, which gives the same batches; intact records of the damaged
-- ledger are applied to them. A batch without an intact record, or one that was not settled when its record was written, may have been sent
-- since: it is in doubt, and never sent again unless requested. The damaged file is kept. See docs/ledger.md, "Recover".

local merged = require "campaign.merged"
local reopen = require "campaign.import.reopen"
local core = require "campaign.core"
local discard = require "campaign.discard"
local error_object = require "campaign.error"
local folder_module = require "campaign.import.folder"
local job_module = require "campaign.import.job"
local ledger_module = require "campaign.ledger"
local overlay = require "campaign.import.overlay"
local planning = require "campaign.import.planning"
local prepare = require "campaign.import.plan.prepare"
local record_module = require "campaign.import.record"
local resume = require "campaign.import.resume"
local salvage_module = require "campaign.ledger.salvage"
local suppress = require "campaign.import.plan.suppress"

local M = {}

local function refuse(kind, message, hint)
  return error_object.refuse{ kind = kind, message = message, hint = hint }
end

-- The file to read: the ledger, or the one that an interrupted recovery set aside.
local function source_of(folder)
  if core.system.stat(folder.ledger) then
    return folder.ledger
  end
  local number, found = 1, nil
  local path = folder.path .. "/ledger.damaged-1.db"
  while core.system.stat(path) do
    found, number = path, number + 1
    path = folder.path .. "/ledger.damaged-" .. number .. ".db"
  end
  return found
end

local function needs_it(folder)
  if not core.system.stat(folder.ledger) then
    return source_of(folder) ~= nil or nil, source_of(folder) == nil and error_object.new{ kind = "usage", retry = false, sent = "no",
      message = "job " .. folder.path .. ": there is no ledger.db, damaged or not" } or nil
  end
  local ledger, err = ledger_module.open(folder.ledger)
  if ledger then
    ledger:close()
    return refuse("usage", "the ledger of " .. folder.path .. " is whole: there is nothing to recover", "campaign resume, status, verify")
  end
  return err.reason == "damaged" or nil, err
end

-- The first path of this form that does not exist yet.
local function free_name(folder, form)
  local number = 1
  while core.system.stat(folder.path .. "/" .. form:format(number)) do
    number = number + 1
  end
  return folder.path .. "/" .. form:format(number)
end

-- Replaces the damaged ledger by the new one. The old log is set aside after its ledger: a ledger without its log would look intact.
local function replace(folder, plan)
  local damaged = source_of(folder)
  if damaged == folder.ledger then
    damaged = free_name(folder, "ledger.damaged-%d.db")
    assert(os.rename(folder.ledger, damaged))
  end
  if core.system.stat(folder.ledger .. "-wal") then
    assert(os.rename(folder.ledger .. "-wal", damaged .. "-wal"))
  end
  if core.system.stat(folder.rejects) then -- it may have been corrected by hand
    assert(os.rename(folder.rejects, free_name(folder, "rejects-before-%d.csv")))
  end
  for key in pairs(folder_module.FILES) do
    if key ~= "job" and key ~= "ledger" and key ~= "mapped" and key ~= "sheet" then -- the last two are what was planned anew
      assert(discard.file(folder[key]))
      if core.system.stat(plan[key]) then
        assert(os.rename(plan[key], folder[key]))
      end
    end
  end
  assert(os.rename(plan.ledger, folder.ledger))
  assert(folder:write("job", assert(folder:read("job")))) -- the new names are on disk when this one is
  return damaged
end

-- Plans the list again, in a folder of its own.
local function plan_again(salvage, given, path)
  local job = salvage:each("job")()
  local file = salvage:each("file")()
  local record = job and record_module.decode(job.record)
  if not record or not file then
    return refuse("ledger", "the record of the job itself is lost: nobody can plan it again",
      "every row that its reports do not list may or may not have been sent; look at the platform")
  end
  local ok, err = resume.same_file(file, record)
  local state
  if ok then
    state, err = planning.start(record_module.given(record.options, given), 4)
  end
  if not state then
    return nil, err
  end
  -- The record is kept without its plan, so that a new one is made. The suppression lists must be those of the first plan.
  state.id, state.record = job.id, { platform = record.platform, account = record.account, identity = record.identity }
  ok, err = suppress.unchanged(record.plan and record.plan.suppress, state.options.env.pause)
  if ok then
    ok, err = prepare.prepare(state)
  end
  if ok then
    ok, err = resume.same_target(record, nil, state.shape)
  end
  if ok then
    state.folder, err = folder_module.create(path)
  end
  if ok and state.folder then
    state.ledger, err = ledger_module.open(state.folder.ledger, { create = true, now = state.options.env.now })
  end
  if not state.ledger then
    job_module.close_all(state)
    return nil, err
  end
  state.record = nil
  planning.open_rows(state)
  ok, err = planning.check_rows(state)
  if ok then
    ok, err = state.rows:close()
  end
  state.ledger:close()
  state.ledger = nil
  if not ok then
    job_module.close_all(state)
    return nil, err
  end
  local fresh = record_module.decode(state.record_text)
  for key, value in pairs(record) do -- what was noted since the job was planned
    if fresh[key] == nil then
      fresh[key] = value
    end
  end
  fresh.handover = record.handover or fresh.handover
  state.record_text, err = record_module.encode(fresh)
  return state.record_text and state, err
end

local function recover(folder, given, scratch)
  local salvage, err = salvage_module.read(source_of(folder), scratch .. "/salvage.db")
  if not salvage then
    return nil, err
  end
  if given.trust_pending and salvage.log_lost then
    salvage:close()
    return refuse("usage", ("the ledger of %s: %s: what its file calls pending may have been sent since"):format(folder.path, salvage.log_lost),
      "recover without --trust-pending, then resolve what is in doubt")
  end
  local own = merged(given)
  own.trust_pending = nil
  local state, counts
  state, err = plan_again(salvage, own, scratch .. "/plan")
  if state then
    counts, err = overlay.write(salvage, state, given.trust_pending)
    job_module.close_all(state)
  end
  if counts then
    counts.unreadable, counts.read = salvage.unreadable, salvage.found
  end
  salvage:close()
  if not counts then
    return nil, err
  end
  local fine, damaged = pcall(replace, folder, state.folder)
  if not fine then
    return folder_module.trouble(folder.path, damaged)
  end
  counts.damaged, counts.job = damaged, folder.path
  return counts
end

---Rebuilds the ledger of a job from what can be read of the damaged one. Batches without an intact record are in doubt.
---@param path string the job folder
---@param given table? account, env, transport as for `resume`; trust_pending: batches whose intact record says that they were not sent are pending
---again, instead of in doubt
---@return table? recovered job, damaged (the file that was kept), batches: kept, ambiguous, pending; unreadable (records), read (records by
---table), result (of the resume that listed the rows again, when nothing was left to send)
---@return campaign.error? err the folder is as it was
function M.recover(path, given)
  given = given or {}
  local folder, err = folder_module.open(path)
  if not folder then
    return nil, err
  end
  local ok
  ok, err = needs_it(folder)
  if not ok then
    return nil, err
  end
  local lock
  lock, err = folder_module.lock(path)
  if not lock then
    return nil, err
  end
  local scratch = path .. "/recover-tmp"
  discard.folder(scratch)
  ok, err = core.system.make_dirs(scratch, 448) -- 0700
  local recovered
  if ok then
    recovered, err = recover(folder, given, scratch)
  end
  discard.folder(scratch)
  lock:close()
  if recovered and recovered.pending == 0 then
    local own = merged(given)
    own.trust_pending = nil
    local job
    job, err = reopen.open_job(path, own)
    if job then
      recovered.result, err = job:resume()
    end
    if not recovered.result then
      return nil, err
    end
  end
  return recovered, err
end

return M

-- SPDX-License-Identifier: MIT
-- `since`: the rows that an earlier job, with its retries, has delivered, as a list of their keys. Rows in doubt are neither delivered nor
-- free to be sent: such a job is refused until they are settled. Read-only; import/plan/row_keys.lua made the keys.

local core = require "campaign.core"
local error_object = require "campaign.error"
local family = require "campaign.import.family"
local handover = require "campaign.import.handover"
local row_keys = require "campaign.import.plan.row_keys"
local rows_module = require "campaign.import.report.rows"
local shell_quote = require "campaign.shell_quote"
local stored = require "campaign.import.stored"

local M = {}

local DELIVERED = { A = true, R = true, C = true }

local function refuse(path, message, hint, kind)
  return error_object.refuse{ kind = kind or "usage", message = "since " .. path .. ": " .. message, hint = hint }
end

local function plain(value)
  return core.json.encode(value or {})
end

-- The names of what two calls do not have in common.
local function different(left, right)
  local names, seen = {}, {}
  for _, params in ipairs({ left or {}, right or {} }) do
    for name in pairs(params) do
      if not seen[name] and plain({ (left or {})[name] }) ~= plain({ (right or {})[name] }) then
        names[#names + 1] = tostring(name)
      end
      seen[name] = true
    end
  end
  table.sort(names)
  return names
end

-- Refuses a job whose rows went elsewhere or were built in another way: equal keys would not mean equal rows.
local function same_work(opened, now)
  local record = opened.record
  if record.platform ~= now.platform or record.operation ~= now.operation then
    return refuse(opened.path, ("that job went to %s.%s, this import goes to %s.%s"):format(record.platform, record.operation, now.platform,
      now.operation))
  elseif record.identity ~= now.identity then
    return refuse(opened.path, "that job went to another account of " .. record.platform)
  end
  local params = different(record.options.params, now.params)
  if #params > 0 then
    return refuse(opened.path, "the call had other values of " .. table.concat(params, ", ") .. " then: it may be another target")
  end
  local keys = record.plan and record.plan.keys
  if keys and keys.content ~= now.content then
    return refuse(opened.path, "fields were filled in another way then (map, set, split, replacements)",
      "rows can be compared only where the same columns fill the same fields")
  end
  return true
end

local function in_doubt(opened)
  local progress, err = opened.ledger:progress()
  if not progress then
    return nil, err
  end
  local batches = progress.batches
  if batches.U + batches.S > 0 then
    return refuse(opened.path, ("%d rows of it are in doubt: sending them now could send them twice"):format(progress.rows.ambiguous),
      "look at the platform, then settle them: campaign resolve " .. shell_quote(opened.path) .. " --batch N --as applied|not-applied", "ledger")
  end
  return true
end

-- Adds the rows of a batch that the platform accepted: those that were sent, without those it refused.
local function add_batch(opened, file, list, batch)
  local left_out, given_back = rows_module.skipper(batch.skip), {}
  if batch.rejected > 0 then
    for _, row in ipairs(assert(opened.ledger:ask("rows_of", batch.index))) do
      given_back[row.row] = true
    end
  end
  local bytes, start = file:read(batch.first_row, batch.rows), nil
  for position = 1, batch.rows + 1 do
    local row = batch.first_row + position - 1
    local is_in = position <= batch.rows and not left_out(position) and not given_back[row]
    if is_in then
      start = start or position
    elseif start then
      assert(list:add(bytes:sub((start - 1) * row_keys.BYTES + 1, (position - 1) * row_keys.BYTES), batch.first_row + start - 1))
      start = nil
    end
  end
end

-- Adds rows that this job did not send because an earlier job had delivered them.
local function add_unchanged(opened, file, list, pause)
  local first, count = nil, 0
  local function put()
    if first then
      assert(list:add(file:read(first, count), first))
      first, count = nil, 0
      if pause then
        pause()
      end
    end
  end
  for row in opened.ledger:scan("rows") do
    if row.state == "unchanged" then
      if first and (row.row ~= first + count or count == 10000) then
        put()
      end
      first, count = first or row.row, count + 1
    end
  end
  put()
end

local function add_job(opened, list, pause)
  local plan = opened.record.plan
  local keys = plan.keys or {}
  local file, err = row_keys.open(opened.folder.keys, plan.rows, keys.checksum, pause)
  if not file then
    return nil, err
  end
  list = list or assert(core.rows.row_keys(file.secret))
  local fine, problem = pcall(function()
    for batch in opened.ledger:scan("batches") do
      if DELIVERED[batch.state] then
        add_batch(opened, file, list, batch)
        if pause then
          pause()
        end
      end
    end
    add_unchanged(opened, file, list, pause)
  end)
  file:close()
  if not fine then
    list:close()
    return nil, error_object.is(problem) and problem
      or error_object.new{ kind = "ledger", retry = false, message = "since " .. opened.path .. ": " .. tostring(problem) }
  end
  return list
end

-- Adds the delivered rows of one folder to `list`, and what `handover.look` says of it to `seen`.
local function take(path, now, list, secret, seen)
  local opened, err = stored.open(path)
  if not opened then
    return nil, err
  end
  local ok = opened.record.plan
  if not ok then
    opened.ledger:close()
    return refuse(path, "the plan of that job was never finished: nothing of it was sent", "leave `since` out")
  end
  ok, err = same_work(opened, now)
  if ok then
    ok, err = in_doubt(opened)
  end
  if ok then
    ok, err = handover.may_follow(opened)
    if ok == false then
      ok, err = refuse(path, "that job has not taken over what " .. opened.record.options.since .. " left open, and may never do so",
        "compare with that one: --since " .. opened.record.options.since)
    end
  end
  if ok then
    ok, err = handover.look(opened, now.id)
    if not ok then
      err = handover.named(err, "since " .. path)
    end
    seen[#seen + 1] = ok
  end
  if ok and secret and row_keys.secret(opened.folder.keys) ~= secret then
    ok, err = refuse(path, "its keys are of another kind than those of the job that it retries")
  end
  if ok then
    list, err = add_job(opened, list, now.pause)
  end
  secret = secret or row_keys.secret(opened.folder.keys)
  opened.ledger:close()
  if not ok then
    return nil, err
  end
  return list, err, secret
end

---The keys of the rows that a job and its retries have delivered.
---@param path string the job folder
---@param now table this import: platform, operation, identity, params, content, id, pause?
---@return userdata? list for the core's preflight
---@return campaign.error|string err or the secret of the keys
---@return table? seen for import/handover
function M.load(path, now)
  local list, secret
  local seen = {}
  for _, folder in ipairs(family.folders(path)) do
    local taken, err, used = take(folder, now, list, secret, seen)
    if not taken then
      if list then
        list:close()
      end
      return nil, err
    end
    list, secret = taken, used
  end
  return list, secret, seen
end

return M

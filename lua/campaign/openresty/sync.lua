-- SPDX-License-Identifier: MIT
-- Syncs and replaces files without blocking the worker: a thread of the core does it, and any waiter polls the results for all.

local bell = require "campaign.openresty.bell"
local core = require "campaign.core"
local home = require "campaign.openresty.env"

local M = {}

-- Of this Lua state; made with the first sync, so after the fork.
local syncer
local asked = {} -- id → what its light thread holds; out of here once it is answered, whether or not that thread still lives

local function take_all()
  local id, ok, err = syncer:take()
  while id do
    local question = asked[id]
    asked[id] = nil
    if question then
      question.ok, question.err, question.is_answered = ok, err, true
    end
    id, ok, err = syncer:take()
  end
end

local function run(method, ...)
  local err, id
  if not syncer then
    syncer, err = core.system.syncer()
    if not syncer then
      return nil, err
    end
  end
  id, err = syncer[method](syncer, ...)
  if not id then
    return nil, err
  end
  local question = {}
  asked[id] = question
  take_all()
  while not question.is_answered do
    bell.wait(syncer)
    take_all()
  end
  return question.ok, question.err
end

---Syncs and replacements that were not seen to be done yet.
---@return integer
function M.pending()
  local count = 0
  for _ in pairs(asked) do
    count = count + 1
  end
  return count
end

---As file:sync().
---@param file userdata of core.system.append_open
---@return true? ok
---@return campaign.error? err
function M.file(file)
  home.check(2)
  return run("submit", file)
end

---As core.system.sync_folder.
---@param path string
---@return true? ok
---@return campaign.error? err
function M.folder(path)
  home.check(2)
  return run("sync_folder", path)
end

---As core.system.write_atomic.
---@param path string
---@param bytes string
---@param mode integer?
---@return true? ok
---@return campaign.error? err
function M.write_atomic(path, bytes, mode)
  home.check(2)
  return run("write_atomic", path, bytes, mode)
end

return M

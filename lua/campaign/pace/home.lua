-- SPDX-License-Identifier: MIT
-- Homes: storage for the state of an account's pace, a small text that several processes read and replace. A home has these methods:
--
--   get() → text | nil, err         the text last put; nil if there is none
--   put(text, old) → true | false | nil, err   replaces `old` (nil: nothing) by `text`; false if the stored text is another one by now
--   close()?                        releases its resources in this process
--
-- None may wait for another process. This file has the home for one process (a table) and the one for a machine (a cell: a mapped file
-- without a lock). Any other storage with compare-and-set, such as nginx's shared memory, can be passed to a client or an import.

local account_pace = require "campaign.pace.account"
local boot = require "campaign.boot"
local core = require "campaign.core"

local M = {}

local FOLDER = 448 -- 0700

-- Seconds after which an unused state is removed.
local STALE = 86400

local memory = {}
local memory_mt = { __index = memory, __name = "campaign.pace.home.memory" }

---A home that ends with this process.
function M.memory()
  return setmetatable({}, memory_mt)
end

function memory:get()
  return self._text
end

function memory:put(text, old)
  if self._text ~= old then
    return false
  end
  self._text = text
  return true
end

local file = {}
local file_mt = { __index = file, __name = "campaign.pace.home.file" }

local function clear_stale(folder)
  for _, name in ipairs(core.system.list_dir(folder) or {}) do
    local path = folder .. "/" .. name
    local info = name:find("%.pace$") and core.system.stat(path, false)
    if info and core.system.now() - info.mtime > STALE then
      core.system.remove(path)
    end
  end
end

---The home that all processes of this user on this machine share for an account. The file comes into being with the first `put`.
---@param folder string for all states; made when it is not there
---@param account_id string
---@return table
function M.file(folder, account_id)
  return setmetatable({ _folder = folder, _path = account_pace.path(folder, account_id) }, file_mt)
end

-- The open cell; nil without an error if there is none and none is to be created.
function file:_open(create)
  -- Checked at every use: reading a mapped file that was truncated would kill the process.
  if self._cell and not self._cell:is_current() then
    self:close()
  end
  if self._cell then
    return self._cell
  end
  if create then
    local ok, err = core.system.make_dirs(self._folder, FOLDER)
    if not ok then
      return nil, err
    end
    clear_stale(self._folder)
  end
  local cell, err = core.system.cell(self._path, boot.id(), create)
  if not cell then
    if not create and err.reason == "missing" then
      return nil
    end
    return nil, err
  end
  self._cell = cell
  return cell
end

---Unmaps the file; the next use opens it again.
function file:close()
  if self._cell then
    self._cell:close()
  end
  self._cell, self._version, self._text = nil, nil, nil
end

function file:get()
  local cell, err = self:_open(false)
  if not cell then
    return nil, err
  end
  local text
  self._version, text = cell:get()
  self._text = self._version > 0 and text or nil
  return self._text
end

function file:put(text, old)
  local cell, err = self:_open(true)
  if not cell then
    return nil, err
  end
  if not self._version or self._text ~= old then
    self:get()
    if self._text ~= old then
      return false
    end
  end
  local version = self._version
  self._version = nil
  return cell:put(version, text)
end

return M

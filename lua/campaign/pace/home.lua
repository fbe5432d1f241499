-- SPDX-License-Identifier: MIT
-- Where the state of an account's pace lies: a small text that several processes read and replace. A home has two methods:
--
--   get() → text | nil, err         what was put last; nil when nothing was
--   put(text, old) → true | false | nil, err   replaces `old` (nil: nothing) by `text`; false when something else lies there by now
--
-- This file has the home of one process (a table) and that of one machine (a file). Another place that can compare and set, such as
-- nginx's shared memory, is a third one: whoever makes a client or an import gives it.

local core = require "campaign.core"

local M = {}

local MOST_BYTES = 1024
local WIDTH = 511 -- of the text in the file: always the same, so that it is overwritten in place and never found cut short

local PRIVATE, FOLDER = 384, 448 -- 0600, 0700

-- Seconds that others may hold the lock: they hold it for microseconds, unless they were stopped in the middle.
local PATIENCE = 0.2

-- States that nobody touched for so many seconds are cleared away.
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

-- Times of one start of the machine mean nothing after the next.
local function boot_id()
  local text = core.system.read_file("/proc/sys/kernel/random/boot_id", 64)
  return text and text:match("^[%x-]+") or "unknown"
end

local function clear_stale(folder)
  for _, name in ipairs(core.system.list_dir(folder) or {}) do
    local path = folder .. "/" .. name
    local info = name:find("%.pace$") and core.system.stat(path, false)
    if info and core.system.now() - info.mtime > STALE then
      core.system.remove(path)
      core.system.remove(path .. ".lock")
    end
  end
end

---The home that all processes of this user on this machine share for an account. The file comes into being with the first `put`.
---@param folder string for all states; made when it is not there
---@param account_id string
---@param options? { waits: boolean? } waits = false: never wait for the lock; `put` is false then
---@return table
function M.file(folder, account_id, options)
  local name = account_id:gsub("[^%w_.#-]", "-")
  return setmetatable({
    _folder = folder, _path = folder .. "/" .. name .. ".pace", _boot = boot_id(),
    _patience = options and options.waits == false and 0 or PATIENCE,
  }, file_mt)
end

function file:get()
  local text, err = core.system.read_file(self._path, MOST_BYTES, true)
  if not text then
    if err.reason == "missing" then
      return nil
    end
    return nil, err
  end
  local boot, state = text:match("^([%x-]+)\n([^\n]*)") -- linear: a fixed character between
  if boot ~= self._boot then
    return nil
  end
  return (state:gsub(" +$", ""))
end

function file:_create()
  local ok, err = core.system.make_dirs(self._folder, FOLDER)
  if not ok then
    return nil, err
  end
  clear_stale(self._folder)
  local made
  made, err = core.system.append_open(self._path, PRIVATE)
  if not made then
    return nil, err
  end
  return made:close()
end

function file:_write(text)
  local content = self._boot .. "\n" .. text
  if #content > WIDTH then
    return nil, "the state is too long"
  end
  local handle, err = io.open(self._path, "r+b")
  if not handle then
    return nil, err
  end
  local ok, write_err = handle:write(content, (" "):rep(WIDTH - #content), "\n")
  local closed, close_err = handle:close()
  if not ok or not closed then
    return nil, write_err or close_err
  end
  return true
end

function file:put(text, old)
  if not self._made then
    local ok, err = self:_create()
    if not ok then
      return nil, err
    end
    self._made = true
  end
  local lock, err = core.system.lock(self._path .. ".lock", self._patience)
  if not lock then
    if err.kind == "timeout" then
      return false
    end
    return nil, err
  end
  local current, get_err = self:get()
  local ok = not get_err and current == old
  err = get_err
  if ok then
    ok, err = self:_write(text)
  end
  lock:close()
  if err then
    return nil, err
  end
  return ok
end

return M

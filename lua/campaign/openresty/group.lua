-- SPDX-License-Identifier: MIT
-- Group commit of an inbox: bodies that arrive together share one write and one sync, made outside of their requests. A request continues
-- when its body is durable. Workers take turns through the inbox's lock.

local background = require "campaign.openresty.background"
local core = require "campaign.core"
local error_object = require "campaign.error"
local home = require "campaign.openresty.env"
local inbox_module = require "campaign.callback.inbox"
local sync = require "campaign.openresty.sync"

local M = {}

local MOST_GROUP = 1000 -- bodies of one write
local GROUP_BYTES = 4194304
local LOCK_SECONDS = 10
local WAIT_SECONDS = 30
local QUICK_SECONDS = 0.2 -- a wait so short did not run out in between, and its semaphore may be used again
local MOST_FREE = 1000
local GIVEN_UP_SECONDS = 15 -- nginx may end a request that writes for the others: then another one does

local methods = {}
local mt = { __name = "campaign.openresty.group" }

-- What the inbox tells of itself is told by the group as well.
function mt.__index(self, name)
  local method = methods[name]
  if method == nil then
    return rawget(self, "_inbox")[name]
  end
  return method
end

-- The next bodies that wait.
local function take_group(self)
  local items, bytes = {}, 0
  while #items < MOST_GROUP and bytes < GROUP_BYTES and self._first <= self._last do
    local item = self._queue[self._first]
    self._queue[self._first] = nil
    self._first = self._first + 1
    if not item.given_up then
      items[#items + 1], bytes = item, bytes + #item.body
    end
  end
  return items
end

-- Asks again, in short sleeps, what another process has at the moment.
local function insist(self, ask)
  local deadline = core.system.monotonic() + LOCK_SECONDS
  while true do
    local got, err = ask()
    if got or err.reason ~= "locked" or core.system.monotonic() >= deadline then
      return got, err
    end
    self._background:beat()
    home.sleep(0.001)
  end
end

local function commit(self, items)
  local turn, err = insist(self, function() return self._inbox:turn(0) end)
  if not turn then
    return nil, err
  end
  local kinds
  kinds, err = insist(self, function() return self._inbox:put_all(items, { seconds = 0, turn = turn, sync = sync.file }) end)
  turn:close()
  return kinds, err
end

local function work(self)
  if self._busy and core.system.monotonic() - self._busy.since < GIVEN_UP_SECONDS then -- by one that nginx is slow with
    home.sleep(0.001)
    return true
  end
  local items = take_group(self)
  if #items == 0 then
    return false
  end
  local mine = { since = core.system.monotonic() }
  self._busy = mine -- should the one before go on after all, the inbox's lock keeps them apart
  local fine, kinds, err = pcall(commit, self, items)
  self._busy = self._busy ~= mine and self._busy or false
  if not fine then
    kinds, err = nil, error_object.new{ kind = "ledger", retry = false, sent = "no", message = "callback store: " .. tostring(kinds) }
  end
  self.groups = self.groups + 1
  for i, item in ipairs(items) do
    item.kind, item.err = kinds and kinds[i], err
    item.is_done = true
    item.semaphore:post(1)
  end
  return self._first <= self._last
end

---Puts a group commit in front of an inbox, with the inbox's interface.
---@param inbox campaign.callback.inbox
---@param most integer maximum number of waiting bodies
function M.new(inbox, most)
  local self = setmetatable({ _inbox = inbox, _most = most, _queue = {}, _first = 1, _last = 0, _free = {}, groups = 0, _busy = false }, mt)
  self._background = background.new(function() return work(self) end)
  return self
end

---Number of bodies that are not durable yet.
---@return integer
function methods:waiting()
  return self._last - self._first + 1
end

---As the inbox's.
function methods:put(body, id, outcome, now)
  if self:waiting() >= self._most then
    return nil, error_object.new{ kind = "ledger", reason = "busy", retry = 1, sent = "no", message = "callback store: too many wait" }
  end
  local item = inbox_module.item(body, id, outcome, now)
  local free, began = self._free, core.system.monotonic()
  item.semaphore = table.remove(free) or home.semaphores().new(0)
  self._last = self._last + 1
  self._queue[self._last] = item
  if not self._background:wait(function() return item.is_done end, item.semaphore, WAIT_SECONDS) then
    item.given_up = true
    return nil, error_object.new{ kind = "ledger", reason = "busy", retry = 1, sent = "no", message = "callback store: the disk is too slow" }
  end
  if #free < MOST_FREE and core.system.monotonic() - began < QUICK_SECONDS and item.semaphore:count() == 0 then
    free[#free + 1] = item.semaphore
  end
  if item.err then
    return nil, item.err
  end
  return inbox_module.kind_of(item.kind)
end

function methods:body(id)
  return self._inbox:body(id)
end

function methods:text(entry)
  return self._inbox:text(entry)
end

function methods:list(kind)
  return self._inbox:list(kind)
end

return M

-- SPDX-License-Identifier: MIT
-- Decides when the next group of intents and outcomes is committed. One commit is in progress at a time; what arrives meanwhile forms the
-- next group. If answers arrive faster than the disk syncs, half of the requests would always wait for the other half's sync; then the next
-- group is held back until the pending answers are in it too, so that one sync covers all of it. If the server is the slow one nothing is
-- held. If the slow one is another thread that makes the requests, half of them are enough: it is busy with the other half during the sync.

local M = {}

-- A group waits no longer for answers than so many usual commits take, and only where an answer takes no more than so many.
local LONGEST, WORTH = 4, 2

-- And never longer than so many seconds: one commit that hung says little about the next.
local MOST = 0.5

-- The share of what was learned last in what is usual.
local NEW = 0.125

local methods = {}
local mt = { __index = methods }

---@param monotonic fun(): number seconds
---@param on_other_thread boolean? another thread makes the requests
function M.new(monotonic, on_other_thread)
  return setmetatable({ _monotonic = monotonic, _on_other_thread = on_other_thread, _started = nil, _ended = nil, _commit = nil, _answer = nil,
    _turnaround = nil }, mt)
end

-- What is usual after one more time, or after `count` that were `seconds` in the mean.
local function usual(before, seconds, count)
  local share = count and 1 - (1 - NEW) ^ count or NEW
  return before and before + (seconds - before) * share or seconds
end

---A group goes to the disk.
function methods:start()
  self._started = self._monotonic()
end

---All that went to the disk is there.
function methods:settled()
  if self._started then
    self._ended = self._monotonic()
    self._commit = usual(self._commit, self._ended - self._started)
    self._started = nil
  end
end

---A request is handed to the thread that makes it.
---@return number? time for `answered`; nil where there is no such thread
function methods:sent_at()
  return self._on_other_thread and self._monotonic() or nil
end

---An answer came, or several at once.
---@param seconds number after its request left; of several, in the mean
---@param count integer? of answers; 1
---@param instant number? of `sent_at`
function methods:answered(seconds, count, instant)
  self._answer = usual(self._answer, seconds, count)
  if instant then
    self._turnaround = usual(self._turnaround, self._monotonic() - instant)
  end
end

-- Whether the requests of a group stand in line at the other thread for longer than a sync takes: the last answer comes as long after the mean
-- one as that after the first.
function methods:_is_queued(commit, answer)
  return self._turnaround and 2 * self._turnaround - answer > commit
end

---How long the next group may wait for answers that are under way.
---@param under_way integer how many
---@param limit integer how many there may be
---@return number? seconds nil: not at all
function methods:hold(under_way, limit)
  local commit, answer = self._commit, self._answer
  if not commit or not answer or answer > commit * WORTH or under_way <= limit / 2 and self:_is_queued(commit, answer) then
    return nil
  end
  local left = self._ended + math.min(commit * LONGEST, MOST) - self._monotonic()
  return left > 0 and left or nil
end

return M

-- SPDX-License-Identifier: MIT
-- Decides when the next group of intents and outcomes is committed. One commit is in progress at a time; whatever arrives meanwhile forms the
-- next group. Where answers arrive faster than the disk syncs, half of the requests would always be waiting for the other half's sync, so the
-- next group is held back until it contains the pending answers as well and one sync covers them all. Where the server is slower than the disk
-- nothing is held back. Where requests are made by another thread and that thread is the bottleneck, half of the answers are enough for a group:
-- during the sync the thread works on the other half.

local M = {}

-- In multiples of the usual duration of a commit: the longest time for which a group is held back, and the slowest answers for which it is.
local LONGEST, WORTH = 4, 2

-- The longest time in seconds, whatever a commit takes: one commit that hung says little about the next.
local MOST = 0.5

-- Weight of the latest sample in the moving averages.
local NEW = 0.125

local methods = {}
local mt = { __index = methods }

---@param monotonic fun(): number seconds
---@param on_other_thread boolean? another thread makes the requests
function M.new(monotonic, on_other_thread)
  return setmetatable({ _monotonic = monotonic, _on_other_thread = on_other_thread, _started = nil, _ended = nil, _commit = nil, _answer = nil,
    _turnaround = nil }, mt)
end

-- The moving average after one more sample, or after `count` samples whose mean is `seconds`.
local function usual(before, seconds, count)
  local share = count and 1 - (1 - NEW) ^ count or NEW
  return before and before + (seconds - before) * share or seconds
end

---A commit begins.
function methods:start()
  self._started = self._monotonic()
end

---The commit in progress is durable.
function methods:settled()
  if self._started then
    self._ended = self._monotonic()
    self._commit = usual(self._commit, self._ended - self._started)
    self._started = nil
  end
end

---A request is handed to the thread that makes requests.
---@return number? time to be passed to `answered`; nil if there is no such thread
function methods:sent_at()
  return self._on_other_thread and self._monotonic() or nil
end

---One or more answers arrived.
---@param seconds number from request to answer, on average
---@param count integer? number of answers (1)
---@param instant number? of `sent_at`
function methods:answered(seconds, count, instant)
  self._answer = usual(self._answer, seconds, count)
  if instant then
    self._turnaround = usual(self._turnaround, self._monotonic() - instant)
  end
end

-- Whether the requests of a group spend longer in the other thread's queue than a sync takes. The spread of a group is estimated from its mean:
-- its last answer is assumed to come as long after the average one as that comes after the first.
function methods:_is_queued(commit, answer)
  return self._turnaround and 2 * self._turnaround - answer > commit
end

---How long the next group may be held back for pending answers.
---@param under_way integer number of pending answers
---@param limit integer maximum of requests in flight
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

-- SPDX-License-Identifier: MIT
-- Decides when the next request may be sent: requests in flight (adaptive), the account's rate (shared with other processes), back-off with
-- full jitter after failures, a retry budget, and one request at a time while the platform leaves us in doubt. The engine asks and reports;
-- the meaning of a verdict is decided elsewhere, and the arithmetic is in campaign/pace/.

local concurrency = require "campaign.pace.concurrency"
local quota = require "campaign.pace.quota"
local shared = require "campaign.pace.shared"

local M = {}

-- Seconds until a request that could not be delivered is sent again: at first, doubled for each failure, and the maximum.
local FIRST_BACKOFF, LONGEST_BACKOFF = 0.5, 30

-- Number of consecutive ambiguous answers that end a run, each to a request sent after the previous answer was known.
local MOST_DOUBT = 3

-- Quota of the retry budget: enough for a hundred outstanding retries.
local QUOTA = 500

local methods = {}
local mt = { __index = methods, __name = "campaign.import.run.pace" }

-- A number from 0 up to 1.
local function uniform(random)
  local a, b, c = random(3):byte(1, 3)
  return (a + b * 256 + c * 65536) / 16777216
end

---@param options table limit (in flight at the start), most? (in flight ever; default `limit`), shared? (the account's pace; else one of
---its own), monotonic, random
function M.new(options)
  local function draw()
    return uniform(options.random)
  end
  return setmetatable({
    _concurrency = concurrency.new{ start = options.limit, most = options.most or options.limit },
    _shared = options.shared or shared.new{ monotonic = options.monotonic, random = draw },
    _quota = quota.new(QUOTA),
    _monotonic = options.monotonic,
    _draw = draw,
    _resume_at = 0,
    _resume_for = "retry",
    _failures = 0,
    _failed_since = 0,
    _sent = 0,
    _doubt_since = nil,
    _doubts = 0,
  }, mt)
end

---A single call to the account, a query for instance, was made in addition to the requests paced here.
---@param sent_at number
---@param err campaign.error? nil when it succeeded
function methods:told(sent_at, err)
  if not err then
    self._shared:succeeded(sent_at)
  elseif err.kind == "throttle" then
    self._shared:throttled(sent_at, type(err.retry) == "number" and err.retry or nil)
  end
end

---Maximum number of requests in flight now.
---@return integer
function methods:limit()
  return self._doubt_since and 1 or self._concurrency:limit()
end

---Asks for permission to send one request.
---@return number seconds 0: granted; else how long to wait before asking again
---@return "retry"|"window"|"throttle"|"pace"|nil reason
function methods:take()
  local delay = self._resume_at - self._monotonic()
  if delay > 0 then
    return delay, self._resume_for
  end
  return self._shared:take()
end

---Whether requests may be sent without asking for each, now: there is no pause and no rate limit.
---@return boolean
function methods:is_free()
  local now = self._monotonic()
  return self._resume_at <= now and self._shared:is_free(now)
end

---Whether sending is paused: after a failure, for the platform's hours, or because the platform asked for it.
---@return boolean
function methods:is_paused()
  return self._resume_at > self._monotonic() or self._shared:pause() > 0
end

---@class campaign.import.run.pace.ticket
---@field number integer
---@field at number

---A request is being prepared; the ticket identifies it to `finished`.
---@param in_flight integer with this one
---@return campaign.import.run.pace.ticket
function methods:started(in_flight)
  return self:started_all(1, in_flight)
end

---As `started`, for requests sent together: they share one ticket, since nothing is learned in between.
---@param count integer
---@param in_flight integer with them
---@return campaign.import.run.pace.ticket
function methods:started_all(count, in_flight)
  self._sent = self._sent + count
  self._concurrency:started(in_flight)
  return { number = self._sent, at = self._monotonic() }
end

local function wait(self, seconds, reason)
  self._resume_at, self._resume_for = math.max(self._resume_at, self._monotonic() + seconds), reason
end

local function failed(self, number)
  if number <= self._failed_since then
    return -- it failed together with the one that set the pause
  end
  self._failures, self._failed_since = self._failures + 1, self._sent
  local most = math.min(LONGEST_BACKOFF, FIRST_BACKOFF * 2 ^ math.min(self._failures - 1, 20))
  wait(self, most * self._draw(), "retry")
end

local function doubted(self, number)
  if not self._doubt_since then
    self._doubt_since, self._doubts = self._sent, 0
  end
  if self._doubts == 0 or number > self._doubt_since then
    self._doubts = self._doubts + 1
  end
end

---Learns from the verdict on a request.
---@param ticket campaign.import.run.pace.ticket? what `started` gave; nil when the request could not be made
---@param verdict campaign.verdict
---@param more? { seconds: number?, repeated: boolean? } how long the attempt took; whether the batch was sent before
function methods:finished(ticket, verdict, more)
  local number, now = ticket and ticket.number or 0, self._monotonic()
  local is_good = verdict.verdict == "accepted" or verdict.verdict == "partly"
  local is_pressure = verdict.cause == "no_answer" -- "slow down" is for the calls per second
  if ticket and (is_good or is_pressure) then
    self._concurrency:finished(now, is_good and more and more.seconds or nil, is_pressure)
  end
  if verdict.again == "throttle" then
    self._shared:throttled(ticket and ticket.at or now, verdict.after)
  elseif verdict.again == "soon" then
    failed(self, number)
  elseif verdict.again == "window" then
    wait(self, verdict.after or 0, "window")
  elseif verdict.verdict == "ambiguous" then
    doubted(self, number)
  elseif verdict.verdict ~= "not_applied" then
    self._doubt_since, self._doubts = nil, 0
    self._failures, self._failed_since = 0, 0
    self._shared:succeeded(ticket and ticket.at or now)
    self._quota:refund(more ~= nil and more.repeated == true)
  end
end

---As `finished`, for requests that were accepted.
---@param attempts table[] `ticket`
---@param first integer the first of them
---@param last integer
---@param seconds number that they took together
---@param repeated integer how many were sent before
function methods:passed(attempts, first, last, seconds, repeated)
  local now, count = self._monotonic(), last - first + 1
  local started, latest = 0, 0
  for i = first, last do
    local at = attempts[i].ticket.at
    started = started + at
    if at > latest then
      latest = at
    end
  end
  self._concurrency:finished(now, seconds, false, count)
  self._shared:succeeded(latest, now, count, now - started / count)
  self._quota:refund(false, count - repeated)
  self._quota:refund(true, repeated)
  self._doubt_since, self._doubts, self._failures, self._failed_since = nil, 0, 0, 0
end

---Charges the retry budget for sending a batch again that could not be delivered; false if it is exhausted.
---@param is_timeout boolean
---@return boolean
function methods:may_repeat(is_timeout)
  return self._quota:pay(is_timeout)
end

---True if there were too many ambiguous answers in a row to continue.
---@return boolean
function methods:hopeless()
  return self._doubts >= MOST_DOUBT
end

---Reports once if the account's rate cannot be shared with other processes.
---@param tell fun(text: string)
function methods:warn(tell)
  self._shared:warn(tell)
end

---Releases the account's state.
function methods:close()
  self._shared:close()
end

---The current limit of calls per second; nil if there is none.
---@return number? rate
---@return boolean? is_slowed the platform asked for it
function methods:rate()
  return self._shared:rate()
end

return M

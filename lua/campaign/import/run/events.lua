-- SPDX-License-Identifier: MIT
-- Plan forecasts and progress events of an import, with rate, time left, what it waits for and what slows it down. Reads the parts of a job
-- and modifies none.

local forecast = require "campaign.import.plan.forecast"
local preview = require "campaign.import.plan.preview"

local M = {}

---Adds to a plan's estimate what will not be done before the platform closes: `closes`, `opens`, both also as `_text`, `calls_after`.
---@param state table of the job
---@param plan table with `estimate`, `batches`
function M.foresee(state, plan)
  local window, estimate = state.window, plan.estimate
  if plan.batches == 0 then
    return
  end
  local found = forecast.estimate(window, state.platform.zone_seconds, state.options.env.now(), {
    seconds = estimate.seconds, calls = plan.batches,
  })
  if found.closes then
    estimate.closes, estimate.opens, estimate.calls_after = found.closes, found.opens, found.calls_after
    estimate.closes_text, estimate.opens_text = window:text(found.closes), window:text(found.opens)
  end
end

-- Seconds of work that are left, as far as can be told.
local function seconds_left(state, run, plan, settled, rate, calls_rate)
  local calls = math.max(0, plan.batches - run.batches)
  local rows = plan.rows - settled
  if rows <= 0 then
    return 0, calls
  end
  local seconds
  if rate then
    seconds = rows / rate
  else
    seconds = preview.estimate{
      platform = state.platform, operation = state.operation, account = state.client.account, options = state.options,
      calls = calls, bytes = plan.bytes * rows / math.max(plan.rows, 1), call_seconds = state.call_seconds,
    }.seconds
  end
  return calls_rate and math.max(seconds, calls / calls_rate) or seconds, calls
end

---Something that a person should know: told at once, and in the result.
---@param state table of the job
---@param tell fun(state: table, event: table, force: boolean)
---@param text string
function M.warn(state, tell, text)
  state.warnings = state.warnings or {}
  state.warnings[#state.warnings + 1] = text
  local event = {}
  for key, value in pairs(state.event or { phase = "preflight", rows = 0 }) do
    event[key] = value
  end
  event.note = "warning: " .. text
  tell(state, event, true)
end

---@class campaign.import.event
---@field phase "reading"|"mapping"|"preflight"|"sending"|"waiting"|"finished"
---@field rows integer settled, or in the preflight read
---@field total_rows integer?
---@field bytes number
---@field total_bytes number
---@field batches integer?
---@field total_batches integer?
---@field accepted integer?
---@field rejected integer?
---@field ambiguous integer?
---@field in_flight integer?
---@field limit integer? how many may be in flight now
---@field seconds number since the start
---@field rate number? rows per second of late
---@field left number? seconds to the end
---@field ends number? its instant
---@field calls_per_second number? the limit that is kept
---@field slowed boolean? the platform asked for it
---@field wait_for "window"|"throttle"|"retry"|"probe"|"pace"|"target"|nil
---@field holder string? with wait_for "target": the job that is sending to it
---@field note string? something that a person should be told, once
---@field wait_until number? an instant
---@field closes string? when the platform closes before the end
---@field opens string? when it opens again
---@field calls_after integer? requests that will not be done before it closes

---The event for the present moment of a run.
---@param state table of the job
---@param run table the engine
---@return campaign.import.event
function M.progress(state, run)
  local books, plan, env = state.books, state.plan, state.options.env
  local now, settled = env.now(), books:sum()
  local waiting = run.waiting
  local reason = waiting and waiting.reason
  local is_waiting = waiting ~= nil and run.in_flight == 0 and reason ~= "pace"
  local monotonic = env.monotonic()
  state.meter = state.meter or forecast.meter(monotonic, settled)
  state.meter:look(monotonic, settled, is_waiting and reason == "window")
  local rate = state.meter:rate()
  local calls_rate, is_slowed = state.pace:rate()
  local event = {
    phase = is_waiting and "waiting" or "sending", rows = settled, total_rows = plan.rows,
    bytes = run.bytes, total_bytes = plan.bytes, batches = run.batches, total_batches = plan.batches,
    in_flight = run.in_flight, limit = state.pace:limit(), accepted = books.counts.accepted + books.counts.accepted_pending,
    rejected = books.counts.rejected, ambiguous = books.counts.ambiguous,
    wait_for = reason, wait_until = waiting and now + waiting.seconds,
    rate = rate, calls_per_second = calls_rate, slowed = is_slowed or nil,
    seconds = monotonic - state.began,
  }
  local seconds, calls = seconds_left(state, run, plan, settled, rate, calls_rate)
  local estimate = forecast.estimate(state.window, state.platform.zone_seconds, now, {
    seconds = seconds, calls = calls, wait = waiting and (reason == "throttle" or reason == "retry") and waiting.seconds or nil,
  })
  event.left, event.ends = estimate.seconds, estimate.ends
  event.closes, event.calls_after = estimate.closes and state.window:text(estimate.closes), estimate.calls_after
  if reason == "window" then
    event.opens = state.window:text(event.wait_until)
  elseif estimate.opens then
    event.opens = state.window:text(estimate.opens)
  end
  return event
end

return M

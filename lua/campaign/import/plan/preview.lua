-- SPDX-License-Identifier: MIT
-- Describes the run of a plan: duration at the allowed pace, closed hours on the way, unmappable characters, and the first rows as they
-- would be sent, masked. Uses only the plan; sends nothing.

local core = require "campaign.core"
local forecast = require "campaign.import.plan.forecast"
local human = require "campaign.human"
local redact = require "campaign.api.redact"
local row_tree = require "campaign.api.row_tree"
local rows_module = require "campaign.import.report.rows"
local suppress = require "campaign.import.plan.suppress"
local time = require "campaign.api.time"
local timing = require "campaign.import.run.timing"

local M = {}

-- Assumptions where nothing was measured: seconds from a request to its answer, and bytes per second to the platform.
local CALL_SECONDS, BYTES_PER_SECOND = 0.3, 1048576

-- Rows that are shown.
local SAMPLE = 3

---How long the run takes.
---@param facts table platform, operation, account, options, calls, bytes, call_seconds? (measured)
---@return { seconds: number, in_flight: integer, rate: number?, call_seconds: number, measured: boolean }
function M.estimate(facts)
  local in_flight = timing.in_flight(facts.platform, facts.operation, facts.options)
  local rate = timing.rate(facts.platform, facts.account, facts.options)
  local call = facts.call_seconds or CALL_SECONDS
  local seconds = facts.calls * call / math.max(1, math.min(in_flight, facts.calls)) + facts.bytes / BYTES_PER_SECOND
  if rate then
    seconds = math.max(seconds, (facts.calls - 1) / rate)
  end
  return { seconds = seconds, in_flight = in_flight, rate = rate, call_seconds = call, measured = facts.call_seconds ~= nil }
end

---The closed hours that a run of so many seconds meets, and when it would end.
---@param closed { from_seconds: integer, to_seconds: integer }? the operation's window
---@param now number
---@param seconds number
---@param zone_seconds integer
---@return { from: number, to: number }[] windows instants
---@return number ends
function M.windows(closed, now, seconds, zone_seconds)
  local opens = closed and time.window_end(closed, now, zone_seconds)
  local windows = { opens and { from = now, to = opens } or nil }
  local ends, crossings = forecast.lay({ closed = closed }, now, seconds, zone_seconds, 0)
  for _, crossing in ipairs(crossings) do
    windows[#windows + 1] = { from = crossing.closes, to = crossing.opens }
  end
  return windows, ends
end

-- The first character alone, of a text in UTF-8.
local function first_character(text)
  local byte = text:byte(1) or 0
  return text:sub(1, byte >= 240 and 4 or byte >= 224 and 3 or byte >= 192 and 2 or 1)
end

---A value as it may be shown: a phone number by its ends, other personal data by its first character.
---@param text string
---@param kind "phone"|"personal"|nil
---@return string
function M.masked(text, kind)
  if text == "" or not kind then
    return text
  elseif kind == "phone" then
    return redact.phone((core.rows.key_form("phone", text)))
  end
  local first = first_character(text)
  return first == text and "*" or first .. "**"
end

-- How a field is masked, by the platform's data; columns that only the target names count as personal.
local function kind_of(fields, entry, column)
  local field = fields[entry.name]
  if field then
    if field.redact == "phone" then
      return "phone"
    end
    return field.redact and "personal" or nil
  end
  return suppress.form{ names = { entry.name, column } } == "phone" and "phone" or "personal"
end

---The first rows that would be sent, masked.
---@param input userdata
---@param batch table? the first batch
---@param mapping campaign.mapping
---@param operation table
---@param columns string[] of the list
---@return { row: integer, fields: { name: string, value: string }[] }[]
function M.sample(input, batch, mapping, operation, columns)
  local sample, fields = {}, row_tree.flatten(operation.rows.row and operation.rows.row.fields or {})
  if not batch then
    return sample
  end
  for _, row, values in rows_module.each_sent(input, batch, SAMPLE) do
    local shown = {}
    for _, entry in ipairs(mapping.fields) do
      for _, part in ipairs(entry.items or { entry }) do
        local name = part.id and entry.name .. "." .. part.id or entry.name
        local value = part.constant or part.column and values[part.column] or ""
        if part.mark and value == "" then
          value = part.mark .. ("%d"):format(row)
        elseif not part.constant then
          value = M.masked(value, part.id and "personal" or kind_of(fields, entry, columns[part.column or 0]))
        end
        if value ~= "" then
          shown[#shown + 1] = { name = name, value = value }
        end
      end
    end
    sample[#sample + 1] = { row = row, fields = shown }
  end
  return sample
end

---The characters that the target lacks, most frequent first.
---@param reasons table[] of the books
---@return { code_point: string, character: string, column: string?, count: integer }[]
function M.unmappable(reasons)
  local list = {}
  for _, reason in ipairs(reasons) do
    if reason.cause == "unmappable" and reason.code then
      list[#list + 1] = { code_point = reason.code, character = human.character(reason.code), column = reason.column, count = reason.count }
    end
  end
  return list
end

---Adds to a plan what only concerns a run that has not begun: `estimate`, `windows`, `ends`, `unmappable`, `sample`,
---and `asked`: the operation that was called for the target's columns.
---@param plan table
---@param facts table platform, operation, account, options, input, mapping, columns, first_batch?, call_seconds?
function M.add(plan, facts)
  local options, zone = facts.options, facts.platform.zone_seconds
  plan.estimate = M.estimate{ platform = facts.platform, operation = facts.operation, account = facts.account, options = options,
    calls = plan.batches, bytes = plan.bytes, call_seconds = facts.call_seconds }
  local closed = options.window ~= "ignore" and facts.operation.closed or nil
  local windows, ends = M.windows(closed, options.env.now(), plan.batches > 0 and plan.estimate.seconds or 0, zone)
  if plan.batches == 0 then
    windows = {}
  end
  for i, window in ipairs(windows) do
    windows[i] = { from = time.format_datetime(window.from, zone), to = time.format_datetime(window.to, zone) }
  end
  plan.windows, plan.ends, plan.zone = windows, time.format_datetime(ends, zone), facts.platform.zone
  local from = facts.operation.rows.columns_from
  plan.asked = from and facts.platform.name .. "." .. from.operation or nil
  plan.unmappable = M.unmappable(plan.reasons)
  plan.sample = M.sample(facts.input, facts.first_batch, facts.mapping, facts.operation, facts.columns)
end

return M

-- SPDX-License-Identifier: MIT
-- The result of an import as text for people: rows by state with reasons, durations, and the paths of the row files.

local accounting = require "campaign.import.report.accounting"
local human = require "campaign.human"

local M = {}

local MOST_REASONS = 12 -- per state; the row files have them all
local MOST_CODES = 4

---The states of rows in words.
M.WORDS = {
  accepted = "accepted", accepted_pending = "accepted, the platform's result is still to come", rejected = "rejected", duplicate = "duplicate",
  suppressed = "suppressed", unchanged = "unchanged since the earlier job", ambiguous = "ambiguous: may or may not have arrived",
  pending = "provably not sent",
}

local FILES = {
  { "rejects_file", "rejected rows" }, { "duplicates_file", "duplicate rows" }, { "suppressed_file", "suppressed rows" },
  { "unchanged_file", "unchanged rows" }, { "ambiguous_file", "ambiguous rows" },
  { "not_sent_file", "rows not sent" }, { "possibly_duplicated_file", "rows sent again by order, possibly there twice" },
}

-- Reasons of one state with the codes of the same column and reason combined, most frequent first.
local function grouped(reasons, state)
  local groups = {}
  for _, reason in ipairs(reasons) do
    if reason.state == state then
      local text = table.concat({ reason.column or "", reason.reason or "" }, " "):gsub("^ ", "")
      if text == "" then
        text = (reason.cause or ""):gsub("_", " ") -- no column is to blame: the outcome of the request
      end
      local group = groups[text]
      if not group then
        group = { text = text, count = 0, codes = {}, order = #groups + 1 }
        groups[text] = group
        groups[#groups + 1] = text ~= "" and group or nil -- rows that were never tried have no reason
      end
      group.count = group.count + reason.count
      if reason.code ~= nil and reason.code ~= "" then
        group.codes[#group.codes + 1] = tostring(reason.code)
      end
    end
  end
  table.sort(groups, function(left, right)
    if left.count ~= right.count then
      return left.count > right.count
    end
    return left.order < right.order
  end)
  return groups
end

local function group_text(group)
  local codes = group.codes
  if #codes == 0 then
    return group.text
  end
  local shown = table.concat(codes, ", ", 1, math.min(#codes, MOST_CODES))
  return group.text .. " (" .. shown .. (#codes > MOST_CODES and ", and " .. (#codes - MOST_CODES) .. " more" or "") .. ")"
end

-- The lines under one state: its most frequent reasons.
local function add_reasons(lines, reasons, state)
  local groups, more = grouped(reasons, state), 0
  local width = groups[1] and #human.count(groups[1].count) or 0
  for index, group in ipairs(groups) do
    if index <= MOST_REASONS then
      local count = human.count(group.count)
      lines[#lines + 1] = { "", string.rep(" ", width - #count) .. count .. "  " .. group_text(group) }
    else
      more = more + group.count
    end
  end
  if more > 0 then
    lines[#lines + 1] = { "", human.count(more) .. "  for other reasons" }
  end
end

-- Lines of { count, text }, with aligned counts.
local function laid_out(head, lines)
  local width = 0
  for _, line in ipairs(lines) do
    width = math.max(width, #line[1])
  end
  local out = { head }
  for _, line in ipairs(lines) do
    local lead = line[1] == "" and width + 4 or width - #line[1] + 2
    out[#out + 1] = string.rep(" ", lead) .. line[1] .. (line[1] == "" and "" or "  ") .. line[2]
  end
  return out
end

local function requests(count)
  return count == 1 and "request" or "requests"
end

---What is about to be sent, in one line.
---@param plan table of a job
---@return string
function M.intent(plan)
  local left_out = {}
  for _, state in ipairs(accounting.LEFT_OUT) do
    if (plan[state] or 0) > 0 then
      left_out[#left_out + 1] = human.count(plan[state]) .. " " .. state
    end
  end
  local seconds, tail = plan.estimate.seconds, #left_out > 0 and "; left out: " .. table.concat(left_out, ", ") or ""
  if plan.sendable == 0 then
    return ("none of %s rows will be sent%s"):format(human.count(plan.rows), tail)
  end
  return ("%s of %s rows go in %s %s, %s%s"):format(human.count(plan.sendable), human.count(plan.rows), human.count(plan.calls),
    requests(plan.calls), seconds < 1 and "less than a second" or "about " .. human.duration(seconds), tail)
end

---A result as a few lines of text, without a final line end.
---@param result table of campaign.import or job:run
---@return string
function M.text(result)
  local lines = { { human.count(result.rows), "rows" } }
  for _, state in ipairs(accounting.STATES) do
    local count = result[state] or 0
    if count > 0 then
      lines[#lines + 1] = { human.count(count), M.WORDS[state] }
      if state ~= "accepted" and state ~= "accepted_pending" then
        add_reasons(lines, result.reasons or {}, state)
      end
    end
  end
  local out = laid_out(result.state, lines)
  out[#out + 1] = ("  %s %s, %s, %.1f s"):format(human.count(result.requests or 0), requests(result.requests),
    human.bytes(result.bytes or 0), result.seconds or 0)
  for _, file in ipairs(FILES) do
    if result[file[1]] then
      out[#out + 1] = "  " .. file[2] .. ": " .. result[file[1]]
    end
  end
  return table.concat(out, "\n")
end

local MOST_CHARACTERS = 10

local function characters(list)
  local parts = {}
  for i, entry in ipairs(list) do
    if i > MOST_CHARACTERS then
      parts[i] = ("and %d more"):format(#list - MOST_CHARACTERS)
      break
    end
    parts[i] = ("%s %s in %s (%s)"):format(entry.character, entry.code_point, entry.column or "?", human.count(entry.count))
  end
  return table.concat(parts, ", ")
end

local function sample_line(row)
  local parts = {}
  for i, field in ipairs(row.fields) do
    parts[i] = field.name .. "=" .. field.value
  end
  return ("  row %d: %s"):format(row.row, table.concat(parts, ", "))
end

local function add_lists(out, lists)
  for _, list in ipairs(lists or {}) do
    local more = {}
    for _, name in ipairs({ "empty", "repeated", "unusual" }) do
      if list[name] > 0 then
        more[#more + 1] = human.count(list[name]) .. " " .. name
      end
    end
    out[#out + 1] = ("  %s: %s %s, compared with %s as %s%s"):format(list.label, human.count(list.keys),
      list.keys == 1 and "key" or "keys", list.field, list.form, #more > 0 and "; of its rows " .. table.concat(more, ", ") or "")
  end
end

local function how_long(plan, estimate)
  return (", about %s (%.2g s a call%s, %d in flight%s), until %s (%s)"):format(
    human.duration(math.max(1, estimate.seconds)), estimate.call_seconds, estimate.measured and "" or " assumed", estimate.in_flight,
    estimate.rate and (", at most %g calls/s"):format(estimate.rate) or "", plan.ends, plan.zone)
end

---The part of a plan that will not be done before the platform closes, as text; nil if all of it will.
---@param plan table the field `plan` of a job
---@return string?
function M.crossing(plan)
  local estimate = plan.estimate
  if not (estimate and estimate.closes) then
    return nil
  end
  return ("%s of %s %s will not be done before the platform closes at %s; it opens again at %s"):format(human.count(estimate.calls_after),
    human.count(plan.calls), requests(plan.calls), estimate.closes_text, estimate.opens_text)
end

---A plan as a few lines of text: what would be sent.
---@param plan table the field `plan` of a job
---@return string
function M.plan(plan)
  local lines = { { human.count(plan.rows), "rows (" .. plan.encoding .. ")" } }
  for _, state in ipairs(accounting.LEFT_OUT) do
    if plan[state] > 0 then
      lines[#lines + 1] = { human.count(plan[state]), "would be " .. (state == "duplicate" and "left out as duplicates"
        or state == "unchanged" and "left out as unchanged" or state) }
      if state == "rejected" or state == "suppressed" then
        add_reasons(lines, plan.reasons, state)
      end
    end
  end
  lines[#lines + 1] = { human.count(plan.sendable), "would be sent" }
  local out = laid_out("planned, nothing was sent", lines)
  out[#out + 1] = ("  %s %s, %s%s"):format(human.count(plan.calls), requests(plan.calls), human.bytes(plan.bytes),
    plan.calls > 0 and how_long(plan, plan.estimate) or "")
  add_lists(out, plan.suppress)
  if #plan.unmappable > 0 then
    out[#out + 1] = "  characters that the target lacks: " .. characters(plan.unmappable)
  end
  if #plan.unused > 0 then
    out[#out + 1] = "  unused columns: " .. table.concat(plan.unused, ", ")
  end
  for _, note in ipairs(plan.notes or {}) do
    out[#out + 1] = "  note: " .. note
  end
  if plan.closed_for > 0 then
    out[#out + 1] = "  the platform is closed for another " .. human.duration(plan.closed_for)
  end
  for i, window in ipairs(plan.windows) do
    if i > 1 or plan.closed_for == 0 then
      out[#out + 1] = ("  the run would meet closed hours: %s to %s"):format(window.from, window.to)
    end
  end
  local crossing = M.crossing(plan)
  out[#out + 1] = crossing and "  " .. crossing
  if plan.asked then
    out[#out + 1] = "  the platform was asked for the columns of the target (" .. plan.asked .. "); nothing of the list left this machine"
  end
  for i, row in ipairs(plan.sample) do
    out[#out + 1] = (i == 1 and "  the first rows, masked:\n  " or "  ") .. sample_line(row)
  end
  return table.concat(out, "\n")
end

---A file of members as a few lines of text.
---@param file campaign.members.file
---@return string
function M.members(file)
  local lines = { { human.count(file.rows), "rows (" .. file.encoding .. ")" }, { human.count(file.written), "members" } }
  for _, state in ipairs({ "rejected", "duplicate" }) do
    if file[state] > 0 then
      lines[#lines + 1] = { human.count(file[state]), state }
      add_reasons(lines, file.reasons, state)
    end
  end
  local out = laid_out("written", lines)
  for _, part in ipairs(file.files) do
    out[#out + 1] = "  " .. part.path .. ": " .. human.count(part.rows) .. " rows, " .. human.bytes(part.bytes)
  end
  out[#out + 1] = "  columns: " .. table.concat(file.columns, ", ")
  if #file.unused > 0 then
    out[#out + 1] = "  unused columns of the list: " .. table.concat(file.unused, ", ")
  end
  for _, name in ipairs(FILES) do
    if file[name[1]] then
      out[#out + 1] = "  " .. name[2] .. ": " .. file[name[1]]
    end
  end
  return table.concat(out, "\n")
end

return M

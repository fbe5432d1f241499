-- SPDX-License-Identifier: MIT
-- The result of an import as text for people: rows by state with the reasons, what it took, and where the row files lie.

local human = require "campaign.human"

local M = {}

local MOST_REASONS = 12 -- of one state; the row files have them all

local STATES = {
  { "accepted", "accepted" }, { "accepted_pending", "accepted, the platform's result is still to come" },
  { "rejected", "rejected" }, { "duplicate", "duplicate" }, { "suppressed", "suppressed" },
  { "ambiguous", "ambiguous: may or may not have arrived" }, { "pending", "provably not sent" },
}

local FILES = {
  { "rejects_file", "rejected rows" }, { "ambiguous_file", "ambiguous rows" }, { "not_sent_file", "rows not sent" },
}

local function reason_text(reason)
  local parts = {}
  for _, key in ipairs{ "column", "reason", "code" } do
    if reason[key] ~= nil and reason[key] ~= "" then
      parts[#parts + 1] = tostring(reason[key])
    end
  end
  return table.concat(parts, " ")
end

-- The lines under one state: its most frequent reasons.
local function add_reasons(lines, reasons, state)
  local shown, more = 0, 0
  for _, reason in ipairs(reasons) do
    if reason.state == state then
      if shown < MOST_REASONS then
        lines[#lines + 1] = { "", human.count(reason.count) .. "  " .. reason_text(reason) }
        shown = shown + 1
      else
        more = more + reason.count
      end
    end
  end
  if more > 0 then
    lines[#lines + 1] = { "", human.count(more) .. "  for other reasons" }
  end
end

---A result as a few lines of text, without a line end at its end.
---@param result table of campaign.import or job:run
---@return string
function M.text(result)
  local lines = { { human.count(result.rows), "rows" } }
  for _, state in ipairs(STATES) do
    local count = result[state[1]] or 0
    if count > 0 then
      lines[#lines + 1] = { human.count(count), state[2] }
      if state[1] ~= "accepted" and state[1] ~= "accepted_pending" then
        add_reasons(lines, result.reasons or {}, state[1])
      end
    end
  end
  local width = 0
  for _, line in ipairs(lines) do
    width = math.max(width, #line[1])
  end
  local out = { result.state }
  for _, line in ipairs(lines) do
    local lead = line[1] == "" and width + 4 or width - #line[1] + 2
    out[#out + 1] = string.rep(" ", lead) .. line[1] .. (line[1] == "" and "" or "  ") .. line[2]
  end
  out[#out + 1] = ("  %s %s, %s, %.1f s"):format(human.count(result.requests or 0), result.requests == 1 and "request" or "requests",
    human.bytes(result.bytes or 0), result.seconds or 0)
  for _, file in ipairs(FILES) do
    if result[file[1]] then
      out[#out + 1] = "  " .. file[2] .. ": " .. result[file[1]]
    end
  end
  return table.concat(out, "\n")
end

return M

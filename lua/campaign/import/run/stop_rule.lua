-- SPDX-License-Identifier: MIT
-- Stops a run when the platform refuses too many rows: `max_reject = "5%"` of the rows decided, or a number of rows. Parses the rule and
-- compares it with the accounting; the engine ends the run.

local error_object = require "campaign.error"
local human = require "campaign.human"

local M = {}

-- A share is compared once this many rows are decided, or earlier if it is exceeded whatever becomes of the rest.
M.SAMPLE = 1000

---Reads a rule. "none" switches an earlier one off.
---@param given string|number "5%", "0.5%", "none" or a number of rows
---@return { share: number?, rows: integer?, text: string }? rule
---@return string? why
function M.read(given)
  local text = type(given) == "string" and given or nil
  local percent = text and tonumber(text:match("^([%d.]+)%%$"))
  if percent and percent >= 0 and percent < 100 then
    return { share = percent / 100, text = text }
  end
  local rows = type(given) == "number" and given or text and text:match("^%d+$") and tonumber(text)
  if rows and rows >= 0 and rows == math.floor(rows) and rows < 1e15 then
    return { rows = rows, text = ("%d"):format(rows) }
  elseif given == "none" then
    return { text = "none" }
  end
  return nil, "must be a share of the rows that were sent (\"5%\", below 100%), a whole number of rows, or \"none\""
end

---Compares the rule with what the platform has decided so far.
---@param rule table of `read`
---@param books campaign.books
---@param sendable integer rows that the plan sends in all
---@return campaign.error? err when the run must end
function M.check(rule, books, sendable)
  local rejected = books.causes.platform
  local decided = books.counts.accepted + books.counts.accepted_pending + rejected
  local is_over
  if rule.rows then
    is_over = rejected > rule.rows
  elseif rule.share then
    is_over = rejected > rule.share * decided and (decided >= M.SAMPLE or rejected > rule.share * sendable)
  end
  if not is_over then
    return nil
  end
  return error_object.new{
    kind = "platform", reason = "max_reject", retry = false,
    message = ("%s of %s rows were refused by the platform (%.1f %%), more than max_reject = %s allows: the rest is not sent"):format(
      human.count(rejected), human.count(decided), 100 * rejected / decided, rule.text),
    hint = "look at the reasons in rejects.csv; continue with campaign resume JOB --max-reject and a higher figure, or none",
  }
end

return M

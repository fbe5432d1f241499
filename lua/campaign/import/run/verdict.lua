-- SPDX-License-Identifier: MIT
-- What an attempt means for its rows: one pure function of the platform's data, the evidence of the transfer and the reply. Whatever is not
-- proved is ambiguous. Sends nothing, waits for nothing, knows no clock; the engine acts on the result.

local refused_rows = require "campaign.import.report.refused"

local M = {}

-- HTTP's own meaning: the request was understood well enough to be refused before it was acted on. The only statuses that are
-- read without the platform's data saying so.
local CREDENTIALS = { [401] = true, [403] = true }
local CALL_REFUSED = { [404] = true, [413] = true, [415] = true }

-- Longest wait that a Retry-After may ask for, in seconds.
local LONGEST_WAIT = 3600

-- Cache of parsed paths: the platforms' data have some dozens.
local steps_of = {}

local function at(value, path)
  local steps = steps_of[path]
  if not steps then
    steps = {}
    for key in path:gmatch("[^.]+") do
      steps[#steps + 1] = key
    end
    steps_of[path] = steps
  end
  for i = 1, #steps do
    if type(value) ~= "table" then
      return nil
    end
    value = value[steps[i]]
  end
  -- JSON null is a light userdata, which counts as absent.
  local kind = type(value)
  if kind == "string" or kind == "number" or kind == "boolean" or kind == "table" then
    return value
  end
  return nil
end

local function same(left, right)
  -- "%.0f", since %d raises for numbers that no integer can represent, which any answer may contain.
  if type(left) == "number" and left == math.floor(left) then
    left = string.format("%.0f", left)
  end
  if type(right) == "number" and right == math.floor(right) then
    right = string.format("%.0f", right)
  end
  return tostring(left) == tostring(right)
end

local function contains(list, value)
  for _, item in ipairs(list or {}) do
    if same(item, value) then
      return true
    end
  end
  return false
end

-- True if one of the platform's conditions matches this answer: `{ status = {...} }`, `{ path =, is = {...} }`.
local function any_condition(conditions, evidence, err)
  for _, condition in ipairs(conditions or {}) do
    local holds = condition.status ~= nil or condition.path ~= nil
    if condition.status and not contains(condition.status, evidence.status) then
      holds = false
    end
    if condition.path then
      local value = at(evidence.body, condition.path)
      if value == nil and (condition.path == "code" or condition.path == "errorCode") then
        value = err.code
      end
      holds = holds and value ~= nil and contains(condition.is, value)
    end
    if holds then
      return true
    end
  end
  return false
end

local function refusal_of(operation, code)
  if code == nil then
    return nil
  end
  for _, refusal in ipairs(operation.refusals or {}) do
    if same(refusal.code, code) then
      return refusal
    end
  end
  return nil
end

-- Seconds to wait, from a Retry-After that the transport or the parser has read; nil for absurd values.
local function wait_of(evidence, err)
  local after = evidence.retry_after
  if after == nil and type(err.retry) == "number" then
    after = err.retry
  end
  if type(after) ~= "number" or after ~= after or after < 0 then
    return nil
  end
  return math.min(after, LONGEST_WAIT)
end

local function answer(verdict, cause, more)
  more = more or {}
  more.verdict, more.cause = verdict, cause
  return more
end

-- The verdict on a request without a complete answer.
local function without_answer(operation, evidence, err)
  if evidence.guard then
    return answer("ambiguous", "resend_stopped")
  end
  local cancelled = err.kind == "cancelled"
  local transport = err.kind == "network" or err.kind == "timeout" or err.kind == "tls"
  if evidence.sent == "no" and not evidence.status and (evidence.bytes_sent or 0) == 0 then
    if transport then
      return answer("not_applied", "not_sent", { again = "soon" })
    end
    return answer("not_applied", cancelled and "cancelled" or "not_sent", { stop = true })
  end
  local cut = evidence.bytes_sent and evidence.body_bytes and evidence.bytes_sent < evidence.body_bytes
    and not evidence.status
  if cut and (operation.body == "json" or operation.body == "array") then
    -- A truncated JSON text cannot be parsed.
    if transport then
      return answer("not_applied", "cut_short", { again = "soon" })
    end
    return answer("not_applied", "cut_short", { stop = true })
  end
  return answer("ambiguous", cancelled and "cancelled" or evidence.status and "cut_answer" or "no_answer")
end

-- The verdict on a complete answer that is not a success.
local function refused(platform, operation, evidence, err)
  local status = evidence.status
  local refusal = refusal_of(operation, err.code)
  if refusal and refusal.applied == "maybe" then
    -- The platform's data takes precedence over HTTP's meaning of the status.
    return answer("ambiguous", "server_error")
  end
  if status == 429 or err.kind == "throttle" or any_condition(platform.throttle, evidence, err) then
    return answer("not_applied", "throttled", { again = "throttle", after = wait_of(evidence, err) })
  end
  local is_refused_token = status == 401 or err.reason == "token_expired"
  if is_refused_token and operation.tokens and err.retry ~= false then
    -- An expired access token: the client renews it if it can, once for all requests in flight (F18).
    return answer("not_applied", "credentials", { again = "token" })
  end
  if CREDENTIALS[status] or is_refused_token then
    return answer("not_applied", "credentials", { stop = true })
  end
  if CALL_REFUSED[status] then
    return answer("not_applied", "call_refused", { stop = true })
  end
  local declared = any_condition(platform.not_applied, evidence, err)
    or any_condition(operation.not_applied, evidence, err)
    or err.sent == "no" -- the parser has matched the body against the same data
  if not declared and (status == 408 or status >= 500) then
    return answer("ambiguous", "server_error")
  end
  if status >= 300 and status < 400 then
    return answer("ambiguous", "redirected", { stop = true })
  end
  if status < 300 and err.kind == "response" then
    return answer("ambiguous", "bad_answer")
  end
  if refusal then
    if refusal.kind == "auth" then
      return answer("not_applied", "credentials", { stop = true })
    elseif refusal.kind == "window" then
      return answer("not_applied", "window", { again = "window" })
    elseif refusal.reason ~= "bad_parameter" then
      -- The call as a whole was refused (no such target, overwriting not allowed): its rows are not to blame.
      return answer("not_applied", "call_refused", { stop = true, reason = refusal.reason })
    end
    return answer("rejected", "refused", { reason = refusal.reason })
  end
  if declared then
    return answer("rejected", "refused")
  end
  return answer("ambiguous", "unknown_code")
end

local function is_count(value)
  return type(value) == "number" and value >= 0 and value < 2 ^ 53 and value == math.floor(value)
end

-- The part of the story that `status` tells: all, some, none or pending; false for a status of which the platform's data says nothing.
local function told_by(result, status)
  for told, statuses in pairs({ all = result.success_status, some = result.partly_status, none = result.failed_status,
    pending = result.pending_status }) do
    if contains(statuses, status) then
      return told
    end
  end
  return false
end

-- The verdict on a success that tells what became of its rows: counts, a list of the refused ones, a status, or several of these, which must be
-- consistent (F13, F14). Without counts, the number of refused rows is that of the list, which must then be present.
local function counted(result, rows, reply)
  local how = result.failed_rows
  local status = result.status and at(reply, result.status)
  local told = result.status and told_by(result, status)
  local failed = how and at(reply, how.list)
  local is_listed = failed ~= nil
  failed = failed == nil and {} or failed
  local listed, odd = 0, nil
  if is_listed and type(failed) == "table" then
    listed, odd = refused_rows.count(how, failed, rows)
  end
  local good, bad
  if result.success_count then
    good, bad = at(reply, result.success_count), at(reply, result.fail_count)
  elseif is_listed then
    good, bad = rows - listed, listed
  elseif not how and (told == "all" or told == "none") then
    good, bad = told == "all" and rows or 0, told == "none" and rows or 0
  end
  local function disagree(why)
    return answer("ambiguous", "counts_disagree", { detail = ("%s accepted and %s failed of %d rows, %d rows listed%s%s"):format(
      tostring(good), tostring(bad), rows, listed, status ~= nil and ", status " .. tostring(status) or "", why and "; " .. why or "") })
  end
  if told == "pending" and not result.success_count and not is_listed then
    return answer("accepted", "pending", { pending = true })
  end
  if not is_count(good) or not is_count(bad) or type(failed) ~= "table" or #failed == 0 and next(failed) ~= nil or odd then
    return disagree(odd)
  end
  if told == "pending" then
    -- Results may still be to come; but what is reported already must be possible, and a row that failed is not pending.
    if good > rows or bad > 0 or listed > 0 then
      return disagree()
    end
    return answer("accepted", "pending", { pending = true })
  end
  local counts = bad == 0 and "all" or good == 0 and "none" or "some"
  if good + bad ~= rows or result.status and told ~= counts or listed > 0 and listed ~= bad then
    return disagree()
  end
  local message = result.message and at(reply, result.message)
  if counts == "all" then
    return answer("accepted", "success")
  elseif counts == "none" and (listed == 0 or not refused_rows.is_each(how)) then
    return answer("rejected", "refused", { message = message, by_row = true })
  elseif listed == 0 then
    return disagree()
  end
  local refusals, why = refused_rows.read(how, failed, rows)
  if not refusals then
    return disagree(why)
  end
  return answer("partly", "success", { message = message, failed = refusals })
end

local NOTHING = {}

-- Bytes of a receipt. One is kept with every attempt, twice; a platform must not fill the disk with them.
local MOST_RECEIPT = 1024

-- Whether later results can be joined to a receipt.
local function is_receipt(value)
  return type(value) == "number" or type(value) == "string" and value ~= "" and #value <= MOST_RECEIPT and not value:find("[%z\1-\31\127]")
end

---The verdict on a reply that the parser took as a success, if it is the complete answer to a request that was sent once.
---@param operation table the operation that was called
---@param rows integer rows the request carried
---@param reply table
---@return campaign.verdict
function M.success(operation, rows, reply)
  local result = operation.rows.result or NOTHING
  if result.success_count or result.failed_rows or result.status then
    return counted(result, rows, reply)
  end
  local receipt = result.id and at(reply, result.id)
  if result.id and not is_receipt(receipt) then
    return answer("ambiguous", "bad_answer")
  end
  return { verdict = "accepted", cause = "success", pending = result.accepted == "pending", receipt = receipt or nil }
end

---@class campaign.evidence
---@field sent "no"|"maybe"|"yes"
---@field guard boolean? a hidden re-send was stopped: outranks the counts
---@field status integer? HTTP status, nil when no status line came
---@field rows integer rows the request carried
---@field bytes_sent integer? bytes of the body that left
---@field body_bytes integer? bytes the body has
---@field retry_after number? seconds
---@field body table? the decoded answer, where there is one

---@class campaign.verdict
---@field verdict "accepted"|"partly"|"rejected"|"not_applied"|"ambiguous"
---@field cause string why, one word
---@field again "soon"|"throttle"|"window"|"token"|nil how the same batch may be sent again
---@field after number? seconds that the platform asks to wait
---@field stop boolean? no further batch can do better
---@field pending boolean? accepted, the result comes later
---@field receipt string? the platform's number for this batch
---@field failed campaign.import.refusal[]? what the platform says of the rows that it refused
---@field message string? the platform's words for them
---@field reason string? the named refusal
---@field by_row boolean? rejected, and the platform looked at every row
---@field detail string? evidence in words

---Decides what an attempt did.
---@param platform table a loaded platform
---@param operation table the operation that was called
---@param evidence campaign.evidence
---@param reply table? a reply that the parser took as a success
---@param err campaign.error? what else it was
---@return campaign.verdict
function M.decide(platform, operation, evidence, reply, err)
  if evidence.guard or evidence.sent ~= "yes" or evidence.status == nil then
    return without_answer(operation, evidence, err or {})
  end
  if reply ~= nil then
    return M.success(operation, evidence.rows, reply)
  end
  return refused(platform, operation, evidence, err or {})
end

return M

-- SPDX-License-Identifier: MIT
-- Keys by which a platform recognises the repeat of a call (`Idempotency-Key`, `requestId`): another for each call, the same for its repeats. A batch's
-- key is derived from its job, so that it is the same in any process that sends the batch again. Pure: random bytes are passed in.

local core = require "campaign.core"
local merged = require "campaign.merged"

local M = {}

local FORMS = {}

function FORMS.hex(digits)
  return digits
end

-- With the digits that say "random" in RFC 4122.
function FORMS.uuid(digits)
  return ("%s-%s-4%s-8%s-%s"):format(digits:sub(1, 8), digits:sub(9, 12), digits:sub(14, 16), digits:sub(18, 20), digits:sub(21, 32))
end

local function written(operation, digits)
  return FORMS[operation.call_key.call_key](digits)
end

---How long a key is in each form.
M.LENGTHS = { hex = 32, uuid = 36 }

---A call's fields with its key; those of an operation without one, or that have it already, as they are.
---@param operation campaign.operation
---@param fields table?
---@param random fun(n: integer): string
---@return table? fields
function M.with_random(operation, fields, random)
  local field = operation.call_key
  if not field or fields and fields[field.name] ~= nil then
    return fields
  end
  return merged(fields or {}, { [field.name] = written(operation, core.digest.hex(random(16))) })
end

---The fields of all calls of an import, with a key that is none, as long as the keys are.
---@param operation campaign.operation
---@param fields table
---@return table
function M.with_place(operation, fields)
  return operation.call_key and merged(fields, { [operation.call_key.name] = written(operation, ("0"):rep(32)) }) or fields
end

---The fields of the call that sends a batch.
---@param operation campaign.operation
---@param fields table of all calls
---@param job string id
---@param batch table
---@return table fields
---@return string key
function M.with_batch(operation, fields, job, batch)
  local key = written(operation, core.digest.sha256(("%s/%d/%s"):format(job, batch.index, batch.hash)):sub(1, 32))
  return merged(fields, { [operation.call_key.name] = key }), key
end

---Whether the key stands in the same text as the rows, which is then made whole before it is sent.
---@param operation campaign.operation
---@return boolean
function M.is_beside_rows(operation)
  local is_apart = operation.rows.shape == "csv" or operation.rows.is_call
  local where = operation.call_key and not is_apart and operation.call_key.where
  return where == "json" or where == "form"
end

---Puts a key where `with_place` left room for it.
---@param text string the body
---@param prefix string what stands before its rows
---@param suffix string what stands after them
---@param operation campaign.operation
---@param key string
---@return string
function M.put(text, prefix, suffix, operation, key)
  local place = written(operation, ("0"):rep(32))
  local at = prefix:find(place, 1, true)
  if not at then
    at = #text - #suffix + assert(suffix:find(place, 1, true), "the key has no place")
  end
  return text:sub(1, at - 1) .. key .. text:sub(at + #key)
end

return M

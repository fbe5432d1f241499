-- SPDX-License-Identifier: MIT
-- Makes the request of one batch: its body from the rows as they are now, compared with the plan, inside the call, which is checked and
-- built for the first batch only.

local call_key = require "campaign.api.call_key"
local error_object = require "campaign.error"
local json = require "campaign.json"
local merged = require "campaign.merged"
local sign = require "campaign.api.sign"
local target = require "campaign.import.target"

local M = {}

-- Time limit of a request in seconds, plus one second for this many bytes of its body.
local REQUEST_SECONDS, BYTES_PER_SECOND = 60, 262144

local function changed(batch, how, cause)
  return error_object.new{
    kind = "ledger", reason = "changed", retry = false, sent = "no", cause = cause,
    message = ("the list %s: batch %d (row %d on) was not sent"):format(how, batch.index, batch.first_row),
    hint = "restore the list and resume the job, or import the changed one as a new job, with `since` for what is new in it",
  }
end

-- The call of a row that is one: its fields, and those that all rows share.
local function call_of(text, fields)
  local row, err = json.decode(text, { bytes = #text + 1 })
  return row and merged(row, fields), err
end

---Builds the request of a batch. Everything that can fail on this machine fails here: reading its rows, comparing them with the plan, encoding, the
---access token.
---@param state table input, encoder, operation, options, client, barrier; passed: this run has read the whole list; like, like_fields: the
---earlier request and its fields, kept here
---@param batch table
---@return table? request the client finishes it
---@return campaign.error? err
function M.of(state, batch)
  local options, operation = state.options, state.operation
  local source, sum, err
  local is_call = operation.rows.is_call
  if is_call or sign.covers_body(operation) or call_key.is_beside_rows(operation) then
    source, err = state.encoder:text(state.input, batch) -- the whole body is checked before its first byte is sent
  else
    source, sum = state.encoder:source(state.input, batch)
    err = not source and sum or nil
  end
  if type(source) == "userdata" and not sum and state.passed and state.input:untouched() then
    sum = batch.hash -- encoded while it is sent, from a file unchanged since this run's pass; the source compares once more before the last byte
  elseif not source or not sum then -- a body encoded while it is sent, or one that could not be built, perhaps because the range has changed
    local sum_err
    sum, sum_err = state.input:checksum(batch)
    err = not sum and sum_err or err
  end
  if sum and sum ~= batch.hash then
    err = changed(batch, "has changed since it was planned")
  elseif err and not state.input:untouched() then -- the reason why it cannot be read as before
    err = changed(batch, "was changed while it was imported", err)
  end
  if err then
    if type(source) == "userdata" then
      source:close()
    end
    return nil, err
  end
  local fields, key = target.fields(operation, options, state.barrier:is_closed()), nil
  if operation.call_key then
    fields, key = call_key.with_batch(operation, fields, state.id, batch)
  end
  if is_call then
    fields, err = call_of(source, fields)
    if not fields then
      return nil, err
    end
    source = nil
  elseif call_key.is_beside_rows(operation) then
    local prefix, suffix = state.client:envelope(operation.name, call_key.with_place(operation, options.params))
    source = call_key.put(source, assert(prefix, suffix), suffix, operation, key)
  end
  local timeout = REQUEST_SECONDS + batch.body_bytes / BYTES_PER_SECOND
  local request
  if fields == state.like_fields then
    -- Only the rows differ from call to call: what was checked and built for the first one serves the others.
    request, err = state.client:again(state.like, source, timeout)
    if request or err then
      return request, err
    end
  end
  request, err = state.client:prepare(operation.name, fields, {
    like = fields == state.like_fields and state.like or nil,
    rows = source, window = options.window == "ignore" and "ignore" or "refuse", accept_public_file = options.accept_public_file,
    timeout = timeout,
  })
  if request then
    state.like, state.like_fields = request, fields
  end
  return request, err
end

return M

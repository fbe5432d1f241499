-- SPDX-License-Identifier: MIT
-- The pass over the whole file before anything is sent: drives the core's pass, accounts for refused rows, and writes the plan. Single
-- values are judged by the core, using the description from import/plan/mapping.lua.

local core = require "campaign.core"
local error_object = require "campaign.error"
local edited_files = require "campaign.import.report.edited_files"
local row_fields = require "campaign.import.plan.row_fields"

local M = {}

-- Largest body of one call that is no file. Files have no such limit.
local MOST_CALL_BYTES = 8388608

---The encoder for a mapping.
---@param operation table
---@param mapping campaign.mapping
---@param envelope { prefix: string, suffix: string, separator: string }? around and between the rows of a call that is no file
---@param map table<string, string>? the user's replacements
---@return userdata? encoder
---@return campaign.error? err
function M.encoder(operation, mapping, envelope, map)
  local rows = operation.rows
  local description = { columns = mapping.width, fields = row_fields.nested(mapping.fields), checks = mapping.checks,
    demands = mapping.demands, map = map }
  if rows.shape == "csv" then
    description.format = "csv"
    description.encoding = rows.file.encoding
    description.line_end = rows.file.line_end
    description.header = rows.file.header and mapping.header or nil
    description.bom = rows.file.bom
  else
    local is_form = operation.body == "form" and not rows.is_call
    local is_piece = rows.shape == "value" and (is_form or rows.join ~= nil)
    description.format = is_form and "form" or "json"
    description.row = is_piece and "piece" or rows.shape
    description.prefix, description.suffix, description.separator = envelope.prefix, envelope.suffix, envelope.separator
  end
  return core.rows.encoder(description)
end

-- Bytes per step where other work shares the thread: well under a millisecond.
local SHORT_STEP = 32768

local function write_plan(plan, work, batches)
  local rows, bytes, count = 0, 0, #batches
  for i = 1, count do
    local batch = batches[i]
    if not batch.hash then -- the pass does not compute it for UTF-16
      local err
      batch.hash, err = work.input:checksum(batch)
      if not batch.hash then
        return nil, err
      end
    end
    rows, bytes = rows + batch.accepted, bytes + batch.body_bytes
  end
  plan.batches, plan.sendable, plan.bytes = plan.batches + count, plan.sendable + rows, plan.bytes + bytes
  return work.ledger:enqueue(batches)
end

-- Lists valid rows that are left out: duplicates, suppressed and unchanged ones.
local function list_left_out(work, step)
  for _, duplicate in ipairs(step.duplicates) do
    local ok, err = work.rows:repeated(duplicate)
    if not ok then
      return nil, err
    end
  end
  for _, hit in ipairs(step.suppressed_rows) do
    local facts = work.suppress[hit.list].facts
    facts.suppressed = facts.suppressed + 1
    local ok, err = work.rows:suppressed(hit, facts.label)
    if not ok then
      return nil, err
    end
  end
  for _, row in ipairs(step.unchanged_rows) do
    local ok, err = work.rows:unchanged(row)
    if not ok then
      return nil, err
    end
  end
  return true
end

local function take_steps(work, plan, pass)
  local total = work.input:info().bytes
  local done = 0
  while true do
    local step, err = pass:step(work.pause and SHORT_STEP or nil)
    if not step then
      return err == nil and true or nil, err
    end
    work.books:read(step.rows)
    plan.rows, plan.blank, done = plan.rows + step.rows, plan.blank + step.blank, done + step.bytes
    if step.rejected > 0 then
      local refused, refuse_err = work.rows:refuse(step)
      if not refused then
        return nil, refuse_err
      end
      plan.first_unmappable = plan.first_unmappable or step.unmappable
    end
    local listed, list_err = list_left_out(work, step)
    if not listed then
      return nil, list_err
    end
    if work.keys and work.keys.file then
      local written, keys_err = work.keys.file:write(step.keys)
      if not written then
        return nil, keys_err
      end
    end
    plan.first_batch = plan.first_batch or step.batches[1]
    local ok, write_err = write_plan(plan, work, step.batches)
    if not ok then
      return nil, write_err
    end
    work.progress{ phase = "preflight", rows = plan.rows, bytes = done, total_bytes = total,
      rejected = work.books.counts.rejected }
    if work.pause then
      work.pause()
    end
    if work.stopped() then
      return error_object.refuse{ kind = "cancelled", message = "the preflight was stopped on request" }
    end
  end
end

local function walk(work, plan)
  local pass, err = core.rows.preflight(work.input, work.encoder, {
    batch_rows = work.batch_rows, unique = work.unique, suppress = work.suppress, keys = work.keys,
    batch_bytes = not work.is_file and MOST_CALL_BYTES or nil, -- nil: no limit
    lines = true, marker = work.marker,
  })
  if not pass then
    return nil, err
  end
  local ok
  ok, err = take_steps(work, plan, pass)
  pass:close() -- not left to the collector: it holds the file and a thread
  return ok, err
end

---Reads and checks the whole file.
---@param work table input, encoder, batch_rows, is_file, unique?, marker?, suppress? (of import/plan/suppress.lua), keys?, ledger, folder, rows, books,
---on_unmappable, progress, stopped
---@return table? plan rows, blank, sendable, batches, bytes, sizes (of the row files), first_batch
---@return campaign.error? err
function M.run(work)
  local plan = { rows = 0, blank = 0, sendable = 0, batches = 0, bytes = 0 }
  local ok, err = walk(work, plan)
  local sizes, sync_err = work.rows:sync()
  if not ok then
    return nil, err
  elseif not sizes then
    return nil, sync_err
  end
  plan.sizes, plan.sums = sizes, edited_files.sums(work.rows, sizes)
  if plan.rows == 0 then
    return error_object.refuse{
      kind = "invalid", reason = "no_rows",
      message = work.input:info().path .. " has a header line and no rows: there is nothing to import",
    }
  end
  local unmappable = work.books.causes.unmappable
  if work.on_unmappable == "fail" and unmappable > 0 then
    local first = plan.first_unmappable
    return error_object.refuse{
      kind = "invalid", reason = "unmappable",
      message = ("%d rows contain characters that the platform's encoding lacks; the first is row %d (line %d): %s"):format(
        unmappable, first.row, first.line, first.message),
      hint = (work.folder.rejects and "all are listed in " .. work.folder.rejects .. "; " or "") .. "map them, or reject such rows",
    }
  end
  plan.first_unmappable = nil
  return plan
end

return M

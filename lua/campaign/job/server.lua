-- SPDX-License-Identifier: MIT
-- Ledger against what a server committed. Every row that was to be sent is encoded again from the list; equal rows of both sides are sorted
-- into buckets on disk as keyed digests and counted: how often each must, may and did arrive. Knows no vendor: a row is what a call
-- carries.

local core = require "campaign.core"
local error_object = require "campaign.error"
local json = require "campaign.json"
local reconcile = require "campaign.job.reconcile"
local rows_module = require "campaign.import.report.rows"
local server_log = require "campaign.job.server_log"

local M = {}

-- Rows encoded at a time.
local SLICE = 1000

local DIGITS = 24

---Begins a comparison.
---@param buckets table
---@param handed_over boolean? a later job may have sent the rows that are open here
---@return table self for the other functions
function M.new(buckets, handed_over)
  return { buckets = buckets, key = core.system.random(16), committed = 0, refused = 0, handed_over = handed_over }
end

-- The same text for equal rows, however they were transferred: a single value is a list of one.
local function digest(self, row)
  if type(row) ~= "table" then
    row = json.array{ row }
  end
  local text = assert(core.json.encode(row))
  return core.digest.hmac_sha256(self.key, text):sub(1, DIGITS)
end

local function put(self, name, sum, text)
  self.buckets:put(name, tonumber(sum:sub(1, 6), 16) % self.buckets.count, text)
end

-- How often a row of a state must be, may be and, as a refused one, must not be in the server's log.
local function expected(state, doubts, handed_over)
  if state == "accepted" or state == "accepted_pending" then
    return 1, 1 + doubts, 0
  elseif state == "ambiguous" then
    return 0, 1 + doubts, 0
  elseif handed_over then
    return 0, 1 + doubts, 0 -- once, by the job that has them now
  end
  return 0, doubts, 1
end

local function refused_rows(ledger, batch)
  local refused = {}
  if batch.rejected > 0 then
    for _, result in ipairs(assert(ledger:ask("rows_of", batch.index))) do
      refused[result.row] = true
    end
  end
  return refused
end

-- The rows of a range with their numbers.
local function add_slice(self, opened, encoder, batch, slice, refused)
  local text = assert(encoder:text(opened.input, slice))
  local sent = assert(json.decode(text, { bytes = #text + 1, keys = 1000000 }))
  local state = reconcile.state_of(batch)
  for position, number in rows_module.each_sent(opened.input, slice) do
    -- A row refused by a later result (any but R) was accepted at first: the log may have it.
    local refusal = batch.state == "R" and "rejected" or "ambiguous"
    local must, may, no = expected(refused[number] and refusal or state, batch.doubts, self.handed_over)
    local sum = digest(self, sent[position])
    put(self, "expected", sum, ("%s\t%d\t%d\t%d\t%d"):format(sum, must, may, no, number))
  end
  return #sent
end

-- Requests to send again, for a batch and for those that it is a piece of.
local function doubts_of(batch, repeated)
  local doubts = batch.doubts
  for _, range in ipairs(batch.parent and repeated or {}) do
    if batch.first_row >= range.first_row and batch.first_row < range.first_row + range.rows then
      doubts = doubts + range.doubts
    end
  end
  return doubts
end

local function split_and_repeated(ledger)
  local repeated = {}
  for batch in ledger:scan("repeated") do
    if batch.split == 1 then
      repeated[#repeated + 1] = { first_row = batch.first_row, rows = batch.rows, doubts = batch.doubts }
    end
  end
  return repeated
end

local function add_slices(self, opened, encoder, batch, pass)
  local refused, sent = refused_rows(opened.ledger, batch), 0
  local step, err = pass:step()
  while step do
    for _, slice in ipairs(step.batches) do
      sent = sent + add_slice(self, opened, encoder, batch, slice, refused)
    end
    step, err = pass:step()
  end
  if err then
    error(err, 0)
  end
  return sent
end

local function add_batch(self, opened, encoder, batch)
  local pass = assert(core.rows.preflight(opened.input, encoder, { batch_rows = SLICE, range = batch }))
  local fine, sent = pcall(add_slices, self, opened, encoder, batch, pass)
  pass:close()
  if not fine then
    error(sent, 0)
  end
  return sent
end

---Encodes the rows of a job's batches again. Raises read errors.
---@param self table
---@param opened table
---@param found table findings
---@return true? ok
---@return string? why they cannot be encoded again
function M.add_job(self, opened, found)
  local encoder, why = opened:encoder()
  if not encoder then
    return nil, why
  end
  local repeated = split_and_repeated(opened.ledger)
  for batch in reconcile.in_order(opened.ledger) do
    batch.doubts = doubts_of(batch, repeated)
    if batch.accepted > 0 then
      local fine, sent = pcall(add_batch, self, opened, encoder, batch)
      if not fine and error_object.is(sent) and sent.kind == "ledger" then
        encoder:close()
        error(sent, 0) -- of our own files, not of the list
      end
      if sent ~= batch.accepted then
        found:fault("input", "batches cannot be made again from the list as they were sent", batch.index)
      end
    end
  end
  encoder:close()
  return true
end

-- The name of the target in the platform's log, if the call names one.
local function target_of(opened)
  local probe = opened.operation.probe
  local _, ours = next(type(probe) == "table" and probe.match or {})
  return ours and opened.record.options.params and opened.record.options.params[ours]
end

---Reads the log: entries of this operation and target.
---@param self table
---@param opened table
---@param from table server_log or sandbox, after
---@return true? ok
---@return campaign.error? err
function M.read_log(self, opened, from)
  local next_entry, err = server_log.each(from)
  if not next_entry then
    return nil, err
  end
  local target = target_of(opened)
  for entry in next_entry do
    local ours = (not entry.platform or entry.platform == opened.record.platform)
      and (not entry.operation or entry.operation == opened.record.operation)
      and (not entry.target or not target or entry.target == target)
    if ours and entry.row ~= nil then
      self.committed = self.committed + 1
      local sum = digest(self, entry.row)
      put(self, "committed", sum, sum)
    end
  end
  return true
end

local function compare_bucket(self, found, bucket, once, out)
  local rows, times = {}, {}
  for line in self.buckets:each("committed", bucket) do
    times[line] = (times[line] or 0) + 1
  end
  for line in self.buckets:each("expected", bucket) do
    local sum, must, may, no, number = line:match("^(%x+)\t(%d+)\t(%d+)\t(%d+)\t(%d+)$") -- linear: disjoint classes
    local row = rows[sum]
    if not row then
      row = { must = 0, may = 0, refused = 0, number = tonumber(number) }
      rows[sum] = row
    end
    row.must, row.may, row.refused = row.must + tonumber(must), row.may + tonumber(may), row.refused + tonumber(no)
  end
  local function report(name, message, count, number)
    if count > 0 then
      out[name] = out[name] + count
      found:fault("server", message, number, count)
    end
  end
  for sum, row in pairs(rows) do
    local did = times[sum] or 0
    times[sum] = nil
    if once and did == 1 then
      did = math.max(did, row.must) -- stored once, however often it was sent
    end
    local surplus = math.max(0, did - row.may)
    local from_refused = math.min(surplus, row.refused)
    report("false_success", "rows are booked as accepted and the server does not have them", math.max(0, row.must - did), row.number)
    report("false_refusal", "rows are booked as not taken over and the server has them", from_refused, row.number)
    report("unreported_duplicates", "rows were taken over more often than any report says", surplus - from_refused, row.number)
  end
  for _, count in pairs(times) do
    out.foreign = out.foreign + count
  end
end

---Compares both sides.
---@param self table
---@param found table
---@param once boolean? the platform stores equal rows once
---@return table out false_success, false_refusal, unreported_duplicates, foreign
function M.compare(self, found, once)
  local out = { false_success = 0, false_refusal = 0, unreported_duplicates = 0, foreign = 0 }
  for bucket = 0, self.buckets.count - 1 do
    compare_bucket(self, found, bucket, once, out)
  end
  return out
end

return M

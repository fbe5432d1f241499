-- SPDX-License-Identifier: MIT
-- Ledger against reports: checks that the row files list the rows that the ledger has in their state, with the batch and the values of the
-- list, and that report.json has the same sums. Rows are sorted into buckets on disk; values are compared by keyed digests, so that none is
-- stored.

local accounting = require "campaign.import.report.accounting"
local buckets_module = require "campaign.job.buckets"
local core = require "campaign.core"
local corrected_file = require "campaign.job.corrected_file"
local listing = require "campaign.import.report.listing"
local rows_module = require "campaign.import.report.rows"

local M = {}

-- Row files by the state they list.
M.FILES = accounting.FILES

local DIGITS = 16

---Begins a comparison.
---@param buckets table
---@param columns string[] the header of the list
---@param unlisted integer? rows that were not sent and, according to the report, are not listed: the run was handed over
---@return table self for the other functions
function M.new(buckets, columns, unlisted)
  return { buckets = buckets, columns = columns, unlisted = unlisted or 0, key = core.system.random(16) }
end

local function digest(self, fields)
  return core.digest.hmac_sha256(self.key, table.concat(fields, "\31")):sub(1, DIGITS)
end

local function bucket_of(self, row)
  return math.floor(row / buckets_module.PER_BUCKET) % self.buckets.count
end

local function put(self, name, row, state, batch, sum)
  self.buckets:put(name, bucket_of(self, row), ("%d\t%s\t%s\t%s"):format(row, state, batch, sum))
end

---Adds a row as the ledger has it.
---@param self table
---@param number integer of the row
---@param state string of the row
---@param batch table? that carries it
---@param fields string[] its values in the list
function M.booked(self, number, state, batch, fields)
  if M.FILES[state] then
    put(self, "booked", number, state, batch and tostring(batch.index) or "", digest(self, fields))
  end
end

-- The columns of a row file: `at[i]` is the position of the i-th of our columns and then of the list's, `moved` whether their order
-- changed, as in a rejects.csv saved by a spreadsheet. Nil if the header is not ours.
local function places(self, header)
  local wanted, found, at, moved = listing.names(self.columns), {}, {}, false
  local ours = #wanted
  for i, name in ipairs(self.columns) do
    wanted[ours + i] = name
  end
  for i, name in ipairs(header) do
    found[name] = i
  end
  for i, name in ipairs(wanted) do
    at[i] = found[name]
    moved = moved or at[i] ~= i
    if not at[i] then
      return nil
    end
  end
  return #header == #wanted and { at = at, ours = ours, moved = moved } or nil
end

-- The list's values in a line, in the list's order; a line of another width has them behind ours.
local function values_of(fields, place)
  local values = {}
  if place.moved and #fields == #place.at then
    for i = place.ours + 1, #place.at do
      values[i - place.ours] = fields[place.at[i]]
    end
  else
    for i = place.ours + 1, #fields do
      values[i - place.ours] = fields[i]
    end
  end
  return values
end

---Reads one row file.
---@param self table
---@param found table findings
---@param state string
---@param path string
function M.read(self, found, state, path)
  local name = path:match("[^/]+$")
  if not core.system.stat(path) then
    return
  end
  local input, header = corrected_file.open(path)
  local place = input and places(self, header)
  if not place or place.moved and state ~= "rejected" then
    found:fault("reports", name .. (input and " has other columns than it was written with" or " cannot be read: " .. tostring(header)))
  else
    local fine, problem = pcall(function()
      for _, fields in assert(input:rows()) do
        local row = tonumber(fields[place.at[1]])
        if not row or row ~= math.floor(row) or row < 1 then
          found:fault("reports", name .. " has a row without a number")
        elseif fields[place.at[3]] ~= state then
          found:fault("reports", name .. " has rows of another state", row)
        else
          put(self, "listed", row, state, fields[place.at[9]] or "", digest(self, values_of(fields, place)))
        end
      end
    end)
    if not fine then
      found:fault("reports", name .. " cannot be read to its end: " .. tostring(problem))
    end
  end
  if input then
    input:close()
  end
end

local function split(line)
  local row, state, batch, sum = line:match("^(%d+)\t(%l+)\t(%d*)\t(%x+)$") -- linear: disjoint classes
  return tonumber(row), { state = state, batch = batch, sum = sum }
end

local function compare_bucket(self, found, bucket)
  local listed, mended = {}, 0
  for line in self.buckets:each("listed", bucket) do
    local row, entry = split(line)
    if listed[row] then
      found:fault("reports", "rows are listed twice", row)
    end
    listed[row] = entry
  end
  for line in self.buckets:each("booked", bucket) do
    local row, booked = split(line)
    local entry = listed[row]
    listed[row] = nil
    if not entry and booked.state == "pending" and self.unlisted > 0 then
      self.unlisted = self.unlisted - 1
    elseif not entry then
      found:fault("reports", M.FILES[booked.state] .. ".csv lacks rows that the ledger has", row)
    elseif entry.state ~= booked.state then
      found:fault("reports", "rows are listed in another state than the ledger's", row)
    elseif entry.batch ~= booked.batch then
      found:fault("reports", "rows are listed with another batch than the ledger's", row)
    elseif entry.sum ~= booked.sum then
      if booked.state == "rejected" then
        mended = mended + 1 -- people correct rows in this file
      else
        found:fault("reports", M.FILES[booked.state] .. ".csv has other values than the list", row)
      end
    end
  end
  for row, entry in pairs(listed) do
    found:fault("reports", M.FILES[entry.state] .. ".csv has rows that the ledger does not have in that state", row)
  end
  return mended
end

---Compares what is listed with the ledger.
---@param self table
---@param found table findings
---@return integer mended rejected rows whose values were changed by hand
function M.compare(self, found)
  local mended = 0
  for bucket = 0, self.buckets.count - 1 do
    mended = mended + compare_bucket(self, found, bucket)
  end
  return mended
end

-- Compares two streams of lines, each of which begins with the number of a row or batch.
local function compare_lines(self, found, listed_name, booked_name, lacks, has_more)
  for bucket = 0, self.buckets.count - 1 do
    local listed = {}
    for line in self.buckets:each(listed_name, bucket) do
      listed[line] = true
    end
    for line in self.buckets:each(booked_name, bucket) do
      if not listed[line] then
        found:fault("reports", lacks, tonumber(line:match("^%d+")))
      end
      listed[line] = nil
    end
    for line in pairs(listed) do
      found:fault("reports", has_more, tonumber(line:match("^%d+")))
    end
  end
end

---Compares possibly_duplicated.csv: the rows of batches that were sent again on request and may be there twice.
---@param self table
---@param found table findings
---@param opened table
function M.compare_repeated(self, found, opened)
  local function put_row(name, row)
    self.buckets:put(name, bucket_of(self, row), ("%d"):format(row))
  end
  local path = opened.folder.possibly_duplicated
  local input, err
  if core.system.stat(path) then
    input, err = core.rows.input{ path = path, encoding = "utf-8", delimiter = ",", max_record = corrected_file.MOST_RECORD }
    if not input or not input:columns() then
      found:fault("reports", "possibly_duplicated.csv cannot be read: " .. tostring(err or "no header"))
    else
      for _, fields in assert(input:rows()) do
        put_row("repeat-listed", tonumber(fields[1]) or 0)
      end
    end
    if input then
      input:close()
    end
  end
  pcall(function() -- an unreadable list is reported elsewhere
    for batch in opened.ledger:scan("repeated") do
      for _, row in rows_module.each_sent(opened.input, batch) do
        put_row("repeat-booked", row)
      end
    end
  end)
  compare_lines(self, found, "repeat-listed", "repeat-booked", "possibly_duplicated.csv lacks rows that were sent again",
    "possibly_duplicated.csv has rows that were not sent again")
end

---Compares the sums of report.json.
---@param found table findings
---@param report table
---@param counted table rows, counts
function M.compare_sums(found, report, counted)
  if report.rows ~= counted.rows then
    found:fault("reports", ("report.json says %s rows, the list has %d"):format(tostring(report.rows), counted.rows))
  end
  for _, state in ipairs(accounting.STATES) do
    if report[state] ~= (counted.counts[state] or 0) then
      found:fault("reports", ("report.json says %s rows are %s, the ledger has %d"):format(tostring(report[state]), state,
        counted.counts[state] or 0))
    end
  end
end

---Compares the verdicts in batches.jsonl with those of the ledger, attempt by attempt.
---@param self table
---@param found table findings
---@param folder table
---@param ledger table
function M.compare_attempts(self, found, folder, ledger)
  local function put_attempt(name, batch, number, verdict)
    self.buckets:put(name, batch % self.buckets.count, ("%d\t%d\t%s"):format(batch, number, tostring(verdict)))
  end
  for line in require("campaign.import.report.batches_file").each(folder.batches) do
    if type(line.batch) == "number" and type(line.attempt) == "number" then
      put_attempt("told", line.batch, line.attempt, line.verdict)
    end
  end
  for attempt in ledger:scan("attempts") do
    put_attempt("kept", attempt.batch, attempt.number, attempt.verdict)
  end
  compare_lines(self, found, "told", "kept", "batches.jsonl lacks attempts of batches that the ledger has",
    "batches.jsonl has attempts of batches that the ledger does not have")
end

return M

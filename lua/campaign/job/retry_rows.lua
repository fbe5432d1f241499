-- SPDX-License-Identifier: MIT
-- Selects the rows that a retry sends. The corrected rows, the outcomes of earlier retries and the list are merged row by row, in buckets
-- on disk. A row is sent only if its latest state is rejected and its values differ from those that were rejected.

local core = require "campaign.core"
local corrected_file = require "campaign.job.corrected_file"
local discard = require "campaign.discard"
local error_object = require "campaign.error"
local findings = require "campaign.job.findings"
local layout = require "campaign.import.plan.layout"
local merged = require "campaign.merged"
local reconcile = require "campaign.job.reconcile"
local shell_quote = require "campaign.shell_quote"

local M = {}

local DIGITS = 24

-- Rows that a refusal names, at most.
local MOST_NAMED = 5

local ESCAPE = { ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\31"] = "\\u", ["\0"] = "\\0" }
local PLAIN = { ["\\\\"] = "\\", ["\\n"] = "\n", ["\\r"] = "\r", ["\\u"] = "\31", ["\\0"] = "\0" }

local function pack(values)
  local parts = {}
  for i, value in ipairs(values) do
    parts[i] = value:gsub("[%z\\\n\r\31]", ESCAPE)
  end
  return table.concat(parts, "\31")
end

local function unpack_values(text)
  local values, from = {}, 1
  while true do
    local at = text:find("\31", from, true)
    values[#values + 1] = text:sub(from, (at or 0) - 1):gsub("\\.", PLAIN)
    if not at then
      return values
    end
    from = at + 1
  end
end

local work = {}
local work_mt = { __index = work }

function work:bucket(row)
  return math.min(math.floor((row - 1) / self.width), self.buckets.count - 1)
end

function work:digest(values)
  return core.digest.hmac_sha256(self.key, table.concat(values, "\31")):sub(1, DIGITS)
end

-- Stores the digest of a row's value in the column that identifies rows (`unique`).
function work:put_key(name, values, row)
  local value = self.unique and values[self.unique]
  if value then
    local sum = self:digest({ value })
    self.buckets:put(name, tonumber(sum:sub(1, 6), 16) % self.buckets.count, sum .. "\t" .. row)
  end
end

local KEEPS_KEY = { accepted = true, accepted_pending = true, ambiguous = true, pending = true }

-- The outcome of rows in a retry: state and digest of the values that were sent, or would have been.
function work:read_retry(retry)
  local at = #retry.columns
  local unfinished
  reconcile.walk(retry, findings.new(), function(_, state, _, fields)
    local row = tonumber(fields[at] or "")
    if row and state then
      local values = {}
      for i = 1, at - 1 do
        values[i] = fields[i]
      end
      self.buckets:put("fates", self:bucket(row), ("%d\t%s\t%s"):format(row, state, self:digest(values)))
      if KEEPS_KEY[state] then
        self:put_key("taken", values, 0)
      end
      unfinished = unfinished or state == "pending"
    end
  end)
  if unfinished then
    error(error_object.new{ kind = "ledger", retry = false, sent = "no",
      message = retry.path .. " is not finished: some of its rows are still to be sent",
      hint = "finish it first: campaign resume " .. shell_quote(retry.path) }, 0)
  end
end

function work:read_corrected_file(options)
  local given = { encoding = options.encoding, delimiter = options.delimiter, columns = self.root.columns }
  local count, err = corrected_file.read(options.file, given,
    function(row, values, line, reason)
      if row < 1 or row > self.rows then
        return error_object.new{ kind = "invalid", retry = false, sent = "no",
          message = ("%s: line %d refers to row %d, the list has %d"):format(options.file, line, row, self.rows),
          hint = "is it the file of another job?" }
      end
      self.buckets:put("mended", self:bucket(row), ("%d\t%d\t%s\t%s"):format(row, line, reason or "", pack(values)))
    end)
  if not count then
    error(err, 0)
  end
  return count
end

function work:load(bucket)
  self.loaded, self.mended, self.fates = bucket, {}, {}
  for line in self.buckets:each("mended", bucket) do
    local row, at, reason, text = line:match("^(%d+)\t(%d+)\t([%l_]*)\t(.*)$") -- linear: disjoint classes
    row = tonumber(row)
    if self.mended[row] then
      self.problem = self.problem or error_object.new{ kind = "invalid", retry = false, sent = "no",
        message = ("%s: lines %d and %s both refer to row %d"):format(self.file, self.mended[row].line, at, row),
        hint = "keep one of them" }
    end
    self.mended[row] = { line = tonumber(at), reason = reason, text = text }
  end
  for line in self.buckets:each("fates", bucket) do
    local row, state, sum = line:match("^(%d+)\t([%l_]+)\t(%x+)$") -- linear: disjoint classes
    self.fates[tonumber(row)] = { state = state, sum = sum } -- the latest retry is read last
  end
end

-- Counts a row that must not be sent by a retry; the first few are named in the refusal.
function work:forbid(row, state)
  local named = self.forbidden
  named.count = named.count + 1
  if #named < MOST_NAMED then
    named[#named + 1] = ("%d is %s"):format(row, (state or "in no state"):gsub("_", " "))
  end
  named.has_doubt = named.has_doubt or state == "ambiguous"
end

function work:consider(row, state, fields)
  local given, fate = self.mended[row], self.fates[row]
  if KEEPS_KEY[state or ""] then
    self:put_key("taken", fields, 0)
  end
  if not given then
    self.counts.left_out = self.counts.left_out + (state == "rejected" and not (fate and fate.state ~= "rejected") and 1 or 0)
    return
  end
  if state ~= "rejected" then
    return self:forbid(row, state)
  end
  local counts = self.counts
  if fate and (fate.state == "accepted" or fate.state == "accepted_pending") then
    counts.settled = counts.settled + 1
    return
  elseif fate and fate.state == "ambiguous" then
    counts.ambiguous = counts.ambiguous + 1
    return
  end
  local values = unpack_values(given.text)
  local is_same = self:digest(values) == (fate and fate.sum or self:digest(fields))
  if is_same and not self.unchanged then
    counts.unchanged = counts.unchanged + 1
    return
  elseif not is_same and given.reason == "encoding" then
    self.problem = self.problem or error_object.new{ kind = "invalid", retry = false, sent = "no",
      message = ("%s: line %d is not valid in its encoding"):format(self.file, given.line),
      hint = "give the encoding in which the file was saved: --encoding gb18030" }
  end
  self:put_key("wanted", values, row)
  self.buckets:put("chosen", self:bucket(row), ("%d\t%s"):format(row, given.text))
end

-- Rows whose key belongs to a row that was accepted, or may have been.
function work:find_taken()
  local refused = {}
  if not self.unique then
    return refused
  end
  for bucket = 0, self.buckets.count - 1 do
    local taken = {}
    for line in self.buckets:each("taken", bucket) do
      taken[line:match("^%x+")] = true
    end
    for line in self.buckets:each("wanted", bucket) do
      local sum, row = line:match("^(%x+)\t(%d+)$") -- linear: disjoint classes
      if taken[sum] then
        refused[tonumber(row)] = true
      end
    end
  end
  return refused
end

function work:write_list(path, row_column)
  assert(discard.file(path))
  local file = assert(core.system.append_open(path, 384)) -- 0600
  local header, refused = merged(self.root.columns), self:find_taken()
  header[#header + 1] = row_column
  assert(file:write(core.csv.line(header)))
  for bucket = 0, self.buckets.count - 1 do
    for line in self.buckets:each("chosen", bucket) do
      local row, text = line:match("^(%d+)\t(.*)$") -- linear: anchored, disjoint
      if refused[tonumber(row)] then
        self.counts.duplicate = self.counts.duplicate + 1
      else
        local values = unpack_values(text)
        values[#values + 1] = row
        assert(file:write(core.csv.line(values)))
        self.counts.sent = self.counts.sent + 1
      end
    end
  end
  assert(file:sync())
  file:close()
end

function work:refuse_forbidden()
  local named = self.forbidden
  if named.count == 0 then
    return true
  end
  return error_object.refuse{ kind = "invalid",
    message = ("%s: %d of its rows are not rejected (%s%s)"):format(self.file, named.count, table.concat(named, ", "),
      named.count > #named and ", ..." or ""),
    hint = named.has_doubt and "a row in doubt is never sent again by a retry: look at the platform, then campaign resolve"
      or "only rejected rows can be sent again; is it the file of another job?" }
end

---Selects the rows and writes them as the list of the retry. Raises error objects.
---@param options table root, retries, buckets, file, encoding, delimiter, unchanged, list, row_column
---@return table? counts rows (in the file), sent, unchanged, settled, ambiguous, duplicate, left_out
---@return campaign.error? err
function M.choose(options)
  local root = options.root
  local self = setmetatable({
    root = root, buckets = options.buckets, file = options.file, unchanged = options.unchanged == true, key = core.system.random(16),
    rows = root.record.plan.rows, forbidden = { count = 0 },
    counts = { rows = 0, sent = 0, unchanged = 0, settled = 0, ambiguous = 0, duplicate = 0, left_out = 0 },
  }, work_mt)
  self.width = math.max(1, math.ceil(self.rows / self.buckets.count))
  if root.record.options.unique then
    local mapping, err = layout.mapping(root.operation, root.columns, root.record.target_columns, root.record.options, root.id)
    if not mapping then
      return nil, err
    end
    self.unique = mapping.unique
  end
  for _, retry in ipairs(options.retries) do
    self:read_retry(retry)
  end
  self.counts.rows = self:read_corrected_file(options)
  local found = findings.new()
  reconcile.walk(root, found, function(number, state, _, fields)
    local bucket = self:bucket(number)
    if bucket ~= self.loaded then
      self:load(bucket)
    end
    self:consider(number, state, fields)
  end)
  if self.problem then
    return nil, self.problem
  elseif not found:is_clean() then
    return error_object.refuse{ kind = "ledger", reason = "changed",
      message = ("job %s: list and ledger do not agree: %s"):format(root.path, found.list[1].message),
      hint = "campaign verify " .. shell_quote(root.path) }
  end
  local ok, err = self:refuse_forbidden()
  if not ok then
    return nil, err
  end
  self:write_list(options.list, options.row_column)
  return self.counts
end

return M

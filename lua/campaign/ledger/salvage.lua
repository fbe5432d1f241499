-- SPDX-License-Identifier: MIT
-- Collects what can be read of a damaged ledger in a scratch file: the records of its intact pages, recognized by their number of columns
-- and types. Of two copies of a record the later one is kept. import/recover decides what a record is worth.

local core = require "campaign.core"
local error_object = require "campaign.error"
local pages = require "campaign.ledger.pages"

local M = {}

---Columns of the ledger's tables, in their order; spec/ledger/salvage_spec.lua compares them with the schema.
M.COLUMNS = {
  job = { "one", "id", "created", "state", "record" },
  file = { "number", "path", "bytes", "mtime", "encoding", "delimiter" },
  batch = { "seq", "parent", "split", "state", "fence", "owner", "attempts", "began", "doubts", "offset", "bytes", "first_row", "first_line",
    "rows", "accepted", "body_bytes", "skip", "hash", "rejected", "awaits", "receipt", "before" },
  attempt = { "id", "batch", "number", "fence", "owner", "began", "ended", "verdict", "cause", "receipt", "status", "code", "kind", "sent",
    "guard", "bytes_sent", "body_bytes", "seconds", "detail", "reason", "message" },
  row_result = { "row", "batch", "state", "cause", "col", "reason", "code", "message" },
  late = { "id", "batch", "attempt", "at", "source", "verdict", "detail" },
}

local TABLES = { "job", "file", "batch", "attempt", "row_result", "late" }

-- Types by which a table's records are recognized, by position; the first column is the rowid.
local SHAPES = {
  job = { [2] = "string", [3] = "number", [4] = "string", [5] = "string" },
  file = { [2] = "string", [3] = "number", [4] = "number", [5] = "string", [6] = "string" },
  batch = { [3] = "number", [4] = "string", [5] = "number", [7] = "number", [10] = "number", [11] = "number", [12] = "number", [14] = "number" },
  attempt = { [2] = "number", [3] = "number", [4] = "number", [5] = "string", [6] = "number", [7] = "number", [8] = "string" },
  row_result = { [3] = "string" },
  late = { [2] = "number", [4] = "number", [5] = "string", [6] = "string" },
}

-- Tells which of two copies of a record is the later one: moving a page may leave an old copy behind.
local LATER = {
  batch = [[(excluded.attempts, excluded.doubts, excluded.fence, excluded.state <> 'S', excluded.split)
    > (attempts, doubts, fence, state <> 'S', split)]],
}

local methods = {}
local mt = { __index = methods, __name = "campaign.ledger.salvage" }

local function table_of(values)
  for _, name in ipairs(TABLES) do
    if values.n == #M.COLUMNS[name] and values[1] == nil then
      local fits = true
      for at, kind in pairs(SHAPES[name]) do
        fits = fits and type(values[at]) == kind
      end
      if fits then
        return name
      end
    end
  end
end

local function statements(name)
  local columns, marks, sets = M.COLUMNS[name], {}, {}
  for i, column in ipairs(columns) do
    marks[i] = "?"
    if i > 1 then
      sets[#sets + 1] = column .. " = excluded." .. column
    end
  end
  local list = table.concat(columns, ", ")
  return ("CREATE TABLE %s (%s, PRIMARY KEY (%s))"):format(name, list, columns[1]),
    ("INSERT INTO %s (%s) VALUES (%s) ON CONFLICT (%s) DO UPDATE SET %s WHERE %s"):format(name, list, table.concat(marks, ", "), columns[1],
      table.concat(sets, ", "), LATER[name] or "0"),
    ("SELECT %s FROM %s WHERE %s > ? ORDER BY %s LIMIT 500"):format(list, name, columns[1], columns[1])
end

local function run(self, number, ...)
  local id, err = self.store:submit(number, ...)
  local ok = id
  if ok then
    ok, err = self.store:run()
  end
  local _, _, rows = self.store:take()
  if not ok then
    error(err, 0)
  end
  return rows
end

local function gather(self, reader)
  local queued = 0
  local read, bad = reader:each(function(rowid, values)
    local name = table_of(values)
    if not name then
      return
    end
    values[1] = rowid
    local id, err = self.store:submit(self.insert[name], (unpack or table.unpack)(values, 1, values.n))
    if not id then
      error(err, 0)
    end
    self.found[name] = self.found[name] + 1
    queued = queued + 1
    if queued >= 1000 then
      queued = 0
      self:flush()
    end
  end)
  self:flush()
  self.unreadable = bad
  return read
end

function methods:flush()
  local ok, err = self.store:run()
  while self.store:take() do
    -- results of inserts say nothing
  end
  if not ok then
    error(err, 0)
  end
end

---The records of a table, by their number.
---@param name string
---@return fun(): table? next
function methods:each(name)
  local after, page, at = -1, nil, 0
  return function()
    at = at + 1
    if not page or at > #page then
      if page and #page < 500 then
        return nil
      end
      page, at = run(self, self.scan[name], after), 1
    end
    local row = page[at]
    if not row then
      return nil
    end
    after = row[1]
    local record = {}
    for i, column in ipairs(M.COLUMNS[name]) do
      record[column] = row[i]
    end
    return record
  end
end

local QUERIES = {
  attempts_of = { "attempt", "batch = ? ORDER BY id" }, rows_of = { "row_result", "batch = ? ORDER BY row" },
  late_of = { "late", "batch = ? ORDER BY id" }, pieces_of = { "batch", "parent = ? ORDER BY first_row" }, batch = { "batch", "seq = ?" },
}

---Records that belong to one batch.
---@param what "attempts_of"|"rows_of"|"late_of"|"pieces_of"|"batch"
---@param number integer
---@return table[]
function methods:ask(what, number)
  local name = QUERIES[what][1]
  local rows = run(self, self.query[what], number)
  for i, row in ipairs(rows) do
    local record = {}
    for at, column in ipairs(M.COLUMNS[name]) do
      record[column] = row[at]
    end
    rows[i] = record
  end
  return rows
end

function methods:close()
  if self.store then
    self.store:close()
    self.store = nil
  end
end

local INDEXES = { "CREATE INDEX attempt_of ON attempt (batch)", "CREATE INDEX row_of ON row_result (batch)", "CREATE INDEX late_of ON late (batch)",
  "CREATE INDEX piece_of ON batch (parent)" }

local function build(self, reader)
  local function prepare(sql)
    local number, err = self.store:prepare(sql)
    if not number then
      error(err, 0)
    end
    return number
  end
  for _, name in ipairs(TABLES) do
    local create, insert, scan = statements(name)
    run(self, prepare(create))
    self.insert[name], self.scan[name], self.found[name] = prepare(insert), prepare(scan), 0
  end
  gather(self, reader)
  for _, sql in ipairs(INDEXES) do
    run(self, prepare(sql))
  end
  for what, query in pairs(QUERIES) do
    self.query[what] = prepare(("SELECT %s FROM %s WHERE %s"):format(table.concat(M.COLUMNS[query[1]], ", "), query[1], query[2]))
  end
end

---Reads a damaged ledger.
---@param path string
---@param scratch string where to gather; it must not exist
---@return table? salvage `found` (records by table), `unreadable`, `log_lost` (what is wrong with its log, if anything is)
---@return campaign.error? err
function M.read(path, scratch)
  local reader, why = pages.open(path)
  if not reader then
    return nil, error_object.is(why) and why
      or error_object.new{ kind = "ledger", retry = false, message = "ledger " .. path .. ": " .. tostring(why) }
  end
  local store, err = core.store.open(scratch, "create")
  if not store then
    reader:close()
    return nil, err
  end
  local self = setmetatable({ store = store, insert = {}, scan = {}, query = {}, found = {}, log_lost = reader.log_lost }, mt)
  local fine, problem = pcall(build, self, reader)
  reader:close()
  if not fine then
    self:close()
    if error_object.is(problem) then
      return nil, problem
    end
    error(problem, 0)
  end
  return self
end

return M

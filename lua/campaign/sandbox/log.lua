-- SPDX-License-Identifier: MIT
-- The commit log: one JSON line for every row (or object) that a platform has taken over, written before
-- the platform answers and never changed. It is the oracle for whoever wants to know what really happened,
-- faults or not. An entry has n (from 1, no gaps), time, platform, operation, target (data source, user,
-- group relation, ...), the row or id, and the number of the request that brought it.

local core = require "campaign.core"
local json = require "campaign.sandbox.json"

local M = {}

-- One file position is remembered for this many entries, so that reading from n on is quick.
local STRIDE = 1000
-- Lines wait in memory up to this many bytes before they go to the file; a commit always flushes.
local BUFFER = 262144

local methods = {}
local mt = { __index = methods, __name = "sandbox.log" }

local function count(self, platform, operation, target)
  local key = platform .. "." .. operation
  local targets = self.counts[key]
  if not targets then
    targets = {}
    self.counts[key] = targets
  end
  targets[target] = (targets[target] or 0) + 1
end

-- Reads what an earlier run left. A last line without its end was never committed and is cut off.
local function load_existing(self)
  local file = io.open(self.path, "rb")
  if not file then
    return true
  end
  local whole = 0
  for line in file:lines("*L") do
    if line:sub(-1) ~= "\n" then
      break
    end
    local entry = json.decode(line)
    if not entry or entry.n ~= self.n + 1 then
      file:close()
      return nil, self.path .. ": entry " .. (self.n + 1) .. " is damaged"
    end
    if self.n % STRIDE == 0 then
      self.offsets[#self.offsets + 1] = whole
    end
    self.n = entry.n
    whole = whole + #line
    count(self, entry.platform, entry.operation, entry.target)
  end
  local size = file:seek("end")
  if size > whole then
    file:seek("set", 0)
    local kept = file:read(whole) or ""
    file:close()
    local ok, err = core.system.write_atomic(self.path, kept)
    if not ok then
      return nil, tostring(err)
    end
  else
    file:close()
  end
  self.bytes = whole
  return true
end

---Opens the log, going on after the last entry of an earlier run.
---@param options { path: string, durable?: boolean }
---@return table? log
---@return string? why
function M.open(options)
  local self = setmetatable({
    path = options.path, durable = options.durable, n = 0, bytes = 0, counts = {}, offsets = {},
    pending = {}, pending_bytes = 0,
  }, mt)
  local ok, why = load_existing(self)
  if not ok then
    return nil, why
  end
  local file, err = core.system.append_open(self.path)
  if not file then
    return nil, tostring(err)
  end
  self.file = file
  return self
end

local function write_pending(self)
  if #self.pending > 0 then
    assert(self.file:write(table.concat(self.pending)))
    self.pending, self.pending_bytes = {}, 0
  end
end

-- Put together by hand: this runs once for every row.
local function line_of(n, entry)
  local pieces = {
    '{"n":', n, ',"time":"', entry.time, '","platform":"', entry.platform, '","operation":"', entry.operation,
    '","target":', json.encode(entry.target), ',"request":', entry.request,
  }
  for _, name in ipairs{ "mode", "id", "row", "result" } do
    if entry[name] ~= nil then
      pieces[#pieces + 1] = ',"' .. name .. '":' .. json.encode(entry[name])
    end
  end
  pieces[#pieces + 1] = "}\n"
  return table.concat(pieces)
end

---Adds one entry; it is in the file for certain only after `commit`.
---@param entry table time, platform, operation, target, request; mode, id, row as they apply
---@return integer n
function methods:append(entry)
  if self.n % STRIDE == 0 then
    self.offsets[#self.offsets + 1] = self.bytes
  end
  self.n = self.n + 1
  local line = line_of(self.n, entry)
  self.pending[#self.pending + 1] = line
  self.pending_bytes = self.pending_bytes + #line
  self.bytes = self.bytes + #line
  count(self, entry.platform, entry.operation, entry.target)
  self.dirty = true
  if self.pending_bytes >= BUFFER then
    write_pending(self)
  end
  return self.n
end

---Makes everything added so far lasting. Costs nothing when nothing was added.
function methods:commit()
  if not self.dirty then
    return
  end
  write_pending(self)
  if self.durable then
    assert(self.file:sync())
  end
  self.dirty = false
end

---Entries with n > after, at most `limit`, as JSON texts.
---@param after integer
---@param limit integer
---@return string[] lines
function methods:read(after, limit)
  write_pending(self)
  local lines = {}
  if after >= self.n then
    return lines
  end
  local file = assert(io.open(self.path, "rb"))
  local block = math.floor(after / STRIDE)
  file:seek("set", self.offsets[block + 1])
  local n = block * STRIDE
  while #lines < limit do
    local line = file:read("*l")
    if not line then
      break
    end
    n = n + 1
    if n > after then
      lines[#lines + 1] = line
    end
  end
  file:close()
  return lines
end

---Counts as `{ ["platform.operation"] = { target = count } }`.
function methods:totals()
  return self.counts
end

---Throws all entries away: for a reset, on the user's order.
function methods:clear()
  self.file:close()
  os.remove(self.path)
  self.n, self.bytes, self.counts, self.offsets = 0, 0, {}, {}
  self.pending, self.pending_bytes, self.dirty = {}, 0, false
  self.file = assert(core.system.append_open(self.path))
end

function methods:close()
  if self.file then
    self:commit()
    self.file:close()
    self.file = nil
  end
end

return M

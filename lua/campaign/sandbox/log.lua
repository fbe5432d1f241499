-- SPDX-License-Identifier: MIT
-- The commit log: one JSON line for every row (or object) that a platform has accepted, written before the platform answers and never
-- changed. It shows what really happened, with or without faults. An entry has n (from 1, no gaps), time, platform, operation, target (data
-- source, user, group relation, ...), the row or id, and the number of its request.

local core = require "campaign.core"
local gather = require "campaign.sandbox.gather"
local json = require "campaign.sandbox.json"

local M = {}

-- One file position is remembered for this many entries, so that reading from n on is quick.
local STRIDE = 1000
-- Lines wait in memory up to this many bytes before they go to the file; a commit always flushes.
local BUFFER = 262144

local methods = {}
local mt = { __index = methods, __name = "sandbox.log" }

local function counts_of(self, platform, operation)
  local key = platform .. "." .. operation
  local targets = self.counts[key]
  if not targets then
    targets = {}
    self.counts[key] = targets
  end
  return targets
end

local function count(targets, target)
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
    count(counts_of(self, entry.platform, entry.operation), entry.target)
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
    lines = gather.new(BUFFER), pending_bytes = 0,
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
  if self.pending_bytes > 0 then
    assert(self.file:write(self.lines:take()))
    self.pending_bytes = 0
  end
end

-- What the lines of one request to one target have in common, made once for all of its rows.
local function head_of(self, request, target, mode)
  local last = self.head
  if last and last.request == request.id and last.target == target and last.time == request.time
    and last.platform == request.platform and last.operation == request.operation and last.mode == mode then
    return last
  end
  self.head = {
    request = request.id, target = target, time = request.time, platform = request.platform, operation = request.operation, mode = mode,
    targets = counts_of(self, request.platform, request.operation),
    text = ',"time":"' .. request.time .. '","platform":"' .. request.platform .. '","operation":"' .. request.operation
      .. '","target":' .. json.encode(target) .. ',"request":' .. request.id
      .. (mode ~= nil and ',"mode":' .. json.encode(mode) or ""),
  }
  return self.head
end

-- Adds what a line is made of to the lines that wait.
local function put(self, text)
  self.lines:put(text)
  self.pending_bytes = self.pending_bytes + #text
end

-- Adds a value: mostly an id, or a list of a few names.
local put_value
function put_value(self, value)
  if type(value) == "string" and json.is_plain(value) then
    put(self, '"')
    put(self, value)
    put(self, '"')
  elseif json.is_array(value) and type(value[1]) == "string" then
    for i = 1, #value do
      put(self, i == 1 and "[" or ",")
      put_value(self, value[i])
    end
    put(self, "]")
  else
    put(self, json.encode(value))
  end
end

-- Put together by hand, and without making a Lua string of each line: this runs once for every row.
local function put_line(self, n, head, entry)
  put(self, '{"n":')
  put(self, string.format("%d", n))
  put(self, head.text)
  if entry.id ~= nil then
    put(self, ',"id":')
    put_value(self, entry.id)
  end
  if entry.row_from then
    put(self, ',"row":')
    self.lines:put_part(entry.row_text, entry.row_from, entry.row_to)
    self.pending_bytes = self.pending_bytes + entry.row_to - entry.row_from + 1
  elseif entry.row ~= nil then
    put(self, ',"row":')
    put(self, json.encode(entry.row))
  end
  if entry.result ~= nil then
    put(self, ',"result":')
    put_value(self, entry.result)
  end
  put(self, "}\n")
end

---Adds one entry; it is in the file for certain only after `commit`.
---@param request { id: integer, time: string, platform: string, operation: string }
---@param target string
---@param entry table mode, id, row (or row_text, row_from and row_to: where its JSON lies on one line) and result as they apply
---@return integer n
function methods:append(request, target, entry)
  if self.n % STRIDE == 0 then
    self.offsets[#self.offsets + 1] = self.bytes
  end
  self.n = self.n + 1
  local head, before = head_of(self, request, target, entry.mode), self.pending_bytes
  put_line(self, self.n, head, entry)
  self.bytes = self.bytes + self.pending_bytes - before
  count(head.targets, target)
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
  self.n, self.bytes, self.counts, self.offsets, self.head = 0, 0, {}, {}, nil
  self.lines:take()
  self.pending_bytes, self.dirty = 0, false
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

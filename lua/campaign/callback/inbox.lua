-- SPDX-License-Identifier: MIT
-- Keeps what callbacks brought, in one file that only grows: records of a JSON line and the body as it came. A group of records is one write
-- and one sync, and on disk when `put` returns. Several processes may use one folder: whoever writes holds its lock and has read what the
-- others wrote. Knows no HTTP and no platform.

local core = require "campaign.core"
local durable = require "campaign.durable"
local error_object = require "campaign.error"
local json = require "campaign.json"

local M = {}

local PRIVATE, FOLDER = 384, 448 -- 0600, 0700
local LOCK_SECONDS = 10
local MOST_FILLER = 16777216 -- a record that was cut off lacks less; what says more is damaged

-- Every record begins a line with this: where a crash or a bad disk left something else, reading goes on at the next one that is whole.
local MARK = '{"n":'
local LINE = MARK .. '%d,"bytes":%d,"group":"%s","hash":"%s",%s"kind":"%s",%s"time":%d}\n'

local methods = {}
local mt = { __index = methods, __name = "campaign.callback.inbox" }

local function fail(message, cause, reason)
  return error_object.refuse{
    kind = "ledger", reason = reason, message = "callback store: " .. message, cause = cause,
  }
end

local function hash_of(id, body)
  return core.digest.sha256(id or "", "\0", body)
end

local function add(self, entry)
  local entries = self.entries
  entries[#entries + 1] = entry
  self.bytes = self.bytes + entry.bytes
  self.by_hash[entry.hash] = entry
  if entry.id and (entry.kind == "first" or not self.by_id[entry.id]) then
    self.by_id[entry.id] = entry -- a second `first` replaces one whose body never reached the disk
  end
  if entry.kind == "conflict" then
    self.conflict_count = self.conflict_count + 1
    self.in_conflict[entry.id] = true
  end
end

-- Reading -----------------------------------------------------------------------------------------------------------------------------------

-- The record whose first line was read at `at`; nothing unless it ends within the file where it says. The file then stands behind it.
-- Where one ends that a crash cut off, the second value says.
local function record_at(file, line, at, size)
  if line:sub(1, #MARK) ~= MARK then
    return nil
  end
  local entry = json.decode(line)
  if type(entry) ~= "table" or type(entry.hash) ~= "string" or type(entry.bytes) ~= "number" or type(entry.kind) ~= "string"
    or entry.bytes < 0 or entry.bytes ~= math.floor(entry.bytes) then
    return nil
  end
  entry.at = at + #line + 1
  if entry.at + entry.bytes >= size then
    return nil, entry.at + entry.bytes
  end
  file:seek("set", entry.at + entry.bytes)
  return file:read(1) == "\n" and entry or nil
end

local function body_of(file, entry)
  file:seek("set", entry.at)
  local body = file:read(entry.bytes) or ""
  return hash_of(entry.id, body) == entry.hash and body or nil
end

-- The next record behind something that is none, its line and where that stands: there only a body that fits its hash is believed. Or nothing,
-- and up to where records go that were cut off.
local function resume_behind(file, at, size, claimed)
  file:seek("set", at)
  local line = file:read("*l")
  while line do
    at = at + #line + 1
    line = file:read("*l")
    local entry, stop = nil, nil
    if line then
      entry, stop = record_at(file, line, at, size)
    end
    if entry and body_of(file, entry) then
      return entry, line, at
    elseif line then
      file:seek("set", at + #line + 1)
    end
    claimed = math.max(claimed, stop or 0)
  end
  return nil, claimed
end

local function forget_all(self)
  self.tail = nil -- the last record that was read: where its line stands, and that line, which is like no other
  self.offset, self.bytes, self.conflict_count, self.damaged = 0, 0, 0, 0
  self.torn = nil -- up to where records go that a crash cut off at the end of the file
  self.synced = 0 -- bytes that are on the disk by a sync of this process
  self.entries, self.by_hash, self.by_id, self.in_conflict = {}, {}, {}, {}
end

-- Whether another process took a group back that it could not sync, after this one had read it: there may stand others by now, of any length.
local function is_replaced(self, file)
  if not self.tail then
    return false
  end
  file:seek("set", self.tail.at)
  return file:read(#self.tail.line) ~= self.tail.line
end

-- Reads what was added since. What a crash left unfinished at the end does not count, nor does a group of this process that is still being
-- synced: it is added once it is on the disk.
local function catch_up(self)
  if self.is_writing then
    return true
  end
  local found, err = core.system.stat(self.path)
  if not found then
    return fail(self.path .. " is gone", err)
  end
  local file = io.open(self.path, "rb")
  if not file then
    return fail(self.path .. " cannot be read")
  elseif is_replaced(self, file) then
    forget_all(self)
  end
  self.torn, self.size = nil, found.size
  local at = self.offset
  while at < found.size do
    file:seek("set", at)
    local line = file:read("*l") or ""
    local entry, stop = record_at(file, line, at, found.size)
    if not entry then
      entry, line, at = resume_behind(file, at, found.size, stop or 0)
      if not entry then
        self.torn = line
        break
      end
      self.damaged = self.damaged + 1
    end
    self.tail = { at = at, line = line }
    at = entry.at + entry.bytes + 1
    self.offset = at
    add(self, entry)
  end
  file:close()
  return true
end

-- Whether the body of an entry can be read. Asked only where something would not be written because of it.
local function is_whole(self, entry)
  if not entry.is_whole then
    local file = io.open(self.path, "rb")
    entry.is_whole = file ~= nil and body_of(file, entry) ~= nil
    if file then
      file:close()
    end
  end
  return entry.is_whole
end

-- Opening -----------------------------------------------------------------------------------------------------------------------------------

---The place at the head of those who wait for the lock: whoever has it gets the lock next, and gives the place up then. Without it a busy
---process, which takes the lock again as soon as it has let go of it, would leave the others nothing.
---@param seconds number
---@return userdata? turn
---@return campaign.error? err reason `locked` when another one has it
function methods:turn(seconds)
  local turn, err = durable.lock(self.folder .. "/turn", seconds)
  if not turn then
    return fail("is locked: " .. tostring(err and err.message), err, err and err.kind == "timeout" and "locked" or nil)
  end
  return turn
end

local function locked(self, seconds, turn, work, ...)
  local lock, err
  if not turn then
    turn, err = self:turn(seconds)
    if not turn then
      return nil, err
    end
    lock, err = durable.lock(self.folder .. "/lock", seconds)
    turn:close()
  else
    lock, err = durable.lock(self.folder .. "/lock", seconds)
    if lock then
      turn:close()
    end
  end
  if not lock then
    return fail("is locked: " .. tostring(err and err.message), err, err and err.kind == "timeout" and "locked" or nil)
  end
  local well, value, problem = pcall(work, self, ...)
  self.is_writing = false
  lock:close()
  if not well then
    error(value, 0)
  end
  return value, problem
end

-- The empty file, its name on the disk too. One without a record is made anew: who made it may have died before that.
local function create(self)
  local found = core.system.stat(self.path)
  if found and found.size > 0 then
    return true
  end
  local ok, err = durable.write(self.path, "", PRIVATE)
  if not ok then
    return fail("cannot make " .. self.path .. ": " .. tostring(err and err.message), err)
  end
  return true
end

---@param folder string made when it is not there
---@param limits { entries: integer, bytes: integer }
---@return campaign.callback.inbox? inbox
---@return campaign.error? err
function M.open(folder, limits)
  local made, err = core.system.make_dirs(folder, FOLDER)
  if not made then
    return fail("cannot make " .. folder .. ": " .. tostring(err and err.message), err)
  end
  local self = setmetatable({
    folder = folder, path = folder .. "/inbox.log", limits = limits, is_writing = false,
  }, mt)
  forget_all(self)
  local ok = true
  local found = core.system.stat(self.path)
  if not found or found.size == 0 then
    ok, err = locked(self, LOCK_SECONDS, nil, create)
  end
  if ok then
    ok, err = catch_up(self)
  end
  return ok and self or nil, err
end

-- Writing -----------------------------------------------------------------------------------------------------------------------------------

-- What a body is beside all that came before it, in the file and in its own group.
local function classify(self, group, item)
  local same = group.by_hash[item.hash] or self.by_hash[item.hash]
  if same and (same.is_new or is_whole(self, same)) then
    -- Whoever wrote it may have died before its sync: what this process did not sync may be lost in a power cut, and gets its sync now.
    group.is_doubtful = group.is_doubtful or not same.is_new and same.at + same.bytes >= self.synced
    return "duplicate"
  elseif #self.entries + #group.entries >= self.limits.entries or self.bytes + group.bytes + #item.body > self.limits.bytes then
    return nil
  elseif not item.id then
    return "unreadable"
  end
  local first = group.by_id[item.id] or self.by_id[item.id]
  if not first or not first.is_new and not is_whole(self, first) then
    return "first"
  end
  return first.outcome == item.outcome and "repeat" or "conflict"
end

-- What ends a record that a crash cut off, so that it never seems whole, and never reaches into those behind it.
local function filler(self)
  local missing = math.max(0, self.torn - self.size)
  return ("#"):rep(missing < MOST_FILLER and missing + 1 or 1) .. "\n"
end

local function field(name, text)
  return text and name .. assert(json.encode(text)) .. "," or ""
end

-- The line of a record, of which most are written: without a table, and without escapes where none are needed.
local function line_of(entry, group)
  return LINE:format(entry.n, entry.bytes, group, entry.hash, field('"id":', entry.id), entry.kind, field('"outcome":', entry.outcome), entry.time)
end

-- The records of a group, and what each of its bodies came to. Their `group` is a number at random: no other record is like them.
local function gather(self, items)
  local name = core.digest.hex(core.system.random(8))
  local group = { entries = {}, by_hash = {}, by_id = {}, bytes = 0, kinds = {}, parts = {} }
  local parts = group.parts
  parts[1] = self.torn and filler(self) or ""
  local at = self.size + #parts[1]
  for i, item in ipairs(items) do
    local kind = classify(self, group, item)
    group.kinds[i] = kind or false
    if kind and kind ~= "duplicate" then
      local entry = { n = #self.entries + #group.entries + 1, time = math.floor(item.now), id = item.id, hash = item.hash,
        outcome = item.outcome, bytes = #item.body, kind = kind }
      local line = line_of(entry, name)
      group.tail = { at = at, line = line:sub(1, -2) }
      entry.at, entry.is_new = at + #line, true
      at = entry.at + entry.bytes + 1
      parts[#parts + 1], parts[#parts + 2], parts[#parts + 3] = line, item.body, "\n"
      group.entries[#group.entries + 1] = entry
      group.by_hash[entry.hash], group.bytes = entry, group.bytes + entry.bytes
      if kind == "first" then
        group.by_id[entry.id] = entry
      end
    end
  end
  group.stop = at
  return group
end

-- Nothing of a group that failed may be taken for kept by those who read later.
local function undo(self, file, size, message, err)
  if not file:truncate(size) then
    self.broken = "what could not be written could not be taken back in " .. self.path
  end
  return fail(message .. tostring(err and err.message), err)
end

local function write(self, items, sync)
  if self.broken then
    return fail(self.broken, nil, "damaged")
  end
  self.is_writing = false -- of a writer that was stopped for good in the middle: whoever has the lock is the only one
  local ok, err = catch_up(self)
  if not ok then
    return nil, err
  end
  local group, size = gather(self, items), self.size
  if #group.entries > 0 or group.is_doubtful then
    local file
    file, err = core.system.append_open(self.path, PRIVATE)
    if not file then
      return fail("cannot be opened: " .. tostring(err and err.message), err)
    end
    self.is_writing = true -- `sync` may let others of this thread run, who read the inbox meanwhile
    ok = #group.entries == 0
    if not ok then
      ok, err = file:write(table.concat(group.parts))
    end
    local what = "cannot be written: "
    if ok then
      local fine
      fine, ok, err = pcall(sync, file)
      if not fine then
        ok, err = nil, error_object.new{ kind = "ledger", retry = false, message = tostring(ok) }
      end
      what = "cannot be synced: "
    end
    if not ok and #group.entries > 0 then
      ok, err = undo(self, file, size, what, err)
    elseif not ok then
      ok, err = fail(what .. tostring(err and err.message), err)
    end
    file:close()
    self.is_writing = false
    if not ok then
      return nil, err
    end
    self.synced = size
    if #group.entries > 0 then
      self.offset, self.synced, self.torn, self.tail = group.stop, group.stop, nil, group.tail
    end
    for _, entry in ipairs(group.entries) do
      entry.is_new, entry.is_whole = nil, true
      add(self, entry)
    end
  end
  return group.kinds
end

local function sync_here(file)
  return file:sync()
end

---Makes what `put_all` takes.
---@param body string
---@param id string? nil when the body could not be read
---@param outcome string? what it says, in a form that does not depend on how it is written
---@param now number
---@return table
function M.item(body, id, outcome, now)
  return { body = body, id = id, outcome = outcome, now = now, hash = hash_of(id, body) }
end

---A kind of `put_all`, as `put` gives it.
---@param kind string|false
---@return string? kind
---@return campaign.error? err
function M.kind_of(kind)
  if not kind then
    return fail("it is full", nil, "full")
  end
  return kind
end

---Keeps a group of bodies, with one write and one sync for all of them.
---@param items table[]
---@param options { seconds: number?, turn: userdata?, sync: (fun(file: userdata): true?, campaign.error?)? }? how long to wait for the lock; a
---`turn` that was taken, given up once the lock is had; another way to sync
---@return (string|false)[]? kinds what each came to, on disk when this is not nil; false where there is no room
---@return campaign.error? err reason `locked` when another process writes
function methods:put_all(items, options)
  options = options or {}
  return locked(self, options.seconds or LOCK_SECONDS, options.turn, write, items, options.sync or sync_here)
end

---Keeps a body. The first one of an id counts; later ones are kept beside it.
---@param body string
---@param id string?
---@param outcome string?
---@param now number
---@return "first"|"repeat"|"conflict"|"unreadable"|"duplicate"|nil kind on disk when this is not nil
---@return campaign.error? err reason `full` when there is no room
function methods:put(body, id, outcome, now)
  local kinds, err = self:put_all({ M.item(body, id, outcome, now) })
  if not kinds then
    return nil, err
  end
  return M.kind_of(kinds[1])
end

---The body of an entry, as it came.
---@param entry table
---@return string? body
---@return campaign.error? err
function methods:text(entry)
  local file = io.open(self.path, "rb")
  local body = file and body_of(file, entry)
  if file then
    file:close()
  end
  if not body then
    return fail(("body %d cannot be read"):format(entry.n), nil, "damaged")
  end
  return body
end

---The body that counts for an id; nil when none came yet.
---@param id string
---@return string? body
---@return campaign.error? err
function methods:body(id)
  local ok, err = catch_up(self)
  if not ok then
    return nil, err
  end
  local entry = self.by_id[id]
  if not entry then
    return nil
  end
  return self:text(entry)
end

---All entries, in the order in which they came: `{ n, time, id, hash, bytes, kind, at }`; the body lies `at` that byte of inbox.log.
---@param kind string? only those
---@return table[]
function methods:list(kind)
  catch_up(self)
  local list = {}
  for _, entry in ipairs(self.entries) do
    if not kind or entry.kind == kind then
      list[#list + 1] = entry
    end
  end
  return list
end

return M

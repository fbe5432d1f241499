-- SPDX-License-Identifier: MIT
-- Stores received callbacks in one append-only file: records of a JSON line and the body as received. A group of records is one write and
-- one sync, and durable when `put` returns. Several processes may share a folder: a writer holds its lock and has read what the others
-- wrote. Knows neither HTTP nor platforms.

local core = require "campaign.core"
local durable = require "campaign.durable"
local error_object = require "campaign.error"
local json = require "campaign.json"

local M = {}

local PRIVATE, FOLDER = 384, 448 -- 0600, 0700
local LOCK_SECONDS = 10
local MOST_FILLER = 16777216 -- a truncated record is missing less; one that claims more is damaged

-- Every record starts a line with this: after a crash or a bad disk, reading resumes at the next complete one.
local MARK = '{"n":'
local LINE = MARK .. '%d,"bytes":%d,"group":"%s","hash":"%s",%s"kind":"%s",%s"time":%d}\n'

local methods = {}
local mt = { __index = methods, __name = "campaign.callback.inbox" }

local function fail(message, cause, reason)
  return error_object.refuse{
    kind = "ledger", reason = reason, message = "callback store: " .. message, cause = cause,
  }
end

local function fail_to_lock(err)
  local is_taken = err and err.kind == "timeout"
  return fail((is_taken and "is locked: " or "cannot be locked: ") .. tostring(err and err.message), err, is_taken and "locked" or nil)
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

-- The record whose first line was read at `at`; the file is then positioned after it. nil unless it ends within the file as its line says; for a
-- record truncated by a crash, the second value is where it should end.
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

-- The next record after an invalid one, with its line and position: here a body is trusted only if it matches its hash. Or nil, and the end
-- of the truncated records.
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
  self.tail = nil -- the last record read: position of its line, and that line, which is unique
  self.offset, self.bytes, self.conflict_count, self.damaged = 0, 0, 0, 0
  self.torn = nil -- end of records that a crash truncated at the end of the file
  self.synced = 0 -- bytes made durable by a sync of this process
  self.entries, self.by_hash, self.by_id, self.in_conflict = {}, {}, {}, {}
end

-- Whether another process removed a group that it could not sync, after this one had read it: there may be other records by now, of any
-- length.
local function is_replaced(self, file)
  if not self.tail then
    return false
  end
  file:seek("set", self.tail.at)
  return file:read(#self.tail.line) ~= self.tail.line
end

-- Reads what was added since. Ignores an unfinished record that a crash left at the end, and a group of this process that is still being
-- synced: it is added once it is durable.
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

-- Whether the body of an entry can be read. Checked only where something would not be written because of it.
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

---Takes the place at the head of the queue for the lock: its holder gets the lock next, and then releases the place. Without it a busy process that
---takes the lock again immediately after releasing it would starve the others.
---@param seconds number
---@return userdata? turn
---@return campaign.error? err reason `locked` if another process has it
function methods:turn(seconds)
  local turn, err = durable.lock(self.folder .. "/turn", seconds)
  if not turn then
    return fail_to_lock(err)
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
    return fail_to_lock(err)
  end
  local well, value, problem = pcall(work, self, ...)
  self.is_writing = false
  lock:close()
  if not well then
    error(value, 0)
  end
  return value, problem
end

-- The empty file, with its name synced. A file without a record is created again: its creator may have died before that.
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

---@param folder string created if necessary
---@param limits { entries: integer, bytes: integer }
---@param is_there boolean? it exists, and is only read: whose it is does not matter (nginx's workers have another user than who joins)
---@param meaning (fun(body: string): string?)? by which bodies of one id with different outcomes may yet be equal; nil: they are not
---@return campaign.callback.inbox? inbox
---@return campaign.error? err
function M.open(folder, limits, is_there, meaning)
  local made, err = true, nil
  if not is_there then
    made, err = core.system.make_dirs(folder, FOLDER)
  end
  if not made then
    return fail("cannot make " .. folder .. ": " .. tostring(err and err.message), err)
  end
  local self = setmetatable({
    folder = folder, path = folder .. "/inbox.log", limits = limits, meaning = meaning, is_writing = false,
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

-- Whether a body says what the first one of its id said, although they differ in what nobody reads of them.
local function means_the_same(self, group, first, item)
  if not self.meaning then
    return false
  end
  local body = not first.meaning and (group.bodies[first] or self:text(first))
  first.meaning = body and self.meaning(body) or first.meaning
  return first.meaning ~= nil and first.meaning == self.meaning(item.body)
end

-- Classifies a body against all that came before it, in the file and in its own group.
local function classify(self, group, item)
  local same = group.by_hash[item.hash] or self.by_hash[item.hash]
  if same and (same.is_new or is_whole(self, same)) then
    -- The writer may have died before its sync: what this process did not sync may be lost in a power failure, and is synced now.
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
  return (first.outcome == item.outcome or means_the_same(self, group, first, item)) and "repeat" or "conflict"
end

-- Terminates a record that a crash truncated, so that it never looks complete and never extends into the next ones.
local function filler(self)
  local missing = math.max(0, self.torn - self.size)
  return ("#"):rep(missing < MOST_FILLER and missing + 1 or 1) .. "\n"
end

local function field(name, text)
  return text and name .. assert(json.encode(text)) .. "," or ""
end

-- The line of a record, the common case: without a table, and without escapes where none are needed.
local function line_of(entry, group)
  return LINE:format(entry.n, entry.bytes, group, entry.hash, field('"id":', entry.id), entry.kind, field('"outcome":', entry.outcome), entry.time)
end

-- The records of a group, and the kind of each of its bodies. Their `group` is a random number, so that the records are unique.
local function gather(self, items)
  local name = core.digest.hex(core.system.random(8))
  local group = { entries = {}, by_hash = {}, by_id = {}, bodies = {}, bytes = 0, kinds = {}, parts = {} }
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
        group.by_id[entry.id], group.bodies[entry] = entry, item.body
      end
    end
  end
  group.stop = at
  return group
end

-- Removes a group that could not be stored, so that readers do not see parts of it.
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
  self.is_writing = false -- of a writer that was stopped for good in the middle: the lock's holder is the only writer
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
    self.is_writing = true -- `sync` may let other code of this thread run, which reads the inbox meanwhile
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
---@param id string? nil if the body could not be parsed
---@param outcome string? its meaning, in a form that does not depend on formatting
---@param now number
---@return table
function M.item(body, id, outcome, now)
  return { body = body, id = id, outcome = outcome, now = now, hash = hash_of(id, body) }
end

---A kind returned by `put_all`, as `put` returns it.
---@param kind string|false
---@return string? kind
---@return campaign.error? err
function M.kind_of(kind)
  if not kind then
    return fail("it is full", nil, "full")
  end
  return kind
end

---Stores a group of bodies, with one write and one sync for all of them.
---@param items table[]
---@param options { seconds: number?, turn: userdata?, sync: (fun(file: userdata): true?, campaign.error?)? }? how long to wait for the lock; a
---`turn` that was taken, released once the lock is held; another way to sync
---@return (string|false)[]? kinds the kind of each, durable if this is not nil; false if there is no room
---@return campaign.error? err reason `locked` if another process writes
function methods:put_all(items, options)
  options = options or {}
  return locked(self, options.seconds or LOCK_SECONDS, options.turn, write, items, options.sync or sync_here)
end

---Stores a body. The first one of an id counts; later ones are stored beside it.
---@param body string
---@param id string?
---@param outcome string?
---@param now number
---@return "first"|"repeat"|"conflict"|"unreadable"|"duplicate"|nil kind durable if this is not nil
---@return campaign.error? err reason `full` if there is no room
function methods:put(body, id, outcome, now)
  local kinds, err = self:put_all({ M.item(body, id, outcome, now) })
  if not kinds then
    return nil, err
  end
  return M.kind_of(kinds[1])
end

---The body of an entry, as received.
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

---The body that counts for an id; nil if none was received.
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

---All entries, in the order received: `{ n, time, id, hash, bytes, kind, at }`; the body is at byte `at` of inbox.log.
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

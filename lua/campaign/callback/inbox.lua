-- SPDX-License-Identifier: MIT
-- Keeps what callbacks brought: every body in a file of its own, and an index with one line a body. Both are on disk when `put` returns.
-- Several processes may use one folder: whoever writes holds its lock and has read what the others wrote. Knows no HTTP and no platform.

local core = require "campaign.core"
local error_object = require "campaign.error"
local json = require "campaign.json"

local M = {}

local PRIVATE, FOLDER = 384, 448 -- 0600, 0700
local LOCK_SECONDS = 10
local MAX_BODY = 16777216

local methods = {}
local mt = { __index = methods, __name = "campaign.callback.inbox" }

local function fail(message, cause, reason)
  return nil, error_object.new{
    kind = "ledger", reason = reason, sent = "no", retry = false, message = "callback store: " .. message, cause = cause,
  }
end

local function add(self, entry)
  local entries = self.entries
  entries[#entries + 1] = entry
  self.bytes = self.bytes + entry.bytes
  self.by_hash[entry.hash] = entry
  if entry.id then
    self.by_id[entry.id] = self.by_id[entry.id] or entry
  end
  if entry.kind == "conflict" then
    self.conflict_count = self.conflict_count + 1
    self.in_conflict[entry.id] = true
  end
end

-- Reads what was added to the index since; a last line that a crash left unfinished does not count.
local function catch_up(self)
  local file = io.open(self.index, "rb")
  if not file then
    return true
  end
  file:seek("set", self.offset)
  local text = file:read("*a") or ""
  file:close()
  local at = 1
  while true do
    local stop = text:find("\n", at, true)
    if not stop then
      break
    end
    local entry = json.decode(text:sub(at, stop - 1))
    if type(entry) == "table" and type(entry.hash) == "string" and type(entry.bytes) == "number" then
      add(self, entry)
    elseif stop > at then
      self.damaged = self.damaged + 1
    end
    at = stop + 1
  end
  self.offset = self.offset + at - 1
  self.is_torn = at <= #text
  return true
end

---@param folder string made when it is not there
---@param limits { entries: integer, bytes: integer }
---@return campaign.callback.inbox? inbox
---@return campaign.error? err
function M.open(folder, limits)
  local made, err = core.system.make_dirs(folder .. "/bodies", FOLDER)
  if not made then
    return fail("cannot make " .. folder .. ": " .. tostring(err and err.message), err)
  end
  local self = setmetatable({
    folder = folder, index = folder .. "/index.jsonl", limits = limits, offset = 0, is_torn = false,
    entries = {}, by_hash = {}, by_id = {}, in_conflict = {}, bytes = 0, conflict_count = 0, damaged = 0,
  }, mt)
  catch_up(self)
  return self
end

local function path_of(self, hash)
  return self.folder .. "/bodies/" .. hash
end

-- One line, on disk when this returns true.
local function append(self, entry)
  local file, err = core.system.append_open(self.index, PRIVATE)
  if not file then
    return nil, err
  end
  local line = (self.is_torn and "\n" or "") .. assert(json.encode(entry)) .. "\n"
  local ok
  ok, err = file:write(line)
  if ok then
    ok, err = file:sync()
  end
  file:close()
  if not ok then
    return nil, err
  end
  self.offset, self.is_torn = self.offset + #line, false
  return true
end

local function put(self, body, hash, id, outcome, now)
  catch_up(self)
  if self.by_hash[hash] then
    return "duplicate"
  end
  if #self.entries >= self.limits.entries or self.bytes + #body > self.limits.bytes then
    return fail("it is full", nil, "full")
  end
  local first = id and self.by_id[id]
  local kind = not id and "unreadable" or not first and "first" or first.outcome == outcome and "repeat" or "conflict"
  local ok, err = core.system.write_atomic(path_of(self, hash), body, PRIVATE)
  if not ok then
    return fail("cannot write a body: " .. tostring(err and err.message), err)
  end
  local entry = { n = #self.entries + 1, time = math.floor(now), id = id, hash = hash, outcome = outcome, bytes = #body, kind = kind }
  ok, err = append(self, entry)
  if not ok then
    return fail("cannot write the index: " .. tostring(err and err.message), err)
  end
  add(self, entry)
  return kind
end

---Keeps a body. The first one of an id counts; later ones are kept beside it.
---@param body string
---@param id string? nil when the body could not be read
---@param outcome string? what it says, in a form that does not depend on how it is written
---@param now number
---@return "first"|"repeat"|"conflict"|"unreadable"|"duplicate"|nil kind on disk when this is not nil
---@return campaign.error? err reason `full` when there is no room
function methods:put(body, id, outcome, now)
  local hash = core.digest.sha256((id or "") .. "\0" .. body)
  local lock, err = core.system.lock(self.folder .. "/lock", LOCK_SECONDS)
  if not lock then
    return fail("is locked: " .. tostring(err and err.message), err)
  end
  local well, kind, problem = pcall(put, self, body, hash, id, outcome, now)
  lock:close()
  if not well then
    error(kind, 0)
  end
  return kind, problem
end

---The body that counts for an id; nil when none came yet.
---@param id string
---@return string? body
---@return campaign.error? err
function methods:body(id)
  catch_up(self)
  local entry = self.by_id[id]
  if not entry then
    return nil
  end
  local text, err = core.system.read_file(path_of(self, entry.hash), MAX_BODY, true)
  if not text then
    return fail("the body of " .. id .. " cannot be read: " .. tostring(err.message), err)
  end
  return text
end

---All entries, in the order in which they came: `{ n, time, id, hash, bytes, kind }`; hash names the file of the body.
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

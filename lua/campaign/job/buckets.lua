-- SPDX-License-Identifier: MIT
-- Records sorted into buckets on disk, so that two streams of any length can be compared bucket by bucket in constant memory. The files are
-- private to the user, in a folder of their own that is removed with them. A record's format is up to its writer; it must not contain a
-- line end.

local core = require "campaign.core"
local discard = require "campaign.discard"
local error_object = require "campaign.error"

local M = {}

local FOLDER_MODE, FILE_MODE = 448, 384 -- 0700, 0600

-- Bytes that are buffered per bucket, and the number of records per bucket that is aimed at.
local CHUNK = 8192
M.PER_BUCKET = 16000
local MOST_BUCKETS = 1024

local methods = {}
local mt = { __index = methods, __name = "campaign.job.buckets" }

local function trouble(path, err)
  return error_object.new{ kind = "ledger", retry = false, cause = err,
    message = "a temporary file for the comparison cannot be written: " .. path .. ": " .. tostring(err),
    hint = "make room in the job's folder" }
end

local function new(path, records)
  discard.folder(path)
  local ok, err = core.system.make_dirs(path, FOLDER_MODE)
  if not ok then
    return nil, trouble(path, err)
  end
  local count = math.min(math.max(math.ceil(records / M.PER_BUCKET), 1), MOST_BUCKETS)
  return setmetatable({ path = path, count = count, _parts = {} }, mt)
end

function methods:_file(name, bucket)
  return ("%s/%s-%d"):format(self.path, name, bucket)
end

function methods:_flush(key)
  local file, err = core.system.append_open(self._parts[key].path, FILE_MODE)
  local ok = file
  if file then
    ok, err = file:write(table.concat(self._parts[key].lines))
    file:close()
  end
  if not ok then
    error(trouble(self._parts[key].path, err), 0)
  end
  self._parts[key] = nil
end

---Adds a record. Raises an error object if it cannot be stored.
---@param name string of the stream
---@param bucket integer from 0
---@param line string
function methods:put(name, bucket, line)
  local path = self:_file(name, bucket)
  local part = self._parts[path]
  if not part then
    part = { path = path, lines = {}, size = 0 }
    self._parts[path] = part
  end
  part.lines[#part.lines + 1] = line
  part.lines[#part.lines + 1] = "\n"
  part.size = part.size + #line + 1
  if part.size >= CHUNK then
    self:_flush(path)
  end
end

---The records of one bucket, in the order in which they were added.
---@param name string
---@param bucket integer
---@return fun(): string?
function methods:each(name, bucket)
  local path = self:_file(name, bucket)
  if self._parts[path] then
    self:_flush(path)
  end
  local file = io.open(path, "rb")
  return function()
    local line = file and file:read("*l")
    if not line and file then
      file:close()
      file = nil
    end
    return line
  end
end

---Makes buckets, calls `use` with them, and removes them.
---@param path string the folder to create; leftovers of an earlier process are removed
---@param records integer approximate number of records
---@param use fun(buckets: table): any, campaign.error? may raise error objects
---@return any value what `use` returns; nil if it raised an error object
---@return campaign.error? err
function M.with(path, records, use)
  local buckets, err = new(path, records)
  if not buckets then
    return nil, err
  end
  local fine, value, problem = pcall(use, buckets)
  discard.folder(path)
  if fine then
    return value, problem
  elseif error_object.is(value) then
    return nil, value
  end
  error(value, 0)
end

return M

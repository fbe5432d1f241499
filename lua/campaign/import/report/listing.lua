-- SPDX-License-Identifier: MIT
-- The row files of a job folder (rejects.csv, duplicates.csv, ambiguous.csv, not_sent.csv): our columns first, then every column of the
-- file with its value unaltered. Written incrementally, so that memory stays flat; a file is created with its first row.

local core = require "campaign.core"
local discard = require "campaign.discard"
local durable = require "campaign.durable"
local folder = require "campaign.import.folder"

local unpack = unpack or table.unpack

local M = {}

-- Our columns. If the file has a column of such a name, ours gets one more underscore.
local COLUMNS = {
  "_row", "_line", "_state", "_cause", "_column", "_reason", "_code", "_message", "_batch", "_attempt",
}

-- Bytes gathered before they are written.
local CHUNK = 65536

local methods = {}
local mt = { __index = methods, __name = "campaign.import.report.listing" }

---The names of our columns beside those of the file.
---@param columns string[] the header of the file
---@return string[]
function M.names(columns)
  local taken, names = {}, {}
  for _, column in ipairs(columns) do
    taken[column] = true
  end
  for i, name in ipairs(COLUMNS) do
    while taken[name] do
      name = "_" .. name
    end
    names[i] = name
  end
  return names
end

---Makes the writer of a row file.
---@param path string? without it rows are counted, not kept
---@param columns string[] the header of the file
---@return table listing
function M.new(path, columns)
  return setmetatable({ path = path, count = 0, _columns = columns, _parts = {}, _size = 0 }, mt)
end

function methods:_put(line)
  self._parts[#self._parts + 1] = line
  self._size = self._size + #line
  if self._size >= CHUNK then
    return self:flush()
  end
  return true
end

-- Writes the header line before the first row.
function methods:_begin(count)
  if self.count == 0 and self.path then
    local ok, err = self:_put(core.csv.row(self._columns, #COLUMNS, unpack(M.names(self._columns))))
    if not ok then
      return nil, err
    end
  end
  self.count = self.count + count
  return true
end

---Adds rows as lines that the core has written, with our columns in the order of COLUMNS.
---@param lines string
---@param count integer of rows
---@return true? ok
---@return campaign.error? err
function methods:add_lines(lines, count)
  local ok, err = self:_begin(count)
  if not ok or not self.path then
    return ok, err
  end
  return self:_put(lines)
end

---Adds a row.
---@param why table row, line, state, cause, column, reason, code, message, batch, attempt
---@param fields string[] the row's values, as many as it has
---@return true? ok
---@return campaign.error? err
function methods:add(why, fields)
  local ok, err = self:_begin(1)
  if not ok or not self.path then
    return ok, err
  end
  return self:_put(core.csv.row(fields, #COLUMNS, why.row, why.line, why.state, why.cause, why.column, why.reason, why.code,
    why.message, why.batch, why.attempt))
end

---Writes what has been gathered.
---@return true? ok
---@return campaign.error? err
function methods:flush()
  if self._size == 0 then
    return true
  end
  local err
  if not self._file then
    self._file, err = core.system.append_open(self.path, 384) -- 0600
    if not self._file then
      return folder.trouble(self.path, err)
    end
  end
  local text = table.concat(self._parts)
  self._parts, self._size = {}, 0
  local ok
  ok, err = self._file:write(text)
  if not ok then
    return folder.trouble(self.path, err)
  end
  return true
end

---Syncs what was listed so far.
---@return integer? bytes of the file; 0 when there is none
---@return campaign.error? err
function methods:sync()
  if not self.path then
    return 0
  end
  local ok, err = self:flush()
  if ok and self._file then
    ok, err = durable.sync(self._file)
    if not ok then
      return folder.trouble(self.path, err)
    end
  end
  if not ok then
    return nil, err
  end
  local found = core.system.stat(self.path)
  return found and found.size or 0
end

---Truncates the file of an earlier run to an earlier length.
---@param bytes integer
---@param count integer rows in them
---@return true? ok
---@return campaign.error? err
function methods:rewind(bytes, count)
  self.count = count
  local ok, err
  if bytes == 0 then
    ok, err = discard.file(self.path)
    if not ok then
      return folder.trouble(self.path, err)
    end
    return true
  end
  self._file, err = core.system.append_open(self.path, 384) -- 0600
  if self._file then
    ok, err = self._file:truncate(bytes)
  end
  if not ok then
    return folder.trouble(self.path, err)
  end
  return true
end

---Writes and syncs the rest, and closes the file.
---@return true? ok
---@return campaign.error? err
function methods:close()
  local ok, err = self:flush()
  if self._file then
    local synced, sync_err = durable.sync(self._file)
    self._file:close()
    self._file = nil
    if ok and not synced then
      ok, err = folder.trouble(self.path, sync_err)
    end
  end
  return ok, err
end

return M

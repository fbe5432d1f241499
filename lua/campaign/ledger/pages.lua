-- SPDX-License-Identifier: MIT
-- Reads the records of an SQLite file page by page, ignoring the b-tree above them, so that intact records are found whatever else is
-- damaged: leaf pages of tables, overflow pages of long records, and the committed frames of the log (https://sqlite.org/fileformat2.html),
-- which the core finds.
-- Knows no table: a record is a rowid and its values.

local core = require "campaign.core"

local M = {}

local LEAF = 13
local DEFAULT_PAGE = 4096
-- Largest record that is assembled, in bytes; the longest one is the job's own record.
local MOST_PAYLOAD = 33554432

local function u16(text, at)
  local high, low = text:byte(at, at + 1)
  return high * 256 + low
end

local function u32(text, at)
  local a, b, c, d = text:byte(at, at + 3)
  return ((a * 256 + b) * 256 + c) * 256 + d
end

-- A variable-length integer of at most nine bytes; nil if it is truncated. Exact up to 2^53; sizes, types and row numbers are never larger.
local function varint(text, at)
  local value = 0
  for i = 0, 8 do
    local byte = text:byte(at + i)
    if not byte then
      return nil
    end
    if i == 8 then
      return value * 256 + byte, at + 9
    elseif byte < 128 then
      return value * 128 + byte, at + i + 1
    end
    value = value * 128 + byte - 128
  end
end

local function signed(text, at, bytes)
  local value = text:byte(at)
  if value >= 128 then
    value = value - 256
  end
  for i = 1, bytes - 1 do
    value = value * 256 + text:byte(at + i)
  end
  return value
end

local function double(text, at)
  local a, b, c, d, e, f, g, h = text:byte(at, at + 7)
  local exponent = a % 128 * 16 + math.floor(b / 16)
  local mantissa = (((((b % 16 * 256 + c) * 256 + d) * 256 + e) * 256 + f) * 256 + g) * 256 + h
  if exponent == 2047 then
    return nil
  end
  local value = exponent == 0 and mantissa * 2.0 ^ -1074 or (mantissa + 4503599627370496) * 2.0 ^ (exponent - 1075)
  return a >= 128 and -value or value
end

local INTEGER_BYTES = { 1, 2, 3, 4, 6, 8 }

-- Reads a value by its serial type: value, length; nothing if the type is invalid.
local function value_of(text, at, kind)
  if kind == 0 then
    return nil, 0
  elseif kind <= 6 then
    return signed(text, at, INTEGER_BYTES[kind]), INTEGER_BYTES[kind]
  elseif kind == 7 then
    return double(text, at), 8
  elseif kind == 8 or kind == 9 then
    return kind - 8, 0
  end
  local length = math.floor((kind - 12) / 2)
  return text:sub(at, at + length - 1), length
end

local function length_of(kind)
  if kind == 7 then
    return 8
  elseif kind <= 6 then
    return INTEGER_BYTES[kind] or 0
  end
  return kind < 12 and 0 or math.floor((kind - 12) / 2)
end

-- The values of a record; nil if its header does not match its length.
local function decode(payload)
  local header, at = varint(payload, 1)
  if not header or header > #payload or header < 1 then
    return nil
  end
  local kinds, count, body = {}, 0, header + 1
  local length = 0
  while at <= header do
    local kind
    kind, at = varint(payload, at)
    if not kind or kind == 10 or kind == 11 then
      return nil
    end
    count = count + 1
    kinds[count] = kind
    length = length + length_of(kind)
  end
  if at ~= header + 1 or header + length ~= #payload then
    return nil
  end
  local values = { n = count }
  for i = 1, count do
    local value, used = value_of(payload, body, kinds[i])
    values[i], body = value, body + used
  end
  return values
end

local reader = {}
local reader_mt = { __index = reader }

function reader:page(number)
  local at, file = self.in_log[number], self.log
  if not at then
    at, file = (number - 1) * self.page_size, self.file
  end
  file:seek("set", at)
  local text = file:read(self.page_size)
  return text and #text == self.page_size and text or nil
end

-- A payload that starts in a cell and may continue in overflow pages; nil if a page of the chain is missing.
function reader:payload(page, at, size)
  local usable = self.page_size
  local most = usable - 35
  if size <= most then
    local text = page:sub(at, at + size - 1)
    return #text == size and text or nil
  end
  local least = math.floor((usable - 12) * 32 / 255) - 23
  local here = least + (size - least) % (usable - 4)
  if here > most then
    here = least
  end
  if at + here + 3 > #page then
    return nil
  end
  local parts, left, following = { page:sub(at, at + here - 1) }, size - here, u32(page, at + here)
  while left > 0 do
    local overflow = following > 0 and following <= self.last and self:page(following)
    if not overflow then
      return nil
    end
    local take = math.min(left, usable - 4)
    parts[#parts + 1] = overflow:sub(5, 4 + take)
    left, following = left - take, u32(overflow, 1)
  end
  return table.concat(parts)
end

-- Finds the pages of the free list: their content was deleted or moved.
function reader:find_free()
  local head = self:page(1)
  local trunk, seen = head and head:sub(1, 15) == "SQLite format 3" and u32(head, 33) or 0, 0
  while trunk > 0 and trunk <= self.last and not self.free[trunk] and seen < self.last do
    self.free[trunk], seen = true, seen + 1
    local page = self:page(trunk)
    if not page then
      return
    end
    for i = 1, math.min(u32(page, 5), math.floor(self.page_size / 4) - 2) do
      self.free[u32(page, 5 + 4 * i)] = true
    end
    trunk = u32(page, 1)
  end
end

function reader:cell(page, pointer, take)
  local size, at = varint(page, pointer + 1)
  local rowid
  if size then
    rowid, at = varint(page, at)
  end
  if not rowid or size < 2 or size > MOST_PAYLOAD then
    return false
  end
  local payload = self:payload(page, at, size)
  local values = payload and decode(payload)
  if values then
    take(rowid, values)
  end
  return values ~= nil
end

---Passes every record of every intact leaf page to `take`.
---@param take fun(rowid: integer, values: table) values.n of them; nil for NULL
---@return integer read records
---@return integer unreadable records whose page is there and that are not whole
function reader:each(take)
  local read, bad = 0, 0
  for number = 1, self.last do
    local page = not self.free[number] and self:page(number)
    local head = number == 1 and 101 or 1
    if page and page:byte(head) == LEAF then
      local cells = math.min(u16(page, head + 3), math.floor(self.page_size / 4))
      for i = 0, cells - 1 do
        local place = head + 8 + 2 * i
        local pointer = place < #page and u16(page, place) or #page
        if pointer < #page and self:cell(page, pointer, take) then
          read = read + 1
        else
          bad = bad + 1
        end
      end
    end
  end
  return read, bad
end

function reader:close()
  self.file:close()
  if self.log then
    self.log:close()
  end
end

-- The page size in the file's header, or that of ledgers if the header is invalid.
local function page_size_of(file)
  local head = file:read(100) or ""
  local size = #head >= 18 and u16(head, 17) or 0
  size = size == 1 and 65536 or size
  local is_size = size >= 512 and size <= 65536 and 2 ^ math.floor(math.log(size) / math.log(2) + 0.5) == size
  return is_size and size or DEFAULT_PAGE
end

---Opens a file, whatever state it is in, with the log beside it.
---@param path string
---@return table? reader `log_lost`: what is wrong with the log, if anything is
---@return any why
function M.open(path)
  local log, log_err = core.store.log(path)
  if not log then
    return nil, log_err
  end
  local file, why = io.open(path, "rb")
  if not file then
    return nil, why
  end
  local self = setmetatable({ file = file, page_size = page_size_of(file), in_log = log.pages, log_lost = log.lost, free = {} }, reader_mt)
  self.last = math.floor(file:seek("end") / self.page_size)
  if next(log.pages) then
    self.log = io.open(path .. "-wal", "rb")
  end
  for number in pairs(log.pages) do
    self.last = math.max(self.last, number)
  end
  self:find_free()
  return self
end

return M

-- SPDX-License-Identifier: MIT
-- Reads the records of an SQLite file page by page, without the tree above them, so that what is intact is found whatever else is damaged:
-- leaf pages of tables, the overflow pages behind long records, and the committed frames of the log (https://sqlite.org/fileformat2.html).
-- Knows no table: a record is a rowid and its values.

local M = {}

local LEAF = 13
local DEFAULT_PAGE = 4096
local WAL_HEADER, FRAME_HEADER = 32, 24
local TWO_32 = 4294967296
-- Largest record that is put together; the job's own record is the longest there is.
local MOST_PAYLOAD = 33554432

local function u16(text, at)
  local high, low = text:byte(at, at + 1)
  return high * 256 + low
end

local function u32(text, at)
  local a, b, c, d = text:byte(at, at + 3)
  return ((a * 256 + b) * 256 + c) * 256 + d
end

-- A variable-length integer of at most nine bytes; nil when the text ends in it. Exact up to 2^53: longer ones are no sizes, types or rows.
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

-- One value by its serial type: value, length; nothing when the type is none.
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

-- The values of a record; nil when its header does not fit it.
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

-- Checksums of the log: two sums over words of 32 bits, in the byte order that its head names.
local function summer(is_big)
  local s0, s1 = 0, 0
  return function(text, from, to)
    for at = from, to, 8 do
      local a, b, c, d, e, f, g, h = text:byte(at, at + 7)
      local x0, x1
      if is_big then
        x0, x1 = ((a * 256 + b) * 256 + c) * 256 + d, ((e * 256 + f) * 256 + g) * 256 + h
      else
        x0, x1 = ((d * 256 + c) * 256 + b) * 256 + a, ((h * 256 + g) * 256 + f) * 256 + e
      end
      s0 = (s0 + x0 + s1) % TWO_32
      s1 = (s1 + x1 + s0) % TWO_32
    end
    return s0, s1
  end
end

-- Walks over the sound frames of a log: `take(page, offset of its content, is_commit)`. Gives the place of the first frame that is not sound, and
-- what tells frames of this log from older ones; nothing when there is no log.
local function walk_log(file, page_size, take)
  local head = file:read(WAL_HEADER) or ""
  local magic = #head == WAL_HEADER and u32(head, 1) or 0
  if (magic ~= 931071618 and magic ~= 931071619) or u32(head, 9) ~= page_size then -- 0x377f0682, 0x377f0683
    return nil
  end
  local add = summer(magic % 2 == 1)
  local s0, s1 = add(head, 1, 24)
  if s0 ~= u32(head, 25) or s1 ~= u32(head, 29) then
    return nil
  end
  local salts, offset = head:sub(17, 24), WAL_HEADER
  while true do
    local frame = file:read(FRAME_HEADER + page_size)
    if not frame or #frame < FRAME_HEADER + page_size or frame:sub(9, 16) ~= salts then
      return offset, salts
    end
    add(frame, 1, 8)
    s0, s1 = add(frame, FRAME_HEADER + 1, #frame)
    if s0 ~= u32(frame, 17) or s1 ~= u32(frame, 21) then
      return offset, salts
    end
    take(u32(frame, 1), offset + FRAME_HEADER, u32(frame, 5) > 0)
    offset = offset + #frame
  end
end

-- Where the newest committed copy of each page stands in the log.
local function read_log(self, path)
  local file = io.open(path, "rb")
  if not file then
    return
  end
  self.log = file
  local waiting = {}
  walk_log(file, self.page_size, function(number, at, is_commit)
    waiting[number] = at
    self.last = math.max(self.last, number)
    if is_commit then
      for page, place in pairs(waiting) do
        self.in_log[page] = place
      end
      waiting = {}
    end
  end)
end

function reader:page(number)
  local at, file = self.in_log[number], self.log
  if not at then
    at, file = (number - 1) * self.page_size, self.file
  end
  file:seek("set", at)
  local text = file:read(self.page_size)
  return text and #text == self.page_size and text or nil
end

-- A payload that begins in a cell, with what of it stands in overflow pages; nil when a page of the chain is not there.
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

-- Pages that the file itself calls unused hold what was deleted or moved away.
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

---Hands over every record of every intact leaf page.
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

-- What the head of the file says; what the ledger has, where that is nonsense.
local function page_size_of(file)
  local head = file:read(100) or ""
  local size = #head >= 18 and u16(head, 17) or 0
  size = size == 1 and 65536 or size
  local is_size = size >= 512 and size <= 65536 and 2 ^ math.floor(math.log(size) / math.log(2) + 0.5) == size
  return is_size and size or DEFAULT_PAGE
end

---Whether a log was damaged in its middle. SQLite would take it to end there, and forget commits that were on disk: intents among them. A frame that is
---not sound is the end of a log only while no whole transaction follows it, since each is synced before the next begins.
---@param path string of the file
---@return boolean sound
function M.log_is_sound(path)
  local log = io.open(path .. "-wal", "rb")
  if not log then
    return true
  end
  local file = io.open(path, "rb")
  local page_size = file and page_size_of(file) or DEFAULT_PAGE
  if file then
    file:close()
  end
  local offset, salts = walk_log(log, page_size, function() end)
  local commits, followed = 0, false
  while offset do
    offset = offset + FRAME_HEADER + page_size
    log:seek("set", offset)
    local head = log:read(FRAME_HEADER)
    if not head or #head < FRAME_HEADER then
      break
    end
    if head:sub(9, 16) == salts then
      followed = followed or commits > 0
      commits = commits + (u32(head, 5) > 0 and 1 or 0)
    end
  end
  log:close()
  return not followed
end

---Opens a file, whatever state it is in, with the log beside it.
---@param path string
---@param log string? path of its log
---@return table? reader
---@return string? why
function M.open(path, log)
  local file, why = io.open(path, "rb")
  if not file then
    return nil, why
  end
  local self = setmetatable({ file = file, page_size = page_size_of(file), in_log = {}, free = {} }, reader_mt)
  self.last = math.floor(file:seek("end") / self.page_size)
  read_log(self, log or path .. "-wal")
  self:find_free()
  return self
end

return M

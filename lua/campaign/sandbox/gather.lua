-- SPDX-License-Identifier: MIT
-- Concatenates text from pieces: in memory of its own if the Lua has FFI, so that no piece and no line becomes a Lua string (LuaJIT hashes
-- each one, and lines of rows are much alike); else as a list of pieces.

local M = {}

local methods = {}
local mt = { __index = methods, __name = "sandbox.gather" }

local has_ffi, ffi = pcall(require, "ffi")

---@param room integer bytes to begin with
function M.new(room)
  if not has_ffi then
    return setmetatable({ pieces = {} }, mt)
  end
  return setmetatable({ room = room, length = 0, bytes = ffi.new("char[?]", room) }, mt)
end

local function grow(self, more)
  local room = self.room
  while room < self.length + more do
    room = room * 2
  end
  local bytes = ffi.new("char[?]", room)
  ffi.copy(bytes, self.bytes, self.length)
  self.bytes, self.room = bytes, room
end

---Adds a text.
---@param text string
function methods:put(text)
  if not self.bytes then
    self.pieces[#self.pieces + 1] = text
    return
  end
  local size = #text
  if self.length + size > self.room then
    grow(self, size)
  end
  ffi.copy(self.bytes + self.length, text, size)
  self.length = self.length + size
end

---Adds a part of a text, from byte to byte.
---@param text string
---@param from integer
---@param to integer
function methods:put_part(text, from, to)
  if not self.bytes then
    self.pieces[#self.pieces + 1] = text:sub(from, to)
    return
  end
  local size = to - from + 1
  if self.length + size > self.room then
    grow(self, size)
  end
  ffi.copy(self.bytes + self.length, ffi.cast("const char *", text) + (from - 1), size)
  self.length = self.length + size
end

---Bytes that wait. Not told where there is no FFI: 0 while nothing waits, else more than any limit.
---@return integer
function methods:size()
  return self.bytes and self.length or #self.pieces == 0 and 0 or math.huge
end

---Takes all, which leaves nothing.
---@return string
function methods:take()
  if not self.bytes then
    local text = table.concat(self.pieces)
    self.pieces = {}
    return text
  end
  local text = ffi.string(self.bytes, self.length)
  self.length = 0
  return text
end

return M

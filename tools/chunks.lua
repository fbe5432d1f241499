-- SPDX-License-Identifier: MIT
-- Compiles the modules at build time, for one interpreter, into a file that goes into the core: src/lua/lchunks.c loads them from there as long
-- as their sources are the same. Run by the interpreter that they are for:
--
--   lua tools/chunks.lua OUT RELEASE FOLDER FILE...    RELEASE: "Lua 5.4.4", what the interpreter says of itself; FILE: under FOLDER
--
-- OUT: "CAMPCHNK", then numbers of four bytes, least first, and texts with their length before them:
--   number of modules, offset of their table, RELEASE, version of LuaJIT or nothing, PROBE, what PROBE compiles to
--   the table, sorted by name: offset and length of the name, size and CRC-32C of the source, offset of the chunk, lengths of its two parts
-- The name of a source stands at the beginning of a chunk: the parts are what comes before and after it with its length.

local out, release, folder = arg[1], arg[2], arg[3]

local jit = rawget(_G, "jit")

-- A chunk with every kind of statement: an interpreter that compiles it to the same bytes reads what this one has written.
local PROBE = [[
local a, b = ..., 1.5
local t = { 1, "two", three = a, [b] = { ... } }
for i = 1, 10, 2 do t[i] = i * b - i / 3 + i % 7 ^ 2 end
for k, v in pairs(t) do if k == v or not v then t[k] = nil elseif k ~= "x" and #t > 2 then break end end
while a do repeat local c = a .. b; a = c < "z" and function() b = b + 1 return c, t.three(a) end until a end
function t:m(x, ...) self.y = -x; return select("#", ...), t.m(self, ...) end
return function() return t end
]]

local crc32c
do
  local xor_shift = load(jit and [[
    local bit = require "bit"
    return function(a, b) return bit.bxor(a, b) end, function(a, n) return bit.rshift(a, n) end, function(a, b) return bit.band(a, b) end
  ]] or "return function(a, b) return a ~ b end, function(a, n) return a >> n end, function(a, b) return a & b end")
  local xor, shift, mask = xor_shift()
  local TABLE = {}
  for byte = 0, 255 do
    local value = byte
    for _ = 1, 8 do
      local odd = mask(value, 1) == 1
      value = shift(value, 1)
      value = odd and xor(value, 0x82F63B78) or value
    end
    TABLE[byte] = value
  end
  function crc32c(text)
    local value = 0xFFFFFFFF
    for i = 1, #text do
      value = xor(TABLE[mask(xor(value, text:byte(i)), 255)], shift(value, 8))
    end
    return xor(value, 0xFFFFFFFF) % 4294967296
  end
end

local function number(value)
  return string.char(value % 256, math.floor(value / 256) % 256, math.floor(value / 65536) % 256, math.floor(value / 16777216))
end

local function text(bytes)
  return number(#bytes) .. bytes
end

-- A name that stands nowhere else.
local PLACE = "\1campaign's place\1"

-- How a chunk tells the length of the name of its source.
local function length_of(name)
  if jit then
    return string.char(#name + 1) -- with the "@" before it; shorter than 128
  end
  return string.char(#name + 2 + 128) -- and one more, by Lua's own count
end

-- A chunk of Lua 5.4 without the names of local variables and upvalues, which are half of what there is to load and only say more in messages
-- about faults in the modules themselves. Lines stay.
local function without_names(chunk)
  local at, pieces = 1, {}
  local function pass(count)
    at = at + count
  end
  local function integer()
    local value = 0
    repeat
      local byte = chunk:byte(at)
      value, at = value * 128 + byte % 128, at + 1
    until byte >= 128
    return value
  end
  local function string_()
    pass(math.max(integer() - 1, 0))
  end
  local CONSTANT = { [0] = 0, 0, [3] = 8, [17] = 0, [19] = 8 } -- nil, false, integer, true, float; else a string
  local function body()
    string_()
    integer()
    integer()
    pass(3)
    pass(4 * integer())
    for _ = 1, integer() do
      local size = CONSTANT[chunk:byte(at)]
      pass(1)
      if size then pass(size) else string_() end
    end
    pass(3 * integer())
    for _ = 1, integer() do
      body()
    end
    pass(integer())
    for _ = 1, 2 * integer() do
      integer()
    end
    pieces[#pieces + 1] = { ends = at - 1 }
    for _ = 1, integer() do
      string_()
      integer()
      integer()
    end
    for _ = 1, integer() do
      string_()
    end
    pieces[#pieces].goes_on = at
  end
  pass(32) -- the header
  body()
  assert(at == #chunk + 1, "a chunk is not as Lua 5.4 writes it")
  local from, kept = 1, {}
  for _, piece in ipairs(pieces) do
    kept[#kept + 1] = chunk:sub(from, piece.ends) .. "\128\128" -- no names, and none
    from = piece.goes_on
  end
  return table.concat(kept)
end

local function parts_of(path, source)
  local chunk = string.dump(assert(load(source, "@" .. PLACE, "t")), false)
  if not jit then
    chunk = without_names(chunk)
    assert(load(chunk, path, "b"))
  end
  local mark = length_of(PLACE) .. "@" .. PLACE
  local first, last = chunk:find(mark, 1, true)
  assert(first and not chunk:find(PLACE, last + 1, true), path .. ": its chunk does not look as expected")
  return chunk:sub(1, first - 1), chunk:sub(last + 1)
end

local modules = {}
for i = 4, #arg do
  local path = arg[i]
  local name = path:sub(#folder + 2):gsub("%.lua$", ""):gsub("/", "."):gsub("%.init$", "")
  local file = assert(io.open(path, "rb"))
  local source = file:read("*a")
  file:close()
  local head, tail = parts_of(path, source)
  modules[#modules + 1] = { name = name, size = #source, crc = crc32c(source), head = head, tail = tail }
end
table.sort(modules, function(a, b) return a.name < b.name end)

local preface = text(release) .. text(jit and jit.version or "") .. text(PROBE) .. text(string.dump(assert(load(PROBE, "=probe")), true))
local at = 8 + 8 + #preface
local names, entries, chunks = {}, {}, {}
local name_at = at + #modules * 28
local total = name_at
for _, module in ipairs(modules) do
  total = total + #module.name
end
for i, module in ipairs(modules) do
  entries[i] = number(name_at) .. number(#module.name) .. number(module.size) .. number(module.crc) .. number(total)
    .. number(#module.head) .. number(#module.tail)
  names[i], chunks[i] = module.name, module.head .. module.tail
  name_at, total = name_at + #module.name, total + #chunks[i]
end
local file = assert(io.open(out, "wb"))
assert(file:write("CAMPCHNK", number(#modules), number(at), preface, table.concat(entries), table.concat(names), table.concat(chunks)))
assert(file:close())

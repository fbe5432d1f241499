-- SPDX-License-Identifier: MIT
-- Calls a function for the rows of a core.rows.rewrite, in either of two ways. plain: fields pass through the Lua API, on any Lua; tests compare the
-- other way with it. compiled: on LuaJIT, through its foreign function interface, so that the loop, the user's function and the access to
-- the row become one piece of machine code; whatever is rare or an error is left to the plain way's functions, and ends as it does there.
-- A function that LuaJIT does not compile is two or three times slower in the second way than in the first, so both are tried on the first rows.

local M = {}

local clock = os.clock

---@alias campaign.row_walk fun(number: integer, count: integer): integer?, campaign.error? number of the row before (0: none) → of the next

-- Rows per trial, and trials. The ways alternate; the first trial of the compiled way is not measured, since LuaJIT has not compiled it yet.
local TRIAL = 512
local TRIALS = 5

-- The pause of LuaJIT's collector in percent, and the heap in KB up to which it is set. A pass makes nothing but short-lived strings; with
-- the usual pause they outgrow the processor's cache, and the table of strings is made larger and smaller in every cycle. To walk a large
-- heap that often would cost more than that.
local EARLY = 120
local SMALL = 4096

---Lets LuaJIT collect earlier, while the heap is small.
---@return fun(is_over: boolean) watch to be called now and then, and with true at the end
function M.collect_early()
  local before = rawget(_G, "jit") and collectgarbage("count") < SMALL and collectgarbage("setpause", EARLY)
  return function(is_over)
    if before and (is_over or collectgarbage("count") > SMALL) then
      collectgarbage("setpause", before)
      before = nil
    end
  end
end

---@param rewrite table
---@param map function
---@return campaign.row_walk
function M.plain(rewrite, map)
  local next_row, row = rewrite:walk()
  return function(number, count)
    local err
    for _ = 1, count do
      if number == 0 then
        number, err = next_row()
      else
        number, err = next_row(map(row, number))
      end
      if not number then
        return nil, err
      end
    end
    return number
  end
end

-- What the core knows of these types: lrewrite.c.
local FOUND = "struct { const char *text; int32_t length; } *"
local CALLS = [[struct {
  int (*read)(void *, int32_t);
  int (*write)(void *, int32_t, const char *, int32_t);
  double (*advance)(void *);
} *]]

local function foreign()
  local ok, ffi = pcall(require, "ffi")
  return jit and jit.status() and ok and ffi or nil
end

-- No upvalues: each job has a copy of its own, since what LuaJIT learns of a function it keeps for good, and this one calls everybody's.
local function bind(tools, map)
  local box, found, places, index, newindex = tools.box, tools.found, tools.places, tools.index, tools.newindex
  local read, write, advance, next_row, row = tools.read, tools.write, tools.advance, tools.next_row, tools.row
  local text_of, rawequal, tostring, type = tools.text_of, rawequal, tostring, type
  local MOST = 1e14 -- tostring has 14 digits
  local own = {}

  -- The calls of index and newindex are tail calls: messages then blame the line of the script.
  function own.index(self, key)
    local place = places[key]
    if place and read(box, place) ~= 0 then
      return text_of(found.text, found.length)
    end
    return index(self, key)
  end

  function own.newindex(self, key, value)
    local place = places[key]
    if type(value) == "number" and value % 1 == 0 and value ~= 0 and value > -MOST and value < MOST then
      value = tostring(value) -- as the core writes them; of zeros there are two
    end
    if place and type(value) == "string" and write(box, place, value, #value) ~= 0 then
      return
    end
    return newindex(self, key, value)
  end

  function own.walk(number, count)
    for _ = 1, count do
      local err
      if number == 0 then
        number, err = next_row()
      else
        local said, more = map(row, number)
        if rawequal(said, true) or rawequal(said, nil) and rawequal(more, nil) then
          number = advance(box)
        else
          number, err = next_row(said, more)
        end
      end
      if not number or number < 0 then
        return number, err
      end
    end
    return number
  end

  return own
end

---nil where LuaJIT is not there, or does not compile.
---@param rewrite table
---@param map function
---@return campaign.row_walk?
function M.compiled(rewrite, map)
  local ffi = foreign()
  if not ffi then
    return nil
  end
  local address, calls, places, index, newindex = rewrite:calls()
  address, calls = ffi.cast("uintptr_t", address), ffi.cast(CALLS, ffi.cast("uintptr_t", calls))
  local next_row, row = rewrite:walk()
  local own = load(string.dump(bind))({
    box = ffi.cast("void *", address), found = ffi.cast(FOUND, address), places = places, index = index, newindex = newindex,
    read = calls.read, write = calls.write, advance = calls.advance, next_row = next_row, row = row, text_of = ffi.string,
  }, map)
  return function(number, count)
    local err
    rewrite:replace(own.index, own.newindex)
    number, err = own.walk(number, count)
    rewrite:replace(index, newindex)
    if not number or number >= 0 then
      return number, err
    end
    return rewrite:ended()
  end
end

-- Walks in both ways by turns, then in the quicker one.
local function quicker(plain, compiled)
  local least = { [plain] = math.huge, [compiled] = math.huge }
  local turn, chosen = 0, nil
  return function(number, count)
    if chosen then
      return chosen(number, count)
    end
    local way, started = turn % 2 == 0 and compiled or plain, clock()
    local err
    number, err = way(number, TRIAL)
    if turn > 0 then
      least[way] = math.min(least[way], clock() - started)
    end
    turn = turn + 1
    if turn == TRIALS then
      chosen = least[compiled] < least[plain] and compiled or plain
    end
    return number, err
  end
end

---@param rewrite table
---@param map function
---@return campaign.row_walk
function M.of(rewrite, map)
  local plain, compiled = M.plain(rewrite, map), M.compiled(rewrite, map)
  return compiled and quicker(plain, compiled) or plain
end

return M

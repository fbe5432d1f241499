-- SPDX-License-Identifier: MIT
-- Sets of keys: what a key costs in time and memory when a suppression list is read, when rows are looked up in it, and when duplicates are
-- found; and whether a row costs the same at the end of a long list as at its beginning. CPU time, of this process alone.
--
--   lua bench/keys.lua [KEYS] [FOLDER]     default: 1000000, $TMPDIR or /tmp; BENCH_ROUNDS: 5

local core = require "campaign.core"

io.stdout:setvbuf("line")
local count = tonumber(arg[1] or "") or 1000000
local folder = arg[2] or os.getenv("TMPDIR") or "/tmp"
local path = ("%s/campaign-bench-keys-%d.csv"):format(folder, core.system.pid())

-- Numbers that nobody has, each once, in no order: a multiplication modulo a prime. `rest` stands behind each of them.
local function write_list(header, prefix, factor, rest)
  local file = assert(io.open(path, "wb"))
  file:write(header, "\n")
  local parts = {}
  for i = 1, count do
    parts[#parts + 1] = prefix .. ("%08d"):format(i * factor % 99999989) .. rest
    if #parts == 5000 or i == count then
      file:write(table.concat(parts))
      parts = {}
    end
  end
  file:close()
end

local function resident(name)
  for line in io.lines("/proc/self/status") do
    local kb = line:match("^" .. name .. ":%s+(%d+)")
    if kb then
      return tonumber(kb) / 1024
    end
  end
  return 0
end

local function line(title, text)
  print(("%-46s %s"):format(title, text))
end

local function input()
  return assert(core.rows.input{ path = path, encoding = "utf-8" })
end

local encoder = assert(core.rows.encoder{ format = "json", row = "object", columns = 4, prefix = '{"data":[', suffix = "]}", separator = ",",
  fields = { { name = "phone", column = 1, required = true }, { name = "name", column = 2, max_length = 50 }, { name = "email", column = 3 },
    { name = "company", column = 4, max_length = 100 } } })

local HEADER, REST = "phone,name,email,company", ",戴桂家,guijia.dai7252@mail.example.com,乌鲁木齐青岚装饰设计股份有限公司\n"

-- CPU seconds of a pass, and of each tenth of it.
local function pass(options)
  options.batch_rows = 1000000
  local list = input()
  local run, bytes, tenths = assert(core.rows.preflight(list, encoder, options)), 0, {}
  local total, left_out = list:info().bytes, 0
  local began = os.clock()
  local tenth = began
  for step in function() return run:step() end do
    bytes, left_out = bytes + step.bytes, left_out + step.duplicate + step.suppressed
    if bytes >= total * (#tenths + 1) / 10 then
      local now = os.clock()
      tenths[#tenths + 1], tenth = now - tenth, now
    end
  end
  local seconds = os.clock() - began
  run:close()
  list:close()
  return seconds, left_out, tenths
end

write_list("phone", "154", 48271, "\n")
local worst, source, began = 0, input(), os.clock()
local list = assert(core.rows.key_list(source, { column = 1, form = "phone" }))
repeat
  local more, err = list:step()
  assert(not err, tostring(err))
  local info = list:info()
  if info.keys > 100000 then
    worst = math.max(worst, info.memory / info.keys)
  end
until not more
local loaded = os.clock() - began
source:close()
local info = list:info()
assert(info.keys == count)
line(("a list of %.0f keys read"):format(count), ("%5.0f ns a key, with reading its file"):format(loaded / count * 1e9))
line("  memory", ("%5.1f bytes a key, at most %.1f above 100,000 keys; resident %.0f MB"):format(info.memory / count, worst, resident("VmHWM")))

write_list(HEADER, "155", 7919, REST)
-- Each round does without, with the list, with the duplicates, one after the other, and the next round begins without again; medians of the
-- differences to the mean of the passes before and after are told.
local ROUNDS = tonumber(os.getenv("BENCH_ROUNDS") or "") or 5
local bares, looked, unique, tenths = {}, {}, {}, nil
local function median(values)
  table.sort(values)
  return (values[math.floor((#values + 1) / 2)] + values[math.ceil((#values + 1) / 2)]) / 2
end
local before = pass{}
for round = 1, ROUNDS do
  local with_list, none = pass{ suppress = { { list = list, column = 1 } } }
  assert(none == 0)
  local with_unique, duplicates = pass{ unique = 1 }
  assert(duplicates == 0)
  local after, _, parts = pass{}
  local bare = (before + after) / 2 -- so that no drift counts for one side
  bares[round], looked[round], unique[round] = bare, with_list - bare, with_unique - bare
  before, tenths = after, parts
end
local keyed = pass{ keys = { secret = ("s"):rep(32), columns = { 1, 2, 3, 4 } } } - before
list:close()
local bare = median(bares)
line(("%.0f rows looked up in it, none is there"):format(count), ("%5.0f ns a key, median of %d"):format(median(looked) / count * 1e9, ROUNDS))
line(("duplicates looked for in %.0f rows"):format(count), ("%5.0f ns a key"):format(median(unique) / count * 1e9))
line("row keys made for a later since", ("%5.0f ns a row, one pass"):format(keyed / count * 1e9))
local hashes = resident("VmHWM")
line(("the bare pass over %.0f rows"):format(count), ("%5.0f ns a row; its last tenth by its first: %.2f; resident %.0f MB"):format(
  bare / count * 1e9, tenths[#tenths] / tenths[1], hashes))
os.remove(path)

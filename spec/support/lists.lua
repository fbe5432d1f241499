-- SPDX-License-Identifier: MIT
-- What the specs of lists share: files with given bytes, a plain reader of CSV as the oracle of the core's, and seeded random numbers.

local M = {}

local files = {}

---Writes the bytes to a new file, removed by M.clean; returns its path.
function M.file(bytes)
  local path = os.tmpname()
  files[#files + 1] = path
  M.write(path, bytes)
  return path
end

function M.write(path, bytes)
  local file = assert(io.open(path, "wb"))
  file:write(bytes)
  file:close()
end

function M.clean()
  for _, path in ipairs(files) do
    os.remove(path)
  end
  files = {}
end

---A generator that gives the same numbers on every Lua: random(n) is 1 to n.
function M.random(seed)
  local state = seed % 2147483647
  if state == 0 then
    state = 1
  end
  return function(n)
    state = state * 16807 % 2147483647
    return state % n + 1
  end
end

---The seed of a random test: CAMPAIGN_SEED, or the time. Specs name it in their messages.
function M.seed()
  return tonumber(os.getenv("CAMPAIGN_SEED") or "") or os.time()
end

---How many rounds of a random test to run: fewer under valgrind, where each takes fifty times as long.
function M.rounds(count)
  return os.getenv("CAMPAIGN_TEST_TOOL") == "valgrind" and math.ceil(count / 20) or count
end

-- Byte by byte, after the rules in docs/rows.md. Returns records { fields, line, offset, bytes, fault }, and the row and line of a quote
-- that is never closed.
function M.parse(text, delimiter, columns)
  local records, fields, buffer = {}, {}, {}
  local state, fault, nul = "start", nil, false
  local line, start_line, opened, start = 1, 1, nil, 1
  local raw_start = 1
  local function end_field(i)
    if fault == "quote" and state == "broken" then
      fields[#fields + 1] = text:sub(raw_start, i - 1)
    else
      fields[#fields + 1] = table.concat(buffer)
    end
    buffer, state = {}, "start"
  end
  local function end_record(i, next_start)
    local blank = #fields == 0 and state == "start" and #buffer == 0
    end_field(i)
    local record = { fields = fields, line = start_line, offset = start - 1, bytes = next_start - start }
    if blank then
      record.blank = true
    elseif nul then
      record.fault = "nul"
    elseif fault then
      record.fault = fault
    elseif columns and #fields ~= columns then
      record.fault = "width"
    end
    records[#records + 1] = record
    fields, fault, nul = {}, nil, false
    start, start_line = next_start, line
  end
  local i, n = 1, #text
  while i <= n do
    local c = text:sub(i, i)
    if c == "\0" then
      nul = true
    end
    local ends = state ~= "quoted" and (c == "\n" or (c == "\r" and (i == n or text:sub(i + 1, i + 1) == "\n")))
    if ends then
      line = line + 1
      local next_start = (c == "\r" and i < n) and i + 2 or i + 1
      end_record(i, next_start)
      i = next_start
    else
      if state == "quoted" then
        if c == '"' then
          state = "closing"
        else
          buffer[#buffer + 1] = c
          if c == "\n" then
            line = line + 1
          end
        end
      elseif state == "closing" and c == '"' then
        buffer[#buffer + 1] = c
        state = "quoted"
      elseif c == delimiter then
        end_field(i)
        raw_start = i + 1
      elseif state == "closing" then
        fault, state = "quote", "broken"
      elseif state == "start" and c == '"' then
        state, opened, raw_start = "quoted", line, i
      elseif state ~= "broken" then
        buffer[#buffer + 1] = c
        state = "plain"
      end
      i = i + 1
    end
  end
  if state == "quoted" then
    return records, #records, opened
  end
  if start <= n then
    end_record(n + 1, n + 1)
  end
  return records
end

return M

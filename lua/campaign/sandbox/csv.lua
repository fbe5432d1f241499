-- SPDX-License-Identifier: MIT
-- Reads an uploaded CSV from disk, record by record, in GBK and in constant memory (O-A11): commas, RFC 4180
-- quotes, CRLF or LF. A reader of its own, so that the client's reader is not judged by itself. What a row
-- may look like is the platform's business.

local core = require "campaign.core"

local M = {}

local CHUNK = 65536
local MAX_RECORD = 1048576

-- One quoted field from its opening quote at `at`: value and the position after it; nil when it is not whole.
local function quoted(text, at)
  local pieces = {}
  local from = at + 1
  while true do
    local stop = text:find('"', from, true)
    if not stop or stop == #text then
      return nil, stop and table.concat(pieces) .. text:sub(from, stop - 1)
    end
    pieces[#pieces + 1] = text:sub(from, stop - 1)
    if text:byte(stop + 1) ~= 34 then
      return table.concat(pieces), stop + 1
    end
    pieces[#pieces + 1] = '"'
    from = stop + 2
  end
end

-- One record of `text` from `at`: its fields and where the next begins; nil when the text ends inside it; nil,
-- nil, why when it is malformed. `last` says that no more text follows.
local function record(text, at, last)
  local fields = {}
  while true do
    local value
    if text:byte(at) == 34 then
      local whole, rest = quoted(text, at)
      if not whole then
        if last and rest then
          fields[#fields + 1] = rest
          return fields, #text + 1
        end
        return nil, nil, last and "unclosed quote" or nil
      end
      value, at = whole, rest
      if text:sub(at, at + 1) == "\r\n" then
        at = at + 1
      elseif text:sub(at) == "\r" and not last then
        return nil
      end
      local byte = text:byte(at)
      if byte and byte ~= 44 and byte ~= 10 then
        return nil, nil, "text after a closing quote"
      end
    else
      -- A byte loop, which LuaJIT compiles, instead of a pattern, which it does not.
      local stop, byte = at, text:byte(at)
      while byte and byte ~= 44 and byte ~= 10 do
        stop = stop + 1
        byte = text:byte(stop)
      end
      if not byte and not last then
        return nil
      end
      value = text:sub(at, stop - 1)
      at = stop
      if text:byte(stop) ~= 44 and value:sub(-1) == "\r" then
        value = value:sub(1, -2)
      end
    end
    fields[#fields + 1] = value
    local byte = text:byte(at)
    if byte == 44 then
      at = at + 1
    else
      return fields, at + 1
    end
  end
end

-- A record that ends before the next quote: the usual case, by plain searches. nil when the text ends inside it.
local function plain_record(text, at, stop)
  local fields, count = {}, 0
  local last = stop
  if text:byte(stop - 1) == 13 and stop > at then
    last = stop - 1
  end
  while true do
    local comma = text:find(",", at, true)
    count = count + 1
    if not comma or comma >= stop then
      fields[count] = text:sub(at, last - 1)
      return fields
    end
    fields[count] = text:sub(at, comma - 1)
    at = comma + 1
  end
end

---Calls `each(fields, number)` for every record, from 1; `each` stops the reading by returning a reason.
---@param path string
---@param options { raw?: boolean } raw: bytes as they are, no encoding asked for
---@param each fun(fields: string[], number: integer): string?
---@return integer? records
---@return string? why
function M.read(path, options, each)
  local file = assert(io.open(path, "rb"))
  local converter = not options.raw and core.gbk.converter{ from = "gbk", to = "utf-8" }
  local text, at, number = "", 1, 0
  local why
  local last
  repeat
    local bytes = file:read(CHUNK)
    last = bytes == nil
    local more, err = bytes or ""
    if converter then
      if last then
        more, err = converter:finish()
      else
        more, err = converter:feed(bytes)
      end
      if not more then
        why = "not GBK: " .. tostring(err)
        break
      end
    end
    text = text:sub(at) .. (more or "")
    at = 1
    local quote = text:find('"', 1, true) or #text + 1
    while at <= #text do
      local fields, next_at, bad
      local stop = text:find("\n", at, true)
      if quote < at then
        quote = text:find('"', at, true) or #text + 1
      end
      if stop and stop < quote then
        fields, next_at = plain_record(text, at, stop), stop + 1
      else
        fields, next_at, bad = record(text, at, last)
      end
      if not fields then
        why = bad or (#text - at > MAX_RECORD and "a record over 1 MiB") or nil
        break
      end
      number = number + 1
      at = next_at
      why = each(fields, number)
      if why then
        break
      end
    end
  until last or why
  file:close()
  if why then
    return nil, why
  end
  return number
end

return M

-- SPDX-License-Identifier: MIT
-- Single parts of the work, each in the project's way ("core") and in another's; bench/lib/parts.lua runs them in turn. Prints the CPU
-- seconds of the part alone, or nothing where the whole process is the part.
--
--   lua bench/parts.lua PART WAY ARGUMENT [COUNT] [IN_FLIGHT]

local part, way, argument = arg[1], arg[2], arg[3]

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

-- Repeats the work for half a second at least; prints the CPU seconds of one repetition.
local function clocked(work)
  work()
  local rounds, began = 0, os.clock()
  repeat
    work()
    rounds = rounds + 1
  until os.clock() - began > 0.5
  print(("%.9f"):format((os.clock() - began) / rounds))
end

-- A text as it comes from a file or a socket: pieces of about 64 KiB, cut behind a row, or where none ends between two Hanzi.
local function pieces_of(path)
  local text, pieces, at = read(path), {}, 1
  while at <= #text do
    local piece = text:sub(at, at + 65532 - 1)
    local rows = at + #piece <= #text and (piece:match("^(.*\n)") or piece) or piece
    pieces[#pieces + 1] = rows
    at = at + #rows
  end
  return pieces
end

local function convert(convert_piece)
  local pieces = pieces_of(argument)
  clocked(function()
    for _, piece in ipairs(pieces) do
      assert(convert_piece(piece))
    end
  end)
end

local COLUMNS = { "name", "phone", "email", "company", "sex", "grade_id", nil, nil, "extra" }

local function input_of(core, path)
  return assert(core.rows.input{ path = path, encoding = "utf-8", delimiter = "," })
end

-- The file of a list read to its end, checked for its form, no field written.
local function core_csv()
  local core = require "campaign.core"
  local input = input_of(core, argument)
  local encoder = assert(core.rows.encoder{ format = "json", row = "value", columns = 9, prefix = "", suffix = "", separator = "",
    fields = { { name = "uuid", column = 9 } } })
  clocked(function()
    local pass, rows = assert(core.rows.preflight(input, encoder, {})), 0
    for step in function() return pass:step() end do
      rows = rows + step.rows
    end
    assert(rows > 0)
  end)
end

local function core_json()
  local core = require "campaign.core"
  local input = input_of(core, argument)
  local fields = {}
  for column = 1, 9 do
    local name = COLUMNS[column]
    if name then
      fields[#fields + 1] = { name = name, column = column, type = (name == "sex" or name == "grade_id") and "integer" or "string" }
    end
  end
  local encoder = assert(core.rows.encoder{ format = "json", row = "object", columns = 9, prefix = '{"data":[', suffix = "]}",
    separator = ",", fields = fields })
  local pass, batches = assert(core.rows.preflight(input, encoder, { batch_rows = 200 })), {}
  for step in function() return pass:step() end do
    for _, batch in ipairs(step.batches) do
      batches[#batches + 1] = batch
    end
  end
  clocked(function()
    for _, batch in ipairs(batches) do
      assert(encoder:text(input, batch))
    end
  end)
end

-- The rows are tables already: only the encoding is counted.
local function cjson_json()
  local cjson = require "cjson"
  local core = require "campaign.core"
  local calls, call = {}, nil
  for number, values in input_of(core, argument):rows() do
    if (number - 1) % 200 == 0 then
      call = { data = {} }
      calls[#calls + 1] = call
    end
    local row = {}
    for column = 1, 9 do
      local name, value = COLUMNS[column], values[column]
      if name and value ~= "" then
        row[name] = (name == "sex" or name == "grade_id") and tonumber(value) or value
      end
    end
    call.data[#call.data + 1] = row
  end
  clocked(function()
    for _, rows in ipairs(calls) do
      cjson.encode(rows)
    end
  end)
end

local function requests()
  local transport = require("campaign.transport.curl").new()
  local count, in_flight, left = tonumber(arg[4]), tonumber(arg[5]), 0
  local request = { method = "GET", url = argument }
  if in_flight == 1 then
    for _ = 1, count do
      local result = assert(transport:perform(request))
      assert(result.status == 200, result.error and tostring(result.error))
    end
    return transport:close()
  end
  local sent = 0
  repeat
    while left < in_flight and sent < count do
      assert(transport:submit(request))
      left, sent = left + 1, sent + 1
    end
    local _, result = transport:next()
    assert(result.status == 200)
    left = left - 1
  until left == 0 and sent == count
  transport:close()
end

local PARTS = {
  encode = {
    core = function()
      local gbk = require("campaign.core").gbk
      convert(function(piece) return gbk.encode(piece, "gbk") end)
    end,
    iconv = function()
      local converter = assert(require("iconv").new("GBK", "UTF-8"))
      convert(function(piece) return converter:iconv(piece) end)
    end,
  },
  decode = {
    core = function()
      local gbk = require("campaign.core").gbk
      convert(function(piece) return gbk.decode(piece, "gbk") end)
    end,
    iconv = function()
      local converter = assert(require("iconv").new("UTF-8", "GBK"))
      convert(function(piece) return converter:iconv(piece) end)
    end,
  },
  csv = { core = core_csv },
  json = { core = core_json, cjson = cjson_json },
  requests = { core = requests },
  -- Every Hanzi of GB 2312's first level, over and over, without anything between; in UTF-8 and GBK.
  prose = {
    core = function()
      local parts = {}
      for lead = 0xB0, 0xD6 do
        for trail = 0xA1, 0xFE do
          parts[#parts + 1] = string.char(lead, trail)
        end
      end
      local bytes = table.concat(parts):rep(100)
      for path, text in pairs({ [argument .. ".gbk"] = bytes, [argument] = assert(require("campaign.core").gbk.decode(bytes, "gbk")) }) do
        local file = assert(io.open(path, "wb"))
        assert(file:write(text))
        file:close()
      end
    end,
  },
}

PARTS[part][way]()

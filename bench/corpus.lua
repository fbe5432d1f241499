-- SPDX-License-Identifier: MIT
-- UTF-8 → GBK and GBK → UTF-8 on twelve kinds of text, beside glibc's iconv through lua-iconv, in one process and by turns: is there one on
-- which campaign is slower? Where a kind of text is refused, both refuse every piece of it. Tab-separated: input, direction, our and their
-- CPU seconds for a megabyte, how many times ours theirs is (medians).
--
--   luajit bench/corpus.lua [ROUNDS]

local core = require "campaign.core"
local iconv = require "iconv"

local ROUNDS = tonumber(arg[1] or "") or 5
local SECONDS = 0.04 -- of CPU a turn, at least
local MEGABYTE = 1000000

local seed = 1
local function random(n)
  seed = seed * 16807 % 2147483647
  return seed % n
end

local function gbk_pair(lead, leads, trail, trails)
  return string.char(lead + random(leads), trail + random(trails))
end

local function utf8(code)
  if code < 0x800 then
    return string.char(0xC0 + math.floor(code / 64), 0x80 + code % 64)
  end
  if code < 0x10000 then
    return string.char(0xE0 + math.floor(code / 4096), 0x80 + math.floor(code / 64) % 64, 0x80 + code % 64)
  end
  return string.char(0xF0 + math.floor(code / 262144), 0x80 + math.floor(code / 4096) % 64, 0x80 + math.floor(code / 64) % 64, 0x80 + code % 64)
end

-- Hanzi of GB 2312's first level, in GBK; four of them; a sentence of up to twenty.
local function hanzi(count)
  local parts = {}
  for i = 1, count do
    parts[i] = gbk_pair(0xB0, 39, 0xA1, 94)
  end
  return table.concat(parts)
end

local function ascii(count)
  local parts = {}
  for i = 1, count do
    parts[i] = string.char(97 + random(26))
  end
  return table.concat(parts)
end

local function digits(count)
  return ("%0" .. count .. "d"):format(random(10 ^ math.min(count, 9)))
end

-- Each gives one row in GBK, or (utf8 = true) in UTF-8 where GBK has no such character.
local INPUTS = {
  { "ASCII", function() return ascii(60) .. "\n" end },
  { "contact list", function()
    return table.concat({ hanzi(3), "1" .. digits(9), ascii(8) .. "@" .. ascii(6) .. ".com", hanzi(10), random(3), random(5),
      hanzi(4) .. ";" .. hanzi(4), ascii(8) .. "-" .. ascii(4) }, ",") .. "\n"
  end },
  { "names", function() return hanzi(2 + random(2)) .. "\n" end },
  { "fields of one byte", function() return ("%d,%d,%d,%d,%d\n"):format(random(10), random(10), random(10), random(10), random(10)) end },
  { "one Hanzi, one byte", function() return hanzi(1) .. "," .. hanzi(1) .. "," .. hanzi(1) .. "\n" end },
  { "prose with punctuation", function() return hanzi(7) .. "\163\172" .. hanzi(9) .. "\161\163" end },
  { "dense prose", function() return hanzi(40) end },
  { "rare Hanzi of GBK", function() return gbk_pair(0x81, 32, 0x80, 127) .. gbk_pair(0xAA, 80, 0x40, 63) end },
  { "Greek and Cyrillic", function() return gbk_pair(0xA6, 1, 0xA1, 24) .. gbk_pair(0xA7, 1, 0xA1, 33) end },
  { "Ext-A and Ext-B, refused", function()
    return utf8(0x3400 + random(6000)) .. utf8(0x20000 + random(40000)) .. "," .. utf8(0x4E00 + random(3000))
  end, utf8 = true },
  { "emoji, refused", function() return ascii(20) .. utf8(0x1F600 + random(60)) .. "," end, utf8 = true },
  { "invalid at every 100th byte, refused", function() return ascii(30) .. hanzi(34) .. "x\255" end, piece = 100 },
}

-- About a megabyte in pieces: of 64 KiB, or as short as the faults are apart.
local function pieces_of(input, to_utf8)
  local pieces, rows, size, total = {}, {}, 0, 0
  while total < MEGABYTE do
    local row = input[2]()
    if to_utf8 then
      row = input.piece and assert(core.gbk.decode(row:sub(1, -2), "gbk")) .. "\255" or assert(core.gbk.decode(row, "gbk"))
    end
    rows[#rows + 1], size, total = row, size + #row, total + #row
    if size >= (input.piece or input.utf8 and 100 or 65000) then
      pieces[#pieces + 1], rows, size = table.concat(rows), {}, 0
    end
  end
  return pieces, total
end

local function clocked(pieces, convert)
  local rounds, began = 0, os.clock()
  repeat
    for i = 1, #pieces do
      convert(pieces[i])
    end
    rounds = rounds + 1
  until os.clock() - began > SECONDS
  return (os.clock() - began) / rounds
end

local function median(values)
  table.sort(values)
  return (values[math.floor((#values + 1) / 2)] + values[math.ceil((#values + 1) / 2)]) / 2
end

print("input\tdirection\tour_cpu_s\ttheir_cpu_s\tcpu_ratio\trounds")
for _, input in ipairs(INPUTS) do
  for _, way in ipairs({ "encode", "decode" }) do
    if not (input.utf8 and way == "decode") then -- GBK has no bytes for them
      local refused = input[1]:find("refused", 1, true) ~= nil
      local pieces, total = pieces_of(input, way == "encode" and not input.utf8)
      local converter = assert(iconv.new(way == "encode" and "GBK" or "UTF-8", way == "encode" and "UTF-8" or "GBK"))
      local function ours(piece) return core.gbk[way](piece, "gbk") end
      local function theirs(piece) return converter:iconv(piece) end
      for _, piece in ipairs(pieces) do
        local got, err = ours(piece)
        local other, other_err = theirs(piece)
        assert(refused == (err ~= nil) and refused == (other_err ~= nil) and (refused or got == other), input[1])
      end
      local us, them, ratios = {}, {}, {}
      for round = 1, ROUNDS do
        if round % 2 == 1 then
          us[round] = clocked(pieces, ours)
        end
        them[round] = clocked(pieces, theirs)
        us[round] = us[round] or clocked(pieces, ours)
        ratios[round] = them[round] / us[round]
      end
      print(("%s\t%s\t%.6f\t%.6f\t%.2f\t%d"):format(input[1], way, median(us) / total * MEGABYTE, median(them) / total * MEGABYTE, median(ratios),
        ROUNDS))
    end
  end
end

-- SPDX-License-Identifier: MIT
-- Formats values for people: counts with thousands separators, bytes, durations, characters.

local core = require "campaign.core"

local M = {}

---Seconds for people: 8 s, 3 min 20 s, 2 h 5 min.
---@param seconds number
---@return string
function M.duration(seconds)
  seconds = math.floor(seconds + 0.5)
  if seconds < 60 then
    return seconds .. " s"
  end
  local minutes = math.floor(seconds / 60)
  if minutes < 60 then
    return string.format("%d min %d s", minutes, seconds % 60)
  end
  return string.format("%d h %d min", math.floor(minutes / 60), minutes % 60)
end

---A count with thousands apart: 1234567 → 1,234,567.
---@param number number
---@return string
function M.count(number)
  local digits = string.format("%.0f", number)
  local head = #digits % 3
  local groups = head > 0 and { digits:sub(1, head) } or {}
  for index = head + 1, #digits, 3 do
    groups[#groups + 1] = digits:sub(index, index + 2)
  end
  return table.concat(groups, ",")
end

---Bytes for people.
---@param bytes number
---@return string
function M.bytes(bytes)
  if bytes < 1000 then
    return string.format("%d bytes", bytes)
  end
  for _, unit in ipairs{ "kB", "MB", "GB" } do
    bytes = bytes / 1000
    if bytes < 1000 or unit == "GB" then
      return string.format("%.1f %s", bytes, unit)
    end
  end
end

---The beginning of a text, cut between characters.
---@param text string
---@param most integer bytes
---@param ending string? what follows a text that was cut; default "..."
---@return string
function M.cut(text, most, ending)
  if #text <= most then
    return text
  end
  local last = most
  while last > 0 and text:byte(last + 1) >= 128 and text:byte(last + 1) < 192 do
    last = last - 1
  end
  return text:sub(1, last) .. (ending or "...")
end

local function utf16_unit(number)
  return string.char(math.floor(number / 256), number % 256)
end

---A code point as UTF-8.
---@param point integer
---@return string? character nil for surrogates and above U+10FFFF
function M.utf8(point)
  if point > 0x10FFFF then
    return nil
  end
  return core.gbk.decode(point < 65536 and utf16_unit(point)
    or utf16_unit(55296 + math.floor((point - 65536) / 1024)) .. utf16_unit(56320 + (point - 65536) % 1024), "utf-16be")
end

-- Characters that are not seen but change how others are: U+061C, U+200B to U+200F, U+2028 to U+202E, U+2060 to U+206F, U+FEFF.
local HIDDEN = {
  ["\216\156"] = "[U+061C]", ["\239\187\191"] = "[U+FEFF]",
}
for code = 0x200B, 0x206F do
  if code <= 0x200F or code >= 0x2028 and code <= 0x202E or code >= 0x2060 then
    HIDDEN["\226" .. string.char(128 + math.floor(code / 64) % 64, 128 + code % 64)] = ("[U+%04X]"):format(code)
  end
end

---A text that shows its control characters and what changes the direction of writing, instead of having a terminal or a browser obey them.
---Line ends and tabs stay where `keeps_lines` is set.
---@param text string
---@param keeps_lines boolean?
---@return string
function M.visible(text, keeps_lines)
  text = text:gsub(keeps_lines and "[%z\1-\8\11-\31\127]" or "[%z\1-\31\127]", function(byte) return ("[U+%04X]"):format(byte:byte()) end)
  text = text:gsub("\194[\128-\159]", function(pair) return ("[U+%04X]"):format(pair:byte(2)) end)
  return (text:gsub("\216\156", HIDDEN):gsub("\239\187\191", HIDDEN):gsub("\226[\128\129][\128-\191]", HIDDEN))
end

---The character of a code point: U+4DAE → 䶮.
---@param code string
---@return string character empty for a control character
function M.character(code)
  local point = tonumber(code:match("^U%+(%x+)$") or "", 16) or 0
  if point < 32 or point >= 127 and point < 160 then
    return ""
  end
  return M.utf8(point) or ""
end

return M

-- SPDX-License-Identifier: MIT
-- Texts that are sent as their digest (`hash` of a field), one at a time: for single calls, and as the reference of src/hashed.c, which does
-- the same for the rows of an import. Pure.

local core = require "campaign.core"

local M = {}

-- The text without ASCII white space and U+3000 around it.
local function trimmed(text)
  local first, last = 1, #text
  while first <= last do
    local size = text:find("^%s", first) and 1 or text:sub(first, first + 2) == "\227\128\128" and 3 or 0
    if size == 0 then
      break
    end
    first = first + size
  end
  while first <= last do
    local size = text:find("^%s", last) and 1 or last - first >= 2 and text:sub(last - 2, last) == "\227\128\128" and 3 or 0
    if size == 0 then
      break
    end
    last = last - size
  end
  return text:sub(first, last)
end

---What is sent for a text; nothing for one in which nothing is left to hash.
---@param how table `hash` of a loaded field: algorithm, output, trim, lower
---@param text string
---@return string
function M.text(how, text)
  if how.trim then
    text = trimmed(text)
  end
  if how.lower then
    text = text:gsub("%u+", string.lower)
  end
  if text == "" then
    return ""
  end
  local hex = core.digest.hex(core.digest.of(how.algorithm, text))
  return how.output == "upper_hex" and hex:upper() or hex
end

---What is sent, in words.
---@param how table
---@return string
function M.phrase(how)
  local name = how.algorithm == "md5" and "MD5" or "SHA-256"
  local of = how.trim and "without blanks around it" or nil
  if how.lower then
    of = (of and of .. ", " or "") .. "in lower case"
  end
  return ("sent as its %s in %shex%s"):format(name, how.output == "upper_hex" and "upper-case " or "", of and " (of the text " .. of .. ")" or "")
end

---The form of what is sent, as a regular expression.
---@param how table
---@return string
function M.pattern(how)
  return ("^[0-9%s]{%d}$"):format(how.output == "upper_hex" and "A-F" or "a-f", how.algorithm == "md5" and 32 or 64)
end

return M

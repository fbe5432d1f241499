-- SPDX-License-Identifier: MIT
-- Reads a file of replacements for unmappable characters: one `character=replacement` per line (or with a tab), UTF-8, `#` starts a comment
-- line; a character may be written U+4DAE. This is the user's own table: nothing is ever replaced without one.

local core = require "campaign.core"
local error_object = require "campaign.error"
local human = require "campaign.human"

local M = {}

local MAX_BYTES = 1048576

local function refuse(path, message)
  return nil, error_object.new{ kind = "usage", message = "replacements " .. path .. ": " .. message }
end

local function character_of(text)
  local hex = text:match("^[Uu]%+(%x+)$")
  if hex and #hex <= 6 then
    return human.utf8(tonumber(hex, 16))
  end
  return core.utf8.length(text, "char") == 1 and text or nil
end

---Reads a table of replacements from a text.
---@param text string
---@param path string what errors call it
---@return table<string, string>? map
---@return campaign.error? err
function M.parse(text, path)
  local valid, offset = core.utf8.validate(text)
  if not valid then
    return refuse(path, "byte " .. offset .. " is not UTF-8")
  end
  if text:sub(1, 3) == "\239\187\191" then
    text = text:sub(4)
  end
  local map, number = {}, 0
  for line in (text .. "\n"):gmatch("([^\n]*)\n") do
    number = number + 1
    line = line:gsub("\r$", "")
    if line ~= "" and line:sub(1, 1) ~= "#" then
      local stop = line:find("[=\t]", 2)
      local character = stop and character_of(line:sub(1, stop - 1))
      if not character then
        return refuse(path, "line " .. number .. " is not of the form character=replacement (the character may be written U+4DAE)")
      end
      if map[character] then
        return refuse(path, "line " .. number .. " gives a character a second time")
      end
      map[character] = line:sub(stop + 1)
    end
  end
  return map
end

---Reads the file at `path`.
---@param path string
---@return table<string, string>? map
---@return campaign.error? err
function M.read(path)
  local file, message = io.open(path, "rb")
  if not file then
    return refuse(path, (message:gsub("^" .. path:gsub("%p", "%%%0") .. ": ", "")))
  end
  local text, read_message = file:read(MAX_BYTES + 1)
  file:close()
  if not text and read_message then
    return refuse(path, read_message)
  end
  if text and #text > MAX_BYTES then
    return refuse(path, "larger than " .. MAX_BYTES .. " bytes")
  end
  return M.parse(text or "", path)
end

return M

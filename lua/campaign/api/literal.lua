-- SPDX-License-Identifier: MIT
-- Reads a Lua text that may contain only one table literal: `return { ... }` of strings, numbers, booleans and tables. A small lexer
-- rejects everything that could run (variables, calls, operators, functions, loops) with its line number, before Lua compiles the text in
-- an empty environment. The contents are checked elsewhere.

local core = require "campaign.core"
local error_object = require "campaign.error"

local M = {}

local byte, find, sub = string.byte, string.find, string.sub

local MAX_BYTES = 1048576

local WORDS = { ["return"] = true, ["true"] = true, ["false"] = true, ["nil"] = true }
local SYMBOLS = { ["{"] = true, ["}"] = true, ["["] = true, ["]"] = true, [","] = true, [";"] = true, ["="] = true,
  ["-"] = true }

-- The end of a long bracket that opens at `at` ("[[" or "[==["): position after the closing one; nil when `at` opens none.
local function long_bracket_end(text, at)
  local level = text:match("^%[(=*)%[", at)
  if not level then
    return nil
  end
  local _, last = text:find("]" .. level .. "]", at + #level + 2, true)
  return last and last + 1 or false
end

-- What a quoted string may stop at: its quote, a backslash, a line's end.
local STOPS = { [34] = '[\\\n"]', [39] = "[\\\n']" }

-- The end of a quoted string that starts at `at`; false when it is not closed on its line.
local function string_end(text, at)
  local quote = byte(text, at)
  local i = at + 1
  while true do
    i = find(text, STOPS[quote], i)
    local stop = i and byte(text, i)
    if stop == quote then
      return i + 1
    elseif stop ~= 92 then
      return false
    end
    i = i + 2
  end
end

-- What a token may begin with, by byte.
local BEGINS = { [95] = "word", [34] = "string", [39] = "string", [91] = "bracket" }
for digit = 48, 57 do
  BEGINS[digit] = "number"
end
for letter = 65, 90 do
  BEGINS[letter], BEGINS[letter + 32] = "word", "word"
end

-- The next token from `at`: kind ("word", "string", "number", "symbol", "end"), position after it, its text.
local function next_token(text, at)
  local first
  while true do
    at = find(text, "[^ \t\r\n]", at)
    if not at then
      return "end", #text + 1, ""
    end
    first = byte(text, at)
    if first ~= 45 or byte(text, at + 1) ~= 45 then
      break
    end
    local after = long_bracket_end(text, at + 2)
    if after == false then
      return nil, at, "a comment is not closed"
    end
    at = after or find(text, "\n", at, true) or #text + 1
  end
  local begins = BEGINS[first]
  if begins == "word" or begins == "number" then
    local _, last = find(text, begins == "word" and "^[%w_]+" or "^[%w.]+", at)
    return begins, last + 1, sub(text, at, last), at
  end
  local after = begins == "string" and string_end(text, at)
  if begins == "bracket" then
    after = long_bracket_end(text, at)
  end
  if begins and after == false then
    return nil, at, "a string is not closed"
  elseif after then
    return "string", after, sub(text, at, after - 1), at
  end
  return "symbol", at + 1, sub(text, at, at), at
end

local function line_of(text, at)
  local _, breaks = text:sub(1, at - 1):gsub("\n", "")
  return breaks + 1
end

-- nil when the text is one `return` and literals; else a message and the position. A name may only be a key: after `{`, `,` or `;`,
-- and before `=`.
local function find_forbidden(text)
  local at, first, previous = 1, true, nil
  local name, name_at
  local tables, bracketed = {}, nil -- the keys of every table that is open; a text in brackets, which may be a key
  while true do
    local kind, after, token, start = next_token(text, at)
    if not kind then
      return token, after
    end
    if name and token ~= "=" then
      return "`" .. name .. "`: only literals may stand in a platform file (no functions, calls or variables)", name_at
    end
    local key, keys = token == "=" and (name or bracketed), tables[#tables]
    if key and keys then
      if keys[key] then
        return "`" .. key .. "` stands twice in one table: the first would be lost without a word", start
      end
      keys[key] = true
    end
    if token == "{" and kind == "symbol" then
      tables[#tables + 1] = {}
    elseif token == "}" and kind == "symbol" then
      tables[#tables] = nil
    end
    if kind == "string" and previous == "[" then
      bracketed = sub(token, 2, -2)
    elseif token ~= "]" then
      bracketed = nil
    end
    name = nil
    if kind == "end" then
      return first and "is empty" or nil, 1
    end
    if first ~= (token == "return" and kind == "word") then
      return "a platform file is one `return { ... }` and nothing else", start
    end
    if kind == "word" and not WORDS[token] then
      name, name_at = token, start
      if not (previous == "{" or previous == "," or previous == ";") then
        if previous ~= "=" and find(text, "^%s*=[^=]", after) then
          return "`" .. name .. "`: a comma is missing before it", name_at
        end
        return "`" .. name .. "`: only literals may stand in a platform file (no functions, calls or variables)", name_at
      end
    elseif kind == "symbol" and not SYMBOLS[token] then
      return "`" .. token .. "`: only literals may stand in a platform file (no calls or operators)", start
    end
    first, at, previous = false, after, token
  end
end

local function refuse(name, message)
  return nil, error_object.new{ kind = "usage", message = "platform file " .. name .. ": " .. message }
end

---The table that a text of literals returns.
---@param text string
---@param name string what errors call the text
---@return table? value
---@return campaign.error? err
function M.parse(text, name)
  if #text > MAX_BYTES then
    return refuse(name, "is larger than 1 MiB")
  end
  text = text:gsub("^\239\187\191", "") -- the mark with which some editors begin a file in UTF-8
  local valid, bad = core.utf8.validate(text)
  if not valid then
    return refuse(name, "line " .. line_of(text, bad) .. " is not UTF-8: save the file as UTF-8")
  end
  local problem, at = find_forbidden(text)
  if problem then
    return refuse(name, "line " .. line_of(text, at) .. ": " .. problem)
  end
  local chunk, syntax = load(text, "=" .. name, "t", {})
  if not chunk then
    return refuse(name, "is not a Lua table: " .. syntax:sub(1, 200))
  end
  local well, value = pcall(chunk)
  if not well then
    return refuse(name, "cannot be read: " .. tostring(value):sub(1, 200))
  end
  if type(value) ~= "table" then
    return refuse(name, "returns a " .. type(value) .. ", not a table")
  end
  return value
end

return M

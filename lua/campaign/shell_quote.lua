-- SPDX-License-Identifier: MIT
-- Quotes a word for a POSIX shell.

---@param word string
---@return string quoted the word itself if it needs no quotes
return function(word)
  if word:find("^[%w_./,:=@%+%-]+$") then
    return word
  end
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

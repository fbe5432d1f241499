-- SPDX-License-Identifier: MIT
-- Collects lines and writes them at the end; tables in Markdown.

local Page = {}
Page.__index = Page

-- Text fit for a cell of a table.
local function cell(text)
  return (tostring(text or ""):gsub("|", "\\|"):gsub("%s+", " "))
end

---Makes an empty page.
---@return table page
function Page.new()
  return setmetatable({}, Page)
end

---One line, of parts.
function Page:add(...)
  self[#self + 1] = table.concat{ ... }
end

---@return string
function Page:text()
  return table.concat(self, "\n") .. "\n"
end

---A table in Markdown with a head; nothing when it has no rows. Columns without any text are left out.
---@param head string[]
---@param rows string[][]
function Page:table(head, rows)
  if #rows == 0 then
    return
  end
  local kept = {}
  for column = 1, #head do
    for _, row in ipairs(rows) do
      if column == 1 or cell(row[column]) ~= "" then
        kept[#kept + 1] = column
        break
      end
    end
  end
  local function line(row)
    local cells = {}
    for index, column in ipairs(kept) do
      cells[index] = cell(row[column])
    end
    return "| " .. table.concat(cells, " | ") .. " |"
  end
  self:add("")
  self:add(line(head))
  self:add("|", ("---|"):rep(#kept))
  for _, row in ipairs(rows) do
    self:add(line(row))
  end
end

return Page

-- SPDX-License-Identifier: MIT
-- Texts for an HTML page. What comes from a list, a platform or a header may hold anything: markup, quotes, characters that turn the direction
-- of writing, bytes that are no UTF-8, or, in the first line of a list without a header, a person's phone number.

local core = require "campaign.core"
local human = require "campaign.human"

local M = {}

local MARKUP = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }

-- Masks a long run of digits: it could be a phone number.
local function masked(digits)
  return digits:sub(1, 3) .. ("*"):rep(#digits - 5) .. digits:sub(-2)
end

---A text as HTML that shows it and nothing else; long runs of digits by their ends.
---@param value any
---@param most integer? bytes that are shown (default 300)
---@return string
function M.text(value, most)
  local text = tostring(value)
  if not core.utf8.validate(text) then
    text = text:gsub("[\128-\255]", "?")
  end
  text = human.cut(text, most or 300, "…"):gsub("%d%d%d%d%d%d%d+", masked)
  return (human.visible(text):gsub("[&<>\"']", MARKUP))
end

---The same for a path or a command, in which digits are not masked.
---@param text string
---@return string
function M.plain(text)
  if not core.utf8.validate(text) then
    text = text:gsub("[\128-\255]", "?")
  end
  text = text:gsub("[%z\1-\31\127]", "?"):gsub("\194[\128-\159]", "?")
  return (human.visible(text):gsub("[&<>\"']", MARKUP))
end

---A text of a list or a platform, isolated so that its writing direction does not affect what follows.
---@param value any
---@param most integer?
---@return string
function M.own(value, most)
  return "<bdi>" .. M.text(value, most) .. "</bdi>"
end

---An instant with its offset, in the zone of this machine.
---@param seconds number since 1970
---@return string
function M.instant(seconds)
  return os.date("%Y-%m-%d %H:%M:%S %z", math.floor(seconds))
end

---A table: `heads` are words in HTML, `rows` lists of cells in HTML; `numbers` are the columns that are aligned as such.
---@param caption string
---@param heads string[]
---@param rows string[][]
---@param numbers table<integer, boolean>
---@param foot string[]? the last row
---@return string
function M.table(caption, heads, rows, numbers, foot)
  local out = { "<div class=\"wide\" tabindex=\"0\"><table><caption>", caption, "</caption><thead><tr>" }
  local function add(text)
    out[#out + 1] = text
  end
  for i, head in ipairs(heads) do
    add((numbers[i] and "<th scope=\"col\" class=\"n\">" or "<th scope=\"col\">") .. head .. "</th>")
  end
  add("</tr></thead><tbody>")
  local function row(cells)
    add("<tr>")
    for i, cell in ipairs(cells) do
      local name = i == 1 and "th scope=\"row\"" or "td"
      add("<" .. name .. (numbers[i] and " class=\"n\">" or ">") .. cell .. (i == 1 and "</th>" or "</td>"))
    end
    add("</tr>\n")
  end
  for _, cells in ipairs(rows) do
    row(cells)
  end
  add("</tbody>")
  if foot then
    add("<tfoot>")
    row(foot)
    add("</tfoot>")
  end
  add("</table></div>")
  return table.concat(out)
end

return M

-- SPDX-License-Identifier: MIT
-- The charts of report.html as SVG. They are drawn here and not by a script in the page, so that the page can forbid all scripts and prints as it
-- looks. Colours are classes; every chart is accompanied by a table with the same figures.

local accounting = require "campaign.import.report.accounting"
local human = require "campaign.human"
local words = require "campaign.import.report.page_words"

local M = {}

local WIDE, LEFT, RIGHT = 960, 70, 10 -- the drawing, and where the plot lies in it
local PLOT = WIDE - LEFT - RIGHT

---All rows of the list as one bar, by state.
---@param counts table<string, integer>
---@param sum integer
---@return string
function M.states(counts, sum)
  local out, x = { "<svg class=\"bar\" viewBox=\"0 0 960 36\" preserveAspectRatio=\"none\" aria-hidden=\"true\">" }, 0
  for _, state in ipairs(accounting.STATES) do
    local count = counts[state]
    if count > 0 then
      local width = math.max(2, count / sum * WIDE) -- a single row is seen among millions
      out[#out + 1] = ("<rect class=\"%s\" x=\"%.1f\" y=\"0\" width=\"%.1f\" height=\"36\"/>"):format(state, math.min(x, WIDE - width), width)
      x = x + count / sum * WIDE
    end
  end
  out[#out + 1] = "</svg>"
  return table.concat(out)
end

---One bar of a table, of the given share of the longest.
---@param share number
---@return string
function M.share(share)
  return ("<svg class=\"share\" viewBox=\"0 0 200 14\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><rect class=\"rejected\" "
    .. "width=\"%.1f\" height=\"14\"/></svg>"):format(math.max(1, share * 200))
end

-- A round number that is not below the greatest value.
local function top_of(value)
  if value <= 0 then
    return 1
  end
  local unit = 10 ^ math.floor(math.log(value) / math.log(10))
  for _, factor in ipairs({ 1, 2, 5 }) do
    if factor * unit >= value then
      return factor * unit
    end
  end
  return 10 * unit
end

local function text(out, x, y, anchor, value)
  out[#out + 1] = ("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>"):format(x, y, anchor, value)
end

-- Lines of a scale with their values.
local function scale(out, base, height, top, shown)
  for i = 0, 2 do
    local y = base - height * i / 2
    out[#out + 1] = ("<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>"):format(LEFT, WIDE - RIGHT, y, y)
    text(out, LEFT - 6, y + 4, "end", shown(top * i / 2))
  end
end

---Seconds of an interval or a call for people.
---@param seconds number
---@return string
function M.seconds(seconds)
  if seconds < 60 then
    return ("%.3g s"):format(seconds)
  elseif seconds % 3600 == 0 then
    return ("%d h"):format(seconds / 3600)
  elseif seconds % 60 == 0 then
    return ("%d min"):format(seconds / 60)
  end
  return human.duration(seconds)
end

-- The time of day, with parts of a second where intervals are that short.
local function clock(run, slot)
  local at = run.began + slot * run.width
  return os.date("%H:%M:%S", math.floor(at)) .. (run.width < 1 and ("%.2f"):format(at % 1):sub(2) or "")
end

M.clock = clock

-- A line through the values of the slots, with gaps where a slot has no value.
local function line_of(run, name, step, base, height, top)
  local parts, is_down = {}, false
  for number = 0, run.last do
    local value = run.slots[number] and run.slots[number][name]
    if value then
      parts[#parts + 1] = ("%s%.1f %.1f"):format(is_down and "L" or "M", LEFT + (number + 0.5) * step, base - height * value / 1000 / top)
      if not is_down then
        parts[#parts + 1] = "h0.1" -- a single value is a dot
      end
    end
    is_down = value ~= nil
  end
  return ("<path class=\"%s\" d=\"%s\"/>"):format(name, table.concat(parts))
end

local BARS, HEIGHT, LINES, LOW = 150, 130, 300, 110 -- the base and height of the two plots

local function draw_bars(out, run, step, top)
  for number = 0, run.last do
    local slot, x = run.slots[number], LEFT + number * step
    if not slot then
      out[#out + 1] = ("<rect class=\"gap\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\"/>"):format(x, BARS - HEIGHT, step, HEIGHT)
    else
      local height = HEIGHT * slot.rows / top
      out[#out + 1] = ("<rect class=\"accepted\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"><title>%s: %s</title></rect>"):format(x + 0.5,
        BARS - height, math.max(1, step - 1), height, clock(run, number), human.count(slot.rows))
      local middle = x + step / 2
      if slot.repeats > 0 then
        out[#out + 1] = ("<path class=\"repeat\" d=\"M%.1f %dl4 7h-8z\"/>"):format(middle, BARS + 3)
      end
      if slot.throttled > 0 then
        out[#out + 1] = ("<rect class=\"throttled\" x=\"%.1f\" y=\"%d\" width=\"7\" height=\"7\"/>"):format(middle - 3.5, BARS + 12)
      end
    end
  end
end

---How a run went: rows of each interval, and how long calls took.
---@param run table of page_facts
---@return string
function M.course(run)
  local most, slowest = 0, 0
  for _, slot in pairs(run.slots) do
    most, slowest = math.max(most, slot.rows), math.max(slowest, slot.p95 or 0)
  end
  local count, top, high = run.last + 1, top_of(most), top_of(slowest / 1000)
  local step = PLOT / count
  local out = { "<svg viewBox=\"0 0 960 330\" aria-hidden=\"true\">" }
  text(out, LEFT, 13, "start", words.say("rows_axis", "tspan", M.seconds(run.width)))
  scale(out, BARS, HEIGHT, top, function(value) return human.count(value) end)
  draw_bars(out, run, step, top)
  text(out, LEFT, LINES - LOW - 7, "start", words.say("time_axis", "tspan"))
  scale(out, LINES, LOW, high, function(value) return ("%.3g"):format(value) end)
  out[#out + 1] = line_of(run, "p50", step, LINES, LOW, high)
  out[#out + 1] = line_of(run, "p95", step, LINES, LOW, high)
  local marks = math.min(5, count)
  for i = 0, marks - 1 do
    local number = math.floor(i * count / marks)
    text(out, LEFT + number * step, LINES + 18, i == 0 and "start" or "middle", clock(run, number))
  end
  out[#out + 1] = "</svg>"
  return table.concat(out)
end

return M

-- SPDX-License-Identifier: MIT
-- Progress of an import on stderr: one line that renews itself on a terminal, else a plain line every ten seconds.

local human = require "campaign.human"

local M = {}

local PLAIN_EVERY = 10 -- seconds
local TERMINAL_EVERY = 0.1
local WORDS = { preflight = "checking", writing = "writing" }
local SETTLED = 2 -- seconds before a rate is worth telling

local function tail(event)
  local parts = {}
  if event.phase == "waiting" and event.wait_for then
    parts[#parts + 1] = "waiting for " .. (event.wait_for == "window" and "the platform to open" or "a " .. event.wait_for)
    if event.wait_until then
      parts[#parts + 1] = "until " .. os.date("%H:%M:%S", math.floor(event.wait_until))
    end
  end
  for _, name in ipairs{ "rejected", "ambiguous" } do
    if (event[name] or 0) > 0 then
      parts[#parts + 1] = human.count(event[name]) .. " " .. name
    end
  end
  return parts
end

---One line of text for a progress event.
---@param event table see docs/import.md
---@return string
function M.line(event)
  local rows, total = event.rows or 0, event.total_rows
  local done = event.phase == "preflight" and event.bytes or rows
  local all = event.phase == "preflight" and event.total_bytes or total
  local parts = { (WORDS[event.phase] or "sending") .. " " .. human.count(rows)
    .. (total and event.phase ~= "preflight" and " of " .. human.count(total) or "") .. " rows" }
  if all and all > 0 then
    parts[1] = parts[1] .. string.format(" (%d %%)", math.floor(math.min(done / all, 1) * 100))
  end
  local seconds = event.seconds or 0
  if seconds >= SETTLED and done > 0 and event.phase ~= "waiting" then
    parts[#parts + 1] = human.count(rows / seconds) .. " rows/s"
    if all and all > done then
      parts[#parts + 1] = human.duration((all - done) * seconds / done) .. " left"
    end
  end
  for _, part in ipairs(tail(event)) do
    parts[#parts + 1] = part
  end
  return table.concat(parts, ", ")
end

---Makes a callback for `on_progress`, and what ends its line.
---@param options { terminal: boolean, width: integer?, monotonic: fun(): number, write: fun(text: string) }
---@return fun(event: table) show
---@return fun() finish
function M.new(options)
  local last, shown = nil, false
  local function show(event)
    local now = options.monotonic()
    if event.phase == "finished" then
      return
    end
    last = last or (options.terminal and now - TERMINAL_EVERY or now)
    if now - last < (options.terminal and TERMINAL_EVERY or PLAIN_EVERY) then
      return
    end
    last = now
    local line = M.line(event)
    if options.terminal then
      shown = true
      options.write("\r" .. line:sub(1, (options.width or 80) - 1) .. "\27[K")
    else
      options.write(line .. "\n")
    end
  end
  local function finish()
    if shown then
      options.write("\r\27[K")
    end
  end
  return show, finish
end

return M

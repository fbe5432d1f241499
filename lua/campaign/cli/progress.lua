-- SPDX-License-Identifier: MIT
-- Progress of an import on stderr: one line that is redrawn on a terminal, else a plain line every ten seconds; or JSON, one event per
-- line.

local core = require "campaign.core"
local human = require "campaign.human"

local M = {}

local PLAIN_EVERY = 10 -- seconds
local TERMINAL_EVERY = 0.1
local JSON_EVERY = 1
local WORDS = { reading = "reading", mapping = "mapping", preflight = "checking", writing = "writing" }
local READS = { reading = true, mapping = true, preflight = true } -- phases whose progress is measured in bytes
local SETTLED = 2 -- seconds after which a rate is shown

-- What the import waits for, in words.
local function waits(event)
  local clock = event.wait_until and os.date("%H:%M:%S", math.floor(event.wait_until))
  if event.wait_for == "window" then
    return "waiting for the platform to open, until " .. (event.opens or clock or "it does")
  elseif event.wait_for == "throttle" then
    return "waiting, as the platform asked" .. (clock and ", until " .. clock or "")
  end
  if event.wait_for == "target" then
    return "waiting for " .. tostring(event.holder) .. ", which is sending to the same target"
  end
  if event.wait_for == "probe" then
    return "waiting to look at the platform again" .. (clock and " at " .. clock or "")
  end
  return "waiting for a " .. tostring(event.wait_for) .. (clock and " until " .. clock or "")
end

local function tail(event)
  local parts = {}
  if event.phase == "waiting" and event.wait_for then
    parts[#parts + 1] = waits(event)
  elseif event.slowed then
    parts[#parts + 1] = ("slowed by the platform: %s calls/s"):format(("%.1f"):format(event.calls_per_second):gsub("%.0$", ""))
  end
  for _, name in ipairs{ "rejected", "ambiguous" } do
    if (event[name] or 0) > 0 then
      parts[#parts + 1] = human.count(event[name]) .. " " .. name
    end
  end
  if event.calls_after and event.phase ~= "waiting" then
    parts[#parts + 1] = ("%s requests after the platform was closed from %s on"):format(human.count(event.calls_after), event.closes)
  end
  return parts
end

-- Per second, and seconds left: what the event says, else what follows from what was done so far.
local function speed(event, done, all)
  local seconds = event.seconds or 0
  if seconds < SETTLED or done <= 0 or event.phase == "waiting" then
    return nil, event.phase == "waiting" and event.left or nil
  end
  local rate = event.rate or (event.rows or 0) / seconds
  return rate, event.left or all and all > done and (all - done) * seconds / done or nil
end

---One line of text for a progress event.
---@param event table see docs/import.md
---@return string
function M.line(event)
  local rows, total = event.rows or 0, event.total_rows
  local done = READS[event.phase] and event.bytes or rows
  local all = READS[event.phase] and event.total_bytes or total
  local parts = { (WORDS[event.phase] or "sending") .. " " .. human.count(rows)
    .. (total and not READS[event.phase] and " of " .. human.count(total) or "") .. " rows" }
  if all and all > 0 then
    parts[1] = parts[1] .. string.format(" (%d %%)", math.floor(math.min(done / all, 1) * 100))
  end
  local rate, left = speed(event, done, all)
  if rate then
    parts[#parts + 1] = human.count(rate) .. " rows/s"
  end
  if left and left > 0 then
    parts[#parts + 1] = human.duration(left) .. " left"
  end
  for _, part in ipairs(tail(event)) do
    parts[#parts + 1] = part
  end
  return table.concat(parts, ", ")
end

-- Events as JSON, one a line: at most one a second, and each change of phase.
local function json_lines(options)
  local last, phase
  local function show(event)
    local now = options.monotonic()
    if phase == event.phase and last and now - last < JSON_EVERY and not event.note then
      return
    end
    last, phase = now, event.phase
    local shown = { event = "progress" }
    for key, value in pairs(event) do
      local is_plain = type(value) == "number" or type(value) == "string" or type(value) == "boolean"
      shown[key] = is_plain and value or nil
    end
    options.write(assert(core.json.encode(shown)) .. "\n")
  end
  return show, function() end
end

---Makes a callback for `on_progress`, and what ends its line.
---@param options { terminal: boolean, width: integer?, monotonic: fun(): number, write: fun(text: string), json: boolean? }
---@return fun(event: table) show
---@return fun() finish
function M.new(options)
  if options.json then
    return json_lines(options)
  end
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

---The same on stderr. A terminal that cannot renew a line (an editor's shell, for one) gets lines of its own, as a file does.
---@param json boolean?
---@return fun(event: table) show
---@return fun() finish
function M.on_stderr(json)
  return M.new{
    terminal = core.console.is_terminal(2) and os.getenv("TERM") ~= "dumb", width = core.console.width(), monotonic = core.system.monotonic,
    write = function(text) io.stderr:write(text) end, json = json,
  }
end

return M

-- SPDX-License-Identifier: MIT
-- Output of the command: one line on stderr, or JSON with --json, and an exit code that scripts can test (docs/cli.md).

local core = require "campaign.core"
local error_object = require "campaign.error"
local human = require "campaign.human"

local M = {}

M.EXIT = {
  ok = 0, internal = 1, refused = 2, not_delivered = 3, unknown = 4, platform = 5, credentials = 6, rejects = 7, stopped = 8,
  interrupted = 130,
}
local EXIT = M.EXIT

local BY_KIND = {
  usage = EXIT.refused, invalid = EXIT.refused, auth = EXIT.credentials, ledger = EXIT.stopped, cancelled = EXIT.interrupted,
  network = EXIT.not_delivered, timeout = EXIT.not_delivered, tls = EXIT.not_delivered,
}

---The exit code for an error.
---@param err campaign.error
---@param effect string? of the operation: a call that changes nothing (`safe`) has no unknown outcome
---@return integer
function M.exit_code(err, effect)
  local kind = err.kind
  if err.sent == "maybe" and effect ~= "safe" and kind ~= "cancelled" and kind ~= "ledger" then
    return EXIT.unknown
  end
  if kind == "window" and err.reason == "clock" then
    return EXIT.stopped
  elseif kind == "window" then
    return err.status and EXIT.platform or EXIT.refused
  end
  if kind == "throttle" and not err.status then
    return EXIT.not_delivered -- held back by our own rate limit
  end
  -- All others are answers other than the expected one.
  return BY_KIND[kind] or EXIT.platform
end

-- The parts of an error that a script can use; `body` and `cause` stay inside.
local SHOWN = { "kind", "message", "platform", "operation", "status", "code", "reason", "sent", "retry", "hint" }

local function plain(value)
  if type(value) == "table" then
    local copy = {}
    for key, inner in pairs(value) do
      copy[key] = plain(inner)
    end
    return #copy > 0 and core.json.array(copy) or copy
  end
  return value
end

-- An error as the line that goes to stderr, and the exit code.
local function line_of(err, options)
  if not error_object.is(err) then
    err = error_object.new{ kind = "usage", message = tostring(err) }
  end
  local code = options.code or M.exit_code(err, options.effect)
  if options.json then
    local shown = { exit_code = code }
    for _, name in ipairs(SHOWN) do
      shown[name] = plain(err[name])
    end
    if options.is_internal then
      shown.kind = "internal" -- of the command alone: no error object has this kind
    end
    if err.faults then
      shown.faults = core.json.array(plain(err.faults))
    end
    local text = core.json.encode({ error = shown })
    if not text then -- an argument that is not UTF-8 went into the message
      shown.message = shown.message:gsub("[\128-\255]", "?")
      shown.faults, shown.hint = nil, nil
      text = core.json.encode({ error = shown }) or "{}"
    end
    return text .. "\n", code
  end
  return "campaign: " .. human.visible((tostring(err):gsub("[\r\n]+", " "))) .. "\n", code
end

---Writes texts for people to stdout: names of columns and files, a platform's words may hold anything.
---@param ... string|number
function M.say(...)
  io.stdout:write(human.visible(table.concat({ ... }), true))
end

---Writes a line for people to stderr.
---@param ... string|number
function M.note(...)
  io.stderr:write("campaign: ", human.visible(table.concat({ ... }), true), "\n")
end

---Writes an error to stderr and returns the exit code.
---@param err campaign.error|string
---@param options { json: boolean?, effect: string?, code: integer?, is_internal: boolean? }
---@return integer
function M.fail(err, options)
  local line, code = line_of(err, options)
  io.stderr:write(line)
  return code
end

---The return values of a function that refuses what the user typed.
---@param message string
---@param hint string?
---@return nil
---@return campaign.error
function M.usage(message, hint)
  return nil, error_object.new{ kind = "usage", message = message, hint = hint }
end

---From now on Ctrl-C and its like end the process with this message and exit code 130, also in the middle of a wait.
---@param message string
---@param sent "no"|"maybe" whether something may have been applied by then
---@param options { json: boolean? }
function M.when_interrupted(message, sent, options)
  core.console.end_with((line_of(error_object.new{ kind = "cancelled", message = message, sent = sent }, {
    json = options.json, code = EXIT.interrupted,
  })))
end

---Writes a text to the file of -o, or to stdout.
---@param text string
---@param path string?
---@return boolean? ok
---@return campaign.error? err
function M.write(text, path)
  if not path then
    io.stdout:write(text)
    if not io.stdout:flush() then
      return nil, error_object.new{ kind = "ledger", message = "stdout cannot be written" }
    end
    return true
  end
  local ok, err = core.system.write_atomic(path, text, 420) -- 0644: documents, no data of people
  if not ok then
    return nil, error_object.new{ kind = "ledger", message = path .. " cannot be written: " .. tostring(err and err.message or err) }
  end
  return true
end

---Writes one line of JSON to stdout.
---@param value any
function M.json(value)
  io.stdout:write(core.json.encode(value), "\n")
end

---Rows of texts as aligned columns; the last one is not padded.
---@param rows string[][]
---@return string lines without the last line end
function M.aligned(rows)
  local widths, lines = {}, {}
  for _, row in ipairs(rows) do
    for column, text in ipairs(row) do
      widths[column] = math.max(widths[column] or 0, #text)
    end
  end
  for index, row in ipairs(rows) do
    local cells = {}
    for column, text in ipairs(row) do
      cells[column] = column == #row and text or text .. string.rep(" ", widths[column] - #text)
    end
    lines[index] = (table.concat(cells, "  "):gsub("%s+$", ""))
  end
  return table.concat(lines, "\n")
end

---Writes rows of texts as aligned columns to stdout.
---@param rows string[][]
function M.columns(rows)
  io.stdout:write(M.aligned(rows), "\n")
end

return M

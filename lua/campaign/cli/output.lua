-- SPDX-License-Identifier: MIT
-- How the command speaks: one line on stderr, or JSON with --json, and an exit code that scripts can branch on (docs/cli.md).

local core = require "campaign.core"
local error_object = require "campaign.error"

local M = {}

M.EXIT = {
  ok = 0, internal = 1, refused = 2, not_delivered = 3, unknown = 4, platform = 5, credentials = 6, rejects = 7, stopped = 8,
  interrupted = 130,
}
local EXIT = M.EXIT

local BY_KIND = {
  usage = EXIT.refused, invalid = EXIT.refused, auth = EXIT.credentials, throttle = EXIT.platform, platform = EXIT.platform,
  ledger = EXIT.stopped, cancelled = EXIT.interrupted, redirect = EXIT.platform,
}

---The exit code for an error. `effect` is the operation's: a question that changes nothing leaves nothing in doubt.
---@param err campaign.error
---@param effect string?
---@return integer
function M.exit_code(err, effect)
  local code = BY_KIND[err.kind]
  if code then
    return code
  end
  if err.kind == "window" then
    return err.sent == "yes" and EXIT.platform or EXIT.refused
  end
  if err.sent == "no" or err.sent == nil or effect == "safe" then
    return EXIT.not_delivered
  end
  if err.kind == "http" and err.status and err.status >= 400 and err.status < 500 and err.status ~= 408 then
    return EXIT.platform
  end
  return EXIT.unknown
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

---Writes an error to stderr and returns the exit code.
---@param err campaign.error|string
---@param options { json: boolean?, effect: string?, code: integer? }
---@return integer
function M.fail(err, options)
  if not error_object.is(err) then
    err = error_object.new{ kind = "usage", message = tostring(err) }
  end
  local code = options.code or M.exit_code(err, options.effect)
  if options.json then
    local shown = { exit_code = code }
    for _, name in ipairs(SHOWN) do
      shown[name] = plain(err[name])
    end
    if err.faults then
      shown.faults = core.json.array(plain(err.faults))
    end
    io.stderr:write(core.json.encode({ error = shown }), "\n")
  else
    io.stderr:write("campaign: ", (tostring(err):gsub("[\r\n]+", " ")), "\n")
  end
  return code
end

---Writes one line of JSON to stdout.
function M.json(value)
  io.stdout:write(core.json.encode(value), "\n")
end

---Writes rows of texts as aligned columns; the last one is not padded.
---@param rows string[][]
function M.columns(rows)
  local widths = {}
  for _, row in ipairs(rows) do
    for column, text in ipairs(row) do
      widths[column] = math.max(widths[column] or 0, #text)
    end
  end
  for _, row in ipairs(rows) do
    local cells = {}
    for column, text in ipairs(row) do
      cells[column] = column == #row and text or text .. string.rep(" ", widths[column] - #text)
    end
    io.stdout:write((table.concat(cells, "  "):gsub("%s+$", "")), "\n")
  end
end

return M

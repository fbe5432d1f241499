-- SPDX-License-Identifier: MIT
-- The options of a client's calls, and the types of their values. Values that only some operations understand are checked where they are
-- used.

local later = require "campaign.later"
local sorted = require "campaign.sorted"

local suggest = later.module "campaign.api.suggest"

local M = {}

local OPTIONS = {
  accept_public_file = "boolean", like = "table", live = "boolean", retries = "number", rows = "userdata", rows_filename = "string",
  save_to = "string", server_variables = "table", timeout = "number", window = "string",
}

-- A signature that covers the body needs it as a text.
local ALSO = { rows = "string" }

local WINDOWS = { wait = true, refuse = true, ignore = true }

---Raises where an option is none, or not of its kind.
---@param options table
---@param level integer of the frame to blame, as error counts from our caller
function M.check(options, level)
  for name, value in pairs(options) do
    if not OPTIONS[name] then
      error("unknown option `" .. tostring(name) .. "`" .. suggest.help(name, sorted.keys(OPTIONS)), level + 1)
    end
    if type(value) ~= OPTIONS[name] and type(value) ~= ALSO[name] then
      error("option `" .. name .. "` must be a " .. OPTIONS[name] .. ", not a " .. type(value), level + 1)
    end
  end
  if options.window and not WINDOWS[options.window] then
    error("option `window` must be wait, refuse or ignore", level + 1)
  end
  if options.timeout and not (options.timeout > 0 and options.timeout < math.huge) then
    error("option `timeout` must be a number of seconds above 0", level + 1)
  end
  local retries = options.retries
  if retries and not (retries >= 0 and retries <= 10 and retries == math.floor(retries)) then
    error("option `retries` must be a whole number from 0 to 10", level + 1)
  end
end

return M

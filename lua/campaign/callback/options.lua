-- SPDX-License-Identifier: MIT
-- The options of a receiver of callbacks: the type of each value and its limits. A wrong option is a programming error and raises; its value is not
-- shown, since it may be a secret. The strength of secrets is checked in campaign.callback.

local M = {}

-- Of signed posts, unless `hmac` names others.
M.SIGNATURE_HEADER, M.TIMESTAMP_HEADER = "X-Campaign-Signature", "X-Campaign-Timestamp"

local MOST = 2 ^ 53
local DAY = 86400

local function text(value)
  return type(value) == "string" and value ~= "", "a text that is not empty"
end

local function table_of_values(value)
  return type(value) == "table", "a table"
end

local function count(value)
  return type(value) == "number" and value >= 1 and value <= MOST and value == math.floor(value), "a whole number from 1"
end

local function rate(value)
  return type(value) == "number" and value > 0 and value <= MOST, "a number of posts a second above 0"
end

local function burst(value)
  return type(value) == "number" and value >= 1 and value <= MOST, "a number of posts from 1"
end

-- Paths are compared as received, up to a question mark.
local function prefix(value)
  return type(value) == "string" and value:find("^/[^%c%s?#\127-\255]*$") ~= nil,
    "the beginning of a path: `/`, then no blanks, `?`, `#` or characters that are not ASCII"
end

local function header(value)
  return type(value) == "string" and value:find("^[%w!#$%%&'*+.^_`|~-]+$") ~= nil, "the name of an HTTP header"
end

local function window(value)
  return type(value) == "number" and value > 0 and value <= DAY, "a number of seconds above 0, at most " .. DAY
end

local KINDS = {
  platform = text, name = text, store = text, secret = function(value) return type(value) == "string", "a text" end,
  hmac = table_of_values, env = table_of_values, max_body = count, max_entries = count, max_bytes = count, rate = rate, burst = burst,
  prefix = prefix, take = function(value) return type(value) == "function", "a function" end,
}

local HMAC_KINDS = {
  key = function(value) return type(value) == "string", "a text" end, header = header, timestamp_header = header, window = window,
}

local function check_each(values, kinds, before, level)
  for name, value in pairs(values) do
    local kind = kinds[name]
    if not kind then
      error(("unknown option `%s%s`"):format(before, tostring(name)), level + 1)
    end
    local is_right, wanted = kind(value)
    if not is_right then
      error(("option `%s%s` must be %s (it is a %s)"):format(before, name, wanted, type(value)), level + 1)
    end
  end
end

---Raises for an unknown option or an invalid value.
---@param options any
---@param level integer who is to blame, as for `error`
function M.check(options, level)
  if type(options) ~= "table" then
    error("the options of a receiver must be a table, not a " .. type(options), level + 1)
  end
  check_each(options, KINDS, "", level + 1)
  if options.store == nil then
    error("option `store` must be given: the folder that keeps what comes", level + 1)
  end
  local hmac = options.hmac
  if hmac == nil then
    return
  end
  check_each(hmac, HMAC_KINDS, "hmac.", level + 1)
  local first, second = hmac.header or M.SIGNATURE_HEADER, hmac.timestamp_header or M.TIMESTAMP_HEADER
  if first:lower() == second:lower() then
    error("options `hmac.header` and `hmac.timestamp_header` must not name the same header", level + 1)
  end
end

return M

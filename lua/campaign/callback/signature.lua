-- SPDX-License-Identifier: MIT
-- Signed posts: HMAC-SHA256 over "<timestamp>.<body>", valid within a time window. The headers that carry them are the user's choice: no
-- platform documents a signature, so this is for senders and proxies that users set up themselves.

local core = require "campaign.core"

local M = {}

local WINDOW = 300 -- seconds to both sides
local LEAST_KEY = 16 -- bytes

local OPTIONS = { key = true, header = true, timestamp_header = true, window = true }

local methods = {}
local mt = { __index = methods, __name = "campaign.callback.signature" }

function mt.__tostring()
  return "campaign.callback.signature" -- never its key
end

---@param options { key: string, header: string?, timestamp_header: string?, window: number? }
---@return table? signature
---@return string? problem
function M.new(options)
  for name in pairs(options) do
    if not OPTIONS[name] then
      error("unknown option `hmac." .. tostring(name) .. "`", 3)
    end
  end
  if type(options.key) ~= "string" or #options.key < LEAST_KEY then
    return nil, ("the key of the signature needs %d bytes or more"):format(LEAST_KEY)
  end
  return setmetatable({
    _key = options.key, _header = (options.header or "X-Campaign-Signature"):lower(),
    _timestamp = (options.timestamp_header or "X-Campaign-Timestamp"):lower(), _window = options.window or WINDOW,
  }, mt)
end

---The signature of a body, in hex: for senders and specs.
---@param key string
---@param timestamp string
---@param body string
---@return string
function M.sign(key, timestamp, body)
  return core.digest.hmac_sha256(key, timestamp .. "." .. body)
end

---@param headers table<string, string> names in lower case
---@param body string
---@param now number seconds since 1970
---@return boolean valid
function methods:check(headers, body, now)
  local timestamp, given = headers[self._timestamp], headers[self._header]
  if type(timestamp) ~= "string" or type(given) ~= "string" or not timestamp:find("^%d+$") or #timestamp > 12 then
    return false
  end
  given = given:gsub("^sha256=", ""):lower()
  local is_right = core.digest.equal(given, M.sign(self._key, timestamp, body))
  return is_right and math.abs(now - tonumber(timestamp)) <= self._window
end

return M

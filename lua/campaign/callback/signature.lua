-- SPDX-License-Identifier: MIT
-- Signed posts: HMAC-SHA256 over "<timestamp>.<body>", valid within a time window. The headers that carry them are the user's choice: no
-- platform documents a signature, so this is for senders and proxies that users set up themselves.

local core = require "campaign.core"
local options_of = require "campaign.callback.options"

local M = {}

local WINDOW = 300 -- seconds to both sides
local LEAST_KEY = 16 -- bytes

local methods = {}
local mt = { __index = methods, __name = "campaign.callback.signature" }

function mt.__tostring()
  return "campaign.callback.signature" -- never its key
end

---@param options { key: string, header: string?, timestamp_header: string?, window: number? } as campaign.callback.options lets them pass
---@return table? signature
---@return string? problem
function M.new(options)
  if type(options.key) ~= "string" or #options.key < LEAST_KEY then
    return nil, ("the key of the signature needs %d bytes or more"):format(LEAST_KEY)
  end
  return setmetatable({
    _key = options.key, _header = (options.header or options_of.SIGNATURE_HEADER):lower(),
    _timestamp = (options.timestamp_header or options_of.TIMESTAMP_HEADER):lower(), _window = options.window or WINDOW,
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

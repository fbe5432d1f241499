-- SPDX-License-Identifier: MIT
-- Selects the transport: the blocking one of plain Lua, or the one that yields inside an nginx worker.

local M = {}

---@return table? transport see docs/architecture.md
---@return campaign.error? err libcurl is missing
function M.new()
  return require(package.loaded.ngx and "campaign.transport.openresty" or "campaign.transport.curl").new()
end

---What of a request is the same each time it is sent with another body: for an engine's template.
---@param request table
---@return table
function M.to_repeat(request)
  return {
    method = request.method, url = request.url, headers = request.headers, account = request.account, allow_http = request.allow_http,
    ca_file = request.ca_file, proxy = request.proxy, max_connection_age = request.max_connection_age,
  }
end

local late = {}
local mt = { __index = late, __name = "campaign.transport.late" }

function late:perform(request)
  local err
  if not self._transport then
    self._transport, err = M.new()
    if not self._transport then
      return nil, err
    end
  end
  return self._transport:perform(request)
end

function late:forget(account)
  return self._transport and self._transport:forget(account)
end

function late:close()
  if self._transport then
    self._transport:close()
    self._transport = nil
  end
end

---A transport for callers that send one request at a time, if any: created with the first one, so that without requests no libcurl is
---needed.
---@return table transport
function M.late()
  return setmetatable({}, mt)
end

return M

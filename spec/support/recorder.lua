-- SPDX-License-Identifier: MIT
-- A transport whose other end is in this very process: the engine sends on its own thread, a plain socket takes the bytes as they come
-- and answers with the bytes it was told. For specs that look at what really goes over the wire.

local socket = require "socket"

local curl = require "campaign.transport.curl"

local M = {}

local methods = {}
local mt = { __index = methods }

---@param replies string[] whole HTTP replies, in turn; the last one for ever
function M.new(replies)
  local server = assert(socket.bind("127.0.0.1", 0))
  server:settimeout(10)
  local _, port = server:getsockname()
  return setmetatable({
    server = server, curl = curl.new{ driver = "thread" }, replies = replies, url = "http://127.0.0.1:" .. port, received = {},
  }, mt)
end

local function read_request(peer)
  local lines = {}
  local length
  repeat
    local line = assert(peer:receive("*l"))
    length = line:lower():match("^content%-length: (%d+)$") or length
    lines[#lines + 1] = line
  until line == ""
  local body = length and tonumber(length) > 0 and assert(peer:receive(tonumber(length))) or ""
  return table.concat(lines, "\r\n") .. "\r\n" .. body
end

---Sends a request to the own socket, keeps what arrives in `received`, answers.
function methods:perform(request)
  local id, err = self.curl:submit(request)
  if not id then
    return nil, err
  end
  local peer = assert(self.server:accept())
  peer:settimeout(10)
  self.received[#self.received + 1] = read_request(peer)
  peer:send(self.replies[math.min(#self.received, #self.replies)])
  peer:close()
  local finished, result = self.curl:next(10)
  assert(finished == id, "the request did not finish")
  return result
end

---For whoever drives many: each request is served before `submit` returns, its result waits for `next`.
function methods:submit(request)
  local result, err = self:perform(request)
  if not result then
    return nil, err
  end
  local id = #self.received
  self.finished = self.finished or {}
  self.finished[#self.finished + 1] = { id, result }
  return id
end

function methods:next()
  local first = self.finished and table.remove(self.finished, 1)
  if first then
    return first[1], first[2]
  end
end

function methods.cancel()
  return false
end

function methods:close()
  self.server:close()
  self.curl:close()
end

-- Headers that the engine adds and that say nothing about the platform.
local PLUMBING = { ["accept-encoding"] = true, host = true, ["user-agent"] = true, accept = true, ["content-length"] = true, connection = true }

---A request as cases write it: line, headers that matter sorted by name, body; line ends as \n; the boundary by name.
function M.readable(bytes)
  local head, body = bytes:match("^(.-)\r\n\r\n(.*)$")
  local boundary = head:match("boundary=([%w%-]+)")
  local first, headers = nil, {}
  for line in head:gmatch("[^\r\n]+") do
    if not first then
      first = line:gsub(" HTTP/1%.1$", "")
    elseif not PLUMBING[line:match("^[^:]+"):lower()] then
      headers[#headers + 1] = line
    end
  end
  table.sort(headers)
  local text = table.concat({ first, table.concat(headers, "\n"), "", body }, "\n")
  if boundary then
    text = text:gsub((boundary:gsub("%-", "%%-")), "BOUNDARY"):gsub("%-%-+BOUNDARY", "--BOUNDARY")
  end
  return (text:gsub("\r\n", "\n"))
end

---A whole HTTP reply.
function M.reply(body, status, headers)
  local lines = { "HTTP/1.1 " .. (status or "200 OK"), "Content-Length: " .. #body, "Connection: close" }
  for _, line in ipairs(headers or { "Content-Type: application/json" }) do
    lines[#lines + 1] = line
  end
  return table.concat(lines, "\r\n") .. "\r\n\r\n" .. body
end

return M

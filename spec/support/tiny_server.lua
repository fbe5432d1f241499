-- SPDX-License-Identifier: MIT
-- A tiny HTTP server for the invented vendors of the examples: one request a connection, read whole, and answered by a function. It knows nothing of
-- any platform's data. Prints its port, and serves until it is ended.

local socket = require "socket"

local M = {}

-- Names and values of a query or a form.
local function pairs_in(text)
  local list = {}
  for name, value in text:gmatch("([^=&]+)=([^&]*)") do
    list[M.decoded(name)] = M.decoded(value)
  end
  return list
end

function M.decoded(text)
  return (text:gsub("%+", " "):gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

-- Texts and files of a form in parts.
local function parts_in(body, border)
  local texts, files = {}, {}
  local _, at = body:find(border, 1, true)
  while body:sub(at + 1, at + 2) ~= "--" do
    local head_end = body:find("\r\n\r\n", at, true)
    local from, to = body:find(border, head_end, true)
    local head = body:sub(at, head_end)
    local list = head:find("filename=", 1, true) and files or texts
    list[head:match(' name="([^"]*)"')] = body:sub(head_end + 4, from - 1)
    at = to
  end
  return texts, files
end

-- method, target (as sent), path, query and form (decoded), files, headers (lower-case names), body; nil when the peer went away.
local function read(peer)
  local first = peer:receive("*l")
  if not first then
    return nil
  end
  local request = { form = {}, headers = {}, body = "" }
  request.method, request.target = first:match("^(%u+) (%S+) HTTP/1%.1$")
  request.path = request.target:match("^[^?]+")
  request.query = pairs_in(request.target:match("?(.*)$") or "")
  for line in function() return peer:receive("*l") end do
    if line == "" then
      break
    end
    local name, value = line:match("^([^:]+): *(.*)$")
    request.headers[name:lower()] = value
  end
  local length = tonumber(request.headers["content-length"] or 0)
  if request.headers.expect then
    peer:send("HTTP/1.1 100 Continue\r\n\r\n")
  end
  if length > 0 then
    request.body = peer:receive(length)
  end
  local content_type = request.headers["content-type"] or ""
  local boundary = content_type:match("^multipart/form%-data; *boundary=(.+)$")
  if request.body and boundary then
    request.form, request.files = parts_in("\r\n" .. request.body, "\r\n--" .. boundary)
  elseif request.body and content_type:find("form-urlencoded", 1, true) then
    request.form = pairs_in(request.body)
  end
  return request.body and request
end

---Serves until nobody asks for a minute: whoever started it has it ended.
---@param answer fun(request: table): integer?, string? status and JSON body; nil: the connection ends without an answer
function M.serve(answer)
  local server = assert(socket.bind("127.0.0.1", 0))
  local _, port = server:getsockname()
  io.stdout:write(port, "\n")
  io.stdout:flush()
  server:settimeout(60)
  while true do
    local peer = server:accept()
    if not peer then
      break
    end
    peer:settimeout(10)
    local request = read(peer)
    if request then
      local status, body = answer(request)
      if status then
        peer:send(("HTTP/1.1 %d Said\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"):format(
          status, #body, body))
      end
    end
    peer:close()
  end
end

return M

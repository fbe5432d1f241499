-- SPDX-License-Identifier: MIT
-- Courier's other side: a tiny HTTP server for the invented vendor of examples/platforms/courier.lua. It knows nothing of that file; it
-- plays the vendor as the guide describes it. Prints its port, then serves one request a connection until it is ended.

local cjson = require "cjson"
local socket = require "socket"

local FIRST = "90071992547409" -- ids are longer than a double can hold
local messages = {}

local function array(list)
  return "[" .. table.concat(list, ",") .. "]"
end

local function message_json(message)
  return ('{"id":%s,"state":"%s","delivered":%d,"request":%s}'):format(message.id, message.state, message.delivered,
    cjson.encode(message.request))
end

local ROUTES = {}

ROUTES["POST /v1/messages"] = function(request)
  local well, body = pcall(cjson.decode, request.body)
  if not well or type(body.recipients) ~= "table" or #body.recipients > 500 or not body.text or not body.sender then
    return 400, '{"code":400,"message":"bad message"}'
  end
  local message = { id = FIRST .. ("%05d"):format(#messages + 1), state = "QUEUED", delivered = 0, request = body }
  messages[#messages + 1] = message
  return 200, message_json(message)
end

ROUTES["GET /v1/messages"] = function(request)
  local page, size = tonumber(request.query.page or 0), tonumber(request.query.size or 20)
  local items = {}
  for index = page * size + 1, math.min((page + 1) * size, #messages) do
    items[#items + 1] = message_json(messages[index])
  end
  return 200, ('{"items":%s,"total":%d}'):format(array(items), #messages)
end

-- A message is delivered when it is asked for the second time; one whose text says so fails.
ROUTES["GET /v1/messages/{id}"] = function(request)
  for _, message in ipairs(messages) do
    if message.id == request.id then
      local now = message_json(message)
      message.state = message.request.text == "fail" and "FAILED" or "DELIVERED"
      message.delivered = #message.request.recipients
      return 200, now
    end
  end
  return 404, '{"code":404,"message":"no such message"}'
end

local function answer(request)
  if request.key ~= "K-1" then
    return 401, '{"code":401,"message":"who are you?"}'
  end
  request.id = request.path:match("^/v1/messages/(%d+)$")
  local route = ROUTES[request.method .. " " .. (request.id and "/v1/messages/{id}" or request.path)]
  if not route then
    return 404, '{"code":404,"message":"no such path"}'
  end
  return route(request)
end

local function read(peer)
  local first = peer:receive("*l")
  if not first then
    return nil
  end
  local request = { query = {}, body = "" }
  local target
  request.method, target = first:match("^(%u+) (%S+) HTTP/1%.1$")
  request.path = target:match("^[^?]+")
  for name, value in (target:match("?(.*)$") or ""):gmatch("([^=&]+)=([^&]*)") do
    request.query[name] = value
  end
  local length = 0
  for line in function() return peer:receive("*l") end do
    if line == "" then
      break
    end
    local name, value = line:match("^([^:]+): *(.*)$")
    if name:lower() == "content-length" then
      length = tonumber(value)
    elseif name:lower() == "x-courier-key" then
      request.key = value
    end
  end
  if length > 0 then
    request.body = peer:receive(length)
  end
  return request.body and request
end

local server = assert(socket.bind("127.0.0.1", 0))
local _, port = server:getsockname()
io.stdout:write(port, "\n")
io.stdout:flush()
-- Whoever started us has us ended; a minute without a request means that nobody is left to do it.
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
    peer:send(("HTTP/1.1 %d Said\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"):format(status,
      #body, body))
  end
  peer:close()
end

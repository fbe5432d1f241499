-- SPDX-License-Identifier: MIT
-- Courier's other side: a tiny HTTP server for the invented vendor of examples/platforms/courier.lua. It knows nothing of that file; it
-- plays the vendor as the guide describes it.

local cjson = require "cjson"
local tiny_server = dofile("spec/support/tiny_server.lua")

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
  if request.headers["x-courier-key"] ~= "K-1" then
    return 401, '{"code":401,"message":"who are you?"}'
  end
  request.id = request.path:match("^/v1/messages/(%d+)$")
  local route = ROUTES[request.method .. " " .. (request.id and "/v1/messages/{id}" or request.path)]
  if not route then
    return 404, '{"code":404,"message":"no such path"}'
  end
  return route(request)
end

tiny_server.serve(answer)

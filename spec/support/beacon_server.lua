-- SPDX-License-Identifier: MIT
-- Beacon's other side: the invented vendor of examples/platforms/beacon.lua, which knows nothing of that file. What a contact's name says is
-- what becomes of it.

local cjson = require "cjson"
local tiny_server = dofile("spec/support/tiny_server.lua")

local contacts = {}

local function good(data)
  return 200, '{"code":0,"message":"ok","data":' .. data .. "}"
end

local function json_list(list)
  return "[" .. table.concat(list, ",") .. "]"
end

local ROUTES = {}

ROUTES["POST /open/contacts"] = function(request)
  local body = cjson.decode(request.body)
  local errors = {}
  for number, contact in ipairs(body.contacts) do
    if contact.name:find("blocked", 1, true) then
      errors[#errors + 1] = cjson.encode({ row = number, code = "E102", reason = "number " .. contact.mobile .. " may not be called" })
    elseif contact.name:find("same", 1, true) then
      errors[#errors + 1] = cjson.encode({ row = number, code = "E103", reason = "is in the group\nalready" })
    elseif contact.name == "lies" then
      errors[#errors + 1] = cjson.encode({ row = #body.contacts + 1, reason = "no such row" })
    elseif contact.name == "twice" then
      errors[#errors + 1] = cjson.encode({ row = number })
      errors[#errors + 1] = cjson.encode({ row = number })
    else
      contacts[#contacts + 1] = contact
    end
  end
  return good(body.contacts[1].name == "silence" and "{}" or '{"errors":' .. json_list(errors) .. "}")
end

ROUTES["POST /open/blocked"] = function(request)
  local body = cjson.decode(request.body)
  local failed = {}
  for _, contact in ipairs(body.contacts) do
    if contact.name:find("known", 1, true) then
      failed[#failed + 1] = cjson.encode({ mobile = tonumber(contact.mobile), reason = "is blocked already" })
    elseif contact.name == "stranger" then
      failed[#failed + 1] = cjson.encode({ mobile = "13999999999", reason = "who is that?" })
    end
  end
  return good(('{"good":%d,"bad":%d,"failed":%s}'):format(#body.contacts - #failed, #failed, json_list(failed)))
end

local function slice(from, count)
  local items = {}
  for i = from, math.min(from + count - 1, #contacts) do
    items[#items + 1] = cjson.encode(contacts[i])
  end
  return json_list(items)
end

-- The cursor says where to go on, in a form that nobody can count up.
ROUTES["GET /open/contacts"] = function(request)
  local from, count = tonumber((request.query.cursor or "after=0+"):match("^after=(%d+)%+$")) + 1, tonumber(request.query.limit or 100)
  local more = from + count <= #contacts
  return good(('{"items":%s,"has_more":%s,"next":%s}'):format(slice(from, count), tostring(more),
    more and ('"after=%d+"'):format(from + count - 1) or '""'))
end

-- Never more than 50, whatever is asked for.
ROUTES["GET /open/records"] = function(request)
  local offset, count = tonumber(request.query.offset or 0), math.min(tonumber(request.query.limit or 20), 50)
  return good(('{"items":%s,"total":%d}'):format(slice(offset + 1, count), #contacts))
end

tiny_server.serve(function(request)
  local route = ROUTES[request.method .. " " .. request.path]
  if not route then
    return 404, '{"code":404,"message":"no such path"}'
  end
  return route(request)
end)

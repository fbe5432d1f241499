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

-- A file without the mark of UTF-8 is read as GBK here, as spreadsheets do: that would be another name.
ROUTES["POST /open/files"] = function(request)
  local text, failed, line = request.files.file, {}, 1
  if text:sub(1, 16) ~= "\239\187\191mobile,name\r\n" then
    return 200, '{"code":7,"message":"the columns are not mobile,name"}'
  end
  for mobile, name in text:sub(17):gmatch("([^,\r]*),([^\r]*)\r\n") do
    line = line + 1
    if name:find("blocked", 1, true) then
      failed[#failed + 1] = tostring(line)
    else
      contacts[#contacts + 1] = { mobile = mobile, name = name }
    end
  end
  return good('{"failed":' .. json_list(failed) .. "}")
end

ROUTES["POST /open/events"] = function(request)
  if request.headers["content-type"] ~= "application/x-ndjson" or request.query.source ~= "shop" or request.body:sub(-1) ~= "\n" then
    return 200, '{"code":8,"message":"no events"}'
  end
  local failed = {}
  for line in request.body:gmatch("([^\n]*)\n") do
    local event = cjson.decode(line)
    if event.name:find("blocked", 1, true) then
      failed[#failed + 1] = cjson.encode({ mobile = event.mobile, reason = "not now" })
    else
      contacts[#contacts + 1] = event
    end
  end
  return good('{"failed":' .. json_list(failed) .. "}")
end

ROUTES["POST /open/labels"] = function()
  return good("{}")
end

-- Who calls is proved by others than the product: the openssl command.
local KEY, SECRET = "app-1", "S-3cret"

local function openssl(command, text)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
  local pipe = assert(io.popen("openssl dgst " .. command .. " " .. path))
  local out = pipe:read("*a")
  pipe:close()
  os.remove(path)
  return out
end

local function encoded(text)
  return (text:gsub("[^%w%-._~]", function(character) return ("%%%02X"):format(character:byte()) end))
end

local seen = {}

local function is_signed(request)
  local query = {}
  for name, value in pairs(request.query) do
    query[#query + 1] = encoded(name) .. "=" .. encoded(value)
  end
  table.sort(query)
  local stamp, nonce = request.headers["x-beacon-time"] or "", request.headers["x-beacon-nonce"] or ""
  local digest = openssl("-sha256 -r", request.body):match("^%x+")
  local text = table.concat({ request.method, request.path, table.concat(query, "&"), stamp, nonce, digest }, "\n")
  local wanted = openssl("-sha256 -hmac " .. SECRET .. " -binary", text)
  local given = (request.headers.authorization or ""):match("^BEACON " .. KEY:gsub("%-", "%%-") .. ":(.*)$")
  local is_new = not seen[nonce] and stamp:find("^%d+$") and math.abs(tonumber(stamp) / 1000 - os.time()) < 300 and #nonce == 16
  seen[nonce] = true
  return is_new and given == require("mime").b64(wanted)
end

local function is_sorted(request)
  local names, all = {}, {}
  for _, list in ipairs({ request.query, request.form }) do
    for name, value in pairs(list) do
      if name ~= "sign" and value ~= "" then
        names[#names + 1], all[name] = name, value
      end
    end
  end
  table.sort(names)
  local text = SECRET
  for _, name in ipairs(names) do
    text = text .. name .. all[name]
  end
  local is_timed = (request.query.timestamp or ""):find("^%d%d%d%d%-%d%d%-%d%d %d%d:%d%d:%d%d$")
  return is_timed and request.query.app_key == KEY and request.query.sign == openssl("-md5 -r", text .. SECRET):match("^%x+"):upper()
end

local SORTED = { ["/open/records"] = true, ["/open/labels"] = true, ["/open/files"] = true }

tiny_server.serve(function(request)
  if not (SORTED[request.path] and is_sorted or is_signed)(request) then
    return 401, '{"code":401,"message":"the signature is not right"}'
  end
  local route = ROUTES[request.method .. " " .. request.path]
  if not route then
    return 404, '{"code":404,"message":"no such path"}'
  end
  return route(request)
end)

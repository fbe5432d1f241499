-- SPDX-License-Identifier: MIT
-- Orchard's other side: a tiny HTTP server for the invented vendor of examples/platforms/orchard.lua. It knows nothing of that file. Signatures are
-- made anew by the openssl command, over the bytes that came.

local cjson = require "cjson"
local tiny_server = dofile("spec/support/tiny_server.lua")

local KEY, SECRET, FORM_KEY_HEX = "app-1", "S-3cret", "00ff10206b657920"
local points, seen = {}, {}

local function openssl(command, text)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
  local pipe = assert(io.popen("openssl dgst " .. command .. " -r " .. path))
  local out = pipe:read("*a")
  pipe:close()
  os.remove(path)
  return out:match("^%x+")
end

-- Name and value, as they came, of each field of a JSON object.
local function raw_fields(text)
  local list, at = {}, 2
  while text:sub(at, at) ~= "}" do
    local name, from = text:match('^,?"([^"]*)":()', at)
    local depth, in_text, to = 0, false, from
    while true do
      local character = text:sub(to, to)
      if in_text then
        to = character == "\\" and to + 1 or to
        in_text = character ~= '"'
      elseif character == '"' then
        in_text = true
      elseif character:find("[%[{]") then
        depth = depth + 1
      elseif depth == 0 and character:find("[,}]") then
        break
      elseif character:find("[%]}]") then
        depth = depth - 1
      end
      to = to + 1
    end
    list[#list + 1] = { name, text:sub(from, to - 1) }
    at = to
  end
  return list
end

local function joined(list)
  table.sort(list)
  return table.concat(list, "&")
end

local function is_signed(request)
  local list, sign = {}, nil
  local decoded = cjson.decode(request.body)
  for _, field in ipairs(raw_fields(request.body)) do
    local value = type(decoded[field[1]]) == "string" and decoded[field[1]] or field[2]
    if field[1] == "sign" then
      sign = value
    elseif value ~= "" then
      list[#list + 1] = field[1] .. "=" .. value
    end
  end
  local is_new = not seen[decoded.nonce] and type(decoded.timestamp) == "number" and math.abs(decoded.timestamp / 1000 - os.time()) < 300
  seen[decoded.nonce] = true
  return is_new and decoded.appKey == KEY and sign == openssl("-md5", joined(list) .. "&key=" .. SECRET):upper(), decoded
end

local function is_keyed(request)
  local list = {}
  for name, value in pairs(request.form) do
    list[#list + 1] = name ~= "sign" and name .. "=" .. value or nil
  end
  return request.form.app_key == KEY
    and request.form.sign == openssl("-sha256 -mac HMAC -macopt hexkey:" .. FORM_KEY_HEX, joined(list))
end

local sessions, session = 0, nil

local function is_of_shop(request)
  local list, sign = {}, nil
  for name, value in pairs(request.query) do
    if name == "sign" then
      sign = value
    else
      list[#list + 1] = name .. value
    end
  end
  table.sort(list)
  return request.query.app_key == KEY and (request.query.timestamp or ""):find("^%d%d%d%d%-%d%d%-%d%d %d%d:%d%d:%d%d$")
    and sign == openssl("-sha256 -hmac " .. SECRET, SECRET .. request.method .. table.concat(list) .. SECRET)
end

local BAD = '{"code":4010,"msg":"the sign is not right"}'

tiny_server.serve(function(request)
  if request.path == "/partner/points" then
    local is_good, body = is_signed(request)
    if not is_good then
      return 200, BAD
    end
    for _, gift in ipairs(body.data.gifts) do
      points[gift.mobile] = (points[gift.mobile] or 0) + gift.points
    end
    return 200, '{"code":0,"msg":"ok"}'
  end
  if request.path == "/partner/session" then
    if not is_signed(request) then
      return 200, BAD
    end
    sessions = sessions + 1
    session = "session/" .. sessions .. "+="
    return 200, ('{"code":0,"data":{"session":"%s"}}'):format(session)
  elseif request.path == "/partner/shops" then
    if not is_of_shop(request) then
      return 200, BAD
    elseif request.query.access_token ~= session then
      return 200, '{"code":4011,"msg":"session ' .. request.query.access_token .. ' is over"}'
    elseif request.query.city == "over" then
      session = nil
    end
    return 200, ('{"code":0,"shops":["%d"]}'):format(sessions)
  end
  return 200, is_keyed(request) and ('{"code":0,"msg":"ok","points":%d}'):format(points[request.form.mobile] or 0) or BAD
end)

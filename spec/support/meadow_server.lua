-- SPDX-License-Identifier: MIT
-- The other side of tokens: a tiny HTTP server that plays Meadow of examples/platforms/meadow.lua, and other habits of token calls under /styles.
-- It knows nothing of any platform's data. Under /test it is told how long tokens live, and tells what was asked.

local cjson = require "cjson"
local mime = require "mime"
local socket = require "socket"
local tiny_server = dofile("spec/support/tiny_server.lua")

local ID, SECRET = "wx-1", "S-3cret/+="
local life, serial, current, ends, broken, drop = 7200, 0, nil, 0, false, false
local refresh_token = "seed-1"
local asked, followers = {}, {}

local function new_token()
  serial = serial + 1
  current, ends = ("token-%d+/="):format(serial), socket.gettime() + life
  return current
end

local function is_good(token)
  return token ~= nil and token == current and socket.gettime() < ends
end

-- Where a call's token stands, and the token.
local function token_of(request)
  local headers = request.headers
  if request.query.access_token then
    return "query", request.query.access_token
  elseif request.form.access_token then
    return "form", request.form.access_token
  elseif headers["x-auth"] then
    return "x-auth", headers["x-auth"]:match("^Token (.+)$") or headers["x-auth"]
  end
  return "authorization", (headers.authorization or ""):match("^%w+ (.+)$")
end

local ROUTES = {}

ROUTES["GET /cgi/token"] = function(request)
  if broken then
    return 503, "{}"
  end
  local query = request.query
  if query.grant_type ~= "client_credential" or query.appid ~= ID then
    return 200, '{"errcode":40013,"errmsg":"invalid appid"}'
  elseif query.secret ~= SECRET then
    return 200, ('{"errcode":40125,"errmsg":"invalid appsecret, it is %s"}'):format(query.secret)
  end
  return 200, ('{"access_token":"%s","expires_in":%d}'):format(new_token(), life)
end

-- A call with a token; what it does.
local function guarded(act)
  return function(request)
    local _, token = token_of(request)
    if not is_good(token) then
      return 200, ('{"errcode":42001,"errmsg":"access_token %s expired"}'):format(tostring(token))
    end
    return act(request)
  end
end

ROUTES["POST /cgi/tags/members"] = guarded(function(request)
  local body = cjson.decode(request.body)
  for _, id in ipairs(body.openid_list) do
    if id == "bad" then
      return 200, '{"errcode":40003,"errmsg":"invalid openid"}'
    end
  end
  for _, id in ipairs(body.openid_list) do
    followers[#followers + 1] = id
  end
  if drop then
    drop = false
    return nil -- labelled, but the answer is lost
  end
  return 200, '{"errcode":0,"errmsg":"ok"}'
end)

ROUTES["GET /cgi/followers"] = guarded(function(request)
  local from = 1
  for index, id in ipairs(followers) do
    from = id == request.query.next_openid and index + 1 or from
  end
  local page = {}
  for index = from, math.min(from + 9, #followers) do
    page[#page + 1] = followers[index]
  end
  return 200, ('{"total":%d,"count":%d,"data":{"openid":[%s]},"next_openid":"%s"}'):format(#followers, #page,
    #page > 0 and '"' .. table.concat(page, '","') .. '"' or "", page[10] or "")
end)

-- Who asks, in any of three ways.
local function knows(request)
  local basic = (request.headers.authorization or ""):match("^Basic (.+)$")
  local json = (request.headers["content-type"] or ""):find("json", 1, true) and request.body ~= "" and cjson.decode(request.body) or {}
  local id = request.form.client_id or json.app_id or basic and mime.unb64(basic):match("^[^:]+")
  local secret = request.form.client_secret or json.app_secret or basic and mime.unb64(basic):match("^[^:]+:(.*)$")
  return id == ID and secret == SECRET, json
end

local STYLES = {
  standard = '{"access_token":"%s","token_type":"Bearer","expires_in":%d}',
  feishu = '{"code":0,"msg":"ok","tenant_access_token":"%s","expire":%d}',
  milliseconds = '{"code":0,"data":{"token":"%s","expireTime":%.0f}}',
  text = '{"code":0,"data":{"token":"%s","expireTime":"%s"}}',
  bare = '{"code":0,"data":{"token":"%s"}}',
  long_ago = '{"code":0,"data":{"token":"%s","expireTime":1000000000}}',
}

local EXPIRES = {
  milliseconds = function() return (socket.gettime() + life) * 1000 end,
  text = function() return os.date("!%Y-%m-%dT%H:%M:%S+00:00", math.floor(socket.gettime() + life)) end,
}

local function style(request)
  local name = request.path:match("^/styles/token/(%w[%w_]*)$")
  if not STYLES[name] then
    return 404, '{"code":404}'
  elseif not knows(request) then
    return 400, '{"error":"invalid_client","code":400}'
  end
  return 200, STYLES[name]:format(new_token(), EXPIRES[name] and EXPIRES[name]() or life)
end

-- Gives a new refresh token for the newest one; an older one ends all of them.
ROUTES["POST /styles/refresh"] = function(request)
  local _, json = knows(request)
  if json.refreshToken ~= refresh_token then
    refresh_token = nil
    return 200, '{"code":40107,"msg":"refresh token invalid"}'
  end
  refresh_token = "seed-" .. serial + 2
  return 200, ('{"code":0,"data":{"accessToken":"%s","refreshToken":"%s","expiresIn":"%d"}}'):format(new_token(), refresh_token, life)
end

ROUTES["POST /styles/keep"] = function(request)
  return 200, ('{"access_token":"%s","expires_in":%d}'):format(request.form.refresh_token == "for-ever" and new_token() or "none", life)
end

-- Tells where the token came from; a bad one is refused with the status that is asked for.
local function whoami(request)
  local where, token = token_of(request)
  if is_good(token) then
    return 200, ('{"code":0,"where":"%s"}'):format(where)
  end
  return tonumber(request.query.status or 200), ('{"code":%d,"msg":"bad token %s"}'):format(request.query.code or 99991663, tostring(token))
end
ROUTES["GET /styles/me"], ROUTES["POST /styles/me"] = whoami, whoami

ROUTES["POST /test"] = function(request)
  local orders = request.query
  life = tonumber(orders.life or life)
  current = not orders.revoke and current or nil
  refresh_token = orders.seed or refresh_token
  broken, drop = orders.broken ~= nil, orders.drop ~= nil
  if orders.token then
    current, ends = orders.token, math.huge
  end
  if orders.forget then
    asked, followers = {}, {}
  end
  return 200, '{"asked":["' .. table.concat(asked, '","') .. '"],"followers":' .. #followers .. "}"
end

tiny_server.serve(function(request)
  if request.path ~= "/test" then
    asked[#asked + 1] = request.method .. " " .. request.path
  end
  local route = ROUTES[request.method .. " " .. request.path] or request.path:find("^/styles/token/") and style
  if not route then
    return 404, '{"code":404,"message":"no such path"}'
  end
  return route(request)
end)

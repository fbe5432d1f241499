-- SPDX-License-Identifier: MIT
-- Harbor's other side: a tiny HTTP server for the invented vendor of examples/platforms/harbor.lua. It knows nothing of that file. What it was sent is
-- kept as it came, and shown under /test.

local cjson = require "cjson"
local tiny_server = dofile("spec/support/tiny_server.lua")

local refresh_token, token, serial = "login-1", nil, 0
local bodies, renewed = {}, 0

local function refresh(body)
  if body.app_id ~= "app-1" or body.secret ~= "S-3cret" or body.grant_type ~= "refresh_token" or body.refresh_token ~= refresh_token then
    refresh_token = nil
    return '{"code":40107,"message":"refresh token expired"}'
  end
  serial, renewed = serial + 1, renewed + 1
  token, refresh_token = "harbor-token-" .. serial, "harbor-refresh-" .. serial
  return ('{"code":0,"message":"OK","data":{"access_token":"%s","expires_in":86400,"refresh_token":"%s"}}'):format(token, refresh_token)
end

-- Refuses the digests that it is told to.
local refused = {}

local function add(body)
  local list = {}
  for _, person in ipairs(cjson.decode(body).people) do
    if refused[person.mobile or ""] then
      list[#list + 1] = ('{"value":"%s","why":"%s is on the list"}'):format(person.mobile, person.mobile)
    end
  end
  return '{"code":0,"message":"OK","data":{"refused":[' .. table.concat(list, ",") .. "]}}"
end

tiny_server.serve(function(request)
  if request.path == "/test" then
    token = not request.query.revoke and token or nil
    refused[request.query.refuse or ""] = true
    return 200, cjson.encode({ bodies = #bodies > 0 and bodies or nil, renewed = renewed })
  elseif request.path == "/oauth2/refresh_token" then
    return 200, refresh(cjson.decode(request.body))
  elseif not token or request.headers["access-token"] ~= token then
    return 200, '{"code":40105,"message":"access token expired"}'
  end
  bodies[#bodies + 1] = request.body
  return 200, request.path == "/audiences/77/people" and add(request.body) or '{"code":0,"message":"OK"}'
end)

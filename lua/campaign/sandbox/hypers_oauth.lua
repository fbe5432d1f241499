-- SPDX-License-Identifier: MIT
-- The token endpoint of HYPERS: password grant, refresh grant with rotation, and who may call the API. A refresh
-- token serves once; an access token ends with its time on the sandbox's clock.

local body = require "campaign.sandbox.body"
local core = require "campaign.core"
local json = require "campaign.sandbox.json"
local reply = require "campaign.sandbox.reply"
local routes = require "campaign.sandbox.routes"
local state_of = require "campaign.sandbox.state"

local M = { handlers = {} }

---A failure in RFC 6749's shape.
function M.refuse(self, status, word, text)
  if not self.app:on("R364") then
    return reply.json(status, json.ordered("message", text))
  end
  return reply.json(status, json.ordered("error", word, "error_description", text))
end

-- The value after the scheme word, in any letter case (R153).
local function credentials(self, request, scheme)
  local header = request.headers.authorization or ""
  local given, value = header:match("^(%a+) +(%S+)$") -- linear: disjoint classes
  if not given then
    return nil
  end
  if self.app:on("R153") then
    given = given:lower()
  else
    scheme = scheme:sub(1, 1):upper() .. scheme:sub(2)
  end
  return given == scheme and value or nil
end

local function is_client(self, request)
  local client = self.app.state.hypers.client
  local basic = credentials(self, request, "basic")
  local plain = basic and core.digest.base64_decode(basic)
  return plain ~= nil and plain == client.id .. ":" .. client.secret
end

local function is_bearer(self, request)
  local token = credentials(self, request, "bearer")
  local access = token and self.app.state.hypers.access[token]
  if not access then
    return false
  end
  return access.ends > self.app.clock:now() or not self.app:on("R148")
end

---True when the request may use the API.
function M.is_allowed(self, request)
  if not self.app:on("R152") then
    return true
  end
  return is_bearer(self, request) or (not self.app:on("R154") and is_client(self, request))
end

---Fault `expire-token`: the access token of this request ends now.
function M.expire(self, request)
  local token = credentials(self, request, "bearer")
  local access = token and self.app.state.hypers.access[token]
  if access then
    access.ends = 0
    self.app:changed()
  end
end

local KNOWN = { "grant_type", "username", "password", "refresh_token" }

-- Form encoding is taken only when asked for (H-A5).
local function fields_of(self, request)
  local content_type = (request.headers["content-type"] or ""):lower()
  if self.app.rules:form("oauth-form") and content_type:find("^application/x%-www%-form%-urlencoded") then
    local fields = {}
    for name, values in pairs(routes.query(request.body.text)) do
      fields[name] = values[1]
    end
    return fields
  end
  return body.json(self.app, request, KNOWN)
end

---The operation that a token request means.
function M.which(exchange)
  local text = exchange.body.text or ""
  local fields = json.decode(text)
  local grant = json.is_object(fields) and fields.grant_type or routes.query(text).grant_type
  if type(grant) == "table" then
    grant = grant[1]
  end
  return grant == "refresh_token" and "oauth_refresh_token" or "oauth_obtain_token"
end

-- Makes a pair of tokens; `keep` is a refresh token that goes on instead of a new one.
local function grant(self, request, keep)
  local app, state = self.app, self.app.state.hypers
  local now, life = app.clock:now(), app.state.settings["hypers.expires_in"]
  local refresh_life = app.state.settings["hypers.refresh_life"]
  local access, refresh = state_of.uuid(), keep or state_of.uuid()
  state.access[access] = { ends = now + life }
  state.refresh[refresh] = { ends = refresh_life > 0 and now + refresh_life or 0, access = access }
  app:commit(request, "tokens", { id = core.digest.sha256(refresh):sub(1, 16) })
  app:changed()
  local scope = app:on("R135") and "all" or nil
  local seconds = app:on("R136") and math.floor(life) or "`" .. math.floor(life)
  return reply.json(200, json.ordered("access_token", access, "token_type", "bearer", "expires_in", seconds,
    "refresh_token", refresh, "scope", scope))
end

local function is_text(value)
  return type(value) == "string" and value ~= ""
end

local function obtain(self, request, fields)
  local user = self.app.state.hypers.user
  local strict = self.app:on("R134")
  if strict and not (is_text(fields.username) and is_text(fields.password)) then
    return M.refuse(self, 400, "invalid_request", "username and password are required")
  end
  if strict and (fields.username ~= user.name or fields.password ~= user.password) then
    return M.refuse(self, 400, "invalid_grant", "wrong user or password")
  end
  return grant(self, request)
end

local function refresh(self, request, fields)
  local app, state = self.app, self.app.state.hypers
  if not is_text(fields.refresh_token) then
    return M.refuse(self, 400, "invalid_request", "refresh_token is required")
  end
  local old = state.refresh[fields.refresh_token]
  local ended = old and old.ends > 0 and old.ends <= app.clock:now()
  local used = old and old.used and app:on("R141")
  if not old or ended or used then
    return M.refuse(self, 400, "invalid_grant", "refresh token unknown, expired or already used")
  end
  old.used = true
  if app.rules:form("refresh-ends-access") or not app:on("R149") then
    state.access[old.access] = nil
  end
  return grant(self, request, not app:on("R140") and fields.refresh_token or nil)
end

local function token_request(self, request)
  local client = is_client(self, request) or (not self.app:on("R154") and is_bearer(self, request))
  if not client and self.app:on("R131") then
    return M.refuse(self, 401, "invalid_client", "missing or wrong client credentials")
  end
  local fields, why = fields_of(self, request)
  if not fields then
    return M.refuse(self, 400, "invalid_request", why)
  end
  if not is_text(fields.grant_type) then
    return M.refuse(self, 400, "invalid_request", "grant_type is required")
  elseif fields.grant_type == "password" then
    return obtain(self, request, fields)
  elseif fields.grant_type == "refresh_token" then
    return refresh(self, request, fields)
  end
  return M.refuse(self, 400, "unsupported_grant_type", "password or refresh_token")
end

M.handlers.oauth_obtain_token = token_request
M.handlers.oauth_refresh_token = token_request

return M

-- SPDX-License-Identifier: MIT
-- The current access token of an account with rotating refresh tokens: each refresh invalidates the refresh token that was used. At most
-- one process refreshes at a time. The new refresh token is durable before the new access token is used. A refresh whose answer was lost is
-- never repeated, because the token may be spent: the old access token is used until it expires, then user name and password.

local error_object = require "campaign.error"

local M = {}

local LOCK_SECONDS = 90

local methods = {}
local mt = { __index = methods, __name = "campaign.auth.oauth" }

function mt.__tostring()
  return "campaign.auth.oauth" -- never the tokens it holds
end

---@param fields table scheme, platform (name), account, env, store, call (performs an operation by name)
---@return campaign.auth.oauth
function M.new(fields)
  return setmetatable({
    scheme = fields.scheme, platform = fields.platform, account = fields.account, env = fields.env, store = fields.store,
    call = fields.call, early = fields.scheme.early or 60,
  }, mt)
end

-- Tokens that live shortly are renewed in their last quarter, not at every call.
local LAST_SHARE = 0.25

local function is_usable(state, now, early, refused)
  if early > 0 and state and type(state.obtained_at) == "number" and type(state.expires_at) == "number" then
    early = math.min(early, math.max(0, state.expires_at - state.obtained_at) * LAST_SHARE)
  end
  return state ~= nil and state.access_token ~= nil and state.access_token ~= refused
    and type(state.expires_at) == "number" and now < state.expires_at - early
end

-- The state that a token reply means, counted from the moment it arrived.
local function state_of(self, reply, now)
  local wrong
  if type(reply.token_type) == "string" and reply.token_type:lower() ~= "bearer" then
    wrong = "a token_type other than bearer"
  elseif reply.access_token == "" or reply.access_token:find("[%c\127]") then
    wrong = "an access_token that no header can hold" -- kept, it would be in the way of every later call
  end
  if wrong then
    return nil, error_object.new{
      kind = "response", reason = "bad_answer", platform = self.platform, operation = self.scheme.obtain, sent = "maybe", retry = false,
      message = "the token reply has " .. wrong,
    }
  end
  return {
    access_token = reply.access_token, refresh_token = reply.refresh_token ~= "" and reply.refresh_token or nil,
    expires_at = now + reply.expires_in, obtained_at = now,
  }
end

-- Stores first, then uses.
local function keep(self, reply)
  local state, err = state_of(self, reply, self.env.now())
  if not state then
    return nil, err
  end
  local ok
  ok, err = self.store:write(state)
  if not ok then
    return nil, err
  end
  self.state = state
  return state.access_token
end

local function login_needed(self, why)
  return error_object.refuse{
    kind = "auth", reason = "login_needed", platform = self.platform,
    message = "login needed: " .. why, hint = "give username and password, or a token, to the account",
  }
end

local function by_password(self, why)
  local account = self.account
  if not account.username or not account.password then
    return login_needed(self, why .. ", and the account has no username and password")
  end
  local reply, err = self.call(self.scheme.obtain, { username = account.username, password = account.password })
  if reply then
    return keep(self, reply)
  end
  if err.kind == "auth" and err.reason ~= "missing_credentials" then
    return nil, error_object.wrap(error_object.new{
      kind = "auth", reason = "login_needed", platform = self.platform, operation = err.operation, sent = "no", retry = false,
      status = err.status, code = err.code, message = "login needed: the platform refuses the account: " .. err.message,
    }, {})
  end
  return nil, err
end

-- Presents the refresh token once. Returns the new access token; or nil and a word: "spent" (it may be used up), or nil and an error
-- after which it can be presented again.
local function by_refresh(self, state)
  local intent = {}
  for key, value in pairs(state) do
    intent[key] = value
  end
  intent.refreshing = self.env.now() -- on disk before the first byte: whoever finds it never presents this token again
  local ok, err = self.store:write(intent)
  if not ok then
    return nil, err
  end
  local reply
  reply, err = self.call(self.scheme.refresh, { refresh_token = state.refresh_token })
  if reply then
    return keep(self, reply)
  end
  local was_refused = err.status ~= nil and (err.kind == "auth" or err.kind == "platform" or err.kind == "http" and err.status < 500)
  if err.sent == "no" and not was_refused then
    ok = self.store:write(state) -- provably not presented
    if ok then
      return nil, err
    end
  end
  return nil, "spent", was_refused
end

-- Under the lock: whatever the store says now is newer than what we remember.
local function renew(self, refused)
  local state, err = self.store:read()
  if err then
    return nil, err
  end
  local now = self.env.now()
  if is_usable(state, now, self.early, refused) then
    self.state = state
    return state.access_token
  end
  local why = "there is no token yet"
  if state and state.refresh_token and not state.refreshing then
    local token, problem, was_refused = by_refresh(self, state)
    if token then
      return token
    end
    if problem ~= "spent" then
      if is_usable(state, now, 0, refused) then
        self.state = state
        return state.access_token
      end
      return nil, problem
    end
    why = was_refused and "the refresh token was refused" or "the answer to a refresh was lost"
    if was_refused then
      local newer = self.store:read() -- a process without our lock may have been faster
      if newer and newer.access_token ~= state.access_token and is_usable(newer, now, 0, refused) then
        self.state = newer
        return newer.access_token
      end
    end
  elseif state and state.refreshing then
    why = "an earlier refresh never got its answer"
  end
  if state and is_usable(state, now, 0, refused) and why ~= "the refresh token was refused" then
    self.state = state
    return state.access_token -- to its end
  end
  return by_password(self, why)
end

local function renew_locked(self, refused)
  local lock, err = self.store:lock(LOCK_SECONDS)
  if not lock then
    return nil, err
  end
  local well, token, problem = pcall(renew, self, refused)
  lock:close()
  if not well then
    error(token, 0)
  end
  return token, problem
end

---The access token to use now.
---@param refused string? the token that the platform has just refused with 401
---@return string? token
---@return campaign.error? err kind `auth` with reason `login_needed` when nobody but a person can help
function methods:token(refused)
  local ready = self.account[self.scheme.key]
  if ready then
    if refused then
      return login_needed(self, "the platform refuses the given token")
    end
    return ready
  end
  local now = self.env.now()
  if is_usable(self.state, now, self.early, refused) then
    return self.state.access_token
  end
  if self.state and not refused and self.state.refreshing == nil then
    -- Another process may have renewed it: look before queueing for the lock.
    local state = self.store:read()
    if is_usable(state, now, self.early, refused) then
      self.state = state
      return state.access_token
    end
  end
  if self.env.apart then -- else nobody could renew it as long as a light thread that was ended in the middle is not collected
    return self.env.apart(renew_locked, self, refused)
  end
  return renew_locked(self, refused)
end

return M

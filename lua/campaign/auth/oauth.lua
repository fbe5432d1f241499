-- SPDX-License-Identifier: MIT
-- The current access token of an account, from the calls that its platform's data names: one that obtains a token (by user name and password, a
-- client's secret, whatever the account has), one that refreshes it, or both. At most one process does either at a time. A new refresh token
-- is durable before the new access token is used. A refresh whose answer was lost is never repeated where refresh tokens rotate, because the
-- token may be spent: the old access token is used until it expires, then a new one is obtained.

local error_object = require "campaign.error"
local later = require "campaign.later"
local merged = require "campaign.merged"
local normalise = require "campaign.api.normalise"

local time = later.module "campaign.api.time"

local M = {}

local LOCK_SECONDS = 90

local methods = {}
local mt = { __index = methods, __name = "campaign.auth.oauth" }

function mt.__tostring()
  return "campaign.auth.oauth" -- never the tokens it holds
end

---@param fields table scheme, platform (the loaded one), account, env, store, call (performs an operation by name), clock (now() of the
---platform, for expiries that are instants)
---@return campaign.auth.oauth
function M.new(fields)
  return setmetatable({
    scheme = fields.scheme, platform = fields.platform, account = fields.account, env = fields.env, store = fields.store,
    call = fields.call, clock = fields.clock, early = fields.scheme.early or 60,
  }, mt)
end

-- Short-lived tokens are renewed in the last quarter of their life, not at every call.
local LAST_SHARE = 0.25

local function is_usable(state, now, early, refused)
  if early > 0 and state and type(state.obtained_at) == "number" and type(state.expires_at) == "number" then
    early = math.min(early, math.max(0, state.expires_at - state.obtained_at) * LAST_SHARE)
  end
  return state ~= nil and state.access_token ~= nil and state.access_token ~= refused
    and type(state.expires_at) == "number" and now < state.expires_at - early
end

-- The instant that a value of a reply means: seconds or milliseconds since 1970, or a time as text, in the platform's zone unless it names one.
local function instant_of(value, zone_seconds)
  local instant = time.instant(value)
  if instant then
    return instant
  end
  local day, clock, rest = tostring(value):match("^(%d%d%d%d%-%d%d%-%d%d)[T ](%d%d:%d%d:%d%d)(.*)$")
  local seconds = day and time.parse_datetime(day .. " " .. clock)
  rest = seconds and rest:gsub("^%.%d+", "")
  if not seconds or rest == "" then
    return seconds and seconds - zone_seconds
  elseif rest == "Z" then
    return seconds
  end
  local sign, hours, minutes = rest:match("^([+-])(%d%d):?(%d%d)$")
  local offset = sign and (tonumber(hours) * 60 + tonumber(minutes)) * 60
  return offset and (sign == "-" and seconds + offset or seconds - offset)
end

-- Seconds for which the token of a reply is good from now on; nil and what is wrong.
local function life_of(self, reply)
  local scheme = self.scheme
  local value
  if scheme.expires_at then
    value = normalise.at(reply, scheme.expires_at)
    local instant = value ~= nil and instant_of(value, self.platform.zone_seconds)
    if instant then
      local life = instant - self.clock:now()
      return life > 0 and life or nil, "an expiry in the past (is this machine's clock right?)"
    end
  else
    value = normalise.at(reply, scheme.expires_in or "expires_in")
    local seconds = tonumber(value)
    if seconds and seconds >= 0 and seconds < math.huge then
      return seconds
    end
  end
  if value == nil and scheme.lifetime then
    return scheme.lifetime
  end
  return nil, "an expiry that cannot be read"
end

-- Bytes of a token: what is stored must be small enough to be read again.
local MOST_TOKEN = 16384

-- The state that a token reply means, counted from the moment it arrived.
local function state_of(self, reply, now)
  local scheme = self.scheme
  local token = normalise.at(reply, scheme.token or "access_token")
  local refresh = normalise.at(reply, scheme.refresh_token or "refresh_token")
  local is_bearer = not (scheme.header or scheme.prefix or scheme.query or scheme.field)
  local life, wrong
  if is_bearer and type(reply.token_type) == "string" and reply.token_type:lower() ~= "bearer" then
    wrong = "a token_type other than bearer"
  elseif type(token) ~= "string" or token == "" or token:find("[%c\127]") then
    wrong = ("an %s that no header can hold"):format(scheme.token or "access_token") -- kept, it would be in the way of every later call
  elseif #token > MOST_TOKEN or type(refresh) == "string" and #refresh > MOST_TOKEN then
    wrong = ("a token of more than %d bytes"):format(MOST_TOKEN)
  else
    life, wrong = life_of(self, reply)
  end
  if not life then
    return nil, error_object.new{
      kind = "response", reason = "bad_answer", platform = self.platform.name, operation = scheme.obtain or scheme.refresh, sent = "maybe",
      retry = false, message = "the token reply has " .. wrong,
    }
  end
  return {
    access_token = token, refresh_token = refresh ~= "" and refresh or nil, expires_at = now + life, obtained_at = now,
  }
end

-- Stores the tokens of a reply, then returns the access token. A reply without a refresh token leaves the one that was presented in force.
local function keep(self, reply, presented)
  local state, err = state_of(self, reply, self.env.now())
  if not state then
    return nil, err
  end
  state.refresh_token = state.refresh_token or presented
  local ok
  ok, err = self.store:write(state)
  if not ok then
    return nil, err
  end
  self.state = state
  return state.access_token
end

-- Account keys that are sent to the call that obtains a token under their own names, without a `fills`.
local BY_NAME = { username = true, password = true }

-- The keys of the account that the call which obtains a token needs, besides those of its own auth scheme, and the fields it is given.
local function needs_of(self)
  local operation = self.scheme.obtain and self.platform.operations[self.scheme.obtain]
  local filler, keys, fields = {}, {}, {}
  for _, key in ipairs(self.platform.account) do
    local name = key.fills or BY_NAME[key.name] and key.name
    if name then
      filler[name] = key.name
    end
  end
  for _, field in ipairs(operation and operation.fields or {}) do
    local key = filler[field.name]
    if key and field.constant == nil then
      fields[field.name] = self.account[key]
      keys[#keys + 1] = field.required and field.default == nil and key or nil
    end
  end
  return keys, fields
end

local function in_words(keys, before)
  local words = {}
  for index, key in ipairs(keys) do
    words[index] = before .. "`" .. key .. "`"
  end
  return table.concat(words, " and ")
end

-- What a person can give to the account.
local function hint_of(self)
  local scheme, ways = self.scheme, {}
  local keys = needs_of(self)
  ways[1] = #keys > 0 and in_words(keys, "") or nil
  ways[#ways + 1] = scheme.refresh_key and "a new `" .. scheme.refresh_key .. "`" or nil
  ways[#ways + 1] = scheme.key and "a `" .. scheme.key .. "`" or nil
  return #ways > 0 and "give " .. table.concat(ways, ", or ") .. " to the account" or nil
end

local function login_needed(self, why)
  return error_object.refuse{
    kind = "auth", reason = "login_needed", platform = self.platform.name, message = "login needed: " .. why, hint = hint_of(self),
  }
end

-- A new token by the call of the platform's data that takes the account's own credentials.
local function obtain(self, why)
  local name = self.scheme.obtain
  local keys, fields = needs_of(self)
  local lacking = {}
  for _, key in ipairs(keys) do
    lacking[#lacking + 1] = not self.account[key] and key or nil
  end
  if not name then
    return login_needed(self, why)
  elseif #lacking > 0 then
    return login_needed(self, why .. ", and the account has " .. in_words(lacking, "no "))
  end
  local reply, err = self.call(name, fields)
  if reply then
    return keep(self, reply)
  end
  if err.kind == "auth" and err.status then -- without one it was a proxy, or nothing was sent
    return error_object.refuse{
      kind = "auth", reason = "login_needed", platform = self.platform.name, operation = err.operation,
      status = err.status, code = err.code, message = "login needed: the platform refuses the account: " .. err.message,
    }
  end
  return nil, err
end

-- Presents the refresh token once. Returns the new access token; or nil, "spent" (the refresh token may be used up) and whether the
-- platform refused it; or nil and an error after which it can be presented again.
local function by_refresh(self, state)
  local scheme, rotates = self.scheme, self.scheme.rotates ~= false
  local intent, ok, err = merged(state), true, nil
  if rotates then
    -- On disk before the first byte is sent: a process that reads it presents this token again only within the platform's grace period.
    intent.refreshing = state.refreshing or self.env.now()
    ok, err = self.store:write(intent)
  end
  if not ok then
    return nil, err
  end
  local reply
  reply, err = self.call(scheme.refresh, { [scheme.refresh_field or "refresh_token"] = state.refresh_token })
  if reply then
    return keep(self, reply, state.refresh_token)
  end
  local was_refused = err.status ~= nil and (err.kind == "auth" or err.kind == "platform" or err.kind == "http" and err.status < 500)
  if not rotates and not was_refused then
    return nil, err
  end
  if err.sent == "no" and not was_refused then
    ok = self.store:write(state) -- provably not presented
    if ok then
      return nil, err
    end
  end
  return nil, "spent", was_refused
end

-- Whether a refresh token may be presented: not yet, or within the platform's grace after the first time. A clock that was set back says nothing
-- of how long ago that was.
local function may_present_now(self, state, now)
  local first = state.refreshing
  return not first or now >= first and now < first + (self.scheme.grace or 0)
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
  local seed = self.scheme.refresh_key and self.account[self.scheme.refresh_key]
  if not state and seed then
    state = { refresh_token = seed }
  end
  local may_present = self.scheme.refresh and state and state.refresh_token
  if may_present and may_present_now(self, state, now) then
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
  elseif may_present then
    why = "an earlier refresh never got its answer"
  end
  if state and is_usable(state, now, 0, refused) and why ~= "the refresh token was refused" then
    self.state = state
    if may_present then
      return state.access_token -- used until it expires
    end
    local token = obtain(self, why) -- before the old one expires; if that fails, the old one is still good
    return token or state.access_token
  end
  return obtain(self, why)
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
---@param refused string? the token that the platform has just refused
---@return string? token
---@return campaign.error? err kind `auth` with reason `login_needed` when the user has to give new credentials
function methods:token(refused)
  local ready = self.scheme.key and self.account[self.scheme.key]
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
  if self.env.apart then -- a light thread that nginx aborts would hold the lock until it is garbage collected
    return self.env.apart(renew_locked, self, refused)
  end
  return renew_locked(self, refused)
end

return M

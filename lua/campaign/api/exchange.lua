-- SPDX-License-Identifier: MIT
-- One call of an operation, using a client's state (api/client): checked, guarded and built before anything is sent (`prepare`, `again`),
-- interpreted (`finish`), and all of it with retries (`call`). Retries what was provably not applied (`api/retry`), and once where the access
-- token was refused and a new one may help.

local build = require "campaign.api.build"
local check = require "campaign.api.check"
local error_object = require "campaign.error"
local later = require "campaign.later"
local parse = require "campaign.api.parse"
local redact = require "campaign.api.redact"
local time = require "campaign.api.time"

local call_key = later.module "campaign.api.call_key"
local files = later.module "campaign.api.files"
local oauth = later.module "campaign.auth.oauth"
local paced = later.module "campaign.api.paced"
local sign = later.module "campaign.api.sign"
local store_module = later.module "campaign.auth.store"
local transport_files = later.module "campaign.transport.files"

local M = {}

-- The context (operation, values, options, token) of each request that `prepare` returned.
local prepared = setmetatable({}, { __mode = "k" })

local function fail(operation, fields)
  fields.platform, fields.operation = operation.platform, operation.name
  fields.sent = fields.sent or "no"
  if fields.retry == nil then
    fields.retry = false
  end
  return nil, error_object.new(fields)
end

-- Closed hours: waits for their end, refuses the call, or ignores them, as option `window` says.
local function pass_window(self, operation, options)
  local mode = options.window or "refuse"
  if not operation.closed or mode == "ignore" then
    return true
  end
  local zone = self.platform.zone_seconds
  while true do
    local wrong = self.clock:refusal(operation)
    if wrong then
      return nil, wrong
    end
    local now = self.clock:now()
    local opens = time.window_end(operation.closed, now, zone)
    if not opens then
      return true
    end
    if mode == "refuse" then
      return fail(operation, {
        kind = "window", reason = "closed", retry = math.max(1, math.ceil(opens - now)),
        message = ("closed from %s to %s; open again at %s (%s)"):format(operation.closed.from, operation.closed.to,
          time.format_datetime(opens, zone), self.platform.zone),
        hint = "wait, or switch the guard off with window = \"ignore\"",
      })
    end
    self.env.sleep(math.min(opens - now + 0.05, 60))
  end
end

local function is_given(self, scheme)
  return scheme.key ~= nil and self.account[scheme.key] ~= nil
end

-- The token source of an operation's auth scheme, and the token that was refused last.
local function tokens_of(self, operation)
  local scheme, found = operation.tokens, self.tokens[operation.tokens_name]
  if found then
    return found
  end
  local store, err
  if not is_given(self, scheme) then
    local count = 0
    for _, other in pairs(self.platform.auth) do
      count = count + (other.kind == "oauth2" and 1 or 0)
    end
    store, err = (self.options.open_store or store_module.open)(self.account, self.env, count > 1 and operation.tokens_name or nil)
    if not store then
      return nil, err
    end
  end
  found = { source = oauth.new{
    scheme = scheme, platform = self.platform, account = self.account, env = self.env, store = store, clock = self.clock,
    call = function(name, fields) return M.call(self, self.platform.operations[name], fields, { retries = 0, unpaced = true }) end,
  } }
  self.tokens[operation.tokens_name] = found
  return found
end

-- The access token for calls that need one; not the one that was refused.
local function access_token(self, operation, refused)
  if not operation.tokens then
    return nil
  end
  local tokens, err = tokens_of(self, operation)
  local token
  if tokens then
    token, err = tokens.source:token(refused or tokens.refused)
  end
  return token, err and error_object.unsent(err)
end

-- Whether an error says that the token was not good, and another one may be got.
local function is_stale(self, operation, err)
  return operation.tokens ~= nil and not is_given(self, operation.tokens) and (err.status == 401 or err.reason == "token_expired")
end

local function secret_values(self, context)
  local hidden = redact.secrets(self.platform, self.account, context.token)
  for _, value in ipairs(redact.collect(context.operation, context.values)) do
    hidden[#hidden + 1] = value
  end
  return hidden
end

-- The headers of a built request; with `live`, caches on the way are to ask the platform.
local function headers_of(request, options)
  if not options.live then
    return request.headers
  end
  local headers = { { "Cache-Control", "no-cache" } }
  for _, pair in ipairs(request.headers or {}) do
    headers[#headers + 1] = pair
  end
  return headers
end

-- The error of a call that asked for what is there now, where a cache answered with what was there earlier.
local function check_live(operation, context, result)
  local age = context.options.live and parse.header(result.headers, "age")
  if age and not age:find("^0+$") then
    return fail(operation, { kind = "response", reason = "cached", sent = "yes", retry = false, status = result.status,
      message = "the answer comes from a cache: it shows what was there earlier" })
  end
  return true
end

-- Turns a built request into the transport's: opens bodies, sets limits.
local function materialise(self, context, request)
  local operation, options, account = context.operation, context.options, self.account
  local body, err
  if request.body then
    body, err = transport_files.body(request, operation, options, context)
  end
  if err then
    return nil, err
  end
  local ready = {
    method = request.method, url = request.url, headers = headers_of(request, options), body = body, account = account.id,
    allow_http = account.allow_http, ca_file = account.ca_file, proxy = account.proxy,
    limits = options.timeout and { total = options.timeout } or nil,
    max_connection_age = operation.effect ~= "safe" and self.platform.limits.keep_alive or nil,
  }
  if options.save_to and operation.response == "binary" then
    ready.save_to, context.final = transport_files.target(options.save_to, self.env)
  end
  return ready
end

local function is_signed(operation)
  return operation.scheme ~= nil and operation.scheme.kind == "signature"
end

-- The request with the signature that its scheme asks for, at this moment.
local function signed(self, operation, values, request, options, token)
  local body = options.rows or request.body and request.body.text
  return sign.request(request, {
    operation = operation, values = values, account = self.account, body = type(body) == "string" and body or nil, rows = options.rows ~= nil,
    now = self.env.now(), zone_seconds = self.platform.zone_seconds, random = self.env.random, token = token,
  })
end

-- The options without `like`: a kept earlier request would keep the one before it alive, and so on.
local function without_like(options)
  local kept = {}
  for name, value in pairs(options) do
    kept[name] = name ~= "like" and value or nil
  end
  return kept
end

-- Whether a checked call may be made: a file that it makes public was allowed, its options fit, and the platform is open.
local function guard(self, operation, values, options)
  local err = operation.public and not options.accept_public_file and files.public_refusal(operation, values)
  if err then
    return nil, err
  elseif options.save_to and operation.response ~= "binary" then
    return fail(operation, { kind = "usage", message = "save_to is for operations that return a file" })
  end
  return pass_window(self, operation, options)
end

---Checks the fields and the closed hours, gets a token, builds and signs the request. Sends nothing.
---@param self table the client's state
---@param operation campaign.operation
---@param fields table
---@param options table
---@param refused string? the token that was refused; by default the last one that was
---@return table? request the transport's; good for one submission
---@return campaign.error? err
function M.prepare(self, operation, fields, options, refused)
  -- The same call with other rows was checked, and mostly built, when it was prepared first.
  local earlier = options.like and prepared[options.like]
  if options.like and not (earlier and earlier.operation == operation and earlier.options.rows and options.rows) then
    error("option `like` must be a request that was prepared for the same operation, with rows", 2)
  end
  local values, err
  if earlier then
    values = earlier.values
  else
    values, err = check.fields(self.platform, operation, fields, self.account,
      { rows = options.rows ~= nil, server_variables = options.server_variables })
    if not values then
      return nil, err
    end
  end
  if type(options.rows) == "userdata" and sign.covers_body(operation) then
    return fail(operation, { kind = "usage",
      message = "the signature covers the body, or credentials stand in it: give it as a text, not as a source" })
  end
  local ok
  ok, err = guard(self, operation, values, options)
  if not ok then
    return nil, err
  end
  local token
  token, err = access_token(self, operation, refused)
  if err then
    return nil, error_object.wrap(err, { platform = operation.platform, operation = operation.name })
  end
  local request = earlier and earlier.token == token and earlier.built
  if not request then
    request, err = build.request(operation, values, self.account, token)
    if not request then
      return nil, err
    end
  end
  local context = { operation = operation, values = values, options = earlier and without_like(options) or options, token = token,
    built = request, sizes = {} }
  if is_signed(operation) then
    request, err = signed(self, operation, values, request, options, token)
    if not request then
      return nil, err
    end
  end
  local ready
  ready, err = materialise(self, context, request)
  if not ready then
    return nil, err
  end
  prepared[ready] = context
  return ready
end

---The same call with other rows (`client:again`).
---@param self table the client's state
---@param request table of `prepare`, with rows
---@param rows userdata the body
---@param timeout number seconds
---@return table? again nil without error where the earlier request does not serve any more
---@return campaign.error? err
function M.again(self, request, rows, timeout)
  local context = prepared[request]
  if not context then
    error("this request was not prepared by a client", 2)
  end
  local operation = context.operation
  if operation.rows.shape == "csv" or not context.options.rows or context.final or is_signed(operation) or context.built.body.token then
    return nil
  end
  local open, err = pass_window(self, operation, context.options)
  if not open then
    return nil, err
  end
  local token
  token, err = access_token(self, operation)
  if err then
    return nil, error_object.wrap(err, { platform = operation.platform, operation = operation.name })
  end
  if token ~= context.token then
    return nil
  end
  -- Whole seconds: nearly all requests of an import then share a table.
  local seconds = math.ceil(timeout)
  local limits = self.limits[seconds]
  if not limits then
    limits = { total = seconds }
    self.limits[seconds] = limits
  end
  -- `finish` finds the context by this metatable. It must not refer to the request: LuaJIT never collects a weak key to which its value refers.
  context.shared = context.shared or { context = context }
  return setmetatable({
    method = request.method, url = request.url, headers = request.headers, body = rows, account = request.account,
    allow_http = request.allow_http, ca_file = request.ca_file, proxy = request.proxy, limits = limits,
    max_connection_age = request.max_connection_age,
  }, context.shared)
end

-- Compares what was sent with what the platform says it received.
local function check_receipt(operation, context, result, reply)
  local receipt = operation.receipt
  if not receipt then
    return true
  end
  local digest = (result.digests or {})[receipt.part]
  local claimed = receipt.sha256 and reply[receipt.sha256]
  local size, claimed_size = context.sizes[receipt.part], receipt.size and reply[receipt.size]
  local problem
  if digest and claimed and digest:lower() ~= claimed:lower() then
    problem = "its SHA-256 differs from what was sent"
  elseif size and claimed_size and tostring(size) ~= tostring(claimed_size) then
    problem = ("it reports %s bytes, %s were sent"):format(tostring(claimed_size), tostring(size))
  end
  if problem then
    return fail(operation, {
      kind = "response", reason = "receipt_mismatch", sent = "maybe", status = result.status,
      message = "the platform stored something different: " .. problem,
    })
  end
  return true
end

-- The context of a request of `prepare` or `again`.
local function context_of(request)
  local context = prepared[request]
  if not context then
    local shared = getmetatable(request)
    context = shared and shared.context
  end
  return context
end

---Whether a request carries the token that one prepared now would carry (`client:is_current`).
---@param self table the client's state
---@param request table of `prepare` or `again`
---@return boolean
function M.is_current(self, request)
  local context = context_of(request)
  local operation = context.operation
  if not operation.tokens then
    return true
  end
  local tokens = self.tokens[operation.tokens_name]
  -- After a refusal a token counts as good only once the regular path has seen a good answer to it.
  return tokens.refused == nil and access_token(self, operation) == context.token
end

local function conclude(self, context, result, is_lent)
  local operation = context.operation
  self.clock:see(result, operation.closed ~= nil)
  local memory = context.options.rows and self.memory or nil
  local reply, err = memory and parse.known(memory, operation, result, is_lent), nil
  if not reply then
    reply, err = parse.reply(self.platform, operation, result, {
      account = self.account, hidden = function() return secret_values(self, context) end, now = self.env.now(), memory = memory,
    })
  end
  if not reply then
    if err.kind == "response" and self.transport.forget then
      -- Its connection may still hold the rest of this answer: the next request must not take that for its own.
      self.transport:forget(self.account.id)
    end
    if is_stale(self, operation, err) then
      -- One more try is worth it, with another token, unless two different ones in a row were refused.
      local tokens = self.tokens[operation.tokens_name]
      err.retry = tokens.refused == nil or tokens.refused == context.token
      tokens.refused = context.token
    end
    return nil, err
  end
  local tokens = context.token and self.tokens[operation.tokens_name]
  if tokens and context.token ~= tokens.refused then
    tokens.refused = nil
  end
  local same
  same, err = check_receipt(operation, context, result, reply)
  if same then
    same, err = check_live(operation, context, result)
  end
  if not same then
    return nil, err
  end
  if context.final and reply.path then
    return transport_files.settle(reply, context.final, operation)
  end
  return reply
end

---Interprets the result of a request (`client:finish`).
---@param self table the client's state
---@param request table of `prepare` or `again`
---@param result table of the transport
---@param is_lent boolean? the reply is used before the next one is requested, and not modified
---@return table? reply
---@return campaign.error? err
function M.finish(self, request, result, is_lent)
  local context = context_of(request)
  if not context then
    error("this request was not prepared by a client", 2)
  end
  return conclude(self, context, result, is_lent)
end

-- The request was refused by the engine before anything was sent (an URL or header it does not take).
local function refused_request(operation, err)
  return nil, error_object.wrap(err, { platform = operation.platform, operation = operation.name, sent = "no", retry = false })
end

-- What keeps single calls to the account's rate; nil where the import does that itself, for token calls, and where nothing is sent.
local function pace_of(self, options)
  if self.options.paced == false or options.unpaced or self.transport.sends_nothing then
    return nil
  end
  self.pace = self.pace or paced.new(self.platform, self.account, self.env)
  return self.pace
end

-- Waits until the account's rate allows the call. A call that has waited is signed again: platforms refuse old signatures.
local function take_turn(self, pace, operation, request)
  local waited, err = pace:wait(operation)
  if not waited or waited == 0 or not is_signed(operation) then
    return waited, err
  end
  local context = prepared[request]
  local fresh, wrong = signed(self, operation, context.values, context.built, context.options, context.token)
  if not fresh then
    return nil, wrong
  end
  request.url, request.headers = fresh.url, headers_of(fresh, context.options)
  if fresh.body and fresh.body.signed then
    request.body = fresh.body.signed
  end
  return waited
end

local function perform(self, operation, fields, options, refused)
  local request, err = M.prepare(self, operation, fields, options, refused)
  if not request then
    return nil, err
  end
  local pace = pace_of(self, options)
  local turn = true
  if pace then
    turn, err = take_turn(self, pace, operation, request)
  end
  if not turn then
    transport_files.abandon(request.body)
    return nil, err
  end
  local sent_at = self.env.monotonic()
  local result
  result, err = self.transport:perform(request)
  if not result then
    return refused_request(operation, err)
  end
  local reply
  reply, err = conclude(self, prepared[request], result)
  if pace then
    pace:told(sent_at, err)
  end
  return reply, err, prepared[request].token
end

-- One attempt, and a second one with a new token if the first one's was refused.
local function try(self, operation, fields, options)
  local reply, err, token = perform(self, operation, fields, options)
  if not (err and token and is_stale(self, operation, err)) or files.is_used_up(fields, operation, options) then
    return reply, err
  end
  reply, err = perform(self, operation, fields, options, token)
  if err and is_stale(self, operation, err) then
    err.retry = false
  end
  return reply, err
end

---Performs one operation, with retries; it returns when the reply is there.
---@param self table the client's state
---@param operation campaign.operation
---@param fields table?
---@param options campaign.options
---@return table? reply
---@return campaign.error? err
function M.call(self, operation, fields, options)
  local call = { effect = operation.effect, retries = options.retries, done = 0 }
  if operation.call_key then
    fields = call_key.with_random(operation, fields, self.env.random)
  end
  while true do
    local reply, err = try(self, operation, fields, options)
    if reply then
      self.budget:succeeded(call.done)
      return reply
    end
    local pause = not files.is_used_up(fields, operation, options) and self.budget:pause(err, call, self.env)
    if not pause then
      return nil, err
    end
    self.env.sleep(pause)
    call.done = call.done + 1
  end
end

return M

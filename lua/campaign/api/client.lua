-- SPDX-License-Identifier: MIT
-- A client: one method per operation of a platform. Check → build → transport → parse, with the account's credentials, the closed hours
-- and the guards. Repeats what was provably not applied (`api/retry`), and once after a 401 that a new access token may cure.

local build = require "campaign.api.build"
local call_options = require "campaign.api.call_options"
local check = require "campaign.api.check"
local clock = require "campaign.api.clock"
local error_object = require "campaign.error"
local later = require "campaign.later"
local parse = require "campaign.api.parse"
local redact = require "campaign.api.redact"
local retry = require "campaign.api.retry"
local time = require "campaign.api.time"

local files = later.module "campaign.api.files"
local oauth = later.module "campaign.auth.oauth"
local paced = later.module "campaign.api.paced"
local pages = later.module "campaign.api.pages"
local store_module = later.module "campaign.auth.store"
local suggest = later.module "campaign.api.suggest"
local waiter = later.module "campaign.api.waiter"

local M = {}

---@class campaign.client
local methods = {}

local mt = { __name = "campaign.client" }

-- What a client holds beside its name: not a field, so that nobody who prints the client prints it.
local inner = setmetatable({}, { __mode = "k" })

-- What was asked, for each request that `prepare` gave out.
local prepared = setmetatable({}, { __mode = "k" })

local function operation_of(self, name, level)
  local operation = self.platform.operations[name]
  if type(name) ~= "string" or not operation then
    local names = {}
    for index, known in ipairs(self.platform.operations) do
      names[index] = known.name
    end
    error("platform `" .. self.platform.name .. "` has no operation `" .. tostring(name) .. "`" .. suggest.help(name, names), level + 1)
  end
  return operation
end

local function fail(operation, fields)
  fields.platform, fields.operation = operation.platform, operation.name
  fields.sent = fields.sent or "no"
  if fields.retry == nil then
    fields.retry = false
  end
  return nil, error_object.new(fields)
end

-- Closed hours: waits, refuses with the next allowed time, or looks away.
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

-- The access token for schemes that rotate.
local function access_token(self, operation, refused)
  if not operation.scheme or operation.scheme.kind ~= "oauth2" then
    return nil
  end
  if not self.oauth then
    local store, err
    if not self.account[operation.scheme.key] then
      store, err = (self.options.open_store or store_module.open)(self.account, self.env)
      if not store then
        return nil, err
      end
    end
    self.oauth = oauth.new{
      scheme = operation.scheme, platform = self.platform.name, account = self.account, env = self.env, store = store,
      call = function(name, fields) return M.call(self, operation_of(self, name, 1), fields, { retries = 0, unpaced = true }) end,
    }
  end
  return self.oauth:token(refused)
end

local function secret_values(self, context)
  local hidden = redact.secrets(self.platform, self.account, context.token)
  for _, value in ipairs(redact.collect(context.operation, context.values)) do
    hidden[#hidden + 1] = value
  end
  return hidden
end

-- The transport's request for a built one: bodies opened, limits set.
local function materialise(self, context, request)
  local operation, options, account = context.operation, context.options, self.account
  local body, err
  if request.body then
    body, err = files.body(request, operation, options, context)
  end
  if err then
    return nil, err
  end
  local ready = {
    method = request.method, url = request.url, headers = request.headers, body = body, account = account.id,
    allow_http = account.allow_http, ca_file = account.ca_file, proxy = account.proxy,
    limits = options.timeout and { total = options.timeout } or nil,
    max_connection_age = operation.effect ~= "safe" and self.platform.limits.keep_alive or nil,
  }
  if options.save_to and operation.response == "binary" then
    ready.save_to, context.final = files.target(options.save_to, self.env)
  end
  return ready
end

-- What is kept of the options of a call: not the earlier request, which would keep the one before it, and so on.
local function without_like(options)
  local kept = {}
  for name, value in pairs(options) do
    kept[name] = name ~= "like" and value or nil
  end
  return kept
end

-- Checks, guards, credentials, building. `refused` is the token a 401 was answered to.
local function prepare(self, operation, fields, options, refused)
  -- The same call with other rows was checked, and mostly built, when it was prepared first.
  local earlier = options.like and prepared[options.like]
  if options.like and not (earlier and earlier.operation == operation and earlier.options.rows and options.rows) then
    error("option `like` must be a request that was prepared for the same operation, with rows", 3)
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
  if operation.public and not options.accept_public_file then
    err = files.public_refusal(operation, values)
    if err then
      return nil, err
    end
  end
  if options.save_to and operation.response ~= "binary" then
    return fail(operation, { kind = "usage", message = "save_to is for operations that give a file" })
  end
  local open
  open, err = pass_window(self, operation, options)
  if not open then
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
  local ready
  ready, err = materialise(self, context, request)
  if not ready then
    return nil, err
  end
  prepared[ready] = context
  return ready
end

-- What was sent and what the platform says it got must be the same.
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
      message = "the platform stored something else: " .. problem,
    })
  end
  return true
end

-- What was asked with a request of `prepare` or `again`.
local function context_of(request)
  local context = prepared[request]
  if not context then
    local shared = getmetatable(request)
    context = shared and shared.context
  end
  return context
end

local function finish(self, context, result, is_lent)
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
    local is_renewable = self.oauth and operation.scheme and operation.scheme.kind == "oauth2"
      and not self.account[operation.scheme.key]
    if err.status == 401 and is_renewable then
      -- One more try is worth it, with another token, unless two different ones in a row were refused.
      err.retry = self.refused == nil or self.refused == context.token
      self.refused = context.token
    end
    return nil, err
  end
  if context.token and context.token ~= self.refused then
    self.refused = nil
  end
  local same
  same, err = check_receipt(operation, context, result, reply)
  if not same then
    return nil, err
  end
  if context.final and reply.path then
    return files.settle(reply, context.final, operation)
  end
  return reply
end

-- The request was refused by the engine before anything was sent (an URL or header it does not take).
local function refused_request(operation, err)
  return nil, error_object.wrap(err, { platform = operation.platform, operation = operation.name, sent = "no", retry = false })
end

-- What holds calls back to the account's rate; nil where an import does, for a new token, and where nothing is sent.
local function pace_of(self, options)
  if self.options.paced == false or options.unpaced or self.transport.sends_nothing then
    return nil
  end
  self.pace = self.pace or paced.new(self.platform, self.account, self.env)
  return self.pace
end

local function perform(self, operation, fields, options, refused)
  local request, err = prepare(self, operation, fields, options, refused)
  if not request then
    return nil, err
  end
  local pace = pace_of(self, options)
  local turn = true
  if pace then
    turn, err = pace:wait(operation)
  end
  if not turn then
    files.abandon(request.body)
    return nil, err
  end
  local sent_at = self.env.monotonic()
  local result
  result, err = self.transport:perform(request)
  if not result then
    return refused_request(operation, err)
  end
  local reply
  reply, err = finish(self, prepared[request], result)
  if pace then
    pace:told(sent_at, err)
  end
  return reply, err, prepared[request].token
end

-- One try, and another one after a 401 that a new token may cure.
local function try(self, operation, fields, options)
  local reply, err, token = perform(self, operation, fields, options, self.refused)
  local is_stale = err and err.status == 401 and token and self.oauth and not self.account[operation.scheme.key]
  if not is_stale or files.is_used_up(fields, operation, options) then
    return reply, err
  end
  reply, err = perform(self, operation, fields, options, token)
  if err and err.status == 401 then
    err.retry = false
  end
  return reply, err
end

---Performs one operation; the sync path of every method.
function M.call(self, operation, fields, options)
  local call = { effect = operation.effect, retries = options.retries, done = 0 }
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

---Checks and builds a request for whoever drives many at once. Submit it to the transport, then give it with its result to `finish`.
---@param name string operation
---@param fields table
---@param options table?
---@return table? request the transport's request; good for one submission
---@return campaign.error? err
function methods:prepare(name, fields, options)
  local state = inner[self]
  local operation = operation_of(state, name, 2)
  options = options or {}
  call_options.check(options, 2)
  return prepare(state, operation, fields, options, state.refused)
end

---The same call with other rows in a JSON body, for whoever makes thousands of them: nothing is checked or built again.
---@param request table from `prepare`, with rows
---@param rows userdata the body
---@param timeout number seconds
---@return table? again nil without error where the earlier request does not serve any more: `prepare` another one
---@return campaign.error? err
function methods:again(request, rows, timeout)
  local state, context = inner[self], prepared[request]
  if not context then
    error("this request was not prepared by a client", 2)
  end
  local operation = context.operation
  if operation.body ~= "json" or not context.options.rows or context.final then
    return nil
  end
  local open, err = pass_window(state, operation, context.options)
  if not open then
    return nil, err
  end
  local token
  token, err = access_token(state, operation, state.refused)
  if err then
    return nil, error_object.wrap(err, { platform = operation.platform, operation = operation.name })
  end
  if token ~= context.token then
    return nil
  end
  -- Whole seconds: nearly all requests of an import then share a table.
  local seconds = math.ceil(timeout)
  local limits = state.limits[seconds]
  if not limits then
    limits = { total = seconds }
    state.limits[seconds] = limits
  end
  -- How `finish` finds what was asked. It must not lead to the request: in LuaJIT nothing is collected that is the key of what leads to it.
  context.shared = context.shared or { context = context }
  return setmetatable({
    method = request.method, url = request.url, headers = request.headers, body = rows, account = request.account,
    allow_http = request.allow_http, ca_file = request.ca_file, proxy = request.proxy, limits = limits,
    max_connection_age = request.max_connection_age,
  }, context.shared)
end

---What the result of a prepared request means.
---@param request table from `prepare` or `again`
---@param result table from the transport
---@param is_lent boolean? the reply is used before the next one is asked for, and not changed
---@return table? reply
---@return campaign.error? err
function methods:finish(request, result, is_lent)
  local context = context_of(request)
  if not context then
    error("this request was not prepared by a client", 2)
  end
  return finish(inner[self], context, result, is_lent)
end

---How the last good answer to a bulk call was read, for who compares answers by himself: status, body, reply, and where the answer has the
---platform's number of the call in one certain place, before and after (api/recall).
---@param name string operation
---@return table?
function methods:remembered(name)
  local state = inner[self]
  return state.memory[operation_of(state, name, 2)]
end

---The platform's clock, as far as its answers tell: `now()`, `ahead()`, `warn(function)`.
---@return campaign.api.clock
function methods:clock()
  return inner[self].clock
end

---Tells what a user should know about the calls so far, though none failed for it: the platform's clock, a rate that is not shared.
---@param say fun(text: string)
function methods:warn(say)
  local state = inner[self]
  state.clock:warn(say)
  if state.pace then
    state.pace:warn(say)
  end
end

---The two halves of the JSON body around the rows of a bulk operation, for whoever encodes rows while they are sent.
---@param name string operation
---@param fields table without the rows
---@param options table?
---@return string? prefix
---@return string|campaign.error suffix the second half, or the error when the first is nil
function methods:envelope(name, fields, options)
  local state = inner[self]
  local operation = operation_of(state, name, 2)
  if not operation.rows or operation.body ~= "json" then
    error("operation `" .. name .. "` does not carry rows in JSON", 2)
  end
  options = options or {}
  local values, err = check.fields(state.platform, operation, fields, state.account,
    { rows = true, server_variables = options.server_variables })
  if not values then
    return nil, err
  end
  return build.envelope(operation, values)
end

---Calls an operation by its name: `client:call("upload_file", fields, options)`.
---@param name string
---@param fields table?
---@param options table?
---@return table? reply
---@return campaign.error? err
function methods:call(name, fields, options)
  local state = inner[self]
  options = options or {}
  call_options.check(options, 2)
  return M.call(state, operation_of(state, name, 2), fields, options)
end

---A public address that the platform's data names, such as `client:image_url(17)`.
---@param name string
---@param fields table|string|number the path fields, or the value of the only one
---@return string? url
---@return campaign.error? err
function methods:link(name, fields)
  local state = inner[self]
  local link = state.platform.links[name]
  if not link then
    error("platform `" .. state.platform.name .. "` has no link `" .. tostring(name) .. "`", 2)
  end
  local operation = state.platform.operations[link.operation]
  if type(fields) ~= "table" then
    local only
    for _, field in ipairs(operation.fields) do
      only = field.where == "path" and field.name or only
    end
    fields = { [only] = fields }
  end
  local values, err = check.fields(state.platform, operation, fields, nil)
  if not values then
    return nil, err
  end
  return build.request(operation, values, state.account).url
end

-- Methods that stand in modules of their own.
local function elsewhere(name)
  if name == "each" or name == "all" then
    return pages[name]
  elseif name == "waiter" or name == "wait" then
    return waiter[name == "waiter" and "new" or name]
  end
end

---Frees the connections, when the client made its own transport. Closing twice is fine.
function methods:close()
  local state = inner[self]
  if state.owns_transport and state.transport then
    state.transport:close()
    state.owns_transport = false
  end
  if state.pace then
    state.pace:close()
  end
end

function mt.__index(self, name)
  local method = methods[name] or elsewhere(name)
  if method then
    return method
  end
  local state = inner[self]
  if state.platform.operations[name] then
    return function(client, fields, options)
      if client ~= self then
        error("call it with a colon: client:" .. name .. "{ ... }", 2)
      end
      options = options or {}
      call_options.check(options, 2)
      return M.call(state, state.platform.operations[name], fields, options)
    end
  elseif state.platform.links[name] then
    return function(client, fields)
      return methods.link(client, name, fields)
    end
  elseif name == "platform" or name == "account" or name == "transport" or name == "env" then
    return state[name]
  end
  operation_of(state, name, 2)
end

function mt.__newindex(_, name)
  error("a client has no field `" .. tostring(name) .. "` to set", 2)
end

function mt.__tostring(self)
  return "campaign.client " .. inner[self].platform.name .. " (account " .. inner[self].account.name .. ")"
end

---Makes a client.
---@param platform campaign.platform
---@param account campaign.account
---@param transport table what sends: see docs/architecture.md
---@param env campaign.env
---@param options { owns_transport: boolean?, open_store: function?, paced: boolean? }? paced = false: the caller takes the account's tokens
---@return campaign.client
function M.new(platform, account, transport, env, options)
  options = options or {}
  local client = setmetatable({}, mt)
  inner[client] = {
    platform = platform, account = account, transport = transport, env = env, options = options,
    owns_transport = options.owns_transport or false, budget = retry.new(), memory = {}, clock = clock.new(env),
    limits = setmetatable({}, { __mode = "v" }),
  }
  return client
end

return M

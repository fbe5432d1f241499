-- SPDX-License-Identifier: MIT
-- The client: one method per operation of a platform, and a few general ones. The calls themselves are made by api/exchange.

local build = require "campaign.api.build"
local call_options = require "campaign.api.call_options"
local check = require "campaign.api.check"
local clock = require "campaign.api.clock"
local exchange = require "campaign.api.exchange"
local later = require "campaign.later"
local names_of = require "campaign.names"
local retry = require "campaign.api.retry"

local pages = later.module "campaign.api.pages"
local suggest = later.module "campaign.api.suggest"
local waiter = later.module "campaign.api.waiter"

local M = {}

---@class campaign.client
local methods = {}

local mt = { __name = "campaign.client" }

-- A client's state beside its name: not a field, so that printing a client does not print it.
local inner = setmetatable({}, { __mode = "k" })

local function operation_of(self, name, level)
  local operation = self.platform.operations[name]
  if type(name) ~= "string" or not operation then
    local help = suggest.help(name, names_of(self.platform.operations))
    error("platform `" .. self.platform.name .. "` has no operation `" .. tostring(name) .. "`" .. help, level + 1)
  end
  return operation
end

---Checks and builds a request, for callers that drive many at once. Submit it to the transport, then pass it with its result to `finish`.
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
  return exchange.prepare(state, operation, fields, options)
end

---The same call with other rows in a JSON body, for callers that make thousands of them: nothing is checked or built again.
---@param request table from `prepare`, with rows
---@param rows userdata the body
---@param timeout number seconds
---@return table? again nil without an error if the earlier request can no longer be reused: call `prepare` again
---@return campaign.error? err
function methods:again(request, rows, timeout)
  return exchange.again(inner[self], request, rows, timeout)
end

---Whether a request prepared earlier carries the access token that `prepare` would give it now, if it carries one. May get another token.
---@param request table from `prepare`
---@return boolean
function methods:is_current(request)
  return exchange.is_current(inner[self], request)
end

---Interprets the result of a prepared request.
---@param request table from `prepare` or `again`
---@param result table from the transport
---@param is_lent boolean? the reply is used before the next one is requested, and not modified
---@return table? reply
---@return campaign.error? err
function methods:finish(request, result, is_lent)
  return exchange.finish(inner[self], request, result, is_lent)
end

---How the last good answer to a bulk call was parsed, for callers that compare answers themselves: status, body, reply, and if the
---platform's id of the call is in a fixed place of the answer, the text before and after it (api/recall).
---@param name string operation
---@return table?
function methods:remembered(name)
  local state = inner[self]
  return state.memory[operation_of(state, name, 2)]
end

---The platform's clock, as derived from its answers: `now()`, `ahead()`, `warn(function)`.
---@return campaign.api.clock
function methods:clock()
  return inner[self].clock
end

---Reports what a user should know about the calls so far, although none failed because of it: the platform's clock, a rate that is not
---shared.
---@param say fun(text: string)
function methods:warn(say)
  local state = inner[self]
  state.clock:warn(say)
  if state.pace then
    state.pace:warn(say)
  end
end

---The parts of the body before, after and between the rows of a bulk operation, for callers that encode rows while they are sent.
---@param name string operation
---@param fields table without the rows
---@param options table?
---@return string? prefix
---@return string|campaign.error suffix the second part, or the error if the first is nil
---@return string? separator
function methods:envelope(name, fields, options)
  local state = inner[self]
  local operation = operation_of(state, name, 2)
  if not operation.rows or operation.rows.shape == "csv" then
    error("operation `" .. name .. "` does not carry rows in a call", 2)
  end
  options = options or {}
  if operation.rows.is_call then
    return build.envelope(operation, fields)
  end
  local values, err = check.fields(state.platform, operation, fields, state.account,
    { rows = true, server_variables = options.server_variables })
  if not values then
    return nil, err
  end
  return build.envelope(operation, values)
end

---Calls an operation by name: `client:call("upload_file", fields, options)`.
---@param name string
---@param fields table?
---@param options table?
---@return table? reply
---@return campaign.error? err
function methods:call(name, fields, options)
  local state = inner[self]
  options = options or {}
  call_options.check(options, 2)
  return exchange.call(state, operation_of(state, name, 2), fields, options)
end

---A public URL defined in the platform's data, such as `client:image_url(17)`.
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

-- Methods implemented in other modules.
local function elsewhere(name)
  if name == "each" or name == "all" then
    return pages[name]
  elseif name == "waiter" or name == "wait" then
    return waiter[name == "waiter" and "new" or name]
  end
end

---Frees the connections if the client created its own transport. May be called twice.
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
      return exchange.call(state, state.platform.operations[name], fields, options)
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
---@param transport table sends requests: see docs/architecture.md
---@param env campaign.env
---@param options { owns_transport: boolean?, open_store: function?, paced: boolean? }? paced = false: the caller takes the account's tokens
---@return campaign.client
function M.new(platform, account, transport, env, options)
  options = options or {}
  local client = setmetatable({}, mt)
  inner[client] = {
    platform = platform, account = account, transport = transport, env = env, options = options,
    owns_transport = options.owns_transport or false, budget = retry.new(), memory = {}, tokens = {}, clock = clock.new(env),
    limits = setmetatable({}, { __mode = "v" }),
  }
  return client
end

return M

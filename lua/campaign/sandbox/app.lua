-- SPDX-License-Identifier: MIT
-- The sandbox as a function of requests, independent of the host that owns the sockets: an `exchange` takes the head of a request, its body
-- piece by piece, and returns the reply. It finds the operation, applies the configured faults, runs the platform's handler, and makes the
-- commit log durable before it answers. All of it runs without yielding, so that requests are applied one after the other.

local body_of = require "campaign.sandbox.body"
local clock = require "campaign.sandbox.clock"
local control = require "campaign.sandbox.control"
local faults = require "campaign.sandbox.faults"
local json = require "campaign.sandbox.json"
local limit = require "campaign.sandbox.limit"
local log = require "campaign.sandbox.log"
local reply = require "campaign.sandbox.reply"
local routes = require "campaign.sandbox.routes"
local rules = require "campaign.sandbox.rules"
local sorted = require "campaign.sorted"
local state_of = require "campaign.sandbox.state"

local M = {}

local MODULES = {
  outbound = "campaign.sandbox.outbound",
  tuzhan = "campaign.sandbox.tuzhan",
  hypers = "campaign.sandbox.hypers",
  longlong = "campaign.sandbox.longlong",
}

local MAX_FORM = 2 * 1073741824

local app_methods = {}
local app_mt = { __index = app_methods, __name = "sandbox.app" }

local exchange_methods = {}
local exchange_mt = { __index = exchange_methods, __name = "sandbox.exchange" }

---@class campaign.sandbox.options
---@field dir string folder for the commit log, files and (durable) the snapshot
---@field durable? boolean keep the state over restarts and sync every commit
---@field clock? string `yyyy-MM-dd HH:mm:ss`
---@field clock_rate? number
---@field faults? string[]
---@field without? string[]
---@field forms? string[]
---@field seed? integer of the fault generator
---@field accounts? table given credentials
---@field first_id? string first id that hypers gives
---@field now fun(): number
---@field monotonic? fun(): number

---@param options campaign.sandbox.options
---@return table? app
---@return string? why
function M.new(options)
  local self = setmetatable({ options = options, dir = options.dir, requests = 0 }, app_mt)
  local why
  self.clock, why = clock.new{ at = options.clock, rate = options.clock_rate, now = options.now }
  if not self.clock then
    return nil, why
  end
  self.rules, why = rules.new(options.without, options.forms)
  if not self.rules then
    return nil, why
  end
  self.clock.obeyed = function()
    return self:on("R012")
  end
  self.faults, why = faults.new(options.faults, options.seed, routes.names())
  if not self.faults then
    return nil, why
  end
  self.log, why = log.open{ path = self.dir .. "/commits.jsonl", durable = options.durable }
  if not self.log then
    return nil, why
  end
  if options.durable then
    self.state, why = state_of.load(self.dir .. "/state.json")
    if why then
      return nil, why
    end
  end
  if not self.state then
    self.state, why = state_of.fresh(state_of.accounts(options.accounts), options)
    if not self.state then
      return nil, why
    end
  end
  self.limit = limit.new(options.monotonic or options.now)
  self.routes = routes.new()
  self.platforms = {}
  for name, module in pairs(MODULES) do
    self.platforms[name] = require(module).new(self)
  end
  return self
end

---True while rule `number` holds.
function app_methods:on(number)
  return self.rules:on(number)
end

---Where the next file of an upload goes.
function app_methods:new_path()
  self.spooled = (self.spooled or 0) + 1
  return string.format("%s/spool-%d-%d", self.dir, self.options.pid or 0, self.spooled)
end

---Puts one committed row into the log.
---@param request table
---@param target string
---@param entry table row (or row_text, row_from, row_to: where its JSON lies), id, mode, result
function app_methods:commit(request, target, entry)
  request.time = request.time or self.clock:text()
  self.log:append(request, target, entry)
end

---Marks the state as changed, so that the host saves it.
function app_methods:changed()
  self.dirty = true
end

---Saves the snapshot when something changed and the state is to last.
function app_methods:save()
  if self.dirty and self.options.durable then
    assert(state_of.save(self.state, self.dir .. "/state.json"))
  end
  self.dirty = false
end

---Back to the fresh seed: state, files, log, faults and counts; credentials stay.
function app_methods:reset()
  for _, platform in pairs(self.platforms) do
    if platform.clear then
      platform:clear()
    end
  end
  self.state = state_of.fresh(self.state.accounts, self.options)
  self.log:clear()
  self.faults:clear()
  self.limit:clear()
  self.dirty = true
end

---What the `Date` of an answer says. A server whose clock is not that of the world has no date to tell (RFC 9110, 6.6.1), unless it is asked to.
---@return string?
function app_methods:date()
  local settings = self.state.settings
  local wanted = settings["http.date"]
  if wanted == "none" or wanted == "auto" and settings["http.date_ahead"] == 0 and not self.clock:is_real() then
    return nil
  end
  return clock.http_date(clock.epoch_ms(self.clock:now() + settings["http.date_ahead"]))
end

---What the host has to send by itself now (callbacks), as { url, body }.
function app_methods:due()
  return self.platforms.longlong:due()
end

function app_methods:close()
  self:save()
  self.log:close()
end

---Deletes the folder of a sandbox that is not to last.
function app_methods:remove()
  for _, platform in pairs(self.platforms) do
    if platform.clear then
      platform:clear()
    end
  end
  os.remove(self.log.path)
  os.remove(self.dir)
end

---The whole request at once, for hosts that have it in memory, and for specs.
---@param request { method: string, target: string, headers: table, body?: string }
function app_methods:handle(request)
  local exchange = self:exchange(request)
  if request.body and exchange:wants_body() then
    exchange:feed(request.body)
  end
  return exchange:finish()
end

-- `methods` are those that the path has, with their routes.
local function unknown(self, status, message, methods)
  local headers = {}
  local _, route = next(methods or {})
  if route then
    headers[1] = { "allow", table.concat(sorted.keys(methods), ", ") }
  end
  local name = routes.platform_of(self.path)
  if name and self.app:on("R011") then
    local refused = self.app.platforms[name]:refuse(status, message, route and route.operations[1])
    for _, header in ipairs(headers) do
      table.insert(refused.headers, header)
    end
    return refused
  end
  return reply.json(status, json.ordered("code", status, "msg", message), headers)
end

local function find_route(self)
  local app, path = self.app, self.path
  if app:on("R234") and path:find("^/api/file") then
    path = "/api/v1" .. path:sub(5)
  end
  if not app:on("R279") then
    path = path:gsub("/$", "")
  end
  local node, params = routes.find(app.routes, path, not app:on("R280"))
  if not node then
    self.refused = unknown(self, app:on("R011") and 404 or 400, "no such path")
    return
  end
  local route = node.methods[self.method]
  if not route or not app.platforms[route.platform]:serves(route.operations[1]) then
    self.refused = unknown(self, route and 404 or app:on("R011") and 405 or 400,
      route and "no such path" or "method not allowed", node.methods)
    return
  end
  self.route, self.params = route, params
  self.platform = app.platforms[route.platform]
end

---Begins an exchange.
---@param head { method: string, target: string, headers: table<string, string> } header names in lower case
function app_methods:exchange(head)
  self.requests = self.requests + 1
  local path, query = head.target:match("^([^?#]*)%??([^#]*)") -- linear: disjoint at the ?
  local self_ = setmetatable({
    app = self, id = self.requests, method = head.method, path = path, headers = head.headers,
    query = routes.query(query), met = {},
  }, exchange_mt)
  if path:sub(1, 10) == "/_sandbox/" then
    self_.control = path:sub(11)
    self_.sink = body_of.text()
    return self_
  end
  find_route(self_)
  local route = self_.route
  if not route then
    self_.sink = body_of.text()
    return self_
  end
  if #route.operations == 1 then
    self_.operation = route.operations[1]
    self_.met = self.faults:call(route.platform, self_.operation)
  end
  local content_type = head.headers["content-type"] or ""
  if route.body == "multipart" and content_type:lower():find("^multipart/form%-data") then
    self_.sink, self_.body_error = body_of.form(content_type, MAX_FORM, function()
      return self:new_path()
    end)
  end
  self_.sink = self_.sink or body_of.text()
  return self_
end

---False when the connection is to be closed before the body is read.
function exchange_methods:wants_body()
  return not self.met.head
end

---Takes a piece of the body; false when no more is wanted (the reply is ready).
function exchange_methods:feed(bytes)
  local ok = self.sink:feed(bytes)
  if not ok then
    self.too_large = true
    return false
  end
  return true
end

---Seconds that a fault wants the reply to wait.
function exchange_methods:delay()
  return self.met.delay or 0
end

---The request ended before its end: nothing happens, and its files go.
function exchange_methods:abort()
  self.sink:discard()
end

local function request_of(self)
  return {
    id = self.id, platform = self.route.platform, operation = self.operation, params = self.params,
    query = self.query, headers = self.headers, body = self.body, body_error = self.body_error,
    time = self.app.clock:text(),
  }
end

local function act(self)
  local app, met = self.app, self.met
  local over = app.limit:refuses(self.route.platform, app.state.settings)
  if over then
    local refused = self.platform:refuse(429, "more calls in a second than were ordered at the sandbox", self.operation)
    if over.retry_after then
      table.insert(refused.headers, { "retry-after", tostring(over.retry_after) })
    end
    return refused
  end
  if met.before and met.before.kind == "expire-token" then
    self.platform:expire(request_of(self))
  end
  local fault = met.reply
  if fault then
    if fault.kind == "close-after-read" then
      return { drop = "close" }
    end
    local refused = self.platform:refuse(fault.status, "fault ordered at the sandbox", self.operation)
    if fault.kind == "code" then
      refused.status = 200
    end
    if fault.retry_after then
      table.insert(refused.headers, { "retry-after", fault.retry_after })
    end
    return refused
  end
  local request = request_of(self)
  local answer = self.platform:handle(request)
  app.log:commit()
  if met.after then
    if met.after.kind == "status" then
      return self.platform:refuse(met.after.status, "fault ordered at the sandbox, after the commit",
        self.operation)
    end
    if met.after.kind:find("callback", 1, true) then
      if self.platform.callback_fault then
        self.platform:callback_fault(request, met.after)
      end
      return answer
    end
    return reply.with_fault(answer, met.after)
  end
  return answer
end

---The reply, as reply.lua describes it; `drop` instead of a status means: close without a word.
function exchange_methods:finish()
  if self.met.head then
    self.sink:discard()
    return { drop = "close" }
  end
  if self.too_large then
    self.sink:discard()
    local refused = self.platform and self.platform:refuse(413, "body too large", self.route.operations[1])
      or reply.json(413, json.ordered("code", 413, "msg", "body too large"))
    refused.close = true
    return refused
  end
  self.body = self.sink:finish()
  local answer
  if self.control then
    answer = control.handle(self.app, self)
  elseif self.refused then
    answer = self.refused
  else
    if not self.operation then
      self.operation = self.platform:which(self)
      self.met = self.app.faults:call(self.route.platform, self.operation)
      if self.met.head then
        answer = { drop = "close" }
      end
    end
    answer = answer or act(self)
  end
  self.sink:discard()
  return answer
end

return M

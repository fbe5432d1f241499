-- SPDX-License-Identifier: MIT
-- The sandbox as an nginx location, for load tests: the app of campaign.sandbox on nginx's sockets. Its state belongs to one Lua state, so
-- it needs `worker_processes 1`. It does with nginx's API what sandbox/server.lua does in plain Lua.

local app_module = require "campaign.sandbox.app"
local core = require "campaign.core"
local home = require "campaign.openresty.env"
local request = require "campaign.openresty.request"
local transport = require "campaign.transport"

local M = {}

local ngx = package.loaded.ngx

local TICK_SECONDS = 0.1
local FOLDER = 448 -- 0700
local PIECE = 65536

local methods = {}
local mt = { __index = methods, __name = "campaign.openresty.sandbox" }

---@param options table `folder` for the commit log and uploads; `accounts`: credentials by platform; and of campaign.sandbox.start: clock,
---clock_rate, faults, without, forms, seed, settings, first_id
function M.new(options)
  if type(options.folder) ~= "string" then
    error("campaign.openresty.sandbox: option `folder` must be a path", 2)
  end
  local given = { now = core.system.now }
  for name, value in pairs(options) do
    given[name == "folder" and "dir" or name] = value
  end
  return setmetatable({ _options = given }, mt)
end

-- Posts callbacks that are due.
local function tick(premature, self)
  if premature or self._ticking then
    return
  end
  self._ticking = true
  local client, err = transport.new()
  if not client then
    request.log("callbacks cannot be posted", err)
  end
  for _, item in ipairs(client and self.app:due() or {}) do
    client:perform({ url = item.url, method = "POST", body = item.body, headers = { { "Content-Type", "application/json" } },
      account = "sandbox" })
  end
  if client then
    client:close()
  end
  self._ticking = false
end

local function open(self)
  if ngx.worker.count() ~= 1 then
    return nil, "the sandbox has its state in one worker: nginx.conf needs `worker_processes 1;`"
  end
  local options = self._options
  options.pid = ngx.worker.pid()
  local made, err = core.system.make_dirs(options.dir, FOLDER)
  if not made then
    return nil, tostring(err)
  end
  local why
  self.app, why = app_module.new(options)
  if self.app then
    ngx.timer.every(TICK_SECONDS, tick, self)
  end
  return self.app, why
end

local function send_file(path)
  local file = io.open(path, "rb")
  if not file then
    return ngx.exit(444)
  end
  repeat
    local piece = file:read(PIECE)
    local sent = piece and ngx.print(piece) and ngx.flush(true)
  until not sent
  file:close()
end

-- A reply with a length that is not kept: written past nginx, which would not.
local function send_cut(answer)
  local length = #(answer.body or "")
  local lines = { ("HTTP/1.1 %d Ordered"):format(answer.status) }
  for _, header in ipairs(answer.headers) do
    lines[#lines + 1] = header[1] .. ": " .. header[2]
  end
  lines[#lines + 1] = ("content-length: %d"):format(answer.cut == "wrong-length" and math.max(length - 5, 0) or length)
  lines[#lines + 1] = "connection: close\r\n\r\n"
  local body = answer.body or ""
  if answer.cut == "short" then
    body = body:sub(1, math.floor(length / 2))
  end
  local socket = ngx.req.socket(true)
  if socket then
    socket:send(table.concat(lines, "\r\n") .. body)
  end
end

local function send(app, answer, unread)
  if answer.drop then
    return ngx.exit(444) -- `reset_timedout_connection on;` makes a reset of it
  elseif answer.cut then
    return send_cut(answer)
  end
  ngx.header["Date"] = app:date() or "" -- else nginx tells its own
  if not answer.path then
    return request.answer(answer.status, answer.headers, answer.body, unread)
  end
  request.head(answer.status, answer.headers, answer.bytes)
  send_file(answer.path)
end

---The whole location; it takes every path.
function methods:handle()
  if not self.app then
    local _, why = open(self)
    if why then
      request.log("the sandbox cannot start", why)
      return request.json(500, { error = why })
    end
  end
  local app = self.app
  local exchange = app:exchange({ method = request.method(), target = request.target(), headers = request.headers() })
  local unread, pieces, rest = not exchange:wants_body(), nil, nil
  if not unread then
    pieces, rest = request.pieces()
  end
  while pieces do
    local piece, broken = pieces()
    if broken then
      exchange:abort()
      return ngx.exit(444)
    elseif not piece then
      break
    elseif not exchange:feed(piece) then
      unread = rest
      break
    end
  end
  local wait = exchange:delay()
  if wait > 0 then
    home.sleep(wait)
  end
  local fine, answer = xpcall(function() return exchange:finish() end, debug.traceback)
  if not fine then
    request.log("sandbox", answer)
    exchange:abort()
    return ngx.exit(444)
  end
  send(app, answer, unread)
end

return M

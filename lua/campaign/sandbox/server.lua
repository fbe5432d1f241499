-- SPDX-License-Identifier: MIT
-- The sandbox's host in plain Lua: lua-http on loopback, run as a child process by LuaJIT. It moves bytes between sockets and app.lua,
-- carries out the transport part of faults (closing, resetting, truncating), posts callbacks, saves the snapshot, and ends with its parent.
-- It knows no platform.

local cqueues = require "cqueues"
local cs = require "cqueues.signal"
local ffi = require "ffi"
local http_headers = require "http.headers"
local http_server = require "http.server"

local app_of = require "campaign.sandbox.app"
local core = require "campaign.core"
local discard = require "campaign.discard"
local peer = require "campaign.http_peer"
local shell_quote = require "campaign.shell_quote"

local M = {}

local IDLE = 75 -- seconds that an unused connection is kept
local LIMITS = { head = IDLE, rest = 10 }
local BODY_STALL = 60 -- seconds without a byte of a request's body
local SEND_STALL = 60
local TICK = 0.05
-- The state is saved every second; a large one at most for a twentieth of the time, since nothing is answered meanwhile.
local SAVE_EVERY, SAVE_SHARE = 1, 20
local POST_LIMITS = { connect = 10, total = 10, body = 65536 }
local FILE_CHUNK = 65536
local SOCKET_BUFFER = 65536 -- bodies come in fewer and larger pieces than by default

ffi.cdef [[
  struct campaign_linger { int l_onoff; int l_linger; };
  int setsockopt(int fd, int level, int name, const void *value, unsigned int length);
]]
local SOL_SOCKET, SO_LINGER = 1, 13

-- Closing ---------------------------------------------------------------------------------------

local function drop(stream, how)
  local socket = stream.connection.socket
  if socket and how == "reset" then
    local linger = ffi.new("struct campaign_linger", 1, 0)
    ffi.C.setsockopt(socket:pollfd(), SOL_SOCKET, SO_LINGER, linger, ffi.sizeof(linger))
  end
  peer.drop(stream)
end

-- Requests --------------------------------------------------------------------------------------

local function head_of(headers)
  local head = { method = headers:get(":method"), target = peer.target(headers), headers = {} }
  for name, value in headers:each() do
    if name:sub(1, 1) ~= ":" and head.headers[name] == nil then
      head.headers[name] = value
    end
  end
  return head
end

-- Moves the body into the exchange. False when the request broke off.
local function read_body(stream, exchange)
  while true do
    local bytes = stream:get_next_chunk(BODY_STALL)
    if not bytes then
      return not peer.is_unread(stream)
    end
    if not exchange:feed(bytes) then
      return true
    end
  end
end

-- Replies ---------------------------------------------------------------------------------------

-- Gives the first `left` bytes of an answer's body to `write`, those of a file in pieces. True when they have gone.
local function send_body(answer, left, write)
  if not answer.path then
    return write(answer.body:sub(1, left))
  end
  local file = io.open(answer.path, "rb")
  while file and left > 0 do
    local bytes = file:read(math.min(left, FILE_CHUNK))
    if not bytes or not write(bytes) then
      break
    end
    left = left - #bytes
  end
  if file then
    file:close()
  end
  return left == 0
end

local function send(app, stream, answer)
  if answer.drop then
    return drop(stream, answer.drop)
  end
  local length = answer.path and answer.bytes or #answer.body
  local head = http_headers.new()
  head:append(":status", tostring(answer.status))
  for _, header in ipairs(answer.headers) do
    head:append(header[1], header[2])
  end
  local date = app:date()
  if date then
    head:append("date", date)
  end
  local promised = answer.cut == "wrong-length" and math.max(length - 5, 0) or length
  head:append("content-length", string.format("%d", promised))
  if answer.close or answer.cut then
    head:append("connection", "close")
  end
  if not answer.cut and not answer.path then
    return peer.answer(stream, head, answer.body, SEND_STALL)
  end
  if not stream:write_headers(head, false, SEND_STALL) then
    return
  end
  if answer.cut then
    send_body(answer, answer.cut == "short" and math.floor(length / 2) or length, function(bytes)
      return stream.connection.socket:xwrite(bytes, "n", SEND_STALL)
    end)
    return drop(stream, "close")
  end
  local whole = send_body(answer, length, function(bytes)
    return stream:write_chunk(bytes, false, SEND_STALL)
  end)
  if not (whole and stream:write_chunk("", true, SEND_STALL)) then
    drop(stream, "close")
  end
end

local function serve(app, stream, headers)
  local exchange = app:exchange(head_of(headers))
  if exchange:wants_body() then
    peer.go_on(stream, headers, SEND_STALL)
    if not read_body(stream, exchange) then
      exchange:abort()
      return drop(stream, "close")
    end
  end
  local wait = exchange:delay()
  if wait > 0 then
    cqueues.sleep(wait)
  end
  local ok, answer = xpcall(function()
    return exchange:finish()
  end, debug.traceback)
  if not ok then
    exchange:abort()
    error(answer, 0)
  end
  send(app, stream, answer)
end

local function note(problem)
  io.stderr:write("sandbox: ", problem, "\n")
end

local function take_request(app, stream)
  local connection = stream.connection
  if connection.socket and not connection.has_room then
    connection.has_room = true
    connection.socket:setbufsiz(SOCKET_BUFFER, SOCKET_BUFFER)
  end
  peer.serve(stream, LIMITS, function(headers)
    return serve(app, stream, headers)
  end, note)
end

-- Background ------------------------------------------------------------------------------------

-- Posts the callbacks that are due. The status of the answer does not matter; a failure to deliver or to get an answer is reported on stderr.
local function post(engine, items)
  for _, item in ipairs(items) do
    local id, err = engine:submit{
      method = "POST", url = item.url, headers = { { "Content-Type", "application/json" } }, body = item.body,
      allow_http = true, max_connection_age = 0, limits = POST_LIMITS,
    }
    if not id then
      note("callback not delivered: " .. err.message)
    end
  end
  while true do
    local id, result = engine:take()
    if not id then
      return
    elseif result.error and result.error.kind ~= "redirect" then
      note(("callback not %s: %s"):format(result.sent == "no" and "delivered" or "answered", result.error.message))
    end
  end
end

local function background(app, engine)
  local next_save = cqueues.monotime() + SAVE_EVERY
  while true do
    cqueues.sleep(TICK)
    post(engine, app:due())
    if app.dirty and cqueues.monotime() >= next_save then
      local began = cqueues.monotime()
      app:save()
      local now = cqueues.monotime()
      next_save = now + math.max(SAVE_EVERY, (now - began) * SAVE_SHARE)
    end
  end
end

-- The parent holds the other end of our standard input: we end when it is closed.
local function watch_parent(stop)
  local stdin = { pollfd = function() return 0 end, events = function() return "r" end }
  repeat
    cqueues.poll(stdin)
  until io.stdin:read(1) == nil
  stop()
end

local function watch_signals(signals, stop)
  signals:wait()
  stop()
end

-- Start -----------------------------------------------------------------------------------------

-- The keys of accounts (docs/decisions.md); what else the seed has is for tests and goes under another prefix.
local ACCOUNT_KEYS = {
  abbreviate = true, client_id = true, client_secret = true, company_id = true, password = true, token = true,
  user_id = true, username = true,
}

---The base URL and the ready-made credentials as `KEY=value` lines that a shell's `eval` can take.
---@param base_url string
---@param accounts table
---@return string
function M.lines(base_url, accounts)
  local lines = { "CAMPAIGN_SANDBOX_URL=" .. base_url }
  local names = { "outbound", "tuzhan", "hypers", "longlong" }
  for _, platform in ipairs(names) do
    local prefix = "CAMPAIGN_" .. platform:upper() .. "_"
    lines[#lines + 1] = prefix .. "BASE_URL=" .. base_url
    local keys = {}
    for key, value in pairs(accounts[platform]) do
      if type(value) == "string" then
        keys[#keys + 1] = key
      end
    end
    table.sort(keys)
    for _, key in ipairs(keys) do
      local name = (ACCOUNT_KEYS[key] and prefix or prefix:gsub("_", "_SANDBOX_", 1)) .. key:upper()
      lines[#lines + 1] = name .. "=" .. shell_quote(accounts[platform][key])
    end
  end
  lines[#lines + 1] = "CAMPAIGN_SANDBOX_PID=" .. core.system.pid()
  return table.concat(lines, "\n") .. "\n"
end

-- Removes the temporary folders of sandboxes that were killed.
local function clear_stale(base)
  for _, name in ipairs(core.system.list_dir(base) or {}) do
    local pid = name:match("^campaign%-sandbox%-(%d+)%-%d+$") -- linear: a fixed character between
    if pid and not core.system.stat("/proc/" .. pid) then
      discard.folder(base .. "/" .. name)
    end
  end
end

local function prepare_dir(options)
  if options.state then
    local made, err = core.system.make_dirs(options.state)
    if not made then
      return nil, err
    end
    return options.state, true
  end
  local base = os.getenv("TMPDIR") or "/tmp"
  clear_stale(base)
  local dir = base .. "/campaign-sandbox-" .. core.system.pid() .. "-" .. math.floor(core.system.now() * 1000)
  local made, err = core.system.make_dirs(dir)
  if not made then
    return nil, err
  end
  return dir, false
end

-- The server, taking connections; nil and why where it cannot.
local function listen(app, options, queue)
  local server, err = http_server.listen{
    cq = queue, host = "127.0.0.1", port = options.port or 0, tls = false, version = 1.1,
    intra_stream_timeout = IDLE,
    onstream = function(_, stream)
      take_request(app, stream)
    end,
    onerror = function(_, _, operation, problem)
      -- A peer that disconnects or does not speak HTTP is no error of the sandbox; anything else is reported.
      if operation == "onstream" then
        note(tostring(problem))
      end
    end,
  }
  local listening
  if server then
    listening, err = server:listen()
  end
  if not listening then
    return nil, ("cannot listen on 127.0.0.1:%d: %s; without --port it takes a free one"):format(options.port or 0, tostring(err))
  end
  return server
end

-- Takes requests and posts callbacks until a signal comes, or the parent ends.
local function serve_until_stopped(app, server, queue, signals, options)
  local stopped = false
  local function stop()
    stopped = true
  end
  if options.watch_stdin then
    queue:wrap(watch_parent, stop)
  end
  queue:wrap(watch_signals, signals, stop)
  local engine = core.http.engine{ driver = "thread" }
  queue:wrap(background, app, engine)
  while not stopped do
    local ok, problem = queue:step(TICK)
    if not ok then
      note(tostring(problem))
    end
  end
  server:close()
  engine:close()
end

---Runs the server until a signal, the end of the parent, or `/dev/null` on a given stdin.
---@param options table see init.lua
---@return integer exit_code 2 when it cannot serve as it was asked to
function M.run(options)
  -- Before anything that a signal could leave half done.
  cs.block(cs.SIGTERM, cs.SIGINT)
  local signals = cs.listen(cs.SIGTERM, cs.SIGINT)
  local app, dir, durable, why
  local function close()
    if app then
      app:close()
      if not durable then
        app:remove()
      end
    end
  end
  local function refuse(problem)
    note(tostring(problem))
    close()
    return 2
  end
  dir, durable = prepare_dir(options)
  if not dir then
    return refuse(durable)
  end
  app, why = app_of.new{
    dir = dir, durable = durable, clock = options.clock, clock_rate = options.clock_rate,
    faults = options.faults, without = options.without, forms = options.forms,
    seed = options.seed, accounts = options.accounts, first_id = options.first_id,
    settings = options.settings, now = core.system.now, monotonic = core.system.monotonic, pid = core.system.pid(),
  }
  if not app then
    return refuse(why)
  end
  local queue = cqueues.new()
  local server, err = listen(app, options, queue)
  if not server then
    return refuse(err)
  end
  local _, host, port = server:localname()
  local base_url = "http://" .. host .. ":" .. port
  local lines = M.lines(base_url, app.state.accounts)
  if options.ready_file then
    local written
    written, err = core.system.write_atomic(options.ready_file, lines)
    if not written then
      return refuse(err)
    end
  end
  if not options.quiet then
    io.stdout:write(lines)
    io.stdout:flush()
  end
  serve_until_stopped(app, server, queue, signals, options)
  -- A process that waits for the file of the next sandbox must not read these credentials.
  if options.ready_file and core.system.read_file(options.ready_file, #lines + 1) == lines then
    os.remove(options.ready_file)
  end
  close()
  return 0
end

return M

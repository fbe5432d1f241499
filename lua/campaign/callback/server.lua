-- SPDX-License-Identifier: MIT
-- The host of a callback receiver in plain Lua: lua-http, one process, until a signal comes. It moves bytes between sockets and
-- `receiver:handle` within limits of size, time and number, and decides nothing itself.

local cqueues = require "cqueues"
local cs = require "cqueues.signal"
local http_headers = require "http.headers"
local http_server = require "http.server"

local M = {}

local HEAD_SECONDS = 10
local BODY_SECONDS = 20
local SEND_SECONDS = 10
local LINGER_SECONDS = 1
local CONNECTIONS = 256
local TICK = 0.1

-- At most limit + 1 bytes; nil when it broke off or took too long.
local function read_body(stream, limit)
  local pieces, bytes = {}, 0
  local deadline = cqueues.monotime() + BODY_SECONDS
  while bytes <= limit do
    local piece, err = stream:get_next_chunk(math.max(0, deadline - cqueues.monotime()))
    if not piece then
      if err ~= nil then
        return nil
      end
      break
    end
    pieces[#pieces + 1] = piece
    bytes = bytes + #piece
  end
  return table.concat(pieces):sub(1, limit + 1)
end

-- By name in lower case; of one that came twice the first counts, but lengths that came twice are none.
local function fields_of(head)
  local headers = {}
  for name, value in head:each() do
    if name == "content-length" and headers[name] then
      headers[name] = headers[name] .. ", " .. value
    elseif name:sub(1, 1) ~= ":" and headers[name] == nil then
      headers[name] = value
    end
  end
  return headers
end

-- Closes so that the answer is not lost with what was not read: our end first, then a short look at the rest.
local function close(stream)
  local socket = stream.connection:take_socket()
  if not socket then
    return
  end
  socket:onerror(function(_, _, code) return code end) -- a peer that is gone already is none to be told of
  socket:flush("n", LINGER_SECONDS)
  socket:shutdown("w")
  local deadline = cqueues.monotime() + LINGER_SECONDS
  while cqueues.monotime() < deadline do
    if not socket:xread(-4096, nil, math.max(0, deadline - cqueues.monotime())) then
      break
    end
  end
  socket:close()
end

local function serve(receiver, stream, tell)
  local head = stream:get_headers(HEAD_SECONDS)
  if not head then
    return
  end
  local headers = fields_of(head)
  local path = (head:get(":path") or ""):gsub("^https?://[^/?#]*", "") -- it may name the host, too, as clients write it to a proxy
  local answer, kind = receiver:handle{
    method = head:get(":method"), path = path, headers = headers,
    body = function(limit)
      if (headers.expect or ""):lower() == "100-continue" and stream.peer_version > 1 then -- HTTP/1.0 knows no such answer
        stream:write_continue(SEND_SECONDS)
      end
      return read_body(stream, limit)
    end,
  }
  tell(answer.status, kind)
  local out = http_headers.new()
  out:append(":status", tostring(answer.status))
  for _, header in ipairs(answer.headers) do
    out:append(header[1]:lower(), header[2])
  end
  out:append("content-length", tostring(#answer.body))
  if stream:write_headers(out, false, SEND_SECONDS) then
    stream:write_chunk(answer.body, true, SEND_SECONDS)
  end
  if answer.close then
    close(stream)
  end
end

---Serves until SIGTERM or SIGINT.
---@param receiver campaign.callback
---@param options { address: string?, port: integer?, ready: fun(address: string, port: integer), tell: fun(status: integer, kind: string?),
---note: fun(line: string) }
---@return boolean? well
---@return string? problem
function M.run(receiver, options)
  cs.block(cs.SIGTERM, cs.SIGINT)
  local signals = cs.listen(cs.SIGTERM, cs.SIGINT)
  local queue = cqueues.new()
  local server, err = http_server.listen{
    cq = queue, host = options.address or "127.0.0.1", port = options.port or 0, tls = false, version = 1.1,
    max_concurrent = CONNECTIONS, intra_stream_timeout = HEAD_SECONDS, connection_setup_timeout = HEAD_SECONDS,
    onstream = function(_, stream) serve(receiver, stream, options.tell) end,
    onerror = function(_, _, operation, problem)
      if operation == "onstream" then -- a peer that goes away is no business of ours
        options.note(tostring(problem))
      end
    end,
  }
  if not server then
    return nil, tostring(err)
  end
  local listening
  listening, err = server:listen()
  if not listening then
    return nil, tostring(err)
  end
  local _, address, port = server:localname()
  options.ready(address, port)
  local stopped = false
  queue:wrap(function()
    signals:wait()
    stopped = true
  end)
  while not stopped do
    local ok, problem = queue:step(TICK)
    if not ok then
      options.note(tostring(problem))
    end
  end
  server:close()
  return true
end

return M

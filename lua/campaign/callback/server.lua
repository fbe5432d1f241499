-- SPDX-License-Identifier: MIT
-- Hosts a callback receiver in plain Lua with lua-http, in one process, until a signal arrives. It moves bytes between sockets and
-- `receiver:handle` within limits of size, time and number, and decides nothing itself.

local cqueues = require "cqueues"
local cs = require "cqueues.signal"
local http_headers = require "http.headers"
local http_server = require "http.server"

local peer = require "campaign.http_peer"

local M = {}

local HEAD_SECONDS = 10
local LIMITS = { head = HEAD_SECONDS, rest = 1 }
local BODY_SECONDS = 20
local SEND_SECONDS = 10
local CONNECTIONS = 256
local TICK = 0.1

-- At most limit + 1 bytes; nil if it broke off or took too long.
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

-- By lower-case name; of duplicates the first counts, except that duplicate lengths are invalid.
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

local function serve(receiver, stream, head, tell)
  local headers = fields_of(head)
  local answer, kind = receiver:handle{
    method = head:get(":method"), path = peer.target(head), headers = headers,
    body = function(limit)
      peer.go_on(stream, head, SEND_SECONDS)
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
  peer.answer(stream, out, answer.body, SEND_SECONDS)
  if answer.close then
    peer.close(stream)
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
    onstream = function(_, stream)
      peer.serve(stream, LIMITS, function(head) return serve(receiver, stream, head, options.tell) end, options.note)
    end,
    onerror = function(_, _, operation, problem)
      if operation == "onstream" then -- a peer that disconnects is not an error
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

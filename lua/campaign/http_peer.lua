-- SPDX-License-Identifier: MIT
-- Wraps lua-http for the sandbox and the callback receiver so that no peer can block, fill or crash them: limits on heads and bodies, 400
-- for ambiguous requests, and closing of connections whose request was not read completely. lua-http's own clean-up of such a connection
-- can wait forever without yielding, so it must never see one.

local cqueues = require "cqueues"
local ce = require "cqueues.errno"

local M = {}

local MAX_LINE = 16384
local LINGER_SECONDS = 1
local BAD_REQUEST = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

-- Errors of connections that are closed or silent: there is nobody to answer.
local IS_GONE = { [ce.ETIMEDOUT] = true, [ce.ECONNRESET] = true, [ce.EPIPE] = true }

local function unclear(connection, code)
  connection.socket:seterror("r", code)
  return nil, ce.strerror(code), code
end

-- The size in the first line of a chunk; nil when it is malformed. Each pattern has one repeat, so that a long line of zeros costs linear time.
local function chunk_size(line)
  local digits = line:match("^%x+")
  local at = digits and line:find("[^ \t]", #digits + 1)
  if not at or line:sub(-2) ~= "\r\n" or at ~= #line - 1 and line:sub(at, at) ~= ";" then
    return nil
  end
  digits = digits:gsub("^0+", "")
  if #digits > 8 then
    return nil
  end
  return digits == "" and 0 or tonumber(digits, 16)
end

-- Replaces lua-http's function, which keeps a chunk of any size in memory until it is complete; this one returns pieces, and false at the last chunk.
local function read_body_chunk(connection, timeout)
  local deadline = timeout and cqueues.monotime() + timeout
  local socket, left = connection.socket, connection.left_of_chunk
  local function seconds()
    return deadline and math.max(0, deadline - cqueues.monotime())
  end
  if not left then
    local line, err, errno = socket:xread("*L", seconds())
    if not line then
      return nil, err, errno
    end
    left = chunk_size(line)
    if not left then
      return unclear(connection, ce.EILSEQ)
    end
    if left == 0 then
      return false
    end
  end
  local piece, err, errno = socket:xread(-left, seconds())
  if not piece then
    return nil, err, errno
  end
  left = left - #piece
  connection.left_of_chunk = left > 0 and left or nil
  if left == 0 and socket:xread(2, seconds()) ~= "\r\n" then
    return unclear(connection, ce.EILSEQ)
  end
  return piece
end

local function trimmed(text, first)
  local last = #text
  first = text:find("[^ \t]", first) or last + 1
  while last >= first and text:find("^[ \t]", last) do
    last = last - 1
  end
  return text:sub(first, last)
end

-- Replaces lua-http's function, which takes a second and more for a long run of blanks within a value. Returns nothing at the end of the head.
local function read_header(connection, timeout)
  local socket = connection.socket
  local line, err, errno = socket:xread("*h", timeout)
  if line then
    local name = line:match("^[^%s:]+")
    if not name or line:sub(#name + 1, #name + 1) ~= ":" then
      return unclear(connection, ce.EILSEQ)
    end
    return name, trimmed(line, #name + 2)
  elseif err or socket:pending() == 0 then
    return nil, err, errno
  end
  local is_there, why, code = socket:fill(2, timeout) -- the line end may come in two pieces, of which lua-http's makes 400
  if not is_there and why then
    return nil, why, code
  end
  local next_bytes = is_there and socket:xread(2, "b", 0)
  if next_bytes then
    socket:unget(next_bytes)
  end
  if next_bytes ~= "\r\n" then
    return unclear(connection, ce.EILSEQ)
  end
end

local function prepare(connection)
  if connection.socket and connection.read_body_chunk ~= read_body_chunk then
    connection.read_body_chunk, connection.read_header = read_body_chunk, read_header
    connection:setmaxline(MAX_LINE)
  end
end

-- False where two servers could disagree about the end of the request (request smuggling).
local function is_clear(headers)
  local lengths = headers:get_as_sequence("content-length")
  for number = 1, lengths.n do
    if not lengths[number]:find("^%d+$") or #lengths[number] > 15 or lengths[number] ~= lengths[1] then
      return false
    end
  end
  local encoding = headers:get_comma_separated("transfer-encoding")
  return encoding == nil or encoding:lower() == "chunked"
end

---The target of a request, without the scheme and host that clients write to a proxy.
---@param headers table of lua-http
---@return string
function M.target(headers)
  return ((headers:get(":path") or ""):gsub("^[Hh][Tt][Tt][Pp][Ss]?://[^/?#]*", ""))
end

---Closes the connection at once.
---@param stream table of lua-http
function M.drop(stream)
  local socket = stream.connection:take_socket()
  if socket then
    socket:close()
  end
end

---Closes the connection so that the answer arrives although the request was not read to its end: shuts down our direction, then reads and drops
---what still comes.
---@param stream table of lua-http
---@param seconds? number to read at most; default 1
function M.close(stream, seconds)
  local socket = stream.connection:take_socket()
  if not socket then
    return
  end
  local deadline = cqueues.monotime() + (seconds or LINGER_SECONDS)
  local function left()
    return math.max(0, deadline - cqueues.monotime())
  end
  socket:onerror(function(_, _, code) return code end) -- a peer that is already gone is no error
  socket:clearerr("r")
  socket:flush("n", left())
  socket:shutdown("w")
  repeat
    local bytes = socket:xread(-65536, nil, left())
  until not bytes or left() == 0
  socket:close()
end

local function refuse(stream)
  local connection = stream.connection
  if connection.socket and connection.pipeline:peek() == stream then
    connection.socket:xwrite(BAD_REQUEST, "n", LINGER_SECONDS)
  end
  M.close(stream)
end

---True while bytes of the request are still to come. Only this tells that a body ended early.
---@param stream table of lua-http
---@return boolean
function M.is_unread(stream)
  return stream.state == "open" or stream.state == "half closed (local)"
end

---Sends `100 Continue` to a peer that waits for it. HTTP/1.0 has no such answer.
---@param stream table of lua-http
---@param headers table of lua-http
---@param seconds number
function M.go_on(stream, headers, seconds)
  if (headers:get("expect") or ""):lower() == "100-continue" and stream.peer_version > 1 then
    stream:write_continue(seconds)
  end
end

---Sends an answer whose head states its length; to HEAD only the head.
---@param stream table of lua-http
---@param head table of lua-http
---@param body string
---@param seconds number
function M.answer(stream, head, body, seconds)
  local is_head = stream.req_method == "HEAD"
  return stream:write_headers(head, is_head, seconds) and (is_head or stream:write_chunk(body, true, seconds))
end

---Reads the head of a request and passes it to `handle`. Whatever goes wrong affects this connection only.
---@param stream table of lua-http
---@param limits { head: number, rest: number } seconds to read the head, and to drain an unread body
---@param handle fun(headers: table)
---@param note fun(problem: string) of an error in `handle`
function M.serve(stream, limits, handle, note)
  prepare(stream.connection)
  local is_read, headers, problem, errno = pcall(stream.get_headers, stream, limits.head)
  if not is_read or headers and not is_clear(headers) or problem and not IS_GONE[errno] then
    return refuse(stream)
  elseif not headers then
    return M.drop(stream)
  end
  local ok, why = xpcall(function() return handle(headers) end, debug.traceback)
  if not ok then
    note(tostring(why))
    M.drop(stream)
  elseif M.is_unread(stream) then
    M.close(stream, limits.rest)
  end
end

return M

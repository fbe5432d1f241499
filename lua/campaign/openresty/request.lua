-- SPDX-License-Identifier: MIT
-- Reading nginx requests and answering them, for the handlers.

local core = require "campaign.core"
local home = require "campaign.openresty.env"
local json = require "campaign.json"

local M = {}

local ngx = package.loaded.ngx

local MOST_HEADERS = 100
local PIECE = 65536
local READ_SECONDS = 60 -- without a byte of a body
local DRAIN_QUIET_SECONDS = 5 -- without a byte of the rest of a body that was refused
local LOOK_SECONDS, HEARTBEAT_SECONDS = 0.2, 15

-- For the rest of a body that was refused.
M.DRAIN_SECONDS = 30

---A dictionary of ngx.shared by its name. Raises when nginx.conf does not declare it, and outside of nginx.
---@param name string?
---@return table?
function M.shared(name)
  if not ngx then
    error("campaign.openresty works inside nginx alone (Debian: apt-get install libnginx-mod-http-lua); in plain Lua there are "
      .. "campaign.import and campaign.callback", 3)
  elseif name == nil then
    return nil
  end
  local found = ngx.shared[name]
  if not found then
    error(("nginx.conf declares no dictionary of that name: add `lua_shared_dict %s 1m;` to its http block"):format(tostring(name)), 3)
  end
  return found
end

---Headers by name in lower case; of one that came twice the first counts.
---@return table<string, string>
function M.headers()
  local headers = ngx.req.get_headers(MOST_HEADERS)
  for name, value in pairs(headers) do
    if type(value) == "table" then
      headers[name] = value[1]
    end
  end
  return headers
end

---What is wrong with the way a body comes; nil when it can be read.
---@param headers table<string, string>
---@return string?
function M.encoded(headers)
  local encoding = (headers["content-encoding"] or ""):lower()
  return encoding ~= "" and encoding ~= "identity" and "the body has a Content-Encoding: send it as it is" or nil
end

---Has the handler come to its end though its client goes away: with lua_check_client_abort nginx would stop it in the middle, and leave what it
---has begun on the disk. Without, nginx does so anyway.
function M.outlive_client()
  ngx.on_abort(function() end)
end

-- What a body comes through; nil where there is none or nginx must read it itself: in chunks, over HTTP/2, and for a subrequest; asking would
-- raise in the last two.
local function socket_of_body()
  return ngx.req.http_version() < 2 and not ngx.is_subrequest and ngx.req.socket() or nil
end

-- Reads what is left of a body, behind the answer, and throws it away: it must not be taken for the next request, and a connection that is closed
-- before it was read would take the answer along. Not for ever: false when it did not come.
local function drain(socket, left)
  local deadline = core.system.monotonic() + M.DRAIN_SECONDS
  while left > 0 do
    home.pause() -- what comes fast does not hold the worker
    local seconds = math.min(DRAIN_QUIET_SECONDS, deadline - core.system.monotonic())
    if seconds <= 0 then
      return false
    end
    socket:settimeout(math.max(1, seconds * 1000))
    local piece = socket:receiveany(math.min(left, PIECE)) -- not `receive`: it waits for the whole piece, for as long as drops come
    if not piece then
      return false
    end
    left = left - #piece
  end
  return true
end

-- Has nginx throw away a body that nobody read. Who waits to be told before it sends the body must not be told: then it is us who read what comes.
local function discard_body()
  if not ngx.var.http_expect or ngx.req.http_version() >= 2 then -- over HTTP/2 nginx tells nobody
    ngx.req.discard_body()
    return nil
  end
  ngx.req.clear_header("Expect")
  return function()
    local socket = socket_of_body()
    return not socket or drain(socket, tonumber(ngx.var.http_content_length) or 0)
  end
end

-- Answers, and deals with what was not read: true, or the function that `pieces` gave.
local function finish(unread, write)
  if unread == true then
    unread = discard_body()
  end
  write()
  if unread then
    ngx.eof()
    if not unread() then
      ngx.exit(ngx.HTTP_CLOSE)
    end
  end
end

---The body: at most limit + 1 bytes of it. Where nginx put it into a file, it is read from there.
---@param limit integer
---@return string?
function M.body(limit)
  ngx.req.read_body()
  local body = ngx.req.get_body_data()
  if body then
    return #body > limit and body:sub(1, limit + 1) or body
  end
  local path = ngx.req.get_body_file()
  if not path then
    return ""
  end
  local file = io.open(path, "rb")
  body = file and file:read(limit + 1)
  if file then
    file:close()
  end
  return body
end

---The body piece by piece, without having it in memory: from the socket as it comes, or, where nginx must read it itself (chunked, HTTP/2,
---subrequests), from the file that nginx made.
---@return fun(): string?, string? next nil at the end; nil and why when it broke off
---@return fun(): boolean unread reads the rest, behind an answer: for `json`
function M.pieces()
  local socket = socket_of_body()
  if socket then
    local left, is_broken = tonumber(ngx.var.http_content_length) or 0, false
    socket:settimeout(READ_SECONDS * 1000)
    return function()
      if left <= 0 then
        return nil
      end
      local piece, why = socket:receive(math.min(left, PIECE))
      left, is_broken = left - #(piece or ""), not piece
      return piece, not piece and (why or "closed") or nil
    end, function()
      return left <= 0 or not is_broken and drain(socket, left)
    end
  end
  ngx.req.read_body()
  local body, path = ngx.req.get_body_data(), ngx.req.get_body_file()
  local file = not body and path and io.open(path, "rb")
  return function()
    local piece = body
    if file then
      piece = file:read(PIECE)
      if not piece then
        file:close()
        file = nil
      end
    end
    body = nil
    return piece
  end, function()
    if file then
      file:close()
    end
    return true
  end
end

---Sends a file in pieces, or its head alone: as much as there is of it now, though it may be written still, and not one byte beyond the length
---that was told, since that would be taken for the next answer.
---@param path string
---@param name string under which a browser keeps it
---@return boolean found
function M.send_file(path, name)
  local file = io.open(path, "rb")
  if not file then
    return false
  end
  local left = file:seek("end")
  ngx.header["Content-Type"] = "text/csv; charset=utf-8"
  ngx.header["Content-Disposition"] = 'attachment; filename="' .. name .. '"'
  ngx.header["Cache-Control"] = "no-store"
  ngx.header["Content-Length"] = left
  file:seek("set", 0)
  local is_whole = true
  while left > 0 and is_whole and ngx.req.get_method() ~= "HEAD" do
    local piece = file:read(math.min(left, PIECE))
    is_whole = piece and ngx.print(piece) and ngx.flush(true)
    left = left - #(piece or "")
  end
  file:close()
  if not is_whole then
    ngx.exit(ngx.ERROR) -- it was cut meanwhile, or the client is gone: the connection ends
  end
  return true
end

---Server-sent events: calls `look()` until it gives nil or the client is gone; a text that differs from the last one is sent. Each has an id: a
---client that comes again is not sent what it has, and is told by 204 to come no more when that was the last one.
---@param look fun(): string?, boolean? is_last
function M.events(look)
  local last_id = ngx.var.http_last_event_id
  local first, is_over = look()
  if first and is_over and last_id == core.digest.crc32c(first) then
    ngx.status = 204
    return
  end
  ngx.header["Content-Type"] = "text/event-stream"
  ngx.header["Cache-Control"] = "no-store"
  ngx.header["X-Accel-Buffering"] = "no"
  local last, quiet = nil, 0
  while true do
    local text, is_last = look()
    local id, out = text and text ~= last and core.digest.crc32c(text), nil
    if id and id ~= last_id then
      out, last, last_id, quiet = "id: " .. id .. "\ndata: " .. text .. "\n\n", text, id, 0
    elseif quiet >= HEARTBEAT_SECONDS then
      out, quiet = ": still here\n\n", 0
    end
    if out and not (ngx.print(out) and ngx.flush(true)) or not text or is_last or ngx.worker.exiting() then
      return
    end
    ngx.sleep(LOOK_SECONDS)
    quiet = quiet + LOOK_SECONDS
  end
end

---Writes into nginx's error log; errors hold no secrets and no personal data.
---@param what string
---@param err any
---@param level integer? of ngx.log, default ngx.ERR
function M.log(what, err, level)
  ngx.log(level or ngx.ERR, "campaign: ", what, ": ", tostring(err))
end

local function tell(_, what, text)
  M.log(what, text)
end

---The same outside of the request, beside whose errors nginx would write its line: the path may be a secret.
---@param what string
---@param err any
function M.log_apart(what, err)
  ngx.timer.at(0, tell, what, tostring(err))
end

---@return string
function M.method()
  return ngx.req.get_method()
end

---Path and query as they were sent.
---@return string
function M.target()
  return ngx.var.request_uri
end

---Status and headers of an answer. Connections are nginx's own affair.
---@param status integer
---@param headers string[][]
---@param length integer of the body
function M.head(status, headers, length)
  ngx.status = status
  for _, header in ipairs(headers) do
    if header[1]:lower() ~= "connection" then
      ngx.header[header[1]] = header[2]
    end
  end
  ngx.header["Content-Length"] = length
end

---Answers. What was not read of the request is read and thrown away, so that it is never taken for the next one.
---@param status integer
---@param headers string[][]
---@param body string
---@param unread boolean|fun(): boolean? the request's body was not read, or not to its end: what `pieces` gave
function M.answer(status, headers, body, unread)
  finish(unread, function()
    M.head(status, headers, #body)
    ngx.print(body)
  end)
end

---Answers with JSON.
---@param status integer
---@param value table
---@param unread boolean|fun(): boolean? the request's body was not read, or not to its end: what `pieces` gave
function M.json(status, value, unread)
  local text = json.encode(value) or "{}"
  finish(unread, function()
    ngx.status = status
    ngx.header["Content-Type"] = "application/json"
    ngx.header["Cache-Control"] = "no-store"
    ngx.header["Content-Length"] = #text + 1
    ngx.print(text, "\n")
  end)
end

---Answers 405 for all methods but those named; true when it did.
---@param ... string
---@return boolean
function M.refuse_method(...)
  local method = ngx.req.get_method()
  for i = 1, select("#", ...) do
    if method == select(i, ...) then
      return false
    end
  end
  ngx.header["Allow"] = table.concat({ ... }, ", ")
  M.json(405, { error = table.concat({ ... }, " or ") .. " only" }, true)
  return true
end

return M

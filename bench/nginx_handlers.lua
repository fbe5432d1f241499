-- SPDX-License-Identifier: MIT
-- The two locations that bench/nginx_load.lua compares: one call by campaign's transport, and one by the least HTTP client that a cosocket
-- allows: a kept connection, one request, a status line, headers, a body of known length. It has no limits, no guard and no evidence.

local M = {}

local transport, session

function M.campaign(url, ca_file, is_anew)
  transport = transport or require("campaign.transport").new()
  local result, err = transport:perform({ url = url, account = "bench", max_connection_age = is_anew and 0 or 60, ca_file = ca_file })
  if not result or result.status ~= 200 then
    ngx.log(ngx.ERR, tostring(err or result.error or result.status))
    return ngx.exit(502)
  end
  ngx.print(result.body)
end

-- With `is_anew` a connection for each call, whose TLS session is that of an earlier one, as the transport's is. That works with TLS 1.2: the tickets
-- of 1.3 come after the handshake, and a cosocket takes the session at its end.
function M.cosocket(port, path, is_tls, is_anew)
  local socket = ngx.socket.tcp()
  socket:settimeouts(10000, 60000, 60000)
  assert(socket:connect("127.0.0.1", port))
  if is_tls and socket:getreusedtimes() == 0 then
    session = assert(socket:sslhandshake(is_anew and session or nil, "localhost", true))
  end
  assert(socket:send("GET " .. path .. " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"))
  local status, length = assert(socket:receive("*l")):match("^HTTP/1%.1 (%d+)"), 0
  repeat
    local line = assert(socket:receive("*l"))
    length = tonumber(line:match("^[Cc]ontent%-[Ll]ength: (%d+)")) or length
  until line == ""
  local body = assert(socket:receive(length))
  assert(status == "200")
  if is_anew then
    socket:close()
  else
    socket:setkeepalive(60000, 1024)
  end
  ngx.print(body)
end

return M

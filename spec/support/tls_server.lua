-- SPDX-License-Identifier: MIT
-- nginx with good and bad certificates, made anew for each run: for specs that show whom the engine does not talk to.

local command = require "support.command"
local raw_server = require "support.raw_server"

local M = {}

local methods = {}
local mt = { __index = methods }

local CERTIFICATES = [[
set -e
cd "$1"
key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key" 2>/dev/null; }
authority() {
  key "$1"
  openssl req -x509 -new -key "$1.key" -subj "/CN=$1" -days 2 -out "$1.pem" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
}
leaf() { # name, authority, subject alternative names, how long it is valid
  key "$1"
  printf 'subjectAltName=%s\n' "$3" > "$1.ext"
  openssl req -new -key "$1.key" -subj "/CN=$1" -out "$1.csr"
  openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -CAcreateserial $4 -extfile "$1.ext" -out "$1.pem"
}
authority ca
authority other-ca
leaf good ca "DNS:localhost,IP:127.0.0.1" "-days 2"
leaf other-host ca "DNS:other.example" "-days 2"
leaf expired ca "DNS:localhost,IP:127.0.0.1" "-days -1" ||
  leaf expired ca "DNS:localhost,IP:127.0.0.1" "-not_before 20200101000000Z -not_after 20200102000000Z" # OpenSSL 3.4 and later
leaf foreign other-ca "DNS:localhost,IP:127.0.0.1" "-days 2"
key self
openssl req -x509 -new -key self.key -subj "/CN=self" -days 2 -out self.pem -addext "subjectAltName=DNS:localhost,IP:127.0.0.1"
]]

-- name → certificate, protocols
local SITES = {
  good = { "good", "TLSv1.2 TLSv1.3" },
  tls12 = { "good", "TLSv1.2" },
  ["other-host"] = { "other-host", "TLSv1.2 TLSv1.3" },
  expired = { "expired", "TLSv1.2 TLSv1.3" },
  foreign = { "foreign", "TLSv1.2 TLSv1.3" },
  self = { "self", "TLSv1.2 TLSv1.3" },
  tls11 = { "good", "TLSv1.1" },
  tls10 = { "good", "TLSv1" },
}

-- Ports that were free a moment ago.
local function free_ports(count)
  local ports, servers = {}, {}
  while #ports < count do
    local server = raw_server.start()
    servers[#servers + 1] = server
    for _, port in ipairs({ server.port, server.witness, server.refuser }) do
      ports[#ports + 1] = port
    end
  end
  for _, server in ipairs(servers) do
    server:stop()
  end
  return ports
end

function M.start()
  local folder = command.folder()
  local self = setmetatable({ folder = folder, ca_file = folder .. "/ca.pem", urls = {} }, mt)
  command.write(folder .. "/certificates.sh", CERTIFICATES)
  local quoted = command.quote(folder)
  os.execute("env -u LD_PRELOAD sh " .. quoted .. "/certificates.sh " .. quoted .. " >" .. quoted .. "/openssl.log 2>&1")
  local names = {}
  for name in pairs(SITES) do
    names[#names + 1] = name
  end
  local ports = free_ports(#names)
  local servers = {}
  for index, name in ipairs(names) do
    local certificate, protocols = SITES[name][1], SITES[name][2]
    servers[#servers + 1] = string.format([[
  server {
    listen 127.0.0.1:%s ssl;
    ssl_certificate %s/%s.pem; ssl_certificate_key %s/%s.key; ssl_protocols %s; ssl_ciphers ALL:@SECLEVEL=0;
    location / { return 200 "ok"; }
  }]], ports[index], folder, certificate, folder, certificate, protocols)
    self.urls[name] = "https://127.0.0.1:" .. ports[index] .. "/"
  end
  command.write(folder .. "/nginx.conf", string.format([[
daemon on; worker_processes 1; pid %s/nginx.pid; error_log %s/error.log;
events { worker_connections 64; }
http {
  access_log %s/access.log; client_body_temp_path %s; proxy_temp_path %s; fastcgi_temp_path %s; uwsgi_temp_path %s;
  scgi_temp_path %s;
%s
}
]], folder, folder, folder, folder, folder, folder, folder, folder, table.concat(servers, "\n")))
  os.execute(string.format("env -u LD_PRELOAD nginx -p %s -e %s/error.log -c %s/nginx.conf", quoted, quoted, quoted))
  raw_server.eventually(function()
    local file = io.open(folder .. "/nginx.pid")
    local pid = file and file:read("*n")
    if file then
      file:close()
    end
    self.pid = pid
    return pid
  end, "nginx with certificates")
  return self
end

---A TLS server that never answers and can be killed in the middle: its URL, and the function that kills it.
function methods:mortal()
  local port = free_ports(1)[1]
  -- The pipe keeps its stdin open: it would end with it.
  local pipe = io.popen(string.format("cd %s && echo $$ >mortal.pid && exec env -u LD_PRELOAD openssl s_server -accept 127.0.0.1:%s "
    .. "-cert good.pem -key good.key -quiet >mortal.out 2>&1", command.quote(self.folder), port), "w")
  raw_server.eventually(function()
    return command.read("/proc/net/tcp"):find(string.format(":%04X 00000000:0000 0A", port), 1, true) -- 0A: it listens
  end, "openssl s_server")
  function self.kill_mortal() -- also by `stop`: Lua would wait for the pipe's process when it ends
    self.kill_mortal = nil
    os.execute("kill -KILL " .. command.read(self.folder .. "/mortal.pid"))
    pipe:close()
  end
  return "https://127.0.0.1:" .. port .. "/", self.kill_mortal
end

---How many requests came through a handshake. nginx writes them down after it has answered.
---@param last string in the last request's address: it is waited for
function methods:requests(last)
  local count
  raw_server.eventually(function()
    local found
    count = 0
    for line in io.lines(self.folder .. "/access.log") do
      count, found = count + 1, found or line:find(last, 1, true)
    end
    return found
  end)
  return count
end

function methods:stop()
  if self.kill_mortal then
    self.kill_mortal()
  end
  os.execute("kill -QUIT " .. string.format("%d", self.pid))
  raw_server.eventually(function()
    local file = io.open(self.folder .. "/nginx.pid")
    if file then
      file:close()
    end
    return not file
  end, "nginx to end")
  command.remove(self.folder)
end

return M

-- SPDX-License-Identifier: MIT
-- Starts and stops the nginx of bench/sink.conf on a free loopback port, and asks it what it has
-- read.

local shell = require "shell"

local M = {}
local methods = {}
local mt = { __index = methods }

local function modules_folder(nginx)
  local built = shell.capture(shell.quote(nginx) .. " -V 2>&1")
  local folder = built:match("%-%-modules%-path=(%S+)") or "/usr/lib/nginx/modules"
  if not shell.exists(folder .. "/ngx_http_lua_module.so") then
    return nil
  end
  return folder
end

local function stat_of(port)
  local command = "curl -s --noproxy '*' --max-time 5 http://127.0.0.1:%d/stat"
  local text = shell.capture(command:format(port))
  local mark, requests, bytes = text:match("^(%S+) (%d+) (%d+)$")
  return mark, tonumber(requests), tonumber(bytes)
end

---@param options { folder: string, keep?: boolean } keep: bodies stay as files, for the check
---@return table? sink
---@return string? reason
function M.start(options)
  local nginx = shell.which("nginx")
  local modules = nginx and modules_folder(nginx)
  if not modules then
    return nil, "nginx with its Lua module was not found (nginx, libnginx-mod-http-lua)"
  end
  if not shell.which("curl") then
    return nil, "curl was not found (package curl)"
  end
  local given = shell.quote(options.folder)
  local folder = shell.capture(("rm -rf %s && mkdir -p %s && cd %s && pwd -P"):format(given, given, given))
  local servers = os.getenv("BENCH_SERVERS")
  if servers then
    local list = assert(io.open(servers, "ab"))
    list:write(folder, "/nginx.pid\n")
    list:close()
  end
  local template = assert(shell.read("bench/sink.conf"))
  -- os.time alone would give two benches that start together the same ports.
  local seed = tonumber(shell.capture("od -An -N4 -tu4 /dev/urandom")) or os.time()
  for try = 1, 20 do
    local port = 20000 + (seed + try * 7919) % 12000
    local mark = ("bench-%d-%d"):format(seed, try)
    local values = {
      USER = shell.capture("id -u") == "0" and "user root;" or "",
      MODULES = modules, DIR = folder, PORT = port, MARK = mark,
      KEEP = options.keep and "on" or "off",
    }
    shell.write(folder .. "/nginx.conf", (template:gsub("@(%u+)@", values)))
    -- nginx binds before it leaves the foreground, so its exit status tells whether the port was free.
    local command = ("%s -e %s -c %s 2>%s"):format(shell.quote(nginx),
      shell.quote(folder .. "/start.log"), shell.quote(folder .. "/nginx.conf"),
      shell.quote(folder .. "/start.txt"))
    if shell.run(command) then
      local sink = setmetatable({ folder = folder, mark = mark, nginx = nginx, port = port,
        url = "http://127.0.0.1:" .. port }, mt)
      if stat_of(port) == mark then
        return sink
      end
      sink:stop()
    else
      local said = shell.read(folder .. "/start.txt") or ""
      -- 98: the address is in use. Anything else no other port will cure.
      if not said:find("98:", 1, true) then
        return nil, "nginx did not start: " .. (said:match("[^\n]+") or "it says nothing")
      end
    end
  end
  return nil, "no free loopback port was found"
end

---Requests and bytes of bodies read since the start.
function methods:stat()
  local mark, requests, bytes = stat_of(self.port)
  assert(mark == self.mark, "the sink does not answer; see " .. self.folder .. "/error.log")
  return requests, bytes
end

function methods:stop()
  shell.run(("%s -e %s -c %s -s stop 2>/dev/null"):format(shell.quote(self.nginx),
    shell.quote(self.folder .. "/start.log"), shell.quote(self.folder .. "/nginx.conf")))
end

return M

-- SPDX-License-Identifier: MIT
-- A real nginx for specs: its own folder, a free loopback port, no root needed (works as root too). Stopped by the spec; if the spec's
-- process dies, the kernel ends nginx (setpriv --pdeathsig).

local command = require "support.command"
local core = require "campaign.core"
local curl = require "campaign.transport.curl"
local lfs = require "lfs"
local raw_server = require "support.raw_server"
local socket = require "socket"

local M = {}

local methods = {}
local mt = { __index = methods }

local CONF = [[
load_module /usr/lib/nginx/modules/ndk_http_module.so;
load_module /usr/lib/nginx/modules/ngx_http_lua_module.so;
%(user)
daemon off;
worker_processes %(workers);
pid %(folder)/nginx.pid;
error_log %(folder)/error.log notice;
env CAMPAIGN_STATE_DIR;
%(main)
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path %(folder)/temp; proxy_temp_path %(folder)/temp; fastcgi_temp_path %(folder)/temp;
  uwsgi_temp_path %(folder)/temp; scgi_temp_path %(folder)/temp;
  lua_package_path "%(root)/lua/?.lua;%(root)/lua/?/init.lua;%(root)/spec/?.lua;;";
  lua_package_cpath "%(build)/luajit/?.so;;";
  %(http)
  server {
    listen 127.0.0.1:%(port) backlog=4096;
    %(server)
  }
}
]]

local function free_port()
  local listener = assert(socket.bind("127.0.0.1", 0))
  local _, port = listener:getsockname()
  listener:close()
  return tonumber(port)
end

M.free_port = free_port

local function absolute(path)
  return path:sub(1, 1) == "/" and path or lfs.currentdir() .. "/" .. path
end

---Writes the configuration; `methods.start` runs it. `%(name)` in main, http and server is replaced by what `values` has under that name.
---@param options { main?: string, http?: string, server?: string, workers?: integer, values?: table, env?: table }
function M.new(options)
  local folder = command.folder()
  assert(lfs.mkdir(folder .. "/temp"))
  local self = setmetatable({ folder = folder, port = free_port(), log = folder .. "/error.log" }, mt)
  self.env = { CAMPAIGN_STATE_DIR = folder .. "/state" }
  for name, value in pairs(options.env or {}) do
    self.env[name] = value
  end
  self.url = "http://127.0.0.1:" .. self.port
  local values = {
    folder = folder, port = self.port, root = command.ROOT, build = absolute(os.getenv("CAMPAIGN_BUILD") or "build"),
    user = core.system.stat(folder).user == 0 and "user root;" or "", workers = options.workers or 1,
    main = options.main or "", http = options.http or "", server = options.server or "",
  }
  for name, value in pairs(options.values or {}) do
    values[name] = value
  end
  local text = CONF
  for _ = 1, 2 do -- what was put in may itself name values
    text = text:gsub("%%%((%w+)%)", function(name) return tostring(assert(values[name], name)) end)
  end
  command.write(folder .. "/nginx.conf", text)
  return self
end

function methods:start()
  self.process = assert(core.system.spawn{
    "setpriv", "--pdeathsig", "TERM", "nginx", "-e", self.log, "-p", self.folder, "-c", self.folder .. "/nginx.conf",
    group = true, stdout = "/dev/null", stderr = self.folder .. "/stderr", env = self.env,
  })
  raw_server.eventually(function()
    assert(not self.process:wait(0), "nginx ended at once:\n" .. self:read_log())
    local file = io.open(self.folder .. "/nginx.pid")
    local text = file and file:read("*a") or ""
    if file then file:close() end
    return text:find("%d")
  end, "nginx")
  self.transport = self.transport or curl.new({ driver = "thread" })
  return self
end

---Starts one that must fail; what it said.
---@param env? table
function methods:start_in_vain(env)
  local process = assert(core.system.spawn{
    "setpriv", "--pdeathsig", "TERM", "nginx", "-e", self.log, "-p", self.folder, "-c", self.folder .. "/nginx.conf",
    stderr = self.folder .. "/stderr", env = env,
  })
  local ended = assert(process:wait(20))
  process:close()
  return ended.exit, self:read_log() .. command.read(self.folder .. "/stderr")
end

function methods:signal(name)
  assert(self.process:signal(name))
end

function methods:wait_gone(seconds)
  return self.process:wait(seconds or 20)
end

---@return table result of the engine
function methods:get(path, options)
  local request = { url = self.url .. path, account = "spec", max_connection_age = 0 }
  for key, value in pairs(options or {}) do
    request[key] = value
  end
  return assert(self.transport:perform(request))
end

function methods:read_log()
  local file = io.open(self.log)
  local text = file and file:read("*a") or ""
  if file then file:close() end
  return text
end

---Lines of the log that no healthy run has: crashes, alerts, errors.
function methods:troubles()
  local found = {}
  for line in self:read_log():gsub("[^\n]*lua_code_cache is off[^\n]*", ""):gmatch("[^\n]+") do -- nginx calls that an alert
    if line:find("signal 11", 1, true) or line:find("exited on signal", 1, true) or line:find("[alert]", 1, true)
      or line:find("[crit]", 1, true) or line:find("[emerg]", 1, true) or line:find("[error]", 1, true) then
      found[#found + 1] = line
    end
  end
  return table.concat(found, "\n")
end

---Stops nginx and removes its folder; fails when the log tells of trouble, unless `look_away`.
function methods:stop(look_away)
  local troubles = ""
  if self.process then
    self.process:signal("QUIT")
    local ended = self.process:wait(20)
    self.process:close()
    troubles = self:troubles() .. (ended and "" or "\nnginx did not end after QUIT")
  end
  if self.transport then
    self.transport:close()
  end
  command.remove(self.folder)
  assert(look_away or troubles == "", troubles)
end

return M

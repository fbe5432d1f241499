-- SPDX-License-Identifier: MIT
-- Starts spec/support/commit_server.c, the recorder that shares nothing with the sandbox, gives it orders and reads what it wrote down.

local command = require "support.command"
local raw_server = require "support.raw_server"
local socket = require "socket"

local M = {}

local methods = {}
local mt = { __index = methods }

local function read_all(path)
  local file = io.open(path, "rb")
  local text = file and file:read("*a") or ""
  if file then
    file:close()
  end
  return text
end

---@return table server `url`, `port`; `base`, a URL that counts until the next reset only; `order`, `read`, `stop`
function M.start()
  local folder = command.folder()
  local self = setmetatable({ folder = folder, log = folder .. "/log", epoch = 0 }, mt)
  local program = (os.getenv("CAMPAIGN_BUILD") or "build") .. "/spec/commit_server"
  self.pipe = assert(io.popen("exec " .. command.quote(program) .. " " .. command.quote(self.log), "w"))
  local line = raw_server.eventually(function()
    return read_all(self.log):match("^P %d+ %d+\n")
  end, "the recorder's ports")
  self.port, self.control = line:match("^P (%d+) (%d+)")
  self.url = "http://127.0.0.1:" .. self.port
  return self
end

---Gives orders, one a line. When it returns they hold.
---@param text string
function methods:order(text)
  local peer = assert(socket.connect("127.0.0.1", tonumber(self.control)))
  peer:settimeout(10)
  assert(peer:send(("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s"):format(#text, text)))
  local status = assert(peer:receive("*l"))
  peer:close()
  assert(status:find(" 200 "), "the recorder did not understand: " .. text)
  if text:find("^reset") then
    self.epoch = self.epoch + 1
    self.base = self.url .. "/e" .. self.epoch
  end
end

-- "1-3,7" → calls each(number).
local function each_row(text, each)
  for from, to in text:gmatch("(%d+)%-?(%d*)") do
    for row = tonumber(from), tonumber(to) or tonumber(from) do
      each(row)
    end
  end
end

---What was written down since the last reset.
---@return table log `times` (row → how often committed), `commits`, `faults`, `requests` (lists), `struck` (requests on their way, summed over
---the faults), `spent` (refresh tokens presented twice)
function methods:read()
  local log = { times = {}, commits = {}, faults = {}, requests = {}, answered = {}, struck = 0, spent = 0, rows = 0 }
  for line in read_all(self.log):gmatch("[^\n]+") do
    local kind, id, op, rest = line:match("^(%u) (%d+) (%S+) ?(.*)$")
    id = tonumber(id)
    if kind == "C" then
      log.commits[#log.commits + 1] = { id = id, op = op, rows = rest }
      each_row(rest, function(row)
        log.times[row] = (log.times[row] or 0) + 1
        log.rows = log.rows + 1
      end)
    elseif kind == "Q" then
      local connection, nth = rest:match("^(%d+) (%d+)$")
      log.requests[#log.requests + 1] = { id = id, op = op, connection = tonumber(connection), nth = tonumber(nth) }
    elseif kind == "X" then
      local what, on_their_way = rest:match("^(%S+) (%d+)$")
      log.faults[#log.faults + 1] = { id = id, op = op, kind = what }
      log.struck = log.struck + tonumber(on_their_way)
    elseif kind == "A" then
      log.answered[id] = true
    elseif kind == "D" then
      log.spent = log.spent + 1
    end
  end
  return log
end

function methods:stop()
  if self.pipe then
    self.pipe:close()
    self.pipe = nil
    command.remove(self.folder)
  end
end

return M

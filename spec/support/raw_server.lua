-- SPDX-License-Identifier: MIT
-- Starts spec/support/raw_server.c, the server that misbehaves on order, and reads its log: the witness of what was really received.

local command = require "support.command"
local core = require "campaign.core"

local M = {}

local methods = {}
local mt = { __index = methods }

local function read_lines(path)
  local lines = {}
  local file = io.open(path, "rb")
  if file then
    for line in file:lines() do
      lines[#lines + 1] = line
    end
    file:close()
  end
  return lines
end

---Waits until `check` gives something; fails after half a minute (a hundred seconds under valgrind): a machine may be busy.
function M.eventually(check, what)
  local limit = core.system.monotonic() + (os.getenv("CAMPAIGN_TEST_TOOL") == "valgrind" and 100 or 30)
  while true do
    local value = check()
    if value then
      return value
    end
    if core.system.monotonic() > limit then
      error("waited in vain for " .. (what or "an event"), 2)
    end
    core.system.sleep(0.002)
  end
end

---@param gzip? string path of a gzip file that /bomb sends
function M.start(gzip)
  local folder = command.folder()
  local self = setmetatable({ folder = folder, log = folder .. "/log" }, mt)
  local program = (os.getenv("CAMPAIGN_BUILD") or "build") .. "/spec/raw_server"
  self.pipe = io.popen("exec " .. command.quote(program) .. " " .. command.quote(self.log) .. " "
    .. (gzip and command.quote(gzip) or ""), "w")
  local ports = M.eventually(function()
    local first = read_lines(self.log)[1]
    return first and first:match("^P %d+ %d+ %d+$")
  end, "the server's ports")
  self.port, self.witness, self.refuser = ports:match("^P (%d+) (%d+) (%d+)$")
  self.url = "http://127.0.0.1:" .. self.port
  return self
end

---Requests that were read whole, in order: { connection, nth, method, path, bytes, token }.
---@param path? string only those of this path
function methods:commits(path)
  local commits = {}
  for _, line in ipairs(read_lines(self.log)) do
    local connection, nth, method, target, bytes, token = line:match("^R (%d+) (%d+) (%S+) (%S+) (%d+) (.*)$")
    if connection and (path == nil or target == path) then
      commits[#commits + 1] = { connection = tonumber(connection), nth = tonumber(nth), method = method, path = target,
        bytes = tonumber(bytes), token = token }
    end
  end
  return commits
end

---Bytes the second listener received, by connection; and how many connections it saw.
function methods:witnessed()
  local sum, count = 0, 0
  for _, line in ipairs(read_lines(self.log)) do
    local bytes = line:match("^W %d+ (%d+)$")
    if bytes then
      sum, count = sum + tonumber(bytes), count + 1
    end
  end
  return sum, count
end

function methods:stop()
  if self.pipe then
    self.pipe:close()
    self.pipe = nil
    command.remove(self.folder)
  end
end

return M

-- SPDX-License-Identifier: MIT
-- Ends and faults at numbered points of the reference import: starts its server of forks under the shim, runs one point, lets it be gone on with
-- without a hand, and has the oracle judge. What points there are is counted, not guessed.

local command = require "support.command"
local commit_server = require "support.commit_server"
local core = require "campaign.core"
local imports = require "support.imports"
local lists = require "support.lists"
local oracle = require "faults.oracle"

local M = {}

local methods = {}
local mt = { __index = methods }

local A_ROWS, B_ROWS, B_FIRST = 600, 100, 1000

-- Rows of one call of the first list, which leaves in many small ones, so that groups of calls form and take the short way.
local PER_CALL = 25

-- What the recorder is told: among the good answers one in other words, one that leaves its rows in doubt, and one that asks to come later.
local ORDERS = "reset\nfault N 2 drop expire\n"
  .. 'fault L 7 commit json {"code":200,"status":"success","message":"taken","data":{"unique_id":"v-$I"}}\n'
  .. "fault L 12 commit status 500\nfault L 17 drop status 429|Retry-After: 1"

---@param lua string? the interpreter
function M.start(lua)
  local build = os.getenv("CAMPAIGN_BUILD") or "build"
  local self = setmetatable({ server = commit_server.start(), points = 0 }, mt)
  -- Memory, where there is a file system of it: ends of a process need no disk, and syncs cost nothing.
  local base = core.system.stat("/dev/shm") and "/dev/shm" or "/tmp"
  local pipe = io.popen("mktemp -d -p " .. base)
  self.root = pipe:read("*l")
  pipe:close()
  self.a, self.b = self.root .. "/a.csv", self.root .. "/b.csv"
  lists.write(self.a, imports.people(A_ROWS))
  local text = imports.people(B_ROWS, function(i)
    return ("c-%05d,客户%d,138%08d,\"第%d公司, 有限\",老客户"):format(i, i, B_FIRST + i, i)
  end)
  lists.write(self.b, text)
  self.errors = self.root .. "/stderr"
  os.execute("mkfifo " .. self.root .. "/answers")
  lua = lua or (rawget(_G, "jit") and "luajit" or "lua5.4")
  self.lua = lua
  self.orders = assert(io.popen(("exec env LUA_PATH=%s LUA_CPATH=%s LD_PRELOAD=%s %s spec/faults/reference.lua %s %s %s %d >%s/answers 2>>%s"):format(
    command.quote(package.path), command.quote(package.cpath),
    command.quote((build:sub(1, 1) == "/" and build or command.ROOT .. "/" .. build) .. "/spec/fault_shim.so"), lua, self.server.url, self.a,
    self.b, PER_CALL, self.root, self.errors), "w"))
  self.orders:setvbuf("no")
  self.answers = assert(io.open(self.root .. "/answers", "r"))
  return self
end

function methods:stop()
  self.orders:close()
  self.answers:close()
  self.server:stop()
  os.execute("rm -rf " .. command.quote(self.root))
end

-- One run of the reference import.
function methods:_run(point, folder)
  self.orders:write(("%s %s %s %s %d %s:%d\n"):format(point.at or "0", point.action or "none", point.calls or "both", folder,
    point.milliseconds or 0, folder, point.concurrency or 1))
  local line = assert(self.answers:read("*l"), "the reference import is gone")
  local how, number, count = line:match("^(%a+) (%d+) (%d+)$")
  if how == "signal" then
    -- The next process has a clock that does not wait: what the dead one sent must not still be on its way when it looks at the platform.
    self.server:order("settle")
  end
  return how, tonumber(number), tonumber(count)
end

local function tail(path)
  local file = io.open(path, "rb")
  local text = file and file:read("*a") or ""
  if file then
    file:close()
  end
  return #text > 600 and text:sub(-600) or text
end

---How many calls (or allocations) a run without faults makes.
---@param calls "file"|"net"|"both"|"malloc"
---@param resumed boolean? of a run that finds all done
function methods:count(calls, resumed)
  local folder = self.root .. "/count"
  os.execute("rm -rf " .. folder)
  self.server:order(ORDERS)
  local how, code, count = self:_run({ calls = calls }, folder)
  if resumed then
    how, code, count = self:_run({ calls = calls }, folder)
  end
  local error_text = tail(self.errors)
  os.execute("rm -rf " .. folder)
  assert(how == "exit" and code == 0, "the reference import fails by itself: " .. how .. " " .. code .. " " .. error_text)
  return count
end

-- The figures of both imports; `finished` when a run has come to its end.
local function judge(folder, log, finished)
  local sum = {}
  for _, part in ipairs({ { "a", 0, A_ROWS, "L" }, { "b", B_FIRST, B_ROWS, "U" } }) do
    local figures
    if core.system.stat(folder .. "/" .. part[1] .. "/ledger.db") then
      local ok, problem = pcall(oracle.judge, folder .. "/" .. part[1], part[2], part[3], log, { finished = finished })
      if not ok then
        return nil, tostring(problem)
      end
      figures = problem
      if finished and figures.pending > 0 and not (part[1] == "b" and figures.ambiguous > 0) then
        return nil, part[1] .. ": " .. figures.pending .. " rows are still pending"
      end
    elseif finished then
      return nil, part[1] .. " was not imported"
    else
      figures = { lost = 0, unreported_duplicates = 0, false_success = 0, ambiguous = 0, in_flight_at_fault = 0 }
    end
    oracle.add(sum, figures)
  end
  return sum
end

---Runs the import with faults (one after the other, each in the folder that the one before left), then once more without, and judges.
---@param points table[] at, action, calls, milliseconds, concurrency
---@param before (fun(folder: string): integer)? a run of another kind that comes first; gives the rows that may be in doubt after it
---@return string? fault
---@return table figures
function methods:point(points, before)
  self.points = self.points + 1
  local folder = self.root .. "/" .. self.points
  self.server:order(ORDERS)
  io.open(self.errors, "w"):close()
  local fault, hit
  local doubt = PER_CALL + (before and before(folder) or 0) -- with the answer that says nothing
  for _, point in ipairs(points) do
    local how, number, count = self:_run(point, folder)
    if how == "hang" then
      fault = "it hangs"
    elseif how == "signal" and number ~= 9 then
      fault = "it died of signal " .. number
    elseif how == "exit" and number == 70 and point.calls ~= "malloc" then
      fault = "it raised: " .. tail(self.errors)
    end
    hit = hit or how == "signal" or count >= (tonumber((tostring(point.at or 0):gsub("%+", ""))) or 0)
    -- At most one request a job was on its way, or as many as may be in flight; a fault that stays meets every batch.
    doubt = doubt + (tostring(point.at):find("+", 1, true) and A_ROWS or math.min(A_ROWS, PER_CALL * (point.concurrency or 1))) + B_ROWS
  end
  local how, number = self:_run({}, folder)
  if not fault and (how ~= "exit" or number ~= 0) then
    fault = ("going on failed: %s %d %s"):format(how, number, tail(self.errors))
  end
  local log = self.server:read()
  local figures, problem = judge(folder, log, true)
  if not figures then
    fault, figures = fault or problem .. ": " .. tail(self.errors), { lost = 0, unreported_duplicates = 0, false_success = 0, ambiguous = 0 }
  end
  figures.in_flight_at_fault = doubt
  local wrong = oracle.fault(figures)
  fault = fault or wrong and wrong .. ": " .. tail(self.errors) or log.spent > 0 and "a refresh token was presented twice" or nil
  os.execute("rm -rf " .. folder)
  return fault, figures, hit
end

-- One run in a process of its own, under strace; what it says goes to `out`.
function methods:_strace(options, folder, out)
  local line = "env SHIM_JOB=%s:8 LUA_PATH=%s LUA_CPATH=%s timeout 60 strace -f -o %s %s %s spec/faults/reference.lua %s %s %s %d >/dev/null 2>&1"
  os.execute(line:format(folder, command.quote(package.path), command.quote(package.cpath), out, options, self.lua, self.server.url, self.a,
    self.b, PER_CALL))
end

-- Names of system calls that end or hold the tracer's own work, or never come back: nothing can be injected there.
local NEVER = { exit = true, exit_group = true, execve = true, restart_syscall = true }

---The system calls of a run, from its start to its end, by name: how often the thread makes each that makes it most. strace counts by thread.
---@return table<string, integer> most
---@return integer all calls of all threads
function methods:syscalls()
  local folder, out = self.root .. "/count", self.root .. "/strace"
  self.server:order(ORDERS)
  self:_strace("", folder, out)
  local counts, most, all = {}, {}, 0
  for line in io.lines(out) do
    local thread, name = line:match("^(%d+) +([%l_][%w_]*)%(") -- linear: disjoint classes; a call that is resumed was counted when it began
    if name and not NEVER[name] then
      local key = thread .. name
      counts[key], all = (counts[key] or 0) + 1, all + 1
      most[name] = math.max(most[name] or 0, counts[key])
    end
  end
  os.execute("rm -rf " .. folder)
  return most, all
end

---Ends a run at a system call, or lets that call fail, then goes on and judges.
---@param name string
---@param at integer the n-th of its name in a thread
---@param failure string? the error, such as "EIO"; the end of the process without it
function methods:syscall(name, at, failure)
  return self:point({}, function(folder)
    self:_strace(("-e inject=%s:%s:when=%d"):format(name, failure and "error=" .. failure or "signal=KILL", at), folder, "/dev/null")
    return A_ROWS + B_ROWS
  end)
end

return M

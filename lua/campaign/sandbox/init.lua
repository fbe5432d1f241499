-- SPDX-License-Identifier: MIT
-- Starts a sandbox of the four platforms on loopback as a child process. Works on both Luas; the child is run by LuaJIT, which has the HTTP
-- server library. The child ends with this process, however that ends, because its standard input is closed then.

local core = require "campaign.core"
local error_object = require "campaign.error"
local merged = require "campaign.merged"
local json = require "campaign.sandbox.json"

local M = {}

-- Both Luas have it, though 5.1 has not.
local searchpath = package.searchpath -- luacheck: ignore 143

local WAIT = 10 -- seconds for the child to be ready

---@class campaign.sandbox.start
---@field port? integer default: a free one
---@field state? string folder that keeps state and commit log over restarts; default: a temporary one
---@field clock? string `yyyy-MM-dd HH:mm:ss` in Asia/Shanghai; default: now
---@field clock_rate? number seconds of the sandbox's clock per second; default 1
---@field faults? string[] `operation:kind@n`, `operation:kind%p`
---@field without? string[] rules switched off, by number
---@field forms? string[] second forms of the documents, see docs/sandbox.md
---@field seed? integer of the generator behind `%p`
---@field settings? table<string, any>
---@field accounts? table given credentials, platform → values; default: made up at each start
---@field first_id? string first id that hypers gives, as decimal text
---@field ready_file? string
---@field interpreter? string default `luajit`
---@field stderr? string file for the child's messages; default: ours

local methods = {}
local mt = { __index = methods, __name = "campaign.sandbox" }

-- Where LuaJIT finds what this interpreter has found: our Lua files, and the core built for LuaJIT.
local function child_paths()
  local here = assert(searchpath("campaign.sandbox", package.path))
  local lua_dir = here:match("^(.*)/campaign/sandbox/init%.lua$") or here:match("^(.*)/campaign/sandbox%.lua$")
  local lua_path = lua_dir .. "/?.lua;" .. lua_dir .. "/?/init.lua;;"
  if jit then -- luacheck: ignore 113
    return lua_path, package.cpath
  end
  local core_file = assert(searchpath("campaign.core", package.cpath))
  local c_dir = core_file:match("^(.*)/campaign/core%.so$")
  local candidates = {}
  for from, to in pairs{ ["lua5%.4$"] = "luajit", ["lua/5%.4$"] = "lua/5.1", ["5%.4$"] = "5.1" } do
    local candidate, count = c_dir:gsub(from, to)
    if count > 0 then
      candidates[#candidates + 1] = candidate .. "/?.so"
    end
  end
  candidates[#candidates + 1] = ";"
  return lua_path, table.concat(candidates, ";")
end

local CHILD_OPTIONS = {
  "port", "state", "clock", "clock_rate", "faults", "without", "forms", "seed", "settings", "accounts",
  "first_id", "ready_file", "quiet", "watch_stdin",
}

local function child_text(options)
  local fields = {}
  for _, name in ipairs(CHILD_OPTIONS) do
    local value = options[name]
    if name == "faults" or name == "without" or name == "forms" then
      value = value and json.array(value)
    end
    fields[name] = value
  end
  return json.encode(fields)
end

-- What a shell would make of a value.
local function unquoted(text)
  local inner = text:match("^'(.*)'$")
  return inner and inner:gsub("'\\''", "'") or text
end

-- The accounts, and what else the seed has, both by platform.
local function accounts_of(values)
  local accounts = { outbound = {}, tuzhan = {}, hypers = {}, longlong = {} }
  local seeds = { outbound = {}, tuzhan = {}, hypers = {}, longlong = {} }
  for key, value in pairs(values) do
    local rest = key:match("^CAMPAIGN_SANDBOX_(.+)$")
    local into = rest and seeds or accounts
    local platform, name = (rest or key:match("^CAMPAIGN_(.+)$") or ""):match("^([^_]+)_(.+)$") -- linear: disjoint classes
    if platform and into[platform:lower()] then
      into[platform:lower()][name:lower()] = value
    end
  end
  return accounts, seeds
end

-- Reads the child's KEY=value lines up to the last one, its process number.
local function read_values(process)
  local values = {}
  local deadline = core.system.monotonic() + WAIT
  repeat
    local line, err = process:read_line(math.max(0, deadline - core.system.monotonic()))
    if not line then
      local why = err and "was not ready within " .. WAIT .. " seconds" or "ended before it was ready"
      return nil, "the sandbox " .. why .. "; its messages are on standard error"
    end
    local key, value = line:match("^([%w_]+)=(.*)$") -- linear: a fixed character between
    if key then
      values[key] = unquoted(value)
    end
  until values.CAMPAIGN_SANDBOX_PID
  return values
end

---Starts a sandbox and waits until it takes requests.
---@param options? campaign.sandbox.start
---@return campaign.sandbox? handle
---@return campaign.error? err
function M.start(options)
  local given = merged(options, { quiet = false, watch_stdin = true })
  local lua_path, lua_cpath = child_paths()
  local process, err = core.system.spawn{
    given.interpreter or "luajit", "-e", "os.exit(require('campaign.sandbox').main(), true)",
    env = { LUA_PATH = lua_path, LUA_CPATH = lua_cpath, CAMPAIGN_SANDBOX_OPTIONS = child_text(given) },
    pipe = true, hold_stdin = true, group = true, stderr = given.stderr,
  }
  if not process then
    return nil, error_object.wrap(err, { hint = "the sandbox is run by " .. (given.interpreter or "luajit") })
  end
  local values, why = read_values(process)
  if not values then
    process:close()
    return nil, error_object.new{ kind = "usage", message = why }
  end
  local accounts, seeds = accounts_of(values)
  return setmetatable({
    base_url = values.CAMPAIGN_SANDBOX_URL, accounts = accounts, seeds = seeds, environment = values, process = process,
  }, mt)
end

-- One request on an engine of its own; an answer that is whole, or nil and the error.
local function perform(request)
  local engine, err = core.http.engine()
  if not engine then
    return nil, err
  end
  local id
  id, err = engine:submit(request)
  local result
  while id and not result do
    engine:wait(1)
    local _, taken = engine:take()
    result = taken
  end
  engine:close()
  if not result then
    return nil, err
  elseif result.error then
    return nil, result.error
  end
  return result
end

---Asks or changes the sandbox by a control path: GET without a body, POST with one.
---@param path string such as `clock` or `commits?after=10`
---@param body? table
---@return table? value
---@return campaign.error? err
function methods:control(path, body)
  local result, err = perform{
    method = body and "POST" or "GET", url = self.base_url .. "/_sandbox/" .. path,
    headers = { { "Content-Type", "application/json" } }, body = body and json.encode(body) or nil,
    limits = { connect = 5, stall = 30, total = 60, body = 67108864, headers = 65536 },
  }
  if not result then
    return nil, err
  end
  local value, why = json.decode(result.body or "")
  if not value or result.status ~= 200 then
    return nil, error_object.new{
      kind = "usage", status = result.status,
      message = "sandbox control " .. path .. ": " .. (why or tostring(value.msg)),
    }
  end
  return value
end

---Stops the child and waits for its end. Stopping twice is fine.
function methods:stop()
  if self.process then
    self.process:signal("TERM")
    self.process:wait(WAIT)
    self.process:close()
    self.process = nil
  end
end

---The child process: serves until its parent ends or a signal comes. Without options it takes them, as JSON, from
---CAMPAIGN_SANDBOX_OPTIONS.
---@param options? table
---@return integer exit_code
function M.main(options)
  if not options then
    local why
    options, why = json.decode(os.getenv("CAMPAIGN_SANDBOX_OPTIONS") or "{}")
    if not options then
      io.stderr:write("sandbox: options: ", why, "\n")
      return 2
    end
  end
  return require("campaign.sandbox.server").run(options)
end

return M

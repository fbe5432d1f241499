-- SPDX-License-Identifier: MIT
-- Runs bin/campaign as a child process on the Lua under test, and gives back exit code, stdout and stderr.

local lfs = require "lfs"

local M = {}

function M.quote(text)
  return "'" .. tostring(text):gsub("'", "'\\''") .. "'"
end

function M.read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

function M.write(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
  return path
end

---A new folder of one's own; remove it with `M.remove`.
function M.folder()
  local pipe = io.popen("mktemp -d")
  local path = pipe:read("*l")
  pipe:close()
  return path
end

function M.remove(folder)
  assert(folder and folder:find("^/tmp/"), "a folder of M.folder()")
  os.execute("rm -rf " .. M.quote(folder))
end

local ROOT = lfs.currentdir()
local LUA = rawget(_G, "jit") and "luajit" or "5.4"

---The environment of a child: nothing of the caller's accounts, the build under test.
local function environment(given)
  local parts = { "env -i", "PATH=" .. M.quote(os.getenv("PATH")), "HOME=/proc/nobody", "LANG=C.UTF-8", "CAMPAIGN_LUA=" .. LUA,
    "CAMPAIGN_BUILD=" .. M.quote(os.getenv("CAMPAIGN_BUILD") or ROOT .. "/build") }
  for name, value in pairs(given or {}) do
    parts[#parts + 1] = name .. "=" .. M.quote(value)
  end
  return table.concat(parts, " ")
end

---Runs any program with arguments.
---@param argv string[]
---@param options table? { stdin = text, env = { ... }, cd = folder, seconds = limit }
---@return { code: integer, out: string, err: string }
function M.run(argv, options)
  options = options or {}
  local folder = M.folder()
  local words = {}
  for index, word in ipairs(argv) do
    words[index] = M.quote(word)
  end
  local input = "/dev/null"
  if options.stdin then
    input = M.write(folder .. "/in", options.stdin)
  end
  local line = string.format("cd %s && %s timeout %d %s <%s >%s 2>%s; echo $? >%s", M.quote(options.cd or ROOT),
    environment(options.env), options.seconds or 60, table.concat(words, " "), input, folder .. "/out", folder .. "/err",
    folder .. "/code")
  os.execute(line)
  local result = {
    code = tonumber(M.read(folder .. "/code"):match("%d+")), out = M.read(folder .. "/out"), err = M.read(folder .. "/err"),
  }
  M.remove(folder)
  return result
end

---Runs a script of which calls fail, as the orders say (spec/preload/fault_shim.c), once it has opened /shim/arm.
---@param text string
---@param orders string
---@return { code: integer, out: string, err: string }
function M.under_shim(text, orders)
  local script = os.tmpname()
  M.write(script, text)
  local result = M.run({ os.getenv("CAMPAIGN_TEST_LUA") or "lua5.4", script }, { seconds = 60, env = { SHIM = orders,
    LUA_PATH = os.getenv("LUA_PATH") or package.path, LUA_CPATH = os.getenv("LUA_CPATH") or package.cpath,
    LD_PRELOAD = (os.getenv("CAMPAIGN_BUILD") or M.ROOT .. "/build") .. "/spec/fault_shim.so" } })
  os.remove(script)
  return result
end

---Runs `campaign` with arguments.
function M.campaign(argv, options)
  local words = { ROOT .. "/bin/campaign" }
  for _, word in ipairs(argv) do
    words[#words + 1] = word
  end
  return M.run(words, options)
end

M.ROOT = ROOT
M.LUA = LUA

return M

-- SPDX-License-Identifier: MIT
-- `campaign env`: lines for a shell to eval, so that scripts of both Luas find the modules of this checkout or installation.

local core = require "campaign.core"
local shell_quote = require "campaign.shell_quote"

local M = {}

-- The same two paths for the other Lua: only the folder of its version or build differs.
local function for_flavour(place, flavour)
  local lua_path, c_path = place.lua_path, place.c_path
  if flavour ~= place.flavour then
    local version = flavour == "luajit" and "5.1" or "5.4"
    lua_path = lua_path:gsub("/share/lua/[%d.]+/", "/share/lua/" .. version .. "/")
    c_path = c_path:gsub("/lib/lua/[%d.]+/", "/lib/lua/" .. version .. "/")
    c_path = c_path:gsub("/" .. place.flavour .. "/%?%.so$", "/" .. flavour .. "/?.so")
  end
  return lua_path, c_path
end

-- Lua 5.4 reads the variables with its version first, LuaJIT only those without: one `eval` serves both.
local NAMES = {
  { flavour = "lua5.4", lua = "5.4", suffix = "_5_4" },
  { flavour = "luajit", lua = "luajit", suffix = "" },
}

function M.run(given, place)
  local values = {}
  for _, name in ipairs(NAMES) do
    if given.lua == nil or given.lua == name.lua then
      local lua_path, c_path = for_flavour(place, name.flavour)
      values[#values + 1] = { name = "LUA_PATH" .. name.suffix, plain = "LUA_PATH", path = lua_path }
      values[#values + 1] = { name = "LUA_CPATH" .. name.suffix, plain = "LUA_CPATH", path = c_path }
    end
  end
  if given.json then
    local object = {}
    for _, value in ipairs(values) do
      object[value.name] = value.path .. ";;"
    end
    io.stdout:write(core.json.encode(object), "\n")
    return 0
  end
  for _, value in ipairs(values) do
    -- Before what is there already; `;;` stands for the default path.
    local rest = value.name == value.plain and "${" .. value.plain .. ":-;}" or "${" .. value.name .. ":-${" .. value.plain .. ":-;}}"
    io.stdout:write("export ", value.name, "=", shell_quote(value.path .. ";"), "\"", rest, "\"\n")
  end
  return 0
end

return M

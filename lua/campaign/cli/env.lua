-- SPDX-License-Identifier: MIT
-- `campaign env`: lines for a shell to eval, so that scripts find the modules of this checkout or installation.

local core = require "campaign.core"

local M = {}

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

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

function M.run(given, place)
  local flavour = place.flavour
  if given.lua then
    flavour = given.lua == "5.4" and "lua5.4" or given.lua
  end
  local lua_path, c_path = for_flavour(place, flavour)
  if given.json then
    io.stdout:write(core.json.encode({ LUA_PATH = lua_path .. ";;", LUA_CPATH = c_path .. ";;" }), "\n")
    return 0
  end
  io.stdout:write("export LUA_PATH=", quote(lua_path .. ";;"), "\n")
  io.stdout:write("export LUA_CPATH=", quote(c_path .. ";;"), "\n")
  return 0
end

return M

-- SPDX-License-Identifier: MIT
-- The entry point of the command: sets the module paths relative to its own location, in a checkout or an installation, and calls cli/run.

local root = assert(arg[0]:match("^(.*)/campaign/cli/main%.lua$"), "start campaign by bin/campaign")
local luajit = rawget(_G, "jit") ~= nil
local version, flavour = "5.4", "lua5.4"
if luajit then
  version, flavour = "5.1", "luajit"
end

-- A checkout has lua/ and build/ side by side; an installation has share/lua/<version> and lib/lua/<version>.
local c_root
local prefix = root:match("^(.*)/share/lua/" .. (luajit and "5%.1" or "5%.4") .. "$")
if prefix then
  c_root = prefix .. "/lib/lua/" .. version
else
  local checkout = root:match("^(.*)/lua$")
  c_root = (os.getenv("CAMPAIGN_BUILD") or checkout .. "/build") .. "/" .. flavour
end

local lua_path = root .. "/?.lua;" .. root .. "/?/init.lua"
local c_path = c_root .. "/?.so"
package.path = lua_path .. ";" .. package.path
package.cpath = c_path .. ";" .. package.cpath

local found, run = pcall(require, "campaign.cli.run")
if not found then
  if tostring(run):find("interrupted!", 1, true) then -- Ctrl-C while modules were loaded
    os.exit(130)
  end
  local missing = tostring(run):match("module '([%w_.]+)' not found")
  io.stderr:write("campaign: ", missing and "the Lua module '" .. missing .. "' is not there for " .. flavour
    .. "; run 'make deps', or install it" or tostring(run), "\n")
  os.exit(1)
end
os.exit(run.main(arg, { lua_path = lua_path, c_path = c_path, flavour = flavour }), true)

-- SPDX-License-Identifier: MIT
-- LuaFileSystem. Every module of this project takes it from here: what is missing is named, and nginx has nothing to warn of.

if package.loaded.ngx and rawget(_G, "lfs") == nil then
  rawset(_G, "lfs", {}) -- the module sets this global itself, and nginx warns of globals that are set within a request
end
local has_lfs, lfs = pcall(require, "lfs")
if not has_lfs then
  error("campaign needs LuaFileSystem (Debian: apt-get install lua-filesystem): " .. tostring(lfs), 0)
end

return lfs

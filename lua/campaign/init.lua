-- SPDX-License-Identifier: MIT
-- The module `campaign`. Its functions are those of campaign.interface, which the core brings compiled; this file is compiled whenever it is
-- loaded, and so is short.

-- First, because it provides the other modules precompiled. Each Lua has its own.
local has_core, why_not = pcall(require, "campaign.core")
if not has_core then
  local lua = rawget(_G, "jit") and "LuaJIT" or _VERSION
  local advice = "`make build` makes it, and eval \"$(campaign env)\" says where it is"
  if lua ~= "LuaJIT" and lua ~= "Lua 5.4" then
    advice = "campaign runs on Lua 5.4 and LuaJIT 2.1"
  end
  error("campaign's core for " .. lua .. " cannot be loaded: " .. advice .. "\n" .. tostring(why_not), 0)
end

return require "campaign.interface"

-- SPDX-License-Identifier: MIT
-- Checks made by the commands that serve (`listen`, `sandbox`) before they start: the port, and the presence of lua-http.

local output = require "campaign.cli.output"

local M = {}

---Refuses to serve with an invalid port or without lua-http.
---@param given table options of the command
---@param who string "the sandbox"
---@return integer? exit code of a refusal, which was printed; nil if the command can go on
function M.refusal(given, who)
  if given.port and given.port > 65535 then
    return output.fail("--port " .. given.port .. " is not a port number", given)
  end
  local has_server, reason = pcall(require, "http.server")
  if has_server then
    return nil
  end
  if not tostring(reason):find("module 'http.server' not found", 1, true) then
    error(reason, 0)
  end
  return output.fail(who .. " runs on LuaJIT: it needs luajit2, lua-http ('make deps' installs both) and campaign built for LuaJIT "
    .. "('make build'; as a rock: luarocks --lua-version 5.1 make)", given)
end

return M

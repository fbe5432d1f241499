-- SPDX-License-Identifier: MIT
-- Reads Excel files in specs, by the sandbox's reader in a LuaJIT of its own: its library is not there for every Lua.

local command = require "spec.support.command"

local M = {}

local READER = [[
package.path = "lua/?.lua;" .. package.path
for _, row in ipairs(assert(require("campaign.sandbox.xlsx").cells(%q))) do
  local cells = {}
  for column = 1, %d do
    cells[column] = ((row[column] or ""):gsub(".", function(byte) return ("%%02x"):format(byte:byte()) end))
  end
  print(table.concat(cells, ","))
end]]

---The first columns of every row of the first sheet that is not empty, header included.
---@param path string
---@param columns integer
---@return string[][]
function M.read(path, columns)
  local result = command.run({ "luajit", "-e", READER:format(path, columns) })
  assert(result.code == 0, result.err)
  local rows = {}
  for line in result.out:gmatch("([^\n]*)\n") do
    local row = {}
    for cell in (line .. ","):gmatch("([^,]*),") do
      row[#row + 1] = (cell:gsub("%x%x", function(byte) return string.char(tonumber(byte, 16)) end))
    end
    rows[#rows + 1] = row
  end
  return rows
end

return M

-- SPDX-License-Identifier: MIT
-- Platform files with something wrong in them.

local assert = require "luassert"
local command = require "spec.support.command"
local platforms = require "campaign.api.platform"

local M = {}

---Each change to a good platform file makes it one that is refused.
---@param path string of the good one
---@param folder string for the others
---@param cases { [1]: string, [2]: string, [3]: string }[] what is replaced, by what, and what the error says
function M.assert_refused(path, folder, cases)
  local text = command.read(path)
  for index, case in ipairs(cases) do
    local from, to = text:find(case[1], 1, true)
    assert(from, case[1])
    local wrong = command.write(("%s/wrong%d.lua"):format(folder, index), text:sub(1, from - 1) .. case[2] .. text:sub(to + 1))
    local platform, err = platforms.load(wrong)
    assert.is_nil(platform, case[3])
    assert.matches(case[3], err.message, 1, true)
  end
end

return M

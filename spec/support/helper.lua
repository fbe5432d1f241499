-- SPDX-License-Identifier: MIT
-- Loaded by busted before any spec (see .busted): after each spec file every object of the C core must be closed or collected.
-- A spec that keeps an engine, a source or a process open in a variable fails here, by file name.

local busted = require "busted"
-- Loaded here, outside of busted's insulation, so that one counter serves the whole process. Specs that need no core run without it.
local has_core, core = pcall(require, "campaign.core")

local function check_live(file)
  if has_core then
    collectgarbage()
    collectgarbage()
    local live = core.live()
    if live ~= 0 then
      local message = live .. " objects of the C core are still open after this file: close what a spec opens"
      busted.publish({ "error", "file" }, file, nil, message, {})
    end
  end
  return nil, true
end

busted.subscribe({ "file", "end" }, check_live)

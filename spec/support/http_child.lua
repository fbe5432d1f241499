-- SPDX-License-Identifier: MIT
-- One request in a process of its own, for specs that set the environment: http_child.lua URL [SAVE_TO]
-- Prints the status or the error kind, then the body.

local curl = require "campaign.transport.curl"

local transport = curl.new()
local result, err = transport:perform({ url = arg[1], save_to = arg[2], account = "child" })
if result and not result.error then
  io.write(result.status, "\n", result.body or "saved", "\n")
else
  io.write((err or result.error).kind, "\n", (err or result.error).message, "\n")
end
transport:close()

-- SPDX-License-Identifier: MIT
-- `campaign sandbox`: serves all platforms in this process until a signal comes. bin/campaign runs it on a Lua that has lua-http.

local output = require "campaign.cli.output"
local serving = require "campaign.cli.serving"

local M = {}

local function clock_of(text)
  if text == nil or text:find("^%d%d%d%d%-%d%d%-%d%d %d%d:%d%d:%d%d$") then
    return true
  end
  return output.usage("--clock '" .. text .. "' is not of the form yyyy-MM-dd HH:mm:ss")
end

function M.run(given)
  local ok, err = clock_of(given.clock)
  if not ok then
    return output.fail(err, given)
  end
  local refusal = serving.refusal(given, "the sandbox")
  if refusal then
    return refusal
  end
  if given.ready_file then
    os.remove(given.ready_file) -- of an earlier run: who waits for the file must not read its credentials
  end
  return require("campaign.sandbox").main{
    port = given.port, state = given.state, clock = given.clock, clock_rate = given.clock_rate, ready_file = given.ready_file,
    faults = #given.fault > 0 and given.fault or nil, without = #given.without > 0 and given.without or nil,
  }
end

return M

-- SPDX-License-Identifier: MIT
-- `campaign openapi PLATFORM`: the platform as an OpenAPI document. Its contents are made in describe/openapi.

local openapi = require "campaign.describe.openapi"
local output = require "campaign.cli.output"
local platforms = require "campaign.api.platform"

local M = {}

function M.run(given)
  local platform, err = platforms.load(given.platform)
  local ok
  if platform then
    ok, err = output.write(openapi.text(platform), given.output)
  end
  return ok and 0 or output.fail(err, given)
end

return M

-- SPDX-License-Identifier: MIT
-- `campaign operations`: one line per operation. The tsv form has the first seven columns of docs/contracts/endpoints.tsv.

local core = require "campaign.core"
local facts = require "campaign.describe.facts"
local output = require "campaign.cli.output"
local platforms = require "campaign.api.platform"

local M = {}

local COLUMNS = { "platform", "operation", "method", "path", "auth", "request_body", "response" }

local function row_of(operation)
  return {
    operation.platform, operation.name, operation.method, operation.path, facts.auth(operation), operation.body,
    operation.response,
  }
end

function M.run(given)
  local rows = {}
  for _, name in ipairs(given.platform and { given.platform } or platforms.names()) do
    local platform, err = platforms.load(name)
    if not platform then
      return output.fail(err, given)
    end
    for _, operation in ipairs(platform.operations) do
      rows[#rows + 1] = row_of(operation)
    end
  end
  if given.format == "json" or given.json and not given.format then
    local list = {}
    for index, row in ipairs(rows) do
      local entry = {}
      for column, name in ipairs(COLUMNS) do
        entry[name] = row[column]
      end
      list[index] = entry
    end
    output.json(core.json.array(list))
    return 0
  end
  table.insert(rows, 1, COLUMNS)
  if given.format == "tsv" then
    for _, row in ipairs(rows) do
      io.stdout:write(table.concat(row, "\t"), "\n")
    end
    return 0
  end
  output.columns(rows)
  return 0
end

return M

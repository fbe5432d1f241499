-- SPDX-License-Identifier: MIT
-- `campaign members LIST --to PLATFORM.OPERATION -o FILE.xlsx`: the file of members for an operation, by the public API.

local campaign = require "campaign"
local core = require "campaign.core"
local error_object = require "campaign.error"
local output = require "campaign.cli.output"
local parameters = require "campaign.cli.parameters"
local progress = require "campaign.cli.progress"
local replacements = require "campaign.replacements"
local running = require "campaign.cli.running"
local summary = require "campaign.import.report.summary"

local M = {}

local function options_of(given)
  local options = {
    source = given.file, to = given.to, path = given.output, variables = given.variable, unique = given.unique, encoding = given.encoding,
    delimiter = given.delimiter, sheet = given.sheet, header_row = given.header_row, rows_per_file = given.rows_per_file, temporary = given.temporary,
  }
  local err
  for option, name in pairs{ map = "--map", set = "--set", check = "--check" } do
    options[option], err = parameters.pairs(given[option], name)
    if not options[option] then
      return nil, err
    end
  end
  if given.replace then
    local map
    map, err = replacements.read(given.replace)
    if not map then
      return nil, err
    end
    options.on_unmappable = { map = map }
  end
  return options
end

local function print_json(file)
  local shown = { reasons = running.json_reasons(file.reasons), columns = core.json.array(file.columns),
    unused = core.json.array(file.unused), files = {} }
  for i, part in ipairs(file.files) do
    shown.files[i] = { path = part.path, rows = part.rows, bytes = part.bytes }
  end
  shown.files = core.json.array(shown.files)
  for _, name in ipairs{ "exit_code", "path", "encoding", "rows", "written", "rejected", "duplicate", "causes", "rejects_file",
    "duplicates_file" } do
    shown[name] = file[name]
  end
  output.json(shown)
end

function M.run(given)
  local options, err = options_of(given)
  if not options then
    return output.fail(err, given)
  end
  core.console.watch()
  local show, finish = progress.on_stderr()
  options.on_progress = function(event)
    if core.console.caught() > 0 then -- raised, so that the writer removes what is not whole
      error(error_object.new{ kind = "cancelled", message = "interrupted; no file was written", sent = "no" }, 0)
    end
    if not given.json then
      show(event)
    end
  end
  local ran, file
  ran, file, err = pcall(campaign.members_file, options)
  finish()
  if not ran then
    if not (error_object.is(file) and file.kind == "cancelled") then
      error(file, 0)
    end
    file, err = nil, file
  end
  if not file then
    return output.fail(err, given)
  end
  if given.json then
    print_json(file)
  else
    output.say(given.file, " to ", given.to, ": ", summary.members(file), "\n")
  end
  return file.exit_code
end

return M

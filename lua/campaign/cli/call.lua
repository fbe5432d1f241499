-- SPDX-License-Identifier: MIT
-- `campaign call PLATFORM.OPERATION`: one call by the public API; the reply as JSON on stdout or in a file.

local campaign = require "campaign"
local core = require "campaign.core"
local error_object = require "campaign.error"
local json = require "campaign.json"
local later = require "campaign.later"
local output = require "campaign.cli.output"
local parameters = require "campaign.cli.parameters"
local platforms = require "campaign.api.platform"
local target = require "campaign.cli.target"

local usage = output.usage

local replay = later.module "campaign.recording.replay"

local M = {}

local MAX_BODY = 64 * 1048576

-- The JSON object of --body; an empty table without one.
local function read_body(path)
  if not path then
    return {}
  end
  local name = path == "-" and "stdin" or path
  local file, message = io.stdin, nil
  if path ~= "-" then
    file, message = io.open(path, "rb")
  end
  if not file then
    return usage("cannot read " .. message)
  end
  local text
  text, message = file:read(MAX_BODY + 1)
  if file ~= io.stdin then
    file:close()
  end
  if not text then
    return usage("--body " .. name .. ": " .. (message or "is empty"))
  end
  if #text > MAX_BODY then
    return usage("--body " .. name .. ": larger than " .. MAX_BODY .. " bytes")
  end
  local value, err = json.decode(text)
  if value == nil then
    return usage("--body " .. name .. " is not JSON: " .. tostring(err.message))
  end
  if type(value) ~= "table" or json.is_array(value) or value == json.null then
    return usage("--body " .. name .. " is JSON but no object")
  end
  return value
end

local function write_reply(reply, path)
  local text = assert(core.json.encode(reply, not path and core.console.is_terminal(1) and { indent = 2 } or nil))
  if not path then
    io.stdout:write(text, "\n")
    if not io.stdout:flush() then
      return nil, error_object.new{ kind = "ledger", message = "the call was made, but its reply cannot be written to stdout" }
    end
    return true
  end
  local ok, err = core.system.write_atomic(path, text .. "\n", 384) -- 0600: replies hold personal data
  if not ok then -- the reply may hold what cannot be asked for again, such as the id of what was made
    io.stdout:write(text, "\n")
    return nil, error_object.new{
      kind = "ledger", message = "the call was made, but its reply cannot be written: " .. tostring(err and err.message or err),
      hint = "it went to stdout instead",
    }
  end
  return true
end

-- Indexes in faults count from 1, as in Lua; -p and JSON count from 0.
local function counted_from_zero(text)
  return (text:gsub("%[(%d+)%]", function(digits) return "[" .. (tonumber(digits) - 1) .. "]" end))
end

local function from_zero(err)
  local changed = error_object.wrap(err, {})
  changed.message = counted_from_zero(err.message)
  changed.faults = {}
  for index, fault in ipairs(err.faults) do
    local copy = fault
    if type(fault) == "table" then
      copy = {}
      for key, value in pairs(fault) do
        copy[key] = key == "path" and counted_from_zero(value) or value
      end
    end
    changed.faults[index] = copy
  end
  return changed
end

-- A token store for replays: its token never expires, and nothing is stored.
local REPLAY_STORE = {
  read = function() return { access_token = "replay", expires_at = math.huge } end,
  lock = function() return { close = function() end } end,
}

-- A client that sends, sends and records, or answers from a recording.
local function connect(given, account)
  local options = { record = given.record }
  if given.replay then
    local err
    options.transport, err = replay.new(given.replay)
    if not options.transport then
      return nil, err
    end
    options.open_store = function() return REPLAY_STORE end
  end
  return campaign.connect((platforms.split(given.operation)), account, options)
end

function M.run(given)
  local platform, operation = target.find(given.operation)
  if not platform then
    return output.fail(operation, given)
  end
  local context = { json = given.json, effect = operation.effect }
  if operation.response == "binary" and not given.output then
    return output.fail(select(2, usage(operation.key .. " answers with a file", "give an output file: -o FILE")), context)
  end
  local fields, client, reply, err
  fields, err = read_body(given.body)
  if fields then fields, err = parameters.parse(given.param, operation.fields, fields) end
  local account = fields and target.account(platform, operation, fields, given.account)
  if fields then client, err = connect(given, account) end
  if client then
    local asks = operation.effect == "safe"
    output.when_interrupted(operation.key .. ": interrupted" .. (asks and "" or " before the answer came: what was under way may have "
      .. "been applied, so look at the platform before you send it again"), asks and "no" or "maybe", given)
    reply, err = client[operation.name](client, fields, {
      timeout = given.timeout, window = given.window, accept_public_file = given.accept_public_file,
      save_to = operation.response == "binary" and given.output or nil,
    })
  end
  local ok
  if reply then
    ok, err = write_reply(reply, operation.response ~= "binary" and given.output or nil)
  end
  if client and not given.json then
    client:warn(function(text) output.note("warning: ", text) end)
  end
  local problem = client and given.record and client.transport:problem()
  if client then
    client:close()
  end
  if ok and problem then
    ok, err = nil, problem
  end
  if not ok then
    if err.kind == "invalid" and err.faults then
      err = from_zero(err)
    end
    return output.fail(err, context)
  end
  return 0
end

return M

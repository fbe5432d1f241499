-- SPDX-License-Identifier: MIT
-- PLATFORM.OPERATION on the command line: loads the platform and finds the operation, or says which ones there are.

local later = require "campaign.later"
local names_of = require "campaign.names"
local output = require "campaign.cli.output"
local platforms = require "campaign.api.platform"
local sorted = require "campaign.sorted"

local suggest = later.module "campaign.api.suggest"

local M = {}

---Finds a platform and one of its operations.
---@param text string
---@return table? platform
---@return table|campaign.error operation or what is wrong
function M.find(text)
  local platform_name, operation_name = platforms.split(text)
  if not platform_name then
    return output.usage("'" .. text .. "' is not of the form PLATFORM.OPERATION",
      "`campaign operations` lists them")
  elseif operation_name == "lua" then
    return output.usage("'" .. text .. "' names a platform; add one of its operations: " .. text .. ".OPERATION",
      "`campaign operations " .. text .. "` lists them")
  end
  local platform, err = platforms.load(platform_name)
  if not platform then
    return nil, err
  end
  local operation = platform.operations[operation_name]
  if not operation then
    local help = suggest.help(operation_name, names_of(platform.operations))
    return output.usage(platform.name .. " has no operation `" .. operation_name .. "`" .. help,
      "`campaign operations " .. platform_name .. "` lists them")
  end
  return platform, operation
end

---Whether a text names a platform rather than one of its operations: a name without a dot, or a path that ends in `.lua` or has no dot
---after its last `/`.
---@param text string
---@return boolean
function M.is_platform(text)
  return text:sub(-4) == ".lua" or not (text:match("[^/]*$")):find(".", 1, true)
end

---Finds a platform and one of its waiters.
---@param text string PLATFORM.WAITER
---@return table? platform
---@return table|campaign.error waiter or what is wrong
---@return string? name
function M.waiter(text)
  local platform_name, name = platforms.split(text)
  if not platform_name then
    return output.usage("'" .. text .. "' is not of the form PLATFORM.WAITER")
  end
  local platform, err = platforms.load(platform_name)
  if not platform then
    return nil, err
  end
  local waiter = platform.waiters[name]
  if not waiter then
    local names = sorted.keys(platform.waiters)
    return output.usage(platform.name .. " has no waiter `" .. name .. "`" .. suggest.help(name, names),
      #names > 0 and "it has " .. table.concat(names, ", ") or "it has none")
  end
  return platform, waiter, name
end

---Moves what -p gave for the account (`token`, `base_url`, ...) out of the fields of a call.
---@param platform table
---@param operation table
---@param fields table changed: loses what goes to the account
---@param name string? --account
---@return table account for campaign.connect
function M.account(platform, operation, fields, name)
  local account = { account = name }
  for _, key in ipairs(platform.account) do
    if fields[key.name] ~= nil and not operation.fields[key.name] then
      account[key.name], fields[key.name] = fields[key.name], nil
    end
  end
  return account
end

return M

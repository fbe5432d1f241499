-- SPDX-License-Identifier: MIT
-- Loads a platform file. A user's file is read as literals and checked against the closed vocabulary; ours were checked by the tests. Then its
-- references are resolved (api/platform_resolver). The loaded form is shared and never modified. Format and loaded form:
-- docs/platform-format.md.

local core = require "campaign.core"
local error_object = require "campaign.error"
local later = require "campaign.later"
local resolve = require "campaign.api.platform_resolver"

local literal = later.module "campaign.api.literal"
local suggest = later.module "campaign.api.suggest"
local vocabulary = later.module "campaign.api.vocabulary"

local M = {}

local unpack = unpack or table.unpack -- luacheck: ignore

local SHIPPED = { "outbound", "tuzhan", "hypers", "longlong" }

-- Faults are "place: text" here; the error carries them as { path, message } like all other faults.
local function refuse(place, faults)
  local shown, listed = {}, {}
  for index, fault in ipairs(faults) do
    fault = fault:gsub("%c", "?") -- names in the file may hold anything; a message is one line
    local colon = fault:find(": ", 1, true)
    listed[index] = { path = fault:sub(1, colon - 1), message = fault:sub(colon + 2) }
    if index <= 5 then
      shown[index] = fault
    end
  end
  local more = #faults > 5 and "; and " .. (#faults - 5) .. " more" or ""
  return nil, error_object.new{
    kind = "usage", faults = listed,
    message = "platform file " .. place .. ": " .. table.concat(shown, "; ") .. more,
  }
end

local function resolved(raw, place, is_foreign)
  local platform, faults = resolve(raw, is_foreign)
  if #faults > 0 then
    table.sort(faults)
    return refuse(place, faults)
  end
  platform.reference = is_foreign and place or platform.name
  return platform
end

---Checks and indexes the table of a platform.
---@param raw table what a platform file returns
---@param place string what errors call it
---@return campaign.platform? platform
---@return campaign.error? err
function M.from_table(raw, place)
  local faults = vocabulary.faults(raw, type(raw.name) == "string" and raw.name or "platform")
  if #faults > 0 then
    return refuse(place, faults)
  end
  return resolved(raw, place, true)
end

-- A shipped file: part of the program like any other module, and checked by the tests. Reading it as literals and checking its vocabulary would
-- be most of the time that a script with one call takes.
local function load_shipped(name, path)
  local chunk, problem = core.chunk("campaign.platform." .. name, path), nil
  if not chunk then
    chunk, problem = loadfile(path, "t", {}) -- luacheck: ignore
  end
  if not chunk then
    return nil, error_object.new{ kind = "usage", message = "platform file " .. path .. ": " .. tostring(problem) }
  end
  return resolved(chunk(), path, false)
end

-- A user's file: nothing in it may run, and every key must be known.
local function load_file(path)
  local text, err = core.system.read_file(path)
  if not text then
    return nil, error_object.new{ kind = "usage", message = "platform file " .. err.message }
  end
  local raw
  raw, err = literal.parse(text, path)
  if not raw then
    return nil, err
  end
  return M.from_table(raw, path)
end

---Whether a platform is one that ships with the product.
---@param name string
---@return boolean
function M.is_shipped(name)
  for _, ours in ipairs(SHIPPED) do
    if ours == name then
      return true
    end
  end
  return false
end

---Whether a platform is named by the path of its file.
---@param name string
---@return boolean
function M.is_path(name)
  return name:find("/", 1, true) ~= nil or name:sub(-4) == ".lua"
end

---The parts of a name such as "longlong.import_customers_async". A platform may be named by the path of its file: what follows the last dot is
---the name of an operation or waiter.
---@param reference string
---@return string? platform nil when there are no two parts
---@return string? name
function M.split(reference)
  return reference:match("^(.+)%.([^.]+)$") -- linear: anchored, the last dot
end

local loaded = {}

---Loads a shipped platform by its name, or another by the path of its file (with a `/`, or ending in `.lua`).
---@param name string
---@return campaign.platform? platform
---@return campaign.error? err
function M.load(name)
  if type(name) ~= "string" then
    error("platform must be a name or a path, not a " .. type(name), 3) -- level of the caller of connect
  end
  if loaded[name] then
    return loaded[name]
  end
  local is_path = M.is_path(name)
  local path = name
  if not is_path then
    path = name:find("^[%w_]+$") and package.searchpath("campaign.platform." .. name, package.path)
    if not path then
      return nil, error_object.new{
        kind = "usage",
        message = "there is no platform `" .. name:sub(1, 60) .. "`" .. suggest.help(name, SHIPPED) .. "; shipped are "
          .. table.concat(SHIPPED, ", ") .. "; another one is named by the path of its file, with a `/`",
      }
    end
  end
  local platform, err
  if M.is_shipped(name) then
    platform, err = load_shipped(name, path)
  else
    platform, err = load_file(path)
  end
  if platform and not is_path then
    loaded[name] = platform
  end
  return platform, err
end

---Names of the platforms that ship, in the order of the contracts.
---@return string[]
function M.names()
  return { unpack(SHIPPED) }
end

return M

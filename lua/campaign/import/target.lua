-- SPDX-License-Identifier: MIT
-- The target of an import: platform, operation, account and client, the call checked as far as possible without rows, and the columns of
-- the target if the platform knows them. All of this happens before the file is read.

local call_key = require "campaign.api.call_key"
local check = require "campaign.api.check"
local client_module = require "campaign.api.client"
local config = require "campaign.config"
local core = require "campaign.core"
local error_object = require "campaign.error"
local merged = require "campaign.merged"
local normalise = require "campaign.api.normalise"
local platforms = require "campaign.api.platform"
local sign = require "campaign.api.sign"
local suggest = require "campaign.api.suggest"
local transport_files = require "campaign.transport.files"

local M = {}

local function refuse(message, more)
  return error_object.refuse(merged({ kind = "usage", message = message }, more))
end

---Finds platform and operation of `to`.
---@param to string "platform.operation"; the platform may be a path
---@param takes ("rows"|"members_file")? what the operation must take: rows when left out
---@return table? platform
---@return table|campaign.error operation
function M.find(to, takes)
  takes = takes or "rows"
  local platform_name, operation_name = platforms.split(to)
  if not platform_name then
    return refuse(('to: "%s" is not of the form platform.operation'):format(to))
  elseif operation_name == "lua" then
    return refuse(('to: "%s" names a platform; add one of its operations: %s.operation'):format(to, to))
  end
  local platform, err = platforms.load(platform_name)
  if not platform then
    return nil, err
  end
  local operation = platform.operations[operation_name]
  local what, names = takes == "rows" and "rows" or "a file of members", {}
  for _, known in ipairs(platform.operations) do
    if known[takes] then
      names[#names + 1] = known.name
    end
  end
  if type(operation) ~= "table" or not operation[takes] then
    local words = operation and "takes no " .. what:gsub("^a ", "") or "is not there" .. suggest.help(operation_name, names)
    return refuse(("to: %s.%s %s; operations that take %s: %s"):format(
      platform.name, operation_name, words, what, #names > 0 and table.concat(names, ", ") or "none"))
  end
  return platform, operation
end

-- Refuses `params` that replace everything at the target unless `overwrite` was given, and `overwrite` where nothing can be replaced.
local function check_overwrite(operation, options)
  local destructive = operation.destructive
  if not options.overwrite then
    local value = destructive and options.params[destructive.field]
    for _, dangerous in ipairs(destructive and destructive.is or {}) do
      if value ~= nil and tostring(value) == tostring(dangerous) then
        return refuse(("params.%s = %s replaces everything that is there"):format(destructive.field, tostring(value)),
          { hint = "give overwrite = true (--overwrite) if that is intended" })
      end
    end
    return true
  end
  if not destructive then
    return refuse(("overwrite: %s.%s cannot overwrite"):format(operation.platform, operation.name))
  end
  return true
end

---The call's fields for a batch: the first batch of an overwriting import replaces what is there, all others append.
---@param operation table
---@param options table params, overwrite
---@param first boolean whether nothing of this import has been accepted yet
---@return table
function M.fields(operation, options, first)
  local destructive = operation.destructive
  if not options.overwrite or not destructive then
    return options.params
  end
  local fields = merged(options.params)
  fields[destructive.field] = first and destructive.is[1] or nil
  return fields
end

-- A body without rows; a short text for files. For signatures, which need a body.
local function empty_body(client, operation, params)
  local before, after
  if operation.rows.shape ~= "csv" then
    before, after = client:envelope(operation.name, params)
  end
  return before and before .. after or "-"
end

-- Checks the fields that all rows share, of rows that are calls: those of `params`, and those that no row fills.
local function check_shared(platform, operation, params, account)
  local fields = {}
  for _, field in ipairs(operation.fields) do
    local is_filled, is_given = operation.rows.row.fields[field.name] ~= nil, params[field.name] ~= nil
    if is_filled and is_given and field.type == "object" then
      return refuse(("params.%s: each row fills an object of its own; `set` gives fields of it to all rows"):format(field.name))
    elseif (is_given or not is_filled) and field.type ~= "file" and not field.call_key then
      fields[#fields + 1], fields[field.name] = field, field
    end
  end
  return check.fields(platform, merged(operation, { fields = fields, rules = {} }), params, account)
end

---Makes the client and checks the call without rows: fields, credentials, headers. Sends nothing.
---@param options table account, env, transport, params, overwrite
---@param platform table
---@param operation table
---@return campaign.client? client
---@return campaign.error? err
function M.connect(options, platform, operation)
  local ok, err = check_overwrite(operation, options)
  if not ok then
    return nil, err
  end
  local key = operation.call_key
  if key and options.params[key.name] ~= nil then
    return refuse(("params.%s: each call of an import has a key of its own, which is made for it"):format(key.name))
  end
  local account
  account, err = config.account(platform, options.account, options.env)
  if not account then
    return nil, err
  end
  local values
  local params = call_key.with_place(operation, options.params)
  if operation.rows.is_call then
    values, err = check_shared(platform, operation, options.params, account)
  else
    values, err = check.fields(platform, operation, params, account, { rows = true })
  end
  if not values then
    return nil, err
  end
  local client = client_module.new(platform, account, options.transport, options.env, {
    open_store = options.open_store, paced = false, -- import/run/pace.lua takes the tokens
  })
  if not operation.tokens and not operation.rows.is_call then
    -- A request without rows finds what is wrong with credentials and headers; it is never submitted.
    local trial
    trial, err = client:prepare(operation.name, params, {
      rows = sign.covers_body(operation) and empty_body(client, operation, params) or core.source("-"), window = "ignore",
      accept_public_file = options.accept_public_file,
    })
    if not trial then
      return nil, err
    end
    transport_files.abandon(trial.body)
  end
  return client
end

local function value_at(value, path)
  for key in path:gmatch("[^.]+") do
    value = type(value) == "table" and value[key] or nil
  end
  return value
end

local function is_one_of(list, value)
  for _, item in ipairs(list) do
    if value == item then
      return true
    end
  end
  return false
end

-- The entries that are targets of this operation: a platform may list others beside them, under the same names.
local function targets_of(reply, from)
  local targets = {}
  for _, entry in ipairs(value_at(reply, from.list) or {}) do
    if not (from.unless and normalise.meets(entry, from.unless)) then
      targets[#targets + 1] = entry
    end
  end
  return targets
end

local function groups_of(list, match, params)
  local groups = {}
  for _, group in ipairs(list) do
    local same = true
    for theirs, ours in pairs(match) do
      same = same and group[theirs] == params[ours]
    end
    if same then
      groups[#groups + 1] = group
    end
  end
  return groups
end

-- The columns of one target; nil and a reason if a name is missing or occurs twice.
local function columns_of(group, from)
  local columns, seen = {}, {}
  for i, column in ipairs(group[from.names] or {}) do
    local name = column[from.name]
    if type(name) ~= "string" or name == "" then
      return nil, "column " .. i .. " of the target has no name"
    elseif seen[name] then
      return nil, ('the target has two columns "%s"'):format(name)
    end
    seen[name] = true
    columns[i] = { name = name, required = from.required ~= nil and is_one_of(from.required.is, value_at(column, from.required.path)) }
  end
  if #columns == 0 then
    return nil, "the target has no columns yet; nobody knows in which order its rows go"
  end
  return columns
end

local function are_same(columns, others)
  for i = 1, math.max(#columns, #others) do
    if not columns[i] or not others[i] or columns[i].name ~= others[i].name then
      return false
    end
  end
  return true
end

---Asks the platform for the columns of the target, where its data says how.
---@param client campaign.client
---@param operation table
---@param options table params
---@return table[]? columns `{ name, required }`; nil without error where the operation has none to ask for
---@return campaign.error? err
function M.columns(client, operation, options)
  local from = operation.rows.columns_from
  if not from then
    return nil
  end
  local asked = {}
  for _, field in ipairs(client.platform.operations[from.operation].fields) do
    asked[field.name] = options.params[field.name]
  end
  local reply, err = client:call(from.operation, asked)
  if not reply then
    return nil, error_object.unsent(err)
  end
  local list = targets_of(reply, from)
  local groups = groups_of(list, from.match, options.params)
  local named = { platform = operation.platform, operation = operation.name }
  if not groups[1] then
    local wanted, names = {}, {}
    for theirs, ours in pairs(from.match) do
      wanted[#wanted + 1] = tostring(options.params[ours])
      for _, other in ipairs(list) do
        names[#names + 1] = tostring(other[theirs])
      end
    end
    return refuse(('the platform has no target "%s"%s; it has: %s'):format(
      table.concat(wanted, ", "), suggest.help(wanted[1], names), #names > 0 and table.concat(names, ", ") or "none"),
      named)
  end
  local columns, why = columns_of(groups[1], from)
  if not columns then
    return refuse(why, named)
  end
  for i = 2, #groups do
    if not are_same(columns, columns_of(groups[i], from) or {}) then
      return refuse("the platform has more than one target of that name, with other columns each", named)
    end
  end
  return columns
end

return M

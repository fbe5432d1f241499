-- SPDX-License-Identifier: MIT
-- Checks that the paths of a platform file lead to what replies have, and that conditions can hold. A part of the loader, for the other
-- checks (api/platform_fit, api/rows_fit). Faults are reported to the loader.

local names_of = require "campaign.names"
local sorted = require "campaign.sorted"
local suggest = require "campaign.api.suggest"

local M = {}

-- The Lua type as which a scalar of a reply is read.
local SCALARS = { string = "string", int64 = "string", datetime = "string", date = "string", integer = "number", number = "number",
  boolean = "boolean" }

-- Types in which a count, a number of a batch, and a list can be read.
M.COUNTS = { integer = true, number = true, any = true }
M.IDS = { string = true, int64 = true, integer = true, number = true, datetime = true, date = true, any = true }
M.LISTS = { array = true, any = true }

-- Faults unless `name` is one of the fields.
function M.needs_field(resolver, fields, name, place)
  if name and not fields[name] then
    resolver:fault(place, "there is no field `" .. name .. "`" .. suggest.help(name, names_of(fields)))
  end
end

-- The description at a path of a reply; nil where nothing is described. Reports a name that is not there, unless the reply is open and no similar
-- name is described.
function M.path_fits(resolver, described, path, place)
  if ("." .. path .. "."):find("..", 1, true) then
    resolver:fault(place, "`" .. path .. "` is not a path: names with one dot between them")
    return nil
  end
  for step in path:gmatch("[^.]+") do
    local fields = described and described.fields
    if not fields or #fields == 0 then
      return nil
    end
    local near = not fields[step] and suggest.help(step, names_of(fields))
    if near and (near ~= "" or not described.open) then
      resolver:fault(place, "the reply has no field `" .. step .. "`" .. near)
    end
    described = fields[step]
  end
  return described
end

-- The same for a path where only some types can be read, or for none.
function M.typed_fits(resolver, described, path, types, place)
  local found = path and M.path_fits(resolver, described, path, place)
  if found and not types[found.type] then
    resolver:fault(place, "`" .. path .. "` is of type `" .. found.type .. "`, which cannot be read here: "
      .. table.concat(sorted.keys(types), ", "))
  end
  return found
end

-- The same for one path, several, or none.
function M.paths_fit(resolver, described, paths, place)
  for _, path in ipairs(type(paths) == "table" and paths or { paths }) do
    M.path_fits(resolver, described, path, place)
  end
end

-- Faults where a described field of a reply can have none of the values: what is read as a text never equals
-- a number.
local function values_fit(resolver, described, values, place)
  local wanted = described and not described.map and SCALARS[described.type]
  for _, value in ipairs(values) do
    if not wanted or type(value) == wanted then
      return
    end
  end
  if wanted and #values > 0 then
    resolver:fault(place, ("holds for no %s, which is what a field of type `%s` is read as"):format(wanted, described.type)
      .. (wanted == "string" and type(values[1]) == "number" and (": write \"%.14g\""):format(values[1]) or ""))
  end
end

-- Conditions on a reply; `by_text` where their values are compared as texts.
function M.conditions_fit(resolver, list, place, reply, by_text)
  for index, condition in ipairs(list or {}) do
    local here = place .. "[" .. index .. "]"
    if not condition.path and not condition.status then
      resolver:fault(here, "needs `path` and `is`, or `status`")
    elseif condition.path and not condition.setting and #(condition.is or {}) == 0 then
      resolver:fault(here, "`path` needs `is`: which values hold?")
    end
    if condition.path then
      local described = M.path_fits(resolver, reply, condition.path, here .. ".path")
      values_fit(resolver, not by_text and described, condition.is or {}, here .. ".is")
    end
    local setting = condition.setting and resolver.account[condition.setting]
    if condition.setting and not (setting and setting.type == "list") then
      resolver:fault(here .. ".setting", "there is no account key `" .. condition.setting .. "` of type `list`")
    end
  end
end

-- A condition on an entry or a page: those know neither the status of the answer nor the account.
function M.entry_condition_fits(resolver, condition, place, described, by_text)
  M.conditions_fit(resolver, { condition }, place, described, by_text)
  if condition.status or condition.setting then
    resolver:fault(place, "takes `path`, `is` and `or_absent` only")
  end
end

-- The description of the entries of a list in a reply.
function M.entries_fit(resolver, described, list, place)
  if list and list ~= "." then
    described = M.path_fits(resolver, described, list, place .. ".list")
  end
  return described and described.type == "array" and described.items or described
end

return M

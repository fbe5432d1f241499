-- SPDX-License-Identifier: MIT
-- Checks that the rows of an import can go where a platform file says, that the reply can tell of them, and that no key about them would go
-- unheard. A part of the loader, for api/platform_fit. Faults are reported to the loader.

local row_tree = require "campaign.api.row_tree"

local M = {}

-- The keys that belong to some shapes only.
local KEYS = {
  type = { object = true }, named_by = { object = true }, mark = { object = true },
  per_call = { object = true, array = true, value = true }, per_call_max = { object = true, array = true, value = true },
  per_file = { csv = true }, file = { csv = true },
  columns = { array = true, value = true, csv = true }, columns_from = { array = true, csv = true },
}

local NO_IMPORT = "; leave `rows` out: single calls work without, imports do not"

-- Whether the body that an import writes has the rows where the file says.
local function place_fits(resolver, operation, place)
  local rows, top = operation.rows, operation.fields[operation.rows.steps[1]]
  if rows.shape == "csv" then
    return
  end
  if top.where ~= "json" then
    resolver:fault(place .. ".field", "rows of shape `" .. rows.shape .. "` stand in a body `json` or `ndjson`, not in `" .. top.where .. "`"
      .. NO_IMPORT)
  elseif row_tree.at(operation.fields, rows.steps).join then
    resolver:fault(place .. ".field", "rows are sent as an array, and `" .. rows.field .. "` has `join`" .. NO_IMPORT)
  end
end

-- The columns of rows without named fields.
local function columns_fit(resolver, rows, place)
  if rows.shape ~= "object" and not rows.columns and not rows.columns_from then
    resolver:fault(place, rows.shape == "value" and "shape `value` needs `columns`: one name, for the column of a list that fills a row"
      or "shape `" .. rows.shape .. "` needs `columns` or `columns_from`: values go in their order")
  elseif rows.columns and rows.shape == "value" and #rows.columns ~= 1 then
    resolver:fault(place .. ".columns", "must be one name: a row of shape `value` is one value")
  elseif rows.shape == "array" and rows.row and rows.row.type ~= "array" then
    resolver:fault(place .. ".shape", "`array` needs items of type `array`, not `" .. rows.row.type .. "`")
  end
  if not rows.columns or rows.columns_from then
    return
  end
  local known = {}
  for _, column in ipairs(rows.columns) do
    known[type(column) == "table" and column.name or column] = true
  end
  for name in pairs(rows.aliases or {}) do
    if not known[name] then
      resolver:fault(place .. ".aliases", "there is no column `" .. name .. "`")
    end
  end
end

-- Keys of a result that would have nothing to say.
local function result_fits(resolver, operation, place)
  local result = operation.rows.result or {}
  local reads
  for _, key in ipairs{ "success_count", "fail_count", "status", "failed_rows", "id" } do
    reads = reads or result[key] and key
    if result.accepted == "all" and result[key] and key ~= "id" then
      resolver:fault(place .. "." .. key, "does not go with `accepted = \"all\"`")
    end
  end
  if reads and operation.response ~= "json" then
    resolver:fault(place .. "." .. reads, "is read from a reply in JSON, and the `response` is `" .. operation.response .. "`")
  end
end

-- A key that tells repeats from new calls is another for each call, and all calls of an import have the same fields.
local function key_fits(resolver, operation, place)
  for _, field in ipairs(operation.fields) do
    local is_key = field.where == "header" and field.name:lower():find("idempotency", 1, true)
    if is_key and (field.required or field.constant ~= nil or field.default ~= nil) then
      resolver:fault(place, "all calls of an import would have the same `" .. field.name .. "`, and the platform would take the second for a repeat"
        .. " of the first" .. NO_IMPORT)
    end
  end
end

---Checks the rows of an operation.
---@param resolver table the loader
---@param operation campaign.operation
---@param place string of `rows`
function M.check(resolver, operation, place)
  local rows = operation.rows
  for key, shapes in pairs(KEYS) do
    if rows[key] ~= nil and not shapes[rows.shape] then
      resolver:fault(place .. "." .. key, "does not go with shape `" .. rows.shape .. "`")
    end
  end
  place_fits(resolver, operation, place)
  columns_fit(resolver, rows, place)
  result_fits(resolver, operation, place .. ".result")
  key_fits(resolver, operation, place)
end

return M

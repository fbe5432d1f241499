-- SPDX-License-Identifier: MIT
-- Checks that the rows of an import can go where a platform file says, that the reply can tell of them, and that no key about them would go
-- unheard. A part of the loader, for api/platform_fit. Faults are reported to the loader.

local reply_fit = require "campaign.api.reply_fit"
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

-- A key that tells repeats from new calls is another for each call, and all calls of an import have the same fields.
local function key_fits(resolver, operation, place)
  for _, field in ipairs(operation.fields) do
    if field.where == "header" and field.name:lower():find("idempotency", 1, true) and not field.call_key then
      resolver:fault(place, "all calls of an import would have the same `" .. field.name .. "`, and the platform would take the second for a repeat"
        .. " of the first; give the field `call_key = \"uuid\"`: each call then has its own")
    end
  end
end

-- What a list is sent as: a part of a form has a name and a file's name, a body of its own has neither.
local function row_file_fits(resolver, operation, place)
  local file = operation.rows.file
  if file.bom and file.encoding ~= "utf-8" then
    resolver:fault(place .. ".file.bom", "is a mark of UTF-8, not of `" .. file.encoding .. "`")
  end
  for _, key in ipairs{ "part", "filename" } do
    if operation.body == "file" and file[key] then
      resolver:fault(place .. ".file." .. key, "belongs to a body `multipart`: in a body `file` nothing carries it")
    elseif operation.body ~= "file" and not file[key] then
      resolver:fault(place .. ".file", "`" .. key .. "` is missing: the part of the form needs it")
    end
  end
  if file.part and operation.body ~= "file" and file.part ~= operation.rows.field then
    resolver:fault(place .. ".file.part", "must be `" .. operation.rows.field .. "`: single calls send the file under that name")
  end
end

local function aliases_fit(resolver, aliases, row, place)
  local meant, fields = {}, row_tree.flatten(row.fields or {})
  for _, field in ipairs(fields) do
    meant[field.name] = field.name
  end
  local names = {}
  for name in pairs(aliases) do
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    if row.fields and not row.open and #row.fields > 0 then
      reply_fit.needs_field(resolver, fields, name, place)
    end
    for _, alias in ipairs(aliases[name]) do
      if meant[alias] then
        resolver:fault(place .. "." .. name, "`" .. alias .. "` means `" .. meant[alias] .. "` already")
      end
      meant[alias] = name
    end
  end
end

-- How refused rows are named: by what can be found again among those that were sent.
local function failed_rows_fit(resolver, operation, result, place)
  local how, rows = result.failed_rows, operation.rows
  local entry = reply_fit.typed_fits(resolver, operation.reply, how.list, reply_fit.LISTS, place .. ".list")
  entry = entry and entry.type == "array" and entry.items or nil
  for _, key in ipairs{ "index", "value", "reason", "code" } do
    if how[key] and how[key] ~= "." then
      reply_fit.path_fits(resolver, entry, how[key], place .. "." .. key)
    end
  end
  local ways = (how.index and 1 or 0) + (how.value and 1 or 0) + (how.in_order and 1 or 0)
  if how.unless then
    reply_fit.entry_condition_fits(resolver, how.unless, place .. ".unless", entry)
  end
  if ways > 1 then
    resolver:fault(place, "names rows by one of `index`, `value` and `in_order`")
  elseif how.in_order and not how.unless then
    resolver:fault(place .. ".in_order", "needs `unless`: which entries are of rows that were accepted?")
  elseif (how.index == nil) ~= (how.from == nil) then
    resolver:fault(place, "needs `index` and `from` together: the first row is 0 or 1 (2 where the line of names counts)")
  elseif not how.index and not how.in_order and (rows.shape == "csv" or rows.shape == "array") then
    resolver:fault(place, "rows of shape `" .. rows.shape .. "` are named by `index` or `in_order` only")
  elseif how.value and rows.shape == "object" and not how.field then
    resolver:fault(place, "`value` needs `field`: which field of a row has it?")
  elseif how.field and (not how.value or rows.shape ~= "object") then
    resolver:fault(place .. ".field", "goes with `value`, in rows of shape `object`")
  elseif how.field then
    reply_fit.needs_field(resolver, row_tree.flatten(rows.row and rows.row.fields or {}), how.field, place .. ".field")
  end
  if result.accepted == "pending" then
    resolver:fault(place, "does not go with `accepted = \"pending\"`: what is said later, a callback says")
  end
end

-- The fields of a row, flat, where rows are objects of a described type.
local function row_fields_fit(resolver, rows, place)
  local row = rows.row
  if rows.shape == "object" and row and not (row.type == "object" and rows.type == row.shape) then
    resolver:fault(place .. ".type", "must be the type of the items of `" .. rows.field .. "`" .. (row.shape and ": `" .. row.shape .. "`" or ""))
  elseif rows.shape == "value" and row and (row.type == "object" or row.type == "array") then
    resolver:fault(place .. ".shape", "`value` needs items of one value, not `" .. row.type .. "`")
  end
  local fields = rows.shape == "object" and row and row.fields and row_tree.flatten(row.fields)
  for _, leaf in ipairs(fields or {}) do
    if fields[leaf.name] ~= leaf then
      resolver:fault(place .. ".type", "two fields of a row are called `" .. leaf.name .. "`: one by its name, one by its path")
    end
  end
  for _, leaf in ipairs(fields or {}) do
    if leaf.type == "array" and leaf.items.hash then
      resolver:fault(place .. ".type", "the items of `" .. leaf.name .. "` cannot be hashed in rows: only texts of their own can")
    elseif leaf.required and (leaf.type == "file" or leaf.type == "array" and not leaf.join and leaf.items.type ~= "string"
      and not row_tree.is_parts(leaf)) then
      resolver:fault(place .. ".type", "`" .. leaf.name .. "` is required, and no column can fill it (a "
        .. (leaf.type == "file" and "file" or "list of `" .. leaf.items.type .. "`") .. ")" .. NO_IMPORT)
    elseif leaf.hash and leaf.name == rows.mark then
      resolver:fault(place .. ".mark", "`" .. leaf.name .. "` is hashed: our mark would not be found again")
    end
  end
  if fields and not row.open then
    reply_fit.needs_field(resolver, fields, rows.mark, place .. ".mark")
    reply_fit.needs_field(resolver, fields, rows.named_by, place .. ".named_by")
  end
end

-- How the reply accounts for the rows.
local function result_fits(resolver, operation, result, place)
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
  for _, key in ipairs{ "status", "message" } do
    reply_fit.paths_fit(resolver, operation.reply, result[key], place .. "." .. key)
  end
  for key, types in pairs{ id = reply_fit.IDS, success_count = reply_fit.COUNTS, fail_count = reply_fit.COUNTS } do
    reply_fit.typed_fits(resolver, operation.reply, result[key], types, place .. "." .. key)
  end
  if result.failed_rows then
    failed_rows_fit(resolver, operation, result, place .. ".failed_rows")
  end
  if (result.success_count == nil) ~= (result.fail_count == nil) then
    resolver:fault(place, "needs `success_count` and `fail_count` together: they must add up to the rows")
  elseif result.accepted == nil and not (result.success_count or result.status or result.failed_rows) then
    resolver:fault(place, "needs `accepted`, counts, `status` or `failed_rows`: nothing in the reply would account for rows")
  end
end

-- What a row of shape `call` cannot do: the checks over several fields need the whole call, which is made when it leaves.
local function call_fits(resolver, operation, place)
  local rows = operation.rows
  for _, key in ipairs{ "destructive", "probe" } do
    if type(operation[key]) == "table" then
      resolver:fault(place .. ".shape", "`call` does not go with `" .. key .. "`")
    end
  end
  if operation.rules[1] then
    resolver:fault(place .. ".shape", "`call` does not go with `rules`")
  end
  for _, field in ipairs(operation.fields) do
    for _, key in ipairs{ "only_if", "one_of", "not_after" } do
      if field[key] then
        resolver:fault(place .. ".shape", "`call` does not go with `" .. key .. "` of `" .. field.name .. "`: rows of a list are not checked for it")
      end
    end
  end
  if #rows.row.fields == 0 then
    resolver:fault(place .. ".shape", "`call`: the operation has no field that a column could fill")
  end
end

-- Whether the body that an import writes has the rows where the file says, and as many as it allows.
local function place_fits(resolver, operation, place)
  local rows, top = operation.rows, operation.fields[operation.rows.steps[1]]
  local field = row_tree.at(operation.fields, rows.steps)
  if #rows.steps > 1 and operation.body ~= "json" then
    resolver:fault(place .. ".field", "is a path: only a body `json` has objects")
  end
  if rows.shape == "csv" then
    return
  elseif operation.body == "form" and top.where == "form" then
    if rows.shape ~= "value" then
      resolver:fault(place .. ".shape", "`" .. rows.shape .. "` does not go into a form: a list of `value`s does, or one row a call (shape `call`)")
    end
  elseif top.where ~= "json" then
    resolver:fault(place .. ".field", "rows of shape `" .. rows.shape .. "` stand in a body `json`, `ndjson`, `array` or `form`, not in `"
      .. top.where .. "`" .. NO_IMPORT)
  elseif field.join and rows.shape ~= "value" then
    resolver:fault(place .. ".field", "with `join` the rows are one text: that goes with shape `value` only" .. NO_IMPORT)
  end
  if field.join == "" then
    resolver:fault(place .. ".field", "nothing is between the rows (`join` is empty): nobody could tell them apart" .. NO_IMPORT)
  end
  if rows.per_call and field.max_items and rows.per_call > field.max_items then
    resolver:fault(place .. ".per_call", "is over `max_items` of `" .. rows.field .. "`: every full call would be refused")
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
  (rows.is_call and call_fits or place_fits)(resolver, operation, place)
  row_fields_fit(resolver, rows, place)
  columns_fit(resolver, rows, place)
  if rows.aliases then
    aliases_fit(resolver, rows.aliases, rows.shape == "object" and rows.row or {}, place .. ".aliases")
  end
  if rows.file and rows.shape == "csv" then
    row_file_fits(resolver, operation, place)
  end
  if rows.result then
    result_fits(resolver, operation, rows.result, place .. ".result")
  end
  if not rows.is_call then
    key_fits(resolver, operation, place)
  end
end

return M

-- SPDX-License-Identifier: MIT
-- The options of an import: names, types and defaults. A wrong option is a programming error and raises; what depends on the platform or
-- the file is checked elsewhere and returned.

local core = require "campaign.core"
local env_module = require "campaign.env"
local error_object = require "campaign.error"
local merged = require "campaign.merged"
local replacements = require "campaign.replacements"
local sorted = require "campaign.sorted"
local stop_rule = require "campaign.import.run.stop_rule"
local suggest = require "campaign.api.suggest"
local suppress = require "campaign.import.plan.suppress"

local M = {}

---A row of the list as the `map` function sees it; valid only during the call. Fields by name or position; `#row` is the number of
---columns.
---@class campaign.row
---@field [string] string read as texts; may be set to a text, a number, a boolean or nil
---@field [integer] string

---@class campaign.import.options: campaign.run.options see docs/import.md
---@field source string path of a CSV file with a header line, or of an Excel workbook (.xlsx)
---@field to string "platform.operation"
---@field params? table the call's other fields, by wire name
---@field map? table<string, string>|fun(row: campaign.row, number: integer): any, any field → column; or a function that sees each row (docs/map.md)
---@field set? table<string, any> field → one value for all rows
---@field split? table<string, string> field → separator
---@field check? table<string, string> field or column → check
---@field unique? string field or column that identifies rows
---@field suppress? string|table lists of keys that must not be contacted: "FILE:COLUMN", or { file =, column =, field?, form? }, or several
---@field since? string folder of an earlier job whose delivered rows are not sent again
---@field keys? boolean whether the job stores keys of its rows, for a later `since`
---@field on_unmappable? "reject"|"fail"|{ map: string|table<string, string> }
---@field encoding? string
---@field delimiter? string
---@field sheet? string the sheet of a workbook; the first visible one without it
---@field header_row? integer the row of the sheet that names the columns; the first one that is not blank without it
---@field rows_per_call? integer
---@field rows_per_file? integer
---@field overwrite? boolean
---@field accept_public_file? boolean
---@field mark? boolean
---@field job? string the job folder
---@field dry_run? boolean

local TYPES = {
  source = { "string" }, to = { "string" }, account = { "string", "table" }, params = { "table" }, map = { "table", "function" },
  set = { "table" }, split = { "table" }, check = { "table" }, on_unmappable = { "string", "table" }, encoding = { "string" },
  delimiter = { "string" }, rows_per_call = { "number" }, rows_per_file = { "number" }, concurrency = { "number" },
  attempts = { "number" }, bisect = { "number" }, rate = { "number" }, max_reject = { "string", "number" },
  window = { "string" }, busy = { "string" }, overwrite = { "boolean" }, mark = { "boolean" }, job = { "string" },
  dry_run = { "boolean" }, on_progress = { "function" }, env = { "table" }, transport = { "table" },
  accept_public_file = { "boolean" }, unique = { "string" }, suppress = { "table", "string" }, since = { "string" },
  keys = { "boolean" }, open_store = { "function" }, mapped = { "table" },
  sheet = { "string" }, header_row = { "number" }, workbook = { "table" },
}

local REQUIRED = { "source", "to" }

local COUNTS = { rows_per_call = 1000000, rows_per_file = 100000000, concurrency = 1000, attempts = 100, bisect = 999999999, header_row = 1048576 }

-- Those of them that may be 0.
local MAY_BE_ZERO = { bisect = true }

local MOST_RATE = 100000

local WINDOWS = { wait = true, refuse = true, ignore = true }

local function check_type(what, name, value, level)
  for _, wanted in ipairs(TYPES[name]) do
    if type(value) == wanted then
      return
    end
  end
  error(("%s: option `%s` must be a %s, not a %s"):format(what, name, table.concat(TYPES[name], " or a "), type(value)), level + 1)
end

local function text_pairs(options, name, level)
  for key, value in pairs(options[name]) do
    if type(key) ~= "string" or type(value) ~= "string" then
      error(("import: option `%s` maps texts to texts"):format(name), level + 1)
    end
  end
end

-- fail, reject, or a table of replacements.
local function read_unmappable(options, level)
  local given = options.on_unmappable
  if given == nil then
    options.on_unmappable = "reject"
  elseif type(given) == "string" then
    if given ~= "fail" and given ~= "reject" then
      error('import: option `on_unmappable` is "reject", "fail" or { map = ... }', level + 1)
    end
  else
    local map = given.map
    if type(map) == "string" then
      local err
      map, err = replacements.read(map)
      if not map then
        return nil, err
      end
    elseif type(map) ~= "table" then
      error("import: option `on_unmappable` needs `map`: a file or a table", level + 1)
    end
    options.replacements = map
    options.on_unmappable = "reject"
  end
  return true
end

local function check_checks(options)
  local known = core.rows.checks()
  local list = sorted.keys(known)
  for field, name in pairs(options.check) do
    if not known[name] then
      return error_object.refuse{
        kind = "usage",
        message = ('check: "%s" cannot be checked as "%s"%s; checks: %s'):format(
          field, name, suggest.help(name, list), table.concat(list, ", ")),
      }
    end
  end
  return true
end

---Raises for an unknown option, or for a value of the wrong type.
---@param given table
---@param what string who received them, for the message
---@param level integer for the position in error messages
function M.check(given, what, level)
  level = level + 1
  for name, value in pairs(given) do
    if not TYPES[name] then
      error(what .. ": unknown option `" .. tostring(name) .. "`" .. suggest.help(tostring(name), sorted.keys(TYPES)), level)
    end
    check_type(what, name, value, level)
  end
  for name, most in pairs(COUNTS) do
    local value = given[name]
    local least = MAY_BE_ZERO[name] and 0 or 1
    if value ~= nil and (value ~= math.floor(value) or value < least or value > most) then
      error(("%s: option `%s` must be a whole number from %d to %d"):format(what, name, least, most), level)
    end
  end
  if given.rate ~= nil and not (given.rate > 0 and given.rate <= MOST_RATE) then
    error(("%s: option `rate` must be a number of calls per second above 0, at most %d"):format(what, MOST_RATE), level)
  end
  if given.max_reject ~= nil then
    local rule, why = stop_rule.read(given.max_reject)
    if not rule then
      error(what .. ": option `max_reject` " .. why, level)
    end
  end
  if given.window and not WINDOWS[given.window] then
    error(what .. ": option `window` is wait, refuse or ignore", level)
  end
  if given.busy and given.busy ~= "wait" and given.busy ~= "refuse" then
    error(what .. ": option `busy` is wait or refuse", level)
  end
end

---Reads the options of campaign.plan: a copy with defaults. Raises for programming errors.
---@param given table
---@param level integer? for the position in error messages
---@return table? options
---@return campaign.error? err
function M.read(given, level)
  level = (level or 1) + 1
  if type(given) ~= "table" then
    error("import: expected a table of options", level)
  end
  M.check(given, "import", level)
  if given.mapped and not given.mapped.marker then -- `mapped` and `workbook` are set by the product for jobs that it continues
    error("import: unknown option `mapped`; did you mean `map`?", level)
  end
  if given.workbook and not given.workbook.doubtful then
    error("import: unknown option `workbook`; did you mean `sheet`?", level)
  end
  for _, name in ipairs(REQUIRED) do
    if given[name] == nil then
      error("import: option `" .. name .. "` is missing", level)
    end
  end
  local options = merged(given)
  for _, name in ipairs({ "params", "map", "set", "split", "check" }) do
    options[name] = type(given[name]) == "function" and given[name] or merged(given[name])
  end
  for _, name in ipairs({ "map", "split", "check" }) do
    if type(options[name]) == "table" then
      text_pairs(options, name, level)
    end
  end
  options.stop_rule = options.max_reject ~= nil and stop_rule.read(options.max_reject) or nil
  options.window = options.window or "wait"
  options.busy = options.busy or "wait"
  options.encoding = options.encoding or "auto"
  options.delimiter = options.delimiter or ","
  options.attempts = options.attempts or 5
  options.mark = options.mark ~= false
  options.env = options.env or env_module.default()
  local ok, err = read_unmappable(options, level)
  if not ok then
    return nil, err
  end
  options.suppress, err = suppress.read(given.suppress, level)
  if not options.suppress then
    return nil, err
  end
  ok, err = check_checks(options)
  if not ok then
    return nil, err
  end
  return options
end

---Rows per batch: as requested, within the platform's limit.
---@param operation table
---@param options table
---@return integer? rows
---@return campaign.error? err
function M.batch_rows(operation, options)
  local rows = operation.rows
  local is_file = rows.shape == "csv"
  local unfit = is_file and "rows_per_call" or "rows_per_file"
  if options[unfit] then
    return error_object.refuse{
      kind = "usage", platform = operation.platform, operation = operation.name,
      message = ("%s: this operation sends %s; use %s"):format(unfit, is_file and "files" or "calls",
        is_file and "rows_per_file" or "rows_per_call"),
    }
  end
  local count = is_file and (options.rows_per_file or rows.per_file or 100000)
    or options.rows_per_call or rows.per_call or math.min(200, rows.per_call_max or 200)
  if rows.per_call_max and count > rows.per_call_max then
    return error_object.refuse{
      kind = "usage", platform = operation.platform, operation = operation.name,
      message = ("rows_per_call: at most %d rows in a call"):format(rows.per_call_max),
    }
  end
  return count
end

return M

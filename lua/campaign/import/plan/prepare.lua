-- SPDX-License-Identifier: MIT
-- Everything about an import that can be determined before its file is read. Opens files; sends at most the query for the target's columns,
-- after the call was checked. The pass over the rows is in import/plan/preflight.lua.

local call_key = require "campaign.api.call_key"
local core = require "campaign.core"
local folder_module = require "campaign.import.folder"
local layout = require "campaign.import.plan.layout"
local options_module = require "campaign.import.options"
local preflight = require "campaign.import.plan.preflight"
local reading = require "campaign.reading"
local record_module = require "campaign.import.record"
local resume = require "campaign.import.resume"
local row_keys = require "campaign.import.plan.row_keys"
local suppress = require "campaign.import.plan.suppress"
local target = require "campaign.import.target"
local timing = require "campaign.import.run.timing"

local M = {}

---What job.json says. Secrets and personal data stay out of it: params by name only, replacements and constants by count.
---@param state table
---@return table
function M.job_json(state)
  local options, uses, params = state.options, {}, {}
  for i, use in ipairs(state.mapping.uses) do
    uses[i] = { field = use.field, column = use.column, constant = use.constant ~= nil or nil, mark = use.mark }
  end
  for name in pairs(options.params) do
    params[#params + 1] = tostring(name)
  end
  table.sort(params)
  local mapped, workbook = options.mapped, options.workbook
  local info = mapped and mapped.list or workbook and workbook.list or state.input:info()
  return {
    format = folder_module.FORMAT, id = state.id, version = core.version,
    platform = state.platform.name, operation = state.operation.name, account = state.client.account.name,
    base_url = state.client.account.base_url,
    mapped = mapped and { file = folder_module.FILES.mapped, made = mapped.made, refused = mapped.refused, makes = mapped.makes } or nil,
    sheet = workbook and workbook.list and { file = not mapped and folder_module.FILES.sheet or nil, name = workbook.sheet } or nil,
    source = { path = info.path, bytes = info.bytes, mtime = tonumber(info.mtime), encoding = info.encoding, detected = info.detected,
      delimiter = info.delimiter },
    columns = core.json.array(state.columns), fields = core.json.array(uses), unused = core.json.array(state.mapping.unused),
    params = core.json.array(params), checks = options.check, split = options.split,
    on_unmappable = options.on_unmappable, replacements = options.replacements ~= nil,
    unique = options.unique, suppress = suppress.facts(state.suppress), overwrite = options.overwrite or false, window = options.window,
    rows_per_batch = state.batch_rows, concurrency = (timing.in_flight(state.platform, state.operation, options)),
    attempts = options.attempts, rate = options.rate, max_reject = options.max_reject,
  }
end

-- Rows bear the id, by which a batch in doubt finds its results: never that of another job, though many may begin in one second.
local RANDOM_BYTES = 5

local function new_id(env)
  return os.date("%Y%m%d-%H%M%S", math.floor(env.now())) .. "-" .. core.digest.hex(env.random(RANDOM_BYTES))
end

-- Connects to the account, which must be the one that the job was planned for, and checks the closed hours.
local function open_account(state)
  local options, operation = state.options, state.operation
  local err
  state.batch_rows, err = options_module.batch_rows(operation, options)
  if not state.batch_rows then
    return nil, err
  end
  state.client, err = target.connect(options, state.platform, operation)
  if not state.client then
    return nil, err
  end
  state.client:clock():warn(state.warn)
  state.identity = record_module.identity(state.platform, state.client.account)
  if state.record then
    local same
    same, err = resume.same_target(state.record, state.identity)
    if not same then
      return nil, err
    end
  end
  if options.window == "refuse" and not options.dry_run and state.window:opens() then
    return state.window:refuse()
  end
  return true
end

-- The list and its header.
local function open_source(state)
  local options = state.options
  if not state.record and not options.workbook and core.workbook.is_one(options.source) then
    return require("campaign.import.plan.sheet_list").run(state)
  end
  local err
  state.input, err = reading.open(layout.reading(options, { path = options.source, encoding = options.encoding, delimiter = options.delimiter,
    sheet = options.sheet, header_row = options.header_row }))
  if not state.input then
    return nil, err
  end
  state.columns, err = state.input:columns()
  return state.columns ~= nil or nil, err
end

-- The list, and the target's columns where the platform knows them.
local function open_list(state)
  local options = state.options
  if type(options.map) == "function" and (state.record or options.mapped) then
    return require("campaign.import.plan.map_function").refuse_again()
  end
  local ok, err = open_source(state)
  if not ok then
    return nil, err
  end
  local asked = options.env.monotonic()
  state.target_columns, err = target.columns(state.client, state.operation, options)
  state.call_seconds = state.target_columns and options.env.monotonic() - asked
  if err then
    return nil, err
  end
  state.id = state.id or new_id(options.env)
  return true
end

-- Finds which column fills which field. A map function of the user sees the rows first, and its list replaces the original one.
local function map_columns(state)
  local options = state.options
  local mapped = type(options.map) == "function" and require("campaign.import.plan.map_function")
  local ok, err
  if mapped then
    ok, err = mapped.run(state)
    if not ok then
      return nil, err
    end
  end
  state.mapping, err = layout.mapping(state.operation, state.columns, state.target_columns, options, state.id)
  if not state.mapping then
    local workbook = options.workbook
    return nil, workbook and workbook.list and require("campaign.workbook").with_header(err, workbook) or err
  end
  if mapped then
    ok, err = mapped.check(state)
    if not ok then
      return nil, err
    end
  end
  state.shape = record_module.shape(state.mapping, state.columns)
  return true
end

local function open_encoder(state)
  local operation = state.operation
  local envelope, err
  if operation.rows.shape ~= "csv" then
    local prefix, suffix, separator = state.client:envelope(operation.name, call_key.with_place(operation, state.options.params))
    if not prefix then
      return nil, suffix
    end
    envelope = { prefix = prefix, suffix = suffix, separator = separator }
  end
  state.encoder, err = preflight.encoder(operation, state.mapping, envelope, state.options.replacements)
  return state.encoder ~= nil or nil, err
end

-- Loads row keys (of an earlier job, or to be kept) and suppression lists. A job that is continued has applied them in its plan.
local function load_keys(state)
  local options = state.options
  local known = state.record and state.record.plan
  if known then
    return suppress.unchanged(known.suppress, options.env.pause)
  end
  local err
  state.keys, err = row_keys.prepare(options, state.mapping, { platform = state.platform.name, operation = state.operation.name,
    identity = state.identity, id = state.id, bytes = state.input:info().bytes })
  if err then
    return nil, err
  end
  state.handover = state.keys and state.keys.handover
  state.suppress, err = suppress.load(options.suppress, state.mapping.suppress, {
    pause = options.env.pause, stopped = function() return state.stop end,
  })
  return state.suppress ~= nil or nil, err
end

local STEPS = { open_account, open_list, map_columns, open_encoder, load_keys }

---Takes all steps before the pass over the rows: client, input, mapping, encoder, lists of keys.
---@param state table
---@return true? ok
---@return campaign.error? err
function M.prepare(state)
  for _, step in ipairs(STEPS) do
    local ok, err = step(state)
    if not ok then
      return nil, err
    end
  end
  return true
end

return M

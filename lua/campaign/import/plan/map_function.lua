-- SPDX-License-Identifier: MIT
-- `map = function(row) ... end`: calls the function once for every row, before anything is checked, and uses the resulting list as the
-- job's list. From then on the job has no function: nothing depends on what a function would return a second time. core.rows.rewrite
-- provides the rows, plan/row_walk.lua calls the function; see docs/map.md.

local core = require "campaign.core"
local columns_module = require "campaign.import.plan.columns"
local error_object = require "campaign.error"
local folder_module = require "campaign.import.folder"
local kept_list = require "campaign.import.plan.kept_list"
local layout = require "campaign.import.plan.layout"
local names_of = require "campaign.names"
local row_fields = require "campaign.import.plan.row_fields"
local record_module = require "campaign.import.record"
local redact = require "campaign.api.redact"
local row_walk = require "campaign.import.plan.row_walk"
local suggest = require "campaign.api.suggest"

local M = {}

-- Rows between two pauses (progress, stop requests): where other work shares the thread, and where none does.
local FEW_ROWS, MANY_ROWS = 8, 1024

-- Bytes per step where other work shares the thread.
local SHORT_STEP = 32768

-- Bytes of the shortest value that is hidden in messages: shorter ones occur in any text by chance.
local LEAST_HIDDEN = 3

local MOST_TEXT = 500

-- Stack frames that are searched for the line of the script.
local MOST_FRAMES = 40

local CALLER = debug.getinfo(row_walk.plain, "S").short_src

local function fail(reason, message, hint, cause)
  return error_object.refuse{ kind = "usage", reason = reason, message = message, hint = hint, cause = cause }
end

---The refusal of a map function for a job that already has its mapped list.
---@return nil
---@return campaign.error
function M.refuse_again()
  return fail("map", "map: a planned job continues with its mapped list; its function is not called again", "leave `map` out")
end

-- The line of the script in which an error was raised; called in the handler of xpcall.
local function place_of()
  for level = 3, MOST_FRAMES do
    local frame = debug.getinfo(level, "Sl")
    if not frame or frame.short_src == CALLER then
      return nil
    elseif frame.what ~= "C" and frame.currentline > 0 then
      return frame.short_src .. ":" .. frame.currentline
    end
  end
end

local function handler(problem)
  return { problem = problem, place = place_of() }
end

local function at_row(state, rewrite)
  local info = rewrite:info()
  return ("%s, row %d (line %d): "):format(state.options.source, info.rows, info.line)
end

-- The text of a raised value. A __tostring of the script may raise itself, or return no text.
local function text_of(problem)
  local metatable = getmetatable(problem)
  if type(problem) == "string" or type(problem) == "number" or type(metatable) == "table" and rawget(metatable, "__tostring") then
    local ok, text = pcall(tostring, problem)
    if ok and type(text) == "string" then
      return text
    end
  end
  return "an error that is a " .. type(problem)
end

-- What the function raised, without the row's values.
local function raised(state, rewrite, caught)
  local problem, hidden = caught.problem, {}
  if type(problem) == "string" and problem:sub(-12) == "interrupted!" then
    return error_object.refuse{ kind = "cancelled", message = "interrupted" } -- Ctrl-C, not the function
  end
  for _, value in ipairs(rewrite:fields()) do
    hidden[#hidden + 1] = #value >= LEAST_HIDDEN and value or nil
  end
  local text = text_of(problem)
  if caught.place and text:sub(1, #caught.place + 2) == caught.place .. ": " then
    text = text:sub(#caught.place + 3)
  end
  return fail("map", at_row(state, rewrite) .. "the map function raised" .. (caught.place and " at " .. caught.place or "") .. ": "
    .. redact.scrub(text, hidden, MOST_TEXT), "nothing was sent")
end

-- Between calls: lets other work run, reports progress, and stops on request.
local function pause_between(state, rewrite, total)
  local options = state.options
  rewrite:seal(true)
  if options.env.pause then
    options.env.pause()
  end
  state.tell(function()
    local info = rewrite:info()
    return { phase = "mapping", rows = info.rows, bytes = info.bytes, total_bytes = total, rejected = info.refused }
  end)
  rewrite:seal(false)
  if state.stop then
    return error_object.refuse{ kind = "cancelled", message = "the mapping of the list was stopped on request" }
  end
  return true
end

local function each_row(state, rewrite, watch)
  local map, total = state.options.map, state.input:info().bytes
  local pause = state.options.env.pause
  local walk = (pause and row_walk.plain or row_walk.of)(rewrite, map) -- few rows at a time leave little to compile
  local count = pause and FEW_ROWS or MANY_ROWS
  local number = 0
  while number do
    local ok, found, err = xpcall(walk, handler, number, count)
    if not ok then
      return raised(state, rewrite, found)
    elseif err then
      if err.kind == "usage" then
        return fail("map", at_row(state, rewrite) .. err.message, "nothing was sent")
      end
      return nil, err
    end
    number = found
    watch(false)
    ok, err = pause_between(state, rewrite, total)
    if not ok then
      return nil, err
    end
  end
  return true
end

local function finish(state, rewrite)
  local pause = state.options.env.pause
  local done, err
  repeat
    done, err = rewrite:finish(pause and SHORT_STEP or nil)
    if pause then
      pause()
    end
  until done ~= false
  return done, err
end

-- The map from fields to the columns that the function made: they fill the fields of their own names.
local function fields_of(state, info)
  local map, known = {}, {}
  local exact = columns_module.index(state.columns).exact
  for _, field in ipairs(row_fields.list(state.operation, state.target_columns, state.options.params)) do
    known[field.name] = true
  end
  local objects = row_fields.objects(state.operation)
  for _, name in ipairs(info.made) do
    local base = name:match("^([^.]+)%.") -- linear: anchored
    local is_own = row_fields.takes_own(state.operation, objects, name) and (info.makes or not exact[name])
    if known[name] and not row_fields.has_parts(state.operation, name) or base and row_fields.has_parts(state.operation, base) or is_own then
      map[name] = name
    end
  end
  return map
end

-- The columns that must be used, or are taken for misspelt: those that the function made, not those of the list that it changed.
local function slips_of(state, info)
  local exact, slips = columns_module.index(state.columns).exact, {}
  for _, name in ipairs(info.made) do
    slips[#slips + 1] = (info.makes or not exact[name]) and name or nil
  end
  return slips
end

local function open_mapped(state, rewrite, info)
  local options = state.options
  local list = options.workbook and options.workbook.list or state.input:info()
  options.map = fields_of(state, info)
  state.slips = slips_of(state, info)
  options.mapped = {
    marker = info.marker, made = core.json.array(info.made), columns = #state.columns, makes = info.makes, refused = info.refused,
    list = { path = record_module.absolute(list.path), bytes = list.bytes, mtime = ("%.9f"):format(tonumber(list.mtime)), encoding = list.encoding,
      detected = list.detected, delimiter = list.delimiter },
  }
  options.source = state.folder and state.folder.mapped or list.path .. " (mapped)"
  options.encoding, options.delimiter = "utf-8", list.delimiter
  state.input:close()
  local err
  state.input, err = core.rows.input{ path = rewrite:path(), name = options.source, encoding = "utf-8", delimiter = list.delimiter,
    max_record = layout.max_record(options), record_lines = options.workbook ~= nil }
  if not state.input then
    return nil, err
  end
  state.columns, err = state.input:columns()
  return state.columns ~= nil or nil, err
end

---Calls the function for every row. Afterwards the state's input, columns and options are those of the mapped list, which has no name yet.
---@param state table
---@return true? ok
---@return campaign.error? err
function M.run(state)
  local options = state.options
  local place, keeps = kept_list.folder(state)
  if not place then
    return nil, keeps
  end
  local rewrite, err = core.rows.rewrite(state.input, { folder = place, keep = keeps, eager = not options.env.pause,
    shown = columns_module.shown(state.columns) })
  if not rewrite then
    return folder_module.trouble(place, err)
  end
  state.rewrite = rewrite -- closed with the job
  local ok
  local watch = options.env.pause and function() end or row_walk.collect_early()
  ok, err = each_row(state, rewrite, watch)
  watch(true)
  if ok then
    ok, err = finish(state, rewrite)
  end
  if not ok then
    return nil, err
  end
  local info = rewrite:info()
  if info.rows == 0 then
    return error_object.refuse{ kind = "invalid", reason = "no_rows",
      message = options.source .. " has a header line and no rows: there is nothing to import" }
  end
  return open_mapped(state, rewrite, info)
end

---Checks that all columns which the function made are used.
---@param state table with its mapping
---@return true? ok
---@return campaign.error? err
function M.check(state)
  local unused, names = {}, names_of(row_fields.list(state.operation, state.target_columns, state.options.params))
  for _, name in ipairs(state.mapping.unused) do
    unused[name] = true
  end
  for _, name in ipairs(state.slips) do
    if unused[name] then
      return fail("map", ('map: the function created "%s", which is not used: no field of a row has that name%s; there is %s'):format(name,
        suggest.help(name, names), columns_module.shown(names)), "only what is sent, checked, or told apart by can be made")
    end
  end
  return true
end

---Gives the mapped list its final name in the job folder.
---@param state table
---@return true? ok
---@return campaign.error? err
function M.place(state)
  local ok, err = kept_list.place(state, state.rewrite, state.folder.mapped)
  if ok then
    state.rewrite = nil
  end
  return ok, err
end

return M

-- SPDX-License-Identifier: MIT
-- Suppression lists: files whose keys say who must not be contacted. Parses the option ("dnc.csv:phone"), finds the column on both sides,
-- loads each list completely or fails, and detects later whether a list has changed since the plan. The core compares rows with keys.

local columns_module = require "campaign.import.plan.columns"
local core = require "campaign.core"
local error_object = require "campaign.error"
local reading = require "campaign.reading"
local record_module = require "campaign.import.record"
local suggest = require "campaign.api.suggest"
local workbook = require "campaign.workbook"

local M = {}

M.MOST = 64 -- lists of one import

local FORMS = { text = true, email = true, phone = true }

-- Names of columns by which the form of their keys is recognized if neither the platform's data nor a check tells it.
local CALLED = {
  phone = { "phone", "mobile", "tel", "telephone", "msisdn", "手机", "手机号", "手机号码", "电话", "电话号码", "联系电话", "号码" },
  email = { "email", "e-mail", "mail", "邮箱", "电子邮箱", "邮件" },
}

local CHECKED = { mobile_cn = "phone", phone_e164 = "phone", email = "email" }

-- Bytes per step, and per step where other work shares the thread.
local STEP, SHORT_STEP = 1048576, 32768

---@class campaign.suppression
---@field file string
---@field column string|integer a name, or the number of a column of a file without a header line
---@field field string? field or column of the imported list; default: that of the same name
---@field form "text"|"email"|"phone"|nil how keys are compared; default: by what the field is
---@field label string what reports call the list

local function usage(message, hint)
  return error_object.refuse{ kind = "usage", message = "suppress: " .. message, hint = hint }
end

-- The position of the last occurrence of a character.
local function last(text, character)
  for at = #text, 1, -1 do
    if text:sub(at, at) == character then
      return at
    end
  end
end

---Reads FILE:COLUMN[=FIELD[:FORM]]; COLUMN may be #N, the N-th column of a file without a header line.
---@param text string
---@return table? suppression file, column, field?, form?
---@return string? problem
function M.parse(text)
  local entry, left = {}, text
  local equals = last(text, "=")
  if equals and last(text:sub(1, equals - 1), ":") then
    left = text:sub(1, equals - 1)
    entry.field = text:sub(equals + 1)
    local colon = last(entry.field, ":")
    if colon then
      entry.field, entry.form = entry.field:sub(1, colon - 1), entry.field:sub(colon + 1)
    end
  end
  local colon = last(left, ":")
  entry.file, entry.column = left:sub(1, (colon or 0) - 1), colon and left:sub(colon + 1) or ""
  if not colon or entry.file == "" or entry.column == "" or entry.field == "" then
    return nil, ('"%s" is not of the form FILE:COLUMN, FILE:COLUMN=FIELD or FILE:COLUMN=FIELD:FORM'):format(text)
  end
  if entry.column:find("^#%d+$") and #entry.column < 6 then
    entry.column = tonumber(entry.column:sub(2))
  end
  return entry
end

---Reads the option: one list or several, each as a text or a table. Raises for what only a wrong program gives.
---@param given any
---@param level integer
---@return campaign.suppression[]? list
---@return campaign.error? err
function M.read(given, level)
  local function raise(message)
    error("import: option `suppress`: " .. message, level + 2)
  end
  if given == nil then
    return {}
  elseif type(given) == "string" or type(given) == "table" and given.file then
    given = { given }
  end
  local list = {}
  for i, entry in ipairs(given) do
    if type(entry) == "string" then
      local problem
      entry, problem = M.parse(entry)
      if not entry then
        return usage(problem)
      end
    elseif type(entry) ~= "table" then
      raise("expected a list of tables { file =, column =, field = }")
    end
    for name in pairs(entry) do
      if name ~= "file" and name ~= "column" and name ~= "field" and name ~= "form" and name ~= "label" then
        raise("unknown field `" .. tostring(name) .. "`")
      end
    end
    if type(entry.file) ~= "string" or entry.field ~= nil and type(entry.field) ~= "string"
      or type(entry.column) ~= "string" and type(entry.column) ~= "number" then
      raise("entry " .. i .. " needs `file` and `column`, and perhaps `field`")
    elseif type(entry.column) == "number" and (entry.column < 1 or entry.column ~= math.floor(entry.column)) then
      raise("`column` is a name or a number from 1")
    end
    if entry.form ~= nil and not FORMS[entry.form] then
      return usage(('"%s" is not a form of keys; there are email, phone, text'):format(tostring(entry.form)))
    end
    if type(entry.column) == "number" and not entry.field then
      return usage(("%s: say which field column %d is compared with: %s:#%d=FIELD"):format(entry.file, entry.column, entry.file, entry.column))
    end
    local column = type(entry.column) == "number" and ("#%d"):format(entry.column) or entry.column
    list[i] = { file = entry.file, column = entry.column, field = entry.field, form = entry.form,
      label = entry.label or entry.file .. ":" .. column }
  end
  for key in pairs(given) do
    if type(key) ~= "number" then
      raise("expected a list")
    end
  end
  if #list > M.MOST then
    return usage(("at most %d lists"):format(M.MOST))
  end
  return list
end

---The field that a list is compared with, as the mapping looks for it.
---@param entry campaign.suppression
---@return string?
function M.field_of(entry)
  return entry.field or type(entry.column) == "string" and entry.column or nil
end

---How keys of a field are compared: by the platform's data, by its check, by its names.
---@param use table of the mapping: redact?, check?, names
---@return "text"|"email"|"phone"
function M.form(use)
  if use.redact == "phone" then
    return "phone"
  elseif CHECKED[use.check] then
    return CHECKED[use.check]
  end
  for _, form in ipairs({ "phone", "email" }) do
    local index = columns_module.index(use.names)
    for _, called in ipairs(CALLED[form]) do
      if columns_module.named(index, called) then
        return form
      end
    end
  end
  return "text"
end

-- An error about the file as an error about the suppression list.
local function refuse(entry, err)
  return error_object.refuse{
    kind = err.kind, reason = err.reason, code = err.code, cause = err,
    message = ("suppression list %s: %s"):format(entry.label, err.message),
    hint = err.hint or "nothing is sent while a list of people who must not be contacted cannot be read completely",
  }
end

-- Refuses a workbook with cells without a value in the column: a key that cannot be read would exclude nobody.
local function refuse_doubts(entry, opened, column)
  for _, doubt in ipairs(opened and opened.doubts or {}) do
    if doubt.column == column then
      return refuse(entry, { kind = "invalid", message = workbook.doubt(doubt, "#" .. column), hint = workbook.advice(doubt) })
    end
  end
  return true
end

local function open_list(entry, use, work)
  local has_header = type(entry.column) == "string"
  local input, err = reading.open{ path = entry.file, delimiter = "auto", header = has_header, stopped = work.stopped }
  if not input then
    if err.kind == "cancelled" then
      return nil, err
    end
    return refuse(entry, err)
  end
  local opened = err
  local names
  names, err = input:columns()
  if not names then
    input:close()
    return refuse(entry, err)
  end
  local column = entry.column
  if has_header then
    column = columns_module.named(columns_module.index(names), column)
    if not column then
      input:close()
      return usage(('%s has no column "%s"%s; it has %s'):format(entry.file, entry.column, suggest.help(entry.column, names),
        columns_module.shown(names)),
        "a list without a header line is read with the number of its column: " .. entry.file .. ":#1=" .. (use.name or "FIELD"))
    end
  end
  local fine
  fine, err = refuse_doubts(entry, opened, column)
  if not fine then
    input:close()
    return nil, err
  end
  local list
  list, err = core.rows.key_list(input, { column = column, form = entry.form or M.form(use),
    header = has_header })
  input:close()
  if not list then
    return refuse(entry, err)
  end
  return list, opened and opened.list
end

-- Whether the workbook is unchanged since its sheet was read, so that its checksum belongs to what was read.
local function is_same(found, list)
  return list == nil or found ~= nil and found.size == list.bytes and found.mtime == list.mtime
end

---SHA-256 of a file, read in pieces.
---@param path string
---@param pause fun()?
---@return string? sum in hex
---@return string? problem
function M.sum(path, pause)
  local file, problem = io.open(path, "rb")
  if not file then
    return nil, problem
  end
  local digest = core.digest.sha256_start()
  while true do
    local bytes = file:read(pause and SHORT_STEP or 262144)
    if not bytes then
      break
    end
    digest:update(bytes)
    if pause then
      pause()
    end
  end
  file:close()
  return digest:finish()
end

local function read_whole(list, work)
  while true do
    local more, err = list:step(work.pause and SHORT_STEP or STEP)
    if not more then
      return err == nil or nil, err
    end
    if work.pause then
      work.pause()
    end
    if work.stopped and work.stopped() then
      return error_object.refuse{ kind = "cancelled", message = "the preflight was stopped on request" }
    end
  end
end

local function load(entry, use, work)
  local list, err = open_list(entry, use, work)
  if not list then
    return nil, err
  end
  local sheet = err
  local sum, problem = M.sum(entry.file, work.pause)
  if not sum or not is_same(core.system.stat(entry.file, true), sheet) then
    list:close()
    return usage(sum and entry.file .. ": the workbook was changed while it was read; start again with the new one" or tostring(problem))
  end
  local ok
  ok, err = read_whole(list, work) -- it compares the file's size and time with those from before the sum was made
  if not ok then
    list:close()
    if err.kind == "cancelled" then
      return nil, err
    end
    return refuse(entry, err)
  end
  local info = list:info()
  if info.keys == 0 then
    list:close()
    return error_object.refuse{
      kind = "invalid", reason = "no_rows",
      message = ("suppression list %s has no keys: it would exclude nobody"):format(entry.label),
      hint = "omit the list if that is intended",
    }
  end
  local facts = {
    file = record_module.absolute(entry.file), label = entry.label, field = use.name, form = entry.form or M.form(use), sha256 = sum,
    keys = info.keys, rows = info.rows, empty = info.empty, repeated = info.repeated, unusual = info.unusual,
    suppressed = 0,
  }
  return { list = list, column = use.column, facts = facts }
end

---Loads all lists.
---@param entries campaign.suppression[]
---@param uses table[] of each, from the mapping: `column` of the imported file, `name`, and what `form` asks for
---@param work table pause?, stopped?
---@return table[]? loaded `list`, `column`, `facts`
---@return campaign.error? err
function M.load(entries, uses, work)
  local loaded = {}
  for i, entry in ipairs(entries) do
    local err
    loaded[i], err = load(entry, uses[i], work)
    if not loaded[i] then
      M.close(loaded)
      return nil, err
    end
  end
  return loaded
end

---The facts about the lists that a plan records.
---@param loaded table[]
---@return table[]? facts nil when there is none
function M.facts(loaded)
  local facts = {}
  for i, entry in ipairs(loaded) do
    facts[i] = entry.facts
  end
  return facts[1] and core.json.array(facts) or nil
end

---@param loaded table[]?
function M.close(loaded)
  for _, entry in ipairs(loaded or {}) do
    entry.list:close()
  end
end

---Checks that the lists are those that a job was planned with: people who were added since must not be contacted.
---@param facts table[]? of the plan
---@param pause fun()?
---@return true? ok
---@return campaign.error? err
function M.unchanged(facts, pause)
  for _, fact in ipairs(facts or {}) do
    local sum, problem = M.sum(fact.file, pause)
    if sum ~= fact.sha256 then
      return error_object.refuse{
        kind = "ledger", reason = "changed",
        message = ("suppression list %s %s"):format(fact.label, sum and "has changed since the job was planned"
          or "cannot be read any more: " .. tostring(problem)),
        hint = "people added since must not be contacted: restore the old list, or import the remaining rows as a new job with the new one",
      }
    end
  end
  return true
end

return M

-- SPDX-License-Identifier: MIT
-- A platform's data as short phrases and flat lists: the basis of `campaign describe` and of the Markdown reference. Pure: takes the loaded
-- form of a platform, prints nothing.

local hashing = require "campaign.api.hashing"

local M = {}

M.EFFECTS = {
  safe = "changes nothing", idempotent = "sent twice it changes things once", append = "adds to what is there",
  replace = "replaces what is there", create = "makes something new", update = "changes something", delete = "removes something",
}

local PATTERNS = {
  identifier = "letters, digits and underscores", mobile_cn = "a mobile number of 11 digits", url = "an absolute http or https URL",
  text = "no control characters", clock_or_datetime = "HH:mm, HH:mm:ss or yyyy-MM-dd HH:mm:ss",
}

---How requests of an operation prove who they are, as docs/contracts/endpoints.tsv writes it.
---@param operation campaign.operation
---@return string
function M.auth(operation)
  local scheme = operation.scheme
  if not scheme then
    return "none"
  end
  if scheme.kind == "signature" then
    return "signature:" .. scheme.algorithm
  end
  if scheme.header or scheme.prefix then
    return "header:" .. (scheme.header or "Authorization")
  end
  if scheme.field or scheme.query then
    return scheme.field and "form:" .. scheme.field or "query:" .. scheme.query
  end
  return scheme.kind == "basic" and "basic" or "bearer"
end

---Where a token comes from that the client gets by itself; nil for other schemes.
---@param scheme table
---@return string?
function M.tokens(scheme)
  if scheme.kind ~= "oauth2" then
    return nil
  end
  local got = scheme.obtain and "obtained by `" .. scheme.obtain .. "`" or "first given in the account"
  return got .. (scheme.refresh and ", renewed by `" .. scheme.refresh .. "`" or ", and again before it ends")
end

---@param field campaign.field
---@return string
function M.type_text(field)
  if field.type == "array" then
    return "list of " .. M.type_text(field.items)
  end
  if field.shape then
    return field.shape
  end
  return field.type or "string"
end

local function values_text(values, separator)
  local texts = {}
  for index, value in ipairs(values) do
    texts[index] = tostring(value)
  end
  return table.concat(texts, separator)
end
M.values_text = values_text

local function when_text(when)
  if when.is then
    return when.field .. " is " .. values_text(when.is, " or ")
  end
  return when.field .. (when.given and " is given" or " is not given")
end

-- `unit` is plural and begins with a space, or empty.
local function range_text(least, most, unit)
  if (most or least) == 1 then
    unit = unit:gsub("entries", "entry"):gsub("s$", ""):gsub("s %(", " (")
  end
  if least and most then
    return least == most and tostring(least) .. unit or least .. " to " .. most .. unit
  end
  if least then
    return "at least " .. least .. unit
  end
  return most and "at most " .. most .. unit
end

local UNITS = { byte = " bytes", utf16 = " characters (UTF-16 units)" }

local ESCAPED = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

-- The members of a group, or its name when they are not known.
local function group_text(group, key, siblings)
  local names = {}
  for _, field in ipairs(siblings or {}) do
    names[#names + 1] = field[key] == group and field.name or nil
  end
  return #names > 0 and table.concat(names, ", ") or "the group '" .. group .. "'"
end

---The rules of one field as short phrases.
---@param field campaign.field
---@param without_values boolean? the list of values is shown elsewhere
---@param siblings table? the fields beside it, which name the members of its group
---@return string[]
function M.rules_of(field, without_values, siblings)
  local rules = {}
  local function add(condition, text)
    if condition then
      rules[#rules + 1] = text or condition
    end
  end
  if field.values and #field.values > 0 and not without_values then
    local values = {}
    for index, entry in ipairs(field.values) do
      values[index] = tostring(entry.value) .. (entry.doc and " (" .. entry.doc .. ")" or "")
    end
    add("one of " .. table.concat(values, ", ") .. (field.values.open and ", or others" or ""))
  end
  add(range_text(field.min, field.max, ""))
  add(range_text(field.min_length, field.max_length, UNITS[field.unit] or " characters"))
  add(range_text(field.min_items, field.max_items, " entries"))
  add(field.not_blank, "not blank")
  add(field.pattern and "form: " .. PATTERNS[field.pattern])
  add(field.forbid and "without any of '" .. field.forbid .. "'")
  add(field.required_if and "required if " .. when_text(field.required_if))
  add(field.only_if and "only if " .. when_text(field.only_if))
  add(field.one_of and "exactly one of " .. group_text(field.one_of, "one_of", siblings))
  add(field.any_of and "at least one of " .. group_text(field.any_of, "any_of", siblings))
  add(field.not_after and "not after " .. field.not_after)
  add(field.whole_minutes, "whole minutes")
  add(field.call_key, "made for each call, and the same for its repeats, unless given")
  add(field.join and "sent as one text, joined by '" .. field.join:gsub("%c", ESCAPED) .. "', and may be given so")
  add(field.hash and hashing.phrase(field.hash))
  if field.default ~= nil then
    add("default " .. tostring(field.default))
  end
  if field.constant ~= nil then
    add("always " .. tostring(field.constant))
  end
  if field.type == "array" and field.items and field.items.type ~= "object" then
    for _, rule in ipairs(M.rules_of(field.items, without_values)) do
      add("each: " .. rule)
    end
  end
  return rules
end

---Request fields that an account's value fills: name → account key.
---@param platform campaign.platform
---@return table<string, string>
function M.filled_by_account(platform)
  local filled = {}
  for _, key in ipairs(platform.account) do
    if key.fills then
      filled[key.fills] = key.name
    end
  end
  return filled
end

---Names of the waiters that ask an operation (of all, without one), sorted.
---@param platform campaign.platform
---@param operation campaign.operation?
---@return string[]
function M.waiters(platform, operation)
  local names = {}
  for name, waiter in pairs(platform.waiters) do
    if not operation or waiter.operation == operation.name then
      names[#names + 1] = name
    end
  end
  table.sort(names)
  return names
end

local function flatten(fields, prefix, entries, filled)
  for _, field in ipairs(fields) do
    local path = prefix .. field.name
    local inner = field.type == "array" and field.items or field
    local rules = M.rules_of(field, false, fields)
    if filled and inner and inner.open then
      rules[#rules + 1] = (field.type == "array" and "each " or "") .. "may have other fields, too"
    end
    entries[#entries + 1] = {
      path = path, type = M.type_text(field), required = field.required or false, where = field.where,
      rules = rules, doc = field.doc, source = field.source, account = filled and prefix == "" and filled[field.name] or nil,
    }
    if inner and inner.fields then
      flatten(inner.fields, path .. (field.type == "array" and "[0]." or "."), entries, filled)
    end
  end
  return entries
end

---One entry per field of a request or reply, inner fields after their own: path, type, required, place, rules, doc.
---@param description table with `fields`, or a description of a list
---@param filled table<string, string>? of a request: from `filled_by_account`
---@return table[]
function M.flatten(description, filled)
  if description.type == "array" then
    return flatten(description.items.fields or {}, "[0].", {}, filled)
  end
  return flatten(description.fields or {}, "", {}, filled)
end

return M

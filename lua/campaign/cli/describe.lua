-- SPDX-License-Identifier: MIT
-- `campaign describe PLATFORM.OPERATION`: what the platform's data says about one operation, for people (or, with --json, programs).

local core = require "campaign.core"
local output = require "campaign.cli.output"
local target = require "campaign.cli.target"

local M = {}

local EFFECTS = {
  safe = "changes nothing", idempotent = "sent twice it changes things once", append = "adds to what is there",
  replace = "replaces what is there", create = "makes something new", update = "changes something", delete = "removes something",
}

local function type_text(field)
  if field.type == "array" then
    return "list of " .. type_text(field.items)
  end
  if field.shape then
    return field.shape
  end
  return field.type or "string"
end

local function when_text(when)
  if when.is then
    local values = {}
    for index, value in ipairs(when.is) do
      values[index] = tostring(value)
    end
    return when.field .. " is " .. table.concat(values, " or ")
  end
  return when.field .. (when.given and " is given" or " is not given")
end

local function range_text(least, most, unit)
  if least and most then
    return least == most and tostring(least) .. unit or least .. " to " .. most .. unit
  end
  if least then
    return "at least " .. least .. unit
  end
  return most and "at most " .. most .. unit
end

-- The rules of one field as short phrases.
local function rules_of(field)
  local rules = {}
  local function add(text)
    if text then
      rules[#rules + 1] = text
    end
  end
  if field.values and #field.values > 0 then
    local values = {}
    for index, entry in ipairs(field.values) do
      values[index] = tostring(entry.value) .. (entry.doc and " (" .. entry.doc .. ")" or "")
    end
    add("one of " .. table.concat(values, ", ") .. (field.values.open and ", or others" or ""))
  end
  add(range_text(field.min, field.max, ""))
  add(range_text(field.min_length, field.max_length, field.unit == "byte" and " bytes" or " characters"))
  add(range_text(field.min_items, field.max_items, (field.max_items or field.min_items) == 1 and " entry" or " entries"))
  if field.not_blank then
    add("not blank")
  end
  if field.pattern then
    add("form: " .. field.pattern)
  end
  if field.forbid then
    add("without any of '" .. field.forbid .. "'")
  end
  if field.required_if then
    add("required if " .. when_text(field.required_if))
  end
  if field.only_if then
    add("only if " .. when_text(field.only_if))
  end
  if field.one_of then
    add("exactly one of the group '" .. field.one_of .. "'")
  end
  if field.any_of then
    add("at least one of the group '" .. field.any_of .. "'")
  end
  if field.not_after then
    add("not after " .. field.not_after)
  end
  if field.whole_minutes then
    add("whole minutes")
  end
  if field.join then
    add("sent as one text, joined by '" .. field.join .. "'")
  end
  if field.default ~= nil then
    add("default " .. tostring(field.default))
  end
  if field.constant ~= nil then
    add("always " .. tostring(field.constant))
  end
  return rules
end

-- One entry per field, inner fields after their own: path, type, required, place, rules, doc.
local function flatten(fields, prefix, entries, filled)
  for _, field in ipairs(fields) do
    local path = prefix .. field.name
    local inner = field.type == "array" and field.items or field
    entries[#entries + 1] = {
      path = path, type = type_text(field), required = field.required or false, where = field.where,
      rules = rules_of(field), doc = field.doc, source = field.source, account = prefix == "" and filled[field.name] or nil,
    }
    if inner and inner.fields then
      flatten(inner.fields, path .. (field.type == "array" and "[0]." or "."), entries, filled)
    end
  end
  return entries
end

-- Request fields that an account's value fills: name → account key.
local function filled_by_account(platform)
  local filled = {}
  for _, key in ipairs(platform.account) do
    if key.fills then
      filled[key.fills] = key.name
    end
  end
  return filled
end

local SAMPLES = {
  string = "text", integer = "1", int64 = "1", number = "1.5", boolean = "true", datetime = "'2026-10-01 09:00:00'",
  date = "2026-10-01", file = "FILE", any = "text",
}

local function sample_of(field)
  if field.values and field.values[1] then
    return tostring(field.values[1].value)
  end
  return SAMPLES[field.type] or "text"
end

-- -p options for the required fields of a list, at most a line or two of them.
local function example_parameters(fields, prefix, filled, parts)
  local groups = {} -- of which one member is shown already
  for _, field in ipairs(fields) do
    local group = field.one_of or field.any_of
    local wanted = field.required or (group and not groups[group])
    if group then
      groups[group] = true
    end
    if wanted and not (prefix == "" and filled[field.name]) and field.constant == nil then
      local path = prefix .. field.name
      local inner = field
      if field.type == "array" then
        path = path .. "[0]"
        inner = field.items
      end
      if inner.type == "object" and inner.fields and #inner.fields > 0 then
        local before = #parts
        example_parameters(inner.fields, path .. ".", filled, parts)
        if #parts == before then
          parts[#parts + 1] = "-p " .. path .. "." .. inner.fields[1].name .. "=" .. sample_of(inner.fields[1])
        end
      elseif inner.type == "object" or inner.type == "array" then
        parts[#parts + 1] = "-p '" .. path .. (inner.type == "array" and ":=[\"text\"]'" or ":={}'")
      else
        parts[#parts + 1] = "-p " .. path .. "=" .. sample_of(inner)
      end
    end
  end
  return parts
end

local function example_of(operation, filled)
  local parts = example_parameters(operation.fields, "", filled, {})
  if operation.public then
    parts[#parts + 1] = "--accept-public-file"
  end
  if operation.response == "binary" then
    parts[#parts + 1] = "--out FILE"
  end
  table.insert(parts, 1, "campaign call " .. operation.key)
  return table.concat(parts, " ")
end

local function describe(platform, operation)
  local filled = filled_by_account(platform)
  local reply = operation.reply or {}
  return {
    operation = operation.key, title = platform.title, doc = operation.doc, method = operation.method, path = operation.path,
    auth = target.auth(operation), request_body = operation.body, response = operation.response, effect = operation.effect,
    source = operation.source, public = operation.public or nil, rules = operation.rules,
    window = operation.closed and { from = operation.closed.from, to = operation.closed.to, zone = platform.zone,
      doc = operation.closed.doc } or nil,
    rows = operation.rows and { field = operation.rows.field, shape = operation.rows.shape, per_call = operation.rows.per_call,
      per_file = operation.rows.per_file } or nil,
    fields = flatten(operation.fields, "", {}, filled),
    reply = flatten(reply.fields or {}, "", {}, {}),
    example = example_of(operation, filled),
  }
end

local function print_fields(title, entries)
  io.stdout:write("\n", title, "\n")
  for _, entry in ipairs(entries) do
    local marks = { entry.type }
    if entry.where then
      marks[#marks + 1] = "in " .. entry.where
    end
    if entry.required then
      marks[#marks + 1] = "required"
    end
    if entry.account then
      marks[#marks + 1] = "filled from the account's " .. entry.account
    end
    io.stdout:write("  ", entry.path, "  (", table.concat(marks, ", "), ")\n")
    if entry.doc then
      io.stdout:write("      ", entry.doc, "\n")
    end
    for _, rule in ipairs(entry.rules) do
      io.stdout:write("      - ", rule, "\n")
    end
  end
end

local function print_text(d)
  io.stdout:write(d.operation, ": ", d.doc, "\n\n")
  local facts = {
    { "request", d.method .. " " .. d.path .. (d.request_body ~= "none" and " (" .. d.request_body .. ")" or "") },
    { "reply", d.response },
    { "auth", d.auth },
    { "effect", d.effect .. ": " .. (EFFECTS[d.effect] or "") },
  }
  if d.window then
    facts[#facts + 1] = { "closed", d.window.from .. " to " .. d.window.to .. " (UTC" .. d.window.zone .. ")" }
  end
  if d.public then
    facts[#facts + 1] = { "public", "what it uploads can be read by anyone; needs --accept-public-file" }
  end
  if d.rows then
    local most = d.rows.per_call or d.rows.per_file
    facts[#facts + 1] = { "rows", "campaign import --to " .. d.operation .. " fills " .. d.rows.field
      .. (most and ", " .. most .. " rows at a time" or "") }
  end
  if #d.rules > 0 then
    facts[#facts + 1] = { "rules", table.concat(d.rules, ", ") }
  end
  facts[#facts + 1] = { "source", d.source }
  output.columns(facts)
  if #d.fields > 0 then
    print_fields("Fields", d.fields)
  end
  if #d.reply > 0 then
    print_fields("Reply", d.reply)
  end
  io.stdout:write("\nExample\n  ", d.example, "\n")
end

function M.run(given)
  local platform, operation = target.find(given.operation)
  if not platform then
    return output.fail(operation, given)
  end
  local description = describe(platform, operation)
  if given.json then
    for _, list in ipairs{ description.fields, description.reply } do
      for _, entry in ipairs(list) do
        entry.rules = core.json.array(entry.rules)
      end
    end
    description.fields = core.json.array(description.fields)
    description.reply = core.json.array(description.reply)
    description.rules = core.json.array(description.rules)
    output.json(description)
    return 0
  end
  print_text(description)
  return 0
end

return M

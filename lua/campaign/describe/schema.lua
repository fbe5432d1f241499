-- SPDX-License-Identifier: MIT
-- JSON Schema (2020-12, as OpenAPI 3.1 uses it) of a platform's fields and types. Requests are described as strictly as the client checks
-- them, replies as tolerantly as it reads them. What JSON Schema cannot express is in x-campaign-... keys.

local core = require "campaign.core"
local hashing = require "campaign.api.hashing"

local M = {}

local list = core.json.array

local PATTERNS = {
  identifier = "^[A-Za-z0-9_]+$", mobile_cn = "^1[3-9][0-9]{9}$", url = "^[Hh][Tt][Tt][Pp][Ss]?://[^\\s/?#]\\S*$",
  text = "^[^\\u0000-\\u001f\\u007f]*$",
  clock_or_datetime = "^([0-9]{4}-[0-9]{2}-[0-9]{2} )?[0-9]{2}:[0-9]{2}(:[0-9]{2})?$",
}
local DATETIME = "^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}$"
local MINUTES = "^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:00$"

local TYPES = { string = "string", integer = "integer", int64 = "integer", number = "number", boolean = "boolean", datetime = "string",
  date = "string", file = "string" }

---A copy of the platform's data with lists marked for JSON.
---@param value any
---@return any
function M.plain(value)
  if type(value) ~= "table" then
    return value
  end
  local copy = {}
  for key, inner in pairs(value) do
    copy[key] = M.plain(inner)
  end
  return #copy > 0 and list(copy) or copy
end

local Schemas = {}
Schemas.__index = Schemas

local function collect(description, side, sides)
  if description.shape then
    sides[description.shape] = sides[description.shape] or {}
    if sides[description.shape][side] then
      return
    end
    sides[description.shape][side] = true
  end
  for _, field in ipairs(description.fields or description.items and { description.items } or {}) do
    collect(field, side, sides)
  end
end

---Which named types are used in requests and which in replies: those used in both are described twice.
---@param platform campaign.platform
---@return table<string, { request: boolean?, reply: boolean? }>
function M.sides(platform)
  local sides = {}
  for _, operation in ipairs(platform.operations) do
    collect({ fields = operation.fields }, "request", sides)
    if operation.response == "json" then
      collect(operation.reply, "reply", sides)
    end
  end
  return sides
end

---Begins the schemas of a platform; `components` collects those of named types.
---@param platform campaign.platform
---@return table schemas
function M.new(platform)
  return setmetatable({ platform = platform, sides = M.sides(platform), components = {} }, Schemas)
end

local function add_doc(schema, field)
  schema.description = field.doc
  if field.source then
    schema["x-campaign-source"] = field.source
  end
  if field.redact then
    schema["x-campaign-personal"] = true
  end
end

local function add_values(schema, field, is_reply)
  local values, docs, has_docs = {}, {}, false
  for index, entry in ipairs(field.values) do
    values[index] = entry.value
    if entry.doc then
      docs[tostring(entry.value)], has_docs = entry.doc, true
    end
  end
  if has_docs then
    schema["x-campaign-values"] = docs
  end
  for raw in pairs(is_reply and field.map or {}) do
    values[#values + 1] = raw
  end
  if is_reply or field.values.open then
    schema["x-campaign-known-values"] = list(values) -- others are read, and where the list is open, sent as well
  else
    schema.enum = list(values)
  end
end

local function add_limits(schema, field)
  schema.minimum, schema.maximum = field.min, field.max
  if field.type == "int64" then
    schema.format = "int64"
  elseif field.type == "integer" then
    schema.minimum = field.min or -9007199254740991
    schema.maximum = field.max or 9007199254740991
  elseif field.type == "file" then
    schema.format = "binary"
    schema.contentMediaType = field.content_type
  elseif field.type == "date" then
    schema.format = "date"
  elseif field.type == "datetime" then
    schema.pattern = field.whole_minutes and MINUTES or DATETIME
  elseif field.hash then
    schema.pattern, schema["x-campaign-hash"] = hashing.pattern(field.hash), M.plain(field.hash)
  elseif field.type == "string" then
    schema.minLength = field.min_length or (field.required and not field.values and 1 or nil)
    schema.maxLength = field.max_length
    if field.unit then
      schema["x-campaign-length-unit"] = field.unit
    end
    if field.pattern then
      schema.pattern = PATTERNS[field.pattern]
    elseif field.forbid then
      schema.pattern = "^[^" .. field.forbid:gsub("[%^%]\\-]", "\\%0") .. "]*$"
    elseif field.not_blank then
      schema.pattern = "\\S"
    end
  end
end

local function nullable(schema)
  if schema["$ref"] or schema.allOf then
    return { anyOf = list{ schema, { type = "null" } } }
  end
  if type(schema.type) == "string" then
    schema.type = list{ schema.type, "null" }
  elseif schema.type then
    local types = { "null" }
    for _, name in ipairs(schema.type) do
      table.insert(types, #types, name)
    end
    schema.type = list(types)
  end
  return schema
end

local function scalar_schema(field, is_reply)
  local schema = {}
  if field.type == "any" then
    add_doc(schema, field)
    return schema
  end
  schema.type = TYPES[field.type]
  add_doc(schema, field)
  if field.values then
    add_values(schema, field, is_reply)
  end
  if is_reply then
    if field.type == "int64" then
      schema.format = "int64"
    end
    local types = { [schema.type] = true }
    local names = { schema.type }
    for _, other in ipairs(field.also or {}) do
      local name = TYPES[other]
      if not types[name] then
        types[name], names[#names + 1] = true, name
      end
    end
    if field.type == "int64" then
      names[#names + 1] = "string"
    end
    schema.type = #names > 1 and list(names) or schema.type
    return schema
  end
  add_limits(schema, field)
  if field.constant ~= nil then
    schema.const = field.constant
  end
  schema.default = field.default
  if field.example ~= nil and field.constant == nil and not field.hash then
    schema.examples = list{ field.type == "int64" and core.json.literal(tostring(field.example)) or field.example }
  end
  return schema
end

---The schema of one description; named types become components.
---@param field campaign.field
---@param is_reply boolean
---@return table
function Schemas:of(field, is_reply)
  if field.type == "array" then
    local schema
    if field.join and not is_reply then
      schema = { type = "string", minLength = field.min_items and 1 or nil, ["x-campaign-join"] = field.join }
    else
      schema = { type = "array", items = self:of(field.items, is_reply) }
      if not is_reply then
        schema.minItems, schema.maxItems = field.min_items, field.max_items
      end
    end
    add_doc(schema, field)
    return schema
  end
  if field.type ~= "object" then
    return scalar_schema(field, is_reply)
  end
  if field.shape then
    return { ["$ref"] = "#/components/schemas/" .. self:component(field, is_reply) }
  end
  local schema = self:object(field.fields, is_reply, field.open)
  add_doc(schema, field)
  return schema
end

-- Adds the schema of a named type to `components`; returns its name there.
function Schemas:component(field, is_reply)
  local sides = self.sides[field.shape]
  local name = field.shape
  if sides.request and sides.reply then
    name = name .. (is_reply and "Reply" or "Request")
  end
  if not self.components[name] then
    self.components[name] = {}
    local schema = self:object(field.fields, is_reply, field.open)
    local named = self.platform.types[field.shape]
    schema.description = named and named.doc
    if named and named.source then
      schema["x-campaign-source"] = named.source
    end
    for key, value in pairs(schema) do
      self.components[name][key] = value
    end
  end
  return name
end

-- A condition on a field beside this one, as a schema of their object; nil for conditions on other places.
local function when_schema(when, properties)
  if not properties[when.field] then
    return nil
  end
  if when.is then
    return { properties = { [when.field] = { enum = list(M.plain(when.is)) } }, required = list{ when.field } }
  end
  local given = { required = list{ when.field }, properties = { [when.field] = true } }
  return when.given and given or { ["not"] = given }
end

-- Groups and conditions over several fields.
local function add_conditions(schema, fields)
  local all, groups, order = {}, {}, {}
  for _, field in ipairs(fields) do
    if schema.properties[field.name] then
      local this = { required = list{ field.name }, properties = { [field.name] = true } }
      local needed = field.required_if and when_schema(field.required_if, schema.properties)
      local allowed = field.only_if and when_schema(field.only_if, schema.properties)
      if needed then
        all[#all + 1] = { ["if"] = needed, ["then"] = this }
      end
      if allowed then
        all[#all + 1] = { ["if"] = this, ["then"] = allowed }
      end
      for _, key in ipairs{ "required_if", "only_if" } do
        if field[key] and field[key].field:sub(1, 1) == "/" then
          schema.properties[field.name]["x-campaign-" .. key:gsub("_", "-")] = M.plain(field[key])
        end
      end
      local group = field.one_of or field.any_of
      if group then
        if not groups[group] then
          groups[group] = { key = field.one_of and "oneOf" or "anyOf", choices = {} }
          order[#order + 1] = group
        end
        table.insert(groups[group].choices, this)
      end
    end
  end
  for _, group in ipairs(order) do
    all[#all + 1] = { [groups[group].key] = list(groups[group].choices) }
  end
  if #all > 0 then
    schema.allOf = list(all)
  end
end

---The schema of an object of these fields. In replies everything may be missing or null, and more may be there.
---@param fields table
---@param is_reply boolean
---@param is_open boolean?
---@return table
function Schemas:object(fields, is_reply, is_open)
  local schema = { type = "object", properties = {} }
  local required = {}
  for _, field in ipairs(fields) do
    local inner = self:of(field, is_reply)
    if is_reply then
      inner = nullable(inner)
      for _, name in ipairs(field.names or {}) do
        schema.properties[name] = inner
      end
    elseif field.required or field.constant ~= nil then
      required[#required + 1] = field.name
    end
    schema.properties[field.name] = inner
  end
  if #required > 0 then
    schema.required = list(required)
  end
  if next(schema.properties) == nil then
    schema.properties = nil
  end
  schema.additionalProperties = is_reply or is_open or false
  if not is_reply then
    if schema.properties then
      add_conditions(schema, fields)
    end
  end
  return schema
end

-- What `present` asks for, as a schema laid over that of the reply. Fields with other spellings are left out.
local function present_schema(operation)
  local overlay = {}
  for _, path in ipairs(operation.present or {}) do
    local node, fields = overlay, operation.reply.fields or {}
    for step in path:gmatch("[^.]+") do
      local field = fields[step]
      if not field or field.names then
        break
      end
      node.type, node.additionalProperties = "object", true
      node.required = node.required or list{}
      node.properties = node.properties or {}
      if not node.properties[step] then
        node.required[#node.required + 1] = step
        node.properties[step] = field.type == "object" and { type = "object", additionalProperties = true }
          or { ["not"] = { type = "null" } }
      end
      node, fields = node.properties[step], field.fields or {}
    end
  end
  return next(overlay) and overlay or nil
end

---The schema of a good reply.
---@param operation campaign.operation
---@return table
function Schemas:reply(operation)
  local schema = self:of(operation.reply, true)
  local overlay = present_schema(operation)
  return overlay and { allOf = list{ schema, overlay } } or schema
end

return M

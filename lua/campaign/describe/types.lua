-- SPDX-License-Identifier: MIT
-- A platform as types for editors (LuaCATS): classes of fields and replies, aliases of closed and open value lists, and a client class
-- with one method per operation, so that editors complete names and values and show limits. The files under lua/campaign/types are
-- what this writes (`make types`).

local facts = require "campaign.describe.facts"
local merged = require "campaign.merged"
local schema = require "campaign.describe.schema"

local M = {}

local SCALARS = {
  string = "string", integer = "integer", int64 = "string|integer", number = "number", boolean = "boolean", datetime = "string|number",
  date = "string|number", file = "string|campaign.file", any = "any",
}
local READ = { int64 = "string", datetime = "string", date = "string" }

local Writer = {}
Writer.__index = Writer

function Writer:line(...)
  self.lines[#self.lines + 1] = table.concat{ ... }
end

-- Text fit for one line of a comment.
local function one_line(text)
  return (text:gsub("%s+", " "))
end

local function literal(value)
  return type(value) == "string" and '"' .. value .. '"' or tostring(value)
end

function Writer:alias(values)
  local name = self.prefix .. "." .. values.name
  if self.written[name] then
    return name
  end
  self.written[name] = true
  if values.doc then
    self:line("---", one_line(values.doc))
  end
  self:line("---@alias ", name)
  for _, entry in ipairs(values) do
    self:line("---| ", literal(entry.value), entry.doc and " # " .. one_line(entry.doc) or "")
  end
  if values.open then
    self:line("---| ", values[1] and type(values[1].value) == "number" and "integer" or "string")
  end
  self:line()
  return name
end

-- A named type that is used in requests and replies has a class for each.
function Writer:shape_name(description, is_reply)
  local sides = self.sides[description.shape]
  local both = sides and sides.request and sides.reply
  return self.prefix .. "." .. description.shape .. (both and (is_reply and "Reply" or "Request") or "")
end

-- The type of a value; what it needs is written first.
function Writer:type_of(description, name, is_reply)
  if description.type == "array" then
    local item = self:type_of(description.items, name, is_reply)
    return (item:find("|", 1, true) and "(" .. item .. ")" or item) .. "[]" .. (description.join and not is_reply and "|string" or "")
  elseif description.type == "object" then
    return self:class(description, description.shape and self:shape_name(description, is_reply) or name, is_reply)
  elseif description.values then
    return self:alias(description.values)
  end
  return is_reply and READ[description.type] or SCALARS[description.type]
end

local function is_optional(field, is_reply)
  return is_reply or not field.required or field.default ~= nil or field.constant ~= nil
end

-- What an editor shows beside a field: its text, its limits, and the line of the vendor's document.
local function field_doc(field, siblings)
  local parts = {}
  if field.doc then
    parts[1] = field.doc
  end
  for _, rule in ipairs(facts.rules_of(field, true, siblings)) do
    parts[#parts + 1] = rule
  end
  local text = one_line(table.concat(parts, "; "))
  if field.source then
    text = text .. (text == "" and "" or " ") .. "[" .. field.source .. "]"
  end
  return text == "" and "" or " " .. text
end

function Writer:class(description, name, is_reply)
  if self.written[name] then
    return name
  end
  self.written[name] = true
  local kinds = {}
  for index, field in ipairs(description.fields) do
    kinds[index] = self:type_of(field, name .. "." .. field.name, is_reply)
  end
  local named = description.shape and self.platform.types[description.shape]
  if named and named.doc then
    self:line("---", one_line(named.doc), named.source and " [" .. named.source .. "]" or "")
  end
  self:line("---@class ", name)
  for index, field in ipairs(description.fields) do
    local kind = kinds[index]
    if is_optional(field, is_reply) then
      kind = kind:find("|", 1, true) and kind .. "|nil" or kind .. "?"
    end
    self:line("---@field ", field.name, " ", kind, field_doc(field, description.fields))
    if field.map then
      self:line("---@field ", field.name, "_raw string? as the platform wrote it")
    end
  end
  if description.open then
    self:line("---@field [string] any")
  end
  self:line()
  return name
end

-- Fields that the account fills need not be given.
local function request_fields(platform, operation)
  local filled = facts.filled_by_account(platform)
  local fields = {}
  for index, field in ipairs(operation.fields) do
    fields[index] = merged(field, { required = field.required and not filled[field.name] })
  end
  return { type = "object", fields = fields }
end

function Writer:operation(platform, operation)
  local base = self.prefix .. "." .. operation.name
  local fields = "table"
  if #operation.fields > 0 then
    fields = self:class(request_fields(platform, operation), base .. ".fields", false)
  end
  local reply = "table"
  if operation.response == "binary" then
    reply = "campaign.download"
  elseif operation.response == "json" then
    reply = self:type_of(operation.reply, base .. ".reply", true)
  end
  local methods = self.methods
  local function add(...)
    methods[#methods + 1] = table.concat{ ... }
  end
  add("---", one_line(operation.doc))
  add("---")
  add("---`", operation.method, " ", operation.path, "`; ", facts.EFFECTS[operation.effect], " [", operation.source, "]")
  if operation.closed then
    add("---Closed from ", operation.closed.from, " to ", operation.closed.to, " (UTC", platform.zone, ").")
  end
  add("---@param fields ", fields, "?")
  add("---@param options campaign.options?")
  add("---@return ", reply, "? reply")
  add("---@return campaign.error? err")
  add("function client:", operation.name, "(fields, options) end")
  add("")
end

-- What every client has, with the names of this platform's waiters.
function Writer:waiters(platform)
  if #facts.waiters(platform) == 0 then
    return
  end
  for _, method in ipairs{ { "wait", "table? found" }, { "waiter", "campaign.waiter? waiter" } } do
    self:line("---@param name ", self.prefix, ".waiter")
    self:line("---@param fields table?")
    self:line("---@param options { deadline: number|string?, delay: number?, on_progress: function?, state: string? }?")
    self:line("---@return ", method[2])
    self:line("---@return campaign.error? err")
    self:line("function client:", method[1], "(name, fields, options) end")
    self:line()
  end
end

---The text of a platform's types.
---@param platform campaign.platform
---@return string
function M.text(platform)
  local writer = setmetatable({ lines = {}, methods = {}, written = {}, prefix = "campaign." .. platform.name, platform = platform,
    sides = schema.sides(platform) }, Writer)
  writer:line("---@meta")
  writer:line("-- SPDX-License-Identifier: MIT")
  writer:line("-- Types for editors, written by `campaign describe --format types` from the data of the platform ", platform.name,
    "; not loaded when a program runs.")
  writer:line("-- Lines in brackets are those of the vendor's document ", platform.source, ".")
  writer:line()
  for _, operation in ipairs(platform.operations) do
    writer:operation(platform, operation)
  end
  local waiters = facts.waiters(platform)
  if #waiters > 0 then
    writer:line("---@alias ", writer.prefix, ".waiter")
    for _, waiter in ipairs(waiters) do
      writer:line("---| ", literal(waiter), " # ", one_line(platform.waiters[waiter].doc))
    end
    writer:line()
  end
  writer:line("---", one_line(platform.title))
  writer:line("---@class campaign.client.", platform.name, ": campaign.client")
  local links = {}
  for link in pairs(platform.links) do
    links[#links + 1] = link
  end
  table.sort(links)
  for _, link in ipairs(links) do
    writer:line("---@field ", link, " fun(self, fields: table|string|number): string?, campaign.error?")
  end
  writer:line("local client = {}")
  writer:line()
  for _, line in ipairs(writer.methods) do
    writer:line(line)
  end
  writer:waiters(platform)
  return table.concat(writer.lines, "\n")
end

return M

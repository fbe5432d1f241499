-- SPDX-License-Identifier: MIT
-- Writes lua/campaign/types/<platform>.lua from the platforms' data: classes of fields and replies, and a client class with one method per
-- operation, so that editors complete field names and enum values. A spec compares the files with what this program gives.
--   lua5.4 tools/types.lua [PLATFORM]      (LUA_PATH and LUA_CPATH as for scripts: campaign env)

local platforms = require "campaign.api.platform"

local M = {}

local SCALARS = {
  string = "string", integer = "integer", int64 = "string|integer", number = "number", boolean = "boolean", datetime = "string|number",
  date = "string|number", file = "string|campaign.file", any = "any",
}
local READ = { int64 = "string", datetime = "string", date = "string" }

local Writer = {}
Writer.__index = Writer

function Writer:line(text)
  self.lines[#self.lines + 1] = text or ""
end

local function enum_type(values)
  local texts = {}
  for index, entry in ipairs(values) do
    texts[index] = type(entry.value) == "string" and '"' .. entry.value .. '"' or tostring(entry.value)
  end
  if values.open then
    texts[#texts + 1] = type(values[1].value) == "string" and "string" or "integer"
  end
  return table.concat(texts, "|")
end

-- The type of a value; classes that it needs are written first.
function Writer:type_of(description, name, is_reply)
  if description.type == "array" then
    local item = self:type_of(description.items, name, is_reply)
    return (item:find("|", 1, true) and "(" .. item .. ")" or item) .. "[]"
  elseif description.type == "object" then
    return self:class(description, description.shape and self.prefix .. "." .. description.shape or name, is_reply)
  elseif description.values then
    return enum_type(description.values)
  end
  return is_reply and READ[description.type] or SCALARS[description.type]
end

local function is_optional(field, is_reply)
  return is_reply or not field.required or field.default ~= nil or field.constant ~= nil
end

function Writer:class(description, name, is_reply)
  if self.written[name] then
    return name
  end
  self.written[name] = true
  local types = {}
  for index, field in ipairs(description.fields) do
    types[index] = self:type_of(field, name .. "." .. field.name, is_reply)
  end
  self:line("---@class " .. name)
  for index, field in ipairs(description.fields) do
    local doc = field.doc and " " .. field.doc or ""
    local kind = types[index]
    if is_optional(field, is_reply) then
      kind = kind:find("|", 1, true) and kind .. "|nil" or kind .. "?"
    end
    self:line(("---@field %s %s%s"):format(field.name, kind, doc))
    if field.map then
      self:line(("---@field %s_raw string? as the platform wrote it"):format(field.name))
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
  local filled = {}
  for _, key in ipairs(platform.account) do
    filled[key.fills or ""] = true
  end
  local fields = {}
  for index, field in ipairs(operation.fields) do
    local copy = {}
    for key, value in pairs(field) do
      copy[key] = value
    end
    copy.required = field.required and not filled[field.name]
    fields[index] = copy
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
  methods[#methods + 1] = "---" .. operation.doc
  methods[#methods + 1] = "---@param fields " .. fields .. "?"
  methods[#methods + 1] = "---@param options campaign.options?"
  methods[#methods + 1] = "---@return " .. reply .. "? reply"
  methods[#methods + 1] = "---@return campaign.error? err"
  methods[#methods + 1] = ("function client:%s(fields, options) end"):format(operation.name)
  methods[#methods + 1] = ""
end

---The text of one platform's types.
---@param name string
---@return string
function M.text(name)
  local platform = assert(platforms.load(name))
  local writer = setmetatable({ lines = {}, methods = {}, written = {}, prefix = "campaign." .. name }, Writer)
  writer:line("---@meta")
  writer:line("-- SPDX-License-Identifier: MIT")
  writer:line("-- Written by tools/types.lua from platform/" .. name .. ".lua; not loaded when a program runs.")
  writer:line()
  for _, operation in ipairs(platform.operations) do
    writer:operation(platform, operation)
  end
  writer:line("---" .. platform.title)
  writer:line("---@class campaign.client." .. name .. ": campaign.client")
  local links = {}
  for link in pairs(platform.links) do
    links[#links + 1] = link
  end
  table.sort(links)
  for _, link in ipairs(links) do
    writer:line(("---@field %s fun(self, fields: table|string|number): string?, campaign.error?"):format(link))
  end
  writer:line("local client = {}")
  writer:line()
  for _, line in ipairs(writer.methods) do
    writer:line(line)
  end
  return table.concat(writer.lines, "\n")
end

local function main(only)
  for _, name in ipairs(only and { only } or platforms.names()) do
    local file = assert(io.open("lua/campaign/types/" .. name .. ".lua", "wb"))
    file:write(M.text(name))
    file:close()
  end
end

if arg and arg[0] and arg[0]:find("tools/types.lua", 1, true) then
  main(arg[1])
end

return M

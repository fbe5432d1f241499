-- SPDX-License-Identifier: MIT
-- Receives a request body piece by piece, with limits: text is kept in memory, files of a multipart body go to disk. The handler sees the
-- body only when it is complete; nothing here knows a platform.

local core = require "campaign.core"
local json = require "campaign.sandbox.json"

local M = {}

local MAX_TEXT = 16 * 1048576
local MAX_PARTS = 50
local MAX_FIELD = 1048576

local text_sink = {}
text_sink.__index = text_sink

function text_sink:feed(bytes)
  self.bytes = self.bytes + #bytes
  if self.bytes > self.limit then
    self.pieces = {}
    return nil, "too large"
  end
  self.pieces[#self.pieces + 1] = bytes
  return true
end

function text_sink:finish()
  return { kind = "text", text = table.concat(self.pieces), bytes = self.bytes }
end

function text_sink:discard()
  self.pieces = {}
end

---Keeps the body as one text.
---@param limit? integer
function M.text(limit)
  return setmetatable({ pieces = {}, bytes = 0, limit = limit or MAX_TEXT }, text_sink)
end

local form_sink = {}
form_sink.__index = form_sink

local function end_part(self)
  local part = self.part
  if part.file then
    part.file:close()
    part.file = nil
  else
    part.text = table.concat(part.pieces)
    part.pieces = nil
  end
  self.part = nil
end

local function take(self, event)
  local kind = event[1]
  if kind == "part" then
    local part = {
      name = event.name, filename = event.filename, content_type = event.content_type, bytes = 0,
    }
    if event.filename ~= nil then
      part.path = self.new_path()
      part.file = assert(io.open(part.path, "wb"))
    else
      part.pieces = {}
    end
    self.parts[#self.parts + 1] = part
    self.part = part
  elseif kind == "data" then
    local part = self.part
    part.bytes = part.bytes + #event[2]
    if part.file then
      assert(part.file:write(event[2]))
    elseif part.bytes > MAX_FIELD then
      self.bad = "a text field is over 1 MiB"
    else
      part.pieces[#part.pieces + 1] = event[2]
    end
  elseif kind == "end" then
    end_part(self)
  end
end

function form_sink:feed(bytes)
  self.bytes = self.bytes + #bytes
  if self.bytes > self.limit then
    return nil, "too large"
  end
  if self.bad then
    return true
  end
  local events, err = self.reader:feed(bytes)
  if not events then
    self.bad = tostring(err)
    return true
  end
  for _, event in ipairs(events) do
    take(self, event)
  end
  return true
end

function form_sink:finish()
  if not self.bad then
    local ok, err = self.reader:finish()
    if not ok then
      self.bad = tostring(err)
    end
  end
  return { kind = "form", parts = self.parts, bad = self.bad, bytes = self.bytes }
end

---Deletes the files that nobody has claimed (by setting `part.kept`).
function form_sink:discard()
  for _, part in ipairs(self.parts) do
    if part.file then
      part.file:close()
      part.file = nil
    end
    if part.path and not part.kept then
      os.remove(part.path)
    end
  end
end

---Reads multipart/form-data; nil, why when the content type has no boundary.
---@param content_type string
---@param limit integer most bytes of the whole body
---@param new_path fun(): string where the next file goes
function M.form(content_type, limit, new_path)
  local reader, err = core.multipart.reader{
    content_type = content_type, max_part = limit, max_parts = MAX_PARTS, max_headers = 16384,
  }
  if not reader then
    return nil, tostring(err)
  end
  return setmetatable({
    reader = reader, parts = {}, bytes = 0, limit = limit, new_path = new_path,
  }, form_sink)
end

---The JSON object of a request, or why there is none (R002). `known` lists the fields of its top level,
---which matter only while the rule that ignores others (R006) is off.
---@param app table
---@param request table
---@param known string[]
---@return table? value
---@return string? why
function M.json(app, request, known)
  local content_type = (request.headers["content-type"] or ""):lower()
  if app:on("R002") and not content_type:find("^application/json%s*$")
    and not content_type:find("^application/json%s*;") then
    return nil, "content-type: expected application/json"
  end
  local value, why = json.decode(request.body.text or "")
  if not json.is_object(value) then
    if not app:on("R002") then
      return {}
    end
    return nil, "body: " .. (why or "expected a JSON object")
  end
  if not app:on("R006") then
    local names = {}
    for _, name in ipairs(known) do
      names[name] = true
    end
    for name in pairs(value) do
      if not names[name] then
        return nil, name .. ": unknown field"
      end
    end
  end
  return value
end

---The only part of that name; nil when there is none or several.
---@param body table
---@param name string
function M.part(body, name)
  local found
  for _, part in ipairs(body.parts) do
    if part.name == name then
      if found then
        return nil
      end
      found = part
    end
  end
  return found
end

return M

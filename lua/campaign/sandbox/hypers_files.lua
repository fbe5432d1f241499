-- SPDX-License-Identifier: MIT
-- Files of HYPERS: uploaded by multipart with a token, downloaded by anyone who has the id. Contents stay on disk.

local body = require "campaign.sandbox.body"
local clock = require "campaign.sandbox.clock"
local core = require "campaign.core"
local json = require "campaign.sandbox.json"
local media_type = require "campaign.media_type"
local reply = require "campaign.sandbox.reply"

local M = { handlers = {} }

---Where the content of a file is.
function M.path(self, id)
  return self.app.dir .. "/file-" .. id
end

---Deletes all contents.
function M.clear(self)
  for id in pairs(self.app.state.hypers.files) do
    os.remove(M.path(self, id))
  end
end

-- The name without the directories that a browser or a foreign system may have put before it (R242).
local function base_name(self, name)
  if not self.app:on("R242") then
    return name
  end
  return name:match("[^/\\]*$")
end

local function bad_upload(self, part, module_part)
  local app = self.app
  if app:on("R238") and (not part or not part.path) then
    return self:bad("file", "required", "expected a file")
  end
  if app:on("R236") and part and (part.bytes == 0 or base_name(self, part.filename or "") == "") then
    return self:bad("file", "empty", "expected a name and content")
  elseif part and not core.utf8.validate(part.filename or "") then
    return self:bad("file", "invalid", "the name is not UTF-8") -- it could not be answered or logged
  end
  local name = module_part and module_part.text or ""
  local legal = name:find("^[%w_]+$") and #name <= 50
  if app:on("R237") and not legal then
    return self:bad("moduleName", "invalid", "expected 1 to 50 letters, digits or underscores")
  elseif not app:on("R243") and name ~= "notification" then
    return self:bad("moduleName", "invalid", "expected notification")
  end
  return nil
end

-- The id of an earlier file of the same content; only while R245 is off.
local function same_content(self, signature)
  for id, file in pairs(self.app.state.hypers.files) do
    if file.signature == signature then
      return id
    end
  end
  return nil
end

function M.handlers.upload_file(self, request)
  local app = self.app
  if request.body.kind ~= "form" or request.body.bad then
    local why = request.body.bad or request.body_error or "expected multipart/form-data"
    return self:bad("body", "invalid", why)
  end
  local part = body.part(request.body, "file")
  local refused = bad_upload(self, part, body.part(request.body, "moduleName"))
  if refused then
    return refused
  end
  if not part or not part.path then
    return self:success(request, json.ordered())
  end
  local signature = assert(core.digest.sha256_file(part.path))
  local id = not app:on("R245") and same_content(self, signature) or self:new_id()
  assert(os.rename(part.path, M.path(self, id)))
  part.kept = true
  local file = {
    name = base_name(self, part.filename), signature = signature, bytes = part.bytes,
    created = clock.epoch_ms(app.clock:now()),
  }
  app.state.hypers.files[id] = file
  app:commit(request, "files", { id = id, row = json.ordered("fileName", file.name, "signature", signature,
    "fileSize", file.bytes) })
  app:changed()
  if not app:on("R239") then
    return self:success(request, json.ordered("id", self:id_value(id)))
  end
  local created = app:on("R244") and file.created or clock.format(app.clock:now())
  return self:success(request, json.ordered("id", self:id_value(id), "fileName", file.name,
    "signature", app:on("R240") and signature or signature:sub(1, 32), "fileSize", file.bytes,
    "createTime", created))
end

local function percent(text)
  return (text:gsub("[^%w%-_%.]", function(char)
    return string.format("%%%02X", char:byte())
  end))
end

-- The first parameter must not break the header, and is ASCII where a second (R255) has the name as it is.
local function disposition(self, name)
  local plain = name:gsub(self.app:on("R255") and '[%c"\\\128-\255]' or '[%c"\\]', "_")
  local value = 'inline; filename="' .. plain .. '"'
  return plain == name and value or value .. "; filename*=UTF-8''" .. percent(name)
end

function M.handlers.download_file(self, request)
  local app = self.app
  local id = request.params.id
  local file = app.state.hypers.files[id]
  if not file then
    return self:refuse(app:on("R284") and 404 or 400, "no such file")
  end
  local headers = {
    { "content-type", app:on("R249") and media_type.of(file.name) or "application/octet-stream" },
    { "last-modified", clock.http_date(app:on("R252") and file.created or 0) },
  }
  if app:on("R250") then
    headers[#headers + 1] = { "content-disposition", disposition(self, file.name) }
  end
  if app:on("R251") then
    headers[#headers + 1] = { "cache-control", "public, max-age=31536000" }
  end
  return reply.file(M.path(self, id), file.bytes, headers)
end

return M

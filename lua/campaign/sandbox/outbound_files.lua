-- SPDX-License-Identifier: MIT
-- The two file uploads of the outbound platform: form fields, the file's encoding, its rows. A file is judged whole
-- before its first row is committed, so that a refused one changes nothing (R045), and its rows wait on disk
-- meanwhile, so that a large one needs no memory. Tenants, time rules and totals are outbound.lua's, whose methods these handlers call on `self`.

local body = require "campaign.sandbox.body"
local csv = require "campaign.sandbox.csv"
local gather = require "campaign.sandbox.gather"
local json = require "campaign.sandbox.json"

local M = {}

local BLOCK = 131072 -- bytes of rows that are written or read at once

local function field_names(source)
  local names = {}
  for i, field in ipairs(source.fields) do
    names[i] = field.name
  end
  return names
end

local function is_header(row, names)
  if #row ~= #names then
    return false
  end
  for i, name in ipairs(names) do
    if row[i] ~= name then
      return false
    end
  end
  return true
end

-- Uploads of files ------------------------------------------------------------------------------

local function form_values(request)
  local values = {}
  for _, name in ipairs{ "token", "abbreviate", "companyId", "dataSourceName", "operationType",
    "dataSourceType" } do
    local part = body.part(request.body, name)
    values[name] = part and part.text
  end
  return values
end

-- What both file uploads check first: tenant, kind, target and file.
local function open_upload(self, request, kind, type_rule)
  local app = self.app
  if request.body.kind ~= "form" or request.body.bad then
    local why = request.body.bad or request.body_error or "expected multipart/form-data"
    return nil, self:refusal(400, "body: " .. why)
  end
  local values = form_values(request)
  local abbreviate, refused = self:tenant_of("R017", values.token, values.abbreviate)
  if not abbreviate then
    return nil, refused
  end
  if values.companyId and (not values.companyId:find("^%d+$") or not app:on("R022")) then
    return nil, self:refusal(400, "companyId: expected a number as text")
  end
  local given = values.dataSourceType
  if given ~= nil and given ~= tostring(kind) and app:on(type_rule) then
    return nil, self:refusal(400, "dataSourceType: expected " .. kind)
  end
  local part = body.part(request.body, "dataSourceFile")
  if app:on("R030") and (not part or not part.path or part.filename == "" or part.bytes == 0) then
    return nil, self:refusal(400, "dataSourceFile: expected a file with a name and content")
  end
  local source
  source, refused = self:source_of(abbreviate, values.dataSourceName, kind, "R037")
  if not source then
    return nil, refused
  end
  return { values = values, source = source, part = part }
end

local BOMS = { "\239\187\191", "\255\254", "\254\255" }

local function starts_with_bom(path)
  local file = assert(io.open(path, "rb"))
  local head = file:read(3) or ""
  file:close()
  for _, bom in ipairs(BOMS) do
    if head:sub(1, #bom) == bom then
      return true
    end
  end
  return false
end

local function read_contacts(self, upload, each)
  local source, on = upload.source, self.app
  local names = field_names(source)
  if not upload.part or not upload.part.path then
    return 0
  end
  if on:on("R033") and starts_with_bom(upload.part.path) then
    return nil, "file: starts with a byte-order mark, expected GBK"
  end
  local rows = 0
  local read, why = csv.read(upload.part.path, { raw = not on:on("R033") }, function(row, number)
    if number == 1 and on:on("R035") and is_header(row, names) then
      return nil
    end
    if #row ~= #names and on:on("R035") and #names > 0 then
      return "row " .. number .. ": " .. #row .. " columns, expected " .. #names
    end
    local long = self:too_long(source, row)
    if long then
      return "row " .. number .. ": " .. long
    end
    rows = rows + 1
    each(row)
    return nil
  end)
  if not read then
    return nil, why, rows
  end
  return rows
end

-- Adds a row to the lines as a JSON array of texts.
local function put_row(lines, row)
  for i = 1, #row do
    local value = row[i]
    lines:put(i == 1 and "[" or ",")
    if json.is_plain(value) then
      lines:put('"')
      lines:put(value)
      lines:put('"')
    else
      lines:put(json.encode(value))
    end
  end
  lines:put("]\n")
end

-- Commits every line of the spool. Lines stay parts of the blocks they were read in: a string each would cost more than all else.
local function commit_lines(app, request, target, mode, spool)
  spool:seek("set", 0)
  local rest = ""
  local entry = { mode = mode }
  for block in function() return spool:read(BLOCK) end do
    local text, from = rest .. block, 1
    entry.row_text = text
    while true do
      local stop = text:find("\n", from, true)
      if not stop then
        break
      end
      entry.row_from, entry.row_to = from, stop - 1
      app:commit(request, target, entry)
      from = stop + 1
    end
    rest = text:sub(from)
  end
end

function M.upload_contacts_file(self, request)
  local app = self.app
  local upload, refused = open_upload(self, request, 0, "R043")
  if not upload then
    return refused
  end
  local operation = upload.values.operationType
  if operation ~= "0" and operation ~= "1" and app:on("R040") then
    return self:refusal(400, "operationType: expected 0 or 1")
  end
  local overwrite = operation == "1"
  self:advance_tasks()
  local window = app:on("R051") and self:window_refusal() or nil
  local tasks = overwrite and self:task_refusal(upload.source) or nil
  refused = app:on("R055") and (window or tasks) or (tasks or window)
  if refused then
    return refused
  end
  -- What is accepted waits as JSON lines on disk until the whole file is judged.
  local path = app:new_path()
  local spool = assert(io.open(path, "w+b"))
  local lines = gather.new(2 * BLOCK)
  local rows, why, good = read_contacts(self, upload, function(row)
    put_row(lines, row)
    if lines:size() >= BLOCK then
      spool:write(lines:take())
    end
  end)
  spool:write(lines:take())
  if not rows then
    spool:close()
    os.remove(path)
    if not app:on("R045") then
      self:touch(upload.source, (upload.source.total or 0) + math.max(good or 0, 1))
    end
    return self:refusal(400, "dataSourceFile: " .. why)
  end
  overwrite = overwrite and app:on("R044")
  local mode = overwrite and "overwrite" or "append"
  commit_lines(app, request, upload.source.name, mode, spool)
  spool:close()
  os.remove(path)
  return self:add_rows(upload.source, rows, overwrite)
end

function M.upload_dnc_file(self, request)
  local app = self.app
  local upload, refused = open_upload(self, request, 1, "R061")
  if not upload then
    return refused
  end
  if not app:on("R063") then
    refused = self:window_refusal()
    if refused then
      return refused
    end
  end
  if app:on("R057") and starts_with_bom(upload.part.path) then
    return self:refusal(400, "dataSourceFile: starts with a byte-order mark, expected GBK")
  end
  local uuids = {}
  local read, why = csv.read(upload.part.path, { raw = not app:on("R057") }, function(row, number)
    if number == 1 and #row > 1 and app:on("R057") then
      return "row 1: " .. #row .. " columns, expected only uuid"
    elseif app:on("R058") then
      if number == 1 and #row == 1 and row[1] == "uuid" then
        return nil
      elseif #row > 1 or row[1] == "" then
        return "row " .. number .. ": expected one column, a uuid that is not empty"
      end
    end
    uuids[#uuids + 1] = row[1]
    return nil
  end)
  if not read then
    return self:refusal(400, "dataSourceFile: " .. why)
  end
  local added = 0
  for _, uuid in ipairs(uuids) do
    added = added + self:add_uuid(request, upload.source, uuid)
  end
  return self:add_rows(upload.source, added, false)
end

return M

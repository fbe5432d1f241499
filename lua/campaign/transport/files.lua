-- SPDX-License-Identifier: MIT
-- Files of requests and replies: opens what a request sends, and saves a download under a name that overwrites nothing.

local core = require "campaign.core"
local error_object = require "campaign.error"
local media_type = require "campaign.media_type"

local M = {}

-- Size of a regular file that is not empty; nil and why.
local function size_of(path)
  local file, why = io.open(path, "rb")
  if not file then
    return nil, "cannot be opened: " .. tostring(why)
  end
  local first, problem = file:read(1)
  local size = first and file:seek("end")
  file:close()
  if problem then
    return nil, "cannot be read: " .. tostring(problem)
  end
  if not first then
    return nil, "is empty"
  end
  return size
end

-- The size of a file of a request, remembered for the receipt; nothing of a source.
local function note_size(operation, name, file, context)
  if file.path then
    local size, why = size_of(file.path)
    if not size then
      local message = "file " .. file.path .. " " .. why
      return error_object.refuse{
        kind = "invalid", platform = operation.platform, operation = operation.name,
        message = name .. ": " .. message, faults = { { path = name, message = message } },
      }
    end
    context.sizes[name] = size
  elseif file.content then
    context.sizes[name] = #file.content
  end
  return true
end

-- A part of the form for one file.
local function file_part(operation, part, context)
  local file = part.file
  local noted, err = note_size(operation, part.name, file, context)
  if not noted then
    return nil, err
  end
  local kind = file.content_type or media_type.of(file.filename) -- a part without one would be plain text (RFC 7578, 4.4)
  return { name = part.name, filename = file.filename, type = kind, digest = part.digest,
    path = file.path, value = file.content, source = file.source }
end

-- The file that is the body, as a source: what it holds is then never taken for a text that could be read.
local function whole_file(body, operation, context)
  local file = body.file
  local noted, err = note_size(operation, body.name, file, context)
  if not noted or file.source then
    return file.source, err
  end
  local source
  source, err = core.source(file.content or { path = file.path })
  if not source then
    return nil, error_object.wrap(err, { platform = operation.platform, operation = operation.name, sent = "no", retry = false })
  end
  return source
end

local function multipart(body, operation, options, context)
  local form = { filename_mode = body.filename_mode }
  for _, part in ipairs(body.parts) do
    if part.file then
      local form_part, err = file_part(operation, part, context)
      if not form_part then
        return nil, err
      end
      form[#form + 1] = form_part
    else
      form[#form + 1] = { name = part.name, value = part.value }
    end
  end
  if options.rows then
    local file = operation.rows.file
    form[#form + 1] = {
      name = file.part, filename = options.rows_filename or file.filename, type = file.type, source = options.rows,
    }
  end
  if #form == 0 then -- a platform may leave every field to the caller; a multipart body of nothing cannot be written
    return error_object.refuse{
      kind = "invalid", platform = operation.platform, operation = operation.name,
      message = "none of its form fields is given; give at least one (see `campaign describe`)",
    }
  end
  local ready, err = core.form(form)
  if not ready then
    return nil, error_object.wrap(err, { platform = operation.platform, operation = operation.name, sent = "no", retry = false })
  end
  return ready
end

---The body as the transport takes it: text, a source, or a form with its files opened.
---@param request table from `api/build`, with a body
---@param operation campaign.operation
---@param options table
---@param context table sizes of the files are noted in `context.sizes`
---@return string|userdata|nil body
---@return campaign.error? err
function M.body(request, operation, options, context)
  local body = request.body
  if body.signed then
    return body.signed
  elseif body.kind == "multipart" then
    return multipart(body, operation, options, context)
  end
  if body.kind == "file" and not options.rows then
    return whole_file(body, operation, context)
  end
  if options.rows and body.token then
    return options.rows .. "&" .. body.token
  end
  return options.rows or body.text
end

---Closes a body that is not sent.
---@param body string|userdata|nil
function M.abandon(body)
  if type(body) == "userdata" then
    body:close()
  end
end

local function is_folder(path)
  local found = core.system.stat(path, true)
  return found ~= nil and found.type == "folder"
end

---Where a download goes: the path itself, or, for a folder, a temporary name and the folder.
---@param save_to string
---@param env campaign.env
---@return string path
---@return string? folder
function M.target(save_to, env)
  if save_to:sub(-1) ~= "/" and not is_folder(save_to) then
    return save_to, nil
  end
  local folder = save_to:gsub("/+$", "")
  return ("%s/.campaign-%s.part"):format(folder, core.digest.hex(env.random(8))), folder
end

-- "report.pdf", "report (2).pdf", ...: a name from the platform never overwrites a file, not even a link or one that we may not read.
local function free_path(folder, name)
  local path = folder .. "/" .. name
  local extension = name:match("%.%w+$")
  local stem = extension and #extension < #name and name:sub(1, -#extension - 1) or nil
  local number = 2
  while core.system.stat(path, false) do
    path = ("%s/%s (%d)%s"):format(folder, stem or name, number, extension or "")
    number = number + 1
  end
  return path
end

---Gives a download in a folder its final name.
---@param reply table
---@param folder string
---@param operation campaign.operation
---@return table? reply
---@return campaign.error? err
function M.settle(reply, folder, operation)
  local path = free_path(folder, reply.filename or operation.name .. ".bin")
  local ok, why = os.rename(reply.path, path)
  if not ok then
    return nil, error_object.new{
      kind = "usage", platform = operation.platform, operation = operation.name, sent = "yes", retry = false,
      message = "the download cannot be renamed to its final name: " .. tostring(why),
    }
  end
  reply.path = path
  return reply
end

return M

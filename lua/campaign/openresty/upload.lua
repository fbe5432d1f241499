-- SPDX-License-Identifier: MIT
-- Locations for contact files: `receive` takes one, from a browser's form or as the plain body of a request, streams it to disk and starts
-- its import; `status`, `events` and `file` report on it. Access control is up to nginx.conf (auth_basic, allow, mTLS).

local core = require "campaign.core"
local durable = require "campaign.durable"
local home = require "campaign.openresty.env"
local jobs_module = require "campaign.openresty.jobs"
local json = require "campaign.json"
local metrics = require "campaign.openresty.metrics"
local request = require "campaign.openresty.request"

local M = {}

local MOST_BYTES = 1073741824
local MOST_FIELD = 65536
local PRIVATE = 384 -- 0600

local OWN = { max_bytes = true, accept = true, prefix = true }

local methods = {}
local mt = { __index = methods, __name = "campaign.openresty.upload" }

---@param options table those of campaign.openresty.jobs, `max_bytes` of a file, `accept`: names of form fields that become `params` of the
---import, `prefix` of the locations that show a job (default /jobs/)
function M.new(options)
  local given, accept = {}, {}
  for name, value in pairs(options) do
    if not OWN[name] then
      given[name] = value
    end
  end
  for _, name in ipairs(options.accept or {}) do
    accept[name] = true
  end
  return setmetatable({
    jobs = jobs_module.new(given), _most = options.max_bytes or MOST_BYTES, _accept = accept, _prefix = options.prefix or "/jobs/",
    _params = given.params or {},
  }, mt)
end

local FAILED = {} -- raised with an answer, so that a draft is dropped in one place

local function fail(status, message)
  error({ FAILED, status, message }, 0)
end

local function write(file, bytes, taken, most)
  if taken + #bytes > most then
    fail(413, ("the file is larger than %.0f bytes"):format(most))
  end
  local ok, err = file:write(bytes)
  if not ok then
    request.log("an upload could not be written", err)
    fail(503, "the file could not be kept")
  end
  return taken + #bytes
end

local function each_piece(pieces)
  return function()
    home.pause()
    local piece, why = pieces()
    if why then
      fail(400, "the body broke off: " .. why)
    end
    return piece
  end
end

-- The file of a form and the fields that may be set.
local function take_form(self, reader, pieces, file)
  local bytes, found, part, fields = 0, false, nil, {}
  local function feed(piece)
    local events, err = reader:feed(piece)
    if not events then
      fail(400, err.message)
    end
    for _, event in ipairs(events) do
      local kind = event[1]
      if kind == "part" then
        local chosen = event.filename and event.filename ~= "" -- a browser sends a file field that was left empty without a name
        if chosen and found then
          fail(400, "the form has more than one file: send each by itself")
        end
        part = chosen and "file" or self._accept[event.name] and event.name or "ignored"
        found = found or chosen
        if part ~= "file" and part ~= "ignored" then
          fields[part] = ""
        end
      elseif kind == "data" and part == "file" then
        bytes = write(file, event[2], bytes, self._most)
      elseif kind == "data" and part ~= "ignored" then
        fields[part] = fields[part] .. event[2]
        if #fields[part] > MOST_FIELD then
          fail(413, "a field of the form is too large")
        end
      end
    end
  end
  for piece in each_piece(pieces) do
    feed(piece)
  end
  local ok, err = reader:finish()
  if not ok then
    fail(400, err.message)
  elseif not found then
    fail(400, "the form has no file")
  end
  for name, value in pairs(fields) do
    if not core.utf8.validate(value) then
      fail(400, "the field " .. name .. " of the form is not UTF-8 text")
    end
  end
  return bytes, fields
end

-- What the head of a request says: the reader of its form, false for a plain file; nil, a status and what is wrong.
local function read_head(self)
  local headers = request.headers()
  local length, content_type = tonumber(headers["content-length"] or ""), headers["content-type"] or ""
  if length and length > self._most + 1048576 then -- the form around the file
    return nil, 413, ("the file is larger than %.0f bytes"):format(self._most)
  elseif request.encoded(headers) then
    return nil, 415, request.encoded(headers)
  elseif not content_type:lower():find("^multipart/") then
    return false
  end
  local reader, err = core.multipart.reader{ content_type = content_type, max_part = self._most + 1, max_total = self._most + 1048576,
    max_parts = 100 }
  if not reader then
    return nil, 400, err.message
  end
  return reader
end

local function take(self, reader, pieces, file)
  if reader then
    return take_form(self, reader, pieces, file)
  end
  local bytes = 0
  for piece in each_piece(pieces) do
    bytes = write(file, piece, bytes, self._most)
  end
  return bytes, {}
end

local function keep(self, draft, reader, pieces)
  local file, err = core.system.append_open(draft.list, PRIVATE)
  if not file then
    request.log("an upload could not be written", err)
    fail(503, "the file could not be kept")
  end
  local fine, bytes, fields = pcall(take, self, reader, pieces, file)
  local ok = fine
  if fine then
    ok, err = durable.sync(file)
  end
  file:close()
  if not fine then
    error(bytes, 0)
  elseif not ok then
    request.log("an upload could not be written", err)
    fail(503, "the file could not be kept")
  elseif bytes == 0 then
    fail(400, "the file is empty")
  end
  local params = {}
  for name, value in pairs(self._params) do
    params[name] = value
  end
  for name, value in pairs(fields) do
    params[name] = value
  end
  ok, err = self.jobs:submit(draft, next(params) and { params = params } or nil)
  if not ok then
    request.log("an upload could not be ordered", err)
    fail(503, "the file could not be kept")
  end
  return bytes
end

---POST of a form with a file, or POST or PUT of the file itself. Answers 202 with the job, or why not.
function methods:receive()
  if request.refuse_method("POST", "PUT") then
    return
  end
  request.outlive_client()
  local reader, refusal, problem = read_head(self)
  if reader == nil then
    metrics.count("campaign_uploads_total", "status", refusal)
    metrics.observe_request("upload")
    return request.json(refusal, { error = problem }, true)
  end
  local pieces, unread = request.pieces() -- before there is a draft: a body that nginx reads itself may break off here, and the request ends
  local draft, err = self.jobs:create()
  if not draft then
    request.log("a job cannot be made", err)
    metrics.count("campaign_uploads_total", "status", 503)
    return request.json(503, { error = "the file cannot be kept" }, unread)
  end
  local fine, bytes = pcall(keep, self, draft, reader, pieces)
  if fine then
    metrics.count("campaign_uploads_total", "status", 202)
    metrics.observe_request("upload")
    return request.json(202, { job = draft.id, bytes = bytes, status = self._prefix .. draft.id,
      events = self._prefix .. draft.id .. "/events" })
  end
  self.jobs:discard(draft)
  if type(bytes) ~= "table" or bytes[1] ~= FAILED then
    error(bytes, 0)
  end
  metrics.count("campaign_uploads_total", "status", bytes[2])
  metrics.observe_request("upload")
  request.json(bytes[2], { error = bytes[3] }, unread)
end

---GET: where a job is.
---@param id string from the path
function methods:status(id)
  if request.refuse_method("GET", "HEAD") then
    return
  end
  local status = self.jobs:status(id)
  request.json(status and 200 or 404, status or { error = "no such job" })
end

local LAST = { finished = true, stopped = true, failed = true }

---GET: where a job is, as server-sent events until it ends.
---@param id string
function methods:events(id)
  if request.refuse_method("GET") then
    return
  elseif not self.jobs:status(id) then
    return request.json(404, { error = "no such job" })
  end
  request.events(function()
    local status = self.jobs:status(id)
    return status and json.encode(status), status and LAST[status.state] or false
  end)
end

---GET: one of the row files of a job. They hold personal data.
---@param id string
---@param name string "rejects", "duplicates", "suppressed", "unchanged", "ambiguous" or "not_sent"
function methods:file(id, name)
  if request.refuse_method("GET", "HEAD") then
    return
  end
  local path = self.jobs:file(id, name)
  if not path or not request.send_file(path, id .. "-" .. name .. ".csv") then
    request.json(404, { error = "no such file" })
  end
end

---Continues jobs whose worker died or exited: in init_worker_by_lua.
---@param seconds number?
function methods:watch(seconds)
  self.jobs:watch(seconds)
end

return M

-- SPDX-License-Identifier: MIT
-- A location for leads: a form post or a webhook becomes a row, rows that arrive together become one small import, and each post is
-- answered with the result of its row. A lead is durable, as a row of a job, before it is answered: an unavailable platform only delays it.

local background = require "campaign.openresty.background"
local core = require "campaign.core"
local durable = require "campaign.durable"
local home = require "campaign.openresty.env"
local jobs_module = require "campaign.openresty.jobs"
local json = require "campaign.json"
local metrics = require "campaign.openresty.metrics"
local rate_module = require "campaign.openresty.rate"
local request = require "campaign.openresty.request"

local M = {}

local ngx = package.loaded.ngx

local GATHER_SECONDS = 0.05
local WAIT_SECONDS = 10 -- a post waits for the platform; later it is told that its lead is kept
local MOST_BODY, MOST_ROWS, MOST_RUNNING = 65536, 200, 16
local MOST_FIELDS = 200 -- of a form
local MOST_WAITING = 2000 -- posts of a worker
local RATE = 100
local REMEMBERED = 86400 -- seconds for which the key of a lead is known
local SLACK_SECONDS = 2 -- that a key is taken beyond the wait for its lead to be kept
local PRIVATE = 384 -- 0600

-- For the disk to take a list whose rows are in it already.
M.ORDER_SECONDS = 30

local OWN = { fields = true, gather = true, key = true, max_body = true, rate = true, burst = true, wait = true }

local methods = {}
local mt = { __index = methods, __name = "campaign.openresty.lead" }

-- The job's row files by the state of their rows.
local LISTED = { { "rejects", "rejected" }, { "duplicates", "duplicate" }, { "suppressed", "suppressed" }, { "unchanged", "unchanged" },
  { "ambiguous", "ambiguous" }, { "not_sent", "pending" } }

-- Which list, or which row of which job, is not for whoever posted the lead.
local TELLS = { rejected = true, duplicate = true, ambiguous = true, pending = true }

local ANSWERS = { accepted = 200, accepted_pending = 202, rejected = 422, duplicate = 200, suppressed = 200, unchanged = 200, ambiguous = 202,
  pending = 202, failed = 500 }

-- What became of the rows that no file of the job lists. A run whose ledger failed does not list those that it never took up.
local function state_of_rest(status)
  if status.error and status.error.kind == "ledger" then
    return "pending"
  end
  return (status.accepted_pending or 0) > 0 and "accepted_pending" or (status.accepted or 0) > 0 and "accepted" or "pending"
end

-- What became of the rows of a job, by their number in its list.
local function outcomes_of(jobs, id)
  local status = jobs:status(id)
  local outcomes = {}
  if not status or status.state == "failed" then
    outcomes.rest = status and { state = "failed" } or { state = "pending" }
    return outcomes
  end
  local is_over = status.state == "finished" or status.state == "stopped" or status.state == "waiting" and status.rows
  outcomes.rest = { state = is_over and state_of_rest(status) or "pending" }
  for _, listed in ipairs(is_over and LISTED or {}) do
    local path = jobs:file(id, listed[1])
    local input = path and core.rows.input{ path = path, encoding = "utf-8" }
    for _, fields in (input and input:rows() or function() end) do
      -- our columns come first: _row, _line, _state, _cause, _column, _reason, _code, _message
      local is_told = TELLS[listed[2]]
      outcomes[tonumber(fields[1])] = { state = listed[2], cause = is_told and fields[4], column = is_told and fields[5],
        reason = is_told and fields[6], code = is_told and fields[7], message = listed[2] == "rejected" and fields[8] or nil }
    end
    if input then
      input:close()
    end
  end
  return outcomes
end

-- The list of a batch on the disk, and its import ordered.
local function order(self, batch)
  local draft, err = self.jobs:create()
  if not draft then
    return nil, err
  end
  batch.draft = draft
  local lines = { core.csv.line(self._fields) }
  for i, lead in ipairs(batch) do
    lines[i + 1] = core.csv.line(lead.row)
  end
  local ok
  ok, err = durable.write(draft.list, table.concat(lines), PRIVATE)
  if ok then
    ok, err = self.jobs:submit(draft, nil, batch.ended)
  end
  if not ok and not batch.id then -- with an id somebody was told that it is kept, and so it is
    self.jobs:discard(draft)
    return nil, err
  end
  return draft.id
end

local function pending_of(lead)
  return { lead = lead.batch.id .. "." .. lead.number, state = "pending" }
end

-- The leads of a batch are kept, under a job's id, or are not.
local function tell_all(self, batch, id, err)
  batch.id, batch.err = id, err
  for _, lead in ipairs(batch) do
    if id and lead.key then -- from here on the lead is kept, whatever becomes of who waits for it
      self._shared:safe_set(lead.key, json.encode({ status = 202, value = pending_of(lead) }), REMEMBERED)
    end
    lead.ordered = true
    lead.semaphore:post(1)
  end
end

-- Gathers what comes within a moment, and makes one job of it.
local function work(self)
  if #self._waiting == 0 then
    return false
  end
  home.sleep(self._gather)
  local batch = { ended = home.semaphores().new(0) }
  while #batch < MOST_ROWS and self._waiting[1] do
    local lead = table.remove(self._waiting, 1)
    if not lead.given_up then
      batch[#batch + 1] = lead
    end
  end
  for number, lead in ipairs(batch) do
    lead.batch, lead.number = batch, number
  end
  if #batch > 0 then
    local fine, id, err = pcall(order, self, batch)
    tell_all(self, batch, fine and id or nil, not fine and id or err)
  end
  return #self._waiting > 0
end

---@param options table those of campaign.openresty.jobs; `fields`: names of form fields or keys of the JSON object, the columns of the list;
---`key`: the field that tells posts of the same lead apart (a repeat gets the first one's answer); `wait`, `gather` in seconds; `rate`,
---`burst` of all workers; `max_body`
function M.new(options)
  local given = {}
  for name, value in pairs(options) do
    if not OWN[name] then
      given[name] = value
    end
  end
  if type(options.fields) ~= "table" or #options.fields == 0 then
    error("campaign.openresty.lead: option `fields` must be a list of names", 2)
  end
  given.most_running = given.most_running or MOST_RUNNING
  local self = setmetatable({
    jobs = jobs_module.new(given), _fields = options.fields, _gather = options.gather or GATHER_SECONDS, _wait = options.wait or WAIT_SECONDS,
    _most = options.max_body or MOST_BODY, _key = options.key, _shared = request.shared(options.shared), _waiting = {},
    _rate = rate_module.new{ name = "lead" .. options.folder, rate = options.rate or RATE, burst = options.burst or options.rate or RATE,
      shared = request.shared(options.shared) },
  }, mt)
  self._background = background.new(function() return work(self) end)
  return self
end

local function text_of(value)
  if type(value) == "number" then
    return json.encode(value)
  elseif type(value) == "boolean" then
    return tostring(value)
  end
  return type(value) == "string" and value or nil
end

local FILE = { "file" } -- what a form has under the name of a file

local function read_form(body, content_type)
  local reader, err = core.multipart.reader{ content_type = content_type, max_part = #body, max_total = #body + 1, max_parts = MOST_FIELDS }
  local events
  if reader then
    events, err = reader:feed(body)
  end
  local ok = events
  if events then
    ok, err = reader:finish()
  end
  if not ok then
    return nil, err.message
  end
  local values, name = {}, nil
  for _, event in ipairs(events) do
    if event[1] == "part" then
      local is_file = event.filename and event.filename ~= "" -- a browser sends a file field that was left empty without a name
      name = values[event.name] == nil and not is_file and event.name or nil
      if values[event.name] == nil then
        values[event.name] = is_file and FILE or ""
      end
    elseif event[1] == "data" and name then
      values[name] = values[name] .. event[2]
    end
  end
  return values
end

-- The fields of a post, whichever form it has.
local function read(body, content_type)
  local kind = content_type:lower():match("^[^;%s]*")
  if kind == "application/json" then
    local values, err = json.decode(body)
    if type(values) ~= "table" or json.is_array(values) then
      return nil, "the body is no JSON object" .. (err and ": " .. tostring(err.message or err) or "")
    end
    return values
  elseif kind == "multipart/form-data" then
    return read_form(body, content_type)
  end
  local given, why = ngx.decode_args(body, MOST_FIELDS)
  if why then
    return nil, ("the form has more than %d fields"):format(MOST_FIELDS)
  end
  local values = {}
  for name, value in pairs(given) do
    if type(value) == "table" then
      value = value[1] -- named twice
    end
    values[name] = value ~= true and value or "" -- named without a value
  end
  return values
end

-- A row of the list; nil and what is wrong with it.
local function row_of(self, values)
  local row, is_filled = {}, false
  for i, name in ipairs(self._fields) do
    local value = values[name]
    local text = value ~= nil and value ~= json.null and text_of(value) or ""
    if type(value) == "table" and next(value) ~= nil then -- an empty one is how PHP writes nothing
      return nil, "the field " .. name .. " is not one text but an object, a list or a file"
    elseif text:find("%z") or not core.utf8.validate(text) then
      return nil, "the field " .. name .. " is not UTF-8 text"
    end
    row[i], is_filled = text, is_filled or text ~= ""
  end
  if not is_filled then
    return nil, "none of the fields is there: " .. table.concat(self._fields, ", ")
  end
  return row
end

local function answer(status, value)
  metrics.count("campaign_leads_total", "state", value.state or "refused")
  metrics.observe_request("lead")
  request.json(status, value)
  return status, value
end

local function refuse(status, problem)
  metrics.count("campaign_leads_total", "state", "refused")
  metrics.observe_request("lead")
  request.json(status, { error = problem }, true)
end

-- Waits until the lead's job is ordered, then until it has run; what became of the lead.
local function settle(self, lead)
  local function is_ordered()
    return lead.ordered
  end
  local is_late = not self._background:wait(is_ordered, lead.semaphore, self._wait)
  if is_late and lead.batch then -- its row is in a list that is being written, and will be sent: only the disk can refuse it now
    if lead.key then
      self._shared:safe_set(lead.key, "", M.ORDER_SECONDS + SLACK_SECONDS)
    end
    self._background:wait(is_ordered, lead.semaphore, M.ORDER_SECONDS)
  end
  local draft = not lead.ordered and lead.batch and lead.batch.draft
  if draft then -- nginx ended the request that ordered for all, or the disk is very slow: the folder knows, and from now on for good
    local is_kept = self.jobs:settle_draft(draft, function() return lead.batch.id ~= nil end)
    if not lead.ordered then
      tell_all(self, lead.batch, is_kept and draft.id or nil, "it took too long")
    end
  end
  if not lead.ordered then
    lead.given_up = true
    return 503, { error = "the lead could not be kept in time" }
  end
  local batch = lead.batch
  if not batch.id then
    request.log("leads could not be kept", batch.err)
    return 503, { error = "the lead could not be kept" }
  elseif is_late then
    return 202, pending_of(lead)
  end
  if not batch.outcomes then
    local is_over = batch.ended:wait(self._wait)
    if is_over then
      batch.ended:post(1) -- for the others of the batch
      batch.outcomes = batch.outcomes or outcomes_of(self.jobs, batch.id)
    end
  end
  local outcome = { lead = batch.id .. "." .. lead.number }
  for name, value in pairs(batch.outcomes and (batch.outcomes[lead.number] or batch.outcomes.rest) or { state = "pending" }) do
    outcome[name] = value ~= "" and value or nil -- false neither
  end
  return ANSWERS[outcome.state], outcome
end

-- The answer to an earlier post of the same lead; true when it was given. A key is taken for as long as its lead may wait to be kept, no
-- longer: should the worker die with it, the sender's next attempt is the first one again.
local function is_repeat(self, key)
  local added, why = self._shared:safe_add(key, "", self._wait + SLACK_SECONDS)
  if added or why ~= "exists" then
    return false -- a full dictionary forgets repeats; it does not refuse leads
  end
  local text = self._shared:get(key) or ""
  local said = text ~= "" and json.decode(text)
  if not said then
    ngx.header["Retry-After"] = "1"
    answer(503, { error = "the same lead is on its way to the disk; ask again", ["repeat"] = true })
  else
    said.value["repeat"] = true
    answer(said.status, said.value)
  end
  return true
end

---The whole location.
function methods:handle()
  if request.refuse_method("POST") then
    return
  end
  local headers = request.headers()
  local length = tonumber(headers["content-length"] or "")
  if length and length > self._most then
    return refuse(413, "too large")
  elseif request.encoded(headers) then
    return refuse(415, request.encoded(headers))
  elseif #self._waiting >= MOST_WAITING or not self._rate:take() then
    ngx.header["Retry-After"] = "1"
    return refuse(503, "too many")
  end
  local body = request.body(self._most)
  if not body or #body > self._most then
    return answer(413, { error = "too large" })
  end
  request.outlive_client()
  local values, problem = read(body, headers["content-type"] or "")
  local row
  if values then
    row, problem = row_of(self, values)
  end
  if not row then
    return answer(400, { error = problem })
  end
  local key = self._key and self._shared and text_of(values[self._key])
  key = key and key ~= "" and "lead:" .. core.digest.sha256(self.jobs.folder .. "\0" .. key)
  if key and is_repeat(self, key) then
    return
  end
  local lead = { row = row, key = key, semaphore = home.semaphores().new(0) }
  self._waiting[#self._waiting + 1] = lead
  local fine, status, value = pcall(settle, self, lead)
  if key and fine and value.lead and value.state ~= "rejected" then -- kept, also where its import could not begin
    self._shared:safe_set(key, json.encode({ status = status, value = value }), REMEMBERED)
  elseif key and (fine or not (lead.batch and lead.batch.id)) then
    self._shared:delete(key) -- it may be sent again, a rejected one when it is corrected
  end
  if not fine then
    error(status, 0)
  end
  answer(status, value)
end

---Continues with leads that could not be delivered, or whose worker died: in init_worker_by_lua.
---@param seconds number?
function methods:watch(seconds)
  self.jobs:watch(seconds)
end

return M

-- SPDX-License-Identifier: MIT
-- The HYPERS platform (docs/contracts/hypers.md): what all its operations share. The checks run in the order
-- route, token, path id, resource, body, state (R365); errors have one shape at the API and another at the token
-- endpoint. Tokens are hypers_oauth.lua's, files hypers_files.lua's, notification tasks hypers_tasks.lua's.

local batches = require "campaign.sandbox.hypers_batches"
local files = require "campaign.sandbox.hypers_files"
local groups = require "campaign.sandbox.hypers_groups"
local json = require "campaign.sandbox.json"
local lists = require "campaign.sandbox.hypers_lists"
local oauth = require "campaign.sandbox.hypers_oauth"
local plans = require "campaign.sandbox.hypers_plans"
local reply = require "campaign.sandbox.reply"
local reports = require "campaign.sandbox.hypers_reports"
local state_of = require "campaign.sandbox.state"
local tasks = require "campaign.sandbox.hypers_tasks"

local M = {}

local methods = {}
local mt = { __index = methods, __name = "sandbox.hypers" }

local handlers = {}
for _, part in ipairs{ batches, files, groups, lists, oauth, plans, reports, tasks } do
  for name, handler in pairs(part.handlers) do
    handlers[name] = handler
  end
end

function M.new(app)
  return setmetatable({ app = app }, mt)
end

-- The operations whose paths lost their last segment in the document (R277).
local RESTORED = {
  delete_marketing_group = true, update_marketing_group = true, get_marketing_group = true,
  update_marketing_scene = true, get_marketing_scene = true, update_marketing_plan = true,
  get_marketing_plan = true, delete_marketing_plan = true, get_marketing_task = true,
}

function methods:serves(operation)
  if RESTORED[operation] and not self.app:on("R277") then
    return false
  end
  return handlers[operation] ~= nil
end

---Which of the two grants a token request means; only its body says so.
function methods.which(_, exchange)
  return oauth.which(exchange)
end

function methods:expire(request)
  oauth.expire(self, request)
end

function methods:clear()
  files.clear(self)
end

-- The statuses that the document lists are answered as such (R362).
local function status_of(self, status)
  if self.app:on("R362") then
    return status
  end
  return 418
end

---A failure: at the token endpoint in RFC 6749's shape (R364), elsewhere code, message and, for 400, errors (R363).
---@param status integer
---@param message string
---@param operation? string
---@param field? string
---@param reason? string
function methods:refuse(status, message, operation, field, reason)
  if operation and operation:find("^oauth_") then
    local word = status == 401 and "invalid_client" or status < 500 and "invalid_request" or "server_error"
    return oauth.refuse(self, status, word, message)
  end
  if not self.app:on("R363") then
    return reply.json(status_of(self, status), json.ordered("msg", message))
  end
  local errors
  if status == 400 then
    errors = json.array{ json.ordered("field", field or "", "reason", reason or "invalid") }
  end
  return reply.json(status_of(self, status), json.ordered("code", status, "message", message, "errors", errors))
end

---A 400 for one field.
---@param field string
---@param reason string a word such as `required`, `too_long`, `invalid`
---@param text string
function methods:bad(field, reason, text)
  return self:refuse(400, field .. ": " .. text, nil, field, reason)
end

---A 400 for a body that body.lua could not read; `why` is its word.
function methods:bad_body(why)
  return self:refuse(400, why, nil, "body", "invalid")
end

---A good reply; 200 everywhere (R368).
---@param request table
---@param value any
function methods:success(request, value)
  local created = request.operation:find("^create_") or request.operation == "upload_file"
  return reply.json(created and not self.app:on("R368") and 201 or 200, value)
end

---Sets a plan's status by the control path.
function methods:set_plan(change)
  return plans.set_status(self, change)
end

---The next of the ids that all objects share, as decimal text.
function methods:new_id()
  local state = self.app.state.hypers
  local id = state.next_id
  state.next_id = state_of.next_id(id)
  return id
end

---An id as JSON digits, exact whatever its length (R281).
function methods:id_value(id)
  if self.app:on("R281") then
    return json.literal(id)
  end
  return tonumber(id)
end

-- The refusal of the path's id, if it is none: R248 speaks of files, R201 of tasks.
local function bad_path_id(self, request)
  local rule = request.operation == "download_file" and "R248" or "R201"
  for name, value in pairs(request.params) do
    if not state_of.is_id(value) and self.app:on(rule) then
      return self:bad(name, "invalid", "expected a positive integer")
    end
  end
  return nil
end

function methods:handle(request)
  local handler = handlers[request.operation]
  if request.operation:find("^oauth_") then
    return handler(self, request)
  end
  local bad_id = bad_path_id(self, request)
  if bad_id and not self.app:on("R365") then
    return bad_id
  end
  if request.operation ~= "download_file" or not self.app:on("R246") then
    if not oauth.is_allowed(self, request) then
      return self:refuse(401, "missing, unknown or expired access token")
    end
  end
  return bad_id or handler(self, request)
end

return M

-- SPDX-License-Identifier: MIT
-- Opens a job for maintenance: folder, ledger, list and options, without an account and without sending anything. The caller has exclusive
-- access; a running job is refused.

local core = require "campaign.core"
local error_object = require "campaign.error"
local layout = require "campaign.import.plan.layout"
local platforms = require "campaign.api.platform"
local reading = require "campaign.reading"
local record_module = require "campaign.import.record"
local row_fields = require "campaign.import.plan.row_fields"
local stored = require "campaign.import.stored"

local M = {}

local methods = {}
local mt = { __index = methods, __name = "campaign.job.opened" }

local function refuse(path, message, hint)
  return error_object.refuse{ kind = "ledger", message = "job " .. path .. ": " .. message, hint = hint }
end

---Opens folder, ledger and record of a job.
---@param path string the job folder
---@return table? opened
---@return campaign.error? err
function M.open(path)
  local found, err = stored.open(path)
  if not found then
    return nil, err
  end
  local put = found.put
  return setmetatable({ path = path, folder = found.folder, job = found.told, ledger = found.ledger, id = put.id, state = stored.state_of(put),
    file = put.files[1], record_text = put.record, record = found.record }, mt)
end

---Opens the list, and finds its header and its operation.
---@return true? ok
---@return campaign.error? err
function methods:open_list()
  local err
  self.platform, err = platforms.load((platforms.split(self.record.options.to)))
  if not self.platform then
    return nil, err
  end
  self.operation = self.platform.operations[self.record.operation]
  if type(self.operation) ~= "table" then
    return refuse(self.path, self.record.platform .. " has no operation " .. tostring(self.record.operation) .. " any more",
      "use the platform's data that the job was planned with")
  end
  self.input, err = reading.open(layout.reading(self.record.options, { path = self.file.path, encoding = self.file.encoding,
    delimiter = self.file.delimiter ~= "" and self.file.delimiter or nil }))
  if not self.input then
    return nil, err
  end
  self.columns, err = self.input:columns()
  return self.columns ~= nil or nil, err
end

---An encoder that produces JSON arrays of the rows as they were sent, in whatever format that was: for comparing, not for sending.
---@return userdata? encoder nil, and a reason as text, if the rows cannot be encoded again
---@return string? why
function methods:encoder()
  local rows, options = self.operation.rows, self.record.options
  if rows.columns_from and not self.record.target_columns then
    return nil, "the job was planned by a version that did not keep the target's columns"
  end
  local mapping, err = layout.mapping(self.operation, self.columns, self.record.target_columns, options, self.id)
  if not mapping then
    return nil, err.message
  end
  if record_module.shape(mapping, self.columns) ~= self.record.shape then
    return nil, "the platform's data or the list's columns are not those that the job was planned with"
  end
  local encoder
  encoder, err = core.rows.encoder{
    format = "json", row = rows.shape == "csv" and "array" or rows.shape, columns = mapping.width,
    fields = row_fields.nested(mapping.fields), checks = mapping.checks, demands = mapping.demands,
    map = options.replacements, prefix = "[", suffix = "]", separator = ",",
  }
  return encoder, err and tostring(err)
end

---Releases everything. May be called twice.
function methods:close()
  for _, name in ipairs({ "input", "ledger" }) do
    if self[name] then
      self[name]:close()
      self[name] = nil
    end
  end
end

return M

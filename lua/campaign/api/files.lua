-- SPDX-License-Identifier: MIT
-- The files among a call's fields: refuses what must not become public, and says whether they can be sent again. transport/files opens them.

local error_object = require "campaign.error"
local media_type = require "campaign.media_type"

local M = {}

---The refusal of a file that would become public without the caller's consent; nil when it may be sent.
---@param operation campaign.operation with `public = true`
---@param values table
---@return campaign.error?
function M.public_refusal(operation, values)
  for _, field in ipairs(operation.fields) do
    local file = field.type == "file" and values[field.name]
    if file and not media_type.of(file.filename):find("^image/") then -- pictures are shown to people and are not lists of people
      local message = "anybody who knows the file's id can read it, for a year and more; a file other than a picture may hold personal data"
      local _, err = error_object.refuse{
        kind = "invalid", platform = operation.platform, operation = operation.name, reason = "public_file",
        message = field.name .. ": " .. message, faults = { { path = field.name, message = message } },
        hint = "give accept_public_file = true (--accept-public-file) if that is acceptable",
      }
      return err
    end
  end
end

---Whether a call holds a body source, which can be sent once only.
---@param fields table?
---@param operation campaign.operation
---@param options table
---@return boolean
function M.is_used_up(fields, operation, options)
  if options.rows then
    return true
  end
  for _, field in ipairs(operation.fields) do
    local value = field.type == "file" and fields and fields[field.name]
    if type(value) == "userdata" or type(value) == "table" and value.source then
      return true
    end
  end
  return false
end

return M

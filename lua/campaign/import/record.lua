-- SPDX-License-Identifier: MIT
-- What a job must record about itself to be continued in another process: its options, its target, and digests to detect that circumstances
-- have changed. Contains no credentials; those are looked up again.

local core = require "campaign.core"
local error_object = require "campaign.error"
local json = require "campaign.json"
local lfs = require "campaign.lfs"
local merged = require "campaign.merged"
local platforms = require "campaign.api.platform"

local M = {}

-- Options that are recorded as they were given. Others belong to the process, not to the job.
local KEPT = { "to", "params", "map", "set", "split", "check", "encoding", "delimiter", "rows_per_call", "rows_per_file",
  "concurrency", "attempts", "bisect", "rate", "max_reject", "window", "overwrite", "mark", "accept_public_file", "unique", "keys", "mapped",
  "workbook" }

---@param path string
---@return string
local function absolute(path)
  return path:sub(1, 1) == "/" and path or lfs.currentdir() .. "/" .. path:gsub("^%./+", "")
end

M.absolute = absolute

---The options as plain data.
---@param options table as options.read made them
---@return table
function M.options(options)
  local kept = {}
  for _, name in ipairs(KEPT) do
    kept[name] = options[name]
  end
  kept.source = absolute(options.source)
  kept.to = platforms.is_path((platforms.split(options.to))) and absolute(options.to) or options.to
  kept.suppress = options.suppress[1] and {} or nil
  kept.since = options.since and absolute(options.since)
  for i, entry in ipairs(options.suppress) do
    kept.suppress[i] = { file = absolute(entry.file), column = entry.column, field = entry.field, form = entry.form, label = entry.label }
  end
  kept.on_unmappable = options.on_unmappable
  kept.replacements = options.replacements
  return kept
end

---Options for campaign.plan from what was kept, with what belongs to this process.
---@param kept table
---@param given campaign.run.options
---@return table
function M.given(kept, given)
  local options = merged(kept, kept.replacements and { on_unmappable = { map = kept.replacements } })
  options.replacements = nil
  return merged(options, given)
end

---A digest that identifies the account: a job is never sent to another one. It is made of the values that are no secret, and the user name. A token or
---password may be renewed while a job waits, so secrets count only if nothing else distinguishes accounts.
---@param platform table
---@param account table
---@return string
function M.identity(platform, account)
  local parts, secrets, is_distinct = { platform.name }, {}, false
  for _, field in ipairs(platform.account) do
    local value = account[field.name]
    if value ~= nil and type(value) ~= "table" and type(value) ~= "function" then
      local is_public = not field.secret or field.name == "username"
      local to = is_public and parts or secrets
      to[#to + 1] = field.name .. "=" .. tostring(value)
      is_distinct = is_distinct or is_public and field.type ~= "url"
    end
  end
  for _, text in ipairs(is_distinct and {} or secrets) do
    parts[#parts + 1] = text
  end
  return core.digest.sha256(table.concat(parts, "\0")):sub(1, 16)
end

---A digest of everything that decides how rows become bytes.
---@param mapping table
---@param columns string[]
---@return string
function M.shape(mapping, columns)
  local described = { fields = mapping.fields, checks = mapping.checks, demands = mapping.demands, header = mapping.header,
    columns = columns, unique = mapping.unique }
  return core.digest.sha256(assert(core.json.encode(described))):sub(1, 16)
end

---Encodes a record, with a checksum.
---@param record table
---@return string? text
---@return campaign.error? err
function M.encode(record)
  local text, err = core.json.encode(record)
  if not text then
    return nil, err
  end
  return text .. "\n" .. core.digest.crc32c(text)
end

---Decodes a record.
---@param text string
---@param path string? of the ledger that it is from
---@return table? record
---@return campaign.error? err
function M.decode(text, path)
  local plain, sum = text:sub(1, -10), text:sub(-9)
  local record, err
  if sum == "\n" .. core.digest.crc32c(plain) then -- a flipped bit in the record could send the rows to another target
    record, err = json.decode(plain, { bytes = #plain + 1 })
  end
  if type(record) ~= "table" or type(record.options) ~= "table" then
    return error_object.refuse{ kind = "ledger", reason = "damaged", cause = err,
      message = (path and "ledger " .. path or "the ledger") .. ": its record of the job is damaged",
      hint = "restore ledger.db from a copy made after the job's last run; otherwise check on the platform what was sent" }
  end
  return record
end

return M

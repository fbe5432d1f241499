-- SPDX-License-Identifier: MIT
-- The row keys of a job: a keyed hash of each row's contents, by which a later import (`since`) recognizes rows that need not be sent
-- again. 16 bytes per row in the job folder, with their secret: no personal data, but anyone with the folder can test whether a row was in
-- the list; `campaign forget` removes them. import/plan/since.lua reads them.

local core = require "campaign.core"
local error_object = require "campaign.error"
local family = require "campaign.import.family"
local folder_module = require "campaign.import.folder"

local M = {}

M.BYTES = 16

-- The head of the file names the hash: keys of another hash cannot be compared.
local KIND = "campaign row keys "
local MAGIC = KIND .. "2 (NH, SipHash-1-3-128)\n"
local SECRET_BYTES = 32

-- Where the first key stands.
M.START = #MAGIC + SECRET_BYTES

-- Bytes of the longest list whose keys are kept by default: they add a third to the time of checking it.
local MOST_UNASKED = 67108864

-- Bytes gathered before they are written.
local CHUNK = 262144

local methods = {}
local mt = { __index = methods, __name = "campaign.import.plan.row_keys" }

-- Fields that a row fills, with the columns they come from, in an order that the list's columns do not change.
local function parts_of(mapping)
  local parts = {}
  for _, entry in ipairs(mapping.fields) do
    for _, item in ipairs(entry.items or { entry }) do
      parts[#parts + 1] = { name = entry.items and entry.name .. "." .. item.id or entry.name, column = item.column, type = entry.type,
        split = entry.split, join = entry.join, constant = entry.constant, mark = entry.mark ~= nil or nil }
    end
  end
  table.sort(parts, function(left, right) return left.name < right.name end)
  return parts
end

---The columns whose values are sent.
---@param mapping campaign.mapping
---@return integer[]
function M.columns(mapping)
  local columns = {}
  for _, part in ipairs(parts_of(mapping)) do
    columns[#columns + 1] = part.column
  end
  return columns
end

---What rows of two jobs must have in common for their keys to mean the same: the fields, how they are filled, and from columns of which
---names. Another mapping would make every row a changed one, and send it again.
---@param mapping campaign.mapping
---@param replacements table<string, string>? the user's characters
---@return string digest
function M.content(mapping, replacements)
  local described, called = parts_of(mapping), {}
  for _, use in ipairs(mapping.uses) do
    called[use.field] = use.column
  end
  for _, part in ipairs(described) do
    part.column = part.column and called[part.name] or nil -- its place in the list is free
  end
  return core.digest.sha256(assert(core.json.encode({ fields = described, replacements = replacements or {} }))):sub(1, 16)
end

---Makes the file.
---@param path string
---@param secret string of 32 bytes
---@return table? file `write(bytes)`, `close()`, both `true | nil, err`; `checksum`
---@return campaign.error? err
function M.create(path, secret)
  local file, err = core.system.append_open(path, 384) -- 0600
  if not file then
    return folder_module.trouble(path, err)
  end
  return setmetatable({ path = path, checksum = "00000000", _file = file, _parts = { MAGIC .. secret }, _size = M.START }, mt)
end

function methods:_flush()
  local text = table.concat(self._parts)
  self._parts, self._size = {}, 0
  local ok, err = self._file:write(text)
  if not ok then
    return folder_module.trouble(self.path, err)
  end
  return true
end

---Adds keys.
---@param bytes string keys of the next rows
---@return true? ok
---@return campaign.error? err
function methods:write(bytes)
  self.checksum = core.digest.crc32c(bytes, self.checksum)
  self._parts[#self._parts + 1], self._size = bytes, self._size + #bytes
  if self._size >= CHUNK then
    return self:_flush()
  end
  return true
end

---Writes the rest, and closes the file. May be called twice.
---@return true? ok
---@return campaign.error? err
function methods:close()
  if not self._file then
    return true
  end
  local ok, err = self:_flush()
  self._file:close()
  self._file = nil
  return ok, err
end

local reader = {}
local reader_mt = { __index = reader }

local function refuse(path, message, hint)
  return error_object.refuse{ kind = "ledger", message = path .. ": " .. message,
    hint = hint or "import the list without `since`, or since another job" }
end

---Opens the file of an earlier job, compared with what its ledger says of it.
---@param path string
---@param rows integer
---@param checksum string?
---@param pause fun()?
---@return table? file `secret`, `read(first_row, rows)`, `close()`
---@return campaign.error? err
function M.open(path, rows, checksum, pause)
  local file = io.open(path, "rb")
  if not file or not checksum then
    if file then
      file:close()
    end
    return refuse(path, "is not there: the job kept no keys of its rows, or they were forgotten",
      "import the list without `since`; with keys = true (--keep-keys) also long lists can be gone on from")
  end
  local head = file:read(M.START) or ""
  if head:sub(1, #KIND) == KIND and head:sub(1, #MAGIC) ~= MAGIC then
    file:close()
    return refuse(path, "was made by another version of campaign, with another hash: its rows cannot be compared with those of today")
  end
  local sum, left = "00000000", rows * M.BYTES
  local sound = #head == M.START and head:sub(1, #MAGIC) == MAGIC
  while sound and left > 0 do
    local bytes = file:read(math.min(CHUNK, left))
    sound = bytes ~= nil
    if sound then
      sum, left = core.digest.crc32c(bytes, sum), left - #bytes
    end
    if pause then
      pause()
    end
  end
  if not sound or sum ~= checksum or file:read(1) then
    file:close()
    return refuse(path, "is damaged")
  end
  return setmetatable({ secret = head:sub(#MAGIC + 1), _file = file }, reader_mt)
end

---Keys of rows, one after the other.
---@param first_row integer
---@param rows integer
---@return string
function reader:read(first_row, rows)
  self._file:seek("set", M.START + (first_row - 1) * M.BYTES)
  return self._file:read(rows * M.BYTES)
end

function reader:close()
  self._file:close()
end

---The secret of a job's keys; nil when it has none.
---@param path string
---@return string?
function M.secret(path)
  local file = io.open(path, "rb")
  local head = file and file:read(M.START) or ""
  if file then
    file:close()
  end
  return #head == M.START and head:sub(1, #MAGIC) == MAGIC and head:sub(#MAGIC + 1) or nil
end

---The keys that an import makes, and the rows that it leaves out by those of an earlier job.
---@param options table since?, keys?, job?, replacements?, params, env
---@param mapping campaign.mapping
---@param now table platform, operation, identity, id, bytes (of the list)
---@return table|false|nil keys for the core's preflight, `content`, `handover` (for import/handover); false when none are asked for
---@return campaign.error? err
function M.prepare(options, mapping, now)
  if not options.since and (options.keys == false or options.keys == nil and now.bytes > MOST_UNASKED) then
    return false
  end
  local keys = { columns = M.columns(mapping), content = M.content(mapping, options.replacements) }
  if not options.since then
    -- A retry's keys belong to those of the job that it retries.
    local root = options.job and family.root(options.job)
    keys.secret = root and root ~= options.job and M.secret(root .. "/" .. folder_module.FILES.keys) or options.env.random(SECRET_BYTES)
    return keys
  end
  local list, secret, seen = require("campaign.import.plan.since").load(options.since, {
    platform = now.platform, operation = now.operation, identity = now.identity, params = options.params, content = keys.content,
    pause = options.env.pause, id = now.id,
  })
  if not list then
    return nil, secret
  end
  keys.since, keys.secret, keys.handover = list, secret, { seen = seen }
  return keys
end

---@param keys table|false|nil
function M.close(keys)
  if keys and keys.since then
    keys.since:close()
    keys.since = nil
  end
  if keys and keys.file then
    keys.file:close()
    keys.file = nil
  end
end

return M

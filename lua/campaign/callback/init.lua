-- SPDX-License-Identifier: MIT
-- Receives the callbacks of asynchronous imports, in any HTTP server: `receiver:handle(request)` → response. Authenticated by a secret
-- path, a signature, or both; bounded, idempotent, durable before it answers 200. The platform's data (`callbacks`) defines what a body
-- means; an unreadable body is stored too. A callback is a hint: only a batch id that an import received connects it to rows.

local core = require "campaign.core"
local env_module = require "campaign.env"
local error_object = require "campaign.error"
local inbox_module = require "campaign.callback.inbox"
local json = require "campaign.json"
local normalise = require "campaign.api.normalise"
local options_of = require "campaign.callback.options"
local platforms = require "campaign.api.platform"
local signature = require "campaign.callback.signature"

local M = {}

local MAX_BODY = 1048576
local MAX_ID = 200
local MAX_UNPACKED = 8388608 -- of a compressed body
local MIN_SECRET, MIN_DISTINCT = 22, 8 -- 22 characters of 64: 132 bits
local RATE, BURST = 100, 200 -- a second
local ENTRIES, BYTES = 100000, 1073741824

---@class campaign.callback
local methods = {}
local mt = { __index = methods, __name = "campaign.callback" }

function mt.__tostring()
  return "campaign.callback" -- never its path
end

local function usage(message, hint)
  return error_object.refuse{ kind = "usage", message = message, hint = hint }
end

---Whether a text is acceptable as the secret of a path: at least 128 bits, in characters that no proxy changes.
---@param secret any
---@return boolean
function M.is_secret(secret)
  if type(secret) ~= "string" or #secret < MIN_SECRET or #secret > 200 or secret:find("[^%w_-]") then
    return false
  end
  local seen, distinct = {}, 0
  for character in secret:gmatch(".") do
    distinct = distinct + (seen[character] and 0 or 1)
    seen[character] = true
  end
  return distinct >= MIN_DISTINCT
end

---A new secret of 256 bits.
---@param env campaign.env?
---@return string
function M.new_secret(env)
  return core.digest.hex((env or env_module.default()).random(32))
end

-- The shipped platform that sends callbacks, as long as it is the only one.
local function only_sender()
  local found
  for _, name in ipairs(platforms.names()) do
    if next(assert(platforms.load(name)).callbacks) then
      if found then
        return nil
      end
      found = name
    end
  end
  return found
end

-- What the platform's data says of its callbacks.
local function data_of(options)
  local name = options.platform or only_sender()
  if not name then
    return usage("several platforms send callbacks", "say which one: `platform`")
  end
  local platform, err = platforms.load(name)
  if not platform then
    return nil, err
  end
  local data = platform.callbacks[options.name or next(platform.callbacks)]
  if not data then
    return usage("platform `" .. platform.name .. "` sends no callbacks" .. (options.name and " of that name" or ""))
  end
  return data
end

-- The JSON of a body in UTF-8 or GBK: the headers are not stored, so they cannot tell which.
local function decode(body)
  local first = body:byte(1)
  if first == 0x1F or first == 0x78 then -- as gzip and zlib begin, and no JSON does
    body = core.gzip.unpack(body, MAX_UNPACKED) or body
  end
  if not core.utf8.validate(body) then
    body = core.gbk.decode(body, "gb18030") or body
  end
  return json.decode(body)
end

local function plain(value, wanted)
  return type(value) == wanted and value or nil
end

-- A count or an index; some senders write numbers as texts, and json.decode returns the longest ones as such.
local function number_of(value)
  return plain(value, "number") or type(value) == "string" and value:find("^%d+$") and tonumber(value) or nil
end

-- What a decoded body says in the fields that the platform's data names: total, success, fail, rows.
local function told_by(data, value)
  local told = { rows = {} }
  for _, key in ipairs{ "total", "success", "fail" } do
    told[key] = data[key] and number_of(normalise.at(value, data[key]))
  end
  local rows = normalise.at(value, data.rows)
  for number, row in ipairs(type(rows) == "table" and rows or {}) do
    local index = data.index and number_of(normalise.at(row, data.index))
    local mark = data.mark and normalise.at(row, data.mark)
    told.rows[number] = {
      index = index and index + 1, mark = plain(mark, "string"), ok = plain(normalise.at(row, data.ok), "boolean"),
      reason = data.reason and plain(normalise.at(row, data.reason), "string"),
    }
    if normalise.at(row, data.ok) == false then
      told.rows[number].ok = false
    end
  end
  return told
end

local function digits(number)
  return number and ("%.17g"):format(number) or ""
end

-- A digest that is the same for equal results: whatever the order of their rows, and whatever else differs from one delivery to the next (its
-- time, the number of the try). nil for a body that tells of no rows, or of one without an outcome.
local function meaning(data, body)
  local told, lines = told_by(data, decode(body)), {}
  for number, row in ipairs(told.rows) do
    if row.ok == nil then
      return nil
    end
    local mark = row.mark or ""
    lines[number] = table.concat({ digits(row.index), tostring(row.ok), #mark, mark, row.reason or "" }, " ")
  end
  table.sort(lines)
  return lines[1] and core.digest.sha256(json.encode{ digits(told.total), digits(told.success), digits(told.fail), json.array(lines) })
end

local function check(options, level)
  options_of.check(options, level + 1)
  local data, err = data_of(options)
  if not data then
    return nil, err
  end
  local signed, problem
  if options.hmac then
    signed, problem = signature.new(options.hmac)
    if not signed then
      return usage(problem)
    end
  end
  if not (signed and options.secret == nil) and not M.is_secret(options.secret) then
    return usage("the secret of the path is too weak",
      "at least 22 characters of A-Z a-z 0-9 _ -, made at random: campaign listen makes one")
  end
  return { data = data, signature = signed }
end

---Checks the options of a receiver without opening anything.
---@param options table
---@return true? ok
---@return campaign.error? err
function M.check(options)
  local found, err = check(options, 2)
  return found and true, err
end

---Makes a receiver.
---@param options { platform: string?, secret: string?, hmac: table?, store: string, name: string?, prefix: string?, max_body: integer?,
---rate: number?, burst: number?, max_entries: integer?, max_bytes: integer?, take: (fun(): boolean)?, env: campaign.env? } secret: of the
---path; hmac: signed posts; take: another rate limiter
---@return campaign.callback? receiver
---@return campaign.error? err
function M.new(options)
  local found, err = check(options, 2)
  if not found then
    return nil, err
  end
  local inbox
  inbox, err = inbox_module.open(options.store, { entries = options.max_entries or ENTRIES, bytes = options.max_bytes or BYTES }, false,
    function(body) return meaning(found.data, body) end)
  if not inbox then
    return nil, err
  end
  local env = options.env or env_module.default()
  local burst = options.burst or BURST
  return setmetatable({
    data = found.data, inbox = inbox, env = env, max_body = options.max_body or MAX_BODY, rate = options.rate or RATE, burst = burst,
    tokens = burst, filled = env.monotonic(), path = core.digest.sha256((options.prefix or "/") .. (options.secret or "")),
    signature = found.signature, take = options.take,
  }, mt)
end

---Opens a store to read what was received; does not receive.
---@param options { platform: string?, store: string, name: string? }
---@return campaign.callback? reader `result`, `conflicts`
---@return campaign.error? err
function M.reader(options)
  local data, err = data_of(options)
  if not data then
    return nil, err
  end
  local found = core.system.stat(options.store, true)
  if not found or found.type ~= "folder" then
    return usage(options.store .. ": there is no store of callbacks", "it is the folder that campaign listen was given with --store")
  end
  local inbox
  inbox, err = inbox_module.open(options.store, { entries = ENTRIES, bytes = BYTES }, true)
  return inbox and setmetatable({ data = data, inbox = inbox }, mt), err
end

local function response(status, message, more)
  local headers = { { "Content-Type", "application/json" } }
  local is_kept = status == 200
  for _, header in ipairs(more or {}) do
    headers[#headers + 1] = header
  end
  if not is_kept then
    headers[#headers + 1] = { "Connection", "close" }
  end
  return { status = status, headers = headers, body = json.encode{ code = status, message = message }, close = not is_kept }
end

local KEPT = response(200, "kept") -- the answer to most posts; never modified

-- Compared as digests, in constant time.
local function is_ours(self, target)
  local path = type(target) == "string" and target:match("^[^?#]*") or ""
  return core.digest.equal(core.digest.sha256(path), self.path)
end

local function take_token(self)
  if self.take then
    return self.take()
  end
  local now = self.env.monotonic()
  self.tokens = math.min(self.burst, self.tokens + math.max(0, now - self.filled) * self.rate)
  self.filled = now
  if self.tokens < 1 then
    return false
  end
  self.tokens = self.tokens - 1
  return true
end

-- A batch number as text: one of more digits than a number keeps is text from the decoder already.
local function id_of(value)
  if type(value) == "number" and value >= 0 and value == math.floor(value) then
    return ("%.0f"):format(value)
  end
  return value
end

-- The id and the outcome in a form that does not depend on spacing and key order; nil for what cannot be parsed.
local function read(self, body)
  local value = decode(body)
  if type(value) ~= "table" then
    return nil
  end
  local id = id_of(normalise.at(value, self.data.id))
  if type(id) ~= "string" or id == "" or #id > MAX_ID or id:find("[%c\127]") then
    return nil
  end
  local text = json.encode(value)
  return text and id, text and core.digest.sha256(text)
end

-- The refusal of a request by its head; nil if its body may be read.
local function refuse_head(self, request)
  if request.method ~= "POST" then
    return response(405, "POST only", { { "Allow", "POST" } })
  end
  if not is_ours(self, request.path) then
    return response(404, "not here")
  end
  local headers = request.headers or {}
  local length = headers["content-length"]
  if length and headers["transfer-encoding"] or length and not length:find("^%d+$") then
    return response(400, "the length is not clear")
  end
  if length and (#length > 12 or tonumber(length) > self.max_body) then
    return response(413, "too large")
  end
  if not self.signature and not take_token(self) then -- forged posts must not use up the rate of the others
    return response(503, "too many", { { "Retry-After", "1" } })
  end
end

-- The refusal of a request by its body; nil if it may be stored.
local function refuse_body(self, request, body)
  if type(body) ~= "string" then
    return response(400, "the body broke off")
  end
  if #body > self.max_body then
    return response(413, "too large")
  end
  local headers = request.headers or {}
  local length = headers["content-length"]
  if length and tonumber(length) ~= #body then
    return response(400, "the body broke off")
  end
  if body == "" and not length and not headers["transfer-encoding"] then -- HTTP takes that for no body: one that ends with the connection is lost
    return response(411, "send the length of the body")
  end
  if not self.signature then
    return nil
  elseif not self.signature:check(headers, body, self.env.now()) then
    return response(401, "the signature is missing, wrong or too old")
  elseif not take_token(self) then
    return response(503, "too many", { { "Retry-After", "1" } })
  end
end

---Answers a request. `body` is the text, or a function that is called only if the body may be read: `body(limit)` returns at most limit +
---1 bytes, or nil if it broke off.
---@param request { method: string, path: string, headers: table<string, string>, body: string|fun(limit: integer): string? }
---@return { status: integer, headers: string[][], body: string, close: boolean } response
---@return string? kind what the body was: first, repeat, conflict, unreadable, duplicate; or the reason why the store did not take it
---@return campaign.error? err why the store did not take it
function methods:handle(request)
  local refusal = refuse_head(self, request)
  if refusal then
    return refusal
  end
  local body = request.body
  if type(body) == "function" then
    body = body(self.max_body)
  end
  refusal = refuse_body(self, request, body)
  if refusal then
    return refusal
  end
  local id, outcome = read(self, body)
  local kind, err = self.inbox:put(body, id, outcome, self.env.now())
  if not kind then
    return response(503, err.reason == "full" and "the store is full" or "the store cannot take it", { { "Retry-After", "60" } }), err.reason, err
  end
  return KEPT, kind
end

---What was received for a batch id, at any time; nil if nothing was.
---@param id string the batch id that an import received
---@return { id: string, total: number?, success: number?, fail: number?, conflict: boolean, rows: table[] }? result
---@return campaign.error? err
function methods:result(id)
  local body, err = self.inbox:body(id)
  if not body then
    return nil, err
  end
  local result = told_by(self.data, decode(body))
  result.id, result.conflict = id, self.inbox.in_conflict[id] or false
  return result
end

---The entries of all bodies that contradict an earlier one of the same batch id; the first one counts.
---@return table[]
function methods:conflicts()
  return self.inbox:list("conflict")
end

---Joins a result to the rows that were sent: by our mark if both have one, else by the index in the batch.
---@param result table from `result`
---@param sent { row: integer, mark: string? }[] in the order of the batch
---@return table<integer, { ok: boolean, reason: string? }> outcomes by row number
---@return table[] unmatched rows of the result that match nothing, or whose outcome is neither true nor false
function M.join(result, sent)
  local by_mark, outcomes, unmatched = {}, {}, {}
  for _, item in ipairs(sent) do
    if item.mark then
      by_mark[item.mark] = by_mark[item.mark] == nil and item or false -- a mark shared by two rows proves nothing
    end
  end
  for _, row in ipairs(result.rows) do
    local item = row.mark and by_mark[row.mark]
    if not item and row.index then
      item = sent[row.index]
      if item and item.mark and row.mark and item.mark ~= row.mark then
        item = nil
      end
    end
    if item and row.ok ~= nil and outcomes[item.row] == nil then
      outcomes[item.row] = { ok = row.ok, reason = row.reason }
    else
      unmatched[#unmatched + 1] = row
    end
  end
  return outcomes, unmatched
end

return M

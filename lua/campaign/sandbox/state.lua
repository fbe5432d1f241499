-- SPDX-License-Identifier: MIT
-- The sandbox's state between requests: invented tenants, their credentials, and everything created by requests. It contains only JSON
-- values (ids as decimal text), so that one snapshot file restores it after a restart. Each platform's file documents its part of the
-- state.

local core = require "campaign.core"
local json = require "campaign.sandbox.json"
local limit = require "campaign.sandbox.limit"

local M = {}

local VERSION = 2 -- of the snapshot

---A random UUID (version 4).
function M.uuid()
  local hex = core.digest.hex(core.system.random(16))
  local variant = ("89ab"):sub(hex:byte(17) % 4 + 1, hex:byte(17) % 4 + 1)
  return table.concat({ hex:sub(1, 8), hex:sub(9, 12), "4" .. hex:sub(14, 16),
    variant .. hex:sub(18, 20), hex:sub(21, 32) }, "-")
end

---A random token of hexadecimal digits.
function M.token(bytes)
  return core.digest.hex(core.system.random(bytes or 24))
end

-- Digits of an id that a double counts exactly, with one to spare.
local TAIL = 14

local MAX_ID = "9223372036854775807"

---The next decimal text after a decimal text of any length: ids are 64-bit and must not pass through a double as a whole.
---@param text string
---@return string
function M.next_id(text)
  if #text <= TAIL then
    return string.format("%d", tonumber(text) + 1)
  end
  local tail = string.format("%014d", tonumber(text:sub(-TAIL)) + 1)
  local head = text:sub(1, -TAIL - 1)
  if #tail > TAIL then
    return M.next_id(head) .. tail:sub(2)
  end
  return head .. tail
end

---True for the decimal text of a positive 64-bit integer.
function M.is_id(text)
  if not text:find("^[1-9]%d*$") then
    return false
  end
  return #text < #MAX_ID or (#text == #MAX_ID and text <= MAX_ID)
end

---Compares two ids given as decimal texts.
function M.id_before(a, b)
  if #a ~= #b then
    return #a < #b
  end
  return a < b
end

local LIST = "autumn-contacts"

local function outbound(accounts)
  local field = function(id, name, required, length)
    return { id = id, name = name, type1 = required, type2 = "string", length = length }
  end
  return {
    tokens = { [accounts.outbound.token] = "acme" },
    tenants = {
      acme = { companyId = 7 },
      globex = { companyId = 8 },
    },
    sources = json.array{
      {
        id = 31, abbreviate = "acme", type = 0, groupName = "秋季活动联系人", name = LIST,
        fields = json.array{
          field(1, "uuid", 1, 64), field(2, "name", 0, 64), field(3, "phone", 1, 32),
          field(4, "company", 0, 128),
        },
      },
      {
        id = 32, abbreviate = "acme", type = 0, groupName = "spring", name = "spring-campaign",
        fields = json.array{ field(1, "uuid", 1, 64), field(2, "name", 0, 32), field(3, "phone", 1, 20) },
      },
      {
        id = 41, abbreviate = "acme", type = 1, groupName = "免打扰名单", name = "acme-dnc",
        fields = json.array{ field(1, "uuid", 1, 64) },
      },
    },
    tasks = json.array{},
  }
end

local function longlong(accounts)
  local account = accounts.longlong
  local users = {}
  users[account.user_id] = {
    token = account.token, subs = { [account.sub_user_id] = true }, encryption = false,
  }
  users[account.other_user_id] = { token = M.token(), subs = {}, encryption = false }
  local components = {}
  for _, id in ipairs(account.component_ids) do
    components[id] = true
  end
  return { users = users, components = components, batches = json.array{}, pools = {} }
end

local function hypers(accounts, options)
  local account = accounts.hypers
  return {
    client = { id = account.client_id, secret = account.client_secret },
    user = { name = account.username, password = account.password },
    access = {}, refresh = {},
    next_id = options.first_id or "1001",
    files = {}, tasks = {}, groups = {}, scenes = {}, plans = {}, batches = {},
    members = {
      ["123"] = {
        reports = json.array{
          { reportDate = "2025-04-10", moodValues = json.array(), scenes = json.array{ "完成服务" } },
          {
            reportDate = "2025-04-21", moodValues = json.array{ "满意" }, scenes = json.array{ "转人工" },
            content = "agrees to visit tomorrow",
          },
          {
            reportDate = "2025-04-15", moodValues = json.array{ "平静" }, scenes = json.array(),
            content = "asks for the price",
          },
        },
      },
    },
  }
end

---Made-up credentials; what `given` has is taken as it is.
---@param given? table platform → account values
function M.accounts(given)
  local function pick(platform, key, value)
    local values = given and given[platform]
    if values and values[key] ~= nil then
      return values[key]
    end
    return value
  end
  return {
    outbound = {
      token = pick("outbound", "token", M.token(32)), abbreviate = "acme", company_id = "7",
      data_source = LIST, dnc_data_source = "acme-dnc",
    },
    tuzhan = { token = pick("tuzhan", "token", M.token()) },
    hypers = {
      client_id = pick("hypers", "client_id", "sandbox-client"),
      client_secret = pick("hypers", "client_secret", M.token()),
      username = pick("hypers", "username", "operator@example.com"),
      password = pick("hypers", "password", M.token(12)),
    },
    longlong = {
      token = pick("longlong", "token", M.token()),
      user_id = pick("longlong", "user_id", "11111111-1111-4111-8111-111111111111"),
      sub_user_id = "22222222-2222-4222-8222-222222222222",
      other_user_id = "33333333-3333-4333-8333-333333333333",
      component_ids = json.array{
        "aaaaaaaa-0000-4000-8000-000000000001", "aaaaaaaa-0000-4000-8000-000000000002",
      },
    },
  }
end

-- What the control path /_sandbox/settings can change, with its type.
local SETTINGS = {
  ["tuzhan.level"] = { "string", "enterprise" },
  ["longlong.encryption"] = { "boolean", false },
  ["longlong.result_delay"] = { "number", 5 },
  ["longlong.callback_url"] = { "string", "" },
  ["hypers.expires_in"] = { "number", 10599 },
  ["hypers.refresh_life"] = { "number", 0 },
  ["hypers.seconds_per_member"] = { "number", 2 },
  ["hypers.fail_every"] = { "number", 20 },
  ["limit.calls_per_second"] = { "number", 0 },
  ["limit.retry_after"] = { "number", 1 },
  ["limit.kind"] = { "string", "any_second" },
  ["http.date"] = { "string", "auto" },
  ["http.date_ahead"] = { "number", 0 },
}

local DATES = { auto = true, clock = true, none = true }

local function default_settings()
  local settings = {}
  for name, setting in pairs(SETTINGS) do
    settings[name] = setting[2]
  end
  return settings
end

---Changes settings; nothing changes when one is refused.
---@param state table
---@param changes table
---@return true? ok
---@return string? why
function M.set(state, changes)
  for name, value in pairs(changes) do
    local setting = SETTINGS[name]
    if not setting then
      return nil, "unknown setting " .. name
    elseif type(value) ~= setting[1] then
      return nil, name .. ": expected a " .. setting[1]
    elseif name == "limit.kind" and not limit.is_kind(value) then
      return nil, name .. ": expected second, any_second or bucket"
    elseif name == "longlong.callback_url" and value ~= "" and not value:find("^https?://[^/?#%s]+") then
      return nil, name .. ": expected an URL of http or https, or an empty text"
    elseif name == "longlong.result_delay" and not (value >= 0 and value < 1e9) then
      return nil, name .. ": expected seconds from 0"
    elseif name == "http.date" and not DATES[value] then
      return nil, name .. ": expected auto, clock or none"
    elseif name == "http.date_ahead" and (value ~= value or math.abs(value) >= 1e9) then
      return nil, name .. ": expected seconds"
    elseif (name == "limit.calls_per_second" or name == "limit.retry_after") and not (value >= 0 and value < 1e6) then
      return nil, name .. ": expected a number from 0 to 1000000"
    end
  end
  for name, value in pairs(changes) do
    state.settings[name] = value
  end
  return true
end

---A fresh state.
---@param accounts table
---@param options? table first_id, settings
---@return table? state
---@return string? why
function M.fresh(accounts, options)
  options = options or {}
  local state = {
    version = VERSION,
    accounts = accounts,
    settings = default_settings(),
    outbound = outbound(accounts),
    tuzhan = { tokens = { [accounts.tuzhan.token] = true }, customers = json.array{} },
    hypers = hypers(accounts, options),
    longlong = longlong(accounts),
  }
  local ok, why = M.set(state, options.settings or {})
  if not ok then
    return nil, why
  end
  return state
end

---Writes the snapshot.
---@param state table
---@param path string
function M.save(state, path)
  return core.system.write_atomic(path, json.encode(state))
end

---Reads a snapshot; nil when there is none, nil and why when it cannot be read.
---@param path string
---@return table? state
---@return string? why
function M.load(path)
  local file = io.open(path, "rb")
  if not file then
    return nil
  end
  local text = file:read("*a")
  file:close()
  local state, why = json.decode(text)
  if not state then
    return nil, path .. ": " .. why
  elseif state.version ~= VERSION then
    return nil, path .. ": not a snapshot of this version"
  end
  return state
end

return M

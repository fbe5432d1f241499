-- SPDX-License-Identifier: MIT
-- Keeps secrets and personal data out of errors: collects the values of a request that must not be shown, and removes them from external
-- texts by value, by JSON key and by shape (mobile numbers).

local build = require "campaign.api.build"
local core = require "campaign.core"
local human = require "campaign.human"
local later = require "campaign.later"

local hashing = later.module "campaign.api.hashing"

local M = {}

local MASK = "***"

---A phone number with its middle masked: 130****1211.
---@param text string
---@return string
function M.phone(text)
  if #text < 8 then
    return MASK
  end
  return text:sub(1, 3) .. "****" .. text:sub(-4)
end

local function add(list, value)
  if type(value) == "string" and #value >= 2 or type(value) == "number" then
    list[#list + 1] = tostring(value)
  end
end

-- Everything below a redacted field is redacted.
local function collect(description, value, hidden, list)
  hidden = hidden or description.redact
  if type(value) ~= "table" then
    if hidden then
      add(list, value)
      add(list, description.hash and hashing.text(description.hash, value)) -- a digest of a phone number is found by trying all numbers
    end
    return
  end
  if description.type == "array" then
    for _, item in ipairs(value) do
      collect(description.items, item, hidden, list)
    end
  elseif description.type == "object" then
    for key, inner in pairs(value) do
      local field = description.fields[key]
      if field then
        collect(field, inner, hidden, list)
      elseif description.open then
        add(list, inner) -- a key the platform does not describe may hold anything
      end
    end
  end
end

---The personal and secret values of a call, as texts.
---@param operation campaign.operation
---@param values table
---@return string[]
function M.collect(operation, values)
  local list = {}
  for _, field in ipairs(operation.fields) do
    if values[field.name] ~= nil then
      collect(field, values[field.name], false, list)
    end
  end
  return list
end

---The secret values of an account, as they may appear in texts.
---@param platform campaign.platform
---@param account table
---@param token string? the access token in use
---@return string[]
function M.secrets(platform, account, token)
  local list = {}
  for _, key in ipairs(platform.account) do
    if key.secret then
      add(list, account[key.name])
    end
  end
  add(list, token)
  for _, scheme in pairs(platform.auth) do
    if scheme.kind == "basic" and account[scheme.user] and account[scheme.password] then
      list[#list + 1] = core.digest.base64_encode(account[scheme.user] .. ":" .. account[scheme.password])
    end
  end
  return list
end

-- JSON keys whose text values are hidden whether or not the request had them.
local KEYS = {
  phone = true, mobile = true, name = true, nickname = true, membername = true, email = true, company = true, token = true,
  access_token = true, refresh_token = true, password = true, username = true, client_secret = true, userid = true, ciq = true,
  openid = true, unionid = true, thirdid = true,
}

-- Words with which the name of a secret ends, in any spelling: `accessToken`, `tenant_access_token`, `corpsecret`.
local SECRET_ENDS = { "token", "secret", "password", "ticket" }

local function is_hidden_key(key)
  key = key:lower()
  if KEYS[key] then
    return true
  end
  for _, word in ipairs(SECRET_ENDS) do
    if key:sub(-#word) == word then
      return true
    end
  end
  return false
end

local function replace_plain(text, value)
  local out, at = {}, 1
  while true do
    local first, last = text:find(value, at, true)
    if not first then
      break
    end
    out[#out + 1] = text:sub(at, first - 1)
    out[#out + 1] = MASK
    at = last + 1
  end
  if at == 1 then
    return text
  end
  out[#out + 1] = text:sub(at)
  return table.concat(out)
end

-- `"phone" : "..."` → `"phone" : "***"`; also numbers. One pass, no pattern with two unbounded repeats.
local function by_key(text)
  local out, at = {}, 1
  while true do
    local first, last, key = text:find('"([%w_]+)"', at)
    if not first then
      break
    end
    out[#out + 1] = text:sub(at, last)
    at = last + 1
    local value_at = text:match("^%s*:%s*()", at) -- linear: a colon between
    if value_at and is_hidden_key(key) then
      local stop
      if text:sub(value_at, value_at) == '"' then
        stop = value_at + 1
        while stop <= #text and text:byte(stop) ~= 34 do
          stop = stop + (text:byte(stop) == 92 and 2 or 1)
        end
      else
        stop = (text:find("[,}%]%s]", value_at) or #text + 1) - 1
      end
      if text:sub(value_at, stop) ~= "null" then
        out[#out + 1] = text:sub(at, value_at - 1)
        out[#out + 1] = '"' .. MASK .. '"'
        at = stop + 1
      end
    end
  end
  out[#out + 1] = text:sub(at)
  return table.concat(out)
end

-- Runs of 11 digits that begin like a mobile number, also with a blank or a dash after the third and the seventh.
local function by_shape(text)
  text = text:gsub("%f[%d](%d?%d?1[3-9]%d)[ -]%d%d%d%d[ -](%d%d%d%d)%f[%D]", "%1****%2") -- linear: all of it is bounded
  return (text:gsub("%d+", function(digits)
    local country = #digits == 13 and digits:sub(1, 2) == "86" and digits:sub(3) or digits
    if #country == 11 and country:find("^1[3-9]") then
      return M.phone(country)
    end
  end))
end

---A text from outside, fit for an error: bounded, without control characters, without what `hidden` names.
---@param text string
---@param hidden string[]
---@param max integer bytes
---@return string
function M.scrub(text, hidden, max)
  if not core.utf8.validate(text) then
    -- Values echoed in another encoding would not be found: names in GBK would stay readable.
    return ("(%d bytes that are not UTF-8 text)"):format(#text)
  end
  text = human.cut(text, max + 4096)
  local longest_first = {}
  for index, value in ipairs(hidden) do
    longest_first[index] = value
  end
  table.sort(longest_first, function(a, b) return #a > #b end)
  for _, value in ipairs(longest_first) do
    text = replace_plain(text, value)
    local encoded = build.percent_encode(value)
    if encoded ~= value then
      text = replace_plain(text, encoded)
    end
  end
  text = by_shape(by_key(text))
  text = text:gsub("[%z\1-\8\11\12\14-\31\127]", "?")
  return human.cut(text, max)
end

return M

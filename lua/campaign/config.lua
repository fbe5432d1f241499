-- SPDX-License-Identifier: MIT
-- Accounts: finds the values of an account (given, environment, accounts file, in this order; an account requested by name takes precedence
-- over the environment), checks them, and keeps secrets out of sight: they can be read by name but are not listed, printed or written when
-- the account is iterated.

local core = require "campaign.core"
local env_module = require "campaign.env"
local error_object = require "campaign.error"
local json = require "campaign.json"
local later = require "campaign.later"
local merged = require "campaign.merged"
local names_of = require "campaign.names"

local suggest = later.module "campaign.api.suggest"

local M = {}

-- Keys of every account, beside the platform's own.
local COMMON = {
  { name = "allow_http", type = "boolean", doc = "plain http to other hosts than loopback" },
  { name = "calls_per_second", type = "number", doc = "most calls per second, of all imports and calls of this user together" },
  { name = "ca_file", doc = "file with the certificates to trust instead of the system's" },
  { name = "proxy", secret = true, doc = "proxy address" },
}

local hidden = setmetatable({}, { __mode = "k" })

local MAX_FILE = 1048576

local function where_variables_are_set()
  return package.loaded.ngx and " (nginx.conf must name it with `env`, workers see no others)" or ""
end

local mt = { __name = "campaign.account" }

function mt.__index(account, key)
  local secrets = hidden[account]
  return secrets and secrets[key]
end

function mt.__tostring(account)
  local parts = {}
  for key in pairs(hidden[account]) do
    parts[#parts + 1] = key .. "=***"
  end
  table.sort(parts)
  return ("campaign.account %s/%s (%s%s%s)"):format(account.platform, account.name, account.base_url or "no base_url",
    #parts > 0 and ", " or "", table.concat(parts, ", "))
end

local function refuse(platform, message, more)
  return error_object.refuse(merged({ kind = "usage", message = message, platform = platform.name }, more))
end

-- Host of a URL whose form is fit for a base URL; nil and why when it is not.
local function base_host(url)
  if url:find("[%s%c]") then
    return nil, "must not hold spaces or line ends"
  end
  local scheme_end, rest_at = url:find("://", 1, true)
  local scheme = scheme_end and url:sub(1, scheme_end - 1):lower()
  if scheme ~= "https" and scheme ~= "http" then
    return nil, "must begin with https://"
  end
  local rest = url:sub(rest_at + 1)
  if rest:find("[?#]") then
    return nil, "must not hold a query or fragment"
  end
  local authority = rest:match("^[^/]*")
  if authority:find("@", 1, true) then
    return nil, "must not hold a user name or password"
  end
  local host = authority:match("^%[[%x:.]+%]") or authority:match("^[%w.-]+")
  local port = host and authority:sub(#host + 1)
  if not host or port ~= "" and not port:find("^:%d+$") then
    return nil, "has no host that can be read"
  end
  return host:lower(), scheme
end

local function is_loopback(host)
  return host == "localhost" or host == "[::1]" or host:find("^127%.%d+%.%d+%.%d+$") ~= nil -- linear: fixed dots between
end

local READ = {}

function READ.string(value)
  if type(value) ~= "string" or value == "" then
    return nil, "must be a text that is not empty"
  end
  if value:find("[%z\1-\31\127]") then
    return nil, "holds control characters (a line end at its end?)"
  end
  return value
end

function READ.url(value, account)
  if type(value) ~= "string" then
    return nil, "must be a text"
  end
  local host, scheme = base_host(value)
  if not host then
    return nil, scheme
  end
  if scheme == "http" and not is_loopback(host) and not account.allow_http then
    return nil, "must be https; plain http needs `allow_http = true`"
  end
  return value
end

function READ.integer(value)
  if type(value) == "string" and value:find("^%d+$") and #value <= 15 then
    value = tonumber(value)
  end
  if type(value) ~= "number" or value ~= math.floor(value) then
    return nil, "must be a whole number"
  end
  return value
end

function READ.number(value)
  value = tonumber(value)
  if not value or not (value > 0 and value < math.huge) then
    return nil, "must be a number above 0"
  end
  return value
end

function READ.boolean(value)
  if value == "true" or value == "1" then
    return true
  elseif value == "false" or value == "0" then
    return false
  elseif type(value) ~= "boolean" then
    return nil, "must be true or false"
  end
  return value
end

function READ.list(value)
  if type(value) == "string" then
    local list = {}
    for item in value:gmatch("[^,]+") do
      local first, last = item:find("%S"), #item
      while first and item:find("^%s", last) do
        last = last - 1
      end
      list[#list + 1] = first and item:sub(first, last) or nil
    end
    return list
  end
  if type(value) ~= "table" then
    return nil, "must be a list"
  end
  local list = {}
  for index, item in ipairs(value) do
    if type(item) ~= "string" and type(item) ~= "number" then
      return nil, "must be a list of texts or numbers"
    end
    list[index] = item
  end
  return list
end

---Where the accounts file is: CAMPAIGN_ACCOUNTS, else campaign/accounts.json in XDG_CONFIG_HOME or ~/.config.
---@param getenv fun(name: string): string?
---@return string? path nil when the environment names no home
---@return boolean is_named by CAMPAIGN_ACCOUNTS
function M.file_path(getenv)
  local named = getenv("CAMPAIGN_ACCOUNTS")
  if named and named ~= "" then
    return named, true
  end
  local folder = getenv("XDG_CONFIG_HOME")
  if not folder or folder == "" then
    local home = getenv("HOME")
    folder = home and home ~= "" and home .. "/.config" or nil
  end
  return folder and folder .. "/campaign/accounts.json" or nil, false
end

local EACCES = 13

---What the accounts file holds. It must be ours and closed to others.
---@param path string
---@param is_named boolean by CAMPAIGN_ACCOUNTS
---@return table? content
---@return campaign.error? err
function M.read_file(path, is_named)
  local text, err = core.system.read_file(path, MAX_FILE, true)
  if not text then
    if err.code == EACCES then
      err.hint = is_named and "it must belong to the user of this process" .. (package.loaded.ngx and ", that is of nginx's workers" or "")
        or "is HOME that of another user? CAMPAIGN_ACCOUNTS names a file of your own"
    end
    return nil, err
  end
  local content, decode_error = json.decode(text)
  if type(content) ~= "table" or json.is_array(content) then
    return nil, error_object.new{ kind = "usage", message = path .. " is not a JSON object: "
      .. (decode_error and decode_error.message or "it holds another value") }
  end
  return content
end

-- The account's table in the file and its name; an empty table when the file is not there and neither it nor the account was named.
local function from_file(platform, name, env)
  local path, is_named = M.file_path(env.getenv)
  local stat, why = nil, nil
  if path then
    stat, why = core.system.stat(path)
  end
  if not stat and (not why or why.reason == "missing") then
    if name or is_named then
      return refuse(platform, (name and "there is no account `" .. name .. "`: " or "")
        .. (path and "accounts file " .. path .. " does not exist" or "the environment names no accounts file, and no home to look for one"),
        not path and { hint = "set CAMPAIGN_ACCOUNTS" .. where_variables_are_set() } or nil)
    end
    return {}, "default"
  end
  local content, err = M.read_file(path, is_named)
  if not content then
    return refuse(platform, "accounts file " .. err.message, { hint = err.hint })
  end
  local accounts = content[platform.name]
  if type(accounts) ~= "table" then
    if accounts ~= nil then
      return refuse(platform, "accounts file " .. path .. ": `" .. platform.name .. "` must be an object of accounts by name")
    end
    if name then
      return refuse(platform, "accounts file " .. path .. " has no accounts for " .. platform.name)
    end
    return {}, "default"
  end
  local names = {}
  for known in pairs(accounts) do
    names[#names + 1] = tostring(known)
  end
  table.sort(names)
  local chosen = name or (accounts.default and "default") or (#names == 1 and names[1]) or nil
  if not chosen then
    return refuse(platform, "accounts file " .. path .. " has several accounts for " .. platform.name .. ": "
      .. table.concat(names, ", "), { hint = "choose one with account = \"name\" (--account NAME)" })
  end
  if type(accounts[chosen]) ~= "table" then
    return refuse(platform, "accounts file " .. path .. " has no account `" .. chosen .. "` for " .. platform.name
      .. suggest.help(chosen, names) .. "; it has " .. table.concat(names, ", "))
  end
  return accounts[chosen], chosen
end

---Names and documentation of the keys that an account of the platform may have, by position and by name.
---@param platform campaign.platform
---@return table[]
function M.keys(platform)
  local keys = {}
  for _, list in ipairs{ COMMON, platform.account } do
    for _, key in ipairs(list) do
      keys[#keys + 1] = key
      keys[key.name] = key
    end
  end
  return keys
end

local function unknown_key(platform, keys, values, where)
  for name in pairs(values) do
    if not keys[name] then
      local names = names_of(keys)
      return refuse(platform, ("unknown account key `%s` in %s%s; known are %s"):format(tostring(name):sub(1, 60), where,
        suggest.help(name, names), table.concat(names, ", ")))
    end
  end
end

local function env_name(platform, key)
  return ("CAMPAIGN_%s_%s"):format(platform.name:upper(), key.name:upper())
end

-- Each key's value from the first place that has it. An account chosen by name takes precedence over the environment: `account = "berlin"` must not
-- send with a token that a variable happens to hold.
local function gather(platform, keys, given, file, is_named, env)
  local values = {}
  for _, key in ipairs(keys) do
    local value, set = given[key.name], env.getenv(env_name(platform, key))
    if value == nil and is_named then
      value = file[key.name]
    end
    if value == nil and set ~= "" then
      value = set
    end
    if value == nil then
      value = file[key.name]
    end
    if value == nil then
      value = key.default
    end
    values[key.name] = value
  end
  return values
end

local function missing(platform, keys, values)
  local names, given, variables, only_secrets = {}, {}, {}, true
  for _, key in ipairs(keys) do
    if key.required and values[key.name] == nil then
      names[#names + 1] = "`" .. key.name .. "`"
      given[#given + 1] = key.name .. " = ..."
      variables[#variables + 1] = env_name(platform, key)
      only_secrets = only_secrets and key.secret or false
    end
  end
  if #names == 0 then
    return nil
  end
  return refuse(platform, "the account has no " .. table.concat(names, " and no "), {
    kind = only_secrets and "auth" or "usage", reason = "missing_credentials",
    hint = ("set %s in the environment%s, or give %s to campaign.connect(\"%s\", { %s }) or in ~/.config/campaign/accounts.json"):format(
      table.concat(variables, " and "), where_variables_are_set(), #names > 1 and "them" or "it", platform.reference, table.concat(given, ", ")),
  })
end

-- Distinguishes sets of credentials without revealing them: connections and tokens are never shared between two.
local function fingerprint(values, keys)
  local parts = {}
  for _, key in ipairs(keys) do
    local value = values[key.name]
    if key.secret or key.type == "url" then
      parts[#parts + 1] = key.name .. "=" .. tostring(value)
    end
  end
  return core.digest.sha256(table.concat(parts, "\0")):sub(1, 12)
end

-- Checks gathered values and makes the account.
local function checked(platform, keys, values, name)
  local account, secrets = { platform = platform.name, name = name }, {}
  for _, key in ipairs(keys) do
    local value = values[key.name]
    if value ~= nil then
      local read, why = READ[key.type or "string"](value, account)
      if read == nil then
        return refuse(platform, "account key `" .. key.name .. "` " .. why)
      end
      local place = key.secret and secrets or account
      place[key.name] = read
    end
  end
  local _, err = missing(platform, keys, values)
  if err then
    return nil, err
  end
  account.id = platform.name .. "/" .. name .. "#" .. fingerprint(values, keys)
  hidden[account] = secrets
  return setmetatable(account, mt)
end

---The account of a platform.
---@param platform campaign.platform
---@param given table|string|nil values by key (with `account = "name"` for one of the file), or the name alone
---@param env campaign.env? the world; the real one when left out
---@return campaign.account? account
---@return campaign.error? err
function M.account(platform, given, env)
  env = env or env_module.default()
  if type(given) == "string" then
    given = { account = given }
  elseif given ~= nil and type(given) ~= "table" then
    error("account must be a table of values or a name, not a " .. type(given), 2)
  end
  local own = merged(given)
  local name = own.account
  own.account = nil
  if name ~= nil and type(name) ~= "string" then
    error("account.account must be the name of an account, not a " .. type(name), 2)
  end
  local keys = M.keys(platform)
  local _, unknown = unknown_key(platform, keys, own, "the given values")
  if unknown then
    return nil, unknown
  end
  local file, chosen = from_file(platform, name, env)
  if not file then
    return nil, chosen
  end
  _, unknown = unknown_key(platform, keys, file, "account `" .. chosen .. "` of the accounts file")
  if unknown then
    return nil, unknown
  end
  local values = gather(platform, keys, own, file, name ~= nil, env)
  return checked(platform, keys, values, chosen)
end

return M

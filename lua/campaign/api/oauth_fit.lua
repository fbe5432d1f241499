-- SPDX-License-Identifier: MIT
-- Checks where the secrets of schemes go, and that one of kind `oauth2` can be carried out: its calls need no token themselves, everything
-- they need comes from the account, and their replies have what the scheme reads. A part of the loader, for api/platform_fit. Faults are
-- reported to the loader. Marks what is secret in these calls.

local M = {}

-- What the product gives to the call that obtains a token by the name of the account key.
local BY_NAME = { username = true, password = true }

-- Types in which a value of a token reply can be read.
local TEXTS = { string = true, int64 = true, any = true }
local NUMBERS = { integer = true, int64 = true, number = true, string = true, any = true }
local INSTANTS = { integer = true, int64 = true, number = true, string = true, datetime = true, any = true }

-- The description of what a path leads to in a described reply; nil where nothing is described.
local function described_at(description, path)
  for step in path:gmatch("[^.]+") do
    description = description and description.fields and description.fields[step]
  end
  return description
end

-- Every required field must be filled by the account or a constant: nobody can be asked when a token expires.
local function fields_fit(resolver, operation, given, place)
  local filled = { [given or ""] = true }
  for _, key in ipairs(resolver.account) do
    filled[key.fills or ""] = true
    filled[key.name] = filled[key.name] or BY_NAME[key.name] or nil
  end
  for _, field in ipairs(operation.fields) do
    if field.required and field.constant == nil and field.default == nil and not filled[field.name] then
      resolver:fault(place, ("`%s` needs `%s`, which nothing gives it: an account key with `fills = \"%s\"`, or a `constant`"):format(
        operation.name, field.name, field.name))
    end
  end
  if given and not operation.fields[given] then
    resolver:fault(place, ("`%s` needs a field `%s` for the refresh token (`refresh_field` names another one)"):format(operation.name, given))
  end
end

-- One value of a token reply: described, of a type that can be read, and said to be there.
local function value_fits(resolver, operation, path, types, place)
  local described, is_present = described_at(operation.reply, path), types.optional
  for _, present in ipairs(operation.present or {}) do
    is_present = is_present or present == path
  end
  if not described or not is_present then
    resolver:fault(place, ("`%s` needs `%s` in its reply%s"):format(operation.name, path, types.optional and "" or " and in `present`"))
  elseif not types.of[described.type] then
    resolver:fault(place, ("`%s` of `%s` cannot be of type `%s`"):format(path, operation.name, described.type))
  end
  return described
end

local function reply_fits(resolver, scheme, operation, place)
  local token = value_fits(resolver, operation, scheme.token or "access_token", { of = TEXTS }, place)
  local refresh = described_at(operation.reply, scheme.refresh_token or "refresh_token")
  for _, secret in pairs{ token or false, refresh or false } do
    if secret then
      secret.redact = true -- the author of the file may have forgotten it
    end
  end
  if scheme.refresh_token and not refresh then
    resolver:fault(place, ("`%s` needs `%s` in its reply"):format(operation.name, scheme.refresh_token))
  end
  local is_optional = scheme.lifetime ~= nil
  if scheme.expires_at then
    value_fits(resolver, operation, scheme.expires_at, { of = INSTANTS, optional = is_optional }, place)
  elseif scheme.expires_in or not is_optional then
    value_fits(resolver, operation, scheme.expires_in or "expires_in", { of = NUMBERS, optional = is_optional }, place)
  end
end

-- One of the two calls.
local function call_fits(resolver, scheme, key, place)
  local operation = resolver.operations[scheme[key]]
  if not operation then
    return
  end
  if operation.tokens then
    resolver:fault(place, "`" .. operation.name .. "` needs a token itself: its `auth` must be another")
  elseif operation.response ~= "json" then
    resolver:fault(place, "`" .. operation.name .. "` must answer with `json`: the token is read from it")
  end
  fields_fit(resolver, operation, key == "refresh" and (scheme.refresh_field or "refresh_token") or nil, place)
  reply_fits(resolver, scheme, operation, place)
  for _, account_key in ipairs(resolver.account) do
    local field = account_key.secret and account_key.fills and operation.fields[account_key.fills]
    if field then
      field.redact = field.redact or true
    end
  end
  local field = key == "refresh" and operation.fields[scheme.refresh_field or "refresh_token"]
  if field then
    field.redact = true
  end
end

-- Where the token goes: into one place, in which the call has nothing else of that name.
local function place_fits(resolver, name, scheme, place)
  local count = (scheme.header and 1 or 0) + (scheme.query and 1 or 0) + (scheme.field and 1 or 0)
  if count > 1 then
    resolver:fault(place, "the token goes into one of `header`, `query` and `field`")
  elseif scheme.prefix and (scheme.query or scheme.field) then
    resolver:fault(place .. ".prefix", "stands before a token in a header only")
  end
  local sent = scheme.header or scheme.query or scheme.field or "Authorization"
  local where = scheme.query and "query" or scheme.field and "form" or "header"
  for _, operation in ipairs(resolver.operations) do
    for _, field in ipairs(operation.auth == name and operation.fields or {}) do
      if field.where == where and (field.name == sent or where == "header" and field.name:lower() == sent:lower()) then
        resolver:fault("operations[" .. operation.name .. "].auth", ("scheme `%s` sends `%s`, which the call has already"):format(name, sent))
      end
    end
  end
end

---Checks a scheme that signs nothing: that its secret is marked as one, where it goes, and for `oauth2` how it is got.
---@param resolver table the loader: `account`, `operations`, `fault`
---@param name string of the scheme
---@param scheme table
---@param place string
function M.check(resolver, name, scheme, place)
  place_fits(resolver, name, scheme, place)
  for _, part in ipairs{ "key", "password", "refresh_key" } do
    local key = resolver.account[scheme[part] or false]
    if key and not key.secret then
      resolver:fault(place .. "." .. part, "account key `" .. key.name .. "` must be `secret = true`")
    end
  end
  if scheme.kind ~= "oauth2" then
    return
  end
  if not scheme.obtain and not (scheme.refresh and scheme.refresh_key) then
    resolver:fault(place, "kind `oauth2` needs `obtain`, or `refresh` and `refresh_key`: nothing else would ever give a token")
  end
  for _, key in ipairs{ "refresh_token", "refresh_field", "refresh_key", "rotates", "grace" } do
    if scheme[key] ~= nil and not scheme.refresh then
      resolver:fault(place .. "." .. key, "needs `refresh`")
    end
  end
  if scheme.rotates == false and scheme.grace then
    resolver:fault(place .. ".grace", "does not go with `rotates = false`: such a token may be presented at any time")
  elseif scheme.expires_in and scheme.expires_at then
    resolver:fault(place, "reads `expires_in` or `expires_at`, not both")
  end
  call_fits(resolver, scheme, "obtain", place .. ".obtain")
  call_fits(resolver, scheme, "refresh", place .. ".refresh")
end

return M

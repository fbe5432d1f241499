-- SPDX-License-Identifier: MIT
-- Checks that the parts of a platform file fit each other, beyond the vocabulary. A part of the loader (api/platform) for users' files;
-- ours are checked by the tests. Faults are reported to the loader.

local probe_fit = require "campaign.api.probe_fit"
local rules = require "campaign.api.rules"
local suggest = require "campaign.api.suggest"

local M = {}

-- Methods that every client has: an operation cannot have these names.
local RESERVED = { all = true, call = true, close = true, each = true, envelope = true, finish = true, link = true, prepare = true,
  wait = true, waiter = true }

-- The keys that go with each kind of scheme, and whether it needs them.
local SCHEME_KEYS = {
  header = { header = true, key = true, prefix = false }, form = { field = true, key = true }, bearer = { key = true },
  query = { query = true, key = true },
  basic = { user = true, password = true },
  oauth2 = { obtain = false, refresh = false, key = false, early = false, grace = false, token = false, expires_in = false, expires_at = false,
    lifetime = false, refresh_token = false, refresh_field = false, refresh_key = false, rotates = false, expired = false, header = false,
    prefix = false, query = false, field = false },
  signature = { secret = true, algorithm = true, text = true, send = true, key = false, output = false, hmac_key = false, timestamp = false,
    secret_encoding = false, tokens = false, nonce = false, body_digest = false, canonical = false, params = false },
}

local function check_when(resolver, when, fields, root, place)
  if (when.is == nil) == (when.given == nil) then
    resolver:fault(place, "needs either `is` or `given`")
  end
  local list, name = fields, when.field
  if name:sub(1, 1) == "/" then
    list, name = root, name:sub(2)
  end
  for step in name:gmatch("[^.]+") do
    local field = list and list[step]
    if not field then
      return resolver:fault(place, "there is no field `" .. when.field .. "`")
    end
    list = field.fields
  end
end

-- Checks that the fields exist to which conditions and `not_after` refer.
local function check_siblings(resolver, fields, root, place)
  for _, field in ipairs(fields) do
    local here = place .. "[" .. field.name .. "]"
    for _, key in ipairs{ "required_if", "only_if" } do
      local when = field[key]
      if when then
        check_when(resolver, when, fields, root, here .. "." .. key)
      end
    end
    if field.not_after and not fields[field.not_after] then
      resolver:fault(here .. ".not_after", "there is no field `" .. field.not_after .. "` beside it")
    end
    local inner = field.type == "array" and field.items or field
    if inner and inner.type == "object" then
      check_siblings(resolver, inner.fields, root, here)
    end
  end
end

local function path_names(path)
  local names = {}
  for name in path:gmatch("{([%w_]+)}") do
    names[#names + 1] = name
    names[name] = true
  end
  return names
end

local function check_path(resolver, operation, place)
  if operation.path:sub(1, 1) ~= "/" or operation.path:find("[%s?#%%]") then
    resolver:fault(place .. ".path", "must start with `/` and have no spaces, query or escapes")
  end
  local names = path_names(operation.path)
  for _, name in ipairs(names) do
    local field = operation.fields[name]
    if not field or field.where ~= "path" then
      resolver:fault(place .. ".path", "`{" .. name .. "}` needs a field with `where = \"path\"`")
    end
  end
  for _, field in ipairs(operation.fields) do
    if field.where == "path" and not names[field.name] then
      resolver:fault(place .. ".fields[" .. field.name .. "]", "the path has no `{" .. field.name .. "}`")
    end
  end
end

local function schemes(resolver)
  for name, scheme in pairs(resolver.raw.auth) do
    local place = "auth." .. name
    local keys = SCHEME_KEYS[scheme.kind]
    for key, needed in pairs(keys) do
      if needed and not scheme[key] then
        resolver:fault(place, "kind `" .. scheme.kind .. "` needs `" .. key .. "`")
      end
    end
    for key in pairs(scheme) do
      if key ~= "kind" and keys[key] == nil then
        resolver:fault(place .. "." .. key, "does not go with kind `" .. scheme.kind .. "`")
      end
    end
    for _, key in ipairs{ "key", "user", "password", "secret", "refresh_key" } do
      if scheme[key] and not resolver.account[scheme[key]] then
        resolver:fault(place .. "." .. key, "there is no account key `" .. scheme[key] .. "`")
      end
    end
    local tokens = scheme.tokens and resolver.raw.auth[scheme.tokens]
    if scheme.tokens and not (tokens and tokens.kind == "oauth2") then
      resolver:fault(place .. ".tokens", "there is no scheme `" .. scheme.tokens .. "` of kind `oauth2`")
    end
    for _, key in ipairs{ "obtain", "refresh" } do
      if scheme[key] and not resolver.operations[scheme[key]] then
        resolver:fault(place .. "." .. key, "there is no operation `" .. scheme[key] .. "`")
      end
    end
  end
end

-- What names an operation elsewhere in the file.
local function references(resolver)
  for _, operation in ipairs(resolver.operations) do
    local place = "operations[" .. operation.name .. "]"
    local probe = type(operation.probe) == "table" and operation.probe or nil
    local from = operation.rows and operation.rows.columns_from
    for key, reference in pairs{ probe = probe, columns_from = from } do
      if not resolver.operations[reference.operation] then
        resolver:fault(place .. "." .. key, "there is no operation `" .. reference.operation .. "`")
      end
    end
    if probe then
      probe_fit.check(resolver, operation, probe, place .. ".probe")
    end
    for _, key in ipairs{ "upload", "template" } do
      local name = operation.members_file and operation.members_file[key]
      if name and not resolver.operations[name] then
        resolver:fault(place .. ".members_file." .. key, "there is no operation `" .. name .. "`")
      end
    end
    if operation.url and not resolver.account[operation.url] then
      resolver:fault(place .. ".url", "there is no account key `" .. operation.url .. "`")
    end
  end
  for _, part in ipairs{ "links", "callbacks" } do
    for name, entry in pairs(resolver.raw[part] or {}) do
      if not resolver.operations[entry.operation] then
        resolver:fault(part .. "." .. name, "there is no operation `" .. entry.operation .. "`")
      end
    end
  end
end

-- Waiters need more than the vocabulary can say.
local function waits(resolver)
  for name, waiter in pairs(resolver.raw.waiters or {}) do
    local place = "waiters." .. name
    local operation = resolver.operations[waiter.operation]
    if not operation then
      resolver:fault(place, "there is no operation `" .. waiter.operation .. "`")
    elseif operation.effect ~= "safe" then
      resolver:fault(place, "operation `" .. waiter.operation .. "` is not safe: a waiter only asks")
    end
    if not waiter.success and not waiter.changed then
      resolver:fault(place, "needs `success` or `changed`")
    end
    if (waiter.list == nil) ~= (waiter.match == nil) then
      resolver:fault(place, "needs `list` and `match` together")
    end
    for _, key in ipairs{ "success", "failure" } do
      for _, condition in ipairs(waiter[key] or {}) do
        if not condition.path or not condition.is then
          resolver:fault(place .. "." .. key, "needs `path` and `is`")
        end
      end
    end
  end
end

-- Pages go by a number, by the offset of a row, by a cursor, or come as one.
local function check_pages(resolver, pages, place)
  local ways = (pages.page and 1 or 0) + (pages.offset and 1 or 0) + (pages.cursor and 1 or 0)
  if ways > 1 then
    resolver:fault(place, "go by `page`, by `offset` or by `cursor`: only one of them")
  elseif pages.page or pages.offset then
    if not (pages.size and pages.default_size and (pages.total or pages.more)) then
      resolver:fault(place, "needs `page` or `offset`, `size`, `default_size`, and `total` or `more` together, or none of them")
    end
  elseif pages.cursor then
    if not pages.next then
      resolver:fault(place, "`cursor` needs `next`: where in the reply does the next one stand?")
    elseif (pages.size == nil) ~= (pages.default_size == nil) then
      resolver:fault(place, "needs `size` and `default_size` together")
    end
  elseif pages.size or pages.total then
    resolver:fault(place, "needs `page` or `offset` beside `size` and `total`, or `list` alone")
  end
  for _, key in ipairs{ "next", "last" } do
    if pages[key] and not pages.cursor then
      resolver:fault(place .. "." .. key, "belongs to pages by a `cursor`")
    end
  end
  for key in pairs(pages.cursor and { total = true, first = true } or {}) do
    if pages[key] then
      resolver:fault(place .. "." .. key, "does not go with a `cursor`")
    end
  end
end

local function check_operation(resolver, operation)
  local place = "operations[" .. operation.name .. "]"
  if RESERVED[operation.name] or not operation.name:find("^[a-z][a-z0-9_]*$") then
    resolver:fault(place .. ".name", RESERVED[operation.name] and "is a name that every client has for itself"
      or "must be lower case letters, digits and underscores")
  end
  check_siblings(resolver, operation.fields, operation.fields, place)
  for _, name in ipairs(operation.rules) do
    if not rules.RULES[name] then
      resolver:fault(place .. ".rules", "no such rule: `" .. name .. "`" .. suggest.help(name, rules.names()))
    end
  end
  check_path(resolver, operation, place)
  if operation.pages then
    check_pages(resolver, operation.pages, place .. ".pages")
  end
end

---Checks a resolved platform.
---@param resolver table the loader: `raw`, `account`, `operations`, `fault`
function M.check(resolver)
  for _, operation in ipairs(resolver.operations) do
    check_operation(resolver, operation)
  end
  schemes(resolver)
  references(resolver)
  waits(resolver)
  if not resolver.raw.name:find("^[a-z][a-z0-9_]*$") then
    resolver:fault("name", "must be lower case letters, digits and underscores")
  end
end

return M

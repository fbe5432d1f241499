-- SPDX-License-Identifier: MIT
-- Checks that a scheme of kind `signature` can be carried out: every placeholder is known, the secret is not sent, and the operations that
-- use it have what it covers. A part of the loader, for api/platform_fit. Faults are reported to the loader.

local sign = require "campaign.api.sign"

local M = {}

local SIGNED = { method = true, host = true, path = true, params = true, params_encoded = true, body = true, secret = true }

-- Words that need another key of the scheme.
local NEEDS = { timestamp = "timestamp", date = "timestamp", date_basic = "timestamp", nonce = "nonce", body_digest = "body_digest", key = "key",
  token = "tokens" }

-- Faults for what a template cannot say; `known` are the words besides those that other keys of the scheme give.
local function template_fits(resolver, scheme, template, known, place)
  local rest = sign.words(template, function(word)
    local needed = NEEDS[word]
    if needed and not scheme[needed] then
      resolver:fault(place, "`{" .. word .. "}` needs `" .. needed .. "`")
    elseif not needed and not known[word] and not (known.params and word:find("^header:[%w_-]+$")) then
      resolver:fault(place, "`{" .. word .. "}` stands for nothing here")
    end
  end)
  if rest:find("[{}]") then
    resolver:fault(place, "has a brace that belongs to no word")
  end
end

-- Where a signature can go, in words.
local PLACES = { header = "header", query = "query parameter", json = "field of the JSON body", form = "field of the form" }

-- The kinds of body that can carry it.
local BODIES = { json = "json", form = "form" }

-- Where something of `send` goes: "header", "query", "json" or "form"; nil when it does not name exactly one.
local function place_of(sent)
  local found, count = nil, 0
  for where in pairs(PLACES) do
    if sent[where] then
      found, count = where, count + 1
    end
  end
  return count == 1 and found or nil
end

local function sent_fits(resolver, scheme, place)
  local carries, names, in_body, has_token = false, {}, false, false
  local covered = scheme.text .. (scheme.canonical and scheme.canonical.text or "")
  for i, sent in ipairs(scheme.send) do
    local here, where = place .. ".send[" .. i .. "]", place_of(sent)
    local name = where and PLACES[where] .. " `" .. (where == "header" and sent.header:lower() or sent[where]) .. "`"
    if not name then
      resolver:fault(here, "goes into one of `header`, `query`, `json` and `form`")
      name = here
    elseif names[name] then
      resolver:fault(here, "the " .. name .. " is given twice")
    end
    local is_number = sent.value == "{timestamp}" and (scheme.timestamp == "seconds" or scheme.timestamp == "milliseconds")
    if sent.type and where ~= "json" or sent.type == "integer" and not is_number then
      resolver:fault(here .. ".type", "`integer` is for a `{timestamp}` of seconds or milliseconds that goes into `json`")
    end
    in_body = in_body or where == "json" or where == "form"
    names[name] = true
    template_fits(resolver, scheme, sent.value, { signature = true }, here .. ".value")
    carries = carries or sign.has(sent.value, "signature")
    has_token = has_token or sign.has(sent.value, "token")
  end
  if not carries then
    resolver:fault(place .. ".send", "carries no `{signature}`")
  end
  if scheme.tokens and not has_token then
    resolver:fault(place .. ".send", "carries no `{token}`: why get one?")
  end
  for _, sent in ipairs(scheme.send) do
    covered = covered .. sent.value
  end
  if in_body and (sign.has(covered, "body") or sign.has(covered, "body_digest")) then
    resolver:fault(place .. ".text", "covers the body, in which the signature is to stand: sign `{params}` of it")
  end
end

-- The fields of a body can be signed only where there are such fields.
local function params_fit(resolver, scheme, operation, place)
  for _, where in ipairs(scheme.params and scheme.params.of or {}) do
    if where == "json" and (operation.body == "ndjson" or operation.body == "array") then
      resolver:fault(place, ("scheme `%s` signs the fields of a JSON body: a body `%s` has none"):format(operation.auth, operation.body))
    end
  end
end

-- A header that is signed must be one that the call has, and what is sent must not meet a field of the same name.
local function headers_fit(resolver, scheme, operation, place)
  local there = { ["content-type"] = operation.body ~= "none" and operation.body ~= "multipart" }
  for _, field in ipairs(operation.fields) do
    there[field.where == "header" and field.name:lower() or ""] = true
  end
  for _, sent in ipairs(scheme.send) do
    local where = place_of(sent) or "header"
    local field = where ~= "header" and operation.fields[sent[where]]
    if field and field.where == where or sent.header and there[sent.header:lower()] then
      resolver:fault(place, "scheme `" .. operation.auth .. "` sends `" .. sent[where] .. "`, which the call has already")
    elseif BODIES[where] and operation.body ~= BODIES[where] then
      resolver:fault(place, ("scheme `%s` sends `%s` in a body `%s`, and that of the call is `%s`"):format(operation.auth, sent[where],
        BODIES[where], operation.body))
    end
  end
  for _, sent in ipairs(scheme.send) do
    if sent.header and not sign.has(sent.value, "signature") then
      there[sent.header:lower()] = true
    end
  end
  sign.words(scheme.text .. (scheme.canonical and scheme.canonical.text or ""), function(word)
    local name = word:match("^header:(.+)$")
    if name and not there[name:lower()] then
      resolver:fault(place, "scheme `" .. operation.auth .. "` signs the header `" .. name .. "`, which the call does not have")
    end
  end)
end

---Checks a scheme of kind `signature`. Faults are reported to the loader.
---@param resolver table the loader: `account`, `operations`, `fault`
---@param name string of the scheme
---@param scheme table
---@param place string of the scheme, for faults
function M.check(resolver, name, scheme, place)
  local signed = setmetatable({ canonical_digest = scheme.canonical ~= nil }, { __index = SIGNED })
  template_fits(resolver, scheme, scheme.text, signed, place .. ".text")
  if scheme.canonical then
    template_fits(resolver, scheme, scheme.canonical.text, SIGNED, place .. ".canonical.text")
    if not sign.has(scheme.text, "canonical_digest") then
      resolver:fault(place .. ".canonical", "is not signed: `text` has no `{canonical_digest}`")
    end
  end
  sent_fits(resolver, scheme, place)
  local is_keyed = scheme.algorithm:find("^hmac%-") ~= nil
  local chain = type(scheme.hmac_key) == "table" and scheme.hmac_key or { scheme.hmac_key or "{secret}" }
  for i, link in ipairs(chain) do
    template_fits(resolver, scheme, link, { secret = true }, place .. ".hmac_key")
    if i > 1 and sign.has(link, "secret") then
      resolver:fault(place .. ".hmac_key", "has `{secret}` behind its first link, where it would be signed and not be the key")
    end
  end
  if scheme.hmac_key and not is_keyed then
    resolver:fault(place .. ".hmac_key", "does not go with algorithm `" .. scheme.algorithm .. "`")
  elseif not sign.has(is_keyed and (chain[1] or "") or scheme.text, "secret") then
    resolver:fault(place, "the secret is not a part of the signature: everybody could make it")
  end
  if scheme.params and scheme.params.skip_nested and not table.concat(scheme.params.of, " "):find("json", 1, true) then
    resolver:fault(place .. ".params.skip_nested", "is for `of` with `json`: only there are values nested")
  end
  if not resolver.account[scheme.secret].secret then
    resolver:fault(place .. ".secret", "account key `" .. scheme.secret .. "` must be `secret = true`")
  end
  for _, operation in ipairs(resolver.operations) do
    local here = "operations[" .. operation.name .. "].auth"
    if operation.auth == name then
      headers_fit(resolver, scheme, operation, here)
      params_fit(resolver, scheme, operation, here)
      if (operation.body == "multipart" or operation.body == "file") and sign.covers_body(operation) then
        resolver:fault(here, ("scheme `%s` covers the body: a body `%s` is made while it is sent, and cannot be signed"):format(name, operation.body))
      end
    end
  end
end

return M

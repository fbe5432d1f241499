-- SPDX-License-Identifier: MIT
-- Signs a built request by a scheme of kind `signature`: the signed text, and the headers, query parameters and fields of the body that carry the
-- signature, are templates in the platform's data. Pure: time and random bytes are passed in. Each attempt is signed anew; the secret is
-- used only in the signed text, and neither is shown.

local build = require "campaign.api.build"
local core = require "campaign.core"
local error_object = require "campaign.error"
local parse = require "campaign.api.parse"
local time = require "campaign.api.time"

local M = {}

-- A word of a template: `{timestamp}`, `{header:X-Date}`.
local WORD = "{([%w_:-]+)}"

---Calls a function with each word of a template, and gives what of the template is no word.
---@param template string
---@param each fun(word: string)
---@return string rest
function M.words(template, each)
  return (template:gsub(WORD, function(word)
    each(word)
    return ""
  end))
end

---Whether a template has a word.
---@param template string
---@param word string
---@return boolean
function M.has(template, word)
  return template:find("{" .. word .. "}", 1, true) ~= nil
end

---Whether the signature covers the bytes of the body, or credentials are put into it: the body must then be given as one text.
---@param operation campaign.operation
---@return boolean
function M.covers_body(operation)
  local scheme = operation.scheme
  if not scheme or scheme.kind ~= "signature" then
    return scheme ~= nil and scheme.field ~= nil and operation.body == "form"
  end
  for _, sent in ipairs(scheme.send) do
    if sent.json or sent.form or M.has(sent.value, "body_digest") then
      return true
    end
  end
  for _, where in ipairs(scheme.params and scheme.params.of or {}) do
    if where == operation.body and (where == "json" or where == "form") then
      return true
    end
  end
  local canonical = scheme.canonical and scheme.canonical.text or ""
  return M.has(scheme.text .. canonical, "body") or M.has(scheme.text .. canonical, "body_digest")
end

local function fill(template, words)
  return (template:gsub(WORD, function(word)
    return words(word) or ""
  end))
end

local OUTPUT = {}

function OUTPUT.hex(bytes)
  return core.digest.hex(bytes)
end

function OUTPUT.upper_hex(bytes)
  return core.digest.hex(bytes):upper()
end

function OUTPUT.base64(bytes)
  return core.digest.base64_encode(bytes)
end

local TIMES = {}

function TIMES.seconds(now)
  return ("%.0f"):format(math.floor(now))
end

function TIMES.milliseconds(now)
  return ("%.0f"):format(math.floor(now * 1000))
end

function TIMES.datetime(now, zone_seconds)
  return time.format_datetime(math.floor(now), zone_seconds)
end

function TIMES.iso8601(now)
  return (time.format_datetime(math.floor(now), 0):gsub(" ", "T")) .. "Z"
end

function TIMES.iso8601_basic(now)
  return (TIMES.iso8601(now):gsub("[-:]", ""))
end

-- How the parameters are written that are signed, unless the platform's data says it.
local PARAMS = { of = { "query" }, encoded = true }

-- Names and values that are signed in their order: those of the call, and those that this scheme adds (by where they go).
local function parameters(scheme, call, added)
  local how, list = scheme.params or PARAMS, {}
  local function add(name, text)
    if how.encoded then
      name, text = build.percent_encode(name), build.percent_encode(text)
    end
    if not (how.skip_empty and text == "") then
      list[#list + 1] = { name = name, text = text }
    end
  end
  for _, where in ipairs(how.of) do
    local given = where == "json" and build.members(call.operation, call.values, call.rows and call.body)
      or where == "form" and call.rows and call.operation.body == "form" and build.pairs_in(call.body)
      or build.pairs_of(call.operation, call.values, where)
    for _, pair in ipairs(given) do
      if not (how.skip_nested and pair.is_nested) then
        add(pair[1], pair[2])
      end
    end
    for _, pair in ipairs(added[where]) do
      add(pair[1], pair[2])
    end
  end
  table.sort(list, function(left, right)
    if left.name ~= right.name then
      return left.name < right.name
    end
    return left.text < right.text
  end)
  local texts = {}
  for i, parameter in ipairs(list) do
    texts[i] = parameter.name .. (how.equals or "=") .. parameter.text
  end
  return table.concat(texts, how.between or "&")
end

local USUAL_PORTS = { http = 80, https = 443 }

-- The host as its header says it: without the port that goes without saying.
local function host_of(protocol, host)
  return (host:gsub(":(%d*)$", function(digits)
    local port = tonumber(digits)
    return port and port ~= USUAL_PORTS[protocol:lower()] and (":%d"):format(port) or ""
  end))
end

local function digest_of(how, text)
  return OUTPUT[how.output or "hex"](core.digest.of(how.algorithm, text))
end

local DECODE = {}

-- Standard and URL-safe digits, with and without the padding.
function DECODE.base64(text)
  text = text:gsub("[-_]", { ["-"] = "+", ["_"] = "/" }):gsub("=+$", "")
  return (core.digest.base64_decode(text .. ("="):rep(-#text % 4)))
end

function DECODE.hex(text)
  return #text % 2 == 0 and not text:find("%X") and (text:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end)) or nil
end

-- The secret as it is used; nil when it is not written as the platform's data says.
local function secret_of(scheme, account)
  local secret = account[scheme.secret]
  return scheme.secret_encoding and DECODE[scheme.secret_encoding](secret) or not scheme.secret_encoding and secret or nil
end

-- A function that gives the value of each word of a template; digests are computed on demand.
local function dictionary(call, request, secret)
  local scheme = call.operation.scheme
  local protocol, host, path = request.url:match("^(%a+)://([^/?]*)([^?]*)") -- linear: disjoint borders
  local known = { method = request.method, host = host_of(protocol, host), path = path, body = call.body or "",
    key = scheme.key and call.account[scheme.key], secret = secret, token = call.token }
  if scheme.timestamp then
    known.timestamp = TIMES[scheme.timestamp](call.now, call.zone_seconds)
    known.date = TIMES.iso8601(call.now):sub(1, 10)
    known.date_basic = known.date:gsub("-", "")
  end
  if scheme.nonce then
    known.nonce = core.digest.hex(call.random(math.ceil(scheme.nonce / 2))):sub(1, scheme.nonce)
  end
  return function(word)
    if known[word] == nil and word == "body_digest" then
      known.body_digest = digest_of(scheme.body_digest, known.body)
    end
    return known[word]
  end
end

-- The key of an HMAC. Of a chain of templates each one after the first is signed with the key before it, which gives the next key.
local function key_of(scheme, name, word)
  local chain = scheme.hmac_key or "{secret}"
  if type(chain) == "string" then
    return fill(chain, word)
  end
  local key = fill(chain[1], word)
  for i = 2, #chain do
    key = core.digest.hmac(name, key, fill(chain[i], word))
  end
  return key
end

local function signature_of(scheme, text, word)
  local kind, name = scheme.algorithm:match("^(hmac%-)(%w+)$")
  local bytes
  if kind then
    bytes = core.digest.hmac(name, key_of(scheme, name, word), text)
  else
    bytes = core.digest.of(scheme.algorithm, text)
  end
  return OUTPUT[scheme.output or "hex"](bytes)
end

-- The error for a value that would end a header. The value is not shown: it may be derived from a secret.
local function unfit(operation, name)
  return nil, error_object.new{
    kind = "invalid", sent = "no", retry = false, platform = operation.platform, operation = operation.name,
    message = "the value for header `" .. name .. "` contains control characters (a line end at the end of a key?)",
  }
end

-- An URL with more parameters.
local function with_query(url, pairs_list)
  for _, pair in ipairs(pairs_list) do
    url = url .. (url:find("?", 1, true) and "&" or "?") .. build.percent_encode(pair[1]) .. "=" .. build.percent_encode(pair[2])
  end
  return url
end

-- The body with more fields at its end; as it is when there are none.
local function with_fields(body, text, added)
  local pieces = {}
  for i, pair in ipairs(added.json) do
    pieces[i] = core.json.encode(pair[1]) .. ":" .. (pair.type == "integer" and pair[2] or core.json.encode(pair[2]))
  end
  for i, pair in ipairs(added.form) do
    pieces[i] = build.percent_encode(pair[1]) .. "=" .. build.percent_encode(pair[2])
  end
  if #pieces == 0 then
    return body
  elseif body.kind == "form" then
    return { kind = "form", signed = text .. (text == "" and "" or "&") .. table.concat(pieces, "&") }
  end
  return { kind = "json", signed = text:sub(1, -2) .. (text == "{}" and "" or ",") .. table.concat(pieces, ",") .. "}" }
end

---Signs a request.
---@param request table of `build.request`; stays as it is
---@param call { operation: table, values: table, account: table, token: string?, body: string?, rows: boolean?, now: number,
---zone_seconds: integer, random: fun(n: integer): string } `rows`: the body came as a whole, with rows that `values` lacks
---@return table? request a signed copy; a body that got more fields is `body.signed`
---@return campaign.error? err
function M.request(request, call)
  local operation, scheme = call.operation, call.operation.scheme
  local secret = secret_of(scheme, call.account)
  if not secret then
    return nil, error_object.new{
      kind = "auth", reason = "missing_credentials", sent = "no", retry = false, platform = operation.platform, operation = operation.name,
      message = ("the account's `%s` is not %s"):format(scheme.secret, scheme.secret_encoding), hint = "copy it as the platform shows it",
    }
  end
  local headers, word = {}, dictionary(call, request, secret)
  for i, header in ipairs(request.headers) do
    headers[i] = header
  end
  -- What does not hold the signature goes in first: the signature may cover it.
  local added, signed = { query = {}, json = {}, form = {} }, {}
  local function put(sent, value)
    if sent.header then
      headers[#headers + 1] = { sent.header, value }
      return not value:find("[%z\1-\31\127]")
    end
    local list = sent.query and added.query or sent.json and added.json or added.form
    list[#list + 1] = { sent.query or sent.json or sent.form, value, type = sent.type }
    return true
  end
  for _, sent in ipairs(scheme.send) do
    if M.has(sent.value, "signature") then
      signed[#signed + 1] = sent
    elseif not put(sent, fill(sent.value, word)) then
      return unfit(operation, sent.header)
    end
  end
  local function covered(name)
    local header = name:match("^header:(.+)$")
    if header then
      return parse.header(headers, header:lower())
    end
    if name == "params" or name == "params_encoded" then
      local params = parameters(scheme, call, added)
      return name == "params" and params or build.percent_encode(params)
    end
    if name == "canonical_digest" then
      return digest_of(scheme.canonical, fill(scheme.canonical.text, covered))
    end
    return word(name)
  end
  local signature = signature_of(scheme, fill(scheme.text, covered), word)
  for _, sent in ipairs(signed) do
    local value = fill(sent.value, function(name)
      return name == "signature" and signature or word(name)
    end)
    if not put(sent, value) then
      return unfit(operation, sent.header)
    end
  end
  return { method = request.method, url = with_query(request.url, added.query), headers = headers,
    body = with_fields(request.body, call.body or "", added) }
end

return M

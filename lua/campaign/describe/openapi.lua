-- SPDX-License-Identifier: MIT
-- A platform as an OpenAPI 3.1 document: a table that core.json writes. What OpenAPI cannot express (closed hours, effects, rows, waiters,
-- refusals) is in x-campaign-... keys, as in the platform's data. The schemas come from describe/schema.

local core = require "campaign.core"
local facts = require "campaign.describe.facts"
local sample = require "campaign.describe.sample"
local schema = require "campaign.describe.schema"

local M = {}

local list, plain = core.json.array, schema.plain

local function host(platform)
  return "https://" .. platform.name .. ".example"
end

local function scheme_name(name)
  return (name:gsub("[^%w._-]", "-"))
end

local function token_url(platform, name)
  local operation = platform.operations[name]
  return host(platform) .. operation.path
end

-- Describes a value of a signed call; for the signature itself, how it is made.
local function signed_value(scheme, sent)
  if not sent.value:find("{signature}", 1, true) then
    return "`" .. sent.value .. "`"
  end
  return ("`%s`, where the signature is %s (%s) of `%s`"):format(sent.value, scheme.algorithm, scheme.output or "hex",
    (scheme.text:gsub("\n", "\\n")))
end

-- OpenAPI has no scheme for signatures: the header or parameter that carries it is described as an API key. nil if only the body carries it.
local function signature(scheme)
  local carrier, others = nil, {}
  for _, sent in ipairs(scheme.send) do
    local holds = sent.value:find("{signature}", 1, true) ~= nil
    if (sent.header or sent.query) and (not carrier or holds) then
      carrier = sent
    end
  end
  for _, sent in ipairs(scheme.send) do
    if sent ~= carrier and (sent.header or sent.query) then
      others[#others + 1] = ("; %s `%s` is `%s`"):format(sent.header and "header" or "query parameter", sent.header or sent.query, sent.value)
    end
  end
  return carrier and { type = "apiKey", ["in"] = carrier.header and "header" or "query", name = carrier.header or carrier.query,
    description = signed_value(scheme, carrier) .. table.concat(others) }
end

-- What the scheme of an operation puts into the body, in the order of the platform's data: name, description, example, and whether it is a number.
local function in_body(platform, operation)
  local scheme, made = operation.scheme, {}
  if scheme and scheme.field then
    local how = facts.tokens(scheme)
    made[1] = { name = scheme.field, doc = how and "a token, " .. how or platform.account[scheme.key].doc,
      example = "example-" .. (scheme.key or "token") }
  end
  for _, sent in ipairs(scheme and scheme.send or {}) do
    local name = sent.json or sent.form
    made[#made + 1] = name and { name = name, doc = signed_value(scheme, sent), is_number = sent.type == "integer",
      example = sent.type == "integer" and 1790000000 or "example-" .. name } or nil
  end
  return made
end

-- The grant of a token's call; nil where it is none of OpenAPI's.
local function grant_of(operation)
  local field = operation.fields.grant_type
  if operation.fields.username and operation.fields.password then
    return "password"
  end
  return field and field.constant == "client_credentials" and "clientCredentials" or nil
end

-- A token that is sent as OAuth 2 says, obtained by a grant that OpenAPI knows; any other one is described as an API key, with how it is obtained.
local function tokens(platform, scheme)
  local grant = scheme.obtain and grant_of(platform.operations[scheme.obtain])
  if grant and not (scheme.header or scheme.prefix or scheme.query or scheme.field) then
    return { type = "oauth2", flows = { [grant] = { tokenUrl = token_url(platform, scheme.obtain),
      refreshUrl = scheme.refresh and token_url(platform, scheme.refresh) or nil, scopes = {} } } }
  elseif scheme.field then
    return nil
  end
  local description = "a token, " .. facts.tokens(scheme)
  if not (scheme.header or scheme.prefix or scheme.query) then
    return { type = "http", scheme = "bearer", description = description }
  end
  return { type = "apiKey", ["in"] = scheme.query and "query" or "header", name = scheme.query or scheme.header or "Authorization",
    description = (scheme.prefix and "`" .. scheme.prefix .. "` and " or "") .. description }
end

-- OpenAPI has no security scheme for a token in a form: it is described as a field of the body.
local function security_schemes(platform)
  local schemes = {}
  for name, scheme in pairs(platform.auth) do
    local key = platform.account[scheme.key or ""]
    local made
    if scheme.kind == "header" then
      made = { type = "apiKey", ["in"] = "header", name = scheme.header,
        description = scheme.prefix and "`" .. scheme.prefix .. "` and the secret" or nil }
    elseif scheme.kind == "bearer" then
      made = { type = "http", scheme = "bearer" }
    elseif scheme.kind == "basic" then
      made = { type = "http", scheme = "basic" }
    elseif scheme.kind == "signature" then
      made = signature(scheme)
    elseif scheme.kind == "query" then
      made = { type = "apiKey", ["in"] = "query", name = scheme.query }
    elseif scheme.kind == "oauth2" then
      made = tokens(platform, scheme)
    end
    if made then
      made.description = made.description or key and key.doc
      schemes[scheme_name(name)] = made
    end
  end
  return schemes
end

local function security(operation)
  local scheme = operation.scheme
  if not scheme or scheme.field or scheme.send and not signature(scheme) then
    return list{}
  end
  return list{ { [scheme_name(operation.auth)] = list{} } }
end

local function parameters(schemas, operation, fields)
  local made = {}
  for _, field in ipairs(operation.fields) do
    if field.where == "path" or field.where == "query" or field.where == "header" then
      local joined = field.type == "array" and field.join
      local parameter = {
        name = field.name, ["in"] = field.where, required = field.where == "path" or field.required or nil, description = field.doc,
      }
      if joined == "," then
        parameter.schema = { type = "array", items = schemas:of(field.items, false), minItems = field.min_items,
          maxItems = field.max_items }
        parameter.style, parameter.explode = field.where == "query" and "form" or "simple", false
      else
        parameter.schema = schemas:of(field, false)
      end
      parameter.schema.description = nil
      for _, key in ipairs{ "required_if", "only_if", "one_of", "any_of", "not_after" } do
        if field[key] then
          parameter["x-campaign-" .. key:gsub("_", "-")] = plain(field[key])
        end
      end
      parameter.example = sample.wire(field, fields[field.name])
      made[#made + 1] = parameter
    end
  end
  return #made > 0 and list(made) or nil
end

local function body_fields(operation)
  local chosen = {}
  for _, field in ipairs(operation.fields) do
    if field.where == "json" or field.where == "form" or field.where == "body" then
      chosen[#chosen + 1] = field
    end
  end
  return chosen
end

-- Texts of a form may be given for every scalar; a body without a required field need not be there.
local function request_body(schemas, platform, operation, fields)
  if operation.body == "none" then
    return nil
  end
  local chosen = body_fields(operation)
  local object = schemas:object(chosen, false, false)
  local example = sample.wire_fields(chosen, fields)
  local content = { schema = object }
  for _, credential in ipairs(in_body(platform, operation)) do
    object.properties = object.properties or {}
    object.properties[credential.name] = { type = credential.is_number and "integer" or "string",
      minLength = not credential.is_number and 1 or nil, description = credential.doc, ["x-campaign-credential"] = true }
    object.required = object.required or list{}
    table.insert(object.required, credential.name)
    example[credential.name] = credential.example
  end
  local media = (operation.body == "json" or operation.body == "array") and operation.content_type or "application/json"
  if operation.body == "ndjson" then -- each line is an item of the only field
    media, content.schema = operation.content_type or "application/x-ndjson", object.properties[chosen[1].name]
  elseif operation.body == "array" then
    content.schema = object.properties[chosen[1].name]
  elseif operation.body == "form" then
    media = "application/x-www-form-urlencoded"
  elseif operation.body == "file" then
    media, content.schema = chosen[1].content_type or "application/octet-stream", { type = "string", format = "binary", description = chosen[1].doc }
  elseif operation.body == "multipart" then
    media = "multipart/form-data"
    for _, field in ipairs(chosen) do
      if field.type == "file" then
        content.encoding = content.encoding or {}
        content.encoding[field.name] = { contentType = field.content_type or "*/*", -- that of its name's extension
          ["x-campaign-filename-encoding"] = operation.filename_mode or "utf8" }
      end
    end
  end
  if operation.body == "json" then
    content.examples = { [operation.name] = { value = example } }
  end
  return { required = #(object.required or {}) > 0, content = { [media] = content } }
end

local function refusal_text(refusal)
  local text = (refusal.reason:gsub("_", " "))
  if refusal.hint then
    text = text .. ": " .. refusal.hint
  end
  return refusal.applied == "maybe" and text .. "; does not prove that nothing was done" or text
end

local function refused(text)
  return { description = text, content = { ["application/json"] = { schema = { ["$ref"] = "#/components/schemas/Refusal" } } } }
end

local function responses(schemas, operation)
  local good = { description = operation.doc }
  if operation.response == "binary" then
    good.content = { ["application/octet-stream"] = { schema = { type = "string", format = "binary" } } }
  elseif operation.response == "empty" then
    good.content = { ["application/json"] = { schema = { type = "object" }, example = {} } }
  else
    local key = operation.reply.shape
    good.description = key and schemas.platform.types[key].doc or "the reply"
    good.content = { ["application/json"] = { schema = schemas:reply(operation), examples = { good = { value = sample.reply(operation) } } } }
  end
  local made = {}
  local statuses = { 200 }
  for _, condition in ipairs(operation.success or {}) do
    statuses = condition.status or statuses
  end
  for _, status in ipairs(statuses) do
    made[tostring(status)] = good
  end
  for _, refusal in ipairs(operation.refusals or {}) do
    if type(refusal.code) == "number" and refusal.code >= 400 and refusal.code <= 599 then
      made[tostring(refusal.code)] = refused(refusal_text(refusal))
    end
  end
  made["429"] = made["429"] or refused("too many calls: nothing was done")
  made["4XX"] = refused("refused")
  made["5XX"] = refused("failed; unless the platform's data says so, nobody knows whether something was done")
  return made
end

-- Top-level names under which refusals carry their code and text.
local function refusal_schema(platform)
  local properties = {}
  for _, operation in ipairs(platform.operations) do
    for key, types in pairs{ code = list{ "integer", "string", "null" }, message = list{ "string", "null" } } do
      local paths = operation[key] or {}
      for _, path in ipairs(type(paths) == "string" and { paths } or paths) do
        if not path:find(".", 1, true) and (key == "code" or not properties[path]) then
          properties[path] = { type = types }
        end
      end
    end
  end
  return { type = "object", description = "what the platform says when it refuses", properties = properties,
    additionalProperties = true }
end

local EXTENSIONS = { "effect", "pages", "probe", "refusals", "success", "destructive", "public", "receipt", "present" }

local function add_extensions(made, platform, operation)
  for _, key in ipairs(EXTENSIONS) do
    if operation[key] ~= nil then
      made["x-campaign-" .. key] = plain(operation[key])
    end
  end
  for name, waiter in pairs(platform.waiters) do
    if waiter.operation == operation.name then
      made["x-campaign-waiters"] = made["x-campaign-waiters"] or {}
      made["x-campaign-waiters"][name] = plain(waiter)
    end
  end
  made["x-campaign-source"] = operation.source
  if #operation.rules > 0 then
    made["x-campaign-rules"] = plain(operation.rules)
  end
  local window = operation.closed
  if window then
    made["x-campaign-window"] = { from = window.from, to = window.to, zone = platform.zone, doc = window.doc }
  end
  if operation.rows then
    local rows = {}
    for key, value in pairs(operation.rows) do
      if key ~= "row" and key ~= "is_call" then
        rows[key] = plain(value)
      end
    end
    rows.shape = operation.rows.is_call and "call" or rows.shape
    made["x-campaign-rows"] = rows
  end
end

-- The JSON body of an operation, whatever its content type is called.
local function json_content(made)
  for media, content in pairs(made.requestBody and made.requestBody.content or {}) do
    if media:find("[/+]json$") then
      return content
    end
  end
  return nil
end

-- Merges two operations of one method and path (two grants of a token endpoint) into one with a choice of bodies.
local function merge(known, made)
  known["x-campaign-operations"] = known["x-campaign-operations"] or list{ known.operationId }
  table.insert(known["x-campaign-operations"], made.operationId)
  known.description = known.description .. " Or: " .. made.description
  local mine, other = json_content(known), json_content(made)
  if mine and other then
    if not mine.schema.oneOf then
      mine.schema = { oneOf = list{ mine.schema } }
    end
    table.insert(mine.schema.oneOf, other.schema)
    for name, example in pairs(other.examples) do
      mine.examples[name] = example
    end
  end
  return known
end

local function document(platform)
  local schemas = schema.new(platform)
  local paths = {}
  for _, operation in ipairs(platform.operations) do
    local fields = sample.fields(platform, operation)
    for name, key in pairs(facts.filled_by_account(platform)) do
      if operation.fields[name] and operation.fields[name].required then
        fields[name] = sample.account(platform)[key]
      end
    end
    local made = {
      operationId = operation.name, summary = operation.doc, description = operation.doc, tags = list{ platform.name },
      security = security(operation), parameters = parameters(schemas, operation, fields),
      requestBody = request_body(schemas, platform, operation, fields), responses = responses(schemas, operation),
    }
    if operation.url then
      made.servers = list{ { url = host(platform), description = platform.account[operation.url].doc } }
    end
    add_extensions(made, platform, operation)
    local item, method = paths[operation.path] or {}, operation.method:lower()
    item[method] = item[method] and merge(item[method], made) or made
    paths[operation.path] = item
  end
  schemas.components.Refusal = refusal_schema(platform)
  local base = platform.account.base_url
  return {
    openapi = "3.1.0",
    info = { title = platform.title, version = core.version, description = platform.doc .. " From the document " .. platform.source .. ".",
      ["x-campaign-zone"] = platform.zone, ["x-campaign-limits"] = plain(platform.limits) },
    servers = list{ { url = host(platform), description = base and base.doc or "the platform's address" } },
    tags = list{ { name = platform.name, description = platform.title } },
    paths = paths,
    components = { schemas = schemas.components, securitySchemes = security_schemes(platform) },
  }
end

---The document as JSON.
---@param platform campaign.platform
---@return string json ends with a line end
function M.text(platform)
  return assert(core.json.encode(document(platform), { indent = 2 })) .. "\n"
end

return M

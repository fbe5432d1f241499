-- SPDX-License-Identifier: MIT
local platforms = require "campaign.api.platform"
local small_platform = require "support.small_platform"

local small, refused = small_platform.new, small_platform.refused

local function with_file(text, visit)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
  os.rename(path, path .. ".lua")
  local well, problem = pcall(visit, path .. ".lua")
  os.remove(path .. ".lua")
  assert(well, problem)
end

describe("api.platform", function()
  it("loads the four platforms that ship", function()
    for _, name in ipairs(platforms.names()) do
      local platform = assert(platforms.load(name))
      assert.equal(name, platform.name)
      assert.equal(28800, platform.zone_seconds)
    end
  end)

  it("lists all operations exactly as docs/contracts/endpoints.tsv does", function()
    local lines = {}
    for _, name in ipairs(platforms.names()) do
      for _, operation in ipairs(assert(platforms.load(name)).operations) do
        lines[#lines + 1] = table.concat({ name, operation.name, operation.method, operation.path, operation.auth, operation.body,
          operation.response, operation.source }, "\t")
      end
    end
    local index = 0
    for line in io.lines("docs/contracts/endpoints.tsv") do
      assert.equal(index == 0 and line or lines[index], line)
      index = index + 1
    end
    assert.equal(#lines, index - 1)
  end)

  it("R277 client restores the path parameters that the document lost", function()
    local operations = platforms.load("hypers").operations
    for _, name in ipairs{ "delete_marketing_group", "update_marketing_group", "get_marketing_group", "update_marketing_scene",
      "get_marketing_scene", "update_marketing_plan", "get_marketing_plan", "delete_marketing_plan" } do
      assert.matches("/{id}$", operations[name].path)
    end
    assert.matches("/task/{taskId}$", operations.get_marketing_task.path)
  end)

  it("R402 client has no operation for looking up callback data", function()
    assert.equal(1, #platforms.load("longlong").operations)
  end)

  it("gives the loaded form: positions, names, resolved types and enums", function()
    local platform = assert(platforms.from_table(small(), "small.lua"))
    local operation = platform.operations.send
    assert.equal(platform.operations[1], operation)
    assert.equal("small.send", operation.key)
    assert.equal("s.txt:3", operation.source)
    assert.equal("bearer", operation.scheme.kind)
    assert.equal(79200, operation.closed.from_seconds)
    assert.equal("int64", operation.fields.rows.items.fields.id.type)
    assert.is_true(operation.fields.rows.items.fields.colour.values.set.red)
    assert.equal(operation.fields.rows.items, operation.rows.row)
    assert.equal("object", operation.reply.type)
  end)

  it("does not change the table it was given", function()
    local raw = small()
    assert(platforms.from_table(raw, "small.lua"))
    assert.is_nil(raw.operations.send)
    assert.is_nil(raw.operations[1].key)
    assert.equal("Row", raw.operations[1].fields[2].items)
  end)

  it("names platform, place and key of an unknown key", function()
    assert.matches("small%.operations%[send%]: unknown key `mehtod`", refused(function(_, send) send.mehtod = "GET" end))
    assert.matches("small%.operations%[send%]%.fields%[who%]: unknown key `requird`",
      refused(function(_, send) send.fields[1].requird = true end))
    assert.matches("small%.types%.Row%.fields%[id%]: unknown key `typ`", refused(function(raw) raw.types.Row.fields[1].typ = "x" end))
    assert.matches("small: unknown key `hosts` %(known: account, auth, ", refused(function(raw) raw.hosts = {} end))
    assert.matches("unknown key `max_len` %(did you mean `max_length`%?%)", refused(function(_, send) send.fields[1].max_len = 5 end))
  end)

  -- A probe of the small platform, with the operation that it asks.
  local function look(raw, change)
    raw.operations[2] = { name = "look", doc = "d", source = ":4", method = "GET", path = "/look", auth = "none", body = "none",
      response = "json", effect = "safe", fields = {}, reply = { { name = "list", type = "array", items = "any" } } }
    local probe = { operation = "look", kind = "total", list = "list", match = { name = "who" }, count = "n", doc = "d" }
    for key, value in pairs(change or {}) do
      probe[key] = value or nil
    end
    return probe
  end

  it("takes a probe that is whole", function()
    local raw = small()
    raw.operations[1].probe = look(raw, { settle = 60, marks = { "at" } })
    assert(platforms.from_table(raw, "small.lua"))
  end)

  -- The scheme of the small platform as a signature.
  local function signature(raw, change)
    raw.auth.bearer = { kind = "signature", secret = "token", algorithm = "hmac-sha256", text = "{method}",
      send = { { header = "X-Sign", value = "{signature}" } } }
    for key, value in pairs(change or {}) do
      raw.auth.bearer[key] = value
    end
  end

  it("takes a signature that is whole", function()
    local raw = small()
    raw.account[2].secret = true
    signature(raw, { text = "{method}{params}{header:Content-Type}{canonical_digest}", timestamp = "iso8601_basic",
      hmac_key = { "K{secret}", "{date}", "{date_basic}" }, canonical = { text = "{path}{header:Content-Type}", algorithm = "sha256" } })
    assert(platforms.from_table(raw, "small.lua"))
  end)

  local broken = {
    { "a missing key", function(raw) raw.zone = nil end, "`zone` is missing" },
    { "a value of another type", function(_, send) send.path = 7 end, "path: must be a string, not a number" },
    { "an unknown method", function(_, send) send.method = "FETCH" end, "must be one of GET, POST" },
    { "an unknown type", function(_, send) send.fields[1].type = "strin" end, "must be one of string, integer" },
    { "an unknown shape of rows", function(_, send) send.rows.shape = "rows" end, "must be one of object, array" },
    { "a list with a hole", function(_, send) send.rules = { [1] = "a", [3] = "b" } end, "without holes" },
    { "an enum without values", function(raw) raw.enums.colour[1] = {} end, "must be { value" },
    { "a missing enum", function(raw) raw.types.Row.fields[2].enum = "color" end, "did you mean `colour`" },
    { "a missing type", function(_, send) send.reply = "Rows" end, "did you mean `Row`" },
    { "a missing scheme", function(_, send) send.auth = "baerer" end, "did you mean `bearer`" },
    { "a missing window", function(_, send) send.window = "nigth" end, "did you mean `night`" },
    { "a missing rule", function(_, send) send.rules = { "filled_identiy" } end, "did you mean `filled_identity`" },
    { "a type inside itself", function(raw)
      raw.types.Row.fields[3] = { name = "row", type = "object", shape = "Row" }
    end, "contains itself" },
    { "a name given twice", function(raw) raw.operations[2] = raw.operations[1] end, "given twice" },
    { "a field given twice", function(_, send) send.fields[3] = send.fields[1] end, "given twice" },
    { "a path without its field", function(_, send) send.path = "/v1/{whom}/send" end, "`{whom}` needs a field" },
    { "a path field that the path lacks", function(_, send) send.path = "/v1/send" end, "the path has no `{who}`" },
    { "a path with a query", function(_, send) send.path = "/v1/{who}?x=1" end, "no spaces, query" },
    { "a field without a place", function(_, send) send.fields[2].where = nil end, "`where` is missing" },
    { "a form field in a JSON body", function(_, send) send.fields[2].where = "form" end, "cannot go into `form`" },
    { "an array without items", function(_, send) send.fields[2].items = nil end, "needs `items`" },
    { "rows without their field", function(_, send) send.rows.field = "data" end, "no field `data`" },
    { "a status without a good one", function(_, send) send.rows.result = { status = "data.status", success_count = "a", fail_count = "b" } end,
      "`success_status`" },
    { "a limit over the vendor's", function(_, send) send.rows.per_call = 9 send.rows.per_call_max = 3 end, "over `per_call_max`" },
    { "a condition on a missing field", function(_, send)
      send.fields[1].required_if = { field = "row", is = { 1 } }
    end, "no field `row`" },
    { "a condition that says nothing", function(_, send) send.fields[1].only_if = { field = "rows" } end, "either `is` or `given`" },
    { "a scheme without its key", function(raw) raw.auth.bearer.key = nil end, "needs `key`" },
    { "a scheme with an unknown account key", function(raw) raw.auth.bearer.key = "tok" end, "no account key `tok`" },
    { "a bad zone", function(raw) raw.zone = "CST" end, "like +08:00" },
    { "a bad time of day", function(raw) raw.windows.night.to = "26:00:00" end, "time of day" },
    { "a window of no time", function(raw) raw.windows.night.to = raw.windows.night.from end, "windows.night: begins and ends at the same time" },
    { "a name that a client has for itself", function(_, send) send.name = "prepare" end, "every client has" },
    { "a name with a dot", function(raw) raw.name = "a.b" end, "lower case" },
    { "a probe of a missing operation", function(_, send)
      send.probe = { operation = "look", kind = "total", count = "n", list = "a", match = { a = "who" }, doc = "d" }
    end, "no operation `look`" },
    { "a probe of an unknown kind", function(raw, send) send.probe = look(raw, { kind = "guess" }) end, "must be one of" },
    { "a probe by an operation that changes something", function(raw, send)
      send.probe = look(raw)
      raw.operations[2].effect = "update"
    end, "a probe only asks" },
    { "a probe without its list", function(raw, send) send.probe = look(raw, { list = false }) end, "needs `list`" },
    { "a total without a count", function(raw, send) send.probe = look(raw, { count = false }) end, "needs `count`" },
    { "an entry without a number", function(raw, send)
      send.probe = look(raw, { kind = "entry", count = false })
    end, "needs `id`" },
    { "an entry with a count", function(raw, send) send.probe = look(raw, { kind = "entry", id = "id" }) end, "does not go with kind" },
    { "a probe that matches an unknown field", function(raw, send)
      send.probe = look(raw, { match = { a = "whom" } })
    end, "no field `whom`" },
    { "a probe that matches everything", function(raw, send) send.probe = look(raw, { match = {} }) end, "which entry is meant" },
    { "a probe that leaves out entries by the status of the answer", function(raw, send)
      send.probe = look(raw, { unless = { status = { 200 } } })
    end, "probe.unless: takes `path`, `is`" },
    { "columns of targets that are left out by an account's setting", function(raw, send)
      look(raw)
      send.rows.columns_from = { operation = "look", list = "data", match = { a = "who" }, names = "columns", name = "name",
        unless = { path = "a", is = { 1 }, setting = "kinds" } }
    end, "columns_from.unless: takes `path`, `is`" },
    { "a probe that asks with an unknown field", function(raw, send)
      send.probe = look(raw, { params = { until_when = "who" } })
    end, "has no field `until_when`" },
    { "a negative limit", function(raw) raw.limits = { concurrency = -5 } end, "limits.concurrency: must be a whole number from 1 to 1000" },
    { "a limit without end", function(raw) raw.limits = { calls_per_second = math.huge } end, "limits.calls_per_second: must be a number from" },
    { "a limit of nothing", function(_, send) send.rows.per_call = 0 end, "rows.per_call: must be a whole number from 1" },
    { "half a row", function(_, send) send.rows.per_call = 2.5 end, "rows.per_call: must be a whole number" },
    { "a number without end", function(raw) raw.types.Row.fields[1].max = math.huge end, "must be a number that has an end" },
    { "limits that nothing meets", function(raw)
      raw.types.Row.fields[1].min, raw.types.Row.fields[1].max = 5, 2
    end, "types.Row[id].min: is over `max`" },
    { "more rows in a call than their field takes", function(_, send) send.fields[2].max_items, send.rows.per_call = 10, 11 end,
      "rows.per_call: is over `max_items`" },
    { "an alias of two fields", function(_, send) send.rows.aliases = { colour = { "x" }, id = { "x" } } end, "`x` means `colour` already" },
    { "an alias that is a field", function(_, send) send.rows.aliases = { id = { "colour" } } end, "`colour` means `colour` already" },
    { "aliases of no field", function(_, send) send.rows.aliases = { color = { "x" } } end, "did you mean `colour`" },
    { "rows of another type", function(_, send) send.rows.type = "Rwo" end, "rows.type: must be the type of the items of `rows`: `Row`" },
    { "a mark in no field", function(_, send) send.rows.mark = "mark" end, "rows.mark: there is no field `mark`" },
    { "values made of objects", function(_, send) send.rows.shape = "value" end, "needs items of one value" },
    { "columns in no order", function(_, send) send.rows.shape = "array" end, "needs `columns` or `columns_from`" },
    { "a result that tells nothing", function(_, send) send.rows.result = {} end, "nothing in the reply would account for rows" },
    { "one count of two", function(_, send) send.rows.result = { success_count = "id" } end, "`success_count` and `fail_count` together" },
    { "refused rows named in two ways", function(_, send)
      send.rows.result = { failed_rows = { list = "id", index = "n", from = 1, value = "v", field = "id" } }
    end, "by one of `index`, `value` and `in_order`" },
    { "refused rows in an order of nobody knows which", function(_, send)
      send.rows.result = { failed_rows = { list = "id", in_order = true } }
    end, "in_order: needs `unless`" },
    { "accepted rows by the status of the answer", function(_, send)
      send.rows.result = { failed_rows = { list = "id", in_order = true, unless = { status = { 200 } } } }
    end, "unless: takes `path`, `is`" },
    { "refused rows numbered from nowhere", function(_, send) send.rows.result = { failed_rows = { list = "id", index = "n" } } end,
      "`index` and `from` together" },
    { "refused rows named by a value of no field", function(_, send)
      send.rows.result = { failed_rows = { list = "id", value = "v" } }
    end, "`value` needs `field`" },
    { "refused rows named by a missing field", function(_, send)
      send.rows.result = { failed_rows = { list = "id", value = "v", field = "ide" } }
    end, "there is no field `ide`" },
    { "refused rows of a list that came back, in rows without names", function(_, send)
      send.rows.shape, send.rows.columns, send.rows.result = "array", { "id" }, { failed_rows = "id" }
    end, "are named by `index` or `in_order` only" },
    { "refused rows beside a result that comes later", function(_, send)
      send.rows.result = { accepted = "pending", id = "id", failed_rows = "id" }
    end, "does not go with `accepted = \"pending\"`" },
    { "a condition on nothing", function(raw) raw.throttle = { {} } end, "throttle[1]: needs `path` and `is`, or `status`" },
    { "a path without its values", function(_, send) send.success = { { path = "id" } } end, "`path` needs `is`" },
    { "a setting that no account has", function(_, send) send.success = { { path = "id", setting = "good" } } end, "no account key `good`" },
    { "a misspelt path of the reply", function(_, send) send.present = { "colur" } end, "the reply has no field `colur` (did you mean `colour`?)" },
    { "a message that its type lacks", function(_, send) send.message = "message" end, "message: the reply has no field `message`" },
    { "an empty path of the reply", function(_, send) send.present = { "" } end, "`` is not a path" },
    { "a path with a dot too many", function(raw) raw.throttle = { { path = "a..b", is = { 1 } } } end, "throttle[1].path: `a..b` is not a path" },
    { "an example that is no number", function(raw) raw.types.Row.fields[1].example = "soon" end, "example: must be digits" },
    { "an address that is no url", function(raw) raw.account[1].type = "integer" end, "account[base_url].type: must be `url`" },
    { "no place to call", function(raw) table.remove(raw.account, 1) end, "account: needs a key `base_url`" },
    { "an account key that no variable can have", function(raw) raw.account[2].name = "to ken" raw.auth.bearer.key = "to ken" end, "variable" },
    { "a key of the account that fills nothing", function(raw) raw.account[2].fills = "wo" end, "fills: there is no field `wo`" },
    { "a scheme's header with a line end", function(raw)
      raw.auth.bearer = { kind = "header", header = "X-A\r\nEvil: 1", key = "token" }
    end, "must be the name of a header" },
    { "a header with a line end", function(_, send)
      send.fields[3] = { name = "X-A: 1", where = "header" }
    end, "is not a header name" },
    { "a field with a line end in its name", function(_, send) send.fields[1].name = "a\r\nb" end, "without control characters" },
    { "a token of a form in a JSON body", function(raw)
      raw.auth.bearer = { kind = "form", field = "token", key = "token" }
    end, "a body `json` cannot carry it" },
    { "a key of another scheme", function(raw) raw.auth.bearer.user = "token" end, "auth.bearer.user: does not go with kind `bearer`" },
    { "a token that needs a token", function(raw)
      raw.auth.bearer = { kind = "oauth2", key = "token", obtain = "send", refresh = "send" }
    end, "`send` needs a token itself" },
    { "a token's call that gives none", function(raw, send)
      look(raw)
      send.auth = "none"
      raw.auth.bearer = { kind = "oauth2", key = "token", obtain = "look", refresh = "look" }
    end, "`look` needs `expires_in` in its reply and in `present`" },
    { "a mark of UTF-8 before GBK", function(_, send)
      send.body, send.fields[2] = "multipart", { name = "rows", where = "form", type = "file" }
      send.rows = { field = "rows", shape = "csv", columns = { "id" }, file = { part = "rows", encoding = "gbk", bom = true, line_end = "\n",
        filename = "r.csv" } }
    end, "is a mark of UTF-8, not of `gbk`" },
    { "a signature over a file that is read while it is sent", function(raw, send)
      signature(raw, { body_digest = { algorithm = "sha256" }, text = "{secret}{body_digest}" })
      send.body, send.rows, send.fields[2] = "file", nil, { name = "rows", where = "body", type = "file", required = true }
    end, "a body `file` is made while it is sent" },
    { "a content type of a form", function(_, send)
      send.body, send.rows, send.content_type = "form", nil, "text/plain"
      send.fields[2] = { name = "a", where = "form" }
    end, "content_type: belongs to a body `json`, `ndjson` or `array`" },
    { "lines of two lists", function(_, send)
      send.body, send.fields[3] = "ndjson", { name = "more", where = "json" }
    end, "`ndjson` needs one field" },
    { "a signature with an unknown word", function(raw) signature(raw, { text = "{secret}{mehtod}" }) end, "`{mehtod}` stands for nothing" },
    { "a signature of a time that is none", function(raw) signature(raw, { text = "{timestamp}" }) end, "`{timestamp}` needs `timestamp`" },
    { "a signature with an odd brace", function(raw) signature(raw, { text = "{method" }) end, "a brace that belongs to no word" },
    { "a signature that anybody could make", function(raw) signature(raw, { algorithm = "md5" }) end, "the secret is not a part" },
    { "a signature that sends its secret", function(raw)
      signature(raw, { send = { { header = "X-S", value = "{signature} {secret}" } } })
    end, "`{secret}` stands for nothing" },
    { "a signature that is not sent", function(raw) signature(raw, { send = { { header = "X-S", value = "x" } } }) end, "carries no `{signature}`" },
    { "a signature that goes nowhere", function(raw) signature(raw, { send = { { value = "{signature}" } } }) end,
      "goes into one of `header`, `query`, `json` and `form`" },
    { "a signature in two headers of one name", function(raw)
      signature(raw, { send = { { header = "X-S", value = "{signature}" }, { header = "x-s", value = "{signature}" } } })
    end, "is given twice" },
    { "a signature over a header that the call lacks", function(raw) signature(raw, { text = "{header:X-Date}" }) end, "signs the header `X-Date`" },
    { "a signature in a header that the call has", function(raw)
      signature(raw, { send = { { header = "Content-Type", value = "{signature}" } } })
    end, "sends `Content-Type`" },
    { "a signature by an open secret", function(raw) raw.account[2].secret = nil signature(raw) end, "must be `secret = true`" },
    { "a signature by a missing secret", function(raw) signature(raw, { secret = "tok" }) end, "no account key `tok`" },
    { "a key for what has none", function(raw) signature(raw, { algorithm = "md5", text = "{secret}", hmac_key = "{secret}" }) end,
      "hmac_key: does not go with" },
    { "a signature over a body that streams", function(raw, send)
      signature(raw, { text = "{body}" })
      send.body, send.rows = "multipart", nil
      send.fields[2] = { name = "f", where = "form", type = "file" }
    end, "made while it is sent, and cannot be signed" },
    { "a digest of nothing", function(raw) signature(raw, { text = "{canonical_digest}" }) end, "`{canonical_digest}` stands for nothing" },
    { "a canonical request that is not signed", function(raw)
      signature(raw, { canonical = { text = "{method}", algorithm = "sha256" } })
    end, "canonical: is not signed" },
    { "a canonical request of itself", function(raw)
      signature(raw, { text = "{canonical_digest}", canonical = { text = "{canonical_digest}", algorithm = "sha256" } })
    end, "canonical.text: `{canonical_digest}` stands for nothing" },
    { "a canonical request with a header that the call lacks", function(raw)
      signature(raw, { text = "{canonical_digest}", canonical = { text = "{header:X-Date}", algorithm = "sha256" } })
    end, "signs the header `X-Date`" },
    { "a chain of keys that does not begin with the secret", function(raw) signature(raw, { hmac_key = { "a", "{secret}" } }) end,
      "`{secret}` behind its first link" },
    { "a chain of no keys", function(raw) signature(raw, { hmac_key = {} }) end, "the secret is not a part" },
    { "a day without a time", function(raw) signature(raw, { hmac_key = { "{secret}", "{date}" } }) end, "`{date}` needs `timestamp`" },
    { "an unknown algorithm", function(raw) signature(raw, { algorithm = "rot13" }) end, "must be one of hmac-sha256" },
    { "a default of another type", function(_, send) send.fields[1].default = 5 end, "default: must be a string for a field of type `string`" },
    { "a default that its enum lacks", function(_, send)
      send.fields[1].enum, send.fields[1].default = "colour", "green"
    end, "is not a value of enum `colour`" },
    { "an enum's value given twice", function(raw) raw.enums.colour[3] = { "red" } end, "the value `red` is given twice" },
    { "an enum of nothing", function(raw) raw.enums.empty = {} end, "has no values" },
    { "a pattern of a number", function(raw) raw.types.Row.fields[1].pattern = "url" end, "belongs to fields of type `string`" },
    { "a file in a JSON body", function(_, send) send.fields[3] = { name = "f", where = "json", type = "file" } end, "a file goes into `form`" },
    { "an object in a query", function(_, send)
      send.fields[3] = { name = "o", where = "query", type = "object", shape = "Row" }
    end, "an object goes into a JSON body only" },
    { "a path that may lack its value", function(_, send) send.fields[1].required = nil end, "a field of the path must be `required`" },
    { "a path with other letters", function(_, send) send.path = "/中/{who}" end, "printable ASCII" },
    { "a path with an odd brace", function(_, send) send.path = "/{a-b}/{who}" end, "braces around names" },
    { "pages by a missing field", function(_, send)
      send.pages = { page = "page", size = "who", list = "id", total = "id", default_size = 10 }
    end, "pages.page: there is no field `page`" },
    { "pages of calls that do something", function(_, send) send.pages = { list = "." } end, "pages: belong to an operation with the effect `safe`" },
    { "pages by a number and a cursor", function(_, send)
      send.pages = { page = "who", size = "who", cursor = "who", next = "id", list = "id", total = "id", default_size = 10 }
    end, "only one of them" },
    { "pages by an offset that never end", function(_, send)
      send.pages = { offset = "who", size = "who", list = "id", default_size = 10 }
    end, "and `total` or `more` together" },
    { "pages by a cursor that comes from nowhere", function(_, send) send.pages = { cursor = "who", list = "id" } end, "`cursor` needs `next`" },
    { "a next cursor without a cursor", function(_, send) send.pages = { next = "id", list = "id" } end, "belongs to pages by a `cursor`" },
    { "a cursor that the first page needs", function(_, send)
      send.pages = { cursor = "who", next = "id", list = "id" }
    end, "may be left out" },
    { "more pages by nothing", function(_, send)
      send.pages = { cursor = "who", next = "id", list = "id", more = { status = { 200 } } }
    end, "takes `path`, `is`" },
    { "a refusal given twice", function(_, send)
      send.refusals = { { code = 1, reason = "a" }, { code = 1, reason = "b" } }
    end, "the code `1` is given twice" },
    { "a wait without a pause", function(raw)
      look(raw)
      raw.waiters = { done = { operation = "look", doc = "d", delay = 0, max_delay = 1, timeout = 9, changed = { "list" } } }
    end, "delay: must be a number from 0.001" },
    { "a zone that is nowhere", function(raw) raw.zone = "+99:99" end, "like +08:00" },
    { "a callback about calls that wait for none", function(raw)
      raw.callbacks = { done = { operation = "send", id = "id", rows = "rows", ok = "ok", doc = "d" } }
    end, "callbacks.done: operation `send` needs rows with" },
    { "a link that is posted", function(raw) raw.links = { x = { operation = "send" } } end, "an address is opened by GET" },
    { "a receipt of a missing part", function(_, send) send.receipt = { part = "file" } end, "receipt.part: there is no field `file`" },
    { "a name of files in a JSON body", function(_, send) send.filename_mode = "gbk" end, "filename_mode: belongs to a body `multipart`" },
    { "what a reply must have that is not read", function(_, send) send.response, send.present = "binary", { "id" } end,
      "present: is of a reply in JSON" },
    { "a number that is read as a text", function(_, send) send.success = { { path = "id", is = { 0 } } } end,
      "success[1].is: holds for no string, which is what a field of type `int64` is read as: write \"0\"" },
    { "a text that is read as a number", function(raw)
      look(raw)
      raw.operations[2].reply[2] = { name = "code", type = "integer" }
      raw.operations[2].not_applied = { { path = "code", is = { "7" } } }
    end, "not_applied[1].is: holds for no number" },
    { "a state that no reply has", function(raw)
      look(raw)
      raw.operations[2].reply[2] = { name = "done", type = "boolean" }
      raw.waiters = { done = { operation = "look", doc = "d", delay = 1, max_delay = 1, timeout = 9,
        success = { { path = "done", is = { "true" } } } } }
    end, "waiters.done.success[1].is: holds for no boolean" },
    { "a condition on no value", function(_, send) send.success = { { path = "id", is = {} } } end, "which values hold?" },
    { "a token that may be shown", function(raw) raw.account[2].secret = nil end, "auth.bearer.key: account key `token` must be `secret = true`" },
    { "a password that may be shown", function(raw)
      raw.account[2].secret = nil
      raw.auth.bearer = { kind = "basic", user = "base_url", password = "token" }
    end, "auth.bearer.password: account key `token` must be `secret = true`" },
    { "a header that its scheme sends", function(_, send) send.fields[3] = { name = "authorization", where = "header" } end,
      "scheme `bearer` sends `Authorization`, which the call has already" },
    { "a type of a body in a field", function(_, send) send.fields[3] = { name = "content-type", where = "header" } end,
      "the type of a body `json` is `content_type` of the operation" },
    { "a place of a field in an object", function(raw) raw.types.Row.fields[1].where = "query" end, "where: belongs to the fields of a request" },
    { "a reply that requires", function(raw) look(raw) raw.operations[2].reply[1].required = true end,
      "required: has no meaning in a reply: `present`" },
    { "a default of a reply", function(raw) look(raw) raw.operations[2].reply[1].default = "x" end, "default: has no meaning in a reply" },
    { "other spellings of a field that is sent", function(_, send) send.fields[1].names = { "Who" } end, "names: has no meaning in a request" },
    { "whole minutes of a text", function(_, send) send.fields[1].whole_minutes = true end, "belongs to fields of type `datetime`" },
    { "a digest of a text", function(_, send) send.fields[1].digest = true end, "digest: belongs to fields of type `file`" },
    { "a unit of no length", function(_, send) send.fields[1].unit = "byte" end, "unit: needs `min_length` or `max_length`" },
    { "texts for a number", function(raw) raw.types.Row.fields[1].type, raw.types.Row.fields[1].enum = "integer", "colour" end,
      "enum: `red` of `colour` is no value of type `integer`" },
    { "a probe that waits for ever", function(raw, send) send.probe = look(raw, { settle = 86400 }) end, "seconds from 1 to" },
  }
  for _, case in ipairs(broken) do
    it("refuses " .. case[1], function()
      local message = refused(case[2])
      assert(message:find(case[3], 1, true), message)
    end)
  end

  it("tells of names with line ends, colons and formats in one line, with the place whole", function()
    local message, err = refused(function(_, send) send.name = "a:b\r\n%s\"" end)
    assert.is_nil(message:find("%c"))
    assert.equal("small.operations[a:b??%s\"].name", err.faults[1].path)
    assert.equal("must be lower case letters, digits and underscores", err.faults[1].message)
  end)

  it("reports all faults, not only the first", function()
    local _, err = refused(function(raw, send) raw.zone = nil send.method = "FETCH" send.fields[1].typ = 1 end)
    assert.equal(3, #err.faults)
    assert.is_string(err.faults[1].path)
    assert.is_string(err.faults[1].message)
  end)

  it("names the shipped platforms for a name that is none", function()
    local platform, err = platforms.load("outbund")
    assert.is_nil(platform)
    assert.equal("usage", err.kind)
    assert.matches("did you mean `outbound`", err.message)
    assert.is_nil((platforms.load("../etc")))
    assert.is_nil((platforms.load("")))
    assert.has_error(function() platforms.load(7) end)
  end)

  -- What a script of one call need not do again.
  for _, name in ipairs(platforms.names()) do
    it("ships " .. name .. " as a file that passes every check that the files of others must pass", function()
      local path = assert(package.searchpath("campaign.platform." .. name, package.path))
      local checked = assert(platforms.load("./" .. path))
      local ours = platforms.load(name)
      assert.not_equal(ours, checked)
      for _, operation in ipairs(ours.operations) do -- what is completed when it is first asked for
        assert.is_table(operation.fields)
      end
      assert.is_table(ours.types)
      assert.same({ name, "./" .. path }, { ours.reference, checked.reference })
      checked.reference = name
      assert.same(platforms.load(name), checked)
    end)
  end

  local hostile = {
    { "nothing", "", "empty" },
    { "no return", "local a = 1", "one `return" },
    { "a number", "return 7", "returns a number" },
    { "texts in GBK", "return {\n  name = \"\196\227\"\n}", "line 2 is not UTF-8: save the file as UTF-8" },
    { "a comma too few", "return { name = \"a\"\n  title = \"b\" }", "line 2: `title`: a comma is missing before it" },
    { "a call", "return { name = os.exit(1) }", "line 1: `os`" },
    { "a call on a text", "return { name = (\"x\"):rep(1e9) }", "only literals" },
    { "a function", "return { f = function() end }", "`function`" },
    { "a loop", "while true do end return {}", "one `return" },
    { "a second statement", "return {}\nlocal x = 1", "line 2" },
    { "a variable", "return {\n\n name = other }", "line 3: `other`" },
    { "concatenation", "return { name = \"a\" .. \"b\" }", "only literals" },
    { "arithmetic", "return { n = 2^99 }", "only literals" },
    { "an open text", "return { name = \"abc\n }", "not closed" },
    { "an open long text", "return { name = [[abc }", "not closed" },
    { "an open comment", "return { --[[ name }", "not closed" },
    { "an open table", "return { name = \"x\"", "not a Lua table" },
    { "bytecode", "\27Lua\0\0", "one `return" },
    { "a negative text", "return { n = -\"x\" }", "cannot be read" },
    { "an assignment inside", "return { a = b = 1 }", "only literals" },
    { "megabytes", "return {" .. (" "):rep(1100000) .. "}", "larger than 1 MiB" },
    { "a key given twice", "return {\n a = { phone = 1 }, b = { phone = 1,\n phone = 2 } }", "line 3: `phone` stands twice" },
    { "a key given twice in brackets", "return { phone = 1, [\"phone\"] = 2 }", "`phone` stands twice" },
    { "deep nesting", "return " .. ("{"):rep(5000) .. ("}"):rep(5000), "not a Lua table" },
  }
  for _, case in ipairs(hostile) do
    it("refuses a file with " .. case[1], function()
      with_file(case[2], function(path)
        local platform, err = platforms.load(path)
        assert.is_nil(platform)
        assert.equal("usage", err.kind)
        assert(err.message:find(case[3], 1, true), err.message)
      end)
    end)
  end

  it("refuses a file that is not there, and a folder", function()
    for _, path in ipairs{ "/nowhere/at/all.lua", "/tmp/" } do
      local platform, err = platforms.load(path)
      assert.is_nil(platform)
      assert.equal("usage", err.kind)
    end
  end)

  it("loads a fifth platform from its file", function()
    with_file([==[
-- a comment, and "quotes"
return {
  name = "fifth", title = 'Fifth', doc = [[long]], source = "f.txt", zone = "-03:30", --[[ inline ]]
  account = { { name = "base_url", type = "url", doc = "d" } },
  auth = {}, ["operations"] = { { name = "ping", doc = "d", source = ":1", method = "GET", path = "/ping", auth = "none",
    body = "none", response = "empty", effect = "safe" }; },
}
]==], function(path)
      local platform = assert(platforms.load(path))
      assert.equal(-12600, platform.zone_seconds)
      assert.is_nil(platform.operations.ping.scheme)
    end)
  end)

  it("loads a file as editors on Windows write it", function()
    local text = io.open("examples/platforms/courier.lua", "rb")
    local lines = text:read("*a"):gsub("\n", "\r\n")
    text:close()
    with_file("\239\187\191" .. lines, function(path)
      assert.equal("courier", assert(platforms.load(path)).name)
    end)
  end)

  it("has calls whose form is all optional refused before anything is sent when nothing is given", function()
    with_file([==[
return {
  name = "sixth", title = "t", doc = "d", source = "s.txt", zone = "+08:00", auth = {},
  account = { { name = "base_url", type = "url", required = true, doc = "d" } },
  operations = { { name = "put", doc = "d", source = ":1", method = "POST", path = "/put", auth = "none", body = "multipart",
    response = "empty", effect = "create", fields = { { name = "note", where = "form" } } } },
}
]==], function(path)
      local client = assert(require("campaign").connect(path, { base_url = "http://127.0.0.1:9" }))
      local reply, err = client:put{}
      client:close()
      assert.is_nil(reply)
      assert.equal("invalid", err.kind)
      assert.equal("no", err.sent)
      assert.matches("give at least one", err.message)
    end)
  end)

  it("lists enum values as docs/contracts/enums.tsv does", function()
    local known = {}
    for _, name in ipairs(platforms.names()) do
      for _, enum in pairs(platforms.load(name).enums) do
        for _, entry in ipairs(enum) do
          known[name .. "\t" .. tostring(entry.value)] = true
        end
      end
    end
    for line in io.lines("docs/contracts/enums.tsv") do
      local platform, enum, value = line:match("^(%S+)\t([^\t]+)\t([^\t]+)\t")
      local is_ours = platform ~= "platform" and not enum:find("^reply") and not enum:find("httpStatus") and not enum:find("sandbox only")
        and not enum:find("^oauth") and not enum:find("^Sort") and value ~= "COMPLETED"
        or enum == "reply.data.status"
      if is_ours then
        assert(known[platform .. "\t" .. value], line)
      end
    end
  end)
end)

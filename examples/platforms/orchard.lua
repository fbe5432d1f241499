-- SPDX-License-Identifier: MIT
-- Orchard, an invented loyalty programme whose calls are signed as many partner APIs have it: over the sorted fields of the JSON body (or of the
-- form), in which time and signature stand as fields themselves. Facts only.

return {
  name = "orchard",
  title = "Orchard: points of members (an invented vendor)",
  doc = "Members get points, and are looked up.",
  source = "orchard-api.txt",
  zone = "+08:00",

  account = {
    { name = "base_url", required = true, type = "url", doc = "https address of the API" },
    { name = "app_key", required = true, doc = "who calls" },
    { name = "app_secret", required = true, secret = true, doc = "signs the calls" },
    { name = "form_key", secret = true, doc = "signs the older calls: base64, as the console shows it" },
  },

  auth = {
    signed = {
      kind = "signature", key = "app_key", secret = "app_secret", algorithm = "md5", output = "upper_hex", timestamp = "milliseconds", nonce = 16,
      params = { of = { "json" }, skip_empty = true }, text = "{params}&key={secret}",
      send = {
        { json = "appKey", value = "{key}" }, { json = "timestamp", value = "{timestamp}", type = "integer" }, { json = "nonce", value = "{nonce}" },
        { json = "sign", value = "{signature}" },
      },
    },
    session = { kind = "oauth2", obtain = "open_session", token = "data.session", lifetime = 3600, expired = { { path = "code", is = { 4011 } } } },
    shop = { -- a token and a signature
      kind = "signature", key = "app_key", secret = "app_secret", algorithm = "hmac-sha256", timestamp = "datetime", tokens = "session",
      params = { of = { "query" }, equals = "", between = "" }, text = "{secret}{method}{params}{secret}",
      send = {
        { query = "app_key", value = "{key}" }, { query = "access_token", value = "{token}" }, { query = "timestamp", value = "{timestamp}" },
        { query = "sign", value = "{signature}" },
      },
    },
    keyed = {
      kind = "signature", key = "app_key", secret = "form_key", secret_encoding = "base64", algorithm = "hmac-sha256", timestamp = "seconds",
      params = { of = { "form" } }, text = "{params}",
      send = { { form = "app_key", value = "{key}" }, { form = "t", value = "{timestamp}" }, { form = "sign", value = "{signature}" } },
    },
  },

  types = {
    Gift = {
      doc = "points for a member", source = ":11",
      fields = {
        { name = "mobile", required = true, pattern = "mobile_cn", redact = "phone", source = ":12" },
        { name = "points", type = "integer", required = true, min = 1, source = ":13" },
        { name = "reason", max_length = 40, source = ":14" },
      },
    },
    Status = { doc = "how it went", source = ":5", open = true, fields = { { name = "code", type = "integer" }, { name = "msg" } } },
  },

  operations = {
    {
      name = "give_points", doc = "Give members points.", source = ":10",
      method = "POST", path = "/partner/points", auth = "signed", body = "json", response = "json", effect = "append",
      fields = {
        { name = "shop", where = "json", required = true, max_length = 20, example = "店铺 1", source = ":20" },
        { name = "data", where = "json", type = "object", source = ":21", fields = {
          { name = "batch", max_length = 32 }, { name = "gifts", type = "array", items = "Gift", required = true, max_items = 200 },
        } },
        { name = "notify", where = "json", type = "boolean", source = ":22" },
        { name = "note", where = "json", source = ":23" },
        { name = "tags", where = "json", type = "array", items = "string", join = ",", source = ":24" },
        { name = "ratio", where = "json", type = "number", source = ":25" },
      },
      reply = "Status", success = { { path = "code", is = { 0 } } }, code = "code", message = "msg",
      refusals = { { code = 4010, reason = "bad_signature", kind = "auth", hint = "is `app_secret` right?" } },
      rows = {
        field = "data.gifts", shape = "object", type = "Gift", per_call = 200, concurrency = 2, aliases = { mobile = { "phone", "手机号" } },
        result = { accepted = "all" },
      },
      probe = "none",
    },
    {
      name = "open_session", doc = "Get a token for the calls of a shop.", source = ":40",
      method = "POST", path = "/partner/session", auth = "signed", body = "json", response = "json", effect = "create",
      fields = {},
      reply = { { name = "code", type = "integer" }, { name = "msg" },
        { name = "data", type = "object", open = true, fields = { { name = "session" } } } },
      success = { { path = "code", is = { 0 } } }, present = { "data.session" }, code = "code", message = "msg",
      refusals = { { code = 4010, reason = "bad_signature", kind = "auth", hint = "is `app_secret` right?" } },
    },
    {
      name = "list_shops", doc = "The shops that take part.", source = ":50",
      method = "GET", path = "/partner/shops", auth = "shop", body = "none", response = "json", effect = "safe",
      fields = { { name = "city", where = "query", source = ":51" } },
      reply = { { name = "code", type = "integer" }, { name = "msg" }, { name = "shops", type = "array", items = "string", or_empty = true } },
      success = { { path = "code", is = { 0 } } }, code = "code", message = "msg",
    },
    {
      name = "find_member", doc = "Look a member up.", source = ":30",
      method = "POST", path = "/partner/member", auth = "keyed", body = "form", response = "json", effect = "safe",
      fields = { { name = "mobile", where = "form", required = true, pattern = "mobile_cn", redact = "phone", source = ":31" } },
      reply = { { name = "code", type = "integer" }, { name = "msg" }, { name = "points", type = "integer" } },
      success = { { path = "code", is = { 0 } } }, present = { "points" }, code = "code", message = "msg",
    },
  },
}

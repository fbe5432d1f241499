-- SPDX-License-Identifier: MIT
-- Harbor, an invented platform for advertisements with the habits of many real ones: a person logs in once and gets a refresh token, which is
-- another one after each use; the token has a header of its own; audiences are uploaded as digests of phone numbers and addresses. Facts only.

return {
  name = "harbor",
  title = "Harbor: audiences for advertisements (an invented vendor)",
  doc = "People are added to audiences, by JSON or by a file.",
  source = "harbor-api.txt",
  zone = "+08:00",

  account = {
    { name = "base_url", required = true, type = "url", doc = "https address of the API" },
    { name = "app_id", required = true, fills = "app_id", doc = "the application" },
    { name = "secret", required = true, secret = true, fills = "secret", doc = "of the application" },
    { name = "refresh_token", secret = true, doc = "as the login page of Harbor shows it" },
  },

  auth = {
    token = {
      kind = "oauth2", refresh = "renew_token", refresh_key = "refresh_token", header = "Access-Token",
      token = "data.access_token", expires_in = "data.expires_in", refresh_token = "data.refresh_token",
      expired = { { path = "code", is = { 40102, 40105 } } },
    },
  },

  types = {
    Person = {
      doc = "one person, by any of three", source = ":30",
      fields = {
        { name = "mobile", any_of = "who", pattern = "mobile_cn", redact = "phone", hash = "md5", source = ":31" },
        { name = "email", any_of = "who", max_length = 200, redact = true, source = ":32",
          hash = { algorithm = "sha256", output = "upper_hex", trim = true, lower = true } },
        { name = "oaid", any_of = "who", redact = true, source = ":33" },
      },
    },
    Refused = { doc = "a digest that was not taken over", open = true, fields = { { name = "value" }, { name = "why" } } },
  },

  operations = {
    {
      name = "renew_token", doc = "Get a new token and a new refresh token.", source = ":10",
      method = "POST", path = "/oauth2/refresh_token", auth = "none", body = "json", response = "json", effect = "create",
      fields = {
        { name = "app_id", where = "json", required = true, source = ":11" }, { name = "secret", where = "json", required = true, source = ":12" },
        { name = "grant_type", where = "json", constant = "refresh_token", source = ":13" },
        { name = "refresh_token", where = "json", required = true, redact = true, source = ":14" },
      },
      reply = {
        { name = "code", type = "integer" }, { name = "message" },
        { name = "data", type = "object", open = true, fields = {
          { name = "access_token", redact = true }, { name = "refresh_token", redact = true }, { name = "expires_in", type = "integer" },
        } },
      },
      success = { { path = "code", is = { 0 } } }, present = { "data.access_token", "data.expires_in", "data.refresh_token" }, code = "code",
      message = "message",
      refusals = { { code = 40107, reason = "spent", kind = "auth", hint = "log in at Harbor again" } },
    },
    {
      name = "add_people", doc = "Add people to an audience; those that are refused are named by their digest.", source = ":20",
      method = "POST", path = "/audiences/{id}/people", auth = "token", body = "json", response = "json", effect = "idempotent",
      fields = {
        { name = "id", where = "path", type = "int64", required = true, example = "77", source = ":21" },
        { name = "people", where = "json", type = "array", items = "Person", required = true, min_items = 1, max_items = 1000, source = ":22" },
      },
      reply = {
        { name = "code", type = "integer" }, { name = "message" },
        { name = "data", type = "object", open = true, fields = { { name = "refused", type = "array", items = "Refused", or_empty = true } } },
      },
      success = { { path = "code", is = { 0 } } }, present = { "data" }, code = "code", message = "message",
      rows = {
        field = "people", shape = "object", type = "Person", per_call = 1000, concurrency = 2, aliases = { mobile = { "phone", "手机号" } },
        result = { failed_rows = { list = "data.refused", value = "value", field = "mobile", reason = "why" } },
      },
      probe = "none",
    },
    {
      name = "upload_people", doc = "Add the people of a file to an audience.", source = ":40",
      method = "PUT", path = "/audiences/{id}/file", auth = "token", body = "file", response = "json", effect = "idempotent",
      fields = {
        { name = "id", where = "path", type = "int64", required = true, example = "77", source = ":41" },
        { name = "file", where = "body", type = "file", required = true, content_type = "text/csv", source = ":42" },
      },
      reply = { { name = "code", type = "integer" }, { name = "message" } },
      success = { { path = "code", is = { 0 } } }, code = "code", message = "message",
      rows = {
        field = "file", shape = "csv", per_file = 100000, concurrency = 1, aliases = { MOBILE_MD5 = { "phone", "mobile", "手机号" } },
        columns = {
          { name = "MOBILE_MD5", required = true, pattern = "mobile_cn", redact = "phone", hash = "md5", source = ":44" },
          { name = "CITY", max_length = 8, source = ":45" },
          { name = "SCORE", type = "integer", min = 0, max = 100, source = ":46" },
        },
        result = { accepted = "all" },
        file = { encoding = "utf-8", line_end = "\n", header = true, type = "text/csv" },
      },
      probe = "none",
    },
  },
}

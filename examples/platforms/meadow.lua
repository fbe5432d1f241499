-- SPDX-License-Identifier: MIT
-- Meadow, an invented platform for messages to followers, with the tokens of many real ones: a GET with id and secret gives a token, there is
-- nothing to refresh it with, it goes into the query of every call, and that it has run out is said with HTTP 200 and a code. Facts only.

return {
  name = "meadow",
  title = "Meadow: messages to followers (an invented vendor)",
  doc = "Followers are labelled and listed.",
  source = "meadow-api.txt",
  zone = "+08:00",

  account = {
    { name = "base_url", required = true, type = "url", doc = "https address of the API" },
    { name = "app_id", required = true, fills = "appid", doc = "who calls" },
    { name = "app_secret", required = true, secret = true, fills = "secret", doc = "buys tokens" },
  },

  auth = {
    token = {
      kind = "oauth2", obtain = "get_token", query = "access_token",
      expired = { { path = "errcode", is = { 40001, 40014, 42001 } } },
    },
  },

  not_applied = { { path = "errcode", is = { 40003, 45159 } } },
  throttle = { { path = "errcode", is = { 45009, -1 } } },

  types = {
    Status = { doc = "how it went", source = ":9", open = true, fields = { { name = "errcode", type = "integer" }, { name = "errmsg" } } },
  },

  operations = {
    {
      name = "get_token", doc = "Get a token; the one before it ends.", source = ":10",
      method = "GET", path = "/cgi/token", auth = "none", body = "none", response = "json", effect = "create",
      fields = {
        { name = "grant_type", where = "query", constant = "client_credential", source = ":11" },
        { name = "appid", where = "query", required = true, source = ":12" },
        { name = "secret", where = "query", required = true, redact = true, source = ":13" },
      },
      reply = {
        { name = "access_token", redact = true, source = ":15" }, { name = "expires_in", type = "integer", doc = "seconds", source = ":16" },
        { name = "errcode", type = "integer" }, { name = "errmsg" },
      },
      success = { { path = "errcode", is = { 0 }, or_absent = true } }, present = { "access_token", "expires_in" }, code = "errcode",
      message = "errmsg",
      refusals = {
        { code = 40013, reason = "unknown_app", kind = "auth", hint = "is `app_id` right?" },
        { code = 40125, reason = "wrong_secret", kind = "auth", hint = "is `app_secret` right?" },
      },
    },
    {
      name = "label_followers", doc = "Give followers a label.", source = ":20",
      method = "POST", path = "/cgi/tags/members", auth = "token", body = "json", response = "json", effect = "idempotent",
      fields = {
        { name = "tagid", where = "json", type = "int64", required = true, example = "134", source = ":21" },
        { name = "openid_list", where = "json", type = "array", items = { type = "string", max_length = 28, redact = true }, required = true,
          min_items = 1, max_items = 50, source = ":22" },
      },
      reply = "Status", success = { { path = "errcode", is = { 0 } } }, code = "errcode", message = "errmsg",
      rows = {
        field = "openid_list", shape = "value", per_call = 50, concurrency = 2, columns = { "openid" }, all_or_nothing = true,
        result = { accepted = "all" },
      },
      probe = "none",
    },
    {
      name = "list_followers", doc = "Followers by a cursor.", source = ":30",
      method = "GET", path = "/cgi/followers", auth = "token", body = "none", response = "json", effect = "safe",
      fields = { { name = "next_openid", where = "query", source = ":31" } },
      reply = {
        { name = "errcode", type = "integer" }, { name = "errmsg" }, { name = "total", type = "integer" }, { name = "next_openid" },
        { name = "data", type = "object", open = true, fields = {
          { name = "openid", type = "array", items = { type = "string", redact = true }, or_empty = true },
        } },
      },
      success = { { path = "errcode", is = { 0 }, or_absent = true } }, present = { "total" }, code = "errcode", message = "errmsg",
      pages = { cursor = "next_openid", next = "next_openid", list = "data.openid" },
    },
  },
}

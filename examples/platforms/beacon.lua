-- SPDX-License-Identifier: MIT
-- Beacon, an invented marketing platform with the habits of many real ones: calls are signed, refused rows come back by number or by value with a
-- reason each, and lists go by a cursor or an offset. Facts only.

return {
  name = "beacon",
  title = "Beacon: contacts and events (an invented vendor)",
  doc = "Contacts are imported and listed; numbers can be blocked.",
  source = "beacon-api.txt",
  zone = "+08:00",

  account = {
    { name = "base_url", required = true, type = "url", doc = "https address of the API" },
    { name = "app_key", required = true, doc = "who calls" },
    { name = "app_secret", required = true, secret = true, doc = "signs the calls" },
  },

  auth = {
    signed = {
      kind = "signature", key = "app_key", secret = "app_secret", algorithm = "hmac-sha256", output = "base64",
      timestamp = "milliseconds", nonce = 16, body_digest = { algorithm = "sha256", output = "hex" },
      text = "{method}\n{path}\n{params}\n{header:X-Beacon-Time}\n{nonce}\n{body_digest}",
      send = {
        { header = "X-Beacon-Time", value = "{timestamp}" }, { header = "X-Beacon-Nonce", value = "{nonce}" },
        { header = "Authorization", value = "BEACON {key}:{signature}" },
      },
    },
    sorted = { -- the older calls
      kind = "signature", key = "app_key", secret = "app_secret", algorithm = "md5", output = "upper_hex", timestamp = "datetime",
      params = { of = { "query", "form" }, equals = "", between = "", skip_empty = true }, text = "{secret}{params}{secret}",
      send = { { query = "app_key", value = "{key}" }, { query = "timestamp", value = "{timestamp}" }, { query = "sign", value = "{signature}" } },
    },
  },

  types = {
    Contact = {
      doc = "one person", source = ":41",
      fields = {
        { name = "mobile", required = true, pattern = "mobile_cn", redact = "phone", source = ":42" },
        { name = "name", required = true, not_blank = true, max_length = 20, redact = true, source = ":43" },
        { name = "age", type = "integer", min = 1, max = 150, source = ":44" },
        { name = "balance", type = "number", min = -0.5, max = 99999.5, source = ":45" },
        { name = "remind_at", type = "datetime", whole_minutes = true, source = ":46" },
      },
    },
    Refused = {
      doc = "a row that was not taken over", open = true,
      fields = { { name = "row", type = "integer" }, { name = "mobile", also = { "integer" } }, { name = "code" }, { name = "reason" } },
    },
  },

  operations = {
    {
      name = "import_contacts", doc = "Add contacts; those that are refused are named by their number.", source = ":30",
      method = "POST", path = "/open/contacts", auth = "signed", body = "json", response = "json", effect = "append",
      fields = {
        { name = "group", where = "json", required = true, max_length = 40, example = "autumn", source = ":31" },
        { name = "contacts", where = "json", type = "array", items = "Contact", required = true, min_items = 1, max_items = 500, source = ":32" },
      },
      reply = {
        { name = "code", type = "integer", also = { "string" } }, { name = "message" },
        { name = "data", type = "object", open = true, fields = { { name = "errors", type = "array", items = "Refused" } } },
      },
      success = { { path = "code", is = { 0 } } }, present = { "data" }, code = "code", message = "message",
      rows = {
        field = "contacts", shape = "object", type = "Contact", per_call = 500, concurrency = 2,
        aliases = { mobile = { "phone", "手机号" }, name = { "姓名" } },
        result = { failed_rows = { list = "data.errors", index = "row", from = 1, reason = "reason", code = "code" } },
      },
      probe = "none",
    },
    {
      name = "block_numbers", doc = "Block numbers; those that are refused are named by themselves.", source = ":60",
      method = "POST", path = "/open/blocked", auth = "signed", body = "json", response = "json", effect = "append",
      fields = {
        { name = "contacts", where = "json", type = "array", items = "Contact", required = true, min_items = 1, max_items = 500, source = ":61" },
      },
      reply = {
        { name = "code", type = "integer", also = { "string" } }, { name = "message" },
        { name = "data", type = "object", open = true, fields = {
          { name = "good", type = "integer" }, { name = "bad", type = "integer" }, { name = "failed", type = "array", items = "Refused" },
        } },
      },
      success = { { path = "code", is = { 0 } } }, present = { "data" }, code = "code", message = "message",
      rows = {
        field = "contacts", shape = "object", type = "Contact", per_call = 500, concurrency = 2, aliases = { mobile = { "phone" } },
        result = { success_count = "data.good", fail_count = "data.bad",
          failed_rows = { list = "data.failed", value = "mobile", field = "mobile", reason = "reason" } },
      },
      probe = "none",
    },
    {
      name = "list_contacts", doc = "Contacts by a cursor.", source = ":70",
      method = "GET", path = "/open/contacts", auth = "signed", body = "none", response = "json", effect = "safe",
      fields = {
        { name = "cursor", where = "query", source = ":71" },
        { name = "limit", where = "query", type = "integer", min = 1, max = 200, source = ":72" },
      },
      reply = {
        { name = "code", type = "integer", also = { "string" } }, { name = "message" },
        { name = "data", type = "object", open = true, fields = {
          { name = "items", type = "array", items = "Contact", or_empty = true }, { name = "next" }, { name = "has_more", type = "boolean" },
        } },
      },
      success = { { path = "code", is = { 0 } } }, present = { "data", "data.has_more" }, code = "code", message = "message",
      pages = { cursor = "cursor", next = "data.next", more = { path = "data.has_more", is = { true } }, list = "data.items", size = "limit",
        default_size = 100 },
    },
    {
      name = "list_records", doc = "What was sent, by the offset of the first row.", source = ":80",
      method = "GET", path = "/open/records", auth = "sorted", body = "none", response = "json", effect = "safe",
      fields = {
        { name = "offset", where = "query", type = "integer", min = 0, source = ":81" },
        { name = "limit", where = "query", type = "integer", min = 1, max = 200, source = ":82" },
      },
      reply = {
        { name = "code", type = "integer", also = { "string" } }, { name = "message" },
        { name = "data", type = "object", open = true, fields = {
          { name = "items", type = "array", items = "Contact", or_empty = true }, { name = "total", type = "integer" },
        } },
      },
      success = { { path = "code", is = { 0 } } }, present = { "data", "data.total" }, code = "code", message = "message",
      pages = { offset = "offset", size = "limit", list = "data.items", total = "data.total", default_size = 100 },
    },
    {
      name = "upload_contacts", doc = "Add the contacts of a file; those that are refused are named by their line.", source = ":50",
      method = "POST", path = "/open/files", auth = "sorted", body = "multipart", response = "json", effect = "append",
      fields = {
        { name = "group", where = "form", required = true, max_length = 40, example = "autumn", source = ":51" },
        { name = "file", where = "form", type = "file", required = true, content_type = "text/csv", source = ":52" },
      },
      reply = {
        { name = "code", type = "integer", also = { "string" } }, { name = "message" },
        { name = "data", type = "object", open = true, fields = { { name = "failed", type = "array", items = "integer" } } },
      },
      success = { { path = "code", is = { 0 } } }, present = { "data" }, code = "code", message = "message",
      rows = {
        field = "file", shape = "csv", per_file = 100000, concurrency = 1, columns = { "mobile", "name" },
        aliases = { mobile = { "phone", "手机号" }, name = { "姓名" } }, result = { failed_rows = { list = "data.failed", index = ".", from = 2 } },
        file = { part = "file", encoding = "utf-8", bom = true, line_end = "\r\n", header = true, filename = "contacts.csv", type = "text/csv" },
      },
      probe = "none",
    },
    {
      name = "track_events", doc = "Events of contacts, one a line; those that are refused are named by their number.", source = ":100",
      method = "POST", path = "/open/events", auth = "signed", body = "ndjson", response = "json", effect = "append",
      fields = {
        { name = "source", where = "query", required = true, pattern = "identifier", example = "shop", source = ":101" },
        { name = "events", where = "json", type = "array", items = "Contact", required = true, min_items = 1, max_items = 1000, source = ":102" },
      },
      reply = {
        { name = "code", type = "integer", also = { "string" } }, { name = "message" },
        { name = "data", type = "object", open = true, fields = { { name = "failed", type = "array", items = "Refused" } } },
      },
      success = { { path = "code", is = { 0 } } }, present = { "data" }, code = "code", message = "message",
      rows = {
        field = "events", shape = "object", type = "Contact", per_call = 1000, concurrency = 2,
        result = { failed_rows = { list = "data.failed", value = "mobile", field = "mobile", reason = "reason" } },
      },
      probe = "none",
    },
    {
      name = "tag_contact", doc = "Give one contact a label.", source = ":90",
      method = "POST", path = "/open/labels", auth = "sorted", body = "form", response = "json", effect = "idempotent",
      fields = {
        { name = "mobile", where = "form", required = true, pattern = "mobile_cn", redact = "phone", source = ":91" },
        { name = "label", where = "form", required = true, max_length = 20, example = "VIP & 老客户", source = ":92" },
        { name = "note", where = "form", source = ":93" },
      },
      reply = { { name = "code", type = "integer", also = { "string" } }, { name = "message" } },
      success = { { path = "code", is = { 0 } } }, code = "code", message = "message",
    },
  },
}

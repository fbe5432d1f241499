-- SPDX-License-Identifier: MIT
-- Courier, an invented vendor of short messages, described as docs/add-a-platform.md explains. Facts only.

return {
  name = "courier",
  title = "Courier: short messages (an invented vendor)",
  doc = "Messages go to up to 500 recipients a call; a message is delivered later, and its state can be asked for.",
  source = "courier-api.txt",
  zone = "+08:00",

  account = {
    { name = "base_url", required = true, type = "url", doc = "https address of the API" },
    { name = "token", required = true, secret = true, doc = "API key, sent as X-Courier-Key" },
    { name = "sender", fills = "sender", doc = "name that recipients see" },
  },

  auth = { key = { kind = "header", header = "X-Courier-Key", key = "token" } },

  windows = { quiet = { from = "22:00:00", to = "23:59:59", doc = "no messages late in the evening", source = ":12" } },

  enums = {
    channel = { { "SMS", "short message" }, { "VOICE", "spoken by a robot" } },
    state = { open = true, { "QUEUED", "waits" }, { "DELIVERED", "was delivered" }, { "FAILED", "was not delivered" } },
  },

  types = {
    Recipient = {
      doc = "one person", source = ":31",
      fields = {
        { name = "phone", required = true, pattern = "mobile_cn", redact = "phone", source = ":32" },
        { name = "name", max_length = 40, redact = true, source = ":33" },
      },
    },
    Message = {
      doc = "a message and what became of it", open = true, source = ":50",
      fields = {
        { name = "id", type = "int64", example = "1790000000000001" },
        { name = "state", enum = "state" },
        { name = "delivered", type = "integer", doc = "recipients reached so far" },
      },
    },
  },

  waiters = {
    message_delivered = { operation = "get_message", success = { { path = "state", is = { "DELIVERED" } } },
      failure = { { path = "state", is = { "FAILED" } } }, delay = 1, max_delay = 30, timeout = 3600, doc = "until a message was delivered" },
  },

  operations = {
    {
      name = "send_message", doc = "Send one text to many recipients.", source = ":20",
      method = "POST", path = "/v1/messages", auth = "key", body = "json", response = "json", effect = "create",
      window = "quiet",
      fields = {
        { name = "sender", where = "json", required = true, max_length = 11, example = "Demo", source = ":24" },
        { name = "channel", where = "json", enum = "channel", default = "SMS", source = ":25" },
        { name = "text", where = "json", required = true, max_length = 300, example = "Your order is ready.", source = ":26" },
        { name = "recipients", where = "json", type = "array", items = "Recipient", required = true, min_items = 1, max_items = 500,
          source = ":30" },
      },
      reply = "Message", present = { "id", "state" }, code = "code", message = "message",
      refusals = { { code = 400, reason = "bad_parameter" }, { code = 401, reason = "unauthorized", kind = "auth" } },
      rows = {
        field = "recipients", shape = "object", type = "Recipient", per_call = 500, concurrency = 4,
        aliases = { phone = { "mobile" }, name = { "recipient" } }, result = { accepted = "pending", id = "id" },
      },
      probe = "none",
    },
    {
      name = "get_message", doc = "Read what became of a message.", source = ":48",
      method = "GET", path = "/v1/messages/{id}", auth = "key", body = "none", response = "json", effect = "safe",
      fields = { { name = "id", where = "path", type = "int64", min = 1, required = true, doc = "id of the message" } },
      reply = "Message", present = { "id", "state" }, code = "code", message = "message",
    },
    {
      name = "list_messages", doc = "List messages, the newest first.", source = ":60",
      method = "GET", path = "/v1/messages", auth = "key", body = "none", response = "json", effect = "safe",
      fields = {
        { name = "state", where = "query", enum = "state" },
        { name = "page", where = "query", type = "integer", min = 0 },
        { name = "size", where = "query", type = "integer", min = 1, max = 100 },
      },
      reply = { { name = "items", type = "array", items = "Message" }, { name = "total", type = "integer" } },
      present = { "items" }, code = "code", message = "message",
      pages = { page = "page", size = "size", list = "items", total = "total", default_size = 100 },
    },
  },
}

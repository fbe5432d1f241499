-- SPDX-License-Identifier: MIT
-- Longlonglong AI calls: the customer pool. Contract: docs/contracts/longlong.md. Facts only; the vocabulary is docs/platform-format.md.

return {
  name = "longlong",
  title = "Longlonglong AI calls: customer pool (客户公海)",
  doc = "Rows of name, phone, company, grade and custom components go into a user's customer pool, 200 a call; the result comes later.",
  source = "003_53bb51a09a62e83d.txt",
  zone = "+08:00",

  account = {
    { name = "base_url", required = true, type = "url", doc = "https address of the platform; no host is shipped" },
    { name = "token", required = true, secret = true, doc = "bearer token" },
    { name = "user_id", fills = "user_id", doc = "user whose pool is filled" },
    { name = "sub_user_id", fills = "sub_user_id", doc = "act for this sub-account" },
  },

  auth = { bearer = { kind = "bearer", key = "token" } },

  limits = { concurrency = 16, keep_alive = 5 },

  not_applied = { { status = { 400 } } },

  enums = {
    sex = { { 0, "unknown (未知)" }, { 1, "male (男)" }, { 2, "female (女)" } },
  },

  types = {
    Component = {
      doc = "a custom field of the pool template", source = ":54",
      fields = {
        { name = "id", required = true, doc = "component id from the pool template (公海创建模板)", source = ":56" },
        { name = "value", type = "string", required = true, redact = true, doc = "value to store, sent as text", source = ":57" },
      },
    },
    Customer = {
      doc = "one row of the pool", source = ":23",
      fields = {
        { name = "name", redact = true, doc = "contact name (联系人名称)", source = ":24" },
        { name = "phone", required = true, redact = "phone", doc = "number; may be cipher text", source = ":25" },
        { name = "email", redact = true, source = ":26" },
        { name = "company", redact = true, doc = "company; may be cipher text", source = ":27" },
        { name = "sex", type = "integer", enum = "sex", source = ":28" },
        { name = "sort", type = "integer", doc = "sort order", source = ":29" },
        { name = "source_id", type = "integer", doc = "information source id", source = ":30" },
        { name = "industry_id", type = "integer", doc = "industry id", source = ":31" },
        { name = "grade_id", type = "integer", doc = "customer grade id", source = ":32" },
        { name = "components", type = "array", items = "Component", doc = "custom fields", source = ":33" },
        { name = "extra", doc = "the caller's own mark, handed back", source = ":34" },
      },
    },
  },

  callbacks = {
    import_result = {
      operation = "import_customers_async", doc = "PROPOSED: the document does not show the form; every body is kept as it came",
      id = "unique_id", total = "total", success = "success", fail = "fail",
      rows = "rows", index = "index", mark = "extra", ok = "ok", reason = "reason",
    },
  },

  operations = {
    {
      name = "import_customers_async",
      doc = "Import up to 200 customers into the shared pool; the outcome comes by callback.",
      source = ":7",
      method = "POST", path = "/agent-api/user/{user_id}/async_customer",
      auth = "bearer", body = "json", response = "json", effect = "append",
      fields = {
        { name = "user_id", where = "path", required = true, example = "42", doc = "user id", source = ":13" },
        { name = "data", where = "json", type = "array", items = "Customer", required = true, min_items = 1, max_items = 200,
          source = ":19" },
        { name = "encryption", where = "json", type = "boolean", default = false,
          doc = "phone and company in this request are encrypted already", source = ":36" },
        { name = "sub_user_id", where = "json", min_length = 1, doc = "act for this sub-account", source = ":35" },
      },
      reply = {
        { name = "code", type = "integer", source = ":289" },
        { name = "status", type = "string", source = ":290" },
        { name = "message", type = "string", source = ":291" },
        { name = "data", type = "object", open = true, source = ":292",
          fields = { { name = "unique_id", type = "string", doc = "batch number of the callback", source = ":293" } } },
      },
      present = { "code", "status", "data.unique_id" },
      code = "code", message = "message",
      success = { { path = "code", is = { 200 } }, { path = "status", is = { "success" } } },
      refusals = {
        { code = 400, reason = "bad_parameter" },
        { code = 401, reason = "unauthorized", kind = "auth" },
        { code = 403, reason = "forbidden", kind = "auth" },
        { code = 404, reason = "not_found" },
        { code = 500, reason = "server_error", applied = "maybe" },
      },
      rows = {
        field = "data", shape = "object", type = "Customer", per_call = 200, per_call_max = 200, concurrency = 16, all_or_nothing = true, mark = "extra",
        aliases = {
          name = { "姓名", "联系人", "联系人姓名", "联系人名称", "名字" },
          phone = { "手机号", "手机", "电话", "手机号码", "联系电话", "号码", "mobile" },
          email = { "邮箱", "电子邮箱", "邮件" },
          company = { "公司", "企业", "公司名称", "单位" },
          sex = { "性别", "gender" },
          grade_id = { "客户等级", "等级" },
          extra = { "标记", "外部编号" },
        },
        result = { accepted = "pending", id = "data.unique_id" },
      },
      probe = "none",
    },
  },
}

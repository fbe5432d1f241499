-- SPDX-License-Identifier: MIT
-- The outbound-call contact platform. Contract: docs/contracts/outbound.md. Facts only; the vocabulary is docs/platform-format.md.

return {
  name = "outbound",
  title = "outbound-call contact platform (任务联系人管理)",
  doc = "Robots and agents dial customers. Call tasks take contacts from named data sources; do-not-call (DNC) sources filter them.",
  source = "000_84440ca7c8efd69b.txt",
  zone = "+08:00",

  account = {
    { name = "base_url", required = true, type = "url", doc = "https address of the platform; no host is shipped" },
    { name = "token", required = true, secret = true, doc = "access token" },
    { name = "abbreviate", fills = "abbreviate", doc = "short name of the enterprise (企业缩写)" },
    { name = "company_id", fills = "companyId", type = "integer", doc = "id of the enterprise, an optional extra" },
    { name = "success_codes", type = "list", doc = "codes that mean success; the document does not state them" },
  },

  auth = {
    ["form:token"] = { kind = "form", field = "token", key = "token" },
    ["header:token"] = { kind = "header", header = "token", key = "token" },
  },

  limits = { concurrency = 1, keep_alive = 5 },

  windows = {
    night = {
      from = "00:00:00", to = "02:00:00", source = ":10",
      doc = "nothing may be uploaded at night (每天凌晨0点到2点,不能操作上传)",
    },
  },

  enums = {
    operation_type = {
      { "0", "append (追加)" },
      { "1", "overwrite (覆盖): replaces all rows; refused while a task runs, is paused or completed, or starts within 30 minutes" },
    },
    task_data_source = { { "0", "task data source (default)" } },
    dnc_data_source = { { "1", "DNC data source (default)" } },
    group_kind = { open = true, { 0, "task data source (datasource数据源)" }, { 1, "DNC data source (过滤号码数据源)" } },
    column_mandatory = { open = true, { 0, "optional (PROPOSED)" }, { 1, "mandatory (PROPOSED)" } },
  },

  types = {
    Answer = {
      doc = "the reply of every upload", open = true,
      fields = {
        { name = "code", type = "integer", doc = "return code (返回码)", source = ":26" },
        { name = "msg", type = "string", doc = "return text (返回说明)", source = ":27" },
      },
    },
    Column = {
      doc = "a field of a contact group", open = true,
      fields = {
        { name = "id", type = "integer", source = ":162" },
        { name = "name", type = "string", doc = "field name", source = ":163" },
        { name = "type1", type = "integer", enum = "column_mandatory", doc = "whether the field is mandatory", source = ":164" },
        { name = "type2", type = "string", doc = "field type, an open set", source = ":165" },
        { name = "length", type = "integer", doc = "most characters of a value (a hint)", source = ":166" },
      },
    },
    ContactGroup = {
      doc = "a data source with its columns", open = true,
      fields = {
        { name = "companyId", type = "integer", source = ":153" },
        { name = "abbreviate", type = "string", source = ":154" },
        { name = "id", type = "integer", doc = "contact group id", source = ":155" },
        { name = "type", type = "integer", enum = "group_kind", doc = "kind of the group", source = ":156" },
        { name = "groupName", type = "string", source = ":157" },
        { name = "total", type = "integer", doc = "number of contacts", source = ":158" },
        { name = "utime", type = "integer", doc = "update time as sent; campaign.instant reads it", source = ":159" },
        { name = "dataSourceName", type = "string", doc = "the name that uploads use", source = ":160" },
        { name = "customFields", type = "array", items = "Column", or_empty = true, doc = "the columns, in order", source = ":161" },
      },
    },
  },

  waiters = {
    contact_group_updated = {
      operation = "get_contact_group_detail", doc = "until an upload shows: total or update time of the data source differ from before",
      list = "data", match = { dataSourceName = "dataSourceName" }, changed = { "total", "utime" },
      delay = 2, max_delay = 30, timeout = 600,
    },
  },

  operations = {
    {
      name = "upload_contacts_file",
      doc = "Upload task contacts from a GBK CSV file; append or overwrite.",
      source = ":4",
      method = "POST", path = "/api/v1/config/openapi/contact/uploadDataSource/v2",
      auth = "form:token", body = "multipart", response = "json", effect = "append",
      filename_mode = "gbk", window = "night",
      destructive = { field = "operationType", is = { "1" } },
      fields = {
        { name = "dataSourceFile", where = "form", type = "file", required = true, content_type = "text/csv",
          doc = "CSV in GBK; a ready file is sent byte for byte", source = ":17" },
        { name = "companyId", where = "form", type = "integer", doc = "enterprise id", source = ":18" },
        { name = "abbreviate", where = "form", required = true, example = "demo", doc = "enterprise short name", source = ":19" },
        { name = "dataSourceName", where = "form", required = true, example = "autumn", doc = "name of the data source to fill", source = ":20" },
        { name = "operationType", where = "form", enum = "operation_type", default = "0",
          doc = "append unless overwrite is named", source = ":21" },
        { name = "dataSourceType", where = "form", enum = "task_data_source", doc = "left out unless given", source = ":22" },
      },
      reply = "Answer", present = { "code" }, code = "code", message = "msg",
      success = { { path = "code", is = { 200, 0 }, setting = "success_codes" } },
      refusals = {
        { code = 400, reason = "bad_parameter" },
        { code = 401, reason = "unauthorized", kind = "auth" },
        { code = 403, reason = "forbidden", kind = "auth" },
        { code = 404, reason = "data_source_not_found" },
        { code = 409, reason = "overwrite_refused",
          hint = "a task on the data source runs, is paused or completed, or starts within 30 minutes: only append is allowed" },
        { code = 423, reason = "closed", kind = "window" },
        { code = 500, reason = "server_error", applied = "maybe" },
      },
      rows = {
        field = "dataSourceFile", shape = "csv", per_file = 100000, concurrency = 1, all_or_nothing = true,
        columns_from = {
          operation = "get_contact_group_detail", list = "data", match = { dataSourceName = "dataSourceName" },
          unless = { path = "type", is = { 1 } }, names = "customFields", name = "name", required = { path = "type1", is = { 1 } },
        },
        aliases = {
          uuid = { "编号", "客户编号", "id", "contact_id" },
          name = { "姓名", "联系人", "联系人姓名", "名字" },
          phone = { "手机号", "手机", "电话", "手机号码", "联系电话", "mobile" },
          company = { "公司", "企业", "公司名称", "单位" },
          email = { "邮箱", "电子邮箱", "邮件" },
        },
        result = { accepted = "all" },
        file = { part = "dataSourceFile", encoding = "gbk", line_end = "\r\n", quote = "minimal", header = true,
          filename = "contacts.csv", type = "text/csv" },
      },
      probe = {
        operation = "get_contact_group_detail", kind = "total", list = "data", match = { dataSourceName = "dataSourceName" },
        unless = { path = "type", is = { 1 } },
        count = "total", marks = { "utime" }, settle = 300,
        doc = "the total before and after; sound with one writer only (settle is PROPOSED: the document sets no time)",
      },
    },
    {
      name = "upload_dnc_file",
      doc = "Upload do-not-call uuids from a GBK CSV file with one column.",
      source = ":30",
      method = "POST", path = "/api/v1/config/openapi/contact/uploadDncDataSource/v2",
      auth = "form:token", body = "multipart", response = "json", effect = "append",
      filename_mode = "gbk",
      fields = {
        { name = "dataSourceFile", where = "form", type = "file", required = true, content_type = "text/csv",
          doc = "CSV in GBK with exactly one column, the uuid; a ready file is sent byte for byte", source = ":39" },
        { name = "companyId", where = "form", type = "integer", doc = "enterprise id", source = ":40" },
        { name = "abbreviate", where = "form", required = true, example = "demo", doc = "enterprise short name", source = ":41" },
        { name = "dataSourceName", where = "form", required = true, example = "do-not-call", doc = "name of the DNC data source", source = ":42" },
        { name = "dataSourceType", where = "form", enum = "dnc_data_source", doc = "left out unless given", source = ":43" },
      },
      reply = "Answer", present = { "code" }, code = "code", message = "msg",
      success = { { path = "code", is = { 200, 0 }, setting = "success_codes" } },
      refusals = {
        { code = 400, reason = "bad_parameter" },
        { code = 401, reason = "unauthorized", kind = "auth" },
        { code = 403, reason = "forbidden", kind = "auth" },
        { code = 404, reason = "data_source_not_found" },
        { code = 500, reason = "server_error", applied = "maybe" },
      },
      rows = {
        field = "dataSourceFile", shape = "csv", per_file = 100000, concurrency = 1, columns = { "uuid" }, once = true, all_or_nothing = true,
        aliases = { uuid = { "编号", "客户编号", "id", "contact_id" } },
        result = { accepted = "all" },
        file = { part = "dataSourceFile", encoding = "gbk", line_end = "\r\n", quote = "minimal", header = true,
          filename = "dnc.csv", type = "text/csv" },
      },
      probe = {
        operation = "get_contact_group_detail", kind = "total", list = "data", match = { dataSourceName = "dataSourceName" },
        unless = { path = "type", is = { 0 } },
        count = "total", marks = { "utime" }, settle = 300,
        doc = "the total before and after; uuids that are already there are not counted again, which then proves nothing",
      },
    },
    {
      name = "upload_contacts_json",
      doc = "Append task contacts from JSON rows; append only.",
      source = ":99",
      method = "POST", path = "/api/v1/config/openapi/contact/batch/json/upload",
      auth = "header:token", body = "json", response = "json", effect = "append",
      window = "night", rules = { "equal_width" },
      fields = {
        { name = "abbreviate", where = "json", required = true, example = "demo", doc = "enterprise short name", source = ":126" },
        { name = "companyId", where = "json", type = "integer", doc = "enterprise id", source = ":127" },
        { name = "dataList", where = "json", type = "array", required = true, min_items = 1, redact = true,
          items = { type = "array", items = { type = "string", example = "c-1" }, min_items = 1 },
          doc = "rows, each a list of texts in the order of the group's customFields; all equally wide", source = ":128" },
        { name = "dataSourceName", where = "json", required = true, example = "autumn", doc = "name of the data source to fill", source = ":131" },
      },
      reply = "Answer", present = { "code" }, code = "code", message = "msg",
      success = { { path = "code", is = { 200, 0 }, setting = "success_codes" } },
      refusals = {
        { code = 400, reason = "bad_parameter" },
        { code = 401, reason = "unauthorized", kind = "auth" },
        { code = 403, reason = "forbidden", kind = "auth" },
        { code = 404, reason = "data_source_not_found" },
        { code = 423, reason = "closed", kind = "window" },
        { code = 500, reason = "server_error", applied = "maybe" },
      },
      rows = {
        field = "dataList", shape = "array", per_call = 1000, concurrency = 1, all_or_nothing = true,
        columns_from = {
          operation = "get_contact_group_detail", list = "data", match = { dataSourceName = "dataSourceName" },
          unless = { path = "type", is = { 1 } }, names = "customFields", name = "name", required = { path = "type1", is = { 1 } },
        },
        aliases = {
          uuid = { "编号", "客户编号", "id", "contact_id" },
          name = { "姓名", "联系人", "联系人姓名", "名字" },
          phone = { "手机号", "手机", "电话", "手机号码", "联系电话", "mobile" },
          company = { "公司", "企业", "公司名称", "单位" },
          email = { "邮箱", "电子邮箱", "邮件" },
        },
        result = { accepted = "all" },
      },
      probe = {
        operation = "get_contact_group_detail", kind = "total", list = "data", match = { dataSourceName = "dataSourceName" },
        unless = { path = "type", is = { 1 } },
        count = "total", marks = { "utime" }, settle = 300,
        doc = "the total before and after; sound with one writer only (settle is PROPOSED: the document sets no time)",
      },
    },
    {
      name = "get_contact_group_detail",
      doc = "List the data sources of the enterprise with their columns.",
      source = ":138",
      method = "GET", path = "/api/v1/config/openapi/contact/contactGroupDetail",
      auth = "header:token", body = "none", response = "json", effect = "safe",
      fields = {
        { name = "abbreviate", where = "query", required = true, example = "demo", doc = "enterprise short name", source = ":147" },
      },
      reply = {
        { name = "msg", type = "string", source = ":150" },
        { name = "code", type = "integer", source = ":151" },
        { name = "data", type = "array", items = "ContactGroup", or_empty = true, doc = "data sources", source = ":152" },
      },
      present = { "code" }, code = "code", message = "msg",
      success = { { path = "code", is = { 200, 0 }, setting = "success_codes" } },
      refusals = {
        { code = 400, reason = "bad_parameter" },
        { code = 401, reason = "unauthorized", kind = "auth" },
        { code = 403, reason = "forbidden", kind = "auth" },
        { code = 500, reason = "server_error", applied = "maybe" },
      },
    },
    {
      name = "upload_dnc_json",
      doc = "Upload do-not-call uuids from JSON.",
      source = ":169",
      method = "POST", path = "/api/v1/config/openapi/dataSource/uploadDnc/json",
      auth = "header:token", body = "json", response = "json", effect = "append",
      fields = {
        { name = "abbreviate", where = "json", required = true, example = "demo", doc = "enterprise short name", source = ":189" },
        { name = "dataList", where = "json", type = "array", required = true, min_items = 1,
          items = { type = "string", min_length = 1, example = "c-1" }, doc = "contact uuids, a flat list", source = ":190" },
        { name = "dataSourceName", where = "json", required = true, example = "do-not-call", doc = "name of the DNC data source", source = ":191" },
      },
      reply = "Answer", present = { "code" }, code = "code", message = "msg",
      success = { { path = "code", is = { 200, 0 }, setting = "success_codes" } },
      refusals = {
        { code = 400, reason = "bad_parameter" },
        { code = 401, reason = "unauthorized", kind = "auth" },
        { code = 403, reason = "forbidden", kind = "auth" },
        { code = 404, reason = "data_source_not_found" },
        { code = 500, reason = "server_error", applied = "maybe" },
      },
      rows = {
        field = "dataList", shape = "value", per_call = 1000, concurrency = 1, columns = { "uuid" }, once = true, all_or_nothing = true,
        aliases = { uuid = { "编号", "客户编号", "id", "contact_id" } },
        result = { accepted = "all" },
      },
      probe = {
        operation = "get_contact_group_detail", kind = "total", list = "data", match = { dataSourceName = "dataSourceName" },
        unless = { path = "type", is = { 0 } },
        count = "total", marks = { "utime" }, settle = 300,
        doc = "the total before and after; uuids that are already there are not counted again, which then proves nothing",
      },
    },
  },
}

-- SPDX-License-Identifier: MIT
-- Tuzhan (兔展) audience groups. Contract: docs/contracts/tuzhan.md. Facts only; the vocabulary is docs/platform-format.md.

return {
  name = "tuzhan",
  title = "Tuzhan audience groups (兔展客户分组)",
  doc = "A company's own customer groups are brought into Tuzhan, which recognises the customers by one of four identities.",
  source = "001_4df16061c51205d3.txt",
  zone = "+08:00",

  account = {
    { name = "base_url", required = true, type = "url", doc = "https address of the platform; no host is shipped" },
    { name = "token", required = true, secret = true, doc = "access token of the self-built app (自建应用访问token)" },
  },

  auth = { ["header:X-Token"] = { kind = "header", header = "X-Token", key = "token" } },

  limits = { concurrency = 16, keep_alive = 5 },

  not_applied = { { status = { 400 } } },

  enums = {
    matching_type = { { 1, "exact (精准匹配)" }, { 2, "fuzzy (模糊匹配)" } },
    identify_way = { { 1, "unionid > openid > phone > customer id" }, { 2, "customer id > phone > openid > unionid" } },
    application = {
      { "gzh", "official account (公众号)" }, { "workwechat", "WeCom (企业微信)" }, { "YOUZAN", "Youzan (有赞)" },
      { "EZR", "EZR (驿客)" }, { "contentminiapp", "mini program (小程序)" },
      { "contenthome", "mini program home page (小程序首页)" },
    },
    opt_type = { { "add", "add (新增)" }, { "update", "update (更新)" }, { "delete", "delete (删除)" } },
    identity_type = {
      { "phone", "mobile number (手机号码)" }, { "thirdId", "customer id (客户ID)" },
      { "openid", "official-account openid" }, { "unionid", "open-platform unionid" },
    },
    import_status = {
      { -1, "failed (失败)" }, { 0, "in progress (进行中)" }, { 1, "succeeded (成功)" }, { 2, "partly imported (部分导入成功)" },
      open = true,
    },
  },

  types = {
    PublicParams = {
      doc = "settings of the import (客户关联分组导入配置)", source = ":18",
      fields = {
        { name = "isMatching", type = "boolean", required = true, doc = "whether to match customers", source = ":21" },
        { name = "matchingType", type = "integer", enum = "matching_type", required_if = { field = "isMatching", is = { true } }, example = 2,
          only_if = { field = "isMatching", is = { true } }, source = ":22" },
        { name = "identifyWay", type = "integer", enum = "identify_way", required_if = { field = "matchingType", is = { 2 } },
          only_if = { field = "matchingType", is = { 2 } }, doc = "order in which identities are tried", source = ":23" },
        { name = "accurateMatchType", enum = "application", only_if = { field = "matchingType", is = { 1 } },
          required_if = { field = "accurateMatchValue", given = true }, doc = "application for exact matching", source = ":24" },
        { name = "accurateMatchValue", only_if = { field = "matchingType", is = { 1 } }, min_length = 1,
          required_if = { field = "accurateMatchType", given = true }, doc = "id of that application", source = ":25" },
        { name = "optType", enum = "opt_type", required = true, doc = "add, update or delete; there is no default", source = ":26" },
      },
    },
    Relation = {
      doc = "one customer and the groups (客户关联分组)", source = ":27",
      fields = {
        { name = "identityType", enum = "identity_type", required_if = { field = "/publicParams.matchingType", is = { 1 } },
          doc = "which identity of this row is used in exact matching", source = ":30" },
        { name = "thirdId", any_of = "identity", redact = true, example = "c-1", doc = "customer id (客户ID)", source = ":31" },
        { name = "openid", any_of = "identity", redact = true, doc = "official-account openid", source = ":32" },
        { name = "unionid", any_of = "identity", redact = true, doc = "open-platform unionid", source = ":33" },
        { name = "phone", any_of = "identity", redact = "phone", doc = "mobile number", source = ":34" },
        { name = "groups", type = "array", items = { type = "string", min_length = 1, not_blank = true, forbid = ",，", example = "VIP" },
          join = ",", required = true, min_items = 1, doc = "names of the groups", source = ":35" },
      },
    },
    FailedRelation = {
      doc = "a row that was not imported, as the platform gives it back", open = true,
      fields = {
        { name = "identityType", type = "string" },
        { name = "thirdId", type = "string", redact = true },
        { name = "openid", type = "string", redact = true },
        { name = "unionid", type = "string", redact = true },
        { name = "phone", type = "string", redact = "phone" },
        { name = "groups", type = "string" },
      },
    },
    ImportResult = {
      doc = "result of the import", open = true, source = ":56",
      fields = {
        { name = "status", type = "integer", enum = "import_status" },
        { name = "message", type = "string" },
        { name = "importSuccessNum", type = "integer" },
        { name = "importFailNum", type = "integer" },
        { name = "errorData", type = "array", items = "FailedRelation", or_empty = true, doc = "the rows that failed" },
      },
    },
  },

  operations = {
    {
      name = "batch_add_group_relations",
      doc = "Add, update or delete which groups customers belong to.",
      source = ":3",
      method = "POST", path = "/api/integrate/audience/group/rel/batchAdd",
      auth = "header:X-Token", body = "json", response = "json", effect = "update",
      rules = { "filled_identity" },
      fields = {
        { name = "publicParams", where = "json", type = "object", shape = "PublicParams", required = true, source = ":16" },
        { name = "data", where = "json", type = "array", items = "Relation", required = true, min_items = 1, source = ":17" },
      },
      reply = {
        { name = "code", type = "string", also = { "integer" }, doc = "status code as text", source = ":52" },
        { name = "errorCode", type = "string", doc = "SUCCESS, or the kind of failure", source = ":53" },
        { name = "msg", type = "string", source = ":54" },
        { name = "data", type = "object", shape = "ImportResult", source = ":55" },
      },
      present = { "code", "data", "data.status", "data.importSuccessNum", "data.importFailNum" },
      code = { "code", "errorCode" }, message = "msg",
      success = {
        { status = { 200, 201 } },
        { path = "code", is = { "200" } },
        { path = "errorCode", is = { "SUCCESS" }, or_absent = true },
      },
      refusals = {
        { code = "PARAM_ERROR", reason = "bad_parameter" },
        { code = "UNAUTHORIZED", reason = "unauthorized", kind = "auth" },
        { code = "FORBIDDEN", reason = "forbidden", kind = "auth" },
        { code = "NOT_FOUND", reason = "not_found" },
        { code = "SYSTEM_ERROR", reason = "server_error", applied = "maybe" },
      },
      rows = {
        field = "data", shape = "object", type = "Relation", per_call = 500, concurrency = 16, all_or_nothing = true, named_by = "identityType",
        aliases = {
          identityType = { "身份类型", "识别类型" },
          thirdId = { "客户ID", "客户编号", "customer_id", "uuid", "编号" },
          openid = { "公众号openid" },
          unionid = { "开放平台unionid" },
          phone = { "手机号", "手机", "电话", "手机号码", "联系电话", "mobile" },
          groups = { "分组", "客户分组", "标签", "group", "tags" },
        },
        result = {
          success_count = "data.importSuccessNum", fail_count = "data.importFailNum", failed_rows = "data.errorData",
          status = "data.status", message = "data.message",
          pending_status = { 0 }, success_status = { 1 }, partly_status = { 2 }, failed_status = { -1 },
        },
      },
      probe = "none",
    },
  },
}

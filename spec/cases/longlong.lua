-- SPDX-License-Identifier: MIT
-- Literal cases of longlong: docs/contracts/longlong.md, sections 2.1 and 4.

local FIELDS = {
  user_id = "5832d184-dd53-42a0-8ace-0bf8d660f4cc",
  data = {
    {
      name = "联系人1", phone = "13012121211", company = "xxx公司", email = "12345@qq.com", sex = 0, sort = 0, source_id = 1,
      industry_id = 2, grade_id = 1, extra = "0c51fc89-f6cf-405b-bb36-2c06900c3b5e",
      components = { { id = "72544970-6cd6-44fd-8fd5-20b625bcbcf4", value = "小牛" } },
    },
  },
}

return {
  account = { token = "B-1" },
  {
    operation = "import_customers_async",
    fields = FIELDS,
    request = "POST /agent-api/user/5832d184-dd53-42a0-8ace-0bf8d660f4cc/async_customer\n"
      .. "Authorization: Bearer B-1\nContent-Type: application/json\n\n"
      .. '{"data":[{"name":"联系人1","phone":"13012121211","email":"12345@qq.com","company":"xxx公司","sex":0,"sort":0,"source_id":1,'
      .. '"industry_id":2,"grade_id":1,"components":[{"id":"72544970-6cd6-44fd-8fd5-20b625bcbcf4","value":"小牛"}],'
      .. '"extra":"0c51fc89-f6cf-405b-bb36-2c06900c3b5e"}],"encryption":false}',
    reply = [[
{
  "code": 200,
  "status": "success",
  "message": "客户公海导入信息请在回调中查收",
  "data": {"unique_id": "afba23d9-4fd8-4dd9-a6b8-3837442abef3"}
}]],
    result = {
      code = 200, status = "success", message = "客户公海导入信息请在回调中查收",
      data = { unique_id = "afba23d9-4fd8-4dd9-a6b8-3837442abef3" },
    },
  },
  refusals = {
    {
      operation = "import_customers_async", fields = FIELDS, status = "400 Bad Request",
      reply = '{"code": 400, "status": "fail", "message": "data: at most 200 rows", "data": null}',
      err = { kind = "http", code = 400, reason = "bad_parameter", sent = "no", status = 400, retry = false },
    },
  },
}

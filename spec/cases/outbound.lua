-- SPDX-License-Identifier: MIT
-- Literal cases of outbound: docs/contracts/outbound.md, sections 2.1 to 2.5.

local ACCEPTED = '{"code": 200, "msg": "success"}'
local PATH = "/api/v1/config/openapi/"

return {
  account = { token = "T-1", abbreviate = "acme" },
  {
    operation = "upload_contacts_file",
    fields = {
      dataSourceFile = { content = "uuid,name\r\nc-0001,Zhang San\r\n", filename = "contacts.csv" }, companyId = 7,
      dataSourceName = "spring-campaign", operationType = "1",
    },
    request = [[
POST ]] .. PATH .. [[contact/uploadDataSource/v2
Content-Type: multipart/form-data; boundary=BOUNDARY

--BOUNDARY
Content-Disposition: form-data; name="companyId"

7
--BOUNDARY
Content-Disposition: form-data; name="abbreviate"

acme
--BOUNDARY
Content-Disposition: form-data; name="dataSourceName"

spring-campaign
--BOUNDARY
Content-Disposition: form-data; name="operationType"

1
--BOUNDARY
Content-Disposition: form-data; name="token"

T-1
--BOUNDARY
Content-Disposition: form-data; name="dataSourceFile"; filename="contacts.csv"
Content-Type: text/csv

uuid,name
c-0001,Zhang San

--BOUNDARY--
]],
    reply = ACCEPTED, result = { code = 200, msg = "success" },
  },
  {
    operation = "upload_dnc_file",
    fields = { dataSourceFile = { content = "uuid\r\nc-0007\r\n", filename = "dnc.csv" }, dataSourceName = "acme-dnc" },
    request = [[
POST ]] .. PATH .. [[contact/uploadDncDataSource/v2
Content-Type: multipart/form-data; boundary=BOUNDARY

--BOUNDARY
Content-Disposition: form-data; name="abbreviate"

acme
--BOUNDARY
Content-Disposition: form-data; name="dataSourceName"

acme-dnc
--BOUNDARY
Content-Disposition: form-data; name="token"

T-1
--BOUNDARY
Content-Disposition: form-data; name="dataSourceFile"; filename="dnc.csv"
Content-Type: text/csv

uuid
c-0007

--BOUNDARY--
]],
    reply = ACCEPTED, result = { code = 200, msg = "success" },
  },
  {
    operation = "upload_contacts_json",
    fields = {
      dataSourceName = "spring-campaign",
      dataList = { { "c-0001", "Zhang San", "13000000001" }, { "c-0002", "Li Si", "13000000002" } },
    },
    request = "POST " .. PATH .. "contact/batch/json/upload\nContent-Type: application/json\ntoken: T-1\n\n"
      .. '{"abbreviate":"acme","dataList":[["c-0001","Zhang San","13000000001"],["c-0002","Li Si","13000000002"]],'
      .. '"dataSourceName":"spring-campaign"}',
    reply = ACCEPTED, result = { code = 200, msg = "success" },
  },
  {
    operation = "get_contact_group_detail",
    fields = {},
    request = "GET " .. PATH .. "contact/contactGroupDetail?abbreviate=acme\ntoken: T-1\n\n",
    reply = [[
{
  "code": 200,
  "msg": "success",
  "data": [
    {
      "companyId": 7, "abbreviate": "acme", "id": 31, "type": 0,
      "groupName": "spring", "total": 2, "utime": 1735689600000,
      "dataSourceName": "spring-campaign",
      "customFields": [
        {"id": 1, "name": "uuid", "type1": 1, "type2": "string", "length": 64},
        {"id": 2, "name": "name", "type1": 0, "type2": "string", "length": 32},
        {"id": 3, "name": "phone", "type1": 1, "type2": "string", "length": 20}
      ]
    }
  ]
}]],
    result = {
      code = 200, msg = "success",
      data = {
        {
          companyId = 7, abbreviate = "acme", id = 31, type = 0, groupName = "spring", total = 2, utime = 1735689600000,
          dataSourceName = "spring-campaign",
          customFields = {
            { id = 1, name = "uuid", type1 = 1, type2 = "string", length = 64 },
            { id = 2, name = "name", type1 = 0, type2 = "string", length = 32 },
            { id = 3, name = "phone", type1 = 1, type2 = "string", length = 20 },
          },
        },
      },
    },
  },
  {
    operation = "upload_dnc_json",
    fields = { dataSourceName = "acme-dnc", dataList = { "c-0007", "c-0009" } },
    request = "POST " .. PATH .. "dataSource/uploadDnc/json\nContent-Type: application/json\ntoken: T-1\n\n"
      .. '{"abbreviate":"acme","dataList":["c-0007","c-0009"],"dataSourceName":"acme-dnc"}',
    reply = ACCEPTED, result = { code = 200, msg = "success" },
  },
  refusals = {
    {
      operation = "upload_dnc_json", fields = { dataSourceName = "acme-dnc", dataList = { "c-0007" } },
      reply = '{"code": 404, "msg": "data source not found"}',
      err = { kind = "platform", code = 404, reason = "data_source_not_found", sent = "no", status = 200 },
    },
    {
      operation = "upload_contacts_file", options = { window = "ignore" },
      fields = { dataSourceFile = { content = "uuid\r\n", filename = "c.csv" }, dataSourceName = "spring" },
      reply = '{"code": 423, "msg": "upload closed 00:00-02:00"}',
      err = { kind = "window", code = 423, reason = "closed", sent = "no" },
    },
    {
      operation = "upload_dnc_file", reply = '{"code": 400, "msg": "dataSourceFile: not GBK"}',
      err = { kind = "platform", code = 400, reason = "bad_parameter", sent = "no", status = 200 },
    },
    {
      operation = "upload_contacts_json", options = { window = "ignore" }, reply = '{"code": 400, "msg": "dataList[0]: 1 columns, expected 4"}',
      err = { kind = "platform", code = 400, reason = "bad_parameter", sent = "no", status = 200 },
    },
    {
      operation = "get_contact_group_detail", status = "401 Unauthorized", reply = '{"code": 401, "msg": "invalid token"}',
      err = { kind = "auth", code = 401, sent = "no", status = 401, retry = false },
    },
  },
}

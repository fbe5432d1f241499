-- SPDX-License-Identifier: MIT
-- Literal cases of tuzhan: docs/contracts/tuzhan.md, sections 2.1 and 4.

local FIELDS = {
  publicParams = { isMatching = true, matchingType = 2, identifyWay = 1, optType = "add" },
  data = { { thirdId = "1", groups = { "group1", "group2" } } },
}

return {
  account = { token = "X-1" },
  {
    operation = "batch_add_group_relations",
    fields = FIELDS,
    request = "POST /api/integrate/audience/group/rel/batchAdd\nContent-Type: application/json\nX-Token: X-1\n\n"
      .. '{"publicParams":{"isMatching":true,"matchingType":2,"identifyWay":1,"optType":"add"},'
      .. '"data":[{"thirdId":"1","groups":"group1,group2"}]}',
    reply = [[
{
  "code": "200",
  "errorCode": "SUCCESS",
  "msg": "ok",
  "data": {"importSuccessNum": 1, "message": "成功", "importFailNum": 0, "errorData": null, "status": 1}
}]],
    result = {
      code = "200", errorCode = "SUCCESS", msg = "ok",
      data = { importSuccessNum = 1, message = "成功", importFailNum = 0, errorData = {}, status = 1 },
    },
  },
  refusals = {
    {
      operation = "batch_add_group_relations", fields = FIELDS, status = "401 Unauthorized",
      reply = '{"code": "401", "errorCode": "UNAUTHORIZED", "msg": "invalid X-Token", "data": null}',
      err = { kind = "auth", code = "UNAUTHORIZED", reason = "unauthorized", sent = "no", status = 401, retry = false },
    },
  },
}

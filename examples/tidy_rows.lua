-- SPDX-License-Identifier: MIT
-- A function that looks at each row of examples/data/contacts.csv before it is sent: leaves out those without a phone number and those that
-- sleep, and says in `extra` where a customer came from. docs/map.md says what such a function may do.
--
--   campaign import examples/data/contacts.csv --to longlong.import_customers_async --check phone=mobile_cn --map examples/tidy_rows.lua

return function(row, number)
  if row["手机号"] == "" then
    return nil, "no phone number"
  elseif row["分组"]:find("沉睡客户", 1, true) then
    return nil, "asleep"
  end
  row.email = row["邮箱"]:lower()
  row.extra = row.uuid .. "/" .. number
end

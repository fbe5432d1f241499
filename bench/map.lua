-- SPDX-License-Identifier: MIT
-- What the job "map" of the bench does to each row; the peers do the same to theirs.

return function(row)
  row["邮箱"] = row["邮箱"]:upper()
  row.extra = row.uuid .. "/" .. row["客户等级"]
end

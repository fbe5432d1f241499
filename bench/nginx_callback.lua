-- SPDX-License-Identifier: MIT
-- For wrk: posts callbacks of ROWS results each, every one with a batch number of its own.

local rows = tonumber(os.getenv("ROWS") or 1)
local results = {}
for i = 1, rows do
  results[i] = ('{"index":%d,"extra":"20251110-090000-ab12.%d","ok":true,"reason":""}'):format(i - 1, i)
end
local tail = ('","total":%d,"success":%d,"fail":0,"rows":[%s]}'):format(rows, rows, table.concat(results, ","))
local random = assert(io.open("/dev/urandom", "rb"))
local run = random:read(8):gsub(".", function(byte) return ("%02x"):format(byte:byte()) end)
random:close()
local count = 0

function request() -- luacheck: ignore 111
  count = count + 1
  return wrk.format("POST", nil, nil, '{"unique_id":"' .. run .. "-" .. count .. tail) -- luacheck: ignore 113
end

-- SPDX-License-Identifier: MIT
-- The fault matrix as data: what strikes, where, and what may come of it. Numbers F1 to F37 are those of docs/faults.md. `scenarios` multiplies the
-- faults by kind of request, place in the import, and connection, as far as they apply. Runs nothing.

local M = {}

-- What is imported: 30 rows in three requests of 10. `op` is the recorder's letter; `before`: requests of the same job that come earlier.
M.KINDS = {
  { name = "json-async", op = "L", to = "longlong.import_customers_async", before = 0 },
  { name = "json-sync", op = "T", to = "tuzhan.batch_add_group_relations", before = 0 },
  { name = "json-ordered", op = "J", to = "outbound.upload_contacts_json", before = 1, ordered = true },
  { name = "multipart", op = "U", to = "outbound.upload_contacts_file", before = 1, ordered = true },
  { name = "token", op = "H", to = "hypers.create_notification_task", before = 1, ordered = true },
}

M.PLACES = { { "first", 1 }, { "middle", 2 }, { "last", 3 } }

-- A success that tells the same story in the words of each platform, with a hole for numbers: used for answers that lie.
local function tuzhan(good, bad, status, failed)
  return ('{"code":"200","errorCode":"SUCCESS","msg":"ok","data":{"status":%s,"message":"","importSuccessNum":%s,"importFailNum":%s,"errorData":%s}}')
    :format(status or "1", good, bad, failed or "[]")
end

-- { number, name, order, options }. `rejected` is "any" where the batch is narrowed down to the rows to blame: how many depends on what the pieces
-- are answered. In an order $op, $n, $prev, $connection stand for letter, place, the place before and the number of the
-- connection. Options: doubt "yes" | "no" | "any" (after the run: are the rows of the batch in doubt?); rejected rows; on: kinds; new or reused:
-- only on such connections; not_first; hang: the request is given up after a moment; stops: nothing more is sent in that run.
local F = {}

local function add(number, name, order, options)
  F[#F + 1] = { number = number, name = name, order = order, options = options or {} }
end

add("F1", "nobody-listens", "down $down", { doubt = "no", new = true, calls_off = true })
add("F2", "reset-at-accept", "fault A $connection drop rst", { doubt = "any", new = true })
add("F2", "closed-at-accept", "fault A $connection drop close", { doubt = "any", new = true })
add("F2", "idle-close", "fault $op $prev commit ok-close", { doubt = "no", reused = true, not_first = true })
add("F3", "reset-after-head", "fault $op $n drop rst-head", { doubt = "any" })
add("F3", "reset-in-body", "fault $op $n drop cut 50", { doubt = "any" })
add("F3", "closed-in-body", "fault $op $n drop cut-fin 50", { doubt = "any" })
for _, fate in ipairs({ "commit", "drop" }) do
  add("F4", fate .. "-reset", "fault $op $n " .. fate .. " rst", { doubt = "yes" })
  add("F4", fate .. "-close", "fault $op $n " .. fate .. " close", { doubt = "yes" })
  add("F5", fate .. "-no-answer", "fault $op $n " .. fate .. " hang", { doubt = "yes", hang = true })
  add("F8", fate .. "-500", "fault $op $n " .. fate .. " status 500", { doubt = "yes" })
  add("F9", fate .. "-502", "fault $op $n " .. fate .. " status 502||<html>bad gateway</html>", { doubt = "yes" })
  add("F9", fate .. "-503", "fault $op $n " .. fate .. " status 503|Retry-After: 1", { doubt = "yes" })
  add("F9", fate .. "-504", "fault $op $n " .. fate .. " status 504", { doubt = "yes" })
  add("F6", fate .. "-408", "fault $op $n " .. fate .. " status 408", { doubt = "yes" })
  add("F6", fate .. "-405", "fault $op $n " .. fate .. " status 405", { doubt = "yes" })
  add("F6", fate .. "-418", "fault $op $n " .. fate .. " status 418", { doubt = "yes" })
end
add("F5", "slow-answer", "fault $op $n commit slow 60", { doubt = "no" })
add("F6", "429-seconds", "fault $op $n drop status 429|Retry-After: 2", { doubt = "no" })
add("F6", "429-date", "fault $op $n drop status 429|Retry-After: Mon, 10 Nov 2025 02:00:09 GMT", { doubt = "no" })
for _, code in ipairs({ 403, 404, 413, 415 }) do
  add("F6", tostring(code), "fault $op $n drop status " .. code, { doubt = "no", stops = true })
end
add("F6", "401", "fault $op $n drop status 401", { doubt = "no", stops = true, on = { L = true, T = true, J = true, U = true } })
add("F6", "413-before-the-body", "fault $op $n drop early 413", { doubt = "any" })
add("F7", "429-plain", "fault $op $n drop status 429", { doubt = "no" })
for name, value in pairs({ negative = "-5", absurd = "99999999999999999999", word = "soon" }) do
  add("F7", "429-" .. name, "fault $op $n drop status 429|Retry-After: " .. value, { doubt = "no" })
end
for _, kind in ipairs({ "truncated", "cuthead", "badchunk", "cutchunk", "cut-open", "two-lengths", "garbage", "longer" }) do
  add("F10", kind, "fault $op $n commit " .. kind, { doubt = "yes" })
end
-- An answer too many must not be taken for that to the next request.
add("F10", "two-answers", "fault $op $prev commit two-answers\nfault $op $n drop rst", { doubt = "yes", reused = true, not_first = true })
add("F10", "interim-answers", "fault $op $n commit interim", { doubt = "no" })
for name, text in pairs({ empty = "", words = "thank you", null = "null", list = "[]", number = "200", ["nan"] = '{"code":NaN}',
  ["no-code"] = "{}", ["code-true"] = '{"code":true,"errorCode":true,"id":true}', ["code-list"] = '{"code":[200],"id":[1]}',
  ["latin-1"] = '{"code":"\233"}', ["twice-code"] = '{"code":200,"code":500,"id":1,"id":2}' }) do
  add("F11", name, "fault $op $n commit json " .. (text == "" and " " or text), { doubt = "yes" })
end
add("F11", "deep", "fault $op $n commit deep", { doubt = "yes" })
add("F11", "huge", "fault $op $n commit huge 160", { doubt = "yes" })
for _, fate in ipairs({ "commit", "drop" }) do
  add("F12", fate .. "-unknown-code", "fault $op $n " .. fate .. ' json {"code":"E777","errorCode":"E777","msg":"?"}', { doubt = "yes" })
  add("F12", fate .. "-server-error", "fault $op $n " .. fate .. ' json {"code":500,"errorCode":"SYSTEM_ERROR","msg":"?"}', { doubt = "yes" })
end
add("F12", "refused-in-200", 'fault $op $n drop json {"code":400,"errorCode":"PARAM_ERROR","status":"failed","msg":"bad"}',
  { doubt = "no", rejected = "any", on = { L = true, T = true, J = true, U = true } })
add("F12", "credentials-in-200", 'fault $op $n drop json {"code":401,"errorCode":"UNAUTHORIZED","status":"failed","msg":"no"}',
  { doubt = "no", stops = true, on = { L = true, T = true, J = true, U = true } })
add("F12", "400", "fault $op $n drop status 400", { doubt = "no", rejected = "any", on = { L = true, T = true } })
add("F12", "400-for-ever", "fault $op $n+ drop status 400", { doubt = "no", rejected = "any", on = { L = true, T = true } })
add("F13", "partly", "fault T $n commit partial 3", { doubt = "no", rejected = 3, on = { T = true } })
add("F13", "all-failed", "fault T $n commit partial 10", { doubt = "no", rejected = "any", on = { T = true } })
add("F13", "a-row-of-others", "fault T $n commit alien 3", { doubt = "yes", on = { T = true } })
add("F13", "a-row-not-named", "fault T $n commit short-list 3", { doubt = "yes", on = { T = true } })
for name, text in pairs({
  ["one-less"] = tuzhan("$M", "0"), ["one-more"] = tuzhan("$N", "1"), none = tuzhan("0", "0"), negative = tuzhan("11", "-1"),
  fractional = tuzhan("9.5", "0.5"), words = tuzhan('"ten"', "0"), ["failed-status"] = tuzhan("$N", "0", "-1"),
  ["no-counts"] = '{"code":"200","errorCode":"SUCCESS","msg":"ok","data":{"status":1}}',
  ["list-no-list"] = tuzhan("$M", "1", "2", '"one"'), ["list-of-nothing"] = tuzhan("$M", "1", "2", "[null]"),
}) do
  add("F14", name, "fault T $n commit json " .. text, { doubt = "yes", on = { T = true } })
end
add("F14", "still-working", "fault T $n commit json " .. tuzhan("0", "0", "0"), { doubt = "no", on = { T = true } })
add("F14", "no-receipt", 'fault L $n commit json {"code":200,"status":"success","message":"","data":{}}', { doubt = "yes", on = { L = true } })
add("F35", "window-says-the-platform", 'fault $op $n drop json {"code":423,"msg":"closed"}', { doubt = "no", on = { J = true, U = true } })
-- The access token ends on the way; then the refresh fails in every way, and the password serves.
local H = { H = true }
add("F18", "token-ended", "fault H $n drop expire", { doubt = "no", on = H })
add("F18", "token-refused-for-ever", "fault H $n+ drop expire", { doubt = "no", on = H, stops = true })
for name, fault in pairs({
  ["refresh-lost"] = "commit close", ["refresh-reset"] = "commit rst", ["refresh-never-came"] = "drop close",
  ["refresh-500"] = "commit status 500", ["refresh-truncated"] = "commit truncated", ["refresh-not-json"] = "commit json what",
  ["refresh-without-token"] = 'commit json {"token_type":"bearer","expires_in":7200}',
}) do
  add("F19", name, "fault H $n drop expire\nfault R 1 " .. fault, { doubt = "no", on = H })
end
add("F19", "refresh-no-answer", "fault H $n drop expire\nfault R 1 commit hang", { doubt = "no", on = H, hang = "R" })
add("F19", "refresh-refused", 'fault H $n drop expire\nfault R 1 drop status 400||{"error":"invalid_grant"}', { doubt = "no", on = H })
add("F19", "refresh-and-password-lost", "fault H $n drop expire\nfault R 1 commit close\nfault K 2 commit close", { doubt = "no", on = H })

local function fill(order, values)
  return (order:gsub("%$(%l+)", function(name)
    return values[name]
  end))
end

-- Faults of the questions that an import asks before and after: the columns of the target at the plan, the looks of the wait.
M.POLLS = {
  { "F1", "nobody-listens", "down G $prev" }, { "F3", "reset-after-head", "fault G $n drop rst-head" },
  { "F4", "reset", "fault G $n drop rst" }, { "F4", "close", "fault G $n drop close" }, { "F5", "no-answer", "fault G $n drop hang" },
  { "F7", "429", "fault G $n drop status 429" }, { "F8", "500", "fault G $n drop status 500" }, { "F9", "503", "fault G $n drop status 503" },
  { "F10", "truncated", "fault G $n drop truncated" }, { "F10", "cut-open", "fault G $n drop cut-open" },
  { "F11", "not-json", "fault G $n drop json what" }, { "F11", "huge", "fault G $n drop huge 160" },
  { "F12", "unknown-code", 'fault G $n drop json {"code":777}' },
}

---All scenarios, in a fixed order.
---@return table[] scenarios number, name, kind, place, connection, orders, doubt, rejected, hang, stops
function M.scenarios()
  local list = {}
  table.sort(F, function(left, right)
    local a, b = tonumber(left.number:sub(2)), tonumber(right.number:sub(2))
    return a < b or a == b and left.name < right.name
  end)
  for _, fault in ipairs(F) do
    local options = fault.options
    for _, kind in ipairs(M.KINDS) do
      for _, place in ipairs(M.PLACES) do
        for _, connection in ipairs({ "new", "reused" }) do
          local applies = (not options.on or options.on[kind.op]) and not (options.new and connection == "reused")
            and not (options.reused and connection == "new") and not (options.not_first and place[2] == 1)
          if applies then
            local n = place[2]
            local down = n > 1 and kind.op .. " " .. n - 1 or kind.op == "H" and "K 1" or kind.before == 1 and "G 1" or "W 0"
            list[#list + 1] = {
              number = fault.number, fault = fault.name, kind = kind, place = place[1], n = n, connection = connection,
              orders = (connection == "new" and "close\n" or "")
                .. fill(fault.order, { op = kind.op, n = n, prev = n - 1, connection = kind.before + n, down = down }),
              doubt = options.doubt, rejected = options.rejected or 0, hang = options.hang, stops = options.stops,
            }
          end
        end
      end
    end
  end
  for _, poll in ipairs(M.POLLS) do
    for _, place in ipairs(M.PLACES) do
      for _, connection in ipairs({ "new", "reused" }) do
        list[#list + 1] = {
          number = poll[1], fault = poll[2], kind = { name = "poll", op = "U", to = "outbound.upload_contacts_file", before = 1, poll = true },
          place = place[1], n = place[2], connection = connection, doubt = "no", rejected = 0, hang = poll[2] == "no-answer" and "G",
          orders = (connection == "new" and "close\n" or "") .. fill(poll[3], { n = place[2], prev = place[2] - 1 }),
        }
      end
    end
  end
  -- Several in flight, and faults that stay: doubt is bounded by what was on its way.
  for _, fault in ipairs(F) do
    if fault.order:find("$op $n commit ", 1, true) and not fault.options.hang and fault.options.doubt == "yes" and not fault.options.on then
      for _, kind in ipairs({ M.KINDS[1], M.KINDS[2] }) do
        list[#list + 1] = {
          number = fault.number, fault = fault.name, kind = kind, place = "stays", n = 3, connection = "reused", doubt = "any", rejected = 0,
          rows = 120, concurrency = 4, orders = fill(fault.order, { op = kind.op, n = "3+" }), stops = true,
        }
      end
    end
  end
  for index, scenario in ipairs(list) do
    scenario.index = index
    scenario.name = ("%s %s %s %s %s"):format(scenario.number, scenario.fault, scenario.kind.name, scenario.place, scenario.connection)
  end
  return list
end

return M

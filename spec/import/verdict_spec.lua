-- SPDX-License-Identifier: MIT
-- The verdict on an attempt, as a table over the faults F1 to F19 of the fault model and the answers of all platforms. No network.
-- luacheck: no max line length (one case a line)

local json = require "campaign.json"
local platforms = require "campaign.api.platform"
local verdict = require "campaign.import.run.verdict"

local NAMES = {
  longlong = "import_customers_async", tuzhan = "batch_add_group_relations",
  upload = "upload_contacts_file", json = "upload_contacts_json", hypers = "create_notification_task",
}

local function decide(name, evidence, reply, err)
  local platform = assert(platforms.load((name == "upload" or name == "json") and "outbound" or name))
  return verdict.decide(platform, platform.operations[NAMES[name]], evidence, reply, err)
end

local function whole(status, more)
  local evidence = { sent = "yes", status = status, rows = 200, bytes_sent = 1000, body_bytes = 1000 }
  for key, value in pairs(more or {}) do
    evidence[key] = value
  end
  return evidence
end

local function tuzhan(status, good, bad, failed)
  return { code = "200", errorCode = "SUCCESS", msg = "ok", data = {
    status = status, importSuccessNum = good, importFailNum = bad, errorData = failed or {}, message = "m" } }
end

local LOST = { sent = "maybe", rows = 200, bytes_sent = 1000, body_bytes = 1000 }
local CUT = { sent = "maybe", rows = 200, bytes_sent = 400, body_bytes = 1000 }
local UNSENT = { sent = "no", rows = 200, bytes_sent = 0, body_bytes = 1000 }

-- name, platform, evidence, reply, error, verdict, further fields that must be so
local TABLE = {
  { "F1 a refused connection", "longlong", UNSENT, nil, { kind = "network" }, "not_applied", { again = "soon" } },
  { "F1 a name that does not resolve", "upload", UNSENT, nil, { kind = "network" }, "not_applied", { again = "soon" } },
  { "F1 a failed TLS handshake", "tuzhan", UNSENT, nil, { kind = "tls" }, "not_applied", { again = "soon" } },
  { "F1 a proxy that refuses the login", "longlong", UNSENT, nil, { kind = "auth" }, "not_applied", { stop = true } },
  { "F2 a reset before the first byte", "longlong", UNSENT, nil, { kind = "network" }, "not_applied", { again = "soon" } },
  { "F2 bytes that left though nothing is said to have been sent", "longlong",
    { sent = "no", rows = 200, bytes_sent = 1000, body_bytes = 1000 }, nil, { kind = "network" }, "ambiguous" },
  { "F3 a JSON body of which nobody knows the length", "longlong", { sent = "maybe", rows = 200, bytes_sent = 10 }, nil,
    { kind = "network" }, "ambiguous" },
  { "F3 a JSON body cut short after an answer had begun", "longlong",
    { sent = "maybe", rows = 200, bytes_sent = 400, body_bytes = 1000, status = 200 }, nil, { kind = "network" }, "ambiguous" },
  { "F3 a JSON body cut short", "longlong", CUT, nil, { kind = "network" }, "not_applied", { again = "soon" } },
  { "F3 a multipart body cut short", "upload", CUT, nil, { kind = "network" }, "ambiguous", { cause = "no_answer" } },
  { "F4 a close after the whole body", "longlong", LOST, nil, { kind = "network" }, "ambiguous", { cause = "no_answer" } },
  { "F4 a stopped re-send, whatever the counts say", "longlong",
    { sent = "no", guard = true, rows = 200, bytes_sent = 0, body_bytes = 1000 }, nil, { kind = "network" },
    "ambiguous", { cause = "resend_stopped" } },
  { "F4 a stopped re-send that looks like a cut body", "longlong",
    { sent = "maybe", guard = true, rows = 200, bytes_sent = 0, body_bytes = 1000 }, nil, { kind = "network" },
    "ambiguous", { cause = "resend_stopped" } },
  { "F5 a time-out after the body", "tuzhan", LOST, nil, { kind = "timeout" }, "ambiguous", { cause = "no_answer" } },
  { "F5 a time-out while connecting", "tuzhan", UNSENT, nil, { kind = "timeout" }, "not_applied", { again = "soon" } },
  { "F6 429 with Retry-After", "longlong", whole(429, { retry_after = 7 }), nil, { kind = "throttle" }, "not_applied",
    { again = "throttle", after = 7 } },
  { "F6 429 with a wait beyond all measure", "longlong", whole(429, { retry_after = 1e9 }), nil, { kind = "throttle" },
    "not_applied", { again = "throttle", after = 3600 } },
  { "F6 429 with a negative wait", "longlong", whole(429, { retry_after = -5 }), nil, { kind = "throttle" },
    "not_applied", { again = "throttle", after = false } },
  { "F6 401", "longlong", whole(401), nil, { kind = "auth", code = 401 }, "not_applied", { stop = true, cause = "credentials" } },
  { "F6 403", "tuzhan", whole(403), nil, { kind = "auth", code = "FORBIDDEN" }, "not_applied", { stop = true } },
  { "F6 404", "longlong", whole(404), nil, { kind = "http", code = 404 }, "not_applied", { stop = true } },
  { "F6 404 of a page that is no JSON", "longlong", whole(404), nil, { kind = "response" }, "not_applied", { stop = true } },
  { "F6 413", "longlong", whole(413), nil, { kind = "http" }, "not_applied", { stop = true } },
  { "F6 415", "tuzhan", whole(415), nil, { kind = "http" }, "not_applied", { stop = true } },
  { "F6 405", "longlong", whole(405), nil, { kind = "http" }, "ambiguous", { cause = "unknown_code" } },
  { "F6 a 404 of which the platform's data says that it may have been applied", "longlong", whole(404), nil,
    { kind = "http", code = 500 }, "ambiguous", { cause = "server_error" } },
  { "F6 408", "longlong", whole(408), nil, { kind = "http" }, "ambiguous" },
  { "F6 another 4xx", "upload", whole(418), nil, { kind = "http" }, "ambiguous", { cause = "unknown_code" } },
  { "F7 429 without Retry-After", "tuzhan", whole(429), nil, { kind = "throttle" }, "not_applied", { again = "throttle", after = false } },
  { "F8 500", "longlong", whole(500), nil, { kind = "http", code = 500 }, "ambiguous", { cause = "server_error" } },
  { "F8 500 in the vendor's own code", "json", whole(200), nil, { kind = "platform", code = 500 }, "ambiguous" },
  { "F9 502", "longlong", whole(502), nil, { kind = "http" }, "ambiguous" },
  { "F9 503 where the platform does not promise anything", "longlong", whole(503), nil, { kind = "http" }, "ambiguous" },
  { "F9 504", "tuzhan", whole(504), nil, { kind = "http" }, "ambiguous" },
  { "F10 an answer cut short, status 200", "longlong",
    { sent = "maybe", status = 200, rows = 200, bytes_sent = 1000, body_bytes = 1000 }, nil, { kind = "network" },
    "ambiguous", { cause = "cut_answer" } },
  { "F10 an answer cut short, status 401", "longlong",
    { sent = "maybe", status = 401, rows = 200, bytes_sent = 1000, body_bytes = 1000 }, nil, { kind = "network" }, "ambiguous" },
  { "F11 an answer that is no JSON", "longlong", whole(200), nil, { kind = "response" }, "ambiguous", { cause = "bad_answer" } },
  { "F11 a code of the wrong type", "tuzhan", whole(200), nil, { kind = "response", code = true }, "ambiguous" },
  { "F12 an unknown code", "json", whole(200), nil, { kind = "platform", code = 777 }, "ambiguous", { cause = "unknown_code" } },
  { "F12 an answer of which the platform's data says that nothing was applied", "json", whole(200), nil,
    { kind = "platform", code = 777, sent = "no" }, "rejected" },
  { "F12 a server error of which it does not say so", "json", whole(500), nil, { kind = "http", code = 777, sent = "maybe" }, "ambiguous" },
  { "F12 no code at all", "json", whole(200), nil, { kind = "platform" }, "ambiguous" },
  { "F12 a refusal of the content", "json", whole(200), nil, { kind = "platform", code = 400 }, "rejected" },
  { "F12 a refusal of the content by status", "longlong", whole(400), nil, { kind = "http", code = 400 }, "rejected" },
  { "F12 a refusal of the content by status and word", "tuzhan", whole(400), nil, { kind = "platform", code = "PARAM_ERROR" }, "rejected" },
  { "F12 credentials in the vendor's own code", "json", whole(200), nil, { kind = "auth", code = 401 }, "not_applied",
    { stop = true, cause = "credentials" } },
  { "F12 an unknown data source", "upload", whole(200), nil, { kind = "platform", code = 404 }, "not_applied",
    { stop = true, reason = "data_source_not_found" } },
  { "F12 a refused overwrite", "upload", whole(200), nil, { kind = "platform", code = 409 }, "not_applied",
    { stop = true, reason = "overwrite_refused" } },
  { "F35 the closed hours", "upload", whole(200), nil, { kind = "window", code = 423 }, "not_applied", { again = "window" } },
  { "F13 some rows failed", "tuzhan", whole(200), tuzhan(2, 198, 2, { {}, {} }), nil, "partly" },
  { "F13 all rows failed, listed", "tuzhan", whole(200, { rows = 2 }), tuzhan(-1, 0, 2, { {}, {} }), nil, "rejected" },
  { "F13 all rows failed, not listed", "tuzhan", whole(200), tuzhan(-1, 0, 200), nil, "rejected", { message = "m" } },
  { "F14 fewer accepted than sent", "tuzhan", whole(200), tuzhan(1, 199, 0), nil, "ambiguous", { cause = "counts_disagree" } },
  { "F14 more accepted than sent", "tuzhan", whole(200), tuzhan(1, 201, 0), nil, "ambiguous" },
  { "F14 a negative count", "tuzhan", whole(200), tuzhan(2, 201, -1), nil, "ambiguous" },
  { "F14 half a row", "tuzhan", whole(200), tuzhan(2, 199.5, 0.5), nil, "ambiguous" },
  { "F14 counts that are text", "tuzhan", whole(200), tuzhan(1, "200", "0"), nil, "ambiguous" },
  { "F14 failed rows that are not listed", "tuzhan", whole(200), tuzhan(2, 198, 2, { {} }), nil, "ambiguous" },
  { "F14 listed rows that did not fail", "tuzhan", whole(200), tuzhan(1, 200, 0, { {} }), nil, "ambiguous" },
  { "F14 a status against the counts", "tuzhan", whole(200), tuzhan(-1, 200, 0), nil, "ambiguous" },
  { "F14 all failed under a status of success", "tuzhan", whole(200), tuzhan(1, 0, 200), nil, "ambiguous" },
  { "F14 a status that nobody knows", "tuzhan", whole(200), tuzhan(7, 200, 0), nil, "ambiguous", { cause = "counts_disagree" } },
  { "F14 some failed under a status of success", "tuzhan", whole(200), tuzhan(1, 198, 2, { {}, {} }), nil, "ambiguous" },
  { "F14 none failed under a status of part", "tuzhan", whole(200), tuzhan(2, 200, 0), nil, "ambiguous" },
  { "F14 a result to come that has more rows than were sent", "tuzhan", whole(200), tuzhan(0, 201, 0), nil, "ambiguous" },
  { "F14 a result to come with rows that failed already", "tuzhan", whole(200), tuzhan(0, 0, 3), nil, "ambiguous" },
  { "F14 a count without end", "tuzhan", whole(200), tuzhan(1, math.huge, 0), nil, "ambiguous" },
  { "F14 a count that is no number", "tuzhan", whole(200), tuzhan(1, 0 / 0, 0), nil, "ambiguous" },
  { "F16 a receipt that is empty", "longlong", whole(200), { code = 200, status = "success", data = { unique_id = "" } }, nil,
    "ambiguous", { cause = "bad_answer" } },
  { "F16 a receipt without end", "longlong", whole(200), { code = 200, status = "success", data = { unique_id = ("x"):rep(1025) } }, nil,
    "ambiguous", { cause = "bad_answer" } },
  { "F16 a receipt with a control character", "longlong", whole(200), { code = 200, status = "success", data = { unique_id = "a\0b" } }, nil,
    "ambiguous", { cause = "bad_answer" } },
  { "a full success of counted rows", "tuzhan", whole(201), tuzhan(1, 200, 0), nil, "accepted", { pending = false } },
  { "R125 client a result that comes later", "tuzhan", whole(200), tuzhan(0, 0, 0), nil, "accepted", { pending = true } },
  { "R397 client rows taken over but not imported", "longlong", whole(200),
    { code = 200, status = "success", data = { unique_id = "u-1" } }, nil, "accepted", { pending = true, receipt = "u-1" } },
  { "R399 client a success without its receipt", "longlong", whole(200), { code = 200, status = "success", data = {} }, nil,
    "ambiguous", { cause = "bad_answer" } },
  { "an upload that was taken", "upload", whole(200), { code = 200, msg = "success" }, nil, "accepted", { pending = false } },
  { "a redirect", "longlong", whole(302), nil, { kind = "redirect" }, "ambiguous", { stop = true } },
  { "a request that was cancelled before it left", "longlong", UNSENT, nil, { kind = "cancelled" }, "not_applied", { stop = true, again = false } },
  { "a request that was cancelled on its way", "longlong", LOST, nil, { kind = "cancelled" }, "ambiguous", { cause = "cancelled" } },
  { "a request that could not be made", "longlong", UNSENT, nil, { kind = "invalid" }, "not_applied", { stop = true, again = false } },
  { "F18 a token that has run out", "hypers", whole(401), nil, { kind = "auth" }, "not_applied", { again = "token", stop = false } },
  { "F18 a token that was renewed and refused again", "hypers", whole(401), nil, { kind = "auth", retry = false }, "not_applied",
    { stop = true, again = false } },
  { "F18 a token that nothing renews", "longlong", whole(401), nil, { kind = "auth" }, "not_applied", { stop = true } },
  { "F19 a token that could not be renewed", "longlong", UNSENT, nil, { kind = "auth" }, "not_applied", { stop = true, again = false } },
}

describe("import.verdict", function()
  for _, case in ipairs(TABLE) do
    local name, platform, evidence, reply, err, expected, more = case[1], case[2], case[3], case[4], case[5], case[6], case[7]
    it(name .. " at " .. platform .. ": " .. expected, function()
      local got = decide(platform, evidence, reply, err)
      assert.equal(expected, got.verdict)
      for key, value in pairs(more or {}) do
        assert.equal(value, got[key] or false, key)
      end
    end)
  end

  it("takes nothing for a success that the parser did not take for one", function()
    for status = 100, 599 do
      for _, platform in ipairs({ "longlong", "tuzhan", "upload" }) do
        local got = decide(platform, whole(status), nil, { kind = "http" })
        assert.not_equal("accepted", got.verdict)
        assert.not_equal("partly", got.verdict)
      end
    end
  end)

  it("F14 T11 takes no answer with a value of another kind for a success", function()
    local wrong = { "1", "", "200x", true, false, -1, 1.5, 1e300, {}, { 1 }, { x = 1 }, json.null }
    local fields = { "status", "importSuccessNum", "importFailNum", "errorData" }
    for _, field in ipairs(fields) do
      for _, value in ipairs(wrong) do
        local reply = tuzhan(1, 200, 0)
        reply.data[field] = value
        local got = decide("tuzhan", whole(200), reply)
        -- An empty list, and none at all, both say that no row failed.
        local says_none = field == "errorData" and (value == json.null or type(value) == "table" and next(value) == nil)
        local is_same = field == "status" and value == "1"
        assert.equal((says_none or is_same) and "accepted" or "ambiguous", got.verdict, field .. " " .. tostring(value))
      end
    end
  end)

  it("never sends an ambiguous batch again", function()
    for _, case in ipairs(TABLE) do
      local got = decide(case[2], case[3], case[4], case[5])
      if got.verdict ~= "not_applied" then
        assert.is_nil(got.again)
      end
    end
  end)

  describe("of an answer that lists refused rows with what is wrong with each", function()
    local function judge(result, reply, rows)
      if type(result.failed_rows) == "string" then
        result.failed_rows = { list = result.failed_rows }
      end
      return verdict.success({ rows = { result = result } }, rows or 5, reply)
    end
    local BY_NUMBER = { list = "errors", index = "row", from = 1, reason = "why", code = "code" }

    it("without counts, takes all others for accepted", function()
      local got = judge({ failed_rows = BY_NUMBER }, { errors = { { row = 2, why = "blocked", code = 7 }, { row = "5" } } })
      assert.equal("partly", got.verdict)
      assert.same({ { position = 2, code = "7", message = "blocked" }, { position = 5 } }, got.failed)
      assert.equal("accepted", judge({ failed_rows = BY_NUMBER }, { errors = json.array({}) }).verdict)
    end)

    it("without counts and without the list, decides nothing", function()
      for _, reply in ipairs({ {}, { errors = "none" }, { errors = { row = 1 } }, { errors = json.null } }) do
        assert.equal("ambiguous", judge({ failed_rows = BY_NUMBER }, reply).verdict)
      end
    end)

    it("keeps what is said of each row when all are refused", function()
      local got = judge({ failed_rows = BY_NUMBER, success_count = "ok", fail_count = "bad" }, { ok = 0, bad = 2, errors = { { row = 1 }, { row = 2 } } }, 2)
      assert.equal("partly", got.verdict)
      assert.equal(2, #got.failed)
      assert.equal("rejected", judge({ failed_rows = BY_NUMBER, success_count = "ok", fail_count = "bad" }, { ok = 0, bad = 5 }).verdict)
    end)

    for name, reply in pairs({
      ["a number beyond the rows"] = { errors = { { row = 6 } } }, ["a number before the first"] = { errors = { { row = 0 } } },
      ["one row twice"] = { errors = { { row = 3 }, { row = 3 } } }, ["half a row"] = { errors = { { row = 1.5 } } },
      ["no number"] = { errors = { { why = "x" } } }, ["a number that is text"] = { errors = { { row = "second" } } },
      ["a text that only Lua reads as a number"] = { errors = { { row = "0x2" } } }, ["digits between blanks"] = { errors = { { row = " 2 " } } },
      ["a number without end"] = { errors = { { row = math.huge } } }, ["a row that is none"] = { errors = { 3 } },
      ["more rows than were sent"] = { errors = { { row = 1 }, { row = 2 }, { row = 3 }, { row = 4 }, { row = 5 }, { row = 1 } } },
      ["other counts"] = { ok = 3, bad = 2, errors = { { row = 1 } } },
    }) do
      it("F14 puts it in doubt: " .. name, function()
        local counts = reply.ok and true
        local got = judge({ failed_rows = BY_NUMBER, success_count = counts and "ok", fail_count = counts and "bad" }, reply)
        assert.equal("ambiguous", got.verdict)
        assert.equal("counts_disagree", got.cause)
      end)
    end

    it("reads bare numbers, from 0 or from the line behind the names of a file", function()
      local got = judge({ failed_rows = { list = "bad", index = ".", from = 0 } }, { bad = { 0, 4 } })
      assert.same({ { position = 1 }, { position = 5 } }, got.failed)
      assert.equal("ambiguous", judge({ failed_rows = { list = "bad", index = ".", from = 2 } }, { bad = { 1 } }).verdict)
    end)

    it("goes by a status alone only where it speaks of all rows", function()
      local how = { status = "state", success_status = { "done" }, failed_status = { "failed" }, partly_status = { "some" }, pending_status = { "later" } }
      for state, expected in pairs({ done = "accepted", failed = "rejected", some = "ambiguous", later = "accepted", new = "ambiguous" }) do
        local got = judge(how, { state = state })
        assert.equal(expected, got.verdict, state)
        assert.equal(state == "later" or nil, got.pending)
      end
      assert.equal("ambiguous", judge(how, {}).verdict)
    end)

    it("goes by counts alone where all rows had one fate", function()
      local how = { success_count = "ok", fail_count = "bad" }
      assert.equal("accepted", judge(how, { ok = 5, bad = 0 }).verdict)
      assert.equal("rejected", judge(how, { ok = 0, bad = 5 }).verdict)
      assert.equal("ambiguous", judge(how, { ok = 4, bad = 1 }).verdict)
    end)
  end)
end)

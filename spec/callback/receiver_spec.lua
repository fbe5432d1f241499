-- SPDX-License-Identifier: MIT
-- The receiver of callbacks without a server: who gets in, what is kept, what counts, what is joined, and where the bounds are.

local callback = require "campaign.callback"
local campaign = require "campaign"
local command = require "support.command"
local fake = require "support.fake"
local inbox_module = require "campaign.callback.inbox"
local json = require "campaign.json"
local signature = require "campaign.callback.signature"
local system = require("campaign.core").system

local SECRET = "b7c1d2e3f4a5968778695a4b3c2d1e0f"

local function body(id, rows, more)
  local value = { unique_id = id, total = #rows, success = 0, fail = 0, rows = json.array(rows) }
  for key, inner in pairs(more or {}) do
    value[key] = inner
  end
  return assert(json.encode(value))
end

local GOOD = body("u-1", { { index = 0, extra = "j.1", ok = true, reason = "" }, { index = 1, extra = "j.2", ok = false, reason = "bad" } })

describe("callback", function()
  local folder, env
  before_each(function()
    folder = command.folder()
    env = fake.env()
  end)
  after_each(function() command.remove(folder) end)

  local function open(more)
    local options = { platform = "longlong", secret = SECRET, store = folder .. "/store", env = env }
    for key, value in pairs(more or {}) do
      options[key] = value
    end
    return callback.new(options)
  end

  local function post(receiver, text, more)
    local request = { method = "POST", path = "/" .. SECRET, headers = { ["content-length"] = tostring(#text) }, body = text }
    for key, value in pairs(more or {}) do
      request[key] = value
    end
    return receiver:handle(request)
  end

  local function count_bodies()
    return #assert(inbox_module.open(folder .. "/store", {})):list()
  end

  it("receives into no folder that others can change, and reads the results in one whoever it belongs to", function()
    post(assert(open()), GOOD)
    os.execute("chmod 777 " .. folder .. "/store")
    local receiver, err = open()
    assert.is_nil(receiver)
    assert.truthy(tostring(err):find("every user may write into the folder", 1, true), tostring(err))
    assert(assert(callback.reader{ platform = "longlong", store = folder .. "/store" }):result("u-1"))
  end)

  it("keeps a body before it answers 200, in private files", function()
    local receiver = assert(open())
    local answer, kind = post(receiver, GOOD)
    assert.same({ 200, "first", false }, { answer.status, kind, answer.close })
    local entry = receiver.inbox:list()[1]
    assert.equal(GOOD, command.read(folder .. "/store/inbox.log"):sub(entry.at + 1, entry.at + entry.bytes))
    assert.equal(GOOD, receiver.inbox:text(entry))
    for _, path in ipairs{ "/store/inbox.log", "/store/lock" } do
      assert.equal(384, system.stat(folder .. path).mode % 512)
    end
    assert(callback == require("campaign.callback") and campaign.callback.new == callback.new)
  end)

  it("changes nothing for the same body a hundred times, and lists another one as a conflict", function()
    local receiver = assert(open())
    for number = 1, 100 do
      local answer, kind = post(receiver, GOOD)
      assert.same({ 200, number == 1 and "first" or "duplicate" }, { answer.status, kind })
      env.time = env.time + 1
    end
    assert.equal(1, count_bodies())
    assert.same({ 200, "repeat" }, { (post(receiver, " " .. GOOD)).status, select(2, post(receiver, "  " .. GOOD)) })
    assert.same({}, receiver:conflicts())
    assert.is_false(receiver:result("u-1").conflict)
    local changed = body("u-1", { { index = 0, extra = "j.1", ok = false, reason = "x" } })
    assert.equal("conflict", select(2, post(receiver, changed)))
    assert.equal("duplicate", select(2, post(receiver, changed)))
    local result = receiver:result("u-1")
    assert.is_true(result.conflict)
    assert.equal(2, #result.rows)
    assert.equal("u-1", receiver:conflicts()[1].id)
    local again = assert(open())
    assert.is_true(again:result("u-1").conflict)
    assert.equal(1, #again:conflicts())
  end)

  it("takes a result for the same when only what nobody reads of it differs, or the order of its rows", function()
    local receiver = assert(open())
    local first, second = '{"index":0,"extra":"j.1","ok":true,"reason":""}', '{"index":1,"extra":"j.2","ok":false,"reason":"bad"}'
    local function text(rows, more)
      return ('{"unique_id":"u-1","total":2,"success":1,"fail":1,"rows":[%s]%s}'):format(rows, more or "")
    end
    assert.equal("first", select(2, post(receiver, text(first .. "," .. second, ',"time":"10:00:00"'))))
    for _, again in ipairs{
      text(first .. "," .. second, ',"time":"10:00:07","try":2'), text(second .. "," .. first),
      text('{"index":"0","extra":"j.1","ok":true,"reason":"","id":7},' .. second), (text(first .. "," .. second):gsub('"total":2', '"total":"2"')),
    } do
      assert.equal("repeat", select(2, post(receiver, again)))
    end
    assert.is_false(receiver:result("u-1").conflict)
    for _, other in ipairs{
      text(first .. "," .. second:gsub("false", "true")), text(first .. "," .. second:gsub("bad", "worse")), text(first), text(first .. "," .. first),
      text(first .. "," .. second:gsub("j%.2", "j.3")), text(first .. "," .. second:gsub("1", "2", 1)), text(first .. "," .. second .. ",{}"),
      (text(first .. "," .. second):gsub('"fail":1', '"fail":2')), text(""), '{"unique_id":"u-1"}', '{"unique_id":"u-1","rows":{}}',
    } do
      assert.same({ "conflict", other }, { select(2, post(receiver, other)), other })
    end
    local other = assert(open()) -- of another process
    local early, late = (text(first .. "," .. second):gsub("u%-1", "u-3")), (text(second .. "," .. first, ',"try":2'):gsub("u%-1", "u-3"))
    assert.equal("first", select(2, post(other, early)))
    assert.equal("repeat", select(2, post(receiver, late)))
    early, late = early:gsub("u%-3", "u-4"), late:gsub("u%-3", "u-4")
    local item = inbox_module.item
    assert.same({ "first", "repeat", "conflict", "repeat" }, receiver.inbox:put_all{ item(early, "u-4", "1", 1), item(late, "u-4", "2", 1),
      item((late:gsub("bad", "worse")), "u-4", "3", 1), item(late .. " ", "u-4", "4", 1) })
    for _, more in ipairs{ '"result":"%s"', '"rows":[{"index":0,"ok":"%s"}]', '"rows":[null],"x":"%s"' } do -- no outcome: all of it counts
      local id = more:gsub("%W", "")
      assert.equal("first", select(2, post(receiver, '{"unique_id":"' .. id .. '",' .. more:format("good") .. "}")))
      assert.equal("repeat", select(2, post(receiver, '{' .. more:format("good") .. ', "unique_id":"' .. id .. '"}')))
      assert.equal("conflict", select(2, post(receiver, '{"unique_id":"' .. id .. '",' .. more:format("bad") .. "}")))
    end
  end)

  it("refuses forged paths, and keeps nothing of them", function()
    local receiver = assert(open())
    local paths = { "/", "", "/" .. SECRET .. "0", "/" .. SECRET:sub(1, -2), "/x/" .. SECRET, "//" .. SECRET, "/" .. SECRET:upper(), SECRET }
    for number = 1, 1000 do
      paths[#paths + 1] = "/" .. callback.new_secret() .. number
    end
    for _, path in ipairs(paths) do
      local answer, kind = post(receiver, GOOD, { path = path, body = function() error("the body was read") end })
      assert.same({ 404, true }, { answer.status, answer.close })
      assert.is_nil(kind)
    end
    assert.equal(0, count_bodies())
    assert.equal(200, (post(receiver, GOOD, { path = "/" .. SECRET .. "?x=1" })).status)
    assert.is_nil(tostring(receiver):find(SECRET, 1, true))
  end)

  it("answers every method but POST with 405 and closes, unread", function()
    local receiver = assert(open())
    for _, method in ipairs{ "GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "post" } do
      local answer = post(receiver, GOOD, { method = method, body = function() error("the body was read") end })
      assert.same({ 405, true }, { answer.status, answer.close })
      local closes = false
      for _, header in ipairs(answer.headers) do
        closes = closes or header[1] == "Connection" and header[2] == "close"
      end
      assert.is_true(closes)
    end
  end)

  it("bounds the body, by its length and as it is read", function()
    local receiver = assert(open{ max_body = 1000 })
    local function unread() error("the body was read") end
    for _, headers in ipairs{ { ["content-length"] = "1001" }, { ["content-length"] = ("9"):rep(30) } } do
      assert.equal(413, post(receiver, "", { headers = headers, body = unread }).status)
    end
    for _, headers in ipairs{ { ["content-length"] = "-1" }, { ["content-length"] = "1x" },
      { ["content-length"] = "5", ["transfer-encoding"] = "chunked" } } do
      assert.equal(400, post(receiver, "", { headers = headers, body = unread }).status)
    end
    local asked
    assert.equal(413, post(receiver, "", { headers = {}, body = function(limit)
      asked = limit
      return ("x"):rep(limit + 1)
    end }).status)
    assert.equal(1000, asked)
    assert.equal(400, post(receiver, "", { headers = {}, body = function() return nil end }).status)
    assert.equal(400, post(receiver, "{}", { headers = { ["content-length"] = "3" } }).status)
    assert.equal(411, post(receiver, "", { headers = {} }).status)
    assert.equal(0, count_bodies())
    assert.equal(200, post(receiver, ("x"):rep(1000)).status)
  end)

  it("reads bodies in GBK, and keeps them as they came", function()
    local receiver = assert(open())
    local text = '{"unique_id":"u-gbk","total":1,"rows":[{"index":0,"extra":"j.1","ok":false,"reason":"\186\197\194\235\180\237\206\243"}]}'
    assert.equal("first", select(2, post(receiver, text)))
    assert.equal("repeat", select(2, post(receiver, " " .. text)))
    assert.equal(text, receiver.inbox:text(receiver.inbox:list("first")[1]))
    assert.same({ index = 1, mark = "j.1", ok = false, reason = "号码错误" }, receiver:result("u-gbk").rows[1])
    for _, bytes in ipairs{ "\255\255", "\129" } do
      assert.equal("unreadable", select(2, post(receiver, '{"unique_id":"u-2","x":"' .. bytes .. '"}')))
    end
  end)

  it("reads bodies that came compressed, keeps them as they came, and takes the same content for the same", function()
    local receiver = assert(open())
    local pipe = io.popen("printf '%s' '" .. GOOD .. "' | gzip -c")
    local packed = pipe:read("*a")
    pipe:close()
    assert.equal("first", select(2, post(receiver, packed)))
    assert.same({ "u-1", true, false }, { receiver:result("u-1").id, receiver:result("u-1").rows[1].ok, receiver:result("u-1").rows[2].ok })
    assert.equal(packed, receiver.inbox:text(receiver.inbox:list("first")[1]))
    assert.equal("repeat", select(2, post(receiver, GOOD)))
    assert.equal("unreadable", select(2, post(receiver, packed:sub(1, -2))))
    pipe = io.popen("head -c 20000000 /dev/zero | tr '\\0' ' ' | gzip -c")
    assert.equal("unreadable", select(2, post(receiver, pipe:read("*a")))) -- more than may come out
    pipe:close()
  end)

  it("keeps what it cannot read, and never takes it for a result", function()
    local receiver = assert(open())
    local broken = { "", "{", "null", "[]", "7", '"u-1"', "{}", '{"unique_id":-7}', '{"unique_id":""}', '{"unique_id":null}', GOOD:sub(1, -2),
      "\255\254", '{"unique_id":"' .. ("x"):rep(201) .. '"}', ("["):rep(10000) }
    for number, text in ipairs(broken) do
      local answer, kind = post(receiver, text)
      assert.same({ 200, "unreadable" }, { answer.status, kind }, number)
    end
    assert.equal(#broken, count_bodies())
    assert.is_nil((receiver:result("u-1")))
    assert.equal(#broken, #receiver.inbox:list("unreadable"))
  end)

  it("takes a batch number that is written as a number for its digits, however many", function()
    local receiver = assert(open())
    for _, digits in ipairs{ "0", "42", "123456789012345", "9223372036854775807", "123456789012345678901234567890" } do
      local kind = select(2, post(receiver, ('{"unique_id":%s,"rows":[],"total":0,"success":0,"fail":0}'):format(digits)))
      assert.same({ "first", 0 }, { kind, assert(receiver:result(digits)).total })
    end
    for _, other in ipairs{ "-1", "1.5", "true", "null", "{}", '""' } do
      assert.equal("unreadable", select(2, post(receiver, ('{"unique_id":%s,"rows":[]}'):format(other))))
    end
  end)

  it("says nothing about rows whose outcome is no true or false", function()
    local receiver = assert(open())
    for number, rows in ipairs{ '"x"', "7", "null", "{}", '[1]', '[null]', '[{"ok":"true","index":0}]', '[{"ok":1,"index":0}]', '[{"index":0}]' } do
      post(receiver, '{"unique_id":"w-' .. number .. '","rows":' .. rows .. ',"total":"x"}')
      local result = assert(receiver:result("w-" .. number))
      assert.is_nil(result.total)
      assert.same({}, (callback.join(result, { { row = 1 } })))
    end
  end)

  it("reads counts and places that are written as texts, and leaves out none that contradicts", function()
    local receiver = assert(open())
    local rows = { { index = "0", ok = true }, { index = "1", ok = false } }
    post(receiver, body("texts", rows, { total = "2", success = "1", fail = "1" }))
    local result = assert(receiver:result("texts"))
    assert.same({ 2, 1, 1 }, { result.total, result.success, result.fail })
    local outcomes, unmatched = callback.join(result, { { row = 7 }, { row = 9 } })
    assert.same({ true, false, 0 }, { outcomes[7].ok, outcomes[9].ok, #unmatched })
    post(receiver, (body("long", rows, { total = 7 }):gsub('"total":7', '"total":9007199254740993')))
    assert.is_true(receiver:result("long").total > 2)
    post(receiver, body("words", rows, { total = "two", success = "0x1", fail = "" }))
    result = assert(receiver:result("words"))
    assert.same({}, { result.total, result.success, result.fail })
  end)

  it("joins rows by their mark, else by their place, and leaves the rest over", function()
    local receiver = assert(open())
    post(receiver, GOOD)
    local outcomes, unmatched = callback.join(receiver:result("u-1"), { { row = 11, mark = "j.1" }, { row = 12, mark = "j.2" } })
    assert.same({ [11] = { ok = true, reason = "" }, [12] = { ok = false, reason = "bad" } }, outcomes)
    assert.same({}, unmatched)
    outcomes = callback.join(receiver:result("u-1"), { { row = 11, mark = "j.2" }, { row = 12, mark = "j.1" } })
    assert.same({ false, true }, { outcomes[11].ok, outcomes[12].ok })
    outcomes = callback.join(receiver:result("u-1"), { { row = 11 }, { row = 12 } })
    assert.same({ true, false }, { outcomes[11].ok, outcomes[12].ok })
    outcomes, unmatched = callback.join(receiver:result("u-1"), { { row = 11, mark = "other" }, { row = 12, mark = "same" } })
    assert.same({ {}, 2 }, { outcomes, #unmatched })
    outcomes, unmatched = callback.join(receiver:result("u-1"), { { row = 11, mark = "j.1" } })
    assert.same({ true, 1 }, { outcomes[11].ok, #unmatched })
  end)

  it("has what came early, late, or to another process", function()
    local early = assert(open())
    local import = assert(open())
    assert.is_nil((import:result("u-1")))
    post(early, GOOD)
    assert.equal(2, #import:result("u-1").rows)
    env.time = env.time + 30 * 86400
    assert.equal(2, #assert(open()):result("u-1").rows)
    assert.equal("duplicate", select(2, post(import, GOOD)))
  end)

  it("answers 503 when it is full or asked too often, and takes more later", function()
    local receiver = assert(open{ max_entries = 3, rate = 2, burst = 5 })
    local statuses = {}
    for number = 1, 7 do
      statuses[number] = post(receiver, body("f-" .. number, {})).status
    end
    assert.same({ 200, 200, 200, 503, 503, 503, 503 }, statuses)
    assert.equal(3, count_bodies())
    for _ = 1, 100 do
      post(receiver, GOOD, { path = "/forged" })
    end
    env.time = env.time + 1
    assert.equal("duplicate", select(2, post(receiver, body("f-1", {}))))
    receiver = assert(open{ max_bytes = 200 })
    assert.equal(503, post(receiver, GOOD).status)
    receiver = assert(open{ rate = 1, burst = 1 })
    local answer = post(receiver, GOOD)
    assert.equal(200, answer.status)
    assert.equal(503, post(receiver, GOOD).status)
    env.time = env.time + 1
    assert.equal(200, post(receiver, GOOD).status)
  end)

  it("answers no 200 for what is not on the disk", function()
    local receiver = assert(open())
    os.execute("rm -r " .. folder .. "/store && touch " .. folder .. "/store")
    local answer, kind = post(receiver, GOOD)
    assert.equal(503, answer.status)
    assert.is_not_equal("first", kind)
  end)

  it("goes on behind what a crash cut off, wherever it cut", function()
    local log = folder .. "/store/inbox.log"
    local second = body("u-2", { { index = 0, ok = true } })
    local receiver = assert(open())
    post(receiver, GOOD)
    local one = command.read(log)
    post(receiver, second)
    local both = command.read(log)
    for cut = #one, #both - 1 do
      command.write(log, both:sub(1, cut))
      receiver = assert(open())
      assert(receiver:result("u-1"))
      assert.is_nil((receiver:result("u-2")), cut)
      assert.equal("first", select(2, post(receiver, second)))
      assert.equal("duplicate", select(2, post(receiver, GOOD)))
      for _, reader in ipairs{ receiver, assert(open()) } do
        assert(reader:result("u-2"))
        assert.equal(2, #reader.inbox:list())
      end
    end
  end)

  it("takes nothing of later bodies for the end of one that a crash cut off", function()
    local log = folder .. "/store/inbox.log"
    local later = body("u-2", {})
    for missing = 1, 340 do
      local receiver = assert(open())
      post(receiver, ("y"):rep(500))
      local all = command.read(log)
      command.write(log, all:sub(1, #all - missing))
      receiver = assert(open())
      assert.equal("first", select(2, post(receiver, later)))
      for _, reader in ipairs{ receiver, assert(open()) } do
        assert.equal(1, #reader.inbox:list())
        assert(reader:result("u-2"))
      end
      os.remove(log)
    end
  end)

  it("reads on behind damage in the middle, counts it, and takes nothing from inside a body for a record", function()
    local log = folder .. "/store/inbox.log"
    local receiver = assert(open())
    post(receiver, body("u-1", {}))
    local one = command.read(log)
    -- a body that looks like a record, in a record whose first line is then destroyed
    post(receiver, '\n{"n":9,"time":1,"id":"forged","hash":"' .. ("0"):rep(64) .. '","outcome":"","bytes":2,"kind":"first"}\n{}\n')
    local two = command.read(log)
    post(receiver, body("u-3", {}))
    local all = command.read(log)
    command.write(log, one .. "#" .. two:sub(#one + 2) .. all:sub(#two + 1))
    receiver = assert(open())
    assert.same({ 2, 1 }, { #receiver.inbox:list(), receiver.inbox.damaged })
    assert(receiver:result("u-1") and receiver:result("u-3"))
    assert.is_nil((receiver:result("forged")))
  end)

  it("keeps a body again whose first copy never reached the disk", function()
    local log = folder .. "/store/inbox.log"
    local receiver = assert(open())
    post(receiver, GOOD)
    local entry, text = receiver.inbox:list()[1], command.read(log)
    command.write(log, text:sub(1, entry.at) .. ("\0"):rep(entry.bytes) .. "\n") -- length without content: a power cut
    receiver = assert(open())
    assert.is_nil((receiver:result("u-1")))
    assert.equal("first", select(2, post(receiver, GOOD)))
    assert.equal(2, #assert(open()):result("u-1").rows)
    assert.equal("duplicate", select(2, post(receiver, GOOD)))
  end)

  it("keeps a group with one write, and knows repeats and conflicts inside it", function()
    local inbox = assert(open()).inbox
    local function item(text, id, outcome) return inbox_module.item(text, id, outcome, 1) end
    local syncs = 0
    local kinds = assert(inbox:put_all({ item("a", "1", "x"), item("a", "1", "x"), item(" a", "1", "x"), item("b", "1", "y"), item("?") },
      { sync = function(file)
        syncs = syncs + 1
        return file:sync()
      end }))
    assert.same({ "first", "duplicate", "repeat", "conflict", "unreadable" }, kinds)
    assert.equal(1, syncs)
    assert.equal(4, #assert(open()).inbox:list())
  end)

  it("gives the lock next to the one who waits for it, not to the one who had it last", function()
    local busy, patient = assert(open()).inbox, assert(open()).inbox
    local item = function(text) return { inbox_module.item(text, text, "x", 1) } end
    local turn
    assert(busy:put_all(item("a"), { sync = function(file) -- while the busy one has the lock, the other one takes the place behind it
      turn = assert(patient:turn(0))
      local kinds, err = patient:put_all(item("b"), { seconds = 0, turn = turn })
      assert.same({ nil, "locked" }, { kinds, err.reason })
      return file:sync()
    end }))
    local kinds, err = busy:put_all(item("c"), { seconds = 0 })
    assert.same({ nil, "locked" }, { kinds, err.reason })
    assert.same({ "first" }, patient:put_all(item("b"), { seconds = 0, turn = turn }))
    assert.same({ "first" }, busy:put_all(item("c"), { seconds = 0 })) -- the place was given up with the lock
    assert.equal(3, #assert(open()).inbox:list())
  end)

  it("says whether another process has the lock, or there is none to have", function()
    local receiver = assert(open())
    local inbox, item = receiver.inbox, { inbox_module.item("a", "1", "x", 1) }
    local turn = assert(inbox:turn(0))
    local _, err = inbox:put_all(item, { seconds = 0 })
    turn:close()
    assert.equal("locked", err.reason)
    assert.is_truthy(err.message:find("is locked: ", 1, true), err.message)
    os.remove(folder .. "/store/turn")
    assert(system.make_dirs(folder .. "/store/turn", 448))
    _, err = inbox:put_all(item, { seconds = 0 })
    assert.is_nil(err.reason)
    assert.is_truthy(err.message:find("cannot be locked: ", 1, true), err.message)
    local answer, _, problem = post(receiver, GOOD)
    assert.same({ 503, err.message }, { answer.status, problem.message }) -- for the log of whoever serves it
  end)

  it("takes a group back that could not be synced", function()
    local receiver = assert(open())
    post(receiver, GOOD)
    local kinds, err = receiver.inbox:put_all({ inbox_module.item("a", "1", "x", 1) }, { sync = function() return nil, { message = "no disk" } end })
    assert.is_nil(kinds)
    assert.is_truthy(err.message:find("no disk", 1, true))
    assert.equal(1, #assert(open()).inbox:list())
    assert.same({ "first" }, receiver.inbox:put_all({ inbox_module.item("a", "1", "x", 1) }))
    assert.equal(2, #assert(open()).inbox:list())
  end)

  it("syncs what another process wrote and may not have synced, before it answers that it has it", function()
    local one, other = assert(open()).inbox, assert(open()).inbox
    local function item(text) return inbox_module.item(text, text, "x", 1) end
    local syncs = 0
    local counting = { sync = function(file)
      syncs = syncs + 1
      return file:sync()
    end }
    assert.same({ "first" }, one:put_all({ item("a") }, { sync = function() return true end })) -- as if it had died before
    assert.same({ nil, "no disk" }, (function()
      local kinds, err = other:put_all({ item("a") }, { sync = function() return nil, { message = "no disk" } end })
      return { kinds, err.message:match("no disk") }
    end)())
    assert.same({ "duplicate" }, other:put_all({ item("a") }, counting))
    assert.equal(1, syncs)
    assert.same({ "duplicate", "duplicate" }, other:put_all({ item("a"), item("a") }, counting))
    assert.equal(1, syncs) -- known to be there
    assert.same({ "first" }, one:put_all({ item("b") }))
    assert.same({ "first", "duplicate" }, other:put_all({ item("c"), item("b") }, counting))
    assert.equal(2, syncs) -- one for both
    assert.same({ "duplicate", "duplicate" }, other:put_all({ item("b"), item("c") }, counting))
    assert.equal(2, syncs)
    assert.same({ "duplicate" }, one:put_all({ item("c") }, counting))
    assert.equal(3, syncs)
    assert.same({ "duplicate" }, assert(open()).inbox:put_all({ item("a") }, counting)) -- a new process knows of no sync
    assert.same({ 4, 3 }, { syncs, #assert(open()).inbox:list() })
  end)

  it("makes a file anew that has no record: the process that made it may have died before its name was on the disk", function()
    local made = assert(open()).inbox
    local before = system.stat(made.path)
    local again = assert(open()).inbox
    assert.is_not_equal(before.inode, system.stat(made.path).inode)
    assert.equal("first", made:put("a", "1", "x", 1))
    local kept = system.stat(made.path).inode
    assert.equal("duplicate", assert(open()).inbox:put("a", "1", "x", 1))
    assert.equal("duplicate", again:put("a", "1", "x", 1))
    assert.equal(kept, system.stat(made.path).inode)
  end)

  -- A group whose sync lets others run, as nginx does; `outcome` is what the sync comes to.
  local function begin_group(inbox, items)
    local thread = coroutine.create(function()
      return inbox:put_all(items, { sync = function(file)
        local outcome = coroutine.yield()
        if outcome == "well" then
          return file:sync()
        elseif outcome == "raise" then
          error("stopped in the middle", 0)
        end
        return nil, { message = outcome }
      end })
    end)
    assert(coroutine.resume(thread))
    assert.equal("suspended", coroutine.status(thread))
    return function(outcome) return coroutine.resume(thread, outcome) end
  end

  it("may be read while a group of its own is synced, and counts the group once", function()
    local inbox = assert(open()).inbox
    assert.equal("first", inbox:put("zero", "0", "x", 1))
    local items = { inbox_module.item("a", "1", "x", 1), inbox_module.item("bb", "2", "x", 1), inbox_module.item("cc", "2", "y", 1) }
    local go_on = begin_group(inbox, items)
    assert.equal(1, #inbox:list()) -- the group is not on the disk yet
    assert.is_nil((inbox:body("1")))
    local _, kinds = go_on("well")
    assert.same({ "first", "first", "conflict" }, kinds)
    assert.same({ 4, 9, 1 }, { #inbox:list(), inbox.bytes, inbox.conflict_count })
    assert.equal("a", inbox:body("1"))
    assert.equal("first", inbox:put("d", "3", "x", 1))
    for i, entry in ipairs(assert(open()).inbox:list()) do
      assert.equal(i, entry.n)
    end
    assert.equal(5, #inbox:list())
  end)

  it("takes a group back that could not be synced although it was read meanwhile, here and by another process", function()
    for _, outcome in ipairs{ "no disk", "raise" } do
      local inbox, other = assert(open()).inbox, assert(open()).inbox
      local before = #inbox:list()
      local items = { inbox_module.item(outcome, outcome, "x", 1), inbox_module.item(outcome .. " too", outcome .. "2", "x", 1) }
      local go_on = begin_group(inbox, items)
      assert.equal(before, #inbox:list())
      assert.equal(before + 2, #other:list()) -- another process cannot know
      local fine, kinds, err = go_on(outcome)
      assert.is_true(fine)
      assert.is_nil(kinds)
      assert.equal("ledger", err.kind)
      for _, reader in ipairs{ inbox, other, assert(open()).inbox } do
        assert.equal(before, #reader:list())
        local body_of, why = reader:body(outcome)
        assert.is_nil(body_of)
        assert.is_nil(why)
      end
      assert.same({ "first", "first" }, inbox:put_all(items)) -- the sender's repeat is written and synced
      assert.equal(before + 2, #other:list())
      assert.equal(outcome, other:body(outcome))
      assert.same({ before + 2, 0 }, { #inbox:list(), inbox.damaged })
    end
  end)

  it("keeps nothing in mind of a group that another process took back, whatever was written in its place", function()
    local function item(text, id) return inbox_module.item(text, id, "x", 1) end
    for number, instead in ipairs{
      { item("c", "3"), item("d", "4") }, -- as long as what was taken back
      { item("c", "3"), item("b", "2") }, -- as long, and its end the same
      { item(("c"):rep(400), "3"), item("d", "4"), item("e", "5") }, -- longer: what was read ends within a record
    } do
      local store = folder .. "/replaced-" .. number
      local one, other = assert(open({ store = store })).inbox, assert(open({ store = store })).inbox
      assert.equal("first", one:put("zero", "0", "x", 1))
      local go_on = begin_group(one, { item("a", "1"), item("b", "2") })
      assert.equal(3, #other:list())
      go_on("no disk")
      assert(one:put_all(instead))
      local function told(inbox)
        local list = {}
        for i, entry in ipairs(inbox:list()) do
          list[i] = { entry.n, entry.id, entry.kind, inbox:text(entry) }
        end
        return list
      end
      assert.same(told(assert(open({ store = store })).inbox), told(other))
      assert.is_nil((other:body("1")))
      assert.equal(instead[1].body, other:body("3"))
      assert.same({ "conflict", "first" }, other:put_all({ inbox_module.item("C", "3", "y", 1), item("a", "1") }))
      assert.same({ #instead + 3, 0, #instead + 3 }, { #one:list(), one.damaged, #other:list() })
    end
  end)

  it("takes signed posts, each within its window, and no others", function()
    local key = "0123456789abcdef0123456789abcdef"
    local receiver = assert(callback.new{ platform = "longlong", store = folder .. "/store", env = env, prefix = "/signed",
      hmac = { key = key }, rate = 3, burst = 3 })
    local function signed(text, at, more)
      local timestamp = ("%.0f"):format(at)
      local headers = { ["content-length"] = tostring(#text), ["x-campaign-timestamp"] = timestamp,
        ["x-campaign-signature"] = signature.sign(key, timestamp, text) }
      for name, value in pairs(more or {}) do
        headers[name] = value or nil
      end
      return post(receiver, text, { path = "/signed", headers = headers })
    end
    -- printf '1762740000.{"a":1}' | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef
    assert.equal("e4f499efc85c03a863bfae78f065427c4b2fac878b351d0512f8c5e4dbc8bdeb", signature.sign(key, "1762740000", '{"a":1}'))
    local now = math.floor(env.now())
    for _ = 1, 50 do -- more than the rate takes
      assert.equal(401, signed(GOOD, now, { ["x-campaign-signature"] = ("0"):rep(64) }).status)
    end
    assert.equal(401, signed(GOOD, now, { ["x-campaign-signature"] = false }).status)
    assert.equal(401, signed(GOOD, now, { ["x-campaign-timestamp"] = tostring(now + 1) }).status)
    for _, timestamp in ipairs{ "", "x", "-1", ("9"):rep(20), "1e9" } do
      assert.equal(401, signed(GOOD, now, { ["x-campaign-timestamp"] = timestamp }).status)
    end
    assert.equal(401, signed(GOOD, now - 301).status)
    assert.equal(401, signed(GOOD, now + 301).status)
    assert.equal(0, count_bodies())
    assert.equal("first", select(2, signed(GOOD, now - 299)))
    assert.equal("duplicate", select(2, signed(GOOD, now - 299))) -- a replay changes nothing
    assert.equal(404, post(receiver, GOOD).status)
    local weak, err = callback.new{ platform = "longlong", store = folder .. "/store", env = env, hmac = { key = "short" } }
    assert.same({ nil, "usage" }, { weak, err.kind })
    assert.is_nil(tostring(receiver.signature):find(key, 1, true))
    assert.has_error(function() callback.new{ platform = "longlong", store = folder, hmac = { kay = key } } end)
  end)

  it("takes no option of another type or beyond its limits, and names it without its value", function()
    local key = "0123456789abcdef0123456789abcdef"
    local wrong = {
      platform = { 5, "" }, name = { {}, "" }, store = { {}, "", 7 }, secret = { 12345, { SECRET } }, env = { "env" }, take = { true },
      prefix = { "cb/", "", 5, "/a b/", "/a?b/", "/a#", "/\230\137\171/", "/a\n" },
      max_body = { "1000", 0, -1, 1.5, 0 / 0, 1 / 0 }, max_entries = { "3", 0, {} }, max_bytes = { "200", 0, false },
      rate = { "3", 0, -1, 0 / 0, 1 / 0 }, burst = { "3", 0.5, 0 / 0 }, hmac = { false, key, 5 },
    }
    for name, values in pairs(wrong) do
      for _, value in ipairs(values) do
        local fine, problem = pcall(open, { [name] = value })
        assert.is_false(fine, name)
        assert.truthy(problem:find("option `" .. name .. "` must be ", 1, true), problem)
        assert.is_nil(problem:find(key, 1, true) or problem:find("12345", 1, true))
      end
    end
    for name, values in pairs{ key = { 12345, {}, false }, header = { {}, 5, "", "a b", "a:", "\n" }, timestamp_header = { true, "x\r\ny" },
      window = { "300", {}, 0, -1, 0 / 0, 1 / 0, 86401 } } do
      for _, value in ipairs(values) do
        local fine, problem = pcall(open, { hmac = { key = name ~= "key" and key or nil, [name] = value } })
        assert.is_false(fine, name)
        assert.truthy(problem:find("option `hmac." .. name .. "` must be ", 1, true), problem)
        assert.is_nil(problem:find(key, 1, true))
      end
    end
    assert.has_error(function() open{ hmac = { key = key, header = "x-CAMPAIGN-timestamp" } } end)
    for _, options in ipairs{ false, "platform", 5 } do
      assert.has_error(function() callback.new(options) end)
    end
    local _, problem = pcall(function() local receiver = callback.new{ secret = SECRET } return receiver end)
    assert.truthy(problem:find("receiver_spec.lua:%d+: option `store` must be given"), problem) -- who is to blame
    assert(open{ hmac = { key = key, header = "X-Sig", timestamp_header = "X-Time", window = 0.5 }, prefix = "/%20cb/", rate = 0.1, burst = 1 })
  end)

  it("refuses secrets that can be guessed, and platforms without callbacks", function()
    for _, secret in ipairs{ "", "short", ("a"):rep(32), SECRET:sub(1, 21), SECRET .. "/", SECRET .. "\n", ("ab"):rep(20), ("x"):rep(300) } do
      local receiver, err = open{ secret = secret }
      assert.is_nil(receiver)
      assert.equal("usage", err.kind)
      assert(#secret < 5 or not tostring(err):find(secret, 1, true))
    end
    assert.is_nil((open{ platform = "tuzhan" }))
    assert.is_nil((open{ name = "other" }))
    assert.is_true(callback.is_secret(callback.new_secret()))
    assert.has_error(function() open{ stroe = "x" } end)
  end)
end)

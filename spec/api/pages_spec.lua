-- SPDX-License-Identifier: MIT
-- Walks over pages: all styles of reply, the end, going on elsewhere, failures, and platforms that give the same page again.

local error_object = require "campaign.error"
local fake = require "support.fake"
local json = require "campaign.json"

local NOT_SENT = { error = error_object.new{ kind = "network", message = "refused" }, sent = "no" }

-- A platform of `total` executions that answers by the page number it is asked for; `change` may spoil an answer.
local function executions(total, change)
  local asked = {}
  local client, transport, env
  client, transport, env = fake.client("hypers", { function(request)
    local page = tonumber(request.url:match("current=(%d+)"))
    local size = tonumber(request.url:match("size=(%d+)"))
    asked[#asked + 1] = page
    local spoilt = change and change(page, #asked)
    if type(spoilt) == "table" then
      return spoilt
    end
    page = spoilt or page
    local records = json.array()
    for number = page * size + 1, math.min((page + 1) * size, total) do
      records[#records + 1] = { memberId = number }
    end
    return fake.answer{ page = { total = total }, records = records }
  end })
  return client, asked, transport, env
end

local LIST, TASK = "list_notification_executions", { taskId = 1, size = 3 }

local function walk(pages, most)
  local seen, failure = {}, nil
  for row, err in pages do
    if not row then
      failure = err
    else
      seen[#seen + 1] = tonumber(row.memberId)
    end
    if #seen == most then
      break
    end
  end
  return seen, failure
end

local function numbers(from, to)
  local list = {}
  for number = from, to do
    list[#list + 1] = number
  end
  return list
end

describe("api.pages", function()
  it("gives every row where the total is less than a full page shows, and asks no further behind a page that is not full", function()
    local asked
    local function lists(total)
      local client
      client, asked = executions(total, function(page)
        local records = json.array()
        for number = page * 3 + 1, math.min((page + 1) * 3, total) do
          records[#records + 1] = { memberId = number }
        end
        return fake.answer{ page = { total = 0 }, records = records }
      end)
      return (walk(client:each(LIST, TASK)))
    end
    for _, case in ipairs{ { 0, 1 }, { 1, 1 }, { 2, 1 }, { 3, 2 }, { 4, 2 }, { 6, 3 }, { 7, 3 } } do
      assert.same(numbers(1, case[1]), lists(case[1]))
      assert.equal(case[2], #asked)
    end
  end)

  it("gives every row once, in order, page by page", function()
    for _, total in ipairs{ 0, 1, 2, 3, 4, 6, 7 } do
      local client, asked = executions(total)
      assert.same(numbers(1, total), (walk(client:each(LIST, TASK))))
      assert.equal(math.max(1, math.ceil(total / 3)), #asked)
    end
  end)

  it("reads replies of records only, and bare arrays, as one page", function()
    local client, transport = fake.client("hypers", { fake.answer{ records = { { date = "2025-11-01" }, { date = "2025-11-02" } } } })
    assert.equal(2, #assert(client:all("list_member_daily_reports", { id = 123 })))
    assert.equal(1, #transport.requests)
    assert.is_nil(transport:last().url:find("current", 1, true))
    client, transport = fake.client("hypers", { fake.answer('[{"name":"a"},{"name":"b"},{"name":"c"}]') })
    assert.equal(3, #assert(client:all("get_marketing_task_schema", { id = 1 })))
    assert.equal(1, #transport.requests)
    client = fake.client("hypers", { fake.answer("[]") })
    assert.same({}, assert(client:all("get_marketing_task_schema", { id = 1 })))
  end)

  it("reads Spring's pages", function()
    local client, transport = fake.client("hypers", {
      fake.answer{ content = { { id = 1, name = "a" } }, totalElements = 2 }, fake.answer{ content = { { id = 2, name = "b" } }, totalElements = 2 },
    })
    assert.equal(2, #assert(client:all("list_marketing_groups", { size = 1 })))
    assert.equal(2, #transport.requests)
  end)

  it("goes on after any row, in another walk, and gives none twice", function()
    for stop = 1, 7 do
      local first = executions(7)
      local pages = first:each(LIST, TASK)
      local seen = walk(pages, stop)
      local second, asked = executions(7)
      local rest = walk(second:each(LIST, { taskId = 1, size = 3 }, { token = pages:token() }))
      for _, row in ipairs(rest) do
        seen[#seen + 1] = row
      end
      assert.same(numbers(1, 7), seen)
      assert(#asked == 0 or asked[1] == math.floor((stop - 1) / 3), "a page was fetched without need")
    end
  end)

  it("goes on with a walk that was gone on with, and knows when it had ended", function()
    local client = executions(7)
    local token
    local seen = {}
    for _ = 1, 7 do
      local pages = client:each(LIST, TASK, { token = token })
      seen[#seen + 1] = tonumber(pages().memberId)
      token = pages:token()
    end
    assert.same(numbers(1, 7), seen)
    local _, asked = executions(7)
    local pages = client:each(LIST, TASK, { token = token })
    assert.is_nil((pages()))
    assert.equal(0, #asked)
  end)

  it("can stand before the first row, and after a failure", function()
    local client, asked = executions(7, function(page, number)
      return page == 1 and number == 3 and fake.answer("", 500)
    end)
    local pages = client:each(LIST, TASK)
    local rest = walk(client:each(LIST, TASK, { token = pages:token() }), 1)
    assert.same({ 1 }, rest)
    local seen, err = walk(pages)
    assert.same({ numbers(1, 3), 500 }, { seen, err.status })
    assert.is_nil((pages()))
    assert.same(numbers(4, 7), (walk(client:each(LIST, TASK, { token = pages:token() }))))
    assert.same({ 0, 0, 1, 1, 2 }, asked)
  end)

  it("refuses positions of other walks, and damaged ones, before anything is sent", function()
    local client, _, transport = executions(7)
    local pages = client:each(LIST, TASK)
    walk(pages, 4)
    local token = pages:token()
    local sent = #transport.requests
    local tries = {
      { "list_notification_tasks", { taskType = "APPOINTMENT_REMINDER", size = 3 }, token }, { LIST, { taskId = 2, size = 3 }, token },
      { LIST, TASK, "" }, { LIST, TASK, "%%%" }, { LIST, TASK, token:sub(1, 20) }, { LIST, TASK, 7 }, { LIST, TASK, ("A"):rep(70000) },
    }
    for _, try in ipairs(tries) do
      local row, err = client:each(try[1], try[2], { token = try[3] })()
      assert.is_false(row)
      assert.same({ "usage", "no" }, { err.kind, err.sent })
      local rows
      rows, err = client:all(try[1], try[2], { token = try[3] })
      assert.is_nil(rows)
      assert.equal("usage", err.kind)
    end
    assert.equal(sent, #transport.requests)
    assert.is_nil(token:find("taskId", 1, true))
  end)

  it("ends loudly when the platform ignores the page number", function()
    local client, asked = executions(7, function() return 0 end)
    local seen, err = walk(client:each(LIST, TASK))
    assert.same(numbers(1, 3), seen)
    assert.same({ "response", "repeated_page" }, { err.kind, err.reason })
    assert.equal(2, #asked)
    assert.is_nil((client:all(LIST, TASK)))
  end)

  it("ends loudly when the pages go round in a circle of any length", function()
    for length = 2, 9 do
      local client, asked = executions(100000, function(page) return page % length end)
      local _, err = walk(client:each(LIST, TASK))
      assert.equal("repeated_page", err.reason)
      assert(#asked <= 4 * length, "found late: " .. #asked)
    end
  end)

  it("fetches a page again that could not be asked for, and loses none", function()
    local client, asked, _, env = executions(7, function(page, number)
      return page == 1 and number <= 3 and NOT_SENT
    end)
    assert.same(numbers(1, 7), (walk(client:each(LIST, TASK))))
    assert.same({ 0, 1, 1, 1, 2 }, asked)
    assert(env.slept > 0)
    local _, err
    client, asked = executions(7, function(page, number) return page == 1 and number <= 3 and NOT_SENT end)
    _, err = walk(client:each(LIST, TASK, { retries = 0 }))
    assert.equal("network", err.kind)
    assert.same({ 0, 1 }, asked)
  end)

  it("holds one page in memory, however many there are", function()
    local client = executions(30000)
    local count, most = 0, 0
    collectgarbage()
    collectgarbage()
    local before = collectgarbage("count")
    for row in client:each(LIST, { taskId = 1, size = 100 }) do
      assert(row)
      count = count + 1
      if count % 3000 == 0 then
        client.transport.requests = { client.transport:last() } -- the fake remembers them
        collectgarbage()
        collectgarbage()
        most = math.max(most, collectgarbage("count") - before)
      end
    end
    assert.equal(30000, count)
    assert(most < 1000, "grew by " .. most .. " KiB")
  end)

  it("is an error of the program with an operation that has no pages", function()
    local client = executions(1)
    assert.has_error(function() client:each("get_notification_task", { taskId = 1 }) end)
    assert.has_error(function() client:all("nothing") end)
    local _, problem = pcall(client.each, client, "list_notification_task", {})
    assert.matches("no operation `list_notification_task` with pages (did you mean `list_notification_tasks`?); those with pages: ", problem, 1, true)
  end)

  describe("by a cursor", function()
    local BEACON = "./examples/platforms/beacon.lua"

    local function page(from, to, more, next_cursor)
      local items = json.array()
      for i = from, to do
        items[#items + 1] = { mobile = "13000001111", name = "p" .. i }
      end
      return fake.answer{ code = 0, data = { items = items, has_more = more, next = next_cursor } }
    end

    local function names(client)
      local seen, failure = {}, nil
      for row, err in client:each("list_contacts", {}) do
        seen[#seen + 1] = row and row.name or nil
        failure = err
      end
      return table.concat(seen, " "), failure
    end

    local function connect(answers)
      return fake.client(BEACON, answers, { account = { base_url = "https://beacon.example", app_key = "a", app_secret = "s" } })
    end

    it("asks for the first page without one, then with what the page before said, as it was said", function()
      local client, transport = connect({ page(1, 2, true, "a b&c=1+/"), page(3, 3, false, "unused") })
      assert.equal("p1 p2 p3", (names(client)))
      assert.equal(2, #transport.requests)
      assert.is_nil(transport.requests[1].url:find("cursor", 1, true))
      assert.matches("cursor=a%20b%26c%3D1%2B%2F", transport.requests[2].url, 1, true)
    end)

    it("goes on behind a page without rows", function()
      local client = connect({ page(1, 1, true, "a"), page(1, 0, true, "b"), page(2, 2, false) })
      assert.equal("p1 p2", (names(client)))
    end)

    it("gives the rows of a page whose cursor does not move, or is none, and fails behind them", function()
      for _, case in ipairs({
        { "repeated_page", "p1 p2", { page(1, 1, true, "a"), page(2, 2, true, "a") } },
        { "repeated_page", "p1 p2 p3 p4", { page(1, 1, true, "a"), page(2, 2, true, "b"), page(3, 3, true, "c"), page(4, 4, true, "b") } },
        { "no_cursor", "p1", { page(1, 1, true) } }, { "no_cursor", "p1", { page(1, 1, true, "") } },
      }) do
        local client, transport = connect(case[3])
        local seen, err = names(client)
        assert.equal(case[1], err and err.reason)
        assert.equal(case[2], seen:sub(1, #case[2]))
        assert(#transport.requests <= 2 * #case[3])
      end
    end)

    it("goes by the cursor alone where nothing else says that there is more, and by values that mean the end", function()
      local function ends(last, answers)
        local client, transport = connect(answers)
        local rules = client.platform.operations.list_contacts.pages
        local before = { more = rules.more, last = rules.last }
        rules.more, rules.last = nil, last
        local seen, err = names(client)
        rules.more, rules.last = before.more, before.last
        return seen, err, #transport.requests
      end
      assert.same({ "p1 p2", nil, 2 }, { ends(nil, { page(1, 1, false, "a"), page(2, 2, false, "") }) })
      assert.same({ "p1 p2", nil, 2 }, { ends(nil, { page(1, 1, false, "a"), page(2, 2, false) }) })
      assert.same({ "p1 p2", nil, 2 }, { ends({ 0, "end" }, { page(1, 1, false, "a"), page(2, 2, false, "end") }) })
      assert.same({ "p1", nil, 1 }, { ends({ 0 }, { page(1, 1, false, "0") }) })
    end)

    -- A reply of which the platform's data says nothing but where its rows stand.
    local function undescribed(answers)
      local client, transport = connect(answers)
      local operation = client.platform.operations.list_contacts
      local before = { reply = operation.reply, present = operation.present, more = operation.pages.more }
      operation.reply, operation.present, operation.pages.more = { type = "object", open = true, fields = {} }, nil, nil
      local rows, err = client:all("list_contacts", {})
      operation.reply, operation.present, operation.pages.more = before.reply, before.present, before.more
      return rows, err, transport
    end

    it("loses no digit of a cursor that is a number", function()
      local function answer(cursor)
        return fake.answer('{"code":0,"data":{"items":[1],"next":' .. cursor .. "}}")
      end
      local rows, err, transport = undescribed({ answer("1700000000.123456"), answer("9007199254740993"), answer("null") })
      assert.is_nil(err)
      assert.equal(3, #rows)
      assert.matches("cursor=1700000000.123456&", transport.requests[2].url .. "&", 1, true)
      assert.matches("cursor=9007199254740993&", transport.requests[3].url .. "&", 1, true)
    end)

    it("fails where what stands in the place of the rows is no list", function()
      for _, list in ipairs({ '"abc"', '""', "5", "true", "false", '{"a":{"id":1}}', '{"0":{"id":1}}' }) do
        local rows, err = undescribed({ fake.answer('{"code":0,"data":{"items":' .. list .. "}}") })
        assert.is_nil(rows, list)
        assert.same({ "response", "no_list" }, { err.kind, err.reason }, list)
      end
      for _, list in ipairs({ "[]", "{}", "null" }) do
        assert.same({}, (undescribed({ fake.answer('{"code":0,"data":{"items":' .. list .. "}}") })), list)
      end
    end)
  end)
end)

-- SPDX-License-Identifier: MIT
-- The lead location in a real nginx with two workers against the sandbox: each post is answered with what became of its own row.

local command = require "support.command"
local core = require "campaign.core"
local imports = require "support.imports"
local json = require "campaign.json"
local nginx = require "support.nginx"
local raw_server = require "support.raw_server"
local sandbox = require "campaign.sandbox"
local socket = require "socket"

local HTTP = [[
  lua_shared_dict campaign 1m;
  init_by_lua_block {
    require("campaign.openresty.metrics").use("campaign")
    local file = assert(io.open("%(order)"))
    local order = require("campaign.json").decode(file:read("*a"))
    file:close()
    local new = require("campaign.openresty.lead").new
    local function options(name, more)
      local given = { folder = "%(folder)/" .. name, shared = "campaign", to = "longlong.import_customers_async", account = order.account,
        fields = { "name", "tel", "company", "id" }, map = { phone = "tel" }, check = { phone = "mobile_cn" }, rate = 100000 }
      for key, value in pairs(more or {}) do given[key] = value end
      return new(given)
    end
    lead = options("leads")
    keyed = options("keyed", { key = "id" })
    gathering = options("gathering", { key = "id", gather = 1, wait = 2 })
    sluggish = options("sluggish", { key = "id", wait = 0.3 })
    local submit = sluggish.jobs.submit
    function sluggish.jobs:submit(...) -- by a disk that takes its time
      ngx.sleep(1)
      return submit(self, ...)
    end
    doubtful = options("doubtful", { wait = 0.2 })
    function doubtful.jobs:submit(...) -- by a disk that takes list and order, and fails long after
      assert(submit(self, ...))
      ngx.shared.campaign:set("stopped", true)
      repeat ngx.sleep(0.01) until ngx.shared.campaign:get("failing")
      ngx.shared.campaign:delete("failing")
      return nil, "the disk failed"
    end
    ended = options("ended", { gather = 0.3, wait = 0.3 })
    slow = options("slow", { rate = 5, burst = 5 })
    late = options("late", { account = order.late, attempts = 1, retry = 0.3 })
    listed = options("listed", { suppress = { "%(dnc):phone" } })
    choked = options("choked")
    function choked.jobs.status() -- as a run tells whose ledger failed under it: what it never took up is in no file
      return { state = "stopped", rows = 2, accepted = 1, error = { kind = "ledger", reason = "full" } }
    end
    -- After an order the worker has no more descriptors to give than it is told to leave.
    local held = {}
    function release() for _, file in ipairs(held) do file:close() end held = {} end
    crowded = options("crowded", { retry = 0.3 })
    local ordered = crowded.jobs.submit
    function crowded.jobs:submit(...)
      local ok, err = ordered(self, ...)
      local file
      repeat
        file = io.open("/dev/null")
        held[#held + 1] = file
      until not file
      for _ = 1, ngx.shared.campaign:get("leave") do table.remove(held):close() end
      return ok, err
    end
    broken = options("broken", { set = { nonsense = 1 } })
    dated = options("dated", { key = "id", suppress = { "%(dnc).new:phone" } }) -- a list that is not there
  }
  init_worker_by_lua_block { lead:watch(0.2) late:watch(0.2) dated:watch(0.2) crowded:watch(0.2) }
]]

-- A disk that takes longer than a second to take a list is very slow.
local IMPATIENT = HTTP:gsub("init_by_lua_block {", "%0 require(\"campaign.openresty.lead\").ORDER_SECONDS = 1")

local SERVER = [[
  location = /lead { content_by_lua_block { lead:handle() } }
  location = /keyed { content_by_lua_block { keyed:handle() } }
  location = /gathering { content_by_lua_block { ngx.shared.campaign:add("holder", ngx.worker.pid()) gathering:handle() } }
  location = /sluggish { content_by_lua_block { sluggish:handle() } }
  location = /taken { content_by_lua_block {
    local count = 0
    for _, key in ipairs(ngx.shared.campaign:get_keys(0)) do
      count = count + (key:find("^lead:") and ngx.shared.campaign:get(key) == "" and 1 or 0)
    end
    ngx.print(count)
  } }
  location = /holder { content_by_lua_block { ngx.print(ngx.shared.campaign:get("holder") or "") } }
  location = /ended { # where nginx has no timer to give, and ends the request that orders for all, behind or before the order
    lua_check_client_abort on;
    content_by_lua_block {
      local at, submit = ngx.timer.at, ended.jobs.submit
      if ngx.var.arg_stop then
        assert(ngx.on_abort(function()
          ngx.timer.at, ended.jobs.submit = at, submit
          ngx.exit(499)
        end))
        ngx.timer.at = function() return nil, "no room" end
        function ended.jobs:submit(...)
          local ok, err = true
          if ngx.var.arg_stop == "behind" then ok, err = submit(self, ...) end
          ngx.shared.campaign:set("stopped", true)
          ngx.sleep(60)
          return ok, err
        end
      end
      ended:handle()
    }
  }
  location = /stopped { content_by_lua_block { ngx.print(tostring(ngx.shared.campaign:get("stopped"))) } }
  location = /again { content_by_lua_block { ngx.shared.campaign:delete("stopped") } }
  location = /doubtful { content_by_lua_block { doubtful:handle() } }
  location = /fail { content_by_lua_block { ngx.shared.campaign:set("failing", true) } }
  location = /failed { content_by_lua_block { ngx.print(tostring(not ngx.shared.campaign:get("failing"))) } }
  location = /slow { content_by_lua_block { slow:handle() } }
  location = /late { content_by_lua_block { late:handle() } }
  location = /choked { content_by_lua_block { choked:handle() } }
  location = /listed { content_by_lua_block { listed:handle() } }
  location = /dated { content_by_lua_block { dated:handle() } }
  location = /crowded { content_by_lua_block { ngx.shared.campaign:set("leave", tonumber(ngx.var.arg_leave)) crowded:handle() } }
  location = /release { content_by_lua_block { release() } }
  location = /broken { content_by_lua_block { broken:handle() } }
  location = /metrics { content_by_lua_block { require("campaign.openresty.metrics").handle() } }
]]

local FORM = { { "Content-Type", "application/x-www-form-urlencoded" } }
local JSON = { { "Content-Type", "application/json; charset=utf-8" } }

describe("campaign.openresty.lead", function()
  local server, order, dnc, late_port

  setup(function()
    imports.start()
    late_port = nginx.free_port()
    order, dnc = os.tmpname(), os.tmpname()
    command.write(dnc, "phone\n13812345678\n")
    local late = {}
    for key, value in pairs(imports.accounts.longlong) do
      late[key] = value
    end
    late.base_url = "http://127.0.0.1:" .. late_port
    command.write(order, json.encode({ account = imports.accounts.longlong, late = late }))
    server = nginx.new({ http = HTTP, server = SERVER, workers = 2, values = { order = order, dnc = dnc } }):start()
  end)
  teardown(function()
    server:stop()
    imports.stop()
    os.remove(order)
    os.remove(dnc)
  end)
  before_each(function() imports.reset() end)

  local function post(path, body, headers, more)
    local options = { method = "POST", body = body, headers = headers }
    for name, value in pairs(more or {}) do
      options[name] = value
    end
    local result = server:get(path, options)
    return result.status, json.decode(result.body or "") or tostring(result.error)
  end

  local function committed()
    return imports.commits("import_customers_async")
  end

  it("turns a form, a JSON object and a form with parts into a row each, mapped and checked", function()
    local status, said = post("/lead", "name=%E8%87%A7%E8%8A%B3&tel=13812345678&other=x&tel=2", FORM)
    assert.same({ 202, "accepted_pending" }, { status, said.state }, json.encode(said))
    status, said = post("/lead", '{"name":"李四","tel":13812345679,"company":"甲, \\"乙\\"","id":null,"nested":{"a":1}}', JSON)
    assert.same({ 202, "accepted_pending" }, { status, said.state }, json.encode(said))
    status, said = post("/lead", core.form{ { name = "tel", value = "13812345670" }, { name = "name", value = "王五" } })
    assert.same({ 202, "accepted_pending" }, { status, said.state }, json.encode(said))
    local rows = committed()
    assert.equal(3, #rows)
    assert.same({ "13812345678", "臧芳" }, { rows[1].row.phone, rows[1].row.name })
    assert.same({ "13812345679", "李四", '甲, "乙"' }, { rows[2].row.phone, rows[2].row.name, rows[2].row.company })
    assert.equal("13812345670", rows[3].row.phone)
  end)

  it("says what is wrong with a lead, and sends nothing of it", function()
    local status, said = post("/lead", "name=x&tel=12345", FORM)
    assert.same({ 422, "rejected", "tel", "check", "mobile_cn" }, { status, said.state, said.column, said.reason, said.code }, json.encode(said))
    status, said = post("/lead", "name=only", FORM)
    assert.same({ 422, "rejected", "required" }, { status, said.state, said.reason }, json.encode(said))
    local bad = {
      { 400, "other=x", FORM }, { 400, "", FORM }, { 400, "[]", JSON }, { 400, "{", JSON }, { 400, "tel=%FF%FE", FORM }, { 400, "tel=1%00", FORM },
      { 400, "x", { { "Content-Type", "multipart/form-data" } } }, { 413, ("x"):rep(70000), FORM },
      { 400, "tel=13812345678&name=x" .. ("&a=b"):rep(200) .. "&company=c", FORM }, -- what comes behind so many would not be looked at
    }
    for number, case in ipairs(bad) do
      status, said = post("/lead", case[2], case[3])
      assert.equal(case[1], status, number .. ": " .. json.encode(said))
      assert.equal("string", type(said.error))
    end
    assert.equal(405, server:get("/lead").status)
    assert.equal(0, #committed())
  end)

  it("sends leads together that come together, and answers each with its own outcome", function()
    local wanted = {}
    for i = 1, 120 do
      local is_bad = i % 10 == 3
      local id = assert(server.transport:submit({ url = server.url .. "/lead", method = "POST", account = "leads", headers = FORM,
        body = ("name=n%d&tel=%s"):format(i, is_bad and "1" or ("138%08d"):format(i)) }))
      wanted[id] = is_bad and 422 or 202
    end
    for id, result in function() return server.transport:next(30) end do
      assert.equal(wanted[id], result.status, result.body)
      wanted[id] = nil
    end
    assert.is_nil(next(wanted))
    local requests = {}
    local count = 0
    for _, commit in ipairs(committed()) do
      count = count + 1
      requests[commit.request] = true
    end
    assert.equal(108, count)
    local calls = 0
    for _ in pairs(requests) do
      calls = calls + 1
    end
    assert.is_true(calls < 108, calls .. " calls for 108 leads")
  end)

  it("gives a repeat of a lead the first one's answer, and sends it once", function()
    local status, said = post("/keyed", "id=k-1&tel=13812345678", FORM)
    assert.same({ 202, "accepted_pending" }, { status, said.state })
    for _ = 1, 5 do
      local again, what = post("/keyed", "id=k-1&tel=13812345678", FORM)
      assert.same({ 202, "accepted_pending", said.lead, true }, { again, what.state, what.lead, what["repeat"] })
    end
    assert.equal(202, (post("/keyed", "tel=13812345679", FORM))) -- without the key there is no repeat
    assert.equal(202, (post("/keyed", "tel=13812345679", FORM)))
    assert.equal(3, #committed())
  end)

  it("takes leads with an empty key for no repeats of each other", function()
    for i, sent in ipairs({ { "id=&tel=13812345671", FORM }, { "id&tel=13812345672", FORM }, { '{"id":"","tel":"13812345673"}', JSON } }) do
      local status, said = post("/keyed", sent[1], sent[2])
      assert.same({ 202, "accepted_pending" }, { status, said.state }, json.encode(said))
      assert.is_nil(said["repeat"])
      assert.equal(i, #committed())
    end
  end)

  it("takes a lead that was rejected when it comes again corrected, and once", function()
    for _ = 1, 2 do
      local status, said = post("/keyed", "id=k-2&tel=1", FORM)
      assert.same({ 422, "rejected" }, { status, said.state }, json.encode(said))
    end
    local status, said = post("/keyed", "id=k-2&tel=13812345678", FORM)
    assert.same({ 202, "accepted_pending" }, { status, said.state }, json.encode(said))
    assert.is_true(select(2, post("/keyed", "id=k-2&tel=13812345678", FORM))["repeat"])
    assert.equal(1, #committed())
  end)

  it("keeps a lead once whose import cannot begin, however often it comes, and sends it once when that is mended", function()
    local first
    for _ = 1, 3 do
      local status, said = post("/dated", "id=k-3&tel=13812345678", FORM)
      assert.same({ 500, "failed" }, { status, said.state }, json.encode(said))
      first = first or said.lead
      assert.equal(first, said.lead)
    end
    local folder, id = server.folder .. "/dated", first:match("^(.*)%.1$")
    command.write(dnc .. ".new", "phone\n13812345677\n")
    raw_server.eventually(function() return core.system.stat(folder .. "/" .. id .. "/order.json") end, "the order put away")
    assert.equal(0, #committed())
    local mend = command.read("docs/openresty.md"):match("\n *(for f in %*/failed%.json; [^\n]*)\n")
    assert.equal("", command.run({ "sh", "-ec", "cd " .. folder .. "; " .. mend }).err)
    raw_server.eventually(function() return #committed() == 1 end, "the lead")
    os.remove(dnc .. ".new")
  end)

  it("keeps a lead pending, not failed, whose worker has no descriptor for its import, and sends it later", function()
    local one = nginx.new({ main = "worker_rlimit_nofile 100;", http = HTTP, server = SERVER, values = { order = order, dnc = dnc } }):start()
    local said, was = {}, server
    server = one
    local fine, problem = pcall(function()
      for leave = 1, 12 do
        local status, answer = post("/crowded?leave=" .. leave, ("tel=138123456%02d"):format(leave), FORM)
        said[leave] = status .. " " .. tostring(answer.state)
        assert.equal(200, server:get("/release").status)
      end
      raw_server.eventually(function() return #committed() == 12 end, "all leads")
    end)
    server = was
    one:stop(true)
    assert(fine, problem)
    for leave, answer in ipairs(said) do
      assert.is_truthy(answer == "202 pending" or answer == "202 accepted_pending", leave .. ": " .. answer)
    end
    assert.equal("202 pending", said[1])
  end)

  it("tells whose number is on a list so, not as accepted, and sends nothing of it", function()
    local status, said = post("/listed", "tel=13812345678", FORM)
    assert.same({ 200, "suppressed" }, { status, said.state }, json.encode(said))
    assert.is_nil(said.code or said.message) -- which list it is, is not theirs to know
    status, said = post("/listed", "tel=13812345679", FORM)
    assert.same({ 202, "accepted_pending" }, { status, said.state }, json.encode(said))
    assert.equal(1, #committed())
  end)

  it("calls no lead accepted that a run with a failed ledger may never have taken up", function()
    local status, said = post("/choked", "tel=13812345678", FORM)
    assert.same({ 202, "pending" }, { status, said.state }, json.encode(said))
  end)

  local function begin(path, body)
    assert(server.transport:submit({ url = server.url .. path, method = "POST", account = "begun", headers = FORM, body = body }))
    raw_server.eventually(function() return server:get("/taken").body ~= "0" end, "the lead on its way")
  end

  it("tells a repeat to come again until the lead is kept, and takes a lead anew whose worker died with it", function()
    local mortal = nginx.new({ http = HTTP, server = SERVER, workers = 2, values = { order = order, dnc = dnc } }):start()
    local was = server
    server = mortal
    local fine, problem = pcall(function()
      begin("/gathering", "id=k-9&tel=13812345678")
      local again = server:get("/gathering", { method = "POST", body = "id=k-9&tel=13812345678", headers = FORM })
      assert.equal(503, again.status, again.body)
      os.execute("kill -9 " .. assert(tonumber(server:get("/holder").body)))
      local status, said
      raw_server.eventually(function()
        status, said = post("/gathering", "id=k-9&tel=13812345678", FORM)
        return status ~= 503
      end, "the lead taken anew")
      assert.same({ 202, "accepted_pending" }, { status, said.state }, json.encode(said))
      assert.is_nil(said["repeat"])
    end)
    server = was
    mortal:stop(true)
    assert(fine, problem)
    assert.equal(1, #committed())
  end)

  it("answers a lead whose list is being written as pending, once it is written", function()
    begin("/sluggish", "id=k-8&tel=13812345678")
    assert.equal(503, (post("/sluggish", "id=k-8&tel=13812345678", FORM)))
    local _, result = server.transport:next(30)
    local said = json.decode(result.body)
    assert.same({ 202, "pending" }, { result.status, said.state }, result.body)
    local status, again = post("/sluggish", "id=k-8&tel=13812345678", FORM)
    assert.same({ 202, said.lead, true }, { status, again.lead, again["repeat"] })
    raw_server.eventually(function() return #committed() == 1 end, "the lead")
  end)

  it("knows whether a lead is kept when nginx ends the request that orders for others", function()
    local one = nginx.new({ http = IMPATIENT, server = SERVER, values = { order = order, dnc = dnc } }):start()
    local fine, problem = pcall(function()
      for _, case in ipairs({ { "behind", 202, 2 }, { "before", 503, 0 } }) do
        imports.reset()
        local folder = one.folder .. "/ended"
        local client = assert(socket.connect("127.0.0.1", one.port))
        local text = "name=a&tel=13812345678"
        client:send(("POST /ended?stop=%s HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
          .. "Content-Length: %d\r\n\r\n%s"):format(case[1], #text, text))
        local id = assert(one.transport:submit({ url = one.url .. "/ended", method = "POST", headers = FORM, body = "name=b&tel=13812345679",
          account = "spec", max_connection_age = 0 }))
        raw_server.eventually(function() return one:get("/stopped").body == "true" end, "the order")
        client:close()
        one:get("/again")
        local got, result = one.transport:next(30)
        assert.same({ id, case[2] }, { got, result.status }, result.body)
        local active = core.system.list_dir(folder .. "/active")
        assert.same({ case[3] / 2, 0 }, { #active, #core.system.list_dir(folder .. "/drafts") })
        if case[3] > 0 then
          local list = command.read(folder .. "/" .. active[1]:gsub("%.json$", "") .. "/list.csv")
          assert.is_truthy(list:find("13812345678", 1, true) and list:find("13812345679", 1, true), list)
        end
        command.remove(folder)
      end
    end)
    one:stop(true)
    assert(fine, problem)
  end)

  it("keeps a lead that somebody was told is kept, though the disk fails afterwards", function()
    local one = nginx.new({ http = IMPATIENT, server = SERVER, values = { order = order, dnc = dnc } }):start()
    local fine, problem = pcall(function()
      assert(one.transport:submit({ url = one.url .. "/doubtful", method = "POST", headers = FORM, body = "tel=13812345678",
        account = "spec", max_connection_age = 0 }))
      raw_server.eventually(function() return one:get("/stopped").body == "true" end, "the order")
      local _, result = one.transport:next(30)
      assert.same({ 202, "pending" }, { result.status, json.decode(result.body).state }, result.body)
      one:get("/fail")
      raw_server.eventually(function() return one:get("/failed").body == "true" end, "the disk's failure")
      core.system.sleep(0.05)
      local id = json.decode(result.body).lead:match("^([%w-]+)%.")
      assert.is_truthy(command.read(one.folder .. "/doubtful/" .. id .. "/list.csv"):find("13812345678", 1, true))
    end)
    one:stop(true)
    assert(fine, problem)
  end)

  it("tells doubt as doubt", function()
    imports.reset({ "import_customers_async:after-commit-close@1" })
    local status, said = post("/lead", "tel=13812345678", FORM)
    assert.same({ 202, "ambiguous" }, { status, said.state }, json.encode(said))
    assert.equal(1, #committed())
  end)

  it("keeps a lead while the platform is away, and delivers it when it is back", function()
    local status, said = post("/late", "tel=13812345678&name=late", FORM)
    assert.same({ 202, "pending" }, { status, said.state }, json.encode(said))
    assert.equal(1, #core.system.list_dir(server.folder .. "/late/active"))
    local back = assert(sandbox.start{ port = late_port, accounts = { longlong = {
      token = imports.accounts.longlong.token, user_id = imports.accounts.longlong.user_id } }, clock = "2025-11-10 09:00:00" })
    local ok, problem = pcall(raw_server.eventually, function()
      return #core.system.list_dir(server.folder .. "/late/active") == 0
    end, "the lead")
    local page = back:control("commits")
    back:stop()
    assert(ok, problem)
    assert.equal(1, page.total)
    assert.equal("late", page.commits[1].row.name)
  end)

  it("keeps one rate for both workers, and answers 500 where it is set up wrongly", function()
    local counts = {}
    for _ = 1, 60 do
      assert(server.transport:submit({ url = server.url .. "/slow", method = "POST", account = "slow", headers = FORM, body = "tel=1" }))
    end
    for _, result in function() return server.transport:next(30) end do
      counts[result.status] = (counts[result.status] or 0) + 1
    end
    assert.equal(60, (counts[422] or 0) + (counts[503] or 0))
    assert.is_true(counts[422] >= 3 and counts[503] > 0, json.encode({ counts[422] or 0, counts[503] or 0 }))
    local status, said = post("/broken", "tel=13812345678", FORM)
    assert.same({ 500, "failed" }, { status, said.state })
    local text = server:get("/metrics").body
    assert.is_truthy(text:find('campaign_leads_total{state="rejected"}', 1, true), text)
    assert.is_true(tonumber(text:match('campaign_leads_total{state="refused"} (%d+)')) >= counts[503], text)
  end)
end)

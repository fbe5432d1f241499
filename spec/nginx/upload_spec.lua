-- SPDX-License-Identifier: MIT
-- Uploads and jobs in a real nginx with two workers against the sandbox: streamed to the disk, imported once, whatever becomes of workers.

local campaign = require "campaign"
local command = require "support.command"
local core = require "campaign.core"
local imports = require "support.imports"
local json = require "campaign.json"
local ledger_module = require "campaign.ledger"
local nginx = require "support.nginx"
local raw_server = require "support.raw_server"
local sandbox = require "campaign.sandbox"
local socket = require "socket"

local HTTP = [[
  lua_shared_dict campaign 1m;
  lua_shared_dict full 16k;
  client_max_body_size 0;
  init_by_lua_block {
    require("campaign.openresty.metrics").use("campaign")
    local file = assert(io.open("%(order)"))
    local accounts = require("campaign.json").decode(file:read("*a"))
    file:close()
    local new = require("campaign.openresty.upload").new
    upload = new{ folder = "%(jobs)", shared = "campaign", to = "longlong.import_customers_async", account = accounts.longlong,
      max_bytes = 80000000, concurrency = 2, rows_per_call = 20 }
    crowded = new{ folder = "%(jobs)-crowded", shared = "full", to = "longlong.import_customers_async", account = accounts.longlong }
    lists = new{ folder = "%(jobs)-lists", to = "outbound.upload_contacts_file", account = accounts.outbound, accept = { "dataSourceName" }, window = "ignore" }
    poor = new{ folder = "%(jobs)-poor", shared = "campaign", to = "longlong.import_customers_async", account = accounts.longlong,
      set = { phone = "1" }, map = { phone = "nowhere" } }
    patient = new{ folder = "%(jobs)-patient", shared = "campaign", to = "longlong.import_customers_async", account = accounts.longlong,
      rows_per_call = 20, concurrency = 2 }
    attended = new{ folder = "%(jobs)-attended", to = "longlong.import_customers_async", account = accounts.longlong }
    away = new{ folder = "%(jobs)-away", shared = "campaign", to = "outbound.upload_contacts_file", account = accounts.away, attempts = 1,
      params = { dataSourceName = "autumn-contacts" }, retry = 0.3, window = "ignore" }
    for i = 1, 10000 do
      if not ngx.shared.full:safe_set("filler" .. i, ("x"):rep(100)) then break end
    end
    loaded = {}
    for name in pairs(package.loaded) do loaded[name] = true end
  }
  init_worker_by_lua_block { upload:watch(0.2) away:watch(0.2) patient:watch(3600) }
]]

local SERVER = [[
  location = /upload { content_by_lua_block { upload:receive() } }
  location = /dropped { content_by_lua_block { -- nginx takes a timer and drops it when too many run
    local at = ngx.timer.at
    ngx.timer.at = function() ngx.timer.at = at return true end
    upload:receive()
    ngx.timer.at = at
  } }
  location = /crowded { content_by_lua_block { crowded:receive() } }
  location = /patient { content_by_lua_block { patient:receive() } }
  location ~ ^/patient/([^/]+)$ { content_by_lua_block { patient:status(ngx.var[1]) } }
  location = /attended { lua_check_client_abort on; content_by_lua_block { attended:receive() } }
  location = /lists { content_by_lua_block { lists:receive() } }
  location = /poor { content_by_lua_block { poor:receive() } }
  location = /away { content_by_lua_block { away:receive() } }
  location ~ ^/away/([^/]+)$ { content_by_lua_block { away:status(ngx.var[1]) } }
  location ~ ^/jobs/([^/]+)$ { content_by_lua_block { upload:status(ngx.var[1]) } }
  location ~ ^/crowded/([^/]+)$ { content_by_lua_block { crowded:status(ngx.var[1]) } }
  location ~ ^/lists/([^/]+)$ { content_by_lua_block { lists:status(ngx.var[1]) } }
  location ~ ^/poor/([^/]+)$ { content_by_lua_block { poor:status(ngx.var[1]) } }
  location ~ ^/jobs/([^/]+)/events$ { lua_http10_buffering off; content_by_lua_block { upload:events(ngx.var[1]) } }
  location ~ ^/jobs/([^/]+)/([a-z_]+)\.csv$ { content_by_lua_block { upload:file(ngx.var[1], ngx.var[2]) } }
  location = /pid { content_by_lua_block { ngx.print(ngx.worker.pid()) } }
  location = /memory { content_by_lua_block { collectgarbage() ngx.print(io.open("/proc/self/status"):read("*a"):match("VmHWM:%s*(%d+)")) } }
  location = /late { content_by_lua_block {
    for name in pairs(package.loaded) do
      if name:find("^campaign") and not loaded[name] then ngx.print(name, " ") end
    end
  } }
  location = /reused { content_by_lua_block { -- what a killed worker left, whose number another process has now
    for _, process in ipairs{ "1", "1.7", ngx.worker.pid() .. ".7" } do
      assert(ngx.shared.campaign:set("metric:campaign_jobs_running@" .. process, 5))
    end
  } }
  location = /metrics { content_by_lua_block { require("campaign.openresty.metrics").handle() } }
]]

describe("campaign.openresty.upload", function()
  local root, server, away_port

  local function start(workers, name)
    return nginx.new({ http = HTTP, server = SERVER, workers = workers or 2,
      values = { order = root .. "/order.json", jobs = root .. "/" .. (name or "jobs") } }):start()
  end

  setup(function()
    imports.start()
    root = command.folder()
    away_port = nginx.free_port()
    local accounts = { away = {} }
    for name, account in pairs(imports.accounts) do
      accounts[name] = account
    end
    for name, value in pairs(imports.accounts.outbound) do
      accounts.away[name] = value
    end
    accounts.away.base_url = "http://127.0.0.1:" .. away_port
    command.write(root .. "/order.json", json.encode(accounts))
    server = start()
  end)
  teardown(function()
    server:stop()
    imports.stop()
    command.remove(root)
  end)
  before_each(function() imports.reset() end)

  local function form(text, more)
    local parts = { { name = "file", filename = "客户.csv", type = "text/csv", value = text } }
    for _, part in ipairs(more or {}) do
      table.insert(parts, 1, part)
    end
    return core.form(parts)
  end

  local function send(path, options)
    options.method = options.method or "POST"
    local result = server:get(path, options)
    return assert(json.decode(result.body or ""), tostring(result.error)), result.status
  end

  local function status_of(id, path)
    return json.decode(server:get((path or "/jobs/") .. id).body)
  end

  local function finished(id, path)
    local status
    local limit = core.system.monotonic() + 60
    repeat
      core.system.sleep(0.02)
      status = status_of(id, path)
      assert(core.system.monotonic() < limit, "the job does not end: " .. json.encode(status or {}))
    until status and (status.state == "finished" or status.state == "failed" or status.state == "stopped")
    return status
  end

  local function drafts(name)
    return #(core.system.list_dir(root .. "/" .. (name or "jobs") .. "/drafts") or {})
  end

  it("streams the file of a form to the disk, imports it, and tells how far it is", function()
    local text = imports.people(300, function(i) return i % 100 == 7 and ("c-%d,客户,,公司,"):format(i) or nil end)
    local answer, status = send("/upload", { body = form(text, { { name = "note", value = "x" } }) })
    assert.equal(202, status)
    assert.equal(#text, answer.bytes)
    local done = finished(answer.job)
    assert.same({ "finished", 300, 297, 3, 7 }, { done.state, done.rows, done.accepted_pending, done.rejected, done.exit_code })
    assert.same({ "rejects" }, done.files)
    assert.equal(297, #imports.commits("import_customers_async"))
    local rejects = server:get("/jobs/" .. answer.job .. "/rejects.csv")
    assert.equal(200, rejects.status)
    assert.equal(4, select(2, rejects.body:gsub("\n", "")))
    local head = server:get("/jobs/" .. answer.job .. "/rejects.csv", { method = "HEAD" })
    assert.same({ 200, "" }, { head.status, head.body })
    for _, result in ipairs({ rejects, head }) do
      local length
      for _, header in ipairs(result.headers) do
        length = header[1]:lower() == "content-length" and tonumber(header[2]) or length
      end
      assert.equal(#rejects.body, length)
    end
    assert.equal(404, server:get("/jobs/" .. answer.job .. "/ledger.csv").status)
    assert.equal(404, server:get("/jobs/20250101-000000-00000000").status)
    assert.equal(text, command.read(root .. "/jobs/" .. answer.job .. "/list.csv"))
    assert.equal(384, core.system.stat(root .. "/jobs/" .. answer.job .. "/list.csv").mode % 512)
    assert.same({}, core.system.list_dir(root .. "/jobs/active"))
    local events = server:get(answer.events).body
    local last_id = events:match('^id: (%x+)\ndata: {.*"state":"finished".*}\n\n$')
    assert.is_truthy(last_id, events)
    local function again(id)
      return server:get(answer.events, { headers = { { "Last-Event-ID", id } } })
    end
    assert.equal(204, again(last_id).status) -- a browser comes again until it is told so
    assert.equal(events, again("00000000").body)
    local metrics = server:get("/metrics").body
    assert.is_truthy(metrics:find('campaign_job_rows_total{state="rejected"} 3', 1, true), metrics)
    assert.is_truthy(metrics:find("campaign_jobs_running 0", 1, true), metrics)
    for name, label in pairs({ campaign_request_seconds = 'handler="upload"', campaign_attempt_seconds = 'outcome="2xx"' }) do
      assert.is_truthy(metrics:find("# TYPE " .. name .. " histogram", 1, true), metrics)
      local last, buckets = 0, 0
      for count in metrics:gmatch(name .. "_bucket{" .. label .. ',le="[^"]*"} (%d+)') do
        assert.is_true(tonumber(count) >= last)
        last, buckets = tonumber(count), buckets + 1
      end
      assert.equal(16, buckets)
      assert.equal(last, tonumber(metrics:match(name .. "_bucket{" .. label .. ',le="%+Inf"} (%d+)')))
      assert.equal(last, tonumber(metrics:match(name .. "_count{" .. label .. "} (%d+)")))
      assert.is_true(last >= 1 and tonumber(metrics:match(name .. "_sum{" .. label .. "} (%S+)")) > 0)
    end
  end)

  it("sends of a row file what it told the length of, though it grows or is cut meanwhile", function()
    local id = send("/upload", { body = form(imports.people(8, function(i) return i == 7 and "c-7,客户,,公司," or nil end)) }).job
    assert.equal("finished", finished(id).state)
    local path = root .. "/jobs/" .. id .. "/job/rejects.csv"
    local whole = ("x"):rep(20000000) -- more than lies in the buffers of a connection
    local function get(meanwhile)
      command.write(path, whole)
      local client = assert(socket.connect("127.0.0.1", server.port))
      client:settimeout(20)
      client:send(("GET /jobs/%s/rejects.csv HTTP/1.1\r\nHost: x\r\n\r\nGET /pid HTTP/1.1\r\nHost: x\r\n\r\n"):format(id))
      local length, line
      repeat
        line = assert(client:receive("*l"))
        length = length or line:lower():match("^content%-length: (%d+)")
      until line == ""
      meanwhile()
      local body, why = client:receive(tonumber(length))
      local next_line = body and client:receive("*l")
      client:close()
      return body, next_line, why
    end
    local body, next_line = get(function() command.write(path, whole .. ("y"):rep(1000000)) end)
    assert.is_true(body == whole, "other bytes than the file had")
    assert.equal("HTTP/1.1 200 OK", next_line:sub(1, 15))
    local cut, _, why = get(function() command.write(path, "") end)
    assert.is_nil(cut)
    assert.equal("closed", why)
  end)

  it("has read before the workers start what an import needs", function()
    for _ = 1, 10 do -- by either worker
      assert.equal("", server:get("/late").body)
    end
  end)

  it("takes the plain body of a request, with its length or in chunks, and fields of a form as parameters", function()
    local text = imports.people(50)
    local put = send("/upload", { method = "PUT", body = text })
    assert.equal(50, finished(put.job).accepted_pending)
    command.write(root .. "/list.csv", text)
    local run = command.run({ "curl", "-s", "-T", "-", server.url .. "/upload" }, { stdin = text })
    assert.equal(50, finished(json.decode(run.out).job).accepted_pending)
    run = command.run({ "curl", "-s", "-F", "file=@" .. root .. "/list.csv", "-H", "Expect: 100-continue", server.url .. "/upload" })
    assert.equal(50, finished(json.decode(run.out).job).accepted_pending)
    assert.equal(150, #imports.commits("import_customers_async"))
    local named = send("/lists", { body = form("uuid,name,phone,company\nu-1,a,13800000001,b\n",
      { { name = "dataSourceName", value = "autumn-contacts" } }) })
    local done = finished(named.job, "/lists/")
    assert.same({ "finished", 1 }, { done.state, done.accepted }, json.encode(done))
    -- A browser's form with two file fields, the first of them left empty.
    local put_off = '--b\r\nContent-Disposition: form-data; name="%s"; filename="%s"\r\nContent-Type: text/csv\r\n\r\n%s\r\n'
    local two = send("/upload", { headers = { { "Content-Type", "multipart/form-data; boundary=b" } },
      body = put_off:format("other", "", "") .. put_off:format("file", "l.csv", imports.people(10)) .. "--b--\r\n" })
    assert.equal(10, finished(two.job).accepted_pending)
  end)

  it("tells its progress as events while it runs", function()
    imports.reset({ "import_customers_async:delay=100@1-" })
    for _, ask in ipairs({
      function(path) return server:get(path).body end,
      function(path) return command.run({ "curl", "-sN", "--http1.0", server.url .. path }).out end, -- as another nginx in front of this one
    }) do
      local answer = send("/upload", { body = form(imports.people(200)) })
      local states = {}
      for line in ask(answer.events):gmatch("data: ([^\n]+)") do
        local event = json.decode(line)
        states[event.state] = (states[event.state] or 0) + 1
        assert.equal(answer.job, event.id)
      end
      assert.is_true((states.running or 0) > 0, json.encode(states))
      assert.equal(1, states.finished)
    end
  end)

  it("refuses what is too large, empty, no form or no list, and keeps nothing of it", function()
    local cases = {
      { 413, { body = core.source(("x"):rep(80000001 + 1048576)) } },
      { 400, { body = "" } },
      { 400, { body = "x", headers = { { "Content-Type", "multipart/form-data" } } } },
      { 400, { body = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nuuid\r\n",
        headers = { { "Content-Type", "multipart/form-data; boundary=b" } } } },
      { 400, { body = core.form{ { name = "note", value = "no file" } } } },
      { 405, { method = "GET" } },
    }
    for number, case in ipairs(cases) do
      local result, status = send("/upload", case[2])
      assert.equal(case[1], status, number .. ": " .. tostring(result.error))
      assert.equal("string", type(result.error))
    end
    assert.equal(0, drafts())
    local answer = send("/upload", { body = "phone\n" })
    local done = finished(answer.job)
    assert.same({ "failed", "invalid" }, { done.state, done.error.kind })
    answer = send("/poor", { body = "phone\n1\n" })
    done = finished(answer.job, "/poor/")
    assert.same({ "failed", "usage" }, { done.state, done.error.kind })
  end)

  it("holds a job that cannot begin while the platform is away, and runs it when it is back", function()
    local answer = send("/away", { body = form("uuid,name,phone,company\nu-1,a,13800000001,b\nu-2,b,13800000002,c\n") })
    local folder = root .. "/jobs-away/" .. answer.job
    local held
    raw_server.eventually(function()
      held = core.system.stat(folder .. "/waiting.json") and json.decode(command.read(folder .. "/waiting.json"))
      return held and held.tries >= 2
    end, "a second attempt")
    assert.is_true(held.due > core.system.stat(folder .. "/list.csv").mtime)
    assert.equal("network", held.error.kind)
    assert.is_nil(core.system.stat(folder .. "/failed.json"))
    assert.equal(1, #core.system.list_dir(root .. "/jobs-away/active"))
    local given = {}
    for name, value in pairs(imports.accounts.outbound) do
      given[name] = name ~= "base_url" and value or nil
    end
    local back = assert(sandbox.start{ port = away_port, accounts = { outbound = given }, clock = "2025-11-10 09:00:00" })
    local fine, done = pcall(finished, answer.job, "/away/")
    local page = back:control("commits")
    back:stop()
    assert(fine, done)
    assert.same({ "finished", 2 }, { done.state, done.accepted }, json.encode(done))
    assert.equal(2, page.total)
    raw_server.eventually(function() return #core.system.list_dir(root .. "/jobs-away/active") == 0 end, "the order put away")
    assert.is_nil(core.system.stat(folder .. "/waiting.json"))
  end)

  it("says in the log why a job failed or cannot be run, and runs it again when its order is put back", function()
    local answer = send("/upload", { body = form("colour\nblue\n") })
    assert.equal("failed", finished(answer.job).state)
    local folder = root .. "/jobs/" .. answer.job
    -- Its state is told first, then it is written down and its order put away.
    raw_server.eventually(function() return core.system.stat(folder .. "/order.json") end, "the order put away")
    local said = json.decode(command.read(folder .. "/failed.json"))
    local line = server:read_log():match("[^\n]*job " .. answer.job:gsub("%-", "%%-") .. " failed: [^\n]*")
    assert.is_truthy(line and line:find(said.message, 1, true), said.message)
    command.write(folder .. "/list.csv", imports.people(3))
    assert(core.system.remove(folder .. "/failed.json"))
    assert(core.system.remove(folder .. "/lock"))
    assert(core.system.make_dirs(folder .. "/lock")) -- which cannot be opened
    assert(os.rename(folder .. "/order.json", root .. "/jobs/active/" .. answer.job .. ".json"))
    raw_server.eventually(function()
      return server:read_log():find("job " .. answer.job .. " cannot be run: " .. folder .. "/lock: Is a directory", 1, true)
    end, "a word in the log")
    assert(core.system.remove(folder .. "/lock"))
    raw_server.eventually(function() return status_of(answer.job).state == "finished" end, "the job")
    assert.equal(3, #imports.commits("import_customers_async"))
  end)

  it("runs a job whose worker died before its plan was recorded", function()
    for number, has_record in ipairs({ false, true }) do
      local answer = send("/upload", { body = form("colour\nblue\n") })
      local folder = root .. "/jobs/" .. answer.job
      raw_server.eventually(function() return core.system.stat(folder .. "/order.json") end, "the order put away")
      command.write(folder .. "/list.csv", imports.people(3))
      assert(core.system.remove(folder .. "/failed.json"))
      assert(core.system.make_dirs(folder .. "/job", 448))
      assert(ledger_module.open(folder .. "/job/ledger.db", { create = true })):close()
      if has_record then
        command.write(folder .. "/job/job.json", '{"format":1}')
      end
      assert(os.rename(folder .. "/order.json", root .. "/jobs/active/" .. answer.job .. ".json"))
      raw_server.eventually(function() return status_of(answer.job).state == "finished" end, "the job")
      assert.equal(3 * number, #imports.commits("import_customers_async"))
    end
  end)

  it("keeps nothing of a client that goes away", function()
    for _, head in ipairs({ "Content-Length: 100000\r\n\r\nuuid,phone\n",
      "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 90000\r\n\r\n--b\r\n"
        .. "Content-Disposition: form-data; name=f; filename=a\r\n\r\n1" }) do
      local client = assert(socket.connect("127.0.0.1", server.port))
      client:send("POST /upload HTTP/1.1\r\nHost: x\r\n" .. head)
      raw_server.eventually(function() return drafts() == 1 end, "the draft")
      client:close()
      raw_server.eventually(function() return drafts() == 0 end, "the end of the draft")
    end
  end)

  it("takes or drops a file whose client is gone, and leaves it halfway nowhere", function()
    local name, list = "jobs-attended", imports.people(3)
    local function count(kind)
      return #(core.system.list_dir(root .. "/" .. name .. "/" .. kind) or {})
    end
    for i = 1, 20 do
      local client = assert(socket.connect("127.0.0.1", server.port))
      client:send(("POST /attended HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s"):format(#list, list))
      core.system.sleep(i % 5 / 1000)
      if i == 20 then
        client:receive("*l") -- at least one is taken, also where the machine is busy
      end
      client:close()
    end
    raw_server.eventually(function()
      local taken = 0
      for _, entry in ipairs(core.system.list_dir(root .. "/" .. name) or {}) do
        taken = taken + (core.system.stat(root .. "/" .. name .. "/" .. entry .. "/order.json") and 1 or 0)
      end
      return taken > 0 and count("drafts") == 0 and count("active") == 0
    end, "the end of all drafts and jobs")
  end)

  it("holds no more of a large file in memory than a piece", function()
    local path = root .. "/large.csv"
    local file = assert(io.open(path, "wb"))
    file:write("uuid,phone\n")
    local block = ("u-1,\"13800000001\n"):rep(1) .. ("x"):rep(1048575 - 20) .. "\n" -- never a list: one record without end
    for _ = 1, 60 do
      file:write(block)
    end
    file:close()
    local one = start(1, "large")
    local was = server
    server = one
    local small = send("/upload", { body = form("phone\n") })
    finished(small.job)
    local before = tonumber(one:get("/memory").body)
    local answer, status = send("/upload", { body = core.form{ { name = "file", filename = "l.csv", path = path } } })
    local after = tonumber(one:get("/memory").body)
    server = was
    one:stop(true)
    assert.equal(202, status)
    assert.is_true(answer.bytes > 60 * 1000000)
    assert.is_true(after - before < 24576, ("%d KiB more for a file of 60 MB"):format(after - before))
  end)

  it("goes on when the dictionary is full: the folder says where a job is", function()
    local answer = send("/crowded", { body = form(imports.people(20)) })
    local done = finished(answer.job, "/crowded/")
    assert.same({ "finished", 20 }, { done.state, done.accepted_pending })
  end)

  it("runs a job whose timer nginx dropped, and loses no room for others by it", function()
    local one = start(1, "dropped")
    local was = server
    server = one
    local fine, problem = pcall(function()
      local answer = send("/dropped", { body = form(imports.people(20)) })
      assert.equal("queued", status_of(answer.job).state)
      assert.equal("finished", finished(answer.job).state)
    end)
    server = was
    one:stop(true)
    assert(fine, problem)
    assert.equal(20, #imports.commits("import_customers_async"))
  end)

  -- Every row once: by the sandbox's log, and by the books.
  local function assert_once(rows, done)
    assert.equal(rows, done.accepted_pending + done.ambiguous, json.encode(done))
    local seen, committed = {}, 0
    for _, commit in ipairs(imports.commits("import_customers_async")) do
      local phone = json.encode(commit.row):match("138%d+")
      assert.is_nil(seen[phone], "a row was sent twice")
      seen[phone] = true
      committed = committed + 1
    end
    assert.is_true(committed >= done.accepted_pending and committed <= rows)
  end

  it("goes on with a job whose worker was killed, and sends no row twice", function()
    local mortal = start(2, "mortal")
    local was = server
    server = mortal
    imports.reset({ "import_customers_async:delay=40@1-" })
    local fine, problem = pcall(function()
      local answer = send("/upload", { body = form(imports.people(1000)) })
      local kills = 0
      for _ = 1, 3 do
        local pid
        raw_server.eventually(function()
          local status = status_of(answer.job)
          pid = status and status.state == "running" and status.phase == "sending" and status.worker
          return pid or status and status.state == "finished"
        end, "the job in a worker")
        if pid then
          os.execute("kill -9 " .. pid)
          kills = kills + 1
          raw_server.eventually(function()
            local status = status_of(answer.job)
            return status and (status.worker and status.worker ~= pid or status.state == "finished")
          end, "another worker with the job")
        end
      end
      assert.is_true(kills >= 1)
      local done = finished(answer.job)
      assert.equal("finished", done.state)
      assert_once(1000, done)
      assert.is_true(done.ambiguous <= kills * 2 * 20, "more in doubt than was in flight")
      assert.equal(200, mortal:get("/reused").status)
      raw_server.eventually(function()
        return mortal:get("/metrics").body:find("\ncampaign_jobs_running 0\n", 1, true)
      end, "that no job runs any more")
    end)
    server = was
    mortal:stop(true)
    assert(fine, problem)
  end)

  it("hands a job on at a reload and after a restart, without doubt about any row", function()
    local first = start(2, "handed")
    local was = server
    server = first
    imports.reset({ "import_customers_async:delay=40@1-" })
    local fine, problem = pcall(function()
      local answer = send("/upload", { body = form(imports.people(1000)) })
      local function sending()
        raw_server.eventually(function()
          local status = status_of(answer.job)
          return status and status.phase == "sending"
        end, "the job on its way")
      end
      sending()
      first:signal("HUP")
      core.system.sleep(0.3)
      sending()
      first:signal("QUIT")
      assert(first:wait_gone())
      assert.equal(1, #core.system.list_dir(root .. "/handed/active"))
      local folder = root .. "/handed/" .. answer.job .. "/job"
      local left = assert(json.decode(command.read(folder .. "/report.json")))
      assert.same({ "stopped", "cancelled", 1000 }, { left.state, left.error.kind, left.accepted_pending + left.pending })
      assert.is_true(left.pending > 100)
      local listed = core.system.stat(folder .. "/not_sent.csv") -- of those in flight at most, not the rest of a long list
      assert.is_true(not listed or select(2, command.read(folder .. "/not_sent.csv"):gsub("\n", "")) <= 41)
      local proof = assert(campaign.verify(folder))
      assert.is_true(proof.ok, json.encode(proof.faults))
      local second = start(2, "handed")
      server = second
      local done = finished(answer.job)
      server = first
      second:stop()
      assert.same({ "finished", 0 }, { done.state, done.ambiguous })
      assert_once(1000, done)
    end)
    server = was
    first:stop(true)
    assert(fine, problem)
  end)

  it("hands a job on at a reload without waiting for the next look", function()
    imports.reset({ "import_customers_async:delay=40@1-" })
    local answer = send("/patient", { body = form(imports.people(1000)) })
    local function worker()
      local status = status_of(answer.job, "/patient/")
      return status and status.phase == "sending" and status.worker
    end
    raw_server.eventually(worker, "the job on its way")
    local first = worker()
    server:signal("HUP")
    raw_server.eventually(function()
      local now = worker()
      return now and now ~= first
    end, "the job in a worker of the new ones")
    local done = finished(answer.job, "/patient/")
    assert.same({ "finished", 0 }, { done.state, done.ambiguous })
    assert_once(1000, done)
  end)

  it("lets one runner at a time have a job, and tells the others who it is", function()
    imports.reset({ "import_customers_async:delay=100@1-" })
    local answer = send("/upload", { body = form(imports.people(200)) })
    local pid
    raw_server.eventually(function()
      local status = status_of(answer.job)
      pid = status and status.phase == "sending" and status.worker
      return pid
    end, "the job in a worker")
    local run = command.campaign({ "resume", root .. "/jobs/" .. answer.job .. "/job" })
    assert.equal(8, run.code, run.out .. run.err)
    assert.is_truthy(run.err:find(("process %d holds the lock"):format(pid), 1, true), run.err)
    assert_once(200, finished(answer.job))
  end)
end)

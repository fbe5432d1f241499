-- SPDX-License-Identifier: MIT
-- Requests that no good client makes, or few do, against the locations of callbacks, leads and uploads: a table of what is sent, byte for byte, and
-- what must come back. After each of them a request for /here stands on the same connection: it is answered as itself, or the connection is
-- closed; nothing that lay in a body is ever taken for a request.

local command = require "support.command"
local core = require "campaign.core"
local json = require "campaign.json"
local nginx = require "support.nginx"
local raw_server = require "support.raw_server"
local socket = require "socket"

local HTTP = [[
  lua_shared_dict campaign 1m;
  init_by_lua_block {
    local account = { base_url = "http://127.0.0.1:1", token = "t", user_id = "1" } -- nobody is there: jobs wait
    local given = { to = "longlong.import_customers_async", account = account, attempts = 1, retry = 3600 }
    local function options(more)
      for name, value in pairs(given) do more[name] = value end
      return more
    end
    callback = require("campaign.openresty.callback").new{ platform = "longlong", store = "%(folder)/store", prefix = "/cb/",
      secret = "b7c1d2e3f4a5968778695a4b3c2d1e0f", max_body = 100000 }
    upload = require("campaign.openresty.upload").new(options{ folder = "%(folder)/jobs", max_bytes = 300000, accept = { "dataSourceName" } })
    lead = require("campaign.openresty.lead").new(options{ folder = "%(folder)/leads", fields = { "name", "tel" }, map = { phone = "tel" },
      wait = 0.05 })
  }
]]

local SERVER = [[
  listen 127.0.0.1:%(http2) http2;
  client_max_body_size 4m;
  client_body_buffer_size 16k;
  client_header_buffer_size 1k;
  large_client_header_buffers 4 4k;
  location /cb/ { content_by_lua_block { callback:handle() } }
  location = /lead { content_by_lua_block { lead:handle() } }
  location = /upload { content_by_lua_block { upload:receive() } }
  location ~ ^/within(/.+)$ {
    content_by_lua_block {
      ngx.req.read_body()
      local answer = ngx.location.capture(ngx.var[1], { method = ngx["HTTP_" .. ngx.req.get_method()], always_forward_body = true })
      ngx.status = answer.status
      ngx.print(answer.body)
    }
  }
  location = /here { content_by_lua_block { ngx.print("here") } }
  location = /evil { content_by_lua_block { ngx.shared.campaign:incr("evil", 1, 0) } }
  location = /evils { content_by_lua_block { ngx.print(ngx.shared.campaign:get("evil") or 0) } }
]]

local EVIL = "GET /evil HTTP/1.1\r\nHost: x\r\n\r\n"
local CALLBACK, LEAD, UPLOAD = "POST /cb/b7c1d2e3f4a5968778695a4b3c2d1e0f", "POST /lead", "POST /upload"
local unpack = unpack or table.unpack

local FORM, PARTS = "Content-Type: application/x-www-form-urlencoded", "Content-Type: multipart/form-data; boundary="

local function chunked(text, size)
  local out = {}
  for at = 1, #text, size or 7 do
    local piece = text:sub(at, at + (size or 7) - 1)
    out[#out + 1] = ("%x\r\n%s\r\n"):format(#piece, piece)
  end
  return table.concat(out) .. "0\r\n\r\n"
end

local function parts(boundary, ...)
  local out = {}
  for i = 1, select("#", ...) do
    local head, text = unpack((select(i, ...)))
    out[i] = "--" .. boundary .. "\r\n" .. head .. "\r\n\r\n" .. text .. "\r\n"
  end
  return table.concat(out) .. "--" .. boundary .. "--\r\n"
end

local FILE = 'Content-Disposition: form-data; name="file"; filename="a.csv"'
local LIST = "uuid,phone\r\nu-1,13800000001\r\n"
local BODY = '{"unique_id":"c-%d","total":1,"success":1,"fail":0,"rows":[]}'
local LONG = LIST .. ("u-2,13800000002\r\n"):rep(2000) -- more than client_body_buffer_size
local evils = EVIL:rep(9000) -- more than a piece, less than the limit: 297,000 bytes

-- name; request line; header lines; body; status; a text of the answer; how it is sent: its pauses, or as it stands, without Content-Length.
-- `list`: what the upload's list.csv must be.
local CASES = {
  { "a callback in chunks", CALLBACK, { "Transfer-Encoding: chunked" }, chunked(BODY:format(1)), 200, '"kept"', bare = true },
  { "a callback with Expect", CALLBACK, { "Expect: 100-continue" }, BODY:format(2), 200, '"kept"' },
  { "a callback that comes slowly", CALLBACK, {}, BODY:format(3), 200, '"kept"', slow = true },
  { "a callback with two lengths", CALLBACK, { "Content-Length: 5", "Content-Length: 6" }, "12345", 400, nil, bare = true },
  { "a callback with length and chunks", CALLBACK, { "Transfer-Encoding: chunked", "Content-Length: 5" }, chunked("x") .. EVIL, 400, nil,
    bare = true },
  { "a callback that is compressed is kept as it came", CALLBACK, { "Content-Encoding: gzip" }, "\31\139\8\0\0\0\0\0\0\3x", 200, '"kept"' },
  { "a callback whose body is requests", CALLBACK, {}, EVIL:rep(20), 200, '"kept"' },
  { "a callback that is too large", CALLBACK, {}, EVIL:rep(4000), 413, "too large" },
  { "a callback that is too large, in chunks", CALLBACK, { "Transfer-Encoding: chunked" }, chunked(EVIL:rep(4000), 5000), 413, "too large",
    bare = true },
  { "a callback to another path with a body", "POST /cb/forged", {}, EVIL:rep(20), 404, "not here" },
  { "a callback with bad chunks", CALLBACK, { "Transfer-Encoding: chunked" }, "zz\r\n" .. EVIL, 400, nil, bare = true },
  { "a header that is too large", CALLBACK, { "X-Large: " .. ("x"):rep(5000) }, BODY:format(4), 400 },
  { "headers that are too many", CALLBACK, { ("X-Other: y\r\n"):rep(150):sub(1, -3) }, BODY:format(5), 200, '"kept"' },

  { "a lead in chunks", LEAD, { FORM, "Transfer-Encoding: chunked" }, chunked("name=a&tel=13812345678"), 202, "pending", bare = true },
  { "a lead with a charset and capitals", LEAD, { "CONTENT-TYPE: Application/JSON; Charset=UTF-8" }, '{"tel":"13812345678"}', 202, "pending" },
  { "a lead with a quoted boundary", LEAD, { PARTS .. '"a b"' },
    parts("a b", { 'Content-Disposition: form-data; name="tel"', "13812345678" }), 202, "pending" },
  { "a lead with an empty part", LEAD, { PARTS .. "b" }, parts("b", { "Content-Disposition: form-data; name=name", "" }), 400, "none of the fields" },
  { "a lead without fields", LEAD, { FORM }, "=1&&=&%&%zz=1", 400, "none of the fields" },
  { "a lead that is compressed", LEAD, { FORM, "Content-Encoding: gzip" }, "\31\139\8\0\0\0\0\0\0\3x", 415, "Content-Encoding" },
  { "a lead with a huge number", LEAD, { "Content-Type: application/json" }, '{"tel":1e999}', 400 },
  { "a lead one of whose fields is an object", LEAD, { "Content-Type: application/json" }, '{"tel":"13812345678","name":{"first":"a"}}', 400,
    "the field name" },
  { "a lead one of whose fields is a list", LEAD, { "Content-Type: application/json" }, '{"tel":["13812345678","13812345679"],"name":"a"}', 400,
    "the field tel" },
  { "a lead with an empty list and an empty object for fields without a value", LEAD, { "Content-Type: application/json" },
    '{"tel":"13812345678","name":[],"other":{}}', 202, "pending" },
  { "a lead one of whose fields is a file", LEAD, { PARTS .. "b" },
    parts("b", { 'Content-Disposition: form-data; name="tel"', "13812345678" }, { 'Content-Disposition: form-data; name="name"; filename="a"', "x" }),
    400, "the field name" },
  { "a lead with a file field left empty and a file that is no field", LEAD, { PARTS .. "b" },
    parts("b", { 'Content-Disposition: form-data; name="tel"', "13812345678" }, { 'Content-Disposition: form-data; name="name"; filename=""', "" },
      { FILE, "x" }), 202, "pending" },
  { "a lead that is deep", LEAD, { "Content-Type: application/json" }, ('{"tel":'):rep(5000), 400, "JSON" },
  { "a lead whose field is an object", LEAD, { "Content-Type: application/json" }, '{"tel":{"a":[1]}}', 400, "the field tel" },
  { "a lead that is too large, with Expect", LEAD, { FORM, "Expect: 100-continue" }, EVIL:rep(3000), 413, "too large", no_continue = true },

  { "the plain file", UPLOAD, { "Content-Type: text/csv" }, LIST, 202, '"job"', list = LIST },
  { "the plain file in chunks", UPLOAD, { "Transfer-Encoding: chunked" }, chunked(LIST), 202, '"job"', bare = true, list = LIST },
  { "the plain file with Expect", UPLOAD, { "Expect: 100-continue" }, LIST, 202, '"job"', list = LIST },
  { "the plain file slowly", UPLOAD, {}, LIST, 202, '"job"', slow = true, list = LIST },
  { "the plain file, compressed", UPLOAD, { "Content-Encoding: gzip" }, "\31\139\8\0\0\0\0\0\0\3x", 415, "Content-Encoding" },
  { "the plain file, said not to be compressed", UPLOAD, { "Content-Encoding: identity" }, LIST, 202, '"job"', list = LIST },
  { "a form with quoted boundary, preamble and epilogue", UPLOAD, { PARTS .. '"q: 1"' },
    "preamble\r\n" .. parts("q: 1", { FILE, LIST }) .. "epilogue", 202, '"job"', list = LIST },
  { "a form with filename*", UPLOAD, { PARTS .. "b" },
    parts("b", { "Content-Disposition: form-data; name=file; filename*=UTF-8''%E5%90%8D.csv", LIST }), 202, '"job"', list = LIST },
  { "a form without a file name", UPLOAD, { PARTS .. "b" }, parts("b", { "Content-Disposition: form-data; name=file", LIST }), 400, "no file" },
  { "a form with an empty file name and no bytes", UPLOAD, { PARTS .. "b" },
    parts("b", { 'Content-Disposition: form-data; name="file"; filename=""', "" }), 400, nil },
  { "a form with an empty file", UPLOAD, { PARTS .. "b" }, parts("b", { FILE, "" }), 400, "empty" },
  { "a form with two files", UPLOAD, { PARTS .. "b" }, parts("b", { FILE, LIST }, { FILE, evils }), 400, "more than one file" },
  { "a form with a file and a file field left empty", UPLOAD, { PARTS .. "b" },
    parts("b", { FILE, LIST }, { 'Content-Disposition: form-data; name="other"; filename=""', "" }), 202, '"job"', list = LIST },
  { "a form whose lines end with LF alone", UPLOAD, { PARTS .. "b" }, (parts("b", { FILE, LIST }):gsub("\r\n", "\n")), 400 },
  { "a form within a form", UPLOAD, { PARTS .. "b" },
    parts("b", { "Content-Disposition: form-data; name=f\r\nContent-Type: multipart/mixed; boundary=c", parts("c", { FILE, LIST }) }), 400,
    "no file" },
  { "a form without its end", UPLOAD, { PARTS .. "b" }, (parts("b", { FILE, LIST }):sub(1, -5)), 400 },
  { "a form without boundary", UPLOAD, { "Content-Type: multipart/form-data" }, evils, 400 },
  { "a form that is broken from the start", UPLOAD, { PARTS .. "b" }, "--b\r\nno header\r\n\r\n" .. evils, 400 },
  { "a form whose field is too large", UPLOAD, { PARTS .. "b" },
    parts("b", { "Content-Disposition: form-data; name=dataSourceName", EVIL:rep(4000) }, { FILE, LIST }), 413, "field" },
  { "a form whose field is not UTF-8", UPLOAD, { PARTS .. "b" },
    parts("b", { "Content-Disposition: form-data; name=dataSourceName", "\195\251\181\165" }, { FILE, LIST }), 400, "dataSourceName" },
  { "a file that is too large by its length", UPLOAD, {}, EVIL:rep(60000), 413, "larger" },
  { "a file that is too large by its length, with Expect", UPLOAD, { "Expect: 100-continue" }, EVIL:rep(60000), 413, "larger",
    no_continue = true },
  { "a file that is a little too large", UPLOAD, {}, evils .. EVIL:rep(1000), 413, "larger" },
  { "a file that is a little too large, in chunks", UPLOAD, { "Transfer-Encoding: chunked" }, chunked(evils .. EVIL:rep(1000), 9000), 413, "larger",
    bare = true },
  { "a file larger than nginx takes, in chunks", UPLOAD, { "Transfer-Encoding: chunked" }, chunked(EVIL:rep(150000), 60000), 413, nil, bare = true },
  { "a file with bad chunks", UPLOAD, { "Transfer-Encoding: chunked" }, "5\r\nphone\r\nzz\r\n" .. EVIL, 400, nil, bare = true },
  { "another method with a body", "DELETE /upload", {}, evils, 405, "POST or PUT" },
  { "no body at all", "PUT /upload", {}, "", 400, "empty" },

  { "a lead in a subrequest", "POST /within/lead", { FORM }, "tel=13812345678", 202, "pending" },
  { "the plain file in a subrequest", "POST /within/upload", {}, LIST, 202, '"job"', list = LIST },
  { "the plain file in a subrequest, in a file of nginx", "POST /within/upload", {}, LONG, 202, '"job"', list = LONG },
  { "a form in a subrequest", "POST /within/upload", { PARTS .. "b" }, parts("b", { FILE, LIST }), 202, '"job"', list = LIST },
  { "a form that is broken from the start in a subrequest", "POST /within/upload", { PARTS .. "b" }, "--b\r\nno header\r\n\r\n" .. evils, 400 },
  { "another method in a subrequest, with Expect", "DELETE /within/upload", { "Expect: 100-continue" }, evils, 405, "POST or PUT" },
}

describe("campaign.openresty locations", function()
  local server, http2

  setup(function()
    http2 = nginx.free_port()
    server = nginx.new({ http = HTTP, server = SERVER, values = { http2 = http2 } }):start()
  end)
  teardown(function()
    server:stop(true) -- nginx says that bodies are too large, and chunks wrong; crashes are looked for below
  end)

  -- One answer: status, headers as they stand, body. Interim answers are counted.
  local function receive(client)
    local interim = 0
    while true do
      local line = client:receive("*l")
      local status = line and tonumber(line:match("^HTTP/1%.1 (%d%d%d)"))
      if not status then
        return line and line or nil, interim
      end
      local head, length = {}, 0
      repeat
        line = client:receive("*l")
        head[#head + 1] = line
        length = line and tonumber(line:match("^[Cc]ontent%-[Ll]ength: (%d+)")) or length
      until not line or line == ""
      if status ~= 100 then
        head = table.concat(head, "\n")
        local body
        if head:find("chunked", 1, true) then
          body = {}
          repeat
            local size = tonumber(client:receive("*l") or "0", 16)
            body[#body + 1] = size > 0 and client:receive(size) or ""
            client:receive("*l")
          until size == 0
          body = table.concat(body)
        else
          body = client:receive(length)
        end
        return status, interim, head, body
      end
      interim = interim + 1
    end
  end

  local function send(client, case)
    local lines, body = { case[2] .. " HTTP/1.1", "Host: x" }, case[4]
    for _, line in ipairs(case[3]) do
      lines[#lines + 1] = line
    end
    if not case.bare then
      lines[#lines + 1] = "Content-Length: " .. #body
    end
    local head = table.concat(lines, "\r\n") .. "\r\n\r\n"
    local here = "GET /here HTTP/1.1\r\nHost: x\r\n\r\n"
    if case.slow then
      for at = 1, #head + #body do
        client:send((head .. body):sub(at, at))
        core.system.sleep(at > #head and 0.002 or 0)
      end
      client:send(here)
    elseif case.no_continue then
      client:send(head) -- as a client that waits for 100 before it sends the body
    else
      client:send(head .. body .. here) -- a broken pipe is an answer before all was sent
    end
  end

  local function drafts()
    return #(core.system.list_dir(server.folder .. "/jobs/drafts") or {})
  end

  for _, case in ipairs(CASES) do
    it("answer " .. case[1] .. " with " .. case[5], function()
      local client = assert(socket.connect("127.0.0.1", server.port))
      client:settimeout(10)
      send(client, case)
      local status, interim, _, body = receive(client)
      assert.same({ case[5] }, { status }, tostring(body))
      if case[6] then
        assert.is_truthy(body:find(case[6], 1, true), body)
      end
      if case.no_continue then
        assert.equal(0, interim)
        client:send("GET /here HTTP/1.1\r\nHost: x\r\n\r\n") -- taken for a part of the body that was announced, or not read at all
        assert.is_nil((receive(client)))
      else
        local next_status, _, _, here = receive(client)
        assert.is_truthy(next_status == nil or next_status == 200 and here == "here", tostring(next_status) .. " " .. tostring(here))
      end
      client:close()
      if case.list then
        assert.equal(case.list, command.read(server.folder .. "/jobs/" .. json.decode(body).job .. "/list.csv"))
      end
      raw_server.eventually(function() return drafts() == 0 end, "the end of the draft")
    end)
  end

  it("do not read the rest of a refused body for ever, though it comes drop by drop", function()
    local impatient = nginx.new({ http = HTTP:gsub("init_by_lua_block {", "%0 require(\"campaign.openresty.request\").DRAIN_SECONDS = 1"),
      server = SERVER, values = { http2 = nginx.free_port() } }):start()
    local client = assert(socket.connect("127.0.0.1", impatient.port))
    client:settimeout(10)
    client:send("POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 1200000\r\n\r\n" .. ("phone\n"):rep(60000))
    assert.equal(413, (receive(client)))
    client:settimeout(0)
    raw_server.eventually(function()
      client:send("x")
      local _, problem = client:receive(1)
      return problem and problem ~= "timeout"
    end, "the end of the connection")
    client:close()
    impatient:stop(true)
  end)

  it("take the same over HTTP/2, with a length or without", function()
    local list, text = command.write(server.folder .. "/sent.csv", LIST), "tel=13812345679"
    local function curl(path, more, input)
      local words = { "curl", "-sS", "-m", "20", "--http2-prior-knowledge", "-w", "\n%{http_code} %{http_version}",
        "http://127.0.0.1:" .. http2 .. path }
      for _, word in ipairs(more) do
        words[#words + 1] = word
      end
      local result = command.run(words, { stdin = input })
      local body, status = result.out:match("^(.*)\n(%d+ 2)$")
      return status, body or result.err
    end
    for _, more in ipairs({ { "-T", list }, { "-T", "-" }, { "-F", "file=@" .. list }, { "-T", list, "-H", "Expect: 100-continue" } }) do
      local status, body = curl("/upload", more, LIST)
      assert.equal("202 2", status, body)
      assert.equal(LIST, command.read(server.folder .. "/jobs/" .. json.decode(body).job .. "/list.csv"))
    end
    assert.equal("413 2", (curl("/upload", { "-T", "-" }, ("x"):rep(310000))))
    assert.equal("400 2", (curl("/upload", { "-F", "note=no file" })))
    assert.equal("202 2", (curl("/lead", { "-d", text })))
    assert.equal("202 2", (curl("/lead", { "-X", "POST", "-T", "-", "-H", FORM }, text)))
    assert.equal("200 2", (curl(CALLBACK:match("/.*"), { "-d", BODY:format(20) })))
    assert.equal("200 2", (curl(CALLBACK:match("/.*"), { "-X", "POST", "-T", "-" }, BODY:format(21))))
    assert.equal(0, drafts())
  end)

  it("have taken nothing in a body for a request, and no worker crashed", function()
    assert.equal("0", server:get("/evils").body)
    local log = server:read_log()
    for _, word in ipairs({ "signal", "alert", "runtime error", "stack traceback" }) do
      assert.is_nil(log:find(word, 1, true), log)
    end
  end)
end)

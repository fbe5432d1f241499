-- SPDX-License-Identifier: MIT
-- core.form: what the multipart writer puts on the wire, byte by byte, judged by a server that echoes what it got.

local core = require "campaign.core"
local curl = require "campaign.transport.curl"
local command = require "support.command"
local raw_server = require "support.raw_server"

describe("core.form", function()
  local server, transport, folder

  setup(function()
    server = raw_server.start()
    transport = curl.new()
    folder = command.folder()
  end)

  teardown(function()
    transport:close()
    server:stop()
    command.remove(folder)
  end)

  -- Sends the form; returns the body that arrived with its boundary replaced by "B", the result, and the boundary.
  local function send(parts)
    local form, err = core.form(parts)
    assert(form, err and err.message)
    local result = transport:perform({ method = "POST", url = server.url .. "/echo", body = form })
    assert.are.equal(200, result.status)
    local boundary = result.body:match("^%-%-([^\r\n]+)\r\n")
    local text = result.body
    local pieces, at = {}, 1
    while true do
      local from, to = text:find(boundary, at, true)
      if not from then
        break
      end
      pieces[#pieces + 1] = text:sub(at, from - 1)
      at = to + 1
    end
    pieces[#pieces + 1] = text:sub(at)
    return table.concat(pieces, "B"), result, boundary
  end

  it("R028 client writes parts in order, with CRLF, names and values as given", function()
    local body, result = send({
      { name = "token", value = "t-1" },
      { name = "abbreviate", value = "" },
      { name = "dataSourceName", value = "秋季" },
      { name = "dataSourceFile", filename = "contacts.csv", type = "text/csv", value = "a,b\r\n1,2\r\n" },
    })
    assert.are.equal(table.concat({
      "--B", 'Content-Disposition: form-data; name="token"', "", "t-1",
      "--B", 'Content-Disposition: form-data; name="abbreviate"', "", "",
      "--B", 'Content-Disposition: form-data; name="dataSourceName"', "", "秋季",
      "--B", 'Content-Disposition: form-data; name="dataSourceFile"; filename="contacts.csv"', "Content-Type: text/csv", "",
      "a,b", "1,2", "", "--B--", "",
    }, "\r\n"), body)
    assert.are.equal(result.bytes_sent, result.bytes_expected)
    assert.are.equal(#result.body, result.bytes_sent)
  end)

  it("R028 R235 client makes a boundary per request, and announces it", function()
    local seen = {}
    for _ = 1, 50 do
      local _, _, boundary = send({ { name = "a", value = "b" } })
      assert.is_nil(seen[boundary])
      assert.is_true(#boundary >= 40)
      seen[boundary] = true
    end
    local form = core.form({ { name = "a", value = "b" } })
    local head = transport:perform({ method = "POST", url = server.url .. "/head", body = form }).body
    assert.truthy(head:find("Content-Type: multipart/form-data; boundary=", 1, true))
    assert.truthy(head:find("Content%-Length: %d+\r\n"))
    assert.is_nil(head:find("Expect", 1, true))
  end)

  it("sends files by path, with the path's last piece as name, and sources of any kind", function()
    local content = ("0123456789abcdef"):rep(20000)
    command.write(folder .. "/photo.png", content)
    local body = send({ { name = "file", path = folder .. "/photo.png", type = "image/png" } })
    assert.truthy(body:find('name="file"; filename="photo.png"\r\nContent-Type: image/png\r\n\r\n' .. content .. "\r\n--B--", 1, true))
    body = send({ { name = "file", filename = "x.csv", source = core.source({ path = folder .. "/photo.png" }) } })
    assert.truthy(body:find("\r\n\r\n" .. content .. "\r\n--B--", 1, true))
    body = send({ { name = "file", filename = "empty.csv", source = core.source("") } })
    assert.truthy(body:find('filename="empty.csv"', 1, true))
    assert.truthy(body:find("\r\n\r\n\r\n--B--", 1, true))
  end)

  it("keeps every byte of a value, NUL and line breaks included", function()
    local bytes = {}
    for byte = 0, 255 do
      bytes[#bytes + 1] = string.char(byte)
    end
    local value = table.concat(bytes)
    local body = send({ { name = "all", value = value } })
    assert.truthy(body:find("\r\n\r\n" .. value .. "\r\n--B--", 1, true))
  end)

  it("computes SHA-256 of parts while they are sent", function()
    command.write(folder .. "/large", ("campaign"):rep(100000))
    local _, result = send({
      { name = "file", path = folder .. "/large", digest = true }, { name = "plain", value = "not asked for" },
      { name = "text", value = "abc", digest = true }, { name = "none", value = "", digest = true },
    })
    assert.are.same({
      file = core.digest.sha256(("campaign"):rep(100000)),
      text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
      none = core.digest.sha256(""),
    }, result.digests)
    _, result = send({ { name = "plain", value = "x" } })
    assert.is_nil(result.digests)
  end)

  it("gives no digest of a part that was not sent whole", function()
    local form = core.form({ { name = "file", filename = "x", source = core.source(("x"):rep(20000000)), digest = true } })
    local result = transport:perform({ method = "POST", url = server.url .. "/cut?n=1000", body = form })
    assert.are.equal("maybe", result.sent)
    assert.is_nil(result.digests)
  end)

  describe("file names", function()
    local name = '南京"a\\b%.csv'
    local cases = {
      utf8 = 'filename="南京%22a\\b%.csv"',
      gbk = 'filename="' .. core.gbk.encode("南京", "gbk") .. '%22a\\b%.csv"',
      ascii = 'filename="___a_b%.csv"',
      star = "filename=\"___a_b%.csv\"; filename*=UTF-8''%E5%8D%97%E4%BA%AC%22a%5Cb%25.csv",
    }
    for mode, expected in pairs(cases) do
      it("are written for mode " .. mode .. ", so that servers agree on them", function()
        local body = send({ filename_mode = mode, { name = 'f"x', filename = name, value = "1" } })
        assert.are.equal('--B\r\nContent-Disposition: form-data; name="f%22x"; ' .. expected, body:match("^(%-%-B\r\n[^\r]+)\r\n"))
      end)
    end

    it("and names that would end in a backslash are refused: it hides the part from Go, Django and others", function()
      for _, case in ipairs{ { "utf8", "a\\" }, { "gbk", "a\\" }, { "gbk", "誠" } } do
        local form, err = core.form({ filename_mode = case[1], { name = "f", filename = case[2], value = "1" } })
        assert.is_nil(form, case[2])
        assert.are.equal("usage", err.kind)
        assert.truthy(err.message:find("backslash", 1, true))
      end
      assert.is_nil((core.form({ { name = "f\\", value = "1" } })))
      assert.truthy(send({ filename_mode = "ascii", { name = "f", filename = "a\\", value = "1" } }):find('filename="a_"', 1, true))
      assert.truthy(send({ filename_mode = "gbk", { name = "f", filename = "誠.csv", value = "1" } }):find("\213\92.csv\"", 1, true))
    end)

    it("get no second spelling in mode star when they are ASCII", function()
      local body = send({ filename_mode = "star", { name = "f", filename = "plain.csv", value = "1" } })
      assert.is_nil(body:find("filename*", 1, true))
    end)

    it("that GBK lacks are refused in mode gbk, never replaced", function()
      local form, err = core.form({ filename_mode = "gbk", { name = "f", filename = "a𠮷.csv", value = "1" } })
      assert.is_nil(form)
      assert.are.equal("invalid", err.kind)
      assert.truthy(err.message:find("U+20BB7", 1, true))
      assert.are.equal("the file name contains U+20BB7, which does not exist in gbk: rename the file", err.message)
    end)

    it("that are not UTF-8 are refused where they must be understood", function()
      for _, mode in ipairs({ "gbk", "ascii", "star" }) do
        local form, err = core.form({ filename_mode = mode, { name = "f", filename = "a\255.csv", value = "1" } })
        assert.is_nil(form)
        assert.are.equal("usage", err.kind)
      end
    end)
  end)

  describe("bad input", function()
    it("is a raised error when the program is wrong", function()
      for _, parts in ipairs({ {}, { 1 }, { {} }, { { name = "a" } }, { { name = "a", value = 1 } }, { { name = 1, value = "" } },
        { { name = "a", value = "x", path = "/etc/hostname" } }, { { name = "a", source = "text" } },
        { filename_mode = "utf16", { name = "a", value = "" } }, { { name = "a", value = "", digest = 1 } } }) do
        assert.has_error(function() core.form(parts) end)
      end
      assert.has_error(function() core.form() end)
    end)

    it("is nil, err when the world is", function()
      for _, path in ipairs({ "/nonexistent/file", "/tmp", "/dev/null" }) do
        local form, err = core.form({ { name = "f", path = path } })
        assert.is_nil(form)
        assert.are.equal("invalid", err.kind)
        assert.truthy(err.message:find(path, 1, true))
      end
      for _, parts in ipairs({ { { name = "", value = "" } }, { { name = "f", filename = "", value = "" } },
        { { name = ("x"):rep(2000), value = "" } } }) do
        local form, err = core.form(parts)
        assert.is_nil(form)
        assert.are.equal("usage", err.kind)
      end
    end)

    it("frees forms that were never sent, and refuses those that were", function()
      local form = core.form({ { name = "a", path = "/etc/hostname" }, { name = "b", value = "x" } })
      form:close()
      form:close()
      assert.has_error(function() transport:submit({ method = "POST", url = server.url .. "/ok", body = form }) end)
      form = core.form({ { name = "b", value = "x" } })
      assert.are.equal(200, transport:perform({ method = "POST", url = server.url .. "/ok", body = form }).status)
      assert.has_error(function() transport:submit({ method = "POST", url = server.url .. "/ok", body = form }) end)
    end)
  end)

  it("streams a large form with flat memory #heavy", function()
    local function resident_kb()
      for line in io.lines("/proc/self/status") do
        local kb = line:match("^VmRSS:%s+(%d+)")
        if kb then
          return tonumber(kb)
        end
      end
    end
    local path = folder .. "/sparse"
    os.execute("truncate -s 209715200 " .. path)
    send({ { name = "a", value = "b" } })
    local before = resident_kb()
    local form = core.form({ { name = "token", value = "t" }, { name = "file", path = path } })
    local result = transport:perform({ method = "POST", url = server.url .. "/ok", body = form, limits = { total = 120 } })
    assert.are.equal(200, result.status)
    assert.is_true(result.bytes_sent > 209715200)
    assert.are.equal(result.bytes_sent, result.bytes_expected)
    assert.is_true(resident_kb() - before < 4096)
    os.remove(path)
  end)
end)

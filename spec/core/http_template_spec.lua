-- SPDX-License-Identifier: MIT
-- core.http's templates: a request that many are like goes out as the plain way sends it, and only the one expected answer comes back without a
-- result; everything that differs from it in any respect comes as it would have come anyway.

local core = require "campaign.core"
local command = require "support.command"
local curl = require "campaign.transport.curl"
local raw_server = require "support.raw_server"

local BEFORE, AFTER = '{"code":200,"data":{"id":"', '"}}'

for _, driver in ipairs({ "inline", "thread" }) do
  describe("core.http templates, driver " .. driver, function()
    local server, transport, folder

    setup(function()
      folder = command.folder()
      command.write(folder .. "/bomb.gz", "")
    end)
    teardown(function() command.remove(folder) end)
    before_each(function()
      server = raw_server.start(folder .. "/bomb.gz")
      transport = curl.new({ driver = driver })
    end)
    after_each(function()
      transport:close()
      server:stop()
    end)

    local function template_of(path, more)
      local request = { method = "POST", url = server.url .. path, headers = { { "Content-Type", "application/json" }, { "X-Token", "t" } } }
      for name, value in pairs(more or {}) do
        request[name] = value
      end
      return assert(transport:template(request))
    end

    -- One request like the template: its id, or nil and why not.
    local function submit(template, source, seconds)
      local ids = {}
      local sent, err = transport:submit_like(template, { source }, 1, seconds, ids)
      assert.are.equal(err and 0 or 1, sent)
      return ids[1], err
    end

    -- What comes of one request like the template.
    local function answer(template, body, given)
      local id, into = assert(submit(template, core.source(body), 30)), {}
      local count, got, result = transport:known(30, given or template, 1, into)
      assert.are.equal(id, count == 1 and into[1] or got)
      assert.are.equal(count, got and 0 or 1)
      return result, into[2], into[3], into[4] or nil
    end

    it("sends what the plain way sends", function()
      local template = template_of("/head")
      assert(transport:submit{ method = "POST", url = server.url .. "/head", body = "{}",
        headers = { { "Content-Type", "application/json" }, { "X-Token", "t" } } })
      local _, plain = transport:next(30)
      for _ = 1, 3 do
        assert.are.equal(plain.body, answer(template, "{}").body)
      end
      assert.are.equal("t", server:commits("/head")[4].token)
      assert.are.equal(2, server:commits("/head")[4].bytes)
      template:close()
    end)

    it("gives the expected answer as its free text", function()
      local template = template_of("/echo")
      assert.is_true(template:expect(200, BEFORE, AFTER))
      for _, name in ipairs({ "a", "Zz_9-0", ("x"):rep(255) }) do
        local body = BEFORE .. name .. AFTER
        local result, seconds, bytes, text = answer(template, body)
        assert.is_nil(result)
        assert.is_true(seconds >= 0 and seconds < 30)
        assert.are.equal(#body, bytes)
        assert.are.equal(name, text)
      end
      template:close()
    end)

    it("gives expected answers together, up to one that is another, in the order in which they came", function()
      local template = template_of("/echo")
      assert.is_true(template:expect(200, BEFORE, AFTER))
      for round = 1, 5 do
        local names = { "a", "b", round, "d", "e" }
        local wanted = {}
        for i, name in ipairs(names) do
          wanted[assert(submit(template, core.source(BEFORE .. name .. (i == 3 and "!" or "") .. AFTER), 30))] = name
        end
        local most, others = round, 0
        while next(wanted) do
          local into = {}
          local count, id, result = transport:known(30, template, most, into)
          assert.is_true(count <= most and (count > 0 or id ~= nil))
          assert.are.equal(4 * count, #into)
          for at = 1, 4 * count, 4 do
            assert.are.equal(wanted[into[at]], into[at + 3])
            wanted[into[at]] = nil
          end
          if id then
            assert.are.equal(BEFORE .. round .. "!" .. AFTER, result.body)
            assert.are.equal(round, wanted[id])
            wanted[id], others = nil, others + 1
          end
        end
        assert.are.equal(1, others)
      end
      -- All of them at once.
      local sources, ids, bodies = {}, {}, {}
      for i = 1, 4 do
        bodies[i] = BEFORE .. ("n%d"):format(i) .. AFTER
        sources[i] = core.source(bodies[i])
      end
      assert.are.equal(3, transport:submit_like(template, sources, 3, 30, ids))
      assert.are.same({ 3, #bodies[4] }, { #ids, sources[4]:length() })
      for _ = 1, 3 do
        local into = {}
        assert.are.equal(1, (transport:known(30, template, 1, into)))
        for i = 1, 3 do
          if ids[i] == into[1] then
            assert.are.equal("n" .. i, into[4])
            ids[i] = nil
          end
        end
      end
      assert.is_nil(next(ids))
      assert.are.equal(0, transport:submit_like(template, {}, 0, 30, {}))
      sources[4]:close()
      -- Without a template every answer is a result; one that was there before others were waited for is given as well.
      local first = assert(submit(template, core.source(BEFORE .. "a" .. AFTER), 30))
      assert(transport:perform{ method = "POST", url = server.url .. "/echo", body = "ok" })
      repeat
        local count, id, result = transport:known(30, nil, 4, {})
        assert.are.equal(0, count)
        if id then
          assert.are.same({ first, BEFORE .. "a" .. AFTER }, { id, result.body })
        end
      until id
      assert.are.equal(0, (transport:known(0, template, 4, {})))
      for _, most in ipairs({ 0, -1, 1e18, "x" }) do
        assert.has_error(function() transport:known(0, template, most, {}) end)
      end
      assert.has_error(function() transport:known(0, template, 1) end)
      template:close()
    end)

    it("gives an answer without a free text as well", function()
      local template = template_of("/echo")
      assert.is_true(template:expect(200, '{"code":200}'))
      local result, _, bytes, text = answer(template, '{"code":200}')
      assert.is_nil(result)
      assert.are.equal(12, bytes)
      assert.is_nil(text)
      assert.are.equal('{"code":200} ', answer(template, '{"code":200} ').body)
      assert.are.equal('{"code":200', answer(template, '{"code":200').body)
      template:close()
    end)

    it("gives a result for everything else", function()
      local template = template_of("/echo")
      assert.are.equal(BEFORE .. "a" .. AFTER, answer(template, BEFORE .. "a" .. AFTER).body) -- nothing is expected yet
      assert.is_true(template:expect(200, BEFORE, AFTER))
      for _, body in ipairs({ "", "{", BEFORE, AFTER, BEFORE .. AFTER, BEFORE .. "a" .. AFTER .. " ", " " .. BEFORE .. "a" .. AFTER,
        BEFORE .. "a b" .. AFTER, BEFORE .. "a\0b" .. AFTER, BEFORE .. 'a","id":"b' .. AFTER, BEFORE .. "a\\u0031" .. AFTER,
        BEFORE .. ("x"):rep(256) .. AFTER, BEFORE .. "\228\189\160" .. AFTER, BEFORE:upper() .. "a" .. AFTER, BEFORE .. "a" .. '"}]' }) do
        local result, seconds = answer(template, body)
        assert.are.equal(body, result.body)
        assert.are.equal("yes", result.sent)
        assert.is_nil(seconds)
      end
      template:close()
    end)

    it("gives a result where the answer is the expected one but for its status", function()
      for _, status in ipairs({ 201, 204, 400, 401, 429, 500 }) do
        local template = template_of("/status/" .. status)
        local before = answer(template, "x")
        assert.is_true(template:expect(200, before.body))
        assert.are.equal(status, answer(template, "x").status)
        template:close()
      end
    end)

    it("gives a result with its error where the answer did not come whole", function()
      for path, sent in pairs({ ["/rst"] = "maybe", ["/truncated"] = "maybe", ["/cuthead"] = "maybe", ["/redirect/302"] = "yes" }) do
        local template = template_of(path)
        assert.is_true(template:expect(200, '{"code":200'))
        local result = answer(template, "x")
        assert.is_not_nil(result.error, path)
        assert.are.equal(sent, result.sent, path)
        template:close()
      end
    end)

    it("knows its own requests alone", function()
      local template, other = template_of("/echo"), template_of("/echo")
      assert.is_true(template:expect(200, "ok"))
      assert.is_true(other:expect(200, "ok"))
      assert.are.equal("ok", answer(other, "ok", template).body)
      assert(transport:submit{ method = "POST", url = server.url .. "/echo", body = "ok" })
      local count, _, result = transport:known(30, template, 1, {})
      assert.are.same({ 0, "ok" }, { count, result.body })
      other:close()
      -- Closed while its request is on the way: the request goes on, its answer is a result.
      assert(submit(template, core.source("ok"), 30))
      template:close()
      _, result = transport:next(30)
      assert.are.equal("ok", result.body)
      assert(transport:submit{ method = "POST", url = server.url .. "/echo", body = "ok" })
      count, _, result = transport:known(30, template, 1, {}) -- closed, it expects no answer
      assert.are.same({ 0, "ok" }, { count, result.body })
      assert.has_error(function() submit(template, core.source("ok"), 30) end)
      template:close()
    end)

    it("refuses what the plain way refuses, before anything is sent", function()
      local none, err = transport:template{ method = "POST", url = "http://198.51.100.7/" }
      assert.is_nil(none)
      assert.are.equal("usage", err.kind)
      none, err = transport:template{ method = "POST", url = server.url, headers = { { "Bad name", "x" } } }
      assert.is_nil(none)
      assert.are.equal("usage", err.kind)
      for _, more in ipairs({ { body = "x" }, { save_to = folder .. "/answer" } }) do
        local request = { method = "POST", url = server.url .. "/echo" }
        for name, value in pairs(more) do
          request[name] = value
        end
        none, err = transport.engine:template(request)
        assert.is_nil(none)
        assert.are.equal("usage", err.kind)
      end
      assert.has_error(function() transport.engine:template{ url = server.url, bogus = 1 } end)
      local template = template_of("/echo")
      for _, seconds in ipairs({ 0, -1, 7 * 86400 + 1, 0 / 0 }) do
        none, err = submit(template, core.source("x"), seconds)
        assert.is_nil(none)
        assert.are.equal("usage", err.kind)
      end
      local source = core.source("x")
      source:close()
      assert.has_error(function() submit(template, source, 30) end)
      assert.has_error(function() template:expect(500, "x") end)
      none, err = template:expect(200, ("x"):rep(10000))
      assert.is_nil(none)
      assert.are.equal("usage", err.kind)
      assert.are.equal("x", answer(template, "x").body) -- a refused expectation expects nothing
      assert.are.equal(0, transport:in_flight())
      template:close()
    end)
  end)
end

-- SPDX-License-Identifier: MIT
-- The hidden repeat: libcurl sends a request again, silently, when a reused connection dies without an answer. A server that reads the
-- request whole and closes is the judge: what it has read must equal what was reported, attempt by attempt.

local core = require "campaign.core"
local curl = require "campaign.transport.curl"
local raw_server = require "support.raw_server"

local BODY = ('{"data":[{"phone":"13012341211"}]}'):rep(20)

local bodies = {
  memory = function() return BODY end,
  ["a source in memory"] = function() return core.source(BODY) end,
  ["a file source"] = function(folder) return core.source({ path = folder .. "/body" }) end,
  multipart = function(folder)
    return core.form({
      { name = "token", value = "secret" },
      { name = "file", filename = "contacts.csv", source = core.source({ path = folder .. "/body" }) },
    })
  end,
}

local function write(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

for _, driver in ipairs({ "inline", "thread" }) do
  describe("core.http's guard, driver " .. driver, function()
    local server, transport

    before_each(function()
      server = raw_server.start()
      write(server.folder .. "/body", BODY)
      transport = curl.new({ driver = driver })
    end)

    after_each(function()
      transport:close()
      server:stop()
    end)

    -- Each trial: one request that keeps the connection alive, then one that is read whole and never answered.
    local function trials(count, path, body, method)
      local tally = { attempts = 0, reused = 0, guarded = 0, yes = 0, no = 0, maybe = 0 }
      for _ = 1, count do
        local warm = transport:perform({ url = server.url .. "/ok", max_connection_age = 60 })
        assert.are.equal(200, warm.status)
        local result = transport:perform({
          method = method or "POST", url = server.url .. path, body = body and body(server.folder), max_connection_age = 60,
        })
        tally.attempts = tally.attempts + 1
        tally[result.sent] = tally[result.sent] + 1
        assert.is_nil(result.status)
        assert.are.equal("network", result.error.kind)
        assert.are.equal(result.sent, result.error.sent)
        if result.reused then tally.reused = tally.reused + 1 end
        if result.guard then tally.guarded = tally.guarded + 1 end
      end
      return tally
    end

    local function expect_honest(count, path, body, method)
      local tally = trials(count, path, body, method)
      -- No attempt is applied twice, and none that was applied is reported as not sent.
      assert.are.equal(tally.attempts, #server:commits(path))
      assert.are.equal(count, tally.maybe)
      -- A reset may reach libcurl as a failed send, which it does not repeat; mostly there was a repeat to stop.
      assert.is_true(tally.guarded >= count * 0.5, tally.guarded .. " of " .. count .. " repeats were stopped")
    end

    for name, body in pairs(bodies) do
      it("R009 client reports each of 20 requests that were read whole and never answered as maybe: " .. name, function()
        expect_honest(20, "/fin", body)
        expect_honest(20, "/rst", body)
      end)
    end

    it("R009 client does the same for PUT and PATCH, and for requests without a body", function()
      expect_honest(10, "/fin?put", bodies.memory, "PUT")
      expect_honest(10, "/fin?patch", bodies.memory, "PATCH")
      expect_honest(10, "/fin?get", nil, "GET")
      expect_honest(10, "/fin?delete", nil, "DELETE")
    end)

    it("keeps the highest upload count as evidence after the stopped repeat", function()
      transport:perform({ url = server.url .. "/ok" })
      local result = transport:perform({ method = "POST", url = server.url .. "/fin", body = BODY })
      assert.is_true(result.guard)
      assert.are.equal(#BODY, result.bytes_sent)
      assert.are.equal(#BODY, result.bytes_expected)
    end)

    for name, body in pairs(bodies) do
      it("R009 client: commits equal attempts in 1,000 trials, " .. name .. " #heavy", function()
        expect_honest(500, "/fin", body)
        expect_honest(500, "/rst", body)
      end)
    end

    it("stays honest when many such requests are in flight at once", function()
      local ids = {}
      for _ = 1, 32 do
        ids[assert(transport:submit({ url = server.url .. "/slow?ms=50" }))] = true
      end
      for _ = 1, 32 do
        local id, result = transport:next()
        assert.is_true(ids[id])
        assert.are.equal(200, result.status)
      end
      for index = 1, 32 do
        assert(transport:submit({ method = "POST", url = server.url .. "/fin", body = BODY .. index }))
      end
      local maybe = 0
      for _ = 1, 32 do
        local _, result = transport:next()
        assert.are.equal("maybe", result.sent)
        maybe = maybe + 1
      end
      assert.are.equal(maybe, #server:commits("/fin"))
    end)

    it("does not take an answer too many for the answer to the next request, which goes on another connection", function()
      for number, body in ipairs({ bodies.memory, bodies.memory, bodies.multipart }) do
        assert.are.equal("one", transport:perform({ url = server.url .. "/two" }).body)
        core.system.sleep(0.02)
        local result = transport:perform({ method = "POST", url = server.url .. "/echo?" .. number, body = body(server.folder) })
        assert.is_nil(result.error)
        assert.is_false(result.reused)
        assert.are_not.equal("two", result.body)
        assert.are.equal(1, #server:commits("/echo?" .. number))
      end
    end)

    it("does not use a connection older than asked", function()
      local first = transport:perform({ url = server.url .. "/ok" })
      local second = transport:perform({ url = server.url .. "/ok", max_connection_age = 5 })
      local third = transport:perform({ url = server.url .. "/ok", max_connection_age = 0 })
      assert.is_false(first.reused)
      assert.is_true(second.reused)
      assert.is_false(third.reused)
      core.system.sleep(1.05)
      local fourth = transport:perform({ url = server.url .. "/ok", max_connection_age = 1 })
      assert.is_false(fourth.reused)
    end)
  end)
end

-- SPDX-License-Identifier: MIT
-- The store: groups are whole or not at all, values come back as they went in, and a store that met a broken disk stays shut.

local command = require "support.command"
local core = require "campaign.core"

describe("core.store", function()
  local root, store

  local function run(sql, ...)
    local id = assert(store:submit(assert(store:prepare(sql)), ...))
    local ok, err = store:run()
    local taken, changes, rows = store:take()
    assert.equal(id, taken)
    return ok and changes, ok and rows or err
  end

  before_each(function()
    root = command.folder()
    store = assert(core.store.open(root .. "/a.db", "create"))
    run("CREATE TABLE t (a, b)")
  end)
  after_each(function()
    store:close()
    command.remove(root)
  end)

  it("gives values back as they were", function()
    local values = { 0, -1, 9007199254740992, 0.5, "", "text", "nul\0inside", ("x"):rep(100000), "汉字" }
    for i, value in ipairs(values) do
      assert.equal(1, (run("INSERT INTO t VALUES (?, ?)", i, value)))
    end
    run("INSERT INTO t VALUES (?, ?)", 99, nil)
    run("INSERT INTO t VALUES (?, ?)", 100, true)
    local _, rows = run("SELECT a, b FROM t ORDER BY a")
    assert.equal(#values + 2, #rows)
    for i, value in ipairs(values) do
      assert.equal(value, rows[i][2])
    end
    assert.is_nil(rows[#values + 1][2])
    assert.equal(1, rows[#values + 2][2])
  end)

  if not jit then
    it("gives integers of all 64 bits back as they were", function()
      for i, value in ipairs { 9007199254740993, -9007199254740993, 9223372036854775807, -9223372036854775807 - 1 } do
        run("INSERT INTO t VALUES (?, ?)", i, value)
        local _, rows = run("SELECT b, typeof(b), CAST(b AS TEXT) FROM t WHERE a = ?", i)
        assert.same({ value, "integer", ("%d"):format(value) }, rows[1])
      end
    end)
  end

  it("runs what was submitted in order, and gives results in that order", function()
    local insert = assert(store:prepare("INSERT INTO t VALUES (?, ?) RETURNING a"))
    local ids = {}
    for i = 1, 50 do
      ids[i] = assert(store:submit(insert, i, "v"))
    end
    assert.equal(50, store:waiting())
    assert.is_nil((store:take()))
    assert(store:run())
    for i = 1, 50 do
      local id, changes, rows = store:take()
      assert.equal(ids[i], id)
      assert.equal(1, changes)
      assert.equal(i, rows[1][1])
    end
    assert.is_nil((store:take()))
    assert.is_true(store:run())
  end)

  it("takes nothing of a group of which one statement fails, and goes on afterwards", function()
    run("CREATE UNIQUE INDEX u ON t (a)")
    local insert = assert(store:prepare("INSERT INTO t VALUES (?, ?)"))
    for _, a in ipairs({ 1, 2, 1, 3 }) do
      store:submit(insert, a, "x")
    end
    local ok, err = store:run()
    assert.is_nil(ok)
    assert.equal("ledger", err.kind)
    assert.equal("conflict", err.reason)
    for _ = 1, 4 do
      local id, changes, failure = store:take()
      assert.is_number(id)
      assert.is_nil(changes)
      assert.equal("ledger", failure.kind)
    end
    local _, rows = run("SELECT count(*) FROM t")
    assert.equal(0, rows[1][1])
    assert.equal(1, (run("INSERT INTO t VALUES (?, ?)", 1, "x")))
  end)

  it("refuses what is no single statement, and raises for wrong use", function()
    for _, sql in ipairs({ "", "  ", "SELECT 1; SELECT 2", "SELECT 1;", "SELEKT", "-- nothing" }) do
      local number, err = store:prepare(sql)
      if sql ~= "SELECT 1;" then
        assert.is_nil(number, sql)
        assert.truthy(err.kind)
      end
    end
    local insert = assert(store:prepare("INSERT INTO t VALUES (?, ?)"))
    assert.has_error(function() store:submit(insert, 1) end)
    assert.has_error(function() store:submit(insert, 1, 2, 3) end)
    assert.has_error(function() store:submit(insert, {}, 2) end)
    assert.has_error(function() store:submit(insert, 0 / 0, 2) end)
    assert.has_error(function() store:submit(insert, 1 / 0, 2) end)
    assert.has_error(function() store:submit(999, 1) end)
    assert.has_error(function() store:submit(0) end)
    for _, number in ipairs{ -2147483648, -1, 4294967297 } do -- none of them is another statement's by wrapping around
      assert.error_matches(function() store:submit(number, 1, 2) end, "#1.*no such statement")
      assert.error_matches(function() store:expect({ 1, 2 }, 2, 1, number) end, "#4.*no such statement")
    end
    assert.has_error(function() core.store.open(root .. "/a\0b") end)
    assert.equal(0, store:waiting())
  end)

  it("runs the second of two statements where the first one changed a row, with the same values", function()
    local pair = assert(store:prepare("UPDATE t SET b = ?2 WHERE a = ?1; INSERT INTO t VALUES (?1 + ?3, ?2)"))
    run("INSERT INTO t VALUES (1, 'old')")
    for _, a in ipairs({ 1, 7 }) do
      assert(store:submit(pair, a, "new", 100))
      assert(store:run())
      local _, changes = store:take()
      assert.equal(a == 1 and 1 or 0, changes)
    end
    local _, rows = run("SELECT a, b FROM t ORDER BY a")
    assert.same({ { 1, "new" }, { 101, "new" } }, rows)
    for _, sql in ipairs({ "UPDATE t SET a = 1 RETURNING a; SELECT 1", "UPDATE t SET a = 1; SELEKT", "UPDATE t SET a = 1; SELECT 1; SELECT 2" }) do
      assert.is_nil((store:prepare(sql)), sql)
    end
    local few = assert(store:prepare("UPDATE t SET b = 1 WHERE a = ?; DELETE FROM t")) -- values of the one are none of the other's
    assert(store:submit(few, 1))
    assert(store:run())
    assert.equal(2, (select(2, store:take())))
  end)

  it("says nothing of what it was told, unless that fails", function()
    for _, driver in ipairs({ "inline", "thread" }) do
      store:close()
      store = assert(core.store.open(root .. "/a.db", "open", driver))
      run("CREATE UNIQUE INDEX IF NOT EXISTS u ON t (a)")
      run("DELETE FROM t")
      local insert = assert(store:prepare("INSERT INTO t VALUES (?, ?)"))
      for i = 1, 10 do
        assert.is_true(store:tell(insert, i, "x"))
      end
      local id = assert(store:submit(insert, 11, "x"))
      assert.is_true(store:tell(insert, 12, "x"))
      assert(store:run())
      assert.equal(id, (store:take()))
      assert.is_nil((store:take()))
      assert(store:tell(insert, 13, "x"))
      assert(store:start())
      assert.equal(0, store:wait(60)) -- for its end, not for results
      assert.equal(0, store:busy())
      assert(store:tell(insert, 14, "x"))
      assert(store:tell(insert, 13, "x"))
      assert.is_nil((store:run()))
      for _ = 1, 2 do
        local _, changes, err = store:take()
        assert.is_nil(changes)
        assert.equal("conflict", err.reason)
      end
      assert.is_nil((store:take()))
      local _, rows = run("SELECT count(*) FROM t")
      assert.equal(13, rows[1][1])
      assert.has_error(function() store:tell(insert, 1) end)
    end
  end)

  it("gives back what it was given for a change that did not come about, and says nothing of the others", function()
    for _, driver in ipairs({ "inline", "thread" }) do
      store:close()
      store = assert(core.store.open(root .. "/a.db", "open", driver))
      run("DELETE FROM t")
      run("INSERT INTO t VALUES (1, 'a'), (2, 'b'), (4, 'd')")
      local pair = assert(store:prepare("UPDATE t SET b = ?2 || ?4 WHERE a = ?1 AND ?3 IS NOT 7; INSERT INTO t VALUES (?1 + 100, ?5)"))
      local list = { 1, "one", nil, 2, "two", 7, 3, "", false, 4, "four", 0.5, 99, "beyond" }
      assert.is_true(store:expect(list, 3, 4, pair, "!", nil))
      for i = 1, 12 do
        list[i] = "other" -- it was copied
      end
      assert(store:run())
      local given = {}
      local id, changes, values = store:take()
      while id do
        assert.equal(0, changes)
        given[#given + 1] = values
        id, changes, values = store:take()
      end
      assert.same({ { 2, "two", 7, "!" }, { 3, "", 0, "!" } }, given)
      local _, rows = run("SELECT a, b FROM t ORDER BY a")
      assert.same({ { 1, "one!" }, { 2, "b" }, { 4, "four!" }, { 101 }, { 104 } }, rows)
      assert.is_true(store:expect({}, 3, 0, pair, "!", nil))
      assert.equal(0, store:waiting())
      local insert = assert(store:prepare("INSERT INTO t (a, b) SELECT ?1, ?2 WHERE ?1 < 500"))
      local many = {}
      for i = 1, 400 do
        many[i] = 200 + i
      end
      assert(store:expect(many, 1, 400, insert, "m"))
      assert(store:run())
      for i = 500, 600 do
        assert.same({ i, "m" }, (select(3, store:take())))
      end
      assert.is_nil((store:take()))
      -- A transaction that fails tells the error of each.
      run("CREATE UNIQUE INDEX IF NOT EXISTS u ON t (a)")
      assert(store:expect({ 900, 1 }, 1, 2, assert(store:prepare("INSERT INTO t VALUES (?1, ?2)")), "x"))
      assert.is_nil((store:run()))
      for _ = 1, 2 do
        local _, none, err = store:take()
        assert.is_nil(none)
        assert.equal("conflict", err.reason)
      end
      run("DROP INDEX u")
      assert.has_error(function() store:expect(list, 0, 1, insert, 1, "m") end)
      assert.has_error(function() store:expect(list, 65, 1, insert) end)
      assert.has_error(function() store:expect(list, 1, -1, insert, "m") end)
      assert.has_error(function() store:expect("list", 1, 1, insert, "m") end)
      assert.has_error(function() store:expect(list, 1, 1, insert) end) -- it takes two values
      assert.has_error(function() store:expect(list, 2, 1, insert, "m") end)
      assert.has_error(function() store:expect(list, 1, 1, 99, "m") end)
      assert.error_matches(function() store:expect({ {} }, 1, 1, insert, "m") end, "#1.*nil, boolean, number or string expected")
      assert.error_matches(function() store:expect({ 0 / 0 }, 1, 1, insert, "m") end, "#1.*a finite number")
    end
  end)

  it("runs groups on a thread of its own, in order, while others are submitted", function()
    store:close()
    store = assert(core.store.open(root .. "/a.db", "open", "thread"))
    local insert = assert(store:prepare("INSERT INTO t VALUES (?, ?) RETURNING a, b", { "a", "b" }))
    local ids = {}
    for i = 1, 200 do
      ids[i] = assert(store:submit(insert, i, i % 2 == 0 and "v" or nil))
      assert(store:start())
    end
    for i = 1, 200 do
      while store:wait(5) == 0 do
        assert.is_true(store:busy() > 0)
      end
      local id, changes, rows = store:take()
      assert.equal(ids[i], id)
      assert.equal(1, changes)
      assert.same({ a = i, b = i % 2 == 0 and "v" or nil }, rows[1])
    end
    assert.equal(0, store:busy())
    assert.equal(0, store:wait(5))
    local _, rows = run("SELECT count(*) FROM t")
    assert.equal(200, rows[1][1])
  end)

  it("fails only the group that fails", function()
    store:close()
    store = assert(core.store.open(root .. "/a.db", "open", "thread"))
    run("CREATE UNIQUE INDEX u ON t (a)")
    local insert = assert(store:prepare("INSERT INTO t VALUES (?, ?)"))
    local ids = {}
    for i, a in ipairs({ 1, 1, 2 }) do
      ids[i] = assert(store:submit(insert, a, "x"))
      assert(store:start())
    end
    for i = 1, 3 do
      while store:wait(5) == 0 do
        assert.is_true(store:busy() > 0)
      end
      local id, changes, err = store:take()
      assert.equal(ids[i], id)
      assert.equal(i ~= 2 and 1 or nil, changes)
      assert.equal(i == 2 and "conflict" or nil, err and err.reason)
    end
  end)

  it("ends the wait of an HTTP engine whose bell it rings, now or before it", function()
    local listener = assert(require("socket").bind("127.0.0.1", 0)) -- never answers
    local _, port = listener:getsockname()
    for _, driver in ipairs({ "inline", "thread" }) do
      store:close()
      store = assert(core.store.open(root .. "/a.db", "open", "thread"))
      local engine = assert(core.http.engine({ driver = driver }))
      assert(engine:submit{ url = "http://127.0.0.1:" .. port .. "/" })
      assert(store:ring(assert(engine:bell())))
      local insert = assert(store:prepare("INSERT INTO t VALUES (?, ?)"))
      for i = 1, 20 do
        local before = core.system.monotonic()
        assert(store:submit(insert, i, "x"))
        assert(store:start())
        while store:wait(0) == 0 do
          assert.equal(0, engine:wait(20))
        end
        assert.is_true(core.system.monotonic() - before < 15, driver)
        assert(store:take())
      end
      -- It rang while the engine was looked at without waiting: the next wait ends at once all the same.
      assert(store:submit(insert, 21, "x"))
      assert(store:start())
      assert.equal(1, store:wait(20))
      local began = core.system.monotonic()
      repeat
        assert.equal(0, engine:wait(0))
      until core.system.monotonic() - began > 0.05
      assert.equal(0, engine:wait(20))
      assert.is_true(core.system.monotonic() - began < 15, driver)
      assert(store:take())
      engine:close()
      assert(store:submit(insert, 22, "x")) -- the bell is the store's own as long as it has it
      assert(store:run())
    end
    listener:close()
  end)

  it("drops what was not run when it is closed, and may be closed twice", function()
    local before = core.live()
    store:submit(assert(store:prepare("INSERT INTO t VALUES (?, ?)")), 1, 2)
    store:close()
    store:close()
    assert.equal(before - 1, core.live())
    assert.has_error(function() store:run() end)
    store = assert(core.store.open(root .. "/a.db"))
    local _, rows = run("SELECT count(*) FROM t")
    assert.equal(0, rows[1][1])
  end)

  it("follows no link to its file and opens nothing that is no file", function()
    store:close()
    os.execute("ln -s a.db " .. root .. "/link.db && mkdir " .. root .. "/folder.db")
    for _, name in ipairs({ "link.db", "folder.db" }) do
      local found, err = core.store.open(root .. "/" .. name)
      assert.is_nil(found)
      assert.equal("ledger", err.kind)
    end
    local _, err = core.store.open(root .. "/link.db", "create")
    assert.equal("ledger", err.kind)
    store = assert(core.store.open(root .. "/a.db"))
  end)

  it("is not made where the log of another file was left: what stands in it is none of its own", function()
    local path = root .. "/b.db"
    local first = assert(core.store.open(path, "create", "inline", "CREATE TABLE t (a)"))
    first:submit(assert(first:prepare("INSERT INTO t VALUES (?)")), "of before")
    assert(first:run())
    assert(os.rename(path .. "-wal", path .. ".log"))
    first:close()
    os.remove(path)
    assert(os.rename(path .. ".log", path .. "-wal"))
    local second, err = core.store.open(path, "create", "inline", "CREATE TABLE t (a)")
    assert.is_nil(second)
    assert.equal("ledger", err.kind)
    assert.truthy(err.message:find("its log does", 1, true), err.message)
    assert.is_nil(core.system.stat(path))
    assert.truthy(core.system.stat(path .. "-wal"))
  end)

  it("syncs its log at each commit, and not before", function()
    local _, rows = run("PRAGMA synchronous")
    assert.equal(2, rows[1][1])
    _, rows = run("PRAGMA journal_mode")
    assert.equal("wal", rows[1][1])
    _, rows = run("PRAGMA locking_mode")
    assert.equal("exclusive", rows[1][1])
  end)

  -- What a script says to a new store in a folder of its own, when one of its calls fails after it has opened /shim/arm. It should end as if it were
  -- killed.
  local function under_shim(text)
    local script = root .. "/script.lua"
    command.write(script, "local core = require 'campaign.core'\n" .. text)
    local build = os.getenv("CAMPAIGN_BUILD") or command.ROOT .. "/build"
    local env = { LUA_PATH = os.getenv("LUA_PATH") or package.path, LUA_CPATH = os.getenv("LUA_CPATH") or package.cpath,
      LD_PRELOAD = build .. "/spec/fault_shim.so" }
    return function(at, failure)
      local folder = root .. "/" .. at
      os.execute("mkdir " .. folder)
      env.SHIM = at .. " " .. (failure or "EIO") .. " file " .. folder .. " 0"
      local path = folder .. "/b.db"
      return command.run({ os.getenv("CAMPAIGN_TEST_LUA") or "lua5.4", script, path }, { env = env, seconds = 60 }).out, path
    end
  end

  it("F25 is made whole or not at all, whichever call of its making fails #heavy", function()
    local run_with = under_shim([[
      io.open("/shim/arm")
      local store = core.store.open(arg[1], "create", "inline", "CREATE TABLE t (a)")
      io.write(store and "made" or "refused")
      io.flush()
      os.exit(0)
    ]])
    local made, refused = 0, 0
    for at = 1, 40 do
      local out, path = run_with(at)
      if out == "made" then
        made = made + 1
        local again, err = core.store.open(path)
        assert(again, at .. ": " .. tostring(err))
        again:close()
      else
        assert.equal("refused", out, tostring(at))
        refused = refused + 1
      end
    end
    assert.is_true(made > 2 and refused > 10, made .. " made, " .. refused .. " refused")
  end)

  it("F25 is not done with its first commit, nor with one that asks for a checkpoint, before these are in the file itself #heavy", function()
    local run_with = under_shim([[
      io.open("/shim/arm")
      local store = core.store.open(arg[1], "create", "inline", "CREATE TABLE t (a)")
      local insert = store and store:prepare("INSERT INTO t VALUES (?)")
      local function put(text)
        store:submit(insert, text)
        if not store:run() then return "failed" end
        local file = io.open(arg[1], "rb")
        local bytes = file:read("*a")
        return bytes:sub(69, 72) == "CAPW" and bytes:find(text, 1, true) and "done" or "not in the file"
      end
      local first = insert and put("first of all") or "refused"
      if first == "done" then store:checkpoint() end
      io.write(first, ", ", first == "done" and put("second of all") or "none")
      io.flush()
      os.exit(0)
    ]])
    local counts = { ["done, done"] = 0, ["done, failed"] = 0, ["failed, none"] = 0 }
    for at = 16, 52 do -- from where it is made on
      local out = run_with(at)
      assert.truthy(counts[out], at .. ": " .. out)
      counts[out] = counts[out] + 1
    end
    for out, count in pairs(counts) do
      assert.is_true(count > 0, out)
    end
  end)

  it("F22 takes a quota that is used up for a full disk #heavy", function()
    local run_with = under_shim([[
      io.open("/shim/arm")
      local store = core.store.open(arg[1], "create", "inline", "CREATE TABLE t (a)")
      store:submit(store:prepare("INSERT INTO t VALUES (?)"), "first of all")
      local done, err = store:run()
      io.write(done and "done" or tostring(err.reason))
      io.flush()
      os.exit(0)
    ]])
    local counts = { done = 0, full = 0 }
    for at = 15, 17 do -- the mark, the commit, the space ahead
      local out = run_with(at, "EDQUOT")
      assert.truthy(counts[out], at .. ": " .. out)
      counts[out] = counts[out] + 1
    end
    assert.same({ done = 2, full = 1 }, counts)
  end)

  it("F22 stays shut once the disk was full", function()
    -- A limit on the file's size is what a full disk is to it.
    store:close()
    local script = root .. "/full.lua"
    local file = assert(io.open(script, "w"))
    file:write([[
      local core = require "campaign.core"
      local store = assert(core.store.open(arg[1]))
      local insert = assert(store:prepare("INSERT INTO t VALUES (?, ?)"))
      local failed
      for i = 1, 200 do
        local id, err = store:submit(insert, i, ("x"):rep(10000))
        local ok, run_err = id, err
        if id then ok, run_err = store:run() end
        if not ok then
          failed = run_err
          print(i, failed.kind, failed.reason)
          break
        end
        print("ok", i)
      end
      local again, err = store:run()
      print("again", again, err and err.reason)
      store:close()
    ]])
    file:close()
    local pipe = io.popen("trap '' XFSZ; ulimit -f 400; " .. (os.getenv("CAMPAIGN_TEST_LUA") or "lua5.4") .. " " .. script .. " "
      .. root .. "/a.db 2>&1")
    local out = pipe:read("*a")
    pipe:close()
    local kept = select(2, out:gsub("ok\t", ""))
    assert.is_true(kept > 0, out)
    assert.matches("\tledger\t", out, 1, true)
    assert.matches("again\tnil", out, 1, true)
    store = assert(core.store.open(root .. "/a.db"))
    local _, rows = run("SELECT count(*) FROM t")
    assert.equal(kept, rows[1][1])
  end)

  describe("errands", function()
    local function await(errand)
      local limit = core.system.monotonic() + 60
      local done, value, err = errand:take()
      while not done do
        assert(core.system.monotonic() < limit)
        core.system.sleep(0.001)
        done, value, err = errand:take()
      end
      return value, err
    end

    it("open and close a store on another thread", function()
      local path = root .. "/later.db"
      for _, driver in ipairs({ "inline", "thread" }) do
        os.remove(path)
        local opened = assert(await(assert(core.store.open_later(path, "create", driver))))
        local number = opened:prepare("CREATE TABLE t (a)")
        opened:submit(number)
        assert.is_true(opened:run())
        assert.is_true(opened:take() ~= nil)
        local errand = assert(opened:close_later())
        assert.has_error(function() opened:run() end)
        opened:close()
        assert.is_nil((await(errand)))
        assert.has_error(function() errand:take() end)
        opened = assert(await(assert(core.store.open_later(path, "open", driver))))
        assert(opened:prepare("SELECT a FROM t"))
        local refused, err = await(assert(core.store.open_later(path, "open")))
        assert.are.same({ nil, "ledger", "locked", { ours = true } }, { refused, err.kind, err.reason, err.cause })
        opened:close()
      end
      local refused, err = await(assert(core.store.open_later(root .. "/none.db", "open")))
      assert.is_nil(refused)
      assert.are.equal("ledger", err.kind)
    end)

    it("are finished when nobody takes them", function()
      local path = root .. "/left.db"
      core.store.open_later(path, "create")
      collectgarbage()
      collectgarbage()
      local opened = assert(core.store.open(path, "open")) -- its lock is free
      opened:close_later()
      opened = nil -- luacheck: ignore 311
      collectgarbage()
      collectgarbage()
      assert(core.store.open(path, "open")):close()
    end)
  end)
end)

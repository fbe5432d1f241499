-- SPDX-License-Identifier: MIT
-- The ledger's log: whatever is done to it while its process is dead is noticed where commits are missing by it, and nothing else is.

local command = require "support.command"
local core = require "campaign.core"
local ledger_module = require "campaign.ledger"

local HEAD = 32

describe("the ledger's log", function()
  local root, path, dead

  before_each(function()
    root = command.folder()
    path, dead = root .. "/ledger.db", root .. "/dead.db"
  end)
  after_each(function() command.remove(root) end)

  local function write(name, text)
    command.write(name, text)
    os.execute("chmod 600 " .. name)
  end

  -- What a process leaves that is killed now.
  local function kill()
    for _, suffix in ipairs({ "", "-wal", ".lock" }) do
      os.remove(dead .. suffix)
      if core.system.stat(path .. suffix) then
        write(dead .. suffix, command.read(path .. suffix))
      end
    end
  end

  local function plan(ledger, from, to)
    local batches = {}
    for i = from, to do
      batches[#batches + 1] = { index = i, offset = i * 100, bytes = 100, first_row = i * 10, first_line = i * 10 + 1, rows = 10, accepted = 10,
        body_bytes = 1000, hash = ("%08x"):format(i) }
    end
    assert(ledger:enqueue(batches))
    assert(ledger:job_put{ id = "job-1", state = "planned", record = "{}" })
  end

  local function send(ledger, count)
    for _, lease in ipairs(assert(ledger:claim(count))) do
      assert(ledger:begin(lease))
      assert(ledger:commit())
      assert(ledger:finish(lease, { verdict = "accepted", receipt = "r-" .. lease.index }))
    end
    assert(ledger:commit())
  end

  local function states()
    local ledger = assert(ledger_module.open(dead))
    local counts = assert(ledger:progress()).batches
    ledger:close()
    return counts
  end

  local function assert_lost(pattern, label)
    local before, log = command.read(dead), core.system.stat(dead .. "-wal") and command.read(dead .. "-wal")
    local ledger, err = ledger_module.open(dead)
    if ledger then
      ledger:close()
    end
    assert.equal("damaged", err and err.reason, label)
    assert.matches(pattern, err.message, 1, true)
    assert.matches("campaign recover", err.hint, 1, true)
    assert.equal(before, command.read(dead), label) -- kept as it is
    assert.equal(log, core.system.stat(dead .. "-wal") and command.read(dead .. "-wal"), label)
  end

  local function begun()
    local ledger = assert(ledger_module.open(path, { create = true }))
    plan(ledger, 1, 60)
    send(ledger, 40)
    return ledger
  end

  it("is taken up wherever its process was killed", function()
    local ledger = assert(ledger_module.open(path, { create = true }))
    kill()
    assert.equal(0, states().P)
    plan(ledger, 1, 300)
    kill()
    assert.equal(300, states().P)
    for sent = 1, 150 do -- over several beginnings of the log
      send(ledger, 1)
      if sent % 10 == 0 then
        assert(ledger:job_put{ id = "job-1", state = "planned", record = "{}" })
      end
      kill()
      local counts = states()
      assert.same({ sent, 300 - sent }, { counts.A, counts.P })
    end
    ledger:close()
    kill()
    assert.is_nil(core.system.stat(dead .. "-wal"))
    assert.equal(150, states().A)
  end)

  it("is taken up by one process after the other", function()
    begun():close()
    local sent = 40
    for _ = 1, 5 do
      kill()
      for _, suffix in ipairs({ "", "-wal", ".lock" }) do
        os.rename(dead .. suffix, path .. suffix)
      end
      local ledger = assert(ledger_module.open(path))
      send(ledger, 2)
      sent = sent + 2
      kill() -- dead now, as far as the next one knows
      ledger:close()
      assert.equal(sent, states().A)
      kill()
    end
  end)

  it("is not needed at rest", function()
    begun():close()
    kill()
    os.remove(dead .. ".lock")
    assert.equal(40, states().A)
    write(dead .. "-wal", "")
    assert.equal(40, states().A)
    write(dead .. "-wal", ("x"):rep(5000))
    assert.equal(40, states().A)
  end)

  it("that is gone, cut within its head or damaged there is noticed, with and without the lock file", function()
    local ledger = begun()
    for _, lock in ipairs({ true, false }) do
      kill()
      local log = command.read(dead .. "-wal")
      if not lock then
        os.remove(dead .. ".lock")
      end
      for _, length in ipairs({ 0, 1, 10, 31 }) do
        write(dead .. "-wal", log:sub(1, length))
        assert_lost("its log is damaged", "length " .. length)
      end
      for at = 1, HEAD do
        write(dead .. "-wal", log:sub(1, at - 1) .. string.char((log:byte(at) + 1) % 256) .. log:sub(at + 1))
        assert_lost("its log is damaged", "byte " .. at)
      end
      os.remove(dead .. "-wal")
      assert_lost("its log is missing")
    end
    ledger:close()
  end)

  it("that is gone is not overlooked where a call fails that would tell so #heavy", function()
    local script, build = root .. "/open.lua", os.getenv("CAMPAIGN_BUILD") or command.ROOT .. "/build"
    command.write(script, [[
      local core = require "campaign.core"
      io.open("/shim/arm")
      local store, err = core.store.open(arg[1])
      io.write(store and "opened" or "refused " .. tostring(err.reason))
      io.flush()
      os.exit(0)
    ]])
    local env = { LUA_PATH = os.getenv("LUA_PATH") or package.path, LUA_CPATH = os.getenv("LUA_CPATH") or package.cpath,
      LD_PRELOAD = build .. "/spec/fault_shim.so" }
    local ledger, failed = begun(), 0
    kill()
    os.remove(dead .. "-wal")
    local before = command.read(dead)
    for _, reason in ipairs({ "EIO", "EMFILE" }) do
      for at = 1, 10 do
        env.SHIM = at .. " " .. reason .. " file " .. dead .. " 0"
        local out = command.run({ os.getenv("CAMPAIGN_TEST_LUA") or "lua5.4", script, dead }, { env = env, seconds = 60 }).out
        assert.matches("^refused", out, reason .. " at " .. at)
        failed = failed + (out ~= "refused damaged" and 1 or 0)
      end
    end
    assert.is_true(failed >= 6, failed .. " calls were reached") -- the lock, the log, the file and the mark are looked at
    assert.equal(before, command.read(dead))
    ledger:close()
  end)

  it("is not gone on with when the mark that it is the file's own could not be synced", function()
    local script, build = root .. "/note.lua", os.getenv("CAMPAIGN_BUILD") or command.ROOT .. "/build"
    command.write(script, [[
      local core = require "campaign.core"
      io.open("/shim/arm")
      local store = assert(core.store.open(arg[1]))
      local number = assert(store:prepare("UPDATE job SET record = record || ' '"))
      for _ = 1, 2 do
        store:submit(number)
        local ok, err = store:run()
        io.write(ok and "written " or err.reason .. " ")
      end
      store:close()
    ]])
    local function run(at)
      return command.run({ os.getenv("CAMPAIGN_TEST_LUA") or "lua5.4", script, dead }, { seconds = 60, env = {
        LUA_PATH = os.getenv("LUA_PATH") or package.path, LUA_CPATH = os.getenv("LUA_CPATH") or package.cpath,
        LD_PRELOAD = build .. "/spec/fault_shim.so", SHIM = at .. " EIO file " .. dead .. ".lock 0", SHIM_TRACE = "1" } })
    end
    local ledger = begun()
    kill()
    local at = run(0).err:match("shim (%d+) fdatasync")
    assert.truthy(at)
    kill()
    assert.equal("io io ", run(at).out)
    assert.equal(40, states().A)
    ledger:close()
  end)

  it("whose head is torn is taken for empty where the lock file says that it was about to begin anew", function()
    local ledger = begun()
    ledger._store:checkpoint()
    assert(ledger:job_put{ id = "job-1", state = "planned", record = "{}" }) -- all of it is in the file
    kill()
    ledger:close()
    local whole, log, lock = command.read(dead), command.read(dead .. "-wal"), command.read(dead .. ".lock")
    local torn = log:sub(1, 12) .. ("x"):rep(4) .. log:sub(17) -- half of a new head over the old one
    write(dead .. "-wal", torn)
    assert_lost("its log is damaged")
    local zeros = ("\0"):rep(16)
    local sum = core.digest.crc32c(zeros):gsub("%x%x", function(byte) return string.char(tonumber(byte, 16)) end):reverse()
    for _, text in ipairs({ torn, log }) do -- and where its process ended before the head
      write(dead, whole)
      write(dead .. "-wal", text)
      write(dead .. ".lock", lock:sub(1, 32) .. "log " .. sum .. zeros)
      assert.equal(40, states().A)
    end
  end)

  it("that was hurt in its middle is noticed, and one whose end was never written is not", function()
    local ledger = begun()
    kill()
    ledger:close()
    os.remove(dead .. ".lock") -- it knows where the end was
    local log, found = command.read(dead .. "-wal"), assert(core.store.log(dead))
    assert.is_nil(found.lost)
    local frame_size = 24 + found.page_size
    local frames = (found.bytes - HEAD) / frame_size
    assert.is_true(frames > 40 and frames % 1 == 0)
    for _, length in ipairs({ HEAD, 5000, found.bytes - 1, found.bytes - frame_size, found.bytes - frame_size - 1000, found.bytes, #log }) do
      write(dead .. "-wal", log:sub(1, length))
      assert.is_nil(assert(core.store.log(dead)).lost, "length " .. length)
    end
    for _, frame in ipairs({ 0, 1, 7, frames - 10 }) do
      for _, at in ipairs({ 0, 5, 9, 20, 24, frame_size - 1 }) do
        local place = HEAD + frame * frame_size + at
        write(dead .. "-wal", log:sub(1, place) .. string.char((log:byte(place + 1) + 1) % 256) .. log:sub(place + 2))
        assert_lost("its log is damaged", ("frame %d byte %d"):format(frame, at))
      end
    end
  end)

  it("is taken up after two power cuts in a row, each of which tore a commit out of order", function()
    local ledger = begun()
    kill()
    local lock, whole, ended = command.read(dead .. ".lock"), command.read(dead), assert(core.store.log(dead)).bytes
    local function tear() -- the commit at `ended` has its last frame, not its first one; mark and file are as before
      local log = command.read(dead .. "-wal")
      write(dead .. "-wal", log:sub(1, ended) .. ("\0"):rep(24) .. log:sub(ended + 25))
      write(dead, whole)
      write(dead .. ".lock", lock)
    end
    plan(ledger, 61, 400)
    kill()
    ledger:close()
    tear()
    for _, suffix in ipairs({ "", "-wal", ".lock" }) do
      os.rename(dead .. suffix, path .. suffix)
    end
    ledger = assert(ledger_module.open(path))
    assert(ledger:note(1, "probe", "unclear", "a commit that is shorter than the torn one"))
    assert(ledger:commit())
    kill()
    ledger:close()
    tear()
    local counts = states()
    assert.same({ 40, 20 }, { counts.A, counts.P })
  end)

  it("whose torn commit stands over what was rolled back is taken up", function()
    local store = assert(core.store.open(path, "create"))
    local function run(sql, ...)
      store:submit(assert(store:prepare(sql)), ...)
      return store:run()
    end
    assert(run("CREATE TABLE t (a INTEGER PRIMARY KEY, b)"))
    assert(run("INSERT INTO t VALUES (?, ?)", 1, "kept"))
    local insert = assert(store:prepare("INSERT INTO t VALUES (?, ?)"))
    for a = 2, 201 do -- more than SQLite keeps in memory: pages go to the log before their transaction fails
      store:submit(insert, a % 201 + 1, ("x"):rep(8000))
    end
    assert.is_nil((store:run()))
    kill()
    local before = assert(core.store.log(dead))
    assert(run("UPDATE t SET b = ?", ("y"):rep(20000)))
    kill()
    store:close()
    local log, after = command.read(dead .. "-wal"), assert(core.store.log(dead))
    assert.is_true(after.bytes > before.bytes + 2 * 4120 and #log > after.bytes + 100 * 4120)
    os.remove(dead .. ".lock") -- its mark may be behind
    write(dead .. "-wal", log:sub(1, before.bytes) .. ("\0"):rep(4120) .. log:sub(before.bytes + 4121))
    local found = assert(core.store.log(dead))
    assert.same({ before.bytes }, { found.bytes, found.lost })
    store = assert(core.store.open(dead, "open"))
    store:submit((assert(store:prepare("SELECT b FROM t"))))
    assert(store:run())
    local _, _, rows = store:take()
    store:close()
    assert.same({ { "kept" } }, rows)
  end)

  it("that ends earlier than it did is noticed by what the lock file says, down to the last commit", function()
    local ledger = begun()
    kill()
    ledger:close()
    local log, bytes = command.read(dead .. "-wal"), assert(core.store.log(dead)).bytes
    for _, length in ipairs({ HEAD, math.floor(bytes / 2), bytes - 1 }) do
      write(dead .. "-wal", log:sub(1, length))
      assert_lost("its log ends too early", "length " .. length)
      write(dead .. "-wal", log:sub(1, length) .. ("\0"):rep(#log - length))
      assert_lost("its log ends too early", "length " .. length .. ", then zeros")
    end
    write(dead .. "-wal", log:sub(1, bytes))
    assert.equal(40, states().A)
  end)

  it("of another time is noticed", function()
    local ledger = begun()
    kill()
    local early = command.read(dead .. "-wal")
    for _ = 1, 2 do -- the log begins anew
      assert(ledger:job_put{ id = "job-1", state = "planned", record = "{}" })
      send(ledger, 2)
    end
    kill()
    ledger:close()
    write(dead .. "-wal", early)
    assert_lost("its log was replaced by another one")
  end)

  it("with a mark that is behind, torn or meaningless is taken as it is", function()
    local ledger = begun()
    kill()
    local mark = command.read(dead .. ".lock")
    send(ledger, 5)
    kill()
    ledger:close()
    for _, text in ipairs({ mark, mark:sub(1, 40), ("\255"):rep(100), "" }) do
      local log, whole = command.read(dead .. "-wal"), command.read(dead)
      write(dead .. ".lock", text)
      assert.equal(45, states().A)
      write(dead .. "-wal", log)
      write(dead, whole)
    end
  end)
end)

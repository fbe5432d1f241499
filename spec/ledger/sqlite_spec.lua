-- SPDX-License-Identifier: MIT
-- The SQLite ledger: the contract of all ledgers, and what its file owes: closed to others, one process at a time, damage found, disk full.

local command = require "support.command"
local core = require "campaign.core"
local ledger_module = require "campaign.ledger"

local root

local function path()
  return root .. "/ledger.db"
end

for name, background in pairs({ sqlite = false, ["sqlite in the background"] = true }) do
  require "ledger.contract"(name, {
    make = function()
      root = command.folder()
      return ledger_module.open(path(), { create = true, background = background })
    end,
    reopen = function(ledger)
      ledger:close() -- as the death of its process would
      return ledger_module.open(path(), { background = background })
    end,
    clear = function()
      command.remove(root)
    end,
  }, { describe = describe, it = it, before_each = before_each, after_each = after_each, assert = assert })
end

describe("the sqlite ledger where nobody may block", function()
  before_each(function() root = command.folder() end)
  after_each(function() command.remove(root) end)

  it("waits in short sleeps until a commit is over before it prepares another statement", function()
    local busy, slept = 0, 0
    local ledger = assert(require("campaign.ledger.sqlite").open(path(), { create = true, driver = "thread", sleep = function(seconds)
      core.system.sleep(seconds)
      slept, busy = slept + (busy > 0 and 1 or 0), math.max(0, busy - 1)
    end }))
    local store = ledger._store
    ledger._store = setmetatable({ busy = function() return busy > 0 and busy or store:busy() end }, { __index = function(_, name)
      return function(_, ...)
        return store[name](store, ...)
      end
    end })
    assert(ledger:enqueue{ { index = 1, offset = 0, bytes = 10, first_row = 1, first_line = 2, rows = 1, accepted = 1, body_bytes = 10 } })
    busy = 3
    assert(ledger:note(1, "probe", "unclear", "nothing was seen"))
    assert.equal(3, slept)
    busy = 3
    assert(ledger:note(1, "probe", "unclear", "nothing was seen"))
    assert.equal(3, slept)
    busy = 0
    assert(ledger:commit())
    ledger:close()
  end)
end)

local function read(name)
  local file = assert(io.open(name, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

local function write(name, text)
  local file = assert(io.open(name, "wb"))
  assert(file:write(text))
  file:close()
end

describe("the ledger's file", function()
  local ledger

  local function enqueue(from, to)
    for i = from, to do
      assert(ledger:enqueue{ { index = i, offset = i, bytes = 1, first_row = i, first_line = i, rows = 1, accepted = 1, body_bytes = 1,
        skip = "", hash = "h" } })
    end
    return ledger:commit()
  end

  before_each(function()
    root = command.folder()
    ledger = assert(ledger_module.open(path(), { create = true }))
    assert(ledger:job_put{ id = "j", state = "planned", record = "{}" })
  end)
  after_each(function()
    ledger:close()
    command.remove(root)
  end)

  it("is readable by its user only, with all that lies beside it", function()
    assert(enqueue(1, 10))
    local names = assert(core.system.list_dir(root))
    assert.is_true(#names >= 3)
    for _, name in ipairs(names) do
      assert.equal(384, core.system.stat(root .. "/" .. name).mode, name)
    end
    ledger:close()
    os.execute("chmod 644 " .. path())
    local _, err = ledger_module.open(path())
    assert.equal("ledger", err.kind)
    assert.matches("chmod 600", err.message, 1, true)
  end)

  it("is never made over another, nor found where there is none", function()
    ledger:close()
    local _, err = ledger_module.open(path(), { create = true })
    assert.equal("ledger", err.kind)
    _, err = ledger_module.open(root .. "/none.db")
    assert.equal("ledger", err.kind)
    assert.is_nil(core.system.stat(root .. "/none.db.lock"))
    _, err = ledger_module.open(root .. "/no/folder.db", { create = true })
    assert.equal("ledger", err.kind)
  end)

  it("F23 is refused at once while another has it", function()
    local before = core.system.monotonic()
    local _, err = ledger_module.open(path())
    assert.equal("ledger", err.kind)
    assert.equal("locked", err.reason)
    assert.matches("another process works on this job", err.message, 1, true)
    assert.is_true(core.system.monotonic() - before < 5)
    ledger:close()
    ledger = assert(ledger_module.open(path()))
  end)

  it("F24 is refused when it is damaged, and kept", function()
    assert(enqueue(1, 2000))
    ledger:close()
    local whole = read(path())
    local damaged = { whole:sub(1, #whole - 5000), "no ledger at all" .. ("x"):rep(8192),
      whole:sub(1, 4096 * 2) .. ("\255"):rep(4096) .. whole:sub(4096 * 3 + 1) }
    for i, text in ipairs(damaged) do
      write(path(), text)
      local _, err = ledger_module.open(path())
      assert.equal("ledger", err and err.kind, "damage " .. i)
      assert.equal("damaged", err.reason, "damage " .. i .. ": " .. tostring(err))
      assert.equal(text, read(path()))
    end
  end)

  it("that was closed just now is not checked again by who says so, unless it was changed since or has a log", function()
    assert(enqueue(1, 2000))
    local stamp = assert(ledger:close())
    assert.is_nil(ledger:close())
    ledger = assert(ledger_module.open(path(), { checked = stamp }))
    assert.equal(2000, assert(ledger:progress()).batches.P)
    assert(enqueue(2001, 2010))
    ledger:close()
    local whole = read(path())
    local _, err
    write(path(), whole:sub(1, 4096 * 2) .. ("\255"):rep(4096) .. whole:sub(4096 * 3 + 1))
    _, err = ledger_module.open(path(), { checked = stamp })
    assert.equal("damaged", err and err.reason)
    write(path(), whole)
    write(path() .. "-wal", "x")
    assert(os.execute("chmod 600 " .. path() .. "-wal"))
    ledger = assert(ledger_module.open(path(), { checked = stamp }))
    assert.equal(2010, assert(ledger:progress()).batches.P)
  end)

  it("of another version is refused", function()
    ledger:close()
    local store = assert(core.store.open(path()))
    local number = assert(store:prepare("PRAGMA user_version = 99"))
    assert(store:submit(number))
    assert(store:run())
    store:close()
    local _, err = ledger_module.open(path())
    assert.matches("version 99", err.message, 1, true)
  end)

  it("is at rest a single file that holds everything", function()
    assert(enqueue(1, 100))
    ledger:close()
    assert.is_nil(core.system.stat(path() .. "-wal"))
    ledger = assert(ledger_module.open(path()))
    assert.equal(100, assert(ledger:progress()).batches.P)
  end)

  it("never loses an attempt nor changes an outcome or a plan, whoever asks", function()
    assert(enqueue(1, 1))
    local lease = ledger:claim(1)[1]
    ledger:begin(lease)
    assert(ledger:commit())
    ledger:finish(lease, { verdict = "accepted" })
    assert(ledger:commit())
    ledger:close()
    local store = assert(core.store.open(path()))
    for _, sql in ipairs({ "DELETE FROM attempt", "UPDATE attempt SET verdict = 'rejected'", "UPDATE batch SET offset = 7",
      "DELETE FROM batch", "UPDATE batch SET state = 'Z'", "UPDATE batch SET state = 'AA'" }) do
      local number = assert(store:prepare(sql))
      assert(store:submit(number))
      local ok, err = store:run()
      assert.is_nil(ok, sql)
      assert.equal("conflict", err.reason)
    end
    store:close()
  end)
end)

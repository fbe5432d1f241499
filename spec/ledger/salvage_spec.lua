-- SPDX-License-Identifier: MIT
-- Reading ledgers without their trees: the same records that SQLite reads, from file and log, and what is left of a damaged file.

local command = require "support.command"
local core = require "campaign.core"
local ledger_module = require "campaign.ledger"
local pages = require "campaign.ledger.pages"
local salvage = require "campaign.ledger.salvage"

describe("ledger.salvage", function()
  local root

  before_each(function() root = command.folder() end)
  after_each(function() command.remove(root) end)

  local function path(name) return root .. "/" .. (name or "ledger.db") end

  local function query(store, sql)
    local number = assert(store:prepare(sql))
    assert(store:submit(number))
    assert(store:run())
    local _, _, rows = store:take()
    return rows
  end

  local function copy(from, to)
    command.write(to, command.read(from))
    if core.system.stat(from .. "-wal") then
      command.write(to .. "-wal", command.read(from .. "-wal"))
    end
  end

  local function batches(from, to)
    local list = {}
    for i = from, to do
      list[#list + 1] = { index = i, offset = i * 100, bytes = 100, first_row = i * 10, first_line = i * 10 + 1, rows = 10, accepted = 10,
        body_bytes = 5000000000 + i, hash = ("%08x"):format(i), skip = i % 7 == 0 and "1,3-4" or nil }
    end
    return list
  end

  local function fill(ledger, count)
    assert(ledger:job_put({ id = "job-1", state = "planned", record = '{"options":{"x":"' .. ("长"):rep(9000) .. '"}}' },
      { { number = 1, path = "/tmp/list.csv", bytes = 123456789012, mtime = 1762740000.25, encoding = "utf-8", delimiter = "," } }))
    assert(ledger:enqueue(batches(1, count)))
    assert(ledger:record{ { row = 7, state = "rejected", cause = "invalid", column = "手机号", reason = "check", code = "mobile_cn" } })
    assert(ledger:commit())
    for _, lease in ipairs(assert(ledger:claim(count))) do
      assert(ledger:begin(lease))
      assert(ledger:commit())
      if lease.index % 3 > 0 then
        assert(ledger:finish(lease, { verdict = lease.index % 3 == 1 and "accepted" or "ambiguous", cause = "x", seconds = 0.1 * lease.index,
          receipt = "r-" .. lease.index, bytes_sent = 10 }))
      end
    end
    assert(ledger:commit())
  end

  it("knows the ledger's tables column by column", function()
    local ledger = assert(ledger_module.open(path(), { create = true }))
    ledger:close()
    local store = assert(core.store.open(path()))
    for name, columns in pairs(salvage.COLUMNS) do
      local names = {}
      for i, row in ipairs(query(store, "SELECT name FROM pragma_table_info('" .. name .. "') ORDER BY cid")) do
        names[i] = row[1]
      end
      assert.same(names, columns, name)
    end
    store:close()
  end)

  it("takes of a batch that was split the copy that says so, whatever page it lies on", function()
    local PAGE = 4096
    local ledger = assert(ledger_module.open(path(), { create = true }))
    assert(ledger:job_put({ id = "job-1", state = "planned", record = "{}" }))
    assert(ledger:enqueue(batches(1, 3)))
    assert(ledger:commit())
    ledger:close()
    local before = command.read(path())
    ledger = assert(ledger_module.open(path()))
    local lease, pieces = assert(ledger:claim(1))[1], {}
    for i = 0, 1 do
      pieces[i + 1] = { offset = 100 + i * 50, bytes = 50, first_row = 10 + i * 5, first_line = 11 + i * 5, rows = 5, accepted = 5, body_bytes = 9,
        hash = "piece" }
    end
    assert(ledger:split(lease, pieces))
    assert(ledger:commit())
    ledger:close()
    local after = command.read(path())
    local at = math.floor((after:find("piece", 1, true) - 1) / PAGE) * PAGE
    assert.equal(#before, #after)
    -- The older page where the tree has it, the newer one behind all others.
    local count = #after / PAGE + 1
    local text = after:sub(1, at) .. before:sub(at + 1, at + PAGE) .. after:sub(at + PAGE + 1) .. after:sub(at + 1, at + PAGE)
    command.write(path("torn.db"), text:sub(1, 28) .. string.char(0, 0, math.floor(count / 256), count % 256) .. text:sub(33))
    local found = assert(salvage.read(path("torn.db"), path("scratch.db")))
    assert.equal(1, found:ask("batch", 1)[1].split)
    assert.equal(2, #found:ask("pieces_of", 1))
    found:close()
  end)

  it("reads what SQLite reads, from the file at rest and from file and log of a process that has it open", function()
    local ledger = assert(ledger_module.open(path(), { create = true }))
    fill(ledger, 300)
    assert.is_true(core.system.stat(path("ledger.db-wal")).size > 100000)
    copy(path(), path("running.db"))
    ledger:close()
    assert.is_nil(core.system.stat(path("ledger.db-wal")))
    for _, name in ipairs({ "ledger.db", "running.db" }) do
      local found = assert(salvage.read(path(name), path("scratch-" .. name)))
      assert.equal(0, found.unreadable)
      local store = assert(core.store.open(path()))
      for table_name, columns in pairs(salvage.COLUMNS) do
        local rows = query(store, ("SELECT %s FROM %s ORDER BY 1"):format(table.concat(columns, ", "), table_name))
        local at = 0
        for record in found:each(table_name) do
          at = at + 1
          for i, column in ipairs(columns) do
            assert.equal(rows[at][i], record[column], name .. " " .. table_name .. "." .. column)
          end
        end
        assert.equal(#rows, at, name .. " " .. table_name)
      end
      store:close()
      found:close()
    end
  end)

  it("reads numbers of every size and sign", function()
    local store = assert(core.store.open(path(), "create"))
    query(store, "CREATE TABLE t (n INTEGER PRIMARY KEY, a, b)")
    local values = { 0, 1, -1, 127, 128, -128, -129, 32767, -32768, 8388607, -8388608, 2147483647, -2147483648, 140737488355327, -140737488355328,
      9007199254740991, -9007199254740991, 0.5, -0.1, 1e300, -1e-300, 5e-324, 1762740000.3231099 }
    local number = assert(store:prepare("INSERT INTO t VALUES (?, ?, ?)"))
    for i, value in ipairs(values) do
      assert(store:submit(number, i, value, ("x"):rep(i * 700)))
    end
    assert(store:run())
    store:close()
    local reader = assert(pages.open(path()))
    local seen = 0
    assert(reader:each(function(rowid, record)
      if record.n == 3 then
        assert.equal(values[rowid], record[2])
        assert.equal(rowid * 700, #record[3])
        seen = seen + 1
      end
    end))
    assert.equal(#values, seen)
    reader:close()
  end)

  it("takes from a damaged file what its intact pages hold, with and without its head", function()
    local ledger = assert(ledger_module.open(path(), { create = true }))
    fill(ledger, 400)
    ledger:close()
    local whole = command.read(path())
    local count = #whole / 4096
    for page = 1, count do
      command.write(path("b.db"), whole:sub(1, (page - 1) * 4096) .. ("\255"):rep(4096) .. whole:sub(page * 4096 + 1))
      os.remove(path("s.db"))
      local found = assert(salvage.read(path("b.db"), path("s.db")))
      assert.is_true(found.found.batch >= 400 - 60, "page " .. page .. ": " .. found.found.batch)
      assert.is_true(found.found.attempt >= 266 - 80, "page " .. page .. ": " .. found.found.attempt)
      found:close()
    end
    for length = 0, #whole, 7001 do -- cut anywhere
      command.write(path("b.db"), whole:sub(1, length))
      os.remove(path("s.db"))
      local found = assert(salvage.read(path("b.db"), path("s.db")))
      found:close()
    end
  end)

  it("never breaks on bytes that mean nothing", function()
    local random = 4711
    local function byte()
      random = random * 16807 % 2147483647
      return random % 256
    end
    local ledger = assert(ledger_module.open(path(), { create = true }))
    fill(ledger, 60)
    copy(path(), path("running.db"))
    ledger:close()
    for _, name in ipairs({ "ledger.db", "running.db" }) do
      local whole = command.read(path(name))
      local log = name == "running.db" and command.read(path("running.db-wal"))
      for _ = 1, 60 do
        local function hurt(text)
          for _ = 1, 1 + byte() % 20 do
            local at = (byte() * 65536 + byte() * 256 + byte()) % #text + 1
            text = text:sub(1, at - 1) .. string.char(byte()) .. text:sub(at + 1)
          end
          return text
        end
        command.write(path("b.db"), hurt(whole))
        if log then
          command.write(path("b.db-wal"), hurt(log))
        end
        os.remove(path("s.db"))
        local found = assert(salvage.read(path("b.db"), path("s.db")))
        found:close()
      end
    end
  end)
end)

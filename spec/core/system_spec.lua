-- SPDX-License-Identifier: MIT
-- campaign.core.system: clocks, files, locks, child processes; everything against the real system.

local core = require "campaign.core"
local unix = require "socket.unix"
require "campaign.error"

local system = core.system
local folder

local function octal(mode)
  return ("%03o"):format(mode)
end

local function spawn(options)
  return assert(system.spawn(options))
end

-- Runs a shell command to its end.
local function shell(script, options)
  local all = { "sh", "-c", script }
  for name, value in pairs(options or {}) do
    all[name] = value
  end
  local process = spawn(all)
  local status = assert(process:wait(10))
  process:close()
  return status
end

-- Runs a Lua script in a child of its own and gives its first line.
local function run_lua(script, limit)
  assert(system.write_atomic(folder .. "/child.lua", script))
  local process = spawn { "sh", "-c", limit .. " exec \"$0\" \"$1\"", os.getenv("CAMPAIGN_TEST_LUA") or "lua5.4",
    folder .. "/child.lua", pipe = true }
  local line = process:read_line(30)
  process:wait(30)
  process:close()
  return line
end

-- The same with a limit on file sizes, which looks like a full disk: a write that fails half way. The signal that comes with it is ignored
-- by the shell; the interpreter inherits that.
local function run_limited(script)
  return run_lua(script, "ulimit -f 8; trap '' XFSZ;")
end

-- Children of this process that have ended and that nobody has waited for.
local function count_zombies()
  local count = 0
  for _, name in ipairs(system.list_dir("/proc")) do
    if name:find("^%d+$") then
      local stat = system.read_file("/proc/" .. name .. "/stat", 4096) or ""
      local state, parent = stat:match("%) (%a) (%d+)")
      if state == "Z" and tonumber(parent) == system.pid() then
        count = count + 1
      end
    end
  end
  return count
end

describe("core.system", function()
  before_each(function()
    local process = spawn { "mktemp", "-d", pipe = true }
    folder = assert(process:read_line(10))
    process:wait(10)
    process:close()
  end)

  after_each(function()
    shell("rm -rf -- '" .. folder .. "'")
    collectgarbage()
    collectgarbage()
    assert.are.equal(0, core.live())
    assert.are.equal(0, count_zombies())
  end)

  describe("clocks", function()
    it("tells the date and durations", function()
      assert.is_true(math.abs(system.now() - os.time()) <= 1.5)
      local before = system.monotonic()
      system.sleep(0.02)
      local passed = system.monotonic() - before
      assert.is_true(passed >= 0.02 and passed < 5)
      assert.has_error(function() system.sleep(-1) end)
      assert.has_error(function() system.sleep(0 / 0) end)
    end)
  end)

  describe("random", function()
    it("gives bytes that do not repeat", function()
      assert.are.equal(16, #system.random(16))
      assert.are_not.equal(system.random(16), system.random(16))
      assert.has_error(function() system.random(0) end)
      assert.has_error(function() system.random(257) end)
    end)
  end)

  describe("write_atomic", function()
    it("leaves a pipe or a device of that name in its place, also behind a link", function()
      assert(os.execute("mkfifo " .. folder .. "/pipe && ln -s pipe " .. folder .. "/link"))
      for _, name in ipairs{ "pipe", "link" } do
        local ok, err = system.write_atomic(folder .. "/" .. name, "x")
        assert.is_nil(ok)
        assert.equal(folder .. "/" .. name .. ": exists and is not a regular file", err.message)
      end
      assert.same({ "other", "link" }, { system.stat(folder .. "/pipe").type, system.stat(folder .. "/link", false).type })
    end)
  end)

  describe("sync_folder", function()
    it("syncs a folder, and says what is wrong", function()
      assert.is_true(system.sync_folder(folder))
      local ok, err = system.sync_folder(folder .. "/none")
      assert.same({ nil, "missing" }, { ok, err.reason })
      assert.is_true(system.write_atomic(folder .. "/file", "x"))
      assert.is_nil((system.sync_folder(folder .. "/file")))
    end)
  end)

  describe("syncer", function()
    local function results(syncer, count)
      local found = {}
      while count > 0 do
        local id, ok, err = syncer:take()
        if id then
          found[id], count = ok or err.message, count - 1
        else
          system.sleep(0.001)
        end
      end
      return found
    end

    it("rings a bell that an event loop has connected to, and so does a store; a bell that has gone is no trouble", function()
      local notice = system.notice()
      local path = assert(notice:listen())
      local client = unix.stream()
      assert(client:connect(path))
      local number = assert(notice:accept())
      assert.is_nil(system.stat(path), "the path stays for nobody")
      assert.is_nil((notice:accept()))
      client:settimeout(10)
      local syncer = assert(system.syncer())
      assert.is_true(syncer:ring(number))
      local id = assert(syncer:write_atomic(folder .. "/rung", "x"))
      assert(client:receive(8))
      assert.same({ id, true }, { syncer:take() })
      local store = assert(core.store.open(folder .. "/rung.db", "create", "thread", "CREATE TABLE t (a)"))
      assert.is_true(store:ring(number))
      assert(store:submit(assert(store:prepare("INSERT INTO t VALUES (?)")), 1))
      assert(store:start())
      assert(client:receive(8))
      assert.equal(1, store:wait(0))
      client:close()
      notice:close()
      notice:close()
      assert.has_error(function() notice:listen() end)
      id = assert(syncer:write_atomic(folder .. "/unrung", "x"))
      assert.same({ [id] = true }, results(syncer, 1))
      assert.is_true(syncer:ring(nil))
      assert(syncer:write_atomic(folder .. "/silent", "x"))
      assert.is_nil((syncer:ring(999999)))
      store:close()
      syncer:close()
    end)

    it("syncs and replaces on its thread, and tells how it went by number", function()
      local syncer = assert(system.syncer())
      local file = assert(system.append_open(folder .. "/log"))
      assert(file:write("one"))
      local synced = assert(syncer:submit(file))
      file:close() -- it has its own
      local replaced = assert(syncer:write_atomic(folder .. "/state", "\0new"))
      local names = assert(syncer:sync_folder(folder))
      local refused = assert(syncer:write_atomic(folder .. "/none/state", "x"))
      local missing = assert(syncer:sync_folder(folder .. "/none"))
      local found = results(syncer, 5)
      assert.same({ true, true, true }, { found[synced], found[replaced], found[names] })
      assert.truthy(found[refused]:find("none/state", 1, true))
      assert.truthy(found[missing]:find(folder .. "/none", 1, true))
      assert.are.equal("\0new", system.read_file(folder .. "/state"))
      assert.is_nil((syncer:take()))
      syncer:close()
      syncer:close()
      assert.has_error(function() syncer:take() end)
      assert.has_error(function() assert(system.syncer()):submit("no file") end)
    end)

    it("does what is queued before it ends", function()
      local syncer = assert(system.syncer())
      for i = 1, 20 do
        assert(syncer:write_atomic(folder .. "/" .. i, tostring(i)))
      end
      syncer:close()
      for i = 1, 20 do
        assert.are.equal(tostring(i), system.read_file(folder .. "/" .. i))
      end
    end)
  end)

  describe("write_atomic", function()
    it("writes and replaces files, with mode 600 unless told otherwise", function()
      local path = folder .. "/state.json"
      assert.is_true(system.write_atomic(path, "one"))
      assert.are.equal("one", system.read_file(path))
      assert.are.equal("600", octal(system.stat(path).mode))
      assert.is_true(system.write_atomic(path, "\0two\255"))
      assert.are.equal("\0two\255", system.read_file(path))
      assert.is_true(system.write_atomic(folder .. "/open.txt", "", tonumber("644", 8)))
      assert.are.equal("644", octal(system.stat(folder .. "/open.txt").mode))
      assert.is_true(system.write_atomic(folder .. "/" .. ("n"):rep(255), "long name"))
      assert.are.equal(3, #system.list_dir(folder)) -- no temporary file stays
    end)

    it("replaces a symbolic link and leaves what it points to alone", function()
      shell(("echo -n old >%s/target; ln -s target %s/link"):format(folder, folder))
      assert.is_true(system.write_atomic(folder .. "/link", "new"))
      assert.are.equal("old", system.read_file(folder .. "/target"))
      assert.are.equal("file", system.stat(folder .. "/link", false).type)
    end)

    it("says what is wrong and leaves nothing behind", function()
      local ok, err = system.write_atomic(folder .. "/none/state", "x")
      assert.is_nil(ok)
      assert.are.equal("invalid", err.kind)
      assert.are.equal("missing", err.reason)
      assert.truthy(err.message:find(folder .. "/none/state", 1, true))
      assert.is_nil((system.write_atomic(folder .. "/", "x")))
      assert.is_true(system.make_dirs(folder .. "/sub/full"))
      assert.is_nil((system.write_atomic(folder .. "/sub", "x")))
      assert.is_nil((system.write_atomic(folder .. "/" .. ("n"):rep(256), "x")))
      assert.are.same({ "sub" }, system.list_dir(folder))
      assert.has_error(function() system.write_atomic("a\0b", "x") end)
      assert.has_error(function() system.write_atomic(folder .. "/a", "x", 512) end)
    end)

    it("keeps the old content when the disk is full", function()
      local path = folder .. "/state"
      assert.is_true(system.write_atomic(path, "old"))
      local line = run_limited(([[local core = require "campaign.core"
        local ok, err = core.system.write_atomic(%q, ("x"):rep(100000))
        io.stdout:write(tostring(ok), " ", err and err.reason or "", " ", err and err.message or "")]]):format(path))
      assert.truthy(line:find("^nil full ") and line:find("too large", 1, true), line)
      assert.are.equal("old", system.read_file(path))
      assert.are.equal(2, #system.list_dir(folder))
    end)
  end)

  describe("read_file", function()
    it("reads up to a maximum and refuses more", function()
      local path = folder .. "/data"
      local text = ("0123456789"):rep(20000)
      system.write_atomic(path, text)
      assert.is_true(text == system.read_file(path))
      assert.is_true(text == system.read_file(path, #text))
      local bytes, err = system.read_file(path, #text - 1)
      assert.is_nil(bytes)
      assert.truthy(err.message:find("larger than 199999 bytes", 1, true))
      assert.is_nil(err.reason) -- no disk is full
      assert.is_nil((system.read_file("/dev/zero")))
      assert.is_nil((system.read_file(folder)))
      shell("mkfifo " .. folder .. "/fifo")
      assert.is_nil((system.read_file(folder .. "/fifo")))
    end)

    it("refuses private files that others can read, and links", function()
      local path = folder .. "/accounts.json"
      system.write_atomic(path, "secret")
      assert.are.equal("secret", system.read_file(path, 1000, true))
      for _, mode in ipairs { "640", "604", "620", "666" } do
        shell("chmod " .. mode .. " " .. path)
        local bytes, err = system.read_file(path, 1000, true)
        assert.is_nil(bytes)
        assert.truthy(err.message:find("chmod 600", 1, true))
      end
      shell("chmod 600 " .. path .. "; ln -s accounts.json " .. folder .. "/link")
      assert.is_nil((system.read_file(folder .. "/link", 1000, true)))
      assert.are.equal("secret", system.read_file(folder .. "/link", 1000))
    end)
  end)

  describe("syncer", function()
    it("syncs files on its thread, in order, and tells each by its number", function()
      local syncer = assert(system.syncer())
      assert.is_nil((syncer:take()))
      local wanted = {}
      for i = 1, 20 do
        local file = assert(system.append_open(folder .. "/synced-" .. i % 3))
        assert(file:write("x"))
        wanted[i] = assert(syncer:submit(file))
        file:close() -- the syncer has a descriptor of its own
      end
      local found = {}
      local limit = system.monotonic() + 60
      while #found < 20 and system.monotonic() < limit do
        local id, ok = syncer:take()
        if id then
          assert.is_true(ok)
          found[#found + 1] = id
        else
          system.sleep(0.001)
        end
      end
      assert.are.same(wanted, found)
      syncer:close()
      syncer:close()
      assert.has_error(function() syncer:take() end)
    end)

    it("replaces files whole, and says what it could not", function()
      local syncer = assert(system.syncer())
      local wanted = { [assert(syncer:write_atomic(folder .. "/replaced", "one"))] = true,
        [assert(syncer:write_atomic(folder .. "/replaced", "two\0", 256))] = true, -- 0400
        [assert(syncer:write_atomic(folder .. "/none/replaced", "x"))] = false }
      local limit = system.monotonic() + 60
      while next(wanted) and system.monotonic() < limit do
        local id, ok, err = syncer:take()
        if id then
          assert.are.equal(wanted[id], ok == true)
          assert.are.equal(wanted[id], err == nil)
          wanted[id] = nil
        else
          system.sleep(0.001)
        end
      end
      assert.is_nil(next(wanted))
      assert.are.equal("two\0", (system.read_file(folder .. "/replaced", 100)))
      assert.are.equal(256, system.stat(folder .. "/replaced").mode)
      assert.has_error(function() syncer:write_atomic("a\0b", "x") end)
      syncer:close()
    end)

    it("says what cannot be synced, refuses what is no open file, and finishes what is queued when it is closed", function()
      local syncer = assert(system.syncer())
      local file = assert(system.append_open(folder .. "/closed"))
      assert(syncer:submit(file))
      file:close()
      assert.has_error(function() syncer:submit(file) end)
      assert.has_error(function() syncer:submit("path") end)
      syncer:close()
      assert(system.syncer()) -- one that is only collected
      collectgarbage()
    end)
  end)

  describe("append_open", function()
    it("appends, syncs and closes", function()
      local path = folder .. "/journal"
      local first = assert(system.append_open(path))
      local second = assert(system.append_open(path))
      assert.is_true(first:write("a\n"))
      assert.is_true(second:write("b\n"))
      assert.is_true(first:write("c\n"))
      assert.is_true(first:sync())
      assert.is_true(first:close())
      assert.is_true(first:close())
      assert.is_true(second:close())
      assert.are.equal("a\nb\nc\n", system.read_file(path))
      assert.are.equal("600", octal(system.stat(path).mode))
      assert.has_error(function() first:write("d") end)
      assert.has_error(function() first:sync() end)
    end)

    it("refuses links, folders, pipes and missing folders", function()
      shell(("ln -s target %s/link; mkfifo %s/fifo"):format(folder, folder))
      for _, name in ipairs { "link", "fifo", "", "none/file", "../../dev/full" } do
        local file, err = system.append_open(folder .. "/" .. name)
        assert.is_nil(file)
        assert.are.equal("invalid", err.kind)
      end
      assert.is_nil((system.stat(folder .. "/target")))
    end)

    it("reports a write that fails", function()
      local line = run_limited(([[local core = require "campaign.core"
        local file = assert(core.system.append_open(%q))
        local ok, err = file:write(("x"):rep(100000))
        io.stdout:write(tostring(ok), " ", err and err.message or "")]]):format(folder .. "/journal"))
      assert.truthy(line:find("^nil ") and line:find("journal: File too large", 1, true), line)
    end)
  end)

  it("opens no file by the part of a path before a NUL byte", function()
    local path = folder .. "/named"
    assert(system.write_atomic(path, "a,b\n1,2\n"))
    local input = assert(core.rows.input{ path = path })
    local cut = path .. "\0.csv"
    for name, open in pairs {
      source = function() return core.source{ path = cut } end,
      form = function() return core.form{ { name = "a", path = cut } } end,
      input = function() return core.rows.input{ path = cut } end,
      workbook = function() return core.workbook.reader{ path = cut, folder = folder } end,
      digest = function() return core.digest.sha256_file(cut) end,
      rewrite = function() return core.rows.rewrite(input, { folder = folder .. "\0", shown = "" }) end,
      sheet = function() return core.sheet.writer{ path = cut, columns = 1, source = core.source("a") } end,
      temporary = function()
        return core.sheet.writer{ path = path .. ".xlsx", temporary = folder .. "\0", columns = 1, source = core.source("a") }
      end,
    } do
      local ok, err = pcall(open)
      assert.is_false(ok, name)
      assert.matches("NUL byte", err)
    end
  end)

  describe("lock", function()
    it("is held by one at a time and released by closing", function()
      local path = folder .. "/lock"
      local lock = assert(system.lock(path))
      assert.are.equal("600", octal(system.stat(path).mode))
      local before = system.monotonic()
      local second, err = system.lock(path, 0.1)
      assert.is_nil(second)
      assert.are.equal("timeout", err.kind)
      assert.truthy(err.message:find("this process holds the lock already", 1, true))
      assert.are.same({ "locked", { ours = true } }, { err.reason, err.cause })
      assert.is_true(system.monotonic() - before >= 0.1)
      lock:close()
      lock:close()
      second = assert(system.lock(path))
      second:close()
    end)

    it("names the process that holds it", function()
      local path = folder .. "/lock"
      local owner = spawn { os.getenv("CAMPAIGN_TEST_LUA") or "lua5.4", "-e", ("local system = require('campaign.core').system "
        .. "local lock = assert(system.lock(%q)) print(system.pid()) io.stdout:flush() system.sleep(60)"):format(path), pipe = true }
      local pid = assert(owner:read_line(30))
      local lock, err = system.lock(path)
      assert.is_nil(lock)
      assert.truthy(err.message:find("process " .. pid .. " holds the lock", 1, true), err.message)
      assert.are.same({ "locked" }, { err.reason, err.cause })
      owner:signal("KILL")
      owner:wait(10)
      owner:close()
      assert(system.lock(path, 10)):close()
    end)

    it("names nobody while its holder has not signed: neither who had it before nor who has ended", function()
      local path = folder .. "/lock"
      local function refusal()
        local holder = spawn { "flock", "-F", path, "sh", "-c", "echo held; exec sleep 60", pipe = true } -- takes the lock and never signs
        assert.are.equal("held", holder:read_line(10))
        local lock, err = system.lock(path)
        holder:signal("KILL")
        holder:wait(10)
        holder:close()
        assert.is_nil(lock)
        assert.are.same({ "locked" }, { err.reason, err.cause })
        return err.message
      end
      assert(system.lock(path)):close()
      assert.truthy(refusal():find("another process holds the lock", 1, true))
      local owner = spawn { os.getenv("CAMPAIGN_TEST_LUA") or "lua5.4", "-e", ("local system = require('campaign.core').system "
        .. "lock = assert(system.lock(%q)) print('held') io.stdout:flush() system.sleep(60)"):format(path), pipe = true }
      assert.are.equal("held", owner:read_line(30))
      owner:signal("KILL")
      owner:wait(10)
      owner:close()
      assert.truthy(refusal():find("another process holds the lock", 1, true))
    end)

    it("is released when its owner dies, and a waiter gets it then", function()
      local path = folder .. "/lock"
      local owner = spawn { "flock", path, "-c", "echo held; exec sleep 0.3", pipe = true }
      assert.are.equal("held", owner:read_line(10))
      assert.is_nil((system.lock(path)))
      local lock = assert(system.lock(path, 10))
      lock:close()
      owner:close()
    end)

    it("is that of the file at the path, not of one that was removed meanwhile", function()
      local path = folder .. "/lock"
      local owner = spawn { "flock", path, "-c", "echo held; sleep 0.3; rm " .. path .. "; : >" .. path, pipe = true }
      assert.are.equal("held", owner:read_line(10))
      local lock = assert(system.lock(path, 10))
      assert.are.equal("file", system.stat(path).type)
      assert.is_nil((system.lock(path)))
      lock:close()
      owner:close()
    end)

    it("is not passed on to children", function()
      local path = folder .. "/lock"
      local lock = assert(system.lock(path))
      local child = spawn { "sleep", "5" }
      lock:close()
      assert(system.lock(path)):close()
      child:close()
    end)

    it("refuses links and missing folders", function()
      shell("ln -s target " .. folder .. "/link")
      assert.is_nil((system.lock(folder .. "/link")))
      assert.is_nil((system.lock(folder .. "/none/lock")))
    end)
  end)

  describe("folders", function()
    it("are made with those above them, listed and removed", function()
      local path = folder .. "/a/b/c"
      assert.is_true(system.make_dirs(path))
      assert.is_true(system.make_dirs(path))
      assert.is_true(system.make_dirs(path .. "/"))
      assert.is_true(system.make_dirs("/"))
      assert.are.equal("700", octal(system.stat(path).mode))
      assert.are.same({ "c" }, system.list_dir(folder .. "/a/b"))
      assert.are.same({}, system.list_dir(path))
      system.write_atomic(path .. "/file", "x")
      assert.is_nil((system.make_dirs(path .. "/file")))
      assert.is_nil((system.make_dirs(path .. "/file/more")))
      assert.is_nil((system.make_dirs("")))
      assert.is_nil((system.remove(path)))
      assert.is_true(system.remove(path .. "/file"))
      assert.is_true(system.remove(path))
      local ok, err = system.remove(path)
      assert.is_nil(ok)
      assert.are.equal("missing", err.reason)
      assert.is_nil((system.list_dir(path)))
    end)

    it("are not used where other users could replace what is in them", function()
      local path = folder .. "/theirs"
      assert.is_true(system.make_dirs(path))
      for _, mode in ipairs({ "702", "777", "1777" }) do
        shell("chmod " .. mode .. " " .. path)
        local ok, err = system.make_dirs(path)
        assert.is_nil(ok)
        assert.truthy(tostring(err):find("every user may write into the folder", 1, true), tostring(err))
        assert.is_true(system.make_dirs(path .. "/mine" .. mode))
      end
      for _, mode in ipairs({ "700", "755", "775", "2770" }) do
        shell("chmod " .. mode .. " " .. path)
        assert.is_true(system.make_dirs(path))
      end
      if system.stat(folder).user == 0 then -- only root can give a folder away
        shell("chown nobody " .. path)
        local ok, err = system.make_dirs(path)
        assert.is_nil(ok)
        assert.truthy(tostring(err):find("belongs to another user", 1, true), tostring(err))
      end
    end)

    it("are told from files and links by stat", function()
      system.write_atomic(folder .. "/file", "12345")
      shell("ln -s file " .. folder .. "/link")
      assert.are.equal("folder", system.stat(folder).type)
      local info = system.stat(folder .. "/link")
      assert.are.equal("file", info.type)
      assert.are.equal(5, info.size)
      assert.is_true(math.abs(info.mtime - system.now()) < 60)
      assert.are.equal("link", system.stat(folder .. "/link", false).type)
      assert.are.equal("other", system.stat("/dev/null").type)
      local none, err = system.stat(folder .. "/none")
      assert.is_nil(none)
      assert.are.equal("missing", err.reason)
    end)
  end)

  describe("spawn", function()
    it("tells exit codes and signals", function()
      assert.are.same({ exit = 0 }, shell("true"))
      assert.are.same({ exit = 7 }, shell("exit 7"))
      assert.are.same({ signal = "TERM" }, shell("kill -TERM $$"))
      assert.are.same({ signal = 6 }, shell("ulimit -c 0; kill -ABRT $$"))
    end)

    it("passes arguments as they are", function()
      local process = spawn { "printf", "%s|", "a b", "", "$HOME", "王'\"\\", pipe = true }
      assert.are.equal("a b||$HOME|王'\"\\|", process:read_line(10))
      assert.is_nil((process:read_line(10)))
      process:close()
    end)

    it("reads lines as they come, with a time limit that loses nothing", function()
      local process = spawn { "sh", "-c", "echo one; printf tw; sleep 0.3; echo o; echo; printf last", pipe = true }
      assert.are.equal("one", process:read_line(10))
      local line, err = process:read_line(0.05)
      assert.is_nil(line)
      assert.are.equal("timeout", err.kind)
      assert.are.equal("two", process:read_line(10))
      assert.are.equal("", process:read_line(10))
      assert.are.equal("last", process:read_line(10))
      line, err = process:read_line(10)
      assert.is_nil(line)
      assert.is_nil(err)
      process:close()
    end)

    it("reads much output, and refuses a line without end", function()
      local process = spawn { "sh", "-c", "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done", pipe = true }
      for i = 0, 2999 do
        assert.are.equal("line " .. i, process:read_line(10))
      end
      assert.is_nil((process:read_line(10)))
      process:close()
      process = spawn { "head", "-c", "100000", "/dev/zero", pipe = true }
      local line, err = process:read_line(10)
      assert.is_nil(line)
      assert.are.equal("invalid", err.kind)
      process:close()
    end)

    it("sends output to files that only we can read", function()
      local path = folder .. "/log"
      assert.are.same({ exit = 0 }, shell("echo out; echo err >&2", { stdout = path, stderr = path }))
      assert.are.equal("out\nerr\n", system.read_file(path))
      assert.are.equal("600", octal(system.stat(path).mode))
      shell("echo again", { stdout = path })
      assert.are.equal("again\n", system.read_file(path))
    end)

    it("changes the environment and the folder of the child alone", function()
      local process = spawn { "sh", "-c", "echo \"$CAMPAIGN_X:${HOME-none}:$PATH\"; pwd", pipe = true, cwd = folder,
        env = { CAMPAIGN_X = "a=b", HOME = false } }
      assert.are.equal("a=b:none:" .. os.getenv("PATH"), process:read_line(10))
      assert.are.equal(folder, process:read_line(10))
      process:close()
      assert.is_nil(os.getenv("CAMPAIGN_X"))
    end)

    it("signals, and says when there is nobody left to signal", function()
      local process = spawn { "sleep", "30" }
      assert.is_true(process:pid() > 1)
      local status, err = process:wait(0.05)
      assert.is_nil(status)
      assert.are.equal("timeout", err.kind)
      assert.is_true(process:signal("TERM"))
      assert.are.same({ signal = "TERM" }, process:wait(10))
      assert.are.same({ signal = "TERM" }, process:wait(0))
      local ok
      ok, err = process:signal("TERM")
      assert.is_nil(ok)
      assert.are.equal("the process has ended", err.message)
      assert.has_error(function() process:signal("NONSENSE") end)
      process:close()
      process:close()
      assert.has_error(function() process:wait(1) end)
    end)

    it("kills what is left when it is closed or collected", function()
      local process = spawn { "sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done", pipe = true, group = true }
      assert.are.equal("ready", process:read_line(10))
      local pid = process:pid()
      process:close()
      assert.is_nil((system.stat("/proc/" .. pid)))
      process = spawn { "sleep", "30" }
      pid = process:pid()
      process = nil -- luacheck: ignore
      collectgarbage()
      collectgarbage()
      assert.is_nil((system.stat("/proc/" .. pid)))
    end)

    it("kills a whole group when the child leads one", function()
      local process = spawn { "sh", "-c", "sleep 30 & echo $!; wait", pipe = true, group = true }
      local inner = assert(process:read_line(10))
      process:close()
      local deadline = system.monotonic() + 5
      local function running() -- gone, or a zombie that init has not yet taken
        local stat = system.read_file("/proc/" .. inner .. "/stat", 4096)
        return stat and not stat:find(") Z ", 1, true)
      end
      while running() and system.monotonic() < deadline do
        system.sleep(0.01)
      end
      assert.is_falsy(running())
    end)

    it("gives an empty standard input, or holds one open until we close it", function()
      assert.are.same({ exit = 0 }, shell("test -z \"$(cat)\""))
      local process = spawn { "sh", "-c", "cat; echo ended", pipe = true, hold_stdin = true }
      local _, err = process:read_line(0.1)
      assert.are.equal("timeout", err.kind)
      process:close()
    end)

    it("lets a child see that its parent has died", function()
      local path = folder .. "/seen"
      local line = run_lua(([[local system = require("campaign.core").system
        local child = system.spawn { "sh", "-c", "cat; echo seen >%s", hold_stdin = true, group = true }
        io.stdout:write("started\n")
        io.stdout:flush()
        system.spawn { "kill", "-KILL", tostring(system.pid()) }:wait(10)
        child:close()]]):format(path), "")
      assert.are.equal("started", line)
      local deadline = system.monotonic() + 10
      while system.read_file(path) ~= "seen\n" and system.monotonic() < deadline do
        system.sleep(0.01)
      end
      assert.are.equal("seen\n", system.read_file(path))
    end)

    it("passes no other descriptor on", function()
      local keep = assert(io.open(folder .. "/open", "w")) -- without close-on-exec
      local process = spawn { "sh", "-c", "ls /proc/self/fd | wc -l", pipe = true }
      assert.are.equal(4, tonumber((process:read_line(10)))) -- 0, 1, 2 and the folder that ls itself reads
      process:close()
      keep:close()
    end)

    it("refuses what cannot be started", function()
      local process, err = system.spawn { folder .. "/none" }
      if process and os.getenv("CAMPAIGN_TEST_TOOL") == "valgrind" then
        -- valgrind makes posix_spawn's vfork a fork, so that the failure cannot come back; the child then ends with 127.
        assert.are.same({ exit = 127 }, process:wait(10))
        process:close()
        return
      end
      assert.is_nil(process)
      assert.are.equal("invalid", err.kind)
      assert.are.equal("missing", err.reason)
      process, err = system.spawn { "true", cwd = folder .. "/none" }
      assert.is_nil(process)
      assert.equal(folder .. "/none: No such file or directory", err.message)
      assert.is_nil((system.spawn { "true", stdout = folder .. "/none/log" }))
      assert.is_nil((system.spawn { folder }))
      assert.has_error(function() system.spawn {} end)
      assert.has_error(function() system.spawn { "true", 5 } end)
      assert.has_error(function() system.spawn { "true", "a\0b" } end)
      assert.has_error(function() system.spawn { "true", env = { ["A=B"] = "x" } } end)
      assert.has_error(function() system.spawn { "true", env = { A = true } } end)
      assert.has_error(function() system.spawn { "true", pipe = true, stdout = folder .. "/log" } end)
    end)
  end)
end)

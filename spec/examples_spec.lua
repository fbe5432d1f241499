-- SPDX-License-Identifier: MIT
-- What newcomers read must be true: the examples run against the sandbox and do what they say, the blocks of README.md too, and no
-- page links to what is not there.

local command = require "spec.support.command"
local lfs = require "lfs"
local sandbox = require "campaign.sandbox"

local ROOT = command.ROOT
local LUA = command.LUA == "5.4" and "lua5.4" or "luajit"

local function blocks(text, language)
  local found = {}
  for block in text:gmatch("\n```" .. language .. "\n(.-)\n```") do
    found[#found + 1] = block
  end
  return found
end

describe("examples", function()
  local handle, folder, day

  setup(function()
    folder = command.folder()
    day = os.date("%Y-%m-%d", os.time() + 86400)
    handle = assert(sandbox.start{ clock = day .. " 10:00:00", clock_rate = 600 })
  end)
  teardown(function()
    handle:stop()
    command.remove(folder)
  end)
  before_each(function()
    assert(handle:control("reset", {}))
  end)

  local function run(argv, changes)
    local env = {
      XDG_STATE_HOME = folder .. "/state", XDG_CONFIG_HOME = folder, AUTUMN_WINDOW = "ignore",
      LUA_PATH = ROOT .. "/lua/?.lua;" .. ROOT .. "/lua/?/init.lua;;",
      LUA_CPATH = (os.getenv("CAMPAIGN_BUILD") or ROOT .. "/build") .. "/" .. (LUA == "luajit" and LUA or "lua5.4") .. "/?.so;;",
    }
    for name, value in pairs(handle.environment) do
      env[name] = value
    end
    for name, value in pairs(changes or {}) do
      env[name] = value
    end
    return command.run(argv, { env = env, cd = folder })
  end

  -- Rows that the sandbox has taken over, by operation.
  local function committed()
    local totals = {}
    for operation, targets in pairs(assert(handle:control("commits")).counts) do
      totals[operation] = 0
      for _, count in pairs(targets) do
        totals[operation] = totals[operation] + count
      end
    end
    return totals
  end

  it("autumn_campaign.lua is short, and on the public API alone", function()
    local text = command.read("examples/autumn_campaign.lua")
    local _, lines = text:gsub("\n", "\n")
    assert.is_true(lines <= 60, lines .. " lines")
    for name in text:gmatch("require%s*%(?\"([^\"]+)") do
      assert.are.equal("campaign", name)
    end
  end)

  it("autumn_campaign.lua accounts for every row on every platform", function()
    local result = run{ LUA, ROOT .. "/examples/autumn_campaign.lua", day }
    assert.are.equal("", result.err)
    assert.are.equal(0, result.code)
    for _, text in ipairs{
      "outbound.upload_contacts_file: finished\n  10,000  rows\n   9,890  accepted\n     110  rejected\n",
      "45  手机号 check (mobile_cn)\n", "30  姓名 unmappable (U+", "20  公司 unmappable (U+", "15  手机号 required\n",
      "outbound.upload_dnc_json: finished\n  50  rows\n  50  accepted\n",
      "longlong.import_customers_async: finished\n  10,000  rows\n   9,940  accepted, the platform's result is still to come\n"
        .. "      60  rejected\n",
      "50 requests, ", "tuzhan.batch_add_group_relations: finished\n  10,000  rows\n   9,955  accepted\n      45  rejected\n",
      "hypers.create_notification_task: finished\n  190 notified, 10 failed\n",
    } do
      assert.is_truthy(result.out:find(text, 1, true), "misses:\n" .. text .. "in:\n" .. result.out)
    end
    local totals = committed()
    assert.are.equal(9890, totals["outbound.upload_contacts_file"])
    assert.are.equal(50, totals["outbound.upload_dnc_json"])
    assert.are.equal(9940, totals["longlong.import_customers_async"])
    assert.are.equal(9955, totals["tuzhan.batch_add_group_relations"])
    local rejects = 0
    for path in result.out:gmatch("rejected rows: (%S+)") do
      for _ in assert(require("campaign").rows(folder .. "/" .. path)) do
        rejects = rejects + 1
      end
    end
    assert.are.equal(110 + 60 + 45, rejects)
  end)

  it("autumn_campaign.lua stops with a message when a platform cannot be reached", function()
    local result = run({ LUA, ROOT .. "/examples/autumn_campaign.lua", day }, { CAMPAIGN_OUTBOUND_BASE_URL = "http://127.0.0.1:1" })
    assert.are.equal(1, result.code)
    assert.is_truthy(result.err:find("outbound.get_contact_group_detail", 1, true), result.err)
    assert.are.equal("", result.out)
  end)

  it("tidy_rows.lua looks at each row of the list", function()
    local expected, asleep, none = 0, 0, 0
    for _, row in assert(require("campaign").rows(ROOT .. "/examples/data/contacts.csv")) do
      if row["手机号"] == "" then
        none = none + 1
      elseif row["分组"]:find("沉睡客户", 1, true) then
        asleep = asleep + 1
      else
        expected = expected + 1
      end
    end
    assert.is_true(asleep > 0 and none > 0)
    local result = run{ ROOT .. "/bin/campaign", "import", ROOT .. "/examples/data/contacts.csv", "--to", "longlong.import_customers_async", "--map",
      ROOT .. "/examples/tidy_rows.lua", "--json", "--window", "ignore" }
    assert.are.equal(7, result.code, result.err)
    local found = require("cjson").decode(result.out)
    assert.are.same({ expected, asleep + none }, { found.accepted_pending, found.rejected })
    assert.are.same({ "map", asleep + none }, { found.reasons[1].reason, found.reasons[1].count })
    assert.are.equal(expected, committed()["longlong.import_customers_async"])
  end)

  it("of the pages run as they stand", function()
    os.execute("ln -sfn " .. ROOT .. "/examples " .. folder .. "/examples")
    local runs = 0
    for _, page in ipairs{ "import", "map", "members", "client", "callbacks", "sandbox" } do
      for number, block in ipairs(blocks(command.read("docs/" .. page .. ".md"), "lua")) do
        -- outbound is closed while it is night in its zone, by this machine's clock: the page need not say so, and a run at night must pass.
        block = block:gsub("(:upload_contacts_json)(%b{})", '%1(%2, { window = "ignore" })')
        local result = run{ LUA, command.write(folder .. "/block.lua", block) }
        assert(result.code == 0 and result.err == "", page .. ".md, block " .. number .. ": " .. result.err .. result.out)
        runs = runs + 1
      end
    end
    assert.is_true(runs >= 12, runs .. " blocks")
  end)

  it("of the callback page is a post that is kept", function()
    local found = blocks(command.read("docs/callbacks.md"), "lua")[1]
    local result = run({ LUA, command.write(folder .. "/block.lua", found) })
    assert.are.equal("", result.err)
    assert.matches("^200\t", result.out)
  end)

  describe("README.md", function()
    local readme = command.read("README.md")

    it("has a script that prints what it says it prints", function()
      os.execute("ln -sfn " .. ROOT .. "/examples " .. folder .. "/examples")
      local script = command.write(folder .. "/readme.lua", assert(blocks(readme, "lua")[1]))
      local result = run{ LUA, script }
      assert.are.equal("", result.err)
      local said = assert(blocks(readme, "text")[1])
      assert.are.equal(said, result.out:sub(1, #said))
      assert.is_truthy(result.out:find("\nautumn-contacts\t", 1, true), result.out)
      assert.is_truthy(result.out:find("\nnil\tplatform\t", 1, true), result.out)
    end)

    it("has commands that work", function()
      local block
      for _, text in ipairs(blocks(readme, "sh")) do
        block = text:find("bin/campaign sandbox", 1, true) and text or block
      end
      local lines, expected = {}, {}
      for line in (block .. "\n"):gmatch("([^\n]*)\n") do
        line = line:gsub("%s+#.*$", "")
        if line:find("^bin/campaign") and not line:find("&$") then
          line = line .. " >>out 2>>err; echo $?"
          expected[#expected + 1] = line:find(" import ", 1, true) and "7" or "0"
        elseif line:find("&$") then
          line = line:gsub("&$", ">/dev/null & pid=$!")
        end
        lines[#lines + 1] = line
      end
      lines[#lines + 1] = "kill $pid; wait $pid"
      os.execute("ln -sfn " .. ROOT .. "/examples " .. folder .. "/examples; ln -sfn " .. ROOT .. "/bin " .. folder .. "/bin")
      local result = command.run({ "sh", "-c", table.concat(lines, "\n") }, { cd = folder, env = { XDG_STATE_HOME = folder .. "/state" } })
      assert.are.equal(table.concat(expected, "\n") .. "\n", result.out, result.err)
      assert.is_true(#expected >= 5)
      -- What is about to be sent and where its job lies, and nothing else.
      assert.matches("^campaign: 9,940 of 10,000 rows go in 50 requests, about 3 s; left out: 60 rejected; job campaign%-jobs/[%w_-]+\n$",
        command.read(folder .. "/err"))
    end)

    it("says the same in Chinese: the same blocks, but for their comments, and the same links, in the same order", function()
      local chinese = command.read("README.zh-CN.md")
      local function plain(text, marks)
        text = text:gsub("%s*" .. marks .. "%s[^\n]*", "")
        return text
      end
      for kind, marks in pairs({ lua = "%-%-", sh = "#", text = "\0" }) do
        local ours, theirs = blocks(readme, kind), blocks(chinese, kind)
        assert.are.equal(#ours, #theirs, kind)
        for i, block in ipairs(ours) do
          assert.are.equal(plain(block, marks), plain(theirs[i], marks))
        end
      end
      local function links(text)
        local found = {}
        for target in text:gmatch("%]%(([^)]+)%)") do
          if not target:find("^README") then
            found[#found + 1] = target
          end
        end
        return found
      end
      assert.same(links(readme), links(chinese))
    end)
  end)
end)

describe("pages", function()
  it("link only to files that are there", function()
    local faults = {}
    local pages = { "README.md", "README.zh-CN.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md" }
    for name in lfs.dir("docs") do
      if name:find("%.md$") then
        pages[#pages + 1] = "docs/" .. name
      end
    end
    for _, page in ipairs(pages) do
      local base = page:match("^(.*/)") or ""
      for target in command.read(page):gmatch("%]%(([^)#:]+)%)") do
        if not lfs.attributes(base .. target) then
          faults[#faults + 1] = page .. " links to " .. target
        end
      end
    end
    assert(#faults == 0, "\n" .. table.concat(faults, "\n"))
  end)
end)

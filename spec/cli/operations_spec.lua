-- SPDX-License-Identifier: MIT
-- campaign operations, describe, help and version, run as a user runs them.

local cjson = require "cjson"
local command = require "spec.support.command"
local campaign = command.campaign

-- The first seven columns of the contracts' list.
local function contract_lines(platform)
  local lines = {}
  for line in io.lines("docs/contracts/endpoints.tsv") do
    local cells = {}
    for cell in (line .. "\t"):gmatch("([^\t]*)\t") do
      cells[#cells + 1] = cell
    end
    if #lines == 0 or not platform or cells[1] == platform then
      lines[#lines + 1] = table.concat(cells, "\t", 1, 7)
    end
  end
  return table.concat(lines, "\n") .. "\n"
end

describe("campaign operations", function()
  it("are JSON with --json as with --format json", function()
    local list = cjson.decode(campaign{ "operations", "--json" }.out)
    assert.are.same(list, cjson.decode(campaign{ "operations", "--format", "json" }.out))
    assert.are.equal(44, #list)
  end)

  it("prints the first seven columns of the contracts' list, byte for byte", function()
    local result = campaign{ "operations", "--format", "tsv" }
    assert.are.equal("", result.err)
    assert.are.equal(0, result.code)
    assert.are.equal(contract_lines(), result.out)
  end)

  it("prints one platform alone", function()
    local result = campaign{ "operations", "outbound", "--format", "tsv" }
    assert.are.equal(contract_lines("outbound"), result.out)
  end)

  it("prints JSON with the same facts", function()
    local list = cjson.decode(campaign{ "operations", "longlong", "--format", "json" }.out)
    assert.are.same({ {
      platform = "longlong", operation = "import_customers_async", method = "POST",
      path = "/agent-api/user/{user_id}/async_customer", auth = "bearer", request_body = "json", response = "json",
    } }, list)
  end)

  it("prints a table whose columns stand below each other", function()
    local out = campaign{ "operations", "tuzhan" }.out
    local header, row = out:match("([^\n]*)\n([^\n]*)\n")
    assert.are.equal(header:find("method", 1, true), row:find("POST", 1, true))
  end)

  it("refuses an unknown platform with exit code 2 and names the nearest one", function()
    local result = campaign{ "operations", "outbond" }
    assert.are.equal(2, result.code)
    assert.are.equal("", result.out)
    assert.is_truthy(result.err:find("did you mean `outbound`", 1, true))
    assert.is_falsy(result.err:find("\n.", 1))
  end)

  it("names a CAMPAIGN_LUA that is none of ours, instead of asking for a build", function()
    local result = command.campaign({ "operations" }, { env = { CAMPAIGN_LUA = "lua5.4" } })
    assert.same({ 2, "" }, { result.code, result.out })
    assert.truthy(result.err:find("CAMPAIGN_LUA is 'lua5.4'; it must be 5.4 or luajit", 1, true), result.err)
  end)

  it("refuses an unknown format with exit code 2", function()
    local result = campaign{ "operations", "--format", "xml" }
    assert.are.equal(2, result.code)
    assert.is_truthy(result.err:find("--format", 1, true))
  end)
end)

describe("campaign describe", function()
  it("shows fields, types, rules, source and an example", function()
    local result = campaign{ "describe", "hypers.create_notification_task" }
    assert.are.equal(0, result.code)
    for _, text in ipairs{ "POST /api/v1/notification-tasks", "taskName  (string, in json, required)", "at most 120 characters",
      "contents[0].contentValue", "at most 1024 characters",
      "002_8a0e6103888f92cd.txt:67", "campaign call hypers.create_notification_task" } do
      assert.is_truthy(result.out:find(text, 1, true), "misses: " .. text)
    end
  end)

  it("shows every operation there is", function()
    for line in campaign{ "operations", "--format", "tsv" }.out:gmatch("[^\n]+") do
      local platform, operation = line:match("^(%l+)\t([%w_]+)\t")
      if operation ~= "operation" then
        local result = campaign{ "describe", platform .. "." .. operation }
        assert.are.equal(0, result.code, result.err)
        assert.is_truthy(result.out:find(platform .. "." .. operation, 1, true))
      end
    end
  end)

  it("gives the same as JSON", function()
    local d = cjson.decode(campaign{ "describe", "tuzhan.batch_add_group_relations", "--json" }.out)
    assert.are.equal("POST", d.method)
    assert.are.equal("header:X-Token", d.auth)
    local paths = {}
    for _, field in ipairs(d.fields) do
      paths[field.path] = field
    end
    assert.is_true(paths["data"].required)
  end)

  it("refuses what is no operation with exit code 2", function()
    for _, name in ipairs{ "outbond", "outbound.", ".x", "outbound.upload", "nobody.anything", "", "a.b.c" } do
      local result = campaign{ "describe", name }
      assert.are.equal(2, result.code, name)
      assert.are.equal("", result.out)
      assert.are_not.equal("", result.err)
    end
  end)

  it("tells errors as one JSON object with --json", function()
    local result = campaign{ "describe", "longlong.import", "--json" }
    local err = cjson.decode(result.err).error
    assert.are.equal("usage", err.kind)
    assert.are.equal(2, err.exit_code)
    assert.are.equal(2, result.code)
  end)
end)

describe("campaign describe PLATFORM", function()
  it("shows account keys, operations and waiters", function()
    local result = campaign{ "describe", "outbound" }
    assert.are.equal(0, result.code, result.err)
    for _, text in ipairs{ "Robots and agents dial", "token          (string, required, secret)", "outbound.upload_dnc_json",
      "UTC+08:00", "outbound.contact_group_updated  until an upload shows" } do
      assert.is_truthy(result.out:find(text, 1, true), text)
    end
  end)

  it("gives the same as JSON", function()
    local d = cjson.decode(campaign{ "describe", "longlong", "--json" }.out)
    assert.are.equal("longlong", d.platform)
    assert.are.equal("longlong.import_customers_async", d.operations[1].operation)
    assert.are.equal("append", d.operations[1].effect)
    assert.is_true(d.operations[1].rows)
    assert.is_true(d.account[2].secret)
    assert.are.same({}, d.waiters)
    d = cjson.decode(campaign{ "describe", "hypers", "--json" }.out)
    assert.are.equal("hypers.marketing_plan_released", d.waiters[1].waiter)
    assert.are.equal("get_marketing_plan", d.waiters[1].operation)
  end)

  it("takes the path of a platform's file, and refuses one that is not there", function()
    local path = "./examples/platforms/courier.lua"
    assert.is_truthy(campaign{ "describe", path }.out:find("courier.send_message", 1, true))
    assert.is_truthy(campaign{ "describe", path .. ".send_message" }.out:find("campaign call " .. path .. ".send_message", 1, true))
    assert.is_truthy(campaign{ "describe", path .. ".send_message" }.out:find("campaign import FILE --to " .. path .. ".send_message", 1, true))
    assert.is_nil(campaign{ "describe", path }.out:find("docs/contracts", 1, true)) -- which holds those of the platforms that ship
    assert.is_truthy(campaign{ "operations", path }.out:find("list_messages", 1, true))
    assert.are.equal(2, campaign{ "describe", "./nobody.lua" }.code)
    assert.are.equal(2, campaign{ "describe", path .. ".send" }.code)
  end)

  it("refuses documents of single operations", function()
    local result = campaign{ "describe", "outbound.upload_dnc_json", "--format", "types" }
    assert.are.equal(2, result.code)
    assert.is_truthy(result.err:find("name the platform alone", 1, true))
  end)
end)

describe("campaign", function()
  it("prints its version", function()
    local result = campaign{ "--version" }
    assert.are.equal(0, result.code)
    assert.is_truthy(result.out:find("^campaign %d+%.%d+%.%d+\n$"))
  end)

  it("says so when what it prints cannot be written, however early the write that failed", function()
    for _, arguments in ipairs{ "--version", "operations", "operations --format json", "describe outbound", "help", "help import", "call --help" } do
      local result = command.run{ "sh", "-c", command.ROOT .. "/bin/campaign " .. arguments .. " >/dev/full" }
      assert.are.equal(8, result.code, arguments)
      assert.is_truthy(result.err:find("stdout cannot be written", 1, true))
    end
  end)

  it("prints help for itself and for every command", function()
    assert.are.equal(0, campaign{ "help" }.code)
    for _, name in ipairs{ "operations", "describe", "openapi", "call", "import", "convert", "sandbox", "doctor", "env" } do
      local result = campaign{ "help", name }
      assert.are.equal(0, result.code)
      assert.is_truthy(result.out:find("Usage: campaign " .. name, 1, true))
    end
  end)

  it("gives every command that sends a list the same options of a run", function()
    for _, name in ipairs{ "import", "resume", "retry" } do
      local text = campaign{ "help", name }.out
      for _, option in ipairs{ "concurrency N", "rate N", "max-reject SHARE", "bisect N", "window {wait,refuse,ignore}", "busy {wait,refuse}",
        "account NAME", "progress {auto,json,none}", "json" } do
        assert.truthy(text:find("[--" .. option .. "]", 1, true), name .. " --" .. option)
      end
    end
  end)

  it("shows its help and exit code 2 when no command is given", function()
    local result = campaign{}
    assert.are.equal(2, result.code)
    assert.is_truthy(result.out:find("Usage: campaign", 1, true))
  end)

  it("refuses unknown commands and options with exit code 2, as JSON with --json", function()
    for _, argv in ipairs{ { "nothing" }, { "operations", "--nothing" }, { "call" }, { "import", "x.csv" }, { "convert", "--from", "gbk" },
      { "sandbox", "--port", "many" }, { "import", "x.csv", "--to", "a.b", "--concurrency", "0x10" } } do
      local result = campaign(argv)
      assert.are.equal(2, result.code, table.concat(argv, " "))
      assert.is_truthy(result.err:find("^campaign: [^\n]+\n$"), result.err)
      argv[#argv + 1] = "--json"
      local err = cjson.decode(campaign(argv).err).error
      assert.are.equal(2, err.exit_code)
    end
  end)

  it("runs through a symbolic link from another folder", function()
    local folder = command.folder()
    os.execute("ln -s " .. command.quote(command.ROOT .. "/bin/campaign") .. " " .. folder .. "/c")
    local result = command.run({ folder .. "/c", "--version" }, { cd = "/" })
    command.remove(folder)
    assert.are.equal("", result.err)
    assert.are.equal(0, result.code)
  end)

  it("names a Lua module that is missing", function()
    -- A copy of the command without the libraries of the system: a Lua that finds nothing but ours.
    local folder = command.folder()
    local main = command.write(folder .. "/lua.sh", "#!/bin/sh\nexec " .. (command.LUA == "5.4" and "lua5.4" or "luajit")
      .. " -e 'package.path, package.cpath = \"\", \"\"' \"$@\"\n")
    local result = command.run({ "sh", main, command.ROOT .. "/lua/campaign/cli/main.lua", "--version" },
      { env = { CAMPAIGN_BUILD = os.getenv("CAMPAIGN_BUILD") or command.ROOT .. "/build" } })
    command.remove(folder)
    assert.are.equal(1, result.code)
    assert.is_truthy(result.err:find("^campaign: the Lua module 'argparse' is not there[^\n]+\n$"), result.err)
  end)

  it("says what to do when the core is not built", function()
    local result = campaign({ "--version" }, { env = { CAMPAIGN_BUILD = "/nonexistent" } })
    assert.are.equal(1, result.code)
    assert.is_truthy(result.err:find("make build", 1, true))
  end)
end)

describe("campaign env", function()
  it("prints lines that let a script find the modules", function()
    local folder = command.folder()
    local script = command.write(folder .. "/s.lua", "io.write(require('campaign.core').version, ' ', require('campaign.error').new{"
      .. " kind = 'usage', message = 'found' }.message)")
    for _, lua in ipairs{ "5.4", "luajit" } do
      local interpreter = lua == "5.4" and "lua5.4" or lua
      local result = command.run({ "sh", "-c", "eval \"$(" .. command.ROOT .. "/bin/campaign env --lua " .. lua .. ")\"; cd /; "
        .. interpreter .. " " .. script })
      assert.are.equal("", result.err)
      assert.are.equal("0.1.0 found", result.out)
    end
    command.remove(folder)
  end)

  it("serves both Luas by one eval, before what is there already", function()
    local script = "export LUA_PATH='/there/?.lua;;'; eval \"$(" .. command.ROOT .. "/bin/campaign env)\"; cd /; for lua in lua5.4 luajit; do "
      .. "$lua -e 'print(require(\"campaign.core\").version, (package.path:find(\"/there/?.lua\", 1, true)))'; done"
    local result = command.run{ "env", "-u", "LUA_PATH_5_4", "-u", "LUA_CPATH_5_4", "-u", "LUA_CPATH", "sh", "-c", script }
    assert.are.equal("", result.err)
    assert.matches("^0%.1%.0\t%d+\n0%.1%.0\t%d+\n$", result.out)
  end)

  it("is named where a Lua finds the core of another one, or none", function()
    local paths = cjson.decode(campaign{ "env", "--json" }.out)
    for _, case in ipairs{
      { "lua5.4", "LUA_PATH_5_4", "LUA_CPATH_5_4", paths.LUA_CPATH, "Lua 5.4" },
      { "luajit", "LUA_PATH", "LUA_CPATH", paths.LUA_CPATH_5_4, "LuaJIT" },
      { "luajit", "LUA_PATH", "LUA_CPATH", "/nowhere/?.so", "LuaJIT" },
    } do
      local result = command.run{ "env", case[2] .. "=" .. paths.LUA_PATH, case[3] .. "=" .. case[4], case[1], "-e", "require 'campaign'" }
      assert.are.equal(1, result.code)
      assert.is_truthy(result.err:find("campaign's core for " .. case[5] .. " cannot be loaded", 1, true), result.err)
      assert.is_truthy(result.err:find("eval \"$(campaign env)\"", 1, true), result.err)
    end
  end)

  it("gives the same as JSON", function()
    local paths = cjson.decode(campaign{ "env", "--json" }.out)
    assert.is_truthy(paths.LUA_PATH:find("/lua/?.lua;", 1, true))
    assert.is_truthy(paths.LUA_CPATH:find("/?.so;", 1, true))
    assert.is_truthy(paths.LUA_CPATH_5_4:find("/?.so;", 1, true))
    assert.is_nil(cjson.decode(campaign{ "env", "--json", "--lua", "5.4" }.out).LUA_CPATH)
  end)
end)

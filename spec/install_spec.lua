-- SPDX-License-Identifier: MIT
-- An installed campaign works without its checkout: by cmake for both Luas, and as a rock.

local command = require "spec.support.command"

local BUILD = os.getenv("CAMPAIGN_BUILD") or command.ROOT .. "/build"

-- The command of an installation, run far from the checkout and without the build folder.
local function installed(folder, argv, lua)
  local words = { "env", "-u", "CAMPAIGN_BUILD", "CAMPAIGN_LUA=" .. (lua or command.LUA), folder .. "/bin/campaign" }
  for _, word in ipairs(argv) do
    words[#words + 1] = word
  end
  return command.run(words, { cd = "/" })
end

describe("an installation", function()
  local folder
  before_each(function() folder = command.folder() end)
  after_each(function() command.remove(folder) end)

  it("by cmake has command, modules and core for both Luas", function()
    local result = command.run{ "cmake", "--install", BUILD, "--prefix", folder .. "/usr" }
    assert.are.equal(0, result.code, result.err)
    local from_checkout = command.campaign{ "operations", "--format", "tsv" }
    for _, lua in ipairs{ "5.4", "luajit" } do
      local run = installed(folder .. "/usr", { "operations", "--format", "tsv" }, lua)
      assert.are.equal("", run.err)
      assert.are.equal(from_checkout.out, run.out)
      local env = installed(folder .. "/usr", { "env", "--lua", lua })
      assert.is_truthy(env.out:find(folder .. "/usr/share/lua/" .. (lua == "luajit" and "5.1" or "5.4") .. "/?.lua", 1, true), env.out)
      local script = "eval '" .. env.out:gsub("'", "'\\''") .. "'; " .. (lua == "luajit" and lua or "lua5.4")
        .. " -e 'print(require(\"campaign.core\").version)'"
      assert.are.equal("0.1.0\n", command.run({ "sh", "-c", script }, { cd = "/" }).out)
    end
    local page = command.read(folder .. "/usr/share/man/man1/campaign.1")
    for name in command.campaign{ "help" }.out:match("\nCommands:\n(.-)\n\n"):gmatch("\n?   (%l+) ") do
      assert.is_truthy(name == "help" or page:find("\n.SS campaign " .. name .. "\n", 1, true), name)
    end
    assert.is_truthy(page:find("\n.B \\-p NAME=VALUE, \\-\\-param NAME=VALUE\n", 1, true), page)
    local share = folder .. "/usr/share/"
    local complete = "source " .. share .. "bash-completion/completions/campaign; COMP_WORDS=(campaign import --on) COMP_CWORD=2; "
      .. "_campaign; echo ${COMPREPLY[@]}"
    assert.are.equal("--on-unmappable\n", command.run({ "bash", "-c", complete }, { cd = "/" }).out)
    for _, path in ipairs{ "zsh/site-functions/_campaign", "fish/vendor_completions.d/campaign.fish" } do
      assert.is_truthy(command.read(share .. path):find("on-unmappable", 1, true), path)
    end
    for _, path in ipairs{ "LICENSE", "README.md", "docs/cli.md", "examples/autumn_campaign.lua" } do
      assert.are.equal(command.read(command.ROOT .. "/" .. path), command.read(share .. "doc/campaign/" .. path))
    end
    local moved = command.run({ "mv", folder .. "/usr", folder .. "/elsewhere" })
    assert.are.equal(0, moved.code)
    assert.are.equal(0, installed(folder .. "/elsewhere", { "--version" }).code)
  end)

  it("is refused in plain words where it cannot be built, before anything is compiled", function()
    local function refused(flags, why)
      local result = command.run{ "cmake", "-S", command.ROOT, "-B", folder .. "/build" .. #flags,
        "-DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY", "-DCMAKE_C_FLAGS=" .. flags } -- linked is nothing: that would need another libc
      assert.are_not.equal(0, result.code)
      assert.is_truthy(result.err:find(why, 1, true), result.err)
    end
    refused("-m32", "campaign is for 64-bit Linux")
    command.write(folder .. "/spawn.h", "")
    refused("-isystem " .. folder, "glibc 2.34 or newer")
  end)

  -- Builds the core once more: on one Lua only.
  if command.LUA == "5.4" then
    it("as a rock runs the command #heavy", function()
      local copy = "mkdir " .. folder .. "/source && (git ls-files --cached --others --exclude-standard 2>/dev/null || "
        .. "find . -type f -not -path './build*' -not -path './.git/*') | grep -v '^spec/' | "
        .. "tar -cf - -T - | tar -xf - -C " .. folder .. "/source"
      assert.are.equal(0, command.run({ "sh", "-c", copy }).code)
      local result = command.run({ "luarocks", "--lua-version", "5.4", "make", "--deps-mode=none", "--tree", folder .. "/tree",
        "campaign-scm-1.rockspec" }, { cd = folder .. "/source", seconds = 300, env = { HOME = folder } })
      assert.are.equal(0, result.code, result.err .. result.out)
      local run = installed(folder .. "/tree", { "describe", "longlong.import_customers_async" })
      assert.are.equal("", run.err)
      assert.is_truthy(run.out:find("POST /agent-api/user/{user_id}/async_customer", 1, true))
    end)
  end
end)

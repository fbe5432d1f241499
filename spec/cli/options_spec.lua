-- SPDX-License-Identifier: MIT
local shell = require "spec.support.command"
local options = require "campaign.cli.options"
local target = require "campaign.cli.target"

-- The help of one command as a parser gives it; --help would end this process.
local function help_of(parser, name)
  for _, command in ipairs(parser._commands) do
    if command._name == name then
      return command:get_help()
    end
  end
end

describe("cli.options", function()
  local whole = options.parser()

  it("knows every command, also when it is told of no other", function()
    local count = 0
    for _, command in ipairs(whole._commands) do
      local name = command._name
      if name ~= "help" then
        local alone = options.parser(name)
        assert.equal(help_of(whole, name), help_of(alone, name))
        assert.equal(2, #alone._commands, name) -- and `help`
        count = count + 1
      end
    end
    assert.equal(20, count)
  end)

  it("knows all commands where the first word is none", function()
    for _, first in ipairs({ "operation", "help", "--json", "--version", "" }) do
      assert.equal(#whole._commands, #options.parser(first)._commands)
    end
  end)

  -- The words of a line as a shell has them, as far as the examples use one: '...' counts as one word, or as the end of one.
  local function words_of(line)
    local words, at = {}, 1
    while at <= #line do
      local _, to, quoted = line:find("^%s*'([^']*)'", at)
      if not to then
        _, to, quoted = line:find("^%s*(%S+)", at)
      end
      words[#words + 1], at = quoted, (to or #line) + 1
    end
    return words
  end

  it("shows examples that can be typed: known commands, options, operations and waiters", function()
    local count = 0
    for _, command in ipairs(whole._commands) do
      local examples = command:get_help():match("\nExamples:\n(.*)$") or ""
      for line in examples:gmatch("[^\n]+") do
        assert.is_true(#line <= 100, line) -- argparse has not broken it
        if line:find("^%s*campaign [^&]*$") then
          local words = words_of(line)
          table.remove(words, 1)
          local ok, given = options.parser(words[1]):pparse(words)
          assert.is_true(ok, line .. ": " .. tostring(given))
          local operation = given.to and given.command == "import" and given.to or given.operation
          if operation then
            assert.is_truthy(target.find(operation), line)
          elseif given.waiter then
            assert.is_truthy(target.waiter(given.waiter), line)
          end
          count = count + 1
        end
      end
    end
    assert.is_true(count >= 15, count)
  end)

  it("says what to do instead of a list on stdin, and of an option that takes the word behind it", function()
    local function refused(...)
      local words = { ... }
      local ok, why = options.parser(words[1]):pparse(words)
      assert.is_false(ok)
      return why
    end
    assert.matches("save it to a file", refused("import", "-", "--to", "longlong.import_customers_async"), 1, true)
    assert.matches("campaign verify JOB --sandbox", refused("verify", "--sandbox", "campaign-jobs/1"), 1, true)
  end)

  it("refuses help of an unknown command like an unknown command: exit code 2, one line", function()
    local result = shell.campaign{ "help", "imprt" }
    assert.equal("campaign: unknown command 'imprt' (did you mean `import`?) (see: campaign help)\n", result.err)
    assert.equal(2, result.code)
    assert.equal(0, shell.campaign{ "help", "import" }.code)
    assert.equal(2, shell.campaign{ "import", "a.csv", "--to", "a.b", "--job", "" }.code)
  end)

  it("takes a tab by its name", function()
    for _, text in ipairs{ "tab", "\\t", "\t" } do
      local _, given = options.parser("import"):pparse{ "import", "a.csv", "--to", "a.b", "--delimiter", text }
      assert.equal("\t", given.delimiter)
    end
  end)
end)

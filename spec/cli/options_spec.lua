-- SPDX-License-Identifier: MIT
local options = require "campaign.cli.options"

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
    assert.equal(19, count)
  end)

  it("knows all commands where the first word is none", function()
    for _, first in ipairs({ "operation", "help", "--json", "--version", "" }) do
      assert.equal(#whole._commands, #options.parser(first)._commands)
    end
  end)
end)

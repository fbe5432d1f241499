-- SPDX-License-Identifier: MIT
-- References in Markdown: the checked-in files are what the data gives, say all of it, and every example in them is accepted by the
-- client's own check, in Lua and on the command line.

local check = require "campaign.api.check"
local command = require "spec.support.command"
local facts = require "campaign.describe.facts"
local markdown = require "campaign.describe.markdown"
local fake = require "spec.support.fake"
local parameters = require "campaign.cli.parameters"
local parse = require "campaign.api.parse"
local platforms = require "campaign.api.platform"
local rules = require "campaign.api.rules"
local sample = require "campaign.describe.sample"

local load_text = rawget(_G, "loadstring") or load
local set_environment = rawget(_G, "setfenv")

-- Runs an example against a client that only notes what it is asked for.
local function run_example(text, name)
  local noted = {}
  local client = setmetatable({}, { __index = function(_, operation)
    return function(_, fields, options)
      noted.operation, noted.fields, noted.options = operation, fields, options
      return {}
    end
  end })
  local environment = { assert = assert, campaign = { connect = function(given)
    noted.platform = given
    return client
  end } }
  local chunk
  if set_environment then
    chunk = set_environment(assert(load_text(text, name)), environment)
  else
    chunk = assert(load(text, name, "t", environment)) -- luacheck: ignore
  end
  chunk()
  return noted
end

-- The words of a line as a shell splits them.
local function words_of(text)
  local pipe = io.popen("printf '%s\\n' " .. text:gsub("\\\n", " "))
  local words = {}
  for word in pipe:lines() do
    words[#words + 1] = word
  end
  pipe:close()
  return words
end

-- name → the text of that operation's section
local function sections_of(text)
  local sections, name = {}, nil
  for line in text:gmatch("([^\n]*)\n") do
    local heading = line:match("^## ([%w_]+)$")
    if heading then
      name = heading
      sections[name] = ""
    elseif name then
      sections[name] = sections[name] .. line .. "\n"
    end
  end
  return sections
end

local function check_examples(platform, section, operation)
  local account = sample.account(platform)
  local noted = run_example(section:match("```lua\n(.-)```"), operation.key)
  assert.equal(operation.name, noted.operation)
  local values, err = check.fields(platform, operation, noted.fields, account)
  assert(values, tostring(err))
  if operation.public then
    assert.is_true(noted.options.accept_public_file)
  end
  local words = words_of(section:match("```sh\n(.-)\n```"))
  assert.same({ "campaign", "call" }, { words[1], words[2] })
  assert.equal(noted.platform .. "." .. operation.name, words[3])
  local given, index = {}, 4
  while words[index] do
    if words[index] == "-p" then
      given[#given + 1] = words[index + 1]
      index = index + 1
    end
    index = index + 1
  end
  local fields = assert(parameters.parse(given, operation.fields, {}))
  assert.same(values, assert(check.fields(platform, operation, fields, account)))
end

describe("references", function()
  for _, name in ipairs(platforms.names()) do
    local path = "docs/platforms/" .. name .. ".md"
    local platform = platforms.load(name)

    it("of " .. name .. " are what `make docs` writes", function()
      assert.equal(markdown.text(platform), command.read(path))
    end)

    it("of " .. name .. " have examples that the client's check accepts, in Lua and on the command line", function()
      local sections = sections_of(command.read(path))
      for _, operation in ipairs(platform.operations) do
        check_examples(platform, assert(sections[operation.name], operation.key), operation)
      end
    end)

    it("of " .. name .. " say every field, refusal, closed time, page and waiter", function()
      local text = command.read(path)
      local sections = sections_of(text)
      for _, key in ipairs(platform.account) do
        assert(text:find("| `" .. key.name .. "` |", 1, true), key.name)
      end
      for _, operation in ipairs(platform.operations) do
        local section = sections[operation.name]
        local function expect(what)
          assert(section:find(what, 1, true), operation.key .. ": " .. what)
        end
        expect("`" .. operation.method .. " " .. operation.path .. "`")
        for _, field in ipairs(operation.fields) do
          expect("| `" .. field.name .. "` |")
        end
        for _, refusal in ipairs(operation.refusals or {}) do
          expect("| `" .. tostring(refusal.code) .. "` | " .. refusal.reason:gsub("_", " "))
        end
        if operation.closed then expect("Closed: " .. operation.closed.from) end
        if operation.pages then expect("client:each(\"" .. operation.name) end
        for waiter, data in pairs(platform.waiters) do
          if data.operation == operation.name then expect("client:wait(\"" .. waiter .. "\"") end
        end
        if operation.rows then expect("campaign import FILE --to " .. operation.key) end
      end
    end)
  end

  it("say what every rule asks for, and whom a group has", function()
    for name in pairs(rules.RULES) do
      assert(rules.SAYS[name], name)
    end
    for name in pairs(rules.SAYS) do
      assert(rules.RULES[name], name)
    end
    local text = command.read("docs/platforms/hypers.md")
    assert(text:find("exactly one of fileIds, members", 1, true))
    assert(text:find("a task begins and ends on one day; without an end it ends at 22:00:00 (`period_of_one_day`)", 1, true))
  end)

  it("say which objects take fields of one's own, and by which line end or tab a list is joined", function()
    local entries = facts.flatten({ fields = {
      { name = "person", type = "object", open = true, fields = {} },
      { name = "numbers", type = "array", items = { type = "string" }, join = "\n" },
    } }, {})
    assert.same({ { "may have other fields, too" }, { "sent as one text, joined by '\\n', and may be given so" } },
      { entries[1].rules, entries[2].rules })
    assert(command.read("docs/platforms/hypers.md"):find("each may have other fields, too", 1, true))
  end)

  it("keep the columns of their tables together", function()
    for _, name in ipairs(platforms.names()) do
      local width
      for line in command.read("docs/platforms/" .. name .. ".md"):gmatch("([^\n]*)\n") do
        if line:sub(1, 1) == "|" then
          local _, bars = line:gsub("\\|", ""):gsub("|", "")
          assert.equal(width or bars, bars, line)
          width = bars
        else
          width = nil
        end
      end
    end
  end)

  it("come from `campaign describe --format markdown`, for platforms of one's own too", function()
    local path = "./examples/platforms/courier.lua"
    local result = command.campaign{ "describe", path, "--format", "markdown" }
    assert.equal("", result.err)
    local platform = assert(platforms.load(path))
    local sections = sections_of(result.out)
    for _, operation in ipairs(platform.operations) do
      check_examples(platform, sections[operation.name], operation)
    end
  end)

  it("names the kinds of error that refusals have, whatever the HTTP status they come with", function()
    local seen = 0
    for _, name in ipairs(platforms.names()) do
      local platform = assert(platforms.load(name))
      local sections = sections_of(markdown.text(platform))
      for _, operation in ipairs(platform.operations) do
        for _, refusal in ipairs(operation.response == "json" and operation.refusals or {}) do
          local path = type(operation.code) == "table" and operation.code[1] or operation.code
          local kinds = (sections[operation.name]:match("| `" .. refusal.code .. "` | [^|]* | ([^|]*) |"))
          for _, status in ipairs{ 200, 400, 409, 500 } do
            local _, err = parse.reply(platform, operation, fake.answer({ [path] = refusal.code }, status), {})
            if err.code == refusal.code then
              seen = seen + 1
              assert((" " .. kinds .. " "):find(" " .. err.kind .. " ", 1, true),
                name .. "." .. operation.name .. " " .. refusal.code .. ": " .. err.kind)
            end
          end
        end
      end
    end
    assert.is_true(seen > 50)
  end)
end)

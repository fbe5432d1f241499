-- SPDX-License-Identifier: MIT
-- What a plan says of a list that no rule refuses: values that bear the marks of a spreadsheet, a wrong encoding or a database, and a column
-- that may have been meant for a field that stays empty.

local campaign = require "campaign"
local command = require "support.command"
local core = require "campaign.core"
local imports = require "support.imports"
local notes_module = require "campaign.import.plan.notes"

local LONGLONG = "longlong.import_customers_async"
local TUZHAN = "tuzhan.batch_add_group_relations"

local function notes_of(list, more, to)
  local options = imports.options(to or LONGLONG, list, more)
  options.job, options.dry_run = nil, true
  local job = assert(campaign.plan(options))
  local notes = job.plan.notes
  job:close()
  return notes
end

describe("notes of a plan", function()
  setup(function()
    imports.start()
  end)
  teardown(imports.stop)
  before_each(function()
    imports.reset()
  end)

  it("say how a column was spoilt before, how often, and show no value", function()
    for value, part in pairs {
      ["1.38E+10"] = "numbers like 1.38E+10: a spreadsheet has rounded them",
      ["1.38001e10"] = "numbers like 1.38E+10",
      ["13800000001.0"] = "numbers that end in .0",
      ["'13800000001"] = "numbers after an apostrophe",
      ['"=""13800000001"""'] = "formulas like",
      ["6222020200112230000"] = "a spreadsheet keeps only the first 15 digits",
      ["\\N"] = "by which a database writes that there is nothing",
      ["???"] = "nothing but question marks",
      ["张\239\191\189"] = "U+FFFD",
      ["锟斤拷"] = "U+FFFD",
      ["\195\165\194\188\194\160\195\164\194\188\194\159"] = "read in a wrong encoding before", -- 张伟 twice UTF-8
      ["\195\149\195\133\195\142\194\176"] = "read in a wrong encoding before", -- 张伟 in GBK, as Latin-1
    } do
      local notes = notes_of("phone,name,other\n" .. value .. ",x," .. value .. "\n13800000002,y,z\n")
      assert.equal(1, #notes, value)
      assert.is_truthy(notes[1]:find('column "phone": of the first 2 rows, 1 hold ', 1, true), notes[1])
      assert.is_truthy(notes[1]:find(part, 1, true), notes[1])
      assert.is_nil(notes[1]:find("13800000001", 1, true))
    end
  end)

  it("say nothing of values that only look a little like them, of columns that are not sent, and of rows far behind", function()
    local good = { "13800000001", "+86 138-0000-0001", "1.5", "O'Neill", "José Ñandú", "Müller", "what?", "?", "E10", "12E", "1990-01-01",
      "6222020200112233", "80.0", "©", "", "=1+1" }
    assert.same({}, notes_of("phone,name\n" .. table.concat(good, ",x\n") .. ",x\n"))
    assert.same({}, notes_of("phone,name,other\n13800000001,x,1.38E+10\n"))
    assert.same({}, notes_of("phone\n" .. ("13800000001\n"):rep(100) .. "1.38E+10\n"))
  end)

  it("are few, of short values and names that may be shown, and of what can be read", function()
    local names, values = {}, {}
    for i = 1, 200 do
      names[i], values[i] = "c" .. i, "1.38E+10"
    end
    local fields = {}
    for i = 1, 200 do
      fields[i] = { column = i }
    end
    local function of(text, columns)
      local input = assert(core.rows.input{ path = imports.list(text), encoding = "auto" })
      return notes_module.of(input, { notes = {}, fields = columns }, assert(input:columns()))
    end
    local notes = of(table.concat(names, ",") .. "\n" .. table.concat(values, ",") .. "\n", fields)
    assert.equal(51, #notes)
    assert.equal("and 150 more of this kind", notes[51])
    assert.is_truthy(of("13800000001\n1.38E+10\n", { fields[1] })[1]:find('column "138********": of the first 1 rows', 1, true))
    assert.same({}, of("phone\n" .. ("1"):rep(2000) .. "000\n", { fields[1] }))
    assert.equal(1, #of("phone\n1.38E+10\n\"a quote that nobody closes\n", { fields[1] })) -- the send says what is wrong with the list
  end)

  it("look at refused rows too", function()
    local notes = notes_of("phone\n" .. ("1.38E+10\n"):rep(150), { check = { phone = "mobile_cn" } })
    assert.is_truthy(notes[1]:find("of the first 100 rows, 100 hold numbers like", 1, true))
  end)

  it("name the column that is not sent while a field by which people are found stays empty", function()
    local params = { publicParams = { isMatching = false, optType = "add" } }
    local more = { params = params, set = { groups = "g" }, split = {} }
    local notes = notes_of("uuid,手机号（必填）\nu1,13800000001\n", more, TUZHAN)
    assert.same({ '"phone" stays empty: if "手机号（必填）" is meant, say map = { phone = "手机号（必填）" }, or --map \'phone=手机号（必填）\'' }, notes)
    assert.same({}, notes_of("uuid,手机号\nu1,13800000001\n", more, TUZHAN))
    assert.same({}, notes_of("phone,company address\n13800000001,x\n"))
  end)

  it("are printed by the command before it sends, and stand in the plan as JSON", function()
    local folder, account = imports.folder(), imports.accounts.longlong
    local list, env = imports.list("phone\n1.38E+10\n"), { CAMPAIGN_STATE_DIR = folder .. "/state" }
    for name, value in pairs(account) do
      env["CAMPAIGN_LONGLONG_" .. name:upper()] = value
    end
    local result = command.campaign({ "import", list, "--to", LONGLONG, "--job", folder .. "/job" }, { env = env })
    assert.equal(0, result.code, result.err)
    assert.is_truthy(result.err:find('campaign: note: column "phone": of the first 1 rows, 1 hold numbers like', 1, true), result.err)
    result = command.campaign({ "import", list, "--to", LONGLONG, "--dry-run", "--json" }, { env = env })
    assert.is_truthy(result.out:find('"notes":["column', 1, true), result.out)
    imports.remove(folder)
  end)
end)

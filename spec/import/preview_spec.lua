-- SPDX-License-Identifier: MIT
-- What a plan foretells, and dry runs: how long, through which closed hours, which characters are lacking, the first rows masked; and that
-- nothing is left behind and nothing of the list leaves the machine.

local campaign = require "campaign"
local command = require "support.command"
local imports = require "support.imports"
local lfs = require "lfs"
local platforms = require "campaign.api.platform"
local preview = require "campaign.import.plan.preview"

local LONGLONG = "longlong.import_customers_async"
local UPLOAD = "outbound.upload_contacts_file"
local HOUR = 3600

local function files_of(path)
  local names = {}
  for name in lfs.dir(path) do
    if name ~= "." and name ~= ".." then
      names[#names + 1] = name
    end
  end
  return names
end

describe("a plan", function()
  setup(function()
    imports.start()
  end)
  teardown(imports.stop)
  before_each(function()
    imports.reset()
  end)

  it("foretells how long the run takes at the pace that is allowed", function()
    local platform = assert(platforms.load("longlong"))
    local operation = platform.operations.import_customers_async
    local function estimate(more)
      local facts = { platform = platform, operation = operation, account = {}, options = {}, calls = 1000, bytes = 0 }
      for key, value in pairs(more) do
        facts[key] = value
      end
      return preview.estimate(facts)
    end
    assert.near(1000 * 0.3 / 16, estimate({}).seconds, 1e-9)
    assert.is_false(estimate({}).measured)
    assert.near(1000 * 0.05 / 4, estimate({ call_seconds = 0.05, options = { concurrency = 4 } }).seconds, 1e-9)
    assert.near(0.3 + 10, estimate({ calls = 1, bytes = 10485760 }).seconds, 1e-9)
    assert.near(999 / 10, estimate({ options = { rate = 10 } }).seconds, 1e-9)
    assert.near(999 / 2, estimate({ account = { calls_per_second = 2 } }).seconds, 1e-9)
    assert.equal(0, estimate({ calls = 0 }).seconds)
  end)

  it("foretells the closed hours that the run meets, and when it ends", function()
    local closed, zone = { from_seconds = 0, to_seconds = 2 * HOUR }, 8 * HOUR
    local midnight = 1762704000 -- 2025-11-10 00:00:00 in Shanghai
    local function windows(now, seconds, window)
      local list, ends = preview.windows(window or closed, now, seconds, zone)
      for i, entry in ipairs(list) do
        list[i] = ("%g-%g"):format((entry.from - midnight) / HOUR, (entry.to - midnight) / HOUR)
      end
      return table.concat(list, " "), (ends - midnight) / HOUR
    end
    assert.same({ "", 13 }, { windows(midnight + 12 * HOUR, HOUR) })
    assert.same({ "", 24 }, { windows(midnight + 23 * HOUR, HOUR) }) -- done as it closes
    assert.same({ "24-26", 27 }, { windows(midnight + 23 * HOUR, 2 * HOUR) })
    assert.same({ "1-2", 3 }, { windows(midnight + HOUR, HOUR) }) -- closed now
    assert.same({ "24-26 48-50", 51 }, { windows(midnight + 23 * HOUR, 24 * HOUR) })
    assert.same({ "22-30", 32 }, { windows(midnight + 20 * HOUR, 4 * HOUR, { from_seconds = 22 * HOUR, to_seconds = 6 * HOUR }) })
    assert.same({ "", 12.5 }, { (function()
      local list, ends = preview.windows(nil, midnight, 12.5 * HOUR, zone)
      return #list == 0 and "" or "?", (ends - midnight) / HOUR
    end)() })
  end)

  it("shows personal data by no more than its ends", function()
    for _, case in ipairs({
      { "13012341211", "phone", "130****1211" }, { "+86 130-1234-1211", "phone", "130****1211" }, { "12345", "phone", "***" },
      { "13012341211 ext 9", "phone", "130****xt 9" }, { "李雷", "personal", "李**" }, { "李", "personal", "*" }, { "𠮷野", "personal", "𠮷**" },
      { "a@example.com", "personal", "a**" }, { "", "phone", "" }, { "2", nil, "2" },
    }) do
      if case[1]:find("ext", 1, true) then
        assert.is_nil(preview.masked(case[1], case[2]):find("1234", 1, true))
      else
        assert.equal(case[3], preview.masked(case[1], case[2]), case[1])
      end
    end
  end)

  it("shows the first rows that would be sent, as they would be sent, masked", function()
    local text = "备注,手机号,姓名,sex,等级,分组\nx,,缺号,1,,\nx,13012341211,李雷,1,金,a\nx,+86 13012341212,韩梅梅,2,,b\nx,13012341213,A,1,,\n"
      .. "x,13012341214,B,1,,\n"
    local job = assert(campaign.plan(imports.options(LONGLONG, text, { job = nil, dry_run = true,
      map = { ["components.72544970-6cd6-44fd-8fd5-20b625bcbcf4"] = "等级" } })))
    assert.same({ 2, 3, 4 }, { job.plan.sample[1].row, job.plan.sample[2].row, job.plan.sample[3].row })
    local shown = {}
    for i, field in ipairs(job.plan.sample[1].fields) do
      shown[i] = field.name .. "=" .. field.value
    end
    local line = table.concat(shown, " ")
    assert.matches("^name=李%*%* phone=130%*%*%*%*1211 sex=1 components.72544970%-6cd6%-44fd%-8fd5%-20b625bcbcf4=%* extra=%d+%-%d+%-%x+%.2$", line)
    job:close()
    job = assert(campaign.plan(imports.options(UPLOAD, imports.people(2), { dry_run = true })))
    for _, row in ipairs(job.plan.sample) do
      for _, field in ipairs(row.fields) do
        assert.matches("*", field.value, 1, true)
      end
    end
    assert.equal("outbound.get_contact_group_detail", job.plan.asked)
    job:close()
  end)

  it("names every character that the target lacks, with its code point", function()
    local job = assert(campaign.plan(imports.options(UPLOAD, imports.people(9, function(i)
      local name = ({ "䶮", "𠮷", "䶮", "🙂" })[i]
      return name and ("c-%d,%s,1380000000%d,公司,"):format(i, name, i) or nil
    end), { dry_run = true })))
    assert.equal(4, job.plan.rejected)
    local list = job.plan.unmappable
    assert.same({ code_point = "U+4DAE", character = "䶮", column = "姓名", count = 2 }, list[1])
    local others = { [list[2].code_point] = list[2].character, [list[3].code_point] = list[3].character }
    assert.same({ ["U+20BB7"] = "𠮷", ["U+1F642"] = "🙂" }, others)
    job:close()
  end)

  it("is foretold to meet the night of a platform that closes", function()
    local env = imports.env(1762789500) -- 2025-11-10 23:45:00 in Shanghai
    local job = assert(campaign.plan(imports.options(UPLOAD, imports.people(4000), { dry_run = true, rows_per_file = 1, env = env })))
    assert.equal(4000, job.plan.calls)
    assert.is_true(job.plan.estimate.measured)
    job:close()
    local plan = { batches = 4000, bytes = 0, reasons = {} }
    local platform = assert(platforms.load("outbound"))
    preview.add(plan, { platform = platform, operation = platform.operations.upload_contacts_file, account = {},
      options = { env = env }, call_seconds = 0.3 })
    assert.same({ { from = "2025-11-11 00:00:00", to = "2025-11-11 02:00:00" } }, plan.windows)
    assert.matches("^2025%-11%-11 02:0[45]:", plan.ends)
    preview.add(plan, { platform = platform, operation = platform.operations.upload_contacts_file, account = {},
      options = { env = env, window = "ignore" }, call_seconds = 0.3 })
    assert.same({}, plan.windows)
  end)
end)

describe("a dry run", function()
  setup(function()
    imports.start()
  end)
  teardown(imports.stop)
  before_each(function()
    imports.reset()
  end)

  it("leaves nothing behind, sends nothing of the list, and counts what a plan with a folder counts", function()
    local dnc = imports.list("phone\n13800000003\n")
    local text = imports.people(500, function(i)
      return i % 50 == 0 and ("c-%d,x,,y,z"):format(i) or i == 7 and "c-7,x,13800000001,y,z" or nil
    end)
    local place, before = imports.folder(), lfs.currentdir()
    lfs.chdir(place)
    local ok, dry = pcall(imports.import, LONGLONG, text, { dry_run = true, unique = "phone", suppress = dnc .. ":phone" })
    local plain_options = imports.options(LONGLONG, text, { dry_run = true, unique = "phone", suppress = dnc .. ":phone" })
    plain_options.job = nil
    local fine, bare = pcall(campaign.import, plain_options)
    lfs.chdir(before)
    assert(ok, dry)
    assert(fine, bare)
    assert.same({}, files_of(place))
    for _, name in ipairs({ "state", "rows", "pending", "rejected", "duplicate", "suppressed", "exit_code" }) do
      assert.equal(dry[name], bare[name], name)
    end
    assert.same({ "planned", 500, 10, 1, 1, 488 }, { bare.state, bare.rows, bare.rejected, bare.duplicate, bare.suppressed, bare.pending })
    assert.is_nil(bare.job)
    assert.is_nil(bare.rejects_file)
    assert.equal(10, #imports.read(dry.rejects_file))
    assert.equal(1, #imports.read(dry.suppressed_file))
    assert.equal("1", imports.read(dry.duplicates_file)[1]._code)
    assert.equal(0, #imports.commits())
    command.remove(place)
  end)

  it("with a folder can be run later; without one it cannot, and says so", function()
    local options = imports.options(LONGLONG, imports.people(5), { dry_run = true })
    local job = assert(campaign.plan(options))
    job:close()
    local result = assert(assert(campaign.open_job(options.job, { account = options.account, env = imports.env() })):resume())
    assert.equal(5, result.accepted_pending)
    options = imports.options(LONGLONG, imports.people(5), { dry_run = true })
    options.job = nil
    job = assert(campaign.plan(options))
    assert.is_nil(job.folder)
    assert.has_error(function() job:run() end, "this job cannot be run: it is a dry run without a folder")
    assert.equal("planned", job:status().state)
    job:close()
    assert.equal(5, #imports.commits())
  end)

  it("fails as a plan fails, and leaves nothing behind then either", function()
    local place, before = imports.folder(), lfs.currentdir()
    lfs.chdir(place)
    local given = imports.options(UPLOAD, imports.people(3, function(i) return i == 2 and "c-2,䶮,13800000002,y,z" or nil end),
      { dry_run = true, on_unmappable = "fail" })
    given.job = nil
    local result, err = campaign.import(given)
    lfs.chdir(before)
    assert.is_nil(result)
    assert.equal("unmappable", err.reason)
    assert.is_truthy(err.message:find("U+4DAE", 1, true))
    assert.same({}, files_of(place))
    command.remove(place)
  end)
end)

-- SPDX-License-Identifier: MIT
-- Whole imports against the sandbox, with its faults. The sandbox's commit log says what really happened; the result must agree with it.

local campaign = require "campaign"
local imports = require "support.imports"
local json = require "campaign.sandbox.json"

local LONGLONG = "longlong.import_customers_async"
local TUZHAN = "tuzhan.batch_add_group_relations"
local UPLOAD = "outbound.upload_contacts_file"
local LIST = "outbound.upload_contacts_json"

local function by_state(rows, state)
  for _, row in ipairs(rows) do
    assert.equal(state, row._state)
  end
  return #rows
end

describe("campaign.import", function()
  setup(function()
    imports.start()
  end)
  teardown(imports.stop)
  before_each(function()
    imports.reset()
  end)

  it("brings one list to every operation that takes rows, each row once and in order", function()
    for _, to in ipairs({ LONGLONG, TUZHAN, UPLOAD, LIST, "outbound.upload_dnc_json", "outbound.upload_dnc_file" }) do
      imports.reset()
      local result = assert(imports.import(to, imports.people(1203)))
      assert.equal("finished", result.state, tostring(result.error))
      assert.equal(0, result.exit_code)
      assert.is_true(result.ok)
      assert.equal(1203, result.rows)
      assert.equal(1203, result.taken_over)
      assert.is_nil(result.rejects_file)
      imports.assert_balanced(result)
      assert.equal(1203, #imports.commits(to:match("%.(.*)$")), to)
    end
  end)

  it("R127 client splits a list for tuzhan into calls of 500 rows, one verdict each", function()
    local result = assert(imports.import(TUZHAN, imports.people(1203)))
    local sizes = {}
    for batch in result:each_batch() do
      sizes[batch.batch] = batch.rows
      assert.equal("accepted", batch.verdict)
    end
    assert.same({ 500, 500, 203 }, sizes)
    local row = imports.commits()[1].row
    assert.equal("老客户,华东", row.groups)
  end)

  it("R378 client splits a list for longlong into calls of 200 rows and keeps the unique_id of each", function()
    local result = assert(imports.import(LONGLONG, imports.people(450)))
    assert.equal(450, result.accepted_pending)
    assert.equal(0, result.accepted)
    local receipts, sizes = {}, {}
    for batch in result:each_batch() do
      receipts[batch.receipt] = true
      sizes[batch.batch] = batch.rows
    end
    assert.same({ 200, 200, 50 }, sizes)
    for _, entry in ipairs(imports.commits()) do
      assert.is_true(receipts[entry.id])
    end
  end)

  it("R376 client refuses more than 200 rows a call for longlong before it opens the file", function()
    local result, err = imports.import(LONGLONG, nil, { source = "/nonexistent", rows_per_call = 201 })
    assert.is_nil(result)
    assert.equal("usage", err.kind)
    assert.matches("at most 200", err.message, 1, true)
  end)

  it("marks rows for longlong with job and row where the list does not fill the mark", function()
    assert(imports.import(LONGLONG, "手机号,extra\n13800000001,\n13800000002,mine\n"))
    local commits = imports.commits()
    assert.matches("^%d+%-%d+%-%x+%.1$", commits[1].row.extra)
    assert.equal("mine", commits[2].row.extra)
    imports.reset()
    assert(imports.import(LONGLONG, "手机号\n13800000001\n", { mark = false }))
    assert.is_nil(imports.commits()[1].row.extra)
  end)

  it("R034 client asks outbound for its columns and keeps their order, whatever the order of the file", function()
    assert(imports.import(UPLOAD, "公司,手机号,多余,uuid\n\"甲, 乙\",13800000001,x,c-1\n"))
    assert.same({ "c-1", "", "13800000001", "甲, 乙" }, imports.commits()[1].row)
  end)

  it("says which data sources there are when it is given a wrong one", function()
    local result, err = imports.import(LIST, imports.people(3), { params = { dataSourceName = "autum-contacts" } })
    assert.is_nil(result)
    assert.equal("usage", err.kind)
    assert.matches("did you mean `autumn-contacts`", err.message, 1, true)
    assert.equal(0, #imports.commits())
  end)

  describe("in doubt", function()
    it("lists exactly the rows of a batch whose answer was lost after it was taken over", function()
      for _, fault in ipairs({ "after-commit-close", "after-commit-reset", "truncate-body", "wrong-length", "bad-json",
        "wrong-type", "after-commit-500", "after-commit-502" }) do
        imports.reset({ "import_customers_async:" .. fault .. "@3" })
        local result = assert(imports.import(LONGLONG, imports.people(1000), { concurrency = 1 }))
        assert.equal(200, result.ambiguous, fault)
        assert.equal(800, result.accepted_pending, fault)
        assert.equal(4, result.exit_code, fault)
        assert.equal("finished", result.state, fault)
        imports.assert_balanced(result)
        local rows = imports.read(result.ambiguous_file)
        for i, row in ipairs(rows) do
          assert.equal(("c-%05d"):format(400 + i), row.uuid, fault)
          assert.equal(tostring(400 + i), row._row)
          assert.equal(tostring(401 + i), row._line)
          assert.equal("3", row._batch)
          assert.not_equal("", row._cause)
          assert.not_equal("", row._message)
        end
        -- They were taken over once, and so was every other row.
        local seen = {}
        for _, entry in ipairs(imports.commits()) do
          assert.is_nil(seen[entry.row.phone], fault)
          seen[entry.row.phone] = true
        end
        assert.equal(1000, #imports.commits(), fault)
      end
    end)

    it("lists a batch that a closed connection swallowed unread as ambiguous or sends it again, never both", function()
      for _, fault in ipairs({ "close-before-read", "close-after-read" }) do
        imports.reset({ "import_customers_async:" .. fault .. "@2" })
        local result = assert(imports.import(LONGLONG, imports.people(600), { concurrency = 1 }))
        imports.assert_balanced(result)
        assert.equal(result.accepted_pending, #imports.commits(), fault)
        assert.equal(600, result.accepted_pending + result.ambiguous, fault)
      end
    end)

    it("keeps a whole upload ambiguous and sends nothing after it (R072)", function()
      imports.reset({ "upload_contacts_file:after-commit-close@2", "get_contact_group_detail:500@4-" }) -- nothing settles it
      local result = assert(imports.import(UPLOAD, imports.people(500), { rows_per_file = 100 }))
      assert.equal("stopped", result.state)
      assert.equal(4, result.exit_code)
      assert.equal(100, result.accepted)
      assert.equal(100, result.ambiguous)
      assert.equal(300, result.pending)
      assert.equal(100, result.taken_over)
      assert.equal(200, #imports.commits())
      imports.assert_balanced(result)
      assert.equal("c-00201", imports.read(result.not_sent_file)[1].uuid)
    end)

    it("stops after three unclear answers in a row", function()
      imports.reset({ "import_customers_async:500@1-" })
      local result = assert(imports.import(LONGLONG, imports.people(4000), { concurrency = 1 }))
      assert.equal("stopped", result.state)
      assert.equal(4, result.exit_code)
      assert.equal(600, result.ambiguous)
      assert.equal(3400, result.pending)
      imports.assert_balanced(result)
    end)
  end)

  describe("refused", function()
    it("waits out a 429 as long as it says and sends the batch again", function()
      imports.reset({ "import_customers_async:429-retry-after=7@2" })
      local options = imports.options(LONGLONG, imports.people(600), { concurrency = 1 })
      local result = assert(campaign.import(options))
      assert.equal(0, result.exit_code)
      assert.equal(1, result.retries)
      assert.equal(4, result.requests)
      assert.equal(600, #imports.commits())
      assert.is_true(options.env.slept() >= 6.5 and options.env.slept() < 30)
    end)

    it("stops at wrong credentials with nothing sent twice and every row kept", function()
      local account = { base_url = imports.accounts.longlong.base_url, user_id = imports.accounts.longlong.user_id, token = "wrong" }
      local result = assert(imports.import(LONGLONG, imports.people(500), { account = account }))
      assert.equal(6, result.exit_code)
      assert.equal("auth", result.error.kind)
      assert.equal(500, result.pending)
      assert.is_true(result.requests <= 3)
      imports.assert_balanced(result)
      assert.equal(0, #imports.commits())
    end)

    it("finds a missing token before it opens the file", function()
      local account = { base_url = imports.accounts.longlong.base_url, user_id = "u" }
      local result, err = imports.import(LONGLONG, nil, { source = "/nonexistent", account = account })
      assert.is_nil(result)
      assert.equal("auth", err.kind)
    end)

    it("takes the platform's own refusal of a batch for its rows' fault, with its words, and goes on", function()
      imports.reset({ "import_customers_async:code=400@2" })
      local result = assert(imports.import(LONGLONG, imports.people(600), { concurrency = 1, bisect = 0 }))
      assert.equal("finished", result.state)
      assert.equal(7, result.exit_code)
      assert.equal(200, result.rejected)
      assert.equal(200, result.causes.platform)
      local rows = imports.read(result.rejects_file)
      assert.equal(200, by_state(rows, "rejected"))
      assert.equal("platform", rows[1]._cause)
      assert.equal("400", rows[1]._code)
      assert.equal("c-00201", rows[1].uuid)
      assert.equal(400, #imports.commits())
      imports.assert_balanced(result)
    end)

    it("lists rows that were refused with every value as it was, so that the file can be imported again", function()
      imports.reset({ "upload_contacts_file:code=400@1" })
      local text = 'uuid,姓名,手机号,公司,分组,_row,"a ""b"",\nc"\r\n'
        .. 'c-1,"李 ""雷""",13800000001,"两行\n公司, 有限","x;y", 7 ,\r\nc-2,,13800000002,"",\'=1+1,,"\r\n"\r\nc-3,,13800000003\r\n'
      local result = assert(imports.import(UPLOAD, text, { bisect = 0 }))
      imports.assert_balanced(result)
      local rows, header = imports.read(result.rejects_file)
      assert.same({ "__row", "_line", "_state", "_cause", "_column", "_reason", "_code", "_message", "_batch", "_attempt", "uuid", "姓名",
        "手机号", "公司", "分组", "_row", 'a "b",\nc' }, header)
      local by_row = {}
      for _, row in ipairs(rows) do
        by_row[row.__row] = row
      end
      assert.same({ "platform", "400", "1", "1", "c-1", '李 "雷"', "两行\n公司, 有限", " 7 ", "" }, { by_row["1"]._cause, by_row["1"]._code,
        by_row["1"]._batch, by_row["1"]._attempt, by_row["1"].uuid, by_row["1"]["姓名"], by_row["1"]["公司"], by_row["1"]._row,
        by_row["1"]['a "b",\nc'] })
      assert.same({ "'=1+1", "\r\n", "" }, { by_row["2"]["分组"], by_row["2"]['a "b",\nc'], by_row["2"]._row })
      assert.same({ "invalid", "width", "", 13 }, { by_row["3"]._cause, by_row["3"]._reason, by_row["3"]._batch, #by_row["3"].fields })
      assert.equal(3, #rows)
    end)

    it("R050 client reports a refused overwrite by its name and never appends instead", function()
      imports.handle:control("tasks", { tasks = json.array({ { dataSourceName = "autumn-contacts", state = "RUNNING" } }) })
      local result = assert(imports.import(UPLOAD, imports.people(300), { overwrite = true, rows_per_file = 100 }))
      assert.equal("stopped", result.state)
      assert.equal("overwrite_refused", result.error.reason)
      assert.equal(5, result.exit_code)
      assert.equal(300, result.pending)
      assert.equal(1, result.requests)
      assert.equal(0, #imports.commits())
    end)

    it("R041 client overwrites with the first file only, and only when asked", function()
      local result = assert(imports.import(UPLOAD, imports.people(250), { overwrite = true, rows_per_file = 100 }))
      assert.equal(0, result.exit_code)
      local modes = {}
      for _, entry in ipairs(imports.commits()) do
        modes[entry.request] = entry.mode
      end
      local order = {}
      for request in pairs(modes) do
        order[#order + 1] = request
      end
      table.sort(order)
      assert.same({ "overwrite", "append", "append" }, { modes[order[1]], modes[order[2]], modes[order[3]] })
      local _, err = imports.import(UPLOAD, imports.people(3), { params = { dataSourceName = "autumn-contacts", operationType = "1" } })
      assert.matches("overwrite = true", err.hint, 1, true)
    end)
  end)

  describe("tuzhan", function()
    -- Rows that the client's own rules let pass and the sandbox refuses: deleting customers that are not there.
    local DELETE = { publicParams = { isMatching = true, matchingType = 1, optType = "delete" } }

    it("R124 client rejects the rows that came back in errorData, with the platform's words, and no other", function()
      assert(imports.import(TUZHAN, imports.people(40)))
      local result = assert(imports.import(TUZHAN, imports.people(50), { params = DELETE }))
      assert.equal("finished", result.state)
      assert.equal(7, result.exit_code)
      assert.equal(40, result.accepted)
      assert.equal(10, result.rejected)
      assert.equal(10, result.causes.platform)
      local rows = imports.read(result.rejects_file)
      for i, row in ipairs(rows) do
        assert.equal(("c-%05d"):format(40 + i), row.uuid)
        assert.equal("platform", row._cause)
        assert.not_equal("", row._message)
      end
      imports.assert_balanced(result)
    end)

    it("F22 client keeps in the ledger which rows came back, also when they cannot be listed, and lists them on resume", function()
      local listing = require "campaign.import.report.listing"
      assert(imports.import(TUZHAN, imports.people(40)))
      local text = imports.people(50):gsub("\n", "\n\n", 3):gsub("(c%-00005[^\n]*)", "%1,too,many,cells")
      local job, new, added = imports.job(), listing.new, 0
      function listing.new(...)
        local file = new(...)
        function file:add(why, fields)
          added = added + (why.cause == "platform" and 1 or 0)
          if added == 3 then
            return nil, require("campaign.error").new{ kind = "ledger", retry = false, message = "no space left" }
          end
          return getmetatable(file).__index.add(self, why, fields)
        end
        return file
      end
      local result = imports.import(TUZHAN, text, { params = DELETE, job = job })
      listing.new = new
      assert.equal(3, added)
      assert.equal("stopped", result.state)
      local opened = assert(campaign.open_job(job, { account = imports.accounts.tuzhan }))
      result = assert(opened:resume())
      opened:close()
      assert.equal("finished", result.state)
      assert.same({ 39, 11, 10 }, { result.accepted, result.rejected, result.causes.platform })
      for i, row in ipairs(imports.read(result.rejects_file)) do
        assert.equal(("c-%05d"):format(i == 1 and 5 or 39 + i), row.uuid)
      end
      imports.assert_balanced(result)
    end)

    it("F13 client counts equal rows that came back as many times as they came back", function()
      local text = "phone,groups\n13800000001,a\n13800000001,a\n13800000002,a\n"
      local result = assert(imports.import(TUZHAN, text, { params = DELETE }))
      assert.equal(3, result.rejected)
      assert.equal(5, result.exit_code) -- it took none
      imports.assert_balanced(result)
    end)

    it("R125 client takes a batch whose result comes later for taken over, and asks no more", function()
      assert(imports.handle:control("rules", { forms = json.array({ "tuzhan-late" }) }))
      local result = assert(imports.import(TUZHAN, imports.people(10)))
      assert(imports.handle:control("rules", { forms = json.array({}) }))
      assert.equal(10, result.accepted_pending)
      assert.equal(1, result.requests)
    end)
  end)

  describe("hypers", function()
    local HYPERS = "hypers.create_notification_task"
    local PARAMS = {
      taskName = "autumn", taskType = "APPOINTMENT_REMINDER", scheduledStartTime = "2025-11-10 11:00:00",
      contents = { { contentType = "TEXT", contentValue = "welcome" } },
    }

    -- Tokens go into a store of this spec's own.
    local function hypers(count, more)
      local options = imports.options(HYPERS, nil, { params = PARAMS, rows_per_call = 2, concurrency = 4 })
      local state = imports.job()
      local getenv = options.env.getenv
      options.env.getenv = function(name)
        return (name == "XDG_STATE_HOME" or name == "HOME") and state or getenv(name)
      end
      local lines = { "userId,昵称" }
      for i = 1, count do
        lines[#lines + 1] = "u-" .. i .. ",昵称" .. i
      end
      options.source = imports.list(table.concat(lines, "\n") .. "\n")
      for key, value in pairs(more or {}) do
        options[key] = value
      end
      return campaign.import(options)
    end

    it("takes the members of a list in tasks of their own, and keeps the id of each", function()
      local result = assert(hypers(5))
      assert.equal(0, result.exit_code, tostring(result.error))
      assert.equal(5, result.accepted_pending)
      for batch in result:each_batch() do
        assert.truthy(batch.receipt)
      end
      assert.equal(3, result.requests)
    end)

    it("fills the variables of the texts from columns of the list", function()
      local params = {}
      for key, value in pairs(PARAMS) do
        params[key] = value
      end
      params.contents = { { contentType = "TEXT", contentValue = "{{name}}, welcome to {{shop}}" } }
      local result = assert(hypers(3, { params = params, map = { name = "昵称" }, set = { shop = "Pudong" } }))
      assert.equal(0, result.exit_code, tostring(result.error))
      local rows = imports.commits("create_notification_task")
      local last = rows[#rows].row
      assert.same({ "u-3", "昵称3", "Pudong" }, { last.userId, last.name, last.shop })
    end)

    it("F18 renews a token that ran out and sends the batches again that it held up, each once", function()
      imports.reset({ "create_notification_task:expire-token@2" })
      local result = assert(hypers(12))
      assert.equal(0, result.exit_code, tostring(result.error))
      assert.equal(12, result.taken_over)
      assert.is_true(result.retries >= 1)
      local seen = {}
      for _, entry in ipairs(imports.commits("create_notification_task")) do
        assert.is_nil(seen[entry.row.userId])
        seen[entry.row.userId] = true
      end
      for i = 1, 12 do
        assert.is_true(seen["u-" .. i])
      end
    end)

    it("F18 stops when the platform refuses fresh tokens too", function()
      imports.reset({ "create_notification_task:401@1-" })
      local result = assert(hypers(12))
      assert.equal(6, result.exit_code)
      assert.equal("auth", result.error.kind)
      assert.equal(12, result.pending)
      imports.assert_balanced(result)
    end)
  end)

  describe("closed hours", function()
    local NIGHT = 1762704000 -- 2025-11-10 00:00:00 in Shanghai

    it("R053 client waits inside the window until it opens", function()
      local options = imports.options(LIST, imports.people(10), { env = imports.env(NIGHT + 3600) })
      local phases = {}
      options.on_progress = function(event)
        if event.phase == "waiting" then
          phases[event.wait_for] = true
        end
      end
      local result = assert(campaign.import(options))
      assert.equal(0, result.exit_code)
      assert.is_true(options.env.slept() >= 3600 - 5 and options.env.slept() < 3700)
      assert.is_true(phases.window)
    end)

    it("R054 client refuses with the next allowed time when it is told to, before it opens the file", function()
      local result, err = imports.import(UPLOAD, nil, { source = "/nonexistent", env = imports.env(NIGHT), window = "refuse" })
      assert.is_nil(result)
      assert.equal("window", err.kind)
      assert.matches("2025-11-10 02:00:00", err.message, 1, true)
    end)

    it("R063 client does not hold back a do-not-call list", function()
      local options = imports.options("outbound.upload_dnc_json", imports.people(10), { env = imports.env(NIGHT), window = "refuse" })
      local result = assert(campaign.import(options))
      assert.equal(0, result.exit_code)
    end)

    it("keeps the rows when the platform calls itself closed and nobody is to wait", function()
      imports.handle:control("clock", { at = "2025-11-10 00:30:00", rate = 0 })
      local result = assert(imports.import(UPLOAD, imports.people(10), { window = "ignore" }))
      assert.equal(10, result.pending)
      assert.equal("window", result.error.kind)
      assert.equal(5, result.exit_code)
      imports.assert_balanced(result)
    end)
  end)

  describe("GBK", function()
    it("R032 client rejects rows by column and code point and uploads every other byte-exact", function()
      local text = imports.people(300, function(i)
        if i == 17 then
          return "c-00017,䶮先生,13800000017,公司,x"
        elseif i == 99 then
          return "c-00099,客户,13800000099,\"𠮷田, 株式会社\",x"
        elseif i == 150 then
          return "c-00150,笑😀,13800000150,好,x"
        end
      end)
      local result = assert(imports.import(UPLOAD, text))
      assert.equal(3, result.rejected)
      assert.equal(3, result.causes.unmappable)
      assert.equal(297, result.accepted)
      local rows = imports.read(result.rejects_file)
      assert.same({ "U+4DAE", "U+20BB7", "U+1F600" }, { rows[1]._code, rows[2]._code, rows[3]._code })
      assert.same({ "姓名", "公司", "姓名" }, { rows[1]._column, rows[2]._column, rows[3]._column })
      assert.equal("𠮷田, 株式会社", rows[2]["公司"])
      local sent = {}
      for _, entry in ipairs(imports.commits()) do
        sent[entry.row[1]] = entry.row
      end
      for i = 1, 300 do
        local row = sent[("c-%05d"):format(i)]
        if i == 17 or i == 99 or i == 150 then
          assert.is_nil(row)
        else
          assert.same({ ("c-%05d"):format(i), "客户" .. i, ("138%08d"):format(i), ("第%d公司, 有限"):format(i) }, row)
        end
      end
      imports.assert_balanced(result)
    end)

    it("fails before anything is sent when it is told to", function()
      local text = "uuid,姓名,手机号\nc-1,王,13800000001\nc-2,䶮,13800000002\n"
      local result, err = imports.import(UPLOAD, text, { on_unmappable = "fail" })
      assert.is_nil(result)
      assert.equal("invalid", err.kind)
      assert.matches("U+4DAE", err.message, 1, true)
      assert.matches("row 2", err.message, 1, true)
      assert.equal(0, #imports.commits())
    end)

    it("uses the user's own replacements", function()
      local text = "uuid,姓名,手机号\nc-2,䶮,13800000002\n"
      local result = assert(imports.import(UPLOAD, text, { on_unmappable = { map = { ["䶮"] = "龑" } } }))
      assert.equal(1, result.accepted)
      assert.equal("龑", imports.commits()[1].row[2])
    end)
  end)

  it("P1 keeps the books under random faults, and no row is taken over twice without being listed", function()
    local seed = tonumber(os.getenv("CAMPAIGN_SEED") or "") or os.time()
    for round = 1, 3 do
      local label = "seed " .. seed .. ", round " .. round
      imports.reset({
        "import_customers_async:after-commit-close%4", "import_customers_async:500%3", "import_customers_async:429-retry-after=1%10",
        "import_customers_async:bad-json%3", "import_customers_async:close-before-read%4", "import_customers_async:code=400%3",
        "import_customers_async:truncate-body%3",
      }, (seed + round) % 2147483646 + 1)
      local result = assert(imports.import(LONGLONG, imports.people(2000), { rows_per_call = 20, concurrency = 8 }))
      imports.assert_balanced(result)
      local state, times = {}, {}
      for _, file in ipairs({ "rejects_file", "ambiguous_file", "not_sent_file" }) do
        for _, row in ipairs(imports.read(result[file])) do
          assert.is_nil(state[row["手机号"]], label)
          state[row["手机号"]] = row._state
        end
      end
      for _, entry in ipairs(imports.commits()) do
        times[entry.row.phone] = (times[entry.row.phone] or 0) + 1
      end
      for i = 1, 2000 do
        local phone = ("138%08d"):format(i)
        local taken = times[phone] or 0
        assert.is_true(taken <= 1, label .. ": row " .. i .. " was taken over " .. taken .. " times")
        if state[phone] == nil then
          assert.equal(1, taken, label .. ": row " .. i .. " counts as taken over")
        elseif state[phone] ~= "ambiguous" then
          assert.equal(0, taken, label .. ": row " .. i .. " is " .. state[phone])
        end
      end
    end
  end)
end)
